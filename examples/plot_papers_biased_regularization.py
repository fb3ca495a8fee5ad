"""
The papers: learning to learn with biased regularisation
========================================================

Denevi, Ciliberto, Grazzi and Pontil (ICML 2019) learn every task by stochastic gradient
descent that is regularised towards a common start, and learn the start from task to
task (*LTL*). They compare it with learning every task alone, from zero, and with the
*oracle* that starts at the true mean of the tasks. This example repeats their
regression experiment with synthetic tasks; the long form repeats that with the school
data.
"""

import os

import numpy as np

from skmeta import FMRLRegressor
from skmeta.datasets import fetch_school
from skmeta.linear_model import OGDRegressor

FULL = bool(os.environ.get("SKMETA_FULL"))  # the long form

# %%
# The setting
# -----------
# A task is a linear model in 30 dimensions, whose weights are normal with mean 4 and
# standard deviation 1. It has 10 rows to learn from, uniform on the unit sphere. The
# target has noise with the variance of the signal, and the loss is the absolute error.
# 100 tasks train the start. It is evaluated on 200 others, on 100 further rows of each;
# another 100 choose the step sizes. The authors' script has the same setting, with 200
# tasks to choose from a longer list of step sizes.

N_FEATURES, N_ROWS = 30, 10
SEEDS = range(10 if FULL else 3)


def make_tasks(rng, n_tasks, n_test):
    """Tasks, each of the features and targets to learn from and of those to predict."""
    weights = 4 + rng.standard_normal((n_tasks, N_FEATURES))
    X = rng.standard_normal((n_tasks, N_ROWS + n_test, N_FEATURES))
    X /= np.linalg.norm(X, axis=2, keepdims=True)
    signal = np.einsum("tnd,td->tn", X, weights)
    noise = rng.standard_normal(signal.shape)
    y = signal + noise * signal.std(axis=1, keepdims=True)
    return [
        ((X[t, :N_ROWS], y[t, :N_ROWS]), (X[t, N_ROWS:], y[t, N_ROWS:]))
        for t in range(n_tasks)
    ]


# %%
# The algorithm
# -------------
# Their inner algorithm with regularisation lambda is linearised FTRL with the steps 1 /
# (lambda i): ``update="ftrl"`` and ``learning_rate="inverse"``, with `eta0` = 1 /
# lambda. A task is predicted with the average iterate. Their meta-algorithm moves the
# start by a constant share of the way to the last iterate, as a float `meta_step_size`
# does, and evaluates the mean of all starts so far, `init_mean_`. A share is at most 1
# here; theirs may be larger. Instead, the steps that train the start and those that
# learn a new task are chosen apart.

STEPS = (0.1, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # values of eta0
SHARES = (0.03, 0.1, 0.3, 1.0)


def inner(eta0):
    return OGDRegressor(
        "absolute_error",
        update="ftrl",
        learning_rate="inverse",
        eta0=eta0,
        average=True,
        fit_intercept=False,
    )


def error_of(start, eta0, new_tasks):
    """Mean absolute error on the later rows of tasks that are learned from a start."""
    learner, errors = inner(eta0), []
    for (X, y), (X_new, y_new) in new_tasks:
        learner.fit(X, y, coef_init=start)
        errors.append(np.abs(y_new - learner.predict(X_new)).mean())
    return np.mean(errors)


def starts_of(eta0, share, tasks, stops):
    """The start after each of these numbers of tasks."""
    model = FMRLRegressor(
        inner(eta0), step_size="fixed", meta_step_size=share, standardize=False
    )
    starts = []
    for number, (X, y) in enumerate(tasks):
        model.partial_fit(X, y, tasks=np.full(len(y), number))
        if number + 1 in stops:
            starts.append(model.init_mean_[:-1])
    return starts


def experiment(training, validation, test, stops, steps=STEPS, oracle=None):
    """Test errors alone, of LTL after every stop, and of the oracle; and the choice."""

    def tested(start):
        best = min(steps, key=lambda eta0: error_of(start, eta0, validation))
        return error_of(start, best, test)

    runs = [(eta0, share) for eta0 in steps[2:] for share in SHARES]
    starts = {run: starts_of(*run, training, stops) for run in runs}
    best = min(runs, key=lambda run: error_of(starts[run][-1], steps[1], validation))
    curve = [tested(start) for start in starts[best]]
    alone = tested(np.zeros_like(starts[best][0]))
    return alone, curve, np.nan if oracle is None else tested(oracle), best


def show(runs, stops, oracle):
    print("absolute error: mean over seeds (smallest-largest)")
    curves = np.array([run[1] for run in runs]).T
    lines = {
        "alone": [run[0] for run in runs],
        **{f"LTL, {n} tasks": curve for n, curve in zip(stops, curves, strict=True)},
        **({"oracle": [run[2] for run in runs]} if oracle else {}),
    }
    for name, values in lines.items():
        spread = f"({np.min(values):.3f}-{np.max(values):.3f})"
        print(f"{name:15}{np.mean(values):7.3f} {spread}")
    print("step and share that were chosen:", *(run[3] for run in runs))


# %%
# Synthetic tasks
# ---------------

STOPS = (1, 2, 5, 10, 20, 50, 100)


def synthetic(seed):
    rng = np.random.default_rng(seed)
    mean = np.full(N_FEATURES, 4.0)
    training = [first for first, _ in make_tasks(rng, 100, 0)]
    validation, test = make_tasks(rng, 100, 100), make_tasks(rng, 200, 100)
    return experiment(training, validation, test, STOPS, oracle=mean)


runs = [synthetic(seed) for seed in SEEDS]
show(runs, STOPS, oracle=True)

# %%
# The authors' repository stores the errors of three runs of this setting: alone 4.57,
# 4.66 and 4.59; LTL after 100 tasks 3.46, 3.48 and 3.49; oracle 3.33, 3.38 and 3.39.
# Here, alone and the oracle are within two percent of theirs on average. As there, LTL
# closes most of the gap to the oracle, here somewhat more than there.

stored = {"alone": 4.605, "LTL": 3.477, "oracle": 3.366}  # means of the three runs
found = {
    "alone": np.mean([run[0] for run in runs]),
    "LTL": np.mean([run[1][-1] for run in runs]),
    "oracle": np.mean([run[2] for run in runs]),
}
closed = []
for which in (stored, found):
    alone, ltl, oracle = which.values()
    closed.append((alone - ltl) / (alone - oracle))
print(f"share of the gap that LTL closes: {closed[1]:.2f} here, {closed[0]:.2f} stored")
assert all(abs(found[k] / stored[k] - 1) < 0.02 for k in ("alone", "oracle"))
assert 0.85 < closed[0] < closed[1] < 1

# %%
# School data
# -----------
# The long form: 139 schools as tasks, of which 75 train the start, 25 choose the step
# sizes and 39 are for the evaluation, with half of the pupils of a school to learn from
# and the other half to predict. Rows have norm one, as in the authors' script.

if FULL:
    school = fetch_school(path=os.environ.get("SKMETA_SCHOOL"))
    rows = school.data / np.linalg.norm(school.data, axis=1, keepdims=True)

    def schools(seed):
        rng = np.random.default_rng(seed)
        tasks = []
        for label in rng.permutation(139) + 1:
            task = rng.permutation(np.flatnonzero(school.tasks == label))
            halves = np.array_split(task, 2)
            tasks.append([(rows[half], school.target[half]) for half in halves])
        training = [first for first, _ in tasks[:75]]
        steps = tuple(10 * step for step in STEPS) + (10_000.0,)
        return experiment(training, tasks[75:100], tasks[100:], (1, 5, 20, 75), steps)

    print("school data")
    show([schools(seed) for seed in SEEDS], (1, 5, 20, 75), oracle=False)

# %%
# The picture
# -----------
# Synthetic tasks. Lines are means over seeds, bands the smallest and largest value.

import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(4.8, 3.8), layout="constrained")
alone, curves, oracle = (np.array([run[i] for run in runs]) for i in range(3))
for name, values, color, style in (
    ("alone", alone, "#000000", "--"),
    ("oracle mean", oracle, "#009E73", "-."),
):
    ax.axhline(values.mean(), color=color, linestyle=style, label=name)
    ax.axhspan(values.min(), values.max(), color=color, alpha=0.15, linewidth=0)
ax.plot(STOPS, curves.mean(axis=0), "o-", color="#0072B2", markersize=4, label="LTL")
ax.fill_between(
    STOPS,
    curves.min(axis=0),
    curves.max(axis=0),
    color="#0072B2",
    alpha=0.2,
    linewidth=0,
)
ax.set_xscale("log")
ax.set_xticks(STOPS, [f"{n}" for n in STOPS])
ax.minorticks_off()
ax.set(xlabel="training tasks seen", ylabel="absolute error on new tasks")
ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 0.12))
ax.spines[["top", "right"]].set_visible(False)
plt.show()
