"""The parameter that represents a finished task."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np

from skmeta._batch import Batch, Objective, Task
from skmeta._learners._protocol import Capability, InnerLearner, Outcome
from skmeta._parallel import WORTH_A_TASK, in_threads, map_items


class Run(NamedTuple):
    """A task that was learned.

    Attributes
    ----------
    number : int
        Of the task in the batch.
    task : Task
    learner : InnerLearner
    start : ndarray of shape (n_outputs, n_features + 1)
    eta : ndarray
    outcome : Outcome
    """

    number: int
    task: Task
    learner: InnerLearner
    start: np.ndarray
    eta: np.ndarray
    outcome: Outcome


class TaskParameter:
    """A function of the run of a task.

    Attributes
    ----------
    needs : frozenset of Capability
        Of the learner.
    needs_objective : bool
        Whether the learner must name the loss that it minimises.
    needs_step : bool
        Whether the learner must have a step size.
    needs_average : bool
    """

    needs: ClassVar[frozenset[Capability]] = frozenset()
    needs_objective: ClassVar[bool] = False
    needs_step: ClassVar[bool] = False
    needs_average: ClassVar[bool] = False

    def prepared(
        self,
        batch: Batch,
        objective: Objective | None,
        phi: np.ndarray,
        n_jobs: int | None,
    ) -> TaskParameter:
        """What can be computed before the first task of a call is learned."""
        return self

    def of(self, run: Run) -> tuple[np.ndarray | None, str | None]:
        """The parameter, or None and why there is none."""
        raise NotImplementedError


class Last(TaskParameter):
    """The last iterate."""

    def of(self, run: Run) -> tuple[np.ndarray | None, str | None]:
        return run.outcome.last, None


class Average(TaskParameter):
    """The mean of the iterates at which gradients were taken."""

    needs = frozenset({Capability.AVERAGE})
    needs_average = True

    def of(self, run: Run) -> tuple[np.ndarray | None, str | None]:
        return run.outcome.average, None


class Regularized(TaskParameter):
    """argmin L_t(theta) + ||theta - start||**2 / (2 eta) in the ball."""

    needs_objective = True
    needs_step = True

    def of(self, run: Run) -> tuple[np.ndarray | None, str | None]:
        if Capability.EXACT in run.learner.can:
            return run.outcome.last, None  # which is that minimiser
        objective = run.learner.objective
        assert objective is not None
        loss = run.task.loss(objective, len(run.start))
        weak = 1.0 / run.eta
        last = run.outcome.last
        return objective.regularized(loss, run.start, weak, last), None


class Optimum(TaskParameter):
    """argmin L_t(theta) in the ball, the one nearest to the start.

    For a strictly convex loss all but the dependence on the start is computed ahead of
    the sequential part, in parallel over the tasks.
    """

    needs_objective = True

    def of(self, run: Run) -> tuple[np.ndarray | None, str | None]:
        objective = run.learner.objective
        assert objective is not None
        loss = run.task.loss(objective, len(run.start))
        try:
            return objective.optimum(loss, run.start), None
        except ValueError as error:
            return None, str(error).rstrip(".")

    def prepared(
        self,
        batch: Batch,
        objective: Objective | None,
        phi: np.ndarray,
        n_jobs: int | None,
    ) -> TaskParameter:
        assert objective is not None
        if not objective.loss.is_strict:
            return self
        numbers = range(batch.n_tasks)
        work = len(batch.y) * len(phi) * phi.shape[1] ** 2
        if work < batch.n_tasks * WORTH_A_TASK:  # Python holds the lock for longer
            return PreparedOptimum(
                map_items(_solve, numbers, n_jobs, batch, objective, phi)
            )
        arguments = [(t, batch, objective, phi) for t in numbers]
        return PreparedOptimum(in_threads(_solve, arguments, n_jobs))


class PreparedOptimum(Optimum):
    """The optimum of every task nearest to an earlier start, moved to this one.

    Parameters
    ----------
    optima : list
        Per task the parameter and an orthonormal basis of the span of its rows, None
        for the basis if that is the whole space; or the reason why there is no optimum.
    """

    def __init__(self, optima: list[str | tuple[np.ndarray, np.ndarray | None]]):
        self._optima = optima

    def of(self, run: Run) -> tuple[np.ndarray | None, str | None]:
        found = self._optima[run.number]
        if isinstance(found, str):
            return None, found
        theta, basis = found
        if basis is None:
            return theta, None
        away = run.start - theta
        nearest = run.start - (away @ basis.T) @ basis
        objective = run.learner.objective
        if objective is not None and objective.holds(nearest):
            return nearest, None
        return super().of(run)


def _solve(
    t: int, batch: Batch, objective: Objective, phi: np.ndarray
) -> str | tuple[np.ndarray, np.ndarray | None]:
    task = batch.task(t)
    if not task.is_finite:
        return "its rows are not finite"
    loss = task.loss(objective, len(phi))
    try:
        theta = objective.optimum(loss, phi)
    except ValueError as error:
        return str(error).rstrip(".")
    _, spread, basis = np.linalg.svd(loss.design, full_matrices=False)
    seen = spread > spread[0] * max(loss.design.shape) * np.finfo(float).eps
    n_free = loss.design.shape[1] - int(seen.sum()) - int(objective.bias == 0)
    return theta, basis[seen] if n_free > 0 else None


TASK_PARAMETERS: dict[str, TaskParameter] = {
    "average": Average(),
    "last": Last(),
    "optimum": Optimum(),
    "regularized": Regularized(),
}
