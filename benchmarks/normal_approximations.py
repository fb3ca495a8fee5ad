"""Spread between logistic tasks, estimated with different normal approximations.

python benchmarks/normal_approximations.py [--seeds 4]

The coefficients of a task are independent, with mean zero and one standard deviation.
Printed is the estimate of this standard deviation from all tasks: by the likelihood
itself (by quadrature, for one coefficient), by MixedEffectsClassifier (the best normal
approximation of every posterior), and by Laplace's approximation, the quadratic at the
mode: by its likelihood, and by expectation-maximisation with its posterior.
"""

import argparse

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

from skmeta import MixedEffectsClassifier

N_TASKS, TRUE_STD = 400, 1.5
CASES = ((4, 1), (6, 4))  # rows per task, coefficients with the intercept
LOG_BOUNDS = (-2.0, 3.0)


def simulate(rng, n_rows, p):
    """Rows of shape (N_TASKS, n_rows, p), constant last, and signs of the classes."""
    rows = rng.normal(size=(N_TASKS, n_rows, p))
    rows[:, :, -1] = 1.0
    coefs = TRUE_STD * rng.normal(size=(N_TASKS, p))
    scores = np.einsum("tmp,tp->tm", rows, coefs)
    return rows, np.where(scores + rng.logistic(size=scores.shape) > 0, 1.0, -1.0)


def modes(rows, signs, std):
    """Modes of coefs / std, their Hessians, and losses with the prior's, by Newton."""
    scaled, p = std * rows, rows.shape[2]
    where = np.zeros((len(rows), p))

    def loss(where):
        scores = np.einsum("tmp,tp->tm", scaled, where)
        return 0.5 * (where**2).sum(axis=1) - log_expit(signs * scores).sum(axis=1)

    for _ in range(200):
        scores = np.einsum("tmp,tp->tm", scaled, where)
        slope = signs * expit(-signs * scores)
        curvature = expit(scores) * expit(-scores)
        gradient = where - np.einsum("tmp,tm->tp", scaled, slope)
        hessian = np.einsum("tmp,tm,tmq->tpq", scaled, curvature, scaled) + np.eye(p)
        step = np.linalg.solve(hessian, gradient[:, :, np.newaxis])[:, :, 0]
        if np.abs(step).max() < 1e-8:
            return where, hessian, loss(where)
        gain, size = (gradient * step).sum(axis=1), np.ones(len(rows))
        for _ in range(40):
            reached = loss(where - size[:, np.newaxis] * step)
            rises = reached > loss(where) - 1e-4 * size * gain + 1e-12
            if not rises.any():
                break
            size[rises] /= 2
        where = where - size[:, np.newaxis] * step
    raise RuntimeError("Newton's method has not converged.")


def maximise(log_likelihood):
    found = minimize_scalar(
        lambda log_std: -log_likelihood(np.exp(log_std)),
        bounds=LOG_BOUNDS,
        method="bounded",
    )
    return float(np.exp(found.x))


def exact(rows, signs):
    if rows.shape[2] > 1:
        return np.nan
    points, weights = np.polynomial.hermite_e.hermegauss(61)

    def log_likelihood(std):
        logs = log_expit(signs[:, :, np.newaxis] * std * points).sum(axis=1)
        return np.log(np.exp(logs) @ weights).sum()

    return maximise(log_likelihood)


def laplace(rows, signs):
    def log_likelihood(std):
        _, hessian, loss = modes(rows, signs, std)
        return -(loss + 0.5 * np.linalg.slogdet(hessian)[1]).sum()

    return maximise(log_likelihood)


def expectation_maximisation(rows, signs):
    std = 1.0
    for _ in range(300):
        mean, hessian, _ = modes(rows, signs, std)
        variances = np.einsum("tpp->tp", np.linalg.inv(hessian))
        std *= np.sqrt((mean**2 + variances).mean())
    return std


def classifier(rows, signs):
    """The root of the mean variance of the coefficients."""
    n_tasks, n_rows, p = rows.shape
    model = MixedEffectsClassifier(covariance="diagonal", between=False)
    X = rows.reshape(-1, p)[:, :-1]
    if p == 1:
        model.set_params(random_effects="intercept")
        X = np.random.default_rng(0).normal(size=(len(X), 1))  # says nothing
    tasks = np.repeat(np.arange(n_tasks), n_rows)
    model.fit(X, signs.ravel(), tasks=tasks)
    variances = np.diag(model.covariance_[0])
    return np.sqrt(variances[-1:].mean() if p == 1 else variances.mean())


METHODS = {
    "exact likelihood": exact,
    "MixedEffectsClassifier": classifier,
    "Laplace's likelihood": laplace,
    "EM, Laplace's posterior": expectation_maximisation,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4)
    n_seeds = parser.parse_args().seeds
    for n_rows, p in CASES:
        print(f"\n{N_TASKS} tasks of {n_rows} rows, {p} coefficients of {TRUE_STD}")
        data = [simulate(np.random.default_rng(s), n_rows, p) for s in range(n_seeds)]
        for name, method in METHODS.items():
            found = [method(*tasks) for tasks in data]
            print(f"{name:26}{np.mean(found):6.2f}", flush=True)


if __name__ == "__main__":
    main()
