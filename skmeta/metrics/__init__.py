"""What is guaranteed: regret, its certificate, task similarity and risk."""

from __future__ import annotations

from skmeta.metrics._bounds import (
    dynamic_regret_bound,
    dynamic_similarity,
    follow_the_leader_identity,
    lower_bound_rate,
    regret_bound,
    risk_bound,
    single_task_figure,
    task_similarity,
)
from skmeta.metrics._growth import quadratic_growth
from skmeta.metrics._report import RegretReport, omniscient, regret_report

__all__ = [
    "RegretReport",
    "dynamic_regret_bound",
    "dynamic_similarity",
    "follow_the_leader_identity",
    "lower_bound_rate",
    "omniscient",
    "quadratic_growth",
    "regret_bound",
    "regret_report",
    "risk_bound",
    "single_task_figure",
    "task_similarity",
]
