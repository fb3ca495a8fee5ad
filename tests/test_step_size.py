"""Step sizes against the formulas of `ARUBA` and `Doubling`, written as plain sums."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skmeta import FMRLRegressor
from skmeta.datasets import make_task_regression
from skmeta.linear_model import OGDRegressor
from skmeta.step_size import (
    ARUBA,
    EWOO,
    STEP_SIZES,
    Doubling,
    Fixed,
    FullMatrix,
    SimilarityFTL,
    StepSize,
)

SHAPE = (2, 4)
LENGTHS = [5, 1, 9, 4, 4]
NAMES = {
    "fixed": Fixed(),
    "doubling": Doubling(),
    "isotropic": ARUBA(),
    "per_coordinate": ARUBA((0.3, 1.0, 3.0, 10.0, 30.0), per_coordinate=True),
    "similarity_ftl": SimilarityFTL(),
    "ewoo": EWOO(),
    "full_matrix": FullMatrix(),
}
ARUBAS = [
    ARUBA(),
    ARUBA(0.5, zeta=2.0, p=0.5),
    ARUBA(3.0, zeta=0.1, p=0.0, per_coordinate=True),
    ARUBA(per_coordinate=True, p=2.0),
    ARUBA(0.5, zeta=2.0, balance=True),
    ARUBA(0.5, decay=0.3),
    ARUBA(per_coordinate=True, balance=True, decay=0.9),
]
RULES = [
    Fixed(),
    Doubling(0.3, gamma=1.5, lipschitz=2.0),
    *ARUBAS,
    ARUBA((0.5, 2.0), shrink=0.5),
    SimilarityFTL(0.3, lipschitz=2.0),
    EWOO(0.3, diameter=2.0, lipschitz=0.5),
    FullMatrix(0.3, zeta=2.0, p=0.5),
]


@pytest.fixture(scope="module")
def tasks():
    """What a rule observes: movements and squared gradients, a row per task."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(5, *SHAPE)), rng.exponential(size=(5, *SHAPE))


@pytest.fixture(scope="module")
def data():
    return make_task_regression(20, (1, 9), 3, random_state=0)


def propositions(rule, moved, grad_sq):
    """Step size of every task, and of the one after the last."""
    state = rule.start(SHAPE)
    each = getattr(rule, "per_coordinate", False)
    sums = grad_sq if each else grad_sq.sum(axis=(1, 2), keepdims=True)
    for t, m in enumerate(LENGTHS):
        yield rule.propose(state, m, None).copy()
        rule.observe(state, moved[t], sums[t], m, t + 1)
    yield rule.propose(state, 16, None)


# ---- the rules by themselves


@pytest.mark.parametrize("rule", ARUBAS, ids=repr)
def test_aruba(rule, tasks):
    moved, grad_sq = tasks
    squares = moved**2
    if not rule.per_coordinate:
        squares = squares.sum(axis=(1, 2), keepdims=True)
        grad_sq = grad_sq.sum(axis=(1, 2), keepdims=True)
    for t, eta in enumerate(propositions(rule, moved, grad_sq), start=1):
        # b_t and g_t are sums over the tasks s = 1..t-1, of ages 0..t-2
        kept = (1 - rule.decay) ** np.arange(t - 1.0)[::-1, None, None]
        fading = (kept[:, 0, 0] / np.arange(2.0, t + 1) ** rule.p).sum()
        fading += (1 - rule.decay) ** (t - 1.0)
        half = 0.5 if rule.balance else 1.0
        b = rule.eps**2 * fading + 0.5 * (kept * squares[: t - 1]).sum(axis=0)
        g = rule.zeta**2 * fading + half * (kept * grad_sq[: t - 1]).sum(axis=0)
        assert eta.shape == (SHAPE if rule.per_coordinate else (1, 1))
        assert_allclose(eta, np.broadcast_to(np.sqrt(b / g), eta.shape), rtol=1e-14)


@pytest.mark.parametrize("radius", [0.1, 3.0, 100.0], ids="radius={}".format)
@pytest.mark.parametrize("lipschitz", [1.0, 4.0], ids="lipschitz={}".format)
def test_doubling(radius, lipschitz, tasks):
    moved, grad_sq = tasks
    rule = Doubling(radius, gamma=1.5, lipschitz=lipschitz)
    D, expected = radius, []
    for theta, m in zip(moved, LENGTHS, strict=True):
        expected.append(D / (lipschitz * m**0.5))
        D = 1.5 * D if np.linalg.norm(theta) > D else D
    expected.append(D / (lipschitz * 4))
    etas = list(propositions(rule, moved, grad_sq))
    assert all(eta.shape == (1, 1) for eta in etas)
    assert_allclose(np.ravel(etas), expected, rtol=1e-14)


def test_doubling_raises_the_guess_only_if_it_was_exceeded():
    rule = Doubling(5.0, gamma=2.0)
    state = rule.start((1, 2))
    rule.observe(state, np.array([[3.0, 4.0]]), np.zeros((1, 1)), 1, 1)
    assert rule.propose(state, 1, None) == 5.0
    rule.observe(state, np.array([[3.0, 4.000001]]), np.zeros((1, 1)), 1, 2)
    assert rule.propose(state, 1, None) == 10.0


def test_fixed_is_what_the_learner_proposes(tasks):
    rule, eta0 = Fixed(), np.array([[0.1, 0.2]])
    state = rule.start((1, 2))
    rule.observe(state, tasks[0][0], tasks[1][0], 9, 1)
    assert_array_equal(rule.propose(state, 9, eta0), eta0)


def test_authors_settings_are_the_defaults():
    assert Doubling().get_params() == {"radius": 0.1, "gamma": 1.1, "lipschitz": 1.0}


# ---- the rules as objects


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_parameters_clone_and_repr(rule):
    copy = clone(rule)
    assert copy is not rule
    assert copy.get_params() == rule.get_params()
    assert (
        type(rule)().set_params(**rule.get_params()).get_params() == copy.get_params()
    )
    assert eval(repr(rule)).get_params() == rule.get_params()


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_rule_holds_nothing_but_parameters(rule, data):
    X, y, tasks = data
    before = vars(rule).copy()
    model = FMRLRegressor(step_size=rule).fit(X, y, tasks=tasks)
    assert model.step_size is rule
    assert vars(rule) == before


# ---- the rules at work: recomputed from the history, distances and gradients given


@pytest.mark.parametrize("rule", [r for r in ARUBAS if not r.per_coordinate], ids=repr)
def test_isotropic_step_sizes_of_a_fit(rule, data):
    X, y, tasks = data
    model = FMRLRegressor(step_size=rule).fit(X, y, tasks=tasks)
    history = model.history_
    s = np.arange(1, len(history) + 1)
    fading = 1 / (s + 1.0) ** rule.p
    half, b, g = 0.5 if rule.balance else 1.0, [rule.eps**2], [rule.zeta**2]
    for row, part in zip(history, fading, strict=True):
        kept = 1 - rule.decay
        b.append(kept * b[-1] + row["distance"] ** 2 / 2 + rule.eps**2 * part)
        g.append(kept * g[-1] + half * row["grad_sq_norm"] + rule.zeta**2 * part)
    expected = np.sqrt(np.divide(b, g))
    assert_allclose(history["step_size"], expected[:-1])
    assert_allclose(model.step_size_, expected[-1])


def test_doubling_step_sizes_of_a_fit(data):
    X, y, tasks = data
    model = FMRLRegressor(step_size=Doubling(0.2, gamma=1.3, lipschitz=0.5))
    history = model.fit(X, y, tasks=tasks).history_
    D, exceeded = 0.2, []
    for row in history:
        assert row["step_size"] == pytest.approx(2 * D / row["n_samples"] ** 0.5)
        exceeded.append(row["distance"] > D)
        D *= 1.3 if exceeded[-1] else 1.0
    assert set(exceeded) == {False, True}
    assert model.step_size_ == pytest.approx(2 * D / history["n_samples"][-1] ** 0.5)


def test_per_coordinate_step_sizes_of_a_fit(data):
    """Tasks that do not differ in a coordinate, and have no gradient there."""
    X, y, tasks = data
    X = np.column_stack([X, np.zeros(len(X))])
    rule = ARUBA(per_coordinate=True)
    model = FMRLRegressor(step_size=rule, standardize=False).fit(X, y, tasks=tasks)
    assert model.step_size_.shape == (1, 5)
    assert_allclose(model.step_size_[0, 3], 1.0)  # eps / zeta, for ever
    assert not np.isclose(model.step_size_[0, [0, 1, 2, 4]], 1.0).any()


@pytest.mark.parametrize(
    "learning_rate, expected",
    [("constant", [0.2, 0.2]), ("invsqrt", [0.2 / 2, 0.2 / 3])],
)
@pytest.mark.parametrize("step_size", ["fixed", Fixed()], ids=repr)
def test_fixed_is_the_inner_learners_own(step_size, learning_rate, expected):
    inner = OGDRegressor(eta0=0.2, learning_rate=learning_rate)
    X, y, tasks = np.ones((13, 1)), np.ones(13), [0] * 4 + [1] * 9
    model = FMRLRegressor(inner, step_size=step_size).fit(X, y, tasks=tasks)
    assert_allclose(model.history_["step_size"], expected)
    assert model.step_size_ == pytest.approx(expected[-1])


def test_fixed_takes_one_step_size_per_parameter():
    inner = OGDRegressor(eta0=[0.1, 0.2, 0.3])
    model = FMRLRegressor(inner, step_size="fixed").partial_fit([[1.0, 2.0]], [1.0])
    assert_array_equal(model.step_size_, [[0.1, 0.2, 0.3]])
    assert model.history_["step_size"] == pytest.approx([0.2])


@pytest.mark.parametrize(
    "name, rule",
    [*NAMES.items(), (0.3, Fixed(0.3)), (2, Fixed(2.0))],
)
def test_a_name_or_a_number_is_resolved_to_an_object(name, rule, data):
    X, y, tasks = data
    by_name = FMRLRegressor(step_size=name).fit(X, y, tasks=tasks)
    by_object = FMRLRegressor(step_size=rule).fit(X, y, tasks=tasks)
    assert_array_equal(by_name.history_, by_object.history_)
    assert_array_equal(by_name.step_size_, by_object.step_size_)


def test_every_name_is_tested():
    assert STEP_SIZES.keys() == NAMES.keys()


# ---- rules of the user's own


class Halving(StepSize):
    """1, 1/2, 1/4, ...: nothing but the three methods of a rule."""

    def start(self, shape):
        return np.ones(1)

    def propose(self, state, n_samples, eta0):
        return state[np.newaxis].copy()

    def observe(self, state, displacement, grad_sq, n_samples, n_tasks):
        state /= 2


class Tamed(ARUBA):
    """A known rule, changed in one method."""

    def propose(self, state, n_samples, eta0):
        return 0.5 * super().propose(state, n_samples, eta0)


def test_a_rule_with_the_three_methods_will_do(data):
    X, y, tasks = data
    model = FMRLRegressor(step_size=Halving()).fit(X, y, tasks=tasks)
    assert_array_equal(model.history_["step_size"], 0.5 ** np.arange(20))
    assert model.step_size_ == 0.5**20


def test_an_overridden_method_of_a_subclass_counts(data):
    X, y, tasks = data
    model = FMRLRegressor(step_size=Tamed()).fit(X, y, tasks=tasks)
    assert model.history_["step_size"][0] == 0.5


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, "adam", [0.1]], ids=repr)
def test_what_is_no_step_size_is_named(value, data):
    X, y, tasks = data
    with pytest.raises(ValueError, match="^The 'step_size' parameter of FMRLRegressor"):
        FMRLRegressor(step_size=value).fit(X, y, tasks=tasks)


class ThreeMethods:
    """What looks like a rule, and does not derive from the base class."""

    start, propose, observe = Halving.start, Halving.propose, Halving.observe


def test_a_rule_derives_from_the_base_class(data):
    X, y, tasks = data
    message = "'step_size'.*derived from skmeta.step_size.StepSize"
    with pytest.raises(TypeError, match=message):
        FMRLRegressor(step_size=ThreeMethods()).fit(X, y, tasks=tasks)


@pytest.mark.parametrize("standardize", [True, False])
def test_a_float_is_the_step_in_the_units_of_the_steps(standardize, data):
    X, y, tasks = data
    model = FMRLRegressor(step_size=0.25, standardize=standardize)
    model.fit(X, y, tasks=tasks)
    assert (model.history_["step_size"] == 0.25).all()
    assert model.step_size_ == 0.25
    assert model.adapt(X[:3], y[:3]).eta0 == 0.25
