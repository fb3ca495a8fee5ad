"""Tasks as the learners read them: a batch of stacked rows, and one task of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from skmeta._solvers import TaskLoss
from skmeta.losses import Loss


@dataclass(frozen=True)
class Objective:
    """What a learner minimises.

    Parameters
    ----------
    loss : Loss
        Of one sample and one row of weights.
    bias : float
        Value of the constant feature: 1.0 with an intercept, 0.0 without.
    radius : float
        Of the ball that holds the parameters, infinite for none.
    order : {1, 2}
        Of the norm of the ball.

    Examples
    --------
    >>> from skmeta.linear_model import Objective
    >>> from skmeta.losses import SquaredError
    >>> Objective(SquaredError(), bias=1.0).radius
    inf
    """

    loss: Loss
    bias: float = 1.0
    radius: float = np.inf
    order: int = 2


@dataclass(eq=False)
class Task:
    """The rows of one task, in the order in which they are learned from.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features), float64 or float32
        Features.
    y : float64 ndarray of shape (n_samples,)
        Targets: the value to predict or, of a classifier, -1 or +1 with two classes and
        the index of the class with more. NaN where nothing can be learned.
    weight : float64 ndarray of shape (n_samples,) or None
        Weights of the samples, > 0. None: all 1.
    seed : int, tuple of int, or None
        For a learner that visits the rows in random order.

    Examples
    --------
    >>> import numpy as np
    >>> from skmeta.linear_model import Task
    >>> len(Task(np.zeros((2, 3)), np.zeros(2)))
    2
    """

    X: Any
    y: np.ndarray
    weight: np.ndarray | None = None
    seed: Any = None

    def __len__(self) -> int:
        return len(self.y)

    def loss(self, objective: Objective, n_outputs: int) -> TaskLoss:
        """The loss of the whole task, as a function of the parameters.

        Parameters
        ----------
        objective : Objective
            The loss of a sample, and the intercept.
        n_outputs : int
            Rows of weights.

        Returns
        -------
        loss : TaskLoss
            The sum over the samples.
        """
        loss, bias = objective.loss, objective.bias
        return TaskLoss.of(loss, self.X, self.y, self.weight, n_outputs, bias)

    @cached_property
    def is_finite(self) -> bool:
        """Whether no feature and no target is NaN or infinite."""
        values = self.X.data if sp.issparse(self.X) else self.X
        return bool(np.isfinite(values).all() and np.isfinite(self.y).all())


class Batch(NamedTuple):
    """Stacked tasks. Task t is rows starts[t] to starts[t + 1], read through `order`.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features), float64 or float32
    y : float64 ndarray of shape (n_samples,)
    sample_weight : float64 ndarray of shape (n_samples,) or None
    starts : intp ndarray of shape (n_tasks + 1,)
    order : intp ndarray of shape (1, n_samples) or None
        The rows in the order in which they are visited. None: in their order.
    """

    X: Any
    y: np.ndarray
    sample_weight: np.ndarray | None
    starts: np.ndarray
    order: np.ndarray | None

    @property
    def n_tasks(self) -> int:
        return len(self.starts) - 1

    def rows(self, t: int) -> np.ndarray:
        """Row numbers of task t, in order."""
        rows = np.arange(self.starts[t], self.starts[t + 1])
        return rows if self.order is None else self.order[0, rows]

    def task(self, t: int, seed: Any = None) -> Task:
        """Task t."""
        rows: Any = slice(self.starts[t], self.starts[t + 1])
        if self.order is not None:
            rows = self.order[0, rows]
        weight = self.sample_weight
        weight = weight if weight is None else weight[rows]
        return Task(self.X[rows], self.y[rows], weight, seed)

    def tasks(self, first: int, last: int) -> Batch:
        """The batch of tasks `first` to `last` - 1."""
        return self._replace(starts=self.starts[first : last + 1])

    def joined(self) -> Task:
        """All rows as those of one task."""
        return self._replace(starts=self.starts[[0, -1]]).task(0)

    def without(self, numbers: list[int]) -> Batch:
        """The batch of the other tasks."""
        if not numbers:
            return self
        kept = np.setdiff1d(np.arange(self.n_tasks), numbers)
        rows = np.concatenate([np.zeros(0, np.intp), *(self.rows(t) for t in kept)])
        starts = np.append(0, np.diff(self.starts)[kept].cumsum())
        return self._replace(starts=starts, order=rows[np.newaxis])
