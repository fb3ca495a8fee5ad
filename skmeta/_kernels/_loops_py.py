"""The loop over the samples of a task: specification and fallback of `_loops_fast`.

Conventions shared by both modules:

- A parameter is a C-contiguous float64 array (n_outputs, n_features + 1), the intercept
  last: the weight of a constant feature of value `ogd.bias`, 1.0 or 0.0.
- X is dense and C-contiguous or CSR, in double or single precision. A target is the
  value to predict or, for a margin loss, -1 or +1 with one output and the class index
  with several. A target that cannot be learned from is NaN.
- A step size is an array of shape (1, 1), or (n_outputs, n_features + 1) for one per
  parameter; sums of squared gradients have the shape of the step size. In the NumPy
  twin it may be a matrix per output, and they are sums of outer products then. There it
  may also shrink from sample to sample: see `Shrinking`.
- Functions write into the arrays of the caller. If the shapes of these arrays are
  inconsistent, they raise ValueError before they write.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp

from skmeta.losses import Array, Loss


class Shrinking(NamedTuple):
    """How steps shrink within a task.

    Attributes
    ----------
    within : callable
        From the step size of the task, and the sum of the squared gradients of the
        samples before, to the step size of a sample.
    squares : ndarray of the shape of the step size
        That sum, over all passes; added to.
    """

    within: Callable[[Array, Array], Array]
    squares: Array


class OGD(Protocol):
    """What the loops read of an inner learner.

    Attributes
    ----------
    loss : Loss
    update : {'ogd', 'implicit', 'ftrl', 'eg', 'coin', 'ltl'}
        'ltl' is 'ftrl' with the step size eta m / i after sample i, m the number of
        rows. For 'coin', 1 / eta bounds the slopes of the loss.
    radius : float
        Of the ball that every iterate is projected on, infinite for none; of the
        simplex for 'eg'.
    bias : float
    max_iter : int
        Passes over the rows of a task.
    shrinking : Shrinking or None
        Read by the NumPy twin alone, which takes None if there is no such attribute.
    """

    loss: Loss
    update: str
    radius: float
    bias: float
    max_iter: int


def run_task(
    X: Any,
    y: Array,
    weight: Array | None,
    order: np.ndarray | None,
    ogd: OGD,
    theta: Array,
    eta: Array,
    losses: Array | None,
    average: Array | None,
    grad_sq: Array,
    observe: Callable[[int, Array, Array], None] | None = None,
) -> bool:
    """Train `theta` on all rows of X, one at a time; False if not finite.

    It is False too where a slope exceeds the bound of 'coin'. Pass number n visits the
    rows in the order of row n of `order`, whose rows repeat; None: in the order of X.
    Adds the squared gradients of the first pass to `grad_sq`,
    writes its prequential losses into `losses` (by row of X; or None) and the mean of
    all iterates at which gradients were taken into `average` (or None).

    Only here: `observe` is called with the row, the slopes without weight and the
    gradient of every sample of the first pass, before the step.
    """
    _check_sizes(X, y, weight, order, ogd, theta, eta, losses, average, grad_sq)
    iterate = _ITERATES[ogd.update](theta, ogd, X, weight)
    classes, n_rows, total = np.arange(len(theta)), X.shape[0], np.zeros_like(theta)
    with np.errstate(over="ignore", invalid="ignore"):
        for n_pass, i in _visits(n_rows, order, ogd.max_iter):
            x, w = _features(X, i, ogd.bias), 1.0 if weight is None else weight[i]
            target = _targets(y[i], classes)
            z = theta @ x
            value = w * ogd.loss.value(target, z).sum()
            if not np.isfinite([*z, value, y[i]]).all():
                return False
            total += theta
            raw_slope = ogd.loss.slope(target, z)
            slope = w * raw_slope
            if n_pass == 0:
                if losses is not None:
                    losses[i] = value
                _add_squares(grad_sq, slope, x)
                if observe is not None:
                    observe(i, raw_slope, np.outer(slope, x))
            if ogd.update == "coin" and not _is_below(raw_slope, 1.0 / eta):
                return False
            step = _shrunk(eta, getattr(ogd, "shrinking", None), slope, x)
            if ogd.update == "implicit":
                q = _step_length(step, x)
                if q.all():
                    slope = ogd.loss.proximal_slope(target, z, q, w)
            iterate.move(_times(step, np.outer(slope, x)))
    if average is not None:
        average[:] = total / (n_rows * ogd.max_iter)
    return bool(np.isfinite(theta).all() and np.isfinite(grad_sq).all())


def _check_sizes(X, y, weight, order, ogd, theta, eta, losses, average, grad_sq):
    """Raise ValueError if shapes are inconsistent, as the compiled kernel does."""
    if ogd.update not in _ITERATES:
        raise ValueError(f"There is no update {ogd.update!r}.")
    n_rows, width = X.shape[0], X.shape[1] + 1
    _check_size("theta", theta, (len(theta), width))
    if eta.size != 1 and eta.ndim < 3:
        _check_size("eta", eta, theta.shape)
    _check_size("grad_sq", grad_sq, eta.shape)
    for name, array, shape in [
        ("y", y, (n_rows,)),
        ("weight", weight, (n_rows,)),
        ("losses", losses, (n_rows,)),
        ("average", average, theta.shape),
    ]:
        if array is not None:
            _check_size(name, array, shape)
    if order is not None:
        _check_size("order", order, (len(order), n_rows))


def _check_size(name, array, shape):
    if array.size != prod(shape):
        raise ValueError(f"{name} must have shape {shape}. Got {array.shape}.")


def _visits(n_rows, order, n_passes):
    """The number of the pass and the row of every step."""
    for n_pass in range(n_passes):
        rows = range(n_rows) if order is None else order[n_pass % len(order)]
        for i in rows:
            yield n_pass, i


def _shrunk(eta, shrinking, slope, x):
    """The step size of a sample, whose squared gradient counts for the next ones."""
    if shrinking is None:
        return eta
    step = shrinking.within(eta, shrinking.squares)
    _add_squares(shrinking.squares, slope, x)
    return step


def _add_squares(grad_sq, slope, x):
    """Add the squared gradients, the outer products of slopes and features."""
    if grad_sq.ndim == 3:
        grad_sq += np.einsum("k,p,q->kpq", slope**2, x, x)
    elif grad_sq.size > 1:
        grad_sq += np.outer(slope**2, x) * x  # finite where the product is
    else:
        grad_sq += (slope**2).sum() * (x @ x)


def _step_length(eta, x):
    """x' eta x for the step size of every output."""
    if eta.ndim == 3:
        return np.einsum("p,kpq,q->k", x, eta, x)
    return (eta * x**2).sum(axis=1)


def _targets(y, classes):
    """The targets of every output: the value, or -1 and +1."""
    return np.where(classes == y, 1.0, -1.0) if len(classes) > 1 else np.array([y])


def _is_below(slope, bound):
    return (np.abs(slope) <= bound[0, 0] * (1.0 + 1e-12)).all()


def _times(eta, gradient):
    if eta.ndim == 3:
        return np.einsum("kpq,kq->kp", eta, gradient)
    return eta * gradient


class _Projected:
    """A step of theta, projected on the ball."""

    def __init__(self, theta, ogd, X, weight):
        self.theta, self.radius = theta, ogd.radius

    def move(self, step):
        self.theta -= step
        self._project()

    def _project(self):
        norm = np.sqrt((self.theta**2).sum())
        if norm > self.radius:
            self.theta *= self.radius / norm


class _DualAverage(_Projected):
    """Steps of a point that is not projected; theta is its projection."""

    def __init__(self, theta, ogd, X, weight):
        super().__init__(theta, ogd, X, weight)
        self.point = theta.copy()

    def move(self, step):
        self.point -= step
        self.theta[:] = self.point
        self._project()


class _ShrinkingDualAverage(_DualAverage):
    """The same, its step size multiplied by m / i after step i."""

    def __init__(self, theta, ogd, X, weight):
        super().__init__(theta, ogd, X, weight)
        self.start, self.n_rows, self.n_steps = theta.copy(), X.shape[0], 0

    def move(self, step):
        self.point -= step
        self.n_steps += 1
        share = self.n_rows / self.n_steps
        self.theta[:] = self.start + share * (self.point - self.start)
        self._project()


class _Bets:
    """Bets on coins: vectors of norm at most one, the negative gradients in a unit.

    Theta is the start plus the sum of the coins so far, times 1 plus the gain of all
    bets, divided by the number of the next bet.
    """

    def __init__(self, theta, ogd, X, weight):
        self.theta, self.start = theta, theta.copy()
        self.unit = longest_norm(X, weight, ogd.bias) * np.sqrt(len(theta)) or 1.0
        self.coins, self.gain, self.n_bets = np.zeros_like(theta), 0.0, 1

    def move(self, step):
        coin = -step / self.unit
        self.gain += (coin * (self.theta - self.start)).sum()
        self.coins += coin
        self.n_bets += 1
        self.theta[:] = self.start + (1.0 + self.gain) / self.n_bets * self.coins


class _Exponentiated:
    """theta is the difference of two positive vectors that sum to the radius together.

    Their logarithms are stored: so a long step can be taken back by later ones.

    The start divides the rest of the radius, beyond the sum of its absolute values,
    evenly among all entries. The rest is at least the share `MIN_SLACK` of the radius,
    since a positive number that begins at zero would never change. Without an intercept
    its entries have no part in this: they are zero.
    """

    def __init__(self, theta, ogd, X, weight):
        self.theta = theta
        with np.errstate(divide="ignore"):
            self.logs = np.log(first_parts(theta, ogd.radius, ogd.bias))
        self.radius = ogd.radius
        self._publish()

    def move(self, step):
        self.logs += [-step, step]
        self._publish()

    def _publish(self):
        parts = np.exp(self.logs - self.logs.max())
        parts *= self.radius / parts.sum()
        self.theta[:] = parts[0] - parts[1]


def first_parts(theta: Array, radius: float, bias: float) -> Array:
    """The positive numbers that represent the start of 'eg': (2, *theta.shape)."""
    has_part = np.ones(theta.shape)
    has_part[:, -1] = bias != 0.0
    slack = max(radius - np.abs(theta).sum(), MIN_SLACK * radius)
    parts = np.maximum([theta, -theta], 0.0) + 0.5 * slack / has_part.sum()
    parts *= has_part
    return parts * (radius / parts.sum())


def longest_norm(X: Any, weight: Array | None, bias: float) -> float:
    """The largest norm of a row, times its weight."""
    X = X.astype(np.float64)
    squares = X.multiply(X) if sp.issparse(X) else X**2
    norms = np.sqrt(np.ravel(squares.sum(axis=1)) + bias**2)
    return float((norms if weight is None else weight * norms).max())


LOSSES: frozenset[str] = frozenset()  # those that have a compiled version
MIN_SLACK = 1e-6
_ITERATES: dict[str, Any] = {
    "ogd": _Projected,
    "implicit": _Projected,
    "ftrl": _DualAverage,
    "eg": _Exponentiated,
    "coin": _Bets,
    "ltl": _ShrinkingDualAverage,
}


def _features(X, i, bias):
    row = X[[i]].toarray()[0] if sp.issparse(X) else X[i]
    return np.append(np.asarray(row, dtype=float), bias)


def score_rows(X: Any, index: np.ndarray, parameters: Array) -> Array:
    """Scores of every row under its own parameter: (n_rows, n_outputs)."""
    if len(index) != X.shape[0] or parameters.shape[2] != X.shape[1] + 1:
        raise ValueError(
            f"index and parameters of shapes {index.shape} and {parameters.shape} do "
            f"not fit X of shape {X.shape}."
        )
    scores = np.empty((X.shape[0], parameters.shape[1]))
    for k in np.unique(index):
        rows = np.flatnonzero(index == k)
        scores[rows] = X[rows] @ parameters[k, :, :-1].T + parameters[k, :, -1]
    return scores


def encode_labels(y: np.ndarray, classes: np.ndarray) -> Array:
    """Targets of class labels: -1 and +1, or the class index where there are several.

    A label that is not in `classes`, which are sorted, becomes NaN.
    """
    index = classes.searchsorted(y)
    is_known = classes.take(index, mode="clip") == y
    codes = np.where(is_known, index, np.nan)
    return 2.0 * codes - 1.0 if len(classes) == 2 else codes


def add_products(rows: np.ndarray, weight: np.ndarray, sums: np.ndarray) -> None:
    """sums += weight_i * outer(rows_i, rows_i), row by row, so that calls can be split.

    Parameters
    ----------
    rows : float64 ndarray of shape (n_rows, n)
    weight : float64 ndarray of shape (n_rows,)
    sums : float64 ndarray of shape (n, n)
        Updated in place.
    """
    for w, row in zip(weight, rows, strict=True):
        sums += np.outer(w * row, row)
