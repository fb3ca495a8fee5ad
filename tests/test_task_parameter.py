"""Task parameters that are computed from whole tasks: 'regularized' and 'optimum'."""

import pickle
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import SGDClassifier, SGDRegressor
from theory_models import make as make_tasks
from theory_models import model_for
from theory_reference import (
    LOSSES,
    PIECEWISE_LINEAR,
    Aruba,
    Task,
    distance_to_optimality,
    learn,
    minimise,
    mixed_task,
    objective,
    random_task,
    regularised_leader,
    shares,
    stack,
    task_parameters,
    theta_of,
)

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta.linear_model import (
    BiasedLogisticRegression,
    BiasedRidge,
    OGDClassifier,
)

make = partial(make_tasks, sizes=(3, 5, 4))
SOLVED = ["regularized", "optimum"]
FLAT = ["hinge", "modified_huber", "squared_hinge"]

each_loss = pytest.mark.parametrize("loss", LOSSES)
each_solved = pytest.mark.parametrize("task_parameter", SOLVED)


def stream(model, tasks, sparse=False):
    """One call of partial_fit for every task; yields (phi, eta, parameter) of each.

    Tasks must be as long as the first, or the step size not depend on their length.
    """
    shape = tasks[0].shape
    phi, eta = np.zeros(shape), None
    for t, task in enumerate(tasks):
        options = {"classes": np.arange(task.n_classes)} if task.n_classes else {}
        X = sp.csr_matrix(task.X) if sparse else task.X
        model.partial_fit(X, task.y, tasks=t, sample_weight=task.weight, **options)
        if eta is None:
            eta = model.history_["step_size"][0]
        yield phi, eta, task_parameters(model, shape)[-1]
        phi, eta = theta_of(model), model.step_size_


def fit(model, tasks):
    X, y, labels = stack(tasks)
    weight = None
    if tasks[0].weight is not None:
        weight = np.concatenate([task.weight for task in tasks])
    return model.fit(X, y, tasks=labels, sample_weight=weight)


# ---- what they are


@each_loss
@pytest.mark.parametrize("radius", [None, 0.5], ids=["free", "ball"])
@pytest.mark.parametrize("step_size", ["fixed", "isotropic"])
def test_regularized_minimises_loss_and_distance(
    loss, radius, step_size, global_random_seed
):
    """L_t(theta) + ||theta - phi_t||**2 / (2 eta_t) in the ball."""
    tasks = make(loss, global_random_seed, weighted=True)
    model = model_for(
        tasks[0],
        inner={"radius": radius, "update": "ftrl"},
        step_size=step_size,
        task_parameter="regularized",
    )
    for task, (phi, eta, theta) in zip(tasks, stream(model, tasks), strict=True):
        assert distance_to_optimality(task, theta, phi, 1.0 / eta, radius) < 1e-8
        assert radius is None or np.linalg.norm(theta) <= radius * (1.0 + 1e-12)
        distance = model.history_["distance"][-1]
        assert_allclose(distance, np.linalg.norm(theta - phi), rtol=1e-12)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_regularized_with_a_step_size_for_every_parameter(loss, global_random_seed):
    tasks = make(loss, global_random_seed, n_classes=3)
    model = model_for(
        tasks[0], step_size="per_coordinate", task_parameter="regularized"
    )
    for task, (phi, eta, theta) in zip(tasks, stream(model, tasks), strict=True):
        expected = regularised_leader(task, phi, 1.0 / eta)
        assert_allclose(theta, expected, rtol=1e-9, atol=1e-9)


@each_loss
def test_optimum_minimises_the_loss(loss, global_random_seed):
    tasks = make(loss, global_random_seed, weighted=True)
    model = model_for(tasks[0], task_parameter="optimum")
    for task, (_, _, theta) in zip(tasks, stream(model, tasks), strict=True):
        best = task.value(minimise(task))
        assert_allclose(task.value(theta), best, rtol=1e-6, atol=1e-9)
        assert distance_to_optimality(task, theta) < 1e-6


@pytest.mark.parametrize(
    "loss", [loss for loss in LOSSES if loss not in PIECEWISE_LINEAR]
)
def test_optimum_in_the_ball(loss, global_random_seed):
    """Classes may be separable: the ball bounds the log loss' optimum."""
    tasks = make(loss, global_random_seed, random_task)
    inner = {"radius": 0.3}
    model = model_for(tasks[0], inner=inner, task_parameter="optimum")
    for task, (_, _, theta) in zip(tasks, stream(model, tasks), strict=True):
        assert np.linalg.norm(theta) <= 0.3 * (1.0 + 1e-12)
        assert distance_to_optimality(task, theta, radius=0.3) < 1e-6


@pytest.mark.parametrize("learned_by", [stream, fit], ids=["stream", "fit"])
def test_of_several_optima_the_one_nearest_to_the_initialization(
    learned_by, global_random_seed
):
    """Tasks of fewer samples than parameters, and one of more among them."""
    tasks = make(
        "squared_error", global_random_seed, random_task, sizes=(2, 1, 6, 2, 1)
    )
    model = model_for(tasks[0], task_parameter="optimum", step_size="fixed")
    list(learned_by(model, tasks) if learned_by is stream else [fit(model, tasks)])
    expected = learn(
        tasks,
        np.zeros((1, 3)),
        Aruba(1.0, 1.0, 1.0, False),
        shares("ftl"),
        parameter=lambda task, run, start, eta: (
            start + np.linalg.pinv(task.design) @ (task.y - task.scores(start)[:, 0])
        ),
    )
    parameters = task_parameters(model, (1, 3))
    assert_allclose(parameters, expected.parameters, rtol=1e-9, atol=1e-9)
    assert_allclose(theta_of(model), expected.phi, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("loss", FLAT)
@pytest.mark.parametrize("learned_by", [stream, fit], ids=["stream", "fit"])
def test_an_initialization_that_is_optimal_stays(learned_by, loss, global_random_seed):
    """A later task, of full rank, is without loss where the first one led to."""
    rng = np.random.default_rng(global_random_seed)
    X, y = rng.uniform(-0.3, 0.3, size=(12, 2)), np.tile([0, 1], 6)
    X[:, 0] += 3.0 * (2 * y - 1)
    harder = Task(X[:6] * [0.1, 1.0], y[:6], loss, 2)
    easier = Task(X[6:], y[6:], loss, 2)
    tasks = [harder, easier]
    model = model_for(harder, task_parameter="optimum", meta_step_size=1.0)
    list(learned_by(model, tasks) if learned_by is stream else [fit(model, tasks)])
    first, second = task_parameters(model, harder.shape)
    assert harder.value(first) < 1e-6
    assert easier.value(first) == 0.0
    assert_allclose(second, first, rtol=1e-6)


@pytest.mark.parametrize("inner", [BiasedRidge, BiasedLogisticRegression])
@pytest.mark.parametrize("step_size", ["fixed", "isotropic", "per_coordinate"])
def test_regularized_is_where_the_full_loss_leader_ends(
    inner, step_size, global_random_seed
):
    ridge = inner is BiasedRidge
    inner = inner(2.0) if step_size == "fixed" else inner()
    tasks = make("squared_error" if ridge else "log_loss", global_random_seed)
    kind = FMRLRegressor if ridge else FMRLClassifier
    last, solved = (
        fit(
            kind(inner, step_size=step_size, task_parameter=name, standardize=False),
            tasks,
        )
        for name in ("last", "regularized")
    )
    shape = tasks[0].shape
    assert_allclose(
        task_parameters(solved, shape), task_parameters(last, shape), atol=1e-8
    )
    assert_allclose(theta_of(solved), theta_of(last), atol=1e-8)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_parameters_of_several_outputs(n_classes, global_random_seed):
    tasks = make("squared_hinge", global_random_seed, n_classes=n_classes)
    for task_parameter in SOLVED:
        model = model_for(
            tasks[0], inner={"radius": 1.0}, task_parameter=task_parameter
        )
        for task, (phi, eta, theta) in zip(tasks, stream(model, tasks), strict=True):
            strength = 1.0 / eta if task_parameter == "regularized" else 0.0
            assert theta.shape == task.shape
            away = distance_to_optimality(task, theta, phi, strength, 1.0)
            assert away < 1e-6
            assert_array_equal(model.task_coef_[-1], theta[:, :-1])


# ---- what they do not depend on


@pytest.mark.parametrize("task_parameter", ["last", "average"])
@each_loss
def test_stream_equals_fit_to_the_last_bit(
    loss, task_parameter, kernel, global_random_seed
):
    tasks = make(loss, global_random_seed)
    model = model_for(tasks[0], task_parameter=task_parameter)
    at_once = fit(clone(model), tasks)
    list(stream(model, tasks))
    for name in ("coef_", "intercept_", "task_coef_", "task_intercept_", "history_"):
        assert_array_equal(getattr(model, name), getattr(at_once, name))


@each_solved
@each_loss
@pytest.mark.parametrize("kind", [mixed_task, random_task])
def test_stream_equals_fit_of_what_is_solved_for(
    loss, task_parameter, kind, global_random_seed
):
    """Tasks of small random ones have more than one optimum."""
    if (loss, task_parameter) == ("log_loss", "optimum"):
        kind = mixed_task
    tasks = make(loss, global_random_seed, kind)
    model = model_for(tasks[0], task_parameter=task_parameter)
    at_once = fit(clone(model), tasks)
    list(stream(model, tasks))
    close = {"rtol": 1e-9, "atol": 1e-9}
    for name in ("coef_", "intercept_", "task_coef_", "task_intercept_", "step_size_"):
        assert_allclose(getattr(model, name), getattr(at_once, name), **close)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "log_loss"])
def test_optimum_does_not_depend_on_the_order(loss, global_random_seed):
    """Neither of the tasks nor of the rows within; ftl forgets the order of tasks."""
    rng = np.random.default_rng(global_random_seed)
    tasks = make(loss, global_random_seed, sizes=(3, 5, 3, 4))
    model = model_for(tasks[0], task_parameter="optimum")
    given = fit(clone(model), tasks)
    order = rng.permutation(4)
    shuffled = [tasks[t].rows(rng.permutation(len(tasks[t].y))) for t in order]
    other = fit(clone(model), shuffled)
    shape = tasks[0].shape
    parameters = task_parameters(given, shape)[order]
    close = {"rtol": 1e-6, "atol": 1e-6}
    assert_allclose(task_parameters(other, shape), parameters, **close)
    assert_allclose(theta_of(other), theta_of(given), **close)


@pytest.mark.parametrize("loss", ["squared_error", "hinge"])
@pytest.mark.parametrize("meta_batch_size", [1, 2])
def test_jobs_do_not_matter(loss, meta_batch_size, global_random_seed):
    tasks = make(loss, global_random_seed, random_task, sizes=(2, 4, 3))
    model = model_for(
        tasks[0], task_parameter="optimum", meta_batch_size=meta_batch_size
    )
    one, two = (fit(clone(model).set_params(n_jobs=n), tasks) for n in (1, 2))
    for name in ("coef_", "intercept_", "task_coef_", "task_intercept_", "history_"):
        assert_array_equal(getattr(one, name), getattr(two, name))


@each_solved
def test_sparse_tasks_are_the_same_tasks(task_parameter, global_random_seed):
    tasks = make("log_loss", global_random_seed, n_classes=3)
    model = model_for(tasks[0], task_parameter=task_parameter)
    dense = [theta for *_, theta in stream(clone(model), tasks)]
    sparse = [theta for *_, theta in stream(clone(model), tasks, sparse=True)]
    assert_allclose(sparse, dense, rtol=1e-9, atol=1e-9)


@each_solved
@pytest.mark.parametrize("loss", ["huber", "squared_hinge"])
def test_weights_are_repeated_rows(loss, task_parameter, global_random_seed):
    """Zero: the row is left out. The step size is fixed, lest it sees the length."""
    [task] = make(loss, global_random_seed, sizes=(3,))
    counts = np.array([1, 2, 0, 1, 3, 1])
    model = model_for(task, task_parameter=task_parameter, step_size="fixed")
    repeated = fit(clone(model), [task.rows(np.repeat(np.arange(6), counts))])
    task.weight = counts.astype(float)
    weighted = fit(clone(model), [task])
    theta, other = (task_parameters(one, task.shape)[0] for one in (weighted, repeated))
    strength = 10.0 if task_parameter == "regularized" else 0.0
    values = [objective(task, one, 0.0, strength) for one in (theta, other)]
    assert_allclose(*values, rtol=1e-8)
    assert_allclose(theta, other, rtol=1e-5, atol=1e-5)


# ---- errors


def with_separable_task(label):
    """Tasks 'a', 'b' and 'c' of which the one is separable."""
    tasks = make("log_loss", 0)
    tasks["abc".index(label)].y = (tasks["abc".index(label)].X[:, 0] > 0).astype(int)
    X, y, labels = stack(tasks)
    return X, y, np.array(list("abc"))[labels]


@pytest.mark.parametrize("label", ["a", "c"])
@pytest.mark.parametrize("meta_batch_size", [1, 2])
def test_separable_task_is_named(label, meta_batch_size):
    X, y, labels = with_separable_task(label)
    model = FMRLClassifier(
        task_parameter="optimum", meta_batch_size=meta_batch_size, standardize=False
    )
    before = pickle.dumps(vars(model))
    with pytest.raises(
        ValueError, match=f"Task '{label}': The classes .* can be separated.*radius"
    ):
        model.fit(X, y, tasks=labels)
    assert pickle.dumps(vars(model)) == before
    model.set_params(estimator=OGDClassifier(radius=3.0)).fit(X, y, tasks=labels)
    assert np.linalg.norm(model.task_coef_["abc".index(label)]) > 1.0


@pytest.mark.parametrize("meta_batch_size", [1, 2])
def test_separable_task_can_be_left_out(meta_batch_size):
    X, y, labels = with_separable_task("b")
    model = FMRLClassifier(
        task_parameter="optimum",
        on_bad_task="warn",
        meta_batch_size=meta_batch_size,
        standardize=False,
    )
    with pytest.warns(UserWarning, match="Task 'b': The classes .* can be separated"):
        model.fit(X, y, tasks=labels)
    assert model.task_labels_.tolist() == ["a", "c"]
    assert model.n_tasks_skipped_ == 1
    others = labels != "b"
    without = clone(model).fit(X[others], y[others], tasks=labels[others])
    assert_allclose(theta_of(model), theta_of(without), rtol=1e-7, atol=1e-9)


@each_solved
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_task_of_bad_rows_is_named(task_parameter, value):
    tasks = make("huber", 0)
    tasks[2].X[1, 0] = value
    model = model_for(tasks[0], task_parameter=task_parameter)
    with pytest.raises(ValueError, match="Task 2: X contains NaN or infinity in row 1"):
        fit(clone(model), tasks)
    skipped = fit(clone(model).set_params(on_bad_task="skip"), tasks)
    without = fit(clone(model), tasks[:2] + tasks[3:])
    assert_allclose(theta_of(skipped), theta_of(without), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("task_parameter", ["average", *SOLVED])
@pytest.mark.parametrize("inner", [SGDRegressor(), SGDClassifier()], ids=str)
def test_foreign_estimators_are_refused(inner, task_parameter):
    kind = FMRLRegressor if isinstance(inner, SGDRegressor) else FMRLClassifier
    model = kind(inner, step_size="fixed", task_parameter=task_parameter)
    name = type(inner).__name__
    message = f"{name} (does not report an average|does not name the loss).*'last'"
    with pytest.raises(ValueError, match=message):
        model.fit(np.eye(2), [0, 1], tasks=[0, 0])
