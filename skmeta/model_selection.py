"""Cross-validation of tasks: new ones, new ones of a few known rows, and known ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from copy import copy
from itertools import pairwise
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    clone,
    is_classifier,
)
from sklearn.metrics import check_scoring
from sklearn.model_selection import (
    BaseCrossValidator,
    GroupKFold,
    ShuffleSplit,
    check_cv,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch, check_consistent_length, indexable
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import column_or_1d

from skmeta._labels import (
    check_labels,
    group_rows,
    names_of,
    split_column,
    split_labels,
)
from skmeta._sklearn import _num_samples, _safe_indexing

__all__ = ["FewShotSplit", "TaskTimeSplit", "few_shot_scores"]


class _TaskSplit(BaseCrossValidator):
    """A splitter that knows the task of every row."""

    __metadata_request__split = {"groups": True}

    n_splits: int
    task_column: Any

    @abstractmethod
    def _splits(self, rows: list[np.ndarray]) -> Iterator[tuple[Any, Any]]:
        """Training and test rows; `rows` are the row numbers of every task."""

    def split(
        self, X: Any, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the row numbers of training and test sets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows. The order within a task matters, and whether X has the
            `task_column`.
        y : array-like of shape (n_samples,), default=None
            Not used.
        groups : array-like of shape (n_samples,), default=None
            Task labels; None with a `task_column`.

        Yields
        ------
        train : ndarray
            Row numbers of the training set.
        test : ndarray
            Row numbers of the test set.

        Raises
        ------
        ValueError
            If the labels are given twice or not at all, a parameter is out of its
            range, or the tasks are too short or too few.
        """
        name = type(self).__name__
        _check_integer(self.n_splits, "n_splits", name, 1)
        if (groups is None) == (self.task_column is None):
            count = "no" if groups is None else "two kinds of"
            raise ValueError(
                f"{name} got {count} task labels: pass groups=, or set task_column to "
                "the column of X that holds them."
            )
        labels = groups if groups is not None else split_column(X, self.task_column)[1]
        yield from self._splits(_rows_of_tasks(labels, X, y)[2])

    def get_n_splits(
        self,
        X: Any = None,
        y: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> int:
        """Number of splits.

        Parameters
        ----------
        X, y, groups : object
            Not used.

        Returns
        -------
        n_splits : int
            The parameter `n_splits`.
        """
        return self.n_splits


class FewShotSplit(_TaskSplit):
    """Hold out tasks, all but their first rows.

    Every split holds out some tasks. The first `n_shots` rows of each are training
    rows, and its other rows are test rows. So a test row belongs to a known task of
    which few rows are known, and the score says how well the model predicts such a
    task.

    Parameters
    ----------
    n_shots : int, default=4
        Number of rows of a held-out task that are training rows, >= 0. With 0, the
        held-out tasks are unknown.
    n_splits : int, default=5
        Number of random splits, >= 1.
    test_size : float or int, default=0.3
        Held-out tasks: a share in (0, 1), or their number. Tasks with at most `n_shots`
        rows are always training tasks and do not count.
    random_state : int, RandomState instance or None, default=None
        Determines which tasks are held out.
    task_column : str, int or list, default=None
        Name or index of the column of X that holds the task labels. None: they are
        passed as `groups`.

    See Also
    --------
    TaskTimeSplit : All tasks are known, and later rows are test rows.
    few_shot_scores : Scores against the number of shots, with `adapt`.

    Notes
    -----
    `GroupKFold`, `LeaveOneGroupOut` and `GroupShuffleSplit` of scikit-learn hold out
    whole tasks. All test rows then belong to unknown tasks and are predicted with what
    the tasks share: the score says nothing about the parameters of a task, and a search
    chooses what is best for strangers. `KFold` with shuffled rows predicts rows of a
    task between its training rows. Use `FewShotSplit` where a task will be known by a
    few rows.

    The known rows of held-out tasks are the last training rows, as if these tasks came
    last: an estimator that learns tasks in order meets them last.

    The labels have to reach `score` as well as `fit`, or the test rows are predicted
    without them. An estimator with a `task_column` reads them from X; otherwise use
    metadata routing, where the splitter requests `groups`:
    ``FewShotSplit().set_split_request(groups="tasks")`` renames them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import cross_val_score
    >>> from skmeta import MixedEffectsRegressor
    >>> from skmeta.datasets import make_task_regression
    >>> from skmeta.model_selection import FewShotSplit
    >>> X, y, tasks = make_task_regression(n_tasks=40, random_state=0)
    >>> X = np.column_stack([X, tasks])
    >>> model = MixedEffectsRegressor(task_column=-1)
    >>> options = {"task_column": -1, "random_state": 0}
    >>> folds = FewShotSplit(0, **options), FewShotSplit(4, **options)
    >>> unknown, known = (cross_val_score(model, X, y, cv=cv).mean() for cv in folds)
    >>> bool(known > unknown)
    True
    """

    def __init__(
        self,
        n_shots: int = 4,
        *,
        n_splits: int = 5,
        test_size: float = 0.3,
        random_state: int | np.random.RandomState | None = None,
        task_column: Any = None,
    ):
        self.n_shots = n_shots
        self.n_splits = n_splits
        self.test_size = test_size
        self.random_state = random_state
        self.task_column = task_column

    def _splits(
        self, rows: list[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        _check_integer(self.n_shots, "n_shots", "FewShotSplit", 0)
        candidates = np.flatnonzero([len(task) > self.n_shots for task in rows])
        if len(candidates) < 2:
            raise ValueError(
                f"FewShotSplit holds out tasks with more than n_shots={self.n_shots} "
                f"rows, and {len(candidates)} of {len(rows)} tasks have them; at least "
                "two must. Choose fewer shots."
            )
        shuffle = ShuffleSplit(
            self.n_splits, test_size=self.test_size, random_state=self.random_state
        )
        is_test = np.zeros(sum(map(len, rows)), dtype=bool)
        for _, chosen in shuffle.split(candidates):
            held_out = [rows[task] for task in np.sort(candidates[chosen])]
            shots = np.concatenate([task[: self.n_shots] for task in held_out])
            is_test[:] = False
            is_test[np.concatenate(held_out)] = True
            train = np.concatenate([np.flatnonzero(~is_test), shots])
            is_test[shots] = False
            yield train, np.flatnonzero(is_test)


class TaskTimeSplit(_TaskSplit):
    """Train on the earlier rows of every task, and test on its next rows.

    The rows of a task are in order of time. Split by split, the test rows of a task
    move forward, and all rows before them are training rows: of each task, this is
    :class:`sklearn.model_selection.TimeSeriesSplit`.

    Parameters
    ----------
    n_splits : int, default=5
        Number of splits, >= 1.
    test_size : int, default=None
        Number of test rows of a task in a split, >= 1. None: the number of rows of the
        task divided by ``n_splits + 1``, rounded down, and at least one.
    task_column : str, int or list, default=None
        Name or index of the column of X that holds the task labels. None: they are
        passed as `groups`.

    See Also
    --------
    FewShotSplit : Tasks of which few rows are known.

    Notes
    -----
    The test rows of the last split are the last rows of every task. A task has no test
    rows in a split where none of its rows would be left to train on, so all test rows
    belong to known tasks. Its rows before its first test rows are training rows in
    every split; those of a task with a single row always are.

    Time is counted in each task on its own. For one date that divides the rows of all
    tasks, sort the rows by date and use `TimeSeriesSplit`; some test rows may then
    belong to unknown tasks.

    The labels have to reach `score` as well as `fit`; see :class:`FewShotSplit`.

    Examples
    --------
    >>> import numpy as np
    >>> from skmeta.model_selection import TaskTimeSplit
    >>> tasks = np.array(["a", "b", "a", "a", "b", "b"])
    >>> for train, test in TaskTimeSplit(n_splits=2).split(tasks, groups=tasks):
    ...     print(train, test)
    [0 1] [2 4]
    [0 1 2 4] [3 5]
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        test_size: int | None = None,
        task_column: Any = None,
    ):
        self.n_splits = n_splits
        self.test_size = test_size
        self.task_column = task_column

    def _splits(
        self, rows: list[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if self.test_size is not None:
            _check_integer(self.test_size, "test_size", "TaskTimeSplit", 1)
        blocks = [self._blocks(len(task)) for task in rows]
        for split in range(self.n_splits):
            pairs = [
                (task[: starts[split]], task[starts[split] : stops[split]])
                for task, (starts, stops) in zip(rows, blocks, strict=True)
            ]
            train, test = (
                np.sort(np.concatenate(part)) for part in zip(*pairs, strict=True)
            )
            if not len(test):
                longest = max(map(len, rows))
                raise ValueError(
                    f"Split {split} of TaskTimeSplit has no test rows: the longest "
                    f"task has {longest} rows, too few for n_splits={self.n_splits} "
                    f"with test_size={self.test_size}. Choose smaller numbers."
                )
            yield train, test

    def _blocks(self, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Of every split: the first test row, and the first row after the test rows."""
        size = self.test_size or max(1, n_rows // (self.n_splits + 1))
        starts = n_rows - size * np.arange(self.n_splits, 0, -1)
        is_tested = starts > 0
        first = starts[is_tested].min(initial=n_rows)
        starts = np.where(is_tested, starts, first)
        return starts, starts + size * is_tested


def few_shot_scores(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    tasks: ArrayLike | None = None,
    *,
    shots: Iterable[int] = (0, 1, 2, 4),
    cv: Any = None,
    scoring: str | Callable | Collection | None = None,
) -> Bunch:
    """Cross-validated scores on new tasks, against the number of rows to adapt to.

    In every split a clone of the estimator learns the training tasks. It then adapts to
    the first k rows of every held-out task, and the adapted models predict the rows
    after the largest k. The scored rows are the same for every k, so the scores can be
    compared.

    Parameters
    ----------
    estimator : meta-estimator or Pipeline
        A meta-estimator of skmeta, or a Pipeline whose last step is one. It is not
        changed and need not be fitted.
    X : array-like of shape (n_samples, n_features)
        Features, and the `task_column` if the estimator has one.
    y : array-like of shape (n_samples,)
        Targets.
    tasks : array-like of shape (n_samples,), default=None
        Task labels; None if they are in the `task_column` of the estimator.
    shots : iterable of int, default=(0, 1, 2, 4)
        Numbers k of rows to adapt to, >= 0; with 0 the prediction is that for unknown
        tasks.
    cv : int, splitter or iterable, default=None
        How tasks are held out: a number of folds of `GroupKFold`; or a splitter that
        holds out whole tasks, such as `LeaveOneGroupOut` and `GroupShuffleSplit`; or an
        iterable of (train, test). None: 5 folds.
    scoring : str, callable, list, tuple or dict, default=None
        As in :func:`sklearn.model_selection.cross_validate`. None: `score` of the
        estimator, which is R^2 or the accuracy.

    Returns
    -------
    scores : Bunch
        Arrays with one entry for every split and number of shots, in this order, so
        that ``pandas.DataFrame(scores)`` is a table: `split`; `n_shots`; `test_score`,
        or ``test_<name>`` for every metric if there are several; `n_tasks` and
        `n_samples`, the held-out tasks and rows that are scored; and `n_left_out`, the
        held-out tasks that have no row after the largest number of shots.

    Raises
    ------
    TypeError
        If the estimator has no `adapt`.
    ValueError
        If a task is in both the training and the test set, if all held-out tasks of a
        split are too short, or if a task cannot be learned from.

    See Also
    --------
    FewShotSplit : For `cross_validate` and searches; the shots are learned by `fit`.
    skmeta.inspection.FewShotDisplay : Scores of every task, drawn.

    Notes
    -----
    A score is computed on all scored rows of a split together, each predicted by the
    model of its task. So R^2 compares with the mean of the split, not with that of a
    task of few rows, and metrics such as 'roc_auc' do not need every class in every
    task.

    Examples
    --------
    >>> from skmeta import FMRLRegressor
    >>> from skmeta.datasets import make_task_regression
    >>> from skmeta.model_selection import few_shot_scores
    >>> X, y, tasks = make_task_regression(n_tasks=60, random_state=0)
    >>> scores = few_shot_scores(
    ...     FMRLRegressor(), X, y, tasks, scoring="neg_mean_squared_error"
    ... )
    >>> mean = scores.test_score.reshape(5, 4).mean(axis=0)  # splits, shots
    >>> scores.n_shots[:4]
    array([0, 1, 2, 4])
    >>> bool(mean[3] > mean[0])
    True
    """
    counts = _check_shots(shots)
    parts, X, labels = _take_apart(estimator, X, tasks)
    labels, codes, _ = _rows_of_tasks(labels, X, y)
    X, targets = indexable(X, column_or_1d(y))
    scorer = check_scoring(parts.model, scoring=scoring)
    columns: dict[str, list[Any]] = {}
    for split, (train, test) in enumerate(_hold_out(cv, X, targets, labels, codes)):
        learned = parts.learn(_safe_indexing(X, train), targets[train], labels[train])
        features = learned.features(_safe_indexing(X, test))
        held_out = features, targets[test], codes[test]
        for entry in _score_split(learned, *held_out, counts, scorer):
            for name, value in {"split": split, **entry}.items():
                columns.setdefault(name, []).append(value)
    return Bunch(**{name: np.array(values) for name, values in columns.items()})


def _check_integer(value: Any, name: str, owner: str, least: int) -> None:
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_integer or value < least:
        raise ValueError(
            f"The {name!r} parameter of {owner} must be an integer >= {least}. Got "
            f"{value!r} instead."
        )


def _check_shots(shots: Iterable[int]) -> list[int]:
    """The distinct numbers of shots, ascending."""
    counts = sorted(set(shots))
    for count in counts:
        _check_integer(count, "shots", "few_shot_scores", 0)
    if not counts:
        raise ValueError("The 'shots' parameter of few_shot_scores is empty.")
    return [int(count) for count in counts]


def _rows_of_tasks(
    labels: Any, X: Any, y: Any
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """(labels, the number of every row's task, the row numbers of every task).

    Tasks are in order of first appearance and numbered in the order of their labels.
    """
    n_samples = _num_samples(X)
    labels = check_labels(labels, n_samples)
    check_consistent_length(X, y)
    names, starts, order = group_rows(labels, n_samples)
    assert names is not None
    row_numbers = np.arange(n_samples) if order is None else order[0]
    rows = np.split(row_numbers, starts[1:-1])
    try:
        ranking = sorted(range(len(rows)), key=names.__getitem__)  # as numpy.unique
    except TypeError:  # labels of several kinds
        ranking = list(range(len(rows)))
    codes = np.empty(n_samples, dtype=np.intp)
    for code, task in enumerate(ranking):
        codes[rows[task]] = code
    return labels, codes, rows


class _Parts(NamedTuple):
    """An estimator taken apart: its transformers and a meta-estimator."""

    transformers: Pipeline
    model: Any

    def learn(self, X: Any, y: np.ndarray, labels: np.ndarray) -> _Parts:
        """The parts fitted, of which the model then takes the features only."""
        transformers, model = clone(self.transformers), clone(self.model)
        X = transformers.fit_transform(X, y)
        if self.column is None:
            return _Parts(transformers, model.fit(X, y, tasks=labels))
        return _Parts(transformers, model.fit(X, y))

    def features(self, X: Any) -> Any:
        """What the inner estimators take, of the same rows."""
        return split_labels(self.transformers.transform(X), None, self.column)[0]

    def without_labels(self) -> Any:
        """The fitted model, which takes all rows for those of unknown tasks."""
        if self.column is None:
            return self.model
        return copy(self.model).set_params(task_column=None)

    @property
    def column(self) -> Any:
        """The column of labels that the model reads."""
        return getattr(self.model, "task_column", None)


def _take_apart(estimator: Any, X: Any, tasks: Any) -> tuple[_Parts, Any, Any]:
    """(the parts, X as the first part takes it, task labels).

    Raises
    ------
    TypeError
        If the estimator, or the last step of a pipeline, has no `adapt`.
    ValueError
        If there are no labels.
    """
    column, model = getattr(estimator, "task_column", None), estimator
    before: list[Any] = []
    if isinstance(estimator, Pipeline):
        *before, (_, model) = estimator.steps
    if not hasattr(model, "adapt"):
        raise TypeError(
            "few_shot_scores needs an estimator with a method adapt, such as "
            "MixedEffectsRegressor, or a Pipeline that ends with one. "
            f"{type(model).__name__} has none."
        )
    parts = _Parts(Pipeline(before or [("none", "passthrough")]), model)
    if column is not None:
        features, labels = split_column(X, column)
        X = X if model is estimator else features
        tasks = labels if tasks is None else tasks
    if tasks is None:
        remark = ""
        if parts.column is not None:
            remark = f" Only the last step of the Pipeline knows {parts.column!r}."
        raise ValueError(f"few_shot_scores got no task labels: pass tasks.{remark}")
    return parts, X, tasks


def _hold_out(
    cv: Any, X: Any, y: np.ndarray, labels: Any, codes: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Training and test rows in their order; no task has both."""
    if cv is None or isinstance(cv, Integral):
        cv = GroupKFold(5 if cv is None else int(cv))
    for split, (train, test) in enumerate(check_cv(cv).split(X, y, codes)):
        shared = np.intersect1d(codes[train], codes[test])
        if shared.size:
            label = names_of(labels[np.argmax(codes == shared[0])])[0]
            raise ValueError(
                f"Task {label!r} is in the training set and in the test set of "
                f"split {split}. few_shot_scores needs a cv that holds out whole "
                "tasks, such as GroupKFold; for known tasks use cross_validate."
            )
        yield np.sort(train), np.sort(test)


def _score_split(
    parts: _Parts,
    X: Any,
    y: np.ndarray,
    codes: np.ndarray,
    shots: list[int],
    scorer: Callable,
) -> Iterator[dict[str, Any]]:
    """The entries of one split, for every number of shots; `X` are features."""
    order = np.argsort(codes, kind="stable")
    all_tasks = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    tasks = [task for task in all_tasks if len(task) > shots[-1]]
    if not tasks:
        raise ValueError(
            f"No held-out task of a split has a row after the first {shots[-1]}; the "
            f"longest has {max(map(len, all_tasks))}. Choose fewer shots."
        )
    query = np.concatenate([task[shots[-1] :] for task in tasks])
    edges = np.cumsum([0] + [len(task) - shots[-1] for task in tasks])
    to_score = _safe_indexing(X, query), y[query]
    model = parts.without_labels()
    pooled = _AdaptedClassifiers if is_classifier(model) else _AdaptedRegressors
    for count in shots:
        scored = model
        if count:
            first = [task[:count] for task in tasks]
            adapted = [model.adapt(_safe_indexing(X, rows), y[rows]) for rows in first]
            scored = pooled(adapted, edges)
        score = scorer(scored, *to_score)
        names = score if isinstance(score, dict) else {"score": score}
        yield {
            "n_shots": count,
            **{f"test_{name}": value for name, value in names.items()},
            "n_tasks": len(tasks),
            "n_samples": len(query),
            "n_left_out": len(all_tasks) - len(tasks),
        }


def _all_have(method: str) -> Callable[[Any], bool]:
    return lambda self: all(hasattr(model, method) for model in self.models)


class _Adapted(BaseEstimator):
    """Adapted models as one estimator: rows `edges[i]:edges[i + 1]` are of model i."""

    def __init__(self, models: list[Any], edges: np.ndarray):
        self.models = models
        self.edges = edges

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def _call(self, method: str, X: Any) -> np.ndarray:
        blocks = pairwise(self.edges)
        return np.concatenate(
            [
                getattr(model, method)(_safe_indexing(X, np.arange(*block)))
                for model, block in zip(self.models, blocks, strict=True)
            ]
        )

    def predict(self, X: Any) -> np.ndarray:
        return self._call("predict", X)


class _AdaptedRegressors(RegressorMixin, _Adapted):
    """Regressors as one."""


class _AdaptedClassifiers(ClassifierMixin, _Adapted):
    """Classifiers of the same classes as one."""

    @property
    def classes_(self) -> np.ndarray:
        return self.models[0].classes_

    @available_if(_all_have("decision_function"))
    def decision_function(self, X: Any) -> np.ndarray:
        return self._call("decision_function", X)

    @available_if(_all_have("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        return self._call("predict_proba", X)

    @available_if(_all_have("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> np.ndarray:
        return self._call("predict_log_proba", X)
