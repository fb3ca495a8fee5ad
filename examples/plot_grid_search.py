"""
A table of tasks in a Pipeline in a grid search
===============================================

Tasks often come as a column of a table. With ``task_column`` the meta-estimator takes
the labels out of X by itself, and every tool of scikit-learn works as usual: here a
``ColumnTransformer`` in a ``Pipeline`` in ``GridSearchCV``, which searches the rule of
the step size and the number of passes.

``GroupKFold`` keeps all rows of a chick in one fold, so every candidate is judged on
chicks that it has never met: by the shared initialization alone.
"""

# %%
# 50 chicks, weighed up to twelve times in their first three weeks, on four diets.

from skmeta.datasets import load_chick_weights

data = load_chick_weights(as_frame=True)
table = data.data.assign(chick=data.tasks, time_squared=data.data["time"] ** 2)
print(table.head(3).to_string())

# %%
# The features are scaled, the label passes through under its own name. The default
# needs no scaling; the gradient steps of the rule 'per_coordinate' do.

from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmeta import FMRLRegressor
from skmeta.step_size import EmpiricalBayes

scale = make_column_transformer(
    ("passthrough", ["chick"]),
    remainder=StandardScaler(),
    verbose_feature_names_out=False,
).set_output(transform="pandas")
model = make_pipeline(scale, FMRLRegressor(task_column="chick"))

# %%
# Step sizes are objects with parameters of their own, or their names.

search = GridSearchCV(
    model,
    {
        "fmrlregressor__n_passes": [1, 3],
        "fmrlregressor__step_size": [
            "empirical_bayes",
            EmpiricalBayes("full"),
            "per_coordinate",
        ],
    },
    scoring="neg_root_mean_squared_error",
    cv=GroupKFold(5),
)
search.fit(table, data.target, groups=data.tasks)
print("best:", search.best_params_)
print(f"RMSE on chicks never met: {-search.best_score_:.1f} g")

# %%
# The whole grid, and what a known chick gains from its own parameters.

import numpy as np

results = search.cv_results_
for params, score in zip(results["params"], results["mean_test_score"], strict=True):
    n_passes, step_size = params.values()
    print(f"n_passes={n_passes} step_size={step_size!s:34} RMSE {-score:5.1f} g")

unnamed = table.assign(chick=-1)
for name, rows in {"shared start": unnamed, "own parameters": table}.items():
    rmse = np.sqrt(np.mean((data.target - search.predict(rows)) ** 2))
    print(f"training rows, {name}: RMSE {rmse:.1f} g")

# %%
# Growth curves of three chicks, by the shared start and by their own parameters.

import matplotlib.pyplot as plt

figure, axes = plt.subplots(
    1, 3, figsize=(9, 3.2), sharey=True, layout="constrained", squeeze=False
)
for ax, chick in zip(axes[0], [1, 21, 40], strict=True):
    rows = table["chick"] == chick
    time = table["time"][rows]
    ax.plot(time, data.target[rows], "o", color="0.5", label="weighed")
    ax.plot(time, search.predict(unnamed[rows]), label="shared start")
    ax.plot(time, search.predict(table[rows]), label="own parameters")
    ax.set(title=f"chick {chick}", xlabel="days")
    ax.spines[["top", "right"]].set_visible(False)
axes[0, 0].set_ylabel("weight in g")
axes[0, 0].legend(frameon=False)
plt.show()
