"""Meta-learning of linear models with provable guarantees, for scikit-learn."""

from skmeta._show_versions import show_versions
from skmeta._version import __version__
from skmeta.fmrl import FMRLClassifier, FMRLRegressor

__all__ = ["FMRLClassifier", "FMRLRegressor", "__version__", "show_versions"]
