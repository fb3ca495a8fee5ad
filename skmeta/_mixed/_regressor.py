"""MixedEffectsRegressor: hierarchical linear regression, solved exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin

from skmeta._meta._base import MetaRegressor, learned_attribute
from skmeta._meta._glitches import note_on, without_rows
from skmeta._meta._input import Reading
from skmeta._meta._record import Record
from skmeta._mixed._base import BaseMixed, Draft, Published, numbers_of
from skmeta._mixed._glitches import glitches
from skmeta._mixed._replay import replay
from skmeta._mixed._stream import Learned
from skmeta._targets import normal_interval
from skmeta.linear_model import BiasedRidge
from skmeta.losses import SquaredError


class MixedEffectsRegressor(RegressorMixin, MetaRegressor, BaseMixed):
    """Linear regression for many related tasks, by a hierarchical model.

    In a hierarchical (mixed-effects, random-coefficient, multilevel) linear model, the
    coefficients of a task vary around shared coefficients, with a covariance that is
    estimated by restricted maximum likelihood. Standard deviations are available for
    predictions of known tasks, of new tasks after a few rows, and of unknown tasks.
    `partial_fit` learns one task at a time, or more rows of a known task.

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
        slope between tasks differs from the slope within [3]_. 'auto': if the
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
    task_column : str, int or list of these, default=None
        Name or index of the column of X that holds the task labels, or a list of
        columns that together are one label. They are not features.
    unknown_task : {'shared', 'warn', 'raise'}, default='shared'
        Whether rows of an unknown task are predicted with `new_task_coef_`, predicted
        in this way with a warning, or raise an error.
    on_bad_task : {'raise', 'warn', 'skip'}, default='raise'
        What to do with a task that contains NaN or infinity: raise an error for the
        whole call, or leave out the task with or without a warning.
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
    coef_ : ndarray of shape (n_features,)
        Shared slopes, within tasks.
    intercept_ : ndarray of shape (1,)
        Shared intercept, for `coef_`.
    new_task_coef_ : ndarray of shape (n_features,)
        Slopes that predict for an unknown task. They differ from `coef_` if the level
        of a task depends on its mean features (`between`).
    new_task_intercept_ : ndarray of shape (1,)
        Intercept, for `new_task_coef_`.
    coef_std_error_ : ndarray of shape (n_features,)
        Standard errors of `coef_`.
    intercept_std_error_ : ndarray of shape (1,)
        Standard error of `intercept_`.
    feature_means_ : ndarray of shape (n_features,)
        Weighted mean features of the training rows, where the levels of tasks are best
        compared; zeros without an intercept.
    covariance_ : ndarray of shape (n_features + 1, n_features + 1)
        Covariance of the coefficients between tasks, in raw units, with the intercept
        last.
    noise_variance_ : float
        Variance of a target about the prediction with the coefficients of its task, for
        a row of weight one.
    log_likelihood_ : float
        Restricted log-likelihood of the stored tasks, in standardised units.
    n_iter_ : int
        Evaluations of the likelihood in the last fit of the prior.
    task_labels_ : ndarray of shape (n_tasks,)
        Labels of the known tasks, in order of first appearance.
    task_coef_ : ndarray of shape (n_tasks, n_features)
        Their slopes, under the current prior.
    task_intercept_ : ndarray of shape (n_tasks, 1)
        Their intercepts.
    history_ : structured ndarray
        One row per visit, in order: `label`; `visit`, its number from 1 on;
        `n_samples`; and `loss`, the mean of half the squared error of the rows,
        predicted before the visit as rows of an unknown task. If tasks are not stored,
        only the last 1,000 rows.
    n_tasks_seen_ : int
        Number of different tasks learned from.
    n_tasks_skipped_ : int
        Number of bad tasks left out.
    n_rows_set_aside_ : int
        Number of rows with an isolated value far outside all others, which were not
        learned from; a warning names the first of a call.
    n_features_in_ : int
        Number of features, the task column not counted.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any.

    See Also
    --------
    MixedEffectsClassifier : The same for classification.
    FMRLRegressor : Gradient steps with regret guarantees: other losses, wide or sparse
        features, any order of tasks.

    Notes
    -----
    Task t has coefficients theta_t ~ N(phi, S) and rows y = x' theta_t + noise. The
    noise has variance v / w for a row of weight w: weights are precisions [1]_. The
    estimates of S and v maximise the restricted likelihood [2]_; phi and the
    coefficients of the tasks are the best linear unbiased predictions. What is stored
    of a task is the triangular factor of the QR factorisation of its rows, so its rows
    may come in any number of calls and in any order. The coefficients of a known task
    are computed when they are read, under the current prior.

    One value that is wrong by orders of magnitude would spoil the variances. A row with
    an isolated feature or target, by some hundred standard deviations of normal data
    and by more if the tails are heavier, is not learned from, with a warning; a change
    that persists is. The user guide gives the rule ("Isolated wrong values").

    If there are too few tasks to identify a part of the model, this part is not
    estimated, and a warning says so. With fewer than four rows per coefficient, a
    normal prior shrinks the standardised shared slopes, by an amount learned from the
    rows.

    Memory grows by p (p + 3) / 2 numbers for every known task of p coefficients, or by
    its rows if these are fewer; `forget` frees it. Without labels, memory is bounded.

    References
    ----------
    .. [1] Laird, Ware, "Random-effects models for longitudinal data", Biometrics, 1982.
    .. [2] Harville, "Maximum likelihood approaches to variance component estimation and
       to related problems", Journal of the American Statistical Association, 1977.
    .. [3] Mundlak, "On the pooling of time series and cross section data",
       Econometrica, 1978.

    Examples
    --------
    >>> from skmeta import MixedEffectsRegressor
    >>> from skmeta.datasets import make_task_regression
    >>> X, y, store = make_task_regression(n_tasks=200, random_state=0)
    >>> old, new = store < 199, store == 199
    >>> model = MixedEffectsRegressor().fit(X[old], y[old], tasks=store[old])
    >>> mean, std = model.predict(X[:3], tasks=store[:3], return_std=True)
    >>> mean.shape, std.shape
    ((3,), (3,))
    >>> adapted = model.adapt(X[new][:4], y[new][:4])  # four rows of a new store
    >>> adapted.predict(X[new][4:]).shape
    (6,)
    >>> model.predict_interval(X[new], coverage=0.95).shape
    (10, 2)
    """

    _alternative = "FMRLRegressor"

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
    ) -> Self:
        """Estimate what the tasks share, and how they differ.

        The result does not depend on the order of the tasks or of their rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features of all tasks.
        y : array-like of shape (n_samples,)
            Targets.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row: a number, a string, a date, a tuple or any other
            hashable object. None, without a `task_column`: all rows are one task
            without a name, with a warning.
        sample_weight : array-like of shape (n_samples,), default=None
            Precision of every row: its noise has the variance ``noise_variance_ / w``,
            >= 0; a row of weight 0 has no effect. None: all 1.

        Returns
        -------
        self : MixedEffectsRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid; the message names the task. The estimator is then
            unchanged.
        TypeError
            If X is sparse.
        """
        return self._ingest(X, y, tasks, sample_weight, n_passes=1)

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        tasks: ArrayLike | None = None,
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
            Targets.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row. None, without a `task_column`: all rows are one
            task without a name, which is not known afterwards.
        sample_weight : array-like of shape (n_samples,), default=None
            Precision of every row, >= 0; a row of weight 0 has no effect. None: all 1.

        Returns
        -------
        self : MixedEffectsRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is invalid; the message names the task. The estimator is then
            unchanged.
        TypeError
            If X is sparse.
        """
        return self._ingest(X, y, tasks, sample_weight)

    @overload
    def predict(
        self,
        X: Any,
        *,
        tasks: ArrayLike | None = None,
        return_std: Literal[False] = False,
    ) -> np.ndarray: ...

    @overload
    def predict(
        self, X: Any, *, tasks: ArrayLike | None = None, return_std: Literal[True]
    ) -> tuple[np.ndarray, np.ndarray]: ...

    @overload
    def predict(
        self, X: Any, *, tasks: ArrayLike | None = None, return_std: bool
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]: ...

    def predict(
        self, X: Any, *, tasks: ArrayLike | None = None, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict targets.

        Rows of a known task are predicted with the coefficients of the task, and rows
        of an unknown one with `new_task_coef_` (see `unknown_task`).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            Task label of every row. None, without a `task_column`: every row belongs to
            an unknown task.
        return_std : bool, default=False
            Whether to return standard deviations too.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predictions.
        std : ndarray of shape (n_samples,)
            Only with `return_std`: standard deviations of the targets. They include the
            noise, the uncertainty of the coefficients and, for an unknown task, the
            variation between tasks, but not the uncertainty of the variances.

        Raises
        ------
        ValueError
            If the input is invalid, or a task is unknown and `unknown_task='raise'`.
        """
        learned = self._fitted()
        X, by_task = self._rows_by_task(X, tasks, learned)
        mean = learned.target.predict(self._scores_of(X, by_task, learned))
        if not return_std:
            return mean
        return mean, learned.model.std(X, numbers_of(by_task))

    def predict_interval(
        self, X: Any, *, tasks: ArrayLike | None = None, coverage: float = 0.9
    ) -> np.ndarray:
        """Intervals that contain a new target with the given probability.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        tasks : array-like of shape (n_samples,) or a single label, default=None
            As for `predict`.
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
            If `coverage` is not in (0, 1), or as in `predict`.
        """
        mean, std = self.predict(X, tasks=tasks, return_std=True)
        return normal_interval(mean, std, coverage)

    def adapt(
        self, X: Any, y: ArrayLike, *, sample_weight: ArrayLike | None = None
    ) -> BiasedRidge:
        """Fit a linear model to a new task; the meta-estimator does not change.

        The model is regularised towards the shared coefficients: the more alike the
        tasks are, the stronger.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows of one task, with or without the `task_column`.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Precision of every row, >= 0. None: all 1.

        Returns
        -------
        estimator : BiasedRidge
            The model of the task, which takes X with or without the `task_column`. Its
            `predict` has `return_std`, and its `partial_fit` adds rows exactly.

        Raises
        ------
        ValueError
            If the input is invalid.
        """
        learned = self._fitted()
        task, reading = self._read_new_task(X, y, sample_weight, learned)
        prior = learned.model.prior_of(reading.batch)
        return self._hand_over(prior.fitted(task, **reading.schema.attributes))

    def surprise(
        self, X: Any, y: ArrayLike, *, sample_weight: ArrayLike | None = None
    ) -> float:
        """Minus the log predictive density of the rows of a task never seen, per row.

        It is low for a task like those that were learned, and high for one that differs
        from them by more than the learned variances explain. Computed before
        `partial_fit` learns the rows, it shows drift and faulty batches.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows of one task, with or without the `task_column`.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Precision of every row, >= 0. None: all 1.

        Returns
        -------
        surprise : float
            Of the joint density of the targets, divided by the number of rows, in
            natural logarithms.

        Raises
        ------
        ValueError
            If the input is invalid.
        """
        learned = self._fitted()
        _, reading = self._read_new_task(X, y, sample_weight, learned)
        return learned.model.surprise(reading.batch)

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
        X : array-like of shape (n_samples, n_features)
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

    def task_frame(self) -> Any:
        """Table of the differences of known tasks from the shared coefficients.

        Returns
        -------
        frame : pandas.DataFrame
            One row per known task, indexed by label: `n_samples`; for every feature the
            difference of its slope from `coef_`, under the name of the feature, and the
            standard deviation of that difference, under ``<feature>_std``; `intercept`
            and `intercept_std` last.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        import pandas as pd

        learned = self._fitted()
        rows = learned.rows(learned.names())
        difference = learned.parameters(rows)[:, 0] - learned.model.within[0]
        covariances = learned.model.difference_covariances(rows)
        std = np.sqrt(np.maximum(np.einsum("tjj->tj", covariances), 0.0))
        names = learned.schema.names
        if names is None:
            names = [f"x{j}" for j in range(learned.schema.n_features)]
        columns: dict[str, np.ndarray] = {"n_samples": learned.model.n_rows(rows)}
        for j, name in enumerate([*names, "intercept"]):
            columns[str(name)] = difference[:, j]
            columns[f"{name}_std"] = std[:, j]
        index = pd.Index(learned.names(), name="task", tupleize_cols=False)
        return pd.DataFrame(columns, index=index)

    @learned_attribute
    def feature_means_(self, learned: Published) -> np.ndarray:
        """Mean features of the training rows."""
        return np.array(learned.model.feature_means)

    @learned_attribute
    def n_rows_set_aside_(self, learned: Published) -> int:
        """Number of rows that were not learned from."""
        return learned.model.set_aside.n_rows

    @learned_attribute
    def noise_variance_(self, learned: Published) -> float:
        """Variance of a target about the prediction for its task."""
        return learned.model.noise_variance

    def _new_model(self, reading: Reading) -> Learned:
        return Learned(reading.schema.n_features)

    def _set_aside(
        self,
        draft: Draft,
        reading: Reading,
        model: Learned,
        bad: Sequence[tuple[int, str | None]],
    ) -> tuple[Learned, Sequence[str]]:
        if not model.is_suspect:
            return model, ()
        batch, labels, tasks = reading.batch, reading.labels, None
        if bad:
            numbers = [t for t, _ in bad]
            tasks = np.setdiff1d(np.arange(batch.n_tasks), numbers)
            batch = batch.without(numbers)
            labels = None if labels is None else [labels[t] for t in tasks.tolist()]
        found = glitches(draft.model, model, batch, labels)
        if not found:
            return model, ()
        names = [None if labels is None else labels[one.task] for one in found]
        kept, others = without_rows(batch, [one.row for one in found])
        model = draft.model
        if labels is not None:
            labels = [labels[t] for t in others.tolist()]
        if len(others):
            model, _ = model.taken(kept, labels, draft.options)
        first = found[0]
        if tasks is not None:
            first = first._replace(task=int(tasks[first.task]))
        return model.with_set_aside(names), [note_on(reading, first, len(found))]

    def _replay(self, reading: Reading) -> Iterator[Record]:
        draft = self._begin(reading, None, 1, False)
        return replay(draft.model, draft.options, reading, SquaredError())
