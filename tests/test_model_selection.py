"""Splitters of tasks, scores by number of shots, and searches over both families."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    make_scorer,
    mean_squared_error,
    r2_score,
    roc_auc_score,
)
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    RandomizedSearchCV,
    TimeSeriesSplit,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from skmeta import (
    FMRLClassifier,
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
)
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.meta_step_size import LinearDecay
from skmeta.model_selection import FewShotSplit, TaskTimeSplit, few_shot_scores
from skmeta.pipeline import make_task_pipeline
from skmeta.step_size import ARUBA, Doubling

MODELS = [
    FMRLRegressor(),
    FMRLClassifier(),
    MixedEffectsRegressor(),
    MixedEffectsClassifier(),
]
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)


def tasks_for(model, n_tasks=8, n_samples=9):
    """Tasks of a kind that the model takes; their rows are not adjacent."""
    is_classifier = sklearn.base.is_classifier(model)
    make = make_task_classification if is_classifier else make_task_regression
    X, y, tasks = make(n_tasks, n_samples, n_features=2, random_state=0, shuffle=True)
    return X, y, np.array([f"task {t:02}" for t in tasks])


def frame_of(X, tasks):
    return pd.DataFrame(X, columns=["a", "b"]).assign(who=tasks)


def rows_of(tasks):
    return {label: np.flatnonzero(tasks == label) for label in dict.fromkeys(tasks)}


labels_of_rows = st.lists(st.integers(0, 6), min_size=12, max_size=60).map(np.array)

# ---- FewShotSplit


@given(labels_of_rows, st.integers(0, 4), st.integers(0, 9))
def test_few_shot_split_knows_the_first_rows_of_held_out_tasks(tasks, n_shots, seed):
    rows = rows_of(tasks)
    long_tasks = [label for label, task in rows.items() if len(task) > n_shots]
    splitter = FewShotSplit(n_shots, n_splits=3, test_size=0.5, random_state=seed)
    if len(long_tasks) < 2:
        with pytest.raises(ValueError, match=f"{len(long_tasks)} of {len(rows)} tasks"):
            next(splitter.split(tasks, groups=tasks))
        return
    assert splitter.get_n_splits() == 3
    for train, test in splitter.split(tasks, groups=tasks):
        assert_array_equal(np.sort(np.append(train, test)), np.arange(len(tasks)))
        held_out = [label for label in rows if label in tasks[test]]
        assert len(held_out) == np.ceil(0.5 * len(long_tasks))
        expected = np.concatenate([rows[label][n_shots:] for label in held_out])
        assert_array_equal(test, np.sort(expected))
        # the known rows of held-out tasks come last, the others keep their order
        shots = np.concatenate([rows[label][:n_shots] for label in held_out])
        assert_array_equal(train[len(train) - len(shots) :], shots)
        others = train[: len(train) - len(shots)]
        assert_array_equal(others, np.flatnonzero(~np.isin(tasks, held_out)))


def test_few_shot_split_without_shots_is_group_shuffle_split():
    tasks = np.repeat(np.arange(10), 3)
    options = {"n_splits": 4, "test_size": 0.3, "random_state": 3}
    ours = FewShotSplit(0, **options).split(tasks, groups=tasks)
    theirs = GroupShuffleSplit(**options).split(tasks, groups=tasks)
    for one, other in zip(ours, theirs, strict=True):
        assert_array_equal(one[0], other[0])
        assert_array_equal(one[1], other[1])


def test_few_shot_split_is_determined_by_random_state():
    tasks = np.repeat(np.arange(20), 3)

    def tests_of(seed):
        folds = FewShotSplit(1, random_state=seed).split(tasks, groups=tasks)
        return [tuple(test) for _, test in folds]

    assert tests_of(0) == tests_of(0)
    assert tests_of(0) != tests_of(1)
    assert len(set(tests_of(0))) > 1


def test_test_size_may_be_a_number_of_tasks():
    tasks = np.repeat(np.arange(20), 3)
    for _, test in FewShotSplit(1, test_size=7).split(tasks, groups=tasks):
        assert len(np.unique(tasks[test])) == 7


# ---- TaskTimeSplit


@given(st.integers(6, 40), st.integers(2, 5), st.sampled_from([None, 1, 2]))
def test_one_task_in_time_is_split_as_by_scikit_learn(n_samples, n_splits, test_size):
    X = np.zeros((n_samples, 1))
    theirs = TimeSeriesSplit(n_splits, test_size=test_size)
    if test_size and n_splits * test_size >= n_samples:
        return
    ours = TaskTimeSplit(n_splits, test_size=test_size)
    for one, other in zip(ours.split(X, groups=X), theirs.split(X), strict=True):
        assert_array_equal(one[0], other[0])
        assert_array_equal(one[1], other[1])


@given(labels_of_rows, st.integers(1, 4), st.sampled_from([None, 1, 3]))
def test_tasks_in_time(tasks, n_splits, test_size):
    rows = rows_of(tasks)
    splitter = TaskTimeSplit(n_splits, test_size=test_size)
    try:
        folds = list(splitter.split(tasks, groups=tasks))
    except ValueError as error:
        longest = max(map(len, rows.values()))
        assert longest <= n_splits * (test_size or 1)
        assert f"the longest task has {longest} rows" in str(error)
        return
    seen: dict = {}
    for train, test in folds:
        assert len(test) and np.all(np.diff(train) > 0) and np.all(np.diff(test) > 0)
        assert set(tasks[test]) <= set(tasks[train])  # known tasks only
        for label, task in rows.items():
            n_train, n_test = np.isin(task, train).sum(), np.isin(task, test).sum()
            # earlier rows train, the next rows test
            assert_array_equal(train[tasks[train] == label], task[:n_train])
            assert_array_equal(test[tasks[test] == label], task[n_train:][:n_test])
            size = test_size or max(1, len(task) // (n_splits + 1))
            assert n_test in (0, size)
            if n_test:  # tests follow each other without a gap
                assert seen.get(label, n_train) == n_train
                seen[label] = n_train + n_test
            else:
                assert label not in seen
    for label, task in rows.items():
        assert seen.get(label, len(task)) == len(task)  # the last rows are tested
        assert (label in seen) == (len(task) > (test_size or 1))


# ---- where labels come from


@pytest.mark.parametrize(
    "splitter", [FewShotSplit(2, random_state=0), TaskTimeSplit(2)], ids=repr
)
def test_labels_are_groups_or_a_column(splitter):
    X, y, tasks = tasks_for(FMRLRegressor())
    frame = frame_of(X, tasks)
    expected = list(splitter.split(X, y, tasks))
    numbers = np.unique(tasks, return_inverse=True)[1]
    params = vars(splitter)
    by_name = type(splitter)(**{**params, "task_column": "who"})
    by_index = type(splitter)(**{**params, "task_column": 2})
    found = [
        splitter.split(X, groups=list(tasks)),
        splitter.split(X, groups=frame["who"]),
        by_name.split(frame),
        by_index.split(frame),
        by_index.split(np.column_stack([X, numbers])),
    ]
    for folds in found:
        for one, other in zip(folds, expected, strict=True):
            assert_array_equal(one[0], other[0])
            assert_array_equal(one[1], other[1])


@pytest.mark.parametrize(
    "splitter, groups, message",
    [
        (FewShotSplit(), None, "FewShotSplit got no task labels: pass groups="),
        (TaskTimeSplit(), None, "TaskTimeSplit got no task labels"),
        (FewShotSplit(task_column="who"), "who", "got two kinds of task labels"),
        (FewShotSplit(task_column="nobody"), None, "X has no column 'nobody'"),
        (
            FewShotSplit(-1),
            "who",
            "'n_shots' parameter of FewShotSplit must be .* >= 0",
        ),
        (FewShotSplit(1.5), "who", "'n_shots' .* Got 1.5 instead"),
        (FewShotSplit(True), "who", "'n_shots' .* Got True instead"),
        (FewShotSplit(n_splits=0), "who", "'n_splits' .* must be an integer >= 1"),
        (FewShotSplit(9), "who", "more than n_shots=9 rows, and 0 of 8 tasks"),
        (FewShotSplit(test_size=1.5), "who", "test_size"),
        (TaskTimeSplit(test_size=0), "who", "'test_size' parameter of TaskTimeSplit"),
        (TaskTimeSplit(9, test_size=1), "who", "Split 0 .* longest task has 9 rows"),
        (TaskTimeSplit(), "short", "tasks must hold one label per row"),
    ],
)
def test_splitters_name_what_is_wrong(splitter, groups, message):
    X, y, tasks = tasks_for(FMRLRegressor())
    labels = {None: None, "who": tasks, "short": tasks[:5]}[groups]
    with pytest.raises(ValueError, match=message):
        next(splitter.split(frame_of(X, tasks), y, labels))


# ---- all splitters, both families, in scikit-learn

SPLITTERS = {
    "few shots": FewShotSplit(3, n_splits=2, random_state=0),
    "time": TaskTimeSplit(2),
    "leave one out": LeaveOneGroupOut(),
    "group k-fold": GroupKFold(3),
}
each_splitter = pytest.mark.parametrize("splitter", SPLITTERS.values(), ids=SPLITTERS)


def scores_by_hand(model, splitter, X, y, tasks):
    scores = []
    for train, test in splitter.split(X, y, tasks):
        learned = clone(model).fit(X[train], y[train], tasks=tasks[train])
        scores.append(learned.score(X[test], y[test], tasks=tasks[test]))
    return scores


@each_model
@each_splitter
def test_splitters_with_a_task_column(model, splitter):
    X, y, tasks = tasks_for(model)
    expected = scores_by_hand(model, splitter, X, y, tasks)
    column = clone(model).set_params(task_column="who")
    found = cross_validate(
        column, frame_of(X, tasks), y, groups=tasks, cv=splitter, error_score="raise"
    )
    assert_array_equal(found["test_score"], expected)


@each_model
@each_splitter
def test_splitters_with_routed_labels(model, splitter):
    X, y, tasks = tasks_for(model)
    expected = scores_by_hand(model, splitter, X, y, tasks)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = clone(model).set_fit_request(tasks=True).set_score_request(tasks=True)
        cv = sklearn.clone(splitter, safe=False).set_split_request(groups="tasks")
        found = cross_validate(
            routed, X, y, params={"tasks": tasks}, cv=cv, error_score="raise"
        )
    assert_array_equal(found["test_score"], expected)


def test_a_splitter_that_reads_the_column_needs_no_groups():
    model = MixedEffectsRegressor(task_column="who")
    X, y, tasks = tasks_for(model)
    options = {"n_splits": 2, "random_state": 0}
    found = cross_val_score(
        model, frame_of(X, tasks), y, cv=FewShotSplit(3, task_column="who", **options)
    )
    splitter = FewShotSplit(3, **options)
    expected = scores_by_hand(MixedEffectsRegressor(), splitter, X, y, tasks)
    assert_array_equal(found, expected)


def test_strangers_score_like_the_shared_parameters():
    """What the docstring of FewShotSplit says about GroupKFold."""
    X, y, tasks = tasks_for(MixedEffectsRegressor(), n_tasks=30)
    model = MixedEffectsRegressor(task_column="who")
    frame = frame_of(X, tasks)
    folds = list(GroupKFold(3).split(X, y, tasks))
    by_label = cross_val_score(model, frame, y, cv=folds)
    nobody = [
        clone(model)
        .fit(frame.iloc[train], y[train])
        .score(frame.iloc[test].assign(who="nobody"), y[test])
        for train, test in folds
    ]
    assert_array_equal(by_label, nobody)
    few_shots = FewShotSplit(4, random_state=0, task_column="who")
    assert cross_val_score(model, frame, y, cv=few_shots).mean() > by_label.mean()


# ---- searches

FMRL_GRID = [
    {"meta_step_size": ["ftl", 0.0, 0.3, 1.0], "step_size": [None, "isotropic", 0.3]},
    {"step_size": [Doubling()], "step_size__gamma": [1.1, 2.0]},
    {"step_size": [ARUBA()], "step_size__eps": [0.1, 0.5]},
    {
        "meta_step_size": [LinearDecay()],
        "meta_step_size__first": [0.5, 1.0],
        "meta_step_size__n_tasks": [5],
    },
]
MIXED_GRID = [
    {"random_effects": ["all", "intercept"], "covariance": ["diagonal", "full"]}
]


@each_model
@pytest.mark.parametrize("in_pipeline", [False, True], ids=["alone", "in a pipeline"])
def test_a_search_tries_what_the_grid_says(model, in_pipeline):
    is_mixed = isinstance(model, MixedEffectsRegressor | MixedEffectsClassifier)
    grid = MIXED_GRID if is_mixed else FMRL_GRID
    X, y, tasks = tasks_for(model)
    frame, estimator = frame_of(X, tasks), clone(model).set_params(task_column="who")
    if in_pipeline:
        estimator = make_task_pipeline(
            StandardScaler(), clone(model), task_column="who"
        )
        prefix = type(model).__name__.lower()
        grid = [{f"{prefix}__{k}": v for k, v in part.items()} for part in grid]
    splitter = FewShotSplit(3, n_splits=2, random_state=0, task_column="who")
    search = GridSearchCV(estimator, grid, cv=splitter, error_score="raise")
    search.fit(frame, y)
    results = search.cv_results_
    folds = list(splitter.split(frame))
    for params, mean in zip(results["params"], results["mean_test_score"], strict=True):
        by_hand = [
            clone(estimator)
            .set_params(**{key: clone(v, safe=False) for key, v in params.items()})
            .fit(frame.iloc[train], y[train])
            .score(frame.iloc[test], y[test])
            for train, test in folds
        ]
        assert mean == np.mean(by_hand)
    if not sklearn.base.is_classifier(model) and not is_mixed:
        # every parameter acts: no two candidates of a rule agree
        scores = results["mean_test_score"]
        assert len(np.unique(scores)) == len(scores)
    assert search.predict(frame).shape == y.shape


def test_a_search_with_routed_labels_and_a_named_scorer():
    X, y, tasks = tasks_for(FMRLRegressor())
    with sklearn.config_context(enable_metadata_routing=True):
        model = (
            FMRLRegressor().set_fit_request(tasks=True).set_score_request(tasks=True)
        )
        cv = FewShotSplit(3, n_splits=2, random_state=0)
        search = RandomizedSearchCV(
            model,
            {"meta_step_size": [0.1, 1.0], "step_size": ["isotropic", "doubling"]},
            n_iter=3,
            cv=cv.set_split_request(groups="tasks"),
            random_state=0,
            error_score="raise",
        ).fit(X, y, tasks=tasks)
        assert search.score(X, y, tasks=tasks) > search.score(X, y)
    column = FMRLRegressor(task_column="who")
    search = GridSearchCV(
        column,
        {"meta_step_size": [0.1, 1.0]},
        cv=FewShotSplit(3, n_splits=2, random_state=0, task_column="who"),
        scoring={"mse": "neg_mean_squared_error", "r2": "r2"},
        refit="mse",
        error_score="raise",
    ).fit(frame_of(X, tasks), y)
    assert np.isfinite(search.cv_results_["mean_test_r2"]).all()


# ---- few_shot_scores

ROWS = list(KFold(2, shuffle=True, random_state=0).split(np.zeros(8 * 9)))


def by_hand(model, X, y, tasks, shots, folds, metric, method="predict"):
    """Scores (n_splits, n_shots) by an independent loop over tasks, and row numbers."""
    table = []
    for train, test in folds:
        learned = clone(model).fit(X[train], y[train], tasks=tasks[train])
        row = []
        for k in shots:
            truth, predicted = [], []
            for label in np.unique(tasks[test]):
                rows = np.flatnonzero(tasks == label)
                query = rows[max(shots) :]
                if not len(query):
                    continue
                one = learned.adapt(X[rows[:k]], y[rows[:k]]) if k else learned
                truth.append(y[query])
                predicted.append(getattr(one, method)(X[query]))
            row.append(metric(np.concatenate(truth), np.concatenate(predicted)))
        table.append(row)
    return np.array(table)


@each_model
def test_few_shot_scores_equal_a_loop_over_tasks(model):
    X, y, tasks = tasks_for(model, n_tasks=9)
    shots = (0, 2, 5)
    scores = few_shot_scores(model, X, y, tasks, shots=shots, cv=3)
    folds = list(GroupKFold(3).split(X, y, tasks))
    is_classifier = sklearn.base.is_classifier(model)
    metric = accuracy_score if is_classifier else r2_score
    expected = by_hand(model, X, y, tasks, shots, folds, metric)
    assert_allclose(scores.test_score.reshape(3, 3), expected, rtol=1e-12)
    assert_array_equal(scores.split, np.repeat([0, 1, 2], 3))
    assert_array_equal(scores.n_shots, np.tile(shots, 3))
    assert_array_equal(scores.n_tasks, 3)
    assert_array_equal(scores.n_samples, 3 * (9 - 5))
    assert_array_equal(scores.n_left_out, 0)
    assert pd.DataFrame(scores).columns.tolist() == [
        "split",
        "n_shots",
        "test_score",
        "n_tasks",
        "n_samples",
        "n_left_out",
    ]


@each_model
def test_without_shots_the_scores_are_those_of_cross_validate(model):
    X, y, tasks = tasks_for(model)
    for cv in (GroupKFold(4), LeaveOneGroupOut()):
        scores = few_shot_scores(model, X, y, tasks, shots=[0], cv=cv)
        column = clone(model).set_params(task_column="who")
        expected = cross_val_score(column, frame_of(X, tasks), y, groups=tasks, cv=cv)
        assert_allclose(scores.test_score, expected, rtol=1e-12)


@pytest.mark.parametrize("family", [FMRLClassifier, MixedEffectsClassifier])
def test_any_scorer_of_probabilities(family):
    X, y, tasks = tasks_for(family(), n_tasks=8)
    shots, folds = (0, 3), list(GroupKFold(2).split(X, y, tasks))
    scorers = {"auc": "roc_auc", "loss": "neg_log_loss", "own": make_scorer(r2_score)}
    scores = few_shot_scores(
        family(), X, y, tasks, shots=shots, cv=folds, scoring=scorers
    )
    data = family(), X, y, tasks, shots, folds
    auc = by_hand(*data, roc_auc_score, "decision_function")
    loss = by_hand(*data, log_loss, "predict_proba")
    assert_allclose(scores.test_auc.reshape(2, 2), auc, rtol=1e-12)
    assert_allclose(scores.test_loss.reshape(2, 2), -loss, rtol=1e-12)
    assert_allclose(scores.test_own.reshape(2, 2), by_hand(*data, r2_score), rtol=1e-12)
    assert "test_score" not in scores


@each_model
@pytest.mark.parametrize("kind", ["Pipeline", "columns", "TaskPipeline", "own column"])
def test_pipelines_equal_their_steps_by_hand(model, kind):
    X, y, tasks = tasks_for(model)
    frame, shots, cv = frame_of(X, tasks), (0, 4), GroupKFold(2)
    squares = PolynomialFeatures(include_bias=False)
    in_column = clone(model).set_params(task_column="who")
    passing = make_column_transformer(
        ("passthrough", ["who"]), remainder=squares, verbose_feature_names_out=False
    ).set_output(transform="pandas")
    estimator, data = {
        "Pipeline": (make_pipeline(squares, model), (X, y, tasks)),
        "columns": (make_pipeline(passing, in_column), (frame, y, tasks)),
        "TaskPipeline": (make_task_pipeline(squares, model), (X, y, tasks)),
        "own column": (
            make_task_pipeline(squares, model, task_column="who"),
            (frame, y),
        ),
    }[kind]
    scores = few_shot_scores(estimator, *data, shots=shots, cv=cv)
    expected = few_shot_scores(
        model, squares.fit_transform(X), y, tasks, shots=shots, cv=cv
    )
    assert_allclose(scores.test_score, expected.test_score, rtol=1e-10)
    assert not hasattr(model, "coef_")  # clones learned


def test_pipelines_learn_their_transformers_from_training_tasks_only():
    X, y, tasks = tasks_for(FMRLRegressor())
    X[tasks == tasks[0]] += 100.0
    model = make_pipeline(StandardScaler(), MixedEffectsRegressor())
    scores = few_shot_scores(model, X, y, tasks, shots=[2], cv=LeaveOneGroupOut())
    for split, (train, test) in enumerate(LeaveOneGroupOut().split(X, y, tasks)):
        pipe = clone(model).fit(
            X[train], y[train], mixedeffectsregressor__tasks=tasks[train]
        )
        Z = pipe[0].transform(X[test])
        adapted = pipe[-1].adapt(Z[:2], y[test][:2])
        expected = adapted.score(Z[2:], y[test][2:])
        assert_allclose(scores.test_score[split], expected)


def test_the_task_column_of_an_estimator_labels_the_tasks():
    X, y, tasks = tasks_for(FMRLRegressor())
    expected = few_shot_scores(FMRLRegressor(), X, y, tasks)
    strict = FMRLRegressor(task_column="who", unknown_task="raise")
    for labels in (None, tasks):
        scores = few_shot_scores(strict, frame_of(X, tasks), y, labels)
        assert_array_equal(scores.test_score, expected.test_score)
    numbers = np.unique(tasks, return_inverse=True)[1]
    scores = few_shot_scores(
        FMRLRegressor(task_column=0), np.column_stack([numbers, X]), y
    )
    assert_array_equal(scores.test_score, expected.test_score)


def test_tasks_too_short_to_be_scored_are_left_out_and_counted():
    lengths = [3, 9, 2, 8, 1, 7]
    X, y, _ = make_task_regression(6, 5, 2, random_state=0)
    tasks = np.repeat([f"t{i}" for i in range(6)], lengths)
    model, shots = FMRLRegressor(), (0, 3)
    folds = [(np.flatnonzero(tasks < "t2"), np.flatnonzero(tasks >= "t2"))]
    scores = few_shot_scores(model, X, y, tasks, shots=shots, cv=folds)
    assert scores.n_tasks[0] == 2 and scores.n_left_out[0] == 2
    assert scores.n_samples[0] == 5 + 4
    expected = by_hand(model, X, y, tasks, shots, folds, r2_score)
    assert_allclose(scores.test_score, expected[0])


def test_labels_of_several_kinds():
    X, y, tasks = tasks_for(FMRLRegressor(), n_tasks=6)
    names = {
        label: value
        for label, value in zip(
            np.unique(tasks), [1, "a", (2, "b"), 2.5, b"c", None], strict=True
        )
    }
    names[np.unique(tasks)[-1]] = frozenset({3})
    labels = np.empty(len(tasks), dtype=object)
    for row, label in enumerate(tasks):
        labels[row] = names[label]
    del names
    scores = few_shot_scores(
        MixedEffectsRegressor(), X, y, labels, cv=LeaveOneGroupOut()
    )
    expected = few_shot_scores(
        MixedEffectsRegressor(), X, y, tasks, cv=LeaveOneGroupOut()
    )
    # only the order of the splits may differ
    assert_allclose(np.sort(scores.test_score), np.sort(expected.test_score), rtol=1e-8)


def test_adapting_helps():
    X, y, tasks = make_task_regression(100, 10, 3, task_std=0.5, random_state=0)
    for model in (FMRLRegressor(), MixedEffectsRegressor()):
        scores = few_shot_scores(
            model, X, y, tasks, shots=(0, 2, 6), scoring="neg_mean_squared_error"
        )
        mean = scores.test_score.reshape(5, 3).mean(axis=0)
        assert mean[0] < mean[1] < mean[2]


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"shots": [0, -1]}, ValueError, "'shots' .* must be an integer >= 0. Got -1"),
        ({"shots": [0.5]}, ValueError, "'shots' .* Got 0.5"),
        ({"shots": []}, ValueError, "'shots' parameter of few_shot_scores is empty"),
        ({"shots": [9]}, ValueError, "row after the first 9; the longest has 9"),
        (
            {"cv": ROWS},
            ValueError,
            "Task 'task 0.' is in the training .* test set of split 0",
        ),
        ({"cv": 20}, ValueError, "n_splits=20 greater than the number of groups: 8"),
        ({"tasks": None}, ValueError, "got no task labels: pass tasks.$"),
        ({"tasks": [1, 2]}, ValueError, "one label per row"),
        ({"estimator": Ridge()}, TypeError, "a method adapt.*Ridge has none"),
        ({"estimator": make_pipeline(StandardScaler(), Ridge())}, TypeError, "Ridge"),
        ({"scoring": mean_squared_error}, ValueError, "make_scorer"),
        (
            {
                "estimator": make_pipeline(
                    StandardScaler(), FMRLRegressor(task_column="who")
                ),
                "tasks": None,
            },
            ValueError,
            "pass tasks. Only the last step of the Pipeline knows 'who'",
        ),
    ],
)
def test_few_shot_scores_name_what_is_wrong(change, error, message):
    X, y, tasks = tasks_for(FMRLRegressor())
    options = {"estimator": FMRLRegressor(), "tasks": tasks, **change}
    with pytest.raises(error, match=message):
        few_shot_scores(X=X, y=y, **options)
