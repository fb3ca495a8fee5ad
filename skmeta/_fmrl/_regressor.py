"""FMRLRegressor: gradient-based meta-learning of linear regression."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin

from skmeta._fmrl._base import BaseFMRL
from skmeta._fmrl._state import State
from skmeta._meta._base import MetaRegressor
from skmeta._targets import Values
from skmeta.linear_model import OGDRegressor


class FMRLRegressor(RegressorMixin, MetaRegressor, BaseFMRL):
    """Linear regression for many related tasks, from a shared initialization.

    Follow-the-meta-regularized-leader: online gradient descent within a task, from an
    initialization and with a step size that are learned from task to task, so that a
    few rows of a new task suffice. `partial_fit` learns one task at a time.

    Parameters
    ----------
    estimator : estimator, default=None
        The inner learner, trained within a task. None: `OGDRegressor()`. Or another
        estimator of :mod:`skmeta.linear_model`; a linear regressor of scikit-learn with
        `partial_fit` and settable `coef_` and `intercept_`; `MLPRegressor`, or
        `NeuralNetRegressor` of skorch (:doc:`/networks`); or an estimator with a method
        `inner_learner` (:class:`skmeta.linear_model.InnerLearner`).
    step_size : float, {'fixed', 'doubling', 'similarity_ftl', 'ewoo', 'isotropic', \
            'per_coordinate', 'full_matrix'} or StepSize, default=None
        Step size within a task: a number > 0, a name, or an object of
        :mod:`skmeta.step_size`. 'fixed' is the step size of the inner learner; the
        others are learned from task to task. None: 'per_coordinate', the most accurate
        in measurements, if the inner learner takes one step size per parameter;
        'isotropic' for `update='eg'`; 'fixed' otherwise.
    meta_step_size : float, {'ftl', 'aogd'} or MetaStepSize, default='ftl'
        How the shared initialization moves after a task: by a constant share in [0, 1]
        of the way to the parameter of the task (Reptile), by a name, or by an object of
        :mod:`skmeta.meta_step_size`. 0 is single-task learning; with 1 every task
        starts at the parameter of the previous one. 'ftl' follows the leader. In the
        papers, and by `FollowTheLeader()`, this is the mean of all task parameters,
        weighted by the root of the number of their samples. With the default
        `step_size`, `task_parameter` and `standardize`, it is the best single model for
        all rows so far, `FollowTheRows()`, the most accurate in measurements, if the
        inner learner has a loss and the parameter is small enough. 'aogd' is another
        name of `FollowTheLeader()`.
    task_parameter : {'last', 'average', 'regularized', 'optimum'}, default='last'
        The parameter that represents a finished task: the last iterate; the average of
        the iterates at which gradients were taken; the minimiser of the task's loss
        plus the squared distance from the start divided by twice the step size; or the
        minimiser of the task's loss in the ball that is nearest to the start. The last
        two are computed by a solver, to its precision.
    standardize : bool, default=True
        Whether a task is learned in units that are estimated from rows. Features are
        centred and divided by their spread and by the root of their number, with the
        moments of all rows up to this task. If the loss is one of residuals, the target
        is centred and divided by its spread, with the moments of the earlier tasks.
        Sparse features are scaled but not centred. `coef_` and all predictions are raw.
        False: raw features and target, exactly as in the papers; networks of skorch
        need it.
    init : {'zero', 'pooled'} or array-like of shape (n_features + 1,), \
            default='zero'
        The first shared initialization. With 'zero', a network starts at weights that
        are drawn at random. An array has the intercept last; without an entry for the
        intercept, it is zero. For a network it is flat, as `init_`. 'pooled', only in
        `fit`, is the parameter that best fits the rows of all tasks together. It has
        the same weight as the tasks that it was computed from: with
        `meta_step_size='ftl'`, one pass moves the shared initialization halfway from it
        to the mean of the tasks.
    n_passes : int, default=1
        Number of passes of `fit` over the tasks, >= 1. In every pass all tasks start
        from the shared initialization. The stored parameters of a task are those of the
        last pass.
    meta_batch_size : int, default=1
        Number of tasks of a call that share one initialization and step size, >= 1. The
        initialization then moves towards the weighted mean of their parameters.
    task_column : str, int or list of these, default=None
        Name or index of the column of X that holds the task labels, or a list of
        columns that together are one label. They are not features.
    unknown_task : {'shared', 'warn', 'raise'}, default='shared'
        Whether rows of an unknown task are predicted with the shared initialization,
        predicted in this way with a warning, or raise an error.
    on_bad_task : {'raise', 'warn', 'skip'}, default='raise'
        What to do with a task that contains NaN or infinity, or whose parameters
        diverge: raise an error for the whole call, or leave out the task with or
        without a warning.
    on_bad_row : {'raise', 'drop'}, default='raise'
        Whether a row with NaN or infinity makes its task bad, or is left out.
    store_tasks : bool, default=True
        Whether the parameters of labelled tasks are stored. If not, every task is
        unknown to `predict`.
    n_jobs : int, default=None
        Number of parallel jobs for the tasks of a meta-batch, for the optima of
        `task_parameter='optimum'` and for those of a
        :func:`~skmeta.metrics.regret_report`, where there is enough work: threads or,
        for networks and other work in Python, processes. With ``meta_batch_size=1``,
        tasks are learned one after another and cannot run in parallel. None is one
        unless in a :func:`joblib.parallel_config` context, -1 all processors. Results
        do not depend on it.
    warm_start : bool, default=False
        Whether `fit` continues from what was learned before.
    verbose : int, default=0
        Whether to print one line per pass.
    random_state : int, RandomState instance or None, default=None
        Used to draw `init_draw_`, and if the inner learner shuffles or draws its first
        weights, unless it has an own `random_state`.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Weights of the shared initialization.
    intercept_ : ndarray of shape (1,)
        Intercept of the shared initialization.
    init_ : ndarray of shape (n_features + 1,) or (n_parameters,)
        The shared initialization as one array, as `init` accepts it, with the intercept
        last. For a network it is flat, and the only form: there are no `coef_`,
        `intercept_`, `task_coef_` and `task_intercept_`.
    init_draw_ : ndarray of the shape of `init_`
        One of the shared initializations phi_1, ..., phi_T with which the tasks so far
        started, drawn uniformly; raw, as the parameter `init`. It depends on
        `random_state`. `adapt` with ``init='draw'`` starts there.
    init_mean_ : ndarray of the shape of `init_`
        The mean of phi_1, ..., phi_T; raw. `adapt` with ``init='mean'`` starts there.
    step_size_ : float or ndarray of shape (n_outputs, n_features + 1)
        Step size of the next task if it is as long as the last one, in the units in
        which tasks are learned. With one per parameter, that of the intercept is last;
        of matrices, the diagonals.
    task_labels_ : ndarray of shape (n_tasks,)
        Labels of the known tasks, in order of first appearance.
    task_coef_ : ndarray of shape (n_tasks, ...)
        Their weights, each shaped like `coef_`.
    task_intercept_ : ndarray of shape (n_tasks, ...)
        Their intercepts, each shaped like `intercept_`.
    history_ : structured ndarray of shape (`n_tasks_seen_`,)
        One row per learned task, in order: `label`; `visit`, its number from 1 on;
        `n_samples`; `loss`, the mean prequential loss (every sample is predicted before
        it is learned from); and, in the units of the task, `distance` of the task
        parameter from the shared initialization, `grad_sq_norm`, the sum of squared
        gradient norms, and `step_size`, or its mean if there is one per parameter. If
        tasks are not stored, only the last 1,000 rows.
        ``pandas.DataFrame(model.history_)`` is a table.
    n_tasks_seen_ : int
        Number of tasks learned from; every pass and every return of a task counts.
    n_tasks_skipped_ : int
        Number of bad tasks left out, in every pass.
    n_rows_set_aside_ : int
        Number of rows with an isolated value far outside all others, which were not
        learned from (with `standardize=True`, of dense X); a warning names the first
        of a call.
    n_features_in_ : int
        Number of features, the task column not counted.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any.

    See Also
    --------
    FMRLClassifier : The same for classification.
    MixedEffectsRegressor : More accurate on tables of up to a few hundred columns.
    skmeta.linear_model.OGDRegressor : The inner learner.

    Notes
    -----
    Task t starts at the shared initialization phi_t, and theta_t is its task parameter.
    Then phi_{t+1} = phi_t + a_t (theta_t - phi_t), with a_t from the meta step size
    [1]_. Learned step sizes follow [1]_ ('doubling') and [2]_ (the others). Tasks are
    learned in order of first appearance. Parameters are float64, whatever the type of
    X.

    With `standardize`, phi_t is converted when the units change, so that its
    predictions stay the same; the state of a step size is not converted. The first task
    is learned in the units of its own rows, and ``init='zero'`` is zero in these units,
    so that it predicts the mean target. Units are fixed while a task is learned, so the
    regret bound holds in these units.

    With ``init='pooled'``, phi_1 minimises the sum of the inner learner's loss over all
    rows plus a ridge of strength 1 on the weights of the standardised features (of a
    thousandth of that on the intercept), projected on the ball if there is one. The
    weights of the tasks so far, which determine a_t, include those of the tasks that
    phi_1 was computed from. Time grows with the square of the number of features.

    Metadata routing: `tasks` can be requested by ``set_fit_request(tasks=True)`` and
    the other methods of this kind; a `task_column` works everywhere without routing.

    References
    ----------
    .. [1] Balcan, Khodak, Talwalkar, "Provable Guarantees for Gradient-Based
       Meta-Learning", ICML 2019.
    .. [2] Khodak, Balcan, Talwalkar, "Adaptive Gradient-Based Meta-Learning Methods",
       NeurIPS 2019.

    Examples
    --------
    >>> from skmeta import FMRLRegressor
    >>> from skmeta.datasets import make_task_regression
    >>> X, y, tasks = make_task_regression(n_tasks=200, random_state=0)
    >>> model = FMRLRegressor().fit(X, y, tasks=tasks)
    >>> X_new, y_new = X[tasks == 7], y[tasks == 7]
    >>> adapted = model.adapt(X_new[:4], y_new[:4])
    >>> adapted.predict(X_new[4:]).shape
    (6,)
    >>> known = model.predict(X, tasks=tasks)
    >>> bool(((y - known) ** 2).mean() < ((y - model.predict(X)) ** 2).mean())
    True
    """

    _default_estimator = OGDRegressor

    def _first_target(self, owner: Any, X: Any, y: ArrayLike, classes: Any) -> Values:
        shape = Values.n_outputs, X.shape[1] + 1
        last = vars(self).get("_configuration")
        unchanged = last is not None and last.watch.is_same(self)
        return Values(self._configured(shape, None, unchanged).algorithm.loss)

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        tasks: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn the shared initialization from many tasks.

        If `n_passes` is 1 and `init` is not 'pooled', the result equals that of
        `partial_fit` task by task, to the last bit (up to rounding with
        `task_parameter='optimum'`).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features of all tasks. The rows of a task are learned in their order, and
            the tasks in order of first appearance.
        y : array-like of shape (n_samples,)
            Targets.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row: a number, a string, a date, a tuple or any other
            hashable object. None, without a `task_column`: all rows are one task
            without a name, with a warning.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0; a row of weight 0 has no effect. None:
            all 1.

        Returns
        -------
        self : FMRLRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid or a task cannot be learned from; the message names
            the task. The estimator is then unchanged.
        """
        passes = self.n_passes
        return self._ingest(X, y, tasks, sample_weight, n_passes=passes)

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        tasks: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn from one more task, or from the tasks labelled by `tasks`.

        The shared initialization moves. A known task starts at its own parameters; any
        other task starts at the shared initialization.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features, in the order in which they are learned from.
        y : array-like of shape (n_samples,)
            Targets.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row. None, without a `task_column`: all rows are one
            task without a name, whose parameters are not stored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0; a row of weight 0 has no effect. None:
            all 1.

        Returns
        -------
        self : FMRLRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid or a task cannot be learned from; the message names
            the task. The estimator is then unchanged.
        """
        return self._ingest(X, y, tasks, sample_weight)

    def _from_scores(
        self, method: str, scores: np.ndarray, learned: State
    ) -> np.ndarray:
        return learned.target.predict(scores)

    def predict(self, X: Any, *, tasks: ArrayLike | None = None) -> np.ndarray:
        """Predict targets: with a link, such as that of 'poisson', their means.

        Rows of a known task use its own parameters, rows of an unknown one the shared
        initialization (see `unknown_task`).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row. None, without a `task_column`: the shared
            initialization for all rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predictions.
        """
        return self._respond("predict", X, tasks)

    def score(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        tasks: ArrayLike | None = None,
    ) -> float:
        """Coefficient of determination of `predict(X, tasks=tasks)`, for every loss.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            True targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task labels, as for `predict`.

        Returns
        -------
        score : float
            R^2, at most 1.
        """
        return self._score(y, self.predict(X, tasks=tasks), sample_weight)
