"""
The papers: learned step sizes
==============================

How long should the steps within a task be? ARUBA (Khodak, Balcan and Talwalkar, NeurIPS
2019) learns it from the tasks so far: one step size for all parameters (*isotropic*),
or one for each (*per coordinate*), which is small where tasks do not differ. Its regret
bound is close to that of the best step size in hindsight. The paper shows on few-shot
images that such step sizes are accurate without tuning. This example compares them with
fixed step sizes on linear tasks of text.
"""

import os

import numpy as np

from skmeta import FMRLClassifier
from skmeta.datasets import load_wikipedia_sample
from skmeta.linear_model import OGDClassifier
from skmeta.meta_step_size import FollowTheLeader
from skmeta.step_size import ARUBA

FULL = bool(os.environ.get("SKMETA_FULL"))  # the long form

# %%
# The tasks and the learner
# -------------------------
# A task has m sentences of each of four articles of Wikipedia. A row is the sum of the
# vectors of the words of a sentence, of norm one, and the loss is the log loss of four
# one-vs-all models. Every task starts at the mean of the last iterates so far, and
# takes gradient steps, without a ball. A seed draws the order of the 103 tasks.

SEEDS = range(20 if FULL else 5)
SHOTS = (1, 2, 4, 8, 16, 32) if FULL else (2, 8, 32)
FIXED = 2.0 ** np.arange(-5, 5)
sample = load_wikipedia_sample()


def tasks_of(seed, m):
    order = np.random.default_rng(seed).permutation(103)
    rows = (128 * order[:, np.newaxis] + np.arange(4 * m)).ravel()
    return sample.data[rows], sample.target[rows], sample.tasks[rows]


def learn(step_size, data):
    X, y, tasks = data
    model = FMRLClassifier(
        OGDClassifier("log_loss", update="ogd", fit_intercept=False),
        step_size=step_size,
        meta_step_size=FollowTheLeader(),
        standardize=False,
    )
    return model.fit(X, y, tasks=tasks)


LEARNED = {
    "isotropic": ARUBA(),
    "isotropic, balanced": ARUBA(balance=True),
    "per coordinate": ARUBA(per_coordinate=True),
    "per coordinate, balanced": ARUBA(per_coordinate=True, balance=True),
}

# %%
# Loss
# ----
# The loss is the mean over all rows of all tasks; each row is predicted before it is
# learned from. *Balanced* halves the squared gradients like the squared distances,
# which minimises the bound; the published sums do not have this half.


def loss_of(step_size, seed, m):
    return learn(step_size, tasks_of(seed, m)).history_["loss"].mean()


fixed = np.array(
    [[[loss_of(eta, k, m) for eta in FIXED] for k in SEEDS] for m in SHOTS]
)
learned = {
    name: np.array([[loss_of(rule, k, m) for k in SEEDS] for m in SHOTS])
    for name, rule in LEARNED.items()
}
best = fixed.min(axis=2)  # of every seed, in hindsight
print("loss per row: mean over seeds (smallest-largest)")
print(f"{'samples per class':26}" + "".join(f"{m:>21}" for m in SHOTS))
for name, values in {"best fixed": best, **learned}.items():
    texts = (f"{v.mean():.3f} ({v.min():.3f}-{v.max():.3f})" for v in values)
    print(f"{name:26}" + "".join(f"{text:>21}" for text in texts))
tuned = FIXED[fixed.mean(axis=1).argmin(axis=1)]
print(f"{'best fixed step size':26}" + "".join(f"{eta:>21g}" for eta in tuned))

# %%
# Step sizes per coordinate have less loss than the best of ten fixed ones, for every
# seed and every m, without tuning. The isotropic step size has up to 7 % more than the
# best fixed one. Balanced, it has less from 8 samples per class on.

per_coordinate = learned["per coordinate"]
ratios = {name: (values / best).mean(axis=1) for name, values in learned.items()}
for name, ratio in ratios.items():
    print(f"{name:26}loss over that of the best fixed one: {ratio.round(3)}")
is_long = np.array(SHOTS) >= 8
assert (per_coordinate < best).all()
assert (ratios["isotropic"] > 1).all() and (ratios["isotropic"] < 1.07).all()
assert (ratios["isotropic, balanced"][is_long] < 1).all()
assert (learned["per coordinate, balanced"][is_long] < per_coordinate[is_long]).all()

# %%
# The learned step sizes
# ----------------------
# The first feature is the direction that all sentences share: it is positive for every
# sentence. There the tasks agree, since it cannot tell articles apart, and its step
# size is the smallest. That of the second is the largest.

steps = learn(LEARNED["per coordinate"], tasks_of(0, 32)).step_size_[:, :-1]
isotropic = float(learn(LEARNED["isotropic"], tasks_of(0, 32)).step_size_)
means = steps.mean(axis=0)
print(f"isotropic {isotropic:.2f}; per coordinate, mean over the classes:")
print(f"first {means[0]:.2f}, second {means[1]:.2f}, the other 48 ", end="")
print(f"{means[2:].min():.2f} to {means[2:].max():.2f}")
assert (sample.data[:, 0] > 0).all()
assert means.argmin() == 0 and means.argmax() == 1
assert means[0] < isotropic / 2

# %%
# The picture
# -----------
# Above, the loss with m = 8; bands are the smallest and largest value over the seeds.
# Below, the step sizes after all tasks with m = 32, as mean and range over the classes.

import matplotlib.pyplot as plt

COLORS = ("#E69F00", "#D55E00", "#56B4E9", "#0072B2")
figure, axes = plt.subplots(2, 1, figsize=(4.8, 6.8), layout="constrained")
middle = SHOTS.index(8)
low, mean, high = (f(fixed[middle], axis=0) for f in (np.min, np.mean, np.max))
axes[0].plot(FIXED, mean, "o-", color="black", markersize=4, label="fixed")
axes[0].fill_between(FIXED, low, high, color="black", alpha=0.2, linewidth=0)
for (name, values), color, style in zip(
    learned.items(), COLORS, ("-", "--", "-", "--"), strict=True
):
    values = values[middle]
    axes[0].axhline(values.mean(), color=color, linestyle=style, label=name)
    axes[0].axhspan(values.min(), values.max(), color=color, alpha=0.2, linewidth=0)
axes[0].set_xscale("log", base=2)
axes[0].set_xticks(FIXED[1::2], [f"{eta:g}" for eta in FIXED[1::2]])
axes[0].set(ylim=(2.1, 2.6), xlabel="fixed step size", ylabel="loss per row (nats)")
axes[0].legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
number = np.arange(1, 51)
axes[1].vlines(
    number, steps.min(axis=0), steps.max(axis=0), color="#0072B2", linewidth=1.5
)
axes[1].plot(number, means, "o", color="#0072B2", markersize=4, label="per coordinate")
axes[1].axhline(isotropic, color="#E69F00", label="isotropic")
axes[1].set(ylim=(0, None), xlabel="feature", ylabel="learned step size")
axes[1].legend(frameon=False, loc="upper right")
for ax in axes:
    ax.spines[["top", "right"]].set_visible(False)
plt.show()
