"""Refused and interrupted calls among good ones: none changes a model.

    python tests/fuzz.py --calls 10000 --seed 1

Models of every combination of parts learn from a stream. Good calls go to a model and
to a twin. Refused calls, and calls that are interrupted at a random instruction of the
package, go to the model only: they must not change a byte of it, and it must remain
equal to the twin, to the last bit of every attribute.
"""

from __future__ import annotations

import argparse
import io
import pickle
import re
import sys
import warnings
from collections import Counter
from copy import deepcopy
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from refused_calls import KINDS_OF
from sklearn.linear_model import SGDClassifier, SGDRegressor
from third_party.inner_learner import LMSRegressor
from third_party.meta_step_size import ExponentialAverage
from third_party.step_size import BestOnAverage

import skmeta
from skmeta import (
    FMRLClassifier,
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
)
from skmeta.linear_model import (
    BiasedLogisticRegression,
    BiasedRidge,
    OGDClassifier,
    OGDRegressor,
)
from skmeta.meta_step_size import Discounted, LinearDecay
from skmeta.step_size import ARUBA

PACKAGE = str(Path(skmeta.__file__).parent)

# ---- models


def options_of(kind, family):
    """The values of every parameter that are combined."""
    shared = {
        "store_tasks": [True, True, False],
        "warm_start": [False, True],
        "unknown_task": ["shared", "raise"],
        "n_jobs": [None, 2],
    }
    if kind == "classifier":
        shared["class_weight"] = [None, None, {0: 2.0, 1: 0.5}]
    if family == "mixed":
        return shared | {
            "covariance": ["auto", "diagonal", "full"],
            "random_effects": ["all", "intercept", [0, 2]],
            "between": ["auto", True, False],
            "max_iter": [50, 3],
            "half_life": [None, 5.0],
            "window": [None, 3],
            "fit_intercept": [True, True, False],
        }
    ogd = OGDRegressor if kind == "regressor" else OGDClassifier
    exact = BiasedRidge if kind == "regressor" else BiasedLogisticRegression
    sgd = SGDRegressor if kind == "regressor" else SGDClassifier
    updates = [ogd(update=name) for name in ("ogd", "implicit", "ftrl", "coin")]
    other = [ogd(average=True), exact(), sgd(shuffle=False)]
    other += [LMSRegressor()] if kind == "regressor" else []
    return shared | {
        "estimator": [
            None,
            *updates,
            *other,
        ],
        "step_size": [None, "fixed", 0.1, "isotropic", "per_coordinate", "doubling"]
        + [ARUBA(), BestOnAverage()],
        "meta_step_size": ["ftl", "ftl", 0.3, LinearDecay(1.0), Discounted(9.0)]
        + [ExponentialAverage(5.0)],
        "task_parameter": ["last", "average", "regularized", "optimum"],
        "standardize": [True, False],
        "init": ["zero", "pooled"],
        "meta_batch_size": [1, 1, 2, 4],
        "n_passes": [1, 1, 2],
        "random_state": [0, "generator"],
    }


CLASSES = {
    ("regressor", "fmrl"): FMRLRegressor,
    ("classifier", "fmrl"): FMRLClassifier,
    ("regressor", "mixed"): MixedEffectsRegressor,
    ("classifier", "mixed"): MixedEffectsClassifier,
}


class Case:
    """A model, its twin, and how they are called.

    Attributes
    ----------
    kind : {'regressor', 'classifier'}
    family : {'fmrl', 'mixed'}
    model, twin : estimator
        The twin sees good calls only.
    n_classes : int
    """

    def __init__(self, rng):
        self.rng = rng
        while True:
            self.kind = rng.choice(["regressor", "classifier"])
            self.family = rng.choice(["fmrl", "mixed"])
            self.n_classes = int(rng.choice([2, 3]))
            options = options_of(self.kind, self.family)
            params = {name: pick(rng, values) for name, values in options.items()}
            if params.get("random_state") == "generator":
                params["random_state"] = np.random.RandomState(3)
            if (
                self.family == "fmrl" and rng.random() < 0.5
            ):  # more that can be combined
                for name in ("task_parameter", "step_size", "init"):
                    del params[name]
            if isinstance(params.get("estimator"), SGDClassifier | SGDRegressor):
                params["standardize"] = True  # they do not take single precision
            self.model = CLASSES[self.kind, self.family](**params)
            if self.learns():
                break
        self.twin = deepcopy(self.model)
        self.n_labels = 0

    def learns(self):
        """Whether the parts can be combined: some are refused, with a sentence."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                deepcopy(self.model).fit(**self.rows())
        except ValueError as error:
            assert len(str(error)) > 40, error
            return False
        return True

    def rows(self, n_tasks=6, n_rows=5, first=0):
        """Rows of labelled tasks; the first calls see new labels, the others some."""
        rng = self.rng
        tasks = np.repeat(np.arange(first, first + n_tasks), n_rows)
        X = rng.normal(size=(len(tasks), 3))
        score = X @ [1.0, -1.0, 0.5] + 0.3 * rng.normal(size=len(tasks))
        y = score
        if self.kind == "classifier":
            y = rng.permutation(np.arange(len(y)) % self.n_classes)  # never separable
        return {"X": X, "y": y, "tasks": np.array([f"task {t}" for t in tasks])}

    @property
    def classes(self):
        if self.kind == "regressor":
            return {}
        return {"classes": list(range(self.n_classes))}

    @property
    def takes_sparse(self):
        learner = getattr(self.model, "estimator", None)
        return self.family == "fmrl" and not isinstance(learner, LMSRegressor)

    def good_call(self):
        """A method, and its arguments."""
        rng, call = self.rng, self.rows()
        choice = rng.random()
        is_new = not hasattr(self.twin, "coef_")
        if (is_new and self.model.get_params().get("init") == "pooled") or choice < 0.1:
            return "fit", call
        if not is_new and choice < 0.15 and self.family == "mixed":
            return "refresh", {}
        if not is_new and choice < 0.2 and len(known := self.twin.task_labels_) > 5:
            if self.family == "mixed":
                return "forget", {"labels": [known[int(rng.integers(len(known)))]]}
        first = int(rng.integers(0, 30))
        call = self.rows(int(rng.integers(1, 5)), int(rng.integers(1, 7)), first)
        if rng.random() < 0.2:
            call = self.rows(1, 4) | {"tasks": None}
        if rng.random() < 0.2:
            call["sample_weight"] = rng.uniform(0.5, 2.0, len(call["y"]))
        if rng.random() < 0.1:  # not learned from, if there are enough others
            call["X"][-1, 1] = 1e6
        if rng.random() < 0.2 and self.takes_sparse:
            call["X"] = sp.csr_matrix(call["X"])
        return "partial_fit", call | self.classes


def pick(rng, values):
    return deepcopy(values[int(rng.integers(len(values)))])


# ---- equality


def bytes_of(model):
    """A pickle of all that a model holds, whatever is held once or twice."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file, protocol=5)
    pickler.fast = True  # equal objects give equal bytes
    pickler.dump(model)
    return file.getvalue()


def attributes_of(model):
    """Every public attribute, as bytes or lists that can be compared."""
    found = {}
    for name in dir(model):
        if name.endswith("_") and name[0] != "_" and hasattr(model, name):
            value = getattr(model, name)
            if isinstance(value, np.ndarray):
                names = value.dtype.names
                parts = [value[one] for one in names] if names else [value]
                value = [
                    part.tolist() if part.dtype.hasobject else part.tobytes()
                    for part in parts
                ] + [value.shape, str(value.dtype)]
            found[name] = repr(value) if isinstance(value, float) else value
    return found


def differing(model, twin):
    """Names of the attributes and predictions that differ."""
    one, other = attributes_of(model), attributes_of(twin)
    names = [
        name for name in one.keys() | other.keys() if one.get(name) != other.get(name)
    ]
    if "coef_" in one:
        X = np.random.default_rng(5).normal(size=(6, 3))
        known = list(model.task_labels_)
        tasks = (known + ["unheard"] * 6 * (model.unknown_task != "raise"))[:6]
        for labels in (None, tasks if len(tasks) == 6 else None):
            for method in ("predict", "predict_proba"):
                if hasattr(model, method):
                    results = [
                        getattr(each, method)(X, tasks=labels) for each in (model, twin)
                    ]
                    if results[0].tobytes() != results[1].tobytes():
                        names.append(method)
    return names


# ---- interrupts


class Interrupt:
    """Raises an error at the n-th instruction that the package executes in a block."""

    def __init__(self, n, error):
        self.left, self.error, self.n_seen = n, error, 0

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self._trace_calls)
        return self

    def __exit__(self, *exception):
        sys.settrace(self.before)

    def _trace_calls(self, frame, event, argument):
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._trace

    def _trace(self, frame, event, argument):
        if event == "opcode":
            self.n_seen += 1
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                raise self.error
        return self._trace


# ---- the loop


class Fuzz:
    """Counts of what happened; a wrong result is an AssertionError.

    Attributes
    ----------
    counts : Counter
        Of good, refused and interrupted calls.
    kinds : Counter
        Of refused calls by kind.
    messages : dict
        One message of every kind and family.
    """

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.counts, self.kinds, self.messages = Counter(), Counter(), {}
        self.n_instructions = {}
        self.case = None

    @property
    def n_bad(self):
        return self.counts["refused"] + self.counts["interrupted"]

    def run(self, n_calls, n_steps=40):
        while self.n_bad < n_calls:
            self.case = Case(self.rng)
            self.counts["models"] += 1
            for _ in range(n_steps):
                choice = self.rng.random()
                if choice < 0.3:
                    self.good(*self.case.good_call())
                elif choice < 0.7:
                    self.refused()
                else:
                    self.interrupted()

    def call(self, model, method, arguments):
        """Call it; the error, or None. Only the package may warn, about the data."""
        error = None
        with warnings.catch_warnings(record=True) as records:
            warnings.simplefilter("always")
            try:
                getattr(model, method)(**arguments)
            except (Exception, KeyboardInterrupt) as raised:
                error = raised
        foreign = [one for one in records if one.category is not UserWarning]
        assert not foreign, f"{method}: {foreign[0]}"
        return error

    def good(self, method, arguments, learned=False):
        """A call that model and twin take alike; `learned`: the model has had it."""
        case, before = self.case, bytes_of(self.case.model)
        error = None if learned else self.call(case.model, method, arguments)
        twin_error = self.call(case.twin, method, deepcopy(arguments))
        assert repr(error) == repr(twin_error), f"{error!r}, the twin: {twin_error!r}"
        if error is not None:  # some data cannot be learned by some parts
            if not isinstance(error, ValueError) or len(str(error)) < 40:
                raise AssertionError(f"{method}: {error!r}") from error
            assert bytes_of(case.model) == before
        self.counts["good"] += 1
        names = differing(case.model, case.twin)
        assert not names, f"after {method}, model and twin differ in {names}"

    def refused(self):
        """A call that must fail, say why, and change nothing."""
        case, kinds = self.case, KINDS_OF[self.case.kind]
        name = str(self.rng.choice(list(kinds)))
        made = kinds[name](case)
        if made is None:
            return
        method, arguments, expected = made
        params = {}
        if isinstance(method, dict):  # a good call with refused parameters
            params, method = method["params"], "partial_fit"
        if getattr(case.model, "init", None) == "pooled" and not hasattr(
            case.twin, "coef_"
        ):
            expected += "|init='pooled' computes"  # also a reason to refuse
        own = {key: getattr(case.model, key) for key in params}
        case.model.set_params(**params)
        before, values = bytes_of(case.model), vars(case.model).copy()
        error = self.call(case.model, method, arguments)
        where = f"{name}, {method}"
        assert error is not None, f"{where}: was accepted"
        assert isinstance(error, ValueError | TypeError | ArithmeticError), (
            f"{where}: {error!r}"
        )
        text = "\n".join([str(error), *getattr(error, "__notes__", [])])
        assert re.search(expected, text), f"{where}: {error!r}, expected {expected!r}"
        self.check_unchanged(before, values, where)
        for key, value in own.items():
            setattr(case.model, key, value)
        self.kinds[name] += 1
        self.counts["refused"] += 1
        self.messages[name, case.family] = f"{type(error).__name__}: {text}"

    def interrupted(self):
        """A good call that is stopped at any instruction."""
        case, rng = self.case, self.rng
        method, arguments = case.good_call()
        if rng.random() < 0.1 and hasattr(case.twin, "coef_"):
            method, call = "adapt", case.rows(1)
            arguments = {"X": call["X"], "y": call["y"]}
        key = case.family, method
        n = int(rng.integers(1, 1.2 * self.n_instructions.get(key, 2000)))
        error = KeyboardInterrupt() if rng.random() < 0.5 else MemoryError()
        before, values = bytes_of(case.model), vars(case.model).copy()
        with Interrupt(n, error) as interrupt:
            raised = self.call(case.model, method, arguments)
        if raised is not error:  # it was faster, or has failed before
            self.n_instructions[key] = max(interrupt.n_seen, 10)
            if raised is not None:
                if not isinstance(raised, ValueError):
                    raise AssertionError(f"{method}: {raised!r}") from raised
                self.check_unchanged(before, values, method)
            elif method != "adapt":
                self.good(method, arguments, learned=True)
            return
        self.counts["interrupted"] += 1
        if values.get("_learned") is not vars(case.model).get("_learned"):
            self.counts["interrupted when complete"] += 1
            self.good(method, arguments, learned=True)
            return
        self.check_unchanged(before, values, f"{method}, interrupted at {n}")

    def check_unchanged(self, before, values, where):
        """The same values are in the same attributes, and their bytes are the same."""
        now = vars(self.case.model)
        changed = [
            name
            for name in now.keys() | values.keys()
            if now.get(name) is not values.get(name) and name != "_configuration"
        ]
        assert not changed, f"{where}: has changed {changed}"
        assert bytes_of(self.case.model) == before, f"{where}: has changed the state"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=300, help="bad ones")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--messages", action="store_true", help="print one of each kind"
    )
    options = parser.parse_args()
    fuzz = Fuzz(options.seed)
    try:
        fuzz.run(options.calls)
    except AssertionError:
        print(f"seed {options.seed}, after {dict(fuzz.counts)}:\n{fuzz.case.model!r}")
        raise
    if options.messages:
        for (name, family), message in sorted(fuzz.messages.items()):
            print(f"{name} ({family})\n    {message}")
    print(f"{dict(fuzz.counts)}; {len(fuzz.kinds)} kinds of refused calls. No change.")


if __name__ == "__main__":
    main()
