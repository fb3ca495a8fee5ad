"""Tasks to learn from: synthetic with a known truth, and small real data sets."""

from __future__ import annotations

from skmeta.datasets._generators import make_task_classification, make_task_regression
from skmeta.datasets._loaders import load_chick_weights, load_wage_panel
from skmeta.datasets._omniglot import fetch_omniglot

__all__ = [
    "fetch_omniglot",
    "load_chick_weights",
    "load_wage_panel",
    "make_task_classification",
    "make_task_regression",
]
