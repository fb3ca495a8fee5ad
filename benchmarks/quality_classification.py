"""Few-shot log loss of empirical Bayes against the hierarchical logistic model.

python benchmarks/quality_classification.py [--school school.mat] [--seeds 5]

70 % of the tasks train; every other task is adapted to on its first k rows in a random
order and scored on those after the largest k. Both methods predict by the same plug-in
rule, the sigmoid of the score at the posterior mean; the row "integrated" averages the
reference's probabilities over its posterior instead.
"""

import argparse
import time

import numpy as np
import scipy.io

from hierarchical_logistic import HierarchicalLogistic
from skmeta import FMRLClassifier
from skmeta.datasets import load_wage_panel, make_task_classification
from skmeta.linear_model import BiasedLogisticRegression

SHOTS = (0, 1, 2, 4, 8, 16)


class Library:
    def __init__(self, **params):
        self.params = params

    def fit(self, tasks):
        X = np.vstack([X for X, _ in tasks])
        y = np.concatenate([y for _, y in tasks])
        labels = np.repeat(np.arange(len(tasks)), [len(y) for _, y in tasks])
        self.model = FMRLClassifier(
            BiasedLogisticRegression(), step_size="empirical_bayes", **self.params
        ).fit(X, y, tasks=labels)

    def predict(self, X_support, y_support, X):
        if not len(y_support):
            return self.model.predict_proba(X)[:, 1]
        return self.model.adapt(X_support, y_support).predict_proba(X)[:, 1]


class Reference:
    def __init__(self, *, integrated=False):
        self.integrated = integrated

    def fit(self, tasks):
        self.model = HierarchicalLogistic().fit(tasks)

    def predict(self, X_support, y_support, X):
        posterior = self.model.adapt(X_support, y_support)
        return self.model.predict_proba(X, posterior, integrated=self.integrated)


METHODS = {
    "reference": Reference,
    "integrated": lambda: Reference(integrated=True),
    "empirical Bayes": Library,
    "three passes": lambda: Library(n_passes=3),
}


def by_task(X, y, tasks):
    return [(X[tasks == t], y[tasks == t]) for t in np.unique(tasks)]


def simulated(seed, **params):
    return by_task(*make_task_classification(random_state=seed, **params))


def wage(seed):
    bunch = load_wage_panel()
    target = (bunch.target > np.median(bunch.target)).astype(float)
    return by_task(bunch.data, target, bunch.tasks)


def school(path):
    content = scipy.io.loadmat(path)
    tasks = [
        (X[:, :27].astype(float), y.ravel().astype(float))
        for X, y in zip(content["X"][0], content["Y"][0], strict=True)
    ]
    cut = np.median(np.concatenate([y for _, y in tasks]))
    return lambda seed: [(X, (y > cut).astype(float)) for X, y in tasks]


def few_shot(tasks, seed, method):
    """Mean log loss of the test tasks for every k."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(tasks))
    cut = round(0.7 * len(tasks))
    train, test = [[tasks[i] for i in part] for part in (order[:cut], order[cut:])]
    room = int(np.quantile([len(y) for _, y in tasks], 0.1)) - 4
    shots = [k for k in SHOTS if k <= max(room, 0)]
    start = time.perf_counter()
    method.fit(train)
    seconds = time.perf_counter() - start
    losses = []
    for X, y in test:
        if len(y) <= shots[-1]:
            continue
        p = rng.permutation(len(y))
        query = p[shots[-1] :]
        losses.append([])
        for k in shots:
            found = method.predict(X[p[:k]], y[p[:k]], X[query])
            found = np.where(y[query] == 1, found, 1 - found)
            losses[-1].append(-np.log(np.maximum(found, 1e-12)).mean())
    return shots, np.mean(losses, axis=0), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--school", help="path of school.mat, left out without it")
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    sets = {
        "simulated, all vary": lambda seed: simulated(
            seed, n_tasks=300, n_samples=24, n_features=8
        ),
        "simulated, intercept varies": lambda seed: simulated(
            seed, n_tasks=300, n_samples=24, n_features=8, task_std=0, intercept_std=1
        ),
        "simulated, short": lambda seed: simulated(
            seed, n_tasks=600, n_samples=6, n_features=5
        ),
        "wage over its median": wage,
    }
    if args.school:
        sets["school over its median"] = school(args.school)
    else:
        print("school: left out, no --school")
    for name, load in sets.items():
        print(f"\n{name}: log loss (ratio to the reference, paired by seed)")
        bar = None
        for label, make in METHODS.items():
            runs = [few_shot(load(seed), seed, make()) for seed in range(args.seeds)]
            shots, losses = runs[0][0], np.array([run[1] for run in runs])
            bar = losses if bar is None else bar
            means, ratios = losses.mean(axis=0), (losses / bar).mean(axis=0)
            cells = zip(shots, means, ratios, strict=True)
            text = "  ".join(f"k={k} {x:.3f} ({r:.3f})" for k, x, r in cells)
            seconds = np.mean([run[2] for run in runs])
            print(f"{label:16} {text}  fit {seconds:.2f} s", flush=True)


if __name__ == "__main__":
    main()
