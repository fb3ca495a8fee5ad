"""From held tasks to the frozen group, under the current prior."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from skmeta._kernels import mixed
from skmeta._mixed._group import Group, inverse_of, moments_from_units
from skmeta._mixed._prior import Fit
from skmeta._mixed._statistics import nearest_psd

Array = np.ndarray

__all__ = ["freeze"]

NO_RANK = 1e-9  # singular value over the largest


class _Estimates(NamedTuple):
    """Of the tasks that are frozen, in units.

    Attributes
    ----------
    lines : ndarray of shape (n, p)
        Prior means of the coefficients.
    scores : ndarray of shape (n, p)
        s_t.
    information : ndarray of shape (p, p)
        Sum of H_t.
    """

    lines: Array
    scores: Array
    information: Array


def freeze(fit: Fit, places: slice, group: Group | None, visits: int) -> Group:
    """The group with the held tasks at these places.

    `group` counts from the origin, and its weights are those after `visits`.
    """
    problem, prior = fit.problem, fit.prior
    table, units, p = problem.table, problem.table.units, problem.p
    factors, om = table.factors[places], table.weights[places]
    estimates = _estimate(fit, places)
    n_tasks = float(om.sum())
    information, n_all, old_inverse = estimates.information, n_tasks, None
    if table.group is not None:
        old_inverse = inverse_of(table.group.sampling + prior.S, units.varies)
        information = information + table.group.n_tasks * old_inverse
        n_all += table.group.n_tasks
    mean_information = information / n_all
    ridge = np.diag(1e-9 * np.diag(mean_information))
    inverse = inverse_of(mean_information + ridge, units.varies)
    theta = estimates.lines + estimates.scores @ inverse
    u = np.column_stack([np.ones(len(om)), table.means[places], theta])
    moments = (u.T * om) @ u
    if table.group is not None and old_inverse is not None:
        change = _merge(fit, inverse @ old_inverse)
        moments += change @ table.group.moments @ change.T
    to_origin = moments_from_units(units)
    residual, n_residual = _residuals(fit, places)
    one = factors[:, :, -2]
    weight = (one**2).sum(axis=1)
    centered = factors[:, :, :-2] - one[:, :, np.newaxis] * (
        np.matmul(one[:, np.newaxis], factors[:, :, :-2]) / weight[:, None, None]
    )
    rows = centered.reshape(-1, p - 1)
    weighted = rows * np.repeat(om, factors.shape[1])[:, np.newaxis]
    new = Group(
        moments=to_origin @ moments @ to_origin.T,
        sampling=units.covariance(nearest_psd(inverse - prior.S)),
        residual=residual * units.target_scale**2,
        n_residual=n_residual,
        triangle=mixed.sum_factors(np.ascontiguousarray(factors), om),
        scatter=weighted.T @ rows,
        inverse_weight=float(om @ (1.0 / weight)),
        n_rows=float(om @ table.n_rows[places]),
        visits=visits,
    )
    return new if group is None else _joined(new, group)


def _joined(new: Group, old: Group) -> Group:
    """Sums of both; the moments and the sampling covariance of `new` are of both."""
    triangle = np.vstack([new.triangle, old.triangle])
    return Group(
        new.moments,
        new.sampling,
        new.residual + old.residual,
        new.n_residual + old.n_residual,
        mixed.sum_factors(triangle.reshape(2, *new.triangle.shape), np.ones(2)),
        new.scatter + old.scatter,
        new.inverse_weight + old.inverse_weight,
        new.n_rows + old.n_rows,
        new.visits,
    )


def _estimate(fit: Fit, places: slice) -> _Estimates:
    problem, prior = fit.problem, fit.prior
    table, units = problem.table, problem.table.units
    factors = np.ascontiguousarray(table.factors[places])
    levels = (table.means[places] - table.center) @ prior.gamma
    tasks = mixed.Tasks(
        factors,
        table.n_rows[places],
        table.weights[places],
        levels[:, np.newaxis].copy(),
        units.mean,
        units.scale,
        units.target_mean,
        units.target_scale,
        table.bias,
    )
    lines = np.tile(prior.phi, (len(factors), 1))
    lines[:, -1] += levels
    tasks.first(prior.S, prior.v, np.append(prior.phi, 1.0))
    scores, information = tasks.states()
    total = np.tensordot(table.weights[places], information, axes=1)
    return _Estimates(lines, scores, total)


def _merge(fit: Fit, gain: Array) -> Array:
    """Change of (1, means, theta^): theta^ -> line + gain (theta^ - line)."""
    prior, p = fit.prior, fit.problem.p
    line = np.zeros((p, p))
    line[:, 0] = prior.phi
    line[-1, 1:] = prior.gamma
    line[-1, 0] -= prior.gamma @ prior.center
    change = np.eye(2 * p)
    change[p:, p:] = gain
    change[p:, :p] = (np.eye(p) - gain) @ line
    return change


def _residuals(fit: Fit, places: slice) -> tuple[float, float]:
    """Sum of squares beyond the tasks' ranks, in units, and degrees of freedom."""
    table, units = fit.problem.table, fit.problem.table.units
    factors, om = table.factors[places], table.weights[places]
    one = factors[:, :, -2]
    L = factors[:, :, :-1].copy()
    L[:, :, :-1] -= one[:, :, np.newaxis] * units.mean
    L[:, :, :-1] *= units.scale
    L[:, :, -1] *= table.bias
    z = (factors[:, :, -1] - one * units.target_mean) / units.target_scale
    U, singular, _ = np.linalg.svd(L, full_matrices=True)
    rank = (singular > NO_RANK * singular[:, :1]).sum(axis=1)
    along = np.einsum("tij,ti->tj", U, z) ** 2
    left = along * (np.arange(along.shape[1]) >= rank[:, np.newaxis])
    n_left = np.maximum(table.n_rows[places] - rank, 0.0)
    return float(om @ (left.sum(axis=1) * (n_left > 0))), float(om @ n_left)
