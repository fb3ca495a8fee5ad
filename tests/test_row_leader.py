"""The best single model for all rows so far, as a shared initialization."""

import pickle
from contextlib import nullcontext

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from problems import assert_equal_models, make, on_all_problems, stream
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.metrics import log_loss
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmeta import FMRLClassifier, FMRLRegressor, _kernels
from skmeta._batch import Objective, Task
from skmeta._fmrl import _row_leader
from skmeta._kernels import _loops_py
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.linear_model import OGDClassifier, OGDRegressor
from skmeta.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    Hinge,
    LogLoss,
    SquaredError,
)
from skmeta.meta_step_size import FollowTheRows


def ridge(X, y, penalty, weight=None, fit_intercept=True):
    """(n_features + 1,): with a penalty on features of unit variance."""
    weight = np.ones(len(y)) if weight is None else weight
    center = np.average(X, axis=0, weights=weight) if fit_intercept else 0.0
    spread = np.sqrt(np.average((X - center) ** 2, axis=0, weights=weight))
    model = Ridge(penalty, fit_intercept=fit_intercept, solver="svd")
    model.fit((X - center) / spread, y, weight)
    slopes = model.coef_ / spread
    return np.append(slopes, model.intercept_ - slopes @ (center * np.ones(X.shape[1])))


def line(model):
    return np.append(model.coef_, model.intercept_)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("penalty", [1e-3, 0.1, 30.0])
def test_squared_error_gives_ridge_regression(penalty, weighted, fit_intercept):
    X, y, tasks = make_task_regression(15, (1, 9), 4, random_state=0)
    X = X * [1.0, 1e6, 1e-6, 3.0] + np.array([0.0, 1e9, 0.0, 5.0]) * fit_intercept
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.1, 3, size=len(y)) if weighted else None
    inner = OGDRegressor(fit_intercept=fit_intercept)
    model = FMRLRegressor(inner, meta_step_size=FollowTheRows([penalty]))
    model.fit(X, y, tasks=tasks, sample_weight=weight)
    found, expected = line(model), ridge(X, y, penalty, weight, fit_intercept)
    probe = np.column_stack([X, np.ones(len(y))])
    assert_allclose(probe @ found, probe @ expected, rtol=1e-6, atol=1e-7)


def test_penalty_is_the_one_that_predicted_best():
    """Against a slow reference that is solved before every task."""
    X, y, tasks = make_task_regression(9, 4, 5, random_state=3)
    penalties = [0.1, 1.0, 10.0, 100.0]
    paid = np.zeros(4)
    for t in range(1, 9):
        seen, rows = tasks < t, np.flatnonzero(tasks == t)
        lines = [ridge(X[seen], y[seen], penalty) for penalty in penalties]
        for i in rows:
            for k, one in enumerate(lines):
                paid[k] += i * (X[i] @ one[:-1] + one[-1] - y[i]) ** 2 / 2
    model = FMRLRegressor().fit(X, y, tasks=tasks)
    assert_allclose(line(model), ridge(X, y, penalties[paid.argmin()]), rtol=1e-8)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_log_loss_comes_near_the_pooled_minimiser(n_classes):
    X, y, tasks = make_task_classification(
        200, 10, 4, n_classes=n_classes, random_state=0
    )
    X = 100 * X + 1e4
    model = FMRLClassifier().fit(X, y, tasks=tasks)
    one_each = OneVsRestClassifier(LogisticRegression())
    pooled = make_pipeline(StandardScaler(), one_each).fit(X, y)
    found, best = (log_loss(y, one.predict_proba(X)) for one in (model, pooled))
    assert found < 1.01 * best


@pytest.mark.parametrize("loss", [*REGRESSION_LOSSES, *CLASSIFICATION_LOSSES])
def test_every_loss_comes_near_its_pooled_minimiser(loss):
    """Which init='pooled' computes with a solver, here on the same rows."""
    if loss in REGRESSION_LOSSES:
        kind, inner, generate = FMRLRegressor, OGDRegressor, make_task_regression
    else:
        kind, inner, generate = FMRLClassifier, OGDClassifier, make_task_classification
    X, y, tasks = generate(200, 10, 4, random_state=0)
    if loss == "poisson":
        y = np.random.default_rng(0).poisson(np.exp(y))
    model = kind(inner(loss)).fit(X, y, tasks=tasks)
    stays = kind(inner(loss), init="pooled", meta_step_size=0.0).fit(X, y, tasks=tasks)
    assert_array_equal(stays.history_["n_samples"], model.history_["n_samples"])

    def mean_loss(model):
        learned = model._fitted()
        objective = learned.algorithm.learner.objective
        target = y if kind is FMRLRegressor else np.where(y == 1, 1.0, -1.0)
        scores = X @ np.ravel(model.coef_) + model.intercept_
        return objective.loss.value(target, scores).mean()

    assert mean_loss(model) < 1.04 * mean_loss(stays)


@on_all_problems
@pytest.mark.parametrize("options", [{}, {"meta_batch_size": 1, "n_passes": 1}])
def test_calls_can_be_split_anywhere(problem, options):
    X, y, tasks = make(problem, n_tasks=70, n_samples=(1, 9))
    kind = FMRLRegressor if problem == "regression" else FMRLClassifier
    whole = kind(**options).fit(X, y, tasks=tasks)
    assert_equal_models(stream(kind(**options), X, y, tasks), whole)


def test_stale_initialization_is_at_most_five_percent_of_rows_old():
    leader = _row_leader.RowLeader((1, 3), [0.1], 1.0)
    rng = np.random.default_rng(0)
    X, y, tasks = make_task_regression(400, 3, 2, random_state=0)
    model = FMRLRegressor(meta_step_size=FollowTheRows([0.1]))
    for task in rng.permutation(400):
        rows = tasks == task
        model.partial_fit(X[rows], y[rows])
        leader = model._fitted().row_leader
        assert leader.n_rows <= 1.05 * leader.solved_at + 3
        assert 0 < leader.rows_to_go
    assert_array_equal(model.coef_, leader.latest[0, :-1])


@given(
    scales=st.lists(st.floats(1e-6, 1e6), min_size=3, max_size=3),
    shifts=st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3),
    unit=st.floats(1e-6, 1e6),
    offset=st.floats(-1e3, 1e3),
)
def test_predictions_do_not_depend_on_units(scales, shifts, unit, offset):
    X, y, tasks = make_task_regression(12, 4, 3, random_state=0)
    plain = FMRLRegressor().fit(X, y, tasks=tasks)
    moved = (X + shifts) * scales
    model = FMRLRegressor().fit(moved, (y + offset) * unit, tasks=tasks)
    for labels in (None, tasks):
        expected = (plain.predict(X, tasks=labels) + offset) * unit
        found = model.predict(moved, tasks=labels)
        assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * unit)


@pytest.mark.parametrize("kernel", [_kernels.add_products, _loops_py.add_products])
def test_products(kernel):
    rng = np.random.default_rng(0)
    rows, weight = rng.normal(size=(7, 4)), rng.uniform(size=7)
    sums = np.ones((4, 4))
    kernel(rows, weight, sums)
    assert_allclose(sums, 1 + rows.T @ np.diag(weight) @ rows, rtol=1e-13)
    once, twice = np.zeros((4, 4)), np.zeros((4, 4))
    kernel(rows, weight, once)
    kernel(rows[:3], weight[:3], twice)
    kernel(rows[3:], weight[3:], twice)
    assert_array_equal(once, twice)


def test_products_of_shapes_that_do_not_fit():
    if not _kernels.COMPILED:
        pytest.skip("the kernels were not built")
    rows, weight = np.ones((3, 2)), np.ones(3)
    for bad in ((rows, weight[:2], np.ones((2, 2))), (rows, weight, np.ones((2, 3)))):
        with pytest.raises(ValueError, match="do not fit"):
            _kernels.add_products(*bad)


def test_sparse_rows_count_like_dense_ones():
    X, y, tasks = make_task_regression(20, 6, 4, random_state=0)
    X[np.random.default_rng(0).uniform(size=X.shape) < 0.5] = 0.0
    dense = FMRLRegressor().fit(X, y, tasks=tasks)
    sparse = FMRLRegressor().fit(sp.csr_array(X), y, tasks=tasks)
    assert_allclose(line(sparse), line(dense), rtol=1e-9)


def test_bad_tasks_are_left_out():
    X, y, tasks = make_task_regression(40, 6, 4, random_state=0)
    bad = X.copy()
    bad[tasks == 7] = np.nan
    bad[tasks == 30, 0] = np.inf
    found = FMRLRegressor(on_bad_task="skip").fit(bad, y, tasks=tasks)
    good = ~np.isin(tasks, [7, 30])
    expected = FMRLRegressor().fit(X[good], y[good], tasks=tasks[good])
    assert_equal_models(found, expected, ["coef_", "intercept_", "task_coef_"])


@pytest.mark.parametrize("size", [2, 7])
def test_meta_batches_share_an_initialization(size):
    X, y, tasks = make_task_regression(30, 6, 4, random_state=0)
    model = FMRLRegressor(meta_batch_size=size).fit(X, y, tasks=tasks)
    alone = FMRLRegressor().fit(X, y, tasks=tasks)
    assert_allclose(line(model), line(alone), rtol=1e-2)
    assert_allclose(
        FMRLRegressor(meta_batch_size=size, n_jobs=2).fit(X, y, tasks=tasks).task_coef_,
        model.task_coef_,
        rtol=0,
    )


def test_a_pooled_start_leads_from_the_first_task():
    X, y, tasks = make_task_regression(30, 6, 4, random_state=0)
    model = FMRLRegressor(init="pooled").fit(X, y, tasks=tasks)
    first = model.history_["loss"][0]
    assert first < FMRLRegressor().fit(X, y, tasks=tasks).history_["loss"][0]
    assert_allclose(line(model), ridge(X, y, 0.1), rtol=0.02, atol=0.02)


def test_columns_and_targets_that_do_not_vary():
    X, y, tasks = make_task_regression(10, 5, 4, random_state=0)
    X[:, 1], X[tasks < 5, 2] = 7.0, 0.0
    model = FMRLRegressor().fit(X, y, tasks=tasks)
    assert model.coef_[1] == 0
    flat = FMRLRegressor().fit(X, np.full(len(y), 3.0), tasks=tasks)
    assert_allclose(flat.predict(X), 3.0)
    no_features = FMRLRegressor().fit(7 * np.ones_like(X), y, tasks=tasks)
    assert_allclose(no_features.predict(X), y.mean())


def test_sums_do_not_lose_digits_to_an_offset():
    X, y, tasks = make_task_regression(20, 6, 3, random_state=0)
    plain = FMRLRegressor().fit(X, y, tasks=tasks).predict(X)
    far = FMRLRegressor().fit(X + 1e6, y + 1e8, tasks=tasks).predict(X + 1e6)
    assert_allclose(far - 1e8, plain, atol=1e-6)


@pytest.mark.parametrize("penalties", [[], [0.0], [-1.0, 1.0], [[1.0]], [np.nan]])
def test_penalties_that_are_refused(penalties):
    X, y, tasks = make_task_regression(3, 5, 2, random_state=0)
    model = FMRLRegressor(meta_step_size=FollowTheRows(penalties))
    with pytest.raises(ValueError, match="'penalties' parameter of FollowTheRows"):
        model.fit(X, y, tasks=tasks)


def test_penalties_cannot_change_in_the_middle_of_a_stream():
    X, y, tasks = make_task_regression(6, 5, 2, random_state=0)
    model = FMRLRegressor(meta_step_size=FollowTheRows([1.0, 2.0]))
    model.fit(X, y, tasks=tasks)
    before = line(model)
    model.set_params(meta_step_size__penalties=[1.0])
    with pytest.raises(ValueError, match="meta_step_size changed.*Call fit"):
        model.partial_fit(X, y)
    assert_array_equal(line(model), before)


def test_published_models_do_not_change():
    X, y, tasks = make_task_regression(20, 5, 2, random_state=0)
    model = FMRLRegressor().fit(X[tasks < 10], y[tasks < 10], tasks=tasks[tasks < 10])
    published, copy = model._learned, pickle.loads(pickle.dumps(model))
    line_before = line(model)
    for task in range(10, 20):
        model.partial_fit(X[tasks == task], y[tasks == task])
    assert_array_equal(published.shared[0], line_before)
    assert_array_equal(line(copy), line_before)


def test_a_feature_too_large_to_be_squared_is_left_out(kernel):
    X, y, tasks = make_task_regression(20, 5, 3, random_state=0)
    X[7, 1] = 1e200
    rest = np.arange(len(y)) != 7
    inner = OGDRegressor("huber", update="ogd")
    options = {"meta_step_size": FollowTheRows(), "standardize": False}
    model = FMRLRegressor(inner, step_size="fixed", on_bad_task="skip", **options)
    coef = model.fit(X, y, tasks=tasks).coef_
    assert np.isfinite(coef).all()
    model.fit(X[rest][:, [0, 2]], y[rest], tasks=tasks[rest])
    assert_allclose(coef[[0, 2]], model.coef_, atol=0.2)


UGLY = ["one row", "constant", "same", "wide", "tails", "sentinel", "sorted", "idle"]


@pytest.mark.filterwarnings("ignore:1 row is not learned from")  # the sentinel
@pytest.mark.parametrize("kind", UGLY)
@pytest.mark.parametrize("seed", [0, 1])
def test_ugly_tables_are_not_worse_than_one_model_for_all(kind, seed):
    rng = np.random.default_rng(seed)
    T, m, d = (900, 2, 6) if kind == "one row" else (240, 10, 8)
    d = 150 if kind == "wide" else d
    spread = 0.0 if kind == "same" else 0.3
    X = rng.normal(size=(T, m, d))
    slopes = rng.normal(size=d) / np.sqrt(d) + spread / np.sqrt(d) * rng.normal(
        size=(T, d)
    )
    level = 3 * spread * rng.normal(size=T)
    if kind == "constant":
        X[:, :, :5] = rng.normal(size=(T, 1, 5))
    if kind == "tails":
        X = rng.standard_t(1.5, size=X.shape)
    y = np.einsum("tmd,td->tm", X, slopes) + level[:, None] + rng.normal(size=(T, m))
    if kind == "sentinel":
        X[5, 3, 2] = 1e6
    if kind == "idle":
        X[:10, :, 1] = 0.0
    if kind == "sorted":
        order = np.argsort(level)
        X, y = X[order], y[order]
    new = np.zeros(T, dtype=bool)
    new[rng.permutation(T)[:60]] = True
    size = 1 if kind == "one row" else m
    train, target = X[~new][:, :size].reshape(-1, d), y[~new][:, :size].ravel()
    labels = np.repeat(np.arange(T - 60), size)
    warns = pytest.warns(UserWarning, match="1 row is not learned from")
    with warns if kind == "sentinel" and not new[5] else nullcontext():
        model = FMRLRegressor().fit(train, target, tasks=labels)
    pooled = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 9)))
    pooled.fit(train, target)
    rows, truth = X[new][:, m // 2 :].reshape(-1, d), y[new][:, m // 2 :].ravel()
    best = np.mean((pooled.predict(rows) - truth) ** 2)
    assert np.mean((model.predict(rows) - truth) ** 2) < 1.03 * best
    half, errors, bar = m // 2, [], []
    for A, b in zip(X[new], y[new], strict=True):
        found = model.adapt(A[:half], b[:half]).predict(A[half:])
        errors.append(np.mean((found - b[half:]) ** 2))
        bar.append(np.mean((pooled.predict(A[half:]) - b[half:]) ** 2))
    if kind == "tails":  # the mean is that of few rows far out
        assert np.median(errors) < 1.05 * np.median(bar)
    else:
        assert np.mean(errors) < 1.05 * np.mean(bar)


# ---- the compiled version and its twin


def leader_of(shape, bias=1.0, penalties=(0.1, 1.0, 10.0)):
    return _row_leader.RowLeader(shape, penalties, bias)


def upper(leader):
    """The state, without what is not read of it."""
    array, size = leader.array.copy(), leader._view("sums").size
    array[-size:] = np.triu(leader._view("sums")).ravel()
    return array


def rows_for(loss, n_outputs, weighted, n_features, rng):
    """Three tasks of rows that a loss accepts."""
    X = 10.0 * rng.normal(size=(60, n_features)) + 1e3
    X[:, 0] = 7.0  # does not vary
    if loss.is_margin:
        y = rng.choice([-1.0, 1.0] if n_outputs == 1 else np.arange(3.0), size=60)
    else:
        y = rng.poisson(2.0, size=60) + 0.0
    weight = rng.uniform(0.2, 3.0, size=60) if weighted else None
    for rows in (slice(1), slice(1, 40), slice(40, 60)):
        yield Task(X[rows], y[rows], weight if weight is None else weight[rows])


OUTPUTS = [(kind, 1) for kind in [*REGRESSION_LOSSES.values(), Hinge, LogLoss]]
OUTPUTS += [(kind, 3) for kind in CLASSIFICATION_LOSSES.values()]


@pytest.mark.parametrize(("kind", "n_outputs"), OUTPUTS)
@pytest.mark.parametrize(("bias", "weighted"), [(1.0, False), (0.0, True)])
def test_compiled_leader_is_its_twin(
    kind, bias, weighted, n_outputs, compiled, monkeypatch
):
    loss, rng = kind(), np.random.default_rng(0)
    found, twin = (leader_of((n_outputs, 10), bias) for _ in range(2))
    for leader in (found, twin):
        leader.start_at(0.01 * np.ones((n_outputs, 10)))
    for task in rows_for(loss, n_outputs, weighted, 9, rng):
        for leader, uses in ((found, True), (twin, False)):
            monkeypatch.setattr(_kernels, "COMPILED", uses)
            leader.observe(task, Objective(loss, bias))
            leader.solve()
        size = np.abs(twin.candidates).max()
        assert_allclose(upper(found), upper(twin), rtol=1e-8, atol=1e-8 * size)


@pytest.mark.parametrize("n_features", [0, 1, 6, 7, 21, 90])
def test_compiled_leader_solves_systems_of_any_size(n_features, compiled):
    rng = np.random.default_rng(n_features)
    X, y = rng.normal(size=(150, n_features)), rng.normal(size=150)
    leader = leader_of((1, n_features + 1), penalties=[0.3])
    leader.observe(Task(X, y), Objective(SquaredError()))
    found = leader.latest[0]
    expected = ridge(X, y, 0.3) if n_features else [y.mean()]
    assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_compiled_leader_refuses_what_does_not_fit(compiled):
    plan = compiled.LeaderPlan((1, 4), [1.0], 1.0, SquaredError())
    X, y, state = np.ones((2, 3)), np.ones(2), np.zeros(leader_of((1, 4)).array.size)
    for bad in ((X[:, :2].copy(), y), (sp.csr_array(X), y), (X, y[:1])):
        with pytest.raises(ValueError, match=r"cannot read X|y must have 2 entries"):
            plan.observe(*bad, None, leader_of((1, 4), penalties=[1.0]).array)
    with pytest.raises(ValueError, match="state of the leader must have"):
        plan.observe(X, y, None, state)
    with pytest.raises(ValueError, match="state of the leader is None"):
        plan.solve(None)
    for arguments in (((0, 4), [1.0], 1.0), ((1, 4), [], 1.0)):
        with pytest.raises(ValueError, match="There is no leader"):
            compiled.LeaderPlan(*arguments)
