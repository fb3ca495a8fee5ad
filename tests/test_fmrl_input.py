"""Hostile input: refused with a clear message, and without a trace in the model."""

import warnings
from contextlib import contextmanager

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skmeta import FMRLClassifier, FMRLRegressor, _kernels
from skmeta._kernels import _loops_py
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.linear_model import OGDClassifier, OGDRegressor

KINDS = {"regressor": FMRLRegressor, "classifier": FMRLClassifier}
on_both_kinds = pytest.mark.parametrize("kind", KINDS)
on_both_methods = pytest.mark.parametrize("method", ["fit", "partial_fit"])
on_both_learners = pytest.mark.parametrize(
    "step_size", ["empirical_bayes", "isotropic"], ids=["exact", "ogd"]
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
    inner = OGDRegressor if kind == "regressor" else OGDClassifier
    return inner(update="ogd", eta0=1.0)


def started(kind, fitted, **params):
    """A model that knows nothing, or some tasks of other names."""
    model = KINDS[kind](**params)
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
    "no columns": (lambda c: {"X": c["X"][:, :0]}, r"0 feature\(s\).*minimum of 1"),
    "X of words": (lambda c: {"X": np.full((30, 3), "a")}, "could not convert string"),
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
    "no weight": (
        lambda c: {"sample_weight": np.zeros(30)},
        "(?i)sample weights.*zero",
    ),
}
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


# ---- learning


@on_fresh_and_fitted
@on_both_methods
@by_kind(cases(BAD_X, BAD_CALLS), {k: cases(BAD_Y[k], WRONG_KIND[k]) for k in KINDS})
@on_both_learners
def test_bad_call_is_refused_without_a_trace(
    kind, change, message, method, fitted, step_size
):
    model, call = started(kind, fitted, step_size=step_size), good_call(kind)
    if isinstance(change(call).get("X"), pd.DataFrame) and fitted:
        call["X"] = as_frame(call["X"])
        model.fit(**call)
    with unchanged(model), pytest.raises(ValueError, match=message):
        learn(model, method, call | change(call))


@on_fresh_and_fitted
@parametrized(NO_CLASS)
def test_class_that_the_first_call_did_not_name(change, message, fitted):
    model, call = started("classifier", fitted), good_call("classifier")
    with unchanged(model), pytest.raises(ValueError, match=message) as error:
        learn(model, "partial_fit", call | change(call))
    assert "[0, 1] fixed by the first call" in str(error.value)


@pytest.mark.parametrize("value", [None, np.nan, pd.NA, "maybe"], ids=repr)
@pytest.mark.parametrize("convert", [np.array, pd.Series])
def test_missing_or_new_class_among_words(convert, value):
    call = good_call("classifier")
    call |= words_and("no")(call)
    model = FMRLClassifier().fit(**call)
    call["y"][BAD] = value
    call["y"] = convert(call["y"])
    message = IN_Y.format("(None|nan|<NA>|'maybe')")
    with unchanged(model), pytest.raises(ValueError, match=message):
        model.partial_fit(**call)


def test_class_of_another_kind_than_the_first_call_named():
    model, call = started("classifier", True), good_call("classifier")
    words = np.array(["no", "yes"])[call["y"]]
    message = "^Task 'a': y is '(no|yes)' in row 0.*not one of the classes"
    with unchanged(model), pytest.raises(ValueError, match=message):
        model.partial_fit(call["X"], words, tasks=call["tasks"])


def test_one_class_is_no_problem_to_learn():
    call = good_call("classifier") | {"y": np.full(30, "yes")}
    model = FMRLClassifier()
    with unchanged(model), pytest.raises(ValueError, match="two classes.*'yes'"):
        model.fit(**call)
    with unchanged(model), pytest.raises(ValueError, match="two classes.*'yes'"):
        model.partial_fit(**call, classes=["yes"])


@on_fresh_and_fitted
@on_both_methods
@on_both_kinds
def test_divergence_is_refused_without_a_trace(kind, method, fitted, kernel):
    model, call = started(kind, fitted, estimator=diverging(kind)), good_call(kind)
    call["X"][call["tasks"] == "f"] *= 1e200
    message = "^Task 'f' reached NaN or infinite values.*update='implicit'.*lower eta0"
    with unchanged(model), pytest.raises(ValueError, match=message):
        learn(model, method, call)


def test_advice_does_not_name_what_is_done_already():
    """Features whose squares overflow are beyond the implicit update, too."""
    call = good_call("regressor")
    call["X"][call["tasks"] == "f"] *= 1e200
    with pytest.raises(ValueError, match="^Task 'f'.*scale the features") as error:
        FMRLRegressor(OGDRegressor(update="implicit")).fit(**call)
    assert "implicit" not in str(error.value)


def test_without_labels_the_message_speaks_of_the_call():
    call = good_call("regressor") | {"tasks": None}
    call["X"][BAD] = np.nan
    with pytest.raises(ValueError, match="^The task of this call: X contains .*row 28"):
        FMRLRegressor().fit(**call)


def test_rows_of_weight_zero_are_counted_in_messages():
    call = good_call("regressor") | {"sample_weight": np.ones(30)}
    call["sample_weight"][[0, 25, 26]] = 0.0
    with pytest.raises(ValueError, match=IN_X.format(1)):
        FMRLRegressor().fit(**call | with_entry("X", np.nan)(call))
    missing = with_entry("tasks", None, dtype=object)(call)
    with pytest.raises(ValueError, match="missing label.* in row 28"):
        FMRLRegressor().fit(**call | missing)


@pytest.mark.parametrize("n_calls", [1, 2], ids=["first pass", "second pass"])
@on_fresh_and_fitted
@on_both_kinds
@pytest.mark.parametrize(
    "step_size, loops",
    [("isotropic", _kernels), ("empirical_bayes", _loops_py)],
    ids=["ogd", "exact"],
)
def test_interruption_leaves_no_trace(
    kind, fitted, n_calls, step_size, loops, monkeypatch
):
    model = started(kind, fitted, step_size=step_size, n_passes=2)
    call = good_call(kind)
    real, calls = loops.learn_tasks, []

    def interrupted(*arguments):
        calls.append(real(*arguments))
        if len(calls) == n_calls:
            raise KeyboardInterrupt
        return calls[-1]

    monkeypatch.setattr(loops, "learn_tasks", interrupted)
    with unchanged(model), pytest.raises(KeyboardInterrupt):
        model.fit(**call)
    assert calls == [6] * n_calls


class Label:
    """A task label whose n-th hash, over all labels, is interrupted."""

    left = 0

    def __init__(self, name):
        self.name = name

    def __eq__(self, other):
        return isinstance(other, Label) and self.name == other.name

    def __hash__(self):
        Label.left -= 1
        if Label.left == 0:
            raise KeyboardInterrupt
        return hash(self.name)


def test_interruption_wherever_a_label_is_looked_up_leaves_no_trace():
    call = good_call("regressor")
    model = FMRLRegressor().fit(**call)
    labels = [Label(name) for name in call["tasks"]]
    labels[:10] = ["a"] * 5 + ["b"] * 5  # known tasks, the others are new
    call |= {"X": -call["X"], "tasks": np.array(labels, dtype=object)}
    for n_hashes in range(1, 100):
        Label.left = n_hashes
        try:
            with unchanged(model), pytest.raises(KeyboardInterrupt):
                model.partial_fit(**call)
        except pytest.fail.Exception:  # it was not interrupted any more
            break
        known = good_call("regressor")
        model.predict(known["X"], tasks=known["tasks"])
    assert n_hashes > 8 and model.n_tasks_seen_ == 12


@on_both_learners
@on_both_kinds
def test_after_a_failure_learning_goes_on_as_if_nothing_had_been(kind, step_size):
    call = good_call(kind)
    model, other = (started(kind, True, step_size=step_size) for _ in range(2))
    for names in ("new", "known"):
        spoilt = call | with_entry("X", np.nan)(call)
        if names == "known":
            spoilt["tasks"] = np.char.add(spoilt["tasks"], "'")
        with pytest.raises(ValueError, match="^Task"):
            model.partial_fit(**spoilt)
        for each in (model, other):
            each.partial_fit(**spoilt | {"X": call["X"]})
        assert everything(model)[1] == everything(other)[1]


# ---- what does not fit to the first call


@pytest.fixture
def frame_model():
    call = good_call("classifier")
    return FMRLClassifier().fit(**call | {"X": as_frame(call["X"])})


@pytest.mark.parametrize("method", ["partial_fit", "predict", "adapt", "score"])
@pytest.mark.parametrize(
    "columns, message",
    [
        (["x0", "x1", "new"], "feature names should match.*\n- new"),
        (["x2", "x1", "x0"], "names must be in the same order"),
        (["x0", "x1"], "feature names should match.*\n- x2"),
        (["x0", "x1", "x2", "x3"], "feature names should match.*\n- x3"),
    ],
    ids=["renamed", "reordered", "one less", "one more"],
)
def test_other_columns_than_before(frame_model, columns, message, method):
    X = pd.DataFrame(np.ones((30, len(columns))), columns=columns)
    arguments = (X,) if method == "predict" else (X, good_call("classifier")["y"])
    with unchanged(frame_model), pytest.raises(ValueError, match=f"(?s){message}"):
        getattr(frame_model, method)(*arguments)


@pytest.mark.parametrize("method", ["partial_fit", "predict", "adapt", "score"])
@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("convert", [np.array, sp.csr_array])
@on_both_kinds
def test_other_width_than_before(kind, convert, width, method):
    model, X = started(kind, True), convert(np.ones((30, width)))
    arguments = (X,) if method == "predict" else (X, good_call(kind)["y"])
    message = f"X has {width} features, but FMRL.* is expecting 3"
    with unchanged(model), pytest.raises(ValueError, match=message):
        getattr(model, method)(*arguments)


# ---- predicting


@pytest.mark.parametrize("method", ["predict", "decision_function", "predict_proba"])
@parametrized(
    {
        "nan": (with_entry("X", np.nan), "X contains NaN"),
        "inf": (with_entry("X", np.inf), "X contains infinity"),
        "nan in CSR": (with_entry("X", np.nan, sp.csr_array), "X contains NaN"),
        **{
            name: BAD_CALLS[name]
            for name in ("no rows", "1-d X", "X of words", "short tasks", "task None")
        },
    }
)
def test_bad_rows_to_predict(change, message, method):
    model, call = started("classifier", True), good_call("classifier")
    call |= change(call)
    with unchanged(model), pytest.raises(ValueError, match=message):
        getattr(model, method)(call["X"], tasks=call["tasks"])


@on_both_kinds
def test_predicting_leaves_no_trace(kind):
    model, call = started(kind, True), good_call(kind)
    with unchanged(model):
        model.predict(call["X"])
        model.predict(call["X"], tasks=call["tasks"])
        model.score(call["X"], call["y"], tasks="a'")


# ---- adapting

ADAPT_X = "^The task of this call: X contains NaN or infinity in row 28 .*Drop the row"
ADAPT_Y = "^The task of this call: y is {} in row 28 .*Drop the row"


@by_kind(
    {
        "nan": (with_entry("X", np.nan), ADAPT_X),
        "inf in CSR": (with_entry("X", np.inf, sp.csr_array), ADAPT_X),
        **{name: BAD_CALLS[name] for name in ("no y", "short y", "no weight")},
    },
    {
        "regressor": {"y nan": (with_entry("y", np.nan), ADAPT_Y.format("nan"))},
        "classifier": {"new class": (with_entry("y", 9), ADAPT_Y.format("9"))},
    },
)
def test_bad_task_to_adapt_to(kind, change, message):
    model, call = started(kind, True), good_call(kind)
    call |= change(call)
    del call["tasks"]
    with unchanged(model), pytest.raises(ValueError, match=message) as error:
        model.adapt(**call)
    assert "on_bad_task" not in str(error.value)  # which adapt does not ask for


@on_both_kinds
def test_adapting_that_diverges(kind, kernel):
    model, call = started(kind, True, estimator=diverging(kind)), good_call(kind)
    with unchanged(model), pytest.raises(ValueError, match="NaN or infinite.*implicit"):
        model.adapt(1e200 * call["X"], call["y"])


# ---- bad tasks that are left out

SKIPPABLE = {
    "nan in X": lambda X, y, rows: X.__setitem__((rows[1], 1), np.nan),
    "inf in X": lambda X, y, rows: X.__setitem__((rows[0], 0), np.inf),
    "nan in y": lambda X, y, rows: y.__setitem__(rows[-1], np.nan),
    "inf in y": lambda X, y, rows: y.__setitem__(rows[2], -np.inf),
    "divergence": lambda X, y, rows: X.__setitem__(rows, 1e200),
}


@pytest.mark.parametrize("convert", [np.array, sp.csr_array])
@pytest.mark.parametrize("bad", ["a", "d", "f", "bc", "abef"])
@pytest.mark.parametrize("spoil", SKIPPABLE.values(), ids=SKIPPABLE)
@on_both_methods
@on_both_kinds
def test_bad_tasks_are_left_out(kind, method, spoil, bad, convert):
    """The result equals that of a call without them."""
    call = good_call(kind)
    X, y, tasks = call["X"], call["y"].astype(float), call["tasks"]
    for task in bad:
        spoil(X, y, np.flatnonzero(tasks == task))
    good = ~np.isin(tasks, list(bad))
    model = started(kind, method == "partial_fit", estimator=diverging(kind))
    expected, model = clone(model), model.set_params(on_bad_task="skip")
    if method == "partial_fit":
        expected = started(kind, True, estimator=diverging(kind))
    learn(model, method, {"X": convert(X), "y": y, "tasks": tasks})
    learn(expected, method, {"X": convert(X[good]), "y": y[good], "tasks": tasks[good]})
    assert model.n_tasks_skipped_ == len(bad)
    assert expected.n_tasks_skipped_ == 0
    found, expected = (everything(each)[1] for each in (model, expected))
    del found["n_tasks_skipped_"], expected["n_tasks_skipped_"]
    assert found == expected


@on_both_kinds
def test_skipped_tasks_are_named_in_warnings(kind):
    call = good_call(kind)
    call["X"][[7, 22]] = np.nan  # of the tasks b and e
    model = KINDS[kind](on_bad_task="warn")
    with pytest.warns(UserWarning) as records:
        model.fit(**call)
    assert len(records) == 2
    for record, task in zip(records, "be", strict=True):
        message = str(record.message)
        assert message.startswith(f"Task {task!r}: X contains NaN or infinity in row 2")
        assert message.endswith("The task was skipped.")
        assert record.filename == __file__  # the line that called fit
    assert model.n_tasks_skipped_ == 2 and model.n_tasks_seen_ == 4
    assert model.task_labels_.tolist() == list("acdf")
    silent = KINDS[kind](on_bad_task="skip").fit(**call)
    assert everything(silent)[1] == everything(model)[1]


def test_a_warning_that_is_an_error_leaves_no_trace():
    model, call = started("regressor", True, on_bad_task="warn"), good_call("regressor")
    call["X"][BAD] = np.nan
    with unchanged(model), warnings.catch_warnings(), pytest.raises(UserWarning):
        warnings.simplefilter("error")
        model.partial_fit(**call)


def test_skipped_tasks_are_counted_over_passes_and_calls():
    call = good_call("regressor")
    call["X"][BAD] = np.nan
    model = FMRLRegressor(on_bad_task="skip", n_passes=2).fit(**call)
    assert model.n_tasks_skipped_ == 2 and model.n_tasks_seen_ == 10
    model.partial_fit(**call)
    assert model.n_tasks_skipped_ == 3 and model.n_tasks_seen_ == 15
    model.fit(**call)
    assert model.n_tasks_skipped_ == 2


def test_a_known_task_that_turns_bad_keeps_its_parameters():
    call = good_call("regressor")
    model = FMRLRegressor(on_bad_task="skip").fit(**call)
    own = model.task_coef_[5].copy()
    call["X"][BAD] = np.nan
    model.partial_fit(**call)
    assert_array_equal(model.task_coef_[5], own)
    assert not np.array_equal(model.task_coef_[4], own)


def test_the_reason_why_no_task_can_be_learned_from():
    X, y = [[0.0], [1.0], [0.0], [1.0]], [0, 1, 0, 1]
    model = FMRLClassifier(task_parameter="optimum", on_bad_task="skip")
    with pytest.raises(
        ValueError, match="None of the 2 tasks.*Task 0: .*can be separated"
    ):
        model.fit(X, y, tasks=[0, 0, 1, 1])


@on_fresh_and_fitted
@on_both_kinds
def test_nothing_but_bad_tasks(kind, fitted):
    """Nothing to fit is an error; a stream goes on."""
    model, call = started(kind, fitted, on_bad_task="skip"), good_call(kind)
    call["X"] *= np.nan
    message = "^None of the 6 tasks can be learned from. Task 'a': X contains NaN"
    with unchanged(model), pytest.raises(ValueError, match=message):
        model.fit(**call)
    learn(model, "partial_fit", call)
    assert model.n_tasks_skipped_ == 6
    assert len(model.history_) == len(model.task_labels_) == 6 * fitted
    expected = started(kind, True).coef_ if fitted else np.zeros_like(model.coef_)
    assert_array_equal(model.coef_, expected)
    learn(model, "partial_fit", good_call(kind))
    assert model.n_tasks_seen_ == 6 + 6 * fitted


@on_both_methods
@by_kind(BAD_CALLS, WRONG_KIND)
def test_bad_calls_cannot_be_skipped(kind, change, message, method):
    model, call = started(kind, True, on_bad_task="skip"), good_call(kind)
    with unchanged(model), pytest.raises(ValueError, match=message):
        learn(model, method, call | change(call))


# ---- the task column


@pytest.mark.parametrize(
    "column, change, message",
    [
        ("who", lambda c: {"X": c["X"].drop(columns="who")}, "no column 'who'.*'x0'"),
        (9, lambda c: {}, r"no column 9 \(task_column\).*'x0'"),
        ("who", lambda c: {"X": c["X"].to_numpy()}, "'who' is a name.*DataFrame"),
        ("who", lambda c: {"tasks": np.zeros(30)}, "once.*'who', not both"),
        ("who", lambda c: {"X": c["X"].replace({"who": {"c": None}})}, "missing label"),
    ],
    ids=["not there", "out of range", "no names", "both", "missing label"],
)
@on_fresh_and_fitted
@on_both_methods
def test_bad_task_column(column, change, message, method, fitted):
    call = good_call("regressor")
    call = {"X": as_frame(call["X"]).assign(who=call["tasks"]), "y": call["y"]}
    model = FMRLRegressor(task_column="who")
    if fitted:
        model.fit(**call)
    model.set_params(task_column=column)
    with unchanged(model), pytest.raises(ValueError, match=message):
        learn(model, method, call | change(call))
