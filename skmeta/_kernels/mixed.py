"""Kernels of the mixed-effects models; the compiled ones where they were built."""

from __future__ import annotations

try:
    from skmeta._kernels._mixed_fast import (
        Tasks,
        add_factors,
        line_losses,
        solve_tasks,
        sum_factors,
        task_factors,
    )
except ModuleNotFoundError:  # a broken build raises ImportError and must show
    from skmeta._kernels._mixed_py import (
        Tasks,
        add_factors,
        line_losses,
        solve_tasks,
        sum_factors,
        task_factors,
    )

__all__ = [
    "Tasks",
    "add_factors",
    "line_losses",
    "solve_tasks",
    "sum_factors",
    "task_factors",
]
