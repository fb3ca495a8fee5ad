"""BiasedRidge and BiasedLogisticRegression: regularised towards a given parameter."""

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin, clone

from skmeta import _kernels
from skmeta._kernels import _leaders_py
from skmeta._losses import LogLoss, Loss, SquaredError
from skmeta._matrices import are_positive_definite, as_matrices, inverses
from skmeta._prior import predictive_std
from skmeta._sklearn import Interval, _check_partial_fit_first_call, _fit_context
from skmeta._solvers import TaskLoss, newton
from skmeta._tasks import Batch
from skmeta._validation import (
    check_positive,
    check_start,
    check_X,
    unchanged_on_error,
)
from skmeta.linear_model._base import BaseLinear, LinearClassifier, LinearRegressor
from skmeta.linear_model._ogd import diverged_message


@dataclass(frozen=True, eq=False)
class FullLossLearner:
    """Follow the regularised leader on the full losses of a task.

    The iterate before sample i minimises the loss of the samples before it plus
    ||theta - start||**2 / (2 eta), or (theta - start)' inv(eta) (theta - start) / 2 for
    matrices eta, of which a parameter with a row of zeros stays. One pass; no ball.
    """

    code: ClassVar[None] = None
    step_size: ClassVar[str] = "empirical_bayes"
    max_iter: ClassVar[int] = 1
    shuffle: ClassVar[bool] = False
    update: ClassVar[str] = "full_loss"
    radius: ClassVar[float] = np.inf

    loss: Loss
    bias: float
    eta0: np.ndarray

    def step(self, n_samples):
        """Step size of a task, whatever its length: one over the strength."""
        return self.eta0

    def shuffled(self, order, starts, generators):
        return order

    def adapt(self, estimator, theta, eta, rows, *, average, attributes):
        """A clone of `estimator` trained on checked rows from `theta` on."""
        X, y, weight, counts = rows
        if counts is not None:
            X, y = X[counts], y[counts]
        batch = Batch(X, y, weight, np.array([0, len(y)]), None)
        losses, grad_sq = np.zeros(len(y)), np.zeros_like(eta)
        if not self.run_task(batch, 0, theta.copy(), eta, losses, None, grad_sq):
            raise ValueError(diverged_message(type(estimator).__name__, self.update))
        adapted = clone(estimator).set_params(alpha=_strength(eta))
        vars(adapted).update(attributes, t_=0)
        adapted._learn(*rows, replace(self, eta0=eta), theta)
        adapted.losses_ = losses
        adapted.grad_sq_, adapted.grad_sq_norm_ = grad_sq, float(grad_sq.sum())
        return adapted

    @np.errstate(over="ignore", invalid="ignore")
    def run_task(self, batch, t, theta, eta, losses, average, grad_sq):
        rows = batch.rows(t)
        weight = None if batch.sample_weight is None else batch.sample_weight[rows]
        X, y = batch.X[rows], batch.y[rows]
        task = TaskLoss.of(self.loss, X, y, weight, len(theta), self.bias)
        scores = np.empty(task.targets.shape)
        roots = _kernels.roots(as_matrices(eta, theta.shape))
        finite = _learn_path(task, theta, roots, scores, average)
        if not (finite and np.isfinite(y).all()):
            return False
        s = self.loss.argument(task.targets, scores)
        losses[rows] = task.weight * self.loss.value(s).sum(axis=1)
        slope = task.weight[:, np.newaxis] * self.loss.slope(s)
        if eta.ndim == 3:
            squares = [(task.design.T * one) @ task.design for one in slope.T**2]
        else:
            squares = (slope**2).T @ task.design**2
            squares = squares if grad_sq.shape[1] > 1 else squares.sum()
        grad_sq += squares
        return bool(np.isfinite(grad_sq).all())


def _learn_path(task, theta, roots, scores, average=None):
    """The kernel's leaders of a task; for the squared error `roots` move too."""
    if isinstance(task.loss, SquaredError):
        rows = task.design, task.targets[:, 0], task.weight
        mean = None if average is None else average[0]
        return _kernels.ridge_leaders(*rows, theta[0], roots[0], scores[:, 0], mean)
    rows, start = (task.design, task.targets, task.weight), theta.copy()
    if _kernels.logistic_leaders(*rows, theta, roots, scores, average):
        return True
    if not (np.isfinite(task.design).all() and np.isfinite(roots).all()):
        return False
    # On the brink of rounding, a fresh factorisation for every step still gets there.
    theta[:] = start
    return _leaders_py.logistic_leaders(*rows, theta, roots, scores, average)


def _strength(eta):
    """alpha of a step size."""
    if eta.size == 1:
        return float(1.0 / eta[0, 0])
    if eta.ndim == 2:
        return 1.0 / eta
    alpha = inverses(eta)
    return alpha if len(alpha) > 1 else alpha[0]


def _check_alpha(alpha, owner, shape):
    """The step size of a strength given by the user: one number, array or matrix."""
    if np.ndim(alpha) < 2 or np.shape(alpha)[-2:] in (shape, (1, 1)):
        return 1.0 / check_positive(alpha, "alpha", owner, shape)
    try:
        alpha = check_start(alpha, "alpha", (*shape, shape[1]))
    except ValueError as error:
        raise ValueError(f"The 'alpha' parameter of {owner}: {error}") from error
    if not are_positive_definite(alpha):
        raise ValueError(
            f"The 'alpha' parameter of {owner} must be symmetric and positive definite "
            "where it is a matrix."
        )
    return inverses(alpha)


class _BaseBiased(BaseLinear):
    """One batch problem per call, and what is needed to go on from it exactly."""

    _parameter_constraints: ClassVar[dict] = {
        "alpha": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "fit_intercept": ["boolean"],
    }
    _loss: ClassVar[Loss]

    def __init__(self, alpha: float | ArrayLike = 1.0, *, fit_intercept: bool = True):
        self.alpha = alpha
        self.fit_intercept = fit_intercept

    def _make_learner(self, shape, max_iter=None):
        eta0 = _check_alpha(self.alpha, type(self).__name__, shape)
        return FullLossLearner(self._loss, float(self.fit_intercept), eta0)

    def _learn(self, X, y, weight, counts, learner, theta):
        if counts is not None:
            X, y = X[counts], y[counts]
        task = TaskLoss.of(self._loss, X, y, weight, len(theta), learner.bias)
        theta = self._solve(task, theta, as_matrices(learner.eta0, theta.shape))
        self.t_ += len(y)
        self.coef_, self.intercept_ = self._shape_coef(theta)


class BiasedRidge(RegressorMixin, LinearRegressor, _BaseBiased):
    """Ridge regression towards a given parameter rather than towards zero.

    Minimises the sum of squared errors / 2 plus the sum of
    alpha_j (theta_j - init_j)**2 / 2 over weights and intercept together.

    Parameters
    ----------
    alpha : float or array-like of shape (n_features + 1,) or \
            (n_features + 1, n_features + 1), default=1.0
        Strength of the regularisation, > 0; an array gives one to every parameter, the
        intercept's last. A symmetric, positive definite matrix A stands for the
        regularisation (theta - init)' A (theta - init) / 2.
    fit_intercept : bool, default=True
        Whether there is an intercept. It is regularised like a weight.
    noise : float, default=None
        Variance of the targets about the line, > 0. If it is known, `predict` gives
        standard deviations: for parameters of prior covariance noise times the inverse
        of A.

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
        Names of the features, where X had any.

    See Also
    --------
    BiasedLogisticRegression : The same for classification.
    OGDRegressor : One gradient step per sample.
    sklearn.linear_model.Ridge : Regularisation towards zero.

    Notes
    -----
    `partial_fit` is recursive least squares and exact: after any sequence of calls the
    parameter is that of one `fit` on all rows. As the inner learner of a meta-estimator
    it is the regularised leader on the full losses, started at the shared
    initialization: alpha = 1 / eta for a step size eta, so that every rule of
    :mod:`skmeta.step_size` learns the strength [1]_.

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

    _parameter_constraints: ClassVar[dict] = {
        **_BaseBiased._parameter_constraints,
        "noise": [Interval(Real, 0, None, closed="neither"), None],
    }
    _loss = SquaredError()

    def __init__(
        self,
        alpha: float | ArrayLike = 1.0,
        *,
        fit_intercept: bool = True,
        noise: float | None = None,
    ):
        super().__init__(alpha, fit_intercept=fit_intercept)
        self.noise = noise

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
    ) -> Self:
        """Solve the problem of these samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0. None: all 1.
        coef_init : array-like of shape (n_features,), default=None
            Weights to regularise towards. None: zeros.
        intercept_init : array-like of shape (1,), default=None
            Intercept to regularise towards. None: zero.

        Returns
        -------
        self : BiasedRidge
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid; nothing is changed then.
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
            If the input is invalid; nothing is changed then.
        """
        reset = not hasattr(self, "t_")
        return self._ingest(X, y, sample_weight, reset=reset)

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
            Only with `return_std`: standard deviations of the targets, of the noise and
            the uncertainty of the parameters together.

        Raises
        ------
        ValueError
            If standard deviations are asked for and `noise` is None.
        """
        y = super().predict(X)
        if not return_std:
            return y
        if self.noise is None:
            raise ValueError(
                "return_std=True needs the variance of the noise: give BiasedRidge the "
                "parameter noise."
            )
        X = check_X(self, X, reset=False)
        return y, predictive_std(
            X, self._root @ self._root.T, self.noise, self.fit_intercept
        )

    def _solve(self, task, theta, eta):
        root = self._root.copy() if self.t_ else _kernels.roots(eta)[0]
        theta = theta.copy()
        scores = np.empty(task.targets.shape)
        if not _learn_path(task, theta, root[np.newaxis], scores):
            raise ValueError(diverged_message(type(self).__name__, "full_loss"))
        self._root = root
        return theta


class BiasedLogisticRegression(ClassifierMixin, LinearClassifier, _BaseBiased):
    """Logistic regression towards a given parameter rather than towards zero.

    Minimises the sum of the log losses plus the sum of alpha_j (theta_j - init_j)**2 /
    2 over weights and intercepts together; with more than two classes, one against all
    others.

    Parameters
    ----------
    alpha : float or array-like of shape (n_outputs, n_features + 1) or \
            (n_outputs, n_features + 1, n_features + 1), default=1.0
        Strength of the regularisation, > 0, 1 / C in scikit-learn's terms; an array
        gives one to every parameter, the intercept's last. Symmetric, positive definite
        matrices A stand for the regularisation (theta - init)' A (theta - init) / 2.
    fit_intercept : bool, default=True
        Whether there is an intercept. It is regularised like a weight.

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
        Names of the features, where X had any.

    See Also
    --------
    BiasedRidge : The same for regression, with its use as an inner learner.
    OGDClassifier : One gradient step per sample.
    sklearn.linear_model.LogisticRegression : Regularisation towards zero.

    Notes
    -----
    `partial_fit` keeps the rows it is given and solves the problem of all of them:
    exact, and as large as what was seen.

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

    _loss = LogLoss()
    loss = "log_loss"

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
    ) -> Self:
        """Solve the problem of these samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Class labels, of at least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0. None: all 1.
        coef_init : array-like of the shape of `coef_`, default=None
            Weights to regularise towards. None: zeros.
        intercept_init : array-like of the shape of `intercept_`, default=None
            Intercepts to regularise towards. None: zeros.

        Returns
        -------
        self : BiasedLogisticRegression
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid; nothing is changed then.
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
            If the input is invalid or holds an unknown class; nothing is changed then.
        """
        reset = not hasattr(self, "t_")
        with unchanged_on_error(self):
            _check_partial_fit_first_call(self, classes)
            return self._ingest(X, y, sample_weight, self.classes_, reset=reset)

    def _solve(self, task, theta, eta):
        if not self.t_:
            self._center, self._problem = theta, task
            self._roots = _kernels.roots(eta)
        else:
            self._problem = self._problem.joined(task)
        theta = self._center.copy()
        for k, root in enumerate(self._roots):
            b, t = self._problem.row(k)
            rows = b @ root, t - b @ theta[k], self._problem.weight
            zeros, ones = np.zeros(len(root)), np.ones(len(root))
            theta[k] += root @ newton(self._loss, *rows, zeros, ones, zeros)
        return theta
