"""Linearised FTRL, exponentiated gradient, and the bounds that inner updates obey.

Data are random and continuous: no residual falls on a kink.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from theory_models import CONTAINERS, fit, learner_for
from theory_reference import (
    CLASSIFICATION_LOSSES,
    LOSSES,
    REGRESSION_LOSSES,
    Task,
    parts_of,
    project,
    random_task,
    run_task,
    stack,
    theta_of,
)

from skmeta import FMRLClassifier, FMRLRegressor, _kernels
from skmeta._kernels import _loops_py
from skmeta.linear_model import (
    BiasedLogisticRegression,
    BiasedRidge,
    OGDClassifier,
    OGDRegressor,
)
from skmeta.metrics import regret_bound, regret_report
from skmeta.step_size import ARUBA, Doubling

ROUNDING = 1e-11  # relative to the sum of the sizes of all terms of an inequality

each_loss = pytest.mark.parametrize("loss", LOSSES)
each_container = pytest.mark.parametrize("container", CONTAINERS)
balls = pytest.mark.parametrize("radius", [None, 0.4], ids=["free", "ball"])
seeds = st.integers(0, 2**32 - 1)
scales = st.floats(-2.0, 2.0).map(lambda power: 10.0**power)


def assert_close(actual, desired, tolerance=1e-12):
    """Equal up to a tolerance relative to the largest entry."""
    scale = np.abs(desired).max(initial=1e-300)
    assert_allclose(actual, desired, rtol=0.0, atol=tolerance * scale)


def assert_learned(model, run):
    """The model holds what the reference's run gave."""
    assert_close(theta_of(model), run.average if model.average else run.last)
    average = np.column_stack(
        [np.atleast_2d(model.average_coef_), model.average_intercept_]
    )
    assert_close(average, run.average)
    assert_close(model.losses_, run.losses)
    each = np.size(model.eta0) > 1
    squares = run.squares if each else run.squares.sum(keepdims=True)
    assert_close(model.grad_sq_, squares)


def case_for(loss, seed, **options):
    """A weighted task, of three classes for classification, and a start."""
    rng = np.random.default_rng(seed)
    task = random_task(rng, loss, 7, 3, n_classes=3, weighted=True, **options)
    return task, 0.1 * rng.normal(size=task.shape)


# ---- linearised FTRL


@each_loss
@balls
@each_container
def test_ftrl_equals_its_definition(
    loss, radius, container, kernel, global_random_seed
):
    task, start = case_for(loss, global_random_seed)
    model = learner_for(task, update="ftrl", eta0=0.3, radius=radius)
    fit(model, task, start, container)
    run = run_task(task, start, 0.3, "ftrl", radius)
    assert_learned(model, run)
    norms = np.linalg.norm(run.iterates.reshape(len(task.y) + 1, -1), axis=1)
    assert radius is None or (norms > radius * (1.0 - 1e-12)).sum() >= 2


@pytest.mark.parametrize("loss", ["huber", "log_loss"])
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "none"])
@each_container
def test_ftrl_with_a_step_size_for_every_parameter(
    loss, fit_intercept, container, kernel, global_random_seed
):
    task, start = case_for(loss, global_random_seed, fit_intercept=fit_intercept)
    start[:, -1] *= fit_intercept
    eta = np.random.default_rng(global_random_seed).uniform(0.1, 0.5, task.shape)
    model = learner_for(
        task, update="ftrl", eta0=eta if task.n_classes else eta[0], average=True
    )
    fit(model, task, start, container)
    assert_learned(model, run_task(task, start, eta, "ftrl"))


@each_loss
@pytest.mark.parametrize("radius", [None, 1e3], ids=["free", "large-ball"])
def test_ftrl_is_ogd_while_nothing_is_projected(
    loss, radius, kernel, global_random_seed
):
    task, start = case_for(loss, global_random_seed)
    models = [
        fit(learner_for(task, update=update, eta0=0.3, radius=radius), task, start)
        for update in ("ftrl", "ogd")
    ]
    for name in ("coef_", "intercept_", "average_coef_", "losses_", "grad_sq_"):
        assert_close(*(getattr(model, name) for model in models), tolerance=1e-13)


@each_loss
def test_ftrl_is_not_ogd_once_the_ball_is_left(loss, kernel, global_random_seed):
    task, start = case_for(loss, global_random_seed)
    ftrl, ogd = (
        fit(learner_for(task, update=update, eta0=0.3, radius=0.2), task, start)
        for update in ("ftrl", "ogd")
    )
    assert np.abs(theta_of(ftrl) - theta_of(ogd)).max() > 1e-4
    # the first projection is the same; what is projected afterwards is not
    assert_close(ftrl.losses_[:2], ogd.losses_[:2])


@balls
def test_ftrl_sums_up_the_gradients_of_all_passes(radius, kernel, global_random_seed):
    task, start = case_for("squared_hinge", global_random_seed)
    twice = task.rows(np.tile(np.arange(len(task.y)), 2))
    params = {"update": "ftrl", "eta0": 0.05, "radius": radius}
    passes = fit(learner_for(task, max_iter=2, **params), task, start)
    longer = fit(learner_for(task, **params), twice, start)
    assert_close(theta_of(passes), theta_of(longer))


# ---- exponentiated gradient


@each_loss
@each_container
@pytest.mark.parametrize("average", [False, True], ids=["last", "average"])
def test_eg_equals_its_definition(loss, container, average, kernel, global_random_seed):
    task, start = case_for(loss, global_random_seed)
    radius = 1.5 * np.abs(start).sum()
    params = {"update": "eg", "eta0": 0.2, "radius": radius, "average": average}
    model = fit(learner_for(task, **params), task, start, container)
    run = run_task(task, start, 0.2, "eg", radius)
    assert_close(run.iterates[0], start)
    assert_learned(model, run)
    sizes = np.abs(run.iterates).sum(axis=(1, 2))
    assert (sizes <= radius * (1.0 + 1e-12)).all()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 3.0])
def test_eg_starts_at_the_start_or_on_the_simplex(share, kernel, global_random_seed):
    """Outside, the start is scaled down; at least a millionth is shared evenly."""
    task, start = case_for("absolute_error", global_random_seed)
    radius = 2.0
    start *= share * radius / np.abs(start).sum()
    model = fit(learner_for(task, update="eg", eta0=0.1, radius=radius), task, start)
    first = start if share < 1 else start / (share + 1e-6)
    assert_close(model.losses_[0], task.losses(first)[0])
    assert_learned(model, run_task(task, start, 0.1, "eg", radius))


@pytest.mark.parametrize("radius", [0.5, 4.0])
def test_eg_from_zero_by_hand(radius, kernel):
    """One feature, no intercept: the difference of two weights is a tanh."""
    model = OGDRegressor(
        "absolute_error", update="eg", eta0=0.1, radius=radius, fit_intercept=False
    ).fit([[2.0], [2.0], [1.0]], [9.0, 9.0, -9.0])
    # Without an intercept there are two weights.
    assert_allclose(model.coef_, radius * np.tanh(0.1 * 3.0), rtol=1e-14)
    assert_array_equal(model.intercept_, 0.0)


def test_eg_comes_back_from_a_corner(kernel):
    """However long the step to a corner was, the same step back undoes it."""
    model = OGDRegressor(
        "absolute_error", update="eg", eta0=1e3, radius=1.0, fit_intercept=False
    ).fit([[1.0], [1.0], [1.0]], [9.0, -9.0, -9.0])
    assert_allclose(model.losses_, [9.0, 10.0, 9.0], rtol=1e-12)
    assert_allclose(model.coef_, -1.0, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@each_loss
@each_container
def test_kernels_agree_on_new_updates(
    loss, container, dtype, compiled, monkeypatch, global_random_seed
):
    task, start = case_for(loss, global_random_seed)
    task.X = task.X.astype(dtype)
    results = []
    for module in (compiled, _loops_py):
        monkeypatch.setattr(_kernels, "run_task", module.run_task)
        for update in ("ftrl", "eg"):
            model = learner_for(task, update=update, radius=1.0, max_iter=3)
            fit(model, task, start, container)
            results.append(
                [theta_of(model), model.average_coef_, model.losses_, model.grad_sq_]
            )
    for one, other in zip(results[:2], results[2:], strict=True):
        for actual, desired in zip(one, other, strict=True):
            assert_close(actual, desired)


@pytest.mark.parametrize("kind", [OGDRegressor, OGDClassifier])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "params",
    [{}, {"radius": 1.0, "eta0": [[0.1, 0.1, 0.2]]}],
    ids=["no-radius", "several-step-sizes"],
)
def test_eg_needs_a_radius_and_one_step_size(kind, method, params):
    model = kind(update="eg", **params)
    classes = {"classes": [0, 1]} if "Classifier" in kind.__name__ else {}
    classes = classes if method == "partial_fit" else {}
    before = vars(model).copy()
    with pytest.raises(ValueError, match="update='eg' .* needs a radius and a single"):
        getattr(model, method)([[0.0, 1.0], [1.0, 0.0]], [0, 1], **classes)
    assert vars(model) == before


@pytest.mark.parametrize("kind", [FMRLRegressor, FMRLClassifier])
@pytest.mark.parametrize(
    "step_size",
    ["per_coordinate", ARUBA(per_coordinate=True)],
    ids=["name", "object"],
)
def test_meta_learning_by_eg_needs_one_step_size(kind, step_size):
    inner = (OGDRegressor if kind is FMRLRegressor else OGDClassifier)(
        update="eg", radius=1.0
    )
    model = kind(inner, step_size=step_size, standardize=False)
    before = vars(model).copy()
    with pytest.raises(ValueError, match="OGD.* needs a single step size"):
        model.fit([[0.0], [1.0]], [0, 1], tasks=[0, 0])
    assert vars(model) == before


@pytest.mark.parametrize("step_size", ["fixed", "isotropic", Doubling(0.3)], ids=str)
@pytest.mark.parametrize("update", ["eg", "ftrl"])
def test_meta_learning_runs_each_task_by_the_update(
    update, step_size, kernel, global_random_seed
):
    """The next task starts at the initialization that the ones before it left."""
    rng = np.random.default_rng(global_random_seed)
    tasks = [random_task(rng, "log_loss", 5, 2, n_classes=3) for _ in range(3)]
    inner = learner_for(tasks[0], update=update, radius=1.0)
    model = FMRLClassifier(inner, step_size=step_size, standardize=False)
    phi, eta = np.zeros(tasks[0].shape), None
    for t, task in enumerate(tasks):
        model.partial_fit(task.X, task.y, tasks=t, classes=[0, 1, 2])
        history = model.history_[-1]
        run = run_task(task, phi, eta or history["step_size"], update, 1.0)
        assert_allclose(history["loss"], run.losses.mean(), rtol=1e-12)
        assert_allclose(history["grad_sq_norm"], run.squares.sum(), rtol=1e-12)
        assert_allclose(history["distance"], np.linalg.norm(run.last - phi), rtol=1e-11)
        phi, eta = theta_of(model), model.step_size_


# ---- bounds on the regret


@st.composite
def cases(draw, loss, *, array=False):
    """A task of any scale, a start and a step size."""
    rng = np.random.default_rng(draw(seeds, label="seed"))
    n_classes = draw(st.sampled_from([2, 3])) if loss in CLASSIFICATION_LOSSES else 0
    size = draw(st.integers(3, 6)), draw(st.integers(1, 3))
    task = random_task(
        rng,
        loss,
        *size,
        n_classes=n_classes,
        weighted=draw(st.booleans(), label="weighted"),
        fit_intercept=draw(st.booleans(), label="fit_intercept"),
    )
    task.X *= draw(scales, label="scale of X")
    if not n_classes:
        task.y *= draw(scales, label="scale of y")
    start = draw(scales, label="scale of start") * rng.normal(size=task.shape)
    start[:, -1] *= task.fit_intercept
    eta = draw(scales, label="eta")
    if array:
        eta = eta * 10.0 ** rng.uniform(-1, 1, task.shape)
    return rng, task, start, eta


def check_regret(task, theta, losses, bound):
    at_theta = task.losses(theta).sum()
    size = losses.sum() + at_theta + bound
    assert losses.sum() - at_theta <= bound + ROUNDING * size


@each_loss
@pytest.mark.parametrize("step", ["free", "ball", "array"])
@settings(max_examples=15)
@given(data=st.data())
def test_regret_of_ftrl(loss, step, data):
    """(G1) against random parameters, the start, and those on the way and beyond."""
    rng, task, start, eta = data.draw(cases(loss, array=step == "array"))
    radius = data.draw(scales, label="radius") if step == "ball" else None
    start = project(start, radius)
    if step == "array" and not task.n_classes:
        model = learner_for(task, update="ftrl", eta0=eta[0])
    else:
        model = learner_for(task, update="ftrl", eta0=eta, radius=radius)
    fit(model, task, start)
    moved = theta_of(model) - start
    comparators = [start + share * moved for share in (0.0, 0.5, 1.0, 2.0)]
    comparators += [
        start + size * rng.normal(size=task.shape) for size in 10.0 ** np.arange(-2, 3)
    ]
    for theta in comparators:
        theta = project(theta, radius)
        if not task.fit_intercept:
            theta[:, -1] = 0.0
        bound = sum(regret_bound(theta, start, eta, model.grad_sq_))
        check_regret(task, theta, model.losses_, bound)


@each_loss
@settings(max_examples=15)
@given(data=st.data())
def test_regret_of_eg(loss, data):
    """KL / eta + eta U / 2 sum_i max_j g_ij**2, for any parts that represent theta."""
    rng, task, start, eta = data.draw(cases(loss))
    radius = data.draw(scales, label="radius")
    start *= data.draw(st.floats(0.0, 1.5), label="size") * radius / np.abs(start).sum()
    if not task.fit_intercept:
        start[:, -1] = 0.0
        return  # see test_coin_inverse_eg
    eta /= max(1.0, np.abs(task.X).max()) ** 2  # exponents exact to about 1e-12
    model = fit(learner_for(task, update="eg", eta0=eta, radius=radius), task, start)
    run = run_task(task, start, eta, "eg", radius)
    assert_close(model.losses_, run.losses, tolerance=1e-9)
    first = parts_of(start, radius).ravel()
    largest = (np.abs(run.gradients).max(axis=(1, 2)) ** 2).sum()
    corners = np.eye(first.size)[rng.integers(first.size, size=3)]
    for parts in [*corners, *rng.dirichlet(np.full(first.size, 0.3), size=5)]:
        parts = radius * parts
        positive = parts > 0
        divergence = parts[positive] @ np.log(parts[positive] / first[positive])
        theta = np.subtract(*parts.reshape(2, *task.shape))
        bound = divergence / eta + eta * radius / 2 * largest
        check_regret(task, theta, model.losses_, bound)


def test_bound_of_eg_is_nearly_attained():
    """Small steps on linear losses against the best corner: the bound has no slack."""
    rng = np.random.default_rng(0)
    X = 1.0 + 0.01 * rng.normal(size=(2000, 1))
    task = Task(X, np.full(2000, 1e3), "absolute_error", fit_intercept=False)
    model = learner_for(task, update="eg", eta0=0.02, radius=1.0)
    fit(model, task)
    at_corner = task.losses(np.array([[1.0, 0.0]])).sum()
    bound = np.log(2.0) / 0.02 + 0.01 * (X**2).sum()
    regret = model.losses_.sum() - at_corner
    assert 0.5 * bound < regret <= bound


@pytest.mark.parametrize("step_size", ["fixed", "isotropic", "per_coordinate"])
@settings(max_examples=15)
@given(data=st.data())
def test_regret_of_ridge_in_every_task(step_size, data):
    """The regularised leader on the full losses obeys (G1) too."""
    tasks = [data.draw(cases("squared_error"))[1] for _ in range(2)]
    d = min(task.X.shape[1] for task in tasks)
    for task in tasks:
        task.X, task.fit_intercept = task.X[:, :d], tasks[0].fit_intercept
    eta = data.draw(scales, label="eta")
    alpha = 1.0 / eta if step_size == "fixed" else 1.0
    inner = BiasedRidge(alpha, fit_intercept=tasks[0].fit_intercept)
    standardize = data.draw(st.booleans(), label="standardize")
    model = FMRLRegressor(inner, step_size=step_size, standardize=standardize)
    report = regret_report(model, *stack(tasks))
    assert report.covered
    size = report.loss + report.optimal_loss + report.bound
    assert (report.regret <= report.bound + ROUNDING * size).all()


@pytest.mark.parametrize("step_size", ["fixed", "isotropic", "per_coordinate"])
@pytest.mark.parametrize("n_classes", [2, 3])
@settings(max_examples=8)
@given(data=st.data())
def test_regret_of_logistic_regression_in_every_task(step_size, n_classes, data):
    """Every row comes with every label, so that no classes can be separated."""
    rng = np.random.default_rng(data.draw(seeds, label="seed"))
    tasks = []
    for _ in range(2):
        X = np.repeat(rng.normal(size=(2, 2)), n_classes, axis=0)
        y = np.tile(np.arange(n_classes), 2)
        rows = rng.permutation(len(y))
        scale = data.draw(scales, label="scale")
        tasks.append(Task(scale * X[rows], y[rows], "log_loss", n_classes))
    alpha = data.draw(scales, label="alpha") if step_size == "fixed" else 1.0
    standardize = data.draw(st.booleans(), label="standardize")
    inner = BiasedLogisticRegression(alpha)
    model = FMRLClassifier(inner, step_size=step_size, standardize=standardize)
    report = regret_report(model, *stack(tasks))
    size = report.loss + report.optimal_loss + report.bound
    assert (report.regret <= report.bound + ROUNDING * size).all()


def test_regret_of_ridge_is_not_that_of_gradient_descent():
    """What the two tests above look at is the leader on full losses."""
    task = random_task(np.random.default_rng(0), REGRESSION_LOSSES[-1])
    ridge, descent = (
        regret_report(
            FMRLRegressor(inner, step_size="fixed", standardize=False), task.X, task.y
        )
        for inner in (BiasedRidge(2.0), OGDRegressor(update="ogd", eta0=0.5))
    )
    assert ridge.loss[0] != pytest.approx(descent.loss[0])
    run = run_task(task, np.zeros(task.shape), 0.5, "full_loss")
    assert_allclose(ridge.loss, run.losses.sum(), rtol=1e-9)
