"""Online gradient descent as an inner learner."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skmeta import _kernels
from skmeta._batch import Objective, Task
from skmeta._kernels import _loops_py
from skmeta._learners._checked_loss import CheckedLoss, NonFiniteLoss
from skmeta._learners._protocol import Capability, Outcome, OwnLearner
from skmeta._parameters import cheap_clone
from skmeta._units import Coordinates
from skmeta.losses import Loss

_CAN = frozenset(
    {Capability.STEPS, Capability.LOSSES, Capability.GRADIENTS, Capability.AVERAGE}
)

_CAN_ALSO = {
    "ftrl": frozenset({Capability.COORDINATE_STEPS, Capability.MATRIX_STEPS}),
}
_CAN_ALSO["ogd"] = _CAN_ALSO["ftrl"] | {Capability.SHRINKING_STEPS}
_CAN_ALSO["implicit"] = _CAN_ALSO["ogd"]

_LARGE_SCORES = (
    "If the scores are large, the parameters diverge: scale the features, or lower eta0"
)


@dataclass(frozen=True, eq=False)
class OGDLearner(OwnLearner):
    """One step per sample on one loss.

    Attributes
    ----------
    loss : Loss
    update : {'ogd', 'implicit', 'ftrl', 'eg'}
    radius : float
        Of the ball that every iterate is projected on, infinite for none; of the
        simplex for 'eg'.
    bias : float
        Value of the constant feature: 1.0 with an intercept, 0.0 without.
    max_iter : int
        Passes over the rows of a task.
    eta0 : ndarray of shape (1, 1), (n_outputs, n_features + 1) or \
            (n_outputs, n_features + 1, n_features + 1)
    divide_by_root : bool
        Whether the step size is eta0 over the root of the number of samples.
    shuffle : bool
    changed_step : str or None
    shrinking : Shrinking or None
        How steps shrink within a task.
    """

    loss: Loss
    update: str
    radius: float
    bias: float
    max_iter: int
    eta0: np.ndarray
    divide_by_root: bool
    shuffle: bool
    changed_step: str | None = None
    shrinking: _loops_py.Shrinking | None = None

    @property
    def can(self) -> frozenset[Capability]:  # type: ignore[override]
        return _CAN | _CAN_ALSO.get(self.update, frozenset())

    @property
    def default_step_size(self) -> str:  # type: ignore[override]
        return "isotropic" if self.update == "eg" else "per_coordinate"

    @property
    def objective(self) -> Objective:  # type: ignore[override]
        order = 1 if self.update == "eg" else 2
        return Objective(self.loss, self.bias, self.radius, order)

    def divergence(self) -> str:
        advice = super().divergence()
        if self.update == "implicit":
            return advice
        return f"{advice}, use update='implicit', which does not diverge, or lower eta0"

    @property
    def guarantee(self) -> str | None:  # type: ignore[override]
        return None if self.update == "eg" else "G1"

    @property
    def holds_gil(self) -> bool:  # type: ignore[override]
        return not _kernels.COMPILED or self.loss.compiled not in _kernels.LOSSES

    @property
    def can_stream(self) -> bool:  # type: ignore[override]
        return not self.shuffle and self.eta0.ndim < 3

    def in_units(self, coordinates: Coordinates) -> OGDLearner:
        return replace(self, loss=self.loss.in_units(1.0 / coordinates.unit))

    def step(self, n_samples: int) -> np.ndarray:
        return self.eta0 / np.sqrt(n_samples) if self.divide_by_root else self.eta0

    def run(
        self, task: Task, start: np.ndarray, eta: np.ndarray, *, average: bool
    ) -> Outcome:
        theta, losses = start.copy(), np.zeros(len(task))
        mean = np.empty_like(theta) if average else None
        grad_sq = np.zeros_like(eta)
        rows = task.X, task.y, task.weight, self._order(task)
        moving = theta, eta, losses, mean, grad_sq
        learner, run = self, _kernels.run_task
        is_constant = eta.ndim < 3 and self.shrinking is None
        if self.loss.compiled not in _kernels.LOSSES or not is_constant:
            run = _loops_py.run_task
        if self.loss.compiled is None:
            learner = replace(self, loss=CheckedLoss(self.loss))
        try:
            finite = run(*rows, learner, *moving)
        except NonFiniteLoss as error:
            return Outcome(start, problem=f"{error}. {_LARGE_SCORES}")
        problem = None if finite else self.divergence()
        return Outcome(theta, mean, losses, grad_sq, problem)

    def _order(self, task: Task) -> np.ndarray | None:
        """The rows of every pass, a row of the array each; None: as they stand."""
        if not self.shuffle:
            return None
        assert task.seed is not None
        generator = np.random.default_rng(task.seed)
        rows = np.arange(len(task))
        passes = [generator.permutation(rows) for _ in range(self.max_iter)]
        return np.array(passes, dtype=np.intp)

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
        adapted.eta0 = float(eta[0, 0]) if eta.size == 1 else eta.copy()
        adapted.learning_rate = "constant"
        adapted.average = estimator.average or average
        vars(adapted).update(learned, t_=0)
        learner = replace(self, eta0=eta, divide_by_root=False)
        adapted._learn(task, learner, start)
        return adapted
