"""What the displays share: tasks as row numbers, colours, axes and legends.

matplotlib is imported inside the functions that draw, never with the module.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import indexable
from sklearn.utils.validation import column_or_1d

from skmeta._labels import check_labels, group_rows, split_labels

# The palette of Okabe and Ito, which colour-blind readers can tell apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def check_meta(estimator: Any, method: str, such_as: str) -> None:
    """Raise an error if the estimator lacks the method that a display calls.

    Raises
    ------
    TypeError
        If it does. The message names the method, and estimators that have it.
    """
    attribute = getattr(estimator, method, None)
    if callable(attribute) and not getattr(attribute, "__isabstractmethod__", False):
        return
    raise TypeError(
        f"{type(estimator).__name__} has no method {method!r}: pass a meta-estimator, "
        f"such as {such_as}. Got {estimator!r}."
    )


def split_tasks(
    estimator: Any, X: Any, y: ArrayLike, tasks: ArrayLike | None
) -> tuple[Any, Any, np.ndarray, list[np.ndarray]]:
    """(estimator without task column, features, targets, row numbers of every task)."""
    X, labels, model = X, tasks, estimator
    column = getattr(estimator, "task_column", None)
    if column is not None:
        X, labels = split_labels(X, tasks, column)
        model = copy(estimator).set_params(task_column=None)
    X = np.asarray(X) if isinstance(X, list | tuple) else X
    X, targets = indexable(X, column_or_1d(y))
    labels = None if labels is None else check_labels(labels, len(targets))
    _, starts, order = group_rows(labels, len(targets))
    rows = np.arange(len(targets)) if order is None else order[0]
    return model, X, targets, np.split(rows, starts[1:-1])


def long_enough(
    rows: Sequence[np.ndarray], n_rows: int
) -> tuple[list[np.ndarray], int]:
    """(row numbers of the tasks that have at least `n_rows`, number of the others)."""
    long_tasks = [task for task in rows if len(task) >= n_rows]
    if not long_tasks:
        raise ValueError(
            f"No task has the {n_rows} rows that are needed; the longest has "
            f"{max(map(len, rows))}. Choose smaller numbers."
        )
    return long_tasks, len(rows) - len(long_tasks)


def check_counts(values: Iterable[int], name: str, least: int) -> np.ndarray:
    """Distinct integers in ascending order."""
    counts = np.unique(list(values))
    if counts.dtype.kind not in "iu" or counts[0] < least:
        raise ValueError(f"{name} must be integers >= {least}. Got {values!r}.")
    return counts


def new_axes(
    display: Any, n_panels: int = 1, size: tuple[float, float] | None = None
) -> Any:
    """Axes of a new figure: one, or an array of `n_panels` side by side."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{type(display).__name__} needs matplotlib to draw. Install it, for "
            "instance with `pip install matplotlib`."
        ) from error
    if size is None:
        size = 6.4 if n_panels == 1 else 5 * n_panels, 4.4
    return plt.subplots(1, n_panels, figsize=size, layout="constrained")[1]


def fresh_colors(ax: Any, n: int) -> list[str]:
    """Colours of `n` lines; colours that no line on the axes has come first."""
    used = [line.get_color() for line in ax.lines]
    colors = sorted(COLORS, key=used.__contains__)
    return [colors[i % len(colors)] for i in range(n)]


def marker(x: Sequence[float] | np.ndarray) -> str | None:
    """The marker of points: none if there are many."""
    return "o" if len(x) <= 12 else None


def place_legend(ax: Any, loc: str) -> None:
    """A legend that covers no data: the view is extended by its height."""
    legend = ax.legend(loc=loc, ncols=2)
    if legend.get_window_extent().width > 0.95 * ax.bbox.width:
        legend = ax.legend(loc=loc)
    share = min(legend.get_window_extent().height / ax.bbox.height + 0.03, 0.6)
    transform = ax.yaxis.get_transform()
    low, high = transform.transform(ax.get_ylim())
    height = (high - low) * share / (1.0 - share)
    view = (low, high + height) if loc.startswith("upper") else (low - height, high)
    ax.set_ylim(transform.inverted().transform(view))
