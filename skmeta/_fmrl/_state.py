"""Everything that FMRL has learned, as one value."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from skmeta._fmrl._algorithm import Algorithm
from skmeta._fmrl._row_leader import RowLeader
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


@dataclass(eq=False)
class State:
    """What has been learned. A call learns on a draft; a published value never changes.

    Attributes
    ----------
    algorithm : Algorithm
        Of the last call.
    schema : Schema
    target : Values or Classes
    phi : ndarray of shape (n_outputs, n_features + 1)
        The shared initialization, raw, intercept last.
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
    log : History
        Of dtype `HISTORY`.
    known : KnownTasks
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
    log: History
    known: KnownTasks

    def draft(self) -> State:
        """A copy to learn on."""
        draft = State.__new__(State)
        draft.__dict__.update(self.__dict__)
        draft.phi = self.phi.copy()
        if self.rule_state.size:
            draft.rule_state = self.rule_state.copy()
        if self.meta_state.size:
            draft.meta_state = self.meta_state.copy()
        if self.algorithm.standardize:
            draft.moments = self.moments.copy()
        if self.row_leader is not None:
            draft.row_leader = self.row_leader.copy()
        return draft

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
