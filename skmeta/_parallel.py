"""Work in parallel whose results are in order and do not depend on who did what.

Functions that release the global interpreter lock run in threads. Others run where
joblib runs them: in processes, or as :func:`joblib.parallel_config` says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

from joblib import Parallel, cpu_count, delayed, effective_n_jobs

T = TypeVar("T")

# A thread is started in about 0.1 ms; a process of joblib takes a batch, and the next
# one, about 10 ms later, once it runs.
WORTH_A_THREAD = 2_000_000  # multiplications, about 1 ms
WORTH_A_TASK = 200_000  # multiplications that outweigh the calls of a task in Python
WORTH_A_PROCESS = 0.1  # seconds


def n_threads(n_jobs: int | None) -> int:
    """How many threads `n_jobs` stands for, at most one per processor."""
    return min(effective_n_jobs(n_jobs), cpu_count())


def in_threads(
    function: Callable[..., T], arguments: Sequence[tuple[Any, ...]], n_jobs: int | None
) -> list[T]:
    """function(*one) for every tuple of arguments, in threads that take the next one.

    The calling thread is one of them, and nobody waits in steps, so that a batch of a
    millisecond is worth it. After an error no further work is started.
    """
    results: list[Any] = [None] * len(arguments)
    waiting = deque(enumerate(arguments))

    def work() -> None:
        while True:
            try:
                number, one = waiting.popleft()
            except IndexError:
                return
            try:
                results[number] = function(*one)
            except BaseException:
                waiting.clear()
                raise

    n_others = min(n_threads(n_jobs), len(arguments)) - 1
    if n_others < 1:
        work()
        return results
    with ThreadPoolExecutor(n_others) as pool:
        others = [pool.submit(work) for _ in range(n_others)]
        work()
    for other in others:
        other.result()
    return results


def in_processes(
    function: Callable[..., T], arguments: Sequence[tuple[Any, ...]], n_jobs: int | None
) -> list[T]:
    """function(*one) for every tuple of arguments, by joblib, in one thread of BLAS."""
    jobs = (delayed(_call)(function, *one) for one in arguments)
    with one_blas_thread():  # for a backend of threads
        return list(Parallel(n_jobs=n_jobs)(jobs))


def _call(function: Callable[..., T], *arguments: Any) -> T:
    with one_blas_thread():
        return function(*arguments)


def one_blas_thread() -> Any:
    """A context with one thread of BLAS, whose number can change bits of a product."""
    return _controller().limit(limits=1, user_api="blas")


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController  # a requirement of scikit-learn

    return ThreadpoolController()
