"""Arrays of a user, checked and in the form that the kernels read."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, DTypeLike
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from skmeta import _kernels
from skmeta._frames import (
    frame_values,
    has_dates,
    is_other_frame,
    read_frame,
    read_series,
    refuse_other_than_numbers,
)
from skmeta._kernels import _loops_py
from skmeta._labels import split_column
from skmeta._names import is_missing
from skmeta._sklearn import _check_feature_names, check_sample_weight
from skmeta._sparse import check_indices, check_pointers, is_checked_by_kernel


def is_kernel_ready(array: Any, dtype: DTypeLike, ndim: int) -> bool:
    """Whether an array has the form that the kernels read."""
    if type(array) is not np.ndarray or array.ndim != ndim or array.dtype != dtype:
        return False
    flags = array.flags
    return bool(flags.c_contiguous and flags.aligned)


def _readable(array: np.ndarray, dtype: Any = None) -> np.ndarray:
    """The values in the order and at addresses that the kernels can read."""
    return np.require(array, dtype, ("C_CONTIGUOUS", "ALIGNED"))


def _as_array(values: Any, n_dims: int) -> np.ndarray | None:
    """What NumPy makes of lists, frames and arrays, if it has `n_dims`; or None."""
    if sp.issparse(values) or isinstance(values, np.matrix):
        return None
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):
        return None
    return array if array.ndim == n_dims and array.size else None


def _as_floats(X: Any) -> Any:
    """X as `check_X` returns it, where only its place in memory may change; or None.

    Raises
    ------
    ValueError
        If the features are dates, or columns of a table are no numbers.
    """
    if is_kernel_ready(X, np.float64, 2) and X.size:
        return X
    if type(X) in (sp.csr_matrix, sp.csr_array):
        parts = (X.data, np.float64), (X.indices, np.int32), (X.indptr, np.int32)
        if all(is_kernel_ready(part, dtype, 1) for part, dtype in parts) and (
            X.has_canonical_format and min(X.shape) > 0
        ):
            return X
        return None
    array = frame_values(X) if is_other_frame(X) and len(X) else _as_array(X, 2)
    if array is not None and array.dtype in (np.float64, np.float32):
        return _readable(array)
    if has_dates(X if array is None or array.dtype == object else array):
        refuse_other_than_numbers(X)
    return None


def check_X(
    estimator: object,
    X: Any,
    *,
    reset: bool,
    ensure_all_finite: bool = True,
    checks_indices: bool = True,
    may_be_empty: bool = False,
) -> Any:
    """A C-contiguous float array, or CSR with sorted, unique 32-bit indices.

    The columns of a `_task_column` of the estimator are taken out. `may_be_empty`:
    whether there may be no features where they are learned (`reset`).
    """
    if vars(estimator).get("_task_column") is not None and not reset:
        X = without_task_column(X, vars(estimator))
    if is_other_frame(X):
        X = read_frame(X).to_native()  # of a library that scikit-learn knows
    check_pointers(X)
    if checks_indices or not is_checked_by_kernel(X):
        check_indices(X)
    values = _as_floats(X)
    if values is not None and not (ensure_all_finite and find_nonfinite(values)):
        if _describes(estimator, X, values.shape[1], reset):
            return values
    if not reset:
        may_be_empty = vars(estimator)["n_features_in_"] == 0
    try:
        X = validate_data(
            estimator,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            order="C",
            ensure_all_finite=ensure_all_finite,
            ensure_min_features=0 if may_be_empty else 1,
        )
    except (TypeError, ValueError) as error:
        if "feature names" not in str(error).lower():
            refuse_other_than_numbers(X)
        raise
    return _canonical(X) if sp.issparse(X) else _readable(X)


def without_task_column(X: Any, attributes: dict[str, Any]) -> Any:
    """X without the columns of `_task_column`, if it has them."""
    column, n_features = attributes["_task_column"], attributes["n_features_in_"]
    n_columns = len(column) if isinstance(column, list | tuple) else 1
    if np.shape(X)[1:] == (n_features + n_columns,):
        return split_column(X, column)[0]
    return X


def _describes(estimator: object, X: Any, width: int, reset: bool) -> bool:
    """Whether X certainly has the width and the names known; learn them if `reset`."""
    attributes = vars(estimator)
    if not reset and width != attributes["n_features_in_"]:
        return False
    if hasattr(X, "columns"):
        _check_feature_names(estimator, X, reset=reset)
    elif reset:
        attributes.pop("feature_names_in_", None)
    elif "feature_names_in_" in attributes:
        return False
    attributes["n_features_in_"] = width
    return True


def _canonical(X: Any) -> Any:
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    parts = [X.data, X.indices, X.indptr]
    if X.indices.dtype == X.indptr.dtype == np.int32 and (
        all(part.flags.aligned for part in parts)
    ):
        return X
    if X.nnz > np.iinfo(np.int32).max:
        raise ValueError(
            f"X has {X.nnz} stored values; at most {np.iinfo(np.int32).max} can be "
            "learned from in one call. Split the rows over several calls."
        )
    kinds = X.dtype, np.int32, np.int32
    return type(X)(tuple(map(_readable, parts, kinds)), shape=X.shape)


def _check_y(estimator: object, X: Any, y: ArrayLike | None) -> np.ndarray:
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is "
            "None."
        )
    shape = np.shape(y)
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(
            f"y should be a 1d array, got an array of shape {shape} instead. For "
            "several targets, fit one model each: MultiOutputRegressor or "
            "MultiOutputClassifier of scikit-learn does so."
        )
    targets: np.ndarray = column_or_1d(y, warn=True)
    if targets.dtype.kind == "O":
        for row, value in enumerate(targets):
            if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
                raise ValueError(
                    f"y must hold one target per row: row {row} holds {value!r}."
                )
    check_consistent_length(X, targets)
    if targets.dtype.kind == "c":
        raise ValueError("Complex data not supported: y must be real.")
    return targets


def check_numeric_y(estimator: object, X: Any, y: ArrayLike) -> np.ndarray:
    """A float64 target per row; a missing or infinite one is unchanged."""
    given: Any = y
    if is_kernel_ready(given, np.float64, 1) and len(given) == X.shape[0]:
        return given
    array = _as_array(y, 1)
    if array is not None and array.dtype.kind in "biuf" and len(array) == X.shape[0]:
        return _readable(array, np.float64)
    y = _check_y(estimator, X, y)
    if y.dtype.kind == "O":
        y = _objects([np.nan if is_missing(value) else value for value in y])
    try:
        return _readable(y, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"y must hold numbers for {type(estimator).__name__}: {error}."
        ) from error


_MIXED = "The class labels in y must be of one kind, all numbers or all strings: {}."


def check_class_labels(
    estimator: object, X: Any, y: ArrayLike
) -> tuple[np.ndarray, np.ndarray | None]:
    """Class labels per row; which are missing (None, NaN, infinite), or None: none."""
    y = _with_missing_objects(y)
    array = _as_array(y, 1)
    if array is not None and array.dtype.kind in "biu" and len(array) == X.shape[0]:
        return array, None
    y = _check_y(estimator, X, y)
    if y.dtype.kind in "biu":
        return y, None
    if y.dtype.kind == "f":
        missing = ~np.isfinite(y)
    elif y.dtype.kind == "O":
        missing = np.array([is_missing(label) for label in y], dtype=bool)
        y = _of_one_type(y, missing)
    else:
        missing = np.zeros(len(y), dtype=bool)
    try:
        if not missing.all():
            check_classification_targets(y[~missing])
    except TypeError as error:
        raise ValueError(_MIXED.format(error)) from error
    return y, missing if missing.any() else None


def _with_missing_objects(y: Any) -> Any:
    """Objects where NumPy would read integers among missing values as floats."""
    series = read_series(y)
    if series is not None:
        return _objects(series.to_list()) if series.null_count() else series.to_numpy()
    if hasattr(y, "isna") and not isinstance(y.dtype, np.dtype) and y.isna().any():
        return y.astype(object)
    return y


def _objects(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _of_one_type(y: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Objects that are all bools, or all integers, as an array of these.

    Values that are missing become any other.
    """
    types = set(map(type, y[~missing]))
    for kinds, dtype in ((bool | np.bool_, bool), (int | np.integer, np.int64)):
        if not types or not all(issubclass(one, kinds) for one in types):
            continue
        if dtype is not bool and bool in types:
            continue
        typed = np.zeros(len(y), dtype=dtype)
        try:
            typed[~missing] = y[~missing]
        except OverflowError:  # beyond 64 bits
            continue
        typed[missing] = typed[~missing][0]
        return typed
    return y


def find_classes(y: np.ndarray, missing: np.ndarray | None) -> np.ndarray:
    """The sorted distinct labels of a first call."""
    y = y if missing is None else y[~missing]
    if y.dtype.kind in "iu" and len(y):
        low, high = int(y.min()), int(y.max())
        if high - low < len(y):
            seen = np.zeros(high - low + 1, dtype=bool)  # much faster than sorting
            seen[np.subtract(y, low, dtype=np.int64, casting="unsafe")] = True
            return (np.flatnonzero(seen) + low).astype(y.dtype)
    try:
        return np.unique(y)
    except TypeError as error:
        raise ValueError(_MIXED.format(error)) from error


def encode_labels(
    y: np.ndarray, missing: np.ndarray | None, classes: np.ndarray
) -> np.ndarray:
    """Targets for the kernels: -1 and +1, or class indices for several outputs.

    A missing label and one that is not in `classes` become NaN.
    """
    if missing is not None:
        codes = np.full(len(y), np.nan)
        codes[~missing] = encode_labels(y[~missing], None, classes)
        return codes
    are_ready = is_kernel_ready(y, np.int64, 1) and is_kernel_ready(
        classes, np.int64, 1
    )
    encode = _kernels.encode_labels if are_ready else _loops_py.encode_labels
    try:
        return encode(y, classes)
    except TypeError:  # labels that cannot be compared
        return np.full(len(y), np.nan)


class NoRowsLeft(ValueError):
    """No row has a positive weight, or none is without NaN and infinity."""


def check_weights(
    sample_weight: ArrayLike | None, X: Any
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(positive weights or None, mask of the rows that have them or None for all rows).

    A row of weight zero is left out.
    """
    if sample_weight is None:
        return None, None
    weight = check_sample_weight(sample_weight, X)
    has_weight = weight > 0
    if not has_weight.any():
        raise NoRowsLeft(
            "All sample weights are zero: at least one row needs a positive weight."
        )
    if has_weight.all():
        return _readable(weight), None
    return weight[has_weight], has_weight


def find_nonfinite(X: Any) -> tuple[int, int] | None:
    """(row, column) of the first NaN or infinite value of X, or None."""
    if sp.issparse(X):
        X = X.tocoo()
        bad = np.flatnonzero(~np.isfinite(X.data))
        return (int(X.row[bad[0]]), int(X.col[bad[0]])) if bad.size else None
    if isfinite(np.vdot(X, X)):  # no pass over all values but this one
        return None
    rows, columns = np.nonzero(~np.isfinite(X))
    return (int(rows[0]), int(columns[0])) if rows.size else None
