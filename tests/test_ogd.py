"""OGDClassifier and OGDRegressor against scikit-learn, scipy and naive loops."""

import pickle
from copy import deepcopy
from itertools import permutations, product

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from ogd_tools import (
    CLASSIFICATION_LOSSES,
    KINDS,
    N_FEATURES,
    N_SAMPLES,
    Data,
    assert_same_model,
    theta_of,
)
from scipy.optimize import minimize_scalar
from sklearn.base import clone
from sklearn.linear_model import SGDClassifier, SGDRegressor

from skmeta.linear_model import OGDClassifier, OGDRegressor


@pytest.fixture(params=list(KINDS))
def data(request, global_random_seed):
    return Data(request.param, global_random_seed)


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
        "lipschitz": None,
        "coef_init": None,
        "intercept_init": None,
    }
    if estimator is OGDRegressor:
        expected |= {"epsilon": 0.1, "quantile": 0.5}
    else:
        expected["class_weight"] = None
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


def test_partial_fit_continues_a_fit(data):
    model = data.make().fit(data.X, data.y)
    twice = data.make(max_iter=2).fit(data.X, data.y)
    data.partial_fit(model)
    assert_array_equal(model.coef_, twice.coef_)
    assert_allclose(model.average_coef_, twice.average_coef_, rtol=1e-12, atol=1e-14)
    assert model.t_ == twice.t_


def test_partial_fit_continues_from_coef_set_by_hand(data):
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
