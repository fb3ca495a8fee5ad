"""Tasks of `theory_reference` and meta-estimators for them, in raw units."""

import numpy as np
from theory_reference import mixed_task

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta.linear_model import OGDClassifier, OGDRegressor

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
