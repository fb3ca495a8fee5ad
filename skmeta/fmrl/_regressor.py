"""FMRLRegressor: meta-learning of linear regression."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from skmeta._prior import predictive_std
from skmeta._tasks import check_labels, group_rows
from skmeta._validation import check_numeric_y, check_X
from skmeta.fmrl._base import _BaseFMRL
from skmeta.linear_model import BiasedRidge, OGDRegressor


class FMRLRegressor(RegressorMixin, _BaseFMRL):
    """Linear regression for many related tasks, from a shared initialization.

    Learns where a linear model of a new task should start and how far it should step,
    so that a few rows of the task suffice. `partial_fit` takes in one task at a time.

    Parameters
    ----------
    estimator : estimator, default=None
        The inner learner, trained within a task. None stands for
        `BiasedRidge()`, solved exactly, where the step size is 'empirical_bayes',
        or 'auto' and there are at most 128 features; else for `OGDRegressor()`,
        whose implicit update does not diverge, whatever the scale of the features, but
        learns well only if they are scaled. Any linear regressor with `partial_fit`
        and settable `coef_` and `intercept_` will do, with `task_parameter='last'`.
    task_parameter : {'last', 'average', 'regularized', 'optimum'}, default='last'
        The parameter that stands for a finished task: the last iterate; the average of
        the iterates at which gradients were taken; the minimiser of the task's loss
        plus the squared distance from the shared initialization over twice the step
        size; or the minimiser of the task's loss in the ball, the one nearest to the
        shared initialization. The last two are solved for, to the precision of the
        solver.
    meta_update : {'auto', 'ftl', 'gls', 'aogd', 'constant', 'linear'} or object, \
            default='auto'
        How far the shared initialization moves towards the parameter of a finished
        task; a name, or an object of :mod:`skmeta.meta_update`. 'ftl' keeps the mean of
        all task parameters, weighted by the root of their length, 'gls' the one that
        a learned prior makes likeliest. 'auto' is 'gls' with the step size
        'empirical_bayes' and 'ftl' with any other.
    meta_eta0 : float, default=0.1
        Meta step size of 'constant' (Reptile) and first one of 'linear', in [0, 1]. 0
        is single-task learning; 1 starts each task where the last one ended. Not used
        by 'ftl', 'gls' and 'aogd'.
    step_size : {'auto', 'fixed', 'doubling', 'isotropic', 'per_coordinate', \
            'empirical_bayes'} or object, default='auto'
        Step size within a task; a name, or an object of :mod:`skmeta.step_size`.
        'fixed' is the inner learner's own. The others are learned from task to task,
        'empirical_bayes' for an inner learner that is solved exactly. 'auto' is
        'empirical_bayes' for such a learner, 'isotropic' for `OGDRegressor` and 'fixed'
        for any other.
    task_column : str or int, default=None
        Name or index of the column of X that holds the task labels. It is not a
        feature.
    init : {'zero', 'pooled'} or array-like of shape (n_features + 1,), \
            default='zero'
        The first shared initialization: an array, the intercept last or left out and
        zero then; or 'pooled', the parameter that fits the rows of all tasks together
        best, from the rows of `fit` or of the first call of `partial_fit`. It counts
        as much as the tasks that it comes from: with `meta_update='ftl'`, the shared
        initialization moves from it half of the way to the tasks' mean in one pass.
    n_passes : int, default=1
        Passes of `fit` over the tasks, >= 1. In every pass all tasks start from the
        shared initialization. The parameters kept of a task are those of the last pass;
        in a single one, those of the first tasks started from nothing.
    meta_batch_size : int, default=1
        Number of tasks of a call that share one initialization and step size, >= 1. The
        initialization then moves towards the weighted mean of their parameters.
    n_jobs : int, default=None
        Number of parallel jobs: threads for the tasks of a meta-batch and for
        'optimum'. None is one, -1 all processors. Results do not depend on it.
    unknown_task : {'init', 'raise'}, default='init'
        Whether rows of an unknown task are predicted from the shared initialization or
        raise an error.
    on_bad_task : {'raise', 'warn', 'skip'}, default='raise'
        What to do with a task that holds NaN or infinity, or that ends in
        non-finite parameters: refuse the whole call, or leave out the task with or
        without a warning.
    store_tasks : bool, default=True
        Whether the parameters of labelled tasks are kept. Without them every task is
        unknown to `predict`, and memory does not grow with the number of tasks but for
        one row of `history_` each.
    warm_start : bool, default=False
        Whether `fit` goes on from what was learned before rather than from the start.
    random_state : int, RandomState instance or None, default=None
        Used where the inner learner shuffles.
    verbose : int, default=0
        Whether to print one line per pass.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Weights of the shared initialization.
    intercept_ : ndarray of shape (1,)
        Intercept of the shared initialization.
    step_size_ : float or ndarray of shape (n_outputs, n_features + 1)
        Step size of a next task as long as the last one; with one per parameter, the
        intercept's is last.
    task_labels_ : ndarray of shape (n_tasks,)
        Labels of the known tasks, in order of first appearance.
    task_coef_ : ndarray of shape (n_tasks, ...)
        Their weights, each shaped like `coef_`.
    task_intercept_ : ndarray of shape (n_tasks, ...)
        Their intercepts, each shaped like `intercept_`.
    history_ : structured ndarray of shape (`n_tasks_seen_`,)
        One row per learned task, in order: `n_samples`; `loss`, the mean prequential
        loss (every sample predicted before it is learned from); `distance` of the task
        parameter from the shared initialization; `grad_sq_norm`, the sum of squared
        gradient norms; `step_size`, a mean where there is one per parameter.
        ``pandas.DataFrame(model.history_)`` makes it a table.
    n_tasks_seen_ : int
        Number of tasks learned from; every pass and every return of a task counts.
    n_tasks_skipped_ : int
        Number of bad tasks left out, in every pass.
    n_features_in_ : int
        Number of features, the task column not counted.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X had any.

    See Also
    --------
    FMRLClassifier : The same for classification.
    skmeta.linear_model.OGDRegressor : The inner learner.

    Notes
    -----
    Task t starts at the shared initialization phi_t and ends at its task parameter
    theta_t; then phi_{t+1} = phi_t + a_t (theta_t - phi_t), with a_t from the
    meta-update [1]_. Learned step sizes follow [1]_ ('doubling') and [2]_ ('isotropic',
    'per_coordinate'). Tasks are learned in order of first appearance; parameters are
    float64 whatever the type of X.

    With ``init='pooled'``, phi_1 minimises the sum of the inner learner's loss over all
    rows plus a ridge of strength 1 on the weights of the standardised features (of a
    thousandth of that on the intercept), projected on the ball if there is one. The
    weights of the tasks so far, by which a_t is set, include those of the tasks that
    phi_1 was computed from. Time grows with the square of the number of features.

    Metadata routing: `tasks` can be requested by ``set_fit_request(tasks=True)`` and
    its likes; a `task_column` works everywhere without it.

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

    _plain_target = np.float64
    _exact_learner = BiasedRidge
    _online_learner = OGDRegressor

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        tasks: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn the shared initialization from many tasks.

        Equals a reset followed by `partial_fit` task by task, to the last bit, if
        `n_passes` is 1 and `init` is not 'pooled'; up to rounding with
        `task_parameter='optimum'`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features of all tasks. The rows of a task are learned from in their order,
            the tasks in order of first appearance.
        y : array-like of shape (n_samples,)
            Targets.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row. None, without a `task_column`: all rows are one
            task.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0; a row of weight 0 leaves no trace.
            None: all 1.

        Returns
        -------
        self : FMRLRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid or a task cannot be learned from, naming the task;
            nothing is changed then.
        """
        reset = not (self.warm_start and hasattr(self, "_state"))
        return self._ingest(
            X, y, tasks, sample_weight, reset=reset, n_passes=self.n_passes
        )

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        tasks: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn from one more task, or from the tasks labelled by `tasks`.

        Moves the shared initialization. A task that is known goes on from its own
        parameters; any other starts at the shared initialization.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features, in the order in which they are learned from.
        y : array-like of shape (n_samples,)
            Targets.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row. None, without a `task_column`: all rows are one
            task without a name, whose parameters are not kept.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0; a row of weight 0 leaves no trace.
            None: all 1.

        Returns
        -------
        self : FMRLRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid or a task cannot be learned from, naming the task;
            nothing is changed then.
        """
        if tasks is None and sample_weight is None and self._learn_plain(X, y):
            return self
        reset = "_state" not in vars(self)
        return self._ingest(X, y, tasks, sample_weight, reset=reset)

    def predict(
        self, X: Any, *, tasks: ArrayLike | None = None, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict targets.

        Rows of a known task use its own parameters, rows of an unknown one the shared
        initialization (see `unknown_task`).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row. None, without a `task_column`: the shared
            initialization for all rows.
        return_std : bool, default=False
            Whether to return standard deviations too: those of a target in a task that
            nothing is known of, with `step_size='empirical_bayes'`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predictions.
        std : ndarray of shape (n_samples,)
            Only with `return_std`: standard deviations of the targets, of the noise and
            the differences between tasks together.

        Raises
        ------
        ValueError
            If standard deviations are asked for and the step size does not give them,
            or if a task is known: how well its parameters are is not kept. Its rows
            tell: ``model.adapt(X, y).predict(X_new, return_std=True)``.
        """
        y = self._scores(X, tasks)[:, 0]
        return (y, self._std(X, tasks)) if return_std else y

    def _std(self, X, tasks):
        state = self._state
        noise = state.algorithm.noise(state)
        if noise is None:
            raise ValueError(
                "return_std=True needs a model of the noise, which step_size="
                f"{self.step_size!r} does not learn: use step_size='empirical_bayes' "
                "and fit it to at least one task."
            )
        X, labels = self._split_labels(X, tasks)
        X = check_X(self, X, reset=False)
        if labels is not None:
            names, *_ = group_rows(check_labels(labels, X.shape[0]), X.shape[0])
            known = state.known.rows(names) >= 0
            if known.any():
                raise ValueError(
                    f"Task {names[known.argmax()]!r} is known, and how well is not "
                    "kept: adapt(...) to its rows returns an estimator whose predict "
                    "has return_std=True. Leave out tasks= for a task of which nothing "
                    "is known."
                )
        covariance = state.algorithm.step(state, 1)[0]
        bias = state.algorithm.learner.bias
        return predictive_std(X, covariance, noise, bias)

    def score(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        tasks: ArrayLike | None = None,
    ) -> float:
        """Coefficient of determination of `predict(X, tasks=tasks)`.

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
        return r2_score(y, self.predict(X, tasks=tasks), sample_weight=sample_weight)

    def _check_targets(self, X, y, classes):
        return check_numeric_y(self, X, y)

    def _encode(self, y):
        return y

    def _target_problem(self, value, row):
        return f"y is {value} in row {row} of the task. Drop the row."

    def _n_outputs(self):
        return 1

    def _shape_coef(self, parameters):
        return parameters[..., 0, :-1], parameters[..., -1]
