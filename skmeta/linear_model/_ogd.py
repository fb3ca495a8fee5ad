"""OGDClassifier and OGDRegressor: linear models trained one sample at a time."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state

from skmeta._losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from skmeta._sklearn import (
    Interval,
    StrOptions,
    _check_partial_fit_first_call,
    _fit_context,
)
from skmeta._tasks import Batch
from skmeta._validation import check_positive, unchanged_on_error
from skmeta.linear_model._base import (
    BaseLinear,
    LinearClassifier,
    LinearRegressor,
    pack_parameter,
)
from skmeta.linear_model._learner import OGDLearner


class BaseOGD(BaseLinear):
    """What classifier and regressor share: everything but the targets."""

    _parameter_constraints: ClassVar[dict] = {
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

    def _make_learner(self, shape, max_iter=None):
        """The resolved learner for parameters of this shape."""
        eta0 = check_positive(self.eta0, "eta0", type(self).__name__, shape)
        if self.update == "eg" and (self.radius is None or eta0.size > 1):
            raise ValueError(
                "update='eg' learns on the simplex of size `radius` with one step "
                "size: it needs a radius and a single eta0. Got "
                f"radius={self.radius!r} and eta0={self.eta0!r} instead."
            )
        return OGDLearner(
            loss=self._make_loss(),
            update=self.update,
            radius=np.inf if self.radius is None else float(self.radius),
            bias=float(self.fit_intercept),
            max_iter=self.max_iter if max_iter is None else max_iter,
            eta0=eta0,
            divide_by_root=self.learning_rate == "invsqrt",
            shuffle=self.shuffle,
        )

    def _current(self, shape):
        if self.average and self.t_:
            return self._theta.copy()
        return super()._current(shape)

    def _learn(self, X, y, weight, counts, learner, theta):
        """Train `theta` on the rows that count as one task and publish the result."""
        n_rows = len(y)
        if counts is not None:
            X, y = X[counts], y[counts]
        n_samples = len(y)
        starts = np.array([0, n_samples], dtype=np.intp)
        order = None
        if learner.shuffle:
            seed = check_random_state(self.random_state).randint(2**31)
            order = learner.shuffled(None, starts, [np.random.default_rng(seed)])
        eta = learner.step(n_samples)
        losses, grad_sq = np.zeros(n_samples), np.zeros_like(eta)
        average = np.empty_like(theta)
        batch = Batch(X, y, weight, starts, order)
        if not learner.run_task(batch, 0, theta, eta, losses, average, grad_sq):
            raise ValueError(diverged_message(type(self).__name__, learner.update))
        n_steps = n_samples * learner.max_iter
        if self.t_:
            before = pack_parameter(
                self.average_coef_, self.average_intercept_, theta.shape
            )
            average += self.t_ / (self.t_ + n_steps) * (before - average)
        self.t_ += n_steps
        self.n_iter_ = learner.max_iter
        self.losses_ = losses
        if counts is not None:
            self.losses_ = np.zeros(n_rows)
            self.losses_[counts] = losses
        self.grad_sq_, self.grad_sq_norm_ = grad_sq, float(grad_sq.sum())
        self._theta = theta
        self.average_coef_, self.average_intercept_ = self._shape_coef(average)
        self.coef_, self.intercept_ = self._shape_coef(
            average.copy() if self.average else theta
        )


def diverged_message(name, update):
    """What to do about parameters that left the finite numbers."""
    advice = "scale the features (StandardScaler)"
    if update not in ("implicit", "full_loss"):
        advice += ", use update='implicit', which does not diverge, or lower eta0"
    return (
        f"{name} reached NaN or infinite values: the features or the step size are too "
        f"large. What helps: {advice}."
    )


class OGDRegressor(RegressorMixin, LinearRegressor, BaseOGD):
    """Linear regression by online gradient descent, one sample at a time, in order.

    Parameters
    ----------
    loss : {'squared_error', 'huber', 'absolute_error', 'epsilon_insensitive', \
            'pinball', 'quantile'}, default='squared_error'
        Loss of one sample, in scikit-learn's definitions; 'squared_error' is half the
        squared residual, 'quantile' another name of 'pinball'.
    update : {'implicit', 'ogd', 'ftrl', 'eg'}, default='implicit'
        'ogd' is the explicit gradient step. 'implicit' minimises the sample's loss plus
        the squared distance from the current iterate over twice the step size; it does
        not diverge, whatever the scale of the features. 'ftrl' (linearised, or dual
        averaging) projects the start minus the sum of all steps; it differs from 'ogd'
        once the ball is left. 'eg' is exponentiated gradient; it needs `radius`.
    eta0 : float or array-like of shape (n_features + 1,), default=0.1
        Step size, > 0; an array gives one to every parameter, the intercept's last.
    learning_rate : {'constant', 'invsqrt'}, default='constant'
        The step size is `eta0`, or `eta0` over the root of the number of samples of the
        call.
    radius : float or None, default=None
        Every iterate is projected on the ball of this radius around zero, intercept
        included, > 0. None: no ball. For 'eg', the bound on the sum of absolute values.
    average : bool, default=False
        Whether `coef_` and `intercept_` are the average of the iterates rather than the
        last one.
    max_iter : int, default=1
        Passes of `fit` over the data, >= 1. `partial_fit` always makes one.
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
        Sum of the squared norms of the gradients behind `losses_`.
    grad_sq_ : ndarray of shape (1, 1) or (1, n_features + 1)
        The same sum, by parameter where `eta0` is an array.
    n_iter_ : int
        Passes of the last call.
    t_ : int
        Number of updates since `fit`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X had any.

    See Also
    --------
    OGDClassifier : The same for classification.
    skmeta.FMRLRegressor : Learns from many tasks where this one should start.
    sklearn.linear_model.SGDRegressor : Stochastic gradient descent with penalties.

    Notes
    -----
    The update is theta_{i+1} = Proj(theta_i - eta g_i) with g_i a subgradient of the
    loss of sample i at theta_i, times its sample weight. Against any theta in the ball,
    the losses of the first pass obey

        sum_i l_i(theta_i) - l_i(theta)
        <= ||theta - theta_1||**2 / (2 eta) + eta / 2 * sum_i ||g_i||**2

    for 'ogd', 'implicit' and 'ftrl' [1]_; with an array of step sizes coordinate by
    coordinate, and without a ball.

    'eg' keeps two positive numbers per parameter, whose difference it is and whose sum
    over all parameters is `radius` = U. A step multiplies them by exp(-+ eta g_j) and
    rescales the sum [2]_: mirror descent with the negative entropy. With KL the
    relative entropy of the positive numbers that stand for theta and for theta_1,

        sum_i l_i(theta_i) - l_i(theta)
        <= KL(theta, theta_1) / eta + eta * U / 2 * sum_i max_j g_{i,j}**2.

    Parameters are float64 whatever the type of X. A sample of weight
    zero leaves no trace.

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

    _parameter_constraints: ClassVar[dict] = {
        "loss": [StrOptions(set(REGRESSION_LOSSES))],
        **BaseOGD._parameter_constraints,
        "epsilon": [Interval(Real, 0, None, closed="left")],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        loss: str = "squared_error",
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
        """Learn from the start.

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
            If the input is invalid or the parameters leave the finite numbers; nothing
            is changed then.
        """
        start = (coef_init, intercept_init)
        return self._ingest(X, y, sample_weight, reset=True, start=start)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Learn from more samples, in one pass, from `coef_` and `intercept_` on.

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
            If the input is invalid or the parameters leave the finite numbers; nothing
            is changed then.
        """
        reset = not hasattr(self, "t_")
        return self._ingest(X, y, sample_weight, reset=reset, max_iter=1)

    def _make_loss(self):
        parameter = (
            self.quantile if self.loss in ("pinball", "quantile") else self.epsilon
        )
        return REGRESSION_LOSSES[self.loss](parameter)


class OGDClassifier(ClassifierMixin, LinearClassifier, BaseOGD):
    """Linear classification by online gradient descent, one sample at a time, in order.

    Two classes share one row of weights. More are learned one against all others, with
    a row each; the loss of a sample is then the sum over the rows, and the ball of
    `radius` holds all rows together.

    Parameters
    ----------
    loss : {'log_loss', 'hinge', 'squared_hinge', 'modified_huber'}, default='log_loss'
        Loss of one sample, in scikit-learn's definitions.
    update : {'implicit', 'ogd', 'ftrl', 'eg'}, default='implicit'
        'ogd' is the explicit gradient step. 'implicit' minimises the sample's loss plus
        the squared distance from the current iterate over twice the step size; it does
        not diverge, whatever the scale of the features. 'ftrl' (linearised, or dual
        averaging) projects the start minus the sum of all steps; it differs from 'ogd'
        once the ball is left. 'eg' is exponentiated gradient; it needs `radius`.
    eta0 : float or array-like of shape (n_outputs, n_features + 1), default=0.1
        Step size, > 0; an array gives one to every parameter, the intercept's last.
    learning_rate : {'constant', 'invsqrt'}, default='constant'
        The step size is `eta0`, or `eta0` over the root of the number of samples of the
        call.
    radius : float or None, default=None
        Every iterate is projected on the ball of this radius around zero, intercepts
        included, > 0. None: no ball. For 'eg', the bound on the sum of absolute values.
    average : bool, default=False
        Whether `coef_` and `intercept_` are the average of the iterates rather than the
        last one.
    max_iter : int, default=1
        Passes of `fit` over the data, >= 1. `partial_fit` always makes one.
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
        Sum of the squared norms of the gradients behind `losses_`.
    grad_sq_ : ndarray of shape (1, 1) or (n_outputs, n_features + 1)
        The same sum, by parameter where `eta0` is an array.
    n_iter_ : int
        Passes of the last call.
    t_ : int
        Number of updates since `fit`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X had any.

    See Also
    --------
    OGDRegressor : The same for regression, with the update and its guarantee.
    skmeta.FMRLClassifier : Learns from many tasks where this one should start.
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

    _parameter_constraints: ClassVar[dict] = {
        "loss": [StrOptions(set(CLASSIFICATION_LOSSES))],
        **BaseOGD._parameter_constraints,
    }

    def __init__(
        self,
        loss: str = "log_loss",
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
        """Learn from the start.

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
            If the input is invalid or the parameters leave the finite numbers; nothing
            is changed then.
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
        """Learn from more samples, in one pass, from `coef_` and `intercept_` on.

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
            If the input is invalid, holds an unknown class, or the parameters leave the
            finite numbers; nothing is changed then.
        """
        reset = not hasattr(self, "t_")
        with unchanged_on_error(self):
            _check_partial_fit_first_call(self, classes)
            return self._ingest(
                X, y, sample_weight, self.classes_, reset=reset, max_iter=1
            )

    def _make_loss(self):
        return CLASSIFICATION_LOSSES[self.loss]()
