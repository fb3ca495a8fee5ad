"""Few-shot error of regression: both families, their parameters, and references.

python benchmarks/quality.py [--sets wage chick] [--seeds 5] [--school school.mat]
python benchmarks/quality.py --number-of-tasks [--seeds 10]

70 % of the tasks train; every other task is adapted to on its first k rows in a random
order and scored on those after the largest k. An error is the mean squared one over the
variance of the target, averaged over rows, then tasks, then seeds. The data are taken
as they are. An indented row changes one parameter of the row above that is not.

With `--number-of-tasks`, on tasks made up around a known prior: the error after
learning from T tasks over that of the learner that knows the prior.
"""

import argparse
import functools
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.io
from sklearn.base import clone
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hierarchical_linear import HierarchicalLinear
from skmeta import FMRLRegressor, MixedEffectsRegressor
from skmeta.datasets import load_chick_weights, load_wage_panel, make_task_regression
from skmeta.linear_model import BiasedRidge

SHOTS = (0, 1, 2, 4, 8, 16)
FEW = (0, 2, 8, 64)
PENALTIES = np.logspace(-3, 3, 13)
SCHOOL = Path(__file__).resolve().parents[2] / "shared" / "data" / "school.mat"

# ---- tasks: lists of pairs (X, y)


def by_task(X, y, tasks):
    return [(X[tasks == t], y[tasks == t]) for t in np.unique(tasks)]


def stack(tasks):
    """X, y and the labels of the rows of a list of tasks."""
    labels = np.repeat(np.arange(len(tasks)), [len(y) for _, y in tasks])
    return np.vstack([X for X, _ in tasks]), np.hstack([y for _, y in tasks]), labels


def simulated(seed, **params):
    return by_task(*make_task_regression(random_state=seed, **params))


def wage(seed):
    return by_task(*load_wage_panel(return_X_y=True))


def chick(seed):
    """A parabola in time, its slope by diet; the five chicks that died are left out."""
    X, y, tasks = load_chick_weights(return_X_y=True)
    X = np.c_[X, X[:, :1] ** 2, X[:, :1] * X[:, 1:]]
    return [(X, y) for X, y in by_task(X, y, tasks) if len(y) == 12]


def school(path, seed):
    content = scipy.io.loadmat(path)
    pairs = zip(content["X"][0], content["Y"][0], strict=True)
    return [(X[:, :27].astype(float), y.ravel().astype(float)) for X, y in pairs]


SETS = {
    "wage": wage,
    "chick": chick,
    "all-vary": functools.partial(
        simulated, n_tasks=300, n_samples=24, n_features=8, task_std=0.5, noise=0.3
    ),
    "intercept-varies": functools.partial(
        simulated,
        n_tasks=300,
        n_samples=24,
        n_features=8,
        task_std=0.0,
        intercept_std=0.5,
        noise=0.3,
    ),
}

# ---- methods: fit(tasks), then predict(X_support, y_support, X)


class Library:
    """A meta-estimator of skmeta."""

    def __init__(self, family, /, **params):
        self.estimator = family(**params)

    def fit(self, tasks):
        X, y, labels = stack(tasks)
        with warnings.catch_warnings():
            # what a few tasks do not identify is not the subject here
            warnings.simplefilter("ignore", UserWarning)
            self.model = clone(self.estimator).fit(X, y, tasks=labels)

    def predict(self, X_support, y_support, X):
        if not len(y_support):
            return self.model.predict(X)
        return self.model.adapt(X_support, y_support).predict(X)


class PooledRidge:
    """One ridge for all, its penalty by leave-one-out."""

    def fit(self, tasks):
        X, y, _ = stack(tasks)
        self.model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(X, y)

    def predict(self, X_support, y_support, X):
        return self.model.predict(X)


class RidgePerTask:
    """One ridge each, on z-scores; the best penalty on training tasks for every k."""

    def fit(self, tasks):
        X, y, _ = stack(tasks)
        self.scaler, self.mean = StandardScaler().fit(X), y.mean()
        self.best = {}
        self.tasks = [(self.scaler.transform(X), y) for X, y in tasks]

    def predict(self, X_support, y_support, X):
        if not len(y_support):
            return np.full(len(X), self.mean)
        k = len(y_support)
        if k not in self.best:
            self.best[k] = self._find_best(k)
        support, query = self.scaler.transform(X_support), self.scaler.transform(X)
        return ridge_path(support, y_support, query)[self.best[k]]

    def _find_best(self, k):
        """Number of the best penalty, for half of the shortest task if k is longer."""
        shortest = min(len(y) for _, y in self.tasks)
        k = k if k < shortest else shortest // 2
        rng, errors = np.random.default_rng(0), []
        for X, y in self.tasks:
            p = rng.permutation(len(y))
            support, query = p[:k], p[k:]
            found = ridge_path(X[support], y[support], X[query])
            errors.append(((found - y[query]) ** 2).mean(axis=1))
        return np.mean(errors, axis=0).argmin()


def ridge_path(X, y, X_query):
    """Predictions for every penalty; the intercept has none."""
    mean = X.mean(axis=0)
    U, s, Vt = np.linalg.svd(X - mean, full_matrices=False)
    shrunk = s / (s**2 + PENALTIES[:, np.newaxis]) * ((y - y.mean()) @ U)
    return y.mean() + shrunk @ (Vt @ (X_query - mean).T)


mixed = functools.partial(Library, MixedEffectsRegressor)
fmrl = functools.partial(Library, FMRLRegressor)

METHODS = {
    "MixedEffectsRegressor": mixed,
    "  covariance='diagonal'": lambda: mixed(covariance="diagonal"),
    "  covariance='full'": lambda: mixed(covariance="full"),
    "  between=False": lambda: mixed(between=False),
    "  random_effects='interc.'": lambda: mixed(random_effects="intercept"),
    "FMRLRegressor": fmrl,
    "  step_size='isotropic'": lambda: fmrl(step_size="isotropic"),
    "  step_size='per_coord.'": lambda: fmrl(step_size="per_coordinate"),
    "  meta_step_size=0.1": lambda: fmrl(meta_step_size=0.1),
    "  n_passes=3": lambda: fmrl(n_passes=3),
    "  init='pooled'": lambda: fmrl(init="pooled"),
    "  task_parameter='optimum'": lambda: fmrl(task_parameter="optimum"),
    "  estimator=BiasedRidge()": lambda: fmrl(estimator=BiasedRidge()),
    "  standardize=False": lambda: fmrl(standardize=False),
    "one model for all": PooledRidge,
    "one model each": RidgePerTask,
    "random intercept": lambda: HierarchicalLinear(slopes_vary=False),
    "hierarchical, EM": HierarchicalLinear,
}

# ---- measurement


def squared_error(y, predicted):
    return (y - predicted) ** 2


def few_shot(tasks, seed, method, loss=squared_error):
    """Mean loss on the test tasks for every k, and the seconds of fit."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(tasks))
    cut = round(0.7 * len(tasks))
    train, test = [[tasks[i] for i in part] for part in (order[:cut], order[cut:])]
    room = int(np.quantile([len(y) for _, y in tasks], 0.1)) - 4
    shots = [k for k in SHOTS if k <= max(room, 0)]
    start = time.perf_counter()
    method.fit(train)
    seconds = time.perf_counter() - start
    losses = []
    for X, y in test:
        if len(y) <= shots[-1]:
            continue
        p = rng.permutation(len(y))
        query = p[shots[-1] :]
        losses.append([])
        for k in shots:
            found = method.predict(X[p[:k]], y[p[:k]], X[query])
            losses[-1].append(loss(y[query], found).mean())
    return shots, np.mean(losses, axis=0), seconds


def compare(name, load, n_seeds):
    print(f"\n{name}: error")
    for label, make in METHODS.items():
        errors, seconds = [], []
        for seed in range(n_seeds):
            tasks = load(seed)
            shots, error, elapsed = few_shot(tasks, seed, make())
            errors.append(error / stack(tasks)[1].var())
            seconds.append(elapsed)
        means = np.mean(errors, axis=0)
        cells = zip(shots, means, strict=True)
        text = "  ".join(f"k={k} {value:6.3f}" for k, value in cells)
        print(f"{label:27}{text}  fit {np.mean(seconds):.2f} s", flush=True)


class KnownPrior:
    """Knows the truth behind `make_task_regression`."""

    def __init__(self, truth, task_std, noise):
        self.mean = np.append(truth.coef, truth.intercept)
        self.ratio = (task_std / noise) ** 2

    def fit(self, tasks):
        pass

    def predict(self, X_support, y_support, X):
        Z = np.c_[X_support, np.ones(len(X_support))]
        kernel = self.ratio * Z @ Z.T + np.eye(len(Z))
        weights = np.linalg.solve(kernel, y_support - Z @ self.mean)
        theta = self.mean + self.ratio * Z.T @ weights
        return np.c_[X, np.ones(len(X))] @ theta


def compare_numbers_of_tasks(n_seeds):
    """Error after T tasks of 20 rows over that of the known prior."""
    numbers, n_test, noise = (5, 10, 20, 50, 100, 200), 100, 0.3
    methods = {
        "mixed effects": mixed,
        "FMRL": fmrl,
        "one model for all": PooledRidge,
        "one model each": RidgePerTask,
    }
    for spread in (0.1, 0.3, 1.0):
        ratios = {(name, T): [] for name in methods for T in numbers}
        for seed in range(n_seeds):
            X, y, labels, truth = make_task_regression(
                n_tasks=max(numbers) + n_test,
                n_samples=max(FEW) + 20,
                n_features=8,
                task_std=spread,
                noise=noise,
                return_coef=True,
                random_state=seed,
            )
            tasks = by_task(X, y, labels)
            train = [(X[:20], y[:20]) for X, y in tasks[: max(numbers)]]
            test = tasks[max(numbers) :]
            best = score(KnownPrior(truth, spread, noise), [], test)
            for name, T in ratios:
                error = score(methods[name](), train[:T], test)
                ratios[name, T].append(error / best)
        print(f"\nspread {spread}, noise {noise}: error over that of the known prior")
        print(f"{'':18}k  " + "".join(f"{f'T={T}':>8}" for T in numbers))
        for name in methods:
            means = np.array([np.mean(ratios[name, T], axis=0) for T in numbers])
            for k, row in zip(FEW, means.T, strict=True):
                print(f"{name:18}{k:<3}" + "".join(f"{value:8.2f}" for value in row))


def score(method, train, test):
    """Mean squared error on the last rows of the test tasks, after k rows."""
    if train:
        method.fit(train)
    targets, errors = np.concatenate([y[max(FEW) :] for _, y in test]), []
    for k in FEW:
        found = [method.predict(X[:k], y[:k], X[max(FEW) :]) for X, y in test]
        errors.append(squared_error(targets, np.concatenate(found)).mean())
    return np.array(errors)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="*", help="of " + ", ".join([*SETS, "school"]))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--school", default=SCHOOL, help="path of school.mat")
    parser.add_argument("--number-of-tasks", action="store_true")
    args = parser.parse_args()
    if args.number_of_tasks:
        compare_numbers_of_tasks(args.seeds)
        return
    sets = dict(SETS)
    if Path(args.school).exists():
        sets["school"] = functools.partial(school, args.school)
    else:
        print(f"school: left out, there is no {args.school}; see --school")
    for name in args.sets or sets:
        if name not in sets:
            parser.error(f"no set {name!r}: choose among {', '.join(sets)}")
        compare(name, sets[name], args.seeds)


if __name__ == "__main__":
    main()
