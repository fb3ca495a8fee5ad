"""What is guaranteed: regret, its certificate, task similarity and risk.

Plain functions of arrays, and `regret_report`, which feeds them from an estimator. Gn
names a guarantee: (G1) the regret bound of one task, (G2) its mean over tasks, (G3) the
identity of follow-the-leader, (G4) the risk on a fresh task.
"""

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from skmeta._matrices import diagonal, squared_norm

__all__ = [
    "RegretReport",
    "follow_the_leader_identity",
    "lower_bound_rate",
    "omniscient",
    "regret_bound",
    "regret_report",
    "risk_bound",
    "single_task_figure",
    "task_similarity",
]


def regret_bound(
    comparator: ArrayLike, start: ArrayLike, step_size: ArrayLike, grad_sq: ArrayLike
) -> tuple[float, float]:
    """The two terms of the regret bound of one task, (G1).

    For online gradient descent, its implicit form, linearised FTRL, and the regularised
    leader on full losses, started at phi with step size eta, and any comparator theta
    in the ball, the regret sum_i l_i(theta_i) - l_i(theta) is at most

        ||theta - phi||**2 / (2 eta) + eta / 2 * sum_i ||g_i||**2,

    whatever the data, if the losses are convex; coordinate by coordinate with one step
    size per parameter, and then without a ball. For a matrix eta the squared norms are
    (theta - phi)' inv(eta) (theta - phi) and g' eta g.

    Parameters
    ----------
    comparator : array-like
        The parameter theta.
    start : array-like of the shape of `comparator`
        The parameter phi before the first sample.
    step_size : float, array-like of the shape of `comparator`, or one matrix for \
            every row of it
        The step size eta, > 0.
    grad_sq : float or array-like of the shape of `step_size`
        Sum over the samples of the squared gradients; of their norms for one step size,
        of their outer products for matrices.

    Returns
    -------
    distance_term : float
        The first term.
    gradient_term : float
        The second term.

    References
    ----------
    .. [1] Zinkevich, "Online Convex Programming and Generalized Infinitesimal Gradient
       Ascent", ICML 2003, Theorem 1.
    .. [2] Balcan, Khodak, Talwalkar, "Provable Guarantees for Gradient-Based
       Meta-Learning", ICML 2019, section 2.

    Examples
    --------
    >>> from skmeta.metrics import regret_bound
    >>> regret_bound([3.0, 4.0], [0.0, 0.0], step_size=0.5, grad_sq=8.0)
    (25.0, 2.0)
    """
    moved = np.asarray(comparator, dtype=float) - np.asarray(start, dtype=float)
    eta, grad_sq = np.asarray(step_size, dtype=float), np.asarray(grad_sq, dtype=float)
    gradient_term = float((eta / 2 * grad_sq).sum())
    if eta.ndim < 3:
        return float((moved**2 / (2 * eta)).sum()), gradient_term
    return sum(map(squared_norm, moved, eta)) / 2, gradient_term


def follow_the_leader_identity(
    parameters: ArrayLike, weights: ArrayLike, start: ArrayLike
) -> tuple[float, float, float]:
    """The exact cost of following the leader between tasks, (G3).

    With phi_1 = `start` and phi_{t+1} the weighted mean of the first t parameters::

        sum_t w_t / 2 ||theta_t - phi_t||**2
        = min_phi sum_t w_t / 2 ||theta_t - phi||**2
          + sum_t w_t**2 / (2 W_t) ||theta_t - phi_t||**2,   W_t = w_1 + ... + w_t.

    Parameters
    ----------
    parameters : array-like of shape (n_tasks, ...)
        Task parameters theta_t, in order.
    weights : array-like of shape (n_tasks,)
        Weights w_t, > 0.
    start : array-like of the shape of one parameter
        The first initialization phi_1.

    Returns
    -------
    cost : float
        The left-hand side.
    hindsight : float
        The cost of the best fixed initialization.
    price : float
        The last sum. With weights 1 and distances of at most D it is at most
        D**2 / 2 * (1 + ln T).

    References
    ----------
    .. [1] Balcan, Khodak, Talwalkar, "Provable Guarantees for Gradient-Based
       Meta-Learning", ICML 2019, section 3.

    Examples
    --------
    >>> from skmeta.metrics import follow_the_leader_identity
    >>> follow_the_leader_identity([[1.0], [3.0]], [1.0, 1.0], [0.0])
    (2.5, 1.0, 1.5)
    """
    weights = np.asarray(weights, dtype=float)
    theta = np.asarray(parameters, dtype=float).reshape(len(weights), -1)
    total = np.cumsum(weights)
    means = np.cumsum(weights[:, np.newaxis] * theta, axis=0) / total[:, np.newaxis]
    phi = np.vstack([np.reshape(start, (1, -1)), means[:-1]])
    squares = ((theta - phi) ** 2).sum(axis=1)
    hindsight = weights @ ((theta - means[-1]) ** 2).sum(axis=1) / 2
    price = (weights**2 / (2 * total)) @ squares
    return float(weights @ squares / 2), float(hindsight), float(price)


def task_similarity(parameters: ArrayLike) -> tuple[float, float]:
    """Spread of task parameters around their mean.

    Parameters
    ----------
    parameters : array-like of shape (n_tasks, ...)
        Task parameters.

    Returns
    -------
    V : float
        Root mean squared distance to the mean.
    D : float
        Largest distance to the mean.

    References
    ----------
    .. [1] Balcan, Khodak, Talwalkar, "Provable Guarantees for Gradient-Based
       Meta-Learning", ICML 2019, section 2; Khodak et al., NeurIPS 2019.

    Examples
    --------
    >>> from skmeta.metrics import task_similarity
    >>> task_similarity([[0.0, 0.0], [2.0, 0.0]])
    (1.0, 1.0)
    """
    theta = np.asarray(parameters, dtype=float)
    theta = theta.reshape(len(theta), -1)
    distances = np.linalg.norm(theta - theta.mean(axis=0), axis=1)
    return float(np.sqrt(np.mean(distances**2))), float(distances.max())


def single_task_figure(
    optima: ArrayLike, lipschitz: float, n_samples: float
) -> tuple[float, float]:
    """What learning each task alone, from zero, is guaranteed: R G sqrt(m).

    R is the largest norm of a task's optimum, the distance that a single-task learner
    has to allow for. Compare it with V G sqrt(m), to which meta-learning tends: the
    advantage is R / V.

    Parameters
    ----------
    optima : array-like of shape (n_tasks, ...)
        The optimal parameters of the tasks.
    lipschitz : float
        G, a bound on the norm of one sample's gradient, > 0. With an observed one in
        its place the result is a figure, not a bound.
    n_samples : float
        Samples per task m, > 0.

    Returns
    -------
    figure : float
        R G sqrt(m), regret per task.
    R : float
        Largest norm of an optimum.

    References
    ----------
    .. [1] Balcan, Khodak, Talwalkar, "Provable Guarantees for Gradient-Based
       Meta-Learning", ICML 2019, section 2.

    Examples
    --------
    >>> from skmeta.metrics import single_task_figure
    >>> single_task_figure([[3.0, 4.0], [0.0, 1.0]], lipschitz=1.0, n_samples=4)
    (10.0, 5.0)
    """
    theta = np.asarray(optima, dtype=float)
    R = float(np.linalg.norm(theta.reshape(len(theta), -1), axis=1).max())
    return R * lipschitz * float(np.sqrt(n_samples)), R


def lower_bound_rate(diameter: float, lipschitz: float, n_samples: float) -> float:
    """The rate below which no algorithm can stay: D* G sqrt(m).

    For tasks whose optima lie in a ball of radius D*, the task-averaged regret of any
    algorithm is at least a constant times this on some sequence of tasks (Omega, the
    constant is not given): meta-learning is optimal up to that constant.

    Parameters
    ----------
    diameter : float
        D*, the radius of a ball that holds the optima, >= 0.
    lipschitz : float
        G, > 0.
    n_samples : float
        Samples per task m, > 0.

    Returns
    -------
    rate : float
        D* G sqrt(m).

    References
    ----------
    .. [1] Balcan, Khodak, Talwalkar, "Provable Guarantees for Gradient-Based
       Meta-Learning", ICML 2019, section 2.

    Examples
    --------
    >>> from skmeta.metrics import lower_bound_rate
    >>> lower_bound_rate(0.5, lipschitz=1.0, n_samples=16)
    2.0
    """
    return float(diameter * lipschitz * np.sqrt(n_samples))


def risk_bound(mean_losses: ArrayLike, delta: float, loss_bound: float) -> float:
    """Bound on the expected loss of a fresh task, (G4), by Azuma-Hoeffding.

    With probability 1 - delta over T tasks drawn independently from one distribution,
    the expected mean prequential loss on a fresh task of the same length, started at an
    initialization drawn uniformly from phi_1, ..., phi_T, is at most

        (1/T) sum_t M_t + B sqrt(ln(1 / delta) / (2 T)).

    It assumes losses in [0, B]: clip them, or know that they are (the squared loss is
    not bounded without a ball and bounded data). It does not cover the last
    initialization, nor tasks in an order that depends on the data.

    Parameters
    ----------
    mean_losses : array-like of shape (n_tasks,)
        M_t, the mean prequential loss of every task, each in [0, `loss_bound`]; for
        instance ``model.history_["loss"]``.
    delta : float
        Probability of failure, in (0, 1).
    loss_bound : float
        B, the largest value of one sample's loss, > 0.

    Returns
    -------
    bound : float
        The bound.

    Raises
    ------
    ValueError
        If a mean loss is outside of [0, `loss_bound`], or `delta` of (0, 1).

    References
    ----------
    .. [1] Balcan, Khodak, Talwalkar, "Provable Guarantees for Gradient-Based
       Meta-Learning", ICML 2019, section 4.

    Examples
    --------
    >>> from skmeta.metrics import risk_bound
    >>> round(risk_bound([0.2, 0.4, 0.3, 0.3], delta=0.1, loss_bound=1.0), 3)
    0.836
    """
    losses = np.asarray(mean_losses, dtype=float)
    if not 0 < delta < 1:
        raise ValueError(f"delta must be a probability in (0, 1). Got {delta}.")
    if not (losses.size and losses.min() >= 0 and losses.max() <= loss_bound):
        raise ValueError(
            f"mean_losses must hold values in [0, loss_bound={loss_bound}], or the "
            "bound does not hold: clip the losses, or raise loss_bound."
        )
    deviation = np.sqrt(np.log(1 / delta) / (2 * losses.size))
    return float(losses.mean() + loss_bound * deviation)


def omniscient(estimator: Any, X: Any, y: ArrayLike, tasks: ArrayLike) -> Bunch:
    """The best initialization in hindsight: the mean of the tasks' optima.

    The baseline that knows all tasks beforehand. To run it, start every task there::

        FMRLRegressor(..., init=best.init, meta_update="constant", meta_eta0=0.0)

    Parameters
    ----------
    estimator : FMRLClassifier or FMRLRegressor
        Its inner learner's loss, intercept and ball are used; it need not be fitted.
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
    optima = np.array([one.optimum for one in estimator._trace(X, y, tasks)])
    V, radius = task_similarity(optima)
    return Bunch(init=optima.mean(axis=0), optima=optima, V=V, radius=radius)


@dataclass(frozen=True)
class RegretReport:
    """What was guaranteed on a sequence of tasks, and what happened.

    Made by `regret_report`. All regrets are against each task's own optimum in the
    ball.

    Parameters
    ----------
    labels : list
        Task labels, in order.
    n_samples : ndarray of shape (n_tasks,)
        Samples per task.
    loss : ndarray of shape (n_tasks,)
        Sum of the prequential losses per task.
    optimal_loss : ndarray of shape (n_tasks,)
        Loss of the task's optimum.
    distance_term, gradient_term : ndarray of shape (n_tasks,)
        The two terms of the bound (G1) at the optimum.
    optima : ndarray of shape (n_tasks, n_outputs, n_features + 1)
        The tasks' optima.
    lipschitz : float
        Root mean square of the gradient norms observed.
    covered : bool
        Whether (G1) is proved for the estimator's update: not for step sizes by
        parameter in a ball, and not for exponentiated gradient, whose bound is another.

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
        """TAR, the mean regret."""
        return float(self.regret.mean())

    @property
    def certificate(self) -> float:
        """(G2): the mean bound, computed from what was observed."""
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
        """R / V: by how much meta-learning can be better than learning alone."""
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

    def _figure(self):
        return single_task_figure(self.optima, self.lipschitz, self.n_samples.mean())

    def to_frame(self) -> Any:
        """The tasks as a table.

        Returns
        -------
        frame : pandas.DataFrame
            One row per task, indexed by label.
        """
        import pandas as pd

        names = "n_samples", "loss", "optimal_loss", "regret", "bound"
        names += "distance_term", "gradient_term"
        columns = {name: getattr(self, name) for name in names}
        return pd.DataFrame(
            columns, index=pd.Index(self.labels, name="task", tupleize_cols=False)
        )

    def _rows(self):
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

    def __str__(self):
        return "\n".join(
            f"{name:24}{value:>10.4g}  {remark}".rstrip()
            for name, value, remark in self._rows()
        )

    def _repr_html_(self):
        rows = "".join(
            f"<tr><td>{name}</td><td>{value:.4g}</td><td>{escape(remark)}</td></tr>"
            for name, value, remark in self._rows()
        )
        return f"<table><caption>Regret report</caption>{rows}</table>"


def regret_report(
    estimator: Any, X: Any, y: ArrayLike, tasks: ArrayLike | None = None
) -> RegretReport:
    """Replay the learning of tasks and hold it against the guarantees.

    The tasks are learned once more, one pass from the start, by a clone; the estimator
    is left untouched.

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
        Prints as a table; `to_frame` gives the tasks.

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
    records = list(estimator._trace(X, y, tasks))
    terms = [
        regret_bound(one.optimum, one.start, one.step_size, one.grad_sq)
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
        covered=records[0].covered,
    )
