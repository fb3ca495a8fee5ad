"""Display of the tasks that differ from the shared coefficients."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri
from sklearn.utils.validation import check_is_fitted

from skmeta._steps import final_estimator
from skmeta.inspection._shared import COLORS, check_meta, new_axes, place_legend

LEVEL, INTERCEPT = "level", "intercept"
GREY = "#8C8C8C"
LONGEST_LABEL = 28


@dataclass(kw_only=True, eq=False, repr=False)
class TaskEffectsDisplay:
    """Which tasks differ from the shared coefficients, in what, and how certainly.

    A dot is the estimated difference of a task. The line through it is the interval
    that contains the true difference with probability `coverage`. Tasks whose interval
    excludes zero are in colour. If there are many tasks, only the lowest and the
    highest are drawn.

    Parameters
    ----------
    labels : sequence of n_known labels
        The known tasks.
    effects : dict of str to ndarray of shape (n_known,)
        Difference of every task, for each quantity that is compared: 'level',
        'intercept' or the name of a feature. Each has a panel.
    stds : dict of str to ndarray of shape (n_known,)
        Standard deviations of these differences.
    coverage : float, default=0.9
        Probability of the intervals.
    n_tasks : int, default=20
        Number of tasks that are drawn in a panel, at most.
    target_name : str, default=None
        What the target is, with its unit, for the labels of the axes.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes (an array of them for several panels), and Figure
        Where it was drawn.
    points_, interval_lines_ : dict of str to matplotlib PathCollection, LineCollection
        The differences and their intervals, from the lowest task to the highest.
    zero_lines_ : dict of str to matplotlib Line2D
        The line at zero, where a task equals the shared coefficients.

    See Also
    --------
    skmeta.MixedEffectsRegressor.task_frame : The numbers, coefficient by coefficient.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from skmeta import MixedEffectsRegressor
    >>> from skmeta.datasets import make_task_regression
    >>> from skmeta.inspection import TaskEffectsDisplay
    >>> X, y, tasks = make_task_regression(n_tasks=50, random_state=0)
    >>> model = MixedEffectsRegressor().fit(X, y, tasks=tasks)
    >>> display = TaskEffectsDisplay.from_estimator(model, ax=Figure().subplots())
    >>> display.effects["level"].shape
    (50,)
    >>> len(display.points_["level"].get_offsets())
    20
    """

    labels: Sequence[Hashable]
    effects: Mapping[str, np.ndarray]
    stds: Mapping[str, np.ndarray]
    coverage: float = 0.9
    n_tasks: int = 20
    target_name: str | None = None

    @property
    def intervals(self) -> dict[str, np.ndarray]:
        """Lower and upper ends by panel, each of shape (n_known, 2)."""
        quantile = ndtri(0.5 + self.coverage / 2)
        return {
            name: np.column_stack([effect - half, effect + half])
            for name, effect in self.effects.items()
            for half in [quantile * self.stds[name]]
        }

    @property
    def is_distinct(self) -> dict[str, np.ndarray]:
        """Whether the interval of a task excludes zero, by panel."""
        return {
            name: (ends[:, 0] > 0) | (ends[:, 1] < 0)
            for name, ends in self.intervals.items()
        }

    @classmethod
    def from_estimator(
        cls,
        model: Any,
        *,
        feature: str | Sequence[str] | None = None,
        at: ArrayLike | None = None,
        n_tasks: int = 20,
        coverage: float = 0.9,
        target_name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Compare the known tasks with the shared coefficients, and draw them.

        Parameters
        ----------
        model : MixedEffectsRegressor
            The model, fitted to labelled tasks with `store_tasks=True`, or a pipeline
            that ends with one: `feature` and `at` are then transformed features.
        feature : str or sequence of str, default=None
            The quantities that are compared, one panel for each: the name of a feature,
            for its slope; 'intercept', the prediction where all features are zero,
            often far from any row; or 'level', the prediction at the features `at`.
            None: 'level'.
        at : array-like of shape (n_features,), default=None
            Features at which the level is compared. None: the mean features of the
            training rows, `feature_means_`, which a model without an intercept does not
            have.
        n_tasks : int, default=20
            Number of tasks that are drawn in a panel, >= 1: half of them with the
            lowest estimates and half with the highest.
        coverage : float, default=0.9
            Probability of the intervals, in (0, 1).
        target_name : str, default=None
            What the target is, with its unit, for the labels of the axes: 'sales in
            EUR'.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each panel. None: those of a new figure.

        Returns
        -------
        display : TaskEffectsDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the model has no `task_frame`.
        ValueError
            If it has no known tasks, or a parameter is invalid.
        """
        model = final_estimator(model)
        check_meta(model, "task_frame", "MixedEffectsRegressor")
        check_is_fitted(model)
        _check_numbers(coverage, n_tasks)
        frame = model.task_frame()
        if not len(frame):
            raise ValueError(
                f"This {type(model).__name__} has no known tasks: fit it with "
                "store_tasks=True and with task labels."
            )
        effects, stds = {}, {}
        for name in _check_names(feature, frame):
            if name == LEVEL:
                effects[name], stds[name] = _levels(model, frame, at)
            else:
                effects[name] = frame[name].to_numpy()
                stds[name] = frame[f"{name}_std"].to_numpy()
        display = cls(
            labels=frame.index.tolist(),
            effects=effects,
            stds=stds,
            coverage=coverage,
            n_tasks=int(n_tasks),
            target_name=target_name,
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw a panel for each quantity that is compared.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each panel. None: those of a new figure.

        Returns
        -------
        self : TaskEffectsDisplay
            The display.
        """
        n_panels = len(self.effects)
        panels = self._new_panels() if ax is None else np.ravel(np.asarray(ax, object))
        if len(panels) != n_panels:
            raise ValueError(
                f"ax must be {n_panels} Axes, one per panel. Got {len(panels)}."
            )
        self.ax_ = panels[0] if n_panels == 1 else panels
        self.figure_ = panels[0].figure
        self.points_: dict[str, Any] = {}
        self.interval_lines_: dict[str, Any] = {}
        self.zero_lines_: dict[str, Any] = {}
        for name, panel in zip(self.effects, panels, strict=True):
            self._plot_panel(name, panel)
        if ax is None:  # a legend takes its share of the final height
            self.figure_.get_layout_engine().execute(self.figure_)
        for name, panel in zip(self.effects, panels, strict=True):
            self._add_legend(name, panel)
        return self

    def _new_panels(self) -> np.ndarray:
        n_rows = min(self.n_tasks + 1, len(self.labels))
        n_panels = len(self.effects)
        width = 7.0 if n_panels == 1 else 4.8 * n_panels
        axes = new_axes(self, n_panels, (width, 1.9 + 0.22 * n_rows))
        return np.ravel(np.asarray(axes, object))

    def _shown(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """(tasks that are drawn individually, the tasks between them), ascending."""
        order = np.argsort(self.effects[name], kind="stable")
        if len(order) <= self.n_tasks:
            return order, order[:0]
        n_low = self.n_tasks // 2
        first_high = len(order) - (self.n_tasks - n_low)
        between = order[n_low:first_high]
        return np.append(order[:n_low], order[first_high:]), between

    def _plot_panel(self, name: str, ax: Any) -> None:
        effect, ends = self.effects[name], self.intervals[name]
        distinct = self.is_distinct[name]
        shown, between = self._shown(name)
        n_low = self.n_tasks // 2 if len(between) else len(shown)
        heights = np.arange(len(shown), dtype=np.float64)
        heights[n_low:] += 1  # the tasks between have a row
        colors = np.where(distinct[shown], COLORS[0], GREY)

        bottom, top = -0.8, heights[-1] + 0.8
        style = {"color": "black", "linewidth": 1, "zorder": 1}
        (self.zero_lines_[name],) = ax.plot([0.0, 0.0], [-0.5, top], **style)
        self.interval_lines_[name] = ax.hlines(
            heights, *ends[shown].T, colors=colors, linewidth=2, alpha=0.6, zorder=2
        )
        self.points_[name] = ax.scatter(
            effect[shown], heights, s=28, c=colors, linewidths=0, zorder=3
        )
        ticks, texts = heights.tolist(), [_text(self.labels[int(t)]) for t in shown]
        if len(between):
            ticks.insert(n_low, n_low)
            texts.insert(n_low, f"... {len(between)} between ...")
            style = {"color": GREY, "markersize": 6, "alpha": 0.5}
            ax.plot(effect[between], np.full(len(between), n_low), "|", **style)
        ax.set_yticks(ticks, labels=texts)
        ax.tick_params(axis="y", length=0)
        if len(between):
            ax.get_yticklabels()[n_low].set_color(GREY)
        ax.set_ylim(bottom, top)
        ax.grid(axis="x", color="0.9")
        ax.set_axisbelow(True)
        ax.spines[["top", "right", "left"]].set_visible(False)
        title, label = self._words(name)
        count = f"{distinct.sum()} of {len(effect)} tasks differ clearly"
        ax.set_title(f"{title}\n{count}", loc="left")
        ax.set_xlabel(label)

    def _words(self, name: str) -> tuple[str, str]:
        """Title and label of the horizontal axis."""
        unit = "" if self.target_name is None else f"\n({self.target_name})"
        if name == LEVEL:
            label = f"Difference from the shared level at equal features{unit}"
            return "Tasks above and below the shared level", label
        if name == INTERCEPT:
            label = f"Difference from the shared intercept{unit}"
            return "Intercept by task", label
        per = f"\n({self.target_name} per unit of {name})" if unit else ""
        label = f"Difference from the shared slope of {name}{per}"
        return f"Slope of {name} by task", label

    def _add_legend(self, name: str, ax: Any) -> None:
        distinct = self.is_distinct[name][self._shown(name)[0]]
        interval = f"{100 * self.coverage:g} % interval"
        kinds = [
            (COLORS[0], f"clear: {interval} excludes zero", distinct.any()),
            (GREY, f"unclear: {interval} includes zero", not distinct.all()),
        ]
        for color, label, occurs in kinds:
            if occurs:
                ax.plot([], [], "o-", color=color, markersize=5, label=label)
        place_legend(ax, "lower right")


def _check_numbers(coverage: Any, n_tasks: Any) -> None:
    if not 0 < coverage < 1:
        raise ValueError(f"coverage must be a probability in (0, 1). Got {coverage!r}.")
    if not isinstance(n_tasks, Integral) or n_tasks < 1:
        raise ValueError(f"n_tasks must be an integer >= 1. Got {n_tasks!r}.")


def _check_names(feature: str | Sequence[str] | None, frame: Any) -> list[str]:
    """The names of the panels, each once."""
    if feature is None:
        feature = LEVEL
    names = [feature] if isinstance(feature, str) else list(feature)
    known = [LEVEL, INTERCEPT]
    known += [name for name in frame if f"{name}_std" in frame and name != INTERCEPT]
    for name in names:
        if name not in known:
            raise ValueError(f"feature must be of {known}. Got {name!r}.")
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"feature must name at least one panel, and none twice. Got {feature!r}."
        )
    return names


def _levels(
    model: Any, frame: Any, at: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray]:
    """Differences of the predictions of known tasks at `at`, and their deviations."""
    if at is None and not model.fit_intercept:
        raise ValueError(
            "A model without an intercept does not store the mean features: pass at=, "
            "the features at which the level of tasks is compared."
        )
    place = np.asarray(model.feature_means_ if at is None else at, dtype=np.float64)
    if place.shape != (model.n_features_in_,) or not np.isfinite(place).all():
        raise ValueError(
            f"at must hold {model.n_features_in_} finite numbers, one per feature. Got "
            f"{at!r}."
        )
    slopes = [name for name in frame if f"{name}_std" in frame and name != INTERCEPT]
    effect = frame[slopes].to_numpy() @ place + frame[INTERCEPT].to_numpy()
    rows: Any = np.tile(place, (len(frame), 1))
    if hasattr(model, "feature_names_in_"):
        rows = type(frame)(rows, columns=model.feature_names_in_)
    by_label = copy(model).set_params(task_column=None)
    _, std = by_label.predict(rows, tasks=model.task_labels_, return_std=True)
    # `predict` adds the noise of a row to the uncertainty of the coefficients
    return effect, np.sqrt(np.maximum(std**2 - model.noise_variance_, 0.0))


def _text(label: Hashable) -> str:
    """A label as short plain text."""
    text = ", ".join(map(str, label)) if isinstance(label, tuple) else str(label)
    text = text.replace("$", r"\$")
    if len(text) > LONGEST_LABEL:
        return f"{text[: LONGEST_LABEL - 3]}..."
    return text
