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

__all__ = ["ARUBA", "Doubling", "Fixed", "StepSize"]

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
        products of the gradients, one matrix for every output.
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

    Notes
    -----
    Task t has eta_t = sqrt(b_t / g_t), where b_1 = eps**2, g_1 = zeta**2 and

    - b_{t+1} = b_t + ||theta_t - phi_t||**2 / 2 + eps**2 / (t + 1)**p,
    - g_{t+1} = g_t + sum_i ||g_{t,i}||**2 + zeta**2 / (t + 1)**p,

    for theta_t the task's parameter, phi_t the shared initialization and g_{t,i} the
    gradients of the task; separately for every coordinate if `per_coordinate` [1]_.
    With one step size per parameter, the guarantee does not cover a ball (`radius`).

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
    }

    def __init__(
        self,
        eps: float | Sequence[float] = 1.0,
        *,
        zeta: float = 1.0,
        p: float = 1.0,
        per_coordinate: bool = False,
    ):
        self.eps = eps
        self.zeta = zeta
        self.p = p
        self.per_coordinate = per_coordinate

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
        b, g = state[self.leader(state), :2] if np.ndim(self.eps) else state
        return np.sqrt(b / g)

    def observe(
        self,
        state: np.ndarray,
        displacement: np.ndarray,
        grad_sq: np.ndarray,
        n_samples: int,
        n_tasks: int,
    ) -> None:
        decay = (n_tasks + 1.0) ** self.p
        squares = displacement**2
        squares = squares if self.per_coordinate else squares.sum()
        state[0] += self._scale**2 / decay
        state[0] += 0.5 * squares
        state[1] += grad_sq + self.zeta**2 / decay

    def candidates(self, state: np.ndarray) -> list[tuple[StepSize, np.ndarray]]:
        if np.ndim(self.eps) == 0:
            return [(self, state)]
        rules = (
            ARUBA(eps, zeta=self.zeta, p=self.p, per_coordinate=self.per_coordinate)
            for eps in self._several()
        )
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


STEP_SIZES: dict[str, StepSize] = {
    "doubling": Doubling(),
    "fixed": Fixed(),
    "isotropic": ARUBA(),
    "per_coordinate": ARUBA((0.3, 1.0, 3.0, 10.0, 30.0), per_coordinate=True),
}
