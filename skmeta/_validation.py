"""What users pass in, checked and in the form that the kernels read."""

from contextlib import contextmanager
from functools import cache
from itertools import dropwhile
from math import isfinite
from operator import attrgetter

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.base import BaseEstimator, clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from skmeta import _kernels
from skmeta._kernels import _loops_py
from skmeta._sklearn import _check_feature_names, _check_sample_weight
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


def validate_parameters(estimator):
    """Check an estimator's parameters, unless scikit-learn is told not to."""
    if not get_config()["skip_parameter_validation"]:
        estimator._validate_params()


class ParameterWatch:
    """The parameters of an estimator at one time, to see cheaply whether any changed.

    Those of nested estimators count; `init` does not, as it matters to a first call
    only. A value that may change without being replaced, as an array, counts as changed
    always.

    Parameters
    ----------
    estimator : estimator
    nested : sequence of str
        The parameters that may be estimators.
    """

    def __init__(self, estimator, nested):
        names = _names_of(type(estimator)) - {"init"}
        for name in nested:
            part = getattr(estimator, name)
            if isinstance(part, BaseEstimator):
                names |= {f"{name}.{inner}" for inner in _names_of(type(part))}
        self._read = attrgetter(*names)
        self._values = self._read(estimator)
        try:
            hash(self._values)
        except TypeError:
            self._values = None

    def is_same(self, estimator):
        """Whether no parameter was replaced."""
        try:
            return self._read(estimator) == self._values
        except (AttributeError, ValueError):  # another class; an array to compare
            return False


@cache
def _names_of(cls):
    return frozenset(cls._get_param_names())


_CONSTANTS = {bool, float, int, str, type(None)}


def cheap_clone(estimator):
    """`clone`, at a tenth of its time for an estimator that holds constants only."""
    attributes = vars(estimator)
    if attributes.keys() != _names_of(type(estimator)) or not (
        _CONSTANTS.issuperset(map(type, attributes.values()))
    ):
        return clone(estimator)
    twin = object.__new__(type(estimator))
    vars(twin).update(attributes)
    return twin


def is_plain(array, dtype, ndim):
    """Whether an array has the form that the kernels read."""
    if type(array) is not np.ndarray or array.ndim != ndim or array.dtype != dtype:
        return False
    flags = array.flags
    return flags.c_contiguous and flags.aligned


def _readable(array, dtype=None):
    """The values in the order and at addresses that the kernels can read."""
    return np.require(array, dtype, ("C_CONTIGUOUS", "ALIGNED"))


def _as_array(values, n_dims):
    """What NumPy makes of lists, frames and arrays, if it has `n_dims`; or None."""
    if sp.issparse(values) or isinstance(values, np.matrix):
        return None
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):
        return None
    return array if array.ndim == n_dims and array.size else None


def _as_floats(X):
    """X as `check_X` returns it, where only its place in memory may change; or None."""
    if type(X) in (sp.csr_matrix, sp.csr_array):
        parts = (X.data, np.float64), (X.indices, np.int32), (X.indptr, np.int32)
        if all(is_plain(part, dtype, 1) for part, dtype in parts) and (
            X.has_canonical_format and min(X.shape) > 0
        ):
            return X
        return None
    X = _as_array(X, 2)
    if X is None or X.dtype not in (np.float64, np.float32):
        return None
    return _readable(X)


def check_X(estimator, X, *, reset, ensure_all_finite=True):
    """A C-contiguous float array, or CSR with sorted, unique 32-bit indices."""
    values = None if ensure_all_finite else _as_floats(X)
    if values is not None and _describes(estimator, X, values.shape[1], reset):
        return values
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
    return _canonical(X) if sp.issparse(X) else _readable(X)


def _describes(estimator, X, width, reset):
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


def _canonical(X):
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
    parts = tuple(map(_readable, parts, kinds))
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
    plain = _as_array(y, 1)
    if plain is not None and plain.dtype.kind in "biuf" and len(plain) == X.shape[0]:
        return _readable(plain, np.float64)
    y = _check_y(estimator, X, y)
    if y.dtype.kind == "O":
        y = np.array([np.nan if is_missing(value) else value for value in y], object)
    try:
        return _readable(y, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"y must hold numbers for {type(estimator).__name__}: {error}."
        ) from error


_MIXED = "The class labels in y must be of one kind, all numbers or all strings: {}."


def check_class_labels(estimator, X, y):
    """Class labels per row; which are missing (None, NaN, infinite), or None: none."""
    plain = _as_array(y, 1)
    if plain is not None and plain.dtype.kind in "biu" and len(plain) == X.shape[0]:
        return plain, None
    y = _check_y(estimator, X, y)
    if y.dtype.kind in "biu":
        return y, None
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
    return y, missing if missing.any() else None


def find_classes(y, missing):
    """The sorted distinct labels of a first call."""
    if y.dtype.kind in "iu":
        low, high = int(y.min()), int(y.max())
        if high - low < len(y):
            seen = np.zeros(high - low + 1, dtype=bool)  # much faster than sorting
            seen[np.subtract(y, low, dtype=np.int64, casting="unsafe")] = True
            return (np.flatnonzero(seen) + low).astype(y.dtype)
    try:
        return np.unique(y if missing is None else y[~missing])
    except TypeError as error:
        raise ValueError(_MIXED.format(error)) from error


def encode_labels(y, missing, classes):
    """Targets for the kernels: -1 and +1, or class indices for several outputs.

    A missing label and one that is not in `classes` become NaN.
    """
    if missing is not None:
        codes = np.full(len(y), np.nan)
        codes[~missing] = encode_labels(y[~missing], None, classes)
        return codes
    are_plain = is_plain(y, np.int64, 1) and is_plain(classes, np.int64, 1)
    encode = (_kernels if are_plain else _loops_py).encode_labels
    try:
        return encode(y, classes)
    except TypeError:  # labels that cannot be compared
        return np.full(len(y), np.nan)


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
        return _readable(weight), None
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
    if isfinite(np.vdot(X, X)):  # no pass over all values but this one
        return None
    bad = np.argwhere(~np.isfinite(X))
    return tuple(int(i) for i in bad[0]) if len(bad) else None
