"""The compiled loop in units and with candidates, against the NumPy loop."""

import pickle
from contextlib import contextmanager

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import load_kernel
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from problems import assert_equal_models, stream

from skmeta import FMRLClassifier, FMRLRegressor, _kernels
from skmeta._batch import Task
from skmeta._fmrl._state import HISTORY
from skmeta._units import Moments
from skmeta.linear_model import OGDClassifier, OGDRegressor
from skmeta.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from skmeta.meta_step_size import FollowTheLeader
from skmeta.step_size import ARUBA, Doubling

RULES = {
    "fixed": "fixed",
    "doubling": Doubling(radius=0.5),
    "isotropic": "isotropic",
    "per_coordinate": ARUBA(per_coordinate=True),
    "candidates": ARUBA((0.05, 0.4, 3.0), zeta=0.7, p=0.5),
    "one candidate": ARUBA([0.4]),
    "default": None,
}
CONTAINERS = {"float64": np.array, "float32": np.float32, "csr": sp.csr_array}
LOSSES = {**REGRESSION_LOSSES, **CLASSIFICATION_LOSSES}
del LOSSES["quantile"]
# on both sides of a vector and of two
WIDTHS = [1, 2, 7, 8, 9, 16, 19]
NAMES = ["coef_", "intercept_", "step_size_", "task_coef_", "task_intercept_"]
NUMBERS = ["n_samples", "loss", "distance", "grad_sq_norm", "step_size"]


@contextmanager
def kernel_of(name):
    """Run the package on one of its two kernels."""
    load_kernel(name)
    suffix = {"compiled": "fast", "numpy": "py"}[name]
    with pytest.MonkeyPatch.context() as patch:
        for key, function in _kernels._load(suffix).items():
            patch.setattr(_kernels, key, function)
        patch.setattr(_kernels, "COMPILED", name == "compiled")
        yield


def make_rows(rng, n_features, n_tasks=9, n_classes=0, least=1, most=9):
    """X, y, tasks and weights: columns on many scales, far from zero, one constant."""
    lengths = rng.integers(least, most + 1, n_tasks)
    tasks = np.repeat(np.arange(n_tasks), lengths)
    X = rng.normal(size=(len(tasks), n_features))
    y = X.sum(axis=1) + rng.normal(size=(n_tasks,))[tasks] + rng.normal(size=len(X))
    X = X * 10.0 ** rng.integers(-2, 3, n_features) + rng.normal(size=n_features)
    if n_features > 1:
        X[:, 1] = 0.1
    if n_classes:
        y = rng.integers(0, n_classes, len(y))
    else:
        y = 30.0 * y + 200.0
    return X, y, tasks, rng.uniform(0.2, 3.0, len(y))


def make_model(loss, rule, n_classes, intercept=True, update="implicit", **params):
    given = [20.0] if loss in ("huber", "epsilon_insensitive") else []
    given = [0.8] if loss == "pinball" else given
    kinds = (FMRLClassifier, OGDClassifier) if n_classes else (FMRLRegressor,)
    kind, inner = (*kinds, OGDRegressor)[:2]
    inner = inner(LOSSES[loss](*given), fit_intercept=intercept, update=update)
    return kind(inner, step_size=RULES[rule], **params)


def learn(name, model, calls, classes):
    """The model after calls of partial_fit on a kernel."""
    with kernel_of(name):
        for call in calls:
            model.partial_fit(**call, **classes)
    return model


def assert_same_numbers(one, other, tolerance=1e-9):
    for name in NAMES:
        found, expected = getattr(one, name), getattr(other, name)
        scale = np.abs(expected).max()
        assert_allclose(found, expected, tolerance, tolerance * scale, err_msg=name)
    for name in NUMBERS:
        found, expected = one.history_[name], other.history_[name]
        scale = np.abs(expected).max()
        assert_allclose(found, expected, tolerance, tolerance * scale, err_msg=name)
    assert one.n_tasks_skipped_ == other.n_tasks_skipped_
    for part in ("rule_state", "meta_state"):
        found, expected = (getattr(each._learned, part) for each in (one, other))
        assert_allclose(found, expected, tolerance, err_msg=part)
    if one.standardize:
        found, expected = (each._learned.moments.array for each in (one, other))
        assert_allclose(found, expected, 1e-10, 1e-12, err_msg="moments")


def compare(model, calls, n_classes):
    """Learn on both kernels; returns the compiled model."""
    classes = {"classes": np.arange(n_classes)} if n_classes else {}
    twin = type(model)(**model.get_params(deep=False))
    compiled = learn("compiled", model, calls, classes)
    assert_same_numbers(compiled, learn("numpy", twin, calls, classes))
    return compiled


def in_calls(X, y, tasks, weight, convert):
    """All tasks, then every other one again: it starts at its own parameters."""
    again = tasks % 2 == 0
    for rows in (slice(None), again):
        one = {"X": convert(X[rows]), "y": y[rows], "tasks": tasks[rows]}
        yield one | ({} if weight is None else {"sample_weight": weight[rows]})


# ---- the kernel and its twin


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("loss", LOSSES)
def test_kernels_agree(loss, rule, container):
    """Where rounding does not decide: a task of one row would return to a kink.

    So would rows that an initialization interpolates which follows all rows.
    """
    rng = np.random.default_rng(sum(map(ord, loss + rule)))
    n_classes = int(rng.integers(2, 4)) if loss in CLASSIFICATION_LOSSES else 0
    n_features = int(rng.choice([3, 10]))
    X, y, tasks, weight = make_rows(rng, n_features, 7, n_classes, least=2)
    calls = list(in_calls(X, y, tasks, weight, CONTAINERS[container]))
    model = make_model(loss, rule, n_classes, meta_step_size=FollowTheLeader())
    compare(model, calls, n_classes)


@st.composite
def problems(draw):
    loss = draw(st.sampled_from(["squared_error", "huber", "log_loss"]))
    n_classes = draw(st.sampled_from([2, 3, 5])) if loss == "log_loss" else 0
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    most = draw(st.sampled_from([2, 5, 20]))
    X, y, tasks, weight = make_rows(
        rng, draw(st.sampled_from(WIDTHS)), n_classes=n_classes, most=most
    )
    if draw(st.booleans()):  # interleaved: rows are read through an order
        mixed = rng.permutation(len(y))
        X, y, tasks, weight = X[mixed], y[mixed], tasks[mixed], weight[mixed]
    standardize = draw(st.sampled_from([True, True, False]))
    # raw, a square that overflows may be multiplied by a slope of zero, or first
    flaws = [np.nan, np.inf, *([1e200, 1e308] if standardize else [])]
    for t in draw(st.lists(st.integers(0, 8), max_size=3)):
        where = rng.choice(np.flatnonzero(tasks == t))
        X[where, 0] = draw(st.sampled_from(flaws))
    model = make_model(
        loss,
        draw(st.sampled_from(list(RULES))),
        n_classes,
        intercept=draw(st.booleans()),
        update=draw(st.sampled_from(["implicit", "ogd"])),
        meta_step_size=draw(st.sampled_from([FollowTheLeader(), 0.0, 0.6])),
        task_parameter=draw(st.sampled_from(["last", "average"])),
        standardize=standardize,
        on_bad_task="skip",
    )
    convert = CONTAINERS[draw(st.sampled_from(["float64", "float64", "float32"]))]
    weight = weight if draw(st.booleans()) else None
    with np.errstate(over="ignore"):
        return model, list(in_calls(X, y, tasks, weight, convert)), n_classes


@settings(max_examples=60)
@given(problem=problems())
def test_kernels_agree_on_any_problem(problem):
    compare(*problem)


@pytest.mark.parametrize("rule", ["isotropic", "default"])
def test_the_default_is_compiled_from_end_to_end(rule, compiled, monkeypatch):
    rng = np.random.default_rng(0)
    X, y, tasks, _ = make_rows(rng, 10)

    def refused(*arguments):
        raise AssertionError("a task was learned in Python")

    monkeypatch.setattr(_kernels, "run_task", refused)
    model = FMRLRegressor(step_size=RULES[rule])
    model.fit(X, y, tasks=tasks)
    stream(model, X, y, tasks)
    assert model.n_tasks_seen_ == 18


@pytest.mark.parametrize("loss", LOSSES)
def test_the_parameter_of_a_loss_is_proportional_to_the_unit_or_free_of_it(loss):
    """The compiled loop knows no other way to rescale it."""
    given = [0.7] if loss in ("huber", "epsilon_insensitive", "pinball") else []
    one = LOSSES[loss](*given)
    moved = [one.in_units(factor).parameter for factor in (0.5, 3.0)]
    proportional = np.multiply(one.parameter, [0.5, 3.0])
    assert moved in ([one.parameter] * 2, proportional.tolist())


# ---- moments


@pytest.mark.parametrize("lengths", [(3, 40, 5), (40, 3, 5), (1, 1, 30), (400, 300)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("n_features", [3, 8, 21])
def test_moments_are_those_of_all_rows(kernel, n_features, shift, weighted, lengths):
    rng = np.random.default_rng(n_features)
    tasks = np.repeat(np.arange(len(lengths)), lengths)
    X = rng.normal(size=(len(tasks), n_features)) + 3.0 * rng.normal(size=n_features)
    X, y = X + shift, rng.normal(size=len(X)) - shift
    weight = rng.uniform(0.1, 5.0, len(y)) if weighted else np.ones(len(y))
    model = FMRLRegressor().fit(X, y, tasks=tasks, sample_weight=weight)
    columns = np.column_stack([X, y])
    mean = np.average(columns, axis=0, weights=weight)
    squares = weight @ (columns - mean) ** 2
    moments = model._learned.moments
    assert_allclose(moments.n_rows, weight.sum(), rtol=1e-13)
    assert_allclose(moments.mean, mean, rtol=1e-12)
    assert_allclose(moments.squares, squares, rtol=1e-9)


def test_moments_without_intercept_are_sums_of_squares(kernel):
    rng = np.random.default_rng(1)
    X, y, tasks, weight = make_rows(rng, 9)
    model = FMRLRegressor(OGDRegressor(fit_intercept=False))
    model.fit(X, y, tasks=tasks, sample_weight=weight)
    moments = model._learned.moments
    assert not moments.mean.any()
    squares = weight @ np.column_stack([X, y]) ** 2
    assert_allclose(moments.squares, squares, rtol=1e-12)


def test_a_constant_that_no_float_holds_has_not_varied(kernel):
    """The mean of 0.1 is 0.1, exactly, whatever the lengths of the tasks."""
    rng = np.random.default_rng(2)
    X, y, tasks, _ = make_rows(rng, 12, n_tasks=30, most=40)
    model = FMRLRegressor().fit(X, y, tasks=tasks)
    assert model._learned.moments.mean[1] == 0.1
    assert model._learned.moments.squares[1] == 0.0
    assert not model.task_coef_[:, 1].any()


def test_moments_merge_as_those_of_one_task():
    rng = np.random.default_rng(3)
    X, y, _, weight = make_rows(rng, 4, n_tasks=20)
    whole, parts = Moments(4), Moments(4)
    whole.observe(Task(X, y, weight), centered=True)
    for rows in np.array_split(np.arange(len(y)), 7):
        parts.observe(Task(X[rows], y[rows], weight[rows]), centered=True)
    assert_allclose(parts.array, whole.array, rtol=1e-10)


# ---- all or nothing


@pytest.mark.parametrize("rule", ["isotropic", "default"])
@pytest.mark.parametrize("flaw", [np.nan, np.inf, 1e200, -1e308])
def test_a_bad_first_task_leaves_nothing_behind(kernel, flaw, rule):
    rng = np.random.default_rng(4)
    X, y, tasks, _ = make_rows(rng, 10)
    good = tasks > 0
    options = {"step_size": RULES[rule], "on_bad_task": "skip"}
    expected = FMRLRegressor(**options).fit(X[good], y[good], tasks=tasks[good])
    X[0, 3], y[tasks == 0] = flaw, 1e6
    model = FMRLRegressor(**options)
    model.partial_fit(X[~good], y[~good], tasks=tasks[~good])
    assert model.n_tasks_skipped_ == 1
    assert not model.coef_.any() and model.intercept_ == 0.0
    assert not model._learned.moments.array.any()
    model.partial_fit(X[good], y[good], tasks=tasks[good])
    names = ["coef_", "intercept_", "step_size_", "history_", "task_coef_"]
    assert_equal_models(model, expected, names)


def test_a_task_that_diverges_leaves_moments_as_they_were(kernel):
    rng = np.random.default_rng(5)
    X, y, tasks, _ = make_rows(rng, 10, most=60)
    inner = OGDRegressor(update="ogd", eta0=1e9, max_iter=50)
    model = FMRLRegressor(inner, step_size="fixed", on_bad_task="skip")
    model.partial_fit(X, y, tasks=tasks)
    assert model.n_tasks_skipped_ > 0
    lengths = np.bincount(tasks)
    assert model._learned.moments.n_rows == model.history_["n_samples"].sum()
    assert model._learned.moments.n_rows < lengths.sum()


def test_a_leader_that_diverges_loses_its_lead_alone(kernel):
    """Its task is left out; another candidate, which learned it, leads from then on."""
    rng = np.random.default_rng(6)
    X, y, tasks, _ = make_rows(rng, 10, most=60)
    inner = OGDRegressor(update="ogd", max_iter=50)
    rule = ARUBA((1e9, 0.05), p=0.0)
    model = FMRLRegressor(inner, step_size=rule, on_bad_task="skip")
    model.fit(X, y, tasks=tasks)
    assert model.n_tasks_skipped_ >= 1
    losses = model._learned.rule_state[:, 2, 0, 0]
    assert losses[0] == np.inf and np.isfinite(losses[1])


# ---- units do not matter


@st.composite
def changes(draw):
    n_features = draw(st.sampled_from(WIDTHS))
    scale = st.floats(-3, 3).map(lambda power: 10.0**power)
    shift = st.floats(-100, 100)
    columns = [
        (draw(scale) * draw(st.sampled_from([-1.0, 1.0])), draw(shift))
        for _ in range(n_features)
    ]
    return np.array(columns), draw(scale), draw(shift), draw(st.integers(0, 2**20))


@given(change=changes(), rule=st.sampled_from(["fixed", "isotropic", "per_coordinate"]))
def test_units_of_columns_and_target_do_not_matter(kernel, change, rule):
    """Unless a column varies by rounding errors only in the few rows of a first task,
    or the target does not vary there.
    """
    columns, unit, offset, seed = change
    rng = np.random.default_rng(seed)
    X, y, tasks, _ = make_rows(rng, len(columns), n_tasks=6, least=5, most=12)
    moved, target = X * columns[:, 0] + columns[:, 1], unit * y + offset
    one = FMRLRegressor(step_size=RULES[rule]).fit(X, y, tasks=tasks)
    other = FMRLRegressor(step_size=RULES[rule]).fit(moved, target, tasks=tasks)
    predicted = unit * one.predict(X, tasks=tasks) + offset
    scale = np.abs(predicted).max() + unit * np.ptp(y)
    assert_allclose(
        other.predict(moved, tasks=tasks), predicted, rtol=1e-6, atol=1e-6 * scale
    )
    assert_allclose(other.history_["distance"], one.history_["distance"], rtol=1e-5)


# ---- what the kernel refuses


def call_kernel(compiled, units=(True, 2, False), candidates=None, **changed):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(6, 3)), rng.normal(size=6)
    starts = np.array([0, 2, 6], dtype=np.intp)
    inner = OGDRegressor().inner_learner((1, 4))
    plan = compiled.Plan(
        inner,
        step_size="aruba",
        step_size_parameters=(1.0, 1.0, 1.0, 1.0, 1.0),
        n_etas=1,
        eta0=np.ones((1, 1)),
        divide_by_root=False,
        meta_step_size="ftl",
        meta_parameters=(),
        average=False,
        candidates=candidates,
        units=units,
    )
    history = np.zeros(2, HISTORY)
    arguments = {
        "batch": (X, y, None, starts, None),
        "first": 0,
        "last": 2,
        "plan": plan,
        "phi": np.zeros((1, 4)),
        "rule_state": np.ones(2 if candidates is None else 3 * len(candidates)),
        "meta_state": np.zeros(1),
        "n_tasks": 0,
        "own": None,
        "own_index": None,
        "history": history,
        "parameters": None,
        "grad_sq": None,
        "moments": np.zeros(9),
        "phi_given": False,
    }
    return compiled.learn_tasks(**arguments | changed)


TWO = [(eps, 1.0, 1.0, 1.0, 1.0) for eps in (0.5, 1.0)]


@pytest.mark.parametrize("candidates", [None, TWO], ids=["one", "two"])
@pytest.mark.parametrize("units", [None, (True, 2, False)], ids=["raw", "units"])
def test_the_kernel_takes_these_arguments(compiled, units, candidates):
    assert call_kernel(compiled, units, candidates) == 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"moments": None}, "dense rows and from moments"),
        ({"moments": np.zeros(8)}, "moments must have 9 entries"),
        ({"moments": np.zeros(9, np.float32)}, "moments: the kernel cannot read"),
        ({"rule_state": np.ones(3)}, "state of the step size must have 2 entries"),
        ({"grad_sq": np.zeros((2, 1))}, "A meta-batch has one candidate, and no units"),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_units_are_an_error(compiled, changed, message):
    with pytest.raises(ValueError, match=message):
        call_kernel(compiled, **changed)


def test_arguments_that_do_not_fit_candidates_are_an_error(compiled):
    with pytest.raises(ValueError, match="must have 6 entries"):
        call_kernel(compiled, None, TWO, rule_state=np.ones(4))
    with pytest.raises(ValueError, match="A meta-batch has one candidate"):
        call_kernel(compiled, None, TWO, grad_sq=np.zeros((2, 1)))
    with pytest.raises(ValueError, match="no loss of degree 3"):
        call_kernel(compiled, (True, 3, False))
    with pytest.raises(ValueError, match="at least one candidate"):
        call_kernel(compiled, None, [])


def test_a_plan_is_the_same_after_pickling(compiled):
    rng = np.random.default_rng(0)
    X, y, tasks, _ = make_rows(rng, 3)
    model = FMRLRegressor().fit(X, y, tasks=tasks)
    twin = pickle.loads(pickle.dumps(model))
    model.partial_fit(X, y, tasks=tasks)
    twin.partial_fit(X, y, tasks=tasks)
    assert_array_equal(twin.coef_, model.coef_)
