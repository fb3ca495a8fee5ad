"""Meta-learning against a naive loop, and what must and must not change its result."""

import copy
import pickle
from itertools import product

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import accuracy_score, mean_squared_error, r2_score

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.linear_model import OGDClassifier, OGDRegressor
from skmeta.meta_update import META_UPDATES
from skmeta.step_size import ARUBA, STEP_SIZES, Doubling

PROBLEMS = ["regression", "two-classes", "three-classes"]
N_FEATURES = 4
SHARED = ["coef_", "intercept_", "step_size_", "history_", "n_tasks_seen_"]
BY_TASK = ["task_labels_", "task_coef_", "task_intercept_"]
ATTRIBUTES = [*SHARED, *BY_TASK, "n_tasks_skipped_"]
on_all_problems = pytest.mark.parametrize("problem", PROBLEMS)
# the default, solved exactly; and one with parameters of its own, OGD
on_both_learners = pytest.mark.parametrize("inner", [None, {}], ids=["exact", "ogd"])
LETTER = ARUBA(per_coordinate=True)  # of the formulas; the name stands for several
# 'empirical_bayes' is for other inner learners than OGD
WITH_STEPS = [*sorted(STEP_SIZES.keys() - {"empirical_bayes"}), LETTER]
on_all_step_sizes = pytest.mark.parametrize("step_size", WITH_STEPS, ids=str)
PAIRS = [
    (step_size, meta_update)
    for step_size in (*WITH_STEPS, "empirical_bayes")
    for meta_update in sorted(META_UPDATES)
    if meta_update != "gls" or step_size == "empirical_bayes"
]


def make(problem, n_tasks=12, n_samples=(1, 7), seed=0, **params):
    """(X, y, tasks), the rows of the tasks interleaved."""
    params = {"shuffle": True, "random_state": seed} | params
    if problem == "regression":
        return make_task_regression(n_tasks, n_samples, N_FEATURES, **params)
    n_classes = 2 if problem == "two-classes" else 3
    return make_task_classification(
        n_tasks, n_samples, N_FEATURES, n_classes=n_classes, **params
    )


def model_for(problem, *, inner=None, **params):
    """A model with parameters, also of its inner learner."""
    regression = problem == "regression"
    if inner is not None:
        inner = (OGDRegressor if regression else OGDClassifier)(**inner)
    return (FMRLRegressor if regression else FMRLClassifier)(inner, **params)


def first_call(y, model):
    return {"classes": np.unique(y)} if isinstance(model, FMRLClassifier) else {}


def in_order(tasks):
    """The distinct labels, in order of first appearance."""
    return list(dict.fromkeys(tasks.tolist()))


def stream(model, X, y, tasks, labelled=True):
    """Call partial_fit once for every task."""
    options = first_call(y, model)
    for task in in_order(tasks):
        rows = np.flatnonzero(tasks == task)
        label = task if labelled else None
        model.partial_fit(X[rows], y[rows], tasks=label, **options)
    return model


def train(problem, X, y, coef=None, intercept=None, weight=None, **params):
    """The inner learner by itself, from a given start."""
    weight = np.ones(len(y)) if weight is None else weight
    if problem == "regression":
        return OGDRegressor(**params).fit(X, y, weight, coef, intercept)
    # rows of weight zero name the classes that the task may lack
    classes = np.arange(2 if problem == "two-classes" else 3)
    X = np.vstack([X, np.zeros((len(classes), X.shape[1]))])
    y, weight = np.append(y, classes), np.append(weight, 0 * classes)
    return OGDClassifier(**params).fit(X, y, weight, coef, intercept)


def assert_equal_models(one, other, names=ATTRIBUTES):
    """Equal to the last bit."""
    for name in names:
        assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


# ---- a naive reference, from the formulas


def targets(y):
    """One column per output: the value, or -1 and +1."""
    if y.dtype.kind == "f":
        return y[:, np.newaxis]
    classes = np.unique(y)
    signs = np.where(y[:, np.newaxis] == classes, 1.0, -1.0)
    return signs[:, 1:] if len(classes) == 2 else signs


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


def reference(X, y, tasks, weight, *, loss, update, average, meta_update, step_size):
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
                "aogd": 1.0 if t == 1 else 1 / weight_sum,
                "constant": 0.1,
                "linear": 0.1 * (1 - (t - 1) / 999),
            }[meta_update]
        )
    return phi, np.array(parameters), np.array(history)


@pytest.mark.parametrize("average", [False, True], ids=["last", "average"])
@pytest.mark.parametrize("meta_update", ["aogd", "constant", "ftl", "linear"])
@pytest.mark.parametrize(
    "step_size", ["doubling", "fixed", "isotropic", LETTER], ids=str
)
@pytest.mark.parametrize(
    "problem, update",
    [("regression", "implicit"), *product(PROBLEMS, ["ogd"])],
)
def test_equals_the_naive_loop(
    problem, update, step_size, meta_update, average, kernel, global_random_seed
):
    X, y, tasks = make(problem, seed=global_random_seed)
    weight = np.random.default_rng(global_random_seed).uniform(0.5, 2.0, len(y))
    model = model_for(
        problem,
        inner={"update": update},
        step_size=step_size,
        meta_update=meta_update,
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
        meta_update=meta_update,
        step_size=step_size,
    )
    close = {"rtol": 1e-9, "atol": 1e-12}
    assert_allclose(np.atleast_2d(model.coef_), phi[:, :-1], **close)
    assert_allclose(model.intercept_, phi[:, -1], **close)
    task_coef = model.task_coef_.reshape(parameters[..., :-1].shape)
    assert_allclose(task_coef, parameters[..., :-1], **close)
    assert_allclose(model.task_intercept_, parameters[..., -1], **close)
    assert model.history_.dtype.names == (
        "n_samples",
        "loss",
        "distance",
        "grad_sq_norm",
        "step_size",
    )
    assert_allclose(np.array(model.history_.tolist()), history, **close)
    assert model.task_labels_.tolist() == in_order(tasks)
    assert model.n_tasks_seen_ == len(history) == 12
    assert model.n_tasks_skipped_ == 0


# ---- fit is partial_fit, task by task, to the last bit


@pytest.mark.parametrize("step_size, meta_update", PAIRS)
@on_all_problems
def test_fit_equals_partial_fit_task_by_task(problem, step_size, meta_update, kernel):
    X, y, tasks = make(problem)
    model = model_for(problem, step_size=step_size, meta_update=meta_update)
    fitted = clone(model).fit(X, y, tasks=tasks)
    assert_equal_models(stream(clone(model), X, y, tasks), fitted)
    unlabelled = stream(model, X, y, tasks, labelled=False)
    assert_equal_models(unlabelled, fitted, SHARED)
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
@on_both_learners
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
        return model.fit(X, y, tasks=tasks).coef_

    assert_array_equal(coef(1), coef(1))
    assert_array_equal(coef(np.random.RandomState(1)), coef(1))
    assert not np.array_equal(coef(1), coef(2))


# ---- what must not matter


@on_all_problems
@on_both_learners
def test_standing_together_or_interleaved(problem, inner):
    X, y, tasks = make(problem)
    first = {task: np.flatnonzero(tasks == task)[0] for task in tasks}
    rows = np.lexsort((np.arange(len(y)), [first[task] for task in tasks]))
    interleaved = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    together = model_for(problem, inner=inner).fit(X[rows], y[rows], tasks=tasks[rows])
    assert_equal_models(together, interleaved)


@on_all_problems
@on_both_learners
def test_names_of_the_tasks(problem, inner):
    X, y, tasks = make(problem)
    model = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    names = np.array([f"task {-task}" for task in tasks])
    renamed = model_for(problem, inner=inner).fit(X, y, tasks=names)
    assert renamed.task_labels_.tolist() == in_order(names)
    others = [name for name in ATTRIBUTES if name != "task_labels_"]
    assert_equal_models(renamed, model, others)
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
@on_both_learners
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
@on_both_learners
def test_sparse_equals_dense(problem, inner):
    X, y, tasks = make(problem)
    X[X < 0] = 0.0
    dense = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    sparse = model_for(problem, inner=inner).fit(sp.csr_array(X), y, tasks=tasks)
    for name in ("coef_", "intercept_", "task_coef_", "task_intercept_"):
        assert_allclose(getattr(sparse, name), getattr(dense, name), atol=1e-12)
    assert_allclose(
        sparse._scores(sp.csr_array(X), tasks), dense._scores(X, tasks), atol=1e-12
    )


@pytest.mark.parametrize("convert", [np.array, sp.csr_array])
@pytest.mark.parametrize("labelled", [True, False], ids="labelled={}".format)
@on_all_problems
def test_rows_of_weight_zero_leave_no_trace(problem, labelled, convert):
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
    weighted.fit(convert(bad), bad_y, tasks=tasks, sample_weight=weight)
    removed = model_for(problem, inner=inner, random_state=0)
    removed.fit(convert(X[kept]), y[kept], tasks=kept_tasks, sample_weight=weight[kept])
    assert_equal_models(weighted, removed)


@on_all_problems
@on_both_learners
def test_weights_of_one_are_no_weights(problem, inner):
    X, y, tasks = make(problem)
    model = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    weighted = model_for(problem, inner=inner).fit(
        X, y, tasks=tasks, sample_weight=np.ones(len(y))
    )
    assert_equal_models(weighted, model)


# ---- passes, and going on


@on_all_problems
@on_both_learners
def test_a_second_pass_sees_the_same_tasks_again(problem, inner):
    X, y, tasks = make(problem)
    twice = model_for(problem, inner=inner, n_passes=2).fit(X, y, tasks=tasks)
    unrolled = model_for(problem, inner=inner).fit(
        np.tile(X, (2, 1)), np.tile(y, 2), tasks=np.concatenate([tasks, tasks + 100])
    )
    assert_equal_models(twice, unrolled, SHARED)
    assert twice.n_tasks_seen_ == 24
    assert twice.task_labels_.tolist() == in_order(tasks)
    assert_array_equal(twice.task_coef_, unrolled.task_coef_[12:])


@on_all_problems
def test_a_returning_task_goes_on_from_its_own_parameters(problem):
    X, y, tasks = make(problem)
    model = model_for(problem, step_size="fixed", meta_update="constant")
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
    stored.partial_fit(X, y, tasks="new")
    assert_equal_models(model, stored, SHARED)


def test_tasks_are_forgotten_once_they_are_no_longer_stored():
    X, y, tasks = make("regression")
    model = FMRLRegressor().fit(X, y, tasks=tasks)
    stored = FMRLRegressor().fit(X, y, tasks=tasks)
    model.set_params(store_tasks=False).partial_fit(X, y, tasks=tasks)
    assert len(model.task_labels_) == 0
    stored.partial_fit(X, y, tasks=tasks + 100)
    assert_equal_models(model, stored, SHARED)


@on_all_problems
@on_both_learners
def test_fit_starts_again_unless_warm(problem, inner):
    X, y, tasks = make(problem)
    once = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    model = model_for(problem, inner=inner).fit(X[::-1], y[::-1], tasks=tasks[::-1])
    assert_equal_models(model.fit(X, y, tasks=tasks), once)

    warm = model_for(problem, inner=inner, warm_start=True).fit(X, y, tasks=tasks)
    assert_equal_models(warm, once)
    warm.fit(X, y, tasks=tasks + 6)  # known tasks do not go on from their own
    once.partial_fit(X, y, tasks=tasks + 100)
    assert_equal_models(warm, once, SHARED)
    assert len(warm.task_labels_) == 18
    rows = tasks == 7
    assert_array_equal(
        warm.predict(X[rows], tasks=13), once.predict(X[rows], tasks=107)
    )


@pytest.mark.parametrize(
    "before, after",
    [
        ("isotropic", "doubling"),
        ("isotropic", "per_coordinate"),
        (ARUBA(per_coordinate=True), ARUBA()),
        ("fixed", Doubling()),
    ],
    ids=repr,
)
def test_step_size_cannot_change_in_the_middle_of_a_stream(before, after):
    X, y, tasks = make("regression")
    model = FMRLRegressor(step_size=before).fit(X, y, tasks=tasks)
    model.set_params(step_size=after)
    with pytest.raises(ValueError, match="step_size changed from .* Call fit to start"):
        model.partial_fit(X, y)
    model.fit(X, y, tasks=tasks)


def test_other_parameters_may_change_in_the_middle_of_a_stream():
    X, y, tasks = make("regression")
    model = FMRLRegressor(OGDRegressor(), step_size="fixed").fit(X, y, tasks=tasks)
    before = model.coef_.copy()
    model.set_params(meta_update="constant", meta_eta0=0.0, estimator__eta0=0.7)
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
        problem, init=given, step_size="fixed", meta_update="constant", meta_eta0=0.0
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
    FMRLRegressor(inner, init=[1.0, 0.0]).fit([[1.0]], [2.0])
    with pytest.raises(ValueError, match="init holds an intercept.*fit_intercept=True"):
        FMRLRegressor(inner, init=[1.0, 5.0]).fit([[1.0]], [2.0])


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
    model = model_for(
        problem, step_size="fixed", meta_update="constant", meta_eta0=0.0
    ).fit(X, y, tasks=tasks)
    assert not model.coef_.any() and not model.intercept_.any()
    for k, task in enumerate(in_order(tasks)):
        learner = train(problem, X[tasks == task], y[tasks == task])
        assert_array_equal(model.task_coef_[k], learner.coef_)
        assert_array_equal(model.task_intercept_[k], learner.intercept_)


@on_all_problems
def test_a_meta_step_of_one_is_learning_on_and_on(problem):
    X, y, tasks = make(problem)
    model = model_for(
        problem, step_size="fixed", meta_update="constant", meta_eta0=1.0
    ).fit(X, y, tasks=tasks)
    coef = intercept = None
    for task in in_order(tasks):
        learner = train(problem, X[tasks == task], y[tasks == task], coef, intercept)
        coef, intercept = learner.coef_, learner.intercept_
    assert_allclose(model.coef_, coef, atol=1e-13)
    assert_allclose(model.intercept_, intercept, atol=1e-13)


# ---- known and unknown tasks


@pytest.mark.parametrize("convert", [np.array, sp.csr_array, np.float32])
@on_all_problems
@on_both_learners
def test_rows_of_a_known_task_use_its_own_parameters(problem, convert, kernel, inner):
    X, y, tasks = make(problem)
    model = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    queried = np.where(tasks % 3 == 0, -1, tasks)  # a third of the rows: an unknown one
    coef = dict(zip(model.task_labels_, model.task_coef_, strict=True))
    intercept = dict(zip(model.task_labels_, model.task_intercept_, strict=True))
    coef[-1], intercept[-1] = model.coef_, model.intercept_
    scores = np.array(
        [coef[t] @ x + intercept[t] for t, x in zip(queried.tolist(), X, strict=True)]
    )
    close = {"rtol": 1e-5, "atol": 1e-6} if convert is np.float32 else {"atol": 1e-12}
    predicted = model.predict(convert(X), tasks=queried)
    if problem == "regression":
        assert_allclose(predicted, scores[:, 0], **close)
        return
    found = model.decision_function(convert(X), tasks=queried)
    assert_allclose(
        found, scores[:, 0] if problem == "two-classes" else scores, **close
    )
    best = scores[:, 0] > 0 if problem == "two-classes" else scores.argmax(axis=1)
    assert_array_equal(predicted, best.astype(int))


@on_all_problems
def test_no_task_and_an_unknown_task_use_the_initialization(problem):
    X, y, tasks = make(problem)
    model = model_for(problem).fit(X, y, tasks=tasks)
    scores = X @ np.atleast_2d(model.coef_).T + model.intercept_
    assert_allclose(model._scores(X, None), scores, atol=1e-12)
    assert_allclose(model._scores(X, "unknown"), scores, atol=1e-12)
    assert_allclose(model.predict(X, tasks="unknown"), model.predict(X))


def test_unknown_task_can_raise():
    X, y, tasks = make("regression")
    model = FMRLRegressor(unknown_task="raise").fit(X, y, tasks=tasks)
    model.predict(X, tasks=tasks)
    model.predict(X)
    with pytest.raises(ValueError, match=r"Task 99 is unknown \(1 of 3 .*partial_fit"):
        model.predict(X[:3], tasks=[0, 99, 1])
    with pytest.raises(ValueError, match="Task 'a' is unknown.*unknown_task='init'"):
        model.score(X, y, tasks="a")


@on_all_problems
@on_both_learners
def test_score_is_the_metric_of_that_prediction(problem, inner):
    X, y, tasks = make(problem)
    model = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    metric = r2_score if problem == "regression" else accuracy_score
    weight = np.random.default_rng(0).uniform(size=len(y))
    for labels, weights in product([None, tasks, 3], [None, weight]):
        expected = metric(y, model.predict(X, tasks=labels), sample_weight=weights)
        assert model.score(X, y, weights, tasks=labels) == expected
    assert model.score(X, y, tasks=tasks) > model.score(X, y)


# ---- a new task


@pytest.mark.parametrize("task_parameter", ["last", "average"])
@on_all_step_sizes
@on_all_problems
def test_adapting_is_training_from_the_initialization(
    problem, step_size, task_parameter
):
    X, y, tasks = make(problem, n_samples=5)  # step_size_ is for a task like the last
    params = {"max_iter": 2, "eta0": 0.3}
    model = model_for(
        problem, inner=params, step_size=step_size, task_parameter=task_parameter
    ).fit(X, y, tasks=tasks)
    before = joblib.hash(model)
    rows = tasks == 7
    adapted = model.adapt(X[rows], y[rows])
    params |= {"eta0": model.step_size_, "average": task_parameter == "average"}
    start = model.coef_, model.intercept_
    learner = train(problem, X[rows], y[rows], *start, **params)
    assert type(adapted) is type(learner)
    learned = ["coef_", "intercept_", "average_coef_", "average_intercept_"]
    assert_equal_models(adapted, learner, [*learned, "grad_sq_norm_"])
    assert_array_equal(adapted.losses_, learner.losses_[:5])
    assert_array_equal(adapted.predict(X), learner.predict(X))

    rest = tasks == 8
    adapted.partial_fit(X[rest], y[rest])
    learner.partial_fit(X[rest], y[rest])
    assert_equal_models(adapted, learner, [*learned, "losses_", "t_"])
    assert joblib.hash(model) == before


@pytest.mark.parametrize("task_parameter", ["last", "average"])
def test_adapting_gives_the_task_parameter(task_parameter):
    X, y, tasks = make("regression")
    model = FMRLRegressor(
        OGDRegressor(),
        task_parameter=task_parameter,
        step_size="fixed",
        meta_update="constant",
        meta_eta0=0.0,
    ).fit(X, y, tasks=tasks)
    task = X[tasks == tasks[0]], y[tasks == tasks[0]]
    assert_array_equal(model.adapt(*task).coef_, model.task_coef_[0])
    model.set_params(estimator__average=True)  # of the inner learner, for its own
    adapted = model.adapt(*task)
    assert_array_equal(adapted.coef_, adapted.average_coef_)


@on_all_problems
def test_adapting_takes_weights(problem):
    """Three rows and one of weight zero are a task of three rows."""
    X, y, tasks = make(problem, n_samples=3)
    model = model_for(problem, step_size="doubling").fit(X, y, tasks=tasks)
    weight = np.array([0.5, 0.0, 2.0, 1.0])
    start = model.coef_, model.intercept_, weight
    learner = train(problem, X[:4], y[:4], *start, eta0=model.step_size_)
    adapted = model.adapt(X[:4], y[:4], sample_weight=weight)
    assert_array_equal(adapted.coef_, learner.coef_)
    assert_array_equal(adapted.losses_, learner.losses_[:4])


@pytest.mark.parametrize(
    "inner, step_size",
    [
        ({}, Doubling(0.6)),
        ({"eta0": 0.6, "learning_rate": "invsqrt"}, "fixed"),
    ],
    ids=["doubling", "invsqrt"],
)
def test_adapting_scales_the_step_with_the_length_of_the_task(inner, step_size):
    X, y, tasks = make("regression", n_samples=9)
    model = model_for("regression", inner=inner, step_size=step_size)
    model.fit(X, y, tasks=tasks)
    adapted = model.adapt(X[:4], y[:4])
    assert adapted.eta0 == pytest.approx(model.step_size_ * 3 / 2)
    start = model.coef_, model.intercept_
    learner = train("regression", X[:4], y[:4], *start, eta0=adapted.eta0)
    assert_array_equal(adapted.coef_, learner.coef_)


# ---- classes


@pytest.mark.parametrize("problem", PROBLEMS[1:])
@pytest.mark.parametrize(
    "names", [np.array(["no", "so", "yes"]), np.array([-5, 2, 7])], ids=["str", "int"]
)
@on_both_learners
def test_a_task_may_hold_one_class_only(problem, names, inner):
    X, y, tasks = make(problem)
    y = names[y]
    classes = np.unique(y)
    model = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    assert_array_equal(model.classes_, classes)
    rows = y == classes[0]
    model.partial_fit(X[rows], y[rows], tasks="one class")
    adapted = model.adapt(X[rows], y[rows])
    assert_array_equal(adapted.classes_, classes)
    assert set(adapted.predict(X)) <= set(classes)
    first = model_for(problem, inner=inner).partial_fit(
        X[rows], y[rows], classes=classes[::-1]
    )
    assert_array_equal(first.classes_, classes)
    assert first.coef_.shape == model.coef_.shape == (len(targets(y)[0]), N_FEATURES)


@pytest.mark.parametrize(
    "problem, names",
    [
        ("two-classes", [False, True]),
        ("two-classes", [-1.0, 1.0]),
        ("two-classes", ["no", "yes"]),
        ("three-classes", ["a", "b", "c"]),
        ("three-classes", [-7, 0, 5]),
    ],
)
@on_both_learners
def test_names_of_the_classes_do_not_matter(problem, names, inner):
    X, y, tasks = make(problem)
    model = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    names = np.array(names)
    named = model_for(problem, inner=inner).fit(X, names[y], tasks=tasks)
    assert_equal_models(named, model)
    expected = names[model.predict(X, tasks=tasks)]
    assert_array_equal(named.predict(X, tasks=tasks), expected)


def test_classes_are_fixed_by_the_first_call():
    X, y, tasks = make("three-classes")
    model = FMRLClassifier()
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y)
    model.partial_fit(X, y, classes=[0, 1, 2])
    model.partial_fit(X, y)
    model.partial_fit(X, y, classes=[2, 1, 0])
    with pytest.raises(ValueError, match="classes=.* is not the same as on last call"):
        model.partial_fit(X, y, classes=[0, 1])
    two = y < 2
    model.set_params(warm_start=True).fit(X[two], y[two], tasks=tasks[two])
    assert_array_equal(model.classes_, [0, 1, 2])
    with pytest.raises(ValueError, match=r"y is [345] in row 0.*\[0, 1, 2\] fixed by"):
        model.fit(X, y + 3, tasks=tasks)
    model.set_params(warm_start=False).fit(X[two], y[two], tasks=tasks[two])
    assert_array_equal(model.classes_, [0, 1])


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("loss", ["log_loss", "modified_huber"])
@pytest.mark.parametrize("problem", PROBLEMS[1:])
def test_probabilities(problem, loss, known):
    X, y, tasks = make(problem)
    model = model_for(problem, inner={"loss": loss}).fit(X, y, tasks=tasks)
    tasks = tasks if known else None
    probabilities = model.predict_proba(X, tasks=tasks)
    assert probabilities.shape == (len(X), len(model.classes_))
    assert_allclose(probabilities.sum(axis=1), 1.0)
    assert (probabilities >= 0).all()
    scores = model.decision_function(X, tasks=tasks)
    positive = expit(scores) if loss == "log_loss" else (scores.clip(-1, 1) + 1) / 2
    if problem == "two-classes":
        assert_allclose(probabilities[:, 1], positive)
    else:
        total = positive.sum(axis=1)
        some = total > 0
        assert_allclose(probabilities[some] * total[some, None], positive[some])


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_no_probabilities_without_a_model_of_them(loss):
    model = FMRLClassifier(OGDClassifier(loss))
    assert not hasattr(model, "predict_proba")
    assert hasattr(FMRLClassifier(), "predict_proba")


# ---- copies


COPIES = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@on_all_step_sizes
@on_all_problems
def test_a_copy_goes_on_exactly_as_the_original(problem, step_size, copied):
    X, y, tasks = make(problem, n_tasks=20)
    half = tasks < 10
    model = model_for(
        problem, inner={"shuffle": True}, step_size=step_size, random_state=0
    ).fit(X[half], y[half], tasks=tasks[half])
    other = copied(model)
    assert_equal_models(other, model)
    for each in (model, other):
        each.partial_fit(X[~half], y[~half], tasks=tasks[~half])
    assert_equal_models(other, model)
    for each in (model, other):  # of known tasks
        each.partial_fit(X, y, tasks=tasks)
    assert_equal_models(other, model)
    assert_array_equal(other.predict(X, tasks=tasks), model.predict(X, tasks=tasks))


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("labels", ["new", "known", "both"])
def test_learning_on_a_copy_does_not_reach_the_original(labels, copied):
    X, y, tasks = make("regression")
    X_other, y_other, others = make("regression", n_tasks=5, seed=1)
    others = others + {"new": 100, "known": 0, "both": 10}[labels]

    def stream_of_two_calls():
        """Memory grows ahead of the rows, so that copies could share it."""
        model = FMRLRegressor().fit(X, y, tasks=tasks)
        return model.partial_fit(X_other, y_other, tasks=99)

    model = stream_of_two_calls()
    other = copied(model).partial_fit(X_other, y_other, tasks=others)
    assert_equal_models(model, stream_of_two_calls())
    # both learn on, each as if it were alone
    model.partial_fit(X_other[::-1], y_other[::-1], tasks=others)
    alone = stream_of_two_calls()
    assert_equal_models(other, alone.partial_fit(X_other, y_other, tasks=others))
    alone = stream_of_two_calls()
    alone.partial_fit(X_other[::-1], y_other[::-1], tasks=others)
    assert_equal_models(model, alone)


def test_a_model_in_mapped_files_learns_on(tmp_path):
    X, y, tasks = make("regression")
    model = FMRLRegressor().fit(X, y, tasks=tasks)
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    assert_equal_models(mapped, model)
    for each in (model, mapped):
        each.partial_fit(X, y, tasks=tasks + 6)
    assert_equal_models(mapped, model)


@on_all_problems
def test_a_clone_has_learned_nothing(problem):
    X, y, tasks = make(problem)
    model = model_for(problem, step_size=Doubling(0.5)).fit(X, y, tasks=tasks)
    fresh = clone(model)
    assert not any(hasattr(fresh, name) for name in ATTRIBUTES)
    assert vars(fresh).keys() == fresh.get_params(deep=False).keys()
    assert_equal_models(fresh.fit(X, y, tasks=tasks), model)


@pytest.mark.parametrize("method", ["predict", "score", "adapt", "decision_function"])
def test_nothing_is_answered_before_anything_was_learned(method):
    X, y, _ = make("two-classes")
    arguments = (X, y) if method in ("score", "adapt") else (X,)
    with pytest.raises(NotFittedError, match="not fitted"):
        getattr(FMRLClassifier(), method)(*arguments)
    for name in ATTRIBUTES:
        with pytest.raises(AttributeError, match=f"{name}.* before fit or partial_fit"):
            getattr(FMRLClassifier(), name)


def test_arrays_that_were_read_do_not_change_later():
    X, y, tasks = make("regression")
    model = FMRLRegressor(step_size="per_coordinate").fit(X, y, tasks=tasks)
    read = {name: getattr(model, name) for name in ATTRIBUTES}
    expected = {name: np.copy(value) for name, value in read.items()}
    model.partial_fit(X, y, tasks=tasks)
    model.partial_fit(X, y, tasks=tasks + 100)
    for name, value in read.items():
        assert_array_equal(value, expected[name], err_msg=name)


# ---- what it is good for, and what it says


def test_the_learned_start_helps_on_new_tasks():
    """Few shots from it beat few shots alone, and one model for all tasks."""
    X, y, tasks = make_task_regression(300, 20, 5, task_std=0.1, random_state=0)
    old = tasks < 200
    model = FMRLRegressor().fit(X[old], y[old], tasks=tasks[old])
    pooled = LinearRegression().fit(X[old], y[old])
    errors = []
    for task in range(200, 300):
        X_task, y_task = X[tasks == task], y[tasks == task]
        support = X_task[:5], y_task[:5]
        adapted, alone = model.adapt(*support), Ridge(0.1).fit(*support)
        errors.append(
            [
                mean_squared_error(y_task[5:], each.predict(X_task[5:]))
                for each in (adapted, alone, pooled, model)
            ]
        )
    adapted, *others = np.mean(errors, axis=0)
    assert adapted < 0.8 * min(others)


def test_verbose_prints_a_line_per_pass(capsys):
    X, y, tasks = make("regression")
    model = FMRLRegressor(verbose=1, n_passes=2).fit(X, y, tasks=tasks)
    first, second = model.history_["loss"][:12], model.history_["loss"][12:]
    assert capsys.readouterr().out.splitlines() == [
        "[FMRLRegressor] pass 1 of 2: 12 tasks, mean prequential loss "
        f"{first.mean():.6g}",
        "[FMRLRegressor] pass 2 of 2: 12 tasks, mean prequential loss "
        f"{second.mean():.6g}",
    ]
    FMRLRegressor().fit(X, y, tasks=tasks)
    assert capsys.readouterr().out == ""
