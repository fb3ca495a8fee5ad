"""What happened in a task when it was learned once more, for the guarantees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from skmeta._batch import Objective, Task
from skmeta._learners._protocol import InnerLearner, Outcome
from skmeta._solvers import NoMinimum, TaskLoss, optimum
from skmeta._step_matrices import diagonals
from skmeta._units import Coordinates


class Comparator(NamedTuple):
    """A fixed parameter that the learner of a task is compared with.

    Attributes
    ----------
    parameter : ndarray of shape (n_outputs, n_features + 1)
        Raw, with the intercept last.
    inside : ndarray of the same shape
        The same in the units that the task was learned in.
    loss : float
        Its loss on the whole task, raw.
    """

    parameter: np.ndarray
    inside: np.ndarray
    loss: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """What happened in one task, and what it can be compared with in hindsight.

    `start`, `step_size` and what is in `bound` are in the units that the task was
    learned in; everything else is raw.

    Attributes
    ----------
    label : object
        Of the task, or None.
    name : str
        Of the task, in messages.
    n_samples : int
    loss : float
        Sum of the prequential losses.
    parameter : ndarray of shape (n_outputs, n_features + 1)
        The task parameter that was learned.
    initialization : ndarray of the same shape or None
        The shared initialization that the task started from. None for a learner that
        has a prior instead.
    share : float
        The share of the way that the initialization moved to the task parameter, NaN if
        several tasks moved it together or there is no initialization.
    start : ndarray of shape (n_outputs, n_features + 1)
        The parameter before the first sample.
    step_size, grad_sq : ndarray
        Of the task; the sum of its squared gradients.
    factor : float
        A raw loss over the loss in units.
    guarantee : str or None
        The bound that the learner claims for this task.
    bound : dict
        What this bound depends on, besides the comparator and the start.
    radius, order : float, int
        Of the ball that the learner stays in, infinite for none, and of its norm.
    objective, task : Objective and Task, in units
    raw_objective, raw_task : Objective and Task
    coordinates : Coordinates or None
        The units; None for none.
    """

    label: Any
    name: str
    n_samples: int
    loss: float
    parameter: np.ndarray
    initialization: np.ndarray | None
    share: float
    start: np.ndarray
    step_size: np.ndarray
    grad_sq: np.ndarray
    factor: float
    guarantee: str | None
    bound: dict[str, Any]
    radius: float
    order: int
    objective: Objective
    raw_objective: Objective
    task: Task
    raw_task: Task
    coordinates: Coordinates | None

    @classmethod
    def of(
        cls,
        *,
        label: Any,
        name: str,
        learner: InnerLearner,
        raw_objective: Objective,
        task: Task,
        raw_task: Task,
        start: np.ndarray,
        eta: np.ndarray,
        outcome: Outcome,
        coordinates: Coordinates | None,
        parameter: np.ndarray,
        initialization: np.ndarray | None = None,
    ) -> Record:
        """From a run; task, start and eta are in units."""
        objective = learner.objective
        assert outcome.losses is not None and outcome.grad_sq is not None
        assert objective is not None
        factor = 1.0 if coordinates is None else coordinates.loss_factor(objective)
        # A step per parameter in a ball: the Euclidean projection is not covered.
        is_covered = eta.size == 1 or not np.isfinite(objective.radius)
        return cls(
            label=label,
            name=name,
            n_samples=len(task),
            loss=factor * float(outcome.losses.sum()),
            parameter=parameter,
            initialization=initialization,
            share=np.nan,
            start=start.copy(),
            step_size=eta,
            grad_sq=outcome.grad_sq,
            factor=factor,
            guarantee=learner.guarantee if is_covered else None,
            bound={"step_size": eta, "grad_sq": outcome.grad_sq},
            radius=objective.radius,
            order=objective.order,
            objective=objective,
            raw_objective=raw_objective,
            task=task,
            raw_task=raw_task,
            coordinates=coordinates,
        )

    def with_share(self, share: float) -> Record:
        """The record with another `share`."""
        return replace(self, share=share)

    def at(self, parameter: np.ndarray) -> Comparator:
        """A raw parameter as a comparator."""
        if self.coordinates is None:
            return self._comparator(parameter)
        return self._comparator(self.coordinates.to_units(parameter))

    def optimum(self) -> Comparator | None:
        """The best parameter in hindsight, nearest to the start if there are several.

        None if the loss of the task has no minimum: for example, the log loss of
        classes that can be separated, without a ball.
        """
        loss = self._loss(self.task, self.objective)
        try:
            return self._comparator(optimum(loss, self.start, self.radius))
        except NoMinimum:
            return None

    def best_in_ball(self, radius: float) -> Comparator:
        """The best raw parameter in a ball: of a norm of at most `radius`."""
        coordinates = self.coordinates
        if coordinates is None:
            loss = self._loss(self.task, self.objective)
            return self._comparator(optimum(loss, self.start, radius))
        loss = self._loss(self.raw_task, self.raw_objective)
        # what has not varied has no coefficient in units
        loss.design[:, :-1] *= coordinates.scale > 0
        best = optimum(loss, coordinates.to_raw(self.start), radius)
        return self._comparator(coordinates.to_units(best))

    def _comparator(self, inside: np.ndarray) -> Comparator:
        if self.step_size.ndim == 3:  # rounding must not move what cannot move
            inside = np.where(diagonals(self.step_size) > 0, inside, self.start)
        loss = self.factor * self._loss(self.task, self.objective).value(inside)
        raw = inside if self.coordinates is None else self.coordinates.to_raw(inside)
        return Comparator(raw, inside, loss)

    def _loss(self, task: Task, objective: Objective) -> TaskLoss:
        return task.loss(objective, len(self.start))
