"""The parameters of the tasks, drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.utils.extmath import svd_flip
from sklearn.utils.validation import check_is_fitted

from skmeta._steps import final_estimator
from skmeta.inspection._shared import COLORS, check_meta, new_axes, place_legend
from skmeta.metrics import task_similarity


@dataclass(kw_only=True, eq=False, repr=False)
class TaskSimilarityDisplay:
    """How similar the tasks are: their parameters around the shared initialization.

    The left panel shows the distances of the task parameters to their mean, with V, the
    root mean square, and D, the largest distance. Meta-learning helps if V is small
    compared with the norm of the parameters. The right panel shows the parameters in
    the plane of their first two principal axes, with the shared initialization, which
    should be among them.

    Parameters
    ----------
    distances : ndarray of shape (n_tasks,)
        Distance of every task parameter to the mean of all.
    V, D : float
        Root mean squared and largest distance.
    positions : ndarray of shape (n_tasks, 2)
        Coordinates of the task parameters along the principal axes, relative to the
        mean.
    initialization : ndarray of shape (2,)
        Coordinates of the shared initialization.
    explained_variance_ratio : ndarray of shape (2,)
        Share of V^2 that lies along each axis.

    Attributes
    ----------
    axes_, figure_ : ndarray of two matplotlib Axes, and Figure
        Where it was drawn.
    bars_, V_line_, D_line_ : matplotlib BarContainer and Line2D
        The histogram, and the lines at V and D.
    points_, initialization_ : matplotlib PathCollection
        The task parameters and the shared initialization.

    See Also
    --------
    skmeta.metrics.task_similarity : V and D of any parameters.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from skmeta import FMRLRegressor
    >>> from skmeta.datasets import make_task_regression
    >>> from skmeta.inspection import TaskSimilarityDisplay
    >>> X, y, tasks = make_task_regression(n_tasks=50, n_features=2, random_state=0)
    >>> model = FMRLRegressor().fit(X, y, tasks=tasks)
    >>> axes = Figure().subplots(1, 2)
    >>> display = TaskSimilarityDisplay.from_estimator(model, axes=axes)
    >>> display.positions.shape
    (50, 2)
    """

    distances: np.ndarray
    V: float
    D: float
    positions: np.ndarray
    initialization: np.ndarray
    explained_variance_ratio: np.ndarray

    @classmethod
    def from_estimator(cls, estimator: Any, *, axes: Any = None) -> Self:
        """Compare the parameters of the known tasks, and draw them.

        Parameters
        ----------
        estimator : meta-estimator
            A `FMRLClassifier`, `FMRLRegressor` or mixed-effects model, fitted to
            labelled tasks with `store_tasks=True`, or a pipeline that ends with one:
            its parameters refer to transformed features.
        axes : array-like of two matplotlib Axes, default=None
            Axes to draw on. None: those of a new figure.

        Returns
        -------
        display : TaskSimilarityDisplay
            The display, drawn. Distances include weights and intercepts of all outputs.

        Raises
        ------
        TypeError
            If the estimator is not a meta-estimator.
        ValueError
            If it has no known tasks.
        """
        estimator = final_estimator(estimator)
        check_meta(estimator, "adapt", "FMRLRegressor or MixedEffectsRegressor")
        check_is_fitted(estimator)
        n_tasks = len(estimator.task_labels_)
        if n_tasks == 0:
            raise ValueError(
                f"This {type(estimator).__name__} has no known tasks: fit it with "
                "store_tasks=True and with task labels."
            )
        parts = estimator.task_coef_, estimator.task_intercept_
        theta = np.hstack([part.reshape(n_tasks, -1) for part in parts])
        phi = np.concatenate([estimator.coef_.ravel(), estimator.intercept_.ravel()])
        V, D = task_similarity(theta)
        mean = theta.mean(axis=0)
        U, spread, directions = np.linalg.svd(theta - mean, full_matrices=False)
        # signs that do not depend on the solver
        _, directions = svd_flip(U, directions, u_based_decision=False)
        # a single task has no second axis
        plane, share = np.zeros((2, theta.shape[1])), np.zeros(2)
        plane[: len(spread)] = directions[:2]
        share[: len(spread)] = spread[:2] ** 2 / (spread @ spread or 1.0)
        display = cls(
            distances=np.linalg.norm(theta - mean, axis=1),
            V=V,
            D=D,
            positions=(theta - mean) @ plane.T,
            initialization=plane @ (phi - mean),
            explained_variance_ratio=share,
        )
        return display.plot(axes)

    def plot(self, axes: Any = None) -> Self:
        """Draw the histogram and the plane of the principal axes.

        Parameters
        ----------
        axes : array-like of two matplotlib Axes, default=None
            Axes to draw on. None: those of a new figure.

        Returns
        -------
        self : TaskSimilarityDisplay
            The display.
        """
        axes = self.axes_ = new_axes(self, 2) if axes is None else np.ravel(axes)
        if len(axes) != 2:
            raise ValueError(f"axes must be two Axes. Got {len(axes)}.")
        self.figure_ = axes[0].figure
        self._plot_distances(axes[0])
        self._plot_plane(axes[1])
        return self

    def _plot_distances(self, ax: Any) -> None:
        from matplotlib.ticker import MaxNLocator

        n_bins = int(np.clip(np.sqrt(len(self.distances)), 5, 30))
        style = {"color": COLORS[5], "edgecolor": "white", "linewidth": 0.5}
        counts, _, self.bars_ = ax.hist(self.distances, bins=n_bins, **style)
        height = [0, counts.max()]
        label = f"V = {self.V:.3g} (root mean square)"
        (self.V_line_,) = ax.plot([self.V] * 2, height, color=COLORS[0], label=label)
        label, style = f"D = {self.D:.3g} (largest)", {"color": COLORS[1], "ls": "--"}
        (self.D_line_,) = ax.plot([self.D] * 2, height, label=label, **style)
        ax.set(xlabel="Distance to the mean of the tasks", ylabel="Tasks")
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlim(left=0)
        place_legend(ax, "upper left")

    def _plot_plane(self, ax: Any) -> None:
        style = {"s": 25, "color": COLORS[0], "alpha": 0.5, "linewidths": 0}
        self.points_ = ax.scatter(*self.positions.T, label="tasks", **style)
        style = {"s": 160, "color": COLORS[1], "edgecolor": "black", "marker": "*"}
        self.initialization_ = ax.scatter(
            *self.initialization, label="shared initialization", **style
        )
        ax.scatter(0, 0, s=90, color="black", marker="+", label="mean of the tasks")
        first, second = (f"{share:.0%}" for share in self.explained_variance_ratio)
        ax.set(
            xlabel=f"Principal axis 1 ({first} of variance)",
            ylabel=f"Principal axis 2 ({second} of variance)",
        )
        shown = np.vstack([self.positions, self.initialization])
        reach = 1.1 * np.abs(shown).max(axis=0)
        width, height = np.maximum(reach, 1e-3 * reach.max() or 1.0)
        ax.set_ylim(-height, height)
        place_legend(ax, "upper left")
        # equal scales that fill the axes
        ratio = ax.bbox.width / ax.bbox.height
        low, high = ax.get_ylim()
        width = max(width, (high - low) / 2 * ratio)
        more = width / ratio - (high - low) / 2
        ax.set_ylim(low - more, high + more)
        ax.set_xlim(-width, width)
        ax.set_aspect("equal")
