"""An algorithm of the family, with every name resolved.

inner learner x task parameter x step size x meta step size, in raw units or in learned
ones. A part whose class the compiled loop knows has a name there; an algorithm that has
such parts only has a `plan`, and then one call learns all tasks of a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from skmeta import _kernels
from skmeta._fmrl._task_parameter import Average, Last, TaskParameter
from skmeta._learners._protocol import Capability, InnerLearner
from skmeta._step_matrices import are_semidefinite
from skmeta._units import Coordinates, Moments
from skmeta.losses import Loss
from skmeta.meta_step_size import (
    Constant,
    Discounted,
    FollowTheLeader,
    FollowTheRows,
    LinearDecay,
    MetaStepSize,
)
from skmeta.step_size import ARUBA, Doubling, Fixed, SimilarityFTL, StepSize

# What the compiled loop knows of a class, but not of a subclass, which may compute
# something else. The name, and the parameters in the order in which they are read.
_STEP_SIZES: dict[type, Callable[[Any], tuple[str, tuple[float, ...]]]] = {
    Fixed: lambda rule: ("fixed", ()),
    Doubling: lambda rule: ("doubling", (rule.gamma, rule.lipschitz)),
    SimilarityFTL: lambda rule: ("similarity_ftl", (rule.eps, rule.lipschitz)),
    ARUBA: lambda rule: (
        "aruba",
        (rule.eps, rule.zeta, rule.p, rule.gradient_share, 1.0 - rule.decay),
    ),
}
_META_STEP_SIZES: dict[type, Callable[[Any], tuple[str, tuple[float, ...]]]] = {
    Constant: lambda rule: ("constant", (rule.value,)),
    Discounted: lambda rule: ("discounted", (rule.half_life,)),
    FollowTheLeader: lambda rule: ("ftl", ()),
    FollowTheRows: lambda rule: ("constant", (0.0,)),
    LinearDecay: lambda rule: ("linear", (rule.first, rule.final, rule.n_tasks)),
}
_AVERAGES = {Average: True, Last: False}


@dataclass(frozen=True, eq=False)
class Algorithm:
    """One algorithm of the family.

    Attributes
    ----------
    learner : InnerLearner
    task_parameter : TaskParameter
    step_size : StepSize
    meta_step_size : MetaStepSize
    standardize : bool
        Whether tasks are learned in units learned from the rows before them.
    shape : tuple of int
        Of a parameter: (n_outputs, n_features + 1), or (1, n_parameters) if flat.
    """

    learner: InnerLearner
    task_parameter: TaskParameter
    step_size: StepSize
    meta_step_size: MetaStepSize
    standardize: bool
    shape: tuple[int, int]

    @property
    def centers(self) -> bool:
        """Whether there is an intercept, so that features can be centred."""
        objective = self.learner.objective
        return objective is None or objective.bias != 0

    @property
    def loss(self) -> Loss | None:
        """The loss of a sample, if the learner names one."""
        objective = self.learner.objective
        return None if objective is None else objective.loss

    @property
    def scales_target(self) -> bool:
        """Whether the learner allows the target to be rescaled."""
        return self.learner.scales_target

    def units(self, moments: Moments, before: Moments) -> Coordinates:
        """The units of the features so far, and of the targets before this task.

        Where these have not varied, the units of the targets are those of this task.
        """
        if moments.n_rows:
            linear = moments.coordinates(
                scales_target=self.scales_target,
                target=before if before.has_varied_target else None,
            )
        else:  # no task can be learned
            d = moments.mean.size - 1
            linear = Coordinates(np.zeros(d), np.zeros(d))
        coordinates = self.learner.units(linear)
        assert coordinates is not None
        return coordinates

    @cached_property
    def plans(self) -> list[Any]:
        """The compiled form of every candidate for a meta-batch, or None."""
        state = self.step_size.start(self.shape)
        rules = [rule for rule, _ in self.step_size.candidates(state)]
        return [_compile(self, rule) for rule in rules]

    def plans_for(self, learner: InnerLearner) -> list[Any]:
        """`plans` with this learner, which is that of the algorithm or in units."""
        if learner is self.learner:
            return self.plans
        return replace(self, learner=learner, standardize=False).plans

    @cached_property
    def plan(self) -> Any:
        """The compiled form of this algorithm, or None."""
        candidates = self.step_size.candidates(self.step_size.start(self.shape))
        if candidates[0][0] is self.step_size:
            return _compile(self, self.step_size)
        if type(self.step_size) not in _STEP_SIZES:
            return None
        return _compile(self, *(rule for rule, _ in candidates), several=True)

    def can_compile(self, X: Any) -> bool:
        """Whether the compiled loop learns the tasks of this matrix, one by one."""
        is_served = isinstance(X, np.ndarray) or not self.standardize
        return is_served and self.plan is not None

    def __getstate__(self) -> dict[str, Any]:
        state = vars(self).copy()
        for name in ("plan", "plans"):
            state.pop(name, None)
        return state

    def first(self, seed: int) -> np.ndarray:
        """Where learning starts with init='zero', checked."""
        name, first = type(self.learner).__name__, self.learner.first(self.shape, seed)
        if np.shape(first) != self.shape or not np.isfinite(first).all():
            raise ValueError(
                f"{name}.first must return finite numbers of shape {self.shape}. Got "
                f"{first!r}."
            )
        return np.array(first, dtype=np.float64)

    def check_same_layout(self, other: Algorithm) -> None:
        """Refuse to continue with parameters of another layout."""
        before, now = self.learner.layout, other.learner.layout
        if before != now:
            raise ValueError(
                "The layout of the parameters changed since the last call, from "
                f"{before} to {now}: another estimator, or a network of other layers. "
                "Call fit to start again."
            )

    def propose(
        self, rule: StepSize, state: np.ndarray, learner: InnerLearner, n_samples: int
    ) -> np.ndarray:
        """The step size of a task, checked."""
        eta0 = learner.step(n_samples)
        if Capability.STEPS not in learner.can:
            return eta0
        return check_step(rule.propose(state, n_samples, eta0), rule, self)

    def share(
        self, state: np.ndarray, n_tasks: int, weight: float, is_first: bool
    ) -> float:
        """The share of the way that the initialization moves, checked."""
        rule = self.meta_step_size
        share = rule.share(state, n_tasks, weight, is_first)
        try:
            share = float(share)
        except (TypeError, ValueError):
            share = np.nan
        if not 0.0 <= share <= 1.0:
            raise ValueError(
                f"{type(rule).__name__}.share must return a float in [0, 1]. Got "
                f"{share!r} at task {n_tasks}."
            )
        return share


def _compile(algorithm: Algorithm, *rules: StepSize, several: bool = False) -> Any:
    """The compiled form of an algorithm that follows this rule, or None.

    Several rules are candidates of one class.
    """
    learner: Any = algorithm.learner
    known = _STEP_SIZES.get(type(rules[0]))
    meta = _META_STEP_SIZES.get(type(algorithm.meta_step_size))
    average = _AVERAGES.get(type(algorithm.task_parameter))
    if not _kernels.COMPILED or known is None or meta is None or average is None:
        return None
    if not learner.can_stream or learner.loss.compiled not in _kernels.LOSSES:
        return None
    rule, loss = rules[0], learner.loss
    eta = rule.propose(rule.start(algorithm.shape), 1, learner.eta0)
    eta = check_step(eta, rule, algorithm)
    units = None
    if algorithm.standardize:
        degree = loss.degree if algorithm.scales_target else 0
        in_units = degree and loss.in_units(0.5).parameter != loss.parameter
        units = algorithm.centers, degree, bool(in_units)
    return _kernels.Plan(
        learner,
        step_size=known(rule)[0],
        step_size_parameters=known(rule)[1],
        candidates=[known(rule)[1] for rule in rules] if several else None,
        n_etas=eta.size,
        eta0=learner.eta0 if rule.uses_eta0 else eta,
        divide_by_root=learner.divide_by_root and rule.uses_eta0,
        meta_step_size=meta(algorithm.meta_step_size)[0],
        meta_parameters=meta(algorithm.meta_step_size)[1],
        average=average,
        units=units,
    )


def check_step(eta: Any, rule: StepSize, algorithm: Algorithm) -> np.ndarray:
    """What a rule proposes, as a float64 array of one of the allowed shapes."""
    name = f"{type(rule).__name__}.propose"
    shape = algorithm.shape
    try:
        array = np.asarray(eta, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must return numbers. Got {eta!r}: {error}.") from error
    array = np.ascontiguousarray(array.reshape(1, 1) if array.ndim == 0 else array)
    matrix = (*shape, shape[1])
    if array.shape not in ((1, 1), shape, matrix):
        raise ValueError(
            f"{name} must return a float, or an array of shape (1, 1), {shape} or "
            f"{matrix}. Got shape {array.shape}."
        )
    if array.ndim == 3 and Capability.MATRIX_STEPS not in algorithm.learner.can:
        raise ValueError(
            f"{name} returned a matrix, but {type(algorithm.learner).__name__} takes "
            "one step size, or one for every parameter."
        )
    if array.ndim == 3:
        if not are_semidefinite(array):
            raise ValueError(
                f"{name} must return symmetric, positive semidefinite, finite matrices."
                f" Got {eta!r}."
            )
    elif not (np.isfinite(array).all() and (array > 0).all()):
        raise ValueError(
            f"{name} must return positive, finite step sizes. Got {eta!r}."
        )
    return array


def check_state(state: Any, rule: StepSize | MetaStepSize) -> np.ndarray:
    """What `start` of a rule returns: a float64 array of finite numbers."""
    name = f"{type(rule).__name__}.start"
    if not (isinstance(state, np.ndarray) and state.dtype == np.float64):
        raise TypeError(f"{name} must return a float64 array. Got {state!r}.")
    if not np.isfinite(state).all():
        raise ValueError(f"{name} must return finite numbers. Got {state!r}.")
    return state


# Rules of these classes learn from several tasks by one call.
_OBSERVE_ALL: dict[type, Callable[..., None]] = {ARUBA: ARUBA.observe_all}


def observe_all(
    rule: StepSize,
    state: np.ndarray,
    displacements: np.ndarray,
    grad_sq: np.ndarray,
    n_samples: np.ndarray,
    numbers: np.ndarray,
) -> None:
    """Let a rule learn from tasks, in order; `numbers` count them from 1."""
    together = _OBSERVE_ALL.get(type(rule))
    if together is not None:
        together(rule, state, displacements, grad_sq, numbers)
        return
    tasks = zip(
        displacements, grad_sq, n_samples.tolist(), numbers.tolist(), strict=True
    )
    for task in tasks:
        rule.observe(state, *task)


def check_observed(
    state: np.ndarray, rule: StepSize | MetaStepSize, n_tasks: int
) -> None:
    """Refuse a state that a rule has made NaN or infinite."""
    if not np.isfinite(state).all():
        raise ValueError(
            f"The state of {type(rule).__name__} holds NaN or infinity after task "
            f"{n_tasks}: its observe or share must keep it finite."
        )
