"""OGDClassifier and OGDRegressor: linear models trained one sample at a time."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin

from skmeta._parameters import unchanged_on_error
from skmeta._sklearn import (
    Interval,
    StrOptions,
    _check_partial_fit_first_call,
    _fit_context,
)
from skmeta.linear_model._base import (
    LinearClassifier,
    LinearRegressor,
    check_margin,
    loss_of,
)
from skmeta.linear_model._base_ogd import BaseOGD
from skmeta.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES, Loss

_WITH_EPSILON = frozenset({"epsilon_insensitive", "huber"})
_WITH_QUANTILE = frozenset({"pinball", "quantile"})


class OGDRegressor(RegressorMixin, LinearRegressor, BaseOGD):
    """Linear regression by online gradient descent, one sample at a time, in order.

    Parameters
    ----------
    loss : {'squared_error', 'huber', 'absolute_error', 'epsilon_insensitive', \
            'pinball', 'quantile', 'poisson'} or Loss, default='squared_error'
        Loss of one sample, in scikit-learn's definitions; 'squared_error' is half the
        squared residual, and 'quantile' is another name of 'pinball'. 'poisson', half
        the Poisson deviance, is for targets >= 0 such as counts: `predict` returns
        means, the exponentials of the scores. Or an object of :mod:`skmeta.losses`.
    update : {'implicit', 'ogd', 'ftrl', 'eg', 'coin'}, default='implicit'
        'ogd' is the explicit gradient step. 'implicit' minimises the sample's loss plus
        the squared distance from the current iterate divided by twice the step size; it
        does not diverge, whatever the scale of the features. 'ftrl' (linearised
        follow-the-regularized-leader, or dual averaging) projects the start minus the
        sum of all steps; it differs from 'ogd' only if an iterate was projected. 'eg'
        is exponentiated gradient; it needs `radius`. 'coin' is coin betting, which has
        no step size, and no ball; it needs a loss with bounded slopes, or `lipschitz`.
    eta0 : float or array-like of shape (n_features + 1,) or \
            (n_features + 1, n_features + 1), default=0.1
        Step size, > 0; an array has one for every parameter, with that of the intercept
        last. A symmetric, positive definite matrix is multiplied by the gradient; 'eg'
        takes a float only.
    learning_rate : {'constant', 'invsqrt', 'inverse'}, default='constant'
        The step size is `eta0`, or `eta0` divided by the root of the number of samples
        of the call. 'inverse', for 'ftrl' only: after sample i of the call, counted
        from 1 through all passes, the sum of the gradients is multiplied by `eta0` / i
        [3]_.
    radius : float or None, default=None
        Every iterate is projected on the ball of this radius around zero, intercept
        included, > 0. None: no ball. For 'eg', the bound on the sum of absolute values.
    lipschitz : float or None, default=None
        For 'coin': a bound on the absolute slope of the loss in the score, > 0. A
        larger slope is an error. None: the bound of the loss, if it has one.
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
    coef_init : array-like of shape (n_features,), default=None
        Weights at which `fit` starts, unless its argument of this name is given.
        `adapt` of a meta-estimator sets it, so that a clone starts at the same place.
        None: zeros.
    intercept_init : array-like of shape (1,), default=None
        The same for the intercept. None: zero.

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
    (theta - theta_1)' inv(H) (theta - theta_1) and g_i' H g_i. With
    ``learning_rate='inverse'``, eta is `eta0` / m in the first term and, in the second,
    `eta0` for sample 1 and `eta0` / (i - 1) for sample i.

    'coin' bets on the negative gradients in units of G, c_i = -g_i / G, so that they
    have norm at most one. G is `lipschitz` times the root of the number of outputs and
    the largest norm of a row of the call, weighted and with its constant feature, which
    is known before the first target. With S_i = c_1 + ... + c_i and the gain
    W_i = sum_{j<=i} c_j . (theta_j - theta_1),

        theta_{i+1} = theta_1 + S_i (1 + W_i) / (i + 1)

    [4]_. Nothing is tuned: for m samples and any theta at distance D from theta_1,

        sum_i l_i(theta_i) - l_i(theta)
        <= G (1 - 1 / (e sqrt(pi m)) + D sqrt(m log(1 + 24 m**2 D**2))).

    'eg' represents every parameter as the difference of two positive numbers, an
    intercept only if there is one; the sum of all these numbers is `radius` = U. A step
    multiplies them by exp(-+ eta g_j) and rescales their sum [2]_: mirror descent with
    the negative entropy. Let KL be the
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
    .. [3] Denevi, Ciliberto, Grazzi, Pontil, "Learning-to-Learn Stochastic Gradient
       Descent with Biased Regularization", ICML 2019.
    .. [4] Orabona, Pal, "Coin Betting and Parameter-Free Online Learning", NeurIPS
       2016; for tasks: Denevi, Stamos, Pontil, 2020.

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
        lipschitz: float | None = None,
        average: bool = False,
        max_iter: int = 1,
        shuffle: bool = False,
        fit_intercept: bool = True,
        epsilon: float = 0.1,
        quantile: float = 0.5,
        random_state: int | np.random.RandomState | None = None,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
    ):
        self.loss = loss
        self.update = update
        self.eta0 = eta0
        self.learning_rate = learning_rate
        self.radius = radius
        self.lipschitz = lipschitz
        self.average = average
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.fit_intercept = fit_intercept
        self.epsilon = epsilon
        self.quantile = quantile
        self.random_state = random_state
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
            Initial weights. None: the parameter `coef_init`.
        intercept_init : array-like of shape (1,), default=None
            Initial intercept. None: the parameter `intercept_init`.

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

    def _loss_of_scores(self) -> Loss:
        return self._make_loss()


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
    update : {'implicit', 'ogd', 'ftrl', 'eg', 'coin'}, default='implicit'
        'ogd' is the explicit gradient step. 'implicit' minimises the sample's loss plus
        the squared distance from the current iterate divided by twice the step size; it
        does not diverge, whatever the scale of the features. 'ftrl' (linearised
        follow-the-regularized-leader, or dual averaging) projects the start minus the
        sum of all steps; it differs from 'ogd' only if an iterate was projected. 'eg'
        is exponentiated gradient; it needs `radius`. 'coin' is coin betting, which has
        no step size, and no ball; it needs a loss with bounded slopes, or `lipschitz`.
    eta0 : float or array-like of shape (n_outputs, n_features + 1) or \
            (n_outputs, n_features + 1, n_features + 1), default=0.1
        Step size, > 0; an array has one for every parameter, with that of the intercept
        last. A symmetric, positive definite matrix is multiplied by the gradient; 'eg'
        takes a float only.
    learning_rate : {'constant', 'invsqrt', 'inverse'}, default='constant'
        The step size is `eta0`, or `eta0` divided by the root of the number of samples
        of the call. 'inverse', for 'ftrl' only: after sample i of the call, counted
        from 1 through all passes, the sum of the gradients is multiplied by `eta0` / i
        [3]_.
    radius : float or None, default=None
        Every iterate is projected on the ball of this radius around zero, intercepts
        included, > 0. None: no ball. For 'eg', the bound on the sum of absolute values.
    lipschitz : float or None, default=None
        For 'coin': a bound on the absolute slope of the loss in the score, > 0. A
        larger slope is an error. None: the bound of the loss, if it has one.
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
    class_weight : dict, 'balanced' or None, default=None
        Weight of every class, > 0, by which the weights of its samples are multiplied;
        classes that a dict does not name have weight 1. 'balanced', in `fit` only: the
        inverse of the share of the class in `y`, divided by the number of classes.
    coef_init : array-like of the shape of `coef_`, default=None
        Weights at which `fit` starts, unless its argument of this name is given.
        `adapt` of a meta-estimator sets it, so that a clone starts at the same place.
        None: zeros.
    intercept_init : array-like of the shape of `intercept_`, default=None
        The same for the intercepts. None: zeros.

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
    .. [3] Denevi, Ciliberto, Grazzi, Pontil, "Learning-to-Learn Stochastic Gradient
       Descent with Biased Regularization", ICML 2019.

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
        **LinearClassifier._parameter_constraints,
    }

    def __init__(
        self,
        loss: str | Loss = "log_loss",
        *,
        update: str = "implicit",
        eta0: float | ArrayLike = 0.1,
        learning_rate: str = "constant",
        radius: float | None = None,
        lipschitz: float | None = None,
        average: bool = False,
        max_iter: int = 1,
        shuffle: bool = False,
        fit_intercept: bool = True,
        random_state: int | np.random.RandomState | None = None,
        class_weight: dict[Any, float] | str | None = None,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
    ):
        self.loss = loss
        self.update = update
        self.eta0 = eta0
        self.learning_rate = learning_rate
        self.radius = radius
        self.lipschitz = lipschitz
        self.average = average
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.fit_intercept = fit_intercept
        self.random_state = random_state
        self.class_weight = class_weight
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
            Initial weights. None: the parameter `coef_init`.
        intercept_init : array-like of the shape of `intercept_`, default=None
            Initial intercepts. None: the parameter `intercept_init`.

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
