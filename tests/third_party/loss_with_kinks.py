"""A loss of a third party whose slope jumps."""

from __future__ import annotations

# begin
import numpy as np

from skmeta.losses import ResidualLoss


class OverAndUnder(ResidualLoss):
    """f(s) = over * s for s > 0, and -under * s below: like the cost of a stock.

    The slope jumps at s = 0, where zero is a subgradient.
    """

    kinks_at = (0.0,)

    def __init__(self, over: float = 1.0, under: float = 2.0):
        self.over = over
        self.under = under

    def f_value(self, s):
        return np.maximum(self.over * s, -self.under * s)

    def f_slope(self, s):
        return self.over * (s > 0) - self.under * (s < 0)

    def f_proximal_slope(self, s, q, weight):  # optional: a closed form is fast
        return np.clip(s / q, -self.under * weight, self.over * weight)


# end
