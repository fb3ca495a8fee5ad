"""Leaders of both kernels: against each other, a slow solver and closed forms."""

import numpy as np
import pytest
from conftest import load_kernel
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize
from scipy.special import expit

from skmeta._kernels import _leaders_py

SHAPES = [(1, 4), (3, 4), (4, 4), (5, 4), (9, 2), (30, 11), (70, 6), (6, 30)]
ETAS = ["scalar", "by-parameter", "matrix", "arrow", "immovable"]
on_all_shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)
on_all_etas = pytest.mark.parametrize("eta", ETAS)
with_and_without_weights = pytest.mark.parametrize(
    "weighted", [False, True], ids=["plain", "weighted"]
)


@pytest.fixture(params=["compiled", "numpy"])
def leaders(request):
    return load_kernel(request.param, "leaders")


def covariances(eta, n_outputs, p, rng):
    """Of the given kind, in every one of the forms that step sizes have."""
    S = np.tile(0.7 * np.eye(p), (n_outputs, 1, 1))
    if eta == "matrix":
        half = rng.normal(size=(n_outputs, p, p)) / np.sqrt(p)
        return half @ half.transpose(0, 2, 1)
    if eta != "scalar":
        S *= 10.0 ** rng.uniform(-2, 1, (n_outputs, p))[:, np.newaxis]
    if eta == "arrow":
        S[:, -1, :-1] = S[:, :-1, -1] = 0.1 * np.einsum("kii->ki", S)[:, :-1]
        S[:, -1, -1] = 5.0
    if eta == "immovable":
        S[:, 0] = S[:, :, 0] = 0.0
    return S


def make(shape, n_outputs, eta, weighted, seed, scale=1.0):
    """Design, targets, weights, start and covariances of the prior."""
    rng = np.random.default_rng(seed)
    m, p = shape
    design = scale * rng.normal(size=shape)
    design[:, -1] = 1.0
    start = rng.normal(size=(n_outputs, p)) / scale
    scores = design @ (start + rng.normal(size=start.shape) / scale).T
    weight = rng.uniform(0, 2, m) if weighted else np.ones(m)
    weight[1::4] *= not weighted
    targets = scores + rng.normal(size=scores.shape)
    return design, targets, weight, start, covariances(eta, n_outputs, p, rng)


def ridge(module, design, targets, weight, start, S):
    theta, scores, average = (
        start[0].copy(),
        np.empty(len(design)),
        np.empty_like(start),
    )
    root = module.roots(S)[0]
    args = design, targets[:, 0].copy(), weight, theta, root, scores, average[0]
    assert module.ridge_leaders(*args)
    return theta, scores, average[0], root @ root.T


def logistic(module, design, targets, weight, start, S):
    theta, average = start.copy(), np.empty_like(start)
    scores, signs = np.empty(targets.shape), np.where(targets > 0, 1.0, -1.0)
    args = design, signs, weight, theta, module.roots(S), scores, average
    assert module.logistic_leaders(*args)
    return theta, scores, average


def ridge_solution(design, targets, weight, start, S):
    """Closed form, also for a singular S."""
    half = S[0] @ design.T
    spread = (design @ half) * weight + np.eye(len(design))
    residual = targets[:, 0] - design @ start[0]
    return start[0] + (half * weight) @ np.linalg.solve(spread, residual)


def logistic_solution(design, signs, weight, start, S):
    """By a general optimiser, in whitened coordinates."""
    values, vectors = np.linalg.eigh(S)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    b = signs[:, np.newaxis] * design

    def objective(z):
        s = b @ (start + root @ z)
        slope = -weight * expit(-s)
        value = weight @ np.logaddexp(0.0, -s) + 0.5 * z @ z
        return value, (slope @ b) @ root + z

    options = {"gtol": 1e-11, "maxiter": 10_000}
    found = optimize.minimize(
        objective, np.zeros(len(start)), jac=True, method="BFGS", options=options
    )
    return start + root @ found.x


# ---- roots


@on_all_etas
def test_roots(leaders, eta, global_random_seed):
    S = covariances(eta, 3, 6, np.random.default_rng(global_random_seed))
    R = leaders.roots(S)
    assert_allclose(R @ R.transpose(0, 2, 1), S, rtol=1e-13, atol=1e-14)
    still = np.einsum("kii->ki", S) == 0
    assert still.any() == (eta == "immovable")
    assert not R[still].any()


def test_roots_of_singular_matrices_of_any_scale(leaders):
    scale = np.array([1e-9, 1.0, 1e9])
    S = np.outer(scale, scale)[np.newaxis]
    R = leaders.roots(S)
    assert_allclose(R @ R.transpose(0, 2, 1), S, rtol=1e-12)


# ---- the leaders


@on_all_shapes
@on_all_etas
@with_and_without_weights
def test_ridge_is_the_closed_form(leaders, shape, eta, weighted, global_random_seed):
    problem = make(shape, 1, eta, weighted, global_random_seed)
    theta, scores, average, C = ridge(leaders, *problem)
    design, targets, weight, start, S = problem
    path = [
        ridge_solution(design[:i], targets[:i], weight[:i], start, S)
        for i in range(len(design) + 1)
    ]
    close = {"rtol": 1e-9, "atol": 1e-10}
    assert_allclose(theta, path[-1], **close)
    assert_allclose(scores, (design * path[:-1]).sum(axis=1), **close)
    assert_allclose(average, np.mean(path[:-1], axis=0), **close)
    A = (design.T * weight) @ design
    assert_allclose(C, np.linalg.solve(np.eye(len(A)) + S[0] @ A, S[0]), **close)


@on_all_shapes
@on_all_etas
def test_logistic_is_what_an_optimiser_finds(leaders, shape, eta, global_random_seed):
    problem = make(shape, 2, eta, True, global_random_seed)
    theta, scores, _ = logistic(leaders, *problem)
    design, targets, weight, start, S = problem
    signs = np.where(targets > 0, 1.0, -1.0)
    for k in range(2):
        for i in {0, len(design) // 2, len(design)}:
            args = design[:i], signs[:i, k], weight[:i], start[k], S[k]
            leader = logistic_solution(*args)
            if i < len(design):
                assert_allclose(scores[i, k], design[i] @ leader, rtol=1e-6, atol=1e-7)
            else:
                assert_allclose(theta[k], leader, rtol=1e-6, atol=1e-7)


@on_all_shapes
@on_all_etas
def test_logistic_is_stationary(leaders, shape, eta, global_random_seed):
    """The displacement is S times minus the gradient of the losses, to rounding."""
    problem = make(shape, 3, eta, True, global_random_seed)
    theta, _, _ = logistic(leaders, *problem)
    design, targets, weight, start, S = problem
    signs = np.where(targets > 0, 1.0, -1.0)
    pull = (weight[:, np.newaxis] * signs * expit(-signs * (design @ theta.T))).T
    displacement = np.einsum("kpq,kq->kp", S, pull @ design)
    assert_allclose(theta - start, displacement, rtol=1e-10, atol=1e-11)


@on_all_shapes
@on_all_etas
@with_and_without_weights
@pytest.mark.parametrize("n_outputs", [1, 4])
@pytest.mark.parametrize("follow", [ridge, logistic])
def test_kernels_agree(follow, n_outputs, weighted, eta, shape, global_random_seed):
    compiled = load_kernel("compiled", "leaders")
    problem = make(shape, n_outputs, eta, weighted, global_random_seed)
    ours, twin = follow(compiled, *problem), follow(_leaders_py, *problem)
    for a, b in zip(ours, twin, strict=True):
        assert_allclose(a, b, rtol=1e-10, atol=1e-11 * np.abs(b).max())


@pytest.mark.parametrize("follow", [ridge, logistic])
@pytest.mark.parametrize("shape", [(40, 6), (5, 6)], ids=str)
@pytest.mark.parametrize(
    ("scale", "strength"),
    [(1.0, 1e-8), (1.0, 1e8), (1e3, 1.0), (1e3, 1e3), (1e6, 1e-6), (1e6, 1.0)],
)
def test_kernels_agree_in_extremes(follow, shape, scale, strength, global_random_seed):
    """Raw features next to a constant of one, weak and strong pulls, separability."""
    compiled = load_kernel("compiled", "leaders")
    problem = make(shape, 2, "by-parameter", True, global_random_seed, scale)
    problem[-1][:] *= strength
    ours, twin = follow(compiled, *problem), follow(_leaders_py, *problem)
    assert_allclose(ours[1], twin[1], rtol=1e-6, atol=1e-6 * np.abs(twin[1]).max())
    [_, _, _, start, S] = problem
    size = np.sqrt(np.einsum("kii->ki", S))[: np.atleast_2d(ours[0]).shape[0]]
    gap = (np.atleast_2d(ours[0]) - np.atleast_2d(twin[0])) / size
    moved = (np.atleast_2d(twin[0]) - start[: len(size)]) / size
    assert np.abs(gap).max() <= 1e-6 * np.abs(moved).max()


def test_covariance_keeps_its_sign(leaders):
    """Where a difference of covariances would lose it."""
    rng = np.random.default_rng(0)
    design = 1e6 * rng.normal(size=(50, 4))
    problem = design, rng.normal(size=(50, 1)), np.ones(50), np.zeros((1, 4))
    *_, C = ridge(leaders, *problem, 1e6 * np.eye(4)[np.newaxis])
    assert_allclose(C @ (design.T @ design), np.eye(4), rtol=1e-6, atol=1e-6)
    assert np.linalg.eigvalsh(C)[0] > 0


@pytest.mark.parametrize("follow", [ridge, logistic])
def test_repeated_rows_and_constant_features(leaders, follow, global_random_seed):
    design, *rest = make((12, 5), 1, "scalar", False, global_random_seed)
    design[3:] = design[2]
    design[:, 1] = 0.0
    ours = follow(leaders, design, *rest)
    assert_allclose(ours[0].ravel()[1], rest[2][0, 1], rtol=1e-12)
    assert all(np.isfinite(part).all() for part in ours)


@pytest.mark.parametrize("follow", [ridge, logistic])
def test_no_average_is_asked_for(leaders, follow, global_random_seed):
    problem = make((7, 4), 1, "matrix", True, global_random_seed)
    design, targets, weight, start, S = problem
    theta, scores = start.copy(), np.empty((7, 1))
    if follow is ridge:
        args = targets[:, 0], weight, theta[0], leaders.roots(S)[0], scores[:, 0]
        assert leaders.ridge_leaders(design, *args)
    else:
        args = np.where(targets > 0, 1.0, -1.0), weight, theta, leaders.roots(S), scores
        assert leaders.logistic_leaders(design, *args)
    expected = follow(leaders, *problem)
    assert_array_equal(theta.ravel(), expected[0].ravel())
    assert_array_equal(scores.ravel(), expected[1].ravel())


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
@pytest.mark.parametrize("shape", [(9, 4), (3, 4)], ids=str)
def test_numbers_that_are_too_large(leaders, value, shape):
    design, targets, weight, start, S = make(shape, 1, "matrix", False, 0)
    design[1, 0] = value
    scores, roots = np.empty(targets.shape), leaders.roots(S)
    with np.errstate(all="ignore"):
        if not np.isfinite(value):
            args = np.where(targets > 0, 1.0, -1.0), weight, start.copy(), roots, scores
            assert not leaders.logistic_leaders(design, *args)
        args = targets[:, 0], weight, start[0], roots[0], scores[:, 0]
        assert not leaders.ridge_leaders(design, *args)


WRONG = {
    "target": np.ones(4),
    "weight": np.ones(6),
    "theta": np.zeros(3),
    "root": np.eye(3),
    "scores": np.zeros(4),
    "average": np.zeros(3),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("follow", ["ridge", "logistic"])
def test_arrays_that_do_not_fit_together_are_an_error(follow, name):
    compiled = load_kernel("compiled", "leaders")
    arguments = {
        "design": np.ones((5, 2)),
        "target": np.ones(5),
        "weight": np.ones(5),
        "theta": np.zeros(2),
        "root": np.eye(2),
        "scores": np.zeros(5),
        "average": np.zeros(2),
    }

    def call(changes):
        found = arguments | changes
        if follow == "logistic":
            for one in ("target", "scores"):
                found[one] = found[one][:, np.newaxis]
            for one in ("theta", "average", "root"):
                found[one] = found[one][np.newaxis]
        return getattr(compiled, f"{follow}_leaders")(*found.values())

    assert call({})
    with pytest.raises(ValueError, match="do not fit together"):
        call({name: WRONG[name]})


@pytest.mark.parametrize("shape", [(1, 3, 4), (2, 4, 3), (1, 0, 0)])
def test_roots_of_matrices_that_are_not_square_are_an_error(shape):
    with pytest.raises(ValueError, match="must be square"):
        load_kernel("compiled", "leaders").roots(np.ones(shape))
