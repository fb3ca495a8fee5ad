"""What both meta-estimators share: tasks in, a shared initialization out."""

import warnings
from abc import abstractmethod
from copy import deepcopy
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.utils import check_random_state
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted

from skmeta import _kernels
from skmeta._matrices import diagonal
from skmeta._sklearn import HasMethods, Interval, StrOptions
from skmeta._tasks import (
    Batch,
    check_labels,
    code_rows,
    group_rows,
    row_numbers,
    split_column,
)
from skmeta._validation import (
    ParameterWatch,
    check_offset,
    check_start,
    check_weights,
    check_X,
    find_nonfinite,
    is_plain,
    unchanged_on_error,
    validate_parameters,
)
from skmeta.fmrl._algorithm import Algorithm, learn, trace
from skmeta.fmrl._foreign import ForeignLearner
from skmeta.fmrl._init import INIT_RULES
from skmeta.fmrl._state import KnownTasks, MetaState
from skmeta.fmrl._task_parameter import TASK_PARAMETERS
from skmeta.linear_model._base import BaseLinear
from skmeta.linear_model._ogd import diverged_message
from skmeta.meta_update import META_UPDATES, GeneralizedLeastSquares
from skmeta.step_size import STEP_SIZES, Fixed

_ONE = np.ones((1, 1))
FEW_PARAMETERS = 129  # for which matrices are learned without being asked for
_OBJECTS = ("estimator", "step_size", "meta_update")  # parameters with parameters


_SHARED = ("classes_", "n_features_in_", "feature_names_in_")


def _learned(function):
    """A read-only attribute of the learned state, absent before there is one."""

    def read(self):
        if "_state" not in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute "
                f"{function.__name__!r} before fit or partial_fit"
            )
        return function(self, self._state)

    return property(read, doc=function.__doc__)


class _BaseFMRL(BaseEstimator):
    """Meta-learning of linear models; targets are the subclasses' business."""

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods(["fit", "partial_fit"]), None],
        "task_parameter": [StrOptions(set(TASK_PARAMETERS))],
        "meta_update": [StrOptions({"auto", *META_UPDATES}), HasMethods("step")],
        "meta_eta0": [Interval(Real, 0, 1, closed="both")],
        "step_size": [
            StrOptions({"auto", *STEP_SIZES}),
            HasMethods(["start", "propose", "observe"]),
            HasMethods(["start", "propose", "observe_tasks"]),
        ],
        "task_column": [str, Integral, None],
        "init": [StrOptions({"zero", *INIT_RULES}), "array-like"],
        "meta_batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "n_passes": [Interval(Integral, 1, None, closed="left")],
        "unknown_task": [StrOptions({"init", "raise"})],
        "on_bad_task": [StrOptions({"raise", "warn", "skip"})],
        "store_tasks": ["boolean"],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        task_parameter: str = "last",
        meta_update: Any = "auto",
        meta_eta0: float = 0.1,
        step_size: Any = "auto",
        task_column: str | int | None = None,
        init: str | ArrayLike = "zero",
        n_passes: int = 1,
        meta_batch_size: int = 1,
        n_jobs: int | None = None,
        unknown_task: str = "init",
        on_bad_task: str = "raise",
        store_tasks: bool = True,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.task_parameter = task_parameter
        self.meta_update = meta_update
        self.meta_eta0 = meta_eta0
        self.step_size = step_size
        self.task_column = task_column
        self.init = init
        self.n_passes = n_passes
        self.meta_batch_size = meta_batch_size
        self.n_jobs = n_jobs
        self.unknown_task = unknown_task
        self.on_bad_task = on_bad_task
        self.store_tasks = store_tasks
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __copy__(self):
        """A shallow copy, but for what was learned: each learns on alone."""
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))
        if "_state" in vars(self):
            twin._state = deepcopy(self._state)
        return twin

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_state")

    # ---- what differs between classification and regression

    _plain_target: ClassVar[type]
    _exact_learner: ClassVar[type]
    _online_learner: ClassVar[type]

    @abstractmethod
    def _check_targets(self, X, y, classes):
        """Targets as the kernels read them; NaN where nothing can be learned."""

    @abstractmethod
    def _encode(self, y):
        """Targets of an array of the dtype `_plain_target`."""

    @abstractmethod
    def _target_problem(self, value, row):
        """What is wrong with a target that cannot be learned from."""

    @abstractmethod
    def _n_outputs(self):
        """Number of rows of weights."""

    @abstractmethod
    def _shape_coef(self, parameters):
        """Weights and intercepts of one or more parameters, shaped for the user."""

    # ---- learning

    def _ingest(
        self, X, y, tasks, sample_weight, classes=None, *, reset, n_passes=None
    ):
        """Learn from the tasks of one call, from the start if `reset`.

        `n_passes` is None in `partial_fit`, where a known task goes on from its own
        parameters.
        """
        arguments = X, y, tasks, sample_weight, classes, reset, n_passes
        if not reset:
            self._state = self._learned_from(*arguments)
            return self
        with unchanged_on_error(self):
            self._state = self._learned_from(*arguments)
        return self

    def _learned_from(self, X, y, tasks, sample_weight, classes, reset, n_passes):
        """The state after the tasks of one call."""
        before = vars(self).get("_state")
        unchanged = before is not None and before.watch.is_same(self)
        if not unchanged:
            validate_parameters(self)
        batch, names, source = self._check(X, y, tasks, sample_weight, classes, reset)
        state = self._start(batch, reset, unchanged)
        state.watch = before.watch if unchanged else ParameterWatch(self, _OBJECTS)
        state.is_plain = (
            self.task_column is None
            and self.meta_batch_size == 1
            and not self.verbose
            and state.algorithm.is_plain(state)
        )
        kept = self.store_tasks and names is not None
        n_tasks = len(batch.starts) - 1
        parameters = np.empty((n_tasks, *state.phi.shape)) if kept else None
        own = (None, None) if n_passes else self._own(state, names)
        problems = []

        def on_bad_task(t, algorithm):
            problems.append(self._problem(algorithm, batch, t, names, source))
            self._handle_bad_task(problems[-1])

        for n_pass in range(n_passes or 1):
            failed = learn(
                state,
                self._shuffled(state, batch),
                own,
                parameters,
                self.meta_batch_size,
                self.n_jobs,
                on_bad_task,
            )
            must_learn = n_passes or (reset and self._pools())
            if must_learn and len(failed) == n_tasks:
                raise ValueError(
                    f"None of the {n_tasks} tasks can be learned from. {problems[0]}"
                )
            if self.verbose:
                self._report(state, n_pass, n_passes or 1, n_tasks - len(failed))
        if kept:
            if failed:
                learned = np.delete(np.arange(n_tasks), failed)
                parameters, names = parameters[learned], [names[t] for t in learned]
            state.known = state.known.store(names, parameters)
        return state

    def _learn_plain(self, X, y):
        """Learn from one task without a label, if its arrays are as the kernels read.

        The short way of a stream. Returns False, and has done nothing, if anything is
        in its way, of which the ordinary way takes care.
        """
        attributes = vars(self)
        before = attributes.get("_state")
        if before is None or not before.is_plain or not before.watch.is_same(self):
            return False
        n_samples = len(y) if is_plain(y, self._plain_target, 1) else 0
        if (
            not n_samples
            or not is_plain(X, np.float64, 2)
            or X.shape != (n_samples, before.phi.shape[1] - 1)
            or "feature_names_in_" in attributes
        ):
            return False
        starts = np.array((0, n_samples), dtype=np.intp)
        batch = Batch(X, self._encode(y), None, starts, None)
        state = before.draft()
        if not _kernels.learn_tasks(
            batch,
            0,
            1,
            state.algorithm,
            state.phi,
            state.rule,
            state.clock,
            None,
            None,
            state.history.room(1),
            None,
            None,
        ):
            return False
        state.history = state.history.grown(1)
        self._state = state
        return True

    def _pools(self):
        """Whether the first initialization is computed from the rows of a call."""
        return isinstance(self.init, str) and self.init in INIT_RULES

    def _check(self, X, y, tasks, sample_weight, classes, reset):
        """What users pass in as a batch, the task labels or None, and a source.

        The source is what messages quote: y as given, and the number of every row in
        its task where some were left out, or None.
        """
        labels = tasks
        if self.task_column is not None:
            X, labels = self._split_labels(X, tasks)
        X = check_X(self, X, reset=reset, ensure_all_finite=False)
        if labels is not None:
            labels = check_labels(labels, X.shape[0])
        targets = self._check_targets(X, y, classes)
        weight, counts = check_weights(sample_weight, X)
        source = y, None
        if counts is not None:
            numbers = row_numbers(labels, counts)[counts]
            source = np.ravel(np.asarray(y))[counts], numbers
            X, targets = X[counts], targets[counts]
            labels = labels[counts] if isinstance(labels, np.ndarray) else labels
        names, starts, order = group_rows(labels, len(targets))
        return Batch(X, targets, weight, starts, order), names, source

    def _trace(self, X, y, tasks):
        """Replay one pass over tasks from the start; see `skmeta.metrics`."""
        model = clone(self)
        validate_parameters(model)
        batch, names, source = model._check(X, y, tasks, None, None, reset=True)
        state = model._start(batch, reset=True)
        if isinstance(state.algorithm.learner, ForeignLearner):
            raise ValueError(
                f"{type(state.algorithm.learner.estimator).__name__} reports no "
                "gradients: guarantees need an estimator of skmeta.linear_model."
            )
        n_tasks = len(batch.starts) - 1
        for t in range(n_tasks):
            rows = batch.rows(t)
            if find_nonfinite(batch.X[rows]) or not np.isfinite(batch.y[rows]).all():
                raise ValueError(
                    model._problem(state.algorithm, batch, t, names, source)
                )
        batch = model._shuffled(state, batch)
        return trace(state, batch, names or [None], self.meta_batch_size)

    def _shuffled(self, state, batch):
        """The batch in the order in which its rows are visited."""
        learner = state.algorithm.learner
        if not learner.shuffle:
            return batch
        first = len(state.history) + state.n_skipped
        generators = (
            np.random.default_rng((state.seed, first + t))
            for t in range(len(batch.starts) - 1)
        )
        order = learner.shuffled(batch.order, batch.starts, generators)
        return batch._replace(order=order)

    def _start(self, batch, reset, unchanged=False):
        """A draft of the state, with the algorithm that the parameters describe.

        `unchanged` says that these are the parameters of the last call.
        """
        if not reset and unchanged:
            return self._state.draft()
        n_features = batch.X.shape[1]
        shape = (self._n_outputs(), n_features + 1)
        is_array = not isinstance(self.init, str)
        phi_given = is_array or self._pools()
        if unchanged and self._state.phi.shape == shape:
            algorithm = self._state.algorithm
            if algorithm.phi_given != phi_given:
                algorithm = replace(algorithm, phi_given=phi_given)
        else:
            algorithm = self._make_algorithm(shape, phi_given)
        rule = algorithm.step_size.start(shape)
        if not reset:
            state = self._state.draft()
            before = state.algorithm.step_size
            if type(before) is not type(algorithm.step_size) or (
                rule.shape != state.rule.shape
            ):
                raise ValueError(
                    f"step_size changed from {before} to {algorithm.step_size} since "
                    "the last call; what the one has learned is of no use to the "
                    "other. Call fit to start again."
                )
            state.algorithm = algorithm
            if not self.store_tasks:
                state.known = KnownTasks(shape)
            check_offset(state.phi, "What was learned", algorithm.learner.bias)
            return state
        phi, weight = np.zeros(shape), 0.0
        if self._pools():
            phi, weight = INIT_RULES[self.init](batch, algorithm.learner, shape)
        if is_array:
            without_intercept = np.shape(self.init)[-1:] == (n_features,)
            width = n_features if without_intercept else n_features + 1
            phi[:, :width] = check_start(self.init, "init", (shape[0], width))
        check_offset(phi, "init", algorithm.learner.bias)
        seed = int(check_random_state(self.random_state).randint(2**31))
        state = MetaState(algorithm, phi, rule, seed)
        state.clock[1] = weight
        return state

    def _make_algorithm(self, shape, phi_given):
        """The algorithm that the parameters describe."""
        learner = self._make_learner(shape)
        step_size = _resolve(self.step_size, STEP_SIZES, auto=learner.step_size)
        leader = "gls" if hasattr(step_size, "observe_tasks") else "ftl"
        algorithm = Algorithm(
            learner=learner,
            task_parameter=TASK_PARAMETERS[self.task_parameter],
            step_size=step_size,
            meta_update=_resolve(self.meta_update, META_UPDATES, auto=leader),
            meta_eta0=float(self.meta_eta0),
            phi_given=phi_given,
        )
        self._check_parts(algorithm, algorithm.step_size.start(shape), shape)
        return algorithm

    def _inner(self, shape):
        """The inner learner, its parameters validated."""
        if self.estimator is not None:
            return _validated(self.estimator)
        if isinstance(self.step_size, str):
            exact = self.step_size == "empirical_bayes" or (
                self.step_size == "auto" and shape[1] <= FEW_PARAMETERS
            )
        else:
            exact = hasattr(self.step_size, "observe_tasks")
        return (self._exact_learner if exact else self._online_learner)()

    def _make_learner(self, shape):
        inner = self._inner(shape)
        same_kind = is_classifier if is_classifier(self) else is_regressor
        if not same_kind(inner):
            raise ValueError(
                f"The 'estimator' parameter of {type(self).__name__} must be "
                f"{self._online_learner.__name__}() or another linear model of that "
                f"kind. Got {inner!r} instead."
            )
        if isinstance(inner, BaseLinear):
            return inner._make_learner(shape)
        return ForeignLearner(inner, getattr(self, "classes_", None))

    def _check_parts(self, algorithm, rule, shape):
        """Refuse parts that do not go together."""
        update = algorithm.learner.update
        if algorithm.learns_prior and update != "full_loss":
            name = type(self._inner(shape)).__name__
            raise ValueError(
                f"step_size={self.step_size!r} needs an inner learner that solves the "
                f"regularised problem exactly, which {name} does not: use "
                "estimator=BiasedRidge() or BiasedLogisticRegression(), or "
                "step_size='per_coordinate'."
            )
        weighs_matrices = isinstance(algorithm.meta_update, GeneralizedLeastSquares)
        if weighs_matrices and not algorithm.learns_prior:
            raise ValueError(
                f"meta_update={self.meta_update!r} needs a learned prior: use it with "
                "step_size='empirical_bayes', or use meta_update='ftl'."
            )
        if update == "eg" and algorithm.step_size.propose(rule, 1, _ONE).size > 1:
            raise ValueError(
                "update='eg' needs a single step size: it does not go together with "
                f"step_size={self.step_size!r}."
            )
        if not isinstance(algorithm.learner, ForeignLearner):
            return
        algorithm.learner.check(shape)
        name = type(algorithm.learner.estimator).__name__
        if self._pools():
            raise ValueError(
                f"{name} names no loss to pool the rows with: use init='zero' or an "
                f"array, or an estimator of skmeta.linear_model. Got {self.init!r}."
            )
        if not isinstance(algorithm.step_size, Fixed) or self.task_parameter != "last":
            raise ValueError(
                f"{name} reports neither gradients nor its average iterate: use it "
                "with step_size='fixed' and task_parameter='last', or use an estimator "
                "of skmeta.linear_model."
            )

    def _own(self, state, names):
        """(parameters, row for every task or -1): a known task starts at its own."""
        if names is None or not len(state.known):
            return None, None
        return state.known.parameters, state.known.rows(names)

    def _handle_bad_task(self, problem):
        if self.on_bad_task == "raise":
            raise ValueError(
                f"{problem} With on_bad_task='skip' such a task is left out."
            )
        if self.on_bad_task == "warn":
            # through on_bad_task, learn, _learned_from, _ingest and the method
            warnings.warn(f"{problem} The task was skipped.", UserWarning, stacklevel=7)

    def _problem(self, algorithm, batch, t, names, source):
        """Why task t could not be learned from, and what to do."""
        task = "The task of this call" if names is None else f"Task {names[t]!r}"
        rows = batch.rows(t)
        y, numbers = source
        numbers = np.arange(len(rows)) if numbers is None else numbers[rows]
        bad = find_nonfinite(batch.X[rows])
        if bad is not None:
            features = getattr(self, "feature_names_in_", range(batch.X.shape[1]))
            return (
                f"{task}: X contains NaN or infinity in row {numbers[bad[0]]} of the "
                f"task, feature {features[bad[1]]!r}. Drop the row or impute the value."
            )
        bad = np.flatnonzero(~np.isfinite(batch.y[rows]))
        if bad.size:
            value = np.ravel(np.asarray(y))[rows[bad[0]]]
            value = getattr(value, "item", lambda: value)()
            return f"{task}: {self._target_problem(value, numbers[bad[0]])}"
        for part in (algorithm.learner, algorithm.task_parameter):
            reason = part.problem(batch, t) if hasattr(part, "problem") else None
            if reason:
                return f"{task}: {reason}"
        return diverged_message(task, algorithm.learner.update)

    def _report(self, state, n_pass, n_passes, n_done):
        loss = np.mean(state.history.array["loss"][-n_done:]) if n_done else np.nan
        print(
            f"[{type(self).__name__}] pass {n_pass + 1} of {n_passes}: {n_done} tasks, "
            f"mean prequential loss {loss:.6g}"
        )

    # ---- using what was learned

    def _split_labels(self, X, tasks):
        if self.task_column is None:
            return X, tasks
        if tasks is not None:
            raise ValueError(
                f"Give the task labels once: as tasks= or as task_column="
                f"{self.task_column!r}, not both."
            )
        return split_column(X, self.task_column)

    def _scores(self, X, tasks):
        """Raw scores (n_samples, n_outputs), every row under its task's parameters."""
        state = self._fitted_state()
        X, labels = self._split_labels(X, tasks)
        X = check_X(self, X, reset=False)
        if labels is None:
            coef, intercept = state.phi[:, :-1], state.phi[:, -1]
            return safe_sparse_dot(X, coef.T, dense_output=True) + intercept
        names, index = code_rows(check_labels(labels, X.shape[0]), X.shape[0])
        rows = state.known.rows(names)
        unknown = rows < 0
        if unknown.any() and self.unknown_task == "raise":
            raise ValueError(
                f"Task {names[unknown.argmax()]!r} is unknown ({int(unknown.sum())} of "
                f"{len(names)} tasks are). Teach it with partial_fit, or predict from "
                "the shared initialization with unknown_task='init'."
            )
        parameters = np.empty((len(names), *state.phi.shape))
        parameters[unknown] = state.phi
        parameters[~unknown] = state.known.parameters[rows[~unknown]]
        return _kernels.score_rows(X, index, parameters)

    def adapt(
        self, X: Any, y: ArrayLike, *, sample_weight: ArrayLike | None = None
    ) -> Any:
        """Fit an inner estimator to a new task; the meta-estimator is left untouched.

        The estimator starts at the shared initialization and takes the learned step
        size. It holds the last iterate; the average if `task_parameter='average'` or if
        the inner learner has `average=True`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows of one task, in the order in which they are learned from, with or
            without the `task_column`.
        y : array-like of shape (n_samples,)
            Targets; of a classifier, any of `classes_`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of every sample's loss, >= 0. None: all 1.

        Returns
        -------
        estimator : estimator
            A fitted clone of `estimator`. It knows the features only: it predicts, and
            goes on learning with its own `partial_fit`, without the `task_column`.

        Raises
        ------
        ValueError
            If the input is invalid or the parameters leave the finite numbers.
        """
        state = self._fitted_state()
        if self.task_column is not None and np.shape(X)[1:] != (self.n_features_in_,):
            X, labels = self._split_labels(X, None)
            names, *_ = group_rows(check_labels(labels, len(labels)), len(labels))
            if len(names) > 1:
                raise ValueError(
                    f"adapt takes the rows of one task; got those of {len(names)}: "
                    f"{names[:5]}."
                )
        X = check_X(self, X, reset=False, ensure_all_finite=False)
        targets = self._check_targets(X, y, vars(self).get("classes_"))
        weight, counts = check_weights(sample_weight, X)
        algorithm, inner = state.algorithm, self.estimator
        if not state.watch.is_same(self):
            algorithm = self._make_algorithm(state.phi.shape, algorithm.phi_given)
        n_samples = len(targets) if weight is None else len(weight)
        inner = self._inner(state.phi.shape) if inner is None else inner
        noise = algorithm.noise(state)
        if noise is not None and hasattr(inner, "noise"):
            inner = clone(inner).set_params(noise=noise)
        eta0 = algorithm.learner.step(n_samples)
        try:
            return algorithm.learner.adapt(
                inner,
                state.phi.copy(),
                algorithm.step_size.propose(state.rule, n_samples, eta0),
                (X, targets, weight, counts),
                average=algorithm.task_parameter.needs_average,
                attributes={
                    name: vars(self)[name] for name in _SHARED if name in vars(self)
                },
            )
        except ValueError:  # the learner has noticed it; say where it is
            if find_nonfinite(X) or find_nonfinite(targets[:, np.newaxis]):
                whole = Batch(X, targets, None, np.array([0, len(targets)]), None)
                problem = self._problem(algorithm, whole, 0, None, (y, None))
                raise ValueError(problem) from None
            raise

    def _fitted_state(self):
        if "_state" not in vars(self):
            check_is_fitted(self)
        return self._state

    # ---- fitted attributes, views of the state

    @_learned
    def coef_(self, state):
        """Weights of the shared initialization."""
        return self._shape_coef(state.phi.copy())[0]

    @_learned
    def intercept_(self, state):
        """Intercept of the shared initialization."""
        return self._shape_coef(state.phi.copy())[1]

    @_learned
    def task_labels_(self, state):
        """Labels of the known tasks, in order of first appearance."""
        return state.known.labels

    @_learned
    def task_coef_(self, state):
        """Weights of the known tasks."""
        return self._shape_coef(state.known.parameters)[0].copy()

    @_learned
    def task_intercept_(self, state):
        """Intercepts of the known tasks."""
        return self._shape_coef(state.known.parameters)[1].copy()

    @_learned
    def history_(self, state):
        """One row per learned task."""
        return state.history.array

    @_learned
    def step_size_(self, state):
        """Step size of a next task as long as the last one."""
        n_samples = state.history.array["n_samples"][-1] if len(state.history) else 1
        eta = diagonal(state.algorithm.step(state, n_samples))
        return float(eta[0, 0]) if eta.size == 1 else eta

    @_learned
    def n_tasks_seen_(self, state):
        """Number of tasks learned from, every pass and every return counted."""
        return len(state.history)

    @_learned
    def n_tasks_skipped_(self, state):
        """Number of bad tasks that were left out."""
        return state.n_skipped


def _resolve(value, named, auto):
    """The object that a name stands for; an object's own parameters validated."""
    if isinstance(value, str):
        return named[auto if value == "auto" else value]
    return clone(_validated(value), safe=False)


def _validated(value):
    """An object given as a parameter, its own parameters validated."""
    if isinstance(value, type):
        raise ValueError(
            f"Pass an instance of {value.__name__}, not the class: {value.__name__}()."
        )
    if hasattr(value, "_parameter_constraints"):
        value._validate_params()
    return value
