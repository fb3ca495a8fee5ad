"""What scikit-learn asks of an estimator, and what its checks do not look at."""

import joblib
import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmeta import FMRLClassifier, FMRLRegressor, MixedEffectsRegressor
from skmeta.linear_model import (
    BiasedLogisticRegression,
    BiasedRidge,
    OGDClassifier,
    OGDRegressor,
)
from skmeta.meta_step_size import (
    Constant,
    Discounted,
    FollowTheLeader,
    LinearDecay,
)
from skmeta.step_size import (
    ARUBA,
    EWOO,
    Doubling,
    Fixed,
    FullMatrix,
    SimilarityFTL,
    StepSize,
)

STEPPING = [OGDClassifier(), OGDRegressor()]
# Two rows are one of weight 2: exact learners, and the model of all rows of FMRL.
EXACT = [BiasedLogisticRegression(), BiasedRidge(), FMRLClassifier(), FMRLRegressor()]
MIXED = [MixedEffectsRegressor()]
ESTIMATORS = STEPPING + EXACT + MIXED
RULES = [ARUBA(), Doubling(), EWOO(), Fixed(), FullMatrix(), SimilarityFTL()]
RULES += [Constant(), Discounted(), FollowTheLeader(), LinearDecay()]
SHORT = {"learning_rate_init": 0.05, "max_iter": 30, "random_state": 0}
CONFIGURATIONS = [
    OGDClassifier("hinge", update="ogd", average=True, max_iter=3, radius=10.0),
    OGDRegressor("huber", shuffle=True, max_iter=20, epsilon=1.35),
    FMRLClassifier(step_size="per_coordinate", meta_step_size="aogd"),
    FMRLClassifier(OGDClassifier(shuffle=True), step_size=Doubling(), n_passes=2),
    FMRLClassifier(step_size="fixed", store_tasks=False, random_state=0),
    FMRLRegressor(step_size="per_coordinate", task_parameter="average"),
    FMRLRegressor(OGDRegressor(shuffle=True, max_iter=20), step_size="fixed"),
    FMRLRegressor(OGDRegressor(), meta_step_size=LinearDecay(n_tasks=5)),
    FMRLRegressor(standardize=False, meta_step_size=0.5, step_size=0.2),
    FMRLRegressor(step_size="full_matrix", meta_step_size=Discounted(5.0)),
    FMRLRegressor(step_size=SimilarityFTL(0.5), standardize=False),
]
EXACT_CONFIGURATIONS = [
    FMRLClassifier(OGDClassifier()),
    FMRLRegressor(BiasedRidge(), n_passes=2),
    BiasedLogisticRegression(0.1, fit_intercept=False),
    BiasedRidge(0.1, fit_intercept=False),
    FMRLClassifier(BiasedLogisticRegression(), store_tasks=False),
    FMRLClassifier(BiasedLogisticRegression(), standardize=False),
    FMRLRegressor(BiasedRidge(), standardize=False),
    FMRLClassifier(MLPClassifier(**SHORT), standardize=False),  # all rows in one step
    FMRLRegressor(MLPRegressor(**SHORT)),
]
MIXED_CONFIGURATIONS = [
    MixedEffectsRegressor(covariance="full", between=False),
    MixedEffectsRegressor(random_effects="intercept", half_life=5.0),
]
CONFIGURATIONS += EXACT_CONFIGURATIONS + MIXED_CONFIGURATIONS
ONE_WEIGHTED_STEP = (
    "one step of weight 2 is not two steps, as in scikit-learn's SGDClassifier and "
    "SGDRegressor, for which scikit-learn expects the same failure"
)
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": ONE_WEIGHTED_STEP,
    "check_sample_weight_equivalence_on_sparse_data": ONE_WEIGHTED_STEP,
}
CLASS_WEIGHT = "check_class_weight_classifiers"
NARROW = {  # what cannot predict one class everywhere, whatever its weight
    "fit_intercept=False": "a score of zero at the origin",
    "radius=10.0": "a score of at most 10 times the norm of a row",
}
PRECISIONS = (
    "a weight is a precision: a row of weight 2 is one with half the noise variance, "
    "not two rows, which would say more about the noise"
)
MIXED_FAILURES = {"check_sample_weight_equivalence_on_dense_data": PRECISIONS}
X, Y = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]]), np.array([0, 1, 1])
TASKS = ["a", "b", "a"]
META = (FMRLClassifier, FMRLRegressor, MixedEffectsRegressor)

WRONG_TYPE = [
    (type(obj), name, object())
    for obj in ESTIMATORS + RULES
    for name in obj.get_params(deep=False)
]
OUT_OF_RANGE = [
    (OGDClassifier, "loss", "squared_error"),
    (OGDClassifier, "eta0", 0.0),
    (OGDRegressor, "loss", "hinge"),
    (OGDRegressor, "update", "sgd"),
    (OGDRegressor, "eta0", 0.0),
    (OGDRegressor, "learning_rate", "optimal"),
    (OGDRegressor, "radius", 0.0),
    (OGDRegressor, "max_iter", 0),
    (OGDRegressor, "epsilon", -0.1),
    (OGDRegressor, "quantile", 1.0),
    (BiasedRidge, "alpha", 0.0),
    (BiasedRidge, "noise", 0.0),
    (FMRLClassifier, "meta_step_size", -0.1),
    (FMRLRegressor, "task_parameter", "first"),
    (FMRLRegressor, "meta_step_size", "adam"),
    (FMRLRegressor, "meta_step_size", 1.1),
    (FMRLRegressor, "step_size", 0.0),
    (FMRLRegressor, "step_size", "adam"),
    (FMRLRegressor, "task_column", 1.5),
    (FMRLRegressor, "init", "one"),
    (FMRLRegressor, "meta_batch_size", 0),
    (FMRLClassifier, "n_jobs", 1.5),
    (FMRLRegressor, "n_passes", 0),
    (FMRLRegressor, "unknown_task", "ignore"),
    (FMRLRegressor, "on_bad_task", "ignore"),
    (FMRLRegressor, "on_bad_row", "skip"),
    (MixedEffectsRegressor, "covariance", "spherical"),
    (MixedEffectsRegressor, "random_effects", "slopes"),
    (MixedEffectsRegressor, "max_iter", 0),
    (MixedEffectsRegressor, "tol", -1.0),
    (MixedEffectsRegressor, "half_life", 0.0),
    (MixedEffectsRegressor, "window", 0),
    (MixedEffectsRegressor, "unknown_task", "ignore"),
    (Fixed, "eta", 0.0),
    (Constant, "value", -0.1),
    (Constant, "value", 1.1),
    (ARUBA, "eps", 0.0),
    (ARUBA, "zeta", 0.0),
    (ARUBA, "p", -0.1),
    (ARUBA, "per_coordinate", 1),
    (Doubling, "radius", 0.0),
    (Doubling, "gamma", 1.0),
    (Doubling, "lipschitz", 0.0),
    (LinearDecay, "final", 1.1),
    (LinearDecay, "n_tasks", 1),
]


def learn(estimator, method):
    """Call fit or partial_fit, the latter as its first call."""
    options = {"tasks": TASKS} if isinstance(estimator, META) else {}
    if method == "partial_fit" and is_classifier(estimator):
        options["classes"] = [0, 1]
    return getattr(estimator, method)(X, Y, **options)


def holding(obj):
    """An estimator that has `obj` as itself or as one of its parts."""
    if isinstance(obj, tuple(type(rule) for rule in RULES)):
        part = "step_size" if isinstance(obj, StepSize) else "meta_step_size"
        return FMRLRegressor(**{part: obj})
    return obj


def narrow_failures(estimator):
    if not isinstance(estimator, (BiasedLogisticRegression, OGDClassifier)):
        return {}
    text = repr(estimator)
    reasons = [reason for part, reason in NARROW.items() if part in text]
    return {CLASS_WEIGHT: reasons[0]} if reasons else {}


@parametrize_with_checks(
    ESTIMATORS + CONFIGURATIONS,
    expected_failed_checks=lambda estimator: (
        MIXED_FAILURES
        if isinstance(estimator, MixedEffectsRegressor)
        else narrow_failures(estimator)
        if any(estimator is one for one in EXACT + EXACT_CONFIGURATIONS)
        else EXPECTED_FAILURES | narrow_failures(estimator)
    ),
    xfail_strict=True,
)
@pytest.mark.filterwarnings("ignore:.*got no task labels:UserWarning")
@pytest.mark.filterwarnings("ignore:.*differences between tasks:UserWarning")
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("obj", ESTIMATORS + RULES, ids=repr)
def test_every_parameter_has_a_constraint(obj):
    assert obj._parameter_constraints.keys() == obj.get_params(deep=False).keys()


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "kind, name, value",
    [
        pytest.param(kind, name, value, id=f"{kind.__name__}-{name}-{value!r:.6}")
        for kind, name, value in WRONG_TYPE + OUT_OF_RANGE
    ],
)
def test_bad_parameter_is_named(kind, name, value, method):
    estimator = holding(kind(**{name: value}))
    before = vars(estimator).copy()
    with pytest.raises(ValueError, match=f"^The '{name}' parameter of {kind.__name__}"):
        learn(estimator, method)
    assert vars(estimator) == before


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "estimator, inner",
    [
        (FMRLClassifier(), OGDClassifier(eta0=-1.0)),
        (FMRLRegressor(), OGDRegressor(eta0=-1.0)),
        (FMRLRegressor(step_size="fixed"), OGDRegressor(eta0=[0.1, -1.0, 0.1])),
    ],
    ids=["classifier", "regressor", "array"],
)
def test_bad_parameter_of_the_inner_learner_is_named(estimator, inner, method):
    with pytest.raises(ValueError, match=f"'eta0' parameter of {type(inner).__name__}"):
        learn(clone(estimator).set_params(estimator=inner), method)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "name, kind",
    [
        ("estimator", OGDRegressor),
        ("step_size", ARUBA),
        ("meta_step_size", LinearDecay),
    ],
)
def test_class_instead_of_an_object_is_named(name, kind, method):
    message = f"Pass an instance of {kind.__name__}, not the class"
    with pytest.raises(ValueError, match=message):
        learn(FMRLRegressor(**{name: kind}), method)


@pytest.mark.parametrize(
    "estimator, name, value",
    [
        (FMRLRegressor(), "step_size", "adam"),
        (FMRLRegressor(), "meta_step_size", "adam"),
        (FMRLClassifier(meta_step_size=0.1), "meta_step_size", 2.0),
        (FMRLClassifier(), "on_bad_task", "ignore"),
        (FMRLClassifier(OGDClassifier()), "estimator__loss", "squared_error"),
        (FMRLRegressor(step_size=Doubling()), "step_size__gamma", 0.9),
        (OGDRegressor(), "loss", "hinge"),
        (OGDClassifier(), "update", "sgd"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_bad_parameter_set_in_the_middle_of_a_stream_is_named(estimator, name, value):
    estimator = learn(clone(estimator), "partial_fit").set_params(**{name: value})
    with pytest.raises(ValueError, match=f"'{name.split('__')[-1]}' parameter of"):
        learn(estimator, "partial_fit")


@pytest.mark.filterwarnings("ignore:.*differences between tasks:UserWarning")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("obj", CONFIGURATIONS, ids=repr)
def test_learning_leaves_the_parameters_alone(obj, method):
    estimator = clone(obj)
    parameters = estimator.get_params(deep=False)
    before = joblib.hash(parameters)
    learn(estimator, method)
    after = estimator.get_params(deep=False)
    assert all(after[name] is value for name, value in parameters.items())
    assert joblib.hash(after) == before  # and no part was fitted
