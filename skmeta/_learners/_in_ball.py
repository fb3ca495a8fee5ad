"""Regularised leaders in a ball: minimisers that are restricted to ||theta|| <= radius.

Outside of the ball, the minimiser is the one with a multiplier mu > 0 for which
theta(mu) = argmin F(theta) + mu ||theta||**2 / 2 has the norm of the radius.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skmeta._solvers import TaskLoss, newton
from skmeta.losses import Array

MAX_ITERATIONS = 200
TOLERANCE = 1e-14  # of the norm, relative to the radius


def nearest_in_ball(center: Array, precision: Array, radius: float) -> Array:
    """argmin sum_k d_k' precision_k d_k / 2 with d = theta - center.

    Parameters
    ----------
    center : ndarray of shape (n_outputs, p)
    precision : ndarray of shape (n_outputs, p, p)
        Symmetric, positive definite.
    radius : float

    Returns
    -------
    theta : ndarray of shape (n_outputs, p)
    """
    if np.linalg.norm(center) <= radius:
        return center.copy()
    values, vectors = np.linalg.eigh(precision)
    inside = np.einsum("kpq,kp->kq", vectors, center)

    def at(mu: float) -> tuple[Array, float]:
        theta = values / (values + mu) * inside
        return theta, float((theta**2 / (values + mu)).sum())

    return np.einsum("kpq,kq->kp", vectors, _on_sphere(at, radius))


def leader_in_ball(
    task: TaskLoss, center: Array, precision: Array, radius: float, start: Array
) -> Array:
    """argmin L(theta) + sum_k d_k' precision_k d_k / 2 with d = theta - center.

    Parameters
    ----------
    task : TaskLoss
        Of a smooth loss; it may have no rows.
    center : ndarray of shape (n_outputs, p)
    precision : ndarray of shape (n_outputs, p, p)
    radius : float
    start : ndarray of shape (n_outputs, p)
        A guess.

    Returns
    -------
    theta : ndarray of shape (n_outputs, p)
    """
    # A ball looks the same in the basis in which the precision is diagonal.
    values, vectors = np.linalg.eigh(precision)
    designs = task.design @ vectors
    inside = np.einsum("kpq,kp->kq", vectors, center)
    guess = np.einsum("kpq,kp->kq", vectors, start)

    def at(mu: float) -> tuple[Array, float]:
        bend = 0.0
        for k, (design, target) in enumerate(zip(designs, task.targets.T, strict=True)):
            pull = values[k] + mu
            rows = task.loss, design, target, task.weight
            goal = values[k] * inside[k] / pull
            guess[k] = newton(*rows, goal, pull, guess[k])
            curvature = task.loss.curvature(target, design @ guess[k])
            system = (design.T * (task.weight * curvature)) @ design
            system[np.diag_indices_from(system)] += pull
            bend += float(guess[k] @ np.linalg.solve(system, guess[k]))
        return guess.copy(), bend

    return np.einsum("kpq,kq->kp", vectors, _on_sphere(at, radius))


def _on_sphere(at: Callable[[float], tuple[Array, float]], radius: float) -> Array:
    """theta(0) if it is in the ball, else theta(mu) on the sphere.

    at(mu) is theta and theta' inv(M) theta, with M the second derivative there: minus
    the derivative of ||theta(mu)||**2 / 2. Newton's method on 1 / ||theta(mu)||, which
    is nearly linear, in a bracket.
    """
    mu, low, high = 0.0, 0.0, np.inf
    theta, bend = at(mu)
    for _ in range(MAX_ITERATIONS):
        norm = float(np.linalg.norm(theta))
        excess = norm / radius - 1.0
        if excess <= TOLERANCE and (mu == 0.0 or excess >= -TOLERANCE):
            break
        low, high = (mu, high) if excess > 0 else (low, mu)
        step = mu + excess * norm**2 / bend
        if not low < step < high:
            step = 0.5 * (low + high)
        if step in (low, high):  # rounding
            break
        mu = step
        theta, bend = at(mu)
    return theta * min(1.0, radius / max(float(np.linalg.norm(theta)), 1e-300))
