"""The parameter that stands for a finished task.

A task parameter is called by the loop of the NumPy twin after every task. One with a
`code` is known to the compiled loop. `prepared` is called once per call of the
estimator, with all its tasks, before the first of them is learned.
"""

from typing import ClassVar

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs

from skmeta._solvers import TaskLoss, optimum, regularized

# Threads share tasks of so many multiplications or more: those of linear algebra, which
# needs no GIL. Smaller tasks would wait for each other.
WORTH_A_THREAD = 200_000


class _Iterate:
    """One of the iterates, or their mean."""

    code: ClassVar[int]
    needs_average = False

    def prepared(self, batch, learner, phi, n_jobs):
        return self


class Last(_Iterate):
    """The last iterate."""

    code = 0

    def __call__(self, batch, t, learner, start, eta, last, average):
        return last


class Average(_Iterate):
    """The mean of the iterates at which gradients were taken."""

    code = 1
    needs_average = True

    def __call__(self, batch, t, learner, start, eta, last, average):
        return average


class _Solved:
    """A parameter that is computed from the whole task, not taken from its iterates."""

    code = None
    needs_average = False


class Regularized(_Solved):
    """argmin L_t(theta) + ||theta - start||**2 / (2 eta) in the ball."""

    def prepared(self, batch, learner, phi, n_jobs):
        return self

    def __call__(self, batch, t, learner, start, eta, last, average):
        if learner.update == "full_loss":
            return last  # which is that minimiser
        task = task_loss(batch, t, learner, len(start))
        return regularized(task, start, 1.0 / eta, learner.radius, start=last)


class Optimum(_Solved):
    """argmin L_t(theta) in the ball, the one nearest to the shared initialization.

    For a strictly convex loss all but the dependence on the initialization is computed
    ahead of the sequential part, in parallel over the tasks.
    """

    def __call__(self, batch, t, learner, start, eta, last, average):
        return optimum(task_loss(batch, t, learner, len(start)), start, learner.radius)

    def prepared(self, batch, learner, phi, n_jobs):
        if not learner.loss.is_strict:
            return self
        numbers = np.arange(len(batch.starts) - 1)
        n_chunks = min(effective_n_jobs(n_jobs), len(numbers))
        if len(batch.y) / len(numbers) * phi.size**2 < WORTH_A_THREAD:
            n_chunks = 1
        if n_chunks == 1:
            return PreparedOptimum(_optima(batch, learner, phi, numbers))
        found = Parallel(n_jobs=n_chunks, prefer="threads")(
            delayed(_optima)(batch, learner, phi, chunk)
            for chunk in np.array_split(numbers, n_chunks)
        )
        return PreparedOptimum([one for chunk in found for one in chunk])


class PreparedOptimum(_Solved):
    """The optimum of every task nearest to an earlier initialization.

    Parameters
    ----------
    optima : list
        Per task the parameter and an orthonormal basis of the span of its rows, None
        for the basis if that is the whole space; or the reason why there is no optimum.
    """

    def __init__(self, optima):
        self._optima = optima

    def __call__(self, batch, t, learner, start, eta, last, average):
        found = self._optima[t]
        if isinstance(found, str):
            return np.full_like(start, np.nan)
        theta, basis = found
        if basis is None:
            return theta
        moved = start - theta
        nearest = start - (moved @ basis.T) @ basis
        if np.linalg.norm(nearest) < learner.radius:
            return nearest
        return optimum(task_loss(batch, t, learner, len(start)), start, learner.radius)

    def problem(self, t):
        """Why task t has no optimum, or None."""
        return self._optima[t] if isinstance(self._optima[t], str) else None


def _optima(batch, learner, phi, numbers):
    return [_one_optimum(batch, t, learner, phi) for t in numbers]


def _one_optimum(batch, t, learner, phi):
    task = task_loss(batch, t, learner, len(phi))
    if not (
        np.isfinite(task.design).all() and np.isfinite(batch.y[batch.rows(t)]).all()
    ):
        return "its rows are not finite"
    try:
        theta = optimum(task, phi, learner.radius)
    except ValueError as error:
        return str(error)
    _, spread, basis = np.linalg.svd(task.design, full_matrices=False)
    seen = spread > spread[0] * max(task.design.shape) * np.finfo(float).eps
    n_free = task.design.shape[1] - int(seen.sum()) - int(learner.bias == 0)
    return theta, basis[seen] if n_free > 0 else None


def task_loss(batch, t, learner, n_outputs):
    rows = batch.rows(t)
    weight = None if batch.sample_weight is None else batch.sample_weight[rows]
    X, y = batch.X[rows], batch.y[rows]
    return TaskLoss.of(learner.loss, X, y, weight, n_outputs, learner.bias)


TASK_PARAMETERS = {
    "average": Average(),
    "last": Last(),
    "optimum": Optimum(),
    "regularized": Regularized(),
}
