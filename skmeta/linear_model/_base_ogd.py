"""What OGDClassifier and OGDRegressor share: everything except the targets."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import check_random_state

from skmeta._batch import Task
from skmeta._kernels._loops_py import Shrinking
from skmeta._learners._ogd import OGDLearner
from skmeta._parameters import changed
from skmeta._sklearn import Interval, StrOptions
from skmeta._step_matrices import diagonal
from skmeta.linear_model._base import BaseLinear, check_step_size
from skmeta.losses import Loss


class BaseOGD(BaseLinear):
    """A linear model that takes one gradient step per sample."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "update": [StrOptions({"coin", "eg", "ftrl", "implicit", "ogd"})],
        "eta0": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "learning_rate": [StrOptions({"constant", "inverse", "invsqrt"})],
        "radius": [Interval(Real, 0, None, closed="neither"), None],
        "lipschitz": [Interval(Real, 0, None, closed="neither"), None],
        "average": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "fit_intercept": ["boolean"],
        "random_state": ["random_state"],
        **BaseLinear._parameter_constraints,
    }

    _theta: np.ndarray
    _average: np.ndarray
    # Of a model that `adapt` returned, if steps shrink: how, and the sum so far.
    _within: Any
    _squares: np.ndarray

    def inner_learner(
        self, shape: tuple[int, int], classes: np.ndarray | None = None
    ) -> OGDLearner:
        """The learner that trains parameters of this shape.

        Parameters
        ----------
        shape : tuple of int
            (n_outputs, n_features + 1).
        classes : ndarray of shape (n_classes,), default=None
            Not used.

        Returns
        -------
        learner : OGDLearner
        """
        eta0 = check_step_size(self.eta0, "eta0", type(self).__name__, shape)
        loss = self._make_loss()
        self._check_update(eta0, loss)
        is_ltl = self.learning_rate == "inverse"
        return OGDLearner(
            loss=loss,
            update="ltl" if is_ltl else self.update,
            radius=np.inf if self.radius is None else float(self.radius),
            bias=float(self.fit_intercept),
            max_iter=self.max_iter,
            eta0=eta0,
            divide_by_root=self.learning_rate == "invsqrt",
            shuffle=self.shuffle,
            lipschitz=loss.lipschitz if self.lipschitz is None else self.lipschitz,
            changed_step=changed(self, "eta0", "learning_rate"),
            unused=self._unused(),
        )

    def _check_update(self, eta0: np.ndarray, loss: Loss) -> None:
        """Refuse parameters that do not go with the update."""
        update = self.update
        if update == "eg" and (self.radius is None or eta0.size > 1):
            raise ValueError(
                "update='eg' bounds the sum of absolute parameters by `radius` and has "
                "one step size: it needs a radius and a single eta0. Got "
                f"radius={self.radius!r} and eta0={self.eta0!r} instead."
            )
        if self.learning_rate == "inverse" and update != "ftrl":
            raise ValueError(
                "learning_rate='inverse' is defined for update='ftrl' only. Got "
                f"update={update!r} instead."
            )
        if update != "coin":
            if self.lipschitz is not None:
                raise ValueError(
                    "Only update='coin' uses `lipschitz`: leave it None. Got "
                    f"lipschitz={self.lipschitz!r} with update={update!r}."
                )
            return
        ignored = changed(self, "eta0", "learning_rate", "radius")
        if ignored is not None:
            raise ValueError(
                "update='coin' has no step size and no ball: leave `eta0`, "
                f"`learning_rate` and `radius` at their defaults. Got {ignored}."
            )
        if self.lipschitz is None and not np.isfinite(loss.lipschitz):
            raise ValueError(
                "update='coin' needs a bound on the slopes of the loss, which "
                f"{loss!r} does not have: set `lipschitz`, or choose another loss, "
                "such as 'huber'."
            )

    def _make_loss(self) -> Loss:
        raise NotImplementedError

    def _learner(self, shape: tuple[int, int], one_pass: bool) -> OGDLearner:
        learner = self.inner_learner(shape)
        return replace(learner, max_iter=1) if one_pass else learner

    def _learn(self, task: Task, learner: OGDLearner, theta: np.ndarray) -> None:
        """Train from the raw parameter `theta` and set the fitted attributes."""
        if learner.shuffle:
            seed = check_random_state(self.random_state).randint(2**31)
            task = Task(task.X, task.y, task.weight, seed)
        coordinates, inside, theta = self._in_units(task, theta)
        if self.average and self.t_:
            theta = self._theta.copy()
        if coordinates is not None:
            learner = learner.in_units(coordinates)
        eta, shrinking = learner.step(len(task)), None
        if "_within" in vars(self):
            squares = self._squares.copy() if self.t_ else np.zeros_like(eta)
            shrinking = Shrinking(self._within, squares)
            learner = replace(learner, shrinking=shrinking)
        outcome = learner.run(inside, theta, eta, average=True)
        if outcome.problem is not None:
            raise ValueError(f"{type(self).__name__}: {outcome.problem}.")
        theta, average, losses, grad_sq = outcome[:4]
        assert average is not None and losses is not None and grad_sq is not None
        n_steps = len(task) * learner.max_iter
        if self.t_:
            average += self.t_ / (self.t_ + n_steps) * (self._average - average)
        self.t_ += n_steps
        self.n_iter_ = learner.max_iter
        self.losses_ = losses
        self.grad_sq_ = grad_sq
        self.grad_sq_norm_ = float(diagonal(grad_sq).sum())
        if shrinking is not None:
            self._squares = shrinking.squares
        self._theta, self._average = theta, average
        if coordinates is not None:
            self.losses_ *= coordinates.loss_factor(learner.objective)
            theta, average = coordinates.to_raw(theta), coordinates.to_raw(average)
        self.average_coef_, self.average_intercept_ = self._shape_coef(average)
        self.coef_, self.intercept_ = self._shape_coef(
            average.copy() if self.average else theta.copy()
        )
