"""Models that forget are as good on drifting tasks as windows refitted by hand."""

import os

import drift
import numpy as np
import pytest

LONG = "SKMETA_LONG" in os.environ
KINDS = drift.KINDS if LONG else ["walk", "jumps"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", drift.FAMILIES)
def test_a_half_life_is_as_good_as_the_best_window(family, kind):
    """One that is sensible, and the one that had the lowest loss so far."""
    n_tasks, first, period = (600, 100, 200) if LONG else (150, 100, 40)
    half_lives = drift.HALF_LIVES if LONG else (5, 10, 40)
    found = drift.compare(family, kind, n_tasks, first, period, half_lives)
    best = min(found[f"half-life {one}"].max() for one in half_lives)
    assert best < 1.05, found
    assert found["chosen"].max() < 1.05, found
    if kind in ("walk", "jumps", "rotation"):
        assert found["no forgetting"].min() > 1.05, found


def test_a_half_life_refreshes_often_and_holds_few_tasks():
    """The time of a refresh does not grow; a tenth of the weight passes in between."""
    model, visits = drift.mixed(half_life=20), []
    for X, y in drift.stream("none", 600):
        before = vars(model).get("_learned")
        model.partial_fit(X, y)
        new = model._learned.model.predictor
        if before is None or new is not before.model.predictor:
            visits.append(model.n_tasks_seen_)
    assert np.diff(visits[-20:]).max() <= 5
    assert model._learned.model.store.n_held <= 200 + 5
