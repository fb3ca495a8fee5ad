"""The prior of the shared slopes, which a table with few rows per coefficient needs.

The slopes of the pooled regression are normal about zero, with one variance in units.
The evidence (MacKay 1992) chooses this variance: it is the ridge penalty under which
the rows are most probable.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from skmeta._mixed._statistics import Table

FEW_ROWS = 4.0  # per coefficient: with more, the slopes need no prior
LEAST_RATIO, LARGEST_RATIO = 1e-8, 1e4  # variance of a slope to the noise of a row
LARGEST_SIGNAL = 100.0  # all slopes together, where the rows cannot tell it from noise


class Pooled(NamedTuple):
    """One ridge regression for all rows, in units.

    Attributes
    ----------
    penalty : float
        The inverse variance of a slope, times the noise of a row.
    noise : float
        Variance of a row of weight 1.
    """

    penalty: float
    noise: float

    @property
    def precision(self) -> float:
        """The inverse variance of a slope."""
        return self.penalty / self.noise


def pooled_by_evidence(table: Table) -> Pooled | None:
    """The ridge regression of greatest evidence; None for a table with enough rows."""
    d = table.p - 1
    if not d or table.n_rows_all >= FEW_ROWS * table.p:
        return None
    size, directions = np.linalg.eigh(table.gram[:d, :d])
    size = np.maximum(size, 0.0)
    pull = (directions.T @ table.gram[:d, -1]) ** 2
    total, n = float(table.gram[-1, -1]), max(table.n_rows_all - table.bias, 1.0)
    least = 1e-10 * total

    def residual(ratio: float) -> float:
        return max(total - float(np.sum(pull * ratio / (1.0 + ratio * size))), least)

    def surprise(log_ratio: float) -> float:
        ratio = np.exp(log_ratio)
        return n * np.log(residual(ratio)) + np.log1p(ratio * size).sum()

    if not total > 0:
        return Pooled(table.mean_weight, 1e-10 * table.mean_weight)
    scale = 1.0 / table.mean_weight
    largest = LARGEST_RATIO if n > d else LARGEST_SIGNAL / d
    bounds = np.log(scale * LEAST_RATIO), np.log(scale * largest)
    ratio = float(np.exp(minimize_scalar(surprise, bounds=bounds).x))
    return Pooled(1.0 / ratio, residual(ratio) / n)
