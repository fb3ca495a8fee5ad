"""Coin betting, steps that shrink like 1 / i, exponentiated gradient in its ball."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize
from sklearn.base import clone
from theory_models import CONTAINERS, fit, learner_for
from theory_reference import (
    LOSSES,
    Task,
    mixed_task,
    project,
    random_task,
    stack,
    theta_of,
)

from skmeta import FMRLClassifier, FMRLRegressor, _kernels
from skmeta._batch import Objective
from skmeta._batch import Task as Rows
from skmeta._kernels import _loops_py
from skmeta.linear_model import OGDClassifier, OGDRegressor
from skmeta.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from skmeta.metrics import coin_regret_bound, eg_regret_bound, regret_report

ROUNDING = 1e-11  # relative to the sum of the sizes of all terms of an inequality
LIPSCHITZ = {"huber": 0.4, "modified_huber": 4.0, "pinball": 0.7}
BOUNDED = [loss for loss in LOSSES if not loss.startswith("squared")]

each_container = pytest.mark.parametrize("container", CONTAINERS)
seeds = st.integers(0, 2**32 - 1)
scales = st.floats(-2.0, 2.0).map(lambda power: 10.0**power)


def learn_naively(task, start, update, *, eta=None, lipschitz=None, radius=None):
    """Iterates, losses and gradients from the formulas."""
    iterates, losses, gradients = [start.copy()], [], []
    norms = task.weights * np.linalg.norm(task.design, axis=1)
    for i in range(len(task.y)):
        row = task.rows([i])
        losses.append(row.value(iterates[-1]))
        gradients.append(row.gradient(iterates[-1]))
        if update == "coin":
            coins = -np.array(gradients) / lipschitz
            assert norms.max() * lipschitz  # G is positive
            gains = coins * (np.array(iterates) - start)
            theta = start + coins.sum(axis=0) / (i + 2) * (1.0 + gains.sum())
        else:
            theta = start - eta / (i + 1) * np.sum(gradients, axis=0)
        iterates.append(project(theta, radius))
    return np.array(iterates), np.array(losses), np.array(gradients)


def gradient_bound(task):
    """The largest norm of a gradient that the loss and the rows allow."""
    longest = (task.weights * np.linalg.norm(task.design, axis=1)).max()
    return LIPSCHITZ.get(task.loss, 1.0) * longest * np.sqrt(task.shape[0])


def assert_learned(model, found):
    iterates, losses, gradients = found
    size = np.abs(iterates).max()
    assert_allclose(theta_of(model), iterates[-1], rtol=0, atol=1e-11 * size)
    average = np.column_stack(
        [np.atleast_2d(model.average_coef_), model.average_intercept_]
    )
    mean = iterates[:-1].mean(axis=0)
    assert_allclose(average, mean, rtol=0, atol=1e-11 * size)
    assert_allclose(model.losses_, losses, rtol=1e-10, atol=1e-12)
    assert_allclose(model.grad_sq_norm_, (gradients**2).sum(), rtol=1e-10)


@pytest.mark.parametrize("loss", BOUNDED)
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "none"])
@each_container
def test_coin_is_its_definition(
    loss, fit_intercept, container, kernel, global_random_seed
):
    rng = np.random.default_rng(global_random_seed)
    options = {"n_classes": 3, "weighted": True, "fit_intercept": fit_intercept}
    task = random_task(rng, loss, 9, 3, **options)
    start = 0.3 * rng.normal(size=task.shape)
    start[:, -1] *= fit_intercept
    model = fit(learner_for(task, update="coin"), task, start, container)
    bound = gradient_bound(task)
    assert_learned(model, learn_naively(task, start, "coin", lipschitz=bound))


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "hinge"])
@pytest.mark.parametrize("radius", [None, 0.3], ids=["free", "ball"])
@each_container
def test_inverse_is_its_definition(loss, radius, container, kernel, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    task = random_task(rng, loss, 9, 3, n_classes=3, weighted=True)
    start = 0.1 * rng.normal(size=task.shape)
    options = {"update": "ftrl", "learning_rate": "inverse", "eta0": 0.5}
    model = learner_for(task, radius=radius, **options)
    fit(model, task, start, container)
    found = learn_naively(task, start, "inverse", eta=0.5, radius=radius)
    assert_learned(model, found)


def test_inverse_is_biased_stochastic_gradient_descent(kernel):
    """Steps 1 / (lambda i) on the losses plus lambda / 2 ||theta - start||**2."""
    task = random_task(np.random.default_rng(0), "absolute_error", 12, 3)
    start, strength = np.full(task.shape, 0.2), 3.0
    theta = start.copy()
    for i in range(12):
        gradient = task.rows([i]).gradient(theta) + strength * (theta - start)
        theta = theta - gradient / (strength * (i + 1))
    model = OGDRegressor(
        "absolute_error", update="ftrl", learning_rate="inverse", eta0=1 / strength
    )
    assert_allclose(theta_of(fit(model, task, start)), theta, rtol=1e-11)


@pytest.mark.parametrize("loss", BOUNDED)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@each_container
def test_kernels_agree(loss, dtype, container, compiled, monkeypatch):
    task = random_task(np.random.default_rng(1), loss, 11, 4, n_classes=3)
    task.X = task.X.astype(dtype)
    results = []
    for module in (compiled, _loops_py):
        monkeypatch.setattr(_kernels, "run_task", module.run_task)
        for options in (
            {"update": "coin"},
            {"update": "ftrl", "learning_rate": "inverse", "radius": 1.0},
            {"update": "eg", "radius": 1.0, "fit_intercept": False},
        ):
            model = learner_for(task, max_iter=3, **options)
            fit(model, task, None, container)
            results.append([theta_of(model), model.losses_, model.grad_sq_])
    for one, other in zip(results[:3], results[3:], strict=True):
        for actual, desired in zip(one, other, strict=True):
            atol = 1e-11 * np.abs(desired).max()
            assert_allclose(actual, desired, rtol=0, atol=atol)


def test_rows_of_zeros_move_nothing(kernel):
    model = OGDRegressor("absolute_error", update="coin", fit_intercept=False)
    model.fit(np.zeros((3, 2)), [1.0, 2.0, 3.0], coef_init=[1.0, 2.0])
    assert_array_equal(model.coef_, [1.0, 2.0])
    assert_array_equal(model.losses_, [1.0, 2.0, 3.0])


# ---- what does not go together


@pytest.mark.parametrize("kind", [OGDRegressor, OGDClassifier])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"update": "coin", "eta0": 0.3}, "no step size and no ball.* Got eta0=0.3"),
        ({"update": "coin", "radius": 1.0}, "no step size and no ball.* Got radius"),
        ({"update": "implicit", "lipschitz": 1.0}, "Only update='coin' uses"),
        ({"learning_rate": "inverse"}, "'inverse' is defined for update='ftrl' only"),
        ({"update": "eg", "radius": 1.0, "learning_rate": "inverse"}, "'ftrl' only"),
    ],
)
def test_refusals(kind, options, message):
    model = kind(**options)
    before = vars(model).copy()
    with pytest.raises(ValueError, match=message):
        model.fit([[0.0], [1.0]], [0, 1])
    assert vars(model) == before


def test_a_loss_of_unbounded_slope_needs_a_bound_that_holds(kernel):
    X, y = np.ones((4, 1)), np.array([0.0, 1.0, 5.0, 2.0])
    with pytest.raises(ValueError, match="bound on the slopes.*SquaredError"):
        OGDRegressor(update="coin").fit(X, y)
    OGDRegressor(update="coin", lipschitz=5.0).fit(X, y)
    model = OGDRegressor(update="coin", lipschitz=2.0)
    with pytest.raises(ValueError, match=r"row 2 is [45]\..*, above lipschitz=2,"):
        model.fit(X, y)
    assert not hasattr(model, "coef_")
    meta = FMRLRegressor(model, standardize=False)
    with pytest.raises(ValueError, match=r"Task 0: .* row 2 is .* above lipschitz=2"):
        meta.fit(X, y, tasks=np.zeros(4))


def test_meta_learning_by_coins_has_no_step_size():
    task = random_task(np.random.default_rng(0), "huber", 12, 2)
    tasks = np.repeat([0, 1, 2], 4)
    inner = OGDRegressor("huber", update="coin", epsilon=0.4)
    model = FMRLRegressor(inner, standardize=False).fit(task.X, task.y, tasks=tasks)
    assert np.isnan(model.history_["step_size"]).all()
    first = task.rows(slice(4))
    alone = fit(clone(inner), first)
    assert_allclose(model.task_coef_[0], alone.coef_, rtol=1e-13)
    adapted = model.adapt(task.X[:4], task.y[:4])
    start = theta_of(model)
    desired = fit(clone(inner), first, start)
    assert_allclose(theta_of(adapted), theta_of(desired), rtol=1e-13)
    with pytest.raises(ValueError, match="does not accept a step size"):
        clone(model).set_params(step_size=0.1).fit(task.X, task.y, tasks=tasks)
    with pytest.raises(ValueError, match="has no step size, which task_parameter="):
        clone(model).set_params(task_parameter="regularized").fit(
            task.X, task.y, tasks=tasks
        )
    in_units = FMRLRegressor(inner).fit(task.X, task.y, tasks=tasks)
    assert np.isfinite(in_units.coef_).all()


def test_meta_learning_with_inverse_steps():
    """A learned rule would ignore them; 'fixed' is the default."""
    task = random_task(np.random.default_rng(0), "absolute_error", 12, 2)
    tasks = np.repeat([0, 1, 2], 4)
    inner = OGDRegressor(
        "absolute_error", update="ftrl", learning_rate="inverse", eta0=2.0
    )
    model = FMRLRegressor(inner, standardize=False).fit(task.X, task.y, tasks=tasks)
    assert_allclose(model.history_["step_size"], 0.5)
    alone = fit(clone(inner), task.rows(slice(4)))
    assert_allclose(model.task_coef_[0], alone.coef_, rtol=1e-13)
    adapted = model.adapt(task.X[:4], task.y[:4])
    assert (adapted.eta0, adapted.learning_rate) == (2.0, "inverse")
    with pytest.raises(ValueError, match="does not use"):
        clone(model).set_params(step_size="isotropic").fit(task.X, task.y, tasks=tasks)


# ---- bounds


@st.composite
def cases(draw, losses):
    rng = np.random.default_rng(draw(seeds))
    loss = draw(st.sampled_from(losses))
    n_classes = draw(st.sampled_from([2, 3])) if loss in CLASSIFICATION_LOSSES else 0
    task = random_task(
        rng,
        loss,
        draw(st.integers(3, 8)),
        draw(st.integers(1, 3)),
        n_classes=n_classes,
        weighted=draw(st.booleans()),
        fit_intercept=draw(st.booleans()),
    )
    task.X *= draw(scales)
    if not n_classes:
        task.y *= draw(scales)
    start = draw(scales) * rng.normal(size=task.shape)
    start[:, -1] *= task.fit_intercept
    return rng, task, start


def comparators(rng, task, start, end):
    yield from (start + share * (end - start) for share in (0.0, 0.5, 1.0, 2.0))
    for size in 10.0 ** np.arange(-2, 3):
        yield start + size * rng.normal(size=task.shape)


def check_regret(task, theta, losses, bound):
    at_theta = task.losses(theta).sum()
    size = losses.sum() + at_theta + bound
    assert losses.sum() - at_theta <= bound + ROUNDING * size


@settings(max_examples=150)
@given(case=cases(BOUNDED))
def test_regret_of_coin_betting(case):
    rng, task, start = case
    model = fit(learner_for(task, update="coin"), task, start)
    for theta in comparators(rng, task, start, theta_of(model)):
        theta[:, -1] *= task.fit_intercept
        bound = coin_regret_bound(theta, start, gradient_bound(task), len(task.y))
        check_regret(task, theta, model.losses_, sum(bound))


def test_regret_of_coin_betting_is_near_its_bound():
    """Coins of one side, against the parameter that they point to."""
    task = Task(np.ones((500, 1)), np.full(500, 1e9), "absolute_error")
    task.fit_intercept = False
    model = fit(learner_for(task, update="coin"), task)
    theta = theta_of(model)
    assert theta[0, 0] > 1e3  # exponential growth; nothing was tuned
    theta = np.array([[1e5, 0.0]])
    regret = model.losses_[:20].sum() - task.losses(theta)[:20].sum()
    bound = sum(coin_regret_bound(theta, np.zeros((1, 2)), 1.0, 20))
    assert 0.5 * bound < regret <= bound


@settings(max_examples=150)
@given(case=cases(LOSSES), eta=scales, radius=st.none() | scales)
def test_regret_of_inverse_steps(case, eta, radius):
    """m ||theta - phi||**2 / (2 eta) + eta / 2 (g_1**2 + sum_i g_i**2 / (i - 1))."""
    rng, task, start = case
    start = project(start, radius)
    options = {"update": "ftrl", "learning_rate": "inverse"}
    model = fit(learner_for(task, eta0=eta, radius=radius, **options), task, start)
    _, losses, gradients = learn_naively(task, start, "inverse", eta=eta, radius=radius)
    assert_allclose(model.losses_, losses, rtol=1e-6, atol=1e-6 * losses.max())
    squares = (gradients**2).sum(axis=(1, 2))
    squares[1:] /= np.arange(1, len(squares))
    for theta in comparators(rng, task, start, theta_of(model)):
        theta[:, -1] *= task.fit_intercept
        theta = project(theta, radius)
        distance = ((theta - start) ** 2).sum() * len(task.y) / (2 * eta)
        check_regret(task, theta, losses, distance + eta / 2 * squares.sum())


@settings(max_examples=60)
@given(seed=seeds, radius=scales, fit_intercept=st.booleans())
def test_smallest_divergence_of_eg(seed, radius, fit_intercept):
    """Against a general solver, over all positive parts of the comparator."""
    rng = np.random.default_rng(seed)
    shape = (1, 3)
    start, theta = rng.normal(size=(2, *shape))
    start *= 0.7 * radius / np.abs(start).sum()
    theta *= rng.uniform(0.1, 0.9) * radius / np.abs(theta).sum()
    if not fit_intercept:
        start[:, -1] = theta[:, -1] = 0.0
    parts = _loops_py.first_parts(start, radius, float(fit_intercept))
    assert_allclose(parts.sum(), radius, rtol=1e-13)
    assert_allclose(parts[0] - parts[1], start, atol=1e-13 * radius)
    assert fit_intercept or not parts[..., -1].any()
    found, _ = eg_regret_bound(theta, parts, 1.0, 0.0)
    n = 3 if fit_intercept else 2
    first, goal = parts[:, 0, :n], theta[0, :n]

    def divergence(common):
        z = np.maximum([goal, -goal], 0.0) + common
        return float((z * np.log(np.maximum(z, 1e-300) / first)).sum())

    even = np.full(n, (radius - np.abs(goal).sum()) / (2 * n))
    best = optimize.minimize(
        lambda x: divergence(x * radius) / radius,
        even / radius,
        bounds=[(0.0, None)] * n,
        constraints=[
            {"type": "eq", "fun": lambda x: x.sum() - even.sum() / radius},
        ],
        method="SLSQP",
        options={"ftol": 1e-14},
    )
    assert found <= best.fun * radius + 1e-6 * radius
    assert found >= best.fun * radius - 1e-5 * radius
    assert eg_regret_bound(start, parts, 1.0, 0.0)[0] <= 1e-9 * radius
    assert eg_regret_bound(3 * radius * np.ones(shape), parts, 1.0, 0.0)[0] == np.inf


@settings(max_examples=150)
@given(case=cases(LOSSES), eta=scales, radius=scales)
def test_regret_of_eg_in_its_ball(case, eta, radius):
    rng, task, start = case
    size = max(np.abs(start).sum(), 1e-300)
    start *= rng.uniform(0.0, 0.99) * radius / size
    eta /= max(1.0, np.abs(task.X).max()) ** 2
    model = fit(learner_for(task, update="eg", eta0=eta, radius=radius), task, start)
    parts = _loops_py.first_parts(start, radius, float(task.fit_intercept))
    learner = model.inner_learner(task.shape)
    y = task.y if task.n_classes != 2 else 2.0 * task.y - 1.0
    rows = Rows(task.X, y.astype(float), task.weight)
    arguments = learner.bound_arguments(rows, start, np.full((1, 1), eta), None)
    assert_array_equal(arguments["parts"], parts)
    for theta in comparators(rng, task, start, theta_of(model)):
        theta[:, -1] *= task.fit_intercept
        theta *= min(1.0, radius / max(np.abs(theta).sum(), 1e-300))
        check_regret(
            task, theta, model.losses_, sum(eg_regret_bound(theta, **arguments))
        )


@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "none"])
@pytest.mark.parametrize("loss", ["absolute_error", "log_loss", "hinge"])
@pytest.mark.parametrize(
    ("guarantee", "options"),
    [
        ("EG", {"update": "eg", "radius": 0.8}),
        ("COIN", {"update": "coin"}),
        ("G1", {"update": "ftrl", "learning_rate": "inverse", "radius": 0.8}),
    ],
)
def test_report_names_the_bound_and_keeps_it(guarantee, options, loss, fit_intercept):
    rng = np.random.default_rng(0)
    tasks = [mixed_task(rng, loss, 5, 2, fit_intercept=fit_intercept) for _ in range(4)]
    kind = FMRLClassifier if tasks[0].n_classes else FMRLRegressor
    model = kind(learner_for(tasks[0], **options), standardize=False)
    report = regret_report(model, *stack(tasks))
    assert report.covered and report.guarantee == guarantee
    assert (report.regret <= report.bound * (1 + ROUNDING)).all()
    assert f"mean of the bounds ({guarantee})" in str(report)
    if guarantee == "EG":
        assert (np.abs(report.optima).sum(axis=(1, 2)) <= 0.8 * (1 + 1e-9)).all()
    assert fit_intercept or not report.optima[..., -1].any()


# ---- minimisers in the l1 ball


def best_in_l1_ball(task, radius, center=None, strength=0.0):
    """The least loss by a general solver, over positive and negative parts."""
    center = np.zeros(task.shape) if center is None else center
    size = int(np.prod(task.shape))

    def value(v):
        theta = (v[:size] - v[size : 2 * size]).reshape(task.shape)
        return task.value(theta) + strength * ((theta - center) ** 2).sum() / 2

    least = np.inf
    for seed in range(3):
        first = np.random.default_rng(seed).dirichlet(np.ones(2 * size + 1))
        found = optimize.minimize(
            value,
            radius * first[:-1],
            method="SLSQP",
            bounds=[(0.0, None)] * (2 * size),
            constraints=[{"type": "ineq", "fun": lambda v: radius - v.sum()}],
            options={"ftol": 1e-15, "maxiter": 1000},
        )
        if found.x.sum() <= radius * (1 + 1e-9):
            least = min(least, found.fun)
    return least


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("radius", [0.3, 1.0, 50.0])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_minimisers_in_the_l1_ball(loss, radius, n_classes, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    task = mixed_task(rng, loss, 4, 2, n_classes=n_classes)
    losses = REGRESSION_LOSSES | CLASSIFICATION_LOSSES
    numbers = {k: v for k, v in task.options.items() if k in ("epsilon", "quantile")}
    objective = Objective(losses[loss](**numbers), 1.0, radius, order=1)
    y = task.y if task.n_classes != 2 else 2.0 * task.y - 1.0
    whole = Rows(task.X, y.astype(float)).loss(objective, task.shape[0])
    center = 0.3 * rng.normal(size=task.shape)
    for strength in (0.0, 0.7):
        if strength:
            theta = objective.regularized(whole, center, strength)
        else:
            theta = objective.optimum(whole, center)
        assert np.abs(theta).sum() <= radius * (1 + 1e-12)
        value = task.value(theta) + strength * ((theta - center) ** 2).sum() / 2
        least = best_in_l1_ball(task, radius, center, strength)
        assert value <= least * (1 + 1e-9) + 1e-9


@pytest.mark.parametrize("task_parameter", ["optimum", "regularized"])
def test_task_parameters_are_in_the_l1_ball(task_parameter):
    rng = np.random.default_rng(0)
    tasks = [random_task(rng, "squared_error", 8, 3) for _ in range(3)]
    inner = OGDRegressor(update="eg", radius=0.5, eta0=0.3, fit_intercept=False)
    model = FMRLRegressor(
        inner, standardize=False, task_parameter=task_parameter, step_size="fixed"
    ).fit(*stack(tasks)[:2], tasks=stack(tasks)[2])
    sizes = np.abs(model.task_coef_).sum(axis=1)
    assert_allclose(sizes, 0.5, rtol=1e-9)
    assert_array_equal(model.task_intercept_, 0.0)
