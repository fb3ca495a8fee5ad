"""Small problems of three kinds, models for them, and their comparison bit by bit."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.linear_model import (
    BiasedLogisticRegression,
    BiasedRidge,
    OGDClassifier,
    OGDRegressor,
)

PROBLEMS = ["regression", "two-classes", "three-classes"]
N_FEATURES = 4
SHARED = ["coef_", "intercept_", "step_size_", "history_", "n_tasks_seen_"]
BY_TASK = ["task_labels_", "task_coef_", "task_intercept_"]
ATTRIBUTES = [*SHARED, *BY_TASK, "n_tasks_skipped_"]
on_all_problems = pytest.mark.parametrize("problem", PROBLEMS)
# The default, in units; and learners in raw units: one of steps, one solved exactly.
on_all_learners = pytest.mark.parametrize(
    "inner", [None, {}, "exact"], ids=["units", "ogd", "exact"]
)


def make(problem, n_tasks=12, n_samples=(1, 7), seed=0, **params):
    """(X, y, tasks), the rows of the tasks interleaved."""
    params = {"shuffle": True, "random_state": seed} | params
    if problem == "regression":
        return make_task_regression(n_tasks, n_samples, N_FEATURES, **params)
    n_classes = 2 if problem == "two-classes" else 3
    return make_task_classification(
        n_tasks, n_samples, N_FEATURES, n_classes=n_classes, **params
    )


def model_for(problem, *, inner=None, **params):
    """A model with parameters, by default the package's own.

    With `inner`, the parameters of an inner learner of steps, or 'exact' for one that
    is solved, it learns in raw units.
    """
    regression = problem == "regression"
    if inner is not None:
        params = {"standardize": False} | params
    if isinstance(inner, dict):
        inner = (OGDRegressor if regression else OGDClassifier)(**inner)
    elif inner == "exact":
        inner = BiasedRidge() if regression else BiasedLogisticRegression()
    return (FMRLRegressor if regression else FMRLClassifier)(inner, **params)


def targets(y):
    """One column per output: the value, or -1 and +1."""
    if y.dtype.kind == "f":
        return y[:, np.newaxis]
    classes = np.unique(y)
    signs = np.where(y[:, np.newaxis] == classes, 1.0, -1.0)
    return signs[:, 1:] if len(classes) == 2 else signs


def first_call(y, model):
    """What the first call of partial_fit needs besides the tasks."""
    return {"classes": np.unique(y)} if isinstance(model, FMRLClassifier) else {}


def in_order(tasks):
    """The distinct labels, in order of first appearance."""
    return list(dict.fromkeys(tasks.tolist()))


def stream(model, X, y, tasks, labelled=True):
    """Call partial_fit once for every task."""
    options = first_call(y, model)
    for task in in_order(tasks):
        rows = np.flatnonzero(tasks == task)
        label = task if labelled else None
        model.partial_fit(X[rows], y[rows], tasks=label, **options)
    return model


def train(problem, X, y, coef=None, intercept=None, weight=None, **params):
    """The inner learner by itself, from a given start."""
    weight = np.ones(len(y)) if weight is None else weight
    if problem == "regression":
        return OGDRegressor(**params).fit(X, y, weight, coef, intercept)
    # rows of weight zero name the classes that the task may lack
    classes = np.arange(2 if problem == "two-classes" else 3)
    X = np.vstack([X, np.zeros((len(classes), X.shape[1]))])
    y, weight = np.append(y, classes), np.append(weight, 0 * classes)
    return OGDClassifier(**params).fit(X, y, weight, coef, intercept)


def numbers(history):
    """The history without the labels of the tasks and the numbers of the visits."""
    return history[list(history.dtype.names[2:])]


def assert_equal_models(one, other, names=ATTRIBUTES, *, same_labels=True):
    """Equal to the last bit."""
    for name in names:
        found, expected = getattr(one, name), getattr(other, name)
        if name == "history_" and not same_labels:
            found, expected = numbers(found), numbers(expected)
        assert_array_equal(found, expected, err_msg=name)


def scores(model, X, tasks):
    """Raw scores, one column per output."""
    method = "predict" if isinstance(model, FMRLRegressor) else "decision_function"
    return getattr(model, method)(X, tasks=tasks).reshape(X.shape[0], -1)
