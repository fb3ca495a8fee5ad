"""Parts of a third party: every kind of part in a few lines, with public names alone.

The parts stand in `third_party`, a file for each. The development guide quotes what
stands there between the lines "begin" and "end".
"""

from __future__ import annotations

import copy
import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from third_party.inner_learner import LMSLearner, LMSRegressor
from third_party.loss_with_kinks import OverAndUnder
from third_party.meta_step_size import ExponentialAverage
from third_party.smooth_loss import LogCosh
from third_party.step_size import BestOnAverage

from skmeta import FMRLRegressor, step_size
from skmeta.datasets import make_task_regression
from skmeta.linear_model import Capability, OGDClassifier, OGDRegressor, Outcome
from skmeta.losses import Hinge, Pinball
from skmeta.meta_step_size import FollowTheLeader, MetaStepSize
from skmeta.metrics import regret_report
from skmeta.step_size import StepSize


class SteepestLearner(LMSLearner):
    """Gradient descent in fixed order, for which the regret bound (G1) is proved."""

    can = LMSLearner.can | {Capability.STEPS}
    guarantee = "G1"

    def step(self, n_samples):
        return np.full((1, 1), self.rate)

    def run(self, task, start, eta, *, average):
        theta, losses, grad_sq = start.copy(), np.zeros(len(task.y)), np.zeros((1, 1))
        design = np.column_stack([task.X, np.ones(len(task.y))])
        for i, x in enumerate(design):
            gradient = (theta[0] @ x - task.y[i]) * x
            losses[i] = (theta[0] @ x - task.y[i]) ** 2 / 2
            grad_sq += gradient @ gradient
            theta[0] -= eta[0, 0] * gradient
        return Outcome(theta, losses=losses, grad_sq=grad_sq)


class SteepestRegressor(LMSRegressor):
    def inner_learner(self, shape, classes):
        return SteepestLearner(self.rate)


PARTS = {
    "step_size": lambda **kw: FMRLRegressor(step_size=BestOnAverage(0.2), **kw),
    "meta_step_size": lambda **kw: FMRLRegressor(
        meta_step_size=ExponentialAverage(5.0), **kw
    ),
    "smooth_loss": lambda **kw: FMRLRegressor(OGDRegressor(LogCosh()), **kw),
    "loss_with_kinks": lambda **kw: FMRLRegressor(OGDRegressor(OverAndUnder()), **kw),
    "explicit_steps": lambda **kw: FMRLRegressor(
        OGDRegressor(LogCosh(), update="ogd"), **kw
    ),
    "inner_learner": lambda **kw: FMRLRegressor(LMSRegressor(), **kw),
    "learner_with_claim": lambda **kw: FMRLRegressor(SteepestRegressor(0.05), **kw),
    "all": lambda **kw: FMRLRegressor(
        OGDRegressor(LogCosh(), average=True),
        step_size=BestOnAverage(0.2),
        meta_step_size=ExponentialAverage(5.0),
        **kw,
    ),
}
CLAIMS = set(PARTS) - {"inner_learner"}  # of LMSLearner, whose guarantee is None
N_FEATURES = 5

each_part = pytest.mark.parametrize("part", PARTS)
in_any_units = pytest.mark.parametrize("standardize", [False, True])


@pytest.fixture(scope="module")
def rows():
    """X, y, tasks of 20 tasks of 10 rows; task 19 is new to models of `known`."""
    X, y, tasks = make_task_regression(
        n_tasks=20, n_samples=10, n_features=N_FEATURES, random_state=3
    )
    return X, y, tasks


@pytest.fixture
def known(rows):
    X, y, tasks = rows
    old = tasks != np.unique(tasks)[-1]
    return X[old], y[old], tasks[old]


@pytest.fixture
def new(rows):
    X, y, tasks = rows
    last = tasks == np.unique(tasks)[-1]
    return X[last], y[last]


def weights_of(model):
    return np.append(model.coef_, model.intercept_)


# ---- they work


@in_any_units
@each_part
def test_part_learns_and_adapts(part, standardize, known, new):
    X, y, tasks = known
    X_new, y_new = new
    model = PARTS[part](standardize=standardize).fit(X, y, tasks=tasks)
    nothing = ((y_new - y.mean()) ** 2).mean()
    shared = ((y_new - model.predict(X_new)) ** 2).mean()
    adapted = model.adapt(X_new[:6], y_new[:6])
    assert shared < nothing
    assert ((y_new[6:] - adapted.predict(X_new[6:])) ** 2).mean() < nothing
    assert not np.allclose(weights_of(adapted), weights_of(model))


@in_any_units
@each_part
def test_known_tasks_are_predicted_better_by_their_own_parameters(
    part, standardize, known
):
    X, y, tasks = known
    model = PARTS[part](standardize=standardize).fit(X, y, tasks=tasks)
    own = ((y - model.predict(X, tasks=tasks)) ** 2).mean()
    assert own < ((y - model.predict(X)) ** 2).mean()


@in_any_units
@each_part
def test_fit_equals_one_call_per_task(part, standardize, known):
    X, y, tasks = known
    model = PARTS[part](standardize=standardize)
    whole, stream = clone(model).fit(X, y, tasks=tasks), clone(model)
    for task in np.unique(tasks):
        stream.partial_fit(X[tasks == task], y[tasks == task], tasks=task)
    assert_array_equal(weights_of(stream), weights_of(whole))
    assert_array_equal(stream.step_size_, whole.step_size_)
    assert_array_equal(stream.task_coef_, whole.task_coef_)


@each_part
def test_task_that_returns_continues(part, known):
    X, y, tasks = known
    model = PARTS[part]().fit(X, y, tasks=tasks)
    before = model.task_coef_[2].copy()
    rows = tasks == model.task_labels_[2]
    model.partial_fit(X[rows], y[rows], tasks=model.task_labels_[2])
    assert not np.array_equal(model.task_coef_[2], before)
    assert model.n_tasks_seen_ == len(np.unique(tasks)) + 1


@each_part
def test_meta_batches_do_not_depend_on_jobs(part, known):
    X, y, tasks = known
    one, two = (
        PARTS[part](meta_batch_size=4, n_jobs=n).fit(X, y, tasks=tasks) for n in (1, 2)
    )
    assert_array_equal(weights_of(two), weights_of(one))


@in_any_units
@each_part
def test_bound_holds_where_it_is_claimed(part, standardize, known):
    few = [array[:60] for array in known]
    report = regret_report(PARTS[part](standardize=standardize), *few)
    assert (report.regret >= -1e-9).all()
    if part in CLAIMS:
        assert report.covered
        assert (report.regret <= report.bound * (1 + 1e-9)).all()


def test_no_bound_is_claimed_for_a_learner_that_does_not_claim_it(known):
    few = [array[:60] for array in known]
    report = regret_report(PARTS["inner_learner"](), *few)
    assert not report.covered
    assert "below the certificate" not in str(report)


@each_part
def test_original_part_is_left_untouched(part, known):
    X, y, tasks = known
    model = PARTS[part]()
    before = copy.deepcopy(model.get_params())
    model.fit(X, y, tasks=tasks).adapt(X[:3], y[:3])
    for name, value in model.get_params().items():
        assert repr(value) == repr(before[name])


def test_parameters_of_parts_can_be_searched(known):
    X, y, tasks = known
    frame = np.column_stack([X, tasks])
    grid = {
        "step_size__first": [0.01, 0.3],
        "meta_step_size__half_life": [1.0, 50.0],
    }
    model = PARTS["all"](task_column=N_FEATURES)
    search = GridSearchCV(model, grid, cv=2).fit(frame, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert len(set(scores)) == 4


# ---- they compute what they say


def test_step_size_follows_its_formula(known):
    X, y, tasks = known
    model = PARTS["step_size"](standardize=False).fit(X, y, tasks=tasks)
    history = model.history_
    distances = np.cumsum(history["distance"] ** 2)
    gradients = np.cumsum(history["grad_sq_norm"])
    expected = np.sqrt(distances / gradients)
    assert_allclose(model.step_size_, expected[-1], rtol=1e-12)
    assert_allclose(history["step_size"], [0.2, *expected[:-1]], rtol=1e-12)


def test_meta_step_size_remembers(known):
    X, y, tasks = known
    model = PARTS["meta_step_size"](standardize=False).fit(X, y, tasks=tasks)
    n_samples = model.history_["n_samples"]
    ages = np.arange(len(n_samples))[::-1]
    weights = np.sqrt(n_samples) * 0.5 ** (ages / 5.0)
    expected = np.average(model.task_coef_, axis=0, weights=weights)
    assert_allclose(model.coef_, expected, rtol=1e-10)


def test_smooth_loss_is_minimised(known):
    X, y, tasks = known
    model = FMRLRegressor(
        OGDRegressor(LogCosh()), task_parameter="optimum", standardize=False
    ).fit(X, y, tasks=tasks)
    rows = tasks == model.task_labels_[0]
    residual = X[rows] @ model.task_coef_[0] + model.task_intercept_[0] - y[rows]
    gradient = np.tanh(residual) @ np.column_stack([X[rows], np.ones(rows.sum())])
    assert_allclose(gradient, 0, atol=1e-7)


def test_loss_with_kinks_equals_the_pinball_loss(known):
    X, y, tasks = known
    own = FMRLRegressor(OGDRegressor(OverAndUnder(0.2, 0.8), eta0=0.3))
    named = FMRLRegressor(OGDRegressor(Pinball(0.8), eta0=0.3))
    models = [
        clone(model).set_params(step_size="fixed", standardize=False)
        for model in (own, named)
    ]
    for model in models:
        model.fit(X, y, tasks=tasks)
    assert_allclose(weights_of(models[0]), weights_of(models[1]), rtol=1e-9)


def test_inner_learner_leaves_a_part_of_the_residual():
    X, y = np.array([[1.0, 2.0]]), np.array([3.0])
    model = FMRLRegressor(LMSRegressor(0.75), standardize=False).partial_fit(X, y)
    assert_allclose(model.predict(X), 0.75 * y)
    assert_allclose(model.adapt(X, y).predict(X), y - 0.25 * 0.25 * y)


def test_adapted_estimator_is_one_of_the_third_party(known, new):
    X, y, tasks = known
    model = FMRLRegressor(LMSRegressor(0.3)).fit(X, y, tasks=tasks)
    adapted = model.adapt(*new)
    assert type(adapted) is LMSRegressor
    assert adapted.rate == 0.3


def test_third_party_estimator_alone_equals_one_that_starts_at_zero(known, new):
    X, y, tasks = known
    model = FMRLRegressor(LMSRegressor(0.3), meta_step_size=0.0, standardize=False)
    adapted = model.fit(X, y, tasks=tasks).adapt(*new)
    assert_array_equal(weights_of(adapted), weights_of(LMSRegressor(0.3).fit(*new)))


def test_learner_without_steps_from_outside_refuses_a_learned_step_size(known):
    X, y, tasks = known
    model = FMRLRegressor(LMSRegressor(), step_size="isotropic")
    with pytest.raises(ValueError, match="LMSRegressor"):
        model.fit(X, y, tasks=tasks)


# ---- what they return is checked

WRONG_STEPS: dict[str, Any] = {
    "three_for_five_features": np.ones(3),
    "one_per_feature": np.ones(N_FEATURES),
    "flat_one_per_parameter": np.ones(N_FEATURES + 1),
    "transposed": np.ones((N_FEATURES + 1, 1)),
    "indefinite": (2.0 - np.eye(N_FEATURES + 1))[np.newaxis],
    "not_symmetric": np.tri(N_FEATURES + 1)[np.newaxis],
    "matrix_of_another_size": np.eye(N_FEATURES)[np.newaxis],
    "empty": np.zeros((0, 0)),
    "ragged": [[1.0], [2.0, 3.0]],
    "text": "large",
    "none": None,
    "complex": 0.1 + 0.1j,
    "nan": np.nan,
    "infinity": np.inf,
    "zero": 0.0,
    "negative": -0.1,
    "one_negative": np.r_[np.ones(N_FEATURES), -1.0][np.newaxis],
    "one_nan": np.r_[np.ones(N_FEATURES), np.nan][np.newaxis],
}
WRONG_STATES: dict[str, Any] = {
    "list": [0.0, 1.0],
    "integers": np.zeros(2, dtype=np.int64),
    "single_precision": np.zeros(2, dtype=np.float32),
    "number": 1.0,
    "none": None,
    "nan": np.array([np.nan]),
}
WRONG_SHARES: dict[str, Any] = {
    "text": "half",
    "none": None,
    "complex": 0.5j,
    "three": np.full(3, 0.5),
    "nan": np.nan,
    "infinity": np.inf,
    "negative": -0.01,
    "more_than_one": 1.01,
}
WRONG_NUMBERS: dict[str, Any] = {
    "three": np.ones(3),
    "text": "large",
    "none": None,
    "complex": 1j,
    "nan": np.nan,
    "infinity": np.inf,
}


def each_of(values):
    cases = [pytest.param(value, id=name) for name, value in values.items()]
    return pytest.mark.parametrize("wrong", cases)


def raises_naming(part, method):
    """An error whose message has the name of the class and of the method."""
    names = rf"{re.escape(type(part).__name__)}\W+{method}\b"
    return pytest.raises((ValueError, TypeError), match=names)


class WrongStep(StepSize):
    """Proposes 0.1 while fewer than `first` tasks were learned, `value` afterwards."""

    def __init__(self, value=0.1, first=0):
        self.value = value
        self.first = first

    def start(self, shape):
        return np.zeros(1)

    def propose(self, state, n_samples, eta0):
        return self.value if state[0] >= self.first else 0.1

    def observe(self, state, displacement, grad_sq, n_samples, n_tasks):
        state[0] = n_tasks


class WrongStart(WrongStep):
    def start(self, shape):
        return self.value

    def propose(self, state, n_samples, eta0):
        return 0.1

    def observe(self, state, displacement, grad_sq, n_samples, n_tasks):
        pass


class WrongObserve(WrongStep):
    def propose(self, state, n_samples, eta0):
        return 0.1

    def observe(self, state, displacement, grad_sq, n_samples, n_tasks):
        state[0] = np.nan


class WrongShare(MetaStepSize):
    def __init__(self, value=0.1, first=0):
        self.value = value
        self.first = first

    def share(self, state, n_tasks, weight, is_first):
        return self.value if n_tasks > self.first else 0.5


class WrongMetaStart(WrongShare):
    def start(self):
        return self.value

    def share(self, state, n_tasks, weight, is_first):
        return 0.5


def assert_refused(model, part, method, rows):
    """The error comes from `fit` and from `partial_fit`, and changes nothing."""
    X, y, tasks = rows
    first = tasks == tasks[0]
    with raises_naming(part, method):
        model.fit(X, y, tasks=tasks)
    with raises_naming(part, method):
        model.partial_fit(X[first], y[first])
    assert not hasattr(model, "coef_")


@in_any_units
@each_of(WRONG_STEPS)
def test_wrong_step_size_is_refused(wrong, standardize, known):
    part = WrongStep(wrong)
    model = FMRLRegressor(step_size=part, standardize=standardize)
    assert_refused(model, part, "propose", known)


@each_of(WRONG_STEPS)
def test_step_size_that_becomes_wrong_is_refused_and_changes_nothing(wrong, known):
    X, y, tasks = known
    part = WrongStep(wrong, first=2)
    model = FMRLRegressor(step_size=part)
    rows = [tasks == label for label in np.unique(tasks)]
    model.partial_fit(X[rows[0]], y[rows[0]])
    before = weights_of(model)
    both = rows[1] | rows[2]
    with raises_naming(part, "propose"):
        model.partial_fit(X[both], y[both], tasks=tasks[both])
    assert_array_equal(weights_of(model), before)
    assert model.n_tasks_seen_ == 1


@each_of(WRONG_STEPS)
def test_wrong_step_size_is_refused_by_adapt(wrong, known):
    X, y, tasks = known
    part = WrongStep(wrong, first=1)
    rows = tasks == tasks[0]
    model = FMRLRegressor(step_size=part).partial_fit(X[rows], y[rows])
    with raises_naming(part, "propose"):
        model.adapt(X[rows], y[rows])


@pytest.mark.parametrize("base", ["Doubling", "ARUBA", "Fixed"])
def test_subclass_of_a_compiled_rule_is_checked_too(base, known):
    kind = getattr(step_size, base)
    wrong = type("Derived", (kind,), {"propose": lambda *arguments: np.ones(3)})
    assert_refused(FMRLRegressor(step_size=wrong()), wrong(), "propose", known)


@each_of(WRONG_STATES)
def test_wrong_state_of_a_step_size_is_refused(wrong, known):
    part = WrongStart(wrong)
    assert_refused(FMRLRegressor(step_size=part), part, "start", known)


def test_state_that_becomes_nan_is_refused(known):
    X, y, tasks = known
    with pytest.raises(ValueError, match="WrongObserve"):
        FMRLRegressor(step_size=WrongObserve()).fit(X, y, tasks=tasks)


@in_any_units
@each_of(WRONG_SHARES)
def test_wrong_share_is_refused(wrong, standardize, known):
    part = WrongShare(wrong)
    model = FMRLRegressor(meta_step_size=part, standardize=standardize)
    assert_refused(model, part, "share", known)


@each_of(WRONG_SHARES)
def test_share_that_becomes_wrong_is_refused_and_changes_nothing(wrong, known):
    X, y, tasks = known
    part = WrongShare(wrong, first=1)
    rows = tasks == tasks[0]
    model = FMRLRegressor(meta_step_size=part).partial_fit(X[rows], y[rows])
    before = weights_of(model)
    with raises_naming(part, "share"):
        model.partial_fit(X, y, tasks=tasks)
    assert_array_equal(weights_of(model), before)
    assert model.n_tasks_seen_ == 1


@each_of(WRONG_STATES)
def test_wrong_state_of_a_meta_step_size_is_refused(wrong, known):
    part = WrongMetaStart(wrong)
    assert_refused(FMRLRegressor(meta_step_size=part), part, "start", known)


@each_of(WRONG_NUMBERS)
@pytest.mark.parametrize(
    ("method", "update"),
    [
        ("value", "ogd"),
        ("value", "implicit"),
        ("slope", "ogd"),
        ("slope", "ftrl"),
        ("proximal_slope", "implicit"),
    ],
)
def test_wrong_number_of_a_loss_is_refused(method, update, wrong, known):
    X, y, tasks = known
    loss = type("WrongLoss", (LogCosh,), {method: lambda *arguments: wrong})()
    inner = OGDRegressor(loss, update=update)
    with raises_naming(loss, method):
        FMRLRegressor(inner, standardize=False).fit(X, y, tasks=tasks)
    with raises_naming(loss, method):
        inner.fit(X, y)


def test_loss_may_return_python_floats(known):
    class Tilted(LogCosh):
        def f_value(self, s):
            return float(super().f_value(s)[0])

        def f_slope(self, s):
            return float(super().f_slope(s)[0])

    X, y, tasks = known
    models = [
        FMRLRegressor(
            OGDRegressor(loss, update="ogd"), meta_step_size=FollowTheLeader()
        ).fit(X, y, tasks=tasks)
        for loss in (Tilted(), LogCosh())
    ]
    assert_array_equal(*map(weights_of, models))


def test_loss_for_several_classes_returns_a_number_for_each():
    class Summed(Hinge):
        def value(self, y, z):
            return super().value(y, z).sum()

    X, y = np.eye(3), np.array([0, 1, 2])
    with raises_naming(Summed(), "value"):
        OGDClassifier(Summed()).fit(X, y)


def test_task_on_which_a_loss_overflows_can_be_left_out(known):
    class Exponential(LogCosh):
        def f_value(self, s):
            with np.errstate(over="ignore"):
                return super().f_value(s) + np.where(s > 100, np.exp(s + 1000), 0.0)

    X, y, tasks = known
    y = np.where(tasks == tasks[0], y - 200.0, y)
    model = FMRLRegressor(
        OGDRegressor(Exponential()), standardize=False, on_bad_task="skip"
    )
    model.fit(X, y, tasks=tasks)
    assert model.n_tasks_skipped_ == 1
    assert tasks[0] not in model.task_labels_
    model.set_params(on_bad_task="raise")
    with pytest.raises(ValueError, match=rf"{tasks[0]}.*Exponential.value"):
        model.fit(X, y, tasks=tasks)


WRONG_OUTCOMES: dict[str, Any] = {
    "no_last": lambda last: Outcome(None),  # type: ignore[arg-type]
    "none": lambda last: None,
    "array": lambda last: last,
    "flat": lambda last: Outcome(last[0]),
    "list": lambda last: Outcome(last.tolist()),
    "text": lambda last: Outcome(last.astype(str)),
    "nan": lambda last: Outcome(last * np.nan),
    "infinity": lambda last: Outcome(last + np.inf),
    "few_losses": lambda last: Outcome(last, losses=np.ones(3)),
    "one_loss": lambda last: Outcome(last, losses=1.0),  # type: ignore[arg-type]
    "nan_losses": lambda last: Outcome(last, losses=np.full(10, np.nan)),
    "flat_average": lambda last: Outcome(last, average=last[0]),
    "gradients_per_sample": lambda last: Outcome(last, grad_sq=np.ones(10)),
    "nan_gradients": lambda last: Outcome(last, grad_sq=np.full((1, 1), np.nan)),
}


@in_any_units
@each_of(WRONG_OUTCOMES)
def test_wrong_outcome_of_a_learner_is_refused(wrong, standardize, known):
    class WrongLearner(LMSLearner):
        def run(self, task, start, eta, *, average):
            return wrong(start.copy())

    class WrongRegressor(LMSRegressor):
        def inner_learner(self, shape, classes):
            return WrongLearner(self.rate)

    X, y, tasks = known
    model = FMRLRegressor(WrongRegressor(), standardize=standardize)
    with raises_naming(WrongLearner(0.5), "run"):
        model.fit(X, y, tasks=tasks)


def test_average_that_was_asked_for_and_is_missing_is_refused(known):
    class WrongLearner(LMSLearner):
        can = LMSLearner.can | {Capability.AVERAGE}

        def run(self, task, start, eta, *, average):
            return super().run(task, start, eta, average=average)._replace(average=None)

    class WrongRegressor(LMSRegressor):
        def inner_learner(self, shape, classes):
            return WrongLearner(self.rate)

    X, y, tasks = known
    model = FMRLRegressor(WrongRegressor(), task_parameter="average")
    with raises_naming(WrongLearner(0.5), "run"):
        model.fit(X, y, tasks=tasks)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_task_on_which_a_learner_ends_at_nan_can_be_left_out(wrong, known):
    X, y, tasks = known
    size = np.count_nonzero(tasks == tasks[0])

    class WrongLearner(LMSLearner):
        def run(self, task, start, eta, *, average):
            outcome = super().run(task, start, eta, average=average)
            is_first = len(task.y) == size and task.y[0] == y[0]
            return outcome._replace(last=start + wrong) if is_first else outcome

    class WrongRegressor(LMSRegressor):
        def inner_learner(self, shape, classes):
            return WrongLearner(self.rate)

    model = FMRLRegressor(WrongRegressor(), standardize=False, on_bad_task="skip")
    assert model.fit(X, y, tasks=tasks).n_tasks_skipped_ == 1
    assert np.isfinite(weights_of(model)).all()


@pytest.mark.parametrize("missing", ["losses", "grad_sq"])
def test_learner_that_does_not_return_what_it_says_is_refused(missing, known):
    class WrongLearner(LMSLearner):
        def run(self, task, start, eta, *, average):
            outcome = super().run(task, start, eta, average=average)
            return outcome._replace(**{missing: None})

    class WrongRegressor(LMSRegressor):
        def inner_learner(self, shape, classes):
            return WrongLearner(self.rate)

    X, y, tasks = known
    with raises_naming(WrongLearner(0.5), "run"):
        FMRLRegressor(WrongRegressor()).fit(X, y, tasks=tasks)


def test_problem_of_a_learner_names_the_task(known):
    class Refusing(LMSLearner):
        def run(self, task, start, eta, *, average):
            return Outcome(start, problem="the moon is full")

    class RefusingRegressor(LMSRegressor):
        def inner_learner(self, shape, classes):
            return Refusing(self.rate)

    X, y, tasks = known
    model = FMRLRegressor(RefusingRegressor())
    with pytest.raises(ValueError, match=rf"{tasks[0]}.*the moon is full"):
        model.fit(X, y, tasks=tasks)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("step_size", BestOnAverage),  # a class where an object is asked for
        ("step_size", ExponentialAverage()),
        ("step_size", object()),
        ("meta_step_size", ExponentialAverage),
        ("meta_step_size", BestOnAverage()),
        ("meta_step_size", object()),
    ],
)
def test_object_of_another_kind_is_refused(name, wrong, known):
    X, y, tasks = known
    with pytest.raises((ValueError, TypeError), match=name):
        FMRLRegressor(**{name: wrong}).fit(X, y, tasks=tasks)


@pytest.mark.parametrize("wrong", [LogCosh, object(), "log_cosh"])
def test_loss_of_another_kind_is_refused(wrong, known):
    X, y, tasks = known
    with pytest.raises((ValueError, TypeError), match="loss"):
        OGDRegressor(wrong).fit(X, y)


def test_inner_learner_of_another_kind_is_refused(known):
    class Odd(LMSRegressor):
        def inner_learner(self, shape, classes):
            return object()

    X, y, tasks = known
    with pytest.raises((ValueError, TypeError), match=r"Odd\W+inner_learner"):
        FMRLRegressor(Odd()).fit(X, y, tasks=tasks)
