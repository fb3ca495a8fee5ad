"""BiasedRidge and BiasedLogisticRegression: regularised towards a given parameter."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin

from skmeta._batch import Task
from skmeta._learners._full_loss import FullLossLearner, learn_path, precision_of
from skmeta._learners._in_ball import leader_in_ball, nearest_in_ball
from skmeta._parameters import changed, unchanged_on_error
from skmeta._sklearn import Interval, _check_partial_fit_first_call, _fit_context
from skmeta._solvers import TaskLoss, newton
from skmeta._step_matrices import inverses
from skmeta._targets import Values, normal_interval
from skmeta.linear_model._base import (
    BaseLinear,
    LinearClassifier,
    LinearRegressor,
    check_step_size,
)
from skmeta.losses import LogLoss, Loss, SquaredError


class _BaseBiased(BaseLinear):
    """Solves one problem per call; `partial_fit` adds rows to it exactly."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "alpha": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "fit_intercept": ["boolean"],
        "radius": [Interval(Real, 0, None, closed="neither"), None],
        **BaseLinear._parameter_constraints,
    }
    _loss: ClassVar[Loss]
    alpha: float | ArrayLike
    fit_intercept: bool
    radius: float | None

    def inner_learner(
        self, shape: tuple[int, int], classes: np.ndarray | None = None
    ) -> FullLossLearner:
        """The learner that trains parameters of this shape.

        Parameters
        ----------
        shape : tuple of int
            (n_outputs, n_features + 1).
        classes : ndarray of shape (n_classes,), default=None
            Not used.

        Returns
        -------
        learner : FullLossLearner
        """
        alpha = check_step_size(self.alpha, "alpha", type(self).__name__, shape)
        eta0 = inverses(alpha) if alpha.ndim == 3 else 1.0 / alpha
        bias = float(self.fit_intercept)
        radius = np.inf if self.radius is None else float(self.radius)
        step, unused = changed(self, "alpha"), self._unused()
        return FullLossLearner(self._loss, bias, eta0, step, radius, unused)

    def _learn(self, task: Task, learner: FullLossLearner, theta: np.ndarray) -> None:
        _, task, theta = self._in_units(task, theta)
        self._learn_inside(task, learner, theta)

    def _learn_inside(
        self, task: Task, learner: FullLossLearner, theta: np.ndarray
    ) -> None:
        """Solve and set the fitted attributes; task and `theta` are in units."""
        theta = self._solve(task.loss(learner.objective, len(theta)), theta, learner)
        self.t_ += len(task)
        coordinates = self.__dict__.get("_coordinates")
        if coordinates is not None:
            theta = coordinates.to_raw(theta)
        self.coef_, self.intercept_ = self._shape_coef(theta)

    def _solve(
        self, task: TaskLoss, theta: np.ndarray, learner: FullLossLearner
    ) -> np.ndarray:
        """The solution after these samples; the first call regularises to `theta`."""
        raise NotImplementedError


class BiasedRidge(RegressorMixin, LinearRegressor, _BaseBiased):
    """Ridge regression towards a given parameter rather than towards zero.

    Minimises the sum of squared errors / 2 plus the sum of
    alpha_j (theta_j - init_j)**2 / 2 over weights and intercept together.

    Parameters
    ----------
    alpha : float or array-like of shape (n_features + 1,) or \
            (n_features + 1, n_features + 1), default=1.0
        Strength of the regularisation, > 0; an array has one for every parameter, with
        that of the intercept last. A symmetric, positive definite matrix A gives the
        regularisation (theta - init)' A (theta - init) / 2.
    fit_intercept : bool, default=True
        Whether there is an intercept. It is regularised like a weight.
    radius : float or None, default=None
        The parameter is restricted to the ball of this radius around zero, intercept
        included, > 0. None: no ball.
    noise : float, default=None
        Variance of the targets about the linear prediction, > 0. If it is given,
        `predict` can return standard deviations. They assume that the prior covariance
        of the parameters is `noise` times the inverse of A, and no ball.
    coef_init : array-like of shape (n_features,), default=None
        Weights that `fit` regularises towards, unless its argument of this name is
        given. `adapt` of a meta-estimator sets it, so that a clone is regularised
        towards the same place. None: zeros.
    intercept_init : array-like of shape (1,), default=None
        The same for the intercept. None: zero.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Weights.
    intercept_ : ndarray of shape (1,)
        Intercept.
    t_ : int
        Number of samples since `fit`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any.

    See Also
    --------
    BiasedLogisticRegression : The same for classification.
    OGDRegressor : One gradient step per sample.
    sklearn.linear_model.Ridge : Regularisation towards zero.

    Notes
    -----
    `partial_fit` is recursive least squares, which is exact: after any sequence of
    calls the parameter equals that of one `fit` on all rows. As the inner learner of a
    meta-estimator, this estimator is follow-the-regularized-leader on the full losses,
    regularised towards the shared initialization [1]_. The strength is alpha = 1 / eta
    for a step size eta, so every rule of :mod:`skmeta.step_size` learns the strength.

    References
    ----------
    .. [1] Denevi, Ciliberto, Grazzi, Pontil, "Learning-to-Learn Stochastic Gradient
       Descent with Biased Regularization", ICML 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from skmeta.linear_model import BiasedRidge
    >>> X, y = np.array([[1.0], [2.0]]), np.array([3.0, 5.0])
    >>> model = BiasedRidge(alpha=1e-6).fit(X, y)
    >>> model.predict([[3.0]]).round(3)
    array([7.])
    >>> BiasedRidge(alpha=1e6).fit(X, y, coef_init=[4.0]).coef_.round(3)
    array([4.])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_BaseBiased._parameter_constraints,
        "noise": [Interval(Real, 0, None, closed="neither"), None],
    }
    _loss = SquaredError()
    _root: np.ndarray
    _free: np.ndarray

    def __init__(
        self,
        alpha: float | ArrayLike = 1.0,
        *,
        fit_intercept: bool = True,
        radius: float | None = None,
        noise: float | None = None,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
    ):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.radius = radius
        self.noise = noise
        self.coef_init = coef_init
        self.intercept_init = intercept_init

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
    ) -> Self:
        """Solve the regularised problem on these samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0. None: all 1.
        coef_init : array-like of shape (n_features,), default=None
            Weights to regularise towards. None: the parameter `coef_init`.
        intercept_init : array-like of shape (1,), default=None
            Intercept to regularise towards. None: the parameter `intercept_init`.

        Returns
        -------
        self : BiasedRidge
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid. The estimator is then unchanged.
        """
        start = (coef_init, intercept_init)
        return self._ingest(X, y, sample_weight, reset=True, start=start)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Add samples to the problem.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0. None: all 1.

        Returns
        -------
        self : BiasedRidge
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid. The estimator is then unchanged.
        """
        reset = not hasattr(self, "t_")
        return self._ingest(X, y, sample_weight, reset=reset)

    @overload
    def predict(self, X: Any, return_std: Literal[False] = False) -> np.ndarray: ...

    @overload
    def predict(
        self, X: Any, return_std: Literal[True]
    ) -> tuple[np.ndarray, np.ndarray]: ...

    @overload
    def predict(
        self, X: Any, return_std: bool
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]: ...

    def predict(
        self, X: Any, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        return_std : bool, default=False
            Whether to return standard deviations too.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predictions.
        std : ndarray of shape (n_samples,)
            Only with `return_std`: standard deviations of the targets, which include
            the noise and the uncertainty of the parameters.

        Raises
        ------
        ValueError
            If `return_std` is True and `noise` is None.
        """
        X = self._read_features(X)
        y = Values().predict(self._scores_of(X))
        if not return_std:
            return y
        if self.noise is None:
            raise ValueError(
                "Standard deviations need the variance of the noise: set the parameter "
                "`noise` of BiasedRidge."
            )
        coordinates = vars(self).get("_coordinates")
        if coordinates is not None:
            X = coordinates.features(X)
        explained = (X @ self._root[:-1] + self.fit_intercept * self._root[-1]) ** 2
        return y, np.sqrt(self.noise * (1.0 + explained.sum(axis=1)))

    def predict_interval(self, X: Any, *, coverage: float = 0.9) -> np.ndarray:
        """Intervals that contain a new target with the given probability.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        coverage : float, default=0.9
            The probability, in (0, 1).

        Returns
        -------
        interval : ndarray of shape (n_samples, 2)
            Lower and upper ends: the prediction minus and plus a quantile of the normal
            distribution times the standard deviation.

        Raises
        ------
        ValueError
            If `coverage` is not in (0, 1), or `noise` is None.
        """
        mean, std = self.predict(X, return_std=True)
        return normal_interval(mean, std, coverage)

    def _solve(
        self, task: TaskLoss, theta: np.ndarray, learner: FullLossLearner
    ) -> np.ndarray:
        root = (self._root if self.t_ else learner.roots(theta.shape)[0]).copy()
        in_ball = np.isfinite(learner.radius)
        theta = (self._free if in_ball and self.t_ else theta).copy()
        scores = np.empty(task.targets.shape)
        if not learn_path(task, theta, root[np.newaxis], scores):
            raise ValueError(f"{type(self).__name__}: {learner.divergence()}.")
        self._root = root
        if not in_ball:
            return theta
        self._free = theta
        precision = precision_of(root[np.newaxis])
        return nearest_in_ball(theta, precision, learner.radius)


class BiasedLogisticRegression(ClassifierMixin, LinearClassifier, _BaseBiased):
    """Logistic regression towards a given parameter rather than towards zero.

    Minimises the sum of the log losses plus the sum of alpha_j (theta_j - init_j)**2 /
    2 over weights and intercepts together; with more than two classes, one against all
    others.

    Parameters
    ----------
    alpha : float or array-like of shape (n_outputs, n_features + 1) or \
            (n_outputs, n_features + 1, n_features + 1), default=1.0
        Strength of the regularisation, > 0: 1 / C of scikit-learn. An array has one for
        every parameter, with that of the intercept last. Symmetric, positive definite
        matrices A give the regularisation (theta - init)' A (theta - init) / 2.
    fit_intercept : bool, default=True
        Whether there is an intercept. It is regularised like a weight.
    radius : float or None, default=None
        The parameter, all rows of weights and intercepts together, is restricted to the
        ball of this radius around zero, > 0. None: no ball.
    moderated : bool, default=False
        Whether scores and probabilities are averaged over the uncertainty of the
        parameters: a score is divided by sqrt(1 + pi / 8 times its variance). This
        takes A as the prior precision of the parameters, and ignores a ball.
    class_weight : dict, 'balanced' or None, default=None
        Weight of every class, > 0, by which the weights of its samples are multiplied;
        classes that a dict does not name have weight 1. 'balanced', in `fit` only: the
        inverse of the share of the class in `y`, divided by the number of classes.
    coef_init : array-like of the shape of `coef_`, default=None
        Weights that `fit` regularises towards, unless its argument of this name is
        given. `adapt` of a meta-estimator sets it, so that a clone is regularised
        towards the same place. None: zeros.
    intercept_init : array-like of the shape of `intercept_`, default=None
        The same for the intercepts. None: zeros.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts.
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted.
    t_ : int
        Number of samples since `fit`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any.

    See Also
    --------
    BiasedRidge : The same for regression, and notes on the use as an inner learner.
    OGDClassifier : One gradient step per sample.
    sklearn.linear_model.LogisticRegression : Regularisation towards zero.

    Notes
    -----
    `partial_fit` stores its rows and solves the problem of all rows so far. The result
    is exact, but time and memory grow with the number of rows.

    References
    ----------
    .. [1] Denevi, Ciliberto, Grazzi, Pontil, "Learning-to-Learn Stochastic Gradient
       Descent with Biased Regularization", ICML 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from skmeta.linear_model import BiasedLogisticRegression
    >>> X = np.array([[-1.0], [1.0], [-2.0], [2.0]])
    >>> y = np.array(["no", "yes", "no", "yes"])
    >>> model = BiasedLogisticRegression().fit(X, y, coef_init=[[3.0]])
    >>> model.predict([[-3.0], [3.0]])
    array(['no', 'yes'], dtype='<U3')
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_BaseBiased._parameter_constraints,
        "moderated": ["boolean"],
        **LinearClassifier._parameter_constraints,
    }
    _loss = LogLoss()
    loss = "log_loss"

    def __init__(
        self,
        alpha: float | ArrayLike = 1.0,
        *,
        fit_intercept: bool = True,
        radius: float | None = None,
        moderated: bool = False,
        class_weight: dict[Any, float] | str | None = None,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
    ):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.radius = radius
        self.moderated = moderated
        self.class_weight = class_weight
        self.coef_init = coef_init
        self.intercept_init = intercept_init

    def _scores_of(self, X: Any) -> np.ndarray:
        scores = super()._scores_of(X)
        if not self.moderated:
            return scores
        coordinates = vars(self).get("_coordinates")
        if coordinates is not None:
            X = coordinates.features(X)
        roots = self._posterior_roots
        halves = [X @ root[:-1] + self.fit_intercept * root[-1] for root in roots]
        variance = np.column_stack([(half**2).sum(axis=1) for half in halves])
        return scores / np.sqrt(1.0 + np.pi / 8 * variance)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
    ) -> Self:
        """Solve the regularised problem on these samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Class labels, of at least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0. None: all 1.
        coef_init : array-like of the shape of `coef_`, default=None
            Weights to regularise towards. None: the parameter `coef_init`.
        intercept_init : array-like of the shape of `intercept_`, default=None
            Intercepts to regularise towards. None: the parameter `intercept_init`.

        Returns
        -------
        self : BiasedLogisticRegression
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid. The estimator is then unchanged.
        """
        start = (coef_init, intercept_init)
        return self._ingest(X, y, sample_weight, reset=True, start=start)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Add samples to the problem.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Class labels; not every class need occur.
        classes : array-like of shape (n_classes,), default=None
            All class labels; required in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0. None: all 1.

        Returns
        -------
        self : BiasedLogisticRegression
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid or contains an unknown class. The estimator is then
            unchanged.
        """
        reset = not hasattr(self, "t_")
        with unchanged_on_error(self):
            _check_partial_fit_first_call(self, classes)
            return self._ingest(X, y, sample_weight, self.classes_, reset=reset)

    def _solve(
        self, task: TaskLoss, theta: np.ndarray, learner: FullLossLearner
    ) -> np.ndarray:
        if not self.t_:
            self._center, self._problem = theta, task
            self._roots = learner.roots(theta.shape)
        else:
            self._problem = self._problem.joined(task)
        theta = self._center.copy()
        if np.isfinite(learner.radius):
            arguments = precision_of(self._roots), learner.radius, theta
            theta = leader_in_ball(self._problem, self._center, *arguments)
        else:
            self._move_free(theta)
        if self.moderated:
            self._posterior_roots = self._covariance_roots(theta)
        return theta

    def _move_free(self, theta: np.ndarray) -> None:
        """Move the start to the minimiser without a ball."""
        b, weight = self._problem.design, self._problem.weight
        for k, root in enumerate(self._roots):
            zeros, ones = np.zeros(len(root)), np.ones(len(root))
            rows = b @ root, self._problem.targets[:, k], weight
            offset = b @ theta[k]
            theta[k] += root @ newton(self._loss, *rows, zeros, ones, zeros, offset)

    def _covariance_roots(self, theta: np.ndarray) -> list[np.ndarray]:
        """Q with Q Q' = inv(inv(R R') + A), A the second derivative at the mode."""
        b, covariance_roots = self._problem.design, []
        curvature = self._loss.curvature(self._problem.targets, b @ theta.T)
        for k, root in enumerate(self._roots):
            inside = b @ root
            weight = self._problem.weight * curvature[:, k]
            system = (inside.T * weight) @ inside
            system.ravel()[:: len(system) + 1] += 1.0
            whitened = np.linalg.solve(np.linalg.cholesky(system), root.T)
            covariance_roots.append(whitened.T)
        return covariance_roots
