"""What users pass in, checked and in the form that the kernels read."""

from contextlib import contextmanager
from itertools import dropwhile

import numpy as np
import scipy.sparse as sp
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from skmeta._sklearn import _check_sample_weight
from skmeta._tasks import is_missing


@contextmanager
def unchanged_on_error(estimator):
    """Give the estimator back the attributes that it had if the block fails."""
    before = estimator.__dict__.copy()
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise


def check_X(estimator, X, *, reset, ensure_all_finite=True):
    """A C-contiguous float array, or CSR with sorted, unique 32-bit indices."""
    try:
        X = validate_data(
            estimator,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            order="C",
            ensure_all_finite=ensure_all_finite,
        )
    except ValueError as error:
        if "could not convert" in str(error):
            error.add_note(
                "Every feature must be a number. A column of task labels is not a "
                "feature: name it as the task_column of a meta-estimator."
            )
        raise
    if sp.issparse(X):
        X = _canonical(X)
    return X


def _canonical(X):
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    if X.indices.dtype == np.int32 and X.indptr.dtype == np.int32:
        return X
    if X.nnz > np.iinfo(np.int32).max:
        raise ValueError(
            f"X has {X.nnz} stored values; at most {np.iinfo(np.int32).max} can be "
            "learned from in one call. Split the rows over several calls."
        )
    parts = X.data, X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return type(X)(parts, shape=X.shape)


def _check_y(estimator, X, y):
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is "
            "None."
        )
    y = column_or_1d(y, warn=True)
    check_consistent_length(X, y)
    if y.dtype.kind == "c":
        raise ValueError("Complex data not supported: y must be real.")
    return y


def check_numeric_y(estimator, X, y):
    """A float64 target per row; a missing or infinite one is left as it is."""
    y = _check_y(estimator, X, y)
    if y.dtype.kind == "O":
        y = np.array([np.nan if is_missing(value) else value for value in y], object)
    try:
        return np.ascontiguousarray(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"y must hold numbers for {type(estimator).__name__}: {error}."
        ) from error


_MIXED = "The class labels in y must be of one kind, all numbers or all strings: {}."


def check_class_labels(estimator, X, y):
    """Class labels per row and which of them are missing (None, NaN, infinite)."""
    y = _check_y(estimator, X, y)
    if y.dtype.kind == "f":
        missing = ~np.isfinite(y)
    elif y.dtype.kind == "O":
        missing = np.array([is_missing(label) for label in y], dtype=bool)
    else:
        missing = np.zeros(len(y), dtype=bool)
    try:
        if not missing.all():
            check_classification_targets(y[~missing])
    except TypeError as error:
        raise ValueError(_MIXED.format(error)) from error
    return y, missing


def find_classes(y, missing):
    """The sorted distinct labels of a first call."""
    try:
        classes = np.unique(y[~missing])
    except TypeError as error:
        raise ValueError(_MIXED.format(error)) from error
    return classes


def encode_labels(y, missing, classes):
    """Targets for the kernels: -1 and +1, or class indices for several outputs.

    A missing label and one that is not in `classes` become NaN.
    """
    codes = np.full(len(y), np.nan)
    known = ~missing
    try:
        index = np.searchsorted(classes, y[known])
    except TypeError:
        return codes
    index[index == len(classes)] = 0
    found = classes[index] == y[known]
    codes[known] = np.where(found, index, np.nan)
    return 2.0 * codes - 1.0 if len(classes) == 2 else codes


def check_weights(sample_weight, X):
    """(weights of the rows that count or None, their row mask or None for all rows).

    A row of weight zero is left out altogether.
    """
    if sample_weight is None:
        return None, None
    weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    counts = weight > 0
    if not counts.any():
        raise ValueError(
            "All sample weights are zero: at least one row needs a positive weight."
        )
    if counts.all():
        return np.ascontiguousarray(weight), None
    return weight[counts], counts


def check_start(value, name, shape):
    """An array given by the user as float64, finite and of the given shape.

    Leading dimensions of one may be left out.
    """
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers: {error}.") from error
    if _without_ones(array.shape) != _without_ones(shape):
        raise ValueError(
            f"{name} must be an array of shape {shape}; got shape {array.shape}."
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite: it contains NaN or infinity.")
    return array.reshape(shape)


def _without_ones(shape):
    return tuple(dropwhile(lambda n: n == 1, shape))


def check_positive(value, name, owner, shape):
    """A positive parameter: one number, of shape (1, 1), or an array of `shape`."""
    try:
        array = check_start(value, name, shape if np.ndim(value) else (1, 1))
    except ValueError as error:
        raise ValueError(f"The {name!r} parameter of {owner}: {error}") from error
    if not (array > 0).all():
        raise ValueError(
            f"The {name!r} parameter of {owner} must be positive in every entry. Got "
            f"{value!r} instead."
        )
    return array


def check_offset(theta, name, fit_intercept):
    """Refuse to start at an intercept that would not be learned."""
    if theta[:, -1].any() and not fit_intercept:
        raise ValueError(
            f"{name} holds an intercept, but with fit_intercept=False none is learned: "
            "start without one, or set fit_intercept=True."
        )


def find_nonfinite(X):
    """(row, column) of the first NaN or infinite value of X, or None."""
    if sp.issparse(X):
        X = X.tocoo()
        bad = np.flatnonzero(~np.isfinite(X.data))
        return (int(X.row[bad[0]]), int(X.col[bad[0]])) if bad.size else None
    bad = np.argwhere(~np.isfinite(X))
    return tuple(int(i) for i in bad[0]) if len(bad) else None
