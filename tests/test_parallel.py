"""Work in parallel: order, errors, and that everybody works."""

import threading

import pytest
from joblib import parallel_config
from threadpoolctl import threadpool_info

from skmeta._parallel import in_processes, in_threads, n_threads, one_blas_thread


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
