"""How far the shared initialization moves towards the parameter of a finished task.

phi_{t+1} = phi_t + a_t (theta_t - phi_t), with a_t from `step`. An update with a `code`
is also known to the compiled loop, which reads `kernel_parameters`.
"""

from numbers import Integral, Real
from typing import ClassVar

from sklearn.base import BaseEstimator

from skmeta._sklearn import Interval

__all__ = [
    "AdaptiveOGD",
    "Constant",
    "FollowTheLeader",
    "GeneralizedLeastSquares",
    "LinearDecay",
]


class _MetaUpdate(BaseEstimator):
    """The share a_t of the way to the task's parameter.

    Methods
    -------
    step(t, weight, weight_sum, meta_eta0, is_first)
        a_t for task number t (from 1), or a meta-batch that ends with it. `weight` is
        the square root of the task's length, or the sum of these over the meta-batch,
        `weight_sum` the same over tasks 1 to t, `meta_eta0` the estimator's meta step
        size, `is_first` whether there was no initialization before, learned or given.
    """

    _parameter_constraints: ClassVar[dict] = {}
    code: ClassVar[int | None] = None
    kernel_parameters: tuple[float, float] = (0.0, 0.0)


class FollowTheLeader(_MetaUpdate):
    """The mean of all task parameters so far, weighted by the root of task length.

    a_t = sqrt(m_t) / (sqrt(m_1) + ... + sqrt(m_t)) [1]_. `meta_eta0` is not used.

    References
    ----------
    .. [1] Balcan, Khodak, Talwalkar, "Provable Guarantees for Gradient-Based
       Meta-Learning", ICML 2019, Algorithm 1.

    Examples
    --------
    >>> from skmeta.meta_update import FollowTheLeader
    >>> FollowTheLeader().step(
    ...     t=2, weight=3.0, weight_sum=4.0, meta_eta0=0.1, is_first=False
    ... )
    0.75
    """

    code = 0

    def step(self, t, weight, weight_sum, meta_eta0, is_first):
        return weight / weight_sum


class GeneralizedLeastSquares(FollowTheLeader):
    """The mean under which all tasks so far are likeliest, given a prior about it.

    For `step_size='empirical_bayes'`, whose prior makes it known: the mean of all task
    parameters, weighted by matrices of information instead of the root of task length.
    `meta_eta0` is not used.

    See Also
    --------
    skmeta.step_size.EmpiricalBayes : The prior, and the formula.

    Examples
    --------
    >>> import numpy as np
    >>> from skmeta import FMRLRegressor
    >>> X, y, tasks = [[0], [1]] * 50, [1, 3] * 50, np.repeat(np.arange(50), 2)
    >>> FMRLRegressor(meta_update="gls").fit(X, y, tasks=tasks).coef_.round(1)
    array([2.])
    """

    code = None


class AdaptiveOGD(_MetaUpdate):
    """Online gradient descent on the distances to the tasks.

    a_t = 1 / (sqrt(m_1) + ... + sqrt(m_t)) [1]_, and a_1 = 1 unless the initialization
    was given. `meta_eta0` is not used.

    References
    ----------
    .. [1] Balcan, Khodak, Talwalkar, "Provable Guarantees for Gradient-Based
       Meta-Learning", ICML 2019, section 3.

    Examples
    --------
    >>> from skmeta.meta_update import AdaptiveOGD
    >>> AdaptiveOGD().step(
    ...     t=2, weight=3.0, weight_sum=4.0, meta_eta0=0.1, is_first=False
    ... )
    0.25
    """

    code = 1

    def step(self, t, weight, weight_sum, meta_eta0, is_first):
        return 1.0 if is_first else 1.0 / weight_sum


class Constant(_MetaUpdate):
    """The same share for every task, the estimator's `meta_eta0` (Reptile [1]_).

    `meta_eta0=0` never moves the initialization: single-task learning. `meta_eta0=1`
    starts every task where the last one ended.

    References
    ----------
    .. [1] Nichol, Achiam, Schulman, "On First-Order Meta-Learning Algorithms", 2018.

    Examples
    --------
    >>> from skmeta.meta_update import Constant
    >>> Constant().step(
    ...     t=2, weight=3.0, weight_sum=4.0, meta_eta0=0.1, is_first=False
    ... )
    0.1
    """

    code = 2

    def step(self, t, weight, weight_sum, meta_eta0, is_first):
        return meta_eta0


class LinearDecay(_MetaUpdate):
    """From `meta_eta0` at the first task in a straight line to `final`, and then flat.

    Parameters
    ----------
    final : float, default=0.0
        The share from task number `n_tasks` on, in [0, 1].
    n_tasks : int, default=1000
        The number of tasks over which the share changes, >= 2.

    Examples
    --------
    >>> from skmeta.meta_update import LinearDecay
    >>> rule = LinearDecay(final=0.0, n_tasks=5)
    >>> [
    ...     rule.step(t, weight=3, weight_sum=3 * t, meta_eta0=1.0, is_first=False)
    ...     for t in (1, 2, 5, 9)
    ... ]
    [1.0, 0.75, 0.0, 0.0]
    """

    _parameter_constraints: ClassVar[dict] = {
        "final": [Interval(Real, 0, 1, closed="both")],
        "n_tasks": [Interval(Integral, 2, None, closed="left")],
    }
    code = 3

    def __init__(self, final: float = 0.0, *, n_tasks: int = 1000):
        self.final = final
        self.n_tasks = n_tasks

    @property
    def kernel_parameters(self):
        return (self.final, self.n_tasks)

    def step(self, t, weight, weight_sum, meta_eta0, is_first):
        share = min((t - 1.0) / (self.n_tasks - 1.0), 1.0)
        return meta_eta0 + share * (self.final - meta_eta0)


META_UPDATES = {
    "aogd": AdaptiveOGD(),
    "constant": Constant(),
    "ftl": FollowTheLeader(),
    "gls": GeneralizedLeastSquares(),
    "linear": LinearDecay(),
}
