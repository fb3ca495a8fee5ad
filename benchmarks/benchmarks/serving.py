"""What a learned model is for: `adapt` and `predict`."""

import numpy as np
from sklearn.linear_model import LinearRegression

from benchmarks._rivals import LookedUp, adapted
from benchmarks._side_by_side import SideBySide
from benchmarks._workloads import N_FEW, SPECS, difference, make_workload


class Adapt(SideBySide):
    """adapt to a new task; scikit-learn: fit of an SGD model that starts at phi."""

    param_names = ("workload",)
    params = (["tiny", "regression"],)

    def setup(self, name):
        self.work = work = make_workload(SPECS[name])
        self.tasks = work.split(N_FEW)
        self.n_units = dict.fromkeys(("skmeta", "sklearn"), len(self.tasks))
        self.model = work.meta_estimator().fit(work.X, work.y, tasks=work.tasks)
        self.phi = self.model.coef_, self.model.intercept_

    def time_skmeta(self, *params):
        for X, y in self.tasks:
            self.model.adapt(X, y)

    def time_sklearn(self, *params):
        for X, y in self.tasks:
            adapted(self.work, self.phi, X, y)

    def track_difference(self, *params):
        def one(X, y):
            rival = adapted(self.work, self.phi, X, y)
            return difference(self.model.adapt(X, y), (rival.coef_, rival.intercept_))

        return max(one(X, y) for X, y in self.tasks)


class Predict(SideBySide):
    """predict of the workload 'retail'; scikit-learn, or labels looked up in NumPy.

    Rows of known tasks: the counterpart looks the labels up in a sorted array, gathers
    the weights of every row and multiplies. Without labels: a `LinearRegression`.
    """

    per = "1000 rows"
    param_names = ("rows",)
    params = (["no labels", "known tasks", "known tasks, shuffled"],)

    def setup(self, rows):
        work = make_workload(SPECS["retail"])
        self.model = work.meta_estimator(store_tasks=True)
        self.model.fit(work.X, work.y, tasks=work.tasks)
        self.X, self.tasks = work.X, work.tasks
        if rows == "known tasks, shuffled":
            order = np.random.default_rng(0).permutation(len(self.X))
            self.X, self.tasks = self.X[order], self.tasks[order]
        elif rows == "no labels":
            self.tasks = None
        self.n_units = dict.fromkeys(("skmeta", "sklearn"), len(self.X) / 1000)
        self.shared = LinearRegression()
        self.shared.coef_, self.shared.intercept_ = (
            self.model.coef_,
            (self.model.intercept_),
        )
        self.known = LookedUp(self.model)

    def time_skmeta(self, *params):
        return self.model.predict(self.X, tasks=self.tasks)

    def time_sklearn(self, *params):
        if self.tasks is None:
            return self.shared.predict(self.X)
        return self.known.predict(self.X, self.tasks)

    def track_difference(self, *params):
        return float(np.abs(self.time_skmeta() - self.time_sklearn()).max())
