"""BiasedRidge and BiasedLogisticRegression, alone and as inner learners."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from theory_reference import (
    PARAMETERS,
    Aruba,
    Doubling,
    Fixed,
    SimilarityLearner,
    Task,
    learn,
    objective,
    random_task,
    regularised_leader,
    shares,
    stack,
    task_parameters,
    theta_of,
)

from skmeta import FMRLClassifier, FMRLRegressor, step_size
from skmeta._checks import check_X
from skmeta.linear_model import BiasedLogisticRegression, BiasedRidge, _base

CONTAINERS = {
    "dense": np.array,
    "csr": sp.csr_matrix,
    "float32": lambda X: X.astype(np.float32),
}
PROBLEMS = {
    "ridge": ("squared_error", 0),
    "two-classes": ("log_loss", 2),
    "three-classes": ("log_loss", 3),
}
STEP_SIZES = {
    "fixed": (step_size.Fixed(), Fixed(0.5)),
    "doubling": (step_size.Doubling(0.3, gamma=1.5), Doubling(0.3, 1.5, 1.0)),
    "isotropic": (step_size.ARUBA(0.5, zeta=2.0), Aruba(0.5, 2.0, 1.0, False)),
    "per_coordinate": (
        step_size.ARUBA(0.5, zeta=2.0, per_coordinate=True),
        Aruba(0.5, 2.0, 1.0, True),
    ),
    "similarity_ftl": (step_size.SimilarityFTL(0.5), SimilarityLearner(0.5, 1.0)),
}
on_all_problems = pytest.mark.parametrize("problem", PROBLEMS)
with_and_without_intercept = pytest.mark.parametrize(
    "fit_intercept", [True, False], ids=["intercept", "none"]
)


def make(problem, seed, n_samples=9, **options):
    """A task and the parameter to regularise towards."""
    rng = np.random.default_rng(seed)
    loss, n_classes = PROBLEMS[problem]
    task = random_task(rng, loss, n_samples, 3, n_classes=n_classes, **options)
    start = rng.normal(size=task.shape)
    start[:, -1] *= task.fit_intercept
    return task, start


def model_for(task, alpha=0.5):
    kind = BiasedLogisticRegression if task.n_classes else BiasedRidge
    return kind(alpha, fit_intercept=task.fit_intercept)


def meta_for(task, alpha=1.0, **params):
    """In raw units. A rule that sets the strength wants an unchanged alpha."""
    kind = FMRLClassifier if task.n_classes else FMRLRegressor
    return kind(model_for(task, alpha), **{"standardize": False} | params)


def classes_of(task):
    return {"classes": range(task.n_classes)} if task.n_classes else {}


def init_of(task, start):
    """The start as the arguments of `fit`."""
    coef = start[:, :-1] if task.n_classes else start[0, :-1]
    return {"coef_init": coef, "intercept_init": start[:, -1]}


def fit(model, task, start):
    return model.fit(task.X, task.y, task.weight, **init_of(task, start))


def first_call(task):
    return {"classes": np.arange(task.n_classes)} if task.n_classes else {}


# ---- the problem that is solved


@with_and_without_intercept
def test_ridge_is_scikit_learns_on_shifted_targets(fit_intercept, global_random_seed):
    """The intercept, regularised as well, is the weight of a constant feature."""
    task, start = make(
        "ridge", global_random_seed, weighted=True, fit_intercept=fit_intercept
    )
    model = fit(model_for(task), task, start)
    ridge = Ridge(0.5, fit_intercept=False, solver="cholesky")
    ridge.fit(task.design, task.y - task.scores(start)[:, 0], task.weight)
    assert_allclose(theta_of(model)[0], start[0] + ridge.coef_, rtol=1e-8)


def test_ridge_with_a_strength_for_every_parameter(global_random_seed):
    task, start = make("ridge", global_random_seed, weighted=True)
    alpha = 10.0 ** np.random.default_rng(global_random_seed).uniform(-2, 2, 4)
    model = fit(model_for(task, alpha), task, start)
    A = task.design.T * task.weight
    expected = start[0] + np.linalg.solve(
        A @ task.design + np.diag(alpha), A @ (task.y - task.design @ start[0])
    )
    assert_allclose(theta_of(model)[0], expected, rtol=1e-8)


@pytest.mark.parametrize("n_classes", [2, 3])
@with_and_without_intercept
def test_logistic_regression_from_zero_is_scikit_learns(
    n_classes, fit_intercept, global_random_seed
):
    """One problem per class, against all others; scikit-learn's C is 1 / alpha."""
    problem = {2: "two-classes", 3: "three-classes"}[n_classes]
    task, _ = make(problem, global_random_seed, fit_intercept=fit_intercept)
    model = model_for(task).fit(task.X, task.y)
    for row, target in zip(theta_of(model), task.targets.T, strict=True):
        theirs = LogisticRegression(C=2.0, fit_intercept=False, tol=1e-12, max_iter=999)
        theirs.set_params(solver="newton-cholesky").fit(task.design, target)
        assert_allclose(row, theirs.coef_[0], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("problem", ["two-classes", "three-classes"])
@pytest.mark.parametrize("each", [False, True], ids=["one-alpha", "by-parameter"])
@with_and_without_intercept
def test_logistic_regression_minimises_its_objective(
    problem, each, fit_intercept, global_random_seed
):
    task, start = make(
        problem, global_random_seed, weighted=True, fit_intercept=fit_intercept
    )
    rng = np.random.default_rng(global_random_seed)
    alpha = 10.0 ** rng.uniform(-1, 1, task.shape) if each else 0.5
    theta = theta_of(fit(model_for(task, alpha), task, start))
    solved = regularised_leader(task, start, alpha)
    assert_allclose(theta, solved, rtol=1e-9, atol=1e-9)
    found = optimize.minimize(
        lambda v: objective(task, v.reshape(task.shape), start, alpha), start.ravel()
    )
    value = objective(task, theta, start, alpha)
    assert_allclose(value, found.fun, rtol=1e-8)
    assert value <= found.fun


@on_all_problems
def test_strength_decides_between_start_and_data(problem, global_random_seed):
    task, start = make(problem, global_random_seed)
    strong = theta_of(fit(model_for(task, 1e9), task, start))
    assert_allclose(strong, start, atol=1e-6)
    weak = theta_of(fit(model_for(task, 1e-2), task, start))
    assert task.value(weak) < task.value(start)


@on_all_problems
@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_of_the_same_numbers(problem, container, global_random_seed):
    task, start = make(problem, global_random_seed, weighted=True)
    task.X = task.X.astype(np.float32).astype(float)
    X = CONTAINERS[container](task.X)
    model = model_for(task).fit(X, task.y, task.weight, **init_of(task, start))
    dense = fit(model_for(task), task, start)
    assert_allclose(theta_of(model), theta_of(dense), rtol=1e-10, atol=1e-12)
    assert model.coef_.dtype == np.float64
    assert_allclose(model.predict(X), dense.predict(task.X), rtol=1e-9)


@on_all_problems
def test_a_weight_is_a_repeated_row(problem, global_random_seed):
    task, start = make(problem, global_random_seed)
    counts = np.array([1, 2, 0, 3, 1, 1, 0, 2, 4])
    weighted = model_for(task)
    weighted.fit(task.X, task.y, counts, **init_of(task, start))
    repeated = fit(model_for(task), task.rows(np.repeat(np.arange(9), counts)), start)
    assert_allclose(theta_of(weighted), theta_of(repeated), rtol=1e-9, atol=1e-9)
    removed = task.rows(counts > 0)
    removed.weight = counts[counts > 0].astype(float)
    assert_array_equal(
        theta_of(weighted), theta_of(fit(clone(weighted), removed, start))
    )


@on_all_problems
def test_shapes_and_predictions(problem, global_random_seed):
    task, start = make(problem, global_random_seed)
    model = fit(model_for(task), task, start)
    K = task.shape[0]
    assert model.coef_.shape == ((K, 3) if task.n_classes else (3,))
    assert model.intercept_.shape == (K,)
    assert model.t_ == 9
    scores = task.scores(theta_of(model))
    if not task.n_classes:
        assert_allclose(model.predict(task.X), scores[:, 0])
        return
    assert_allclose(np.squeeze(scores), model.decision_function(task.X))
    positive = 1.0 / (1.0 + np.exp(-scores))
    if K == 1:
        positive = np.hstack([1.0 - positive, positive])
    positive /= positive.sum(axis=1, keepdims=True)
    assert_allclose(model.predict_proba(task.X), positive)
    assert_array_equal(model.predict(task.X), positive.argmax(axis=1))


# ---- sample by sample


@on_all_problems
@pytest.mark.parametrize("each", [False, True], ids=["one-alpha", "by-parameter"])
@with_and_without_intercept
def test_partial_fit_sample_by_sample_is_one_fit(
    problem, each, fit_intercept, global_random_seed
):
    task, _ = make(
        problem, global_random_seed, weighted=True, fit_intercept=fit_intercept
    )
    alpha = np.linspace(0.1, 2.0, int(np.prod(task.shape))).reshape(task.shape)
    whole = model_for(task, alpha if each else 0.5)
    streamed = clone(whole)
    whole.fit(task.X, task.y, task.weight)
    for i in range(len(task.y)):
        rows = slice(i, i + 1)
        options = first_call(task)
        streamed.partial_fit(
            task.X[rows], task.y[rows], sample_weight=task.weight[rows], **options
        )
    assert_allclose(theta_of(streamed), theta_of(whole), rtol=1e-10, atol=1e-10)
    assert streamed.t_ == whole.t_ == 9


@on_all_problems
@pytest.mark.parametrize("n_samples", [63, 64, 65, 200])
def test_partial_fit_continues_a_fit_exactly(problem, n_samples, global_random_seed):
    """In pieces that are shorter and longer than the blocks of the solver."""
    task, start = make(problem, global_random_seed, n_samples)
    model = fit(model_for(task), task.rows(slice(40)), start)
    for rows in (slice(40, 41), slice(41, None)):
        model.partial_fit(task.X[rows], task.y[rows])
    whole = fit(model_for(task), task, start)
    assert_allclose(theta_of(model), theta_of(whole), rtol=1e-10, atol=1e-10)


@on_all_problems
def test_fit_forgets(problem, global_random_seed):
    task, start = make(problem, global_random_seed)
    model = fit(model_for(task), task, start)
    model.partial_fit(task.X, task.y)
    again = fit(model, task, start)
    assert_array_equal(theta_of(again), theta_of(fit(clone(model), task, start)))
    assert again.t_ == 9


@on_all_problems
def test_a_copy_learns_independently(problem, global_random_seed):
    task, start = make(problem, global_random_seed)
    model = fit(model_for(task), task, start)
    before = theta_of(model)
    copy = pickle.loads(pickle.dumps(model)).partial_fit(2.0 * task.X, task.y)
    assert_array_equal(theta_of(model), before)
    model.partial_fit(2.0 * task.X, task.y)
    assert_array_equal(theta_of(model), theta_of(copy))


def test_partial_fit_knows_classes_that_have_not_come_yet():
    model = BiasedLogisticRegression().partial_fit([[1.0]], ["b"], classes=["a", "b"])
    assert model.predict([[1.0], [-9.0]]).tolist() == ["b", "a"]
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        BiasedLogisticRegression().partial_fit([[1.0]], ["b"])


# ---- parameters and errors


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("kind", [BiasedRidge, BiasedLogisticRegression])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alpha", 0.0),
        ("alpha", -1.0),
        ("alpha", np.inf),
        ("alpha", "one"),
        ("alpha", None),
        ("alpha", [1.0, 0.0, 1.0]),
        ("alpha", [1.0, np.nan, 1.0]),
        ("fit_intercept", "yes"),
    ],
    ids=str,
)
def test_bad_parameter_is_named(kind, name, value, method):
    model = kind(**{name: value})
    before = vars(model).copy()
    options = first_call(Task(None, None, "", 2)) if method == "partial_fit" else {}
    options = options if kind is BiasedLogisticRegression else {}
    with pytest.raises(ValueError, match=f"^The '{name}' parameter of {kind.__name__}"):
        getattr(model, method)(np.eye(2), [0, 1], **options)
    assert vars(model) == before


@pytest.mark.parametrize("kind", [BiasedRidge, BiasedLogisticRegression])
def test_array_of_strengths_of_the_wrong_shape(kind):
    with pytest.raises(ValueError, match="alpha.* shape .*3.*; got shape .2,"):
        kind([1.0, 2.0]).fit(np.eye(2), [0, 1])


GOOD = {"X": np.eye(3, 2), "y": [0, 1, 1]}
BAD_CALLS = {
    "nan-feature": ({"X": [[np.nan, 0.0], [1.0, 1.0], [0.0, 0.0]]}, "NaN"),
    "nan-target": ({"y": [0, 1, np.nan]}, "NaN, infinity or a class .* in row 2"),
    "lengths": ({"y": [0, 1]}, "inconsistent numbers of samples"),
    "width": ({"X": np.eye(3)}, "3 features, but .* expecting 2"),
    "negative-weight": ({"sample_weight": [-1.0, 1.0, 1.0]}, "[Nn]egative"),
    "no-weight": ({"sample_weight": [0.0, 0.0, 0.0]}, "[Ss]ample weights"),
}


@pytest.mark.parametrize(
    ("method", "name"),
    [("partial_fit", name) for name in BAD_CALLS]
    + [("fit", name) for name in BAD_CALLS if name != "width"],
)
@pytest.mark.parametrize("kind", [BiasedRidge, BiasedLogisticRegression])
def test_failing_call_changes_nothing(kind, method, name):
    change, message = BAD_CALLS[name]
    model = kind().fit(**GOOD)
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(**GOOD | change)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("kind", [BiasedRidge, BiasedLogisticRegression])
@pytest.mark.parametrize(
    "init",
    [
        {"coef_init": [1.0, 2.0, 3.0]},
        {"coef_init": [np.nan, 1.0]},
        {"intercept_init": [1.0, 2.0]},
    ],
    ids=["long", "nan", "intercepts"],
)
def test_bad_start_is_named(kind, init):
    model = kind()
    [name] = init
    with pytest.raises(ValueError, match=f"^{name} must"):
        model.fit(np.eye(2), [0, 1], **init)
    assert not hasattr(model, "coef_")


# ---- inner learners


@on_all_problems
@pytest.mark.parametrize("rule", STEP_SIZES)
@pytest.mark.parametrize("task_parameter", PARAMETERS)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.usefixtures("kernel")
def test_meta_learning_equals_solving_before_every_sample(
    problem, rule, task_parameter, weighted, global_random_seed
):
    """Prequential losses, sums of squared gradients, ends and initialization."""
    loss, n_classes = PROBLEMS[problem]
    rng = np.random.default_rng(global_random_seed)
    tasks = [
        random_task(rng, loss, m, 2, n_classes=n_classes, weighted=weighted)
        for m in (4, 1, 6)
    ]
    X, y, labels = stack(tasks)
    weight = np.concatenate([task.weights for task in tasks]) if weighted else None
    ours, theirs = STEP_SIZES[rule]
    model = meta_for(
        tasks[0],
        2.0 if rule == "fixed" else 1.0,
        step_size=ours,
        task_parameter=task_parameter,
    )
    model.fit(X, y, tasks=labels, sample_weight=weight)
    expected = learn(
        tasks,
        np.zeros(tasks[0].shape),
        pickle.loads(pickle.dumps(theirs)),
        shares("ftl"),
        update="full_loss",
        parameter=PARAMETERS[task_parameter],
    )
    close = {"rtol": 1e-8, "atol": 1e-9}
    history = model.history_
    runs = expected.runs
    assert_allclose(history["loss"], [run.losses.mean() for run in runs], **close)
    squares = [run.squares.sum() for run in runs]
    assert_allclose(history["grad_sq_norm"], squares, **close)
    etas = [np.mean(eta) for eta in expected.etas]
    assert_allclose(history["step_size"], etas, **close)
    learned = task_parameters(model, tasks[0].shape)
    assert_allclose(learned, expected.parameters, **close)
    assert_allclose(theta_of(model), expected.phi, **close)


@on_all_problems
@pytest.mark.parametrize("rule", STEP_SIZES)
def test_adapting_solves_the_problem_of_the_learned_strength(
    problem, rule, global_random_seed
):
    """alpha = 1 / eta."""
    (task, _), (new, _) = (make(problem, global_random_seed + n) for n in range(2))
    alpha = 0.4 if rule == "fixed" else 1.0
    model = meta_for(task, alpha, step_size=clone(STEP_SIZES[rule][0]))
    model.partial_fit(task.X, task.y, **classes_of(task))
    before = pickle.dumps(model)
    adapted = model.adapt(new.X, new.y)
    eta, phi = model.step_size_, theta_of(model)
    assert type(adapted) is type(model.estimator)
    assert_allclose(adapted.alpha, 1.0 / eta, rtol=1e-15)
    assert np.size(adapted.alpha) == (np.prod(new.shape) if np.ndim(eta) else 1)
    if rule == "fixed":
        assert adapted.alpha == pytest.approx(0.4, rel=1e-15)
    expected = regularised_leader(new, phi, 1.0 / eta)
    assert_allclose(theta_of(adapted), expected, rtol=1e-8, atol=1e-9)
    assert pickle.dumps(model) == before


@on_all_problems
def test_adapted_learner_continues_independently(problem, global_random_seed):
    (task, _), (new, _) = (make(problem, global_random_seed + n) for n in range(2))
    model = meta_for(task).partial_fit(task.X, task.y, **classes_of(task))
    head, tail = new.rows(slice(4)), new.rows(slice(4, None))
    adapted = model.adapt(head.X, head.y).partial_fit(tail.X, tail.y)
    whole = model.adapt(new.X, new.y)
    assert_allclose(theta_of(adapted), theta_of(whole), rtol=1e-9, atol=1e-9)


@on_all_problems
@pytest.mark.parametrize("task_parameter", ["last", "regularized"])
def test_adapting_gives_the_task_parameter(problem, task_parameter, global_random_seed):
    task, _ = make(problem, global_random_seed)
    model = meta_for(task, task_parameter=task_parameter, meta_step_size=0.0)
    model.set_params(step_size="fixed").fit(task.X, task.y, tasks=np.zeros(9))
    [learned] = task_parameters(model, task.shape)
    adapted = theta_of(model.adapt(task.X, task.y))
    assert_allclose(adapted, learned, rtol=1e-9, atol=1e-9)


@on_all_problems
def test_adapting_takes_weights(problem, global_random_seed):
    task, _ = make(problem, global_random_seed)
    weight = np.array([1.0, 2.0, 0.0, 3.0, 1.0, 1.0, 0.0, 2.0, 4.0])
    model = meta_for(task).partial_fit(task.X, task.y, **classes_of(task))
    adapted = model.adapt(task.X, task.y, sample_weight=weight)
    rows = weight > 0
    removed = model.adapt(task.X[rows], task.y[rows], sample_weight=weight[rows])
    assert_array_equal(theta_of(adapted), theta_of(removed))


@on_all_problems
def test_sparse_tasks_are_the_same_tasks(problem, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    loss, n_classes = PROBLEMS[problem]
    X, y, labels = stack(
        [random_task(rng, loss, 4, 3, n_classes=n_classes) for _ in range(3)]
    )
    task = Task(X, y, loss, n_classes)
    dense = meta_for(task).fit(X, y, tasks=labels)
    sparse = meta_for(task).fit(sp.csr_matrix(X), y, tasks=labels)
    assert_allclose(theta_of(sparse), theta_of(dense), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@on_all_problems
def test_bad_task_is_left_out(problem, value, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    loss, n_classes = PROBLEMS[problem]
    tasks = [random_task(rng, loss, 4, 2, n_classes=n_classes) for _ in range(3)]
    X, y, labels = stack(tasks)
    X[5, 0] = value
    model = meta_for(tasks[0])
    with pytest.raises(ValueError, match="Task 1: X contains NaN or infinity in row 1"):
        clone(model).fit(X, y, tasks=labels)
    skipped = clone(model).set_params(on_bad_task="skip").fit(X, y, tasks=labels)
    others = labels != 1
    model.fit(X[others], y[others], tasks=labels[others])
    assert_array_equal(theta_of(skipped), theta_of(model))
    assert skipped.n_tasks_skipped_ == 1


# ---- what is not known of the parameters


def biased_models():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3))
    ridge = BiasedRidge(2.0, noise=0.5).fit(X, X @ [1.0, -2.0, 0.5])
    logistic = BiasedLogisticRegression(2.0, moderated=True).fit(X, X[:, 0] > 0)
    return X, ridge, logistic


def test_standard_deviations_are_those_of_the_normal_posterior():
    X, ridge, _ = biased_models()
    _, std = ridge.predict(X, return_std=True)
    design = np.column_stack([X, np.ones(len(X))])
    covariance = 0.5 * np.linalg.inv(2.0 * np.eye(4) + design.T @ design)
    variance = 0.5 + np.einsum("ij,jk,ik->i", design, covariance, design)
    assert_allclose(std, np.sqrt(variance), rtol=1e-10)


def test_features_are_validated_once_per_prediction(monkeypatch):
    X, ridge, logistic = biased_models()
    calls = []

    def counted(*arguments, **options):
        calls.append(arguments)
        return check_X(*arguments, **options)

    monkeypatch.setattr(_base, "check_X", counted)
    for predict in (
        ridge.predict,
        lambda X: ridge.predict(X, return_std=True),
        logistic.predict,
        logistic.predict_proba,
    ):
        calls.clear()
        predict(X)
        assert len(calls) == 1
