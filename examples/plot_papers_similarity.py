"""
The papers: how similar are the tasks?
======================================

Meta-learning with a shared initialization can help if the best parameters of the tasks,
their *optima*, are close to each other. Balcan, Khodak and Talwalkar (ICML 2019)
measure this on four-way classification of sentences of Wikipedia: the distance of every
optimum to the mean of all, with parameters in the unit ball. They find that the optima
are closer to their mean than the ball allows, even with one sentence for each class,
and closer the more samples there are. This example repeats the measurement on a sample
of Wikipedia that needs no download; the long form runs on the data set of the paper,
too, if its files are there.
"""

import os

import numpy as np

from skmeta import FMRLClassifier
from skmeta.datasets import fetch_mini_wikipedia, load_wikipedia_sample
from skmeta.linear_model import OGDClassifier
from skmeta.metrics import omniscient

FULL = bool(os.environ.get("SKMETA_FULL"))  # the long form

# %%
# The tasks
# ---------
# A task has m sentences of each of four articles. A row is the sum of the vectors of
# the words of a sentence, of norm one. The loss is the log loss of four one-vs-all
# models without intercepts, summed over the classes and the rows. A seed decides which
# articles and which of their sentences form a task.

SHOTS = (1, 2, 4, 8, 16, 32)
SEEDS = range(10 if FULL else 3)
inner = OGDClassifier("log_loss", radius=1.0, fit_intercept=False)
model = FMRLClassifier(inner, standardize=False, step_size="doubling")


def optima_of(X, y, tasks):
    """The best parameter of every task in the unit ball, and their similarity."""
    return omniscient(model, X, y, tasks)


def similarities(seed):
    """The optima of the same tasks for every number of samples."""
    X, y, tasks = load_wikipedia_sample(random_state=seed, return_X_y=True)
    position = np.arange(len(X)) % 128
    found = []
    for m in SHOTS:
        rows = position < 4 * m
        found.append(optima_of(X[rows], y[rows], tasks[rows]))
    return found


found = [similarities(seed) for seed in SEEDS]
V = np.array([[best.V for best in one] for one in found])
largest = np.array([[best.radius for best in one] for one in found])

# %%
# Distances to the mean
# ---------------------
# V is the root mean squared distance of the optima to their mean. Every optimum is on
# the sphere. If tasks had nothing in common, the mean would be about zero, and V and
# all distances about 1, the radius of the ball.

print("samples per class" + "".join(f"{m:>14}" for m in SHOTS))
for name, values in (("V", V), ("largest distance", largest)):
    ranges = (
        f"{a:.3f}-{b:.3f}" for a, b in zip(values.min(0), values.max(0), strict=True)
    )
    print(f"{name:17}" + "".join(f"{one:>14}" for one in ranges))
norms = np.linalg.norm([[b.optima for b in one] for one in found], axis=(-2, -1))
print(f"\nnorms of the optima: {norms.min():.6f} to {norms.max():.6f}")

# %%
# V falls with m, and even the farthest optimum is closer to the mean than to zero. As
# in the paper, the tasks are similar enough that meta-learning can help, and the more
# so the more samples there are.

assert (np.diff(V) < 0).all()
assert (largest < 1).all() and (largest[:, -1] < largest[:, 0]).all()
assert np.allclose(norms, 1.0)

# %%
# What the tasks share
# --------------------
# The four articles of a task come in random order, so no class can have a meaning that
# is shared between tasks. What is shared must be the same for all classes: the average
# row of the mean. It holds nearly all of the mean.

print(" m   norm of the mean   of its average row, four times   scores of all rows")
data, rows = load_wikipedia_sample(random_state=0).data, np.arange(103 * 128) % 128
for m, best in zip(SHOTS, found[0], strict=True):
    mean = best.init[:, :-1]
    average = np.tile(mean.mean(axis=0), (4, 1))
    scores = data[rows < 4 * m] @ average[0]
    print(f"{m:2}{np.linalg.norm(mean):15.3f}{np.linalg.norm(average):25.3f}", end="")
    print(f"{scores.mean():28.3f}")
    assert np.linalg.norm(average) > 0.9 * np.linalg.norm(mean)
    assert scores.mean() < 0

# %%
# It gives every sentence a negative score: three of four times, an article is not the
# one that a sentence is from.

print(f"{np.mean(scores < 0):.1%} of the sentences have a negative score")
assert (scores < 0).all()

# %%
# The data set of the paper
# -------------------------
# The long form measures the same on Mini-Wikipedia, with all sentences too, if its
# files are in the folder of :func:`~skmeta.datasets.fetch_mini_wikipedia` or can be
# downloaded.

if FULL:
    try:
        for subset in (*(f"bal/train/{m}" for m in SHOTS), "raw"):
            best = optima_of(*fetch_mini_wikipedia(subset=subset, return_X_y=True))
            print(f"{subset:14} V {best.V:.3f}  largest distance {best.radius:.3f}")
    except OSError as error:
        print(f"Mini-Wikipedia: {error}")

# %%
# The picture
# -----------
# Above, the distances of the optima of one seed to their mean. Below, V and the largest
# distance; bands are the smallest and largest value over the seeds.

import matplotlib.pyplot as plt

COLORS = ("#E69F00", "#0072B2", "#000000")
figure, axes = plt.subplots(2, 1, figsize=(4.8, 6), layout="constrained")
for m, color, style in zip((1, 8, 32), COLORS, (":", "--", "-"), strict=True):
    best = found[0][SHOTS.index(m)]
    distances = np.sort(np.linalg.norm(best.optima - best.init, axis=(1, 2)))
    share = np.arange(1, len(distances) + 1) / len(distances)
    axes[0].step(distances, 100 * share, style, color=color, label=f"m = {m}")
axes[0].axvline(1.0, color="0.5", linewidth=1)
axes[0].annotate("radius of the ball", (1.005, 3), rotation=90, color="0.35")
axes[0].set(
    xlim=(0.45, 1.06),
    xlabel="distance of an optimum to the mean",
    ylabel="tasks within (%)",
)
axes[0].legend(frameon=False, loc="upper left")
for name, values, color, marker in (
    ("largest distance", largest, "#D55E00", "s"),
    ("V", V, "#0072B2", "o"),
):
    axes[1].plot(SHOTS, values.mean(axis=0), color=color, marker=marker, label=name)
    axes[1].fill_between(
        SHOTS,
        values.min(axis=0),
        values.max(axis=0),
        color=color,
        alpha=0.25,
        linewidth=0,
    )
axes[1].axhline(1.0, color="0.5", linewidth=1)
axes[1].set_xscale("log")
axes[1].set_xticks(SHOTS, [f"{m}" for m in SHOTS])
axes[1].minorticks_off()
axes[1].set(ylim=(0, 1.05), xlabel="samples per class m", ylabel="distance")
axes[1].legend(frameon=False, loc="lower left")
for ax in axes:
    ax.spines[["top", "right"]].set_visible(False)
plt.show()
