"""A Gaussian prior of the tasks' parameters, and the noise, learned task by task.

Everything is computed in units of the rows seen so far: features and target centred and
divided by their spread (without an intercept: divided by their root mean square). A
feature that has not varied is zero there, and its slope is not learned. The log loss
leaves the target as it is and has noise 1.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.linalg.lapack import dgesv, dposv

from skmeta import _kernels
from skmeta._kernels import _leaders_py
from skmeta._matrices import diagonals
from skmeta._solvers import TaskLoss

START = 0.5  # prior variance and noise before any task, for a target of variance one
FLOOR = 1e-4  # of both
RIDGE = 1.0  # information on the mean before any task: as much as one row has
MAX_ENTRIES = 2**25  # of one matrix per output
NOT_VARIED = 1e-9  # spread of a feature over its mean up to which it is rounding error


class Prior:
    """What is learned, as named views of one array.

    Attributes
    ----------
    information : ndarray of shape (n_outputs, p, p)
        Sum over tasks of X' P X, P the inverse covariance of a task's targets in units,
        features counted from `origin`.
    covariance : ndarray of shape (n_outputs, p, p)
        Of the tasks' parameters, in units.
    origin : ndarray of shape (p,)
        Features of the first row; the last entry is zero.
    mean, squares : ndarray of shape (p,)
        Mean and sum of squared deviations of the features and, last, of the target.
    moves, determined : ndarray of shape (n_outputs, p)
        Running means over tasks: squared differences of a task's parameters from their
        mean, and the share of each that the task's rows determine.
    residuals, free : ndarray of shape (n_outputs,)
        The same for the noise: sums of squared residuals, in units, and degrees of
        freedom.
    n_rows : ndarray of shape (1,)
        Sum of the weights of all rows.
    """

    def __init__(self, state):
        p = state.shape[-1]
        self.information, self.covariance = state[:, :p], state[:, p : 2 * p]
        self.origin, self.mean, self.squares = state[0, 2 * p : 2 * p + 3]
        self.moves, self.determined = state[:, 2 * p + 3], state[:, 2 * p + 4]
        self.residuals, self.free = state[:, 2 * p + 5, 0], state[:, 2 * p + 5, 1]
        self.n_rows = state[0, 2 * p + 6, :1]

    @staticmethod
    def start(shape):
        """The state before the first task."""
        n_outputs, p = shape
        state = np.zeros((n_outputs, 2 * p + 7, p))
        prior = Prior(state)
        prior.covariance[:] = np.diag(_shares(p))
        prior.moves[:], prior.determined[:] = _shares(p), 1.0
        prior.residuals[:], prior.free[:] = 1.0, 1.0
        return state

    @property
    def noise(self):
        """Variance of the noise of every output, in units."""
        return np.maximum(self.residuals / self.free, FLOOR)

    # ---- units

    def units(self):
        """Spread of every feature, 1 for the intercept; and spread of the target."""
        spread = np.sqrt(self.squares / self.n_rows)
        spread[spread <= NOT_VARIED * np.abs(self.mean)] = 0.0
        target_unit, spread[-1] = float(spread[-1]) or 1.0, 1.0
        return spread, target_unit

    def to_raw(self, spread):
        """From parameters in units to raw ones, but for the target's unit.

        A scale and a shift, see `_shifted`.
        """
        scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
        shift = -self.mean * scale
        shift[-1] = 0.0
        return scale, shift

    def raw_covariance(self):
        """Covariance of the tasks' parameters over the noise, in raw coordinates."""
        change = self.to_raw(self.units()[0])
        relative = self.covariance / self.noise[:, np.newaxis, np.newaxis]
        return _shifted(_shifted(relative, *change).swapaxes(1, 2), *change)

    @np.errstate(over="ignore", invalid="ignore")
    def in_units_of(self, task):
        """The raw covariance before any task, if the rows of one give the units."""
        self._see_rows(task)
        return self.raw_covariance()

    def raw_noise(self):
        """Variance of the noise, in raw units."""
        return self.noise * self.units()[1] ** 2

    # ---- learning

    def learn(self, tasks, phi, guesses, rates, *, full):
        """Learn from tasks that have one prior.

        Parameters
        ----------
        tasks : list of TaskLoss
        phi : ndarray of shape (n_outputs, p)
            The mean of the prior, raw.
        guesses : ndarray of shape (n_tasks, n_outputs, p)
            Where to look for the tasks' parameters, raw.
        rates : sequence of float
            Share that every task has in what is learned.
        full : bool
            Whether the covariance has off-diagonal entries, in units.

        Returns
        -------
        move : ndarray of shape (n_outputs, p)
            From `phi` to the generalised least squares estimate of the mean.
        parameters : ndarray of shape (n_tasks, n_outputs, p)
            Posterior mean of the parameters of every task.
        """
        first = not self.n_rows
        for task in tasks:
            self._see_rows(task)
        center = phi.copy()
        if first and not phi.any():
            center[:, -1] = self.mean[-1]
        spread, target_unit = self.units()
        scale, shift = self.to_raw(spread)
        start = self._parameter_in_units(center, spread, target_unit)
        found = [
            self._posterior(self._in_units(task, scale, target_unit), start, inside)
            for task, inside in zip(
                tasks,
                self._parameter_in_units(guesses, spread, target_unit),
                strict=True,
            )
        ]
        from_origin = self.mean - self.origin
        from_origin[-1] = 0.0
        shares = _shares(len(spread))
        variances = diagonals(self.covariance)
        before = variances.copy()
        for task, posterior, rate in zip(tasks, found, rates, strict=True):
            self.information += _substituted(posterior.information, spread, from_origin)
            if full:
                self._learn_full(posterior, rate)
            else:
                self._learn_diagonal(posterior, before, rate * (spread > 0))
            np.maximum(variances, FLOOR * shares, out=variances)
            if not task.loss.is_margin:
                self.residuals += rate * (posterior.residuals - self.residuals)
                self.free += rate * (posterior.free - self.free)
        information = _substituted(self.information, scale, -from_origin * scale)
        diagonals(information)[:] += RIDGE / shares
        gradient = sum(posterior.gradient for posterior in found)
        pairs = zip(information, gradient, strict=True)
        steps = np.array([dposv(H, score)[1] for H, score in pairs])
        moved = np.array([posterior.moved for posterior in found])
        way = center - phi + target_unit * _shifted(steps, scale, shift)
        return way, center + target_unit * _shifted(moved, scale, shift)

    def _see_rows(self, task):
        """Add the rows of a task to means and spreads."""
        table = task.design.copy()
        table[:, -1] = 0.0 if task.loss.is_margin else task.targets[:, 0]
        n_new, has_intercept = task.weight.sum(), task.design[0, -1] != 0
        if not self.n_rows:
            if not task.loss.is_margin:
                self.covariance *= START
                self.moves *= START
                self.residuals[:], self.free[:] = START * n_new, n_new
            if has_intercept:
                self.origin[:-1] = table[0, :-1]
        self.n_rows += n_new
        if not has_intercept:
            self.squares += task.weight @ table**2
            return
        first = table[0].copy()
        table -= first  # so that what does not vary is exactly zero
        mean = task.weight @ table / n_new
        self.squares += task.weight @ (table - mean) ** 2
        moved = first + mean - self.mean
        self.squares += moved**2 * (n_new * (1.0 - n_new / self.n_rows[0]))
        self.mean += moved * (n_new / self.n_rows[0])

    def _in_units(self, task, inverse, target_unit):
        design, targets = task.design.copy(), task.targets
        design[:, :-1] -= self.mean[:-1]
        design *= inverse
        if not task.loss.is_margin:
            targets = (targets - self.mean[-1]) / target_unit
        return TaskLoss(task.loss, design, targets, task.weight)

    def _parameter_in_units(self, theta, spread, target_unit):
        inside = theta * spread
        inside[..., -1] += theta[..., :-1] @ self.mean[:-1] - self.mean[-1]
        return inside / target_unit

    def _posterior(self, task, center, guess):
        prior = self.covariance.copy()
        if task.loss.is_margin:
            return _laplace(task, center, prior, guess)
        return _exact(task, center, prior, self.noise[0])

    def _learn_diagonal(self, posterior, before, rate):
        """The fixed point of EM, by an update that does not slow down near to zero.

        `before` are the prior variances of the task.
        """
        determined = 1.0 - diagonals(posterior.covariance) / before
        self.moves += rate * (posterior.moved**2 - self.moves)
        self.determined += rate * (np.maximum(determined, 0.0) - self.determined)
        variances, seen = diagonals(self.covariance), self.determined > 0.0
        np.divide(self.moves, self.determined, out=variances, where=seen)

    def _learn_full(self, posterior, rate):
        """A step of EM."""
        moved = posterior.moved
        found = posterior.covariance + moved[:, :, np.newaxis] * moved[:, np.newaxis]
        self.covariance += rate * (found - self.covariance)


class Posterior(NamedTuple):
    """What a task shows, per output: in units.

    Attributes
    ----------
    moved : ndarray of shape (n_outputs, p)
        Posterior mean minus prior mean.
    covariance : ndarray of shape (n_outputs, p, p)
    gradient : ndarray of shape (n_outputs, p)
        Of the log evidence in the prior mean.
    information : ndarray of shape (n_outputs, p, p)
        Minus its second derivative.
    residuals, free : float or None
        Sum of squared residuals, and rows minus parameters, as far as determined; not
        for the log loss.
    """

    moved: np.ndarray
    covariance: np.ndarray
    gradient: np.ndarray
    information: np.ndarray
    residuals: float | None = None
    free: float | None = None


def _shifted(theta, scale, shift):
    """F theta for vectors theta: F is diag(scale), with `shift` added to its last row.

    So parameters change when features are moved and scaled.
    """
    changed = theta * scale
    changed[..., -1] += theta @ shift
    return changed


def _substituted(matrices, scale, shift):
    """F' M F, for the F of `_shifted` and every matrix M."""
    for _ in range(2):
        last = matrices[..., -1:] * shift
        matrices = (matrices * scale + last).swapaxes(1, 2)
    return matrices


def _exact(task, center, prior, noise):
    """For the squared error."""
    b, weight = task.design, task.weight / noise
    t = task.targets[:, 0] - b @ center[0]
    A = (b.T * weight) @ b
    C = _posterior_covariance(prior[0], A)
    moved = C @ (b.T @ (weight * t))
    s = t - b @ moved
    return Posterior(
        moved[np.newaxis],
        C[np.newaxis],
        gradient=((weight * s) @ b)[np.newaxis],
        information=(A - A @ C @ A)[np.newaxis],
        residuals=noise * (weight @ s**2),
        free=task.weight.sum() - np.vdot(A, C),
    )


def _laplace(task, center, prior, guess):
    """Laplace's approximation for the log loss; NaN where rounding errors hide it."""
    mode, gradient = np.empty_like(center), np.empty_like(center)
    covariance, information = np.empty_like(prior), np.empty_like(prior)
    for kernel in (_kernels, _leaders_py):  # the twin's steps bear more rounding
        mode[:] = center
        found = kernel.logistic_posteriors(
            *task[1:], mode, prior, guess, covariance, gradient, information
        )
        if found or not np.isfinite(task.design).all():
            break
    moved = mode - center if found else np.full_like(center, np.nan)
    return Posterior(moved, covariance, gradient, information)


def _posterior_covariance(S, A):
    """inv(inv(S) + A), for an S that may be near to singular."""
    system = S @ A
    system.ravel()[:: len(S) + 1] += 1.0
    C = dgesv(system, S)[2]
    return 0.5 * (C + C.T)


def _shares(p):
    """Share of every parameter in a target of variance one, the intercept's last.

    Slopes of features in units share one half, the intercept has the other.
    """
    shares = np.full(p, 0.5 / (p - 1))
    shares[-1] = 0.5
    return shares


def predictive_std(X, covariance, noise, bias):
    """Standard deviation of a target: noise * (1 + x' covariance x), rooted."""
    X = X.toarray() if sp.issparse(X) else X
    design = np.column_stack([X, np.full(len(X), float(bias))])
    explained = np.maximum(((design @ covariance) * design).sum(axis=1), 0.0)
    return np.sqrt(noise * (1.0 + explained))
