"""
Predict the wage of a new worker from a few of his years
========================================================

545 young men report their wage in each of eight years. Every man is a task: wages
depend on schooling, experience and hours in a similar, but not identical, way for all
of them. The eight rows of a man cannot determine nine slopes.

The models learn from 400 of the men. For each of the other 145, they see 0, 1, 2 or 4
years and predict the last four. All methods are compared on the same rows:

- one model for all: ridge regression on the rows of the 400 men;
- one model each: ridge regression on the years seen of that man;
- random intercept: one model for all, plus the sum of the man's residuals divided by
  one plus their number;
- ``FMRLRegressor``: gradient-based meta-learning, adapted to the years seen;
- ``MixedEffectsRegressor``: a hierarchical linear model, adapted to the years seen.
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
# Learn from the 400 men
# ----------------------
# The two families of skmeta need no scaling of the features. The ridge regressions need
# standardised features.

from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmeta import FMRLRegressor, MixedEffectsRegressor

scaler = StandardScaler().fit(X[known])
pooled = make_pipeline(StandardScaler(), Ridge()).fit(X[known], y[known])
fmrl = FMRLRegressor().fit(X[known], y[known], tasks=worker[known])
mixed = MixedEffectsRegressor().fit(X[known], y[known], tasks=worker[known])

# %%
# Adapt to the other 145
# ----------------------
# ``adapt`` returns a model of one man and does not change the meta-estimator. Without
# any row there is nothing to adapt to, and the meta-estimator predicts with the shared
# coefficients.


def one_for_all(X_seen, y_seen, X_query):
    return pooled.predict(X_query)


def one_each(X_seen, y_seen, X_query):
    if not len(y_seen):
        return np.full(len(X_query), y[known].mean())
    model = Ridge(10)  # the best penalty in hindsight
    model.fit(scaler.transform(X_seen), y_seen)
    return model.predict(scaler.transform(X_query))


def random_intercept(X_seen, y_seen, X_query):
    if not len(y_seen):
        return pooled.predict(X_query)
    residuals = y_seen - pooled.predict(X_seen)
    return pooled.predict(X_query) + residuals.sum() / (len(y_seen) + 1)


def adapted(meta):
    def predict(X_seen, y_seen, X_query):
        model = meta.adapt(X_seen, y_seen) if len(y_seen) else meta
        return model.predict(X_query)

    return predict


SHOTS = (0, 1, 2, 4)
METHODS = {
    "one model for all": one_for_all,
    "one model each": one_each,
    "random intercept": random_intercept,
    "FMRLRegressor": adapted(fmrl),
    "MixedEffectsRegressor": adapted(mixed),
}

rmse = {}
for name, predict in METHODS.items():
    errors = np.zeros((len(new), len(SHOTS)))
    for i, man in enumerate(new):
        rows = np.flatnonzero(worker == man)
        for j, k in enumerate(SHOTS):
            predicted = predict(X[rows[:k]], y[rows[:k]], X[rows[4:]])
            errors[i, j] = np.mean((y[rows[4:]] - predicted) ** 2)
    rmse[name] = np.sqrt(errors.mean(axis=0))

# %%
# The result
# ----------
# Root mean squared error of the log wage in the last four years.

print(f"{'years seen':22}" + "".join(f"{k:8}" for k in SHOTS))
for name, values in rmse.items():
    print(f"{name:22}" + "".join(f"{value:8.3f}" for value in values))

# %%
# Before any year is seen, no method is better than one model for all. From the first
# year on, the hierarchical model has the smallest error. On such a table the error of
# ``FMRLRegressor`` is a few percent larger. Its strengths are others: any convex loss,
# wide or sparse features, and a regret bound.
#
# How certain is a prediction?
# ----------------------------
# Both the meta-estimator and the adapted model have ``predict_interval``. Intervals
# include the noise and the uncertainty of the man's coefficients.

for k in (0, 4):
    hits, lengths = [], []
    for man in new:
        rows = np.flatnonzero(worker == man)
        model = mixed.adapt(X[rows[:k]], y[rows[:k]]) if k else mixed
        low, high = model.predict_interval(X[rows[4:]], coverage=0.9).T
        hits.append((low <= y[rows[4:]]) & (y[rows[4:]] <= high))
        lengths.append(high - low)
    print(
        f"after {k} years: mean length {np.mean(lengths):.2f}, "
        f"{np.mean(hits):.0%} of the wages in the 90 % interval"
    )

# %%
# The picture
# -----------
# Left: the error against the years seen. Right: one new man, his wages, and the
# prediction of his last four years before and after his first four are seen.

from pathlib import Path

import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
grey = {"one model for all": "o", "one model each": "s", "random intercept": "v"}
for name, values in rmse.items():
    style = {"color": "0.6", "marker": grey[name]} if name in grey else {"marker": "D"}
    left.plot(SHOTS, values, label=name, **style)
left.set(
    title="145 new workers",
    xlabel="years seen of a new worker",
    ylabel="RMSE of log wage, last four years",
    xticks=SHOTS,
)

man = new[58]
rows = np.flatnonzero(worker == man)
first, last = rows[:4], rows[4:]
right.plot(X[first, 0], y[first], "o", color="0.2", label="wages seen")
right.plot(X[last, 0], y[last], "o", mfc="white", mec="0.2", label="wages to come")
states = {"before": (mixed, "0.6"), "after four years": (None, "C1")}
for name, (model, color) in states.items():
    model = model or mixed.adapt(X[first], y[first])
    mean, (low, high) = model.predict(X[last]), model.predict_interval(X[last]).T
    right.plot(X[last, 0], mean, color=color, label=f"prediction, {name}")
    right.fill_between(X[last, 0], low, high, color=color, alpha=0.2, lw=0)
right.set(title="One of them, with 90 % intervals", xlabel="year", ylabel="log wage")
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small")

picture = Path("quickstart.png").resolve()
figure.savefig(picture, dpi=100)
print("The picture is in", picture)
plt.show()
