"""Reference for regression: a hierarchical linear model, fitted to stored tasks.

y = x' theta_t + noise, theta_t ~ N(mean, diag(variances)) for task t, by expectation
maximisation: many passes over all tasks, variances by maximum likelihood, no
correlation between coefficients. It is the reference for
`skmeta.MixedEffectsRegressor`. With `slopes_vary=False` only the intercept differs
between tasks: the random intercept model. A task is a pair (X, y).
"""

import numpy as np

from standardized import Design


class HierarchicalLinear:
    """Fit to a list of tasks, adapt to the rows of a new one.

    Features and target are standardised inside; a row with its constant has norm about
    one.
    """

    def __init__(self, *, slopes_vary=True, n_iter=150):
        self.slopes_vary = slopes_vary
        self.n_iter = n_iter

    def fit(self, tasks):
        X, y = np.vstack([X for X, _ in tasks]), np.concatenate([y for _, y in tasks])
        self._design = Design(X)
        self.y_shift, self.y_scale = y.mean(), y.std()
        tasks = [(self._design(X), (y - self.y_shift) / self.y_scale) for X, y in tasks]
        grams = np.array([Z.T @ Z for Z, _ in tasks])
        sums = np.array([Z.T @ y for Z, y in tasks])
        n_rows = sum(len(y) for _, y in tasks)
        squares = sum(y @ y for _, y in tasks)
        p = grams.shape[1]
        # A variance that starts at zero stays there.
        self.variances = np.append(np.full(p - 1, 0.2 * self.slopes_vary), 0.2)
        self.noise = 0.5
        for _ in range(self.n_iter):
            S = self.variances
            inner = np.eye(p) + S[:, np.newaxis] * grams / self.noise
            C = np.linalg.solve(inner, np.broadcast_to(np.diag(S), grams.shape))
            gains = np.eye(p) - grams @ C / self.noise
            information = (gains @ grams).sum(axis=0) + 1e-3 * np.eye(p)
            seen = np.einsum("tij,tj->i", gains, sums)
            self.mean = np.linalg.solve(information, seen)
            residuals = sums - grams @ self.mean
            moved = np.einsum("tij,tj->ti", C, residuals) / self.noise
            self.variances = (moved**2 + np.einsum("tjj->tj", C)).mean(axis=0)
            thetas = self.mean + moved
            fit = np.einsum("ti,tij,tj->", thetas, grams, thetas)
            errors = squares - 2 * (thetas * sums).sum() + fit
            self.noise = (errors + (grams * C).sum()) / n_rows
        return self

    def predict(self, X_support, y_support, X):
        """Predictions for rows of a task of which the support is known."""
        Z, SZ = self._design(X), self._design(X_support) * self.variances
        Z_support = self._design(X_support)
        covariance = SZ @ Z_support.T + self.noise * np.eye(len(y_support))
        target = (y_support - self.y_shift) / self.y_scale - Z_support @ self.mean
        theta = self.mean + SZ.T @ np.linalg.solve(covariance, target)
        return self.y_shift + self.y_scale * (Z @ theta)
