"""Minimisers of the loss of a whole task: near a point, in a ball, or both.

A task's loss is L(theta) = sum_i w_i sum_k l(y_ik, z_ik), where z_ik = x_i . theta_k is
the raw score of sample i in row k of the weights and y_ik its target. Parameters have
shape (n_outputs, n_features + 1), the intercept last.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, NoReturn

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import LinAlgError
from scipy.linalg.lapack import dposv
from scipy.optimize import brentq, linprog

from skmeta.losses import Array, Loss, SquaredError

# Relative strength of the penalty by which `optimum` selects the nearest of
# several minimisers, and relative width by which kinks are rounded off.
NEAREST = 1e-8
SMOOTHING = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


class TaskLoss(NamedTuple):
    """The loss of a task.

    Attributes
    ----------
    loss : Loss
    design : ndarray of shape (n_samples, n_features + 1)
        The features and the constant.
    targets : ndarray of shape (n_samples, n_outputs)
    weight : ndarray of shape (n_samples,)
    """

    loss: Loss
    design: Array
    targets: Array
    weight: Array

    @classmethod
    def of(
        cls,
        loss: Loss,
        X: Any,
        y: Array,
        weight: Array | None,
        n_outputs: int,
        bias: float,
    ) -> TaskLoss:
        """From rows as the kernels read them."""
        is_sparse = bool(sp.issparse(X))  # mypy narrows what it does not know
        X = X.toarray() if is_sparse else X
        design = np.empty((len(y), X.shape[1] + 1))
        design[:, :-1], design[:, -1] = X, bias
        targets = y[:, np.newaxis]
        if n_outputs > 1:
            targets = np.where(targets == np.arange(n_outputs), 1.0, -1.0)
        weight = np.ones(len(y)) if weight is None else weight
        return cls(loss, design, targets, weight)

    @property
    def has_kinks(self) -> bool:
        """Whether the slope of the loss is discontinuous anywhere."""
        return len(self.loss.kinks(self.targets[:1, 0])) > 0

    def joined(self, other: TaskLoss) -> TaskLoss:
        """The task of the samples of both."""
        pairs = zip(self[1:], other[1:], strict=True)
        return TaskLoss(self.loss, *(np.concatenate(pair) for pair in pairs))

    def value(self, theta: Array) -> float:
        """L(theta)."""
        losses = self.loss.value(self.targets, self.design @ theta.T)
        return float(self.weight @ losses.sum(axis=1))


def regularized(
    task: TaskLoss,
    center: Array,
    strength: float | Array,
    radius: float = np.inf,
    start: Array | None = None,
) -> Array:
    """argmin L(theta) + sum_j strength_j (theta_j - center_j)**2 / 2 in the ball.

    Parameters
    ----------
    task : TaskLoss
    center : ndarray of shape (n_outputs, n_features + 1)
    strength : float or ndarray of the shape of `center`, > 0
    radius : float
    start : ndarray of the shape of `center` or None
        A guess. None: the centre.

    Returns
    -------
    theta : ndarray of the shape of `center`
    """
    strength = np.broadcast_to(strength, center.shape)

    def at(multiplier: float, start: Array) -> Array:
        pull = strength + multiplier
        return minimize(task, strength * center / pull, pull, start)

    theta = at(0.0, center if start is None else start)
    return theta if np.linalg.norm(theta) <= radius else _on_sphere(at, theta, radius)


def _on_sphere(
    at: Callable[[float, Array], Array], theta: Array, radius: float
) -> Array:
    """Where a path of shrinking parameters, at(multiplier, start), meets the sphere."""
    path = [theta]

    @cache  # each value comes from a start of its own: a bracket must keep its signs
    def excess(log_multiplier: float) -> float:
        path[0] = at(np.exp(log_multiplier), path[0])
        return float(np.linalg.norm(path[0])) - radius

    low, high = -30.0, 0.0
    while excess(high) > 0:
        low, high = high, high + 5.0
    while low > -600.0 and excess(low) < 0:
        low -= 30.0
    root = low
    if excess(low) > 0:
        root = brentq(excess, low, high, xtol=1e-13, rtol=1e-14)
    theta = at(np.exp(root), path[0])
    return theta * (radius / np.linalg.norm(theta))


def optimum(task: TaskLoss, center: Array, radius: float = np.inf) -> Array:
    """argmin L(theta) in the ball; of several minimisers the one nearest to the centre.

    Raises
    ------
    ValueError
        If there is no ball and the loss has no minimum: the logistic loss of separable
        classes, for example.
    """
    if type(task.loss) is SquaredError:
        return _least_squares(task, center, radius)
    if task.has_kinks:
        return _optimum_with_kinks(task, center, radius)
    needs_check = not task.loss.has_minimum and not np.isfinite(radius)
    if needs_check and task.loss.is_margin:
        _refuse_separable(task)
    scale = task.weight @ task.design**2
    pull = NEAREST * np.where(scale > 0, scale, scale.mean())
    pull = np.tile(pull, (len(center), 1))
    best = regularized(task, center, pull, radius)
    for _ in range(20):  # proximal steps, until they stand still
        before, best = best, regularized(task, best, pull, radius)
        value = task.value(best)
        if task.value(before) - value <= 1e-13 * (1.0 + value):
            break
    else:
        if needs_check and not task.loss.is_margin:
            _refuse_unbounded(task)
    if task.loss.is_strict:
        return _nearest(task, best, center, radius)
    at_most = task.value(best) * (1.0 + 1e-9) + 1e-12
    for strength in scale.mean() * NEAREST * np.array([1.0, 1e-3, 1e-6]):
        theta = regularized(task, center, strength, radius)
        if task.value(theta) <= at_most:
            return theta
    return best


def _optimum_with_kinks(task: TaskLoss, center: Array, radius: float) -> Array:
    """The minimiser of a piecewise linear loss that is nearest to the centre.

    A penalty that is weak enough leaves the loss exactly at its minimum. The strongest
    of these penalties selects the nearest minimiser.
    """
    scale = (task.weight @ task.design**2).mean()
    strengths = scale * np.logspace(0, np.log10(NEAREST), 9)
    minimisers = [regularized(task, center, weight, radius) for weight in strengths]
    values = np.array([task.value(theta) for theta in minimisers])
    exact = values - values.min() <= 1e-11 * (1.0 + values.min())
    return minimisers[int(exact.argmax())]


def _nearest(task: TaskLoss, theta: Array, center: Array, radius: float) -> Array:
    """Replace the part of theta that no row depends on by that of the centre."""
    _, spread, basis = np.linalg.svd(task.design, full_matrices=False)
    basis = basis[spread > spread[0] * max(task.design.shape) * np.finfo(float).eps]
    nearest = center + (theta - center) @ basis.T @ basis
    return nearest if np.linalg.norm(nearest) <= radius else theta


def _least_squares(task: TaskLoss, center: Array, radius: float) -> Array:
    """Closed form: the trust-region root in the basis of the design's rows."""
    root = np.sqrt(task.weight)
    design, targets = root[:, np.newaxis] * task.design, root * task.targets[:, 0]
    U, spread, V = np.linalg.svd(design, full_matrices=False)
    seen = spread > spread.max(initial=0.0) * max(design.shape) * np.finfo(float).eps
    U, spread, V = U[:, seen], spread[seen], V[seen]
    along = U.T @ targets
    inside = V @ center[0]
    across = center[0] - inside @ V
    best = along / spread
    if np.hypot(np.linalg.norm(best), np.linalg.norm(across)) <= radius:
        return (best @ V + across)[np.newaxis]
    if np.linalg.norm(best) <= radius:
        left = np.sqrt(max(radius**2 - best @ best, 0.0))
        return (best @ V + across * (left / np.linalg.norm(across)))[np.newaxis]

    def at(multiplier: float, start: Array) -> Array:
        return along * spread / (spread**2 + multiplier)

    return (_on_sphere(at, best, radius) @ V)[np.newaxis]


def minimize(task: TaskLoss, center: Array, pull: Array, start: Array) -> Array:
    """argmin L(theta) + sum_j pull_j (theta_j - center_j)**2 / 2.

    All arrays have the shape of the parameter; `start` is a guess.
    """
    theta = np.empty_like(center)
    for k in range(len(center)):
        theta[k] = _minimize_row(task, k, center[k], pull[k], start[k])
    return theta


def _minimize_row(
    task: TaskLoss, k: int, center: Array, pull: Array, theta: Array
) -> Array:
    y = task.targets[:, k]
    rows = task.design, y, task.weight
    if not task.has_kinks:
        return newton(task.loss, *rows, center, pull, theta)
    for width in SMOOTHING:
        smoothed = _Smoothed(task.loss, width * max(1.0, np.abs(y).max()))
        theta = newton(smoothed, *rows, center, pull, theta)
    return _sharpen(smoothed, *rows, center, pull, theta)


def _sharpen(
    smoothed: _Smoothed,
    design: Array,
    y: Array,
    weight: Array,
    center: Array,
    pull: Array,
    theta: Array,
) -> Array:
    """The exact minimiser, from the samples that stand at a kink of the loss.

    Those fix linear equations, solved with the least squared change; the others have a
    known slope. Returns `theta` where it is not confirmed to be no worse.
    """
    loss = smoothed.loss

    def value(theta: Array) -> float:
        distances = 0.5 * pull @ (theta - center) ** 2
        return float(weight @ loss.value(y, design @ theta) + distances)

    z, kinks = design @ theta, loss.kinks(y)
    nearest = np.abs(z - kinks).argmin(axis=0)
    kink = np.take_along_axis(kinks, nearest[np.newaxis], axis=0)[0]
    held = smoothed.is_at_kink(y, z)
    slopes = (weight * smoothed.slope(y, z))[~held]
    free = center - (design[~held].T @ slopes) / pull
    root = np.sqrt(pull)
    gap = kink[held] - design[held] @ free
    sharp = free + np.linalg.lstsq(design[held] / root, gap, rcond=None)[0] / root
    return sharp if value(sharp) <= value(theta) else theta


def newton(
    loss: Loss,
    design: Array,
    y: Array,
    weight: Array,
    center: Array | float,
    pull: Array,
    theta: Array,
    offset: Array | float = 0.0,
) -> Array:
    """Newton's method with halved steps, from `theta`, on a strongly convex function.

    The sum of weight_i l(y_i, design_i . theta + offset_i) and of
    pull_j (theta_j - center_j)**2 / 2.
    """

    def at(theta: Array) -> tuple[Array, Array, float]:
        z, displacement = design @ theta + offset, theta - center
        value = weight @ loss.value(y, z) + 0.5 * pull @ displacement**2
        return z, displacement, float(value)

    z, displacement, current = at(theta)
    last_gain = np.inf
    for _ in range(200):
        gradient = (weight * loss.slope(y, z)) @ design + pull * displacement
        hessian = (design.T * (weight * loss.curvature(y, z))) @ design
        hessian.ravel()[:: len(theta) + 1] += pull
        _, step, failed = dposv(hessian, gradient)
        if failed:
            raise LinAlgError("The second derivative is not positive definite.")
        gain = gradient @ step
        if gain <= 1e-26 * (1.0 + abs(current)):
            return theta - step
        if gain <= 1e-12 * (1.0 + abs(current)) and not gain < last_gain:
            return theta
        # Values no longer tell small steps apart; the steps still shrink.
        is_small = gain <= 1e-12 * (1.0 + abs(current))
        last_gain, share = gain, 1.0
        z, displacement, value = at(theta - step)
        while not (is_small or value <= current - 1e-4 * share * gain):
            share *= 0.5
            if share < 1e-12:
                return theta
            z, displacement, value = at(theta - share * step)
        theta = theta - share * step
        current = value
    return theta


class _Smoothed(Loss):
    """The Moreau envelope of a loss with kinks: a proximal step of size `width`."""

    def __init__(self, loss: Loss, width: float):
        self.loss, self.width = loss, width

    def value(self, y: Array, z: Array) -> Array:
        slope = self.slope(y, z)
        end = self.loss.value(y, z - self.width * slope)
        return end + 0.5 * self.width * slope**2

    def slope(self, y: Array, z: Array) -> Array:
        return self.loss.proximal_slope(y, z, self.width, 1.0)

    def curvature(self, y: Array, z: Array) -> Array:
        bend = self.loss.curvature(y, z - self.width * self.slope(y, z))
        between = bend / (1.0 + self.width * bend)
        return np.where(self.is_at_kink(y, z), 1.0 / self.width, between)

    def is_at_kink(self, y: Array, z: Array) -> NDArray[np.bool_]:
        """Whether the result of the proximal step from z is a kink."""
        end = z - self.width * self.slope(y, z)
        close = np.isclose(end, self.loss.kinks(y), rtol=0.0, atol=1e-6 * self.width)
        return np.asarray(close.any(axis=0))


def _refuse_separable(task: TaskLoss) -> None:
    compiled = task.loss.compiled
    name = compiled.replace("_", " ") if compiled else f"loss {task.loss!r}"
    for target in task.targets.T:
        b = target[:, np.newaxis] * task.design
        box = [(-1.0, 1.0)] * b.shape[1]
        solution = linprog(-b.sum(axis=0), A_ub=-b, b_ub=np.zeros(len(b)), bounds=box)
        if -(solution.fun or 0.0) > 1e-9 * np.abs(b).sum():
            raise ValueError(
                f"The classes of the task can be separated, so its {name} has no "
                "minimum: give the estimator a radius."
            )


def _refuse_unbounded(task: TaskLoss) -> NoReturn:
    raise ValueError(
        f"The loss {task.loss!r} of the task has no minimum: give the estimator a "
        "radius."
    )
