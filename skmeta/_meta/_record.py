"""What happened in a task when it was learned once more, for the guarantees."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skmeta._batch import Task
from skmeta._learners._protocol import InnerLearner, Outcome
from skmeta._solvers import optimum
from skmeta._step_matrices import diagonals
from skmeta._units import Coordinates


class Record(NamedTuple):
    """What happened in one task, and its optimum in hindsight.

    `start`, `step_size`, `grad_sq` and `comparator` are in the units that the task was
    learned in; losses and `optimum` are raw.

    Attributes
    ----------
    label : object
        Of the task, or None.
    n_samples : int
    loss : float
        Sum of the prequential losses.
    optimal_loss : float
        Loss of the optimum.
    optimum : ndarray of shape (n_outputs, n_features + 1)
        The best parameter in hindsight.
    comparator, start : ndarray of shape (n_outputs, n_features + 1)
        The optimum, and the parameter before the first sample.
    step_size, grad_sq : ndarray
        Of the task; the sum of its squared gradients.
    factor : float
        A raw loss over the loss in units.
    guarantee : str or None
        The bound that the learner claims for this task.
    """

    label: Any
    n_samples: int
    loss: float
    optimal_loss: float
    optimum: np.ndarray
    comparator: np.ndarray
    start: np.ndarray
    step_size: np.ndarray
    grad_sq: np.ndarray
    factor: float
    guarantee: str | None

    @classmethod
    def of(
        cls,
        label: Any,
        name: str,
        learner: InnerLearner,
        task: Task,
        start: np.ndarray,
        eta: np.ndarray,
        outcome: Outcome,
        coordinates: Coordinates | None,
    ) -> Record:
        """From a run; task, start and eta are in units.

        Raises
        ------
        ValueError
            If the task, called `name`, has no optimum.
        """
        objective = learner.objective
        assert outcome.losses is not None and outcome.grad_sq is not None
        assert objective is not None
        loss = task.loss(objective, len(start))
        try:
            best = optimum(loss, start, objective.radius)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        if eta.ndim == 3:  # rounding must not move what cannot move
            best = np.where(diagonals(eta) > 0, best, start)
        factor = 1.0 if coordinates is None else coordinates.loss_factor(objective)
        # A step per parameter in a ball: the Euclidean projection is not covered.
        is_covered = eta.size == 1 or not np.isfinite(objective.radius)
        return cls(
            label=label,
            n_samples=len(task),
            loss=factor * float(outcome.losses.sum()),
            optimal_loss=factor * loss.value(best),
            optimum=best if coordinates is None else coordinates.to_raw(best),
            comparator=best,
            start=start.copy(),
            step_size=eta,
            grad_sq=outcome.grad_sq,
            factor=factor,
            guarantee=learner.guarantee if is_covered else None,
        )
