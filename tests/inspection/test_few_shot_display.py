"""FewShotDisplay: its scores against loops over tasks, and what is drawn."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from display_tools import (
    MSE,
    as_frame,
    legend_texts,
    shown_ticks,
)
from matplotlib.colors import to_hex
from sklearn.linear_model import LogisticRegression, Ridge, SGDRegressor
from sklearn.metrics import accuracy_score, mean_squared_error, r2_score

from skmeta import (
    FMRLClassifier,
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
)
from skmeta.datasets import make_task_regression
from skmeta.inspection import FewShotDisplay, RegretDisplay


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
        (MSE, lambda *pair: -mean_squared_error(*pair), "mean squared error"),
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
@pytest.mark.parametrize(
    "family", [FMRLClassifier, MixedEffectsClassifier], ids=["FMRL", "mixed effects"]
)
def test_few_shots_of_a_classifier(family, scoring, classification):
    X, y, tasks = classification
    model = family().fit(X, y, tasks=tasks)
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
def test_few_shots_of_any_container(kind, long_tasks):
    X, y, tasks = long_tasks
    params = {"standardize": kind != "sparse"}  # sparse features are not centred
    seen = tasks < 10
    model = FMRLRegressor(**params).fit(X[seen], y[seen], tasks=tasks[seen])
    expected = FewShotDisplay.from_estimator(model, X, y, tasks, scoring=MSE)
    frame = as_frame(X, tasks)
    stacked = {
        "frame": frame,
        "list": [list(row) for row in frame.to_numpy()],
        "sparse": sp.csc_matrix(frame.to_numpy()),
    }[kind]
    own = FMRLRegressor(
        task_column="site" if kind == "frame" else 1, unknown_task="raise", **params
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


@pytest.mark.parametrize("has_column", [False, True])
def test_few_shots_of_mixed_effects(has_column, long_tasks):
    X, y, tasks = long_tasks
    seen = tasks < 10
    model = MixedEffectsRegressor().fit(X[seen], y[seen], tasks=tasks[seen])
    expected = -by_hand(model, X, y, tasks, (0, 1, 2, 4, 8), mean_squared_error)
    data = X, y, tasks
    if has_column:
        frame = as_frame(X, tasks)
        model = MixedEffectsRegressor(task_column="site", unknown_task="raise")
        model.fit(frame[seen], y[seen])
        data = frame, y
    display = FewShotDisplay.from_estimator(model, *data, scoring=MSE)
    np.testing.assert_allclose(display.scores, expected, rtol=1e-8)
    assert display.label == "MixedEffectsRegressor"


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
    np.testing.assert_array_equal(display.line_.get_ydata(), -display.mean_score)
    (path,) = display.band_.get_paths()
    edges = [-display.mean_score + s * display.standard_error for s in (-1, 1)]
    for i, k in enumerate(display.n_shots):
        heights = path.vertices[path.vertices[:, 0] == k, 1]
        assert heights.min() == pytest.approx(edges[0][i])
        assert heights.max() == pytest.approx(edges[1][i])
    assert list(display.baseline_lines_) == ["pooled", "strong"]
    for name, line in display.baseline_lines_.items():
        assert set(line.get_ydata()) == {-display.baselines[name].mean()}
    ax = display.ax_
    assert legend_texts(ax) == ["FMRLRegressor", "pooled", "strong"]
    assert len({line.get_color() for line in ax.lines}) == 3
    assert shown_ticks(ax.xaxis) == list("01248")
    # equal distances between them
    positions = ax.transData.transform(np.column_stack([display.n_shots, np.zeros(5)]))
    gaps = np.diff(positions[:, 0])
    np.testing.assert_allclose(gaps, gaps[0])


def test_errors_are_positive_and_fall(model, long_tasks):
    display = FewShotDisplay.from_estimator(model, *long_tasks, scoring=MSE)
    heights = display.line_.get_ydata()
    assert 0 < heights[-1] < heights[0]
    assert (display.scores < 0).all()  # as scikit-learn defines them


def test_the_baseline_is_the_estimator_before_it_adapts(model, long_tasks):
    display = FewShotDisplay.from_estimator(model, *long_tasks, n_shots=[0, 2])
    name = "FMRLRegressor, not adapted"
    assert list(display.baselines) == list(display.baseline_lines_) == [name]
    np.testing.assert_array_equal(display.baselines[name], display.scores[:, 0])
    assert legend_texts(display.ax_) == ["FMRLRegressor", name]
    assert not FewShotDisplay.from_estimator(
        model, *long_tasks, n_shots=[0, 2], baselines={}
    ).baselines


def test_few_shot_displays_share_axes(model, long_tasks):
    _, ax = plt.subplots()
    other = FMRLRegressor(meta_step_size=0.0)
    X, y, tasks = long_tasks
    other.fit(X, y, tasks=tasks)
    params = {"scoring": MSE, "baselines": {}, "ax": ax}
    one = FewShotDisplay.from_estimator(model, *long_tasks, **params)
    two = FewShotDisplay.from_estimator(
        other, *long_tasks, label="single-task", **params
    )
    assert one.ax_ is two.ax_ is ax
    assert one.line_.get_color() != two.line_.get_color()
    assert legend_texts(ax) == ["FMRLRegressor", "single-task"]
    one.plot(ax, label="again")
    assert legend_texts(ax)[-1] == "again"
    low, high = ax.get_ylim()
    for display in (one, two):
        drawn = -display.mean_score
        assert low < drawn.min() <= drawn.max() < high


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
