"""MixedEffectsClassifier: hierarchical logistic regression."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin

from skmeta._meta._base import Finished, MetaClassifier
from skmeta._meta._input import Reading
from skmeta._meta._record import Record
from skmeta._mixed._base import BaseMixed, Draft, numbers_of
from skmeta._mixed._classes import LearnedClasses
from skmeta._mixed._replay import replay
from skmeta._sklearn import Progress, StrOptions
from skmeta._targets import probabilities
from skmeta.linear_model import BiasedLogisticRegression
from skmeta.losses import LogLoss


class MixedEffectsClassifier(ClassifierMixin, MetaClassifier, BaseMixed):
    """Logistic regression for many related tasks, by a hierarchical model.

    In a hierarchical (mixed-effects, random-coefficient, multilevel) logistic model,
    the coefficients of a task vary around shared coefficients, with a covariance that
    is estimated from all tasks. Probabilities are averaged over the uncertainty of the
    coefficients. More than two classes are learned one against all others. The classes
    are common to all tasks and fixed by the first call; a task may have only some of
    them, or one.

    Parameters
    ----------
    covariance : {'auto', 'diagonal', 'full'}, default='auto'
        Covariance of the coefficients between tasks. 'diagonal': the coefficients vary
        independently, with the features centred at their weighted mean. 'full': they
        are correlated, and the correlations are shrunk. 'auto' fits both and takes the
        one whose likelihood is higher after a penalty for the number of parameters.
    random_effects : {'all', 'intercept'} or sequence of str or int, default='all'
        The features whose slopes vary between tasks, by name or position; the intercept
        always varies. 'all' leaves out features that are constant within every task.
    between : bool or 'auto', default='auto'
        Whether the level of a task may depend on the means of its features, so that the
        slope between tasks differs from the slope within [2]_. 'auto': if the
        likelihood, after a penalty, is higher.
    max_iter : int, default=50
        Largest number of evaluations of the likelihood in one fit of the prior, >= 1.
    tol : float, default=1e-4
        A fit stops when the expected gain in log-likelihood of the next step is below
        `tol`, > 0.
    half_life : float or None, default=None
        For tasks that drift: the number of visits after which the weight of the rows of
        a task is halved, > 0; a visit is one task in one call. None: weights are
        constant.
    window : int or None, default=None
        Number of tasks without a label that are stored individually, >= 1; older ones
        are merged into one group. None: as many as fit in 16 MB, at most those of 10
        half-lives, at least 64.
    fit_intercept : bool, default=True
        Whether there is an intercept.
    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes, by label, which multiply the weights of the rows.
        'balanced', not in `partial_fit`: inversely proportional to their frequencies in
        `fit`. None: all 1.
    task_column : str, int or list of these, default=None
        Name or index of the column of X that holds the task labels, or a list of
        columns that together are one label. They are not features.
    unknown_task : {'shared', 'warn', 'raise'}, default='shared'
        Whether rows of an unknown task are predicted with `new_task_coef_`, predicted
        in this way with a warning, or raise an error.
    on_bad_task : {'raise', 'warn', 'skip'}, default='raise'
        What to do with a task that contains NaN, infinity or a class that is not in
        `classes_`: raise an error for the whole call, or leave out the task with or
        without a warning.
    on_bad_row : {'raise', 'drop'}, default='raise'
        Whether a row with NaN or infinity makes its task bad, or is left out.
    store_tasks : bool, default=True
        Whether labelled tasks are stored. If not, every task is unknown to `predict`,
        and memory does not grow with the number of tasks.
    n_jobs : int, default=None
        Number of parallel jobs for chunks of tasks, and for the optima of a
        :func:`~skmeta.metrics.regret_report`, where there is enough work. None is one
        unless in a :func:`joblib.parallel_config` context, -1 all processors. Results
        do not depend on it.
    warm_start : bool, default=False
        Whether `fit` adds its rows to those of earlier calls.
    verbose : int, default=0
        Whether to print one line per `fit`.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Shared slopes, within tasks.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Shared intercepts, for `coef_`.
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted.
    new_task_coef_ : ndarray of the shape of `coef_`
        Slopes that predict for an unknown task. They differ from `coef_` if the level
        of a task depends on its mean features (`between`).
    new_task_intercept_ : ndarray of the shape of `intercept_`
        Intercepts, for `new_task_coef_`.
    coef_std_error_ : ndarray of the shape of `coef_`
        Standard errors of `coef_`.
    intercept_std_error_ : ndarray of the shape of `intercept_`
        Standard errors of `intercept_`.
    covariance_ : ndarray of shape (n_outputs, n_features + 1, n_features + 1)
        Covariance of the coefficients between tasks, in raw units, with the intercept
        last, for every row of weights.
    log_likelihood_ : ndarray of shape (n_outputs,)
        Lower bound of the log-likelihood of the stored tasks, for every row of weights.
    n_iter_ : int
        Evaluations of the likelihood in the last fit of the priors; the largest number
        if there are several rows of weights.
    task_labels_ : ndarray of shape (n_tasks,)
        Labels of the known tasks, in order of first appearance.
    task_coef_ : ndarray of shape (n_tasks, ...)
        Their slopes, under the current prior.
    task_intercept_ : ndarray of shape (n_tasks, ...)
        Their intercepts, each shaped like `intercept_`.
    history_ : structured ndarray
        One row per visit, in order: `label`; `visit`, its number from 1 on;
        `n_samples`; and `loss`, the mean log loss of the rows, predicted before the
        visit as rows of an unknown task. If tasks are not stored, only the last 1,000
        rows.
    n_tasks_seen_ : int
        Number of different tasks learned from.
    n_tasks_skipped_ : int
        Number of bad tasks left out.
    n_features_in_ : int
        Number of features, the task column not counted.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any.

    See Also
    --------
    MixedEffectsRegressor : The same for regression, with the model.
    FMRLClassifier : Gradient steps with regret guarantees: other losses, wide or sparse
        features, any order of tasks.

    Notes
    -----
    The coefficients of task t are theta_t ~ N(phi, S), with one prior for every row of
    weights. The posterior of a task is approximated by a normal distribution, so that
    the task becomes a weighted least-squares problem; `fit` repeats this under the
    prior of every iteration. In a stream, the likelihood of rows is approximated by a
    quadratic when they arrive, and later rows are added to it (assumed-density
    filtering). Probabilities follow [1]_: a score is divided by sqrt(1 + pi / 8 times
    its variance), so that the probabilities for an unknown task are those of the
    population of tasks.

    References
    ----------
    .. [1] MacKay, "The evidence framework applied to classification networks", Neural
       Computation, 1992.
    .. [2] Mundlak, "On the pooling of time series and cross section data",
       Econometrica, 1978.

    Examples
    --------
    >>> from skmeta import MixedEffectsClassifier
    >>> from skmeta.datasets import make_task_classification
    >>> X, y, tasks = make_task_classification(n_tasks=200, random_state=0)
    >>> model = MixedEffectsClassifier().fit(X, y, tasks=tasks)
    >>> model.predict_proba(X[:3], tasks=tasks[:3]).shape
    (3, 2)
    >>> bool(model.score(X, y, tasks=tasks) > model.score(X, y) > 0.5)
    True
    """

    _alternative = "FMRLClassifier"
    _learns_noise = False  # the targets of a logistic model have no scale
    _parameter_constraints = {
        **BaseMixed._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        *,
        covariance: Literal["auto", "diagonal", "full"] = "auto",
        random_effects: str | Sequence[str | int] = "all",
        between: Literal["auto"] | bool = "auto",
        max_iter: int = 50,
        tol: float = 1e-4,
        half_life: float | None = None,
        window: int | None = None,
        fit_intercept: bool = True,
        class_weight: dict[Any, float] | str | None = None,
        task_column: str | int | list[str | int] | None = None,
        unknown_task: str = "shared",
        on_bad_task: str = "raise",
        on_bad_row: str = "raise",
        store_tasks: bool = True,
        n_jobs: int | None = None,
        warm_start: bool = False,
        verbose: int = 0,
    ):
        self.covariance = covariance
        self.random_effects = random_effects
        self.between = between
        self.max_iter = max_iter
        self.tol = tol
        self.half_life = half_life
        self.window = window
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.task_column = task_column
        self.unknown_task = unknown_task
        self.on_bad_task = on_bad_task
        self.on_bad_row = on_bad_row
        self.store_tasks = store_tasks
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.verbose = verbose

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        tasks: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Estimate what the tasks share, and how they differ.

        The result does not depend on the order of the tasks or of their rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features of all tasks.
        y : array-like of shape (n_samples,)
            Class labels, of at least two classes in all.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row: a number, a string, a date, a tuple or any other
            hashable object. None, without a `task_column`: all rows are one task
            without a name, with a warning.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every row's log loss, >= 0; a row of weight 0 has no effect. None:
            all 1.
        classes : array-like of shape (n_classes,), default=None
            All class labels. None: those in `y`.

        Returns
        -------
        self : MixedEffectsClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid; the message names the task. The estimator is then
            unchanged.
        TypeError
            If X is sparse.
        """
        self._check_classes(classes, is_fit=True)
        return self._ingest(X, y, tasks, sample_weight, classes, n_passes=1)

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        tasks: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn from one more task, or from more rows of the tasks labelled by `tasks`.

        The rows are added to their task. What the tasks share is re-estimated once the
        number of calls since the last estimate exceeds a tenth of the number of stored
        tasks; `refresh` re-estimates it immediately.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Class labels; not every class need occur.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row. None, without a `task_column`: all rows are one
            task without a name, which is not known afterwards.
        classes : array-like of shape (n_classes,), default=None
            All class labels; required in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every row's log loss, >= 0; a row of weight 0 has no effect. None:
            all 1.

        Returns
        -------
        self : MixedEffectsClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid; the message names the task. The estimator is then
            unchanged.
        TypeError
            If X is sparse.
        """
        self._check_classes(classes, is_fit=False)
        return self._ingest(X, y, tasks, sample_weight, classes)

    def decision_function(
        self, X: Any, *, tasks: ArrayLike | None = None
    ) -> np.ndarray:
        """Scores of every class, or of the second one if there are two.

        Scores are shrunk according to their uncertainty: the logistic function of a
        score is the probability of the class.

        Rows of a known task are predicted with the coefficients of the task, and rows
        of an unknown one with `new_task_coef_` (see `unknown_task`).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row. None, without a `task_column`: every row belongs to
            an unknown task.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Scores.
        """
        learned = self._fitted()
        return learned.target.decisions(self._moderated_scores(X, tasks, learned))

    def predict(self, X: Any, *, tasks: ArrayLike | None = None) -> np.ndarray:
        """Predict class labels.

        Rows of a known task are predicted with the coefficients of the task, and rows
        of an unknown one with `new_task_coef_` (see `unknown_task`).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row. None, without a `task_column`: every row belongs to
            an unknown task.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Class labels.
        """
        learned = self._fitted()
        return learned.target.predict(self._moderated_scores(X, tasks, learned))

    def predict_proba(self, X: Any, *, tasks: ArrayLike | None = None) -> np.ndarray:
        """Probabilities of the classes.

        Rows of a known task are predicted with the coefficients of the task, and rows
        of an unknown one with `new_task_coef_` (see `unknown_task`).
        With more than two classes, the one-vs-all probabilities are normalised.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row. None, without a `task_column`: every row belongs to
            an unknown task.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`.
        """
        learned = self._fitted()
        scores = self._moderated_scores(X, tasks, learned)
        return probabilities(LogLoss().inverse_link(scores))

    def predict_log_proba(
        self, X: Any, *, tasks: ArrayLike | None = None
    ) -> np.ndarray:
        """Logarithms of the probabilities of the classes.

        Rows of a known task are predicted with the coefficients of the task, and rows
        of an unknown one with `new_task_coef_` (see `unknown_task`).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row. None, without a `task_column`: every row belongs to
            an unknown task.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Logarithms, in the order of `classes_`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X, tasks=tasks))

    def adapt(
        self, X: Any, y: ArrayLike, *, sample_weight: ArrayLike | None = None
    ) -> BiasedLogisticRegression:
        """Fit a linear model to a new task; the meta-estimator does not change.

        The model is regularised towards the shared coefficients: the more alike the
        tasks are, the stronger.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows of one task, with or without the `task_column`.
        y : array-like of shape (n_samples,)
            Class labels, any of `classes_`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every row's log loss, >= 0. None: all 1.

        Returns
        -------
        estimator : BiasedLogisticRegression
            The model of the task, which takes X with or without the `task_column`. Its
            probabilities are averaged over the uncertainty of its coefficients, and its
            `partial_fit` adds rows.

        Raises
        ------
        ValueError
            If the input is invalid.
        """
        learned = self._fitted()
        task, reading = self._read_new_task(X, y, sample_weight, learned)
        prior = learned.model.prior_of(_numbered(reading).batch)
        attributes = {**reading.schema.attributes, "classes_": self.classes_}
        return self._hand_over(prior.fitted(task, **attributes))

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
        X : array-like of shape (n_samples, n_features)
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

    def _moderated_scores(self, X: Any, tasks: Any, learned: Any) -> np.ndarray:
        X, by_task = self._rows_by_task(X, tasks, learned)
        mean, variance = learned.model.scores(X, numbers_of(by_task))
        return mean / np.sqrt(1.0 + np.pi / 8 * variance)

    def _new_model(self, reading: Reading) -> LearnedClasses:
        classes = reading.target.classes
        assert classes is not None
        return LearnedClasses(reading.schema.n_features, len(classes))

    def _learn(
        self, draft: Draft, reading: Reading, n_passes: int | None, progress: Progress
    ) -> Finished:
        return super()._learn(draft, _numbered(reading), n_passes, progress)

    def _replay(self, reading: Reading) -> Iterator[Record]:
        draft = self._begin(reading, None, 1, False)
        return replay(draft.model, draft.options, reading, LogLoss(), _numbered)


def _numbered(reading: Reading) -> Reading:
    """The targets as indices of classes, also if there are only two."""
    if reading.target.n_outputs > 1:
        return reading
    batch = reading.batch
    return reading._replace(batch=batch._replace(y=0.5 * (batch.y + 1.0)))
