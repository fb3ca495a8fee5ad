"""Step sizes of the inner learner, and how they are learned from task to task.

A rule holds hyperparameters only. What it learns is one float64 array, the *rule
state*, that `start` makes, `propose` reads and `observe` updates in place. A rule with
a `code` is also known to the compiled loop, which reads `kernel_parameters`.
"""

from collections.abc import Sequence
from numbers import Real
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from skmeta._matrices import as_matrices
from skmeta._prior import MAX_ENTRIES, Prior
from skmeta._sklearn import Interval, StrOptions

__all__ = ["ARUBA", "Doubling", "EmpiricalBayes", "Fixed"]

_POSITIVE = [Interval(Real, 0, None, closed="neither")]


class _StepSize(BaseEstimator):
    """One array state, two functions of it.

    Methods
    -------
    start(shape)
        The state before the first task, for parameters of this shape.
    propose(state, n_samples, eta0)
        The step size of a task with `n_samples` samples: an array of shape (1, 1) or
        (n_outputs, n_features + 1), or a matrix of that width per output. `eta0` is the
        inner learner's own, likewise.
    observe(state, moved, grad_sq, n_tasks)
        Learn from a finished task: `moved` is its parameter minus the shared
        initialization, `grad_sq` its sum of squared gradients in the shape of the step
        size, `n_tasks` the number of tasks so far, this one included.
    observe_tasks(state, tasks, phi, parameters, n_tasks)
        In place of `observe`, of a rule that learns from the rows of finished tasks: a
        list of `TaskLoss` that have one initialization `phi`, with their parameters.
        Returns the way to the leader among the initializations, and the posterior
        means of the parameters. Goes with
    is_new(state)
        Whether no task was observed yet.
    propose_first(state, task)
        The step size of a task that is run before any was observed.
    noise(state)
        Variance of the noise, or None.
    candidates(state)
        Optional: the rules that every task is run with, one after another. Pairs of a
        rule and its part of the state, which are observed in place of the whole.
    leader(state)
        With candidates: the number of the candidate that `propose` follows.
    judge(state, losses)
        With candidates: learn their prequential losses on finished tasks.
    """

    code: ClassVar[int | None] = None
    kernel_parameters: tuple[float, float, float] = (0.0, 0.0, 0.0)


class Fixed(_StepSize):
    """The inner learner's own step size: its `eta0` and `learning_rate`.

    Examples
    --------
    >>> from skmeta import FMRLRegressor
    >>> from skmeta.linear_model import OGDRegressor
    >>> model = FMRLRegressor(OGDRegressor(eta0=0.2), step_size="fixed")
    >>> model.fit([[1]], [1]).step_size_
    0.2
    """

    _parameter_constraints: ClassVar[dict] = {}
    code = 0

    def start(self, shape):
        return np.zeros(0)

    def propose(self, state, n_samples, eta0):
        return eta0

    def observe(self, state, moved, grad_sq, n_tasks):
        pass


class Doubling(_StepSize):
    """A guess of the distance from the initialization to the tasks, raised if exceeded.

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
    Task t of m_t samples runs with eta_t = D_t / (G sqrt(m_t)). After it,
    D_{t+1} = gamma D_t if the task's parameter lies farther than D_t from the shared
    initialization, and D_{t+1} = D_t otherwise [1]_.

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

    _parameter_constraints: ClassVar[dict] = {
        "radius": _POSITIVE,
        "gamma": [Interval(Real, 1, None, closed="neither")],
        "lipschitz": _POSITIVE,
    }
    code = 1

    def __init__(
        self, radius: float = 0.1, *, gamma: float = 1.1, lipschitz: float = 1.0
    ):
        self.radius = radius
        self.gamma = gamma
        self.lipschitz = lipschitz

    @property
    def kernel_parameters(self):
        return (self.gamma, self.lipschitz, 0.0)

    def start(self, shape):
        return np.full((1, 1), float(self.radius))

    def propose(self, state, n_samples, eta0):
        return state / (self.lipschitz * np.sqrt(n_samples))

    def observe(self, state, moved, grad_sq, n_tasks):
        if np.sqrt((moved**2).sum()) > state[0, 0]:
            state *= self.gamma


class ARUBA(_StepSize):
    """Step sizes from the distances and gradients of the tasks so far.

    Parameters
    ----------
    eps : float or sequence of floats, default=1.0
        Scale of the distances before any task was seen, > 0. Of several, each task is
        run with all, and the one that has predicted best so far is followed.
    zeta : float, default=1.0
        Scale of the gradients before any task was seen, > 0.
    p : float, default=1.0
        The regularisation added after task t decays as (t + 1)**-p, >= 0.
    per_coordinate : bool, default=False
        Learn one step size per parameter rather than one for all. A parameter in which
        tasks do not differ then gets a small step.

    Notes
    -----
    Task t runs with eta_t = sqrt(b_t / g_t), where b_1 = eps**2, g_1 = zeta**2 and

    - b_{t+1} = b_t + ||theta_t - phi_t||**2 / 2 + eps**2 / (t + 1)**p,
    - g_{t+1} = g_t + sum_i ||g_{t,i}||**2 + zeta**2 / (t + 1)**p,

    for theta_t the task's parameter, phi_t the shared initialization and g_{t,i} the
    gradients of the task; coordinate by coordinate if `per_coordinate` [1]_. With one
    step size per parameter, the guarantee does not cover a ball (`radius`).

    Several `eps` have a b_t and a g_t each, from runs of their own that all start at
    phi_t. eta_t is that of the smallest sum of prequential losses over the tasks before
    t, the first one's in a tie; theta_t, with which phi_t moves, comes from its run.
    A run that leaves the finite numbers loses for good. Time grows with their number.

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

    _parameter_constraints: ClassVar[dict] = {
        "eps": [*_POSITIVE, "array-like"],
        "zeta": _POSITIVE,
        "p": [Interval(Real, 0, None, closed="left")],
        "per_coordinate": ["boolean"],
    }
    code = 2

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

    @property
    def kernel_parameters(self):
        return (self.eps, self.zeta, self.p)

    def start(self, shape):
        size = shape if self.per_coordinate else (1, 1)
        if np.ndim(self.eps) == 0:
            state = np.empty((2, *size))
            state[0], state[1] = self.eps**2, self.zeta**2
            return state
        state = np.zeros((len(self._several()), 3, *size))  # the losses last
        for rule, part in self.candidates(state):
            part[:] = rule.start(shape)
        return state

    def propose(self, state, n_samples, eta0):
        b, g = state[self.leader(state), :2] if np.ndim(self.eps) else state
        return np.sqrt(b / g)

    def observe(self, state, moved, grad_sq, n_tasks):
        decay = (n_tasks + 1.0) ** self.p
        squares = moved**2 if self.per_coordinate else (moved**2).sum()
        state[0] += self.eps**2 / decay
        state[0] += 0.5 * squares
        state[1] += grad_sq + self.zeta**2 / decay

    def candidates(self, state):
        if np.ndim(self.eps) == 0:
            return [(self, state)]
        rest = {"zeta": self.zeta, "p": self.p, "per_coordinate": self.per_coordinate}
        rules = (ARUBA(eps, **rest) for eps in self._several())
        return list(zip(rules, state[:, :2], strict=True))

    def leader(self, state):
        return int(state[:, 2, 0, 0].argmin()) if np.ndim(self.eps) else 0

    def judge(self, state, losses):
        if np.ndim(self.eps):
            state[:, 2] += losses[:, np.newaxis, np.newaxis]

    def _several(self):
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


class EmpiricalBayes(_StepSize):
    """The covariance of the tasks' parameters over the variance of the noise.

    Learns a Gaussian prior of the parameters, and the noise, in one pass over the
    tasks. A task that is solved with this step size from the shared initialization ends
    at the posterior mean of its parameters. For learners that solve the regularised
    problem exactly: `BiasedRidge` and `BiasedLogisticRegression`.

    Parameters
    ----------
    covariance : {'diagonal', 'full'}, default='diagonal'
        Whether the parameters of a task vary independently of each other about the
        shared initialization, for features that are centred. 'full' needs more tasks
        than parameters.
    decay : float, default=0.7
        Task t has the share (t + 1)**-decay in what is learned, in (0.5, 1].

    Notes
    -----
    The model is y = X theta_t + noise of variance v, theta_t ~ N(phi, S). For task t of
    m rows, P = (X S X' + v I)^-1 and

    - theta = phi + S X' P (y - X phi), C = S - S X' P X S,
    - S_jj = mean of (theta_j - phi_j)^2 / mean of (1 - C_jj / S_jj),
    - v = mean of ||y - X theta||^2 / mean of (m - trace(X C X') / v),
    - H += X' P X, phi += H^-1 X' P (y - X phi),

    where the means run over the tasks so far: each is moved by the share
    g = (t + 1)**-decay of the way to what task t shows, with the S, v and phi of its
    turn. 1 - C_jj / S_jj is the part of a parameter that the rows of a task determine.
    These are MacKay's updates of the evidence [1]_; expectation maximisation has the
    same fixed point, but is slow where variances are small. A full S takes steps of
    online expectation maximisation [2]_, S += g ((theta - phi)(theta - phi)' + C - S).
    The step size is eta = S / v, a matrix; `step_size_` is its diagonal.

    The last line is ``meta_update='gls'``, which 'auto' stands for with this rule: phi
    is the generalised least squares estimate from all tasks so far, which follows the
    leader with matrices of information as weights. Other meta-updates move phi towards
    theta as always. A task that returns continues from its own parameter, and is
    learned from as though it was new. The tasks of a meta-batch have one S, v and phi.

    The recursion runs in units of the rows seen so far, features and target centred and
    divided by their spread, so that results do not depend on the units of the data. A
    feature that has not varied yet has no slope. The first task is run in units of its
    own features; its parameter is solved for again when its targets are known. S starts
    with one half of the variance of the target, half of it the intercept's, v with the
    other. In these units both have a floor of 1e-4, and H starts with what one row
    tells. Digits are lost where a feature is farther from zero than 1e5 of its spreads:
    subtract a constant from such a feature, a date in seconds for example.

    For the log loss, v = 1, C is the inverse of the second derivative at theta
    (Laplace's approximation), X' P X and X' P (y - X phi) follow from it. There is one
    prior per row of weights.

    The state holds two matrices as large as the number of parameters squared, per row
    of weights; beyond 2**25 entries each it is refused. A task costs time in the cube
    of that number.

    References
    ----------
    .. [1] MacKay, "Bayesian interpolation", Neural Computation, 1992.
    .. [2] Cappe, Moulines, "On-line expectation-maximization algorithm for latent data
       models", Journal of the Royal Statistical Society B, 2009.

    Examples
    --------
    >>> from skmeta import FMRLRegressor
    >>> from skmeta.datasets import make_task_regression
    >>> from skmeta.linear_model import BiasedRidge
    >>> from skmeta.step_size import EmpiricalBayes
    >>> X, y, tasks = make_task_regression(n_tasks=200, random_state=0)
    >>> model = FMRLRegressor(BiasedRidge(), step_size=EmpiricalBayes())
    >>> model.fit(X, y, tasks=tasks).step_size_.shape
    (1, 6)
    >>> mean, std = model.predict(X[:3], return_std=True)
    >>> std.shape
    (3,)
    """

    _parameter_constraints: ClassVar[dict] = {
        "covariance": [StrOptions({"diagonal", "full"})],
        "decay": [Interval(Real, 0.5, 1, closed="right")],
    }

    def __init__(self, covariance: str = "diagonal", *, decay: float = 0.7):
        self.covariance = covariance
        self.decay = decay

    def start(self, shape):
        if shape[0] * shape[1] ** 2 > MAX_ENTRIES:
            raise ValueError(
                f"EmpiricalBayes keeps {shape[0]} matrices of {shape[1]} x {shape[1]} "
                f"entries, more than the {MAX_ENTRIES} that it allows: select or "
                "combine features, or use step_size='per_coordinate'."
            )
        return Prior.start(shape)

    def propose(self, state, n_samples, eta0):
        prior = Prior(state)
        if not prior.n_rows:
            return as_matrices(eta0, (len(state), state.shape[-1]))
        return prior.raw_covariance()

    def is_new(self, state):
        return not Prior(state).n_rows

    def propose_first(self, state, task):
        return Prior(state.copy()).in_units_of(task)

    def observe_tasks(self, state, tasks, phi, parameters, n_tasks):
        numbers = np.arange(n_tasks - len(tasks), n_tasks) + 1.0
        rates = (numbers + 1.0) ** -self.decay
        full = self.covariance == "full"
        return Prior(state).learn(tasks, phi, parameters, rates, full=full)

    def noise(self, state):
        """Variance of the noise, in units of the target; None before the first task."""
        prior = Prior(state)
        return float(prior.raw_noise()[0]) if prior.n_rows else None


STEP_SIZES = {
    "doubling": Doubling(),
    "empirical_bayes": EmpiricalBayes(),
    "fixed": Fixed(),
    "isotropic": ARUBA(),
    "per_coordinate": ARUBA((0.3, 1.0, 3.0, 10.0, 30.0), per_coordinate=True),
}
