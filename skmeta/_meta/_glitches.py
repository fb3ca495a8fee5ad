"""Rows that are left out of a call because a value is far outside all others."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from skmeta._batch import Batch
from skmeta._meta._input import Reading

Array = np.ndarray

FAR = 10.0  # times reach^2 / spread: see `far_distances`
MORE_IF_FEW = 200  # rows with which this factor is twice as large
LEAST_TASKS, LEAST_ROWS = 10, 100  # to judge by
FEW_TASKS, SHARE = 3, 1e-3  # glitches of a call, per task; more are a change
TASKS_PER_GLITCH = 50  # of a batch of few tasks, which may have one
SHARE_OF_TASK = 0.1  # rows of a task that may be glitches, or one
MEMORY = 1000  # visits after which a glitch no longer counts towards a change
MOST_KEPT = 100  # glitches that are remembered


class Glitch(NamedTuple):
    """A value outside all others.

    Attributes
    ----------
    task, row : int
        Number of the task in the batch, and number of the row in the batch.
    column : int
        Of the feature; the target follows the last feature.
    value, middle, reach : float
        The value; all others are within `reach` of `middle`.
    """

    task: int
    row: int
    column: int
    value: float
    middle: float
    reach: float


class SetAside(NamedTuple):
    """What was left out so far.

    Attributes
    ----------
    n_rows : int
    last : tuple of (int, label or None)
        The visits and tasks of the latest rows.
    """

    n_rows: int = 0
    last: tuple[tuple[int, Hashable], ...] = ()

    def allows(self, visit: int, names: Sequence[Hashable], n_allowed: int) -> bool:
        """Whether rows of these tasks may be left out too, or show a change."""
        recent = sum(visit - when < MEMORY for when, _ in self.last)
        if recent + len(names) > n_allowed:
            return False
        known = [name for _, name in self.last if name is not None]
        return all(known.count(name) < FEW_TASKS for name in names)

    def with_rows(self, visit: int, names: Sequence[Hashable]) -> SetAside:
        """With rows of these tasks, one name for each row."""
        last = (*self.last, *((visit, name) for name in names))
        return SetAside(self.n_rows + len(names), last[-MOST_KEPT:])


NONE_SET_ASIDE = SetAside()


def far_distances(spread: Array, reach: Array, n_rows: int) -> Array:
    """Distances from the middle of columns above which a value is far.

    ``FAR reach^2 / spread``, or more if there are few rows. `spread` is a typical
    distance, and `reach` a bound of the others: the heavier the tails, the larger is
    their ratio. A column that seldom differs from one value has no spread.
    """
    far = np.full(len(spread), np.inf)
    squares = FAR * (1.0 + MORE_IF_FEW / n_rows) * reach**2
    return np.divide(squares, spread, out=far, where=spread > 0)


def most_far_rows(n_rows: int) -> float:
    """Far rows of a task of this many rows that may be glitches, not a change."""
    return max(1, SHARE_OF_TASK * n_rows)


def n_allowed(batch: Batch) -> int:
    """Largest number of rows of a call that are glitches rather than a change."""
    n_tasks = batch.n_tasks
    return max(1, min(FEW_TASKS, n_tasks // TASKS_PER_GLITCH), int(SHARE * n_tasks))


def without_rows(batch: Batch, gone: Sequence[int]) -> tuple[Batch, Array]:
    """The batch without these rows, and the numbers of the tasks that have others."""
    n = len(batch.y)
    order = np.arange(n) if batch.order is None else batch.order[0]
    order = order[batch.starts[0] : batch.starts[-1]]
    is_kept = ~np.isin(order, gone)
    sizes = np.add.reduceat(
        is_kept.astype(np.intp), batch.starts[:-1] - batch.starts[0]
    )
    tasks = np.flatnonzero(sizes)
    rows = order[is_kept]
    starts = np.append(0, sizes[tasks].cumsum()).astype(np.intp)
    weight = None if batch.sample_weight is None else batch.sample_weight[rows]
    kept: Any = Batch(
        np.ascontiguousarray(batch.X[rows]), batch.y[rows], weight, starts, None
    )
    return kept, tasks


def note_on(reading: Reading, glitch: Glitch, n_rows: int) -> str:
    """A warning that names the first of the rows that are left out."""
    number = int(np.flatnonzero(reading.batch.rows(glitch.task) == glitch.row)[0])
    if reading.numbers is not None:
        number = int(reading.numbers[glitch.row])
    names, what = reading.schema.names, "the target"
    if glitch.column < reading.schema.n_features:
        name = glitch.column if names is None else names[glitch.column]
        what = f"feature {name!r}"
    rows = "1 row is" if n_rows == 1 else f"{n_rows} rows are"
    return (
        f"{rows} not learned from. {reading.name(glitch.task)}: {what} is "
        f"{glitch.value:g} in row {number} of the task; the other values are within "
        f"{glitch.reach:.3g} of {glitch.middle:.3g}. Correct the value or drop the "
        "row; if such values are right, pass more rows with them: a change that "
        "persists is learned."
    )
