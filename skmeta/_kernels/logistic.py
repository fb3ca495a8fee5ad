"""Kernel of the mixed-effects classifier; the compiled one if it was built."""

from __future__ import annotations

try:
    from skmeta._kernels._logistic_fast import logistic_factors
except ModuleNotFoundError:  # a broken build raises ImportError and must show
    from skmeta._kernels._logistic_py import logistic_factors

__all__ = ["logistic_factors"]
