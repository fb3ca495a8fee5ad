"""How fast the loss of a task grows with the distance from its optimum."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from skmeta._solvers import TaskLoss, optimum, tilted
from skmeta.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES, Loss
from skmeta.metrics._checks import check_number, check_parameters


def quadratic_growth(
    X: ArrayLike,
    y: ArrayLike,
    delta: float,
    radius: float,
    *,
    loss: str | Loss = "log_loss",
    at: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    fit_intercept: bool = True,
) -> float:
    """The least increase of a task's loss at a distance from its optimum in a ball.

    The guarantee for the last iterate assumes quadratic growth: that the loss L of
    every task exceeds its minimum L* by at least alpha / 2 * delta**2 at every
    parameter at distance delta from the optimum a. This function computes

        min L(theta) - L*   for   ||theta|| <= R,
                                  <a, theta> <= (R**2 - delta**2 + ||a||**2) / 2,

    a convex program. Every parameter of the ball at distance delta from a satisfies the
    second condition, so the result is a lower bound of the growth there. It is the
    growth itself if the minimiser is on the sphere.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Features of one task.
    y : array-like of shape (n_samples,)
        Targets; for a loss of margins, class labels.
    delta : float
        The distance from the optimum, > 0, at most 2 `radius`.
    radius : float
        R, the radius of the ball, > 0.
    loss : str or Loss, default='log_loss'
        The loss of a sample, by the names of `OGDClassifier` and `OGDRegressor`, or an
        object of :mod:`skmeta.losses`. More than two classes are one-vs-all.
    at : array-like of shape (n_outputs, n_features + 1), default=None
        The optimum a in the ball, the intercept last. None: it is computed.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of every sample's loss, > 0. None: all 1.
    fit_intercept : bool, default=True
        Whether there is an intercept. It counts as a parameter.

    Returns
    -------
    growth : float
        The least increase of the loss, >= 0: divide it by m delta**2 for the rate per
        sample. It is zero if the loss has minimisers far enough from each other, or if
        the optimum is so far inside the ball that it satisfies the second condition.

    Raises
    ------
    ValueError
        If a number is out of its range, or the shapes differ.

    See Also
    --------
    regret_bound : Needs no such assumption.

    References
    ----------
    .. [1] Balcan, Khodak, Talwalkar, "Provable Guarantees for Gradient-Based
       Meta-Learning", ICML 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from skmeta.metrics import quadratic_growth
    >>> X = np.array([[1.0], [2.0], [-1.0], [-2.0]])
    >>> slow = quadratic_growth(X, [1, 1, 0, 0], delta=0.5, radius=1.0)
    >>> fast = quadratic_growth(X, [1, 1, 0, 0], delta=1.0, radius=1.0)
    >>> 0 < slow < fast
    True
    """
    delta, radius = check_number("delta", delta), check_number("radius", radius)
    if delta > 2.0 * radius:
        raise ValueError(
            f"delta={delta} is larger than the diameter of the ball, {2.0 * radius}: "
            "no parameter is so far from the optimum."
        )
    features = check_array(X, dtype=np.float64, input_name="X")
    check_consistent_length(features, y)
    one = _loss(loss)
    targets, n_outputs = _targets(y, one)
    weight = None
    if sample_weight is not None:
        weight = np.asarray(sample_weight, dtype=np.float64)
        if weight.shape != targets.shape or not (weight > 0).all():
            raise ValueError(
                f"sample_weight must be {len(targets)} numbers > 0. Leave out samples "
                "of weight zero."
            )
    bias = float(fit_intercept)
    task = TaskLoss.of(one, features, targets, weight, n_outputs, bias)
    shape = (n_outputs, features.shape[1] + 1)
    if at is None:
        center = optimum(task, np.zeros(shape), radius)
    else:
        center = check_parameters("at", at, shape)
        if np.linalg.norm(center) > radius * (1.0 + 1e-9):
            raise ValueError(f"at must be in the ball of radius {radius}.")
    farthest = radius + float(np.linalg.norm(center))
    if delta > farthest * (1.0 + 1e-9):
        raise ValueError(
            f"delta={delta} is larger than the largest distance of a parameter in the "
            f"ball from the optimum, {farthest:.6g}."
        )
    return _growth(task, center, delta, radius)


def _growth(task: TaskLoss, center: np.ndarray, delta: float, radius: float) -> float:
    """The result for a task and its optimum; the multiplier is found by bisection."""
    square = float(np.vdot(center, center))
    most = 0.5 * (radius**2 - delta**2 + square)
    if square <= most:
        return 0.0

    def excess(multiplier: float) -> float:
        theta = tilted(task, multiplier * center, radius)
        return float(np.vdot(center, theta)) - most

    # of the gradient at the optimum, which is rounding error inside the ball
    norms, distance = np.linalg.norm(task.design, axis=1), np.sqrt(square)
    slopes = task.loss.slope(task.targets, task.design @ center.T)
    slopes = task.weight[:, np.newaxis] * slopes
    size = norms @ np.abs(slopes).sum(axis=1) + task.weight @ norms**2 * distance
    gradient = float(np.linalg.norm(slopes.T @ task.design))
    high, highest = max(gradient, 1e-9 * size) / distance, 1e12 * size / distance
    while excess(high) > 0 and high < highest:
        high *= 4.0
    root = brentq(excess, 0.0, high, xtol=1e-12 * high, rtol=1e-12)
    theta = tilted(task, root * center, radius)
    # the loss of the nearest parameter that meets the condition
    beyond = max(float(np.vdot(center, theta)) - most, 0.0)
    theta = theta - center * (beyond / square)
    return max(task.value(theta) - task.value(center), 0.0)


def _loss(loss: str | Loss) -> Loss:
    if isinstance(loss, Loss):
        return loss
    known = {**REGRESSION_LOSSES, **CLASSIFICATION_LOSSES}
    if loss not in known:
        raise ValueError(f"loss must be a Loss or of {sorted(known)}. Got {loss!r}.")
    return known[loss]()


def _targets(y: ArrayLike, loss: Loss) -> tuple[np.ndarray, int]:
    """Targets as tasks hold them, and the number of rows of weights."""
    values = column_or_1d(y)
    if not loss.is_margin:
        numbers = values.astype(np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError("y must be finite, but contains NaN or infinity.")
        return numbers, 1
    classes, codes = np.unique(values, return_inverse=True)
    if len(classes) > 2:
        return codes.astype(np.float64), len(classes)
    return np.where(codes == len(classes) - 1, 1.0, -1.0), 1
