"""An isolated wrong value is not learned from; heavy tails and changes are."""

import copy
import pickle
import warnings

import numpy as np
import pytest

from skmeta import MixedEffectsRegressor, datasets

SHARED, LEVEL = np.array([1.0, -2.0, 0.5]), 1.0
NOT_LEARNED = "not learned from"


def make_rows(n_tasks=300, m=8, seed=0):
    rng = np.random.default_rng(seed)
    theta = SHARED + 0.3 * rng.normal(size=(n_tasks, 3))
    tasks = np.repeat(np.arange(n_tasks), m)
    X = rng.normal(size=(n_tasks * m, 3))
    y = (X * theta[tasks]).sum(axis=1) + LEVEL + 0.2 * rng.normal(size=len(X))
    return X, y, tasks


def spoiled(X, y, row, where, value):
    X, y = X.copy(), y.copy()
    if where == "X":
        X[row, 1] = value
    else:
        y[row] = value
    return X, y


def streamed(X, y, tasks, model=None, labels=True):
    model = MixedEffectsRegressor() if model is None else model
    for t in dict.fromkeys(tasks.tolist()):
        mine = tasks == t
        model.partial_fit(X[mine], y[mine], tasks=t if labels else None)
    return model


def same_state(one, other):
    np.testing.assert_array_equal(one.task_labels_, other.task_labels_)
    for name in ("coef_", "covariance_", "noise_variance_", "task_coef_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("row", [0, 1203, 2399])
@pytest.mark.parametrize("where", ["X", "y"])
@pytest.mark.parametrize("value", [-1e3, 1e4, 1e6, -1e9])
def test_fit_equals_fit_without_the_row(row, where, value):
    X, y, tasks = make_rows()
    X, y = spoiled(X, y, row, where, value)
    what = "feature 1" if where == "X" else "the target"
    message = rf"1 row .*{NOT_LEARNED}. Task {row // 8}: {what} .* in row {row % 8} of"
    with pytest.warns(UserWarning, match=message):
        model = MixedEffectsRegressor().fit(X, y, tasks=tasks)
    assert model.n_rows_set_aside_ == 1
    clean = np.arange(len(y)) != row
    other = MixedEffectsRegressor().fit(X[clean], y[clean], tasks=tasks[clean])
    assert other.n_rows_set_aside_ == 0
    same_state(model, other)
    np.testing.assert_array_equal(model.history_, other.history_)


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("row", [163, 999])
@pytest.mark.parametrize("where", ["X", "y"])
@pytest.mark.parametrize("value", [-1e3, 1e9])
def test_a_stream_equals_the_stream_without_the_row(labels, row, where, value):
    X, y, tasks = make_rows(125)
    X, y = spoiled(X, y, row, where, value)
    with pytest.warns(UserWarning, match=NOT_LEARNED) as caught:
        model = streamed(X, y, tasks, labels=labels)
    assert len(caught) == 1
    assert model.n_rows_set_aside_ == 1
    clean = np.arange(len(y)) != row
    other = streamed(X[clean], y[clean], tasks[clean], labels=labels)
    same_state(model, other)


def test_results_do_not_depend_on_the_order_of_rows():
    X, y, tasks = make_rows()
    X, y = spoiled(X, y, 77, "y", 1e6)
    rows = np.random.default_rng(0).permutation(len(y))
    with pytest.warns(UserWarning, match="row 5 of the task"):
        one = MixedEffectsRegressor().fit(X, y, tasks=tasks)
    with pytest.warns(UserWarning, match=NOT_LEARNED):
        other = MixedEffectsRegressor().fit(X[rows], y[rows], tasks=tasks[rows])
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=1e-4)
    assert one.n_rows_set_aside_ == other.n_rows_set_aside_ == 1


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_weights_and_no_intercept(fit_intercept):
    X, y, tasks = make_rows()
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(y))
    weight[5] = 0.0
    X, y = spoiled(X, y, 77, "y", 1e6)
    model = MixedEffectsRegressor(fit_intercept=fit_intercept)
    with pytest.warns(UserWarning, match="Task 9: the target is .* row 5 of the task"):
        model.fit(X, y, tasks=tasks, sample_weight=weight)
    weight[77] = 0.0
    other = MixedEffectsRegressor(fit_intercept=fit_intercept)
    same_state(model, other.fit(X, y, tasks=tasks, sample_weight=weight))


def test_the_message_names_rows_and_columns_as_given():
    pd = pytest.importorskip("pandas")
    X, y, tasks = make_rows()
    X, y = spoiled(X, y, 803, "X", 1e7)
    X[800, 0] = np.nan
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    model = MixedEffectsRegressor(on_bad_row="drop")
    with pytest.warns(UserWarning, match=r"Task 100: feature 'b' is 1e\+07 in row 3 "):
        model.fit(table, y, tasks=tasks)
    model = MixedEffectsRegressor(on_bad_task="skip")
    X[803, 1], X[1003, 1] = 0.0, 1e7
    with pytest.warns(UserWarning, match=r"Task 125: feature 'b' is 1e\+07 in row 3 "):
        model.fit(table.assign(a=X[:, 0], b=X[:, 1]), y, tasks=tasks)
    assert model.n_tasks_skipped_ == 1
    assert model.n_rows_set_aside_ == 1


def test_a_call_of_one_wrong_row_learns_nothing():
    X, y, tasks = make_rows(50)
    model = streamed(X, y, tasks)
    before = copy.deepcopy(model)
    with pytest.warns(UserWarning, match=NOT_LEARNED):
        model.partial_fit(X[:1], [1e6], tasks=50)
    same_state(model, before)
    assert (model.n_tasks_seen_, model.n_rows_set_aside_) == (50, 1)
    loaded = pickle.loads(pickle.dumps(model))
    assert loaded.n_rows_set_aside_ == 1


def heavy(kind, rng, n):
    if kind == "t":
        return rng.standard_t(1.5, size=n)
    if kind == "lognormal":
        return rng.lognormal(0, 2, size=n)
    if kind == "rare":
        values = np.where(rng.random(n) < 1e-3, 50.0, 0.0)
        values[[n // 4, n // 2]] = 50.0
        return values
    if kind == "sorted":
        return np.sort(rng.standard_t(3, size=n))
    if kind == "growing":
        return rng.normal(size=n) * np.exp(np.linspace(0, 20, n))
    return 1.7e9 + 60.0 * np.arange(n)


@pytest.mark.parametrize("where", ["X", "y"])
@pytest.mark.parametrize("m", [1, 8])
@pytest.mark.parametrize(
    "kind", ["t", "lognormal", "rare", "sorted", "growing", "timestamps"]
)
def test_heavy_tails_and_drift_are_learned_from(kind, m, where):
    for seed in range(3):
        X, y, tasks = make_rows(160, m, seed)
        values = heavy(kind, np.random.default_rng(seed), len(y))
        if where == "X":
            X[:, 1] = values
        else:
            y = values + y if kind != "rare" else values
        model = MixedEffectsRegressor(covariance="diagonal", max_iter=2)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=f".*{NOT_LEARNED}")
            warnings.filterwarnings("ignore")
            assert model.fit(X, y, tasks=tasks).n_rows_set_aside_ == 0
            stream = streamed(X, y, tasks, MixedEffectsRegressor(max_iter=2))
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
    model = MixedEffectsRegressor(covariance="diagonal")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        streamed(X, y, tasks, model)
    assert model.n_rows_set_aside_ == lost
    assert sum(NOT_LEARNED in str(one.message) for one in caught) == lost
    assert model.n_tasks_seen_ == 300 - lost


def test_a_known_task_that_changes_is_learned():
    X, y, tasks = make_rows(1100, m=2)
    model = MixedEffectsRegressor(covariance="diagonal").fit(X, y, tasks=tasks)
    others = tasks > 0
    for visit in range(5):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.partial_fit(X[:1], y[:1] + 1e6, tasks=0)
        assert len(caught) == (visit < 3)
        model.partial_fit(X[others], y[others], tasks=tasks[others])
    assert model.n_rows_set_aside_ == 3


def test_many_rows_of_a_table_are_learned():
    X, y, tasks = make_rows()
    y[::100] = 1e6
    model = MixedEffectsRegressor().fit(X, y, tasks=tasks)
    assert model.n_rows_set_aside_ == 0


def test_few_rows_are_not_judged():
    X, y, tasks = make_rows(9)
    X, y = spoiled(X, y, 5, "y", 1e6)
    assert MixedEffectsRegressor().fit(X, y, tasks=tasks).n_rows_set_aside_ == 0


@pytest.mark.parametrize("name", ["load_chick_weights", "load_wage_panel"])
def test_no_row_of_the_datasets_is_set_aside(name):
    X, y, tasks = getattr(datasets, name)(return_X_y=True)
    model = MixedEffectsRegressor(covariance="diagonal")
    assert model.fit(X, y, tasks=tasks).n_rows_set_aside_ == 0
