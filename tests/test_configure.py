"""What goes together in one meta-estimator, and the sentences that refuse the rest."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from third_party.flat_learner import BumpRegressor

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta._fmrl._configure import REFUSALS
from skmeta.datasets import make_task_regression
from skmeta.linear_model import (
    BiasedLogisticRegression,
    BiasedRidge,
    Capability,
    InnerLearner,
    OGDClassifier,
    OGDRegressor,
    Outcome,
)
from skmeta.meta_step_size import FollowTheRows
from skmeta.step_size import ARUBA, Doubling, Fixed, FullMatrix

X, Y, TASKS = make_task_regression(6, 5, 3, random_state=0)


class Still(InnerLearner):
    """Stays where it starts; takes a step size, and reports nothing."""

    can = frozenset({Capability.STEPS})

    def step(self, n_samples):
        return np.ones((1, 1))

    def run(self, task, start, eta, *, average):
        return Outcome(start.copy())


class StillRegressor(RegressorMixin, BaseEstimator):
    """An estimator with that learner."""

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.zeros(len(X))

    def inner_learner(self, shape, classes):
        return Still()


# One or more combinations for every entry of the table, in its order.
REFUSED = [
    [
        (
            {"estimator": SGDRegressor(), "step_size": "isotropic"},
            "SGDRegressor does not accept a step size.*'fixed'.*Got .*'isotropic'",
        ),
        (
            {"estimator": SGDRegressor(), "step_size": 0.1},
            "SGDRegressor does not accept a step size.*Got step_size=0.1",
        ),
        (
            {"estimator": SGDClassifier(), "step_size": Doubling()},
            r"SGDClassifier does not accept a step size.*Got step_size=Doubling\(\)",
        ),
    ],
    [
        (
            {"estimator": StillRegressor(), "step_size": "doubling"},
            "StillRegressor does not report the gradients and losses.*a float",
        ),
    ],
    [
        (
            {"estimator": OGDRegressor(eta0=0.5)},
            "OGDRegressor has eta0=0.5, which step_size=None does not use.*'fixed'",
        ),
        (
            {"estimator": OGDRegressor(learning_rate="invsqrt"), "step_size": 0.1},
            "OGDRegressor has learning_rate='invsqrt', which step_size=0.1 does not",
        ),
        (
            {"estimator": BiasedRidge(2.0), "step_size": ARUBA()},
            r"BiasedRidge has alpha=2.0, which step_size=ARUBA\(\) does not use",
        ),
        (
            {"estimator": OGDClassifier(eta0=0.5), "step_size": "per_coordinate"},
            "OGDClassifier has eta0=0.5, which step_size='per_coordinate' does not",
        ),
    ],
    [
        (
            {"estimator": SGDRegressor(), "task_parameter": "average"},
            "SGDRegressor does not report an average iterate.*'last'.*Got .*'average'",
        ),
    ],
    [
        (
            {"estimator": SGDRegressor(), "task_parameter": "optimum"},
            "SGDRegressor does not name the loss.*task_parameter='last'.*'optimum'",
        ),
        (
            {"estimator": SGDClassifier(), "task_parameter": "regularized"},
            "SGDClassifier does not name the loss.*'last'.*'regularized'",
        ),
    ],
    [
        (
            {
                "estimator": OGDRegressor("huber", update="coin"),
                "task_parameter": "regularized",
            },
            "OGDRegressor has no step size.*'regularized' needs: use 'last', 'average'",
        ),
    ],
    [
        (
            {"estimator": OGDRegressor(coef_init=[1.0])},
            "OGDRegressor has a coef_init, which FMRLRegressor does not use.*`init`",
        ),
        (
            {"estimator": OGDClassifier(class_weight="balanced")},
            "OGDClassifier has a class_weight, which FMRLClassifier does not use",
        ),
    ],
    [
        (
            {"estimator": SGDRegressor(), "init": "pooled"},
            "SGDRegressor does not name the loss.*pooling.*init='zero'.*Got .*'pooled'",
        ),
    ],
    [
        (
            {"estimator": OGDRegressor(radius=2.0), "step_size": "isotropic"},
            "OGDRegressor has radius=2, .* standardize=False.*scale the features",
        ),
        (
            {"estimator": OGDClassifier(radius=2.0), "step_size": "isotropic"},
            "OGDClassifier has radius=2, .* standardize=False",
        ),
    ],
    [
        (
            {"estimator": BumpRegressor()},
            "BumpRegressor cannot .*=True.* Set standardize=False.*StandardScaler",
        ),
    ],
    [
        (
            {"estimator": SGDRegressor(), "meta_step_size": FollowTheRows()},
            r"SGDRegressor does not name the loss.*FollowTheLeader\(\)",
        ),
    ],
    [
        (
            {
                "estimator": OGDRegressor(radius=2.0),
                "meta_step_size": FollowTheRows(),
                "standardize": False,
            },
            r"OGDRegressor has radius=2.*ball.*FollowTheLeader\(\)",
        ),
    ],
    [
        (
            {
                "estimator": OGDRegressor(),
                "meta_step_size": FollowTheRows(),
                "n_features": 600,
            },
            r"at most 262144.*n_outputs=1 and n_features=600.*FollowTheLeader\(\)",
        ),
    ],
    [
        (
            {
                "estimator": OGDRegressor(update="eg", radius=1.0),
                "step_size": "full_matrix",
                "standardize": False,
            },
            "OGDRegressor does not accept a matrix.*'full_matrix'.*BiasedRidge",
        ),
    ],
    [
        (
            {
                "estimator": OGDRegressor(),
                "step_size": FullMatrix(),
                "task_parameter": "regularized",
            },
            "'regularized' with a matrix.*needs BiasedRidge.*Got OGDRegressor",
        ),
    ],
    [
        (
            {"estimator": BiasedRidge(), "step_size": ARUBA(shrink=0.1)},
            "BiasedRidge does not accept steps that shrink.*shrink=0.0, or use OGD",
        ),
        (
            {"estimator": OGDRegressor(update="ftrl"), "step_size": ARUBA(shrink=1)},
            "OGDRegressor does not accept steps that shrink",
        ),
    ],
    [
        (
            {
                "estimator": OGDRegressor(update="eg", radius=1.0),
                "step_size": "per_coordinate",
                "standardize": False,
            },
            "OGDRegressor needs a single step size.*with step_size='per_coordinate'",
        ),
    ],
]


def kind_of(params):
    """The meta-estimator for an inner estimator, and its targets."""
    regression = isinstance(params["estimator"], RegressorMixin)
    return (FMRLRegressor, Y) if regression else (FMRLClassifier, (Y > 0).astype(int))


def test_every_refusal_is_tested():
    assert len(REFUSALS) == len(REFUSED)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "number, params, message",
    [
        pytest.param(number, *case, id=f"{number}-{case[0]['estimator']!r}"[:60])
        for number, cases in enumerate(REFUSED)
        for case in cases
    ],
)
def test_parts_that_cannot_be_combined_are_refused(number, params, message, method):
    """By the entry of the table that is meant, and nothing is changed."""
    params = params.copy()
    data = np.resize(X, (len(X), params.pop("n_features", X.shape[1])))
    kind, y = kind_of(params)
    model = kind(**params)
    before = vars(model).copy()
    first = {"classes": [0, 1]} if kind is FMRLClassifier else {}
    if method == "partial_fit" and params.get("init") == "pooled":
        message = "init='pooled'|does not name the loss"
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(data, y, tasks=TASKS, **first)
    assert vars(model) == before


@pytest.mark.parametrize(
    "params",
    [
        {"estimator": SGDRegressor(random_state=0)},
        {"estimator": SGDRegressor(random_state=0), "step_size": "fixed"},
        {"estimator": SGDClassifier(random_state=0), "step_size": Fixed()},
        {"estimator": StillRegressor()},
        {"estimator": StillRegressor(), "step_size": 0.1},
        {"estimator": OGDRegressor(eta0=0.5), "step_size": "fixed"},
        {"estimator": OGDRegressor(learning_rate="invsqrt"), "step_size": "fixed"},
        {"estimator": BiasedRidge(2.0), "step_size": "fixed"},
        {"estimator": OGDRegressor(radius=2.0), "standardize": False},
        {"estimator": BiasedRidge(), "step_size": "per_coordinate"},
        {"estimator": BiasedLogisticRegression(), "task_parameter": "average"},
        {
            "estimator": OGDRegressor(update="eg", radius=1.0),
            "step_size": "isotropic",
            "standardize": False,
        },
    ],
    ids=str,
)
def test_parts_that_go_together_learn(params):
    kind, y = kind_of(params)
    model = kind(**params).fit(X, y, tasks=TASKS)
    assert model.n_tasks_seen_ == 6
    assert np.isfinite(model.task_coef_).all()


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_part_refused_in_the_middle_of_a_stream_changes_nothing(method):
    model = FMRLRegressor(OGDRegressor()).fit(X, Y, tasks=TASKS)
    before = model.coef_
    model.set_params(estimator__eta0=0.7)
    with pytest.raises(ValueError, match="eta0=0.7, which step_size=None does not use"):
        getattr(model, method)(X, Y, tasks=TASKS)
    with pytest.raises(ValueError, match="eta0=0.7, which step_size=None does not use"):
        model.adapt(X[:3], Y[:3])
    assert_array_equal(model.coef_, before)


# ---- a grid over both step sizes always acts

GRID = {
    "meta_step_size": ["ftl", 0.03, 0.1, 0.3, 1.0],
    "step_size": [0.01, 0.1, None],
}


def distinct(search):
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    return len(np.unique(scores)), len(scores)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_candidates_of_a_grid_differ(n_jobs):
    X, y, tasks = make_task_regression(30, 8, 4, random_state=0)
    X = np.column_stack([tasks, 1e3 * X + 500.0])
    search = GridSearchCV(
        FMRLRegressor(task_column=0),
        GRID,
        cv=GroupKFold(3),
        error_score="raise",
        n_jobs=n_jobs,
    )
    search.fit(X, y, groups=tasks)
    assert distinct(search) == (15, 15)


def test_candidates_of_a_grid_in_a_pipeline_differ():
    X, y, tasks = make_task_regression(30, 8, 4, random_state=0)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(store=tasks)
    pipe = make_pipeline("passthrough", FMRLRegressor(task_column="store"))
    grid = {f"fmrlregressor__{name}": values for name, values in GRID.items()}
    search = GridSearchCV(pipe, grid, cv=GroupKFold(3), error_score="raise")
    assert distinct(search.fit(frame, y, groups=tasks)) == (15, 15)


def test_strengths_of_a_full_loss_learner_act_in_a_grid():
    X, y, tasks = make_task_regression(30, 8, 4, random_state=0)
    model = FMRLRegressor(BiasedRidge(), step_size="fixed", task_column=0)
    grid = {"estimator__alpha": [0.01, 0.1, 1.0, 10.0]}
    search = GridSearchCV(model, grid, cv=GroupKFold(3), error_score="raise")
    assert distinct(search.fit(np.c_[tasks, X], y, groups=tasks)) == (4, 4)
