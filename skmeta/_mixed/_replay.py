"""One pass over tasks once more, each under the prior learned before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from skmeta._batch import Objective, Task
from skmeta._learners._full_loss import FullLossLearner
from skmeta._meta._input import Reading
from skmeta._meta._record import Record
from skmeta._mixed._options import Options
from skmeta._units import Coordinates, Moments
from skmeta.losses import Loss


def replay(
    model: Any,
    options: Options,
    reading: Reading,
    loss: Loss,
    to_engine: Callable[[Reading], Reading] = lambda reading: reading,
) -> Iterator[Record]:
    """Learn from tasks as in a stream, and yield a `Record` of each.

    Within a task the learner is follow-the-regularized-leader with the matrix step size
    of the prior, for which (G1) holds on any data.

    Parameters
    ----------
    model : Learned
        That has learned nothing.
    options : Options
    reading : Reading
    loss : Loss
        Of a sample.
    to_engine : callable
        The reading with targets as the engine takes them.

    Raises
    ------
    ValueError
        If a task cannot be learned.
    """
    batch, labels = to_engine(reading).batch, reading.labels
    bias = float(options.fit_intercept)
    for t in range(batch.n_tasks):
        one, task = batch.tasks(t, t + 1), reading.batch.task(t)
        if model.has_prior:
            prior = model.prior_of(one)
            coordinates, start, eta = prior.coordinates, prior.mean, prior.step_size
        else:
            coordinates = _own_units(task, loss, bias)
            start = np.zeros(reading.shape)
            eta = np.tile(np.eye(reading.shape[1]), (reading.shape[0], 1, 1))
        learner = FullLossLearner(loss.in_units(1.0 / coordinates.unit), bias, eta)
        inside = coordinates.task(task)
        outcome = learner.run(inside, start, eta, average=False)
        if outcome.problem is not None:
            raise ValueError(reading.problem(t, outcome.problem))
        label = None if labels is None else labels[t]
        yield Record.of(
            label=label,
            name=reading.name(t),
            learner=learner,
            raw_objective=Objective(loss, bias),
            task=inside,
            raw_task=task,
            start=start,
            eta=eta,
            outcome=outcome,
            coordinates=coordinates,
            parameter=coordinates.to_raw(outcome.last),
        )
        model, bad = model.taken(one, None if label is None else [label], options)
        if bad:
            raise ValueError(reading.problem(t, bad[0].reason))
        if model.is_due(options):
            model = model.refreshed(options, fully=False)


def _own_units(task: Task, loss: Loss, bias: float) -> Coordinates:
    """The units of the rows of a first task."""
    moments = Moments(task.X.shape[1])
    moments.observe(task, centered=bias > 0)
    return moments.coordinates(scales_target=bool(loss.degree))
