"""Task labels: from one label per row to tasks as row ranges, and their errors.

Tasks are taken in order of first appearance; the rows of a task keep their order.
"""

from __future__ import annotations

from collections.abc import Iterator, KeysView, MutableSet
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp

from skmeta._sparse import check_indices, check_pointers


def check_labels(tasks: Any, n_samples: int) -> Any:
    """Return one label per row as a 1-d array; a number or a string labels all rows.

    Raises
    ------
    ValueError
        If there is not exactly one label per row.
    """
    if type(tasks) in (int, str):
        return tasks
    labels = np.asarray(tasks)
    if labels.dtype.kind in "US" and isinstance(tasks, (list, tuple)):
        # NumPy turns [1, "a"] into strings
        labels = np.asarray(tasks, dtype=object)
    if labels.ndim == 0:
        if isinstance(tasks, Iterator):
            raise ValueError(
                "tasks is an iterator, which would be one label for all rows. Pass "
                "list(tasks)."
            )
        labels = np.full(n_samples, labels[()])
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) != n_samples:
        raise ValueError(
            f"tasks must hold one label per row of X: got shape {np.shape(tasks)} for "
            f"{n_samples} rows. Give a 1-d array of length {n_samples}, or one label "
            "for all rows."
        )
    return labels


def split_labels(X: Any, tasks: Any, column: Any) -> tuple[Any, Any]:
    """(features, labels): the labels come from `tasks`, or from the column if given.

    Raises
    ------
    ValueError
        If there are both, or X has no such column.
    """
    if column is None:
        return X, tasks
    if tasks is not None:
        raise ValueError(
            f"Give the task labels once: as tasks= or as task_column={column!r}, not "
            "both."
        )
    return split_column(X, column)


def split_column(X: Any, column: Any) -> tuple[Any, Any]:
    """Take the column that holds the task labels out of X: (features, labels).

    Raises
    ------
    ValueError
        If X has no such column.
    """
    if isinstance(column, bool):
        raise ValueError(f"task_column must be a name or an index. Got {column}.")
    if hasattr(X, "iloc"):
        return _split_frame(X, column)
    if not isinstance(column, Integral):
        raise ValueError(
            f"task_column={column!r} is a name, but X has no column names: pass a "
            "DataFrame, or the index of the column. A transformer keeps the names "
            "after set_output(transform='pandas')."
        )
    if not (sp.issparse(X) or isinstance(X, np.ndarray)):
        X = np.array(X, dtype=object)
    index = int(column)
    if X.ndim != 2 or not -X.shape[1] <= index < X.shape[1]:
        raise ValueError(f"X of shape {X.shape} has no column {column} (task_column).")
    if sp.issparse(X):
        check_pointers(X)
        check_indices(X)
        X = X.tocsc()
        labels = X[:, [index]].toarray()[:, 0]
        others = np.delete(np.arange(X.shape[1]), index)
        return X[:, others].tocsr(), labels
    return np.delete(X, index, axis=1), X[:, index]


def _split_frame(X: Any, column: Any) -> tuple[Any, Any]:
    columns = list(X.columns)
    if column not in columns and isinstance(column, Integral):
        if -len(columns) <= int(column) < len(columns):
            column = columns[int(column)]
    if columns.count(column) != 1:
        hint = ""
        if column in X.index.names:
            hint = " The index has that name: use reset_index()."
        if any(str(name).endswith(f"__{column}") for name in columns):
            hint = " Give the transformer verbose_feature_names_out=False."
        count = columns.count(column) or "no"
        noun = "column" if count == "no" else "columns"
        raise ValueError(
            f"X has {count} {noun} {column!r} (task_column). Its columns: {columns}."
            + hint
        )
    if len(columns) == 1:
        raise ValueError(f"X has no features besides the task_column {column!r}.")
    return X.drop(columns=[column]), X[column]


def group_rows(
    labels: Any, n_samples: int
) -> tuple[list[Any] | None, np.ndarray, np.ndarray | None]:
    """Group rows by label, in order of first appearance.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,), int, str or None
        One label for all rows makes them one task, None one without a name.
    n_samples : int

    Returns
    -------
    names : list of the n_tasks distinct labels, as Python scalars, or None
    starts : intp ndarray of shape (n_tasks + 1,)
    order : intp ndarray of shape (1, n_samples) or None
        None if the rows of every task are already adjacent.

    Raises
    ------
    ValueError
        If a label is missing (None, NaN, NaT or pandas.NA) or not hashable.
    """
    if not isinstance(labels, np.ndarray):
        names = None if labels is None else [labels]
        return names, np.array([0, n_samples], dtype=np.intp), None
    names, run_codes, edges = _find_runs(labels)
    if len(names) == len(run_codes):
        return names, edges, None
    codes = np.repeat(run_codes, np.diff(edges))
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes))]).astype(np.intp)
    if len(names) <= 1 << 16:
        codes = codes.astype(np.uint16)  # sorted in linear time
    return names, starts, np.argsort(codes, kind="stable")[np.newaxis]


def code_rows(labels: Any, n_samples: int) -> tuple[list[Any], np.ndarray]:
    """The distinct labels, named as by `group_rows`, and their number for every row."""
    if not isinstance(labels, np.ndarray):
        return [labels], np.zeros(n_samples, dtype=np.intp)
    names, run_codes, edges = _find_runs(labels)
    return names, np.repeat(run_codes, np.diff(edges))


def _find_runs(labels: np.ndarray) -> tuple[list[Any], np.ndarray, np.ndarray]:
    """Runs of equal labels: (names, number of every run's name, edges of the runs)."""
    differ = _differ(labels[1:], labels[:-1])
    runs = np.concatenate([[0], np.flatnonzero(differ) + 1])
    edges = np.append(runs, len(labels)).astype(np.intp, copy=False)
    labels = labels[runs]
    if labels.dtype.kind in "iu":
        return *_code_integers(labels), edges
    # datetime64.tolist() turns nanoseconds, and NaT, into integers
    names = list(labels) if labels.dtype.kind in "mM" else labels.tolist()
    _check_present(names, runs)
    return *_code_objects(names), edges


def _code_objects(labels: list[Any]) -> tuple[list[Any], np.ndarray]:
    code: dict[Any, int] = {}
    try:
        codes = [code.setdefault(label, len(code)) for label in labels]
    except TypeError as error:
        raise ValueError(f"task labels must be hashable: {error}.") from error
    return list(code), np.array(codes, dtype=np.intp)


def _code_integers(labels: np.ndarray) -> tuple[list[Any], np.ndarray]:
    if (labels[1:] > labels[:-1]).all():
        return labels.tolist(), np.arange(len(labels))
    low, n_values = labels.min(), int(labels.max()) - int(labels.min()) + 1
    if n_values > 8 * len(labels):
        return _code_objects(labels.tolist())
    # Unsigned differences are right whatever the sign and the width of the labels.
    offsets = (labels.astype(np.uint64) - low.astype(np.uint64)).astype(np.intp)
    first = np.full(n_values, len(labels))
    first[offsets[::-1]] = np.arange(len(labels))[::-1]  # the last assignment stays
    values = np.flatnonzero(first < len(labels))
    values = values[np.argsort(first[values])]
    number = np.empty(n_values, dtype=np.intp)
    number[values] = np.arange(len(values))
    return labels[first[values]].tolist(), number[offsets]


def names_of(labels: Any) -> list[Any]:
    """One label, or the labels of a sequence or a set, as `group_rows` names tasks."""
    if isinstance(labels, MutableSet | KeysView):  # a frozenset is one label
        labels = list(labels)
    is_one = isinstance(labels, str | bytes | tuple) or np.ndim(labels) == 0
    return [_as_scalar(label) for label in ([labels] if is_one else labels)]


def _as_scalar(label: Any) -> Any:
    is_time = isinstance(label, np.datetime64 | np.timedelta64)
    return label if is_time or not hasattr(label, "item") else label.item()


def as_array(names: list[Any]) -> np.ndarray:
    """Labels as an array of shape (n_labels,), of objects if they are not scalars."""
    if len({type(name) for name in names}) == 1 and np.ndim(names[0]) == 0:
        return np.array(names)
    array = np.empty(len(names), dtype=object)
    for row, name in enumerate(names):
        array[row] = name
    return array


def row_numbers(labels: Any, has_weight: np.ndarray) -> np.ndarray:
    """The number of every row within its task."""
    _, starts, order = group_rows(labels, len(has_weight))
    numbers = np.arange(len(has_weight)) - np.repeat(starts[:-1], np.diff(starts))
    if order is None:
        return numbers
    scattered = np.empty_like(numbers)
    scattered[order[0]] = numbers
    return scattered


def _differ(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Elementwise a != b; what cannot be compared (pandas.NA) differs."""
    if a.dtype != object:
        return a != b
    differ = [x is not y and _unequal(x, y) for x, y in zip(a, b, strict=True)]
    return np.array(differ, dtype=bool)


def is_missing(label: Any) -> bool:
    """Whether a label is None, NaN, NaT or pandas.NA."""
    return label is None or _unequal(label, label)


def _unequal(a: Any, b: Any) -> bool:
    try:
        return bool(a != b)
    except TypeError:
        return True


def _check_present(run_labels: list[Any], runs: np.ndarray) -> None:
    for label, row in zip(run_labels, runs, strict=True):
        if is_missing(label):
            raise ValueError(
                f"tasks has a missing label ({label}) in row {row}. Drop the row, or "
                "give it a separate label."
            )
