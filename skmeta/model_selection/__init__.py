"""Cross-validation of tasks: new ones, new ones of a few known rows, and known ones."""

from __future__ import annotations

from skmeta.model_selection._few_shot import few_shot_scores
from skmeta.model_selection._split import FewShotSplit, TaskTimeSplit

__all__ = ["FewShotSplit", "TaskTimeSplit", "few_shot_scores"]
