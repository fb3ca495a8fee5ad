"""Checks of sparse matrices whose parts do not fit together.

scipy does not check indices before it reads and writes there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

MOST_COLUMNS = np.iinfo(np.int32).max


def check_pointers(X: Any) -> None:
    """Raise ValueError if a sparse matrix is too wide or its `indptr` out of bounds."""
    if not sp.issparse(X):
        return
    if X.ndim == 2 and X.shape[1] > MOST_COLUMNS:
        raise ValueError(
            f"X has {X.shape[1]} columns; at most {MOST_COLUMNS} can be learned from. "
            "Hash the features into fewer columns (FeatureHasher)."
        )
    if X.format not in ("csr", "csc", "bsr"):
        return
    n_major, _ = _grid(X)
    n_stored, indptr = min(len(X.indices), len(X.data)), np.asarray(X.indptr)
    fits = len(indptr) == n_major + 1 and indptr[0] == 0 and indptr[-1] <= n_stored
    if not fits or (indptr[1:] < indptr[:-1]).any():
        raise ValueError(
            f"X is a corrupt {X.format.upper()} matrix: indptr must start at 0, must "
            f"not decrease, and must end at most at the {n_stored} stored values. "
            "Build the matrix again."
        )


def check_indices(X: Any) -> None:
    """Raise ValueError if indices of a sparse matrix are out of bounds."""
    if not sp.issparse(X):
        return
    if X.format in ("csr", "csc", "bsr"):
        kind = {"csr": "column", "csc": "row", "bsr": "block"}[X.format]
        _check_range(X, X.indices, kind, _grid(X)[1])
    elif X.format == "coo" and X.ndim == 2:
        _check_range(X, X.row, "row", X.shape[0])
        _check_range(X, X.col, "column", X.shape[1])


def is_checked_by_kernel(X: Any) -> bool:
    """Whether the compiled loop reads the indices of X as they are, and checks them."""
    return not sp.issparse(X) or (X.format == "csr" and X.indices.dtype == np.int32)


def _grid(X: Any) -> tuple[int, int]:
    """How many rows (columns of CSC, blocks of BSR) have how many places each."""
    n_rows, n_columns = X.shape
    if X.format == "bsr":
        return n_rows // X.blocksize[0], n_columns // X.blocksize[1]
    return (n_rows, n_columns) if X.format == "csr" else (n_columns, n_rows)


def _check_range(X: Any, indices: Any, kind: str, n_places: int) -> None:
    unsigned = indices.view(f"u{indices.itemsize}")  # negative ones become large
    if len(unsigned) and int(unsigned.max()) >= n_places:
        worst = int(indices[unsigned.argmax()])
        raise ValueError(
            f"X is a corrupt {X.format.upper()} matrix: the {kind} index {worst} is "
            f"not in 0 to {n_places - 1}. Build the matrix again, with a shape that "
            "holds all indices."
        )
