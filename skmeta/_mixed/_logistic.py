"""Priors of logistic tasks, learned from their rows.

The posterior of every task is approximated by the best normal distribution under the
current prior. The task thus becomes a least-squares problem with noise of variance 1: a
factor, as for a regression. The approximation maximises a lower bound of the
likelihood, which replaces the likelihood. The derivatives of this bound in the prior
are those of the likelihood of the factors, so a step for the factors is a step for the
bound. There is one step per evaluation. Then all factors are computed again, from
their last values, in 2.5 to 3 Newton steps per task. Fits take 6 to 18 evaluations
(without extrapolation, 12 to more than 50).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs

from skmeta._kernels import mixed
from skmeta._kernels.logistic import logistic_factors
from skmeta._mixed._likelihood import Evaluation, Problem, sums_of, tau_step
from skmeta._mixed._options import Options
from skmeta._mixed._prior import Prior, choose
from skmeta._mixed._search import CUT, LEAST_CUT, SLACK, Search
from skmeta._mixed._statistics import Table, summarize
from skmeta._mixed._steps import Step

Array = np.ndarray

__all__ = ["LogisticFit", "covariance_root", "learn_from_rows"]

# Weak priors, in units: without them separable tasks have no finite estimate.
MEAN_PRECISION = 0.01  # of phi: a standard deviation of ten
VARIANCE_RATE = 0.01  # of the entries of S: exponential, mean one hundred
ENTRIES_WORTH_THREADS = 2_000_000  # of the rows: below, a pool costs more than it saves
TASKS_AT_A_TIME = 512
MEMORY = 5  # steps that are extrapolated from
LITTLE_FALL, LESS_GAIN = 0.5, 0.7


@dataclass(frozen=True)
class LogisticEvaluation(Evaluation):
    """The bound, and its derivatives.

    Attributes
    ----------
    mean : ndarray of shape (p + q,)
        Where the bound is evaluated; `beta` is a Newton step further.
    precision : ndarray of shape (p + q, p + q)
        Of the mean: the inverse of V.
    tasks : kernel object
        Of the factors.
    factors : ndarray of shape (n_tasks, k, p + 1)
    parameters : ndarray of shape (n_tasks, p)
        Posterior means, in units.
    variances : ndarray of shape (n_samples,)
        Of the scores of rows.
    """

    mean: Array
    precision: Array
    tasks: Any
    factors: Array
    parameters: Array
    variances: Array


class LogisticProblem(Problem):
    """Tasks with their rows, and where posteriors are looked for.

    Parameters
    ----------
    batch : Batch
        y holds 0.0 and 1.0.
    origin : ndarray of shape (p,)
        Of the features; the last entry is zero.
    table : Table
        Of the rows; as if they were of a regression.
    """

    def __init__(
        self,
        batch: Any,
        origin: Array,
        table: Table,
        options: Options,
        *,
        between: bool,
    ):
        super().__init__(table, options, between=between)
        self.batch, self.origin = batch, origin
        self.now: LogisticEvaluation | None = None

    def accept(self, now: LogisticEvaluation) -> None:
        """Take the next posteriors from here; steps read these tasks."""
        self.now, self.tasks = now, now.tasks

    def solve(self, S: Array, beta: Array) -> tuple[Array, Array, Array, Array]:
        """Posteriors: minus the bounds, parameters, variances, factors."""
        p, table = self.p, self.table
        lines = np.tile(beta[:p], (len(table.n_rows), 1))
        lines[:, -1] += self.level @ beta[p:]
        if self.now is None:
            parameters, variances = lines.copy(), np.zeros(len(self.batch.y))
        else:
            parameters = self.now.parameters.copy()
            variances = self.now.variances.copy()
        factors, root = np.empty_like(table.factors), covariance_root(S)

        def run(first: int, last: int) -> Array:
            values, _ = logistic_factors(
                self.batch._replace(starts=self.batch.starts[first : last + 1]),
                None,
                self.origin,
                table.units.mean,
                table.units.scale,
                table.bias,
                root,
                lines[first:last],
                parameters[first:last],
                variances,
                factors[first:last],
            )
            return values

        n_tasks = len(lines)
        is_long = len(self.batch.y) * p > ENTRIES_WORTH_THREADS
        if not is_long or effective_n_jobs(self.n_jobs) == 1:
            return run(0, n_tasks), parameters, variances, factors
        edges = [*range(0, n_tasks, TASKS_AT_A_TIME), n_tasks]
        parts = Parallel(self.n_jobs, require="sharedmem")(
            delayed(run)(*ends) for ends in itertools.pairwise(edges)
        )
        return np.concatenate(parts), parameters, variances, factors


class _Newton(NamedTuple):
    """The Newton step of the mean.

    Attributes
    ----------
    penalty : float
        By the weak prior of phi.
    precision, V : ndarrays of shape (p + q, p + q)
        Of the mean, and its inverse.
    step : ndarray of shape (p + q,)
    gain : float
        Slope times step.
    """

    penalty: float
    precision: Array
    V: Array
    step: Array
    gain: float

    @classmethod
    def of(
        cls, problem: LogisticProblem, first: Any, tau: float, beta: Array
    ) -> _Newton:
        ridge = np.full(problem.p + problem.q, 1.0 / tau)
        ridge[: problem.p] = MEAN_PRECISION + ~problem.table.units.varies
        precision = first.information + np.diag(ridge)
        V = np.linalg.inv(precision)
        V = 0.5 * (V + V.T)
        slope = first.score - ridge * beta
        step = V @ slope
        penalty = 0.5 * float(ridge[: problem.p] @ beta[: problem.p] ** 2)
        return cls(penalty, precision, V, step, float(slope @ step))


def evaluate_rows(
    problem: LogisticProblem, S: Array, tau: float, beta: Array, *, diagonal: bool
) -> LogisticEvaluation | None:
    """Evaluate the bound at S, tau and the mean `beta`; None where it overflows."""
    p, q, table = problem.p, problem.q, problem.table
    values, parameters, variances, factors = problem.solve(S, beta)
    value = -float(table.weights @ values)
    if not np.isfinite(value):
        return None
    tasks = problem.tasks_of(factors)
    first = tasks.first(S, 1.0, beta)
    if first is None:
        return None
    newton = _Newton.of(problem, first, tau, beta)
    V, step, next_tau, gain = newton.V, newton.step, tau, newton.gain
    second = tasks.second(V, step, diagonal)
    value += 0.5 * float(np.linalg.slogdet(V)[1])
    value -= newton.penalty + VARIANCE_RATE * float(np.trace(S))
    gradient = second.scores - second.information + second.spread
    if q:
        size, spread = float(beta[p:] @ beta[p:]), float(np.trace(V[p:, p:]))
        value -= 0.5 * (q * np.log(tau) + size / tau)
        size_after = float(np.sum((beta[p:] + step[p:]) ** 2))
        next_tau, tau_gain = tau_step(tau, size, spread, q, size_after)
        gain += max(tau_gain, 0.0)
    return LogisticEvaluation(
        S=S,
        v=1.0,
        tau=tau,
        beta=beta + step,
        V=V,
        log_likelihood=float(value),
        gradient=gradient - 2 * VARIANCE_RATE * np.eye(p),
        noise_gradient=0.0,
        information=second.information,
        squares=second.squares,
        **sums_of(second),
        next_tau=next_tau,
        tau_gain=gain,
        mean=beta,
        precision=newton.precision,
        tasks=tasks,
        factors=factors,
        parameters=parameters,
        variances=variances,
    )


class LogisticSearch(Search):
    """A search in which every evaluation computes the posteriors again.

    A step uses the curvature of fixed factors, which is too large for the bound, as
    factors depend on the prior. So steps alone converge linearly. Anderson acceleration
    (Walker and Ni 2011) extrapolates from the last steps.
    """

    problem: LogisticProblem
    now: LogisticEvaluation

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self._past: list[tuple[Array, Array]] = []  # points, and the steps from there

    def _take(self, point: LogisticEvaluation) -> None:
        self.now = point
        self.problem.accept(point)

    def _evaluate(
        self, S: Array, v: float, tau: float, beta: Array
    ) -> LogisticEvaluation | None:
        self.n_iter += 1
        return evaluate_rows(self.problem, S, tau, beta, diagonal=not self.is_full)

    def _move(self, step: Step, max_iter: int) -> bool:
        now, share = self.now, 1.0
        least = self.value - SLACK * abs(self.value)
        guess = self._extrapolate(step)
        while True:
            S, mean = guess if guess is not None else _along(now, step, share)
            tau = now.tau * (now.next_tau / now.tau) ** share
            new = self._evaluate(S, 1.0, tau, mean)
            if new is not None and self._is_better(new, least, step.gain):
                self._was_cut = share < 1
                self._take(new)
                return True
            if self.n_iter >= max_iter or share < LEAST_CUT:
                return False
            if guess is None:
                share *= CUT
            guess, self._past = None, self._past[-1:]

    def _extrapolate(self, step: Step) -> tuple[Array, Array] | None:
        """The extrapolation of the last steps; None if it is not a valid prior."""
        now, p = self.now, self.problem.p
        S, mean = _along(now, step, 1.0)
        x = np.append(now.S.ravel(), now.mean)
        f = np.append(S.ravel(), mean) - x
        self._past = [*self._past[-MEMORY:], (x, f)]
        if len(self._past) < 2:
            return None
        points, steps = (np.array(part).T for part in zip(*self._past, strict=True))
        moves, bends = np.diff(points), np.diff(steps)
        H = np.sqrt(np.diag(now.squares))
        size = np.sqrt(np.append(0.5 * np.outer(H, H), np.diag(now.precision)))
        scaled = bends * size[:, np.newaxis]
        mix, *_ = np.linalg.lstsq(scaled, f * size, rcond=1e-6)
        x = x + f - (moves + bends) @ mix
        S = x[: p * p].reshape(p, p)
        live = np.diag(S) > 0
        S = np.where(np.outer(live, live), 0.5 * (S + S.T), 0.0)
        if self.is_full and np.linalg.eigvalsh(S[np.ix_(live, live)])[:1].sum() <= 0:
            return None
        return S, x[p * p :]

    def _is_better(self, new: LogisticEvaluation, least: float, gain: float) -> bool:
        """Whether the bound has not fallen, or nearly so and there is less to gain.

        The steps leave out how V changes as factors follow the mean: at their end the
        bound is not quite the largest.
        """
        fall = least - new.log_likelihood - self.penalty(new.S)
        if fall <= 0:
            return True
        if fall > LITTLE_FALL:
            return False
        now = self.now
        self._take(new)
        left = self._step().gain
        self._take(now)
        return left < LESS_GAIN * gain


def _along(now: LogisticEvaluation, step: Step, share: float) -> tuple[Array, Array]:
    """S and the mean after a share of the step."""
    S, _ = step.at(share)
    return S, now.mean + share * (now.beta - now.mean)


@dataclass(frozen=True)
class LogisticFit:
    """What is learned from rows.

    Attributes
    ----------
    prior : Prior
        Its `log_likelihood` is the bound on that of all tasks, at the estimates.
    factors : ndarray of shape (n_tasks, k, p + 1)
        Of the tasks under this prior, counted from the origin.
    """

    prior: Prior
    factors: Array


def learn_from_rows(
    batch: Any, origin: Array, options: Options, weights: Array | None = None
) -> LogisticFit:
    """Learn the prior of tasks from all their rows.

    Parameters
    ----------
    batch : Batch
        Dense rows of positive weight; y holds 0.0 and 1.0.
    origin : ndarray of shape (p,)
        Of the features; the last entry is zero.
    options : Options
        With `learn_noise` False.
    weights : ndarray of shape (n_tasks,) or None
        What the age of the tasks leaves of them.
    """
    p, n_rows = len(origin), np.diff(batch.starts)
    # the responses at theta = 0: least squares on them is a first Newton step
    responses = batch._replace(y=4 * batch.y - 2)
    factors = np.empty((len(n_rows), min(int(n_rows.max()), p + 1), p + 1))
    mixed.task_factors(responses, origin, factors)
    weights = np.ones(len(n_rows)) if weights is None else weights
    table = summarize(factors, n_rows, weights, None, options)
    make_problem = partial(LogisticProblem, batch, origin)
    fit = choose(table, options, make_problem, LogisticSearch)
    problem, prior = fit.problem, fit.prior
    assert isinstance(problem, LogisticProblem)
    gamma = prior.gamma[problem.level_features] * problem.level_spread
    values, _, _, factors = problem.solve(prior.S, np.append(prior.phi, gamma))
    bound = -float(weights @ values)
    return LogisticFit(replace(prior, log_likelihood=bound), factors)


def covariance_root(S: Array) -> Array:
    """R with R R' = S, without columns of zeros: diagonal where S is."""
    live = np.flatnonzero(np.diag(S) > 0)
    root = np.zeros((len(S), len(live)))
    part = S[np.ix_(live, live)]
    entries = np.sqrt(np.diag(part))
    if np.count_nonzero(part) == len(live):
        root[live, np.arange(len(live))] = entries
        return root
    # in correlations, so that entries of any scale keep their digits
    size, Q = np.linalg.eigh(part / np.outer(entries, entries))
    root[live] = entries[:, np.newaxis] * Q * np.sqrt(np.maximum(size, 0.0))
    return root
