"""Normal posteriors of many logistic tasks; compiled in `_logistic_fast`.

A task has p coefficients theta, the intercept last, with the prior N(line, S),
S = root root'; rows b = (x, 1) with an outcome y in {0, 1} and a weight w; and may have
held rows [l, z]: a quadratic |z - l theta|^2 / 2 in place of rows that are not stored.
With theta = line + root a, the posterior of a is approximated by the normal
distribution, of mean m and covariance C, that maximises this lower bound of the
log-likelihood of the task:

    - sum w E log(1 + exp(-+ b'theta)) - E |z - l theta|^2 / 2 - KL(N(m, C), N(0, I))

(variational Bayes; Ormerod and Wand 2012). At the maximum, C = inv(I + root'A root)
with A = sum w k b b' + l'l, where k is the expected curvature of the loss of a row, and
at m the expected slopes balance the prior. So the task is a least-squares problem with
rows sqrt(w k) [b, r], r = b'E theta + (expected residual) / k: under this prior it has
the same posterior, and the derivatives of its likelihood in S and the line are those of
the bound. Laplace's approximation is the same with curvatures at the mode. On tasks of
few rows it learns priors that are too narrow, or unbounded ones if its determinant is
included.

Expectations over a score N(u, h) take the logistic function as a mixture of three
normal distribution functions (within 5e-5): the mean of each has a closed form.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]

SHARES = np.array([0.16107572, 0.58313607, 0.25578821])
SLOPES = np.array([0.36361805, 0.57636864, 0.90542149])
CURVATURE_FLOOR = 1e-12  # rows that are certain have finite responses
CONVERGED = 1e-7  # gain of a step
ROUNDING = 1e-12
SHORT_STEP = 1.0  # of scores: below, the first step is trusted
MAX_STEPS, MAX_HALVINGS = 100, 40


def logistic_factors(
    batch: Any,
    held: Array | None,
    origin: Array,
    mean: Array,
    scale: Array,
    bias: float,
    root: Array,
    lines: Array,
    parameters: Array,
    variances: Array,
    factors: Array,
) -> tuple[Array, NDArray[np.intp]]:
    """Compute the normal posterior of every task, and its quadratic.

    Parameters
    ----------
    batch : Batch
        Dense X; y holds 0.0 and 1.0; sample_weight is None or positive.
    held : (n_tasks, j, p + 1) or None
        Rows [x - origin, 1, z]; rows of zeros do nothing.
    origin : (p,)
        What features are counted from in `held` and in `factors`. The last entry is
        not used: responses are not counted from anything.
    mean, scale : (d,)
        Units: the features of theta are (x - origin - mean) * scale.
    bias : float
        1.0, or 0.0 without an intercept.
    root : (p, r)
        S = root root', in units. Columns of zeros may be left out.
    lines : (n_tasks, p)
        The prior mean of every task, in units.
    parameters : (n_tasks, p), written to
        In: where the steps start. Out: the posterior means. In units.
    variances : (n_samples,), written to
        In: variances of the scores of rows, to start from. Out: those found.
    factors : (n_tasks, k, p + 1), written to
        The rows sqrt(w k) [x - origin, 1, r], without the held ones, or any rows with
        the same cross products; rows of zeros below. k >= min(most rows, p + 1).

    Returns
    -------
    values : (n_tasks,)
        Minus the bounds, without constants of `held`. NaN, and factors of NaN, where
        the rows are not finite.
    n_steps : (n_tasks,)
        Newton steps after the first.
    """
    n_tasks = len(lines)
    values, n_steps = np.empty(n_tasks), np.zeros(n_tasks, dtype=np.intp)
    for t in range(n_tasks):
        rows, weight = _rows_of(batch, t)
        X = batch.X[rows].astype(np.float64) - origin[:-1]
        raw, target = np.column_stack([X, np.ones(len(X))]), batch.y[rows]
        if held is not None:
            raw = np.vstack([raw, held[t][:, :-1]])
            target = np.concatenate([target, held[t][:, -1]])
        B = np.empty_like(raw)
        B[:, :-1] = (raw[:, :-1] - raw[:, -1:] * mean) * scale
        B[:, -1] = raw[:, -1] * bias
        if not np.isfinite(B).all():
            values[t], factors[t] = np.nan, np.nan
            continue
        start = np.concatenate([variances[rows], np.zeros(len(raw) - len(rows))])
        task = _Task(B @ root, B @ lines[t], target, weight)
        found, n_steps[t] = task.optimise(B @ parameters[t], start)
        parameters[t] = lines[t] + root @ found.a
        values[t] = found.value
        n = len(rows)
        variances[rows] = found.variances[:n]
        size = np.sqrt(found.curvature[:n])
        response = size * found.scores[:n] + found.residual[:n] / size
        quadratic = np.column_stack([raw[:n] * size[:, None], response])
        if n > len(factors[t]):
            quadratic = np.asarray(np.linalg.qr(quadratic, mode="r"))
        factors[t] = 0.0
        factors[t, : len(quadratic)] = quadratic
    return values, n_steps


def _rows_of(batch: Any, t: int) -> tuple[NDArray[np.intp], Array]:
    """Numbers and weights of the rows of a task."""
    rows = np.arange(batch.starts[t], batch.starts[t + 1])
    if batch.order is not None:
        rows = batch.order[0, rows]
    if batch.sample_weight is None:
        return rows, np.ones(len(rows))
    return rows, batch.sample_weight[rows]


def expected_loss(mean: Array, variance: Array) -> tuple[Array, Array, Array]:
    """Of log(1 + exp(z)), z ~ N(mean, variance): (value, slope, curvature)."""
    slopes = SLOPES / np.sqrt(1.0 + SLOPES**2 * variance[..., None])
    u = slopes * mean[..., None]
    below = ndtr(u)
    density = np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi)
    value = (mean[..., None] * below + density / slopes) @ SHARES
    return value, below @ SHARES, (slopes * density) @ SHARES


class _Found(NamedTuple):
    """A normal distribution of a, and what it makes of the rows.

    Attributes
    ----------
    a : (r,)
    weights : (m,)
        Curvatures that its precision was made of.
    scores, variances : (m,)
    residual, curvature : (m,)
        Minus the expected slopes of the losses, and their curvatures.
    value : float
        Minus the bound.
    """

    a: Array
    weights: Array
    scores: Array
    variances: Array
    residual: Array
    curvature: Array
    value: float


class _Task:
    """Whitened rows W = B root, the logistic ones first."""

    def __init__(self, W: Array, level: Array, target: Array, weight: Array) -> None:
        self.W, self.level, self.target, self.weight = W, level, target, weight

    def optimise(self, scores: Array, variances: Array) -> tuple[_Found, int]:
        """Start from scores and their variances; steps are halved until they help."""
        now = self._first(scores, variances)
        for n_steps in range(1, MAX_STEPS):
            pull = self.W.T @ now.residual - now.a
            limit, by = now.value + ROUNDING * (1 + abs(now.value)), 1.0
            for _ in range(MAX_HALVINGS + 1):
                weights = (1 - by) * now.weights + by * now.curvature
                C = self._covariance(weights)
                step = by * C @ pull
                new = self._at(now.a + step, weights, C)
                if new.value <= limit:
                    break
                by *= 0.5
            else:
                return now, n_steps
            gain, now = now.value - new.value, new
            if not gain + pull @ step > CONVERGED:
                break
        return now, n_steps

    def _first(self, scores: Array, variances: Array) -> _Found:
        _, residual, curvature = self._losses(scores, variances)
        C = self._covariance(curvature)
        a = C @ (self.W.T @ (residual + curvature * (scores - self.level)))
        there = self._at(a, curvature, C)
        if np.abs(there.scores - scores).max(initial=0.0) < SHORT_STEP:
            return there
        r = self.W.shape[1]
        prior = self._at(np.zeros(r), np.zeros(len(self.level)), np.eye(r))
        return prior if prior.value < there.value else there

    def _covariance(self, weights: Array) -> Array:
        precision = (self.W.T * weights) @ self.W + np.eye(self.W.shape[1])
        return np.asarray(np.linalg.inv(precision), dtype=np.float64)

    def _at(self, a: Array, weights: Array, C: Array) -> _Found:
        scores = self.level + self.W @ a
        variances = np.einsum("ij,jk,ik->i", self.W, C, self.W)
        loss, residual, curvature = self._losses(scores, variances)
        # tr C - r = -sum of weights and variances, as C is made of the weights
        divergence = a @ a - weights @ variances - np.linalg.slogdet(C)[1]
        value = loss + 0.5 * float(divergence)
        return _Found(a, weights, scores, variances, residual, curvature, value)

    def _losses(self, scores: Array, variances: Array) -> tuple[float, Array, Array]:
        n = len(self.weight)
        sign = np.where(self.target[:n] > 0.5, 1.0, -1.0)
        value, slope, bend = expected_loss(-sign * scores[:n], variances[:n])
        rest = self.target[n:] - scores[n:]
        loss = self.weight @ value + 0.5 * (rest @ rest + variances[n:].sum())
        residual = np.concatenate([self.weight * sign * slope, rest])
        bend = self.weight * np.maximum(bend, CURVATURE_FLOOR)
        return float(loss), residual, np.concatenate([bend, np.ones(len(rest))])
