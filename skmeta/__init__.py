"""Meta-learning of linear models with provable guarantees, for scikit-learn."""

from __future__ import annotations

from skmeta._fmrl._classifier import FMRLClassifier
from skmeta._fmrl._regressor import FMRLRegressor
from skmeta._mixed._classifier import MixedEffectsClassifier
from skmeta._mixed._regressor import MixedEffectsRegressor
from skmeta._show_versions import show_versions
from skmeta._version import __version__

__all__ = [
    "FMRLClassifier",
    "FMRLRegressor",
    "MixedEffectsClassifier",
    "MixedEffectsRegressor",
    "__version__",
    "show_versions",
]
