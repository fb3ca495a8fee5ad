"""On a cluster of Dask: the numbers of one process, computed by the workers."""

import numpy as np
import pytest
from hostile import everything
from joblib import parallel_config
from sklearn.base import clone
from sklearn.linear_model import SGDRegressor
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neural_network import MLPRegressor

from skmeta import (
    FMRLClassifier,
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
    _parallel,
)
from skmeta._fmrl import _loop, _task_parameter
from skmeta._mixed import _logistic
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.linear_model import BiasedRidge, OGDClassifier

distributed = pytest.importorskip(
    "distributed", reason='Dask is not installed: pip install "skmeta[dask]"'
)
pytestmark = pytest.mark.slow

DATA = make_task_regression(n_tasks=30, n_samples=20, n_features=3, random_state=0)
CLASSES = make_task_classification(60, 20, 3, random_state=0)
OPTIMA = {"task_parameter": "optimum", "standardize": False, "random_state": 0}
NETWORK = MLPRegressor(hidden_layer_sizes=(4,), max_iter=5)


@pytest.fixture(scope="module")
def client():
    """A client of two worker processes on this machine."""
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def on_cluster(client, model, data):
    """A clone fitted with the workers, and how many workers took part."""
    X, y, tasks = data
    model = clone(model).set_params(n_jobs=-1)
    with (
        distributed.get_task_stream(client) as stream,
        parallel_config(backend="dask"),
    ):
        model.fit(X, y, tasks=tasks)
    return model, len({one["worker"] for one in stream.data})


@pytest.mark.parametrize(
    "model",
    [
        FMRLRegressor(NETWORK, meta_batch_size=10, random_state=0),
        FMRLRegressor(NETWORK, meta_batch_size=30, n_passes=2, random_state=0),
        FMRLRegressor(SGDRegressor(), meta_batch_size=15, random_state=0),
    ],
    ids=["network", "passes", "linear"],
)
def test_workers_learn_the_tasks_of_a_meta_batch(model, client, monkeypatch):
    monkeypatch.setattr(_parallel, "WORTH_A_PROCESS", 0.0)
    one = clone(model).set_params(n_jobs=1).fit(DATA[0], DATA[1], tasks=DATA[2])
    many, n_workers = on_cluster(client, model, DATA)
    assert n_workers == 2
    assert everything(many)[1] == everything(one)[1]


@pytest.mark.parametrize(
    "model, data",
    [
        (FMRLRegressor(meta_batch_size=10, random_state=0), DATA),
        (FMRLRegressor(BiasedRidge(), meta_batch_size=10, random_state=0), DATA),
        (FMRLRegressor(**OPTIMA), DATA),
        (FMRLClassifier(OGDClassifier("log_loss", radius=10.0), **OPTIMA), CLASSES),
        (MixedEffectsRegressor(), DATA),
        (MixedEffectsClassifier(), CLASSES),
    ],
    ids=lambda one: type(one).__name__,
)
def test_compiled_work_stays_in_threads_of_this_machine(
    model, data, client, monkeypatch
):
    monkeypatch.setattr(_loop, "WORTH_A_THREAD", 0)
    for module in (_loop, _task_parameter):
        monkeypatch.setattr(module, "WORTH_A_TASK", 0)
    monkeypatch.setattr(_logistic, "ENTRIES_WORTH_THREADS", 0)
    one = clone(model).set_params(n_jobs=1).fit(data[0], data[1], tasks=data[2])
    many, n_workers = on_cluster(client, model, data)
    assert n_workers == 0
    assert everything(many)[1] == everything(one)[1]


@pytest.mark.parametrize(
    "model, grid",
    [
        (FMRLRegressor(random_state=0), {"meta_step_size": [0.1, 1.0]}),
        (MixedEffectsRegressor(), {"covariance": ["full", "diagonal"]}),
    ],
    ids=["fmrl", "mixed"],
)
def test_workers_share_the_candidates_of_a_search(model, grid, client):
    X, y, tasks = DATA
    table = np.column_stack([X, tasks])
    search = GridSearchCV(
        clone(model).set_params(task_column=3), grid, cv=GroupKFold(3)
    )
    one = clone(search).fit(table, y, groups=tasks)
    with (
        distributed.get_task_stream(client) as stream,
        parallel_config(backend="dask"),
    ):
        many = clone(search).set_params(n_jobs=-1).fit(table, y, groups=tasks)
    assert len({task["worker"] for task in stream.data}) == 2
    for key in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(many.cv_results_[key], one.cv_results_[key])
    assert everything(many.best_estimator_)[1] == everything(one.best_estimator_)[1]


@pytest.mark.parametrize(
    "model", [FMRLRegressor(random_state=0), MixedEffectsRegressor()]
)
def test_workers_prepare_the_shards_of_a_stream(model, client):
    def read_shard(number):  # local, so that workers get it by value
        """The rows of the stores of one file, as a worker prepares them."""
        X, y, stores = make_task_regression(20, 10, 3, random_state=number)
        return X.astype("float64"), y, stores + 20 * number

    one, many = clone(model), clone(model)
    for number in range(6):
        X, y, stores = read_shard(number)
        one.partial_fit(X, y, tasks=stores)
    for future in client.map(read_shard, range(6)):
        X, y, stores = future.result(timeout=60)
        many.partial_fit(X, y, tasks=stores)
    assert everything(many)[1] == everything(one)[1]
    assert many.n_tasks_seen_ == 120
