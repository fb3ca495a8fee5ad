"""Models that have learned: tasks known and new, classes, copies, and what they say."""

import copy
import pickle
from itertools import product

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from problems import (
    ATTRIBUTES,
    N_FEATURES,
    PROBLEMS,
    assert_equal_models,
    make,
    model_for,
    on_all_learners,
    on_all_problems,
    scores,
    targets,
    train,
)
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import accuracy_score, mean_squared_error, r2_score

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta.datasets import make_task_regression
from skmeta.linear_model import OGDClassifier, OGDRegressor
from skmeta.step_size import ARUBA, STEP_SIZES, Doubling

WITH_STEPS = [*sorted(STEP_SIZES), ARUBA(per_coordinate=True)]
on_all_step_sizes = pytest.mark.parametrize("step_size", WITH_STEPS, ids=str)


# ---- known and unknown tasks


@pytest.mark.parametrize("convert", [np.array, sp.csr_array, np.float32])
@on_all_problems
@on_all_learners
def test_rows_of_a_known_task_use_its_own_parameters(problem, convert, kernel, inner):
    X, y, tasks = make(problem)
    model = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    queried = np.where(tasks % 3 == 0, -1, tasks)  # a third of the rows: an unknown one
    coef = dict(zip(model.task_labels_, model.task_coef_, strict=True))
    intercept = dict(zip(model.task_labels_, model.task_intercept_, strict=True))
    coef[-1], intercept[-1] = model.coef_, model.intercept_
    expected = np.array(
        [coef[t] @ x + intercept[t] for t, x in zip(queried.tolist(), X, strict=True)]
    )
    close = {"rtol": 1e-5, "atol": 1e-6} if convert is np.float32 else {"atol": 1e-12}
    predicted = model.predict(convert(X), tasks=queried)
    if problem == "regression":
        assert_allclose(predicted, expected[:, 0], **close)
        return
    found = model.decision_function(convert(X), tasks=queried)
    two = problem == "two-classes"
    assert_allclose(found, expected[:, 0] if two else expected, **close)
    best = expected[:, 0] > 0 if two else expected.argmax(axis=1)
    assert_array_equal(predicted, best.astype(int))


@on_all_problems
def test_no_task_and_an_unknown_task_use_the_initialization(problem):
    X, y, tasks = make(problem)
    model = model_for(problem).fit(X, y, tasks=tasks)
    expected = X @ np.atleast_2d(model.coef_).T + model.intercept_
    assert_allclose(scores(model, X, None), expected, atol=1e-12)
    assert_allclose(scores(model, X, 99), expected, atol=1e-12)
    assert_allclose(model.predict(X, tasks=99), model.predict(X))


def test_unknown_task_can_raise():
    X, y, tasks = make("regression")
    model = FMRLRegressor(unknown_task="raise").fit(X, y, tasks=tasks)
    model.predict(X, tasks=tasks)
    model.predict(X)
    with pytest.raises(ValueError, match=r"Task 99 is unknown \(1 of 3 .*partial_fit"):
        model.predict(X[:3], tasks=[0, 99, 1])
    with pytest.raises(ValueError, match="Task 'a' is unknown.*unknown_task='shared'"):
        model.score(X, y, tasks="a")


@on_all_problems
@on_all_learners
def test_score_is_the_metric_of_that_prediction(problem, inner):
    X, y, tasks = make(problem)
    model = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    metric = r2_score if problem == "regression" else accuracy_score
    weight = np.random.default_rng(0).uniform(size=len(y))
    for labels, weights in product([None, tasks, 3], [None, weight]):
        expected = metric(y, model.predict(X, tasks=labels), sample_weight=weights)
        assert model.score(X, y, weights, tasks=labels) == expected
    assert model.score(X, y, tasks=tasks) != model.score(X, y)


# ---- a new task


@pytest.mark.parametrize("task_parameter", ["last", "average"])
@on_all_step_sizes
@on_all_problems
def test_adapting_is_training_from_the_initialization(
    problem, step_size, task_parameter
):
    X, y, tasks = make(problem, n_samples=5)  # step_size_ is for a task like the last
    params = {"max_iter": 2} | ({"eta0": 0.3} if step_size == "fixed" else {})
    model = model_for(
        problem, inner=params, step_size=step_size, task_parameter=task_parameter
    ).fit(X, y, tasks=tasks)
    before = joblib.hash(model)
    rows = tasks == 7
    adapted = model.adapt(X[rows], y[rows])
    eta = np.array(adapted.eta0) if step_size == "full_matrix" else model.step_size_
    params |= {"eta0": eta, "average": task_parameter == "average"}
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
        standardize=False,
        task_parameter=task_parameter,
        step_size="fixed",
        meta_step_size=0.0,
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
    model = model_for(problem, inner={}, step_size="doubling").fit(X, y, tasks=tasks)
    weight = np.array([0.5, 0.0, 2.0, 1.0])
    start = model.coef_, model.intercept_, weight
    learner = train(problem, X[:4], y[:4], *start, eta0=model.step_size_)
    adapted = model.adapt(X[:4], y[:4], sample_weight=weight)
    assert_array_equal(adapted.coef_, learner.coef_)
    assert_array_equal(adapted.losses_, learner.losses_[[0, 2, 3]])


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
@on_all_learners
def test_a_task_may_hold_one_class_only(problem, names, inner):
    X, y, tasks = make(problem)
    y = names[y]
    classes = np.unique(y)
    model = model_for(problem, inner=inner).fit(X, y, tasks=tasks)
    assert_array_equal(model.classes_, classes)
    rows = y == classes[0]
    model.partial_fit(X[rows], y[rows], tasks=99)
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
@on_all_learners
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
    z = model.decision_function(X, tasks=tasks)
    positive = expit(z) if loss == "log_loss" else (z.clip(-1, 1) + 1) / 2
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
def test_a_copy_continues_exactly_like_the_original(problem, step_size, copied):
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
