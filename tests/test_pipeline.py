"""Pipelines of tasks: streams, new tasks, labels, routing, and failed calls."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmeta import (
    FMRLClassifier,
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
)
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.inspection import FewShotDisplay
from skmeta.metrics import regret_report
from skmeta.model_selection import FewShotSplit, TaskTimeSplit
from skmeta.pipeline import TaskPipeline, make_task_pipeline

MODELS = [
    FMRLRegressor(),
    FMRLClassifier(),
    MixedEffectsRegressor(),
    MixedEffectsClassifier(),
]
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
REGRESSORS = [FMRLRegressor(), MixedEffectsRegressor()]
each_regressor = pytest.mark.parametrize(
    "model", REGRESSORS, ids=lambda m: type(m).__name__
)


def tasks_for(model, n_tasks=8, n_samples=9):
    is_classifier = sklearn.base.is_classifier(model)
    make = make_task_classification if is_classifier else make_task_regression
    X, y, tasks = make(n_tasks, n_samples, n_features=2, random_state=0)
    return X, y, np.array([f"task {t:02}" for t in tasks])


def frame_of(X, tasks):
    return pd.DataFrame(X, columns=["a", "b"]).assign(who=tasks)


def preparation():
    """Transformers by column, through which the labels pass."""
    return ColumnTransformer(
        [
            ("scale", StandardScaler(), ["a"]),
            ("squares", PolynomialFeatures(include_bias=False), ["b"]),
            ("task", "passthrough", ["who"]),
        ],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")


def call_all(model, X, **labels):
    """What the methods of a model say about rows."""
    methods = ["predict"]
    if sklearn.base.is_classifier(model):
        methods += ["predict_proba", "predict_log_proba", "decision_function"]
    if isinstance(model, MixedEffectsRegressor):
        methods += ["predict_interval"]
    return {name: getattr(model, name)(X, **labels) for name in methods}


# ---- every method equals the steps by hand


@each_model
def test_methods_equal_the_steps_by_hand(model):
    X, y, tasks = tasks_for(model)
    weight = np.linspace(0.5, 1.5, len(y))
    pipe = make_task_pipeline(StandardScaler(), clone(model))
    assert pipe.fit(X, y, tasks=tasks, sample_weight=weight) is pipe
    Z = StandardScaler().fit_transform(X)
    expected = clone(model).fit(Z, y, tasks=tasks, sample_weight=weight)
    for labels in ({}, {"tasks": tasks}, {"tasks": "task 01"}):
        for name, values in call_all(expected, Z, **labels).items():
            assert_array_equal(getattr(pipe, name)(X, **labels), values)
        score = pipe.score(X, y, sample_weight=weight, **labels)
        assert score == expected.score(Z, y, weight, **labels)
    adapted = pipe.adapt(X[:4], y[:4], sample_weight=weight[:4])
    by_hand = expected.adapt(Z[:4], y[:4], sample_weight=weight[:4])
    assert isinstance(adapted, TaskPipeline)
    assert_array_equal(adapted.predict(X), by_hand.predict(Z))
    assert adapted.score(X, y) == by_hand.score(Z, y)


def test_standard_deviations_pass_through_the_steps():
    X, y, tasks = tasks_for(MixedEffectsRegressor())
    pipe = make_task_pipeline(StandardScaler(), MixedEffectsRegressor())
    pipe.fit(X, y, tasks=tasks)
    Z, model = pipe[0].transform(X), pipe[-1]
    found = pipe.predict(X, tasks=tasks, return_std=True)
    for one, other in zip(
        found, model.predict(Z, tasks=tasks, return_std=True), strict=True
    ):
        assert_array_equal(one, other)
    assert_array_equal(
        pipe.predict_interval(X, tasks=tasks, coverage=0.5),
        model.predict_interval(Z, tasks=tasks, coverage=0.5),
    )
    adapted, by_hand = pipe.adapt(X[:3], y[:3]), model.adapt(Z[:3], y[:3])
    assert_array_equal(
        adapted.predict(X, return_std=True), by_hand.predict(Z, return_std=True)
    )
    assert_array_equal(adapted.predict_interval(X), by_hand.predict_interval(Z))


def test_the_frame_of_tasks_is_that_of_the_last_step():
    X, y, tasks = tasks_for(MixedEffectsRegressor())
    pipe = make_task_pipeline(StandardScaler(), MixedEffectsRegressor())
    with pytest.raises(NotFittedError):
        pipe.task_frame()
    pipe.fit(X, y, tasks=tasks)
    pd.testing.assert_frame_equal(pipe.task_frame(), pipe[-1].task_frame())
    assert not hasattr(make_task_pipeline(FMRLRegressor()), "task_frame")


@each_model
def test_only_what_the_last_step_has_is_there(model):
    pipe = make_task_pipeline(StandardScaler(), model)
    is_classifier = sklearn.base.is_classifier(model)
    assert hasattr(pipe, "predict_proba") == is_classifier
    assert hasattr(pipe, "predict_interval") == isinstance(model, MixedEffectsRegressor)
    assert all(hasattr(pipe, name) for name in ("adapt", "partial_fit"))
    other = make_task_pipeline(StandardScaler(), Ridge())
    for name in ("adapt", "partial_fit", "predict_interval"):
        with pytest.raises(
            AttributeError, match=f"'Ridge' object has no .*{name}|{name}"
        ):
            getattr(other, name)
    assert not hasattr(TaskPipeline([]), "predict")
    with pytest.raises(ValueError, match="The pipeline is empty"):
        TaskPipeline([]).fit([[0.0]], [0.0])


# ---- streams


@each_model
def test_partial_fit_updates_the_transformers_first(model):
    X, y, tasks = tasks_for(model)
    classes = {"classes": [0, 1]} if sklearn.base.is_classifier(model) else {}
    pipe = make_task_pipeline(StandardScaler(), MinMaxScaler(), clone(model))
    first, second, last = StandardScaler(), MinMaxScaler(), clone(model)
    for label in dict.fromkeys(tasks):
        rows = tasks == label
        pipe = pipe.partial_fit(X[rows], y[rows], tasks=label, **classes)
        Z = first.partial_fit(X[rows]).transform(X[rows])
        Z = second.partial_fit(Z).transform(Z)
        last.partial_fit(Z, y[rows], tasks=label, **classes)
    assert_array_equal(pipe[0].mean_, first.mean_)
    assert_array_equal(pipe[-1].coef_, last.coef_)
    Z = second.transform(first.transform(X))
    assert_array_equal(pipe.predict(X, tasks=tasks), last.predict(Z, tasks=tasks))


def test_a_transformer_without_partial_fit_must_be_fitted():
    X, y, tasks = tasks_for(FMRLRegressor())
    pipe = make_task_pipeline(PolynomialFeatures(), FMRLRegressor())
    message = (
        r"'polynomialfeatures' \(PolynomialFeatures\) has no partial_fit and is not"
    )
    with pytest.raises(NotFittedError, match=message):
        pipe.partial_fit(X[:9], y[:9], tasks=tasks[0])
    assert not hasattr(pipe[-1], "coef_")
    ready = make_task_pipeline(PolynomialFeatures().fit(X), FMRLRegressor())
    ready.partial_fit(X[:9], y[:9], tasks=tasks[0])
    pipe.fit(X[:9], y[:9], tasks=tasks[:9])
    assert_array_equal(ready[-1].coef_, pipe[-1].coef_)
    pipe.partial_fit(X[9:18], y[9:18], tasks=tasks[9])
    assert pipe[-1].n_tasks_seen_ == 2


def test_stateless_and_frozen_transformers_and_none():
    X, y, tasks = tasks_for(FMRLRegressor())
    scaler = StandardScaler().fit(X[:5])
    mean = scaler.mean_.copy()
    pipe = TaskPipeline(
        [
            ("nothing", "passthrough"),
            ("root", FunctionTransformer(np.cbrt)),
            ("scale", FrozenEstimator(scaler)),
            ("none", None),
            ("model", FMRLRegressor()),
        ]
    )
    for label in dict.fromkeys(tasks):
        rows = tasks == label
        pipe.partial_fit(X[rows], y[rows], tasks=label)
    Z = scaler.transform(np.cbrt(X))
    assert_array_equal(scaler.mean_, mean)
    expected = FMRLRegressor().fit(Z, y, tasks=tasks)
    assert_array_equal(pipe["model"].coef_, expected.coef_)
    adapted = pipe.adapt(X[:3], y[:3])
    assert_array_equal(adapted.predict(X), expected.adapt(Z[:3], y[:3]).predict(Z))
    report = regret_report(pipe, X, y, tasks)
    assert_array_equal(report.regret, regret_report(expected, Z, y, tasks).regret)


# ---- what is left alone


def test_transformers_that_were_passed_do_not_change():
    X, y, tasks = tasks_for(FMRLRegressor())
    scaler = StandardScaler()
    pipe = make_task_pipeline(scaler, FMRLRegressor()).fit(X, y, tasks=tasks)
    assert not hasattr(scaler, "mean_")
    fitted = StandardScaler().fit(X)
    before = pickle.dumps(fitted)
    make_task_pipeline(fitted, FMRLRegressor()).partial_fit(X + 1, y, tasks=tasks)
    assert pickle.dumps(fitted) == before
    adapted = pipe.adapt(X[:4], y[:4])
    predicted = adapted.predict(X)
    pipe.partial_fit(X + 10, y, tasks=tasks)
    pipe.fit(X - 10, y, tasks=tasks)
    assert_array_equal(adapted.predict(X), predicted)


@each_regressor
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_call_that_fails_changes_nothing(model, method):
    X, y, tasks = tasks_for(model)
    pipe = make_task_pipeline(StandardScaler(), MinMaxScaler(), clone(model))
    pipe.fit(X, y, tasks=tasks)
    before, predicted = pickle.dumps(pipe), pipe.predict(X, tasks=tasks)
    steps = list(pipe.steps)
    bad = y.copy()
    bad[20] = np.nan
    with pytest.raises(ValueError, match="task 02"):
        getattr(pipe, method)(X + 1, bad, tasks=tasks)
    assert pipe.steps == steps
    assert_array_equal(pipe.predict(X, tasks=tasks), predicted)
    assert pickle.dumps(pipe) == before


def test_an_adapted_pipeline_learns_without_its_transformers():
    X, y, tasks = tasks_for(MixedEffectsRegressor())
    pipe = make_task_pipeline(StandardScaler(), MixedEffectsRegressor())
    pipe.fit(X[9:], y[9:], tasks=tasks[9:])
    adapted = pipe.adapt(X[:3], y[:3])
    predicted, mean = pipe.predict(X, tasks=tasks), adapted[0].mean_.copy()
    adapted.partial_fit(X[3:6], y[3:6])
    assert_array_equal(adapted[0].mean_, mean)
    assert_array_equal(pipe.predict(X, tasks=tasks), predicted)
    assert_allclose(adapted.predict(X), pipe.adapt(X[:6], y[:6]).predict(X), rtol=1e-10)


# ---- labels in a column


@each_model
def test_a_task_column_of_the_pipeline(model):
    X, y, tasks = tasks_for(model)
    frame = frame_of(X, tasks)
    expected = make_task_pipeline(StandardScaler(), clone(model))
    expected.fit(frame[["a", "b"]], y, tasks=tasks)
    pipe = make_task_pipeline(StandardScaler(), clone(model), task_column="who")
    pipe.fit(frame, y)
    assert_array_equal(
        pipe.predict(frame), expected.predict(frame[["a", "b"]], tasks=tasks)
    )
    assert pipe.score(frame, y) == expected.score(frame[["a", "b"]], y, tasks=tasks)
    assert pipe.n_features_in_ == 2
    assert pipe.feature_names_in_.tolist() == ["a", "b"]
    rows, features = frame[:4], frame[["a", "b"]][:4]
    by_hand = expected.adapt(features, y[:4])
    for given in (rows, features):  # with or without the column
        adapted = pipe.adapt(given, y[:4])
        for taken in (frame, frame[["a", "b"]]):
            assert_array_equal(
                adapted.predict(taken), by_hand.predict(frame[["a", "b"]])
            )
    classes = {"classes": [0, 1]} if sklearn.base.is_classifier(model) else {}
    stream = clone(pipe).partial_fit(frame[:9], y[:9], **classes)
    assert stream[-1].task_labels_.tolist() == ["task 00"]


@each_regressor
def test_a_task_column_of_the_last_step(model):
    X, y, tasks = tasks_for(model)
    frame = frame_of(X, tasks)
    pipe = make_task_pipeline(preparation(), clone(model).set_params(task_column="who"))
    pipe.fit(frame, y)
    Z = pipe[0].transform(frame)
    assert_array_equal(pipe.predict(frame), pipe[-1].predict(Z))
    adapted = pipe.adapt(frame[:4], y[:4])
    by_hand = pipe[-1].adapt(Z[:4], y[:4])
    features = Z.drop(columns="who")
    assert_array_equal(adapted.predict(frame), by_hand.predict(features))
    pipe.partial_fit(frame.assign(who="new"), y)
    assert "new" in pipe[-1].task_labels_


def test_a_task_column_by_index():
    X, y, tasks = tasks_for(MixedEffectsRegressor())
    numbers = np.unique(tasks, return_inverse=True)[1]
    table = np.column_stack([numbers, X])
    pipe = make_task_pipeline(StandardScaler(), MixedEffectsRegressor(), task_column=0)
    pipe.fit(table, y)
    expected = make_task_pipeline(StandardScaler(), MixedEffectsRegressor())
    expected.fit(X, y, tasks=numbers)
    assert_allclose(pipe.predict(table), expected.predict(X, tasks=numbers), rtol=1e-9)
    adapted = pipe.adapt(table[:3], y[:3])
    assert_allclose(
        adapted.predict(table), expected.adapt(X[:3], y[:3]).predict(X), rtol=1e-9
    )
    assert_allclose(adapted.predict(X), adapted.predict(table), rtol=1e-12)


def test_errors_about_labels():
    X, y, tasks = tasks_for(FMRLRegressor())
    frame = frame_of(X, tasks)
    pipe = make_task_pipeline(StandardScaler(), FMRLRegressor(), task_column="who")
    with pytest.raises(ValueError, match="Give the task labels once"):
        pipe.fit(frame, y, tasks=tasks)
    pipe.fit(frame, y)
    with pytest.raises(
        ValueError, match="rows of one task; got those of 2: .'task 00'"
    ):
        pipe.adapt(frame[:12], y[:12])
    with pytest.raises(ValueError, match="no column 'who'"):
        pipe.predict(frame[["a", "b"]])
    pipe.set_params(task_column=1.5)
    with pytest.raises(ValueError, match="'task_column' parameter of TaskPipeline"):
        pipe.fit(frame, y)
    with pytest.raises(NotFittedError):
        make_task_pipeline(StandardScaler(), FMRLRegressor()).predict(X)


# ---- parameters, copies, searches


@each_model
def test_clone_and_pickle(model):
    X, y, tasks = tasks_for(model)
    frame = frame_of(X, tasks)
    pipe = make_task_pipeline(
        StandardScaler(), clone(model), task_column="who", verbose=True
    )
    name = type(model).__name__.lower()
    pipe.set_params(verbose=False, **{f"{name}__unknown_task": "warn"})
    twin = clone(pipe)
    assert isinstance(twin, TaskPipeline) and twin.task_column == "who"
    assert twin[-1].unknown_task == "warn" and twin[-1] is not pipe[-1]
    pipe.fit(frame, y)
    for one in (pipe, pipe.adapt(frame[:4], y[:4])):
        loaded = pickle.loads(pickle.dumps(one))
        assert_array_equal(loaded.predict(frame), one.predict(frame))
    fresh = clone(pipe.adapt(frame[:4], y[:4]))  # keeps the frozen transformers
    assert_array_equal(fresh["standardscaler"].mean_, pipe[0].mean_)


def test_memory_and_parameters_of_steps(tmp_path):
    X, y, tasks = tasks_for(FMRLRegressor())
    plain = make_task_pipeline(StandardScaler(), FMRLRegressor()).fit(X, y, tasks=tasks)
    cached = make_task_pipeline(StandardScaler(), FMRLRegressor(), memory=str(tmp_path))
    for _ in range(2):
        cached.fit(X, y, tasks=tasks)
        assert_array_equal(cached[-1].coef_, plain[-1].coef_)
    weight = np.where(tasks < "task 04", 1.0, 0.0)
    for method in ("fit", "partial_fit"):
        pipe = clone(plain)
        getattr(pipe, method)(X, y, tasks=tasks, standardscaler__sample_weight=weight)
        assert_allclose(pipe[0].mean_, X[tasks < "task 04"].mean(axis=0))
        assert pipe[-1].n_tasks_seen_ == 8
    with pytest.raises(ValueError, match="for a step 'scaler', but the steps are"):
        plain.partial_fit(X, y, scaler__sample_weight=weight)


@each_model
def test_search_and_cross_validation_with_a_task_column(model):
    X, y, tasks = tasks_for(model)
    frame = frame_of(X, tasks)
    pipe = make_task_pipeline(
        PolynomialFeatures(include_bias=False), clone(model), task_column="who"
    )
    splitter = FewShotSplit(3, n_splits=2, random_state=0, task_column="who")
    search = GridSearchCV(
        pipe, {"polynomialfeatures__degree": [1, 2]}, cv=splitter, error_score="raise"
    ).fit(frame, y)
    expected = []
    for degree in (1, 2):
        scores = []
        Z = PolynomialFeatures(degree, include_bias=False).fit_transform(X)
        for train, test in splitter.split(frame):
            one = clone(model).fit(Z[train], y[train], tasks=tasks[train])
            scores.append(one.score(Z[test], y[test], tasks=tasks[test]))
        expected.append(np.mean(scores))
    assert_array_equal(search.cv_results_["mean_test_score"], expected)
    by_name = cross_val_score(
        pipe, frame, y, cv=TaskTimeSplit(2, task_column="who"), scoring="r2"
    )
    assert np.isfinite(by_name).all()
    assert cross_val_predict(pipe, frame, y, cv=3).shape == y.shape


def test_labels_as_parameters_of_a_search_without_routing():
    X, y, tasks = tasks_for(FMRLRegressor())
    pipe = make_task_pipeline(StandardScaler(), FMRLRegressor())
    found = cross_validate(
        pipe,
        X,
        y,
        groups=tasks,
        params={"tasks": tasks},
        cv=GroupKFold(2),
        return_estimator=True,
        error_score="raise",
    )
    assert [one[-1].n_tasks_seen_ for one in found["estimator"]] == [4, 4]


# ---- metadata routing


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@each_model
def test_routing_needs_no_requests(routing, model):
    X, y, tasks = tasks_for(model)
    weight = np.linspace(0.5, 1.5, len(y))
    pipe = make_task_pipeline(StandardScaler(), clone(model))
    pipe.fit(X, y, tasks=tasks, sample_weight=weight)
    Z = StandardScaler().fit_transform(X)  # without the weight, as not requested
    expected = clone(model).fit(Z, y, tasks=tasks, sample_weight=weight)
    for name, values in call_all(expected, Z, tasks=tasks).items():
        assert_array_equal(getattr(pipe, name)(X, tasks=tasks), values)
    assert pipe.score(X, y, weight, tasks=tasks) == expected.score(
        Z, y, weight, tasks=tasks
    )
    assert pipe.score(X, y) == expected.score(Z, y)
    if isinstance(model, MixedEffectsRegressor):
        found = pipe.predict(X, tasks=tasks, return_std=True)
        assert_array_equal(
            found[1], expected.predict(Z, tasks=tasks, return_std=True)[1]
        )
    classes = {"classes": [0, 1]} if sklearn.base.is_classifier(model) else {}
    pipe.partial_fit(X[:5], y[:5], tasks="new", **classes)
    assert "new" in pipe[-1].task_labels_
    adapted = pipe.adapt(X[:4], y[:4], sample_weight=weight[:4])
    assert adapted.predict(X).shape == y.shape
    assert adapted.partial_fit(X[4:8], y[4:8]).score(X, y) <= 1


@each_model
def test_a_search_routes_labels_to_fit_and_score(routing, model):
    X, y, tasks = tasks_for(model)
    pipe = make_task_pipeline(StandardScaler(), clone(model))
    cv = FewShotSplit(3, n_splits=2, random_state=0).set_split_request(groups="tasks")
    search = GridSearchCV(
        pipe, {"standardscaler__with_mean": [True, False]}, cv=cv, error_score="raise"
    ).fit(X, y, tasks=tasks)
    scores = []
    for train, test in FewShotSplit(3, n_splits=2, random_state=0).split(X, y, tasks):
        one = clone(pipe).fit(X[train], y[train], tasks=tasks[train])
        scores.append(one.score(X[test], y[test], tasks=tasks[test]))
    assert search.cv_results_["mean_test_score"][0] == np.mean(scores)


def test_requests_that_are_set_are_respected(routing):
    X, y, tasks = tasks_for(FMRLRegressor())
    weight = np.where(tasks < "task 04", 1.0, 0.0)
    scaler = StandardScaler().set_fit_request(sample_weight=True)
    scaler.set_partial_fit_request(sample_weight="scaling")
    model = FMRLRegressor().set_fit_request(tasks="groups", sample_weight=False)
    pipe = make_task_pipeline(scaler, model)
    pipe.fit(X, y, groups=tasks, sample_weight=weight)
    assert_allclose(pipe[0].mean_, X[tasks < "task 04"].mean(axis=0))
    assert pipe[-1].n_tasks_seen_ == 8  # without the weight, none is left out
    fresh = clone(pipe).partial_fit(X, y, tasks=tasks, scaling=weight)
    assert_allclose(fresh[0].mean_, pipe[0].mean_)
    with pytest.raises(TypeError, match="tasks"):
        pipe.fit(X, y, tasks=tasks)
    # a column of the pipeline labels the tasks, whatever the last step calls them
    column = clone(pipe).set_params(task_column="who").fit(frame_of(X, tasks), y)
    assert column[-1].n_tasks_seen_ == 8


# ---- beside scikit-learn's Pipeline

CHECKED = [make_task_pipeline(StandardScaler(), FMRLRegressor())]
FAIL_BY_NATURE = {
    "check_estimators_overwrite_params": "fit replaces steps, as in a Pipeline",
    "check_dont_overwrite_parameters": "fit replaces steps, as in a Pipeline",
}


@parametrize_with_checks(
    CHECKED, expected_failed_checks=lambda estimator: FAIL_BY_NATURE, xfail_strict=True
)
@pytest.mark.filterwarnings("ignore:.*got no task labels")
def test_sklearn_compatible(estimator, check):
    check(estimator)


def test_one_step_and_slices():
    X, y, tasks = tasks_for(MixedEffectsRegressor())
    frame = frame_of(X, tasks)
    pipe = make_task_pipeline(MixedEffectsRegressor(), task_column="who").fit(frame, y)
    assert_array_equal(
        pipe.predict(frame),
        MixedEffectsRegressor().fit(X, y, tasks=tasks).predict(X, tasks=tasks),
    )
    adapted = pipe.adapt(frame[:3], y[:3])
    assert_array_equal(adapted.predict(frame), adapted.predict(frame[["a", "b"]]))
    longer = make_task_pipeline(StandardScaler(), OneHotEncoder(), Ridge())
    assert isinstance(longer, Pipeline)
    scaled = make_task_pipeline(StandardScaler(), MixedEffectsRegressor())
    scaled.fit(X, y, tasks=tasks)
    assert_array_equal(scaled[:-1].transform(X), StandardScaler().fit_transform(X))
    assert list(scaled.named_steps) == ["standardscaler", "mixedeffectsregressor"]


@each_regressor
def test_reports_and_displays_take_a_pipeline(model):
    X, y, tasks = tasks_for(model)
    frame = frame_of(X, tasks)
    pipe = make_task_pipeline(StandardScaler(), clone(model), task_column="who")
    report = regret_report(pipe, frame, y)
    Z = StandardScaler().fit_transform(X)
    expected = regret_report(clone(model), Z, y, tasks)
    assert report.labels == expected.labels
    assert_allclose(report.regret, expected.regret, rtol=1e-10)
    assert not hasattr(pipe[-1], "coef_")
    pipe.fit(frame, y)
    axes = pytest.importorskip("matplotlib.figure").Figure().subplots()
    display = FewShotDisplay.from_estimator(pipe, frame, y, n_shots=[0, 3], ax=axes)
    assert display.scores.shape == (8, 2)
    learned = clone(model).fit(Z, y, tasks=tasks)
    expected = FewShotDisplay.from_estimator(
        learned, Z, y, tasks, n_shots=[0, 3], ax=axes
    )
    assert_allclose(display.scores, expected.scores, rtol=1e-10)


def test_names_of_make_task_pipeline_are_those_of_make_pipeline():
    steps = StandardScaler(), StandardScaler(), FMRLRegressor()
    ours, theirs = make_task_pipeline(*steps), make_pipeline(*steps)
    assert ours.steps == theirs.steps
