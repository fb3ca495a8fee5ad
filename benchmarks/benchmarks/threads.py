"""Tasks shared among threads or processes: elapsed time."""

import time

from benchmarks._rivals import learn_in_batches, mean_of_optima
from benchmarks._side_by_side import SideBySide
from benchmarks._workloads import SPECS, difference, make_workload

BATCH_SIZE = 500


class _Shared(SideBySide):
    timer = time.perf_counter
    param_names = ("n_jobs",)
    params = ([1, 2],)

    def _prepare(self, name, **options):
        self.work = make_workload(SPECS[name])
        self.tasks = self.work.split()
        self.n_units = dict.fromkeys(("skmeta", "sklearn"), len(self.tasks))
        self.model = self.work.meta_estimator(**options)

    def time_skmeta(self, *params):
        self.model.fit(self.work.X, self.work.y, tasks=self.work.tasks)

    def track_difference(self, *params):
        self.time_skmeta()
        return difference(self.model, self.time_sklearn(*params))


class MetaBatch(_Shared):
    """fit with meta-batches; scikit-learn: SGD in joblib's threads."""

    def setup(self, n_jobs):
        self._prepare("meta-batch", meta_batch_size=BATCH_SIZE, n_jobs=n_jobs)

    def time_sklearn(self, n_jobs):
        return learn_in_batches(self.work, self.tasks, BATCH_SIZE, n_jobs)


class Optimum(_Shared):
    """fit with the optimum of every task; scikit-learn: LinearRegression in joblib."""

    def setup(self, n_jobs):
        self._prepare(
            "optimum", task_parameter="optimum", meta_step_size="ftl", n_jobs=n_jobs
        )

    def time_sklearn(self, n_jobs):
        return mean_of_optima(self.tasks, n_jobs)
