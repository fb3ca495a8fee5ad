"""Work in parallel whose results are in order and do not depend on who did what.

Functions that release the global interpreter lock run in threads. Others run where
joblib runs them: in processes, or as :func:`joblib.parallel_config` says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
from joblib import cpu_count, effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

T = TypeVar("T")

# A thread is started in about 0.1 ms; a process of joblib takes a batch, and the next
# one, about 10 ms later, once it runs.
WORTH_A_THREAD = 2_000_000  # multiplications, about 1 ms
WORTH_A_TASK = 200_000  # multiplications that outweigh the calls of a task in Python
WORTH_A_PROCESS = 0.1  # seconds
CHUNKS_PER_WORKER = 4  # so that workers end at the same time


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


def in_jobs(
    function: Callable[..., T],
    arguments: Sequence[tuple[Any, ...]],
    n_jobs: int | None,
    seconds: float,
) -> list[T]:
    """function(*one) for every tuple of arguments, by joblib if that pays.

    `seconds` is about the time of all calls, see `timed`.
    """
    if effective_n_jobs(n_jobs) > 1 and seconds >= WORTH_A_PROCESS:
        return in_processes(function, arguments, n_jobs)
    with one_blas_thread():
        return [function(*one) for one in arguments]


def timed(function: Callable[..., T], *arguments: Any) -> tuple[T, float]:
    """function(*arguments), and the seconds that it took."""
    with one_blas_thread():
        begin = perf_counter()
        return function(*arguments), perf_counter() - begin


def chunks_of(n_items: int, n_jobs: int | None) -> list[tuple[int, int]]:
    """Chunks for `in_jobs` of all items except the first: (first, last + 1)."""
    n_chunks = min(CHUNKS_PER_WORKER * effective_n_jobs(n_jobs), n_items - 1)
    edges = np.linspace(1, n_items, n_chunks + 1).astype(int).tolist()
    return list(pairwise(edges))


def map_items(
    function: Callable[..., T], items: Sequence[Any], n_jobs: int | None, *shared: Any
) -> list[T]:
    """function(item, *shared) for every item, by joblib in chunks if that pays."""
    if len(items) < 2:
        return _of_each(function, items, *shared)
    first, seconds = timed(function, items[0], *shared)
    parts = chunks_of(len(items), n_jobs)
    arguments = [(function, items[slice(*part)], *shared) for part in parts]
    found = in_jobs(_of_each, arguments, n_jobs, seconds * (len(items) - 1))
    return [first, *(one for part in found for one in part)]


def _of_each(function: Callable[..., T], items: Sequence[Any], *shared: Any) -> list[T]:
    return [function(item, *shared) for item in items]


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
