"""The guarantees on a sequence of tasks, compared with the regret incurred."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from operator import methodcaller
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from skmeta._parallel import map_items
from skmeta._step_matrices import diagonal
from skmeta._steps import last_step
from skmeta.metrics._bounds import (
    coin_regret_bound,
    eg_regret_bound,
    lower_bound_rate,
    regret_bound,
    risk_bound,
    single_task_figure,
)
from skmeta.metrics._similarity import (
    dynamic_regret_bound,
    dynamic_similarity,
    task_similarity,
)

# The bounds that a learner can claim, by the name in its `guarantee`: functions of the
# comparator, the start and what the record of a task gives besides.
BOUNDS: dict[str, Callable[..., tuple[float, float]]] = {
    "G1": regret_bound,
    "EG": lambda comparator, start, **given: eg_regret_bound(comparator, **given),
    "COIN": coin_regret_bound,
}


def omniscient(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    tasks: ArrayLike | None = None,
    *,
    radius: float | None = None,
) -> Bunch:
    """The best initialization in hindsight: the mean of the tasks' optima.

    This is the baseline that knows all tasks beforehand. To run it, start every task at
    this mean::

        FMRLRegressor(..., init=best.init, meta_step_size=0.0)

    Parameters
    ----------
    estimator : meta-estimator or pipeline
        As in `regret_report`. The loss, intercept and ball of its inner learner are
        used. It need not be fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features of all tasks.
    y : array-like of shape (n_samples,)
        Targets.
    tasks : array-like of shape (n_samples,), default=None
        Task labels; None if the estimator has a `task_column`.
    radius : float, default=None
        As in `regret_report`: the optima are the best parameters in this ball.

    Returns
    -------
    best : Bunch
        `init`, the mean, of shape (n_outputs, n_features + 1); `optima`, of shape
        (n_tasks, n_outputs, n_features + 1); `V` and `radius`, the root mean squared
        and the largest distance of the optima to the mean; `ball_radius`, of the ball
        that the optima were taken in, infinite for none.

    Raises
    ------
    ValueError
        If a task cannot be learned from, or if `radius` is invalid.

    Examples
    --------
    >>> from skmeta import FMRLRegressor
    >>> from skmeta.datasets import make_task_regression
    >>> from skmeta.metrics import omniscient
    >>> X, y, tasks = make_task_regression(noise=0.0, task_std=0.0, random_state=0)
    >>> best = omniscient(FMRLRegressor(), X, y, tasks)
    >>> bool(best.radius < 1e-9)
    True
    """
    records, n_jobs = _replay(estimator, X, y, tasks)
    comparators, ball_radius, _ = _hindsight(records, radius, n_jobs)
    optima = np.array([one.parameter for one in comparators])
    V, distance = task_similarity(optima)
    return Bunch(
        init=optima.mean(axis=0),
        optima=optima,
        V=V,
        radius=distance,
        ball_radius=ball_radius,
    )


@dataclass(frozen=True)
class RegretReport:
    """The regret incurred on a sequence of tasks, and its guarantees.

    Returned by `regret_report`. The regret of every task is relative to the optimum of
    this task, in the ball of the learner if it has one. If some task has no optimum,
    the comparators are the best parameters in a ball of radius `radius` instead.

    Parameters
    ----------
    labels : list
        Task labels, in order.
    n_samples : ndarray of shape (n_tasks,)
        Number of samples of every task.
    loss : ndarray of shape (n_tasks,)
        Sum of the prequential losses of every task.
    optimal_loss : ndarray of shape (n_tasks,)
        Loss of the task's optimum.
    distance_term, gradient_term : ndarray of shape (n_tasks,)
        The two terms of the bound at the optimum: (G1), or the one that the learner
        claims.
    optima : ndarray of shape (n_tasks, n_outputs, n_features + 1)
        The optima of the tasks: what the learner is compared with.
    lipschitz : float
        Root mean square of the observed gradient norms.
    covered : bool
        Whether the bound is proved for the update of the estimator. It is not for step
        sizes by parameter in a ball.
    radius : float, default=inf
        Of the ball that the optima were restricted to, besides the ball of the learner;
        infinite for none.
    n_without_optimum : int, default=0
        Number of tasks whose loss has no minimum, such as the log loss of classes that
        can be separated.
    task_parameters : ndarray of the shape of `optima`, default=None
        The task parameters that were learned.
    path : ndarray of the shape of `optima`, default=None
        The initializations that the meta-learner is compared with.
    dynamic_regret, dynamic_bound : float, default=nan
        The two sides of the bound for this path, see
        :func:`skmeta.metrics.dynamic_regret_bound`; NaN without a path, or if the
        bound does not apply.
    guarantee : {'G1', 'EG', 'COIN'}, default='G1'
        The bound of a task: (G1), or that of `eg_regret_bound` or `coin_regret_bound`.

    Examples
    --------
    >>> from skmeta import FMRLRegressor
    >>> from skmeta.datasets import make_task_regression
    >>> from skmeta.metrics import regret_report
    >>> X, y, tasks = make_task_regression(random_state=0)
    >>> report = regret_report(FMRLRegressor(), X, y, tasks)
    >>> bool((report.regret <= report.bound).all())
    True
    """

    labels: list
    n_samples: np.ndarray
    loss: np.ndarray
    optimal_loss: np.ndarray
    distance_term: np.ndarray
    gradient_term: np.ndarray
    optima: np.ndarray
    lipschitz: float
    covered: bool
    radius: float = np.inf
    n_without_optimum: int = 0
    task_parameters: np.ndarray | None = None
    path: np.ndarray | None = None
    dynamic_regret: float = np.nan
    dynamic_bound: float = np.nan
    guarantee: str = "G1"

    @property
    def regret(self) -> np.ndarray:
        """Regret of every task."""
        return self.loss - self.optimal_loss

    @property
    def bound(self) -> np.ndarray:
        """Bound of every task, (G1) or that of `guarantee`."""
        return self.distance_term + self.gradient_term

    @property
    def task_averaged_regret(self) -> float:
        """The mean regret of the tasks."""
        return float(self.regret.mean())

    @property
    def certificate(self) -> float:
        """(G2): the mean bound, computed from observed quantities."""
        return float(self.bound.mean())

    @property
    def V(self) -> float:
        """Root mean squared distance of the optima to their mean."""
        return task_similarity(self.optima)[0]

    @property
    def D(self) -> float:
        """Largest distance of an optimum to their mean."""
        return task_similarity(self.optima)[1]

    @property
    def V_path(self) -> float:
        """Root mean squared distance of the task parameters to `path`."""
        return self._dynamic_similarity()[0]

    @property
    def path_length(self) -> float:
        """P, the length of `path`."""
        return self._dynamic_similarity()[1]

    def _dynamic_similarity(self) -> tuple[float, float]:
        if self.path is None or self.task_parameters is None:
            return np.nan, np.nan
        return dynamic_similarity(self.task_parameters, self.path)

    @property
    def single_task_figure(self) -> float:
        """R G sqrt(m) with the observed G and the mean m; see `single_task_figure`."""
        return self._figure()[0]

    @property
    def R(self) -> float:
        """Largest norm of an optimum."""
        return self._figure()[1]

    @property
    def advantage(self) -> float:
        """R / V: how many times smaller the bound of meta-learning can be."""
        return self.R / self.V if self.V > 0 else np.inf

    @property
    def lower_bound_rate(self) -> float:
        """D G sqrt(m), up to an unknown constant; see `lower_bound_rate`."""
        return lower_bound_rate(self.D, self.lipschitz, self.n_samples.mean())

    def risk_bound(self, delta: float, loss_bound: float) -> float:
        """(G4) for the tasks of the report; see `skmeta.metrics.risk_bound`.

        Parameters
        ----------
        delta : float
            Probability of failure, in (0, 1).
        loss_bound : float
            Largest value of one sample's loss, > 0.

        Returns
        -------
        bound : float
            The bound.
        """
        return risk_bound(self.loss / self.n_samples, delta, loss_bound)

    def _figure(self) -> tuple[float, float]:
        return single_task_figure(self.optima, self.lipschitz, self.n_samples.mean())

    def to_frame(self) -> Any:
        """The tasks as a table.

        Returns
        -------
        frame : pandas.DataFrame
            One row per task, indexed by label.
        """
        import pandas as pd

        columns = {
            "n_samples": self.n_samples,
            "loss": self.loss,
            "optimal_loss": self.optimal_loss,
            "regret": self.regret,
            "bound": self.bound,
            "distance_term": self.distance_term,
            "gradient_term": self.gradient_term,
        }
        return pd.DataFrame(
            columns, index=pd.Index(self.labels, name="task", tupleize_cols=False)
        )

    def _rows(self) -> list[tuple[str, float, str]]:
        holds = self.task_averaged_regret <= self.certificate
        verdict = "below the certificate" if holds else "above the certificate"
        if not self.covered:
            verdict = "the certificate does not cover this update"
        size = f"{self.n_samples.mean():.4g} samples each"
        return [
            ("tasks", len(self.labels), size),
            *self._ball_rows(),
            ("task-averaged regret", self.task_averaged_regret, verdict),
            (
                "certificate (G2)",
                self.certificate,
                f"mean of the bounds ({self.guarantee})",
            ),
            ("  distance term", self.distance_term.mean(), ""),
            ("  gradient term", self.gradient_term.mean(), ""),
            ("V", self.V, "spread of the optima"),
            ("D", self.D, "largest distance of an optimum to their mean"),
            ("R", self.R, "largest norm of an optimum"),
            ("advantage R / V", self.advantage, ""),
            ("single-task figure", self.single_task_figure, "R G sqrt(m)"),
            (
                "lower-bound rate",
                self.lower_bound_rate,
                "D G sqrt(m), constant unknown",
            ),
            *self._path_rows(),
        ]

    def _ball_rows(self) -> list[tuple[str, float, str]]:
        if self.radius == np.inf:
            return []
        remark = "optima are the best parameters in the ball of this radius"
        if self.n_without_optimum:
            remark += f"; {self.n_without_optimum} of the tasks have no optimum"
        return [("radius", self.radius, remark)]

    def _path_rows(self) -> list[tuple[str, float, str]]:
        if self.path is None:
            return []
        bound = "Zinkevich, sum over the tasks"
        if np.isnan(self.dynamic_bound):
            bound = "the bound does not cover these meta step sizes"
        return [
            ("V along the path", self.V_path, "distance of the task parameters to it"),
            ("length of the path", self.path_length, ""),
            ("dynamic regret", self.dynamic_regret, "of the initializations"),
            ("dynamic bound", self.dynamic_bound, bound),
        ]

    def __str__(self) -> str:
        return "\n".join(
            f"{name:24}{value:>10.4g}  {remark}".rstrip()
            for name, value, remark in self._rows()
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{name}</td><td>{value:.4g}</td><td>{escape(remark)}</td></tr>"
            for name, value, remark in self._rows()
        )
        return f"<table><caption>Regret report</caption>{rows}</table>"


def regret_report(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    tasks: ArrayLike | None = None,
    *,
    optima: ArrayLike | None = None,
    radius: float | None = None,
    path: ArrayLike | None = None,
) -> RegretReport:
    """Learn the tasks once more and compare the regret with the guarantees.

    A clone of the estimator makes one pass over the tasks; the estimator is unchanged.

    Parameters
    ----------
    estimator : meta-estimator or pipeline
        `FMRLClassifier` or `FMRLRegressor` with an inner learner of
        :mod:`skmeta.linear_model`, `MixedEffectsClassifier` or `MixedEffectsRegressor`.
        It need not be fitted. The steps of a pipeline before its last one transform X
        as they were fitted; if one is not fitted, clones of all are fitted to X. Its
        `n_jobs` acts on the optima of the tasks.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features of all tasks.
    y : array-like of shape (n_samples,)
        Targets.
    tasks : array-like of shape (n_samples,), default=None
        Task labels; None if the estimator has a `task_column`.
    optima : array-like of shape (n_tasks, n_outputs, n_features + 1), default=None
        What to compare with, raw, with the intercept last: the `optima` of a report on
        the same tasks, so that several estimators are compared with the same
        parameters. None: the optimum of every task is computed.
    radius : float, default=None
        Compare with the best parameters in the ball of this radius, > 0; at most the
        radius of the learner, if that has one. None: with the optima. If a task has no
        optimum, as classes that can be separated under the log loss, None is twice the
        largest norm of a task parameter.
    path : array-like of shape (n_tasks, n_outputs, n_features + 1), default=None
        Initializations to compare those of the meta-learner with, one per task: for
        tasks that drift. See :func:`skmeta.metrics.dynamic_regret_bound`.

    Returns
    -------
    report : RegretReport
        The report. It prints as a table; `to_frame` has one row per task.

    Raises
    ------
    ValueError
        If a task cannot be learned from, or if `optima`, `radius` or `path` is invalid.

    Notes
    -----
    (G1) holds for every comparator in the ball of the learner, if that has one, and for
    any data. `V`, `R` and the figures derived from them depend on the comparators: for
    comparators in a ball, they depend on its radius.

    Examples
    --------
    >>> from skmeta import FMRLRegressor
    >>> from skmeta.datasets import make_task_regression
    >>> from skmeta.metrics import regret_report
    >>> X, y, tasks = make_task_regression(random_state=0)
    >>> report = regret_report(FMRLRegressor(), X, y, tasks)
    >>> report.task_averaged_regret < report.certificate
    True
    """
    records, n_jobs = _replay(estimator, X, y, tasks)
    shape = (len(records), *records[0].start.shape)
    if optima is None:
        comparators, ball_radius, n_without = _hindsight(records, radius, n_jobs)
    elif radius is not None:
        raise ValueError("Pass optima or radius, not both.")
    else:
        given = _check_parameters("optima", optima, shape, records)
        comparators = [r.at(one) for r, one in zip(records, given, strict=True)]
        ball_radius, n_without = np.inf, 0
    terms = _all_terms(records, comparators, n_jobs)
    n_samples = np.array([one.n_samples for one in records])
    task_parameters = np.array([one.parameter for one in records])
    dynamic = np.nan, np.nan
    if path is not None:
        path = _check_parameters("path", path, shape, [])
        dynamic = _dynamic_terms(records, task_parameters, path)
    return RegretReport(
        labels=[one.label for one in records],
        n_samples=n_samples,
        loss=np.array([one.loss for one in records]),
        optimal_loss=np.array([one.loss for one in comparators]),
        distance_term=terms[:, 0],
        gradient_term=terms[:, 1],
        optima=np.array([one.parameter for one in comparators]),
        lipschitz=_root_mean_square(records, n_samples.sum()),
        covered=all(one.guarantee in BOUNDS for one in records),
        radius=ball_radius,
        n_without_optimum=n_without,
        task_parameters=task_parameters,
        path=path,
        dynamic_regret=dynamic[0],
        dynamic_bound=dynamic[1],
        guarantee=_bound_of(records[0]),
    )


def _replay(
    estimator: Any, X: Any, y: ArrayLike, tasks: ArrayLike | None
) -> tuple[list[Any], int | None]:
    """The records of the tasks, and the `n_jobs` of the estimator."""
    estimator, X, tasks = last_step(estimator, X, y, tasks)
    if not callable(getattr(estimator, "replay", None)):
        raise TypeError(
            f"{type(estimator).__name__} cannot learn tasks once more: pass a "
            "meta-estimator, such as FMRLRegressor or MixedEffectsRegressor, or a "
            f"pipeline that ends with one. Got {estimator!r}."
        )
    return list(estimator.replay(X, y, tasks)), getattr(estimator, "n_jobs", None)


def _root_mean_square(records: list[Any], n_samples: int) -> float:
    """Of the norms of the gradients."""
    squares = sum(diagonal(one.grad_sq).sum() for one in records)
    return float(np.sqrt(squares / n_samples))


def _hindsight(
    records: list[Any], radius: float | None, n_jobs: int | None
) -> tuple[list[Any], float, int]:
    """The best parameters, the radius of their ball, and the tasks without an optimum.

    Without `radius` and if all tasks have an optimum, there is no such ball.
    """
    largest = min(one.radius for one in records)
    if radius is None:
        optima = map_items(methodcaller("optimum"), records, n_jobs)
        n_without = sum(one is None for one in optima)
        if not n_without:
            return optima, np.inf, 0
        norms = [np.linalg.norm(one.parameter) for one in records]
        radius = 2.0 * float(max(norms)) or 1.0
    else:
        n_without = 0
        if not (0 < radius < np.inf):
            raise ValueError(f"radius must be a finite number > 0. Got {radius!r}.")
        if radius > largest:
            raise ValueError(
                f"radius={radius} is larger than that of the estimator, {largest}, and "
                "the bounds hold in its ball only: pass a smaller radius, or None."
            )
    best = map_items(methodcaller("best_in_ball", radius), records, n_jobs)
    return best, float(radius), n_without


def _bound_of(record: Any) -> str:
    """The bound that is computed for a task: (G1) if its learner claims none."""
    return record.guarantee if record.guarantee in BOUNDS else "G1"


def _all_terms(
    records: list[Any], comparators: list[Any], n_jobs: int | None
) -> np.ndarray:
    """The two terms of the bound of every task, shape (n_tasks, 2)."""
    pairs = list(zip(records, comparators, strict=True))
    return np.array(map_items(_terms, pairs, n_jobs))


def _terms(pair: tuple[Any, Any]) -> tuple[float, float]:
    """The two terms of the bound of a record against a comparator, raw.

    NaN for a learner without step sizes.
    """
    record, comparator = pair
    bound = BOUNDS.get(record.guarantee, regret_bound)
    if record.guarantee not in BOUNDS and not np.isfinite(record.step_size).all():
        return np.nan, np.nan
    first, second = bound(comparator.inside, record.start, **record.bound)
    return record.factor * first, record.factor * second


def _check_parameters(
    name: str, values: ArrayLike, shape: tuple[int, ...], records: list[Any]
) -> np.ndarray:
    """Raw parameters of tasks, given by the caller."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(
            f"{name} must have shape {shape}, a parameter per task, with the intercept "
            f"last. Got {array.shape}."
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, but contains NaN or infinity.")
    for record, parameter in zip(records, array, strict=False):
        norm = np.linalg.norm(parameter.ravel(), record.order)
        if norm > record.radius * (1.0 + 1e-9):
            raise ValueError(
                f"{name} must be in the ball of the estimator, of radius "
                f"{record.radius}, where the bounds hold. {record.name} has a "
                f"parameter of norm {norm:.6g}."
            )
    return array


def _dynamic_terms(
    records: list[Any], task_parameters: np.ndarray, path: np.ndarray
) -> tuple[float, float]:
    """Regret of the initializations against the path, and its bound; NaN for none."""
    shares = np.array([one.share for one in records])
    if any(one.initialization is None for one in records) or not (shares > 0).all():
        return np.nan, np.nan
    starts = np.array([one.initialization for one in records])
    # the weights of follow the leader, if its shares do not decrease by themselves
    roots = np.sqrt([one.n_samples for one in records])
    for weights in (np.ones_like(shares), roots):
        steps = shares / weights
        if (np.diff(steps) <= 1e-12 * steps[1:]).all():
            steps = np.minimum.accumulate(steps)  # up to rounding
            return dynamic_regret_bound(
                task_parameters, starts, path, steps, weights=weights
            )
    return np.nan, np.nan
