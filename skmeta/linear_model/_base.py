"""What the linear models share: validation, scores, and the shapes of two kinds."""

from abc import abstractmethod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skmeta._losses import POSITIVE_PROBABILITY, class_probabilities
from skmeta._validation import (
    check_class_labels,
    check_numeric_y,
    check_offset,
    check_start,
    check_weights,
    check_X,
    encode_labels,
    find_classes,
    unchanged_on_error,
)

_BAD_TARGET = (
    "Input y contains NaN, infinity or a class not in `classes` in row {}. Drop the "
    "row, or name all classes in the first call."
)


class BaseLinear(BaseEstimator):
    """A linear model whose learner is made by `_make_learner` and run by `_learn`."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @abstractmethod
    def _make_learner(self, shape, max_iter=None):
        """The resolved learner for parameters of this shape."""

    @abstractmethod
    def _learn(self, X, y, weight, counts, learner, theta):
        """Train `theta` on the rows that count as one task and publish the result."""

    def _current(self, shape):
        """The parameter from which `partial_fit` goes on."""
        return pack_parameter(self.coef_, self.intercept_, shape)

    def _ingest(
        self, X, y, sample_weight, classes=None, *, reset, max_iter=None, start=None
    ):
        """Validate, then `_learn`. `start`: (coef_init, intercept_init) of a fit."""
        with unchanged_on_error(self):
            X = check_X(self, X, reset=reset)
            y = self._check_targets(X, y, classes)
            bad = np.flatnonzero(np.isnan(y) | np.isinf(y))
            if bad.size:
                raise ValueError(_BAD_TARGET.format(bad[0]))
            weight, counts = check_weights(sample_weight, X)
            shape = (self._n_outputs(), X.shape[1] + 1)
            if not reset:
                self._validate_params()
            if reset:
                self.t_ = 0
            if start is None and hasattr(self, "coef_"):
                theta = self._current(shape)
            else:
                theta = pack_parameter(*(start or (None, None)), shape)
            check_offset(theta, "The start", self.fit_intercept)
            learner = self._make_learner(shape, max_iter)
            self._learn(X, y, weight, counts, learner, theta)
        return self

    def _scores(self, X):
        """Raw scores, (n_samples, n_outputs)."""
        check_is_fitted(self)
        X = check_X(self, X, reset=False)
        coef = np.atleast_2d(self.coef_)
        return safe_sparse_dot(X, coef.T, dense_output=True) + self.intercept_


def pack_parameter(coef, intercept, shape):
    """One parameter array, intercept last; zeros for what is None."""
    theta = np.zeros(shape)
    if coef is not None:
        theta[:, :-1] = check_start(coef, "coef_init", (shape[0], shape[1] - 1))
    if intercept is not None:
        theta[:, -1] = check_start(intercept, "intercept_init", shape[:1])
    return theta


class LinearRegressor:
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
        return self._scores(X)[:, 0]

    def _check_targets(self, X, y, classes):
        return check_numeric_y(self, X, y)

    def _n_outputs(self):
        return 1

    def _shape_coef(self, parameter):
        return parameter[0, :-1], parameter[:, -1]


def _has_probabilities(estimator):
    if estimator.loss in POSITIVE_PROBABILITY:
        return True
    raise AttributeError(
        f"predict_proba is available for loss in {sorted(POSITIVE_PROBABILITY)}, not "
        f"for loss={estimator.loss!r}"
    )


class LinearClassifier:
    """Predictions and shapes of a classifier: two classes share one row of weights."""

    def decision_function(self, X: Any) -> np.ndarray:
        """Raw scores of every class, or of the second one where there are two.

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
        return scores[:, 0] if scores.shape[1] == 1 else scores

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
        return most_likely(self.classes_, scores)

    @available_if(_has_probabilities)
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
        return class_probabilities(self.loss, self._scores(X))

    def _check_targets(self, X, y, classes):
        y, missing = check_class_labels(self, X, y)
        if missing is not None:
            raise ValueError(_BAD_TARGET.format(missing.argmax()))
        if classes is None:
            self.classes_ = find_classes(y, missing)
        check_several_classes(self.classes_)
        return encode_labels(y, missing, self.classes_)

    def _n_outputs(self):
        return n_outputs(self.classes_)

    def _shape_coef(self, parameter):
        """`coef_` and `intercept_` as views of a parameter, intercept last."""
        return parameter[:, :-1], parameter[:, -1]


def check_several_classes(classes):
    """Refuse a problem of fewer than two classes."""
    if len(classes) < 2:
        raise ValueError(
            f"A classifier needs at least two classes; got {len(classes)} class: "
            f"{classes.tolist()}. With partial_fit, name all of them in `classes`."
        )


def n_outputs(classes):
    """Rows of weights: two classes share one."""
    return 1 if len(classes) == 2 else len(classes)


def most_likely(classes, scores):
    """The class of the highest score in every row; see `n_outputs`."""
    if scores.shape[1] == 1:
        return classes[(scores[:, 0] > 0).astype(np.intp)]
    return classes[scores.argmax(axis=1)]
