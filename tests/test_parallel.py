"""Work in parallel: order, errors, and that everybody works."""

import threading

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from matplotlib.figure import Figure
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info

from skmeta import (
    FMRLClassifier,
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
)
from skmeta._parallel import in_processes, in_threads, n_threads, one_blas_thread
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.inspection import FewShotDisplay
from skmeta.linear_model import OGDRegressor
from skmeta.metrics import omniscient, regret_report
from skmeta.model_selection import few_shot_scores


def pair(first, second):
    return first, second


@pytest.mark.parametrize("n_jobs", [None, 1, 2, 5, -1])
@pytest.mark.parametrize("function", [in_threads, in_processes])
def test_results_are_in_order(function, n_jobs):
    arguments = [(number, number**2) for number in range(20)]
    with parallel_config(backend="threading"):
        assert function(pair, arguments, n_jobs) == arguments
        assert function(pair, [], n_jobs) == []


def test_n_jobs_comes_from_the_context():
    assert n_threads(None) == 1
    with parallel_config(backend="threading", n_jobs=2):
        assert n_threads(None) == min(2, n_threads(-1))
        assert n_threads(1) == 1


def test_threads_work_at_the_same_time(monkeypatch):
    monkeypatch.setattr("skmeta._parallel.cpu_count", lambda: 2)
    meeting = threading.Barrier(2, timeout=10)  # breaks if one waits alone
    found = in_threads(lambda number: (meeting.wait(), number)[1], [(0,), (1,)], 2)
    assert found == [0, 1]


@pytest.mark.parametrize("bad", [0, 3, 9])
def test_the_first_error_ends_the_work(bad, monkeypatch):
    monkeypatch.setattr("skmeta._parallel.cpu_count", lambda: 2)

    def work(number):
        if number == bad:
            raise KeyError(number)
        return number

    with pytest.raises(KeyError, match=str(bad)):
        in_threads(work, [(number,) for number in range(10)], 2)


def blas_threads():
    """The numbers of threads that the BLAS libraries use."""
    found = threadpool_info()
    return {one["num_threads"] for one in found if one["user_api"] == "blas"}


def test_the_limit_of_blas_ends_with_an_error():
    before = blas_threads()
    with pytest.raises(KeyError), one_blas_thread():
        assert blas_threads() <= {1}
        raise KeyError
    assert blas_threads() == before


def test_work_by_joblib_has_one_thread_of_blas():
    before = blas_threads()
    with parallel_config(backend="threading"):
        found = in_processes(lambda _: blas_threads(), [(k,) for k in range(6)], 2)
    assert set().union(*found) <= {1}
    assert blas_threads() == before


# ---- what works on many tasks, by joblib


@pytest.fixture
def eager(monkeypatch):
    """Distribute what takes no time too."""
    monkeypatch.setattr("skmeta._parallel.WORTH_A_PROCESS", 0.0)


def one_by_one(model):
    return make_pipeline(StandardScaler(), model)


REGRESSION = make_task_regression(9, 7, 2, shuffle=True, random_state=0)
CLASSES = make_task_classification(9, 12, 2, shuffle=True, random_state=0)


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])


@pytest.mark.parametrize(
    "model, scoring",
    [
        (FMRLRegressor(), None),
        (MixedEffectsRegressor(), ["r2", "neg_mean_absolute_error"]),
        (one_by_one(FMRLRegressor(task_parameter="average")), None),
        (FMRLClassifier(), "neg_log_loss"),
        (one_by_one(MixedEffectsClassifier()), None),
    ],
    ids=repr,
)
@pytest.mark.parametrize("n_jobs", [2, 5, -1])
def test_few_shot_scores_do_not_depend_on_n_jobs(model, scoring, n_jobs, eager):
    data = CLASSES if is_classifier(model) else REGRESSION
    options = {"shots": (0, 3, 1), "scoring": scoring, "cv": 3}
    one = few_shot_scores(model, *data, **options)
    with parallel_config(backend="threading"):
        assert_same(few_shot_scores(model, *data, **options, n_jobs=n_jobs), one)
    with parallel_config(backend="threading", n_jobs=n_jobs):
        assert_same(few_shot_scores(model, *data, **options), one)


def test_few_shot_display_does_not_depend_on_n_jobs(eager):
    X, y, tasks = REGRESSION
    model = FMRLRegressor().fit(X, y, tasks=tasks)
    options = {"n_shots": (0, 2), "baselines": {"ridge": Ridge().fit(X, y)}}
    shown = []
    for n_jobs in (None, 2, 5):
        with parallel_config(backend="threading"):
            axes = Figure().subplots()
            shown.append(
                FewShotDisplay.from_estimator(
                    model, X, y, tasks, ax=axes, n_jobs=n_jobs, **options
                )
            )
    for other in shown[1:]:
        np.testing.assert_array_equal(other.scores, shown[0].scores)
        assert_same(other.baselines, shown[0].baselines)


@pytest.mark.parametrize(
    "model",
    [
        FMRLRegressor(),
        FMRLRegressor(OGDRegressor("absolute_error"), meta_batch_size=4),
        FMRLRegressor(OGDRegressor(update="eg", radius=5.0), standardize=False),
        MixedEffectsRegressor(),
        FMRLClassifier(),
        MixedEffectsClassifier(),
    ],
    ids=repr,
)
def test_reports_do_not_depend_on_n_jobs(model, eager):
    data = CLASSES if is_classifier(model) else REGRESSION
    one, best = regret_report(model, *data), omniscient(model, *data)
    model = clone(model).set_params(n_jobs=3)
    with parallel_config(backend="threading"):
        two, same = regret_report(model, *data), omniscient(model, *data)
    for name in ("optima", "loss", "optimal_loss", "bound", "task_parameters"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert (one.radius, one.n_without_optimum) == (two.radius, two.n_without_optimum)
    assert_same(best, same)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
@pytest.mark.parametrize("standardize", [True, False])
def test_optima_do_not_depend_on_n_jobs(loss, standardize, eager):
    X, y, tasks = make_task_regression(40, 4, 6, random_state=0)  # not unique
    model = FMRLRegressor(
        OGDRegressor(loss), task_parameter="optimum", standardize=standardize
    )
    one = clone(model).fit(X, y, tasks=tasks)
    with parallel_config(backend="threading"):
        two = model.set_params(n_jobs=3).fit(X, y, tasks=tasks)
    np.testing.assert_array_equal(one.task_coef_, two.task_coef_)


def test_errors_of_jobs_reach_the_caller(eager):
    X, y, tasks = REGRESSION
    X = X.copy()
    X[tasks == 3] = 1e308
    model = FMRLRegressor(n_jobs=2)
    with parallel_config(backend="threading"):
        with pytest.raises(ValueError, match="[Tt]ask 3"):
            regret_report(model, X, y, tasks)
        with pytest.raises(ValueError, match="[Tt]ask 3"):
            few_shot_scores(model, X, y, tasks, n_jobs=2)


def test_what_takes_no_time_is_not_distributed(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("distributed")

    monkeypatch.setattr("skmeta._parallel.in_processes", refuse)
    monkeypatch.setattr("skmeta._parallel.WORTH_A_PROCESS", 1e9)
    few_shot_scores(FMRLRegressor(), *REGRESSION, cv=3, n_jobs=2)
    monkeypatch.setattr("skmeta._parallel.WORTH_A_PROCESS", 0.0)
    with pytest.raises(AssertionError, match="distributed"):
        few_shot_scores(FMRLRegressor(), *REGRESSION, cv=3, n_jobs=2)


@pytest.mark.slow
def test_results_of_processes_are_the_same(eager):
    """Also with what is configured here, and with functions made here."""
    X, y, tasks = REGRESSION
    frame = pd.DataFrame(X, columns=["a", "b"])
    with config_context(transform_output="pandas"):
        scorers = {"mse": make_scorer(lambda y, z: np.mean((y - z) ** 2)), "r2": "r2"}
        model = make_pipeline(StandardScaler(), FMRLRegressor())
        one, two = (
            few_shot_scores(model, frame, y, tasks, scoring=scorers, n_jobs=n)
            for n in (None, 2)
        )
    assert_same(one, two)
    for model in (FMRLRegressor(n_jobs=2), MixedEffectsRegressor(n_jobs=2)):
        two = regret_report(model, X, y, tasks)
        one = regret_report(model.set_params(n_jobs=1), X, y, tasks)
        np.testing.assert_array_equal(one.optima, two.optima)
        np.testing.assert_array_equal(one.bound, two.bound)
