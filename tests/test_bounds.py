"""Bounds and figures of arrays: each by hand, and each on any data."""

from dataclasses import replace

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import binom
from theory_models import make, model_for
from theory_reference import (
    random_task,
    stack,
    task_parameters,
)

from skmeta import FMRLRegressor
from skmeta.linear_model import OGDRegressor
from skmeta.metrics import (
    follow_the_leader_identity,
    lower_bound_rate,
    regret_bound,
    risk_bound,
    single_task_figure,
    task_similarity,
)

ROUNDING = 1e-11  # relative to the sum of the sizes of all terms of an inequality

seeds = st.integers(0, 2**32 - 1)
scales = st.floats(-2.0, 2.0).map(lambda power: 10.0**power)


# ---- functions of arrays


def test_regret_bound_by_hand():
    assert regret_bound([[1.0, 3.0]], [[0.0, 1.0]], 0.5, 8.0) == (5.0, 2.0)
    each = regret_bound([[1.0, 3.0]], [[0.0, 1.0]], [[0.5, 2.0]], [[8.0, 1.0]])
    assert each == (1.0 + 1.0, 2.0 + 1.0)
    assert regret_bound(2.0, 2.0, 3.0, 0.0) == (0.0, 0.0)


@pytest.mark.parametrize("each", [False, True], ids=["one-step-size", "by-parameter"])
def test_regret_bound_is_the_right_hand_side(each, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    theta, start = rng.normal(size=(2, 3, 4))
    shape = (3, 4) if each else (1, 1)
    eta, grad_sq = rng.uniform(0.1, 9.0, size=(2, *shape))
    terms = [one.tolist() if each else one.item() for one in (eta, grad_sq)]
    expected = reference.certificate(theta.tolist(), start.tolist(), *terms)
    assert_allclose(sum(regret_bound(theta, start, eta, grad_sq)), expected)


def test_identity_by_hand():
    """phi is 1, then 2, then (2 + 3 * 6) / 4 = 5."""
    cost, hindsight, price = follow_the_leader_identity(
        [[2.0], [6.0], [5.0]], weights=[1.0, 3.0, 4.0], start=[1.0]
    )
    assert cost == 0.5 * 1.0 + 1.5 * 16.0 + 0.0
    assert hindsight == 0.5 * 9.0 + 1.5 * 1.0 + 0.0
    assert price == 1.0 / 2.0 * 1.0 + 9.0 / 8.0 * 16.0 + 0.0


@given(
    seed=seeds,
    n_tasks=st.integers(1, 30),
    shape=st.sampled_from([(), (3,), (2, 4)]),
    spread=scales,
    far=scales,
)
def test_identity_of_following_the_leader(seed, n_tasks, shape, spread, far):
    """(G3), exact whatever the parameters, the weights and the start."""
    rng = np.random.default_rng(seed)
    parameters = far * rng.normal(size=shape) + spread * rng.normal(
        size=(n_tasks, *shape)
    )
    weights = 10.0 ** rng.uniform(-1, 1, n_tasks)
    start = rng.normal(size=shape)
    cost, hindsight, price = follow_the_leader_identity(parameters, weights, start)
    assert_allclose(cost, hindsight + price, rtol=1e-9)
    phi, paid = start, 0.0
    for t, theta in enumerate(parameters):
        paid += weights[t] / 2 * ((theta - phi) ** 2).sum()
        phi = np.average(parameters[: t + 1], axis=0, weights=weights[: t + 1])
    assert_allclose(cost, paid, rtol=1e-9)
    for other in (phi, start, phi + spread * rng.normal(size=shape)):
        fixed = sum(weights / 2 @ ((parameters - other) ** 2).reshape(n_tasks, -1))
        assert hindsight <= fixed * (1.0 + 1e-9)
    alike = follow_the_leader_identity(parameters, np.ones(n_tasks), start)
    distances = []
    for t in range(n_tasks):
        phi = parameters[:t].mean(axis=0) if t else start
        distances.append(np.linalg.norm(parameters[t] - phi))
    largest = max(distances) ** 2 / 2 * (1.0 + np.log(n_tasks))
    assert alike[2] <= largest * (1.0 + 1e-9)


@pytest.mark.parametrize("task_parameter", ["last", "average", "optimum"])
@pytest.mark.parametrize("given_start", [False, True], ids=["zero", "given"])
def test_identity_of_a_run(task_parameter, given_start, kernel, global_random_seed):
    """What `history_` says was paid, with the weights of 'ftl'."""
    tasks = make("squared_error", global_random_seed, sizes=(1, 2, 3, 2, 5))
    start = np.array([0.5, -1.0, 2.0]) if given_start else np.zeros(3)
    model = model_for(
        tasks[0],
        task_parameter=task_parameter,
        init=start if given_start else "zero",
    )
    X, y, labels = stack(tasks)
    model.fit(X, y, tasks=labels)
    weights = np.sqrt(model.history_["n_samples"])
    cost, hindsight, price = follow_the_leader_identity(
        task_parameters(model, (1, 3)), weights, start
    )
    assert_allclose(cost, weights / 2 @ model.history_["distance"] ** 2, rtol=1e-10)
    assert_allclose(cost, hindsight + price, rtol=1e-10)


def test_task_similarity_by_hand():
    V, D = task_similarity([[[0.0, 0.0]], [[3.0, 0.0]], [[0.0, 3.0]]])
    assert_allclose(V, np.sqrt((2.0 + 5.0 + 5.0) / 3.0))
    assert_allclose(D, np.sqrt(5.0))
    assert task_similarity([[7.0, 1.0]]) == (0.0, 0.0)
    assert task_similarity([1.0, 5.0]) == (2.0, 2.0)


@given(seed=seeds, scale=scales)
def test_task_similarity_sees_the_spread_only(seed, scale):
    rng = np.random.default_rng(seed)
    parameters = rng.normal(size=(6, 2, 3))
    V, D = task_similarity(parameters)
    assert V <= D <= V * np.sqrt(6)
    moved = task_similarity(scale * (parameters[::-1] + rng.normal(size=(2, 3))))
    assert_allclose(moved, (scale * V, scale * D), rtol=1e-9)


def test_single_task_figure_by_hand():
    optima = [[[3.0], [4.0]], [[-6.0], [8.0]]]
    assert single_task_figure(optima, lipschitz=0.5, n_samples=16) == (20.0, 10.0)


def test_lower_bound_rate_by_hand():
    assert lower_bound_rate(3.0, lipschitz=2.0, n_samples=25) == 30.0


# ---- the risk of a fresh task, (G4)


def test_risk_bound_by_hand():
    """Two tasks, and ln(1 / delta) = 4."""
    assert_allclose(risk_bound([0.5, 1.5], np.exp(-4.0), loss_bound=3.0), 1.0 + 3.0)


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, 1.1, np.nan])
def test_risk_bound_takes_a_probability(delta):
    with pytest.raises(ValueError, match=r"delta must be a probability in \(0, 1\)"):
        risk_bound([0.5], delta, loss_bound=1.0)


@pytest.mark.parametrize(
    "losses", [[], [0.5, -0.1], [0.5, 1.1], [0.5, np.nan]], ids=str
)
def test_risk_bound_takes_bounded_losses(losses):
    with pytest.raises(ValueError, match=r"values in \[0, loss_bound=1.0\].*clip"):
        risk_bound(losses, 0.1, loss_bound=1.0)


def simulate_risk(tasks, inner, delta, seed, n_runs=400, n_tasks=16, **params):
    """How often (G4), and the bare mean, fall below the expected loss.

    Every run draws i.i.d. from `tasks`, all equally long and with losses in [0, 2]. The
    expected loss on a fresh task, from an initialization drawn uniformly from those of
    the run, is exact: the mean over both.
    """
    rng = np.random.default_rng(seed)
    m, d = tasks[0].X.shape
    X, y, labels = stack(tasks)
    params = {"step_size": "fixed", "standardize": False} | params
    model = FMRLRegressor(inner, **params)
    fresh = FMRLRegressor(inner, **params | {"meta_step_size": 0.0})
    expected = {}

    def expected_loss(phi):
        """Mean over all tasks, each started from phi."""
        key = tuple(phi.round(12))
        if key not in expected:
            fresh.set_params(init=phi[:d]).fit(X, y, tasks=labels)
            expected[key] = fresh.history_["loss"].mean()
        return expected[key]

    failures = np.zeros(2, dtype=int)
    for _ in range(n_runs):
        drawn = [tasks[i] for i in rng.integers(len(tasks), size=n_tasks)]
        model.fit(*stack(drawn)[:2], tasks=np.repeat(np.arange(n_tasks), m))
        risks, phi = [], np.zeros(d)
        for theta in model.task_coef_:
            risks.append(expected_loss(phi))
            phi = phi + params["meta_step_size"] * (theta - phi)
        losses = model.history_["loss"]
        risk = np.mean(risks)
        failures += (risk_bound(losses, delta, 2.0) < risk, losses.mean() < risk)
    return failures


@pytest.mark.parametrize("delta", [0.1, 0.4])
@pytest.mark.parametrize("meta_step_size", [0.0, 0.5, 1.0])
def test_risk_bound_fails_no_more_often_than_delta(
    delta, meta_step_size, global_random_seed
):
    """Signs in {-1, 1} and predictions in [-1, 1]: no learner expects less than 1.

    Each task is one sample of x = 1, so that losses are as far apart as B = 2 allows
    once the initialization has an opinion.
    """
    tasks = [
        replace(random_task(np.random.default_rng(0), "absolute_error", 1, 1), y=y)
        for y in (np.array([-1.0]), np.array([1.0]))
    ]
    for task in tasks:
        task.X[:] = 1.0
    inner = OGDRegressor(
        "absolute_error", update="ogd", eta0=3.0, radius=1.0, fit_intercept=False
    )
    params = {"meta_step_size": meta_step_size}
    failed, mean_failed = simulate_risk(
        tasks, inner, delta, global_random_seed, **params
    )
    assert failed <= binom.ppf(1.0 - 1e-9, 400, delta)
    if meta_step_size == 1.0:  # without the deviation there would be no bound, ...
        assert mean_failed > binom.ppf(1.0 - 1e-9, 400, 0.2)
        if delta == 0.4:  # ... and with it there is not too much room
            assert failed > 0


def test_risk_bound_on_tasks_that_can_be_learned(global_random_seed):
    rng = np.random.default_rng(7)
    tasks = []
    for w in ([0.9, 0.1], [0.8, -0.2], [0.7, 0.3], [-0.5, 0.0]):
        X = rng.normal(size=(3, 2))
        X /= np.linalg.norm(X, axis=1)[:, np.newaxis]
        task = random_task(rng, "absolute_error", 3, 2)
        tasks.append(replace(task, X=X, y=X @ w))
    inner = OGDRegressor("absolute_error", eta0=0.3, radius=1.0, fit_intercept=False)
    params = {"meta_step_size": 0.3}
    failed, mean_failed = simulate_risk(
        tasks, inner, 0.2, global_random_seed, n_runs=40, n_tasks=8, **params
    )
    assert failed <= binom.ppf(1.0 - 1e-9, 40, 0.2)
    assert 0 < mean_failed < 40
