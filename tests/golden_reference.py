"""How a golden case is learned and what is recorded of it, for any version.

A case is a dict that JSON can hold: the estimator and its parts by name and keyword
arguments, the container of X, the weights, and the way in which tasks arrive. The data
stand in the file of golden numbers, so that no generator of random numbers has to
agree between versions.
"""

import gzip
import json
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

PATH = Path(__file__).parent / "golden" / "fmrl.json.gz"
HISTORY_FIELDS = ("loss", "distance", "grad_sq_norm", "step_size")
REPORT_FIELDS = ("loss", "optimal_loss", "distance_term", "gradient_term")
SHOWN_TASKS = (0, 1, -1)  # of the known ones, in order of first appearance
N_SHOTS = 5  # rows of the task that adapt learns
CONTAINERS = {
    "dense64": np.asarray,
    "dense32": lambda X: np.asarray(X, dtype=np.float32),
    "csr64": sp.csr_matrix,
    "csr32": lambda X: sp.csr_matrix(np.asarray(X, dtype=np.float32)),
}
CLASSES = {"regression": None, "two": [0, 1], "three": ["a", "b", "c"]}


def load():
    """The data and the cases, each with its numbers under 'expected'."""
    return json.loads(gzip.decompress(PATH.read_bytes()))


class Rows:
    """The rows of a case.

    Parameters
    ----------
    data : dict
        `X`, `tasks`, `weight` and, for every kind of target, y; task by task. `X_new`
        and `y_new` are a task that is learned by `adapt` alone.
    case : dict
    """

    def __init__(self, data, case):
        self.container = CONTAINERS[case["container"]]
        self.X = self.container(np.array(data["X"]))
        self.tasks = np.array(data["tasks"])
        self.y = np.array(data["y"][case["target"]])
        self.X_new = self.container(np.array(data["X_new"]))
        self.y_new = np.array(data["y_new"][case["target"]])
        self.weight = None
        if case["weights"]:
            self.weight = np.array(data["weight"])
            if case["weights"] == "some_zero":
                self.weight[::7] = 0.0
        self.classes = CLASSES[case["target"]]

    def part(self, rows, *, labelled, with_classes):
        """The arguments of one call: (X, y), keywords."""
        options = {}
        if labelled:
            options["tasks"] = self.tasks[rows]
        if self.weight is not None:
            options["sample_weight"] = self.weight[rows]
        if with_classes and self.classes is not None:
            options["classes"] = self.classes
        return (self.X[rows], self.y[rows]), options


def learn(model, rows, arrival):
    """Let the tasks of a case arrive in the manner that it names.

    'fit': one call, every task's rows together. 'fit_mixed': one call, rows of the
    tasks interleaved. 'fit_one': one call without labels. 'calls': `partial_fit` with
    one task at a time, and the first three once more. 'plain': the same without
    labels. 'groups': `partial_fit` with five tasks at a time, then two that return
    beside the last. 'fit_calls': `fit` with six tasks, `partial_fit` with the rest and
    two that return.
    """
    names = np.unique(rows.tasks)
    everything = np.arange(len(rows.tasks))
    of = {name: np.flatnonzero(rows.tasks == name) for name in names}

    def joined(some):
        return np.concatenate([of[name] for name in some])

    def fit(some, labelled=True):
        arguments, options = rows.part(some, labelled=labelled, with_classes=False)
        model.fit(*arguments, **options)

    def partial_fit(some, labelled=True):
        arguments, options = rows.part(some, labelled=labelled, with_classes=True)
        model.partial_fit(*arguments, **options)

    if arrival == "fit":
        fit(everything)
    elif arrival == "fit_mixed":
        fit(np.argsort((everything * 29) % len(everything), kind="stable"))
    elif arrival == "fit_one":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # says that all are one task
            fit(everything, labelled=False)
    elif arrival in ("calls", "plain"):
        for name in (*names, *names[:3]):
            partial_fit(of[name], labelled=arrival == "calls")
    elif arrival == "groups":
        for group in (names[:5], names[5:10], (*names[10:], *names[2:4])):
            partial_fit(joined(group))
    else:
        fit(joined(names[:6]))
        partial_fit(joined(names[6:]))
        partial_fit(joined(names[1:3]))
    return model


def numbers(model, rows, case, report=None):
    """What is recorded of a learned model, as float64 arrays by name."""
    found = {"coef": model.coef_, "intercept": model.intercept_}
    found["step_size"] = model.step_size_
    for name in HISTORY_FIELDS:
        found[f"history {name}"] = model.history_[name]
    if case["arrival"] not in ("fit_one", "plain"):
        shown = list(SHOWN_TASKS)
        found["task_coef"] = model.task_coef_[shown]
        found["task_intercept"] = model.task_intercept_[shown]
    adapted = model.adapt(rows.X_new[:N_SHOTS], rows.y_new[:N_SHOTS])
    found["adapted coef"] = adapted.coef_
    found["adapted intercept"] = adapted.intercept_
    if case["report"] and report is not None:
        tasks = None if case["arrival"] == "plain" else rows.tasks
        made = report(model, rows.X, rows.y, tasks)
        for name in REPORT_FIELDS:
            found[f"report {name}"] = getattr(made, name)
    return {name: np.asarray(value, dtype=float) for name, value in found.items()}


def run(model, data, case, report):
    """Learn a case, and what is recorded of it."""
    rows = Rows(data, case)
    with warnings.catch_warnings():
        # an inner learner of scikit-learn's takes one pass and may say so
        warnings.simplefilter("ignore", ConvergenceWarning)
        return numbers(learn(model, rows, case["arrival"]), rows, case, report)


def unpack(expected):
    """The arrays of a case as stored; None stands for NaN."""
    return {
        name: np.array(one["values"], dtype=float).reshape(one["shape"])
        for name, one in expected.items()
    }


def largest(values):
    """The largest size of a finite entry, or 0."""
    return np.abs(values[np.isfinite(values)]).max(initial=0.0)
