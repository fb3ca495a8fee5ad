"""`surprise`: minus the log predictive density of the rows of a task, per row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import multivariate_normal, norm
from sklearn.preprocessing import StandardScaler

from skmeta import MixedEffectsRegressor
from skmeta.datasets import make_task_regression
from skmeta.pipeline import make_task_pipeline


def rows(n_features=3, between=0.0):
    X, y, tasks = make_task_regression(
        n_tasks=60, n_samples=8, n_features=n_features, noise=0.5, random_state=0
    )
    level = np.random.default_rng(0).normal(size=(60, n_features))
    return 5 + X + level[tasks], 3 + 2 * y + between * level.sum(1)[tasks], tasks


def dense(model, X, y, weight):
    """From the prior of a new task with these rows."""
    engine = model._learned.model
    batch = model._read_new_task(X, y, weight, model._learned)[1].batch
    prior = engine._predictor.adapted(engine.factor_of(batch))
    B = np.column_stack([X, np.ones(len(X))])
    V = B @ prior.covariance @ B.T + np.diag(prior.noise / weight)
    return -multivariate_normal.logpdf(y, B @ prior.mean, V) / len(y)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_rows", [1, 3, 40])
@pytest.mark.parametrize("between", [0.0, 2.0])
def test_is_the_dense_density(between, n_rows, weighted):
    X, y, tasks = rows(between=between)
    model = MixedEffectsRegressor().fit(X, y, tasks=tasks)
    weight = np.ones(n_rows)
    if weighted:
        weight = np.random.default_rng(1).uniform(0.2, 3, n_rows)
    X, y = X[:n_rows], y[:n_rows]
    got = model.surprise(X, y, sample_weight=weight if weighted else None)
    assert got == pytest.approx(dense(model, X, y, weight), rel=1e-9)


def test_one_row_has_the_density_of_predict():
    X, y, tasks = rows()
    model = MixedEffectsRegressor(between=False).fit(X, y, tasks=tasks)
    mean, std = model.predict(X[:1], return_std=True)
    expected = -norm.logpdf(y[0], mean, std)[0]
    assert model.surprise(X[:1], y[:1]) == pytest.approx(expected, rel=1e-9)


def test_is_the_sum_of_the_densities_of_row_after_row():
    X, y, tasks = rows()
    model = MixedEffectsRegressor(between=False).fit(X, y, tasks=tasks)
    X, y, total = X[:8], y[:8] + 1.0, 0.0
    for i in range(8):
        source = model.adapt(X[:i], y[:i]) if i else model
        mean, std = source.predict(X[i : i + 1], return_std=True)
        total -= norm.logpdf(y[i], mean, std)[0]
    assert model.surprise(X, y) == pytest.approx(total / 8, rel=1e-9)


def test_is_the_entropy_on_average():
    """Of tasks like those learned, with the task column among the features."""
    X, y, tasks = rows()
    table = pd.DataFrame(X, columns=list("abc")).assign(task=tasks)
    model = MixedEffectsRegressor(task_column="task", between=False).fit(table, y)
    each = [model.surprise(part, y[part.index]) for _, part in table.groupby("task")]
    B = np.column_stack([X, np.ones(len(X))])
    V = model.covariance_, model.noise_variance_
    entropy = [
        multivariate_normal(
            cov=B[tasks == t] @ V[0] @ B[tasks == t].T + V[1] * np.eye(8)
        )
        for t in range(60)
    ]
    assert np.mean(each) == pytest.approx(
        np.mean([e.entropy() for e in entropy]) / 8, abs=0.05
    )
    assert model.surprise(table[:8], y[:8] + 50) > np.max(each) + 1


def test_refuses_what_adapt_refuses():
    X, y, tasks = rows()
    model = MixedEffectsRegressor().fit(X, y, tasks=tasks)
    with pytest.raises(ValueError, match="NaN"):
        model.surprise(np.full((2, 3), np.nan), y[:2])


def test_rows_may_be_sparse():
    X, y, tasks = rows(between=2.0)
    model = MixedEffectsRegressor().fit(X, y, tasks=tasks)
    assert model.surprise(sp.csr_array(X[:8]), y[:8]) == model.surprise(X[:8], y[:8])


@pytest.mark.parametrize("with_column", [False, True])
def test_in_a_pipeline(with_column):
    X, y, tasks = rows()
    table = pd.DataFrame(X, columns=list("abc")).assign(task=tasks)
    pipeline = make_task_pipeline(
        StandardScaler(), MixedEffectsRegressor(), task_column="task"
    ).fit(table, y)
    one = table[:8] if with_column else table[list("abc")][:8]
    scaled = StandardScaler().fit(table[list("abc")]).transform(table[list("abc")][:8])
    expected = pipeline[-1].surprise(scaled, y[:8])
    assert pipeline.surprise(one, y[:8]) == pytest.approx(expected, rel=1e-9)
