"""Step sizes as matrices: one per output, positive semidefinite.

A parameter with a row of zeros never moves. Entries may differ by many orders of
magnitude, so that everything is computed after dividing by the roots of the diagonal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

IMMOVABLE = 1e10  # strength of regularisation in place of a row of zeros


def as_matrices(eta: Array, shape: tuple[int, int]) -> Array:
    """A step size of any form as one matrix per output, for parameters of `shape`."""
    if eta.ndim == 3:
        return eta
    return np.broadcast_to(eta, shape)[:, :, np.newaxis] * np.eye(shape[1])


def diagonal(eta: Array) -> Array:
    """The diagonals of matrices; an array of one number per parameter is unchanged."""
    return eta if eta.ndim < 3 else diagonals(eta).copy()


def diagonals(matrices: Array) -> Array:
    """A view of the diagonal of every matrix."""
    return np.einsum("...ii->...i", matrices)


def roots(matrices: Array) -> Array:
    """R with R R' = S, for every matrix S."""
    all_roots = np.empty_like(matrices)
    for root, S in zip(all_roots, matrices, strict=True):
        scaled, scale = _scaled(S)
        values, vectors = np.linalg.eigh(scaled)
        root[:] = scale[:, np.newaxis] * vectors * np.sqrt(np.maximum(values, 0.0))
    return all_roots


def inverses(matrices: Array) -> Array:
    """The inverse of every matrix, `IMMOVABLE` on the diagonal for a row of zeros."""
    all_inverses = np.empty_like(matrices)
    for inverse, S in zip(all_inverses, matrices, strict=True):
        scaled, scale = _scaled(S)
        diagonals(scaled)[scale == 0] = 1.0
        scale[scale == 0] = IMMOVABLE**-0.5
        inverse[:] = np.linalg.inv(scaled) / (scale * scale[:, np.newaxis])
        inverse += inverse.T.copy()
        inverse *= 0.5
    return all_inverses


def geometric_means(B: Array, G: Array) -> Array:
    """The solution H of H G H = B, for every pair of positive definite matrices.

    It is the geometric mean of B and inv(G), and it minimises
    tr(inv(H) B) / 2 + tr(H G) / 2.
    """
    # With roots G = L L' and B = R R' the mean is inv(L)' (L'R R'L)**(1/2) inv(L), and
    # the root inside is U s U' for the singular values s and vectors U of L'R.
    means = np.empty_like(B)
    for mean, root, S in zip(means, roots(B), G, strict=True):
        scaled, scale = _scaled(S)
        values, vectors = np.linalg.eigh(scaled)
        values = np.maximum(values, len(scale) * np.finfo(float).eps * values[-1])
        inside = (vectors * np.sqrt(values)).T @ (scale[:, np.newaxis] * root)
        U, s, _ = np.linalg.svd(inside)
        half = (vectors / np.sqrt(values)) @ (U * np.sqrt(s)) / scale[:, np.newaxis]
        mean[:] = half @ half.T
    return means


def squared_norm(displacement: Array, S: Array) -> float:
    """d' inv(S) d of a displacement d; infinite if d is not zero where S is zero."""
    scaled, scale = _scaled(S)
    free = scale > 0
    if displacement[~free].any():
        return np.inf
    d = displacement[free] / scale[free]
    return float(d @ np.linalg.solve(scaled[np.ix_(free, free)], d))


def are_semidefinite(matrices: Array) -> bool:
    """Whether every matrix is symmetric and positive semidefinite, up to rounding."""
    for S in matrices:
        if not (np.isfinite(S).all() and (diagonals(S) >= 0).all()):
            return False
        scaled, _ = _scaled(S)
        is_symmetric = np.abs(scaled - scaled.T).max() <= 1e-8
        if not is_symmetric or np.linalg.eigvalsh(scaled)[0] < -1e-8:
            return False
    return True


def are_positive_definite(matrices: Array) -> bool:
    """Whether every matrix is symmetric and positive definite."""
    for S in matrices:
        if not (diagonals(S) > 0).all():
            return False
        scaled, _ = _scaled(S)
        if np.abs(scaled - scaled.T).max() > 1e-8 or np.linalg.eigvalsh(scaled)[0] <= 0:
            return False
    return True


def _scaled(S: Array) -> tuple[Array, Array]:
    """S with a diagonal of ones, or zeros; and the roots of its diagonal."""
    scale = np.sqrt(diagonals(S))
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    return S * inverse * inverse[:, np.newaxis], scale
