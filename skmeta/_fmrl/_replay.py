"""One pass over tasks once more, with a record of each for the guarantees."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from skmeta._fmrl._loop import MetaBatch, follow_rows
from skmeta._fmrl._state import State
from skmeta._meta._input import Reading
from skmeta._meta._record import Record


def replay(
    state: State, reading: Reading, meta_batch_size: int, n_jobs: int | None
) -> Iterator[Record]:
    """Learn from tasks as `learn` does, and yield a `Record` of each.

    Raises
    ------
    ValueError
        If a task cannot be learned.
    """
    batch, algorithm = reading.batch, state.algorithm
    objective = algorithm.learner.objective
    parameter = algorithm.task_parameter
    if not algorithm.standardize:
        parameter = parameter.prepared(batch, objective, state.phi, n_jobs)
    for first in range(0, batch.n_tasks, meta_batch_size):
        last = min(first + meta_batch_size, batch.n_tasks)
        tasks = MetaBatch(state, batch, None, parameter, first, last)
        tasks.run(n_jobs)
        for t, reason in tasks.bad:
            raise ValueError(reading.problem(t, reason))
        parameters = tasks.raw_parameters()
        records = [
            _record(tasks, t, reading, parameter)
            for t, parameter in enumerate(parameters)
        ]
        share = tasks.move()
        if state.row_leader is not None:
            follow_rows(state, batch.tasks(first, last))
        elif len(records) == 1:
            records = [records[0].with_share(share)]
        yield from records


def _record(
    tasks: MetaBatch, t: int, reading: Reading, parameter: np.ndarray
) -> Record:
    run = tasks.run_leader(t)
    objective = tasks.raw_objective
    assert objective is not None
    return Record.of(
        label=None if reading.labels is None else reading.labels[run.number],
        name=reading.name(run.number),
        learner=run.learner,
        raw_objective=objective,
        task=run.task,
        raw_task=reading.batch.task(run.number),
        start=run.start,
        eta=run.eta,
        outcome=run.outcome,
        coordinates=tasks.coordinates,
        parameter=parameter,
        initialization=tasks.raw_phi,
    )
