"""
Regret against the number of samples per task
=============================================

How much less regret has meta-learning than learning every task alone, and how does this
depend on the number m of samples per task? This example compares five learners on the
same tasks. All of them take gradient steps within a task, in the ball of radius one,
and learn their step size D / sqrt(m) from task to task. They differ in where a task
starts:

- *single-task*: at zero.
- *strawman*: at the last iterate of the previous task.
- *FLI* (follow the last iterate): at the mean of the last iterates so far.
- *FAL* (follow the average leader): at the mean of the optima of the tasks so far.
- *omniscient*: at the mean of the optima of all tasks, including later ones.

The loss is the log loss. The regret of a task is relative to its best parameter in the
ball. The *certificate* is the mean of the regret bounds of the tasks, computed from
what was observed.
"""

import numpy as np

from skmeta import FMRLClassifier
from skmeta.linear_model import OGDClassifier
from skmeta.metrics import regret_report
from skmeta.step_size import Doubling

# %%
# The tasks
# ---------
# A row is drawn from one of two Gaussian distributions, one per class, and scaled to
# norm one. The centres differ a little from task to task.

N_TASKS, N_FEATURES = 100, 10


def mixture_tasks(n_samples):
    rng = np.random.default_rng(0)
    shape = N_TASKS, n_samples, N_FEATURES
    shared = rng.normal(size=(2, N_FEATURES))
    centers = shared + 0.5 * rng.normal(size=(N_TASKS, 2, N_FEATURES))
    y = rng.integers(2, size=shape[:2])
    X = centers[np.arange(N_TASKS)[:, np.newaxis], y] + 0.5 * rng.normal(size=shape)
    X /= np.linalg.norm(X, axis=2, keepdims=True)
    tasks = np.repeat(np.arange(N_TASKS), n_samples)
    return X.reshape(-1, N_FEATURES), y.ravel(), tasks


# %%
# The learners
# ------------
# ``standardize=False`` and ``update="ogd"`` are the algorithms of the papers.
# `Doubling` starts at D = 0.1 and multiplies D by 1.1 after a task whose parameter is
# farther than D from its start. This parameter is the optimum for FAL and for the
# omniscient learner, and the last iterate for the others.


def learner(**options):
    inner = OGDClassifier("log_loss", update="ogd", radius=1.0, fit_intercept=False)
    step_size = Doubling(0.1, gamma=1.1)
    return FMRLClassifier(inner, standardize=False, step_size=step_size, **options)


def reports_of(n_samples):
    """A report of every learner, all on the same tasks."""
    data = mixture_tasks(n_samples)
    leader = regret_report(learner(task_parameter="optimum"), *data)
    best = {"init": leader.optima.mean(axis=0), "task_parameter": "optimum"}
    others = {
        "single-task": learner(meta_step_size=0.0),
        "strawman": learner(meta_step_size=1.0),
        "FLI": learner(),
        "omniscient": learner(meta_step_size=0.0, **best),
    }
    reports = {name: regret_report(model, *data) for name, model in others.items()}
    return {**reports, "FAL": leader}


# %%
# Regret and certificate
# ----------------------
# The regret is below the certificate, for every learner and every m.

SIZES = (4, 16, 64, 256)
NAMES = ("single-task", "strawman", "FLI", "FAL", "omniscient")
reports = [reports_of(m) for m in SIZES]
regret = {k: np.array([r[k].task_averaged_regret for r in reports]) for k in NAMES}
certificate = {k: np.array([r[k].certificate for r in reports]) for k in NAMES}
print("task-averaged regret and, in parentheses, the certificate")
print("   m" + "".join(f"{name:>16}" for name in NAMES))
for i, m in enumerate(SIZES):
    pairs = (f"{regret[k][i]:.2f} ({certificate[k][i]:.2f})" for k in NAMES)
    print(f"{m:4}" + "".join(f"{pair:>16}" for pair in pairs))
assert all((regret[k] <= certificate[k]).all() for k in NAMES)

# %%
# From 4 to 256 samples the regret of single-task learning grows by a factor of about 9;
# the root of m grows by 8. All others have less regret at every m.

for name in NAMES:
    growth = regret[name][-1] / regret[name][0]
    share = regret[name] / regret["single-task"]
    print(f"{name:12} grows by a factor of {growth:4.1f}, at most", end=" ")
    print(f"{share.max():4.0%} of the regret of single-task learning")

# %%
# The longer the tasks, the closer is FLI to FAL. The strawman has less regret than FLI
# up to 16 samples per task, and more from 64 on.

print("   m   FLI / FAL   strawman / FLI")
for i, m in enumerate(SIZES):
    ratios = (
        regret["FLI"][i] / regret["FAL"][i],
        regret["strawman"][i] / regret["FLI"][i],
    )
    print(f"{m:4}{ratios[0]:12.2f}{ratios[1]:17.2f}")

# %%
# Why is FLI far from FAL on short tasks? With four samples and D = 0.1 the steps are so
# short that no last iterate is farther than D from its start. So D never grows,
# although the optima are farther away, as the D of FAL shows.

print("   m   D of FLI   D of FAL   after the last task")
for m in (SIZES[0], SIZES[-1]):
    X, y, tasks = mixture_tasks(m)
    models = learner(), learner(task_parameter="optimum")
    steps = [model.fit(X, y, tasks=tasks).step_size_ for model in models]
    print(f"{m:4}" + "".join(f"{step * np.sqrt(m):11.2f}" for step in steps))

# %%
# The picture
# -----------
# Regret and certificate of the five learners, in logarithmic scales. The dotted line
# grows like the root of m.

import matplotlib.pyplot as plt

COLORS = ("#000000", "#D55E00", "#E69F00", "#0072B2", "#009E73")
figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
for ax, values, title in zip(
    axes, (regret, certificate), ("Task-averaged regret", "Certificate"), strict=True
):
    for name, color in zip(NAMES, COLORS, strict=True):
        ax.loglog(SIZES, values[name], "o-", color=color, markersize=4, label=name)
    root = values["single-task"][-1] * np.sqrt(np.array(SIZES) / SIZES[-1])
    ax.loglog(SIZES, root, ":", color="0.5", label="root of m")
    ax.set_xticks(SIZES, [f"{m}" for m in SIZES])
    ax.minorticks_off()
    ax.set(title=title, xlabel="samples per task m")
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_yticks([0.2, 0.5, 1, 2, 5, 10], ["0.2", "0.5", "1", "2", "5", "10"])
axes[0].set_ylabel("per task")
axes[0].legend(frameon=False)
plt.show()
