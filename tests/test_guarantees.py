"""The guarantees (G1) and (G3), on any data, with no tolerance except for rounding.

(G1): against every parameter theta of the ball, the regret of a task is at most

    ||theta - phi||**2 / (2 eta) + eta / 2 * sum_i ||g_i||**2,

with one step size per parameter coordinate by coordinate. It is an equality at the last
iterate where the losses are linear between the iterates and nothing is projected.
"""

from dataclasses import dataclass

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from ogd_tools import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from theory_reference import theta_of

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta.linear_model import (
    BiasedLogisticRegression,
    BiasedRidge,
    OGDClassifier,
    OGDRegressor,
)
from skmeta.step_size import ARUBA, Doubling, Fixed

ROUNDING = 1e-11  # relative to the sum of the sizes of all terms of an inequality
STEP_SIZES = ["constant", "invsqrt", "doubling", "isotropic", "per_coordinate"]

each_loss = pytest.mark.parametrize("loss", REGRESSION_LOSSES + CLASSIFICATION_LOSSES)
each_update = pytest.mark.parametrize("update", ["ogd", "implicit"])
# Powers of ten that no explicit update drives to overflow within a few tasks.
scales = st.floats(-2.0, 2.0).map(lambda power: 10.0**power)
seeds = st.integers(0, 2**32 - 1)


@dataclass
class Rows:
    """The rows of one task."""

    X: np.ndarray
    y: np.ndarray  # as the estimators take it
    codes: list  # as the reference takes it
    weight: np.ndarray | None


@dataclass
class Setting:
    """A learner, and data of any scale."""

    rng: np.random.Generator
    options: dict  # of the learner
    shape: tuple  # of a parameter
    n_classes: int
    n_samples: int
    scale: tuple  # of features and of targets
    whole: bool  # whether all numbers are whole, so that residuals meet kinks
    weighted: bool

    def numbers(self, *shape):
        values = 2.0 * self.rng.normal(size=shape)
        return np.round(values) if self.whole else values

    def rows(self):
        n_features = self.shape[1] - 1
        X = self.scale[0] * self.numbers(self.n_samples, n_features)
        weight = self.rng.uniform(0.1, 3.0, self.n_samples) if self.weighted else None
        if not self.n_classes:
            y = self.scale[1] * self.numbers(self.n_samples)
            return Rows(X, y, y.tolist(), weight)
        y = self.rng.integers(self.n_classes, size=self.n_samples)
        return Rows(X, y, (2.0 * y - 1 if self.n_classes == 2 else y).tolist(), weight)

    def learner(self, **changes):
        estimator = OGDClassifier if self.n_classes else OGDRegressor
        return estimator(**self.options | changes)

    def teach(self, model, rows, **more):
        """One call of partial_fit."""
        if self.n_classes:
            more["classes"] = np.arange(self.n_classes)
        return model.partial_fit(rows.X, rows.y, sample_weight=rows.weight, **more)

    @property
    def loss(self):
        names = ("epsilon", "quantile")
        numbers = {name: self.options[name] for name in names if name in self.options}
        return reference.make_loss(self.options["loss"], **numbers)

    def grad_sq(self, rows, start, eta, total):
        """Squared gradients coordinate by coordinate, of which `total` is the sum.

        On whole numbers the implicit update ends on kinks but for rounding, where there
        is more than one subgradient; the bound holds for every one of them.
        """
        run = reference.run_task(
            rows.X.tolist(),
            rows.codes,
            start.tolist(),
            eta.tolist(),
            self.loss,
            update=self.options["update"],
            fit_intercept=self.options["fit_intercept"],
            sample_weight=rows.weight,
        )
        if not self.whole:
            assert_allclose(run.grad_sq_norm, total, rtol=1e-6, atol=1e-300)
        return run.grad_sq

    def in_the_ball(self, theta):
        theta = np.array(theta)
        if not self.options["fit_intercept"]:
            theta[:, -1] = 0.0
        return reference.project(theta.tolist(), self.options["radius"])

    def comparators(self, rows, start, end):
        """Parameters of the ball: random ones, and those that do well."""
        yield self.in_the_ball(np.zeros(self.shape))
        for share in (0.0, 0.3, 1.0, 1.1, 3.0):
            yield self.in_the_ball(start + share * (end - start))
        for _ in range(3):
            size = 10.0 ** self.rng.uniform(-3, 3)
            yield self.in_the_ball(start + size * self.rng.normal(size=self.shape))
        near = OGDClassifier if self.n_classes else OGDRegressor
        options = self.options | {"update": "implicit", "eta0": 1.0, "max_iter": 20}
        near = near(**options | {"learning_rate": "constant", "shuffle": False})
        if len(np.unique(rows.y)) > 1 or not self.n_classes:
            if self.n_classes != 3 or len(np.unique(rows.y)) == 3:
                near.fit(rows.X, rows.y, sample_weight=rows.weight)
                yield self.in_the_ball(theta_of(near))

    def check(self, rows, start, end, eta, losses, grad_sq):
        """(G1) for a run that summed up these losses and squared gradients."""
        for theta in self.comparators(rows, start, end):
            at_theta = sum(
                reference.losses_at(
                    theta,
                    rows.X.tolist(),
                    rows.codes,
                    self.loss,
                    fit_intercept=self.options["fit_intercept"],
                    sample_weight=rows.weight,
                )
            )
            bound = reference.certificate(theta, start.tolist(), eta, grad_sq)
            size = losses + at_theta + bound
            assert losses - at_theta <= bound + ROUNDING * size


@st.composite
def learning_settings(draw, loss, update, projected):
    is_regression = loss in REGRESSION_LOSSES
    n_classes = 0 if is_regression else draw(st.sampled_from([2, 3]))
    options = {
        "loss": loss,
        "update": update,
        "eta0": draw(scales),
        "radius": draw(scales) if projected else None,
        "fit_intercept": draw(st.booleans()),
    }
    if is_regression:
        options["epsilon"] = draw(st.sampled_from([0.0, 0.1, 3.0]))
        options["quantile"] = draw(st.floats(0.05, 0.95))
    return Setting(
        rng=np.random.default_rng(draw(seeds)),
        options=options,
        shape=(3 if n_classes == 3 else 1, draw(st.integers(1, 3)) + 1),
        n_classes=n_classes,
        n_samples=draw(st.integers(1, 6)),
        scale=(draw(scales), draw(scales)),
        whole=draw(st.booleans()),
        weighted=draw(st.booleans()),
    )


# ---- (G1)

balls = pytest.mark.parametrize("projected", [False, True], ids=["free", "ball"])
SINGLE = [("constant", False), ("invsqrt", False), ("array", False)]
SINGLE += [("constant", True), ("invsqrt", True)]


@each_loss
@each_update
@pytest.mark.parametrize(
    ("step_size", "projected"),
    SINGLE,
    ids=lambda value: {True: "ball", False: "free"}.get(value, value),
)
@settings(max_examples=12)
@given(data=st.data())
def test_regret_of_a_single_learner(loss, update, step_size, projected, data):
    case = data.draw(learning_settings(loss, update, projected))
    rng, m = case.rng, case.n_samples
    rows = case.rows()
    if step_size == "array":
        eta = case.options["eta0"] * 10.0 ** rng.uniform(-1, 1, case.shape)
        case.options["eta0"] = eta if case.n_classes else eta[0]
    else:
        eta = case.options["eta0"] / (np.sqrt(m) if step_size == "invsqrt" else 1.0)
        case.options["learning_rate"] = step_size
        case.options["shuffle"] = data.draw(st.booleans(), label="shuffle")
        case.options["random_state"] = 0
    start = np.array(case.in_the_ball(rng.normal(size=case.shape)))
    model = case.learner()
    # one that knows all classes, and then stands at the start
    first = Rows(rows.X[:1], rows.y[:1], rows.codes[:1], None)
    case.teach(model, first)
    model.coef_ = start[:, :-1] if case.n_classes else start[0, :-1]
    model.intercept_ = start[:, -1]
    case.teach(model, rows)
    if step_size == "array":
        grad_sq = case.grad_sq(rows, start, eta, model.grad_sq_norm_)
        eta = eta.tolist()
    else:
        grad_sq = model.grad_sq_norm_
    losses = model.losses_.sum()
    case.check(rows, start, theta_of(model), eta, losses, grad_sq)


@each_loss
@each_update
@balls
@settings(max_examples=12)
@given(data=st.data())
def test_regret_of_the_first_of_several_passes(loss, update, projected, data):
    case = data.draw(learning_settings(loss, update, projected))
    case.n_samples += 3
    rows = case.rows()
    if case.n_classes:  # every class has to come
        rows.y = np.resize(np.arange(case.n_classes), case.n_samples)
        rows.codes = (2.0 * rows.y - 1 if case.n_classes == 2 else rows.y).tolist()
    start = np.array(case.in_the_ball(case.rng.normal(size=case.shape)))
    model = case.learner(max_iter=2).fit(
        rows.X,
        rows.y,
        sample_weight=rows.weight,
        coef_init=start[:, :-1] if case.n_classes else start[0, :-1],
        intercept_init=start[:, -1],
    )
    losses, grad_sq = model.losses_.sum(), model.grad_sq_norm_
    eta = case.options["eta0"]
    case.check(rows, start, theta_of(model), eta, losses, grad_sq)


def make_step_size(draw, name):
    if name == "doubling":
        return Doubling(draw(scales), gamma=1.5, lipschitz=draw(scales))
    if name in ("isotropic", "per_coordinate"):
        each = name == "per_coordinate"
        return ARUBA(draw(scales), zeta=draw(scales), p=1.0, per_coordinate=each)
    return Fixed()


@each_loss
@each_update
@pytest.mark.parametrize(
    ("step_size", "projected"),
    [(name, False) for name in STEP_SIZES] + [(name, True) for name in STEP_SIZES[:-1]],
    ids=lambda value: {True: "ball", False: "free"}.get(value, value),
)
@settings(max_examples=12)
@given(data=st.data())
def test_regret_of_every_task_and_of_a_new_one(
    loss, update, step_size, projected, data
):
    """Tasks are equally long, so `step_size_` is that of the next one."""
    case = data.draw(learning_settings(loss, update, projected))
    if step_size == "invsqrt":
        case.options["learning_rate"] = "invsqrt"
    # a rule that sets the step size wants an eta0 that is not changed
    own = {} if step_size in ("constant", "invsqrt") else {"eta0": 0.1}
    model = (FMRLClassifier if case.n_classes else FMRLRegressor)(
        case.learner(**own),
        task_parameter=data.draw(st.sampled_from(["last", "average"])),
        step_size=make_step_size(data.draw, step_size),
        meta_step_size=data.draw(st.sampled_from(["ftl", 0.5])),
        standardize=False,
    )
    each = step_size == "per_coordinate"
    start = np.zeros(case.shape)
    for t in range(data.draw(st.integers(1, 3), label="n_tasks")):
        eta = model.step_size_ if t else None
        rows = case.rows()
        case.teach(model, rows, tasks=t)
        history = model.history_[-1]
        end = np.column_stack(
            [np.atleast_2d(model.task_coef_[-1]), model.task_intercept_[-1]]
        )
        losses, grad_sq = history["loss"] * len(rows.y), history["grad_sq_norm"]
        if t or not each:  # of the first step size, an array, history has the mean
            if each:
                grad_sq = case.grad_sq(rows, start, eta, grad_sq)
                eta = eta.tolist()
            else:
                assert eta is None or eta == history["step_size"]
                eta = history["step_size"]
            case.check(rows, start, end, eta, losses, grad_sq)
        start = theta_of(model)

    rows = case.rows()
    eta = model.step_size_
    adapted = model.adapt(rows.X, rows.y, sample_weight=rows.weight)
    assert_allclose(adapted.eta0, eta, rtol=1e-15)
    grad_sq = adapted.grad_sq_norm_
    if each:
        grad_sq = case.grad_sq(rows, start, eta, grad_sq)
        eta = eta.tolist()
    losses = adapted.losses_.sum()
    case.check(rows, start, theta_of(adapted), eta, losses, grad_sq)


def test_bound_is_an_equality_for_linear_losses():
    """The bound that is tested has no slack: the last iterate attains it."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(5, 2)), np.full(5, 1e3)
    model = OGDRegressor("absolute_error", update="ogd", eta0=0.3).fit(X, y)
    end = theta_of(model)
    at_end = np.abs(X @ model.coef_ + model.intercept_ - y).sum()
    bound = reference.certificate(
        end.tolist(), np.zeros((1, 3)).tolist(), 0.3, model.grad_sq_norm_
    )
    assert_allclose(model.losses_.sum() - at_end, bound, rtol=1e-10)


# ---- (G3)


@pytest.mark.parametrize("task_parameter", ["last", "average"])
@pytest.mark.parametrize("given_start", [False, True], ids=["zero", "given"])
@pytest.mark.parametrize("n_classes", [0, 2, 3])
@pytest.mark.parametrize("exact", [False, True], ids=["ogd", "exact"])
@given(
    seed=seeds,
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    scale=scales,
)
def test_follow_the_leader_is_exact(
    task_parameter, given_start, n_classes, exact, seed, lengths, scale
):
    """Paid distances = distances to the best single start + sum of the moves."""
    rng = np.random.default_rng(seed)
    shape = (3 if n_classes == 3 else 1, 4)
    init = 5.0 * scale * rng.normal(size=shape)
    inner = None
    if exact:
        inner = BiasedLogisticRegression() if n_classes else BiasedRidge()
    model = (FMRLClassifier if n_classes else FMRLRegressor)(
        inner,
        task_parameter=task_parameter,
        step_size="isotropic",
        standardize=False,
        meta_step_size="ftl",
        init=(init if n_classes else init[0]) if given_start else "zero",
    )
    options = {"classes": np.arange(n_classes)} if n_classes else {}
    phis = [init if given_start else np.zeros(shape)]
    for t, m in enumerate(lengths):
        y = rng.integers(n_classes, size=m) if n_classes else scale * rng.normal(size=m)
        model.partial_fit(scale * rng.normal(size=(m, 3)), y, tasks=t, **options)
        phis.append(theta_of(model))

    thetas = np.concatenate(
        [
            model.task_coef_.reshape(len(lengths), shape[0], 3),
            model.task_intercept_.reshape(len(lengths), shape[0], 1),
        ],
        axis=2,
    )
    moved = ((thetas - phis[:-1]) ** 2).sum(axis=(1, 2))
    size = (thetas**2).sum() + max((phi**2).sum() for phi in phis)
    close = {"rtol": 1e-10, "atol": 1e-20 * sum(lengths) * size}
    assert_allclose(model.history_["distance"] ** 2, moved, **close)
    w = np.sqrt(lengths)
    W = np.cumsum(w)
    leader = np.average(thetas, axis=0, weights=w)
    assert_allclose(phis[-1], leader, rtol=1e-10, atol=1e-12 * np.abs(thetas).max())
    paid = w / 2 @ moved
    best = w / 2 @ ((thetas - leader) ** 2).sum(axis=(1, 2))
    assert_allclose(paid, best + w**2 / (2 * W) @ moved, **close)

    if len(set(lengths)) == 1:  # weights 1, up to their common factor
        T, D = len(lengths), np.sqrt(moved.max())
        growth = (moved / (2 * np.arange(1, T + 1))).sum()
        assert growth <= D**2 / 2 * (1 + np.log(T)) * (1 + 1e-12)
