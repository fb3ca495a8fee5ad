"""Linear models that start or are regularised anywhere: the inner learners."""

from skmeta.linear_model._biased import BiasedLogisticRegression, BiasedRidge
from skmeta.linear_model._ogd import OGDClassifier, OGDRegressor

__all__ = [
    "BiasedLogisticRegression",
    "BiasedRidge",
    "OGDClassifier",
    "OGDRegressor",
]
