"""A step size of a third party."""

from __future__ import annotations

# begin
import numpy as np

from skmeta.step_size import StepSize


class BestOnAverage(StepSize):
    """The step size with the least sum of the bounds of all tasks so far.

    The bound of a task is distance**2 / (2 eta) + eta / 2 * (sum of squared gradients).
    """

    def __init__(self, first: float = 0.1):
        self.first = first

    def start(self, shape):
        return np.zeros(2)  # sums of squared distances and of squared gradients

    def propose(self, state, n_samples, eta0):
        distances, gradients = state
        return self.first if min(state) <= 0 else np.sqrt(distances / gradients)

    def observe(self, state, displacement, grad_sq, n_samples, n_tasks):
        state += (displacement**2).sum(), grad_sq.sum()


# end
