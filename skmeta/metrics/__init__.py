"""What is guaranteed: regret, its certificate, task similarity and risk."""

from __future__ import annotations

from skmeta.metrics._bounds import (
    coin_regret_bound,
    eg_regret_bound,
    lower_bound_rate,
    regret_bound,
    risk_bound,
    single_task_figure,
)
from skmeta.metrics._growth import quadratic_growth
from skmeta.metrics._report import RegretReport, omniscient, regret_report
from skmeta.metrics._similarity import (
    dynamic_regret_bound,
    dynamic_similarity,
    follow_the_leader_identity,
    task_similarity,
)

__all__ = [
    "RegretReport",
    "coin_regret_bound",
    "dynamic_regret_bound",
    "dynamic_similarity",
    "eg_regret_bound",
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
