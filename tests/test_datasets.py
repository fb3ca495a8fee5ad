"""Generators against their known truth, loaders against the files they read.

Statistical tolerances are five standard errors of the estimate, at a fixed seed.
"""

import csv
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import skmeta.datasets
from skmeta.datasets import (
    load_chick_weights,
    load_wage_panel,
    make_task_classification,
    make_task_regression,
)

GENERATORS = [make_task_regression, make_task_classification]
# The generators with every shape of parameter: one row, and one per class.
SHAPES = [
    pytest.param(make_task_regression, {}, (), id="regression"),
    pytest.param(make_task_classification, {}, (), id="two-classes"),
    pytest.param(make_task_classification, {"n_classes": 3}, (3,), id="three-classes"),
]


def scores_of(X, tasks, truth):
    """Naive scores x . w_t + b_t, row by row."""
    return np.array(
        [
            truth.task_coef[t] @ x + truth.task_intercept[t]
            for x, t in zip(X, tasks, strict=True)
        ]
    )


def probabilities_of(scores):
    """Softmax over classes, or the logistic function as two classes."""
    if scores.ndim == 1:
        scores = np.column_stack([np.zeros_like(scores), scores])
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def least_squares(X, y, tasks):
    """Weights and intercept of every task, and the unbiased noise variance."""
    A = np.column_stack([X, np.ones(len(X))])
    rows_of_tasks = [tasks == t for t in np.unique(tasks)]
    fits = [np.linalg.lstsq(A[rows], y[rows]) for rows in rows_of_tasks]
    freedom = len(A) - A.shape[1] * len(fits)
    return np.array([fit[0] for fit in fits]), sum(fit[1][0] for fit in fits) / freedom


# Generators: the shape of what is returned


@pytest.mark.parametrize("make, params, outputs", SHAPES)
def test_shapes_and_dtypes(make, params, outputs):
    X, y, tasks, truth = make(
        7, 4, 3, return_coef=True, random_state=0, intercept=0.5, **params
    )
    assert X.shape == (28, 3) and X.dtype == np.float64
    assert y.shape == (28,)
    assert y.dtype == (np.float64 if make is make_task_regression else np.int64)
    assert tasks.dtype == np.int64
    assert_array_equal(tasks, np.repeat(np.arange(7), 4))
    assert sorted(truth) == [
        "coef",
        "drift",
        "intercept",
        "task_coef",
        "task_intercept",
    ]
    assert truth.coef.shape == truth.drift.shape == (*outputs, 3)
    assert truth.task_coef.shape == (7, *outputs, 3)
    assert truth.task_intercept.shape == (7, *outputs)
    assert_array_equal(truth.intercept, np.full(outputs, 0.5))
    assert isinstance(truth.intercept, np.ndarray if outputs else float)


@pytest.mark.parametrize("make", GENERATORS)
def test_truth_is_returned_on_demand_only(make):
    plain = make(3, random_state=0)
    *with_truth, _ = make(3, random_state=0, return_coef=True)
    assert len(plain) == 3
    for a, b in zip(plain, with_truth, strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize("make", GENERATORS)
def test_default_sizes(make):
    X, y, tasks = make(random_state=0)
    assert X.shape == (1000, 5)
    assert_array_equal(np.bincount(tasks), np.full(100, 10))


@pytest.mark.parametrize("make", GENERATORS)
def test_sizes_are_uniform_on_an_inclusive_range(make):
    _, _, tasks = make(3000, (2, 4), random_state=0)
    assert_array_equal(tasks, np.sort(tasks))
    sizes, counts = np.unique(np.bincount(tasks), return_counts=True)
    assert_array_equal(sizes, [2, 3, 4])
    error = np.sqrt(3000 * (1 / 3) * (2 / 3))
    assert_allclose(counts, 1000, atol=5 * error)


@pytest.mark.parametrize("make", GENERATORS)
@pytest.mark.parametrize("pair", [(3, 3), [3, 3], (np.int64(3), np.int32(3))], ids=str)
def test_range_of_one_size_is_an_int(make, pair):
    ranged, fixed = make(5, pair, random_state=0), make(5, 3, random_state=0)
    for a, b in zip(ranged, fixed, strict=True):
        assert_array_equal(a, b)


# Generators: randomness


@pytest.mark.parametrize("make, params, outputs", SHAPES)
def test_random_state(make, params, outputs):
    def draw(random_state):
        X, y, tasks, truth = make(
            6,
            (2, 9),
            drift=0.1,
            shuffle=True,
            return_coef=True,
            random_state=random_state,
            **params,
        )
        return [X, y, tasks, *truth.values()]

    before = np.random.get_state()[1]
    rng = np.random.RandomState(3)
    first, again, instance, second = draw(3), draw(3), draw(rng), draw(rng)
    for a, b, c in zip(first, again, instance, strict=True):
        assert_array_equal(a, b)
        assert_array_equal(a, c)
    assert not np.array_equal(first[0], second[0])
    assert not np.array_equal(first[0], draw(4)[0])
    assert_array_equal(before, np.random.get_state()[1])
    assert not np.array_equal(draw(None)[0], draw(None)[0])


def test_seed_fixes_draws_that_options_rescale():
    def draw(**params):
        return make_task_regression(
            4, 3, return_coef=True, random_state=0, **{"noise": 0.0} | params
        )

    X, y, _, truth = draw()
    X_noisy, y_noisy, _, _ = draw(noise=1.0)
    assert_array_equal(X, X_noisy)
    assert_allclose(draw(noise=2.0)[1] - y, 2 * (y_noisy - y), atol=1e-14)
    wide = draw(task_std=0.4, intercept_std=0.3, drift=0.5)[3]
    assert_array_equal(wide.coef, truth.coef)
    moved = np.outer(np.arange(4), wide.drift)
    assert_allclose(
        wide.task_coef - wide.coef - moved, 4 * (truth.task_coef - truth.coef)
    )
    assert_allclose(wide.task_intercept, 3 * truth.task_intercept)
    given = draw(coef=np.arange(5))
    assert_array_equal(given[0], X)
    assert_array_equal(given[3].coef, np.arange(5))


@pytest.mark.parametrize("make, params, outputs", SHAPES)
def test_shuffle_permutes_rows_and_interleaves_tasks(make, params, outputs):
    def draw(shuffle):
        X, y, tasks = make(20, (5, 9), shuffle=shuffle, random_state=0, **params)
        return np.column_stack([tasks, y, X])

    plain, shuffled = draw(False), draw(True)
    assert np.count_nonzero(np.diff(plain[:, 0])) == 19
    assert np.count_nonzero(np.diff(shuffled[:, 0])) > 100
    # Features are distinct, so that sorting by (task, first feature) aligns the rows.
    for rows in (plain, shuffled):
        rows[:] = rows[np.lexsort((rows[:, 2], rows[:, 0]))]
    assert_array_equal(plain, shuffled)


# Generators: the truth


def test_least_squares_recovers_the_truth():
    n_tasks, n_samples, n_features, noise = 600, 60, 4, 0.2
    task_std, intercept_std = 0.3, 0.7
    X, y, tasks, truth = make_task_regression(
        n_tasks,
        n_samples,
        n_features,
        task_std=task_std,
        intercept_std=intercept_std,
        noise=noise,
        intercept=-1.5,
        return_coef=True,
        random_state=0,
    )
    estimate, noise_variance = least_squares(X, y, tasks)
    freedom = n_tasks * (n_samples - n_features - 1)
    assert_allclose(noise_variance, noise**2, rtol=5 * np.sqrt(2 / freedom))

    # The inverse Wishart mean of (A'A)^-1, variance 1 / n_features per feature.
    excess = noise**2 / (n_samples - n_features - 2)
    error = np.append(
        np.full(n_features, np.sqrt(n_features * excess)), np.sqrt(excess)
    )
    truth_rows = np.column_stack([truth.task_coef, truth.task_intercept])
    assert_allclose(
        (estimate - truth_rows).std(axis=0), error, rtol=5 / np.sqrt(2 * n_tasks)
    )

    total = np.hypot(np.append(np.full(n_features, task_std), intercept_std), error)
    shared = np.append(truth.coef, truth.intercept)
    distance = np.abs(estimate.mean(axis=0) - shared)
    assert np.all(distance < 5 * total / np.sqrt(n_tasks))
    assert truth.intercept == -1.5
    spread = estimate.std(axis=0, ddof=1)
    assert_allclose(spread, total, rtol=5 / np.sqrt(2 * n_tasks))


def test_least_squares_recovers_the_drift():
    n_tasks, drift, task_std = 200, 0.05, 0.1
    X, y, tasks, truth = make_task_regression(
        n_tasks, 40, 3, drift=drift, task_std=task_std, return_coef=True, random_state=0
    )
    estimate, _ = least_squares(X, y, tasks)
    slope, start = np.polyfit(np.arange(n_tasks), estimate, 1)
    std = np.hypot(task_std, np.sqrt(3 * 0.1**2 / (40 - 3 - 2)))
    assert_allclose(slope[:3], truth.drift, atol=5 * std / np.sqrt(n_tasks**3 / 12))
    assert_allclose(slope[3], 0, atol=5 * std / np.sqrt(n_tasks**3 / 12))
    assert_allclose(start[:3], truth.coef, atol=5 * 2 * std / np.sqrt(n_tasks))
    assert_allclose(np.linalg.norm(truth.drift), drift)


@pytest.mark.parametrize("make, params, outputs", SHAPES)
def test_spread_of_the_truth(make, params, outputs):
    *_, truth = make(
        4000,
        1,
        2,
        task_std=0.3,
        intercept_std=0.7,
        return_coef=True,
        random_state=0,
        **params,
    )
    tolerance = 5 / np.sqrt(2 * 4000)
    deviation = truth.task_coef - truth.coef
    assert_allclose(deviation.std(axis=0), 0.3, rtol=tolerance)
    assert_allclose(deviation.mean(axis=0), 0, atol=5 * 0.3 / np.sqrt(4000))
    assert_allclose(truth.task_intercept.std(axis=0), 0.7, rtol=tolerance)
    # Every coordinate of every task is its own draw.
    flat = np.column_stack([deviation.reshape(4000, -1), truth.task_intercept])
    correlation = np.corrcoef(flat, rowvar=False) - np.eye(flat.shape[1])
    assert np.abs(correlation).max() < 5 / np.sqrt(4000)


@pytest.mark.parametrize("make", GENERATORS)
def test_intercepts_spread_as_the_weights_by_default(make):
    *_, default = make(9, task_std=0.6, return_coef=True, random_state=0)
    *_, given = make(
        9, task_std=0.6, intercept_std=0.6, return_coef=True, random_state=0
    )
    assert_array_equal(default.task_intercept, given.task_intercept)
    assert default.task_intercept.std() > 0
    *_, fixed = make(
        9, task_std=0.6, intercept_std=0, intercept=2, return_coef=True, random_state=0
    )
    assert_array_equal(fixed.task_intercept, np.full(9, 2.0))


@pytest.mark.parametrize("make, params, outputs", SHAPES)
def test_norm_of_the_drawn_optimum(make, params, outputs):
    *_, truth = make(return_coef=True, random_state=0, **params)
    norm = 1 if make is make_task_regression else 10
    assert_allclose(np.linalg.norm(truth.coef, axis=-1), np.full(outputs, norm))


@pytest.mark.parametrize("make, params, outputs", SHAPES)
def test_features_are_scaled_normals(make, params, outputs):
    X = make(200, 50, 8, random_state=0, **params)[0]
    n_rows = len(X)
    assert_allclose(X.mean(axis=0), 0, atol=5 / np.sqrt(8 * n_rows))
    covariance = X.T @ X / n_rows
    assert_allclose(covariance, np.eye(8) / 8, atol=5 * np.sqrt(2 / n_rows) / 8)


@pytest.mark.parametrize("make, params, outputs", SHAPES)
def test_without_spread_every_task_is_the_moving_optimum(make, params, outputs):
    *_, truth = make(
        5,
        task_std=0,
        drift=0.25,
        intercept=1,
        return_coef=True,
        random_state=0,
        **params,
    )
    for t in range(5):
        assert_array_equal(truth.task_coef[t], truth.coef + t * truth.drift)
        assert_array_equal(truth.task_intercept[t], truth.intercept)
    assert_allclose(np.linalg.norm(truth.drift), 0.25)
    # The direction is its own draw, not that of the optimum.
    alignment = np.vdot(truth.drift, truth.coef) / np.linalg.norm(truth.coef)
    assert abs(alignment) < 0.9 * 0.25


@pytest.mark.parametrize("make, params, outputs", SHAPES)
def test_no_drift_by_default(make, params, outputs):
    *_, truth = make(5, return_coef=True, random_state=0, **params)
    assert not truth.drift.any()


@pytest.mark.parametrize("make, params, outputs", SHAPES)
def test_uninformative_features_have_no_weight(make, params, outputs):
    *_, truth = make(
        9, 2, 6, n_informative=2, drift=1, return_coef=True, random_state=0, **params
    )
    for weights in (truth.coef, truth.drift, truth.task_coef):
        assert not weights[..., 2:].any()
        assert weights[..., :2].all()
    assert np.all(truth.task_coef[..., :2].std(axis=0) > 0)


@pytest.mark.parametrize("make, params, outputs", SHAPES)
def test_all_features_are_informative_by_default(make, params, outputs):
    default = make(4, return_coef=True, random_state=0, **params)[3]
    given = make(4, n_informative=5, return_coef=True, random_state=0, **params)[3]
    assert_array_equal(default.task_coef, given.task_coef)
    assert default.task_coef.all()


@pytest.mark.parametrize("make, params, outputs", SHAPES)
def test_given_optimum_is_used_and_copied(make, params, outputs):
    coef = np.arange(1.0, 4.0) + np.zeros((*outputs, 1))
    coef = coef.reshape(*outputs, 3)
    intercept = np.arange(3.0) if outputs else 2.0
    *_, truth = make(
        4,
        2,
        3,
        coef=coef,
        intercept=intercept,
        task_std=0,
        return_coef=True,
        random_state=0,
        **params,
    )
    assert_array_equal(truth.coef, coef)
    assert_array_equal(truth.intercept, intercept)
    assert_array_equal(truth.task_coef, np.broadcast_to(coef, truth.task_coef.shape))
    assert not np.shares_memory(truth.coef, coef)


def test_regression_without_noise_is_realizable():
    X, y, tasks, truth = make_task_regression(
        20, (3, 8), noise=0, drift=0.1, intercept=3, return_coef=True, random_state=0
    )
    assert_allclose(y, scores_of(X, tasks, truth), rtol=0, atol=1e-14)
    X, y, _, truth = make_task_regression(
        20, noise=0, task_std=0, intercept=3, return_coef=True, random_state=0
    )
    assert_allclose(y, X @ truth.coef + 3, rtol=0, atol=1e-14)


def test_regression_noise_is_independent_of_the_features():
    X, y, tasks, truth = make_task_regression(
        200, 50, noise=0.5, return_coef=True, random_state=0
    )
    residual = y - scores_of(X, tasks, truth)
    n_rows = len(y)
    assert_allclose(residual.mean(), 0, atol=5 * 0.5 / np.sqrt(n_rows))
    assert_allclose(residual.std(), 0.5, rtol=5 / np.sqrt(2 * n_rows))
    assert_allclose(X.T @ residual / n_rows, 0, atol=5 * 0.5 / np.sqrt(5 * n_rows))


# Generators: class labels


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_classification_without_noise_is_realizable(n_classes):
    X, y, tasks, truth = make_task_classification(
        30, n_classes=n_classes, noise=0, drift=1, return_coef=True, random_state=0
    )
    scores = scores_of(X, tasks, truth)
    expected = scores > 0 if n_classes == 2 else scores.argmax(axis=1)
    assert_array_equal(y, expected)
    assert_array_equal(np.unique(y), np.arange(n_classes))


def calibration_error(y, probabilities):
    """Largest standardized difference of class counts, over bins of probability."""
    worst = 0.0
    for k, p in enumerate(probabilities.T):
        for rows in np.array_split(np.argsort(p), 8):
            difference = np.sum(y[rows] == k) - p[rows].sum()
            variance = np.sum(p[rows] * (1 - p[rows]))
            worst = max(worst, abs(difference) / np.sqrt(variance))
    return worst


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("noise", [0.5, 1.0, 3.0])
def test_class_frequencies_follow_the_logistic_model(n_classes, noise):
    X, y, tasks, truth = make_task_classification(
        500,
        40,
        n_classes=n_classes,
        noise=noise,
        intercept=0.5,
        drift=0.01,
        return_coef=True,
        random_state=0,
    )
    scores = scores_of(X, tasks, truth)
    assert calibration_error(y, probabilities_of(scores / noise)) < 5
    # The check sees a wrong temperature.
    assert calibration_error(y, probabilities_of(scores / noise * 1.3)) > 5


@pytest.mark.parametrize("n_classes", [2, 3])
def test_shared_optimum_is_the_logistic_parameter(n_classes):
    """The likelihood's gradient at the truth vanishes, up to its standard error."""
    X, y, tasks, truth = make_task_classification(
        100, 400, task_std=0, n_classes=n_classes, return_coef=True, random_state=0
    )

    def gradient(shrink):
        scores = X @ (shrink * truth.coef.T) + truth.intercept
        p = probabilities_of(scores)
        error = np.sqrt((X**2).T @ (p * (1 - p)))
        return np.abs(X.T @ ((y[:, None] == np.arange(n_classes)) - p)) / error

    assert gradient(1.0).max() < 5
    assert gradient(0.7).max() > 5


def test_two_classes_are_balanced_without_intercept():
    y = make_task_classification(200, 100, intercept_std=0, random_state=0)[1]
    assert_allclose(y.mean(), 0.5, atol=5 * 0.5 / np.sqrt(len(y)))


# Generators: errors

BOTH_ERRORS = {
    "no-task": ({"n_tasks": 0}, r"'n_tasks' parameter .* range \[1, inf\). Got 0"),
    "no-row": ({"n_samples": 0}, r"'n_samples' parameter .* range \[1, inf\).* Got 0"),
    "no-feature": ({"n_features": 0}, r"'n_features' parameter .* \[1, inf\). Got 0"),
    "negative-spread": ({"task_std": -1.0}, r"'task_std' .* \[0.0, inf\). Got -1.0"),
    "infinite-noise": ({"noise": np.inf}, r"'noise' parameter .* inf\). Got inf"),
    "nan-drift": ({"drift": np.nan}, r"'drift' parameter .* inf\). Got nan"),
    "negative-intercept-std": ({"intercept_std": -2}, r"'intercept_std' .* Got -2"),
    "infinite-intercept": ({"intercept": np.inf}, r"'intercept' parameter .* Got inf"),
    "shuffle": ({"shuffle": "yes"}, r"'shuffle' parameter .* Got 'yes'"),
    "return-coef": ({"return_coef": 2}, r"'return_coef' parameter .* Got 2"),
    "random-state": ({"random_state": "a"}, r"'random_state' parameter .* Got 'a'"),
    "low-above-high": (
        {"n_samples": (5, 2)},
        r"n_samples=\(low, high\) must satisfy 1 <= low <= high, got \(5, 2\)",
    ),
    "low-below-one": (
        {"n_samples": (0, 2)},
        r"n_samples=\(low, high\) must satisfy 1 <= low <= high, got \(0, 2\)",
    ),
    "three-sizes": (
        {"n_samples": (1, 2, 3)},
        r"n_samples must be an int or a pair \(low, high\) of ints, got \(1, 2, 3\)",
    ),
    "float-sizes": (
        {"n_samples": (1.0, 2)},
        r"n_samples must be an int or a pair \(low, high\) of ints, got \(1.0, 2\)",
    ),
    "none-informative": (
        {"n_informative": 0},
        r"'n_informative' parameter .* range \[1, inf\).* Got 0",
    ),
    "too-many-informative": (
        {"n_informative": 6},
        "n_informative must be at most n_features=5, got 6",
    ),
    "short-coef": (
        {"coef": [1.0, 2.0]},
        r"coef must have shape \(5,\), got \(2,\)",
    ),
    "deep-coef": (
        {"coef": np.ones((2, 5))},
        r"coef must have shape \(5,\), got \(2, 5\)",
    ),
    "nan-coef": (
        {"coef": [1, 2, 3, 4, np.nan]},
        r"coef must be finite, got \[ 1.  2.  3.  4. nan\]",
    ),
    "uninformative-coef": (
        {"coef": [1, 0, 3, 0, 0], "n_informative": 2},
        r"coef must be zero after the first n_informative=2 features, got \[1. 0. 3.",
    ),
}


@pytest.mark.parametrize("make", GENERATORS)
@pytest.mark.parametrize("params, message", BOTH_ERRORS.values(), ids=BOTH_ERRORS)
def test_errors(make, params, message):
    with pytest.raises(ValueError, match=message):
        make(**params)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"n_classes": 1}, r"'n_classes' parameter .* range \[2, inf\). Got 1"),
        ({"intercept": [1, 2]}, r"intercept must be a float, got shape \(2,\)"),
        (
            {"intercept": [1, 2], "n_classes": 3},
            r"intercept must be a float or have shape \(3,\), got shape \(2,\)",
        ),
        (
            {"intercept": [1, 2, np.inf], "n_classes": 3},
            r"intercept must be finite, got \[ 1.  2. inf\]",
        ),
        (
            {"coef": np.ones(5), "n_classes": 3},
            r"coef must have shape \(3, 5\), got \(5,\)",
        ),
    ],
)
def test_classification_errors(params, message):
    with pytest.raises(ValueError, match=message):
        make_task_classification(**params)


def test_regression_intercept_is_a_float():
    with pytest.raises(ValueError, match=r"'intercept' parameter .* Got \[1, 2\]"):
        make_task_regression(intercept=[1, 2])


@pytest.mark.parametrize("make", GENERATORS)
def test_failed_call_leaves_the_generator_of_numbers_alone(make):
    rng = np.random.RandomState(0)
    with pytest.raises(ValueError, match="low <= high"):
        make(n_samples=(2, 1), random_state=rng)
    assert rng.randint(1000) == np.random.RandomState(0).randint(1000)


# Loaders

LOADERS = [
    pytest.param(load_chick_weights, "chick_weights", "chick", "time", id="chick"),
    pytest.param(load_wage_panel, "wage_panel", "nr", "year", id="wage"),
]


def read_sorted(name, task, time):
    """The rows of the file as dicts of floats, sorted by (task, time)."""
    path = Path(skmeta.datasets.__file__).parent / "data" / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [
            {key: float(value) for key, value in row.items()}
            for row in csv.DictReader(file)
        ]
    return sorted(rows, key=lambda row: (row[task], row[time]))


def column(rows, name):
    if name.startswith("diet_"):
        return np.array([row["diet"] == int(name[-1]) for row in rows], dtype=float)
    return np.array([row[name] for row in rows])


@pytest.mark.parametrize("load, name, task, time", LOADERS)
def test_loader_returns_the_file(load, name, task, time):
    bunch = load()
    rows = read_sorted(name, task, time)
    assert bunch.task_name == task
    assert bunch.frame is None
    assert bunch.data.shape == (len(rows), len(bunch.feature_names))
    assert bunch.data.dtype == bunch.target.dtype == np.float64
    assert bunch.tasks.dtype == np.int64
    for values, key in zip(bunch.data.T, bunch.feature_names, strict=True):
        assert_array_equal(values, column(rows, key))
    assert_array_equal(bunch.target, column(rows, bunch.target_name))
    assert_array_equal(bunch.tasks, column(rows, task))
    assert np.isfinite(bunch.data).all() and np.isfinite(bunch.target).all()


@pytest.mark.parametrize("load, name, task, time", LOADERS)
def test_tasks_stand_together_in_order_of_time(load, name, task, time):
    bunch = load()
    times = bunch.data[:, bunch.feature_names.index(time)]
    step = np.diff(bunch.tasks)
    assert np.all(step >= 0)
    assert np.all(np.diff(times)[step == 0] > 0)


def test_chick_weights():
    chicks = load_chick_weights()
    assert chicks.data.shape == (578, 4)
    assert chicks.feature_names == ["time", "diet_2", "diet_3", "diet_4"]
    assert chicks.target_name == "weight"
    assert_array_equal(np.unique(chicks.tasks), np.arange(1, 51))
    diets = chicks.data[:, 1:]
    assert set(np.unique(diets)) == {0.0, 1.0}
    assert_array_equal(diets.sum(axis=0), [120, 120, 118])
    # Diet 1 is the reference: the first 20 chicks have no indicator set.
    assert_array_equal(diets.sum(axis=1), chicks.tasks > 20)


def test_wage_panel():
    wages = load_wage_panel()
    assert wages.data.shape == (4360, 9)
    assert wages.feature_names == [
        "year",
        "exper",
        "expersq",
        "hours",
        "married",
        "union",
        "educ",
        "black",
        "hisp",
    ]
    assert wages.target_name == "lwage"
    _, counts = np.unique(wages.tasks, return_counts=True)
    assert_array_equal(counts, np.full(545, 8))
    assert_array_equal(wages.data[:, 0].reshape(545, 8), [range(1980, 1988)] * 545)


@pytest.mark.parametrize("as_frame", [False, True])
@pytest.mark.parametrize("load, name, task, time", LOADERS)
def test_return_X_y(load, name, task, time, as_frame):
    if as_frame:
        pytest.importorskip("pandas")
    bunch = load(as_frame=as_frame)
    result = load(as_frame=as_frame, return_X_y=True)
    assert isinstance(result, tuple)
    for part, key in zip(result, ("data", "target", "tasks"), strict=True):
        assert type(part) is type(bunch[key])
        assert_array_equal(part, bunch[key])


@pytest.mark.parametrize("load, name, task, time", LOADERS)
def test_as_frame(load, name, task, time):
    pd = pytest.importorskip("pandas")
    arrays, bunch = load(), load(as_frame=True)
    rows = read_sorted(name, task, time)
    assert list(bunch.data.columns) == bunch.feature_names
    added = [key for key in bunch.feature_names if key not in rows[0]]
    assert list(bunch.frame.columns) == [*rows[0], *added]
    for key in bunch.frame:
        assert_array_equal(bunch.frame[key], column(rows, key))
    pd.testing.assert_frame_equal(bunch.data, bunch.frame[bunch.feature_names])
    pd.testing.assert_series_equal(bunch.target, bunch.frame[bunch.target_name])
    pd.testing.assert_series_equal(bunch.tasks, bunch.frame[task])
    integers = {task, "diet" if name == "chick_weights" else "occupation"}
    for key, dtype in bunch.frame.dtypes.items():
        assert dtype == (np.int64 if key in integers else np.float64)
    assert_array_equal(bunch.data, arrays.data)
    assert_array_equal(bunch.tasks, arrays.tasks)


@pytest.mark.parametrize("load, name, task, time", LOADERS)
def test_loaded_arrays_are_independent(load, name, task, time):
    first, untouched = load(), load()
    first.data[:] = first.target[:] = first.tasks[:] = -1
    first.feature_names.clear()
    again = load()
    for key in ("data", "target", "tasks", "feature_names"):
        assert_array_equal(again[key], untouched[key])
        assert len(again[key])


@pytest.mark.parametrize("load, name, task, time", LOADERS)
def test_missing_pandas(load, name, task, time, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert len(load().data)
    with pytest.raises(ImportError, match="as_frame=True requires pandas.*pip install"):
        load(as_frame=True)


@pytest.mark.parametrize("option", ["as_frame", "return_X_y"])
@pytest.mark.parametrize("load, name, task, time", LOADERS)
def test_loader_options_are_boolean(load, name, task, time, option):
    with pytest.raises(ValueError, match=f"'{option}' parameter of {load.__name__}"):
        load(**{option: "yes"})


@pytest.mark.parametrize(
    "load, phrases",
    [
        (load_chick_weights, ["Crowder", "1990", "river", "BSD", "578", "50 chicks"]),
        (load_wage_panel, ["Vella", "1998", "linearmodels", "NCSA", "4360", "545 men"]),
    ],
)
def test_descr_names_source_and_terms(load, phrases):
    descr = load().DESCR
    for phrase in phrases:
        assert phrase in descr


@pytest.mark.parametrize("load, name, task, time", LOADERS)
def test_descr_states_the_range_of_every_column(load, name, task, time):
    bunch = load()
    columns = dict(zip(bunch.feature_names, bunch.data.T, strict=True))
    columns[task] = bunch.tasks
    for key, values in columns.items():
        span = f"{values.min():.0f}-{values.max():.0f}"
        assert re.search(rf"^{key} .* {span}$", bunch.DESCR, flags=re.MULTILINE), key
    n_rows, n_features = bunch.data.shape
    assert f":Rows: {n_rows}," in bunch.DESCR
    assert f":Features: {n_features}," in bunch.DESCR


def test_public_names():
    names = [name for name in dir(skmeta.datasets) if not name.startswith("_")]
    names.remove("annotations")  # of __future__
    assert skmeta.datasets.__all__ == sorted(skmeta.datasets.__all__) == names
