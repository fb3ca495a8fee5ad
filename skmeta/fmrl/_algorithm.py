"""The meta-learning algorithm with every name resolved, and one pass of it over tasks.

inner learner x task parameter x step size x meta-update. A part that has a `code` is
known to the compiled loop; a combination with one that has none runs in the loop of the
NumPy twin, which asks for nothing but the methods of the parts.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs

from skmeta import _kernels
from skmeta._kernels import _loops_py
from skmeta._solvers import optimum
from skmeta.fmrl._state import HISTORY
from skmeta.fmrl._task_parameter import task_loss


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

    def step(self, state, n_samples):
        """Step size of a new task, as the loops propose it."""
        eta0 = self.learner.step(n_samples)
        return self.step_size.propose(state.rule, n_samples, eta0)

    def learn_tasks(self, batch, first, last, *arrays):
        """The loop over tasks; see `skmeta._kernels._loops_py.learn_tasks`."""
        parts = self.learner, self.task_parameter, self.step_size, self.meta_update
        # A subclass that inherits a code may have another formula.
        codes = [vars(type(part)).get("code") for part in parts]
        loops = _loops_py if None in codes else _kernels
        return loops.learn_tasks(batch, first, last, self, *arrays)


def learn(state, batch, own, parameters, meta_batch_size, n_jobs, on_bad_task):
    """Learn from the tasks of a call, once each, and move `state`.

    Parameters
    ----------
    state : MetaState
    batch : Batch
    own : (parameters, row for every task or -1) or None
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
    done : bool ndarray of shape (n_tasks,)
    history : ndarray of shape (n_tasks,) of HISTORY
    """
    n_tasks = len(batch.starts) - 1
    algorithm = state.algorithm
    task_parameter = algorithm.task_parameter.prepared(
        batch, algorithm.learner, state.phi, n_jobs
    )
    algorithm = replace(algorithm, task_parameter=task_parameter)
    done, history = np.ones(n_tasks, dtype=bool), np.empty(n_tasks, HISTORY)
    is_alone = _candidates(algorithm, state)[0][0] is algorithm.step_size

    if meta_batch_size == 1 and is_alone:
        moving = state.phi, state.rule, state.clock, *(own or (None, None))
        room = history, parameters, None
        for t in _run(algorithm, batch, 0, n_tasks, moving, room):
            done[t] = False
            on_bad_task(t, algorithm)
        return done, history

    trials = _Trials(algorithm, state, batch, own)
    with Parallel(n_jobs=effective_n_jobs(n_jobs), prefer="threads") as parallel:
        for first in range(0, n_tasks, meta_batch_size):
            last = min(first + meta_batch_size, n_tasks)
            leader = trials.run(state, first, last, parallel)
            for t in first + np.flatnonzero(~trials.done[leader, first:last]):
                on_bad_task(t, algorithm)
            learned = trials.move(state, leader, first, last)
            done[first:last] = trials.done[leader, first:last]
            history[learned] = trials.history[leader, learned]
            if parameters is not None:
                parameters[learned] = trials.parameters[leader, learned]
    return done, history


def _candidates(algorithm, state):
    """The step-size rules that every task is run with, and their states."""
    rule = algorithm.step_size
    if hasattr(rule, "candidates"):
        return rule.candidates(state.rule)
    return [(rule, state.rule)]


def _run(algorithm, batch, first, last, moving, room):
    """The loop over tasks, which goes on after a task that fails; yields those."""
    while first < last:
        first = 1 + algorithm.learn_tasks(batch, first, last, *moving, *room)
        if first <= last:
            yield first - 1


class _Trials:
    """Meta-batches of one or more tasks, run with every candidate step size.

    Attributes
    ----------
    done, history, parameters, grad_sq : ndarray of shape (n_candidates, n_tasks, ...)
    """

    def __init__(self, algorithm, state, batch, own):
        self._algorithm, self._batch, self._own = algorithm, batch, own
        self._runs = [
            (replace(algorithm, step_size=rule), part)
            for rule, part in _candidates(algorithm, state)
        ]
        shape = len(self._runs), len(batch.starts) - 1
        self.done = np.ones(shape, dtype=bool)
        self.history = np.zeros(shape, HISTORY)
        self.parameters = np.zeros((*shape, *state.phi.shape))
        self.grad_sq = np.empty((*shape, *algorithm.step(state, 1).shape))

    def run(self, state, first, last, parallel=None):
        """Fill the rows of tasks `first` to `last` - 1; return the leader's number."""
        n_jobs = 1 if parallel is None else min(parallel.n_jobs, last - first)
        edges = np.linspace(first, last, n_jobs + 1).astype(int)
        jobs = [
            (k, *chunk)
            for k in range(len(self._runs))
            for chunk in zip(edges[:-1], edges[1:], strict=True)
        ]

        def run_job(k, *chunk):
            algorithm, rule = self._runs[k]
            moving = state.phi, rule, state.clock, *(self._own or (None, None))
            room = self.history[k], self.parameters[k], self.grad_sq[k]
            for t in _run(algorithm, self._batch, *chunk, moving, room):
                self.done[k, t] = False

        if n_jobs == 1:
            for job in jobs:
                run_job(*job)
        else:
            parallel(delayed(run_job)(*job) for job in jobs)
        rule = self._algorithm.step_size
        return rule.leader(state.rule) if len(self._runs) > 1 else 0

    def move(self, state, leader, first, last):
        """After a meta-batch: move towards the weighted mean of its parameters.

        They are the leader's. Returns the numbers of the tasks that were learned.
        """
        learned = first + np.flatnonzero(self.done[leader, first:last])
        weights = np.sqrt(self.history["n_samples"][leader, learned])
        moves = self.parameters[:, learned] - state.phi
        for i, t in enumerate(learned):
            state.clock += (1.0, weights[i])
            for k, (algorithm, rule) in enumerate(self._runs):
                if self.done[k, t]:
                    seen = moves[k, i], self.grad_sq[k, t]
                    algorithm.step_size.observe(rule, *seen, state.clock[0])
        if len(self._runs) > 1:
            done = self.done[:, first:last]
            tasks = self.history[:, first:last]
            losses = np.where(done, tasks["loss"] * tasks["n_samples"], np.inf)
            losses = losses[:, done.any(axis=0)].sum(axis=1)
            self._algorithm.step_size.judge(state.rule, losses)
        if learned.size:
            share = self._algorithm.meta_step(state.clock, weights.sum(), len(learned))
            state.phi += share * np.average(moves[leader], axis=0, weights=weights)
        return learned


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
    algorithm, learner = state.algorithm, state.algorithm.learner
    n_tasks = len(batch.starts) - 1
    prepared = algorithm.task_parameter.prepared(batch, learner, state.phi, 1)
    algorithm = replace(algorithm, task_parameter=prepared)
    trials = _Trials(algorithm, state, batch, None)
    for first in range(0, n_tasks, meta_batch_size):
        last = min(first + meta_batch_size, n_tasks)
        leader = trials.run(state, first, last)
        failed = first + np.flatnonzero(~trials.done[leader, first:last])
        if failed.size:
            raise ValueError(f"Task {names[failed[0]]!r} ends in non-finite numbers.")
        history, grad_sq = trials.history[leader], trials.grad_sq[leader]
        for t in range(first, last):
            m = int(history["n_samples"][t])
            eta = algorithm.step(state, m)
            task = task_loss(batch, t, learner, len(state.phi))
            try:
                best = optimum(task, state.phi, learner.radius)
            except ValueError as error:
                raise ValueError(f"Task {names[t]!r}: {error}") from error
            yield Record(
                label=names[t],
                n_samples=m,
                start=state.phi.copy(),
                step_size=eta,
                loss=float(history["loss"][t] * m),
                grad_sq=grad_sq[t],
                optimum=best,
                optimal_loss=task.value(best),
                covered=learner.update != "eg"
                and (eta.size == 1 or not np.isfinite(learner.radius)),
            )
        trials.move(state, leader, first, last)
