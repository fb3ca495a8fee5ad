"""Rows that are left out, tasks never seen, classes named in fit, and the history."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from problems import assert_equal_models, in_order, make, model_for, numbers, scores

from skmeta import FMRLClassifier, FMRLRegressor

on_both_kinds = pytest.mark.parametrize("problem", ["regression", "two-classes"])
on_both_loops = pytest.mark.parametrize("standardize", [True, False])
on_both_methods = pytest.mark.parametrize("method", ["fit", "partial_fit"])


def learn(model, method, X, y, **options):
    if method == "partial_fit" and isinstance(model, FMRLClassifier):
        options["classes"] = [0, 1]
    return getattr(model, method)(X, y, **options)


# ---- on_bad_row


@pytest.mark.parametrize("convert", [np.array, sp.csr_array, pd.DataFrame])
@on_both_methods
@on_both_loops
@on_both_kinds
def test_dropped_rows_have_not_been_there(problem, standardize, method, convert):
    X, y, tasks = make(problem, n_samples=6)
    y = y.astype(float)
    good = np.ones(len(y), dtype=bool)
    good[[2, 17, 18, 40]] = False
    X[2, 1], X[17, 0], X[18, 3], y[40] = np.nan, np.inf, -np.inf, np.nan
    good[tasks == tasks[5]] = False  # all rows of a task
    X[tasks == tasks[5]] = np.nan
    columns = {"columns": list("abcd")} if convert is pd.DataFrame else {}
    model = model_for(problem, standardize=standardize, on_bad_row="drop")
    learn(model, method, convert(X, **columns), y, tasks=tasks)
    expected = model_for(problem, standardize=standardize)
    clean = convert(X[good], **columns)
    learn(expected, method, clean, y[good], tasks=tasks[good])
    assert_equal_models(model, expected)
    assert model.n_tasks_skipped_ == 0
    assert tasks[5] not in model.task_labels_


@on_both_kinds
def test_dropped_rows_keep_the_weights_of_the_others(problem):
    X, y, tasks = make(problem, n_samples=6)
    weight = np.random.default_rng(0).choice([0.0, 0.5, 2.0], len(y))
    good = weight > 0
    good[[3, 11]] = False
    X[[3, 11], 0] = np.nan
    weight[[3, 11]] = 1.0
    model = model_for(problem, on_bad_row="drop")
    learn(model, "fit", X, y, tasks=tasks, sample_weight=weight)
    expected = model_for(problem)
    rows = {"tasks": tasks[good], "sample_weight": weight[good]}
    learn(expected, "fit", X[good], y[good], **rows)
    assert_equal_models(model, expected)


@on_both_methods
@on_both_kinds
def test_no_row_left_is_an_error(problem, method):
    X, y, tasks = make(problem)
    model = model_for(problem, on_bad_row="drop")
    before = vars(model).copy()
    with pytest.raises(ValueError, match="No row is left: every row has NaN"):
        learn(model, method, np.full_like(X, np.nan), y, tasks=tasks)
    assert vars(model) == before


def test_rows_are_not_dropped_unless_that_is_wanted():
    X, y, tasks = make("regression")
    X[4, 1] = np.nan
    with pytest.raises(ValueError, match="X contains NaN or infinity in row"):
        FMRLRegressor().fit(X, y, tasks=tasks)


def test_a_bad_row_of_a_plain_stream_is_dropped():
    X, y, _ = make("regression")
    model = FMRLRegressor(on_bad_row="drop").partial_fit(X[:6], y[:6])
    expected = FMRLRegressor().partial_fit(X[:6], y[:6])
    bad = X[6:12].copy()
    bad[2] = np.nan
    model.partial_fit(bad, y[6:12])
    good = np.array([6, 7, 9, 10, 11])
    expected.partial_fit(X[good], y[good])
    assert_equal_models(model, expected)


# ---- tasks never seen


@pytest.mark.parametrize("method", ["predict", "score", "decision_function"])
def test_unknown_tasks_are_warned_of_at_the_line_of_the_call(method):
    X, y, tasks = make("two-classes")
    model = FMRLClassifier(unknown_task="warn").fit(X, y, tasks=tasks)
    arguments = (X, y) if method == "score" else (X,)
    labels = np.where(tasks == 3, 99, tasks)
    message = r"Task 99 is unknown \(1 of 12 tasks are\)\. Its rows are predicted with"
    with pytest.warns(UserWarning, match=message) as records:
        found = getattr(model, method)(*arguments, tasks=labels)
    assert [record.filename for record in records] == [__file__]
    model.set_params(unknown_task="shared")
    assert_array_equal(found, getattr(model, method)(*arguments, tasks=labels))


def test_known_tasks_are_not_warned_of():
    X, y, tasks = make("regression")
    model = FMRLRegressor(unknown_task="warn").fit(X, y, tasks=tasks)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(X, tasks=tasks)
        model.predict(X)


@on_both_kinds
def test_fit_without_labels_warns_at_the_line_of_the_call(problem):
    X, y, _ = make(problem)
    model = model_for(problem)
    with pytest.warns(UserWarning, match="got no task labels, so all rows") as records:
        model.fit(X, y)
    assert [record.filename for record in records] == [__file__]
    assert model.n_tasks_seen_ == 1
    expected = learn(model_for(problem), "partial_fit", X, y)
    assert_equal_models(model, expected)


# ---- classes in fit


@pytest.mark.parametrize("classes", [[0, 1, 2], [2, 0, 1], np.array([1, 2, 0])])
def test_classes_named_in_fit_may_be_missing_from_its_rows(classes):
    X, y, tasks = make("two-classes")
    model = FMRLClassifier().fit(X, y, tasks=tasks, classes=classes)
    assert_array_equal(model.classes_, [0, 1, 2])
    assert model.coef_.shape == (3, 4)
    expected = FMRLClassifier().partial_fit(X, y, tasks=tasks, classes=classes)
    assert_equal_models(model, expected)
    assert model.predict_proba(X).shape == (len(X), 3)
    model.partial_fit(X, np.full(len(X), 2), tasks=99)
    assert (model.predict(X, tasks=99) == 2).mean() > 0.5


def test_classes_named_in_fit_are_those_of_its_rows_by_default():
    X, y, tasks = make("three-classes")
    model = FMRLClassifier().fit(X, y, tasks=tasks)
    named = FMRLClassifier().fit(X, y, tasks=tasks, classes=[0, 1, 2])
    assert_equal_models(model, named)


@pytest.mark.parametrize(
    ("classes", "message"),
    [([0], "at least two classes"), ([0, 5], "y is 1 in row .* not one of the class")],
)
def test_classes_named_in_fit_must_hold_those_of_its_rows(classes, message):
    X, y, tasks = make("two-classes")
    model = FMRLClassifier()
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, tasks=tasks, classes=classes)
    assert not hasattr(model, "classes_")


# ---- the history


def test_history_names_the_tasks():
    X, y, tasks = make("regression")
    names = np.array([f"store {task}" for task in tasks])
    model = FMRLRegressor(n_passes=2).fit(X, y, tasks=names)
    assert model.history_.dtype.names[0] == "label"
    assert model.history_["label"].tolist() == 2 * in_order(names)
    model.partial_fit(X, y, tasks="store 3")
    model.partial_fit(X, y)
    assert model.history_["label"].tolist()[24:] == ["store 3", None]
    frame = pd.DataFrame(model.history_)
    assert frame["label"].tolist()[:2] == in_order(names)[:2]


def test_history_leaves_out_bad_tasks():
    X, y, tasks = make("regression")
    bad = in_order(tasks)[4]
    X[tasks == bad] = np.nan
    model = FMRLRegressor(on_bad_task="skip").fit(X, y, tasks=tasks)
    expected = [task for task in in_order(tasks) if task != bad]
    assert model.history_["label"].tolist() == expected
    counts = [np.sum(tasks == task) for task in expected]
    assert model.history_["n_samples"].tolist() == counts


def test_labels_that_are_tuples_stand_in_the_history():
    X, y, tasks = make("regression")
    labels = np.empty(len(tasks), dtype=object)
    labels[:] = [("north", int(task)) for task in tasks]
    model = FMRLRegressor().fit(X, y, tasks=labels)
    assert model.history_["label"].tolist() == [("north", t) for t in in_order(tasks)]


@pytest.mark.slow
@on_both_loops
@pytest.mark.parametrize(
    ("labelled", "store_tasks"), [(True, False), (False, True), (False, False)]
)
def test_without_stored_tasks_the_history_holds_the_last_thousand(
    labelled, store_tasks, standardize
):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2600, 1)), rng.normal(size=2600)
    model = FMRLRegressor(store_tasks=store_tasks, standardize=standardize)
    whole = FMRLRegressor(standardize=standardize).fit(X, y, tasks=np.arange(2600))
    for row in range(2600):
        label = row if labelled else None
        model.partial_fit(X[row : row + 1], y[row : row + 1], tasks=label)
        if row in (999, 1000, 1999, 2000, 2599):
            history = model.history_
            assert len(history) == min(row + 1, 1000)
            expected = numbers(whole.history_)[row + 1 - len(history) : row + 1]
            assert_array_equal(numbers(history), expected)
            last = list(range(row + 1 - len(history), row + 1))
            shown = last if labelled else [None] * len(last)
            assert history["label"].tolist() == shown
    assert model.n_tasks_seen_ == 2600
    assert_array_equal(scores(model, X, None), scores(whole, X, None))
    assert len(whole.history_) == 2600
