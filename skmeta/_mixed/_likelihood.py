"""The restricted likelihood of a prior, and what a step needs to know about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skmeta._kernels import mixed
from skmeta._mixed._group import GroupSums, group_sums
from skmeta._mixed._options import Options
from skmeta._mixed._shrinkage import pooled_by_evidence
from skmeta._mixed._statistics import Table

Array = np.ndarray

__all__ = ["Evaluation", "Problem", "evaluate", "sums_of", "tau_step"]

TINY = 1e-9  # ridge on the mean, as a share of its information
LEAST_TAU = 1e-12
LEAST_SPREAD = 1e-12  # of a mean of features between tasks, squared


class Problem:
    """Held tasks with a choice of what may differ between them.

    Attributes
    ----------
    table : Table
    level_features : bool ndarray of shape (n_features,)
        Features whose means move the level of a task, q of them.
    level_spread : ndarray of shape (q,)
        Spread of these means between tasks.
    level : ndarray of shape (n_tasks, q)
        What moves the levels.
    support : bool ndarray of shape (p,)
        Coefficients that vary between tasks.
    tasks : kernel object
    n : float
        Rows that the noise is learned from.
    pooled : Pooled or None
        The ridge regression whose prior the slopes have; None: they have none.
    precision : ndarray of shape (p,)
        Of this prior.
    """

    def __init__(self, table: Table, options: Options, *, between: bool):
        self.table, self.learn_noise = table, options.learn_noise
        alive = table.level_features() if between else np.zeros(table.p - 1, bool)
        spread = np.sqrt(np.maximum(table.means_variance[alive], LEAST_SPREAD))
        self.level_features, self.level_spread = alive, spread
        level = (table.means[:, alive] - table.center[alive]) / spread
        self.level, self.n_jobs = np.ascontiguousarray(level), options.n_jobs
        self.support = table.support(options.random_effects)
        self.tasks = self.tasks_of(table.factors)
        self.n_held = float(table.weights @ table.n_rows)
        self.n_padded = (
            self.n_held - float(table.weights.sum()) * table.factors.shape[1]
        )
        self.n, self._moments = self.n_held, None
        self.pooled = pooled_by_evidence(table) if options.learn_noise else None
        self.precision = np.zeros(table.p)
        if self.pooled is not None:
            self.precision[:-1] = self.pooled.precision
        group = table.group
        if group is not None:
            self.n += group.n_residual
            self._moments = self._group_moments(group.moments)

    @property
    def p(self) -> int:
        """Number of coefficients."""
        return self.table.p

    @property
    def q(self) -> int:
        """Number of features that move the level."""
        return len(self.level_spread)

    @property
    def n_tasks(self) -> float:
        """Number of tasks by their weights, frozen ones included."""
        return self.table.n_tasks

    @property
    def is_identified(self) -> bool:
        """Whether there are tasks and rows enough to learn S and v from."""
        return self.n_tasks >= 3 and self.n >= 2 * self.p

    def tasks_of(self, factors: Array) -> Any:
        """These factors of the tasks as the kernels read them."""
        table, units = self.table, self.table.units
        return mixed.Tasks(
            factors,
            table.n_rows,
            table.weights,
            self.level,
            units.mean,
            units.scale,
            units.target_mean,
            units.target_scale,
            table.bias,
            self.n_jobs,
        )

    def _group_moments(self, moments: Array) -> Array:
        """Of (1, level, theta^)."""
        p = self.p
        kept = np.concatenate([[True], self.level_features, np.ones(p, bool)])
        change = np.diag(np.concatenate([[1.0], 1 / self.level_spread, np.ones(p)]))
        center = self.table.center[self.level_features]
        change[1 : 1 + self.q, 0] = -center / self.level_spread
        return change @ moments[np.ix_(kept, kept)] @ change.T

    def group_sums(self, S: Array) -> GroupSums | None:
        """What frozen tasks add under a prior of covariance S."""
        group = self.table.group
        if group is None or self._moments is None:
            return None
        return group_sums(
            self._moments, group.sampling, S, self.table.units.varies, self.q
        )


@dataclass(frozen=True)
class Evaluation:
    """The likelihood at S, v and tau, maximised over the mean; and its derivatives.

    Attributes
    ----------
    S, v, tau
        Where.
    beta : ndarray of shape (p + q,)
        phi and gamma.
    V : ndarray of shape (p + q, p + q)
        Their covariance.
    log_likelihood : float
    gradient : ndarray of shape (p, p)
        Gamma: twice the derivative in S. Its diagonal alone counts for a diagonal S.
    noise_gradient : float
        Derivative in v.
    quadratic : float
        Sum of e'e over held tasks.
    scores, products : ndarrays of shape (p, p)
        Sums of s s' and (s s') o H over held tasks.
    information, squares : ndarrays of shape (p, p)
        Sums of H and H o H over all tasks; `held_*` over held ones.
    next_tau, tau_gain : float
        The step of tau, and what it promises.
    """

    S: Array
    v: float
    tau: float
    beta: Array
    V: Array
    log_likelihood: float
    gradient: Array
    noise_gradient: float
    quadratic: float
    scores: Array
    products: Array
    information: Array
    squares: Array
    held_information: Array
    held_squares: Array
    next_tau: float
    tau_gain: float


def evaluate(
    problem: Problem, S: Array, v: float, tau: float, beta: Array, *, diagonal: bool
) -> Evaluation | None:
    """Evaluate the likelihood; None where S and v are numerically not a prior.

    `beta` is where the mean is looked for: any is right, a near one keeps more digits.
    """
    first = problem.tasks.first(S, v, beta)
    if first is None:
        return None
    group = problem.group_sums(S)
    mean = _Mean.solve(problem, first, group, tau, beta)
    beta, V = mean.beta, mean.V
    second = problem.tasks.second(V, mean.step, diagonal)
    n_free = problem.n_padded * np.log(v)
    value = -0.5 * (first.log_det + n_free + second.quadratic) + 0.5 * mean.log_det
    value += mean.log_det_null
    gradient = second.scores - second.information + second.spread
    noise = second.quadratic - np.sum(S * gradient) + np.sum(V * first.information)
    frozen = _Frozen.of(problem, group, beta, V, v)
    next_tau, tau_gain = tau, 0.0
    if problem.q:
        size, spread = mean.levels(problem.p)
        value -= 0.5 * (problem.q * np.log(tau) + size / tau)
        next_tau, tau_gain = tau_step(tau, size, spread, problem.q)
    if problem.pooled is not None:
        value -= 0.5 * float(problem.precision @ beta[: problem.p] ** 2)
    value += frozen.value
    if not np.isfinite(value):
        return None
    residual = v * noise + frozen.residual - v * problem.n
    return Evaluation(
        S=S,
        v=v,
        tau=tau,
        beta=beta,
        V=V,
        log_likelihood=float(value),
        gradient=gradient + frozen.gradient,
        noise_gradient=float(0.5 * residual / v**2),
        information=second.information + frozen.information,
        squares=second.squares + frozen.squares,
        next_tau=next_tau,
        tau_gain=tau_gain,
        **sums_of(second),
    )


def sums_of(second: Any) -> dict[str, Any]:
    """The fields of an evaluation that are sums over held tasks."""
    return {
        "quadratic": second.quadratic,
        "scores": second.scores,
        "products": second.products,
        "held_information": second.information,
        "held_squares": second.squares,
    }


class _Mean(NamedTuple):
    """The mean at which the likelihood is largest, and what V adds to it.

    Attributes
    ----------
    beta, step : ndarray of shape (p + q,)
        The mean, and the step that led there.
    V : ndarray of shape (p + q, p + q)
    log_det : float
        Of V.
    log_det_null : float
        Half of what log det V holds of directions that are not identified, negative.
    """

    beta: Array
    step: Array
    V: Array
    log_det: float
    log_det_null: float

    @classmethod
    def solve(
        cls,
        problem: Problem,
        first: Any,
        group: GroupSums | None,
        tau: float,
        beta: Array,
    ) -> _Mean:
        p, table = problem.p, problem.table
        score, information = first.score, first.information
        if group is not None:
            score = score + group.score(beta)
            information = information + group.information
        prior = np.append(problem.precision, np.full(problem.q, 1.0 / tau))
        ridge = prior.copy()
        ridge[:p] += TINY * np.diag(information)[:p] + ~table.units.varies
        V, log_det = _inverse(information + np.diag(ridge))
        step = V @ (score - prior * beta)
        null, log_det_null = table.null, 0.0
        if null.shape[1]:
            unidentified = null.T @ (ridge[:p, np.newaxis] * null)
            log_det_null = 0.5 * float(np.linalg.slogdet(unidentified)[1])
        return cls(beta + step, step, V, log_det, log_det_null)

    def levels(self, p: int) -> tuple[float, float]:
        """|gamma|^2, and the trace of its covariance."""
        gamma = self.beta[p:]
        return float(gamma @ gamma), float(np.trace(self.V[p:, p:]))


class _Frozen(NamedTuple):
    """What frozen tasks add to an evaluation."""

    value: float = 0.0
    gradient: Array | float = 0.0
    information: Array | float = 0.0
    squares: Array | float = 0.0
    residual: float = 0.0

    @classmethod
    def of(
        cls, problem: Problem, sums: GroupSums | None, beta: Array, V: Array, v: float
    ) -> _Frozen:
        group = problem.table.group
        if group is None or sums is None:
            return cls()
        Hb, rest = sums.inverse, sums.residuals(beta)
        value = sums.log_det - float(np.sum(Hb * rest))
        value -= group.n_residual * float(np.log(v)) + group.residual / v
        information = sums.n_tasks * Hb
        gradient = Hb @ (rest + sums.spread(V)) @ Hb - information
        return cls(0.5 * value, gradient, information, information * Hb, group.residual)


def tau_step(
    tau: float, size: float, spread: float, q: int, size_after: float | None = None
) -> tuple[float, float]:
    """The next tau and what it promises.

    Parameters
    ----------
    size, size_after : float
        |gamma|^2 where the likelihood is evaluated, and after the step of the mean;
        None: the same.
    spread : float
        Trace of the covariance of gamma.
    q : int
        Length of gamma.
    """
    size_after = size if size_after is None else size_after
    wanted = size_after / max(q - spread / tau, 1e-12)
    next_tau = max(min(max(wanted, tau / 10), tau * 10), LEAST_TAU)
    slope = 0.5 * (size / tau - q + spread / tau)
    return next_tau, slope * float(np.log(next_tau / tau))


def _inverse(matrix: Array) -> tuple[Array, float]:
    """Inverse of a positive definite matrix of any scales, and its log det."""
    scale = np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    outer = np.outer(scale, scale)
    V = np.linalg.inv(matrix / outer)
    V = 0.5 * (V + V.T)
    sign, log_det = np.linalg.slogdet(V)
    if sign <= 0:
        log_det = -np.inf
    return V / outer, float(log_det - 2 * np.log(scale).sum())
