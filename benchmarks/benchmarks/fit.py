"""`fit` on stacked tasks."""

from dataclasses import replace

import numpy as np

from benchmarks._rivals import MetaSGD, ridge_each, shared_initialization
from benchmarks._side_by_side import SideBySide, import_pandas
from benchmarks._workloads import N_FEW, SPECS, difference, make_workload


class _Fit(SideBySide):
    def _prepare(self, spec, **options):
        self.work = make_workload(spec)
        self.model = self.work.meta_estimator(**options)
        self.rows = self.work.X, self.work.y, self.work.tasks
        self.few = self.work.split(N_FEW)
        self.n_units = {"skmeta": spec.n_tasks, "sklearn": len(self.few)}

    def time_skmeta(self, *params):
        X, y, tasks = self.rows
        self.model.fit(X, y, tasks=tasks)


class _SameAsLoop(_Fit):
    def track_difference(self, *params):
        self.time_skmeta()
        return difference(self.model, shared_initialization(self.work.spec))


class Fit(_SameAsLoop):
    """fit on stacked tasks; scikit-learn: SGD partial_fit, weights overwritten."""

    param_names = ("workload",)
    params = (
        [
            "tiny",
            "longer",
            "long rows",
            "regression",
            "sparse text",
            "50 classes",
            "retail",
        ],
    )

    def setup(self, name):
        self._prepare(SPECS[name])

    def time_sklearn(self, *params):
        MetaSGD(self.work).learn(self.few)


class FitStandardized(_Fit):
    """fit in units that are learned; scikit-learn: SGD partial_fit, raw units."""

    param_names = ("workload",)
    params = (["tiny", "regression", "sparse text"],)

    def setup(self, name):
        self._prepare(SPECS[name], standardize=True)

    def time_sklearn(self, *params):
        MetaSGD(self.work).learn(self.few)


class OneModelEach(_SameAsLoop):
    """fit with every task's model kept; scikit-learn: Ridge, another algorithm."""

    param_names = ("workload",)
    params = (["retail"],)

    def setup(self, name):
        self._prepare(SPECS[name], store_tasks=True)

    def time_sklearn(self, *params):
        ridge_each(self.few)


class Growth(_SameAsLoop):
    """fit on more and more tasks."""

    param_names = ("n_tasks", "store_tasks")
    params = ([1_000, 10_000, 100_000], [False, True])

    def setup(self, n_tasks, store_tasks):
        self._prepare(
            replace(SPECS["growth"], n_tasks=n_tasks), store_tasks=store_tasks
        )


class FitInput(_SameAsLoop):
    """fit on the workload 'tiny' in other forms."""

    param_names = ("form",)
    params = (
        [
            "array",
            "float32",
            "frame",
            "string labels",
            "object labels",
            "interleaved rows",
        ],
    )

    def setup(self, form):
        task_column = "task" if form == "frame" else None
        self._prepare(SPECS["tiny"], task_column=task_column)
        X, y, tasks = self.rows
        if form == "float32":
            X = X.astype(np.float32)
        elif form == "frame":
            names = [f"x{j}" for j in range(X.shape[1])]
            X = import_pandas().DataFrame(X, columns=names).assign(task=tasks)
            tasks = None
        elif form == "string labels":
            tasks = np.array([f"store {label}" for label in tasks])
        elif form == "object labels":
            tasks = np.array([f"store {label}" for label in tasks], dtype=object)
        elif form == "interleaved rows":
            # The first row of every task, then the second, and so on.
            order = np.arange(len(y)).reshape(-1, self.work.spec.n_samples).T.ravel()
            X, y, tasks = X[order], y[order], tasks[order]
        self.rows = X, y, tasks
