"""Checks of compressed sparse matrices whose indices are out of bounds."""

from __future__ import annotations

from typing import Any

import scipy.sparse as sp


def check_pointers(X: Any) -> None:
    """Raise ValueError if `indptr` of a CSR or CSC matrix is out of bounds."""
    if not (sp.issparse(X) and X.format in ("csr", "csc")):
        return
    n_major = X.shape[0] if X.format == "csr" else X.shape[1]
    n_stored, indptr = min(len(X.indices), len(X.data)), X.indptr
    fits = len(indptr) == n_major + 1 and indptr[0] == 0 and indptr[-1] <= n_stored
    if not fits or (indptr[1:] < indptr[:-1]).any():
        raise ValueError(
            f"X is a corrupt {X.format.upper()} matrix: indptr must start at 0, must "
            f"not decrease, and must end at most at the {n_stored} stored values. "
            "Build the matrix again."
        )


def check_indices(X: Any) -> None:
    """Raise ValueError if indices of a CSR or CSC matrix are out of bounds.

    scipy does not check indices before it reads and writes there. The compiled loop
    checks the indices that it reads.
    """
    if not (sp.issparse(X) and X.format in ("csr", "csc")):
        return
    n_minor = X.shape[1] if X.format == "csr" else X.shape[0]
    unsigned = X.indices.view(f"u{X.indices.itemsize}")  # negative ones become large
    if len(unsigned) and int(unsigned.max()) >= n_minor:
        worst = int(X.indices[unsigned.argmax()])
        kind = "column" if X.format == "csr" else "row"
        raise ValueError(
            f"X is a corrupt {X.format.upper()} matrix: the {kind} index {worst} is "
            f"not in 0 to {n_minor - 1}. Build the matrix again, with a shape that "
            "holds all indices."
        )
