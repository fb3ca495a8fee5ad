"""The pooled first initialization against independent solvers, and its edges."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression, Ridge, SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from theory_reference import (
    LOSSES,
    REGRESSION_LOSSES,
    Task,
    distance_to_optimality,
    random_task,
    stack,
    theta_of,
)

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta.linear_model import BiasedRidge, OGDClassifier, OGDRegressor
from skmeta.metrics import regret_report

each_loss = pytest.mark.parametrize("loss", LOSSES)
SIZES = np.array([9, 4, 12, 7])
SCALES = np.array([1e-3, 1.0, 200.0])
SHIFTS = np.array([1e-2, -3.0, 1000.0])


def make(loss, seed=0, n_classes=3, **options):
    """Tasks with features on three scales, far from the origin."""
    rng = np.random.default_rng(seed)
    tasks = [random_task(rng, loss, m, 3, n_classes=n_classes) for m in SIZES]
    for task in tasks:
        task.X = SCALES * task.X + SHIFTS
        task.y = task.y if task.n_classes else 5.0 * task.y + 70.0
    X, y, labels = stack(tasks)
    weight = rng.integers(1, 4, len(y)).astype(float)
    return Task(X, y, loss, tasks[0].n_classes, weight, **options), labels


def model_for(task, inner=None, **params):
    """A model that stays where it starts, unless told otherwise."""
    learner = OGDClassifier if task.n_classes else OGDRegressor
    kind = FMRLClassifier if task.n_classes else FMRLRegressor
    params = {"meta_step_size": 0.0, "standardize": False} | params
    return kind(learner(**task.options | (inner or {})), init="pooled", **params)


def start(task, labels, **params):
    """phi_1."""
    model = model_for(task, **params)
    return theta_of(model.fit(task.X, task.y, tasks=labels, sample_weight=task.weight))


def deviations(values, weight, fit_intercept):
    """Weighted mean and standard deviation, around zero without an intercept."""
    mean = np.average(values, axis=0, weights=weight) * fit_intercept
    return mean, np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weight))


@pytest.mark.parametrize("fit_intercept", [True, False])
@each_loss
def test_minimises_the_loss_of_all_rows_and_a_ridge(loss, fit_intercept):
    task, labels = make(loss, fit_intercept=fit_intercept)
    phi = start(task, labels)
    mean, scale = deviations(task.X, task.weight, fit_intercept)
    standard = replace(task, X=(task.X - mean) / scale)
    strength, offset = 1.0, 0.0
    if not task.n_classes:
        offset, spread = deviations(task.y, task.weight, fit_intercept)
        slopes = [task.functions[1](0.0, end) for end in (-spread, spread)]
        strength = np.abs(slopes).max() / spread
    center = np.zeros(task.shape)
    center[:, -1] = offset
    pull = np.full(task.shape, strength)
    pull[:, -1] *= 1e-3
    theta = phi.copy()
    theta[:, :-1] *= scale
    theta[:, -1] += phi[:, :-1] @ mean
    assert distance_to_optimality(standard, theta, center, pull) < 1e-9
    assert fit_intercept or not phi[:, -1].any()


def test_equals_ridge_regression_on_standardised_features():
    task, labels = make("squared_error")
    phi = start(task, labels)
    ridge = make_pipeline(StandardScaler(), Ridge(1.0))
    ridge.fit(
        task.X,
        task.y,
        standardscaler__sample_weight=task.weight,
        ridge__sample_weight=task.weight,
    )
    predicted = task.X @ phi[0, :-1] + phi[0, -1]
    assert_allclose(predicted, ridge.predict(task.X), rtol=1e-10)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_is_logistic_regression_one_against_all(n_classes):
    task, labels = make("log_loss", n_classes=n_classes)
    scores = task.scores(start(task, labels))
    Z = StandardScaler().fit(task.X, sample_weight=task.weight).transform(task.X)
    for k in range(n_classes if n_classes > 2 else 1):
        one = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000)
        one.fit(Z, task.targets[:, k] > 0, sample_weight=task.weight)
        # scikit-learn leaves the intercept free
        assert_allclose(scores[:, k], one.decision_function(Z), atol=1e-3)


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
def test_units_do_not_matter(loss):
    numbers = {} if loss not in ("huber", "epsilon_insensitive") else {"epsilon": 1.0}
    task, labels = make(loss)
    in_cents = {"epsilon": 100.0} if numbers else {}
    phi = start(task, labels, inner=numbers)
    task.X, task.y = task.X * [2.0, 1e6, 1e-6], 100.0 * task.y
    rescaled = start(task, labels, inner=in_cents)
    expected = 100.0 * phi / [2.0, 1e6, 1e-6, 1.0]
    assert_allclose(rescaled, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_sparse_rows_start_where_dense_rows_do(loss, container, dtype):
    task, labels = make(loss)
    task.X = np.where(np.abs(task.X) > 1.0, task.X, 0.0).astype(dtype)
    dense = start(task, labels)
    task.X = container(task.X)
    assert_array_equal(start(task, labels), dense)


@each_loss
def test_weights_equal_repetition(loss):
    task, labels = make(loss)
    weighted = start(task, labels)
    rows = np.repeat(np.arange(len(task.y)), task.weight.astype(int))
    repeated = Task(task.X[rows], task.y[rows], loss, task.n_classes)
    assert_allclose(start(repeated, labels[rows]), weighted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_a_row_of_weight_zero_changes_nothing(loss):
    task, labels = make(loss)
    expected = start(task.rows(np.arange(5, 32)), labels[5:])
    task.weight[:5] = 0.0
    task.X[:5] = 1e6
    assert_array_equal(start(task, labels), expected)


def test_interleaved_tasks_start_where_stacked_ones_do():
    task, labels = make("squared_error")
    shuffled = np.random.default_rng(0).permutation(len(labels))
    phi = start(task.rows(shuffled), labels[shuffled])
    assert_allclose(phi, start(task, labels), rtol=1e-9)


@pytest.mark.parametrize("bad", ["X", "y"])
@pytest.mark.parametrize("sparse", [False, True])
def test_bad_tasks_are_left_out(bad, sparse):
    task, labels = make("squared_error")
    good = labels != 1
    expected = start(task.rows(good), labels[good])
    (task.X if bad == "X" else task.y)[np.flatnonzero(~good)[2]] = np.nan
    with pytest.raises(ValueError, match="Task 1: "):
        start(task, labels)
    task.X = sp.csr_array(task.X) if sparse else task.X
    phi = start(task, labels, on_bad_task="skip")
    assert_allclose(phi, expected, rtol=1e-9)


def test_no_task_to_pool_is_an_error():
    X, y = np.full((3, 2), np.nan), np.ones(3)
    model = FMRLRegressor(init="pooled", on_bad_task="skip")
    with pytest.raises(ValueError, match="None of the 1 tasks.*NaN"):
        model.fit(X, y, tasks=[0, 0, 0])
    assert not hasattr(model, "coef_")


def test_a_constant_feature_gets_no_weight():
    task, labels = make("squared_error")
    task.X[:, 1] = 0.1
    phi = start(task, labels)
    assert phi[0, 1] == 0.0
    task.X = task.X[:, [0, 2]]
    assert_allclose(phi[0, [0, 2, 3]], start(task, labels)[0], rtol=1e-9)


@each_loss
def test_a_constant_target(loss):
    task, labels = make(loss)
    if task.n_classes:
        task = Task(task.X, (task.y > 0).astype(int), loss, 3, task.weight)
        model = model_for(task).fit(task.X, task.y, tasks=labels, classes=[0, 1, 2])
        assert (model.decision_function(task.X).argmax(axis=1) != 2).all()
    else:
        task.y[:] = 3.0
        phi = start(task, labels)
        assert_allclose(task.X @ phi[0, :-1] + phi[0, -1], 3.0, atol=0.5)


@pytest.mark.parametrize("update", ["implicit", "eg"])
def test_starts_in_the_ball(update):
    task, labels = make("squared_error")
    task.X = (task.X - SHIFTS) / SCALES
    size = np.linalg.norm if update != "eg" else lambda phi: np.abs(phi).sum()
    free = start(task, labels)
    inside = {"update": update, "radius": 2.0 * size(free)}
    on_it = {"update": update, "radius": 0.5 * size(free)}
    assert_array_equal(start(task, labels, inner=inside), free)
    assert_allclose(start(task, labels, inner=on_it), 0.5 * free)


# ---- what becomes of it


def test_counts_as_much_as_the_tasks_it_comes_from():
    task, labels = make("squared_error")
    phi = start(task, labels)
    model = model_for(task, meta_step_size="ftl", step_size="fixed")
    model.fit(task.X, task.y, tasks=labels, sample_weight=task.weight)
    own = np.column_stack([model.task_coef_, model.task_intercept_])
    mean = np.average(own, axis=0, weights=np.sqrt(SIZES))
    assert_allclose(theta_of(model)[0], (phi[0] + mean) / 2, rtol=1e-9)
    model.set_params(n_passes=2)
    model.fit(task.X, task.y, tasks=labels, sample_weight=task.weight)
    own = np.column_stack([model.task_coef_, model.task_intercept_])
    last = np.average(own, axis=0, weights=np.sqrt(SIZES))
    assert_allclose(theta_of(model)[0], (phi[0] + mean + last) / 3, rtol=1e-3)


def test_first_step_of_follow_the_leader():
    task, labels = make("squared_error")
    only = labels == 0
    model = model_for(task, meta_step_size="ftl", step_size="fixed")
    model.fit(task.X[only], task.y[only], tasks=labels[only])
    phi = start(replace(task.rows(only), weight=None), labels[only])
    own = np.column_stack([model.task_coef_, model.task_intercept_])
    assert_allclose(theta_of(model) - phi, (own - phi) / 2.0, atol=1e-11)


@pytest.mark.parametrize("standardize", [True, False])
def test_partial_fit_refuses_to_pool_what_it_does_not_have(standardize):
    task, labels = make("squared_error")
    first = labels < 2
    model = model_for(task, standardize=standardize)
    before = vars(model).copy()
    with pytest.raises(ValueError, match="init='pooled'.*all tasks.*call fit first"):
        model.partial_fit(task.X[first], task.y[first], tasks=labels[first])
    assert vars(model) == before
    model.fit(task.X[first], task.y[first], tasks=labels[first])
    expected = start(replace(task.rows(first), weight=None), labels[first])
    model.partial_fit(task.X[~first], task.y[~first], tasks=labels[~first])
    scores = task.X @ theta_of(model)[0, :-1] + model.intercept_
    assert_allclose(scores, task.X @ expected[0, :-1] + expected[0, -1], rtol=1e-9)


def test_warm_start_continues_from_what_was_learned():
    task, labels = make("squared_error")
    model = model_for(task, warm_start=True)
    model.fit(task.X, task.y, tasks=labels)
    before = theta_of(model)
    model.fit(task.X, -task.y, tasks=labels)
    assert_array_equal(theta_of(model), before)


def test_guarantees_are_reported_from_it():
    task, labels = make("squared_error")
    task.X = (task.X - SHIFTS) / SCALES
    model = model_for(task, meta_step_size="ftl").fit(task.X, task.y, tasks=labels)
    report = regret_report(model, task.X, task.y, labels)
    losses = [record["loss"] * record["n_samples"] for record in model.history_]
    assert_allclose(report.loss, losses, rtol=1e-9)


def test_full_loss_learners_start_there():
    task, labels = make("squared_error", fit_intercept=True)
    task.weight = None
    model = FMRLRegressor(
        BiasedRidge(), init="pooled", meta_step_size=0.0, standardize=False
    ).fit(task.X, task.y, tasks=labels)
    assert_allclose(theta_of(model), start(task, labels), rtol=1e-12)


def test_other_estimators_are_refused():
    model = FMRLRegressor(SGDRegressor(), step_size="fixed", init="pooled")
    with pytest.raises(
        ValueError, match="SGDRegressor does not name the loss.*init='zero'"
    ):
        model.fit([[1.0], [2.0]], [1.0, 2.0], tasks=[0, 1])


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="'init' parameter of FMRLRegressor"):
        FMRLRegressor(init="mean").partial_fit([[1.0], [2.0]], [1.0, 2.0])


def test_more_features_than_rows():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(10, 40)), rng.normal(size=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = FMRLRegressor(init="pooled", meta_step_size=0.0)
        model.fit(X, y, tasks=np.repeat([0, 1], 5))
    ridge = make_pipeline(StandardScaler(), Ridge(1.0)).fit(X, y)
    assert_allclose(model.predict(X), ridge.predict(X), rtol=1e-9)
