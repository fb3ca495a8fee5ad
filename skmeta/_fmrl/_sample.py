"""Rows with a value far outside all others: found by the moments and a sample of rows.

The moments of the features and the target, which every call learns, show that a call
has such a value. Only its rows are then compared with a sample of earlier rows.
"""

from __future__ import annotations

import numpy as np

from skmeta._batch import Batch
from skmeta._meta._glitches import (
    LEAST_ROWS,
    LEAST_TASKS,
    Glitch,
    far_distances,
    most_far_rows,
    n_allowed,
)
from skmeta._meta._known import Rows
from skmeta._units import Moments

Array = np.ndarray

KEPT, PER_TASK = 256, 8  # rows of the sample; at most so many of one task
MOST_NUMBERS = 2**17  # of the sample; of many features, fewer rows are kept
EVERY = 8  # tasks after which rows are added to a sample that is complete
SCREEN, PER_ROW = 900.0, 20.0  # squares in spreads that start a search
SHARE_OF_SAMPLE = 0.05  # that may be glitches
NORMAL = 1.4826  # deviation of a normal variable over its median distance


class Sample:
    """Rows of the latest tasks, features and target; a value that never changes.

    Parameters
    ----------
    n_features : int
    """

    def __init__(self, n_features: int):
        self._rows = Rows(np.empty((0, n_features + 1)))
        self._most = min(KEPT, MOST_NUMBERS // (n_features + 1))
        self._inverse: Array | None = None  # of the variances; None: too few rows

    def is_enough(self, n_before: int, n_tasks: int) -> bool:
        """Whether no rows of the tasks between these numbers are to be added."""
        is_complete = len(self._rows) >= self._most
        return is_complete and n_tasks // EVERY == n_before // EVERY

    def followed(self, batch: Batch, moments: Moments, n_tasks: int) -> Sample:
        """With rows of a batch.

        `moments` and `n_tasks` are of all tasks with the batch.
        """
        sample, most = Sample.__new__(Sample), self._most
        rows = self._rows.extended(sampled(batch))
        if len(rows) > 2 * most:
            rows = Rows(rows.array[-most:].copy())
        sample._rows, sample._most, sample._inverse = rows, most, None
        if len(rows) >= LEAST_ROWS and n_tasks >= LEAST_TASKS:
            squares, inverse = moments.squares, np.zeros(len(moments.squares))
            np.divide(moments.n_rows, squares, out=inverse, where=squares > 0)
            sample._inverse = inverse
        return sample

    def is_usual(self, n_rows: int, before: Moments, after: Moments) -> bool:
        """Whether the moments show that no value of these new rows is far."""
        inverse = self._inverse
        if inverse is None:
            return False
        more = inverse.dot(after.squares - before.squares)
        return bool(more <= SCREEN + PER_ROW * len(inverse) * n_rows)

    def suspects(self, batch: Batch, before: Moments, after: Moments) -> Array | None:
        """The columns of a batch to be compared, or None; the target is the last one.

        Parameters
        ----------
        batch : Batch
        before, after : Moments
            Of the rows without the batch and with it.
        """
        if self._inverse is not None:
            is_usual = self.is_usual(len(batch.y), before, after)
            return None if is_usual else np.arange(len(self._inverse))
        if batch.n_tasks < LEAST_TASKS or before.n_rows:
            return None
        sample = sampled(batch)
        if len(sample) < LEAST_ROWS:
            return None
        distances = np.abs(sample - np.median(sample, axis=0))
        distances.sort(axis=0)
        n_far = min(n_allowed(batch), int(SHARE_OF_SAMPLE * len(sample)))
        usual = distances[-1 - n_far - 3] ** 2
        is_wide = after.squares > usual * after.n_rows
        columns = np.flatnonzero(is_wide & (distances[len(distances) // 2] > 0))
        return columns if len(columns) else None

    def glitches(self, batch: Batch, columns: Array) -> list[Glitch]:
        """Rows of a batch with a value in these columns that is far from all others.

        The middle of a column is its median, and its spread the median distance from
        the middle, as of a normal variable; see `far_distances`. If there are more such
        rows than `n_allowed`, they are a change, and none is a glitch.
        """
        n, most = batch.starts[-1] - batch.starts[0], n_allowed(batch)
        order = np.concatenate([batch.rows(t) for t in range(batch.n_tasks)])
        new = np.empty((n, len(columns)))
        is_target = columns == batch.X.shape[1]
        new[:, ~is_target] = batch.X[np.ix_(order, columns[~is_target])]
        new[:, is_target] = batch.y[order, np.newaxis]
        values = np.vstack([self._rows.array[:, columns], new])
        if len(values) < LEAST_ROWS:
            return []
        middle = np.median(values, axis=0)
        distances = np.abs(values - middle)
        spread = NORMAL * np.median(distances, axis=0)
        reach = distances[:-n].max(axis=0, initial=0.0)
        distances = distances[-n:]
        if n > most:
            rank = n - 1 - most
            reach = np.maximum(reach, np.partition(distances, rank, axis=0)[rank])
        far = far_distances(spread, reach, len(values))
        places = np.flatnonzero((distances > far).any(axis=1))
        if not 0 < len(places) <= most:
            return []
        tasks = (
            np.searchsorted(batch.starts - batch.starts[0], places, side="right") - 1
        )
        sizes = np.diff(batch.starts)
        found = []
        for i, t in zip(places.tolist(), tasks.tolist(), strict=True):
            if (tasks == t).sum() > most_far_rows(sizes[t]):
                continue
            j = int((distances[i] - far).argmax())
            value = float(new[i, j]), float(middle[j]), float(reach[j])
            found.append(Glitch(t, int(order[i]), int(columns[j]), *value))
        return found


def sampled(batch: Batch) -> Array:
    """Some rows of a batch, features and target, of some of its tasks."""
    n_tasks = batch.n_tasks
    if n_tasks == 1:
        rows = _some_of(batch, 0)
    else:
        n_rows = int(batch.starts[-1] - batch.starts[0])
        n_sampled = min(PER_TASK * n_tasks, n_rows)
        tasks = range(0, n_tasks, max(1, n_sampled // KEPT))
        rows = np.concatenate([_some_of(batch, t) for t in tasks])
    block = np.empty((len(rows), batch.X.shape[1] + 1))
    block[:, :-1], block[:, -1] = batch.X[rows], batch.y[rows]
    return block


def _some_of(batch: Batch, t: int) -> Array:
    rows = batch.rows(t)
    return rows[:: max(1, len(rows) // PER_TASK)][:PER_TASK]
