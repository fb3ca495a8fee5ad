"""Task labels: from one label per row to tasks as row ranges, and their errors.

Tasks are taken in order of first appearance; the rows of a task keep their order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import islice
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp

from skmeta._frames import column_names, is_other_frame, is_pandas, split_frame
from skmeta._label_columns import (
    MOST_PARTS,
    KeyColumns,
    check_fractions,
    check_labels,
    names_in,
    names_of,
)
from skmeta._names import kind_in_words, kind_of, spellings
from skmeta._sparse import check_indices, check_pointers

__all__ = [
    "as_array",
    "check_fractions",
    "check_labels",
    "code_rows",
    "first_few",
    "group_rows",
    "mismatch",
    "names_of",
    "row_numbers",
    "split_column",
    "split_labels",
]

# ---- the columns of X that hold the labels


_COLUMN_NAMES = (str, tuple, list)


def split_labels(X: Any, tasks: Any, column: Any) -> tuple[Any, Any]:
    """(features, labels): the labels come from `tasks`, or from the column if given.

    Raises
    ------
    ValueError
        If there are both, X has no such column, or `tasks` is the name of a column.
    """
    if column is None:
        if isinstance(tasks, _COLUMN_NAMES) and type(X) is not np.ndarray:
            _check_not_columns(X, tasks)
        return X, tasks
    if tasks is not None:
        raise ValueError(
            f"Give the task labels once: as tasks= or as task_column={column!r}, not "
            "both."
        )
    return split_column(X, column)


def _check_not_columns(X: Any, tasks: Any) -> None:
    """Raise ValueError if `tasks` names columns of X."""
    names = [tasks] if isinstance(tasks, str) else tasks
    if not 0 < len(names) <= MOST_PARTS or type(names[0]) is not str:
        return
    known = column_names(X)
    if known is None or not all(type(one) is str and one in known for one in names):
        return
    if isinstance(tasks, list) and len(tasks) == len(X):
        return  # one label per row
    raise ValueError(
        f"tasks={tasks!r} is the name of a column of X, which would stay a feature. "
        f"To read the labels from it, set the parameter task_column={tasks!r} and "
        "leave out tasks. If it is the label of all rows, pass one label per row."
    )


def split_column(X: Any, column: Any) -> tuple[Any, Any]:
    """Take the column that holds the task labels out of X: (features, labels).

    A list of columns gives one compound label per row.

    Raises
    ------
    ValueError
        If X has no such column.
    """
    is_list = isinstance(column, list | tuple)
    columns = list(column) if is_list else [column]
    if not columns or any(
        isinstance(one, bool) or not isinstance(one, str | Integral) for one in columns
    ):
        allowed = "a list of names or indices" if is_list else "a name or an index"
        raise ValueError(f"task_column must be {allowed}. Got {column!r}.")
    if is_pandas(X) or is_other_frame(X):
        rest, taken = split_frame(X, columns)
    else:
        rest, taken = _split_array(X, columns)
    return rest, KeyColumns(taken) if is_list else next(iter(taken.values()))


def _split_array(X: Any, columns: list[Any]) -> tuple[Any, dict[Any, Any]]:
    for column in columns:
        if isinstance(column, str):
            raise ValueError(
                f"task_column={column!r} is a name, but X has no column names: pass a "
                "DataFrame, or the index of the column. A transformer keeps the names "
                "after set_output(transform='pandas') or 'polars'."
            )
    if not (sp.issparse(X) or isinstance(X, np.ndarray)):
        X = _array_of_rows(X)
    width = X.shape[1] if X.ndim == 2 else 0
    for column in columns:
        if not -width <= column < width:
            raise ValueError(
                f"X of shape {X.shape} has no column {column} (task_column)."
            )
    indices = [int(column) % width for column in columns]
    if len(set(indices)) < len(indices):
        raise ValueError(f"task_column={columns!r} names a column twice.")
    others = np.setdiff1d(np.arange(width), indices)
    if sp.issparse(X):
        check_pointers(X)
        check_indices(X)
        X = X.tocsc()
        taken = {index: X[:, [index]].toarray()[:, 0] for index in indices}
        return X[:, others].tocsr(), taken
    return X[:, others], {index: X[:, index] for index in indices}


def _array_of_rows(X: Any) -> np.ndarray:
    """A list of rows, whose entries keep their types."""
    return np.array(X, dtype=object)


def group_rows(
    labels: Any, n_samples: int
) -> tuple[list[Any] | None, np.ndarray, np.ndarray | None]:
    """Group rows by label, in order of first appearance.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,), one label, or None
        As `check_labels` returns them. One label for all rows makes them one task,
        None one without a name.
    n_samples : int

    Returns
    -------
    names : list of the n_tasks distinct labels, canonical, or None
    starts : intp ndarray of shape (n_tasks + 1,)
    order : intp ndarray of shape (1, n_samples) or None
        None if the rows of every task are already adjacent.
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
    return *_code_objects(names_in(labels)), edges


def _code_objects(labels: list[Any]) -> tuple[list[Any], np.ndarray]:
    code: dict[Any, int] = {}
    codes = [code.setdefault(label, len(code)) for label in labels]
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


def as_array(names: list[Any]) -> np.ndarray:
    """Labels as an array of shape (n_labels,), of objects if NumPy would change them.

    NumPy promotes large integers to floats, and cuts null characters at the end of
    strings.
    """
    types = {type(name) for name in names}
    if types == {int}:
        for dtype in (np.int64, np.uint64):
            try:
                return np.array(names, dtype=dtype)
            except OverflowError:
                continue
    elif len(types) == 1 and types != {tuple} and np.ndim(names[0]) == 0:
        array = np.array(names)
        if array.dtype.kind not in "US" or array.tolist() == names:
            return array
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
    """Elementwise a != b."""
    if a.dtype != object:
        return a != b
    differ = [x is not y and _unequal(x, y) for x, y in zip(a, b, strict=True)]
    return np.array(differ, dtype=bool)


def _unequal(a: Any, b: Any) -> bool:
    try:
        return bool(a != b)
    except (OverflowError, TypeError, ValueError):  # NumPy compares with anything
        return True


# ---- labels that are all unknown


def first_few(labels: Any) -> list[Any]:
    """At most eight of the keys of a dict that another thread may be writing to."""
    while True:
        try:
            return list(islice(labels, 8))
        except RuntimeError:  # it changed while it was read
            continue


def mismatch(
    names: Sequence[Hashable],
    examples: Sequence[Hashable],
    are_known: Callable[[list[Any]], Any],
) -> str | None:
    """How unknown labels differ from the known ones, if they seem to mean the same.

    Parameters
    ----------
    names : sequence of labels
        All of them unknown.
    examples : sequence of labels
        Some of the known ones.
    are_known : callable
        Which of a list of labels are known.

    Returns
    -------
    difference : str or None
        A sentence.
    """
    if not examples:
        return None
    if set(map(kind_of, examples)).isdisjoint(map(kind_of, names)):
        kind = kind_in_words(names[0])
        return (
            f"The label {names[0]!r} is {kind}; the known ones, such as "
            f"{examples[0]!r}, are not."
        )
    for name in names[:8]:
        others = spellings(name, examples)
        known = are_known(others) if others else []
        for other, is_known in zip(others, known, strict=True):
            if is_known:
                return f"The label {name!r} is unknown, but {other!r} is known."
    return None
