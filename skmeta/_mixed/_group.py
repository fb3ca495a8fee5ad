"""Frozen tasks: one group of exchangeable tasks, used under every later prior.

What is stored of a frozen task is an estimate theta^_t of its coefficients and the
sampling covariance W of that estimate, both as sums over the group. Under a prior of
covariance S, every task then has the information inv(W + S) about its mean.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skmeta._mixed._units import Units

Array = np.ndarray

__all__ = ["Group", "GroupSums", "group_sums"]


@dataclass(frozen=True)
class Group:
    """Sums over frozen tasks, in coordinates from the origin or in units.

    Attributes
    ----------
    moments : ndarray of shape (2 p, 2 p)
        Sum of u u' for u = (1, means of features, theta^). Its first entry is the
        number of tasks.
    sampling : ndarray of shape (p, p)
        W, mean covariance of theta^_t about theta_t.
    residual, n_residual : float
        Residual sum of squares within tasks, and its degrees of freedom.
    triangle : ndarray of shape (p + 1, p + 1)
        Factor of all rows.
    scatter : ndarray of shape (n_features, n_features)
        Of the features about the means of their tasks.
    inverse_weight : float
        Sum over tasks of one over their weight.
    n_rows : float
    visits : int
        The number of visits to which the weights of the tasks refer.
    """

    moments: Array
    sampling: Array
    residual: float
    n_residual: float
    triangle: Array
    scatter: Array
    inverse_weight: float
    n_rows: float
    visits: int

    @property
    def n_tasks(self) -> float:
        """Number of tasks, by their current weight."""
        return float(self.moments[0, 0])

    def aged(self, visits: int, half_life: float | None) -> Group:
        """The group with the weights after this total number of visits."""
        if half_life is None or visits == self.visits:
            return self
        share = 0.5 ** ((visits - self.visits) / half_life)
        return Group(
            self.moments * share,
            self.sampling,
            self.residual * share,
            self.n_residual * share,
            self.triangle * np.sqrt(share),
            self.scatter * share,
            self.inverse_weight * share,
            self.n_rows * share,
            visits,
        )

    def in_units(self, units: Units) -> Group:
        """Moments, sampling covariance and residuals, in units."""
        change = _moments_to_units(units)
        inverse = units.inverse / units.target_scale
        return replace(
            self,
            moments=change @ self.moments @ change.T,
            sampling=inverse @ self.sampling @ inverse.T,
            residual=self.residual / units.target_scale**2,
            scatter=self.scatter * np.outer(units.scale, units.scale),
        )


def _moments_to_units(units: Units) -> Array:
    p = len(units.varies)
    change = np.zeros((2 * p, 2 * p))
    change[0, 0] = 1.0
    change[1:p, 1:p] = np.diag(units.scale)
    change[1:p, 0] = -units.mean * units.scale
    change[p:, p:] = units.inverse / units.target_scale
    change[-1, 0] = -units.target_mean / units.target_scale
    return change


def moments_from_units(units: Units) -> Array:
    """Change of (1, means, theta) from units to coordinates from the origin."""
    p = len(units.varies)
    change = np.zeros((2 * p, 2 * p))
    spread = np.diag(units.inverse)[:-1]
    change[0, 0] = 1.0
    change[1:p, 1:p] = np.diag(spread)
    change[1:p, 0] = units.mean
    change[p:, p:] = units.matrix * units.target_scale
    change[-1, 0] = units.target_mean
    return change


@dataclass(frozen=True)
class GroupSums:
    """What the group adds to the sums over tasks; q is the number of level columns.

    Attributes
    ----------
    inverse : ndarray of shape (p, p)
        Hb = inv(W + S), zero where a feature has not varied.
    information : ndarray of shape (p + q, p + q)
    log_det : float
        Number of tasks times log det Hb.
    moments : ndarray
        Of (1, levels, theta^).
    n_tasks : float
    """

    inverse: Array
    information: Array
    log_det: float
    moments: Array
    n_tasks: float

    def score(self, beta: Array) -> Array:
        """Gradient in (phi, gamma)."""
        rest, q = self._rest(beta), len(self.moments) - 1 - len(self.inverse)
        return np.append(
            self.inverse @ rest[:, 0], self.inverse[-1] @ rest[:, 1 : 1 + q]
        )

    def residuals(self, beta: Array) -> Array:
        """Sum of (theta^ - Lb z)(theta^ - Lb z)'."""
        p, lines = len(self.inverse), self._lines(beta)
        cross = lines @ self.moments[:-p, -p:]
        total = self.moments[-p:, -p:] - cross - cross.T
        return total + lines @ self.moments[:-p, :-p] @ lines.T

    def spread(self, V: Array) -> Array:
        """Sum of Z_t V Z_t'."""
        p, M = len(self.inverse), self.moments
        q = len(V) - p
        spread = self.n_tasks * V[:p, :p]
        if q:
            cross = V[:p, p:] @ M[1 : 1 + q, 0]
            spread[:, -1] += cross
            spread[-1] += cross
            spread[-1, -1] += np.sum(V[p:, p:] * M[1 : 1 + q, 1 : 1 + q])
        return spread

    def _lines(self, beta: Array) -> Array:
        p = len(self.inverse)
        lines = np.zeros((p, len(beta) - p + 1))
        lines[:, 0], lines[-1, 1:] = beta[:p], beta[p:]
        return lines

    def _rest(self, beta: Array) -> Array:
        p = len(self.inverse)
        M = self.moments
        return M[-p:, :-p] - self._lines(beta) @ M[:-p, :-p]


def group_sums(
    moments: Array, sampling: Array, S: Array, varies: Array, q: int
) -> GroupSums:
    """Sums of the group under a prior of covariance S."""
    p = len(S)
    inverse = inverse_of(sampling + S, varies)
    information = np.zeros((p + q, p + q))
    n_tasks = moments[0, 0]
    information[:p, :p] = n_tasks * inverse
    information[:p, p:] = np.outer(inverse[:, -1], moments[0, 1 : 1 + q])
    information[p:, :p] = information[:p, p:].T
    information[p:, p:] = inverse[-1, -1] * moments[1 : 1 + q, 1 : 1 + q]
    live = np.ix_(varies, varies)
    log_det = n_tasks * float(np.linalg.slogdet(inverse[live])[1])
    return GroupSums(inverse, information, log_det, moments, n_tasks)


def inverse_of(matrix: Array, varies: Array) -> Array:
    """Inverse over the coefficients that vary, zero elsewhere."""
    inverse = np.zeros_like(matrix)
    live = np.ix_(varies, varies)
    inverse[live] = np.linalg.inv(matrix[live])
    return inverse
