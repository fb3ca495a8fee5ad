"""`coef_init`, `intercept_init` and `class_weight` as parameters of estimators."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.utils.class_weight import compute_sample_weight

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

LEARNERS = [OGDRegressor, OGDClassifier, BiasedRidge, BiasedLogisticRegression]
CLASSIFIERS = [OGDClassifier, BiasedLogisticRegression]
each_learner = pytest.mark.parametrize("learner", LEARNERS)
each_classifier = pytest.mark.parametrize("learner", CLASSIFIERS)


def is_classifier(learner):
    return learner in CLASSIFIERS


def data(learner, seed=0, n_classes=2):
    make = make_task_classification if is_classifier(learner) else make_task_regression
    options = {"n_classes": n_classes} if is_classifier(learner) else {}
    return make(20, 12, 3, random_state=seed, **options)


def start_for(learner):
    coef = np.array([0.5, -1.0, 2.0])
    return (coef[np.newaxis] if is_classifier(learner) else coef), np.array([0.3])


def theta_of(model):
    return np.column_stack([np.atleast_2d(model.coef_), model.intercept_])


@each_learner
def test_parameters_are_the_defaults_of_fit(learner):
    X, y, _ = data(learner)
    coef, intercept = start_for(learner)
    model = learner(coef_init=coef, intercept_init=intercept).fit(X, y)
    given = learner().fit(X, y, coef_init=coef, intercept_init=intercept)
    assert_array_equal(theta_of(model), theta_of(given))
    # the arguments of `fit` win, one by one
    other = learner(coef_init=5.0 * coef, intercept_init=intercept)
    assert_array_equal(theta_of(other.fit(X, y, coef_init=coef)), theta_of(given))
    # a first call of partial_fit starts there too, a later one where it was
    classes = {"classes": [0, 1]} if is_classifier(learner) else {}
    stream = learner(coef_init=coef, intercept_init=intercept)
    stream.partial_fit(X[:9], y[:9], **classes).partial_fit(X[9:], y[9:])
    assert_allclose(theta_of(stream), theta_of(given), rtol=1e-9, atol=1e-11)
    assert_array_equal(model.get_params()["coef_init"], coef)


@each_learner
def test_wrong_starts_are_refused_and_change_nothing(learner):
    X, y, _ = data(learner)
    model = learner(coef_init=[1.0, 2.0])
    before = vars(model).copy()
    with pytest.raises(ValueError, match="coef_init must be an array of shape"):
        model.fit(X, y)
    assert vars(model) == before
    with pytest.raises(ValueError, match="intercept"):
        learner(intercept_init=[1.0], fit_intercept=False).fit(X, y)


@each_learner
@pytest.mark.parametrize("standardize", [True, False], ids=["units", "raw"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_clones_of_adapted_models_start_where_they_did(learner, standardize, n_classes):
    X, y, tasks = data(learner, 1, n_classes)
    kind = FMRLClassifier if is_classifier(learner) else FMRLRegressor
    meta = kind(learner(), standardize=standardize).fit(X, y, tasks=tasks)
    rows = slice(0, 12)
    if is_classifier(learner) and len(np.unique(y[rows])) < n_classes:
        rows = slice(0, 60)
    adapted = meta.adapt(X[rows], y[rows])
    first = theta_of(meta)
    assert_allclose(np.atleast_2d(adapted.coef_init), first[:, :-1], rtol=1e-12)
    for again in (clone(adapted), pickle.loads(pickle.dumps(adapted))):
        again.fit(X[rows], y[rows])
        assert_allclose(theta_of(again), theta_of(adapted), rtol=1e-9, atol=1e-11)
    again = clone(clone(adapted)).fit(X[rows], y[rows])
    again.partial_fit(X[60:70], y[60:70])
    adapted.partial_fit(X[60:70], y[60:70])
    assert_allclose(theta_of(again), theta_of(adapted), rtol=1e-9, atol=1e-11)
    if n_classes == 2:
        scores = cross_val_score(adapted, X[:60], y[:60], cv=3)
        assert np.isfinite(scores).all()


@pytest.mark.parametrize("kind", [MixedEffectsRegressor, MixedEffectsClassifier])
def test_clones_of_adapted_mixed_effects(kind):
    make = (
        make_task_regression
        if kind is MixedEffectsRegressor
        else make_task_classification
    )
    X, y, tasks = make(20, 12, 3, random_state=0)
    adapted = kind().fit(X, y, tasks=tasks).adapt(X[:12], y[:12])
    again = clone(adapted).fit(X[:12], y[:12])
    assert_allclose(theta_of(again), theta_of(adapted), rtol=1e-6, atol=1e-8)


@each_learner
def test_meta_estimators_refuse_what_they_would_ignore(learner):
    X, y, tasks = data(learner)
    kind = FMRLClassifier if is_classifier(learner) else FMRLRegressor
    coef, _ = start_for(learner)
    with pytest.raises(ValueError, match="has a coef_init, which FMRL.*`init`"):
        kind(learner(coef_init=coef)).fit(X, y, tasks=tasks)
    if is_classifier(learner):
        with pytest.raises(ValueError, match="has a class_weight, which FMRLClass"):
            kind(learner(class_weight={1: 2.0})).fit(X, y, tasks=tasks)


# ---- weights of classes


@each_classifier
@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0}, {0: 0.5, 1: 2.0}])
@pytest.mark.parametrize("weighted", [False, True])
def test_class_weights_multiply_the_weights_of_samples(learner, class_weight, weighted):
    X, y, _ = data(learner)
    y = (np.arange(len(y)) % 5 == 0).astype(int)
    weight = None
    if weighted:
        weight = np.random.default_rng(0).uniform(0.0, 2.0, len(y))
        weight[::7] = 0.0
    model = learner(class_weight=class_weight).fit(X, y, weight)
    by_class = compute_sample_weight(class_weight, y)
    total = by_class if weight is None else by_class * weight
    assert_allclose(
        theta_of(model), theta_of(learner().fit(X, y, total)), rtol=1e-12, atol=1e-14
    )


def test_class_weights_are_those_of_scikit_learn():
    X, y, _ = data(BiasedLogisticRegression)
    y = np.where(np.arange(len(y)) % 5 == 0, "rare", "usual")
    model = BiasedLogisticRegression(fit_intercept=False, class_weight="balanced")
    other = LogisticRegression(
        fit_intercept=False, class_weight="balanced", tol=1e-12, max_iter=10_000
    )
    actual, desired = model.fit(X, y).coef_, other.fit(X, y).coef_
    assert_allclose(actual, desired, rtol=1e-5, atol=1e-7)


@each_classifier
def test_streams_cannot_be_balanced(learner):
    X, y, tasks = data(learner)
    for model, message in (
        (learner(class_weight="balanced"), "'balanced' needs the share of every"),
        (FMRLClassifier(learner(), class_weight="balanced"), "needs the rows of all"),
    ):
        with pytest.raises(ValueError, match=message):
            model.partial_fit(X, y, classes=[0, 1])
        assert not hasattr(model, "coef_")
    model = learner(class_weight={1: 2.0}).partial_fit(X, y, classes=[0, 1])
    desired = learner().partial_fit(X, y, classes=[0, 1], sample_weight=1.0 + y)
    assert_array_equal(theta_of(model), theta_of(desired))


@each_classifier
def test_wrong_class_weights(learner):
    X, y, _ = data(learner)
    with pytest.raises(ValueError, match=r"class_weight names \['yes'\].*\[0, 1\]"):
        learner(class_weight={"yes": 2.0}).fit(X, y)
    with pytest.raises(ValueError, match="class_weight must be positive"):
        learner(class_weight={1: -2.0}).fit(X, y)
    with pytest.raises(ValueError, match="class_weight"):
        learner(class_weight="even").fit(X, y)


@pytest.mark.parametrize("class_weight", ["balanced", {1: 3.0}])
def test_class_weights_of_the_meta_estimator(class_weight):
    X, y, tasks = data(OGDClassifier)
    y = (np.arange(len(y)) % 5 == 0).astype(int)
    model = FMRLClassifier(class_weight=class_weight).fit(X, y, tasks=tasks)
    weight = compute_sample_weight(class_weight, y)
    desired = FMRLClassifier().fit(X, y, tasks=tasks, sample_weight=weight)
    assert_array_equal(model.coef_, desired.coef_)
    adapted = model.adapt(X[:20], y[:20])
    weight = weight[:20]  # balanced in all rows of fit
    other = desired.adapt(X[:20], y[:20], sample_weight=weight)
    assert_array_equal(adapted.coef_, other.coef_)
    expected = {1: 3.0} if class_weight != "balanced" else {0: 0.625, 1: 2.5}
    assert adapted.class_weight == pytest.approx(expected)
    again = clone(adapted).fit(X[:20], y[:20])
    assert_allclose(theta_of(again), theta_of(adapted), rtol=1e-10)


@pytest.mark.parametrize(
    "model", [OGDClassifier(), BiasedLogisticRegression(), FMRLClassifier()], ids=str
)
def test_log_probabilities(model):
    X, y, tasks = data(OGDClassifier)
    options = {"tasks": tasks} if isinstance(model, FMRLClassifier) else {}
    model = clone(model).fit(X, y, **options)
    assert_array_equal(model.predict_log_proba(X), np.log(model.predict_proba(X)))


def test_classifier_adapts_from_every_start():
    X, y, tasks = make_task_classification(12, 8, 3, random_state=0)
    model = FMRLClassifier(class_weight={1: 2.0}, random_state=0)
    model.fit(X, y, tasks=tasks)
    weight = np.where(y[:8] == 1, 2.0, 1.0)
    plain = clone(model).set_params(class_weight=None)
    plain.fit(X, y, tasks=tasks, sample_weight=np.where(y == 1, 2.0, 1.0))
    for init in ("last", "draw", "mean"):
        adapted = model.adapt(X[:8], y[:8], init=init)
        expected = plain.adapt(X[:8], y[:8], sample_weight=weight, init=init)
        assert_allclose(theta_of(adapted), theta_of(expected), rtol=1e-12)
