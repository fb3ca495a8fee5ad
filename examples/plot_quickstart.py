"""
Meet a new worker: wages from a handful of years
================================================

545 young men report their wage in each of eight years. Every man is a small task: wages
follow schooling, experience and hours in much the same way for all of them, but not
quite, and eight rows are too few to learn nine weights from.

We learn from 400 of the men where a linear model should start and how far it should
step. Then we meet the other 145, see 0, 1, 2 or 4 of their years, and predict their
last four. Four ways to do it are compared on the same rows:

- one model for all: ridge regression on the rows of the 400 men,
- one model each: ridge regression on the years seen of that man alone,
- one model for all plus an offset for each man: the sum of his residuals in the years
  seen over one plus their number,
- skmeta: the shared initialization, adapted to the years seen.
"""

# %%
# The data
# --------
# Rows are in order of worker and year.

import numpy as np

from skmeta.datasets import load_wage_panel

X, y, worker = load_wage_panel(return_X_y=True)
workers = np.random.default_rng(0).permutation(np.unique(worker))
old, new = workers[:400], workers[400:]
known = np.isin(worker, old)

# %%
# Learning from the 400 men
# -------------------------
# One line each. skmeta takes one man after another, and learns where men start, in
# which weights they differ and by how much. It finds the scales of the features by
# itself; for the ridge regressions they are standardised.

from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from skmeta import FMRLRegressor

scaler = StandardScaler().fit(X[known])
pooled = Ridge().fit(scaler.transform(X[known]), y[known])
meta = FMRLRegressor().fit(X[known], y[known], tasks=worker[known])

# %%
# Meeting the other 145
# ---------------------
# A model that has not seen any year of a man predicts from what it knows of the others:
# the mean wage, the pooled model, or the shared initialization.

SHOTS = (0, 1, 2, 4)
METHODS = "one model for all", "one model each", "for all, plus offset", "skmeta"


def predict(method, k, X_seen, y_seen, X_query):
    """Predictions for one man after `k` of his years."""
    if method == "skmeta":
        return (meta.adapt(X_seen, y_seen) if k else meta).predict(X_query)
    if method == "one model each" and not k:
        return np.full(len(X_query), y[known].mean())
    query = scaler.transform(X_query)
    if method == "one model for all" or not k:
        return pooled.predict(query)
    seen = scaler.transform(X_seen)
    if method == "one model each":
        return Ridge(10).fit(seen, y_seen).predict(query)  # the best in hindsight
    return pooled.predict(query) + (y_seen - pooled.predict(seen)).sum() / (k + 1)


errors = {(method, k): [] for method in METHODS for k in SHOTS}
for man in new:
    rows = np.flatnonzero(worker == man)
    query = rows[4:]
    for method, k in errors:
        seen = rows[:k]
        predicted = predict(method, k, X[seen], y[seen], X[query])
        errors[method, k].append(np.mean((y[query] - predicted) ** 2))
rmse = {key: np.sqrt(np.mean(values)) for key, values in errors.items()}

# %%
# The result
# ----------
# Root mean squared error of the log wage in the last four years.

print(f"{'years seen':22}" + "".join(f"{k:>8}" for k in SHOTS))
for method in METHODS:
    print(f"{method:22}" + "".join(f"{rmse[method, k]:8.3f}" for k in SHOTS))

for k in SHOTS[1:]:
    others = min(rmse[method, k] for method in METHODS[:3])
    change = 100 * (rmse["skmeta", k] / others - 1)
    verdict = "ahead of" if change < 0 else "behind"
    print(f"after {k} years skmeta is {verdict} the best other: {change:+.1f} %")

# %%
# Before any year is seen, the shared initialization is about as good as the pooled
# model: there is nothing to adapt to. From the first year on, adapting pays.
#
# A wage varies
# -------------
# ``return_std`` adds how far a wage may be from its prediction, by the noise and by
# what is not known of the man. Were all of it normal, 95 % of the wages would lie
# within two standard deviations; more do, as a few wages far off widen the noise.

for k in (0, 4):
    inside, stds = [], []
    for man in new:
        rows = np.flatnonzero(worker == man)
        model = meta.adapt(X[rows[:k]], y[rows[:k]]) if k else meta
        mean, std = model.predict(X[rows[4:]], return_std=True)
        inside.append(np.abs(y[rows[4:]] - mean) < 2 * std)
        stds.append(std)
    share = 100 * np.mean(inside)
    print(f"after {k} years: {share:.0f} % within 2 std of {np.mean(stds):.2f}")

# %%
# The picture

import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for method, marker in zip(METHODS, "osv^", strict=True):
    ax.plot(SHOTS, [rmse[method, k] for k in SHOTS], marker=marker, label=method)
ax.set(
    xlabel="years seen of a new worker",
    ylabel="RMSE of log wage, last four years",
    xticks=SHOTS,
)
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()
