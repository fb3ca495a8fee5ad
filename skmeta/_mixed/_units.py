"""Location and scale of features and target, and how coefficients are converted."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray

NOT_VARIED = 1e-7  # a spread below this share of the mean is rounding error

__all__ = ["Units", "along", "learn_units"]


def along(rows: Array, vector: Array) -> Array:
    """rows @ vector, where the sum of a row does not depend on the other rows."""
    return np.einsum("...j,j->...", rows, vector)


@dataclass(frozen=True)
class Units:
    """Coordinates x_u = (x - mean) scale, y_u = (y - target_mean) / target_scale.

    `mean` and `target_mean` are counted from the origin.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_features,)
        The scale is zero for a feature that has not varied.
    target_mean, target_scale : float
    varies : bool ndarray of shape (p,)
        Which coefficients the data depend on.
    """

    mean: Array
    scale: Array
    target_mean: float
    target_scale: float
    varies: Array

    def __getstate__(self) -> dict[str, Any]:
        """Without what is cached: a pickle does not depend on what was read before."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def matrix(self) -> Array:
        """F: coefficients from the origin are F theta_u target_scale, plus a level."""
        F = np.diag(np.append(self.scale, 1.0))
        F[-1, :-1] = -self.mean * self.scale
        return F

    @cached_property
    def inverse(self) -> Array:
        """Of `matrix`, zero where a feature has not varied."""
        has_scale = self.scale > 0
        spread = np.divide(
            1.0, self.scale, out=np.zeros_like(self.scale), where=has_scale
        )
        inverse = np.diag(np.append(spread, 1.0))
        inverse[-1, :-1] = np.where(has_scale, self.mean, 0.0)
        return inverse

    def coefficients(self, theta: Array) -> Array:
        """From units to coordinates from the origin; coefficients in the last axis."""
        changed = np.empty_like(theta)
        np.multiply(
            theta[..., :-1], self.scale * self.target_scale, out=changed[..., :-1]
        )
        changed[..., -1] = theta[..., -1] * self.target_scale + self.target_mean
        changed[..., -1] -= along(changed[..., :-1], self.mean)
        return changed

    def covariance(self, matrix: Array) -> Array:
        """The same for covariances of coefficients."""
        return self.matrix @ matrix @ self.matrix.T * self.target_scale**2

    def features(self, X: Array) -> Array:
        """Rows of features, counted from the origin, in units."""
        return (X - self.mean) * self.scale

    def change_to(self, other: Units) -> Array:
        """Matrix from coefficients in these units to the other's, up to the level."""
        ratio = self.target_scale / other.target_scale
        return other.inverse @ self.matrix * ratio


def learn_units(mean: Array, squares: Array, bias: float, learn_target: bool) -> Units:
    """Units of rows with these means and mean squares about them, target last."""
    spread = np.sqrt(np.maximum(squares, 0.0))
    features = spread[:-1] > NOT_VARIED * np.abs(mean[:-1])
    varies = np.append(features, bias > 0)
    scale = np.divide(1.0, spread[:-1], out=np.zeros(len(mean) - 1), where=features)
    if not learn_target:
        return Units(mean[:-1], scale, 0.0, 1.0, varies)
    target_scale = float(spread[-1]) or 1.0
    return Units(mean[:-1], scale, float(mean[-1]), target_scale, varies)
