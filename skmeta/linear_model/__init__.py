"""Linear models that start or are regularised anywhere: the inner learners."""

from __future__ import annotations

from skmeta._batch import Objective, Task
from skmeta._learners._flat import FlatLearner
from skmeta._learners._protocol import Capability, InnerLearner, Outcome
from skmeta.linear_model._biased import BiasedLogisticRegression, BiasedRidge
from skmeta.linear_model._ogd import OGDClassifier, OGDRegressor

__all__ = [
    "BiasedLogisticRegression",
    "BiasedRidge",
    "Capability",
    "FlatLearner",
    "InnerLearner",
    "OGDClassifier",
    "OGDRegressor",
    "Objective",
    "Outcome",
    "Task",
]
