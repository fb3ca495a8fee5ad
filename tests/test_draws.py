"""`init_draw_` and `init_mean_`: of the initializations with which tasks started."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.linear_model import BiasedRidge, OGDClassifier, OGDRegressor
from skmeta.meta_step_size import Discounted
from skmeta.step_size import ARUBA

MODELS = {
    "default": FMRLRegressor(),
    "raw": FMRLRegressor(standardize=False, step_size="isotropic"),
    "given": FMRLRegressor(init=[1.0, -2.0, 0.5, 3.0], meta_step_size=Discounted(3.0)),
    "average": FMRLRegressor(task_parameter="average", standardize=False),
    "ball": FMRLRegressor(OGDRegressor(radius=1.0), step_size=0.2, standardize=False),
    "constant": FMRLRegressor(standardize=False, step_size=0.3, meta_step_size=0.7),
    "exact": FMRLRegressor(BiasedRidge()),
    "classes": FMRLClassifier(),
    "raw_classes": FMRLClassifier(
        OGDClassifier("hinge"), step_size="doubling", standardize=False
    ),
}
each_model = pytest.mark.parametrize("name", MODELS)


def make(name, n_tasks=9, seed=0):
    """A model, and X, y, tasks; the model draws by the same random state."""
    model = copy.deepcopy(MODELS[name]).set_params(random_state=seed)
    options = {"n_samples": (2, 6), "n_features": 3, "random_state": seed}
    if name.endswith("classes"):
        return model, make_task_classification(n_tasks, n_classes=3, **options)
    return model, make_task_regression(n_tasks, **options)


def parameter(model):
    """The shared initialization in the shape of `init`."""
    if isinstance(model, FMRLRegressor):
        return np.append(model.coef_, model.intercept_)
    return np.column_stack([model.coef_, model.intercept_])


def stream(model, data, tasks=None):
    """Learn task by task; the initializations before every task and at the end."""
    X, y, labels = data
    classes = {} if isinstance(model, FMRLRegressor) else {"classes": np.unique(y)}
    phis = []
    for task in np.unique(labels) if tasks is None else tasks:
        rows = labels == task
        model.partial_fit(X[rows], y[rows], tasks=task, **classes)
        phis.append(parameter(model))
    return np.array(phis)


def first_of(model, data):
    """phi_1: given, or zero in the units of the first task."""
    X, y, labels = data
    if not isinstance(model.init, str):
        return np.array(model.init)
    phi = np.zeros_like(parameter(model))
    if model.standardize and isinstance(model, FMRLRegressor):
        phi[-1] = y[labels == labels[0]].mean()
    return phi


@each_model
@pytest.mark.usefixtures("kernel")
def test_mean_and_draw_are_those_of_the_initializations(name):
    for n_tasks in (1, 2, 9):
        model, data = make(name, n_tasks)
        phis = stream(model, data)
        phis = np.concatenate([[first_of(model, data)], phis[:-1]])
        close = {"rtol": 1e-10, "atol": 1e-12}
        assert_allclose(model.init_mean_, phis.mean(axis=0), **close)
        distances = np.abs(phis - model.init_draw_).reshape(n_tasks, -1).max(axis=1)
        assert distances.min() <= 1e-12
        assert model.init_draw_.shape == model.init_mean_.shape == phis[0].shape


@each_model
@pytest.mark.usefixtures("kernel")
def test_fit_is_the_stream_to_the_last_bit(name):
    model, data = make(name, 30)
    together = copy.deepcopy(model).set_params(n_jobs=2)
    stream(model, data)
    X, y, labels = data
    together.fit(X, y, tasks=labels)
    in_parts = copy.deepcopy(together).set_params(n_jobs=1)
    half = labels < 13
    in_parts.fit(X[half], y[half], tasks=labels[half])
    in_parts.partial_fit(X[~half], y[~half], tasks=labels[~half])
    for other in (together, in_parts):
        assert_array_equal(other.init_draw_, model.init_draw_)
        assert_array_equal(other.init_mean_, model.init_mean_)
    assert not np.array_equal(model.init_mean_, parameter(model))


@pytest.mark.parametrize("name", ["raw", "given", "raw_classes"])
@pytest.mark.parametrize("task_parameter", ["last", "average"])
def test_sparse_tasks_of_few_entries(name, task_parameter):
    """The compiled loop then moves the entries that a task touches."""
    model, (X, y, labels) = make(name, 20)
    model.set_params(task_parameter=task_parameter, standardize=False)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(len(y), 400))
    wide = sp.csr_matrix(np.where(rng.random(values.shape) < 0.01, values, 0.0))
    init = np.zeros((1, 401)) if name == "given" else "zero"
    model.set_params(init=init)
    dense = copy.deepcopy(model)
    phis = stream(model, (wide, y, labels))
    stream(dense, (wide.toarray(), y, labels))
    before = np.concatenate([np.zeros_like(phis[:1]), phis[:-1]])
    assert_allclose(model.init_mean_, before.mean(axis=0), rtol=1e-9, atol=1e-13)
    for attribute in ("init_mean_", "init_draw_"):
        one, other = getattr(model, attribute), getattr(dense, attribute)
        assert_allclose(one, other, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("name", ["default", "raw", "classes"])
@pytest.mark.usefixtures("kernel")
def test_tasks_of_a_meta_batch_share_one_initialization(name, n_jobs):
    model, data = make(name, 11)
    model.set_params(meta_batch_size=4, n_jobs=n_jobs)
    X, y, labels = data
    model.fit(X, y, tasks=labels)
    parts = copy.deepcopy(model)
    classes = {} if name != "classes" else {"classes": np.unique(y)}
    phis = []
    for number, batch in enumerate([labels < 4, (labels >= 4) & (labels < 8)]):
        call = parts.fit if number == 0 else parts.partial_fit
        if call == parts.fit:
            call(X[batch], y[batch], tasks=labels[batch])
        else:
            call(X[batch], y[batch], tasks=labels[batch], **classes)
        phis.append(parameter(parts))
    first = parts._learned.drawn  # the draw of some task
    assert first is not None
    start = np.zeros_like(phis[0])
    if name == "default":
        start[-1] = y[labels < 4].mean()
    expected = (4 * start + 4 * phis[0] + 3 * phis[1]) / 11
    assert_allclose(model.init_mean_, expected, rtol=1e-10, atol=1e-12)
    possible = np.array([start, *phis])
    distances = np.abs(possible - model.init_draw_).reshape(3, -1).max(axis=1)
    assert distances.min() <= 1e-12


@pytest.mark.parametrize("meta_batch_size", [1, 3])
def test_draw_is_uniform(meta_batch_size):
    X, y, labels = make_task_regression(5, 2, 1, random_state=0)
    model = FMRLRegressor(
        step_size=0.3, standardize=False, meta_batch_size=meta_batch_size
    )
    starts = [0] * 3 + [1] * 2 if meta_batch_size == 3 else range(5)
    n = 1000
    draws = []
    for seed in range(n):
        model.set_params(random_state=seed).fit(X, y, tasks=labels)
        draws.append(tuple(model.init_draw_))
    _, first, counts = np.unique(draws, axis=0, return_index=True, return_counts=True)
    assert len(first) == len(set(starts))
    expected = n * np.bincount(starts) / 5
    p = stats.chisquare(np.sort(counts), np.sort(expected)).pvalue
    assert p > 1e-4


def test_draw_depends_on_the_seed_alone():
    X, y, labels = make_task_regression(50, 2, 1, random_state=0)
    model = FMRLRegressor(random_state=3)
    draws = [model.fit(X, y, tasks=labels).init_draw_ for _ in range(2)]
    assert_array_equal(*draws)
    others = [
        model.set_params(random_state=seed).fit(X, y, tasks=labels).init_draw_
        for seed in range(4, 9)
    ]
    assert any((one != draws[0]).any() for one in others)


@pytest.mark.parametrize("meta_batch_size", [1, 4])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.usefixtures("kernel")
def test_tasks_that_are_left_out_do_not_count(meta_batch_size, standardize):
    """Each of the twelve tasks is followed, or preceded, by one with NaN."""
    X, y, labels = make_task_regression(12, 3, 2, random_state=0)
    bad = y.copy()
    bad[labels % 2 == 1] = np.nan
    good = labels % 2 == 0
    for seed in range(5):
        model = FMRLRegressor(
            random_state=seed, on_bad_task="skip", standardize=standardize
        )
        alone = copy.deepcopy(model)
        if meta_batch_size > 1:
            model.set_params(meta_batch_size=meta_batch_size)
            alone.set_params(meta_batch_size=meta_batch_size // 2)
        model.fit(X, bad, tasks=labels)
        alone.fit(X[good], y[good], tasks=labels[good])
        assert_allclose(model.init_mean_, alone.init_mean_, rtol=1e-12)
        assert_allclose(model.init_draw_, alone.init_draw_, rtol=1e-12)


@pytest.mark.parametrize("standardize", [True, False])
def test_failing_call_leaves_both(standardize):
    X, y, labels = make_task_regression(12, 3, 2, random_state=0)
    model = FMRLRegressor(random_state=0, standardize=standardize)
    model.fit(X, y, tasks=labels)
    before = model.init_draw_, model.init_mean_
    bad = y.copy()
    bad[-1] = np.nan
    with pytest.raises(ValueError, match="y is nan"):
        model.partial_fit(X, bad, tasks=labels + 20)
    assert_array_equal(model.init_draw_, before[0])
    assert_array_equal(model.init_mean_, before[1])


def test_published_draw_does_not_change():
    X, y, labels = make_task_regression(12, 3, 2, random_state=0)
    model = FMRLRegressor(random_state=0).fit(X, y, tasks=labels)
    value = copy.deepcopy(model._learned.drawn)
    published = model._learned
    for n in range(30):
        model.partial_fit(X, y, tasks=labels + 20 * (n + 1))
    for one, other in zip(published.drawn[:2], value[:2], strict=True):
        assert_array_equal(one, other)
    assert model._learned.next_draw > published.next_draw


# ---- adapting from them


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"standardize": False},
        {"step_size": ARUBA(shrink=0.5)},
        {"step_size": "full_matrix"},
        {"estimator": BiasedRidge()},
    ],
    ids=str,
)
def test_adapting_from_the_draw_is_adapting_before_its_task(params):
    """With the step size and the units of that time."""
    X, y, labels = make_task_regression(9, 5, 3, random_state=0)
    rows = labels == 8
    new = X[rows], y[rows]
    times = set()
    for seed in range(12):
        model = FMRLRegressor(random_state=seed, **params)
        models, draws = [], []
        for task in range(8):
            before = copy.deepcopy(model)
            rows = labels == task
            model.partial_fit(X[rows], y[rows], tasks=task)
            models.append(before)
            draws.append(model._learned.drawn)
        # the last task before which the draw was replaced
        time = max(t for t in range(8) if t == 0 or draws[t] is not draws[t - 1])
        times.add(time)
        adapted = model.adapt(*new, init="draw")
        if time == 0:
            continue  # no model has learned yet
        expected = models[time].adapt(*new)
        assert_array_equal(adapted.coef_, expected.coef_)
        assert_array_equal(adapted.intercept_, expected.intercept_)
    assert len(times) > 3


@pytest.mark.parametrize("standardize", [True, False])
def test_adapting_from_the_first_initialization(standardize):
    """Zero in the units of the new task itself, as the first task began."""
    X, y, labels = make_task_regression(2, 6, 3, random_state=0)
    first = labels == 0
    model = FMRLRegressor(random_state=0, step_size=0.2, standardize=standardize)
    model.partial_fit(X[first], y[first] + 50.0, tasks="first")
    adapted = model.adapt(X[~first], y[~first], init="draw")
    other = copy.deepcopy(model).fit(X[~first], y[~first], tasks=["new"] * 6)
    assert_allclose(adapted.coef_, other.task_coef_[0], rtol=1e-9)
    assert_allclose(adapted.intercept_, other.task_intercept_[0], rtol=1e-9)


def test_adapting_from_the_mean():
    X, y, labels = make_task_regression(9, 5, 3, random_state=0)
    model = FMRLRegressor(step_size=0.2, standardize=False, random_state=0)
    model.fit(X, y, tasks=labels)
    for init, start in (("mean", model.init_mean_), ("draw", model.init_draw_)):
        adapted = model.adapt(X[:5], y[:5], init=init)
        alone = OGDRegressor(eta0=0.2)
        alone.fit(X[:5], y[:5], coef_init=start[:-1], intercept_init=start[-1:])
        assert_array_equal(adapted.coef_, alone.coef_)
    again = FMRLRegressor(init=model.init_mean_, meta_step_size=0.0)
    again.fit(X, y, tasks=labels)
    assert_allclose(again.init_mean_, model.init_mean_)
    assert_allclose(np.append(again.coef_, again.intercept_), model.init_mean_)


def test_start_that_there_is_not_is_named():
    X, y, labels = make_task_regression(3, 5, 3, random_state=0)
    model = FMRLRegressor().fit(X, y, tasks=labels)
    with pytest.raises(ValueError, match="init must be one of.*'last'.*Got 'first'"):
        model.adapt(X[:5], y[:5], init="first")


def test_both_survive_pickling():
    X, y, labels = make_task_regression(9, 5, 3, random_state=0)
    model = FMRLRegressor(random_state=0).fit(X[:20], y[:20], tasks=labels[:20])
    twin = pickle.loads(pickle.dumps(model))
    for one in (model, twin):
        one.partial_fit(X[20:], y[20:], tasks=labels[20:])
    assert_array_equal(model.init_draw_, twin.init_draw_)
    assert_array_equal(model.init_mean_, twin.init_mean_)
