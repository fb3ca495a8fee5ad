"""The minimisers of whole tasks: optimality conditions, and other solvers."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import optimize
from scipy.linalg import null_space
from theory_reference import (
    CLASSIFICATION_LOSSES,
    LOSSES,
    NUMBERS,
    PIECEWISE_LINEAR,
    Task,
    distance_to_optimality,
    epigraph,
    minimise,
    mixed_task,
    objective,
    random_task,
)

from skmeta import _solvers, losses

EVERY_LOSS = {**losses.REGRESSION_LOSSES, **losses.CLASSIFICATION_LOSSES}
SMOOTH = [loss for loss in LOSSES if loss not in PIECEWISE_LINEAR]
HAVING_MINIMUM = [loss for loss in LOSSES if loss != "log_loss"]
SIZES = {"full-rank": (6, 2), "rank-deficient": (3, 4)}

each_loss = pytest.mark.parametrize("loss", LOSSES)
each_size = pytest.mark.parametrize("size", SIZES)


def on_problems(losses):
    """Every loss with one output and, where classes make them, with three."""
    problems = [(loss, 2) for loss in losses]
    problems += [(loss, 3) for loss in losses if loss in CLASSIFICATION_LOSSES]
    return pytest.mark.parametrize(
        ("loss", "n_classes"),
        problems,
        ids=lambda value: {2: "one-output", 3: "three-outputs"}.get(value, value),
    )


each_problem = on_problems(LOSSES)


def as_package_task(task):
    """The task as the solvers take it."""
    codes = task.y if task.n_classes > 2 else task.targets[:, 0]
    loss = EVERY_LOSS[task.loss](*NUMBERS.get(task.loss, {}).values())
    bias = float(task.fit_intercept)
    return _solvers.TaskLoss.of(
        loss, task.X, np.asarray(codes, float), task.weight, task.shape[0], bias
    )


def regularized(task, center, strength, radius=None, **options):
    radius = np.inf if radius is None else radius
    parts = as_package_task(task), center, strength, radius
    return _solvers.regularized(*parts, **options)


def optimum(task, center, radius=None):
    radius = np.inf if radius is None else radius
    return _solvers.optimum(as_package_task(task), center, radius)


def check(task, theta, center, strength, radius, precision):
    """In the ball, as good as another solver's, and nothing pulls away from it."""
    assert theta.shape == task.shape
    assert radius is None or np.linalg.norm(theta) <= radius * (1.0 + 1e-12)
    other = minimise(task, center, strength, radius)
    assert_allclose(
        objective(task, theta, center, strength),
        objective(task, other, center, strength),
        rtol=1e-6,
        atol=1e-6,
    )
    away = distance_to_optimality(task, theta, center, strength, radius)
    assert away <= precision


# ---- regularised


@each_problem
@each_size
@pytest.mark.parametrize("each", [False, True], ids=["one-strength", "by-parameter"])
def test_regularized(loss, n_classes, size, each, global_random_seed):
    """Of all parameters, and in a ball that does not hold that one."""
    rng = np.random.default_rng(global_random_seed)
    m, d = SIZES[size]
    task = random_task(rng, loss, m, d, n_classes=n_classes, weighted=True)
    center = rng.normal(size=task.shape)
    strength = 10.0 ** rng.uniform(-1, 1, task.shape) if each else 0.7
    theta = regularized(task, center, strength)
    check(task, theta, center, strength, None, 1e-8)
    radius = 0.6 * np.linalg.norm(theta)
    theta = regularized(task, center, strength, radius)
    check(task, theta, center, strength, radius, 1e-8)
    assert_allclose(np.linalg.norm(theta), radius, rtol=1e-9)


@each_loss
def test_regularized_from_any_guess(loss, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    task = random_task(rng, loss)
    center = rng.normal(size=task.shape)
    theta = regularized(task, center, 0.7)
    for guess in (theta, 10.0 * rng.normal(size=task.shape)):
        other = regularized(task, center, 0.7, start=guess)
        assert_allclose(other, theta, rtol=1e-6, atol=1e-6)


@each_loss
def test_regularized_ends_where_the_strength_says(loss, global_random_seed):
    """A strong pull leaves it at the centre, in the ball at the centre's projection."""
    rng = np.random.default_rng(global_random_seed)
    task = random_task(rng, loss)
    center = rng.normal(size=task.shape)
    assert_allclose(regularized(task, center, 1e9), center, atol=1e-6)
    radius = 0.5 * np.linalg.norm(center)
    assert_allclose(regularized(task, center, 1e9, radius), 0.5 * center, atol=1e-6)


@each_loss
def test_no_intercept_leaves_that_of_the_centre(loss, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    task = random_task(rng, loss, fit_intercept=False)
    center = rng.normal(size=task.shape)
    theta = regularized(task, center, 0.7)
    assert_allclose(theta[:, -1], center[:, -1], rtol=1e-12)
    check(task, theta, center, 0.7, None, 1e-8)


@each_loss
def test_a_weight_is_a_repeated_row(loss, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    task = random_task(rng, loss, 6)
    counts = np.array([1, 3, 2, 1, 1, 2])
    center = rng.normal(size=task.shape)
    repeated = regularized(task.rows(np.repeat(np.arange(6), counts)), center, 0.7)
    task.weight = counts.astype(float)
    assert_allclose(regularized(task, center, 0.7), repeated, rtol=1e-7, atol=1e-7)


def test_kinks_are_met_exactly():
    """The median is the optimum of the absolute error, pulled or not."""
    task = Task(np.zeros((5, 1)), np.array([0.0, 1.0, 2.0, 5.0, 9.0]), "absolute_error")
    theta = regularized(task, np.array([[3.0, 2.5]]), 0.5)
    assert_allclose(theta, [[3.0, 2.0]], atol=1e-12)
    assert_allclose(optimum(task, np.array([[3.0, 7.0]])), [[3.0, 2.0]], atol=1e-12)


# ---- optimum


@each_problem
def test_optimum_of_full_rank(loss, n_classes, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    task = mixed_task(rng, loss, n_classes=n_classes, weighted=True)
    theta = optimum(task, rng.normal(size=task.shape))
    check(task, theta, 0.0, 0.0, None, 1e-6)


@on_problems(HAVING_MINIMUM)
def test_optimum_of_less_rank(loss, n_classes, global_random_seed):
    """What the rows do not see stays as it is in the centre."""
    rng = np.random.default_rng(global_random_seed)
    task = random_task(rng, loss, 3, 4, n_classes=n_classes, weighted=True)
    center = rng.normal(size=task.shape)
    theta = optimum(task, center)
    check(task, theta, 0.0, 0.0, None, 1e-6)
    unseen = null_space(task.design)
    assert unseen.shape[1] == 2
    assert_allclose(theta @ unseen, center @ unseen, atol=1e-6)


def radius_that_binds(task):
    """Of a ball that holds no optimum: a pull to zero makes no parameter longer."""
    return 0.6 * np.linalg.norm(regularized(task, np.zeros(task.shape), 0.1))


@on_problems(SMOOTH)
@each_size
def test_optimum_in_the_ball(loss, n_classes, size, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    task = random_task(rng, loss, *SIZES[size], n_classes=n_classes, weighted=True)
    radius = radius_that_binds(task)
    theta = optimum(task, rng.normal(size=task.shape), radius)
    check(task, theta, 0.0, 0.0, radius, 1e-6)
    assert_allclose(np.linalg.norm(theta), radius, rtol=1e-9)


@pytest.mark.parametrize("loss", PIECEWISE_LINEAR)
def test_optimum_of_a_loss_with_kinks_in_the_ball(loss, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    task = random_task(rng, loss, 3, 1)
    radius = radius_that_binds(task)
    theta = optimum(task, rng.normal(size=task.shape), radius)
    check(task, theta, 0.0, 0.0, radius, 1e-5)
    assert_allclose(np.linalg.norm(theta), radius, rtol=1e-9)


@each_loss
def test_ball_that_holds_the_optimum_changes_nothing(loss, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    task = mixed_task(rng, loss)
    center = rng.normal(size=task.shape)
    free = optimum(task, center)
    radius = 10.0 * (np.linalg.norm(free) + np.linalg.norm(center))
    assert_allclose(optimum(task, center, radius), free, rtol=1e-12)


def test_optimum_does_not_stop_at_a_kink_on_the_way():
    """From zero the first kink, 0.5, holds back many strengths of the pull."""
    task = Task(
        np.array([[5.0], [5.01]]),
        np.array([2.5, 5.01]),
        "absolute_error",
        fit_intercept=False,
    )
    assert_allclose(optimum(task, np.zeros((1, 2))), [[1.0, 0.0]], atol=1e-9)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
@pytest.mark.parametrize("loss", SMOOTH)
def test_optimum_on_unscaled_features(loss, scale, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    task = mixed_task(rng, loss)
    task.X = scale * task.X
    theta = optimum(task, rng.normal(size=task.shape))
    scaled = replace(task, X=task.X / scale)
    best = scaled.value(minimise(scaled))
    assert_allclose(task.value(theta), best, rtol=1e-6)


# ---- of several minimisers the nearest


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("size", [(6, 2), (3, 4), (5, 4), (1, 3)], ids=str)
def test_least_squares_by_the_pseudoinverse(size, weighted, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    task = random_task(rng, "squared_error", *size, weighted=weighted)
    center = rng.normal(size=task.shape)
    root = np.sqrt(task.weights)
    A, b = root[:, np.newaxis] * task.design, root * task.y
    expected = center[0] + np.linalg.pinv(A) @ (b - A @ center[0])
    assert_allclose(optimum(task, center)[0], expected, rtol=1e-9, atol=1e-9)


def test_least_squares_of_dependent_columns(global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    task = random_task(rng, "squared_error", 8, 2)
    task.X[:, 1] = 2.0 * task.X[:, 0]
    center = rng.normal(size=task.shape)
    expected = center[0] + np.linalg.pinv(task.design) @ (
        task.y - task.scores(center)[:, 0]
    )
    assert_allclose(optimum(task, center)[0], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("share", [0.3, 0.9])
@each_size
def test_least_squares_on_the_sphere(share, size, global_random_seed):
    """The trust-region root: (A'A + multiplier) theta = A'b, of the given norm."""
    rng = np.random.default_rng(global_random_seed)
    task = random_task(rng, "squared_error", *SIZES[size])
    A, b = task.design, task.y
    radius = share * np.linalg.norm(np.linalg.pinv(A) @ b)
    [theta] = optimum(task, 3.0 * rng.normal(size=task.shape), radius)
    pull = A.T @ (b - A @ theta)
    multiplier = pull @ theta / (theta @ theta)
    assert multiplier > 0
    assert_allclose(pull, multiplier * theta, atol=1e-9 * np.linalg.norm(pull))
    assert_allclose(np.linalg.norm(theta), radius, rtol=1e-12)


def test_least_squares_as_near_as_the_ball_allows(global_random_seed):
    """All minimisers in the ball, but not the one nearest to the centre."""
    rng = np.random.default_rng(global_random_seed)
    task = random_task(rng, "squared_error", 2, 3)
    least = np.linalg.pinv(task.design) @ task.y
    unseen = null_space(task.design)
    center = 10.0 * (unseen @ [0.6, 0.8])
    radius = 1.5 * np.linalg.norm(least)
    [theta] = optimum(task, center[np.newaxis], radius)
    room = np.sqrt(radius**2 - least @ least)
    assert_allclose(theta, least + room * center / 10.0, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", [*PIECEWISE_LINEAR, "squared_hinge", "modified_huber"])
def test_nearest_of_a_set_of_minimisers(loss, global_random_seed):
    """Two samples, two parameters to spare, and losses that are flat besides."""
    rng = np.random.default_rng(global_random_seed)
    task = random_task(rng, loss, 2, 2)
    center = 3.0 * rng.normal(size=task.shape)
    theta = optimum(task, center)
    # The least loss is zero here, so that every row is held to it.
    flat = task if loss in PIECEWISE_LINEAR else Task(task.X, task.y, "hinge", 2)
    A, b = epigraph(flat)
    A = A[:, : center.size]
    nearest = optimize.minimize(
        lambda v: ((v - center.ravel()) ** 2).sum(),
        theta.ravel(),
        method="SLSQP",
        constraints={"type": "ineq", "fun": lambda v: A @ v - b},
        options={"ftol": 1e-14},
    )
    assert_allclose(task.value(theta), 0.0, atol=1e-8)
    assert_allclose(theta.ravel(), nearest.x, rtol=1e-5, atol=1e-5)


# ---- the log loss


def separable_task(n_classes):
    X = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 2.0], [2.0, 0.0], [3.0, 1.0]])
    y = np.array([0, 0, 0, 1, 1]) if n_classes == 2 else np.array([0, 0, 0, 1, 2])
    return Task(X, y, "log_loss", n_classes)


SEPARABLE = {
    "apart": separable_task(2),
    "three-classes": separable_task(3),
    "one-class": Task(np.eye(2), np.array([1, 1]), "log_loss", 2),
    "touching": Task(
        np.array([[0.0], [0.0], [1.0]]), np.array([0, 1, 1]), "log_loss", 2
    ),
}


@pytest.mark.parametrize("name", SEPARABLE)
def test_log_loss_of_separable_classes_needs_a_ball(name):
    task = SEPARABLE[name]
    with pytest.raises(ValueError, match="can be separated.*give the estimator a rad"):
        optimum(task, np.zeros(task.shape))
    theta = optimum(task, np.zeros(task.shape), 5.0)
    check(task, theta, 0.0, 0.0, 5.0, 1e-6)
    check(task, regularized(task, theta, 0.1), theta, 0.1, None, 1e-8)


def test_log_loss_of_mixed_classes_needs_no_ball():
    X = np.array([[0.0], [1.0], [2.0], [3.0]])
    task = Task(X, np.array([0, 1, 0, 1]), "log_loss", 2)
    check(task, optimum(task, np.zeros((1, 2))), 0.0, 0.0, None, 1e-7)


@pytest.mark.parametrize("loss", ["squared_hinge", "modified_huber"])
def test_ball_of_any_size_on_features_of_any_scale(loss):
    """Rounding must not turn the bracket of the multiplier around."""
    for seed in range(150):
        rng = np.random.default_rng(seed)
        X = 10.0 ** rng.uniform(-2, 3) * rng.normal(size=(3, 3))
        y = rng.choice([-1.0, 1.0], size=3)
        radius = rng.choice([0.1, 1.0, 2.1])
        task = _solvers.TaskLoss.of(EVERY_LOSS[loss](), X, y, None, 1, 1.0)
        center = rng.normal(size=(1, 4))
        center *= radius / np.linalg.norm(center)  # where a strawman would start
        theta = _solvers.optimum(task, center, radius)
        assert np.linalg.norm(theta) <= radius * (1 + 1e-9)
        for _ in range(5):
            other = theta + 1e-3 * radius * rng.normal(size=theta.shape)
            other *= min(1.0, radius / np.linalg.norm(other))
            assert task.value(theta) <= task.value(other) * (1 + 1e-9) + 1e-9
