"""EmpiricalBayes against the recursion of its notes, written with explicit inverses."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.linear_model import BiasedLogisticRegression, BiasedRidge, OGDRegressor
from skmeta.metrics import regret_report
from skmeta.step_size import EmpiricalBayes

COVARIANCES = ["diagonal", "full"]
on_both = pytest.mark.parametrize("covariance", COVARIANCES)
on_both_kinds = pytest.mark.parametrize("kind", ["regressor", "classifier"])


def meta(kind, covariance="diagonal", *, fit_intercept=True, **params):
    rule = EmpiricalBayes(covariance)
    if kind == "regressor":
        inner = BiasedRidge(fit_intercept=fit_intercept)
        return FMRLRegressor(inner, step_size=rule, **params)
    inner = BiasedLogisticRegression(fit_intercept=fit_intercept)
    return FMRLClassifier(inner, step_size=rule, **params)


def make(kind, n_tasks=15, n_samples=(1, 9), n_features=3, seed=0, **params):
    generate = make_task_regression if kind == "regressor" else make_task_classification
    return generate(n_tasks, n_samples, n_features, random_state=seed, **params)


def in_raw_units(X, y):
    """The same problem in units that are far from standardised."""
    p = X.shape[1]
    return X * 10.0 ** np.arange(p) + 50.0 * np.arange(p), 300.0 * y - 1e4


def prior_of(model):
    """(phi, covariance of the parameters over the noise) in raw coordinates."""
    state = model._state
    return state.phi, state.algorithm.step(state, 1)


# ---- the recursion, slowly


class Reference:
    """The prior of one output; tasks are kept, and standardised anew each time."""

    def __init__(self, p, *, full, fit_intercept=True, decay=0.7, noise=None):
        self.full, self.fit_intercept, self.decay = full, fit_intercept, decay
        self.fixed_noise = noise
        self.share = np.r_[np.full(p, 0.5 / p), 0.5]
        self.S = np.diag(self.share) * (0.5 if noise is None else 1.0)
        self.v = 0.5 if noise is None else noise
        self.moves, self.determined = np.diag(self.S).copy(), np.ones(p + 1)
        self.phi, self.t, self.seen, self.precisions = np.zeros(p + 1), 0, [], []

    def update(self, tasks, weights):
        for (X, y), w in zip(tasks, weights, strict=True):
            self.seen.append((X, y, w))
            if len(self.seen) == 1:
                self.residuals, self.free = 0.5 * w.sum(), w.sum()
        self._standardise()
        if self.t == 0 and self.fixed_noise is None and not self.phi.any():
            self.phi = self.phi + np.r_[np.zeros(len(self.phi) - 1), self.shift]
        S, v = self.S.copy(), self.v
        found = [self._posterior(*task, S, v) for task in self.seen[-len(tasks) :]]
        score = 0.0
        for moved, C, P, gradient, residuals, free in found:
            self.t += 1
            g = (self.t + 1.0) ** -self.decay
            if self.full:
                self.S = (1 - g) * self.S + g * (np.outer(moved, moved) + C)
            else:
                part = 1 - np.diag(C) / np.diag(S)
                rate = g * np.r_[np.isfinite(self.spread), 1.0]
                self.moves = (1 - rate) * self.moves + rate * moved**2
                self.determined = (1 - rate) * self.determined + rate * part
                self.S = np.diag(self.moves / self.determined)
            lifted = np.maximum(np.diag(self.S), 1e-4 * self.share)
            self.S += np.diag(lifted - np.diag(self.S))
            if self.fixed_noise is None:
                self.residuals = (1 - g) * self.residuals + g * residuals
                self.free = (1 - g) * self.free + g * free
                self.v = max(self.residuals / self.free, 1e-4)
            self.precisions.append(P)
            score = score + gradient
        H = np.diag(1.0 / self.share)
        for (X, _, _), P in zip(self.seen, self.precisions, strict=True):
            H = H + self._design(X).T @ P @ self._design(X)
        self.phi = self.phi + self.unit * self._to_raw() @ np.linalg.inv(H) @ score

    def _standardise(self):
        X = np.vstack([X for X, _, _ in self.seen])
        y = np.concatenate([y for _, y, _ in self.seen])
        w = np.concatenate([w for _, _, w in self.seen])
        about = np.average(X, axis=0, weights=w) * self.fit_intercept
        self.mean, self.shift, self.unit = about, 0.0, 1.0
        self.spread = np.sqrt(np.average((X - about) ** 2, axis=0, weights=w))
        self.spread[self.spread < 1e-9 * np.abs(about)] = np.inf
        self.spread[self.spread == 0] = np.inf
        if self.fixed_noise is None:
            self.shift = np.average(y, weights=w) * self.fit_intercept
            self.unit = np.sqrt(np.average((y - self.shift) ** 2, weights=w)) or 1.0

    def _design(self, X):
        constant = np.full(len(X), float(self.fit_intercept))
        return np.c_[(X - self.mean) / self.spread, constant]

    def _to_raw(self):
        T = np.diag(np.r_[1.0 / self.spread, 1.0])
        T[-1, :-1] = -self.mean / self.spread
        return T

    def _posterior(self, X, y, w, S, v):
        """For the squared error."""
        Z = self._design(X)
        e = (y - X @ self.phi[:-1] - self.phi[-1] * self.fit_intercept) / self.unit
        P = np.linalg.inv(Z @ S @ Z.T + v * np.diag(1.0 / w))
        moved = S @ Z.T @ P @ e
        C = S - S @ Z.T @ P @ Z @ S
        free = w.sum() - np.trace(Z @ C @ Z.T @ np.diag(w)) / v
        return moved, C, P, Z.T @ P @ e, w @ (e - Z @ moved) ** 2, free

    def step_size(self):
        return self._to_raw() @ (self.S / self.v) @ self._to_raw().T


class LogisticReference(Reference):
    """Laplace's approximation, by a general optimiser; targets -1 and 1."""

    def _posterior(self, X, y, w, S, v):
        Z, precision = self._design(X), np.linalg.inv(S)
        offset = X @ self.phi[:-1] + self.phi[-1]

        def objective(moved):
            s = y * (Z @ moved + offset)
            slope = -w * y / (1.0 + np.exp(s))
            value = w @ np.logaddexp(0.0, -s) + 0.5 * moved @ precision @ moved
            return value, Z.T @ slope + precision @ moved

        zero = np.zeros(len(S))
        moved = optimize.minimize(objective, zero, jac=True, tol=1e-14).x
        p = 1.0 / (1.0 + np.exp(-(Z @ moved + offset)))
        W = np.diag(w * p * (1 - p))
        C = np.linalg.inv(precision + Z.T @ W @ Z)
        P = np.linalg.inv(np.linalg.inv(W) + Z @ S @ Z.T)
        gradient = Z.T @ (w * (0.5 * (y + 1) - p))
        return moved, C, P, gradient, 0.0, 0.0


def batches(X, y, tasks, weight, size):
    parts = [tasks == t for t in np.unique(tasks)]
    groups = [parts[i : i + size] for i in range(0, len(parts), size)]
    return [
        ([(X[rows], y[rows]) for rows in group], [weight[rows] for rows in group])
        for group in groups
    ]


@on_both
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", [1, 4], ids="batches-of-{}".format)
def test_regression_is_the_recursion(covariance, fit_intercept, weighted, size):
    X, y, tasks = make("regressor")
    X, y = in_raw_units(X, y)
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.5, 3.0, len(y)) if weighted else np.ones(len(y))
    expected = Reference(3, full=covariance == "full", fit_intercept=fit_intercept)
    for batch in batches(X, y, tasks, weight, size):
        expected.update(*batch)
    model = meta(
        "regressor", covariance, fit_intercept=fit_intercept, meta_batch_size=size
    )
    model.fit(X, y, tasks=tasks, sample_weight=weight if weighted else None)
    phi, eta = prior_of(model)
    assert_allclose(phi[0], expected.phi, rtol=1e-8)
    assert_allclose(eta[0], expected.step_size(), rtol=1e-8)
    assert_allclose(model.step_size_, [np.diag(expected.step_size())], rtol=1e-8)
    noise = model._state.algorithm.noise(model._state)
    assert noise == pytest.approx(expected.v * expected.unit**2, rel=1e-8)


@on_both
def test_an_initialization_that_is_given_is_where_the_mean_starts(covariance):
    X, y, tasks = make("regressor", n_tasks=3)
    expected = Reference(3, full=covariance == "full")
    expected.phi = np.array([1.0, -2.0, 3.0, 4.0])
    model = meta("regressor", covariance, init=expected.phi).fit(X, y, tasks=tasks)
    for batch in batches(X, y, tasks, np.ones(len(y)), 1):
        expected.update(*batch)
    assert_allclose(prior_of(model)[0][0], expected.phi, rtol=1e-8)


@on_both
@pytest.mark.parametrize("n_classes", [2, 3])
def test_classification_is_the_recursion(covariance, n_classes):
    """With more than two classes, one prior for every class against the others."""
    X, y, tasks = make("classifier", n_classes=n_classes)
    X, _ = in_raw_units(X, y)
    model = meta("classifier", covariance).fit(X, y, tasks=tasks)
    phi, eta = prior_of(model)
    for k, c in enumerate([1] if n_classes == 2 else range(n_classes)):
        expected = LogisticReference(3, full=covariance == "full", noise=1.0)
        signs = np.where(y == model.classes_[c], 1.0, -1.0)
        for batch in batches(X, signs, tasks, np.ones(len(y)), 1):
            expected.update(*batch)
        assert_allclose(phi[k], expected.phi, rtol=1e-4)
        assert_allclose(eta[k], expected.step_size(), rtol=1e-4)


@on_both
def test_task_parameters_are_posterior_means_under_the_prior_of_their_turn(covariance):
    X, y, tasks = make("regressor")
    X, y = in_raw_units(X, y)
    model = meta("regressor", covariance)
    for t in np.unique(tasks)[1:]:
        model.partial_fit(X[tasks == t - 1], y[tasks == t - 1], tasks=t - 1)
        phi, eta = prior_of(model)
        rows, y_t = np.c_[X[tasks == t], np.ones(sum(tasks == t))], y[tasks == t]
        P = np.linalg.inv(rows @ eta[0] @ rows.T + np.eye(len(rows)))
        theta = phi[0] + eta[0] @ rows.T @ P @ (y_t - rows @ phi[0])
        adapted = model.adapt(X[tasks == t], y_t)
        assert_allclose(np.r_[adapted.coef_, adapted.intercept_], theta, rtol=1e-6)
        model.partial_fit(X[tasks == t], y_t, tasks=t)
        found = np.r_[model.task_coef_[-1], model.task_intercept_[-1]]
        assert_allclose(found, theta, rtol=1e-6)


def test_other_meta_updates_move_towards_the_task_parameter():
    X, y, tasks = make("regressor")
    model = meta("regressor", meta_update="constant", meta_eta0=0.25)
    model.fit(X, y, tasks=tasks)
    phi, _ = prior_of(model)
    phi = phi.copy()
    rows = tasks == tasks[-1]
    model.partial_fit(X[rows], y[rows], tasks="again")
    theta = np.c_[model.task_coef_[-1:], model.task_intercept_[-1:]]
    assert_allclose(model._state.phi, phi + 0.25 * (theta - phi), rtol=1e-12)
    still = meta("regressor", meta_update="constant", meta_eta0=0.0)
    assert not still.fit(X, y, tasks=tasks).coef_.any()


# ---- what it finds


@on_both
def test_recovers_spreads_noise_and_mean(covariance, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    mean = np.array([3.0, -1.0, 0.5, 2.0])
    spread, noise = np.array([1.0, 0.0, 0.4, 2.0]), 0.5
    model = meta("regressor", covariance, store_tasks=False)
    X = rng.normal(size=(2000, 12, 3))
    theta = mean + spread * rng.normal(size=(2000, 4))
    y = np.einsum("tmp,tp->tm", X, theta[:, :3]) + theta[:, 3:]
    y += noise * rng.normal(size=y.shape)
    model.fit(X.reshape(-1, 3), y.ravel(), tasks=np.repeat(np.arange(2000), 12))
    found = model._state.algorithm.noise(model._state)
    assert found == pytest.approx(noise**2, rel=0.1)
    variances = model.step_size_[0] * found
    assert_allclose(variances[[0, 2, 3]], spread[[0, 2, 3]] ** 2, rtol=0.35)
    assert variances[1] < 0.02
    assert_allclose(np.r_[model.coef_, model.intercept_], mean, atol=0.25)


def test_full_covariance_finds_what_varies_together():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 8, 2))
    u = rng.normal(size=(1500, 1))
    theta = np.c_[u, -u, np.zeros_like(u)] + 1.0
    y = np.einsum("tmp,tp->tm", X, theta[:, :2]) + theta[:, 2:]
    y += 0.3 * rng.normal(size=y.shape)
    y, tasks = y.ravel(), np.repeat(np.arange(1500), 8)
    model = meta("regressor", "full").fit(X.reshape(-1, 2), y, tasks=tasks)
    S = prior_of(model)[1][0]
    assert S[0, 1] / np.sqrt(S[0, 0] * S[1, 1]) < -0.9
    diagonal = meta("regressor").fit(X.reshape(-1, 2), y, tasks=tasks)
    S = prior_of(diagonal)[1][0]
    assert abs(S[0, 1] / np.sqrt(S[0, 0] * S[1, 1])) < 0.1


@on_both
@pytest.mark.parametrize("support", [0, 1, 4])
def test_intervals_hold_what_they_promise(covariance, support):
    """95 % of new targets within 1.96 standard deviations, in odd units."""
    rng = np.random.default_rng(support)
    spread, noise = np.array([1.0, 0.2, 0.0, 0.5]), 0.7

    def task(n_samples):
        Z = rng.normal(size=(n_samples, 3))
        theta = [3.0, -1.0, 0.5, 2.0] + spread * rng.normal(size=4)
        y = Z @ theta[:3] + theta[3] + noise * rng.normal(size=n_samples)
        return 1e3 * Z + 500.0, 1e-3 * y

    model = meta("regressor", covariance, store_tasks=False)
    for _ in range(600):
        model.partial_fit(*task(rng.integers(4, 20)))
    held = []
    for _ in range(600):
        X, y = task(support + 4)
        model_t = model.adapt(X[:support], y[:support]) if support else model
        mean, std = model_t.predict(X[support:], return_std=True)
        assert_array_equal(mean, model_t.predict(X[support:]))
        held.append(np.abs(y[support:] - mean) < 1.96 * std)
    assert np.mean(held) == pytest.approx(0.95, abs=0.025)


# ---- properties


@on_both
@on_both_kinds
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units_do_not_matter(kind, covariance, scale):
    X, y, tasks = make(kind, n_tasks=30)
    factors = scale ** np.array([1.0, -1.0, 0.5])
    Z = X * factors + 7.0 * factors
    is_regressor = kind == "regressor"
    u = scale * (y + 7.0) if is_regressor else y

    def back(scores):
        return scores / scale - 7.0 if is_regressor else scores

    one = meta(kind, covariance).fit(X, y, tasks=tasks)
    two = meta(kind, covariance).fit(Z, u, tasks=tasks)
    score = "predict" if is_regressor else "decision_function"
    tolerance = {"rtol": 1e-5, "atol": 1e-5}
    expected = getattr(one, score)(X, tasks=tasks)
    # the other tasks than the first are run with the prior of their turn
    assert_allclose(back(getattr(two, score)(Z, tasks=tasks)), expected, **tolerance)
    assert_allclose(back(getattr(two, score)(Z)), getattr(one, score)(X), **tolerance)
    expected = getattr(one.adapt(X[:4], y[:4]), score)(X)
    found = getattr(two.adapt(Z[:4], u[:4]), score)(Z)
    assert_allclose(back(found), expected, **tolerance)
    if is_regressor:
        _, std = two.predict(Z, return_std=True)
        assert_allclose(std / scale, one.predict(X, return_std=True)[1], rtol=1e-5)


@on_both
@pytest.mark.parametrize("kind, n_classes", [("regressor", 0), ("classifier", 3)])
@pytest.mark.parametrize("meta_update", ["ftl", "constant"])
def test_fit_is_partial_fit_task_by_task(kind, n_classes, covariance, meta_update):
    extra = {"n_classes": n_classes} if n_classes else {}
    X, y, tasks = make(kind, **extra)
    whole = meta(kind, covariance, meta_update=meta_update).fit(X, y, tasks=tasks)
    parts = meta(kind, covariance, meta_update=meta_update)
    first = {"classes": np.unique(y)} if n_classes else {}
    for t in np.unique(tasks):
        parts.partial_fit(X[tasks == t], y[tasks == t], tasks=t, **first)
    assert_array_equal(parts._state.phi, whole._state.phi)
    assert_array_equal(parts._state.rule, whole._state.rule)
    assert_array_equal(parts.task_coef_, whole.task_coef_)
    assert_array_equal(parts.history_, whole.history_)


@on_both_kinds
def test_a_second_pass_goes_on_from_the_first(kind):
    X, y, tasks = make(kind)
    passes = meta(kind, n_passes=2).fit(X, y, tasks=tasks)
    calls = meta(kind, warm_start=True).fit(X, y, tasks=tasks).fit(X, y, tasks=tasks)
    assert_array_equal(passes._state.rule, calls._state.rule)
    assert_array_equal(passes.task_coef_, calls.task_coef_)


@on_both_kinds
def test_threads_do_not_matter(kind):
    X, y, tasks = make(kind)
    one = meta(kind, meta_batch_size=5).fit(X, y, tasks=tasks)
    two = meta(kind, meta_batch_size=5, n_jobs=2).fit(X, y, tasks=tasks)
    assert_array_equal(one._state.rule, two._state.rule)
    assert_array_equal(one.task_coef_, two.task_coef_)


@on_both_kinds
def test_sparse_rows(kind):
    X, y, tasks = make(kind)
    dense = meta(kind).fit(X, y, tasks=tasks)
    sparse = meta(kind).fit(sp.csr_matrix(X), y, tasks=tasks)
    assert_array_equal(dense._state.rule, sparse._state.rule)
    if kind == "regressor":
        _, std = sparse.predict(sp.csr_matrix(X), return_std=True)
        assert_allclose(std, dense.predict(X, return_std=True)[1])


@on_both
def test_a_weight_counts_rows(covariance):
    X, y, tasks = make("regressor")
    counts = np.random.default_rng(0).integers(0, 4, len(y))
    weighted = meta("regressor", covariance)
    weighted.fit(X, y, tasks=tasks, sample_weight=counts)
    repeated = meta("regressor", covariance)
    repeated.fit(
        *(np.repeat(a, counts, axis=0) for a in (X, y)), tasks=tasks.repeat(counts)
    )
    for one, two in zip(prior_of(weighted), prior_of(repeated), strict=True):
        assert_allclose(one, two, rtol=1e-8, atol=1e-12)


def test_a_task_that_returns_is_learned_from_as_a_new_one():
    X, y, tasks = make("regressor")
    rows = tasks == tasks[0]
    one = meta("regressor").fit(X, y, tasks=tasks)
    two = clone(one).fit(X, y, tasks=tasks)
    own = np.r_[one.task_coef_[0], one.task_intercept_[0]]
    eta = prior_of(one)[1][0].copy()
    one.partial_fit(X[rows], y[rows], tasks=tasks[0])
    two.partial_fit(X[rows], y[rows])
    assert_array_equal(one._state.phi, two._state.phi)
    assert_array_equal(one._state.rule, two._state.rule)
    design = np.c_[X[rows], np.ones(rows.sum())]
    P = np.linalg.inv(design @ eta @ design.T + np.eye(len(design)))
    theta = own + eta @ design.T @ P @ (y[rows] - design @ own)
    assert_allclose(np.r_[one.task_coef_[0], one.task_intercept_[0]], theta)


@on_both
@on_both_kinds
def test_a_later_feature_has_no_slope_until_it_varies(kind, covariance):
    X, y, tasks = make(kind, n_tasks=20)
    X[:, 1] = 3.0
    model = meta(kind, covariance).fit(X, y, tasks=tasks)
    assert np.ravel(model.coef_)[1] == 0.0
    assert model.step_size_[0, 1] == 0.0
    adapted = model.adapt(X[:3] * [1.0, 2.0, 1.0], y[:3])
    assert np.ravel(adapted.coef_)[1] == 0.0
    X_new, y_new, new = make(kind, n_tasks=20, seed=1)
    model.partial_fit(X_new, y_new, tasks=new + 100)
    assert np.ravel(model.coef_)[1] != 0.0
    assert model.step_size_[0, 1] > 0.0


X, Y, T = make_task_regression(25, (1, 9), 3, random_state=1)
ODD = {
    "one-task": (X[:9], Y[:9], np.zeros(9)),
    "one-row": (X[:1], Y[:1], [0]),
    "tasks-of-one-row": (1e6 * X, 1e6 * Y + 1e8, np.arange(len(X))),
    "constant-target": (X, np.full(len(X), 0.1), T),
    "constant-features": (np.full_like(X, 0.1), Y, T),
    "duplicated-features": (np.c_[X, X], Y, T),
    "large": (1e6 * X, 1e6 * Y, T),
    "small": (1e-6 * X, 1e-6 * Y, T),
    "far-from-zero": (X + 1e6, Y - 1e6, T),
    "no-noise": (X, X @ [1.0, 2.0, 3.0], T),
}


@on_both
@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_odd_data_give_finite_numbers(case, covariance, fit_intercept):
    X, y, tasks = ODD[case]
    model = meta("regressor", covariance, fit_intercept=fit_intercept, n_passes=2)
    model.fit(X, y, tasks=tasks)
    adapted = model.adapt(X[:3], y[:3])
    error = np.abs(y - model.predict(X, tasks=tasks)).max()
    assert error <= 10 * np.abs(y).max()
    for predicted in (
        *model.predict(X, return_std=True),
        *adapted.predict(X, return_std=True),
        adapted.partial_fit(X[:2], y[:2]).predict(X),
        model.step_size_,
    ):
        assert np.isfinite(predicted).all()


@on_both_kinds
@pytest.mark.parametrize(
    "copied",
    [lambda model: pickle.loads(pickle.dumps(model)), copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deepcopy"],
)
def test_what_has_been_learned_is_one_array_that_can_be_copied(kind, copied):
    X, y, tasks = make(kind)
    model = meta(kind).fit(X, y, tasks=tasks)
    assert model._state.rule.dtype == np.float64
    twin = copied(model)
    for one in (model, twin):
        one.partial_fit(X[:5], y[:5], tasks="more")
    assert_array_equal(twin._state.rule, model._state.rule)
    assert_array_equal(twin._state.phi, model._state.phi)


def test_grid_search():
    X, y, tasks = make("regressor", n_tasks=30)
    model = meta("regressor", task_column=0)
    grid = {"step_size__decay": [0.6, 1.0], "step_size__covariance": COVARIANCES}
    search = GridSearchCV(model, grid, cv=GroupKFold(3), error_score="raise")
    search.fit(np.c_[tasks, X], y, groups=tasks)
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) == 4
    assert scores.min() > 0.5


def test_optima_do_not_depend_on_the_prior():
    X, y, tasks = make("regressor", n_samples=9)
    model = meta("regressor", task_parameter="optimum").fit(X, y, tasks=tasks)
    for t, theta in enumerate(np.c_[model.task_coef_, model.task_intercept_]):
        design = np.c_[X[tasks == t], np.ones(9)]
        expected = np.linalg.lstsq(design, y[tasks == t], rcond=None)[0]
        assert_allclose(theta, expected, rtol=1e-6)


@on_both_kinds
def test_regularized_is_last(kind):
    X, y, tasks = make(kind)
    last = meta(kind).fit(X, y, tasks=tasks)
    other = meta(kind, task_parameter="regularized").fit(X, y, tasks=tasks)
    assert_array_equal(last.task_coef_, other.task_coef_)


@on_both
@on_both_kinds
def test_regret_is_below_its_bound(kind, covariance):
    """(G1) in the norm of the prior, on tasks whose optimum is finite."""
    noise = 0.3 if kind == "regressor" else 4.0
    X, y, tasks = make(kind, n_samples=60, n_features=2, noise=noise)
    report = regret_report(meta(kind, covariance), X, y, tasks)
    bounds = report.distance_term + report.gradient_term
    assert (report.loss - report.optimal_loss <= bounds * (1 + 1e-9)).all()
    assert np.isfinite(bounds).all()


# ---- the inner learners with a matrix


@on_both_kinds
def test_a_matrix_of_strengths(kind):
    X, y, _ = make(kind)
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    alpha = root @ root.T + 0.1 * np.eye(4)
    model = (BiasedRidge if kind == "regressor" else BiasedLogisticRegression)(alpha)
    model.fit(X, y)
    theta = np.r_[np.ravel(model.coef_), model.intercept_]
    design = np.c_[X, np.ones(len(X))]
    if kind == "regressor":
        expected = np.linalg.solve(design.T @ design + alpha, design.T @ y)
        assert_allclose(theta, expected, rtol=1e-8)
    probability = 1 / (1 + np.exp(-design @ theta))
    residual = design @ theta - y if kind == "regressor" else probability - y
    assert_allclose(design.T @ residual + alpha @ theta, 0.0, atol=1e-8)
    with_diagonal = clone(model).set_params(alpha=np.diag([1.0, 2.0, 3.0, 4.0]))
    with_vector = clone(model).set_params(alpha=[1.0, 2.0, 3.0, 4.0])
    assert_allclose(with_diagonal.fit(X, y).coef_, with_vector.fit(X, y).coef_)


@pytest.mark.parametrize("kind, n_classes", [("regressor", 0), ("classifier", 3)])
@on_both
def test_adapted_estimators_can_be_fitted_again_and_go_on(kind, n_classes, covariance):
    extra = {"n_classes": n_classes} if n_classes else {}
    X, y, tasks = make(kind, n_tasks=40, **extra)
    model = meta(kind, covariance).fit(X, y, tasks=tasks)
    start = {"coef_init": model.coef_, "intercept_init": model.intercept_}
    some = np.isin(tasks, tasks[:8])  # hold all classes
    adapted = model.adapt(X[some], y[some])
    again = clone(adapted).fit(X[some], y[some], **start)
    assert_allclose(again.coef_, adapted.coef_, rtol=1e-6)
    if not n_classes:
        assert again.noise == model._state.algorithm.noise(model._state)
    adapted = model.adapt(X[:8], y[:8])
    parts = model.adapt(X[:3], y[:3]).partial_fit(X[3:8], y[3:8])
    assert_allclose(parts.coef_, adapted.coef_, rtol=1e-6)
    assert_allclose(parts.intercept_, adapted.intercept_, rtol=1e-6)


@pytest.mark.parametrize(
    "alpha, message",
    [
        (-np.eye(3), "positive definite"),
        (np.zeros((3, 3)), "positive definite"),
        ([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]], "positive definite"),
        ([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], "symmetric"),
        (np.eye(2), "shape"),
        (np.full((3, 3), np.nan), "finite"),
    ],
)
def test_bad_matrices_are_named(alpha, message):
    with pytest.raises(
        ValueError, match=f"'alpha' parameter of BiasedRidge.*{message}"
    ):
        BiasedRidge(alpha).fit([[1.0, 2.0]], [1.0])


def test_spread_of_predictions_of_ridge(global_random_seed):
    """Against the textbook formula; it shrinks with the rows seen."""
    rng = np.random.default_rng(global_random_seed)
    X, y, x = rng.normal(size=(6, 2)), rng.normal(size=6), rng.normal(size=(3, 2))
    model = BiasedRidge(0.5, noise=0.3).fit(X, y)
    design, rows = np.c_[X, np.ones(6)], np.c_[x, np.ones(3)]
    C = np.linalg.inv(design.T @ design + 0.5 * np.eye(3))
    expected = np.sqrt(0.3 + 0.3 * np.diag(rows @ C @ rows.T))
    assert_allclose(model.predict(x, return_std=True)[1], expected)
    model.partial_fit(x, y[:3])
    assert (model.predict(x, return_std=True)[1] < expected).all()


# ---- errors


def test_learners_that_take_steps_are_refused():
    model = FMRLRegressor(OGDRegressor(), step_size="empirical_bayes")
    with pytest.raises(ValueError, match=r"OGDRegressor does not: use.*BiasedRidge"):
        model.fit([[0.0], [1.0]], [0.0, 1.0])


def test_too_many_features_are_refused():
    model = FMRLRegressor(BiasedRidge(), step_size="empirical_bayes")
    X = sp.csr_matrix((2, 6000))
    with pytest.raises(ValueError, match=r"matrices of 6001 x 6001.*per_coordinate"):
        model.fit(X, [0.0, 1.0])
    assert not hasattr(model, "coef_")


def test_spreads_that_are_not_known_are_refused():
    X, y, tasks = make("regressor")
    model = FMRLRegressor(OGDRegressor()).fit(X, y, tasks=tasks)
    with pytest.raises(ValueError, match="step_size='empirical_bayes'"):
        model.predict(X, return_std=True)
    with pytest.raises(ValueError, match="parameter noise"):
        BiasedRidge().fit(X, y).predict(X, return_std=True)
    model = meta("regressor").fit(X, y, tasks=tasks)
    with pytest.raises(ValueError, match=r"Task 0 is known.*adapt"):
        model.predict(X, tasks=tasks, return_std=True)
    unknown = model.predict(X, tasks="unknown", return_std=True)
    assert_allclose(unknown, model.predict(X, return_std=True), rtol=1e-9)


@pytest.mark.parametrize("size", [1, 2])
def test_numbers_too_large_to_square_change_nothing(size):
    X, y, tasks = make("regressor")
    model = meta("regressor", meta_batch_size=size).fit(X, y, tasks=tasks)
    before = model._state.rule.copy()
    with pytest.raises(ValueError, match="non-finite|diverge|not finite|scale"):
        model.partial_fit(1e200 * X[:5], y[:5])
    assert_array_equal(model._state.rule, before)
