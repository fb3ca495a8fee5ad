"""Follow-the-regularized-leader on the full losses of a task, as an inner learner."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from skmeta import _kernels
from skmeta._batch import Objective, Task
from skmeta._kernels import _leaders_py
from skmeta._learners._protocol import Capability, Outcome, OwnLearner
from skmeta._parameters import cheap_clone
from skmeta._solvers import TaskLoss
from skmeta._step_matrices import as_matrices, inverses
from skmeta.losses import Loss, SquaredError


@dataclass(frozen=True, eq=False)
class FullLossLearner(OwnLearner):
    """Follow-the-regularized-leader on the full losses of a task.

    The iterate before sample i minimises the loss of the samples before it plus
    ||theta - start||**2 / (2 eta), or (theta - start)' inv(eta) (theta - start) / 2 for
    matrices eta, of which a parameter with a row of zeros stays. One pass; no ball.

    Attributes
    ----------
    loss : Loss
        Squared error or log loss.
    bias : float
        Value of the constant feature: 1.0 with an intercept, 0.0 without.
    eta0 : ndarray
        One over the strength.
    changed_step : str or None
    """

    can: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.STEPS,
            Capability.COORDINATE_STEPS,
            Capability.LOSSES,
            Capability.GRADIENTS,
            Capability.AVERAGE,
            Capability.EXACT,
            Capability.MATRIX_STEPS,
        }
    )
    guarantee = "G1"
    default_step_size: ClassVar[str] = "per_coordinate"

    loss: Loss
    bias: float
    eta0: np.ndarray
    changed_step: str | None = None

    @cached_property
    def objective(self) -> Objective:  # type: ignore[override]
        return Objective(self.loss, self.bias)

    def step(self, n_samples: int) -> np.ndarray:
        return self.eta0

    def roots(self, shape: tuple[int, int]) -> np.ndarray:
        """R with R R' = eta0, one matrix for every row of parameters of this shape."""
        matrices = self.__dict__.get("_roots")
        if matrices is None:
            matrices = _kernels.roots(as_matrices(self.eta0, shape))
            object.__setattr__(self, "_roots", matrices)
        return matrices

    @np.errstate(over="ignore", invalid="ignore")
    def run(
        self, task: Task, start: np.ndarray, eta: np.ndarray, *, average: bool
    ) -> Outcome:
        loss, theta = task.loss(self.objective, len(start)), start.copy()
        mean = np.empty_like(theta) if average else None
        scores = np.empty(loss.targets.shape)
        roots = _kernels.roots(as_matrices(eta, theta.shape))
        finite = learn_path(loss, theta, roots, scores, mean)
        if not (finite and np.isfinite(task.y).all()):
            return Outcome(start, problem=self.divergence())
        losses = loss.weight * self.loss.value(loss.targets, scores).sum(axis=1)
        slope = loss.weight[:, np.newaxis] * self.loss.slope(loss.targets, scores)
        grad_sq = _gradient_sums(slope, loss.design, eta)
        problem = None if np.isfinite(grad_sq).all() else self.divergence()
        return Outcome(theta, mean, losses, grad_sq, problem)

    def fitted(
        self,
        estimator: Any,
        task: Task,
        start: np.ndarray,
        eta: np.ndarray,
        *,
        average: bool,
        **learned: Any,
    ) -> Any:
        adapted = cheap_clone(estimator)
        adapted.alpha = strength(eta)
        vars(adapted).update(learned, t_=0)
        adapted._learn(task, replace(self, eta0=eta), start)
        return adapted


def _gradient_sums(
    slope: np.ndarray, design: np.ndarray, eta: np.ndarray
) -> np.ndarray:
    """Sums of squared gradients in the shape of the step size."""
    if eta.ndim == 3:
        return np.array([(design.T * one) @ design for one in slope.T**2])
    squares = (slope**2).T @ design**2
    return squares if eta.size > 1 else squares.sum().reshape(1, 1)


def learn_path(
    task: TaskLoss,
    theta: np.ndarray,
    roots: np.ndarray,
    scores: np.ndarray,
    average: np.ndarray | None = None,
) -> bool:
    """The kernel's leaders of a task; for the squared error `roots` move too."""
    if type(task.loss) is SquaredError:
        rows = task.design, task.targets[:, 0], task.weight
        mean = None if average is None else average[0]
        return _kernels.ridge_leaders(*rows, theta[0], roots[0], scores[:, 0], mean)
    rows, start = (task.design, task.targets, task.weight), theta.copy()
    if _kernels.logistic_leaders(*rows, theta, roots, scores, average):
        return True
    if not (np.isfinite(task.design).all() and np.isfinite(roots).all()):
        return False
    # Near the limit of precision, a new factorisation for every step still works.
    theta[:] = start
    return _leaders_py.logistic_leaders(*rows, theta, roots, scores, average)


def strength(eta: np.ndarray) -> Any:
    """alpha of a step size."""
    if eta.size == 1:
        return 1.0 / eta.item()
    if eta.ndim == 2:
        return 1.0 / eta
    alpha = inverses(eta)
    return alpha if len(alpha) > 1 else alpha[0]
