"""The compiled loops against their NumPy twin, and both against naive ones.

Data are random and continuous, and no two rows alike, so no residual falls on a kink
where rounding decides which subgradient is taken.
"""

import copy
import pickle
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skmeta import _kernels
from skmeta._kernels import _loops_py
from skmeta.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    ResidualLoss,
    SquaredError,
)

EPSILON, QUANTILE = 0.3, 0.8
ARGUMENTS = {
    "epsilon_insensitive": [EPSILON],
    "huber": [EPSILON],
    "pinball": [QUANTILE],
}
LOSSES = {**REGRESSION_LOSSES, **CLASSIFICATION_LOSSES}
del LOSSES["quantile"]
UPDATES = ["ogd", "implicit"]
# on both sides of a vector and of a block of samples, of outputs, of vectors
WIDTHS = [1, 2, 3, 4, 5, 7, 8, 9, 16, 50, 51, 200]
LENGTHS_OF_BLOCKS = [1, 2, 3, 4, 5, 7, 8, 9]
# kind, state before the first task and parameters
STEP_SIZES = {
    "fixed": ("fixed", [], ()),
    "doubling": ("doubling", [0.3], (1.5, 2.0)),
    "similarity": ("similarity_ftl", [0.0, 0.0], (0.3, 2.0)),
    "similar_before": ("similarity_ftl", [0.5, 2.0], (0.1, 4.0)),
    "isotropic": ("aruba", [0.16, 4.0], (0.4, 2.0, 0.7, 1.0, 1.0)),
    "per_coordinate": ("aruba", [0.25, 2.25], (0.5, 1.5, 0.0, 1.0, 1.0)),
    "balanced": ("aruba", [0.16, 4.0], (0.4, 2.0, 0.7, 0.5, 1.0)),
    "forgetful": ("aruba", [0.16, 4.0], (0.4, 2.0, 0.7, 1.0, 0.8)),
}
META_STEP_SIZES = {
    "ftl": ("ftl", [0.0], ()),
    "after_a_start": ("ftl", [3.5], ()),
    "discounted": ("discounted", [0.0, 0.0], (2.5,)),
    "discounted_after_a_start": ("discounted", [3.5, 0.0], (0.5,)),
    "constant": ("constant", [], (0.7,)),
    "single_task": ("constant", [], (0.0,)),
    "linear": ("linear", [], (0.7, 0.2, 3)),
}
HISTORY = np.dtype(
    [
        ("n_samples", np.int64),
        ("loss", np.float64),
        ("distance", np.float64),
        ("grad_sq_norm", np.float64),
        ("step_size", np.float64),
    ]
)

each_loss = pytest.mark.parametrize("loss", sorted(LOSSES))
each_update = pytest.mark.parametrize("update", UPDATES)


def assert_close(actual, desired, tolerance=1e-12, scale=1.0):
    """Equal up to a tolerance relative to the largest entry, or to the data's scale."""
    scale = np.abs(desired).max(initial=scale)
    assert_allclose(actual, desired, rtol=tolerance, atol=tolerance * scale)


class Batch(NamedTuple):
    """Stacked tasks, as the loop over tasks unpacks them."""

    X: Any
    y: np.ndarray
    sample_weight: np.ndarray | None
    starts: np.ndarray
    order: np.ndarray | None


@dataclass
class Problem:
    """Tasks and an algorithm."""

    batch: Batch
    ogd: SimpleNamespace
    eta0: np.ndarray
    phi: np.ndarray
    loss: str = "squared_error"
    divide_by_root: bool = False
    step_size: str = "fixed"
    meta_step_size: str = "constant"
    average: bool = False
    own: np.ndarray | None = None
    own_index: np.ndarray | None = None
    plan: Any = field(init=False, default=None)

    def eta(self, t):
        """Step size of task t by the learner alone."""
        m = np.diff(self.batch.starts)[t]
        return self.eta0 / np.sqrt(m) if self.divide_by_root else self.eta0

    def rows(self, t):
        rows = np.arange(self.batch.starts[t], self.batch.starts[t + 1])
        return rows if self.batch.order is None else np.sort(self.batch.order[0, rows])

    def task(self, t):
        """X, y, weight and order of task t alone."""
        X, y, weight, starts, order = self.batch
        rows = self.rows(t)
        if order is not None:
            order = np.searchsorted(rows, order[:, starts[t] : starts[t + 1]])
            order = np.ascontiguousarray(order, dtype=np.intp)
        return X[rows], y[rows], None if weight is None else weight[rows], order

    def run_task(self, kernel, t, start=None, eta=None):
        """All that the loop over the samples of task t returns and writes."""
        theta = (self.phi if start is None else start).copy()
        eta = self.eta(t) if eta is None else eta
        losses, average = np.zeros(len(self.rows(t))), np.empty_like(theta)
        grad_sq = np.zeros_like(eta)
        finite = kernel.run_task(
            *self.task(t), self.ogd, theta, eta, losses, average, grad_sq
        )
        return finite, theta, losses, average, grad_sq

    @property
    def etas_shape(self):
        kind = self.step_size
        if kind == "per_coordinate" or (kind == "fixed" and self.eta0.size > 1):
            return self.phi.shape
        return (1, 1)

    def make_plan(self, compiled):
        step_size, _, parameters = STEP_SIZES[self.step_size]
        meta_step_size, _, meta_parameters = META_STEP_SIZES[self.meta_step_size]
        return compiled.Plan(
            self.ogd,
            step_size=step_size,
            step_size_parameters=parameters,
            n_etas=int(np.prod(self.etas_shape)),
            eta0=self.eta0,
            divide_by_root=self.divide_by_root,
            meta_step_size=meta_step_size,
            meta_parameters=meta_parameters,
            average=self.average,
        )

    def start(self, batch=None):
        """The arrays that the loop over tasks writes into, before the first task."""
        n_tasks = len((batch or self.batch).starts) - 1
        shape = self.etas_shape
        state = [np.full(shape, part) for part in STEP_SIZES[self.step_size][1]]
        return {
            "phi": self.phi.copy(),
            "rule_state": np.array(state).reshape(-1, *shape),
            "meta_state": np.array(META_STEP_SIZES[self.meta_step_size][1]),
            "history": np.zeros(n_tasks, HISTORY),
            "parameters": np.zeros((n_tasks, *self.phi.shape)),
        }

    def learn(self, compiled, batch=None):
        """All that the compiled loop over tasks returns and writes, by name."""
        result = self.start(batch)
        result["done"] = self.continue_from(compiled, result, 0, 0, batch)
        return result

    def continue_from(
        self, compiled, state, first, n_tasks, batch=None, grad_sq=None, last=None
    ):
        """Learn from task `first` on, writing into the arrays of `state`."""
        batch = batch or self.batch
        return compiled.learn_tasks(
            batch,
            first,
            len(batch.starts) - 1 if last is None else last,
            self.plan or self.make_plan(compiled),
            *(state[name] for name in ("phi", "rule_state", "meta_state")),
            n_tasks,
            self.own,
            self.own_index,
            state["history"],
            state["parameters"],
            grad_sq,
        )


@np.errstate(over="ignore", invalid="ignore")  # where tasks diverge
def learn_naively(problem, kernel=_loops_py):
    """The loop over tasks from its formulas, on the loop over samples of a kernel."""
    rule, _, numbers = STEP_SIZES[problem.step_size]
    kind, weight_sum, shares = META_STEP_SIZES[problem.meta_step_size]
    phi, rule_state = problem.phi.copy(), problem.start()["rule_state"]
    weight_sum = sum(weight_sum)
    n_tasks = len(problem.batch.starts) - 1
    history, parameters = np.zeros(n_tasks, HISTORY), np.zeros((n_tasks, *phi.shape))
    for t in range(n_tasks):
        m = len(problem.rows(t))
        is_known = problem.own is not None and problem.own_index[t] >= 0
        start = problem.own[problem.own_index[t]] if is_known else phi
        if problem.step_size == "fixed":
            eta = problem.eta(t)
        elif rule == "doubling":
            eta = rule_state[0] / (numbers[1] * np.sqrt(m))
        elif rule == "similarity_ftl":
            mean = (
                rule_state[0] / rule_state[1] if rule_state[1] else 0.0 * rule_state[0]
            )
            eta = np.sqrt(numbers[0] ** 2 + mean) / (numbers[1] * np.sqrt(m))
        else:
            eta = np.sqrt(rule_state[0] / rule_state[1])
        finite, theta, losses, average, grad_sq = problem.run_task(
            kernel, t, start, eta
        )
        if not finite:
            break
        parameters[t] = average if problem.average else theta
        displacement = parameters[t] - phi
        distance = np.linalg.norm(displacement)
        history[t] = (m, losses.mean(), distance, grad_sq.sum(), eta.mean())
        if rule == "doubling":
            rule_state *= numbers[0] if distance > rule_state[0, 0, 0] else 1.0
        elif rule == "similarity_ftl":
            rule_state[0] += numbers[1] * np.sqrt(m) * distance**2
            rule_state[1] += numbers[1] * np.sqrt(m)
        elif rule == "aruba":
            eps, zeta, power, gradients, kept = numbers
            squares = displacement**2 if eta.size > 1 else distance**2
            fading = (t + 2.0) ** power
            rule_state *= kept
            rule_state[0] += eps**2 / fading + 0.5 * squares
            rule_state[1] += zeta**2 / fading + gradients * grad_sq
        if kind == "ftl":
            weight_sum += np.sqrt(m)
            share = np.sqrt(m) / weight_sum
        elif kind == "discounted":
            weight_sum = 2.0 ** (-1.0 / shares[0]) * weight_sum + np.sqrt(m)
            share = np.sqrt(m) / weight_sum
        elif kind == "constant":
            [share] = shares
        else:
            share = shares[0] + min(t / (shares[2] - 1), 1.0) * (shares[1] - shares[0])
        phi += share * displacement
    else:
        t = n_tasks
    return {
        "done": t,
        "phi": phi,
        "rule_state": rule_state,
        "meta_state": np.array(
            {"ftl": [weight_sum], "discounted": [weight_sum, t]}.get(kind, [])
        ),
        "history": history,
        "parameters": parameters,
    }


def assert_learned_alike(actual, desired, tolerance=1e-12):
    for name in HISTORY.names:
        pair = actual["history"][name], desired["history"][name]
        assert_close(*pair, tolerance)
    for name in ("phi", "rule_state", "meta_state", "parameters"):
        assert_close(actual[name], desired[name], tolerance)


def make_ogd(loss, update, **changes):
    """A learner with a bias and no ball, except for the changes."""
    options = {
        "loss": LOSSES[loss](*ARGUMENTS.get(loss, [])),
        "update": update,
        "radius": np.inf,
        "bias": 1.0,
        "max_iter": 1,
    }
    return SimpleNamespace(**options | changes)


def make_order(rng, kind, starts, max_iter):
    """Order in which rows are visited, the same or a new one in each pass."""
    if kind is None:
        return None
    order = rng.permutation(starts[-1])[np.newaxis]
    if kind == "passes":
        order = np.repeat(order, max(1, max_iter - 1), axis=0)
        for one in order:
            for begin, end in zip(starts[:-1], starts[1:], strict=True):
                one[begin:end] = rng.permutation(one[begin:end])
    return order.astype(np.intp)


def make_X(rng, shape, dtype=np.float64, container="dense", zeros=0.3):
    X = rng.normal(size=shape)
    kept = rng.uniform(size=shape) >= zeros
    kept[:, 0] |= ~kept.any(axis=1)
    X = (X * kept).astype(dtype)
    return X if container == "dense" else sp.csr_matrix(X)


@st.composite
def problems(draw, loss, update, widths=(1, 2, 3), lengths=(1, 2, 3, 4, 5), outputs=3):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="seed"))
    lengths = st.lists(st.sampled_from(lengths), min_size=1, max_size=4)
    lengths = draw(lengths, label="lengths")
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)
    n_samples = int(starts[-1])
    n_features = draw(st.sampled_from(widths), label="n_features")
    is_margin = LOSSES[loss].is_margin
    n_outputs = draw(
        st.sampled_from([1, *range(3, outputs + 1)] if is_margin else [1]),
        label="n_outputs",
    )
    X = make_X(
        rng,
        (n_samples, n_features),
        draw(st.sampled_from([np.float64, np.float32]), label="dtype"),
        draw(st.sampled_from(["dense", "csr"]), label="container"),
        draw(st.sampled_from([0.0, 0.3, 0.99]), label="zeros"),
    )
    X /= X.dtype.type(np.sqrt(max(n_features, 3) / 3))  # steps too long are chaotic
    if loss == "poisson":
        X *= X.dtype.type(0.2)
        y = rng.poisson(2.0, n_samples).astype(float)
    elif not is_margin:
        y = rng.normal(size=n_samples)
    elif n_outputs == 1:
        y = rng.choice([-1.0, 1.0], n_samples)
    else:
        y = rng.integers(n_outputs, size=n_samples).astype(float)
    weighted = draw(st.booleans(), label="weighted")
    max_iter = draw(st.integers(1, 3), label="max_iter")
    order = draw(st.sampled_from([None, "once", "passes"]), label="order")
    batch = Batch(
        X,
        y,
        rng.uniform(0.1, 2.0, n_samples) if weighted else None,
        starts,
        make_order(rng, order, starts, max_iter),
    )
    shape = (n_outputs, n_features + 1)
    is_eg = update == "eg"
    each = not is_eg and draw(st.booleans(), label="step per coordinate")
    ogd = make_ogd(
        loss,
        update,
        radius=draw(st.sampled_from([np.inf, 0.8][is_eg:]), label="radius"),
        bias=draw(st.sampled_from([1.0, 0.0]), label="bias"),
        max_iter=max_iter,
    )
    step_sizes = sorted(set(STEP_SIZES) - ({"per_coordinate"} if is_eg else set()))
    known = draw(st.booleans(), label="known tasks")
    return Problem(
        batch=batch,
        ogd=ogd,
        eta0=rng.uniform(0.05, 0.5, shape if each else (1, 1)),
        phi=rng.normal(size=shape) * draw(st.booleans(), label="phi given"),
        loss=loss,
        divide_by_root=draw(st.booleans(), label="divide_by_root"),
        step_size=draw(st.sampled_from(step_sizes), label="step_size"),
        meta_step_size=draw(st.sampled_from(sorted(META_STEP_SIZES)), label="meta"),
        average=draw(st.booleans(), label="average"),
        own=rng.normal(size=(3, *shape)) if known else None,
        own_index=rng.integers(-1, 3, len(lengths)).astype(np.intp) if known else None,
    )


# ---- the compiled kernel


def test_kernel_was_compiled(compiled):
    assert _kernels.COMPILED
    for name in ("learn_tasks", "run_task", "score_rows"):
        assert getattr(_kernels, name) is getattr(compiled, name)
    assert _loops_py.LOSSES == frozenset() != _kernels.LOSSES


def test_without_a_compiler_the_twin_serves(kernel):
    assert _kernels.run_task is kernel.run_task
    assert _kernels.LOSSES is kernel.LOSSES


@each_loss
@pytest.mark.parametrize("update", ["ogd", "implicit", "ftrl", "eg"])
@given(data=st.data())
def test_compiled_equals_twin_within_a_task(compiled, loss, update, data):
    problem = data.draw(problems(loss, update))
    t = data.draw(st.integers(0, len(problem.batch.starts) - 2), label="t")
    finite, *arrays = problem.run_task(compiled, t)
    expected_finite, *expected = problem.run_task(_loops_py, t)
    assert finite is expected_finite is True
    for actual, desired in zip(arrays, expected, strict=True):
        assert_close(actual, desired)


@each_loss
@each_update
@given(data=st.data())
def test_loop_over_tasks_equals_its_formulas(compiled, loss, update, data):
    problem = data.draw(problems(loss, update))
    actual, desired = problem.learn(compiled), learn_naively(problem)
    assert actual["done"] == desired["done"]
    assume(desired["done"] == len(problem.batch.starts) - 1)  # it did not diverge
    assert_learned_alike(actual, desired)


@each_loss
@pytest.mark.parametrize("update", ["ogd", "implicit", "ftrl", "eg"])
@given(data=st.data())
def test_loop_over_tasks_equals_its_formulas_for_every_shape(
    compiled, loss, update, data
):
    problem = data.draw(problems(loss, update, WIDTHS, LENGTHS_OF_BLOCKS, 9))
    actual, desired = problem.learn(compiled), learn_naively(problem)
    assume(desired["done"] == len(problem.batch.starts) - 1)  # it did not diverge
    assume(desired["history"]["distance"].max() < 1e6)  # nor magnify rounding errors
    assert actual["done"] == desired["done"]
    assert_learned_alike(actual, desired)


@each_update
@given(data=st.data())
def test_meta_batch_moves_nothing(compiled, update, data):
    """Tasks start at phi with one step size; what they teach is returned."""
    problem = data.draw(problems("log_loss", update))
    state, n_tasks = problem.start(), len(problem.batch.starts) - 1
    grad_sq = np.full((n_tasks, *problem.etas_shape), np.nan)
    done = problem.continue_from(compiled, state, 0, 7, grad_sq=grad_sq)
    assert done == n_tasks
    before = problem.start()
    for name in ("phi", "rule_state", "meta_state"):
        assert_array_equal(state[name], before[name])
    plan = problem.make_plan(compiled)
    for t in range(n_tasks):
        alone, squares = problem.start(), np.zeros_like(grad_sq)
        problem.plan = plan
        last = {"grad_sq": squares, "last": t + 1}
        assert problem.continue_from(compiled, alone, t, 7, **last) == t + 1
        assert_array_equal(alone["parameters"][t], state["parameters"][t])
        assert_array_equal(squares[t], grad_sq[t])
        assert alone["history"][t] == state["history"][t]


@pytest.mark.parametrize("remake", [copy.deepcopy, copy.copy, "pickle"])
def test_plan_is_copied_and_pickled(compiled, remake):
    problem = make_failing_problem("dense", np.float64, None)
    expected = problem.learn(compiled)
    plan = problem.make_plan(compiled)
    if remake == "pickle":
        problem.plan = pickle.loads(pickle.dumps(plan))
    else:
        problem.plan = remake(plan)
    assert_array_equal(problem.learn(compiled)["phi"], expected["phi"])


def test_plan_keeps_its_own_step_size(compiled):
    problem = make_failing_problem("dense", np.float64, None, "fixed")
    expected = problem.learn(compiled)
    problem.plan = problem.make_plan(compiled)
    problem.eta0[:] = 1e30
    assert_array_equal(problem.learn(compiled)["phi"], expected["phi"])


@each_loss
@each_update
@given(data=st.data())
def test_stacked_tasks_equal_one_call_each(compiled, loss, update, data):
    """To the last bit, whatever the position of a task in its stack and in memory."""
    problem = data.draw(problems(loss, update, WIDTHS, LENGTHS_OF_BLOCKS, 5))
    stacked = problem.learn(compiled)
    assume(stacked["done"] == len(problem.batch.starts) - 1)  # it did not diverge
    single = problem.start()
    for t in range(len(problem.batch.starts) - 1):
        batch = cut_any(problem.batch, t, data.draw(st.integers(0, 7), label="offset"))
        one = replace(problem, batch=batch)
        if problem.own is not None:
            one.own_index = problem.own_index[t : t + 1]
        part = single | {
            name: single[name][t : t + 1] for name in ("history", "parameters")
        }
        assert one.continue_from(compiled, part, 0, t) == 1
    for name in single:
        assert_array_equal(single[name], stacked[name])


def cut_any(batch, t, offset):
    """Task t alone, its rows at another place in memory: a new array, shifted."""
    order = batch.order
    rows = slice(batch.starts[t], batch.starts[t + 1])
    rows = (
        np.arange(rows.start, rows.stop) if order is None else np.sort(order[0, rows])
    )
    X = batch.X[rows]
    if not sp.issparse(X):
        memory = np.empty(X.size + offset, X.dtype)
        memory[offset:] = X.ravel()
        X = memory[offset:].reshape(X.shape)
    if order is not None:
        order = order[:, batch.starts[t] : batch.starts[t + 1]]
        order = np.ascontiguousarray(np.searchsorted(rows, order))
    weight = None if batch.sample_weight is None else batch.sample_weight[rows]
    starts = np.array([0, len(rows)], dtype=np.intp)
    return Batch(X, batch.y[rows], weight, starts, order)


@each_loss
@pytest.mark.parametrize("scale", [1e-200, 1e-100, 1e-8, 1e8, 1e100, 1e150, 1e200])
def test_compiled_equals_twin_at_any_scale(compiled, loss, scale):
    rng = np.random.default_rng(0)
    X, y = scale * rng.normal(size=(3, 2)), np.array([1.0, -1.0, -1.0])
    ogd = make_ogd(loss, "implicit", bias=0.0)
    problem = make_problem(X, y, np.zeros((1, 3)), [3], ogd)
    actual = problem.run_task(compiled, 0)
    desired = problem.run_task(_loops_py, 0)
    assert actual[0] == desired[0]
    if actual[0]:
        for one, other in zip(actual[1:], desired[1:], strict=True):
            assert_close(one, other, scale=0.0)


def make_problem(X, y, phi, lengths, ogd, eta=0.5, weight=None, **options):
    """Tasks one after the other."""
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)
    batch = Batch(X, y, weight, starts, None)
    return Problem(batch, ogd, np.array([[eta]]), phi, **options)


@each_update
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n_outputs", [1, 4, 5])
@pytest.mark.parametrize("n_features", [1, 3, 8, 10, 50])
def test_every_non_finite_feature_is_seen(
    compiled, update, value, n_outputs, n_features
):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12, n_features)) / np.sqrt(n_features)
    y = rng.integers(n_outputs, size=12) + 0.0 if n_outputs > 1 else np.ones(12)
    phi = np.zeros((n_outputs, n_features + 1))
    problem = make_problem(X, y, phi, [5, 7], make_ogd("log_loss", update))
    before = problem.learn(compiled, batch=cut(problem.batch, 0, 1))
    for row in (5, 8, 11):
        for feature in {0, n_features // 2, n_features - 1}:
            kept, X[row, feature] = X[row, feature], value
            result = problem.learn(compiled)
            X[row, feature] = kept
            assert result["done"] == 1
            assert_array_equal(result["phi"], before["phi"])
    assert problem.learn(compiled)["done"] == 2


@pytest.mark.parametrize("container", ["dense", "csr"])
@pytest.mark.parametrize("loss", sorted(CLASSIFICATION_LOSSES))
@pytest.mark.parametrize("n_outputs", [1, 4])
def test_score_that_overflows_is_seen(kernel, container, loss, n_outputs):
    """Though its loss and gradient vanish, and the features are finite."""
    X = np.array([[1.0], [1.0], [10.0]])
    X = X if container == "dense" else sp.csr_matrix(X)
    phi = np.zeros((n_outputs, 2))
    phi[0, 0] = 1e308
    y = np.zeros(3) if n_outputs > 1 else np.ones(3)
    problem = make_problem(X, y, phi, [2, 1], make_ogd(loss, "ogd"))
    assert problem.run_task(kernel, 0)[0] is True
    assert problem.run_task(kernel, 1)[0] is False


@pytest.mark.parametrize("container", ["dense", "csr"])
@pytest.mark.parametrize("n_outputs", [1, 4, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_log_loss_is_exact_at_any_score(kernel, container, n_outputs, weighted):
    scores = np.array([0.0, 1e-9, 0.3, 5.0, 40.0, 500.0, 800.0, 1e10])
    for score in np.concatenate([-scores, scores]):
        phi = np.zeros((n_outputs, 2))
        phi[:, 0] = score
        X = np.ones((9, 1)) if container == "dense" else sp.csr_matrix(np.ones((9, 1)))
        weight = np.full(9, 3.0) if weighted else None
        ogd = make_ogd("log_loss", "ogd")
        problem = make_problem(X, np.ones(9), phi, [4, 5], ogd, 1e-300, weight)
        loss = np.logaddexp(0.0, -score) + (n_outputs - 1) * np.logaddexp(0.0, score)
        means = [problem.run_task(kernel, t)[2].mean() for t in (0, 1)]
        if kernel is not _loops_py:
            means = [*means, *problem.learn(kernel)["history"]["loss"]]
        expected = (3.0 if weighted else 1.0) * loss
        assert_allclose(means, expected, rtol=1e-12, atol=1e-300)


def test_log_losses_of_many_outputs_and_samples_do_not_overflow(compiled):
    rng = np.random.default_rng(0)
    n_outputs, m = 1500, 40
    y = rng.integers(n_outputs, size=m) + 0.0
    phi = np.zeros((n_outputs, 3))
    ogd = make_ogd("log_loss", "ogd")
    problem = make_problem(rng.normal(size=(m, 2)), y, phi, [m], ogd, 1e-3)
    actual, desired = problem.learn(compiled), learn_naively(problem)
    assert_allclose(actual["history"]["loss"], desired["history"]["loss"], rtol=1e-12)


@pytest.mark.parametrize("n_outputs", [1, 5])
def test_proximal_log_loss_equals_twin(compiled, n_outputs):
    rng = np.random.default_rng(0)
    for curvature in [1e-12, 1e-3, 0.3, 1.0, 1.9, 2.1, 4.0, 10.0, 100.0, 1e4, 1e9]:
        for scale in [0.0, 1e-6, 1.0, 5.0, 40.0, 800.0]:
            ogd = make_ogd("log_loss", "implicit", bias=0.0)
            phi = scale * rng.normal(size=(n_outputs, 2))
            problem = make_problem(
                np.ones((1, 1)), np.ones(1), phi, [1], ogd, curvature
            )
            actual = problem.run_task(compiled, 0)
            desired = problem.run_task(_loops_py, 0)
            assert_close(actual[1], desired[1], scale=0.0)


@pytest.mark.parametrize("average", [False, True], ids=["last", "average"])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_failure_among_many_features_changes_nothing(compiled, average, n_outputs):
    """Touched features alone are moved, and moved back."""
    rng = np.random.default_rng(0)
    X = make_X(rng, (9, 500), zeros=0.99)
    X[:, 7] = rng.normal(size=9)  # touched again and again
    X[8] *= 1e200
    ogd = make_ogd("log_loss", "ogd", bias=0.0)
    phi = 0.01 * rng.normal(size=(n_outputs, 501))
    y = rng.integers(n_outputs, size=9) + 0.0 if n_outputs > 1 else np.ones(9)
    problem = make_problem(sp.csr_matrix(X), y, phi, [3, 3, 3], ogd, average=average)
    result = problem.learn(compiled)
    before = problem.learn(compiled, batch=cut(problem.batch, 0, 2))
    assert result["done"] == 2
    assert np.abs(before["phi"] - phi).max() > 0
    assert_array_equal(result["phi"], before["phi"])


def test_denormal_numbers_survive(compiled):
    problem = make_failing_problem("dense", np.float64, None)
    assert problem.learn(compiled)["done"] == len(LENGTHS)
    tiny = np.array([np.finfo(float).tiny, 5e-324])
    assert_array_equal(tiny * np.array([0.5, 1.0]) > 0, True)


# ---- both kernels against naive loops


@each_loss
@each_update
@settings(max_examples=15)
@given(data=st.data())
def test_one_task_equals_naive_loops(kernel, loss, update, data):
    problem = data.draw(problems(loss, update))
    t = data.draw(st.integers(0, len(problem.batch.starts) - 2), label="t")
    eta, ogd = problem.eta(t), problem.ogd
    X, y, weight, order = problem.task(t)
    order = [range(len(y))] if order is None else order
    run = reference.run_task(
        (X.toarray() if sp.issparse(X) else X).tolist(),
        y,
        problem.phi.tolist(),
        float(eta[0, 0]) if eta.size == 1 else eta.tolist(),
        reference.make_loss(loss, EPSILON, QUANTILE),
        update=update,
        radius=None if np.isinf(ogd.radius) else ogd.radius,
        fit_intercept=ogd.bias == 1.0,
        sample_weight=weight,
        passes=[order[p % len(order)] for p in range(ogd.max_iter)],
    )
    finite, theta, losses, average, grad_sq = problem.run_task(kernel, t)
    assert finite is True
    assert_close(theta, run.last, 1e-10)
    assert_close(average, run.average, 1e-10)
    assert_close(losses, [run.losses[i] for i in range(len(y))], 1e-10)
    assert_close(grad_sq, run.grad_sq if eta.size > 1 else run.grad_sq_norm, 1e-10)


@each_update
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_step_of_a_diagonal_matrix_is_one_per_parameter(update, n_outputs):
    """In the twin alone, which adds up outer products of gradients then."""
    rng = np.random.default_rng(5)
    shape = (n_outputs, 4)
    X, eta = rng.normal(size=(6, 3)), rng.uniform(0.1, 0.5, shape)
    y = rng.integers(n_outputs, size=6) + 0.0 if n_outputs > 1 else np.ones(6)
    phi = rng.normal(size=shape)
    problem = make_problem(X, y, phi, [6], make_ogd("log_loss", update))
    finite, *expected, grad_sq = problem.run_task(_loops_py, 0, eta=eta)
    matrices = np.array([np.diag(row) for row in eta])
    same, *actual, products = problem.run_task(_loops_py, 0, eta=matrices)
    assert finite is same is True
    for one, other in zip(actual, expected, strict=True):
        assert_close(one, other)
    assert_close(np.einsum("kpp->kp", products), grad_sq)
    assert_close(products, products.transpose(0, 2, 1))


def test_twin_takes_a_loss_of_a_users_own():
    class Halved(ResidualLoss):
        def f_value(self, s):
            return 0.5 * s * s

        def f_slope(self, s):
            return s

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(5, 3)), rng.normal(size=5)
    results = []
    for loss in (SquaredError(), Halved()):
        ogd = make_ogd("squared_error", "implicit")
        ogd.loss = loss
        problem = make_problem(X, y, np.zeros((1, 4)), [5], ogd)
        results.append(problem.run_task(_loops_py, 0)[1])
    assert_close(*results)


@pytest.mark.parametrize("container", ["dense", "csr"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_equal_naive_loops(kernel, container, dtype):
    rng = np.random.default_rng(3)
    X = make_X(rng, (7, 4), dtype, container)
    parameters = rng.normal(size=(3, 2, 5))
    index = np.array([2, 0, 0, 2, 2, 0, 2], dtype=np.intp)
    scores = kernel.score_rows(X, index, parameters)
    dense = X.toarray() if container == "csr" else X
    for x, i, row in zip(dense.tolist(), index, scores, strict=True):
        expected = [
            sum(w * v for w, v in zip(theta, [*x, 1.0], strict=True))
            for theta in parameters[i]
        ]
        assert row.dtype == np.float64
        assert_close(row, expected)


# ---- unusual input


def test_matrix_without_stored_values(kernel):
    X = sp.csr_matrix((4, 3))
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    ogd = make_ogd("squared_error", "ogd")
    problem = make_problem(X, np.ones(4), np.zeros((1, 4)), [4], ogd)
    finite, theta, *_ = problem.run_task(kernel, 0)
    assert finite is True
    assert_array_equal(theta[0, :-1], 0.0)
    assert theta[0, -1] > 0
    scores = kernel.score_rows(X, np.zeros(4, dtype=np.intp), np.ones((1, 2, 4)))
    assert_array_equal(scores, np.ones((4, 2)))


@each_loss
@each_update
def test_row_of_zeros_teaches_nothing(kernel, loss, update):
    theta, y = np.array([[1.0, -2.0, 3.0]]), np.array([1.0])
    ogd = make_ogd(loss, update, bias=0.0)
    problem = make_problem(np.zeros((1, 2)), y, theta, [1], ogd)
    finite, after, losses, _, grad_sq = problem.run_task(kernel, 0)
    assert finite is True
    assert_array_equal(after, theta)
    assert_array_equal(grad_sq, 0.0)
    value, _ = reference.make_loss(loss, EPSILON, QUANTILE)
    assert_allclose(losses, value(1.0, 0.0), rtol=1e-15)


def test_losses_and_average_may_be_left_out(kernel):
    problem = make_failing_problem("dense", np.float64, None)
    _, expected, _, _, expected_grad_sq = problem.run_task(kernel, 1)
    theta, grad_sq = problem.phi.copy(), np.zeros((1, 1))
    rows, eta = problem.task(1), problem.eta(1)
    assert kernel.run_task(*rows, problem.ogd, theta, eta, None, None, grad_sq)
    assert_array_equal(theta, expected)
    assert_array_equal(grad_sq, expected_grad_sq)


def test_squared_gradients_are_added(kernel):
    problem = make_failing_problem("dense", np.float64, None)
    *_, expected = problem.run_task(kernel, 1)
    theta, grad_sq = problem.phi.copy(), np.full((1, 1), 5.0)
    rows, eta = problem.task(1), problem.eta(1)
    kernel.run_task(*rows, problem.ogd, theta, eta, None, None, grad_sq)
    assert_allclose(grad_sq, 5.0 + expected, rtol=1e-15)


# ---- arrays that do not fit together

WRONG_IN_RUN = {
    "y": np.ones(4),
    "weight": np.ones(6),
    "order": np.zeros((1, 4), dtype=np.intp),
    "theta": np.zeros((1, 3)),
    "eta": np.ones(3),
    "losses": np.zeros(2),
    "average": np.zeros((2, 4)),
    "grad_sq": np.zeros(4),
}


def run_arguments():
    rng = np.random.default_rng(0)
    return {
        "X": rng.normal(size=(5, 3)),
        "y": np.ones(5),
        "weight": np.ones(5),
        "order": np.arange(5, dtype=np.intp)[np.newaxis],
        "ogd": make_ogd("squared_error", "ogd"),
        "theta": np.zeros((1, 4)),
        "eta": np.full((1, 1), 0.1),
        "losses": np.zeros(5),
        "average": np.zeros((1, 4)),
        "grad_sq": np.zeros((1, 1)),
    }


@pytest.mark.parametrize("name", WRONG_IN_RUN)
def test_wrong_shape_within_a_task_is_an_error(kernel, name):
    arguments = run_arguments()
    assert kernel.run_task(*arguments.values()) is True
    arguments[name] = WRONG_IN_RUN[name]
    theta, grad_sq = arguments["theta"].copy(), arguments["grad_sq"].copy()
    with pytest.raises(ValueError, match=name):
        kernel.run_task(*arguments.values())
    assert_array_equal(arguments["theta"], theta)
    assert_array_equal(arguments["grad_sq"], grad_sq)


@pytest.mark.parametrize("name", [*WRONG_IN_RUN, "X"])
@pytest.mark.parametrize("flaw", ["dtype", "strides", "read-only"])
def test_array_that_cannot_be_used_is_an_error(compiled, name, flaw):
    arguments = run_arguments()
    array = arguments[name]
    if flaw == "dtype":
        array = array.astype(np.complex64 if array.dtype.kind == "f" else np.int16)
    elif flaw == "strides":
        array = np.repeat(array, 2, axis=-1)[..., ::2]
        if array.size == 1:
            return  # one number is contiguous
    elif name in ("theta", "losses", "average", "grad_sq"):
        array.flags.writeable = False
    else:
        return  # it is only read
    arguments[name] = array
    with pytest.raises(ValueError):
        compiled.run_task(*arguments.values())


@pytest.mark.parametrize("rows", [[0, 1, 2, 3, 5], [0, 1, 2, 3, -1]])
def test_order_of_rows_that_do_not_exist_is_an_error(compiled, rows):
    arguments = run_arguments()
    arguments["order"] = np.array([range(5), rows], dtype=np.intp)
    with pytest.raises(ValueError, match="outside of X"):
        compiled.run_task(*arguments.values())


def test_what_the_compiled_learner_does_not_know(compiled):
    class Other(SquaredError):
        pass

    for changes, message in [
        ({"loss": Other()}, "Other"),
        ({"update": "newton"}, "newton"),
        ({"max_iter": 0}, "max_iter"),
    ]:
        arguments = run_arguments()
        vars(arguments["ogd"]).update(changes)
        with pytest.raises(ValueError, match=message):
            compiled.run_task(*arguments.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step_size": "newest"}, "newest"),
        ({"meta_step_size": "newest"}, "newest"),
        ({"step_size": "doubling", "n_etas": 4}, "n_etas=4"),
        ({"n_etas": 0}, "n_etas=0"),
        ({"n_etas": 4}, "eta0"),
        ({"step_size_parameters": (1.0,)}, "'fixed' has 0 parameters"),
        ({"step_size": "aruba", "step_size_parameters": (1.0,) * 3}, "5 parameters"),
        ({"meta_step_size": "linear", "meta_parameters": (0.1,)}, "3 parameters"),
        ({"meta_parameters": ()}, "1 parameters"),
    ],
)
def test_wrong_plan_is_an_error(compiled, changes, message):
    options = {
        "step_size": "fixed",
        "step_size_parameters": (),
        "n_etas": 1,
        "eta0": np.full((1, 1), 0.1),
        "divide_by_root": False,
        "meta_step_size": "constant",
        "meta_parameters": (0.5,),
        "average": False,
    }
    ogd = make_ogd("squared_error", "ogd")
    compiled.Plan(ogd, **options)
    with pytest.raises(ValueError, match=message):
        compiled.Plan(ogd, **options | changes)


WRONG_IN_LEARN = {
    "first": -1,
    "last": 5,
    "phi": np.zeros((1, 3)),
    "rule_state": np.zeros((3, 1, 4)),
    "meta_state": np.zeros(0),
    "own": np.zeros((2, 1, 3)),
    "own_index": np.zeros(3, dtype=np.intp),
    "history": np.zeros(3, HISTORY),
    "parameters": np.zeros((3, 1, 4)),
    "grad_sq": np.zeros((4, 1, 1)),
}


def learn_arguments(compiled):
    problem = make_failing_problem("dense", np.float64, None, "per_coordinate")
    state = problem.start()
    return {
        "batch": problem.batch,
        "first": 0,
        "last": 4,
        "plan": problem.make_plan(compiled),
        "phi": state["phi"],
        "rule_state": state["rule_state"],
        "meta_state": state["meta_state"],
        "n_tasks": 0,
        "own": np.zeros((2, 1, 4)),
        "own_index": np.zeros(4, dtype=np.intp),
        "history": state["history"],
        "parameters": state["parameters"],
        "grad_sq": np.zeros((4, 1, 4)),
    }


@pytest.mark.parametrize("name", WRONG_IN_LEARN)
def test_wrong_shape_over_tasks_is_an_error(compiled, name):
    arguments = learn_arguments(compiled)
    assert compiled.learn_tasks(*arguments.values()) == 4
    arguments[name] = WRONG_IN_LEARN[name]
    with pytest.raises(ValueError):
        compiled.learn_tasks(*arguments.values())


@pytest.mark.parametrize("name", ["rule_state", "meta_state"])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, None])
def test_state_of_another_kind_is_an_error(compiled, name, dtype):
    arguments = learn_arguments(compiled)
    arguments[name] = None if dtype is None else arguments[name].astype(dtype)
    with pytest.raises(ValueError, match="state of the"):
        compiled.learn_tasks(*arguments.values())


@pytest.mark.parametrize("starts", [[0, 3, 4, 16, 19], [0, 3, 3, 16, 18], [-1, 3, 4]])
def test_tasks_of_rows_that_do_not_exist_are_an_error(compiled, starts):
    arguments = learn_arguments(compiled)
    batch = arguments["batch"]._replace(starts=np.array(starts, dtype=np.intp))
    arguments |= {"batch": batch, "last": len(starts) - 1}
    arguments |= {"own_index": None, "parameters": None, "grad_sq": None}
    with pytest.raises(ValueError, match="outside of X"):
        compiled.learn_tasks(*arguments.values())


def test_known_task_that_does_not_exist_is_an_error(compiled):
    arguments = learn_arguments(compiled)
    arguments["own_index"][2] = 2
    with pytest.raises(ValueError, match="known parameters"):
        compiled.learn_tasks(*arguments.values())


CORRUPT = {
    "column too large": ("indices", -1, 3),
    "huge column": ("indices", 2, 10**6),
    "negative column": ("indices", 0, -5),
    "decreasing indptr": ("indptr", 2, 0),
    "negative indptr": ("indptr", 0, -1),
    "indptr too large": ("indptr", -1, 1000),
}


@pytest.mark.parametrize("flaw", CORRUPT)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ordered", [False, True], ids=["as-they-stand", "ordered"])
def test_corrupt_sparse_matrix_is_an_error(compiled, flaw, dtype, ordered):
    rng = np.random.default_rng(0)
    X = make_X(rng, (12, 3), dtype, "csr", zeros=0.2)
    ogd = make_ogd("squared_error", "ogd")
    problem = make_problem(X, np.ones(12), np.zeros((1, 4)), [5, 7], ogd)
    if ordered:
        order = np.arange(12, dtype=np.intp)[np.newaxis]
        problem.batch = problem.batch._replace(order=order)
    index, parameters = np.zeros(12, dtype=np.intp), np.zeros((1, 1, 4))
    assert problem.learn(compiled)["done"] == 2
    name, position, value = CORRUPT[flaw]
    getattr(X, name)[position] = value
    state = problem.start()
    with pytest.raises(ValueError, match="column indices of a sparse X"):
        problem.continue_from(compiled, state, 0, 0)
    assert_array_equal(state["phi"], problem.phi)
    theta, eta, grad_sq = np.zeros((1, 4)), np.ones((1, 1)), np.zeros((1, 1))
    rows = X, np.ones(12), None, problem.batch.order
    with pytest.raises(ValueError, match="column indices of a sparse X"):
        compiled.run_task(*rows, ogd, theta, eta, None, None, grad_sq)
    with pytest.raises(ValueError, match="column indices of a sparse X"):
        compiled.score_rows(X, index, parameters)


@pytest.mark.parametrize("index", [[0, 1, 2], [0, -1, 1]])
def test_scores_of_parameters_that_do_not_exist_are_an_error(compiled, index):
    index, X = np.array(index, dtype=np.intp), np.ones((3, 2))
    with pytest.raises(ValueError, match="known parameters"):
        compiled.score_rows(X, index, np.ones((2, 1, 3)))


@pytest.mark.parametrize("shape", [(2, 1, 4), (2, 1, 2)])
def test_scores_of_another_width_are_an_error(kernel, shape):
    with pytest.raises(ValueError, match="do not fit X of shape"):
        kernel.score_rows(np.ones((3, 2)), np.zeros(3, dtype=np.intp), np.ones(shape))


# ---- tasks that end in non-finite numbers

BAD = 2  # the task that fails
LENGTHS = [3, 1, 12, 2]


def make_failing_problem(container, dtype, cause, step_size="isotropic"):
    """Four tasks of which task `BAD` fails for the given cause, or none (None)."""
    rng = np.random.default_rng(1)
    lengths = list(LENGTHS)
    if cause in ("squares of gradients", "squares of parameters"):
        lengths[BAD] = 1
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)
    X, y = rng.normal(size=(starts[-1], 3)), rng.normal(size=starts[-1])
    eta, meta_step_size = 0.1, "ftl"
    row = starts[BAD + 1] - 1  # the last one of the task
    if cause in ("nan", "inf", "-inf"):
        X[row, 1] = float(cause)
    elif cause in ("nan target", "inf target"):
        y[row] = float(cause.split()[0])
    elif cause == "iterates":
        X[starts[BAD] : starts[BAD + 1]] *= 1e30
        eta, step_size = 1.0, "fixed"
    elif cause == "squares of gradients":
        X[row], y[row] = 1e38, 1e120
        eta, step_size = 1e-30, "fixed"
    elif cause == "squares of parameters":
        X[row], y[row] = 1e30, 1e100
        eta, step_size, meta_step_size = 1e30, "fixed", "single_task"
    X = X.astype(dtype)
    return make_problem(
        X if container == "dense" else sp.csr_matrix(X),
        y,
        np.zeros((1, 4)),
        lengths,
        make_ogd("squared_error", "ogd"),
        eta,
        step_size=step_size,
        meta_step_size=meta_step_size,
    )


CAUSES = [
    "nan",
    "inf",
    "-inf",
    "nan target",
    "inf target",
    "iterates",
    "squares of gradients",
    "squares of parameters",
]


def cut(batch, first, last):
    """Tasks first to last - 1 of a batch."""
    rows = slice(batch.starts[first], batch.starts[last])
    starts = batch.starts[first : last + 1] - batch.starts[first]
    return Batch(batch.X[rows], batch.y[rows], None, starts, None)


@pytest.mark.parametrize("container", ["dense", "csr"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("step_size", ["doubling", "isotropic", "per_coordinate"])
@pytest.mark.parametrize("cause", CAUSES)
def test_failing_task_changes_nothing(compiled, container, dtype, step_size, cause):
    problem = make_failing_problem(container, dtype, cause, step_size)
    result = problem.learn(compiled)
    assert result["done"] == BAD
    part = cut(problem.batch, 0, BAD)
    before = problem.learn(compiled, part)
    assert before["done"] == BAD
    for name in ("phi", "rule_state", "meta_state"):
        assert_array_equal(result[name], before[name])
    for name in ("history", "parameters"):
        assert_array_equal(result[name][:BAD], before[name])

    n_tasks = len(LENGTHS)
    assert problem.continue_from(compiled, result, BAD + 1, BAD) == n_tasks
    part = cut(problem.batch, BAD + 1, n_tasks)
    problem.continue_from(compiled, before, 0, BAD, part)
    for name in ("phi", "rule_state", "meta_state"):
        assert_array_equal(result[name], before[name])


@pytest.mark.parametrize("container", ["dense", "csr"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cause", CAUSES[:6])
def test_single_task_reports_non_finite_numbers(kernel, container, dtype, cause):
    problem = make_failing_problem(container, dtype, cause)
    assert problem.run_task(kernel, BAD)[0] is False
    assert problem.run_task(kernel, BAD + 1)[0] is True


@each_update
@pytest.mark.parametrize("loss", sorted(CLASSIFICATION_LOSSES))
def test_class_that_is_not_a_number_fails(kernel, loss, update):
    """With one output per class, no score shows it."""
    y = np.array([0.0, 2.0, 1.0, np.nan])
    problem = make_problem(
        np.ones((4, 2)), y, np.zeros((3, 3)), [2, 2], make_ogd(loss, update)
    )
    assert problem.run_task(kernel, 0)[0] is True
    assert problem.run_task(kernel, 1)[0] is False
    if kernel is not _loops_py:
        assert problem.learn(kernel)["done"] == 1
