"""Numbers at the limits of double precision, and tasks of very different sizes.

Scaling by a power of two is exact, and so is the difference of a number and an offset
near it. So a model of scaled or shifted data has an exact reference: the same model of
plain data.
"""

import time

import numpy as np
import pytest

from skmeta import (
    FMRLClassifier,
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # few rows
MODELS = {
    one.__name__: one
    for one in (
        FMRLRegressor,
        FMRLClassifier,
        MixedEffectsRegressor,
        MixedEffectsClassifier,
    )
}
REGRESSORS = ["FMRLRegressor", "MixedEffectsRegressor"]
HUGE, SMALL = 2.0**498, 2.0**-498  # 8e149, 1.2e-150
each_model = pytest.mark.parametrize("name", MODELS)
each_way = pytest.mark.parametrize(
    "way", ["fit", pytest.param("stream", marks=pytest.mark.slow)]
)


def rows(n_tasks=30, m=12, seed=0):
    rng = np.random.default_rng(seed)
    tasks = np.repeat(np.arange(n_tasks), m)
    X = rng.normal(size=(len(tasks), 3))
    y = X @ [1.0, -1.0, 0.5] + rng.normal(size=n_tasks)[tasks]
    return X, y + 0.5 * rng.normal(size=len(y)), tasks


def targets(name, y):
    return y if name in REGRESSORS else (y > 0).astype(int)


def learn(name, way, X, y, tasks, **params):
    model = MODELS[name](**params)
    if way == "fit":
        return model.fit(X, y, tasks=tasks)
    options = {} if name in REGRESSORS else {"classes": [0, 1]}
    for t in np.unique(tasks):
        mine = tasks == t
        model.partial_fit(X[mine], y[mine], tasks=int(t), **options)
    return model


def predictions(name, way, X, y, tasks):
    """Of known tasks, an unknown task, and one that the model is adapted to."""
    model = learn(name, way, X, y, tasks)
    adapted = model.adapt(X[:5], y[:5])
    if name in REGRESSORS:
        found = [model.predict(X, tasks=tasks), model.predict(X), adapted.predict(X)]
    else:
        probabilities = [model.predict_proba(X, tasks=tasks), model.predict_proba(X)]
        found = [one[:, 1] for one in (*probabilities, adapted.predict_proba(X))]
    assert np.isfinite(found).all()
    return np.array(found)


@each_model
@each_way
@pytest.mark.parametrize("scale", [SMALL, HUGE, [1.0, SMALL, 1.0], [SMALL, 1.0, HUGE]])
def test_features_of_any_scale(name, way, scale):
    X, y, tasks = rows()
    y = targets(name, y)
    found = predictions(name, way, X * scale, y, tasks)
    np.testing.assert_allclose(found, predictions(name, way, X, y, tasks), rtol=1e-12)


@pytest.mark.parametrize("name", REGRESSORS)
@each_way
@pytest.mark.parametrize("scale", [SMALL, HUGE])
def test_targets_of_any_scale(name, way, scale):
    X, y, tasks = rows()
    found = predictions(name, way, X, y * scale, tasks) / scale
    np.testing.assert_allclose(found, predictions(name, way, X, y, tasks), rtol=1e-12)


@each_model
@each_way
def test_features_far_from_zero(name, way):
    """1e10 spreads: what a prediction loses is its intercept's last digits."""
    X, y, tasks = rows()
    y, far = targets(name, y), 1e10 + X
    found = predictions(name, way, far, y, tasks)
    expected = predictions(name, way, far - 1e10, y, tasks)
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("name", REGRESSORS)
@each_way
def test_targets_far_from_zero(name, way):
    X, y, tasks = rows()
    far = 1e10 + y
    found = predictions(name, way, X, far, tasks) - 1e10
    expected = predictions(name, way, X, far - 1e10, tasks)
    np.testing.assert_allclose(found, expected, atol=2e-5)


@each_model
@each_way
def test_single_precision_equals_double_precision_of_the_same_numbers(name, way):
    X, y, tasks = rows()
    X, y = X.astype(np.float32), targets(name, y)
    found = predictions(name, way, X, y, tasks)
    expected = predictions(name, way, X.astype(float), y, tasks)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@each_model
@each_way
def test_constant_and_duplicated_columns(name, way):
    X, y, tasks = rows()
    y = targets(name, y)
    columns = [X, np.full(len(X), 7.0), np.full(len(X), 0.1) * 3, X[:, :1], X[:, :1]]
    wide = np.column_stack(columns)
    found = predictions(name, way, wide, y, tasks)
    model = learn(name, way, wide, y, tasks)
    coef = np.ravel(model.coef_)
    assert np.abs(coef[3:5]).max() < 1e-6
    np.testing.assert_allclose(coef[5], coef[6], rtol=1e-3, atol=1e-6)
    plain = predictions(name, way, X, y, tasks)
    assert np.abs(found - plain).mean() < 0.1 * plain.std()


@each_model
def test_one_row_and_tasks_of_one_row(name):
    X, y, tasks = rows(200, 1)
    y = targets(name, y)
    model = learn(name, "fit", X, y, tasks)
    assert np.isfinite(model.predict(X, tasks=tasks)).all()
    assert np.isfinite(model.adapt(X[:1], y[:1]).predict(X)).all()
    if name in REGRESSORS:
        one = MODELS[name]().fit(X[:1], y[:1], tasks=[0])
        np.testing.assert_allclose(one.predict(X[:1]), y[:1], rtol=1e-12)
    else:
        one = MODELS[name]().partial_fit(X[:1], y[:1], tasks=[0], classes=[0, 1])
        assert one.predict(X[:1]) == y[:1]


@pytest.mark.slow
@each_model
def test_a_task_of_one_row_beside_one_of_many(name):
    rng = np.random.default_rng(0)
    sizes = np.append(100_000, np.ones(50, int))
    tasks = np.repeat(np.arange(51), sizes)
    X = rng.normal(size=(len(tasks), 3))
    y = X @ [1.0, -1.0, 0.5] + rng.normal(size=51)[tasks] + rng.normal(size=len(tasks))
    model = learn(name, "fit", X, targets(name, y), tasks)
    assert np.isfinite(model.predict(X, tasks=tasks)).all()
    if name == "MixedEffectsRegressor":
        many = tasks == 0
        design = np.column_stack([X[many], np.ones(many.sum())])
        exact = np.linalg.lstsq(design, y[many], rcond=None)[0]
        np.testing.assert_allclose(model.task_coef_[0], exact[:3], atol=1e-3)
        np.testing.assert_allclose(model.task_intercept_[0], exact[3], atol=1e-3)


@each_model
@each_way
def test_separable_classes_and_targets_without_noise(name, way):
    X, _, tasks = rows()
    y = X @ [1.0, -1.0, 0.5]
    found = predictions(name, way, X, targets(name, y), tasks)
    if name in REGRESSORS:
        exact = name == "MixedEffectsRegressor"
        np.testing.assert_allclose(found[1], y, atol=1e-4 if exact else 0.5)
    else:
        assert found.min() > 0 and found.max() < 1
        assert ((found[0] > 0.5) == (y > 0)).mean() > 0.85


@pytest.mark.slow
@each_model
def test_the_time_of_a_long_task_is_linear_in_its_rows(name):
    times = []
    for m in (250_000, 1_000_000):
        X, y, _ = rows(1, m)
        y = targets(name, y)
        few, target, tasks = rows()
        tasks = np.concatenate([tasks, np.full(m, 99)])
        X, y = np.vstack([few, X]), np.concatenate([targets(name, target), y])
        start = time.process_time()
        model = learn(name, "fit", X, y, tasks)
        times.append(time.process_time() - start)
        assert np.isfinite(model.predict(X[:9], tasks=tasks[:9])).all()
    assert times[1] < 8 * times[0] + 0.5
