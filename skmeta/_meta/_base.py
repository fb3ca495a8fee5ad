"""What every meta-estimator does: read, begin, learn, publish; and predict by task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from copy import deepcopy
from numbers import Integral
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted

from skmeta import _kernels
from skmeta._batch import Batch, Task
from skmeta._checks import NoRowsLeft, check_weights, find_nonfinite
from skmeta._labels import (
    as_array,
    check_fractions,
    check_labels,
    code_rows,
    first_few,
    group_rows,
    mismatch,
    split_labels,
)
from skmeta._meta._callers import refuse_moved_columns, refuse_selector, warn
from skmeta._meta._class_weight import weigh_classes, weigh_task, weights_by_label
from skmeta._meta._input import Reading, Schema, Target, check_columns, one_task, read
from skmeta._meta._record import Record
from skmeta._parameters import validate_parameters
from skmeta._saving import Versioned
from skmeta._sklearn import (
    CallbackSupportMixin,
    Progress,
    StrOptions,
    _check_partial_fit_first_call,
    report_progress,
    reports_to_callbacks_of_another,
)
from skmeta._sparse import check_indices
from skmeta._targets import Classes, Values


class Learned(Protocol):
    """The published value: everything that readers use. It is never changed."""

    @property
    def schema(self) -> Schema:
        """The features."""

    @property
    def target(self) -> Target:
        """The kind of targets."""

    @property
    def n_tasks(self) -> int:
        """Number of tasks learned from."""

    @property
    def n_skipped(self) -> int:
        """Number of tasks left out."""

    @property
    def shared(self) -> np.ndarray:
        """The parameter that predicts unknown tasks, (n_outputs, n_features + 1)."""

    @property
    def history(self) -> np.ndarray:
        """One row per learned task."""

    def names(self) -> list[Hashable]:
        """Labels of the known tasks, in order of first appearance."""

    @property
    def index(self) -> Mapping[Hashable, Any]:
        """The labels of known tasks are keys of it; it may have others."""

    def rows(self, names: Sequence[Hashable]) -> np.ndarray:
        """The records of known tasks, -1 for unknown ones."""

    def parameters(self, rows: np.ndarray) -> np.ndarray:
        """Raw parameters of known tasks, (n, n_outputs, n_features + 1)."""


class Finished(NamedTuple):
    """The outcome of a call.

    Attributes
    ----------
    bad : list of (int, str or None)
        The tasks that were left out, and the learner's reason.
    notes : list of str
        Texts of warnings for the user.
    """

    bad: Sequence[tuple[int, str | None]]
    notes: Sequence[str] = ()


ALL_LEARNED = Finished(())


class RowsByTask(NamedTuple):
    """Rows to predict: the distinct labels, their records, and each row's label."""

    names: list[Any]
    rows: np.ndarray
    label_of_row: np.ndarray

    @property
    def is_unknown(self) -> np.ndarray:
        return self.rows < 0


def learned_attribute(function: Callable[[Any, Any], Any]) -> property:
    """A read-only attribute of the published value; AttributeError before `fit`."""
    name = function.__name__

    def get(self: Any) -> Any:
        if name in vars(self):  # of an estimator that only checks columns
            return vars(self)[name]
        if "_learned" not in vars(self):
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r} before fit "
                "or partial_fit"
            )
        return function(self, self._learned)

    def put(self: Any, value: Any) -> None:
        if "_learned" in vars(self):
            raise AttributeError(f"{name} is learned and cannot be set.")
        vars(self)[name] = value

    return property(get, put, doc=function.__doc__)


def _without_labels(estimator: Any) -> str:
    """Say that a fit got no labels, and how callbacks name it.

    Where callbacks of a search show that name, a warning for each fit would break their
    display.
    """
    if not reports_to_callbacks_of_another(estimator):
        warn(
            f"{type(estimator).__name__}.fit got no task labels, so all rows are one "
            "task. Pass tasks=, or set task_column."
        )
    return "no labels: fit of one task"


class BaseMeta(CallbackSupportMixin, Versioned, BaseEstimator):
    """Tasks in, predictions by task; subclasses learn."""

    _learned: Any
    _configuration: Any

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "task_column": [str, Integral, list, tuple, None],
        "unknown_task": [StrOptions({"shared", "warn", "raise"})],
        "on_bad_task": [StrOptions({"raise", "warn", "skip"})],
        "on_bad_row": [StrOptions({"raise", "drop"})],
        "store_tasks": ["boolean"],
        "n_jobs": [Integral, None],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
    }

    task_column: str | int | list[str | int] | None
    unknown_task: str
    on_bad_task: str
    on_bad_row: str
    store_tasks: bool
    n_jobs: int | None
    warm_start: bool
    verbose: int
    class_weight: Any = None  # a parameter of classifiers
    _nested: ClassVar[dict[str, str]] = {}  # what nested parameters may be set to

    def __copy__(self) -> Any:
        """A shallow copy, except for what was learned: copies learn independently."""
        twin = type(self).__new__(type(self))
        twin.__dict__.update(vars(self))
        if "_learned" in vars(self):
            twin._learned = deepcopy(self._learned)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {key: value for key, value in state.items() if key != "_configuration"}

    def __sklearn_is_fitted__(self) -> bool:
        return "_learned" in vars(self)

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also of nested objects as ``step_size__gamma``.

        Parameters
        ----------
        **params : dict
            Parameters by name.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If there is no such parameter, or what it is nested in is None or a name.
        """
        for key in params:
            name, _, inner = key.partition("__")
            if not inner or name not in self._nested:
                continue
            value = params.get(name, getattr(self, name))
            if not hasattr(value, "set_params"):
                raise ValueError(
                    f"{key!r} cannot be set, because {name}={value!r} has no "
                    f"parameters. Set {name} to an object first: {self._nested[name]}."
                )
        return super().set_params(**params)

    # ---- what differs between families

    @abstractmethod
    def _begin(
        self, reading: Reading, before: Any, n_passes: int | None, unchanged: bool
    ) -> Any:
        """A draft to learn on; `n_passes` is None in `partial_fit`.

        `unchanged` is what `_check_parameters` returned.
        """

    @abstractmethod
    def _learn(
        self, draft: Any, reading: Reading, n_passes: int | None, progress: Progress
    ) -> Finished:
        """Learn from the tasks, on the draft; `fit` reports one step per pass."""

    @abstractmethod
    def _publish(self, draft: Any, reading: Reading) -> Any:
        """The value that holds what the draft has learned."""

    @abstractmethod
    def _replay(self, reading: Reading) -> Iterator[Record]:
        """Learn the tasks from the start, and yield a record of each."""

    def replay(
        self, X: Any, y: ArrayLike, tasks: ArrayLike | None = None
    ) -> Iterator[Record]:
        """Learn the tasks once more, in one pass from the start, and record each task.

        A clone learns; the estimator does not change and need not be fitted.
        :func:`skmeta.metrics.regret_report` makes a report of the records.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features of all tasks.
        y : array-like of shape (n_samples,)
            Targets.
        tasks : array-like of shape (n_samples,), default=None
            Task labels; None if the estimator has a `task_column`.

        Returns
        -------
        records : iterator of Record
            One record per task, in order: its losses, its start, its step size and its
            gradients. Its methods compute what the learner is compared with.

        Raises
        ------
        ValueError
            If a task cannot be learned, or if the inner learner reports no losses or
            gradients.
        """
        model = clone(self).set_params(warm_start=False)
        model._check_parameters()
        reading = read(model, X, y, tasks, None, None, None)
        if self.class_weight is not None:
            reading = weigh_classes(self.class_weight, reading, is_fit=True)
        check_indices(reading.batch.X)
        for t in range(reading.batch.n_tasks):
            if not reading.batch.task(t).is_finite:
                raise ValueError(reading.problem(t, None))
        return model._replay(reading)

    # ---- learning

    def _first_target(self, owner: Any, X: Any, y: ArrayLike, classes: Any) -> Target:
        """The kind of targets that a first call fixes."""
        return Values()

    def _ingest(
        self,
        X: Any,
        y: ArrayLike,
        tasks: Any,
        sample_weight: ArrayLike | None,
        classes: Any = None,
        *,
        n_passes: int | None = None,
    ) -> Any:
        """Learn from the tasks of one call; `n_passes` is None in `partial_fit`."""
        before = self.__dict__.get("_learned")
        if n_passes is not None:
            refuse_moved_columns(self)
            if not self.warm_start:
                before = None
        unchanged = self._check_parameters()
        try:
            reading = read(self, X, y, tasks, sample_weight, classes, before)
        except NoRowsLeft:
            if before is None or n_passes is not None:
                raise
            return self
        if self.class_weight is not None:
            is_fit = n_passes is not None
            reading = weigh_classes(self.class_weight, reading, is_fit=is_fit)
        if before is not None and reading.labels is not None:
            self._check_kind(reading.labels, before)
        is_one_task = n_passes is not None and reading.labels is None
        name = _without_labels(self) if is_one_task else "fit"
        draft = self._begin(reading, before, n_passes, unchanged)
        with report_progress(self, name, n_passes, X, y, sample_weight) as progress:
            finished = self._learn(draft, reading, n_passes, progress)
            if finished.bad:
                must_learn = n_passes is not None
                self._handle_bad_tasks(finished, reading, must_learn=must_learn)
            for note in finished.notes:
                warn(note)
            learned = self._publish(draft, reading)
            progress.end(lambda: {"_learned": learned})
            self._learned = learned
        return self

    def _check_parameters(self) -> bool:
        """Validate the parameters, unless they are unchanged since the last call.

        Returns whether they are unchanged: `_configuration` is then still valid.
        """
        configuration = self.__dict__.get("_configuration")
        if configuration is not None and configuration.watch.is_same(self):
            return True
        validate_parameters(self)
        return False

    def _handle_bad_tasks(
        self, finished: Finished, reading: Reading, *, must_learn: bool
    ) -> None:
        """Raise or warn, according to `on_bad_task`."""
        problems = [reading.problem(*one) for one in finished.bad]
        if self.on_bad_task == "raise":
            raise ValueError(
                f"{problems[0]} With on_bad_task='skip' such a task is left out."
            )
        n_tasks = reading.batch.n_tasks
        if must_learn and len({t for t, _ in finished.bad}) == n_tasks:
            raise ValueError(
                f"None of the {n_tasks} tasks can be learned from. {problems[0]}"
            )
        if self.on_bad_task == "warn":
            for problem in problems:
                warn(f"{problem} The task was skipped.")

    def _fitted(self) -> Any:
        if "_learned" not in vars(self):
            check_is_fitted(self)
        return self._learned

    # ---- predicting

    def _rows_by_task(
        self, X: Any, tasks: Any, learned: Learned
    ) -> tuple[Any, RowsByTask | None]:
        """The features as the kernels read them, and the task of every row."""
        column = self.task_column
        X, labels = split_labels(X, tasks, column)
        X, _, _ = check_columns(self, X, learned.schema)
        if labels is None:
            return X, None
        n_samples = X.shape[0]
        labels = check_labels(labels, n_samples, column, refuses_fractions=False)
        names, index = code_rows(labels, n_samples)
        by_task = RowsByTask(names, learned.rows(names), index)
        if by_task.rows.min() < 0:
            self._handle_unknown_tasks(by_task, learned)
        return X, by_task

    def _check_kind(self, names: Sequence[Hashable], before: Learned) -> None:
        """Warn if the labels to learn are of a kind never seen."""
        kind = type(names[0])
        if kind is type(next(iter(before.index), None)) and kind is not tuple:
            return
        known = first_few(before.index)
        problem = mismatch(names, known, lambda others: [False] * len(others))
        if problem is not None and (before.rows(names) < 0).all():
            warn(f"{problem} They are learned as new tasks.")

    def _handle_unknown_tasks(self, by_task: RowsByTask, learned: Learned) -> None:
        unknown = by_task.is_unknown
        check_fractions(by_task.names, unknown)
        if self.unknown_task == "shared":
            if unknown.all():
                self._check_spelling(by_task, learned)
            return
        problem = (
            f"Task {by_task.names[unknown.argmax()]!r} is unknown "
            f"({int(unknown.sum())} of {len(by_task.names)} tasks are)."
        )
        if self.unknown_task == "raise":
            raise ValueError(
                f"{problem} Learn it with partial_fit, or set unknown_task='shared' to "
                "predict it with what the tasks share."
            )
        warn(f"{problem} Its rows are predicted with what the tasks share.")

    def _check_spelling(self, by_task: RowsByTask, learned: Learned) -> None:
        """Warn if labels, none of them known, seem to mean known ones."""
        problem = mismatch(
            by_task.names,
            first_few(learned.index),
            lambda names: (learned.rows(names) >= 0).tolist(),
        )
        if problem is not None:
            warn(
                f"{problem} All rows are predicted with what the tasks share. Give the "
                "labels as in fit."
            )

    def _scores(self, X: Any, tasks: Any, learned: Learned) -> np.ndarray:
        """Raw scores (n_samples, n_outputs), every row under its task's parameters."""
        X, by_task = self._rows_by_task(X, tasks, learned)
        return self._scores_of(X, by_task, learned)

    def _scores_of(
        self, X: Any, by_task: RowsByTask | None, learned: Learned
    ) -> np.ndarray:
        shared = learned.shared
        if by_task is None:
            scores = safe_sparse_dot(X, shared[:, :-1].T, dense_output=True)
            return scores + shared[:, -1]
        parameters = np.empty((len(by_task.names), *shared.shape))
        unknown = by_task.is_unknown
        parameters[unknown] = shared
        parameters[~unknown] = learned.parameters(by_task.rows[~unknown])
        return _kernels.score_rows(X, by_task.label_of_row, parameters)

    # ---- adapting

    def _read_new_task(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None, learned: Learned
    ) -> tuple[Task, Reading]:
        """The rows of one new task, with or without the task column."""
        n_features = learned.schema.n_features
        if self.task_column is not None and np.shape(X)[1:] != (n_features,):
            X, labels = split_labels(X, None, self.task_column)
            labels = check_labels(labels, len(labels), self.task_column)
            names, *_ = group_rows(labels, len(labels))
            assert names is not None
            if len(names) > 1:
                raise ValueError(
                    f"adapt takes the rows of one task; got those of {len(names)}: "
                    f"{names[:5]}."
                )
        schema, target = learned.schema, learned.target
        X, _, owner = check_columns(self, X, schema, ensure_all_finite=False)
        targets = target.read(owner, X, y)
        weight, has_weight = check_weights(sample_weight, X)
        if has_weight is not None:
            X, targets = X[has_weight], targets[has_weight]
            y = np.ravel(np.asarray(y))[has_weight]
        batch = Batch(X, targets, weight, one_task(len(targets)), None)
        if self.class_weight is not None:
            assert isinstance(target, Classes)
            batch = weigh_task(self.class_weight, target, batch)
        reading = Reading(batch, None, schema, target, y, None)
        if find_nonfinite(X) or find_nonfinite(targets[:, np.newaxis]):
            raise ValueError(reading.problem(0, None))
        return batch.task(0), reading

    def _hand_over(self, model: Any) -> Any:
        """What `adapt` returns, with the tables and weights of the meta-estimator."""
        if not hasattr(model, "_task_column"):  # of another package
            return model
        if self.task_column is not None:
            model._task_column = self.task_column
        if self.class_weight is not None:
            target = self._fitted().target
            model.class_weight = weights_by_label(self.class_weight, target)
        return model

    # ---- fitted attributes, views of the published value

    @learned_attribute
    def n_features_in_(self, learned: Learned) -> int:
        """Number of features."""
        return learned.schema.n_features

    @learned_attribute
    def feature_names_in_(self, learned: Learned) -> np.ndarray:
        """Names of the features."""
        if self.task_column is not None:
            refuse_selector(self)
        if learned.schema.names is None:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute "
                "'feature_names_in_': X had no names of columns"
            )
        return learned.schema.names

    @learned_attribute
    def task_labels_(self, learned: Learned) -> np.ndarray:
        """Labels of the known tasks, in order of first appearance."""
        return as_array(learned.names())

    @learned_attribute
    def task_coef_(self, learned: Learned) -> np.ndarray:
        """Weights of the known tasks."""
        return learned.target.shape_coef(self._all_parameters(learned))[0].copy()

    @learned_attribute
    def task_intercept_(self, learned: Learned) -> np.ndarray:
        """Intercepts of the known tasks."""
        return learned.target.shape_coef(self._all_parameters(learned))[1].copy()

    def _all_parameters(self, learned: Learned) -> np.ndarray:
        return learned.parameters(learned.rows(learned.names()))

    @learned_attribute
    def history_(self, learned: Learned) -> np.ndarray:
        """One row per learned task."""
        return learned.history

    @learned_attribute
    def n_tasks_seen_(self, learned: Learned) -> int:
        """Number of tasks learned from."""
        return learned.n_tasks

    @learned_attribute
    def n_tasks_skipped_(self, learned: Learned) -> int:
        """Number of bad tasks that were left out."""
        return learned.n_skipped


class MetaRegressor:
    """Predictions of a regressor by task."""

    def _score(self, y: ArrayLike, predicted: np.ndarray, sample_weight: Any) -> float:
        return r2_score(y, predicted, sample_weight=sample_weight)


class MetaClassifier:
    """Predictions of a classifier by task; `classes` are fixed by the first call."""

    _learned: Any

    @learned_attribute
    def classes_(self, learned: Any) -> np.ndarray:
        """The class labels, sorted."""
        return learned.target.classes

    def _first_target(self, owner: Any, X: Any, y: ArrayLike, classes: Any) -> Target:
        if classes is None:
            return Classes.of(owner, X, y)
        _check_partial_fit_first_call(owner, classes)
        return Classes(vars(owner)["classes_"])

    def _check_classes(self, classes: Any, *, is_fit: bool) -> None:
        """Refuse other classes than those of the first call."""
        learned = vars(self).get("_learned")
        if learned is None:
            if classes is None and not is_fit:
                raise ValueError(
                    "classes must be passed on the first call to partial_fit."
                )
            return
        known = learned.target.classes
        if is_fit or classes is None or _are_same(classes, known):
            return
        owner = object.__new__(type(self))
        vars(owner)["classes_"] = known
        _check_partial_fit_first_call(owner, classes)

    def _score(self, y: ArrayLike, predicted: np.ndarray, sample_weight: Any) -> float:
        return accuracy_score(y, predicted, sample_weight=sample_weight)


def _are_same(classes: Any, known: np.ndarray) -> bool:
    """Whether classes are certainly those known; a cheap look, as in every call."""
    return (
        type(classes) is np.ndarray
        and classes.dtype == known.dtype
        and classes.dtype.kind != "O"
        and classes.tobytes() == known.tobytes()
    )
