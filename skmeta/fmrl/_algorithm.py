"""The meta-learning algorithm with every name resolved, and one pass of it over tasks.

inner learner x task parameter x step size x meta-update. A part that has a `code` is
known to the compiled loop; a combination with one that has none runs in the loop of the
NumPy twin, which asks for nothing but the methods of the parts.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from skmeta import _kernels
from skmeta._kernels import _loops_py
from skmeta._solvers import optimum
from skmeta.fmrl._meta_batch import MetaBatch, Threads, candidates
from skmeta.fmrl._task_parameter import Last, Regularized, task_loss
from skmeta.meta_update import GeneralizedLeastSquares


@dataclass(frozen=True, eq=False)
class Algorithm:
    """One algorithm of the family.

    Attributes
    ----------
    learner : OGDLearner, FullLossLearner or ForeignLearner
    task_parameter : object of `skmeta.fmrl._task_parameter`
    step_size : object of `skmeta.step_size`
    meta_update : object of `skmeta.meta_update`
    meta_eta0 : float
    phi_given : bool
        Whether the first initialization was given by the user.
    """

    learner: Any
    task_parameter: Any
    step_size: Any
    meta_update: Any
    meta_eta0: float
    phi_given: bool

    def meta_step(self, clock, weight, n_new=1):
        """Share of the way that the initialization moves after `n_new` tasks."""
        t, weight_sum = clock
        is_first = t == n_new and not self.phi_given
        return self.meta_update.step(t, weight, weight_sum, self.meta_eta0, is_first)

    @property
    def learns_prior(self):
        """Whether the step size learns from the rows of finished tasks."""
        return hasattr(self.step_size, "observe_tasks")

    def learn_prior(self, batch, numbers, phi, rule, clock, parameters, distances):
        """Move `rule` and `phi` after the tasks of these numbers, which had one prior.

        Returns False, and changes nothing, if that ends in non-finite numbers. The
        first tasks of all had no prior: what they ended at, in `parameters`, is
        replaced by their posterior means under the prior that they began, and
        `distances` by the distances of these from `phi`.
        """
        tasks = [task_loss(batch, t, self.learner, len(phi)) for t in numbers]
        learned = rule.copy()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            way, found = self.step_size.observe_tasks(
                learned, tasks, phi, parameters, clock[0]
            )
        ends_at_mean = isinstance(self.task_parameter, (Last, Regularized))
        if len(numbers) < clock[0] or not ends_at_mean:
            found = parameters
        with np.errstate(over="ignore", invalid="ignore"):
            moved = np.sqrt(((found - phi) ** 2).sum(axis=(1, 2)))
        if not isinstance(self.meta_update, GeneralizedLeastSquares):
            weights = np.sqrt([len(task.weight) for task in tasks])
            way = np.average(found - phi, axis=0, weights=weights)
            way *= self.meta_step(clock, weights.sum(), len(tasks))
        if not all(np.isfinite(part).all() for part in (learned, way, moved)):
            return False
        phi += way
        rule[:], parameters[:], distances[:] = learned, found, moved
        return True

    def step(self, state, n_samples):
        """Step size of a new task, as the loops propose it."""
        eta0 = self.learner.step(n_samples)
        return self.step_size.propose(state.rule, n_samples, eta0)

    def step_of(self, batch, t, rule):
        """Step size of task t; the first under a prior tells the units of it."""
        m = int(batch.starts[t + 1] - batch.starts[t])
        eta = self.step_size.propose(rule, m, self.learner.step(m))
        if not (self.learns_prior and self.step_size.is_new(rule)):
            return eta
        found = self.step_size.propose_first(
            rule, task_loss(batch, t, self.learner, len(eta))
        )
        return found if np.isfinite(found).all() else eta

    def noise(self, state):
        """Variance of the noise, if it has been learned, or None."""
        return self.step_size.noise(state.rule) if self.learns_prior else None

    @cached_property
    def _has_codes(self):
        # A subclass that inherits a code may have another formula.
        parts = self.learner, self.task_parameter, self.step_size, self.meta_update
        return all(vars(type(part)).get("code") is not None for part in parts)

    def is_plain(self, state):
        """Whether the compiled loop alone learns from a task, its rows in order."""
        is_alone = candidates(self, state)[0][0] is self.step_size
        return self._has_codes and is_alone and not self.learner.shuffle

    def learn_tasks(self, batch, first, last, *arrays):
        """The loop over tasks; see `skmeta._kernels._loops_py.learn_tasks`."""
        loops = _kernels if self._has_codes else _loops_py
        return loops.learn_tasks(batch, first, last, self, *arrays)

    def prepared(self, batch, phi, n_jobs):
        """The algorithm, ready for the tasks of a call."""
        parameter = self.task_parameter.prepared(batch, self.learner, phi, n_jobs)
        if parameter is self.task_parameter:
            return self
        return replace(self, task_parameter=parameter)


def learn(state, batch, own, parameters, meta_batch_size, n_jobs, on_bad_task):
    """Learn from the tasks of a call, once each, and move `state`.

    Parameters
    ----------
    state : MetaState
    batch : Batch
    own : (parameters, row for every task or -1) or (None, None)
        Where known tasks start.
    parameters : ndarray of shape (n_tasks, n_outputs, n_features + 1) or None
        Filled with the task parameters.
    meta_batch_size : int
    n_jobs : int or None
        Threads that share the tasks of a meta-batch.
    on_bad_task : callable
        Called with the number of a task that ended in non-finite numbers, and the
        algorithm; raises, or the task is left out.

    Returns
    -------
    failed : list of int
        The tasks that were left out.
    """
    n_tasks = len(batch.starts) - 1
    algorithm = state.algorithm.prepared(batch, state.phi, n_jobs)
    history = state.history.room(n_tasks)
    failed = []
    is_alone = candidates(algorithm, state)[0][0] is algorithm.step_size
    if meta_batch_size == 1 and is_alone:
        arrays = state.phi, state.rule, state.clock, *own, history, parameters, None
        stop = algorithm.learn_tasks(batch, 0, n_tasks, *arrays)
        while stop < n_tasks:
            on_bad_task(stop, algorithm)
            failed.append(stop)
            stop = algorithm.learn_tasks(batch, stop + 1, n_tasks, *arrays)
    else:
        with Threads(n_jobs) as threads:
            for first in range(0, n_tasks, meta_batch_size):
                last = min(first + meta_batch_size, n_tasks)
                tasks = MetaBatch(algorithm, state, batch, own, first, last)
                tasks.run(threads)
                for t in first + tasks.failed:
                    on_bad_task(t, algorithm)
                    failed.append(t)
                tasks.move()
                history[first:last] = tasks.history[tasks.leader]
                if parameters is not None:
                    parameters[first:last] = tasks.parameters[tasks.leader]
    if failed:
        history[: n_tasks - len(failed)] = np.delete(history, failed)
    state.history = state.history.grown(n_tasks - len(failed))
    state.n_skipped += len(failed)
    return failed


class Record(NamedTuple):
    """What happened in one task, and its optimum in hindsight."""

    label: Any
    n_samples: int
    start: np.ndarray
    step_size: np.ndarray
    loss: float
    grad_sq: np.ndarray
    optimum: np.ndarray
    optimal_loss: float
    covered: bool


def trace(state, batch, names, meta_batch_size):
    """Learn from tasks as `learn` does, and yield a `Record` of each.

    Raises
    ------
    ValueError
        If a task ends in non-finite numbers or has no optimum.
    """
    algorithm = state.algorithm.prepared(batch, state.phi, 1)
    learner, n_tasks = algorithm.learner, len(batch.starts) - 1
    for first in range(0, n_tasks, meta_batch_size):
        last = min(first + meta_batch_size, n_tasks)
        tasks = MetaBatch(algorithm, state, batch, (None, None), first, last)
        tasks.run(Threads(1))
        for t in first + tasks.failed:
            raise ValueError(f"Task {names[t]!r} ends in non-finite numbers.")
        history, grad_sq = tasks.history[tasks.leader], tasks.grad_sq[tasks.leader]
        for t, row, squares in zip(range(first, last), history, grad_sq, strict=True):
            eta = algorithm.step_of(batch, t, state.rule)
            task = task_loss(batch, t, learner, len(state.phi))
            try:
                best = optimum(task, state.phi, learner.radius)
            except ValueError as error:
                raise ValueError(f"Task {names[t]!r}: {error}") from error
            yield Record(
                label=names[t],
                n_samples=int(row["n_samples"]),
                start=state.phi.copy(),
                step_size=eta,
                loss=float(row["loss"] * row["n_samples"]),
                grad_sq=squares,
                optimum=best,
                optimal_loss=task.value(best),
                covered=learner.update != "eg"
                and (eta.size == 1 or not np.isfinite(learner.radius)),
            )
        tasks.move()
