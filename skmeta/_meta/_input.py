"""What users pass in, as a `Reading`: a batch of tasks, and names for messages."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from skmeta._batch import Batch
from skmeta._checks import (
    NoRowsLeft,
    check_weights,
    check_X,
    find_nonfinite,
    is_kernel_ready,
)
from skmeta._labels import check_labels, group_rows, row_numbers, split_labels
from skmeta._sparse import check_indices
from skmeta._targets import Classes, Values

Target = Values | Classes

PLAIN_LABELS = {int, str, type(None)}  # of labels that stand for all rows of a call


class Schema(NamedTuple):
    """The features that the first call has fixed.

    Attributes
    ----------
    n_features : int
    names : ndarray of shape (n_features,) or None
    """

    n_features: int
    names: np.ndarray | None

    @property
    def attributes(self) -> dict[str, Any]:
        """The fitted attributes of scikit-learn."""
        found: dict[str, Any] = {"n_features_in_": self.n_features}
        return (
            found if self.names is None else {**found, "feature_names_in_": self.names}
        )


class Reading(NamedTuple):
    """The tasks of one call.

    Attributes
    ----------
    batch : Batch
    labels : list of the distinct labels, or None
        None: the batch is one task without a label.
    schema : Schema
    target : Values or Classes
    y : array-like
        The targets as given, for messages.
    numbers : ndarray of shape (n_samples,) or None
        The number of every row within its task where rows were left out.
    """

    batch: Batch
    labels: list[Hashable] | None
    schema: Schema
    target: Target
    y: Any
    numbers: np.ndarray | None

    @property
    def shape(self) -> tuple[int, int]:
        """Of a parameter."""
        return self.target.n_outputs, self.schema.n_features + 1

    def name(self, t: int) -> str:
        """How messages name task t."""
        return (
            "The task of this call"
            if self.labels is None
            else f"Task {self.labels[t]!r}"
        )

    def problem(self, t: int, reason: str | None) -> str:
        """Why task t could not be learned, as sentences that say what to do.

        `reason` is what the learner says; what its rows show comes first.
        """
        rows = self.batch.rows(t)
        numbers = np.arange(len(rows)) if self.numbers is None else self.numbers[rows]
        bad = find_nonfinite(self.batch.X[rows])
        if bad is not None:
            names = self.schema.names
            feature = bad[1] if names is None else names[bad[1]]
            return (
                f"{self.name(t)}: X contains NaN or infinity in row {numbers[bad[0]]} "
                f"of the task, feature {feature!r}. Drop the row, or impute the value "
                "(SimpleImputer)."
            )
        missing = np.flatnonzero(~np.isfinite(self.batch.y[rows]))
        if missing.size:
            value = np.ravel(np.asarray(self.y))[rows[missing[0]]]
            value = getattr(value, "item", lambda: value)()
            problem = self.target.problem(value, numbers[missing[0]])
            return f"{self.name(t)}: {problem}"
        return f"{self.name(t)}: {reason}."


def read(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    tasks: Any,
    sample_weight: ArrayLike | None,
    classes: Any,
    learned: Any,
) -> Reading:
    """The tasks of a call, checked.

    Parameters
    ----------
    estimator : meta-estimator
        Its parameters `task_column` and `on_bad_row` are used.
    X, y, tasks, sample_weight, classes : as users pass them
    learned : published value or None
        None in a first call.
    """
    column = estimator.task_column
    if column is None and learned is not None and sample_weight is None:
        if type(tasks) in PLAIN_LABELS:
            plain = _read_plain(estimator, X, y, tasks, learned)
            if plain is not None:
                return plain
    X, labels = split_labels(X, tasks, column)
    schema = None if learned is None else learned.schema
    X, schema, owner = check_columns(
        estimator,
        X,
        schema,
        ensure_all_finite=False,
        checks_indices=False,
        may_be_empty=labels is not None,
    )
    if labels is not None:
        labels = check_labels(labels, X.shape[0], column)
    if learned is None:
        target = estimator._first_target(owner, X, y, classes)
    else:
        target = learned.target
    targets = target.read(owner, X, y)
    drops = estimator.on_bad_row == "drop"
    weight, is_used = _used_rows(X, targets, sample_weight, drops)
    numbers = None
    if is_used is not None:
        check_indices(X)
        numbers = row_numbers(labels, is_used)[is_used]
        y = np.ravel(np.asarray(y))[is_used]
        X, targets = X[is_used], targets[is_used]
        labels = labels[is_used] if isinstance(labels, np.ndarray) else labels
    names, starts, order = group_rows(labels, len(targets))
    return Reading(
        Batch(X, targets, weight, starts, order), names, schema, target, y, numbers
    )


def _read_plain(
    estimator: Any, X: Any, y: Any, label: int | str | None, learned: Any
) -> Reading | None:
    """One task whose arrays are as the kernels read them, or None."""
    target, schema = learned.target, learned.schema
    if (
        not is_kernel_ready(y, target.plain_dtype, 1)
        or not is_kernel_ready(X, np.float64, 2)
        or X.shape != (len(y), schema.n_features)
        or not len(y)
        or schema.names is not None
        or estimator.on_bad_row != "raise"
    ):
        return None
    batch = Batch(X, target.encode(y), None, one_task(len(y)), None)
    names: list[Hashable] | None = None if label is None else [label]
    return Reading(batch, names, schema, target, y, None)


@lru_cache(maxsize=256)
def one_task(n_samples: int) -> np.ndarray:
    """`starts` of a batch of one task, not to be changed."""
    starts = np.array((0, n_samples), dtype=np.intp)
    starts.flags.writeable = False
    return starts


def _used_rows(
    X: Any, targets: np.ndarray, sample_weight: ArrayLike | None, drops: bool
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(their weights or None, their mask or None for all rows).

    `drops`: whether rows with NaN or infinity are left out, as those of weight zero.
    """
    weight, is_used = check_weights(sample_weight, X)
    if not drops:
        return weight, is_used
    usable = _usable_rows(X, targets)
    if weight is not None:
        weight = weight[usable if is_used is None else usable[is_used]]
    is_used = usable if is_used is None else is_used & usable
    if not is_used.any():
        raise NoRowsLeft(
            "No row is left: every row has NaN or infinity in X or y, or a weight of "
            "zero. Impute the values, or leave out this call."
        )
    return weight, None if is_used.all() else is_used


def _usable_rows(X: Any, targets: np.ndarray) -> np.ndarray:
    """Which rows hold neither NaN nor infinity."""
    usable = np.isfinite(targets)
    if sp.issparse(X):
        row_of_value = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        usable[row_of_value[~np.isfinite(X.data)]] = False
        return usable
    return usable & np.isfinite(X).all(axis=1)


def check_columns(
    estimator: Any,
    X: Any,
    schema: Schema | None,
    *,
    ensure_all_finite: bool = True,
    checks_indices: bool = True,
    may_be_empty: bool = False,
) -> tuple[Any, Schema, Any]:
    """The features as the kernels read them, their schema, and an owner for messages.

    `may_be_empty`: whether there may be no features in a first call.

    The owner is an estimator of the same class that has the schema only: what
    scikit-learn writes while it checks stays there, and the estimator is not changed.
    """
    owner = object.__new__(type(estimator))
    if schema is not None:
        vars(owner).update(schema.attributes)
    X = check_X(
        owner,
        X,
        reset=schema is None,
        ensure_all_finite=ensure_all_finite,
        checks_indices=checks_indices,
        may_be_empty=may_be_empty,
    )
    if schema is None:
        found = vars(owner)
        schema = Schema(found["n_features_in_"], found.get("feature_names_in_"))
    return X, schema, owner
