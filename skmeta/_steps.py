"""A pipeline as its last step and the rows that this step sees."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def last_step(estimator: Any, X: Any, y: Any) -> tuple[Any, Any]:
    """(estimator, X), or of a pipeline its last step and the transformed rows.

    The steps before the last one transform as they were fitted. If one of them is not
    fitted, clones of all are fitted to the rows. The pipeline does not change.
    """
    if not isinstance(estimator, Pipeline):
        return estimator, X
    steps = Pipeline(estimator.steps[:-1]) if len(estimator.steps) > 1 else None
    if steps is not None:
        is_fitted = all(map(_is_fitted, (step for _, step in steps.steps)))
        X = steps.transform(X) if is_fitted else clone(steps).fit_transform(X, y)
    return last_step(estimator.steps[-1][1], X, y)


def _is_fitted(step: Any) -> bool:
    if step is None or step == "passthrough":
        return True
    try:
        check_is_fitted(step)
    except NotFittedError:
        return False
    return True
