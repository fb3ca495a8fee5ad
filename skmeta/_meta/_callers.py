"""Who calls the package: the line to warn at, and tools that misuse an estimator."""

from __future__ import annotations

import os
import sys
import warnings
from numbers import Integral
from pathlib import Path
from types import FrameType
from typing import Any

from sklearn.feature_selection import SelectFromModel

_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"


def _stack() -> list[FrameType]:
    """The frames of the call, from the function that asks outwards."""
    frame: FrameType | None = sys._getframe(1)
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


def _caller(frames: list[FrameType]) -> int:
    """The number of the first frame outside of the package."""
    for number, frame in enumerate(frames):
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return number
    return len(frames) - 1


def warn(message: str) -> None:
    """Warn the user at the line that called the package."""
    warnings.warn(message, UserWarning, stacklevel=_caller(_stack()) + 1)


def refuse_selector(estimator: Any) -> None:
    """Raise ValueError where SelectFromModel asks for `feature_names_in_`.

    It takes the features for all columns of X, so that its `transform` would refuse
    every X with a task column, and its message would name no cause.
    """
    frames = _stack()
    if not isinstance(frames[_caller(frames)].f_locals.get("self"), SelectFromModel):
        return
    name = type(estimator).__name__
    raise ValueError(
        f"SelectFromModel cannot select features of a {name} with "
        f"task_column={estimator.task_column!r}: it expects one coefficient per column "
        f"of X. Pass the labels by themselves: SelectFromModel({name}()).fit(X, y, "
        "tasks=labels), where X holds the features only."
    )


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
    for frame in _stack():
        if str(frame.f_globals.get("__name__")).startswith("sklearn."):
            for name in ("self", "ensemble"):
                _check(frame.f_locals.get(name), estimator, positions)


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
    return type(inner) is type(estimator) and inner.task_column == estimator.task_column
