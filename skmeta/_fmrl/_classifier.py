"""FMRLClassifier: gradient-based meta-learning of linear classification."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from skmeta._fmrl._base import BaseFMRL
from skmeta._fmrl._state import State
from skmeta._meta._base import MetaClassifier
from skmeta._sklearn import StrOptions
from skmeta._targets import probabilities
from skmeta.linear_model import OGDClassifier
from skmeta.linear_model._base import check_probabilities, loss_of
from skmeta.losses import Loss
from skmeta.meta_step_size import MetaStepSize
from skmeta.step_size import StepSize


def _loss_of(model: Any) -> Loss:
    """The loss of the inner estimator; a ValueError says that it names none."""
    return loss_of(_loss_parameter(model))


def _has_probabilities(model: Any) -> bool:
    inner = _inner(model)
    if getattr(inner, "loss", None) is None:
        return hasattr(inner, "predict_proba")
    return check_probabilities(_loss_parameter(model))


def _loss_parameter(model: Any) -> Any:
    inner = _inner(model)
    loss = getattr(inner, "loss", None)
    if loss is None:
        raise AttributeError(
            f"{type(inner).__name__} names no loss that defines probabilities"
        )
    return loss


def _inner(model: Any) -> Any:
    return OGDClassifier() if model.estimator is None else model.estimator


class FMRLClassifier(ClassifierMixin, MetaClassifier, BaseFMRL):
    """Linear classification for many related tasks, from a shared initialization.

    Follow-the-meta-regularized-leader: online gradient descent within a task, from an
    initialization and with a step size that are learned from task to task, so that a
    few rows of a new task suffice. `partial_fit` learns one task at a time. The classes
    are common to all tasks and fixed by the first call; a task may have only some of
    them, or one.

    Parameters
    ----------
    estimator : estimator, default=None
        The inner learner, trained within a task. None: `OGDClassifier()`. Or another
        estimator of :mod:`skmeta.linear_model`; a linear classifier of scikit-learn
        with `partial_fit` and settable `coef_` and `intercept_`; `MLPClassifier`, or
        `NeuralNetClassifier` of skorch (:doc:`/networks`); or an estimator with a
        method `inner_learner` (:class:`skmeta.linear_model.InnerLearner`).
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
    init : {'zero', 'pooled'} or array-like of shape (n_outputs, n_features + 1), \
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
    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes, by label, which multiply the weights of the rows.
        'balanced', not in `partial_fit`: inversely proportional to their frequencies in
        `fit`. None: all 1.
    task_column : str, int or list of these, default=None
        Name or index of the column of X that holds the task labels, or a list of
        columns that together are one label. They are not features.
    unknown_task : {'shared', 'warn', 'raise'}, default='shared'
        Whether rows of an unknown task are predicted with the shared initialization,
        predicted in this way with a warning, or raise an error.
    on_bad_task : {'raise', 'warn', 'skip'}, default='raise'
        What to do with a task that contains NaN, infinity or a class that is not in
        `classes_`, or whose parameters diverge: raise an error for the whole call, or
        leave out the task with or without a warning.
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
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights of the shared initialization.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercept of the shared initialization.
    init_ : ndarray of shape (n_outputs, n_features + 1) or (n_parameters,)
        The shared initialization as one array, as `init` accepts it, with the intercept
        last. For a network it is flat, and the only form: there are no `coef_`,
        `intercept_`, `task_coef_` and `task_intercept_`.
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted.
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
    FMRLRegressor : The same for regression.
    MixedEffectsClassifier : More accurate on tables of up to a few hundred columns.
    skmeta.linear_model.OGDClassifier : The inner learner.

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
    >>> from skmeta import FMRLClassifier
    >>> from skmeta.datasets import make_task_classification
    >>> X, y, tasks = make_task_classification(n_tasks=200, random_state=0)
    >>> model = FMRLClassifier().fit(X, y, tasks=tasks)
    >>> model.predict_proba(X[:3], tasks=tasks[:3]).shape
    (3, 2)
    >>> bool(model.score(X, y, tasks=tasks) > model.score(X, y) > 0.5)
    True
    """

    _default_estimator = OGDClassifier
    _parameter_constraints = {
        **BaseFMRL._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        step_size: float | str | StepSize | None = None,
        meta_step_size: float | str | MetaStepSize = "ftl",
        task_parameter: str = "last",
        standardize: bool = True,
        init: str | ArrayLike = "zero",
        n_passes: int = 1,
        meta_batch_size: int = 1,
        class_weight: dict[Any, float] | str | None = None,
        task_column: str | int | list[str | int] | None = None,
        unknown_task: str = "shared",
        on_bad_task: str = "raise",
        on_bad_row: str = "raise",
        store_tasks: bool = True,
        n_jobs: int | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(
            estimator,
            step_size=step_size,
            meta_step_size=meta_step_size,
            task_parameter=task_parameter,
            standardize=standardize,
            init=init,
            n_passes=n_passes,
            meta_batch_size=meta_batch_size,
            task_column=task_column,
            unknown_task=unknown_task,
            on_bad_task=on_bad_task,
            on_bad_row=on_bad_row,
            store_tasks=store_tasks,
            n_jobs=n_jobs,
            warm_start=warm_start,
            verbose=verbose,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        tasks: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
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
            Class labels, of at least two classes in all.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row: a number, a string, a date, a tuple or any other
            hashable object. None, without a `task_column`: all rows are one task
            without a name, with a warning.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0; a row of weight 0 has no effect. None:
            all 1.
        classes : array-like of shape (n_classes,), default=None
            All class labels. None: those in `y`.

        Returns
        -------
        self : FMRLClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid or a task cannot be learned from; the message names
            the task. The estimator is then unchanged.
        """
        self._check_classes(classes, is_fit=True)
        passes = self.n_passes
        return self._ingest(X, y, tasks, sample_weight, classes, n_passes=passes)

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        tasks: ArrayLike | None = None,
        classes: ArrayLike | None = None,
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
            Class labels; not every class need occur.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row. None, without a `task_column`: all rows are one
            task without a name, whose parameters are not stored.
        classes : array-like of shape (n_classes,), default=None
            All class labels; required in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0; a row of weight 0 has no effect. None:
            all 1.

        Returns
        -------
        self : FMRLClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid or a task cannot be learned from; the message names
            the task. The estimator is then unchanged.
        """
        self._check_classes(classes, is_fit=False)
        return self._ingest(X, y, tasks, sample_weight, classes)

    def _from_scores(
        self, method: str, scores: np.ndarray, learned: State
    ) -> np.ndarray:
        if method == "predict_proba":
            return probabilities(np.array(_loss_of(self).inverse_link(scores)))
        target: Any = learned.target
        if method == "decision_function":
            return target.decisions(scores)
        return target.predict(scores)

    def decision_function(
        self, X: Any, *, tasks: ArrayLike | None = None
    ) -> np.ndarray:
        """Raw scores of every class, or of the second one if there are two.

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
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Scores.
        """
        return self._respond("decision_function", X, tasks)

    def predict(self, X: Any, *, tasks: ArrayLike | None = None) -> np.ndarray:
        """Predict class labels.

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
            Class labels.
        """
        return self._respond("predict", X, tasks)

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any, *, tasks: ArrayLike | None = None) -> np.ndarray:
        """Probabilities of the classes, for the losses 'log_loss' and 'modified_huber'.

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
        probabilities : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`.
        """
        return self._respond("predict_proba", X, tasks)

    @available_if(_has_probabilities)
    def predict_log_proba(
        self, X: Any, *, tasks: ArrayLike | None = None
    ) -> np.ndarray:
        """Logarithms of the probabilities of the classes.

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
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Logarithms, in the order of `classes_`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X, tasks=tasks))

    def score(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        tasks: ArrayLike | None = None,
    ) -> float:
        """Accuracy of `predict(X, tasks=tasks)`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            True class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task labels, as for `predict`.

        Returns
        -------
        score : float
            Share of the rows predicted correctly, weighted by `sample_weight`.
        """
        return self._score(y, self.predict(X, tasks=tasks), sample_weight)
