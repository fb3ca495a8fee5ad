"""Regret and its certificate, drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone, is_classifier

from skmeta._sklearn import take
from skmeta._steps import last_step
from skmeta.inspection._shared import (
    check_counts,
    check_meta,
    fresh_colors,
    long_enough,
    marker,
    new_axes,
    place_legend,
    split_tasks,
)
from skmeta.metrics import RegretReport, regret_report

# What a baseline changes in the estimator, given the mean of the tasks' optima.
_BASELINES: dict[str, Callable[[np.ndarray], dict[str, Any]]] = {
    "single_task": lambda best: {"meta_step_size": 0.0},
    "strawman": lambda best: {"meta_step_size": 1.0},
    "omniscient": lambda best: {"meta_step_size": 0.0, "init": best},
}

_LABELS = {"single_task": "single-task"}


@dataclass(kw_only=True, eq=False, repr=False)
class RegretDisplay:
    """Task-averaged regret and its certificate, from `skmeta.metrics.regret_report`.

    They are drawn against the number of tasks seen (`from_estimator`, `from_reports`),
    where a better shared initialization lowers the curve, or against the number of
    samples per task (`from_sample_sizes`).

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        Numbers of tasks, or of samples per task.
    regret : dict of str to ndarray of shape (n_points,)
        Task-averaged regret of every series, by name, in the order of the legend.
    certificate : dict of str to ndarray of shape (n_points,), default=None
        The bound (G2) on the regret, for any of these names.
    x_label : str, default="Tasks seen"
        What `x` is.
    n_left_out : int, default=0
        Number of tasks left out because they are too short.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it was drawn.
    lines_, certificate_lines_ : dict of str to matplotlib Line2D
        The regrets, and the certificates that are drawn.

    See Also
    --------
    skmeta.metrics.regret_report : The numbers, task by task.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from skmeta import FMRLRegressor
    >>> from skmeta.datasets import make_task_regression
    >>> from skmeta.inspection import RegretDisplay
    >>> X, y, tasks = make_task_regression(n_tasks=20, random_state=0)
    >>> display = RegretDisplay.from_estimator(
    ...     FMRLRegressor(), X, y, tasks, ax=Figure().subplots()
    ... )
    >>> list(display.regret)
    ['FMRLRegressor', 'single_task', 'strawman', 'omniscient']
    >>> bool(display.regret["FMRLRegressor"][-1] < display.regret["single_task"][-1])
    True
    """

    x: np.ndarray
    regret: Mapping[str, np.ndarray]
    certificate: Mapping[str, np.ndarray] | None = None
    x_label: str = "Tasks seen"
    n_left_out: int = 0

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        tasks: ArrayLike | None = None,
        *,
        baselines: Iterable[str] | None = None,
        ax: Any = None,
    ) -> Self:
        """Learn the tasks once more, and draw regret against tasks seen.

        Parameters
        ----------
        estimator : meta-estimator or pipeline
            As in :func:`skmeta.metrics.regret_report`. It need not be fitted, and is
            not changed.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features of all tasks.
        y : array-like of shape (n_samples,)
            Targets.
        tasks : array-like of shape (n_samples,), default=None
            Task labels; None if the estimator has a `task_column`.
        baselines : iterable of {'single_task', 'strawman', 'omniscient'}, default=None
            The same estimator, including its step size, with another initialization:
            one that never moves ('single_task'), the parameter of the previous task
            ('strawman'), or the mean of the tasks' optima, which no learner can know
            beforehand ('omniscient'). Each baseline learns all tasks once more, and is
            compared with the same optima. None: all three for an estimator with a
            `meta_step_size`, none for others.
        ax : matplotlib Axes, default=None
            Axes to draw on. None: those of a new figure.

        Returns
        -------
        display : RegretDisplay
            The display, drawn. There is no certificate where the bound does not apply:
            see `covered` of :class:`skmeta.metrics.RegretReport`.

        Raises
        ------
        TypeError
            If the estimator has no `replay`.
        ValueError
            If a task cannot be learned from, or if baselines are given for an estimator
            without a `meta_step_size`.
        """
        estimator, X, tasks = last_step(estimator, X, y, tasks)
        if baselines is None:
            baselines = _BASELINES if _has_baselines(estimator) else ()
        return cls.from_reports(_replay(estimator, X, y, tasks, baselines), ax=ax)

    @classmethod
    def from_reports(
        cls, reports: Mapping[str, RegretReport], *, ax: Any = None
    ) -> Self:
        """Draw regret against tasks seen, from reports on the same tasks.

        Parameters
        ----------
        reports : dict of str to RegretReport
            Results of :func:`skmeta.metrics.regret_report`, by name.
        ax : matplotlib Axes, default=None
            Axes to draw on. None: those of a new figure.

        Returns
        -------
        display : RegretDisplay
            The display, drawn. A report that is not `covered` has no certificate.
        """
        labels = [report.labels for report in reports.values()]
        if not labels or any(other != labels[0] for other in labels):
            raise ValueError(
                "reports must contain at least one report, and all must be about the "
                "same tasks in the same order: make them from the same data."
            )
        x = np.arange(1, len(labels[0]) + 1)
        covered = {name: one for name, one in reports.items() if one.covered}
        display = cls(
            x=x,
            regret={name: np.cumsum(one.regret) / x for name, one in reports.items()},
            certificate={
                name: np.cumsum(one.bound) / x for name, one in covered.items()
            },
        )
        return display.plot(ax)

    @classmethod
    def from_sample_sizes(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        tasks: ArrayLike | None = None,
        *,
        n_samples: Iterable[int] | None = None,
        baselines: Iterable[str] | None = None,
        ax: Any = None,
    ) -> Self:
        """Learn tasks cut to their first rows, and draw regret against their length.

        Parameters
        ----------
        estimator, X, y, tasks : see `from_estimator`
            The meta-estimator and the tasks.
        n_samples : iterable of int, default=None
            Numbers of rows of every task that are used, >= 1. Tasks with fewer rows
            than the largest of these numbers are left out, and counted in `n_left_out`.
            None: the powers of two up to the length of the shortest task.
        baselines, ax : see `from_estimator`
            Every baseline learns the tasks once for every number of samples. None:
            'single_task' for an estimator with a `meta_step_size`, none for others.

        Returns
        -------
        display : RegretDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no `replay`.
        ValueError
            If no task is long enough, if a class does not occur in the first rows of
            any task, or as in `from_estimator`.
        """
        estimator, X, tasks = last_step(estimator, X, y, tasks)
        _check_replay(estimator)
        model, X, y, rows = split_tasks(estimator, X, y, tasks)
        if n_samples is None:
            n_samples = 2 ** np.arange(min(map(len, rows)).bit_length())
        sizes = check_counts(n_samples, "n_samples", 1)
        rows, n_left_out = long_enough(rows, sizes[-1])
        if baselines is None:
            baselines = ("single_task",) if _has_baselines(model) else ()
        baselines = tuple(baselines)
        regret: dict[str, list[float]] = defaultdict(list)
        certificate: dict[str, list[float]] = defaultdict(list)
        for size in sizes:
            head = np.concatenate([task[:size] for task in rows])
            if is_classifier(model) and len(np.unique(y[head])) < len(np.unique(y)):
                raise ValueError(
                    f"Not every class occurs in the first {size} rows of the tasks: "
                    "start n_samples at a larger number."
                )
            data = take(X, head), y[head], np.repeat(np.arange(len(rows)), size)
            for name, report in _replay(model, *data, baselines).items():
                regret[name].append(report.task_averaged_regret)
                if report.covered:
                    certificate[name].append(report.certificate)
        display = cls(
            x=sizes,
            regret={name: np.array(values) for name, values in regret.items()},
            certificate={
                name: np.array(values) for name, values in certificate.items()
            },
            x_label="Samples per task",
            n_left_out=n_left_out,
        )
        return display.plot(ax)

    def plot(
        self, ax: Any = None, *, certificates: Iterable[str] | None = None
    ) -> Self:
        """Draw the series, on logarithmic scales where all regrets are positive.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None: those of a new figure.
        certificates : iterable of str, default=None
            Names of the series whose certificates are drawn. None: the first series, if
            it has one.

        Returns
        -------
        self : RegretDisplay
            The display.
        """
        bounds = self.certificate or {}
        first = [name for name in list(self.regret)[:1] if name in bounds]
        drawn = first if certificates is None else list(certificates)
        if not bounds.keys() >= set(drawn):
            raise ValueError(f"certificates must be of {list(bounds)}. Got {drawn}.")
        ax = self.ax_ = new_axes(self) if ax is None else ax
        self.figure_ = ax.figure
        self.lines_: dict[str, Any] = {}
        self.certificate_lines_: dict[str, Any] = {}
        colors = fresh_colors(ax, len(self.regret))
        for (name, values), color in zip(self.regret.items(), colors, strict=True):
            style = {"color": color, "marker": marker(self.x), "markersize": 4}
            label, width = _LABELS.get(name, name), 1.5 if self.lines_ else 2.5
            (line,) = ax.plot(self.x, values, label=label, linewidth=width, **style)
            self.lines_[name] = line
            if name in drawn:
                label = f"certificate, {label}"
                (line,) = ax.plot(self.x, bounds[name], "--", label=label, **style)
                self.certificate_lines_[name] = line
        ax.set(xlabel=self.x_label, ylabel="Task-averaged regret", xscale="log")
        heights = np.concatenate([line.get_ydata() for line in ax.lines])
        ax.set_yscale("log" if (heights > 0).all() else "linear")
        ax.autoscale(axis="y")
        place_legend(ax, "upper right")
        _label_decades(ax.xaxis, integer=True)
        _label_decades(ax.yaxis)
        return self


def _check_replay(estimator: Any) -> None:
    check_meta(estimator, "replay", "FMRLRegressor or MixedEffectsRegressor")


def _has_baselines(estimator: Any) -> bool:
    _check_replay(estimator)
    return "meta_step_size" in estimator.get_params(deep=False)


def _replay(
    estimator: Any, X: Any, y: ArrayLike, tasks: Any, baselines: Iterable[str]
) -> dict[str, RegretReport]:
    """Reports by name: of the estimator first, then of the baselines."""
    _check_replay(estimator)
    name, baselines = type(estimator).__name__, list(baselines)
    if not _BASELINES.keys() >= set(baselines):
        raise ValueError(f"baselines must be of {list(_BASELINES)}. Got {baselines}.")
    if baselines and not _has_baselines(estimator):
        raise ValueError(
            f"The baselines {baselines} change meta_step_size, which {name} does not "
            "have. Pass baselines=()."
        )
    reports = {name: regret_report(estimator, X, y, tasks)}
    optima = reports[name].optima
    for baseline in baselines:
        params = _BASELINES[baseline](optima.mean(axis=0))
        changed = clone(estimator).set_params(**params)
        reports[baseline] = regret_report(changed, X, y, tasks, optima=optima)
    return reports


def _label_decades(axis: Any, integer: bool = False) -> None:
    """Plain numbers at round values of a logarithmic axis."""
    from matplotlib import ticker

    if axis.get_scale() != "log":
        return
    low, high = axis.get_view_interval()
    locator: ticker.Locator = ticker.MaxNLocator(6, integer=integer)
    if high > 10 * low:
        subs = (1.0, 2.0, 5.0) if high < 500 * low else (1.0,)
        locator = ticker.LogLocator(subs=subs, numticks=20)
    axis.set_major_locator(locator)
    axis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(ticker.NullLocator())
