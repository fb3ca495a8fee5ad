"""Readers beside a writer see the state before a call or after it, never a mixture."""

import os
import pickle
import sys
import threading
import time

import numpy as np
import pytest

from skmeta import (
    FMRLClassifier,
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
)
from skmeta.linear_model import OGDRegressor

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # few rows
SECONDS = 20.0 if "SKMETA_LONG" in os.environ else 0.7


@pytest.fixture(autouse=True)
def often_switched():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def run(write, *reads):
    """One writer and some readers, until the time is over; the number of readings."""
    failures, counts, stop = [], [0] * (len(reads) + 1), threading.Event()

    def repeat(number, function):
        while not stop.is_set():
            try:
                function()
            except BaseException as error:  # whatever it is, the test must say so
                failures.append(error)
                stop.set()
            counts[number] += 1

    threads = [
        threading.Thread(target=repeat, args=pair)
        for pair in enumerate([write, *reads])
    ]
    for thread in threads:
        thread.start()
    stop.wait(SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    assert min(counts) > 2
    return counts


def twins(n_rows=4, n_features=3, seed=0):
    """Two tasks of the same rows: they never differ after a call."""
    X = np.random.default_rng(seed).normal(size=(n_rows, n_features))
    return np.vstack([X, X]), np.tile(X.sum(axis=1), 2), np.repeat(["a", "b"], n_rows)


REGRESSORS = {
    "fmrl": FMRLRegressor(meta_batch_size=2),
    "fmrl raw": FMRLRegressor(OGDRegressor(), standardize=False, meta_batch_size=2),
    "mixed": MixedEffectsRegressor(),
}


@pytest.mark.parametrize("name", REGRESSORS)
def test_what_readers_see_is_whole(name):
    """A stream in which tasks return and new ones come, and four kinds of reading."""
    model = REGRESSORS[name]
    X, y, labels = twins()
    first = np.array([f"{label}{n}" for n in range(20) for label in labels])
    model.fit(np.tile(X, (20, 1)), np.tile(y, 20), tasks=first)
    rng, n = np.random.default_rng(1), 0

    def write():
        nonlocal n
        n += 1
        number = n if n % 3 else n % 20
        tasks = [f"{label}{number}" for label in labels]
        model.partial_fit(X, y + rng.normal(), tasks=tasks)

    def predict():
        names = model.task_labels_[-2:].tolist()
        one, other = model.predict(X[[0, 4]], tasks=names)
        assert one == other

    def attributes():
        learned = model._learned  # of one value, all attributes belong together
        assert len(learned.names()) == len(
            learned.parameters(learned.rows(learned.names()))
        )
        a, b = model.task_coef_[-2:]
        np.testing.assert_array_equal(a, b)

    def copy():
        twin = pickle.loads(pickle.dumps(model))
        coef, names = twin.task_coef_, twin.task_labels_
        assert len(coef) == len(names)
        assert twin.n_tasks_seen_ == twin._learned.n_tasks
        np.testing.assert_array_equal(coef[::2], coef[1::2])

    def adapt():
        adapted = model.adapt(X[:4], y[:4])
        assert np.isfinite(adapted.predict(X)).all()
        assert np.isfinite(model.score(X, y, tasks=labels))

    run(write, predict, attributes, copy, adapt)


@pytest.mark.parametrize("make", [FMRLClassifier, MixedEffectsClassifier])
def test_a_classifier_that_is_fitted_again_never_answers_with_a_mixture(make):
    """Two classes and three take turns; classes, columns and widths belong together."""
    rng = np.random.default_rng(0)
    tasks, X = np.repeat(np.arange(8), 6), rng.normal(size=(48, 2))
    problems = []
    for names in (["no", "yes"], ["a", "b", "c"]):
        problems.append(np.array(names)[np.arange(48) % len(names)])
    model, n = make().fit(X, problems[0], tasks=tasks), 0
    allowed = [set(y) for y in problems]

    def write():
        nonlocal n
        n += 1
        model.fit(X, problems[n % 2], tasks=tasks)

    def predict():
        for answers in (model.predict(X), model.predict(X, tasks=tasks)):
            assert set(answers) <= allowed[0] or set(answers) <= allowed[1]

    def probabilities():
        P = model.predict_proba(X[:5], tasks=tasks[:5])
        assert P.shape[1] in (2, 3)
        np.testing.assert_allclose(P.sum(axis=1), 1.0)

    def copy():
        twin = pickle.loads(pickle.dumps(model))
        rows = {2: 1, 3: 3}[len(twin.classes_)]
        assert twin.coef_.shape == (rows, 2)
        assert twin.task_coef_.shape == (8, rows, 2)

    run(write, predict, probabilities, copy)


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_fit_that_fails_is_not_seen(name):
    model = REGRESSORS[name]
    X, y, labels = twins()
    model.fit(X, y, tasks=labels)
    expected = model.predict(X, tasks=labels)
    wide = np.hstack([X, X])
    wide[-1, 0] = np.nan

    def write():
        with pytest.raises(ValueError, match="Task 'b': X contains NaN"):
            model.fit(wide, y, tasks=labels)

    def predict():
        np.testing.assert_array_equal(model.predict(X, tasks=labels), expected)
        assert model.n_features_in_ == 3

    run(write, predict, predict)


def test_parameters_may_be_set_beside_a_writer():
    """A call uses them as they were at one time, or refuses them; none is torn."""
    model = FMRLRegressor(step_size=0.1, meta_step_size=0.5)
    X, y, labels = twins()
    model.fit(X, y, tasks=labels)

    def write():
        model.partial_fit(X, y, tasks=labels)
        assert np.isfinite(model.coef_).all()

    def set_params():
        for value in (0.1, 0.2, 0.05):
            model.set_params(step_size=value, meta_step_size=value)
            time.sleep(0)

    run(write, set_params, lambda: model.predict(X, tasks=labels))


@pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", None), reason="needs Python 3.13 or later"
)
def test_the_kernels_do_not_declare_that_they_run_without_the_lock():
    """Free-threaded Python turns the lock on when they are imported."""
    from skmeta import _kernels

    assert sys._is_gil_enabled() or not _kernels.COMPILED
