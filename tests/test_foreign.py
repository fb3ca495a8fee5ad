"""Networks and other estimators with flat parameters as inner learners."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import Perceptron, SGDClassifier, SGDRegressor
from sklearn.metrics import r2_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from third_party.flat_learner import BumpRegressor

from skmeta import FMRLClassifier, FMRLRegressor, _parallel
from skmeta._learners._mlp import LayeredCoordinates, split
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.linear_model import FlatLearner, Objective, OGDRegressor
from skmeta.losses import SquaredError
from skmeta.meta_step_size import FollowTheLeader

N_TASKS, N_ROWS = 6, 10
MLP = {"hidden_layer_sizes": (4, 3), "max_iter": 3, "random_state": 0}
SMALL = MLPRegressor(**MLP)


def regression(dtype=np.float64):
    X, y, tasks = make_task_regression(N_TASKS, N_ROWS, 3, random_state=0)
    return X.astype(dtype), y, tasks


def classification(n_classes, dtype=np.float64):
    X, y, tasks = make_task_classification(
        N_TASKS, N_ROWS, 3, n_classes=n_classes, random_state=0
    )
    return X.astype(dtype), np.array(["no", "so", "yes"])[y], tasks


# ---- references: plain loops with scikit-learn's own methods


def drawn_weights(sizes, seed, activation="relu"):
    """The first weights of scikit-learn's networks: uniform, as Glorot and Bengio."""
    rng, coefs, intercepts = np.random.RandomState(seed), [], []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (n_in + n_out))
        coefs.append(rng.uniform(-bound, bound, (n_in, n_out)))
        intercepts.append(rng.uniform(-bound, bound, n_out))
    return flat(coefs + intercepts)


def flat(arrays):
    return np.concatenate([array.ravel() for array in arrays]).astype(np.float64)


class Network:
    """A network of scikit-learn by hand."""

    def __init__(self, estimator, classes, n_features):
        self.estimator, self.classes = estimator, classes
        n_outputs = 1 if classes is None or len(classes) == 2 else len(classes)
        hidden = estimator.hidden_layer_sizes
        self.sizes = [n_features, *hidden, n_outputs]
        self.start = drawn_weights(self.sizes, estimator.random_state)

    def trained(self, theta, X, y, weight=None):
        options = {} if weight is None else {"sample_weight": weight}
        if self.classes is not None:
            options["classes"] = self.classes
        network = self.at(theta, X, y, options)
        for _ in range(self.estimator.max_iter):
            network.partial_fit(X, y, **options)
        return network

    def at(self, theta, X, y, options):
        """A trained network whose weights are replaced and whose optimizer is new."""
        network = clone(self.estimator).partial_fit(X, y, **options)
        del network._optimizer
        network.t_, network.loss_curve_, network.best_loss_ = 0, [], np.inf
        network._no_improvement_count = 0
        shapes = [array.shape for array in network.coefs_ + network.intercepts_]
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        parts = np.split(theta.astype(X.dtype), ends[:-1])
        arrays = [
            part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)
        ]
        half = len(arrays) // 2
        network.coefs_, network.intercepts_ = arrays[:half], arrays[half:]
        return network

    def parameter(self, network):
        return flat(network.coefs_ + network.intercepts_)


class Linear(Network):
    """A linear model of scikit-learn by hand."""

    def __init__(self, estimator, classes, n_features):
        self.estimator, self.classes = estimator, classes
        n_outputs = 1 if classes is None or len(classes) == 2 else len(classes)
        self.start = np.zeros((n_outputs, n_features + 1))

    def trained(self, theta, X, y, weight=None):
        model = clone(self.estimator)
        options = {} if self.classes is None else {"classes": self.classes}
        model.partial_fit(X, y, **options)  # for the attributes
        trained, theta = clone(self.estimator), theta.astype(X.dtype)
        vars(trained).update({"n_features_in_": X.shape[1]})
        if self.classes is not None:
            trained.classes_ = model.classes_
        trained.coef_ = theta[:, :-1].copy().reshape(model.coef_.shape)
        trained.intercept_ = theta[:, -1].copy()
        return trained.partial_fit(X, y, sample_weight=weight, **options)

    def parameter(self, model):
        coef = model.coef_.reshape(len(self.start), -1)
        return np.column_stack([coef, model.intercept_]).astype(np.float64)


class Bump(Network):
    """The third party's model by hand."""

    def __init__(self, estimator, start):
        self.estimator, self.start = estimator, start

    def trained(self, theta, X, y, weight=None):
        model = clone(self.estimator)
        model.center_, model.height_ = theta[:-1], theta[-1]
        return model.partial_fit(X, y)

    def parameter(self, model):
        return np.append(model.center_, model.height_)


def reptile(by_hand, X, y, tasks, share, weight=None, start=None):
    """Shared parameters after all tasks, and the model of every task."""
    phi, models = by_hand.start if start is None else start, []
    for task in dict.fromkeys(tasks):
        rows = tasks == task
        own = None if weight is None else weight[rows]
        models.append(by_hand.trained(phi, X[rows], y[rows], own))
        root = np.sqrt(rows.sum())  # the weight of the task: the same rounding
        phi = phi + share / root * (root * (by_hand.parameter(models[-1]) - phi))
    return phi, models


NETWORKS = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "minibatches": {"batch_size": 4, "shuffle": False},
    "larger-batches-than-tasks": {"batch_size": 50},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1},
    "no-hidden-layer": {"hidden_layer_sizes": ()},
    "logistic": {"hidden_layer_sizes": (3,), "activation": "tanh", "alpha": 0.1},
}
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])
each_network = pytest.mark.parametrize("params", NETWORKS.values(), ids=NETWORKS)


def check_equals_by_hand(model, by_hand, X, y, tasks, weight=None):
    phi, models = reptile(by_hand, X, y, tasks, model.meta_step_size, weight)
    model.fit(X, y, tasks=tasks, sample_weight=weight)
    assert_array_equal(model.init_, np.squeeze(phi))
    methods = ["predict"]
    if by_hand.classes is not None and hasattr(by_hand.estimator, "predict_proba"):
        methods.append("predict_proba")
    is_linear = hasattr(models[0], "coef_")
    for method in methods:
        response = getattr(model, method)(X, tasks=tasks)
        for task, own in enumerate(models):
            rows, expected = tasks == task, getattr(own, method)(X[tasks == task])
            if is_linear and expected.dtype.kind == "f":
                tolerance = 1e-5 if X.dtype == np.float32 else 1e-12
                assert_allclose(response[rows], expected, rtol=tolerance)
            else:
                assert_array_equal(response[rows], expected)
                assert response.dtype == expected.dtype
    rows = tasks == 2
    adapted = model.adapt(X[rows], y[rows])
    expected = by_hand.trained(phi, X[rows], y[rows])
    assert type(adapted) is type(model.estimator)
    assert repr(adapted.get_params()) == repr(model.estimator.get_params())
    assert_array_equal(by_hand.parameter(adapted), by_hand.parameter(expected))
    assert_array_equal(adapted.predict(X), expected.predict(X))
    assert adapted.predict(X).dtype == expected.predict(X).dtype
    return adapted, expected


@pytest.mark.filterwarnings("ignore:Got `batch_size` less than:UserWarning")
@each_dtype
@each_network
def test_regression_network_equals_reptile_by_hand(params, dtype):
    X, y, tasks = regression(dtype)
    network = clone(SMALL).set_params(**params)
    model = FMRLRegressor(network, meta_step_size=0.3, standardize=False)
    by_hand = Network(network, None, 3)
    adapted, expected = check_equals_by_hand(model, by_hand, X, y, tasks)
    assert model.predict(X).dtype == dtype
    assert_array_equal(  # the optimizer continues as well
        adapted.partial_fit(X, y).predict(X), expected.partial_fit(X, y).predict(X)
    )


@each_dtype
@pytest.mark.parametrize("n_classes", [2, 3])
def test_classification_network_equals_reptile_by_hand(n_classes, dtype):
    X, y, tasks = classification(n_classes, dtype)
    network = MLPClassifier(**MLP)
    model = FMRLClassifier(network, meta_step_size=0.3, standardize=False)
    by_hand = Network(network, np.unique(y), 3)
    check_equals_by_hand(model, by_hand, X, y, tasks)
    scores, probability = model.decision_function(X), model.predict_proba(X)
    assert_array_equal(model.classes_, np.unique(y))
    if n_classes == 2:
        assert_allclose(1 / (1 + np.exp(-scores)), probability[:, 1], rtol=1e-5)
        assert_array_equal(model.predict(X), model.classes_[(scores > 0).astype(int)])
    else:
        assert_allclose(np.exp(scores), probability, rtol=1e-5)
        assert_array_equal(model.predict(X), model.classes_[scores.argmax(axis=1)])
    assert_allclose(np.exp(model.predict_log_proba(X)), probability, rtol=1e-5)


def test_weights_reach_the_network():
    X, y, tasks = regression()
    weight = np.linspace(0.1, 2.0, len(y))
    model = FMRLRegressor(SMALL, meta_step_size=0.5, standardize=False)
    by_hand = Network(SMALL, None, 3)
    phi, _ = reptile(by_hand, X, y, tasks, 0.5, weight)
    model.fit(X, y, tasks=tasks, sample_weight=weight)
    assert_array_equal(model.init_, phi)


LINEAR = [
    SGDRegressor(random_state=0),
    SGDRegressor("huber", learning_rate="constant", eta0=0.1, random_state=3),
    SGDClassifier(random_state=0),
    SGDClassifier("log_loss", random_state=0),
    Perceptron(random_state=0),
]


@each_dtype
@pytest.mark.parametrize("estimator", LINEAR, ids=repr)
def test_linear_model_equals_reptile_by_hand(estimator, dtype):
    if isinstance(estimator, SGDRegressor):
        (X, y, tasks), kind, classes = regression(dtype), FMRLRegressor, None
    else:
        (X, y, tasks), kind = classification(3, dtype), FMRLClassifier
        classes = np.unique(y)
    model = kind(estimator, meta_step_size=0.3, standardize=False)
    by_hand = Linear(estimator, classes, 3)
    adapted, expected = check_equals_by_hand(model, by_hand, X, y, tasks)
    assert adapted.coef_.dtype == dtype
    assert_array_equal(
        adapted.partial_fit(X, y).coef_, expected.partial_fit(X, y).coef_
    )


def test_third_party_equals_reptile_by_hand():
    X, y, tasks = regression()
    model = FMRLRegressor(
        BumpRegressor(0.3), meta_step_size=0.3, standardize=False, random_state=0
    )
    seed = int(np.random.RandomState(0).randint(2**31))
    by_hand = Bump(BumpRegressor(0.3), np.random.default_rng(seed).normal(size=4))
    by_hand.classes = None
    check_equals_by_hand(model, by_hand, X, y, tasks)


# ---- the first initialization


def test_first_initialization_is_drawn_by_the_network_or_by_random_state():
    X, y, tasks = regression()
    common = {"meta_step_size": 0.0, "standardize": False}
    expected = drawn_weights([3, 4, 3, 1], 0)
    for seed in (0, np.random.RandomState(0)):
        network = clone(SMALL).set_params(random_state=seed)
        for _ in range(2):  # a generator of the user's is not advanced
            model = FMRLRegressor(network, **common).fit(X, y, tasks=tasks)
            assert_array_equal(model.init_, expected)
    network = clone(SMALL).set_params(random_state=None)
    one, two, other = (
        FMRLRegressor(network, random_state=seed, **common).fit(X, y, tasks=tasks).init_
        for seed in (1, 1, 2)
    )
    assert_array_equal(one, two)
    assert np.abs(one - other).max() > 0.1
    assert np.abs(one).max() <= np.sqrt(6 / 4)


def test_initialization_is_given_as_an_array():
    X, y, tasks = regression()
    start = np.random.default_rng(0).normal(size=35)
    by_hand = Network(SMALL, None, 3)
    phi, _ = reptile(by_hand, X, y, tasks, 0.3, start=start)
    for init in (start, start[np.newaxis], start.tolist()):
        model = FMRLRegressor(SMALL, init=init, meta_step_size=0.3, standardize=False)
        assert_array_equal(model.fit(X, y, tasks=tasks).init_, phi)
    with pytest.raises(ValueError, match=r"init must be .* \(1, 35\); got .*\(34,\)"):
        FMRLRegressor(SMALL, init=start[1:]).fit(X, y, tasks=tasks)
    linear = FMRLRegressor(OGDRegressor()).fit(X, y, tasks=tasks)
    assert_array_equal(linear.init_, np.append(linear.coef_, linear.intercept_))


def stream(model, X, y, tasks):
    """Learn task by task; the initialization after every task."""
    classes = {} if isinstance(model, FMRLRegressor) else {"classes": np.unique(y)}
    for task in range(N_TASKS):
        rows = tasks == task
        model.partial_fit(X[rows], y[rows], tasks=task, **classes)
        yield model.init_


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("n_classes", [None, 2, 3])
def test_draw_and_mean_are_those_of_the_initializations(n_classes, standardize):
    if n_classes is None:
        (X, y, tasks), kind, network = regression(), FMRLRegressor, SMALL
    else:
        (X, y, tasks), kind = classification(n_classes), FMRLClassifier
        network = MLPClassifier(**MLP)
    options = {"standardize": standardize, "random_state": 3}
    first = kind(network, meta_step_size=0.0, **options)
    one = tasks == 0
    classes = {} if n_classes is None else {"classes": np.unique(y)}
    first.fit(X[one], y[one], tasks=tasks[one], **classes)
    model = kind(network, meta_step_size=0.5, **options)
    phis = np.array([first.init_, *stream(model, X, y, tasks)])[:-1]
    assert model.init_mean_.shape == model.init_draw_.shape == (phis.shape[1],)
    assert_allclose(model.init_mean_, phis.mean(axis=0), rtol=1e-10, atol=1e-12)
    assert np.abs(phis - model.init_draw_).max(axis=1).min() <= 1e-12
    whole = clone(model).fit(X, y, tasks=tasks)
    assert_array_equal(whole.init_draw_, model.init_draw_)
    assert_array_equal(whole.init_mean_, model.init_mean_)
    if not standardize:  # the units of a draw are those before its task
        by_hand = Network(network, None if n_classes is None else np.unique(y), 3)
        for start in ("draw", "mean"):
            adapted = model.adapt(X[one], y[one], init=start)
            phi = getattr(model, f"init_{start}_")
            expected = by_hand.trained(phi, X[one], y[one])
            assert_array_equal(adapted.predict(X), expected.predict(X))


@pytest.mark.parametrize("standardize", [False, True])
def test_a_draw_before_the_first_task_starts_in_the_units_of_the_new_task(standardize):
    X, y, tasks = regression()
    one, two = tasks == 0, tasks == 1
    model = FMRLRegressor(SMALL, standardize=standardize)
    model.fit(X[one], y[one] + 50.0, tasks=tasks[one])
    adapted = model.adapt(X[two], y[two], init="draw")
    other = clone(model).fit(X[two], y[two], tasks=tasks[two])
    assert_allclose(adapted.predict(X), other.predict(X, tasks=1), rtol=1e-9)


@pytest.mark.parametrize("estimator", [SMALL, SGDRegressor(random_state=0)], ids=repr)
def test_ftl_is_the_mean_of_the_parameters_of_the_tasks(estimator):
    """Not the model of all rows, which needs a loss."""
    X, y, tasks = regression()
    one = FMRLRegressor(estimator).fit(X, y, tasks=tasks)
    two = FMRLRegressor(estimator, meta_step_size=FollowTheLeader())
    assert_array_equal(one.init_, two.fit(X, y, tasks=tasks).init_)


# ---- one state, however it is reached

MODELS = {
    "mlp": FMRLRegressor(SMALL, meta_step_size=0.3),
    "mlp-raw": FMRLRegressor(SMALL, standardize=False),
    "mlp-seeded": FMRLRegressor(
        MLPRegressor(hidden_layer_sizes=4, max_iter=2, batch_size=3), random_state=0
    ),
    "sgd": FMRLRegressor(SGDRegressor(), random_state=0),
    "third-party": FMRLRegressor(BumpRegressor(), standardize=False, random_state=0),
}
each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


@each_model
def test_one_call_per_task_equals_fit(model):
    X, y, tasks = regression()
    whole, parts = clone(model).fit(X, y, tasks=tasks), clone(model)
    for task in range(N_TASKS):
        parts.partial_fit(X[tasks == task], y[tasks == task], tasks=task)
    assert_array_equal(parts.init_, whole.init_)
    assert_array_equal(parts.predict(X, tasks=tasks), whole.predict(X, tasks=tasks))
    again = pickle.loads(pickle.dumps(whole))
    for one in (parts, whole, again):
        one.partial_fit(X, -y, tasks=tasks + 3)  # some return
    assert_array_equal(parts.init_, whole.init_)
    assert_array_equal(again.init_, whole.init_)
    assert_array_equal(again.predict(X, tasks=tasks), whole.predict(X, tasks=tasks))


@each_model
def test_results_do_not_depend_on_n_jobs(model, monkeypatch):
    X, y, tasks = regression()
    monkeypatch.setattr(_parallel, "WORTH_A_PROCESS", 0.0)
    fitted = []
    for n_jobs in (None, 2, 3):
        one = clone(model).set_params(n_jobs=n_jobs, meta_batch_size=5)
        with parallel_config(backend="threading"):
            one.fit(X, y, tasks=tasks).partial_fit(X, -y, tasks=tasks + 3)
        fitted.append(one)
    for one in fitted[1:]:
        assert_array_equal(one.init_, fitted[0].init_)
        assert_array_equal(
            one.predict(X, tasks=tasks), fitted[0].predict(X, tasks=tasks)
        )


@pytest.mark.slow
def test_results_of_processes_are_the_same(monkeypatch):
    """Also if products are large enough for several threads of BLAS."""
    X, y, tasks = make_task_regression(6, 600, 100, random_state=0)
    monkeypatch.setattr(_parallel, "WORTH_A_PROCESS", 0.0)
    network = MLPRegressor(hidden_layer_sizes=(300, 200), max_iter=2)
    model = FMRLRegressor(network, meta_batch_size=6, random_state=0)
    one = clone(model).fit(X, y, tasks=tasks).partial_fit(X, y, tasks=tasks + 3)
    two = clone(model).set_params(n_jobs=2).fit(X, y, tasks=tasks)
    two.partial_fit(X, y, tasks=tasks + 3)
    assert_array_equal(one.init_, two.init_)
    assert_array_equal(one.predict(X, tasks=tasks), two.predict(X, tasks=tasks))


def test_predictions_use_the_parameters_of_every_row():
    X, y, tasks = regression()
    model = FMRLRegressor(SMALL, meta_step_size=0.3).fit(X, y, tasks=tasks)
    labels = np.where(tasks < 2, tasks, tasks + 100)  # the others are unknown
    mixed = np.random.default_rng(0).permutation(len(y))
    predicted = model.predict(X[mixed], tasks=labels[mixed])
    known = model.predict(X, tasks=tasks)
    expected = np.where(tasks < 2, known, model.predict(X))
    assert_allclose(predicted, expected[mixed], rtol=1e-10)
    assert model.score(X, y, tasks=tasks) == pytest.approx(r2_score(y, known))


def test_tasks_may_lack_classes():
    X, y, tasks = classification(3)
    model = FMRLClassifier(MLPClassifier(**MLP, warm_start=True))
    model.fit(X, y, tasks=tasks).partial_fit(X[y == "so"], y[y == "so"], tasks=100)
    adapted = model.adapt(X[y == "no"], y[y == "no"])
    assert adapted.classes_.tolist() == ["no", "so", "yes"]
    assert adapted.warm_start


def test_rows_may_be_sparse():
    X, y, tasks = regression()
    model = FMRLRegressor(SMALL, standardize=False).fit(X, y, tasks=tasks)
    sparse = clone(model).fit(sp.csr_matrix(X), y, tasks=tasks)
    assert_allclose(sparse.init_, model.init_, rtol=1e-10, atol=1e-12)
    predicted = sparse.predict(sp.csr_matrix(X), tasks=tasks)
    assert_allclose(predicted, model.predict(X, tasks=tasks), rtol=1e-10)
    scaled = (
        clone(model).set_params(standardize=True).fit(sp.csr_matrix(X), y, tasks=tasks)
    )
    assert scaled.score(X, y, tasks=tasks) > model.score(X, y, tasks=tasks) - 1.0


# ---- units


@pytest.mark.parametrize("hidden", [(), (4,), (4, 3)], ids=str)
def test_a_change_of_coordinates_changes_no_prediction(hidden, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    X, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    network = clone(SMALL).set_params(hidden_layer_sizes=hidden).partial_fit(X, y)
    layout = tuple(array.shape for array in network.coefs_ + network.intercepts_)
    units = LayeredCoordinates(
        rng.normal(size=3), rng.uniform(0.5, 2, 3), 7.0, 3.0, layout
    )

    def predict(theta, X):
        arrays = split(theta[0], layout)
        half = len(arrays) // 2
        network.coefs_, network.intercepts_ = arrays[:half], arrays[half:]
        return network.predict(X)

    theta, other = rng.normal(size=(2, 1, sum(map(np.prod, layout), start=0)))
    raw, inside = units.to_raw(theta), units.to_units(theta)
    expected = predict(theta, units.features(X)) * units.unit + units.offset
    assert_allclose(predict(raw, X), expected, rtol=1e-9)
    assert_allclose(units.to_units(raw), theta, rtol=1e-9, atol=1e-12)
    assert_allclose(units.to_raw(inside), theta, rtol=1e-9, atol=1e-12)
    difference = units.displacement(np.array([other - theta]))
    assert_allclose(difference[0], units.to_raw(other) - raw, atol=1e-9)


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_predictions_do_not_depend_on_the_units_of_the_data(kind):
    scales, shifts = np.array([1e3, 1e-2, 5.0]), np.array([-7.0, 0.3, 100.0])
    if kind == "regression":
        (X, y, tasks), model = regression(), FMRLRegressor(SMALL)
        moved = 1e4 * y + 1e6
    else:
        (X, y, tasks), model = classification(3), FMRLClassifier(MLPClassifier(**MLP))
        moved = y
    responses = []
    for features, target in ((X, y), (scales * X + shifts, moved)):
        one = clone(model).fit(features, target, tasks=tasks)
        adapted = one.adapt(features[:5], target[:5])
        found = [one.predict(features, tasks=tasks), one.predict(features)]
        responses.append([*found, adapted.predict(features)])
    for before, after in zip(*responses, strict=True):
        if kind == "regression":
            assert_allclose(after, 1e4 * before + 1e6, rtol=1e-7)
        else:
            assert_array_equal(after, before)


def test_the_poisson_loss_leaves_its_target_alone():
    X, y, tasks = regression()
    network = clone(SMALL).set_params(loss="poisson")
    model = FMRLRegressor(network).fit(X, np.exp(y), tasks=tasks)
    assert (model.predict(X) > 0).all()


def test_a_flat_learner_without_units_is_refused():
    X, y, tasks = regression()
    message = "BumpRegressor cannot be used with standardize=True.*standardize=False"
    with pytest.raises(ValueError, match=message):
        FMRLRegressor(BumpRegressor()).fit(X, y, tasks=tasks)


# ---- what it is for


def test_digits_are_learned_from_few_rows():
    """20 images of a camera that is shifted in its own way, from 80 such cameras."""
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)

    def camera(n):
        rows = rng.permutation(len(y))[:n]
        images = np.roll(X[rows].reshape(-1, 8, 8), rng.integers(-1, 2, 2), (1, 2))
        return images.reshape(n, 64), y[rows]

    cameras = [camera(20) for _ in range(80)]
    rows = list(map(np.concatenate, zip(*cameras, strict=True)))
    network = MLPClassifier(32, learning_rate_init=0.01, max_iter=10, random_state=0)
    model = FMRLClassifier(network, meta_step_size=0.3)
    scratch = clone(model).set_params(meta_step_size=0.0)
    for one in (model, scratch):
        one.fit(*rows, tasks=np.repeat(range(80), 20))
    shots = [camera(220) for _ in range(8)]
    found, without = (
        np.mean([one.adapt(X[:20], y[:20]).score(X[20:], y[20:]) for X, y in shots])
        for one in (model, scratch)
    )
    assert found > without + 0.1 > 0.4


# ---- what is refused, and that it changes nothing


def test_a_network_has_no_coef():
    X, y, tasks = regression()
    model = FMRLRegressor(SMALL).fit(X, y, tasks=tasks)
    for name in ("coef_", "intercept_", "task_coef_", "task_intercept_"):
        assert not hasattr(model, name)
        with pytest.raises(AttributeError, match=f"'{name}': .* not linear.*`init_`"):
            getattr(model, name)


REFUSED = [
    (MLPRegressor(solver="lbfgs"), {}, "lbfgs.*solver='adam' or 'sgd'"),
    (MLPRegressor(early_stopping=True), {}, "early_stopping=True.*max_iter"),
    (SMALL, {"step_size": "isotropic"}, "MLPRegressor .*step_size='fixed'"),
    (SMALL, {"init": "pooled"}, "MLPRegressor does not name the loss.*'zero'"),
    (SMALL, {"task_parameter": "average"}, "MLPRegressor .*task_parameter='last'"),
]


@pytest.mark.parametrize(("network", "params", "message"), REFUSED, ids=repr)
def test_what_a_network_cannot_do_is_said(network, params, message):
    X, y, tasks = regression()
    with pytest.raises(ValueError, match=message):
        FMRLRegressor(network, **params).fit(X, y, tasks=tasks)


def test_another_network_does_not_continue():
    X, y, tasks = regression()
    model = FMRLRegressor(clone(SMALL)).fit(X, y, tasks=tasks)
    before = model.predict(X)
    model.estimator.hidden_layer_sizes = (6,)
    for call in (model.partial_fit, model.adapt):
        with pytest.raises(ValueError, match="layout of the parameters changed.*fit"):
            call(X, y)
    assert_array_equal(model.predict(X), before)
    model.estimator = OGDRegressor()
    with pytest.raises(ValueError, match="changed"):
        model.partial_fit(X, y)


class Unweighted(MLPRegressor):
    def partial_fit(self, X, y):
        return super().partial_fit(X, y)


def test_weights_that_an_estimator_does_not_take_are_an_error():
    X, y, tasks = regression()
    model = FMRLRegressor(Unweighted(**MLP)).fit(X, y, tasks=tasks)
    match = "Unweighted.partial_fit has no sample_weight"
    with pytest.raises(ValueError, match=match):
        model.adapt(X, y, sample_weight=np.ones(len(y)))
    with pytest.raises(ValueError, match=match):
        model.fit(X, y, tasks=tasks, sample_weight=np.ones(len(y)))


@pytest.mark.parametrize("estimator", [MLPRegressor(max_iter=3), SGDRegressor()])
def test_a_call_that_fails_leaves_no_trace(estimator):
    X, y, tasks = regression()
    generator = np.random.RandomState(0)
    model = FMRLRegressor(estimator, random_state=generator, standardize=False)
    X[tasks == 4] *= 1e200
    states = [generator.get_state()[1].copy(), np.random.get_state()[1].copy()]
    before = dict(vars(model)), dict(vars(estimator))
    with pytest.raises(ValueError, match="^Task 4: (MLP|SGD)Regressor"):
        model.fit(X, y, tasks=tasks)
    assert (vars(model), vars(estimator)) == before
    assert_array_equal(generator.get_state()[1], states[0])
    model.set_params(on_bad_task="skip").fit(X, y, tasks=tasks)
    assert_array_equal(np.random.get_state()[1], states[1])  # seeds come from ours
    assert model.n_tasks_skipped_ == 1
    assert vars(estimator) == before[1]


class TooShort(FlatLearner):
    layout = ((3,),)

    def get(self, model):
        return np.zeros(2)

    def set(self, model, parameter):
        pass

    def partial_fit(self, model, X, y, weight):
        pass


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "TooShort.get must return 3 numbers.*shape \\(2,\\)"),
        ({"get": FlatLearner.get}, "TooShort defines no get"),
        ({"set": FlatLearner.set}, "TooShort defines no set"),
        ({"first": lambda *_: np.zeros(2)}, "TooShort.first must return .*\\(1, 3\\)"),
        ({"objective": Objective(SquaredError())}, "TooShort has a layout and an obj"),
    ],
    ids=["length", "get", "set", "first", "objective"],
)
def test_a_flat_learner_is_checked(changes, message, monkeypatch):
    X, y, tasks = regression()
    for name, value in changes.items():
        monkeypatch.setattr(TooShort, name, value)

    class Estimator(SGDRegressor):
        def inner_learner(self, shape, classes):
            return TooShort(self)

    model = FMRLRegressor(Estimator(), standardize=False)
    with pytest.raises((TypeError, ValueError, NotImplementedError), match=message):
        model.fit(X, y, tasks=tasks)


def test_importing_the_package_loads_no_networks():
    code = "import sys, skmeta; assert 'sklearn.neural_network' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
