"""The best single model for all rows so far: the initialization of `FollowTheRows`.

The loss of a row is replaced by a parabola in its score. With slope s and curvature c
at the present score z, it is the squared error, of weight c, of the response z - s / c.
For the squared error this is exact, and the leader is ridge regression. Only the sums
of weighted products of the features and the response are kept. They are taken about a
fixed reference, so that the location of the data costs no digits.

It specifies `_row_leader.h`, which observes the rows of compiled losses and solves.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from skmeta import _kernels
from skmeta._batch import Objective, Task
from skmeta._units import NOT_VARIED
from skmeta.losses import Array, Loss

GROWTH = 0.05  # of the number of rows, after which the leader is solved for again
ROWS_PER_COEFFICIENT = 0.125  # the fewest rows after which it is
DIGITS_LOST = 1e-7  # a spread below this share of the mean, from the reference
ROWS_AT_ONCE = 8192
MOST_NUMBERS = 2**18
LONGEST_STEP = 4.0  # of a response from the score; in deviations of a scaled target
LONGEST_STEP_WITH_KINKS = 1.0
HALVINGS = 30  # of a step, to find a minimum
LANES = 8  # of a vector of the compiled version


def fits(shape: tuple[int, int]) -> bool:
    """Whether the sums of a parameter of this shape are small enough to be kept."""
    return shape[0] * (shape[1] + 1) ** 2 <= MOST_NUMBERS


class Parabola(NamedTuple):
    """How the loss of a row is replaced by a parabola.

    Attributes
    ----------
    longest : float
        The longest step of a response from its score;
    is_scaled : bool
        whether it is in deviations of the target.
    is_quadratic : bool
        Whether the loss is its own parabola.
    is_steep : bool
        Whether a response may be beyond the minimum of the loss.
    """

    longest: float
    is_scaled: bool
    is_quadratic: bool
    is_steep: bool

    @classmethod
    def of(cls, loss: Loss) -> Parabola:
        """For a loss."""
        has_kinks = len(loss.kinks(np.ones(1))) > 0
        return cls(
            longest=LONGEST_STEP_WITH_KINKS if has_kinks else LONGEST_STEP,
            is_scaled=loss.degree is not None,
            is_quadratic=loss.degree == 2 and loss.is_strict,
            is_steep=loss.degree is None and not loss.is_margin,
        )


def parabola(
    loss: Loss, targets: Array, scores: Array, spread: float
) -> tuple[Array, Array]:
    """Slopes, and curvatures that keep every response near its score.

    A curvature is zero where the slope is.
    """
    kind = Parabola.of(loss)
    slope = np.asarray(loss.slope(targets, scores), dtype=np.float64)
    curvature = np.broadcast_to(loss.curvature(targets, scores), slope.shape)
    if kind.is_quadratic:
        return slope, curvature
    longest = kind.longest * (spread if kind.is_scaled and spread > 0 else 1.0)
    curvature = np.maximum(curvature, np.abs(slope) / longest)
    if kind.is_steep:
        curvature = _steepened(loss, targets, scores, slope, curvature)
    return slope, curvature


def _steepened(
    loss: Loss, targets: Array, scores: Array, slope: Array, curvature: Array
) -> Array:
    """Curvatures for which no response is beyond the minimum of the loss of its row.

    The slope of the Poisson loss grows exponentially, so Newton's step from a score
    that is too low is far too long. Bisection finds the minimum.
    """
    near, far = np.zeros_like(slope), _quotient(slope, curvature)
    is_beyond = loss.slope(targets, scores - far) * slope < 0
    if not is_beyond.any():
        return curvature
    for _ in range(HALVINGS):
        middle = 0.5 * (near + far)
        too_far = loss.slope(targets, scores - middle) * slope < 0
        near, far = np.where(too_far, near, middle), np.where(too_far, middle, far)
    return np.where(is_beyond, _quotient(slope, far), curvature)


def _quotient(slope: Array, divisor: Array) -> Array:
    """slope / divisor, and zero where the slope is."""
    return np.divide(slope, divisor, out=np.zeros_like(slope), where=slope != 0)


def _added(start: Array, rows: Array) -> Array:
    """start + rows[0] + rows[1] + ..., in this order, so that calls can be split."""
    return np.add.reduce(np.vstack([start, rows]), axis=0)


def _solve_systems(matrix: Array, strength: Array, right: Array) -> Array:
    """inv(matrix + s * identity) @ right for every strength s > 0.

    No pivot of such a matrix, which is semidefinite but for rounding, is less than s.
    """
    A = matrix + np.multiply.outer(strength, np.eye(len(right)))
    x = np.tile(right, (len(strength), 1))
    pivots = np.empty_like(x)
    for j in range(len(right)):
        pivots[:, j] = np.maximum(A[:, j, j], strength)
        factors = A[:, j, j + 1 :] / pivots[:, j : j + 1]
        A[:, j + 1 :, j + 1 :] -= factors[:, :, np.newaxis] * A[:, j : j + 1, j + 1 :]
        x[:, j + 1 :] -= factors * x[:, j : j + 1]
    for j in reversed(range(len(right))):
        later = np.einsum("pj,pj->p", A[:, j, j + 1 :], x[:, j + 1 :])
        x[:, j] = (x[:, j] - later) / pivots[:, j]
    return x


class RowLeader:
    """The minimiser of the losses of all rows so far, with a ridge penalty.

    The penalty shrinks towards the slopes of the parameter before the first row.

    Of several penalties, the one whose minimisers have predicted best is used. The loss
    of a row counts in proportion to the number of rows before it.

    Parameters
    ----------
    shape : tuple of int
        Of the parameter, (n_outputs, n_features + 1).
    penalties : sequence of float
        Strengths: a penalty of 1 weighs as much as one row, of each feature.
    bias : float
        1.0 with an intercept, which is not penalised, 0.0 without.

    Attributes
    ----------
    array : ndarray of shape (n_numbers,)
        All that is learned. The other attributes are views of it, or copies.
    """

    def __init__(self, shape: tuple[int, int], penalties: Sequence[float], bias: float):
        n_outputs, width = shape
        n, stride = len(penalties), -(-(width + 1) // LANES) * LANES
        self._penalties, self._bias = np.array(penalties, dtype=np.float64), bias
        self._shapes: dict[str, tuple[int, ...]] = {
            "counts": (4,),  # rows seen, when to solve, when solved, the best penalty
            "spread": (1,),  # standard deviation of the targets, 0 until they vary
            "powers": (3,),  # sums of weighted powers of the target
            "losses": (n,),
            "reference": (width + 1,),  # of the features, zero, and of the target
            "origin": shape,
            "candidates": (n, *shape),
            # of products of the features, a one and the response, filled up; what is
            # below the diagonal is not read
            "sums": (n_outputs, stride, stride),
        }
        sizes = [int(np.prod(one)) for one in self._shapes.values()]
        edges = pairwise(np.cumsum([0, *sizes]).tolist())
        self._parts = dict(zip(self._shapes, edges, strict=True))
        self.array = np.zeros(sum(sizes))
        self._view("counts")[1] = 1.0
        self._latest: tuple[int, Array] | None = None
        self._plan: tuple[Loss, Any] | None = None

    def _view(self, name: str) -> Array:
        begin, end = self._parts[name]
        return self.array[begin:end].reshape(self._shapes[name])

    def serves(self, rule: Any) -> bool:
        """Whether a meta step size asks for these penalties."""
        return rule.follows_rows and np.array_equal(rule.penalties, self._penalties)

    def start_at(self, origin: Array) -> None:
        """Set the parameter before the first row."""
        self._view("origin")[:] = self.candidates[:] = origin
        self._latest = None

    def copy(self) -> RowLeader:
        """An independent copy."""
        twin = RowLeader.__new__(RowLeader)
        vars(twin).update(vars(self))
        twin.array = self.array.copy()
        return twin

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_latest": None, "_plan": None}

    @property
    def n_rows(self) -> int:
        """Rows seen."""
        return int(self.array[0])

    @property
    def solved_at(self) -> int:
        """Rows seen when the minimisers were last solved for."""
        return int(self.array[2])

    @property
    def candidates(self) -> Array:
        """(n_penalties, n_outputs, n_features + 1): as last solved for."""
        return self._view("candidates")

    @property
    def leader(self) -> Array:
        """The minimiser for the best penalty so far, as last solved for."""
        return self.candidates[int(self.array[3])]

    @property
    def latest(self) -> Array:
        """The same, of all rows so far."""
        n_rows, latest = self.n_rows, self._latest
        if latest is None or latest[0] != n_rows:
            twin = self
            if self.solved_at < n_rows:
                twin = self.copy()
                twin.solve()
            latest = self._latest = n_rows, twin.leader.copy()
        return latest[1]

    @property
    def rows_to_go(self) -> int:
        """Rows after which the minimisers are to be solved for again."""
        return int(self.array[1] - self.array[0])

    def plan(self, loss: Loss) -> Any:
        """The compiled version for a loss, or None."""
        if not _kernels.COMPILED or loss.compiled not in _kernels.LOSSES:
            return None
        if self._plan is None or self._plan[0] is not loss:
            self._plan = loss, self._compiled(loss, *Parabola.of(loss))
        return self._plan[1]

    def _compiled(self, *arguments: Any) -> Any:
        shape = self._shapes["origin"]
        return _kernels.LeaderPlan(shape, self._penalties, self._bias, *arguments)

    def observe(self, task: Task, objective: Objective) -> None:
        """Add rows, all of them finite."""
        plan = self.plan(objective.loss)
        for first in range(0, len(task), ROWS_AT_ONCE):
            part = slice(first, first + ROWS_AT_ONCE)
            X = task.X[part]
            X = X.toarray() if sp.issparse(X) else np.asarray(X, dtype=np.float64)
            weight = None if task.weight is None else task.weight[part]
            rows = Task(X, task.y[part], weight)
            if plan is None:
                self._add(rows, objective)
            else:
                X = np.ascontiguousarray(X)
                plan.observe(X, rows.y, weight, self.array)

    def _add(self, task: Task, objective: Objective) -> None:
        loss, width = objective.loss, self._shapes["origin"][1]
        reference, first = self._view("reference"), not self.n_rows
        if first and self._bias:
            reference[:-2] = np.median(task.X, axis=0)
            reference[-1] = 0.0 if loss.degree is None else np.median(task.y)
        candidates = self.candidates
        rows = task.loss(objective, candidates.shape[1])
        before = self.n_rows + np.arange(len(task))
        self.array[0] += len(task)
        deviation = task.y - reference[-1]
        powers = rows.weight[:, np.newaxis] * np.vander(deviation, 3, increasing=True)
        self._view("powers")[:] = _added(self._view("powers"), powers)
        if self._view("spread")[0] == 0:
            self._view("spread")[0] = self._find_spread()
        z = np.zeros((len(task), self._shapes["sums"][1]))
        z[:, : width - 1], z[:, width - 1] = task.X - reference[:-2], 1.0
        levels = (
            self._bias * candidates[..., -1] + candidates[..., :-1] @ reference[:-2]
        )
        about = np.concatenate([candidates[..., :-1], levels[..., np.newaxis]], axis=-1)
        scores = np.einsum("ip,qkp->iqk", z[:, :width], about, optimize=False)
        losses = loss.value(rows.targets[:, np.newaxis], scores).sum(axis=2)
        losses *= (before * rows.weight)[:, np.newaxis]
        self._view("losses")[:] = _added(self._view("losses"), losses)
        present, spread = scores[:, int(self.array[3])], float(self._view("spread")[0])
        slope, curvature = parabola(loss, rows.targets, present, spread)
        response = present - reference[-1] - _quotient(slope, curvature)
        weights = rows.weight[:, np.newaxis] * curvature
        for k, sums in enumerate(self._view("sums")):
            z[:, width] = response[:, k]
            _kernels.add_products(z, np.ascontiguousarray(weights[:, k]), sums)

    def _find_spread(self) -> float:
        """Standard deviation of the targets; 0 where they do not vary."""
        weight, total, squares = self._view("powers")
        variance = (squares - total * total / weight) / weight
        return float(np.sqrt(variance)) if variance > 0 else 0.0

    def solve(self) -> None:
        """Solve for the minimisers of all rows so far."""
        if _kernels.COMPILED:
            self._compiled().solve(self.array)
            return
        width = self._shapes["origin"][1]
        self.candidates[:] = self._view("origin")
        for k, sums in enumerate(self._view("sums")):
            upper = np.triu(sums[: width + 1, : width + 1])
            if upper[-2, -2] > 0:
                self._solve(upper + np.triu(upper, 1).T, self.candidates[:, k])
        n_rows, best = self.n_rows, self._view("losses").argmin()
        more = max(GROWTH, ROWS_PER_COEFFICIENT * (width + 1) / n_rows)
        due_at = np.ceil((1.0 + more) * n_rows)
        self._view("counts")[1:] = due_at, n_rows, best
        self._view("spread")[0] = self._find_spread()

    def _solve(self, sums: Array, candidates: Array) -> None:
        """Move the candidates of one output, which are at the origin."""
        reference, weight = self._view("reference"), sums[-2, -2]
        mean = self._bias * sums[-2, :-2] / weight
        response = self._bias * sums[-2, -1] / weight
        products = sums[:-2, :-2] - weight * np.outer(mean, mean)
        pull = sums[:-2, -1] - weight * response * mean
        spread = np.sqrt(np.maximum(products.diagonal(), 0.0) / weight)
        varied = spread > DIGITS_LOST * np.abs(mean)
        varied &= spread > NOT_VARIED * np.abs(mean + reference[:-2])
        varied &= np.isfinite(spread)  # or its squares are too large to be added
        if varied.any():
            size = spread[varied]
            start = candidates[0, :-1][varied]
            matrix = products[np.ix_(varied, varied)] / np.outer(size, size)
            strength = self._penalties * (weight / self._view("powers")[0])
            right = pull[varied] / size - matrix @ (start * size)
            candidates[:, :-1][:, varied] += (
                _solve_systems(matrix, strength, right) / size
            )
        if self._bias:
            level = response + reference[-1]
            candidates[:, -1] = level - candidates[:, :-1] @ (mean + reference[:-2])
