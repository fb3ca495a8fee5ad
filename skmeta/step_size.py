"""Step sizes of the inner learner, and how they are learned from task to task.

A custom rule is a subclass of `StepSize`. The object holds hyperparameters only; what
the rule learns is one float64 array, its state.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar, Literal, cast

import numpy as np
from sklearn.base import BaseEstimator

from skmeta._sklearn import Interval
from skmeta._step_matrices import diagonals, geometric_means

__all__ = [
    "ARUBA",
    "Doubling",
    "EWOO",
    "Fixed",
    "FullMatrix",
    "SimilarityFTL",
    "StepSize",
]

_POSITIVE = [Interval(Real, 0, None, closed="neither")]
_TIE = 1e-9  # relative difference of sums of losses that rounding may decide


class StepSize(BaseEstimator):
    """Base class of the rules that set the step size of every task.

    Subclasses store hyperparameters in `__init__` and define `start`, `propose` and
    `observe`. The arguments of these methods are in the units of the current task; the
    state is not converted when these units change.

    Attributes
    ----------
    needs : {'grad_sq', 'grad_outer'}
        The sum over the samples of a task that `observe` receives: the sum of the
        squared gradients, in the shape of the step size; or the sum of the outer
        products of the gradients, one matrix for every output, for a rule that proposes
        matrices.
    shrinks : bool
        Whether `within` shortens the steps inside a task that `adapt` learns.
    uses_eta0 : bool
        Whether `propose` uses the step size of the inner learner. If it does not, an
        inner learner whose step size differs from the default is an error.
    learns : bool
        Whether `observe` uses the gradients of a task, or `judge` its losses. If so, an
        inner learner that does not report these is an error.

    See Also
    --------
    skmeta.meta_step_size.MetaStepSize : Moves the shared initialization.

    Examples
    --------
    A rule that divides a fixed step by the root of the number of tasks:

    >>> import numpy as np
    >>> from skmeta import FMRLRegressor
    >>> from skmeta.datasets import make_task_regression
    >>> from skmeta.step_size import StepSize
    >>> class Shrinking(StepSize):
    ...     def __init__(self, first=0.5):
    ...         self.first = first
    ...
    ...     def start(self, shape):
    ...         return np.ones(1)
    ...
    ...     def propose(self, state, n_samples, eta0):
    ...         return self.first / np.sqrt(state[0])
    ...
    ...     def observe(self, state, displacement, grad_sq, n_samples, n_tasks):
    ...         state[0] = n_tasks + 1
    >>> X, y, tasks = make_task_regression(n_tasks=3, random_state=0)
    >>> model = FMRLRegressor(step_size=Shrinking()).fit(X, y, tasks=tasks)
    >>> model.step_size_
    0.25
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {}
    needs: ClassVar[Literal["grad_sq", "grad_outer"]] = "grad_sq"
    shrinks: bool = False
    uses_eta0: bool = False
    learns: ClassVar[bool] = True

    def start(self, shape: tuple[int, int]) -> np.ndarray:
        """The state before the first task.

        Parameters
        ----------
        shape : tuple of int
            Shape of the parameter, (n_outputs, n_features + 1).

        Returns
        -------
        state : float64 ndarray
            Any shape.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no start.")

    def propose(
        self, state: np.ndarray, n_samples: int, eta0: np.ndarray
    ) -> float | np.ndarray:
        """The step size of the next task.

        Parameters
        ----------
        state : float64 ndarray
            Must not be changed.
        n_samples : int
            Number of samples of the task, >= 1.
        eta0 : ndarray of shape (1, 1) or (n_outputs, n_features + 1)
            The step size of the inner learner itself.

        Returns
        -------
        eta : float or ndarray
            A positive float, or an array of shape (1, 1), (n_outputs, n_features + 1)
            or (n_outputs, n_features + 1, n_features + 1).
        """
        raise NotImplementedError(f"{type(self).__name__} defines no propose.")

    def observe(
        self,
        state: np.ndarray,
        displacement: np.ndarray,
        grad_sq: np.ndarray,
        n_samples: int,
        n_tasks: int,
    ) -> None:
        """Learn from a finished task: update the state in place.

        Parameters
        ----------
        state : float64 ndarray
            Updated in place.
        displacement : ndarray of shape (n_outputs, n_features + 1)
            The parameter of the task minus the shared initialization before it.
        grad_sq : ndarray
            See `needs`.
        n_samples : int
            Number of samples of the task.
        n_tasks : int
            Number of tasks learned so far, this one included.
        """

    def within(
        self, state: np.ndarray, eta: np.ndarray, grad_sq: np.ndarray
    ) -> np.ndarray:
        """The step size of the next sample of a task that `adapt` learns.

        It is used if `shrinks` is true, by `adapt` and by `partial_fit` of the
        estimator that `adapt` returns. Tasks that the meta-estimator learns keep one
        step size each, as the regret bound (G1) requires.

        Parameters
        ----------
        state : float64 ndarray
            Must not be changed.
        eta : ndarray
            What `propose` returned for the task.
        grad_sq : ndarray of the shape of `eta`
            Sum of the squared gradients of the samples before this one.

        Returns
        -------
        eta : ndarray of the shape of `eta`
            By default `eta` itself.
        """
        return eta

    def candidates(self, state: np.ndarray) -> list[tuple[StepSize, np.ndarray]]:
        """The rules that are tried on every task, and their parts of the state.

        Parameters
        ----------
        state : float64 ndarray
            The whole state.

        Returns
        -------
        pairs : list of (StepSize, ndarray)
            Every rule, and the view of the state that it observes. By default, this
            rule and the whole state.
        """
        return [(self, state)]

    def leader(self, state: np.ndarray) -> int:
        """Index of the candidate whose runs determine the task parameters.

        Parameters
        ----------
        state : float64 ndarray
            The whole state.

        Returns
        -------
        number : int
            0 for a rule with one candidate.
        """
        return 0

    def judge(self, state: np.ndarray, losses: np.ndarray) -> None:
        """Learn how well the candidates predicted: update the state in place.

        Parameters
        ----------
        state : float64 ndarray
            Updated in place.
        losses : ndarray of shape (n_candidates,)
            Sums of prequential losses on the tasks just finished; infinite for a
            candidate that diverged on one of them.
        """


class Fixed(StepSize):
    """A step size that is not learned.

    Parameters
    ----------
    eta : float or None, default=None
        The step size, > 0. None: the step size of the inner learner, from its `eta0`
        and `learning_rate`, or 1 / `alpha`.

    Examples
    --------
    >>> from skmeta import FMRLRegressor
    >>> from skmeta.linear_model import OGDRegressor
    >>> model = FMRLRegressor(OGDRegressor(eta0=0.2), step_size="fixed")
    >>> model.fit([[1], [2]], [1, 2], tasks=[0, 1]).step_size_
    0.2
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"eta": [*_POSITIVE, None]}
    learns: ClassVar[bool] = False

    def __init__(self, eta: float | None = None):
        self.eta = eta

    @property
    def uses_eta0(self) -> bool:  # type: ignore[override]
        return self.eta is None

    def start(self, shape: tuple[int, int]) -> np.ndarray:
        return np.zeros(0)

    def propose(
        self, state: np.ndarray, n_samples: int, eta0: np.ndarray
    ) -> float | np.ndarray:
        return eta0 if self.eta is None else float(self.eta)


class Doubling(StepSize):
    """Step size from a guess of the distance to the tasks, raised when exceeded.

    Parameters
    ----------
    radius : float, default=0.1
        First guess D_1 of the distance between the shared initialization and a task's
        parameter, > 0.
    gamma : float, default=1.1
        Factor by which the guess is raised, > 1.
    lipschitz : float, default=1.0
        Bound G on the norm of one sample's gradient, > 0.

    Notes
    -----
    Task t of m_t samples is learned with eta_t = D_t / (G sqrt(m_t)). Then
    D_{t+1} = gamma D_t if the distance from the shared initialization to the task's
    parameter exceeds D_t, and D_{t+1} = D_t otherwise [1]_.

    The task parameter must be able to exceed the guess. One that is computed with the
    short step itself may not. With gradients of norm at most G, the last iterate moves
    at most D_t sqrt(m_t), and the average iterate at most D_t (m_t - 1) / (2
    sqrt(m_t)), which is less than D_t for m_t <= 5. With ``task_parameter='average'``,
    short tasks, or gradients much smaller than `lipschitz`, D can therefore stay at
    `radius` for ever, however far the tasks are. What helps is
    ``task_parameter='optimum'``, a smaller `lipschitz`, a larger `radius`, or another
    rule.

    References
    ----------
    .. [1] Balcan, Khodak, Talwalkar, "Provable Guarantees for Gradient-Based
       Meta-Learning", ICML 2019, Algorithm 1.

    Examples
    --------
    >>> from skmeta.step_size import Doubling
    >>> rule = Doubling(radius=0.5)
    >>> state = rule.start((1, 3))
    >>> rule.propose(state, n_samples=25, eta0=None)
    array([[0.1]])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "radius": _POSITIVE,
        "gamma": [Interval(Real, 1, None, closed="neither")],
        "lipschitz": _POSITIVE,
    }

    def __init__(
        self, radius: float = 0.1, *, gamma: float = 1.1, lipschitz: float = 1.0
    ):
        self.radius = radius
        self.gamma = gamma
        self.lipschitz = lipschitz

    def start(self, shape: tuple[int, int]) -> np.ndarray:
        return np.full((1, 1), float(self.radius))

    def propose(
        self, state: np.ndarray, n_samples: int, eta0: np.ndarray
    ) -> float | np.ndarray:
        return state / (self.lipschitz * np.sqrt(n_samples))

    def observe(
        self,
        state: np.ndarray,
        displacement: np.ndarray,
        grad_sq: np.ndarray,
        n_samples: int,
        n_tasks: int,
    ) -> None:
        if np.sqrt((displacement**2).sum()) > state[0, 0]:
            state *= self.gamma


class ARUBA(StepSize):
    """Step size learned from the distances and gradients of earlier tasks.

    Parameters
    ----------
    eps : float or sequence of floats, default=1.0
        Scale of the distances before the first task, > 0. With several scales, every
        task is learned with each of them, and the result of the scale that has
        predicted best so far is used.
    zeta : float, default=1.0
        Scale of the gradients before the first task, > 0.
    p : float, default=1.0
        The regularisation added after task t decays as (t + 1)**-p, >= 0.
    per_coordinate : bool, default=False
        Learn one step size per parameter rather than one for all. A parameter in which
        tasks do not differ then gets a small step size.
    balance : bool, default=False
        Whether squared gradients are halved like squared distances. The sum of the
        regret bounds (G1) of the tasks so far is then least at eta_t. False: as
        published.
    decay : float, default=0.0
        Share of b_t and g_t that is forgotten after every task, in [0, 1), for tasks
        that drift.
    shrink : float, default=0.0
        Factor c of the squared gradients by which the steps shrink within a task that
        `adapt` learns, >= 0 (ARUBA++); 0: they do not. It needs an inner learner `OGD*`
        with `update` 'implicit' or 'ogd'.

    Notes
    -----
    Task t has eta_t = sqrt(b_t / g_t), where b_1 = eps**2, g_1 = zeta**2 and

    - b_{t+1} = b_t + ||theta_t - phi_t||**2 / 2 + eps**2 / (t + 1)**p,
    - g_{t+1} = g_t + sum_i ||g_{t,i}||**2 + zeta**2 / (t + 1)**p,

    for theta_t the task's parameter, phi_t the shared initialization and g_{t,i} the
    gradients of the task; separately for every coordinate if `per_coordinate` [1]_.
    With one step size per parameter, the guarantee does not cover a ball (`radius`).
    With `balance` the sum of ||g_{t,i}||**2 is halved; with `decay` = d the recursions
    start from (1 - d) b_t and (1 - d) g_t.

    With `shrink` = c, `adapt` learns sample i of the new task with the step size
    sqrt(b_t / (g_t + c sum_{j<i} ||g_{t,j}||**2)), and `partial_fit` of the estimator
    that it returns continues this sum. Tasks that `fit` and `partial_fit` of the
    meta-estimator learn have one step size each whatever `shrink` is: so the regret
    bound (G1) and what is learned do not depend on it.

    With several `eps`, every scale has its own b_t and g_t, and every task is run once
    for each scale, always from phi_t. The run that is used is that of the scale with
    the smallest sum of prequential losses over the tasks before t, or the first of
    these scales in a tie: it gives eta_t and theta_t. A scale whose run diverges (NaN
    or infinity) is never used again. Time grows with the number of scales.

    References
    ----------
    .. [1] Khodak, Balcan, Talwalkar, "Adaptive Gradient-Based Meta-Learning Methods",
       NeurIPS 2019, Algorithm 1 and section 4.

    Examples
    --------
    >>> from skmeta.step_size import ARUBA
    >>> rule = ARUBA(eps=0.5, zeta=2.0)
    >>> rule.propose(rule.start((1, 3)), n_samples=25, eta0=None)
    array([[0.25]])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "eps": [*_POSITIVE, "array-like"],
        "zeta": _POSITIVE,
        "p": [Interval(Real, 0, None, closed="left")],
        "per_coordinate": ["boolean"],
        "balance": ["boolean"],
        "decay": [Interval(Real, 0, 1, closed="left")],
        "shrink": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        eps: float | Sequence[float] = 1.0,
        *,
        zeta: float = 1.0,
        p: float = 1.0,
        per_coordinate: bool = False,
        balance: bool = False,
        decay: float = 0.0,
        shrink: float = 0.0,
    ):
        self.eps = eps
        self.zeta = zeta
        self.p = p
        self.per_coordinate = per_coordinate
        self.balance = balance
        self.decay = decay
        self.shrink = shrink

    @property
    def shrinks(self) -> bool:  # type: ignore[override]
        return self.shrink > 0

    def start(self, shape: tuple[int, int]) -> np.ndarray:
        size = shape if self.per_coordinate else (1, 1)
        if np.ndim(self.eps) == 0:
            state = np.empty((2, *size))
            state[0], state[1] = self._scale**2, self.zeta**2
            return state
        state = np.zeros((len(self._several()), 3, *size))  # the losses last
        for rule, part in self.candidates(state):
            part[:] = rule.start(shape)
        return state

    def propose(
        self, state: np.ndarray, n_samples: int, eta0: np.ndarray
    ) -> float | np.ndarray:
        b, g = self._sums(state)
        return np.sqrt(b / g)

    def within(
        self, state: np.ndarray, eta: np.ndarray, grad_sq: np.ndarray
    ) -> np.ndarray:
        b, g = self._sums(state)
        return np.sqrt(b / (g + self.shrink * grad_sq))

    def _sums(self, state: np.ndarray) -> np.ndarray:
        """b_t and g_t of the scale that is followed."""
        return state[self.leader(state), :2] if np.ndim(self.eps) else state

    def observe(
        self,
        state: np.ndarray,
        displacement: np.ndarray,
        grad_sq: np.ndarray,
        n_samples: int,
        n_tasks: int,
    ) -> None:
        tasks = displacement[np.newaxis], grad_sq[np.newaxis], np.array([n_tasks])
        self.observe_all(state, *tasks)

    def observe_all(
        self,
        state: np.ndarray,
        displacements: np.ndarray,
        grad_sq: np.ndarray,
        n_tasks: np.ndarray,
    ) -> None:
        """`observe` of several tasks, in order.

        Parameters
        ----------
        state : float64 ndarray
            Updated in place.
        displacements, grad_sq : ndarray of shape (n, ...)
            As in `observe`, for each of the n tasks.
        n_tasks : ndarray of int of shape (n,)
            As in `observe`.
        """
        kept = (1.0 - self.decay) ** np.arange(len(n_tasks), -1, -1)
        first, kept = kept[0], kept[1:]
        fading = (kept / (n_tasks + 1.0) ** self.p).sum()
        squares = displacements**2
        if not self.per_coordinate:
            squares = squares.sum(axis=(1, 2), keepdims=True)
        state *= first
        state[0] += self._scale**2 * fading
        state[0] += 0.5 * np.einsum("t,tkp->kp", kept, squares)
        gradients = np.einsum("t,tkp->kp", kept, grad_sq)
        state[1] += self.gradient_share * gradients + self.zeta**2 * fading

    @property
    def gradient_share(self) -> float:
        """The factor of the squared gradients in g_t."""
        return 0.5 if self.balance else 1.0

    def candidates(self, state: np.ndarray) -> list[tuple[StepSize, np.ndarray]]:
        if np.ndim(self.eps) == 0:
            return [(self, state)]
        options = self.get_params()
        rules = (ARUBA(**options | {"eps": eps}) for eps in self._several())
        return list(zip(rules, state[:, :2], strict=True))

    def leader(self, state: np.ndarray) -> int:
        if np.ndim(self.eps) == 0:
            return 0
        losses = state[:, 2, 0, 0]
        return int((losses <= losses.min() * (1.0 + _TIE)).argmax())

    def judge(self, state: np.ndarray, losses: np.ndarray) -> None:
        if np.ndim(self.eps):
            state[:, 2] += losses[:, np.newaxis, np.newaxis]

    @property
    def _scale(self) -> float:
        """`eps` of a rule that has one."""
        return cast(float, self.eps)

    def _several(self) -> list[float]:
        try:
            several = np.array(self.eps, dtype=float)
        except (TypeError, ValueError):
            several = np.array([])
        if several.ndim != 1 or not (np.isfinite(several) & (several > 0)).all():
            several = several[:0]
        if not several.size:
            raise ValueError(
                "The 'eps' parameter of ARUBA must be a float > 0, or a sequence of at "
                f"least one of them. Got {self.eps!r} instead."
            )
        return several.tolist()


class SimilarityFTL(StepSize):
    """Step size from the mean squared distance of the tasks so far (eps-FTL).

    Parameters
    ----------
    eps : float, default=1.0
        Distance that is assumed before the first task and added to every later
        estimate, > 0, in the units of the parameter.
    lipschitz : float, default=1.0
        Bound G on the norm of one sample's gradient, > 0.

    See Also
    --------
    EWOO : The same with a logarithmic regret.

    Notes
    -----
    Task t of m_t samples is learned with eta_t = v_t / (G sqrt(m_t)), where

        v_{t+1}**2 = eps**2 + sum_{s<=t} w_s B_s**2 / sum_{s<=t} w_s,

    v_1 = eps, w_s = G sqrt(m_s), and B_s is the distance from the shared initialization
    to the parameter of task s [1]_. This v_{t+1} minimises F_t(v), the sum of
    w_s ((B_s**2 + eps**2) / v + v) over the tasks so far: follow the leader. Half of
    w_s (B_s**2 / v + v) is the regret bound (G1) of a task. The sum of these terms at
    the v_t exceeds the sum at any fixed v = V, if all distances are at most D, by at
    most

        min(eps**2 / V, 2 eps) W_T + D**2 / (2 eps) max(1, D**2 / eps**2)
        sum_t w_t**2 / W_t,   W_t = w_1 + ... + w_t.

    References
    ----------
    .. [1] Khodak, Balcan, Talwalkar, "Adaptive Gradient-Based Meta-Learning Methods",
       NeurIPS 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from skmeta.step_size import SimilarityFTL
    >>> rule = SimilarityFTL(eps=0.3)
    >>> state = rule.start((1, 2))
    >>> rule.observe(state, np.array([[0.0, 0.4]]), None, n_samples=4, n_tasks=1)
    >>> round(rule.propose(state, n_samples=25, eta0=None), 3)
    0.1
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "eps": _POSITIVE,
        "lipschitz": _POSITIVE,
    }
    learns: ClassVar[bool] = False

    def __init__(self, eps: float = 1.0, *, lipschitz: float = 1.0):
        self.eps = eps
        self.lipschitz = lipschitz

    def start(self, shape: tuple[int, int]) -> np.ndarray:
        return np.zeros(2)  # sums of w B**2 and of w

    def propose(
        self, state: np.ndarray, n_samples: int, eta0: np.ndarray
    ) -> float | np.ndarray:
        squares, weights = state
        mean = squares / weights if weights else 0.0
        return float(
            np.sqrt(self.eps**2 + mean) / (self.lipschitz * np.sqrt(n_samples))
        )

    def observe(
        self,
        state: np.ndarray,
        displacement: np.ndarray,
        grad_sq: np.ndarray,
        n_samples: int,
        n_tasks: int,
    ) -> None:
        weight = self.lipschitz * np.sqrt(n_samples)
        state += weight * (displacement**2).sum(), weight


class EWOO(StepSize):
    """Step size from the distances of the tasks so far, by exponential weights.

    Exponentially weighted online optimisation (EWOO) over the values that the task
    similarity can have. Its regret grows with the logarithm of the number of tasks.

    Parameters
    ----------
    eps : float, default=1.0
        The smallest value of the similarity, > 0, in the units of the parameter.
    diameter : float, default=3.0
        D, a bound on the distance from the shared initialization to the parameter of a
        task, > 0. The regret bound holds if it is met. The similarity is at most
        sqrt(D**2 + eps**2).
    lipschitz : float, default=1.0
        Bound G on the norm of one sample's gradient, > 0.

    See Also
    --------
    SimilarityFTL : Simpler, and without a bound on the distances.

    Notes
    -----
    Task t of m_t samples is learned with eta_t = v_t / (G sqrt(m_t)), where v_t is the
    mean of v over [eps, sqrt(D**2 + eps**2)] with the density proportional to
    exp(-gamma_t F_{t-1}(v)),

        F_t(v) = sum_{s<=t} w_s ((B_s**2 + eps**2) / v + v),   w_s = G sqrt(m_s),
        gamma_t = 2 / (D max_{s<=t} w_s) min(eps**2 / D**2, 1),

    and B_s is the distance from the shared initialization to the parameter of task s
    [1]_ [2]_. The largest weight is that of the tasks so far and of the present one, so
    that lengths need not be known in advance. Half of w_s (B_s**2 / v + v) is the
    regret bound (G1) of a task. The sum of these terms at the v_t exceeds the sum at
    any fixed v = V by at most

        min(eps**2 / V, 2 eps) sum_t w_t
        + (D max_t w_t / 2) max(1, D**2 / eps**2) (1 + ln(T + 1)).

    The integrals are computed in the logarithm of v, relative to the largest value of
    the density: nothing under- or overflows, however many tasks there are.

    References
    ----------
    .. [1] Khodak, Balcan, Talwalkar, "Adaptive Gradient-Based Meta-Learning Methods",
       NeurIPS 2019.
    .. [2] Hazan, Agarwal, Kale, "Logarithmic Regret Algorithms for Online Convex
       Optimization", Machine Learning 69, 2007.

    Examples
    --------
    >>> from skmeta.step_size import EWOO
    >>> rule = EWOO(eps=0.75, diameter=1.0)  # v is between 0.75 and 1.25
    >>> round(rule.propose(rule.start((1, 2)), n_samples=25, eta0=None), 3)
    0.2
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "eps": _POSITIVE,
        "diameter": _POSITIVE,
        "lipschitz": _POSITIVE,
    }
    learns: ClassVar[bool] = False

    def __init__(
        self, eps: float = 1.0, *, diameter: float = 3.0, lipschitz: float = 1.0
    ):
        self.eps = eps
        self.diameter = diameter
        self.lipschitz = lipschitz

    def start(self, shape: tuple[int, int]) -> np.ndarray:
        return np.zeros(3)  # sums of w (B**2 + eps**2) and of w; the largest w

    def propose(
        self, state: np.ndarray, n_samples: int, eta0: np.ndarray
    ) -> float | np.ndarray:
        above, weights, largest = state
        weight = self.lipschitz * np.sqrt(n_samples)
        D = self.diameter
        gamma = 2.0 / (D * max(largest, weight)) * min((self.eps / D) ** 2, 1.0)
        high = np.hypot(D, self.eps)
        v = _mean_similarity(gamma * above, gamma * weights, self.eps, high)
        return float(v / weight)

    def observe(
        self,
        state: np.ndarray,
        displacement: np.ndarray,
        grad_sq: np.ndarray,
        n_samples: int,
        n_tasks: int,
    ) -> None:
        weight = self.lipschitz * np.sqrt(n_samples)
        state[0] += weight * ((displacement**2).sum() + self.eps**2)
        state[1] += weight
        state[2] = max(state[2], weight)


_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(100)
_NEGLIGIBLE = 60.0  # exp(-60) of the largest value of a density


def _mean_similarity(a: float, b: float, low: float, high: float) -> float:
    """The mean of v in [low, high] under the density exp(-(a / v + b v)).

    With x the logarithm of v over the mode sqrt(a / b), the exponent is a constant
    minus 2 sqrt(a b) (cosh(x) - 1), and dv is proportional to exp(x) dx. The nodes are
    spread over the x where the integrand is not negligible.
    """
    if not b:
        return 0.5 * (low + high)
    mode, size = np.sqrt(a / b), 2.0 * np.sqrt(a * b)
    ends = np.log(np.array([low, high]) / mode)

    def exponent(x: Any) -> Any:
        return x - 2.0 * size * np.sinh(0.5 * x) ** 2  # cosh(x) - 1 without cancelling

    top = float(np.clip(np.arcsinh(1.0 / size), *ends))
    least = exponent(top) - _NEGLIGIBLE
    for k in (0, 1):  # the exponent is concave: bisect on either side of its maximum
        inside, outside = top, ends[k]
        if exponent(outside) >= least:
            continue
        for _ in range(60):
            middle = 0.5 * (inside + outside)
            if exponent(middle) >= least:
                inside = middle
            else:
                outside = middle
        ends[k] = outside
    x = 0.5 * (ends[0] + ends[1]) + 0.5 * (ends[1] - ends[0]) * _NODES
    density = _NODE_WEIGHTS * np.exp(exponent(x) - exponent(top))
    return float(mode * (density @ np.exp(x)) / density.sum())


class FullMatrix(StepSize):
    """A matrix as step size, learned from distances and gradients (ARUBA).

    Parameters
    ----------
    eps : float, default=1.0
        Scale of the distances before the first task, > 0.
    zeta : float, default=1.0
        Scale of the gradients before the first task, > 0.
    p : float, default=1.0
        The regularisation added after task t decays as (t + 1)**-p, >= 0.

    See Also
    --------
    ARUBA : One step size for all parameters or for each.

    Notes
    -----
    Every row of weights has two matrices, B_1 = eps**2 I and G_1 = zeta**2 I, and

    - B_{t+1} = B_t + d_t d_t' / 2 + eps**2 / (t + 1)**p I,
    - G_{t+1} = G_t + sum_i g_{t,i} g_{t,i}' + zeta**2 / (t + 1)**p I,

    for d_t = theta_t - phi_t and the gradients g_{t,i} of the row. Its step size H_t is
    the minimiser of tr(inv(H) B_t) / 2 + tr(H G_t) / 2, the solution of H G_t H = B_t:

        H_t = G_t**(-1/2) (G_t**(1/2) B_t G_t**(1/2))**(1/2) G_t**(-1/2)

    [1]_. A task moves by theta_{i+1} = theta_i - H_t g_i (`update='ogd'`), its implicit
    form, or follow-the-regularized-leader in the norm of inv(H_t), and its regret
    against theta is at most the bound (G1) in this norm, without a ball:

        (theta - phi_t)' inv(H_t) (theta - phi_t) / 2 + sum_i g_i' H_t g_i / 2.

    It needs an inner learner that accepts matrices: `OGD*` with `update` 'implicit',
    'ogd' or 'ftrl', or `Biased*`. With `OGD*` the rows of a task are learned in the
    Python loop. Memory grows with the square of the number of features, time with its
    cube.

    References
    ----------
    .. [1] Khodak, Balcan, Talwalkar, "Adaptive Gradient-Based Meta-Learning Methods",
       NeurIPS 2019.

    Examples
    --------
    >>> from skmeta.step_size import FullMatrix
    >>> rule = FullMatrix(eps=0.5, zeta=2.0)
    >>> rule.propose(rule.start((1, 2)), n_samples=25, eta0=None)
    array([[[0.25, 0.  ],
            [0.  , 0.25]]])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "eps": _POSITIVE,
        "zeta": _POSITIVE,
        "p": [Interval(Real, 0, None, closed="left")],
    }
    needs: ClassVar[Literal["grad_sq", "grad_outer"]] = "grad_outer"

    def __init__(self, eps: float = 1.0, *, zeta: float = 1.0, p: float = 1.0):
        self.eps = eps
        self.zeta = zeta
        self.p = p

    def start(self, shape: tuple[int, int]) -> np.ndarray:
        state = np.zeros((2, *shape, shape[1]))
        self._regularise(state, 1.0)
        return state

    def propose(
        self, state: np.ndarray, n_samples: int, eta0: np.ndarray
    ) -> float | np.ndarray:
        return geometric_means(*state)

    def observe(
        self,
        state: np.ndarray,
        displacement: np.ndarray,
        grad_sq: np.ndarray,
        n_samples: int,
        n_tasks: int,
    ) -> None:
        state[0] += 0.5 * displacement[:, :, np.newaxis] * displacement[:, np.newaxis]
        state[1] += grad_sq
        self._regularise(state, (n_tasks + 1.0) ** self.p)

    def _regularise(self, state: np.ndarray, fading: float) -> None:
        for matrices, scale in zip(state, (self.eps, self.zeta), strict=True):
            of_each = diagonals(matrices)
            of_each += scale**2 / fading


STEP_SIZES: dict[str, StepSize] = {
    "doubling": Doubling(),
    "ewoo": EWOO(),
    "fixed": Fixed(),
    "full_matrix": FullMatrix(),
    "isotropic": ARUBA(),
    "per_coordinate": ARUBA((0.3, 1.0, 3.0, 10.0, 30.0), per_coordinate=True),
    "similarity_ftl": SimilarityFTL(),
}
