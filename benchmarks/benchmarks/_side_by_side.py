"""What a benchmark class is, to airspeed velocity and to `run.py`."""

import time


class SideBySide:
    """The same work in skmeta and in scikit-learn.

    A class has `time_skmeta` and, where there is a counterpart, `time_sklearn`; or
    `track_skmeta` and `track_sklearn`, which return a figure in `unit`.
    `track_difference` is the largest difference of what skmeta computes in this work
    to a loop in scikit-learn that runs the same algorithm. `setup` raises
    NotImplementedError to skip, as airspeed velocity has it.

    Attributes
    ----------
    timer : callable
    per : str
        What `n_units` counts.
    n_units : dict
        How many of them 'skmeta' and 'sklearn' handle in a timed call.
    varies : bool
        Whether a figure differs from round to round; if not, one round is enough.
    """

    timer = time.process_time
    per = "task"
    varies = True
    param_names = ()
    params = ()


def import_pandas():
    """pandas, or skip the benchmark."""
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise NotImplementedError("pandas is not installed") from error
    return pandas
