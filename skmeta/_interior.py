"""A primal-dual interior-point method for losses with kinks and for balls.

It minimises, over parameters theta of shape (n_outputs, n_columns) with scores
z_ik = x_i . theta_k,

    F(theta) = sum_ik s(z_ik) + sum_jik c_jik max(0, z_ik - kink_jik) + <linear, theta>
               + sum_kl pull_kl (theta_kl - center_kl)**2 / 2,   ||theta|| <= radius.

Every maximum has a slope alpha in [0, c]. The conditions of optimality are

    gradient of F with these slopes + multiplier * theta = 0,
    alpha * max(0, kink - z) = 0,   (c - alpha) * max(0, z - kink) = 0,
    multiplier * (radius**2 - ||theta||**2) = 0,

and the sum of the last products bounds F(theta) - min F: it is the duality gap. Every
iteration takes a Newton step towards products that are equal and smaller: Mehrotra's
predictor and corrector or, with s or where that step fails, a step that decreases F
with logarithmic barriers.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv

Array = NDArray[np.float64]

MAX_ITERATIONS = 100
TOLERANCE = 1e-13  # of the gap and of the gradient, relative to the first ones
TO_THE_BOUNDARY = 0.995


class Problem(NamedTuple):
    """What is minimised.

    Attributes
    ----------
    design : ndarray of shape (n_samples, n_columns)
    kinks, jumps : ndarray of shape (n_kinks, n_samples, n_outputs)
        The scores at which the slope jumps, and the sizes c > 0 of the jumps.
    linear : ndarray of shape (n_outputs, n_columns)
    pull, center : ndarray of shape (n_outputs, n_columns)
        The pull is >= 0.
    radius : float
        Infinite for none.
    smooth : callable or None
        From scores to slopes and curvatures of s, all of shape (n_samples, n_outputs).
        None: s is zero.
    value : callable or None
        From scores to the sum of s.
    """

    design: Array
    kinks: Array
    jumps: Array
    linear: Array
    pull: Array
    center: Array
    radius: float
    smooth: Callable[[Array], tuple[Array, Array]] | None = None
    value: Callable[[Array], float] | None = None


class Solution(NamedTuple):
    """A minimiser and its certificate.

    Attributes
    ----------
    theta : ndarray of shape (n_outputs, n_columns)
    state : ndarray of int of shape (n_kinks, n_samples, n_outputs)
        -1 and +1 for scores below and above the kink, 0 for scores at it.
    on_sphere : bool
        Whether the ball holds theta back.
    gap : float
        F(theta) - min F is at most `gap`, up to the rounding of the gradient.
    misfit : float
        The larger of the gap and the gradient, relative to their first sizes: rounding
        if the method has converged.
    """

    theta: Array
    state: NDArray[np.int8]
    on_sphere: bool
    gap: float
    misfit: float


class _Point:
    """An interior point: `p`, `q`, `alpha`, `beta`, `mu` and `v` are positive.

    p - q is the kink minus the score, alpha + beta the jump, mu the multiplier of the
    ball, and v = (radius**2 - ||theta||**2) / 2.
    """

    __slots__ = ("alpha", "beta", "mu", "p", "q", "theta", "v", "z")

    def __init__(self, problem: Problem):
        self.theta = np.zeros_like(problem.center)
        self.z = np.zeros(problem.kinks.shape[1:])
        t = -problem.kinks
        size = float(np.abs(t).mean()) if t.size else 0.0
        size = size if size > 0 else 1.0
        root = np.sqrt(0.25 * t * t + size * size)
        self.q = np.where(t > 0, root + 0.5 * t, size * size / (root - 0.5 * t))
        self.p = size * size / self.q
        total = problem.jumps / (self.p + self.q)
        self.alpha, self.beta = total * self.q, total * self.p
        self.v = 0.5 * problem.radius**2
        self.mu = 0.0

    @property
    def gap(self) -> float:
        gap = float(np.vdot(self.alpha, self.p) + np.vdot(self.beta, self.q))
        return gap + self.mu * self.v if self.mu else gap


class _Move(NamedTuple):
    """A direction."""

    theta: Array
    z: Array
    alpha: Array
    p: Array
    q: Array
    mu: float
    along: float  # theta . direction
    square: float  # squared norm of the direction


class _System:
    """The linear equations of a Newton step, at one point."""

    def __init__(self, problem: Problem, point: _Point):
        self.problem, self.point = problem, point
        self.ratio = 1.0 / (point.p / point.alpha + point.q / point.beta)
        slope = point.alpha.sum(axis=0)
        bend = self.ratio.sum(axis=0)
        if problem.smooth is not None:
            smooth_slope, curvature = problem.smooth(point.z)
            slope = slope + smooth_slope
            bend = bend + curvature
        self.residual = problem.linear + slope.T @ problem.design
        self.residual += problem.pull * (point.theta - problem.center)
        diagonal = problem.pull
        if point.mu:
            self.residual += point.mu * point.theta
            diagonal = diagonal + point.mu
        self.diagonal, self.bend = diagonal, bend
        self.residual_size = float(np.abs(self.residual).max())
        self._matrices: list[Array] | None = None

    def merit(self, first: float, scale: float) -> float:
        """The larger of the gap and the gradient, relative to their first sizes."""
        return max(self.point.gap / first, self.residual_size / scale)

    def solve(self, right: Array) -> Array:
        """The matrix of row k, without the ball, divides row k: (n_outputs, :, n)."""
        if self._matrices is None:
            self._matrices = [
                self._matrix(weight, diagonal)
                for weight, diagonal in zip(self.bend.T, self.diagonal, strict=True)
            ]
        out = np.empty_like(right)
        for k, matrix in enumerate(self._matrices):
            _, out[k], failed = dposv(matrix, right[k])
            if failed or not np.isfinite(out[k]).all():
                raise np.linalg.LinAlgError
        return out

    def _matrix(self, weight: Array, diagonal: Array) -> Array:
        design = self.problem.design
        matrix = (design.T * weight) @ design
        on_diagonal = matrix.ravel()[:: len(diagonal) + 1]
        # rounding must not make it indefinite
        on_diagonal += diagonal + 1e-15 * on_diagonal.max() + 1e-300
        return matrix

    def move(
        self,
        r1: Array,
        r2: Array,
        r3: float,
        extra: Array | float = 0.0,
    ) -> _Move:
        """The direction that changes the products by r1, r2 and r3."""
        problem, point = self.problem, self.point
        given = r1 / point.alpha - r2 / point.beta
        right = -self.residual - extra
        right -= (self.ratio * given).sum(axis=0).T @ problem.design
        mu = 0.0
        if point.mu:
            both = self.solve(np.stack([right, point.theta], axis=2))
            theta, across = both[..., 0], both[..., 1]
            weight = point.v + point.mu * float(np.vdot(point.theta, across))
            mu = (r3 + point.mu * float(np.vdot(point.theta, theta))) / weight
            theta = theta - mu * across
        else:
            theta = self.solve(right[..., np.newaxis])[..., 0]
        z = problem.design @ theta.T
        alpha = self.ratio * (z + given)
        p = (r1 - point.p * alpha) / point.alpha
        q = (r2 + point.q * alpha) / point.beta
        along = float(np.vdot(point.theta, theta))
        return _Move(theta, z, alpha, p, q, mu, along, float(np.vdot(theta, theta)))


def _longest_primal(point: _Point, move: _Move) -> float:
    """The longest step for which p, q and v stay positive."""
    step = _longest_step((point.p, move.p), (point.q, move.q))
    if point.mu and move.square > 0:
        root = np.sqrt(move.along**2 + 2.0 * move.square * point.v)
        # the root of 2 v - 2 along s - square s**2, without cancellation
        if move.along > 0:
            step = min(step, 2.0 * point.v / (move.along + root))
        else:
            step = min(step, (root - move.along) / move.square)
    return step


def _longest_dual(point: _Point, move: _Move) -> float:
    """The longest step for which alpha, beta and mu stay positive."""
    step = _longest_step((point.alpha, move.alpha), (point.beta, -move.alpha))
    return -point.mu / move.mu if -move.mu * step > point.mu else step


def _longest_step(*pairs: tuple[Array, Array]) -> float:
    rate = 1e-30
    for size, change in pairs:
        if size.size:
            rate = max(rate, float((-change / size).max()))
    return 1.0 / rate


def _moved(point: _Point, move: _Move, step: float, dual: float) -> _Point:
    new = _Point.__new__(_Point)
    new.theta = point.theta + step * move.theta
    new.z = point.z + step * move.z
    new.p = point.p + step * move.p
    new.q = point.q + step * move.q
    new.v = point.v - step * move.along - 0.5 * step**2 * move.square
    new.alpha = point.alpha + dual * move.alpha
    new.beta = point.beta - dual * move.alpha
    new.mu = point.mu + dual * move.mu
    return new


def solve(problem: Problem) -> Solution:
    """Minimise, from the parameter zero.

    Returns
    -------
    solution : Solution
        The best point found; its `gap` says how good it is.
    """
    point = _Point(problem)
    n_products = 2 * problem.jumps.size
    first = point.gap
    if np.isfinite(problem.radius):
        n_products += 1
        at_zero = _System(problem, point).residual
        point.mu = float(np.linalg.norm(at_zero)) / problem.radius
        # a gradient of zero, or a pull to far away, leaves the scale to the kinks
        point.mu = max(point.mu, first / (n_products * point.v), 1e-300)
        first = point.gap
    system = _System(problem, point)
    scale = np.abs(problem.linear).max() + system.residual_size
    scale += float((problem.jumps.sum(axis=0).T @ np.abs(problem.design)).max())
    scale = scale or 1.0
    merit = least = max(1.0, system.residual_size / scale)
    best, n_stalled = point, 0
    target = first / n_products if n_products else 0.0
    for _ in range(MAX_ITERATIONS):
        if merit <= TOLERANCE or not n_products:
            break
        try:
            new_merit = np.inf
            if problem.smooth is None:
                new_system = _predict_and_correct(system, n_products)
                new_merit = new_system.merit(first, scale)
                # the gap must not shrink faster than the gradient: a step along the
                # sphere is the shorter the nearer it is
                target = 0.1 * merit * first / n_products
            if not new_merit < 0.9 * merit:
                target = _next_target(system, target, first / n_products, scale)
                new_system = _descend(system, target)
                new_merit = new_system.merit(first, scale)
        except np.linalg.LinAlgError:
            break
        if not np.isfinite(new_merit):
            break
        point, system, merit = new_system.point, new_system, new_merit
        n_stalled = n_stalled + 1 if merit > 0.9 * least else 0
        if merit < least:
            best, least = point, merit
        if n_stalled >= (3 if least < 1e-10 else 50):
            break
    return _solution(problem, best, first, least)


def _predict_and_correct(system: _System, n_products: int) -> _System:
    """Mehrotra's step."""
    point, mean = system.point, system.point.gap / n_products
    a_p, b_q, mu_v = point.alpha * point.p, point.beta * point.q, point.mu * point.v
    guess = system.move(-a_p, -b_q, -mu_v)
    step = min(1.0, _longest_primal(point, guess), _longest_dual(point, guess))
    ahead = _moved(point, guess, step, step).gap / n_products
    target = mean * (max(ahead, 0.0) / mean) ** 3
    move = system.move(
        target - a_p - guess.alpha * guess.p,
        target - b_q + guess.alpha * guess.q,
        target - mu_v + guess.mu * guess.along + 0.5 * point.mu * guess.square,
        guess.mu * guess.theta if point.mu else 0.0,
    )
    longest = min(_longest_primal(point, move), _longest_dual(point, move))
    step = min(1.0, TO_THE_BOUNDARY * longest)
    return _System(system.problem, _moved(point, move, step, step))


def _next_target(system: _System, target: float, unit: float, scale: float) -> float:
    """A smaller target once the conditions for this one are met about as well."""
    point = system.point
    while target > 1e-3 * TOLERANCE * unit:
        off = [float(np.abs(point.alpha * point.p - target).max(initial=0.0))]
        off.append(float(np.abs(point.beta * point.q - target).max(initial=0.0)))
        if point.mu:
            off.append(abs(point.mu * point.v - target))
        error = max(max(off) / unit, system.residual_size / scale)
        if error > 10.0 * target / unit:
            break
        target = min(0.05 * target, unit * (target / unit) ** 1.5)
    return target


def _descend(system: _System, target: float) -> _System:
    """A step that decreases F with barriers: the sum of -target * log of p, q and v."""
    problem, point = system.problem, system.point
    move = system.move(
        target - point.alpha * point.p,
        target - point.beta * point.q,
        target - point.mu * point.v,
    )
    slope = float(np.vdot(system.residual, move.theta))
    slope -= float(np.vdot(point.alpha.sum(axis=0), move.z)) + point.mu * move.along
    slope += float(np.vdot(problem.jumps, move.q))
    slope -= target * float((move.p / point.p).sum() + (move.q / point.q).sum())
    if point.mu:
        slope += target * move.along / point.v
    primal = min(1.0, TO_THE_BOUNDARY * _longest_primal(point, move))
    dual = min(1.0, TO_THE_BOUNDARY * _longest_dual(point, move))
    before = _with_barriers(problem, point, target)
    for _ in range(60):
        new = _moved(point, move, primal, min(primal, dual) if primal < 1.0 else dual)
        after = _with_barriers(problem, new, target)
        if after <= before + 1e-4 * primal * slope + 1e-13 * abs(before):
            break
        primal *= 0.5
    return _System(problem, _off_the_sphere(problem, new, target))


def _off_the_sphere(problem: Problem, point: _Point, target: float) -> _Point:
    """Shorten a theta that is too close to the sphere for a long step along it.

    Then mu v equals the target. The parameter changes by about v / radius.
    """
    square = problem.radius**2 - 2.0 * point.v
    wanted = target / point.mu if point.mu else 0.0
    if point.v > 0.1 * wanted or wanted > 0.25 * problem.radius**2:
        return point
    shrunk = copy(point)
    factor = np.sqrt((problem.radius**2 - 2.0 * wanted) / square)
    shrunk.theta, shrunk.z = factor * point.theta, factor * point.z
    shrunk.v = wanted
    change = point.z - shrunk.z  # of p - q
    shrunk.p = point.p + np.maximum(change, 0.0)
    shrunk.q = point.q + np.maximum(-change, 0.0)
    return shrunk


def _with_barriers(problem: Problem, point: _Point, target: float) -> float:
    value = float(
        np.vdot(problem.linear, point.theta) + np.vdot(problem.jumps, point.q)
    )
    value += float((problem.pull * (point.theta - problem.center) ** 2).sum()) / 2
    if problem.value is not None:
        value += problem.value(point.z)
    barrier = float(np.log(point.p).sum() + np.log(point.q).sum())
    if point.mu:
        barrier += float(np.log(point.v)) if point.v > 0 else -np.inf
    return value - target * barrier


def _solution(problem: Problem, point: _Point, first: float, misfit: float) -> Solution:
    """Strict complementarity tells which of two factors of a product is zero."""
    state = np.zeros(problem.kinks.shape, dtype=np.int8)
    if state.size:
        size = float(np.abs(problem.kinks - point.z).mean()) or 1.0
        state[point.p / size > point.alpha / problem.jumps] = -1
        state[point.q / size > point.beta / problem.jumps] = 1
    square = problem.radius**2
    on_sphere = point.v / square < point.mu * square / first if point.mu else False
    return Solution(point.theta, state, bool(on_sphere), point.gap, misfit)
