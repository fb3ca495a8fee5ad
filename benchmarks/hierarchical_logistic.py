"""Reference for classification: a hierarchical logistic model, fitted to stored tasks.

y ~ Bernoulli(sigmoid(x' theta_t)), theta_t ~ N(mean, diag(variances)) for task t. EM
with a Newton solution and Laplace's approximation per task and iteration: many passes
over all tasks. A task is a pair (X, y) with y in {0, 1}.
"""

import numpy as np
from scipy.special import expit

from standardized import Design

FLOOR = 1e-6


class HierarchicalLogistic:
    """Fit to a list of tasks, adapt to the rows of a new one.

    Features are standardised inside; a row with its constant has norm about one.
    """

    def __init__(self, n_iter=100):
        self.n_iter = n_iter

    def fit(self, tasks):
        X = np.vstack([X for X, _ in tasks])
        self._design = Design(X)
        tasks = [(self._design(X), y) for X, y in tasks]
        p = X.shape[1] + 1
        self.mean, self.variances = np.zeros(p), np.ones(p)
        thetas = np.zeros((len(tasks), p))
        for _ in range(self.n_iter):
            found = [
                self._posterior(Z, y, theta)
                for (Z, y), theta in zip(tasks, thetas, strict=True)
            ]
            thetas = np.array([theta for theta, _ in found])
            self.mean = thetas.mean(axis=0)
            spreads = (thetas - self.mean) ** 2 + [C.diagonal() for _, C in found]
            self.variances = spreads.mean(axis=0) + FLOOR
        return self

    def adapt(self, X, y):
        """(mean, covariance) of the parameters of a new task."""
        return self._posterior(self._design(X), y, self.mean)

    def predict_proba(self, X, posterior, *, integrated=False):
        """Probabilities of class 1: at the posterior mean, or over the posterior."""
        Z, (theta, C) = self._design(X), posterior
        scores = Z @ theta
        if integrated:
            scores /= np.sqrt(1 + np.pi / 8 * ((Z @ C) * Z).sum(axis=1))
        return expit(scores)

    def _posterior(self, Z, y, theta):
        precision = 1 / self.variances

        def objective(theta):
            scores = Z @ theta
            fit = np.logaddexp(0, scores).sum() - y @ scores
            return fit + 0.5 * precision @ (theta - self.mean) ** 2

        current = objective(theta)
        for _ in range(50):
            probability = expit(Z @ theta)
            gradient = Z.T @ (probability - y) + precision * (theta - self.mean)
            curvature = probability * (1 - probability)
            C = np.linalg.inv((Z.T * curvature) @ Z + np.diag(precision))
            step = C @ gradient
            if gradient @ step < 1e-10:
                break
            while objective(theta - step) > current + 1e-12:
                step *= 0.5
            theta = theta - step
            current = objective(theta)
        return theta, C
