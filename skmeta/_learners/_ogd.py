"""Online gradient descent as an inner learner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skmeta import _kernels
from skmeta._batch import Objective, Task
from skmeta._kernels import _loops_py
from skmeta._learners._checked_loss import CheckedLoss, NonFiniteLoss
from skmeta._learners._protocol import Capability, Outcome, OwnLearner, to_coef
from skmeta._parameters import cheap_clone
from skmeta._units import Coordinates
from skmeta.losses import Loss

_CAN = frozenset({Capability.LOSSES, Capability.GRADIENTS, Capability.AVERAGE})
_CAN_ALSO: dict[str, frozenset[Capability]] = {
    "coin": frozenset(),
    "eg": frozenset({Capability.STEPS}),
}
_CAN_ALSO["ftrl"] = _CAN_ALSO["ltl"] = _CAN_ALSO["eg"] | {
    Capability.COORDINATE_STEPS,
    Capability.MATRIX_STEPS,
}
_CAN_ALSO["ogd"] = _CAN_ALSO["implicit"] = _CAN_ALSO["ftrl"] | {
    Capability.SHRINKING_STEPS
}
_GUARANTEES = {"eg": "EG", "coin": "COIN"}

_LARGE_SCORES = (
    "If the scores are large, the parameters diverge: scale the features, or lower eta0"
)


@dataclass(frozen=True, eq=False)
class OGDLearner(OwnLearner):
    """One step per sample on one loss.

    Attributes
    ----------
    loss : Loss
    update : {'ogd', 'implicit', 'ftrl', 'ltl', 'eg', 'coin'}
        'ltl' is 'ftrl' with steps of size eta m / i, of which the last one is eta.
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
    lipschitz : float
        For 'coin': the bound on the slopes of the loss.
    changed_step : str or None
    unused : str or None
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
    lipschitz: float = np.inf
    changed_step: str | None = None
    unused: str | None = None
    shrinking: _loops_py.Shrinking | None = None

    @property
    def can(self) -> frozenset[Capability]:  # type: ignore[override]
        return _CAN | _CAN_ALSO[self.update]

    @property
    def default_step_size(self) -> str:  # type: ignore[override]
        own = {"eg": "isotropic", "coin": "fixed", "ltl": "fixed"}
        return own.get(self.update, "per_coordinate")

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
        return _GUARANTEES.get(self.update, "G1")

    @property
    def holds_gil(self) -> bool:  # type: ignore[override]
        return not _kernels.COMPILED or self.loss.compiled not in _kernels.LOSSES

    @property
    def can_stream(self) -> bool:  # type: ignore[override]
        is_own = not self.shuffle and self.update not in ("coin", "ltl")
        return is_own and self.eta0.ndim < 3

    def in_units(self, coordinates: Coordinates) -> OGDLearner:
        loss, lipschitz = self.loss.in_units(1.0 / coordinates.unit), self.lipschitz
        if loss.degree is not None:
            lipschitz *= coordinates.unit ** (1 - loss.degree)
        return replace(self, loss=loss, lipschitz=lipschitz)

    def step(self, n_samples: int) -> np.ndarray:
        if self.update == "coin":
            return super().step(n_samples)
        if self.update == "ltl":
            return self.eta0 / n_samples
        return self.eta0 / np.sqrt(n_samples) if self.divide_by_root else self.eta0

    def bound_arguments(
        self, task: Task, start: np.ndarray, eta: np.ndarray, outcome: Outcome
    ) -> dict[str, Any]:
        if self.update == "eg":
            parts = _loops_py.first_parts(start, self.radius, self.bias)
            largest = self._sum_gradients(
                task, start, eta, lambda n, gradient: np.abs(gradient).max() ** 2
            )
            step_size = float(eta[0, 0])
            return {"parts": parts, "step_size": step_size, "grad_sq": float(largest)}
        if self.update == "coin":
            longest = _loops_py.longest_norm(task.X, task.weight, self.bias)
            lipschitz = self.lipschitz * longest * np.sqrt(len(start))
            return {"lipschitz": lipschitz, "n_samples": len(task)}
        arguments = super().bound_arguments(task, start, eta, outcome)
        if self.update == "ltl":
            # In units of the last step size, the one of sample n >= 2 is m / (n - 1).
            m, is_one = len(task), eta.size == 1
            sums = self._sum_gradients(
                task,
                start,
                eta,
                lambda n, gradient: (
                    m
                    / max(n - 1, 1)
                    * ((gradient**2).sum(keepdims=True) if is_one else gradient**2)
                ),
            )
            arguments["grad_sq"] = sums
        return arguments

    def _sum_gradients(
        self,
        task: Task,
        start: np.ndarray,
        eta: np.ndarray,
        function: Callable[[int, np.ndarray], Any],
    ) -> Any:
        """The sum of a function of the samples' numbers, from 1, and gradients."""
        terms: list[Any] = []

        def observe(row: int, slopes: np.ndarray, gradient: np.ndarray) -> None:
            terms.append(function(len(terms) + 1, gradient))

        self._observe(task, start, eta, observe)
        return sum(terms)

    def _observe(
        self,
        task: Task,
        start: np.ndarray,
        eta: np.ndarray,
        observe: Callable[[int, np.ndarray, np.ndarray], None],
    ) -> None:
        """Run the first pass once more, in NumPy, with an observer of the samples."""
        if self.update == "coin":
            eta = np.full((1, 1), 1.0 / self.lipschitz)
        one_pass: Any = replace(self, max_iter=1)
        rows = task.X, task.y, task.weight, self._order(task)
        moving: tuple[Any, ...] = start.copy(), eta, None, None, np.zeros_like(eta)
        run: Any = _loops_py.run_task
        run(*rows, one_pass, *moving, observe=observe)

    def run(
        self, task: Task, start: np.ndarray, eta: np.ndarray, *, average: bool
    ) -> Outcome:
        if self.update == "coin":
            eta = np.full((1, 1), 1.0 / self.lipschitz)
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
        problem = None if finite else self._problem(task, start, eta)
        return Outcome(theta, mean, losses, grad_sq, problem)

    def _problem(self, task: Task, start: np.ndarray, eta: np.ndarray) -> str:
        """Why a run stopped."""
        steep: list[tuple[int, float]] = []

        def observe(row: int, slopes: np.ndarray, gradient: np.ndarray) -> None:
            if np.abs(slopes).max() > self.lipschitz * (1.0 + 1e-12):
                steep.append((row, float(np.abs(slopes).max())))

        if self.update == "coin":
            self._observe(task, start, eta, observe)
        if not steep:
            return self.divergence()
        row, slope = steep[0]
        return (
            f"the slope of the loss in row {row} is {slope:.6g}, above "
            f"lipschitz={self.lipschitz:.6g}, so that the bound of update='coin' does "
            "not hold: increase `lipschitz`, or choose a loss with bounded slopes, "
            "such as 'huber'"
        )

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
        learner = self
        if self.update not in ("coin", "ltl"):
            adapted.eta0 = float(eta[0, 0]) if eta.size == 1 else eta.copy()
            adapted.learning_rate = "constant"
            learner = replace(self, eta0=eta, divide_by_root=False)
        adapted.average = estimator.average or average
        classes = learned.get("classes_")
        adapted.coef_init, adapted.intercept_init = to_coef(start, classes)
        vars(adapted).update(learned, t_=0)
        adapted._learn(task, learner, start)
        return adapted
