"""What the tests of the displays share: tasks, and what a figure shows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.linear_model import OGDClassifier, OGDRegressor

MSE = "neg_mean_squared_error"
# A ball is one of raw parameters.
CLASSIFIER = FMRLClassifier(
    OGDClassifier("squared_hinge", radius=1.0), standardize=False
)
UNCOVERED = FMRLRegressor(
    OGDRegressor(radius=1.0), step_size="per_coordinate", standardize=False
)


def interleaved_tasks():
    """Interleaved tasks of 4 to 9 rows."""
    return make_task_regression(
        n_tasks=12, n_samples=(4, 9), n_features=3, shuffle=True, random_state=0
    )


def equal_tasks():
    return make_task_regression(n_tasks=15, n_samples=12, random_state=1)


def class_tasks():
    return make_task_classification(
        n_tasks=6, n_samples=8, n_features=2, n_classes=3, random_state=0
    )


def running_mean(values):
    return [np.mean(values[:t]) for t in range(1, len(values) + 1)]


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def as_frame(X, tasks):
    """The same tasks with their labels in a column."""
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    frame.insert(1, "site", tasks)
    return frame


def covered_by_legend(ax):
    """Points of lines, and bars and scattered points, that lie under the legend."""
    box = ax.get_legend().get_window_extent()
    points = [np.empty((0, 2))]
    for line in ax.lines:
        drawn = line.get_transform().transform_path(line.get_path())
        if len(drawn.vertices):
            points += [drawn.interpolated(50).vertices]
    for dots in ax.collections:
        if len(dots.get_offsets()):
            points += [dots.get_offset_transform().transform(dots.get_offsets())]
    for bar in ax.patches:
        points += [bar.get_window_extent().corners()]
    points = np.vstack(points)
    return ((points > box.min) & (points < box.max)).all(axis=1).sum()


def shown_ticks(axis):
    low, high = axis.get_view_interval()
    labels = axis.get_ticklabels(which="both")
    here = [label.get_position()["xy".index(axis.axis_name)] for label in labels]
    return [
        label.get_text()
        for label, place in zip(labels, here, strict=True)
        if low <= place <= high
    ]
