"""What a user may choose about the model, resolved: no names of columns, no None."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """How to estimate.

    Attributes
    ----------
    covariance : {'auto', 'diagonal', 'full'}
        Shape of the covariance S of the tasks' coefficients.
    random_effects : {'all', 'intercept'} or tuple of int
        Coefficients that vary between tasks: positions of features; the intercept
        always does.
    between : bool or 'auto'
        Whether the level of a task depends on the means of its features. 'auto': if the
        likelihood is higher, after a penalty.
    max_iter : int
        Evaluations of the likelihood in one fit.
    tol : float
        Expected gain in log-likelihood of the next step, below which a fit stops.
    half_life : float or None
        Number of visits after which the weight of a task is halved.
    window : int or None
        Tasks without a label that are held. None: as many as fit in 16 MB.
    fit_intercept : bool
    store_tasks : bool
        Whether labels are kept.
    learn_noise : bool
        Whether the noise variance is estimated. Otherwise it is 1, the target is not
        put into units, and v is not a parameter.
    n_jobs : int or None
    """

    covariance: Literal["auto", "diagonal", "full"] = "auto"
    random_effects: Literal["all", "intercept"] | tuple[int, ...] = "all"
    between: bool | Literal["auto"] = "auto"
    max_iter: int = 50
    tol: float = 1e-4
    half_life: float | None = None
    window: int | None = None
    fit_intercept: bool = True
    store_tasks: bool = True
    learn_noise: bool = True
    n_jobs: int | None = None

    @property
    def bias(self) -> float:
        """1 with an intercept, 0 without."""
        return float(self.fit_intercept)
