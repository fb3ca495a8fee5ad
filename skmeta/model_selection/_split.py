"""Splitters that hold out tasks but for a few rows, and later rows of known tasks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import BaseCrossValidator, ShuffleSplit
from sklearn.utils import check_consistent_length

from skmeta._labels import check_labels, group_rows, split_column
from skmeta._sklearn import _num_samples


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
        check_integer(self.n_splits, "n_splits", name, 1)
        if (groups is None) == (self.task_column is None):
            count = "no" if groups is None else "two kinds of"
            raise ValueError(
                f"{name} got {count} task labels: pass groups=, or set task_column to "
                "the column of X that holds them."
            )
        labels = groups if groups is not None else split_column(X, self.task_column)[1]
        yield from self._splits(rows_of_tasks(labels, X, y)[2])

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
        check_integer(self.n_shots, "n_shots", "FewShotSplit", 0)
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
            check_integer(self.test_size, "test_size", "TaskTimeSplit", 1)
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


def check_integer(value: Any, name: str, owner: str, least: int) -> None:
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_integer or value < least:
        raise ValueError(
            f"The {name!r} parameter of {owner} must be an integer >= {least}. Got "
            f"{value!r} instead."
        )


def rows_of_tasks(
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
