"""Rows with a value far outside all others: found, and left out of a call.

The statistics of tasks show a task with such a value; only its rows are then read.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from skmeta._batch import Batch
from skmeta._kernels import mixed
from skmeta._meta._glitches import (
    FEW_TASKS,
    LEAST_ROWS,
    LEAST_TASKS,
    Glitch,
    far_distances,
    most_far_rows,
    n_allowed,
)
from skmeta._mixed._units import Units

Array = np.ndarray

__all__ = ["glitches", "most_squares", "screen_of"]

SCREEN, PER_ROW = 900.0, 20.0  # squares in units that start a search: per task, per row
FAR_ORIGIN = 100.0  # spreads from the middle
ROUNDING = 1e-10  # of squares from the origin, below which a difference is zero
ROOM = 10.0  # of a wider screen, above what was accepted


class _Tasks(NamedTuple):
    """Means of the columns of factors, (n_tasks, p + 1), and mean squares."""

    means: Array
    squares: Array
    n_rows: Array

    @classmethod
    def of(cls, factors: Array, n_rows: Array) -> _Tasks:
        one = factors[:, :, -2]
        weight = np.einsum("ti,ti->t", one, one)[:, np.newaxis]
        means = np.matmul(one[:, np.newaxis], factors)[:, 0] / weight
        squares = np.einsum("tij,tij->tj", factors, factors) / weight
        return cls(means, squares, n_rows)

    def deviations(self, middle: Array) -> Array:
        """Root mean squares about `middle`."""
        about = self.squares - middle * (2.0 * self.means - middle)
        about[about < ROUNDING * self.squares] = 0.0
        return np.sqrt(about)

    def reaches(self, deviations: Array) -> Array:
        """Bounds of the distances of their rows, if these have equal weights."""
        return deviations * np.sqrt(self.n_rows)[:, np.newaxis]


def screen_of(units: Units) -> Array:
    """Factors times this have columns of a square of about one per row."""
    mean = np.append(units.mean, units.target_mean)
    inverse = np.append(units.scale, 1.0 / units.target_scale)
    inverse = inverse / np.sqrt(1.0 + (mean * inverse) ** 2)
    return np.insert(inverse, len(inverse) - 1, 0.0)


def most_squares(factors: Array, n_rows: Any) -> Any:
    """Largest sum of squares of tasks in units whose rows need not be compared."""
    return SCREEN + PER_ROW * factors.shape[2] * n_rows


def widened(screen: Array, factors: Array) -> Array:
    """A screen that tasks like these pass."""
    squares = np.einsum("tij,tij->tj", factors, factors).max(axis=0)
    least = np.sqrt(SCREEN / len(screen) / np.maximum(squares, 1e-300)) / ROOM
    is_wide = squares * screen**2 > SCREEN / len(screen)
    return np.where(is_wide, np.minimum(screen, least), screen)


def batch_factors(batch: Batch, origin: Array) -> Array:
    """Factors of the tasks of a batch."""
    n_rows = np.diff(batch.starts)
    k = min(int(n_rows.max()), len(origin) + 1)
    factors = np.empty((batch.n_tasks, k, len(origin) + 1))
    mixed.task_factors(batch, origin, factors)
    return factors


def glitches(
    before: Any, new: Any, batch: Batch, names: Sequence[Hashable] | None
) -> list[Glitch]:
    """Rows of a batch to be left out.

    Parameters
    ----------
    before, new : Learned
        Without the batch and with it. The screen of `new` is widened if its rows are
        accepted although they are suspect: others like them pass then.
    batch : Batch
    names : sequence of labels, or None
    """
    store, held = before.store, None
    if store.n_held:
        factors = batch_factors(batch, new.origin)
        held = store.factors(store.held()), store.n_rows(store.held())
    else:
        factors = new.store.factors(new.store.held())
    found = find_glitches(batch, factors, held, new.origin)
    labels = [None if names is None else names[one.task] for one in found]
    most = max(FEW_TASKS, n_allowed(batch))
    if found and before.set_aside.allows(new.n_visits, labels, most):
        return found
    new.is_suspect = False
    if new.screen is not None:
        new.screen = widened(new.screen, factors)
    return []


def find_glitches(
    batch: Batch,
    factors: Array,
    held: tuple[Array, Array] | None,
    origin: Array,
) -> list[Glitch]:
    """Rows with a value far from those of all other tasks, one value per row.

    The middle of a column is the median of the tasks, and its spread the median over
    tasks of their root mean square about the middle; see `far_distances`. If there are
    more far rows than `n_allowed`, they are a change, and none is a glitch.

    Parameters
    ----------
    batch : Batch
    factors : ndarray of shape (n_tasks, k, p + 1)
        Of its tasks.
    held : (factors, n_rows) or None
        Of the tasks learned before.
    origin : ndarray of shape (p,)
        Of the factors.
    """
    new = _Tasks.of(factors, np.diff(batch.starts))
    bounds = _bounds(new, None if held is None else _Tasks.of(*held), n_allowed(batch))
    if bounds is None:
        return []
    if held is None and bounds.is_far_from_origin:  # the first row may be the glitch
        origin = origin + bounds.middle
        new = _Tasks.of(batch_factors(batch, origin), new.n_rows)
        bounds = _bounds(new, None, n_allowed(batch))
        assert bounds is not None
    middle, reach, far = bounds.middle, bounds.reach, bounds.far
    tasks = np.flatnonzero((bounds.reaches > far).any(axis=1))
    if len(tasks) > n_allowed(batch):
        return []
    found: list[Glitch] = []
    for t in tasks.tolist():
        rows = batch.rows(t)
        values = np.column_stack([batch.X[rows], batch.y[rows]])
        excess = np.abs(values - (origin + middle)) - far
        where = np.flatnonzero(excess.max(axis=1) > 0)
        if len(where) > most_far_rows(len(rows)):
            continue
        for i in where.tolist():
            j = int(excess[i].argmax())
            value, center = float(values[i, j]), float(origin[j] + middle[j])
            found.append(Glitch(t, int(rows[i]), j, value, center, float(reach[j])))
    return found if len(found) <= n_allowed(batch) else []


class _Bounds(NamedTuple):
    """Reaches of new tasks, (n_tasks, p), and what they are compared with, (p,)."""

    reaches: Array
    middle: Array
    spread: Array
    reach: Array
    n_rows: int

    @property
    def far(self) -> Array:
        """Distances from the middle above which a value is far."""
        return far_distances(self.spread, self.reach, self.n_rows)

    @property
    def is_far_from_origin(self) -> bool:
        """Whether the squares from the origin lose the digits of the spread."""
        return bool((np.abs(self.middle) > FAR_ORIGIN * self.spread).any())


def _bounds(new: _Tasks, old: _Tasks | None, most: int) -> _Bounds | None:
    """Bounds by all tasks, the `most` farthest new ones left out of the reach.

    None: there are too few rows.
    """
    means, n_rows = new.means, new.n_rows
    if old is not None:
        means, n_rows = np.vstack([old.means, means]), np.append(old.n_rows, n_rows)
    if len(means) < LEAST_TASKS or n_rows.sum() < LEAST_ROWS:
        return None
    used = np.arange(means.shape[1]) != means.shape[1] - 2  # not the ones
    middle = np.median(means, axis=0)
    deviations, reach = new.deviations(middle), np.zeros(len(middle))
    reaches = new.reaches(deviations)
    if old is not None:
        earlier = old.deviations(middle)
        deviations = np.vstack([earlier, deviations])
        reach = old.reaches(earlier).max(axis=0)
    rank = len(reaches) - 1 - most
    if rank >= 0:
        reach = np.maximum(reach, np.partition(reaches, rank, axis=0)[rank])
    spread = np.median(deviations, axis=0)
    return _Bounds(
        reaches[:, used], middle[used], spread[used], reach[used], n_rows.sum()
    )
