"""What the report compares with: balls, given optima, paths, pipelines, growth."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from theory_models import make, model_for
from theory_reference import random_task, stack
from third_party.count_loss import Poisson

from skmeta import (
    FMRLClassifier,
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
)
from skmeta.linear_model import (
    BiasedLogisticRegression,
    Objective,
    OGDClassifier,
    OGDRegressor,
    Task,
)
from skmeta.losses import REGRESSION_LOSSES, SquaredError
from skmeta.meta_step_size import FollowTheLeader, LinearDecay
from skmeta.metrics import (
    coin_regret_bound,
    dynamic_regret_bound,
    dynamic_similarity,
    eg_regret_bound,
    follow_the_leader_identity,
    lower_bound_rate,
    omniscient,
    quadratic_growth,
    regret_bound,
    regret_report,
    risk_bound,
    single_task_figure,
    task_similarity,
)
from skmeta.metrics._report import BOUNDS

seeds = st.integers(0, 2**32 - 1)


def few_shot(seed, n_classes=2, n_tasks=8, n_samples=5):
    """Few rows per task: the classes can be separated."""
    tasks = make("log_loss", seed, random_task, (n_samples,) * n_tasks)
    X, y, labels = stack(tasks)
    if n_classes > 2:
        y = np.resize(np.arange(n_classes), len(y))
    return X, y, labels


# ---- the ball of tasks without an optimum

CLASSIFIERS = {
    "default": FMRLClassifier(),
    "raw": FMRLClassifier(standardize=False),
    "biased": FMRLClassifier(BiasedLogisticRegression()),
    "no-intercept": FMRLClassifier(OGDClassifier(fit_intercept=False)),
    "mixed": MixedEffectsClassifier(),
}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_separable_tasks_are_compared_in_a_ball(name, n_classes, global_random_seed):
    X, y, labels = few_shot(global_random_seed, n_classes, n_samples=3)
    model = CLASSIFIERS[name]
    report = regret_report(model, X, y, labels)
    largest = np.linalg.norm(report.task_parameters, axis=(1, 2)).max()
    assert_allclose(report.radius, 2.0 * largest)
    assert report.n_without_optimum > 0
    norms = np.linalg.norm(report.optima, axis=(1, 2))
    assert (norms <= report.radius * (1.0 + 1e-9)).all()
    assert report.covered
    assert (report.regret <= report.bound * (1.0 + 1e-9)).all()
    line = str(report).splitlines()[1]
    assert line.startswith("radius") and "have no optimum" in line
    assert "have no optimum" in report._repr_html_()
    best = omniscient(model, X, y, labels)
    assert_array_equal(best.optima, report.optima)
    assert best.ball_radius == report.radius


@pytest.mark.parametrize("standardize", [False, True])
def test_nothing_in_the_ball_has_less_loss(standardize, global_random_seed):
    """The log loss of the task, computed here, at random raw parameters."""
    X, y, labels = few_shot(global_random_seed)
    report = regret_report(FMRLClassifier(standardize=standardize), X, y, labels)
    rng = np.random.default_rng(global_random_seed)

    def losses(theta):
        scores = (2 * y - 1) * (X @ theta[0, :-1] + theta[0, -1])
        return np.logaddexp(0.0, -scores)

    for t, optimum in enumerate(report.optima):
        least = losses(optimum)[labels == t].sum()
        assert_allclose(report.optimal_loss[t], least, rtol=1e-6, atol=1e-12)
        for size in np.repeat([1.0, 0.1, 0.01], 20):
            other = optimum + size * rng.normal(size=optimum.shape)
            other *= min(1.0, report.radius / np.linalg.norm(other))
            assert losses(other)[labels == t].sum() >= least * (1.0 - 1e-7) - 1e-12


def test_one_separable_task_among_others():
    """One class that is apart from the others, among three, in one of the tasks."""
    X = np.tile(np.array([[0.0], [0.0], [1.0], [1.0], [0.5], [0.5]]), (3, 1))
    y = np.tile([0, 1, 0, 1, 1, 0], 3)
    labels = np.repeat([0, 1, 2], 6)
    y[labels == 1] = [0, 1, 0, 1, 2, 2]  # never alone, but for class 2
    X[(labels == 1) & (y == 2)] = 5.0
    y[labels == 2] = [0, 1, 2, 0, 1, 2]
    X[labels == 2] = 1.0
    report = regret_report(FMRLClassifier(standardize=False), X, y, labels)
    assert report.n_without_optimum == 2  # task 0 has no rows of class 2
    assert np.isfinite(report.radius)


def test_counts_that_are_all_zero(global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    X, labels = rng.normal(size=(24, 2)), np.repeat(np.arange(4), 6)
    y = rng.poisson(2.0, 24).astype(float)
    model = FMRLRegressor(OGDRegressor(Poisson(), update="implicit"))
    assert regret_report(model, X, y, labels).radius == np.inf
    y[labels == 2] = 0.0
    report = regret_report(model, X, y, labels)
    assert report.n_without_optimum == 1
    assert (report.regret <= report.bound + 1e-9 * np.abs(report.loss)).all()


def test_columns_that_do_not_vary(global_random_seed):
    """A column that is constant until the third task has no coefficient before."""
    X, y, labels = few_shot(global_random_seed, n_tasks=5)
    X = np.column_stack([X, np.where(labels < 2, 4.0, X[:, 0] ** 2), np.zeros(len(y))])
    report = regret_report(FMRLClassifier(), X, y, labels)
    assert_array_equal(report.optima[:2, :, 2], 0.0)
    assert (report.optima[2:, :, 2] != 0.0).all()
    assert_array_equal(report.optima[:, :, 3], 0.0)
    assert (report.regret <= report.bound * (1.0 + 1e-9)).all()


def test_a_radius_may_be_given(global_random_seed):
    tasks = make("squared_error", global_random_seed)
    data = stack(tasks)
    model = model_for(tasks[0])
    free = regret_report(model, *data)
    report = regret_report(model, *data, radius=0.3)
    assert report.radius == 0.3 and report.n_without_optimum == 0
    assert (np.linalg.norm(report.optima, axis=(1, 2)) <= 0.3 * (1 + 1e-9)).all()
    assert (report.optimal_loss >= free.optimal_loss).all()
    assert "ball of this radius" in str(report)
    assert "no optimum" not in str(report)
    wide = regret_report(model, *data, radius=1e4)
    assert_allclose(wide.optima, free.optima, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("radius", [0.0, -1.0, np.inf, np.nan])
def test_radius_is_positive(radius):
    tasks = make("squared_error", 0)
    with pytest.raises(ValueError, match=r"radius must be a finite number > 0. Got"):
        regret_report(model_for(tasks[0]), *stack(tasks), radius=radius)


def test_radius_of_the_learner_is_the_largest():
    tasks = make("squared_error", 0)
    model = model_for(tasks[0], inner={"radius": 0.5})
    report = regret_report(model, *stack(tasks), radius=0.25)
    assert report.radius == 0.25
    with pytest.raises(ValueError, match=r"radius=2.0 is larger than.* 0.5"):
        regret_report(model, *stack(tasks), radius=2.0)


# ---- given optima


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("family", [FMRLRegressor, MixedEffectsRegressor])
def test_optima_of_another_report(standardize, family, global_random_seed):
    X, y, labels = stack(make("squared_error", global_random_seed))
    model = FMRLRegressor(standardize=standardize)
    report = regret_report(model, X, y, labels)
    same = regret_report(model, X, y, labels, optima=report.optima)
    assert_allclose(same.bound, report.bound, rtol=1e-7)
    assert_allclose(same.optimal_loss, report.optimal_loss, rtol=1e-7, atol=1e-12)
    other = regret_report(family(), X, y, labels, optima=report.optima)
    assert_allclose(other.optima, report.optima, rtol=1e-7, atol=1e-10)
    assert_allclose(other.optimal_loss, report.optimal_loss, rtol=1e-6, atol=1e-10)
    assert (other.regret <= other.bound * (1.0 + 1e-9)).all()


@pytest.mark.parametrize(
    ("optima", "message"),
    [
        (np.zeros((3, 3)), r"optima must have shape \(3, 1, 3\).* Got \(3, 3\)"),
        (np.zeros((2, 1, 3)), r"optima must have shape \(3, 1, 3\)"),
        (np.full((3, 1, 3), np.nan), "optima must be finite"),
        (np.full((3, 1, 3), 5.0), r"in the ball.*radius 1.0.*Task 0 has a parameter"),
    ],
)
def test_optima_are_checked(optima, message):
    tasks = make("squared_error", 0)
    model = model_for(tasks[0], inner={"radius": 1.0})
    with pytest.raises(ValueError, match=message):
        regret_report(model, *stack(tasks), optima=optima)
    with pytest.raises(ValueError, match="optima or radius, not both"):
        regret_report(model, *stack(tasks), optima=optima, radius=1.0)


# ---- paths


@given(
    seed=seeds,
    n_tasks=st.integers(1, 20),
    shape=st.sampled_from([(), (3,), (2, 2)]),
    weighted=st.booleans(),
    drift=st.floats(-3.0, 2.0),
)
def test_dynamic_regret_is_below_its_bound(seed, n_tasks, shape, weighted, drift):
    """Zinkevich's bound, for any tasks, any path and steps that do not increase."""
    rng = np.random.default_rng(seed)
    parameters = 10.0 ** rng.uniform(-1, 1) * rng.normal(size=(n_tasks, *shape))
    path = np.cumsum(10.0**drift * rng.normal(size=(n_tasks, *shape)), axis=0)
    if rng.random() < 0.3:
        path = parameters
    weights = 10.0 ** rng.uniform(-1, 1, n_tasks) if weighted else np.ones(n_tasks)
    steps = np.sort(rng.uniform(0.01, 1.0, n_tasks))[::-1] / weights.max()
    phi = [rng.normal(size=shape)]
    for theta, step, weight in zip(parameters, steps, weights, strict=True):
        phi.append(phi[-1] + step * weight * (theta - phi[-1]))
    phi = np.array(phi[:-1])
    regret, bound = dynamic_regret_bound(parameters, phi, path, steps, weights=weights)
    each = [
        weight / 2 * (((theta - a) ** 2).sum() - ((theta - b) ** 2).sum())
        for weight, theta, a, b in zip(weights, parameters, phi, path, strict=True)
    ]
    assert_allclose(regret, sum(each), rtol=1e-9, atol=1e-9 * np.abs(each).sum())
    assert regret <= bound * (1.0 + 1e-9)


def test_dynamic_similarity_by_hand():
    V, P = dynamic_similarity([[[0.0]], [[4.0]]], [[[3.0]], [[0.0]]])
    assert_allclose(V, np.sqrt((9.0 + 16.0) / 2.0))
    assert P == 3.0
    assert dynamic_similarity([[1.0, 2.0]], [[1.0, 2.0]]) == (0.0, 0.0)


@given(seed=seeds)
def test_a_path_that_stands_still_at_the_mean(seed):
    parameters = np.random.default_rng(seed).normal(size=(6, 2))
    path = np.broadcast_to(parameters.mean(axis=0), (6, 2))
    V, P = dynamic_similarity(parameters, path)
    assert_allclose(V, task_similarity(parameters)[0])
    assert P == 0.0


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize(
    "meta_step_size", [FollowTheLeader(), 0.3, 1.0, LinearDecay(0.9)], ids=str
)
@settings(max_examples=3)
@given(seed=seeds, drift=st.floats(-2.0, 1.0))
def test_report_on_a_path(meta_step_size, standardize, seed, drift):
    """Of equally long tasks, so that no step increases; the path is any path."""
    rng = np.random.default_rng(seed)
    tasks = make("squared_error", seed % 1000, sizes=(4,) * 6)
    X, y, labels = stack(tasks)
    path = np.cumsum(10.0**drift * rng.normal(size=(6, 1, 3)), axis=0)
    model = FMRLRegressor(meta_step_size=meta_step_size, standardize=standardize)
    report = regret_report(model, X, y, labels, path=path)
    assert report.dynamic_regret <= report.dynamic_bound * (1.0 + 1e-9)
    V, P = dynamic_similarity(report.task_parameters, path)
    assert (report.V_path, report.path_length) == (V, P)
    fitted = model.fit(X, y, tasks=labels)
    last = np.column_stack([fitted.task_coef_, fitted.task_intercept_])
    assert_allclose(report.task_parameters[:, 0], last, rtol=1e-7, atol=1e-9)
    assert "dynamic bound" in str(report)


def test_dynamic_regret_of_the_report_by_hand():
    tasks = make("squared_error", 0, sizes=(4, 4, 4))
    X, y, labels = stack(tasks)
    model = FMRLRegressor(meta_step_size=0.25, standardize=False)
    path = np.zeros((3, 1, 3))
    report = regret_report(model, X, y, labels, path=path)
    phi, regret = np.zeros((1, 3)), 0.0
    for theta in report.task_parameters:
        regret += 0.5 * (((theta - phi) ** 2).sum() - (theta**2).sum())
        phi = phi + 0.25 * (theta - phi)
    assert_allclose(report.dynamic_regret, regret, rtol=1e-12)


@pytest.mark.parametrize(
    "model",
    [
        FMRLRegressor(meta_step_size=0.0),
        FMRLRegressor(meta_batch_size=2),
        MixedEffectsRegressor(),
    ],
    ids=["never-moves", "batches", "mixed"],
)
def test_without_a_dynamic_bound(model):
    X, y, labels = stack(make("squared_error", 0, sizes=(4,) * 4))
    report = regret_report(model, X, y, labels, path=np.zeros((4, 1, 3)))
    assert np.isnan(report.dynamic_bound)
    assert np.isfinite(report.V_path)
    assert "does not cover" in str(report)


def test_path_is_checked():
    X, y, labels = stack(make("squared_error", 0))
    with pytest.raises(ValueError, match=r"path must have shape \(3, 1, 3\)"):
        regret_report(FMRLRegressor(), X, y, labels, path=np.zeros((3, 3)))


# ---- pipelines


@pytest.mark.parametrize(
    "model", [FMRLRegressor(), MixedEffectsRegressor()], ids=["fmrl", "mixed"]
)
def test_a_pipeline_is_its_last_step_on_transformed_rows(model, global_random_seed):
    X, y, labels = stack(make("squared_error", global_random_seed, sizes=(5,) * 6))
    scaler = StandardScaler().fit(X[:8])
    expected = regret_report(model, scaler.transform(X), y, labels)
    steps = make_pipeline(scaler, "passthrough", model)
    assert_array_equal(regret_report(steps, X, y, labels).bound, expected.bound)
    assert_array_equal(omniscient(steps, X, y, labels).optima, expected.optima)
    nested = make_pipeline(scaler, make_pipeline(model))
    assert_array_equal(regret_report(nested, X, y, labels).bound, expected.bound)

    fresh = StandardScaler()
    whole = regret_report(make_pipeline(fresh, model), X, y, labels)
    assert not hasattr(fresh, "mean_")  # a clone was fitted
    scaled = StandardScaler().fit_transform(X)
    assert_array_equal(whole.bound, regret_report(model, scaled, y, labels).bound)
    alone = regret_report(make_pipeline(model), X, y, labels)
    assert_array_equal(alone.bound, regret_report(model, X, y, labels).bound)


def test_a_pipeline_that_keeps_the_task_column():
    X, y, labels = stack(make("squared_error", 0))
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(who=labels)
    steps = make_pipeline(FunctionTransformer(), FMRLRegressor(task_column="who"))
    expected = regret_report(FMRLRegressor(), X, y, labels)
    assert_array_equal(regret_report(steps, frame, y).bound, expected.bound)


def test_a_pipeline_that_learns_no_tasks():
    steps = make_pipeline(StandardScaler(), OGDRegressor())
    with pytest.raises(TypeError, match="OGDRegressor cannot learn tasks once more"):
        regret_report(steps, np.eye(2), [0.0, 1.0], [0, 1])


# ---- other learners


def test_bounds_are_found_by_the_name_that_the_learner_claims(monkeypatch):
    """One table: a further name is one line."""
    tasks = make("squared_error", 0)
    model = model_for(tasks[0])
    before = regret_report(model, *stack(tasks))

    def doubled(*arguments, **parts):
        first, second = regret_bound(*arguments, **parts)
        return 2.0 * first, 3.0 * second

    monkeypatch.setitem(BOUNDS, "G1", doubled)
    after = regret_report(model, *stack(tasks))
    assert_allclose(after.distance_term, 2.0 * before.distance_term)
    assert_allclose(after.gradient_term, 3.0 * before.gradient_term)
    monkeypatch.delitem(BOUNDS, "G1")
    assert not regret_report(model, *stack(tasks)).covered


# ---- signs

NEGATIVE = {
    "step_size": lambda: regret_bound([1.0], [0.0], -0.5, 1.0),
    "zero step_size": lambda: regret_bound([1.0], [0.0], 0.0, 1.0),
    "grad_sq": lambda: regret_bound([1.0], [0.0], 0.5, -1.0),
    "start": lambda: regret_bound([1.0, 2.0], [0.0], 0.5, 1.0),
    "comparator": lambda: regret_bound([np.nan], [0.0], 0.5, 1.0),
    "EG: step_size": lambda: eg_regret_bound([1.0], [[0.5], [0.5]], -0.1, 8.0),
    "EG: grad_sq": lambda: eg_regret_bound([1.0], [[0.5], [0.5]], 0.1, -8.0),
    "EG: parts": lambda: eg_regret_bound([1.0], [[-0.5], [1.5]], 0.1, 8.0),
    "EG: shape": lambda: eg_regret_bound([1.0], [0.5, 0.5], 0.1, 8.0),
    "EG: no parts": lambda: eg_regret_bound([0.0], [[0.0], [0.0]], 0.1, 8.0),
    "EG: NaN": lambda: eg_regret_bound([np.nan], [[0.5], [0.5]], 0.1, 8.0),
    "COIN: lipschitz": lambda: coin_regret_bound([1.0], [0.0], -2.0, 4),
    "COIN: n_samples": lambda: coin_regret_bound([1.0], [0.0], 2.0, 0),
    "COIN: NaN": lambda: coin_regret_bound([np.inf], [0.0], 2.0, 4),
    "COIN: shape": lambda: coin_regret_bound([1.0, 2.0], [0.0], 2.0, 4),
    "weights": lambda: follow_the_leader_identity([[1.0]], [-1.0], [0.0]),
    "number of weights": lambda: follow_the_leader_identity([[1.0]], [1, 1], [0.0]),
    "parameters": lambda: task_similarity([]),
    "NaN among parameters": lambda: task_similarity([[np.nan]]),
    "lipschitz": lambda: single_task_figure([[1.0]], -1.0, 4),
    "n_samples": lambda: single_task_figure([[1.0]], 1.0, 0),
    "diameter": lambda: lower_bound_rate(-1.0, 1.0, 4),
    "count": lambda: lower_bound_rate(1.0, 1.0, -4),
    "loss_bound": lambda: risk_bound([0.5], 0.1, -1.0),
    "path": lambda: dynamic_similarity([[1.0]], [[1.0, 2.0]]),
    "meta_step_size": lambda: dynamic_regret_bound([[1.0]], [[0.0]], [[0.0]], -1.0),
    "increasing": lambda: dynamic_regret_bound(*[np.zeros((2, 1))] * 3, [0.1, 0.2]),
    "weight": lambda: dynamic_regret_bound(*[[[1.0]]] * 3, 0.5, weights=[0.0]),
    "delta": lambda: quadratic_growth(np.eye(2), [0, 1], -1.0, 1.0),
    "radius": lambda: quadratic_growth(np.eye(2), [0, 1], 1.0, 0.0),
    "wide": lambda: quadratic_growth(np.eye(2), [0, 1], 3.0, 1.0),
    "far": lambda: quadratic_growth(np.eye(2), [0, 1], 1.5, 1.0, at=[[0.1, 0, 0]]),
    "at": lambda: quadratic_growth(np.eye(2), [0, 1], 0.1, 1.0, at=np.zeros(3)),
    "at outside": lambda: quadratic_growth(np.eye(2), [0, 1], 0.1, 1.0, at=[[2, 0, 0]]),
    "sample_weight": lambda: quadratic_growth(
        np.eye(2), [0, 1], 0.1, 1.0, sample_weight=[1.0, 0.0]
    ),
    "loss": lambda: quadratic_growth(np.eye(2), [0, 1], 0.1, 1.0, loss="none"),
}


@pytest.mark.parametrize("name", NEGATIVE)
def test_numbers_out_of_range_are_refused(name):
    with pytest.raises(ValueError, match="must|larger"):
        NEGATIVE[name]()


# ---- quadratic growth


@pytest.mark.parametrize(
    "loss", ["squared_error", "huber", "absolute_error", "poisson"]
)
def test_growth_around_an_optimum_inside_the_ball(loss, global_random_seed):
    """Its gradient is rounding error, whatever the scale of the features."""
    rng = np.random.default_rng(global_random_seed)
    for scale in (1e-3, 1.0, 1e3):
        X = scale * rng.normal(size=(9, 1))
        y = 1.0 + X[:, 0] / scale + 0.1 * rng.normal(size=9)
        y = np.round(np.exp(y)) if loss == "poisson" else y
        objective = Objective(REGRESSION_LOSSES[loss]())
        task = Task(X, y).loss(objective, 1)
        best = objective.optimum(task, np.zeros((1, 2)))
        radius, delta = 1.01 * np.linalg.norm(best), 0.5 * np.linalg.norm(best)
        found = quadratic_growth(X, y, delta, radius, loss=loss)
        angles = np.linspace(0.0, 2.0 * np.pi, 2000)
        around = best + delta * np.column_stack([np.cos(angles), np.sin(angles)])
        inside = around[np.linalg.norm(around, axis=1) <= radius]
        values = [task.value(theta[np.newaxis]) for theta in inside]
        assert 0 < found <= (min(values) - task.value(best)) * (1 + 1e-6)


@pytest.mark.parametrize("loss", ["log_loss", "hinge", "squared_hinge"])
@pytest.mark.parametrize("delta", [0.25, 1.0])
def test_growth_is_below_the_loss_at_this_distance(loss, delta, global_random_seed):
    """At random parameters of the ball at distance delta, in two dimensions."""
    rng = np.random.default_rng(global_random_seed)
    X = rng.normal(size=(8, 2)) + [2.0, 1.0]
    y = np.array([1, 1, 1, 1, 1, 1, 1, 0])
    options = {"loss": loss, "fit_intercept": False}
    functions = {
        "log_loss": lambda s: np.logaddexp(0.0, -s),
        "hinge": lambda s: np.maximum(0.0, 1.0 - s),
        "squared_hinge": lambda s: np.maximum(0.0, 1.0 - s) ** 2,
    }
    sign = 2.0 * y - 1.0

    def value(w):
        return functions[loss](sign * (X @ w)).sum()

    angles = np.linspace(0.0, 2.0 * np.pi, 4001)
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    radii = np.linspace(0.0, 1.0, 201)
    grid = (radii[:, np.newaxis, np.newaxis] * circle[::20]).reshape(-1, 2)
    best = min([*grid, *circle], key=value)
    growth = quadratic_growth(X, y, delta, 1.0, at=[[*best, 0.0]], **options)
    here = best + delta * circle
    here = here[np.linalg.norm(here, axis=1) <= 1.0]
    assert growth <= min(value(w) for w in here) - value(best) + 1e-3
    # the convex program itself, on the grid
    most = (1.0 - delta**2 + best @ best) / 2
    inside = [w for w in [*grid, *circle] if best @ w <= most]
    least = min(value(w) for w in inside) - value(best)
    assert_allclose(growth, least, rtol=0.02, atol=0.02)


def test_growth_of_the_squared_loss_by_hand():
    """One weight, targets beyond the ball: a = R, theta = R - delta**2 / (2 R)."""
    X, y = np.ones((4, 1)), np.full(4, 3.0)
    growth = quadratic_growth(X, y, 0.5, 1.0, loss=SquaredError(), fit_intercept=False)
    theta = 1.0 - 0.5**2 / 2.0
    assert_allclose(growth, 2.0 * ((theta - 3.0) ** 2 - (1.0 - 3.0) ** 2), rtol=1e-9)
    given = quadratic_growth(
        X, y, 0.5, 1.0, loss="squared_error", at=[[1.0, 0.0]], fit_intercept=False
    )
    assert_allclose(given, growth, rtol=1e-6)
    weighted = quadratic_growth(
        X, y, 0.5, 1.0, loss="squared_error", sample_weight=np.full(4, 2.0)
    )
    assert weighted > 0


def test_no_growth_where_the_optimum_is_far_inside():
    X, y = np.ones((4, 1)), np.full(4, 0.1)
    assert quadratic_growth(X, y, 0.5, 1.0, loss="squared_error") == 0.0


def mixture(n_samples, seed):
    """Four classes in fifty dimensions: standard normal means, noise of half of it."""
    rng = np.random.default_rng(seed)
    means, y = rng.normal(size=(4, 50)), np.resize(np.arange(4), n_samples)
    return means[y] + 0.5 * rng.normal(size=(n_samples, 50)), y


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_samples", "published"),
    [(16, (0.51, 0.55, 0.71)), (256, (0.53, 0.57, 0.74))],
)
def test_growth_on_a_gaussian_mixture(n_samples, published):
    """Growth over m delta**2 for delta 1/4, 1/2 and 1, near the published figures.

    The scale of the published mixture is not known exactly; these figures depend on it.
    """
    rates = [
        np.mean(
            [
                quadratic_growth(*mixture(n_samples, seed), delta, 1.0)
                / (n_samples * delta**2)
                for seed in range(2)
            ]
        )
        for delta in (0.25, 0.5, 1.0)
    ]
    assert_allclose(rates, published, atol=0.03)
    assert rates[0] < rates[1] < rates[2]
