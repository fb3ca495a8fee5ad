"""The page that maps the papers' algorithms to parameters, row by row.

Every row of its table is run and compared with the definition.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import theory_reference as theory
from numpy.testing import assert_allclose
from theory_reference import shares, stack, task_parameters, theta_of

from skmeta import FMRLRegressor
from skmeta.linear_model import BiasedRidge, OGDRegressor
from skmeta.meta_step_size import Discounted, FollowTheLeader, LinearDecay
from skmeta.metrics import (
    dynamic_similarity,
    omniscient,
    quadratic_growth,
    regret_report,
)
from skmeta.step_size import ARUBA, EWOO, Doubling, FullMatrix, SimilarityFTL

PAGE = Path(__file__).parents[1] / "doc" / "algorithms.rst"
ETA, SHAPE = 0.05, (1, 3)
ZERO = np.zeros(SHAPE)
FTL = {"meta_step_size": FollowTheLeader()}


@pytest.fixture(scope="module")
def tasks():
    rng = np.random.default_rng(0)
    return [theory.random_task(rng, "huber", n_samples=m) for m in (5, 8, 6, 9, 7)]


@pytest.fixture(scope="module")
def squares():
    """Tasks of the squared error."""
    rng = np.random.default_rng(1)
    return [theory.random_task(rng, "squared_error", n_samples=m) for m in (5, 8, 6)]


def fit(tasks, inner=None, **params):
    """FMRL to the letter, with `inner` parameters of OGD or a learner."""
    X, y, labels = stack(tasks)
    if not isinstance(inner, BiasedRidge):
        options = {"update": "ogd"} | (inner or {})
        inner = OGDRegressor(**tasks[0].options | options)
    model = FMRLRegressor(inner, standardize=False, **FTL | params)
    return model.fit(X, y, tasks=labels)


def assert_learned(model, run, tolerance=1e-9):
    """The shared initialization and the parameters of the tasks are these."""
    options = {"rtol": tolerance, "atol": tolerance}
    assert_allclose(theta_of(model), run.phi, **options)
    assert_allclose(task_parameters(model, SHAPE), run.parameters, **options)


def check(tasks, rule, share="ftl", *, inner=None, params=None, start=ZERO, **options):
    """FMRL learns what the definition says."""
    model = fit(tasks, inner, **params or {})
    share = share if callable(share) else shares(share)
    assert_learned(model, theory.learn(tasks, start, rule, share, **options))
    return model


def check_updates(updates):
    def run(tasks, squares):
        for update in updates:
            inner = {"update": update, "eta0": ETA}
            params = {"step_size": "fixed"}
            rule = theory.Fixed(ETA)
            check(tasks, rule, inner=inner, params=params, update=update)

    return run


def averaged(tasks, squares):
    inner, params = {"eta0": ETA}, {"step_size": "fixed", "task_parameter": "average"}
    parameter = theory.average_iterate
    check(tasks, theory.Fixed(ETA), inner=inner, params=params, parameter=parameter)


def regularized(tasks, squares):
    def parameter(task, run, start, eta):
        return theory.regularised_leader(task, start, 1.0 / eta)

    params = {"step_size": ETA, "task_parameter": "regularized"}
    check(squares, theory.Fixed(ETA), params=params, parameter=parameter)


def nearest_optimum(task, start):
    """Of the squared error."""
    residuals = task.y - task.design @ start[0]
    return start + np.linalg.pinv(task.design) @ residuals


def average_leader(tasks, squares):
    few = [task.rows(slice(m)) for task, m in zip(squares, (2, 8, 1), strict=True)]

    def parameter(task, run, start, eta):
        return nearest_optimum(task, start)

    params = {"step_size": ETA, "task_parameter": "optimum"}
    check(few, theory.Fixed(ETA), params=params, parameter=parameter)


def doubling(tasks, squares):
    params = {"step_size": Doubling(0.02, gamma=1.5, lipschitz=0.5)}
    model = check(tasks, theory.Doubling(0.02, 1.5, 0.5), params=params)
    assert model.step_size_ > 0.02 / (0.5 * np.sqrt(len(tasks[-1].y)))  # it has doubled
    params = {"step_size": "doubling", "task_parameter": "average"}
    fit(tasks, **params)


def mirror_descent(tasks, squares):
    inner = {"update": "eg", "radius": 2.0, "eta0": ETA}
    options = {"update": "eg", "radius": 2.0}
    params = {"step_size": "fixed"}
    check(tasks, theory.Fixed(ETA), inner=inner, params=params, **options)
    check_updates(["ogd", "implicit", "ftrl"])(tasks, squares)


def full_losses(tasks, squares):
    params = {"step_size": ETA}
    rule = theory.Fixed(ETA)
    check(squares, rule, inner=BiasedRidge(), params=params, update="full")


def biased_regularisation(tasks, squares):
    full_losses(tasks, squares)

    def parameter(task, run, start, eta):
        return theory.regularised_leader(task, start, 1.0 / eta)

    params = {"step_size": "fixed", "task_parameter": "regularized"}
    options = {"update": "full", "parameter": parameter}
    inner = BiasedRidge(alpha=1.0 / ETA)
    check(squares, theory.Fixed(ETA), inner=inner, params=params, **options)


def check_rules(*pairs, share="ftl", **params):
    def run(tasks, squares):
        for make, reference in pairs:
            check(tasks, reference(), share, params={"step_size": make(), **params})

    return run


def aruba_plus_plus(tasks, squares):
    c, rule = 0.7, theory.Aruba(0.5, 2.0, 1.0, each=True)
    step_size = ARUBA(0.5, zeta=2.0, per_coordinate=True, shrink=c)
    model = check(tasks, rule, params={"step_size": step_size})
    task, theta, total = tasks[0], theta_of(model), np.zeros(SHAPE)
    for i in range(len(task.y)):
        gradient = task.rows([i]).gradient(theta)
        theta = theta - np.sqrt(rule.b / (rule.g + c * total)) * gradient
        total += gradient**2
    assert_allclose(theta_of(model.adapt(task.X, task.y)), theta, rtol=1e-9)


def drifting(tasks, squares):
    params = {
        "step_size": ARUBA(0.5, decay=0.2),
        "meta_step_size": Discounted(half_life=2.0),
    }
    rule = theory.Aruba(0.5, 1.0, 1.0, each=False, decay=0.2)
    check(tasks, rule, theory.Discount(2.0), params=params)


def online_to_batch(tasks, squares):
    model = fit(tasks, {"eta0": ETA}, step_size="fixed", random_state=0)
    run = theory.learn(tasks, ZERO, theory.Fixed(ETA), shares("ftl"))
    task = tasks[0]
    for init, expected in (("mean", np.mean(run.starts, axis=0)), ("draw", None)):
        start = np.reshape(getattr(model, f"init_{init}_"), SHAPE)
        if expected is None:
            expected = min(run.starts, key=lambda phi: np.abs(phi - start).max())
        assert_allclose(start, expected, rtol=1e-9, atol=1e-12)
        adapted = theory.run_task(task, start, ETA, "ogd")
        found = model.adapt(task.X, task.y, init=init)
        assert_allclose(theta_of(found), adapted.last, rtol=1e-9)


def between_tasks(tasks, squares):
    for name in ("ftl", "aogd"):
        params = {"step_size": ETA, "meta_step_size": name}
        check(tasks, theory.Fixed(ETA), params=params)


def reptile(tasks, squares):
    inner = {"eta0": ETA, "update": "ogd"}
    for meta, share in ((0.1, shares("constant", 0.1)), (None, shares("linear", 0.6))):
        meta = LinearDecay(0.6, final=0.2, n_tasks=5) if meta is None else meta
        for size in (1, 2):
            params = {"step_size": "fixed", "meta_step_size": meta}
            params["meta_batch_size"] = size
            options = {"inner": inner, "params": params, "batch_size": size}
            check(tasks, theory.Fixed(ETA), share, **options)


def with_own_runs(tasks, inner, learn_task, **params):
    """Follow the leader with a learner that `theory.learn` does not have."""

    def parameter(task, run, start, eta):
        return learn_task(task, start)

    run = theory.learn(
        tasks, ZERO, theory.Fixed(ETA), shares("ftl"), parameter=parameter
    )
    assert_learned(fit(tasks, inner, **params), run)


def ltl_sgd(tasks, squares):
    def learn_task(task, start):
        theta, total = start, np.zeros(SHAPE)
        for i in range(len(task.y)):
            total = total + task.rows([i]).gradient(theta)
            theta = start - ETA / (i + 1) * total
        return theta

    inner = {"update": "ftrl", "learning_rate": "inverse", "eta0": ETA}
    with_own_runs(tasks, inner, learn_task, step_size="fixed")


def coin_betting(tasks, squares):
    def learn_task(task, start):
        steepest = 0.4  # of the Huber loss of this epsilon
        unit = steepest * np.linalg.norm(task.design, axis=1).max()
        theta, coins, wealth = start, np.zeros(SHAPE), 1.0
        for i in range(len(task.y)):
            coin = -task.rows([i]).gradient(theta) / unit
            wealth += (coin * (theta - start)).sum()
            coins = coins + coin
            theta = start + coins / (i + 2) * wealth  # row i + 1 has been seen
        return theta

    with_own_runs(tasks, {"update": "coin"}, learn_task)


def constant(value):
    def run(tasks, squares):
        params = {"step_size": ETA, "meta_step_size": value}
        share = shares("constant", value)
        model = check(tasks, theory.Fixed(ETA), share, params=params)
        last = task_parameters(model, SHAPE)[-1]
        assert_allclose(theta_of(model), last if value else ZERO)

    return run


def knows_all_tasks(tasks, squares):
    params = {"step_size": ETA, "meta_step_size": 0.0}
    best = omniscient(fit(squares, **params), *stack(squares))
    optima = [nearest_optimum(task, ZERO) for task in squares]
    assert_allclose(best.init, np.mean(optima, axis=0), rtol=1e-6)
    share, params = shares("constant", 0.0), params | {"init": best.init}
    check(squares, theory.Fixed(ETA), share, params=params, start=best.init)


def certificate(tasks, squares):
    model = fit(squares, step_size=ETA)
    report = regret_report(model, *stack(squares))
    run = theory.learn(squares, ZERO, theory.Fixed(ETA), shares("ftl"))
    for t, (task, one) in enumerate(zip(squares, run.runs, strict=True)):
        optimum = nearest_optimum(task, ZERO)
        assert_allclose(report.regret[t], one.losses.sum() - task.value(optimum))
        distance = ((optimum - run.starts[t]) ** 2).sum()
        bound = distance / (2 * ETA) + ETA / 2 * one.squares.sum()
        assert_allclose(report.bound[t], bound)
    assert report.task_averaged_regret <= report.certificate


def against_a_path(tasks, squares):
    model = fit(squares, step_size=ETA, meta_step_size=0.5)
    path = np.array([0.1 * t + ZERO for t in range(len(squares))])
    report = regret_report(model, *stack(squares), path=path)
    parameters = task_parameters(model, SHAPE)
    lengths = [np.linalg.norm(b - a) for a, b in zip(path[:-1], path[1:], strict=True)]
    squared = ((parameters - path) ** 2).sum(axis=(1, 2))
    expected = np.sqrt(squared.mean()), np.sum(lengths)
    assert_allclose((report.V_path, report.path_length), expected)
    assert_allclose(dynamic_similarity(parameters, path), expected)
    assert report.dynamic_regret <= report.dynamic_bound


def growth(tasks, squares):
    task, delta = squares[1], 0.5
    optimum = nearest_optimum(task, ZERO)
    radius = 1.01 * np.linalg.norm(optimum)
    found = quadratic_growth(task.X, task.y, delta, radius, loss="squared_error")
    directions = np.random.default_rng(0).normal(size=(5000, *SHAPE))
    directions /= np.linalg.norm(directions, axis=(1, 2), keepdims=True)
    around = optimum + delta * directions
    inside = around[np.linalg.norm(around, axis=(1, 2)) <= radius]
    least = min(task.value(theta) for theta in inside) - task.value(optimum)
    assert 0 < found <= least


ROWS = {
    "FMRL, follow the last iterate (FLI), online": check_updates(["ogd", "ftrl"]),
    "FLI with averaged iterates": averaged,
    "FLI, batch (meta-regularisation)": regularized,
    "FMRL, follow the average leader (FAL)": average_leader,
    "FMRL with unknown task similarity": doubling,
    "FMRL, general mirror descent": mirror_descent,
    "FMRL on full losses, as in its experiments": full_losses,
    "ARUBA, task similarity by eps-FTL": check_rules(
        (
            lambda: SimilarityFTL(0.3, lipschitz=2.0),
            lambda: theory.SimilarityLearner(0.3, 2.0),
        )
    ),
    "ARUBA, task similarity by eps-EWOO": check_rules(
        (
            lambda: EWOO(0.3, diameter=3.0, lipschitz=2.0),
            lambda: theory.SimilarityLearner(0.3, 2.0, diameter=3.0),
        )
    ),
    "ARUBA, isotropic": check_rules(
        (
            lambda: ARUBA(0.5, zeta=2.0, p=0.5),
            lambda: theory.Aruba(0.5, 2.0, 0.5, each=False),
        ),
        (lambda: "isotropic", lambda: theory.Aruba(1.0, 1.0, 1.0, each=False)),
    ),
    "ARUBA, per coordinate": check_rules(
        (
            lambda: ARUBA(0.5, per_coordinate=True),
            lambda: theory.Aruba(0.5, 1.0, 1.0, each=True),
        )
    ),
    "ARUBA, full matrix": check_rules(
        (
            lambda: FullMatrix(0.5, zeta=2.0, p=0.5),
            lambda: theory.FullMatrix(0.5, 2.0, 0.5, SHAPE),
        )
    ),
    "ARUBA++": aruba_plus_plus,
    "ARUBA for tasks that drift": drifting,
    "Online-to-batch conversion": online_to_batch,
    "Follow the leader, adaptive OGD between tasks": between_tasks,
    "Reptile": reptile,
    "Biased regularisation, LTL": biased_regularisation,
    "LTL with stochastic gradient descent (LTL-SGD)": ltl_sgd,
    "Parameter-free meta-learning (Denevi, Stamos, Pontil, 2020), within tasks": (
        coin_betting
    ),
    "Single-task baseline": constant(0.0),
    "Strawman: start where the last task ended": constant(1.0),
    "Omniscient baseline": knows_all_tasks,
    "Task-averaged regret and its certificate": certificate,
    "Regret against a path, for tasks that drift": against_a_path,
    "Quadratic growth, which FLI assumes": growth,
}


def names_of_rows():
    """The first cells of the table of the papers' algorithms."""
    page = PAGE.read_text(encoding="utf-8")
    section = page.split("\nThe papers' algorithms\n---")[1].split("\nUnits\n---")[0]
    cells = re.findall(r"^   \* - (.*?)\n     - ", section, re.S | re.M)
    return [" ".join(cell.split()) for cell in cells][1:]  # without the header


@pytest.mark.skipif(not PAGE.exists(), reason="the page is not beside the tests")
def test_every_row_of_the_page_is_tested():
    assert names_of_rows() == list(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_row_is_the_algorithm(name, tasks, squares):
    ROWS[name](tasks, squares)
