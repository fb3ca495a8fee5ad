"""Regularised leaders in a ball: the Biased learners with a radius."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize
from theory_reference import Task, mixed_task, project, random_task, stack, theta_of

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta._learners._in_ball import leader_in_ball, nearest_in_ball
from skmeta._solvers import TaskLoss
from skmeta.linear_model import BiasedLogisticRegression, BiasedRidge
from skmeta.linear_model import Task as Rows
from skmeta.losses import LogLoss
from skmeta.metrics import regret_bound, regret_report

ROUNDING = 1e-11
PROBLEMS = {
    "ridge": ("squared_error", 0),
    "two": ("log_loss", 2),
    "three": ("log_loss", 3),
}
each_problem = pytest.mark.parametrize("problem", PROBLEMS)
seeds = st.integers(0, 2**32 - 1)
scales = st.floats(-2.0, 2.0).map(lambda power: 10.0**power)


def make(problem, rng, n_samples=8, **options):
    loss, n_classes = PROBLEMS[problem]
    return random_task(rng, loss, n_samples, 3, n_classes=n_classes, **options)


def model_for(task, **params):
    kind = BiasedLogisticRegression if task.n_classes else BiasedRidge
    return kind(fit_intercept=task.fit_intercept, **params)


def start_of(task, start):
    coef = start[:, :-1] if task.n_classes else start[0, :-1]
    return {"coef_init": coef, "intercept_init": start[:, -1]}


def precision_for(alpha, shape):
    if np.ndim(alpha) < 3:
        return np.broadcast_to(alpha, shape)[:, :, np.newaxis] * np.eye(shape[1])
    return alpha


def minimiser(task, center, precision, radius):
    """By the conditions of optimality, for a general solver of equations."""
    shape = task.shape

    def residual(v):
        theta, mu = v[:-1].reshape(shape), np.exp(np.clip(v[-1], -50.0, 50.0))
        pull = np.einsum("kpq,kq->kp", precision, theta - center)
        gradient = task.gradient(theta) + pull + mu * theta
        return np.append(gradient.ravel(), (theta**2).sum() / radius**2 - 1.0)

    def free(v):
        pull = np.einsum("kpq,kq->kp", precision, v.reshape(shape) - center)
        return (task.gradient(v.reshape(shape)) + pull).ravel()

    best = optimize.root(free, center.ravel(), tol=1e-14).x.reshape(shape)
    if np.linalg.norm(best) <= radius:
        return best
    best = None
    for log_mu in (-3.0, 0.0, 2.0, 4.0, 6.0):
        first = project(center + 1e-3, radius)
        found = optimize.root(residual, np.append(first.ravel(), log_mu), tol=1e-14)
        if np.abs(residual(found.x)).max() < 1e-9:
            best = found.x[:-1].reshape(shape)
    return best


@each_problem
@pytest.mark.parametrize("strength", ["number", "array", "matrix"])
@pytest.mark.parametrize("weighted", [False, True])
def test_fit_is_the_minimiser_in_the_ball(
    problem, strength, weighted, global_random_seed
):
    rng = np.random.default_rng(global_random_seed)
    task = make(problem, rng, weighted=weighted)
    start = rng.normal(size=task.shape)
    p = task.shape[1]
    alpha = {
        "number": 0.7,
        "array": rng.uniform(0.3, 2.0, task.shape),
        "matrix": np.array([np.eye(p) + 0.4 for _ in range(task.shape[0])]),
    }[strength]
    given_alpha = alpha
    if strength != "number" and not task.n_classes:
        given_alpha = alpha[0]
    model = model_for(task, alpha=given_alpha, radius=0.4)
    model.fit(task.X, task.y, task.weight, **start_of(task, start))
    theta = theta_of(model)
    desired = minimiser(task, start, precision_for(alpha, task.shape), 0.4)
    assert desired is not None
    assert_allclose(theta, desired, rtol=0, atol=1e-10)
    assert np.linalg.norm(theta) <= 0.4 * (1 + 1e-14)
    # in two calls, the same; in a ball that is large enough, the one without a ball
    classes = {"classes": np.unique(task.y)} if task.n_classes else {}
    again = model_for(task, alpha=given_alpha, radius=0.4).set_params(
        **start_of(task, start)
    )
    for rows in (slice(0, 3), slice(3, 8)):
        weight = None if task.weight is None else task.weight[rows]
        again.partial_fit(task.X[rows], task.y[rows], sample_weight=weight, **classes)
    assert_allclose(theta_of(again), theta, rtol=0, atol=1e-11)
    free, large = (
        model_for(task, alpha=given_alpha, radius=radius).fit(
            task.X, task.y, task.weight, **start_of(task, start)
        )
        for radius in (None, 1e3)
    )
    assert_allclose(theta_of(large), theta_of(free), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_squared_distance_over_many_scales(scale):
    rng = np.random.default_rng(0)
    for power in range(0, 12, 3):
        spread = np.geomspace(1.0, 10.0**power, 4)
        basis = np.linalg.qr(rng.normal(size=(4, 4)))[0]
        precision = scale * (basis * spread) @ basis.T
        center = rng.normal(size=(1, 4))
        radius = 0.01 * np.linalg.norm(center)
        theta = nearest_in_ball(center, precision[np.newaxis], radius)
        assert_allclose(np.linalg.norm(theta), radius, rtol=1e-13)
        gradient = (theta - center)[0] @ precision
        across = gradient - (gradient @ theta[0]) / radius**2 * theta[0]
        assert np.abs(across).max() <= 1e-9 * np.abs(gradient).max()
        assert gradient @ theta[0] < 0


def test_without_rows_the_leader_is_the_nearest_point():
    empty = TaskLoss(LogLoss(), np.zeros((0, 3)), np.zeros((0, 2)), np.zeros(0))
    rng = np.random.default_rng(0)
    center = rng.normal(size=(2, 3))
    precision = np.array([np.diag([1.0, 5.0, 2.0]) + 0.3, np.eye(3)])
    found = leader_in_ball(empty, center, precision, 0.5, center)
    desired = nearest_in_ball(center, precision, 0.5)
    assert_allclose(found, desired, rtol=1e-11)


@each_problem
def test_iterates_are_minimisers_of_the_rows_before(problem, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    task = make(problem, rng, 6)
    start = rng.normal(size=task.shape)
    learner = model_for(task, radius=0.6).inner_learner(task.shape)
    y = task.y if task.n_classes != 2 else 2.0 * task.y - 1.0
    eta = np.full((1, 1), 2.0)
    outcome = learner.run(Rows(task.X, y.astype(float)), start, eta, average=True)
    total, precision = np.zeros(task.shape), precision_for(0.5, task.shape)
    for i in range(len(y)):
        before = task.rows(slice(i))
        if i:
            theta = minimiser(before, start, precision, 0.6)
        else:
            theta = project(start, 0.6)
        total += theta
        loss = task.rows([i]).value(theta)
        assert_allclose(outcome.losses[i], loss, rtol=1e-8)
    assert_allclose(outcome.average, total / len(y), atol=1e-9)
    assert_allclose(outcome.last, minimiser(task, start, precision, 0.6), atol=1e-10)


@each_problem
@settings(max_examples=25)
@given(
    seed=seeds,
    radius=scales,
    eta=scales,
    scale=scales,
    each=st.booleans(),
    fit_intercept=st.booleans(),
)
def test_regret_in_the_ball(problem, seed, radius, eta, scale, each, fit_intercept):
    """(G1) for one step size and for one per parameter: every iterate is a leader."""
    rng = np.random.default_rng(seed)
    task = make(problem, rng, 5, fit_intercept=fit_intercept)
    task.X *= scale
    start = project(rng.normal(size=task.shape), radius)
    start[:, -1] *= fit_intercept
    steps = np.full((1, 1), eta)
    if each:
        steps = eta * 10.0 ** rng.uniform(-1, 1, task.shape)
    model = model_for(task, radius=radius)
    learner = model.inner_learner(task.shape)
    y = task.y if task.n_classes != 2 else 2.0 * task.y - 1.0
    outcome = learner.run(Rows(task.X, y.astype(float)), start, steps, average=False)
    assert outcome.problem is None
    assert np.linalg.norm(outcome.last) <= radius * (1 + 1e-12)
    losses = outcome.losses.sum()
    candidates = [start, outcome.last]
    candidates += [rng.normal(size=task.shape) * size for size in (0.01, 1.0, 100.0)]
    for theta in candidates:
        theta = np.array(theta)
        theta[:, -1] *= fit_intercept
        theta = project(theta, radius)
        bound = sum(regret_bound(theta, start, steps, outcome.grad_sq))
        at_theta = task.losses(theta).sum()
        assert losses - at_theta <= bound + 1e-9 * (losses + at_theta + bound)


def test_meta_learning_in_a_ball():
    rng = np.random.default_rng(0)
    for loss, kind, inner in (
        ("squared_error", FMRLRegressor, BiasedRidge),
        ("log_loss", FMRLClassifier, BiasedLogisticRegression),
    ):
        tasks = [mixed_task(rng, loss, 4, 2) for _ in range(4)]
        for step_size in ("isotropic", "per_coordinate"):
            model = kind(
                inner(radius=0.5), step_size=step_size, standardize=False, init="zero"
            )
            X, y, labels = stack(tasks)
            report = regret_report(model, X, y, labels)
            assert report.covered and report.guarantee == "G1"
            assert (report.regret <= report.bound * (1 + ROUNDING)).all()
            assert np.linalg.norm(report.optima, axis=(1, 2)).max() <= 0.5 * (1 + 1e-9)
            model.fit(X, y, tasks=labels)
            adapted = model.adapt(X[:5], y[:5])
            assert np.linalg.norm(theta_of(adapted)) <= 0.5 * (1 + 1e-12)
            assert adapted.radius == 0.5
        with pytest.raises(ValueError, match="radius=0.5, a ball of raw parameters"):
            kind(inner(radius=0.5)).fit(X, y, tasks=labels)


def test_separable_classes_have_an_optimum_in_the_ball():
    X, y = np.array([[-1.0], [1.0], [-2.0], [2.0]]), np.array([0, 1, 0, 1])
    model = FMRLClassifier(
        BiasedLogisticRegression(radius=2.0),
        standardize=False,
        task_parameter="optimum",
    ).fit(X, y, tasks=np.zeros(4))
    task = Task(X, y, "log_loss", 2)
    theta = np.append(model.task_coef_[0], model.task_intercept_[0])[np.newaxis]
    assert_allclose(np.linalg.norm(theta), 2.0, rtol=1e-12)
    assert_array_equal(model.predict(X), y)
    assert task.value(theta) < task.value(0.9 * theta)
