"""Learning in units that are estimated from the rows."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from problems import (
    PROBLEMS,
    assert_equal_models,
    first_call,
    make,
    model_for,
    on_all_problems,
    scores,
    stream,
)
from sklearn.base import clone
from sklearn.linear_model import Ridge, SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta.datasets import load_wage_panel, make_task_regression
from skmeta.linear_model import (
    BiasedLogisticRegression,
    BiasedRidge,
    OGDClassifier,
    OGDRegressor,
)
from skmeta.metrics import regret_report

SCALES = np.array([1e-4, 30.0, 2e5, 1.0])
SHIFTS = np.array([1e-3, -700.0, 3e6, 0.0])
STEP_SIZES = ["fixed", "doubling", "isotropic", "per_coordinate"]
on_all_step_sizes = pytest.mark.parametrize("step_size", STEP_SIZES)


def exact(problem):
    return BiasedRidge() if problem == "regression" else BiasedLogisticRegression()


# ---- units do not matter


@on_all_step_sizes
@pytest.mark.parametrize("inner", ["ogd", "exact"])
@on_all_problems
def test_predictions_do_not_depend_on_units_of_the_features(problem, inner, step_size):
    X, y, tasks = make(problem)
    estimator = exact(problem) if inner == "exact" else None
    model = model_for(problem, step_size=step_size).set_params(estimator=estimator)
    moved = SCALES * X + SHIFTS
    one = clone(model).fit(X, y, tasks=tasks)
    other = clone(model).fit(moved, y, tasks=tasks)
    for labels in (tasks, None):
        found, expected = scores(other, moved, labels), scores(one, X, labels)
        assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    assert_allclose(other.step_size_, one.step_size_, rtol=1e-7)
    for name in ("loss", "distance", "grad_sq_norm", "step_size"):
        assert_allclose(other.history_[name], one.history_[name], rtol=1e-6)
    shots = slice(4)
    adapted = [one.adapt(X[shots], y[shots]), other.adapt(moved[shots], y[shots])]
    if problem == "regression":
        predicted = adapted[0].predict(X), adapted[1].predict(moved)
    else:
        predicted = (
            adapted[0].decision_function(X),
            adapted[1].decision_function(moved),
        )
    assert_allclose(predicted[1], predicted[0], rtol=1e-6, atol=1e-7)


@on_all_step_sizes
@pytest.mark.parametrize(
    ("loss", "degree"),
    [("squared_error", 2), ("absolute_error", 1), ("pinball", 1)],
)
def test_predictions_do_not_depend_on_units_of_the_target(loss, degree, step_size):
    X, y, tasks = make("regression")
    model = FMRLRegressor(OGDRegressor(loss), step_size=step_size)
    one = clone(model).fit(X, y, tasks=tasks)
    other = clone(model).fit(X, 250.0 * y + 1e4, tasks=tasks)
    expected = 250.0 * one.predict(X, tasks=tasks) + 1e4
    assert_allclose(other.predict(X, tasks=tasks), expected, rtol=1e-8)
    assert_allclose(other.predict(X), 250.0 * one.predict(X) + 1e4, rtol=1e-8)
    losses = 250.0**degree * one.history_["loss"]
    assert_allclose(other.history_["loss"], losses, rtol=1e-6)
    expected = 250.0 * one.adapt(X[:4], y[:4]).predict(X) + 1e4
    adapted = other.adapt(X[:4], 250.0 * y[:4] + 1e4)
    assert_allclose(adapted.predict(X), expected, rtol=1e-8)


@on_all_step_sizes
@pytest.mark.parametrize("given", [[0.0, 0.0, 0.0, 0.0, 0.0], "pooled"], ids=str)
def test_a_start_that_is_given_is_raw(given, step_size):
    """Zero is, too, if it is given: far from a target of large mean."""
    X, y, tasks = make("regression")
    model = FMRLRegressor(init=given, meta_step_size=0.0, step_size=step_size)
    model.fit(X, y + 50.0, tasks=tasks)
    if given != "pooled":
        assert not model.coef_.any() and not model.intercept_.any()
        assert model.history_["loss"][0] > 20.0**2 / 2
    else:
        assert_allclose(model.intercept_, 50.0, atol=5.0)


@pytest.mark.parametrize(
    ("kind", "problem"),
    [(FMRLRegressor, "regression"), (FMRLClassifier, "two-classes")],
)
def test_dates_in_seconds_are_learned_from(kind, problem):
    """Seconds since 1970 vary by less than a part in a hundred of their size."""
    X, y, tasks = make(problem, n_tasks=40, n_samples=8)
    start = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    dated = X.copy()
    dated[:, 0] = start + 86400.0 * X[:, 0]
    expected = kind().fit(X, y, tasks=tasks)
    model = kind().fit(dated, y, tasks=tasks)
    found = scores(model, dated, tasks)
    assert_allclose(found, scores(expected, X, tasks), rtol=1e-4, atol=1e-4)
    assert model.score(dated, y, tasks=tasks) > 0.5


# ---- fit is partial_fit, whatever there is between the tasks


@on_all_step_sizes
@pytest.mark.parametrize("convert", [np.array, sp.csr_array, np.float32])
@on_all_problems
def test_fit_equals_partial_fit_task_by_task(problem, convert, step_size):
    X, y, tasks = make(problem)
    X = convert(SCALES * X if convert is not np.array else SCALES * X + SHIFTS)
    model = model_for(problem, step_size=step_size)
    fitted = clone(model).fit(X, y, tasks=tasks)
    assert_equal_models(stream(model, X, y, tasks), fitted)


@on_all_problems
def test_going_on_in_a_copy_is_going_on(problem):
    X, y, tasks = make(problem)
    early = tasks < 6
    model = model_for(problem).fit(SCALES * X[early], y[early], tasks=tasks[early])
    whole = clone(model).fit(SCALES * X, y, tasks=tasks)
    if (np.diff(np.flatnonzero(early)) == 1).all():
        model.partial_fit(SCALES * X[~early], y[~early], tasks=tasks[~early])
        assert_equal_models(model, whole)
    others = clone(model).fit(SCALES * X[early], y[early], tasks=tasks[early])
    before = [np.copy(others.coef_), scores(others, SCALES * X, tasks)]
    others.partial_fit(SCALES * X[~early], y[~early], **first_call(y, others))
    assert not np.array_equal(others.coef_, before[0])
    late = scores(others, SCALES * X, tasks)
    # tasks that were learned keep their predictions when units move
    assert_allclose(late[early], before[1][early], rtol=1e-9)


def test_known_tasks_predict_the_same_after_units_have_moved():
    """What is stored is raw: a change of units by 1e3 does not affect it."""
    X, y, tasks = make("regression")
    model = FMRLRegressor().fit(X, y, tasks=tasks)
    before = model.predict(X, tasks=tasks)
    model.partial_fit(1e3 * X + 1e4, 50.0 * y - 1e5, tasks=tasks + 100)
    assert_array_equal(model.predict(X, tasks=tasks), before)


def test_a_returning_task_starts_at_its_own_predictions():
    """Its first row is predicted with what it has learned, in raw units."""
    X, y, tasks = make("regression", n_samples=5)
    X, y = SCALES * X + SHIFTS, 20.0 * y - 300.0
    model = FMRLRegressor().fit(X, y, tasks=tasks)
    row = X[tasks == 3][:1]
    expected = model.predict(row, tasks=3)
    target = expected + 8.0
    model.partial_fit(row, target, tasks=3)
    assert_allclose(model.history_["loss"][-1], 8.0**2 / 2, rtol=1e-6)


# ---- columns that have not varied


@on_all_step_sizes
def test_a_column_that_is_constant_for_ten_tasks_then_counts(step_size):
    X, y, tasks = make("regression", n_tasks=60, n_samples=6, shuffle=False)
    effect = 4.0 * (np.arange(len(y)) % 2)
    switch = np.where(tasks < 10, 7.5, 7.5 + effect)
    late = tasks >= 10
    model = FMRLRegressor(step_size=step_size)
    early = np.column_stack([X, switch])
    model.fit(early[~late], y[~late], tasks=tasks[~late])
    assert model.coef_[-1] == 0.0
    assert (model.task_coef_[:, -1] == 0.0).all()
    without = FMRLRegressor(step_size=step_size)
    without.fit(X[~late], y[~late], tasks=tasks[~late])
    assert np.isfinite(model.predict(early)).all()
    model.partial_fit(early[late], (y + effect)[late], tasks=tasks[late])
    assert np.isfinite(model.task_coef_).all()
    assert model.coef_[-1] > 0.2
    assert (model.task_coef_[:10, -1] == 0.0).all()


def test_columns_that_never_vary_have_no_weight():
    X, y, tasks = make("regression")
    constant = np.column_stack([X, np.full(len(X), 0.1), np.zeros(len(X))])
    model = FMRLRegressor().fit(constant, y, tasks=tasks)
    assert not model.coef_[-2:].any() and not model.task_coef_[:, -2:].any()
    assert not model.adapt(constant[:4], y[:4]).coef_[-2:].any()


@pytest.mark.parametrize("kind", [FMRLRegressor, FMRLClassifier])
def test_rows_that_are_all_alike(kind):
    X, y = np.tile([3.0, -1.0], (6, 1)), np.array([0, 1, 0, 1, 0, 1])
    model = kind().fit(X, y, tasks=[0, 0, 0, 1, 1, 1])
    assert np.isfinite(model.predict(X)).all()
    assert not model.coef_.any()


# ---- the first task


@on_all_step_sizes
@on_all_problems
def test_the_first_task_is_learned_in_units_of_its_own_rows(problem, step_size):
    """As raw steps on its standardised rows would, root of the features included."""
    X, y, tasks = make(problem, n_samples=9)
    rows = np.flatnonzero(tasks == tasks[0])
    classes = first_call(y, model_for(problem))
    X, y = SCALES * X[rows] + SHIFTS, y[rows]
    size = X.std(axis=0) * np.sqrt(X.shape[1])
    Z = (X - X.mean(axis=0)) / size
    offset, unit = (y.mean(), y.std()) if problem == "regression" else (0.0, 1.0)
    target = (y - offset) / unit if problem == "regression" else y
    model = model_for(problem, step_size=step_size)
    model.partial_fit(X, y, tasks=0, **classes)
    raw = model_for(problem, inner={}, step_size=step_size)
    raw.partial_fit(Z, target, tasks=0, **classes)
    assert_allclose(
        scores(model, X, 0), unit * scores(raw, Z, 0) + offset, rtol=1e-6, atol=1e-8
    )
    assert_allclose(model.history_["distance"], raw.history_["distance"], rtol=1e-7)
    assert_allclose(model.history_["loss"], unit**2 * raw.history_["loss"], rtol=1e-7)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
@pytest.mark.parametrize("options", [{}, {"step_size": "isotropic"}, {"n_passes": 2}])
@pytest.mark.parametrize("first", [[1], [1, 1], [3]])
def test_first_targets_that_do_not_vary_have_no_unit(kernel, first, options, loss):
    rng = np.random.default_rng(0)
    lengths = [*first, *[5] * 8]
    tasks = np.repeat(np.arange(len(lengths)), lengths)
    X = rng.normal(size=(len(tasks), 3))
    y = X @ [1.0, 2.0, -1.0] + rng.normal(size=len(tasks))
    y[: sum(first)] = 2.0

    def fitted(unit, offset):
        inner = OGDRegressor(loss, epsilon=0.1 * unit)
        return FMRLRegressor(inner, **options).fit(X, unit * y + offset, tasks=tasks)

    plain = fitted(1.0, 0.0)
    new = plain.adapt(X[:4], y[:4])
    for unit, offset in ((1e3, 0.0), (1e-3, 0.0), (1e4, -7e4)):
        moved = fitted(unit, offset)
        for labels in (None, tasks):
            found = (moved.predict(X, tasks=labels) - offset) / unit
            assert_allclose(found, plain.predict(X, tasks=labels), rtol=1e-6, atol=1e-7)
        found = moved.adapt(X[:4], unit * y[:4] + offset).predict(X)
        assert_allclose((found - offset) / unit, new.predict(X), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", [FMRLRegressor, FMRLClassifier])
def test_a_first_task_of_one_row(kind):
    first = {} if kind is FMRLRegressor else {"classes": [0, 1]}
    model = kind().partial_fit([[5.0, 2e6]], [1], tasks="a", **first)
    assert np.isfinite(model.predict([[5.0, 2e6], [4.0, 1e6]])).all()
    model.partial_fit([[4.0, 1e6], [6.0, 3e6]], [0, 1], tasks="b")
    assert np.isfinite(model.task_coef_).all()


# ---- adapted estimators


@pytest.mark.parametrize(
    "inner", [OGDRegressor(), OGDRegressor(average=True), BiasedRidge()], ids=repr
)
def test_adapt_and_its_own_partial_fit_stay_in_units(inner):
    """Five rows, and five more: the same predictions on any scale."""
    X, y, tasks = make("regression", n_samples=10)
    moved, target = SCALES * X + SHIFTS, 30.0 * y + 900.0
    predicted = []
    for features, values in ((X, y), (moved, target)):
        model = FMRLRegressor(clone(inner)).fit(features, values, tasks=tasks)
        head, tail = np.flatnonzero(tasks == 4)[:5], np.flatnonzero(tasks == 4)[5:]
        adapted = model.adapt(features[head], values[head])
        adapted.partial_fit(features[tail], values[tail])
        predicted.append(adapted.predict(features))
    assert_allclose(predicted[1], 30.0 * predicted[0] + 900.0, rtol=1e-7)


@pytest.mark.parametrize("problem", PROBLEMS[1:])
def test_an_adapted_classifier_continues_in_units(problem):
    X, y, tasks = make(problem, n_samples=10)
    moved, decisions = SCALES * X + SHIFTS, []
    for features in (X, moved):
        model = model_for(problem).fit(features, y, tasks=tasks)
        adapted = model.adapt(features[:4], y[:4]).partial_fit(features[4:9], y[4:9])
        decisions.append(adapted.decision_function(features))
    assert_allclose(decisions[1], decisions[0], rtol=1e-6, atol=1e-7)


def test_an_adapted_foreign_estimator_predicts_raw_targets():
    """Its features are in units; its loss is unknown, so its target is not."""
    X, y, tasks = make_task_regression(60, 10, 4, random_state=0)
    inner = SGDRegressor(learning_rate="constant", eta0=0.1, random_state=0)
    predicted = []
    for features in (X, SCALES * X + SHIFTS):
        model = FMRLRegressor(inner).fit(features, y, tasks=tasks)
        assert model.score(features, y, tasks=tasks) > 0.3
        rows = tasks == 7
        adapted = model.adapt(features[rows], y[rows])
        assert type(adapted) is SGDRegressor
        predicted.append(adapted.predict(features))
    assert_allclose(predicted[1], predicted[0], rtol=1e-6, atol=1e-7)


# ---- what is refused


@pytest.mark.parametrize(
    ("kind", "inner"),
    [(FMRLRegressor, OGDRegressor), (FMRLClassifier, OGDClassifier)],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_ball_of_raw_parameters_is_refused(kind, inner, method):
    model = kind(inner(radius=1.0))
    first = {"classes": [0, 1]} if kind is FMRLClassifier else {}
    with pytest.raises(ValueError, match="radius=1, a ball of raw .*standardize=False"):
        getattr(model, method)([[0.0], [1.0]], [0, 1], tasks=[0, 0], **first)
    model.set_params(standardize=False)
    getattr(model, method)([[0.0], [1.0]], [0, 1], tasks=[0, 0], **first)


# ---- what it is good for


def error_of_new_workers(model, X, y, workers):
    """Of a model that predicts unknown workers, in five splits."""
    errors = []
    for fold in range(5):
        new = workers % 5 == fold
        model = clone(model)
        options = {"tasks": workers[~new]} if isinstance(model, FMRLRegressor) else {}
        model.fit(X[~new], y[~new], **options)
        errors.append(np.mean((y[new] - model.predict(X[new])) ** 2))
    return np.sqrt(np.mean(errors))


@pytest.mark.slow
@pytest.mark.parametrize("init", ["zero", "pooled"])
def test_raw_wages_are_predicted_no_worse_than_scaled_ones(init):
    """Raw: years, hours of work and dummies, each in its unit."""
    panel = load_wage_panel()
    X = np.asarray(panel.data, dtype=float)
    y = np.asarray(panel.target, dtype=float)
    workers = pd.factorize(np.asarray(panel.tasks))[0]
    raw = error_of_new_workers(FMRLRegressor(init=init), X, y, workers)
    letter = FMRLRegressor(step_size="isotropic", standardize=False)
    scaled = StandardScaler().fit_transform(X)
    ogd = error_of_new_workers(letter, scaled, y, workers)
    ridge = make_pipeline(StandardScaler(), Ridge())
    pooled = error_of_new_workers(ridge, X, y, workers)
    assert raw <= ogd * 1.001
    assert raw < (1.15 if init == "zero" else 1.001) * pooled


@on_all_step_sizes
@pytest.mark.parametrize("inner", ["ogd", "exact"])
@pytest.mark.parametrize("problem", ["regression", "overlapping classes"])
def test_regret_is_below_the_certificate_in_units(problem, inner, step_size):
    """A change of coordinates that is fixed before a task leaves the bound valid."""
    rng = np.random.default_rng(0)
    if problem == "regression":
        X, y, tasks = make("regression", n_samples=(5, 9))
        y = 40.0 * y + 300.0
    else:  # each row with both labels: no separable task
        X, _, tasks = make("regression", n_samples=3)
        X, tasks = np.repeat(X, 2, axis=0), np.repeat(tasks, 2)
        y = np.tile([0, 1], len(X) // 2)
        rows = rng.permutation(len(y))
        X, y, tasks = X[rows], y[rows], tasks[rows]
    kind = "regression" if problem == "regression" else "two-classes"
    estimator = exact(kind) if inner == "exact" else None
    model = model_for(kind, step_size=step_size).set_params(estimator=estimator)
    report = regret_report(model, SCALES * X + SHIFTS, y, tasks)
    assert report.covered
    size = report.loss + report.optimal_loss + report.bound
    assert (report.regret <= report.bound + 1e-9 * size).all()
    assert report.task_averaged_regret <= report.certificate
    model.fit(SCALES * X + SHIFTS, y, tasks=tasks)
    loss = model.history_["loss"] * model.history_["n_samples"]
    assert_allclose(report.loss, loss, rtol=1e-9)
