"""What the runs of one candidate on the tasks of a meta-batch gave."""

from __future__ import annotations

from typing import Any

import numpy as np

from skmeta import _kernels
from skmeta._batch import Batch
from skmeta._fmrl._state import HISTORY


class Runs:
    """Results of the runs of one candidate on the tasks of a meta-batch, in units.

    Attributes
    ----------
    done : ndarray of bool of shape (n_tasks,)
        Whether the task could be learned from.
    history : ndarray of HISTORY of shape (n_tasks,)
    parameters : ndarray of shape (n_tasks, n_outputs, n_features + 1)
    grad_sq : ndarray of shape (n_tasks, ...)
    problems : list of str or None, of length n_tasks
        Why a task could not be learned from.
    """

    def __init__(self, n_tasks: int, shape: tuple[int, ...], eta: tuple[int, ...]):
        self.done = np.ones(n_tasks, dtype=bool)
        self.history = np.zeros(n_tasks, HISTORY)
        self.parameters = np.zeros((n_tasks, *shape))
        self.grad_sq = np.full((n_tasks, *eta), np.nan)
        self.problems: list[str | None] = [None] * n_tasks

    def fail(self, t: int, problem: str) -> None:
        """Task t could not be learned from."""
        self.done[t], self.problems[t] = False, problem

    @classmethod
    def joined(cls, parts: list[Runs]) -> Runs:
        """The runs of several chunks, in order."""
        if len(parts) == 1:
            return parts[0]
        joined = cls.__new__(cls)
        for name in ("done", "history", "parameters", "grad_sq"):
            arrays = [getattr(part, name) for part in parts]
            setattr(joined, name, np.concatenate(arrays))
        joined.problems = [one for part in parts for one in part.problems]
        return joined

    def fill(self, plan: Any, batch: Batch, moving: tuple[Any, ...], why: str) -> None:
        """Run all tasks by compiled calls; `why`: the problem of those that fail."""
        fixed = plan, *moving, self.history, self.parameters, self.grad_sq
        stop = _kernels.learn_tasks(batch, 0, batch.n_tasks, *fixed)
        while stop < batch.n_tasks:
            self.fail(stop, why)
            stop = _kernels.learn_tasks(batch, stop + 1, batch.n_tasks, *fixed)
