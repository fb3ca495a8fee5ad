"""Features as the hierarchical references take them."""

import numpy as np


class Design:
    """Standardised features and a constant; a row has norm about one.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The rows that the location and the scale come from.
    """

    def __init__(self, X):
        self.shift, spread = X.mean(axis=0), X.std(axis=0)
        self.varies = spread > 1e-9 * np.abs(self.shift)
        self.scale = np.where(self.varies, spread, 1.0)
        self.scale *= np.sqrt(2 * max(self.varies.sum(), 1))

    def __call__(self, X):
        Z = (X - self.shift) / self.scale * self.varies
        return np.c_[Z, np.full(len(Z), np.sqrt(0.5))]
