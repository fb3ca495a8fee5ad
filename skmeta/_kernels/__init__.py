"""One name per kernel; the compiled modules win when they were built."""

# Not built is a ModuleNotFoundError; a broken build raises ImportError and must show.
try:
    from skmeta._kernels._loops_fast import learn_tasks, run_task, score_rows

    COMPILED = True
except ModuleNotFoundError:
    from skmeta._kernels._loops_py import learn_tasks, run_task, score_rows

    COMPILED = False
try:
    from skmeta._kernels._leaders_fast import (
        logistic_leaders,
        logistic_posteriors,
        ridge_leaders,
        roots,
    )
except ModuleNotFoundError:
    from skmeta._kernels._leaders_py import (
        logistic_leaders,
        logistic_posteriors,
        ridge_leaders,
        roots,
    )

__all__ = [
    "COMPILED",
    "learn_tasks",
    "logistic_leaders",
    "logistic_posteriors",
    "ridge_leaders",
    "roots",
    "run_task",
    "score_rows",
]
