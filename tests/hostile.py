"""Calls that are refused, and how to see that they have changed nothing."""

from contextlib import contextmanager

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.linear_model import OGDClassifier, OGDRegressor

KINDS = {"regressor": FMRLRegressor, "classifier": FMRLClassifier}
on_both_kinds = pytest.mark.parametrize("kind", KINDS)
on_both_methods = pytest.mark.parametrize("method", ["fit", "partial_fit"])
on_both_loops = pytest.mark.parametrize(
    "standardize", [True, False], ids=["units", "raw"]
)
on_fresh_and_fitted = pytest.mark.parametrize("fitted", [False, True])
BAD = 28  # a row of the last task: its row 3


def good_call(kind):
    """Arguments of a call with six tasks of five rows."""
    make = make_task_regression if kind == "regressor" else make_task_classification
    X, y, tasks = make(6, 5, 3, random_state=0)
    return {"X": X, "y": y, "tasks": np.array(list("abcdef"))[tasks]}


def classes_of(kind):
    return {} if kind == "regressor" else {"classes": [0, 1]}


def diverging(kind):
    """Parameters of a model that diverges on large features, as a fixed step does."""
    inner = OGDRegressor if kind == "regressor" else OGDClassifier
    estimator = inner(update="ogd", eta0=1.0)
    return {"estimator": estimator, "step_size": "fixed", "standardize": False}


def started(kind, fitted, **params):
    """A model that knows nothing, or some tasks of other names."""
    model = KINDS[kind](**{"random_state": 0} | params)
    if fitted:
        call = good_call(kind)
        call["tasks"] = np.char.add(call["tasks"], "'")
        model.partial_fit(**call, **classes_of(kind))
    return model


def learn(model, method, call):
    """Call fit or partial_fit, naming the classes where that is needed."""
    kind = "regressor" if isinstance(model, FMRLRegressor) else "classifier"
    options = classes_of(kind) if method == "partial_fit" else {}
    return getattr(model, method)(**(options | call))


def everything(model):
    """Hashes of the model and of every public attribute."""
    names = [name for name in dir(model) if name.endswith("_") and name[0] != "_"]
    values = {name: getattr(model, name) for name in names if hasattr(model, name)}
    return joblib.hash(model), {key: joblib.hash(v) for key, v in values.items()}


@contextmanager
def unchanged(model):
    """Fails if the model has changed in any way at the end of the block."""
    before, attributes = everything(model), vars(model).copy()
    yield
    assert everything(model) == before
    assert vars(model).keys() == attributes.keys()
    assert all(value is attributes[name] for name, value in vars(model).items())


# ---- changes that spoil a call; `change(call)` returns the arguments that differ


def with_entry(name, value, convert=None, dtype=None):
    """Put a value into the bad row of X (its column 1) or of y or tasks."""

    def change(call):
        array = np.array(call[name], dtype=dtype)
        array[(BAD, 1) if name == "X" else BAD] = value
        return {name: array if convert is None else convert(array)}

    return change


def as_frame(X):
    return pd.DataFrame(X, columns=["x0", "x1", "x2"])


def words_and(value):
    """Words for y, and something else in the bad row."""

    def change(call):
        y = np.array(["no", "yes"], dtype=object)[(call["y"] > 0).astype(int)]
        y[BAD] = value
        return {"y": y}

    return change


IN_X = "^Task 'f': X contains NaN or infinity in row 3 of the task, feature {}.*Drop"
IN_Y = "^Task 'f': y is {} in row 3 of the task.*Drop the row"
# These name the task, and can be skipped.
BAD_X = {
    "nan": (with_entry("X", np.nan), IN_X.format(1)),
    "inf": (with_entry("X", -np.inf), IN_X.format(1)),
    "nan in CSR": (with_entry("X", np.nan, sp.csr_array), IN_X.format(1)),
    "inf in CSR": (with_entry("X", np.inf, sp.csr_matrix), IN_X.format(1)),
    "nan in frame": (with_entry("X", np.nan, as_frame), IN_X.format("'x1'")),
    "nan in single": (with_entry("X", np.nan, np.float32), IN_X.format(1)),
    "None in objects": (with_entry("X", None, dtype=object), IN_X.format(1)),
}
BAD_Y = {
    "regressor": {
        "y nan": (with_entry("y", np.nan), IN_Y.format("nan")),
        "y inf": (with_entry("y", np.inf), IN_Y.format("inf")),
        "y None": (with_entry("y", None, dtype=object), IN_Y.format("None")),
        "y NA": (
            with_entry("y", pd.NA, pd.Series, dtype=object),
            IN_Y.format("<NA>"),
        ),
        "y Float64": (
            with_entry("y", np.nan, lambda y: pd.Series(y, dtype="Float64")),
            IN_Y.format("(nan|<NA>)"),
        ),
    },
    "classifier": {
        "y nan": (with_entry("y", np.nan, dtype=float), IN_Y.format("nan")),
        "y inf": (with_entry("y", np.inf, dtype=float), IN_Y.format("inf")),
    },
}
NO_CLASS = {
    "new class": (with_entry("y", 9), IN_Y.format("9")),
    "new class as float": (with_entry("y", 9, dtype=float), IN_Y.format("9.0")),
}
# These concern the whole call.
BAD_CALLS = {
    "no rows": (lambda c: {k: v[:0] for k, v in c.items()}, "0 sample.*minimum of 1"),
    "1-d X": (lambda c: {"X": c["X"][:, 0]}, "Expected 2D array, got 1D array"),
    "no columns": (
        lambda c: {"X": c["X"][:, :0], "tasks": None},
        r"0 feature\(s\).*minimum of 1",
    ),
    "X of words": (lambda c: {"X": np.full((30, 3), "a")}, "feature must be a number"),
    "complex X": (lambda c: {"X": c["X"] + 1j}, "Complex data not supported"),
    "complex y": (lambda c: {"y": c["y"] + 1j}, "Complex data not supported"),
    "no y": (lambda c: {"y": None}, "requires y"),
    "short y": (lambda c: {"y": c["y"][:-1]}, r"inconsistent.*\[30, 29\]"),
    "y of two columns": (lambda c: {"y": np.ones((30, 2))}, "y should be a 1d array"),
    "short tasks": (lambda c: {"tasks": c["tasks"][:-1]}, "one label per row.*30"),
    "task None": (
        with_entry("tasks", None, dtype=object),
        r"missing label \(None\) in row 28",
    ),
    "task NA": (
        with_entry("tasks", pd.NA, pd.Series, dtype=object),
        r"missing label \((<NA>|nan)\) in row 28",
    ),
    "short weights": (lambda c: {"sample_weight": np.ones(29)}, "sample_weight"),
    "nan weight": (lambda c: {"sample_weight": np.full(30, np.nan)}, "sample_weight"),
    "negative": (lambda c: {"sample_weight": np.full(30, -1.0)}, "sample_weight"),
}
NO_WEIGHT = (lambda c: {"sample_weight": np.zeros(30)}, "(?i)sample weights.*zero")
WRONG_KIND = {
    "regressor": {
        "words": (words_and("no"), "y must hold numbers for FMRLRegressor.*'(no|yes)'"),
    },
    "classifier": {
        "continuous": (lambda c: {"y": np.linspace(0, 1, 30)}, "continuous"),
        "mixed": (words_and(1), "class labels.*of one kind"),
    },
}


def cases(*tables):
    return {name: case for table in tables for name, case in table.items()}


def parametrized(table, names="change, message"):
    return pytest.mark.parametrize(names, list(table.values()), ids=list(table))


def by_kind(common, special):
    """Cases of both kinds of model."""
    return pytest.mark.parametrize(
        "kind, change, message",
        [
            pytest.param(kind, *case, id=f"{kind}-{name}")
            for kind in KINDS
            for name, case in cases(common, special.get(kind, {})).items()
        ],
    )
