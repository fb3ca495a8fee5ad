"""Meta-batches: tasks that share one initialization and step size."""

import copy

import numpy as np
import problems
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from problems import PROBLEMS, numbers
from sklearn.base import clone
from theory_models import RAW
from theory_reference import (
    PARAMETERS,
    Aruba,
    Doubling,
    Fixed,
    SimilarityLearner,
    learn,
    random_task,
    shares,
    stack,
    task_parameters,
    theta_of,
)

from skmeta import FMRLClassifier, FMRLRegressor, step_size
from skmeta._fmrl._algorithm import Algorithm
from skmeta.linear_model import BiasedRidge, OGDClassifier, OGDRegressor
from skmeta.meta_step_size import Discounted, LinearDecay

CLOSE = {"rtol": 1e-11, "atol": 1e-13}
LENGTHS = (3, 5, 1, 4, 4, 2, 6)
META_STEP_SIZES = {
    "ftl": "ftl",
    "constant": 0.7,
    "discounted": Discounted(0.7),
    "linear": LinearDecay(0.7, final=0.2, n_tasks=5),
}
STEP_SIZES = {
    "fixed": (step_size.Fixed(), Fixed(0.1)),
    "doubling": (step_size.Doubling(0.2, gamma=1.5), Doubling(0.2, 1.5, 1.0)),
    "isotropic": (step_size.ARUBA(0.4, zeta=2.0), Aruba(0.4, 2.0, 1.0, False)),
    "per_coordinate": (
        step_size.ARUBA(0.4, zeta=2.0, p=0.5, per_coordinate=True),
        Aruba(0.4, 2.0, 0.5, True),
    ),
    "balanced": (
        step_size.ARUBA(0.4, zeta=2.0, balance=True, decay=0.2),
        Aruba(0.4, 2.0, 1.0, False, balance=True, decay=0.2),
    ),
    "forgetful": (
        step_size.ARUBA(0.4, zeta=2.0, per_coordinate=True, decay=0.5),
        Aruba(0.4, 2.0, 1.0, True, decay=0.5),
    ),
    "similarity_ftl": (
        step_size.SimilarityFTL(0.2, lipschitz=2.0),
        SimilarityLearner(0.2, 2.0),
    ),
    "ewoo": (
        step_size.EWOO(0.2, diameter=0.7, lipschitz=2.0),
        SimilarityLearner(0.2, 2.0, 0.7),
    ),
}
LEARNED = ["coef_", "intercept_", "step_size_", "history_", "n_tasks_seen_"]
LEARNED += ["task_labels_", "task_coef_", "task_intercept_", "n_tasks_skipped_"]

each_meta_step_size = pytest.mark.parametrize("meta_step_size", META_STEP_SIZES)
each_step_size = pytest.mark.parametrize("rule", STEP_SIZES)
regression_and_classes = pytest.mark.parametrize(
    ("loss", "n_classes"),
    [("squared_error", 0), ("log_loss", 2), ("log_loss", 3)],
    ids=["regression", "two-classes", "three-classes"],
)


def make(loss, n_classes, seed, lengths=LENGTHS):
    rng = np.random.default_rng(seed)
    return [random_task(rng, loss, m, 2, n_classes=n_classes) for m in lengths]


def model_for(task, **params):
    """A meta-estimator that learns by explicit gradient steps."""
    kind = FMRLClassifier if task.n_classes else FMRLRegressor
    inner = OGDClassifier if task.n_classes else OGDRegressor
    return kind(inner(**task.options, update="ogd"), **RAW | params)


def fit(model, tasks):
    X, y, labels = stack(tasks)
    return model.fit(X, y, tasks=labels)


def stream(model, tasks):
    """One call of partial_fit per task."""
    for t, task in enumerate(tasks):
        options = {"classes": np.arange(task.n_classes)} if task.n_classes else {}
        model.partial_fit(task.X, task.y, tasks=t, **options)
    return model


def assert_same(one, other):
    """Equal to the last bit."""
    for name in LEARNED:
        assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


# ---- batches of one


@regression_and_classes
@each_step_size
@each_meta_step_size
def test_batches_of_one_are_the_sequential_run(
    loss, n_classes, rule, meta_step_size, kernel, global_random_seed
):
    """To the last bit; up to rounding, larger batches of one task per call."""
    tasks = make(loss, n_classes, global_random_seed)
    model = model_for(
        tasks[0],
        meta_step_size=META_STEP_SIZES[meta_step_size],
        step_size=STEP_SIZES[rule][0],
    )
    sequential = stream(clone(model), tasks)
    assert_same(fit(model.set_params(meta_batch_size=1), tasks), sequential)
    in_calls = stream(clone(model).set_params(meta_batch_size=9), tasks)
    for name in ("coef_", "intercept_", "step_size_", "task_coef_"):
        one, other = getattr(in_calls, name), getattr(sequential, name)
        assert_allclose(one, other, rtol=1e-13, atol=1e-15, err_msg=name)


# ---- larger ones


@regression_and_classes
@each_step_size
@each_meta_step_size
@pytest.mark.parametrize("meta_batch_size", [2, 3, 7, 20])
def test_batches_equal_the_slow_reference(
    loss, n_classes, rule, meta_step_size, meta_batch_size, kernel, global_random_seed
):
    """Seven tasks: the last batch may be short, or hold them all."""
    tasks = make(loss, n_classes, global_random_seed)
    ours, theirs = STEP_SIZES[rule]
    model = model_for(
        tasks[0],
        meta_step_size=META_STEP_SIZES[meta_step_size],
        step_size=ours,
        meta_batch_size=meta_batch_size,
    )
    fit(model, tasks)
    expected = learn(
        tasks,
        np.zeros(tasks[0].shape),
        copy.deepcopy(theirs),
        shares(meta_step_size, 0.7),
        batch_size=meta_batch_size,
    )
    # EWOO: to the precision of its quadrature and that of the reference
    close = {"rtol": 1e-7, "atol": 1e-9} if rule == "ewoo" else CLOSE
    learned = task_parameters(model, tasks[0].shape)
    assert_allclose(learned, expected.parameters, **close)
    assert_allclose(theta_of(model), expected.phi, **close)
    history, runs = model.history_, expected.runs
    assert_allclose(history["loss"], [run.losses.mean() for run in runs], **close)
    squares = [run.squares.sum() for run in runs]
    assert_allclose(history["grad_sq_norm"], squares, **close)
    etas = [np.mean(eta) for eta in expected.etas]
    assert_allclose(history["step_size"], etas, **close)
    assert_array_equal(history["n_samples"], LENGTHS)
    pairs = zip(expected.parameters, expected.starts, strict=True)
    distances = [np.linalg.norm(theta - phi) for theta, phi in pairs]
    assert_allclose(history["distance"], distances, **close)


@pytest.mark.parametrize("meta_batch_size", [2, 3])
@pytest.mark.parametrize("task_parameter", PARAMETERS)
def test_batches_of_averages_and_of_a_given_start(
    meta_batch_size, task_parameter, kernel, global_random_seed
):
    tasks = make("squared_error", 0, global_random_seed)
    init = np.array([0.3, -0.2, 0.1])
    model = model_for(
        tasks[0],
        init=init,
        task_parameter=task_parameter,
        step_size="fixed",
        meta_batch_size=meta_batch_size,
    )
    expected = learn(
        tasks,
        init[np.newaxis],
        Fixed(0.1),
        shares("ftl"),
        batch_size=meta_batch_size,
        parameter=PARAMETERS[task_parameter],
    )
    assert_allclose(theta_of(fit(model, tasks)), expected.phi, rtol=1e-11)


def test_batch_by_hand():
    """Three tasks of one sample from zero; two in the first batch."""
    X, y = np.ones((3, 1)), np.array([1.0, 3.0, -1.0])
    inner = OGDRegressor(update="ogd", eta0=0.5, fit_intercept=False)
    model = FMRLRegressor(
        inner, step_size="fixed", meta_batch_size=2, standardize=False
    )
    model.fit(X, y, tasks=[0, 1, 2])
    assert_allclose(model.task_coef_[:, 0], [0.5, 1.5, 0.0])
    assert_allclose(model.history_["loss"], [0.5, 4.5, 2.0])
    assert_allclose(model.coef_, 2.0 / 3.0)


@pytest.mark.parametrize("meta_batch_size", [1, 2, 3, 6])
def test_doubling_multiplies_once_per_task_and_after_it(
    meta_batch_size, kernel, global_random_seed
):
    """All tasks are farther than the guess; each raises it once, none in advance."""
    rng = np.random.default_rng(global_random_seed)
    tasks = [random_task(rng, "squared_error", 4, 2) for _ in range(6)]
    for task in tasks:
        task.y = task.y + 1e6
    model = model_for(
        tasks[0],
        step_size=step_size.Doubling(0.2, gamma=3.0, lipschitz=10.0),
        meta_step_size=0.0,
        meta_batch_size=meta_batch_size,
    )
    fit(model, tasks)
    raised = np.arange(6) // meta_batch_size * meta_batch_size
    guess = 0.2 * 3.0**raised
    assert (model.history_["distance"] > guess * 3.0**meta_batch_size).all()
    assert_allclose(model.history_["step_size"], guess / (10.0 * 2.0), rtol=1e-13)
    assert_allclose(model.step_size_, 0.2 * 3.0**6 / 20.0, rtol=1e-13)


def test_doubling_stays_where_no_task_is_far(kernel):
    tasks = make("squared_error", 0, 0)
    rule = step_size.Doubling(50.0, lipschitz=1e6)
    model = fit(model_for(tasks[0], step_size=rule, meta_batch_size=3), tasks)
    guess = model.history_["step_size"] * 1e6 * np.sqrt(LENGTHS)
    assert_allclose(guess, 50.0, rtol=1e-13)


@pytest.mark.parametrize("rule", ["fixed", "isotropic", "per_coordinate"])
def test_tasks_of_a_batch_do_not_see_each_other(rule, kernel, global_random_seed):
    """Their order within a batch does not matter, up to rounding.

    It does to 'doubling': a guess that one of them raised is far enough for the next.
    """
    tasks = make("log_loss", 3, global_random_seed, (4,) * 6)
    model = model_for(tasks[0], step_size=STEP_SIZES[rule][0], meta_batch_size=3)
    given = fit(clone(model), tasks)
    other = fit(clone(model), [tasks[t] for t in (2, 0, 1, 5, 4, 3)])
    assert_allclose(theta_of(given), theta_of(other), rtol=1e-11, atol=1e-13)
    assert_allclose(given.step_size_, other.step_size_, rtol=1e-11)
    order = [1, 2, 0, 5, 4, 3]
    assert_allclose(given.task_coef_, other.task_coef_[order], rtol=1e-11, atol=1e-13)


# ---- jobs


@regression_and_classes
@each_step_size
@pytest.mark.parametrize("meta_batch_size", [1, 2, 5])
def test_jobs_do_not_matter(
    loss, n_classes, rule, meta_batch_size, kernel, global_random_seed
):
    tasks = make(loss, n_classes, global_random_seed)
    model = model_for(
        tasks[0], step_size=STEP_SIZES[rule][0], meta_batch_size=meta_batch_size
    )
    one, two, many = (
        fit(clone(model).set_params(n_jobs=n_jobs), tasks) for n_jobs in (1, 2, 9)
    )
    assert_same(one, two)
    assert_same(one, many)


@pytest.mark.parametrize("inner", [BiasedRidge(), OGDRegressor(shuffle=True)], ids=str)
@pytest.mark.parametrize("task_parameter", ["last", "average", "regularized"])
def test_jobs_do_not_matter_to_other_learners(
    inner, task_parameter, global_random_seed
):
    tasks = make("squared_error", 0, global_random_seed)
    model = FMRLRegressor(
        inner, task_parameter=task_parameter, meta_batch_size=3, random_state=0
    )
    one, two = (fit(clone(model).set_params(n_jobs=n), tasks) for n in (None, 2))
    assert_same(one, two)


def test_more_passes_go_through_batches_again(kernel, global_random_seed):
    """In the second pass the tasks come once more, as separate tasks."""
    tasks = make("squared_error", 0, global_random_seed, (3, 4, 2, 5))
    model = model_for(tasks[0], meta_batch_size=2)
    twice = fit(clone(model).set_params(n_passes=2), tasks)
    longer = fit(clone(model), tasks * 2)
    assert_array_equal(theta_of(twice), theta_of(longer))
    assert_array_equal(numbers(twice.history_), numbers(longer.history_))


def test_known_tasks_of_a_batch_start_at_their_parameters(kernel, global_random_seed):
    tasks = make("squared_error", 0, global_random_seed, (3, 4))
    model = model_for(tasks[0], step_size="fixed", meta_batch_size=2)
    X, y, labels = stack(tasks)
    model.fit(X, y, tasks=labels)
    own = task_parameters(model, (1, 3))
    model.partial_fit(X, y, tasks=labels)
    for theta, start, task in zip(
        task_parameters(model, (1, 3)), own, tasks, strict=True
    ):
        alone = OGDRegressor(update="ogd").fit(
            task.X, task.y, coef_init=start[0, :-1], intercept_init=start[:, -1]
        )
        assert_allclose(theta, theta_of(alone), rtol=1e-12)


# ---- bad tasks


SPOILED = {"nan": np.nan, "overflow": 1e200}


@regression_and_classes
@pytest.mark.parametrize("spoiled", SPOILED)
@pytest.mark.parametrize("bad", [(0,), (3,), (6,), (2, 3), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_bad_tasks_of_a_batch_are_left_out(
    loss, n_classes, spoiled, bad, n_jobs, kernel, global_random_seed
):
    """As if their batches had been smaller; a batch without a good task is none."""
    tasks = make(loss, n_classes, global_random_seed)
    X, y, labels = stack(tasks)
    for t in bad:
        X[labels == t] = X[labels == t] * SPOILED[spoiled]
    if spoiled == "overflow" and n_classes:
        X[np.isin(labels, bad)] = np.inf
    model = model_for(
        tasks[0], meta_batch_size=3, on_bad_task="skip", step_size="isotropic"
    )
    skipped = clone(model).set_params(n_jobs=n_jobs).fit(X, y, tasks=labels)
    assert skipped.n_tasks_skipped_ == len(bad)
    model.set_params(on_bad_task="raise")
    for first in (0, 3, 6):
        good = [t for t in range(first, min(first + 3, 7)) if t not in bad]
        rows = np.isin(labels, good)
        options = {"classes": np.arange(n_classes)} if n_classes else {}
        if good:
            model.partial_fit(X[rows], y[rows], tasks=labels[rows], **options)
    for name in set(LEARNED) - {"n_tasks_skipped_"}:
        assert_array_equal(getattr(skipped, name), getattr(model, name))


@pytest.mark.parametrize("bad", [1, 4])
def test_bad_task_of_a_batch_is_named(bad, kernel):
    tasks = make("squared_error", 0, 0)
    tasks[bad].X[0, 1] = np.inf
    model = model_for(tasks[0], meta_batch_size=3)
    before = vars(model).copy()
    with pytest.raises(ValueError, match=f"Task {bad}: X contains .* feature 1"):
        fit(model, tasks)
    assert vars(model) == before
    model.set_params(on_bad_task="warn")
    with pytest.warns(UserWarning, match=f"Task {bad}: .* The task was skipped"):
        fit(model, tasks)


def test_batches_of_a_call_end_with_it(kernel, global_random_seed):
    """A call with fewer tasks than a batch holds does not wait for more."""
    tasks = make("squared_error", 0, global_random_seed)
    model = model_for(tasks[0], meta_batch_size=4)
    at_once = fit(clone(model), tasks[:4])
    X, y, labels = stack(tasks[4:])
    at_once.partial_fit(X, y, tasks=labels + 4)
    assert_same(at_once, fit(clone(model), tasks))


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("step_size", [None, "doubling"])
def test_compiled_batches_in_units_are_those_in_python(
    problem, sparse, step_size, compiled, monkeypatch
):
    """With weights, tasks that return and tasks that cannot be learned from."""
    X, y, tasks = problems.make(problem, n_tasks=14)
    X = X * [1e3, 1.0, 1e-3, 1.0] + (0.0 if sparse else 5.0)
    X[np.flatnonzero(tasks == 3)[0], 0] = 1e200  # no square
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    options = {"step_size": step_size, "meta_batch_size": 5, "on_bad_task": "skip"}

    def learn():
        model = problems.model_for(problem, **options)
        for first, last in ((0, 9), (6, 14)):
            rows = (tasks >= first) & (tasks < last)
            part = sp.csr_matrix(X[rows]) if sparse else X[rows]
            classes = {} if problem == "regression" else {"classes": np.unique(y)}
            model.partial_fit(
                part, y[rows], tasks=tasks[rows], sample_weight=weight[rows], **classes
            )
        return model

    one = learn()
    monkeypatch.setattr(
        Algorithm, "plans_for", lambda self, learner: [None] * len(self.plans)
    )
    other = learn()
    assert one.n_tasks_skipped_ == other.n_tasks_skipped_ == 1
    for name in ("coef_", "intercept_", "step_size_", "task_coef_", "task_intercept_"):
        found, expected = getattr(one, name), getattr(other, name)
        scale = np.abs(expected).max()
        assert_allclose(found, expected, rtol=1e-8, atol=1e-10 * scale)
    for name in one.history_.dtype.names:
        if one.history_[name].dtype != object:
            found, expected = one.history_[name], other.history_[name]
            assert_allclose(found, expected, rtol=1e-8)
