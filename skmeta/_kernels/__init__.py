"""One name per kernel; the compiled modules win when they were built."""

try:
    from skmeta._kernels._leaders_fast import (
        logistic_leaders,
        logistic_posteriors,
        ridge_leaders,
        roots,
    )
    from skmeta._kernels._loops_fast import (
        encode_labels,
        learn_tasks,
        run_task,
        score_rows,
    )

    COMPILED = True
except (
    ModuleNotFoundError
):  # not built; a broken build raises ImportError and must show
    from skmeta._kernels._leaders_py import (
        logistic_leaders,
        logistic_posteriors,
        ridge_leaders,
        roots,
    )
    from skmeta._kernels._loops_py import (
        encode_labels,
        learn_tasks,
        run_task,
        score_rows,
    )

    COMPILED = False

__all__ = [
    "COMPILED",
    "encode_labels",
    "learn_tasks",
    "logistic_leaders",
    "logistic_posteriors",
    "ridge_leaders",
    "roots",
    "run_task",
    "score_rows",
]
