"""
Search step sizes in a Pipeline
===============================

The labels of tasks are often a column of a table. With ``task_column`` a meta-estimator
reads the labels from this column of X, and every tool of scikit-learn works as usual:
here a ``ColumnTransformer`` in a ``Pipeline`` in ``GridSearchCV``.

``FMRLRegressor`` has two step sizes. ``step_size`` says how far a model moves within a
task; ``meta_step_size`` says how far the shared initialization moves towards a finished
task. Each of them takes a number, a name or an object.
"""

# %%
# The data
# --------
# 50 chicks, weighed up to twelve times in their first three weeks, on four diets.

from skmeta.datasets import load_chick_weights

data = load_chick_weights(as_frame=True)
table = data.data.assign(chick=data.tasks)
print(table.head(3).to_string())

# %%
# The pipeline
# ------------
# Weight is not linear in time, so the square of time becomes a feature. The column of
# labels passes through and keeps its name. No scaler is needed: ``FMRLRegressor``
# learns the location and scale of features and target from the rows.

from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from skmeta import FMRLRegressor
from skmeta.linear_model import OGDRegressor

features = make_column_transformer(
    (PolynomialFeatures(include_bias=False), ["time"]),
    remainder="passthrough",
    verbose_feature_names_out=False,
).set_output(transform="pandas")
learner = OGDRegressor(max_iter=10)  # ten passes over the rows of a chick
model = make_pipeline(features, FMRLRegressor(learner, task_column="chick"))

# %%
# The search
# ----------
# The folds hold out rows, not chicks. So the chicks are known, and each held-out row is
# predicted with the parameters of its own chick. (``GroupKFold`` would hold out whole
# chicks, so the score would be that of the shared initialization.)
#
# The grid over ``meta_step_size`` contains two baselines. With 0 the shared
# initialization never moves, so every chick is learned alone. With 1 every chick starts
# at the parameters of the last one.

from sklearn.model_selection import GridSearchCV, KFold

from skmeta.step_size import Doubling

grid = {
    "fmrlregressor__meta_step_size": [0.0, 0.03, 0.1, 0.3, 1.0, "ftl"],
    "fmrlregressor__step_size": [0.1, 1.0, Doubling(), "isotropic", "per_coordinate"],
}
search = GridSearchCV(
    model,
    grid,
    scoring="neg_root_mean_squared_error",
    cv=KFold(4, shuffle=True, random_state=0),
)
search.fit(table, data.target)

# %%
# The table
# ---------
# Root mean squared error in grams. Each row and each column differs from the others, so
# both parameters matter. With a small meta step size, 50 chicks are too few to learn
# from; with a large one, the initialization follows the last chick too closely.

import numpy as np

results = search.cv_results_
shape = [len(values) for values in grid.values()]
rmse = -results["mean_test_score"].reshape(shape)

meta_step_sizes, step_sizes = (list(map(str, values)) for values in grid.values())
print(f"{'meta_step_size':16}" + "".join(f"{name:>16}" for name in step_sizes))
for name, row in zip(meta_step_sizes, rmse, strict=True):
    print(f"{name:16}" + "".join(f"{value:16.2f}" for value in row))
print("best:", search.best_params_)

# %%
# The parameters of a step size can be searched too: if ``step_size=Doubling()``, then
# ``fmrlregressor__step_size__gamma`` is a parameter of the pipeline above.
#
# What a chick gains from its own parameters
# ------------------------------------------
# The label -1 is unknown, so its rows are predicted with the shared initialization.

unnamed = table.assign(chick=-1)
for name, rows in {"shared initialization": unnamed, "own parameters": table}.items():
    error = np.sqrt(np.mean((data.target - search.predict(rows)) ** 2))
    print(f"training rows, {name}: RMSE {error:.1f} g")

# %%
# The picture

import matplotlib.pyplot as plt

figure, axes = plt.subplots(
    1, 3, figsize=(9, 3.2), sharey=True, layout="constrained", squeeze=False
)
for ax, chick in zip(axes[0], [1, 21, 40], strict=True):
    rows = table["chick"] == chick
    time = table["time"][rows]
    ax.plot(time, data.target[rows], "o", color="0.5", label="weighed")
    ax.plot(time, search.predict(unnamed[rows]), label="shared initialization")
    ax.plot(time, search.predict(table[rows]), label="own parameters")
    ax.set(title=f"chick {chick}", xlabel="days")
    ax.spines[["top", "right"]].set_visible(False)
axes[0, 0].set_ylabel("weight in g")
axes[0, 0].legend(frameon=False)
plt.show()
