"""What MixedEffectsClassifier and MixedEffectsRegressor share."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import scipy.sparse as sp

from skmeta._labels import names_of
from skmeta._meta._base import BaseMeta, Finished, RowsByTask, learned_attribute
from skmeta._meta._input import Reading, Schema, Target
from skmeta._mixed._options import Options
from skmeta._parameters import ParameterWatch
from skmeta._sklearn import Interval, Progress, StrOptions

MAX_COEFFICIENTS = 1000
LEAST_WEIGHT = 1e-50  # of a row that counts; the largest is one over it


@dataclass(frozen=True, eq=False)
class Published:
    """Everything that a mixed-effects model has learned, as one value.

    Attributes
    ----------
    schema : Schema
    target : Values or Classes
    model : Learned of the engine
    n_skipped : int
    """

    schema: Schema
    target: Target
    model: Any
    n_skipped: int

    @property
    def n_tasks(self) -> int:
        return self.model.n_tasks_seen

    @property
    def shared(self) -> np.ndarray:
        return self.model.shared

    @property
    def history(self) -> np.ndarray:
        return self.model.history.to_array()

    def names(self) -> list[Hashable]:
        return self.model.labels()

    @property
    def index(self) -> Mapping[Hashable, Any]:
        return self.model.index

    def rows(self, names: Sequence[Hashable]) -> np.ndarray:
        return self.model.numbers(names)

    def parameters(self, rows: np.ndarray) -> np.ndarray:
        return self.model.known_parameters(rows)


class Configuration(NamedTuple):
    """What the parameters describe, and what they were."""

    watch: ParameterWatch
    schema: Schema
    options: Options


class Draft:
    """The model that a call is making."""

    __slots__ = ("configuration", "model", "n_skipped")

    def __init__(self, model: Any, configuration: Configuration, n_skipped: int):
        self.model, self.configuration = model, configuration
        self.n_skipped = n_skipped

    @property
    def options(self) -> Options:
        return self.configuration.options


class BaseMixed(BaseMeta):
    """Hierarchical linear models, solved exactly."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "covariance": [StrOptions({"auto", "diagonal", "full"})],
        "random_effects": [StrOptions({"all", "intercept"}), "array-like"],
        "between": [StrOptions({"auto"}), "boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "half_life": [Interval(Real, 0, None, closed="neither"), None],
        "window": [Interval(Integral, 1, None, closed="left"), None],
        "fit_intercept": ["boolean"],
        **BaseMeta._parameter_constraints,
    }

    _alternative: ClassVar[str]  # for what this family does not solve
    _learns_noise: ClassVar[bool] = True
    covariance: Literal["auto", "diagonal", "full"]
    random_effects: str | Sequence[str | int]
    between: Literal["auto"] | bool
    max_iter: int
    tol: float
    half_life: float | None
    window: int | None
    fit_intercept: bool
    _learned: Published

    # ---- learning

    def _new_model(self, reading: Reading) -> Any:
        """An engine that has learned nothing."""
        raise NotImplementedError

    def _begin(
        self,
        reading: Reading,
        before: Published | None,
        n_passes: int | None,
        unchanged: bool,
    ) -> Draft:
        _check_size(self, reading)
        _check_range(self, reading.batch.sample_weight)
        configuration = self._configured(reading.schema, unchanged)
        if before is None:
            return Draft(self._new_model(reading), configuration, 0)
        return Draft(before.model, configuration, before.n_skipped)

    def _configured(self, schema: Schema, unchanged: bool) -> Configuration:
        """What the parameters describe; the last one if they are unchanged."""
        if unchanged and self._configuration.schema is schema:
            return self._configuration
        return Configuration(ParameterWatch(self, ()), schema, self._options(schema))

    def _options(self, schema: Schema) -> Options:
        return Options(
            covariance=self.covariance,
            random_effects=resolve_effects(self.random_effects, schema),
            between=self.between,
            max_iter=self.max_iter,
            tol=self.tol,
            half_life=self.half_life,
            window=self.window,
            fit_intercept=self.fit_intercept,
            store_tasks=self.store_tasks,
            n_jobs=self.n_jobs,
            learn_noise=self._learns_noise,
        )

    def _learn(
        self, draft: Draft, reading: Reading, n_passes: int | None, progress: Progress
    ) -> Finished:
        model, bad = draft.model.taken(reading.batch, reading.labels, draft.options)
        found: list[tuple[int, str | None]] = [(one.number, one.reason) for one in bad]
        if found and self.on_bad_task == "raise":
            return Finished(found)
        draft.n_skipped += len(found)
        model, notes = self._set_aside(draft, reading, model, found)
        if len(found) < reading.batch.n_tasks:
            if n_passes is not None:
                progress.begin_step("estimate")
                draft.model = model = model.refreshed(draft.options, fully=True)
                notes = [*notes, *model.warnings]
                progress.end_step(lambda: {"_learned": self._publish(draft, reading)})
            elif model.is_due(draft.options):
                model = model.refreshed(draft.options, fully=False)
            draft.model = model
        if self.verbose and n_passes is not None:
            print(
                f"[{type(self).__name__}] {model.n_tasks_seen} tasks, "
                f"{np.max(model.n_iter)} evaluations, log-likelihood "
                f"{np.sum(model.log_likelihood):.6g}"
            )
        return Finished(found, notes)

    def _set_aside(
        self,
        draft: Draft,
        reading: Reading,
        model: Any,
        bad: Sequence[tuple[int, str | None]],
    ) -> tuple[Any, Sequence[str]]:
        """The model without rows that must not be learned from, and warnings.

        `model` has learned from all tasks but the bad ones.
        """
        return model, ()

    def _publish(self, draft: Draft, reading: Reading) -> Published:
        self._configuration = draft.configuration
        return Published(reading.schema, reading.target, draft.model, draft.n_skipped)

    def refresh(self) -> Self:
        """Re-estimate what the tasks share from all stored tasks, to convergence.

        `partial_fit` does a part of this from time to time. After a refresh, a stream
        of labelled tasks predicts like `fit` on all their rows. A refresh takes about
        10 ms for every evaluation over 20,000 tasks: call it at a quiet moment.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        NotFittedError
            If nothing was learned before.
        """
        learned = self._fitted()
        unchanged = self._check_parameters()
        options = self._configured(learned.schema, unchanged).options
        model = learned.model.refreshed(options, fully=True)
        self._learned = replace(learned, model=model)
        return self

    def forget(self, labels: Any) -> Self:
        """Remove known tasks; their influence ends with the next refresh.

        Parameters
        ----------
        labels : label or sequence of labels
            The tasks.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If a task is not known. The estimator is then unchanged.
        """
        learned = self._fitted()
        names = names_of(labels)
        unknown = learned.rows(names) < 0
        if unknown.any():
            raise ValueError(
                f"Task {names[unknown.argmax()]!r} is unknown, so it cannot be "
                "forgotten; task_labels_ lists the known tasks."
            )
        self._learned = replace(learned, model=learned.model.forgot(names))
        return self

    # ---- fitted attributes, views of the published value

    @learned_attribute
    def coef_(self, learned: Published) -> np.ndarray:
        """Slopes within tasks."""
        return learned.target.shape_coef(learned.model.within.copy())[0]

    @learned_attribute
    def intercept_(self, learned: Published) -> np.ndarray:
        """Shared intercept, for `coef_`."""
        return learned.target.shape_coef(learned.model.within.copy())[1]

    @learned_attribute
    def new_task_coef_(self, learned: Published) -> np.ndarray:
        """Slopes that predict for an unknown task."""
        return learned.target.shape_coef(learned.shared.copy())[0]

    @learned_attribute
    def new_task_intercept_(self, learned: Published) -> np.ndarray:
        """Intercept, for `new_task_coef_`."""
        return learned.target.shape_coef(learned.shared.copy())[1]

    @learned_attribute
    def coef_std_error_(self, learned: Published) -> np.ndarray:
        """Standard errors of `coef_`."""
        return learned.target.shape_coef(learned.model.std_errors.copy())[0]

    @learned_attribute
    def intercept_std_error_(self, learned: Published) -> np.ndarray:
        """Standard errors of `intercept_`."""
        return learned.target.shape_coef(learned.model.std_errors.copy())[1]

    @learned_attribute
    def covariance_(self, learned: Published) -> np.ndarray:
        """Covariance of the coefficients between tasks."""
        return np.array(learned.model.covariance)

    @learned_attribute
    def log_likelihood_(self, learned: Published) -> float:
        """Restricted log-likelihood of the stored tasks."""
        return learned.model.log_likelihood

    @learned_attribute
    def n_iter_(self, learned: Published) -> int:
        """Evaluations of the likelihood in the last fit of the prior."""
        return int(np.max(learned.model.n_iter))


def resolve_effects(effects: Any, schema: Schema) -> Any:
    """Positions of the features whose slopes vary, from names or positions."""
    if isinstance(effects, str):
        return effects
    names = None if schema.names is None else list(schema.names)
    positions = []
    for one in effects:
        if isinstance(one, str):
            if names is None or one not in names:
                raise ValueError(
                    f"random_effects names {one!r}, which is not a column of X. "
                    f"Columns: {names}."
                )
            positions.append(names.index(one))
        elif isinstance(one, Integral) and 0 <= int(one) < schema.n_features:
            positions.append(int(one))
        else:
            raise ValueError(
                "random_effects must be 'all', 'intercept', or names or positions of "
                f"columns of X (0 to {schema.n_features - 1}). Got {one!r}."
            )
    return tuple(sorted(set(positions)))


def _check_size(estimator: Any, reading: Reading) -> None:
    """Raise an error for input that this family cannot solve, naming the other one."""
    name, fmrl = type(estimator).__name__, type(estimator)._alternative
    if sp.issparse(reading.batch.X):
        raise TypeError(
            f"{name} takes dense features; got a sparse matrix. Pass X.toarray(), set "
            "sparse_output=False in a OneHotEncoder and sparse_threshold=0 in a "
            f"ColumnTransformer, or use {fmrl}, which learns from sparse features."
        )
    n_coefficients = reading.schema.n_features + 1
    if n_coefficients > MAX_COEFFICIENTS:
        raise ValueError(
            f"{name} takes at most {MAX_COEFFICIENTS} coefficients; X has "
            f"{reading.schema.n_features} features. Select or combine features, or use "
            f"{fmrl}, whose time is linear in their number."
        )


def _check_range(estimator: Any, weight: np.ndarray | None) -> None:
    """Refuse weights whose products would overflow or vanish."""
    if weight is None:
        return
    low, high = float(weight.min()), float(weight.max())
    if low < LEAST_WEIGHT or high > 1 / LEAST_WEIGHT:
        wrong = low if low < LEAST_WEIGHT else high
        raise ValueError(
            f"sample_weight of {type(estimator).__name__} must be zero or lie between "
            f"{LEAST_WEIGHT:g} and {1 / LEAST_WEIGHT:g}. Got {wrong:g}: scale the "
            "weights, or set it to zero."
        )


def numbers_of(by_task: RowsByTask | None) -> np.ndarray | None:
    """The record of every row's task, -1 for unknown ones."""
    return None if by_task is None else by_task.rows[by_task.label_of_row]
