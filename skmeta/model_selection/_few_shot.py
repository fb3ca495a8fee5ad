"""Scores on new tasks, against the number of rows to adapt to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from copy import copy
from itertools import islice, pairwise
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
from sklearn.model_selection import GroupKFold, check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch, indexable
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import column_or_1d

from skmeta._labels import names_of, split_column, split_labels
from skmeta._parallel import in_jobs, timed
from skmeta._sklearn import take
from skmeta.model_selection._split import check_integer, rows_of_tasks


def few_shot_scores(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    tasks: ArrayLike | None = None,
    *,
    shots: Iterable[int] = (0, 1, 2, 4),
    cv: Any = None,
    scoring: str | Callable | Collection | None = None,
    n_jobs: int | None = None,
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
    n_jobs : int, default=None
        Number of processes, or of what :func:`joblib.parallel_config` names, that learn
        splits and then score every split and number of shots; -1: one per processor;
        None: 1, unless `parallel_config` says otherwise. The first split is learned
        before others are distributed, which they are if all takes more than about
        0.1 s. Scores do not depend on it.

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
    labels, codes, _ = rows_of_tasks(labels, X, y)
    X, targets = indexable(X, column_or_1d(y))
    scorer = check_scoring(parts.model, scoring=scoring)
    most = counts[-1]
    to_learn = [
        (parts, X, targets, labels, train, test, *_tasks_to_score(codes[test], most))
        for train, test in _hold_out(cv, X, targets, labels, codes)
    ]
    first, seconds = timed(_learn_split, *to_learn[0])
    seconds *= len(to_learn) - 1
    seconds += sum(len(one[-2]) for one in to_learn) * _time_to_adapt(first, counts)
    splits = [first, *in_jobs(_learn_split, to_learn[1:], n_jobs, seconds)]
    to_score = [(s, k, most, scorer) for s in splits for k in counts]
    entries = in_jobs(_score_split, to_score, n_jobs, seconds)
    columns: dict[str, list[Any]] = {}
    for number, entry in enumerate(entries):
        for name, value in {"split": number // len(counts), **entry}.items():
            columns.setdefault(name, []).append(value)
    return Bunch(**{name: np.array(values) for name, values in columns.items()})


def _check_shots(shots: Iterable[int]) -> list[int]:
    """The distinct numbers of shots, ascending."""
    counts = sorted(set(shots))
    for count in counts:
        check_integer(count, "shots", "few_shot_scores", 0)
    if not counts:
        raise ValueError("The 'shots' parameter of few_shot_scores is empty.")
    return [int(count) for count in counts]


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


class _Split(NamedTuple):
    """What was learned from the training set, and the tasks of the test set.

    Attributes
    ----------
    model : estimator
        Which takes all rows for those of unknown tasks.
    X, y : array-like and ndarray
        Features, as the model takes them, and targets of the test set.
    tasks : list of ndarray
        The row numbers of every task that is scored.
    names : list
        Their labels.
    n_left_out : int
        Number of the other tasks.
    """

    model: Any
    X: Any
    y: np.ndarray
    tasks: list[np.ndarray]
    names: list[Any]
    n_left_out: int

    def adapted(self, count: int, n_tasks: int | None = None) -> list[Any]:
        """The models of the first tasks, adapted to the first rows of each."""
        models, tasks = [], zip(self.tasks, self.names, strict=True)
        for task, name in islice(tasks, n_tasks):
            rows = task[:count]
            try:
                models.append(self.model.adapt(take(self.X, rows), self.y[rows]))
            except ValueError as error:
                raise ValueError(
                    f"The estimator cannot adapt to the first {count} rows of the "
                    f"held-out task {name!r}. {error}"
                ) from error
        return models


def _tasks_to_score(codes: np.ndarray, most: int) -> tuple[list[np.ndarray], int]:
    """Row numbers of the tasks with a row after the shots; the number of the others."""
    order = np.argsort(codes, kind="stable")
    all_tasks = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    tasks = [task for task in all_tasks if len(task) > most]
    if not tasks:
        raise ValueError(
            f"No held-out task of a split has a row after the first {most}; the "
            f"longest has {max(map(len, all_tasks))}. Choose fewer shots."
        )
    return tasks, len(all_tasks) - len(tasks)


def _learn_split(
    parts: _Parts,
    X: Any,
    y: np.ndarray,
    labels: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    tasks: list[np.ndarray],
    n_left_out: int,
) -> _Split:
    learned = parts.learn(take(X, train), y[train], labels[train])
    features = learned.features(take(X, test))
    names = names_of(labels[test[[task[0] for task in tasks]]])
    model = learned.without_labels()
    return _Split(model, features, y[test], tasks, names, n_left_out)


def _time_to_adapt(split: _Split, shots: list[int]) -> float:
    """The seconds that one task takes, for all numbers of shots."""
    if not shots[-1]:
        return 0.0
    return timed(split.adapted, shots[-1], 1)[1] * np.count_nonzero(shots)


def _score_split(
    split: _Split, count: int, most: int, scorer: Callable
) -> dict[str, Any]:
    """The entries of one split for one number of shots."""
    model, X, y, tasks, _, n_left_out = split
    query = np.concatenate([task[most:] for task in tasks])
    scored = model
    if count:
        edges = np.cumsum([0] + [len(task) - most for task in tasks])
        pooled = _AdaptedClassifiers if is_classifier(model) else _AdaptedRegressors
        scored = pooled(split.adapted(count), edges)
    score = scorer(scored, take(X, query), y[query])
    names = score if isinstance(score, dict) else {"score": score}
    return {
        "n_shots": count,
        **{f"test_{name}": value for name, value in names.items()},
        "n_tasks": len(tasks),
        "n_samples": len(query),
        "n_left_out": n_left_out,
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
                getattr(model, method)(take(X, np.arange(*block)))
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
