"""Coefficients of tasks and their covariance under a prior; in raw coordinates."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from skmeta._kernels import mixed
from skmeta._mixed._prior import Prior
from skmeta._mixed._store import Store
from skmeta._mixed._units import along

Array = np.ndarray

__all__ = ["Gaussian", "Predictor", "Solved"]

NULL = 1e-10  # relative eigenvalue of a covariance of features, below which it is zero
ENTRIES_AT_A_TIME = 1 << 21


class Gaussian(NamedTuple):
    """A distribution of coefficients (intercept last), and the noise.

    Attributes
    ----------
    mean : ndarray of shape (p,)
    covariance : ndarray of shape (p, p)
    noise : float
        Variance of a target of weight 1.
    """

    mean: Array
    covariance: Array
    noise: float

    def given(self, factor: Array, origin: Array, bias: float) -> Gaussian:
        """The posterior after the rows of a factor about an origin; all raw."""
        residual, CL, M = self._of_rows(factor, origin, bias)
        gain = np.linalg.solve(M, CL.T).T
        mean = self.mean + gain @ residual
        covariance = self.covariance - gain @ CL.T
        return Gaussian(mean, 0.5 * (covariance + covariance.T), self.noise)

    def surprise(self, factor: Array, origin: Array, bias: float, n_rows: int) -> float:
        """Minus the log density of the targets of these rows, if all have weight 1."""
        residual, _, M = self._of_rows(factor, origin, bias)
        log_det = float(np.linalg.slogdet(M)[1])
        log_det += (n_rows - len(M)) * float(np.log(self.noise))
        square = float(residual @ np.linalg.solve(M, residual))
        return 0.5 * (n_rows * float(np.log(2 * np.pi)) + log_det + square)

    def _of_rows(
        self, factor: Array, origin: Array, bias: float
    ) -> tuple[Array, Array, Array]:
        """Residuals of the rows, their covariance with the coefficients and theirs."""
        rows = factor.copy()
        rows[:, :-2] += rows[:, -2:-1] * origin[:-1]
        target = rows[:, -1] + rows[:, -2] * (origin[-1] if bias else 0.0)
        L = rows[:, :-1]
        L[:, -1] *= bias
        CL = self.covariance @ L.T
        M = L @ CL
        M.flat[:: len(M) + 1] += self.noise
        return target - L @ self.mean, CL, M


class Predictor:
    """A prior with the origin of its coordinates, which predicts for tasks.

    Quantities are computed when they are first read; a cached one is written once.

    Parameters
    ----------
    prior : Prior
    origin : ndarray of shape (p,)
        Of the features and, last, of the target.
    """

    def __init__(self, prior: Prior, origin: Array):
        self.prior, self.origin = prior, origin
        self._units = (
            prior.units.mean,
            prior.units.scale,
            prior.units.target_mean,
            prior.units.target_scale,
            prior.bias,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Without what is cached: a pickle does not depend on what was read before."""
        names = ("prior", "origin", "_units")
        return {name: getattr(self, name) for name in names}

    # ---- coordinates

    @cached_property
    def to_raw(self) -> Array:
        """Matrix from coefficients in units to raw ones, up to the level."""
        shift = np.eye(len(self.origin))
        shift[-1, :-1] = -self.origin[:-1]
        return shift @ self.prior.units.matrix * self.prior.units.target_scale

    def raw(self, theta: Array) -> Array:
        """Coefficients in units as raw ones; the last axis holds them."""
        raw = self.prior.units.coefficients(theta)
        raw[..., -1] += self.origin[-1] - along(raw[..., :-1], self.origin[:-1])
        return raw

    def raw_covariance(self, matrix: Array) -> Array:
        """The same for a covariance."""
        return self.to_raw @ matrix @ self.to_raw.T

    def rows(self, X: Array) -> Array:
        """Features and the intercept's one, in units."""
        design = np.empty((len(X), len(self.origin)))
        design[:, :-1] = self.prior.units.features(X - self.origin[:-1])
        design[:, -1] = self.prior.bias
        return design

    # ---- the prior

    @property
    def covariance(self) -> Array:
        """S."""
        return self.raw_covariance(self.prior.S)

    @property
    def noise_variance(self) -> float:
        """v."""
        return self.prior.v * self.prior.units.target_scale**2

    @cached_property
    def within(self) -> Array:
        """phi, shape (p,): slopes within tasks, and the level at mean features."""
        return self.raw(self.prior.phi)

    @cached_property
    def std_errors(self) -> Array:
        """Of phi, shape (p,)."""
        p = len(self.origin)
        V = self.raw_covariance(self.prior.V[:p, :p])
        return np.sqrt(np.maximum(np.diag(V), 0.0))

    # ---- tasks never seen

    @cached_property
    def _levels(self) -> _Levels:
        return _Levels(self.prior)

    @cached_property
    def new_line(self) -> Array:
        """Coefficients for unknown tasks, shape (p,), given the features of the row."""
        prior = self.prior
        seen = self._levels.seen(prior.mean_weight)
        theta = prior.phi.copy()
        slope = seen.T @ prior.gamma
        theta[:-1] += slope
        theta[-1] -= slope @ prior.center
        return self.raw(theta)

    @cached_property
    def residual_line(self) -> Array:
        """Vector (p + 1,): a factor times it is the residuals of tasks never seen."""
        line = self.new_line.copy()
        line[-1] += line[:-1] @ self.origin[:-1] - self.origin[-1]
        return np.append(-line, 1.0)

    def losses(self, factors: Array) -> Array:
        """Mean of half the squared errors, predicted as for unknown tasks."""
        return mixed.line_losses(factors, self.residual_line)

    @cached_property
    def new_covariance(self) -> Array:
        """Of the coefficients of an unknown task, in units: b'Qb is a variance."""
        prior, p = self.prior, len(self.origin)
        seen = self._levels.seen(prior.mean_weight)
        change = np.zeros((2 * p - 1, p))
        change[:p] = np.eye(p)
        change[p:, :-1], change[p:, -1] = seen, -seen @ prior.center
        Q = change.T @ prior.V @ change + prior.S
        Q[-1, -1] += self._levels.unknown(prior.mean_weight)
        return Q

    def new_std(self, X: Array) -> Array:
        """Standard deviations of targets of unknown tasks."""
        rows = self.rows(X)
        variance = np.einsum("ij,ij->i", rows @ self.new_covariance, rows)
        return self._std(variance)

    def adapted(self, factor: Array) -> Gaussian:
        """The prior of a new task that has this factor."""
        prior, scale = self.prior, self.prior.units.target_scale
        if not prior.has_levels:
            return Gaussian(self.within, self._covariance_at_level, self.noise_variance)
        sums = factor[:, -2] @ factor
        weight = float(sums[-2])
        levels = self._levels
        m = levels.means(prior.units.features(sums[:-2] / weight), weight)
        p, mean, covariance = (
            len(self.origin),
            self.within.copy(),
            self._covariance_at_level,
        )
        mean[-1] += float(m @ prior.gamma) * scale
        cross = self.to_raw @ (prior.V[:p, p:] @ m) * scale
        covariance = covariance.copy()
        covariance[-1] += cross
        covariance[:, -1] += cross
        level_variance = float(m @ prior.V[p:, p:] @ m) + levels.unknown(weight)
        covariance[-1, -1] += level_variance * scale**2
        return Gaussian(mean, covariance, self.noise_variance)

    def expected_level(self, sums: Array) -> float:
        """Level of a task whose rows have these weighted sums (x - origin, 1).

        In units, about that of mean features.
        """
        weight = float(sums[-1])
        means = self.prior.units.features(sums[:-1] / weight)
        return float(self._levels.means(means, weight) @ self.prior.gamma)

    @cached_property
    def _covariance_at_level(self) -> Array:
        p = len(self.origin)
        return self.raw_covariance(self.prior.S + self.prior.V[:p, :p])

    # ---- known tasks

    def means_of(self, factors: Array) -> Array:
        """Mean features of tasks about the center, in units."""
        sums = np.matmul(factors[:, np.newaxis, :, -2], factors)[:, 0]
        means = self.prior.units.features(sums[:, :-2] / sums[:, -2:-1])
        return means - self.prior.center

    def lines(self, factors: Array) -> Array:
        """Prior means of tasks, in units: shape (n, p) or (1, p)."""
        if not self.prior.has_levels:
            return self.prior.phi[np.newaxis]
        lines = np.tile(self.prior.phi, (len(factors), 1))
        lines[:, -1] += along(self.means_of(factors), self.prior.gamma)
        return lines

    def solve(self, factors: Array, n_jobs: int | None = None) -> Array:
        """Coefficients of known tasks, raw, shape (n, p)."""
        theta, _ = mixed.solve_tasks(
            factors,
            self.lines(factors),
            self.prior.S,
            self.prior.v,
            *self._units,
            n_jobs=n_jobs,
        )
        return self.raw(theta)

    def covariances(self, factors: Array, n_jobs: int | None = None) -> Array:
        """Of the coefficients of known tasks, in units, shape (n, p, p)."""
        _, C = mixed.solve_tasks(
            factors,
            self.lines(factors),
            self.prior.S,
            self.prior.v,
            *self._units,
            covariance=True,
            line_covariance=self._line_covariance(factors),
            n_jobs=n_jobs,
        )
        assert C is not None
        return C

    def difference_covariances(self, factors: Array) -> Array:
        """Of theta_t - phi of known tasks, in units, shape (n, p, p).

        The uncertainty of phi is common to theta_t and phi, and it cancels as far as
        the rows of a task determine theta_t.
        """
        prior, p, d = self.prior, len(self.origin), len(self.origin) - 1
        lines = self.lines(factors)
        _, C = mixed.solve_tasks(
            factors, lines, prior.S, prior.v, *self._units, covariance=True
        )
        assert C is not None
        ones = factors[:, :, d : d + 1]
        L = factors[:, :, :p].copy()
        L[:, :, :d] = (L[:, :, :d] - ones * prior.units.mean) * prior.units.scale
        L[:, :, d] *= prior.bias
        gain = C @ (L.transpose(0, 2, 1) @ L) / prior.v
        change = np.zeros((len(factors), p, len(prior.V)))
        change[:, :, :p] = -gain
        if prior.has_levels:
            m = self.means_of(factors)
            change[:, :, p:] = -gain[:, :, d:] * m[:, np.newaxis]
            change[:, d, p:] += m
        return C + change @ prior.V @ change.transpose(0, 2, 1)

    def _line_covariance(self, factors: Array) -> Array:
        p, V = len(self.origin), self.prior.V
        if not self.prior.has_levels:
            return V[np.newaxis, :p, :p].copy()
        m = self.means_of(factors)
        G = np.tile(V[:p, :p], (len(m), 1, 1))
        cross = m @ V[p:, :p]
        G[:, -1, :] += cross
        G[:, :, -1] += cross
        G[:, -1, -1] += np.einsum("ti,ij,tj->t", m, V[p:, p:], m)
        return G

    def known_std(
        self, X: Array, codes: Array, factors_of: Callable[[Array], Array], n_tasks: int
    ) -> Array:
        """Standard deviations of targets of known tasks.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
        codes : ndarray of int of shape (n_samples,)
            Which of `n_tasks` tasks a row belongs to.
        factors_of : callable
            The factors of the tasks with these codes.
        n_tasks : int
        """
        variance = np.empty(len(X))
        order = np.argsort(codes, kind="stable")
        edges = np.searchsorted(codes[order], np.arange(n_tasks + 1))
        n = max(1, ENTRIES_AT_A_TIME // len(self.origin) ** 2)  # tasks at a time
        for first in range(0, n_tasks, n):
            last = min(first + n, n_tasks)
            C = self.covariances(factors_of(np.arange(first, last)))
            for a in range(edges[first], edges[last], n):
                rows = order[a : min(a + n, edges[last])]
                b = self.rows(X[rows])
                of_task = C[codes[rows] - first]
                variance[rows] = np.einsum(
                    "ij,ij->i", b, (of_task @ b[:, :, None])[:, :, 0]
                )
        return self._std(variance)

    def _std(self, variance: Array) -> Array:
        total = np.maximum(variance, 0.0) + self.prior.v
        return np.sqrt(total) * self.prior.units.target_scale


class _Levels:
    """Expected mean features of a task, given rows of total weight k.

    Sigma_b and Sigma_w are diagonal in one basis: seen(k) = D diag(r) T', where r is
    the share that is known.
    """

    def __init__(self, prior: Prior):
        p = len(prior.phi)
        self._unit = 1.0 / prior.mean_weight
        whole = prior.between + prior.within * self._unit
        size, Q = np.linalg.eigh(0.5 * (whole + whole.T))
        is_positive = size > NULL * max(float(size.max(initial=0.0)), 1e-300)
        P = Q[:, is_positive] / np.sqrt(size[is_positive])
        share, E = np.linalg.eigh(P.T @ prior.between @ P)
        self._share = np.clip(share, 0.0, 1.0)
        self._T = P @ E
        self._D = whole @ self._T
        self._center = prior.center
        V = self._D.T @ prior.V[p:, p:]
        along = self._D.T @ prior.gamma
        self._level_variance = along**2 + np.einsum("ij,ji->i", V, self._D)

    def _known(self, weight: float) -> Array:
        """r: the share of the variance in every direction that these rows explain."""
        between = self._share
        noise = (1.0 - between) / (self._unit * weight)
        total = between + noise
        return np.divide(between, total, out=np.zeros_like(total), where=total > 0)

    def seen(self, weight: float) -> Array:
        """K: from the mean of rows to the expected mean of the task."""
        return (self._D * self._known(weight)) @ self._T.T

    def means(self, means: Array, weight: float) -> Array:
        """Expected mean features of a task about the center, from those of its rows."""
        return self._D @ (self._known(weight) * (self._T.T @ (means - self._center)))

    def unknown(self, weight: float) -> float:
        """Variance of the level of a task due to the uncertainty of its means."""
        left = self._share * (1.0 - self._known(weight))
        return float(left @ self._level_variance)


class Solved:
    """Coefficients of known tasks under one prior, by record: written once each.

    Later values share it as long as they share the memory that records are in.
    """

    def __init__(self) -> None:
        self._kept: tuple[object, Array, Array] = (None, np.empty(0), np.empty(0))

    def of(self, records: Array, store: Store, predictor: Predictor) -> Array:
        memory, parameters, is_known = self._kept
        if memory is not store.memory:
            memory = store.memory  # read once: a writer may replace it
            parameters = np.empty((memory.capacity, len(predictor.origin)))
            is_known = np.zeros(memory.capacity, bool)
            self._kept = memory, parameters, is_known
        missing = records[~is_known[records]]
        if len(missing):
            missing = np.unique(missing)
            factors = np.ascontiguousarray(store.factors(missing))
            parameters[missing] = predictor.solve(factors)
            is_known[missing] = True
        return parameters[records]

    def __reduce__(self) -> tuple:
        return Solved, ()  # nothing that cannot be computed again
