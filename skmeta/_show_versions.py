"""The versions that a bug report needs."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from skmeta._kernels import COMPILED
from skmeta._version import __version__

_PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "joblib",
    "pandas",
    "matplotlib",
)


def show_versions() -> None:
    """Print the versions of skmeta, its kernel, Python and the packages it can use.

    Examples
    --------
    >>> from skmeta import show_versions
    >>> show_versions()
    skmeta: ...
    kernel: ...
    """
    kernel = "compiled" if COMPILED else "NumPy (no compiled module was built)"
    lines = {
        "skmeta": __version__,
        "kernel": kernel,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
    }
    for name in _PACKAGES:
        try:
            lines[name] = version(name)
        except PackageNotFoundError:
            lines[name] = "not installed"
    print("\n".join(f"{name}: {value}" for name, value in lines.items()))
