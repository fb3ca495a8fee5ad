"""An inner learner of a third party, and its estimator."""

from __future__ import annotations

# begin
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from skmeta.linear_model import Capability, InnerLearner, Objective, Outcome, Task
from skmeta.losses import SquaredError


class LMSLearner(InnerLearner):
    """Normalised least mean squares: every step removes a part of the residual."""

    can = frozenset({Capability.LOSSES, Capability.GRADIENTS})
    objective = Objective(SquaredError())

    def __init__(self, rate):
        self.rate = rate

    def run(self, task, start, eta, *, average):
        theta, losses, grad_sq = start.copy(), np.zeros(len(task.y)), np.zeros((1, 1))
        design = np.column_stack([task.X, np.ones(len(task.y))])
        weight = np.ones(len(task.y)) if task.weight is None else task.weight
        for i, x in enumerate(design):
            residual = theta[0] @ x - task.y[i]
            losses[i] = weight[i] * residual**2 / 2
            grad_sq += (weight[i] * residual) ** 2 * (x @ x)
            theta[0] -= self.rate * residual * x / (x @ x)
        return Outcome(theta, losses=losses, grad_sq=grad_sq)


class LMSRegressor(RegressorMixin, BaseEstimator):
    """Linear regression by normalised least mean squares."""

    def __init__(self, rate: float = 0.5):
        self.rate = rate

    def inner_learner(self, shape, classes):
        return LMSLearner(self.rate)

    def fit(self, X, y):
        start, eta = np.zeros((1, X.shape[1] + 1)), np.ones((1, 1))
        theta = LMSLearner(self.rate).run(Task(X, y), start, eta, average=False).last
        self.coef_, self.intercept_ = theta[0, :-1], theta[0, -1:]
        return self

    def predict(self, X):
        return X @ self.coef_ + self.intercept_


# end
