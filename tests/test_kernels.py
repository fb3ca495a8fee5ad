"""The compiled loops against their NumPy twin, and both against naive ones.

Data are random and continuous, and no two rows alike, so no residual falls on a kink
where rounding decides which subgradient is taken.
"""

from dataclasses import dataclass, replace
from unittest.mock import patch

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skmeta import _kernels
from skmeta._kernels import _loops_py
from skmeta._losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from skmeta._tasks import Batch
from skmeta.fmrl._algorithm import Algorithm
from skmeta.fmrl._state import HISTORY
from skmeta.fmrl._task_parameter import TASK_PARAMETERS
from skmeta.linear_model._learner import OGDLearner
from skmeta.meta_update import AdaptiveOGD, Constant, FollowTheLeader, LinearDecay
from skmeta.step_size import ARUBA, Doubling, Fixed

EPSILON, QUANTILE = 0.3, 0.8
PARAMETER = {"pinball": QUANTILE}  # of a loss; EPSILON for all others
LOSSES = {**REGRESSION_LOSSES, **CLASSIFICATION_LOSSES}
del LOSSES["quantile"]
UPDATES = ["ogd", "implicit"]
# on both sides of a vector and of a block of samples, of outputs, of vectors
WIDTHS = [1, 2, 3, 4, 5, 7, 8, 9, 16, 50, 51, 200]
LENGTHS_OF_BLOCKS = [1, 2, 3, 4, 5, 7, 8, 9]
STEP_SIZES = {
    "fixed": lambda: Fixed(),
    "doubling": lambda: Doubling(0.3, gamma=1.5, lipschitz=2.0),
    "isotropic": lambda: ARUBA(0.4, zeta=2.0, p=0.7),
    "per_coordinate": lambda: ARUBA(0.5, zeta=1.5, p=0.0, per_coordinate=True),
}
REFERENCE_STEP_SIZES = {
    "doubling": ("doubling", 0.3, 1.5, 2.0),
    "isotropic": ("isotropic", 0.4, 2.0, 0.7),
    "per_coordinate": ("per_coordinate", 0.5, 1.5, 0.0),
}
META_ETA0 = 0.7
META_UPDATES = {
    "ftl": FollowTheLeader,
    "aogd": AdaptiveOGD,
    "constant": Constant,
    "linear": lambda: LinearDecay(0.2, n_tasks=3),
}
REFERENCE_META_UPDATES = {
    "ftl": ("ftl",),
    "aogd": ("aogd",),
    "constant": ("constant", META_ETA0),
    "linear": ("linear", META_ETA0, 0.2, 3),
}

each_loss = pytest.mark.parametrize("loss", sorted(LOSSES))
each_update = pytest.mark.parametrize("update", UPDATES)


def assert_close(actual, desired, tolerance=1e-12, scale=1.0):
    """Equal up to a tolerance relative to the largest entry, or to the data's scale."""
    scale = np.abs(desired).max(initial=scale)
    assert_allclose(actual, desired, rtol=tolerance, atol=tolerance * scale)


@dataclass
class Problem:
    """Tasks and an algorithm, as the loops take them."""

    batch: Batch
    algorithm: Algorithm
    names: tuple  # of loss, update, step size and meta-update
    phi: np.ndarray
    own: np.ndarray | None
    own_index: np.ndarray | None

    @property
    def learner(self):
        return self.algorithm.learner

    def eta(self, t):
        """Step size of task t by the learner alone."""
        return self.learner.step(int(np.diff(self.batch.starts)[t]))

    def run_task(self, kernel, t):
        """All that the loop over the samples of task t returns and writes."""
        theta, eta = self.phi.copy(), self.eta(t)
        losses = np.zeros(len(self.batch.y))
        average, grad_sq = np.empty_like(theta), np.zeros_like(eta)
        with use_kernel(kernel):
            finite = self.learner.run_task(
                self.batch, t, theta, eta, losses, average, grad_sq
            )
        return finite, theta, losses, average, grad_sq

    def learn(self, kernel, first=0, clock=(0.0, 0.0), batch=None):
        """All that the loop over tasks returns and writes, by name."""
        batch = batch or self.batch
        n_tasks = len(batch.starts) - 1
        result = {
            "phi": self.phi.copy(),
            "rule": self.algorithm.step_size.start(self.phi.shape),
            "clock": np.array(clock),
            "history": np.zeros(n_tasks, HISTORY),
            "parameters": np.zeros((n_tasks, *self.phi.shape)),
        }
        result["done"] = self.continue_from(kernel, result, first, batch)
        return result

    def continue_from(self, kernel, state, first, batch):
        """Learn from task `first` on, writing into the arrays of `state`."""
        with use_kernel(kernel):
            return self.algorithm.learn_tasks(
                batch,
                first,
                len(batch.starts) - 1,
                state["phi"],
                state["rule"],
                state["clock"],
                self.own,
                self.own_index,
                state["history"],
                state["parameters"],
                None,
            )


def make_learner(loss, update, **changes):
    """A learner with one step size, a bias and no ball, but for the changes."""
    options = {
        "loss": LOSSES[loss](PARAMETER.get(loss, EPSILON)),
        "update": update,
        "radius": np.inf,
        "bias": 1.0,
        "max_iter": 1,
        "eta0": np.array([[0.5]]),
        "divide_by_root": False,
        "shuffle": False,
    }
    return OGDLearner(**options | changes)


def use_kernel(module):
    names = ("learn_tasks", "run_task", "score_rows")
    functions = {name: getattr(module, name) for name in names}
    return patch.multiple(_kernels, **functions)


def make_order(rng, kind, starts, max_iter):
    """Rows in the order in which they are visited: all passes alike, or each anew."""
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
    if not is_margin:
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
    each = update != "eg" and draw(st.booleans(), label="step per coordinate")
    learner = make_learner(
        loss,
        update,
        radius=draw(st.sampled_from([np.inf, 0.8][update == "eg" :]), label="radius"),
        bias=draw(st.sampled_from([1.0, 0.0]), label="bias"),
        max_iter=max_iter,
        eta0=rng.uniform(0.05, 0.5, shape if each else (1, 1)),
        divide_by_root=draw(st.booleans(), label="divide_by_root"),
    )
    step_sizes = sorted(
        set(STEP_SIZES) - ({"per_coordinate"} if update == "eg" else set())
    )
    step_size = draw(st.sampled_from(step_sizes), label="step_size")
    meta_update = draw(st.sampled_from(sorted(META_UPDATES)), label="meta_update")
    phi_given = draw(st.booleans(), label="phi_given")
    algorithm = Algorithm(
        learner=learner,
        task_parameter=TASK_PARAMETERS[
            draw(st.sampled_from(["last", "average"]), label="parameter")
        ],
        step_size=STEP_SIZES[step_size](),
        meta_update=META_UPDATES[meta_update](),
        meta_eta0=META_ETA0,
        phi_given=phi_given,
    )
    known = draw(st.booleans(), label="known tasks")
    return Problem(
        batch=batch,
        algorithm=algorithm,
        names=(loss, update, step_size, meta_update),
        phi=rng.normal(size=shape) * phi_given,
        own=rng.normal(size=(3, *shape)) if known else None,
        own_index=rng.integers(-1, 3, len(lengths)).astype(np.intp) if known else None,
    )


# ---- the compiled kernel


def test_kernel_was_compiled(compiled):
    assert _kernels.COMPILED
    for name in ("learn_tasks", "run_task", "score_rows"):
        assert getattr(_kernels, name) is getattr(compiled, name)
        assert getattr(compiled, name) is not getattr(_loops_py, name)


@each_loss
@each_update
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
def test_compiled_equals_twin_over_tasks(compiled, loss, update, data):
    problem = data.draw(problems(loss, update))
    n_tasks = len(problem.batch.starts) - 1
    first = data.draw(st.integers(0, min(1, n_tasks - 1)), label="first")
    clock = data.draw(st.sampled_from([(0.0, 0.0), (5.0, 11.0)]), label="clock")
    actual = problem.learn(compiled, first, clock)
    desired = problem.learn(_loops_py, first, clock)
    assert actual.pop("done") == desired.pop("done") == n_tasks
    for field in HISTORY.names:
        assert_close(actual["history"][field], desired["history"][field])
    del actual["history"], desired["history"]
    for name in actual:
        assert_close(actual[name], desired[name])


@each_loss
@pytest.mark.parametrize("update", ["ogd", "implicit", "ftrl", "eg"])
@given(data=st.data())
def test_compiled_equals_twin_for_every_shape(compiled, loss, update, data):
    problem = data.draw(problems(loss, update, WIDTHS, LENGTHS_OF_BLOCKS, 9))
    actual, desired = problem.learn(compiled), problem.learn(_loops_py)
    assert actual["done"] == desired["done"] == len(problem.batch.starts) - 1
    for field in HISTORY.names:
        assert_close(actual["history"][field], desired["history"][field])
    for name in ("phi", "rule", "clock", "parameters"):
        assert_close(actual[name], desired[name])


@each_loss
@each_update
@given(data=st.data())
def test_stacked_tasks_equal_one_call_each(compiled, loss, update, data):
    """To the last bit, wherever a task stands in its stack and in memory."""
    problem = data.draw(problems(loss, update, WIDTHS, LENGTHS_OF_BLOCKS, 5))
    stacked = problem.learn(compiled)
    single = {name: stacked[name].copy() for name in ("history", "parameters")}
    single |= {
        "phi": problem.phi.copy(),
        "rule": problem.algorithm.step_size.start(problem.phi.shape),
        "clock": np.zeros(2),
    }
    batch = problem.batch
    for t in range(len(batch.starts) - 1):
        one = Problem(
            cut_any(batch, t, data.draw(st.integers(0, 7), label="offset")),
            problem.algorithm,
            problem.names,
            problem.phi,
            problem.own,
            None if problem.own is None else problem.own_index[t : t + 1],
        )
        part = single | {
            "history": single["history"][t : t + 1],
            "parameters": single["parameters"][t : t + 1],
        }
        for name in ("history", "parameters"):
            part[name][:] = np.zeros((), part[name].dtype)
        assert one.continue_from(compiled, part, 0, one.batch) == 1
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
    learner = make_learner(loss, "implicit", bias=0.0)
    y = np.array([1.0, -1.0, -1.0])
    starts = np.array([0, 3])
    batch = Batch(scale * rng.normal(size=(3, 2)), y, None, starts, None)
    algorithm = Algorithm(
        learner, TASK_PARAMETERS["last"], Fixed(), Constant(), 0.0, False
    )
    problem = Problem(batch, algorithm, (), np.zeros((1, 3)), None, None)
    actual = problem.run_task(compiled, 0)
    desired = problem.run_task(_loops_py, 0)
    assert actual[0] == desired[0]
    if actual[0]:
        for one, other in zip(actual[1:], desired[1:], strict=True):
            assert_close(one, other, scale=0.0)


def make_plain_problem(X, y, phi, lengths, learner):
    """Tasks one after the other under a fixed step size."""
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)
    algorithm = Algorithm(
        learner, TASK_PARAMETERS["last"], Fixed(), Constant(), META_ETA0, False
    )
    return Problem(Batch(X, y, None, starts, None), algorithm, (), phi, None, None)


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
    problem = make_plain_problem(X, y, phi, [5, 7], make_learner("log_loss", update))
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
    problem = make_plain_problem(X, y, phi, [2, 1], make_learner(loss, "ogd"))
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
        learner = make_learner("log_loss", "ogd", eta0=np.array([[1e-300]]))
        problem = make_plain_problem(X, np.ones(9), phi, [4, 5], learner)
        if weighted:
            batch = problem.batch._replace(sample_weight=np.full(9, 3.0))
            problem = Problem(batch, problem.algorithm, (), phi, None, None)
        loss = np.logaddexp(0.0, -score) + (n_outputs - 1) * np.logaddexp(0.0, score)
        history = problem.learn(kernel)["history"]
        expected = (3.0 if weighted else 1.0) * loss
        assert_allclose(history["loss"], expected, rtol=1e-12, atol=1e-300)


def test_log_losses_of_many_outputs_and_samples_do_not_overflow(compiled):
    rng = np.random.default_rng(0)
    n_outputs, m = 1500, 40
    y = rng.integers(n_outputs, size=m) + 0.0
    phi = np.zeros((n_outputs, 3))
    learner = make_learner("log_loss", "ogd", eta0=np.array([[1e-3]]))
    problem = make_plain_problem(rng.normal(size=(m, 2)), y, phi, [m], learner)
    actual, desired = problem.learn(compiled), problem.learn(_loops_py)
    assert_allclose(actual["history"]["loss"], desired["history"]["loss"], rtol=1e-12)


@pytest.mark.parametrize("n_outputs", [1, 5])
def test_proximal_log_loss_equals_twin(compiled, n_outputs):
    rng = np.random.default_rng(0)
    for curvature in [1e-12, 1e-3, 0.3, 1.0, 1.9, 2.1, 4.0, 10.0, 100.0, 1e4, 1e9]:
        for scale in [0.0, 1e-6, 1.0, 5.0, 40.0, 800.0]:
            learner = make_learner(
                "log_loss", "implicit", bias=0.0, eta0=np.array([[curvature]])
            )
            phi = scale * rng.normal(size=(n_outputs, 2))
            problem = make_plain_problem(np.ones((1, 1)), np.ones(1), phi, [1], learner)
            actual = problem.run_task(compiled, 0)
            desired = problem.run_task(_loops_py, 0)
            assert_close(actual[1], desired[1], scale=0.0)


@pytest.mark.parametrize("task_parameter", ["last", "average"])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_failure_among_many_features_leaves_no_trace(
    compiled, task_parameter, n_outputs
):
    """Touched features alone are moved, and moved back."""
    rng = np.random.default_rng(0)
    X = make_X(rng, (9, 500), zeros=0.99)
    X[:, 7] = rng.normal(size=9)  # touched again and again
    X[8] *= 1e200
    learner = make_learner("log_loss", "ogd", bias=0.0)
    phi = 0.01 * rng.normal(size=(n_outputs, 501))
    y = rng.integers(n_outputs, size=9) + 0.0 if n_outputs > 1 else np.ones(9)
    problem = make_plain_problem(sp.csr_matrix(X), y, phi, [3, 3, 3], learner)
    problem.algorithm = replace(
        problem.algorithm, task_parameter=TASK_PARAMETERS[task_parameter]
    )
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


def nested(array):
    """A step size as the reference takes it: a number or a list of rows."""
    return float(array[0, 0]) if array.size == 1 else array.tolist()


def run_reference(problem, t, theta, eta):
    loss, update, *_ = problem.names
    batch, learner = problem.batch, problem.learner
    X = batch.X.toarray() if sp.issparse(batch.X) else batch.X
    order = [range(len(batch.y))] if batch.order is None else batch.order
    begin, end = batch.starts[t], batch.starts[t + 1]
    return reference.run_task(
        X.tolist(),
        batch.y,
        theta,
        eta,
        reference.make_loss(loss, EPSILON, QUANTILE),
        update=update,
        radius=None if np.isinf(learner.radius) else learner.radius,
        fit_intercept=learner.bias == 1.0,
        sample_weight=batch.sample_weight,
        passes=[order[p % len(order)][begin:end] for p in range(learner.max_iter)],
    )


@each_loss
@each_update
@settings(max_examples=15)
@given(data=st.data())
def test_one_task_equals_naive_loops(kernel, loss, update, data):
    problem = data.draw(problems(loss, update))
    t = data.draw(st.integers(0, len(problem.batch.starts) - 2), label="t")
    eta = problem.eta(t)
    run = run_reference(problem, t, problem.phi.tolist(), nested(eta))
    finite, theta, losses, average, grad_sq = problem.run_task(kernel, t)
    assert finite is True
    assert_close(theta, run.last, 1e-10)
    assert_close(average, run.average, 1e-10)
    rows = problem.batch.rows(t)
    assert_close(losses[rows], [run.losses[i] for i in rows], 1e-10)
    assert not np.delete(losses, rows).any()
    assert_close(grad_sq, run.grad_sq if eta.size > 1 else run.grad_sq_norm, 1e-10)


@each_loss
@each_update
@settings(max_examples=15)
@given(data=st.data())
def test_all_tasks_equal_naive_loops(kernel, loss, update, data):
    problem = data.draw(problems(loss, update))
    *_, step_size, meta_update = problem.names
    learner, lengths = problem.learner, np.diff(problem.batch.starts)
    fixed = ("fixed", nested(learner.eta0), learner.divide_by_root)
    starts = None
    if problem.own is not None:
        starts = [
            problem.own[i].tolist() if i >= 0 else None for i in problem.own_index
        ]
    expected = reference.learn_tasks(
        lengths.tolist(),
        lambda *args: run_reference(problem, *args),
        problem.phi.tolist(),
        step_size=REFERENCE_STEP_SIZES.get(step_size, fixed),
        meta_update=REFERENCE_META_UPDATES[meta_update],
        average=problem.algorithm.task_parameter.needs_average,
        phi_given=problem.algorithm.phi_given,
        starts=starts,
    )
    result = problem.learn(kernel)
    assert result["done"] == len(lengths)
    assert_close(result["phi"], expected.phi, 1e-9)
    assert_close(result["parameters"], expected.parameters, 1e-9)
    next_eta = problem.algorithm.step_size.propose(result["rule"], 4, learner.step(4))
    assert_close(next_eta, expected.step_size.propose(4), 1e-9)
    assert_close(result["clock"], [len(lengths), np.sqrt(lengths).sum()])
    history = result["history"]
    assert_array_equal(history["n_samples"], lengths)
    assert_close(history["step_size"], [np.mean(eta) for eta in expected.etas], 1e-9)
    assert_close(history["distance"], expected.distances, 1e-9)
    gradients = [run.grad_sq_norm for run in expected.runs]
    assert_close(history["grad_sq_norm"], gradients, 1e-9)
    losses = [np.mean(list(run.losses.values())) for run in expected.runs]
    assert_close(history["loss"], losses, 1e-9)


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
    problem = make_failing_problem("csr", np.float64, None)
    batch = Batch(X, np.ones(4), None, np.array([0, 4]), None)
    result = problem.learn(kernel, batch=batch)
    assert result["done"] == 1
    assert_array_equal(result["phi"][0, :-1], 0.0)
    assert result["phi"][0, -1] > 0
    scores = kernel.score_rows(X, np.zeros(4, dtype=np.intp), np.ones((1, 2, 4)))
    assert_array_equal(scores, np.ones((4, 2)))


@each_loss
@each_update
def test_row_of_zeros_teaches_nothing(kernel, loss, update):
    theta, y = np.array([[1.0, -2.0, 3.0]]), np.array([1.0])
    learner = make_learner(loss, update, bias=0.0)
    batch = Batch(np.zeros((1, 2)), y, None, np.array([0, 1]), None)
    after, losses, grad_sq = theta.copy(), np.zeros(1), np.zeros((1, 1))
    assert kernel.run_task(
        batch, 0, learner, after, learner.eta0, losses, None, grad_sq
    )
    assert_array_equal(after, theta)
    assert_array_equal(grad_sq, 0.0)
    value, _ = reference.make_loss(loss, EPSILON, QUANTILE)
    assert_allclose(losses, value(1.0, 0.0), rtol=1e-15)


def test_losses_and_average_may_be_left_out(kernel):
    problem = make_failing_problem("dense", np.float64, None)
    _, expected, _, _, expected_grad_sq = problem.run_task(kernel, 1)
    theta, grad_sq = problem.phi.copy(), np.zeros((1, 1))
    assert kernel.run_task(
        problem.batch, 1, problem.learner, theta, problem.eta(1), None, None, grad_sq
    )
    assert_array_equal(theta, expected)
    assert_array_equal(grad_sq, expected_grad_sq)


def test_squared_gradients_are_added(kernel):
    problem = make_failing_problem("dense", np.float64, None)
    *_, expected = problem.run_task(kernel, 1)
    grad_sq = np.full((1, 1), 5.0)
    kernel.run_task(
        problem.batch,
        1,
        problem.learner,
        problem.phi.copy(),
        problem.eta(1),
        None,
        None,
        grad_sq,
    )
    assert_allclose(grad_sq, 5.0 + expected, rtol=1e-15)


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
    eta, meta_update = 0.1, FollowTheLeader()
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
        eta, step_size, meta_update = 1e30, "fixed", Constant()
    X = X.astype(dtype)
    learner = make_learner("squared_error", "ogd", eta0=np.array([[eta]]))
    algorithm = Algorithm(
        learner,
        TASK_PARAMETERS["last"],
        STEP_SIZES[step_size](),
        meta_update,
        0.0,
        False,
    )
    X = X if container == "dense" else sp.csr_matrix(X)
    batch = Batch(X, y, None, starts, None)
    return Problem(batch, algorithm, (), np.zeros((1, 4)), None, None)


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
def test_failing_task_leaves_no_trace(kernel, container, dtype, step_size, cause):
    problem = make_failing_problem(container, dtype, cause, step_size)
    result = problem.learn(kernel)
    assert result["done"] == BAD
    before = problem.learn(kernel, batch=cut(problem.batch, 0, BAD))
    assert before["done"] == BAD
    for name in ("phi", "rule", "clock"):
        assert_array_equal(result[name], before[name])
    for name in ("history", "parameters"):
        assert_array_equal(result[name][:BAD], before[name])

    n_tasks = len(LENGTHS)
    assert problem.continue_from(kernel, result, BAD + 1, problem.batch) == n_tasks
    problem.continue_from(kernel, before, 0, cut(problem.batch, BAD + 1, n_tasks))
    for name in ("phi", "rule", "clock"):
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
    learner = make_learner(loss, update)
    starts, y = np.array([0, 2, 4]), np.array([0.0, 2.0, 1.0, np.nan])
    batch = Batch(np.ones((4, 2)), y, None, starts, None)
    algorithm = Algorithm(
        learner, TASK_PARAMETERS["last"], Fixed(), Constant(), 0.5, False
    )
    problem = Problem(batch, algorithm, (), np.zeros((3, 3)), None, None)
    assert problem.run_task(kernel, 0)[0] is True
    assert problem.run_task(kernel, 1)[0] is False
    assert problem.learn(kernel)["done"] == 1
