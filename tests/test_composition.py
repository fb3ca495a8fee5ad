"""With scikit-learn's tools: task labels arrive in every one, or a refusal says why."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import (
    RFE,
    RFECV,
    SelectFromModel,
    SequentialFeatureSelector,
)
from sklearn.impute import SimpleImputer
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import RANSACRegressor
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    LeaveOneGroupOut,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.semi_supervised import SelfTrainingClassifier

from skmeta import (
    FMRLClassifier,
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
)
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.step_size import Doubling

N_TASKS = 8
X, y, TASKS = make_task_regression(N_TASKS, 12, 3, shuffle=True, random_state=0)
X_C, y_C, TASKS_C = make_task_classification(
    N_TASKS, 12, 3, shuffle=True, random_state=0
)
THREE = np.where(X_C[:, 0] > 0.7, 2, y_C)  # classes
LAST, LAST_C = np.column_stack([X, TASKS]), np.column_stack([X_C, TASKS_C])
FIRST = np.column_stack([TASKS, X])
SHUFFLED = KFold(3, shuffle=True, random_state=0)
REGRESSORS = [FMRLRegressor(random_state=0), MixedEffectsRegressor()]
CLASSIFIERS = [FMRLClassifier(random_state=0), MixedEffectsClassifier()]


def by_name(models):
    return pytest.mark.parametrize("model", models, ids=lambda m: type(m).__name__)


def with_column(model, column=3):
    return clone(model).set_params(task_column=column)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def requesting(model, *methods):
    model = clone(model)
    for method in methods:
        getattr(model, f"set_{method}_request")(tasks=True)
    return model


# ---- transformers before a meta-estimator


def as_days(dates):
    return (dates - pd.Timestamp("2024-01-01")) / pd.Timedelta(days=1)


@pytest.fixture(scope="module")
def table():
    """Numbers with gaps, a category, dates, and the task among them."""
    table = pd.DataFrame(X.copy(), columns=["a", "b", "c"])
    table.loc[::9, "b"] = np.nan
    table.insert(1, "kind", np.where(X[:, 0] > 0, "big", "small"))
    table.insert(2, "who", TASKS)
    days = np.arange(len(X)) % 17
    table["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(days, unit="D")
    return table


@by_name(REGRESSORS)
def test_column_transformer_equals_columns_by_hand(model, table):
    prepare = ColumnTransformer(
        [
            ("gaps", SimpleImputer(), ["a", "b", "c"]),
            ("kind", OneHotEncoder(sparse_output=False), ["kind"]),
            ("day", FunctionTransformer(as_days), ["day"]),
            ("task", "passthrough", ["who"]),
        ],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    model = clone(model)
    whole = make_pipeline(prepare, with_column(model, "who")).fit(table, y)
    features = np.column_stack(
        [
            table[["a", "b", "c"]].fillna(table[["a", "b", "c"]].mean()),
            table["kind"] == "big",
            table["kind"] == "small",
            as_days(table["day"]),
        ]
    ).astype(float)
    expected = model.fit(features, y, tasks=TASKS).predict(features, tasks=TASKS)
    # columns of another layout are summed in another order
    assert_allclose(whole.predict(table), expected, rtol=1e-9, atol=1e-8)
    assert whole[-1].feature_names_in_.tolist() == [
        *["a", "b", "c", "kind_big", "kind_small", "day"]
    ]


@by_name(REGRESSORS)
def test_dates_among_the_features_are_refused(model, table):
    with pytest.raises(ValueError, match="day"):
        with_column(model, "who").fit(table.drop(columns="kind"), y)


@by_name(REGRESSORS)
def test_feature_union(routing, model):
    union = FeatureUnion([("scale", StandardScaler()), ("two", PolynomialFeatures(2))])
    whole = make_pipeline(union, requesting(model, "fit", "predict", "score"))
    whole.fit(X, y, tasks=TASKS)
    features = union.fit_transform(X)
    by_hand = clone(model).fit(features, y, tasks=TASKS)
    expected = by_hand.predict(features, tasks=TASKS)
    assert_array_equal(whole.predict(X, tasks=TASKS), expected)
    assert whole.score(X, y, tasks=TASKS) == by_hand.score(features, y, tasks=TASKS)


def test_pipeline_score_without_routing_drops_the_tasks():
    """As documented."""
    whole = make_pipeline(StandardScaler(), FMRLRegressor())
    whole.fit(X, y, fmrlregressor__tasks=TASKS)
    assert whole[-1].n_tasks_seen_ == N_TASKS
    strangers = whole[-1].score(whole[0].transform(X), y)
    assert whole.score(X, y, tasks=TASKS) == strangers


# ---- searches and cross-validation

GRID = {
    "meta_step_size": ["ftl", 0.3],
    "step_size": [Doubling()],
    "step_size__gamma": [1.2, 2.0],
}
SEARCHES = [
    lambda model, **how: GridSearchCV(model, GRID, **how),
    lambda model, **how: RandomizedSearchCV(
        model, GRID, n_iter=3, random_state=0, **how
    ),
    lambda model, **how: HalvingGridSearchCV(
        model, GRID, min_resources=40, random_state=0, **how
    ),
]


@pytest.mark.parametrize("search", SEARCHES)
def test_search_with_a_task_column(search):
    found = search(
        FMRLRegressor(task_column=3, random_state=0), cv=SHUFFLED, error_score="raise"
    ).fit(LAST, y)
    assert found.best_estimator_.n_tasks_seen_ == N_TASKS
    by_hand = FMRLRegressor(random_state=0).set_params(**found.best_params_)
    by_hand.fit(X, y, tasks=TASKS)
    assert found.score(LAST, y) == by_hand.score(X, y, tasks=TASKS)


@pytest.mark.parametrize("search", SEARCHES[:2])
def test_search_with_routed_tasks_is_the_same(routing, search):
    how = {"cv": SHUFFLED, "error_score": "raise"}
    model = FMRLRegressor(random_state=0)
    by_column = search(with_column(model), **how).fit(LAST, y)
    routed = search(requesting(model, "fit", "score"), **how).fit(X, y, tasks=TASKS)
    for name in ("mean_test_score", "std_test_score"):
        assert_array_equal(routed.cv_results_[name], by_column.cv_results_[name])


def test_search_without_routing_scores_as_strangers():
    """As documented: scikit-learn gives the labels to fit only."""
    search = GridSearchCV(FMRLRegressor(random_state=0), {"n_passes": [1]}, cv=SHUFFLED)
    found = search.fit(X, y, tasks=TASKS).cv_results_["mean_test_score"]
    expected = [
        FMRLRegressor(random_state=0)
        .fit(X[train], y[train], tasks=TASKS[train])
        .score(X[test], y[test])
        for train, test in SHUFFLED.split(X)
    ]
    assert_allclose(found, np.mean(expected))


@by_name(REGRESSORS)
@pytest.mark.parametrize("cv", [GroupKFold(4), LeaveOneGroupOut()], ids=repr)
def test_folds_of_tasks_hold_strangers(model, cv):
    scores = cross_validate(
        with_column(model), LAST, y, cv=cv, groups=TASKS, return_estimator=True
    )
    folds = list(cv.split(X, y, TASKS))
    found = zip(scores["estimator"], scores["test_score"], folds, strict=True)
    for one, score, (train, test) in found:
        assert set(one.task_labels_) == set(TASKS[train])
        assert not set(one.task_labels_) & set(TASKS[test])
        assert score == one.score(of_a_stranger(test), y[test])


def of_a_stranger(rows):
    """The same rows, of a task that is surely unknown."""
    return np.column_stack([X[rows], np.full(len(rows), 999)])


@by_name(REGRESSORS)
def test_cross_validate_with_routed_tasks(routing, model):
    by_column = cross_val_score(with_column(model), LAST, y, cv=SHUFFLED)
    routed = cross_val_score(
        requesting(model, "fit", "score"), X, y, cv=SHUFFLED, params={"tasks": TASKS}
    )
    assert_array_equal(routed, by_column)


@by_name(REGRESSORS)
def test_cross_val_predict_drops_routed_tasks_when_it_predicts(routing, model):
    """As documented; with a task column they arrive."""
    by_column = cross_val_predict(with_column(model), LAST, y, cv=SHUFFLED)
    routed = cross_val_predict(
        requesting(model, "fit"), X, y, cv=SHUFFLED, params={"tasks": TASKS}
    )
    for train, test in SHUFFLED.split(X):
        one = clone(model).fit(X[train], y[train], tasks=TASKS[train])
        assert_array_equal(by_column[test], one.predict(X[test], tasks=TASKS[test]))
        assert_array_equal(routed[test], one.predict(X[test]))


@pytest.mark.parametrize("incremental", [False, True])
def test_learning_curve(incremental):
    sizes, _, scores = learning_curve(
        FMRLRegressor(task_column=3, random_state=0),
        LAST,
        y,
        train_sizes=[0.5, 1.0],
        cv=SHUFFLED,
        exploit_incremental_learning=incremental,
        error_score="raise",
    )
    train, test = next(SHUFFLED.split(X))
    one = FMRLRegressor(random_state=0)
    for size, found in zip(sizes, scores[:, 0], strict=True):
        rows = train[:size]
        if incremental:
            rows = train[(0 if size == sizes[0] else sizes[0]) : size]
            one.partial_fit(X[rows], y[rows], tasks=TASKS[rows])
        else:
            one.fit(X[rows], y[rows], tasks=TASKS[rows])
        assert found == one.score(X[test], y[test], tasks=TASKS[test])


# ---- tools that hold estimators

TWO = np.column_stack([y, y + np.random.default_rng(0).normal(size=len(y))])
TWO_C = np.column_stack([y_C, 1 - y_C])
SOME = np.where(np.arange(len(y_C)) % 7 == 0, -1, y_C)  # -1: no label
HOLDERS = {
    "bagging": (lambda m: BaggingRegressor(m, 3, random_state=0), y),
    "ada": (lambda m: AdaBoostRegressor(m, n_estimators=3, random_state=0), y),
    "ransac": (lambda m: RANSACRegressor(m, min_samples=60, random_state=0), y),
    "chain": (lambda m: RegressorChain(m), TWO),
    "stacking": (lambda m: StackingRegressor([("m", m)], cv=2), y),
    "voting": (lambda m: VotingRegressor([("m", m), ("n", clone(m))]), y),
    "multi": (lambda m: MultiOutputRegressor(m), TWO),
}
HOLDERS_C = {
    "bagging": (lambda m: BaggingClassifier(m, 3, random_state=0), y_C),
    "ada": (lambda m: AdaBoostClassifier(m, n_estimators=3, random_state=0), y_C),
    "one_vs_one": (lambda m: OneVsOneClassifier(m), THREE),
    "one_vs_rest": (lambda m: OneVsRestClassifier(m), THREE),
    "self_training": (lambda m: SelfTrainingClassifier(m, max_iter=2), SOME),
    "chain": (lambda m: ClassifierChain(m), TWO_C),
    "calibrated": (lambda m: CalibratedClassifierCV(m, cv=2), y_C),
    "voting": (lambda m: VotingClassifier([("m", m)], voting="soft"), y_C),
    "multi": (lambda m: MultiOutputClassifier(m), TWO_C),
}


def inside(tool):
    """The fitted meta-estimators that a tool holds."""
    if hasattr(tool, "calibrated_classifiers_"):
        return [one.estimator for one in tool.calibrated_classifiers_]
    if hasattr(tool, "estimators_"):
        return list(tool.estimators_)
    return [tool.estimator_]


@by_name(REGRESSORS)
@pytest.mark.parametrize("name", HOLDERS)
def test_regressors_get_the_task_column(name, model):
    make, target = HOLDERS[name]
    tool = make(with_column(model)).fit(LAST, target)
    for one in inside(tool):
        assert set(one.task_labels_) == set(range(N_TASKS))
    others = LAST.copy()
    others[:, 3] = 999
    assert tool.predict(LAST).shape == target.shape
    assert not np.allclose(tool.predict(LAST), tool.predict(others))


@by_name(CLASSIFIERS)
@pytest.mark.parametrize("name", HOLDERS_C)
def test_classifiers_get_the_task_column(name, model):
    make, target = HOLDERS_C[name]
    tool = make(with_column(model)).fit(LAST_C, target)
    for one in inside(tool):
        assert set(one.task_labels_) <= set(range(N_TASKS))
        assert len(one.task_labels_) > 1
        assert one.n_features_in_ >= 3
    assert tool.predict(LAST_C).shape == target.shape


@by_name(REGRESSORS)
@pytest.mark.parametrize("name", ["bagging", "chain", "voting", "multi"])
def test_regressors_get_routed_tasks(routing, name, model):
    make, target = HOLDERS[name]
    tool = make(requesting(model, "fit", "predict", "score"))
    tool.fit(X, target, tasks=TASKS)
    by_column = make(with_column(model)).fit(LAST, target)
    for one, other in zip(inside(tool), inside(by_column), strict=True):
        assert_array_equal(one.task_labels_, other.task_labels_)
        assert_array_equal(one.task_coef_, other.task_coef_)


@by_name(CLASSIFIERS)
@pytest.mark.parametrize(
    "name", ["bagging", "one_vs_one", "one_vs_rest", "chain", "calibrated", "multi"]
)
def test_classifiers_get_routed_tasks(routing, name, model):
    make, target = HOLDERS_C[name]
    tool = make(requesting(model, "fit", "predict", "predict_proba", "score"))
    tool.fit(X_C, target, tasks=TASKS_C)
    by_column = make(with_column(model)).fit(LAST_C, target)
    for one, other in zip(inside(tool), inside(by_column), strict=True):
        assert_array_equal(one.task_labels_, other.task_labels_)
        assert_array_equal(one.task_coef_, other.task_coef_)


@by_name(REGRESSORS)
def test_ransac_learns_the_inliers_with_routed_tasks(routing, model):
    make, _ = HOLDERS["ransac"]
    tool = make(requesting(model, "fit", "score")).fit(X, y, tasks=TASKS)
    rows = tool.inlier_mask_
    by_hand = clone(model).fit(X[rows], y[rows], tasks=TASKS[rows])
    assert_array_equal(tool.estimator_.coef_, by_hand.coef_)


@pytest.mark.parametrize("name", ["ada", "bagging", "stacking", "voting"])
def test_what_takes_no_labels_says_so(name):
    make, target = HOLDERS[name]
    with pytest.raises((TypeError, ValueError), match="tasks"):
        make(FMRLRegressor()).fit(X, target, tasks=TASKS)


def test_self_training_cannot_pass_labels_of_all_rows(routing):
    methods = "fit", "predict", "predict_proba", "score"
    tool = SelfTrainingClassifier(requesting(CLASSIFIERS[0], *methods))
    with pytest.raises(ValueError, match="tasks must hold one label per row"):
        tool.fit(X_C, SOME, tasks=TASKS_C)


# ---- tools that pass some of the columns, or more of them

COUNTS = np.round(3 * X)  # features that could be labels


@by_name(REGRESSORS)
@pytest.mark.parametrize(
    ("tool", "column"),
    [
        (lambda m: RFE(m, n_features_to_select=2), 0),
        (lambda m: RFECV(m, cv=2), 0),
        (lambda m: SequentialFeatureSelector(m, n_features_to_select=2, cv=2), 0),
        (lambda m: SequentialFeatureSelector(m, n_features_to_select=2, cv=2), -1),
        (lambda m: BaggingRegressor(m, 3, max_features=0.7, random_state=0), 0),
        (lambda m: BaggingRegressor(m, 3, max_features=1, random_state=0), 0),
        (lambda m: BaggingRegressor(m, 3, bootstrap_features=True), 0),
    ],
)
def test_position_of_a_column_that_moves_is_refused(tool, column, model):
    table = np.column_stack([TASKS, COUNTS] if column == 0 else [COUNTS, TASKS])
    with pytest.raises(ValueError, match="to some of the columns of X, so task_column"):
        tool(with_column(model, column)).fit(table, y)


def test_bagging_with_as_many_features_as_there_are():
    tool = BaggingRegressor(with_column(REGRESSORS[0]), 2, max_features=4)
    assert tool.set_params(random_state=0).fit(LAST, y).predict(LAST).shape == y.shape


@pytest.mark.parametrize("tool", [RFE, RFECV, BaggingRegressor])
def test_name_of_a_column_is_refused_where_only_arrays_arrive(tool):
    table = pd.DataFrame(X, columns=["a", "b", "c"]).assign(who=TASKS)
    with pytest.raises(ValueError, match="task_column='who' is a name, but X has no"):
        tool(FMRLRegressor(task_column="who")).fit(table, y)


@by_name(CLASSIFIERS)
def test_last_column_of_a_chain_is_refused(model):
    with pytest.raises(ValueError, match="ClassifierChain appends columns to X"):
        ClassifierChain(with_column(model, -1)).fit(LAST_C, TWO_C)


@by_name(REGRESSORS)
def test_elimination_keeps_a_task_column_that_is_last(model):
    noise = np.random.default_rng(0).normal(size=len(X))
    table = np.column_stack([noise, X, TASKS])
    tool = RFE(with_column(model, -1), n_features_to_select=4).fit(table, y)
    assert tool.support_[-1] and tool.support_.sum() == 4
    by_hand = clone(model).fit(table[:, :-1], y, tasks=TASKS)
    assert tool.support_.argmin() == np.abs(by_hand.coef_).argmin()
    chosen = table[:, tool.support_]
    expected = clone(model).fit(chosen[:, :-1], y, tasks=TASKS)
    assert_array_equal(
        tool.predict(table), expected.predict(chosen[:, :-1], tasks=TASKS)
    )


@by_name(REGRESSORS)
def test_selection_with_labels_by_themselves(routing, model):
    model = requesting(model, "fit", "predict", "score")
    first = RFE(model, n_features_to_select=2).fit(X, y, tasks=TASKS)
    by_size = SelectFromModel(model, max_features=2, threshold=-np.inf)
    by_size.fit(X, y, tasks=TASKS)
    coef = np.abs(clone(model).fit(X, y, tasks=TASKS).coef_)
    assert set(np.flatnonzero(by_size.get_support())) == set(coef.argsort()[1:])
    assert_array_equal(first.support_, by_size.get_support())
    forward = SequentialFeatureSelector(model, n_features_to_select=1, cv=SHUFFLED)
    forward.fit(X, y, tasks=TASKS)
    scores = [
        cross_val_score(model, X[:, [j]], y, cv=SHUFFLED, params={"tasks": TASKS})
        for j in range(3)
    ]
    assert forward.get_support().argmax() == np.mean(scores, axis=1).argmax()


@pytest.mark.parametrize("column", [0, -1])
def test_select_from_model_refuses_a_task_column(column):
    table = FIRST if column == 0 else LAST
    with pytest.raises(ValueError, match="SelectFromModel cannot select features"):
        SelectFromModel(FMRLRegressor(task_column=column)).fit(table, y)


@by_name(REGRESSORS)
def test_fitted_position_meets_a_table_of_another_width(model):
    model = with_column(model, 0).fit(FIRST, y)
    for table in (FIRST[:, 1:], np.column_stack([FIRST, y])):
        with pytest.raises(ValueError, match="features, but"):
            model.predict(table)
        with pytest.raises(ValueError, match="features, but"):
            model.partial_fit(table, y)


# ---- inspection


@by_name(REGRESSORS)
def test_importance_and_dependence(model):
    model = with_column(model).fit(LAST, y)
    importance = permutation_importance(model, LAST, y, n_repeats=3, random_state=0)
    assert (importance.importances_mean > 0).all()  # that of the labels too
    curve = partial_dependence(model, LAST, [0], grid_resolution=5)
    features = LAST.copy()
    for value, found in zip(curve["grid_values"][0], curve["average"][0], strict=True):
        features[:, 0] = value
        assert_allclose(found, model.predict(features).mean())


def test_no_tool_is_warned_about():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for make, target in HOLDERS.values():
            make(with_column(REGRESSORS[0])).fit(LAST, target)
