"""Displays of a pipeline: those of its last step on transformed rows."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skmeta import FMRLRegressor, MixedEffectsRegressor
from skmeta.datasets import make_task_regression
from skmeta.inspection import (
    FewShotDisplay,
    RegretDisplay,
    TaskEffectsDisplay,
    TaskSimilarityDisplay,
)


@pytest.fixture(scope="module")
def data():
    X, y, tasks = make_task_regression(
        n_tasks=16, n_samples=8, n_features=3, random_state=0
    )
    return 3.0 + 2.0 * X, y, tasks


@pytest.fixture(params=[FMRLRegressor, MixedEffectsRegressor])
def fitted(request, data):
    """(pipeline, last step, transformed rows), all fitted."""
    X, y, tasks = data
    scaler = StandardScaler().fit(X)
    model = request.param().fit(scaler.transform(X), y, tasks=tasks)
    steps = Pipeline([("scale", scaler), ("model", model)])
    return steps, model, scaler.transform(X)


def axes(n=1):
    return Figure().subplots(1, n)


def test_regret(fitted, data):
    (steps, model, inside), (X, y, tasks) = fitted, data
    display = RegretDisplay.from_estimator(steps, X, y, tasks, ax=axes())
    expected = RegretDisplay.from_estimator(model, inside, y, tasks, ax=axes())
    assert list(display.regret) == list(expected.regret)
    for name, values in expected.regret.items():
        assert_allclose(display.regret[name], values)
    sizes = RegretDisplay.from_sample_sizes(steps, X, y, tasks, ax=axes())
    same = RegretDisplay.from_sample_sizes(model, inside, y, tasks, ax=axes())
    for name, values in same.regret.items():
        assert_allclose(sizes.regret[name], values)


def test_few_shots_with_a_baseline_on_raw_rows(fitted, data):
    (steps, model, inside), (X, y, tasks) = fitted, data
    raw = {"pooled": LinearRegression().fit(X, y)}
    scaled = {"pooled": LinearRegression().fit(inside, y)}
    options = {"n_shots": (0, 2, 4), "ax": axes()}
    display = FewShotDisplay.from_estimator(
        steps, X, y, tasks, baselines=raw, **options
    )
    expected = FewShotDisplay.from_estimator(
        model, inside, y, tasks, baselines=scaled, **options
    )
    assert_array_equal(display.scores, expected.scores)
    assert_allclose(display.baselines["pooled"], expected.baselines["pooled"])
    assert display.label == type(model).__name__
    lists = FewShotDisplay.from_estimator(
        steps, X.tolist(), y, tasks, baselines=raw, **options
    )
    assert_array_equal(lists.scores, expected.scores)


def test_tasks(fitted):
    steps, model, _ = fitted
    display = TaskSimilarityDisplay.from_estimator(steps, axes=axes(2))
    expected = TaskSimilarityDisplay.from_estimator(model, axes=axes(2))
    assert_array_equal(display.distances, expected.distances)
    if isinstance(model, MixedEffectsRegressor):
        effects = TaskEffectsDisplay.from_estimator(steps, ax=axes()).effects
        same = TaskEffectsDisplay.from_estimator(model, ax=axes()).effects
        assert_array_equal(effects["level"], same["level"])


def test_a_pipeline_that_is_not_fitted_can_be_replayed(data):
    X, y, tasks = data
    steps = Pipeline([("scale", StandardScaler()), ("model", FMRLRegressor())])
    display = RegretDisplay.from_estimator(steps, X, y, tasks, ax=axes())
    assert np.isfinite(display.regret["FMRLRegressor"]).all()
    assert not hasattr(steps["scale"], "mean_")
