"""What is one label and what one per row; equal labels are equal in every library."""

import datetime as dt
import uuid
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skmeta import FMRLRegressor, MixedEffectsRegressor
from skmeta._labels import as_array, check_labels, code_rows, group_rows, names_of
from skmeta._names import canonical

N = 6
X, Y = np.ones((N, 1)), np.arange(float(N))
NUMBERS = [0, 1, 2, 0, 1, 2]
BIG = [2**60 + i for i in NUMBERS]
DAYS = [dt.date(2026, 1, 1 + i) for i in NUMBERS]
TIMES = np.datetime64("2026-01-01T00:00:00.000000001") + np.array(NUMBERS)
WORDS = [f"S{i}" for i in NUMBERS]
PAIRS = [("north", i) for i in NUMBERS]


def polars(values, dtype=None):
    return pytest.importorskip("polars").Series(values, dtype=dtype)


def arrow(values):
    return pytest.importorskip("pyarrow").array(values)


def arrow_frame(columns):
    return pytest.importorskip("pyarrow").table(columns)


def arrow_series(values):
    return pd.Series(arrow(values).to_pandas(), dtype=pd.ArrowDtype(arrow(values).type))


PAIR_FRAME = {"region": ["north"] * N, "store": NUMBERS}
# Forms of the same three labels, by the kind of the labels.
FORMS = {
    "numbers": [
        lambda: BIG,
        lambda: np.array(BIG),
        lambda: np.array(BIG, dtype=np.uint64),
        lambda: [np.uint64(i) if row % 2 else i for row, i in enumerate(BIG)],
        lambda: [Decimal(i) for i in BIG],
        lambda: pd.Series(BIG, dtype="Int64"),
        lambda: pd.Categorical(BIG),
        lambda: arrow_series(BIG),
        lambda: arrow(BIG),
        lambda: arrow(BIG).dictionary_encode(),
        lambda: polars(BIG),
        lambda: polars([Decimal(i) for i in BIG]),
    ],
    "whole floats": [
        lambda: NUMBERS,
        lambda: [float(i) for i in NUMBERS],
        lambda: [-0.0, 1, 2, 0, 1.0, np.float32(2)],
        lambda: np.array(NUMBERS, dtype=np.float16),
        lambda: pd.Series(NUMBERS, dtype="Float64"),
        lambda: polars([float(i) for i in NUMBERS]),
    ],
    "words": [
        lambda: WORDS,
        lambda: dict(enumerate(WORDS)).values(),
        lambda: [np.str_(word) for word in WORDS],
        lambda: np.array(WORDS),
        lambda: pd.Series(WORDS, dtype="category"),
        lambda: pd.DataFrame({"store": WORDS}),
        lambda: [(word,) for word in WORDS],
        lambda: arrow_series(WORDS),
        lambda: arrow(WORDS).dictionary_encode(),
        lambda: arrow_frame({"store": WORDS}),
        lambda: polars(WORDS),
        lambda: polars(WORDS, pytest.importorskip("polars").Categorical),
    ],
    "days": [
        lambda: DAYS,
        lambda: np.array(DAYS, dtype="M8[D]"),
        lambda: np.array(DAYS, dtype="M8[ns]"),
        lambda: [dt.datetime(day.year, day.month, day.day) for day in DAYS],
        lambda: [pd.Timestamp(day) for day in DAYS],
        lambda: pd.Series(DAYS),
        lambda: arrow_series(DAYS),
        lambda: arrow(DAYS),
        lambda: polars(DAYS),
    ],
    "nanoseconds": [
        lambda: TIMES,
        lambda: [pd.Timestamp(time) for time in TIMES],
        lambda: pd.Series(TIMES),
        lambda: arrow(TIMES),
        lambda: polars(TIMES),
    ],
    "time zones": [
        lambda: pd.Series(TIMES).dt.tz_localize("UTC"),
        lambda: pd.Series(TIMES).dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
        lambda: arrow(pd.Series(TIMES).dt.tz_localize("UTC")),
        lambda: polars(pd.Series(TIMES).dt.tz_localize("UTC")),
    ],
    "durations": [
        lambda: [dt.timedelta(hours=i) for i in NUMBERS],
        lambda: np.array(NUMBERS, dtype="m8[h]"),
        lambda: [pd.Timedelta(hours=i) for i in NUMBERS],
        lambda: polars([dt.timedelta(hours=i) for i in NUMBERS]),
    ],
    "pairs": [
        lambda: PAIRS,
        lambda: [(np.str_("north"), np.int8(i)) for i in NUMBERS],
        lambda: pd.MultiIndex.from_tuples(PAIRS),
        lambda: pd.DataFrame(PAIR_FRAME).astype({"region": "category"}),
        lambda: np.array(PAIRS, dtype=[("region", "U5"), ("store", "i4")]),
        lambda: arrow_frame(PAIR_FRAME),
        lambda: pytest.importorskip("polars").DataFrame(PAIR_FRAME),
        lambda: pytest.importorskip("polars").DataFrame(PAIR_FRAME).to_struct(),
    ],
    "others": [
        lambda: [uuid.UUID(int=i) for i in NUMBERS],
        lambda: np.array([uuid.UUID(int=i) for i in NUMBERS], dtype=object),
    ],
}
EACH_FORM = [
    pytest.param(kind, number, id=f"{kind}-{number}")
    for kind, forms in FORMS.items()
    for number in range(len(forms))
]


@pytest.mark.parametrize(("kind", "number"), EACH_FORM)
def test_equal_labels_are_equal_in_every_form(kind, number):
    names, _, order = group_rows(check_labels(FORMS[kind][number](), N), N)
    assert_array_equal(order, [[0, 3, 1, 4, 2, 5]])
    expected = group_rows(check_labels(FORMS[kind][0](), N), N)[0]
    assert names == expected
    assert list(map(hash, names)) == list(map(hash, expected))
    assert list(map(type, names)) == list(map(type, expected))


@pytest.mark.parametrize(("kind", "number"), EACH_FORM)
def test_labels_of_one_library_are_known_to_another(kind, number):
    model = FMRLRegressor(unknown_task="raise")
    model.fit(X, Y, tasks=FORMS[kind][number]())
    expected = model.predict(X, tasks=FORMS[kind][0]())
    assert len(set(expected)) == 3
    assert_array_equal(model.predict(X, tasks=FORMS[kind][number]()), expected)
    assert_array_equal(model.predict(X[:3], tasks=model.task_labels_), expected[:3])
    assert names_of(FORMS[kind][number]()) == names_of(FORMS[kind][0]())


SCALARS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.text(max_size=3),
    st.booleans(),
    st.binary(max_size=2),
    st.dates(),
    st.datetimes(),
    st.timedeltas(),
    st.uuids(),
)
ANY_LABEL = st.one_of(SCALARS, st.lists(SCALARS, min_size=2, max_size=3).map(tuple))


@given(st.lists(ANY_LABEL, min_size=1, max_size=8))
def test_labels_make_the_round_trip(labels):
    names, codes = code_rows(check_labels(labels, len(labels)), len(labels))
    assert [names[code] for code in codes] == [canonical(one) for one in labels]
    assert len(set(names)) == len(names)
    again, _ = code_rows(check_labels(as_array(names), len(names)), len(names))
    assert again == names
    for name in names:
        assert check_labels(name, 3) == name  # one label for all rows


@given(st.lists(st.integers(-(2**64), 2**64), min_size=1))
def test_integers_are_never_merged(labels):
    for form in (
        labels,
        np.array(labels, dtype=object),
        pd.Series(labels, dtype=object),
    ):
        names, _ = code_rows(check_labels(form, len(labels)), len(labels))
        assert names == list(dict.fromkeys(labels))
        assert as_array(names).tolist() == names


@given(st.datetimes(), st.sampled_from(["us", "ns"]))
def test_times_do_not_depend_on_their_unit(time, unit):
    label = canonical(time)
    if unit == "us" or 1700 < time.year < 2200:
        assert canonical(np.datetime64(time, unit)) == label
        assert hash(canonical(np.datetime64(time, unit))) == hash(label)
    assert label.item() in (time, time.date())


# ---- one label or one per row


@pytest.mark.parametrize(
    "label",
    [("north", 0), ("north",), frozenset("a"), uuid.UUID(int=3), Decimal(3)]
    + [np.array(3), dt.date(2026, 1, 1), b"a"],
    ids=repr,
)
@pytest.mark.parametrize("n_samples", [1, 2, 5])
def test_one_label_whatever_the_number_of_rows(label, n_samples):
    names, starts, _ = group_rows(check_labels(label, n_samples), n_samples)
    assert names == [canonical(label[()] if isinstance(label, np.ndarray) else label)]
    assert_array_equal(starts, [0, n_samples])


def test_keys_of_groupby_are_labels():
    frame = pd.DataFrame({"x": X[:, 0], "y": Y, "region": "north", "store": NUMBERS})
    model = FMRLRegressor()
    for key, rows in frame.groupby(["region", "store"]):
        model.partial_fit(rows[["x"]], rows["y"], tasks=key)
    assert model.task_labels_.tolist() == [("north", 0), ("north", 1), ("north", 2)]
    by_column = FMRLRegressor(task_column="store").fit(frame[["x", "store"]], Y)
    (key, rows), *_ = frame.groupby(["store"])
    assert key == (0,)
    expected = by_column.predict(rows[["x", "store"]])
    by_column.set_params(task_column=None, unknown_task="raise")
    assert_array_equal(by_column.predict(rows[["x"]], tasks=key), expected)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (lambda: (word for word in WORDS), r"an iterator.*list\(tasks\)"),
        (lambda: zip(WORDS, WORDS, strict=True), "an iterator"),
        (lambda: set(WORDS), "is a set, which has no order"),
        (lambda: dict(enumerate(WORDS)), "is a dict, which has no order"),
        (lambda: tuple(WORDS * 2), r"a tuple of 12 entries.*list\(tasks\)"),
        (lambda: np.ones((N, 2)), "one label per row.*shape"),
    ],
    ids=["generator", "zip", "set", "dict", "long tuple", "2-d"],
)
def test_what_is_neither_is_refused(tasks, message):
    with pytest.raises(ValueError, match=message):
        FMRLRegressor().fit(X, Y, tasks=tasks())


@pytest.mark.parametrize("tasks", ["store", ("region", "store"), ["region", "store"]])
def test_names_of_columns_are_no_labels(tasks):
    frame = pd.DataFrame({"x": X[:, 0], "region": 1, "store": NUMBERS})
    model = FMRLRegressor().fit(frame, Y, tasks=WORDS)
    for call in (
        lambda: model.fit(frame, Y, tasks=tasks),
        lambda: model.predict(frame, tasks=tasks),
    ):
        with pytest.raises(ValueError, match="name of a column of X.*task_column="):
            call()
    model.fit(frame, Y, tasks=["store", "region", "x"] * 2)  # one label per row


# ---- what is no label


@pytest.mark.parametrize(
    "labels",
    [
        lambda: np.linspace(0, 1, N),
        lambda: np.array([1, 2, 3, 4, 5, 5.5]),
        lambda: np.linspace(0, 1, N, dtype=np.float32),
        lambda: np.linspace(0, 1, N).tolist(),
        lambda: [20.5, 21, 19.25, 18, 18.5, 21],
        lambda: [Decimal("0.5")] * N,
        lambda: pd.Series(np.linspace(0, 1, N), dtype="Float64"),
        lambda: pd.DataFrame({"a": WORDS, "b": np.linspace(0, 1, N)}),
        lambda: polars(np.linspace(0, 1, N)),
        lambda: 0.5,
    ],
)
def test_measurements_are_refused(labels):
    with pytest.raises(ValueError, match="with a fraction is a measurement"):
        FMRLRegressor().fit(X, Y, tasks=labels())
    model = FMRLRegressor().fit(X, Y, tasks=NUMBERS)
    with pytest.raises(ValueError, match="with a fraction is a measurement"):
        model.predict(X, tasks=labels())


def test_a_fraction_among_integers_is_a_label():
    labels = [1, 2, 3, 0.5, 2, 2]
    model = FMRLRegressor(unknown_task="raise").fit(X, Y, tasks=labels)
    assert model.task_labels_.tolist() == [1, 2, 3, 0.5]
    assert len(model.predict(X[:1], tasks=0.5)) == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([2.0**60, 1.0], "a float beyond 2\\*\\*53"),
        ([np.inf, 1.0], "infinite"),
        ([1j, 1.0], "complex"),
        ([["a"], ["b", "c"]], "not hashable"),
        ([("a", None)] * 2, "missing label.*part 1"),
        ([("a", ("b", np.nan))] * 2, "missing label.*part 1"),
        (pd.DataFrame({"a": ["x", "y"], "b": ["u", None]}), "'b'.*missing.*row 1"),
        (np.array(["a", "?"], np.dtypes.StringDType(na_object="?")), "missing.*row 1"),
        (np.array(["a", np.nan], np.dtypes.StringDType(na_object=np.nan)), "missing"),
        ([Decimal("1"), Decimal("NaN")], "missing.*row 1"),
    ],
    ids=str,
)
def test_what_cannot_be_a_label_is_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        FMRLRegressor().fit(X[:2], Y[:2], tasks=labels)


def test_missing_labels_of_other_libraries_are_refused():
    for labels in (polars([1, None]), arrow([1, None]), polars(["a", None])):
        with pytest.raises(ValueError, match="missing label .*in row 1"):
            FMRLRegressor().fit(X[:2], Y[:2], tasks=labels)


# ---- labels that are all unknown


@pytest.mark.parametrize(
    ("learned", "asked", "message"),
    [
        (NUMBERS, list(map(str, NUMBERS)), "'0' is a string.*such as 0"),
        (WORDS, NUMBERS, "0 is a number.*such as 'S0'"),
        (WORDS, [word.encode() for word in WORDS], "bytes"),
        (DAYS, list(map(str, DAYS)), "a string"),
        (PAIRS, [pair[::-1] for pair in PAIRS], "tuple of a number and a string"),
        (
            WORDS,
            [f" {word} " for word in WORDS],
            "' S0 ' is unknown, but 'S0' is known",
        ),
        (WORDS, "s1", "'s1' is unknown, but 'S1' is known"),
        (
            ["007", "008", "9"] * 2,
            ["7", "8", "3"] * 2,
            "'7' is unknown, but '007' is known",
        ),
        (
            ["7", "8", "9"] * 2,
            ["7.0", "8.0", "3"] * 2,
            "'7.0' is unknown, but '7' is known",
        ),
    ],
)
@pytest.mark.parametrize("kind", [FMRLRegressor, MixedEffectsRegressor])
def test_labels_that_seem_to_mean_known_ones_warn(kind, learned, asked, message):
    model = kind().fit(X, Y, tasks=learned)
    with pytest.warns(UserWarning, match=f"{message}.*what the tasks share") as records:
        found = model.predict(X, tasks=asked)
    assert [record.filename for record in records] == [__file__]
    assert_array_equal(found, model.predict(X))


def test_new_tasks_of_a_kind_that_is_known_do_not_warn():
    model = FMRLRegressor().fit(X, Y, tasks=WORDS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(X, tasks="S9")
        model.predict(X, tasks=["S7", "S8", "S9"] * 2)
        model.predict(X, tasks=[*NUMBERS[:5], "S1"])  # some are known
        model.partial_fit(X, Y, tasks="S9")


def test_learning_labels_of_another_kind_warns():
    model = FMRLRegressor().partial_fit(X, Y, tasks=NUMBERS)
    with pytest.warns(UserWarning, match="'0' is a string.*learned as new tasks"):
        model.partial_fit(X, Y, tasks=list(map(str, NUMBERS)))
    assert model.n_tasks_seen_ == 6
