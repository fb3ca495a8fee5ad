"""The Poisson loss: counts, through learners, meta-estimators and minimisers."""

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import r2_score

from skmeta import FMRLRegressor
from skmeta._batch import Objective
from skmeta._solvers import TaskLoss
from skmeta.linear_model import OGDRegressor
from skmeta.losses import Loss, Poisson
from skmeta.metrics import regret_bound, regret_report

COEF = np.array([0.3, -0.5])


def make(seed, n_tasks=6, n_samples=12, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_tasks * n_samples, 2)).astype(dtype)
    coef = np.repeat(COEF + 0.2 * rng.normal(size=(n_tasks, 2)), n_samples, axis=0)
    y = rng.poisson(np.exp((X * coef).sum(axis=1) + 0.7))
    return X, y, np.repeat(np.arange(n_tasks), n_samples)


@pytest.mark.parametrize("update", ["implicit", "ogd", "ftrl"])
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "none"])
def test_updates_are_their_definitions(
    update, fit_intercept, kernel, global_random_seed
):
    X, y, _ = make(global_random_seed, 1, 23)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    model = OGDRegressor(
        "poisson", update=update, eta0=0.03, fit_intercept=fit_intercept
    )
    model.fit(X, y, weight, coef_init=[0.1, -0.2])
    run = reference.run_task(
        X.tolist(),
        y.tolist(),
        [[0.1, -0.2, 0.0]],
        0.03,
        reference.make_loss("poisson"),
        update="ogd" if update == "ftrl" else update,
        fit_intercept=fit_intercept,
        sample_weight=weight,
    )
    assert_allclose([*model.coef_, *model.intercept_], run.last[0], rtol=1e-11)
    losses = [run.losses[i] for i in range(len(y))]
    assert_allclose(model.losses_, losses, rtol=1e-10, atol=1e-13)
    assert_allclose(model.grad_sq_norm_, run.grad_sq_norm, rtol=1e-11)
    score = X @ model.coef_ + model.intercept_
    assert_allclose(model.predict(X), np.exp(score), rtol=1e-13)
    assert model.score(X, y) == r2_score(y, model.predict(X))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_kernels_agree_in_tasks_of_every_shape(dtype, compiled, global_random_seed):
    """Blocks of four rows, and rows one by one in a ball or with several steps."""
    X, y, _ = make(global_random_seed, 1, 21, dtype)
    found = []
    for module in (None, Poisson()):  # the compiled loss; a subclass has none
        loss = "poisson" if module is None else type("Own", (Poisson,), {})()
        found.append(
            [
                OGDRegressor(loss, max_iter=2, average=True, **options).fit(X, y)
                for options in (
                    {"eta0": 0.3},
                    {"eta0": [0.1, 0.2, 0.3]},
                    {"radius": 0.4},
                    {"update": "ogd", "eta0": 0.01},
                )
            ]
        )
    for one, other in zip(*found, strict=True):
        assert_allclose(one.coef_, other.coef_, rtol=1e-11)
        assert_allclose(one.losses_, other.losses_, rtol=1e-10, atol=1e-13)


@given(
    y=st.sampled_from([0.0, 1.0, 3.0, 1e3, 1e9]),
    z=st.floats(-700.0, 700.0),
    log_q=st.floats(-12.0, 12.0),
)
def test_implicit_steps_never_overflow(y, z, log_q):
    """From any score: the step ends between the start and the logarithm of y."""
    q = 10.0**log_q
    v = float(Poisson().proximal_slope(y, z, q, 1.0))
    assert np.isfinite(v)
    end = z - q * v
    rounding = 1e-9 * (1.0 + abs(z) + q * y)
    low, high = sorted([z, np.log(y)]) if y else (-np.inf, z)
    assert low - rounding <= end <= high + rounding
    model = OGDRegressor("poisson", eta0=q).partial_fit(
        [[1.0]], [y], sample_weight=[1.0]
    )
    assert np.isfinite(model.coef_).all()


def test_explicit_steps_may_diverge_and_say_so(kernel):
    X, y, _ = make(0)
    model = OGDRegressor("poisson", update="ogd", eta0=100.0)
    with pytest.raises(ValueError, match="diverged.* use update='implicit'"):
        model.fit(100.0 * X, y)
    assert not hasattr(model, "coef_")
    OGDRegressor("poisson", eta0=100.0).fit(100.0 * X, y)


def test_negative_counts_are_named(kernel):
    X, y, tasks = make(0)
    y[15] = -3
    with pytest.raises(ValueError, match=r"y is -3.* in row 15, below 0.*Poisson\(\)"):
        OGDRegressor("poisson").fit(X, y)
    for standardize in (True, False):
        model = FMRLRegressor(OGDRegressor("poisson"), standardize=standardize)
        with pytest.raises(ValueError, match=r"Task 1: y is -3.* in row 3 of the task"):
            model.fit(X, y, tasks=tasks)
        assert not hasattr(model, "coef_")
        kept = clone(model).set_params(on_bad_task="skip").fit(X, y, tasks=tasks)
        assert kept.n_tasks_skipped_ == 1
        rows = tasks != 1
        desired = clone(model).fit(X[rows], y[rows], tasks=tasks[rows])
        if not standardize:
            assert_array_equal(kept.coef_, desired.coef_)
        dropped = clone(model).set_params(on_bad_row="drop").fit(X, y, tasks=tasks)
        rows = np.arange(len(y)) != 15
        desired = clone(model).fit(X[rows], y[rows], tasks=tasks[rows])
        assert_array_equal(dropped.coef_, desired.coef_)
        y[15] = 0
        model.fit(X, y, tasks=tasks)
        with pytest.raises(ValueError, match="y is -1.* in row 2 of the task"):
            model.partial_fit(X[:4], np.array([1.0, 0.0, -1.0, 1.0]), tasks=9)
        with pytest.raises(ValueError, match="y is -1.* in row 2 of the task"):
            model.adapt(X[:4], [1, 0, -1, 1])
        y[15] = -3


def test_optimum_is_that_of_scikit_learn():
    X, y, tasks = make(3, n_samples=30)
    model = FMRLRegressor(
        OGDRegressor("poisson"), task_parameter="optimum", standardize=False
    ).fit(X, y, tasks=tasks)
    for t in range(6):
        rows = tasks == t
        best = PoissonRegressor(alpha=0.0, tol=1e-12, max_iter=1000)
        best.fit(X[rows], y[rows])
        assert_allclose(model.task_coef_[t], best.coef_, rtol=1e-6)
        assert_allclose(model.task_intercept_[t], best.intercept_, rtol=1e-6)
    assert_allclose(
        model.predict(X[:5], tasks=tasks[:5]),
        np.exp(X[:5] @ model.task_coef_[0] + model.task_intercept_[0]),
        rtol=1e-12,
    )


def test_regularized_and_pooled_are_those_of_scikit_learn():
    X, y, tasks = make(4)
    task = TaskLoss.of(Poisson(), X, y.astype(float), None, 1, 1.0)
    strength = np.array([[5.0, 5.0, 1e-9]])
    theta = Objective(Poisson()).regularized(task, np.zeros((1, 3)), strength)
    ridge = PoissonRegressor(alpha=5.0 / len(y), tol=1e-12, max_iter=1000).fit(X, y)
    assert_allclose(theta[0], [*ridge.coef_, ridge.intercept_], rtol=1e-6)
    pooled = FMRLRegressor(
        OGDRegressor("poisson"), init="pooled", meta_step_size=0.0, standardize=False
    ).fit(X, y, tasks=tasks)
    scale = X.std(axis=0)
    ridge = PoissonRegressor(alpha=1.0 / len(y), tol=1e-12, max_iter=1000)
    ridge.fit((X - X.mean(axis=0)) / scale, y)
    assert_allclose(pooled.coef_, ridge.coef_ / scale, rtol=1e-3)


def test_tasks_without_counts_have_no_optimum():
    model = FMRLRegressor(
        OGDRegressor("poisson"), task_parameter="optimum", standardize=False
    )
    X = np.random.default_rng(0).normal(size=(4, 1))
    with pytest.raises(ValueError, match=r"no minimum: give the estimator a radius"):
        model.fit(X, np.zeros(4), tasks=np.zeros(4))
    model.set_params(estimator__radius=1.0, step_size="isotropic")
    model.fit(X, np.zeros(4), tasks=np.zeros(4))


@pytest.mark.parametrize("n_tasks", [6, 50])
def test_rows_are_followed_from_the_first_counts_on(n_tasks, global_random_seed):
    X, y, tasks = make(global_random_seed, n_tasks)
    inner = OGDRegressor("poisson")
    model = FMRLRegressor(inner).fit(X, y, tasks=tasks)
    pooled = FMRLRegressor(inner, init="pooled", meta_step_size=0.0)
    pooled.fit(X, y, tasks=tasks)
    found, best = (
        Poisson().value(y, X @ one.coef_ + one.intercept_).mean()
        for one in (model, pooled)
    )
    assert found < 1.1 * best + 0.01


def test_units_leave_counts_alone():
    X, y, tasks = make(5)
    model = FMRLRegressor(OGDRegressor("poisson")).fit(X, y, tasks=tasks)
    scaled = FMRLRegressor(OGDRegressor("poisson"))
    scaled.fit(X * [1e3, 1e-3] + 5.0, y, tasks=tasks)
    points = X[:5] * [1e3, 1e-3] + 5.0
    assert_allclose(
        scaled.predict(points, tasks=tasks[:5]),
        model.predict(X[:5], tasks=tasks[:5]),
        rtol=1e-9,
    )
    adapted = model.adapt(X[:6], y[:6])
    assert (adapted.predict(X) > 0).all()
    known = model.score(X, y, tasks=tasks)
    assert known == r2_score(y, model.predict(X, tasks=tasks)) > model.score(X, y) > 0


@pytest.mark.parametrize("update", ["implicit", "ogd", "ftrl"])
@given(seed=st.integers(0, 2**32 - 1), eta=st.floats(1e-3, 0.02))
def test_regret_bound(update, seed, eta):
    rng = np.random.default_rng(seed)
    X, y, _ = make(seed, 1, 8)
    start, theta = 0.3 * rng.normal(size=(2, 3))
    model = OGDRegressor("poisson", update=update, eta0=eta)
    model.fit(X, y, coef_init=start[:2], intercept_init=start[2:])
    at_theta = Poisson().value(y, X @ theta[:2] + theta[2]).sum()
    bound = sum(regret_bound(theta, start, eta, model.grad_sq_norm_))
    assert model.losses_.sum() - at_theta <= bound * (1 + 1e-11) + 1e-11 * at_theta


@pytest.mark.parametrize("standardize", [True, False])
def test_report(standardize):
    X, y, tasks = make(6, n_samples=20)
    model = FMRLRegressor(OGDRegressor("poisson"), standardize=standardize)
    report = regret_report(model, X, y, tasks)
    assert report.covered and report.guarantee == "G1"
    assert (report.regret <= report.bound).all()
    assert (report.optimal_loss >= 0).all()


def test_a_loss_of_a_users_own_has_a_link_and_a_lowest_target():
    class Gamma(Loss):
        is_strict = True
        lowest_target = 1e-300

        def value(self, y, z):
            return z + y * np.exp(-z)

        def slope(self, y, z):
            return 1.0 - y * np.exp(-z)

        def curvature(self, y, z):
            return y * np.exp(-z)

        def inverse_link(self, z):
            return np.exp(z)

    X, y, tasks = make(7)
    model = FMRLRegressor(OGDRegressor(Gamma())).fit(X, y + 1.0, tasks=tasks)
    assert (model.predict(X, tasks=tasks) > 0).all()
    with pytest.raises(ValueError, match="y is 0.* below 1e-300, the lowest target of"):
        OGDRegressor(Gamma()).fit(X, 0.0 * y)
    model.set_params(estimator__loss="huber").partial_fit(X[:5], y[:5], tasks=0)
    assert_allclose(model.predict(X), X @ model.coef_ + model.intercept_, rtol=1e-12)
