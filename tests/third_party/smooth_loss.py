"""A smooth loss of a third party."""

from __future__ import annotations

# begin
import numpy as np

from skmeta.losses import ResidualLoss


class LogCosh(ResidualLoss):
    """f(s) = log cosh s: quadratic near zero, linear far away."""

    is_strict = True

    def f_value(self, s):
        return np.logaddexp(s, -s) - np.log(2.0)

    def f_slope(self, s):
        return np.tanh(s)

    def f_curvature(self, s):
        return 1.0 - np.tanh(s) ** 2


# end
