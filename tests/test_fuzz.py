"""Refused and interrupted calls change nothing: a short form of `fuzz`."""

import os

import fuzz
import pytest

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # few rows
N_CALLS = 5000 if "SKMETA_LONG" in os.environ else 120  # for each of two seeds


@pytest.mark.parametrize("seed", [0, 1])
def test_bad_calls_change_nothing(seed):
    run = fuzz.Fuzz(seed)
    run.run(N_CALLS)
    assert run.n_bad >= N_CALLS
    assert len(run.kinds) >= 30
    assert run.counts["interrupted"] > N_CALLS / 10


def test_a_change_is_found():
    """The fuzz fails where an interrupted call changes the model."""
    run = fuzz.Fuzz(0)
    run.case = fuzz.Case(run.rng)
    run.case.model.fit(**run.case.rows())
    before, values = fuzz.bytes_of(run.case.model), vars(run.case.model).copy()
    run.check_unchanged(before, values, "nothing")
    run.case.model._learned = fuzz.deepcopy(run.case.model._learned)
    with pytest.raises(AssertionError, match="has changed"):
        run.check_unchanged(before, values, "a copy")


def test_an_interrupt_comes_at_the_instruction_that_is_asked_for():
    model = fuzz.FMRLRegressor()
    with pytest.raises(KeyboardInterrupt), fuzz.Interrupt(50, KeyboardInterrupt()):
        model.fit([[0.0], [1.0]], [0.0, 1.0], tasks=[0, 0])
    assert not hasattr(model, "coef_")
    with fuzz.Interrupt(10**9, KeyboardInterrupt()) as interrupt:
        model.fit([[0.0], [1.0]], [0.0, 1.0], tasks=[0, 0])
    assert interrupt.n_seen > 500
