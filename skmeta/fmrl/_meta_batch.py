"""Tasks that share one initialization and step size, run in parallel."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from joblib import effective_n_jobs

from skmeta.fmrl._state import HISTORY

# A chunk of fewer multiplications takes less time than handing it to a thread. Several
# chunks per thread even out what the threads are given.
WORTH_A_THREAD = 500_000
CHUNKS_PER_THREAD = 4


def candidates(algorithm, state):
    """The step-size rules that every task is run with, and their parts of the state."""
    rule = algorithm.step_size
    if hasattr(rule, "candidates"):
        return rule.candidates(state.rule)
    return [(rule, state.rule)]


class MetaBatch:
    """Tasks that start from one initialization, run with every candidate step size.

    Parameters
    ----------
    algorithm : Algorithm
    state : MetaState
    batch : Batch
    own : (parameters, row for every task or -1) or (None, None)
        Where known tasks start.
    first, last : int
        They are tasks `first` to `last` - 1 of `batch`, and numbered from zero here.

    Attributes
    ----------
    leader : int
        The candidate whose runs count.
    done, history, parameters, grad_sq : ndarray of shape (n_candidates, n_tasks, ...)
        Of every run: whether it stayed finite, and what it gave.
    """

    def __init__(self, algorithm, state, batch, own, first, last):
        self._algorithm, self._state = algorithm, state
        self._batch = batch._replace(starts=batch.starts[first : last + 1])
        parameters, rows = own
        self._own = parameters, None if rows is None else rows[first:last]
        self._runs = [
            (replace(algorithm, step_size=rule), part)
            for rule, part in candidates(algorithm, state)
        ]
        several = len(self._runs) > 1
        self.leader = algorithm.step_size.leader(state.rule) if several else 0
        shape = len(self._runs), last - first
        self.done = np.ones(shape, dtype=bool)
        self.history = np.zeros(shape, HISTORY)
        self.parameters = np.zeros((*shape, *state.phi.shape))
        self.grad_sq = np.empty((*shape, *algorithm.step(state, 1).shape))

    def run(self, threads):
        """Learn from every task with every candidate; nothing moves."""
        n_tasks, state = len(self._batch.starts) - 1, self._state
        work = (self._batch.starts[-1] - self._batch.starts[0]) * state.phi.size
        for k, (algorithm, rule) in enumerate(self._runs):
            moving = state.phi, rule, state.clock, *self._own
            room = self.history[k], self.parameters[k], self.grad_sq[k]

            def run(first, last, algorithm=algorithm, arrays=(*moving, *room)):
                """The tasks that fail."""
                failed = []
                while first < last:
                    first = 1 + algorithm.learn_tasks(self._batch, first, last, *arrays)
                    if first <= last:
                        failed.append(first - 1)
                return failed

            self.done[k, threads.map(run, n_tasks, work)] = False

    @property
    def failed(self):
        """The tasks that could not be learned from."""
        return np.flatnonzero(~self.done[self.leader])

    def move(self):
        """Learn the step size, and move towards the weighted mean of the parameters."""
        state, learned = self._state, np.flatnonzero(self.done[self.leader])
        if len(self._runs) > 1:
            self._judge()
        if not learned.size:
            return
        weights = np.sqrt(self.history["n_samples"][self.leader, learned])
        if self._algorithm.learns_prior:
            self._move_prior(learned, weights)
            return
        moves = self.parameters - state.phi
        numbers = state.clock[0] + 1.0 + np.arange(len(learned))
        state.clock += (len(learned), weights.sum())
        for k, (algorithm, rule) in enumerate(self._runs):
            if not rule.size:
                continue  # a rule without a state learns nothing
            observe = algorithm.step_size.observe
            seen = moves[k, learned], self.grad_sq[k, learned], numbers
            for done, *task in zip(self.done[k, learned].tolist(), *seen, strict=True):
                if done:
                    observe(rule, *task)
        share = self._algorithm.meta_step(state.clock, weights.sum(), len(learned))
        total = np.einsum("t,tkp->kp", weights, moves[self.leader, learned])
        state.phi += share / weights.sum() * total

    def _judge(self):
        """Compare the candidates on every task that one of them could learn from."""
        losses = self.history["loss"] * self.history["n_samples"]
        losses = np.where(self.done, losses, np.inf)[:, self.done.any(axis=0)]
        self._algorithm.step_size.judge(self._state.rule, losses.sum(axis=1))

    def _move_prior(self, learned, weights):
        state, batch = self._state, self._batch
        state.clock += (len(learned), weights.sum())
        found = self.parameters[self.leader, learned]
        distances = self.history["distance"][self.leader, learned]
        moving = state.phi, state.rule, state.clock, found, distances
        if not self._algorithm.learn_prior(batch, learned, *moving):
            raise ValueError(
                f"The meta-batch of {len(learned)} tasks that begins with row "
                f"{batch.rows(learned[0])[0]} of the call leads to non-finite numbers: "
                "scale the features and the target."
            )
        self.parameters[self.leader, learned] = found
        self.history["distance"][self.leader, learned] = distances


class Threads:
    """Threads for chunks of tasks; the compiled loop leaves them free of the GIL.

    joblib's own hand-over takes milliseconds, the loop over a block of tasks often
    less.
    """

    def __init__(self, n_jobs):
        self._n = effective_n_jobs(n_jobs)
        self._pool = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._pool is not None:
            self._pool.shutdown()

    def map(self, function, n_tasks, work):
        """The lists that function(first, last) returns for chunks of tasks, joined."""
        n = min(1 * self._n, n_tasks, int(work // WORTH_A_THREAD))
        if n <= 1 or self._n == 1:
            return function(0, n_tasks)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._n)
        edges = np.linspace(0, n_tasks, n + 1).astype(int).tolist()
        chunks = self._pool.map(function, edges[:-1], edges[1:])
        return [one for chunk in chunks for one in chunk]
