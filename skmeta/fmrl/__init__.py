"""Meta-estimators: what many related tasks share, and one step to a new one."""

from skmeta.fmrl._classifier import FMRLClassifier
from skmeta.fmrl._regressor import FMRLRegressor

__all__ = ["FMRLClassifier", "FMRLRegressor"]
