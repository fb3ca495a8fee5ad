"""Hostile input: a clear message, and a model that does not change."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hostile import (
    BAD,
    BAD_CALLS,
    BAD_X,
    BAD_Y,
    IN_X,
    IN_Y,
    KINDS,
    NO_CLASS,
    NO_WEIGHT,
    WRONG_KIND,
    as_frame,
    by_kind,
    cases,
    diverging,
    everything,
    good_call,
    learn,
    on_both_kinds,
    on_both_loops,
    on_both_methods,
    on_fresh_and_fitted,
    parametrized,
    started,
    unchanged,
    with_entry,
    words_and,
)

from skmeta import FMRLClassifier, FMRLRegressor, _kernels
from skmeta.linear_model import OGDRegressor

# ---- learning


@on_fresh_and_fitted
@on_both_methods
@by_kind(cases(BAD_X, BAD_CALLS), {k: cases(BAD_Y[k], WRONG_KIND[k]) for k in KINDS})
@on_both_loops
def test_bad_call_is_refused_and_changes_nothing(
    kind, change, message, method, fitted, standardize
):
    model, call = started(kind, fitted, standardize=standardize), good_call(kind)
    if isinstance(change(call).get("X"), pd.DataFrame) and fitted:
        call["X"] = as_frame(call["X"])
        model.fit(**call)
    with unchanged(model), pytest.raises(ValueError, match=message):
        learn(model, method, call | change(call))


@on_both_kinds
def test_rows_without_any_weight_can_start_nothing(kind):
    change, message = NO_WEIGHT
    call = good_call(kind)
    for fitted, method in ((False, "fit"), (True, "fit"), (False, "partial_fit")):
        model = started(kind, fitted)
        with unchanged(model), pytest.raises(ValueError, match=message):
            learn(model, method, call | change(call))


@on_both_kinds
@pytest.mark.parametrize("why", ["weights", "rows"])
def test_a_call_of_a_stream_without_rows_to_learn_changes_nothing(kind, why):
    model, call = started(kind, True), good_call(kind)
    if why == "weights":
        call["sample_weight"] = np.zeros(30)
    else:
        model.set_params(on_bad_row="drop")
        call["X"][:] = np.nan
    with unchanged(model):
        assert learn(model, "partial_fit", call) is model
    for change, message in (
        ({"X": call["X"][:, :2]}, "2 features"),
        (
            {"tasks": call["tasks"][1:]},
            "one label per row",
        ),
    ):
        with unchanged(model), pytest.raises(ValueError, match=message):
            learn(model, "partial_fit", call | change)


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
def test_divergence_is_refused_and_changes_nothing(kind, method, fitted, kernel):
    model, call = started(kind, fitted, **diverging(kind)), good_call(kind)
    call["X"][call["tasks"] == "f"] *= 1e200
    message = "^Task 'f': the parameters diverged.*update='implicit'.*lower eta0"
    with unchanged(model), pytest.raises(ValueError, match=message):
        learn(model, method, call)


def test_advice_does_not_name_what_is_done_already():
    """Features whose squares overflow are beyond the implicit update, too."""
    call = good_call("regressor")
    call["X"][call["tasks"] == "f"] *= 1e200
    with pytest.raises(ValueError, match="^Task 'f'.*scale the features") as error:
        FMRLRegressor(OGDRegressor(update="implicit"), standardize=False).fit(**call)
    assert "implicit" not in str(error.value)


def test_without_labels_the_message_speaks_of_the_call():
    call = good_call("regressor") | {"tasks": None}
    call["X"][BAD] = np.nan
    with pytest.raises(ValueError, match="^The task of this call: X contains .*row 28"):
        FMRLRegressor().partial_fit(**call)


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
def test_interruption_of_the_compiled_loop_changes_nothing(
    kind, fitted, n_calls, compiled, monkeypatch
):
    params = {"step_size": "isotropic", "standardize": False, "n_passes": 2}
    model = started(kind, fitted, **params)
    call = good_call(kind)
    real, calls = _kernels.learn_tasks, []

    def interrupted(*arguments):
        calls.append(real(*arguments))
        if calls.count(6) == n_calls:  # the last task of a pass
            raise KeyboardInterrupt
        return calls[-1]

    monkeypatch.setattr(_kernels, "learn_tasks", interrupted)
    with unchanged(model), pytest.raises(KeyboardInterrupt):
        model.fit(**call)
    assert calls.count(6) == n_calls


@pytest.mark.parametrize("n_runs", [1, 6, 9], ids="run {}".format)
@on_fresh_and_fitted
@on_both_kinds
def test_interruption_of_a_task_changes_nothing(kind, fitted, n_runs, monkeypatch):
    model = started(kind, fitted, n_passes=2, task_parameter="regularized")
    call = good_call(kind)
    real, runs = _kernels.run_task, []

    def interrupted(*arguments):
        runs.append(real(*arguments))
        if len(runs) == n_runs:
            raise KeyboardInterrupt
        return runs[-1]

    monkeypatch.setattr(_kernels, "run_task", interrupted)
    with unchanged(model), pytest.raises(KeyboardInterrupt):
        model.fit(**call)
    assert len(runs) == n_runs


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


def test_interruption_wherever_a_label_is_looked_up_changes_nothing():
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


@on_both_loops
@on_both_kinds
def test_after_a_failure_learning_continues_unaffected(kind, standardize):
    call = good_call(kind)
    model, other = (started(kind, True, standardize=standardize) for _ in range(2))
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
def test_predicting_changes_nothing(kind):
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
        **{name: BAD_CALLS[name] for name in ("no y", "short y")},
        "no weight": NO_WEIGHT,
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
    model, call = started(kind, True, **diverging(kind)), good_call(kind)
    with unchanged(model), pytest.raises(ValueError, match="diverged.*implicit"):
        model.adapt(1e200 * call["X"], call["y"])


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
