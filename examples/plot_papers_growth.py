"""
The papers: how fast does the loss of a task grow?
==================================================

A gradient method ends near the optimum of a task, not at it. The paper of Balcan,
Khodak and Talwalkar (ICML 2019) proves that the last iterate can stand for the optimum
if the loss L of a task grows quadratically: if L exceeds its minimum L* by at least
alpha / 2 times the squared distance from the optimum. It measures the growth on a
mixture of Gaussians and on text. This example repeats the measurement with
:func:`~skmeta.metrics.quadratic_growth`.
"""

import os

import numpy as np

from skmeta.datasets import load_wikipedia_sample, make_gaussian_mixture_tasks
from skmeta.metrics import quadratic_growth

FULL = bool(os.environ.get("SKMETA_FULL"))  # the long form

# %%
# The setting
# -----------
# Parameters are in the unit ball, and the loss is the log loss of four one-vs-all
# models without intercepts, summed over the rows. The *growth* is the least L - L* at a
# distance of delta from the optimum. It is divided by n delta^2, with n the number of
# rows: then a constant means that alpha is proportional to n.
#
# The mixture is that of the paper: four classes in 50 dimensions, with centers drawn
# anew for every task. The text is a sample of Wikipedia; the paper uses Mini-Wikipedia.
# The authors' script draws 40 tasks of each, as the long form does.

N_TASKS = 40 if FULL else 8
DELTAS = np.array([0.2, 0.25, 0.4, 0.5, 0.7, 1.0] if FULL else [0.25, 0.5, 1.0])
ROWS = {
    "Gaussian mixture": (16, 32, 64, 128, 256, 512) if FULL else (16, 64, 256),
    "Wikipedia sample": (4, 8, 16, 32, 64, 128) if FULL else (4, 32, 128),
}
DATA = {
    "Gaussian mixture": make_gaussian_mixture_tasks(N_TASKS, 512, random_state=0),
    "Wikipedia sample": load_wikipedia_sample(return_X_y=True),
}


def growth_of(name):
    """L - L* over n delta^2, of shape (n_tasks, n_sizes, n_deltas)."""
    X, y, tasks = DATA[name]
    result = np.empty((N_TASKS, len(ROWS[name]), len(DELTAS)))
    for task in range(N_TASKS):
        rows = np.flatnonzero(tasks == task)
        for i, n in enumerate(ROWS[name]):
            for j, delta in enumerate(DELTAS):
                growth = quadratic_growth(
                    X[rows[:n]], y[rows[:n]], delta, 1.0, fit_intercept=False
                )
                result[task, i, j] = growth / (n * delta**2)
    return result


results = {name: growth_of(name) for name in DATA}

# %%
# The growth
# ----------
# The growth is positive for every task, size and distance: the assumption holds on
# both.

for name, values in results.items():
    print(f"{name}: (L - L*) / (n delta^2), smallest and largest over {N_TASKS} tasks")
    print("   n" + "".join(f"{f'delta = {delta:.2g}':>15}" for delta in DELTAS))
    for n, low, high in zip(ROWS[name], values.min(0), values.max(0), strict=True):
        ranges = (f"{a:.3f}-{b:.3f}" for a, b in zip(low, high, strict=True))
        print(f"{n:4}" + "".join(f"{one:>15}" for one in ranges))
assert all((values > 0).all() for values in results.values())

# %%
# On the mixture, the mean ratio changes by at most 7 % from the smallest to the largest
# n: alpha is proportional to the number of rows. It is larger at larger distances.
#
# On text the ratio is smaller, and falls when n grows, from about 0.22 to 0.11. It
# hardly depends on delta. The reason is the sphere: the optimum is on it, so the slope
# of the loss there is directed to its centre, and L - L* is at least the slope times
# delta^2 / 2, whatever the curvature.

mean = {name: values.mean(axis=0) for name, values in results.items()}
for name, values in mean.items():
    print(f"{name}: mean ratio with the fewest rows {values[0].round(3)}")
    print(f"{'':{len(name)}}             with the most rows {values[-1].round(3)}")
mixture, text = mean.values()
assert (abs(mixture[-1] / mixture[0] - 1) < 0.07).all()
assert (np.diff(mixture, axis=1) > 0).all()
assert (np.diff(text, axis=0) < 0).all()
assert (abs(text[0] - 0.22) < 0.01).all() and (abs(text[-1] - 0.11) < 0.01).all()
assert (text[:, -1] < 1.05 * text[:, 0]).all()

# %%
# The picture
# -----------
# L - L* against the distance, in logarithmic scales. Lines are means over tasks, bands
# the smallest and largest value. The dotted lines grow like delta^2.

import matplotlib.pyplot as plt

figure, axes = plt.subplots(2, 1, figsize=(4.8, 6.6), sharex=True, layout="constrained")
for ax, (name, values) in zip(axes, results.items(), strict=True):
    sizes = np.array(ROWS[name])
    colors = plt.get_cmap("viridis")(np.linspace(0.0, 0.85, len(sizes)))
    excess = values * sizes[:, np.newaxis] * DELTAS**2
    for i in reversed(range(len(sizes))):
        low, middle, high = (f(excess[:, i], axis=0) for f in (np.min, np.mean, np.max))
        ax.loglog(DELTAS, middle, "o-", color=colors[i], markersize=4, label=sizes[i])
        ax.fill_between(DELTAS, low, high, color=colors[i], alpha=0.25, linewidth=0)
        square = middle[0] * (DELTAS / DELTAS[0]) ** 2
        ax.loglog(DELTAS, square, ":", color="0.5", linewidth=1)
    ax.set(title=name, ylabel="least L - L* (nats)")
    ax.legend(frameon=False, title="rows n", loc="center left", bbox_to_anchor=(1, 0.5))
    ax.spines[["top", "right"]].set_visible(False)
axes[1].set_xlabel("distance delta from the optimum")
axes[1].set_xticks(DELTAS, [f"{delta:.2g}" for delta in DELTAS])
axes[1].minorticks_off()
plt.show()
