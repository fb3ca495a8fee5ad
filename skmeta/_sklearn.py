"""The only importer of scikit-learn's underscored helpers.

A rename upstream is a one-line repair here.
"""

from __future__ import annotations

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

__all__ = [
    "HasMethods",
    "Interval",
    "StrOptions",
    "_check_feature_names",
    "_check_partial_fit_first_call",
    "_fit_context",
    "_num_samples",
    "_safe_indexing",
    "check_sample_weight",
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
