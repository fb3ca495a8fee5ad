"""The first shared initialization from the rows of a call."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from skmeta._batch import Batch, Objective
from skmeta._fmrl._algorithm import Algorithm
from skmeta._fmrl._row_leader import RowLeader
from skmeta._solvers import TaskLoss, minimize
from skmeta._sparse import check_indices
from skmeta.losses import Loss

RIDGE = 1.0
INTERCEPT_RIDGE = 1e-3


def pooled(
    batch: Batch, objective: Objective, shape: tuple[int, int]
) -> tuple[np.ndarray, float]:
    """The regularised minimiser of the learner's loss over the rows of all tasks.

    Minimises sum_i w_i l_i + (c / 2) (sum_j v_j**2 + v_0**2 / 1000), where v_j are the
    weights of the standardised features and v_0 is the intercept (less the mean target
    of a regression). c is 1 for classifiers and, for regressors, the slope of the loss
    at one standard deviation of the target over that deviation, which is 1 for the
    squared error. Tasks with NaN or infinity are left out; the ball is projected on.

    Returns
    -------
    phi : ndarray of shape `shape`
    weight : float
        The sum of the roots of the lengths of the tasks that phi was computed from.
    """
    phi = np.zeros(shape)
    check_indices(batch.X)
    batch = usable(batch)
    if not batch.n_tasks:
        return phi, 0.0
    X, y, weight = (rows := batch.joined()).X, rows.y, rows.weight
    X = np.asarray(X.toarray() if sp.issparse(X) else X, dtype=np.float64)
    bias = objective.bias
    center, scale = _location_and_scale(X, weight, bias)
    offset, strength = 0.0, RIDGE
    if not objective.loss.is_margin:
        offset, spread = _location_and_scale(y, weight, bias)
        strength *= _strength(objective.loss, spread)
    design = (X - center) / scale
    task = TaskLoss.of(objective.loss, design, y - offset, weight, len(phi), bias)
    pull = np.full(shape, strength)
    pull[:, -1] *= INTERCEPT_RIDGE
    phi = minimize(task, phi, pull, phi)
    phi[:, :-1] /= scale
    phi[:, -1] += bias * (offset - phi[:, :-1] @ center)
    size = np.linalg.norm(phi.ravel(), objective.order)
    if size > objective.radius:
        phi *= objective.radius / size
    return phi, float(np.sqrt(np.diff(batch.starts)).sum())


def first_row_leader(
    algorithm: Algorithm, phi: np.ndarray, batch: Batch | None
) -> RowLeader | None:
    """The model of all rows that the initialization will follow, if it does.

    `batch` is that whose rows phi was computed from, if it was.
    """
    rule: Any = algorithm.meta_step_size
    if not rule.follows_rows:
        return None
    objective = algorithm.learner.objective
    assert objective is not None
    leader = RowLeader(algorithm.shape, rule.penalties, objective.bias)
    if batch is not None:
        leader.start_at(phi)
        leader.observe(usable(batch).joined(), objective)
    return leader


def usable(batch: Batch) -> Batch:
    """The batch of the tasks that hold neither NaN nor infinity."""
    X, finite = batch.X, np.isfinite(batch.y)
    if sp.issparse(X):
        row_of_value = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        finite[row_of_value[~np.isfinite(X.data)]] = False
    else:
        finite &= np.isfinite(X).all(axis=1)
    if batch.order is not None:
        finite = finite[batch.order[0]]
    bad = ~np.logical_and.reduceat(finite, batch.starts[:-1])
    return batch.without(np.flatnonzero(bad).tolist())


def _location_and_scale(
    values: np.ndarray, weight: np.ndarray | None, bias: float
) -> tuple[Any, Any]:
    """Mean and deviation, or zero and root mean square where no intercept is learned.

    The scale of a constant feature is infinite, so it has no effect.
    """
    center = bias * np.average(values, axis=0, weights=weight)
    scale = np.sqrt(np.average((values - center) ** 2, axis=0, weights=weight))
    return center, np.where(scale > 1e-12 * np.abs(center), scale, np.inf)


def _strength(loss: Loss, spread: float) -> float:
    """Curvature of the parabola that has the slope of the loss at one deviation."""
    if not np.isfinite(spread):
        return 1.0
    slope = np.abs(loss.slope(0.0, np.array([-spread, spread]))).max()
    return slope / spread if slope > 0 else 1.0
