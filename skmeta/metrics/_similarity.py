"""How similar tasks are, and what an initialization between them costs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skmeta.metrics._checks import check_parameters, check_sizes


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
    theta = check_parameters("parameters", parameters)
    weights = check_sizes("weights", weights, theta.shape[:1])
    theta = theta.reshape(len(weights), -1)
    start = check_parameters("start", np.ravel(start), theta.shape[1:])
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
    theta = check_parameters("parameters", parameters)
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
    theta = check_parameters("parameters", parameters)
    psi = check_parameters("path", path, theta.shape)
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
    theta = check_parameters("parameters", parameters)
    n_tasks = len(theta)
    phi = check_parameters("initializations", initializations, theta.shape)
    psi = check_parameters("path", path, theta.shape)
    theta, phi, psi = (one.reshape(n_tasks, -1) for one in (theta, phi, psi))
    steps = np.asarray(meta_step_size, dtype=float)
    steps = np.full(n_tasks, steps) if steps.ndim == 0 else steps
    steps = check_sizes("meta_step_size", steps, (n_tasks,))
    if (np.diff(steps) > 0).any():
        raise ValueError("meta_step_size must not increase from task to task.")
    w = np.ones(n_tasks) if weights is None else weights
    w = check_sizes("weights", w, (n_tasks,))
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
