"""Task labels in every form that users have them in, grouped; and their errors."""

from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skmeta import FMRLRegressor
from skmeta._batch import Batch
from skmeta._labels import check_labels, group_rows, split_column

DAYS = ["2026-01-03", "2026-01-01", "2026-01-03", "2026-01-02"]


def objects(labels):
    """A 1-d array of anything."""
    array = np.empty(len(labels), dtype=object)
    array[:] = labels
    return array


# Four rows of three tasks, the first of which returns in the third row.
LABELS = {
    "list of int": [7, 2, 7, 5],
    "list of str": ["b", "aaa", "b", "c"],
    "list of float": [2.0, -1.0, 2.0, 3.0],
    "list of mixed kinds": ["b", 1, "b", 2],
    "int8": np.array([7, 2, 7, 5], dtype=np.int8),
    "str": np.array(["b", "aaa", "b", "c"]),
    "bytes": np.array([b"b", b"aaa", b"b", b"c"]),
    "objects": np.array(["b", 1, "b", 2.5], dtype=object),
    "days": np.array(DAYS, dtype="datetime64[D]"),
    "nanoseconds": np.array(DAYS, dtype="datetime64[ns]"),
    "durations": np.array([3, 1, 3, 2], dtype="timedelta64[s]"),
    "Series of int": pd.Series([7, 2, 7, 5], index=[3, 3, 1, 0]),
    "Series of str": pd.Series(["b", "aaa", "b", "c"]),
    "Series of object": pd.Series(["b", 1, "b", 2], dtype=object),
    "Series of category": pd.Series(["b", "a", "b", "c"], dtype="category"),
    "Series of Int64": pd.Series([7, 2, 7, 5], dtype="Int64"),
    "Series of datetime": pd.Series(pd.to_datetime(DAYS)),
    "Series with time zone": pd.Series(pd.to_datetime(DAYS, utc=True)),
    "Series of period": pd.Series(pd.PeriodIndex(DAYS, freq="D")),
    "Categorical": pd.Categorical(["b", "a", "b", "c"], categories=["c", "b", "a"]),
    "Index": pd.Index(["b", "aaa", "b", "c"]),
}
TWO_TASKS = {
    "bool": np.array([True, False, True, False]),
    "Series of bool": pd.Series([True, False, True, False]),
    "Series of boolean": pd.Series([True, False, True, False], dtype="boolean"),
}
MISSING = {
    "None": [7, 2, None, 5],
    "None among str": ["b", "a", None, "c"],
    "nan": [7.0, 2.0, np.nan, 5.0],
    "nan among str": ["b", "a", np.nan, "c"],
    "nan objects": np.array(["b", "a", np.nan, "c"], dtype=object),
    "NaT": np.array([*DAYS[:2], "NaT", DAYS[3]], dtype="datetime64[ns]"),
    "Series of NaT": pd.Series(pd.to_datetime([*DAYS[:2], None, DAYS[3]])),
    "Series of nan": pd.Series([7, 2, None, 5]),
    "Series of str": pd.Series(["b", "a", None, "c"]),
    "Series of category": pd.Series(["b", "a", None, "c"], dtype="category"),
    "Series of Int64": pd.Series([7, 2, None, 5], dtype="Int64"),
    "Series of string": pd.Series(["b", "a", None, "c"], dtype="string"),
    "pandas.NA": pd.Series(["b", "a", pd.NA, "c"], dtype=object),
    "NA after NA": pd.Series(["b", "a", pd.NA, pd.NA], dtype=object),
}


def parametrized(cases, name="labels"):
    return pytest.mark.parametrize(name, list(cases.values()), ids=list(cases))


def model_of(labels):
    """A model that learned from one row per label, with unlike targets."""
    model = FMRLRegressor(step_size="fixed", unknown_task="raise")
    return model.fit(np.ones((4, 1)), [1.0, 2.0, 4.0, 8.0], tasks=labels)


# ---- labels


@parametrized(LABELS)
def test_labels_of_any_kind(labels):
    names, starts, order = group_rows(check_labels(labels, 4), 4)
    assert names == [list(labels)[row] for row in (0, 1, 3)]
    assert_array_equal(starts, [0, 2, 3, 4])
    assert_array_equal(order, [[0, 2, 1, 3]])  # of first appearance


@parametrized(TWO_TASKS)
def test_labels_that_are_true_or_false(labels):
    names, starts, order = group_rows(check_labels(labels, 4), 4)
    assert names == [True, False]
    assert_array_equal(starts, [0, 2, 4])
    assert_array_equal(order, [[0, 2, 1, 3]])


@parametrized(LABELS)
def test_model_knows_its_tasks_by_the_same_labels(labels):
    model = model_of(labels)
    assert_array_equal(model.history_["n_samples"], [2, 1, 1])
    X = np.ones((4, 1))
    own = model.task_coef_[:, 0] + model.task_intercept_[:, 0]
    assert len(set(own)) == 3
    assert_array_equal(model.predict(X, tasks=labels), own[[0, 1, 0, 2]])
    assert_array_equal(model.predict(X[:3], tasks=model.task_labels_), own)
    for row, task in enumerate([0, 1, 0, 2]):
        assert model.predict(X[:1], tasks=list(labels)[row]) == own[task]


@pytest.mark.parametrize(
    "labels",
    [np.array([[7], [2], [7], [5]]), pd.DataFrame({"task": [7, 2, 7, 5]})],
    ids=["array", "DataFrame"],
)
def test_labels_in_one_column(labels):
    assert model_of(labels).task_labels_.tolist() == [7, 2, 5]


def test_labels_that_are_tuples():
    labels = objects([("b", 1), ("a", 1), ("b", 1), ("a", 2)])
    model = model_of(labels)
    assert model.task_labels_.tolist() == [("b", 1), ("a", 1), ("a", 2)]
    model.predict(np.ones((4, 1)), tasks=labels)


@pytest.mark.parametrize(
    "label",
    [3, 2.0, "a", True, np.int8(3), np.str_("a"), np.datetime64("2026-01-01")]
    + [pd.Timestamp("2026-01-01"), pd.Period("2026-01")],
    ids=repr,
)
def test_one_label_for_all_rows(label):
    names, starts, order = group_rows(check_labels(label, 3), 3)
    assert names == [label]
    assert_array_equal(starts, [0, 3])
    assert order is None


def test_labels_that_only_look_alike_are_different_tasks():
    assert group_rows(objects([1, "1", 1, "1"]), 4)[0] == [1, "1"]


def test_no_labels_are_one_task_without_a_name():
    names, starts, order = group_rows(None, 5)
    assert names is None and order is None
    assert_array_equal(starts, [0, 5])


def test_rows_that_stand_together_need_no_order():
    names, starts, order = group_rows(np.array([3, 3, 1, 2, 2]), 5)
    assert names == [3, 1, 2] and order is None
    assert_array_equal(starts, [0, 2, 3, 5])


LABELS_OF_ALL_KINDS = st.one_of(
    st.integers(-2, 2), st.sampled_from("abc"), st.booleans(), st.dates()
)
LABEL_ARRAYS = st.one_of(
    st.lists(LABELS_OF_ALL_KINDS, min_size=1, max_size=30).map(objects),
    st.lists(st.integers(-3, 3), min_size=1, max_size=30).map(np.array),
    st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1).map(np.array),
)


@given(LABEL_ARRAYS)
def test_grouping_equals_a_dictionary_of_lists(labels):
    expected = defaultdict(list)
    for row, label in enumerate(labels.tolist()):
        expected[label].append(row)
    names, starts, order = group_rows(labels, len(labels))
    batch = Batch(None, None, None, starts, order)
    grouped = {name: batch.rows(t).tolist() for t, name in enumerate(names)}
    assert grouped == expected
    assert list(grouped) == list(expected)  # and in the same order


# ---- bad labels


@parametrized(MISSING)
def test_missing_label_is_refused(labels):
    with pytest.raises(ValueError, match="missing label.* in row 2.*Drop the row"):
        model_of(labels)


@pytest.mark.parametrize(
    "label", [None, np.nan, pd.NA, pd.NaT, np.datetime64("NaT")], ids=repr
)
def test_missing_label_for_all_rows_is_refused(label):
    with pytest.raises(ValueError, match="missing label"):
        group_rows(check_labels(label, 3), 3)


@pytest.mark.parametrize(
    "labels",
    [[1, 2, 3], [1, 2, 3, 4, 5], [], [[1, 2]] * 4, np.ones((4, 1, 1))],
    ids=["short", "long", "empty", "two columns", "3-d"],
)
def test_not_one_label_per_row_is_refused(labels):
    with pytest.raises(ValueError, match="one label per row.*for 4 rows.*length 4"):
        model_of(labels)


def test_label_that_cannot_be_a_key_is_refused():
    with pytest.raises(ValueError, match="hashable.*list"):
        model_of(objects([["a"], ["b"], ["a"], ["b"]]))


# ---- the task column


FRAME = pd.DataFrame({"x": [1.0, 2.0, 3.0], "who": ["b", "a", "b"], "z": [0.0, 1, 2]})
ARRAY = np.array([[1.0, 8.0, 0.0], [2.0, 9.0, 1.0], [3.0, 8.0, 2.0]])
FEATURES = ARRAY[:, [0, 2]]


@pytest.mark.parametrize("column", ["who", 1, -2, np.int64(1)], ids=repr)
def test_column_of_a_frame(column):
    X, labels = split_column(FRAME, column)
    assert list(X.columns) == ["x", "z"]
    assert_array_equal(X, FEATURES)
    assert list(labels) == ["b", "a", "b"]
    assert list(FRAME.columns) == ["x", "who", "z"]


def test_a_name_comes_before_a_position():
    frame = pd.DataFrame([[1.0, 2.0, 3.0]], columns=[2, 0, 1])
    X, labels = split_column(frame, 0)
    assert list(X.columns) == [2, 1] and labels.tolist() == [2.0]


@pytest.mark.parametrize("column", [1, -2])
@pytest.mark.parametrize(
    "make",
    [
        np.array,
        np.asfortranarray,
        sp.csr_matrix,
        sp.csr_array,
        sp.csc_array,
        sp.coo_array,
    ],
)
def test_column_of_an_array(make, column):
    X, labels = split_column(make(ARRAY), column)
    assert sp.issparse(X) == sp.issparse(make(ARRAY))
    assert_array_equal(X.toarray() if sp.issparse(X) else X, FEATURES)
    assert_array_equal(labels, [8.0, 9.0, 8.0])


def test_column_of_a_list_of_lists():
    X, labels = split_column([[1.0, "b", 0.0], [2.0, "a", 1.0]], 1)
    assert_array_equal(X.astype(float), FEATURES[:2])
    assert list(labels) == ["b", "a"]


@pytest.mark.parametrize(
    "X, column, message",
    [
        (FRAME, "task", r"no column 'task' \(task_column\).*\['x', 'who', 'z'\]"),
        (FRAME, 3, r"no column 3 \(task_column\).*\['x', 'who', 'z'\]"),
        (FRAME, -4, r"no column -4 \(task_column\)"),
        (ARRAY, 3, r"shape \(3, 3\) has no column 3 \(task_column\)"),
        (ARRAY, -4, r"no column -4"),
        (sp.csr_array(ARRAY), 3, r"shape \(3, 3\) has no column 3"),
        ([[1, 2], [3, 4]], 2, r"shape \(2, 2\) has no column 2"),
        ([1, 2], 0, r"no column 0"),
        (ARRAY, "who", "'who' is a name, but X has no column names: pass a DataFrame"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, int) else None,
)
def test_column_that_is_not_there(X, column, message):
    with pytest.raises(ValueError, match=message):
        split_column(X, column)


@pytest.mark.parametrize(
    "X, column",
    [(FRAME, "who"), (FRAME.to_numpy(), 1), (FRAME.to_numpy().tolist(), 1)],
    ids=["frame", "array of objects", "lists"],
)
def test_model_with_a_task_column_equals_one_with_tasks(X, column):
    y = [1.0, 2.0, 3.0]
    model = FMRLRegressor(task_column=column).fit(X, y)
    expected = FMRLRegressor().fit(FEATURES, y, tasks=["b", "a", "b"])
    assert model.n_features_in_ == 2
    assert model.task_labels_.tolist() == ["b", "a"]
    assert_array_equal(model.coef_, expected.coef_)
    expected_y = expected.predict(FEATURES, tasks=["b", "a", "b"])
    assert_array_equal(model.predict(X), expected_y)


@pytest.mark.parametrize("X", [FRAME, FRAME[["x", "z"]]], ids=["with", "without"])
def test_adapting_needs_no_task_column(X):
    model = FMRLRegressor(task_column="who").fit(FRAME, [1.0, 2.0, 3.0])
    rows = [0, 2]
    adapted = model.adapt(X.iloc[rows], [1.0, 3.0])
    assert adapted.feature_names_in_.tolist() == ["x", "z"]
    expected = FMRLRegressor().fit(FEATURES, [1.0, 2.0, 3.0], tasks=["b", "a", "b"])
    assert_array_equal(adapted.coef_, expected.adapt(FEATURES[rows], [1.0, 3.0]).coef_)


def test_adapting_takes_one_task():
    model = FMRLRegressor(task_column="who").fit(FRAME, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"one task; got those of 2: \['b', 'a'\]"):
        model.adapt(FRAME, [1.0, 2.0, 3.0])


def test_names_are_kept_without_the_task_column():
    model = FMRLRegressor(task_column="who").fit(FRAME, [1.0, 2.0, 3.0])
    assert model.feature_names_in_.tolist() == ["x", "z"]
    with pytest.raises(ValueError, match=r"no column 'who' \(task_column\)"):
        model.predict(FRAME[["x", "z"]])


@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict", "score"])
def test_labels_are_given_once(method):
    model = FMRLRegressor(task_column="who").fit(FRAME, [1.0, 2.0, 3.0])
    arguments = (FRAME,) if method == "predict" else (FRAME, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="once.*'who', not both"):
        getattr(model, method)(*arguments, tasks=[1, 2, 1])


@pytest.mark.parametrize(
    "frame, column, message",
    [
        (pd.DataFrame(ARRAY, columns=["x", "who", "who"]), "who", "2 columns 'who'"),
        (FRAME.set_index("who"), "who", r"no column 'who'.*use reset_index\(\)"),
        (
            FRAME.add_prefix("task__"),
            "who",
            "no column 'who'.*verbose_feature_names_out=False",
        ),
        (FRAME, True, "task_column must be a name or an index. Got True"),
    ],
    ids=["twice", "in the index", "prefixed", "bool"],
)
def test_advice_on_a_task_column(frame, column, message):
    with pytest.raises(ValueError, match=message):
        FMRLRegressor(task_column=column).fit(frame, [1.0, 2.0, 3.0])
