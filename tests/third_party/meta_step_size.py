"""A meta step size of a third party, with a memory."""

from __future__ import annotations

# begin
import numpy as np

from skmeta.meta_step_size import MetaStepSize


class ExponentialAverage(MetaStepSize):
    """The mean of all task parameters so far, recent tasks weighted more.

    A task counts half as much as one that was learned `half_life` tasks later.
    """

    def __init__(self, half_life: float = 20.0):
        self.half_life = half_life

    def start(self):
        return np.zeros(1)  # the discounted sum of the weights

    def share(self, state, n_tasks, weight, is_first):
        state *= 0.5 ** (1.0 / self.half_life)
        state += weight
        return weight / state[0]


# end
