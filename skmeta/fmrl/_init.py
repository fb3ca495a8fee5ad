"""Rules that compute the first shared initialization from the rows of a call.

A rule is a function of (batch, learner, shape). It returns phi_1 and the weight that
phi_1 has beside the tasks to come: the sum of the roots of the lengths of the tasks
that it was computed from.
"""

import numpy as np
import scipy.sparse as sp

from skmeta._solvers import TaskLoss, minimize

RIDGE = 1.0
INTERCEPT_RIDGE = 1e-3


def pooled(batch, learner, shape):
    """The regularised minimiser of the learner's loss over the rows of all tasks.

    Minimises sum_i w_i f(s_i) + (c / 2) (sum_j v_j**2 + v_0**2 / 1000), where v_j are
    the weights of the standardised features and v_0 is the intercept (less the mean
    target of a regression). c is 1 for classifiers and, for regressors, the slope of
    the loss at one standard deviation of the target over that deviation, which is 1 for
    the squared error. Tasks with NaN or infinity are left out; the ball is projected
    on.
    """
    phi = np.zeros(shape)
    usable = _finite_tasks(batch)
    if not usable.any():
        return phi, 0.0
    lengths = np.diff(batch.starts)
    rows = np.flatnonzero(np.repeat(usable, lengths))
    rows = rows if batch.order is None else batch.order[0, rows]
    X, y = batch.X[rows], batch.y[rows]
    X = np.asarray(X.toarray() if sp.issparse(X) else X, dtype=np.float64)
    weight = None if batch.sample_weight is None else batch.sample_weight[rows]
    center, scale = _location_and_scale(X, weight, learner.bias)
    offset, strength = 0.0, RIDGE
    if not learner.loss.is_margin:
        offset, spread = _location_and_scale(y, weight, learner.bias)
        strength *= _strength(learner.loss, spread)
    design = (X - center) / scale
    task = TaskLoss.of(learner.loss, design, y - offset, weight, len(phi), learner.bias)
    pull = np.full(shape, strength)
    pull[:, -1] *= INTERCEPT_RIDGE
    phi = minimize(task, phi, pull, phi)
    phi[:, :-1] /= scale
    phi[:, -1] += learner.bias * (offset - phi[:, :-1] @ center)
    size = np.abs(phi).sum() if learner.update == "eg" else np.linalg.norm(phi)
    if size > learner.radius:
        phi *= learner.radius / size
    return phi, float(np.sqrt(lengths[usable]).sum())


def _finite_tasks(batch):
    """Which tasks hold neither NaN nor infinity."""
    X, finite = batch.X, np.isfinite(batch.y)
    if sp.issparse(X):
        row_of_value = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        finite[row_of_value[~np.isfinite(X.data)]] = False
    else:
        finite &= np.isfinite(X).all(axis=1)
    if batch.order is not None:
        finite = finite[batch.order[0]]
    return np.logical_and.reduceat(finite, batch.starts[:-1])


def _location_and_scale(values, weight, bias):
    """Mean and deviation, or zero and root mean square where no intercept is learned.

    The scale of what is constant is infinite: it explains nothing.
    """
    center = bias * np.average(values, axis=0, weights=weight)
    scale = np.sqrt(np.average((values - center) ** 2, axis=0, weights=weight))
    return center, np.where(scale > 1e-12 * np.abs(center), scale, np.inf)


def _strength(loss, spread):
    """Curvature of the parabola that has the slope of the loss at one deviation."""
    if not np.isfinite(spread):
        return 1.0
    slope = np.abs(loss.slope(np.array([-spread, spread]))).max()
    return slope / spread if slope > 0 else 1.0


INIT_RULES = {"pooled": pooled}
