"""Statistics of all held tasks in units: computed once per refresh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skmeta._kernels import mixed
from skmeta._mixed._group import Group
from skmeta._mixed._options import Options
from skmeta._mixed._units import Units, learn_units

Array = np.ndarray

__all__ = ["Table", "summarize"]

NULL = 1e-8  # relative singular value, below which nothing is identified
VARIES_BETWEEN, VARIES_WITHIN = 1e-8, 1e-12  # variances of features in units


@dataclass(frozen=True)
class Table:
    """Held tasks and the frozen group.

    Attributes
    ----------
    factors : ndarray of shape (n_held, k, p + 1)
        From the origin.
    n_rows, weights : ndarrays of shape (n_held,)
        Numbers of rows of the tasks, and the weights of the tasks by their age.
    units : Units
    bias : float
    means : ndarray of shape (n_held, n_features)
        Of a task's features, in units.
    gram : ndarray of shape (p + 1, p + 1)
        Cross product of all rows (features, bias, target), in units.
    n_tasks, n_rows_all : float
        Numbers of tasks and rows by their weights, frozen ones included.
    mean_weight : float
        Of a row.
    center, within, between : ndarrays
        mu, Sigma_w, Sigma_b: mean over tasks of the means of features, and the
        covariances of features within and between tasks.
    means_variance : ndarray of shape (n_features,)
        Of the means, over tasks.
    varies_within : bool ndarray of shape (n_features,)
    null : ndarray of shape (p, n_null)
        Combinations of coefficients on which no row depends.
    group : Group or None
        In units.
    """

    factors: Array
    n_rows: Array
    weights: Array
    units: Units
    bias: float
    means: Array
    gram: Array
    n_tasks: float
    n_rows_all: float
    mean_weight: float
    center: Array
    within: Array
    between: Array
    means_variance: Array
    varies_within: Array
    null: Array
    group: Group | None

    @property
    def p(self) -> int:
        """Number of coefficients."""
        return len(self.gram) - 1

    def support(self, random_effects: str | tuple[int, ...]) -> Array:
        """Coefficients that vary between tasks, as far as they are identified."""
        support = self.units.varies.copy()
        support[:-1] &= self.varies_within
        if random_effects == "intercept":
            support[:-1] = False
        elif not isinstance(random_effects, str):
            chosen = np.zeros(self.p, bool)
            chosen[list(random_effects)] = True
            chosen[-1] = True
            support &= chosen
        if self.has_single_rows:
            support[:] = False
        return support

    @property
    def has_single_rows(self) -> bool:
        """Whether every task has one row, so that level and noise are confounded."""
        return self.group is None and bool(self.n_rows.max(initial=0) <= 1)

    def level_features(self) -> Array:
        """Features whose means may affect the level of a task."""
        if self.n_tasks <= 2 or not self.bias:
            return np.zeros(self.p - 1, bool)
        varies = self.units.varies[:-1] & self.varies_within
        return varies & (self.means_variance > VARIES_BETWEEN)


def summarize(
    factors: Array, n_rows: Array, weights: Array, group: Group | None, options: Options
) -> Table:
    """Units and moments of these tasks, counted from the origin."""
    bias, d = options.bias, factors.shape[2] - 2
    held, sums = _sums(factors, weights, options.n_jobs)
    everything = held if group is None else np.vstack([held, group.triangle])
    total = float(everything[:, d] @ everything[:, d])
    units, mean, rows = _in_units(everything, total, options)
    task_weight = sums[:, d].copy()
    means = _task_means(sums, units)
    features = _about(held, mean, d)[:, :d] * units.scale
    moments = _Moments(weights, n_rows, task_weight, means, features)
    in_units = None
    if group is not None:
        in_units = group.in_units(units)
        moments.add(in_units)
    mu, within, between, variance = moments.covariances()
    return Table(
        factors=factors,
        n_rows=n_rows.astype(float),
        weights=weights,
        units=units,
        bias=bias,
        means=means,
        gram=rows.T @ rows,
        n_tasks=moments.n_tasks,
        n_rows_all=moments.n_rows,
        mean_weight=total / moments.n_rows,
        center=mu,
        within=within,
        between=between,
        means_variance=variance,
        varies_within=np.diag(moments.scatter) / total > VARIES_WITHIN,
        null=_null_space(rows[:, :-1]),
        group=in_units,
    )


def _in_units(
    factor: Array, total: float, options: Options
) -> tuple[Units, Array, Array]:
    """Units of all rows, their mean, and their factor in units."""
    bias, d = options.bias, factor.shape[1] - 2
    mean = factor[:, d] @ factor / total if bias else np.zeros(d + 2)
    rows = _about(factor, mean, d)
    squares = np.delete((rows**2).sum(axis=0), d) / total
    units = learn_units(np.delete(mean, d), squares, bias, options.learn_noise)
    if not options.learn_noise:
        rows[:, -1] = factor[:, -1]
    rows *= np.append(units.scale, [bias, 1.0 / units.target_scale])
    return units, mean, rows


def _task_means(sums: Array, units: Units) -> Array:
    """Mean features of tasks, in units, from sums (features, weight) of their rows."""
    d = sums.shape[1] - 2
    means = sums[:, :d] / sums[:, d : d + 1]
    means -= units.mean
    means *= units.scale
    return means


def _sums(factors: Array, weights: Array, n_jobs: int | None) -> tuple[Array, Array]:
    """A factor of all rows, and sums of the rows of every task."""
    sums = np.empty((len(factors), factors.shape[2]))
    given = weights if (weights != 1.0).any() else None
    return mixed.sum_factors(factors, given, n_jobs, sums), sums


def _about(rows: Array, mean: Array, d: int) -> Array:
    """Rows of a factor about a mean; the column of ones stays."""
    centered = rows - rows[:, d : d + 1] * mean
    centered[:, d] = rows[:, d]
    return centered


def _null_space(rows: Array) -> Array:
    """Combinations of coefficients on which no row depends, as columns."""
    size = np.sqrt((rows**2).sum(axis=0))
    size = np.where(size > 0, size, 1.0)
    _, singular, Vt = np.linalg.svd(rows / size)
    singular = np.append(singular, np.zeros(rows.shape[1] - len(singular)))
    return (Vt[singular <= NULL * singular[0]] / size).T


class _Moments:
    """Sums over tasks of the means of their features, in units."""

    def __init__(
        self,
        weights: Array,
        n_rows: Array,
        task_weight: Array,
        means: Array,
        features: Array,
    ):
        """`features` are the rows of a factor of all tasks, about their mean."""
        self.n_tasks, self.n_rows = float(weights.sum()), float(weights @ n_rows)
        self.inverse_weight = float(weights @ (1.0 / task_weight))
        weighted = means
        if (weights != 1.0).any():
            weighted = means * weights[:, np.newaxis]
        self.first, self.second = weighted.sum(axis=0), weighted.T @ means
        self.scatter = features.T @ features
        self.scatter -= (weighted * task_weight[:, np.newaxis]).T @ means

    def add(self, group: Group) -> None:
        d = len(self.first)
        self.n_tasks += group.n_tasks
        self.n_rows += group.n_rows
        self.first = self.first + group.moments[0, 1 : 1 + d]
        self.second = self.second + group.moments[1 : 1 + d, 1 : 1 + d]
        self.scatter = self.scatter + group.scatter
        self.inverse_weight += group.inverse_weight

    def covariances(self) -> tuple[Array, Array, Array, Array]:
        """mu, Sigma_w, Sigma_b and the variance of the means."""
        T = self.n_tasks
        mu = self.first / T
        of_means = self.second / T - np.outer(mu, mu)
        within = self.scatter / max(self.n_rows - T, 1.0)
        between = of_means * (T / max(T - 1.0, 1.0)) - within * self.inverse_weight / T
        return mu, within, nearest_psd(between), np.diag(of_means)


def nearest_psd(matrix: Array) -> Array:
    """Symmetric, negative eigenvalues cut at zero."""
    size, Q = np.linalg.eigh(0.5 * (matrix + matrix.T))
    return (Q * np.maximum(size, 0.0)) @ Q.T
