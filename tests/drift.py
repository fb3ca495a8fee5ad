"""Models that forget, against windows of tasks that are refitted by hand.

    python tests/drift.py --tasks 600

The shared parameters of a stream of tasks drift. Before a model learns from a task, it
predicts the last rows of it, as an unknown task and after adapting to the first four.
Printed is the mean squared error, relative to that of the best window.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np

from skmeta import FMRLRegressor, MixedEffectsRegressor
from skmeta.meta_step_size import Discounted

WINDOWS = (25, 50, 100, 200)
HALF_LIVES = (5, 10, 20, 40, 80)
KINDS = ("walk", "slow walk", "jumps", "rotation", "none")
N_ROWS, SHOTS = 10, 4


def mixed(half_life=None):
    return MixedEffectsRegressor(
        covariance="diagonal", between=False, half_life=half_life, store_tasks=False
    )


def fmrl(half_life=None):
    rule = "ftl" if half_life is None else Discounted(half_life)
    return FMRLRegressor(meta_step_size=rule, store_tasks=False)


FAMILIES = {"mixed": mixed, "fmrl": fmrl}


def stream(kind, n_tasks, seed=0, period=200):
    """Tasks (X, y) whose parameters vary about a parameter that drifts."""
    rng = np.random.default_rng(seed)
    shared = start = np.array([1.0, -1.0, 0.5, 0.0])
    tasks = []
    for t in range(n_tasks):
        if kind.endswith("walk"):
            size = 0.05 if kind == "walk" else 0.015
            shared = shared + size * rng.normal(size=4)
        elif kind == "jumps" and t and t % period == 0:
            shared = start + rng.normal(size=4)
        elif kind == "rotation":
            angle = np.pi * t / period
            shared = np.array([np.cos(angle), np.sin(angle), 0.5, 0.0])
        theta = shared + 0.3 * rng.normal(size=4)
        X = rng.normal(size=(N_ROWS, 3))
        y = X @ theta[:3] + theta[3] + 0.5 * rng.normal(size=N_ROWS)
        tasks.append((X, y))
    return tasks


def errors(model, X, y):
    """Mean squared errors on the last rows: unknown task, and adapted to the first."""
    adapted = model.adapt(X[:SHOTS], y[:SHOTS])
    residuals = [one.predict(X[SHOTS:]) - y[SHOTS:] for one in (model, adapted)]
    return np.mean(np.square(residuals), axis=1)


def streamed(models, tasks, first):
    """Errors of every model from task `first` on, (n_models, n, 2), and the choices.

    `chosen` is the model of the lowest mean loss in the history, of 100 tasks.
    """
    found, chosen = [], []
    for t, (X, y) in enumerate(tasks):
        if t >= first:
            found.append([errors(model, X, y) for model in models])
            losses = [model.history_["loss"][-100:].mean() for model in models]
            chosen.append(int(np.argmin(losses)))
        for model in models:
            model.partial_fit(X, y)
    found = np.swapaxes(found, 0, 1)
    return found, found[chosen, np.arange(len(chosen))]


def refitted(make, tasks, first, size):
    """Errors of models that are fitted to the last tasks before every task."""
    found = []
    for t in range(first, len(tasks)):
        last = tasks[max(0, t - size) : t]
        X, y = (np.concatenate(part) for part in zip(*last, strict=True))
        labels = np.repeat(np.arange(len(last)), N_ROWS)
        found.append(errors(make().fit(X, y, tasks=labels), *tasks[t]))
    return np.array(found)


def compare(family, kind, n_tasks, first, period=200, half_lives=HALF_LIVES):
    """Errors over those of the best window, by name: pairs."""
    make, tasks = FAMILIES[family], stream(kind, n_tasks, period=period)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of few tasks
        windows = {
            f"window {size}": refitted(make, tasks, first, size).mean(axis=0)
            for size in WINDOWS
        }
        found, chosen = streamed([make(one) for one in half_lives], tasks, first)
        never, _ = streamed([make()], tasks, first)
    best = np.min(list(windows.values()), axis=0)
    table = windows | {
        f"half-life {one}": errors.mean(axis=0)
        for one, errors in zip(half_lives, found, strict=True)
    }
    table |= {"chosen": chosen.mean(axis=0), "no forgetting": never[0].mean(axis=0)}
    return {name: error / best for name, error in table.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=600)
    parser.add_argument("--families", nargs="+", default=list(FAMILIES))
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    options = parser.parse_args()
    for family in options.families:
        for kind in options.kinds:
            print(f"{family}, {kind}: unknown task, adapted", flush=True)
            for name, pair in compare(family, kind, options.tasks, 100).items():
                print(f"    {name:15} {pair[0]:6.3f} {pair[1]:6.3f}", flush=True)


if __name__ == "__main__":
    main()
