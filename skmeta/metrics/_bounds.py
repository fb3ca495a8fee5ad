"""Bounds on the regret of a task and the risk of a fresh one, as functions of arrays.

Gn names a guarantee: (G1) the regret bound of one task, (G2) its mean over tasks, (G3)
the identity of follow-the-leader, (G4) the risk on a fresh task. (EG) and (COIN) are in
place of (G1) for exponentiated gradient and coin betting.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skmeta._step_matrices import diagonals, squared_norm
from skmeta.metrics._checks import check_number, check_parameters, check_sizes


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
        Sum over the samples of the squared gradients, >= 0: of the squared norms for a
        single step size, of the outer products for matrices.

    Returns
    -------
    distance_term : float
        The first term.
    gradient_term : float
        The second term.

    Raises
    ------
    ValueError
        If a step size or a sum of squares is negative, a number is NaN or infinite, or
        the shapes differ.

    Notes
    -----
    The losses need only be convex: the gradients are the observed ones, so that no
    Lipschitz constant is assumed. To replace `grad_sq` by m G**2 beforehand, the loss
    must be Lipschitz; the squared loss is not, except on bounded parameters and data.

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
    theta = np.asarray(comparator, dtype=float)
    theta = check_parameters("comparator", theta, theta.shape)
    distance = theta - check_parameters("start", start, theta.shape)
    eta, grad_sq = np.asarray(step_size, dtype=float), np.asarray(grad_sq, dtype=float)
    is_matrix = eta.ndim == 3
    for name, array in (("step_size", eta), ("grad_sq", grad_sq)):
        sizes = diagonals(array) if array.ndim == 3 else array
        may_be_zero = is_matrix or name == "grad_sq"
        check_sizes(name, sizes, sizes.shape, allow_zero=may_be_zero)
    gradient_term = float((eta / 2 * grad_sq).sum())
    if eta.ndim < 3:
        return float((distance**2 / (2 * eta)).sum()), gradient_term
    return sum(map(squared_norm, distance, eta)) / 2, gradient_term


def eg_regret_bound(
    comparator: ArrayLike, parts: ArrayLike, step_size: float, grad_sq: float
) -> tuple[float, float]:
    """The two terms of the regret bound of exponentiated gradient, (EG).

    Exponentiated gradient represents a parameter by positive numbers whose differences
    it is and which sum to U: mirror descent with the negative entropy. For such numbers
    z of the comparator and z_1 of the start, the regret
    sum_i l_i(theta_i) - l_i(theta) is at most

        sum_j z_j log(z_j / z_1j) / eta + eta U / 2 * sum_i max_j g_ij**2

    for any convex losses: with the divergence D of the entropy, a step is worth
    <g_i, z_i - z> <= (D(z, z_i) - D(z, z_{i+1})) / eta + eta U / 2 max_j g_ij**2, since
    D(z, z') >= ||z - z'||_1**2 / (2 U). Of all numbers that represent the comparator,
    those of the smallest divergence are used.

    Parameters
    ----------
    comparator : array-like
        The parameter theta. The sum of its absolute values is at most U.
    parts : array-like of shape (2, ...)
        The positive and the negative parts of the start, each shaped like the
        comparator: parts[0] - parts[1] is the start, and U their sum. Both are zero
        where no parameter is learned.
    step_size : float
        The step size eta, > 0.
    grad_sq : float
        The sum of the squared gradients in the maximum norm, sum_i max_j g_ij**2.

    Returns
    -------
    distance_term : float
        The first term; infinite outside of the ball.
    gradient_term : float
        The second term.

    Raises
    ------
    ValueError
        If the step size is not > 0, a part or `grad_sq` is negative, a number is NaN or
        infinite, or the shapes differ.

    References
    ----------
    .. [1] Kivinen, Warmuth, "Exponentiated Gradient versus Gradient Descent for Linear
       Predictors", Information and Computation 132, 1997.

    Examples
    --------
    >>> from skmeta.metrics import eg_regret_bound
    >>> bound = eg_regret_bound([1.0], [[0.5], [0.5]], step_size=0.1, grad_sq=8.0)
    >>> [round(term, 3) for term in bound]  # log(2) / 0.1, and 0.1 / 2 * 8
    [6.931, 0.4]
    """
    theta = np.asarray(comparator, dtype=float)
    theta = check_parameters("comparator", theta, theta.shape)
    first = check_sizes("parts", parts, (2, *theta.shape), allow_zero=True)
    step_size = check_number("step_size", step_size)
    radius = check_number("The sum of parts", float(first.sum()))
    grad_sq = check_number("grad_sq", grad_sq, allow_zero=True)
    gradient_term = step_size * radius / 2 * grad_sq
    if np.abs(theta).sum() > radius * (1.0 + 1e-9):
        return np.inf, gradient_term
    divergence = _smallest_divergence(theta, first, radius)
    return max(divergence, 0.0) / step_size, gradient_term


def _smallest_divergence(theta: np.ndarray, first: np.ndarray, radius: float) -> float:
    """Of positive parts of theta, which sum to the radius, from the first parts.

    At the smallest divergence, the product of the two parts of an entry is the same
    multiple c of that of the first parts, so that sqrt(theta**2 + 4 c product) is their
    sum.
    """
    product = first[0] * first[1]

    def excess(log_c: float) -> float:
        sums = np.sqrt(theta**2 + 4.0 * np.exp(log_c) * product)
        return float(sums.sum()) - radius

    low, high = -700.0, 1.0
    while excess(high) < 0.0 and high < 700.0:
        high += 10.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if excess(middle) > 0.0 else (middle, high)
    root = np.sqrt(theta**2 + 4.0 * np.exp(low) * product)
    larger = 0.5 * (root + np.abs(theta))
    with np.errstate(divide="ignore", invalid="ignore"):
        smaller = np.where(larger > 0, np.exp(low) * product / larger, 0.0)
        z = np.where(theta >= 0, [larger, smaller], [smaller, larger])
        terms = np.where(z > 0, z * np.log(z / first), 0.0)
    return float(terms.sum())


def coin_regret_bound(
    comparator: ArrayLike, start: ArrayLike, lipschitz: float, n_samples: int
) -> tuple[float, float]:
    """The two terms of the regret bound of coin betting, (COIN).

    For convex losses with gradients of norm at most G and m samples, the regret
    against a parameter at distance D from the start is at most

        G D sqrt(m log(1 + 24 m**2 D**2)) + G (1 - 1 / (e sqrt(pi m))).

    The bets on coins c_i = -g_i / G multiply an initial wealth of 1 to at least
    exp(||S||**2 / (2 m)) / (e sqrt(pi m)), S = c_1 + ... + c_m. The regret is at most
    G (1 - wealth + <S, theta - start>); the bound is its largest value over all S.

    Parameters
    ----------
    comparator : array-like
        The parameter theta.
    start : array-like of the shape of `comparator`
        The parameter before the first sample.
    lipschitz : float
        G, a bound on the norms of the gradients, > 0.
    n_samples : int
        Number of samples m, >= 1.

    Returns
    -------
    distance_term : float
        The first term.
    constant_term : float
        The second term: the bound on the regret against the start.

    Raises
    ------
    ValueError
        If `lipschitz` or `n_samples` is not > 0, a number is NaN or infinite, or the
        shapes differ.

    References
    ----------
    .. [1] Orabona, Pal, "Coin Betting and Parameter-Free Online Learning", NeurIPS
       2016.

    Examples
    --------
    >>> from skmeta.metrics import coin_regret_bound
    >>> coin_regret_bound([1.0], [1.0], lipschitz=2.0, n_samples=4)[0]
    0.0
    """
    theta = np.asarray(comparator, dtype=float)
    theta = check_parameters("comparator", theta, theta.shape)
    distance = float(
        np.linalg.norm(theta - check_parameters("start", start, theta.shape))
    )
    lipschitz = check_number("lipschitz", lipschitz)
    m = check_number("n_samples", n_samples)
    logarithm = np.log1p(24.0 * (m * distance) ** 2)
    distance_term = lipschitz * distance * np.sqrt(m * logarithm)
    constant_term = lipschitz * (1.0 - 1.0 / (np.e * np.sqrt(np.pi * m)))
    return float(distance_term), float(constant_term)


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

    Raises
    ------
    ValueError
        If `lipschitz` or `n_samples` is not > 0, or an optimum is NaN or infinite.

    Notes
    -----
    A bound only for losses that are Lipschitz: the absolute, hinge, logistic, quantile
    and epsilon-insensitive losses on bounded features, but not the squared loss.

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
    theta = check_parameters("optima", optima)
    lipschitz = check_number("lipschitz", lipschitz)
    n_samples = check_number("n_samples", n_samples)
    R = float(np.linalg.norm(theta.reshape(len(theta), -1), axis=1).max())
    return R * lipschitz * float(np.sqrt(n_samples)), R


def lower_bound_rate(diameter: float, lipschitz: float, n_samples: float) -> float:
    """The lower bound on the regret of any algorithm, up to a constant: D* G sqrt(m).

    For every algorithm there is a sequence of tasks, with optima in a ball of radius
    D*, on which the task-averaged regret is at least a constant times this rate. The
    constant is unknown, so the rate itself is not a lower bound: compare how figures
    grow with D*, G and m, not their values. The statement is about Lipschitz losses and
    the worst tasks; the regret on other tasks may be far below.

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
        D* G sqrt(m), without the unknown constant.

    Raises
    ------
    ValueError
        If `diameter` is negative, or `lipschitz` or `n_samples` is not > 0.

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
    diameter = check_number("diameter", diameter, allow_zero=True)
    lipschitz = check_number("lipschitz", lipschitz)
    return diameter * lipschitz * float(np.sqrt(check_number("n_samples", n_samples)))


def risk_bound(mean_losses: ArrayLike, delta: float, loss_bound: float) -> float:
    """Bound on the expected loss of a fresh task, (G4), by Azuma-Hoeffding.

    With probability 1 - delta over T tasks drawn independently from one distribution,
    the expected mean prequential loss on a fresh task of the same length, started at an
    initialization drawn uniformly from phi_1, ..., phi_T, is at most

        (1/T) sum_t M_t + B sqrt(ln(1 / delta) / (2 T)).

    Where step sizes and units are learned too, they are drawn with the initialization:
    that is ``adapt(..., init='draw')`` of `FMRL*`, which starts at `init_draw_`.

    The bound assumes tasks that are independent draws from one distribution, and losses
    in [0, B]: clip the losses, or make sure that they are in this range (the squared
    loss is unbounded without a ball and bounded data). It speaks of a fresh task that
    starts at an initialization drawn uniformly from those before the tasks: it does not
    cover the last one, nor a start chosen by looking at the data. For losses that are
    convex and bounded by B, the average iterate of the fresh task obeys the same bound
    on its risk. If the order of the tasks depends on the data, there is no bound.

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
        If a mean loss is outside of [0, `loss_bound`], `loss_bound` is not > 0, or
        `delta` is outside of (0, 1).

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
    loss_bound = check_number("loss_bound", loss_bound)
    if not 0 < delta < 1:
        raise ValueError(f"delta must be a probability in (0, 1). Got {delta}.")
    if not (losses.size and losses.min() >= 0 and losses.max() <= loss_bound):
        raise ValueError(
            f"mean_losses must have values in [0, loss_bound={loss_bound}], or the "
            "bound does not hold: clip the losses, or increase loss_bound."
        )
    deviation = np.sqrt(np.log(1 / delta) / (2 * losses.size))
    return float(losses.mean() + loss_bound * deviation)
