"""Tasks of `theory_reference` and meta-estimators for them, in raw units."""

import numpy as np
import scipy.sparse as sp
from theory_reference import mixed_task

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta.linear_model import OGDClassifier, OGDRegressor

CONTAINERS = {"dense": np.array, "csr": sp.csr_matrix}
RAW = {"standardize": False, "step_size": "isotropic"}


def model_for(task, *, inner=None, **params):
    """A meta-estimator for tasks like this one; `inner`: of the inner learner."""
    learner = OGDClassifier if task.n_classes else OGDRegressor
    kind = FMRLClassifier if task.n_classes else FMRLRegressor
    return kind(learner(**task.options | (inner or {})), **RAW | params)


def make(loss, seed, kind=mixed_task, sizes=(4, 4, 4), **options):
    """Tasks of two features."""
    rng = np.random.default_rng(seed)
    return [kind(rng, loss, size, 2, **options) for size in sizes]


def learner_for(task, **params):
    """An inner learner for a task like this one."""
    kind = OGDClassifier if task.n_classes else OGDRegressor
    return kind(**task.options | params)


def fit(model, task, start=None, container="dense"):
    """`fit` of an inner learner to a task, from a start; every class has to occur."""
    start = np.zeros(task.shape) if start is None else start
    return model.fit(
        CONTAINERS[container](task.X),
        task.y,
        task.weight,
        coef_init=start[:, :-1] if task.n_classes else start[0, :-1],
        intercept_init=start[:, -1],
    )
