"""
A stream of devices that return
===============================

Devices report a few rows at a time. New devices appear, and known ones report again.
``partial_fit`` takes one report per call and stores no rows. The model stores what the
devices share, and what is specific to each of them.

- ``FMRLRegressor`` starts a known device at the parameters of that device.
- ``MixedEffectsRegressor`` adds the new rows to the statistics of the device, so that
  the result does not depend on how the rows were divided into calls.
"""

# %%
# The stream
# ----------
# 100 devices, 600 reports of five rows. Which device reports next is random. The true
# weights of the devices vary around a common mean.

import numpy as np

from skmeta import FMRLRegressor, MixedEffectsRegressor
from skmeta.datasets import make_task_regression

N_DEVICES, N_REPORTS, N_ROWS = 100, 600, 5
X, y, device = make_task_regression(
    n_tasks=N_DEVICES,
    n_samples=150,
    n_features=8,
    task_std=0.3,
    noise=0.1,
    random_state=0,
)
rng = np.random.default_rng(0)
unused = {k: iter(np.split(np.flatnonzero(device == k), 30)) for k in range(N_DEVICES)}
reports = [(k, next(unused[k])) for k in rng.integers(N_DEVICES, size=N_REPORTS)]

# %%
# Predict, then learn
# -------------------
# Every report is predicted before it is learned from. A device that has not reported
# before is predicted with the shared parameters. The third model has the same learner
# but no shared initialization: with ``meta_step_size=0.0`` every device is learned
# alone.

models = {
    "MixedEffectsRegressor": MixedEffectsRegressor(),
    "FMRLRegressor": FMRLRegressor(),
    "every device alone": FMRLRegressor(meta_step_size=0.0),
}
errors = {name: np.zeros(N_REPORTS) for name in models}
for i, (k, rows) in enumerate(reports):
    for name, model in models.items():
        if i:
            predicted = model.predict(X[rows], tasks=f"device {k}")
            errors[name][i] = np.mean((y[rows] - predicted) ** 2)
        model.partial_fit(X[rows], y[rows], tasks=f"device {k}")

visits = np.zeros(N_REPORTS, dtype=int)  # earlier reports of the same device
count = np.zeros(N_DEVICES, dtype=int)
for i, (k, _) in enumerate(reports):
    visits[i] = count[k]
    count[k] += 1

late = np.arange(N_REPORTS) >= 150
groups = {"none": visits == 0, "1": visits == 1, "2-3": (visits > 1) & (visits < 4)}
groups["4 or more"] = visits >= 4
print("Root mean squared error from report 150 on; the noise alone is 0.10.")
print(f"{'earlier reports':24}" + "".join(f"{group:>11}" for group in groups))
for name, squares in errors.items():
    means = [np.sqrt(squares[late & chosen].mean()) for chosen in groups.values()]
    print(f"{name:24}" + "".join(f"{value:11.3f}" for value in means))

# %%
# Refresh and forget
# ------------------
# From time to time, ``partial_fit`` re-estimates what the devices share. ``refresh``
# re-estimates it immediately and to convergence. Afterwards, the predictions equal
# those of ``fit`` on all rows. ``forget`` removes devices.

mixed = models["MixedEffectsRegressor"]
rows = np.concatenate([rows for _, rows in reports])
labels = np.array([f"device {device[row]}" for row in rows])
batch = MixedEffectsRegressor().fit(X[rows], y[rows], tasks=labels)


def difference():
    one, other = (model.predict(X[rows], tasks=labels) for model in (mixed, batch))
    return np.abs(one - other).max()


print(f"largest difference from fit, before refresh: {difference():.1e}")
mixed.refresh()
print(f"largest difference from fit, after refresh:  {difference():.1e}")

mixed.forget("device 7")
print("devices known:", len(mixed.task_labels_))

# %%
# A bad report changes nothing
# ----------------------------
# The call raises an error that names the task; the model does not change.

X_bad = X[:5].copy()
X_bad[3, 2] = np.nan
before = mixed.coef_.copy()
try:
    mixed.partial_fit(X_bad, y[:5], tasks="device 301")
except ValueError as error:
    print(error)
print("unchanged:", np.array_equal(before, mixed.coef_))

# %%
# The picture
# -----------
# Root mean squared error of the predictions, over windows of 40 reports.

import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for name, squares in errors.items():
    smooth = np.convolve(squares[1:], np.ones(40) / 40, mode="valid")
    ax.plot(np.arange(40, N_REPORTS), np.sqrt(smooth), label=name)
ax.axhline(0.1, color="0.6", linestyle=":", label="noise")
ax.set(xlabel="reports", ylabel="RMSE before learning", ylim=(0, None))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()
