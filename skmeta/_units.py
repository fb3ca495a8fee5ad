"""Location and scale of features and target, learned from rows.

A learner that works in units sees features that are centred and divided by their
spread, and a target likewise. `Coordinates` are fixed while a task is learned;
`Moments` learn them from row to row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from skmeta._batch import Batch, Objective, Task

NOT_VARIED = 1e-13  # a spread below this share of the mean is rounding error


@dataclass(frozen=True, eq=False)
class Coordinates:
    """A change of coordinates: x -> (x - location) scale, y -> (y - offset) / unit.

    Parameters are mapped so that predictions do not change.

    Attributes
    ----------
    location, scale : ndarray of shape (n_features,)
        The scale of a feature that has not varied is zero: it explains nothing.
    offset, unit : float
        Of the target; 0 and 1 where the target is left as it is.
    """

    location: np.ndarray
    scale: np.ndarray
    offset: float = 0.0
    unit: float = 1.0

    def features(self, X: Any) -> Any:
        """The features in units, float64."""
        if sp.issparse(X):
            return X.multiply(self.scale).tocsr()
        inside = X - self.location
        inside *= self.scale
        return inside

    def task(self, task: Task) -> Task:
        """The task in units."""
        X, y = self.features(task.X), (task.y - self.offset) / self.unit
        return Task(X, y, task.weight, task.seed)

    def batch(self, batch: Batch) -> Batch:
        """The rows of the tasks in units, in their order."""
        rows = self.task(batch.joined())
        starts = batch.starts - batch.starts[0]
        return Batch(rows.X, rows.y, rows.weight, starts, None)

    @cached_property
    def _sizes(self) -> np.ndarray:
        """Raw slopes and intercept over those in units, up to what location moves."""
        return self.unit * np.append(self.scale, 1.0)

    def to_units(self, parameter: np.ndarray) -> np.ndarray:
        """The parameter that predicts in units what this one predicts."""
        inside = np.zeros_like(parameter)
        np.divide(
            parameter[..., :-1], self.scale, out=inside[..., :-1], where=self.scale > 0
        )
        at_location = parameter[..., -1] + parameter[..., :-1] @ self.location
        inside[..., -1] = at_location - self.offset
        return inside / self.unit

    def displacement(self, difference: np.ndarray) -> np.ndarray:
        """A difference of two parameters in units as one of raw parameters."""
        raw = difference * self._sizes
        raw[..., -1] -= raw[..., :-1] @ self.location
        return raw

    def to_raw(self, parameter: np.ndarray) -> np.ndarray:
        """The raw parameter; zero for a feature that has not varied."""
        raw = self.displacement(parameter)
        raw[..., -1] += self.offset
        return raw

    def loss_factor(self, objective: Objective | None) -> float:
        """The raw loss of a sample over its loss in units."""
        degree = None if objective is None else objective.loss.degree
        return self.unit ** (degree or 0)


class Moments:
    """Weighted mean and spread of the rows seen so far (Welford's update).

    Attributes
    ----------
    array : ndarray of shape (2 * n_features + 3,)
        `n_rows`, `mean` and `squares`, which are views.
    """

    def __init__(self, n_features: int):
        self.array = np.zeros(2 * n_features + 3)

    @property
    def n_rows(self) -> float:
        """Sum of the weights."""
        return float(self.array[0])

    @property
    def mean(self) -> np.ndarray:
        """Of the features and, last, the target; zero without an intercept."""
        return self.array[1 : len(self.array) // 2 + 1]

    @property
    def squares(self) -> np.ndarray:
        """Sum of squared deviations from the mean; of squares without an intercept."""
        return self.array[len(self.array) // 2 + 1 :]

    def copy(self) -> Moments:
        """An independent copy."""
        twin = Moments.__new__(Moments)
        twin.array = self.array.copy()
        return twin

    def observe(self, task: Task, *, centered: bool) -> None:
        """Add the rows of a task; `centered`: whether there is an intercept.

        Sparse features are not centred.
        """
        weight = np.ones(len(task)) if task.weight is None else task.weight
        total = float(weight.sum())
        mean, squares = np.zeros_like(self.mean), np.zeros_like(self.squares)
        for part, columns in ((task.X, slice(0, -1)), (task.y, slice(-1, None))):
            mean[columns], squares[columns] = _mean_and_squares(part, weight, centered)
        share = total / (self.n_rows + total)
        change = mean - self.mean
        self.array[0] += total
        self.mean[:] += share * change
        self.squares[:] += squares + change**2 * (total * (1.0 - share))

    @property
    def has_varied_target(self) -> bool:
        """Whether the targets of the rows so far tell a unit."""
        if not self.n_rows:
            return False
        spread = np.sqrt(self.squares[-1] / self.n_rows)
        return bool(spread > NOT_VARIED * abs(self.mean[-1]))

    def coordinates(
        self, *, scales_target: bool, target: Moments | None = None
    ) -> Coordinates:
        """The present units: a row in them has a norm of about one.

        `target` are the moments that the units of the target come from, None: these.
        """
        spread = np.sqrt(self.squares / self.n_rows)
        spread[spread <= NOT_VARIED * np.abs(self.mean)] = 0.0
        d = len(spread) - 1
        size = spread[:-1] * np.sqrt(d)
        scale = np.divide(1.0, size, out=np.zeros(d), where=size > 0)
        if not scales_target:
            return Coordinates(self.mean[:-1].copy(), scale)
        source = self if target is None else target
        offset = float(source.mean[-1])
        unit = float(np.sqrt(source.squares[-1] / source.n_rows))
        if unit <= NOT_VARIED * abs(offset):
            unit = 1.0
        return Coordinates(self.mean[:-1].copy(), scale, offset, unit)


def _mean_and_squares(
    values: Any, weight: np.ndarray, centered: bool
) -> tuple[np.ndarray, np.ndarray]:
    total = weight.sum()
    if sp.issparse(values):
        return np.zeros(values.shape[1]), values.power(2).T @ weight
    values = values.reshape(len(weight), -1).astype(np.float64)
    if not centered:
        return np.zeros(values.shape[1]), weight @ values**2
    first = values[0].copy()
    values -= first  # so that what does not vary is exactly zero
    mean = weight @ values / total
    return first + mean, weight @ (values - mean) ** 2
