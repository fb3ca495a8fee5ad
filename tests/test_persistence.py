"""Copies of every estimator and rule, in the middle of a stream, continue it exactly.

Checkpoints, and copies of the four meta-estimators with plain labels, are in
`test_checkpoint.py`.
"""

import datetime
import pickle
import uuid
import warnings

import numpy as np
import pandas as pd
import pytest
from copies import COPIES
from sklearn.base import clone, is_classifier
from sklearn.linear_model import SGDRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

import skmeta
from skmeta import (
    FMRLClassifier,
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
    _saving,
    linear_model,
    losses,
    meta_step_size,
    step_size,
)
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.linear_model import (
    BiasedLogisticRegression,
    BiasedRidge,
    OGDClassifier,
    OGDRegressor,
)
from skmeta.metrics import regret_report
from skmeta.pipeline import make_task_pipeline

# skops is the strictest of them; the others are slow by their number only.
each_way = pytest.mark.parametrize(
    "how",
    [
        how
        if how in ("pickle 0", "skops")
        else pytest.param(how, marks=pytest.mark.slow)
        for how in COPIES
    ],
)
N_TASKS, N_ROWS = 12, 6
DATA = make_task_regression(N_TASKS, N_ROWS, 3, random_state=0)
CLASSES = make_task_classification(N_TASKS, N_ROWS, 3, random_state=0)
HALF = N_TASKS * N_ROWS // 2


def classifies(model):
    return is_classifier(model)


def data_of(model):
    X, y, tasks = CLASSES if classifies(model) else DATA
    return X, abs(y), tasks  # counts are not negative


def learn(model, rows, labels=None):
    """One more call of the stream."""
    X, y, tasks = data_of(model)
    classes = {"classes": [0, 1]} if classifies(model) else {}
    if labels is not None:
        tasks = [labels[t] for t in tasks[rows]]
        return model.partial_fit(X[rows], y[rows], tasks=tasks, **classes)
    if isinstance(model, LEARNERS):
        return model.partial_fit(X[rows], y[rows], **classes)
    return model.partial_fit(X[rows], y[rows], tasks=tasks[rows], **classes)


LEARNERS = (BiasedLogisticRegression, BiasedRidge, OGDClassifier, OGDRegressor)


@pytest.fixture(autouse=True)
def quiet():
    """Few tasks do not identify everything."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(The rows|Only|.*tasks)", UserWarning)
        yield


def state_of(model):
    """Every public attribute, exactly; the layout in memory does not count."""
    state = {}
    for name in dir(model):
        if name.endswith("_") and name[0] != "_" and hasattr(model, name):
            value = getattr(model, name)
            if isinstance(value, np.ndarray) and not value.dtype.hasobject:
                value = (value.dtype, value.shape, value.tobytes())
            elif isinstance(value, np.ndarray):
                value = [repr(one) for one in value.tolist()]
            state[name] = repr(value)
    assert state
    return state


def assert_continues(model, how, labels=None):
    learn(model, slice(0, HALF), labels)
    twin = COPIES[how](model)
    assert state_of(twin) == state_of(model)
    rest = slice(HALF - 3, None)  # its first task returns
    for one in (twin, model):
        learn(one, rest, labels)
    assert state_of(twin) == state_of(model)
    X, _, tasks = data_of(model)
    if labels is not None:
        options = {"tasks": [labels[t] for t in tasks]}
    else:
        options = {} if isinstance(model, LEARNERS) else {"tasks": tasks}
    np.testing.assert_array_equal(
        twin.predict(X, **options), model.predict(X, **options)
    )


# ---- labels

DAY = datetime.date(2024, 2, 1)
LABELS = {
    "strings": [f"store {t}" for t in range(N_TASKS)],
    "bytes": [f"{t}".encode() for t in range(N_TASKS)],
    "large integers": [2**53 + t for t in range(N_TASKS)],
    "booleans": [t % 2 == 0 for t in range(N_TASKS)],
    "tuples": [("north", t) for t in range(N_TASKS)],
    "nested tuples": [(("a", t), DAY) for t in range(N_TASKS)],
    "days": [DAY + datetime.timedelta(days=t) for t in range(N_TASKS)],
    "datetimes": [
        datetime.datetime(2024, 1, 1, 5, tzinfo=datetime.UTC)
        + datetime.timedelta(microseconds=t)
        for t in range(N_TASKS)
    ],
    "datetime64": list(np.datetime64("2024-01-01", "s") + np.arange(N_TASKS)),
    "timestamps": list(pd.date_range("2024", periods=N_TASKS, freq="h", tz="UTC")),
    "durations": list(pd.to_timedelta(range(N_TASKS), unit="min")),
    "pairs with days": [(DAY, t % 2 == 0, np.int8(t)) for t in range(N_TASKS)],
}
FAMILIES = [FMRLRegressor(random_state=0), MixedEffectsRegressor()]


@each_way
@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("model", FAMILIES, ids=["fmrl", "mixed"])
def test_labels_of_every_kind_survive(model, kind, how):
    assert_continues(clone(model), how, LABELS[kind])


@pytest.mark.parametrize("how", [how for how in COPIES if how != "skops"])
def test_other_hashable_labels_survive(how):
    labels = [uuid.UUID(int=t) for t in range(N_TASKS)]
    assert_continues(MixedEffectsRegressor(), how, labels)


# ---- estimators and rules

STEP_SIZES = [
    step_size.ARUBA(),
    step_size.ARUBA((0.1, 0.01), balance=True, decay=0.1, shrink=0.1),
    step_size.Doubling(),
    step_size.EWOO(),
    step_size.Fixed(),
    step_size.FullMatrix(),
    step_size.SimilarityFTL(),
]
META_STEP_SIZES = [
    meta_step_size.Constant(0.1),
    meta_step_size.Discounted(3.0),
    meta_step_size.FollowTheLeader(),
    meta_step_size.FollowTheRows(),
    meta_step_size.LinearDecay(1.0),
]
REGRESSION_LOSSES = [
    losses.AbsoluteError(),
    losses.EpsilonInsensitive(0.2),
    losses.Huber(0.5),
    losses.Pinball(0.3),
    losses.Poisson(),
    losses.SquaredError(),
]
CLASSIFICATION_LOSSES = [
    losses.Hinge(),
    losses.LogLoss(),
    losses.ModifiedHuber(),
    losses.SquaredHinge(),
]
NETWORK = {"hidden_layer_sizes": (3,), "max_iter": 3}
MODELS = [
    *[FMRLRegressor(step_size=rule) for rule in STEP_SIZES],
    *[FMRLRegressor(step_size=rule, standardize=False) for rule in STEP_SIZES[:2]],
    *[FMRLRegressor(meta_step_size=rule) for rule in META_STEP_SIZES],
    *[FMRLRegressor(OGDRegressor(loss)) for loss in REGRESSION_LOSSES],
    *[FMRLClassifier(OGDClassifier(loss)) for loss in CLASSIFICATION_LOSSES],
    FMRLRegressor(BiasedRidge(), task_parameter="average"),
    FMRLClassifier(BiasedLogisticRegression()),
    FMRLRegressor(SGDRegressor(random_state=0)),
    FMRLRegressor(MLPRegressor(**NETWORK, random_state=0)),
    FMRLClassifier(MLPClassifier(**NETWORK, random_state=0)),
    FMRLRegressor(store_tasks=False),
    MixedEffectsRegressor(half_life=3.0),
    MixedEffectsRegressor(covariance="full", between=True),
    MixedEffectsRegressor(store_tasks=False, window=3),
    MixedEffectsClassifier(),
    OGDRegressor(update="ftrl"),
    OGDRegressor("huber", update="coin"),
    OGDRegressor(update="ogd", eta0=0.01, average=True, shuffle=True, random_state=0),
    OGDRegressor(update="eg", radius=1.0, eta0=0.01),
    *[OGDRegressor(loss) for loss in REGRESSION_LOSSES],
    *[OGDClassifier(loss) for loss in CLASSIFICATION_LOSSES],
    BiasedRidge(noise=0.1),
    BiasedLogisticRegression(),
]


def name_of(model):
    return "".join(repr(model).split())[:80]


def fresh(model):
    model = clone(model)
    if "random_state" in model.get_params() and model.random_state is None:
        model.set_params(random_state=0)
    return model


@each_way
@pytest.mark.parametrize("model", MODELS, ids=name_of)
def test_a_copy_in_mid_stream_continues(model, how):
    assert_continues(fresh(model), how)


def test_every_public_rule_and_estimator_is_tried():
    tried = {type(one) for one in MODELS}
    for one in MODELS:
        tried |= {type(value) for value in one.get_params().values()}
    for module in (skmeta, linear_model, losses, meta_step_size, step_size):
        for name in module.__all__:
            public = getattr(module, name)
            if isinstance(public, type) and hasattr(public, "get_params"):
                assert public in tried or public in BASES, name


BASES = {
    losses.Loss,
    losses.MarginLoss,
    losses.ResidualLoss,
    meta_step_size.MetaStepSize,
    step_size.StepSize,
}


@each_way
@pytest.mark.parametrize("model", FAMILIES, ids=["fmrl", "mixed"])
def test_a_pipeline_in_mid_stream_continues(model, how):
    X, y, tasks = DATA
    pipeline = make_task_pipeline(StandardScaler(), clone(model))
    pipeline.partial_fit(X[:HALF], y[:HALF], tasks=tasks[:HALF])
    twin = COPIES[how](pipeline)
    for one in (twin, pipeline):
        one.partial_fit(X[HALF:], y[HALF:], tasks=tasks[HALF:])
    np.testing.assert_array_equal(
        twin.predict(X, tasks=tasks), pipeline.predict(X, tasks=tasks)
    )


@each_way
@pytest.mark.parametrize("model", FAMILIES, ids=["fmrl", "mixed"])
def test_what_adapt_returns_continues(model, how):
    X, y, _ = DATA
    adapted = learn(clone(model), slice(0, HALF)).adapt(X[HALF:], y[HALF:])
    twin = COPIES[how](adapted)
    for one in (twin, adapted):
        one.partial_fit(X[:5], y[:5])
    assert state_of(twin) == state_of(adapted)


def test_a_report_is_copied():
    X, y, tasks = DATA
    report = regret_report(fresh(FMRLRegressor()).fit(X, y, tasks=tasks), X, y, tasks)
    twin = pickle.loads(pickle.dumps(report))
    np.testing.assert_array_equal(twin.regret, report.regret)


# ---- another version


@pytest.mark.parametrize(
    "model",
    [
        FMRLClassifier(),
        FMRLRegressor(),
        MixedEffectsClassifier(),
        MixedEffectsRegressor(),
        BiasedLogisticRegression(),
        BiasedRidge(),
        OGDClassifier(),
        OGDRegressor(),
        make_task_pipeline(StandardScaler(), FMRLRegressor()),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.parametrize("how", ["pickle 0", "pickle 5", "joblib", "skops"])
def test_another_version_is_named(model, how, monkeypatch):
    model = learn(clone(model), slice(0, HALF))
    of_this_version = _saving.Versioned.__getstate__
    monkeypatch.setattr(
        _saving.Versioned,
        "__getstate__",
        lambda self: {**of_this_version(self), _saving.KEY: "0.0.1"},
    )
    message = f"version 0.0.1 and is loaded with version {skmeta.__version__}"
    with pytest.warns(UserWarning, match=message):
        COPIES[how](model)


def test_a_file_of_skops_needs_no_trust_in_unknown_code():
    """What skops asks to trust are classes of skmeta and of what it is built on."""
    import skops.io

    for model in (FMRLRegressor(), MixedEffectsClassifier()):
        data = skops.io.dumps(learn(clone(model), slice(0, HALF), LABELS["tuples"]))
        roots = {name.split(".")[0] for name in skops.io.get_untrusted_types(data=data)}
        assert roots <= {"skmeta", "numpy", "builtins", "datetime", "collections"}
