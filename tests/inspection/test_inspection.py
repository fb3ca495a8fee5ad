"""The displays: what they share, and TaskSimilarityDisplay."""

from __future__ import annotations

import logging
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from display_tools import (
    CLASSIFIER,
    covered_by_legend,
    legend_texts,
)
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmeta import FMRLClassifier, FMRLRegressor, MixedEffectsRegressor, inspection
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.inspection import (
    FewShotDisplay,
    RegretDisplay,
    TaskEffectsDisplay,
    TaskSimilarityDisplay,
)
from skmeta.linear_model import OGDRegressor
from skmeta.metrics import task_similarity

# ---- the module


def test_importing_does_not_import_matplotlib():
    code = "import sys, skmeta.inspection; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", inspection.__all__)
def test_a_missing_matplotlib_is_named_and_the_numbers_remain(name, model, monkeypatch):
    displays = {
        "RegretDisplay": RegretDisplay(x=[1], regret={"a": [1.0]}),
        "FewShotDisplay": FewShotDisplay(n_shots=[0], scores=np.ones((2, 1))),
        "TaskEffectsDisplay": TaskEffectsDisplay(
            labels=["a"], effects={"level": np.ones(1)}, stds={"level": np.ones(1)}
        ),
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
    ("draw", "method"),
    [
        (RegretDisplay.from_estimator, "replay"),
        (RegretDisplay.from_sample_sizes, "replay"),
        (FewShotDisplay.from_estimator, "adapt"),
        (lambda one, *data: TaskSimilarityDisplay.from_estimator(one), "adapt"),
        (lambda one, *data: TaskEffectsDisplay.from_estimator(one), "task_frame"),
    ],
    ids=["regret", "sample_sizes", "few_shot", "similarity", "effects"],
)
def test_other_estimators_are_refused(draw, method, regression):
    X, y, tasks = regression
    pipeline = make_pipeline(StandardScaler(), Ridge()).fit(X, y)
    message = rf"Ridge has no method '{method}': pass a meta-estimator.*Ridge"
    with pytest.raises(TypeError, match=message):
        draw(pipeline, X, y, tasks)


# ---- task similarity


@pytest.mark.parametrize("kind", ["regressor", "mixed effects", "classifier"])
def test_similarity_by_hand(kind, long_tasks, classification):
    if kind != "classifier":
        X, y, tasks = long_tasks
        model = FMRLRegressor(meta_step_size=1.0)
        if kind == "mixed effects":
            model = MixedEffectsRegressor()
        model.fit(X, y, tasks=tasks)
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


def test_a_long_plane_fills_its_axes():
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
    model.partial_fit(X, y, tasks=tasks if labelled else None)
    with pytest.raises(ValueError, match="FMRLRegressor has no known tasks"):
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
        FMRLRegressor(meta_step_size=0.0),
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
