"""The inner learner as the loops read it: every name resolved, no data."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from skmeta import _kernels
from skmeta._losses import Loss
from skmeta._validation import cheap_clone


@dataclass(frozen=True, eq=False)
class OGDLearner:
    """One step per sample on one loss.

    Attributes
    ----------
    loss : Loss
    update : {'ogd', 'implicit', 'ftrl', 'eg'}
    radius : float
        Of the ball that every iterate is projected on, infinite for none; of the
        simplex for 'eg'.
    bias : float
        Value of the constant feature: 1.0 with an intercept, 0.0 without.
    max_iter : int
        Passes over the rows of a task.
    eta0 : ndarray of shape (1, 1) or (n_outputs, n_features + 1)
    divide_by_root : bool
        Whether the step size is eta0 over the root of the number of samples.
    shuffle : bool
    """

    code: ClassVar[int] = 0

    loss: Loss
    update: str
    radius: float
    bias: float
    max_iter: int
    eta0: np.ndarray
    divide_by_root: bool
    shuffle: bool

    def step(self, n_samples):
        """Step size of a task with `n_samples` samples."""
        return self.eta0 / np.sqrt(n_samples) if self.divide_by_root else self.eta0

    def run_task(self, batch, t, theta, eta, losses, average, grad_sq):
        return _kernels.run_task(batch, t, self, theta, eta, losses, average, grad_sq)

    def adapt(self, estimator, theta, eta, rows, *, average, attributes):
        """A clone of `estimator` trained on checked rows from `theta` on."""
        adapted = cheap_clone(estimator)
        adapted.eta0 = float(eta[0, 0]) if eta.size == 1 else eta.copy()
        adapted.learning_rate = "constant"
        adapted.average = estimator.average or average
        vars(adapted).update(attributes, t_=0)
        learner = replace(self, eta0=eta, divide_by_root=False)
        adapted._learn(*rows, learner, theta)
        return adapted

    def shuffled(self, order, starts, generators):
        """The order in which rows are visited: one row of it per pass if shuffling.

        `generators` yields a random generator for every task.
        """
        if not self.shuffle:
            return order
        rows = np.arange(starts[-1]) if order is None else order[0]
        passes = np.tile(rows, (self.max_iter, 1))
        for begin, end, generator in zip(
            starts[:-1], starts[1:], generators, strict=True
        ):
            for one in passes:
                one[begin:end] = generator.permutation(one[begin:end])
        return passes
