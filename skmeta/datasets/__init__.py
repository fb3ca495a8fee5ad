"""Tasks to learn from: synthetic with a known truth, and real data sets."""

from __future__ import annotations

from skmeta.datasets._generators import (
    make_gaussian_mixture_tasks,
    make_task_classification,
    make_task_regression,
)
from skmeta.datasets._loaders import load_chick_weights, load_wage_panel
from skmeta.datasets._mini_wikipedia import fetch_mini_wikipedia
from skmeta.datasets._omniglot import fetch_omniglot
from skmeta.datasets._school import fetch_school
from skmeta.datasets._wikipedia_sample import load_wikipedia_sample

__all__ = [
    "fetch_mini_wikipedia",
    "fetch_omniglot",
    "fetch_school",
    "load_chick_weights",
    "load_wage_panel",
    "load_wikipedia_sample",
    "make_gaussian_mixture_tasks",
    "make_task_classification",
    "make_task_regression",
]
