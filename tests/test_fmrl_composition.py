"""Inside scikit-learn: pipelines, searches, metadata routing, foreign learners."""

import functools

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Perceptron,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    cross_val_predict,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import estimator_html_repr

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.linear_model import OGDClassifier, OGDRegressor
from skmeta.meta_step_size import LinearDecay
from skmeta.step_size import ARUBA, Doubling, Fixed

TASKS = np.array(list("abcdef"))
NUMBERS = ["x0", "x1", "x2"]


@pytest.fixture(scope="module")
def data():
    X, y, tasks = make_task_regression(6, 10, 3, shuffle=True, random_state=0)
    return X, y, TASKS[tasks]


@pytest.fixture(scope="module")
def frame(data):
    """Numbers of different scales, a category, and the task among them."""
    X, _, tasks = data
    frame = pd.DataFrame(X * [1, 100, 1e-3], columns=NUMBERS)
    frame.insert(1, "kind", np.where(X[:, 0] > 0, "big", "small"))
    frame.insert(2, "who", tasks)
    return frame


def preparation(task="who"):
    return ColumnTransformer(
        [
            ("scale", StandardScaler(), NUMBERS),
            ("kind", OneHotEncoder(sparse_output=False), ["kind"]),
            ("task", "passthrough", [task]),
        ],
        verbose_feature_names_out=False,
    )


def pipeline(estimator, **params):
    steps = [("prepare", preparation(**params)), ("model", estimator)]
    return Pipeline(steps).set_output(transform="pandas")


# ---- a task column in pipelines and searches, without metadata routing

GRIDS = {
    "meta_step_size": {"model__meta_step_size": ["ftl", 0.0, 0.3, 1.0]},
    "step_size": {"model__step_size": ["fixed", "isotropic", Doubling(), ARUBA(0.1)]},
    "gamma": {
        "model__step_size": [Doubling()],
        "model__step_size__gamma": [1.1, 2.0],
        "model__step_size__radius": [0.01, 0.1],
    },
    "decay": {
        "model__meta_step_size": [LinearDecay()],
        "model__meta_step_size__n_tasks": [2, 50],
    },
    "eta0": {
        "model__estimator": [OGDRegressor()],
        "model__estimator__eta0": [0.1, 1.0],
        "model__step_size": ["fixed"],
    },
    "both": {
        "model__meta_step_size": [0.5, 1.0],
        "model__step_size": ["fixed", "doubling"],
    },
}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_search_over_a_pipeline_of_a_frame(frame, data, grid):
    pipe = pipeline(FMRLRegressor(task_column="who"))
    search = GridSearchCV(pipe, grid, cv=GroupKFold(3), error_score="raise")
    search.fit(frame, data[1], groups=frame["who"])
    scores = search.cv_results_["mean_test_score"]
    assert len(np.unique(scores)) == len(scores)  # every parameter reached its place
    best = search.best_estimator_["model"]
    assert best.n_tasks_seen_ == 6
    assert sorted(best.task_labels_) == list(TASKS)
    expected = [*NUMBERS, "kind_big", "kind_small"]
    assert best.feature_names_in_.tolist() == expected
    assert search.predict(frame).shape == (60,)


def test_pipeline_equals_the_same_steps_by_hand(frame, data):
    _, y, tasks = data
    pipe = pipeline(FMRLRegressor(task_column="who")).fit(frame, y)
    prepared = preparation().set_output(transform="pandas").fit_transform(frame)
    X = prepared.drop(columns="who")
    model = FMRLRegressor().fit(X, y, tasks=tasks)
    assert_array_equal(pipe["model"].coef_, model.coef_)
    assert_array_equal(pipe.predict(frame), model.predict(X, tasks=tasks))
    assert pipe.score(frame, y) == model.score(X, y, tasks=tasks)
    strangers = frame.assign(who="nobody")
    assert_allclose(pipe.predict(strangers), model.predict(X))


def test_task_column_by_index_through_arrays(frame, data):
    """What a ColumnTransformer gives without set_output: objects, or CSR."""
    _, y, tasks = data
    by_name = pipeline(FMRLRegressor(task_column="who")).fit(frame, y)
    by_index = make_pipeline(preparation(), FMRLRegressor(task_column=-1))
    by_index.fit(frame, y)
    assert_array_equal(by_index[-1].coef_, by_name[-1].coef_)
    assert by_index[-1].task_labels_.tolist() == by_name[-1].task_labels_.tolist()
    assert_array_equal(by_index.predict(frame), by_name.predict(frame))

    numbered = frame.assign(number=[ord(task) for task in tasks])
    sparse = make_column_transformer(
        ("passthrough", ["number"]),
        (OneHotEncoder(), ["kind", "who"]),
        (StandardScaler(), NUMBERS[:1]),
        sparse_threshold=1.0,
    )
    pipe = make_pipeline(sparse, FMRLRegressor(task_column=0)).fit(numbered, y)
    assert pipe[-1].n_features_in_ == 9
    assert "".join(chr(int(label)) for label in pipe[-1].task_labels_) == "".join(
        dict.fromkeys(tasks)
    )


@pytest.mark.parametrize("method", ["predict_proba", "decision_function", "predict"])
def test_cross_val_predict_with_a_task_column(frame, data, method):
    y = np.where(data[1] > 0, "yes", "no")
    predicted = cross_val_predict(
        pipeline(FMRLClassifier(task_column="who")), frame, y, method=method
    )
    assert predicted.shape == ((60, 2) if method == "predict_proba" else (60,))


def test_n_jobs_do_not_matter(frame, data):
    model = FMRLRegressor(OGDRegressor(shuffle=True), task_column="who", random_state=0)
    grid = {"model__step_size": ["isotropic", Doubling()]}
    results = [
        GridSearchCV(pipeline(model), grid, cv=3, n_jobs=n_jobs, error_score="raise")
        .fit(frame, data[1])
        .cv_results_
        for n_jobs in (None, 2)
    ]
    for split in range(3):
        key = f"split{split}_test_score"
        assert_array_equal(results[0][key], results[1][key])


# ---- metadata routing


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture
def seen(monkeypatch):
    """Record (method, tasks received) of every call."""
    calls = []
    for name in ("fit", "score"):
        original = getattr(FMRLRegressor, name)

        @functools.wraps(original)  # keeps the signature that routing inspects
        def spy(self, X, y, *args, tasks=None, _name=name, _original=original, **kw):
            calls.append((_name, None if tasks is None else frozenset(tasks)))
            return _original(self, X, y, *args, tasks=tasks, **kw)

        monkeypatch.setattr(FMRLRegressor, name, spy)
    return calls


def requesting(alias):
    model = FMRLRegressor(meta_step_size=0.1)
    return model.set_fit_request(tasks=alias).set_score_request(tasks=alias)


@pytest.mark.parametrize(
    "alias, splitter, names",
    [
        ("groups", GroupKFold(3), ["groups"]),
        (True, "aliased", ["tasks"]),
        (True, GroupKFold(3), ["tasks", "groups"]),
    ],
    ids=["alias of the model", "alias of the splitter", "both names"],
)
def test_routed_tasks_are_disjoint_between_folds(
    routing, seen, data, alias, splitter, names
):
    X, y, tasks = data
    if splitter == "aliased":
        splitter = GroupKFold(3).set_split_request(groups="tasks")
    search = GridSearchCV(
        make_pipeline(StandardScaler(), requesting(alias)),
        {"fmrlregressor__meta_step_size": [0.1, 0.5]},
        cv=splitter,
        error_score="raise",
    ).fit(X, y, **dict.fromkeys(names, tasks))
    fits, scores = ([t for name, t in seen if name == m] for m in ("fit", "score"))
    assert len(fits) == 7 and len(scores) == 6  # two candidates, three folds; a refit
    assert all(
        f | s == set(TASKS) and not f & s for f, s in zip(fits[:6], scores, strict=True)
    )
    assert fits[-1] == set(TASKS)
    assert search.best_estimator_[-1].n_tasks_seen_ == 6
    assert search.score(X, y, **{names[0]: tasks}) > 0


def test_forgotten_request_is_loud(routing, data):
    X, y, tasks = data
    with pytest.raises(UnsetMetadataPassedError, match="set_fit_request"):
        make_pipeline(StandardScaler(), FMRLRegressor()).fit(X, y, tasks=tasks)


def test_routing_reaches_all_methods(routing, data):
    X, y, tasks = data
    y = np.where(y > 0, "yes", "no")
    weight = np.linspace(0, 1, 60)
    model = FMRLClassifier().set_fit_request(tasks=True, sample_weight=True)
    model.set_score_request(tasks=True, sample_weight=True)
    model.set_predict_request(tasks=True).set_predict_proba_request(tasks=True)
    model.set_decision_function_request(tasks=True)
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    pipe = make_pipeline(scaler, model)
    pipe.fit(X, y, tasks=tasks, sample_weight=weight)
    scaled = pipe[0].transform(X)
    expected = FMRLClassifier().fit(scaled, y, tasks=tasks, sample_weight=weight)
    assert_array_equal(pipe[-1].coef_, expected.coef_)
    for method in ("predict", "predict_proba", "decision_function"):
        found = getattr(pipe, method)(X, tasks=tasks)
        assert_array_equal(found, getattr(expected, method)(scaled, tasks=tasks))
    assert pipe.score(X, y, sample_weight=weight, tasks=tasks) == expected.score(
        scaled, y, weight, tasks=tasks
    )


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_cross_validate_with_routed_tasks(routing, data, n_jobs):
    X, y, tasks = data
    result = cross_validate(
        requesting("groups"),
        X,
        y,
        cv=GroupKFold(3),
        params={"groups": tasks},
        return_estimator=True,
        n_jobs=n_jobs,
        error_score="raise",
    )
    folds = GroupKFold(3).split(X, y, tasks)
    for model, score, (train, test) in zip(
        result["estimator"], result["test_score"], folds, strict=True
    ):
        expected = FMRLRegressor(meta_step_size=0.1)
        expected.fit(X[train], y[train], tasks=tasks[train])
        assert_array_equal(model.coef_, expected.coef_)
        assert score == expected.score(X[test], y[test], tasks=tasks[test])


def test_cross_val_predict_with_routed_tasks(routing, data):
    """Tasks reach fit; scikit-learn predicts without them."""
    X, y, tasks = data
    model = FMRLRegressor().set_fit_request(tasks="groups")
    found = cross_val_predict(model, X, y, cv=GroupKFold(3), params={"groups": tasks})
    for train, test in GroupKFold(3).split(X, y, tasks):
        expected = FMRLRegressor().fit(X[train], y[train], tasks=tasks[train])
        assert_array_equal(found[test], expected.predict(X[test]))


# ---- parameters within parameters


def test_parameters_of_all_parts_can_be_reached():
    model = FMRLRegressor(
        OGDRegressor(), step_size=ARUBA(), meta_step_size=LinearDecay()
    )
    params = {
        "estimator__eta0": 0.7,
        "step_size__eps": 0.2,
        "meta_step_size__final": 0.5,
        "meta_step_size__first": 0.9,
    }
    assert params.keys() < model.get_params(deep=True).keys()
    copied = clone(model.set_params(**params))
    assert copied.estimator is not model.estimator
    assert copied.step_size is not model.step_size
    assert {name: copied.get_params()[name] for name in params} == params


@pytest.mark.parametrize(
    "model",
    [
        FMRLRegressor(),
        FMRLClassifier(OGDClassifier("hinge"), step_size=Doubling(2.0)),
        FMRLRegressor(SGDRegressor(), step_size=Fixed(), task_column="who"),
    ],
    ids=repr,
)
def test_html_representation(model):
    html = estimator_html_repr(model)
    assert type(model).__name__ in html
    if model.estimator is not None:
        assert type(model.estimator).__name__ in html
    assert model._repr_html_()


# ---- linear models of scikit-learn as inner learners

REGRESSORS = [
    SGDRegressor(random_state=0),
    SGDRegressor(shuffle=False, learning_rate="constant", eta0=0.1, penalty=None),
    SGDRegressor("huber", penalty="elasticnet", fit_intercept=False, random_state=1),
    SGDRegressor(
        "epsilon_insensitive", learning_rate="pa1", penalty=None, random_state=0
    ),
]
CLASSIFIERS = [
    SGDClassifier(random_state=0),
    SGDClassifier("log_loss", learning_rate="constant", eta0=0.5, shuffle=False),
    SGDClassifier("modified_huber", penalty="l1", random_state=1),
    SGDClassifier("hinge", learning_rate="pa1", penalty=None, random_state=0),
    Perceptron(random_state=0),
]


def by_hand(estimator, X, y, coef, intercept, weight=None):
    """One pass of `fit` from a given start, which scikit-learn writes over."""
    inner = clone(estimator).set_params(max_iter=1, tol=None)
    return inner.fit(X, y, coef.copy(), intercept.copy(), sample_weight=weight)


def assert_equals_a_loop_by_hand(model, X, y, tasks, weight):
    """The leader of the tasks' parameters, each trained from the leader before it."""
    model.fit(X, y, tasks=tasks, sample_weight=weight)
    coef, intercept = np.zeros_like(model.coef_), np.zeros_like(model.intercept_)
    weight_sum = 0.0
    for k, task in enumerate(dict.fromkeys(tasks)):
        rows = tasks == task
        own = None if weight is None else weight[rows]
        inner = by_hand(model.estimator, X[rows], y[rows], coef, intercept, own)
        assert_allclose(model.task_coef_[k], inner.coef_, rtol=1e-10, atol=1e-15)
        assert_allclose(
            model.task_intercept_[k], inner.intercept_, rtol=1e-10, atol=1e-15
        )
        weight_sum += np.sqrt(rows.sum())
        share = np.sqrt(rows.sum()) / weight_sum
        coef += share * (inner.coef_ - coef)
        intercept += share * (inner.intercept_ - intercept)
    assert_allclose(model.coef_, coef, rtol=1e-10, atol=1e-15)
    assert_allclose(model.intercept_, intercept, rtol=1e-10, atol=1e-15)
    adapted = model.adapt(X[rows], y[rows])
    inner = by_hand(model.estimator, X[rows], y[rows], coef, intercept)
    assert_allclose(adapted.coef_, inner.coef_, rtol=1e-10)
    assert adapted.score(X, y) == pytest.approx(inner.score(X, y))
    assert_allclose(model.coef_, coef, rtol=1e-10)


@pytest.mark.parametrize("weighted", [False, True], ids="weighted={}".format)
@pytest.mark.parametrize("estimator", REGRESSORS, ids=repr)
def test_foreign_regressor_equals_a_loop_by_hand(estimator, weighted, data):
    X, y, tasks = data
    weight = np.linspace(0.5, 1.5, 60) if weighted else None
    model = FMRLRegressor(estimator, step_size="fixed", standardize=False)
    assert_equals_a_loop_by_hand(model, X, y, tasks, weight)
    assert np.isnan(model.history_["loss"]).all()
    assert np.isnan(model.step_size_)


@pytest.mark.parametrize("weighted", [False, True], ids="weighted={}".format)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=repr)
def test_foreign_classifier_equals_a_loop_by_hand(estimator, n_classes, weighted):
    X, y, tasks = make_task_classification(
        6, 30, 3, n_classes=n_classes, task_std=3.0, random_state=0
    )
    y = np.array(["no", "so", "yes"])[y]
    assert all(len(np.unique(y[tasks == t])) == n_classes for t in range(6))
    weight = np.linspace(0.5, 1.5, len(y)) if weighted else None
    model = FMRLClassifier(estimator, step_size="fixed", standardize=False)
    assert_equals_a_loop_by_hand(model, X, y, tasks, weight)


def test_foreign_learner_takes_tasks_of_one_class():
    X, y, tasks = make_task_classification(6, 10, 3, random_state=0)
    model = FMRLClassifier(SGDClassifier(random_state=0), step_size="fixed")
    model.fit(X, y, tasks=tasks)
    rows = y == 1
    model.partial_fit(X[rows], y[rows], tasks=99)
    adapted = model.adapt(X[rows], y[rows])
    assert_array_equal(adapted.classes_, [0, 1])
    assert adapted.score(X[rows], y[rows]) > model.score(X[rows], y[rows]) - 1e-12


def test_foreign_learner_knows_the_names_of_the_features(data):
    X, y, tasks = data
    X = pd.DataFrame(X, columns=NUMBERS)
    model = FMRLRegressor(SGDRegressor(), step_size="fixed").fit(X, y, tasks=tasks)
    adapted = model.adapt(X, y)
    assert adapted.feature_names_in_.tolist() == NUMBERS
    with pytest.raises(ValueError, match="feature names"):
        adapted.predict(X[NUMBERS[::-1]])


def test_a_foreign_average_is_used_or_an_error_explains_it(data):
    X, y, tasks = data
    model = FMRLRegressor(SGDRegressor(average=True, random_state=0), step_size="fixed")
    try:
        model.fit(X, y, tasks=tasks)
    except ValueError as error:
        assert "average" in str(error)
    else:
        assert model.task_coef_.any()


@pytest.mark.parametrize("kind", [FMRLRegressor, FMRLClassifier])
def test_foreign_learner_that_overflows_is_a_bad_task(data, kind):
    X, y, tasks = data
    X = np.where((tasks == "c")[:, np.newaxis], X * 1e200, X)
    foreign = SGDRegressor if kind is FMRLRegressor else SGDClassifier
    y = y if kind is FMRLRegressor else y > 0
    params = {"learning_rate": "constant", "eta0": 0.1, "penalty": None}
    model = kind(foreign(**params, shuffle=False), step_size="fixed", standardize=False)
    with pytest.raises(ValueError, match="^Task 'c'") as error:
        model.fit(X, y, tasks=tasks)
    assert "implicit" not in str(error.value)  # no option of this learner
    model.set_params(on_bad_task="skip").fit(X, y, tasks=tasks)
    assert model.n_tasks_skipped_ == 1


@pytest.mark.parametrize(
    "model",
    [
        FMRLRegressor(LinearRegression(), step_size="fixed"),
        FMRLClassifier(LogisticRegression(), step_size="fixed"),
        FMRLRegressor(SGDClassifier(), step_size="fixed"),
        FMRLRegressor(OGDClassifier()),
        FMRLClassifier(SGDRegressor(), step_size="fixed"),
        FMRLClassifier(OGDRegressor()),
        FMRLRegressor(FMRLRegressor(), step_size="fixed"),
        FMRLRegressor(make_pipeline(StandardScaler(), SGDRegressor())),
        FMRLRegressor(MLPClassifier()),
        FMRLClassifier(MLPRegressor()),
        FMRLClassifier(GaussianNB(), step_size="fixed"),
        FMRLRegressor("ogd"),
    ],
    ids=lambda model: f"{type(model).__name__}-{model.estimator!r}"[:50],
)
def test_inner_learner_of_the_wrong_kind_is_named(model, data):
    X, y, tasks = data
    y = y if isinstance(model, FMRLRegressor) else y > 0
    with pytest.raises(ValueError, match="estimator") as error:
        model.fit(X, y, tasks=tasks)
    inner = model.estimator
    assert (inner if isinstance(inner, str) else type(inner).__name__) in str(
        error.value
    )


@pytest.mark.parametrize(
    "params",
    [
        {"step_size": "isotropic"},
        {"step_size": "doubling"},
        {"step_size": "fixed", "task_parameter": "average"},
    ],
    ids=str,
)
def test_what_a_foreign_learner_cannot_do_is_said(params, data):
    X, y, tasks = data
    name, value = next(item for item in params.items() if item[1] != "fixed")
    message = f"SGDRegressor .*: use .*='(fixed|last)'.* Got {name}='{value}'"
    with pytest.raises(ValueError, match=message):
        FMRLRegressor(SGDRegressor(), **params).fit(X, y, tasks=tasks)
