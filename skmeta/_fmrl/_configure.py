"""From the parameters of an estimator to an `Algorithm`, or to an error.

`REFUSALS` lists every combination of parts that is an error, and its message.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone, is_classifier, is_regressor

from skmeta._fmrl._algorithm import Algorithm, check_state
from skmeta._fmrl._loop import Options
from skmeta._fmrl._row_leader import MOST_NUMBERS, fits
from skmeta._fmrl._task_parameter import TASK_PARAMETERS
from skmeta._learners._foreign import foreign_learner
from skmeta._learners._protocol import Capability, InnerLearner
from skmeta._parameters import ParameterWatch
from skmeta._units import Coordinates
from skmeta.meta_step_size import (
    META_STEP_SIZES,
    Constant,
    FollowTheRows,
    MetaStepSize,
)
from skmeta.step_size import STEP_SIZES, Fixed, StepSize

NESTED = ("estimator", "step_size", "meta_step_size")  # may have parameters themselves


class Configuration(NamedTuple):
    """The algorithm that the parameters describe, and what it was made from."""

    watch: ParameterWatch
    shape: tuple[int, int]
    classes: np.ndarray | None
    algorithm: Algorithm
    options: Options

    def serves(self, shape: tuple[int, int], classes: np.ndarray | None) -> bool:
        """Whether the algorithm is for parameters of this shape and these classes."""
        if self.shape != shape:
            return False
        if classes is None or self.classes is None:
            return classes is self.classes
        return classes is self.classes or np.array_equal(classes, self.classes)


def configure(
    estimator: Any, shape: tuple[int, int], classes: np.ndarray | None
) -> Algorithm:
    """The algorithm that the parameters describe.

    Parameters
    ----------
    estimator : FMRLClassifier or FMRLRegressor
        Its own parameters are valid.
    shape : tuple of int
        Of a parameter of a linear model.
    classes : ndarray of shape (n_classes,) or None

    Returns
    -------
    algorithm : Algorithm

    Raises
    ------
    ValueError
        If a part is invalid, or parts cannot be combined.
    """
    inner = inner_estimator(estimator)
    learner = _learner(estimator, inner, shape, classes)
    shape = learner.shape(shape)
    step_size = _step_size(estimator.step_size, learner)
    algorithm = Algorithm(
        learner=learner,
        task_parameter=TASK_PARAMETERS[estimator.task_parameter],
        step_size=step_size,
        meta_step_size=_meta_step_size(estimator, learner, shape),
        standardize=estimator.standardize,
        shape=shape,
    )
    check_state(step_size.start(shape), step_size)
    check_state(algorithm.meta_step_size.start(), algorithm.meta_step_size)
    given = Given(estimator, type(inner).__name__, algorithm)
    for applies, sentence in REFUSALS:
        if applies(given):
            raise ValueError(sentence(given))
    return algorithm


def inner_estimator(estimator: Any, *, is_valid: bool = False) -> Any:
    """The inner estimator, its parameters validated unless they are known to be."""
    if estimator.estimator is None:
        return estimator._default_estimator()
    return (
        estimator.estimator
        if is_valid
        else _validated(estimator.estimator, "estimator")
    )


def _learner(
    estimator: Any, inner: Any, shape: tuple[int, int], classes: np.ndarray | None
) -> InnerLearner:
    same_kind = is_classifier if is_classifier(estimator) else is_regressor
    if not same_kind(inner):
        raise ValueError(
            f"The 'estimator' parameter of {type(estimator).__name__} must be "
            f"{estimator._default_estimator.__name__}() or another estimator of that "
            f"kind. Got {inner!r} instead."
        )
    make = getattr(inner, "inner_learner", None)
    if make is not None:
        learner = make(shape, classes)
        if not isinstance(learner, InnerLearner):
            raise TypeError(
                f"{type(inner).__name__}.inner_learner must return an InnerLearner. "
                f"Got {learner!r}."
            )
        if learner.layout is not None and learner.objective is not None:
            raise TypeError(
                f"{type(learner).__name__} has a layout and an objective, which is of "
                "linear models: set `objective` to None."
            )
        return learner
    return foreign_learner(inner, shape, classes)


def _step_size(value: Any, learner: InnerLearner) -> StepSize:
    if value is None:
        value = learner.default_step_size
    if isinstance(value, str):
        return STEP_SIZES[value]
    if isinstance(value, Real):
        return Fixed(float(value))
    return _resolved(value, StepSize, "step_size")


def _meta_step_size(
    estimator: Any, learner: InnerLearner, shape: tuple[int, int]
) -> MetaStepSize:
    value = estimator.meta_step_size
    if isinstance(value, str):
        is_default = (value, estimator.step_size) == ("ftl", None)
        is_default &= estimator.task_parameter == "last" and estimator.standardize
        if is_default and learner.objective is not None and fits(shape):
            return FollowTheRows()
        return META_STEP_SIZES[value]
    if isinstance(value, Real):
        return Constant(float(value))
    return _resolved(value, MetaStepSize, "meta_step_size")


def _resolved(value: Any, base: type, name: str) -> Any:
    """A private copy of an object given as a parameter."""
    _validated(value, name)
    if not isinstance(value, base):
        raise TypeError(
            f"The {name!r} parameter must be a float, a name, or an object of a class "
            f"derived from skmeta.{name}.{base.__name__}. Got {value!r} instead."
        )
    return clone(value)


def _validated(value: Any, name: str) -> Any:
    """An object given as a parameter, its own parameters validated."""
    if isinstance(value, type):
        raise ValueError(
            f"The {name!r} parameter is a class. Pass an instance of {value.__name__}, "
            f"not the class: {value.__name__}()."
        )
    if hasattr(value, "_parameter_constraints"):
        value._validate_params()
    return value


# ---- parts that cannot be combined


class Given(NamedTuple):
    """What the conditions of `REFUSALS` look at."""

    estimator: Any
    inner: str
    algorithm: Algorithm

    def lacks(self, capability: Capability) -> bool:
        """Whether the learner lacks a capability."""
        return capability not in self.algorithm.learner.can

    @property
    def pools(self) -> bool:
        """Whether the first initialization is computed from rows."""
        init = self.estimator.init
        return isinstance(init, str) and init == "pooled"

    @property
    def follows_rule(self) -> bool:
        """Whether the step size is not left to the learner."""
        rule = self.algorithm.step_size
        return not rule.uses_eta0

    @property
    def follows_rows(self) -> bool:
        """Whether the initialization minimises the losses of all rows."""
        return self.algorithm.meta_step_size.follows_rows

    @property
    def radius(self) -> float:
        """Of the ball of the learner."""
        objective = self.algorithm.learner.objective
        return np.inf if objective is None else objective.radius


_SAME = Coordinates(np.zeros(1), np.ones(1))
_OURS = "an estimator of skmeta.linear_model"

Refusal = tuple[Callable[[Given], bool], Callable[[Given], str]]
REFUSALS: list[Refusal] = [
    (
        lambda given: given.follows_rule and given.lacks(Capability.STEPS),
        lambda given: (
            f"{given.inner} does not accept a step size: use step_size='fixed', or "
            f"{_OURS}. Got step_size={given.estimator.step_size!r}."
        ),
    ),
    (
        lambda given: (
            given.follows_rule
            and (given.lacks(Capability.GRADIENTS) or given.lacks(Capability.LOSSES))
            and given.algorithm.step_size.learns
        ),
        lambda given: (
            f"{given.inner} does not report the gradients and losses that a learned "
            f"step size needs: use step_size='fixed' or a float, or {_OURS}. Got "
            f"step_size={given.estimator.step_size!r}."
        ),
    ),
    (
        lambda given: (
            given.follows_rule and given.algorithm.learner.changed_step is not None
        ),
        lambda given: (
            f"{given.inner} has {given.algorithm.learner.changed_step}, which "
            f"step_size={given.estimator.step_size!r} does not use: set "
            "step_size='fixed', or leave the parameter at its default."
        ),
    ),
    (
        lambda given: bool(
            given.algorithm.task_parameter.needs - given.algorithm.learner.can
        ),
        lambda given: (
            f"{given.inner} does not report an average iterate: use "
            "task_parameter='last', or "
            f"{_OURS}. Got task_parameter={given.estimator.task_parameter!r}."
        ),
    ),
    (
        lambda given: (
            given.algorithm.task_parameter.needs_objective
            and given.algorithm.learner.objective is None
        ),
        lambda given: (
            f"{given.inner} does not name the loss that it minimises: use "
            f"task_parameter='last', or {_OURS}. Got task_parameter="
            f"{given.estimator.task_parameter!r}."
        ),
    ),
    (
        lambda given: (
            given.algorithm.task_parameter.needs_step and given.lacks(Capability.STEPS)
        ),
        lambda given: (
            f"{given.inner} has no step size, which "
            f"task_parameter={given.estimator.task_parameter!r} needs: use 'last', "
            "'average' or 'optimum'."
        ),
    ),
    (
        lambda given: given.algorithm.learner.unused is not None,
        lambda given: (
            f"{given.inner} has {given.algorithm.learner.unused}, which "
            f"{type(given.estimator).__name__} does not use: give it `init` or its own "
            "`class_weight`, and leave those of the inner learner None."
        ),
    ),
    (
        lambda given: given.pools and given.algorithm.learner.objective is None,
        lambda given: (
            f"{given.inner} does not name the loss that it minimises, which pooling "
            f"needs: use init='zero' or an array, or {_OURS}. Got "
            f"init={given.estimator.init!r}."
        ),
    ),
    (
        lambda given: given.algorithm.standardize and np.isfinite(given.radius),
        lambda given: (
            f"{given.inner} has radius={given.radius:g}, a ball of raw parameters, but "
            "standardize=True learns in other units: set standardize=False, and scale "
            "the features yourself."
        ),
    ),
    (
        lambda given: (
            given.algorithm.standardize and given.algorithm.learner.units(_SAME) is None
        ),
        lambda given: (
            f"{given.inner} cannot be used with standardize=True: its parameters "
            "cannot be converted when the units of the features change. Set "
            "standardize=False, and scale the features yourself (StandardScaler)."
        ),
    ),
    (
        lambda given: given.follows_rows and given.algorithm.learner.objective is None,
        lambda given: (
            f"{given.inner} does not name the loss that it minimises, which "
            f"FollowTheRows needs: use meta_step_size=FollowTheLeader(), or {_OURS}."
        ),
    ),
    (
        lambda given: given.follows_rows and np.isfinite(given.radius),
        lambda given: (
            f"{given.inner} has radius={given.radius:g}, but FollowTheRows does not "
            "keep to a ball: use meta_step_size=FollowTheLeader()."
        ),
    ),
    (
        lambda given: given.follows_rows and not fits(given.algorithm.shape),
        lambda given: (
            "FollowTheRows keeps n_outputs * (n_features + 2)**2 numbers, at most "
            f"{MOST_NUMBERS}. Got n_outputs={given.algorithm.shape[0]} and n_features="
            f"{given.algorithm.shape[1] - 1}: use meta_step_size=FollowTheLeader()."
        ),
    ),
    (
        lambda given: (
            given.algorithm.step_size.needs == "grad_outer"
            and given.lacks(Capability.MATRIX_STEPS)
        ),
        lambda given: (
            f"{given.inner} does not accept a matrix as step size, which step_size="
            f"{given.estimator.step_size!r} proposes: use BiasedRidge, "
            "BiasedLogisticRegression, or OGD* with update='implicit', 'ogd' or 'ftrl'."
        ),
    ),
    (
        lambda given: (
            given.algorithm.step_size.needs == "grad_outer"
            and given.estimator.task_parameter == "regularized"
            and given.lacks(Capability.EXACT)
        ),
        lambda given: (
            "task_parameter='regularized' with a matrix as step size needs BiasedRidge "
            f"or BiasedLogisticRegression. Got {given.inner} with step_size="
            f"{given.estimator.step_size!r}."
        ),
    ),
    (
        lambda given: (
            given.algorithm.step_size.shrinks
            and given.lacks(Capability.SHRINKING_STEPS)
        ),
        lambda given: (
            f"{given.inner} does not accept steps that shrink within a task, as those "
            f"of step_size={given.estimator.step_size!r} do: set shrink=0.0, or use "
            "OGD* with update='implicit' or 'ogd'."
        ),
    ),
    (
        lambda given: given.lacks(Capability.COORDINATE_STEPS) and _n_etas(given) > 1,
        lambda given: (
            f"{given.inner} needs a single step size: it cannot be combined with "
            f"step_size={given.estimator.step_size!r}."
        ),
    ),
]


def _n_etas(given: Given) -> int:
    algorithm = given.algorithm
    rule, learner = algorithm.step_size, algorithm.learner
    state = rule.start(algorithm.shape)
    return algorithm.propose(rule, state, learner, 1).size
