"""RegretDisplay: its numbers against the reports, and what is drawn."""

from __future__ import annotations

from abc import abstractmethod

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from display_tools import (
    CLASSIFIER,
    UNCOVERED,
    as_frame,
    legend_texts,
    running_mean,
    shown_ticks,
)
from matplotlib.ticker import ScalarFormatter
from sklearn.base import BaseEstimator, clone

from skmeta import FMRLRegressor, MixedEffectsClassifier, MixedEffectsRegressor
from skmeta.datasets import make_task_regression
from skmeta.inspection import FewShotDisplay, RegretDisplay
from skmeta.metrics import omniscient, regret_report

# ---- regret against tasks seen


@pytest.mark.parametrize("step_size", ["isotropic", "fixed", "per_coordinate"])
def test_regret_is_the_running_mean_of_the_reports(step_size, regression):
    estimator = FMRLRegressor(step_size=step_size)
    display = RegretDisplay.from_estimator(estimator, *regression)

    best = omniscient(estimator, *regression)
    changes = {
        "FMRLRegressor": {},
        "single_task": {"meta_step_size": 0.0},
        "strawman": {"meta_step_size": 1.0},
        "omniscient": {"meta_step_size": 0.0, "init": best.init},
    }
    assert list(display.regret) == list(display.certificate) == list(changes)
    np.testing.assert_array_equal(display.x, np.arange(1, 13))
    for name, change in changes.items():
        report = regret_report(clone(estimator).set_params(**change), *regression)
        np.testing.assert_allclose(display.regret[name], running_mean(report.regret))
        np.testing.assert_allclose(
            display.certificate[name], running_mean(report.bound)
        )
        assert display.regret[name][-1] == pytest.approx(report.task_averaged_regret)
        assert display.certificate[name][-1] == pytest.approx(report.certificate)
        assert (display.regret[name] <= display.certificate[name]).all()
    assert display.x_label == "Tasks seen"
    assert display.n_left_out == 0


def test_regret_of_a_classifier(classification):
    display = RegretDisplay.from_estimator(
        CLASSIFIER, *classification, baselines=["single_task"]
    )
    report = regret_report(CLASSIFIER, *classification)
    assert list(display.regret) == ["FMRLClassifier", "single_task"]
    np.testing.assert_allclose(
        display.regret["FMRLClassifier"], running_mean(report.regret)
    )


def test_single_task_learning_keeps_a_given_start(regression):
    estimator = FMRLRegressor(init=np.ones(4))
    display = RegretDisplay.from_estimator(estimator, *regression)
    alone = estimator.set_params(meta_step_size=0.0)
    report = regret_report(alone, *regression)
    np.testing.assert_allclose(
        display.regret["single_task"], running_mean(report.regret)
    )


def test_regret_of_frame_with_task_column(regression):
    X, y, tasks = regression
    expected = RegretDisplay.from_estimator(FMRLRegressor(), X, y, tasks)
    display = RegretDisplay.from_estimator(
        FMRLRegressor(task_column="site"), as_frame(X, tasks), y
    )
    for name, values in expected.regret.items():
        np.testing.assert_array_equal(display.regret[name], values)


def test_regret_leaves_the_estimator_untouched(regression):
    estimator = FMRLRegressor(meta_step_size="aogd")
    RegretDisplay.from_estimator(estimator, *regression)
    RegretDisplay.from_sample_sizes(estimator, *regression)
    assert repr(estimator) == repr(FMRLRegressor(meta_step_size="aogd"))
    assert not hasattr(estimator, "n_features_in_")


def test_regret_lines_hold_the_numbers(regression):
    display = RegretDisplay.from_estimator(FMRLRegressor(), *regression)
    assert list(display.lines_) == list(display.regret)
    for name, line in display.lines_.items():
        np.testing.assert_array_equal(line.get_xdata(), display.x)
        np.testing.assert_array_equal(line.get_ydata(), display.regret[name])
    assert list(display.certificate_lines_) == ["FMRLRegressor"]
    line = display.certificate_lines_["FMRLRegressor"]
    np.testing.assert_array_equal(
        line.get_ydata(), display.certificate["FMRLRegressor"]
    )
    assert line.get_linestyle() == "--"
    assert line.get_color() == display.lines_["FMRLRegressor"].get_color()
    assert len({one.get_color() for one in display.lines_.values()}) == 4

    ax = display.ax_
    assert display.figure_ is ax.figure
    assert legend_texts(ax) == [
        "FMRLRegressor",
        "certificate, FMRLRegressor",
        "single-task",
        "strawman",
        "omniscient",
    ]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Tasks seen", "Task-averaged regret")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_certificates_drawn_are_chosen(regression):
    report = regret_report(FMRLRegressor(), *regression)
    other = regret_report(FMRLRegressor(meta_step_size="aogd"), *regression)
    display = RegretDisplay.from_reports({"one": report, "two": other})
    assert list(display.certificate_lines_) == ["one"]
    assert display.plot(certificates=["two"]) is display
    assert list(display.certificate_lines_) == ["two"]
    assert not display.plot(certificates=()).certificate_lines_
    assert len(display.plot(certificates=display.certificate).certificate_lines_) == 2
    with pytest.raises(ValueError, match=r"of \['one', 'two'\]. Got \['three'\]"):
        display.plot(certificates=["three"])


def test_uncovered_reports_have_no_certificate(regression):
    report = regret_report(UNCOVERED, *regression)
    assert not report.covered
    display = RegretDisplay.from_reports({"none": report})
    assert display.certificate == {} == display.certificate_lines_
    display = RegretDisplay.from_sample_sizes(UNCOVERED, *regression, n_samples=[2])
    assert display.certificate == {} == display.certificate_lines_


def test_reports_must_be_comparable(regression):
    X, y, tasks = regression
    one = regret_report(FMRLRegressor(), X, y, tasks)
    two = regret_report(FMRLRegressor(), X, y, tasks % 5)
    with pytest.raises(ValueError, match="same tasks in the same order"):
        RegretDisplay.from_reports({"one": one, "two": two})
    with pytest.raises(ValueError, match="at least one report"):
        RegretDisplay.from_reports({})


@pytest.mark.parametrize("baselines", [["best"], ["single_task", "best"], "strawman"])
def test_unknown_baselines_are_refused(baselines, regression):
    with pytest.raises(ValueError, match="baselines must be of"):
        RegretDisplay.from_estimator(FMRLRegressor(), *regression, baselines=baselines)


class NoMetaStepSize(BaseEstimator):
    """Replays tasks, and has none of the parameters that baselines change."""

    def replay(self, X, y, tasks=None):
        return FMRLRegressor().replay(X, y, tasks)


@pytest.mark.parametrize(
    "draw", [RegretDisplay.from_estimator, RegretDisplay.from_sample_sizes]
)
def test_baselines_need_a_meta_step_size(draw, regression):
    display = draw(NoMetaStepSize(), *regression)
    assert list(display.regret) == list(display.certificate) == ["NoMetaStepSize"]
    expected = draw(FMRLRegressor(), *regression, baselines=())
    np.testing.assert_array_equal(
        display.regret["NoMetaStepSize"], expected.regret["FMRLRegressor"]
    )
    with pytest.raises(ValueError, match="meta_step_size, which NoMetaStepSize does"):
        draw(NoMetaStepSize(), *regression, baselines=["strawman"])


def test_regret_of_mixed_effects(regression):
    display = RegretDisplay.from_estimator(MixedEffectsRegressor(), *regression)
    report = regret_report(MixedEffectsRegressor(), *regression)
    name = "MixedEffectsRegressor"
    assert list(display.regret) == list(display.certificate) == [name]
    np.testing.assert_allclose(display.regret[name], running_mean(report.regret))
    np.testing.assert_allclose(display.certificate[name], running_mean(report.bound))
    assert (display.regret[name] <= display.certificate[name]).all()
    assert list(display.certificate_lines_) == [name]


def test_regret_of_a_mixed_classifier():
    rng = np.random.default_rng(0)  # classes that no task separates
    X, y = rng.normal(size=(160, 2)), rng.integers(0, 2, size=160)
    data = X, y, np.repeat(np.arange(4), 40)
    display = RegretDisplay.from_estimator(MixedEffectsClassifier(), *data)
    report = regret_report(MixedEffectsClassifier(), *data)
    name = "MixedEffectsClassifier"
    assert list(display.regret) == [name]
    np.testing.assert_allclose(display.regret[name], running_mean(report.regret))


def test_a_replay_that_is_abstract_is_refused(regression):
    class Unfinished(BaseEstimator):
        @abstractmethod
        def replay(self, X, y, tasks=None): ...

    with pytest.raises(TypeError, match="Unfinished has no method 'replay'"):
        RegretDisplay.from_estimator(Unfinished(), *regression)


def test_negative_regret_is_drawn_on_a_linear_scale():
    display = RegretDisplay(x=np.arange(1, 4), regret={"a": np.array([1.0, 0.0, -1.0])})
    assert display.plot().ax_.get_yscale() == "linear"
    assert display.ax_.get_xscale() == "log"
    low, high = display.ax_.get_ylim()
    assert low < -1.0 < 1.0 < high


@pytest.mark.parametrize(
    ("x", "heights", "x_ticks", "y_ticks"),
    [
        ([1, 2, 3], [0.3, 0.2, 0.1], "1 2 3", "0.1 0.15 0.2 0.25 0.3"),
        ([1, 200], [1e-3, 1.5], "1 2 5 10 20 50 100 200", "0.001 0.01 0.1 1"),
        ([1, 2000], [2.0, -2.0], "1 10 100 1000", None),
    ],
    ids=["few", "many", "negative"],
)
def test_ticks_are_plain_numbers(x, heights, x_ticks, y_ticks):
    display = RegretDisplay(x=np.array(x), regret={"a": np.array(heights)})
    ax = display.plot().ax_
    display.figure_.draw_without_rendering()
    assert shown_ticks(ax.xaxis) == x_ticks.split()
    if y_ticks:
        assert set(y_ticks.split()) <= set(shown_ticks(ax.yaxis))
    else:
        assert isinstance(ax.yaxis.get_major_formatter(), ScalarFormatter)


def test_regret_shares_axes():
    _, ax = plt.subplots()
    one = RegretDisplay(x=np.array([1, 2]), regret={"one": np.array([1.0, 2.0])})
    two = RegretDisplay(x=np.array([1, 2]), regret={"two": np.array([1e3, 2e3])})
    assert one.plot(ax).ax_ is two.plot(ax=ax).ax_ is ax
    assert two.figure_ is ax.figure
    assert legend_texts(ax) == ["one", "two"]
    assert one.lines_["one"].get_color() != two.lines_["two"].get_color()
    assert ax.get_ylim()[0] < 1.0 < 2e3 < ax.get_ylim()[1]


# ---- regret against samples per task


def head_of_tasks(X, y, tasks, n_samples, keep):
    rows = [np.flatnonzero(tasks == task)[:n_samples] for task in keep]
    rows = np.concatenate(rows)
    return X[rows], y[rows], tasks[rows]


def test_sample_sizes_by_hand(regression):
    X, y, tasks = regression
    names, lengths = np.unique(tasks, return_counts=True)
    keep = [task for task in pd.unique(tasks) if lengths[names == task] >= 6]
    display = RegretDisplay.from_sample_sizes(
        FMRLRegressor(), X, y, tasks, n_samples=[6, 1, 3], baselines=["omniscient"]
    )
    assert display.n_left_out == 12 - len(keep) > 0
    assert display.x_label == display.ax_.get_xlabel() == "Samples per task"
    np.testing.assert_array_equal(display.x, [1, 3, 6])
    for i, m in enumerate(display.x):
        data = head_of_tasks(X, y, tasks, m, keep)
        report = regret_report(FMRLRegressor(), *data)
        best = FMRLRegressor(
            init=omniscient(FMRLRegressor(), *data).init,
            meta_step_size=0.0,
        )
        for name, one in {
            "FMRLRegressor": report,
            "omniscient": regret_report(best, *data, optima=report.optima),
        }.items():
            assert display.regret[name][i] == pytest.approx(one.task_averaged_regret)
            assert display.certificate[name][i] == pytest.approx(one.certificate)
    for name, line in display.lines_.items():
        np.testing.assert_array_equal(line.get_ydata(), display.regret[name])


def test_sample_sizes_default_to_powers_of_two(regression, long_tasks):
    display = RegretDisplay.from_sample_sizes(FMRLRegressor(), *regression)
    np.testing.assert_array_equal(display.x, [1, 2, 4])
    assert list(display.regret) == ["FMRLRegressor", "single_task"]
    assert display.n_left_out == 0
    display = RegretDisplay.from_sample_sizes(FMRLRegressor(), *long_tasks)
    np.testing.assert_array_equal(display.x, [1, 2, 4, 8])


@pytest.mark.parametrize("kind", ["frame", "list", "sparse", "array"])
def test_sample_sizes_of_any_container(kind, regression):
    X, y, tasks = regression
    params = {"standardize": kind != "sparse"}  # sparse features are not centred
    expected = RegretDisplay.from_sample_sizes(FMRLRegressor(**params), X, y, tasks)
    frame = as_frame(X, tasks)
    data = {
        "frame": (frame, y),
        "list": ([list(row) for row in frame.to_numpy()], list(y)),
        "sparse": (sp.coo_matrix(frame.to_numpy()), y),
        "array": (frame.to_numpy(), pd.Series(y)),
    }[kind]
    column = "site" if kind == "frame" else 1
    estimator = FMRLRegressor(task_column=column, **params)
    display = RegretDisplay.from_sample_sizes(estimator, *data)
    for name, values in expected.regret.items():
        np.testing.assert_allclose(display.regret[name], values, rtol=1e-12)


def test_sample_sizes_of_a_classifier(classification):
    X, y, tasks = classification
    display = RegretDisplay.from_sample_sizes(
        CLASSIFIER, X, y, tasks, n_samples=[4], baselines=()
    )
    data = head_of_tasks(X, y, tasks, 4, range(6))
    report = regret_report(CLASSIFIER, *data)
    assert display.regret["FMRLClassifier"] == [report.task_averaged_regret]
    one = tasks == 0
    with pytest.raises(ValueError, match="Not every class occurs in the first 1 rows"):
        RegretDisplay.from_sample_sizes(CLASSIFIER, X[one], y[one])


@pytest.mark.parametrize("n_samples", [[0], [-1, 2], [1.5], []])
def test_sample_sizes_must_be_positive_integers(n_samples, regression):
    with pytest.raises(ValueError, match="n_samples must be integers >= 1"):
        RegretDisplay.from_sample_sizes(
            FMRLRegressor(), *regression, n_samples=n_samples
        )


def test_some_task_must_be_long_enough(regression, model):
    with pytest.raises(ValueError, match=r"No task has the 10 rows.*longest has 9"):
        RegretDisplay.from_sample_sizes(FMRLRegressor(), *regression, n_samples=[10])
    X, y, tasks = make_task_regression(n_tasks=3, n_samples=8)
    with pytest.raises(ValueError, match=r"No task has the 9 rows.*longest has 8"):
        FewShotDisplay.from_estimator(model, X, y, tasks)
