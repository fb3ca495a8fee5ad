"""OGDClassifier and OGDRegressor: weights, containers of the data, and classes."""

from copy import deepcopy
from itertools import product

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from ogd_tools import (
    CLASSIFICATION_LOSSES,
    KINDS,
    N_FEATURES,
    N_SAMPLES,
    Data,
    assert_same_model,
    theta_of,
)
from sklearn.exceptions import DataConversionWarning

from skmeta.linear_model import OGDClassifier, OGDRegressor


@pytest.fixture(params=list(KINDS))
def data(request, global_random_seed):
    return Data(request.param, global_random_seed)


# ---- sample weights


@pytest.mark.parametrize("shuffle", [False, True], ids=["in order", "shuffled"])
@pytest.mark.parametrize("learning_rate", ["constant", "invsqrt"])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_rows_of_weight_zero_change_nothing(data, container, learning_rate, shuffle):
    def make():
        return data.make(
            learning_rate=learning_rate, shuffle=shuffle, max_iter=2, random_state=0
        )

    weight = data.weight.copy()
    weight[[0, 5, 6, 19]] = 0.0
    kept = weight > 0
    X = container(data.X)
    full = make().fit(X, data.y, sample_weight=weight)
    part = make().fit(X[kept], data.y[kept], sample_weight=weight[kept])
    assert_array_equal(full.losses_[~kept], 0.0)
    full.losses_ = full.losses_[kept]
    assert_same_model(full, part)
    full.partial_fit(X, data.y, sample_weight=weight)
    part.partial_fit(X[kept], data.y[kept], sample_weight=weight[kept])
    assert_array_equal(full.coef_, part.coef_)
    assert full.t_ == part.t_


def test_weight_scales_the_loss(data):
    """A weight of 3 on all rows is a step three times as long."""
    unweighted = data.make(eta0=0.15).fit(data.X, data.y)
    weighted = data.make(eta0=0.05)
    weighted.fit(data.X, data.y, sample_weight=np.full(N_SAMPLES, 3.0))
    assert_allclose(theta_of(weighted), theta_of(unweighted), rtol=1e-10, atol=1e-12)
    assert_allclose(weighted.losses_, 3.0 * unweighted.losses_, rtol=1e-10)
    assert_allclose(weighted.grad_sq_norm_, 9.0 * unweighted.grad_sq_norm_, rtol=1e-10)


def test_weights_of_one_change_nothing(data):
    plain = data.make().fit(data.X, data.y)
    for weight in (np.ones(N_SAMPLES), 1.0, [1] * N_SAMPLES):
        model = data.make().fit(data.X, data.y, sample_weight=weight)
        assert_same_model(model, plain)


# ---- containers and types of the data


def with_unsorted_indices(X):
    """CSR in which the entries of every row are in reverse order."""
    X = sp.csr_matrix(X)
    for begin, end in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        X.indices[begin:end] = X.indices[begin:end][::-1].copy()
        X.data[begin:end] = X.data[begin:end][::-1].copy()
    X.has_sorted_indices = False
    return X


def with_duplicates(X):
    """CSR that holds every entry in two parts."""
    coo = sp.coo_matrix(X)
    rows, columns = np.repeat(coo.row, 2), np.repeat(coo.col, 2)
    order = np.argsort(rows, kind="stable")
    indptr = np.searchsorted(rows[order], np.arange(X.shape[0] + 1))
    parts = np.ravel([0.25 * coo.data, 0.75 * coo.data], order="F")
    X = sp.csr_matrix((parts[order], columns[order], indptr), shape=X.shape)
    assert not X.has_canonical_format
    return X


def with_long_indices(X):
    X = sp.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def non_contiguous(X):
    return np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]


CONTAINERS = {
    "csr_matrix": sp.csr_matrix,
    "csr_array": sp.csr_array,
    "csc": sp.csc_matrix,
    "coo": sp.coo_array,
    "csr unsorted": with_unsorted_indices,
    "csr duplicates": with_duplicates,
    "csr int64": with_long_indices,
    "csr float32": lambda X: sp.csr_matrix(X.astype(np.float32)),
    "csr int values": lambda X: sp.csr_matrix(X.astype(int)),
    "dataframe": lambda X: pd.DataFrame(X, columns=list("abc")),
    "list": lambda X: X.tolist(),
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "int": lambda X: X.astype(int),
    "int8": lambda X: X.astype(np.int8),
    "big endian": lambda X: X.astype(">f8"),
    "object": lambda X: X.astype(object),
    "fortran": np.asfortranarray,
    "fortran float32": lambda X: np.asfortranarray(X.astype(np.float32)),
    "read-only": read_only,
    "non-contiguous": non_contiguous,
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_of_the_same_numbers_give_the_same_model(data, container):
    whole = 4.0 * np.sign(data.X) * (np.abs(data.X) > 0.5)  # exact in every type
    expected = data.make(eta0=0.01, max_iter=2).fit(whole, data.y)
    X = CONTAINERS[container](whole)
    before = deepcopy(X)
    model = data.make(eta0=0.01, max_iter=2).fit(X, data.y)
    assert_same_model(model, expected, 1e-12)
    assert_array_equal(model.predict(X), model.predict(X))
    scores = "decision_function" if data.n_classes else "predict"
    assert_allclose(
        getattr(model, scores)(X), getattr(expected, scores)(whole), rtol=1e-12
    )
    assert_same_model(
        model.partial_fit(X, data.y),
        deepcopy(expected).partial_fit(whole, data.y),
        1e-12,
    )
    if sp.issparse(X):
        assert X.format == before.format
        if X.format == "csr":
            assert_array_equal(X.indices, before.indices)
            assert_array_equal(X.data, before.data)
            assert X.indices.dtype == before.indices.dtype


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(lambda a: a.tolist(), id="list"),
        pytest.param(read_only, id="read-only"),
        pytest.param(lambda a: np.repeat(a, 2)[::2], id="non-contiguous"),
        pytest.param(pd.Series, id="series"),
        pytest.param(lambda a: a.astype(object), id="object"),
    ],
)
def test_containers_of_targets_and_weights(data, convert):
    expected = data.make().fit(data.X, data.y, data.weight)
    y, weight = convert(data.y), convert(data.weight)
    assert_same_model(data.make().fit(data.X, y, sample_weight=weight), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int8, bool, ">f8"])
def test_types_of_regression_targets(dtype):
    X, y = Data("regression").X, (np.arange(N_SAMPLES) % 2)
    expected = OGDRegressor().fit(X, y.astype(float))
    assert_same_model(OGDRegressor().fit(X, y.astype(dtype)), expected)


def test_column_of_targets_is_flattened_with_a_warning(data):
    model = data.make()
    with pytest.warns(DataConversionWarning, match="column-vector"):
        model.fit(data.X, data.y[:, np.newaxis])
    assert_same_model(model, data.make().fit(data.X, data.y))


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csr_array])
def test_features_that_are_all_zero(data, container):
    model = data.make(max_iter=2).fit(container(0.0 * data.X), data.y)
    assert_array_equal(model.coef_, 0.0)
    assert (model.intercept_ != 0.0).all()
    assert len(np.unique(model.predict(container(0.0 * data.X)))) == 1


# ---- classification


@pytest.mark.parametrize(
    "labels",
    [
        ["b", "a", "c"],
        [3, -1, 10],
        [0.0, -2.0, 7.0],
        np.array(["x", "yy", "zzz"], dtype=object),
    ],
    ids=["strings", "integers", "floats", "objects"],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_of_any_kind(labels, n_classes):
    data = Data("three classes" if n_classes == 3 else "two classes")
    classes = np.sort(labels[:n_classes])
    y = classes[data.codes]
    model = OGDClassifier(max_iter=50).fit(3 * data.X, y)
    expected = OGDClassifier(max_iter=50).fit(3 * data.X, data.codes)
    assert_same_model(model, expected)
    assert_array_equal(model.classes_, classes)
    assert_array_equal(model.predict(data.X), classes[expected.predict(data.X)])
    assert model.predict(data.X).dtype == y.dtype


def test_boolean_labels():
    data = Data("two classes")
    model = OGDClassifier().fit(data.X, data.codes == 1)
    assert_same_model(model, OGDClassifier().fit(data.X, data.codes))
    assert model.predict(data.X).dtype == bool


def test_several_classes_are_learned_one_against_all():
    data = Data("three classes")
    for loss, update in product(CLASSIFICATION_LOSSES, ["ogd", "implicit"]):
        model = OGDClassifier(loss=loss, update=update).fit(data.X, data.y)
        losses = np.zeros(N_SAMPLES)
        for k, label in enumerate(data.classes):
            single = OGDClassifier(loss=loss, update=update)
            single.fit(data.X, data.y == label)
            assert_allclose(model.coef_[[k]], single.coef_, rtol=1e-12)
            assert_allclose(model.intercept_[[k]], single.intercept_, rtol=1e-12)
            losses += single.losses_
        assert_allclose(model.losses_, losses, rtol=1e-12)


def test_ball_holds_all_rows_of_weights():
    data = Data("three classes")
    model = OGDClassifier(radius=0.5, eta0=1.0).fit(data.X, data.y)
    assert_allclose(np.linalg.norm(theta_of(model)), 0.5, rtol=1e-12)


def test_prediction_is_the_class_of_the_highest_score(data):
    if not data.n_classes:
        model = data.make().fit(data.X, data.y)
        expected = data.X @ model.coef_ + model.intercept_
        assert_allclose(model.predict(data.X), expected, rtol=1e-12)
        return
    model = data.make().fit(data.X, data.y)
    scores = model.decision_function(data.X)
    assert_allclose(
        scores.reshape(N_SAMPLES, -1), data.X @ model.coef_.T + model.intercept_
    )
    index = (scores > 0).astype(int) if data.n_classes == 2 else scores.argmax(axis=1)
    assert_array_equal(model.predict(data.X), data.classes[index])


@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities(loss, n_classes):
    data = Data("three classes" if n_classes == 3 else "two classes")
    model = OGDClassifier(loss=loss).fit(data.X, data.y)
    if loss in ("hinge", "squared_hinge"):
        assert not hasattr(model, "predict_proba")
        with pytest.raises(AttributeError, match="predict_proba") as error:
            model.predict_proba(data.X)
        assert loss in str(error.value.__cause__ or error.value)
        return
    probabilities = model.predict_proba(data.X)
    assert probabilities.shape == (N_SAMPLES, n_classes)
    assert (probabilities >= 0).all()
    assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-14)
    best = data.classes[probabilities.argmax(axis=1)]
    assert_array_equal(best, model.predict(data.X))


def test_partial_fit_knows_classes_that_have_not_come_yet():
    data = Data("three classes")
    rows = data.codes == 1
    model = OGDClassifier().partial_fit(data.X[rows], data.y[rows], data.classes[::-1])
    assert_array_equal(model.classes_, data.classes)
    assert model.coef_.shape == (3, N_FEATURES)
    model.partial_fit(data.X, data.y)
    model.partial_fit(data.X, data.y, classes=list(data.classes))
    assert model.t_ == rows.sum() + 2 * N_SAMPLES
