"""Everything that FMRL has learned, as one value."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skmeta._batch import Batch
from skmeta._fmrl._algorithm import Algorithm
from skmeta._fmrl._row_leader import RowLeader
from skmeta._fmrl._sample import Sample
from skmeta._meta._glitches import NONE_SET_ASIDE, SetAside
from skmeta._meta._history import History
from skmeta._meta._input import Schema, Target
from skmeta._meta._known import KnownTasks
from skmeta._units import Moments

HISTORY = np.dtype(
    [
        ("n_samples", np.int64),
        ("loss", np.float64),
        ("distance", np.float64),
        ("grad_sq_norm", np.float64),
        ("step_size", np.float64),
    ]
)


class Draw(NamedTuple):
    """What `adapt` would have used before one of the tasks, drawn at random.

    Attributes
    ----------
    phi : ndarray of shape (n_outputs, n_features + 1) or (1, n_parameters)
        Raw.
    rule_state : ndarray
    moments : Moments
        Of the rows before the task.
    at_first : bool
        Whether the first task starts at `first` of the algorithm in units of its own,
        whichever it is. `phi` is then right for no other task.
    """

    phi: np.ndarray
    rule_state: np.ndarray
    moments: Moments
    at_first: bool = False


@dataclass(eq=False)
class State:
    """What has been learned. A call learns on a draft; a published value never changes.

    Attributes
    ----------
    algorithm : Algorithm
        Of the last call.
    schema : Schema
    target : Values or Classes
    phi : ndarray of shape (n_outputs, n_features + 1) or (1, n_parameters)
        The shared initialization, raw; the intercept is last, or the parameter is flat.
    rule_state : ndarray
        Of the step size.
    meta_state : ndarray
        Of the meta step size.
    moments : Moments
        Of the rows of the tasks so far; empty without `standardize`.
    row_leader : RowLeader or None
        The model of all rows that the initialization follows, if it does.
    phi_given : bool
        Whether the first initialization was given, or computed from rows.
    seed : int
        Task number t is shuffled by a generator made from (seed, t).
    n_tasks, n_skipped : int
        Tasks learned, and tasks left out, so far.
    moves : ndarray of the shape of `phi`
        Sum of the moves of `phi`, each times the number of tasks learned by then.
    drawn : Draw or None
        Before a task that was drawn uniformly from all so far; None: there is none.
    next_draw : int
        The number of the task, counted from 1, before which the draw is replaced.
    log : History
        Of dtype `HISTORY`.
    known : KnownTasks
    sample : Sample or None
        Rows that new ones are compared with. None: they are not compared.
    set_aside : SetAside
        Rows that were left out.
    """

    algorithm: Algorithm
    schema: Schema
    target: Target
    phi: np.ndarray
    rule_state: np.ndarray
    meta_state: np.ndarray
    moments: Moments
    row_leader: RowLeader | None
    phi_given: bool
    seed: int
    n_tasks: int
    n_skipped: int
    moves: np.ndarray
    log: History
    known: KnownTasks
    drawn: Draw | None = None
    next_draw: int = 1
    sample: Sample | None = None
    set_aside: SetAside = NONE_SET_ASIDE

    def draft(self) -> State:
        """A copy to learn on."""
        draft = State.__new__(State)
        draft.__dict__.update(self.__dict__)
        draft.phi = self.phi.copy()
        draft.moves = self.moves.copy()
        draft.rule_state = self.rule_state.copy()
        draft.meta_state = self.meta_state.copy()
        if self.algorithm.standardize:
            draft.moments = self.moments.copy()
        if self.row_leader is not None:
            draft.row_leader = self.row_leader.copy()
        return draft

    def observe_sample(self, batch: Batch) -> None:
        """Add rows of the tasks just learned to the sample."""
        assert self.sample is not None
        self.sample = self.sample.followed(batch, self.moments, self.n_tasks)

    @property
    def start(self) -> Draw:
        """What `adapt` uses now."""
        at_first = not (self.n_tasks or self.phi_given) and self.algorithm.standardize
        return Draw(self.phi, self.rule_state, self.moments, at_first)

    def snapshot(self) -> Draw:
        """A copy of `start`."""
        phi, rule_state, moments, at_first = self.start
        if self.algorithm.standardize:
            moments = moments.copy()
        return Draw(phi.copy(), rule_state.copy(), moments, at_first)

    def replace_draw(self, draw: Draw) -> None:
        """Let `draw` be the one before task number `next_draw`.

        Task t replaces the draw with probability 1 / t. Given that the last one to do
        so was t, the next one is after n with probability t / n.
        """
        if draw.at_first:  # in the units of the task just learned
            draw = draw._replace(phi=self.mean)
        self.drawn = draw
        self.next_draw = self._draw_after(self.next_draw)

    def pass_draws(self, n_tasks: int) -> None:
        """Pass over the draws that are replaced before task `n_tasks` has ended."""
        while self.next_draw < n_tasks:
            following = self._draw_after(self.next_draw)
            if following > n_tasks:
                break
            self.next_draw = following

    def _draw_after(self, t: int) -> int:
        return int(t / _uniform(self.seed, t)) + 1

    def starts(self, name: str) -> Draw:
        """Where `adapt` starts: 'last', 'draw' or 'mean'."""
        if name == "mean":
            return self.start._replace(phi=self.mean)
        if name == "draw" and self.drawn is not None:
            return self.drawn
        return self.start._replace(phi=self.shared)

    @property
    def mean(self) -> np.ndarray:
        """The mean of `phi` before each of the tasks so far.

        It is a sum by parts: all phi are the last one but for the moves since.
        """
        return self.phi - self.moves / max(self.n_tasks, 1)

    @property
    def shared(self) -> np.ndarray:
        """The parameter that predicts for an unknown task."""
        leader = self.row_leader
        return self.phi if leader is None else leader.latest

    def parameters(self, rows: np.ndarray) -> np.ndarray:
        """Raw parameters of known tasks."""
        return self.known.get(rows)

    @property
    def history(self) -> np.ndarray:
        """One row per learned task."""
        return self.log.to_array()

    def rows(self, names: Sequence[Hashable]) -> np.ndarray:
        """The records of known tasks, -1 for unknown ones."""
        return self.known.rows(names)

    def names(self) -> list[Hashable]:
        """Labels of the known tasks, in order of first appearance."""
        return self.known.names()

    @property
    def index(self) -> Mapping[Hashable, Any]:
        """The known labels are keys of it."""
        return self.known.index


_BITS = 2**64 - 1


def _uniform(seed: int, n: int) -> float:
    """Number n of a stream of uniform numbers in (0, 1], by SplitMix64.

    It takes a tenth of the time of a generator of NumPy.
    """
    z = seed * 0xD1342543DE82EF95 + n * 0x9E3779B97F4A7C15 & _BITS
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _BITS
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _BITS
    return ((z ^ z >> 31) + 1) / 2.0**64
