"""Pictures of what was learned and of what is guaranteed.

A display holds numbers, and `plot` draws them; matplotlib is imported there.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.utils import indexable
from sklearn.utils.extmath import svd_flip
from sklearn.utils.validation import check_is_fitted, column_or_1d

from skmeta._tasks import check_labels, group_rows
from skmeta.fmrl import FMRLClassifier, FMRLRegressor
from skmeta.metrics import RegretReport, regret_report, task_similarity

__all__ = ["FewShotDisplay", "RegretDisplay", "TaskSimilarityDisplay"]

# The palette of Okabe and Ito, which the colour-blind can tell apart.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

# What a baseline changes in the estimator, given the mean of the tasks' optima.
_BASELINES: dict[str, Callable] = {
    "single_task": lambda best: {"meta_eta0": 0.0},
    "strawman": lambda best: {"meta_eta0": 1.0},
    "omniscient": lambda best: {"meta_eta0": 0.0, "init": best},
}
_LABELS = {"single_task": "single-task"}


@dataclass(kw_only=True, eq=False, repr=False)
class RegretDisplay:
    """Task-averaged regret and its certificate, as of `skmeta.metrics.regret_report`.

    Against the number of tasks seen (`from_estimator`, `from_reports`), where a better
    shared initialization lowers the curve; or against the number of samples per task
    (`from_sample_sizes`).

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        Numbers of tasks, or of samples per task.
    regret : dict of str to ndarray of shape (n_points,)
        Task-averaged regret of every series, by name, in the order of the legend.
    certificate : dict of str to ndarray of shape (n_points,), default=None
        The bound on it, (G2), for any of these names.
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
        baselines: Iterable[str] = tuple(_BASELINES),
        ax: Any = None,
    ) -> Self:
        """Replay the learning of tasks, and draw regret against tasks seen.

        Parameters
        ----------
        estimator : FMRLClassifier or FMRLRegressor
            The meta-estimator, with an inner learner of :mod:`skmeta.linear_model`. It
            need not be fitted, and is left untouched.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features of all tasks.
        y : array-like of shape (n_samples,)
            Targets.
        tasks : array-like of shape (n_samples,), default=None
            Task labels; None if the estimator has a `task_column`.
        baselines : iterable of {'single_task', 'strawman', 'omniscient'}, \
                default=('single_task', 'strawman', 'omniscient')
            The same estimator, its step-size rule included, but its initialization
            never moves; or every task starts from the parameter of the last one; or at
            the mean of the tasks' optima, which no learner can know beforehand. Each
            replays all tasks once more.
        ax : matplotlib Axes, default=None
            Axes to draw on. None: those of a new figure.

        Returns
        -------
        display : RegretDisplay
            The display, drawn. There is no certificate where the bound does not apply:
            see `covered` of :class:`skmeta.metrics.RegretReport`.

        Raises
        ------
        ValueError
            If a task cannot be learned from, or has no optimum: the log loss of
            separable classes without a radius.
        """
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
                "reports must hold at least one report, and all must be about the same "
                "tasks in the same order: make them from the same data."
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
        baselines: Iterable[str] = ("single_task",),
        ax: Any = None,
    ) -> Self:
        """Replay tasks cut to their first rows, and draw regret against their length.

        Parameters
        ----------
        estimator, X, y, tasks : see `from_estimator`
            The meta-estimator and the tasks.
        n_samples : iterable of int, default=None
            Numbers of rows that are used of every task, >= 1. Tasks with fewer rows
            than the largest of them are left out throughout, and counted in
            `n_left_out`. None: the powers of two up to the length of the shortest task.
        baselines, ax : see `from_estimator`
            The tasks are replayed by every baseline for every number of samples.

        Returns
        -------
        display : RegretDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If no task is long enough, if a class does not occur in the first rows of
            any task, or as in `from_estimator`.
        """
        model, X, y, rows = _split_tasks(estimator, X, y, tasks)
        if n_samples is None:
            n_samples = 2 ** np.arange(min(map(len, rows)).bit_length())
        sizes = _check_counts(n_samples, "n_samples", 1)
        rows, n_left_out = _long_enough(rows, sizes[-1])
        baselines = tuple(baselines)
        regret, certificate = defaultdict(list), defaultdict(list)
        for size in sizes:
            head = np.concatenate([task[:size] for task in rows])
            if is_classifier(model) and len(np.unique(y[head])) < len(np.unique(y)):
                raise ValueError(
                    f"Not every class occurs in the first {size} rows of the tasks: "
                    "start n_samples at a larger number."
                )
            data = _take(X, head), y[head], np.repeat(np.arange(len(rows)), size)
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
        held = self.certificate or {}
        first = [name for name in list(self.regret)[:1] if name in held]
        drawn = first if certificates is None else list(certificates)
        if not held.keys() >= set(drawn):
            raise ValueError(f"certificates must be of {list(held)}. Got {drawn}.")
        ax = self.ax_ = _new_axes(self) if ax is None else ax
        self.figure_ = ax.figure
        self.lines_, self.certificate_lines_ = {}, {}
        colors = _fresh_colors(ax, len(self.regret))
        for (name, values), color in zip(self.regret.items(), colors, strict=True):
            style = {"color": color, "marker": _marker(self.x), "markersize": 4}
            label, width = _LABELS.get(name, name), 1.5 if self.lines_ else 2.5
            (line,) = ax.plot(self.x, values, label=label, linewidth=width, **style)
            self.lines_[name] = line
            if name in drawn:
                label = f"certificate, {label}"
                (line,) = ax.plot(self.x, held[name], "--", label=label, **style)
                self.certificate_lines_[name] = line
        ax.set(xlabel=self.x_label, ylabel="Task-averaged regret", xscale="log")
        heights = np.concatenate([line.get_ydata() for line in ax.lines])
        ax.set_yscale("log" if (heights > 0).all() else "linear")
        ax.autoscale(axis="y")
        _place_legend(ax, "upper right")
        _label_decades(ax.xaxis, integer=True)
        _label_decades(ax.yaxis)
        return self


@dataclass(kw_only=True, eq=False, repr=False)
class FewShotDisplay:
    """Score on unseen tasks against the number of shots, the rows adapted to.

    All numbers of shots are scored on the same rows of a task, those after the largest
    number.

    Parameters
    ----------
    n_shots : ndarray of shape (n_points,)
        Numbers of shots, ascending.
    scores : ndarray of shape (n_tasks, n_points)
        Score of every task.
    baselines : dict of str to ndarray of shape (n_tasks,), default=None
        Scores of estimators that do not adapt, by name.
    score_name : str, default="score"
        What the scores are.
    label : str, default=None
        What the legend calls the estimator.
    n_left_out : int, default=0
        Number of tasks left out because they are too short.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it was drawn.
    line_, band_ : matplotlib Line2D and PolyCollection
        The mean scores, and one standard error on both sides.
    baseline_lines_ : dict of str to matplotlib Line2D
        The mean scores of the baselines.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from skmeta import FMRLRegressor
    >>> from skmeta.datasets import make_task_regression
    >>> from skmeta.inspection import FewShotDisplay
    >>> X, y, tasks = make_task_regression(n_tasks=60, n_samples=20, random_state=0)
    >>> seen = tasks < 40
    >>> model = FMRLRegressor().fit(X[seen], y[seen], tasks=tasks[seen])
    >>> display = FewShotDisplay.from_estimator(
    ...     model, X[~seen], y[~seen], tasks[~seen],
    ...     scoring="neg_mean_squared_error", ax=Figure().subplots(),
    ... )
    >>> display.scores.shape
    (20, 5)
    >>> bool(display.mean_score[-1] > display.mean_score[0])
    True
    """

    n_shots: np.ndarray
    scores: np.ndarray
    baselines: Mapping[str, np.ndarray] | None = None
    score_name: str = "score"
    label: str | None = None
    n_left_out: int = 0

    @property
    def mean_score(self) -> np.ndarray:
        """Mean over the tasks, of shape (n_points,)."""
        return self.scores.mean(axis=0)

    @property
    def standard_error(self) -> np.ndarray:
        """Standard error of the mean, of shape (n_points,); NaN for a single task."""
        n_tasks, n_points = self.scores.shape
        if n_tasks == 1:
            return np.full(n_points, np.nan)
        return self.scores.std(axis=0, ddof=1) / np.sqrt(n_tasks)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        tasks: ArrayLike | None = None,
        *,
        n_shots: Iterable[int] = (0, 1, 2, 4, 8),
        scoring: str | Callable | None = None,
        baselines: Mapping[str, Any] | None = None,
        label: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Adapt to the first rows of every task, score on its last rows, and draw.

        Parameters
        ----------
        estimator : FMRLClassifier or FMRLRegressor
            The fitted meta-estimator; it is left untouched.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features of tasks that the estimator has not learned from.
        y : array-like of shape (n_samples,)
            Targets.
        tasks : array-like of shape (n_samples,), default=None
            Task labels; None if the estimator has a `task_column`. Every task starts
            from the shared initialization, whether its label is known or not.
        n_shots : iterable of int, default=(0, 1, 2, 4, 8)
            Numbers of shots, >= 0; 0 is the shared initialization itself. Tasks without
            a row after the largest number are left out, and counted in `n_left_out`.
        scoring : str or callable, default=None
            A name such as 'neg_mean_squared_error' or 'accuracy', or a function of
            (estimator, X, y). None: the accuracy or R^2 of `score`. R^2 is relative to
            the spread of the few rows scored in a task, and needs two of them.
        baselines : dict of str to fitted estimator, default=None
            Estimators that do not adapt, by name, scored on the same rows; they are
            given the features only.
        label : str, default=None
            What the legend calls the estimator. None: the name of its class.
        ax : matplotlib Axes, default=None
            Axes to draw on, which may hold other displays. None: those of a new figure.

        Returns
        -------
        display : FewShotDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If no task is long enough, a task cannot be learned from, or a score is NaN
            or infinite.
        """
        model, X, y, rows = _split_tasks(estimator, X, y, tasks)
        shots = _check_counts(n_shots, "n_shots", 0)
        rows, n_left_out = _long_enough(rows, shots[-1] + 1)
        scorer, baselines = check_scoring(model, scoring=scoring), dict(baselines or {})
        scores = np.empty((len(rows), len(shots) + len(baselines)))
        for i, task in enumerate(rows):
            query = _take(X, task[shots[-1] :]), y[task[shots[-1] :]]
            adapted = (
                model.adapt(_take(X, task[:k]), y[task[:k]]) if k else model
                for k in shots
            )
            scores[i] = [scorer(one, *query) for one in (*adapted, *baselines.values())]
        if not np.isfinite(scores).all():
            raise ValueError(
                "The scores of some tasks are NaN or infinite on the rows after the "
                f"first {shots[-1]}: choose another scoring, or fewer shots."
            )
        display = cls(
            n_shots=shots,
            scores=scores[:, : len(shots)],
            baselines=dict(zip(baselines, scores[:, len(shots) :].T, strict=True)),
            score_name=_score_name(scoring, model),
            label=type(estimator).__name__ if label is None else label,
            n_left_out=n_left_out,
        )
        return display.plot(ax)

    def plot(self, ax: Any = None, *, label: str | None = None) -> Self:
        """Draw the mean scores, with a band of one standard error.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on, which may hold other displays. None: those of a new figure.
        label : str, default=None
            What the legend calls the estimator. None: `label` of the display.

        Returns
        -------
        self : FewShotDisplay
            The display.
        """
        ax = self.ax_ = _new_axes(self) if ax is None else ax
        self.figure_ = ax.figure
        # 0, 1, 2, 4, 8, ... at equal distances
        ax.set_xscale("symlog", base=2, linthresh=1, linscale=0.5)
        x, mean, error = self.n_shots, self.mean_score, self.standard_error
        baselines = self.baselines or {}
        color, *others = _fresh_colors(ax, 1 + len(baselines))
        style = {"color": color, "label": self.label if label is None else label}
        (self.line_,) = ax.plot(x, mean, linewidth=2, marker=_marker(x), **style)
        band = {"color": color, "alpha": 0.2, "linewidth": 0}
        self.band_ = ax.fill_between(x, mean - error, mean + error, **band)
        self.baseline_lines_ = {
            name: ax.axhline(scores.mean(), color=color, linestyle="--", label=name)
            for (name, scores), color in zip(baselines.items(), others, strict=True)
        }
        powers = [0, *2 ** np.arange(int(x[-1]).bit_length())]
        ticks = x if len(x) <= 8 else powers
        ax.set_xticks(ticks, labels=[f"{k}" for k in ticks])
        name = self.score_name[:1].upper() + self.score_name[1:]
        ax.set(xlabel="Number of shots", ylabel=f"{name} (mean ± s.e. over tasks)")
        ax.autoscale(axis="y")
        _place_legend(ax, "lower right")
        return self


@dataclass(kw_only=True, eq=False, repr=False)
class TaskSimilarityDisplay:
    """How alike the tasks are: their parameters around the shared initialization.

    Left, the distances of the task parameters to their mean, with V, the root mean
    square, and D, the largest: meta-learning pays if V is small against the norm of the
    parameters. Right, the parameters in the plane of their two principal axes, with the
    shared initialization, which should stand among them.

    Parameters
    ----------
    distances : ndarray of shape (n_tasks,)
        Distance of every task parameter to the mean of all.
    V, D : float
        Root mean squared and largest distance.
    positions : ndarray of shape (n_tasks, 2)
        Coordinates of the task parameters along the principal axes, from the mean on.
    initialization : ndarray of shape (2,)
        Coordinates of the shared initialization.
    explained_variance_ratio : ndarray of shape (2,)
        Share of V^2 that lies along each axis.

    Attributes
    ----------
    axes_, figure_ : ndarray of two matplotlib Axes, and Figure
        Where it was drawn.
    bars_, V_line_, D_line_ : matplotlib BarContainer and Line2D
        The histogram, with the marks of V and D.
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
        estimator : FMRLClassifier or FMRLRegressor
            The meta-estimator, fitted to labelled tasks with `store_tasks=True`.
        axes : array-like of two matplotlib Axes, default=None
            Axes to draw on. None: those of a new figure.

        Returns
        -------
        display : TaskSimilarityDisplay
            The display, drawn. Weights and intercepts of all outputs count alike.
        """
        check_is_fitted(_check_meta(estimator))
        n_tasks = len(estimator.task_labels_)
        if n_tasks == 0:
            raise ValueError(
                f"This {type(estimator).__name__} keeps no task parameters: fit it "
                "with store_tasks=True and with task labels."
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
        axes = self.axes_ = _new_axes(self, 2) if axes is None else np.ravel(axes)
        if len(axes) != 2:
            raise ValueError(f"axes must be two Axes. Got {len(axes)}.")
        self.figure_ = axes[0].figure
        self._plot_distances(axes[0])
        self._plot_plane(axes[1])
        return self

    def _plot_distances(self, ax):
        from matplotlib.ticker import MaxNLocator

        n_bins = int(np.clip(np.sqrt(len(self.distances)), 5, 30))
        style = {"color": _COLORS[5], "edgecolor": "white", "linewidth": 0.5}
        counts, _, self.bars_ = ax.hist(self.distances, bins=n_bins, **style)
        height = [0, counts.max()]
        label = f"V = {self.V:.3g} (root mean square)"
        (self.V_line_,) = ax.plot([self.V] * 2, height, color=_COLORS[0], label=label)
        label, style = f"D = {self.D:.3g} (largest)", {"color": _COLORS[1], "ls": "--"}
        (self.D_line_,) = ax.plot([self.D] * 2, height, label=label, **style)
        ax.set(xlabel="Distance to the mean of the tasks", ylabel="Tasks")
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlim(left=0)
        _place_legend(ax, "upper left")

    def _plot_plane(self, ax):
        style = {"s": 25, "color": _COLORS[0], "alpha": 0.5, "linewidths": 0}
        self.points_ = ax.scatter(*self.positions.T, label="tasks", **style)
        style = {"s": 160, "color": _COLORS[1], "edgecolor": "black", "marker": "*"}
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
        _place_legend(ax, "upper left")
        # equal scales that fill the room there is
        ratio = ax.bbox.width / ax.bbox.height
        low, high = ax.get_ylim()
        width = max(width, (high - low) / 2 * ratio)
        more = width / ratio - (high - low) / 2
        ax.set_ylim(low - more, high + more)
        ax.set_xlim(-width, width)
        ax.set_aspect("equal")


# ---- numbers


def _check_meta(estimator):
    if isinstance(estimator, FMRLClassifier | FMRLRegressor):
        return estimator
    raise TypeError(
        f"estimator must be an FMRLClassifier or an FMRLRegressor. Got {estimator!r} "
        "instead."
    )


def _replay(estimator, X, y, tasks, baselines):
    """Reports by name: of the estimator first, then of the baselines."""
    name = type(_check_meta(estimator)).__name__
    baselines = list(baselines)
    if not _BASELINES.keys() >= set(baselines):
        raise ValueError(f"baselines must be of {list(_BASELINES)}. Got {baselines}.")
    reports = {name: regret_report(estimator, X, y, tasks)}
    best = reports[name].optima.mean(axis=0)
    for baseline in baselines:
        changes = _BASELINES[baseline](best)
        changed = clone(estimator).set_params(meta_update="constant", **changes)
        reports[baseline] = regret_report(changed, X, y, tasks)
    return reports


def _split_tasks(estimator, X, y, tasks):
    """(estimator without task column, features, targets, row numbers of every task)."""
    X, labels = _check_meta(estimator)._split_labels(X, tasks)
    X = np.asarray(X) if isinstance(X, list | tuple) else X
    X, y = indexable(X, column_or_1d(y))
    labels = None if labels is None else check_labels(labels, len(y))
    _, starts, order = group_rows(labels, len(y))
    rows = np.arange(len(y)) if order is None else order[0]
    model = copy(estimator).set_params(task_column=None)
    return model, X, y, np.split(rows, starts[1:-1])


def _take(X, rows):
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def _long_enough(rows, n_rows):
    """(row numbers of the tasks that have at least `n_rows`, number of the others)."""
    kept = [task for task in rows if len(task) >= n_rows]
    if not kept:
        raise ValueError(
            f"No task has the {n_rows} rows that are needed; the longest has "
            f"{max(map(len, rows))}. Ask for fewer."
        )
    return kept, len(rows) - len(kept)


def _check_counts(values, name, least):
    """Distinct integers in ascending order."""
    counts = np.unique(list(values))
    if counts.dtype.kind not in "iu" or counts[0] < least:
        raise ValueError(f"{name} must be integers >= {least}. Got {values!r}.")
    return counts


def _score_name(scoring, model):
    if scoring is None:
        return "accuracy" if is_classifier(model) else "R$^2$"
    if isinstance(scoring, str):
        return scoring.replace("_", " ")
    return getattr(scoring, "__name__", "score")


# ---- drawing


def _new_axes(display, n_panels=1):
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{type(display).__name__} needs matplotlib to draw. Install it, for "
            "instance with `pip install matplotlib`."
        ) from error
    size = 6.4 if n_panels == 1 else 5 * n_panels, 4.4
    return plt.subplots(1, n_panels, figsize=size, layout="constrained")[1]


def _fresh_colors(ax, n):
    """Colours of `n` lines, those first that no line on the axes has."""
    used = [line.get_color() for line in ax.lines]
    colors = sorted(_COLORS, key=used.__contains__)
    return [colors[i % len(colors)] for i in range(n)]


def _marker(x):
    """Points are marked where they are few."""
    return "o" if len(x) <= 12 else None


def _label_decades(axis, integer=False):
    """Plain numbers at round values of a logarithmic axis."""
    from matplotlib import ticker

    if axis.get_scale() != "log":
        return
    low, high = axis.get_view_interval()
    locator = ticker.MaxNLocator(6, integer=integer)
    if high > 10 * low:
        subs = (1.0, 2.0, 5.0) if high < 500 * low else (1.0,)
        locator = ticker.LogLocator(subs=subs, numticks=20)
    axis.set_major_locator(locator)
    axis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(ticker.NullLocator())


def _place_legend(ax, loc):
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
