"""FMRLClassifier: meta-learning of linear classification."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.metaestimators import available_if

from skmeta._losses import POSITIVE_PROBABILITY, class_probabilities
from skmeta._sklearn import _check_partial_fit_first_call
from skmeta._validation import (
    check_class_labels,
    encode_labels,
    find_classes,
    unchanged_on_error,
)
from skmeta.fmrl._base import _BaseFMRL
from skmeta.linear_model import BiasedLogisticRegression, OGDClassifier
from skmeta.linear_model._base import (
    check_several_classes,
    most_likely,
    n_outputs,
)


def _are_same(classes, known):
    """Whether classes are certainly those known; a cheap look, as in every call."""
    return classes is None or (
        type(classes) is np.ndarray
        and classes.dtype == known.dtype
        and classes.dtype.kind != "O"
        and classes.tobytes() == known.tobytes()
    )


def _has_probabilities(model):
    if _loss_of(model.estimator) in POSITIVE_PROBABILITY:
        return True
    raise AttributeError(
        f"predict_proba is available for an estimator with loss in "
        f"{sorted(POSITIVE_PROBABILITY)}, not for {model.estimator!r}"
    )


def _loss_of(estimator):
    return "log_loss" if estimator is None else getattr(estimator, "loss", None)


class FMRLClassifier(ClassifierMixin, _BaseFMRL):
    """Linear classification for many related tasks, from a shared initialization.

    Learns where a linear model of a new task should start and how far it should step,
    so that a few rows of the task suffice. `partial_fit` takes in one task at a time.
    The classes are common to all tasks and fixed by the first call; a task may hold few
    of them, or one.

    Parameters
    ----------
    estimator : estimator, default=None
        The inner learner, trained within a task. None stands for
        `BiasedLogisticRegression()`, solved exactly, where the step size is
        'empirical_bayes', or 'auto' and there are at most 128 features; else for
        `OGDClassifier()`, whose implicit update does not diverge, whatever the scale of
        the features, but learns well only if they are scaled. Any linear classifier
        with `partial_fit` and settable `coef_` and `intercept_` will do, with
        `task_parameter='last'`.
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
        'empirical_bayes' for such a learner, 'isotropic' for `OGDClassifier` and
        'fixed' for any other.
    task_column : str or int, default=None
        Name or index of the column of X that holds the task labels. It is not a
        feature.
    init : {'zero', 'pooled'} or array-like of shape (n_outputs, n_features + 1), \
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
        What to do with a task that holds NaN or infinity or a
        class that is not in `classes_`, or that ends in
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
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights of the shared initialization.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercept of the shared initialization.
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted.
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
    FMRLRegressor : The same for regression.
    skmeta.linear_model.OGDClassifier : The inner learner.

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
    >>> from skmeta import FMRLClassifier
    >>> from skmeta.datasets import make_task_classification
    >>> X, y, tasks = make_task_classification(n_tasks=200, random_state=0)
    >>> model = FMRLClassifier().fit(X, y, tasks=tasks)
    >>> model.predict_proba(X[:3], tasks=tasks[:3]).shape
    (3, 2)
    >>> bool(model.score(X, y, tasks=tasks) > model.score(X, y) > 0.5)
    True
    """

    _plain_target = np.int64
    _exact_learner = BiasedLogisticRegression
    _online_learner = OGDClassifier

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
            Class labels, of at least two classes in all.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row. None, without a `task_column`: all rows are one
            task.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0; a row of weight 0 leaves no trace.
            None: all 1.

        Returns
        -------
        self : FMRLClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid or a task cannot be learned from, naming the task;
            nothing is changed then.
        """
        reset = not (self.warm_start and hasattr(self, "_state"))
        classes = None if reset else self.classes_
        return self._ingest(
            X, y, tasks, sample_weight, classes, reset=reset, n_passes=self.n_passes
        )

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

        Moves the shared initialization. A task that is known goes on from its own
        parameters; any other starts at the shared initialization.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features, in the order in which they are learned from.
        y : array-like of shape (n_samples,)
            Class labels; not every class need occur.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row. None, without a `task_column`: all rows are one
            task without a name, whose parameters are not kept.
        classes : array-like of shape (n_classes,), default=None
            All class labels; required in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0; a row of weight 0 leaves no trace.
            None: all 1.

        Returns
        -------
        self : FMRLClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid or a task cannot be learned from, naming the task;
            nothing is changed then.
        """
        if "_state" in vars(self):
            if not _are_same(classes, self.classes_):
                _check_partial_fit_first_call(self, classes)
            if tasks is None and sample_weight is None and self._learn_plain(X, y):
                return self
            return self._ingest(X, y, tasks, sample_weight, self.classes_, reset=False)
        with unchanged_on_error(self):
            _check_partial_fit_first_call(self, classes)
            return self._ingest(X, y, tasks, sample_weight, self.classes_, reset=True)

    def decision_function(
        self, X: Any, *, tasks: ArrayLike | None = None
    ) -> np.ndarray:
        """Raw scores of every class, or of the second one where there are two.

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
        scores = self._scores(X, tasks)
        return scores[:, 0] if scores.shape[1] == 1 else scores

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
        scores = self._scores(X, tasks)
        return most_likely(self.classes_, scores)

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
        scores = self._scores(X, tasks)
        return class_probabilities(_loss_of(self.estimator), scores)

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
            Share of the rows predicted right, weighted by `sample_weight`.
        """
        predicted = self.predict(X, tasks=tasks)
        return accuracy_score(y, predicted, sample_weight=sample_weight)

    def _check_targets(self, X, y, classes):
        y, missing = check_class_labels(self, X, y)
        if classes is None:
            self.classes_ = find_classes(y, missing)
        check_several_classes(self.classes_)
        return encode_labels(y, missing, self.classes_)

    def _encode(self, y):
        return encode_labels(y, None, self.classes_)

    def _target_problem(self, value, row):
        return (
            f"y is {value!r} in row {row} of the task, which is not one of the classes "
            f"{self.classes_.tolist()} fixed by the first call (NaN, infinity and None "
            "never are). Drop the row, or start again with all `classes`."
        )

    def _n_outputs(self):
        return n_outputs(self.classes_)

    def _shape_coef(self, parameters):
        return parameters[..., :-1], parameters[..., -1]
