"""What the linear models share: validation, scores, and shapes of parameters."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skmeta._batch import Task
from skmeta._checks import check_weights, check_X
from skmeta._learners._protocol import InnerLearner
from skmeta._parameters import (
    check_offset,
    check_positive,
    check_start,
    unchanged_on_error,
)
from skmeta._saving import Versioned
from skmeta._step_matrices import are_positive_definite
from skmeta._targets import Classes, Values, probabilities
from skmeta._units import Coordinates
from skmeta.losses import CLASSIFICATION_LOSSES, Loss

_BAD_TARGET = (
    "Input y contains NaN, infinity or a class not in `classes` in row {}. Drop the "
    "row, or name all classes in the first call."
)


class BaseLinear(Versioned, BaseEstimator):
    """A linear model whose learner is made by `inner_learner` and run by `_learn`.

    A model that `adapt` of a meta-estimator returned may learn in other coordinates.
    Then `_coordinates` is set and `_theta` is in these coordinates; `coef_` and
    `intercept_` are raw.
    """

    losses_: np.ndarray
    _task_column: Any = None  # of the tables that it takes; `adapt` sets it

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @abstractmethod
    def inner_learner(
        self, shape: tuple[int, int], classes: np.ndarray | None = None
    ) -> InnerLearner:
        """The learner that trains parameters of this shape.

        Parameters
        ----------
        shape : tuple of int
            (n_outputs, n_features + 1).
        classes : ndarray of shape (n_classes,), default=None
            The class labels; None for a regressor.

        Returns
        -------
        learner : InnerLearner
        """

    @abstractmethod
    def _learn(self, task: Task, learner: Any, theta: np.ndarray) -> None:
        """Train from the raw parameter `theta` on and publish the result."""

    @abstractmethod
    def _read_targets(self, X: Any, y: ArrayLike, classes: Any) -> np.ndarray:
        """Targets as the kernels read them."""

    @abstractmethod
    def _shape_coef(self, parameter: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`coef_` and `intercept_` as views of a parameter, intercept last."""

    def _n_outputs(self) -> int:
        return 1

    def _learner(self, shape: tuple[int, int], one_pass: bool) -> InnerLearner:
        """The learner of a call; with `one_pass`, it makes one pass over samples."""
        return self.inner_learner(shape)

    def _ingest(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        classes: Any = None,
        *,
        reset: bool,
        start: tuple[Any, Any] | None = None,
        one_pass: bool = False,
    ) -> Any:
        """Validate, then `_learn`. `start` is (coef_init, intercept_init) of `fit`."""
        with unchanged_on_error(self):
            X = check_X(self, X, reset=reset)
            targets = self._read_targets(X, y, classes)
            bad = np.flatnonzero(~np.isfinite(targets))
            if bad.size:
                raise ValueError(_BAD_TARGET.format(bad[0]))
            weight, has_weight = check_weights(sample_weight, X)
            shape = (self._n_outputs(), X.shape[1] + 1)
            if not reset:
                self._validate_params()
            if reset:
                self.t_ = 0
            if start is not None:
                self.__dict__.pop("_coordinates", None)
                self.__dict__.pop("_within", None)
            if start is None and hasattr(self, "coef_"):
                start = self.coef_, self.intercept_
            coef, intercept = start or (None, None)
            theta = pack_parameter(coef, intercept, shape)
            check_offset(theta, "The start", self.fit_intercept)
            learner = self._learner(shape, one_pass)
            task = Task(X, targets, weight)
            if has_weight is not None:
                task = Task(X[has_weight], targets[has_weight], weight)
            self._learn(task, learner, theta)
            if has_weight is not None and hasattr(self, "losses_"):
                losses = np.zeros(len(targets))
                losses[has_weight] = self.losses_
                self.losses_ = losses
        return self

    def _in_units(
        self, task: Task, theta: np.ndarray
    ) -> tuple[Coordinates | None, Task, np.ndarray]:
        """The task and the raw parameter in the coordinates that this model uses."""
        coordinates = vars(self).get("_coordinates")
        if coordinates is None:
            return None, task, theta
        return coordinates, coordinates.task(task), coordinates.to_units(theta)

    def _scores(self, X: Any) -> np.ndarray:
        """Raw scores, (n_samples, n_outputs)."""
        return self._scores_of(self._read_features(X))

    def _read_features(self, X: Any) -> Any:
        """Features of a prediction, as the kernels read them."""
        check_is_fitted(self)
        return check_X(self, X, reset=False)

    def _scores_of(self, X: Any) -> np.ndarray:
        """Raw scores of features that have been read."""
        coef = np.atleast_2d(self.coef_)
        return safe_sparse_dot(X, coef.T, dense_output=True) + self.intercept_


def check_step_size(
    value: ArrayLike, name: str, owner: str, shape: tuple[int, int]
) -> np.ndarray:
    """A positive number, one for every parameter, or a matrix for every output."""
    try:
        size = np.shape(value)
    except ValueError:  # rows of several lengths
        size = ()
    if size[-2:] != (shape[1], shape[1]) or size == shape:
        return check_positive(value, name, owner, shape)
    try:
        matrices = check_start(value, name, (*shape, shape[1]))
    except ValueError as error:
        raise ValueError(f"The {name!r} parameter of {owner}: {error}") from error
    if not are_positive_definite(matrices):
        raise ValueError(
            f"The {name!r} parameter of {owner} must be symmetric and positive "
            "definite if it is a matrix."
        )
    return matrices


def pack_parameter(coef: Any, intercept: Any, shape: tuple[int, int]) -> np.ndarray:
    """One parameter array, with the intercept last; zeros in place of None."""
    theta = np.zeros(shape)
    if coef is not None:
        theta[:, :-1] = check_start(coef, "coef_init", (shape[0], shape[1] - 1))
    if intercept is not None:
        theta[:, -1] = check_start(intercept, "intercept_init", shape[:1])
    return theta


class LinearRegressor(BaseLinear):
    """Predictions and shapes of a regressor."""

    def predict(self, X: Any) -> np.ndarray:
        """Predict targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predictions.
        """
        return Values().predict(self._scores(X))

    def _read_targets(self, X: Any, y: ArrayLike, classes: Any) -> np.ndarray:
        return Values().read(self, X, y)

    def _shape_coef(self, parameter: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return Values().shape_coef(parameter)


def loss_of(loss: Any) -> Loss:
    """The loss of a classifier, given by name or as an object."""
    return CLASSIFICATION_LOSSES[loss]() if isinstance(loss, str) else loss


def check_margin(estimator: Any, loss: Loss, *, is_margin: bool) -> Loss:
    """The loss, or a ValueError if it is for the other kind of targets."""
    if loss.is_margin != is_margin:
        kind = "classes" if is_margin else "numbers"
        raise ValueError(
            f"The 'loss' parameter of {type(estimator).__name__} must be a loss of "
            f"{kind} (is_margin={is_margin}). Got {loss!r} instead."
        )
    return loss


def check_probabilities(loss: Any) -> bool:
    """True, or an AttributeError if the loss does not define probabilities."""
    if loss_of(loss).has_probability:
        return True
    have = sorted(
        name for name, one in CLASSIFICATION_LOSSES.items() if one.has_probability
    )
    raise AttributeError(
        f"predict_proba is available for loss in {have}, not for loss={loss!r}"
    )


class LinearClassifier(BaseLinear):
    """Predictions and shapes of a classifier: two classes share one row of weights."""

    loss: Any

    def decision_function(self, X: Any) -> np.ndarray:
        """Raw scores of every class, or of the second one if there are two.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Scores.
        """
        scores = self._scores(X)
        return Classes(self.classes_).decisions(scores)

    def predict(self, X: Any) -> np.ndarray:
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Class labels.
        """
        scores = self._scores(X)
        return Classes(self.classes_).predict(scores)

    @available_if(lambda self: check_probabilities(self.loss))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes, for the losses 'log_loss' and 'modified_huber'.

        With more than two classes, the one-vs-all probabilities are normalised.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`.
        """
        return probabilities(loss_of(self.loss).inverse_link(self._scores(X)))

    @available_if(lambda self: check_probabilities(self.loss))
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Logarithms, in the order of `classes_`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _read_targets(self, X: Any, y: ArrayLike, classes: Any) -> np.ndarray:
        kind = Classes.of(self, X, y) if classes is None else Classes(classes)
        self.classes_ = kind.classes
        return kind.read(self, X, y)

    def _n_outputs(self) -> int:
        return Classes(self.classes_).n_outputs

    def _shape_coef(self, parameter: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return Classes(self.classes_).shape_coef(parameter)
