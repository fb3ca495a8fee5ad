"""Tables of pandas, polars and Arrow: names, order, types, and no features at all."""

import datetime as dt
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.compose import make_column_transformer
from sklearn.feature_selection import SelectFromModel
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skmeta import (
    FMRLClassifier,
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
)
from skmeta._labels import split_column
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.linear_model import OGDRegressor

X, Y, TASKS = make_task_regression(8, 6, 3, random_state=0)
NAMES = ["price", "promo", "holiday"]
FRAME = pd.DataFrame(X, columns=NAMES).assign(store=[f"S{t}" for t in TASKS])


def to_polars(frame):
    return pytest.importorskip("polars").from_pandas(frame)


def to_arrow(frame):
    pa = pytest.importorskip("pyarrow")
    return pa.Table.from_pandas(frame, preserve_index=False)


def to_batch(frame):
    pa = pytest.importorskip("pyarrow")
    return pa.RecordBatch.from_pandas(frame, preserve_index=False)


def to_nullable(frame):
    return frame.convert_dtypes()


FORMS = {
    "pandas": lambda frame: frame,
    "nullable": to_nullable,
    "polars": to_polars,
    "pyarrow": to_arrow,
    "record batch": to_batch,
}
in_every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
both_regressors = pytest.mark.parametrize(
    "kind", [FMRLRegressor, MixedEffectsRegressor]
)
both_classifiers = pytest.mark.parametrize(
    "kind", [FMRLClassifier, MixedEffectsClassifier]
)


@both_regressors
@in_every_form
@pytest.mark.parametrize("column", ["store", 3, -1, ["store"]], ids=repr)
def test_task_column_of_every_table(kind, form, column):
    expected = kind().fit(X, Y, tasks=FRAME["store"])
    model = kind(task_column=column, unknown_task="raise").fit(form(FRAME), Y)
    assert model.feature_names_in_.tolist() == NAMES
    assert_array_equal(model.coef_, expected.coef_)
    known = expected.predict(X, tasks=FRAME["store"])
    for other in FORMS.values():
        assert_array_equal(model.predict(other(FRAME)), known)


@in_every_form
def test_order_of_columns_is_checked(form):
    model = FMRLRegressor(task_column="store").fit(form(FRAME), Y)
    with pytest.raises(ValueError, match="same order"):
        model.predict(form(FRAME[["promo", "price", "holiday", "store"]]))
    with pytest.raises(ValueError, match=r"no column 'store' \(task_column\)"):
        model.predict(form(FRAME[NAMES]))


@both_regressors
@in_every_form
def test_compound_labels_of_two_columns(kind, form):
    frame = FRAME.drop(columns="store").assign(region=TASKS // 4, number=TASKS % 4)
    for columns in (["region", "number"], [3, 4]):
        model = kind(task_column=columns).fit(form(frame), Y)
        assert model.feature_names_in_.tolist() == NAMES
        assert model.task_labels_.tolist() == [(t // 4, t % 4) for t in range(8)]
    array = kind(task_column=[3, -1]).fit(frame.to_numpy(), Y)
    assert_array_equal(array.predict(frame.to_numpy()), model.predict(form(frame)))


@pytest.mark.parametrize(
    "column", [["store", "store"], ["store", 3], [], [True], [1.5]]
)
def test_bad_lists_of_columns(column):
    with pytest.raises(ValueError, match="task_column"):
        FMRLRegressor(task_column=column).fit(FRAME, Y)


# ---- what adapt returns


@both_regressors
@in_every_form
def test_adapted_models_take_the_tables_of_the_meta_estimator(kind, form):
    model = kind(task_column="store").fit(FRAME[6:], Y[6:])
    adapted = model.adapt(form(FRAME[:6]), Y[:6])
    expected = model.adapt(FRAME[:6][NAMES], Y[:6]).predict(FRAME[NAMES])
    assert_array_equal(adapted.predict(form(FRAME)), expected)
    assert_array_equal(adapted.predict(form(FRAME[NAMES])), expected)
    assert adapted.partial_fit(form(FRAME[:6]), Y[:6]) is adapted
    by_position = kind(task_column=3).fit(FRAME.to_numpy()[6:], Y[6:])
    adapted = by_position.adapt(FRAME.to_numpy()[:6], Y[:6])
    assert_array_equal(adapted.predict(FRAME.to_numpy()), expected)


def test_adapted_models_stand_in_a_pipeline():
    scale = make_column_transformer(
        ("passthrough", ["store"]),
        remainder=StandardScaler(),
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    pipe = make_pipeline(scale, FMRLRegressor(task_column="store")).fit(FRAME, Y)
    adapted = pipe[-1].adapt(pipe[:-1].transform(FRAME[:4]), Y[:4])
    assert len(Pipeline([("scale", scale), ("task", adapted)]).predict(FRAME)) == 48


@pytest.mark.parametrize("output", ["pandas", "polars"])
@pytest.mark.parametrize("form", [FORMS["pandas"], to_polars], ids=["pandas", "polars"])
def test_pipelines_of_every_output(output, form):
    pytest.importorskip("polars")
    scale = make_column_transformer(
        ("passthrough", ["store"]),
        remainder=StandardScaler(),
        verbose_feature_names_out=False,
    ).set_output(transform=output)
    by_name = make_pipeline(scale, FMRLRegressor(task_column="store"))
    by_position = make_pipeline(scale, FMRLRegressor(task_column=0))
    expected = by_name.fit(FRAME, Y).predict(FRAME)
    for pipe in (by_name, by_position):
        assert_array_equal(pipe.fit(form(FRAME), Y).predict(form(FRAME)), expected)


def test_select_from_model_names_the_cause():
    model = FMRLRegressor(task_column="store")
    for selector, how in (
        (SelectFromModel(model), "fit"),
        (SelectFromModel(model.fit(FRAME, Y), prefit=True), "fit"),
    ):
        with pytest.raises(ValueError, match="SelectFromModel.*task_column='store'"):
            getattr(selector, how)(FRAME, Y)
    selector = SelectFromModel(FMRLRegressor()).fit(FRAME[NAMES], Y, tasks=TASKS)
    assert selector.transform(FRAME[NAMES]).shape[1] >= 1


# ---- features that are no numbers

DATES = {
    "times": pd.date_range("2026-01-01", periods=48),
    "times with a zone": pd.date_range("2026-01-01", periods=48, tz="UTC"),
    "durations": pd.to_timedelta(np.arange(48), unit="h"),
}
NO_NUMBERS = DATES | {"words": ["a"] * 48, "categories": pd.Categorical(["a"] * 48)}


@in_every_form
@pytest.mark.parametrize("values", NO_NUMBERS.values(), ids=NO_NUMBERS)
@pytest.mark.parametrize("alone", [True, False])
def test_dates_and_words_are_named_with_a_remedy(form, values, alone):
    frame = FRAME[NAMES].assign(day=values)
    frame = form(frame[["day"]] if alone else frame)
    remedy = "day of the week" if values is not NO_NUMBERS["words"] else "OneHotEncoder"
    remedy = "OneHotEncoder" if values is NO_NUMBERS["categories"] else remedy
    for fit in (
        lambda: FMRLRegressor().fit(frame, Y, tasks=TASKS),
        lambda: MixedEffectsRegressor().fit(frame, Y, tasks=TASKS),
        lambda: OGDRegressor().fit(frame, Y),
    ):
        with pytest.raises(ValueError, match=f"'day'.*must be a number.*{remedy}"):
            fit()


def test_periods_and_arrays_of_dates_are_refused():
    periods = FRAME[NAMES].assign(day=pd.period_range("2026-01-01", periods=48))
    with pytest.raises(ValueError, match="Feature 'day'.*must be a number"):
        FMRLRegressor().fit(periods, Y, tasks=TASKS)
    for rows in (np.full((48, 1), "2026-01-01", "M8[D]"), [[dt.date(2026, 1, 1)]] * 48):
        with pytest.raises(ValueError, match="Feature 0 .*must be a number"):
            FMRLRegressor().fit(rows, Y, tasks=TASKS)


def test_missing_numbers_are_nan_in_every_table():
    rows = FRAME[NAMES].assign(count=pd.array([1, None] * 24, dtype="Int64"))
    for form in FORMS.values():
        model = FMRLRegressor(on_bad_row="drop").fit(form(rows), Y, tasks=TASKS)
        assert_array_equal(model.history_["n_samples"], np.full(8, 3))
        with pytest.raises(ValueError, match="Task 0: X contains NaN.*'count'"):
            FMRLRegressor().fit(form(rows), Y, tasks=TASKS)


def test_lazy_tables_are_refused():
    lazy = to_polars(FRAME).lazy()
    for model in (FMRLRegressor(task_column="store"), OGDRegressor()):
        with pytest.raises(TypeError, match=r"lazy table .*X\.collect\(\)"):
            model.fit(lazy, Y)


def test_without_narwhals_pandas_and_arrays_work(monkeypatch):
    frame = to_polars(FRAME)
    monkeypatch.setitem(sys.modules, "narwhals", None)
    with pytest.raises(ImportError, match=r"narwhals.*X\.to_pandas\(\)"):
        FMRLRegressor(task_column="store").fit(frame, Y)
    rest, labels = split_column(FRAME, "store")  # scikit-learn 1.9 itself needs it
    assert list(rest.columns) == NAMES and len(labels) == 48


# ---- no features


@both_regressors
@in_every_form
def test_levels_of_tasks_without_features(kind, form):
    frame = form(FRAME[["store"]])
    model = kind(task_column="store").fit(frame, Y)
    assert model.n_features_in_ == 0 and model.coef_.shape == (0,)
    constant = kind().fit(np.zeros((48, 1)), Y, tasks=TASKS)
    expected = constant.predict(np.zeros((48, 1)), tasks=TASKS)
    np.testing.assert_allclose(model.predict(frame), expected, atol=1e-12)
    adapted = model.adapt(form(FRAME[["store"]][:6]), Y[:6])
    expected = constant.adapt(np.zeros((6, 1)), Y[:6]).predict([[0.0]])
    np.testing.assert_allclose(adapted.predict(frame), np.repeat(expected, 48))


@both_classifiers
def test_classes_without_features(kind):
    X, y, tasks = make_task_classification(8, 6, 2, random_state=0)
    empty, zeros = X[:, :0], 0 * X[:, :1]
    model, constant = (
        kind().fit(empty, y, tasks=tasks),
        kind().fit(zeros, y, tasks=tasks),
    )
    np.testing.assert_allclose(
        model.predict_proba(empty, tasks=tasks),
        constant.predict_proba(zeros, tasks=tasks),
    )
    model.partial_fit(empty[:3], y[:3], tasks=99)
    assert model.adapt(empty[:3], y[:3]).predict(empty).shape == (48,)


def test_neither_features_nor_labels_are_refused():
    with pytest.raises(ValueError, match=r"0 feature\(s\)"):
        FMRLRegressor().fit(X[:, :0], Y)


# ---- targets


def classes_in_forms(values):
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    yield pd.Series([None, *values], dtype=object)
    yield pd.Series([None, *values]).convert_dtypes()
    yield pd.Series([None, *values], dtype=pd.ArrowDtype(pa.array(values).type))
    yield pl.Series([None, *values])
    yield pa.array([None, *values])


@both_classifiers
@pytest.mark.parametrize(
    ("labels", "dtype"), [([3, 2**40], np.int64), ([False, True], bool)], ids=str
)
def test_classes_keep_their_type_beside_missing_ones(kind, labels, dtype):
    X, y, tasks = make_task_classification(8, 6, 3, random_state=0)
    for values in classes_in_forms([labels[one] for one in y[1:]]):
        model = kind(on_bad_task="skip").fit(X, values, tasks=tasks)
        assert model.classes_.dtype == model.predict(X).dtype == dtype
        assert model.classes_.tolist() == labels and model.n_tasks_skipped_ == 1


@pytest.mark.parametrize("pair", [(1.0, 2.0), [1.0, 2.0], np.ones(2)], ids=repr)
def test_targets_that_are_sequences_are_refused(pair):
    y = np.empty(48, dtype=object)
    for row in range(48):
        y[row] = pair
    for model in (FMRLRegressor(), FMRLClassifier(), MixedEffectsRegressor()):
        with pytest.raises(ValueError, match="one target per row: row 0 holds"):
            model.fit(X, y, tasks=TASKS)
    with pytest.raises(ValueError, match="1d array.*MultiOutputRegressor"):
        FMRLRegressor().fit(X, np.ones((48, 2)), tasks=TASKS)


# ---- parameters


@pytest.mark.parametrize(
    "key", ["estimator__eta0", "step_size__gamma", "meta_step_size__first"]
)
def test_nested_parameters_of_defaults_say_what_to_set_first(key):
    name = key.partition("__")[0]
    with pytest.raises(ValueError, match=f"{key}.*{name}=.*has no parameters.*object"):
        FMRLRegressor().set_params(**{key: 1.0})
    assert FMRLRegressor().set_params(estimator=OGDRegressor(), estimator__eta0=0.2)


@both_classifiers
def test_weights_of_classes_are_weights_of_rows(kind):
    X, y, tasks = make_task_classification(8, 6, 3, random_state=0)
    weight = np.where(y == 1, 3.0, 1.0)
    expected = kind().fit(X, y, tasks=tasks, sample_weight=weight)
    model = kind(class_weight={1: 3.0}).fit(X, y, tasks=tasks)
    assert_array_equal(model.coef_, expected.coef_)
    adapted = model.adapt(X[:6], y[:6])
    found = expected.adapt(X[:6], y[:6], sample_weight=weight[:6])
    assert_array_equal(adapted.coef_, found.coef_)


@both_classifiers
def test_balanced_classes(kind):
    X, y, tasks = make_task_classification(8, 6, 3, random_state=0)
    y[:20] = 0
    weight = (len(y) / (2 * np.bincount(y)))[y]
    expected = kind().fit(X, y, tasks=tasks, sample_weight=weight)
    model = kind(class_weight="balanced").fit(X, y, tasks=tasks)
    assert_array_equal(model.coef_, expected.coef_)
    found = expected.adapt(X[-6:], y[-6:], sample_weight=weight[-6:])
    assert_array_equal(model.adapt(X[-6:], y[-6:]).coef_, found.coef_)
    with pytest.raises(ValueError, match="balanced.*partial_fit.*dict"):
        model.partial_fit(X, y, tasks=tasks)
    with pytest.raises(ValueError, match="balanced.*after fit"):
        expected.set_params(class_weight="balanced").adapt(X, y)
    with pytest.raises(ValueError, match="class_weight must be positive"):
        kind(class_weight={1: 0.0}).fit(X, y, tasks=tasks)
