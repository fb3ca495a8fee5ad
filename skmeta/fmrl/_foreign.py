"""Inner learners that are not our own: any linear model with settable weights."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone

from skmeta._validation import find_nonfinite


@dataclass(frozen=True, eq=False)
class ForeignLearner:
    """A scikit-learn linear model with `partial_fit`, started at given weights.

    It reports no prequential losses, no gradients and no step size: they are NaN in the
    history.

    Attributes
    ----------
    estimator : estimator with `partial_fit`, `coef_` and `intercept_`
    classes : ndarray of shape (n_classes,) or None
        None for a regressor.
    """

    code: ClassVar[None] = None
    step_size: ClassVar[str] = "fixed"
    shuffle: ClassVar[bool] = False
    update: ClassVar[str] = "foreign"
    bias: ClassVar[float] = 1.0

    estimator: Any
    classes: np.ndarray | None
    problems: dict = field(default_factory=dict)

    def check(self, shape):
        """Refuse an estimator that is no linear model with settable weights."""
        name = type(self.estimator).__name__
        if getattr(self.estimator, "average", False):
            raise ValueError(
                f"{name} cannot be started at given weights with average=True: set "
                "average=False."
            )
        X = np.eye(2, shape[1] - 1)
        y = np.arange(2.0) if self.classes is None else self.classes[:2]
        probe = clone(self.estimator)
        self.learn(probe, X, y, None)
        try:
            probe.coef_, probe.intercept_ = probe.coef_.copy(), probe.intercept_.copy()
            is_linear = np.size(probe.coef_) == shape[0] * X.shape[1]
        except AttributeError:
            is_linear = False
        if not is_linear:
            raise ValueError(
                "The 'estimator' parameter must be a linear model whose coef_ and "
                f"intercept_ can be set. Got {self.estimator!r} instead."
            )

    def problem(self, batch, t):
        """Why task t could not be learned."""
        unknown = f"{type(self.estimator).__name__} reached NaN or infinite values."
        return self.problems.get(int(batch.starts[t]), unknown)

    def step(self, n_samples):
        return np.full((1, 1), np.nan)

    def shuffled(self, order, starts, generators):
        return order

    def run_task(self, batch, t, theta, eta, losses, average, grad_sq):
        rows = batch.rows(t)
        X, y = batch.X[rows], batch.y[rows]
        if find_nonfinite(X) or not np.isfinite(y).all():
            return False
        weight = None if batch.sample_weight is None else batch.sample_weight[rows]
        model = self.started(theta)
        first_row = int(batch.starts[t])  # tells the task in a part of a batch too
        self.problems.pop(first_row, None)
        try:
            self.learn(model, X, self.decode(y), weight)
        except ValueError as error:
            self.problems[first_row] = f"{type(model).__name__}: {error}"
            return False
        losses[rows] = grad_sq[:] = np.nan
        theta[:, :-1], theta[:, -1] = model.coef_, model.intercept_
        return bool(np.isfinite(theta).all())

    def adapt(self, estimator, theta, eta, rows, *, average, attributes):
        """A clone of the estimator trained on checked rows from `theta` on."""
        X, y, weight, counts = rows
        if counts is not None:
            X, y = X[counts], y[counts]
        model = self.started(theta)
        self.learn(model, X, self.decode(y), weight)
        vars(model).update(attributes)
        return model

    def decode(self, y):
        """Class labels from the targets of the kernels."""
        if self.classes is None:
            return y
        index = y > 0 if len(self.classes) == 2 else y
        return self.classes[index.astype(np.intp)]

    def started(self, theta):
        """A clone of the estimator that stands at `theta`."""
        model = clone(self.estimator)
        coef, intercept = theta[:, :-1].copy(), theta[:, -1].copy()
        if self.classes is None:
            coef = coef[0]
        else:
            model.classes_ = self.classes
        model.coef_, model.intercept_ = coef, intercept
        model.n_features_in_ = theta.shape[1] - 1
        return model

    def learn(self, model, X, y, weight):
        """One call of `partial_fit`."""
        options = {} if weight is None else {"sample_weight": weight}
        if self.classes is not None:
            options["classes"] = self.classes
        model.partial_fit(X, y, **options)
