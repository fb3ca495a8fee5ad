"""Meta-learning against a naive loop, and what must and must not change its result."""

import copy
from itertools import product

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from problems import (
    ATTRIBUTES,
    N_FEATURES,
    PROBLEMS,
    SHARED,
    assert_equal_models,
    first_call,
    in_order,
    make,
    model_for,
    numbers,
    on_all_learners,
    on_all_problems,
    scores,
    stream,
    targets,
    train,
)
from scipy.special import expit
from sklearn.base import clone

from skmeta import FMRLRegressor
from skmeta.linear_model import OGDRegressor
from skmeta.meta_step_size import FollowTheRows, LinearDecay
from skmeta.step_size import ARUBA, STEP_SIZES, Doubling

LETTER = ARUBA(per_coordinate=True)  # of the formulas; the name stands for several
WITH_STEPS = [*sorted(STEP_SIZES), LETTER]
on_all_step_sizes = pytest.mark.parametrize("step_size", WITH_STEPS, ids=str)
META_STEP_SIZES = {"ftl": "ftl", "constant": 0.1, "linear": LinearDecay(0.1)}


# ---- a naive reference, from the formulas


def run_task(theta, X, Y, weight, eta, loss, update):
    """Iterates, gradients and losses of one task; ends at the last iterate."""
    iterates, gradients, losses = [], [], []
    for x, target, w in zip(X, Y, weight, strict=True):
        z = theta @ x
        if loss == "squared_error":
            value, slope = (z - target) ** 2 / 2, z - target
        else:
            value, slope = np.log1p(np.exp(-target * z)), -target * expit(-target * z)
        iterates.append(theta)
        gradients.append(w * np.outer(slope, x))
        losses.append(w * value.sum())
        step = eta * gradients[-1]
        if update == "implicit":  # exact for the squared error
            step = step / (1 + w * (eta * x**2).sum(axis=-1, keepdims=True))
        theta = theta - step
    return theta, np.array(iterates), np.array(gradients), losses


def reference(X, y, tasks, weight, *, loss, update, average, meta_step_size, step_size):
    """phi, task parameters, history and step sizes; for the defaults of all rules."""
    X, Y = np.column_stack([X, np.ones(len(X))]), targets(y)
    phi = np.zeros((Y.shape[1], X.shape[1]))
    coordinates = phi.shape if step_size is LETTER else (1, 1)
    b, g, D = np.ones(coordinates), np.ones(coordinates), 0.1
    parameters, history, weight_sum = [], [], 0.0
    for t, task in enumerate(in_order(tasks), start=1):
        rows = np.flatnonzero(tasks == task)
        m = len(rows)
        eta = {"fixed": 0.1, "doubling": D / np.sqrt(m)}.get(step_size, np.sqrt(b / g))
        theta, iterates, gradients, losses = run_task(
            phi, X[rows], Y[rows], weight[rows], eta, loss, update
        )
        if average:
            theta = iterates.mean(axis=0)
        moved = theta - phi
        distance = np.sqrt((moved**2).sum())
        parameters.append(theta)
        squares = (gradients**2).sum()
        history.append((m, np.mean(losses), distance, squares, np.mean(eta)))
        if step_size is LETTER:
            b = b + moved**2 / 2 + 1 / (t + 1)
            g = g + (gradients**2).sum(axis=0) + 1 / (t + 1)
        else:
            b = b + distance**2 / 2 + 1 / (t + 1)
            g = g + squares + 1 / (t + 1)
        D = 1.1 * D if distance > D else D
        weight_sum += np.sqrt(m)
        phi = (
            phi
            + moved
            * {
                "ftl": np.sqrt(m) / weight_sum,
                "constant": 0.1,
                "linear": 0.1 * (1 - (t - 1) / 999),
            }[meta_step_size]
        )
    return phi, np.array(parameters), np.array(history)


@pytest.mark.parametrize("average", [False, True], ids=["last", "average"])
@pytest.mark.parametrize("meta_step_size", META_STEP_SIZES)
@pytest.mark.parametrize(
    "step_size", ["doubling", "fixed", "isotropic", LETTER], ids=str
)
@pytest.mark.parametrize(
    "problem, update",
    [("regression", "implicit"), *product(PROBLEMS, ["ogd"])],
)
def test_equals_the_naive_loop(
    problem, update, step_size, meta_step_size, average, kernel, global_random_seed
):
    X, y, tasks = make(problem, seed=global_random_seed)
    weight = np.random.default_rng(global_random_seed).uniform(0.5, 2.0, len(y))
    model = model_for(
        problem,
        inner={"update": update},
        step_size=step_size,
        meta_step_size=META_STEP_SIZES[meta_step_size],
        task_parameter="average" if average else "last",
    ).fit(X, y, tasks=tasks, sample_weight=weight)
    phi, parameters, history = reference(
        X,
        y,
        tasks,
        weight,
        loss="squared_error" if problem == "regression" else "log_loss",
        update=update,
        average=average,
        meta_step_size=meta_step_size,
        step_size=step_size,
    )
    close = {"rtol": 1e-9, "atol": 1e-12}
    assert_allclose(np.atleast_2d(model.coef_), phi[:, :-1], **close)
    assert_allclose(model.intercept_, phi[:, -1], **close)
    task_coef = model.task_coef_.reshape(parameters[..., :-1].shape)
    assert_allclose(task_coef, parameters[..., :-1], **close)
    assert_allclose(model.task_intercept_, parameters[..., -1], **close)
    assert model.history_.dtype.names == (
        "label",
        "visit",
        "n_samples",
        "loss",
        "distance",
        "grad_sq_norm",
        "step_size",
    )
    assert_allclose(np.array(numbers(model.history_).tolist()), history, **close)
    assert model.task_labels_.tolist() == in_order(tasks)
    assert model.history_["label"].tolist() == in_order(tasks)
    assert model.n_tasks_seen_ == len(history) == 12
    assert model.n_tasks_skipped_ == 0


# ---- fit is partial_fit, task by task, to the last bit


@pytest.mark.parametrize("meta_step_size", META_STEP_SIZES)
@on_all_step_sizes
@on_all_learners
@on_all_problems
def test_fit_equals_partial_fit_task_by_task(
    problem, inner, step_size, meta_step_size, kernel
):
    X, y, tasks = make(problem)
    model = model_for(
        problem,
        inner=inner,
        step_size=step_size,
        meta_step_size=META_STEP_SIZES[meta_step_size],
    )
    fitted = clone(model).fit(X, y, tasks=tasks)
    assert_equal_models(stream(clone(model), X, y, tasks), fitted)
    unlabelled = stream(model, X, y, tasks, labelled=False)
    assert_equal_models(unlabelled, fitted, SHARED, same_labels=False)
    assert set(unlabelled.history_["label"]) == {None}
    assert len(unlabelled.task_labels_) == 0


@pytest.mark.parametrize("task_parameter", ["last", "average"])
@pytest.mark.parametrize("shuffle", [False, True], ids="shuffle={}".format)
@pytest.mark.parametrize(
    "convert",
    [np.asfortranarray, sp.csr_matrix, sp.csr_array, np.float32],
    ids=["fortran", "csr_matrix", "csr_array", "single"],
)
@on_all_problems
def test_fit_equals_partial_fit_for_any_input(
    problem, convert, shuffle, task_parameter
):
    X, y, tasks = make(problem)
    X[X < -0.5] = 0.0
    X = convert(X)
    model = model_for(
        problem,
        inner={"shuffle": shuffle, "max_iter": 2},
        task_parameter=task_parameter,
        random_state=3,
    )
    fitted = clone(model).fit(X, y, tasks=tasks)
    assert_equal_models(stream(model, X, y, tasks), fitted)


@on_all_problems
@on_all_learners
def test_calls_may_hold_any_number_of_tasks(problem, inner):
    X, y, tasks = make(problem)
    model = model_for(problem, inner=inner)
    fitted = clone(model).fit(X, y, tasks=tasks)
    labels = in_order(tasks)
    for some in (labels[:5], labels[5:6], labels[6:]):
        rows = np.isin(tasks, some)
        model.partial_fit(X[rows], y[rows], tasks=tasks[rows], **first_call(y, model))
    assert_equal_models(model, fitted)


def test_random_state_decides_the_shuffling():
    X, y, tasks = make("regression")

    def coef(seed):
        model = FMRLRegressor(OGDRegressor(shuffle=True), random_state=seed)
        return model.fit(X, y, tasks=tasks).task_coef_

    assert_array_equal(coef(1), coef(1))
    assert_array_equal(coef(np.random.RandomState(1)), coef(1))
    assert not np.array_equal(coef(1), coef(2))


# ---- what must not matter


@on_all_problems
@on_all_learners
def test_adjacent_or_interleaved_rows(problem, inner):
    X, y, tasks = make(problem)
    first = {task: np.flatnonzero(tasks == task)[0] for task in tasks}
    rows = np.lexsort((np.arange(len(y)), [first[task] for task in tasks]))
    interleaved = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    together = model_for(problem, inner=inner).fit(X[rows], y[rows], tasks=tasks[rows])
    assert_equal_models(together, interleaved)


@on_all_problems
@on_all_learners
def test_names_of_the_tasks(problem, inner):
    X, y, tasks = make(problem)
    model = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    names = np.array([f"task {-task}" for task in tasks])
    renamed = model_for(problem, inner=inner).fit(X, y, tasks=names)
    assert renamed.task_labels_.tolist() == in_order(names)
    others = [name for name in ATTRIBUTES if name != "task_labels_"]
    assert_equal_models(renamed, model, others, same_labels=False)
    assert renamed.history_["label"].tolist() == in_order(names)
    assert_array_equal(renamed.predict(X, tasks=names), model.predict(X, tasks=tasks))


@pytest.mark.parametrize("step_size", ["fixed", "doubling", "isotropic"])
@pytest.mark.parametrize("update", ["ogd", "implicit"])
@on_all_problems
def test_rotating_the_features_rotates_the_weights(problem, update, step_size):
    X, y, tasks = make(problem)
    normal = np.random.default_rng(0).normal(size=(N_FEATURES, N_FEATURES))
    Q = np.linalg.qr(normal)[0]
    model = model_for(problem, inner={"update": update}, step_size=step_size)
    rotated = clone(model).fit(X @ Q, y, tasks=tasks)
    model.fit(X, y, tasks=tasks)
    assert_allclose(rotated.coef_, model.coef_ @ Q, rtol=1e-7, atol=1e-12)
    assert_allclose(rotated.task_coef_, model.task_coef_ @ Q, rtol=1e-7, atol=1e-12)
    assert_allclose(rotated.intercept_, model.intercept_)


@on_all_problems
@on_all_learners
def test_single_precision_only_rounds_the_features(problem, inner):
    X, y, tasks = make(problem)
    X = X.astype(np.float32)
    single = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    double = model_for(problem, inner=inner).fit(X.astype(np.float64), y, tasks=tasks)
    assert_equal_models(single, double)
    assert single.coef_.dtype == single.task_coef_.dtype == np.float64
    assert single.adapt(X, y).coef_.dtype == np.float64
    assert_allclose(single.predict(X), double.predict(X), rtol=1e-5)


@on_all_problems
@pytest.mark.parametrize("inner", [{}, "exact"], ids=["ogd", "exact"])
def test_sparse_equals_dense(problem, inner):
    """In raw units: sparse features are not centred."""
    X, y, tasks = make(problem)
    X[X < 0] = 0.0
    dense = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    sparse = model_for(problem, inner=inner).fit(sp.csr_array(X), y, tasks=tasks)
    for name in ("coef_", "intercept_", "task_coef_", "task_intercept_"):
        assert_allclose(getattr(sparse, name), getattr(dense, name), atol=1e-12)
    found = scores(sparse, sp.csr_array(X), tasks)
    assert_allclose(found, scores(dense, X, tasks), atol=1e-12)


@pytest.mark.parametrize("convert", [np.array, sp.csr_array])
@pytest.mark.parametrize("labelled", [True, False], ids="labelled={}".format)
@on_all_problems
def test_rows_of_weight_zero_change_nothing(problem, labelled, convert):
    """Whatever they hold; a task of which nothing is left has not been there."""
    X, y, tasks = make(problem)
    weight = np.random.default_rng(0).choice([0.0, 0.5, 2.0], len(y))
    weight[tasks == tasks[0]] = 0.0
    kept = weight > 0
    bad, bad_y = X.copy(), y.copy()
    bad[~kept, 0] = np.nan
    if problem == "regression":
        bad_y[~kept] = np.nan
    tasks, kept_tasks = (tasks, tasks[kept]) if labelled else (None, None)
    inner = {"shuffle": True}
    weighted = model_for(problem, inner=inner, random_state=0)
    options = first_call(y, weighted)  # partial_fit, as fit asks for labels
    weighted.partial_fit(
        convert(bad), bad_y, tasks=tasks, sample_weight=weight, **options
    )
    removed = model_for(problem, inner=inner, random_state=0)
    removed.partial_fit(
        convert(X[kept]),
        y[kept],
        tasks=kept_tasks,
        sample_weight=weight[kept],
        **options,
    )
    assert_equal_models(weighted, removed)


@on_all_problems
@on_all_learners
def test_weights_of_one_are_no_weights(problem, inner):
    X, y, tasks = make(problem)
    model = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    weighted = model_for(problem, inner=inner).fit(
        X, y, tasks=tasks, sample_weight=np.ones(len(y))
    )
    assert_equal_models(weighted, model)


# ---- passes, and going on


@on_all_problems
@on_all_learners
def test_a_second_pass_sees_the_same_tasks_again(problem, inner):
    X, y, tasks = make(problem)
    twice = model_for(problem, inner=inner, n_passes=2).fit(X, y, tasks=tasks)
    unrolled = model_for(problem, inner=inner).fit(
        np.tile(X, (2, 1)), np.tile(y, 2), tasks=np.concatenate([tasks, tasks + 100])
    )
    assert_equal_models(twice, unrolled, SHARED, same_labels=False)
    assert twice.history_["label"].tolist() == 2 * in_order(tasks)
    assert twice.n_tasks_seen_ == 24
    assert twice.task_labels_.tolist() == in_order(tasks)
    assert_array_equal(twice.task_coef_, unrolled.task_coef_[12:])


@on_all_problems
def test_a_returning_task_starts_at_its_own_parameters(problem):
    X, y, tasks = make(problem)
    model = model_for(problem, inner={}, step_size="fixed", meta_step_size=0.1)
    model.fit(X, y, tasks=tasks)
    label, k = tasks[4], in_order(tasks).index(tasks[4])
    before = copy.deepcopy(model)
    model.partial_fit(X[:6], y[:6], tasks=label)
    start = before.task_coef_[k], before.task_intercept_[k]
    learner = train(problem, X[:6], y[:6], *start)
    assert_array_equal(model.task_coef_[k], learner.coef_)
    assert_array_equal(model.task_intercept_[k], learner.intercept_)
    others = np.arange(12) != k
    assert_array_equal(model.task_coef_[others], before.task_coef_[others])
    assert_array_equal(model.task_labels_, before.task_labels_)
    assert model.n_tasks_seen_ == 13
    assert_allclose(
        model.coef_, before.coef_ + 0.1 * (learner.coef_ - before.coef_), atol=1e-15
    )


def test_without_stored_tasks_a_returning_one_starts_afresh():
    X, y, tasks = make("regression")
    model = FMRLRegressor(store_tasks=False).fit(X, y, tasks=tasks)
    stored = FMRLRegressor().fit(X, y, tasks=tasks)
    assert_equal_models(model, stored, SHARED)
    assert model.task_labels_.shape == (0,)
    assert model.task_coef_.shape == (0, N_FEATURES)
    assert model.task_intercept_.shape[0] == 0
    assert_allclose(model.predict(X, tasks=tasks), model.predict(X))
    model.partial_fit(X, y, tasks=tasks[0])
    stored.partial_fit(X, y, tasks=99)
    assert_equal_models(model, stored, SHARED, same_labels=False)


def test_tasks_are_forgotten_once_they_are_no_longer_stored():
    X, y, tasks = make("regression")
    model = FMRLRegressor().fit(X, y, tasks=tasks)
    stored = FMRLRegressor().fit(X, y, tasks=tasks)
    model.set_params(store_tasks=False).partial_fit(X, y, tasks=tasks)
    assert len(model.task_labels_) == 0
    stored.partial_fit(X, y, tasks=tasks + 100)
    assert_equal_models(model, stored, SHARED, same_labels=False)


@on_all_problems
@on_all_learners
def test_fit_starts_again_unless_warm(problem, inner):
    X, y, tasks = make(problem)
    once = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    model = model_for(problem, inner=inner).fit(X[::-1], y[::-1], tasks=tasks[::-1])
    assert_equal_models(model.fit(X, y, tasks=tasks), once)

    warm = model_for(problem, inner=inner, warm_start=True).fit(X, y, tasks=tasks)
    assert_equal_models(warm, once)
    warm.fit(X, y, tasks=tasks + 6)  # known tasks do not go on from their own
    once.partial_fit(X, y, tasks=tasks + 100)
    assert_equal_models(warm, once, SHARED, same_labels=False)
    assert len(warm.task_labels_) == 18
    rows = tasks == 7
    assert_array_equal(
        warm.predict(X[rows], tasks=13), once.predict(X[rows], tasks=107)
    )


@pytest.mark.parametrize(
    "name, before, after",
    [
        ("step_size", "isotropic", "doubling"),
        ("step_size", "isotropic", "per_coordinate"),
        ("step_size", ARUBA(per_coordinate=True), ARUBA()),
        ("step_size", "fixed", Doubling()),
        ("meta_step_size", "ftl", 0.1),
        ("meta_step_size", LinearDecay(), 0.5),
        ("meta_step_size", 0.5, "ftl"),
        ("meta_step_size", 0.5, LinearDecay()),
        ("meta_step_size", FollowTheRows(), 0.1),
        ("meta_step_size", FollowTheRows(), FollowTheRows([1.0])),
        ("meta_step_size", FollowTheRows([0.5]), FollowTheRows([1.0])),
    ],
    ids=repr,
)
def test_rule_cannot_change_its_kind_in_the_middle_of_a_stream(name, before, after):
    X, y, tasks = make("regression")
    model = FMRLRegressor(**{name: before}).fit(X, y, tasks=tasks)
    model.set_params(**{name: after})
    changed = f"^{name} changed from .* Call fit to start again"
    with pytest.raises(ValueError, match=changed):
        model.partial_fit(X, y)
    model.fit(X, y, tasks=tasks)


def test_units_cannot_change_in_the_middle_of_a_stream():
    X, y, tasks = make("regression")
    model = FMRLRegressor().fit(X, y, tasks=tasks).set_params(standardize=False)
    with pytest.raises(ValueError, match="standardize changed from True.* Call fit to"):
        model.partial_fit(X, y)


def test_other_parameters_may_change_in_the_middle_of_a_stream():
    X, y, tasks = make("regression")
    model = model_for("regression", inner={}, step_size="fixed", meta_step_size=0.1)
    model.fit(X, y, tasks=tasks)
    before = model.coef_.copy()
    model.set_params(meta_step_size=0.0, estimator__eta0=0.7)
    model.partial_fit(X, y, tasks=tasks + 100)
    assert_array_equal(model.coef_, before)
    assert (model.history_["step_size"][12:] == 0.7).all()
    rows = tasks == 7
    learner = train("regression", X[rows], y[rows], before, model.intercept_, eta0=0.7)
    assert_array_equal(model.task_coef_[model.task_labels_ == 107][0], learner.coef_)


# ---- the first initialization


@pytest.mark.parametrize("with_intercept", [True, False])
@on_all_problems
def test_learning_starts_at_init(problem, with_intercept):
    X, y, tasks = make(problem)
    n_outputs = targets(y).shape[1]
    init = np.random.default_rng(0).normal(size=(n_outputs, N_FEATURES + 1))
    if not with_intercept:
        init = init[:, :-1]
    given = init[0].tolist() if problem == "regression" else init
    model = model_for(
        problem, inner={}, init=given, step_size="fixed", meta_step_size=0.0
    )
    model.fit(X, y, tasks=tasks)
    assert_array_equal(np.atleast_2d(model.coef_), init[:, :N_FEATURES])
    assert_array_equal(model.intercept_, init[:, -1] if with_intercept else 0.0)
    rows = tasks == tasks[0]
    learner = train(problem, X[rows], y[rows], model.coef_, model.intercept_)
    assert_array_equal(model.task_coef_[0], learner.coef_)
    assert_array_equal(model.task_intercept_[0], learner.intercept_)
    assert_equal_models(stream(clone(model), X, y, tasks), model)


def test_an_intercept_that_is_not_learned_is_not_given():
    inner = OGDRegressor(fit_intercept=False)
    FMRLRegressor(inner, init=[1.0, 0.0]).partial_fit([[1.0]], [2.0])
    with pytest.raises(ValueError, match="init has an intercept.*fit_intercept=True"):
        FMRLRegressor(inner, init=[1.0, 5.0]).partial_fit([[1.0]], [2.0])


@pytest.mark.parametrize(
    "problem, init",
    [
        ("regression", np.ones(3)),
        ("regression", np.ones((2, 4))),
        ("two-classes", np.ones((2, 5))),
        ("three-classes", np.ones((3, 3))),
        ("three-classes", np.ones(5)),
        ("three-classes", np.ones((4, 3))),
        ("three-classes", np.ones(12)),
        ("regression", [0.0, np.nan, 0.0, 0.0]),
        ("regression", ["a", "b", "c", "d"]),
    ],
    ids=lambda value: str(getattr(value, "shape", value)),
)
def test_init_of_the_wrong_shape_or_kind(problem, init):
    X, y, tasks = make(problem)
    with pytest.raises(ValueError, match="init"):
        model_for(problem, init=init).fit(X, y, tasks=tasks)


# ---- baselines within the family


@on_all_problems
def test_a_meta_step_of_zero_is_single_task_learning(problem):
    X, y, tasks = make(problem)
    model = model_for(problem, inner={}, step_size="fixed", meta_step_size=0.0).fit(
        X, y, tasks=tasks
    )
    assert not model.coef_.any() and not model.intercept_.any()
    for k, task in enumerate(in_order(tasks)):
        learner = train(problem, X[tasks == task], y[tasks == task])
        assert_array_equal(model.task_coef_[k], learner.coef_)
        assert_array_equal(model.task_intercept_[k], learner.intercept_)


@on_all_problems
def test_a_meta_step_of_one_is_learning_on_and_on(problem):
    X, y, tasks = make(problem)
    model = model_for(problem, inner={}, step_size="fixed", meta_step_size=1.0).fit(
        X, y, tasks=tasks
    )
    coef = intercept = None
    for task in in_order(tasks):
        learner = train(problem, X[tasks == task], y[tasks == task], coef, intercept)
        coef, intercept = learner.coef_, learner.intercept_
    assert_allclose(model.coef_, coef, atol=1e-13)
    assert_allclose(model.intercept_, intercept, atol=1e-13)
