"""The data, and what learns from them: every size stands in `SPECS`."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import SGDClassifier, SGDRegressor

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta.linear_model import OGDClassifier, OGDRegressor

ETA0 = 0.5
META_STEP_SIZE = 0.25
N_FEW = 200  # tasks for what costs a Python call per task


@dataclass(frozen=True)
class Spec:
    """Sizes of a workload; without classes it is a regression.

    `n_nonzero` is the number of stored values per row; 0 means a dense matrix.
    """

    n_tasks: int
    n_samples: int
    n_features: int
    n_classes: int = 0
    n_nonzero: int = 0


SPECS = {
    "tiny": Spec(2_000, 10, 50, n_classes=4),
    "longer": Spec(500, 128, 50, n_classes=4),
    "long rows": Spec(50, 512, 1_000, n_classes=2),
    "regression": Spec(2_000, 20, 10),
    "sparse text": Spec(200, 100, 50_000, n_classes=2, n_nonzero=80),
    "50 classes": Spec(100, 100, 200, n_classes=50),
    "retail": Spec(20_000, 30, 10),
    "short": Spec(50_000, 8, 4),
    "growth": Spec(100_000, 10, 20),
    "stream": Spec(50, 10, 200),
    "meta-batch": Spec(2_000, 200, 50),
    "optimum": Spec(500, 200, 50),
}


class Workload(NamedTuple):
    """Stacked tasks of equal length, the rows of each together.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n_tasks * n_samples, n_features)
    y : ndarray of shape (n_tasks * n_samples,)
    tasks : ndarray of shape (n_tasks * n_samples,)
        The numbers from 0 to n_tasks - 1, in order.
    classes : ndarray of shape (n_classes,) or None
    """

    spec: Spec
    X: Any
    y: np.ndarray
    tasks: np.ndarray
    classes: np.ndarray | None

    def split(self, n_tasks=None):
        """(X, y) of each of the first tasks."""
        m = self.spec.n_samples
        edges = range(0, m * min(n_tasks or self.spec.n_tasks, self.spec.n_tasks), m)
        return [(self.X[i : i + m], self.y[i : i + m]) for i in edges]

    @property
    def first_call(self):
        """Keywords of the first `partial_fit`."""
        return {} if self.classes is None else {"classes": self.classes}

    def _model(self, classifier, regressor, **options):
        if self.classes is None:
            return regressor(loss="squared_error", **options)
        return classifier(loss="log_loss", **options)

    @property
    def _shared(self):
        # On sparse data scikit-learn's SGD moves the intercept by a hundredth of the
        # step. Without an intercept the two are the same algorithm.
        return {
            "eta0": ETA0,
            "learning_rate": "constant",
            "fit_intercept": not self.spec.n_nonzero,
        }

    def learner(self):
        """The inner learner of skmeta."""
        return self._model(OGDClassifier, OGDRegressor, update="ogd", **self._shared)

    def sgd(self):
        """The same learner in scikit-learn."""
        plain = {"penalty": None, "shuffle": False, "max_iter": 1, "tol": None}
        return self._model(SGDClassifier, SGDRegressor, **plain, **self._shared)

    def meta_estimator(self, **options):
        options = {
            "step_size": "fixed",
            "meta_step_size": META_STEP_SIZE,
            "standardize": False,
            "store_tasks": False,
        } | options
        kind = FMRLRegressor if self.classes is None else FMRLClassifier
        return kind(self.learner(), **options)

    def start(self):
        """Shared initialization of a loop in scikit-learn: weights and intercepts."""
        n_outputs = self.spec.n_classes if self.spec.n_classes > 2 else 1
        return np.zeros((n_outputs, self.spec.n_features)), np.zeros(n_outputs)


@lru_cache
def make_workload(spec):
    """Random tasks; every class occurs in every task."""
    rng = np.random.default_rng(0)
    tasks = np.repeat(np.arange(spec.n_tasks), spec.n_samples)
    if spec.n_nonzero:
        X = _text_like(spec, rng)
        scores = X @ rng.standard_normal(spec.n_features)
        return Workload(spec, X, (scores > 0).astype(int), tasks, np.arange(2))
    X = rng.standard_normal((len(tasks), spec.n_features)) / np.sqrt(spec.n_features)
    if spec.n_classes:
        classes = np.arange(spec.n_classes)
        y = np.tile(np.resize(classes, spec.n_samples), (spec.n_tasks, 1))
        y = rng.permuted(y, axis=1).ravel()
        X += rng.permuted(np.resize([0.0, 0.3], (spec.n_classes, len(X[0]))), axis=1)[y]
        return Workload(spec, _single(X), y, tasks, classes)
    weights = 1.0 + 0.3 * rng.standard_normal((spec.n_tasks, spec.n_features))
    y = np.einsum("ij,ij->i", X, weights[tasks]) + 0.1 * rng.standard_normal(len(X))
    return Workload(spec, _single(X), _single(y), tasks, None)


def _single(array):
    """Round to what single precision holds: every form of input has these numbers."""
    return array.astype(np.float32).astype(np.float64)


def _text_like(spec, rng):
    """Rows of norm 1 with some columns far more frequent than others, as words are."""
    shape = spec.n_tasks * spec.n_samples, spec.n_nonzero
    columns = (spec.n_features * rng.random(shape) ** 3).astype(np.int32)
    ones = np.full(columns.size, 1.0 / np.sqrt(spec.n_nonzero))
    ends = np.arange(0, columns.size + 1, spec.n_nonzero, dtype=np.int32)
    X = sp.csr_matrix((ones, columns.ravel(), ends), (shape[0], spec.n_features))
    X.sum_duplicates()
    return X


def as_parameter(coef, intercept):
    """Weights and intercepts, or those of many tasks, side by side."""
    coef = np.atleast_2d(coef)
    return np.column_stack([coef, np.broadcast_to(intercept, len(coef))])


def difference(estimator, parameter):
    """Largest difference of a fitted estimator to (weights, intercepts)."""
    own = as_parameter(estimator.coef_, estimator.intercept_)
    return float(np.abs(own - as_parameter(*parameter)).max())
