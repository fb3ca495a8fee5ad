"""What FMRLClassifier and FMRLRegressor share: everything except the targets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from skmeta._fmrl._algorithm import Algorithm
from skmeta._fmrl._call import Call
from skmeta._fmrl._configure import NESTED, Configuration, configure, inner_estimator
from skmeta._fmrl._glitches import first_sample, without_glitches
from skmeta._fmrl._loop import Options
from skmeta._fmrl._pooled import first_row_leader, pooled
from skmeta._fmrl._replay import replay
from skmeta._fmrl._state import HISTORY, State
from skmeta._fmrl._task_parameter import TASK_PARAMETERS
from skmeta._learners._protocol import Capability
from skmeta._meta._base import ALL_LEARNED, BaseMeta, Finished, learned_attribute
from skmeta._meta._history import LAST_ROWS, History
from skmeta._meta._input import Reading
from skmeta._meta._known import KnownTasks
from skmeta._meta._record import Record
from skmeta._parameters import (
    ParameterWatch,
    check_offset,
    check_start,
)
from skmeta._sklearn import HasMethods, Interval, Progress, StrOptions
from skmeta._step_matrices import diagonal
from skmeta._units import Moments
from skmeta.meta_step_size import META_STEP_SIZES, MetaStepSize
from skmeta.step_size import STEP_SIZES, StepSize

STARTS = ("last", "draw", "mean")


def draw_seed(generator: np.random.RandomState) -> int:
    """The seed of a state."""
    return int(generator.randint(2**31))


def first_seed(random_state: int | np.random.RandomState | None) -> int:
    """What `draw_seed` draws. A generator of the user's does not move yet."""
    generator: np.random.RandomState = check_random_state(random_state)
    return draw_seed(deepcopy(generator) if generator is random_state else generator)


class BaseFMRL(BaseMeta):
    """Follow-the-meta-regularized-leader (FMRL), with gradient steps within a task."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "step_size": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions(set(STEP_SIZES)),
            HasMethods(["start", "propose", "observe"]),
            None,
        ],
        "meta_step_size": [
            Interval(Real, 0, 1, closed="both"),
            StrOptions(set(META_STEP_SIZES)),
            HasMethods(["start", "share"]),
        ],
        "task_parameter": [StrOptions(set(TASK_PARAMETERS))],
        "standardize": ["boolean"],
        "init": [StrOptions({"zero", "pooled"}), "array-like"],
        "n_passes": [Interval(Integral, 1, None, closed="left")],
        "meta_batch_size": [Interval(Integral, 1, None, closed="left")],
        **BaseMeta._parameter_constraints,
        "random_state": ["random_state"],
    }
    _default_estimator: ClassVar[type]
    _configuration: Configuration
    _nested = {
        "estimator": "an inner learner of skmeta.linear_model",
        "step_size": "one of skmeta.step_size, such as ARUBA()",
        "meta_step_size": "one of skmeta.meta_step_size, such as LinearDecay()",
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        step_size: float | str | StepSize | None = None,
        meta_step_size: float | str | MetaStepSize = "ftl",
        task_parameter: str = "last",
        standardize: bool = True,
        init: str | ArrayLike = "zero",
        n_passes: int = 1,
        meta_batch_size: int = 1,
        task_column: str | int | list[str | int] | None = None,
        unknown_task: str = "shared",
        on_bad_task: str = "raise",
        on_bad_row: str = "raise",
        store_tasks: bool = True,
        n_jobs: int | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.estimator = estimator
        self.step_size = step_size
        self.meta_step_size = meta_step_size
        self.task_parameter = task_parameter
        self.standardize = standardize
        self.init = init
        self.n_passes = n_passes
        self.meta_batch_size = meta_batch_size
        self.task_column = task_column
        self.unknown_task = unknown_task
        self.on_bad_task = on_bad_task
        self.on_bad_row = on_bad_row
        self.store_tasks = store_tasks
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # ---- learning

    def _configured(
        self, shape: tuple[int, int], classes: np.ndarray | None, unchanged: bool
    ) -> Configuration:
        """What the parameters describe; the last one if they are unchanged."""
        if unchanged and self._configuration.serves(shape, classes):
            return self._configuration
        algorithm = configure(self, shape, classes)
        stops = self.on_bad_task == "raise"
        options = Options(self.meta_batch_size, self.n_jobs, stops)
        watch = ParameterWatch(self, NESTED)
        return Configuration(watch, shape, classes, algorithm, options)

    def _begin(
        self,
        reading: Reading,
        before: State | None,
        n_passes: int | None,
        unchanged: bool,
    ) -> Call:
        if unchanged and before is not None:
            configuration = self._configuration
            if before.algorithm is configuration.algorithm:
                return Call(before.draft(), configuration, before)
        shape, classes = reading.shape, reading.target.classes
        configuration = self._configured(shape, classes, unchanged)
        algorithm = configuration.algorithm
        if before is None:
            state = self._first_state(reading, algorithm, n_passes)
            return Call(state, configuration, None)
        state = before.draft()
        self._continue_with(state, algorithm)
        return Call(state, configuration, before)

    def _first_state(
        self, reading: Reading, algorithm: Algorithm, n_passes: int | None
    ) -> State:
        shape = algorithm.shape
        seed = first_seed(self.random_state)
        phi, weight = self._first_phi(reading, algorithm, n_passes, seed)
        meta_state = algorithm.meta_step_size.start()
        if weight:
            algorithm.meta_step_size.share(meta_state, 0, weight, False)
        return State(
            algorithm=algorithm,
            schema=reading.schema,
            target=reading.target,
            phi=phi,
            rule_state=algorithm.step_size.start(shape),
            meta_state=meta_state,
            moments=Moments(reading.schema.n_features),
            row_leader=first_row_leader(
                algorithm, phi, reading.batch if weight else None
            ),
            phi_given=not self._starts_at_first,
            seed=seed,
            n_tasks=0,
            n_skipped=0,
            moves=np.zeros(shape),
            log=History(HISTORY, 0 if self.store_tasks else LAST_ROWS),
            known=KnownTasks(shape),
            sample=first_sample(reading.batch, algorithm.standardize),
        )

    @property
    def _starts_at_first(self) -> bool:
        """Whether the first initialization is `first` of the algorithm."""
        return isinstance(self.init, str) and self.init == "zero"

    def _first_phi(
        self, reading: Reading, algorithm: Algorithm, n_passes: int | None, seed: int
    ) -> tuple[np.ndarray, float]:
        """The first initialization, and the weight of the tasks that it comes from."""
        shape, learner = algorithm.shape, algorithm.learner
        objective, weight = learner.objective, 0.0
        if self._starts_at_first:
            return algorithm.first(seed), weight
        if not isinstance(self.init, str):
            phi, width = np.zeros(shape), shape[1]
            if learner.layout is None and np.shape(self.init)[-1:] == (width - 1,):
                width -= 1  # without intercepts
            phi[:, :width] = check_start(self.init, "init", (shape[0], width))
        else:
            if n_passes is None:
                raise ValueError(
                    "init='pooled' computes the first initialization from the rows of "
                    "all tasks, which partial_fit does not have: call fit first, or "
                    "use init='zero' or an array."
                )
            assert objective is not None
            phi, weight = pooled(reading.batch, objective, shape)
        if objective is not None:
            check_offset(phi, "init", objective.bias)
        return phi, weight

    def _continue_with(self, draft: State, algorithm: Algorithm) -> None:
        """Continue with changed parameters, if the learned states still fit."""
        before, shape = draft.algorithm, algorithm.shape
        before.check_same_layout(algorithm)
        if before.standardize != algorithm.standardize:
            raise ValueError(
                f"standardize changed from {before.standardize} to "
                f"{algorithm.standardize} since the last call. Call fit to start again."
            )
        step_size, meta, leader = (
            algorithm.step_size,
            algorithm.meta_step_size,
            draft.row_leader,
        )
        fits = {
            "step_size": draft.rule_state.shape == step_size.start(shape).shape,
            "meta_step_size": draft.meta_state.shape == meta.start().shape
            and (leader is None or leader.serves(meta)),
        }
        for name, state_fits in fits.items():
            old, new = getattr(before, name), getattr(algorithm, name)
            if type(old) is not type(new) or not state_fits:
                raise ValueError(
                    f"{name} changed from {old} to {new} since the last call, which "
                    "cannot use what the first one has learned. Call fit to start "
                    "again."
                )
        draft.algorithm = algorithm
        draft.target = draft.target.for_loss(algorithm.loss)
        if not self.store_tasks:
            draft.known = KnownTasks(shape)
        if algorithm.learner.objective is not None:
            bias = algorithm.learner.objective.bias
            check_offset(draft.phi, "What was learned", bias)

    def _learn(
        self, draft: Call, reading: Reading, n_passes: int | None, progress: Progress
    ) -> Finished:
        stops, tasks, batch = draft.configuration.options.stops, None, reading.batch
        bad: list[tuple[int, str | None]] = []
        notes: list[str] = []
        for n_pass in range(n_passes or 1):
            if n_passes is not None:
                progress.begin_step("pass")
            found = draft.learn(reading, self.store_tasks, n_passes is None)
            if not n_pass and not (found and stops) and not draft.is_usual(batch):
                cleaned = without_glitches(draft, reading, found)
                if cleaned is not None:
                    reading, tasks, lost, note = cleaned
                    notes.append(note)
                    fresh = self._begin(reading, draft.before, n_passes, False)
                    draft.start_again(fresh, lost)
                    found = draft.learn(reading, self.store_tasks, n_passes is None)
            bad += found if tasks is None else [(tasks[t], why) for t, why in found]
            if bad and stops:
                break
            if self.verbose:
                n_done = reading.batch.n_tasks - len(found)
                self._report(draft.state, n_pass, n_passes or 1, n_done)
            if n_passes is not None and progress.end_step(draft.so_far):
                break
        return Finished(bad, notes) if bad or notes else ALL_LEARNED

    def _publish(self, draft: Call, reading: Reading) -> State:
        state = draft.state
        draft.store_tasks(state)
        generator = self.random_state
        if draft.before is None and check_random_state(generator) is generator:
            draw_seed(generator)  # a call that fails has not moved it
        self._configuration = draft.configuration
        return state

    def _report(self, state: State, n_pass: int, n_passes: int, n_done: int) -> None:
        loss = np.mean(state.log.numbers["loss"][-n_done:]) if n_done else np.nan
        print(
            f"[{type(self).__name__}] pass {n_pass + 1} of {n_passes}: {n_done} tasks, "
            f"mean prequential loss {loss:.6g}"
        )

    def _replay(self, reading: Reading) -> Iterator[Record]:
        state = self._begin(reading, None, 1, False).state
        learner = state.algorithm.learner
        needed = {Capability.LOSSES, Capability.GRADIENTS}
        if not needed <= learner.can or learner.objective is None:
            raise ValueError(
                f"{type(inner_estimator(self)).__name__} reports no losses, gradients "
                "or objective: guarantees need an estimator of skmeta.linear_model."
            )
        return replay(state, reading, self.meta_batch_size, self.n_jobs)

    # ---- using what was learned

    def _respond(self, method: str, X: Any, tasks: Any) -> np.ndarray:
        """What a method of the inner estimator returns, every row by its task."""
        learned = self._fitted()
        X, by_task = self._rows_by_task(X, tasks, learned)
        learner = learned.algorithm.learner
        if learner.layout is None:
            scores = self._scores_of(X, by_task, learned)
            return self._from_scores(method, scores, learned)
        record_of_row = np.full(X.shape[0], -1)
        if by_task is not None:
            record_of_row = by_task.rows[by_task.label_of_row]
        records, index = np.unique(record_of_row, return_inverse=True)
        parameters = np.empty((len(records), *learned.phi.shape))
        parameters[records < 0] = learned.shared
        parameters[records >= 0] = learned.parameters(records[records >= 0])
        return learner.respond(method, X, parameters, index)

    @abstractmethod
    def _from_scores(
        self, method: str, scores: np.ndarray, learned: State
    ) -> np.ndarray:
        """What a method returns for a linear model, from its raw scores."""

    def adapt(
        self,
        X: Any,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        init: str = "last",
    ) -> Any:
        """Fit an inner estimator to a new task; the meta-estimator does not change.

        The estimator starts at the shared initialization and uses the learned step
        size. Its coefficients are the last iterate, or the average iterate if
        `task_parameter='average'` or if the inner learner has `average=True`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows of one task, in the order in which they are learned from, with or
            without the `task_column`.
        y : array-like of shape (n_samples,)
            Targets; of a classifier, any of `classes_`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0. None: all 1.
        init : {'last', 'draw', 'mean'}, default='last'
            Where the estimator starts: at the shared initialization; at `init_draw_`,
            with the step size and the units of that time, which is what the risk bound
            (G4) speaks of; or at `init_mean_`.

        Returns
        -------
        estimator : estimator
            A fitted clone of `estimator`. It predicts, and its `partial_fit` continues
            to learn. Estimators of `skmeta.linear_model` take X with or without the
            `task_column`, others without it.

        Raises
        ------
        ValueError
            If the input is invalid or the parameters diverge (NaN or infinity).
        """
        learned = self._fitted()
        if init not in STARTS:
            raise ValueError(f"init must be one of {STARTS}. Got {init!r} instead.")
        begin = learned.starts(init)
        task, reading = self._read_new_task(X, y, sample_weight, learned)
        algorithm, classes = learned.algorithm, learned.target.classes
        unchanged = self._check_parameters()
        # stored for the next call; it describes the parameters, not what was learned
        self._configuration = self._configured(reading.shape, classes, unchanged)
        current = self._configuration.algorithm
        if type(current.step_size) is type(algorithm.step_size):
            algorithm.check_same_layout(current)
            algorithm = current
        learner, coordinates, phi = algorithm.learner, None, begin.phi
        if learned.algorithm.standardize:
            moments = begin.moments.copy()
            with np.errstate(over="ignore", invalid="ignore"):  # then it diverges
                moments.observe(task, centered=algorithm.centers)
                coordinates = algorithm.units(moments, begin.moments)
            if begin.at_first:
                phi = coordinates.to_raw(learned.algorithm.first(learned.seed))
        task.seed = (learned.seed, learned.n_tasks + learned.n_skipped)
        rule = algorithm.step_size
        own = {} if classes is None else {"classes_": classes}
        attributes: dict[str, Any] = {**reading.schema.attributes, **own}
        if rule.shrinks:
            attributes["_within"] = partial(rule.within, begin.rule_state)
        model = learner.fitted_in(
            coordinates,
            inner_estimator(self, is_valid=unchanged),
            task,
            phi,
            algorithm.propose(rule, begin.rule_state, learner, len(task)),
            average=algorithm.task_parameter.needs_average,
            **attributes,
        )
        return self._hand_over(model)

    # ---- fitted attributes, views of the published value

    @learned_attribute
    def init_(self, learned: State) -> np.ndarray:
        """The shared initialization as one array, which `init` accepts."""
        return _as_init(learned, learned.shared)

    @learned_attribute
    def n_rows_set_aside_(self, learned: State) -> int:
        """Number of rows that were not learned from."""
        return learned.set_aside.n_rows

    @learned_attribute
    def coef_(self, learned: State) -> np.ndarray:
        """Weights of the shared initialization."""
        self._check_linear(learned, "coef_")
        return learned.target.shape_coef(learned.shared.copy())[0]

    @learned_attribute
    def intercept_(self, learned: State) -> np.ndarray:
        """Intercept of the shared initialization."""
        self._check_linear(learned, "intercept_")
        return learned.target.shape_coef(learned.shared.copy())[1]

    @learned_attribute
    def init_draw_(self, learned: State) -> np.ndarray:
        """A shared initialization drawn uniformly from those of all tasks so far."""
        return _as_init(learned, learned.starts("draw").phi)

    @learned_attribute
    def init_mean_(self, learned: State) -> np.ndarray:
        """The mean of the shared initializations of all tasks so far."""
        return _as_init(learned, learned.mean)

    @learned_attribute
    def task_coef_(self, learned: State) -> np.ndarray:
        """Weights of the known tasks."""
        self._check_linear(learned, "task_coef_")
        return learned.target.shape_coef(self._all_parameters(learned))[0].copy()

    @learned_attribute
    def task_intercept_(self, learned: State) -> np.ndarray:
        """Intercepts of the known tasks."""
        self._check_linear(learned, "task_intercept_")
        return learned.target.shape_coef(self._all_parameters(learned))[1].copy()

    def _check_linear(self, learned: State, name: str) -> None:
        if learned.algorithm.learner.layout is not None:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}: the model "
                f"of {type(learned.algorithm.learner).__name__} is not linear. "
                "Its shared initialization is `init_`, and `adapt` returns a model."
            )

    @learned_attribute
    def step_size_(self, learned: State) -> float | np.ndarray:
        """Step size of the next task if it is as long as the last one."""
        m = int(learned.log.numbers["n_samples"][-1]) if len(learned.log) else 1
        algorithm = learned.algorithm
        state, learner = learned.rule_state, algorithm.learner
        eta = diagonal(algorithm.propose(algorithm.step_size, state, learner, m))
        return float(eta[0, 0]) if eta.size == 1 else eta


def _as_init(learned: State, phi: np.ndarray) -> np.ndarray:
    """A copy in the shape that the parameter `init` has."""
    is_flat = learned.algorithm.learner.layout is not None
    return (phi[0] if is_flat or learned.target.classes is None else phi).copy()
