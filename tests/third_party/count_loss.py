"""A loss of counts that defines value, slope and curvature in the score."""

import numpy as np

from skmeta.losses import Loss


class Poisson(Loss):
    """exp(z) - y z, without a minimum where y is zero."""

    has_minimum = False
    is_strict = True

    def value(self, y, z):
        return np.exp(z) - y * z

    def slope(self, y, z):
        return np.exp(z) - y

    def curvature(self, y, z):
        return np.exp(z) + 0.0 * y
