"""`partial_fit`, one small task per call."""

import tracemalloc

import numpy as np

from benchmarks._rivals import MetaSGD
from benchmarks._side_by_side import SideBySide, import_pandas
from benchmarks._workloads import N_FEW, SPECS, difference, make_workload


def _as_frame(X, y):
    pandas = import_pandas()
    names = [f"x{j}" for j in range(X.shape[1])]
    return pandas.DataFrame(X, columns=names), pandas.Series(y)


FORMS = {
    "array": lambda X, y: (X, y),
    "lists": lambda X, y: (X.tolist(), y.tolist()),
    "frame": _as_frame,
    "float32": lambda X, y: (X.astype(np.float32), y),
    "every 2nd column": lambda X, y: (np.repeat(X, 2, axis=1)[:, ::2], y),
}


class PartialFit(SideBySide):
    """partial_fit of a task; scikit-learn: SGD partial_fit, weights overwritten."""

    param_names = ("workload", "form")
    params = (["tiny", "regression"], list(FORMS))

    def setup(self, name, form):
        self.work = make_workload(SPECS[name])
        self.arrays = self.work.split(N_FEW)
        self.tasks = [FORMS[form](X, y) for X, y in self.arrays]
        self.n_units = dict.fromkeys(("skmeta", "sklearn"), len(self.tasks))
        self.model = self._learn(self.work.meta_estimator())
        self.loop = MetaSGD(self.work).learn(self.tasks)

    def _learn(self, model):
        kwargs = self.work.first_call
        for X, y in self.tasks:
            model.partial_fit(X, y, **kwargs)
            kwargs = {}
        return model

    def time_skmeta(self, *params):
        for X, y in self.tasks:
            self.model.partial_fit(X, y)

    def time_sklearn(self, *params):
        self.loop.learn(self.tasks)

    def track_difference(self, *params):
        model = self._learn(self.work.meta_estimator())
        return difference(model, MetaSGD(self.work).learn(self.arrays).phi)


class StreamMemory(SideBySide):
    """memory of a partial_fit stream; scikit-learn: SGD, weights overwritten.

    The figure is what Python and NumPy hold at most, from before the first task on.
    """

    unit = "bytes/task"
    varies = False
    param_names = ("store_tasks",)
    params = ([False, True],)

    def setup(self, store_tasks):
        self.work = make_workload(SPECS["stream"])
        # Again and again the same rows, every time under a new label.
        self.tasks = 100 * self.work.split()
        self._learn(self.tasks[:2], store_tasks)  # what is loaded at the first call
        MetaSGD(self.work).learn(self.tasks[:2])

    def _learn(self, tasks, store_tasks):
        model = self.work.meta_estimator(store_tasks=store_tasks)
        for label, (X, y) in enumerate(tasks):
            model.partial_fit(X, y, tasks=label)
        return model

    def _peak(self, call):
        tracemalloc.start()
        try:
            call()
            return tracemalloc.get_traced_memory()[1] / len(self.tasks)
        finally:
            tracemalloc.stop()

    def track_skmeta(self, store_tasks):
        return self._peak(lambda: self._learn(self.tasks, store_tasks))

    def track_sklearn(self, store_tasks):
        return self._peak(lambda: MetaSGD(self.work).learn(self.tasks))

    def track_difference(self, store_tasks):
        phi = MetaSGD(self.work).learn(self.tasks).phi
        return difference(self._learn(self.tasks, store_tasks), phi)

    track_difference.unit = "largest difference"

    def peakmem_skmeta(self, store_tasks):
        self._learn(self.tasks, store_tasks)
