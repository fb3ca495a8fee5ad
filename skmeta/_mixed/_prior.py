"""The prior that is learned: its choice among shapes, and what is published of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from skmeta._mixed._likelihood import Problem
from skmeta._mixed._options import Options
from skmeta._mixed._search import Point, Search, start
from skmeta._mixed._statistics import Table
from skmeta._mixed._units import Units

Array = np.ndarray

__all__ = ["Fit", "Prior", "choose", "improve"]

LEAST_START = 1e-2  # least entry of a diagonal S from which a full S starts, relative


@dataclass(frozen=True)
class Prior:
    """The estimates, in units, and everything that predictions need.

    Attributes
    ----------
    units : Units
    bias : float
    S : ndarray of shape (p, p)
        Covariance of the tasks' coefficients.
    v, tau : float
        Variances of the noise and of gamma.
    phi : ndarray of shape (p,)
        Their mean, for a task of mean features.
    gamma : ndarray of shape (n_features,)
        What the mean of a feature adds to the level of its task.
    V : ndarray of shape (p + n_features, p + n_features)
        Covariance of phi and gamma.
    center, within, between : ndarrays
        Of features, see `Table`.
    mean_weight : float
    support : bool ndarray of shape (p,)
    nu : float
        Infinite for a diagonal S.
    has_levels : bool
        Whether gamma is learned.
    log_likelihood : float
        Restricted, of the data as they are, whatever the units of the features.
    score : float
        The criterion by which shapes are compared.
    n_iter : int
    converged : bool
    notes : tuple of str
        What the data do not identify, one text for each warning.
    """

    units: Units
    bias: float
    S: Array
    v: float
    tau: float
    phi: Array
    gamma: Array
    V: Array
    center: Array
    within: Array
    between: Array
    mean_weight: float
    support: Array
    nu: float
    has_levels: bool
    log_likelihood: float
    score: float
    n_iter: int
    converged: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Fit:
    """A prior, and the tasks in units at which it was found."""

    prior: Prior
    problem: Problem


def choose(
    table: Table,
    options: Options,
    make_problem: Callable[..., Problem] = Problem,
    make_search: Callable[..., Search] = Search,
) -> Fit:
    """Fit every shape from its start, and take the best.

    `make_problem` and `make_search` are called as the classes are.
    """
    best = None
    for search in _searches(table, options, make_problem, make_search):
        fit = Fit(_publish(search, options), search.problem)
        if best is None or fit.prior.score > best.prior.score:
            best = fit
    assert best is not None  # there is always a first shape
    return best


def improve(table: Table, options: Options, old: Prior, max_iter: int) -> Fit:
    """Continue the fit of an earlier prior, with the same shape."""
    problem = Problem(table, options, between=old.has_levels)
    search = Search(problem, old.nu, options.tol)
    point, beta = _carry(old, problem, search.is_full)
    search.run(point, beta, max_iter)
    return Fit(_publish(search, options), problem)


def strengths(covariance: str, p: int) -> tuple[float, ...]:
    """Penalties on correlations of the shapes to be tried."""
    shapes = {
        "diagonal": (np.inf,),
        "full": (float(p),),
        "auto": (np.inf, 3.0 * p),
    }
    return shapes[covariance]


def _searches(
    table: Table,
    options: Options,
    make_problem: Callable[..., Problem],
    make_search: Callable[..., Search],
) -> Iterator[Search]:
    """Finished searches, without those that were given up."""
    several = options.covariance == "auto"
    best = without_levels = -np.inf
    nu = strengths(options.covariance, table.p)[-1]
    shapes = (False, True) if options.between == "auto" else (bool(options.between),)
    for between in shapes:
        problem = make_problem(table, options, between=between)
        if len(shapes) > 1 and between and not problem.q:
            return
        point, beta = start(problem)
        diagonal = make_search(problem, np.inf, options.tol, without_levels)
        diagonal.run(point, beta, options.max_iter)
        if diagonal.is_hopeless:
            return
        without_levels = diagonal.score
        if options.covariance != "full":
            best = max(best, diagonal.score)
            yield diagonal
        if np.isfinite(nu) and (problem.support.sum() > 1 or not several):
            rival = best if several else -np.inf
            full = make_search(problem, nu, options.tol, rival)
            _run_from(diagonal, full, point, options)
            if not full.is_hopeless:
                best = max(best, full.score)
                yield full


def _run_from(diagonal: Search, search: Search, first: Point, options: Options) -> None:
    """Search for a full S from a diagonal one, whose entries are not too small."""
    now = diagonal.now
    entries = np.maximum(np.diag(now.S), LEAST_START * np.diag(first[0]))
    S = np.diag(entries) if search.is_full else now.S
    search.run((S, now.v, now.tau), now.beta, options.max_iter)
    if search.is_full and search.value < diagonal.value:
        # the penalty of a diagonal S is zero, so it is a point of the full fit too
        search.now, search.converged = diagonal.now, diagonal.converged
    search.holds_noise |= diagonal.holds_noise


def _carry(old: Prior, problem: Problem, is_full: bool) -> tuple[Point, Array]:
    """The point and the mean of a prior, in the units of another problem."""
    (fresh, _, _), _ = start(problem)
    units = problem.table.units
    change = old.units.change_to(units)
    ratio = (old.units.target_scale / units.target_scale) ** 2
    common = problem.support & old.support
    S = np.where(np.outer(common, common), change @ old.S @ change.T, 0.0)
    if not is_full:
        S = np.diag(np.diag(S))
    S += np.diag(np.where(problem.support & ~common, np.diag(fresh), 0.0))
    beta = np.zeros(problem.p + problem.q)
    tau = old.tau * ratio if old.has_levels else old.tau
    return (S, old.v * (ratio if problem.learn_noise else 1.0), tau), beta


# ---- what is published


def _publish(search: Search, options: Options) -> Prior:
    problem, now, nu = search.problem, search.now, search.nu
    table, p, alive = problem.table, problem.p, problem.level_features
    gamma = np.zeros(p - 1)
    gamma[alive] = now.beta[p:] / problem.level_spread
    change = np.zeros((2 * p - 1, p + problem.q))
    change[:p, :p] = np.eye(p)
    change[p + np.flatnonzero(alive), p + np.arange(problem.q)] = (
        1 / problem.level_spread
    )
    V = change @ now.V @ change.T
    dead = np.append(~table.units.varies, np.zeros(p - 1, bool))
    V[dead], V[:, dead] = 0.0, 0.0
    return Prior(
        units=table.units,
        bias=table.bias,
        S=now.S,
        v=now.v,
        tau=now.tau,
        phi=now.beta[:p],
        gamma=gamma,
        V=V,
        center=table.center,
        within=table.within,
        between=table.between,
        mean_weight=table.mean_weight,
        support=problem.support,
        nu=nu,
        has_levels=bool(problem.q),
        log_likelihood=_with_constants(now.log_likelihood, problem),
        score=search.score,
        n_iter=search.n_iter,
        converged=search.converged,
        notes=tuple(_notes(search, options)),
    )


def _with_constants(value: float, problem: Problem) -> float:
    table, null = problem.table, problem.table.null
    n_free = problem.n - (problem.p - null.shape[1])
    gram = np.linalg.slogdet(table.gram[:-1, :-1] + null @ null.T)[1]
    value += 0.5 * float(gram) - float(np.linalg.slogdet(null.T @ null)[1])
    scale = np.log(2 * np.pi) + 2 * np.log(table.units.target_scale)
    return value - 0.5 * n_free * float(scale)


def _notes(search: Search, options: Options) -> Iterator[str]:
    problem = search.problem
    table, n_tasks = problem.table, problem.n_tasks
    unlearned = "variances stay"
    if options.learn_noise:
        unlearned = "covariance and the noise variance stay"
    if n_tasks < 1.5:
        yield (
            "There is one task, so the differences between tasks are not identified: "
            f"their {unlearned} at the starting value."
        )
    elif not problem.is_identified:
        yield (
            f"{n_tasks:.0f} tasks with {problem.n:.0f} rows are too few to learn the "
            f"differences between tasks in {problem.p} coefficients: their {unlearned} "
            "at the starting value."
        )
    elif table.has_single_rows:
        yield (
            "Every task has one row, so differences between tasks cannot be "
            "distinguished from noise: covariance_ is zero, and all tasks share one "
            "model."
        )
    elif search.noise_vanishes:
        yield (
            "The differences between tasks explain the target completely, so the "
            f"noise variance tends to zero: it is held at {_raw_noise(search):.3g}. "
            "It is identified with random_effects='intercept' or more rows per task."
        )
    elif not search.converged and search.n_iter >= options.max_iter:
        yield (
            f"The fit has not converged after max_iter={options.max_iter} evaluations "
            "of the likelihood: increase max_iter."
        )


def _raw_noise(search: Search) -> float:
    return search.now.v * search.problem.table.units.target_scale**2
