"""Kernels of the mixed-effects models; the compiled ones where they were built.

Without features, factors have two columns. The compiled kernels do not take these; the
NumPy twins do.
"""

from __future__ import annotations

from functools import wraps
from importlib import import_module
from typing import Any

from skmeta._kernels import _mixed_py

try:
    _compiled: Any = import_module("skmeta._kernels._mixed_fast")
except ModuleNotFoundError:  # a broken build raises ImportError and must show
    _compiled = _mixed_py

__all__ = [
    "Tasks",
    "add_factors",
    "line_losses",
    "solve_tasks",
    "sum_factors",
    "task_factors",
]


def _kernel(name: str) -> Any:
    """The kernel of this name, whose first argument tells the number of features."""
    compiled, twin = getattr(_compiled, name), getattr(_mixed_py, name)
    if compiled is twin:
        return twin

    @wraps(compiled, updated=())
    def kernel(first: Any, *others: Any, **options: Any) -> Any:
        columns = first.X.shape[1] + 2 if hasattr(first, "X") else first.shape[2]
        chosen = compiled if columns > 2 else twin
        return chosen(first, *others, **options)

    return kernel


Tasks = _kernel("Tasks")
add_factors = _kernel("add_factors")
line_losses = _kernel("line_losses")
solve_tasks = _kernel("solve_tasks")
sum_factors = _kernel("sum_factors")
task_factors = _kernel("task_factors")
