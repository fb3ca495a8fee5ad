"""Transformers before a meta-estimator, in streams and for new tasks too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from copy import copy, deepcopy
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from joblib import Memory
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.metadata_routing import (
    MetadataRequest,
    MetadataRouter,
    MethodMapping,
    get_routing_for_object,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skmeta._labels import split_labels
from skmeta._sklearn import HasMethods, _fit_context
from skmeta._steps import DropTaskColumn, features_of_one_task

__all__ = ["TaskPipeline", "make_task_pipeline"]

# The methods of the last step to which metadata routing passes something.
_PREDICTING = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "score",
)
_ROUTED = ("fit", "partial_fit", *_PREDICTING)


def _last_step_has(method: str) -> Callable[[Any], bool]:
    """A check for `available_if`; its error is that of the last step."""

    def check(self: Any) -> bool:
        getattr(self.steps[-1][1] if self.steps else None, method)
        return True

    return check


class TaskPipeline(Pipeline):
    """A Pipeline whose last step is a meta-estimator.

    In addition to what :class:`sklearn.pipeline.Pipeline` does, it learns streams with
    `partial_fit`, adapts to new tasks, and passes task labels to its last step.

    Parameters
    ----------
    steps : list of (str, estimator)
        The names and the estimators: transformers, and a meta-estimator last.
    task_column : str, int or list, default=None
        Name or index of the column of X that holds the task labels. It is taken out
        before the first step, and the last step gets the labels as `tasks`.
    memory : str or object with the joblib.Memory interface, default=None
        Where `fit` caches fitted transformers.
    verbose : bool, default=False
        Whether `fit` prints the time of every step.

    Attributes
    ----------
    named_steps : Bunch
        The steps by name.
    classes_ : ndarray of shape (n_classes,)
        Classes of the last step, if it is a classifier.
    n_features_in_ : int
        Number of features of the first step.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features of the first step.

    See Also
    --------
    make_task_pipeline : The same with names made from the classes of the steps.

    Notes
    -----
    **Metadata.** `tasks`, `classes`, `sample_weight` and other keyword arguments go to
    the last step, also if metadata routing is disabled. With routing, requests that a
    step has set are respected; of those not set, the last step requests all and the
    transformers none. Keyword arguments of `fit` and `partial_fit` with the prefix
    ``<step>__`` go to that step if routing is disabled.

    **Streams.** `partial_fit` first updates the transformers that have `partial_fit`,
    then the last step. The other transformers must be fitted beforehand. What the last
    step has learned refers to the features as they were then: a transformer that still
    changes much, such as a `StandardScaler` in the first rows of a stream, spoils it.
    (Meta-estimators of skmeta need no scaler.) A transformer in a `FrozenEstimator` is
    not updated.

    **Copies.** `fit` and `partial_fit` learn on copies of the transformers and then
    replace them; only the last step is the object that was passed. So a call that fails
    leaves the pipeline as it was, and an adapted pipeline keeps the transformers that
    it was adapted with. The steps are not replaced at the same moment: use a lock if
    other threads predict while one learns.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.preprocessing import PolynomialFeatures
    >>> from skmeta import MixedEffectsRegressor
    >>> from skmeta.datasets import make_task_regression
    >>> from skmeta.pipeline import TaskPipeline
    >>> X, y, tasks = make_task_regression(n_tasks=40, n_features=2, random_state=0)
    >>> table = pd.DataFrame(X, columns=["a", "b"]).assign(store=tasks)
    >>> steps = [
    ...     ("squares", PolynomialFeatures(include_bias=False)),
    ...     ("model", MixedEffectsRegressor()),
    ... ]
    >>> model = TaskPipeline(steps, task_column="store").fit(table[:-10], y[:-10])
    >>> adapted = model.adapt(table[-10:-6], y[-10:-6])
    >>> mean, std = adapted.predict(table[-6:], return_std=True)
    >>> mean.shape, std.shape
    ((6,), (6,))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "steps": [list],
        "task_column": [str, Integral, list, tuple, None],
        "memory": [str, HasMethods(["cache"]), None],
        "verbose": ["boolean"],
    }

    transform_input = None  # a parameter of Pipeline; metadata go to the last step

    def __init__(
        self,
        steps: list[tuple[str, Any]],
        *,
        task_column: Any = None,
        memory: str | Memory | None = None,
        verbose: bool = False,
    ):
        self.steps = steps
        self.task_column = task_column
        self.memory = memory
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)  # the steps validate themselves
    def fit(self, X: Any, y: ArrayLike | None = None, **params: Any) -> Self:
        """Fit clones of the transformers, and the last step on what they return.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, and the `task_column` if there is one.
        y : array-like of shape (n_samples,)
            Targets.
        **params : dict
            `tasks`, `sample_weight`, `classes`: for the last step.

        Returns
        -------
        self : TaskPipeline
            The fitted pipeline.
        """
        self._validate_steps()
        X, params = self._take_labels(X, params)
        *transformers, (last, model) = self.steps
        draft = copy(self)
        draft.steps = [(name, _clone(one)) for name, one in transformers]
        draft.steps.append((last, model))
        if not _is_routing():
            prefixed = (
                (k if "__" in k else f"{last}__{k}", v) for k, v in params.items()
            )
            params = dict(prefixed)
        super(TaskPipeline, draft).fit(X, y, **params)
        self.steps = draft.steps
        return self

    @available_if(_last_step_has("partial_fit"))
    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X: Any, y: ArrayLike | None = None, **params: Any) -> Self:
        """Learn from one more task, or from labelled tasks; transformers are updated.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, and the `task_column` if there is one.
        y : array-like of shape (n_samples,)
            Targets.
        **params : dict
            `tasks`, `sample_weight`, `classes`: for the last step.

        Returns
        -------
        self : TaskPipeline
            The fitted pipeline.

        Raises
        ------
        NotFittedError
            If a transformer has no `partial_fit` and is not fitted.
        """
        self._validate_steps()
        X, params = self._take_labels(X, params)
        routed = self._route("partial_fit", params)
        steps = list(self.steps)
        for i, (name, transformer) in enumerate(steps[:-1]):
            if _is_nothing(transformer):
                continue
            if hasattr(transformer, "partial_fit") and not _is_frozen(transformer):
                transformer = deepcopy(transformer)
                transformer.partial_fit(X, y, **routed[name]["partial_fit"])
                steps[i] = name, transformer
            else:
                _check_step(name, transformer)
            X = transformer.transform(X, **routed[name]["transform"])
        name, model = steps[-1]
        model.partial_fit(X, y, **routed[name]["partial_fit"])
        self.steps = steps
        return self

    @available_if(_last_step_has("adapt"))
    def adapt(self, X: Any, y: ArrayLike, **params: Any) -> TaskPipeline:
        """Adapt the last step to a new task; this pipeline does not change.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows of one task, with or without the `task_column`.
        y : array-like of shape (n_samples,)
            Targets.
        **params : dict
            For `adapt` of the last step.

        Returns
        -------
        adapted : TaskPipeline
            The same transformers, frozen, and the adapted estimator. It takes rows as
            this pipeline does, with or without the `task_column`, and its `partial_fit`
            updates the adapted estimator only.
        """
        check_is_fitted(self)
        *transformers, (last, model) = self.steps
        steps = [(name, _freeze(one)) for name, one in transformers]
        if self.task_column is not None:
            n_features = getattr(self.steps[0][1], "n_features_in_", None)
            drop = DropTaskColumn(self.task_column, n_features)
            steps.insert(0, ("drop_task_column", drop))
        adapted = model.adapt(self._transform_one_task(X), y, **params)
        column = getattr(model, "task_column", None)
        if column is not None:
            drop = DropTaskColumn(column, model.n_features_in_)
            steps.append(("drop_task_column", drop))
        return TaskPipeline([*steps, (last, adapted)])

    @available_if(_last_step_has("surprise"))
    def surprise(self, X: Any, y: ArrayLike, **params: Any) -> float:
        """Transform the rows of one task, and compute their surprise in the last step.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows of one task, with or without the `task_column`.
        y : array-like of shape (n_samples,)
            Targets.
        **params : dict
            For `surprise` of the last step.

        Returns
        -------
        surprise : float
            Minus the log predictive density of the rows, per row.
        """
        check_is_fitted(self)
        return self.steps[-1][1].surprise(self._transform_one_task(X), y, **params)

    def _transform_one_task(self, X: Any) -> Any:
        if self.task_column is not None:
            n_features = getattr(self.steps[0][1], "n_features_in_", None)
            X = features_of_one_task(X, self.task_column, n_features)
        return self._transform(X, self._route("adapt", {}))

    @available_if(_last_step_has("predict"))
    def predict(self, X: Any, **params: Any) -> Any:
        """Transform the rows, and predict with the last step.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, and the `task_column` if there is one.
        **params : dict
            `tasks`, and for some estimators `return_std`: for the last step.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predictions; with `return_std`, a pair of them and standard deviations.
        """
        return self._call("predict", X, params)

    @available_if(_last_step_has("predict_interval"))
    def predict_interval(self, X: Any, **params: Any) -> np.ndarray:
        """Transform the rows, and compute intervals with the last step.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, and the `task_column` if there is one.
        **params : dict
            `tasks`, `coverage`: for the last step.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2)
            Lower and upper ends.
        """
        return self._call("predict_interval", X, params)

    @available_if(_last_step_has("task_frame"))
    def task_frame(self) -> Any:
        """Which tasks differ, and in what: `task_frame` of the last step.

        Returns
        -------
        frame : DataFrame
            A row per known task. The coefficients are those of transformed features.
        """
        check_is_fitted(self)
        return self.steps[-1][1].task_frame()

    @available_if(_last_step_has("predict_proba"))
    def predict_proba(self, X: Any, **params: Any) -> np.ndarray:
        """Transform the rows, and compute probabilities with the last step.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, and the `task_column` if there is one.
        **params : dict
            `tasks`: for the last step.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`.
        """
        return self._call("predict_proba", X, params)

    @available_if(_last_step_has("predict_log_proba"))
    def predict_log_proba(self, X: Any, **params: Any) -> np.ndarray:
        """Transform the rows, and compute log-probabilities with the last step.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, and the `task_column` if there is one.
        **params : dict
            `tasks`: for the last step.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Logarithms, in the order of `classes_`.
        """
        return self._call("predict_log_proba", X, params)

    @available_if(_last_step_has("decision_function"))
    def decision_function(self, X: Any, **params: Any) -> np.ndarray:
        """Transform the rows, and compute raw scores with the last step.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, and the `task_column` if there is one.
        **params : dict
            `tasks`: for the last step.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Scores.
        """
        return self._call("decision_function", X, params)

    @available_if(_last_step_has("score"))
    def score(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        **params: Any,
    ) -> float:
        """Transform the rows, and score the last step.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, and the `task_column` if there is one.
        y : array-like of shape (n_samples,)
            True targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        **params : dict
            `tasks`: for the last step.

        Returns
        -------
        score : float
            The score of the last step: R^2 or the accuracy.
        """
        if sample_weight is not None:
            params["sample_weight"] = sample_weight
        return self._call("score", X, params, y)

    def get_metadata_routing(self) -> MetadataRouter:
        """Which metadata the steps request.

        Returns
        -------
        routing : MetadataRouter
            The requests that the steps have set; of those not set, the last step
            requests all and the transformers none.
        """
        router = MetadataRouter(owner=self)
        *transformers, (last, model) = self.steps
        for name, transformer in transformers:
            if not _is_nothing(transformer):
                mapping = _calls_of_transformer(transformer)
                request = _request(transformer, default=False)
                router.add(method_mapping=mapping, **{name: request})
        if not _is_nothing(model):
            mapping = MethodMapping()
            for method in _ROUTED:
                if hasattr(model, method):
                    mapping.add(caller=method, callee=method)
            is_own = self.task_column is not None
            request = _request(model, default=True, resets_tasks=is_own)
            router.add(method_mapping=mapping, **{last: request})
        return router

    def _take_labels(
        self, X: Any, params: dict[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """(features, metadata with `tasks`, if there are labels)."""
        X, tasks = split_labels(X, params.get("tasks"), self.task_column)
        others = {name: value for name, value in params.items() if name != "tasks"}
        return X, others if tasks is None else {**others, "tasks": tasks}

    def _route(self, method: str, params: dict[str, Any]) -> Any:
        """The metadata of every method of every step."""
        if _is_routing() and method in _ROUTED:
            return process_routing(self, method, **params)
        routed: dict[str, dict[str, dict[str, Any]]] = {
            name: defaultdict(dict) for name, _ in self.steps
        }
        for name, value in params.items():
            step, is_prefixed, parameter = name.partition("__")
            if not is_prefixed:
                step, parameter = self.steps[-1][0], name
            if step not in routed:
                raise ValueError(
                    f"{name} is for a step {step!r}, but the steps are {list(routed)}."
                )
            routed[step][method][parameter] = value
        return routed

    def _transform(self, X: Any, routed: Any) -> Any:
        for name, transformer in self.steps[:-1]:
            if not _is_nothing(transformer):
                X = transformer.transform(X, **routed[name]["transform"])
        return X

    def _call(self, method: str, X: Any, params: dict[str, Any], *targets: Any) -> Any:
        """A method of the last step, on transformed rows."""
        check_is_fitted(self)
        X, params = self._take_labels(X, params)
        routed = self._route(method, params)
        Xt = self._transform(X, routed)
        name, model = self.steps[-1]
        return getattr(model, method)(Xt, *targets, **routed[name][method])


def make_task_pipeline(
    *steps: Any,
    task_column: Any = None,
    memory: str | Memory | None = None,
    verbose: bool = False,
) -> TaskPipeline:
    """A `TaskPipeline` of these steps, named after their classes.

    Parameters
    ----------
    *steps : estimators
        Transformers, and a meta-estimator last.
    task_column : str, int or list, default=None
        Name or index of the column of X that holds the task labels. It is taken out
        before the first step.
    memory : str or object with the joblib.Memory interface, default=None
        Where `fit` caches fitted transformers.
    verbose : bool, default=False
        Whether `fit` prints the time of every step.

    Returns
    -------
    pipeline : TaskPipeline
        The pipeline.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skmeta import FMRLRegressor
    >>> from skmeta.datasets import make_task_regression
    >>> from skmeta.pipeline import make_task_pipeline
    >>> X, y, tasks = make_task_regression(n_tasks=20, random_state=0)
    >>> pipeline = make_task_pipeline(StandardScaler(), FMRLRegressor())
    >>> for task in range(20):
    ...     rows = tasks == task
    ...     pipeline = pipeline.partial_fit(X[rows], y[rows], tasks=task)
    >>> pipeline[-1].n_tasks_seen_, int(pipeline[0].n_samples_seen_)
    (20, 200)
    """
    return TaskPipeline(
        make_pipeline(*steps).steps,
        task_column=task_column,
        memory=memory,
        verbose=verbose,
    )


def _is_routing() -> bool:
    return bool(get_config()["enable_metadata_routing"])


def _is_nothing(step: Any) -> bool:
    return step is None or isinstance(step, str)  # 'passthrough'


def _is_frozen(step: Any) -> bool:
    return isinstance(step, FrozenEstimator)


def _clone(step: Any) -> Any:
    return step if _is_nothing(step) else clone(step)


def _freeze(step: Any) -> Any:
    is_done = _is_nothing(step) or _is_frozen(step)
    return step if is_done else FrozenEstimator(step)


def _check_step(name: str, transformer: Any) -> None:
    if _is_nothing(transformer):
        return
    try:
        check_is_fitted(transformer)
    except NotFittedError as error:
        raise NotFittedError(
            f"The step {name!r} ({type(transformer).__name__}) has no partial_fit and "
            "is not fitted. Fit it on some rows of the stream before you pass it, or "
            "call fit of the pipeline first."
        ) from error


def _request(step: Any, *, default: bool, resets_tasks: bool = False) -> Any:
    """The requests of a step; those not set are requested, or not, by default."""
    request = get_routing_for_object(step)
    if not isinstance(request, MetadataRequest):
        return request  # the step is a router itself
    for method in (*_ROUTED, "transform"):
        own = getattr(request, method)
        for name, alias in list(own.requests.items()):
            if alias is None or (resets_tasks and name == "tasks"):
                own.add_request(param=name, alias=default)
    return request


def _calls_of_transformer(transformer: Any) -> MethodMapping:
    """The methods of a transformer that those of the pipeline call."""
    mapping = MethodMapping()
    if hasattr(transformer, "fit_transform"):
        mapping.add(caller="fit", callee="fit_transform")
    else:
        mapping.add(caller="fit", callee="fit").add(caller="fit", callee="transform")
    if hasattr(transformer, "partial_fit"):
        mapping.add(caller="partial_fit", callee="partial_fit")
    for caller in ("partial_fit", *_PREDICTING):
        mapping.add(caller=caller, callee="transform")
    return mapping
