"""The loop over tasks and meta-batches: the specification of the compiled loop.

The tasks of a meta-batch share one initialization, one step size, one rule state and
one system of units. These are updated after the meta-batch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from skmeta import _kernels
from skmeta._batch import Batch, Objective, Task
from skmeta._fmrl._algorithm import check_observed, observe_all
from skmeta._fmrl._runs import Runs
from skmeta._fmrl._state import Draw, State
from skmeta._fmrl._task_parameter import Run, TaskParameter
from skmeta._learners._protocol import check_outcome
from skmeta._parallel import (
    CHUNKS_PER_WORKER,
    WORTH_A_TASK,
    WORTH_A_THREAD,
    chunks_of,
    in_jobs,
    in_threads,
    n_threads,
    timed,
)
from skmeta._sparse import check_indices
from skmeta._step_matrices import diagonal
from skmeta._units import Coordinates, Moments
from skmeta.step_size import StepSize


class KnownStarts(NamedTuple):
    """Parameters of known tasks, and the row of every task of a batch, or -1."""

    parameters: np.ndarray
    rows: np.ndarray


class Options(NamedTuple):
    """How a call processes its tasks.

    Attributes
    ----------
    meta_batch_size : int
    n_jobs : int or None
    stops : bool
        Whether the first bad task ends the call.
    """

    meta_batch_size: int = 1
    n_jobs: int | None = None
    stops: bool = False


Bad = list[tuple[int, str | None]]


def learn(
    state: State,
    batch: Batch,
    known: KnownStarts | None,
    parameters: np.ndarray | None,
    history: np.ndarray,
    options: Options,
) -> Bad:
    """Learn from the tasks of a call, once each, and move `state`.

    Parameters
    ----------
    state : State
        A draft.
    batch : Batch
    known : KnownStarts or None
        Where known tasks start.
    parameters : ndarray of shape (n_tasks, n_outputs, n_features + 1) or None
        Filled with the raw task parameters.
    history : ndarray of HISTORY of shape (n_tasks,)
        Its first rows are filled, one for every task that is not left out.
    options : Options

    Returns
    -------
    bad : list of (int, str)
        The tasks that were left out, and why.
    """
    go = _learn_batches
    if options.meta_batch_size == 1 and state.algorithm.can_compile(batch.X):
        go = _learn_compiled
    if state.row_leader is not None:
        if go is _learn_batches or not isinstance(batch.X, np.ndarray):
            go = partial(_learn_parts, go)
    bad = go(state, batch, known, parameters, history, options)
    if bad and not options.stops:
        learned = np.delete(history, [t for t, _ in bad])
        history[: len(learned)] = learned
    return bad


def _learn_parts(
    go: Callable[..., Bad],
    state: State,
    batch: Batch,
    known: KnownStarts | None,
    parameters: np.ndarray | None,
    history: np.ndarray,
    options: Options,
) -> Bad:
    """Learn in parts, after each of which the initialization follows the rows."""
    assert state.row_leader is not None
    size, n_tasks, bad = options.meta_batch_size, batch.n_tasks, []
    first = 0
    while first < n_tasks:
        end = batch.starts[first] + state.row_leader.rows_to_go
        n = int(np.searchsorted(batch.starts[first + 1 :], end)) + 1
        last = min(first + -(-n // size) * size, n_tasks)
        one, part = slice(first, last), batch.tasks(first, last)
        starts = known and KnownStarts(known.parameters, known.rows[one])
        filled = None if parameters is None else parameters[one]
        found = go(state, part, starts, filled, history[one], options)
        bad += [(first + t, problem) for t, problem in found]
        if bad and options.stops:
            break
        follow_rows(state, part.without([t for t, _ in found]))
        first = last
    return bad


def follow_rows(state: State, batch: Batch) -> None:
    """Add rows to the model of all rows, and move the initialization when it is due."""
    objective, leader = state.algorithm.learner.objective, state.row_leader
    assert objective is not None and leader is not None
    if not batch.n_tasks:
        return
    if not leader.n_rows:
        leader.start_at(state.phi)
    with np.errstate(over="ignore", invalid="ignore"):
        leader.observe(batch.joined(), objective)
        if leader.rows_to_go <= 0:
            leader.solve()
            state.moves += state.n_tasks * (leader.leader - state.phi)
            state.phi = leader.leader.copy()


def _learn_compiled(
    state: State,
    batch: Batch,
    known: KnownStarts | None,
    parameters: np.ndarray | None,
    history: np.ndarray,
    options: Options,
) -> Bad:
    known_parameters, known_rows = (None, None) if known is None else known
    algorithm, n_tasks = state.algorithm, batch.n_tasks
    moving = state.phi, state.rule_state, state.meta_state
    known_tasks, filled = (known_parameters, known_rows), (history, parameters, None)
    units = state.moments.array, state.phi_given, state.moves
    fixed = *known_tasks, *filled, *units, *_leader_inside(state, batch)
    bad: Bad = []
    first = 0
    while first < n_tasks:
        draw, n_more = _next_part(state, n_tasks - first, options.stops)
        last = first + n_more
        part = batch, first, last, algorithm.plan
        stop = _kernels.learn_tasks(*part, *moving, state.n_tasks, *fixed)
        state.n_tasks += stop - first
        if draw is not None and stop > first:
            state.replace_draw(draw)
        first = stop
        if stop < last:
            bad.append((stop, algorithm.learner.divergence()))
            state.n_skipped += 1
            if options.stops:
                break
            first += 1
    return bad


def _leader_inside(state: State, batch: Batch) -> tuple[Any, ...]:
    """What the compiled loop needs to follow the rows, where it does."""
    leader = state.row_leader
    if leader is None or not isinstance(batch.X, np.ndarray):
        return ()
    loss = state.algorithm.loss
    assert loss is not None
    return leader.plan(loss), leader.array


def _next_part(state: State, n_left: int, stops: bool) -> tuple[Draw | None, int]:
    """What replaces the draw if the next task is learned, and how many go with it.

    A part ends before the task that replaces the draw last. If tasks may be left out,
    every replacement may turn out to be the last one.
    """
    if stops:
        state.pass_draws(state.n_tasks + n_left)
    n_before = state.next_draw - state.n_tasks - 1
    if n_before:
        return None, min(n_before, n_left)
    draw = state.snapshot()
    return draw, n_left if stops and not draw.at_first else 1


def _learn_batches(
    state: State,
    batch: Batch,
    known: KnownStarts | None,
    parameters: np.ndarray | None,
    history: np.ndarray,
    options: Options,
) -> Bad:
    check_indices(batch.X)
    algorithm, bad = state.algorithm, []
    parameter = algorithm.task_parameter
    if not algorithm.standardize:
        objective = algorithm.learner.objective
        parameter = parameter.prepared(batch, objective, state.phi, options.n_jobs)
    for first in range(0, batch.n_tasks, options.meta_batch_size):
        last = min(first + options.meta_batch_size, batch.n_tasks)
        tasks = MetaBatch(state, batch, known, parameter, first, last)
        tasks.run(options.n_jobs)
        bad += tasks.bad
        if bad and options.stops:
            return bad
        history[first:last] = tasks.leading.history
        if parameters is not None:
            parameters[first:last] = tasks.raw_parameters()
        tasks.move()
    return bad


class MetaBatch:
    """Tasks that start from one initialization, run with every candidate step size.

    Parameters
    ----------
    state : State
        A draft, which `move` moves.
    batch : Batch
    known : KnownStarts or None
    parameter : TaskParameter
        As prepared for this batch.
    first, last : int
        They are tasks `first` to `last` - 1 of `batch`, and numbered from zero here.

    Attributes
    ----------
    coordinates : Coordinates or None
        The units that the tasks are learned in.
    phi : ndarray of shape (n_outputs, n_features + 1)
        The shared initialization, in units.
    leading : Runs
        The runs that count.
    """

    leading: Runs

    def __init__(
        self,
        state: State,
        batch: Batch,
        known: KnownStarts | None,
        parameter: TaskParameter,
        first: int,
        last: int,
    ):
        algorithm = self._algorithm = state.algorithm
        self._state, self._first, self._n = state, first, last - first
        self._batch, self._parameter = batch.tasks(first, last), parameter
        self._seed = state.n_tasks + state.n_skipped
        self._without_units: list[int] = []  # not finite, or too large for a square
        self.coordinates = self._fix_units()
        self._learner = algorithm.learner
        if self.coordinates is not None:
            self._learner = algorithm.learner.in_units(self.coordinates)
        self._known = known
        if known is not None:
            self._known = KnownStarts(known.parameters, known.rows[first:last])
        self._raw_phi = state.phi
        if self.coordinates is not None and state.start.at_first:
            self._raw_phi = self.coordinates.to_raw(algorithm.first(state.seed))
        self.phi = self._inside(self._raw_phi)
        self._plans = algorithm.plans_for(self._learner)
        self._candidates = algorithm.step_size.candidates(state.rule_state)
        several = len(self._candidates) > 1
        self._leader = algorithm.step_size.leader(state.rule_state) if several else 0
        self._runs: list[Runs] = []

    @cached_property
    def _raw_tasks(self) -> list[Task]:
        seed = self._state.seed
        return [self._batch.task(t, (seed, self._seed + t)) for t in range(self._n)]

    @cached_property
    def _tasks(self) -> list[Task]:
        """In units."""
        if self.coordinates is None:
            return self._raw_tasks
        with np.errstate(over="ignore", invalid="ignore"):  # of bad tasks
            return [self.coordinates.task(task) for task in self._raw_tasks]

    def _fix_units(self) -> Coordinates | None:
        """The units of the features up to these tasks, and of the targets before them.

        Tasks before which no target has varied are learned in the units of their own.
        """
        algorithm, before = self._algorithm, self._state.moments
        if not algorithm.standardize:
            return None
        self._moments = self._moments_with(before, self._batch.joined())
        if not np.isfinite(self._moments.array).all():
            self._moments = before
            for t, task in enumerate(self._raw_tasks):
                moments = self._moments_with(self._moments, task)
                if np.isfinite(moments.array).all():
                    self._moments = moments
                else:
                    self._without_units.append(t)
        return algorithm.units(self._moments, before)

    def _moments_with(self, before: Moments, task: Task) -> Moments:
        moments = before.copy()
        with np.errstate(over="ignore", invalid="ignore"):
            moments.observe(task, centered=self._algorithm.centers)
        return moments

    def _inside(self, parameter: np.ndarray) -> np.ndarray:
        if self.coordinates is None:
            return parameter
        return self.coordinates.to_units(parameter)

    def _raw_start(self, t: int) -> np.ndarray:
        """Where task t starts, raw."""
        if self._known is None or self._known.rows[t] < 0:
            return self._raw_phi
        return self._known.parameters[self._known.rows[t]]

    def _start(self, t: int) -> np.ndarray:
        """Where task t starts, in units."""
        raw = self._raw_start(t)
        return self.phi if raw is self._raw_phi else self._inside(raw)

    @property
    def bad(self) -> Bad:
        """The tasks that could not be learned from, by number in the batch."""
        failed = np.flatnonzero(~self.leading.done).tolist()
        return [(self._first + t, self.leading.problems[t]) for t in failed]

    # ---- run

    def run(self, n_jobs: int | None) -> None:
        """Learn from every task with every candidate; the state does not change."""
        n_rows = int(self._batch.starts[-1] - self._batch.starts[0])
        work = n_rows * self.phi.size * len(self._candidates)
        parts = map_chunks(self, self._n, work, n_jobs)
        self._runs = [Runs.joined(list(chunks)) for chunks in zip(*parts, strict=True)]
        self.leading = self._runs[self._leader]

    def run_leader(self, t: int) -> Run:
        """Learn task t once more, with the leading candidate."""
        return self.run_one(t, *self._candidates[self._leader])

    @property
    def is_compiled(self) -> bool:
        """Whether one compiled call runs a candidate on all tasks."""
        return all(plan is not None for plan in self._plans)

    @property
    def holds_gil(self) -> bool:
        """Whether tasks cannot run in several threads at a time."""
        return not self.is_compiled and self._learner.holds_gil

    def part(self, first: int, last: int) -> MetaBatch:
        """What `run_chunk` needs of some of these tasks, in another process."""
        part: Any = MetaBatch.__new__(MetaBatch)
        vars(part).update(vars(self), _runs=[], _raw_tasks=[], _plans=[], _moments=None)
        inside = slice(first, last)
        part._tasks = [None] * first + self._tasks[inside]
        part._batch, part._state, known = None, None, self._known
        if known is not None:
            rows = np.full(last, -1)
            is_known = known.rows[inside] >= 0
            rows[inside][is_known] = np.arange(is_known.sum())
            own = known.parameters[known.rows[inside][is_known]]
            part._known = KnownStarts(own, rows)
        return part

    def run_chunk(self, first: int, last: int) -> list[Runs]:
        """Learn tasks `first` to `last` - 1 with every candidate."""
        if self._plans and self.is_compiled:
            return self._run_compiled(first, last)
        chunk = []
        for rule, rule_state in self._candidates:
            done = [self.run_one(t, rule, rule_state) for t in range(first, last)]
            runs = Runs(last - first, self.phi.shape, done[0].eta.shape)
            for t, run in enumerate(done):
                self._record(t, run, runs)
            chunk.append(runs)
        return chunk

    def _run_compiled(self, first: int, last: int) -> list[Runs]:
        batch, known, factor = self._batch.tasks(first, last), self._known, 1.0
        own, rows = None, None
        if known is not None:
            own, rows = known.parameters, known.rows[first:last]
        if self.coordinates is not None:
            if rows is not None and own is not None:
                is_known = rows >= 0
                own = self._inside(own[rows[is_known]])
                rows = np.where(is_known, np.cumsum(is_known) - 1, -1)
            with np.errstate(over="ignore", invalid="ignore"):  # of bad tasks
                batch = self.coordinates.batch(batch)
            factor = self.coordinates.loss_factor(self.raw_objective)
        state, why, chunk = self._state, self._learner.divergence(), []
        m = int(batch.starts[1] - batch.starts[0])
        for plan, (rule, rule_state) in zip(self._plans, self._candidates, strict=True):
            eta = self._algorithm.propose(rule, rule_state, self._learner, m)
            runs = Runs(last - first, self.phi.shape, eta.shape)
            moving = self.phi, rule_state, state.meta_state, state.n_tasks, own, rows
            runs.fill(plan, batch, moving, why)
            runs.history["loss"] *= factor
            for t in self._without_units:
                if first <= t < last:
                    runs.fail(t - first, why)
            chunk.append(runs)
        return chunk

    def run_one(self, t: int, rule: StepSize, rule_state: np.ndarray) -> Run:
        """Learn task t with one rule, in units."""
        task, start = self._tasks[t], self._start(t)
        algorithm, learner = self._algorithm, self._learner
        eta = algorithm.propose(rule, rule_state, learner, len(task))
        average = algorithm.task_parameter.needs_average
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                outcome = learner.run(task, start, eta, average=average)
                outcome = check_outcome(
                    outcome, learner, algorithm.shape, len(task), eta, average
                )
        except Exception as error:
            number = self._first + t + 1
            error.add_note(f"Raised by task number {number}, in order of appearance.")
            raise
        return Run(self._first + t, task, learner, start, eta, outcome)

    def _record(self, t: int, run: Run, runs: Runs) -> None:
        """Fill entry t with what a run gave."""
        outcome, problem, parameter = run.outcome, run.outcome.problem, None
        if run.number - self._first in self._without_units:
            problem = self._learner.divergence()
        if problem is None:
            parameter, problem = self._parameter.of(run)
        distance = np.nan
        if parameter is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                distance = np.sqrt(((parameter - self.phi) ** 2).sum())
        if problem is None and not np.isfinite(distance):
            problem = self._learner.divergence()
        if problem is not None:
            runs.fail(t, problem)
            return
        m, losses, grad_sq = len(run.task), outcome.losses, outcome.grad_sq
        loss = np.nan if losses is None else float(losses.sum()) / m
        if self.coordinates is not None:
            loss *= self.coordinates.loss_factor(self._algorithm.learner.objective)
        squares = np.nan if grad_sq is None else diagonal(grad_sq).sum()
        runs.history[t] = (m, loss, distance, squares, diagonal(run.eta).mean())
        runs.parameters[t] = parameter
        if grad_sq is not None:
            runs.grad_sq[t] = grad_sq

    # ---- move

    @property
    def raw_objective(self) -> Objective | None:
        """What the learner minimises, for raw targets."""
        return self._algorithm.learner.objective

    @property
    def raw_phi(self) -> np.ndarray:
        """The shared initialization, raw."""
        return self._raw_phi.copy()

    def raw_parameters(self) -> np.ndarray:
        """The raw parameters of the tasks."""
        found = self.leading.parameters
        if self.coordinates is None:
            return found
        if self._known is None:
            return self._raw_phi + self.coordinates.displacement(found - self.phi)
        starts = np.array([self._raw_start(t) for t in range(self._n)])
        inside = np.array([self._start(t) for t in range(self._n)])
        return starts + self.coordinates.displacement(found - inside)

    def move(self) -> float:
        """Learn the step size, and move towards the weighted mean of the parameters.

        Returns the share of the way.
        """
        state, algorithm = self._state, self._algorithm
        learned = np.flatnonzero(self.leading.done)
        draws = state.next_draw <= state.n_tasks + len(learned)
        draw = state.snapshot() if draws else None
        if len(self._runs) > 1:
            self._judge()
        state.n_skipped += self._n - len(learned)
        if not learned.size:
            return 0.0
        weights = np.sqrt(self.leading.history["n_samples"][learned])
        self._observe_runs(learned)
        is_first = state.n_tasks == 0 and not state.phi_given
        n_tasks = state.n_tasks = state.n_tasks + len(learned)
        weight = float(weights.sum())
        share = algorithm.share(state.meta_state, n_tasks, weight, is_first)
        check_observed(state.meta_state, algorithm.meta_step_size, n_tasks)
        moves = self.leading.parameters[learned] - self.phi
        step = share / weight * np.einsum("t,tkp->kp", weights, moves)
        if self.coordinates is not None:
            step = self.coordinates.displacement(step)
            if len(learned) < self._n:
                self._moments = state.moments
                for t in learned:
                    task = self._raw_tasks[t]
                    self._moments.observe(task, centered=algorithm.centers)
            state.moments = self._moments
        state.phi = self._raw_phi + step
        state.moves += n_tasks * step
        while draw is not None and state.next_draw <= n_tasks:
            state.replace_draw(draw)
        return share

    def _observe_runs(self, learned: np.ndarray) -> None:
        """Let the rules learn from the tasks."""
        n_before, numbers = self._state.n_tasks, np.zeros(self._n, dtype=np.intp)
        numbers[learned] = n_before + 1 + np.arange(len(learned))
        for runs, (rule, rule_state) in zip(self._runs, self._candidates, strict=True):
            done = learned[runs.done[learned]]
            moves = runs.parameters[done] - self.phi
            n_samples = runs.history["n_samples"][done]
            grad_sq = runs.grad_sq[done]
            observe_all(rule, rule_state, moves, grad_sq, n_samples, numbers[done])
            check_observed(rule_state, rule, n_before + len(learned))

    def _judge(self) -> None:
        """Compare the candidates on every task that one of them could learn from."""
        done = np.array([runs.done for runs in self._runs])
        losses = np.array(
            [runs.history["loss"] * runs.history["n_samples"] for runs in self._runs]
        )
        losses = np.where(done, losses, np.inf)[:, done.any(axis=0)].sum(axis=1)
        self._algorithm.step_size.judge(self._state.rule_state, losses)


def map_chunks(
    tasks: MetaBatch, n_tasks: int, work: int, n_jobs: int | None
) -> list[list[Runs]]:
    """The runs of every candidate on chunks of tasks, in parallel if that pays.

    `work` is about the number of multiplications of a compiled loop. The time of other
    learners is measured with the first task.
    """
    if n_tasks == 1:
        return [tasks.run_chunk(0, n_tasks)]
    if not tasks.holds_gil:
        per_task = 0 if tasks.is_compiled else WORTH_A_TASK
        worth = max(WORTH_A_THREAD, n_tasks * per_task)
        if work < worth or n_threads(n_jobs) == 1:
            return [tasks.run_chunk(0, n_tasks)]
        size = -(-n_tasks // (CHUNKS_PER_WORKER * n_threads(n_jobs)))
        edges = [*range(0, n_tasks, size), n_tasks]
        return in_threads(tasks.run_chunk, list(pairwise(edges)), n_jobs)
    one, seconds = timed(tasks.run_chunk, 0, 1)
    parts = [(tasks.part(*part), *part) for part in chunks_of(n_tasks, n_jobs)]
    seconds *= n_tasks - 1
    return [one, *in_jobs(MetaBatch.run_chunk, parts, n_jobs, seconds)]
