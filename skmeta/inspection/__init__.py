"""Pictures of what was learned and of what is guaranteed.

A display holds numbers, and `plot` draws them; matplotlib is imported there.
"""

from __future__ import annotations

from skmeta.inspection._few_shot import FewShotDisplay
from skmeta.inspection._regret import RegretDisplay
from skmeta.inspection._task_effects import TaskEffectsDisplay
from skmeta.inspection._task_similarity import TaskSimilarityDisplay

__all__ = [
    "FewShotDisplay",
    "RegretDisplay",
    "TaskEffectsDisplay",
    "TaskSimilarityDisplay",
]
