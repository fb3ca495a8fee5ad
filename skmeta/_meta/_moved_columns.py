"""Tools of scikit-learn that fit an estimator to other columns than those of X."""

from __future__ import annotations

import sys
from numbers import Integral
from typing import Any


def refuse_moved_columns(estimator: Any) -> None:
    """Raise ValueError if a position in `task_column` will be that of other columns.

    The tools pass plain arrays, so the labels would silently come from a feature. Only
    tools in the same process are seen.
    """
    column = estimator.task_column
    columns = column if isinstance(column, list | tuple) else [column]
    positions = [int(one) for one in columns if isinstance(one, Integral)]
    if not positions:
        return
    frame = sys._getframe(1).f_back
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith("sklearn."):
            for name in ("self", "ensemble"):
                _check(frame.f_locals.get(name), estimator, positions)
        frame = frame.f_back


def _check(tool: Any, estimator: Any, positions: list[int]) -> None:
    if not _fits(tool, estimator):
        return
    column, name = estimator.task_column, type(estimator).__name__
    kind = type(tool).__name__
    bases = {cls.__name__ for cls in type(tool).__mro__}  # importing them takes long
    if "_BaseChain" in bases:
        if min(positions) < 0:
            raise ValueError(
                f"{kind} appends columns to X, so task_column={column!r} of {name} "
                "would be one of them. Count from the first column, from 0."
            )
        return
    if "RFE" in bases:
        moves = positions != [-1]  # it drops columns with a coefficient only
    elif "BaseBagging" in bases:
        takes_all = tool._max_features == tool.n_features_in_
        moves = not takes_all or tool.bootstrap_features
    else:
        moves = "SequentialFeatureSelector" in bases
    if moves:
        raise ValueError(
            f"{kind} fits {name} to some of the columns of X, so "
            f"task_column={column!r} would be a feature. Pass the labels by "
            "themselves, with metadata routing: "
            f"{kind}({name}().set_fit_request(tasks=True)).fit(X, y, tasks=labels), "
            "where X holds the features only."
        )


def _fits(tool: Any, estimator: Any) -> bool:
    """Whether a tool fits copies of an estimator like this one."""
    inner: Any = getattr(tool, "estimator", None)
    if type(inner) is not type(estimator):  # of a chain before scikit-learn 1.7
        inner = getattr(tool, "base_estimator", None)
    return type(inner) is type(estimator) and inner.task_column == estimator.task_column
