"""Multi-layer perceptrons of scikit-learn as inner learners."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from skmeta._learners._flat import FlatLearner, generator_of
from skmeta._units import Coordinates

Layout = tuple[tuple[int, ...], ...]

# Added to weights of a usual size, a step of this size changes no bit of them.
_NO_STEP = 1e-30


@dataclass(frozen=True, eq=False)
class LayeredCoordinates(Coordinates):
    """A change of coordinates that the first and the last layer absorb.

    Attributes
    ----------
    layout : tuple of tuple of int
        Of a flat parameter: first all matrices of weights, then all intercepts.
    """

    layout: Layout = ()

    def features(self, X: Any) -> Any:
        return super().features(X).astype(X.dtype)

    def to_units(self, parameter: np.ndarray) -> np.ndarray:
        inside = parameter.copy()
        weights, intercepts = self._layers(inside)
        intercepts[0] += self.location @ weights[0]
        inverse = np.divide(
            1.0, self.scale, out=np.zeros_like(self.scale), where=self.scale > 0
        )
        weights[0] *= inverse[:, np.newaxis]
        intercepts[-1] -= self.offset
        weights[-1] /= self.unit
        intercepts[-1] /= self.unit
        return inside

    def displacement(self, difference: np.ndarray) -> np.ndarray:
        raw = difference.copy()
        weights, intercepts = self._layers(raw)
        weights[-1] *= self.unit
        intercepts[-1] *= self.unit
        weights[0] *= self.scale[:, np.newaxis]
        intercepts[0] -= self.location @ weights[0]
        return raw

    def to_raw(self, parameter: np.ndarray) -> np.ndarray:
        raw = self.displacement(parameter)
        _, intercepts = self._layers(raw)
        intercepts[-1] += self.offset
        return raw

    def _layers(self, parameter: np.ndarray) -> tuple[list[Any], list[Any]]:
        layers = split(parameter, self.layout)
        half = len(layers) // 2
        return layers[:half], layers[half:]


class MLPLearner(FlatLearner):
    """`MLPClassifier` or `MLPRegressor`: `max_iter` calls of `partial_fit` per task.

    The parameter is that of `coefs_`, followed by that of `intercepts_`. The first
    initialization is the one that scikit-learn draws.
    """

    layout: Layout

    def __init__(self, estimator: Any, classes: np.ndarray | None, n_features: int):
        super().__init__(estimator, classes)
        name = type(estimator).__name__
        if not hasattr(estimator, "partial_fit") or estimator.solver == "lbfgs":
            raise ValueError(
                f"{name} with solver={estimator.solver!r} cannot be trained step by "
                "step from an initialization: use solver='adam' or 'sgd'."
            )
        if estimator.early_stopping:
            raise ValueError(
                f"{name} cannot hold out rows of a task with early_stopping=True: set "
                "early_stopping=False, and limit the passes by max_iter."
            )
        self._n_features = n_features
        fresh = self._fresh(0)
        arrays = fresh.coefs_ + fresh.intercepts_
        self.layout = tuple(array.shape for array in arrays)
        given = estimator.get_params(deep=False)
        attributes = {k: v for k, v in vars(fresh).items() if k not in given}
        for name in ("optimizer", "random_state", "best_coefs", "best_intercepts"):
            attributes.pop(f"_{name}", None)
        del attributes["coefs_"], attributes["intercepts_"]
        self._attributes = {**attributes, "n_iter_": 0, "t_": 0, "best_loss_": np.inf}

    @property
    def scales_target(self) -> bool:  # type: ignore[override]
        return self.classes is None and self.estimator.loss == "squared_error"

    def _fresh(self, random_state: Any) -> Any:
        """A network with the weights that scikit-learn draws."""
        X = np.eye(2, self._n_features)
        y = np.arange(2.0) if self.classes is None else self.classes[:2]
        network = clone(self.estimator)
        network.set_params(
            random_state=random_state,
            solver="sgd",
            learning_rate_init=_NO_STEP,
            alpha=0.0,
            batch_size="auto",
            warm_start=False,
            verbose=False,
        )
        return network.partial_fit(X, y, **self.options(network, None))

    def first(self, shape: tuple[int, int], seed: int) -> np.ndarray:
        """The weights that the network starts from in scikit-learn.

        They are drawn by the `random_state` of the network or, if that is None, by
        `seed`.
        """
        given = clone(self.estimator).random_state  # a copy, if it is a generator
        drawn = generator_of(seed) if given is None else check_random_state(given)
        return self.get(self._fresh(drawn)).reshape(shape)

    def units(self, coordinates: Coordinates) -> Coordinates:
        d = coordinates.scale.size
        return LayeredCoordinates(
            coordinates.location,
            coordinates.scale * np.sqrt(d),  # variance 1, as the first weights assume
            coordinates.offset,
            coordinates.unit,
            self.layout,
        )

    def unfitted(self) -> Any:
        network = clone(self.estimator)
        vars(network).update(self._attributes, loss_curve_=[])
        return network

    def get(self, model: Any) -> np.ndarray:
        return np.concatenate([one.ravel() for one in model.coefs_ + model.intercepts_])

    def set(self, model: Any, parameter: np.ndarray) -> None:
        arrays = [one.copy() for one in split(parameter[0], self.layout)]
        half = len(arrays) // 2
        model.coefs_, model.intercepts_ = arrays[:half], arrays[half:]
        vars(model).pop("_optimizer", None)  # its state is of other weights

    def partial_fit(
        self, model: Any, X: Any, y: np.ndarray, weight: np.ndarray | None
    ) -> None:
        size, warm_start = model.batch_size, model.warm_start
        if size != "auto":
            model.batch_size = min(size, len(y))
        model.warm_start = False  # with it, a task would need all classes
        for _ in range(model.max_iter):
            model.partial_fit(X, y, **self.options(model, weight))
        model.batch_size, model.warm_start = size, warm_start


def split(parameter: np.ndarray, layout: Layout) -> list[np.ndarray]:
    """Views of the arrays of flat parameters, whose last axis is split."""
    views, end = [], 0
    for shape in layout:
        start, end = end, end + prod(shape)
        views.append(parameter[..., start:end].reshape(*parameter.shape[:-1], *shape))
    return views
