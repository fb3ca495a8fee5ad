"""The guarantees, as functions of arrays.

Gn names a guarantee: (G1) the regret bound of one task, (G2) its mean over tasks, (G3)
the identity of follow-the-leader, (G4) the risk on a fresh task.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skmeta._step_matrices import squared_norm


def regret_bound(
    comparator: ArrayLike, start: ArrayLike, step_size: ArrayLike, grad_sq: ArrayLike
) -> tuple[float, float]:
    """The two terms of the regret bound of one task, (G1).

    The bound holds for online gradient descent, its implicit form, and
    follow-the-regularized-leader (FTRL), linearised or on full losses. For a start phi,
    a step size eta, convex losses and any comparator theta in the ball, the regret
    sum_i l_i(theta_i) - l_i(theta) is at most

        ||theta - phi||**2 / (2 eta) + eta / 2 * sum_i ||g_i||**2,

    whatever the data. With one step size per parameter, the bound is a sum over the
    coordinates, and it holds without a ball only. For a matrix eta the squared norms
    are (theta - phi)' inv(eta) (theta - phi) and g' eta g.

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
        Sum over the samples of the squared gradients: of the squared norms for a single
        step size, of the outer products for matrices.

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
    distance = np.asarray(comparator, dtype=float) - np.asarray(start, dtype=float)
    eta, grad_sq = np.asarray(step_size, dtype=float), np.asarray(grad_sq, dtype=float)
    gradient_term = float((eta / 2 * grad_sq).sum())
    if eta.ndim < 3:
        return float((distance**2 / (2 * eta)).sum()), gradient_term
    return sum(map(squared_norm, distance, eta)) / 2, gradient_term


def follow_the_leader_identity(
    parameters: ArrayLike, weights: ArrayLike, start: ArrayLike
) -> tuple[float, float, float]:
    """The exact cost of follow-the-leader between tasks, (G3).

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
    """The regret bound for learning every task alone, from zero: R G sqrt(m).

    R is the largest norm of an optimum, that is, the largest distance from zero.
    Compare this figure with V G sqrt(m), to which the bound of meta-learning tends: the
    advantage is R / V.

    Parameters
    ----------
    optima : array-like of shape (n_tasks, ...)
        The optimal parameters of the tasks.
    lipschitz : float
        G, a bound on the norm of one sample's gradient, > 0. If G was observed instead,
        the result is only a figure for comparison, not a bound.
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
    """The lower bound on the regret of any algorithm, up to a constant: D* G sqrt(m).

    For every algorithm there is a sequence of tasks, with optima in a ball of radius
    D*, on which the task-averaged regret is at least a constant times this rate. The
    constant is not known here; meta-learning is optimal up to this constant.

    Parameters
    ----------
    diameter : float
        D*, the radius of a ball that contains the optima, >= 0.
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

    Where step sizes and units are learned too, they are drawn with the initialization:
    that is ``adapt(..., init='draw')`` of `FMRL*`, which starts at `init_draw_`.

    The bound assumes losses in [0, B]: clip the losses, or make sure that they are in
    this range (the squared loss is unbounded without a ball and bounded data). The
    bound does not cover the last initialization, nor tasks in an order that depends on
    the data.

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
            f"mean_losses must have values in [0, loss_bound={loss_bound}], or the "
            "bound does not hold: clip the losses, or increase loss_bound."
        )
    deviation = np.sqrt(np.log(1 / delta) / (2 * losses.size))
    return float(losses.mean() + loss_bound * deviation)
