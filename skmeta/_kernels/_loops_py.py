"""The loops over samples and over tasks: specification and fallback of `_loops_fast`.

Conventions shared by both modules:

- A parameter is a C-contiguous float64 array (n_outputs, n_features + 1), the intercept
  last: the weight of a constant feature of value `learner.bias`, 1.0 or 0.0.
- `batch` has the fields of `skmeta._tasks.Batch`; its task t is rows starts[t] to
  starts[t + 1] of the stacked matrix. A target is the value to predict or, for a margin
  loss, -1 or +1 with one output and the class index with several. A target that cannot
  be learned from is NaN.
- A step size is an array of shape (1, 1), or (n_outputs, n_features + 1) for one per
  parameter; sums of squared gradients have the shape of the step size. In the NumPy
  twin it may be a matrix per output, and they are sums of outer products then.
- Functions write into the arrays that they are given.
"""

import numpy as np
import scipy.sparse as sp

from skmeta._matrices import diagonal


def run_task(batch, t, learner, theta, eta, losses, average, grad_sq):
    """Train `theta` on the rows of task t, one at a time; False if not finite.

    Adds the squared gradients of the first pass to `grad_sq`, writes its prequential
    losses into `losses` (by row of the batch; or None) and the mean of all iterates
    that a gradient was taken at into `average` (or None).
    """
    loss, order = learner.loss, batch.order
    iterate = _ITERATES[learner.update](theta, learner.radius)
    begin, end = batch.starts[t], batch.starts[t + 1]
    classes = np.arange(len(theta))
    total = np.zeros_like(theta)
    with np.errstate(over="ignore", invalid="ignore"):
        for n_pass in range(learner.max_iter):
            for position in range(begin, end):
                i = position if order is None else order[n_pass % len(order), position]
                x = _features(batch.X, i, learner.bias)
                y = batch.y[i]
                target = np.where(classes == y, 1.0, -1.0) if len(theta) > 1 else y
                weight = 1.0 if batch.sample_weight is None else batch.sample_weight[i]
                s = loss.argument(target, theta @ x)
                value = weight * loss.value(s).sum()
                if not (np.isfinite(s).all() and np.isfinite(value) and np.isfinite(y)):
                    return False
                total += theta
                slope = weight * loss.slope(s)
                if n_pass == 0:
                    if losses is not None:
                        losses[i] = value
                    squares = np.outer(slope**2, x**2)
                    grad_sq += squares if grad_sq.shape[1] > 1 else squares.sum()
                if learner.update == "implicit":
                    q = (eta * x**2).sum(axis=1)
                    if q.all():
                        slope = loss.proximal_slope(s, q, weight)
                iterate.move(eta * np.outer(slope * loss.chain(target), x))
    if average is not None:
        average[:] = total / ((end - begin) * learner.max_iter)
    return bool(np.isfinite(theta).all() and np.isfinite(grad_sq).all())


class _Projected:
    """theta moves; what leaves the ball is projected on it."""

    def __init__(self, theta, radius):
        self.theta, self.radius = theta, radius

    def move(self, step):
        self.theta -= step
        self._project()

    def _project(self):
        norm = np.sqrt((self.theta**2).sum())
        if norm > self.radius:
            self.theta *= self.radius / norm


class _DualAverage(_Projected):
    """A point that is never projected moves; theta is its projection."""

    def __init__(self, theta, radius):
        super().__init__(theta, radius)
        self.point = theta.copy()

    def move(self, step):
        self.point -= step
        self.theta[:] = self.point
        self._project()


class _Exponentiated:
    """theta is the difference of two positive vectors that sum to the radius together.

    Their logarithms are kept, in which no step is too long to come back from.

    The start shares what its absolute values leave of the radius evenly among all
    entries, at least the share `MIN_SLACK`, without which a zero would stay one for
    ever.
    """

    def __init__(self, theta, radius):
        self.theta, self.radius = theta, radius
        slack = max(radius - np.abs(theta).sum(), MIN_SLACK * radius)
        even = 0.5 * slack / theta.size
        self.logs = np.log(np.maximum([theta, -theta], 0.0) + even)
        self._publish()

    def move(self, step):
        self.logs += [-step, step]
        self._publish()

    def _publish(self):
        parts = np.exp(self.logs - self.logs.max())
        parts *= self.radius / parts.sum()
        self.theta[:] = parts[0] - parts[1]


MIN_SLACK = 1e-6
_ITERATES = {
    "ogd": _Projected,
    "implicit": _Projected,
    "ftrl": _DualAverage,
    "eg": _Exponentiated,
}


def _features(X, i, bias):
    row = X[[i]].toarray()[0] if sp.issparse(X) else X[i]
    return np.append(np.asarray(row, dtype=float), bias)


def learn_tasks(
    batch,
    first,
    last,
    algorithm,
    phi,
    rule,
    clock,
    own,
    own_index,
    history,
    parameters,
    grad_sq,
):
    """Learn from tasks `first` to `last` - 1; return the first that failed, or `last`.

    Task t starts at `phi`, or at own[own_index[t]] where `own_index` (or None) is not
    negative, and fills row t of `history` and of `parameters` (or None). A task that
    ends in non-finite numbers changes nothing else.

    After every task `phi`, the state `rule` of the step size and `clock` (tasks so far,
    and the sum of sqrt of their lengths) move. With `grad_sq` they stay: the tasks are
    a meta-batch, and row t of `grad_sq` takes the task's sums of squared gradients.
    """
    learner, step_size = algorithm.learner, algorithm.step_size
    task_parameter = algorithm.task_parameter
    losses = np.zeros(len(batch.y))
    for t in range(first, last):
        m = int(batch.starts[t + 1] - batch.starts[t])
        continues = own_index is not None and own_index[t] >= 0
        start = own[own_index[t]] if continues else phi
        theta = start.copy()
        eta = algorithm.step_of(batch, t, rule)
        squares = np.zeros_like(eta)
        average = np.empty_like(theta) if task_parameter.needs_average else None
        finite = learner.run_task(batch, t, theta, eta, losses, average, squares)
        if not finite:
            return t
        parameter = task_parameter(batch, t, learner, start, eta, theta, average)
        with np.errstate(over="ignore", invalid="ignore"):
            moved = parameter - phi
            distance = np.sqrt((moved**2).sum())
        if not np.isfinite(distance):
            return t
        mean_loss = losses[batch.rows(t)].sum() / m
        sum_of_squares, mean_eta = diagonal(squares).sum(), diagonal(eta).mean()
        history[t] = (m, mean_loss, distance, sum_of_squares, mean_eta)
        if grad_sq is not None:
            grad_sq[t] = squares
        elif algorithm.learns_prior:
            now = clock + (1.0, np.sqrt(m))
            found, distances = parameter[np.newaxis], history["distance"][t : t + 1]
            if not algorithm.learn_prior(batch, [t], phi, rule, now, found, distances):
                return t
            parameter, clock[:] = found[0], now
        else:
            clock += (1.0, np.sqrt(m))
            step_size.observe(rule, moved, squares, clock[0])
            phi += algorithm.meta_step(clock, np.sqrt(m)) * moved
        if parameters is not None:
            parameters[t] = parameter
    return last


def score_rows(X, index, parameters):
    """Scores of every row under its own parameter: (n_rows, n_outputs)."""
    scores = np.empty((X.shape[0], parameters.shape[1]))
    for k in np.unique(index):
        rows = np.flatnonzero(index == k)
        scores[rows] = X[rows] @ parameters[k, :, :-1].T + parameters[k, :, -1]
    return scores


def encode_labels(y, classes):
    """Targets of class labels: -1 and +1, or the class index where there are several.

    A label that is not in `classes`, which are sorted, becomes NaN.
    """
    index = classes.searchsorted(y)
    found = classes.take(index, mode="clip") == y
    codes = np.where(found, index, np.nan)
    return 2.0 * codes - 1.0 if len(classes) == 2 else codes
