"""OGDClassifier and OGDRegressor: linear models trained one sample at a time."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from inspect import signature
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state

from skmeta._batch import Task
from skmeta._kernels._loops_py import Shrinking
from skmeta._learners._ogd import OGDLearner
from skmeta._parameters import unchanged_on_error
from skmeta._sklearn import (
    Interval,
    StrOptions,
    _check_partial_fit_first_call,
    _fit_context,
)
from skmeta._step_matrices import diagonal
from skmeta.linear_model._base import (
    BaseLinear,
    LinearClassifier,
    LinearRegressor,
    check_margin,
    check_step_size,
    loss_of,
)
from skmeta.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES, Loss


class BaseOGD(BaseLinear):
    """What the classifier and the regressor share: everything except the targets."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "update": [StrOptions({"eg", "ftrl", "implicit", "ogd"})],
        "eta0": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "learning_rate": [StrOptions({"constant", "invsqrt"})],
        "radius": [Interval(Real, 0, None, closed="neither"), None],
        "average": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "fit_intercept": ["boolean"],
        "random_state": ["random_state"],
    }

    _theta: np.ndarray
    _average: np.ndarray
    # Of a model that `adapt` returned, if steps shrink: how, and the sum so far.
    _within: Any
    _squares: np.ndarray

    def inner_learner(
        self, shape: tuple[int, int], classes: np.ndarray | None = None
    ) -> OGDLearner:
        """The learner that trains parameters of this shape.

        Parameters
        ----------
        shape : tuple of int
            (n_outputs, n_features + 1).
        classes : ndarray of shape (n_classes,), default=None
            Not used.

        Returns
        -------
        learner : OGDLearner
        """
        eta0 = check_step_size(self.eta0, "eta0", type(self).__name__, shape)
        if self.update == "eg" and (self.radius is None or eta0.size > 1):
            raise ValueError(
                "update='eg' bounds the sum of absolute parameters by `radius` and has "
                "one step size: it needs a radius and a single eta0. Got "
                f"radius={self.radius!r} and eta0={self.eta0!r} instead."
            )
        return OGDLearner(
            loss=self._make_loss(),
            update=self.update,
            radius=np.inf if self.radius is None else float(self.radius),
            bias=float(self.fit_intercept),
            max_iter=self.max_iter,
            eta0=eta0,
            divide_by_root=self.learning_rate == "invsqrt",
            shuffle=self.shuffle,
            changed_step=changed(self, "eta0", "learning_rate"),
        )

    def _make_loss(self) -> Loss:
        raise NotImplementedError

    def _learner(self, shape: tuple[int, int], one_pass: bool) -> OGDLearner:
        learner = self.inner_learner(shape)
        return replace(learner, max_iter=1) if one_pass else learner

    def _learn(self, task: Task, learner: OGDLearner, theta: np.ndarray) -> None:
        """Train from the raw parameter `theta` and set the fitted attributes."""
        if learner.shuffle:
            seed = check_random_state(self.random_state).randint(2**31)
            task = Task(task.X, task.y, task.weight, seed)
        coordinates, inside, theta = self._in_units(task, theta)
        if self.average and self.t_:
            theta = self._theta.copy()
        if coordinates is not None:
            learner = learner.in_units(coordinates)
        eta, shrinking = learner.step(len(task)), None
        if "_within" in vars(self):
            squares = self._squares.copy() if self.t_ else np.zeros_like(eta)
            shrinking = Shrinking(self._within, squares)
            learner = replace(learner, shrinking=shrinking)
        outcome = learner.run(inside, theta, eta, average=True)
        if outcome.problem is not None:
            raise ValueError(f"{type(self).__name__}: {outcome.problem}.")
        theta, average, losses, grad_sq = outcome[:4]
        assert average is not None and losses is not None and grad_sq is not None
        n_steps = len(task) * learner.max_iter
        if self.t_:
            average += self.t_ / (self.t_ + n_steps) * (self._average - average)
        self.t_ += n_steps
        self.n_iter_ = learner.max_iter
        self.losses_ = losses
        self.grad_sq_ = grad_sq
        self.grad_sq_norm_ = float(diagonal(grad_sq).sum())
        if shrinking is not None:
            self._squares = shrinking.squares
        self._theta, self._average = theta, average
        if coordinates is not None:
            self.losses_ *= coordinates.loss_factor(learner.objective)
            theta, average = coordinates.to_raw(theta), coordinates.to_raw(average)
        self.average_coef_, self.average_intercept_ = self._shape_coef(average)
        self.coef_, self.intercept_ = self._shape_coef(
            average.copy() if self.average else theta.copy()
        )


def changed(estimator: Any, *names: str) -> str | None:
    """Those of the parameters that are not at their default, as text, or None."""
    cls: Any = type(estimator)
    defaults = _defaults(cls)
    texts = [
        f"{name}={getattr(estimator, name)!r}"
        for name in names
        if not np.array_equal(getattr(estimator, name), defaults[name])
    ]
    return " and ".join(texts) or None


@cache
def _defaults(cls: Any) -> dict[str, Any]:
    parameters = signature(cls).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


_WITH_EPSILON = frozenset({"epsilon_insensitive", "huber"})
_WITH_QUANTILE = frozenset({"pinball", "quantile"})


class OGDRegressor(RegressorMixin, LinearRegressor, BaseOGD):
    """Linear regression by online gradient descent, one sample at a time, in order.

    Parameters
    ----------
    loss : {'squared_error', 'huber', 'absolute_error', 'epsilon_insensitive', \
            'pinball', 'quantile'} or Loss, default='squared_error'
        Loss of one sample, in scikit-learn's definitions; 'squared_error' is half the
        squared residual, and 'quantile' is another name of 'pinball'. Or an object of
        :mod:`skmeta.losses`.
    update : {'implicit', 'ogd', 'ftrl', 'eg'}, default='implicit'
        'ogd' is the explicit gradient step. 'implicit' minimises the sample's loss plus
        the squared distance from the current iterate divided by twice the step size; it
        does not diverge, whatever the scale of the features. 'ftrl' (linearised
        follow-the-regularized-leader, or dual averaging) projects the start minus the
        sum of all steps; it differs from 'ogd' only if an iterate was projected. 'eg'
        is exponentiated gradient; it needs `radius`.
    eta0 : float or array-like of shape (n_features + 1,) or \
            (n_features + 1, n_features + 1), default=0.1
        Step size, > 0; an array has one for every parameter, with that of the intercept
        last. A symmetric, positive definite matrix is multiplied by the gradient; 'eg'
        takes a float only.
    learning_rate : {'constant', 'invsqrt'}, default='constant'
        The step size is `eta0`, or `eta0` divided by the root of the number of samples
        of the call.
    radius : float or None, default=None
        Every iterate is projected on the ball of this radius around zero, intercept
        included, > 0. None: no ball. For 'eg', the bound on the sum of absolute values.
    average : bool, default=False
        Whether `coef_` and `intercept_` are the average of the iterates rather than the
        last one.
    max_iter : int, default=1
        Number of passes of `fit` over the data, >= 1. `partial_fit` always makes one.
    shuffle : bool, default=False
        Whether every pass visits the samples in a new random order.
    fit_intercept : bool, default=True
        Whether there is an intercept: the weight of a constant feature of value 1.
    epsilon : float, default=0.1
        Threshold of 'huber' and 'epsilon_insensitive', >= 0.
    quantile : float, default=0.5
        Quantile of 'pinball', in (0, 1).
    random_state : int, RandomState instance or None, default=None
        Used to shuffle.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Weights: of the last iterate, or of the average if `average`.
    intercept_ : ndarray of shape (1,)
        Intercept, likewise.
    average_coef_ : ndarray of shape (n_features,)
        Weights averaged over the iterates at which gradients were taken, since `fit`.
    average_intercept_ : ndarray of shape (1,)
        Intercept, likewise.
    losses_ : ndarray of shape (n_samples,)
        Prequential losses of the last call: every sample of the first pass was
        predicted before it was learned from. Weighted by `sample_weight`.
    grad_sq_norm_ : float
        Sum of the squared norms of the gradients of `losses_`.
    grad_sq_ : ndarray of shape (1, 1), (1, n_features + 1) or \
            (1, n_features + 1, n_features + 1)
        The same sum, by parameter if `eta0` is an array; that of the outer products of
        the gradients if it is a matrix.
    n_iter_ : int
        Number of passes of the last call.
    t_ : int
        Number of updates since `fit`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any.

    See Also
    --------
    OGDClassifier : The same for classification.
    skmeta.FMRLRegressor : Learns the start of this estimator from many tasks.
    sklearn.linear_model.SGDRegressor : Stochastic gradient descent with penalties.

    Notes
    -----
    The update of 'ogd' is theta_{i+1} = Proj(theta_i - eta g_i), where g_i is a
    subgradient of the loss of sample i at theta_i, times the sample weight. Under
    'ogd', 'implicit' and 'ftrl', for any theta in the ball, the losses of the first
    pass satisfy

        sum_i l_i(theta_i) - l_i(theta)
        <= ||theta - theta_1||**2 / (2 eta) + eta / 2 * sum_i ||g_i||**2

    [1]_. With an array of step sizes, the bound is a sum over the coordinates, and it
    holds without a ball only. For a matrix H the squared norms are
    (theta - theta_1)' inv(H) (theta - theta_1) and g_i' H g_i.

    'eg' represents every parameter as the difference of two positive numbers; the sum
    of all these numbers is `radius` = U. A step multiplies them by exp(-+ eta g_j) and
    rescales their sum [2]_: mirror descent with the negative entropy. Let KL be the
    relative entropy of the numbers that represent theta to those of theta_1. Then

        sum_i l_i(theta_i) - l_i(theta)
        <= KL(theta, theta_1) / eta + eta * U / 2 * sum_i max_j g_{i,j}**2.

    Parameters are float64, whatever the type of X. A sample of weight zero changes
    nothing.

    References
    ----------
    .. [1] Zinkevich, "Online Convex Programming and Generalized Infinitesimal Gradient
       Ascent", ICML 2003, Theorem 1.
    .. [2] Kivinen, Warmuth, "Exponentiated Gradient versus Gradient Descent for Linear
       Predictors", Information and Computation 132, 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from skmeta.linear_model import OGDRegressor
    >>> X = np.array([[0.0], [1.0], [0.0], [1.0]])
    >>> y = np.array([1.0, 2.0, 1.0, 2.0])
    >>> model = OGDRegressor(eta0=0.5, max_iter=50).fit(X, y)
    >>> model.predict([[2.0]]).round(3)
    array([3.])
    >>> model.fit(X, y, coef_init=[1.0], intercept_init=[1.0]).losses_
    array([0., 0., 0., 0.])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "loss": [StrOptions(set(REGRESSION_LOSSES)), Loss],
        **BaseOGD._parameter_constraints,
        "epsilon": [Interval(Real, 0, None, closed="left")],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        *,
        update: str = "implicit",
        eta0: float | ArrayLike = 0.1,
        learning_rate: str = "constant",
        radius: float | None = None,
        average: bool = False,
        max_iter: int = 1,
        shuffle: bool = False,
        fit_intercept: bool = True,
        epsilon: float = 0.1,
        quantile: float = 0.5,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.loss = loss
        self.update = update
        self.eta0 = eta0
        self.learning_rate = learning_rate
        self.radius = radius
        self.average = average
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.fit_intercept = fit_intercept
        self.epsilon = epsilon
        self.quantile = quantile
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
    ) -> Self:
        """Learn from these samples, after forgetting what was learned before.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features, in the order in which they are learned from.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0. None: all 1.
        coef_init : array-like of shape (n_features,), default=None
            Initial weights. None: zeros.
        intercept_init : array-like of shape (1,), default=None
            Initial intercept. None: zero.

        Returns
        -------
        self : OGDRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid or the parameters diverge (NaN or infinity). The
            estimator is then unchanged.
        """
        start = (coef_init, intercept_init)
        return self._ingest(X, y, sample_weight, reset=True, start=start)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Learn from more samples, in one pass that starts at `coef_` and `intercept_`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features, in the order in which they are learned from.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0. None: all 1.

        Returns
        -------
        self : OGDRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid or the parameters diverge (NaN or infinity). The
            estimator is then unchanged.
        """
        reset = not hasattr(self, "t_")
        return self._ingest(X, y, sample_weight, reset=reset, one_pass=True)

    def _make_loss(self) -> Loss:
        if isinstance(self.loss, Loss):
            return check_margin(self, self.loss, is_margin=False)
        options: dict[str, Any] = {}
        if self.loss in _WITH_EPSILON:
            options["epsilon"] = self.epsilon
        if self.loss in _WITH_QUANTILE:
            options["quantile"] = self.quantile
        return REGRESSION_LOSSES[self.loss](**options)


class OGDClassifier(ClassifierMixin, LinearClassifier, BaseOGD):
    """Linear classification by online gradient descent, one sample at a time, in order.

    Two classes share one row of weights. More than two classes are learned one against
    all others, with one row for each. The loss of a sample is then the sum over the
    rows, and `radius` bounds the norm of all rows together.

    Parameters
    ----------
    loss : {'log_loss', 'hinge', 'squared_hinge', 'modified_huber'} or Loss, \
            default='log_loss'
        Loss of one sample, in scikit-learn's definitions, or an object of
        :mod:`skmeta.losses`.
    update : {'implicit', 'ogd', 'ftrl', 'eg'}, default='implicit'
        'ogd' is the explicit gradient step. 'implicit' minimises the sample's loss plus
        the squared distance from the current iterate divided by twice the step size; it
        does not diverge, whatever the scale of the features. 'ftrl' (linearised
        follow-the-regularized-leader, or dual averaging) projects the start minus the
        sum of all steps; it differs from 'ogd' only if an iterate was projected. 'eg'
        is exponentiated gradient; it needs `radius`.
    eta0 : float or array-like of shape (n_outputs, n_features + 1) or \
            (n_outputs, n_features + 1, n_features + 1), default=0.1
        Step size, > 0; an array has one for every parameter, with that of the intercept
        last. A symmetric, positive definite matrix is multiplied by the gradient; 'eg'
        takes a float only.
    learning_rate : {'constant', 'invsqrt'}, default='constant'
        The step size is `eta0`, or `eta0` divided by the root of the number of samples
        of the call.
    radius : float or None, default=None
        Every iterate is projected on the ball of this radius around zero, intercepts
        included, > 0. None: no ball. For 'eg', the bound on the sum of absolute values.
    average : bool, default=False
        Whether `coef_` and `intercept_` are the average of the iterates rather than the
        last one.
    max_iter : int, default=1
        Number of passes of `fit` over the data, >= 1. `partial_fit` always makes one.
    shuffle : bool, default=False
        Whether every pass visits the samples in a new random order.
    fit_intercept : bool, default=True
        Whether there is an intercept: the weight of a constant feature of value 1.
    random_state : int, RandomState instance or None, default=None
        Used to shuffle.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights: of the last iterate, or of the average if `average`.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts, likewise.
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted.
    average_coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights averaged over the iterates at which gradients were taken, since `fit`.
    average_intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts, likewise.
    losses_ : ndarray of shape (n_samples,)
        Prequential losses of the last call: every sample of the first pass was
        predicted before it was learned from. Weighted by `sample_weight`.
    grad_sq_norm_ : float
        Sum of the squared norms of the gradients of `losses_`.
    grad_sq_ : ndarray of shape (1, 1), (n_outputs, n_features + 1) or \
            (n_outputs, n_features + 1, n_features + 1)
        The same sum, by parameter if `eta0` is an array; that of the outer products of
        the gradients if it is a matrix.
    n_iter_ : int
        Number of passes of the last call.
    t_ : int
        Number of updates since `fit`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any.

    See Also
    --------
    OGDRegressor : The same for regression, with the update and its guarantee.
    skmeta.FMRLClassifier : Learns the start of this estimator from many tasks.
    sklearn.linear_model.SGDClassifier : Stochastic gradient descent with penalties.

    References
    ----------
    .. [1] Zinkevich, "Online Convex Programming and Generalized Infinitesimal Gradient
       Ascent", ICML 2003, Theorem 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skmeta.linear_model import OGDClassifier
    >>> X = np.array([[-1.0], [1.0], [-2.0], [2.0]])
    >>> y = np.array(["no", "yes", "no", "yes"])
    >>> model = OGDClassifier().fit(X, y)
    >>> model.predict([[-3.0], [3.0]])
    array(['no', 'yes'], dtype='<U3')
    >>> model.predict_proba([[0.0]]).shape
    (1, 2)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "loss": [StrOptions(set(CLASSIFICATION_LOSSES)), Loss],
        **BaseOGD._parameter_constraints,
    }

    def __init__(
        self,
        loss: str | Loss = "log_loss",
        *,
        update: str = "implicit",
        eta0: float | ArrayLike = 0.1,
        learning_rate: str = "constant",
        radius: float | None = None,
        average: bool = False,
        max_iter: int = 1,
        shuffle: bool = False,
        fit_intercept: bool = True,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.loss = loss
        self.update = update
        self.eta0 = eta0
        self.learning_rate = learning_rate
        self.radius = radius
        self.average = average
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.fit_intercept = fit_intercept
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
    ) -> Self:
        """Learn from these samples, after forgetting what was learned before.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features, in the order in which they are learned from.
        y : array-like of shape (n_samples,)
            Class labels, of at least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0. None: all 1.
        coef_init : array-like of the shape of `coef_`, default=None
            Initial weights. None: zeros.
        intercept_init : array-like of the shape of `intercept_`, default=None
            Initial intercepts. None: zeros.

        Returns
        -------
        self : OGDClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid or the parameters diverge (NaN or infinity). The
            estimator is then unchanged.
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
        """Learn from more samples, in one pass that starts at `coef_` and `intercept_`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features, in the order in which they are learned from.
        y : array-like of shape (n_samples,)
            Class labels; not every class need occur.
        classes : array-like of shape (n_classes,), default=None
            All class labels; required in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0. None: all 1.

        Returns
        -------
        self : OGDClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid or contains an unknown class, or if the parameters
            diverge (NaN or infinity). The estimator is then unchanged.
        """
        reset = not hasattr(self, "t_")
        with unchanged_on_error(self):
            _check_partial_fit_first_call(self, classes)
            return self._ingest(
                X, y, sample_weight, self.classes_, reset=reset, one_pass=True
            )

    def _make_loss(self) -> Loss:
        return check_margin(self, loss_of(self.loss), is_margin=True)
