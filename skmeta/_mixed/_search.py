"""The maximum of a restricted likelihood, for one shape of S."""

from __future__ import annotations

from typing import Any

import numpy as np

from skmeta._mixed._likelihood import Evaluation, Problem, evaluate
from skmeta._mixed._steps import Step, diagonal_step, full_step, least_noise, promise

Array = np.ndarray

__all__ = ["Point", "Search", "start"]

FIRST_TAU = 0.05
SLACK = 1e-11  # relative decrease of the log-likelihood that is rounding error
CUT, LEAST_CUT = 0.3, 1e-3
MOST_STARTS = 30
MOST_CHANGES = 3  # of the support: failed removals, and returns
LITTLE = 0.1  # S_jj times its mean information, below which an entry may be removed
FALLS = 0.11  # ratio of successive tau that decreases as fast as a step allows
NO_TAU = 1e-3  # ratio of tau to the first one, below which it tends to zero
PRICE_OF_LEVELS = 2.0  # penalty on the log-likelihood in comparisons of shapes
LONG_TAIL = 20.0  # remaining gain relative to the gain of a step of a small tau
LONG_WAY = 8.0  # final gain relative to that of the first step, beyond chance
LEAST_NOISE_SHARE = 1e-6  # of the variance that tasks explain, if S can explain all
LEAST_SHARE = 1e-14  # the same otherwise
SMALL_SHARE = 2e-5  # the same, below which the likelihood hardly depends on v

Point = tuple[Array, float, float]  # S, v, tau


def start(problem: Problem) -> tuple[Point, Array]:
    """Point and mean from which a fit starts: ridge regression on all rows."""
    table, p = problem.table, problem.p
    gram, target = table.gram[:p, :p], table.gram[:p, p]
    pooled = problem.pooled
    penalty = table.mean_weight if pooled is None else pooled.penalty
    phi = np.linalg.solve(gram + penalty * np.eye(p), target)
    if pooled is None:
        squares = table.gram[p, p] - 2 * phi @ target + phi @ gram @ phi
        variance = max(float(squares) / table.n_rows_all, 1e-10 * table.mean_weight)
    else:
        variance = pooled.noise
    if not problem.learn_noise:
        variance = 2.0
    entries = np.full(p, 0.5 * variance / table.mean_weight / p)
    entries[-1] = 0.25 * variance / table.mean_weight
    S = np.diag(np.where(problem.support, entries, 0.0))
    return (S, 0.5 * variance, FIRST_TAU), np.append(phi, np.zeros(problem.q))


class Search:
    """One fit; after `run`, the best point is `now`.

    Parameters
    ----------
    problem : Problem
    nu : float
        Strength of the penalty on the correlations of a full S; infinite for a
        diagonal S.
    tol : float
    rival : float, default=-inf
        Score of a shape that has been fitted. A search that is not expected to exceed
        it is stopped; with -inf every search runs to its end.

    Attributes
    ----------
    now : Evaluation
    n_iter : int
        Evaluations.
    converged : bool
    holds_noise : bool
        Whether v tended to zero and was held at a small value.
    is_hopeless : bool
        Whether the search was stopped because of `rival`.
    """

    now: Evaluation

    def __init__(self, problem: Problem, nu: float, tol: float, rival: float = -np.inf):
        self.problem, self.nu, self.tol, self.rival = problem, nu, tol, rival
        self.is_hopeless = False
        self.is_full = np.isfinite(nu) and int(problem.support.sum()) > 1
        self.n_iter, self.converged, self.holds_noise = 0, False, False
        self._was_cut, self._failed_drops, self._returns = False, 0, 0
        gram = problem.table.gram[:-1, :-1] / max(problem.table.n_rows_all, 1.0)
        self._gram = gram
        rows, free = problem.table.n_rows.max(initial=0), problem.support.sum()
        self._can_explain_all = bool(rows <= free)
        self._least_share = LEAST_NOISE_SHARE if rows <= free else LEAST_SHARE

    # ---- the penalised likelihood

    @property
    def value(self) -> float:
        """Penalised log-likelihood of the current point."""
        return self.now.log_likelihood + self.penalty(self.now.S)

    def penalty(self, S: Array) -> float:
        """nu / 2 log det of the correlations."""
        if not self.is_full:
            return 0.0
        live = np.diag(S) > 0
        matrix = S[np.ix_(live, live)]
        log_det = np.linalg.slogdet(matrix)[1] - np.log(np.diag(matrix)).sum()
        return 0.5 * self.nu * float(log_det)

    def _evaluate(
        self, S: Array, v: float, tau: float, beta: Array
    ) -> Evaluation | None:
        self.n_iter += 1
        return evaluate(self.problem, S, v, tau, beta, diagonal=not self.is_full)

    @property
    def price(self) -> float:
        """The penalty of the shape in a comparison with others."""
        price = PRICE_OF_LEVELS if self.problem.q else 0.0
        return price + self._price_of_correlations

    @property
    def score(self) -> float:
        """The criterion by which shapes are compared."""
        return self.value - self.price

    @property
    def _price_of_correlations(self) -> float:
        if not self.is_full:
            return 0.0
        free, n_tasks = int(self.problem.support.sum()), self.problem.n_tasks
        return n_tasks / (n_tasks + self.nu) * free * (free - 1) / 2

    def _starts_without_prospect(self) -> bool:
        """Whether the expected gain of the first step of a full S is far too small."""
        if not self.is_full or self.rival == -np.inf:
            return False
        # half of the price is what correlations gain by chance
        chance = 0.5 * self._price_of_correlations
        gain = chance + LONG_WAY * max(
            promise(self.problem, self.now, self.nu) - chance, 0.0
        )
        return self.score + gain < self.rival

    def _loses_levels(self, step: Step) -> bool:
        """Whether tau tends to zero, so that the model equals one without levels.

        Convergence is slow: every step of tau shrinks by about the same factor.
        """
        now, missing = self.now, self.rival - self.score
        if self.is_full or not self.problem.q:
            return False
        if missing <= 0 or now.next_tau >= now.tau:
            return False
        if LONG_TAIL * step.gain < missing:
            return True
        return now.next_tau < FALLS * now.tau and now.tau <= NO_TAU * FIRST_TAU

    # ---- the loop

    def _take(self, point: Any) -> None:
        """Continue from an evaluated point."""
        self.now = point

    def run(self, point: Point, beta: Array, max_iter: int) -> None:
        """Maximise from a point, with at most this number of evaluations."""
        self._take(self._first(point, beta))
        if not self.problem.is_identified:
            self.converged = True
            return
        if self._starts_without_prospect():
            self.is_hopeless = True
            return
        while self.n_iter < max_iter:
            self._hold_noise()
            if self.is_full:
                self._drop()
            step = self._step()
            if self._loses_levels(step):
                self.is_hopeless = True
                return
            if step.gain < self.tol:
                if self.is_full and self._return():
                    continue
                self.converged = True
                return
            if not self._move(step, max_iter):
                return

    def _first(self, point: Point, beta: Array) -> Evaluation:
        S, v, tau = point
        for _ in range(MOST_STARTS):
            now = self._evaluate(S, v, tau, beta)
            if now is not None:
                return now
            v *= 10  # it was below the rounding of what S explains
        raise FloatingPointError(
            "The likelihood of the tasks overflows: some features or targets are too "
            "large."
        )

    @property
    def _learns_noise(self) -> bool:
        return self.problem.learn_noise and not self.holds_noise

    @property
    def _explained(self) -> float:
        """Mean variance of a target due to the differences between tasks."""
        return float(np.sum(self._gram * self.now.S))

    def _hold_noise(self) -> None:
        least = max(self._least_share * self._explained, 2 * least_noise(self.problem))
        self.holds_noise |= self.now.v <= least

    @property
    def noise_vanishes(self) -> bool:
        """Whether v was held, or was tending to zero when the search ended."""
        near = SMALL_SHARE * self._explained if self._can_explain_all else 0.0
        return self.problem.learn_noise and (self.holds_noise or self.now.v < near)

    def _step(self) -> Step:
        if self.is_full and self.now.S.any():  # without a live coefficient: diagonal
            step = full_step(
                self.problem, self.now, self.nu, learn_noise=self._learns_noise
            )
        else:
            free = np.append(self.problem.support, self._learns_noise)
            step = diagonal_step(self.problem, self.now, free, average=False)
            if step.gain < 1 or self._was_cut:
                step = diagonal_step(self.problem, self.now, free, average=True)
        return Step(step.at, step.gain + self.now.tau_gain)

    def _move(self, step: Step, max_iter: int) -> bool:
        """Take the step, or a part of it; False if no part is an improvement."""
        now, share = self.now, 1.0
        least = self.value - SLACK * abs(self.value)
        while True:
            S, v = step.at(share)
            if not self._learns_noise:
                v = now.v
            tau = now.tau ** (1 - share) * now.next_tau**share
            new = self._evaluate(S, v, tau, now.beta)
            if new is not None and new.log_likelihood + self.penalty(S) >= least:
                self._was_cut = share < 1
                self._take(new)
                return True
            if self.n_iter >= max_iter or share < LEAST_CUT:
                return False
            share *= CUT

    # ---- coefficients that leave a full S, and return

    def _worth(self) -> Array:
        """Twice the gain per unit of an entry at zero, at its best correlations."""
        off = self.now.gradient - np.diag(np.diag(self.now.gradient))
        through = np.einsum("ij,jk,ik->i", off, self.now.S, off)
        return np.diag(self.now.gradient) + through / self.nu

    def _drop(self) -> None:
        """Remove entries of S that are nearly zero and do not increase the value."""
        if self._failed_drops >= MOST_CHANGES:
            return
        now, entries = self.now, np.diag(self.now.S)
        seen = entries * np.diag(now.information) / self.problem.n_tasks
        leaves = (entries > 0) & (seen < LITTLE) & (self._worth() < 0)
        if not leaves.any() or leaves.sum() == (entries > 0).sum():
            return
        S = np.where(leaves | leaves[:, np.newaxis], 0.0, now.S)
        if not self._try(S, self.value):
            self._failed_drops += 1

    def _return(self) -> bool:
        """Give a small value to an entry at zero that would increase the value."""
        if self._returns >= MOST_CHANGES:
            return False
        now, support = self.now, self.problem.support
        seen = np.maximum(np.diag(now.information) / self.problem.n_tasks, 1e-300)
        worth = self._worth() / seen
        wanted = support & (np.diag(now.S) == 0) & (0.01 * worth > self.tol)
        if not wanted.any():
            return False
        self._returns += 1
        j = int(np.argmax(np.where(wanted, worth, -np.inf)))
        off = now.gradient[j].copy()
        off[j] = 0.0
        through = now.S @ off
        size = 0.1 * self.nu**2 / max(float(off @ through), 1e-300)
        size = min(0.01 / float(seen[j]), size)
        S = now.S.copy()
        S[j] = S[:, j] = size * through / self.nu
        S[j, j] = size
        return self._try(S, self.value)

    def _try(self, S: Array, least: float) -> bool:
        new = self._evaluate(S, self.now.v, self.now.tau, self.now.beta)
        if new is None or new.log_likelihood + self.penalty(S) < least:
            return False
        self._take(new)
        return True
