"""
Does theory hold? Regret on tasks of known similarity
=====================================================

A learner predicts every row of a task before it learns from it. The regret of the task
is the sum of these losses minus that of the best fixed parameter in hindsight. The
theory of the papers makes four statements about the task-averaged regret:

- It is at most the certificate, the mean of the bounds of the tasks, on any data.
- With the right step size it is at most about V G sqrt(m), for tasks of m rows whose
  optima have the spread V and whose gradients have norm at most G. Similar tasks have
  less regret, long tasks have more.
- Learning V costs little.
- It approaches the regret of a learner that knows the best initialization beforehand.

The tasks are synthetic, so V is known. The loss is Huber's: it is convex, and its
gradients have norm at most G = 0.1 times the norm of a row, which is about one. The
theory refers to raw parameters, hence ``standardize=False``.
"""

import numpy as np

from skmeta import FMRLRegressor
from skmeta.datasets import make_task_regression
from skmeta.linear_model import OGDRegressor
from skmeta.metrics import omniscient, regret_report
from skmeta.step_size import ARUBA, Doubling

G, N_TASKS, N_FEATURES = 0.1, 200, 10


def tasks_of(spread, n_samples):
    """Tasks whose true weights lie about `spread` from their mean."""
    return make_task_regression(
        n_tasks=N_TASKS,
        n_samples=n_samples,
        n_features=N_FEATURES,
        task_std=spread / np.sqrt(N_FEATURES),
        intercept_std=0.0,
        noise=0.05,
        random_state=0,
    )


def learner(eta0=0.1):
    """Online gradient descent on Huber's loss, without an intercept."""
    return OGDRegressor("huber", update="ogd", eta0=eta0, fit_intercept=False)


def fmrl(inner, **options):
    return FMRLRegressor(inner, standardize=False, **options)


def known_spread(spread, n_samples, **options):
    """Follow the average leader, told V: eta = V / (G sqrt(m))."""
    eta0 = spread / (G * np.sqrt(n_samples))
    options = {"task_parameter": "optimum"} | options
    return fmrl(learner(eta0), step_size="fixed", **options)


def late(report):
    """Regret and certificate of the second half of the tasks.

    The first tasks have a larger regret, since the initialization starts at zero.
    """
    regret = report.regret[N_TASKS // 2 :].mean()
    certificate = report.bound[N_TASKS // 2 :].mean()
    assert regret <= certificate
    return regret, certificate


# %%
# Similar tasks
# -------------
# Similar tasks have less regret. The regret of a learner that starts every task at zero
# does not decrease.

SPREADS = (0.1, 0.2, 0.4, 0.8, 1.6)
M = 30
by_spread = {}
print("spread   V G sqrt(m)   regret  certificate   alone")
for spread in SPREADS:
    data = tasks_of(spread, M)
    report = regret_report(known_spread(spread, M), *data)
    alone = known_spread(1.0, M, meta_step_size=0.0)
    alone = regret_report(alone, *data)
    by_spread[spread] = late(report)
    print(
        f"{spread:6.2f}{spread * G * np.sqrt(M):14.3f}{by_spread[spread][0]:9.3f}"
        f"{by_spread[spread][1]:13.3f}{late(alone)[0]:8.3f}"
    )

# %%
# Long tasks
# ----------
# The bound grows like the root of the number of rows, and the regret less.

by_length = {}
print("rows   V G sqrt(m)   regret  certificate")
for n_samples in (20, 40, 80, 160):
    report = regret_report(known_spread(0.4, n_samples), *tasks_of(0.4, n_samples))
    by_length[n_samples] = late(report)
    print(
        f"{n_samples:4}{0.4 * G * np.sqrt(n_samples):14.3f}"
        f"{by_length[n_samples][0]:9.3f}{by_length[n_samples][1]:13.3f}"
    )

# %%
# Not knowing V
# -------------
# ``Doubling`` starts with a guess of V and raises it when a task exceeds it. ``ARUBA``
# learns the step size from the distances and gradients of the tasks. The omniscient
# learner knows V and the best initialization.

data = tasks_of(0.4, M)
best = omniscient(fmrl(learner()), *data)
learners = {
    "V known": known_spread(0.4, M),
    "doubling": fmrl(learner(), step_size=Doubling(0.05, lipschitz=G)),
    "isotropic": fmrl(learner(), step_size=ARUBA(eps=0.3, zeta=0.1)),
    "omniscient": known_spread(0.4, M, init=best.init[0], meta_step_size=0.0),
    "single-task": known_spread(1.0, M, meta_step_size=0.0),
}
reports = {name: regret_report(model, *data) for name, model in learners.items()}
print(f"{'':12}  regret  certificate  regret of the second half")
for name, report in reports.items():
    assert report.task_averaged_regret <= report.certificate
    print(
        f"{name:12}{report.task_averaged_regret:8.3f}{report.certificate:13.3f}"
        f"{late(report)[0]:27.3f}"
    )

# %%
# Few coordinates vary
# --------------------
# Two of twenty weights differ between the tasks. With one step size per coordinate, the
# learner takes large steps in these two only.

X, y, tasks = make_task_regression(
    n_tasks=400,
    n_samples=M,
    n_features=20,
    task_std=0.0,
    intercept_std=0.0,
    noise=0.05,
    random_state=0,
)
rng = np.random.default_rng(0)
y += (X[:, :2] * rng.normal(size=(400, 2))[tasks]).sum(axis=1)
print("two of twenty weights vary   regret  certificate")
for per_coordinate in (False, True):
    rule = ARUBA(eps=0.3, zeta=0.1, per_coordinate=per_coordinate)
    report = regret_report(fmrl(learner(), step_size=rule), X, y, tasks)
    assert report.task_averaged_regret <= report.certificate
    name = "per coordinate" if per_coordinate else "isotropic"
    print(f"{name:26}{report.task_averaged_regret:9.3f}{report.certificate:13.3f}")

# %%
# The picture
# -----------
# Regret and certificate against the spread and the length of the tasks, in logarithmic
# scales. The dotted line is the rate of the theory.

import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
panels = (
    (by_spread, "spread V of the tasks", lambda x: x * G * np.sqrt(M)),
    (by_length, "rows per task m", lambda x: 0.4 * G * np.sqrt(x)),
)
for ax, (values, label, rate) in zip(axes, panels, strict=True):
    x = np.array(list(values))
    regret, certificate = np.array(list(values.values())).T
    ax.loglog(x, certificate, "s-", label="certificate")
    ax.loglog(x, regret, "o-", label="task-averaged regret")
    ax.loglog(x, rate(x), ":", color="0.5", label="V G sqrt(m)")
    ax.set_xticks(x, [f"{value:g}" for value in x])
    ax.minorticks_off()
    ax.set(xlabel=label)
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("per task")
axes[0].legend(frameon=False)
plt.show()
