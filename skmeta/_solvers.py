"""Minimisers of the loss of a whole task: near a point, in a ball, or both.

A task's loss is L(theta) = sum_i w_i sum_k f(s_ik), where s_ik = b_ik . theta_k - t_ik
is the residual or the margin of sample i in row k of the weights. Parameters have shape
(n_outputs, n_features + 1), the intercept last.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.linalg import LinAlgError
from scipy.linalg.lapack import dposv
from scipy.optimize import brentq, linprog

from skmeta._losses import Loss, SquaredError

# Relative strength of the pull to the centre by which `optimum` selects the nearest of
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
    design: np.ndarray
    targets: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, loss, X, y, weight, n_outputs, bias):
        """From rows as the kernels read them."""
        X = X.toarray() if sp.issparse(X) else X
        design = np.empty((len(y), X.shape[1] + 1))
        design[:, :-1], design[:, -1] = X, bias
        targets = y[:, np.newaxis]
        if n_outputs > 1:
            targets = np.where(targets == np.arange(n_outputs), 1.0, -1.0)
        weight = np.ones(len(y)) if weight is None else weight
        return cls(loss, design, targets, weight)

    def joined(self, other):
        """The task of the samples of both."""
        pairs = zip(self[1:], other[1:], strict=True)
        return TaskLoss(self.loss, *(np.concatenate(pair) for pair in pairs))

    def value(self, theta):
        """L(theta)."""
        s = self.loss.argument(self.targets, self.design @ theta.T)
        return float(self.weight @ self.loss.value(s).sum(axis=1))

    def row(self, k):
        """(b, t) of row k: its arguments of the loss are b @ theta_k - t."""
        target = self.targets[:, k]
        if self.loss.is_margin:
            return target[:, np.newaxis] * self.design, np.zeros(len(target))
        return self.design, target


def regularized(task, center, strength, radius=np.inf, start=None):
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

    def at(multiplier, start):
        pull = strength + multiplier
        return minimize(task, strength * center / pull, pull, start)

    theta = at(0.0, center if start is None else start)
    return theta if np.linalg.norm(theta) <= radius else _on_sphere(at, theta, radius)


def _on_sphere(at, theta, radius):
    """Where a path of shrinking parameters, at(multiplier, start), meets the sphere."""
    path = [theta]

    @cache  # each value comes from a start of its own: a bracket must keep its signs
    def excess(log_multiplier):
        path[0] = at(np.exp(log_multiplier), path[0])
        return np.linalg.norm(path[0]) - radius

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


def optimum(task, center, radius=np.inf):
    """argmin L(theta) in the ball; of several minimisers the one nearest to the centre.

    Raises
    ------
    ValueError
        If the loss has no minimum: the logistic loss of separable classes in no ball.
    """
    if isinstance(task.loss, SquaredError):
        return _least_squares(task, center, radius)
    if not (task.loss.has_minimum or np.isfinite(radius)):
        _refuse_separable(task)
    scale = task.weight @ task.design**2
    if not task.loss.kinks:
        pull = NEAREST * np.where(scale > 0, scale, scale.mean())
        pull = np.tile(pull, (len(center), 1))
        best = regularized(task, center, pull, radius)
        for _ in range(20):  # proximal steps, until they stand still
            before, best = best, regularized(task, best, pull, radius)
            value = task.value(best)
            if task.value(before) - value <= 1e-13 * (1.0 + value):
                break
        if task.loss.is_strict:
            return _nearest(task, best, center, radius)
        at_most = task.value(best) * (1.0 + 1e-9) + 1e-12
        for strength in scale.mean() * NEAREST * np.array([1.0, 1e-3, 1e-6]):
            theta = regularized(task, center, strength, radius)
            if task.value(theta) <= at_most:
                return theta
        return best
    # A piecewise linear loss is minimised exactly by a pull that is weak enough; the
    # strongest of those selects the nearest minimiser.
    strengths = scale.mean() * np.logspace(0, np.log10(NEAREST), 9)
    found = [regularized(task, center, strength, radius) for strength in strengths]
    values = np.array([task.value(theta) for theta in found])
    exact = values - values.min() <= 1e-11 * (1.0 + values.min())
    return found[int(exact.argmax())]


def _nearest(task, theta, center, radius):
    """Replace what the rows do not see of theta by what it is at the centre."""
    _, spread, basis = np.linalg.svd(task.design, full_matrices=False)
    basis = basis[spread > spread[0] * max(task.design.shape) * np.finfo(float).eps]
    nearest = center + (theta - center) @ basis.T @ basis
    return nearest if np.linalg.norm(nearest) <= radius else theta


def _least_squares(task, center, radius):
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
        room = np.sqrt(max(radius**2 - best @ best, 0.0))
        return (best @ V + across * (room / np.linalg.norm(across)))[np.newaxis]

    def at(multiplier, start):
        return along * spread / (spread**2 + multiplier)

    return (_on_sphere(at, best, radius) @ V)[np.newaxis]


def minimize(task, center, pull, start):
    """argmin L(theta) + sum_j pull_j (theta_j - center_j)**2 / 2.

    All arrays have the shape of the parameter; `start` is a guess.
    """
    theta = np.empty_like(center)
    for k in range(len(center)):
        theta[k] = _minimize_row(task, k, center[k], pull[k], start[k])
    return theta


def _minimize_row(task, k, center, pull, theta):
    b, t = task.row(k)
    if not task.loss.kinks:
        return newton(task.loss, b, t, task.weight, center, pull, theta)
    for width in SMOOTHING:
        loss = _Smoothed(task.loss, width * max(1.0, np.abs(t).max()))
        theta = newton(loss, b, t, task.weight, center, pull, theta)
    return _sharpen(loss, b, t, task.weight, center, pull, theta)


def _sharpen(loss, b, t, weight, center, pull, theta):
    """The exact minimiser, from the samples that stand at a kink of the loss.

    Those fix linear equations, solved with the least squared change; the others have a
    known slope. Returns `theta` where it is not confirmed to be no worse.
    """

    def value(theta):
        return (
            weight @ loss.loss.value(b @ theta - t) + 0.5 * pull @ (theta - center) ** 2
        )

    s = b @ theta - t
    kink = np.asarray(loss.loss.kinks)[
        np.abs(s[:, np.newaxis] - loss.loss.kinks).argmin(axis=1)
    ]
    held = loss.curvature(s) > 0
    free = center - (b[~held].T @ (weight * loss.slope(s))[~held]) / pull
    root = np.sqrt(pull)
    gap = t[held] + kink[held] - b[held] @ free
    sharp = free + np.linalg.lstsq(b[held] / root, gap, rcond=None)[0] / root
    return sharp if value(sharp) <= value(theta) else theta


def newton(loss, b, t, weight, center, pull, theta):
    """Newton's method with halved steps, from `theta`, on a strongly convex function.

    The sum of weight_i f(b_i @ theta - t_i) and pull_j (theta_j - center_j)**2 / 2.
    """

    def at(theta):
        s, moved = b @ theta - t, theta - center
        return s, moved, weight @ loss.value(s) + 0.5 * pull @ moved**2

    s, moved, current = at(theta)
    last_gain = np.inf
    for _ in range(200):
        gradient = (weight * loss.slope(s)) @ b + pull * moved
        hessian = (b.T * (weight * loss.curvature(s))) @ b
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
        s, moved, value = at(theta - step)
        while not is_small and value > current - 1e-4 * share * gain:
            share *= 0.5
            if share < 1e-12:
                return theta
            s, moved, value = at(theta - share * step)
        theta = theta - share * step
        current = value
    return theta


class _Smoothed:
    """The Moreau envelope of a loss with kinks: a proximal step of size `width`."""

    def __init__(self, loss, width):
        self.loss, self.width = loss, width

    def value(self, s):
        slope = self.slope(s)
        return self.loss.value(s - self.width * slope) + 0.5 * self.width * slope**2

    def slope(self, s):
        return self.loss.proximal_slope(s, self.width, 1.0)

    def curvature(self, s):
        end = (s - self.width * self.slope(s))[:, np.newaxis]
        at_kink = np.isclose(end, self.loss.kinks, rtol=0.0, atol=1e-6 * self.width)
        return at_kink.any(axis=1) / self.width


def _refuse_separable(task):
    for k in range(task.targets.shape[1]):
        b, _ = task.row(k)
        box = [(-1.0, 1.0)] * b.shape[1]
        found = linprog(-b.sum(axis=0), A_ub=-b, b_ub=np.zeros(len(b)), bounds=box)
        if -found.fun > 1e-9 * np.abs(b).sum():
            raise ValueError(
                "The classes of the task can be separated, so its log loss has no "
                "minimum: give the estimator a radius."
            )
