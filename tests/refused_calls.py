"""Kinds of calls that are refused, of both families.

A kind is a function of a case of `fuzz`: it makes a method, its arguments and the
expected message, or None where it does not apply.
"""

from __future__ import annotations

import hostile
import numpy as np
import scipy.sparse as sp

from skmeta.linear_model import OGDRegressor
from skmeta.losses import ResidualLoss
from skmeta.meta_step_size import MetaStepSize
from skmeta.step_size import StepSize

# ---- parts and values of third parties that fail


class Refusing(StepSize):
    """A step size of a third party that fails in some way after some tasks."""

    def __init__(self, how="shape", after=1):
        self.how, self.after = how, after

    def start(self, shape):
        return np.zeros(1)

    def propose(self, state, n_samples, eta0):
        if state[0] < self.after:
            return 0.1
        if self.how == "error":
            raise ArithmeticError("an error of a third party")
        return {"shape": np.ones((7, 9)), "text": "large", "negative": -1.0}[self.how]

    def observe(self, state, displacement, grad_sq, n_samples, n_tasks):
        state[0] = n_tasks


class RefusingShare(MetaStepSize):
    def __init__(self, value=2.0):
        self.value = value

    def share(self, state, n_tasks, weight, is_first):
        state[:] = 9.0
        return self.value


class RefusingLoss(ResidualLoss):
    """A loss of a third party that returns a wrong shape."""

    has_minimum = True

    def f_value(self, s):
        return np.zeros(17)

    def f_slope(self, s):
        return np.zeros((2, 17))

    def f_curvature(self, s):
        return np.zeros(17)


class NoHash:
    """A label whose hash is an error of its class."""

    def __hash__(self):
        raise ArithmeticError("an error of a label")


class NoArray:
    """Features whose conversion is an error of their class."""

    def __array__(self, dtype=None, copy=None):
        raise ArithmeticError("an error of X")


# ---- makers of kinds


def of_table(name, change, message):
    """A kind from `hostile`: some arguments of a call of thirty rows are replaced."""

    def make(case):
        call = case.rows()
        call["tasks"] = np.array(list("abcdef"), dtype="U9")[np.arange(30) // 5]
        changed = change(call)
        if case.family == "mixed" and sp.issparse(changed.get("X")):
            return "partial_fit", call | changed | case.classes, "takes dense features"
        if sp.issparse(changed.get("X")) and not case.takes_sparse:
            return None
        expected = message.replace("FMRLRegressor", type(case.model).__name__)
        expected = expected.replace("'x1'", "('x1'|1)")  # if other calls had no names
        method = "partial_fit"
        if name in ("continuous", "mixed") or case.rng.random() < 0.3:
            method = "fit"
        if (method, name) in {("fit", "new class"), ("fit", "new class as float")}:
            method = "partial_fit"
        options = case.classes if method == "partial_fit" else {}
        return method, call | changed | options, expected

    return make


def with_params(expected, **params):
    """A good call with parameters that are refused, when read or during learning."""

    def make(case):
        if not params.keys() <= case.model.get_params(deep=False).keys():
            return None
        return {"params": params}, case.rows() | case.classes, expected

    return make


def corrupt(change):
    """A CSR matrix whose parts do not fit together."""

    def make(case):
        call = case.rows()
        X = sp.csr_matrix(call["X"])
        parts = {"data": X.data, "indices": X.indices.copy(), "indptr": X.indptr.copy()}
        for name, value in change(parts).items():
            setattr(X, name, value)
        expected = "corrupt CSR|takes dense features|indices of a sparse X must"
        return "partial_fit", call | {"X": X} | case.classes, expected

    return make


def put(array, place, value):
    array = array.copy()
    array[place] = value
    return array


def objects(values):
    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        array[i] = value
    return array


def call_of(method, change, expected, needs=lambda case: True):
    """Another method, with arguments changed; `needs` says whether it applies."""

    def make(case):
        if not hasattr(case.twin, "coef_") or not needs(case):
            return None
        call = case.rows()
        return method, change(call), expected

    return make


def huge(size):
    def make(case):
        call = case.rows()
        changed = {"X": call["X"] * size}
        if case.kind == "regressor":
            changed = {"X": put(call["X"], 28, size), "y": put(call["y"], 28, size)}
        return "partial_fit", call | changed | case.classes, "(?s).{40}"

    return make


# ---- the kinds

REFUSES_STEP = "Refusing.propose|step_size changed"  # or other ones were used before

KINDS = {
    **{
        f"hostile: {name}": of_table(name, *entry)
        for name, entry in hostile.cases(hostile.BAD_X, hostile.BAD_CALLS).items()
    },
    "width": lambda case: (
        (
            "partial_fit",
            case.rows() | {"X": np.ones((30, 5)), "tasks": None, **case.classes},
            "has 5 features",
        )
        if hasattr(case.twin, "coef_")
        else None
    ),
    "label without hash": lambda case: (
        "partial_fit",
        case.rows() | {"tasks": [NoHash()] * 30} | case.classes,
        "(?i)an error of a label|label",
    ),
    "X is an error": lambda case: (
        "partial_fit",
        case.rows() | {"X": NoArray()} | case.classes,
        "an error of X",
    ),
    "y of pairs": lambda case: (
        "partial_fit",
        case.rows() | {"y": [(1.0, 2.0)] * 30} | case.classes,
        "(?i)y ",
    ),
    "y of lists of objects": lambda case: (
        "partial_fit",
        case.rows() | {"y": objects([(1.0, 2.0)] * 30)} | case.classes,
        "(?i)y ",
    ),
    "y of dictionaries": lambda case: (
        "partial_fit",
        case.rows() | {"y": objects([{}] * 30)} | case.classes,
        "(?i)y |Unknown label type",
    ),
    "huge 1e300": huge(1e300),
    "CSR: column too large": corrupt(lambda p: {"indices": put(p["indices"], 7, 3)}),
    "CSR: column negative": corrupt(lambda p: {"indices": put(p["indices"], 7, -1)}),
    "CSR: pointers decrease": corrupt(lambda p: {"indptr": put(p["indptr"], 2, 80)}),
    "CSR: pointers too long": corrupt(lambda p: {"indptr": put(p["indptr"], -1, 9999)}),
    "CSR: pointer negative": corrupt(lambda p: {"indptr": put(p["indptr"], 0, -4)}),
    "CSR: pointers missing": corrupt(lambda p: {"indptr": p["indptr"][:-3]}),
    "CSR: indices missing": corrupt(lambda p: {"indices": p["indices"][:-3]}),
    "CSR: wide column": corrupt(
        lambda p: {"indices": put(p["indices"].astype(np.int64), 7, 2**32 + 1)}
    ),
    "params: n_jobs": with_params("n_jobs", n_jobs="many"),
    "params: on_bad_task": with_params("on_bad_task", on_bad_task="ignore"),
    "params: step size shape": with_params(
        REFUSES_STEP,
        step_size=Refusing(),
        meta_batch_size=1,
        estimator=None,
        init="zero",
    ),
    "params: step size text": with_params(
        REFUSES_STEP,
        step_size=Refusing("text", 3),
        estimator=None,
        init="zero",
    ),
    "params: step size negative": with_params(
        REFUSES_STEP,
        step_size=Refusing("negative", 4),
        estimator=None,
        init="zero",
    ),
    "params: step size raises": with_params(
        "error of a third party|step_size changed",
        step_size=Refusing("error", 2),
        estimator=None,
        init="zero",
    ),
    "params: meta step size": with_params(
        "RefusingShare.share|changed", meta_step_size=RefusingShare()
    ),
    "params: max_iter": with_params("max_iter", max_iter=0),
    "params: covariance": with_params("covariance", covariance="round"),
    "params: random_effects": with_params("random_effects", random_effects=["size"]),
    "params: init": lambda case: (
        None
        if hasattr(case.twin, "coef_")  # only a first call uses it
        else with_params("init", init="random")(case)
    ),
    "adapt: nan": call_of(
        "adapt",
        lambda c: {"X": put(c["X"], (3, 1), np.nan), "y": c["y"]},
        "row 3 of the task",
    ),
    "adapt: width": call_of(
        "adapt", lambda c: {"X": c["X"][:, :2], "y": c["y"]}, "has 2 features"
    ),
    "adapt: short y": call_of(
        "adapt", lambda c: {"X": c["X"], "y": c["y"][:-1]}, "inconsistent"
    ),
    "predict: width": call_of(
        "predict", lambda c: {"X": c["X"][:, :2]}, "has 2 features"
    ),
    "predict: nan": call_of(
        "predict", lambda c: {"X": put(c["X"], (3, 1), np.nan)}, "NaN"
    ),
    "predict: labels": call_of(
        "predict", lambda c: {"X": c["X"], "tasks": ["a"] * 7}, "one label per row"
    ),
    "predict: unknown": call_of(
        "predict",
        lambda c: {"X": c["X"], "tasks": ["unheard"] * 30},
        "is unknown",
        lambda case: case.model.unknown_task == "raise",
    ),
    "score: short y": call_of(
        "score", lambda c: {"X": c["X"], "y": c["y"][:-1]}, "inconsistent"
    ),
    "forget: unknown": call_of(
        "forget",
        lambda c: {"labels": ["unheard"]},
        "is unknown, so it cannot be forgotten",
        lambda case: case.family == "mixed",
    ),
    "classes: others": lambda case: (
        (
            "partial_fit",
            case.rows() | {"classes": [0, 7]},
            "classes",
        )
        if case.kind == "classifier" and hasattr(case.twin, "coef_")
        else None
    ),
}
KINDS_OF = {}
KINDS_OF["regressor"] = (
    KINDS
    | {
        f"hostile: {name}": of_table(name, *entry)
        for name, entry in hostile.cases(
            hostile.BAD_Y["regressor"], hostile.WRONG_KIND["regressor"]
        ).items()
    }
    | {
        "params: loss": with_params(
            "RefusingLoss|step_size changed", estimator=OGDRegressor(RefusingLoss())
        )
    }
)
KINDS_OF["classifier"] = KINDS | {
    f"hostile: {name}": of_table(name, *entry)
    for name, entry in hostile.cases(
        hostile.BAD_Y["classifier"],
        hostile.NO_CLASS,
        hostile.WRONG_KIND["classifier"],
    ).items()
}
