"""
A stream of tasks: the loss per task falls
==========================================

Devices report one batch each, and every batch is a task of its own. ``partial_fit``
takes in one task per call: it predicts every row before it learns from it, and then
moves the shared initialization. What it has learned so far shows in the loss of the
next task.
"""

# %%
# The stream
# ----------
# 300 tasks of 10 rows and 10 features. Their true weights lie close together, and the
# noise is small: a task that starts at the right place has a loss near 0.5 * 0.1**2.

import numpy as np

from skmeta import FMRLRegressor
from skmeta.datasets import make_task_regression

X, y, device = make_task_regression(
    n_tasks=300, n_samples=10, n_features=10, task_std=0.05, noise=0.1, random_state=0
)
batches = [(X[device == k], y[device == k], k) for k in range(300)]

# %%
# Learning, one call per task
# ---------------------------
# ``meta_eta0=0`` never moves the initialization: the same learner, task by task alone.

shared = FMRLRegressor()
alone = FMRLRegressor(meta_update="constant", meta_eta0=0.0)
for X_batch, y_batch, label in batches:
    shared.partial_fit(X_batch, y_batch, tasks=label)
    alone.partial_fit(X_batch, y_batch, tasks=label)

# %%
# The record of what happened is ``history_``, one row per task.

print("tasks seen          1-20  21-100 101-300")
for name, model in {"from zero": alone, "shared start": shared}.items():
    loss = model.history_["loss"]
    means = loss[:20].mean(), loss[20:100].mean(), loss[100:].mean()
    print(f"{name:16}" + "".join(f"{value:8.4f}" for value in means))

# %%
# A bad batch changes nothing: the call raises, names the task, and the model is as
# before.

X_bad = batches[0][0].copy()
X_bad[3, 5] = np.nan
before = shared.coef_.copy()
try:
    shared.partial_fit(X_bad, batches[0][1], tasks="device 301")
except ValueError as error:
    print(error)
print("unchanged:", np.array_equal(before, shared.coef_))

# %%
# The loss per task, smoothed over ten tasks.

import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for name, model in {"every task from zero": alone, "shared start": shared}.items():
    smooth = np.convolve(model.history_["loss"], np.ones(10) / 10, mode="valid")
    ax.plot(np.arange(10, 301), smooth, label=name)
ax.axhline(0.5 * 0.1**2, color="0.6", linestyle=":", label="noise")
ax.set(xlabel="tasks seen", ylabel="mean prequential loss of a task", yscale="log")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="center right")
plt.show()
