"""How far the shared initialization moves towards the parameter of a finished task.

phi_{t+1} = phi_t + a_t (theta_t - phi_t), where a `MetaStepSize` gives the share a_t. A
custom rule is a subclass of `MetaStepSize`.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from skmeta._sklearn import Interval

__all__ = [
    "Constant",
    "Discounted",
    "FollowTheLeader",
    "FollowTheRows",
    "LinearDecay",
    "MetaStepSize",
]

_SHARE = [Interval(Real, 0, 1, closed="both")]


class MetaStepSize(BaseEstimator):
    """Base class of the rules that move the shared initialization.

    Subclasses store hyperparameters in `__init__` and define `share`. A rule with a
    state also defines `start`.

    See Also
    --------
    skmeta.step_size.StepSize : Sets the step size within a task.

    Examples
    --------
    A rule whose share is the inverse root of the number of tasks:

    >>> from skmeta import FMRLRegressor
    >>> from skmeta.datasets import make_task_regression
    >>> from skmeta.meta_step_size import MetaStepSize
    >>> class InverseRoot(MetaStepSize):
    ...     def share(self, state, n_tasks, weight, is_first):
    ...         return n_tasks**-0.5
    >>> X, y, tasks = make_task_regression(n_tasks=3, random_state=0)
    >>> model = FMRLRegressor(meta_step_size=InverseRoot()).fit(X, y, tasks=tasks)
    >>> model.n_tasks_seen_
    3
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {}
    follows_rows: ClassVar[bool] = False

    def start(self) -> np.ndarray:
        """The state before the first task.

        Returns
        -------
        state : float64 ndarray
            Any shape; empty for a rule without a state.
        """
        return np.zeros(0)

    def share(
        self, state: np.ndarray, n_tasks: int, weight: float, is_first: bool
    ) -> float:
        """The share a_t for one task or meta-batch; updates the state.

        Parameters
        ----------
        state : float64 ndarray
            Updated in place.
        n_tasks : int
            Number of tasks learned so far, including this one or those of this
            meta-batch. Zero if the call reports the weight of tasks from whose rows the
            first initialization was computed; the result is then not used.
        weight : float
            The root of the number of samples of the task; summed over a meta-batch.
        is_first : bool
            Whether the initialization before this task was neither learned nor given by
            the user.

        Returns
        -------
        share : float
            In [0, 1].
        """
        raise NotImplementedError(f"{type(self).__name__} defines no share.")


class FollowTheLeader(MetaStepSize):
    """The mean of all task parameters so far, weighted by the root of their lengths.

    a_t = sqrt(m_t) / (sqrt(m_1) + ... + sqrt(m_t)) [1]_.

    References
    ----------
    .. [1] Balcan, Khodak, Talwalkar, "Provable Guarantees for Gradient-Based
       Meta-Learning", ICML 2019, Algorithm 1.

    Examples
    --------
    >>> from skmeta.meta_step_size import FollowTheLeader
    >>> rule = FollowTheLeader()
    >>> state = rule.start()
    >>> rule.share(state, n_tasks=1, weight=1.0, is_first=True)
    1.0
    >>> rule.share(state, n_tasks=2, weight=3.0, is_first=False)
    0.75
    """

    def start(self) -> np.ndarray:
        return np.zeros(1)

    def share(
        self, state: np.ndarray, n_tasks: int, weight: float, is_first: bool
    ) -> float:
        state[0] += weight
        return float(weight / state[0])


class FollowTheRows(MetaStepSize):
    """The best single model for all rows so far: ridge regression, for any loss.

    The initialization does not follow the parameters of the tasks, but minimises the
    losses of the rows of all tasks so far, plus a ridge penalty. An unknown task is
    then predicted as one model for all tasks would predict it, from the first tasks on.

    Parameters
    ----------
    penalties : sequence of float, default=(0.1, 1.0, 10.0, 100.0)
        Strengths of the penalty on the slopes of features of unit variance, > 0. A
        penalty of 1 weighs as much as one row. The one whose minimisers have predicted
        the rows best, before they were learned from, is used.

    Notes
    -----
    Losses other than the squared error are replaced by parabolas, at the initialization
    that their rows found. The minimiser is recomputed when the number of rows has grown
    by 5 %, or by an eighth of the number of coefficients, whichever is later; `coef_`,
    `adapt` and `predict` use all rows. Time per row is quadratic in the number of
    coefficients, and so is memory: at most ``n_outputs * (n_features + 2)**2 <= 2**18``
    numbers.

    For the squared error, the predictions of unknown tasks are those of online ridge
    regression: their losses exceed those of the best single model by an amount that
    grows with the logarithm of the number of rows [1]_.

    References
    ----------
    .. [1] Azoury, Warmuth, "Relative Loss Bounds for On-Line Density Estimation with
       the Exponential Family of Distributions", Machine Learning 43, 2001.

    Examples
    --------
    >>> from skmeta import FMRLRegressor
    >>> from skmeta.datasets import make_task_regression
    >>> from skmeta.meta_step_size import FollowTheRows
    >>> X, y, tasks = make_task_regression(random_state=0)
    >>> model = FMRLRegressor(meta_step_size=FollowTheRows(penalties=(1.0,)))
    >>> model.fit(X, y, tasks=tasks).coef_.shape
    (5,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"penalties": ["array-like"]}
    follows_rows = True

    def __init__(self, penalties: Sequence[float] = (0.1, 1.0, 10.0, 100.0)):
        self.penalties = penalties

    def start(self) -> np.ndarray:
        penalties = np.asarray(self.penalties, dtype=np.float64)
        if penalties.ndim != 1 or not penalties.size or not (penalties > 0).all():
            raise ValueError(
                "The 'penalties' parameter of FollowTheRows must be a sequence of at "
                f"least one float > 0. Got {self.penalties!r} instead."
            )
        return np.zeros(0)

    def share(
        self, state: np.ndarray, n_tasks: int, weight: float, is_first: bool
    ) -> float:
        return 0.0


class Discounted(MetaStepSize):
    """The weighted mean of all task parameters so far, which forgets old tasks.

    Parameters
    ----------
    half_life : float, default=100.0
        Number of tasks after which the weight of a task has halved, > 0. Small values
        follow tasks that drift; large ones tend to `FollowTheLeader`.

    Notes
    -----
    a_t = w_t / W_t with W_t = 2**(-1 / half_life) W_{t-1} + w_t and w_t the root of the
    number of samples of task t. So phi_{t+1} minimises the sum over s <= t of
    2**(-(t - s) / half_life) w_s ||theta_s - phi||**2. The tasks of a meta-batch have
    one age: W is multiplied by 2**(-1 / half_life) once for each of them, and then
    their weights are added.

    Examples
    --------
    >>> from skmeta.meta_step_size import Discounted
    >>> rule = Discounted(half_life=1.0)
    >>> state = rule.start()
    >>> rule.share(state, n_tasks=1, weight=1.0, is_first=True)
    1.0
    >>> rule.share(state, n_tasks=2, weight=1.5, is_first=False)
    0.75
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "half_life": [Interval(Real, 0, None, closed="neither")]
    }

    def __init__(self, half_life: float = 100.0):
        self.half_life = half_life

    def start(self) -> np.ndarray:
        return np.zeros(2)  # W, and the number of tasks in it

    def share(
        self, state: np.ndarray, n_tasks: int, weight: float, is_first: bool
    ) -> float:
        state[0] *= 2.0 ** ((state[1] - n_tasks) / self.half_life)
        state[0] += weight
        state[1] = n_tasks
        return float(weight / state[0])


class Constant(MetaStepSize):
    """The same share for every task (Reptile [1]_).

    Parameters
    ----------
    value : float, default=0.1
        The share, in [0, 1]. With 0 the initialization never moves: single-task
        learning. With 1 every task starts at the parameter of the previous one.

    References
    ----------
    .. [1] Nichol, Achiam, Schulman, "On First-Order Meta-Learning Algorithms", 2018.

    Examples
    --------
    >>> from skmeta.meta_step_size import Constant
    >>> rule = Constant(0.1)
    >>> rule.share(rule.start(), n_tasks=2, weight=3.0, is_first=False)
    0.1
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"value": _SHARE}

    def __init__(self, value: float = 0.1):
        self.value = value

    def share(
        self, state: np.ndarray, n_tasks: int, weight: float, is_first: bool
    ) -> float:
        return float(self.value)


class LinearDecay(MetaStepSize):
    """A share that changes linearly from `first` to `final`, and then is constant.

    Parameters
    ----------
    first : float, default=1.0
        The share at the first task, in [0, 1].
    final : float, default=0.0
        The share from task number `n_tasks` on, in [0, 1].
    n_tasks : int, default=1000
        The number of tasks over which the share changes, >= 2.

    Examples
    --------
    >>> from skmeta.meta_step_size import LinearDecay
    >>> rule = LinearDecay(1.0, final=0.0, n_tasks=5)
    >>> state = rule.start()
    >>> [rule.share(state, t, weight=3.0, is_first=False) for t in (1, 2, 5, 9)]
    [1.0, 0.75, 0.0, 0.0]
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "first": _SHARE,
        "final": _SHARE,
        "n_tasks": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(self, first: float = 1.0, *, final: float = 0.0, n_tasks: int = 1000):
        self.first = first
        self.final = final
        self.n_tasks = n_tasks

    def share(
        self, state: np.ndarray, n_tasks: int, weight: float, is_first: bool
    ) -> float:
        part = min((n_tasks - 1.0) / (self.n_tasks - 1.0), 1.0)
        return float(self.first + part * (self.final - self.first))


# Adaptive online gradient descent on the weighted squared distances to the task
# parameters is follow the leader.
META_STEP_SIZES: dict[str, MetaStepSize] = {
    "aogd": FollowTheLeader(),
    "ftl": FollowTheLeader(),
}
