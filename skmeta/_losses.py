"""Losses of a linear model as scalar functions, in scikit-learn's definitions.

Every loss is a convex function f of one number s: the residual s = z - y of a raw
score z, or, where `is_margin`, the margin s = y z with y = -1 or +1. At a kink,
`slope` returns the one-sided derivative that scikit-learn returns there.

The methods take scalars or arrays. The compiled kernel knows the same functions by
`code`, in the order of `LOSSES`, with `parameter` as their one parameter.
"""

import numpy as np
from scipy.special import expit


class Loss:
    """A convex function of the residual or of the margin.

    Subclasses define `value(s)`, `slope(s)`, its derivative `curvature(s)` away from
    `kinks`, and `proximal_slope(s, q, weight)`: the slope v at the end of a proximal
    step, v = weight * f'(s - q v) for a step of curvature q > 0 (for a linear model,
    q = sum_j eta_j x_j**2).
    """

    code: int
    is_margin = False
    kinks = ()
    has_minimum = True  # over all parameters, on any data
    is_strict = False  # strictly convex

    def __init__(self, parameter=0.0):
        self.parameter = float(parameter)

    def curvature(self, s):
        """Zero: most losses with kinks are linear between them."""
        return np.zeros_like(s)

    def argument(self, y, z):
        """s for target y and raw score z."""
        return y * z if self.is_margin else z - y

    def chain(self, y):
        """Derivative of s with respect to z."""
        return y if self.is_margin else 1.0


class SquaredError(Loss):
    """f(r) = r**2 / 2."""

    is_strict = True

    def value(self, s):
        return 0.5 * s * s

    def slope(self, s):
        return s

    def curvature(self, s):
        return np.ones_like(s)

    def proximal_slope(self, s, q, weight):
        return weight * s / (1.0 + weight * q)


class Huber(Loss):
    """Quadratic up to |r| = epsilon, linear beyond."""

    def value(self, s):
        size = np.abs(s)
        outside = self.parameter * (size - 0.5 * self.parameter)
        return np.where(size <= self.parameter, 0.5 * s * s, outside)

    def slope(self, s):
        return np.clip(s, -self.parameter, self.parameter)

    def curvature(self, s):
        return np.where(np.abs(s) <= self.parameter, 1.0, 0.0)

    def proximal_slope(self, s, q, weight):
        limit = weight * self.parameter
        return np.clip(weight * s / (1.0 + weight * q), -limit, limit)


class AbsoluteError(Loss):
    """f(r) = |r|."""

    kinks = (0.0,)

    def value(self, s):
        return np.abs(s)

    def slope(self, s):
        return np.where(s > 0, 1.0, -1.0)

    def proximal_slope(self, s, q, weight):
        return np.clip(s / q, -weight, weight)


class EpsilonInsensitive(Loss):
    """f(r) = max(0, |r| - epsilon)."""

    @property
    def kinks(self):
        return (-self.parameter, self.parameter)

    def value(self, s):
        return np.maximum(0.0, np.abs(s) - self.parameter)

    def slope(self, s):
        return np.where(np.abs(s) > self.parameter, np.sign(s), 0.0)

    def proximal_slope(self, s, q, weight):
        outside = s - np.clip(s, -self.parameter, self.parameter)
        return np.clip(outside / q, -weight, weight)


class Pinball(Loss):
    """f(r) = -quantile r for r <= 0, (1 - quantile) r above."""

    kinks = (0.0,)

    def value(self, s):
        return np.where(s > 0, (1.0 - self.parameter) * s, -self.parameter * s)

    def slope(self, s):
        return np.where(s > 0, 1.0 - self.parameter, -self.parameter)

    def proximal_slope(self, s, q, weight):
        low, high = -self.parameter * weight, (1.0 - self.parameter) * weight
        return np.clip(s / q, low, high)


class LogLoss(Loss):
    """f(m) = log(1 + exp(-m))."""

    is_margin = True
    has_minimum = False
    is_strict = True

    def value(self, s):
        return np.maximum(-s, 0.0) + np.log1p(np.exp(-np.abs(s)))

    def slope(self, s):
        return -expit(-s)

    def curvature(self, s):
        return expit(s) * expit(-s)

    def proximal_slope(self, s, q, weight):
        """Newton's method on h(t) = t - s - q weight sigma(-t), which is increasing.

        h is convex below zero and concave above, so that the method converges from
        zero, or from where the bracket [s, s + q weight] of the root is nearest to it.
        For long steps a lower bound of the root shortens the way.
        """
        s, c = np.broadcast_arrays(np.asarray(s, dtype=float), q * weight)
        below = np.log(2.0 * (np.log1p(c) + np.abs(s) + 1.0))
        t = np.maximum(np.clip(0.0, s, s + c), np.log(np.maximum(c, 1e-300)) - below)
        for _ in range(100):
            sigma = expit(-t)
            step = t - (t - s - c * sigma) / (1.0 + c * sigma * (1.0 - sigma))
            done = np.abs(step - t) <= 1e-15 * (1.0 + np.abs(t))
            t = step
            if done.all():
                break
        return -weight * expit(-t)


class Hinge(Loss):
    """f(m) = max(0, 1 - m)."""

    is_margin = True
    kinks = (1.0,)

    def value(self, s):
        return np.maximum(0.0, 1.0 - s)

    def slope(self, s):
        return np.where(s <= 1.0, -1.0, 0.0)

    def proximal_slope(self, s, q, weight):
        return -np.clip((1.0 - s) / q, 0.0, weight)


class SquaredHinge(Loss):
    """f(m) = max(0, 1 - m)**2."""

    is_margin = True

    def value(self, s):
        return np.maximum(0.0, 1.0 - s) ** 2

    def slope(self, s):
        return -2.0 * np.maximum(0.0, 1.0 - s)

    def curvature(self, s):
        return np.where(s < 1.0, 2.0, 0.0)

    def proximal_slope(self, s, q, weight):
        return -2.0 * weight * np.maximum(0.0, 1.0 - s) / (1.0 + 2.0 * weight * q)


class ModifiedHuber(Loss):
    """f(m) = max(0, 1 - m)**2 for m >= -1, -4 m below."""

    is_margin = True

    def value(self, s):
        return np.where(s < -1.0, -4.0 * s, np.maximum(0.0, 1.0 - s) ** 2)

    def slope(self, s):
        return np.where(s < -1.0, -4.0, -2.0 * np.maximum(0.0, 1.0 - s))

    def curvature(self, s):
        return np.where((s >= -1.0) & (s < 1.0), 2.0, 0.0)

    def proximal_slope(self, s, q, weight):
        steep = 2.0 * weight * np.maximum(0.0, 1.0 - s) / (1.0 + 2.0 * weight * q)
        return -np.minimum(steep, 4.0 * weight)


LOSSES = (
    SquaredError,
    Huber,
    AbsoluteError,
    EpsilonInsensitive,
    Pinball,
    LogLoss,
    Hinge,
    SquaredHinge,
    ModifiedHuber,
)
for _code, _loss in enumerate(LOSSES):
    _loss.code = _code

REGRESSION_LOSSES = {
    "absolute_error": AbsoluteError,
    "epsilon_insensitive": EpsilonInsensitive,
    "huber": Huber,
    "pinball": Pinball,
    "quantile": Pinball,
    "squared_error": SquaredError,
}
CLASSIFICATION_LOSSES = {
    "hinge": Hinge,
    "log_loss": LogLoss,
    "modified_huber": ModifiedHuber,
    "squared_hinge": SquaredHinge,
}


def _log_loss_probability(scores):
    return expit(scores)


def _modified_huber_probability(scores):
    return 0.5 * (np.clip(scores, -1.0, 1.0) + 1.0)


POSITIVE_PROBABILITY = {
    "log_loss": _log_loss_probability,
    "modified_huber": _modified_huber_probability,
}


def class_probabilities(loss, scores):
    """Probabilities (n_samples, n_classes) from one-vs-all scores.

    The probabilities of the single problems are normalised; a row where all of them
    vanish gets equal ones.
    """
    positive = POSITIVE_PROBABILITY[loss](scores)
    if positive.shape[1] == 1:
        return np.hstack([1.0 - positive, positive])
    total = positive.sum(axis=1, keepdims=True)
    positive[total[:, 0] == 0] = 1.0
    return positive / positive.sum(axis=1, keepdims=True)
