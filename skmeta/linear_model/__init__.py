"""Linear models trained one sample at a time: the inner learners."""

from skmeta.linear_model._ogd import OGDClassifier, OGDRegressor

__all__ = ["OGDClassifier", "OGDRegressor"]
