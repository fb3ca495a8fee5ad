"""Data as they come: what is wrong is refused, what is ugly is learned."""

from __future__ import annotations

import numpy as np
import pytest

from skmeta import FMRLRegressor, MixedEffectsClassifier, MixedEffectsRegressor


def make_rows(n_tasks=70, n_rows=10, n_features=3, seed=0):
    """Rows of tasks with different lines: features, scores, labels of tasks."""
    rng = np.random.default_rng(seed)
    tasks = np.repeat(np.arange(n_tasks), n_rows)
    X = rng.normal(size=(len(tasks), n_features))
    slopes = 1.0 + 0.7 * rng.normal(size=(n_tasks, n_features))
    scores = (X * slopes[tasks]).sum(axis=1) + rng.normal(size=n_tasks)[tasks]
    return X, scores + 0.5 * rng.normal(size=len(tasks)), tasks


def make_classes(**options):
    X, scores, tasks = make_rows(**options)
    return X, (scores > 0).astype(float), tasks


# ---- classes that are not known


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("bad", [np.nan, 7.0])
def test_fit_refuses_rows_of_no_class(n_classes, bad):
    X, y, tasks = make_rows(n_tasks=20)
    classes = np.arange(float(n_classes))
    y = np.digitize(y, np.linspace(-1, 1, n_classes - 1)).astype(float)
    y[25] = bad
    with pytest.raises(ValueError, match="Task 2: y is .* in row 5 of the task"):
        MixedEffectsClassifier().fit(X, y, tasks=tasks, classes=classes)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("label", [3, 99])
def test_partial_fit_skips_rows_of_no_class(n_classes, label):
    X, y, tasks = make_rows(n_tasks=20)
    y = np.digitize(y, np.linspace(-1, 1, n_classes - 1))
    model = MixedEffectsClassifier(on_bad_task="skip").fit(X, y, tasks=tasks)
    before = model.predict_proba(X, tasks=tasks)
    model.partial_fit(X[:10], np.full(10, 7), tasks=label)
    assert (model.n_tasks_seen_, model.n_tasks_skipped_) == (20, 1)
    np.testing.assert_array_equal(model.predict_proba(X, tasks=tasks), before)


def test_a_task_of_no_class_leaves_the_others_as_they_are():
    X, y, tasks = make_classes()
    bad = y.copy()
    bad[12] = np.nan
    model = MixedEffectsClassifier(on_bad_task="skip").fit(X, bad, tasks=tasks)
    good = tasks != 1
    expected = MixedEffectsClassifier().fit(X[good], y[good], tasks=tasks[good])
    np.testing.assert_allclose(
        model.predict_proba(X, tasks=tasks)[good],
        expected.predict_proba(X, tasks=tasks)[good],
        rtol=1e-10,
    )


# ---- streams of classes


def test_refresh_after_fit_keeps_the_prior_of_a_classifier():
    X, y, tasks = make_classes()
    model = MixedEffectsClassifier().fit(X, y, tasks=tasks)
    expected = model.predict_proba(X, tasks=tasks)
    spread = np.sqrt(np.diag(model.covariance_[0]))
    model.refresh()
    np.testing.assert_allclose(
        np.sqrt(np.diag(model.covariance_[0])), spread, rtol=0.1, atol=0.05
    )
    np.testing.assert_allclose(model.predict_proba(X, tasks=tasks), expected, atol=0.02)


def test_classifier_learns_tasks_with_and_without_labels():
    X, y, tasks = make_classes(n_tasks=40)
    stream = MixedEffectsClassifier()
    for task in range(40):
        rows = tasks == task
        label = task if task % 3 else None
        stream.partial_fit(X[rows], y[rows], tasks=label, classes=[0.0, 1.0])
    stream.refresh()
    expected = MixedEffectsClassifier().fit(X, y, tasks=tasks)
    known = tasks % 3 > 0
    np.testing.assert_allclose(
        stream.predict_proba(X[known], tasks=tasks[known]),
        expected.predict_proba(X[known], tasks=tasks[known]),
        rtol=1e-6,
    )


# ---- labels


@pytest.mark.parametrize("kind", ["datetime64[D]", "datetime64[ns]", "timedelta64[s]"])
def test_forget_takes_labels_that_are_times(kind):
    X, y, tasks = make_rows(n_tasks=8)
    tasks = tasks.astype(kind)
    model = MixedEffectsRegressor().fit(X, y, tasks=tasks)
    model.forget(tasks[0]).forget(model.task_labels_[:1]).forget(list(tasks[20:22]))
    np.testing.assert_array_equal(model.task_labels_, np.unique(tasks)[3:])


def test_forget_takes_a_set():
    X, y, tasks = make_rows(n_tasks=8)
    model = MixedEffectsRegressor().fit(X, y, tasks=tasks).forget({1, 2})
    assert model.task_labels_.tolist() == [0, 3, 4, 5, 6, 7]


# ---- weights


@pytest.mark.parametrize("size", [1e-40, 1e-12, 1e12, 1e40])
def test_predictions_do_not_depend_on_the_size_of_precisions(size):
    X, y, tasks = make_rows(n_tasks=30)
    weight = np.random.default_rng(1).uniform(0.1, 1.0, len(y))
    expected = MixedEffectsRegressor().fit(X, y, tasks=tasks, sample_weight=weight)
    model = MixedEffectsRegressor().fit(X, y, tasks=tasks, sample_weight=size * weight)
    np.testing.assert_allclose(
        model.predict(X, tasks=tasks), expected.predict(X, tasks=tasks), rtol=1e-8
    )
    np.testing.assert_allclose(
        model.noise_variance_, size * expected.noise_variance_, rtol=1e-8
    )


def test_a_classifier_has_no_noise_that_vanishes():
    X, y, tasks = make_classes(n_tasks=30)
    weight = np.full(len(y), 1e12)
    MixedEffectsClassifier().fit(X, y, tasks=tasks, sample_weight=weight)  # no warning


@pytest.mark.parametrize("estimator", [MixedEffectsRegressor, MixedEffectsClassifier])
@pytest.mark.parametrize("size", [5e-324, 1e-300, 1e300])
def test_weights_beyond_arithmetic_are_refused(estimator, size):
    X, y, tasks = make_classes(n_tasks=20)
    model = estimator().fit(X, y, tasks=tasks)
    before = model.predict(X, tasks=tasks)
    weight = np.where(tasks == 3, size, 1.0)
    with pytest.raises(ValueError, match="sample_weight of .* scale the weights"):
        model.partial_fit(X, y, tasks=tasks, sample_weight=weight)
    np.testing.assert_array_equal(model.predict(X, tasks=tasks), before)


# ---- values far from those before


@pytest.mark.parametrize("estimator", [MixedEffectsRegressor, MixedEffectsClassifier])
@pytest.mark.parametrize("size", [1e9, 1e12, 1e20, 1e38])
@pytest.mark.filterwarnings("ignore:1 row is not learned from:UserWarning")
def test_a_feature_in_other_units_does_not_stop_predictions(estimator, size):
    X, y, tasks = make_classes()
    X_bad = X.copy()
    X_bad[12, 1] *= size
    X_bad[20:50] *= [size, 1.0, 1.0]
    model = estimator().fit(X, y, tasks=tasks)
    model.partial_fit(X_bad[:50], y[:50], tasks=tasks[:50])
    assert np.isfinite(model.task_coef_).all()
    before = model.predict(X, tasks=tasks)[50:]
    assert np.mean((before - y[50:]) ** 2) < 0.2


@pytest.mark.parametrize("label", [3, 99, None])
@pytest.mark.parametrize("n_tasks", [1, 3])
def test_squares_that_overflow_are_refused_in_a_stream(label, n_tasks):
    X, y, tasks = make_rows(n_tasks=20)
    model = MixedEffectsRegressor().fit(X, y, tasks=tasks)
    before = model.predict(X, tasks=tasks)
    rows = np.flatnonzero((tasks < n_tasks) & (np.arange(len(tasks)) % 10 < 3))
    labels = label if n_tasks == 1 else tasks[rows]
    for factor in (1e160, 1e300):
        with pytest.raises(ValueError, match="its squares overflow: scale"):
            model.partial_fit(factor * X[rows], y[rows], tasks=labels)
        with pytest.raises(ValueError, match="its squares overflow: scale"):
            model.partial_fit(X[rows], factor * y[rows], tasks=labels)
    np.testing.assert_array_equal(model.predict(X, tasks=tasks), before)


def test_standard_deviations_of_a_feature_in_other_units():
    X, y, tasks = make_rows()
    X_new = X[20:50] * [1e12, 1.0, 1.0]
    model = MixedEffectsRegressor().fit(X, y, tasks=tasks)
    model.partial_fit(X_new, y[20:50], tasks=tasks[20:50])
    std = model.predict(X_new, tasks=tasks[20:50], return_std=True)[1]
    assert np.isfinite(std).all()
    assert (std >= np.sqrt(model.noise_variance_)).all()


@pytest.mark.parametrize("estimator", [MixedEffectsRegressor, FMRLRegressor])
def test_an_iterator_of_labels_is_refused(estimator):
    X, y, tasks = make_rows(n_tasks=8)
    with pytest.raises(ValueError, match=r"tasks is an iterator.* Pass list"):
        estimator().fit(X, y, tasks=(f"s{task}" for task in tasks))
