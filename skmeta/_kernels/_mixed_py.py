"""Sums over tasks of the mixed-effects models: specification and fallback of
`_mixed_fast`.

Conventions shared by both modules:

- There are d features and p = d + 1 coefficients, the intercept last. A task has a
  *factor* of k rows: a matrix R (k, p + 1) with columns [x - origin, 1, y - origin_y]
  times the square root of the weight, such that R'R is the cross product of the rows
  of the task. All factors of an array have the same k <= p + 1; rows of zeros fill the
  shorter ones, below.
- A task of at most k rows is its rows. A longer one is a triangle whose intercept is
  eliminated first: row d is [sum of w x, sum of w, sum of w y] over the root of the sum
  of w, rows 0 to d - 1 are lower triangular with the column of ones at zero, and row p
  is zero up to the target, whose entry there is the norm of the residual. So centring
  moves row d alone. Signs of rows are free. Nobody may rely on this form: any R with
  the same R'R is as good.
- In units: L[:, :d] = (R[:, :d] - R[:, d] mean) * scale, L[:, d] = bias R[:, d], and
  the target z = (R[:, p] - R[:, d] target_mean) / target_scale. `bias` is 1.0, or 0.0
  without an intercept.
- `n_jobs` is the number of threads; results do not depend on it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class First(NamedTuple):
    """Sums of `Tasks.first`, over tasks with weights.

    Attributes
    ----------
    information : ndarray of shape (p + q, p + q)
        Sum of Z'H Z with Z = [I, e m'], e the unit vector of the intercept and m the
        level of the task.
    score : ndarray of shape (p + q,)
        Sum of Z's.
    log_det : float
        Sum of log det M, M of k rows: a row of zeros counts log v. So the likelihood
        of n rows needs (n - k) log v more, k that of the padded array, for every task.
    """

    information: Array
    score: Array
    log_det: float


class Second(NamedTuple):
    """Sums of `Tasks.second`, over tasks with weights.

    Attributes
    ----------
    quadratic : float
        Sum of e'e, the rows of zeros and the residual row included.
    scores : ndarray of shape (p, p)
        Sum of s s'.
    information : ndarray of shape (p, p)
        Sum of H.
    squares : ndarray of shape (p, p)
        Sum of H o H, entry by entry.
    products : ndarray of shape (p, p)
        Sum of (s s') o H, entry by entry.
    spread : ndarray of shape (p, p)
        Sum of H Z V Z'H, or its diagonal in a matrix of zeros.
    """

    quadratic: float
    scores: Array
    information: Array
    squares: Array
    products: Array
    spread: Array


def task_factors(
    batch: Any, origin: Array, factors: Array, n_jobs: int | None = None
) -> bool:
    """Write the factor of every task into `factors` (n_tasks, k, p + 1).

    Returns whether all are finite.

    k is the smaller of p + 1 and the number of rows of the longest task. `origin` (p,)
    is that of the features and, last, of the target. Input that is not finite gives
    factors that are not, in the tasks where it stands; so does a square that overflows.

    Raises
    ------
    ValueError
        If a shape or a type is wrong.
    """
    X, y, weight, starts, order = batch
    if X.dtype not in (np.float64, np.float32) or X.ndim != 2:
        raise ValueError("X must be a matrix of float64 or float32.")
    p = X.shape[1] + 1
    lengths = np.diff(starts)
    longest = int(lengths.max(initial=0))
    check_shape("origin", origin, (p,))
    check_shape("y", y, (len(X),))
    if weight is not None:
        check_shape("sample_weight", weight, (len(X),))
    check_shape("factors", factors, (len(lengths), min(longest, p + 1), p + 1))
    if (lengths < 0).any() or (len(starts) and (starts[0] < 0 or starts[-1] > len(X))):
        raise ValueError("starts must be increasing row numbers of X.")
    if order is not None and not ((order >= 0) & (order < len(X))).all():
        raise ValueError("order must hold row numbers of X.")
    for t in range(len(lengths)):
        rows = slice(starts[t], starts[t + 1])
        if order is not None:
            rows = order[0, rows]
        x = X[rows].astype(np.float64) - origin[:-1]
        stacked = np.column_stack([x, np.ones(len(x)), y[rows] - origin[-1]])
        if weight is not None:
            stacked *= np.sqrt(weight[rows])[:, np.newaxis]
        _fit_into(stacked, factors[t])
    return bool(np.isfinite(factors).all())


def line_losses(factors: Array, line: Array) -> Array:
    """Return half the mean squared residual of every task: its factor times `line`.

    `line` (p + 1,) is minus the coefficients from the origin, and 1 for the target.
    """
    check_shape("line", line, (factors.shape[2],))
    residuals, ones = factors @ line, factors[:, :, -2]
    return 0.5 * (residuals**2).sum(axis=1) / (ones**2).sum(axis=1)


def add_factors(factors: Array, more: Array) -> None:
    """Add the rows of `more` (n, j, p + 1) to those of `factors` (n, p + 1, p + 1).

    Rows of zeros are left out, wherever they stand.

    Raises
    ------
    ValueError
        If a shape is wrong.
    """
    n, width = len(factors), factors.shape[-1]
    check_shape("factors", factors, (n, width, width))
    check_shape("more", more, (n, more.shape[1], width))
    for old, new in zip(factors, more, strict=True):
        stacked = np.concatenate([old, new])
        _fit_into(stacked[(stacked != 0).any(axis=1)], old)


def sum_factors(
    factors: Array,
    weights: Array | None = None,
    n_jobs: int | None = None,
    sums: Array | None = None,
) -> Array:
    """Return one factor (p + 1, p + 1) of the rows of all tasks, times their weights.

    Its row d holds the weighted means (times the root of the sum of weights), the norms
    of the columns of the others are the weighted spreads: nothing cancels. Into `sums`
    (n_tasks, p + 1) goes row d of R'R of every task, without its weight.
    """
    _, k, width = factors.shape
    total = np.zeros((1, width, width))
    rows = factors
    if sums is not None:
        check_shape("sums", sums, (len(factors), width))
        sums[:] = np.einsum("tk,tkj->tj", factors[:, :, -2], factors)
    if weights is not None:
        check_shape("weights", weights, (len(factors),))
        rows = factors * np.sqrt(weights)[:, np.newaxis, np.newaxis]
    add_factors(total, rows.reshape(1, -1, width))
    return total[0]


def _fit_into(rows: Array, out: Array) -> None:
    k, width = out.shape
    out[:] = 0.0
    if len(rows) <= k:
        out[: len(rows)] = rows
        return
    # the QR factorisation of the columns in the order intercept, features from the
    # last to the first, target, turned back
    turned = np.r_[width - 2 : -1 : -1, width - 1]
    out[:, turned] = _triangle(rows[:, turned])[turned]


class Tasks:
    """Factors in units, and the sums of an iteration over them.

    Parameters
    ----------
    factors : ndarray of shape (n_tasks, k, p + 1), k <= p + 1
    n_rows : ndarray of shape (n_tasks,)
        Rows of positive weight; kept for the caller, no sum depends on them.
    weights : ndarray of shape (n_tasks,)
    level : ndarray of shape (n_tasks, q)
        What moves the intercept of a task; q may be 0.
    mean, scale : ndarray of shape (d,)
    target_mean, target_scale : float
    bias : float, default=1.0
    n_jobs : int or None, default=None

    Notes
    -----
    With M = v I + L S L' = U U', Y = inv(U) L and e = inv(U) (z - L Z beta): H = Y'Y
    and s = Y'e. `first` keeps Y and e, and `second`, `pair_products` and `states`
    speak of the last `first`; the last two of the last `second`, too, if there is one.
    """

    def __init__(
        self,
        factors: Array,
        n_rows: NDArray[Any],
        weights: Array,
        level: Array,
        mean: Array,
        scale: Array,
        target_mean: float,
        target_scale: float,
        bias: float = 1.0,
        n_jobs: int | None = None,
    ) -> None:
        check_factors(factors)
        n_tasks, _, width = factors.shape
        check_shape("n_rows", n_rows, (n_tasks,))
        check_shape("weights", weights, (n_tasks,))
        check_shape("level", level, (n_tasks, level.shape[-1]))
        self.n_rows, self.weights, self.level = n_rows, weights, level
        self.n_coefficients, self.n_levels = width - 1, level.shape[1]
        self.L, self.z = _in_units(
            factors, mean, scale, target_mean, target_scale, bias
        )
        self._roots: tuple[Array, Array] | None = None

    def first(self, S: Array, v: float, beta: Array) -> First | None:
        """Return the sums at the mean `beta` (p + q,); None if a Cholesky fails.

        S (p, p) is symmetric and positive semi-definite, v positive.
        """
        p, q = self.n_coefficients, self.n_levels
        check_shape("S", S, (p, p))
        check_shape("beta", beta, (p + q,))
        self._roots = None
        whitened = _whiten(self.L, self.z - self._line(beta), S, v)
        if whitened is None:
            return None
        Y, e, log_det = whitened
        self._roots = Y, e
        self._scores = np.einsum("tkj,tk->tj", Y, e)
        Q = self._with_level(Y)
        weighted = Q * self.weights[:, np.newaxis, np.newaxis]
        return First(
            np.einsum("tki,tkj->ij", weighted, Q, optimize=True),
            np.einsum("tki,tk->i", weighted, e),
            float(self.weights @ log_det),
        )

    def second(self, V: Array, step: Array, diagonal: bool = False) -> Second:
        """Return the sums at the mean `beta` of `first` plus `step` (p + q,).

        V (p + q, p + q) is the covariance of the mean, symmetric and positive
        semi-definite. With `diagonal` only the diagonal of `spread` is computed.

        Raises
        ------
        ValueError
            If a shape is wrong, or if the last `first` has failed or there was none.
        """
        Y, e = self._checked_roots()
        p, q = self.n_coefficients, self.n_levels
        check_shape("V", V, (p + q, p + q))
        check_shape("step", step, (p + q,))
        Q, om = self._with_level(Y), self.weights
        e = e - Q @ step
        s = self._scores = np.einsum("tkj,tk->tj", Y, e)
        H = Y.transpose(0, 2, 1) @ Y
        F = Y.transpose(0, 2, 1) @ Q  # H Z
        spread = np.einsum("t,tij->ij", om, F @ V @ F.transpose(0, 2, 1))
        if diagonal:
            spread = np.diag(np.diag(spread))
        return Second(
            float(om @ (e**2).sum(axis=1)),
            np.einsum("t,ti,tj->ij", om, s, s),
            np.einsum("t,tij->ij", om, H),
            np.einsum("t,tij->ij", om, H**2),
            np.einsum("t,ti,tj,tij->ij", om, s, s, H),
            spread,
        )

    def pair_products(self, live: NDArray[np.intp]) -> Array:
        """Return the sum of vech(s s') vech(H)' over the coordinates in `live`.

        vech takes the lower triangle row by row, as np.tril_indices does: (0, 0),
        (1, 0), (1, 1), (2, 0), ...
        """
        if not ((live >= 0) & (live < self.n_coefficients)).all():
            raise ValueError("live must hold numbers of coefficients.")
        s, H = self.states()
        i, j = np.tril_indices(len(live))
        i, j = live[i], live[j]
        return (self.weights[:, np.newaxis] * s[:, i] * s[:, j]).T @ H[:, i, j]

    def states(self) -> tuple[Array, Array]:
        """Return s (n_tasks, p) and H (n_tasks, p, p), of tasks as they were given."""
        Y, _ = self._checked_roots()
        return self._scores.copy(), Y.transpose(0, 2, 1) @ Y

    def _line(self, beta: Array) -> Array:
        p = self.n_coefficients
        level = self.level @ beta[p:]
        return self.L @ beta[:p] + self.L[:, :, -1] * level[:, np.newaxis]

    def _with_level(self, Y: Array) -> Array:
        """Y Z."""
        moved = Y[:, :, -1:] * self.level[:, np.newaxis, :]
        return np.concatenate([Y, moved], axis=2)

    def _checked_roots(self) -> tuple[Array, Array]:
        if self._roots is None:
            raise ValueError("There is no state: call first() before, at a valid S, v.")
        return self._roots


def solve_tasks(
    factors: Array,
    lines: Array,
    S: Array,
    v: float,
    mean: Array,
    scale: Array,
    target_mean: float,
    target_scale: float,
    bias: float = 1.0,
    covariance: bool = False,
    line_covariance: Array | None = None,
    n_jobs: int | None = None,
) -> tuple[Array, Array | None]:
    """Return the posterior of the parameters of tasks, in units: (means, covariances).

    A task with factor in units L, z and prior N(line, S) has the mean line + S s and
    the covariance C = v R inv(v I + R'L'L R) R', R R' = S.

    Parameters
    ----------
    factors : ndarray of shape (n_tasks, k, p + 1), k <= p + 1
    lines : ndarray of shape (n_tasks, p) or (1, p)
        Means of the priors.
    S : ndarray of shape (p, p)
    v : float
    mean, scale, target_mean, target_scale, bias
        The units, as in `Tasks`.
    covariance : bool, default=False
        Without it the second value is None.
    line_covariance : ndarray of shape (n_tasks, p, p) or (1, p, p) or None
        Covariance of the lines, G: the covariances are C + J G J' with J = I - S H.
    n_jobs : int or None, default=None

    Returns
    -------
    means : ndarray of shape (n_tasks, p)
    covariances : ndarray of shape (n_tasks, p, p) or None

    Raises
    ------
    ValueError
        If a shape is wrong, or if the means are not finite.
    """
    check_factors(factors)
    n_tasks, _, width = factors.shape
    p = width - 1
    check_shape("S", S, (p, p))
    check_shape("lines", lines, (1 if len(lines) == 1 else n_tasks, p))
    if line_covariance is not None:
        G_tasks = 1 if len(line_covariance) == 1 else n_tasks
        check_shape("line_covariance", line_covariance, (G_tasks, p, p))
    L, z = _in_units(factors, mean, scale, target_mean, target_scale, bias)
    line = np.broadcast_to(lines, (n_tasks, p))
    residuals = z - np.einsum("tkj,tj->tk", L, line)
    whitened = _whiten(L, residuals, S, v)
    if whitened is not None and not covariance:
        Y, e, _ = whitened
        return line + np.einsum("tkj,tk->tj", Y, e) @ S, None
    # Where v is below the rounding of L S L', the rows keep their digits.
    X, t = _half_covariances(L, residuals, covariance_root(S), v)
    means = line + np.einsum("tij,tj->ti", X, t)
    if not np.isfinite(means).all():
        raise ValueError(f"v I + L S L' is not positive definite at v = {v}.")
    if not covariance:
        return means, None
    C = v * X @ X.transpose(0, 2, 1)
    if line_covariance is not None:
        if whitened is None:
            J = np.eye(p) - C @ (L.transpose(0, 2, 1) @ L) / v
        else:
            J = np.eye(p) - S @ (whitened[0].transpose(0, 2, 1) @ whitened[0])
        C += J @ line_covariance @ J.transpose(0, 2, 1)
    return means, C


def _half_covariances(
    L: Array, residuals: Array, root: Array, v: float
) -> tuple[Array, Array]:
    """X and t of the posteriors: covariance v X X', mean X t from the line.

    X = R inv(T), T'T = v I + R'L'L R by a triangle of rows: no cross product is taken.
    """
    n_tasks, _, p = L.shape
    small = np.broadcast_to(np.sqrt(v) * np.eye(p, p + 1), (n_tasks, p, p + 1))
    rows = np.concatenate([L @ root, residuals[:, :, np.newaxis]], axis=2)
    triangle = _triangle(np.concatenate([rows, small], axis=1))
    T, t = triangle[:, :p, :p], triangle[:, :p, p]
    half: Array = np.linalg.solve(
        T.transpose(0, 2, 1), np.broadcast_to(root.T, T.shape)
    ).astype(np.float64, copy=False)
    return half.transpose(0, 2, 1), t


def covariance_root(S: Array) -> Array:
    """Return R, lower triangular, with R R' = S, where S may be singular."""
    R = np.zeros_like(S)
    live = np.flatnonzero(np.diag(S) != 0)
    try:
        R[np.ix_(live, live)] = np.linalg.cholesky(S[np.ix_(live, live)])
    except np.linalg.LinAlgError:
        size, Q = np.linalg.eigh(S)
        R = _triangle((Q * np.sqrt(np.maximum(size, 0.0))).T).T
    return R


def _triangle(rows: Array) -> Array:
    return np.asarray(np.linalg.qr(rows, mode="r"))


def _in_units(
    factors: Array,
    mean: Array,
    scale: Array,
    target_mean: float,
    target_scale: float,
    bias: float,
) -> tuple[Array, Array]:
    d = factors.shape[2] - 2
    check_shape("mean", mean, (d,))
    check_shape("scale", scale, (d,))
    one = factors[:, :, d]
    L = factors[:, :, :-1].copy()
    L[:, :, :d] -= one[:, :, np.newaxis] * mean
    L[:, :, :d] *= scale
    L[:, :, d] *= bias
    return L, (factors[:, :, -1] - one * target_mean) / target_scale


def _whiten(
    L: Array, z: Array, S: Array, v: float
) -> tuple[Array, Array, Array] | None:
    """Y, e and log det M; None where an M has no Cholesky factor."""
    M = L @ S @ L.transpose(0, 2, 1) + v * np.eye(L.shape[1])
    try:
        U = np.linalg.cholesky(M)
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(U).all():
        return None
    solved = np.linalg.solve(U, np.concatenate([L, z[:, :, np.newaxis]], axis=2))
    log_det = 2 * np.log(np.einsum("tii->ti", U)).sum(axis=1)
    return solved[:, :, :-1], solved[:, :, -1], log_det


def check_factors(factors: Array) -> None:
    """Raise ValueError unless `factors` is (n_tasks, k, p + 1) with k <= p + 1."""
    if factors.ndim != 3 or not factors.shape[2] > 1:
        raise ValueError(f"factors must have 3 axes. Got shape {factors.shape}.")
    n_tasks, k, width = factors.shape
    check_shape("factors", factors, (n_tasks, min(k, width), width))


def check_shape(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Raise ValueError unless the array has this shape."""
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}. Got {array.shape}.")
