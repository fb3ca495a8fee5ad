"""MixedEffectsRegressor and MixedEffectsClassifier as their users call them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import clone

from skmeta import (
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
)
from skmeta.metrics import regret_report

N_TASKS, N_ROWS, D = 60, 12, 3


def make(seed=0, n_tasks=N_TASKS, n_rows=N_ROWS, noise=0.5):
    """Tasks of a random-coefficient model: X, y, labels and the true coefficients."""
    rng = np.random.default_rng(seed)
    tasks = np.repeat(np.arange(n_tasks), n_rows)
    X = rng.normal(size=(len(tasks), D)) * [1.0, 30.0, 0.01] + [0.0, 500.0, 2.0]
    spread = np.array([0.5, 0.02, 0.0, 2.0])
    theta = [1.0, -0.1, 20.0, 3.0] + spread * rng.normal(size=(n_tasks, D + 1))
    y = (X * theta[tasks, :D]).sum(axis=1) + theta[tasks, D]
    return X, y + noise * rng.normal(size=len(y)), tasks, theta


def make_classes(seed=0, n_classes=2, n_tasks=N_TASKS, n_rows=N_ROWS):
    """Tasks of a logistic model; labels are strings."""
    rng = np.random.default_rng(seed)
    tasks = np.repeat(np.arange(n_tasks), n_rows)
    X = rng.normal(size=(len(tasks), D))
    theta = rng.normal(size=(n_classes, D)) + 0.7 * rng.normal(
        size=(n_tasks, n_classes, D)
    )
    scores = np.einsum("nd,nkd->nk", X, theta[tasks])
    scores = scores + rng.gumbel(size=scores.shape)
    return X, np.array(["a", "b", "c", "d"])[scores.argmax(axis=1)], tasks


@pytest.mark.parametrize(
    "make_rows, Model",
    [(make, MixedEffectsRegressor), (make_classes, MixedEffectsClassifier)],
    ids=["regressor", "classifier"],
)
def test_what_was_read_before_does_not_change_a_bit_of_a_task(make_rows, Model):
    X, y, tasks, *_ = make_rows()
    model = Model(covariance="diagonal", between=True, tol=0.1)
    model.fit(X, y, tasks=tasks)
    asked = pickle.loads(pickle.dumps(model))
    for first, n in [(0, 1), (1, 1), (2, 2), (4, 3), (7, 8)]:
        rows = (tasks >= first) & (tasks < first + n)
        asked.predict(X[rows], tasks=tasks[rows])
    assert asked.task_coef_.tobytes() == model.task_coef_.tobytes()
    assert asked.task_intercept_.tobytes() == model.task_intercept_.tobytes()


# ---- regression


def test_intervals_cover_known_new_and_mixed_rows():
    X, y, tasks, _ = make(n_tasks=300)
    known = tasks < 200
    first = np.arange(len(y)) % N_ROWS < N_ROWS // 2
    model = MixedEffectsRegressor().fit(
        X[known & first], y[known & first], tasks=tasks[known & first]
    )
    later = ~first | ~known
    interval = model.predict_interval(X[later], tasks=tasks[later], coverage=0.9)
    inside = (interval[:, 0] <= y[later]) & (y[later] <= interval[:, 1])
    is_known = known[later]
    assert 0.86 < inside[is_known].mean() < 0.94
    assert 0.86 < inside[~is_known].mean() < 0.94
    mean, std = model.predict(X[later], tasks=tasks[later], return_std=True)
    assert_allclose(interval.mean(axis=1), mean)
    assert std[~is_known].mean() > 2 * std[is_known].mean()


def test_intervals_of_adapted_models_cover():
    X, y, tasks, _ = make(n_tasks=300)
    known = tasks < 200
    model = MixedEffectsRegressor().fit(X[known], y[known], tasks=tasks[known])
    inside = []
    for task in range(200, 300):
        first, rest = np.split(np.flatnonzero(tasks == task), [N_ROWS // 2])
        adapted = model.adapt(X[first], y[first])
        low, high = adapted.predict_interval(X[rest], coverage=0.9).T
        inside.append((low <= y[rest]) & (y[rest] <= high))
    assert 0.86 < np.concatenate(inside).mean() < 0.94
    with pytest.raises(ValueError, match=r"coverage must .* Got 90"):
        adapted.predict_interval(X[rest], coverage=90)


@pytest.mark.parametrize("between", [False, True], ids="between={}".format)
def test_adapted_is_the_posterior_of_a_new_task(between):
    X, y, tasks, _ = make(3)
    old, new = tasks < N_TASKS - 1, tasks == N_TASKS - 1
    model = MixedEffectsRegressor(between=between).fit(X[old], y[old], tasks=tasks[old])
    half, rest = np.flatnonzero(new)[:5], np.flatnonzero(new)[5:]
    at_once = model.adapt(X[new], y[new])
    in_two = model.adapt(X[half], y[half])
    if not between:  # the level of the task depends on the rows that are known
        in_two.partial_fit(X[rest], y[rest])
        for a, b in zip(
            at_once.predict(X, return_std=True),
            in_two.predict(X, return_std=True),
            strict=True,
        ):
            assert_allclose(a, b, rtol=1e-6)
    alone = clone(model).set_params(covariance="diagonal")
    alone.fit(X, y, tasks=tasks)
    known = alone.predict(X[new], tasks=tasks[new])
    assert np.abs(at_once.predict(X[new]) - known).mean() < 0.2 * y[new].std()


def test_differences_in_the_frame_and_their_deviations_are_right():
    X, y, tasks, theta = make(5, n_tasks=400)
    model = MixedEffectsRegressor().fit(X, y, tasks=tasks)
    frame = model.task_frame()
    assert list(frame.columns) == [
        "n_samples",
        *("x0", "x0_std", "x1", "x1_std", "x2", "x2_std"),
        *("intercept", "intercept_std"),
    ]
    assert (frame["n_samples"] == N_ROWS).all()
    difference = theta[:, 0] - theta[:, 0].mean()
    scaled = (frame["x0"] - difference) / frame["x0_std"]
    assert 0.85 < np.sqrt((scaled**2).mean()) < 1.15


def test_level_model_is_demanded_chosen_or_left_out():
    rng = np.random.default_rng(0)
    tasks = np.repeat(np.arange(150), 8)
    means = rng.normal(size=(150, 1))
    X = means[tasks] + rng.normal(size=(len(tasks), 1))
    y = X[:, 0] - 3 * means[tasks, 0] + 0.3 * rng.normal(size=len(tasks))
    lines = {
        between: MixedEffectsRegressor(between=between).fit(X, y, tasks=tasks)
        for between in (True, False, "auto")
    }
    for between in (True, "auto"):  # the slope within is 1, of all rows about -0.5
        assert_allclose(lines[between].coef_, 1.0, atol=0.05)
        assert lines[between].new_task_coef_[0] < 0
    assert_allclose(lines[False].new_task_coef_, lines[False].coef_)
    line = X[:, 0] + 0.3 * rng.normal(size=len(tasks))  # one slope within and between
    plain = MixedEffectsRegressor(between="auto").fit(X, line, tasks=tasks)
    assert_allclose(plain.new_task_coef_, 1.0, atol=0.05)


def test_names_choose_what_varies():
    pd = pytest.importorskip("pandas")
    X, y, tasks, _ = make()
    frame = pd.DataFrame(X, columns=["price", "size", "rate"]).assign(store=tasks)
    model = MixedEffectsRegressor(random_effects=["price"], task_column="store")
    model.fit(frame, y)
    varies = np.diag(model.covariance_)[:D] > 0
    assert varies.tolist() == [True, False, False]
    assert "price" in model.task_frame().columns
    with pytest.raises(ValueError, match="random_effects names 'weight'"):
        clone(model).set_params(random_effects=["weight"]).fit(frame, y)
    with pytest.raises(ValueError, match=r"positions of columns of X \(0 to 2\)"):
        clone(model).set_params(random_effects=[3]).fit(frame, y)


def test_forgotten_tasks_are_unknown_and_lose_their_influence():
    X, y, tasks, _ = make()
    kept = tasks >= 10
    model = MixedEffectsRegressor().fit(X, y, tasks=tasks)
    model.forget(range(10)).refresh()
    alone = MixedEffectsRegressor().fit(X[kept], y[kept], tasks=tasks[kept])
    assert_allclose(model.coef_, alone.coef_, rtol=1e-5)
    assert_allclose(model.noise_variance_, alone.noise_variance_, rtol=1e-5)
    assert model.task_labels_.tolist() == list(range(10, N_TASKS))
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match="Task 3 is unknown"):
        model.forget([12, 3])
    assert pickle.dumps(model) == before


def test_what_is_not_solved_names_what_solves_it():
    X, y, tasks, _ = make()
    with pytest.raises(TypeError, match=r"dense features.*FMRLRegressor"):
        MixedEffectsRegressor().fit(sp.csr_matrix(X), y, tasks=tasks)
    wide = np.zeros((4, 1000))
    with pytest.raises(ValueError, match=r"at most 1000 coefficients.*FMRLRegressor"):
        MixedEffectsRegressor().fit(wide, [1.0, 2.0, 3.0, 4.0], tasks=[0, 0, 1, 1])


def test_one_task_is_fitted_with_warnings_that_say_so():
    X, y, *_ = make(n_tasks=1)
    with pytest.warns(UserWarning) as records:
        MixedEffectsRegressor().fit(X, y)
    messages = [str(record.message) for record in records]
    assert any("no task labels" in message for message in messages)
    assert len(messages) > 1


# ---- classification


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_are_those_of_the_population(n_classes):
    X, y, tasks = make_classes(n_classes=n_classes, n_tasks=300)
    train = tasks < 200
    model = MixedEffectsClassifier().fit(X[train], y[train], tasks=tasks[train])
    P = model.predict_proba(X[~train])
    assert_allclose(P.sum(axis=1), 1.0)
    classes = model.classes_
    assert (classes[P.argmax(axis=1)] == model.predict(X[~train])).all()
    hit = y[~train][:, np.newaxis] == classes
    assert_allclose(P.mean(axis=0), hit.mean(axis=0), atol=0.05)
    sure = P > np.quantile(P, 0.8)
    assert abs(hit[sure].mean() - P[sure].mean()) < 0.06
    log_loss = -np.log(P[hit]).mean()
    assert log_loss < -np.log(hit.mean(axis=0)) @ hit.mean(axis=0)
    assert_allclose(np.exp(model.predict_log_proba(X[:5])), model.predict_proba(X[:5]))


def test_a_few_rows_improve_a_new_task():
    X, y, tasks = make_classes(1, n_tasks=200, n_rows=40)
    train = tasks < 150
    model = MixedEffectsClassifier().fit(X[train], y[train], tasks=tasks[train])
    shared, adapted = [], []
    for task in range(150, 200):
        rows = np.flatnonzero(tasks == task)
        new = model.adapt(X[rows[:20]], y[rows[:20]])
        hit = y[rows[20:], np.newaxis] == model.classes_
        shared.append(np.log(model.predict_proba(X[rows[20:]])[hit]).mean())
        adapted.append(np.log(new.predict_proba(X[rows[20:]])[hit]).mean())
    assert np.mean(adapted) > np.mean(shared) + 0.02


def test_class_weights_act_as_weights_of_rows():
    X, y, tasks = make_classes()
    weighted = MixedEffectsClassifier(class_weight={"a": 3.0}).fit(X, y, tasks=tasks)
    by_row = MixedEffectsClassifier().fit(
        X, y, tasks=tasks, sample_weight=np.where(y == "a", 3.0, 1.0)
    )
    assert_allclose(weighted.coef_, by_row.coef_)
    balanced = MixedEffectsClassifier(class_weight="balanced")
    balanced.fit(X, y, tasks=tasks)
    with pytest.raises(ValueError, match="'balanced' needs the rows of all tasks"):
        balanced.partial_fit(X, y, tasks=tasks)


def test_classes_are_fixed_by_the_first_call():
    X, y, tasks = make_classes()
    model = MixedEffectsClassifier()
    with pytest.raises(ValueError, match="classes must be passed"):
        model.partial_fit(X, y, tasks=tasks)
    model.partial_fit(X, y, tasks=tasks, classes=["a", "b", "z"])
    assert model.predict_proba(X[:2]).shape == (2, 3)
    with pytest.raises(ValueError, match="'other'.*not one of the classes"):
        model.partial_fit(X[:2], ["a", "other"], tasks=99)


# ---- both


def test_stream_of_rows_in_any_order_ends_where_fit_does():
    X, y, tasks, _ = make()
    order = np.random.default_rng(1).permutation(len(y))
    model = MixedEffectsRegressor()
    for rows in np.array_split(order, 40):
        model.partial_fit(X[rows], y[rows], tasks=tasks[rows])
    model.refresh()
    whole = MixedEffectsRegressor().fit(X, y, tasks=tasks)
    for name in ("coef_", "intercept_", "covariance_", "noise_variance_"):
        assert_allclose(getattr(model, name), getattr(whole, name), rtol=1e-6)
    assert_allclose(
        model.predict(X, tasks=tasks), whole.predict(X, tasks=tasks), rtol=1e-6
    )


@given(
    seed=st.integers(0, 2**20),
    scale=st.sampled_from([1e-3, 1.0, 1e4]),
    heavy=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_regret_is_below_its_certificate_on_any_sequence(seed, scale, heavy):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, size=12)
    tasks = np.repeat(np.arange(12), lengths)
    X = scale * rng.normal(size=(len(tasks), 2)) + rng.normal()
    y = rng.standard_cauchy(len(tasks)) if heavy else rng.normal(size=len(tasks))
    report = regret_report(MixedEffectsRegressor(), X, y, tasks)
    assert report.covered
    slack = 1e-9 * (1.0 + np.abs(report.loss))
    assert (report.regret <= report.bound + slack).all()


def test_regret_of_a_classifier_is_below_its_certificate():
    X, y, tasks = make_classes(2, n_tasks=12, n_rows=60)
    report = regret_report(MixedEffectsClassifier(), X, y, tasks)
    assert report.covered
    assert (report.regret <= report.bound).all()


@pytest.mark.parametrize("family", [MixedEffectsRegressor, FMRLRegressor])
def test_a_copy_in_mid_stream_goes_on_alone(family):
    X, y, tasks, _ = make()
    first, second = tasks < 30, (tasks >= 20) & (tasks < 40)
    model = family().fit(X[first], y[first], tasks=tasks[first])
    twin = pickle.loads(pickle.dumps(model))
    model.partial_fit(X[second], y[second], tasks=tasks[second])
    assert len(twin.task_labels_) == 30
    twin.partial_fit(X[second], y[second], tasks=tasks[second])
    assert_allclose(twin.predict(X, tasks=tasks), model.predict(X, tasks=tasks))
