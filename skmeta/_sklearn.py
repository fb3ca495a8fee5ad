"""The only importer of scikit-learn's underscored helpers.

A rename upstream is a one-line repair here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from inspect import signature
from typing import Any

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_params,
)
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import (
    _check_feature_names,
    _check_sample_weight,
    _num_samples,
)

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback._callback_support import callback_management_context
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing: this scikit-learn has no callbacks."""

    callback_management_context = None


__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "Progress",
    "StrOptions",
    "_check_feature_names",
    "_check_partial_fit_first_call",
    "_fit_context",
    "_num_samples",
    "_safe_indexing",
    "check_sample_weight",
    "report_progress",
    "reports_to_callbacks_of_another",
    "validate_params",
]

_MAY_ALL_BE_ZERO = (
    {"allow_all_zero_weights": True}
    if "allow_all_zero_weights" in signature(_check_sample_weight).parameters
    else {}
)


def check_sample_weight(sample_weight: Any, X: Any) -> np.ndarray:
    """Weights >= 0 as float64, one per row of X; all may be zero."""
    return _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True, **_MAY_ALL_BE_ZERO
    )


class Progress:
    """Tells the callbacks of an estimator about the steps of its `fit`.

    Parameters
    ----------
    estimator : estimator
    root : CallbackContext or None
        None: there are no callbacks, and every method does nothing.
    data : dict
        What callbacks may ask for: X, y and metadata.
    """

    def __init__(self, estimator: Any = None, root: Any = None, data: Any = None):
        self._estimator, self._root, self._data = estimator, root, data
        self._step: Any = None

    def begin_step(self, name: str) -> None:
        """One of the steps begins."""
        if self._root is None:
            return
        self._step = self._root.subcontext(task_name=name)
        self._step.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def end_step(self, learned: Callable[[], dict[str, Any]]) -> bool:
        """The step ends; whether a callback asks to stop.

        `learned` returns the attributes of a copy of the estimator that has learned
        what this one has so far. It is called only if a callback needs such a copy.
        """
        return self._root is not None and self._end(self._step, learned)

    def end(self, learned: Callable[[], dict[str, Any]]) -> None:
        """All steps have ended."""
        if self._root is not None:
            self._end(self._root, learned)

    def _end(self, context: Any, learned: Callable[[], dict[str, Any]]) -> bool:
        return context.call_on_fit_task_end(
            estimator=self._estimator, reconstruction_attributes=learned, **self._data
        )


_NOT_REPORTED = nullcontext(Progress())


def reports_to_callbacks_of_another(estimator: Any) -> bool:
    """Whether another estimator, as a search, fits this one under its callbacks."""
    attributes = vars(estimator)
    return "_parent_callback_ctx" in attributes and bool(
        attributes.get("_skl_callbacks")
    )


def report_progress(
    estimator: Any, name: str, n_steps: int | None, X: Any, y: Any, sample_weight: Any
) -> AbstractContextManager[Progress]:
    """The progress of one call, reported to the callbacks of the estimator.

    `name` is what callbacks show. `n_steps` is None in a call that is not a `fit`:
    nothing is reported.
    """
    attributes = vars(estimator)
    if n_steps is None or not (
        "_skl_callbacks" in attributes or "_parent_callback_ctx" in attributes
    ):
        return _NOT_REPORTED
    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    data = {"X": X, "y": y, "metadata": metadata}
    return _reported(estimator, name, n_steps, data)


@contextmanager
def _reported(
    estimator: Any, name: str, n_steps: int, data: dict[str, Any]
) -> Iterator[Progress]:
    with callback_management_context(estimator):
        root = estimator._init_callback_context(task_name=name, max_subtasks=n_steps)
        root.call_on_fit_task_begin(estimator=estimator, **data)
        yield Progress(estimator, root, data)


def take(X: Any, rows: np.ndarray) -> Any:
    """Rows of a table, a list, an array or a sparse matrix."""
    if isinstance(X, np.ndarray):  # in a tenth of the time
        return X[rows]
    return _safe_indexing(X, rows)
