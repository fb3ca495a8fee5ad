"""TaskEffectsDisplay: its numbers against the model, and what is drawn."""

from __future__ import annotations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from display_tools import covered_by_legend, legend_texts
from matplotlib.colors import same_color
from scipy.stats import norm
from sklearn.exceptions import NotFittedError

from skmeta import FMRLRegressor, MixedEffectsRegressor
from skmeta.datasets import load_wage_panel, make_task_regression
from skmeta.inspection import TaskEffectsDisplay

BLUE, GREY = "#0072B2", "#8C8C8C"


@pytest.fixture(scope="module")
def stores():
    """A frame of 40 stores far from zero, one of which sells 5 more at equal price."""
    X, y, tasks = make_task_regression(
        n_tasks=40, n_samples=8, n_features=2, task_std=0.2, noise=0.5, random_state=3
    )
    y[tasks == 7] += 5.0
    frame = pd.DataFrame(X + [1000.0, -50.0], columns=["price", "size"])
    return frame, y, np.array([f"store {t}" for t in tasks])


@pytest.fixture(scope="module")
def model(stores):
    X, y, tasks = stores
    return MixedEffectsRegressor().fit(X, y, tasks=tasks)


def shown_labels(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def segments(display, name):
    return [path.vertices for path in display.interval_lines_[name].get_paths()]


# ---- numbers


def test_slopes_are_those_of_the_task_frame(model):
    display = TaskEffectsDisplay.from_estimator(model, feature=["size", "intercept"])
    frame = model.task_frame()
    assert list(display.labels) == list(frame.index)
    assert list(display.effects) == list(display.stds) == ["size", "intercept"]
    for name in display.effects:
        np.testing.assert_array_equal(display.effects[name], frame[name])
        np.testing.assert_array_equal(display.stds[name], frame[f"{name}_std"])


@pytest.mark.parametrize("at", [None, [1003.0, -48.0]])
def test_the_level_is_a_difference_of_predictions(at, stores, model):
    X, *_ = stores
    display = TaskEffectsDisplay.from_estimator(model, at=at)
    row = X.mean().to_frame().T if at is None else pd.DataFrame([at], columns=X.columns)
    shared = row.to_numpy() @ model.coef_ + model.intercept_
    for label, effect, std in zip(
        display.labels, display.effects["level"], display.stds["level"], strict=True
    ):
        mean, of_target = model.predict(row, tasks=[label], return_std=True)
        assert effect == pytest.approx((mean - shared)[0], abs=1e-9)
        assert std**2 + model.noise_variance_ == pytest.approx(of_target[0] ** 2)


def test_mean_features_are_weighted(stores):
    X, y, tasks = stores
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    model = MixedEffectsRegressor().fit(X, y, tasks=tasks, sample_weight=weight)
    expected = np.average(X, axis=0, weights=weight)
    np.testing.assert_allclose(model.feature_means_, expected, rtol=1e-12)


def test_the_level_does_not_depend_on_where_zero_is(stores, model):
    X, y, tasks = stores
    moved = MixedEffectsRegressor().fit(X - [1000.0, -50.0], y, tasks=tasks)
    here, there = (TaskEffectsDisplay.from_estimator(one) for one in (moved, model))
    np.testing.assert_allclose(here.effects["level"], there.effects["level"], atol=1e-6)
    np.testing.assert_allclose(here.stds["level"], there.stds["level"], rtol=1e-6)


def test_the_level_is_sure_where_the_intercept_is_not():
    bunch = load_wage_panel(as_frame=True)
    model = MixedEffectsRegressor().fit(bunch.data, bunch.target, tasks=bunch.tasks)
    display = TaskEffectsDisplay.from_estimator(model, feature=["level", "intercept"])
    assert np.median(display.stds["level"]) < 0.5  # of a log wage
    assert np.median(display.stds["intercept"]) > 50  # the wage of the year 0
    n_sure = {name: sure.sum() for name, sure in display.is_distinct.items()}
    assert n_sure["level"] > 100 > n_sure["intercept"]


def test_a_store_that_differs_is_found(model):
    display = TaskEffectsDisplay.from_estimator(model)
    distinct = display.is_distinct["level"]
    highest = display.effects["level"].argmax()
    assert display.labels[highest] == "store 7"
    assert distinct[highest]
    assert distinct.sum() < 20


def test_intervals_are_normal_quantiles(model):
    display = TaskEffectsDisplay.from_estimator(model, feature="price", coverage=0.6)
    low, high = display.intervals["price"].T
    effect, half = display.effects["price"], norm.ppf(0.8) * display.stds["price"]
    np.testing.assert_allclose(low, effect - half)
    np.testing.assert_allclose(high, effect + half)
    np.testing.assert_array_equal(display.is_distinct["price"], np.abs(effect) > half)


def test_intervals_hold_the_truth_of_nine_tasks_in_ten():
    X, y, tasks, truth = make_task_regression(
        n_tasks=300, n_samples=8, task_std=0.5, return_coef=True, random_state=0
    )
    model = MixedEffectsRegressor().fit(X, y, tasks=tasks)
    display = TaskEffectsDisplay.from_estimator(model, feature=["x0", "level"])
    low, high = display.intervals["x0"].T
    true = truth.task_coef[:, 0] - truth.coef[0]
    assert 0.85 < ((low < true) & (true < high)).mean() < 0.95
    low, high = display.intervals["level"].T
    true = truth.task_intercept - truth.intercept
    true = true + (truth.task_coef - truth.coef) @ X.mean(axis=0)
    assert 0.85 < ((low < true) & (true < high)).mean() < 0.95


def test_a_task_column_and_arrays(stores, model):
    X, y, tasks = stores
    expected = TaskEffectsDisplay.from_estimator(model)
    own = MixedEffectsRegressor(task_column="store", unknown_task="raise")
    own.fit(X.assign(store=tasks), y)
    display = TaskEffectsDisplay.from_estimator(own)
    np.testing.assert_allclose(display.effects["level"], expected.effects["level"])
    assert own.task_column == "store"
    plain = MixedEffectsRegressor().fit(X.to_numpy(), y, tasks=tasks)
    display = TaskEffectsDisplay.from_estimator(plain, feature=["level", "x1"])
    np.testing.assert_allclose(display.stds["level"], expected.stds["level"])
    np.testing.assert_allclose(display.effects["x1"], model.task_frame()["size"])


# ---- what is drawn


@pytest.mark.parametrize("n_tasks", [1, 7, 20, 39])
def test_the_lowest_and_the_highest_are_drawn_in_order(n_tasks, model):
    display = TaskEffectsDisplay.from_estimator(model, n_tasks=n_tasks)
    effect, n_low = display.effects["level"], n_tasks // 2
    order = np.argsort(effect)
    shown = [*order[:n_low], *order[40 - n_tasks + n_low :]]
    points = display.points_["level"].get_offsets()
    np.testing.assert_array_equal(points[:, 0], effect[shown])
    assert (np.diff(points[:, 1]) > 0).all()
    names = [display.labels[t] for t in shown]
    names.insert(n_low, f"... {40 - n_tasks} between ...")
    assert shown_labels(display.ax_) == names
    ends = display.intervals["level"][shown]
    for point, segment, row in zip(
        points, segments(display, "level"), ends, strict=True
    ):
        np.testing.assert_array_equal(segment[:, 0], row)
        assert set(segment[:, 1]) == {point[1]}
    (between,) = [line for line in display.ax_.lines if line.get_marker() == "|"]
    assert sorted(between.get_xdata()) == sorted(np.delete(effect, shown))


def test_few_tasks_are_all_drawn(model):
    display = TaskEffectsDisplay.from_estimator(model, n_tasks=40)
    assert len(display.points_["level"].get_offsets()) == 40
    assert not [text for text in shown_labels(display.ax_) if "between" in text]


def test_tasks_that_differ_are_in_colour(model):
    display = TaskEffectsDisplay.from_estimator(model)
    points = display.points_["level"]
    known = dict(
        zip(display.effects["level"], display.is_distinct["level"], strict=True)
    )
    colors = points.get_facecolors()
    lines = display.interval_lines_["level"].get_colors()
    seen = set()
    for (x, _), color, line in zip(points.get_offsets(), colors, lines, strict=True):
        seen.add(known[x])
        expected = BLUE if known[x] else GREY
        assert same_color(color, expected)
        assert same_color(line[:3], matplotlib.colors.to_rgb(expected))
    assert seen == {True, False}
    assert legend_texts(display.ax_) == [
        "clear: 90 % interval excludes zero",
        "unclear: 90 % interval includes zero",
    ]
    assert set(display.zero_lines_["level"].get_xdata()) == {0.0}


def test_words_say_what_is_compared(model):
    display = TaskEffectsDisplay.from_estimator(
        model, feature=["level", "price", "intercept"], target_name="kg", coverage=0.5
    )
    assert list(display.ax_) == display.figure_.axes
    titles = [ax.get_title(loc="left") for ax in display.ax_]
    counts = [
        f"{distinct.sum()} of 40 tasks differ clearly"
        for distinct in display.is_distinct.values()
    ]
    assert titles == [
        f"Tasks above and below the shared level\n{counts[0]}",
        f"Slope of price by task\n{counts[1]}",
        f"Intercept by task\n{counts[2]}",
    ]
    assert [ax.get_xlabel() for ax in display.ax_] == [
        "Difference from the shared level at equal features\n(kg)",
        "Difference from the shared slope of price\n(kg per unit of price)",
        "Difference from the shared intercept\n(kg)",
    ]
    assert "50 % interval" in legend_texts(display.ax_[0])[0]
    plain = TaskEffectsDisplay.from_estimator(model, feature="price")
    assert plain.ax_.get_xlabel() == "Difference from the shared slope of price"


@pytest.mark.parametrize("n_tasks", [2, 5, 20, 40])
def test_legends_cover_nothing(n_tasks, model):
    display = TaskEffectsDisplay.from_estimator(
        model, feature=["level", "size"], n_tasks=n_tasks
    )
    display.figure_.draw_without_rendering()
    for ax in display.ax_:
        assert covered_by_legend(ax) == 0
        low, high = ax.get_ylim()
        heights = ax.get_yticks()
        assert low < min(heights) <= max(heights) < high


def test_labels_are_short_plain_text():
    labels = [("north", 3), "a $ and a $", "x" * 40]
    display = TaskEffectsDisplay(
        labels=labels, effects={"level": np.arange(3.0)}, stds={"level": np.ones(3)}
    )
    display.plot().figure_.draw_without_rendering()
    assert shown_labels(display.ax_) == [
        "north, 3",
        r"a \$ and a \$",
        "x" * 25 + "...",
    ]


def test_given_axes(model):
    _, axes = plt.subplots(1, 2)
    display = TaskEffectsDisplay.from_estimator(model, feature="size", ax=axes[0])
    assert display.ax_ is axes[0]
    assert display.figure_ is axes[0].figure
    assert display.plot(axes[1]) is display
    assert display.ax_ is axes[1]
    for wrong in (axes, []):
        with pytest.raises(ValueError, match="ax must be 1 Axes"):
            display.plot(wrong)


# ---- errors


@pytest.mark.parametrize("coverage", [0, 1, 90, -0.5])
def test_coverage_must_be_a_probability(coverage, model):
    with pytest.raises(ValueError, match=r"coverage must be a probability in \(0, 1\)"):
        TaskEffectsDisplay.from_estimator(model, coverage=coverage)


@pytest.mark.parametrize("n_tasks", [0, -1, 2.5])
def test_n_tasks_must_be_a_count(n_tasks, model):
    with pytest.raises(ValueError, match="n_tasks must be an integer >= 1"):
        TaskEffectsDisplay.from_estimator(model, n_tasks=n_tasks)


@pytest.mark.parametrize("feature", ["weight", ["price", "price_std"], "n_samples"])
def test_unknown_features_are_refused(feature, model):
    known = r"\['level', 'intercept', 'price', 'size'\]"
    with pytest.raises(ValueError, match=f"feature must be of {known}"):
        TaskEffectsDisplay.from_estimator(model, feature=feature)


@pytest.mark.parametrize("feature", [[], ["price", "price"]])
def test_panels_differ(feature, model):
    with pytest.raises(ValueError, match="at least one panel, and none twice"):
        TaskEffectsDisplay.from_estimator(model, feature=feature)


@pytest.mark.parametrize("at", [[1.0], [1.0, np.nan], [[1.0, 2.0]]])
def test_a_place_has_a_number_for_every_feature(at, model):
    with pytest.raises(ValueError, match="at must hold 2 finite numbers"):
        TaskEffectsDisplay.from_estimator(model, at=at)


def test_without_an_intercept_the_place_must_be_given(stores):
    X, y, tasks = stores
    model = MixedEffectsRegressor(fit_intercept=False).fit(X, y, tasks=tasks)
    with pytest.raises(ValueError, match="without an intercept.*pass at="):
        TaskEffectsDisplay.from_estimator(model)
    display = TaskEffectsDisplay.from_estimator(model, at=X.mean())
    assert (display.stds["level"] > 0).all()


@pytest.mark.parametrize("labelled", [True, False])
def test_known_tasks_are_needed(labelled, stores):
    X, y, tasks = stores
    model = MixedEffectsRegressor(store_tasks=not labelled)
    for label in np.unique(tasks):
        rows = tasks == label
        model.partial_fit(X[rows], y[rows], tasks=label if labelled else None)
    with pytest.raises(ValueError, match="has no known tasks"):
        TaskEffectsDisplay.from_estimator(model)


def test_other_estimators_are_refused(stores):
    X, y, tasks = stores
    with pytest.raises(NotFittedError):
        TaskEffectsDisplay.from_estimator(MixedEffectsRegressor())
    gradient = FMRLRegressor().fit(X, y, tasks=tasks)
    with pytest.raises(TypeError, match="FMRLRegressor has no method 'task_frame'"):
        TaskEffectsDisplay.from_estimator(gradient)
