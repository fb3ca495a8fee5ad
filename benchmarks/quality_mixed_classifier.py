"""Log loss of MixedEffectsClassifier against pooled and hierarchical logistic models.

python benchmarks/quality_mixed_classifier.py [--sets ohio few] [--seeds 5]

Few-shot: 70 % of the tasks train (of simulated ones `n_train`); every other task is
adapted to on its first k rows in a random order and scored on those after the largest
k. Held-out: a part of the rows of every task trains, the others are scored as rows of
known tasks. Both draw rows and tasks from the seed alone, so that ratios are paired. A
log loss is averaged over rows, then tasks, then seeds; the calibration error is the
expected one of all rows and seeds, in ten bins of the probability of class 1 (of the
likeliest class with four classes).

The reference is the hierarchical logistic model of `hierarchical_logistic.py`, one
against all with four classes, its probabilities averaged over the posterior; "plug-in"
takes them at the posterior mean. Goals: every cell at most 1.03 times the reference,
k = 0 at most 1.02 times pooled logistic regression.
"""

import argparse
import functools
import importlib
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hierarchical_logistic import HierarchicalLogistic

GROUPED = Path(__file__).resolve().parents[2] / "shared" / "data" / "grouped"
SHOTS = (0, 1, 2, 4, 8, 16)
HELD_OUT = "held out"
REFERENCE, POOLED, OURS = "reference", "pooled", "mixed effects"
TO_REFERENCE, TO_POOLED = 1.03, 1.02

# ---- tasks: lists of pairs (X, y), y in 0, 1, ...


def grouped(path, seed):
    frame = pd.read_csv(path)
    features = [c for c in frame if c not in ("task", "y")]
    groups = [group for _, group in frame.groupby("task")]
    return [(g[features].to_numpy(float), g.y.to_numpy(int)) for g in groups]


def simulated(
    seed,
    *,
    n_tasks,
    n_samples,
    n_features=5,
    n_classes=2,
    slope_std=0.7,
    level_std=0.7,
    size=1.0,
    noise=1.0,
    against=0.0,
):
    """Logistic tasks around shared slopes; features in units of their own.

    `n_samples` is a number or a range; `size` multiplies the scores; without `noise`
    the likeliest class is taken, so that every task is separable. With `against` the
    features of a task have a mean of their own, against which its level goes.
    """
    rng = np.random.default_rng(1000 + seed)
    n_rows = 1 if n_classes == 2 else n_classes
    scale = 10.0 ** rng.uniform(-1, 1, n_features)
    shared = rng.normal(size=(n_rows, n_features)) / np.sqrt(n_features)
    tasks = []
    for _ in range(n_tasks):
        m = n_samples if np.isscalar(n_samples) else int(rng.integers(*n_samples))
        slopes = shared + slope_std / np.sqrt(n_features) * rng.normal(
            size=shared.shape
        )
        Z = rng.normal(size=(m, n_features))
        levels = level_std * rng.normal(size=n_rows)
        if against:
            center = rng.normal(size=n_features)
            Z += center
            levels -= against * shared @ center
        scores = size * (Z @ slopes.T + levels)
        if n_classes == 2:
            scores = np.column_stack([np.zeros(m), scores])
        y = (scores + noise * rng.gumbel(size=scores.shape)).argmax(axis=1)
        tasks.append((Z * scale + 3 * scale, y))
    return tasks


N_TEST = 100
SIMULATED = {  # number of training tasks, and what they are
    "few": (20, dict(n_samples=24)),
    "many": (400, dict(n_samples=12)),
    "levels": (200, dict(n_samples=12, slope_std=0.0, level_std=1.5)),
    "four": (100, dict(n_samples=30, n_classes=4)),
    "four, few": (20, dict(n_samples=24, n_classes=4)),
    "separable": (100, dict(n_samples=20, noise=0.0)),
    "steep": (100, dict(n_samples=20, size=4.0)),
    "unequal": (200, dict(n_samples=(2, 80))),
    "against": (200, dict(n_samples=12, against=2.0)),
}


class Set(NamedTuple):
    load: Callable[[int], list]
    train_share: float  # of the rows of a task, in the held-out protocol
    n_train: int | None  # tasks that train in the few-shot protocol; None: 70 %


def find_sets(folder):
    """Sets by name; the public ones only where their files are."""
    sets = {}
    if (folder / "meta.json").exists():
        about = json.loads((folder / "meta.json").read_text())
        for name, facts in about.items():
            if facts["kind"] == "binary":
                loader = functools.partial(grouped, folder / f"{name}.csv.gz")
                sets[name] = Set(loader, facts["train_share"], None)
    else:
        print(f"LEFT OUT: the public sets, there is no {folder}; see --data")
    for name, (n_train, params) in SIMULATED.items():
        load = functools.partial(simulated, n_tasks=n_train + N_TEST, **params)
        sets[name] = Set(load, 0.6, n_train)
    return sets


def stack(tasks):
    """X, y and the labels of the rows."""
    labels = np.repeat(np.arange(len(tasks)), [len(y) for _, y in tasks])
    return (
        np.vstack([X for X, _ in tasks]),
        np.concatenate([y for _, y in tasks]),
        labels,
    )


# ---- methods: fit(tasks, n_classes); new(X, y, X_query), known(t, X): probabilities


class Pooled:
    """One logistic regression of all rows, on z-scores."""

    def fit(self, tasks, n_classes):
        X, y, _ = stack(tasks)
        model = LogisticRegression(max_iter=2000)
        self.model = make_pipeline(StandardScaler(), model).fit(X, y)

    def new(self, X_support, y_support, X):
        return self.model.predict_proba(X)

    def known(self, t, X):
        return self.model.predict_proba(X)


class Reference:
    """The hierarchical logistic model, one against all with more than two classes."""

    def __init__(self, *, integrated=True):
        self.integrated = integrated

    def fit(self, tasks, n_classes):
        self.tasks = tasks
        positive = [1] if n_classes == 2 else range(n_classes)
        self.models = {
            c: HierarchicalLogistic().fit([(X, (y == c) * 1.0) for X, y in tasks])
            for c in positive
        }

    def new(self, X_support, y_support, X):
        columns = []
        for c, model in self.models.items():
            posterior = model.adapt(X_support, (y_support == c) * 1.0)
            columns.append(
                model.predict_proba(X, posterior, integrated=self.integrated)
            )
        return normalised(np.column_stack(columns))

    def known(self, t, X):
        return self.new(*self.tasks[t], X)


class Estimator:
    """A meta-estimator with the interface of MixedEffectsClassifier."""

    def __init__(self, make):
        self.make = make

    def fit(self, tasks, n_classes):
        X, y, labels = stack(tasks)
        self.model = self.make().fit(X, y, tasks=labels)

    def new(self, X_support, y_support, X):
        if not len(y_support):
            return self.model.predict_proba(X)
        return self.model.adapt(X_support, y_support).predict_proba(X)

    def known(self, t, X):
        return self.model.predict_proba(X, tasks=np.full(len(X), t))


def normalised(P):
    if P.shape[1] == 1:
        return np.column_stack([1 - P, P])
    return P / P.sum(axis=1, keepdims=True)


# ---- protocols: {cell: (mean log loss, probabilities, targets)}


def few_shot(tasks, seed, method, n_classes, n_train):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(tasks))
    cut = round(0.7 * len(tasks)) if n_train is None else n_train
    train, test = [[tasks[i] for i in part] for part in (order[:cut], order[cut:])]
    room = int(np.quantile([len(y) for _, y in tasks], 0.1)) - 2
    shots = [k for k in SHOTS if k <= max(room, 0)]
    test = [(X, y) for X, y in test if len(y) > shots[-1]]
    method.fit(train, n_classes)
    cells = {f"k={k}": ([], [], []) for k in shots}
    for X, y in test * (1 if len(test) > 60 else 3):
        p = rng.permutation(len(y))
        query = p[shots[-1] :]
        for k, (losses, found, targets) in zip(shots, cells.values(), strict=True):
            P = method.new(X[p[:k]], y[p[:k]], X[query])
            losses.append(log_loss(y[query], P))
            found.append(P)
            targets.append(y[query])
    return summarise(cells)


def held_out(tasks, seed, method, n_classes, train_share):
    rng = np.random.default_rng(100 + seed)
    train, test = [], []
    for X, y in tasks:
        p = rng.permutation(len(y))
        cut = max(1, round(train_share * len(y)))
        train.append((X[p[:cut]], y[p[:cut]]))
        test.append((X[p[cut:]], y[p[cut:]]))
    method.fit(train, n_classes)
    losses, found, targets = [], [], []
    for t, (X, y) in enumerate(test):
        if len(y):
            found.append(method.known(t, X))
            targets.append(y)
            losses.append(log_loss(y, found[-1]))
    return summarise({HELD_OUT: (losses, found, targets)})


def log_loss(y, P):
    return -np.log(np.maximum(P[np.arange(len(y)), y], 1e-12)).mean()


def summarise(cells):
    return {
        cell: (np.mean(losses), np.vstack(found), np.concatenate(targets))
        for cell, (losses, found, targets) in cells.items()
    }


def calibration_error(P, y, n_bins=10):
    """Mean over bins, weighted by rows, of |frequency - mean probability|."""
    if P.shape[1] == 2:
        claimed, happened = P[:, 1], y == 1
    else:
        claimed, happened = P.max(axis=1), P.argmax(axis=1) == y
    bins = np.minimum((claimed * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, weights=happened - claimed, minlength=n_bins)
    return np.abs(gaps).sum() / len(y)


# ---- report


def run_set(name, about, methods, n_seeds):
    """Print one table; return {method: {cell: losses by seed}}."""
    results, calibration, seconds = {}, {}, {}
    for method, make in methods.items():
        rounds, start = [], time.perf_counter()
        for seed in range(n_seeds):
            tasks = about.load(seed)
            n_classes = int(max(y.max() for _, y in tasks)) + 1
            cells = few_shot(tasks, seed, make(), n_classes, about.n_train)
            known = tasks[: about.n_train]
            cells |= held_out(known, seed, make(), n_classes, about.train_share)
            rounds.append(cells)
        seconds[method] = (time.perf_counter() - start) / n_seeds
        results[method] = {c: np.array([r[c][0] for r in rounds]) for c in rounds[0]}
        calibration[method] = {
            c: calibration_error(
                np.vstack([r[c][1] for r in rounds]),
                np.concatenate([r[c][2] for r in rounds]),
            )
            for c in rounds[0]
        }
    cells = list(results[REFERENCE])
    print(f"\n{name}: log loss (ratio to the reference; calibration error)")
    print(f"{'':18}" + "".join(f"{cell:>24}" for cell in cells) + "   seconds")
    for method, losses in results.items():
        text = "".join(
            f"{losses[c].mean():10.4f} ({ratio(results, method, REFERENCE, c):.3f};"
            f"{calibration[method][c]:.3f})"
            for c in cells
        )
        print(f"{method:18}{text}{seconds[method]:10.1f}", flush=True)
    return results


def ratio(results, method, other, cell):
    """Of the mean losses over seeds, which are paired."""
    return results[method][cell].mean() / results[other][cell].mean()


def judge(tables):
    """Print whether the goals are met; return the number of cells that miss one."""
    missed, worst, n_cells = [], 0.0, 0
    for name, results in tables.items():
        for cell in results[OURS]:
            goals = [(REFERENCE, TO_REFERENCE)]
            goals += [(POOLED, TO_POOLED)] if cell == "k=0" else []
            for other, limit in goals:
                found = ratio(results, OURS, other, cell)
                n_cells += 1
                worst = max(worst, found / limit)
                if found > limit:
                    missed.append(f"{name}, {cell}: {found:.3f} x {other} > {limit}")
    print(f"\nGoals: {n_cells - len(missed)} of {n_cells} met")
    for line in missed:
        print(f"  NOT MET  {line}")
    logs = [
        np.log(ratio(results, OURS, REFERENCE, cell))
        for results in tables.values()
        for cell in results[OURS]
    ]
    print(f"geometric mean of the ratio to the reference {np.exp(np.mean(logs)):.3f}")
    return len(missed)


def find_class(path):
    module, name = path.split(":")
    sys.path.insert(0, ".")
    return getattr(importlib.import_module(module), name, None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="*", help="names of sets; default: all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=GROUPED, help="public sets")
    parser.add_argument("--estimator", default="skmeta:MixedEffectsClassifier")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    methods = {
        REFERENCE: Reference,
        "  plug-in": lambda: Reference(integrated=False),
        POOLED: Pooled,
    }
    cls = find_class(arguments.estimator)
    if cls is None:
        print(f"LEFT OUT: mixed effects, there is no {arguments.estimator}")
    else:
        intercept = dict(random_effects="intercept", between=False)
        methods["random intercept"] = lambda: Estimator(lambda: cls(**intercept))
        methods[OURS] = lambda: Estimator(cls)
    sets = find_sets(arguments.data)
    tables = {}
    for name in arguments.sets or sets:
        if name not in sets:
            parser.error(f"no set {name!r}: choose among {', '.join(sets)}")
        tables[name] = run_set(name, sets[name], methods, arguments.seeds)
    return judge(tables) if cls is not None else 0


if __name__ == "__main__":
    sys.exit(int(main() > 0))
