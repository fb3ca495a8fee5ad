"""Estimators of other packages with `partial_fit`, as inner learners."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from sklearn.base import clone

from skmeta._learners._flat import FlatLearner
from skmeta._learners._mlp import MLPLearner
from skmeta._learners._protocol import to_coef, to_parameter
from skmeta._learners._skorch import SkorchLearner

_NETWORKS = (
    ("sklearn.neural_network", ("MLPClassifier", "MLPRegressor"), MLPLearner),
    ("skorch", ("NeuralNet",), SkorchLearner),
)


def foreign_learner(
    estimator: Any, shape: tuple[int, int], classes: np.ndarray | None
) -> FlatLearner:
    """The learner of an estimator without a method `inner_learner`.

    Raises
    ------
    ValueError
        If it is neither a network nor a linear model with settable weights.
    """
    for package, names, make in _NETWORKS:
        module = sys.modules.get(package)  # loaded if the estimator is of the package
        if module is not None:
            kinds = tuple(getattr(module, name) for name in names)
            if isinstance(estimator, kinds):
                return make(estimator, classes, shape[1] - 1)
    learner = LinearLearner(estimator, classes)
    learner.check(shape)
    return learner


class LinearLearner(FlatLearner):
    """A linear model with `partial_fit`, started at given `coef_` and `intercept_`."""

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
            if "random_state" in probe.get_params(deep=False):
                probe.random_state = 0  # the probe draws nothing from the user's
            probe.partial_fit(X, y, **self.options(probe, None))
            probe.coef_, probe.intercept_ = probe.coef_.copy(), probe.intercept_.copy()
            is_linear = np.size(probe.coef_) == shape[0] * X.shape[1]
        except AttributeError:
            is_linear = False
        if not is_linear:
            raise ValueError(
                "The 'estimator' parameter must be a linear model with partial_fit "
                "whose coef_ and intercept_ can be set, or a network of scikit-learn "
                f"or skorch. Got {self.estimator!r} instead."
            )

    def get(self, model: Any) -> np.ndarray:
        return to_parameter(model, np.size(model.intercept_))

    def set(self, model: Any, parameter: np.ndarray) -> None:
        model.coef_, model.intercept_ = to_coef(parameter, self.classes)
