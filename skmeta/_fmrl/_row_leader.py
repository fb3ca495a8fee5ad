"""The best single model for all rows so far: the initialization of `FollowTheRows`.

The loss of a row is replaced by a parabola in its score. With slope s and curvature c
at the present score z, it is the squared error, of weight c, of the response z - s / c.
For the squared error this is exact, and the leader is ridge regression. Only the sums
of weighted products of the features and the response are kept. They are taken about a
fixed reference, so that the location of the data costs no digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from skmeta import _kernels
from skmeta._batch import Objective, Task
from skmeta._units import NOT_VARIED
from skmeta.losses import Array, Loss

GROWTH = 0.05  # of the number of rows, after which the leader is solved for again
ROWS_PER_COEFFICIENT = 0.125  # the fewest rows after which it is
ROWS_AT_ONCE = 8192
MOST_NUMBERS = 2**18
LONGEST_STEP = 4.0  # of a response from the score; in deviations of a scaled target
LONGEST_STEP_WITH_KINKS = 1.0
HALVINGS = 30  # of a step, to find a minimum


def fits(shape: tuple[int, int]) -> bool:
    """Whether the sums of a parameter of this shape are small enough to be kept."""
    return shape[0] * (shape[1] + 1) ** 2 <= MOST_NUMBERS


def parabola(
    loss: Loss, targets: Array, scores: Array, spread: float
) -> tuple[Array, Array]:
    """Slopes, and curvatures that keep every response near its score.

    A curvature is zero where the slope is.
    """
    slope = np.asarray(loss.slope(targets, scores), dtype=np.float64)
    curvature = np.broadcast_to(loss.curvature(targets, scores), slope.shape)
    if loss.degree == 2 and loss.is_strict:
        return slope, curvature
    longest = LONGEST_STEP
    if len(loss.kinks(targets[:1, 0])):
        longest = LONGEST_STEP_WITH_KINKS
    if loss.degree is not None:
        longest *= spread
    curvature = np.maximum(curvature, np.abs(slope) / longest)
    if loss.degree is None and not loss.is_margin:
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
    n_rows : int
        Rows seen.
    candidates : ndarray of shape (n_penalties, n_outputs, n_features + 1)
        The minimiser for every penalty, as last solved for.
    """

    def __init__(self, shape: tuple[int, int], penalties: Sequence[float], bias: float):
        n_outputs, width = shape
        self.n_rows, self._due_at, self._solved_at = 0, 1, 0
        self._penalties, self._bias = np.array(penalties, dtype=np.float64), bias
        self._leader, self._spread = 0, 1.0
        self.start_at(np.zeros(shape))
        self._losses = np.zeros(len(penalties))
        # of the features, a one and the response; and of the target alone
        self._sums = np.zeros((n_outputs, width + 1, width + 1))
        self._powers = np.zeros(3)
        self._reference = np.zeros(width + 1)
        self._latest: Array | None = None

    def serves(self, rule: Any) -> bool:
        """Whether a meta step size asks for these penalties."""
        return rule.follows_rows and np.array_equal(rule.penalties, self._penalties)

    def start_at(self, origin: Array) -> None:
        """Set the parameter before the first row."""
        self._origin = origin.copy()
        self.candidates = np.tile(origin, (len(self._penalties), 1, 1))

    def copy(self) -> RowLeader:
        """An independent copy."""
        twin = RowLeader.__new__(RowLeader)
        vars(twin).update(vars(self))
        twin._sums = self._sums.copy()
        return twin

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_latest": None}

    @property
    def leader(self) -> Array:
        """The minimiser for the best penalty so far, as last solved for."""
        return self.candidates[self._leader]

    @property
    def latest(self) -> Array:
        """The same, of all rows so far."""
        if self._latest is None:
            twin = self
            if self._solved_at < self.n_rows:
                twin = self.copy()
                twin.solve()
            self._latest = twin.leader
        return self._latest

    @property
    def rows_to_go(self) -> int:
        """Rows after which the minimisers are to be solved for again."""
        return self._due_at - self.n_rows

    def observe(self, task: Task, objective: Objective) -> None:
        """Add rows, all of them finite."""
        self._latest = None
        for first in range(0, len(task), ROWS_AT_ONCE):
            part = slice(first, first + ROWS_AT_ONCE)
            X = task.X[part]
            X = X.toarray() if sp.issparse(X) else np.asarray(X, dtype=np.float64)
            weight = None if task.weight is None else task.weight[part]
            self._add(Task(X, task.y[part], weight), objective)

    def _add(self, task: Task, objective: Objective) -> None:
        loss, bias, width = objective.loss, self._bias, self._origin.shape[1]
        first = not self.n_rows
        if first and bias:
            level = 0.0 if loss.degree is None else np.median(task.y)
            self._reference = np.concatenate([np.median(task.X, axis=0), [0.0, level]])
        rows = task.loss(objective, len(self._origin))
        before = self.n_rows + np.arange(len(task))
        self.n_rows += len(task)
        deviation = task.y - self._reference[-1]
        powers = rows.weight[:, np.newaxis] * np.vander(deviation, 3, increasing=True)
        self._powers = _added(self._powers, powers)
        if first:
            self._spread = self._find_spread()
        candidates = self.candidates.reshape(-1, width)
        scores = np.einsum("ip,qp->iq", rows.design, candidates, optimize=False)
        scores = scores.reshape(len(task), *self.candidates.shape[:2])
        losses = loss.value(rows.targets[:, np.newaxis], scores).sum(axis=2)
        losses *= (before * rows.weight)[:, np.newaxis]
        self._losses = _added(self._losses, losses)
        present = scores[:, self._leader]
        slope, curvature = parabola(loss, rows.targets, present, self._spread)
        response = present - _quotient(slope, curvature) - self._reference[-1]
        z = np.ones((len(task), width + 1))
        z[:, :-2] = task.X - self._reference[:-2]
        weights = rows.weight[:, np.newaxis] * curvature
        for k, sums in enumerate(self._sums):
            z[:, -1] = response[:, k]
            _kernels.add_products(z, np.ascontiguousarray(weights[:, k]), sums)

    def _find_spread(self) -> float:
        """Standard deviation of the targets; 1 where they do not vary."""
        weight, total, squares = self._powers
        variance = (squares - total * total / weight) / weight
        return float(np.sqrt(variance)) if variance > 0 else 1.0

    def solve(self) -> None:
        """Solve for the minimisers of all rows so far."""
        candidates = np.tile(self._origin, (len(self._penalties), 1, 1))
        for k, sums in enumerate(self._sums):
            if sums[-2, -2] > 0:
                self._solve(sums, candidates[:, k])
        self.candidates, self._latest = candidates, None
        self._leader, self._spread = int(self._losses.argmin()), self._find_spread()
        self._solved_at = self.n_rows
        more = max(GROWTH, ROWS_PER_COEFFICIENT * len(self._sums[0]) / self.n_rows)
        self._due_at = int(np.ceil((1.0 + more) * self.n_rows))

    def _solve(self, sums: Array, candidates: Array) -> None:
        """Move the candidates of one output, which are at the origin."""
        reference, weight = self._reference[:-2], sums[-2, -2]
        mean = self._bias * sums[-2, :-2] / weight
        response = self._bias * sums[-2, -1] / weight
        products = sums[:-2, :-2] - weight * np.outer(mean, mean)
        pull = sums[:-2, -1] - weight * response * mean
        spread = np.sqrt(np.maximum(products.diagonal(), 0.0) / weight)
        varied = spread > NOT_VARIED * np.abs(mean + reference)
        if varied.any():
            size = spread[varied]
            start = candidates[0, :-1][varied]
            matrix = products[np.ix_(varied, varied)] / np.outer(size, size)
            strength = self._penalties * (weight / self._powers[0])
            systems = matrix + np.multiply.outer(strength, np.eye(len(size)))
            right = pull[varied] / size - matrix @ (start * size)
            right = np.tile(right, (len(strength), 1))[..., np.newaxis]
            moves = np.linalg.solve(systems, right)[..., 0] / size
            candidates[:, :-1][:, varied] += moves
        if self._bias:
            level = response + self._reference[-1]
            candidates[:, -1] = level - candidates[:, :-1] @ (mean + reference)
