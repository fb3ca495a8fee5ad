"""One name per kernel: the compiled one if it was built, else its NumPy twin."""

from __future__ import annotations

from importlib import import_module
from typing import Any

KERNELS = {
    "_leaders": ("logistic_leaders", "ridge_leaders", "roots"),
    "_loops": ("LOSSES", "add_products", "encode_labels", "run_task", "score_rows"),
}
# Without a twin: `LOSSES`, the losses that these know, is empty in the NumPy module.
COMPILED_ONLY = {"_loops": ("LeaderPlan", "Plan", "learn_tasks")}


def _load(suffix: str) -> dict[str, Any]:
    """The kernels of the compiled modules ('fast') or of their NumPy twins ('py')."""
    found: dict[str, Any] = {}
    for module, names in KERNELS.items():
        loaded = import_module(f"{__name__}.{module}_{suffix}")
        if suffix == "fast":
            names += COMPILED_ONLY.get(module, ())
        found |= {name: getattr(loaded, name) for name in names}
    return found


def __getattr__(name: str) -> Any:
    raise AttributeError(f"There is no kernel of the name {name!r}.")


try:
    globals().update(_load("fast"))
    COMPILED = True
except (
    ModuleNotFoundError
):  # not built; a broken build raises ImportError and must show
    globals().update(_load("py"))
    COMPILED = False
