"""Synthetic tasks around a known shared optimum.

The generators of linear models share one core and differ only in how a target is drawn
from a score.
Parameters have shape (..., n_features) and intercepts have shape (...), where ... is ()
for one output and (n_classes,) for several. A task axis, if there is one, comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch, check_random_state

from skmeta._sklearn import Interval, validate_params

Rows: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
RowsAndTruth: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, Bunch]

_CONSTRAINTS = {
    "n_tasks": [Interval(Integral, 1, None, closed="left")],
    "n_samples": [Interval(Integral, 1, None, closed="left"), tuple, list],
    "n_features": [Interval(Integral, 1, None, closed="left")],
    "n_informative": [Interval(Integral, 1, None, closed="left"), None],
    "task_std": [Interval(Real, 0, None, closed="left")],
    "intercept_std": [Interval(Real, 0, None, closed="left"), None],
    "noise": [Interval(Real, 0, None, closed="left")],
    "drift": [Interval(Real, 0, None, closed="left")],
    "coef": ["array-like", None],
    "intercept": [Interval(Real, None, None, closed="neither")],
    "shuffle": ["boolean"],
    "return_coef": ["boolean"],
    "random_state": ["random_state"],
}
_CLASSIFICATION_CONSTRAINTS = _CONSTRAINTS | {
    "intercept": [*_CONSTRAINTS["intercept"], "array-like"],
    "n_classes": [Interval(Integral, 2, None, closed="left")],
}
_MIXTURE_CONSTRAINTS = {
    key: _CONSTRAINTS[key]
    for key in ("n_tasks", "n_samples", "n_features", "shuffle", "random_state")
} | {
    "n_classes": [Interval(Integral, 2, None, closed="left")],
    "task_std": [Interval(Real, 0, 1, closed="both")],
    "radius": [Interval(Real, 0, None, closed="left")],
    "return_centers": ["boolean"],
}


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def make_task_regression(
    n_tasks: int = 100,
    n_samples: int | tuple[int, int] = 10,
    n_features: int = 5,
    *,
    n_informative: int | None = None,
    task_std: float = 0.1,
    intercept_std: float | None = None,
    noise: float = 0.1,
    drift: float = 0.0,
    coef: ArrayLike | None = None,
    intercept: float = 0.0,
    shuffle: bool = False,
    return_coef: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> Rows | RowsAndTruth:
    r"""Generate related linear regression tasks around a known shared optimum.

    Every task has its own linear model with Gaussian noise; the models are normally
    distributed around the shared optimum, which may drift from task to task.

    Parameters
    ----------
    n_tasks : int, default=100
        Number of tasks, at least 1.
    n_samples : int or tuple (low, high), default=10
        Rows per task, at least 1. A pair is an inclusive range, from which the size of
        every task is drawn uniformly.
    n_features : int, default=5
        Number of features, at least 1.
    n_informative : int, default=None
        The first `n_informative` features have weights that differ from zero and vary
        between tasks; in `[1, n_features]`. None means all of them.
    task_std : float, default=0.1
        Standard deviation, at least 0, of the tasks' informative weights around the
        shared optimum.
    intercept_std : float, default=None
        The same for the intercepts. None means `task_std`.
    noise : float, default=0.1
        Standard deviation, at least 0, of the Gaussian noise on the target.
    drift : float, default=0.0
        Distance, at least 0, by which the shared weights move from one task to the
        next, in one random direction among the informative weights.
    coef : array-like of shape (n_features,), default=None
        Shared optimum of the first task, zero outside the informative features. None
        draws a standard normal vector and scales it to norm 1.
    intercept : float, default=0.0
        Shared intercept.
    shuffle : bool, default=False
        If False, the rows of a task are adjacent. If True, all rows are permuted, so
        that the tasks interleave.
    return_coef : bool, default=False
        If True, return the `truth` too.
    random_state : int, RandomState instance or None, default=None
        Seed of all random draws; pass an int for reproducible output.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features)
        Features of all tasks, stacked; `n_rows` is the sum of the task sizes.
    y : ndarray of shape (n_rows,)
        Targets.
    tasks : ndarray of shape (n_rows,)
        Task of every row, an integer from 0 to `n_tasks - 1`.
    truth : :class:`~sklearn.utils.Bunch`
        Only if `return_coef` is True, with fields

        - coef : ndarray of shape (n_features,), the shared optimum of task 0;
        - intercept : float, the shared intercept;
        - drift : ndarray of shape (n_features,), what task t + 1 adds to the shared
          optimum of task t;
        - task_coef : ndarray of shape (n_tasks, n_features), the weights of every task;
        - task_intercept : ndarray of shape (n_tasks,), the intercept of every task.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or is inconsistent with the others.

    See Also
    --------
    make_task_classification : The same tasks with class labels.

    Notes
    -----
    With independent standard normal vectors :math:`z_t` over the
    :math:`k` = `n_informative` features, :math:`g_t` and :math:`\epsilon`, and the unit
    direction :math:`u` of the drift, row :math:`x` of task :math:`t` has the target

    .. math::

        y = \langle w_t, x \rangle + b_t + \mathrm{noise} \cdot \epsilon, \quad
        w_t = w^* + t \cdot \mathrm{drift} \cdot u + \mathrm{task\_std} \cdot z_t, \quad
        b_t = b^* + \mathrm{intercept\_std} \cdot g_t.

    Features are normal with variance `1 / n_features`, so that a row has norm about 1.
    Without drift the root mean squared distance of the tasks to the shared optimum, the
    task similarity :math:`V` of [1]_, is
    :math:`\sqrt{k \, \mathrm{task\_std}^2 + \mathrm{intercept\_std}^2}`.

    With the same `random_state` and sizes, the underlying normal draws are the same: a
    change of a spread, of the noise or of the drift only rescales them.

    References
    ----------
    .. [1] M.-F. Balcan, M. Khodak and A. Talwalkar, "Provable Guarantees for
       Gradient-Based Meta-Learning", ICML 2019, PMLR 97:424-433.

    Examples
    --------
    >>> from skmeta.datasets import make_task_regression
    >>> X, y, tasks, truth = make_task_regression(
    ...     n_tasks=3, n_samples=2, return_coef=True, random_state=0
    ... )
    >>> X.shape, y.shape
    ((6, 5), (6,))
    >>> tasks
    array([0, 0, 1, 1, 2, 2])
    >>> truth.task_coef.shape
    (3, 5)
    """
    return _make_tasks(
        _answer_real,
        outputs=(),
        coef_norm=1.0,
        n_tasks=n_tasks,
        n_samples=n_samples,
        n_features=n_features,
        n_informative=n_informative,
        task_std=task_std,
        intercept_std=intercept_std,
        noise=noise,
        drift=drift,
        coef=coef,
        intercept=intercept,
        shuffle=shuffle,
        return_coef=return_coef,
        random_state=random_state,
    )


@validate_params(_CLASSIFICATION_CONSTRAINTS, prefer_skip_nested_validation=True)
def make_task_classification(
    n_tasks: int = 100,
    n_samples: int | tuple[int, int] = 10,
    n_features: int = 5,
    *,
    n_classes: int = 2,
    n_informative: int | None = None,
    task_std: float = 1.0,
    intercept_std: float | None = None,
    noise: float = 1.0,
    drift: float = 0.0,
    coef: ArrayLike | None = None,
    intercept: float | ArrayLike = 0.0,
    shuffle: bool = False,
    return_coef: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> Rows | RowsAndTruth:
    r"""Generate related classification tasks around a known shared optimum.

    Labels are drawn from a logistic model of every task. With the default `noise=1` the
    returned truth is the parameter of that model.

    Parameters
    ----------
    n_tasks : int, default=100
        Number of tasks, at least 1.
    n_samples : int or tuple (low, high), default=10
        Rows per task, at least 1. A pair is an inclusive range, from which the size of
        every task is drawn uniformly.
    n_features : int, default=5
        Number of features, at least 1.
    n_classes : int, default=2
        Number of classes, at least 2. Two classes share one weight vector; more have
        one weight vector each.
    n_informative : int, default=None
        The first `n_informative` features have weights that differ from zero and vary
        between tasks; in `[1, n_features]`. None means all of them.
    task_std : float, default=1.0
        Standard deviation, at least 0, of the tasks' informative weights around the
        shared optimum.
    intercept_std : float, default=None
        The same for the intercepts. None means `task_std`.
    noise : float, default=1.0
        Temperature of the labels, at least 0: scores are divided by it. 1 is the
        logistic model itself, 0 the label of the largest score, without error.
    drift : float, default=0.0
        Distance (Frobenius norm), at least 0, by which the shared weights move from one
        task to the next, in one random direction among the informative weights.
    coef : array-like of shape (n_features,) or (n_classes, n_features), default=None
        Shared optimum of the first task, zero outside the informative features. None
        draws standard normal rows and scales each to norm 10.
    intercept : float or array-like of shape (n_classes,), default=0.0
        Shared intercept; one per class only if there are more than two classes.
    shuffle : bool, default=False
        If False, the rows of a task are adjacent. If True, all rows are permuted, so
        that the tasks interleave.
    return_coef : bool, default=False
        If True, return the `truth` too.
    random_state : int, RandomState instance or None, default=None
        Seed of all random draws; pass an int for reproducible output.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features)
        Features of all tasks, stacked; `n_rows` is the sum of the task sizes.
    y : ndarray of shape (n_rows,)
        Classes, integers from 0 to `n_classes - 1`. A task need not contain all of
        them.
    tasks : ndarray of shape (n_rows,)
        Task of every row, an integer from 0 to `n_tasks - 1`.
    truth : :class:`~sklearn.utils.Bunch`
        Only if `return_coef` is True, with fields

        - coef : ndarray of shape (n_features,) or (n_classes, n_features), the shared
          optimum of task 0;
        - intercept : float or ndarray of shape (n_classes,), the shared intercept;
        - drift : ndarray of the shape of coef, what task t + 1 adds to the shared
          optimum of task t;
        - task_coef : ndarray of shape (n_tasks, n_features) or
          (n_tasks, n_classes, n_features), the weights of every task;
        - task_intercept : ndarray of shape (n_tasks,) or (n_tasks, n_classes), the
          intercept of every task.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or is inconsistent with the others.

    See Also
    --------
    make_task_regression : The same tasks with real targets, and the formula of `w_t`.

    Notes
    -----
    Two classes, with :math:`\sigma` the logistic function:

    .. math::

        P(y = 1 \mid x) = \sigma((\langle w_t, x \rangle + b_t) / \mathrm{noise}).

    More classes, each with its own row of weights:

    .. math::

        P(y = k \mid x) \propto
        \exp((\langle w_{t,k}, x \rangle + b_{t,k}) / \mathrm{noise}).

    A label is drawn as the largest of the scores plus logistic (two classes) or Gumbel
    noise, which is equivalent [1]_. If `noise` is not 1, divide the truth by it to get
    the logistic parameter.

    The noise of a logistic model has a fixed scale. Therefore the default weights are
    ten times those of :func:`make_task_regression`: with rows and weights of norm 1,
    labels would be nearly random.

    References
    ----------
    .. [1] D. McFadden, "Conditional Logit Analysis of Qualitative Choice Behavior",
       in Frontiers in Econometrics, Academic Press, 1974, 105-142.

    Examples
    --------
    >>> from skmeta.datasets import make_task_classification
    >>> X, y, tasks, truth = make_task_classification(
    ...     n_tasks=3, n_samples=(2, 4), n_classes=3, return_coef=True, random_state=0
    ... )
    >>> X.shape, tasks
    ((10, 5), array([0, 0, 1, 1, 1, 1, 2, 2, 2, 2]))
    >>> truth.task_coef.shape
    (3, 3, 5)
    """
    return _make_tasks(
        _answer_class,
        outputs=() if n_classes == 2 else (n_classes,),
        coef_norm=10.0,
        n_tasks=n_tasks,
        n_samples=n_samples,
        n_features=n_features,
        n_informative=n_informative,
        task_std=task_std,
        intercept_std=intercept_std,
        noise=noise,
        drift=drift,
        coef=coef,
        intercept=intercept,
        shuffle=shuffle,
        return_coef=return_coef,
        random_state=random_state,
    )


@validate_params(_MIXTURE_CONSTRAINTS, prefer_skip_nested_validation=True)
def make_gaussian_mixture_tasks(
    n_tasks: int = 100,
    n_samples: int | tuple[int, int] = 32,
    n_features: int = 50,
    *,
    n_classes: int = 4,
    task_std: float = 1.0,
    radius: float = 1.0,
    shuffle: bool = False,
    return_centers: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> Rows | RowsAndTruth:
    r"""Generate classification tasks whose classes are clouds around random centers.

    The defaults are the mixture with which [1]_ measures the growth of the loss: four
    classes in 50 dimensions, and centers that are drawn anew for every task. With
    `task_std` below 1 the centers of the tasks are related.

    Parameters
    ----------
    n_tasks : int, default=100
        Number of tasks, at least 1.
    n_samples : int or tuple (low, high), default=32
        Rows per task, at least 1. A pair is an inclusive range, from which the size of
        every task is drawn uniformly.
    n_features : int, default=50
        Number of features, at least 1.
    n_classes : int, default=4
        Number of classes, at least 2.
    task_std : float, default=1.0
        Standard deviation, in `[0, 1]`, of the centers of the tasks around the shared
        centers. 0: all tasks have the same centers; 1: the centers of two tasks are
        independent. The distribution of the centers of one task is the same for all.
    radius : float, default=1.0
        Distance, at least 0, of every row from its center.
    shuffle : bool, default=False
        If False, the rows of a task are adjacent. If True, all rows are permuted, so
        that the tasks interleave.
    return_centers : bool, default=False
        If True, return the `truth` too.
    random_state : int, RandomState instance or None, default=None
        Seed of all random draws; pass an int for reproducible output.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features)
        Features of all tasks, stacked; `n_rows` is the sum of the task sizes.
    y : ndarray of shape (n_rows,)
        Classes, integers from 0 to `n_classes - 1`, drawn uniformly. A task need not
        contain all of them.
    tasks : ndarray of shape (n_rows,)
        Task of every row, an integer from 0 to `n_tasks - 1`.
    truth : :class:`~sklearn.utils.Bunch`
        Only if `return_centers` is True, with fields

        - centers : ndarray of shape (n_classes, n_features), the shared centers;
        - task_centers : ndarray of shape (n_tasks, n_classes, n_features), the centers
          of every task.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    See Also
    --------
    make_task_classification : Tasks with a known logistic model.

    Notes
    -----
    With standard normal vectors :math:`z_k` and :math:`z_{t,k}`, a class :math:`y`
    drawn uniformly and a direction :math:`u` drawn uniformly from the unit sphere, a
    row of task :math:`t` is

    .. math::

        x = \mu_{t,y} + \mathrm{radius} \cdot u, \quad
        \mu_{t,k} = \sqrt{1 - \mathrm{task\_std}^2} \, z_k
        + \mathrm{task\_std} \cdot z_{t,k}.

    The norm of a row is about :math:`\sqrt{n\_features}`. For gradient steps within a
    task, divide the rows by their norms (:func:`sklearn.preprocessing.normalize`).

    References
    ----------
    .. [1] M.-F. Balcan, M. Khodak and A. Talwalkar, "Provable Guarantees for
       Gradient-Based Meta-Learning", ICML 2019, PMLR 97:424-433.

    Examples
    --------
    >>> from skmeta.datasets import make_gaussian_mixture_tasks
    >>> X, y, tasks, truth = make_gaussian_mixture_tasks(
    ...     n_tasks=3, n_samples=2, return_centers=True, random_state=0
    ... )
    >>> X.shape, tasks, truth.task_centers.shape
    ((6, 50), array([0, 0, 1, 1, 2, 2]), (3, 4, 50))
    """
    low, high = _check_sizes(n_samples)
    rng = check_random_state(random_state)
    centers = rng.standard_normal((n_classes, n_features))
    own = rng.standard_normal((n_tasks, n_classes, n_features))
    task_centers = np.sqrt(1 - task_std**2) * centers + task_std * own
    sizes = rng.randint(low, high + 1, size=n_tasks)
    tasks = np.repeat(np.arange(n_tasks, dtype=np.int64), sizes)
    y = rng.randint(n_classes, size=len(tasks)).astype(np.int64)
    direction = rng.standard_normal((len(tasks), n_features))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    X = task_centers[tasks, y] + radius * direction
    if shuffle:
        order = rng.permutation(len(tasks))
        X, y, tasks = X[order], y[order], tasks[order]
    truth = Bunch(centers=centers, task_centers=task_centers)
    return (X, y, tasks, truth) if return_centers else (X, y, tasks)


def _answer_real(scores, noise, rng):
    return scores + noise * rng.standard_normal(scores.shape)


def _answer_class(scores, noise, rng):
    """Draw classes from the logistic model, as the largest of noisy scores."""
    if scores.ndim == 1:
        y = scores + noise * rng.logistic(size=scores.shape) > 0
    else:
        y = np.argmax(scores + noise * rng.gumbel(size=scores.shape), axis=1)
    return y.astype(np.int64)


def _make_tasks(
    answer: Callable[[np.ndarray, float, Any], np.ndarray],
    *,
    n_tasks: int,
    n_samples: int | tuple[int, int],
    n_features: int,
    noise: float,
    shuffle: bool,
    return_coef: bool,
    random_state: Any,
    **truth_params: Any,
) -> Any:
    """Draw the truth, then rows, then labels by `answer(scores, noise, rng)`."""
    low, high = _check_sizes(n_samples)
    rng = check_random_state(random_state)
    truth = _draw_truth(rng, n_tasks, n_features, **truth_params)
    sizes = rng.randint(low, high + 1, size=n_tasks)
    tasks = np.repeat(np.arange(n_tasks, dtype=np.int64), sizes)
    X = rng.standard_normal((len(tasks), n_features)) / np.sqrt(n_features)
    scores = np.einsum("ij,i...j->i...", X, truth.task_coef[tasks])
    y = answer(scores + truth.task_intercept[tasks], noise, rng)
    if shuffle:
        order = rng.permutation(len(tasks))
        X, y, tasks = X[order], y[order], tasks[order]
    return (X, y, tasks, truth) if return_coef else (X, y, tasks)


def _draw_truth(
    rng,
    n_tasks,
    n_features,
    *,
    outputs,
    coef_norm,
    n_informative,
    task_std,
    intercept_std,
    drift,
    coef,
    intercept,
):
    """Draw the parameters of all tasks; `outputs` is the shape of an intercept."""
    informative = _informative_mask(n_informative, n_features)
    # All draws are made whatever the options, so that a seed fixes them.
    normal = rng.standard_normal((2 + n_tasks, *outputs, n_features))
    normal = np.where(informative, normal, 0.0)
    drawn, direction, spread = normal[0], normal[1], normal[2:]
    intercept_spread = rng.standard_normal((n_tasks, *outputs))

    if coef is None:
        coef = coef_norm * drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)
    else:
        coef = _check_coef(coef, drawn.shape, informative)
    intercept = _check_intercept(intercept, outputs)
    step = drift * direction / np.linalg.norm(direction)
    displacement = np.multiply.outer(np.arange(n_tasks), step)
    if intercept_std is None:
        intercept_std = task_std
    return Bunch(
        coef=coef,
        intercept=intercept,
        drift=step,
        task_coef=coef + displacement + task_std * spread,
        task_intercept=intercept + intercept_std * intercept_spread,
    )


def _check_sizes(n_samples: Any) -> tuple[int, int]:
    """Return the inclusive range (low, high) of task sizes."""
    pair = (n_samples, n_samples) if isinstance(n_samples, Integral) else n_samples
    if len(pair) != 2 or not all(isinstance(size, Integral) for size in pair):
        raise ValueError(
            "n_samples must be an int or a pair (low, high) of ints, got "
            f"{n_samples!r}."
        )
    low, high = map(int, pair)
    if not 1 <= low <= high:
        raise ValueError(
            f"n_samples=(low, high) must satisfy 1 <= low <= high, got {n_samples!r}."
        )
    return low, high


def _informative_mask(n_informative, n_features):
    if n_informative is None:
        n_informative = n_features
    if n_informative > n_features:
        raise ValueError(
            f"n_informative must be at most n_features={n_features}, got "
            f"{n_informative}."
        )
    return np.arange(n_features) < n_informative


def _check_coef(coef, shape, informative):
    coef = _check_finite("coef", coef)
    if coef.shape != shape:
        raise ValueError(f"coef must have shape {shape}, got {coef.shape}.")
    if np.any(coef[..., ~informative]):
        raise ValueError(
            f"coef must be zero after the first n_informative={informative.sum()} "
            f"features, got {coef}."
        )
    return coef


def _check_intercept(intercept, shape):
    intercept = _check_finite("intercept", intercept)
    if intercept.shape not in ((), shape):
        allowed = "a float" if shape == () else f"a float or have shape {shape}"
        raise ValueError(f"intercept must be {allowed}, got shape {intercept.shape}.")
    return np.full(shape, intercept)[()]


def _check_finite(name, values):
    values = np.array(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, got {values}.")
    return values
