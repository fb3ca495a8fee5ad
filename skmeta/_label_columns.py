"""One label per row, read from whatever users pass, or one label for all rows.

The type of an object decides which of the two it is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import (
    Hashable,
    ItemsView,
    Iterator,
    KeysView,
    Mapping,
    Sequence,
    ValuesView,
)
from collections.abc import Set as AnySet
from dataclasses import dataclass
from numbers import Number
from typing import Any, NoReturn

import numpy as np

from skmeta._frames import columns_of, is_other_frame, is_pandas, read_series
from skmeta._names import (
    EXACT,
    MISSING,
    UNCHANGED,
    NotALabel,
    canonical,
    is_fraction,
    is_number,
    shortest_duration,
    shortest_time,
)

_ONE_LABEL = (str, bytes, tuple, frozenset, Number, np.generic)
MOST_PARTS = 10  # of a label that is a tuple


@dataclass(frozen=True, eq=False)
class KeyColumns:
    """Columns that together are one label per row.

    Attributes
    ----------
    columns : dict
        One label per row, by name of the column.
    """

    columns: dict[Any, Any]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def check_labels(
    tasks: Any, n_samples: int, column: Any = None, *, refuses_fractions: bool = True
) -> Any:
    """Return one label per row as a 1-d array, or one label for all rows.

    The type of `tasks` decides: a string, a number, a date, a tuple or another single
    object is one label; a list, an array or a column is one label per row. `column` is
    the `task_column` that they come from, for messages. Without `refuses_fractions`, a
    number that is not whole is a label.

    Raises
    ------
    ValueError
        If there is not exactly one label per row, or if a label is missing, a
        measurement, or not hashable.
    """
    if type(tasks) in (int, str):
        return tasks
    if is_one(tasks):
        name = one_label(tasks)
        if refuses_fractions and is_fraction(name):
            _refuse_measurement(name, "for all rows")
        return name
    if is_pandas(tasks) or is_other_frame(tasks):
        tasks = KeyColumns(columns_of(tasks))
    elif column is not None and not isinstance(tasks, KeyColumns):
        tasks = KeyColumns({column: tasks})
    labels = _join(tasks) if isinstance(tasks, KeyColumns) else _column(tasks)
    if labels.ndim != 1 or len(labels) != n_samples:
        raise ValueError(
            f"tasks must hold one label per row of X: got shape {labels.shape} for "
            f"{n_samples} rows. Give a 1-d array of length {n_samples}, or one label "
            "for all rows."
        )
    if refuses_fractions:
        _refuse_measurements(labels)
    return labels


def check_fractions(names: Sequence[Hashable], are_unknown: np.ndarray) -> None:
    """Raise ValueError if an unknown label is a number that is not whole."""
    for name, is_unknown in zip(names, are_unknown, strict=True):
        if is_unknown and is_fraction(name):
            _refuse_measurement(name, "and does not know it")


def is_one(tasks: Any) -> bool:
    """Whether an object is one label, and not one per row."""
    if type(tasks) is np.ndarray:
        return tasks.ndim == 0
    if isinstance(tasks, _ONE_LABEL):
        return True
    if getattr(tasks, "ndim", 1) == 0:
        return True
    return not any(
        hasattr(tasks, name) for name in ("__iter__", "__len__", "__array__")
    )


def one_label(label: Any) -> Hashable:
    """The label of all rows."""
    if isinstance(label, tuple) and len(label) > MOST_PARTS:
        raise ValueError(
            f"tasks is a tuple of {len(label)} entries. A tuple is one label for all "
            f"rows, and has at most {MOST_PARTS} parts. Pass list(tasks) for one label "
            "per row."
        )
    if getattr(label, "ndim", 1) == 0 and not isinstance(label, np.generic):
        label = np.asarray(label)[()]
    try:
        name = canonical(label)
    except NotALabel as error:
        _refuse(label, "for all rows", error)
    return name


def _refuse(label: Any, where: str, error: NotALabel) -> NoReturn:
    reason = str(error)
    if reason == MISSING:
        raise ValueError(
            f"tasks has a missing label ({label}) {where}. Drop the row, or give it a "
            "separate label."
        ) from error
    remedy = ""
    if reason.endswith(MISSING):
        reason = f"has a missing label: it {reason}"
        remedy = " Drop the row, or give the part a separate value."
    raise ValueError(
        f"tasks holds {label!r} {where}, which {reason}. Task labels are hashable: "
        f"numbers, strings, dates, tuples.{remedy}"
    ) from error


def _refuse_measurement(label: Any, where: str) -> NoReturn:
    raise ValueError(
        f"tasks holds {label!r} {where}: a number with a fraction is a measurement, "
        "not a label. Pass the column that names the tasks (a scaler may have "
        "transformed it), or strings if the fractions are names."
    )


# ---- one label per row


def _column(values: Any) -> np.ndarray:
    """One label per row as an array: of integers, bools, text or times, or of objects
    that are canonical.
    """
    if type(values) is np.ndarray and values.ndim == 1:
        return _from_array(values)
    if isinstance(values, Iterator):
        raise ValueError(
            "tasks is an iterator, which can be read only once. Pass list(tasks)."
        )
    if isinstance(values, KeysView | ValuesView | ItemsView):
        return _from_objects(list(values))
    if isinstance(values, Mapping | AnySet):
        raise ValueError(
            f"tasks is a {type(values).__name__}, which has no order of rows. Pass a "
            "list or an array with one label per row."
        )
    if isinstance(values, Sequence) and not hasattr(values, "__array__"):
        return _from_sequence(values)
    series = read_series(values)
    if series is not None:
        return _from_series(series)
    array = np.asarray(values)
    if array.ndim == 0:
        return _from_objects(list(values))
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    return _from_array(array) if array.ndim == 1 else array


def _from_sequence(values: Sequence) -> np.ndarray:
    if len(values) and isinstance(values[0], list | np.ndarray):
        array = np.array(values, dtype=object)
        if array.ndim > 1:
            return _from_array(array[:, 0]) if array.shape[1:] == (1,) else array
    return _from_objects(list(values))


def _from_series(series: Any) -> np.ndarray:
    """From a column of polars or Arrow."""
    is_complete = not series.null_count()
    if is_complete and (series.dtype.is_integer() or series.dtype.is_float()):
        return _from_array(series.to_numpy())
    if getattr(series.dtype, "time_unit", None) == "ns" and is_complete:
        values = series.to_numpy()  # lists lose nanoseconds
        if getattr(series.dtype, "time_zone", None) is not None:
            return _from_objects([_in_utc(one) for one in values])
        return _from_array(values)
    items = series.to_list()
    return _from_objects([_as_tuple(one) for one in items])


def _as_tuple(item: Any) -> Any:
    return tuple(item.values()) if isinstance(item, dict) else item  # a struct


def _in_utc(time: np.datetime64) -> Any:
    """A point in time with the zone UTC."""
    short = time.astype("M8[us]")
    if short == time:
        return short.item().replace(tzinfo=dt.UTC)
    import pandas as pd

    return pd.Timestamp(time, tz="UTC")


def _from_array(array: np.ndarray) -> np.ndarray:
    """From a 1-d array of any dtype."""
    kind = array.dtype.kind
    if kind in "iubUS":
        return array
    if kind == "f":
        return _from_floats(array)
    if kind in "mM":
        missing = np.flatnonzero(np.isnat(array))
        if missing.size:
            _refuse(array[missing[0]], f"in row {missing[0]}", NotALabel(MISSING))
        return array
    if kind == "V" and array.dtype.names:
        return _join(KeyColumns({name: array[name] for name in array.dtype.names}))
    items = list(array) if kind == "V" else array.astype(object).tolist()
    sentinel = getattr(array.dtype, "na_object", None)  # of numpy's StringDType
    if isinstance(sentinel, str):
        items = [None if item == sentinel else item for item in items]
    return _from_objects(items)


def _from_floats(array: np.ndarray) -> np.ndarray:
    """Whole numbers as integers; floats if one of them is not whole."""
    array = array.astype(np.float64) if array.dtype.itemsize < 8 else array
    inexact = np.flatnonzero(~(np.abs(array) <= EXACT))
    if inexact.size:
        row = inexact[0]
        try:
            canonical(array[row])
        except NotALabel as error:
            _refuse(array[row].item(), f"in row {row}", error)
    integers = array.astype(np.int64)
    return integers if (integers == array).all() else array


def _from_objects(items: list[Any]) -> np.ndarray:
    """From Python objects."""
    types = set(map(type, items))
    if len(types) == 1:
        (kind,) = types
        if issubclass(kind, float | np.floating):
            return _from_floats(np.array(items))
        if kind in (int, bool) or issubclass(kind, np.integer):
            dtype = np.int64 if kind is int else None
            try:
                return np.array(items, dtype=dtype)
            except OverflowError:  # beyond 64 bits
                pass
    array = np.empty(len(items), dtype=object)
    array[:] = items if types <= UNCHANGED else _canonical(items)
    return array


def _canonical(items: list[Any]) -> list[Hashable]:
    names = []
    for row, item in enumerate(items):
        try:
            names.append(canonical(item))
        except NotALabel as error:
            _refuse(item, f"in row {row}", error)
    return names


def _refuse_measurements(labels: np.ndarray) -> None:
    """Raise ValueError if the labels are floats that are not whole, or mostly such.

    A few fractions among integers in a list are labels, as any number is.
    """
    if labels.dtype.kind == "f":
        row = np.flatnonzero(labels != np.rint(labels))[0]
        _refuse_measurement(labels[row].item(), f"in row {row}")
    if labels.dtype.kind == "O":
        distinct = set(labels.tolist())
        fractions = sum(map(is_fraction, distinct))
        if fractions and 2 * fractions >= len(distinct):
            if all(map(is_number, distinct)):
                row = next(r for r, name in enumerate(labels) if is_fraction(name))
                _refuse_measurement(labels[row], f"in row {row}")


def _join(key: KeyColumns) -> np.ndarray:
    """One label per row, a tuple if there are several columns."""
    parts = []
    for name, column in key.columns.items():
        try:
            part = _column(column)
            if len(key.columns) > 1:
                _refuse_measurements(part)
            parts.append(part)
        except ValueError as error:
            raise ValueError(f"Column {name!r}: {error}") from error
    if not parts:
        raise ValueError("tasks has no columns. Pass one label per row.")
    if len(parts) == 1 or any(part.ndim != 1 for part in parts):
        return parts[0]
    labels = np.empty(len(parts[0]), dtype=object)
    labels[:] = list(zip(*map(names_in, parts), strict=True))
    return labels


def names_in(labels: np.ndarray) -> list[Any]:
    """The canonical labels of an array that `_column` returned."""
    if labels.dtype.kind == "M":
        return list(map(shortest_time, labels))
    if labels.dtype.kind == "m":
        return list(map(shortest_duration, labels))
    if labels.dtype.kind == "f":
        return list(map(canonical, labels.tolist()))
    return labels.tolist()


def names_of(labels: Any) -> list[Any]:
    """One label, or the labels of a sequence or a set, as `group_rows` names tasks."""
    if isinstance(labels, AnySet) and not isinstance(labels, frozenset):
        labels = list(labels)
    if is_one(labels):
        return [one_label(labels)]
    if is_pandas(labels) or is_other_frame(labels):
        return names_in(_join(KeyColumns(columns_of(labels))))
    return names_in(_column(labels))
