"""The draft of one call of `fit` or `partial_fit`."""

from __future__ import annotations

from typing import Any

import numpy as np

from skmeta._batch import Batch
from skmeta._fmrl._configure import Configuration
from skmeta._fmrl._loop import KnownStarts, learn
from skmeta._fmrl._state import State
from skmeta._meta._input import Reading


class Call:
    """The draft of one call: the state that it learns, and the tasks to store.

    `before` is the state that the call continues, None if it starts anew.
    """

    __slots__ = ("before", "configuration", "state", "stored")

    def __init__(
        self, state: State, configuration: Configuration, before: State | None
    ):
        self.state, self.configuration, self.before = state, configuration, before
        self.stored: tuple[list[Any], np.ndarray] | None = None

    def is_usual(self, batch: Batch) -> bool:
        """Whether rows of the batch need not be compared with others."""
        state, before = self.state, self.before
        sample = state.sample
        if sample is None:
            return True
        return (
            before is not None
            and sample.is_enough(before.n_tasks, state.n_tasks)
            and sample.is_usual(len(batch.y), before.moments, state.moments)
        )

    def start_again(self, fresh: Call, lost: list[Any]) -> None:
        """Become a fresh draft, with a record of rows of these tasks left out."""
        fresh.state.set_aside = self.state.set_aside.with_rows(self.state.n_tasks, lost)
        self.state, self.configuration = fresh.state, fresh.configuration
        self.stored = None

    def keep(self, names: list[Any], parameters: np.ndarray, gone: set[int]) -> None:
        """The parameters of the tasks to store; those of the tasks `gone` are not."""
        kept = np.delete(parameters, list(gone), axis=0) if gone else parameters
        self.stored = names, kept

    def store_tasks(self, state: State) -> None:
        """Add the tasks to the known ones of a state."""
        if self.stored is not None:
            state.known = state.known.stored(*self.stored)

    def so_far(self) -> dict[str, Any]:
        """The attributes of an estimator that has learned as much."""
        state = self.state.draft()
        self.store_tasks(state)
        return {"_learned": state}

    def learn(
        self, reading: Reading, store_tasks: bool, continues: bool
    ) -> list[tuple[int, str | None]]:
        """Learn from every task once; the bad ones.

        `continues`: whether known tasks continue from their own parameters.
        """
        state, batch, labels = self.state, reading.batch, reading.labels
        known, parameters, n_tasks = None, None, batch.n_tasks
        if labels is not None and store_tasks:
            parameters = np.empty((n_tasks, *state.algorithm.shape))
            if continues and len(state.known):
                known = KnownStarts(state.known.records, state.known.rows(labels))
        options = self.configuration.options
        log = state.log.with_capacity(n_tasks)
        bad = learn(state, batch, known, parameters, log.spare(n_tasks), options)
        if bad and options.stops:
            return bad
        names, gone = labels, {t for t, _ in bad}
        if gone and labels is not None:
            names = [label for t, label in enumerate(labels) if t not in gone]
        keeps_all = names is not None and store_tasks
        state.log = log.grown(n_tasks - len(bad), names, keeps_all=keeps_all)
        if parameters is not None and names is not None:
            self.keep(names, parameters, gone)
        return bad
