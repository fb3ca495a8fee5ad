"""Tasks that cannot be learned from: left out, named, and counted."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hostile import (
    BAD,
    BAD_CALLS,
    KINDS,
    WRONG_KIND,
    by_kind,
    diverging,
    everything,
    good_call,
    learn,
    on_both_kinds,
    on_both_methods,
    on_fresh_and_fitted,
    started,
    unchanged,
)
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skmeta import FMRLClassifier, FMRLRegressor

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
    model = started(kind, method == "partial_fit", **diverging(kind))
    expected, model = clone(model), model.set_params(on_bad_task="skip")
    if method == "partial_fit":
        expected = started(kind, True, **diverging(kind))
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
    model = KINDS[kind](on_bad_task="warn", random_state=0)
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
    silent = KINDS[kind](on_bad_task="skip", random_state=0).fit(**call)
    assert everything(silent)[1] == everything(model)[1]


def test_a_warning_that_is_an_error_changes_nothing():
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
    model = FMRLClassifier(
        task_parameter="optimum", on_bad_task="skip", standardize=False
    )
    with pytest.raises(
        ValueError, match="None of the 2 tasks.*Task 0: .*can be separated"
    ):
        model.fit(X, y, tasks=[0, 0, 1, 1])


@on_fresh_and_fitted
@on_both_kinds
def test_nothing_but_bad_tasks(kind, fitted):
    """Nothing to fit is an error; a stream continues."""
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
