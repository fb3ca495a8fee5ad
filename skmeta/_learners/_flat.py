"""Models whose parameters can be read and set, as inner learners."""

from __future__ import annotations

from inspect import signature
from math import prod
from typing import Any

import numpy as np
from sklearn.base import clone

from skmeta._batch import Task
from skmeta._learners._protocol import InnerLearner, Outcome
from skmeta._units import Coordinates


class FlatLearner(InnerLearner):
    """An estimator with `partial_fit` and parameters that can be read and set.

    A subclass has a `layout` and defines `get`, `set` and, unless it starts at zero,
    `first`; it may override the rest. A task is learned by a new clone of the
    estimator, which is set to the start of the task and trained by `partial_fit`. So
    momentum and other states of an optimizer start afresh in every task.

    If the estimator has a `random_state` that is None, its clones are seeded from the
    `random_state` of the meta-estimator and the number of the task.

    Parameters
    ----------
    estimator : estimator
        With `partial_fit` and `predict`; cloned. A classifier needs `predict_proba` if
        probabilities or scores are asked for.
    classes : ndarray of shape (n_classes,), default=None
        The class labels; None for a regressor.

    See Also
    --------
    InnerLearner : The protocol, without assumptions on the estimator.

    Examples
    --------
    A regressor with one parameter for each feature and none for the intercept:

    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator, RegressorMixin
    >>> from skmeta import FMRLRegressor
    >>> from skmeta.linear_model import FlatLearner
    >>> class Positive(RegressorMixin, BaseEstimator):
    ...     "A line through zero with slopes exp(w)."
    ...
    ...     def inner_learner(self, shape, classes):
    ...         learner = PositiveLearner(self)
    ...         learner.layout = ((shape[1] - 1,),)
    ...         return learner
    ...
    ...     def fit(self, X, y):
    ...         self.w_ = np.zeros(X.shape[1])
    ...         return self.partial_fit(X, y)
    ...
    ...     def partial_fit(self, X, y):
    ...         self.w_ -= 0.1 * (X * np.exp(self.w_)).T @ (self.predict(X) - y)
    ...         return self
    ...
    ...     def predict(self, X):
    ...         return X @ np.exp(self.w_)
    >>> class PositiveLearner(FlatLearner):
    ...     def get(self, model):
    ...         return model.w_
    ...
    ...     def set(self, model, parameter):
    ...         model.w_ = parameter[0].copy()
    >>> X, tasks = np.array([[0.5], [1.0], [0.5], [1.0]]), ["a", "a", "b", "b"]
    >>> model = FMRLRegressor(Positive(), standardize=False)
    >>> model.fit(X, X[:, 0] * [2, 2, 3, 3], tasks=tasks).init_.shape
    (1,)
    """

    def __init__(self, estimator: Any, classes: np.ndarray | None = None):
        self.estimator, self.classes = clone(estimator), classes

    # ---- what a subclass defines

    def get(self, model: Any) -> np.ndarray:
        """The parameter of a model.

        Parameters
        ----------
        model : estimator
            A fitted model.

        Returns
        -------
        parameter : ndarray
            Of any shape that has the entries of the parameter, in order.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no get.")

    def set(self, model: Any, parameter: np.ndarray) -> None:
        """Set the parameter of a model, which can then predict and be trained.

        Parameters
        ----------
        model : estimator
            As returned by `unfitted`, or fitted.
        parameter : ndarray of the shape of the parameter
            In the dtype of the features; belongs to the model from now on.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no set.")

    def unfitted(self) -> Any:
        """A new model, for `set`.

        Returns
        -------
        model : estimator
            By default a clone of the estimator.
        """
        return clone(self.estimator)

    def partial_fit(
        self, model: Any, X: Any, y: np.ndarray, weight: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Train a model on the rows of a task.

        Parameters
        ----------
        model : estimator
            As `set` left it.
        X : ndarray or CSR matrix of shape (n_samples, n_features)
            Features.
        y : ndarray of shape (n_samples,)
            Numbers or class labels.
        weight : ndarray of shape (n_samples,) or None
            Weights of the samples.

        Returns
        -------
        report : (losses, grad_sq) or None
            Losses and squared gradients as in :class:`Outcome`, if `can` promises
            them. By default, ``model.partial_fit`` is called once, and None returned.

        Raises
        ------
        ValueError
            If the task cannot be learned from, or if the estimator accepts no weights.
        """
        model.partial_fit(X, y, **self.options(model, weight))
        return None

    # ---- the protocol

    def options(self, model: Any, weight: np.ndarray | None) -> dict[str, Any]:
        """The arguments `classes` and `sample_weight` of `partial_fit`, as needed.

        Parameters
        ----------
        model : estimator
            Whose method is called.
        weight : ndarray of shape (n_samples,) or None
            Weights of the samples.

        Returns
        -------
        options : dict
            Arguments by name.
        """
        options: dict[str, Any] = {} if weight is None else {"sample_weight": weight}
        if self.classes is not None:
            options["classes"] = self.classes
        return options

    def run(
        self, task: Task, start: np.ndarray, eta: np.ndarray, *, average: bool
    ) -> Outcome:
        if not task.is_finite:
            return Outcome(start, problem="its rows hold NaN or infinity")
        model = self._started(start, task)
        self._check_weight(model, task.weight)
        try:
            report = self._learn(model, task)
        except ValueError as error:
            problem = f"{type(model).__name__}: {error}".rstrip(".")
            return Outcome(start, problem=problem)
        losses, grad_sq = report or (None, None)
        last = self._read(model, start.shape)
        if np.isfinite(last).all():
            return Outcome(last, losses=losses, grad_sq=grad_sq)
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
        model = self._started(start, task)
        self._check_weight(model, task.weight)
        name = type(model).__name__
        try:
            self._learn(model, task)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        if not np.isfinite(self._read(model, start.shape)).all():
            raise ValueError(f"{name} diverged (NaN or infinity).")
        self.finish(model, learned)
        return model

    def finish(self, model: Any, learned: dict[str, Any]) -> None:
        """Make a trained model one that users get from `adapt`.

        Parameters
        ----------
        model : estimator
            Trained.
        learned : dict
            Fitted attributes to set.
        """
        vars(model).update(learned)
        if _has_seed(self.estimator):
            model.random_state = self.estimator.random_state

    def fitted_in(
        self,
        coordinates: Coordinates | None,
        estimator: Any,
        task: Task,
        start: np.ndarray,
        eta: np.ndarray,
        *,
        average: bool,
        **learned: Any,
    ) -> Any:
        if coordinates is None:
            return self.fitted(estimator, task, start, eta, average=average, **learned)
        inside = coordinates.task(task), coordinates.to_units(start), eta
        learner: Any = self.in_units(coordinates)
        model = learner.fitted(estimator, *inside, average=average, **learned)
        parameter = coordinates.to_raw(self._read(model, start.shape))
        self.set(model, parameter.astype(task.X.dtype))
        return model

    def respond(
        self,
        method: str,
        X: Any,
        parameters: np.ndarray,
        index: np.ndarray,
    ) -> np.ndarray:
        if len(parameters) == 1:
            return self._respond(method, X, parameters[0])
        order = np.argsort(index, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(index[order])) + 1)
        parts = [self._respond(method, X[g], parameters[index[g[0]]]) for g in groups]
        response = np.empty((len(order), *parts[0].shape[1:]), parts[0].dtype)
        response[order] = np.concatenate(parts)
        return response

    def _respond(self, method: str, X: Any, parameter: np.ndarray) -> np.ndarray:
        """What a method of the model with this parameter returns."""
        model = self._set(parameter, X)
        if method != "decision_function":
            response = getattr(model, method)(X)
            return response.ravel() if self.classes is None else response
        probability = model.predict_proba(X)
        tiny = np.finfo(probability.dtype).tiny
        scores = np.log(np.maximum(probability, tiny))
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def _learn(self, model: Any, task: Task) -> Any:
        return self.partial_fit(model, task.X, self._decode(task.y), task.weight)

    def _check_weight(self, model: Any, weight: np.ndarray | None) -> None:
        if weight is None or "sample_weight" in signature(model.partial_fit).parameters:
            return
        raise ValueError(
            f"{type(model).__name__}.partial_fit has no sample_weight: leave out the "
            "weights, or use an estimator of skmeta.linear_model."
        )

    def _decode(self, y: np.ndarray) -> np.ndarray:
        """Class labels from the targets of the kernels."""
        if self.classes is None:
            return y
        index = y > 0 if len(self.classes) == 2 else y
        return self.classes[index.astype(np.intp)]

    def _set(self, parameter: np.ndarray, X: Any) -> Any:
        """A model with this parameter, for features of the dtype of X."""
        model = self.unfitted()
        if self.classes is not None:
            vars(model)["classes_"] = self.classes
        model.n_features_in_ = X.shape[1]
        self.set(model, parameter.astype(X.dtype))
        return model

    def _started(self, start: np.ndarray, task: Task) -> Any:
        """A model at the start of a task, seeded."""
        model = self._set(start, task.X)
        if task.seed is not None and _has_seed(model) and model.random_state is None:
            model.random_state = generator_of(task.seed)
        return model

    def _read(self, model: Any, shape: tuple[int, ...]) -> np.ndarray:
        parameter = np.asarray(self.get(model), dtype=np.float64)
        if parameter.size != prod(shape):
            raise TypeError(
                f"{type(self).__name__}.get must return {prod(shape)} numbers. Got an "
                f"array of shape {parameter.shape}."
            )
        return parameter.reshape(shape)


def _has_seed(model: Any) -> bool:
    return "random_state" in model.get_params(deep=False)


def generator_of(seed: Any) -> np.random.RandomState:
    """A generator of the kind that scikit-learn takes, from a seed of `Task`."""
    return np.random.RandomState(np.random.SeedSequence(seed).generate_state(4))
