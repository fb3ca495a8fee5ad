"""Input in the kernels' own form takes a short road; it must lead to the same place."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone

from skmeta import FMRLClassifier, FMRLRegressor
from skmeta._checks import encode_labels, find_classes
from skmeta._labels import code_rows, group_rows
from skmeta._parameters import cheap_clone
from skmeta.linear_model import BiasedLogisticRegression, OGDClassifier, OGDRegressor
from skmeta.meta_step_size import Constant
from skmeta.step_size import Doubling


def make_tasks(seed, n_classes=0, n_tasks=5, n_samples=6, n_features=3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_tasks, n_samples, n_features))
    y = X.sum(axis=2) + rng.normal(size=(n_tasks, n_samples))
    if n_classes:
        y = rng.integers(n_classes, size=y.shape)
        y[:, :n_classes] = np.arange(n_classes)
    return list(zip(X, y, strict=True))


def learned(model):
    return model.coef_, model.intercept_, model.history_, model.step_size_


def assert_same(one, other):
    for a, b in zip(learned(one), learned(other), strict=True):
        assert_array_equal(a, b)


def misaligned(array):
    """The same values at an address that is no multiple of their size."""
    memory = np.empty(array.nbytes + 1, dtype=np.uint8)
    moved = memory[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


FORMS = {
    "list": (np.ndarray.tolist, np.ndarray.tolist),
    "frame": (pd.DataFrame, pd.Series),
    "fortran": (np.asfortranarray, lambda y: np.repeat(y, 2)[::2]),
    "strided": (lambda X: np.repeat(X, 2, axis=1)[:, ::2], np.asarray),
    "misaligned": (misaligned, misaligned),
    "column": (np.asarray, lambda y: y.astype("f4").astype(y.dtype)),
    "read-only": (lambda X: np.broadcast_to(X, X.shape), np.asarray),
    "big-endian": (
        lambda X: X.astype(">f8"),
        lambda y: y.astype(y.dtype.newbyteorder()),
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n_classes", [0, 2, 4])
@pytest.mark.parametrize("standardize", [True, False])
def test_other_forms_of_the_same_numbers(
    form, n_classes, standardize, global_random_seed
):
    of_X, of_y = FORMS[form]
    model = (FMRLClassifier if n_classes else FMRLRegressor)(standardize=standardize)
    options = {"classes": np.arange(n_classes)} if n_classes else {}
    plain, other = clone(model), clone(model)
    for X, y in make_tasks(global_random_seed, n_classes):
        y = np.rint(y) if form == "column" else y
        plain.partial_fit(X, y, **options)
        if form == "frame":
            X = pd.DataFrame(X, columns=["a", "b", "c"])
        other.partial_fit(of_X(X), of_y(y), **options)
    assert_same(plain, other)
    adapted, expected = other.adapt(of_X(X), of_y(y)), plain.adapt(np.asarray(X), y)
    assert_array_equal(adapted.coef_, expected.coef_)


@pytest.mark.parametrize(
    "learner",
    [
        OGDClassifier(),
        FMRLClassifier(standardize=False),
        FMRLClassifier(),
        FMRLClassifier(BiasedLogisticRegression()),
    ],
    ids=str,
)
def test_misaligned_arrays_of_every_kind(learner):
    """Views of the bytes of a file may be: of weights and of sparse matrices too."""
    (X, y), *_ = make_tasks(0, n_classes=2)
    X, y = X * (X > 0), y.astype(np.float64)
    weight = np.linspace(1.0, 2.0, len(y))
    labels = {"tasks": y} if isinstance(learner, FMRLClassifier) else {}
    csr = sp.csr_array(X)
    moved = csr.copy()
    for name in ("data", "indices", "indptr"):
        setattr(moved, name, misaligned(getattr(csr, name)))
    for features, plain in ((misaligned(X), X), (csr, csr.copy()), (moved, csr)):
        expected = clone(learner).fit(plain, y, sample_weight=weight, **labels)
        model = clone(learner).fit(
            features, misaligned(y), sample_weight=misaligned(weight), **labels
        )
        assert_allclose(model.coef_, expected.coef_, rtol=1e-12)
        assert_array_equal(model.predict(features), expected.predict(plain))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.set_params(meta_step_size=0.9),
        lambda m: m.set_params(meta_step_size=Constant(0.3)),
        lambda m: m.set_params(estimator__epsilon=0.03),
        lambda m: m.set_params(step_size__gamma=3.0),
        lambda m: setattr(m.estimator, "loss", "huber"),
        lambda m: setattr(m, "estimator", OGDRegressor(update="ogd")),
        lambda m: setattr(m, "estimator", None),
        lambda m: setattr(m, "task_parameter", "average"),
        lambda m: setattr(m, "init", np.ones(4)),
    ],
)
def test_a_changed_parameter_counts_from_the_next_call_on(change, global_random_seed):
    """As for a model that has never learned with the old ones in the same process."""
    tasks = make_tasks(global_random_seed)
    model = FMRLRegressor(
        OGDRegressor(), meta_step_size=0.1, step_size=Doubling(), random_state=0
    )
    for X, y in tasks[:2]:
        model.partial_fit(X, y)
    other = clone(model)
    for X, y in tasks[:2]:
        other.partial_fit(X, y)
    change(model)
    change(other)
    for X, y in tasks[2:]:
        model.partial_fit(X, y)
        other = pickle.loads(pickle.dumps(other))  # which forgets what was resolved
        other.partial_fit(X, y)
    assert_same(model, other)
    assert_array_equal(model.adapt(X, y).coef_, other.adapt(X, y).coef_)


def test_an_array_changed_in_place_counts():
    (X, y), *_ = make_tasks(0)
    eta0 = np.full((1, 4), 0.1)
    model = FMRLRegressor(OGDRegressor(eta0=eta0), step_size="fixed").partial_fit(X, y)
    eta0[:] = 0.01
    model.partial_fit(X, y)
    assert_array_equal(model.step_size_, eta0)
    eta0[:] = -1.0
    with pytest.raises(ValueError, match="eta0"):
        model.partial_fit(X, y)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("meta_step_size", 2.0),
        ("step_size", "fast"),
        ("n_jobs", "two"),
        ("estimator", 3),
    ],
)
def test_a_changed_parameter_is_validated(name, value):
    (X, y), (X_next, y_next), *_ = make_tasks(0)
    model = FMRLRegressor().partial_fit(X, y)
    before = model.coef_.copy()
    model.set_params(**{name: value})
    with pytest.raises(ValueError, match=name):
        model.partial_fit(X_next, y_next)
    assert_array_equal(model.coef_, before)


def test_validation_can_be_switched_off_as_in_scikit_learn():
    (X, y), *_ = make_tasks(0)
    with config_context(skip_parameter_validation=True):
        FMRLRegressor(verbose="").partial_fit(X, y)
    with pytest.raises(ValueError, match="verbose"):
        FMRLRegressor(verbose="").partial_fit(X, y)


@pytest.mark.parametrize(
    ("bad_X", "bad_y", "message"),
    [
        (np.zeros((6, 4)), np.zeros(6), "features"),
        (np.zeros((0, 3)), np.zeros(0), "0 sample"),
        (np.zeros((6, 3)), np.zeros(5), "inconsistent"),
        (np.zeros(3), np.zeros(3), "2D"),
        (np.full((6, 3), np.nan), np.zeros(6), "NaN or infinity in row 0"),
        (np.zeros((6, 3)), np.full(6, np.inf), "y is inf in row 0"),
        (np.zeros((6, 3)), None, "None"),
    ],
)
def test_plain_arrays_are_checked(bad_X, bad_y, message):
    (X, y), *_ = make_tasks(0)
    model = FMRLRegressor().partial_fit(X, y)
    before = [np.copy(part) for part in learned(model)]
    with pytest.raises(ValueError, match=message):
        model.partial_fit(bad_X, bad_y)
    with pytest.raises(ValueError, match=message):
        model.adapt(bad_X, bad_y)
    for a, b in zip(before, learned(model), strict=True):
        assert_array_equal(a, b)


def test_missing_feature_names_are_noticed():
    (X, y), *_ = make_tasks(0)
    model = FMRLRegressor().partial_fit(pd.DataFrame(X, columns=["a", "b", "c"]), y)
    with pytest.warns(UserWarning, match="feature names"):
        model.partial_fit(X, y)


def test_classes_may_be_repeated_but_not_changed():
    (X, y), *_ = make_tasks(0, n_classes=3)
    model = FMRLClassifier().partial_fit(X, y, classes=[0, 1, 2])
    for same in (np.array([0, 1, 2]), [2, 0, 1], np.array([1, 2, 0]), range(3), None):
        model.partial_fit(X, y, classes=same)
    for other in (np.array([0, 1]), np.array([0, 1, 3]), ["a", "b", "c"]):
        with pytest.raises(ValueError, match="not the same as on last call"):
            model.partial_fit(X, y, classes=other)
    with pytest.raises(ValueError, match=r"y is 3 in row 2 of the task"):
        model.partial_fit(X, np.array([0, 1, 3, 2, 2, 2]))


@pytest.mark.parametrize("label", [3, "till", np.int64(3), np.str_("till"), 2.0, True])
def test_one_label_for_all_rows(label):
    (X, y), (X_next, y_next), *_ = make_tasks(0)
    one = FMRLRegressor().partial_fit(X, y, tasks=label)
    many = FMRLRegressor().partial_fit(X, y, tasks=[label] * len(y))
    for model, labels in ((one, label), (many, np.array([label] * len(y)))):
        model.partial_fit(X_next, y_next, tasks=labels)
    assert one.task_labels_.tolist() == many.task_labels_.tolist() == [label]
    assert_same(one, many)
    assert_array_equal(one.predict(X, tasks=label), many.predict(X, tasks=[label] * 6))


INTEGERS = st.sampled_from(["i1", "u1", "i2", "u4", "i8", "u8"]).flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        st.integers(1, 30),
        elements=st.one_of(
            hnp.from_dtype(np.dtype(dtype)),
            hnp.from_dtype(np.dtype(dtype), min_value=3, max_value=9),
        ),
    )
)


@given(INTEGERS)
def test_integer_labels_are_grouped_like_any_others(labels):
    names, starts, order = group_rows(labels, len(labels))
    by_object = group_rows(labels.astype(object), len(labels))
    assert names == by_object[0] == list(dict.fromkeys(labels.tolist()))
    assert_array_equal(starts, by_object[1])
    assert (order is None) == (by_object[2] is None)
    if order is not None:
        assert_array_equal(order, by_object[2])
    names_again, codes = code_rows(labels, len(labels))
    assert names_again == names
    assert [names[code] for code in codes] == labels.tolist()


@given(INTEGERS)
def test_integer_classes(kernel, y):
    classes = find_classes(y, None)
    assert_array_equal(classes, np.unique(y))
    assert classes.dtype == y.dtype
    if len(classes) > 2:
        codes = encode_labels(y, None, classes[:-1])
        known = y != classes[-1]
        assert_array_equal(np.isnan(codes), ~known)
        if len(classes) > 3:
            assert_array_equal(classes[codes[known].astype(int)], y[known])


def test_a_cheap_clone_is_a_clone():
    plain = OGDClassifier(loss="hinge", eta0=0.3)
    with config_context(enable_metadata_routing=True):
        with_request = OGDClassifier().set_fit_request(sample_weight=True)
    fitted = OGDClassifier().fit([[0.0], [1.0]], [0, 1])
    random = OGDClassifier(random_state=np.random.RandomState(0))
    for estimator in (plain, with_request, fitted, random):
        twin, expected = cheap_clone(estimator), clone(estimator)
        assert type(twin) is type(expected)
        assert vars(twin).keys() == vars(expected).keys()
        assert twin.get_params().keys() == expected.get_params().keys()
        assert {**twin.get_params(), "random_state": 0} == {
            **expected.get_params(),
            "random_state": 0,
        }
        assert twin is not estimator
    assert cheap_clone(random).random_state is not random.random_state
    cheap_clone(plain).loss = "log_loss"
    assert plain.loss == "hinge"


def test_bad_tasks_of_a_meta_batch_leave_no_rows_in_the_history():
    tasks = make_tasks(0, n_tasks=9)
    X, y = (np.concatenate(part) for part in zip(*tasks, strict=True))
    labels = np.repeat(np.arange(9), 6)
    X[[3 * 6, 4 * 6, 8 * 6]] = np.nan
    good = ~np.isin(labels, [3, 4, 8])
    for size in (1, 4):
        options = dict(meta_batch_size=size, on_bad_task="skip")
        model = FMRLRegressor(**options).fit(X, y, tasks=labels)
        assert model.n_tasks_skipped_ == 3
        assert model.task_labels_.tolist() == [0, 1, 2, 5, 6, 7]
        assert len(model.history_) == 6
        if size == 1:
            alone = FMRLRegressor().fit(X[good], y[good], tasks=labels[good])
            assert_same(model, alone)
