"""Processes that learn from a stream and save checkpoints, and are killed.

    python stream_with_checkpoints.py PATH FAMILY N_KILLS SEED

starts them one after the other, and kills each at a random moment. Batches are
delivered at least once: each process gets some of those that the last one had.
"""

import os
import signal
import sys
import time

import numpy as np

from skmeta import FMRLRegressor, MixedEffectsRegressor, checkpoint

SAVED_EVERY = 3
REDELIVERED = 5


def batch(number):
    """Rows and labels of a batch: known tasks that return, and new ones."""
    rng = np.random.default_rng(number)
    X = rng.normal(size=(12, 3))
    tasks = np.repeat([number % 7, 7 + number, 3], 4)
    return X, X.sum(axis=1) + rng.normal(size=12), tasks


def new_model(family):
    return (
        FMRLRegressor(random_state=0) if family == "fmrl" else MixedEffectsRegressor()
    )


def resume(path, family):
    """The model of the last checkpoint, and the last batch that it has learned from."""
    try:
        return checkpoint.load(path, return_position=True)
    except FileNotFoundError:
        return new_model(family), -1


def run(path, family, n_batches, after_each=lambda: None):
    model, done = resume(path, family)
    for number in range(max(0, done + 1 - REDELIVERED), n_batches):
        if number <= done:
            continue
        X, y, tasks = batch(number)
        model.partial_fit(X, y, tasks=tasks)
        if number % SAVED_EVERY == 0 or number == n_batches - 1:
            checkpoint.save(model, path, position=number)
        after_each()


def run_until_killed(path, family, moment):
    """Fork a process, and kill it some time after it has begun to learn."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            run(path, family, 10**9, lambda: os.write(writer, b"."))
        finally:  # an error: it does not end by itself
            os._exit(1)
    os.close(writer)
    os.read(reader, 1)
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    os.close(reader)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the process ended by itself, with {status}"
    return "killed"


if __name__ == "__main__":
    path, family, n_kills, seed = sys.argv[1:]
    rng = np.random.default_rng(int(seed))
    for _ in range(int(n_kills)):
        print(run_until_killed(path, family, rng.exponential(0.02)))
