"""OGDClassifier and OGDRegressor against scikit-learn, scipy and naive loops."""

import pickle
import re
from copy import deepcopy
from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
import reference
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal, assert_equal
from scipy.optimize import minimize_scalar
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.linear_model import SGDClassifier, SGDRegressor

from skmeta.linear_model import OGDClassifier, OGDRegressor

REGRESSION_LOSSES = [
    "absolute_error",
    "epsilon_insensitive",
    "huber",
    "pinball",
    "quantile",
    "squared_error",
]
CLASSIFICATION_LOSSES = ["hinge", "log_loss", "modified_huber", "squared_hinge"]
N_SAMPLES, N_FEATURES = 20, 3
KINDS = {"regression": 0, "two classes": 2, "three classes": 3}


class Data:
    """Random rows, and how to make and train an estimator for them."""

    def __init__(self, kind, seed=42, n_samples=N_SAMPLES):
        rng = np.random.default_rng(seed)
        self.n_classes = KINDS[kind]
        self.X = rng.normal(size=(n_samples, N_FEATURES))
        self.weight = rng.uniform(0.2, 2.0, n_samples)
        if self.n_classes:
            self.codes = np.resize(np.arange(self.n_classes), n_samples)
            self.classes = np.array(["ant", "bee", "cat"])[: self.n_classes]
            self.y = self.classes[self.codes]
        else:
            self.codes = self.y = rng.normal(size=n_samples)
        n_outputs = self.n_classes if self.n_classes > 2 else 1
        self.shape = (n_outputs, N_FEATURES + 1)
        self.start = rng.normal(size=self.shape)

    def make(self, **parameters):
        return (OGDClassifier if self.n_classes else OGDRegressor)(**parameters)

    def losses(self):
        return CLASSIFICATION_LOSSES if self.n_classes else REGRESSION_LOSSES

    def partial_fit(self, model, rows=slice(None), **options):
        if self.n_classes:
            options["classes"] = self.classes
        return model.partial_fit(self.X[rows], self.y[rows], **options)

    def init(self, theta=None):
        """coef_init and intercept_init that stand for a parameter."""
        theta = self.start if theta is None else theta
        coef = theta[:, :-1] if self.n_classes else theta[0, :-1]
        return {"coef_init": coef, "intercept_init": theta[:, -1]}

    def naive(self, model, theta=None, sample_weight=None, eta=None, rows=None):
        """The naive loop on the same rows, with the estimator's parameters."""
        options = model.get_params()
        numbers = {k: v for k, v in options.items() if k in ("epsilon", "quantile")}
        y = 2.0 * self.codes - 1.0 if self.n_classes == 2 else self.codes
        theta = np.zeros(self.shape) if theta is None else theta
        return reference.run_task(
            self.X.tolist(),
            y.tolist(),
            theta.tolist(),
            options["eta0"] if eta is None else eta,
            reference.make_loss(options["loss"], **numbers),
            update=options["update"],
            radius=options["radius"],
            fit_intercept=options["fit_intercept"],
            sample_weight=sample_weight,
            passes=[range(len(y)) if rows is None else rows] * options["max_iter"],
        )


@pytest.fixture(params=list(KINDS))
def data(request, global_random_seed):
    return Data(request.param, global_random_seed)


def theta_of(model, average=False):
    """`coef_` and `intercept_` as one array, intercept last."""
    prefix = "average_" if average else ""
    coef = getattr(model, f"{prefix}coef_")
    intercept = getattr(model, f"{prefix}intercept_")
    return np.column_stack([np.atleast_2d(coef), intercept])


def assert_same_model(actual, expected, tolerance=0.0):
    """Everything learned is equal, by default to the last bit."""
    learned = [
        "coef_",
        "intercept_",
        "average_coef_",
        "average_intercept_",
        "grad_sq_norm_",
        "losses_",
    ]
    for name in learned:
        value = getattr(actual, name)
        desired = getattr(expected, name)
        assert_allclose(value, desired, rtol=tolerance, atol=tolerance, err_msg=name)
    assert actual.t_ == expected.t_
    assert actual.n_iter_ == expected.n_iter_


# ---- parameters and attributes


@pytest.mark.parametrize(
    ("estimator", "loss"),
    [(OGDRegressor, "squared_error"), (OGDClassifier, "log_loss")],
)
def test_defaults(estimator, loss):
    parameters = estimator().get_params()
    expected = {
        "loss": loss,
        "update": "implicit",
        "learning_rate": "constant",
        "eta0": 0.1,
        "radius": None,
        "average": False,
        "max_iter": 1,
        "shuffle": False,
        "fit_intercept": True,
        "random_state": None,
    }
    if estimator is OGDRegressor:
        expected |= {"epsilon": 0.1, "quantile": 0.5}
    assert parameters == expected
    assert set(estimator._parameter_constraints) == set(parameters)


def test_shapes_and_types_of_attributes(data):
    model = data.make(max_iter=3)
    assert model.fit(data.X, data.y) is model
    coef_shape = data.shape[:1] * bool(data.n_classes) + (N_FEATURES,)
    for prefix in ("", "average_"):
        assert getattr(model, f"{prefix}coef_").shape == coef_shape
        assert getattr(model, f"{prefix}intercept_").shape == data.shape[:1]
        assert getattr(model, f"{prefix}coef_").dtype == np.float64
    assert model.losses_.shape == (N_SAMPLES,)
    assert isinstance(model.grad_sq_norm_, float)
    assert model.n_features_in_ == N_FEATURES
    assert (model.n_iter_, model.t_) == (3, 3 * N_SAMPLES)
    assert data.partial_fit(model) is model
    assert (model.n_iter_, model.t_) == (1, 4 * N_SAMPLES)
    if data.n_classes:
        assert_array_equal(model.classes_, data.classes)


def test_fit_forgets(data):
    once = data.make().fit(data.X, data.y)
    twice = data.make().fit(data.X[:9], data.y[:9]).fit(data.X, data.y)
    assert_same_model(twice, once)
    narrow = data.make().fit(data.X[:, :2], data.y).fit(data.X, data.y)
    assert_same_model(narrow, once)


def test_pickle_and_clone(data):
    model = data.make(max_iter=2, average=True).fit(data.X, data.y)
    loaded = pickle.loads(pickle.dumps(model))
    assert_same_model(loaded, model)
    assert_same_model(data.partial_fit(loaded), data.partial_fit(deepcopy(model)))
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert set(vars(copy)) == set(copy.get_params())


def test_arguments_are_not_written_to(data):
    coef, intercept = data.start[:, :-1].copy(), data.start[:, -1].copy()
    X, y, weight = data.X.copy(), data.y.copy(), data.weight.copy()
    data.make(radius=0.1).fit(X, y, weight, coef, intercept)
    for after, before in [
        (X, data.X),
        (y, data.y),
        (weight, data.weight),
        (coef, data.start[:, :-1]),
        (intercept, data.start[:, -1]),
    ]:
        assert_array_equal(after, before)


# ---- against scikit-learn


def assert_equals_sgd(model, sgd, X, y):
    sgd.set_params(
        penalty=None,
        shuffle=False,
        learning_rate="constant",
        eta0=model.eta0,
        max_iter=1,
        tol=None,
        fit_intercept=model.fit_intercept,
    )
    model.fit(X, y)
    sgd.fit(X, y)
    assert_allclose(model.coef_, sgd.coef_, rtol=1e-10, atol=1e-10)
    assert_allclose(model.intercept_, sgd.intercept_, rtol=1e-10, atol=1e-10)
    assert_allclose(
        model.decision_function(X) if hasattr(model, "classes_") else model.predict(X),
        sgd.decision_function(X) if hasattr(model, "classes_") else sgd.predict(X),
        rtol=1e-10,
        atol=1e-10,
    )
    assert_array_equal(model.predict(X).shape, sgd.predict(X).shape)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csr_array])
@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "huber", "epsilon_insensitive"])
def test_regressor_equals_scikit_learn(loss, average, container, global_random_seed):
    data = Data("regression", global_random_seed)
    # scikit-learn takes smaller steps for the intercept of sparse data
    options = {"loss": loss, "epsilon": 0.2, "eta0": 0.05}
    options["fit_intercept"] = container is np.asarray
    model = OGDRegressor(update="ogd", **options)
    assert_equals_sgd(model, SGDRegressor(**options), container(data.X), data.y)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csr_array])
@pytest.mark.parametrize("kind", ["two classes", "three classes"])
@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES)
def test_classifier_equals_scikit_learn(loss, kind, container, global_random_seed):
    data = Data(kind, global_random_seed)
    options = {"loss": loss, "eta0": 0.05, "fit_intercept": container is np.asarray}
    model = OGDClassifier(update="ogd", **options)
    assert_equals_sgd(model, SGDClassifier(**options), container(data.X), data.y)
    sgd = SGDClassifier(**options, penalty=None, shuffle=False, max_iter=1, tol=None)
    sgd.set_params(learning_rate="constant").fit(container(data.X), data.y)
    assert_array_equal(model.predict(data.X), sgd.predict(data.X))
    if loss in ("log_loss", "modified_huber"):
        probabilities = sgd.predict_proba(data.X)
        assert_allclose(model.predict_proba(data.X), probabilities, rtol=1e-9)


def test_average_equals_scikit_learn_up_to_the_ends(global_random_seed):
    """scikit-learn averages iterates 2 to m + 1, we average 1 to m; the first is 0."""
    data = Data("regression", global_random_seed)
    options = {"eta0": 0.05}
    model = OGDRegressor(update="ogd", **options).fit(data.X, data.y)
    sgd = SGDRegressor(
        **options, penalty=None, shuffle=False, max_iter=1, tol=None, average=True
    )
    sgd.set_params(learning_rate="constant").fit(data.X, data.y)
    expected = sgd.coef_ - model.coef_ / N_SAMPLES
    assert_allclose(model.average_coef_, expected, rtol=1e-10, atol=1e-12)
    expected = sgd.intercept_ - model.intercept_ / N_SAMPLES
    assert_allclose(model.average_intercept_, expected, rtol=1e-10, atol=1e-12)


# ---- against the naive loops


@pytest.mark.parametrize("update", ["ogd", "implicit"])
@pytest.mark.parametrize("radius", [None, 0.7])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_everything_learned_equals_naive_loops(data, update, radius, fit_intercept):
    for loss in data.losses():
        model = data.make(
            loss=loss,
            update=update,
            radius=radius,
            fit_intercept=fit_intercept,
            max_iter=2,
            eta0=0.3,
        )
        start = data.start * ([1.0] * N_FEATURES + [float(fit_intercept)])
        model.fit(data.X, data.y, data.weight, **data.init(start))
        run = data.naive(model, start, data.weight)
        close = {"rtol": 1e-10, "atol": 1e-10}
        assert_allclose(theta_of(model), run.last, **close)
        assert_allclose(theta_of(model, average=True), run.average, **close)
        losses = [run.losses[i] for i in range(N_SAMPLES)]
        assert_allclose(model.losses_, losses, **close)
        assert_allclose(model.grad_sq_norm_, run.grad_sq_norm, rtol=1e-10)

        model.set_params(average=True)
        model.fit(data.X, data.y, data.weight, **data.init(start))
        assert_allclose(theta_of(model), run.average, **close)
        assert_allclose(theta_of(model, average=True), run.average, **close)


def test_prequential_losses_are_those_of_the_predictions_before_learning():
    data = Data("regression")
    model = OGDRegressor().fit(data.X, data.y)
    one_by_one = OGDRegressor()
    expected = [0.5 * data.y[0] ** 2]
    one_by_one.partial_fit(data.X[:1], data.y[:1])
    for i in range(1, N_SAMPLES):
        expected.append(0.5 * (one_by_one.predict(data.X[[i]])[0] - data.y[i]) ** 2)
        one_by_one.partial_fit(data.X[[i]], data.y[[i]])
    assert_allclose(model.losses_, expected, rtol=1e-12)


def test_invsqrt_divides_by_the_root_of_the_samples_of_the_call(data):
    model = data.make(learning_rate="invsqrt", eta0=0.6, max_iter=2)
    constant = data.make(eta0=0.6 / np.sqrt(N_SAMPLES), max_iter=2)
    model.fit(data.X, data.y)
    assert_same_model(model, constant.fit(data.X, data.y))
    rows = slice(0, 9)
    data.partial_fit(model, rows)
    data.partial_fit(constant.set_params(eta0=0.6 / 3.0), rows)
    assert_same_model(model, constant)


def test_step_size_of_every_parameter(data, global_random_seed):
    eta0 = np.random.default_rng(global_random_seed).uniform(0.01, 0.5, data.shape)
    for update in ("ogd", "implicit"):
        given = eta0 if data.n_classes else eta0[0]
        model = data.make(eta0=given, update=update).fit(data.X, data.y)
        run = data.naive(model, eta=eta0.tolist())
        assert_allclose(theta_of(model), run.last, rtol=1e-10, atol=1e-12)
        assert_allclose(model.grad_sq_norm_, run.grad_sq_norm, rtol=1e-12)
        model.set_params(learning_rate="invsqrt").fit(data.X, data.y)
        run = data.naive(model, eta=(eta0 / np.sqrt(N_SAMPLES)).tolist())
        assert_allclose(theta_of(model), run.last, rtol=1e-10, atol=1e-12)


def test_equal_step_sizes_are_one_step_size(data):
    each = np.full(data.shape if data.n_classes else data.shape[1], 0.3)
    model = data.make(eta0=each).fit(data.X, data.y)
    assert_same_model(model, data.make(eta0=0.3).fit(data.X, data.y), 1e-12)


# ---- the implicit update


@pytest.mark.parametrize("per_coordinate", [False, True], ids=["one eta", "many etas"])
def test_implicit_update_solves_the_proximal_problem(
    data, per_coordinate, global_random_seed
):
    """It is the minimum along the direction of the step, and there is no other way."""
    rng = np.random.default_rng(global_random_seed)
    eta = rng.uniform(0.05, 3.0, data.shape if per_coordinate else (1, 1))
    given = eta if per_coordinate and data.n_classes else eta[0]
    eta = np.broadcast_to(eta, data.shape)
    x = np.append(data.X[0], 1.0)
    for loss in data.losses():
        model = data.make(loss=loss, eta0=given if per_coordinate else given[0])
        model.fit(data.X, data.y, **data.init())  # one that knows all classes
        model.coef_, model.intercept_ = data.init().values()
        data.partial_fit(model, slice(0, 1))
        numbers = {
            name: value
            for name, value in model.get_params().items()
            if name in ("epsilon", "quantile")
        }
        value, _ = reference.make_loss(loss, **numbers)
        end = theta_of(model)
        y = data.codes[0]
        targets = [y] if data.n_classes == 0 else [2 * y - 1]
        if data.n_classes == 3:
            targets = np.where(np.arange(3) == y, 1.0, -1.0)
        for k, target in enumerate(targets):

            def objective(theta, value=value, target=target, k=k):
                moved = (theta - data.start[k]) ** 2 / (2 * eta[k])
                return value(target, theta @ x) + moved.sum()

            def along(step, objective=objective, k=k):
                return objective(data.start[k] + step * eta[k] * x)

            best = minimize_scalar(along, bracket=(-1.0, 1.0), tol=1e-12)
            least = objective(end[k])
            assert least <= best.fun + 1e-14 * (1 + abs(best.fun))
            found = data.start[k] + best.x * eta[k] * x
            assert_allclose(end[k], found, rtol=1e-6, atol=1e-6)
            for _ in range(20):
                other = end[k] + rng.normal(size=N_FEATURES + 1) * rng.uniform(0, 1e-2)
                assert objective(other) >= least


@pytest.mark.parametrize("scale", [1e-8, 1e4, 1e8, 1e50])
def test_implicit_update_survives_any_scale_of_features(data, scale):
    for loss in data.losses():
        model = data.make(loss=loss, eta0=10.0, max_iter=3)
        model.fit(scale * data.X, data.y)
        assert np.isfinite(theta_of(model)).all()
        assert np.isfinite(model.losses_).all()
        last = data.partial_fit(deepcopy(model).fit(scale * data.X, data.y))
        assert np.isfinite(last.losses_).all()


def test_implicit_step_never_raises_the_loss_of_its_sample(data):
    for loss in data.losses():
        model = data.make(loss=loss, eta0=5.0).fit(data.X, data.y)
        for i in range(N_SAMPLES):
            rows = [i]
            before = data.partial_fit(deepcopy(model), rows).losses_[0]
            data.partial_fit(model, rows)
            after = data.partial_fit(deepcopy(model), rows).losses_[0]
            assert after <= before * (1 + 1e-12) + 1e-14


# ---- the ball


@pytest.mark.parametrize("update", ["ogd", "implicit"])
def test_every_iterate_lies_in_the_ball(data, update):
    radius = 0.4
    model = data.make(update=update, radius=radius, eta0=1.0)
    free = data.make(update=update, eta0=1.0)
    on_the_sphere = 0
    for i in range(N_SAMPLES):
        data.partial_fit(model, [i])
        assert np.linalg.norm(theta_of(model)) <= radius * (1 + 1e-15)
        data.partial_fit(free, [i])
        unprojected = theta_of(free)
        norm = np.linalg.norm(unprojected)
        expected = unprojected * min(1.0, radius / norm)
        assert_allclose(theta_of(model), expected, rtol=1e-12, atol=1e-14)
        on_the_sphere += norm > radius
        free.coef_, free.intercept_ = model.coef_.copy(), model.intercept_.copy()
    assert on_the_sphere > 3


def test_large_ball_changes_nothing(data):
    free, ball = data.make().fit(data.X, data.y), data.make(radius=1e6)
    assert_same_model(ball.fit(data.X, data.y), free, 1e-12)


# ---- shuffling


@pytest.mark.parametrize("max_iter", [1, 2])
def test_shuffling_is_a_new_order_of_the_rows_in_every_pass(data, max_iter):
    """Of three rows, every order is drawn, and nothing else."""
    n = 3
    small = Data("regression", n_samples=n)
    orders = {}
    for order in product(permutations(range(n)), repeat=max_iter):
        model = OGDRegressor()
        losses = np.empty(n)
        for n_pass, rows in enumerate(order):
            for i in rows:
                model.partial_fit(small.X[[i]], small.y[[i]])
                if n_pass == 0:
                    losses[i] = model.losses_[0]
        orders[order] = model, losses
    drawn = set()
    for seed in range(40 * max_iter**2):
        model = OGDRegressor(shuffle=True, random_state=seed, max_iter=max_iter)
        model.fit(small.X, small.y)
        (match,) = (
            order
            for order, (other, _) in orders.items()
            if np.allclose(other.coef_, model.coef_, rtol=1e-12, atol=0.0)
        )
        drawn.add(match)
        assert_allclose(model.losses_, orders[match][1], rtol=1e-12)
    if max_iter == 1:
        assert len(drawn) == 6
    else:
        assert len(drawn) > 30
        assert any(first != second for first, second in drawn)
        assert {second for _, second in drawn} == set(permutations(range(n)))


def test_shuffling_is_reproducible(data):
    def fit(random_state, **options):
        model = data.make(shuffle=True, random_state=random_state, max_iter=2)
        return model.fit(data.X, data.y, **options)

    assert_same_model(fit(7), fit(7))
    assert_same_model(fit(np.random.RandomState(7)), fit(np.random.RandomState(7)))
    assert (fit(7).coef_ != fit(8).coef_).any()
    state = np.random.RandomState(7)
    assert (fit(state).coef_ != fit(state).coef_).any()
    unshuffled = data.make(max_iter=2).fit(data.X, data.y)
    assert (fit(7).coef_ != unshuffled.coef_).any()


def test_random_state_is_of_no_effect_without_shuffling(data):
    one, two = data.make(random_state=0), data.make(random_state=1)
    assert_same_model(one.fit(data.X, data.y), two.fit(data.X, data.y))


# ---- partial_fit


@pytest.mark.parametrize("update", ["ogd", "implicit"])
@pytest.mark.parametrize("radius", [None, 0.5])
def test_partial_fit_of_two_halves_is_one_fit(data, update, radius):
    whole = data.make(update=update, radius=radius).fit(data.X, data.y)
    halves = data.make(update=update, radius=radius)
    first = data.partial_fit(halves, slice(0, 8)).losses_
    second = data.partial_fit(halves, slice(8, None)).losses_
    assert_array_equal(halves.coef_, whole.coef_)
    assert_array_equal(halves.intercept_, whole.intercept_)
    assert_array_equal(np.concatenate([first, second]), whole.losses_)
    assert_allclose(halves.average_coef_, whole.average_coef_, rtol=1e-12, atol=1e-14)
    assert halves.t_ == whole.t_ == N_SAMPLES


def test_average_over_calls_is_the_average_over_all(data):
    halves = data.make(average=True)
    gradients = 0.0
    for rows in (slice(0, 3), slice(3, 4), slice(4, None)):
        gradients += data.partial_fit(halves, rows).grad_sq_norm_
    run = data.naive(halves)
    assert_allclose(theta_of(halves), run.average, rtol=1e-10, atol=1e-12)
    assert_allclose(theta_of(halves, average=True), run.average, rtol=1e-10, atol=1e-12)
    # going on from the last iterate, not from the average
    assert_allclose(gradients, run.grad_sq_norm, rtol=1e-12)
    halves.set_params(average=False)
    data.partial_fit(halves)
    assert halves.t_ == 2 * N_SAMPLES


def test_partial_fit_makes_one_pass_whatever_max_iter(data):
    one, three = data.make(), data.make(max_iter=3)
    assert_same_model(data.partial_fit(three), data.partial_fit(one))


def test_partial_fit_goes_on_from_a_fit(data):
    model = data.make().fit(data.X, data.y)
    twice = data.make(max_iter=2).fit(data.X, data.y)
    data.partial_fit(model)
    assert_array_equal(model.coef_, twice.coef_)
    assert_allclose(model.average_coef_, twice.average_coef_, rtol=1e-12, atol=1e-14)
    assert model.t_ == twice.t_


def test_partial_fit_goes_on_from_coef_set_by_hand(data):
    model = data.make().fit(data.X, data.y)
    model.coef_, model.intercept_ = data.init().values()
    data.partial_fit(model)
    expected = data.make().fit(data.X, data.y, **data.init())
    assert_array_equal(model.coef_, expected.coef_)
    assert_array_equal(model.intercept_, expected.intercept_)
    assert_array_equal(model.losses_, expected.losses_)
    model.coef_ *= 0.0  # in place
    model.intercept_ *= 0.0
    data.partial_fit(model)
    assert_array_equal(model.coef_, data.make().fit(data.X, data.y).coef_)


def test_first_row_is_predicted_from_the_given_start(data):
    for options in (data.init(), {"coef_init": data.init()["coef_init"]}, {}):
        start = np.zeros(data.shape)
        if "coef_init" in options:
            start[:, :-1] = data.start[:, :-1]
        if "intercept_init" in options:
            start[:, -1] = data.start[:, -1]
        model = data.make().fit(data.X, data.y, **options)
        assert_allclose(model.losses_[0], data.naive(model, start).losses[0])
        run = data.naive(model, start)
        assert_allclose(theta_of(model), run.last, rtol=1e-10, atol=1e-12)


# ---- sample weights


@pytest.mark.parametrize("shuffle", [False, True], ids=["in order", "shuffled"])
@pytest.mark.parametrize("learning_rate", ["constant", "invsqrt"])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_rows_of_weight_zero_leave_no_trace(data, container, learning_rate, shuffle):
    def make():
        return data.make(
            learning_rate=learning_rate, shuffle=shuffle, max_iter=2, random_state=0
        )

    weight = data.weight.copy()
    weight[[0, 5, 6, 19]] = 0.0
    kept = weight > 0
    X = container(data.X)
    full = make().fit(X, data.y, sample_weight=weight)
    part = make().fit(X[kept], data.y[kept], sample_weight=weight[kept])
    assert_array_equal(full.losses_[~kept], 0.0)
    full.losses_ = full.losses_[kept]
    assert_same_model(full, part)
    full.partial_fit(X, data.y, sample_weight=weight)
    part.partial_fit(X[kept], data.y[kept], sample_weight=weight[kept])
    assert_array_equal(full.coef_, part.coef_)
    assert full.t_ == part.t_


def test_weight_scales_the_loss(data):
    """A weight of 3 on all rows is a step three times as long."""
    unweighted = data.make(eta0=0.15).fit(data.X, data.y)
    weighted = data.make(eta0=0.05)
    weighted.fit(data.X, data.y, sample_weight=np.full(N_SAMPLES, 3.0))
    assert_allclose(theta_of(weighted), theta_of(unweighted), rtol=1e-10, atol=1e-12)
    assert_allclose(weighted.losses_, 3.0 * unweighted.losses_, rtol=1e-10)
    assert_allclose(weighted.grad_sq_norm_, 9.0 * unweighted.grad_sq_norm_, rtol=1e-10)


def test_weights_of_one_change_nothing(data):
    plain = data.make().fit(data.X, data.y)
    for weight in (np.ones(N_SAMPLES), 1.0, [1] * N_SAMPLES):
        model = data.make().fit(data.X, data.y, sample_weight=weight)
        assert_same_model(model, plain)


# ---- containers and types of the data


def with_unsorted_indices(X):
    """CSR of which the entries of every row stand in reverse."""
    X = sp.csr_matrix(X)
    for begin, end in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        X.indices[begin:end] = X.indices[begin:end][::-1].copy()
        X.data[begin:end] = X.data[begin:end][::-1].copy()
    X.has_sorted_indices = False
    return X


def with_duplicates(X):
    """CSR that holds every entry in two parts."""
    coo = sp.coo_matrix(X)
    rows, columns = np.repeat(coo.row, 2), np.repeat(coo.col, 2)
    order = np.argsort(rows, kind="stable")
    indptr = np.searchsorted(rows[order], np.arange(X.shape[0] + 1))
    parts = np.ravel([0.25 * coo.data, 0.75 * coo.data], order="F")
    X = sp.csr_matrix((parts[order], columns[order], indptr), shape=X.shape)
    assert not X.has_canonical_format
    return X


def with_long_indices(X):
    X = sp.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def non_contiguous(X):
    return np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]


CONTAINERS = {
    "csr_matrix": sp.csr_matrix,
    "csr_array": sp.csr_array,
    "csc": sp.csc_matrix,
    "coo": sp.coo_array,
    "csr unsorted": with_unsorted_indices,
    "csr duplicates": with_duplicates,
    "csr int64": with_long_indices,
    "csr float32": lambda X: sp.csr_matrix(X.astype(np.float32)),
    "csr int values": lambda X: sp.csr_matrix(X.astype(int)),
    "dataframe": lambda X: pd.DataFrame(X, columns=list("abc")),
    "list": lambda X: X.tolist(),
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "int": lambda X: X.astype(int),
    "int8": lambda X: X.astype(np.int8),
    "big endian": lambda X: X.astype(">f8"),
    "object": lambda X: X.astype(object),
    "fortran": np.asfortranarray,
    "fortran float32": lambda X: np.asfortranarray(X.astype(np.float32)),
    "read-only": read_only,
    "non-contiguous": non_contiguous,
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_of_the_same_numbers_give_the_same_model(data, container):
    whole = 4.0 * np.sign(data.X) * (np.abs(data.X) > 0.5)  # exact in every type
    expected = data.make(eta0=0.01, max_iter=2).fit(whole, data.y)
    X = CONTAINERS[container](whole)
    before = deepcopy(X)
    model = data.make(eta0=0.01, max_iter=2).fit(X, data.y)
    assert_same_model(model, expected, 1e-12)
    assert_array_equal(model.predict(X), model.predict(X))
    scores = "decision_function" if data.n_classes else "predict"
    assert_allclose(
        getattr(model, scores)(X), getattr(expected, scores)(whole), rtol=1e-12
    )
    assert_same_model(
        model.partial_fit(X, data.y),
        deepcopy(expected).partial_fit(whole, data.y),
        1e-12,
    )
    if sp.issparse(X):
        assert X.format == before.format
        if X.format == "csr":
            assert_array_equal(X.indices, before.indices)
            assert_array_equal(X.data, before.data)
            assert X.indices.dtype == before.indices.dtype


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(lambda a: a.tolist(), id="list"),
        pytest.param(read_only, id="read-only"),
        pytest.param(lambda a: np.repeat(a, 2)[::2], id="non-contiguous"),
        pytest.param(pd.Series, id="series"),
        pytest.param(lambda a: a.astype(object), id="object"),
    ],
)
def test_containers_of_targets_and_weights(data, convert):
    expected = data.make().fit(data.X, data.y, data.weight)
    y, weight = convert(data.y), convert(data.weight)
    assert_same_model(data.make().fit(data.X, y, sample_weight=weight), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int8, bool, ">f8"])
def test_types_of_regression_targets(dtype):
    X, y = Data("regression").X, (np.arange(N_SAMPLES) % 2)
    expected = OGDRegressor().fit(X, y.astype(float))
    assert_same_model(OGDRegressor().fit(X, y.astype(dtype)), expected)


def test_column_of_targets_is_flattened_with_a_warning(data):
    model = data.make()
    with pytest.warns(DataConversionWarning, match="column-vector"):
        model.fit(data.X, data.y[:, np.newaxis])
    assert_same_model(model, data.make().fit(data.X, data.y))


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csr_array])
def test_features_that_are_all_zero(data, container):
    model = data.make(max_iter=2).fit(container(0.0 * data.X), data.y)
    assert_array_equal(model.coef_, 0.0)
    assert (model.intercept_ != 0.0).all()
    assert len(np.unique(model.predict(container(0.0 * data.X)))) == 1


# ---- classification


@pytest.mark.parametrize(
    "labels",
    [
        ["b", "a", "c"],
        [3, -1, 10],
        [0.0, -2.0, 7.0],
        np.array(["x", "yy", "zzz"], dtype=object),
    ],
    ids=["strings", "integers", "floats", "objects"],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_of_any_kind(labels, n_classes):
    data = Data("three classes" if n_classes == 3 else "two classes")
    classes = np.sort(labels[:n_classes])
    y = classes[data.codes]
    model = OGDClassifier(max_iter=50).fit(3 * data.X, y)
    expected = OGDClassifier(max_iter=50).fit(3 * data.X, data.codes)
    assert_same_model(model, expected)
    assert_array_equal(model.classes_, classes)
    assert_array_equal(model.predict(data.X), classes[expected.predict(data.X)])
    assert model.predict(data.X).dtype == y.dtype


def test_boolean_labels():
    data = Data("two classes")
    model = OGDClassifier().fit(data.X, data.codes == 1)
    assert_same_model(model, OGDClassifier().fit(data.X, data.codes))
    assert model.predict(data.X).dtype == bool


def test_several_classes_are_learned_one_against_all():
    data = Data("three classes")
    for loss, update in product(CLASSIFICATION_LOSSES, ["ogd", "implicit"]):
        model = OGDClassifier(loss=loss, update=update).fit(data.X, data.y)
        losses = np.zeros(N_SAMPLES)
        for k, label in enumerate(data.classes):
            single = OGDClassifier(loss=loss, update=update)
            single.fit(data.X, data.y == label)
            assert_allclose(model.coef_[[k]], single.coef_, rtol=1e-12)
            assert_allclose(model.intercept_[[k]], single.intercept_, rtol=1e-12)
            losses += single.losses_
        assert_allclose(model.losses_, losses, rtol=1e-12)


def test_ball_holds_all_rows_of_weights():
    data = Data("three classes")
    model = OGDClassifier(radius=0.5, eta0=1.0).fit(data.X, data.y)
    assert_allclose(np.linalg.norm(theta_of(model)), 0.5, rtol=1e-12)


def test_prediction_is_the_class_of_the_highest_score(data):
    if not data.n_classes:
        model = data.make().fit(data.X, data.y)
        expected = data.X @ model.coef_ + model.intercept_
        assert_allclose(model.predict(data.X), expected, rtol=1e-12)
        return
    model = data.make().fit(data.X, data.y)
    scores = model.decision_function(data.X)
    assert_allclose(
        scores.reshape(N_SAMPLES, -1), data.X @ model.coef_.T + model.intercept_
    )
    index = (scores > 0).astype(int) if data.n_classes == 2 else scores.argmax(axis=1)
    assert_array_equal(model.predict(data.X), data.classes[index])


@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities(loss, n_classes):
    data = Data("three classes" if n_classes == 3 else "two classes")
    model = OGDClassifier(loss=loss).fit(data.X, data.y)
    if loss in ("hinge", "squared_hinge"):
        assert not hasattr(model, "predict_proba")
        with pytest.raises(AttributeError, match="predict_proba") as error:
            model.predict_proba(data.X)
        assert loss in str(error.value.__cause__ or error.value)
        return
    probabilities = model.predict_proba(data.X)
    assert probabilities.shape == (N_SAMPLES, n_classes)
    assert (probabilities >= 0).all()
    assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-14)
    best = data.classes[probabilities.argmax(axis=1)]
    assert_array_equal(best, model.predict(data.X))


def test_partial_fit_knows_classes_that_have_not_come_yet():
    data = Data("three classes")
    rows = data.codes == 1
    model = OGDClassifier().partial_fit(data.X[rows], data.y[rows], data.classes[::-1])
    assert_array_equal(model.classes_, data.classes)
    assert model.coef_.shape == (3, N_FEATURES)
    model.partial_fit(data.X, data.y)
    model.partial_fit(data.X, data.y, classes=list(data.classes))
    assert model.t_ == rows.sum() + 2 * N_SAMPLES


# ---- errors: every one leaves the estimator as it was


def states(estimator):
    """Copies of all attributes, with what a failing call might have changed inside."""
    return deepcopy(vars(estimator))


def assert_refuses(model, method, *args, match, error=ValueError, **options):
    before = states(model)
    with pytest.raises(error, match=match):
        getattr(model, method)(*args, **options)
    assert_equal(vars(model), before)


@pytest.fixture(params=["new", "fitted", "averaged"])
def model(request, data):
    """An estimator before and after training."""
    model = data.make(average=request.param == "averaged", update="ogd")
    return model if request.param == "new" else model.fit(data.X, data.y)


def teach(data, model, method, X=None, y=None, match=None, error=ValueError, **options):
    """`assert_refuses` for one of the two methods that learn."""
    if data.n_classes and method == "partial_fit":
        options.setdefault("classes", data.classes)
    X, y = data.X if X is None else X, data.y if y is None else y
    assert_refuses(model, method, X, y, match=match, error=error, **options)


learning = pytest.mark.parametrize("method", ["fit", "partial_fit"])
BAD_PARAMETERS = [
    ("loss", "nope"),
    ("loss", None),
    ("update", "sgd"),
    ("update", None),
    ("eta0", 0.0),
    ("eta0", -1),
    ("eta0", np.nan),
    ("eta0", np.inf),
    ("eta0", "0.1"),
    ("eta0", None),
    ("learning_rate", "optimal"),
    ("learning_rate", 1.0),
    ("radius", 0.0),
    ("radius", -1.0),
    ("radius", np.nan),
    ("radius", "1"),
    ("average", "yes"),
    ("average", 3),
    ("max_iter", 0),
    ("max_iter", 1.5),
    ("max_iter", None),
    ("shuffle", None),
    ("shuffle", 2),
    ("fit_intercept", "no"),
    ("fit_intercept", 2),
    ("random_state", "seed"),
    ("random_state", -1),
]
BAD_REGRESSION_PARAMETERS = [
    ("epsilon", -0.1),
    ("epsilon", np.nan),
    ("epsilon", None),
    ("quantile", 0.0),
    ("quantile", 1.0),
    ("quantile", np.nan),
    ("quantile", "0.5"),
]


@learning
@pytest.mark.parametrize(
    ("estimator", "name", "value"),
    [
        pytest.param(estimator, *case, id=f"{estimator.__name__}-{case[0]}={case[1]!r}")
        for estimator, cases in [
            (OGDRegressor, BAD_PARAMETERS + BAD_REGRESSION_PARAMETERS),
            (OGDClassifier, BAD_PARAMETERS),
        ]
        for case in cases
    ],
)
def test_bad_parameter_is_named(estimator, name, value, method):
    data = Data("regression" if estimator is OGDRegressor else "two classes")
    match = rf"The '{name}' parameter of {estimator.__name__} must be .* Got "
    teach(data, data.make(**{name: value}), method, match=match)
    fitted = data.make().fit(data.X, data.y).set_params(**{name: value})
    teach(data, fitted, method, match=match)


def test_every_parameter_has_bad_values():
    for estimator, cases in [
        (OGDRegressor, BAD_PARAMETERS + BAD_REGRESSION_PARAMETERS),
        (OGDClassifier, BAD_PARAMETERS),
    ]:
        assert {name for name, _ in cases} == set(estimator().get_params())


@learning
@pytest.mark.parametrize(
    "eta0",
    [
        [0.1, 0.1, 0.1, 0.0],
        [0.1, 0.1, 0.1, -1.0],
        [0.1, 0.1, 0.1, np.nan],
        [0.1, 0.1, 0.1, np.inf],
        [-0.1],
        [0.1, 0.1, 0.1],
        [0.1] * 5,
        [],
        [[0.1, 0.1], [0.1]],
        ["a", "b", "c", "d"],
    ],
    ids=str,
)
def test_bad_array_of_step_sizes_is_named(eta0, method):
    data = Data("regression")
    teach(data, OGDRegressor(eta0=eta0), method, match="eta0")
    fitted = OGDRegressor().fit(data.X, data.y).set_params(eta0=eta0)
    teach(data, fitted, method, match="eta0")


@learning
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, pd.DataFrame])
def test_non_finite_features_are_refused(data, model, method, value, container):
    X = data.X.copy()
    X[7, 1] = value
    word = "NaN" if np.isnan(value) else "infinity"
    if container is pd.DataFrame:
        model = clone(model)  # what was fitted without names warns
    teach(data, model, method, X=container(X), match=f"Input X contains {word}")


@learning
def test_overflow_of_float32_features_is_refused(data, model, method):
    with np.errstate(over="ignore"):
        X = (1e39 * np.abs(data.X)).astype(np.float32)
    teach(data, model, method, X=X, match="infinity")


@learning
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_targets_are_refused(data, method, value):
    y = data.codes.astype(float)
    y[7] = value
    new, fitted = data.make(), data.make().fit(data.X, data.codes.astype(float))
    for model in (new, fitted):
        options = {"classes": np.arange(float(data.n_classes))}
        options = options if data.n_classes and method == "partial_fit" else {}
        match = "y contains NaN, infinity .* row 7"
        assert_refuses(model, method, data.X, y, match=match, **options)


@learning
@pytest.mark.parametrize("value", [np.nan, None])
def test_missing_labels_are_refused(data, model, method, value):
    y = data.y.astype(object)
    y[7] = value
    teach(data, model, method, y=y, match="y contains NaN, infinity .* row 7")


@learning
@pytest.mark.parametrize("value", [np.inf, 5])
def test_numbers_among_words_are_refused(method, value):
    data = Data("two classes")
    y = data.y.astype(object)
    y[7] = value
    for model in (OGDClassifier(), OGDClassifier().fit(data.X, data.y)):
        match = "of one kind|not in `classes`"
        teach(data, model, method, y=y, match=match)


@learning
def test_targets_of_the_wrong_kind_are_refused(data, model, method):
    n = N_SAMPLES
    teach(data, model, method, y=data.y[:-1], match="inconsistent numbers of samples")
    teach(data, model, method, y=np.tile(data.y, (2, 1)).T, match="1d array")
    teach(data, model, method, y=np.full(n, 1j), match="[Cc]omplex")
    if not data.n_classes:
        words = np.array(["one"] * n)
        teach(data, model, method, y=words, match="y must hold numbers")
    else:
        numbers = np.linspace(0.1, 0.9, n)
        teach(data, model, method, y=numbers, match="Unknown label type|continuous")
    options = {"classes": data.classes} if data.n_classes else {}
    options = options if method == "partial_fit" else {}
    match = "requires y to be passed"
    assert_refuses(model, method, data.X, None, match=match, **options)


@learning
def test_input_of_the_wrong_shape_is_refused(data, model, method):
    teach(data, model, method, X=data.X[:, 0], match="Expected 2D array")
    empty = data.X[:0]
    teach(data, model, method, X=empty, y=data.y[:0], match="0 sample")
    teach(data, model, method, X=data.X[:, :0], match="0 feature")
    teach(data, model, method, X=1j * data.X, match="Complex data not supported")


def test_wrong_width_is_refused(data):
    model = data.make().fit(data.X, data.y)
    match = r"X has 2 features, but OGD\w+ is expecting 3 features"
    narrow = data.X[:, :2]
    teach(data, model, "partial_fit", X=narrow, match=match)
    assert_refuses(model, "predict", narrow, match=match)
    assert_refuses(model, "predict", sp.csr_matrix(narrow), match=match)
    if data.n_classes:
        assert_refuses(model, "decision_function", narrow, match=match)
        assert_refuses(model, "predict_proba", narrow, match=match)


def test_feature_names_are_checked(data):
    frame = pd.DataFrame(data.X, columns=["a", "b", "c"])
    model = data.make().fit(frame, data.y)
    assert_array_equal(model.feature_names_in_, ["a", "b", "c"])
    renamed = frame.rename(columns={"b": "B"})
    reordered = frame[["b", "a", "c"]]
    for other in (renamed, reordered):
        match = "feature names should match"
        teach(data, model, "partial_fit", X=other, match=match)
        assert_refuses(model, "predict", other, match=match)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(data.X)
    model.fit(reordered, data.y)
    assert_array_equal(model.feature_names_in_, ["b", "a", "c"])
    model.fit(data.X, data.y)
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.parametrize(
    ("estimator", "method"),
    [
        (OGDRegressor, "predict"),
        (OGDRegressor, "score"),
        (OGDClassifier, "predict"),
        (OGDClassifier, "score"),
        (OGDClassifier, "decision_function"),
        (OGDClassifier, "predict_proba"),
    ],
)
def test_nothing_is_predicted_before_fit(estimator, method):
    args = ([[1.0]], [1]) if method == "score" else ([[1.0]],)
    assert_refuses(
        estimator(), method, *args, match="not fitted yet", error=NotFittedError
    )


@learning
@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (-1.0, "[Nn]egative"),
        (np.nan, "NaN"),
        (np.inf, "infinity"),
        (None, "weights (are zero|must contain at least one non-zero)"),
    ],
    ids=["negative", "nan", "inf", "all zero"],
)
def test_bad_sample_weights_are_refused(data, model, method, weight, match):
    weights = np.zeros(N_SAMPLES) if weight is None else data.weight.copy()
    if weight is not None:
        weights[3] = weight
    teach(data, model, method, sample_weight=weights, match=match)


@learning
def test_sample_weights_of_the_wrong_shape_are_refused(data, model, method):
    for weight in (data.weight[:-1], data.weight[:, np.newaxis]):
        teach(data, model, method, sample_weight=weight, match="sample_weight|weights")


@pytest.mark.parametrize("name", ["coef_init", "intercept_init"])
def test_bad_starts_are_refused(data, model, name):
    good = data.init()[name]
    longer = np.append(good, 1.0)
    for bad in (longer, [], "abc", np.full_like(good, np.nan)):
        teach(data, model, "fit", match=name, **{name: bad})
    flags = np.full_like(good, np.inf)
    teach(data, model, "fit", match=f"{name} must be finite", **{name: flags})


def test_intercept_that_is_not_learned_is_refused(data):
    """`predict` would add it to scores that were learned without it."""
    model = data.make(fit_intercept=False)
    teach(data, model, "fit", match="fit_intercept", **data.init())
    model.fit(data.X, data.y, coef_init=data.init()["coef_init"])
    assert_array_equal(model.intercept_, 0.0)
    fitted = data.make().fit(data.X, data.y).set_params(fit_intercept=False)
    teach(data, fitted, "partial_fit", match="fit_intercept")


def test_transposed_start_is_refused():
    data = Data("three classes")
    data.X = data.X[:, :2]
    start = np.arange(6.0).reshape(2, 3)  # coef_ has shape (3, 2)
    teach(data, OGDClassifier(), "fit", coef_init=start, match="coef_init")


def test_transposed_step_sizes_are_refused():
    data = Data("three classes")
    eta0 = np.linspace(0.1, 1.2, 12).reshape(4, 3)  # parameters have shape (3, 4)
    teach(data, OGDClassifier(eta0=eta0), "fit", match="eta0")


def test_single_class_is_refused():
    data = Data("two classes")
    for model in (OGDClassifier(), OGDClassifier().fit(data.X, data.y)):
        y = np.full(N_SAMPLES, "ant")
        assert_refuses(model, "fit", data.X, y, match="at least two classes; got 1")
    assert_refuses(
        OGDClassifier(), "partial_fit", data.X, y, ["ant"], match="at least two classes"
    )


def test_classes_of_partial_fit_are_checked():
    data = Data("two classes")
    new, fitted = OGDClassifier(), OGDClassifier().fit(data.X, data.y)
    assert_refuses(
        new, "partial_fit", data.X, data.y, match="classes must be passed on the first"
    )
    others = ["ant", "cat"]
    assert_refuses(
        fitted,
        "partial_fit",
        data.X,
        data.y,
        others,
        match="is not the same as on last",
    )
    y = data.y.copy()
    y[4] = "eel"
    match = "class not in `classes` in row 4"
    assert_refuses(fitted, "partial_fit", data.X, y, match=match)
    assert_refuses(new, "partial_fit", data.X, y, data.classes, match=match)
    codes = np.where(y == "ant", 0, 1)
    assert_refuses(fitted, "partial_fit", data.X, codes, match="class not in")


@learning
def test_divergence_is_an_error_that_says_what_to_do(data, model, method):
    losses = {0: "squared_error", 2: "squared_hinge", 3: "squared_hinge"}
    model.set_params(loss=losses[data.n_classes], eta0=1.0)
    X, y = np.tile(1e8 * data.X, (3, 1)), np.tile(data.y, 3)
    teach(data, model, method, X=X, y=y, match=re.escape("update='implicit'"))
    teach(data, model, method, X=X, y=y, match="StandardScaler.*eta0")
    teach(data, model, method, X=sp.csr_matrix(X), y=y, match="reached NaN or infinite")
    float32 = X.astype(np.float32)
    teach(data, model, method, X=float32, y=y, match="reached NaN or infinite")
    if not hasattr(model, "coef_"):
        assert set(vars(model)) == set(model.get_params())


@pytest.mark.parametrize("update", ["ogd", "implicit"])
@pytest.mark.parametrize("scale", [1e155, 1e200, 1e300])
def test_nothing_learned_is_ever_non_finite(data, update, scale):
    for loss in data.losses():
        model = data.make(loss=loss, update=update)
        try:
            model.fit(scale * data.X, data.y)
        except ValueError as error:
            assert "reached NaN or infinite" in str(error)
            assert set(vars(model)) == set(model.get_params())
        else:
            assert np.isfinite(theta_of(model)).all()
            assert np.isfinite(theta_of(model, average=True)).all()
            assert np.isfinite(model.losses_).all()
            assert np.isfinite(model.grad_sq_norm_)


@pytest.mark.parametrize("loss", REGRESSION_LOSSES + CLASSIFICATION_LOSSES)
@pytest.mark.parametrize("update", ["ogd", "implicit"])
def test_both_kernels_serve(kernel, loss, update):
    data = Data("regression" if loss in REGRESSION_LOSSES else "three classes")
    model = data.make(loss=loss, update=update, radius=1.0).fit(data.X, data.y)
    run = data.naive(model)
    assert_allclose(theta_of(model), run.last, rtol=1e-10, atol=1e-12)
