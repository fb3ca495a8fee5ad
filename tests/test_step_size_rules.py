"""Step sizes of the ARUBA paper: what they minimise, their regret, steps in a task."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize
from sklearn.base import clone
from theory_models import make, model_for
from theory_reference import FullMatrix as SlowFullMatrix
from theory_reference import (
    last_iterate,
    leading_similarity,
    learn,
    run_task,
    shares,
    similarity_losses,
    stack,
    task_parameters,
    theta_of,
    weighted_similarity,
)

from skmeta import FMRLRegressor
from skmeta._step_matrices import geometric_means
from skmeta.datasets import make_task_regression
from skmeta.linear_model import BiasedRidge, OGDClassifier, OGDRegressor
from skmeta.metrics import regret_report
from skmeta.step_size import ARUBA, EWOO, Doubling, FullMatrix, SimilarityFTL

seeds = st.integers(0, 2**32 - 1)
scales = st.floats(-3.0, 3.0).map(lambda power: 10.0**power)
ROUNDING = 1e-9


# ---- the similarity: eps-FTL and eps-EWOO


def similarities(rule, distances, lengths):
    """v_1..v_T of a rule, of the distances that it observes."""
    state, found = rule.start((1, 2)), []
    for t, (distance, m) in enumerate(zip(distances, lengths, strict=True), start=1):
        eta = rule.propose(state, m, None)
        found.append(eta * rule.lipschitz * np.sqrt(m))
        rule.observe(state, np.array([[0.0, distance]]), None, m, t)
    return np.array(found)


@st.composite
def sequences(draw):
    """eps, D, G, and any distances up to D and lengths, also in adverse orders."""
    eps, diameter, lipschitz = draw(scales), draw(scales), draw(scales)
    T = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(seeds))
    distances = diameter * rng.choice([0.0, 1.0, rng.uniform()], size=T)
    order = draw(st.sampled_from(["any", "rising", "falling", "alternating"]))
    if order == "alternating":
        distances = diameter * np.resize([1.0, 0.0], T)
    elif order != "any":
        distances = np.sort(distances)[:: 1 if order == "rising" else -1]
    lengths = rng.integers(1, draw(st.sampled_from([2, 30])), size=T)
    return eps, diameter, lipschitz, distances, lengths


def regret_of_similarity(v, distances, weights):
    """Over the best fixed v in hindsight: of the losses without eps."""
    paid = weights @ (distances**2 / v + v)
    W = weights.sum()
    best = np.sqrt(weights @ distances**2 / W)
    return paid - 2 * W * best, paid, best, W


@given(case=sequences())
def test_regret_of_ftl(case):
    eps, D, G, distances, lengths = case
    w = G * np.sqrt(lengths)
    v = similarities(SimilarityFTL(eps, lipschitz=G), distances, lengths)
    regret, paid, best, W = regret_of_similarity(v, distances, w)
    growth = (w**2 / np.cumsum(w)).sum()
    price = D**2 / (2 * eps) * max(1, D**2 / eps**2) * growth
    extra = min(eps**2 / best, 2 * eps) if best else 2 * eps
    assert regret <= extra * W + price + ROUNDING * paid


@given(case=sequences())
def test_regret_of_ewoo(case):
    eps, D, G, distances, lengths = case
    w = G * np.sqrt(lengths)
    rule = EWOO(eps, diameter=D, lipschitz=G)
    v = similarities(rule, distances, lengths)
    assert (v >= eps * (1 - 1e-12)).all()
    assert (v <= np.hypot(eps, D) * (1 + 1e-12)).all()
    regret, paid, best, W = regret_of_similarity(v, distances, w)
    price = D * w.max() / 2 * max(1, D**2 / eps**2) * (1 + np.log(len(w) + 1))
    extra = min(eps**2 / best, 2 * eps) if best else 2 * eps
    assert regret <= extra * W + price + ROUNDING * paid


@given(case=sequences())
def test_similarity_of_ftl_minimises_the_sum_of_the_losses(case):
    eps, _, G, distances, lengths = case
    w = G * np.sqrt(lengths)
    v = similarities(SimilarityFTL(eps, lipschitz=G), distances, lengths)
    assert_allclose(v[0], eps, rtol=1e-14)
    for t in range(1, len(w)):
        assert_allclose(v[t], leading_similarity(distances[:t], w[:t], eps), rtol=1e-9)
        around = v[t] * np.array([0.99, 1.0, 1.01])
        sums = similarity_losses(around, distances[:t], w[:t], eps).sum(axis=-1)
        assert sums.argmin() == 1


@pytest.mark.parametrize(
    ("eps", "diameter", "lipschitz"),
    [(0.3, 1.0, 2.0), (0.05, 4.0, 1.0), (2.0, 0.5, 0.1)],
)
@pytest.mark.parametrize("n_tasks", [1, 12, 300])
def test_similarity_of_ewoo_is_the_mean_of_the_density(
    eps, diameter, lipschitz, n_tasks, global_random_seed
):
    """Also if a distance exceeds the diameter, when the mode is outside."""
    rng = np.random.default_rng(global_random_seed)
    rule = EWOO(eps, diameter=diameter, lipschitz=lipschitz)
    lengths = rng.integers(1, 20, size=n_tasks + 1)
    w = lipschitz * np.sqrt(lengths)
    for largest in (1.0, 3.0):
        distances = diameter * rng.uniform(0, largest, size=n_tasks + 1)
        v = similarities(rule, distances, lengths)[-1]
        before = distances[:-1], w[:-1]
        slow = weighted_similarity(*before, eps, diameter, w[-1])
        assert_allclose(v, slow, rtol=1e-7)


@pytest.mark.parametrize("n_tasks", [1e3, 1e9, 1e15])
@pytest.mark.parametrize("distance", [0.0, 0.4, 1.0])
def test_ewoo_neither_under_nor_overflows(n_tasks, distance):
    """The sums of n equal tasks: the density is ever narrower about its mode."""
    rule = EWOO(0.1, diameter=1.0)
    state = n_tasks * np.array([distance**2 + 0.01, 1.0, 1.0 / n_tasks])
    v = rule.propose(state, 1, None)
    mode = np.hypot(0.1, distance)
    assert abs(v - mode) < 30 / np.sqrt(n_tasks)


def test_first_similarity_of_ewoo_is_the_middle():
    v = EWOO(0.3, diameter=0.4).propose(np.zeros(3), 1, None)
    assert v == pytest.approx((0.3 + 0.5) / 2)


# ---- balance


@given(seed=seeds, n_tasks=st.integers(1, 20), scale=scales)
def test_balance_minimises_the_sum_of_the_bounds(seed, n_tasks, scale):
    """(G1) of the tasks so far and of the priors; the published sums are not least."""
    rng = np.random.default_rng(seed)
    moved = scale * rng.normal(size=(n_tasks, 1, 3))
    squares = rng.exponential(size=(n_tasks, 1, 1))
    for balance in (True, False):
        rule = ARUBA(0.3, zeta=0.7, balance=balance)
        state = rule.start((1, 3))
        for t in range(n_tasks):
            rule.observe(state, moved[t], squares[t], 9, t + 1)
        eta = float(rule.propose(state, 9, None)[0, 0])
        priors = 1 + (1 / np.arange(2.0, n_tasks + 2)).sum()

        def bounds(eta, priors=priors):
            of_tasks = (moved**2).sum() / (2 * eta) + eta / 2 * squares.sum()
            return of_tasks + priors * (0.3**2 / eta + 0.7**2 * eta)

        slope = (bounds(eta * (1 + 1e-4)) - bounds(eta * (1 - 1e-4))) / bounds(eta)
        if balance:
            assert abs(slope) < 1e-8
        else:
            assert slope < -1e-8  # a longer step would have been better


# ---- the full matrix


def random_spd(rng, p, spread=2.0):
    basis, _ = np.linalg.qr(rng.normal(size=(p, p)))
    return (basis * 10.0 ** rng.uniform(-spread, spread, size=p)) @ basis.T


@given(seed=seeds, p=st.integers(1, 4))
def test_geometric_mean_solves_its_equation(seed, p):
    rng = np.random.default_rng(seed)
    B, G = random_spd(rng, p)[None], random_spd(rng, p)[None]
    [H] = geometric_means(B, G)
    assert_allclose(H, H.T)
    assert np.linalg.eigvalsh(H)[0] > 0
    assert_allclose(H @ G[0] @ H, B[0], atol=1e-8 * np.abs(B).max())
    assert_allclose(H, SlowFullMatrix.mean(B[0], G[0]), atol=1e-6 * np.abs(H).max())


def test_full_matrix_is_a_minimiser(global_random_seed):
    """tr(inv(H) B) / 2 + tr(H G) / 2, by a general optimiser over triangles."""
    rng = np.random.default_rng(global_random_seed)
    p = 3
    B, G = random_spd(rng, p, 1.0), random_spd(rng, p, 1.0)
    lower = np.tril_indices(p)

    def value(v):
        L = np.zeros((p, p))
        L[lower] = v
        H = L @ L.T + 1e-12 * np.eye(p)
        return (np.trace(np.linalg.solve(H, B)) + np.trace(H @ G)) / 2

    [H] = geometric_means(B[None], G[None])
    found = optimize.minimize(value, np.eye(p)[lower], method="BFGS", tol=1e-10)
    at_mean = value(np.linalg.cholesky(H)[lower])
    assert at_mean <= found.fun * (1 + 1e-9)
    assert_allclose(at_mean, found.fun, rtol=1e-6)


def test_geometric_mean_of_nearly_singular_sums():
    """Squared gradients that exceed the prior by 10**20, in one direction only."""
    g = 1e10 * np.array([1.0, 1.0, 0.0])
    G = np.eye(3) + np.outer(g, g)
    [H] = geometric_means(np.eye(3)[None], G[None])
    assert_allclose(H[2], [0.0, 0.0, 1.0], atol=1e-9)
    assert (np.diag(H) > 0).all()


def test_full_matrix_that_is_diagonal_is_one_step_per_parameter():
    """One coordinate moves and has gradients per task: the matrices stay diagonal."""
    matrix, each = FullMatrix(0.5, zeta=2.0), ARUBA(0.5, zeta=2.0, per_coordinate=True)
    states = [rule.start((2, 3)) for rule in (matrix, each)]
    rng = np.random.default_rng(0)
    for t in range(9):
        moved, squares = np.zeros((2, 3)), np.zeros((2, 3))
        moved[:, t % 3], squares[:, t % 3] = rng.normal(size=2), rng.exponential(size=2)
        outer = squares[:, :, None] * np.eye(3)
        matrix.observe(states[0], moved, outer, 4, t + 1)
        each.observe(states[1], moved, squares, 4, t + 1)
    H, eta = matrix.propose(states[0], 4, None), each.propose(states[1], 4, None)
    assert_allclose(H, eta[:, :, None] * np.eye(3), rtol=1e-12, atol=1e-15)


UPDATES = ["ogd", "implicit", "ftrl"]
CASES = [(update, "huber", 0) for update in UPDATES]
CASES += [(update, "log_loss", n_classes) for update in UPDATES for n_classes in (2, 3)]
CASES += [("full_loss", "squared_error", 0)]


@pytest.mark.parametrize(("update", "loss", "n_classes"), CASES)
@pytest.mark.parametrize("meta_batch_size", [1, 3])
@pytest.mark.usefixtures("kernel")
def test_full_matrix_against_the_formulas(
    update, loss, n_classes, meta_batch_size, global_random_seed
):
    tasks = make(loss, global_random_seed, n_classes=n_classes or 2, sizes=(3, 2, 4, 3))
    rule = FullMatrix(0.3, zeta=2.0, p=0.5)
    options = {"step_size": rule, "meta_batch_size": meta_batch_size}
    if update == "full_loss":
        model = FMRLRegressor(BiasedRidge(), standardize=False, **options)
    else:
        model = model_for(tasks[0], inner={"update": update}, **options)
    X, y, labels = stack(tasks)
    model.fit(X, y, tasks=labels)
    shape = tasks[0].shape
    slow = SlowFullMatrix(0.3, 2.0, 0.5, shape)
    expected = learn(
        tasks,
        np.zeros(shape),
        slow,
        shares("ftl"),
        batch_size=meta_batch_size,
        update=update,
        parameter=last_iterate,
    )
    close = {"rtol": 1e-7, "atol": 1e-8}
    assert_allclose(task_parameters(model, shape), expected.parameters, **close)
    assert_allclose(theta_of(model), expected.phi, **close)
    diagonals = np.einsum("kpp->kp", slow.propose(1))
    assert_allclose(model.step_size_, diagonals, **close)
    squares = [run.squares.sum() for run in expected.runs]
    assert_allclose(model.history_["grad_sq_norm"], squares, **close)


@pytest.mark.parametrize("update", ["ogd", "implicit", "ftrl"])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
def test_regret_in_the_norm_of_the_matrix(update, standardize, loss):
    """(G1) of every task, as the report computes it."""
    X, y, tasks = make_task_regression(15, (2, 8), 3, random_state=0)
    inner = OGDRegressor(loss, update=update)
    rule = FullMatrix(0.1, zeta=3.0)
    model = FMRLRegressor(inner, step_size=rule, standardize=standardize)
    report = regret_report(model, X, y, tasks)
    assert report.covered
    assert (report.regret <= report.bound * (1 + ROUNDING)).all()
    assert report.regret.max() > 0


@given(seed=seeds, scale=scales)
@pytest.mark.parametrize("update", ["ogd", "implicit", "ftrl"])
def test_regret_of_one_learner_with_a_matrix(update, seed, scale):
    """(G1) against any parameter."""
    rng = np.random.default_rng(seed)
    H = random_spd(rng, 3, 1.0)
    X, y = rng.normal(size=(6, 2)), scale * rng.normal(size=6)
    model = OGDRegressor("absolute_error", update=update, eta0=H).fit(X, y)
    for size in (0.0, 0.1, 1.0, 10.0):
        theta = size * scale * rng.normal(size=3)
        regret = model.losses_.sum() - np.abs(X @ theta[:2] + theta[2] - y).sum()
        distance = theta @ np.linalg.solve(H, theta) / 2
        bound = distance + np.trace(H @ model.grad_sq_[0]) / 2
        assert regret <= bound + 1e-9 * (model.losses_.sum() + bound)


def test_adapted_model_keeps_the_matrix():
    X, y, tasks = make_task_regression(15, (2, 8), 3, random_state=0)
    model = FMRLRegressor(step_size="full_matrix").fit(X, y, tasks=tasks)
    adapted = model.adapt(X[:4], y[:4])
    assert adapted.eta0.shape == (1, 4, 4)
    assert_allclose(np.diag(adapted.eta0[0]), model.step_size_[0])
    twin = pickle.loads(pickle.dumps(adapted))
    for one in (adapted, twin):
        one.partial_fit(X[4:9], y[4:9])
    assert_array_equal(adapted.coef_, twin.coef_)


@pytest.mark.parametrize("n_features", [2, 3])
def test_matrices_of_as_many_classes_as_parameters(n_features):
    """A matrix per class is told from a step per parameter by its dimensions."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, n_features)), np.arange(12) % 3
    H = np.array([random_spd(rng, n_features + 1, 0.5) for _ in range(3)])
    model = OGDClassifier(eta0=H).fit(X, y)
    assert model.grad_sq_.shape == H.shape
    norms = np.einsum("kpp->", model.grad_sq_)
    assert model.grad_sq_norm_ == pytest.approx(norms)
    each = OGDClassifier(eta0=np.full((3, n_features + 1), 0.2)).fit(X, y)
    scaled = np.broadcast_to(0.2 * np.eye(n_features + 1), H.shape)
    assert_allclose(OGDClassifier(eta0=scaled).fit(X, y).coef_, each.coef_, rtol=1e-10)


@pytest.mark.parametrize("H", [-np.eye(3), np.tri(3), np.ones((3, 3)) - np.eye(3)])
def test_matrix_that_is_no_step_is_named(H):
    with pytest.raises(ValueError, match="'eta0'.*symmetric and positive definite"):
        OGDRegressor(eta0=H).fit(np.ones((2, 2)), [0.0, 1.0])


# ---- steps that shrink within a task: ARUBA++


SHRINKING = [
    ARUBA(0.5, zeta=2.0, shrink=0.7),
    ARUBA(0.5, zeta=2.0, shrink=3.0, per_coordinate=True, balance=True),
    ARUBA((0.1, 0.5), shrink=1.0),
]


@pytest.mark.parametrize("rule", SHRINKING, ids=repr)
@pytest.mark.parametrize("update", ["ogd", "implicit"])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.usefixtures("kernel")
def test_adapt_shrinks_the_steps(rule, update, loss, global_random_seed):
    """Sample by sample, over `adapt` and two later calls, against the reference."""
    *tasks, new = make(loss, global_random_seed, n_classes=3, sizes=(4, 3, 5))
    model = model_for(tasks[0], inner={"update": update}, step_size=rule)
    X, y, labels = stack(tasks)
    model.fit(X, y, tasks=labels)
    still = clone(model).set_params(step_size__shrink=0.0).fit(X, y, tasks=labels)
    for name in ("coef_", "step_size_", "history_", "task_coef_"):
        assert_array_equal(getattr(model, name), getattr(still, name))

    state = model._learned.rule_state
    b, g = state[rule.leader(state), :2] if np.ndim(rule.eps) else state
    theta = theta_of(model)
    for i in range(len(new.y)):
        row = new.rows([i])
        eta = np.sqrt(b / g)
        run = run_task(row, theta, eta, update)
        theta = run.last
        squares = run.squares if rule.per_coordinate else run.squares.sum()
        g = g + rule.shrink * squares
    m = len(new.y) // 3
    adapted = model.adapt(new.X[:m], new.y[:m])
    before = theta_of(adapted)
    adapted.partial_fit(new.X[m : 2 * m], new.y[m : 2 * m])
    adapted = pickle.loads(pickle.dumps(adapted))
    adapted.partial_fit(new.X[2 * m :], new.y[2 * m :])
    assert_allclose(theta_of(adapted), theta, rtol=1e-9, atol=1e-12)
    assert not np.allclose(before, theta)
    constant = still.adapt(new.X, new.y)
    assert not np.allclose(theta_of(constant), theta)


def test_shrinking_steps_in_units_and_over_passes():
    """In units; the squares of all passes count."""
    X, y, tasks = make_task_regression(20, 6, 3, random_state=0)
    inner = OGDRegressor(max_iter=3)
    rule = ARUBA(shrink=2.0)
    model = FMRLRegressor(inner, step_size=rule).fit(X, y, tasks=tasks)
    adapted = model.adapt(X[:6], y[:6])
    coordinates = adapted._coordinates
    inside, targets = coordinates.features(X[:6]), (y[:6] - coordinates.offset)
    targets = targets / coordinates.unit
    theta = coordinates.to_units(np.append(model.coef_, model.intercept_)[None])
    b, g = model._learned.rule_state
    for i in [*range(6)] * 3:
        eta, x = np.sqrt(b / g).item(), np.append(inside[i], 1.0)
        gradient = (theta[0] @ x - targets[i]) * x
        theta = theta - eta * gradient / (1 + eta * x @ x)  # implicit, squared error
        g = g + rule.shrink * gradient @ gradient
    assert_allclose(theta_of(adapted), coordinates.to_raw(theta), rtol=1e-9)


def test_fit_of_an_adapted_model_starts_again():
    """Without the learned rule: with its step size, which is constant then."""
    X, y, tasks = make_task_regression(20, 6, 3, random_state=0)
    model = FMRLRegressor(step_size=ARUBA(shrink=2.0)).fit(X, y, tasks=tasks)
    adapted = model.adapt(X[:6], y[:6])
    plain = OGDRegressor(eta0=adapted.eta0).fit(X[:6], y[:6])
    assert_allclose(adapted.fit(X[:6], y[:6]).coef_, plain.coef_)


def test_failing_call_leaves_the_sum_of_squares():
    X, y, tasks = make_task_regression(20, 6, 3, random_state=0)
    model = FMRLRegressor(step_size=ARUBA(shrink=2.0)).fit(X, y, tasks=tasks)
    adapted = model.adapt(X[:6], y[:6])
    twin = copy.deepcopy(adapted)
    with pytest.raises(ValueError, match="NaN|infinity|large"):
        adapted.partial_fit(1e200 * X[:3], y[:3])
    for one in (adapted, twin):
        one.partial_fit(X[6:9], y[6:9])
    assert_array_equal(adapted.coef_, twin.coef_)


# ---- doubling


def test_doubling_with_averages_of_short_tasks_never_doubles():
    """Five steps of gradients up to G move their average by less than the guess."""
    X, y, tasks = make_task_regression(10, 5, 3, task_std=5.0, random_state=0)
    X /= np.linalg.norm(X, axis=1, keepdims=True)  # sqrt(2) with the constant feature
    G = np.sqrt(2)
    options = {"step_size": Doubling(lipschitz=G), "standardize": False}
    inner = OGDRegressor("absolute_error", update="ogd")
    model = FMRLRegressor(inner, task_parameter="average", **options)
    model.fit(X, y, tasks=tasks)
    assert (model.history_["distance"] < 0.1).all()
    assert model.step_size_ == pytest.approx(0.1 / (G * np.sqrt(5)))
    model = FMRLRegressor(inner, task_parameter="optimum", **options)
    model.fit(X, y, tasks=tasks)
    assert model.step_size_ == pytest.approx(1.1**10 * 0.1 / (G * np.sqrt(5)))
