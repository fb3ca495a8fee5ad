"""Inner learners of other packages: any linear model with `partial_fit`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from skmeta._batch import Task
from skmeta._learners._protocol import InnerLearner, Outcome, to_coef, to_parameter


@dataclass(frozen=True, eq=False)
class ForeignLearner(InnerLearner):
    """A scikit-learn linear model with `partial_fit`, started at given weights.

    It reports no prequential losses, no gradients and no step size: they are NaN in the
    history.

    Attributes
    ----------
    estimator : estimator with `partial_fit`, `coef_` and `intercept_`
    classes : ndarray of shape (n_classes,) or None
        None for a regressor.
    """

    estimator: Any
    classes: np.ndarray | None

    def check(self, shape: tuple[int, int]) -> None:
        """Raise an error unless this is a linear model with settable weights."""
        name = type(self.estimator).__name__
        if getattr(self.estimator, "average", False):
            raise ValueError(
                f"{name} cannot be started at given weights with average=True: set "
                "average=False."
            )
        X = np.eye(2, shape[1] - 1)
        y = np.arange(2.0) if self.classes is None else self.classes[:2]
        probe = clone(self.estimator)
        try:
            self._learn(probe, X, y, None)
            probe.coef_, probe.intercept_ = probe.coef_.copy(), probe.intercept_.copy()
            is_linear = np.size(probe.coef_) == shape[0] * X.shape[1]
        except AttributeError:
            is_linear = False
        if not is_linear:
            raise ValueError(
                "The 'estimator' parameter must be a linear model with partial_fit "
                "whose coef_ and intercept_ can be set. Got "
                f"{self.estimator!r} instead."
            )

    def run(
        self, task: Task, start: np.ndarray, eta: np.ndarray, *, average: bool
    ) -> Outcome:
        if not task.is_finite:
            return Outcome(start, problem="its rows hold NaN or infinity")
        model = self._started(start)
        try:
            self._learn(model, task.X, self._decode(task.y), task.weight)
        except ValueError as error:
            problem = f"{type(model).__name__}: {error}".rstrip(".")
            return Outcome(start, problem=problem)
        last = to_parameter(model, len(start)).astype(np.float64)
        if np.isfinite(last).all():
            return Outcome(last)
        problem = f"{type(model).__name__} diverged (NaN or infinity)"
        return Outcome(last, problem=problem)

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
        model = self._started(start)
        self._learn(model, task.X, self._decode(task.y), task.weight)
        vars(model).update(learned)
        return model

    def _decode(self, y: np.ndarray) -> np.ndarray:
        """Class labels from the targets of the kernels."""
        if self.classes is None:
            return y
        index = y > 0 if len(self.classes) == 2 else y
        return self.classes[index.astype(np.intp)]

    def _started(self, theta: np.ndarray) -> Any:
        """A clone of the estimator with the parameter `theta`."""
        model = clone(self.estimator)
        if self.classes is not None:
            model.classes_ = self.classes
        model.coef_, model.intercept_ = to_coef(theta, self.classes)
        model.n_features_in_ = theta.shape[1] - 1
        return model

    def _learn(
        self, model: Any, X: Any, y: np.ndarray, weight: np.ndarray | None
    ) -> None:
        """One call of `partial_fit`."""
        options: dict[str, Any] = {} if weight is None else {"sample_weight": weight}
        if self.classes is not None:
            options["classes"] = self.classes
        model.partial_fit(X, y, **options)
