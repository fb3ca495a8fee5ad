"""A model with flat parameters of a third party, and its learner."""

from __future__ import annotations

# begin
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from skmeta.linear_model import FlatLearner


class BumpLearner(FlatLearner):
    def __init__(self, estimator, n_features):
        super().__init__(estimator)
        self.layout = ((n_features,), ())  # the shapes of center_ and height_

    def first(self, shape, seed):  # a height of zero would never move the center
        return np.random.default_rng(seed).normal(size=shape)

    def get(self, model):
        return np.append(model.center_, model.height_)

    def set(self, model, parameter):
        model.center_, model.height_ = parameter[0, :-1], parameter[0, -1]


class BumpRegressor(RegressorMixin, BaseEstimator):
    """height * exp(-||x - center||^2 / 2), by one gradient step on the mean."""

    def __init__(self, rate: float = 0.1):
        self.rate = rate

    def inner_learner(self, shape, classes):
        return BumpLearner(self, shape[1] - 1)

    def fit(self, X, y):
        self.center_, self.height_ = np.zeros(X.shape[1]), 1.0
        return self.partial_fit(X, y)

    def partial_fit(self, X, y):
        bump, away = np.exp(-((X - self.center_) ** 2).sum(1) / 2), X - self.center_
        slope = self.height_ * bump - y
        step = (slope * self.height_ * bump) @ away / len(y), slope @ bump / len(y)
        self.center_ = self.center_ - self.rate * step[0]
        self.height_ = self.height_ - self.rate * step[1]
        return self

    def predict(self, X):
        return self.height_ * np.exp(-((X - self.center_) ** 2).sum(1) / 2)


# end
