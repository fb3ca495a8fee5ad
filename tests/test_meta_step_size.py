"""Meta step sizes: the share a_t of the distance from the initialization to a task."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import model_for, on_all_learners
from sklearn.base import clone

from skmeta import FMRLRegressor
from skmeta.datasets import make_task_regression
from skmeta.meta_step_size import (
    META_STEP_SIZES,
    Constant,
    Discounted,
    FollowTheLeader,
    FollowTheRows,
    LinearDecay,
    MetaStepSize,
)

LEADER = FollowTheLeader()
RULES = [
    LEADER,
    Discounted(2.0),
    Constant(0.7),
    LinearDecay(0.7, final=0.25, n_tasks=4),
]
ROOTS = np.sqrt([4, 9, 1, 25, 2, 2, 7])
SUMS = np.cumsum(ROOTS)
HALVED_SUMS = [ROOTS[: t + 1] @ 0.5 ** np.arange(t, -1, -1.0) for t in range(7)]
INIT = [1.0, -2.0, 0.5]


def shares(rule, roots=ROOTS, phi_given=False):
    state = rule.start()
    return [
        rule.share(state, t, root, t == 1 and not phi_given)
        for t, root in enumerate(roots, start=1)
    ]


@pytest.fixture(scope="module")
def data():
    return make_task_regression(7, (1, 9), 2, random_state=1)


def run(data, inner=None, **params):
    """Initializations phi_1..phi_{T+1}, task parameters and lengths of a stream."""
    X, y, tasks = data
    model = model_for("regression", inner=inner, **params)
    start = np.zeros(3) if params.get("init") is None else np.array(params["init"])
    if params.get("init") is None and getattr(model, "standardize", False):
        start[-1] = y[tasks == 0].mean()  # zero in the units of the first task
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
    "rule, expected",
    [
        (FollowTheLeader(), ROOTS / SUMS),
        (Discounted(1.0), ROOTS / HALVED_SUMS),
        (Discounted(1e300), ROOTS / SUMS),
        (Discounted(1e-3), np.ones(7)),
        (Constant(0.7), np.full(7, 0.7)),
        (
            LinearDecay(0.7, final=0.25, n_tasks=4),
            [0.7, 0.55, 0.4, 0.25, 0.25, 0.25, 0.25],
        ),
        (LinearDecay(0.7, final=1.0, n_tasks=2), [0.7, 1, 1, 1, 1, 1, 1]),
    ],
    ids=repr,
)
def test_share(rule, expected, phi_given):
    assert_allclose(shares(rule, phi_given=phi_given), expected)


# ---- the rules at work


@pytest.mark.parametrize("init", [None, INIT], ids="init={}".format)
@pytest.mark.parametrize("rule", RULES, ids=repr)
@on_all_learners
def test_initialization_moves_by_its_share(inner, rule, init, data):
    params = {} if init is None else {"init": init}
    phis, thetas, lengths = run(data, inner, meta_step_size=rule, **params)
    for t, a in enumerate(shares(rule, np.sqrt(lengths), init is not None)):
        assert 0 < a <= 1
        assert_allclose(phis[t + 1], phis[t] + a * (thetas[t] - phis[t]), atol=1e-14)


@pytest.mark.parametrize("init", ["zero", INIT], ids="init={}".format)
@on_all_learners
def test_leader_is_the_weighted_mean_of_all_task_parameters(inner, init, data):
    X, y, tasks = data
    model = model_for("regression", inner=inner, meta_step_size=LEADER, init=init)
    model.fit(X, y, tasks=tasks)
    weights = np.sqrt(np.bincount(tasks))
    mean_coef = np.average(model.task_coef_, axis=0, weights=weights)
    mean_intercept = np.average(model.task_intercept_, axis=0, weights=weights)
    assert_allclose(model.coef_, mean_coef)
    assert_allclose(model.intercept_, mean_intercept)


@on_all_learners
def test_leader_minimises_the_weighted_distances_exactly(inner, data):
    """(G3): sum of distances paid = sum at the best fixed phi + the price of not
    knowing it."""
    phis, thetas, lengths = run(data, inner, meta_step_size=LEADER, init=INIT)
    w = np.sqrt(lengths)
    paid = w / 2 * ((thetas - phis[:-1]) ** 2).sum(axis=1)
    leader = np.average(thetas, axis=0, weights=w)
    best = w / 2 * ((thetas - leader) ** 2).sum(axis=1)
    price = w**2 / (2 * np.cumsum(w)) * ((thetas - phis[:-1]) ** 2).sum(axis=1)
    assert paid.sum() == pytest.approx(best.sum() + price.sum())


@pytest.mark.parametrize("half_life", [0.5, 2.0, 30.0])
@on_all_learners
def test_discounted_mean_minimises_the_discounted_distances(inner, half_life, data):
    """In exact terms: (G3) with the weights that a task has in the end."""
    rule = Discounted(half_life)
    phis, thetas, lengths = run(data, inner, meta_step_size=rule, init=INIT)
    T, w = len(lengths), np.sqrt(lengths)
    discount = 2.0 ** (-1.0 / half_life)
    grown = w * discount ** -np.arange(1.0, T + 1)  # of which only ratios matter
    assert_allclose(phis[-1], np.average(thetas, axis=0, weights=grown), atol=1e-12)
    moved = ((thetas - phis[:-1]) ** 2).sum(axis=1)
    best = grown @ ((thetas - phis[-1]) ** 2).sum(axis=1) / 2
    price = (grown**2 / (2 * np.cumsum(grown))) @ moved
    assert_allclose(grown @ moved / 2, best + price, rtol=1e-10)


@pytest.mark.parametrize("n_first", [1, 3, 5])
def test_discounted_meta_batch_ages_by_its_number_of_tasks(n_first):
    """A batch halves what came before once for each of its tasks."""
    rule = Discounted(1.0)
    state = rule.start()
    rule.share(state, n_first, 4.0, True)
    assert rule.share(state, n_first + 3, 2.0, False) == 2.0 / (2.0 + 4.0 / 2**3)


def test_a_share_without_the_weight_is_not_follow_the_leader():
    """Why 'aogd' is 'ftl': the share 1 / (w_1 + ... + w_t) exceeds the regret of (G3).

    Adaptive OGD on the losses w_t / 2 (theta_t - phi)**2 has w_t over that sum.
    """
    theta = 1.0 + np.random.default_rng(0).uniform(-0.5, 0.5, size=400)
    w, regrets = np.sqrt(100), []
    for numerator in (w, 1.0):
        phi = paid = 0.0
        for t, one in enumerate(theta, start=1):
            paid += w / 2 * (one - phi) ** 2
            phi += numerator / (w * t) * (one - phi)
        regrets.append(paid - w / 2 * ((theta - theta.mean()) ** 2).sum())
    bound = w * 1.5**2 / 2 * (1 + np.log(400))  # distances are at most 1.5
    assert regrets[0] <= bound < regrets[1] / 5


def test_decay_counts_tasks_over_calls_and_passes(data):
    X, y, tasks = data
    rule = LinearDecay(0.7, n_tasks=8)
    model = FMRLRegressor(meta_step_size=rule, step_size="fixed", n_passes=2)
    model.fit(X, y, tasks=tasks)
    assert model.n_tasks_seen_ == 14
    at_the_end = model.coef_.copy()
    model.partial_fit(X, y, tasks=tasks)
    assert_array_equal(model.coef_, at_the_end)


# ---- the rules as objects


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_parameters_clone_and_repr(rule):
    copy = clone(rule)
    assert copy is not rule
    assert copy.get_params() == rule.get_params()
    fresh = type(rule)().set_params(**rule.get_params())
    assert fresh.get_params() == rule.get_params()
    assert eval(repr(rule)).get_params() == rule.get_params()


@pytest.mark.parametrize(
    "value, rule",
    [
        ("ftl", FollowTheRows()),
        ("aogd", FollowTheLeader()),
        (0.3, Constant(0.3)),
        (1, Constant(1.0)),
        (0, Constant(0.0)),
        (np.float32(0.5), Constant(0.5)),
    ],
    ids=repr,
)
def test_a_name_or_a_number_is_resolved_to_an_object(value, rule, data):
    by_name, by_object = (run(data, meta_step_size=one)[0] for one in (value, rule))
    assert_array_equal(by_name, by_object)


def test_every_name_is_tested():
    assert META_STEP_SIZES.keys() == {"aogd", "ftl"}


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, "adam", None, [0.1]], ids=repr)
def test_what_is_no_meta_step_size_is_named(value, data):
    X, y, tasks = data
    with pytest.raises(ValueError, match="^The 'meta_step_size' parameter of FMRLR"):
        FMRLRegressor(meta_step_size=value).fit(X, y, tasks=tasks)


# ---- rules of the user's own


class Half(MetaStepSize):
    """Nothing but the method that a rule without a memory needs."""

    def share(self, state, n_tasks, weight, is_first):
        return 0.5


class HalfConstant(Constant):
    """A known rule, changed in its one method."""

    share = Half.share


@pytest.mark.parametrize("rule", [Half, HalfConstant])
@on_all_learners
def test_a_rule_with_the_one_method_will_do(inner, rule, data):
    phis, thetas, _ = run(data, inner, meta_step_size=rule())
    assert_allclose(phis[1:], (phis[:-1] + thetas) / 2, atol=1e-14)


class OneMethod:
    """What looks like a rule, and does not derive from the base class."""

    def start(self):
        return np.zeros(0)

    share = Half.share


def test_a_rule_derives_from_the_base_class(data):
    X, y, tasks = data
    message = "'meta_step_size'.*derived from skmeta.meta_step_size.MetaStepSize"
    with pytest.raises(TypeError, match=message):
        FMRLRegressor(meta_step_size=OneMethod()).fit(X, y, tasks=tasks)
