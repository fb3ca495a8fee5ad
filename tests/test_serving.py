"""Models in service: loaded from files, read by threads, reconfigured in a stream."""

import threading

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmeta import FMRLRegressor
from skmeta.datasets import make_task_regression
from skmeta.linear_model import OGDRegressor
from skmeta.meta_step_size import Constant
from skmeta.step_size import ARUBA


@pytest.fixture
def data():
    return make_task_regression(n_tasks=20, random_state=0)


@pytest.mark.parametrize("mmap_mode", [None, "r", "r+", "c"])
def test_loaded_model_learns_on_and_leaves_its_file_alone(data, mmap_mode, tmp_path):
    X, y, tasks = data
    model = FMRLRegressor().fit(X, y, tasks=tasks)
    path = tmp_path / "model.joblib"
    joblib.dump(model, path)
    before = path.read_bytes()
    loaded = joblib.load(path, mmap_mode=mmap_mode)
    labels = np.where(tasks < 10, tasks, tasks + 100)  # known ones and new ones
    for each in (model, loaded):
        each.partial_fit(-X, y, tasks=labels)
    for name in ("coef_", "task_coef_", "task_labels_", "history_"):
        assert_array_equal(getattr(loaded, name), getattr(model, name))
    del loaded
    assert path.read_bytes() == before


def test_readers_are_served_while_one_thread_learns(data):
    X, y, tasks = data
    model = FMRLRegressor().fit(X, y, tasks=tasks)
    shared, failures, stop = model.predict(X[:1]), [], threading.Event()

    def read():
        n = 0
        while not stop.is_set():
            n += 1
            try:
                model.predict(X[:3], tasks=[1000 + n, 1000, 5])
            except Exception as error:  # whatever it is, the test must say so
                failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(200):
        model.partial_fit(X[:2], y[:2], tasks=1000 + n)
    stop.set()
    reader.join()
    assert not failures
    assert len(model.task_labels_) == 220
    assert shared != model.predict(X[:1])


@pytest.mark.parametrize("standardize", [True, False])
def test_readers_see_the_state_before_a_call_or_after_it(data, standardize):
    """Two tasks of the same rows, learned in one meta-batch, never differ."""
    X, y, _ = data
    X, y = np.vstack([X[:4], X[:4]]), np.append(y[:4], y[:4])
    labels = np.repeat(["a", "b"], 4)
    model = FMRLRegressor(meta_batch_size=2, standardize=standardize)
    model.partial_fit(X, y, tasks=labels)
    seen, failures, stop = set(), [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                first, second = model.predict(X[[0, 4]], tasks=["a", "b"])
                seen.add(first)
                assert first == second
                a, b = model.task_coef_
                assert_array_equal(a, b)
            except BaseException as error:  # whatever it is, the test must say so
                failures.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for n in range(200):
        model.partial_fit(X, y + n, tasks=labels)
    stop.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert len(seen) > 1
    assert model.n_tasks_seen_ == 402


def test_label_that_is_just_being_stored_is_unknown_to_readers(data):
    X, y, tasks = data
    known = FMRLRegressor().fit(X, y, tasks=tasks)._learned.known
    later = known.stored(["new"], known.records[:1])
    assert_array_equal(later.rows(["new", 3]), [20, 3])
    assert_array_equal(known.rows(["new", 3]), [-1, 3])


def test_tasks_are_forgotten_once_they_are_not_to_be_stored(data):
    X, y, tasks = data
    model = FMRLRegressor().fit(X, y, tasks=tasks).set_params(store_tasks=False)
    model.partial_fit(X, y, tasks=tasks)
    assert len(model.task_labels_) == 0
    assert_allclose(model.predict(X, tasks=tasks), model.predict(X), rtol=1e-12)


@pytest.mark.parametrize(
    "params",
    [{"step_size": ARUBA}, {"meta_step_size": Constant}, {"estimator": OGDRegressor}],
    ids=lambda params: next(iter(params)),
)
def test_class_in_place_of_an_instance_is_named(params, data):
    X, y, tasks = data
    (value,) = params.values()
    message = rf"instance of {value.__name__}.*{value.__name__}\(\)"
    with pytest.raises(ValueError, match=message):
        FMRLRegressor(**params).fit(X, y, tasks=tasks)


def test_weights_set_by_hand_are_learned_on_from(data):
    X, y, _ = data
    start = np.arange(5.0)
    for average in (False, True):
        by_hand = OGDRegressor(average=average)
        by_hand.coef_, by_hand.intercept_ = start, np.array([2.0])
        by_hand.partial_fit(X, y)
        given = OGDRegressor(average=average).fit(X, y, None, start, [2.0])
        assert_array_equal(by_hand.coef_, given.coef_)
        assert by_hand.t_ == given.t_ == len(y)
