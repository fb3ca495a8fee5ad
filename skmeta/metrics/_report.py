"""The guarantees on a sequence of tasks, compared with the regret incurred."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from skmeta._step_matrices import diagonal
from skmeta.metrics._bounds import (
    lower_bound_rate,
    regret_bound,
    risk_bound,
    single_task_figure,
    task_similarity,
)


def omniscient(estimator: Any, X: Any, y: ArrayLike, tasks: ArrayLike) -> Bunch:
    """The best initialization in hindsight: the mean of the tasks' optima.

    This is the baseline that knows all tasks beforehand. To run it, start every task at
    this mean::

        FMRLRegressor(..., init=best.init, meta_step_size=0.0)

    Parameters
    ----------
    estimator : FMRLClassifier or FMRLRegressor
        The loss, intercept and ball of its inner learner are used. It need not be
        fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features of all tasks.
    y : array-like of shape (n_samples,)
        Targets.
    tasks : array-like of shape (n_samples,) or None
        Task labels; None if the estimator has a `task_column`.

    Returns
    -------
    best : Bunch
        `init`, the mean, of shape (n_outputs, n_features + 1); `optima`, of shape
        (n_tasks, n_outputs, n_features + 1); `V` and `radius`, the root mean squared
        and the largest distance of the optima to the mean.

    Raises
    ------
    ValueError
        If a task has no optimum: the log loss of separable classes without a radius.

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
    optima = np.array([one.optimum for one in estimator.replay(X, y, tasks)])
    V, radius = task_similarity(optima)
    return Bunch(init=optima.mean(axis=0), optima=optima, V=V, radius=radius)


@dataclass(frozen=True)
class RegretReport:
    """The regret incurred on a sequence of tasks, and its guarantees.

    Returned by `regret_report`. The regret of every task is relative to the optimum of
    this task in the ball.

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
        The two terms of the bound (G1) at the optimum.
    optima : ndarray of shape (n_tasks, n_outputs, n_features + 1)
        The optima of the tasks.
    lipschitz : float
        Root mean square of the observed gradient norms.
    covered : bool
        Whether (G1) is proved for the update of the estimator. It is not for step sizes
        by parameter in a ball, nor for exponentiated gradient, which has another bound.

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

    @property
    def regret(self) -> np.ndarray:
        """Regret of every task."""
        return self.loss - self.optimal_loss

    @property
    def bound(self) -> np.ndarray:
        """Bound (G1) of every task."""
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
        """D G sqrt(m); see `lower_bound_rate`."""
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
            ("task-averaged regret", self.task_averaged_regret, verdict),
            ("certificate (G2)", self.certificate, "mean of the bounds (G1)"),
            ("  distance term", self.distance_term.mean(), ""),
            ("  gradient term", self.gradient_term.mean(), ""),
            ("V", self.V, "spread of the optima"),
            ("D", self.D, "largest distance of an optimum to their mean"),
            ("R", self.R, "largest norm of an optimum"),
            ("advantage R / V", self.advantage, ""),
            ("single-task figure", self.single_task_figure, "R G sqrt(m)"),
            ("lower-bound rate", self.lower_bound_rate, "D G sqrt(m)"),
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
    estimator: Any, X: Any, y: ArrayLike, tasks: ArrayLike | None = None
) -> RegretReport:
    """Learn the tasks once more and compare the regret with the guarantees.

    A clone of the estimator makes one pass over the tasks; the estimator is unchanged.

    Parameters
    ----------
    estimator : FMRLClassifier or FMRLRegressor
        The meta-estimator, with an inner learner of :mod:`skmeta.linear_model`. It need
        not be fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features of all tasks.
    y : array-like of shape (n_samples,)
        Targets.
    tasks : array-like of shape (n_samples,), default=None
        Task labels; None if the estimator has a `task_column`.

    Returns
    -------
    report : RegretReport
        The report. It prints as a table; `to_frame` has one row per task.

    Raises
    ------
    ValueError
        If a task cannot be learned from, or has no optimum: the log loss of separable
        classes without a radius.

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
    records = list(estimator.replay(X, y, tasks))
    terms = [
        np.multiply(
            one.factor,
            regret_bound(one.comparator, one.start, one.step_size, one.grad_sq),
        )
        for one in records
    ]
    n_samples = np.array([one.n_samples for one in records])
    distance_term, gradient_term = np.array(terms).T
    squares = sum(diagonal(one.grad_sq).sum() for one in records)
    return RegretReport(
        labels=[one.label for one in records],
        n_samples=n_samples,
        loss=np.array([one.loss for one in records]),
        optimal_loss=np.array([one.optimal_loss for one in records]),
        distance_term=distance_term,
        gradient_term=gradient_term,
        optima=np.array([one.optimum for one in records]),
        lipschitz=float(np.sqrt(squares / n_samples.sum())),
        covered=all(one.guarantee is not None for one in records),
    )
