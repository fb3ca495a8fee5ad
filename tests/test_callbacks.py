"""Callbacks of scikit-learn 1.9 see the steps of a fit, and change no number."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmeta import (
    FMRLClassifier,
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
)
from skmeta.datasets import make_task_classification, make_task_regression

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9")

MODELS = [
    FMRLRegressor(n_passes=3, random_state=0),
    FMRLClassifier(n_passes=3, random_state=0),
    MixedEffectsRegressor(),
    MixedEffectsClassifier(),
]
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
BARS = {
    "fit": lambda model: model,
    "search": lambda model: GridSearchCV(model, {"unknown_task": ["shared"]}, cv=2),
    "pipeline": lambda model: make_pipeline(StandardScaler(), model),
}


def data_of(model):
    classifies = hasattr(type(model), "classes_")
    make = make_task_classification if classifies else make_task_regression
    return make(n_tasks=12, n_samples=8, n_features=2, random_state=0)


class Recorder:
    """Keeps the names of what begins and ends, and how copies of the model predict."""

    def __init__(self, X=None, *, stops=False, fails_in=None):
        self.X, self.stops, self.fails_in = X, stops, fails_in
        self.seen, self.predicted = [], []

    def setup(self, estimator, context):
        self.seen.append(("setup", context.max_subtasks))

    def teardown(self, estimator, context):
        self.seen.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.seen.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        assert len(X) == len(y)
        self.seen.append(("end", context.task_name))
        if context.task_name == self.fails_in:
            raise KeyError("of the callback")
        if self.X is not None:
            self.predicted.append(fitted_estimator.predict(self.X, tasks=3))
        return self.stops


@each_model
def test_every_step_is_reported_once(model):
    X, y, tasks = data_of(model)
    recorder = Recorder()
    model = clone(model).set_callbacks(recorder).fit(X, y, tasks=tasks)
    n_steps = getattr(model, "n_passes", 1)
    name = "pass" if hasattr(model, "n_passes") else "estimate"
    assert recorder.seen == [
        ("setup", n_steps),
        ("begin", "fit"),
        *[("begin", name), ("end", name)] * n_steps,
        ("end", "fit"),
        "teardown",
    ]


@each_model
def test_numbers_do_not_change(model):
    X, y, tasks = data_of(model)
    silent = clone(model).fit(X, y, tasks=tasks)
    watched = clone(model).set_callbacks(Recorder()).fit(X, y, tasks=tasks)
    for name in ("coef_", "intercept_", "task_coef_", "task_intercept_"):
        np.testing.assert_array_equal(getattr(watched, name), getattr(silent, name))
    np.testing.assert_array_equal(watched.history_["loss"], silent.history_["loss"])


@each_model
def test_copy_after_a_step_predicts_as_a_model_of_so_many_steps(model):
    X, y, tasks = data_of(model)
    recorder = Recorder(X)
    clone(model).set_callbacks(recorder).fit(X, y, tasks=tasks)
    n_steps = getattr(model, "n_passes", 1)
    expected = []
    for n in range(1, n_steps + 1):
        params = {"n_passes": n} if hasattr(model, "n_passes") else {}
        shorter = clone(model).set_params(**params).fit(X, y, tasks=tasks)
        expected.append(shorter.predict(X, tasks=3))
    np.testing.assert_array_equal(recorder.predicted, [*expected, expected[-1]])


def test_callback_may_stop_after_a_pass():
    X, y, tasks = data_of(MODELS[0])
    model = clone(MODELS[0]).set_callbacks(Recorder(stops=True)).fit(X, y, tasks=tasks)
    once = FMRLRegressor(random_state=0).fit(X, y, tasks=tasks)
    np.testing.assert_array_equal(model.task_coef_, once.task_coef_)
    assert model.n_tasks_seen_ == 12


@each_model
@pytest.mark.parametrize("place", ["step", "fit"])
def test_callback_that_raises_changes_nothing(model, place):
    X, y, tasks = data_of(model)
    step = "pass" if hasattr(model, "n_passes") else "estimate"
    recorder = Recorder(fails_in=step if place == "step" else "fit")
    model = clone(model).fit(X, y, tasks=tasks).set_callbacks(recorder)
    learned = model._learned
    with pytest.raises(KeyError, match="of the callback"):
        model.fit(X[::-1], y[::-1], tasks=tasks[::-1])
    assert model._learned is learned
    assert recorder.seen[-1] == "teardown"
    assert not {"_callback_fit_ctx", "_skl_callbacks_to_teardown"} & vars(model).keys()


@each_model
def test_failed_fit_ends_the_callbacks(model):
    X, y, tasks = data_of(model)
    X[5] = np.nan
    recorder = Recorder()
    model = clone(model).set_callbacks(recorder)
    with pytest.raises(ValueError, match="Task 0: X contains NaN"):
        model.fit(X, y, tasks=tasks)
    assert recorder.seen[-1] == "teardown"
    assert not hasattr(model, "coef_")


@each_model
def test_partial_fit_reports_nothing(model):
    X, y, tasks = data_of(model)
    recorder = Recorder()
    model = clone(model).set_callbacks(recorder)
    classes = {"classes": np.unique(y)} if hasattr(type(model), "classes_") else {}
    model.partial_fit(X, y, tasks=tasks, **classes)
    assert recorder.seen == []


@each_model
def test_callbacks_are_no_parameter(model):
    watched = clone(model).set_callbacks(Recorder())
    assert watched.get_params() == model.get_params()
    assert repr(watched) == repr(model)
    X, y, tasks = data_of(model)
    for twin in (clone(watched), pickle.loads(pickle.dumps(watched))):
        assert twin.fit(X, y, tasks=tasks).n_tasks_seen_
    assert "_skl_callbacks" not in vars(clone(watched).set_callbacks())


@each_model
@pytest.mark.parametrize("kind", BARS)
def test_progress_bar(model, kind, capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "200")
    X, y, tasks = data_of(model)
    X = np.column_stack([X, tasks])
    if kind == "pipeline":  # a scaler would change the labels
        X = X[:, :2]
        keywords = {f"{type(model).__name__.lower()}__tasks": tasks}
    else:
        keywords, model = {}, clone(model).set_params(task_column=2)
    whole = BARS[kind](clone(model)).set_callbacks(callback.ProgressBar())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole.fit(X, y, **keywords)
    lines = [line for line in capsys.readouterr().out.splitlines() if "%" in line]
    assert lines and all("100%" in line for line in lines)
    assert any(type(model).__name__ in line for line in lines)


def test_scoring_monitor():
    X, y, tasks = data_of(MODELS[0])
    X = np.column_stack([X, tasks])
    model = clone(MODELS[0]).set_params(task_column=2)
    monitor = callback.ScoringMonitor(scoring="r2")
    model.set_callbacks(monitor).fit(X, y)
    scores = {row["task_id_path"]: row["r2"] for row in monitor.get_logs().data}
    assert scores.keys() == {(0,), (0, 0), (0, 1), (0, 2)}
    assert scores[0, 0] != scores[0, 1]
    assert scores[0, 2] == scores[(0,)] == model.score(X, y)


WITHOUT = """
import sys
import sklearn.feature_selection, sklearn.linear_model, sklearn.model_selection
sys.modules["sklearn.callback"] = None  # as before scikit-learn 1.9
from skmeta import FMRLRegressor, MixedEffectsRegressor
from skmeta.datasets import make_task_regression
X, y, tasks = make_task_regression(n_tasks=5, n_samples=5, random_state=0)
for model in (FMRLRegressor(n_passes=2), MixedEffectsRegressor()):
    assert not hasattr(model, "set_callbacks")
    assert model.fit(X, y, tasks=tasks).n_tasks_seen_ >= 5
"""


def test_package_can_be_imported_without_callbacks():
    subprocess.run([sys.executable, "-c", WITHOUT], check=True, timeout=60)


@each_model
def test_search_without_labels_says_so_in_the_bars(model, capsys, monkeypatch):
    """One line for each fit instead of a warning for each, which breaks the display."""
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "200")
    X, y, _ = data_of(model)
    search = BARS["search"](clone(model))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There is one task", UserWarning)
        search.set_callbacks(callback.ProgressBar()).fit(X, y)
    name = f"{type(model).__name__} - no labels: fit of one task"
    assert capsys.readouterr().out.count(name) >= 3


@pytest.mark.filterwarnings("ignore:There is one task:UserWarning")
@each_model
@pytest.mark.parametrize("depth", [None, 0], ids=["no bar", "a bar of the search only"])
def test_search_without_labels_and_without_bars_warns(model, depth):
    if depth is not None:
        pytest.importorskip("rich")
    X, y, _ = data_of(model)
    search = BARS["search"](clone(model))
    if depth is not None:
        search.set_callbacks(callback.ProgressBar(max_propagation_depth=depth))
    with pytest.warns(UserWarning, match="got no task labels"):
        search.fit(X, y)


@pytest.mark.filterwarnings("ignore:There is one task:UserWarning")
@each_model
def test_fit_without_labels_warns_beside_its_own_callbacks(model):
    X, y, _ = data_of(model)
    recorder = Recorder()
    with pytest.warns(UserWarning, match="got no task labels"):
        clone(model).set_callbacks(recorder).fit(X, y)
    assert ("begin", "no labels: fit of one task") in recorder.seen
