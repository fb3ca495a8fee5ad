"""The displays: their numbers against other ways to get them, and what is drawn."""

import logging
import subprocess
import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from matplotlib.colors import to_hex
from matplotlib.ticker import ScalarFormatter
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge, SGDRegressor
from sklearn.metrics import accuracy_score, mean_squared_error, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmeta import FMRLClassifier, FMRLRegressor, inspection
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.inspection import FewShotDisplay, RegretDisplay, TaskSimilarityDisplay
from skmeta.linear_model import OGDClassifier, OGDRegressor
from skmeta.metrics import omniscient, regret_report, task_similarity

MSE = "neg_mean_squared_error"
CLASSIFIER = FMRLClassifier(OGDClassifier("squared_hinge", radius=1.0))
UNCOVERED = FMRLRegressor(OGDRegressor(radius=1.0), step_size="per_coordinate")


@pytest.fixture(autouse=True)
def agg():
    """Draw without a window, and leave no figure open."""
    matplotlib.use("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def regression():
    """Interleaved tasks of 4 to 9 rows."""
    return make_task_regression(
        n_tasks=12, n_samples=(4, 9), n_features=3, shuffle=True, random_state=0
    )


@pytest.fixture(scope="module")
def long_tasks():
    return make_task_regression(n_tasks=15, n_samples=12, random_state=1)


@pytest.fixture(scope="module")
def classification():
    return make_task_classification(
        n_tasks=6, n_samples=8, n_features=2, n_classes=3, random_state=0
    )


@pytest.fixture(scope="module")
def model(long_tasks):
    X, y, tasks = long_tasks
    seen = tasks < 10
    return FMRLRegressor().fit(X[seen], y[seen], tasks=tasks[seen])


def running_mean(values):
    return [np.mean(values[:t]) for t in range(1, len(values) + 1)]


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def as_frame(X, tasks):
    """The same tasks with their labels in a column."""
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    frame.insert(1, "site", tasks)
    return frame


def covered_by_legend(ax):
    """Points of lines, and bars and scattered points, that lie under the legend."""
    box = ax.get_legend().get_window_extent()
    points = [np.empty((0, 2))]
    for line in ax.lines:
        drawn = line.get_transform().transform_path(line.get_path())
        points += [drawn.interpolated(50).vertices]
    for dots in ax.collections:
        if len(dots.get_offsets()):
            points += [dots.get_offset_transform().transform(dots.get_offsets())]
    for bar in ax.patches:
        points += [bar.get_window_extent().corners()]
    points = np.vstack(points)
    return ((points > box.min) & (points < box.max)).all(axis=1).sum()


# ---- the module


def test_importing_does_not_import_matplotlib():
    code = "import sys, skmeta.inspection; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", inspection.__all__)
def test_a_missing_matplotlib_is_named_and_the_numbers_remain(name, model, monkeypatch):
    displays = {
        "RegretDisplay": RegretDisplay(x=[1], regret={"a": [1.0]}),
        "FewShotDisplay": FewShotDisplay(n_shots=[0], scores=np.ones((2, 1))),
        "TaskSimilarityDisplay": TaskSimilarityDisplay.from_estimator(model),
    }
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=f"{name} needs matplotlib.*pip install"):
        displays[name].plot()


def test_all_is_sorted_and_complete():
    shown = [name for name in vars(inspection) if name.endswith("Display")]
    assert inspection.__all__ == sorted(shown)


@pytest.mark.parametrize(
    "draw",
    [
        RegretDisplay.from_estimator,
        RegretDisplay.from_sample_sizes,
        FewShotDisplay.from_estimator,
        lambda estimator, *data: TaskSimilarityDisplay.from_estimator(estimator),
    ],
    ids=["regret", "sample_sizes", "few_shot", "similarity"],
)
def test_other_estimators_are_refused(draw, regression):
    X, y, tasks = regression
    pipeline = make_pipeline(StandardScaler(), Ridge()).fit(X, y)
    with pytest.raises(TypeError, match=r"FMRLClassifier or an FMRLRegressor.*Ridge"):
        draw(pipeline, X, y, tasks)


# ---- regret against tasks seen


@pytest.mark.parametrize("step_size", ["isotropic", "fixed", "per_coordinate"])
def test_regret_is_the_running_mean_of_the_reports(step_size, regression):
    estimator = FMRLRegressor(step_size=step_size)
    display = RegretDisplay.from_estimator(estimator, *regression)

    best = omniscient(estimator, *regression)
    changes = {
        "FMRLRegressor": {},
        "single_task": {"meta_update": "constant", "meta_eta0": 0.0},
        "strawman": {"meta_update": "constant", "meta_eta0": 1.0},
        "omniscient": {
            "meta_update": "constant",
            "meta_eta0": 0.0,
            "init": best.init,
        },
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
    alone = estimator.set_params(meta_update="constant", meta_eta0=0.0)
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
    estimator = FMRLRegressor(meta_update="aogd")
    RegretDisplay.from_estimator(estimator, *regression)
    RegretDisplay.from_sample_sizes(estimator, *regression)
    assert repr(estimator) == repr(FMRLRegressor(meta_update="aogd"))
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
    other = regret_report(FMRLRegressor(meta_update="aogd"), *regression)
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


def test_negative_regret_is_drawn_on_a_linear_scale():
    display = RegretDisplay(x=np.arange(1, 4), regret={"a": np.array([1.0, 0.0, -1.0])})
    assert display.plot().ax_.get_yscale() == "linear"
    assert display.ax_.get_xscale() == "log"
    low, high = display.ax_.get_ylim()
    assert low < -1.0 < 1.0 < high


def shown_ticks(axis):
    low, high = axis.get_view_interval()
    labels = axis.get_ticklabels(which="both")
    here = [label.get_position()["xy".index(axis.axis_name)] for label in labels]
    return [
        label.get_text()
        for label, place in zip(labels, here, strict=True)
        if low <= place <= high
    ]


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
            meta_update="constant",
            meta_eta0=0.0,
        )
        for name, one in {
            "FMRLRegressor": report,
            "omniscient": regret_report(best, *data),
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
    expected = RegretDisplay.from_sample_sizes(FMRLRegressor(), X, y, tasks)
    frame = as_frame(X, tasks)
    data = {
        "frame": (frame, y),
        "list": ([list(row) for row in frame.to_numpy()], list(y)),
        "sparse": (sp.coo_matrix(frame.to_numpy()), y),
        "array": (frame.to_numpy(), pd.Series(y)),
    }[kind]
    estimator = FMRLRegressor(task_column="site" if kind == "frame" else 1)
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


# ---- few shots


def by_hand(model, X, y, tasks, n_shots, score):
    scores = []
    for task in pd.unique(tasks):
        own_X, own_y = X[tasks == task], y[tasks == task]
        if len(own_y) <= max(n_shots):
            continue
        query_X, query_y = own_X[max(n_shots) :], own_y[max(n_shots) :]
        scores.append(
            [
                score(query_y, model.adapt(own_X[:k], own_y[:k]).predict(query_X))
                if k
                else score(query_y, model.predict(query_X))
                for k in n_shots
            ]
        )
    return np.array(scores)


def test_few_shot_scores_by_hand(model, regression):
    X, y, tasks = make_task_regression(
        n_tasks=8, n_samples=(5, 12), shuffle=True, random_state=5
    )
    n_shots = [0, 2, 6]
    display = FewShotDisplay.from_estimator(
        model, X, y, tasks, n_shots=n_shots[::-1], scoring=MSE
    )
    expected = -by_hand(model, X, y, tasks, n_shots, mean_squared_error)
    n_tasks = len(expected)
    assert 1 < n_tasks < 8
    np.testing.assert_allclose(display.scores, expected)
    np.testing.assert_array_equal(display.n_shots, n_shots)
    np.testing.assert_allclose(display.mean_score, expected.mean(axis=0))
    spread = ((expected - expected.mean(axis=0)) ** 2).sum(axis=0) / (n_tasks - 1)
    np.testing.assert_allclose(display.standard_error, np.sqrt(spread / n_tasks))
    assert display.n_left_out == 8 - n_tasks


@pytest.mark.parametrize(
    ("scoring", "score", "name"),
    [
        (None, r2_score, "R$^2$"),
        ("r2", r2_score, "r2"),
        (MSE, lambda *pair: -mean_squared_error(*pair), "neg mean squared error"),
    ],
    ids=["score", "r2", "mse"],
)
def test_few_shot_scoring(scoring, score, name, model, long_tasks):
    display = FewShotDisplay.from_estimator(model, *long_tasks, scoring=scoring)
    expected = by_hand(model, *long_tasks, (0, 1, 2, 4, 8), score)
    np.testing.assert_allclose(display.scores, expected)
    assert display.score_name == name
    label = display.ax_.get_ylabel()
    assert label == name[0].upper() + name[1:] + " (mean ± s.e. over tasks)"


def test_few_shot_scoring_by_a_function(model, long_tasks):
    def n_rows(estimator, X, y):
        assert len(X) == len(y)
        return len(y)

    display = FewShotDisplay.from_estimator(
        model, *long_tasks, scoring=n_rows, n_shots=[1, 9], baselines={"a": model}
    )
    assert (display.scores == 3).all()
    assert (display.baselines["a"] == 3).all()
    assert display.score_name == "n_rows"


@pytest.mark.parametrize("scoring", [None, "accuracy"])
def test_few_shots_of_a_classifier(scoring, classification):
    X, y, tasks = classification
    model = FMRLClassifier().fit(X, y, tasks=tasks)
    plain = LogisticRegression().fit(X, y)
    display = FewShotDisplay.from_estimator(
        model,
        X,
        y,
        tasks,
        n_shots=(0, 1, 4),
        scoring=scoring,
        baselines={"pooled": plain},
    )
    expected = by_hand(model, X, y, tasks, (0, 1, 4), accuracy_score)
    np.testing.assert_allclose(display.scores, expected)
    rows = [np.flatnonzero(tasks == task)[4:] for task in range(6)]
    np.testing.assert_allclose(
        display.baselines["pooled"], [plain.score(X[one], y[one]) for one in rows]
    )
    assert display.score_name == "accuracy"


@pytest.mark.parametrize("kind", ["frame", "list", "sparse"])
def test_few_shots_of_any_container(kind, model, long_tasks):
    X, y, tasks = long_tasks
    expected = FewShotDisplay.from_estimator(model, X, y, tasks, scoring=MSE)
    frame = as_frame(X, tasks)
    stacked = {
        "frame": frame,
        "list": [list(row) for row in frame.to_numpy()],
        "sparse": sp.csc_matrix(frame.to_numpy()),
    }[kind]
    own = FMRLRegressor(
        task_column="site" if kind == "frame" else 1, unknown_task="raise"
    )
    seen = np.flatnonzero(tasks < 10)
    own.fit(stacked[: seen[-1] + 1], y[seen])
    display = FewShotDisplay.from_estimator(own, stacked, y, scoring=MSE)
    np.testing.assert_allclose(display.scores, expected.scores, rtol=1e-10)
    assert own.task_column is not None


def test_few_shots_of_a_foreign_learner(long_tasks):
    inner = SGDRegressor(random_state=0)
    model = FMRLRegressor(inner, step_size="fixed", random_state=0)
    X, y, tasks = long_tasks
    model.fit(X, y, tasks=tasks)
    display = FewShotDisplay.from_estimator(model, X, y, tasks, scoring=MSE)
    expected = -by_hand(model, X, y, tasks, (0, 1, 2, 4, 8), mean_squared_error)
    np.testing.assert_allclose(display.scores, expected)


def test_few_shots_leave_the_estimator_untouched(model, long_tasks):
    before = model.coef_.copy(), model.task_coef_.copy(), repr(model)
    FewShotDisplay.from_estimator(model, *long_tasks)
    np.testing.assert_array_equal(model.coef_, before[0])
    np.testing.assert_array_equal(model.task_coef_, before[1])
    assert repr(model) == before[2]


def test_few_shot_artists_hold_the_numbers(model, long_tasks):
    X, y, tasks = long_tasks
    baselines = {"pooled": Ridge().fit(X, y), "strong": Ridge(100.0).fit(X, y)}
    display = FewShotDisplay.from_estimator(
        model, X, y, tasks, scoring=MSE, baselines=baselines
    )
    np.testing.assert_array_equal(display.line_.get_xdata(), [0, 1, 2, 4, 8])
    np.testing.assert_array_equal(display.line_.get_ydata(), display.mean_score)
    (path,) = display.band_.get_paths()
    edges = [display.mean_score + s * display.standard_error for s in (-1, 1)]
    for i, k in enumerate(display.n_shots):
        heights = path.vertices[path.vertices[:, 0] == k, 1]
        assert heights.min() == pytest.approx(edges[0][i])
        assert heights.max() == pytest.approx(edges[1][i])
    assert list(display.baseline_lines_) == ["pooled", "strong"]
    for name, line in display.baseline_lines_.items():
        assert set(line.get_ydata()) == {display.baselines[name].mean()}
    ax = display.ax_
    assert legend_texts(ax) == ["FMRLRegressor", "pooled", "strong"]
    assert len({line.get_color() for line in ax.lines}) == 3
    assert shown_ticks(ax.xaxis) == list("01248")
    # equal distances between them
    positions = ax.transData.transform(np.column_stack([display.n_shots, np.zeros(5)]))
    gaps = np.diff(positions[:, 0])
    np.testing.assert_allclose(gaps, gaps[0])


def test_few_shot_displays_share_axes(model, long_tasks):
    _, ax = plt.subplots()
    other = FMRLRegressor(meta_update="constant", meta_eta0=0.0)
    X, y, tasks = long_tasks
    other.fit(X, y, tasks=tasks)
    one = FewShotDisplay.from_estimator(model, *long_tasks, scoring=MSE, ax=ax)
    two = FewShotDisplay.from_estimator(
        other, *long_tasks, scoring=MSE, ax=ax, label="single-task"
    )
    assert one.ax_ is two.ax_ is ax
    assert one.line_.get_color() != two.line_.get_color()
    assert legend_texts(ax) == ["FMRLRegressor", "single-task"]
    one.plot(ax, label="again")
    assert legend_texts(ax)[-1] == "again"
    low, high = ax.get_ylim()
    for display in (one, two):
        assert low < display.mean_score.min() <= display.mean_score.max() < high


def test_more_series_than_colours():
    _, ax = plt.subplots()
    for i in range(9):
        display = FewShotDisplay(n_shots=np.array([0, 1]), scores=np.full((2, 2), i))
        display.plot(ax, label=str(i))
    colors = [to_hex(line.get_color()) for line in ax.lines]
    assert len(set(colors[:7])) == 7


def test_one_task_has_no_standard_error(model, long_tasks):
    X, y, tasks = long_tasks
    one = tasks == 11
    display = FewShotDisplay.from_estimator(model, X[one], y[one], scoring=MSE)
    assert display.scores.shape == (1, 5)
    assert np.isnan(display.standard_error).all()
    display.figure_.canvas.draw()


def test_many_shots_are_labelled_sparsely(model):
    X, y, tasks = make_task_regression(n_tasks=3, n_samples=45, random_state=0)
    display = FewShotDisplay.from_estimator(model, X, y, tasks, n_shots=range(41))
    assert shown_ticks(display.ax_.xaxis) == ["0", "1", "2", "4", "8", "16", "32"]


@pytest.mark.parametrize("n_shots", [[-1, 2], [0.5], [], [True]])
def test_shots_must_be_counts(n_shots, model, long_tasks):
    with pytest.raises(ValueError, match="n_shots must be integers >= 0"):
        FewShotDisplay.from_estimator(model, *long_tasks, n_shots=n_shots)


def test_a_score_that_is_nan_is_an_error(model, long_tasks):
    with pytest.raises(ValueError, match="NaN or infinite on the rows after the first"):
        FewShotDisplay.from_estimator(
            model, *long_tasks, scoring=lambda estimator, X, y: np.nan
        )


def test_every_row_needs_a_label(regression, model):
    X, y, tasks = regression
    for draw in (RegretDisplay.from_sample_sizes, FewShotDisplay.from_estimator):
        with pytest.raises(ValueError, match="tasks must hold one label per row"):
            draw(model, X, y, tasks[:-1])


def test_task_labels_are_given_once(long_tasks):
    X, y, tasks = long_tasks
    model = FMRLRegressor(task_column=0).fit(np.column_stack([tasks, X]), y)
    with pytest.raises(ValueError, match="Give the task labels once"):
        FewShotDisplay.from_estimator(model, np.column_stack([tasks, X]), y, tasks)


# ---- task similarity


@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_similarity_by_hand(kind, long_tasks, classification):
    if kind == "regressor":
        X, y, tasks = long_tasks
        model = FMRLRegressor(meta_update="constant").fit(X, y, tasks=tasks)
        theta = np.column_stack([model.task_coef_, model.task_intercept_])
        phi = np.append(model.coef_, model.intercept_)
    else:
        X, y, tasks = classification
        model = FMRLClassifier().fit(X, y, tasks=tasks)
        assert model.task_coef_.shape == (6, 3, 2)
        theta = np.dstack([model.task_coef_, model.task_intercept_]).reshape(6, 9)
        phi = np.column_stack([model.coef_, model.intercept_]).ravel()
    display = TaskSimilarityDisplay.from_estimator(model)

    V, D = task_similarity(theta)
    mean = theta.mean(axis=0)
    assert display.V == pytest.approx(V)
    assert display.D == pytest.approx(D)
    np.testing.assert_allclose(
        display.distances, np.linalg.norm(theta - mean, axis=1), rtol=1e-12
    )
    variances, axes = np.linalg.eigh((theta - mean).T @ (theta - mean) / len(theta))
    variances, axes = variances[::-1], axes[:, ::-1]
    share = display.explained_variance_ratio
    np.testing.assert_allclose(share, variances[:2] / V**2)
    np.testing.assert_allclose((display.positions**2).mean(axis=0), variances[:2])
    np.testing.assert_allclose(display.positions.mean(axis=0), 0.0, atol=1e-12)
    loadings = (theta - mean).T @ display.positions
    assert (loadings[np.abs(loadings).argmax(axis=0), [0, 1]] > 0).all()
    expected = (theta - mean) @ axes[:, :2]
    turn = np.sign((expected * display.positions).sum(axis=0))
    np.testing.assert_allclose(display.positions, expected * turn, atol=1e-10)
    np.testing.assert_allclose(
        display.initialization, (phi - mean) @ axes[:, :2] * turn, atol=1e-10
    )


def test_similarity_of_one_feature_keeps_distances():
    X, y, tasks = make_task_regression(n_tasks=4, n_features=1, random_state=0)
    model = FMRLRegressor().fit(X, y, tasks=tasks)
    display = TaskSimilarityDisplay.from_estimator(model)
    np.testing.assert_allclose(
        np.linalg.norm(display.positions, axis=1), display.distances
    )
    assert display.explained_variance_ratio.sum() == pytest.approx(1.0)


def test_a_long_plane_fills_its_room():
    positions = np.array([[-5.0, 0.0], [5.0, 1.0]])
    display = TaskSimilarityDisplay(
        distances=np.linalg.norm(positions, axis=1),
        V=5.0,
        D=5.1,
        positions=positions,
        initialization=np.zeros(2),
        explained_variance_ratio=np.array([0.9, 0.1]),
    )
    left, right = display.plot().axes_
    display.figure_.draw_without_rendering()
    assert right.bbox.height > 0.9 * left.bbox.height


def test_similarity_artists_hold_the_numbers(model):
    display = TaskSimilarityDisplay.from_estimator(model)
    left, right = display.axes_
    assert display.figure_ is left.figure is right.figure
    assert sum(bar.get_height() for bar in display.bars_) == 10
    np.testing.assert_allclose(
        [display.bars_[0].get_x(), sum(display.bars_[-1].get_bbox().intervalx[1:])],
        [display.distances.min(), display.D],
    )
    assert set(display.V_line_.get_xdata()) == {display.V}
    assert set(display.D_line_.get_xdata()) == {display.D}
    assert legend_texts(left) == [
        f"V = {display.V:.3g} (root mean square)",
        f"D = {display.D:.3g} (largest)",
    ]
    np.testing.assert_array_equal(display.points_.get_offsets(), display.positions)
    np.testing.assert_array_equal(
        display.initialization_.get_offsets(), [display.initialization]
    )
    first, second = display.explained_variance_ratio
    assert right.get_xlabel() == f"Principal axis 1 ({first:.0%} of variance)"
    assert right.get_ylabel() == f"Principal axis 2 ({second:.0%} of variance)"
    assert right.get_aspect() == 1.0
    display.figure_.draw_without_rendering()
    unit = np.diff(right.transData.transform([[0, 0], [1, 1]]), axis=0)[0]
    assert unit[0] == pytest.approx(unit[1])
    assert left.get_xlim()[0] == left.get_ylim()[0] == 0.0
    for axis, values in zip("xy", display.positions.T, strict=True):
        low, high = getattr(right, f"get_{axis}lim")()
        assert low < values.min() <= values.max() < high


def test_similarity_on_given_axes(model):
    _, axes = plt.subplots(2, 1)
    display = TaskSimilarityDisplay.from_estimator(model, axes=axes)
    assert list(display.axes_) == list(axes)
    assert display.plot(list(axes)) is display
    for wrong in (axes[0], [*axes, axes[0]]):
        with pytest.raises(ValueError, match="axes must be two Axes"):
            display.plot(wrong)


@pytest.mark.parametrize("labelled", [True, False])
def test_similarity_needs_stored_tasks(labelled, long_tasks):
    X, y, tasks = long_tasks
    model = FMRLRegressor(store_tasks=not labelled)
    model.fit(X, y, tasks=tasks if labelled else None)
    with pytest.raises(ValueError, match="FMRLRegressor keeps no task parameters"):
        TaskSimilarityDisplay.from_estimator(model)


def test_unfitted_estimators_are_refused(long_tasks):
    with pytest.raises(NotFittedError):
        TaskSimilarityDisplay.from_estimator(FMRLRegressor())
    with pytest.raises(NotFittedError):
        FewShotDisplay.from_estimator(FMRLRegressor(), *long_tasks)


# ---- pictures


def picture_data(n_tasks, n_classes=None, **options):
    make = make_task_classification if n_classes else make_task_regression
    options |= {"n_classes": n_classes} if n_classes else {}
    return make(n_tasks=n_tasks, n_samples=9, random_state=0, **options)


CASES = {
    "many": (FMRLRegressor(), picture_data(60)),
    "one feature": (FMRLRegressor(), picture_data(5, n_features=1)),
    "identical": (FMRLRegressor(), picture_data(5, task_std=0.0, noise=0.0)),
    "no intercept": (
        FMRLRegressor(OGDRegressor(fit_intercept=False)),
        picture_data(3, n_features=1),
    ),
    "one task": (FMRLRegressor(), picture_data(1)),
    "single-task": (
        FMRLRegressor(meta_update="constant", meta_eta0=0.0),
        picture_data(13),
    ),
    "three classes": (CLASSIFIER, picture_data(3, n_classes=3, n_features=2)),
}


@pytest.mark.parametrize("given", [True, False], ids=["given axes", "own figure"])
@pytest.mark.parametrize("case", CASES)
def test_legends_cover_nothing_and_nothing_is_logged(case, given, caplog):
    estimator, data = CASES[case]
    estimator = clone(estimator).fit(*data[:2], tasks=data[2])
    regret, few, similarity = (), (), ()
    if given:
        _, ((regret, few), similarity) = plt.subplots(2, 2, figsize=(9, 7))
    with caplog.at_level(logging.INFO, logger="matplotlib"):
        displays = [
            RegretDisplay.from_estimator(
                estimator, *data, baselines=["single_task"], ax=regret or None
            ),
            FewShotDisplay.from_estimator(
                estimator, *data, n_shots=(0, 1, 2, 4), ax=few or None
            ),
        ]
        axes = similarity if given else None
        pair = TaskSimilarityDisplay.from_estimator(estimator, axes=axes)
        for figure in {one.figure_ for one in (*displays, pair)}:
            figure.draw_without_rendering()
        for ax in (*(display.ax_ for display in displays), *pair.axes_):
            assert covered_by_legend(ax) == 0
            assert ax.get_xlabel()
            assert ax.get_ylabel()
            for axis in (ax.xaxis, ax.yaxis):
                low, high = sorted(axis.get_view_interval())
                ticks = axis.get_majorticklocs()
                assert ((ticks >= low) & (ticks <= high)).any()
    assert not caplog.records
