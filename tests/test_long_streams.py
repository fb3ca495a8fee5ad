"""Streams without labels: memory and time per task stay as they are, and sums exact.

SKMETA_LONG=1 makes the streams as long as the claim, a million tasks.
"""

import gc
import os
import time
from fractions import Fraction
from math import fsum
from pathlib import Path

import numpy as np
import pytest

from skmeta import FMRLRegressor, MixedEffectsRegressor
from skmeta.linear_model import OGDRegressor

N_TASKS = 1_000_000 if "SKMETA_LONG" in os.environ else 20_000
MODELS = {
    "fmrl": FMRLRegressor(store_tasks=False),
    "fmrl raw": FMRLRegressor(OGDRegressor(), standardize=False, store_tasks=False),
    "mixed": MixedEffectsRegressor(store_tasks=False, window=500),
}
N_ROWS, N_FEATURES, N_BLOCKS, AT_A_TIME = 4, 3, 10, 2000


def resident():
    """Bytes of memory that the process has in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def rows(number, n_tasks):
    rng = np.random.default_rng(number)
    X = rng.normal(size=(n_tasks, N_ROWS, N_FEATURES))
    slopes = 1.0 + 0.3 * rng.normal(size=(n_tasks, N_FEATURES, 1))
    return X, (X @ slopes)[..., 0] + 0.2 * rng.normal(size=X.shape[:2])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.parametrize("name", MODELS)
def test_a_stream_without_labels_costs_the_same_for_ever(name):
    model, n = MODELS[name], N_TASKS // N_BLOCKS
    warm_up, _ = rows(0, 2000), gc.collect()
    for X, y in zip(*warm_up, strict=True):
        model.partial_fit(X, y)
    memory, times = resident(), np.zeros(N_BLOCKS)
    for number in range(N_TASKS // AT_A_TIME):  # few: large arrays blur the memory
        X, y = rows(number + 1, AT_A_TIME)
        start = time.process_time()
        for t in range(AT_A_TIME):
            model.partial_fit(X[t], y[t])
        times[number * AT_A_TIME // n] += time.process_time() - start
    gc.collect()
    assert model.n_tasks_seen_ == 2000 + N_TASKS
    grown = resident() - memory
    print(
        f"{name}: memory grew by {grown / 1e6:.1f} MB; microseconds per task in each "
        f"tenth of {N_TASKS} tasks: {np.round(1e6 * times / n, 1)}"
    )
    assert grown < 10e6
    assert np.median(times[-3:]) < 1.5 * np.median(times[:3]), times
    assert len(model.history_) <= 1000


@pytest.mark.slow
def test_means_of_a_long_stream_agree_with_exact_arithmetic():
    """Features far from zero; Welford's update against sums without rounding."""
    model, n = FMRLRegressor(store_tasks=False), N_TASKS // 10
    X, y = rows(1, n)
    X = 1000.0 + X
    for t in range(n):
        model.partial_fit(X[t], y[t])
    moments = model._learned.moments
    flat = X.reshape(-1, N_FEATURES)
    for j in range(N_FEATURES):
        mean = fsum(flat[:, j]) / len(flat)
        squares = fsum((flat[:, j] - mean) ** 2) - fsum(flat[:, j] - mean) ** 2 / len(
            flat
        )
        np.testing.assert_allclose(moments.mean[j], mean, rtol=1e-10)
        np.testing.assert_allclose(moments.squares[j], squares, rtol=1e-10)


@pytest.mark.slow
def test_the_leader_of_a_long_stream_agrees_with_exact_arithmetic():
    """phi is the weighted mean of the parameters of all tasks."""
    model, n = FMRLRegressor(OGDRegressor(), standardize=False), N_TASKS // 10
    X, y = rows(2, n)
    labels = np.repeat(np.arange(n), N_ROWS)
    n_rows = 1 + np.arange(n) % N_ROWS  # tasks of different sizes and weights
    used = (np.arange(N_ROWS) < n_rows[:, np.newaxis]).ravel()
    model.partial_fit(
        X.reshape(-1, N_FEATURES)[used], y.ravel()[used], tasks=labels[used]
    )
    weights = [Fraction(w) for w in np.sqrt(n_rows).tolist()]
    for j in range(N_FEATURES):
        values = model.task_coef_[:, j].tolist()
        total = sum(w * Fraction(v) for w, v in zip(weights, values, strict=True))
        exact = float(total / sum(weights))
        np.testing.assert_allclose(model.coef_[j], exact, rtol=1e-10)
