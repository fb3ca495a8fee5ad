"""
The papers: regret against the number of samples
================================================

How much less regret has meta-learning than learning every task alone, and how does this
depend on the number m of samples per class? Balcan, Khodak and Talwalkar (ICML 2019)
answer with four-way classification of sentences of Wikipedia. This example repeats
their experiment with sentences that need no download.

All learners take gradient steps within a task, in the ball of radius one. They differ
in where a task starts:

- *single-task*: at zero.
- *strawman*: at the optimum of the previous task.
- *FLI* (follow the last iterate): at the mean of the last iterates so far.
- *FLI average*: at the mean of the average iterates so far.
- *FAL* (follow the average leader): at the mean of the optima of the tasks so far.
- *omniscient*: at the mean of the optima of all tasks, including later ones.

The regret of a task is the loss of its rows, each predicted before it is learned from,
minus the loss of the best parameter in the ball. The *certificate* is the mean of the
regret bounds of the tasks, computed from what was observed.

The paper proves that the regret of FAL grows with the spread of the tasks' optima, and
that of single-task learning with their norm. It reports that meta-learning has less
regret than single-task learning and the strawman.
"""

import os

import numpy as np

from skmeta import FMRLClassifier
from skmeta.datasets import load_wikipedia_sample
from skmeta.linear_model import BiasedLogisticRegression, OGDClassifier
from skmeta.meta_step_size import FollowTheLeader
from skmeta.metrics import omniscient, regret_report
from skmeta.step_size import Doubling

FULL = bool(os.environ.get("SKMETA_FULL"))  # the long form

# %%
# The tasks
# ---------
# A task has m sentences of each of four articles of Wikipedia; a row is the sum of the
# vectors of the words of a sentence, of norm one. The paper's data set is
# :func:`~skmeta.datasets.fetch_mini_wikipedia`; its stand-in here has other articles,
# 103 tasks, and vectors that were learned from the same sentences. A seed draws the
# articles and sentences of every task.

SHOTS = (1, 2, 4, 8, 16, 32) if FULL else (1, 3, 10, 32)
SEEDS = range(5 if FULL else 3)
N_TASKS = 103 if FULL else 40
samples = [load_wikipedia_sample(random_state=seed, return_X_y=True) for seed in SEEDS]


def tasks_of(seed, m):
    """The rows of m samples per class of every task."""
    X, y, tasks = samples[seed]
    rows = (tasks < N_TASKS) & (np.arange(len(X)) % 128 < 4 * m)
    return X[rows], y[rows], tasks[rows]


# %%
# The learners
# ------------
# ``standardize=False`` gives the algorithms of the papers. The step size is D /
# sqrt(n), with n = 4 m rows. Single-task learning knows D = 2, the diameter of the
# ball; the omniscient learner knows D, the largest distance of an optimum from the
# mean. The others learn D (`Doubling`): it starts at 0.1 and is multiplied by 1.1 after
# a task whose parameter is farther than D from its start.
#
# Within a task, *OGD* projects every iterate on the ball, and *FTRL* projects the sum
# of the steps so far. The FTRL of the paper minimises the sum of the losses so far
# instead; it is slow, so only the long form runs it.

INNER = {
    update: OGDClassifier("log_loss", update=update, radius=1.0, fit_intercept=False)
    for update in ("ogd", "ftrl")
}
INNER["losses"] = BiasedLogisticRegression(radius=1.0, fit_intercept=False)


def learner(inner, **options):
    """FMRL with a learned step size; `options` replace the defaults here."""
    defaults = {"step_size": Doubling(0.1, gamma=1.1), "standardize": False}
    return FMRLClassifier(INNER[inner], **{**defaults, **options})


def learners(inner, best, n_rows):
    """The learners by name; `best` is what the omniscient one knows."""
    optimum = {"task_parameter": "optimum"}
    leader = {"meta_step_size": FollowTheLeader()}
    diameter, distance = 2.0 / np.sqrt(n_rows), best.radius / np.sqrt(n_rows)
    models = {
        "single-task": learner(inner, meta_step_size=0.0, step_size=diameter),
        "strawman": learner(inner, meta_step_size=1.0, **optimum),
        "FLI average": learner(inner, task_parameter="average", **leader),
        "FLI": learner(inner, **leader),
        "FAL": learner(inner, **leader, **optimum),
        "omniscient": learner(
            inner, init=best.init, meta_step_size=0.0, step_size=distance
        ),
    }
    return {name: models[name] for name in NAMES[inner]}


# %%
# Regret and certificate
# ----------------------
# The paper compares these learners. All are compared with the same optima, which are
# computed once.

NAMES = {
    "ftrl": ["strawman", "FAL", "omniscient"],
    "ogd": ["single-task", "strawman", "FLI average", "FLI", "FAL", "omniscient"],
    "losses": ["strawman", "FAL", "omniscient"],
}


def run(inners, seeds, shots):
    """Regret and certificate by learner, each of shape (n_seeds, n_shots)."""
    found = {inner: {name: [] for name in NAMES[inner]} for inner in inners}
    for seed in seeds:
        for m in shots:
            data = tasks_of(seed, m)
            best = omniscient(learner("ogd"), *data)
            for inner, lists in found.items():
                for name, model in learners(inner, best, 4 * m).items():
                    report = regret_report(model, *data, optima=best.optima)
                    lists[name].append(
                        (report.task_averaged_regret, report.certificate)
                    )
    shape = len(seeds), len(shots)
    return {
        inner: {k: np.array(v).T.reshape(2, *shape) for k, v in lists.items()}
        for inner, lists in found.items()
    }


def show(title, results, shots):
    print(f"\n{title}: regret and, in parentheses, certificate; mean over seeds")
    print(f"{'m':14}" + "".join(f"{m:>15}" for m in shots))
    for name, (regret, certificate) in results.items():
        pairs = zip(regret.mean(axis=0), certificate.mean(axis=0), strict=True)
        print(f"{name:14}" + "".join(f"{f'{a:.2f} ({b:.2f})':>15}" for a, b in pairs))


results = run(["ogd", "ftrl"], SEEDS, SHOTS)
show("OGD", results["ogd"], SHOTS)
show("FTRL", results["ftrl"], SHOTS)
if FULL:
    few = (1, 2, 4)
    show(
        "FTRL on full losses, two seeds", run(["losses"], range(2), few)["losses"], few
    )

# %%
# The regret is below the certificate, for every learner, m and seed. As in the paper,
# FAL has less regret than the strawman, and the strawman less than single-task
# learning, at every m. FAL is close to the omniscient learner on short tasks. On long
# tasks it is behind, the more so the fewer tasks there are to learn from.

ogd = {name: pair[0].mean(axis=0) for name, pair in results["ogd"].items()}
for pairs in results.values():
    assert all((regret <= bound).all() for regret, bound in pairs.values())
assert (ogd["FAL"] < ogd["strawman"]).all()
assert (ogd["strawman"] < ogd["single-task"]).all()
print("m                 ", *(f"{m:>6}" for m in SHOTS))
print("FAL / omniscient  ", *(f"{a:6.2f}" for a in ogd["FAL"] / ogd["omniscient"]))
print("FAL / single-task ", *(f"{a:6.2f}" for a in ogd["FAL"] / ogd["single-task"]))
print("FLI / FAL         ", *(f"{a:6.2f}" for a in ogd["FLI"] / ogd["FAL"]))

# %%
# FLI is close to FAL, and has less regret than single-task learning at every m. With
# the average iterate it has more than single-task learning at some m: the average
# iterate is closer to the start than the last one, so that it never exceeds D = 0.1 on
# short tasks. D does not grow, and the steps stay short.

assert (abs(ogd["FLI"] / ogd["FAL"] - 1.1) < 0.15).all()
assert (ogd["FLI"] < ogd["single-task"]).all()
assert (ogd["FLI average"] > ogd["single-task"]).any()
print("D after the last task, with m =", SHOTS[:3])
for name, parameter in (
    ("FLI average", "average"),
    ("FLI", "last"),
    ("FAL", "optimum"),
):
    found = []
    for m in SHOTS[:3]:
        X, y, tasks = tasks_of(0, m)
        leader = {"task_parameter": parameter, "meta_step_size": FollowTheLeader()}
        model = learner("ogd", **leader).fit(X, y, tasks=tasks)
        found.append(float(model.step_size_) * np.sqrt(4 * m))
    print(f"{name:12}", *(f"{D:5.2f}" for D in found))

# %%
# The picture
# -----------
# Lines are means over seeds, bands the smallest and largest value. The dotted line
# grows like the root of m.

import matplotlib.pyplot as plt

COLORS = {
    "single-task": "#000000",
    "strawman": "#D55E00",
    "FLI average": "#CC79A7",
    "FLI": "#E69F00",
    "FAL": "#0072B2",
    "omniscient": "#009E73",
}
MARKERS = dict(zip(COLORS, "osv^Dx", strict=True))
figure, axes = plt.subplots(
    2, 2, figsize=(5, 6.2), sharex=True, sharey=True, layout="constrained"
)
for row, (inner, title) in zip(axes, (("ftrl", "FTRL"), ("ogd", "OGD")), strict=True):
    for ax, values in zip(row, (0, 1), strict=True):
        for name, pair in results[inner].items():
            color = COLORS[name]
            low, mean, high = (
                f(pair[values], axis=0) for f in (np.min, np.mean, np.max)
            )
            ax.loglog(SHOTS, mean, color=color, marker=MARKERS[name], markersize=4)
            ax.fill_between(SHOTS, low, high, color=color, alpha=0.2, linewidth=0)
        ax.loglog(SHOTS, 1.1 * np.sqrt(SHOTS), ":", color="0.5")
        ax.set_xticks(SHOTS, [f"{m}" for m in SHOTS])
        ax.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
        ax.minorticks_off()
        ax.spines[["top", "right"]].set_visible(False)
    row[0].set(title=f"{title}: regret", ylabel="per task (nats)")
    row[1].set(title=f"{title}: certificate")
for ax in axes[1]:
    ax.set_xlabel("samples per class m")
lines = [
    plt.Line2D([], [], color=color, marker=MARKERS[name], markersize=4, label=name)
    for name, color in COLORS.items()
]
lines.append(plt.Line2D([], [], color="0.5", linestyle=":", label="root of m"))
figure.legend(handles=lines, loc="outside lower center", ncols=3, frameon=False)
plt.show()
