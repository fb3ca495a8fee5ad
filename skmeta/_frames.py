"""Tables with named columns: pandas, polars, pyarrow and what narwhals can read.

pandas is used through its own methods. narwhals, which scikit-learn 1.9 brings, reads
the others; it is imported only for them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import numpy as np
import scipy.sparse as sp

_ARRAYS = (np.ndarray, list, tuple)
_IS_TABLE = ("__arrow_c_stream__", "__dataframe__", "__narwhals_dataframe__", "collect")

_REMEDIES = {
    "dates": (
        "Remove it, or turn it into numbers, such as the day of the week or the days "
        "since a fixed date"
    ),
    "text": (
        "Remove it, or encode it (OneHotEncoder, OrdinalEncoder, TableVectorizer of "
        "skrub)"
    ),
}


def is_pandas(X: Any) -> bool:
    """Whether X is a pandas DataFrame, or has its interface."""
    if type(X) is np.ndarray:  # a failed hasattr takes time
        return False
    return hasattr(X, "iloc") and hasattr(X, "columns")


def is_other_frame(X: Any) -> bool:
    """Whether X is a table that is read through narwhals."""
    if isinstance(X, _ARRAYS) or sp.issparse(X) or hasattr(X, "iloc"):
        return False
    if not any(hasattr(X, name) for name in _IS_TABLE):
        return False
    kind = type(X)
    is_column = hasattr(kind, "to_list") or hasattr(kind, "to_pylist")
    return hasattr(kind, "columns") or not is_column


def _narwhals() -> Any:
    try:
        import narwhals
    except ImportError as error:
        raise ImportError(
            "Tables other than pandas DataFrames are read with narwhals, which is not "
            "installed. Install it (`pip install narwhals`; scikit-learn 1.9 brings "
            "it), or pass X.to_pandas() or X.to_numpy()."
        ) from error
    return narwhals


def read_frame(X: Any) -> Any:
    """A narwhals DataFrame of a table that is not a pandas one.

    Raises
    ------
    ImportError
        If narwhals is not installed.
    TypeError
        If the table is lazy, or narwhals cannot read it.
    """
    nw = _narwhals()
    frame = nw.from_native(X, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        raise TypeError(
            f"X is a lazy table ({type(X).__module__}.{type(X).__name__}), whose rows "
            "have no fixed order. Pass X.collect(), or another table in memory."
        )
    if isinstance(frame, nw.DataFrame):
        return frame
    try:
        return nw.from_arrow(X, backend="pyarrow")
    except (ImportError, TypeError, ValueError) as error:
        raise TypeError(
            f"X, a {type(X).__module__}.{type(X).__name__}, cannot be read as a table: "
            f"{error}. Pass a pandas, polars or pyarrow table, or an array."
        ) from error


def read_series(values: Any) -> Any | None:
    """A narwhals Series of a column of polars or Arrow; None of any other."""
    if hasattr(values, "iloc") or type(values).__module__.startswith("pandas"):
        return None
    if not hasattr(values, "__arrow_c_stream__"):
        if not hasattr(values, "__arrow_c_array__"):
            return None
        import pyarrow as pa

        values = pa.chunked_array([pa.array(values)])
    nw = _narwhals()
    series = nw.from_native(values, allow_series=True, pass_through=True)
    return series if isinstance(series, nw.Series) else None


def column_names(X: Any) -> list[Any] | None:
    """The names of the columns of a table; None for what is not one."""
    if is_pandas(X):
        return list(X.columns)
    return list(read_frame(X).columns) if is_other_frame(X) else None


def columns_of(X: Any) -> dict[Any, Any]:
    """The columns of a table by name."""
    if is_pandas(X):
        return {name: X.iloc[:, j] for j, name in enumerate(X.columns)}
    frame = read_frame(X)
    return {name: frame[name].to_native() for name in frame.columns}


def split_frame(X: Any, columns: Sequence[Any]) -> tuple[Any, dict[Any, Any]]:
    """(the table without the columns, the columns by name).

    Without any other column, the rest is an array of shape (n_samples, 0).

    Raises
    ------
    ValueError
        If X has not exactly one column of each name.
    """
    names = column_names(X)
    assert names is not None
    chosen = [_find(X, names, column) for column in columns]
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"task_column={list(columns)!r} names a column twice.")
    if is_pandas(X):
        taken = {name: X[name] for name in chosen}
        rest = X.drop(columns=chosen)
    else:
        frame = read_frame(X)
        taken = {name: frame[name].to_native() for name in chosen}
        rest = frame.drop(chosen).to_native()
    return (np.empty((len(X), 0)) if len(names) == len(chosen) else rest), taken


def _find(X: Any, names: list[Any], column: Any) -> Any:
    """The name of a column, given by name or, if none has that name, by position."""
    if column not in names and not isinstance(column, str):
        if -len(names) <= int(column) < len(names):
            column = names[int(column)]
    if names.count(column) == 1:
        return column
    hint = ""
    if column in getattr(getattr(X, "index", None), "names", ()):
        hint = " The index has that name: use reset_index()."
    if any(str(name).endswith(f"__{column}") for name in names):
        hint = " Give the transformer verbose_feature_names_out=False."
    count = names.count(column) or "no"
    noun = "column" if count == "no" else "columns"
    raise ValueError(
        f"X has {count} {noun} {column!r} (task_column). Its columns: {names}." + hint
    )


def frame_values(X: Any) -> np.ndarray:
    """The numbers of a table that is not a pandas one; NaN for what is missing.

    Raises
    ------
    ValueError
        If a column holds anything else, such as dates or text.
    """
    frame = read_frame(X)
    columns = []
    for name, dtype in frame.schema.items():
        series = frame[name]
        values = series.to_numpy()
        if dtype.is_temporal() or values.dtype.kind in "OUST":
            for row, value in enumerate(series.to_list()):
                if _is_date(value) or isinstance(value, str | bytes):
                    _refuse(name, row, value)
        is_small = values.dtype.kind == "f" and values.dtype.itemsize <= 4
        try:
            column = np.asarray(values, np.float32 if is_small else np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Feature {name!r} of X is a column of {dtype}, but every feature must "
                "be a number. Remove it, or turn it into numbers."
            ) from error
        columns.append(column)
    return np.column_stack(columns) if columns else np.empty((len(frame), 0))


def has_dates(X: Any) -> bool:
    """Whether X has a type of dates or durations, which NumPy would read as numbers."""
    dtypes = X.dtypes if is_pandas(X) else [getattr(X, "dtype", None)]
    return any(getattr(dtype, "kind", None) in ("m", "M") for dtype in dtypes)


def refuse_other_than_numbers(X: Any) -> None:
    """Raise ValueError naming the first feature of dates or text, if there is one."""
    for name, values in _columns(X):
        if values.dtype.kind in "mM" and len(values):
            _refuse(name, 0, values[0])
        if values.dtype.kind in "OSTU":
            for row, value in enumerate(values):
                if _is_date(value) or _is_text(value):
                    _refuse(name, row, value)


def _columns(X: Any) -> Iterator[tuple[Any, np.ndarray]]:
    if is_pandas(X):
        for j, name in enumerate(X.columns):
            yield name, np.asarray(X.iloc[:, j])
        return
    if sp.issparse(X):
        return
    try:
        array = np.asarray(X)
    except (TypeError, ValueError):
        array = np.array(X, dtype=object)
    if array.ndim == 2:
        yield from enumerate(array.T)


def _is_date(value: Any) -> bool:
    kinds = dt.date | dt.time | dt.timedelta | np.datetime64 | np.timedelta64
    return isinstance(value, kinds) or type(value).__name__ == "Period"


def _is_text(value: Any) -> bool:
    """Whether a value is text that is no number."""
    if not isinstance(value, str | bytes):
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False


def _refuse(name: Any, row: int, value: Any) -> NoReturn:
    kind = "dates" if _is_date(value) else "text"
    value = str(value) if isinstance(value, np.generic) else value
    raise ValueError(
        f"Feature {name!r} of X holds {kind} ({value!r} in row {row}), but every "
        f"feature must be a number. {_REMEDIES[kind]}. If it holds the task labels, "
        "name it as the task_column of a meta-estimator."
    )
