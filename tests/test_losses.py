"""Losses against scikit-learn's, and their slopes and proximal steps by definition."""

import numpy as np
import pytest
import reference
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq
from sklearn._loss import loss as sklearn_loss
from sklearn.linear_model import SGDClassifier, _sgd_fast

from skmeta._losses import (
    CLASSIFICATION_LOSSES,
    LOSSES,
    POSITIVE_PROBABILITY,
    REGRESSION_LOSSES,
    class_probabilities,
)

EPSILON, QUANTILE = 0.3, 0.8
CASES = [
    pytest.param(cls(QUANTILE if name in ("pinball", "quantile") else EPSILON), id=name)
    for name, cls in sorted((REGRESSION_LOSSES | CLASSIFICATION_LOSSES).items())
]
# Where the definition of a loss changes, in terms of its argument s.
KINKS = (-1.0, -EPSILON, 0.0, EPSILON, 1.0)
GRID = np.union1d(np.linspace(-30.0, 30.0, 601), KINKS)

each_loss = pytest.mark.parametrize("loss", CASES)
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
        for y in ([-1.0, 1.0] if loss.is_margin else [-1.0, 0.0, 1.0])
    ],
)
def test_value_and_derivative_are_those_of_scikit_learn(name, loss, y):
    targets = np.full_like(GRID, y)
    values, derivatives = SKLEARN[name](targets, GRID)
    s = loss.argument(targets, GRID)
    assert_allclose(loss.value(s), values, rtol=1e-14, atol=1e-15)
    assert_allclose(loss.slope(s) * loss.chain(targets), derivatives, rtol=1e-14)


def test_every_loss_has_the_code_of_its_place():
    named = set(REGRESSION_LOSSES.values()) | set(CLASSIFICATION_LOSSES.values())
    assert named == set(LOSSES)
    assert [loss.code for loss in LOSSES] == list(range(len(LOSSES)))
    assert not any(loss.is_margin for loss in REGRESSION_LOSSES.values())
    assert all(loss.is_margin for loss in CLASSIFICATION_LOSSES.values())


@each_loss
def test_slope_is_the_derivative(loss):
    step = 1e-6
    s = GRID[np.abs(GRID[:, np.newaxis] - KINKS).min(axis=1) > step]
    numerical = (loss.value(s + step) - loss.value(s - step)) / (2 * step)
    assert_allclose(loss.slope(s), numerical, rtol=1e-7, atol=2e-8)


@each_loss
@given(s=arguments, t=arguments)
@pytest.mark.parametrize("kink", [None, *KINKS], ids=lambda kink: f"from {kink}")
def test_tangents_lie_below_the_loss(loss, kink, s, t):
    s = s if kink is None else kink
    rounding = 1e-15 * (
        1.0 + loss.value(s) + loss.value(t) + abs(loss.slope(s) * (t - s))
    )
    assert loss.value(t) >= loss.value(s) + loss.slope(s) * (t - s) - rounding


@each_loss
@given(
    s=arguments,
    log_q=st.floats(-6.0, 6.0),
    weight=st.floats(0.01, 100.0),
)
@example(s=-19.0, log_q=0.0, weight=23.0)  # where Newton's method may run in circles
def test_proximal_slope_leads_to_the_minimum(loss, s, log_q, weight):
    """t = s - q v is where (t - s)**2 / (2 q) + weight f(t) stops to fall."""
    q = 10.0**log_q

    def slope(t):
        return (t - s) / q + weight * float(loss.slope(t))

    first = weight * float(loss.slope(s))
    ends = sorted([s - q * first, s - q * weight * float(loss.slope(s - q * first))])
    margin = 1e-9 * (1.0 + abs(ends[0]) + abs(ends[1]))
    t = brentq(slope, ends[0] - margin, ends[1] + margin, rtol=1e-14, maxiter=10_000)
    v = loss.proximal_slope(s, q, weight)
    assert_allclose(s - q * v, t, rtol=1e-11, atol=1e-11 * (1.0 + abs(s)))


@each_loss
@given(
    s=st.floats(-1e6, 1e6),
    log_q=st.floats(-300.0, 300.0),
    weight=st.floats(1e-3, 1e3),
)
def test_proximal_step_goes_the_way_of_the_explicit_one_and_not_farther(
    loss, s, log_q, weight
):
    v = float(loss.proximal_slope(s, 10.0**log_q, weight))
    explicit = weight * float(loss.slope(s))
    assert abs(v) <= abs(explicit) * (1 + 1e-12) or abs(s) in KINKS
    assert v * explicit >= 0 or abs(s) in KINKS


@each_loss
def test_small_proximal_step_is_the_explicit_one(loss):
    s = GRID[np.abs(GRID[:, np.newaxis] - KINKS).min(axis=1) > 1e-6]
    assert_allclose(loss.proximal_slope(s, 1e-12, 2.0), 2.0 * loss.slope(s), rtol=1e-10)


@each_loss
def test_arrays_are_treated_entry_by_entry(loss):
    s, q = GRID[::50], np.linspace(0.1, 3.0, len(GRID[::50]))
    for array, entries in [
        (loss.value(s), [loss.value(one) for one in s]),
        (loss.slope(s), [loss.slope(one) for one in s]),
        (
            loss.proximal_slope(s, q, 0.7),
            [loss.proximal_slope(*one, 0.7) for one in zip(s, q, strict=True)],
        ),
    ]:
        assert array.shape == s.shape
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
            v = CLASSIFICATION_LOSSES["log_loss"]().proximal_slope(s, q, weight)
            expected = reference.proximal_slope(slope, 1.0, s, q, weight)
            assert_allclose(v, expected, rtol=1e-8, atol=1e-300, err_msg=f"q={q}")


@pytest.mark.parametrize("s", [-1e300, -800.0, 800.0, 1e300])
def test_log_loss_does_not_overflow(s):
    loss = CLASSIFICATION_LOSSES["log_loss"]()
    assert loss.value(s) == max(-s, 0.0)
    assert_allclose(loss.slope(s), -1.0 if s < 0 else 0.0)
    assert np.isfinite(loss.proximal_slope(s, 1e6, 1.0))


# ---- probabilities


@pytest.mark.parametrize("loss", sorted(POSITIVE_PROBABILITY))
@pytest.mark.parametrize("n_classes", [2, 4])
def test_probabilities_are_those_of_scikit_learn(loss, n_classes, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    X = rng.normal(size=(50, 3))
    model = SGDClassifier(loss=loss).fit(X, np.arange(50) % n_classes)
    model.coef_ = rng.normal(size=model.coef_.shape)
    model.intercept_ = rng.normal(size=model.intercept_.shape)
    scores = model.decision_function(X).reshape(50, -1)
    before = scores.copy()
    probabilities = class_probabilities(loss, scores)
    assert_allclose(probabilities, model.predict_proba(X), rtol=1e-12, atol=1e-15)
    assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-14)
    assert_array_equal(scores, before)


@pytest.mark.parametrize("loss", sorted(POSITIVE_PROBABILITY))
def test_scores_below_everything_give_equal_probabilities(loss):
    scores = np.array([[-1e6, -2e6, -1e6], [3.0, -1e6, -1e6]])
    expected = [[1 / 3, 1 / 3, 1 / 3], [1.0, 0.0, 0.0]]
    assert_array_equal(class_probabilities(loss, scores), expected)


@pytest.mark.parametrize("loss", sorted(POSITIVE_PROBABILITY))
@given(scores=st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3))
def test_probabilities_order_the_classes_as_the_scores(loss, scores):
    (probabilities,) = class_probabilities(loss, np.array([scores]))
    assert (probabilities >= 0).all()
    assert (np.diff(probabilities[np.argsort(scores)]) >= 0).all()
