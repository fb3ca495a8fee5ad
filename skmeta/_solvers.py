"""Minimisers of the loss of a whole task: near a point, in a ball, or both.

With rows b_i (the features, or y_i times them for a margin loss, the constant feature
last) and offsets t_i, a task's loss in one row of weights is
L(theta) = sum_i w_i f(b_i . theta - t_i). All functions take and return parameters of
shape (n_outputs, n_features + 1).
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import brentq, linprog

SMOOTHING = 1e-9
NEAREST = 1e-7


class Smoothed:
    """The Moreau envelope of a loss with kinks: its proximal step of size `delta`."""

    def __init__(self, loss, delta):
        self.loss, self.delta = loss, delta

    def value(self, s):
        slope = self.slope(s)
        return self.loss.value(s - self.delta * slope) + 0.5 * self.delta * slope**2

    def slope(self, s):
        return self.loss.proximal_slope(s, self.delta, 1.0)

    def curvature(self, s):
        """1 / delta where the proximal step ends at a kink, 0 where it does not."""
        shift = 1e-3 * self.delta
        bend = (self.slope(s + shift) - self.slope(s - shift)) / (2 * shift)
        return np.where(bend > 0.25 / self.delta, 1.0 / self.delta, 0.0)
