"""Benchmark classes for airspeed velocity, and for `run.py` next to this folder."""

import os

# The pools read these once, when NumPy is imported.
for _pool in ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM"):
    os.environ[f"{_pool}_NUM_THREADS"] = "1"
