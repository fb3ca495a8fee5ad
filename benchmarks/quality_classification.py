"""Few-shot log loss of FMRL beside the hierarchical logistic model.

python benchmarks/quality_classification.py [--school school.mat] [--seeds 5]

70 % of the tasks train; every other task is adapted to on its first k rows in a random
order and scored on those after the largest k. The rows of FMRL, and "plug-in", predict
by the sigmoid of the score; the row "reference" averages its probabilities over the
posterior instead. An indented row changes one parameter of `FMRLClassifier`.
"""

import argparse
import functools

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import quality
from hierarchical_logistic import HierarchicalLogistic
from quality import by_task, few_shot, stack
from skmeta import FMRLClassifier
from skmeta.datasets import load_wage_panel, make_task_classification


class Library:
    def __init__(self, **params):
        self.params = params

    def fit(self, tasks):
        X, y, labels = stack(tasks)
        self.model = FMRLClassifier(**self.params).fit(X, y, tasks=labels)

    def predict(self, X_support, y_support, X):
        if not len(y_support):
            return self.model.predict_proba(X)[:, 1]
        return self.model.adapt(X_support, y_support).predict_proba(X)[:, 1]


class Pooled:
    """One logistic regression for all."""

    def fit(self, tasks):
        X, y, _ = stack(tasks)
        self.model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)

    def predict(self, X_support, y_support, X):
        return self.model.predict_proba(X)[:, 1]


class Reference:
    def __init__(self, *, integrated=False):
        self.integrated = integrated

    def fit(self, tasks):
        self.model = HierarchicalLogistic().fit(tasks)

    def predict(self, X_support, y_support, X):
        posterior = self.model.adapt(X_support, y_support)
        return self.model.predict_proba(X, posterior, integrated=self.integrated)


METHODS = {
    "reference": lambda: Reference(integrated=True),
    "plug-in": Reference,
    "pooled": Pooled,
    "FMRLClassifier": Library,
    "  isotropic": lambda: Library(step_size="isotropic"),
    "  meta_step_size=0.1": lambda: Library(meta_step_size=0.1),
    "  init='pooled'": lambda: Library(init="pooled"),
    "  n_passes=3": lambda: Library(n_passes=3),
}


def simulated(seed, **params):
    return by_task(*make_task_classification(random_state=seed, **params))


def wage(seed):
    bunch = load_wage_panel()
    target = (bunch.target > np.median(bunch.target)).astype(float)
    return by_task(bunch.data, target, bunch.tasks)


def school(path, seed):
    tasks = quality.school(path, seed)
    cut = np.median(stack(tasks)[1])
    return [(X, (y > cut).astype(float)) for X, y in tasks]


def log_loss(y, probability):
    return -np.log(np.maximum(np.where(y == 1, probability, 1 - probability), 1e-12))


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
        sets["school over its median"] = functools.partial(school, args.school)
    else:
        print("school: left out, no --school")
    for name, load in sets.items():
        print(f"\n{name}: log loss (ratio to the reference, paired by seed)")
        bar = None
        for label, make in METHODS.items():
            runs = [
                few_shot(load(seed), seed, make(), log_loss)
                for seed in range(args.seeds)
            ]
            shots, losses = runs[0][0], np.array([run[1] for run in runs])
            bar = losses if bar is None else bar
            means, ratios = losses.mean(axis=0), (losses / bar).mean(axis=0)
            cells = zip(shots, means, ratios, strict=True)
            text = "  ".join(f"k={k} {x:.3f} ({r:.3f})" for k, x, r in cells)
            seconds = np.mean([run[2] for run in runs])
            print(f"{label:20} {text}  fit {seconds:.2f} s", flush=True)


if __name__ == "__main__":
    main()
