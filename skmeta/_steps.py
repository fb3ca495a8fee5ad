"""A pipeline as its last step and the rows that this step sees."""

from __future__ import annotations

from copy import copy
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skmeta._labels import check_labels, group_rows, split_column, split_labels
from skmeta._sklearn import _num_samples


def last_step(
    estimator: Any, X: Any, y: Any, tasks: Any = None
) -> tuple[Any, Any, Any]:
    """(estimator, X, tasks), or of a pipeline its last step and the transformed rows.

    The steps before the last one transform as they were fitted. If one of them is not
    fitted, clones of all are fitted to the rows. The pipeline does not change. A
    pipeline with a `task_column` of its own takes the labels out of X.
    """
    if not isinstance(estimator, Pipeline):
        return estimator, X, tasks
    column = getattr(estimator, "task_column", None)
    if column is not None:
        X, tasks = split_labels(X, tasks, column)
    if len(estimator.steps) > 1:
        steps = Pipeline(estimator.steps[:-1])
        is_fitted = all(_is_fitted(step) for _, step in steps.steps)
        X = steps.transform(X) if is_fitted else clone(steps).fit_transform(X, y)
    model, X, tasks = last_step(estimator.steps[-1][1], X, y, tasks)
    if column is not None and getattr(model, "task_column", None) is not None:
        model = copy(model).set_params(task_column=None)  # whose labels were taken out
    return model, X, tasks


def final_estimator(estimator: Any) -> Any:
    """The last step of a pipeline; any other estimator itself."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def _is_fitted(step: Any) -> bool:
    if step is None or isinstance(step, str):  # 'passthrough'
        return True
    try:
        check_is_fitted(step)
    except NotFittedError:
        return False
    return True


class DropTaskColumn(TransformerMixin, BaseEstimator):
    """Take out the task column, if X has it."""

    def __init__(self, column: Any, n_features: int | None):
        self.column = column
        self.n_features = n_features

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: Any, y: Any = None) -> Self:
        return self

    def transform(self, X: Any) -> Any:
        return _without_column(X, self.column, self.n_features)


def _without_column(X: Any, column: Any, n_features: int | None) -> Any:
    """X without the task column, which it may lack already."""
    if np.shape(X)[1:] == (n_features,):
        return X
    return split_column(X, column)[0]


def features_of_one_task(X: Any, column: Any, n_features: int | None) -> Any:
    """X without the task column; rows of several tasks are an error."""
    features = _without_column(X, column, n_features)
    if features is not X:
        labels = split_column(X, column)[1]
        n_samples = _num_samples(X)
        names, *_ = group_rows(check_labels(labels, n_samples), n_samples)
        if names is not None and len(names) > 1:
            raise ValueError(
                f"adapt takes the rows of one task; got those of {len(names)}: "
                f"{names[:5]}."
            )
    return features
