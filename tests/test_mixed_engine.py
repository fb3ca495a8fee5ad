"""The engine of the mixed-effects models against slow dense formulas."""

from __future__ import annotations

import pickle
import threading
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from skmeta._mixed._likelihood import Problem, evaluate
from skmeta._mixed._options import Options
from skmeta._mixed._prior import choose, improve
from skmeta._mixed._search import Search, start
from skmeta._mixed._statistics import summarize
from skmeta._mixed._stream import Learned

DEFAULTS = Options()


class Batch(NamedTuple):
    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray | None
    starts: np.ndarray
    order: np.ndarray | None


class Data(NamedTuple):
    """Rows, the task of each, and weights."""

    X: np.ndarray
    y: np.ndarray
    tasks: np.ndarray
    weight: np.ndarray


def make_data(
    seed=0, n_tasks=12, n_features=3, rows=(2, 9), weighted=True, between=0.0
) -> Data:
    rng = np.random.default_rng(seed)
    tasks = np.repeat(np.arange(n_tasks), rng.integers(*rows, n_tasks))
    center = rng.normal(size=(n_tasks, n_features))
    X = rng.normal(size=(len(tasks), n_features)) + center[tasks]
    X = X * 10.0 ** rng.uniform(-2, 2, n_features) + 5.0
    theta = rng.normal(size=(n_tasks, n_features + 1)) @ np.diag(
        np.append(0.5 * rng.random(n_features), 1.0)
    )
    theta[:, -1] += between * center.sum(1)
    Z = np.column_stack([(X - X.mean(0)) / X.std(0), np.ones(len(X))])
    y = 50 + 7 * ((Z * (theta[tasks] + 1.0)).sum(1) + 0.4 * rng.normal(size=len(X)))
    weight = rng.uniform(0.3, 3.0, len(X)) if weighted else np.ones(len(X))
    return Data(X, y, tasks, weight)


def make_batch(data: Data, rows: Any = slice(None)) -> tuple[Batch, list[int]]:
    X, y, tasks, weight = (part[rows] for part in data)
    names, first = np.unique(tasks, return_index=True)
    names = names[np.argsort(first)]  # in order of appearance
    place = {name: i for i, name in enumerate(names.tolist())}
    codes = np.array([place[task] for task in tasks.tolist()])
    starts = np.append(0, np.cumsum(np.bincount(codes))).astype(np.intp)
    order = np.argsort(codes, kind="stable")[np.newaxis]
    return Batch(np.ascontiguousarray(X), y, weight, starts, order), names.tolist()


def fit(data: Data, options: Options = DEFAULTS) -> Learned:
    batch, names = make_batch(data)
    taken, bad = Learned(data.X.shape[1]).taken(batch, names, options)
    assert not bad
    return taken.refreshed(options, fully=True)


def make_problem(data: Data, between: bool, options: Options = DEFAULTS) -> Problem:
    batch, names = make_batch(data)
    taken, _ = Learned(data.X.shape[1]).taken(batch, names, options)
    records = taken.store.held()
    table = summarize(
        taken.store.factors(records),
        taken.store.n_rows(records),
        np.ones(len(records)),
        None,
        options,
    )
    return Problem(table, options, between=between)


# ---- the same in dense matrices


class Dense:
    """Rows in the units of a problem, with covariances of all targets."""

    def __init__(self, data: Data, problem: Problem):
        X, y, tasks, weight = data
        mean = np.average(X, axis=0, weights=weight)
        spread = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
        self.Z = np.column_stack([(X - mean) / spread, np.ones(len(X))])
        self.center, self.scale = np.average(y, weights=weight), None
        self.scale = np.sqrt(np.average((y - self.center) ** 2, weights=weight))
        self.y = (y - self.center) / self.scale
        self.tasks, self.weight = tasks, weight
        labels = np.unique(tasks)
        means = np.array(
            [
                np.average(self.Z[tasks == t, :-1], axis=0, weights=weight[tasks == t])
                for t in labels
            ]
        )
        self.means = means - means.mean(0)
        level = self.means / means.std(0) if problem.q else self.means[:, :0]
        self.level = level[np.searchsorted(labels, tasks)]

    def covariance(self, S, v, tau):
        same = self.tasks[:, np.newaxis] == self.tasks
        V = same * (self.Z @ S @ self.Z.T) + np.diag(v / self.weight)
        return V + tau * self.level @ self.level.T

    def log_likelihood(self, S, v, tau):
        V = self.covariance(S, v, tau)
        inverse = np.linalg.inv(V)
        information = self.Z.T @ inverse @ self.Z
        P = inverse - inverse @ self.Z @ np.linalg.solve(
            information, self.Z.T @ inverse
        )
        log_dets = np.linalg.slogdet(V)[1] + np.log(self.weight).sum()
        log_dets += np.linalg.slogdet(information)[1]
        return -0.5 * (log_dets + self.y @ P @ self.y)


def random_point(rng, p, support=None):
    root = 0.3 * rng.normal(size=(p, p))
    S = root @ root.T
    if support is not None:
        S = S * np.outer(support, support)
    return S, float(rng.uniform(0.05, 0.5)), float(rng.uniform(0.02, 0.3))


@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("rows", [(1, 4), (2, 12)], ids=["short", "long"])
def test_likelihood_is_the_dense_one(between, rows):
    data = make_data(1, rows=rows)
    problem = make_problem(data, between)
    dense, rng = Dense(data, problem), np.random.default_rng(0)
    for _ in range(3):
        point = random_point(rng, problem.p)
        now = evaluate(problem, *point, np.zeros(problem.p + problem.q), diagonal=False)
        assert now is not None
        assert now.log_likelihood == pytest.approx(
            dense.log_likelihood(*point), rel=1e-7, abs=1e-6
        )


@pytest.mark.parametrize("between", [False, True])
def test_gradients_are_those_of_the_likelihood(between):
    data = make_data(2)
    problem, rng = make_problem(data, between), np.random.default_rng(1)
    p, beta = problem.p, np.zeros(problem.p + problem.q)
    S, v, tau = random_point(rng, p)

    def value(S, v, tau):
        return evaluate(problem, S, v, tau, beta, diagonal=False).log_likelihood

    now = evaluate(problem, S, v, tau, beta, diagonal=False)
    h = 1e-5
    for i in range(p):
        for j in range(i + 1):
            D = np.zeros((p, p))
            D[i, j] = D[j, i] = h
            slope = (value(S + D, v, tau) - value(S - D, v, tau)) / (2 * h)
            expected = now.gradient[i, j] * (0.5 if i == j else 1.0)
            assert slope == pytest.approx(expected, rel=1e-4, abs=1e-4)
    slope = (value(S, v + h, tau) - value(S, v - h, tau)) / (2 * h)
    assert slope == pytest.approx(now.noise_gradient, rel=1e-4, abs=1e-3)
    if between:
        up, down = np.exp(h), np.exp(-h)
        slope = (value(S, v, tau * up) - value(S, v, tau * down)) / (2 * h)
        promised = now.tau_gain / np.log(now.next_tau / tau)
        assert slope == pytest.approx(promised, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("between", [False, True])
def test_coefficients_and_covariances_are_those_of_conditioning(between):
    """Of known tasks, of tasks never seen, and of those that `adapt` is for."""
    data = make_data(3, n_tasks=25, rows=(3, 9), between=2.0 * between)
    problem = make_problem(data, between)
    learned = fit(data, Options(covariance="full", between=between))
    prior = learned.prior
    assert prior.has_levels == between
    dense, p = Dense(data, problem), problem.p
    # theta of task t: (phi, gamma) flat and N(0, tau), theta_t about their line
    V = dense.covariance(prior.S, prior.v, prior.tau)
    inverse = np.linalg.inv(V)
    fixed = dense.Z
    information = fixed.T @ inverse @ fixed
    Q = np.linalg.solve(information, fixed.T @ inverse)
    phi = Q @ dense.y
    P = inverse @ (np.eye(len(V)) - fixed @ Q)
    spread = dense.level.std(0) if between else None
    for t in (0, 7):
        rows = dense.tasks == t
        m = dense.level[rows][0]
        # covariance of theta_t - phi with the targets
        cross = np.zeros((p, len(V)))
        cross[:, rows] = prior.S @ dense.Z[rows].T
        cross[-1] += prior.tau * m @ dense.level.T
        theta = phi + cross @ P @ dense.y
        own = prior.S.copy()
        own[-1, -1] += prior.tau * m @ m
        J = np.eye(p) - cross @ inverse @ fixed
        C = own - cross @ inverse @ cross.T + J @ np.linalg.inv(information) @ J.T
        raw = to_raw(theta, data, dense)
        got = learned.known_parameters(np.array([t, 3]))[0, 0]
        np.testing.assert_allclose(got, raw, rtol=1e-6, atol=1e-6 * abs(raw).max())
        X = data.X[rows][:2] * 1.1
        b = in_units(X, data)
        std = np.sqrt(np.einsum("ij,jk,ik->i", b, C, b) + prior.v) * dense.scale
        np.testing.assert_allclose(learned.std(X, np.full(2, t)), std, rtol=1e-6)
    assert spread is None or (spread > 0).all()


def in_units(X, data):
    mean = np.average(data.X, axis=0, weights=data.weight)
    spread = np.sqrt(np.average((data.X - mean) ** 2, axis=0, weights=data.weight))
    return np.column_stack([(X - mean) / spread, np.ones(len(X))])


def to_raw(theta, data, dense):
    mean = np.average(data.X, axis=0, weights=data.weight)
    spread = np.sqrt(np.average((data.X - mean) ** 2, axis=0, weights=data.weight))
    slopes = theta[:-1] / spread * dense.scale
    level = theta[-1] * dense.scale + dense.center - slopes @ mean
    return np.append(slopes, level)


@pytest.mark.parametrize("k", [1, 3, 20])
def test_new_tasks_with_levels(k):
    """Means of features are regressed to those of tasks, as far as rows show them."""
    data = make_data(4, n_tasks=40, rows=(4, 9), between=2.0)
    learned = fit(data, Options(covariance="diagonal"))
    prior, p = learned.prior, data.X.shape[1] + 1
    assert prior.has_levels
    rng = np.random.default_rng(0)
    X, y = data.X[rng.permutation(len(data.X))[:k]], rng.normal(50, 7, k)
    batch = Batch(X, y, None, np.array([0, k]), None)
    got = learned.adapted(batch)
    b = in_units(X, data)
    seen = prior.between @ np.linalg.inv(prior.between + prior.within / k)
    m = seen @ (b[:, :-1].mean(0) - prior.center)
    unknown = prior.between - seen @ prior.between
    mean, covariance = prior.phi.copy(), prior.S.copy()
    mean[-1] += prior.gamma @ m
    Z = np.zeros((p, 2 * p - 1))
    Z[:, :p], Z[-1, p:] = np.eye(p), m
    covariance += Z @ prior.V @ Z.T
    covariance[-1, -1] += prior.gamma @ unknown @ prior.gamma
    covariance[-1, -1] += np.trace(prior.V[p:, p:] @ unknown)
    dense = Dense(data, make_problem(data, True))
    np.testing.assert_allclose(got.mean, to_raw(mean, data, dense), rtol=1e-6)
    rows = np.column_stack([X, np.ones(k)])
    np.testing.assert_allclose(
        rows @ got.covariance @ rows.T,
        b @ covariance @ b.T * dense.scale**2,
        rtol=1e-6,
    )
    # the posterior by conditioning
    after = learned.adapted_posterior(batch)
    M = rows @ got.covariance @ rows.T + got.noise * np.eye(k)
    gain = np.linalg.solve(M, rows @ got.covariance).T
    expected = got.mean + gain @ (y - rows @ got.mean)
    np.testing.assert_allclose(rows @ after.mean, rows @ expected, rtol=1e-6)
    # a row of a task never seen tells of its own task alone
    if k == 1:
        weight = prior.mean_weight
        seen = prior.between @ np.linalg.inv(prior.between + prior.within / weight)
        line = prior.phi + np.append(
            seen.T @ prior.gamma, -prior.center @ seen.T @ prior.gamma
        )
        raw = to_raw(line, data, dense)
        np.testing.assert_allclose(learned.shared[0], raw, rtol=1e-6)


def test_full_fit_is_a_maximum():
    data = make_data(5, n_tasks=30, n_features=2, rows=(4, 9))
    options = Options(covariance="full", between=False, tol=1e-8)
    learned = fit(data, options)
    problem = make_problem(data, False, options)
    p, nu = problem.p, float(problem.p)
    beta, index = np.zeros(p), np.tril_indices(p)

    def loss(x):
        root = np.zeros((p, p))
        root[index] = x[:-1]
        S = root @ root.T
        now = evaluate(problem, S, np.exp(x[-1]), 1.0, beta, diagonal=False)
        log_det = np.linalg.slogdet(S)[1] - np.log(np.diag(S)).sum()
        return -now.log_likelihood - 0.5 * nu * log_det

    x = np.append(np.linalg.cholesky(np.diag(np.full(p, 0.2)))[index], np.log(0.1))
    best = minimize(loss, x, method="BFGS", options={"gtol": 1e-6})
    search = Search(problem, nu, 1e-8)
    prior = learned.prior
    search.run((prior.S, prior.v, 1.0), beta, 1)
    assert search.value == pytest.approx(-best.fun, abs=1e-5)
    assert prior.v == pytest.approx(np.exp(best.x[-1]), rel=1e-2)


@pytest.mark.parametrize("seed", range(4))
def test_full_is_never_below_diagonal(seed):
    data = make_data(seed, n_tasks=15, n_features=4, rows=(2, 7))
    problem = make_problem(data, False)
    tables = problem.table
    diagonal = choose(tables, Options(covariance="diagonal", between=False)).prior
    full = choose(tables, Options(covariance="full", between=False)).prior
    search = Search(problem, full.nu, 1e-4)
    search.run((full.S, full.v, 1.0), np.zeros(problem.p), 1)
    other = Search(problem, np.inf, 1e-4)
    other.run((diagonal.S, diagonal.v, 1.0), np.zeros(problem.p), 1)
    assert search.value >= other.value - 1e-8


def test_many_coefficients_reach_the_same_maximum(monkeypatch):
    """The step for many coefficients, and that for few, agree where both work."""
    data = make_data(6, n_tasks=60, n_features=4, rows=(6, 15))
    options = Options(covariance="full", between=False, tol=1e-7, max_iter=300)
    few = fit(data, options)
    monkeypatch.setattr("skmeta._mixed._steps.LARGEST_SYSTEM", 1)
    many = fit(data, options)
    assert many.log_likelihood == pytest.approx(few.log_likelihood, abs=1e-2)
    np.testing.assert_allclose(many.prior.S, few.prior.S, atol=0.02)


# ---- what must not matter


def assert_same(a: Learned, b: Learned, data: Data, tol: float) -> None:
    scale, labels = data.y.std(), np.unique(data.tasks).tolist()
    X, tasks = data.X, data.tasks.tolist()
    for learned in (a, b):
        assert sorted(learned.labels()) == labels
    lines = [m.known_parameters(m.numbers(tasks))[:, 0] for m in (a, b)]
    lines += [np.broadcast_to(m.shared[0], lines[0].shape) for m in (a, b)]
    values = [(X * line[:, :-1]).sum(1) + line[:, -1] for line in lines]
    assert abs(values[0] - values[1]).max() < tol * scale
    assert abs(values[2] - values[3]).max() < tol * scale
    stds = [m.std(X, m.numbers(tasks)) for m in (a, b)]
    np.testing.assert_allclose(stds[0], stds[1], rtol=tol)
    np.testing.assert_allclose(a.std(X), b.std(X), rtol=tol)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n_features=st.integers(1, 4),
    longest=st.integers(2, 12),
    share=st.floats(0.02, 0.5),
    labels_per_call=st.booleans(),
)
def test_partition_does_not_matter(seed, n_features, longest, share, labels_per_call):
    """However rows are cut into calls and ordered, `refreshed` ends where fit does."""
    data = make_data(seed, 15, n_features, (1, longest + 1))
    rng, n, options = np.random.default_rng(seed), len(data.y), Options()
    rows = rng.permutation(n)
    if labels_per_call:
        pieces = [rows[data.tasks[rows] == t] for t in rng.permutation(15)]
    else:
        cuts = np.flatnonzero(rng.random(n) < share)
        pieces = np.split(rows, cuts[cuts > 0])
    learned = Learned(n_features)
    for piece in pieces:
        batch, names = make_batch(data, piece)
        learned, bad = learned.taken(batch, names, options)
        assert not bad
        if learned.is_due(options):
            learned = learned.refreshed(options, fully=False)
    assert learned.n_tasks_seen == 15
    assert len(learned.history) == sum(
        len(np.unique(data.tasks[piece])) for piece in pieces
    )
    learned = learned.refreshed(options, fully=True)
    assert_same(learned, fit(data, options), data, 1e-6)


@pytest.mark.parametrize("covariance", ["auto", "full"])
def test_units_and_weights_do_not_matter(covariance):
    data, options = make_data(7, n_tasks=30), Options(covariance=covariance)
    base = fit(data, options)
    factor, shift = np.array([1e-3, 40.0, 1e5]), np.array([0.0, 1e4, -1e8])
    moved = data._replace(X=data.X * factor + shift, y=3 * data.y - 1e5)
    other = fit(moved, options)
    np.testing.assert_allclose(
        other.within[0, :-1] * factor, 3 * base.within[0, :-1], rtol=1e-6
    )
    np.testing.assert_allclose(other.std(moved.X), 3 * base.std(data.X), rtol=1e-6)
    assert other.noise_variance == pytest.approx(9 * base.noise_variance, rel=1e-6)
    heavy = fit(data._replace(weight=1e-5 * data.weight), options)
    np.testing.assert_allclose(heavy.within, base.within, rtol=1e-6)
    np.testing.assert_allclose(heavy.covariance, base.covariance, rtol=1e-5, atol=1e-9)
    assert heavy.noise_variance == pytest.approx(1e-5 * base.noise_variance, rel=1e-6)


def test_log_likelihood_is_that_of_the_data():
    """With all constants; statsmodels leaves out log det X'X / 2, lme4 too."""
    data = make_data(8, weighted=False)
    learned = fit(data, Options(covariance="diagonal", between=False))
    dense = Dense(data, make_problem(data, False))
    prior, (n, p) = learned.prior, dense.Z.shape
    expected = dense.log_likelihood(prior.S, prior.v, 0.0)
    expected += 0.5 * np.linalg.slogdet(dense.Z.T @ dense.Z)[1]
    expected -= (n - p) * (0.5 * np.log(2 * np.pi) + np.log(dense.scale))
    assert learned.log_likelihood == pytest.approx(expected, rel=1e-7)


def test_duplicated_and_constant_columns():
    data = make_data(9, n_tasks=30, weighted=False)
    base = fit(data, Options(covariance="diagonal", between=False))
    level = np.random.default_rng(0).normal(size=30)[data.tasks]
    wide = np.column_stack([data.X, data.X[:, 0], np.full(len(data.y), 1.7e9), level])
    learned = fit(data._replace(X=wide), Options())
    theta = learned.known_parameters(None)[:, 0]
    assert np.isfinite(theta).all() and np.isfinite(learned.std(wide)).all()
    assert (theta[:, -3] == 0).all()  # the slope of a constant
    assert (theta[:, -2] == theta[0, -2]).all()  # constant in tasks: no differences
    values = wide @ learned.shared[0, :-1] + learned.shared[0, -1]
    others = data.X @ base.shared[0, :-1] + base.shared[0, -1]
    assert abs(values - others).max() < data.y.std()


def test_dates_in_seconds_keep_their_digits():
    rng = np.random.default_rng(0)
    tasks = np.repeat(np.arange(30), 8)
    days = rng.uniform(0, 30, 240)
    y = 3 * days + rng.normal(size=30)[tasks] + 0.1 * rng.normal(size=240)
    near = Data(days[:, np.newaxis], y, tasks, np.ones(240))
    far = near._replace(X=near.X * 86400 + 1.7e9, y=y + 1e9)
    a, b = fit(near), fit(far)
    np.testing.assert_allclose(a.within[0, 0], b.within[0, 0] * 86400, rtol=1e-6)
    np.testing.assert_allclose(a.std(near.X), b.std(far.X), rtol=1e-4)


def test_small_noise_beside_features_constant_in_tasks():
    rng = np.random.default_rng(0)
    tasks = np.repeat(np.arange(40), 8)
    X = np.column_stack([rng.normal(size=320), rng.normal(size=40)[tasks]])
    level = rng.normal(size=40)[tasks]
    for noise in (1e-4, 1e-6):
        y = X @ [1.0, 2.0] + level + noise * rng.normal(size=320)
        data = Data(X, y, tasks, np.ones(320))
        learned = fit(data, Options(covariance="diagonal", between=False))
        assert np.sqrt(learned.noise_variance) == pytest.approx(noise, rel=0.15)


# ---- options


def test_random_effects_choose_what_varies():
    data = make_data(10, n_tasks=40)
    for chosen, expected in (("intercept", [3]), ((1,), [1, 3])):
        learned = fit(data, Options(random_effects=chosen, between=False))
        assert set(np.flatnonzero(np.diag(learned.prior.S))) <= set(expected)
        theta = learned.known_parameters(None)[:, 0]
        same = [j for j in range(3) if j not in expected]
        np.testing.assert_allclose(theta[:, same] - theta[0, same], 0, atol=1e-9)


def test_without_intercept():
    rng = np.random.default_rng(0)
    tasks = np.repeat(np.arange(40), 6)
    X = rng.normal(size=(240, 2)) + 3.0
    y = (X * (rng.normal(size=(40, 2)) + [1, -2])[tasks]).sum(1)
    y += 0.3 * rng.normal(size=240)
    data = Data(X, y, tasks, np.ones(240))
    learned = fit(data, Options(fit_intercept=False, covariance="full"))
    assert learned.shared[0, -1] == 0 and learned.within[0, -1] == 0
    assert (learned.known_parameters(None)[:, 0, -1] == 0).all()
    assert np.sqrt(learned.noise_variance) == pytest.approx(0.3, rel=0.2)
    same = tasks[:, np.newaxis] == tasks
    V = same * (X @ learned.covariance[:-1, :-1] @ X.T)
    V += learned.noise_variance * np.eye(240)
    inverse = np.linalg.inv(V)
    phi = np.linalg.solve(X.T @ inverse @ X, X.T @ inverse @ y)
    np.testing.assert_allclose(learned.within[0, :-1], phi, rtol=1e-6)
    errors = np.sqrt(np.diag(np.linalg.inv(X.T @ inverse @ X)))
    np.testing.assert_allclose(learned.std_errors[0, :-1], errors, rtol=1e-6)


def test_float32_is_read_as_it_is():
    data = make_data(11, n_tasks=20)
    rounded = data.X.astype(np.float32)
    assert_same(
        fit(data._replace(X=rounded)),
        fit(data._replace(X=rounded.astype(float))),
        data._replace(X=rounded.astype(float)),
        1e-8,
    )


# ---- what is not identified


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: make_data(0, n_tasks=1, rows=(20, 21)), "one task"),
        (lambda: make_data(0, n_tasks=80, rows=(1, 2)), "one row"),
        (lambda: make_data(0, n_tasks=4, n_features=6, rows=(2, 3)), "too few"),
    ],
)
def test_what_is_not_identified_is_said(make, words):
    data = make()
    learned = fit(data)
    assert any(words in note for note in learned.warnings)
    assert np.isfinite(learned.std(data.X)).all()
    assert np.isfinite(learned.known_parameters(None)).all()


def test_one_row_per_task_is_a_pooled_fit():
    data = make_data(0, n_tasks=80, rows=(1, 2))
    learned = fit(data, Options(between=False))
    assert not learned.covariance.any()
    rows = np.column_stack([data.X, np.ones(len(data.y))])
    root = np.sqrt(data.weight)
    pooled = np.linalg.lstsq(rows * root[:, None], data.y * root, rcond=None)[0]
    np.testing.assert_allclose(learned.within[0], pooled, rtol=1e-6)


@pytest.mark.parametrize("covariance", ["diagonal", "full", "auto"])
def test_noise_that_tends_to_zero_is_held_with_a_warning(covariance):
    rng = np.random.default_rng(0)
    tasks = np.repeat(np.arange(60), 2)
    X = rng.normal(size=(120, 4))
    y = (X * rng.normal(size=(60, 4))[tasks]).sum(1) + rng.normal(size=60)[tasks]
    data = Data(X, y, tasks, np.ones(120))
    learned = fit(data, Options(covariance=covariance))
    assert 1e-7 < learned.noise_variance < 1e-4
    assert np.isfinite(learned.std(X)).all()
    assert any("noise variance tends to zero" in note for note in learned.warnings)
    # with more rows than coefficients that vary, small noise is no matter
    few = fit(data._replace(y=X @ np.ones(4)), Options(random_effects="intercept"))
    assert few.noise_variance < 1e-10
    assert not any("too few" in note for note in few.warnings)


# ---- streams


def stream(data: Data, options: Options, order: Any, labels: bool = False) -> Learned:
    learned = Learned(data.X.shape[1])
    for t in order:
        batch, names = make_batch(data, data.tasks == t)
        learned, _ = learned.taken(batch, names if labels else None, options)
        if learned.is_due(options):
            learned = learned.refreshed(options, fully=False)
    return learned.refreshed(options, fully=False)


def test_frozen_tasks_keep_what_they_told():
    data = make_data(12, n_tasks=300, n_features=2, rows=(5, 9), weighted=False)
    options = Options(covariance="diagonal", window=64)
    reference = fit(data, options)
    learned = stream(data, options, np.random.default_rng(0).permutation(300))
    assert learned.store.n_held == 64
    assert learned.group.n_tasks == pytest.approx(300 - 64)
    off = abs(learned.within - reference.within) / reference.std_errors
    assert off.max() < 0.3
    assert learned.noise_variance == pytest.approx(reference.noise_variance, rel=0.05)
    assert learned.n_tasks_seen == 300 and not learned.labels()
    np.testing.assert_allclose(learned.std(data.X), reference.std(data.X), rtol=0.05)


@pytest.mark.parametrize(("first", "tol"), [(40, 1e-6), (20, 0.02)])
def test_group_of_equal_designs_is_exact(first, tol):
    """Of tasks with the same rows, the mean sampling covariance is everybody's.

    Groups that are merged were frozen under different noise variances.
    """
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(7, 2))
    n_tasks, n_frozen = 40, 25
    tasks, X = np.repeat(np.arange(n_tasks), 7), np.tile(rows, (n_tasks, 1))
    y = (X * rng.normal([1, 2], 0.5, (n_tasks, 2))[tasks]).sum(1)
    y += rng.normal(size=n_tasks)[tasks] + 0.3 * rng.normal(size=len(y))
    data = Data(X, y, tasks, np.ones(len(y)))
    options = Options(window=n_tasks - n_frozen, covariance="diagonal", between=False)
    learned, bad = Learned(2), []
    for part in (tasks < first, tasks >= first):
        if not part.any():
            continue
        batch, _ = make_batch(data, part)
        learned, bad = learned.taken(batch, None, options)
        learned = learned.refreshed(replace(options, covariance="full"), fully=True)
    assert not bad and learned.store.n_held == n_tasks - n_frozen
    whole = make_problem(data, False)
    records = learned.store.held()
    table = summarize(
        learned.store.factors(records),
        learned.store.n_rows(records),
        np.ones(len(records)),
        learned.group,
        options,
    )
    np.testing.assert_allclose(table.gram, whole.table.gram, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(table.within, whole.table.within, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(table.means_variance, 0, atol=1e-12)
    part, beta = Problem(table, options, between=False), np.zeros(3)
    v = learned.prior.v
    values, gradients, means = [], [], []
    for _ in range(3):
        S, _, tau = random_point(rng, 3)
        for problem in (whole, part):
            now = evaluate(problem, S, v, tau, beta, diagonal=False)
            values.append(now.log_likelihood)
            gradients.append(now.gradient)
            means.append(now.beta)
    steps = np.diff(values[::2]), np.diff(values[1::2])
    np.testing.assert_allclose(*steps, rtol=tol, atol=tol)
    for a, b in zip(gradients[::2], gradients[1::2], strict=True):
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol * abs(a).max())
    for a, b in zip(means[::2], means[1::2], strict=True):
        np.testing.assert_allclose(a, b, atol=tol)


def test_memory_of_a_stream_without_labels_is_constant():
    data = make_data(13, n_tasks=400, n_features=1, rows=(2, 5))
    options = Options(window=64, store_tasks=False, covariance="diagonal")
    learned = stream(data, options, range(400), labels=True)
    assert learned.store.memory.capacity < 400
    assert len(learned.history) == 400


def test_half_life_follows_a_change():
    rng = np.random.default_rng(0)
    tasks = np.repeat(np.arange(400), 5)
    X = rng.normal(size=(2000, 2))
    slope = np.where(tasks[:, np.newaxis] < 200, [1.0, -1.0], [-2.0, 2.0])
    y = (X * slope).sum(1) + rng.normal(size=400)[tasks] + 0.3 * rng.normal(size=2000)
    data = Data(X, y, tasks, np.ones(2000))
    options = Options(half_life=30.0, window=64, between=False, covariance="diagonal")
    for labels in (False, True):
        learned = stream(data, options, range(400), labels)
        np.testing.assert_allclose(learned.within[0, :2], [-2.0, 2.0], atol=0.15)


def test_half_life_weighs_by_visits():
    """A task counts by the visits since its rows came, as if by weights of tasks."""
    data = make_data(14, n_tasks=20, weighted=False)
    options = Options(half_life=10.0, between=False, covariance="diagonal")
    learned = fit(data, options)
    age = 19 - np.arange(20)
    om = 0.5 ** (age / 10.0)
    problem = make_problem(data, False)
    table = summarize(problem.table.factors, problem.table.n_rows, om, None, options)
    np.testing.assert_allclose(choose(table, options).prior.S, learned.prior.S)


def test_forgotten_tasks_are_gone():
    data, options = make_data(15, n_tasks=30), Options()
    learned = fit(data, options).forgot([3, 17])
    assert learned.numbers([3, 4, 17]).tolist()[::2] == [-1, -1]
    kept = ~np.isin(data.tasks, [3, 17])
    part = Data(*(field[kept] for field in data))
    assert_same(learned.refreshed(options, fully=True), fit(part, options), part, 1e-6)


def test_values_do_not_change_after_they_were_published():
    data, options = make_data(16, n_tasks=25, rows=(4, 9)), Options()
    half = np.arange(len(data.y)) % 2 == 0
    first = Data(*(field[half] for field in data))
    old = fit(first, options)
    labels = old.labels()
    before = old.known_parameters(None).copy()
    new = old
    for t in range(25):  # all return, in calls of their own; then a new one
        batch, names = make_batch(data, ~half & (data.tasks == t))
        new, _ = new.taken(batch, names, options)
    batch, _ = make_batch(data, data.tasks == 2)
    new, _ = new.taken(batch, ["new"], options)
    fresh = old.taken(batch, ["other"], options)[0]  # a second future of the old value
    assert old.labels() == labels and old.numbers(["new", "other"]).tolist() == [-1, -1]
    assert new.numbers(["new", "other"]).tolist() == [25, -1]
    assert fresh.numbers(["new", "other"]).tolist() == [-1, 25]
    rebuilt = pickle.loads(pickle.dumps(old, protocol=0))
    numbers = [value.history.numbers["n_samples"] for value in (rebuilt, old)]
    assert numbers[0].tolist() == numbers[1].tolist()
    np.testing.assert_array_equal(old.known_parameters(None), before)
    np.testing.assert_allclose(rebuilt.known_parameters(None), before, rtol=1e-12)
    assert rebuilt.labels() == labels
    assert_same(old.refreshed(options, fully=True), fit(first, options), first, 1e-12)
    whole = new.forgot(["new"]).refreshed(options, fully=True)
    assert_same(whole, fit(data, options), data, 1e-6)


def test_a_known_task_is_solved_with_its_new_rows_at_once():
    data, options = make_data(17, n_tasks=25, rows=(6, 12)), Options()
    rows = (data.tasks == 4) & (np.arange(len(data.y)) % 2 == 0)
    learned = fit(Data(*(field[~rows] for field in data)), options)
    batch, names = make_batch(data, rows)
    now, _ = learned.taken(batch, names, options)
    problem_data = Data(*(field[data.tasks == 4] for field in data))
    line = replace(learned.prior)  # the prior is as it was
    assert now.prior == line or now.predictor is learned.predictor
    got = now.known_parameters(now.numbers([4]))[0, 0]
    prior_of = learned.predictor
    whole, _ = make_batch(problem_data)
    factor = now.factor_of(whole)
    np.testing.assert_allclose(got, prior_of.solve(factor[np.newaxis])[0], rtol=1e-8)
    assert abs(got - learned.known_parameters(learned.numbers([4]))[0, 0]).max() > 1e-6


def test_bad_tasks_are_left_out_with_their_reason():
    data, options = make_data(18, n_tasks=10), Options()
    y = data.y.copy()
    y[data.tasks == 3] = np.nan
    y[np.flatnonzero(data.tasks == 5)[0]] = 1e200
    batch, names = make_batch(data._replace(y=y))
    learned, bad = Learned(3).taken(batch, names, options)
    assert [task.number for task in bad] == [3, 5]
    assert "not finite" in bad[0].reason and "squares overflow" in bad[1].reason
    assert learned.labels() == [t for t in range(10) if t not in (3, 5)]
    one, _ = make_batch(data._replace(X=data.X * np.nan), data.tasks == 2)
    same, bad = learned.taken(one, [2], options)
    assert same is learned and len(bad) == 1


def test_n_jobs_does_not_matter():
    data = make_data(19, n_tasks=50)
    a, b = (fit(data, Options(n_jobs=n)) for n in (None, 2))
    np.testing.assert_array_equal(a.within, b.within)
    np.testing.assert_array_equal(a.covariance, b.covariance)


def test_a_refresh_continues_from_the_last_estimates():
    data, options = make_data(20, n_tasks=80, between=1.0), Options()
    learned = fit(data, options)
    problem = make_problem(data, learned.prior.has_levels)
    again = improve(problem.table, options, learned.prior, 2).prior
    assert again.converged
    np.testing.assert_allclose(again.S, learned.prior.S, rtol=1e-9, atol=1e-12)
    (S, v, tau), beta = start(problem)
    assert v > 0 and tau > 0 and (np.diag(S)[problem.support] > 0).all()
    assert len(beta) == problem.p + problem.q


@pytest.mark.parametrize("seed", range(6))
def test_shapes_that_were_given_up_would_have_lost(seed, monkeypatch):
    between = (0.0, 0.3, 2.0)[seed % 3]
    data = make_data(seed, n_tasks=40, rows=(4, 9), between=between)
    chosen = fit(data).prior
    monkeypatch.setattr(Search, "_starts_without_prospect", lambda self: False)
    monkeypatch.setattr(Search, "_loses_levels", lambda self, step: False)
    exhaustive = fit(data).prior
    assert (chosen.nu, chosen.has_levels) == (exhaustive.nu, exhaustive.has_levels)
    np.testing.assert_array_equal(chosen.S, exhaustive.S)


def test_readers_see_the_value_they_hold():
    data, options = make_data(21, n_tasks=30, rows=(6, 12)), DEFAULTS
    learned = fit(data, options)
    numbers = np.arange(30)
    expected = fit(data, options).known_parameters(numbers)
    wrong, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            found = learned.known_parameters(numbers)
            if not np.array_equal(found, expected) or learned.numbers(["x"])[0] >= 0:
                wrong.append(found)
                return

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    new = learned
    for i in range(300):
        batch, names = make_batch(data, data.tasks == i % 30)
        new, _ = new.taken(batch, names if i % 3 else ["x"], options)
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong
    assert new.numbers(["x"]).tolist() == [30]


def test_nothing_is_left_when_all_was_forgotten():
    learned = fit(make_data(22, n_tasks=5))
    with pytest.raises(ValueError, match="all tasks were forgotten"):
        learned.forgot(range(5)).refreshed(DEFAULTS, fully=True)
    assert learned.forgot([]).labels() == learned.labels()
    with pytest.raises(ValueError, match="No task"):
        Learned(3).shared  # noqa: B018
