"""What an inner learner is."""

from __future__ import annotations

from enum import Enum, auto
from math import isfinite, prod
from typing import Any, ClassVar, NamedTuple

import numpy as np

from skmeta._batch import Objective, Task
from skmeta._units import Coordinates


class Capability(Enum):
    """What an inner learner can do besides moving its parameter.

    Examples
    --------
    >>> from skmeta.linear_model import BiasedRidge, Capability
    >>> learner = BiasedRidge().inner_learner((1, 3))
    >>> Capability.MATRIX_STEPS in learner.can
    True
    """

    STEPS = auto()  #: takes its step size from the meta-learner
    COORDINATE_STEPS = auto()  #: takes one step size per parameter
    LOSSES = auto()  #: reports the prequential loss of every sample
    GRADIENTS = auto()  #: reports sums of squared gradients
    AVERAGE = auto()  #: reports the average iterate
    EXACT = auto()  #: returns the minimiser of the loss regularised towards the start
    MATRIX_STEPS = auto()  #: takes a matrix as step size
    SHRINKING_STEPS = auto()  #: takes steps that shrink within a task, in `fitted`


class Outcome(NamedTuple):
    """What a learner returns for a task.

    Parameters
    ----------
    last : ndarray of the shape of the parameter
        The last iterate: (n_outputs, n_features + 1), or (1, n_parameters) if flat.
    average : ndarray of the shape of `last` or None
        The mean of the iterates at which gradients were taken.
    losses : ndarray of shape (n_samples,) or None
        Prequential losses: every sample is predicted before it is learned from.
    grad_sq : ndarray of the shape of the step size or None
        Sum of the squared gradients; of their outer products for a matrix.
    problem : str or None
        Why the task could not be learned, as a clause without a full stop. The other
        fields are then ignored.

    Examples
    --------
    >>> import numpy as np
    >>> from skmeta.linear_model import Outcome
    >>> Outcome(np.zeros((1, 3))).problem is None
    True
    """

    last: np.ndarray
    average: np.ndarray | None = None
    losses: np.ndarray | None = None
    grad_sq: np.ndarray | None = None
    problem: str | None = None


class InnerLearner:
    """Base class of inner learners, which train a model on one task.

    An estimator can be the inner estimator of `FMRLClassifier` or `FMRLRegressor` if it
    has a method ``inner_learner(shape, classes)`` that returns a learner: `shape` is
    (n_outputs, n_features + 1), and `classes` the class labels, or None for a
    regressor.

    The model is linear, with a parameter of that shape and the intercept last, unless
    the learner has a `layout`. Then its parameter is flat, of shape (1, n_parameters),
    and the learner must define `first` and `respond` (:class:`FlatLearner` does).

    Attributes
    ----------
    can : frozenset of Capability
        What the learner can do. A meta-estimator that needs more raises an error.
    guarantee : {'G1', 'EG', 'COIN'} or None
        'G1' claims the regret bound (G1) of :func:`skmeta.metrics.regret_bound` for
        every task, 'EG' that of :func:`skmeta.metrics.eg_regret_bound` and 'COIN' that
        of :func:`skmeta.metrics.coin_regret_bound`. No bound is reported without this
        claim.
    objective : Objective or None
        The loss that is minimised, its intercept and its ball, if it has one. It is
        needed for `init='pooled'`, for task parameters that are minimisers, and for
        :func:`skmeta.metrics.regret_report`. None with a `layout`.
    changed_step : str or None
        The step-size parameters of the estimator, as text, if they differ from their
        defaults: they must not be ignored silently.
    unused : str or None
        The same of the parameters that a meta-estimator replaces: the start and the
        weights of classes.
    default_step_size : str
        The name of the rule for ``step_size=None``.
    can_stream : bool
        Whether the compiled loop can run the learner.
    layout : tuple of tuple of int, or None
        The shapes of the arrays that a flat parameter consists of, in order. None: the
        model is linear.
    scales_target : bool
        Whether `standardize=True` rescales the target. By default, whether the
        objective has a loss of residuals.
    holds_gil : bool
        Whether `run` holds the global interpreter lock, so that tasks run in parallel
        in processes only. True by default.

    See Also
    --------
    FlatLearner : For networks and other models with flat parameters.
    skmeta.step_size.StepSize : Sets the step size of every task.

    Examples
    --------
    >>> import numpy as np
    >>> from skmeta.linear_model import InnerLearner, Outcome, Task
    >>> class Mean(InnerLearner):
    ...     "Moves the intercept by a step towards the mean of the targets."
    ...
    ...     def run(self, task, start, eta, *, average):
    ...         last = start.copy()
    ...         last[:, -1] += 0.5 * (task.y.mean() - last[:, -1])
    ...         return Outcome(last)
    >>> task = Task(np.zeros((2, 1)), np.array([1.0, 3.0]))
    >>> Mean().run(task, np.zeros((1, 2)), np.ones((1, 1)), average=False).last
    array([[0., 1.]])
    """

    can: ClassVar[frozenset[Capability]] = frozenset()
    guarantee: str | None = None
    objective: Objective | None = None
    changed_step: str | None = None
    unused: str | None = None
    default_step_size: ClassVar[str] = "fixed"
    can_stream: bool = False
    layout: tuple[tuple[int, ...], ...] | None = None
    holds_gil: bool = True

    @property
    def scales_target(self) -> bool:
        """Whether the target is rescaled too when the units of the task change."""
        return self.objective is not None and bool(self.objective.loss.degree)

    def shape(self, linear: tuple[int, int]) -> tuple[int, int]:
        """The shape of the parameter.

        Parameters
        ----------
        linear : tuple of int
            The shape for a linear model, (n_outputs, n_features + 1).

        Returns
        -------
        shape : tuple of int
            `linear`, or (1, n_parameters) for a learner with a `layout`.
        """
        if self.layout is None:
            return linear
        return 1, sum(prod(one) for one in self.layout)

    def first(self, shape: tuple[int, int], seed: int) -> np.ndarray:
        """Where learning starts with ``init='zero'``.

        Parameters
        ----------
        shape : tuple of int
            Of the parameter.
        seed : int
            For a random start; drawn from the `random_state` of the meta-estimator.

        Returns
        -------
        start : ndarray of this shape
            Zeros, unless the learner needs another start.
        """
        return np.zeros(shape)

    def units(self, coordinates: Coordinates) -> Coordinates | None:
        """The change of coordinates of features and target for this model.

        Parameters
        ----------
        coordinates : Coordinates
            Location and scale, and how they change the parameter of a linear model.

        Returns
        -------
        coordinates : Coordinates or None
            None: the parameter cannot be converted, so that `standardize=True` is an
            error. This is the default of a learner with a `layout`.
        """
        return coordinates if self.layout is None else None

    def respond(
        self,
        method: str,
        X: Any,
        parameters: np.ndarray,
        index: np.ndarray,
    ) -> np.ndarray:
        """Predictions of a learner with a `layout`; those of linear models are known.

        Parameters
        ----------
        method : {'predict', 'predict_proba', 'decision_function'}
            What is asked of the model.
        X : ndarray or CSR matrix of shape (n_samples, n_features)
            Features.
        parameters : ndarray of shape (n, 1, n_parameters)
            Distinct parameters.
        index : ndarray of shape (n_samples,)
            Which of them predicts a row.

        Returns
        -------
        response : ndarray of shape (n_samples,) or (n_samples, n_classes)
            What the method returns.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no respond.")

    def in_units(self, coordinates: Coordinates) -> InnerLearner:
        """The learner for targets in units: its loss is rescaled.

        Parameters
        ----------
        coordinates : Coordinates
            The coordinates in which the learner will run.

        Returns
        -------
        learner : InnerLearner
            By default the learner itself.
        """
        return self

    def divergence(self) -> str:
        """Why a parameter became NaN or infinite, and what to do.

        Returns
        -------
        problem : str
            A clause without a full stop.
        """
        return (
            "the parameters diverged (NaN or infinity): the features or the step size "
            "are too large. What helps: scale the features (StandardScaler)"
        )

    def step(self, n_samples: int) -> np.ndarray:
        """The step size of the learner itself.

        Parameters
        ----------
        n_samples : int
            Samples of the task.

        Returns
        -------
        eta : ndarray of shape (1, 1) or (n_outputs, n_features + 1)
            NaN for a learner that has none.
        """
        return np.full((1, 1), np.nan)

    def covers(self, eta: np.ndarray) -> bool:
        """Whether the guarantee holds with this step size.

        Parameters
        ----------
        eta : ndarray
            The step size.

        Returns
        -------
        covers : bool
            By default, for a single step size and where there is no ball.
        """
        in_ball = self.objective is not None and np.isfinite(self.objective.radius)
        return eta.size == 1 or not in_ball

    def bound_arguments(
        self, task: Task, start: np.ndarray, eta: np.ndarray, outcome: Outcome
    ) -> dict[str, Any]:
        """What the bound that `guarantee` names depends on, besides two parameters.

        Parameters
        ----------
        task, start, eta : see `run`
            The task.
        outcome : Outcome
            What `run` returned.

        Returns
        -------
        arguments : dict
            Of the function that computes the bound. The default is that of (G1).
        """
        return {"step_size": eta, "grad_sq": outcome.grad_sq}

    def run(
        self, task: Task, start: np.ndarray, eta: np.ndarray, *, average: bool
    ) -> Outcome:
        """Learn from a task.

        Parameters
        ----------
        task : Task
            The rows; must not be changed.
        start : ndarray of the shape of the parameter
            Where to start; must not be changed.
        eta : ndarray
            The step size; see :class:`skmeta.step_size.StepSize`.
        average : bool
            Whether the average iterate is wanted.

        Returns
        -------
        outcome : Outcome
            The iterates, and what the learner reports.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no run.")

    def fitted(
        self,
        estimator: Any,
        task: Task,
        start: np.ndarray,
        eta: np.ndarray,
        *,
        average: bool,
        **learned: Any,
    ) -> Any:
        """A fitted clone of the estimator, for `adapt`.

        Parameters
        ----------
        estimator : estimator
            The inner estimator; must not be changed.
        task, start, eta, average : see `run`
            The task.
        **learned : dict
            Fitted attributes of the clone: `n_features_in_`, and, if they exist,
            `feature_names_in_` and `classes_`. With the capability `SHRINKING_STEPS`
            also `_within`, if steps shrink: `within` of the rule
            (:class:`skmeta.step_size.StepSize`), with its state given.

        Returns
        -------
        fitted : estimator
            With `coef_` and `intercept_`. The default is a clone with these attributes
            set to the outcome of `run`.

        Raises
        ------
        ValueError
            If the task cannot be learned.
        """
        from sklearn.base import clone

        outcome = self.run(task, start, eta, average=average)
        if outcome.problem is not None:
            raise ValueError(f"{type(estimator).__name__}: {outcome.problem}.")
        model = clone(estimator)
        vars(model).update(learned)
        parameter = outcome.average if average else outcome.last
        assert parameter is not None
        model.coef_, model.intercept_ = to_coef(parameter, learned.get("classes_"))
        return model

    def fitted_in(
        self,
        coordinates: Coordinates | None,
        estimator: Any,
        task: Task,
        start: np.ndarray,
        eta: np.ndarray,
        *,
        average: bool,
        **learned: Any,
    ) -> Any:
        """As `fitted`, learned in units; the result predicts raw targets.

        Parameters
        ----------
        coordinates : Coordinates or None
            The units. None: the data are learned as they are.
        estimator, task, start, eta, average : see `fitted`
            The task, raw.
        **learned : dict
            See `fitted`.

        Returns
        -------
        fitted : estimator
            With raw `coef_` and `intercept_`.

        Raises
        ------
        ValueError
            If the task cannot be learned.
        """
        if coordinates is None:
            return self.fitted(estimator, task, start, eta, average=average, **learned)
        inside = coordinates.task(task), coordinates.to_units(start), eta
        learner = self.in_units(coordinates)
        model = learner.fitted(estimator, *inside, average=average, **learned)
        classes = learned.get("classes_")
        parameter = coordinates.to_raw(to_parameter(model, len(start)))
        model.coef_, model.intercept_ = to_coef(parameter, classes)
        return model


class OwnLearner(InnerLearner):
    """Base class of the learners of this package, whose estimators can use units."""

    holds_gil: bool = False

    def fitted_in(
        self, coordinates: Coordinates | None, *arguments: Any, **options: Any
    ) -> Any:
        if coordinates is not None:  # the adapted estimator continues in these units
            options["_coordinates"] = coordinates
        return self.fitted(*arguments, **options)


def to_parameter(model: Any, n_outputs: int) -> np.ndarray:
    """One array from `coef_` and `intercept_`, the intercept last."""
    coef = np.reshape(model.coef_, (n_outputs, -1))
    return np.column_stack([coef, np.reshape(model.intercept_, n_outputs)])


def to_coef(
    parameter: np.ndarray, classes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """`coef_` and `intercept_` of a regressor (classes None) or a classifier."""
    coef, intercept = parameter[:, :-1].copy(), parameter[:, -1].copy()
    return (coef[0] if classes is None else coef), intercept


def check_outcome(
    outcome: Any,
    learner: InnerLearner,
    shape: tuple[int, int],
    n_samples: int,
    eta: np.ndarray,
    average: bool,
) -> Outcome:
    """The outcome of a learner, or an error that names its first wrong field."""
    name = f"{type(learner).__name__}.run"
    if not isinstance(outcome, Outcome):
        raise TypeError(f"{name} must return an Outcome. Got {outcome!r}.")
    if outcome.problem is not None:
        return outcome
    expected = (
        ("last", shape, True),
        ("average", shape, average),
        ("losses", (n_samples,), Capability.LOSSES in learner.can),
        ("grad_sq", eta.shape, Capability.GRADIENTS in learner.can),
    )
    for field, size, is_required in expected:
        value = getattr(outcome, field)
        if value is None and not is_required:
            continue
        is_array = isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
        if not is_array or value.shape != size:
            raise ValueError(
                f"{name} must return an Outcome whose `{field}` is an array of numbers "
                f"of shape {size}. Got {value!r}."
            )
        if not isfinite(value.sum()) and not np.isfinite(value).all():
            problem = f"{name} returned NaN or infinity in `{field}` of its Outcome"
            return outcome._replace(problem=problem)
    return outcome
