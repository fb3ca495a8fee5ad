"""The prior of a new task as an inner learner with a start and a matrix step size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from skmeta._batch import Task
from skmeta._learners._full_loss import FullLossLearner, strength
from skmeta._learners._protocol import to_coef
from skmeta._mixed._posterior import Predictor
from skmeta._units import Coordinates
from skmeta.linear_model import BiasedLogisticRegression, BiasedRidge
from skmeta.losses import LogLoss, Loss, SquaredError


@dataclass(frozen=True, eq=False)
class NewTask:
    """What is known about a new task before its targets are seen.

    Attributes
    ----------
    coordinates : Coordinates
        Units in which the rest is.
    mean : ndarray of shape (n_outputs, p)
    step_size : ndarray of shape (n_outputs, p, p)
        Covariance of the coefficients over the variance of the noise.
    noise : float or None
        Variance of the noise, raw; None for classes.
    bias : float
        1 with an intercept, 0 without.
    """

    coordinates: Coordinates
    mean: np.ndarray
    step_size: np.ndarray
    noise: float | None
    bias: float

    @cached_property
    def learner(self) -> FullLossLearner:
        """The learner that returns the posterior mean or mode."""
        loss: Loss = LogLoss() if self.noise is None else SquaredError()
        return FullLossLearner(loss, self.bias, self.step_size)

    @cached_property
    def alpha(self) -> Any:
        """The strength of the regularisation, as the linear models take it."""
        return strength(self.step_size)

    def fitted(self, task: Task, **learned: Any) -> Any:
        """A linear model with the posterior of the task."""
        model: Any
        if self.noise is None:
            model = BiasedLogisticRegression(self.alpha, moderated=True)
        else:
            model = BiasedRidge(self.alpha, noise=self.noise)
        model.fit_intercept = bool(self.bias)
        start = self.coordinates.to_raw(self.mean)
        classes = learned.get("classes_")
        model.coef_init, model.intercept_init = to_coef(start, classes)
        vars(model).update(learned, t_=0, _coordinates=self.coordinates)
        model._learn_inside(self.coordinates.task(task), self.learner, self.mean)
        return model


def joined(rows: list[NewTask]) -> NewTask:
    """The rows of weights of a classifier as one, in the coordinates of the first."""
    coordinates = rows[0].coordinates
    changes = [_change(row.coordinates, coordinates) for row in rows]
    pairs = list(zip(changes, rows, strict=True))
    mean = np.concatenate([row.mean @ M.T for M, row in pairs])
    step_size = np.concatenate([M @ row.step_size @ M.T for M, row in pairs])
    return NewTask(coordinates, mean, step_size, None, rows[0].bias)


def _change(old: Coordinates, new: Coordinates) -> np.ndarray:
    """Matrix from coefficients in old coordinates to new; both leave the target raw."""
    has_scale = new.scale > 0
    ratio = np.divide(
        old.scale, new.scale, out=np.zeros_like(old.scale), where=has_scale
    )
    M = np.diag(np.append(ratio, 1.0))
    M[-1, :-1] = old.scale * (new.location - old.location)
    return M


def new_task(predictor: Predictor, factor: np.ndarray) -> NewTask:
    """The prior of a new task that has this factor.

    phi and gamma were learned without the task, so their uncertainty is part of its
    prior.
    """
    prior, p = predictor.prior, len(predictor.origin)
    cached = predictor.__dict__.get("_new_task")
    if cached is not None:
        return cached
    mean, covariance = prior.phi.copy(), prior.S + prior.V[:p, :p]
    if prior.has_levels:
        sums = factor[:, -2] @ factor
        weight = float(sums[-2])
        levels = predictor._levels
        m = levels.means(prior.units.features(sums[:-2] / weight), weight)
        mean[-1] += m @ prior.gamma
        cross = prior.V[:p, p:] @ m
        covariance[-1] += cross
        covariance[:, -1] += cross
        covariance[-1, -1] += m @ prior.V[p:, p:] @ m + levels.unknown(weight)
    step_size = np.where(
        np.outer(prior.units.varies, prior.units.varies), covariance, 0
    )
    units, origin = prior.units, predictor.origin
    coordinates = Coordinates(
        location=origin[:-1] + units.mean,
        scale=units.scale,
        offset=float(origin[-1] + units.target_mean),
        unit=units.target_scale,
    )
    noise = predictor.noise_variance
    scaled = step_size[np.newaxis] / prior.v
    new = NewTask(coordinates, mean[np.newaxis], scaled, noise, prior.bias)
    if not prior.has_levels:  # the same for every task
        predictor.__dict__["_new_task"] = new
    return new
