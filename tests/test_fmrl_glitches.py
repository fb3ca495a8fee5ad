"""FMRL in learned units: isolated wrong values are not learned from, changes are."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from test_glitches import NOT_LEARNED, heavy, make_rows, spoiled, streamed

from skmeta import FMRLClassifier, FMRLRegressor, datasets
from skmeta.linear_model import BiasedRidge, OGDRegressor

MODELS = {
    "default": FMRLRegressor(),
    "huber": FMRLRegressor(OGDRegressor("huber")),
    "isotropic": FMRLRegressor(step_size="isotropic"),
    "passes": FMRLRegressor(BiasedRidge(), n_passes=2, meta_batch_size=4),
}
NAMES = ("coef_", "intercept_", "task_coef_", "task_intercept_", "init_mean_")


def same_state(one, other):
    np.testing.assert_array_equal(one.task_labels_, other.task_labels_)
    assert one.n_tasks_seen_ == other.n_tasks_seen_
    np.testing.assert_array_equal(one.history_, other.history_)
    for name in NAMES:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize(
    "name, row, where, value",
    [
        ("default", 0, "y", 1e6),
        ("default", 1203, "X", 1e9),
        ("huber", 1203, "y", 1e6),
        ("isotropic", 2399, "X", -1e3),
        ("passes", 2399, "y", -1e3),
    ],
)
def test_fit_equals_fit_without_the_row(name, row, where, value):
    X, y, tasks = make_rows()
    X, y = spoiled(X, y, row, where, value)
    what = "feature 1" if where == "X" else "the target"
    message = rf"1 row .*{NOT_LEARNED}. Task {row // 8}: {what} .* in row {row % 8} of"
    model, other = copy.deepcopy(MODELS[name]), copy.deepcopy(MODELS[name])
    with pytest.warns(UserWarning, match=message):
        model.fit(X, y, tasks=tasks)
    clean = np.arange(len(y)) != row
    other.fit(X[clean], y[clean], tasks=tasks[clean])
    assert (model.n_rows_set_aside_, other.n_rows_set_aside_) == (1, 0)
    same_state(model, other)


@pytest.mark.parametrize("name", ["default", "isotropic"])
@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("row, where, value", [(163, "y", -1e3), (999, "X", 1e9)])
def test_a_stream_equals_the_stream_without_the_row(name, labels, row, where, value):
    X, y, tasks = make_rows(125)
    X, y = spoiled(X, y, row, where, value)
    models = copy.deepcopy(MODELS[name]), copy.deepcopy(MODELS[name])
    with pytest.warns(UserWarning, match=NOT_LEARNED) as caught:
        streamed(X, y, tasks, models[0], labels)
    assert len(caught) == 1
    clean = np.arange(len(y)) != row
    streamed(X[clean], y[clean], tasks[clean], models[1], labels)
    assert [model.n_rows_set_aside_ for model in models] == [1, 0]
    same_state(*models)


def test_a_wrong_feature_of_a_classifier():
    X, y, tasks = make_rows()
    X, y = spoiled(X, np.where(y > 0, "up", "down"), 1203, "X", 1e5)
    with pytest.warns(UserWarning, match=r"Task 150: feature 1 is 100000 in row 3"):
        model = FMRLClassifier().fit(X, y, tasks=tasks)
    clean = np.arange(len(y)) != 1203
    same_state(model, FMRLClassifier().fit(X[clean], y[clean], tasks=tasks[clean]))


def test_the_message_names_rows_and_tasks_as_given():
    X, y, tasks = make_rows()
    X, y = spoiled(X, y, 1003, "X", 1e7)
    X[800, 0], X[1000, 0] = np.inf, np.nan
    model = FMRLRegressor(on_bad_task="skip", on_bad_row="raise")
    X[1000, 0] = 0.0
    with pytest.warns(UserWarning, match=r"Task 125: feature 1 is 1e\+07 in row 3 "):
        model.fit(X, y, tasks=tasks)
    assert (model.n_tasks_skipped_, model.n_rows_set_aside_) == (1, 1)
    assert 100 not in model.task_labels_
    X[1000, 0] = np.nan
    model = FMRLRegressor(on_bad_row="drop")
    with pytest.warns(UserWarning, match=r"Task 125: feature 1 is 1e\+07 in row 3 "):
        model.fit(X, y, tasks=tasks)


def test_a_call_of_one_wrong_row_learns_nothing():
    X, y, tasks = make_rows(50)
    model = streamed(X, y, tasks, FMRLRegressor())
    before = copy.deepcopy(model)
    with pytest.warns(UserWarning, match=NOT_LEARNED):
        model.partial_fit(X[:1], [1e6], tasks=50)
    same_state(model, before)
    loaded = pickle.loads(pickle.dumps(model))
    assert (loaded.n_tasks_seen_, loaded.n_rows_set_aside_) == (50, 1)
    with pytest.warns(UserWarning, match=NOT_LEARNED):
        loaded.partial_fit(X[:1], [1e6], tasks=50)
    assert (loaded.n_rows_set_aside_, model.n_rows_set_aside_) == (2, 1)


@pytest.mark.parametrize("where", ["X", "y"])
@pytest.mark.parametrize("m", [1, 8])
@pytest.mark.parametrize(
    "kind", ["t", "lognormal", "rare", "sorted", "growing", "timestamps"]
)
def test_heavy_tails_and_drift_are_learned_from(kind, m, where):
    for seed in range(2):
        X, y, tasks = make_rows(160, m, seed)
        values = heavy(kind, np.random.default_rng(seed), len(y))
        if where == "X":
            X[:, 1] = values
        else:
            y = values + y if kind != "rare" else values
        model = FMRLRegressor(OGDRegressor(), step_size="isotropic")
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=f".*{NOT_LEARNED}")
            assert model.fit(X, y, tasks=tasks).n_rows_set_aside_ == 0
            stream = streamed(X, y, tasks, copy.deepcopy(MODELS["isotropic"]))
        assert stream.n_rows_set_aside_ == 0


@pytest.mark.parametrize("m, lost", [(1, 3), (8, 0)])
@pytest.mark.parametrize("change", ["target", "feature", "units"])
def test_a_change_that_persists_is_learned(m, lost, change):
    X, y, tasks = make_rows(300, m)
    later = tasks >= 200
    if change == "target":
        y = y + 1e6 * later
    elif change == "feature":
        X[later, 1] += 1e6
    else:
        X[later, 1] *= 1e5
    model = copy.deepcopy(MODELS["isotropic"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        streamed(X, y, tasks, model)
    assert model.n_rows_set_aside_ == lost
    assert sum(NOT_LEARNED in str(one.message) for one in caught) == lost
    assert model.n_tasks_seen_ == 300 - lost


def test_the_papers_to_the_letter_and_sparse_rows_are_not_compared():
    X, y, tasks = make_rows()
    X, y = spoiled(X, y, 77, "y", 1e6)
    raw = FMRLRegressor(OGDRegressor(), standardize=False)
    assert raw.fit(X, y, tasks=tasks).n_rows_set_aside_ == 0
    sparse = FMRLRegressor().fit(sp.csr_array(X), y, tasks=tasks)
    assert sparse.n_rows_set_aside_ == 0
    dense = FMRLRegressor().fit(X[80:], y[80:], tasks=tasks[80:])
    dense.partial_fit(sp.csr_array(X[:80]), y[:80], tasks=tasks[:80])
    assert dense.n_rows_set_aside_ == 0


@pytest.mark.parametrize("name", ["load_chick_weights", "load_wage_panel"])
def test_no_row_of_the_datasets_is_set_aside(name):
    X, y, tasks = getattr(datasets, name)(return_X_y=True)
    assert FMRLRegressor().fit(X, y, tasks=tasks).n_rows_set_aside_ == 0


def test_normal_rows_of_very_many_tasks_are_not_searched(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("searched")

    monkeypatch.setattr("skmeta._fmrl._sample.Sample.glitches", refuse)
    rng, n_tasks = np.random.default_rng(0), 100_000
    X = rng.normal(size=(2 * n_tasks, 1))
    y = X[:, 0] + rng.normal(size=2 * n_tasks)
    FMRLRegressor().fit(X, y, tasks=np.repeat(np.arange(n_tasks), 2))
    y[7] = 1e6
    with pytest.raises(AssertionError, match="searched"):
        FMRLRegressor().fit(X, y, tasks=np.repeat(np.arange(n_tasks), 2))
