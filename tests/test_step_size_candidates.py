"""Several scales of a step size: each task is run with all, the best is followed."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.linear_model import BiasedRidge, OGDClassifier, OGDRegressor
from skmeta.metrics import regret_report
from skmeta.step_size import ARUBA

SEVERAL = (0.05, 0.3, 2.0)
ATTRIBUTES = [
    "coef_",
    "intercept_",
    "step_size_",
    "history_",
    "task_coef_",
    "task_intercept_",
    "n_tasks_skipped_",
]
each_problem = pytest.mark.parametrize("kind", [FMRLRegressor, FMRLClassifier])
each_shape = pytest.mark.parametrize("per_coordinate", [False, True])


def make(kind, seed=0, n_tasks=30):
    options = {"n_samples": (2, 9), "n_features": 3, "random_state": seed}
    if kind is FMRLRegressor:
        return make_task_regression(n_tasks, **options)
    return make_task_classification(n_tasks, n_classes=3, **options)


def assert_equal_models(model, other):
    for name in ATTRIBUTES:
        assert_array_equal(getattr(model, name), getattr(other, name), err_msg=name)


def naive(X, y, tasks, rules, theta_of):
    """phi, the last eta and the leaders, by hand."""
    shape = theta_of(None, None, None).shape
    phi, total = np.zeros(shape), 0.0
    losses = np.zeros(len(rules))
    size = shape if rules[0].per_coordinate else (1, 1)
    b = [np.full(size, rule.eps**2) for rule in rules]
    g = [np.full(size, rule.zeta**2) for rule in rules]
    leaders = []
    for t, task in enumerate(dict.fromkeys(tasks.tolist()), start=1):
        rows = tasks == task
        leaders.append(int(np.argmin(losses)))
        ends = []
        for k, rule in enumerate(rules):
            learner, theta = theta_of(X[rows], y[rows], (phi, np.sqrt(b[k] / g[k])))
            ends.append(theta)
            losses[k] += learner.losses_.sum()
            square, grad_sq = (theta - phi) ** 2, learner.grad_sq_
            if not rule.per_coordinate:
                square, grad_sq = square.sum(), learner.grad_sq_norm_
            decay = (t + 1) ** rule.p
            b[k] = b[k] + square / 2 + rule.eps**2 / decay
            g[k] = g[k] + grad_sq + rule.zeta**2 / decay
        weight = np.sqrt(rows.sum())
        total += weight
        phi = phi + weight / total * (ends[leaders[-1]] - phi)
    best = int(np.argmin(losses))
    return phi, np.sqrt(b[best] / g[best]), leaders


@pytest.mark.parametrize("update", ["implicit", "ogd"])
@each_shape
@each_problem
def test_against_runs_of_the_inner_learner(kind, per_coordinate, update):
    X, y, tasks = make(kind)
    regression = kind is FMRLRegressor
    learner = (OGDRegressor if regression else OGDClassifier)(update=update)
    shape = (1 if regression else 3, 4)

    def theta_of(X, y, start):
        if X is None:
            return np.zeros(shape)
        phi, eta = start
        one = copy.deepcopy(learner)
        one.set_params(eta0=eta if eta.size > 1 else float(eta[0, 0]))
        weight = np.ones(len(y))
        if not regression:  # rows of weight zero name all classes
            X, y = np.vstack([X, np.zeros((3, 3))]), np.append(y, range(3))
            weight = np.append(weight, np.zeros(3))
        one.fit(X, y, weight, phi[:, :-1], phi[:, -1])
        return one, np.column_stack([np.atleast_2d(one.coef_), one.intercept_])

    options = {"zeta": 0.7, "p": 0.5, "per_coordinate": per_coordinate}
    rules = [ARUBA(eps, **options) for eps in SEVERAL]
    phi, eta, leaders = naive(X, y, tasks, rules, theta_of)
    assert len(set(leaders)) > 1
    rule = ARUBA(SEVERAL, **options)
    model = kind(learner, step_size=rule, standardize=False).fit(X, y, tasks=tasks)
    learned = np.column_stack([np.atleast_2d(model.coef_), model.intercept_])
    assert_allclose(learned, phi, rtol=1e-9)
    assert_allclose(model.step_size_, eta if per_coordinate else eta[0, 0], rtol=1e-9)


@each_shape
@each_problem
def test_fit_is_partial_fit_task_by_task(kind, per_coordinate):
    X, y, tasks = make(kind)
    model = kind(step_size=ARUBA(SEVERAL, per_coordinate=per_coordinate))
    stream = copy.deepcopy(model)
    model.fit(X, y, tasks=tasks)
    classes = {} if kind is FMRLRegressor else {"classes": np.unique(y)}
    for task in dict.fromkeys(tasks.tolist()):
        rows = tasks == task
        stream.partial_fit(X[rows], y[rows], tasks=task, **classes)
    assert_equal_models(stream, model)


@pytest.mark.parametrize("meta_batch_size", [1, 4])
@pytest.mark.parametrize("standardize", [True, False])
@each_shape
def test_one_of_one_is_a_single_one(per_coordinate, standardize, meta_batch_size):
    X, y, tasks = make(FMRLRegressor)
    options = {"meta_batch_size": meta_batch_size, "standardize": standardize}
    rule = ARUBA(0.3, per_coordinate=per_coordinate)
    single = FMRLRegressor(step_size=rule, **options).fit(X, y, tasks=tasks)
    rule = ARUBA([0.3], per_coordinate=per_coordinate)
    model = FMRLRegressor(step_size=rule, **options).fit(X, y, tasks=tasks)
    for name in ATTRIBUTES[:3]:
        assert_allclose(getattr(model, name), getattr(single, name), rtol=1e-12)


@pytest.mark.parametrize("meta_batch_size", [1, 4])
def test_jobs_do_not_matter(meta_batch_size):
    X, y, tasks = make(FMRLRegressor)
    options = {"step_size": ARUBA(SEVERAL), "meta_batch_size": meta_batch_size}
    model = FMRLRegressor(**options).fit(X, y, tasks=tasks)
    threaded = FMRLRegressor(n_jobs=3, **options).fit(X, y, tasks=tasks)
    assert_equal_models(threaded, model)


def test_a_candidate_that_diverges_is_never_followed():
    X, y, tasks = make(FMRLRegressor)
    X, y, tasks = (np.repeat(one, 40, axis=0) for one in (X, y, tasks))
    learner = OGDRegressor(update="ogd")
    rest = {"zeta": 1.0, "p": 0.0}
    raw = {"standardize": False}
    alone = FMRLRegressor(learner, step_size=ARUBA([0.01], **rest), **raw)
    alone.fit(X, y, tasks=tasks)
    with pytest.raises(ValueError, match="non-finite|diverge|infinit"):
        model = FMRLRegressor(learner, step_size=ARUBA(1e6, **rest), **raw)
        model.fit(X, y, tasks=tasks)
    model = FMRLRegressor(learner, step_size=ARUBA((0.01, 1e6), **rest), **raw)
    assert_equal_models(model.fit(X, y, tasks=tasks), alone)
    skipping = FMRLRegressor(
        learner, step_size=ARUBA((1e6, 0.01), **rest), on_bad_task="skip", **raw
    ).fit(X, y, tasks=tasks)
    assert skipping.n_tasks_skipped_ == 1
    assert skipping.n_tasks_seen_ == alone.n_tasks_seen_ - 1


def test_a_bad_task_counts_against_no_candidate():
    X, y, tasks = make(FMRLRegressor)
    good = tasks != tasks[0]
    model = FMRLRegressor(step_size=ARUBA(SEVERAL), on_bad_task="skip")
    expected = copy.deepcopy(model).fit(X[good], y[good], tasks=tasks[good])
    X[0] = np.nan
    model.fit(X, y, tasks=tasks)
    for name in ATTRIBUTES[:-1]:
        assert_array_equal(getattr(model, name), getattr(expected, name))


def test_a_failed_call_changes_nothing():
    X, y, tasks = make(FMRLRegressor)
    model = FMRLRegressor(step_size=ARUBA(SEVERAL)).fit(X, y, tasks=tasks)
    before = copy.deepcopy(model)
    bad = np.where(tasks == tasks[-1], np.nan, y)
    with pytest.raises(ValueError, match="y is nan"):
        model.partial_fit(X, bad, tasks=tasks)
    assert_equal_models(model, before)
    rows = tasks == tasks[0]
    model.partial_fit(X[rows], y[rows])
    before.partial_fit(X[rows], y[rows])
    assert_equal_models(model, before)


@pytest.mark.parametrize("meta_batch_size", [1, 5])
def test_adapting_and_reports_follow_the_leader(meta_batch_size):
    X, y, tasks = make(FMRLRegressor)
    rule = ARUBA(SEVERAL, per_coordinate=True)
    model = FMRLRegressor(step_size=rule, meta_batch_size=meta_batch_size)
    model.fit(X, y, tasks=tasks)
    assert_array_equal(model.adapt(X[:3], y[:3]).eta0, model.step_size_)
    report = regret_report(model, X, y, tasks)
    loss = model.history_["loss"] * model.history_["n_samples"]
    assert_allclose(report.loss, loss, rtol=1e-9)
    assert (report.regret <= report.bound * (1 + 1e-9)).all()


def test_with_a_learner_of_whole_tasks():
    X, y, tasks = make(FMRLRegressor)
    model = FMRLRegressor(BiasedRidge(), step_size=ARUBA(SEVERAL))
    model.fit(X, y, tasks=tasks)
    singles = [
        FMRLRegressor(BiasedRidge(), step_size=ARUBA(eps)).fit(X, y, tasks=tasks)
        for eps in SEVERAL
    ]
    losses = [
        single.history_["loss"] @ single.history_["n_samples"] for single in singles
    ]
    assert model.history_["loss"] @ model.history_["n_samples"] < max(losses)


@pytest.mark.parametrize(
    "eps", [(), [0.1, 0.0], [[0.1]], ["a"], [0.1, np.nan], "a", 0.0]
)
def test_scales_must_be_positive(eps):
    with pytest.raises(ValueError, match="'eps' parameter of ARUBA must be"):
        FMRLRegressor(step_size=ARUBA(eps)).partial_fit([[1.0], [2.0]], [1.0, 2.0])


def test_the_number_of_candidates_cannot_change():
    model = FMRLRegressor(step_size=ARUBA(SEVERAL)).partial_fit([[1.0]], [1.0])
    model.set_params(step_size=ARUBA(0.3))
    with pytest.raises(ValueError, match="step_size changed.*Call fit"):
        model.partial_fit([[1.0]], [1.0])
