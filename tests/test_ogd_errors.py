"""Errors of OGDClassifier and OGDRegressor: each leaves the estimator as it was."""

import re
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal, assert_equal
from ogd_tools import (
    CLASSIFICATION_LOSSES,
    KINDS,
    N_SAMPLES,
    REGRESSION_LOSSES,
    Data,
    theta_of,
)
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skmeta.linear_model import OGDClassifier, OGDRegressor


@pytest.fixture(params=list(KINDS))
def data(request, global_random_seed):
    return Data(request.param, global_random_seed)


# ---- errors: every one leaves the estimator as it was


def states(estimator):
    """Copies of all attributes, with what a failing call might have changed inside."""
    return deepcopy(vars(estimator))


def assert_refuses(model, method, *args, match, error=ValueError, **options):
    before = states(model)
    with pytest.raises(error, match=match):
        getattr(model, method)(*args, **options)
    assert_equal(vars(model), before)


@pytest.fixture(params=["new", "fitted", "averaged"])
def model(request, data):
    """An estimator before and after training."""
    model = data.make(average=request.param == "averaged", update="ogd")
    return model if request.param == "new" else model.fit(data.X, data.y)


def teach(data, model, method, X=None, y=None, match=None, error=ValueError, **options):
    """`assert_refuses` for one of the two methods that learn."""
    if data.n_classes and method == "partial_fit":
        options.setdefault("classes", data.classes)
    X, y = data.X if X is None else X, data.y if y is None else y
    assert_refuses(model, method, X, y, match=match, error=error, **options)


learning = pytest.mark.parametrize("method", ["fit", "partial_fit"])
BAD_PARAMETERS = [
    ("loss", "nope"),
    ("loss", None),
    ("update", "sgd"),
    ("update", None),
    ("eta0", 0.0),
    ("eta0", -1),
    ("eta0", np.nan),
    ("eta0", np.inf),
    ("eta0", "0.1"),
    ("eta0", None),
    ("learning_rate", "optimal"),
    ("learning_rate", 1.0),
    ("radius", 0.0),
    ("radius", -1.0),
    ("radius", np.nan),
    ("radius", "1"),
    ("average", "yes"),
    ("average", 3),
    ("max_iter", 0),
    ("max_iter", 1.5),
    ("max_iter", None),
    ("shuffle", None),
    ("shuffle", 2),
    ("fit_intercept", "no"),
    ("fit_intercept", 2),
    ("random_state", "seed"),
    ("random_state", -1),
    ("lipschitz", 0.0),
    ("lipschitz", np.nan),
    ("lipschitz", "1"),
    ("coef_init", 0.5),
    ("intercept_init", "zero"),
]
BAD_REGRESSION_PARAMETERS = [
    ("epsilon", -0.1),
    ("epsilon", np.nan),
    ("epsilon", None),
    ("quantile", 0.0),
    ("quantile", 1.0),
    ("quantile", np.nan),
    ("quantile", "0.5"),
]
BAD_CLASSIFICATION_PARAMETERS = [
    ("class_weight", "even"),
    ("class_weight", 2.0),
]


@learning
@pytest.mark.parametrize(
    ("estimator", "name", "value"),
    [
        pytest.param(estimator, *case, id=f"{estimator.__name__}-{case[0]}={case[1]!r}")
        for estimator, cases in [
            (OGDRegressor, BAD_PARAMETERS + BAD_REGRESSION_PARAMETERS),
            (OGDClassifier, BAD_PARAMETERS + BAD_CLASSIFICATION_PARAMETERS),
        ]
        for case in cases
    ],
)
def test_bad_parameter_is_named(estimator, name, value, method):
    data = Data("regression" if estimator is OGDRegressor else "two classes")
    match = rf"The '{name}' parameter of {estimator.__name__} must be .* Got "
    teach(data, data.make(**{name: value}), method, match=match)
    fitted = data.make().fit(data.X, data.y).set_params(**{name: value})
    teach(data, fitted, method, match=match)


def test_every_parameter_has_bad_values():
    for estimator, cases in [
        (OGDRegressor, BAD_PARAMETERS + BAD_REGRESSION_PARAMETERS),
        (OGDClassifier, BAD_PARAMETERS + BAD_CLASSIFICATION_PARAMETERS),
    ]:
        assert {name for name, _ in cases} == set(estimator().get_params())


@learning
@pytest.mark.parametrize(
    "eta0",
    [
        [0.1, 0.1, 0.1, 0.0],
        [0.1, 0.1, 0.1, -1.0],
        [0.1, 0.1, 0.1, np.nan],
        [0.1, 0.1, 0.1, np.inf],
        [-0.1],
        [0.1, 0.1, 0.1],
        [0.1] * 5,
        [],
        [[0.1, 0.1], [0.1]],
        ["a", "b", "c", "d"],
    ],
    ids=str,
)
def test_bad_array_of_step_sizes_is_named(eta0, method):
    data = Data("regression")
    teach(data, OGDRegressor(eta0=eta0), method, match="eta0")
    fitted = OGDRegressor().fit(data.X, data.y).set_params(eta0=eta0)
    teach(data, fitted, method, match="eta0")


@learning
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, pd.DataFrame])
def test_non_finite_features_are_refused(data, model, method, value, container):
    X = data.X.copy()
    X[7, 1] = value
    word = "NaN" if np.isnan(value) else "infinity"
    if container is pd.DataFrame:
        model = clone(model)  # what was fitted without names warns
    teach(data, model, method, X=container(X), match=f"Input X contains {word}")


@learning
def test_overflow_of_float32_features_is_refused(data, model, method):
    with np.errstate(over="ignore"):
        X = (1e39 * np.abs(data.X)).astype(np.float32)
    teach(data, model, method, X=X, match="infinity")


@learning
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_targets_are_refused(data, method, value):
    y = data.codes.astype(float)
    y[7] = value
    new, fitted = data.make(), data.make().fit(data.X, data.codes.astype(float))
    for model in (new, fitted):
        options = {"classes": np.arange(float(data.n_classes))}
        options = options if data.n_classes and method == "partial_fit" else {}
        match = "y contains NaN, infinity .* row 7"
        assert_refuses(model, method, data.X, y, match=match, **options)


@learning
@pytest.mark.parametrize("value", [np.nan, None])
def test_missing_labels_are_refused(data, model, method, value):
    y = data.y.astype(object)
    y[7] = value
    teach(data, model, method, y=y, match="y contains NaN, infinity .* row 7")


@learning
@pytest.mark.parametrize("value", [np.inf, 5])
def test_numbers_among_words_are_refused(method, value):
    data = Data("two classes")
    y = data.y.astype(object)
    y[7] = value
    for model in (OGDClassifier(), OGDClassifier().fit(data.X, data.y)):
        match = "of one kind|not in `classes`"
        teach(data, model, method, y=y, match=match)


@learning
def test_targets_of_the_wrong_kind_are_refused(data, model, method):
    n = N_SAMPLES
    teach(data, model, method, y=data.y[:-1], match="inconsistent numbers of samples")
    teach(data, model, method, y=np.tile(data.y, (2, 1)).T, match="1d array")
    teach(data, model, method, y=np.full(n, 1j), match="[Cc]omplex")
    if not data.n_classes:
        words = np.array(["one"] * n)
        teach(data, model, method, y=words, match="y must hold numbers")
    else:
        numbers = np.linspace(0.1, 0.9, n)
        teach(data, model, method, y=numbers, match="Unknown label type|continuous")
    options = {"classes": data.classes} if data.n_classes else {}
    options = options if method == "partial_fit" else {}
    match = "requires y to be passed"
    assert_refuses(model, method, data.X, None, match=match, **options)


@learning
def test_input_of_the_wrong_shape_is_refused(data, model, method):
    teach(data, model, method, X=data.X[:, 0], match="Expected 2D array")
    empty = data.X[:0]
    teach(data, model, method, X=empty, y=data.y[:0], match="0 sample")
    teach(data, model, method, X=data.X[:, :0], match="0 feature")
    teach(data, model, method, X=1j * data.X, match="Complex data not supported")


def test_wrong_width_is_refused(data):
    model = data.make().fit(data.X, data.y)
    match = r"X has 2 features, but OGD\w+ is expecting 3 features"
    narrow = data.X[:, :2]
    teach(data, model, "partial_fit", X=narrow, match=match)
    assert_refuses(model, "predict", narrow, match=match)
    assert_refuses(model, "predict", sp.csr_matrix(narrow), match=match)
    if data.n_classes:
        assert_refuses(model, "decision_function", narrow, match=match)
        assert_refuses(model, "predict_proba", narrow, match=match)


def test_feature_names_are_checked(data):
    frame = pd.DataFrame(data.X, columns=["a", "b", "c"])
    model = data.make().fit(frame, data.y)
    assert_array_equal(model.feature_names_in_, ["a", "b", "c"])
    renamed = frame.rename(columns={"b": "B"})
    reordered = frame[["b", "a", "c"]]
    for other in (renamed, reordered):
        match = "feature names should match"
        teach(data, model, "partial_fit", X=other, match=match)
        assert_refuses(model, "predict", other, match=match)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(data.X)
    model.fit(reordered, data.y)
    assert_array_equal(model.feature_names_in_, ["b", "a", "c"])
    model.fit(data.X, data.y)
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.parametrize(
    ("estimator", "method"),
    [
        (OGDRegressor, "predict"),
        (OGDRegressor, "score"),
        (OGDClassifier, "predict"),
        (OGDClassifier, "score"),
        (OGDClassifier, "decision_function"),
        (OGDClassifier, "predict_proba"),
    ],
)
def test_nothing_is_predicted_before_fit(estimator, method):
    args = ([[1.0]], [1]) if method == "score" else ([[1.0]],)
    assert_refuses(
        estimator(), method, *args, match="not fitted yet", error=NotFittedError
    )


@learning
@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (-1.0, "[Nn]egative"),
        (np.nan, "NaN"),
        (np.inf, "infinity"),
        (None, "weights (are zero|must contain at least one non-zero)"),
    ],
    ids=["negative", "nan", "inf", "all zero"],
)
def test_bad_sample_weights_are_refused(data, model, method, weight, match):
    weights = np.zeros(N_SAMPLES) if weight is None else data.weight.copy()
    if weight is not None:
        weights[3] = weight
    teach(data, model, method, sample_weight=weights, match=match)


@learning
def test_sample_weights_of_the_wrong_shape_are_refused(data, model, method):
    for weight in (data.weight[:-1], data.weight[:, np.newaxis]):
        teach(data, model, method, sample_weight=weight, match="sample_weight|weights")


@pytest.mark.parametrize("name", ["coef_init", "intercept_init"])
def test_bad_starts_are_refused(data, model, name):
    good = data.init()[name]
    longer = np.append(good, 1.0)
    for bad in (longer, [], "abc", np.full_like(good, np.nan)):
        teach(data, model, "fit", match=name, **{name: bad})
    flags = np.full_like(good, np.inf)
    teach(data, model, "fit", match=f"{name} must be finite", **{name: flags})


def test_intercept_that_is_not_learned_is_refused(data):
    """`predict` would add it to scores that were learned without it."""
    model = data.make(fit_intercept=False)
    teach(data, model, "fit", match="fit_intercept", **data.init())
    model.fit(data.X, data.y, coef_init=data.init()["coef_init"])
    assert_array_equal(model.intercept_, 0.0)
    fitted = data.make().fit(data.X, data.y).set_params(fit_intercept=False)
    teach(data, fitted, "partial_fit", match="fit_intercept")


def test_transposed_start_is_refused():
    data = Data("three classes")
    data.X = data.X[:, :2]
    start = np.arange(6.0).reshape(2, 3)  # coef_ has shape (3, 2)
    teach(data, OGDClassifier(), "fit", coef_init=start, match="coef_init")


def test_transposed_step_sizes_are_refused():
    data = Data("three classes")
    eta0 = np.linspace(0.1, 1.2, 12).reshape(4, 3)  # parameters have shape (3, 4)
    teach(data, OGDClassifier(eta0=eta0), "fit", match="eta0")


def test_single_class_is_refused():
    data = Data("two classes")
    for model in (OGDClassifier(), OGDClassifier().fit(data.X, data.y)):
        y = np.full(N_SAMPLES, "ant")
        assert_refuses(model, "fit", data.X, y, match="at least two classes; got 1")
    assert_refuses(
        OGDClassifier(), "partial_fit", data.X, y, ["ant"], match="at least two classes"
    )


def test_classes_of_partial_fit_are_checked():
    data = Data("two classes")
    new, fitted = OGDClassifier(), OGDClassifier().fit(data.X, data.y)
    assert_refuses(
        new, "partial_fit", data.X, data.y, match="classes must be passed on the first"
    )
    others = ["ant", "cat"]
    assert_refuses(
        fitted,
        "partial_fit",
        data.X,
        data.y,
        others,
        match="is not the same as on last",
    )
    y = data.y.copy()
    y[4] = "eel"
    match = "class not in `classes` in row 4"
    assert_refuses(fitted, "partial_fit", data.X, y, match=match)
    assert_refuses(new, "partial_fit", data.X, y, data.classes, match=match)
    codes = np.where(y == "ant", 0, 1)
    assert_refuses(fitted, "partial_fit", data.X, codes, match="class not in")


@learning
def test_divergence_is_an_error_that_says_what_to_do(data, model, method):
    losses = {0: "squared_error", 2: "squared_hinge", 3: "squared_hinge"}
    model.set_params(loss=losses[data.n_classes], eta0=1.0)
    X, y = np.tile(1e8 * data.X, (3, 1)), np.tile(data.y, 3)
    teach(data, model, method, X=X, y=y, match=re.escape("update='implicit'"))
    teach(data, model, method, X=X, y=y, match="StandardScaler.*eta0")
    teach(
        data, model, method, X=sp.csr_matrix(X), y=y, match="diverged .NaN or infinity"
    )
    float32 = X.astype(np.float32)
    teach(data, model, method, X=float32, y=y, match="diverged .NaN or infinity")
    if not hasattr(model, "coef_"):
        assert set(vars(model)) == set(model.get_params())


@pytest.mark.parametrize("update", ["ogd", "implicit"])
@pytest.mark.parametrize("scale", [1e155, 1e200, 1e300])
def test_nothing_learned_is_ever_non_finite(data, update, scale):
    for loss in data.losses():
        model = data.make(loss=loss, update=update)
        try:
            model.fit(scale * data.X, data.y)
        except ValueError as error:
            assert "diverged (NaN or infinity)" in str(error)
            assert set(vars(model)) == set(model.get_params())
        else:
            assert np.isfinite(theta_of(model)).all()
            assert np.isfinite(theta_of(model, average=True)).all()
            assert np.isfinite(model.losses_).all()
            assert np.isfinite(model.grad_sq_norm_)


@pytest.mark.parametrize("loss", REGRESSION_LOSSES + CLASSIFICATION_LOSSES)
@pytest.mark.parametrize("update", ["ogd", "implicit"])
def test_both_kernels_serve(kernel, loss, update):
    data = Data("regression" if loss in REGRESSION_LOSSES else "three classes")
    model = data.make(loss=loss, update=update, radius=1.0).fit(data.X, data.y)
    run = data.naive(model)
    assert_allclose(theta_of(model), run.last, rtol=1e-10, atol=1e-12)
