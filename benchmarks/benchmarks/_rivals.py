"""Meta-learning as it is written with scikit-learn alone: loops over tasks."""

from functools import lru_cache

import numpy as np
from joblib import Parallel, delayed
from sklearn.linear_model import LinearRegression, Ridge

from benchmarks._workloads import META_STEP_SIZE, make_workload


class MetaSGD:
    """One SGD model whose weights are overwritten by phi before every task."""

    def __init__(self, work):
        self.model = work.sgd()
        self.first_call = work.first_call
        self.phi = work.start()

    def partial_fit(self, X, y):
        model = self.model
        if hasattr(model, "coef_"):
            model.coef_[...] = self.phi[0].reshape(model.coef_.shape)
            model.intercept_[...] = self.phi[1]
            model.partial_fit(X, y)
        else:
            model.partial_fit(X, y, **self.first_call)
        for shared, own in zip(self.phi, (model.coef_, model.intercept_), strict=True):
            shared += META_STEP_SIZE * (own - shared)

    def learn(self, tasks):
        for X, y in tasks:
            self.partial_fit(X, y)
        return self


@lru_cache
def shared_initialization(spec):
    """(weights, intercepts) that `MetaSGD` has learned from all tasks."""
    work = make_workload(spec)
    return MetaSGD(work).learn(work.split()).phi


def adapted(work, phi, X, y):
    """A model of one task, started at phi."""
    coef, intercept = (np.array(part) for part in phi)  # fit may write into its start
    return work.sgd().fit(X, y, coef_init=coef, intercept_init=intercept)


def learn_in_batches(work, tasks, batch_size, n_jobs):
    """phi of a loop over meta-batches, the tasks of each shared among threads."""
    coef, intercept = work.start()
    with Parallel(n_jobs=n_jobs, prefer="threads") as parallel:
        for first in range(0, len(tasks), batch_size):
            models = parallel(
                delayed(adapted)(work, (coef, intercept), X, y)
                for X, y in tasks[first : first + batch_size]
            )
            coef += META_STEP_SIZE * np.mean(
                [model.coef_ - coef for model in models], axis=0
            )
            intercept += META_STEP_SIZE * np.mean(
                [model.intercept_ - intercept for model in models], axis=0
            )
    return coef, intercept


def ridge_each(tasks):
    """A ridge per task, with no knowledge of the others."""
    for X, y in tasks:
        Ridge().fit(X, y)


class LookedUp:
    """Rows of known tasks: labels looked up in a sorted array, weights gathered."""

    def __init__(self, model):
        self.labels = model.task_labels_
        self.coef = model.task_coef_
        self.intercept = np.ravel(model.task_intercept_)

    def predict(self, X, tasks):
        task = np.searchsorted(self.labels, tasks)
        return np.einsum("ij,ij->i", X, self.coef[task]) + self.intercept[task]


def mean_of_optima(tasks, n_jobs):
    """(weights, intercept): the mean of a least squares fit per task."""
    models = Parallel(n_jobs=n_jobs)(
        delayed(LinearRegression().fit)(X, y) for X, y in tasks
    )
    coef = np.mean([model.coef_ for model in models], axis=0)
    return coef, np.mean([model.intercept_ for model in models])
