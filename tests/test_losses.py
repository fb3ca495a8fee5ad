"""Losses against scikit-learn's, and their slopes and proximal steps by definition."""

import numpy as np
import pytest
import reference
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq
from scipy.special import xlogy
from sklearn._loss import loss as sklearn_loss
from sklearn.linear_model import SGDClassifier, _sgd_fast

from skmeta import losses
from skmeta._targets import probabilities
from skmeta.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    Loss,
    MarginLoss,
    ResidualLoss,
)

EPSILON, QUANTILE = 0.3, 0.8
ARGUMENTS = {
    "epsilon_insensitive": [EPSILON],
    "huber": [EPSILON],
    "pinball": [QUANTILE],
    "quantile": [QUANTILE],
}
CASES = [
    pytest.param(cls(*ARGUMENTS.get(name, [])), id=name)
    for name, cls in sorted((REGRESSION_LOSSES | CLASSIFICATION_LOSSES).items())
]
PROBABILISTIC = ["log_loss", "modified_huber"]
# Where the definition of a loss changes, as a function of the residual or margin; with
# the target 1 of a margin loss, and 0 of the others, those are also raw scores.
STEP = 1e-6  # of numerical derivatives
KINKS = (-1.0, -EPSILON, 0.0, EPSILON, 1.0)
GRID = np.union1d(np.linspace(-30.0, 30.0, 601), KINKS)

each_loss = pytest.mark.parametrize("loss", CASES)


def unit_target(loss):
    """The target for which the raw score is the residual or the margin."""
    return 1.0 if loss.is_margin else 0.0


def each_target(loss):
    if loss.lowest_target == 0.0:
        return [0.0, 1.0, 7.0]
    return [-1.0, 1.0] if loss.is_margin else [-1.0, 0.0, 1.5]


def grid_of(loss):
    """Residuals, margins or scores at which the loss does not overflow."""
    return GRID if loss.is_margin or loss.is_residual else GRID[GRID < 12.0]


arguments = st.floats(-50.0, 50.0)


def from_arrays(loss):
    """Value and derivative of a loss of `sklearn._loss`, of targets and raw scores."""

    def loss_and_gradient(y, z):
        y, z = np.array(y, dtype=float), np.array(z, dtype=float)
        if isinstance(loss, sklearn_loss.HalfBinomialLoss):
            y = (y + 1) / 2
        return loss.loss_gradient(y_true=y, raw_prediction=z)

    return loss_and_gradient


def from_scalars(loss):
    """The same of a loss of scikit-learn's SGD."""

    def loss_and_gradient(y, z):
        pairs = list(zip(y, z, strict=True))
        values = [loss.py_loss(p, target) for target, p in pairs]
        return np.array(values), np.array([loss.py_dloss(p, t) for t, p in pairs])

    return loss_and_gradient


SKLEARN = {
    "squared_error": from_arrays(sklearn_loss.HalfSquaredError()),
    "huber": from_arrays(sklearn_loss.HuberLoss(delta=EPSILON)),
    "absolute_error": from_arrays(sklearn_loss.AbsoluteError()),
    "epsilon_insensitive": from_scalars(_sgd_fast.EpsilonInsensitive(EPSILON)),
    "pinball": from_arrays(sklearn_loss.PinballLoss(quantile=QUANTILE)),
    "quantile": from_arrays(sklearn_loss.PinballLoss(quantile=QUANTILE)),
    "poisson": from_arrays(sklearn_loss.HalfPoissonLoss()),
    "log_loss": from_arrays(sklearn_loss.HalfBinomialLoss()),
    "hinge": from_scalars(_sgd_fast.Hinge(1.0)),
    "squared_hinge": from_scalars(_sgd_fast.SquaredHinge(1.0)),
    "modified_huber": from_scalars(_sgd_fast.ModifiedHuber()),
}


@pytest.mark.parametrize(
    ("name", "loss", "y"),
    [
        pytest.param(case.id, loss, y, id=f"{case.id}-{y}")
        for case in CASES
        for loss in case.values
        for y in each_target(loss)
    ],
)
def test_value_and_derivative_are_those_of_scikit_learn(name, loss, y):
    """At a kink, scikit-learn's derivative is one-sided; see the test below."""
    z = grid_of(loss)
    targets = np.full_like(z, y)
    values, derivatives = SKLEARN[name](targets, z)
    if name == "poisson":  # scikit-learn leaves out the constant
        values = values + xlogy(y, y) - y
        assert_allclose(loss.value(targets, z), values, rtol=1e-14, atol=1e-13)
    else:
        assert_allclose(loss.value(targets, z), values, rtol=1e-14, atol=1e-15)
    smooth = ~np.isin(z, loss.kinks(np.array([y])))
    actual, desired = loss.slope(targets, z)[smooth], derivatives[smooth]
    assert_allclose(actual, desired, rtol=1e-14, atol=1e-15)


@each_loss
def test_slope_is_zero_at_a_kink_where_zero_is_a_subgradient(loss):
    """A sample without loss moves nothing, explicitly or by a proximal step."""
    y = np.array([unit_target(loss)])  # others would round
    for z in loss.kinks(y):
        below, above = loss.slope(y, z - 1e-6), loss.slope(y, z + 1e-6)
        assert (below <= 0).all() and (above >= 0).all()
        assert_array_equal(loss.slope(y, z), 0.0)
        assert_array_equal(loss.proximal_slope(y, z, 0.7, 2.0), 0.0)


@each_loss
def test_no_slope_is_above_the_lipschitz_constant(loss):
    s = np.linspace(-50.0, 12.0, 400)
    for y in each_target(loss):
        largest = np.abs(loss.slope(y, s)).max()
        assert largest <= loss.lipschitz
        if np.isfinite(loss.lipschitz):
            assert_allclose(largest, loss.lipschitz, rtol=1e-4)


def test_every_name_is_that_of_scikit_learn_and_of_its_kind():
    assert not any(loss.is_margin for loss in REGRESSION_LOSSES.values())
    assert all(loss.is_margin for loss in CLASSIFICATION_LOSSES.values())
    public = {getattr(losses, name) for name in losses.__all__}
    named = {*REGRESSION_LOSSES.values(), *CLASSIFICATION_LOSSES.values()}
    assert public == named | {Loss, ResidualLoss, MarginLoss}


def test_compiled_losses_are_those_of_the_kernel(compiled):
    named = {*REGRESSION_LOSSES.values(), *CLASSIFICATION_LOSSES.values()}
    assert {loss.compiled for loss in named} == compiled.LOSSES
    assert len(compiled.LOSSES) == len(named)


def test_compiled_version_is_not_inherited():
    class Other(losses.Huber):
        def f_value(self, s):
            return 2.0 * super().f_value(s)

    class Renamed(losses.Huber):
        compiled = "huber"

    assert Other(1.0).compiled is None
    assert Renamed(1.0).compiled == "huber"
    assert Loss.compiled is ResidualLoss.compiled is MarginLoss.compiled is None


def smooth_points(loss):
    """Targets, and scores at which numerical derivatives are accurate."""
    s = grid_of(loss)
    s = s[np.abs(s[:, np.newaxis] - KINKS).min(axis=1) > STEP]
    s = s[s < 3.0] if s.max() < GRID.max() else s
    for y in each_target(loss):
        yield y, y * s if loss.is_margin else y * loss.is_residual + s


@each_loss
def test_slope_is_the_derivative(loss):
    for y, z in smooth_points(loss):
        numerical = loss.value(y, z + STEP) - loss.value(y, z - STEP)
        assert_allclose(loss.slope(y, z), numerical / (2 * STEP), rtol=1e-7, atol=2e-8)


@each_loss
def test_curvature_is_the_derivative_of_the_slope(loss):
    for y, z in smooth_points(loss):
        numerical = (loss.slope(y, z + STEP) - loss.slope(y, z - STEP)) / (2 * STEP)
        assert_allclose(loss.curvature(y, z), numerical, rtol=1e-7, atol=2e-8)


@each_loss
def test_slope_jumps_at_kinks_and_nowhere_else(loss):
    y = np.array(each_target(loss))
    kinks = loss.kinks(y)
    assert kinks.shape[1:] == y.shape
    for target, at in zip(y, kinks.T, strict=True):
        candidates = target * np.array(KINKS) if loss.is_margin else target + KINKS
        jumps = [
            z
            for z in candidates
            if abs(loss.slope(target, z + 1e-9) - loss.slope(target, z - 1e-9)) > 1e-3
        ]
        assert_allclose(sorted(at), sorted(jumps), rtol=1e-14)
    assert loss.kinks(y[0]).shape == kinks.shape[:1]


@each_loss
@pytest.mark.parametrize("factor", [1e-3, 0.5, 7.0])
def test_units_of_the_target(loss, factor):
    if loss.degree is None:
        assert not loss.is_residual
        return
    y = 1.5
    scaled = loss.in_units(factor).value(factor * y, factor * GRID)
    assert_allclose(scaled, factor**loss.degree * loss.value(y, GRID), atol=1e-13)


@pytest.mark.parametrize("epsilon", [-0.1, np.inf, np.nan])
@pytest.mark.parametrize("loss", [losses.Huber, losses.EpsilonInsensitive])
def test_width_must_be_a_number(loss, epsilon):
    with pytest.raises(
        ValueError, match=f"'epsilon' parameter of {loss.__name__} .*Go"
    ):
        loss(epsilon)


@pytest.mark.parametrize("quantile", [0.0, 1.0, np.nan])
def test_quantile_must_be_inside(quantile):
    with pytest.raises(ValueError, match="'quantile' parameter of Pinball .* Got"):
        losses.Pinball(quantile)


def test_losses_show_their_parameters():
    assert repr(losses.Huber(0.5)) == "Huber(epsilon=0.5)"
    assert repr(losses.LogLoss()) == "LogLoss()"


# ---- losses of a user's own


class Plain(Loss):
    """Value and slope of another loss, nothing else: the base class adds the rest."""

    def __init__(self, loss):
        self.loss = loss

    def value(self, y, z):
        return self.loss.value(y, z)

    def slope(self, y, z):
        return self.loss.slope(y, z)


@each_loss
@given(s=arguments, log_q=st.floats(-6.0, 6.0), weight=st.floats(0.01, 100.0))
@np.errstate(over="ignore")
def test_proximal_slope_by_default_is_the_closed_form(loss, s, log_q, weight):
    y, q = np.array(each_target(loss)), 10.0**log_q
    actual = Plain(loss).proximal_slope(y, s, q, weight)
    desired = loss.proximal_slope(y, s, q, weight)
    largest = weight * np.abs(loss.slope(y, s)).max() + weight * np.abs(y).max()
    atol = 1e-12 * (largest + abs(s) / q)
    if np.isfinite(loss.lipschitz) or loss.degree or s < 5.0:
        assert_allclose(actual, desired, rtol=1e-9, atol=atol)
    else:  # bisection is as exact as the slope at the start; its end must be there
        end = s - q * desired
        rounding = 1e-14 * (abs(s) + np.abs(end)) * loss.curvature(y, end)
        error = np.abs(desired - weight * loss.slope(y, end))
        assert (
            error <= weight * (rounding + 1e-14 * y) + 1e-13 * np.abs(desired)
        ).all()


def test_what_a_loss_must_define():
    class Empty(ResidualLoss):
        pass

    for name in ("value", "slope", "curvature"):
        with pytest.raises(NotImplementedError, match=f"Empty .*{name}"):
            getattr(Empty(), name)(0.0, 1.0)


def test_loss_with_kinks_is_linear_between_them():
    class Tilted(ResidualLoss):
        kinks_at = (0.0,)

        def f_value(self, s):
            return np.maximum(s, -2.0 * s)

        def f_slope(self, s):
            return np.where(s > 0, 1.0, -2.0)

    assert_array_equal(Tilted().curvature(np.zeros(3), np.ones(3)), np.zeros(3))
    assert_array_equal(Tilted().kinks(np.array([4.0, 5.0])), [[4.0, 5.0]])


@each_loss
@given(s=arguments, t=arguments)
@pytest.mark.parametrize("kink", [None, *KINKS], ids=lambda kink: f"from {kink}")
def test_tangents_lie_below_the_loss(loss, kink, s, t):
    s = s if kink is None else kink
    y = unit_target(loss)
    first, last, rise = loss.value(y, s), loss.value(y, t), loss.slope(y, s) * (t - s)
    assert last >= first + rise - 1e-15 * (1.0 + first + last + abs(rise))


@each_loss
@given(
    s=arguments,
    log_q=st.floats(-6.0, 6.0),
    weight=st.floats(0.01, 100.0),
)
@example(s=-19.0, log_q=0.0, weight=23.0)  # where Newton's method may run in circles
def test_proximal_slope_leads_to_the_minimum(loss, s, log_q, weight):
    """t = s - q v is where (t - s)**2 / (2 q) + weight f(t) stops to fall."""
    y, q = unit_target(loss), 10.0**log_q

    def slope(t):
        return (t - s) / q + weight * float(loss.slope(y, t))

    first = weight * float(loss.slope(y, s))
    second = weight * float(loss.slope(y, s - q * first))
    ends = sorted([s - q * first, s - q * second])
    margin = 1e-9 * (1.0 + abs(ends[0]) + abs(ends[1]))
    t = brentq(slope, ends[0] - margin, ends[1] + margin, rtol=1e-14, maxiter=10_000)
    v = loss.proximal_slope(y, s, q, weight)
    assert_allclose(s - q * v, t, rtol=1e-11, atol=1e-11 * (1.0 + abs(s)))
    if loss.is_margin:
        assert loss.proximal_slope(-y, -s, q, weight) == -v
    elif loss.is_residual:
        shifted = loss.proximal_slope(2.0, s + 2.0, q, weight)
        assert_allclose(shifted, v, rtol=1e-9, atol=1e-9 * (1.0 + 1.0 / q))


@each_loss
@given(
    s=st.floats(-1e6, 1e6),
    log_q=st.floats(-300.0, 300.0),
    weight=st.floats(1e-3, 1e3),
)
def test_proximal_step_has_the_direction_of_the_explicit_one_and_is_not_longer(
    loss, s, log_q, weight
):
    y = unit_target(loss)
    s = s if loss.is_margin or loss.is_residual else min(s, 700.0)
    v = float(loss.proximal_slope(y, s, 10.0**log_q, weight))
    explicit = weight * float(loss.slope(y, s))
    assert abs(v) <= abs(explicit) * (1 + 1e-12) or abs(s) in KINKS
    assert v * explicit >= 0 or abs(s) in KINKS


@each_loss
def test_small_proximal_step_is_the_explicit_one(loss):
    s = grid_of(loss)
    s = s[np.abs(s[:, np.newaxis] - KINKS).min(axis=1) > 1e-6]
    s = s[s < 3.0] if s.max() < GRID.max() else s  # where the step is small
    y = unit_target(loss)
    v = loss.proximal_slope(y, s, 1e-12, 2.0)
    assert_allclose(v, 2.0 * loss.slope(y, s), rtol=1e-10)


@each_loss
def test_arrays_are_treated_entry_by_entry(loss):
    z = grid_of(loss)[::50]
    q = np.linspace(0.1, 3.0, len(z))
    y = np.resize(each_target(loss), z.shape)
    pairs, triples = list(zip(y, z, strict=True)), list(zip(y, z, q, strict=True))
    for array, entries in [
        (loss.value(y, z), [loss.value(*one) for one in pairs]),
        (loss.slope(y, z), [loss.slope(*one) for one in pairs]),
        (loss.curvature(y, z), [loss.curvature(*one) for one in pairs]),
        (
            loss.proximal_slope(y, z, q, 0.7),
            [loss.proximal_slope(*one, 0.7) for one in triples],
        ),
    ]:
        assert array.shape == z.shape
        assert_allclose(array, np.array(entries, dtype=float), rtol=1e-14)


@pytest.mark.parametrize("size", [0.0, 0.5, 5.0, 18.0, 19.0, 44.0, 100.0, 1e3, 1e6])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_proximal_slope_of_the_log_loss_converges(sign, size):
    """The equation v = -weight sigma(q v - s) is solved, however long the step."""
    s = sign * size
    _, slope = reference.make_loss("log_loss")
    factors = np.concatenate([[1e-12, 1e30, 1e100, 1e300], np.geomspace(1e-3, 1e9, 61)])
    for q in np.concatenate([factors, size * np.linspace(0.5, 2.0, 31) + 1e-3]):
        for weight in (1.0, 0.3):
            v = CLASSIFICATION_LOSSES["log_loss"]().proximal_slope(1.0, s, q, weight)
            expected = reference.proximal_slope(slope, 1.0, s, q, weight)
            assert_allclose(v, expected, rtol=1e-8, atol=1e-300, err_msg=f"q={q}")


@pytest.mark.parametrize("s", [-1e300, -800.0, 800.0, 1e300])
def test_log_loss_does_not_overflow(s):
    loss = CLASSIFICATION_LOSSES["log_loss"]()
    assert loss.value(1.0, s) == max(-s, 0.0)
    assert_allclose(loss.slope(1.0, s), -1.0 if s < 0 else 0.0)
    assert np.isfinite(loss.proximal_slope(1.0, s, 1e6, 1.0))


# ---- probabilities


def test_which_losses_have_probabilities():
    for name, loss in CLASSIFICATION_LOSSES.items():
        assert loss.has_probability == (name in PROBABILISTIC)
        if name not in PROBABILISTIC:
            with pytest.raises(
                NotImplementedError, match="does not define probabilities"
            ):
                loss().inverse_link(0.0)
    for name, loss in REGRESSION_LOSSES.items():
        assert not loss.has_probability
        expected = np.exp(3.5) if name == "poisson" else 3.5
        assert loss().inverse_link(3.5) == expected


@pytest.mark.parametrize("loss", PROBABILISTIC)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_probabilities_are_those_of_scikit_learn(loss, n_classes, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    X = rng.normal(size=(50, 3))
    model = SGDClassifier(loss=loss).fit(X, np.arange(50) % n_classes)
    model.coef_ = rng.normal(size=model.coef_.shape)
    model.intercept_ = rng.normal(size=model.intercept_.shape)
    scores = model.decision_function(X).reshape(50, -1)
    before = scores.copy()
    found = probabilities(CLASSIFICATION_LOSSES[loss]().inverse_link(scores))
    assert_allclose(found, model.predict_proba(X), rtol=1e-12, atol=1e-15)
    assert_allclose(found.sum(axis=1), 1.0, rtol=1e-14)
    assert_array_equal(scores, before)


@pytest.mark.parametrize("loss", PROBABILISTIC)
def test_scores_below_everything_give_equal_probabilities(loss):
    scores = np.array([[-1e6, -2e6, -1e6], [3.0, -1e6, -1e6]])
    expected = [[1 / 3, 1 / 3, 1 / 3], [1.0, 0.0, 0.0]]
    found = probabilities(CLASSIFICATION_LOSSES[loss]().inverse_link(scores))
    assert_array_equal(found, expected)


@pytest.mark.parametrize("loss", PROBABILISTIC)
@given(scores=st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3))
def test_probabilities_order_the_classes_as_the_scores(loss, scores):
    (found,) = probabilities(
        CLASSIFICATION_LOSSES[loss]().inverse_link(np.array([scores]))
    )
    assert (found >= 0).all()
    assert (np.diff(found[np.argsort(scores)]) >= 0).all()
