"""Rows for tests of OGD, the naive loop on them, and comparison of what is learned."""

import numpy as np
import reference
from numpy.testing import assert_allclose

from skmeta.linear_model import OGDClassifier, OGDRegressor

REGRESSION_LOSSES = [
    "absolute_error",
    "epsilon_insensitive",
    "huber",
    "pinball",
    "quantile",
    "squared_error",
]
CLASSIFICATION_LOSSES = ["hinge", "log_loss", "modified_huber", "squared_hinge"]
N_SAMPLES, N_FEATURES = 20, 3
KINDS = {"regression": 0, "two classes": 2, "three classes": 3}


class Data:
    """Random rows, and how to make and train an estimator for them."""

    def __init__(self, kind, seed=42, n_samples=N_SAMPLES):
        rng = np.random.default_rng(seed)
        self.n_classes = KINDS[kind]
        self.X = rng.normal(size=(n_samples, N_FEATURES))
        self.weight = rng.uniform(0.2, 2.0, n_samples)
        if self.n_classes:
            self.codes = np.resize(np.arange(self.n_classes), n_samples)
            self.classes = np.array(["ant", "bee", "cat"])[: self.n_classes]
            self.y = self.classes[self.codes]
        else:
            self.codes = self.y = rng.normal(size=n_samples)
        n_outputs = self.n_classes if self.n_classes > 2 else 1
        self.shape = (n_outputs, N_FEATURES + 1)
        self.start = rng.normal(size=self.shape)

    def make(self, **parameters):
        return (OGDClassifier if self.n_classes else OGDRegressor)(**parameters)

    def losses(self):
        return CLASSIFICATION_LOSSES if self.n_classes else REGRESSION_LOSSES

    def partial_fit(self, model, rows=slice(None), **options):
        if self.n_classes:
            options["classes"] = self.classes
        return model.partial_fit(self.X[rows], self.y[rows], **options)

    def init(self, theta=None):
        """coef_init and intercept_init that stand for a parameter."""
        theta = self.start if theta is None else theta
        coef = theta[:, :-1] if self.n_classes else theta[0, :-1]
        return {"coef_init": coef, "intercept_init": theta[:, -1]}

    def naive(self, model, theta=None, sample_weight=None, eta=None, rows=None):
        """The naive loop on the same rows, with the estimator's parameters."""
        options = model.get_params()
        numbers = {k: v for k, v in options.items() if k in ("epsilon", "quantile")}
        y = 2.0 * self.codes - 1.0 if self.n_classes == 2 else self.codes
        theta = np.zeros(self.shape) if theta is None else theta
        return reference.run_task(
            self.X.tolist(),
            y.tolist(),
            theta.tolist(),
            options["eta0"] if eta is None else eta,
            reference.make_loss(options["loss"], **numbers),
            update=options["update"],
            radius=options["radius"],
            fit_intercept=options["fit_intercept"],
            sample_weight=sample_weight,
            passes=[range(len(y)) if rows is None else rows] * options["max_iter"],
        )


def theta_of(model, average=False):
    """`coef_` and `intercept_` as one array, intercept last."""
    prefix = "average_" if average else ""
    coef = getattr(model, f"{prefix}coef_")
    intercept = getattr(model, f"{prefix}intercept_")
    return np.column_stack([np.atleast_2d(coef), intercept])


def assert_same_model(actual, expected, tolerance=0.0):
    """Everything learned is equal, by default to the last bit."""
    learned = [
        "coef_",
        "intercept_",
        "average_coef_",
        "average_intercept_",
        "grad_sq_norm_",
        "losses_",
    ]
    for name in learned:
        value = getattr(actual, name)
        desired = getattr(expected, name)
        assert_allclose(value, desired, rtol=tolerance, atol=tolerance, err_msg=name)
    assert actual.t_ == expected.t_
    assert actual.n_iter_ == expected.n_iter_
