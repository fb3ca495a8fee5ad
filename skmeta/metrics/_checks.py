"""Checks of the numbers that the functions of arrays take."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def check_number(name: str, value: float, *, allow_zero: bool = False) -> float:
    """The value as a float, if it is finite and > 0."""
    number = float(value)
    if not (np.isfinite(number) and (number > 0 or (allow_zero and number == 0))):
        allowed = ">= 0" if allow_zero else "> 0"
        raise ValueError(f"{name} must be a finite number {allowed}. Got {value!r}.")
    return number


def check_parameters(
    name: str, values: ArrayLike, shape: tuple[int, ...] | None = None
) -> np.ndarray:
    """Finite parameters as floats, of this shape; None: at least one of them."""
    array = np.asarray(values, dtype=float)
    if shape is None and (array.ndim == 0 or not len(array)):
        raise ValueError(f"{name} must hold a parameter per task, and at least one.")
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}. Got {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, but contains NaN or infinity.")
    return array


def check_sizes(
    name: str, values: ArrayLike, shape: tuple[int, ...], *, allow_zero: bool = False
) -> np.ndarray:
    """Finite numbers > 0, of this shape."""
    array = check_parameters(name, values, shape)
    if (array < 0).any() or (not allow_zero and (array == 0).any()):
        allowed = ">= 0" if allow_zero else "> 0"
        raise ValueError(f"{name} must be {allowed}. Got {array.min():.6g}.")
    return array
