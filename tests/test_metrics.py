"""What is guaranteed: every function by hand, and every guarantee on any data."""

import pickle
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import SGDRegressor
from theory_models import make, model_for
from theory_reference import (
    LOSSES,
    PIECEWISE_LINEAR,
    mixed_task,
    project,
    random_task,
    run_task,
    stack,
    theta_of,
)

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta._meta import _record
from skmeta.linear_model import BiasedRidge, OGDClassifier, OGDRegressor
from skmeta.meta_step_size import LinearDecay
from skmeta.metrics import (
    RegretReport,
    omniscient,
    regret_bound,
    regret_report,
    risk_bound,
    task_similarity,
)
from skmeta.step_size import ARUBA, Doubling

ROUNDING = 1e-11  # relative to the sum of the sizes of all terms of an inequality

seeds = st.integers(0, 2**32 - 1)
scales = st.floats(-2.0, 2.0).map(lambda power: 10.0**power)


# ---- the omniscient baseline


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "hinge"])
def test_omniscient_is_the_mean_of_the_optima(loss, global_random_seed):
    tasks = make(loss, global_random_seed)
    model = model_for(tasks[0], inner={"radius": 5.0} if loss == "log_loss" else None)
    before = pickle.dumps(vars(model))
    best = omniscient(model, *stack(tasks))
    assert pickle.dumps(vars(model)) == before
    assert_array_equal(best.optima, regret_report(model, *stack(tasks)).optima)
    assert_allclose(best.init, best.optima.mean(axis=0))
    assert (best.V, best.radius) == task_similarity(best.optima)
    model.set_params(init=best.init, meta_step_size=0.0)
    X, y, labels = stack(tasks)
    assert_allclose(theta_of(model.fit(X, y, tasks=labels)), best.init)


def test_omniscient_beats_the_single_task_baseline():
    """Tasks far from zero and close together."""
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(200, 3)), np.repeat(np.arange(40), 5)
    w = np.array([5.0, -3.0, 4.0]) + 0.1 * rng.normal(size=(40, 3))
    y = (X * w[labels]).sum(axis=1)
    model = FMRLRegressor(meta_step_size=0.0, standardize=False)
    best = omniscient(model, X, y, labels)
    assert best.radius < 1.0
    single = regret_report(model, X, y, labels)
    knowing = regret_report(model.set_params(init=best.init), X, y, labels)
    assert knowing.task_averaged_regret < 0.1 * single.task_averaged_regret
    assert knowing.certificate < 0.1 * single.certificate


# ---- (G1) and (G2): regret and certificate

STEP_SIZES = ["constant", "invsqrt", "doubling", "isotropic", "per_coordinate"]


def draw_model(data, task, update, step_size, radius):
    """A meta-estimator with whatever else there is to choose drawn at random."""
    inner = {"update": update}
    inner["radius"] = radius
    inner["max_iter"] = data.draw(st.sampled_from([1, 3]), label="max_iter")
    if step_size in ("constant", "invsqrt"):
        inner["eta0"] = data.draw(scales, label="eta0")
        inner["learning_rate"] = step_size
        rule = "fixed"
    elif step_size == "doubling":
        lipschitz = data.draw(scales, label="G")
        rule = Doubling(data.draw(scales, label="D"), gamma=1.5, lipschitz=lipschitz)
    else:
        eps, zeta = (data.draw(scales, label=name) for name in ("eps", "zeta"))
        rule = ARUBA(eps, zeta=zeta, per_coordinate=step_size == "per_coordinate")
    return model_for(
        task,
        inner=inner,
        step_size=rule,
        task_parameter=data.draw(st.sampled_from(["last", "average"])),
        meta_step_size=data.draw(st.sampled_from(["ftl", 0.5])),
        meta_batch_size=data.draw(st.integers(1, 3), label="meta_batch_size"),
    )


def draw_tasks(data, loss, kind=random_task, n_classes=None):
    rng = np.random.default_rng(data.draw(seeds, label="seed"))
    if n_classes is None:
        n_classes = data.draw(st.sampled_from([2, 3]), label="n_classes")
    tasks = [
        kind(rng, loss, data.draw(st.integers(3, 6)), 2, n_classes=n_classes)
        for _ in range(4)
    ]
    scale = data.draw(scales, label="scale")
    for task in tasks:
        task.X *= scale
    return rng, tasks


def replay(model, tasks):
    """A report; an explicit step that is too long for the scale is no example."""
    try:
        return regret_report(model, *stack(tasks))
    except ValueError as error:
        assert "diverged (NaN or infinity)" in str(error)
        assert model.estimator.update != "implicit"
        reject()


def check_certificate(report):
    """Per task (G1), and (G2) on average."""
    assert report.covered
    size = report.loss + report.optimal_loss + report.bound
    assert (report.regret <= report.bound + ROUNDING * size).all()
    assert report.task_averaged_regret <= report.certificate + ROUNDING * size.mean()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("update", ["ogd", "implicit", "ftrl"])
@pytest.mark.parametrize(
    ("step_size", "ball"),
    [(name, False) for name in STEP_SIZES] + [(name, True) for name in STEP_SIZES[:-1]],
    ids=lambda value: {True: "ball", False: "free"}.get(value, value),
)
@settings(max_examples=3)
@given(data=st.data())
def test_certificate_against_any_parameters(loss, update, step_size, ball, data):
    """The optima replaced by random parameters of the ball: it holds for all."""
    radius = data.draw(scales, label="radius") if ball else None
    rng, tasks = draw_tasks(data, loss)
    model = draw_model(data, tasks[0], update, step_size, radius)
    size = data.draw(scales, label="size")

    def comparator(task, center, in_ball):
        theta = center + size * rng.normal(size=center.shape)
        return project(theta, None if in_ball == np.inf else in_ball)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_record, "optimum", comparator)
        check_certificate(replay(model, tasks))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("update", ["ogd", "implicit", "ftrl"])
@settings(max_examples=4)
@given(data=st.data())
def test_certificate_against_the_optima(loss, update, data):
    few = loss in PIECEWISE_LINEAR  # which have a slow solver
    step_size = data.draw(st.sampled_from(STEP_SIZES), label="step_size")
    ball = not few and step_size != "per_coordinate" and data.draw(st.booleans())
    radius = data.draw(scales, label="radius") if ball else None
    kind = random_task if ball or loss != "log_loss" else mixed_task
    _, tasks = draw_tasks(data, loss, kind, n_classes=2 if few else None)
    model = draw_model(data, tasks[0], update, step_size, radius)
    check_certificate(replay(model, tasks[:2] if few else tasks))


@pytest.mark.parametrize("loss", PIECEWISE_LINEAR)
def test_certificate_against_optima_of_kinks_in_the_ball(loss, global_random_seed):
    tasks = make(loss, global_random_seed, random_task, (3, 3))
    model = model_for(tasks[0], inner={"radius": 0.4, "update": "ftrl"})
    report = regret_report(model, *stack(tasks))
    check_certificate(report)
    norms = np.linalg.norm(report.optima, axis=(1, 2))
    assert (norms <= 0.4 * (1.0 + 1e-12)).all()


@pytest.mark.parametrize(
    ("inner", "step_size", "covered"),
    [
        ({}, "per_coordinate", True),
        ({"radius": 1.0}, "isotropic", True),
        ({"radius": 1.0}, "per_coordinate", False),
        ({"radius": 1.0, "eta0": [0.1, 0.2, 0.3]}, "fixed", False),
        ({"radius": 1.0, "update": "eg"}, "fixed", False),
    ],
    ids=str,
)
def test_what_the_certificate_covers(inner, step_size, covered):
    tasks = make("squared_error", 0)
    model = model_for(tasks[0], inner=inner, step_size=step_size)
    report = regret_report(model, *stack(tasks))
    assert report.covered is covered
    assert ("does not cover this update" in str(report)) is not covered


# ---- the report


def by_hand(model, tasks):
    """A report from `partial_fit` and `adapt`, for tasks of one length."""
    rows, phi = [], np.zeros(tasks[0].shape)
    for t, task in enumerate(tasks):
        if t:
            adapted = model.adapt(task.X, task.y)
            eta, grad_sq = adapted.eta0, adapted.grad_sq_
            losses = adapted.losses_
        else:  # nothing to adapt yet: eps / zeta = 1
            eta, update = 1.0, model.estimator.update
            run = run_task(task, phi, eta, update, model.estimator.radius)
            each = np.size(model.estimator.eta0) > 1 or "per" in str(model.step_size)
            grad_sq = run.squares if each else run.squares.sum()
            losses = run.losses
        rows.append((losses.sum(), phi, eta, grad_sq))
        options = {"classes": np.arange(task.n_classes)} if task.n_classes else {}
        model.partial_fit(task.X, task.y, tasks=t, **options)
        phi = theta_of(model)
    return rows


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "huber"])
@pytest.mark.parametrize("update", ["ogd", "implicit", "ftrl"])
@pytest.mark.parametrize(
    "step_size", ["isotropic", ARUBA(per_coordinate=True)], ids=str
)
def test_report_is_what_partial_fit_and_adapt_tell(
    loss, update, step_size, kernel, global_random_seed
):
    tasks = make(loss, global_random_seed)
    model = model_for(tasks[0], inner={"update": update}, step_size=step_size)
    report = regret_report(model, *stack(tasks))
    losses, starts, etas, squares = zip(*by_hand(clone(model), tasks), strict=True)
    assert report.labels == [0, 1, 2]
    assert_array_equal(report.n_samples, [len(task.y) for task in tasks])
    close = {"rtol": 1e-9, "atol": 1e-12}
    assert_allclose(report.loss, losses, **close)
    terms = [
        regret_bound(*parts)
        for parts in zip(report.optima, starts, etas, squares, strict=True)
    ]
    assert_allclose(report.distance_term, [term[0] for term in terms], **close)
    assert_allclose(report.gradient_term, [term[1] for term in terms], **close)
    pairs = zip(tasks, report.optima, strict=True)
    at_optima = [task.value(theta) for task, theta in pairs]
    assert_allclose(report.optimal_loss, at_optima, **close)
    if loss == "squared_error":
        solved = [np.linalg.lstsq(task.design, task.y)[0] for task in tasks]
        assert_allclose(report.optima[:, 0], solved, rtol=1e-8)
    total = sum(np.sum(one) for one in squares)
    rate = np.sqrt(total / report.n_samples.sum())
    assert_allclose(report.lipschitz, rate, rtol=1e-9)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"meta_batch_size": 2},
        {"task_parameter": "average", "step_size": "doubling"},
        {"task_parameter": "optimum"},
        {"task_parameter": "regularized", "meta_batch_size": 3},
        {"meta_step_size": 0.3, "step_size": "fixed"},
        {"estimator__shuffle": True, "random_state": 3},
        {"estimator__max_iter": 4, "meta_step_size": LinearDecay(n_tasks=5)},
    ],
    ids=str,
)
def test_report_replays_what_fit_does(loss, params, kernel, global_random_seed):
    tasks = make(loss, global_random_seed, sizes=(3, 5, 4, 4, 3))
    model = model_for(tasks[0]).set_params(**params)
    X, y, labels = stack(tasks)
    report = regret_report(model, X, y, labels)
    model.fit(X, y, tasks=labels)
    history = model.history_
    m = history["n_samples"]
    assert_array_equal(report.n_samples, m)
    assert_allclose(report.loss, history["loss"] * m, rtol=1e-12)
    gradient_term = history["step_size"] / 2 * history["grad_sq_norm"]
    assert_allclose(report.gradient_term, gradient_term, rtol=1e-12)
    rate = np.sqrt(history["grad_sq_norm"].sum() / m.sum())
    assert_allclose(report.lipschitz, rate, rtol=1e-12)


def test_tasks_of_a_batch_share_their_start(global_random_seed):
    """The distance terms from zero, and from the mean of the first two tasks."""
    tasks = make("squared_error", global_random_seed, sizes=(4, 4, 4, 4))
    model = model_for(tasks[0], meta_batch_size=2, step_size="fixed")
    report = regret_report(model, *stack(tasks))
    X, y, labels = stack(tasks[:2])
    start = theta_of(model.fit(X, y, tasks=labels))
    starts = [np.zeros((1, 3)), np.zeros((1, 3)), start, start]
    expected = ((report.optima - starts) ** 2).sum(axis=(1, 2)) / (2.0 * 0.1)
    assert_allclose(report.distance_term, expected, rtol=1e-11)


@pytest.fixture
def report():
    """Three tasks with round numbers."""
    return RegretReport(
        labels=["a", "b", "c"],
        n_samples=np.array([2, 4, 6]),
        loss=np.array([3.0, 8.0, 9.0]),
        optimal_loss=np.array([1.0, 4.0, 6.0]),
        distance_term=np.array([1.0, 2.0, 3.0]),
        gradient_term=np.array([2.0, 3.0, 1.0]),
        optima=np.array([[[3.0, 0.0]], [[3.0, 4.0]], [[3.0, 8.0]]]),
        lipschitz=0.5,
        covered=True,
    )


def test_what_follows_from_the_fields(report):
    assert_array_equal(report.regret, [2.0, 4.0, 3.0])
    assert_array_equal(report.bound, [3.0, 5.0, 4.0])
    assert report.task_averaged_regret == 3.0
    assert report.certificate == 4.0
    assert_allclose(report.V, np.sqrt(32.0 / 3.0))
    assert report.D == 4.0
    assert_allclose(report.R, np.sqrt(73.0))
    assert_allclose(report.advantage, report.R / report.V)
    assert_allclose(report.single_task_figure, np.sqrt(73.0) * 0.5 * 2.0)
    assert_allclose(report.lower_bound_rate, 4.0 * 0.5 * 2.0)
    expected = risk_bound([1.5, 2.0, 1.5], delta=0.1, loss_bound=3.0)
    assert report.risk_bound(delta=0.1, loss_bound=3.0) == expected
    with pytest.raises(ValueError, match="loss_bound=1.9"):
        report.risk_bound(delta=0.1, loss_bound=1.9)


def test_advantage_of_equal_tasks_is_infinite(report):
    equal = replace(report, optima=np.ones((3, 1, 2)))
    assert equal.advantage == np.inf
    assert "inf" in str(equal)


LINES = {
    "tasks": ("3", "4 samples each"),
    "task-averaged regret": ("3", "below the certificate"),
    "certificate (G2)": ("4", "mean of the bounds (G1)"),
    "  distance term": ("2", ""),
    "  gradient term": ("2", ""),
    "V": ("3.266", "spread of the optima"),
    "D": ("4", "largest distance of an optimum to their mean"),
    "R": ("8.544", "largest norm of an optimum"),
    "advantage R / V": ("2.616", ""),
    "single-task figure": ("8.544", "R G sqrt(m)"),
    "lower-bound rate": ("4", "D G sqrt(m), constant unknown"),
}


def test_report_as_text(report):
    lines = str(report).splitlines()
    assert len(lines) == len(LINES)
    for line, (name, (value, remark)) in zip(lines, LINES.items(), strict=True):
        assert line.startswith(name)
        assert line.removeprefix(name).split() == [value, *remark.split()]
        assert line == line.rstrip()


def test_report_as_html(report):
    table = ElementTree.fromstring(report._repr_html_())
    assert table.tag == "table"
    cells = [tuple(cell.text or "" for cell in row) for row in table.iter("tr")]
    expected = [(name, *rest) for name, rest in LINES.items()]
    assert cells == expected


def test_html_is_escaped(report, monkeypatch):
    rows = [("name", 1.0, "a < b & <script>")]
    monkeypatch.setattr(RegretReport, "_rows", lambda self: rows)
    html = report._repr_html_()
    assert "<script>" not in html
    *_, remark = ElementTree.fromstring(html).iter("td")
    assert remark.text == "a < b & <script>"


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"loss": np.array([9.0, 9.0, 9.0])}, "above the certificate"),
        ({"covered": False}, "the certificate does not cover this update"),
    ],
    ids=["above", "not-covered"],
)
def test_verdict(report, change, verdict):
    assert verdict in str(replace(report, **change)).splitlines()[1]


def test_report_as_a_frame(report):
    frame = report.to_frame()
    assert frame.index.name == "task"
    assert frame.index.tolist() == ["a", "b", "c"]
    names = ["n_samples", "loss", "optimal_loss", "regret", "bound"]
    assert frame.columns.tolist() == [*names, "distance_term", "gradient_term"]
    for name in frame.columns:
        assert_array_equal(frame[name], getattr(report, name))


@pytest.mark.parametrize(
    "labels", [[("a", 1), ("b", 2), ("c", 3)], [("a", 1), 2, "x"]], ids=str
)
def test_frame_of_labels_of_any_kind(report, labels):
    assert replace(report, labels=labels).to_frame().index.tolist() == labels


@pytest.mark.parametrize("fitted", [False, True], ids=["new", "fitted"])
def test_estimator_is_left_untouched(fitted, global_random_seed):
    tasks = make("log_loss", global_random_seed)
    model = model_for(tasks[0], inner={"shuffle": True}, random_state=0)
    X, y, labels = stack(tasks)
    fresh = regret_report(model, X, y, labels)
    if fitted:
        model.fit(X[::-1], y[::-1], tasks=labels)
    before = pickle.dumps(vars(model))
    again = regret_report(model, X, y, labels)
    assert pickle.dumps(vars(model)) == before
    assert_array_equal(again.loss, fresh.loss)  # of a clone, from the start


def test_shuffling_is_that_of_the_seed():
    tasks = make("squared_error", 0)
    model = model_for(tasks[0], inner={"shuffle": True}, random_state=1)
    shuffled = regret_report(model, *stack(tasks))
    other = regret_report(model.set_params(random_state=2), *stack(tasks))
    assert (shuffled.loss != other.loss).all()
    assert_allclose(shuffled.optimal_loss, other.optimal_loss, rtol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_separable_tasks_in_the_ball_of_the_learner(n_classes, global_random_seed):
    tasks = make(
        "log_loss", global_random_seed, random_task, (3, 3), n_classes=n_classes
    )
    X, y, labels = stack(tasks)
    y = np.array(["no", "yes", "maybe"])[y]
    model = FMRLClassifier(OGDClassifier(radius=2.0), step_size="isotropic")
    model.set_params(standardize=False)
    report = regret_report(model, X, y, labels)
    check_certificate(report)
    assert (report.radius, report.n_without_optimum) == (np.inf, 0)
    shape = (2, 3 if n_classes == 3 else 1, 3)
    assert report.optima.shape == shape
    assert_allclose(np.linalg.norm(report.optima, axis=(1, 2)), 2.0, rtol=1e-6)


def test_frame_with_a_task_column(global_random_seed):
    tasks = make("squared_error", global_random_seed)
    X, y, labels = stack(tasks)
    names = np.array(["x", "y", "z"])[labels]
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(who=names)
    expected = regret_report(FMRLRegressor(), X, y, names)
    actual = regret_report(FMRLRegressor(task_column="who"), frame, y)
    assert actual.labels == expected.labels == ["x", "y", "z"]
    assert_array_equal(actual.loss, expected.loss)
    assert_array_equal(actual.bound, expected.bound)
    best = omniscient(FMRLRegressor(task_column="who"), frame, y, None)
    assert_array_equal(best.optima, expected.optima)


def test_containers_of_the_same_numbers(global_random_seed):
    """Interleaved tasks in a sparse matrix."""
    tasks = make("huber", global_random_seed)
    X, y, labels = stack(tasks)
    model = model_for(tasks[0])
    expected = regret_report(model, X, y, labels)
    rows = np.argsort(np.arange(len(y)) % 8, kind="stable")
    actual = regret_report(model, sp.csr_matrix(X[rows]), y[rows], labels[rows])
    assert_allclose(actual.loss, expected.loss, rtol=1e-11)
    assert_allclose(actual.bound, expected.bound, rtol=1e-7)


def test_all_rows_are_one_task_without_labels():
    task = random_task(np.random.default_rng(0), "squared_error")
    report = regret_report(FMRLRegressor(), task.X, task.y)
    labelled = regret_report(FMRLRegressor(), task.X, task.y, np.zeros(8))
    assert_array_equal(report.loss, labelled.loss)
    assert (report.V, report.D, report.n_samples.tolist()) == (0.0, 0.0, [8])


def test_report_needs_gradients():
    model = FMRLRegressor(SGDRegressor(), step_size="fixed")
    for function in (regret_report, omniscient):
        with pytest.raises(ValueError, match="SGDRegressor reports no losses, grad"):
            function(model, np.eye(2), [0.0, 1.0], [0, 1])


def test_bad_tasks_are_named():
    tasks = make("squared_error", 0)
    X, y, labels = stack(tasks)
    X[labels == 1] *= 1e200
    with pytest.raises(ValueError, match="Task 1.* diverged"):
        model = FMRLRegressor(OGDRegressor(update="ogd"), standardize=False)
        regret_report(model, X, y, labels)
    X[labels == 1] = np.nan
    with pytest.raises(ValueError, match="Task 1: X contains NaN"):
        regret_report(FMRLRegressor(), X, y, labels)


def test_learners_of_full_losses_are_reported(global_random_seed):
    """History and report agree on their prequential losses too."""
    tasks = make("squared_error", global_random_seed)
    X, y, labels = stack(tasks)
    model = FMRLRegressor(BiasedRidge(2.0), step_size="fixed")
    report = regret_report(model, X, y, labels)
    history = model.fit(X, y, tasks=labels).history_
    assert_allclose(report.loss, history["loss"] * history["n_samples"], rtol=1e-12)
    check_certificate(report)
