"""Mixed effects: `fit`, `partial_fit` and `predict`."""

import itertools
import warnings

from benchmarks._rivals import LookedUp, ridge_each
from benchmarks._side_by_side import SideBySide
from benchmarks._workloads import N_FEW, SPECS, make_workload
from skmeta import MixedEffectsRegressor


class _Mixed(SideBySide):
    param_names = ("workload",)
    params = (["retail", "short"],)

    def _prepare(self, name, n_tasks=None):
        """A model that has learned the first tasks."""
        self.work = make_workload(SPECS[name])
        n_rows = self.work.spec.n_samples * (n_tasks or self.work.spec.n_tasks)
        self.rows = [rows[:n_rows] for rows in self.work[1:4]]
        self.few = self.work.split(N_FEW)
        self.n_units = {"skmeta": len(self.few), "sklearn": len(self.few)}
        self.model = self._fit(MixedEffectsRegressor())

    def _fit(self, model):
        X, y, tasks = self.rows
        with warnings.catch_warnings():
            # a few short tasks do not identify everything
            warnings.simplefilter("ignore", UserWarning)
            return model.fit(X, y, tasks=tasks)


class MixedFit(_Mixed):
    """fit of mixed effects; scikit-learn: Ridge, one each, another algorithm."""

    param_names = ("workload", "covariance")
    params = (["retail", "short"], ["auto", "diagonal"])

    def setup(self, name, covariance):
        self._prepare(name)
        self.model.set_params(covariance=covariance)
        self.n_units["skmeta"] = self.work.spec.n_tasks

    def time_skmeta(self, *params):
        self._fit(self.model)

    def time_sklearn(self, *params):
        ridge_each(self.few)


class MixedPartialFit(_Mixed):
    """partial_fit of a task, refreshes included; scikit-learn: Ridge, one each."""

    param_names = ("workload", "task")
    params = (["retail", "short"], ["new", "returning"])

    def setup(self, name, task):
        self._prepare(name, n_tasks=2_000)
        n_known = len(self.model.task_labels_)
        self.labels = itertools.count(n_known)
        if task == "returning":
            self.labels = itertools.cycle(range(n_known))

    def time_skmeta(self, *params):
        for X, y in self.few:
            self.model.partial_fit(X, y, tasks=next(self.labels))

    def time_sklearn(self, *params):
        ridge_each(self.few)


class MixedPredict(_Mixed):
    """predict of known tasks; scikit-learn's part: labels looked up in NumPy."""

    per = "1000 rows"

    def setup(self, name):
        self._prepare(name)
        X, _, self.tasks = self.rows
        self.X = X
        self.n_units = dict.fromkeys(("skmeta", "sklearn"), len(X) / 1000)
        self.known = LookedUp(self.model)

    def time_skmeta(self, *params):
        return self.model.predict(self.X, tasks=self.tasks)

    def time_sklearn(self, *params):
        return self.known.predict(self.X, self.tasks)

    def track_difference(self, *params):
        return float(abs(self.time_skmeta() - self.time_sklearn()).max())
