"""Torch modules through skorch as inner learners; skipped where these are absent."""

import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils import Bunch

from skmeta import FMRLClassifier, FMRLRegressor, _parallel
from skmeta.datasets import make_task_regression
from skmeta.model_selection import FewShotSplit, few_shot_scores

REASON = 'torch and skorch are not installed: pip install "skmeta[torch]"'
torch = pytest.importorskip("torch", reason=REASON)
skorch = pytest.importorskip("skorch", reason=REASON)

N_TASKS = 5


class Module(torch.nn.Module):
    """A network with dropout, and with running statistics if asked for."""

    def __init__(self, n_outputs=1, n_features=3, norm=False, is_flat=False):
        super().__init__()
        layers = [
            torch.nn.Linear(n_features, 4),
            torch.nn.Tanh(),
            torch.nn.Dropout(0.2),
        ]
        if norm:
            layers.append(torch.nn.BatchNorm1d(4))
        self.layers = torch.nn.Sequential(*layers, torch.nn.Linear(4, n_outputs))
        self.is_flat = is_flat

    def forward(self, X):
        return self.layers(X)[:, 0] if self.is_flat else self.layers(X)


OPTIONS = {"max_epochs": 3, "lr": 0.1, "batch_size": 4}
CROSS_ENTROPY = {"criterion": torch.nn.CrossEntropyLoss, **OPTIONS}
REGRESSORS = {
    "plain": skorch.NeuralNetRegressor(Module, **OPTIONS),
    "flat": skorch.NeuralNetRegressor(Module, module__is_flat=True, **OPTIONS),
    "norm": skorch.NeuralNetRegressor(Module, module__norm=True, **OPTIONS),
    "adam": skorch.NeuralNetRegressor(Module, optimizer=torch.optim.Adam, **OPTIONS),
}
CLASSIFIERS = {
    "two": (
        2,
        skorch.NeuralNetClassifier(Module, module__n_outputs=2, **CROSS_ENTROPY),
    ),
    "three": (
        3,
        skorch.NeuralNetClassifier(Module, module__n_outputs=3, **CROSS_ENTROPY),
    ),
    "binary": (2, skorch.NeuralNetBinaryClassifier(Module, **OPTIONS)),
}
each_regressor = pytest.mark.parametrize("network", REGRESSORS.values(), ids=REGRESSORS)


@pytest.fixture
def data():
    return make_task_regression(N_TASKS, 10, 3, random_state=0)


@pytest.fixture(autouse=True)
def states_are_unchanged():
    before = torch.random.get_rng_state().clone(), torch.get_num_threads()
    yield
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]


def state_of(network):
    """The numbers of a module by name, as one vector."""
    state = network.module_.state_dict().values()
    return torch.cat([one.ravel() for one in state if one.is_floating_point()]).numpy()


def train(estimator, start, X, y, seed):
    """skorch's own training from a given start, all rows, one thread."""
    network = clone(estimator).set_params(train_split=None, verbose=0).initialize()
    end = 0
    for tensor in network.module_.state_dict().values():
        if tensor.is_floating_point():
            part = start[end : end + tensor.numel()].astype(np.float32)
            tensor.copy_(torch.from_numpy(part).reshape(tensor.shape))
            end += tensor.numel()
    sequence = np.random.SeedSequence(seed).generate_state(4)
    torch.manual_seed(int(np.random.RandomState(sequence).randint(2**31)))
    return network.partial_fit(X.astype(np.float32), y)


def reptile(estimator, start, X, y, tasks, share, seed):
    """By hand; task t is seeded by (seed, t)."""
    phi, networks = start, []
    for t in range(N_TASKS):
        rows = tasks == t
        networks.append(train(estimator, phi, X[rows], y[rows], (seed, t)))
        moved = state_of(networks[-1]).astype(np.float64) - phi
        root = np.sqrt(rows.sum())
        phi = phi + share / root * (root * moved)
    return phi, networks


def by_hand(model, X, y, tasks):
    """What `reptile` gives for a fitted model; torch stays as it was."""
    start = clone(model).set_params(meta_step_size=0.0).fit(X, y, tasks=tasks).init_
    seed = int(np.random.RandomState(0).randint(2**31))
    targets = y.astype(np.float32)
    if isinstance(model.estimator, skorch.NeuralNetClassifier):
        targets = y.astype(np.int64)
    elif isinstance(model, FMRLRegressor) and not model.estimator.get_params().get(
        "module__is_flat"
    ):
        targets = targets[:, np.newaxis]
    n_threads = torch.get_num_threads()
    with torch.random.fork_rng():
        torch.set_num_threads(1)
        share = model.meta_step_size
        found = reptile(model.estimator, start, X, targets, tasks, share, seed)
        torch.set_num_threads(n_threads)
    return found


@each_regressor
def test_regressor_equals_reptile_by_hand(network, data):
    X, y, tasks = data
    model = FMRLRegressor(
        network, meta_step_size=0.3, standardize=False, random_state=0
    ).fit(X, y, tasks=tasks)
    phi, networks = by_hand(model, X, y, tasks)
    assert_array_equal(model.init_, phi)
    with torch.random.fork_rng():
        for t, own in enumerate(networks):
            found = model.predict(X[tasks == t], tasks=t)
            expected = own.predict(X[tasks == t].astype(np.float32)).ravel()
            np.testing.assert_allclose(found, expected, rtol=1e-5)
            assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("n_classes", "network"), CLASSIFIERS.values(), ids=CLASSIFIERS
)
def test_classifier_equals_reptile_by_hand(n_classes, network, data):
    X, y, tasks = data
    y = np.digitize(y, [0.0] if n_classes == 2 else [-0.5, 0.5])
    model = FMRLClassifier(
        network, meta_step_size=0.3, standardize=False, random_state=0
    ).fit(X, y, tasks=tasks)
    phi, networks = by_hand(model, X, y, tasks)
    assert_array_equal(model.init_, phi)
    with torch.random.fork_rng():
        for t, own in enumerate(networks):
            rows = X[tasks == t].astype(np.float32)
            expected = own.predict_proba(rows)
            found = model.predict_proba(X[tasks == t], tasks=t)
            np.testing.assert_allclose(found, expected, rtol=1e-5)
            assert_array_equal(model.predict(X[tasks == t], tasks=t), own.predict(rows))
    scores = model.decision_function(X)
    predicted = scores > 0 if n_classes == 2 else scores.argmax(axis=1)
    assert_array_equal(model.predict(X), predicted)
    one_class = X[y == 1].astype(np.float32), y[y == 1]
    adapted = model.partial_fit(*one_class).adapt(*one_class)
    assert_array_equal(adapted.classes_, np.arange(n_classes))


@each_regressor
def test_a_network_is_adapted_and_a_stream_equals_fit(network, data):
    X, y, tasks = data
    model = FMRLRegressor(network, standardize=False, random_state=0)
    whole, parts = clone(model).fit(X, y, tasks=tasks), clone(model)
    for t in range(N_TASKS):
        parts.partial_fit(X[tasks == t], y[tasks == t], tasks=t)
    assert_array_equal(parts.init_, whole.init_)
    again = pickle.loads(pickle.dumps(whole))
    assert_array_equal(again.predict(X, tasks=tasks), whole.predict(X, tasks=tasks))
    X = X.astype(np.float32)
    adapted = whole.adapt(X[:8], y[:8])
    assert type(adapted) is type(network)
    assert adapted.verbose == network.verbose
    same = again.adapt(X[:8], y[:8])
    assert_array_equal(state_of(same), state_of(adapted))
    assert np.abs(state_of(adapted) - whole.init_).max() > 1e-3


def test_results_do_not_depend_on_n_jobs(data, monkeypatch):
    X, y, tasks = data
    monkeypatch.setattr(_parallel, "WORTH_A_PROCESS", 0.0)
    model = FMRLRegressor(
        REGRESSORS["plain"], standardize=False, meta_batch_size=4, random_state=0
    )
    one = clone(model).fit(X, y, tasks=tasks)
    with parallel_config(backend="threading"):
        two = clone(model).set_params(n_jobs=2).fit(X, y, tasks=tasks)
    assert_array_equal(one.init_, two.init_)


def test_a_module_that_is_an_instance_starts_at_its_weights(data):
    X, y, tasks = data
    with torch.random.fork_rng():
        module = Module()
    before = {name: one.clone() for name, one in module.state_dict().items()}
    network = skorch.NeuralNetRegressor(module, **OPTIONS)
    model = FMRLRegressor(network, meta_step_size=0.0, standardize=False)
    model.fit(X, y, tasks=tasks)
    assert_array_equal(model.init_, torch.cat([one.ravel() for one in before.values()]))
    for name, one in module.state_dict().items():
        assert torch.equal(one, before[name])


NET = skorch.NeuralNetRegressor
REFUSED = {
    "units": (NET(Module), {"standardize": True}, "standardize=False.*StandardScaler"),
    "features": (NET(Module, module__n_features=2), {}, "not take rows of 3 features"),
    "outputs": (NET(Module, module__n_outputs=2), {}, r"\(n_samples, 1\).*\(2, 2\)"),
    "step": (NET(Module), {"step_size": 0.1}, "NeuralNetRegressor .*'fixed'"),
}


@pytest.mark.parametrize(
    ("network", "params", "message"), REFUSED.values(), ids=REFUSED
)
def test_what_does_not_fit_is_said(network, params, message, data):
    X, y, tasks = data
    model = FMRLRegressor(network, **{"standardize": False, **params})
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, tasks=tasks)


def test_labels_must_be_indices(data):
    X, y, tasks = data
    model = FMRLClassifier(CLASSIFIERS["two"][1], standardize=False)
    with pytest.raises(ValueError, match="LabelEncoder.*'high'"):
        model.fit(X, np.where(y > 0, "high", "low"), tasks=tasks)
    with pytest.raises(ValueError, match=r"\(n_samples, 3\)"):
        model.fit(X, np.digitize(y, [-0.5, 0.5]), tasks=tasks)


def test_weights_are_refused_and_nothing_changes(data):
    X, y, tasks = data
    model = FMRLRegressor(REGRESSORS["plain"], standardize=False)
    with pytest.raises(ValueError, match="NeuralNetRegressor.*no sample_weight"):
        model.fit(X, y, tasks=tasks, sample_weight=np.ones(len(y)))
    assert not REGRESSORS["plain"].initialized_


def test_a_network_is_adapted_to_float32_only(data):
    """It would refuse to predict rows of float64, with an error of torch."""
    X, y, tasks = data
    model = FMRLRegressor(REGRESSORS["plain"], standardize=False)
    with pytest.raises(ValueError, match="NeuralNetRegressor .*float32.*astype"):
        model.fit(X, y, tasks=tasks).adapt(X[:8], y[:8])
    with torch.random.fork_rng():  # the adapted networks predict
        rows = X.astype(np.float32), y, tasks
        scores = few_shot_scores(model, *rows, shots=(0, 2), cv=2)
    assert np.isfinite(scores.test_score).all()


class TooHot(Module):
    def forward(self, X):
        if self.training and (X > 100.0).any():
            raise RuntimeError("too hot")
        return super().forward(X)


@pytest.mark.parametrize("meta_batch_size", [1, 4])
def test_an_error_of_a_module_names_the_task_and_changes_nothing(data, meta_batch_size):
    X, y, tasks = data
    network = skorch.NeuralNetRegressor(TooHot, **OPTIONS)
    model = FMRLRegressor(
        network, standardize=False, meta_batch_size=meta_batch_size, random_state=0
    ).fit(X, y, tasks=tasks)
    before, predicted = dict(vars(model)), model.predict(X, tasks=tasks)
    X[tasks == 3] += 1e3
    with pytest.raises(RuntimeError, match="too hot") as error:
        model.partial_fit(X, y, tasks=tasks + N_TASKS)
    assert error.value.__notes__ == ["Raised by task number 4, in order of appearance."]
    assert vars(model) == before
    X[tasks == 3] -= 1e3
    assert_array_equal(model.predict(X, tasks=tasks), predicted)


def test_a_batch_of_one_row_for_batch_normalisation_is_a_bad_task(data):
    X, y, tasks = data
    rows = np.r_[0:9, 10:50]  # of task 0, two batches of four and one row
    model = FMRLRegressor(REGRESSORS["norm"], standardize=False, random_state=0)
    with pytest.raises(ValueError, match="Task 0: NeuralNetRegressor.*more than 1 val"):
        model.fit(X[rows], y[rows], tasks=tasks[rows])
    model.set_params(on_bad_task="skip").fit(X[rows], y[rows], tasks=tasks[rows])
    assert (model.n_tasks_skipped_, model.n_tasks_seen_) == (1, N_TASKS - 1)


def test_a_task_need_not_have_all_classes(data):
    X, y, tasks = data
    y = np.digitize(y, [-0.5, 0.5])
    rows = (tasks == 0) | (y != 2)
    model = FMRLClassifier(CLASSIFIERS["three"][1], standardize=False, random_state=0)
    model.fit(X[rows], y[rows], tasks=tasks[rows])
    for t in range(N_TASKS):
        assert model.predict_proba(X[tasks == t], tasks=t).shape == (10, 3)


def test_a_search_takes_a_network(data):
    X, y, tasks = data
    X = np.column_stack([X, tasks]).astype(np.float32)
    model = FMRLRegressor(
        REGRESSORS["plain"], standardize=False, random_state=0, task_column=3
    )
    grid = {"meta_step_size": [0.0, 0.5], "estimator__lr": [0.01, 0.1]}
    search = GridSearchCV(model, grid, cv=FewShotSplit(4, n_splits=2, random_state=0))
    search.fit(X, y, groups=tasks)
    assert len(set(search.cv_results_["mean_test_score"])) == 4
    assert not REGRESSORS["plain"].initialized_


@pytest.mark.slow
def test_the_example_of_omniglot_runs(monkeypatch):
    """With few tasks, on images of noise."""
    pytest.importorskip("matplotlib")
    path = Path(__file__).parents[1] / "examples" / "few_shot_omniglot.py"
    spec = importlib.util.spec_from_file_location("few_shot_omniglot", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    few = {"N_OLD": 6, "N_TASKS": 2, "N_NEW": 1, "STEPS": (1, 2), "NEW_STEPS": 2}
    for name, value in {**few, "FEATURE_EPOCHS": 1}.items():
        monkeypatch.setattr(example, name, value)
    target = np.repeat(np.arange(12), 20)
    images = np.random.default_rng(0).random((240, 21, 21), dtype=np.float32)
    omniglot = Bunch(images=images, target=target, target_names=list("abcdefghijkl"))
    n_threads = torch.get_num_threads()
    with torch.random.fork_rng():
        found = example.compare(omniglot, seed=0)
    torch.set_num_threads(n_threads)
    assert len(found) == 2 * (1 + len(example.STEPS)) + 4
    for scores in found.values():
        assert scores.shape == (2,)
        assert ((0.0 <= scores) & (scores <= 1.0)).all()
    assert example.draw({name: np.array([one]) for name, one in found.items()})
