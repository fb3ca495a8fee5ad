"""What the displays share: tasks as row numbers, colours, axes and legends.

matplotlib is imported where something is drawn, never with the module.
"""

from copy import copy

import numpy as np
from sklearn.utils import indexable
from sklearn.utils.validation import column_or_1d

from skmeta._tasks import check_labels, group_rows
from skmeta.fmrl import FMRLClassifier, FMRLRegressor

# The palette of Okabe and Ito, which the colour-blind can tell apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def check_meta(estimator):
    if isinstance(estimator, FMRLClassifier | FMRLRegressor):
        return estimator
    raise TypeError(
        f"estimator must be an FMRLClassifier or an FMRLRegressor. Got {estimator!r} "
        "instead."
    )


def split_tasks(estimator, X, y, tasks):
    """(estimator without task column, features, targets, row numbers of every task)."""
    X, labels = check_meta(estimator)._split_labels(X, tasks)
    X = np.asarray(X) if isinstance(X, list | tuple) else X
    X, y = indexable(X, column_or_1d(y))
    labels = None if labels is None else check_labels(labels, len(y))
    _, starts, order = group_rows(labels, len(y))
    rows = np.arange(len(y)) if order is None else order[0]
    model = copy(estimator).set_params(task_column=None)
    return model, X, y, np.split(rows, starts[1:-1])


def take(X, rows):
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def long_enough(rows, n_rows):
    """(row numbers of the tasks that have at least `n_rows`, number of the others)."""
    kept = [task for task in rows if len(task) >= n_rows]
    if not kept:
        raise ValueError(
            f"No task has the {n_rows} rows that are needed; the longest has "
            f"{max(map(len, rows))}. Ask for fewer."
        )
    return kept, len(rows) - len(kept)


def check_counts(values, name, least):
    """Distinct integers in ascending order."""
    counts = np.unique(list(values))
    if counts.dtype.kind not in "iu" or counts[0] < least:
        raise ValueError(f"{name} must be integers >= {least}. Got {values!r}.")
    return counts


def new_axes(display, n_panels=1):
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{type(display).__name__} needs matplotlib to draw. Install it, for "
            "instance with `pip install matplotlib`."
        ) from error
    size = 6.4 if n_panels == 1 else 5 * n_panels, 4.4
    return plt.subplots(1, n_panels, figsize=size, layout="constrained")[1]


def fresh_colors(ax, n):
    """Colours of `n` lines, those first that no line on the axes has."""
    used = [line.get_color() for line in ax.lines]
    colors = sorted(COLORS, key=used.__contains__)
    return [colors[i % len(colors)] for i in range(n)]


def marker(x):
    """Points are marked where they are few."""
    return "o" if len(x) <= 12 else None


def place_legend(ax, loc):
    """A legend that covers no data: the view is extended by its height."""
    legend = ax.legend(loc=loc, ncols=2)
    if legend.get_window_extent().width > 0.95 * ax.bbox.width:
        legend = ax.legend(loc=loc)
    share = min(legend.get_window_extent().height / ax.bbox.height + 0.03, 0.6)
    transform = ax.yaxis.get_transform()
    low, high = transform.transform(ax.get_ylim())
    room = (high - low) * share / (1.0 - share)
    view = (low, high + room) if loc.startswith("upper") else (low - room, high)
    ax.set_ylim(transform.inverted().transform(view))
