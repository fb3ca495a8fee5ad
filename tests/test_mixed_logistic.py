"""The classifier's posteriors, bounds and priors against slow formulas."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.special import expit

from skmeta._batch import Batch
from skmeta._kernels import _logistic_py, mixed
from skmeta._kernels.logistic import logistic_factors
from skmeta._labels import group_rows
from skmeta._mixed._classes import LearnedClasses, moderated
from skmeta._mixed._logistic import covariance_root
from skmeta._mixed._options import Options

NODES, SHARES = np.polynomial.hermite_e.hermegauss(60)
SHARES = SHARES / SHARES.sum()
OPTIONS = Options(covariance="diagonal", between=False, learn_noise=False)


def make_batch(
    rng, sizes, d, *, weighted=False, shuffled=False, dtype=np.float64, size=1.0
):
    starts = np.append(0, np.cumsum(sizes)).astype(np.intp)
    n = int(starts[-1])
    X = (rng.normal(size=(n, d)) * rng.uniform(0.5, 3, d) + 5).astype(dtype)
    scores = size * (X - 5) @ rng.normal(size=d)
    y = (rng.random(n) < expit(scores)).astype(float)
    weight = rng.uniform(0.5, 2, n) if weighted else None
    order = rng.permutation(n)[np.newaxis].astype(np.intp) if shuffled else None
    return Batch(X, y, weight, starts, order)


def kernel_arguments(rng, batch, *, n_held=0, root=None):
    """Those of `logistic_factors`, in units that are not those of the rows."""
    n_tasks, d = len(batch.starts) - 1, batch.X.shape[1]
    p, longest = d + 1, int(np.diff(batch.starts).max(initial=0))
    if root is None:
        root = np.diag(np.sqrt(rng.uniform(0, 1, p)))
    return [
        batch,
        rng.normal(size=(n_tasks, n_held, p + 1)) if n_held else None,
        np.full(p, 4.5),
        np.full(d, 0.5),
        np.full(d, 0.7),
        1.0,
        root,
        0.3 * rng.normal(size=(n_tasks, p)),
        np.zeros((n_tasks, p)),
        np.zeros(len(batch.y)),
        np.full((n_tasks, min(longest, p + 1), p + 1), 7.0),
    ]


def grams(factors):
    return factors.transpose(0, 2, 1) @ factors


# ---- the kernel


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n_tasks=st.integers(1, 6),
    longest=st.integers(0, 90),
    d=st.integers(1, 12),
    rank=st.integers(0, 13),
    n_held=st.integers(0, 3),
    weighted=st.booleans(),
    shuffled=st.booleans(),
    is_single=st.booleans(),
)
def test_compiled_kernel_equals_its_twin(
    seed, n_tasks, longest, d, rank, n_held, weighted, shuffled, is_single
):
    fast = pytest.importorskip("skmeta._kernels._logistic_fast").logistic_factors
    rng = np.random.default_rng(seed)
    batch = make_batch(
        rng,
        rng.integers(0, longest + 1, n_tasks),
        d,
        weighted=weighted,
        shuffled=shuffled,
        dtype=np.float32 if is_single else np.float64,
    )
    root = 0.5 * rng.normal(size=(d + 1, min(rank, d + 1)))
    slow = kernel_arguments(rng, batch, n_held=n_held, root=root)
    copies = [x.copy() if type(x) is np.ndarray else x for x in slow]
    values, n_steps = _logistic_py.logistic_factors(*slow)
    fast_values, fast_steps = fast(*copies)
    assert_allclose(fast_values, values, rtol=1e-8, atol=1e-8)
    assert np.abs(fast_steps - n_steps).max() <= 1
    assert_allclose(copies[8], slow[8], rtol=1e-4, atol=1e-4)
    assert_allclose(copies[9], slow[9], rtol=1e-3, atol=1e-4)
    scale = 1 + np.abs(grams(slow[10])).max()
    assert_allclose(grams(copies[10]) / scale, grams(slow[10]) / scale, atol=1e-4)


def test_expected_loss_is_that_of_normal_scores():
    mean, variance = [g.ravel() for g in np.mgrid[-8:8:9j, 0.01:9:7j]]
    z = mean[:, np.newaxis] + np.sqrt(variance)[:, np.newaxis] * NODES
    value, slope, curvature = _logistic_py.expected_loss(mean, variance)
    assert_allclose(value, np.logaddexp(0, z) @ SHARES, atol=4e-4)
    assert_allclose(slope, expit(z) @ SHARES, atol=2e-4)
    assert_allclose(curvature, (expit(z) * expit(-z)) @ SHARES, atol=1e-3)


def test_expected_loss_and_its_derivatives_agree():
    mean, variance = [g.ravel() for g in np.mgrid[-8:8:9j, 0.1:40:7j]]
    step = 1e-5

    def at(m, h):
        return _logistic_py.expected_loss(mean + m * step, variance + h * step)

    value, slope, curvature = at(0, 0)
    assert_allclose(slope, (at(1, 0)[0] - at(-1, 0)[0]) / (2 * step), atol=1e-8)
    assert_allclose(curvature, (at(1, 0)[1] - at(-1, 0)[1]) / (2 * step), atol=1e-8)
    by_variance = (at(0, 1)[0] - at(0, -1)[0]) / (2 * step)
    assert_allclose(0.5 * curvature, by_variance, atol=1e-8)


def test_no_normal_distribution_has_a_larger_bound():
    rng = np.random.default_rng(0)
    batch = make_batch(rng, [6], 1)
    arguments = kernel_arguments(rng, batch, root=np.array([[1.2, 0.0], [0.4, 0.9]]))
    values, _ = logistic_factors(*arguments)
    B = np.column_stack([(batch.X[:, 0] - 5) * 0.7, np.ones(6)])
    W, level = B @ arguments[6], B @ arguments[7][0]

    def minus_bound(x):
        half = np.array([[np.exp(x[2]), 0.0], [x[3], np.exp(x[4])]])
        mean, spread = level + W @ x[:2], ((W @ half) ** 2).sum(axis=1)
        sign = np.where(batch.y > 0.5, 1.0, -1.0)
        loss = _logistic_py.expected_loss(-sign * mean, spread)[0].sum()
        return loss + 0.5 * (x[:2] @ x[:2] + (half**2).sum() - 2) - x[2] - x[4]

    best = minimize(minus_bound, np.zeros(5), method="BFGS", options={"gtol": 1e-9})
    assert_allclose(values[0], best.fun, atol=1e-6)


def test_bound_is_close_below_the_likelihood():
    rng = np.random.default_rng(1)
    batch = make_batch(rng, [1, 2, 4, 8, 30], 1)
    grid = np.linspace(-9, 9, 1801)
    density = np.exp(-0.5 * grid**2) / np.exp(-0.5 * grid**2).sum()
    for spread in (0.3, 1.0, 3.0):
        root = np.array([[0.0], [spread]])
        arguments = kernel_arguments(rng, batch, root=root)
        values, _ = logistic_factors(*arguments)
        for t in range(5):
            rows = slice(batch.starts[t], batch.starts[t + 1])
            x = (batch.X[rows, 0] - 5) * 0.7
            line = arguments[7][t]
            z = (line[0] * x + line[1])[:, np.newaxis] + spread * grid
            y = batch.y[rows, np.newaxis]
            by_point = (y * z - np.logaddexp(0, z)).sum(axis=0)
            exact = np.log(np.exp(by_point) @ density)
            # the mixture of normal distribution functions is off by 1e-4 a row
            assert -1.5e-4 * len(x) < exact + values[t] < 0.03


def test_derivatives_of_the_bound_are_those_of_the_factors():
    rng = np.random.default_rng(2)
    batch = make_batch(rng, [9, 14, 3], 2)
    S = np.diag([0.5, 1.5, 0.8])
    step = 1e-4

    def run(S, shift=0.0):
        arguments = kernel_arguments(
            np.random.default_rng(3), batch, root=covariance_root(S)
        )
        arguments[7][:, 1] += shift
        for _ in range(4):  # from where it ended: to the last digits
            values, _ = logistic_factors(*arguments)
        return values, arguments

    _, arguments = run(S)
    factors, lines = arguments[10], arguments[7]
    for t in range(3):
        R = factors[t]
        L = R[:, :-1].copy()
        L[:, :-1] = (L[:, :-1] - L[:, -1:] * 0.5) * 0.7
        M = L @ S @ L.T + np.eye(len(L))
        Y = np.linalg.solve(M, L)
        s, H = Y.T @ (R[:, -1] - L @ lines[t]), L.T @ Y
        for j in range(3):
            change = np.zeros((3, 3))
            change[j, j] = step
            numeric = -(run(S + change)[0] - run(S - change)[0])[t] / (2 * step)
            assert_allclose(0.5 * (s[j] ** 2 - H[j, j]), numeric, atol=2e-3)
        numeric = -(run(S, step)[0] - run(S, -step)[0])[t] / (2 * step)
        assert_allclose(s[1], numeric, atol=2e-3)


def test_held_rows_replace_rows():
    """The quadratic of some rows, and the others, give nearly the posterior of all."""
    rng = np.random.default_rng(4)
    batch = make_batch(rng, [60], 2, size=0.3)
    root = np.diag([0.5, 0.5, 0.5])
    whole = kernel_arguments(np.random.default_rng(5), batch, root=root)
    logistic_factors(*whole)
    first = batch._replace(starts=np.array([0, 30], dtype=np.intp))
    half = kernel_arguments(np.random.default_rng(5), first, root=root)
    logistic_factors(*half)
    last = batch._replace(starts=np.array([30, 60], dtype=np.intp))
    rest = kernel_arguments(np.random.default_rng(5), last, root=root)
    rest[1] = half[10]
    logistic_factors(*rest)
    assert_allclose(rest[8], whole[8], atol=0.03)


def test_rows_that_are_certain_stay_finite():
    rng = np.random.default_rng(6)
    batch = make_batch(rng, [40, 40], 3, size=1e4)
    one_class = batch._replace(y=np.ones(80))
    for data in (batch, one_class):
        for width in (1.0, 1e3):
            arguments = kernel_arguments(rng, data, root=width * np.eye(4))
            values, _ = logistic_factors(*arguments)
            assert np.isfinite(values).all()
            assert np.isfinite(arguments[8]).all() and np.isfinite(arguments[10]).all()


def test_rows_that_are_not_finite_show():
    rng = np.random.default_rng(7)
    batch = make_batch(rng, [5, 5], 2)
    batch.X[1, 0] = np.nan
    arguments = kernel_arguments(rng, batch)
    values, _ = logistic_factors(*arguments)
    assert np.isnan(values[0]) and np.isnan(arguments[10][0]).all()
    assert np.isfinite(values[1]) and np.isfinite(arguments[10][1]).all()


@pytest.mark.parametrize("number", [2, 3, 4, 7, 8, 9, 10])
def test_wrong_shapes_are_errors(number):
    fast = pytest.importorskip("skmeta._kernels._logistic_fast").logistic_factors
    rng = np.random.default_rng(8)
    arguments = kernel_arguments(rng, make_batch(rng, [5, 5], 2))
    shape = [n + 1 for n in arguments[number].shape]
    arguments[number] = np.zeros(shape)
    with pytest.raises(ValueError, match="must have shape"):
        fast(*arguments)


def test_too_few_rows_of_factors_are_an_error():
    fast = pytest.importorskip("skmeta._kernels._logistic_fast").logistic_factors
    rng = np.random.default_rng(9)
    arguments = kernel_arguments(rng, make_batch(rng, [5, 5], 2))
    arguments[10] = np.zeros((2, 3, 4))
    with pytest.raises(ValueError, match="factors must have 4 rows"):
        fast(*arguments)


def test_steps_do_not_grow_with_the_rows():
    rng = np.random.default_rng(10)
    slopes = rng.normal(size=5)
    for n in (100, 16_000):
        X = rng.normal(size=(n, 5))
        y = (rng.random(n) < expit(X @ slopes)).astype(float)
        batch = Batch(X, y, None, np.array([0, n], dtype=np.intp), None)
        arguments = kernel_arguments(rng, batch, root=np.eye(6))
        _, n_steps = logistic_factors(*arguments)
        assert n_steps[0] <= 12


@pytest.mark.parametrize("is_full", [False, True])
def test_covariance_root(is_full):
    S = np.diag([1e-6, 0.0, 4e6])
    if is_full:
        S[0, 2] = S[2, 0] = 1.2
    root = covariance_root(S)
    assert root.shape == (3, 2)
    assert_allclose(root @ root.T, S, rtol=1e-12, atol=1e-14)


# ---- what is learned


def simulate(rng, n_tasks, sizes, phi, spread):
    """X, classes 0 and 1 and labels; features first, the level last."""
    X, y, labels = [], [], []
    for t in range(n_tasks):
        n = int(rng.integers(*sizes))
        theta = phi + spread * rng.normal(size=len(phi))
        x = rng.normal(size=(n, len(phi) - 1))
        X.append(x)
        y.append((rng.random(n) < expit(x @ theta[:-1] + theta[-1])) * 1.0)
        labels += [t] * n
    return np.vstack(X), np.concatenate(y), np.array(labels)


def as_batch(X, y, labels, weight=None):
    names, starts, order = group_rows(labels, len(y))
    X = np.ascontiguousarray(X, dtype=np.float64)
    return Batch(X, y.astype(float), weight, starts, order), names


def learn(X, y, labels, options=OPTIONS, weight=None):
    batch, names = as_batch(X, y, labels, weight)
    empty = LearnedClasses(X.shape[1], int(y.max()) + 1)
    new, bad = empty.taken(batch, names, options)
    assert not bad
    return new.refreshed(options, fully=True)


def log_loss(learned, X, y, labels):
    numbers = None if labels is None else learned.numbers(labels.tolist())
    P = learned.probabilities(X, numbers)
    return -np.log(P[np.arange(len(y)), y.astype(int)]).mean()


@pytest.mark.parametrize("size", [(4, 5), (20, 40)])
def test_known_prior_is_recovered(size):
    rng = np.random.default_rng(11)
    phi, spread = np.array([1.0, -0.5, 0.5]), np.array([0.0, 0.8, 1.2])
    learned = learn(*simulate(rng, 500, size, phi, spread))
    S = np.diag(learned.covariance[0])
    assert_allclose(learned.within[0], phi, atol=0.25)
    assert S[0] < 0.1
    assert_allclose(S[1:], spread[1:] ** 2, rtol=0.35)


def test_random_intercept_is_that_of_the_exact_likelihood():
    rng = np.random.default_rng(12)
    X, y, labels = simulate(rng, 150, (4, 9), np.array([0.7, -1.0]), np.array([0, 1.5]))
    options = Options(
        "diagonal", random_effects="intercept", between=False, learn_noise=False
    )
    learned = learn(X, y, labels, options)

    def minus_log_likelihood(x):
        z = (X[:, 0] * x[0] + x[1])[:, np.newaxis] + np.exp(x[2]) * NODES
        by_row = y[:, np.newaxis] * z - np.logaddexp(0, z)
        by_task = np.zeros((150, len(NODES)))
        np.add.at(by_task, labels, by_row)
        return -np.log(np.exp(by_task) @ SHARES).sum()

    best = minimize(minus_log_likelihood, [0.0, 0.0, 0.0], method="BFGS").x
    deviations = (learned.within[0] - best[:2]) / learned.std_errors[0]
    assert np.abs(deviations).max() < 0.5
    assert_allclose(learned.covariance[0][1, 1], np.exp(2 * best[2]), rtol=0.25)


def test_separable_tasks_have_finite_priors():
    rng = np.random.default_rng(13)
    X, y, labels = simulate(rng, 60, (8, 15), np.zeros(3), np.full(3, 30.0))
    learned = learn(X, y, labels)
    S = np.diag(learned.covariance[0])
    assert (S > 1).all() and (S < 2000).all()
    assert log_loss(learned, X, y, labels) < 0.2
    # and rows that one plane separates
    learned = learn(X, (X[:, 0] > 0) * 1.0, labels)
    assert np.isfinite(learned.within).all() and learned.within[0, 0] > 3


def test_tasks_of_one_class_are_ordinary():
    rng = np.random.default_rng(14)
    X, y, labels = simulate(rng, 100, (2, 5), np.array([0.3, 0.0]), np.array([0, 2.0]))
    means = np.bincount(labels, weights=y) / np.bincount(labels)
    assert ((means == 0) | (means == 1)).mean() > 0.4
    learned = learn(X, y, labels)
    theta = learned.known_parameters()[:, 0, -1]
    assert theta[means == 1].min() > theta[means == 0].max()


def test_what_is_not_identified_is_said():
    rng = np.random.default_rng(15)
    X, y, _ = simulate(rng, 1, (60, 61), np.array([1.0, 0.0]), np.zeros(2))
    one_task = learn(X, y, np.zeros(60, dtype=int))
    assert any("one task" in sentence for sentence in one_task.warnings)
    single_rows = learn(X, y, np.arange(60))
    assert any("one row" in sentence for sentence in single_rows.warnings)
    assert_allclose(single_rows.covariance, 0.0)


def test_order_of_tasks_and_rows_does_not_matter():
    rng = np.random.default_rng(16)
    X, y, labels = simulate(rng, 40, (3, 12), np.array([1.0, 0.2]), np.ones(2))
    shuffled = rng.permutation(len(y))
    a, b = learn(X, y, labels), learn(X[shuffled], y[shuffled], labels[shuffled])
    assert_allclose(a.probabilities(X), b.probabilities(X), atol=1e-3)
    numbers = a.numbers(labels.tolist()), b.numbers(labels.tolist())
    known = a.probabilities(X, numbers[0]), b.probabilities(X, numbers[1])
    assert_allclose(*known, atol=2e-3)


def test_bits_do_not_depend_on_n_jobs(monkeypatch):
    rng = np.random.default_rng(30)
    X, y, labels = simulate(rng, 40, (3, 12), np.array([1.0, 0.2]), np.ones(2))
    one = learn(X, y, labels)
    monkeypatch.setattr("skmeta._mixed._logistic.ENTRIES_WORTH_THREADS", 0)
    monkeypatch.setattr("skmeta._mixed._logistic.TASKS_AT_A_TIME", 7)
    two = learn(X, y, labels, replace(OPTIONS, n_jobs=2))
    assert (one.known_parameters() == two.known_parameters()).all()
    assert (one.covariance == two.covariance).all()


def test_whole_weights_are_repetitions():
    rng = np.random.default_rng(17)
    X, y, labels = simulate(rng, 40, (3, 9), np.array([1.0, 0.2]), np.ones(2))
    weight = rng.integers(1, 4, len(y))
    weighted = learn(X, y, labels, weight=weight.astype(float))
    repeated = learn(*(np.repeat(part, weight, axis=0) for part in (X, y, labels)))
    numbers = weighted.numbers(labels.tolist())
    assert_allclose(
        weighted.probabilities(X, numbers),
        repeated.probabilities(X, repeated.numbers(labels.tolist())),
        atol=5e-3,
    )


def test_units_of_features_do_not_matter():
    rng = np.random.default_rng(18)
    X, y, labels = simulate(rng, 40, (5, 12), np.array([1.0, 0.5, 0.2]), np.ones(3))
    moved = X * [1e5, 1e-3] + [1.7e9, -2.0]
    a, b = learn(X, y, labels), learn(moved, y, labels)
    numbers = a.numbers(labels.tolist())
    assert_allclose(a.probabilities(X), b.probabilities(moved), atol=1e-3)
    known = a.probabilities(X, numbers), b.probabilities(moved, numbers)
    assert_allclose(*known, atol=1e-3)


def test_levels_may_depend_on_mean_features():
    """Tasks of high features have low levels, which `between` learns."""
    rng = np.random.default_rng(19)
    options = Options("diagonal", between=True, learn_noise=False)
    X, y, labels = [], [], []
    for t in range(300):
        center = 2 * rng.normal()
        x = center + rng.normal(size=(10, 1))
        z = x[:, 0] - 2 * center + 0.5 * rng.normal()
        X.append(x)
        y.append((rng.random(10) < expit(z)) * 1.0)
        labels += [t] * 10
    X, y, labels = np.vstack(X), np.concatenate(y), np.array(labels)
    train = labels < 200
    learned = learn(X[train], y[train], labels[train], options)
    plain = learn(X[train], y[train], labels[train])
    new = X[~train], y[~train], None
    assert learned.rows[0].prior.has_levels
    assert log_loss(learned, *new) < 0.93 * log_loss(plain, *new)
    assert learned.within[0, 0] > 0.6 > 0 > learned.shared[0, 0]


# ---- streams, new tasks, classes


def test_stream_of_calls_is_nearly_a_fit():
    rng = np.random.default_rng(20)
    X, y, labels = simulate(rng, 120, (10, 11), np.array([1.0, -0.5]), np.ones(2))
    train = np.tile(np.arange(10) < 7, 120)
    fitted = learn(X[train], y[train], labels[train])
    stream = LearnedClasses(1, 2)
    for part in (slice(0, 3), slice(3, 7)):  # every task comes twice
        for t in range(120):
            rows = np.flatnonzero(labels == t)[part]
            batch, names = as_batch(X[rows], y[rows], labels[rows])
            stream, bad = stream.taken(batch, names, OPTIONS)
            assert not bad
            if stream.is_due(OPTIONS):
                stream = stream.refreshed(OPTIONS, fully=False)
    stream = stream.refreshed(OPTIONS, fully=True)
    assert stream.n_tasks_seen == 120 and len(stream.labels()) == 120
    rest = X[~train], y[~train], labels[~train]
    assert log_loss(stream, *rest) < 1.03 * log_loss(fitted, *rest)
    assert_allclose(stream.covariance, fitted.covariance, rtol=0.5, atol=0.1)
    assert len(stream.history.numbers["loss"]) == 240
    assert 0.3 < np.nanmean(stream.history.numbers["loss"]) < 0.8


def test_older_values_do_not_change():
    rng = np.random.default_rng(21)
    X, y, labels = simulate(rng, 30, (6, 7), np.array([1.0, -0.5]), np.ones(2))
    old = learn(X, y, labels)
    numbers = old.numbers(labels.tolist())
    before = old.probabilities(X, numbers)
    batch, names = as_batch(X[:3] + 1, 1 - y[:3], labels[:3])
    new, _ = old.taken(batch, names, OPTIONS)
    assert np.abs(new.probabilities(X[:6], numbers[:6]) - before[:6]).max() > 1e-3
    new.refreshed(OPTIONS, fully=True)
    assert_allclose(old.probabilities(X, numbers), before, rtol=1e-12)


def test_adapted_task_has_the_posterior_of_a_known_one():
    rng = np.random.default_rng(22)
    X, y, labels = simulate(rng, 200, (8, 9), np.array([1.0, -0.5]), np.ones(2))
    learned = learn(X, y, labels)
    batch, _ = as_batch(X[:8], y[:8], np.zeros(8, dtype=int))
    (posterior,) = learned.adapted_posterior(batch)
    known = learned.known_parameters(np.array([0]))[0, 0]
    assert_allclose(posterior.mean, known, atol=0.1)
    covariance = learned.known_covariances(np.array([0]))[0, 0]
    assert_allclose(posterior.covariance, covariance, rtol=0.15, atol=0.02)


def test_bad_tasks_are_left_out():
    rng = np.random.default_rng(23)
    X, y, labels = simulate(rng, 30, (6, 7), np.array([1.0, -0.5]), np.ones(2))
    broken = X.copy()
    broken[labels == 3] = np.inf
    batch, names = as_batch(broken, y, labels)
    new, bad = LearnedClasses(1, 2).taken(batch, names, OPTIONS)
    assert [task.number for task in bad] == [3]
    new = new.refreshed(OPTIONS, fully=True)
    good = labels != 3
    other = learn(X[good], y[good], labels[good])
    assert new.labels() == other.labels()
    assert_allclose(new.probabilities(X), other.probabilities(X), atol=1e-4)


def test_more_classes_are_one_against_all():
    rng = np.random.default_rng(24)
    X = rng.normal(size=(900, 2))
    labels = np.repeat(np.arange(90), 10)
    lines = rng.normal(size=(3, 3))
    levels = lines[:, 2] + rng.normal(size=(90, 3))[labels]
    y = (X @ lines[:, :2].T + levels + rng.gumbel(size=(900, 3))).argmax(axis=1) * 1.0
    learned = learn(X, y, labels)
    assert learned.within.shape == (3, 3)
    assert learned.covariance.shape == (3, 3, 3)
    assert learned.known_parameters().shape == (90, 3, 3)
    P = learned.probabilities(X, learned.numbers(labels.tolist()))
    assert_allclose(P.sum(axis=1), 1.0)
    assert (P.argmax(axis=1) == y).mean() > 0.6
    alone = learn(X, (y == 2) * 1.0, labels)
    assert_allclose(alone.within[0], learned.within[2], rtol=1e-6, atol=1e-8)


def test_probabilities_of_new_tasks_are_those_of_the_population():
    rng = np.random.default_rng(25)
    phi, spread = np.array([0.0, 1.5]), np.array([0.0, 2.0])
    X, y, labels = simulate(rng, 400, (6, 7), phi, spread)
    learned = learn(X, y, labels)
    assert_allclose(learned.probabilities(X)[:, 1].mean(), y.mean(), atol=0.02)
    line = learned.shared[0]
    assert expit(line[-1]) > y.mean() + 0.05  # a task in the middle is no population


def test_moderated_is_the_mean_over_scores():
    mean, variance = [g.ravel() for g in np.mgrid[-4:4:9j, 0.0:4:5j]]
    z = mean[:, np.newaxis] + np.sqrt(variance)[:, np.newaxis] * NODES
    assert_allclose(moderated(mean, variance), expit(z) @ SHARES, atol=0.02)


def test_half_life_follows_later_tasks():
    rng = np.random.default_rng(26)
    early = simulate(rng, 80, (8, 9), np.array([0.0, -2.0]), np.array([0.0, 0.3]))
    late = simulate(rng, 80, (8, 9), np.array([0.0, 2.0]), np.array([0.0, 0.3]))
    X, y = np.vstack([early[0], late[0]]), np.concatenate([early[1], late[1]])
    labels = np.concatenate([early[2], late[2] + 80])
    options = Options("diagonal", between=False, half_life=10.0, learn_noise=False)
    assert learn(X, y, labels, options).shared[0, -1] > 1.0
    assert abs(learn(X, y, labels).shared[0, -1]) < 1.0


def test_forgotten_tasks_are_unknown():
    rng = np.random.default_rng(27)
    X, y, labels = simulate(rng, 20, (6, 7), np.array([1.0, -0.5]), np.ones(2))
    learned = learn(X, y, labels).forgot([3, 4])
    assert learned.numbers([3, 4]).tolist() == [-1, -1]
    assert len(learned.known_parameters()) == 18


def test_tasks_need_no_labels():
    rng = np.random.default_rng(28)
    X, y, labels = simulate(rng, 150, (6, 7), np.array([1.0, -0.5]), np.ones(2))
    options = Options("diagonal", between=False, window=64, learn_noise=False)
    batch, _ = as_batch(X, y, labels)
    new, _ = LearnedClasses(1, 2).taken(batch, None, options)
    new = new.refreshed(options, fully=True)
    for t in range(100):
        rows = labels == t
        one, _ = as_batch(X[rows], y[rows], labels[rows])
        new, _ = new.taken(one, None, options)
        if new.is_due(options):
            new = new.refreshed(options, fully=False)
    assert new.store.n_held <= 64 + 7 and new.labels() == []
    assert (
        abs(log_loss(new, X, y, None) / log_loss(learn(X, y, labels), X, y, None) - 1)
        < 0.03
    )


def test_kernel_of_factors_is_the_one_of_the_engine():
    """A factor of the kernel is a task of least squares with the same posterior."""
    rng = np.random.default_rng(29)
    batch = make_batch(rng, [5, 12, 40], 3, weighted=True, shuffled=True)
    arguments = kernel_arguments(rng, batch)
    for _ in range(3):
        logistic_factors(*arguments)
    root = arguments[6]
    means, _ = mixed.solve_tasks(
        arguments[10], arguments[7], root @ root.T, 1.0, *arguments[3:5], 0.0, 1.0
    )
    assert_allclose(means, arguments[8], atol=1e-3)
