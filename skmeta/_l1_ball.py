"""Minimisers of the loss of a whole task in an l1 ball, by an interior-point method.

Parameters theta = u - v with u, v >= 0 and sum(u + v) <= radius minimise

    F(theta) = L(theta) + sum_j pull_j (theta_j - center_j)**2 / 2.

A kink of the loss is written as a maximum: max(0, z - kink), times the jump of the
slope, is the least q >= 0 with p = q - (z - kink) >= 0. With g the gradient of F, the
conditions of optimality are

    s = mu + g >= 0, s u = 0;  r = mu - g >= 0, r v = 0;  mu (radius - sum(u + v)) = 0,

and, for the slope alpha in [0, jump] of every maximum, alpha p = 0 and
(jump - alpha) q = 0. Every iteration takes a Newton step towards equal products, which
shrink, as long as it decreases all residuals together.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skmeta import _solvers
from skmeta._solvers import NEAREST, TaskLoss
from skmeta.losses import Array

MAX_ITERATIONS = 200
TOLERANCE = 1e-14  # of products and residuals, relative to those at the start


def regularized(
    task: TaskLoss,
    center: Array,
    strength: float | Array,
    radius: float,
    start: Array | None = None,
) -> Array:
    """argmin L(theta) + sum_j strength_j (theta_j - center_j)**2 / 2 in the l1 ball.

    Parameters
    ----------
    task : TaskLoss
    center : ndarray of shape (n_outputs, n_features + 1)
    strength : float or ndarray of the shape of `center`, > 0
    radius : float
        A bound on the sum of absolute values.
    start : ndarray of the shape of `center` or None
        A guess of the minimiser without the ball.

    Returns
    -------
    theta : ndarray of the shape of `center`
    """
    theta = _solvers.regularized(task, center, strength, start=start)
    if np.abs(theta).sum() <= radius:
        return theta
    return _minimise(task, center, np.broadcast_to(strength, center.shape), radius)


def optimum(task: TaskLoss, center: Array, radius: float) -> Array:
    """argmin L(theta) in the l1 ball, near the centre if there are several."""
    try:
        theta = _solvers.optimum(task, center)
        if np.abs(theta).sum() <= radius:
            return theta
    except ValueError:  # there is no minimum without the ball
        pass
    scale = task.weight @ task.design**2
    pull = NEAREST * np.where(scale > 0, scale, scale.mean() or 1.0)
    pull = np.tile(pull, (len(center), 1))
    best = _minimise(task, center, pull, radius)
    for _ in range(20):  # proximal steps, until they stand still
        before, best = best, _minimise(task, best, pull, radius)
        if task.value(before) - task.value(best) <= 1e-13 * (1.0 + task.value(best)):
            break
    return best if task.value(best) <= task.value(before) else before


class _Point:
    """An interior point: all of u, v, s, r, mu, p, q, alpha and beta are positive."""

    names = ("u", "v", "s", "r", "mu", "p", "q", "alpha", "beta")
    u: Any
    v: Any
    s: Any
    r: Any
    mu: Any
    p: Any
    q: Any
    alpha: Any
    beta: Any

    def __init__(self, problem: _Problem):
        shape = problem.center.shape
        self.u = self.v = np.full(shape, 0.25 * problem.radius / np.prod(shape))
        distance = problem.kinks
        size = float(np.abs(distance).mean()) if distance.size else 1.0
        root = np.sqrt(0.25 * distance**2 + (size or 1.0) ** 2)
        self.p, self.q = root + 0.5 * distance, root - 0.5 * distance
        self.alpha = problem.jumps * self.q / (self.p + self.q)
        self.beta = problem.jumps - self.alpha
        gradient, _ = problem.derivatives(self)
        self.mu = 2.0 * float(np.abs(gradient).max()) + 1e-300
        self.s, self.r = self.mu + gradient, self.mu - gradient

    def moved(self, direction: dict[str, Any], step: float) -> _Point:
        new = object.__new__(_Point)
        for name in self.names:
            setattr(new, name, getattr(self, name) + step * direction[name])
        return new

    def longest(self, direction: dict[str, Any]) -> float:
        """The longest step that leaves everything positive."""
        rate = 1.0
        for name in self.names:
            rates = -np.asarray(direction[name]) / getattr(self, name)
            rate = max(rate, float(rates.max(initial=0.0)))
        return 1.0 / rate


class _Problem:
    """What is minimised, in arrays."""

    def __init__(self, task: TaskLoss, center: Array, pull: Array, radius: float):
        self.task, self.center, self.pull, self.radius = task, center, pull, radius
        loss, targets = task.loss, task.targets
        self.kinks = loss.kinks(targets)
        width = 1e-6 * (1.0 + np.abs(self.kinks))
        above = loss.slope(targets, self.kinks + width)
        below = loss.slope(targets, self.kinks - width)
        self.raw_jumps = above - below
        self.jumps = task.weight[:, np.newaxis] * self.raw_jumps

    def slack(self, point: _Point) -> float:
        return self.radius - float((point.u + point.v).sum())

    def derivatives(self, point: _Point) -> tuple[Array, Array]:
        """The gradient of F, and the curvatures of the smooth part of the loss."""
        task, theta = self.task, point.u - point.v
        z = task.design @ theta.T
        with np.errstate(over="ignore", invalid="ignore"):
            slope = np.asarray(task.loss.slope(task.targets, z), dtype=float)
            bend = np.asarray(task.loss.curvature(task.targets, z), dtype=float)
        # beside the maxima; at a kink any slope will do
        slope = slope - (self.raw_jumps * (z > self.kinks)).sum(axis=0)
        weight = task.weight[:, np.newaxis]
        slope = weight * slope + point.alpha.sum(axis=0)
        gradient = slope.T @ task.design + self.pull * (theta - self.center)
        return gradient, weight * bend

    def residuals(self, point: _Point, target: float) -> tuple[list[Any], Array]:
        """What vanishes at the point that all products equal `target` for."""
        gradient, bend = self.derivatives(point)
        theta = point.u - point.v
        z = self.task.design @ theta.T
        return [
            gradient + point.mu - point.s,
            -gradient + point.mu - point.r,
            point.p - point.q - (self.kinks - z),
            point.s * point.u - target,
            point.r * point.v - target,
            point.mu * self.slack(point) - target,
            point.alpha * point.p - target,
            point.beta * point.q - target,
        ], bend

    def direction(
        self, point: _Point, residuals: list[Any], bend: Array
    ) -> dict[str, Any]:
        """Newton's direction, with everything but theta and mu eliminated."""
        in_s, in_r, in_p, su, rv, mu_slack, ap, bq = residuals
        design, slack = self.task.design, self.slack(point)
        A, B = point.u / point.s, point.v / point.r
        first = -su / point.s - A * in_s  # of u, without what g and mu change
        second = -rv / point.r - B * in_r
        D, tilt = 1.0 / (A + B), A - B
        ratio = 1.0 / (point.p / point.alpha + point.q / point.beta)
        given = -ap / point.alpha + bq / point.beta + in_p
        fixed = (ratio * given).sum(axis=0).T @ design
        theta, across = np.empty_like(D), np.empty_like(D)
        weight = bend + ratio.sum(axis=0)
        for k in range(len(D)):
            matrix = (design.T * weight[:, k]) @ design
            matrix[np.diag_indices_from(matrix)] += D[k] + self.pull[k]
            right = [D[k] * (first - second)[k] - fixed[k], D[k] * tilt[k]]
            theta[k], across[k] = np.linalg.solve(matrix, np.transpose(right)).T
        c = tilt * D
        grown = float((first + second - c * (first - second) + c * theta).sum())
        stiff = float((A + B - c * tilt + c * across).sum())
        mu = (-mu_slack + point.mu * grown) / (slack + point.mu * stiff)
        theta -= mu * across
        gradient = D * (first - second - theta - tilt * mu)
        alpha = ratio * (design @ theta.T + given)
        return {
            "u": first - A * (gradient + mu),
            "v": second - B * (mu - gradient),
            "s": gradient + mu + in_s,
            "r": mu - gradient + in_r,
            "mu": mu,
            "alpha": alpha,
            "beta": -alpha,
            "p": (-ap - point.p * alpha) / point.alpha,
            "q": (-bq + point.q * alpha) / point.beta,
        }


def _minimise(task: TaskLoss, center: Array, pull: Array, radius: float) -> Array:
    problem = _Problem(task, center, pull, radius)
    point = best = _Point(problem)
    n_products = 2 * center.size + 1 + 2 * problem.jumps.size
    first = least = _gap(problem, point) / n_products
    scale = point.mu * np.sqrt(center.size) + first * np.sqrt(n_products)
    for _ in range(MAX_ITERATIONS):
        target = 0.1 * _gap(problem, point) / n_products
        residuals, bend = problem.residuals(point, target)
        try:
            move = problem.direction(point, residuals, bend)
        except np.linalg.LinAlgError:
            break
        step = min(1.0, 0.99 * point.longest(move))
        size = _norm(residuals)
        while step > 1e-12:
            new = point.moved(move, step)
            if problem.slack(new) > 0:
                after = _norm(problem.residuals(new, target)[0])
                if after <= (1.0 - 0.01 * step) * size:
                    break
            step *= 0.5
        else:
            break
        point = new
        merit = max(_gap(problem, point) / n_products / first, after / scale)
        if merit < least:
            best, least = point, merit
        if merit <= TOLERANCE:
            break
    return best.u - best.v


def _gap(problem: _Problem, point: _Point) -> float:
    gap = np.vdot(point.s, point.u) + np.vdot(point.r, point.v)
    gap += np.vdot(point.alpha, point.p) + np.vdot(point.beta, point.q)
    return float(gap + point.mu * problem.slack(point))


def _norm(residuals: list[Any]) -> float:
    return float(np.sqrt(sum((np.asarray(one) ** 2).sum() for one in residuals)))
