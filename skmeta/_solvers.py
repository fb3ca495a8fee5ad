"""Minimisers of the loss of a whole task: near a point, in a ball, or both.

A task's loss is L(theta) = sum_i w_i sum_k l(y_ik, z_ik), where z_ik = x_i . theta_k is
the raw score of sample i in row k of the weights and y_ik its target. Parameters have
shape (n_outputs, n_features + 1), the intercept last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import LinAlgError
from scipy.linalg.lapack import dposv
from scipy.optimize import brentq, linprog

from skmeta import _interior as interior
from skmeta.losses import Array, Loss, SquaredError

# Relative strength of the penalty by which `optimum` selects the nearest of
# several minimisers.
NEAREST = 1e-8


class NoMinimum(ValueError):
    """The loss of a task has no minimum, and there is no ball."""


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
    pull = np.broadcast_to(np.asarray(strength, dtype=np.float64), center.shape)
    if task.has_kinks:
        return _interior_minimiser(task, center, pull, radius)
    theta = minimize(task, center, pull, center if start is None else start)
    if np.linalg.norm(theta) <= radius:
        return theta
    return _interior_minimiser(task, center, pull, radius)


def minimize(task: TaskLoss, center: Array, pull: Array, start: Array) -> Array:
    """argmin L(theta) + sum_j pull_j (theta_j - center_j)**2 / 2.

    All arrays have the shape of the parameter; `start` is a guess.
    """
    if task.has_kinks:
        return _interior_minimiser(task, center, pull, np.inf)
    theta = np.empty_like(center)
    for k in range(len(center)):
        rows = task.design, task.targets[:, k], task.weight
        theta[k] = newton(task.loss, *rows, center[k], pull[k], start[k])
    return theta


# ---- with kinks, or on the sphere


class _Pieces(NamedTuple):
    """A loss as maxima of zero and lines, a linear and a smooth part.

    See `skmeta._interior`. `smooth` is None for a piecewise linear loss.
    """

    kinks: Array
    jumps: Array
    slope: Array
    smooth: Callable[[Array], tuple[Array, Array]] | None = None
    value: Callable[[Array], float] | None = None

    @classmethod
    def of(cls, task: TaskLoss) -> _Pieces:
        loss, y, weight = task.loss, task.targets, task.weight[:, np.newaxis]
        kinks = np.sort(loss.kinks(y), axis=0)
        if not len(kinks):

            def whole(z: Array) -> tuple[Array, Array]:
                return weight * loss.slope(y, z), weight * loss.curvature(y, z)

            def value(z: Array) -> float:
                return float((weight * loss.value(y, z)).sum())

            return cls(kinks, np.empty_like(kinks), np.zeros(y.shape), whole, value)
        first, last = _slopes_beside(loss, y, kinks, 1e-7)
        jumps = weight * (first[1:] - last[:-1])
        if np.array_equal(first, last):
            return cls(kinks, jumps, weight * first[0])
        # with a curvature, the slopes at a kink are those at no distance from it
        first, last = _slopes_beside(loss, y, kinks, 2e-7)
        jumps = 2.0 * jumps - weight * (first[1:] - last[:-1])

        def without_kinks(z: Array) -> tuple[Array, Array]:
            # a score at a kink is read beside it: no side of the slope is ambiguous
            nearest = np.abs(z - kinks).argmin(axis=0)[np.newaxis]
            kink = np.take_along_axis(kinks, nearest, axis=0)[0]
            least = 1e-9 * (1.0 + np.abs(kink))
            side = np.where(z < kink, -1.0, 1.0)
            z = np.where(np.abs(z - kink) < least, kink + side * least, z)
            slope = weight * loss.slope(y, z) - (jumps * (z > kinks)).sum(axis=0)
            return slope, weight * loss.curvature(y, z)

        def value_without_kinks(z: Array) -> float:
            above = float((jumps * np.maximum(z - kinks, 0.0)).sum())
            return float((weight * loss.value(y, z)).sum()) - above

        smooth = without_kinks, value_without_kinks
        return cls(kinks, jumps, np.zeros(y.shape), *smooth)


def _slopes_beside(
    loss: Loss, y: Array, kinks: Array, distance: float
) -> tuple[Array, Array]:
    """The slopes at the lower and upper ends of the intervals between the kinks.

    The first and the last interval end far away.
    """
    size = 1.0 + np.abs(kinks)
    low, high = kinks[:1] - 1e6 * size[:1], kinks[-1:] + 1e6 * size[-1:]
    space = np.diff(np.concatenate([low, kinks, high]), axis=0) / 3
    above = kinks + np.minimum(distance * size, space[1:])
    below = kinks - np.minimum(distance * size, space[:-1])
    first = loss.slope(y, np.concatenate([low, above]))
    return first, loss.slope(y, np.concatenate([below, high]))


class _Minimiser(NamedTuple):
    """What `_interior` found, sharpened; `rank` of the rows held at a kink, least."""

    theta: Array
    on_sphere: bool
    rank: int
    misfit: float


def _interior_minimiser(
    task: TaskLoss, center: Array, pull: Array, radius: float
) -> Array:
    return _minimiser(task, _Pieces.of(task), center, pull, radius).theta


def _minimiser(
    task: TaskLoss,
    pieces: _Pieces,
    center: Array,
    pull: Array,
    radius: float,
    toward: Array | None = None,
    extra: Array | float = 0.0,
) -> _Minimiser:
    """argmin L(theta) + sum_j pull_j (theta_j - center_j)**2 / 2 in the ball.

    `toward`: the point to which the sharpened minimiser is nearest, where that does not
    follow from the gradient. `extra`: the gradient of one more, linear, term.
    """
    linear = pieces.slope.T @ task.design + extra
    problem = interior.Problem(
        task.design,
        pieces.kinks,
        pieces.jumps,
        linear,
        pull,
        center,
        radius,
        pieces.smooth,
        pieces.value,
    )
    with np.errstate(over="ignore", invalid="ignore"):  # of scores far away
        found = interior.solve(problem)
    theta = found.theta
    if found.on_sphere:
        theta = theta * (radius / np.linalg.norm(theta))
    goal = None
    if pieces.smooth is None:
        goal = _goal(problem, found, theta, toward)
    if goal is None:
        return _Minimiser(theta, found.on_sphere, 0, found.misfit)
    sharp, rank = _sharpened(problem, found, *goal)

    def value(theta: Array) -> float:
        others = (0.5 * pull * (theta - center) ** 2 + extra * theta).sum()
        return task.value(theta) + float(others)

    before = value(theta)
    if np.isfinite(sharp).all() and value(sharp) <= before + 1e-15 * abs(before):
        theta = sharp
    return _Minimiser(theta, found.on_sphere, rank, found.misfit)


def _goal(
    problem: interior.Problem,
    found: interior.Solution,
    theta: Array,
    toward: Array | None,
) -> tuple[Array, Array] | None:
    """What the sharpened minimiser is nearest to, and the weights of the distance.

    Where the scores that are not at a kink stay on their sides, the loss is linear.
    None: on the sphere with different pulls there is no closed form.
    """
    pull, center = problem.pull, problem.center
    ones = np.ones_like(pull)
    if toward is not None:
        return toward, ones
    is_above = problem.jumps * (found.state > 0)
    gradient = problem.linear + is_above.sum(axis=0).T @ problem.design
    if not pull.any():
        return (-gradient if found.on_sphere else theta), ones
    if found.on_sphere:
        return None if np.ptp(pull) else (pull * center - gradient, ones)
    return center - gradient / pull, np.sqrt(pull) if np.ptp(pull) else ones


def _sharpened(
    problem: interior.Problem, found: interior.Solution, toward: Array, root: Array
) -> tuple[Array, int]:
    """The point nearest to `toward` with the held scores exactly at their kinks.

    Distances are of `root` times a parameter. On the sphere only the direction of what
    the held rows do not see of `toward` counts.
    """
    fixed, free, rank = np.zeros_like(toward), toward.copy(), toward.shape[1]
    radius = problem.radius
    for k in range(len(toward)):
        level, rows = np.nonzero(found.state[:, :, k] == 0)
        A, b = problem.design[rows] / root[k], problem.kinks[level, rows, k]
        sides = np.column_stack([b, A @ (root[k] * toward[k])])
        if len(rows):
            solved, _, n_seen, _ = np.linalg.lstsq(A, sides, rcond=None)
            fixed[k] = solved[:, 0] / root[k]
            free[k] -= solved[:, 1] / root[k]
            rank = min(rank, int(n_seen))
        else:
            rank = 0
    if found.on_sphere:
        room, length = radius**2 - float(np.vdot(fixed, fixed)), np.linalg.norm(free)
        free *= np.sqrt(max(room, 0.0)) / length if length > 0 else 0.0
    return fixed + free, rank


def tilted(task: TaskLoss, linear: Array, radius: float) -> Array:
    """argmin L(theta) + <linear, theta> in the ball."""
    none = np.zeros_like(linear)
    pieces = _Pieces.of(task)
    return _minimiser(task, pieces, none, none, radius, extra=linear).theta


# ---- without a penalty


def optimum(task: TaskLoss, center: Array, radius: float = np.inf) -> Array:
    """argmin L(theta) in the ball; of several minimisers the one nearest to the centre.

    Raises
    ------
    NoMinimum
        If there is no ball and the loss has no minimum: the logistic loss of separable
        classes, for example.
    """
    if type(task.loss) is SquaredError:
        return _least_squares(task, center, radius)
    is_flat = not (task.has_kinks or task.loss.is_strict)
    basis = np.eye(task.design.shape[1]) if is_flat else _row_space(task.design)
    if not task.design.any():
        return _as_near(np.zeros_like(center), center, basis[:0], radius)
    seen = task._replace(design=task.design @ basis.T)
    solve = _with_kinks if task.has_kinks else _without_kinks
    with np.errstate(over="ignore", invalid="ignore"):  # of scores far away
        theta, on_sphere, is_unique = solve(seen, center @ basis.T, radius)
    if on_sphere:
        return theta @ basis
    if is_unique:
        return _as_near(theta @ basis, center, basis, radius)
    return _select_nearest(task, theta @ basis, center, radius)


def _with_kinks(
    task: TaskLoss, center: Array, radius: float
) -> tuple[Array, bool, bool]:
    """A minimiser, whether the ball holds it back, and whether it is the only one."""
    pieces, none = _Pieces.of(task), np.zeros_like(center)
    found = _minimiser(task, pieces, none, none, radius)
    if not np.isfinite(radius) and found.misfit > 1e-6 and not task.loss.has_minimum:
        _refuse_unbounded(task)
    is_unique = pieces.smooth is None and found.rank == center.shape[1]
    return found.theta, found.on_sphere, is_unique


def _without_kinks(
    task: TaskLoss, center: Array, radius: float
) -> tuple[Array, bool, bool]:
    """As `_with_kinks`."""
    none, start = np.zeros_like(center), center
    if np.isfinite(radius):
        found = _minimiser(task, _Pieces.of(task), none, none, radius)
        if found.on_sphere:
            return found.theta, True, True
        start = found.theta
    elif not task.value(center) < task.value(none):  # it may be far away, or infinite
        start = none
    scale = task.weight @ task.design**2
    pull = NEAREST * np.where(scale > 0, scale, scale.mean())
    pull = np.tile(pull, (len(center), 1))
    best = minimize(task, center, pull, start)
    if not (task.loss.has_minimum or np.isfinite(radius)):
        _refuse_without_minimum(task, best)
    for _ in range(20):  # proximal steps, until they stand still
        before, best = best, minimize(task, best, pull, best)
        value = task.value(best)
        if task.value(before) - value <= 1e-13 * (1.0 + abs(value)):
            break
    if np.linalg.norm(best) > radius:  # as good, or better by rounding
        return found.theta, task.loss.is_strict, task.loss.is_strict
    return best, False, task.loss.is_strict


def _select_nearest(
    task: TaskLoss, theta: Array, center: Array, radius: float
) -> Array:
    """The minimiser nearest to the centre, given any of them.

    A penalty that is weak enough leaves the loss exactly at its minimum; the minimiser
    of the loss and such a penalty is the nearest one.
    """
    scale, least = (task.weight @ task.design**2).mean(), task.value(theta)
    if task.has_kinks:
        basis = _row_space(np.vstack([task.design, center]))
        task = task._replace(design=task.design @ basis.T)
        theta, center = theta @ basis.T, center @ basis.T
        pieces = _Pieces.of(task)
        size = float((pieces.jumps * np.abs(pieces.kinks)).sum())
        at_most = least + 1e-12 * (size + abs(least))
        for strength in scale * np.array([1e-2, 1e-4, 1e-6, 1e-8, 1e-11, 1e-14]):
            pull = np.full_like(center, strength)
            found = _minimiser(task, pieces, center, pull, radius, center).theta
            if task.value(found) <= at_most:
                return found @ basis
        return theta @ basis
    else:
        at_most = least + 1e-9 * abs(least) + 1e-12
        for strength in scale * NEAREST * np.array([1.0, 1e-3, 1e-6]):
            found = regularized(task, center, strength, radius)
            if task.value(found) <= at_most:
                return found
    return theta


def _row_space(design: Array) -> Array:
    """An orthonormal basis of what the rows see: the identity where that is all."""
    _, spread, basis = np.linalg.svd(design, full_matrices=False)
    seen = spread > spread.max(initial=0.0) * max(design.shape) * np.finfo(float).eps
    if seen.sum() == design.shape[1]:
        return np.eye(design.shape[1])
    return basis[seen]


def _as_near(theta: Array, center: Array, basis: Array, radius: float) -> Array:
    """Add what no row sees of the centre to theta, as far as the ball allows."""
    unseen = center - (center @ basis.T) @ basis
    length = np.linalg.norm(unseen)
    room = radius**2 - float(np.vdot(theta, theta))
    if length**2 <= room:
        return theta + unseen
    return theta + unseen * (np.sqrt(max(room, 0.0)) / length)


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

    def at(log_multiplier: float) -> Array:
        return along * spread / (spread**2 + np.exp(log_multiplier))

    def excess(log_multiplier: float) -> float:
        return float(np.linalg.norm(at(log_multiplier))) - radius

    low, high = 2.0 * np.log(spread.min()) - 40.0, 2.0 * np.log(spread.max())
    while excess(high) > 0:
        high += 5.0
    theta = at(brentq(excess, low, high, xtol=1e-13) if excess(low) > 0 else low)
    return (theta * (radius / np.linalg.norm(theta)) @ V)[np.newaxis]


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


def _refuse_without_minimum(task: TaskLoss, theta: Array) -> None:
    """Raise an error if the loss decreases for ever in some direction.

    Along a direction d the loss of a row with score slope zero at infinity decreases
    for ever if its score moves there, and so the task has no minimum if some scores
    move to where their slopes vanish and all others stand still or do so too. It has
    one (Stiemke) if and only if positive weights of these rows, with any weights of the
    other rows, sum to zero: slopes at `theta`, which minimises the loss and a weak
    penalty, are such weights up to a small correction.
    """
    for k, target in enumerate(task.targets.T):
        down, up = _vanishing_slopes(task.loss, target)
        side = np.where(up, 1.0, -1.0)[:, np.newaxis] * task.design
        moves = up | down
        if not moves.any():
            continue
        score = task.design @ theta[k]
        slope = task.weight * task.loss.slope(target, score)
        correction = np.linalg.lstsq(task.design.T, slope @ task.design, rcond=None)[0]
        if (np.abs(correction) <= 0.5 * np.abs(slope))[moves].all():
            continue
        if _can_move(side[moves], task.design[~moves]):
            _refuse_unbounded(task)


def _vanishing_slopes(
    loss: Loss, y: Array
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether the slope of every row vanishes at -infinity, and at +infinity."""
    zero = np.zeros_like(y)
    near = np.abs(loss.slope(y, zero - 1.0)) + np.abs(loss.slope(y, zero + 1.0))
    found = []
    for sign in (-1.0, 1.0):
        slope = np.full_like(y, np.inf)
        for far in (1e2, 1e4, 1e6, 1e8, 1e10, 1e12):
            further = loss.slope(y, zero + sign * far)
            slope = np.where(np.isfinite(further), further, slope)
        found.append(np.abs(slope) <= 1e-6 * near)
    return found[0], found[1]


def _can_move(one_sided: Array, two_sided: Array) -> bool:
    """Whether a direction has products >= 0, not all zero, with `one_sided` rows.

    Its products with the other rows are zero.
    """
    both = np.vstack([one_sided, two_sided])
    columns = np.abs(both).max(axis=0)
    both = both / np.where(columns > 0, columns, 1.0)
    sizes = np.linalg.norm(both, axis=1, keepdims=True)
    both = both / np.where(sizes > 0, sizes, 1.0)
    one, two = both[: len(one_sided)], both[len(one_sided) :]
    solution = linprog(
        -one.sum(axis=0),
        A_ub=-one,
        b_ub=np.zeros(len(one)),
        A_eq=two if len(two) else None,
        b_eq=np.zeros(len(two)) if len(two) else None,
        bounds=[(-1.0, 1.0)] * both.shape[1],
    )
    return -(solution.fun or 0.0) > 1e-6


def _refuse_unbounded(task: TaskLoss) -> NoReturn:
    if not task.loss.is_margin:
        raise NoMinimum(
            f"The loss {task.loss!r} of the task has no minimum: give the estimator a "
            "radius."
        )
    compiled = task.loss.compiled
    name = compiled.replace("_", " ") if compiled else f"loss {task.loss!r}"
    raise NoMinimum(
        f"The classes of the task can be separated, so its {name} has no minimum: give "
        "the estimator a radius."
    )
