"""Rows of a call that are left out, by the state before it and after it."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from skmeta._batch import Batch
from skmeta._fmrl._call import Call
from skmeta._fmrl._sample import MOST_NUMBERS, Sample
from skmeta._meta._glitches import (
    FEW_TASKS,
    LEAST_ROWS,
    Glitch,
    n_allowed,
    note_on,
    without_rows,
)
from skmeta._meta._input import Reading
from skmeta._units import Moments


def first_sample(batch: Batch, standardize: bool) -> Sample | None:
    """None: rows are not compared. Dense ones in learned units are, if not too wide."""
    n_features = batch.X.shape[1]
    is_wide = MOST_NUMBERS // (n_features + 1) < LEAST_ROWS
    if not standardize or is_wide or sp.issparse(batch.X):
        return None
    return Sample(n_features)


def without_glitches(
    draft: Call, reading: Reading, bad: list[tuple[int, str | None]]
) -> tuple[Reading, list[int], list[Any], str] | None:
    """A reading without rows that are far from all others; None: there are none.

    Also the numbers of its tasks, the labels of the rows left out, and a warning. If
    there are none, the sample of the draft is updated.

    Parameters
    ----------
    draft : Call
        After learning from the reading.
    reading : Reading
    bad : list of (int, str or None)
        The tasks that could not be learned from.
    """
    state, batch, labels = draft.state, reading.batch, reading.labels
    if sp.issparse(batch.X) or len(bad) == batch.n_tasks:
        return None
    good = np.arange(batch.n_tasks)
    if bad:
        numbers = [t for t, _ in bad]
        good, batch = np.setdiff1d(good, numbers), batch.without(numbers)
    found = _glitches(draft, batch)
    found = [one._replace(task=int(good[one.task])) for one in found]
    lost = [None if labels is None else labels[one.task] for one in found]
    most = max(FEW_TASKS, n_allowed(batch))
    if not found or not state.set_aside.allows(state.n_tasks, lost, most):
        state.observe_sample(batch)
        return None
    kept, tasks = without_rows(reading.batch, [one.row for one in found])
    if labels is not None:
        labels = [labels[t] for t in tasks.tolist()]
    cleaned = reading._replace(batch=kept, labels=labels)
    return cleaned, tasks.tolist(), lost, note_on(reading, found[0], len(found))


def _glitches(draft: Call, batch: Batch) -> list[Glitch]:
    sample, before = draft.state.sample, draft.before
    assert sample is not None
    moments = Moments(batch.X.shape[1]) if before is None else before.moments
    columns = sample.suspects(batch, moments, draft.state.moments)
    return [] if columns is None else sample.glitches(batch, columns)
