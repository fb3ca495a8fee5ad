"""Meta-updates: the share a_t of the way from the initialization to a task."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import SGDRegressor

from skmeta import FMRLRegressor
from skmeta.datasets import make_task_regression
from skmeta.linear_model import BiasedRidge, OGDRegressor
from skmeta.meta_update import (
    META_UPDATES,
    AdaptiveOGD,
    Constant,
    FollowTheLeader,
    GeneralizedLeastSquares,
    LinearDecay,
)

UPDATES = [
    FollowTheLeader(),
    AdaptiveOGD(),
    Constant(),
    LinearDecay(0.25, n_tasks=4),
]
ROOTS = np.sqrt([4, 9, 1, 25, 2, 2, 7])
SUMS = np.cumsum(ROOTS)
INIT = [1.0, -2.0, 0.5]
on_both_learners = pytest.mark.parametrize(
    "step_size", ["empirical_bayes", "isotropic"], ids=["exact", "ogd"]
)


def shares(update, phi_given=False, meta_eta0=0.7):
    return [
        update.step(t, root, weight_sum, meta_eta0, t == 1 and not phi_given)
        for t, (root, weight_sum) in enumerate(zip(ROOTS, SUMS, strict=True), start=1)
    ]


@pytest.fixture(scope="module")
def data():
    return make_task_regression(7, (1, 9), 2, random_state=1)


def run(data, **params):
    """Initializations phi_1..phi_{T+1}, task parameters and lengths of a stream."""
    X, y, tasks = data
    model = FMRLRegressor(**params)
    start = np.zeros(3) if params.get("init") is None else np.array(params["init"])
    phis, thetas = [start], []
    for task in range(7):
        rows = tasks == task
        model.partial_fit(X[rows], y[rows], tasks=task)
        phis.append(np.append(model.coef_, model.intercept_))
        thetas.append(np.append(model.task_coef_[-1], model.task_intercept_[-1]))
    return np.array(phis), np.array(thetas), np.bincount(tasks)


# ---- the formulas


@pytest.mark.parametrize("phi_given", [False, True], ids="phi_given={}".format)
@pytest.mark.parametrize(
    "update, expected",
    [
        (FollowTheLeader(), ROOTS / SUMS),
        (Constant(), np.full(7, 0.7)),
        (LinearDecay(0.25, n_tasks=4), [0.7, 0.55, 0.4, 0.25, 0.25, 0.25, 0.25]),
        (LinearDecay(1.0, n_tasks=2), [0.7, 1, 1, 1, 1, 1, 1]),
    ],
    ids=repr,
)
def test_share_of_the_way(update, expected, phi_given):
    assert_allclose(shares(update, phi_given), expected)


def test_adaptive_ogd_jumps_to_the_first_task_unless_phi_was_given():
    assert_allclose(shares(AdaptiveOGD(), phi_given=True), 1 / SUMS)
    assert_allclose(shares(AdaptiveOGD(), phi_given=False), [1, *(1 / SUMS[1:])])


# ---- the updates at work


@pytest.mark.parametrize("init", [None, INIT], ids="init={}".format)
@pytest.mark.parametrize("update", UPDATES, ids=repr)
@on_both_learners
def test_initialization_moves_by_its_share(step_size, update, init, data):
    params = {"step_size": step_size} | ({} if init is None else {"init": init})
    phis, thetas, lengths = run(data, meta_update=update, meta_eta0=0.7, **params)
    roots = np.sqrt(lengths)
    sums = np.cumsum(roots)
    for t in range(7):
        a = update.step(t + 1, roots[t], sums[t], 0.7, t == 0 and init is None)
        assert 0 < a <= 1
        assert_allclose(phis[t + 1], phis[t] + a * (thetas[t] - phis[t]), atol=1e-14)


@pytest.mark.parametrize("init", ["zero", INIT], ids="init={}".format)
@on_both_learners
def test_leader_is_the_weighted_mean_of_all_task_parameters(step_size, init, data):
    X, y, tasks = data
    model = FMRLRegressor(meta_update="ftl", step_size=step_size, init=init)
    model.fit(X, y, tasks=tasks)
    weights = np.sqrt(np.bincount(tasks))
    mean_coef = np.average(model.task_coef_, axis=0, weights=weights)
    mean_intercept = np.average(model.task_intercept_, axis=0, weights=weights)
    assert_allclose(model.coef_, mean_coef)
    assert_allclose(model.intercept_, mean_intercept)


@on_both_learners
def test_leader_minimises_the_weighted_distances_exactly(step_size, data):
    """(G3): sum of distances paid = sum at the best fixed phi + the price of not
    knowing it."""
    params = {"meta_update": "ftl", "step_size": step_size, "init": INIT}
    phis, thetas, lengths = run(data, **params)
    w = np.sqrt(lengths)
    paid = w / 2 * ((thetas - phis[:-1]) ** 2).sum(axis=1)
    leader = np.average(thetas, axis=0, weights=w)
    best = w / 2 * ((thetas - leader) ** 2).sum(axis=1)
    price = w**2 / (2 * np.cumsum(w)) * ((thetas - phis[:-1]) ** 2).sum(axis=1)
    assert paid.sum() == pytest.approx(best.sum() + price.sum())


def test_decay_counts_tasks_over_calls_and_passes(data):
    X, y, tasks = data
    update = LinearDecay(0.0, n_tasks=8)
    params = {"meta_update": update, "meta_eta0": 0.7, "step_size": "fixed"}
    model = FMRLRegressor(n_passes=2, **params).fit(X, y, tasks=tasks)
    assert model.n_tasks_seen_ == 14
    at_the_end = model.coef_.copy()
    model.partial_fit(X, y, tasks=tasks)
    assert_array_equal(model.coef_, at_the_end)


# ---- the mean under a learned prior


def test_generalized_least_squares_under_a_known_prior():
    """That of the first meta-batch: one half of the target's variance is the noise's,
    a quarter the intercept's, a quarter shared by the slopes. One more row per
    parameter says that the mean is zero.
    """
    X, y, tasks = make_task_regression(9, (1, 12), 3, random_state=0)
    X, y = [1.0, 1e3, 1e-3] * X + [0.0, 500.0, 1.0], 20.0 * y - 7.0
    model = FMRLRegressor(meta_update="gls", meta_batch_size=9)
    model.fit(X, y, tasks=tasks)
    design = np.c_[(X - X.mean(axis=0)) / X.std(axis=0), np.ones(len(X))]
    target = (y - y.mean()) / y.std()
    prior = np.diag([1 / 6, 1 / 6, 1 / 6, 1 / 2])
    same_task = np.equal.outer(tasks, tasks)
    covariance = np.eye(len(X)) / 2 + same_task * (design @ prior @ design.T) / 2
    precision = np.linalg.inv(covariance)
    information = design.T @ precision @ design + np.linalg.inv(prior)
    mean = np.linalg.solve(information, design.T @ precision @ target)
    coef = mean[:-1] * y.std() / X.std(axis=0)
    intercept = mean[-1] * y.std() + y.mean() - X.mean(axis=0) @ coef
    assert_allclose(model.coef_, coef, rtol=1e-9)
    assert_allclose(model.intercept_, [intercept], rtol=1e-9)


def test_generalized_least_squares_is_nearer_to_the_mean_than_the_leader():
    """Where most tasks are too short to tell their parameters."""
    rng = np.random.default_rng(0)
    mean, errors = np.array([3.0, -1.0, 0.5, 2.0]), []
    for _ in range(20):
        lengths = rng.choice([1, 2, 3, 30], size=40)
        tasks = np.repeat(np.arange(40), lengths)
        X = rng.normal(size=(len(tasks), 3))
        theta = mean + rng.normal(size=(40, 4))
        y = (X * theta[tasks, :3]).sum(axis=1) + theta[tasks, 3]
        y += rng.normal(size=len(y))
        models = [FMRLRegressor(meta_update=name) for name in ("gls", "ftl")]
        found = [model.fit(X, y, tasks=tasks) for model in models]
        found = np.array([np.append(one.coef_, one.intercept_) for one in found])
        errors.append(((found - mean) ** 2).sum(axis=1))
    gls, ftl = np.mean(errors, axis=0)
    assert gls < 0.8 * ftl


@pytest.mark.parametrize("update", ["gls", GeneralizedLeastSquares()], ids=str)
@pytest.mark.parametrize(
    "params",
    [
        {"estimator": OGDRegressor()},
        {"estimator": SGDRegressor()},
        {"estimator": BiasedRidge(), "step_size": "isotropic"},
        {"step_size": "per_coordinate"},
    ],
    ids=str,
)
def test_generalized_least_squares_needs_a_learned_prior(params, update, data):
    X, y, tasks = data
    model = FMRLRegressor(meta_update=update, **params)
    with pytest.raises(
        ValueError, match="meta_update=.*learned prior.*'empirical_bayes'.*'ftl'"
    ):
        model.fit(X, y, tasks=tasks)
    assert not hasattr(model, "coef_")


# ---- the updates as objects


@pytest.mark.parametrize("update", [*UPDATES, GeneralizedLeastSquares()], ids=repr)
def test_parameters_clone_and_repr(update):
    copy = clone(update)
    assert copy is not update
    assert copy.get_params() == update.get_params()
    fresh = type(update)().set_params(**update.get_params())
    assert fresh.get_params() == update.get_params()
    assert eval(repr(update)).get_params() == update.get_params()


@pytest.mark.parametrize(
    "name, update",
    [
        ("ftl", FollowTheLeader()),
        ("aogd", AdaptiveOGD()),
        ("constant", Constant()),
        ("gls", GeneralizedLeastSquares()),
        ("linear", LinearDecay()),
    ],
)
def test_a_name_stands_for_the_object_with_defaults(name, update, data):
    by_name, by_object = (run(data, meta_update=value)[0] for value in (name, update))
    assert_array_equal(by_name, by_object)


def test_every_name_is_tested():
    assert META_UPDATES.keys() == {"aogd", "constant", "ftl", "gls", "linear"}


# ---- updates of the user's own


class Half:
    """Nothing but the method that the parameter asks for."""

    def step(self, t, weight, weight_sum, meta_eta0, is_first):
        return 0.5


class HalfConstant(Constant):
    """A known update, changed in its one method."""

    step = Half.step


@pytest.mark.parametrize("update", [Half, HalfConstant])
@on_both_learners
def test_any_object_with_the_method_will_do(step_size, update, data):
    params = {"meta_update": update(), "meta_eta0": 0.1, "step_size": step_size}
    phis, thetas, _ = run(data, **params)
    assert_allclose(phis[1:], (phis[:-1] + thetas) / 2, atol=1e-14)
