"""Scoring steps of the prior's covariance S and the noise variance v."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from skmeta._mixed._likelihood import Evaluation, Problem

Array = np.ndarray

__all__ = ["Step", "diagonal_step", "full_step", "least_noise", "promise"]

LARGEST_SYSTEM = 15  # coefficients up to which (X, v) is one system of equations
LEAST_NOISE = 1e-14  # of a row of mean weight, in units of the target
SINGULAR = 1e-12  # share of the largest eigenvalue of S, below which others are raised
SOFT = 0.8  # share of the penalty's negative curvature that is taken


class Step(NamedTuple):
    """A step of S and v.

    Attributes
    ----------
    at : callable
        S and v after a share of the step.
    gain : float
        Expected gain of the log-likelihood, by the quadratic model of the step.
    """

    at: Callable[[float], tuple[Array, float]]
    gain: float


def least_noise(problem: Problem) -> float:
    """The least v of a step: v grows as the weights of rows do."""
    return LEAST_NOISE * problem.table.mean_weight


# ---- diagonal S


def diagonal_step(
    problem: Problem, now: Evaluation, free: Array, *, average: bool
) -> Step:
    """Scoring step of the entries of a diagonal S, not below zero, and of v.

    Parameters
    ----------
    free : bool ndarray of shape (p + 1,)
        Which entries of (diag S, v) are learned.
    average : bool
        Whether to use the average information: better near to the maximum.
    """
    p, D, v = problem.p, np.diag(now.S), now.v
    gradient = np.append(0.5 * np.diag(now.gradient), now.noise_gradient)
    information = (_average if average else _expected)(problem, now)
    x = np.append(D, v)
    at_zero = ~free | np.append((D <= 0) & (gradient[:p] <= 0), False)
    while True:
        step = np.where(free, -x, 0.0)
        pushed, moving = at_zero & free, ~at_zero
        right = gradient[moving] + information[np.ix_(moving, pushed)] @ x[pushed]
        step[moving] = _solve(information[np.ix_(moving, moving)], right, 1e-8)
        below = moving & (x + step < 0)
        below[p] = False
        if not below.any():
            break
        at_zero |= below
    if step[p] < -0.8 * v:
        step *= 0.8 * v / -step[p]

    least = least_noise(problem)

    def at(share: float) -> tuple[Array, float]:
        entries = np.maximum(D + share * step[:p], 0.0)
        return np.diag(entries), max(v + share * float(step[p]), least)

    return Step(at, float(gradient @ step))


def _expected(problem: Problem, now: Evaluation) -> Array:
    p, D, v = problem.p, np.diag(now.S), now.v
    H, HD = np.diag(now.held_information), now.held_squares @ D
    matrix = np.empty((p + 1, p + 1))
    matrix[:p, :p] = 0.5 * now.squares
    matrix[:p, p] = matrix[p, :p] = 0.5 * (H - HD) / v
    matrix[p, p] = 0.5 * (problem.n - 2 * D @ H + D @ HD) / v**2
    return matrix


def _average(problem: Problem, now: Evaluation) -> Array:
    p, D, v = problem.p, np.diag(now.S), now.v
    s, sHD = np.diag(now.scores), now.products @ D
    matrix = np.empty((p + 1, p + 1))
    matrix[:p, :p] = 0.5 * (now.products + now.squares - now.held_squares)
    matrix[:p, p] = matrix[p, :p] = 0.5 * (s - sHD) / v
    quadratic = now.quadratic + problem.n - problem.n_held
    matrix[p, p] = 0.5 * (quadratic - 2 * D @ s + D @ sHD) / v**2
    return matrix


def _solve(matrix: Array, right: Array, ridge: float) -> Array:
    """Solve a positive definite system whose unknowns have any scales.

    An unknown of which nothing is known (zero on the diagonal) is zero.
    """
    size = np.diag(matrix)
    scale = np.zeros(len(size))
    np.divide(1.0, np.sqrt(size, where=size > 0, out=scale), out=scale, where=size > 0)
    scaled = matrix * np.outer(scale, scale)
    scaled.flat[:: len(scaled) + 1] += ridge
    return np.linalg.solve(scaled, right * scale) * scale


# ---- full S


class _Basis(NamedTuple):
    """Coordinates in which S is the identity: B B' = S over its live coefficients.

    Attributes
    ----------
    live : intp ndarray of shape (m,)
    B : ndarray of shape (m, m)
        In this basis the mean information of a task is diagonal.
    size : ndarray of shape (m,)
        That diagonal.
    rows : ndarray of shape (m, m)
        Rows of B of norm one, in which correlations are.
    """

    live: Array
    B: Array
    size: Array
    rows: Array


def _root(S: Array) -> Array:
    """R with R R' = S; of a singular S that rounding has made indefinite, nearly so."""
    try:
        return np.linalg.cholesky(S)
    except np.linalg.LinAlgError:
        size, Q = np.linalg.eigh(S)
        return Q * np.sqrt(np.maximum(size, SINGULAR * size[-1]))


def _basis(now: Evaluation, n_tasks: float) -> _Basis:
    live = np.flatnonzero(np.diag(now.S) > 0)
    at = np.ix_(live, live)
    R = _root(now.S[at])
    size, Q = np.linalg.eigh(R.T @ (now.information[at] / n_tasks) @ R)
    B = R @ Q
    rows = B / np.sqrt(np.diag(now.S)[live])[:, np.newaxis]
    return _Basis(live, B, np.maximum(size, 1e-12), rows)


def promise(problem: Problem, now: Evaluation, nu: float) -> float:
    """Gain of the first step of a full S from a diagonal one, by mean information.

    It needs no sums beyond those of the evaluation.
    """
    basis = _basis(now, problem.n_tasks)
    at, B = np.ix_(basis.live, basis.live), basis.B
    gradient = 0.5 * B.T @ now.gradient[at] @ B
    W = 0.5 * problem.n_tasks * np.outer(basis.size, basis.size) + 0.5 * nu
    return float(0.5 * np.sum(gradient**2 / W))


def full_step(
    problem: Problem, now: Evaluation, nu: float, *, learn_noise: bool
) -> Step:
    """Scoring step of a full S, penalised by nu / 2 log det of its correlations."""
    basis = _basis(now, problem.n_tasks)
    at, B, r = np.ix_(basis.live, basis.live), basis.B, basis.rows
    gradient = 0.5 * B.T @ now.gradient[at] @ B + 0.5 * nu * (np.eye(len(B)) - r.T @ r)
    if len(B) <= LARGEST_SYSTEM:
        return _exact_step(problem, now, basis, gradient, nu, learn_noise)
    return _split_step(problem, now, basis, gradient, nu, learn_noise)


def _exact_step(
    problem: Problem,
    now: Evaluation,
    basis: _Basis,
    gradient: Array,
    nu: float,
    learn_noise: bool,
) -> Step:
    m, r, v = len(basis.B), basis.rows, now.v
    four = _four(problem, basis)
    cross, noise_curvature = _noise_curvature(problem, now, basis, four)
    i, j = np.triu_indices(m)
    twice = np.where(i == j, 1.0, 2.0)
    # (X sigma)'h(X sigma), X symmetric: the two places of an entry are added
    full = 0.5 * four.transpose(2, 0, 3, 1)  # over X_ia and X_jb: h_ij sigma_a sigma_b
    full = full + full.transpose(1, 0, 2, 3)
    full = full + full.transpose(0, 1, 3, 2)
    system = np.empty((len(i) + 1,) * 2)
    main = full[i, j][:, i, j] / np.where(i == j, 2.0, 1.0)
    main = main / np.where(i == j, 2.0, 1.0)[:, np.newaxis]
    lines = r[:, i] * r[:, j] * twice
    main -= 0.5 * nu * SOFT * lines.T @ lines
    frozen = 0.5 * np.outer(basis.size, basis.size) * _n_frozen(problem)
    main.flat[:: len(i) + 1] += twice * (0.5 * nu + frozen[i, j])
    system[:-1, :-1] = main
    system[-1, :-1] = system[:-1, -1] = cross[i, j] * twice
    system[-1, -1] = noise_curvature
    right = np.append(gradient[i, j] * twice, now.noise_gradient)
    if not learn_noise:
        system[-1, :-1] = system[:-1, -1] = right[-1] = 0.0
    x = _solve(system, right, 1e-9)
    x *= min(1.0, 0.8 * v / max(-x[-1], 1e-300), 4 * v / max(x[-1], 1e-300))
    X = np.zeros((m, m))
    X[i, j] = X[j, i] = x[:-1]
    share = min(1.0, 0.98 / max(-float(np.linalg.eigvalsh(X)[0]), 1e-300))
    gain = share * (1 - share / 2) * float(x @ right)
    return Step(_path(now, basis, X, float(x[-1]), least_noise(problem)), gain)


def _n_frozen(problem: Problem) -> float:
    group = problem.table.group
    return 0.0 if group is None else group.n_tasks


def _four(problem: Problem, basis: _Basis) -> Array:
    """Sum over tasks of sigma_a sigma_b h_ij, in the basis, as [a, b, i, j]."""
    m, B = len(basis.B), basis.B
    pairs = problem.tasks.pair_products(basis.live)
    i, j = np.tril_indices(m)
    place = np.empty((m, m), np.intp)
    place[i, j] = place[j, i] = np.arange(len(i))
    four = pairs[place.ravel()][:, place.ravel()].reshape(m, m, m, m)
    for _ in range(4):  # one axis at a time; each goes to the back
        four = np.tensordot(four, B, axes=(0, 0))
    return four


def _noise_curvature(
    problem: Problem, now: Evaluation, basis: _Basis, four: Array
) -> tuple[Array, float]:
    """Curvature between X and v, and in v, from sums in the basis."""
    v, at, B = now.v, np.ix_(basis.live, basis.live), basis.B
    scores = B.T @ now.scores[at] @ B
    # in the basis S is the identity: s'SHs is sigma' h sigma
    through = np.einsum("abbj->aj", four)
    mixed = (scores - through) / v
    quadratic = now.quadratic + problem.n - problem.n_held
    curved = float(np.trace(through))
    return 0.25 * (mixed + mixed.T), 0.5 / v**2 * (
        quadratic - 2 * float(np.trace(scores)) + curved
    )


def _split_step(
    problem: Problem,
    now: Evaluation,
    basis: _Basis,
    gradient: Array,
    nu: float,
    learn_noise: bool,
) -> Step:
    """For many coefficients: X entry by entry, then v by a Schur complement."""
    B, r, v, T = basis.B, basis.rows, now.v, problem.n_tasks
    W, cross, noise_curvature = _entry_curvature(problem, now, basis)
    own = np.outer(basis.size, basis.size)
    W = np.maximum(W + 0.5 * own * _n_frozen(problem), 0.05 * T * own) + 0.5 * nu
    soft = 0.5 * nu * SOFT
    K = np.eye(len(B)) - soft * _overlaps(r, 1.0 / W)

    def inverse(g: Array) -> Array:
        """Of X -> W o X - soft * sum of (r'X r) r r' over rows."""
        X = g / W
        t = np.linalg.solve(K, np.einsum("ja,ab,jb->j", r, X, r))
        return X + soft * (r.T * t) @ r / W

    X, dv = inverse(gradient), 0.0
    if learn_noise:
        of_cross = inverse(cross)
        left = noise_curvature - np.sum(cross * of_cross)
        dv = now.noise_gradient / noise_curvature
        if left > 0.05 * noise_curvature:
            dv = (now.noise_gradient - np.sum(cross * X)) / left
        dv = float(np.clip(dv, -0.8 * v, 4 * v))
        X = X - of_cross * dv
    size, Q = np.linalg.eigh(X)
    share = min(1.0, 0.98 / max(-float(size[0]), 1e-300))
    promised = float(np.sum(X * gradient) + dv * now.noise_gradient)
    cut = (Q * np.maximum(size, -1.0)) @ Q.T
    curve = np.sum(W * cut**2) - soft * np.sum(np.einsum("ja,ab,jb->j", r, cut, r) ** 2)
    other = float(np.sum(cut * gradient) - 0.5 * curve + 0.5 * dv * now.noise_gradient)
    return Step(
        _path(now, basis, X, dv, least_noise(problem)),
        max(share * (1 - share / 2) * promised, other),
    )


def _overlaps(r: Array, weights: Array) -> Array:
    """(r_k o r_j)' weights (r_k o r_j) for every pair of rows."""
    overlaps = np.empty_like(weights)
    for k, row in enumerate(r):
        pairs = r * row
        overlaps[k] = np.sum((pairs @ weights) * pairs, axis=1)
    return overlaps


def _entry_curvature(
    problem: Problem, now: Evaluation, basis: _Basis
) -> tuple[Array, Array, float]:
    """Curvature of every entry of X; between X and v; in v."""
    B, live, v = basis.B, basis.live, now.v
    scores, information = problem.tasks.states()
    weights, m = problem.table.weights, len(B)
    A, products = np.zeros((m, m)), np.zeros((m, m))
    through = np.zeros((m, m))
    n = max(1, (1 << 20) // m**2)  # tasks at a time
    for a in range(0, len(scores), n):
        om = weights[a : a + n, np.newaxis]
        sigma = scores[a : a + n, live] @ B
        h = B.T @ information[a : a + n][:, live[:, np.newaxis], live] @ B
        weighted = sigma * om
        A += (weighted * sigma).T @ np.einsum("tii->ti", h)
        products += np.einsum("ti,tij,tj->ij", weighted, h, sigma)
        through += weighted.T @ (h @ sigma[:, :, np.newaxis])[:, :, 0]
    W = 0.25 * (A + A.T + 2 * products)
    W.flat[:: m + 1] = 0.5 * np.diag(A)
    at = np.ix_(live, live)
    own = B.T @ now.scores[at] @ B
    mixed = (own - through) / v
    quadratic = now.quadratic + problem.n - problem.n_held
    in_v = (
        0.5 / v**2 * (quadratic - 2 * float(np.trace(own)) + float(np.trace(through)))
    )
    return W, 0.25 * (mixed + mixed.T), in_v


def _path(
    now: Evaluation, basis: _Basis, X: Array, dv: float, least: float
) -> Callable[[float], tuple[Array, float]]:
    B, at = basis.B, np.ix_(basis.live, basis.live)

    def point(share: float) -> tuple[Array, float]:
        size, Q = np.linalg.eigh(np.eye(len(B)) + share * X)
        S = np.zeros_like(now.S)
        S[at] = B @ (Q * np.clip(size, 0.02, 1e4)) @ Q.T @ B.T
        return 0.5 * (S + S.T), max(now.v + share * dv, least)

    return point
