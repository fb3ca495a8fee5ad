"""What a meta-estimator does that nobody has configured."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import (
    LogisticRegression,
    Ridge,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmeta import (
    FMRLClassifier,
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
)
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.linear_model import (
    BiasedLogisticRegression,
    BiasedRidge,
    OGDClassifier,
    OGDRegressor,
)
from skmeta.meta_step_size import FollowTheLeader, FollowTheRows
from skmeta.step_size import STEP_SIZES, Fixed

KINDS = {"regressor": FMRLRegressor, "classifier": FMRLClassifier}
EXACT = {"regressor": BiasedRidge, "classifier": BiasedLogisticRegression}
OGD = {"regressor": OGDRegressor, "classifier": OGDClassifier}
SGD = {"regressor": SGDRegressor, "classifier": SGDClassifier}
on_both_kinds = pytest.mark.parametrize("kind", KINDS)


def make(kind, n_tasks=12, n_samples=(2, 7), n_features=3, **params):
    generate = make_task_regression if kind == "regressor" else make_task_classification
    return generate(n_tasks, n_samples, n_features, **{"random_state": 0} | params)


def in_raw_units(X):
    """Features as they come: of different units, and far from zero."""
    columns = np.arange(X.shape[1])
    return 1e3 * X + 1e3 * (columns - 1.0)


def adapted_to(model, X, y):
    """The estimator that a new task gets."""
    return model.adapt(X[:2], y[:2])


# ---- what None stands for


@pytest.mark.parametrize("n_features", [3, 129])
@pytest.mark.parametrize(
    "estimator, learner, step_size",
    [
        (None, OGD, STEP_SIZES["per_coordinate"]),
        (OGD, OGD, STEP_SIZES["per_coordinate"]),
        (EXACT, EXACT, STEP_SIZES["per_coordinate"]),
        (SGD, SGD, Fixed()),
    ],
    ids=["default", "ogd", "exact", "sgd"],
)
@on_both_kinds
def test_parts_that_are_chosen(kind, estimator, learner, step_size, n_features):
    """Whatever the number of features."""
    inner = None if estimator is None else estimator[kind]()
    X, y, tasks = make(kind, n_tasks=5, n_features=n_features)
    model = KINDS[kind](inner).fit(X, y, tasks=tasks)
    assert type(adapted_to(model, X, y)) is learner[kind]
    rule = FollowTheLeader() if estimator is SGD else FollowTheRows()
    spelled = KINDS[kind](learner[kind](), step_size=step_size, meta_step_size=rule)
    if estimator is SGD:
        model.set_params(estimator__random_state=0).fit(X, y, tasks=tasks)
        spelled.set_params(estimator__random_state=0)
    spelled.fit(X, y, tasks=tasks)
    for name in ("coef_", "intercept_", "task_coef_", "step_size_"):
        assert_array_equal(getattr(model, name), getattr(spelled, name), err_msg=name)
    for name in model.history_.dtype.names:  # some are NaN for a foreign learner
        assert_array_equal(model.history_[name], spelled.history_[name])


@on_both_kinds
def test_the_choice_is_no_parameter(kind):
    X, y, tasks = make(kind)
    model = KINDS[kind]().fit(X, y, tasks=tasks)
    assert repr(model) == f"{KINDS[kind].__name__}()"
    assert (model.estimator, model.step_size) == (None, None)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@on_both_kinds
def test_an_estimator_of_scikit_learn_needs_no_further_parameters(kind, method):
    X, y, tasks = make(kind, n_tasks=40, n_samples=9)
    model = KINDS[kind](SGD[kind](random_state=0))
    named = kind == "classifier" and method == "partial_fit"
    first = {"classes": [0, 1]} if named else {}
    getattr(model, method)(X, y, tasks=tasks, **first)
    constant = np.mean(y) if kind == "regressor" else np.bincount(y).argmax()
    chance = 0.0 if kind == "regressor" else np.mean(y == constant)
    assert model.score(X, y, tasks=tasks) > chance + 0.1
    adapted = adapted_to(model, X, y)
    assert type(adapted) is SGD[kind]
    assert np.isfinite(adapted.coef_).all()


# ---- what a new task gains, in raw units


@pytest.mark.slow
@pytest.mark.parametrize("task_std", [0.1, 0.5, 2.0])
def test_regression_against_one_model_for_all_and_one_for_each(
    task_std, global_random_seed
):
    """No worse than the one without rows of a task, better than both with some."""
    params = {"task_std": task_std, "random_state": global_random_seed}
    X, y, tasks = make_task_regression(250, 14, 5, **params)
    X, y = in_raw_units(X), 50.0 * y + 1e3
    old = tasks < 150
    model = MixedEffectsRegressor().fit(X[old], y[old], tasks=tasks[old])
    pooled = make_pipeline(StandardScaler(), Ridge()).fit(X[old], y[old])
    without = [
        mean_squared_error(y[~old], each.predict(X[~old])) for each in (model, pooled)
    ]
    assert without[0] < 1.03 * without[1]
    for n_shots in (1, 2, 5):
        errors = []
        for task in range(150, 250):
            X_task, y_task = X[tasks == task], y[tasks == task]
            shots, rest = slice(n_shots), slice(n_shots, None)
            alone = Ridge().fit(pooled[0].transform(X_task[shots]), y_task[shots])
            predictions = (
                model.adapt(X_task[shots], y_task[shots]).predict(X_task[rest]),
                alone.predict(pooled[0].transform(X_task[rest])),
                pooled.predict(X_task[rest]),
            )
            errors.append([np.mean((y_task[rest] - one) ** 2) for one in predictions])
        adapted, alone, together = np.mean(errors, axis=0)
        assert adapted < 0.95 * alone
        assert adapted < (1.05 if task_std < 0.5 else 0.95) * together


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 3])
def test_classification_against_one_model_for_all_and_one_for_each(
    n_classes, global_random_seed
):
    """The one without rows of a task is a model of the same kind, one against rest."""
    params = {"n_classes": n_classes, "random_state": global_random_seed}
    X, y, tasks = make_task_classification(250, 14, 5, task_std=1.5, **params)
    X, labels = in_raw_units(X), range(n_classes)
    old = tasks < 150
    model = MixedEffectsClassifier().fit(X[old], y[old], tasks=tasks[old])
    one_model = OneVsRestClassifier(LogisticRegression())
    pooled = make_pipeline(StandardScaler(), one_model)
    pooled.fit(X[old], y[old])
    assert model.score(X[~old], y[~old]) > pooled.score(X[~old], y[~old]) - 0.02
    losses = []
    for task in range(150, 250):
        X_task, y_task = X[tasks == task], y[tasks == task]
        adapted = model.adapt(X_task[:6], y_task[:6])
        predictions = [
            each.predict_proba(X_task[6:]) for each in (adapted, model, pooled)
        ]
        if len(set(y_task[:6])) == n_classes:  # or it knows of no other class
            alone = LogisticRegression()
            alone.fit(pooled[0].transform(X_task[:6]), y_task[:6])
            predictions.append(alone.predict_proba(pooled[0].transform(X_task[6:])))
        else:
            predictions.append(np.full_like(predictions[0], 1 / n_classes))
        losses.append([log_loss(y_task[6:], one, labels=labels) for one in predictions])
    adapted, without, together, alone = np.mean(losses, axis=0)
    assert adapted < without
    assert adapted < 0.7 * alone
    assert adapted < 1.05 * together


@pytest.mark.parametrize("task_std", [0.1, 0.5])
def test_gradient_steps_gain_from_tasks_in_raw_units(task_std, global_random_seed):
    """Two rows of a new task: better than without, and than the rows alone."""
    params = {"task_std": task_std, "random_state": global_random_seed}
    X, y, tasks = make_task_regression(250, 14, 5, **params)
    X, y = in_raw_units(X), 50.0 * y + 1e3
    old = tasks < 150
    model = FMRLRegressor().fit(X[old], y[old], tasks=tasks[old])
    scale = StandardScaler().fit(X[old])
    errors = []
    for task in range(150, 250):
        X_task, y_task = X[tasks == task], y[tasks == task]
        adapted = model.adapt(X_task[:5], y_task[:5])
        alone = Ridge().fit(scale.transform(X_task[:5]), y_task[:5])
        predictions = (
            adapted.predict(X_task[5:]),
            model.predict(X_task[5:]),
            alone.predict(scale.transform(X_task[5:])),
        )
        errors.append([np.mean((y_task[5:] - one) ** 2) for one in predictions])
    adapted, without, alone = np.mean(errors, axis=0)
    assert adapted < (1.0 if task_std < 0.5 else 0.8) * without
    assert adapted < 0.95 * alone


# ---- odd data

X, Y, T = make("regressor", n_tasks=15)
X = in_raw_units(X)
ONES = np.ones((len(X), 1))
ODD = {
    "one-row": (X[:1], [0]),
    "tasks-of-one-row": (X, np.arange(len(X))),
    "one-task": (X, np.zeros(len(X))),
    "two-rows-the-same": (X[[0, 0]], [0, 1]),
    "constant-feature": (np.c_[X, 7.0 * ONES], T),
    "constant-features": (7.0 * np.c_[ONES, ONES], T),
    "zero-features": (0.0 * X, T),
    "duplicated-features": (np.c_[X, X], T),
    "more-features-than-rows": (np.tile(X[:4], (1, 20)), T[:4]),
    "one-outlier": (np.r_[X[:-1], 1e6 * X[-1:]], T),
    "many-features": (np.tile(X, (1, 50)) / 1e4, T),
}
TARGETS = {
    "regressor": {
        "target": lambda n: Y[:n],
        "constant": lambda n: np.full(n, 12.5),
        "zero": np.zeros,
        "large": lambda n: 1e8 + 1e6 * Y[:n],
    },
    "classifier": {
        "two": lambda n: (Y[:n] > np.median(Y)).astype(int),
        "three": lambda n: np.digitize(Y[:n], np.quantile(Y, [0.3, 0.7])),
        "first-class-first": lambda n: (np.arange(n) > 9).astype(int),
        "one": lambda n: np.zeros(n, dtype=int),
    },
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize(
    "kind, target", [(kind, name) for kind in KINDS for name in TARGETS[kind]]
)
def test_odd_data_give_finite_numbers(kind, case, target):
    X, tasks = ODD[case]
    y = TARGETS[kind][target](len(X))
    first = {"classes": [0, 1, 2]} if kind == "classifier" else {}
    model = KINDS[kind]().partial_fit(X, y, tasks=tasks, **first)
    score = "predict" if kind == "regressor" else "predict_proba"
    for found in (
        getattr(model, score)(X),
        getattr(model, score)(X, tasks=tasks),
        getattr(model.adapt(X[:3], y[:3]), score)(X),
        model.coef_,
        model.step_size_,
        model.history_["loss"],
    ):
        assert np.isfinite(found).all()
    if target in ("constant", "zero"):
        assert_allclose(model.predict(X), y, rtol=0.05, atol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_one_class_in_the_first_task(n_classes):
    X, y, tasks = make(
        "classifier", n_tasks=100, n_samples=10, n_classes=n_classes, shuffle=False
    )
    X = in_raw_units(X)
    model = FMRLClassifier().fit(X, y, tasks=tasks)
    order = np.argsort(y != 0, kind="stable")[:8]  # eight rows of class 0
    spoilt = FMRLClassifier().fit(
        np.r_[X[order], X], np.r_[y[order], y], tasks=np.r_[np.full(8, -1), tasks]
    )
    assert spoilt.score(X, y) > model.score(X, y) - 0.05


# ---- the names in a grid


@on_both_kinds
def test_names_in_a_grid_search(kind):
    X, y, tasks = make(kind, n_tasks=30)
    names = [None, "isotropic", "per_coordinate", "doubling", "fixed"]
    grid = {
        "step_size": names,
        "meta_step_size": ["ftl", "aogd", 0.1],
        "estimator": [OGD[kind](), EXACT[kind]()],
    }
    model = KINDS[kind](task_column=0)
    search = GridSearchCV(model, grid, cv=GroupKFold(3), error_score="raise")
    search.fit(np.c_[tasks, X], y, groups=tasks)
    scores = search.cv_results_["mean_test_score"].reshape(2, 3, 5)
    assert np.isfinite(scores).all()
    assert_array_equal(scores[:, 0, 1:], scores[:, 1, 1:])  # two names of one rule
    assert_array_equal(scores[:, 1:, 0], scores[:, 1:, 2])  # which None stands for
    assert len(np.unique(scores)) > (12 if kind == "regressor" else 6)


@pytest.mark.parametrize("scale", [1e-9, 1e-4, 1e4, 3e7, 1e12])
@pytest.mark.parametrize("n_classes", [0, 2, 3])
@pytest.mark.parametrize("family", ["fmrl", "mixed"])
def test_units_of_the_features_do_not_matter(family, scale, n_classes):
    if n_classes:
        X, y, tasks = make_task_classification(
            n_tasks=30, n_classes=n_classes, random_state=0
        )
        model = FMRLClassifier() if family == "fmrl" else MixedEffectsClassifier()
    else:
        X, y, tasks = make_task_regression(n_tasks=30, random_state=0)
        model = FMRLRegressor() if family == "fmrl" else MixedEffectsRegressor()
    score = "decision_function" if n_classes else "predict"
    plain = clone(model).fit(X, y, tasks=tasks)
    expected = getattr(plain, score)(X, tasks=tasks)
    scaled = clone(model).fit(X * scale, y, tasks=tasks)
    found = getattr(scaled, score)(X * scale, tasks=tasks)
    assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert_allclose(scaled.history_["loss"], plain.history_["loss"], rtol=1e-6)
