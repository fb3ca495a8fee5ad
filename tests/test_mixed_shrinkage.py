"""The prior of the shared slopes in tables with few rows per coefficient."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_mixed_engine import Dense, make_data, make_problem, random_point

from skmeta import MixedEffectsRegressor
from skmeta._mixed._likelihood import evaluate
from skmeta._mixed._shrinkage import FEW_ROWS, LARGEST_SIGNAL

WIDE = 20  # features, for some 60 rows


class DenseWithPrior(Dense):
    """Slopes are normal about zero, so that the level alone has a flat prior."""

    def __init__(self, data, problem):
        super().__init__(data, problem)
        self.slopes = self.Z[:, :-1]
        self.prior_variance = 1.0 / problem.pooled.precision
        self.d = self.slopes.shape[1]

    def log_likelihood(self, S, v, tau):
        V = self.covariance(S, v, tau)
        V += self.prior_variance * self.slopes @ self.slopes.T
        inverse = np.linalg.inv(V)
        one = np.ones(len(V))
        information = one @ inverse @ one
        P = inverse - np.outer(inverse @ one, one @ inverse) / information
        log_dets = np.linalg.slogdet(V)[1] + np.log(self.weight).sum()
        # the prior itself is not counted: it is the same at every S, v and tau
        log_dets -= self.d * np.log(self.prior_variance)
        return -0.5 * (log_dets + np.log(information) + self.y @ P @ self.y)


@pytest.mark.parametrize("between", [False, True])
def test_likelihood_is_the_dense_one(between):
    data = make_data(1, n_features=WIDE)
    problem = make_problem(data, between)
    assert len(data.y) < FEW_ROWS * problem.p
    dense, rng = DenseWithPrior(data, problem), np.random.default_rng(0)
    for _ in range(3):
        point = random_point(rng, problem.p)
        beta = 0.1 * rng.normal(size=problem.p + problem.q)
        now = evaluate(problem, *point, beta, diagonal=False)
        expected = dense.log_likelihood(*point)
        assert now.log_likelihood == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_gradients_are_those_of_the_likelihood():
    problem = make_problem(make_data(2, n_features=WIDE), True)
    rng = np.random.default_rng(1)
    beta = np.zeros(problem.p + problem.q)
    S, v, tau = random_point(rng, problem.p)

    def value(S, v):
        return evaluate(problem, S, v, tau, beta, diagonal=False).log_likelihood

    now, h = evaluate(problem, S, v, tau, beta, diagonal=False), 1e-5
    for j in (0, 7, WIDE):
        D = np.zeros_like(S)
        D[j, j] = h
        slope = (value(S + D, v) - value(S - D, v)) / (2 * h)
        assert slope == pytest.approx(0.5 * now.gradient[j, j], rel=1e-4, abs=1e-4)
    slope = (value(S, v + h) - value(S, v - h)) / (2 * h)
    assert slope == pytest.approx(now.noise_gradient, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("n_features", [WIDE, 70])
def test_the_penalty_has_the_greatest_evidence(n_features):
    data = make_data(3, n_features=n_features, weighted=False)
    problem = make_problem(data, False)
    dense = Dense(data, problem)
    X, y, n = dense.Z[:, :-1], dense.y, len(data.y)

    def surprise(log_ratio):
        V = np.eye(n) + np.exp(log_ratio) * X @ X.T  # the rows sum to zero
        residual = y @ np.linalg.solve(V, y)
        return (n - 1) * np.log(residual) + np.linalg.slogdet(V)[1]

    largest = np.log(1e4 if n - 1 > n_features else LARGEST_SIGNAL / n_features)
    best = minimize_scalar(surprise, bounds=(-12, largest)).x
    got = problem.pooled
    assert np.log(1 / got.penalty) == pytest.approx(best, abs=1e-3)
    V = np.eye(n) + np.exp(best) * X @ X.T
    assert got.noise == pytest.approx(y @ np.linalg.solve(V, y) / (n - 1), rel=1e-3)


def test_tables_with_enough_rows_have_none():
    data = make_data(4)
    problem = make_problem(data, False)
    assert len(data.y) > FEW_ROWS * problem.p
    assert problem.pooled is None
    assert not problem.precision.any()


@pytest.mark.filterwarnings("ignore:.*(are too few|tends to zero):UserWarning")
@pytest.mark.parametrize("n_features", [60, 100, 200, 300])
def test_no_worse_than_ridge_regression(n_features):
    """For tasks never seen, with 240 rows."""
    rng, n_tasks, m = np.random.default_rng(0), 20, 12
    n_new = 40
    shape = (n_tasks + n_new, n_features)
    theta = 1.5 * rng.normal(size=n_features) + 0.3 * rng.normal(size=shape)
    X = rng.normal(size=(n_tasks + n_new, m, n_features))
    y = np.einsum("tmd,td->tm", X, theta) / np.sqrt(n_features)
    y += rng.normal(size=(n_tasks + n_new, 1)) + rng.normal(size=y.shape)
    old = X[:n_tasks].reshape(-1, n_features), y[:n_tasks].ravel()
    new = X[n_tasks:].reshape(-1, n_features), y[n_tasks:].ravel()
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 15))).fit(*old)
    model = MixedEffectsRegressor().fit(*old, tasks=np.repeat(np.arange(n_tasks), m))
    error = np.mean((model.predict(new[0]) - new[1]) ** 2)
    assert error < 1.05 * np.mean((ridge.predict(new[0]) - new[1]) ** 2)
