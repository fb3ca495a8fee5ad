"""
Pictures of what was learned, and of what is guaranteed
=======================================================

Three displays and a report, on tasks of two informative features out of five: how
regret falls as tasks come in, what a new task gains from its first rows, and how the
tasks lie around the shared initialization.
"""

import matplotlib.pyplot as plt

from skmeta import FMRLRegressor
from skmeta.datasets import make_task_regression
from skmeta.inspection import FewShotDisplay, RegretDisplay, TaskSimilarityDisplay
from skmeta.metrics import regret_report

X, y, tasks = make_task_regression(
    n_tasks=200,
    n_samples=20,
    n_features=5,
    n_informative=2,
    task_std=0.3,
    random_state=0,
)
seen = tasks < 150

# %%
# The report
# ----------
# The tasks are learned once more, and held against their own optima in hindsight.

model = FMRLRegressor(step_size="per_coordinate")
print(regret_report(model, X[seen], y[seen], tasks[seen]))

# %%
# Regret, certificate and baselines
# ---------------------------------
# The certificate is computed from what was observed; the regret is never above it.

RegretDisplay.from_estimator(model, X[seen], y[seen], tasks[seen])
plt.show()

# %%
# A few rows of a new task
# ------------------------

model.fit(X[seen], y[seen], tasks=tasks[seen])
FewShotDisplay.from_estimator(
    model, X[~seen], y[~seen], tasks[~seen], n_shots=(0, 1, 2, 4, 8)
)
plt.show()

# %%
# Tasks around the shared initialization
# --------------------------------------
# Only two weights and the intercept differ between the tasks.

TaskSimilarityDisplay.from_estimator(model)
plt.show()
