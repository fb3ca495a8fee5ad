"""
Pictures of what was learned and of what is guaranteed
======================================================

This example shows four displays and a report. The tasks are the employees of a panel of
wages, with eight years each. For the guarantees, the tasks are simulated, so that the
true parameters are known.
"""

import matplotlib.pyplot as plt
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmeta import FMRLRegressor, MixedEffectsRegressor
from skmeta.datasets import load_wage_panel, make_task_regression
from skmeta.inspection import (
    FewShotDisplay,
    RegretDisplay,
    TaskEffectsDisplay,
    TaskSimilarityDisplay,
)
from skmeta.metrics import regret_report

# %%
# Which tasks differ, in what, how surely
# ---------------------------------------
# A mixed-effects model estimates how the wage of every employee differs from the shared
# prediction at the same features. A line is the interval that contains the true
# difference with a probability of 90 %; it is coloured where it excludes zero. Of 545
# employees, the ten lowest and the ten highest are drawn individually.

panel = load_wage_panel(as_frame=True)
wages = MixedEffectsRegressor().fit(panel.data, panel.target, tasks=panel.tasks)
TaskEffectsDisplay.from_estimator(wages, target_name="log of the hourly wage")
plt.show()

# %%
# Slopes are compared in the same way, with one panel for each: how much wages rise from
# year to year, and how they depend on hours worked.

TaskEffectsDisplay.from_estimator(
    wages, feature=["year", "hours"], n_tasks=12, target_name="log wage"
)
plt.show()

# %%
# A few rows of a new task
# ------------------------
# Both families adapt to the first rows of employees who are not in the training data.
# Every error, whatever the number of rows, is computed on the same later years. The
# baseline is a ridge regression, which does not adapt.

seen = panel.tasks < panel.tasks.quantile(0.7)
train = panel.data[seen], panel.target[seen]
test = panel.data[~seen], panel.target[~seen], panel.tasks[~seen]
one_for_all = make_pipeline(StandardScaler(), Ridge()).fit(*train)
_, ax = plt.subplots(layout="constrained")
for estimator, baselines in (
    (FMRLRegressor(), {}),
    (MixedEffectsRegressor(), {"one model for all": one_for_all}),
):
    FewShotDisplay.from_estimator(
        estimator.fit(*train, tasks=panel.tasks[seen]),
        *test,
        n_shots=(0, 1, 2, 4),
        scoring="neg_mean_squared_error",
        baselines=baselines,
        ax=ax,
    )
plt.show()

# %%
# The report of the regret
# ------------------------
# The tasks are learned once more, and the losses are compared with those of the best
# parameter of every task in hindsight. The weights of two of five features differ
# between these tasks.

X, y, tasks = make_task_regression(
    n_tasks=150,
    n_samples=20,
    n_features=5,
    n_informative=2,
    task_std=0.3,
    random_state=0,
)
model = FMRLRegressor(step_size="per_coordinate")
print(regret_report(model, X, y, tasks))

# %%
# Regret, certificate and baselines
# ---------------------------------
# The certificate is computed from observed quantities; the regret never exceeds it.

RegretDisplay.from_estimator(model, X, y, tasks)
plt.show()

# %%
# Tasks around the shared initialization
# --------------------------------------
# The parameters of the tasks vary along three axes: two weights and the intercept.

model.fit(X, y, tasks=tasks)
TaskSimilarityDisplay.from_estimator(model)
plt.show()
