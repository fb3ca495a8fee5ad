"""Scores against the number of shots, drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skmeta._parallel import map_items
from skmeta._sklearn import take
from skmeta._steps import final_estimator, last_step
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


@dataclass(kw_only=True, eq=False, repr=False)
class FewShotDisplay:
    """Score on new tasks against the number of shots, that is, of rows to adapt to.

    For every number of shots, a task is scored on the same rows: those after the
    largest number of shots. A dashed line is the score without adapting.

    Parameters
    ----------
    n_shots : ndarray of shape (n_points,)
        Numbers of shots, ascending.
    scores : ndarray of shape (n_tasks, n_points)
        Score of every task.
    baselines : dict of str to ndarray of shape (n_tasks,), default=None
        Scores of estimators that do not adapt, by name.
    score_name : str, default="score"
        What is drawn.
    negate_score : bool, default=False
        Whether the negated scores are drawn: of `'neg_mean_squared_error'`, the errors.
    label : str, default=None
        Name of the estimator in the legend.
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
    >>> display.score_name  # drawn with its natural sign
    'mean squared error'
    >>> bool(display.mean_score[-1] > display.mean_score[0])
    True
    """

    n_shots: np.ndarray
    scores: np.ndarray
    baselines: Mapping[str, np.ndarray] | None = None
    score_name: str = "score"
    negate_score: bool = False
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
        n_jobs: int | None = None,
        label: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Adapt to the first rows of every task, score on its last rows, and draw.

        Parameters
        ----------
        estimator : meta-estimator
            A fitted `FMRLClassifier`, `FMRLRegressor` or mixed-effects model, or a
            fitted pipeline that ends with one; it is not changed.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features of tasks that the estimator has not learned from.
        y : array-like of shape (n_samples,)
            Targets.
        tasks : array-like of shape (n_samples,), default=None
            Task labels; None if the estimator has a `task_column`. Every task is
            treated as a new one, whether its label is known or not.
        n_shots : iterable of int, default=(0, 1, 2, 4, 8)
            Numbers of shots, >= 0; 0 is the prediction for a new task. Tasks without a
            row after the largest number are left out, and counted in `n_left_out`.
        scoring : str or callable, default=None
            A name such as 'neg_mean_squared_error' or 'accuracy', or a function of
            (estimator, X, y). None: the accuracy or R^2 of `score`. R^2 is relative to
            the spread of the few rows scored in a task, and needs two of them. Errors,
            whose names begin with `neg`, are drawn with their natural sign.
        baselines : dict of str to fitted estimator, default=None
            Estimators that do not adapt, by name, scored on the same rows. They get the
            features only or, beside a pipeline, the rows as they are. None: the
            estimator itself, which predicts new tasks with what the tasks share.
        n_jobs : int, default=None
            Number of processes, or of what :func:`joblib.parallel_config` names, that
            adapt to tasks and score them, if they take more than 0.1 s in all; -1: one
            per processor; None: 1, unless `parallel_config` says otherwise. Scores do
            not depend on it.
        label : str, default=None
            Name of the estimator in the legend. None: the name of its class.
        ax : matplotlib Axes, default=None
            Axes to draw on, which may hold other displays. None: those of a new figure.

        Returns
        -------
        display : FewShotDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no `adapt`.
        ValueError
            If no task is long enough, a task cannot be learned from, or a score is NaN
            or infinite.
        """
        name, raw = type(final_estimator(estimator)).__name__, None
        if isinstance(estimator, Pipeline):
            check_is_fitted(estimator)
            raw = np.asarray(X) if isinstance(X, list | tuple) else X  # for baselines
            estimator, X, tasks = last_step(estimator, X, y, tasks)
        check_meta(estimator, "adapt", "FMRLRegressor or MixedEffectsRegressor")
        check_is_fitted(estimator)
        model, X, y, rows = split_tasks(estimator, X, y, tasks)
        raw = X if raw is None else raw
        shots = check_counts(n_shots, "n_shots", 0)
        rows, n_left_out = long_enough(rows, shots[-1] + 1)
        label = name if label is None else label
        if baselines is None:
            others = {f"{label}, not adapted": (model, X)}
        else:
            others = {name: (one, raw) for name, one in baselines.items()}
        score = check_scoring(model, scoring=scoring)
        data = model, score, shots, X, y, list(others.values())
        scores = np.array(map_items(_task_scores, rows, n_jobs, *data), dtype=float)
        _check_scores(scores, shots)
        display = cls(
            n_shots=shots,
            scores=scores[:, : len(shots)],
            baselines=dict(zip(others, scores[:, len(shots) :].T, strict=True)),
            score_name=_score_name(scoring, model),
            negate_score=_is_negated(scoring),
            label=label,
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
            Name of the estimator in the legend. None: `label` of the display.

        Returns
        -------
        self : FewShotDisplay
            The display.
        """
        ax = self.ax_ = new_axes(self) if ax is None else ax
        self.figure_ = ax.figure
        # 0, 1, 2, 4, 8, ... at equal distances
        ax.set_xscale("symlog", base=2, linthresh=1, linscale=0.5)
        sign = -1.0 if self.negate_score else 1.0
        x, mean, error = self.n_shots, sign * self.mean_score, self.standard_error
        baselines = self.baselines or {}
        color, *others = fresh_colors(ax, 1 + len(baselines))
        style = {"color": color, "label": self.label if label is None else label}
        (self.line_,) = ax.plot(x, mean, linewidth=2, marker=marker(x), **style)
        band = {"color": color, "alpha": 0.2, "linewidth": 0}
        self.band_ = ax.fill_between(x, mean - error, mean + error, **band)
        self.baseline_lines_ = {
            name: ax.axhline(
                sign * scores.mean(), color=color, linestyle="--", label=name
            )
            for (name, scores), color in zip(baselines.items(), others, strict=True)
        }
        powers = [0, *2 ** np.arange(int(x[-1]).bit_length())]
        ticks = x if len(x) <= 8 else powers
        ax.set_xticks(ticks, labels=[f"{k}" for k in ticks])
        name = self.score_name[:1].upper() + self.score_name[1:]
        ax.set(xlabel="Number of shots", ylabel=f"{name} (mean ± s.e. over tasks)")
        ax.autoscale(axis="y")
        place_legend(ax, "upper right" if self.negate_score else "lower right")
        return self


def _task_scores(
    task: np.ndarray,
    model: Any,
    score: Any,
    shots: np.ndarray,
    X: Any,
    y: np.ndarray,
    others: list[tuple[Any, Any]],
) -> list[float]:
    """On the last rows of a task: for every number of shots, and of the others."""
    last = task[shots[-1] :]
    adapted = (
        model.adapt(take(X, task[:k]), y[task[:k]]) if k else model for k in shots
    )
    pairs = [*((one, X) for one in adapted), *others]
    return [score(one, take(features, last), y[last]) for one, features in pairs]


def _check_scores(scores: np.ndarray, shots: np.ndarray) -> None:
    if not np.isfinite(scores).all():
        raise ValueError(
            "The scores of some tasks are NaN or infinite on the rows after the first "
            f"{shots[-1]}: choose another scoring, or fewer shots."
        )


def _is_negated(scoring: str | Callable | None) -> bool:
    return isinstance(scoring, str) and scoring.startswith("neg_")


def _score_name(scoring: str | Callable | None, model: Any) -> str:
    if scoring is None:
        return "accuracy" if is_classifier(model) else "R$^2$"
    if isinstance(scoring, str):
        return scoring.removeprefix("neg_").replace("_", " ")
    return getattr(scoring, "__name__", "score")
