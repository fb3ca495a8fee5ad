"""
Compare with MixedLM of statsmodels
===================================

A linear mixed model is the classical method for rows in groups.
``MixedEffectsRegressor`` fits such a model; so does ``MixedLM`` of statsmodels, which
reports p-values and has no prediction for new groups. This example compares four
things: the estimates, the error on rows held out of known groups, the error on new
groups of which a few rows were seen, and the time.
"""

# %%
# Two data sets
# -------------
# The weight of a chick is a parabola in time, on four diets. Its rows are in random
# order, since the first days say little about later ones. The log wage depends on nine
# features; the workers and the rows are those of :doc:`plot_quickstart`.

import numpy as np

from skmeta.datasets import load_chick_weights, load_wage_panel


def chicks():
    X, y, group = load_chick_weights(return_X_y=True)
    time = X[:, :1]
    X = np.hstack([time, time**2, X[:, 1:], time * X[:, 1:]])
    complete = np.flatnonzero(np.bincount(group)[group] == 12)
    rows = np.random.default_rng(0).permutation(complete)
    return X[rows], y[rows], group[rows]


def wages():
    return load_wage_panel(return_X_y=True)


# %%
# Predictions of MixedLM
# ----------------------
# ``predict`` of statsmodels uses only the fixed effects. The random effects of known
# groups are in ``random_effects`` and have to be added. A new group has none: its best
# linear unbiased prediction, given its rows, is computed in ``effects`` below.
#
# The user states what varies: here the intercept, and the slopes of the first columns.
# The features are standardised for the optimiser. Its warnings are collected and
# printed with the results.

import warnings

import statsmodels.api as sm


class Mixed:
    """MixedLM with a random intercept and `n_slopes` random slopes."""

    def __init__(self, n_slopes):
        self.n_random = 1 + n_slopes

    def fit(self, X, y, tasks):
        self.mean, self.spread = X.mean(axis=0), X.std(axis=0)
        Z = self.design(X)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = sm.MixedLM(y, Z, groups=tasks, exog_re=Z[:, : self.n_random])
            self.result = model.fit()
        self.warnings = {str(warning.message).split("\n")[0] for warning in caught}
        return self

    def design(self, X):
        """A constant and the standardised features, of which time is the first."""
        return np.column_stack([np.ones(len(X)), (X - self.mean) / self.spread])

    def effects(self, X, y):
        """Random effects of a group, given some of its rows."""
        Z, covariance = self.design(X), np.asarray(self.result.cov_re)
        R = Z[:, : self.n_random]
        total = R @ covariance @ R.T + self.result.scale * np.eye(len(y))
        residual = y - Z @ self.result.fe_params
        return covariance @ R.T @ np.linalg.solve(total, residual)

    def predict(self, X, tasks):
        effects = np.array([self.result.random_effects[label] for label in tasks])
        Z = self.design(X)
        return Z @ self.result.fe_params + (Z[:, : self.n_random] * effects).sum(axis=1)

    def predict_new(self, X_seen, y_seen, X):
        Z, effects = self.design(X), self.effects(X_seen, y_seen)
        return Z @ self.result.fe_params + Z[:, : self.n_random] @ effects


# %%
# The same model gives the same estimates
# ---------------------------------------
# With a random intercept alone and without ``between``, both maximise the same
# restricted likelihood.

from skmeta import FMRLRegressor, MixedEffectsRegressor

X, y, group = wages()
theirs = Mixed(0).fit(X, y, group)
ours = MixedEffectsRegressor(random_effects="intercept", between=False)
ours.fit(X, y, tasks=group)
their_slopes = theirs.result.fe_params[1:] / theirs.spread
their_errors = theirs.result.bse_fe[1:] / theirs.spread
print("log wage          MixedLM  MixedEffectsRegressor")
names = load_wage_panel().feature_names
for j, name in enumerate(names):
    print(
        f"{name:10}{their_slopes[j]:8.4f} ({their_errors[j]:.4f})"
        f"{ours.coef_[j]:10.4f} ({ours.coef_std_error_[j]:.4f})"
    )
print(f"noise variance  {theirs.result.scale:8.4f}{ours.noise_variance_:20.4f}")
variance = float(np.squeeze(theirs.result.cov_re))
print(f"intercept's     {variance:8.4f}{ours.covariance_[-1, -1]:20.4f}")

# %%
# The errors
# ----------
# New groups: models learn from all rows of the known groups, see the first 0, 1, 2 or 4
# rows of a new one and predict its rows from the fifth on. Known groups: a quarter of
# the rows, taken at random, is held out. The time is that of one fit. The figures of
# chicks are means over five splits.

import time


class Meta:
    """A meta-estimator of skmeta with the same methods."""

    warnings = ()

    def __init__(self, model):
        self.model = model

    def fit(self, X, y, tasks):
        self.model.fit(X, y, tasks=tasks)
        return self

    def predict(self, X, tasks):
        return self.model.predict(X, tasks=tasks)

    def predict_new(self, X_seen, y_seen, X):
        model = self.model.adapt(X_seen, y_seen) if len(y_seen) else self.model
        return model.predict(X)


SHOTS = (0, 1, 2, 4)
METHODS = {
    "MixedLM, intercept": lambda: Mixed(0),
    "MixedLM, and slope": lambda: Mixed(1),
    "MixedEffectsRegressor": lambda: Meta(MixedEffectsRegressor(max_iter=200)),
    "FMRLRegressor": lambda: Meta(FMRLRegressor()),
}


def rmse(y, predicted):
    """Root of the mean squared error."""
    return np.sqrt(np.mean((y - predicted) ** 2))


def evaluate(make, X, y, group, n_known, seed):
    """Errors on new groups by rows seen, the error on known ones, and the model."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.unique(group))
    is_known = np.isin(group, groups[:n_known])
    new = [np.flatnonzero(group == label) for label in groups[n_known:]]
    held_out = is_known & (rng.random(len(y)) < 0.25)
    learned = is_known & ~held_out
    model = make().fit(X[learned], y[learned], group[learned])
    known = rmse(y[held_out], model.predict(X[held_out], group[held_out]))
    start = time.perf_counter()
    model = make().fit(X[is_known], y[is_known], group[is_known])
    model.seconds = time.perf_counter() - start
    query = np.concatenate([rows[4:] for rows in new])
    errors = []
    for k in SHOTS:
        parts = [model.predict_new(X[g[:k]], y[g[:k]], X[g[4:]]) for g in new]
        errors.append(rmse(y[query], np.concatenate(parts)))
    return errors, known, model


def compare(X, y, group, n_known, seeds):
    """Print means over splits; return the errors on new groups by method."""
    columns = "".join(f"  new, {k}" for k in SHOTS)
    print(f"{'':22}{columns}   known  seconds")
    errors = {}
    for name, make in METHODS.items():
        runs = [evaluate(make, X, y, group, n_known, seed) for seed in seeds]
        by_shots, known, models = zip(*runs, strict=True)
        errors[name] = np.mean(by_shots, axis=0)
        cells = "".join(f"{error:8.3f}" for error in [*errors[name], np.mean(known)])
        print(f"{name:22}{cells}{np.mean([m.seconds for m in models]):9.2f}")
        for warning in sorted(set().union(*(model.warnings for model in models))):
            print(f"    warns: {warning}")
    return errors


print("Log wage")
by_wage = compare(*wages(), n_known=400, seeds=[0])
print("\nWeight of chicks, gram")
by_chick = compare(*chicks(), n_known=31, seeds=range(5))

# %%
# On wages the errors of all mixed models are close. On chicks the slope has to vary.
# ``MixedEffectsRegressor`` detects this from the data, and also lets the curvature
# vary. ``FMRLRegressor`` makes one pass of gradient steps over the rows and has larger
# errors on such tables.
#
# Use MixedLM for p-values, crossed random effects and variance components.
#
# One more group
# --------------
# A new group changes the estimates of MixedLM only if the model is fitted again.
# ``partial_fit`` needs the rows of the new group alone.

X, y, group = wages()
last = group == group[-1]
model = MixedEffectsRegressor().fit(X[~last], y[~last], tasks=group[~last])
start = time.perf_counter()
model.partial_fit(X[last], y[last], tasks=group[-1])
middle = time.perf_counter()
Mixed(1).fit(X, y, group)
end = time.perf_counter()
print(f"partial_fit:          {1e3 * (middle - start):8.1f} ms")
print(f"MixedLM fitted again: {1e3 * (end - middle):8.1f} ms")

# %%
# The picture
# -----------

import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
panels = (("weight of chicks, g", by_chick), ("log wage", by_wage))
for ax, (title, errors) in zip(axes, panels, strict=True):
    for (name, values), marker in zip(errors.items(), "os^D", strict=True):
        ax.plot(SHOTS, values, marker=marker, label=name)
    ax.set(title=title, xlabel="rows seen of a new group", xticks=SHOTS)
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("RMSE of its other rows")
axes[1].legend(frameon=False)
plt.show()
