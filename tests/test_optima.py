"""Minimisers of losses with kinks and in balls, on random and degenerate problems."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import optimize
from third_party.count_loss import Poisson

from skmeta import _interior, _solvers
from skmeta.losses import (
    AbsoluteError,
    EpsilonInsensitive,
    Hinge,
    Huber,
    LogLoss,
    ModifiedHuber,
    Pinball,
    ResidualLoss,
    SquaredHinge,
)

seeds = st.integers(0, 2**32 - 1)


class AbsolutePlusSquare(ResidualLoss):
    """A kink and a curvature."""

    is_strict = True
    kinks_at = (0.0,)

    def f_value(self, s):
        return np.abs(s) + 0.5 * s * s

    def f_slope(self, s):
        return np.sign(s) + s

    def f_curvature(self, s):
        return np.ones(np.shape(s))


LINEAR = {
    "absolute": AbsoluteError(),
    "epsilon": EpsilonInsensitive(0.4),
    "no-width": EpsilonInsensitive(0.0),
    "pinball": Pinball(0.3),
    "hinge": Hinge(),
}
OTHERS = {
    "huber": Huber(0.4),
    "log": LogLoss(),
    "modified": ModifiedHuber(),
    "poisson": Poisson(),
    "square": SquaredHinge(),
    "curved-kink": AbsolutePlusSquare(),
}
KINDS = ("normal", "integers", "repeated", "zero-row", "scaled")


def draw(rng, loss, kind, most=8):
    """A task of few rows, and a centre."""
    n, d = int(rng.integers(1, most)), int(rng.integers(1, 6))
    X = rng.normal(size=(n, d))
    if kind == "integers":
        X = rng.integers(-1, 2, size=(n, d)).astype(float)
    elif kind == "repeated":
        X = np.repeat(X, 2, axis=0)[:n]
    elif kind == "zero-row":
        X[rng.integers(n)], X[:, 0] = 0.0, 1.0
    elif kind == "scaled":
        X *= 10.0 ** rng.uniform(-2, 2)
    n_outputs = 1
    if loss.is_margin:
        n_outputs = int(rng.choice([1, 3]))
        y = rng.choice([-1.0, 1.0], n) if n_outputs == 1 else rng.integers(0, 3, n)
    elif isinstance(loss, Poisson):
        y = rng.poisson(3.0, n)
    elif rng.random() < 0.5:
        y = rng.integers(-2, 3, n)  # ties
    else:
        y = 10.0 ** rng.uniform(-1, 1) * rng.normal(size=n)
    weight = None if rng.random() < 0.5 else rng.uniform(0.1, 3.0, n)
    bias = float(rng.random() < 0.7)
    y = np.asarray(y, dtype=float)
    task = _solvers.TaskLoss.of(loss, X, y, weight, n_outputs, bias)
    center = rng.normal(size=(n_outputs, d + 1))
    return task, center * [[1.0] * d + [bias]]


def least_by_linear_program(task):
    """The minimum of a piecewise linear loss, as the maximum of its tangents."""
    total, (m, p) = 0.0, task.design.shape
    for y in task.targets.T:
        kinks = task.loss.kinks(y)
        A, b = [], []
        for at in [*(kinks - 1e-5), *(kinks + 1e-5)]:
            slope = task.loss.slope(y, at)
            A.append(np.hstack([slope[:, np.newaxis] * task.design, -np.eye(m)]))
            b.append(slope * at - task.loss.value(y, at))
        cost = np.append(np.zeros(p), task.weight)
        found = optimize.linprog(
            cost, np.vstack(A), np.concatenate(b), bounds=(None, None)
        )
        total += found.fun
    return total


def size_of(task):
    return float(task.weight @ np.abs(task.loss.kinks(task.targets)).sum(axis=(0, 2)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LINEAR)
@settings(max_examples=10)
@given(seed=seeds)
def test_minimum_is_that_of_a_linear_program(name, kind, seed):
    task, center = draw(np.random.default_rng(seed), LINEAR[name], kind)
    theta = _solvers.optimum(task, center)
    excess = task.value(theta) - least_by_linear_program(task)
    assert abs(excess) <= 1e-7 * (size_of(task) + 1.0)


def certificate(task, theta, radius):
    """An upper bound of L(theta) - min L in the ball, from slopes of the rows.

    L is at least its tangent planes: with subgradients u of the rows and g their sum,
    min L >= L(theta) - <g, theta> - radius ||g||. Subgradients at kinks are chosen by
    least squares, so that the bound is small at a minimiser.
    """
    total = np.zeros_like(theta)
    for k, y in enumerate(task.targets.T):
        z = task.design @ theta[k]
        width = 1e-7 * (1.0 + np.abs(z))
        low, high = (
            task.weight * task.loss.slope(y, z + side * width) for side in (-1.0, 1.0)
        )
        total[k] = low @ task.design
        free = high - low > 1e-3 * task.weight
        if free.any():
            # towards -multiplier * theta, whatever the multiplier
            rest = [total[k][:, np.newaxis], task.design[free].T * (high - low)[free]]
            A = np.hstack([rest[1], theta[[k]].T])
            bounds = ([0.0] * free.sum() + [0.0], [1.0] * free.sum() + [np.inf])
            found = optimize.lsq_linear(A, -rest[0][:, 0], bounds, tol=1e-14)
            total[k] += rest[1] @ found.x[:-1]
    return float(np.vdot(total, theta)) + radius * float(np.linalg.norm(total))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*LINEAR, *OTHERS])
@settings(max_examples=10)
@given(seed=seeds, power=st.floats(-1.5, 1.5))
def test_nothing_in_the_ball_is_better(name, kind, seed, power):
    """A local search from the minimiser, in all directions and to the centre."""
    rng, radius = np.random.default_rng(seed), 10.0**power
    loss = (LINEAR | OTHERS)[name]
    task, center = draw(rng, loss, kind)
    theta = _solvers.optimum(task, center, radius)
    assert np.linalg.norm(theta) <= radius * (1.0 + 1e-12)
    with np.errstate(over="ignore"):
        value = task.value(theta)
        size = abs(value) + abs(task.value(0.0 * theta)) + 1e-4
        size += np.abs(task.targets).sum()
        for step in np.repeat([1e-1, 1e-2, 1e-4], 20):
            move = rng.normal(size=theta.shape)
            other = theta + step * radius * move / np.linalg.norm(move)
            other *= min(1.0, radius / np.linalg.norm(other))
            assert task.value(other) >= value - 1e-7 * size


@pytest.mark.parametrize("radius", [np.inf, 1.0, 10.0])
@pytest.mark.parametrize("name", LINEAR)
@settings(max_examples=15)
@given(seed=seeds)
def test_of_several_minimisers_the_nearest(name, radius, seed):
    """From SLSQP, in the set of parameters that are as good."""
    rng = np.random.default_rng(seed)
    task, center = draw(rng, LINEAR[name], "integers", most=4)
    theta = _solvers.optimum(task, center, radius)
    least = task.value(theta)
    direction = center - theta
    distance = np.linalg.norm(direction)
    # no other minimiser is nearer: not along many paths towards the centre
    for _ in range(40):
        step = rng.choice([1e-1, 1e-2, 1e-3])
        noise = rng.normal(size=theta.shape) * rng.choice([0.0, 0.3])
        other = theta + step * (direction + distance * noise)
        other *= min(1.0, radius / np.linalg.norm(other))
        is_as_good = task.value(other) <= least + 1e-13 * (1.0 + least)
        is_nearer = np.linalg.norm(other - center) < distance * (1 - 1e-5) - 1e-9
        assert not (is_as_good and is_nearer)


def test_nearest_minimiser_by_hand():
    """Between two medians: the centre's projection on the segment of minimisers."""
    X, y = np.zeros((2, 1)), np.array([1.0, 3.0])
    task = _solvers.TaskLoss.of(AbsoluteError(), X, y, None, 1, 1.0)
    for center, expected in ((0.0, 1.0), (2.5, 2.5), (9.0, 3.0)):
        theta = _solvers.optimum(task, np.array([[4.0, center]]))
        assert_allclose(theta, [[4.0, expected]], atol=1e-10)
    theta = _solvers.optimum(task, np.array([[4.0, 2.0]]), radius=2.5)
    # the ball leaves 1.5 for the slope that no row sees: nearest of that circle
    assert_allclose(np.linalg.norm(theta), 2.5, rtol=1e-9)
    grid = np.linspace(1.0, 2.5, 20001)
    points = np.stack([np.sqrt(np.maximum(2.5**2 - grid**2, 0.0)), grid])
    away = np.hypot(points[0] - 4.0, points[1] - 2.0)
    assert_allclose(theta[0], points[:, away.argmin()], atol=1e-3)


@pytest.mark.parametrize("radius", [np.inf, 0.5])
@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_large_tasks_with_a_certificate(name, radius, n_outputs, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    loss = LINEAR[name]
    if n_outputs == 3 and not loss.is_margin:
        pytest.skip("one output for a regression")
    X = rng.normal(size=(200, 20))
    y = X @ rng.normal(size=20) + rng.standard_t(3, size=200)
    if loss.is_margin:
        y = np.sign(y) if n_outputs == 1 else rng.integers(0, 3, 200).astype(float)
    task = _solvers.TaskLoss.of(loss, X, y, None, n_outputs, 1.0)
    pieces, none = _solvers._Pieces.of(task), np.zeros((n_outputs, 21))
    linear = pieces.slope.T @ task.design
    found = _interior.solve(
        _interior.Problem(
            task.design, pieces.kinks, pieces.jumps, linear, none, none, radius
        )
    )
    value = task.value(found.theta)
    assert found.misfit <= 1e-11
    assert found.gap <= 1e-9 * value
    theta = _solvers.optimum(task, none, radius)
    assert task.value(theta) <= value * (1.0 + 1e-12)
    if radius == np.inf:
        assert_allclose(value, least_by_linear_program(task), rtol=1e-8)
    elif n_outputs == 1:
        assert certificate(task, theta, radius) <= 1e-6 * value


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("radius", [np.inf, 0.4])
def test_six_rows_take_milliseconds(name, radius):
    """The best of several runs: other processes use the processor too."""
    rng = np.random.default_rng(0)
    loss, X = LINEAR[name], rng.normal(size=(6, 2))
    y = rng.choice([-1.0, 1.0], 6) if loss.is_margin else rng.normal(size=6)
    task = _solvers.TaskLoss.of(loss, X, y, None, 1, 1.0)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        _solvers.optimum(task, np.zeros((1, 3)), radius)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.02


# ---- whether there is a minimum


def task_of(loss, X, y, n_outputs=1, bias=1.0):
    y = np.asarray(y, dtype=float)
    return _solvers.TaskLoss.of(loss, np.asarray(X, float), y, None, n_outputs, bias)


LINE = [[0.0], [1.0], [2.0], [3.0]]
# name: (task, whether it has a minimum)
MINIMA = {
    "apart": (task_of(LogLoss(), LINE, [-1, -1, 1, 1]), False),
    "mixed": (task_of(LogLoss(), LINE, [-1, 1, -1, 1]), True),
    "touching": (task_of(LogLoss(), [[0.0], [0.0], [1.0]], [-1, 1, 1]), False),
    "one class": (task_of(LogLoss(), LINE, [1, 1, 1, 1]), False),
    "one of three apart": (task_of(LogLoss(), LINE, [0, 1, 0, 2], 3), False),
    "three mixed": (
        task_of(LogLoss(), np.repeat(LINE, 3, axis=0), np.tile([0, 1, 2], 4), 3),
        True,
    ),
    "apart, without an intercept": (
        task_of(LogLoss(), [[-1.0], [1.0]], [-1, 1], bias=0.0),
        False,
    ),
    "mixed, without an intercept": (
        task_of(LogLoss(), [[1.0], [2.0]], [-1, 1], bias=0.0),
        True,
    ),
    "constant columns, mixed": (
        task_of(LogLoss(), [[0.0, 7.0], [1.0, 7.0], [2.0, 7.0]], [-1, 1, -1]),
        True,
    ),
    "constant columns, apart": (
        task_of(LogLoss(), [[0.0, 7.0], [1.0, 7.0], [2.0, 7.0]], [-1, 1, 1]),
        False,
    ),
    "only constants": (task_of(LogLoss(), [[3.0], [3.0], [3.0]], [-1, 1, 1]), True),
    "no count": (task_of(Poisson(), LINE, [0, 0, 0, 0]), False),
    "one count": (task_of(Poisson(), LINE, [0, 0, 0, 5]), False),
    "counts between": (task_of(Poisson(), LINE, [0, 2, 1, 0]), True),
    "counts": (task_of(Poisson(), LINE, [1, 2, 1, 3]), True),
    "squared hinge": (task_of(SquaredHinge(), LINE, [-1, -1, 1, 1]), True),
    "unequal scales, mixed": (
        task_of(
            LogLoss(),
            np.repeat([[1.0, 1.0], [2.0, 1.0], [3.0, 2.0]], 2, axis=0) * [1e6, 1e-6],
            [-1, 1] * 3,
        ),
        True,
    ),
    "unequal scales, one row apart": (
        task_of(
            LogLoss(),
            np.array([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0], [4.0, 2.0]]) * [1e6, 1e-6],
            [-1, 1, -1, 1],
        ),
        False,
    ),
}


@pytest.mark.parametrize("name", MINIMA)
def test_whether_there_is_a_minimum(name):
    task, has_minimum = MINIMA[name]
    center = np.zeros((task.targets.shape[1], task.design.shape[1]))
    if has_minimum:
        theta = _solvers.optimum(task, center)
        slopes = task.loss.slope(task.targets, task.design @ theta.T)
        gradient = (task.weight[:, np.newaxis] * slopes).T @ task.design
        size = np.abs(task.design).sum(axis=0)
        assert (np.abs(gradient) <= 1e-6 * size + 1e-12).all()
    else:
        with pytest.raises(_solvers.NoMinimum, match="has no minimum"):
            _solvers.optimum(task, center)
    theta = _solvers.optimum(task, center, radius=3.0)
    assert np.linalg.norm(theta) <= 3.0 * (1.0 + 1e-12)


@settings(max_examples=60)
@given(seed=seeds, separable=st.booleans())
def test_a_minimum_exists_unless_a_plane_separates(seed, separable):
    """Against the definition: a linear program for a separating direction."""
    rng = np.random.default_rng(seed)
    X = rng.integers(-2, 3, size=(int(rng.integers(2, 9)), 2)).astype(float)
    y = rng.choice([-1.0, 1.0], len(X))
    if separable:
        y = np.where(X @ rng.normal(size=2) > 0, 1.0, -1.0)
    task = task_of(LogLoss(), X, y)
    rows = y[:, np.newaxis] * task.design
    found = optimize.linprog(
        -rows.sum(axis=0), -rows, np.zeros(len(rows)), bounds=[(-1, 1)] * 3
    )
    try:
        _solvers.optimum(task, np.zeros((1, 3)))
        has_minimum = True
    except _solvers.NoMinimum:
        has_minimum = False
    assert has_minimum == (-found.fun < 1e-6)
