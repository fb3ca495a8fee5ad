"""The guarantees, as functions of arrays.

Gn names a guarantee: (G1) the regret bound of one task, (G2) its mean over tasks, (G3)
the identity of follow-the-leader, (G4) the risk on a fresh task.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skmeta._step_matrices import diagonals, squared_norm


def _check_number(name: str, value: float, *, allow_zero: bool = False) -> float:
    """The value as a float, if it is finite and > 0."""
    number = float(value)
    if not (np.isfinite(number) and (number > 0 or (allow_zero and number == 0))):
        allowed = ">= 0" if allow_zero else "> 0"
        raise ValueError(f"{name} must be a finite number {allowed}. Got {value!r}.")
    return number


def _check_parameters(
    name: str, values: ArrayLike, shape: tuple[int, ...] | None = None
) -> np.ndarray:
    """Finite parameters as floats, of this shape; None: at least one of them."""
    array = np.asarray(values, dtype=float)
    if shape is None and (array.ndim == 0 or not len(array)):
        raise ValueError(f"{name} must hold a parameter per task, and at least one.")
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}. Got {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, but contains NaN or infinity.")
    return array


def _check_sizes(
    name: str, values: ArrayLike, shape: tuple[int, ...], *, allow_zero: bool = False
) -> np.ndarray:
    """Finite numbers > 0, of this shape."""
    array = _check_parameters(name, values, shape)
    if (array < 0).any() or (not allow_zero and (array == 0).any()):
        allowed = ">= 0" if allow_zero else "> 0"
        raise ValueError(f"{name} must be {allowed}. Got {array.min():.6g}.")
    return array


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
    distance = theta - _check_parameters("start", start, theta.shape)
    eta, grad_sq = np.asarray(step_size, dtype=float), np.asarray(grad_sq, dtype=float)
    is_matrix = eta.ndim == 3
    for name, array in (("step_size", eta), ("grad_sq", grad_sq)):
        sizes = diagonals(array) if array.ndim == 3 else array
        may_be_zero = is_matrix or name == "grad_sq"
        _check_sizes(name, sizes, sizes.shape, allow_zero=may_be_zero)
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

    Raises
    ------
    ValueError
        If a weight is not > 0, a number is NaN or infinite, or the shapes differ.

    Notes
    -----
    An identity, without any assumption on the tasks. The statement about the
    task-averaged regret, V G sqrt(m) plus a term that vanishes, needs gradients of
    norm at most G (the squared loss has no such G), tasks of equal length m, and a step
    size V / (G sqrt(m)) that is known or learned.

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
    theta = _check_parameters("parameters", parameters)
    weights = _check_sizes("weights", weights, theta.shape[:1])
    theta = theta.reshape(len(weights), -1)
    start = _check_parameters("start", np.ravel(start), theta.shape[1:])
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

    Raises
    ------
    ValueError
        If there is no parameter, or a number is NaN or infinite.

    See Also
    --------
    dynamic_similarity : The distance to a path instead of the mean.

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
    theta = _check_parameters("parameters", parameters)
    theta = theta.reshape(len(theta), -1)
    distances = np.linalg.norm(theta - theta.mean(axis=0), axis=1)
    return float(np.sqrt(np.mean(distances**2))), float(distances.max())


def dynamic_similarity(parameters: ArrayLike, path: ArrayLike) -> tuple[float, float]:
    """Distance of task parameters to a path, and the length of this path.

    For tasks that drift, a path psi_1, ..., psi_T of initializations replaces the mean
    of `task_similarity`: a short path that stays close to the tasks means that tasks
    are similar to those shortly before.

    Parameters
    ----------
    parameters : array-like of shape (n_tasks, ...)
        Task parameters, in order.
    path : array-like of the shape of `parameters`
        The path: one initialization per task.

    Returns
    -------
    V_Psi : float
        Root mean squared distance of a task parameter to its point of the path.
    P : float
        Length of the path, the sum of ||psi_t - psi_{t-1}||.

    Raises
    ------
    ValueError
        If the shapes differ, or a number is NaN or infinite.

    See Also
    --------
    dynamic_regret_bound : The bound that P enters.

    References
    ----------
    .. [1] Khodak, Balcan, Talwalkar, "Adaptive Gradient-Based Meta-Learning Methods",
       NeurIPS 2019.

    Examples
    --------
    >>> from skmeta.metrics import dynamic_similarity
    >>> dynamic_similarity([[0.0], [1.0], [2.0]], path=[[0.0], [1.0], [1.0]])
    (0.5773502691896257, 1.0)
    """
    theta = _check_parameters("parameters", parameters)
    psi = _check_parameters("path", path, theta.shape)
    theta, psi = theta.reshape(len(theta), -1), psi.reshape(len(psi), -1)
    distances = np.linalg.norm(theta - psi, axis=1)
    lengths = np.linalg.norm(np.diff(psi, axis=0), axis=1)
    return float(np.sqrt(np.mean(distances**2))), float(lengths.sum())


def dynamic_regret_bound(
    parameters: ArrayLike,
    initializations: ArrayLike,
    path: ArrayLike,
    meta_step_size: ArrayLike,
    *,
    weights: ArrayLike | None = None,
) -> tuple[float, float]:
    """Regret of the initializations against a path, and its bound.

    Between tasks, phi_{t+1} = phi_t + a_t w_t (theta_t - phi_t) is online gradient
    descent with steps a_t on f_t(phi) = w_t / 2 ||theta_t - phi||**2. If the steps do
    not increase, for every path psi_1, ..., psi_T of length P::

        sum_t f_t(phi_t) - f_t(psi_t)
            <= (D**2 + 2 D P) / (2 a_T) + sum_t a_t / 2 ||gradient of f_t at phi_t||**2,

    where D is the largest distance of phi_t or phi_{t+1} to psi_t. The proof compares
    ||phi_{t+1} - psi_{t+1}|| with ||phi_{t+1} - psi_t||, which differ by at most the
    step of the path. No assumption on the tasks is needed; the bound is small for
    tasks that drift slowly.

    Parameters
    ----------
    parameters : array-like of shape (n_tasks, ...)
        Task parameters theta_t, in order.
    initializations : array-like of the shape of `parameters`
        The initialization phi_t before every task.
    path : array-like of the shape of `parameters`
        The path psi_t.
    meta_step_size : float or array-like of shape (n_tasks,)
        The steps a_t, > 0, not increasing.
    weights : array-like of shape (n_tasks,), default=None
        The weights w_t, > 0; None: all 1. Follow the leader has weights w_t and steps
        1 / (w_1 + ... + w_t).

    Returns
    -------
    regret : float
        The left-hand side, summed over the tasks.
    bound : float
        The right-hand side.

    Raises
    ------
    ValueError
        If the shapes differ, or a step or a weight is not > 0, or the steps increase.

    References
    ----------
    .. [1] Zinkevich, "Online Convex Programming and Generalized Infinitesimal Gradient
       Ascent", ICML 2003.

    Examples
    --------
    >>> from skmeta.metrics import dynamic_regret_bound
    >>> parameters, path = [[1.0], [2.0]], [[1.0], [2.0]]
    >>> dynamic_regret_bound(parameters, [[0.0], [0.5]], path, meta_step_size=0.5)
    (1.625, 6.0625)
    """
    theta = _check_parameters("parameters", parameters)
    n_tasks = len(theta)
    phi = _check_parameters("initializations", initializations, theta.shape)
    psi = _check_parameters("path", path, theta.shape)
    theta, phi, psi = (one.reshape(n_tasks, -1) for one in (theta, phi, psi))
    steps = np.asarray(meta_step_size, dtype=float)
    steps = np.full(n_tasks, steps) if steps.ndim == 0 else steps
    steps = _check_sizes("meta_step_size", steps, (n_tasks,))
    if (np.diff(steps) > 0).any():
        raise ValueError("meta_step_size must not increase from task to task.")
    w = np.ones(n_tasks) if weights is None else weights
    w = _check_sizes("weights", w, (n_tasks,))
    ends = phi + (steps * w)[:, np.newaxis] * (theta - phi)
    before, after = (
        np.linalg.norm(phi - psi, axis=1),
        np.linalg.norm(ends - psi, axis=1),
    )
    D = float(max(before.max(), after[:-1].max(initial=0.0)))
    P = float(np.linalg.norm(np.diff(psi, axis=0), axis=1).sum())
    squares = ((theta - phi) ** 2).sum(axis=1)
    regret = float(w @ (squares - ((theta - psi) ** 2).sum(axis=1))) / 2
    gradient_term = float(steps @ (w**2 * squares)) / 2
    return regret, (D**2 + 2.0 * D * P) / (2.0 * float(steps[-1])) + gradient_term


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
    theta = _check_parameters("optima", optima)
    lipschitz = _check_number("lipschitz", lipschitz)
    n_samples = _check_number("n_samples", n_samples)
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
    diameter = _check_number("diameter", diameter, allow_zero=True)
    lipschitz = _check_number("lipschitz", lipschitz)
    return diameter * lipschitz * float(np.sqrt(_check_number("n_samples", n_samples)))


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
    loss_bound = _check_number("loss_bound", loss_bound)
    if not 0 < delta < 1:
        raise ValueError(f"delta must be a probability in (0, 1). Got {delta}.")
    if not (losses.size and losses.min() >= 0 and losses.max() <= loss_bound):
        raise ValueError(
            f"mean_losses must have values in [0, loss_bound={loss_bound}], or the "
            "bound does not hold: clip the losses, or increase loss_bound."
        )
    deviation = np.sqrt(np.log(1 / delta) / (2 * losses.size))
    return float(losses.mean() + loss_bound * deviation)
