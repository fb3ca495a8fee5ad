"""A custom loss, whose results are checked in every call."""

from __future__ import annotations

from typing import Any

import numpy as np

from skmeta.losses import Array, Loss, Numbers


class NonFiniteLoss(ArithmeticError):
    """A loss returned NaN or infinity for finite scores."""


class CheckedLoss(Loss):
    """The methods of a loss that the loop over samples calls, with checks.

    Parameters
    ----------
    loss : Loss

    Raises
    ------
    TypeError
        If a method returns something else than real numbers.
    ValueError
        If it does not return a number for every score.
    NonFiniteLoss
        If it returns NaN or infinity for finite targets and scores.
    """

    def __init__(self, loss: Loss):
        self.loss = loss

    def value(self, y: Numbers, z: Numbers) -> Array:
        return self._checked("value", self.loss.value(y, z), y, z)

    def slope(self, y: Numbers, z: Numbers) -> Array:
        return self._checked("slope", self.loss.slope(y, z), y, z)

    def proximal_slope(
        self, y: Numbers, z: Numbers, q: Numbers, weight: Numbers
    ) -> Array:
        found = self.loss.proximal_slope(y, z, q, weight)
        return self._checked("proximal_slope", found, y, z)

    def _checked(self, method: str, found: Any, y: Array, z: Array) -> Array:
        """What a method returned, as an array of the shape of the scores."""
        numbers = np.asarray(found)
        name = f"{type(self.loss).__name__}.{method}"
        if numbers.dtype.kind not in "biuf":
            raise TypeError(f"{name} must return real numbers. Got {found!r}.")
        if numbers.shape != z.shape:
            if numbers.ndim or z.size > 1:
                raise ValueError(
                    f"{name} must return a number for every score: an array of shape "
                    f"{z.shape}. Got shape {numbers.shape}."
                )
            numbers = numbers.reshape(z.shape)
        if np.isfinite(numbers).all() or not np.isfinite([*y, *z]).all():
            return numbers
        raise NonFiniteLoss(
            f"{name} returned {found!r} for the targets {y.tolist()} and the scores "
            f"{z.tolist()}"
        )
