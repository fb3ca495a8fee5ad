"""The compiled sums over tasks equal those of the NumPy twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skmeta._batch import Batch
from skmeta._kernels import _mixed_py as plain

fast = pytest.importorskip("skmeta._kernels._mixed_fast")

# examples share the fixed seeds of NumPy, hypothesis chooses the shapes
shapes = st.fixed_dictionaries(
    {
        "d": st.integers(1, 30),
        "lengths": st.lists(st.integers(0, 45), min_size=1, max_size=21),
        "seed": st.integers(0, 2**16),
        "weighted": st.booleans(),
        "ordered": st.booleans(),
        "single": st.booleans(),
    }
)
few = settings(max_examples=60, deadline=None)


def make_batch(d, lengths, seed, weighted=False, ordered=False, single=False):
    rng = np.random.default_rng(seed)
    starts = np.r_[0, np.cumsum(lengths)].astype(np.intp)
    n = starts[-1]
    X = 3 + rng.normal(size=(n, d)) * 10 ** rng.uniform(-1, 1, d)
    y = 5 + rng.normal(size=n)
    order = rng.permutation(n).astype(np.intp)[np.newaxis] if ordered else None
    weight = rng.uniform(0.1, 2, n) if weighted else None
    return Batch(X.astype(np.float32 if single else float), y, weight, starts, order)


def factors_of(batch, kernels=plain, **options):
    d, lengths = batch.X.shape[1], np.diff(batch.starts)
    factors = np.full((len(lengths), min(lengths.max(initial=0), d + 2), d + 2), np.nan)
    origin = np.r_[np.full(d, 2.5), 4.5]
    kernels.task_factors(batch, origin, factors, **options)
    return factors


def squares(factors):
    return factors.transpose(0, 2, 1) @ factors


def close(a, b, rtol=1e-10):
    """Equal to rounding, seen from the largest entry."""
    np.testing.assert_allclose(
        a, b, rtol=rtol, atol=rtol * (1e-30 + np.abs(b).max(initial=0))
    )


def arguments(factors, q=0, bias=1.0, seed=0):
    """Of Tasks: units in which every column has a size of about one."""
    rng = np.random.default_rng(seed)
    n_tasks, _, width = factors.shape
    flat = factors.reshape(-1, width)
    size = np.sqrt((flat[:, :-2] ** 2).sum(axis=0) / max(len(flat), 1)) + 0.1
    return (
        factors,
        rng.integers(1, 50, n_tasks),
        rng.uniform(0.5, 1, n_tasks),
        rng.normal(size=(n_tasks, q)),
        rng.normal(size=width - 2),
        np.where(rng.random(width - 2) < 0.1, 0.0, 1 / size),
        0.3,
        1.7,
        bias,
    )


def covariance(p, seed, full=True):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(p, p)) / p if full else np.diag(rng.uniform(0, 1, p))
    if p > 2:
        root[1] = 0.0  # a feature whose coefficient does not vary
    return root @ root.T


@few
@given(shapes)
def test_factors_are_those_of_the_twin(shape):
    batch = make_batch(**shape)
    ours, theirs = factors_of(batch, fast), factors_of(batch)
    short = np.diff(batch.starts) <= theirs.shape[1]
    close(ours[short], theirs[short], 1e-14) if short.any() else None
    for a, b in zip(ours, theirs, strict=True):
        close(a.T @ a, b.T @ b, 1e-12)
        close(np.abs(a), np.abs(b), 1e-8)


@pytest.mark.parametrize("d", [1, 3, 4, 11, 23, 24, 40])
def test_a_long_task_costs_no_padding(d):
    lengths = [3] * 20 + [10_000] + [5] * 20
    batch = make_batch(d, lengths, 0)
    for a, b in zip(factors_of(batch, fast), factors_of(batch), strict=True):
        close(a.T @ a, b.T @ b, 1e-11)


@few
@given(shapes, st.integers(1, 70), st.integers(0, 2**16))
def test_factors_are_added(shape, n_more, seed):
    old = factors_of(make_batch(**shape))
    n_tasks, k, width = old.shape
    rng = np.random.default_rng(seed)
    more = rng.normal(size=(n_tasks, n_more, width))
    more[:, rng.random(n_more) < 0.3] = 0.0
    ours = np.zeros((n_tasks, width, width))
    ours[:, :k] = old
    theirs, before = ours.copy(), ours.copy()
    fast.add_factors(ours, more)
    plain.add_factors(theirs, more)
    close(squares(ours), squares(theirs), 1e-12)
    close(squares(ours), squares(before) + squares(more), 1e-12)


@few
@given(shapes, st.booleans())
def test_factors_are_summed(shape, weighted):
    factors = factors_of(make_batch(**shape))
    om = np.random.default_rng(0).uniform(0, 1, len(factors)) if weighted else None
    ours, theirs = fast.sum_factors(factors, om), plain.sum_factors(factors, om)
    expected = np.einsum(
        "t,tij->ij", np.ones(len(factors)) if om is None else om, squares(factors)
    )
    close(ours.T @ ours, theirs.T @ theirs, 1e-12)
    close(ours.T @ ours, expected, 1e-12)


@few
@given(shapes, st.booleans())
def test_rows_of_every_task_are_summed(shape, weighted):
    factors = factors_of(make_batch(**shape))
    om = np.random.default_rng(0).uniform(0, 1, len(factors)) if weighted else None
    ours, theirs = np.empty((2, len(factors), factors.shape[2]))
    fast.sum_factors(factors, om, None, ours)
    plain.sum_factors(factors, om, None, theirs)
    close(ours, theirs, 1e-12)
    close(ours, squares(factors)[:, -2], 1e-12)


@few
@given(shapes)
def test_losses_of_a_line_are_those_of_the_rows(shape):
    shape["lengths"] = [1 + length for length in shape["lengths"]]
    factors = factors_of(make_batch(**shape))
    line = np.random.default_rng(0).normal(size=factors.shape[2])
    ours = fast.line_losses(factors, line)
    close(ours, plain.line_losses(factors, line), 1e-12)
    quadratic = np.einsum("i,tij,j->t", line, squares(factors), line)
    close(ours, 0.5 * quadratic / squares(factors)[:, -2, -2], 1e-10)
    with pytest.raises(ValueError, match="line"):
        fast.line_losses(factors, line[1:])


@pytest.mark.parametrize("kernels", [fast, plain])
@pytest.mark.parametrize("lengths", [[30] * 20, [2, 30, 7]])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_factors_that_are_not_finite_are_told(kernels, lengths, bad):
    batch, origin = make_batch(3, lengths, 0), np.zeros(4)
    factors = np.empty((len(lengths), 5, 5))
    assert kernels.task_factors(batch, origin, factors)
    batch.X[-1, 1] = bad
    with np.errstate(invalid="ignore"):
        assert not kernels.task_factors(batch, origin, factors)


def sweep(kernels, given, S, v, beta, V, step, live, diagonal=False):
    tasks = kernels.Tasks(*given)
    first = tasks.first(S, v, beta)
    second = tasks.second(V, step, diagonal)
    return [*first, *second, tasks.pair_products(live), *tasks.states()]


@few
@given(shapes, st.integers(0, 4), st.booleans(), st.booleans(), st.booleans())
def test_sums_are_those_of_the_twin(shape, q, full, diagonal, intercept):
    factors = factors_of(make_batch(**shape))
    p, seed = factors.shape[2] - 1, shape["seed"]
    given = arguments(factors, q, float(intercept), seed)
    rng = np.random.default_rng(seed)
    beta, step = rng.normal(size=p + q), rng.normal(size=p + q)
    V = covariance(p + q, seed + 1)
    live = np.sort(rng.permutation(p)[: min(p, 4)])
    state = covariance(p, seed, full), 0.5, beta, V, step, live, diagonal
    for a, b in zip(
        sweep(fast, given, *state), sweep(plain, given, *state), strict=True
    ):
        close(np.asarray(a), np.asarray(b))


@few
@given(shapes, st.booleans(), st.booleans(), st.booleans())
def test_posteriors_are_those_of_the_twin(shape, full, shared, spread):
    factors = factors_of(make_batch(**shape))
    n_tasks, _, width = factors.shape
    p, seed = width - 1, shape["seed"]
    rng = np.random.default_rng(seed)
    units = arguments(factors, seed=seed)[4:]
    lines = rng.normal(size=(1 if shared else n_tasks, p))
    prior = lines, covariance(p, seed, full), 0.5
    G = np.stack([covariance(p, i) for i in range(len(lines))]) if spread else None
    only, nothing = fast.solve_tasks(factors, *prior, *units)
    ours = fast.solve_tasks(factors, *prior, *units, True, G)
    theirs = plain.solve_tasks(factors, *prior, *units, True, G)
    assert nothing is None
    close(only, theirs[0])
    close(ours[0], theirs[0])
    close(ours[1], theirs[1])


@pytest.mark.parametrize("noise", [1e-4, 1e-6])
@pytest.mark.parametrize("d, length", [(4, 30), (30, 60), (12, 5)])
def test_a_feature_constant_within_tasks_cancels_nothing(noise, d, length):
    rng = np.random.default_rng(0)
    n_tasks = 60
    batch = make_batch(d, [length] * n_tasks, 0)
    X = batch.X.copy()
    X[:, 0] = np.repeat(rng.normal(size=n_tasks), length)
    y = X @ rng.normal(size=d) + np.repeat(rng.normal(size=n_tasks), length)
    y += noise * rng.normal(size=len(y))
    batch = batch._replace(X=X, y=y)
    ours, theirs = factors_of(batch, fast), factors_of(batch)
    if length > d + 1:
        # the norm of the residual, which A = R'R would not show; the row of the
        # constant feature, eliminated last, takes an arbitrary part of it
        found, norm = (
            np.hypot(factors[:, 0, -1], factors[:, -1, -1])
            for factors in (ours, theirs)
        )
        np.testing.assert_allclose(found, norm, rtol=1e-12 / noise)
        degrees = length - d  # the constant feature and the intercept count once
        assert np.sqrt((found**2).sum() / n_tasks / degrees) == pytest.approx(
            noise, rel=0.1
        )
    p, v = d + 1, noise**2
    S, beta = np.diag(rng.uniform(0.5, 1, p)), rng.normal(size=p)
    units = rng.normal(size=d), np.ones(d), 0.0, 1.0
    given = theirs, np.full(n_tasks, length), np.ones(n_tasks), np.zeros((n_tasks, 0))
    live = np.arange(2)
    V, step = covariance(p, 1), 0.01 * rng.normal(size=p)
    state = S, v, beta, V, step, live
    a, b = (sweep(k, (*given, *units), *state) for k in (fast, plain))
    for x, y_ in zip(a, b, strict=True):
        close(np.asarray(x), np.asarray(y_), 1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("kernels", [plain, fast])
@pytest.mark.parametrize("where", ["X", "y"])
@pytest.mark.parametrize("d", [3, 30])
def test_what_is_not_finite_stays_in_its_task(bad, kernels, where, d):
    for lengths in ([40] * 17, [3] * 17, [40, 3, 50] * 6):
        batch = make_batch(d, lengths, 0)
        getattr(batch, where)[batch.starts[5] + 1] = bad
        factors = factors_of(batch, kernels)
        finite = np.isfinite(factors).all(axis=(1, 2))
        assert not finite[5] and finite.sum() == len(lengths) - 1


@pytest.mark.parametrize("kernels", [plain, fast])
def test_no_cholesky_is_none(kernels):
    factors = factors_of(make_batch(3, [10] * 9, 0))
    tasks = kernels.Tasks(*arguments(factors))
    S = np.array([[0.0, 9, 0, 0], [9, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert tasks.first(np.full((4, 4), np.nan), 0.5, np.zeros(4)) is None
    with pytest.raises(ValueError, match="call first"):
        tasks.second(np.eye(4), np.zeros(4))
    assert tasks.first(np.diag(np.diag(S)), 0.5, np.zeros(4)) is not None


@pytest.mark.parametrize("kernels", [plain, fast])
def test_wrong_shapes_are_errors(kernels):
    batch = make_batch(3, [10, 4, 12], 0)
    factors = factors_of(batch)
    origin = np.zeros(4)
    wrong = [
        lambda: kernels.task_factors(batch, origin, factors[:, :4].copy()),
        lambda: kernels.task_factors(batch, origin[:3], factors),
        lambda: kernels.task_factors(batch._replace(y=batch.y[1:]), origin, factors),
        lambda: kernels.task_factors(
            batch._replace(starts=batch.starts + 1), origin, factors
        ),
        lambda: kernels.task_factors(
            batch._replace(order=np.full((1, 26), 26)), origin, factors
        ),
        lambda: kernels.add_factors(factors, factors[:2]),
        lambda: kernels.add_factors(factors[:, :4].copy(), factors),
        lambda: kernels.sum_factors(factors, np.ones(2)),
        lambda: kernels.Tasks(
            *arguments(factors)[:2], np.ones(2), *arguments(factors)[3:]
        ),
        lambda: kernels.Tasks(*arguments(factors)).first(np.eye(3), 1.0, np.zeros(4)),
        lambda: kernels.Tasks(*arguments(factors)).first(np.eye(4), 1.0, np.zeros(3)),
        lambda: kernels.solve_tasks(
            factors, np.zeros((2, 4)), np.eye(4), 1.0, *arguments(factors)[4:]
        ),
    ]
    for call in wrong:
        with pytest.raises(ValueError):
            call()
    tasks = kernels.Tasks(*arguments(factors))
    tasks.first(np.eye(4), 1.0, np.zeros(4))
    with pytest.raises(ValueError, match="V must have shape"):
        tasks.second(np.eye(3), np.zeros(4))
    with pytest.raises(ValueError, match="step must have shape"):
        tasks.second(np.eye(4), np.zeros(5))
    with pytest.raises(ValueError, match="live"):
        tasks.pair_products(np.array([4]))


def test_bits_do_not_depend_on_n_jobs():
    batch = make_batch(10, [30] * 6000 + [12, 40] * 50, 0)
    results = []
    for n_jobs in (1, 2):
        factors = factors_of(batch, fast, n_jobs=n_jobs)
        given = arguments(factors, 2)
        tasks = fast.Tasks(*given, n_jobs=n_jobs)
        first = tasks.first(covariance(11, 0), 0.5, np.zeros(13))
        second = tasks.second(covariance(13, 1), np.ones(13))
        prior = np.zeros((1, 11)), covariance(11, 0), 0.5
        means = fast.solve_tasks(factors, *prior, *given[4:], n_jobs=n_jobs)[0]
        total = fast.sum_factors(factors, given[2], n_jobs=n_jobs)
        results.append([factors, total, *first, *second, *tasks.states(), means])
    for a, b in zip(*results, strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("kernels", [plain, fast])
def test_no_task_at_all(kernels):
    factors = np.zeros((0, 3, 5))
    tasks = kernels.Tasks(*arguments(factors))
    first = tasks.first(np.eye(4), 1.0, np.zeros(4))
    assert first.log_det == 0 and not first.information.any()
    assert tasks.second(np.eye(4), np.zeros(4)).quadratic == 0
    assert not kernels.sum_factors(factors).any()
