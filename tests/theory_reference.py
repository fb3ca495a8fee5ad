"""Tasks, their minimisers, and runs over them, straight from the definitions.

Like `reference`, independent of the package and slow, but for whole tasks, in arrays.
A parameter has shape (n_outputs, n_features + 1), the intercept last. The label of a
sample in a classification task is the index of its class.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import reference
from scipy import linalg, optimize

REGRESSION_LOSSES = [
    "absolute_error",
    "epsilon_insensitive",
    "huber",
    "pinball",
    "squared_error",
]
CLASSIFICATION_LOSSES = ["hinge", "log_loss", "modified_huber", "squared_hinge"]
LOSSES = REGRESSION_LOSSES + CLASSIFICATION_LOSSES
PIECEWISE_LINEAR = ["absolute_error", "epsilon_insensitive", "hinge", "pinball"]
NUMBERS = {
    "epsilon_insensitive": {"epsilon": 0.4},
    "huber": {"epsilon": 0.4},
    "pinball": {"quantile": 0.3},
}


@dataclass
class Task:
    """The rows of one task, and their loss."""

    X: np.ndarray
    y: np.ndarray
    loss: str
    n_classes: int = 0  # 0: regression
    weight: np.ndarray | None = None
    fit_intercept: bool = True

    @property
    def options(self):
        """Parameters of the inner learner that say which problem it is."""
        numbers = NUMBERS.get(self.loss, {})
        return {"loss": self.loss, "fit_intercept": self.fit_intercept, **numbers}

    @property
    def shape(self):
        """Shape of a parameter."""
        return (self.n_classes if self.n_classes > 2 else 1, self.X.shape[1] + 1)

    @cached_property
    def design(self):
        """The features and the constant."""
        return np.column_stack(
            [self.X, np.full(len(self.X), float(self.fit_intercept))]
        )

    @cached_property
    def targets(self):
        """One column per output: the value, or -1 and +1."""
        if self.n_classes > 2:
            return np.where(self.y[:, np.newaxis] == np.arange(self.n_classes), 1, -1)
        y = 2 * self.y - 1 if self.n_classes else self.y
        return y[:, np.newaxis]

    @cached_property
    def weights(self):
        return np.ones(len(self.y)) if self.weight is None else self.weight

    @cached_property
    def functions(self):
        """The loss and its derivative, of a target and a score."""
        return reference.make_loss(self.loss, **NUMBERS.get(self.loss, {}))

    def scores(self, theta):
        return self.design @ theta.T

    def slopes(self, scores):
        """Derivatives of the rows' losses, weighted, with respect to the scores."""
        slope = np.vectorize(self.functions[1], otypes=[float])
        return self.weights[:, np.newaxis] * slope(self.targets, scores)

    def losses(self, theta):
        """Losses of the rows, weighted."""
        value = np.vectorize(self.functions[0], otypes=[float])
        return self.weights * value(self.targets, self.scores(theta)).sum(axis=1)

    def value(self, theta):
        """L(theta)."""
        return self.losses(theta).sum()

    def gradient(self, theta):
        """Of L, in the shape of a parameter."""
        return self.slopes(self.scores(theta)).T @ self.design

    def rows(self, rows):
        """The task of these rows."""
        weight = None if self.weight is None else self.weight[rows]
        return replace(self, X=self.X[rows], y=self.y[rows], weight=weight)


def random_task(
    rng, loss, n_samples=8, n_features=2, *, n_classes=2, weighted=False, **options
):
    """A task of normal features and noisy targets, in which every class occurs."""
    X = rng.normal(size=(n_samples, n_features))
    if loss in REGRESSION_LOSSES:
        n_classes = 0
        y = X @ rng.normal(size=n_features) + rng.normal(size=n_samples)
    else:
        y = rng.permutation(np.resize(np.arange(n_classes), n_samples))
    weight = rng.uniform(0.3, 3.0, n_samples) if weighted else None
    return Task(X, y, loss, n_classes, weight, **options)


def mixed_task(rng, loss, n_points=4, n_features=2, *, n_classes=2, **options):
    """A task whose classes cannot be separated: every point comes with all of them."""
    n_samples = n_points * n_classes
    task = random_task(rng, loss, n_samples, n_features, n_classes=n_classes, **options)
    if task.n_classes:
        task.X = np.repeat(task.X[:n_points], n_classes, axis=0)
        task.y = np.tile(np.arange(n_classes), n_points)
    return task


def stack(tasks):
    """X, y and task labels of all rows of several tasks."""
    X = np.concatenate([task.X for task in tasks])
    y = np.concatenate([task.y for task in tasks])
    return X, y, np.repeat(np.arange(len(tasks)), [len(task.y) for task in tasks])


def theta_of(model):
    """`coef_` and `intercept_` of a model as a parameter."""
    return np.column_stack([np.atleast_2d(model.coef_), model.intercept_])


def task_parameters(model, shape):
    """The parameters of the known tasks of a meta-estimator."""
    coef = model.task_coef_.reshape(-1, shape[0], shape[1] - 1)
    intercept = model.task_intercept_.reshape(-1, shape[0], 1)
    return np.concatenate([coef, intercept], axis=2)


# ---- minimisers by general solvers, and the conditions that they meet


def objective(task, theta, center, strength):
    """L(theta) + sum_j strength_j (theta_j - center_j)**2 / 2."""
    return task.value(theta) + (strength * (theta - center) ** 2).sum() / 2


def epigraph(task):
    """(A, b): A @ (theta, u) >= b says that u, one number for every row and output, is
    at least the loss, not weighted, of a piecewise linear loss.
    """
    m, (K, p) = len(task.y), task.shape
    value, slope = (np.vectorize(one, otypes=[float]) for one in task.functions)
    blocks, sides = [], []
    for shift in (-1e3, 0.0, 1e3):  # a convex function is the maximum of its tangents
        at = task.targets + shift
        tangent = slope(task.targets, at)
        rows = np.zeros((m, K, K, p))
        for k in range(K):
            rows[:, k, k] = -tangent[:, [k]] * task.design
        blocks.append(np.hstack([rows.reshape(m * K, K * p), np.eye(m * K)]))
        sides.append((value(task.targets, at) - tangent * at).ravel())
    return np.vstack(blocks), np.concatenate(sides)


def minimise(task, center=0.0, strength=0.0, radius=None):
    """A minimiser of `objective` in the ball, by solvers for any problem."""
    size = int(np.prod(task.shape))
    A, b = np.zeros((0, size)), np.zeros(0)
    if task.loss in PIECEWISE_LINEAR:
        A, b = epigraph(task)
    cost = np.repeat(task.weights, task.shape[0])[: A.shape[1] - size]
    if len(cost) and radius is None and not np.any(strength):
        cost = np.append(np.zeros(size), cost)
        found = optimize.linprog(cost, -A, -b, bounds=(None, None))
        return found.x[:size].reshape(task.shape)

    def value(v):
        theta = v[:size].reshape(task.shape)
        pull = (strength * (theta - center) ** 2).sum() / 2
        return pull + (cost @ v[size:] if len(cost) else task.value(theta))

    def slope(v):
        theta = v[:size].reshape(task.shape)
        pull = strength * (theta - center)
        return np.append(pull if len(cost) else pull + task.gradient(theta), cost)

    constraints = [
        {"type": "ineq", "fun": lambda v: A @ v - b, "jac": lambda v: A},
        {
            "type": "ineq",
            "fun": lambda v: (radius or np.inf) ** 2 - v[:size] @ v[:size],
            "jac": lambda v: np.append(-2.0 * v[:size], 0.0 * cost)[np.newaxis],
        },
    ]
    constraints = constraints[0 if len(cost) else 1 : 1 if radius is None else 2]
    above = 1.0 + np.abs(b).max(initial=0.0)  # all losses at zero
    found = optimize.minimize(
        value,
        np.append(np.zeros(size), 0.0 * cost + above),
        jac=slope,
        method="SLSQP",
        constraints=constraints,
        options={"ftol": 1e-15, "maxiter": 2000},
    )
    return found.x[:size].reshape(task.shape)


def distance_to_optimality(task, theta, center=0.0, strength=0.0, radius=None):
    """Norm of the smallest subgradient of `objective` at theta, on the sphere plus a
    multiple >= 0 of theta; relative to the norms of the rows and of the pull.
    """
    scores = task.scores(theta)
    width = 1e-7 * (1.0 + np.abs(scores))
    low, high = task.slopes(scores - width), task.slopes(scores + width)
    fixed = task.gradient(theta) + strength * (theta - center)
    here, columns, bounds = task.slopes(scores), [], []
    for i, k in np.argwhere(high - low > 1e-2 * task.weights[:, np.newaxis]):
        columns.append(np.zeros(task.shape))  # at a kink
        columns[-1][k] = task.design[i]
        bounds.append((low[i, k] - here[i, k] - 1e-12, high[i, k] - here[i, k] + 1e-12))
    if radius is not None and np.linalg.norm(theta) > (1.0 - 1e-9) * radius:
        columns.append(theta)
        bounds.append((0.0, np.inf))
    size = task.weights @ np.linalg.norm(task.design, axis=1)
    size += np.linalg.norm(strength * (theta - center))
    if not columns:
        return np.linalg.norm(fixed) / size
    A = np.reshape(columns, (len(columns), -1)).T
    found = optimize.lsq_linear(A, -fixed.ravel(), np.transpose(bounds), method="bvls")
    return np.linalg.norm(A @ found.x + fixed.ravel()) / size


# ---- one task


@dataclass
class Run:
    """What one pass over the rows of a task gave."""

    iterates: np.ndarray  # theta_1 to theta_{m+1}
    losses: np.ndarray  # of theta_1 to theta_m
    gradients: np.ndarray

    @property
    def last(self):
        return self.iterates[-1]

    @property
    def average(self):
        return self.iterates[:-1].mean(axis=0)

    @property
    def squares(self):
        """Sum of the squared gradients, by parameter."""
        return (self.gradients**2).sum(axis=0)

    @property
    def products(self):
        """Sum of the outer products of the gradients of every output."""
        return np.einsum("ikp,ikq->kpq", self.gradients, self.gradients)


def run_task(task, start, eta, update, radius=None):
    """Learn from one task; every update from the start and all gradients so far."""
    iterates, losses, gradients = [np.array(start, dtype=float)], [], []
    if update == "eg":
        iterates = [exponentiated(start, 0.0, radius)]
    for i in range(len(task.y)):
        theta, row = iterates[-1], task.rows([i])
        losses.append(row.value(theta))
        gradients.append(row.gradient(theta))
        total = np.sum(gradients, axis=0)
        if update == "ogd":
            theta = project(theta - times(eta, gradients[-1]), radius)
        elif update == "implicit":
            step = times(eta, proximal_gradient(row, theta, eta))
            theta = project(theta - step, radius)
        elif update == "ftrl":
            theta = project(start - times(eta, total), radius)
        elif update == "eg":
            theta = exponentiated(start, eta * total, radius)
        else:
            theta = regularised_leader(task.rows(slice(i + 1)), start, inverse(eta))
        iterates.append(theta)
    return Run(np.array(iterates), np.array(losses), np.array(gradients))


def times(eta, gradient):
    """A step size, one for every parameter or a matrix for every output, times g."""
    if np.ndim(eta) == 3:
        return np.array([H @ g for H, g in zip(eta, gradient, strict=True)])
    return eta * gradient


def inverse(eta):
    """The strength of a step size."""
    return np.linalg.inv(eta) if np.ndim(eta) == 3 else 1.0 / eta


def project(theta, radius):
    return np.array(reference.project(theta.tolist(), radius))


def proximal_gradient(row, theta, eta):
    """g with g the gradient of the row's loss at theta - eta g."""
    [x], [weight] = row.design, row.weights
    v = [
        reference.proximal_slope(row.functions[1], target, z, q, weight)
        for target, z, q in zip(
            row.targets[0],
            row.scores(theta)[0],
            times(eta, np.broadcast_to(x, theta.shape)) @ x,
            strict=True,
        )
    ]
    return np.outer(v, x)


def parts_of(theta, radius):
    """The positive numbers that represent theta in 'eg': (positive, negative) parts.

    What the absolute values leave of the radius, and at least a millionth of it, is
    shared evenly; they sum to the radius.
    """
    slack = max(radius - np.abs(theta).sum(), 1e-6 * radius)
    parts = np.maximum([theta, -np.array(theta)], 0.0) + slack / (2 * np.size(theta))
    return parts * radius / parts.sum()


def exponentiated(start, exponents, radius):
    """Parts of the start times exp(-+ exponents), rescaled to sum to the radius."""
    exponents = np.broadcast_to(exponents, np.shape(start))
    logs = np.log(parts_of(start, radius)) + np.array([-exponents, exponents])
    parts = np.exp(logs - logs.max())
    parts *= radius / parts.sum()
    return parts[0] - parts[1]


def regularised_leader(task, center, strength):
    """argmin L(theta) + sum_j strength_j (theta_j - center_j)**2 / 2, smooth losses.

    Or with a matrix of strengths for every output.
    """

    def gradient(v):
        theta = v.reshape(task.shape)
        return (task.gradient(theta) + times(strength, theta - center)).ravel()

    return optimize.root(gradient, center.ravel(), tol=1e-14).x.reshape(task.shape)


# ---- several tasks


class Fixed:
    """The same step size for every task."""

    def __init__(self, eta0):
        self.eta0 = eta0

    def propose(self, m):
        return self.eta0

    def observe(self, moved, run):
        pass


class Doubling:
    """A guess of the distance, raised after every task that is farther."""

    def __init__(self, guess, gamma, lipschitz):
        self.guess, self.gamma, self.lipschitz = guess, gamma, lipschitz

    def propose(self, m):
        return self.guess / (self.lipschitz * np.sqrt(m))

    def observe(self, moved, run):
        if np.linalg.norm(moved) > self.guess:
            self.guess *= self.gamma


class SimilarityLearner:
    """The similarity v from all distances and weights so far, over G sqrt(m)."""

    def __init__(self, eps, lipschitz, diameter=None):
        self.eps, self.lipschitz, self.diameter = eps, lipschitz, diameter
        self.distances, self.weights = [], []

    def propose(self, m):
        weight = self.lipschitz * np.sqrt(m)
        if self.diameter is None:
            return leading_similarity(self.distances, self.weights, self.eps) / weight
        v = weighted_similarity(
            self.distances, self.weights, self.eps, self.diameter, weight
        )
        return v / weight

    def observe(self, moved, run):
        self.distances.append(np.linalg.norm(moved))
        self.weights.append(self.lipschitz * np.sqrt(len(run.losses)))


def similarity_losses(v, distances, weights, eps):
    """w ((B**2 + eps**2) / v + v) of every task, v an array or a number."""
    squares = np.square(distances) + eps**2
    return np.asarray(weights) * (np.divide.outer(squares, v).T + np.expand_dims(v, -1))


def leading_similarity(distances, weights, eps):
    """The minimiser of the sum of the losses; eps if there are none."""
    if not len(distances):
        return eps
    return np.sqrt(eps**2 + np.average(np.square(distances), weights=weights))


def weighted_similarity(distances, weights, eps, diameter, next_weight):
    """The mean of v under exp(-gamma * losses), on a grid that is finer where the
    density is concentrated.
    """
    largest = max([*weights, next_weight])
    gamma = 2 / (largest * diameter) * min((eps / diameter) ** 2, 1)
    low, high = eps, np.sqrt(diameter**2 + eps**2)

    def logs(v):
        return -gamma * similarity_losses(v, distances, weights, eps).sum(axis=-1)

    for _ in range(60):  # nearly all mass lies where the logarithm is within 50
        v = np.linspace(low, high, 1001)
        near = np.flatnonzero(logs(v) > logs(v).max() - 50)
        ends = v[max(near[0] - 1, 0)], v[min(near[-1] + 1, 1000)]
        if ends == (low, high):
            break
        low, high = ends
    v = np.linspace(low, high, 20_001)
    density = np.exp(logs(v) - logs(v).max())
    return np.trapezoid(v * density, v) / np.trapezoid(density, v)


class Aruba:
    """The root of squared distances over squared gradients; `each`: by parameter."""

    def __init__(self, eps, zeta, p, each, balance=False, decay=0.0):
        self.eps, self.zeta, self.p, self.each = eps, zeta, p, each
        self.share, self.kept = (0.5 if balance else 1.0), 1.0 - decay
        self.b, self.g, self.n_tasks = eps**2, zeta**2, 0

    def propose(self, m):
        return np.sqrt(self.b / self.g)

    def observe(self, moved, run):
        self.n_tasks += 1
        decay = (self.n_tasks + 1) ** self.p
        distance = moved**2 if self.each else (moved**2).sum()
        self.b = self.kept * self.b + distance / 2 + self.eps**2 / decay
        squares = run.squares if self.each else run.squares.sum()
        self.g = self.kept * self.g + self.share * squares + self.zeta**2 / decay


class FullMatrix:
    """The matrix H of every output with H G H = B, from the published formula."""

    def __init__(self, eps, zeta, p, shape):
        self.eps, self.zeta, self.p, self.n_tasks = eps, zeta, p, 0
        self.eye = np.broadcast_to(np.eye(shape[1]), (*shape, shape[1]))
        self.B, self.G = eps**2 * self.eye, zeta**2 * self.eye

    def propose(self, m):
        return np.array([self.mean(*one) for one in zip(self.B, self.G, strict=True)])

    @staticmethod
    def mean(B, G):
        root = linalg.sqrtm(G).real
        inverse = np.linalg.inv(root)
        return inverse @ linalg.sqrtm(root @ B @ root).real @ inverse

    def observe(self, moved, run):
        self.n_tasks += 1
        fading = (self.n_tasks + 1) ** self.p
        outer = np.array([np.outer(d, d) for d in moved])
        self.B = self.B + outer / 2 + self.eps**2 / fading * self.eye
        self.G = self.G + run.products + self.zeta**2 / fading * self.eye


@dataclass
class MetaRun:
    """What a sequence of tasks gave: lists with one entry per task, and the end."""

    phi: np.ndarray
    starts: list = field(default_factory=list)
    etas: list = field(default_factory=list)
    runs: list = field(default_factory=list)
    parameters: list = field(default_factory=list)


def last_iterate(task, run, start, eta):
    return run.last


def average_iterate(task, run, start, eta):
    return run.average


PARAMETERS = {"last": last_iterate, "average": average_iterate}


def learn(
    tasks,
    phi,
    rule,
    share,
    *,
    batch_size=1,
    update="ogd",
    radius=None,
    parameter=last_iterate,
):
    """Learn from tasks in meta-batches, from the shared initialization `phi` on.

    Parameters
    ----------
    rule : step size: Fixed, Doubling, SimilarityLearner, Aruba or FullMatrix
    share : function of (number of tasks so far, weight of the batch, sum of all weights
        so far) that returns the share of the way to the mean of the task parameters
    parameter : function of (task, run, start, eta) that returns the task parameter
    """
    result, weight_sum = MetaRun(phi), 0.0
    for first in range(0, len(tasks), batch_size):
        batch = tasks[first : first + batch_size]
        weights = [np.sqrt(len(task.y)) for task in batch]
        etas = [rule.propose(len(task.y)) for task in batch]
        runs = [
            run_task(task, phi, eta, update, radius)
            for task, eta in zip(batch, etas, strict=True)
        ]
        parameters = [
            parameter(task, run, phi, eta)
            for task, run, eta in zip(batch, runs, etas, strict=True)
        ]
        for theta, run in zip(parameters, runs, strict=True):
            rule.observe(theta - phi, run)
        weight_sum += sum(weights)
        result.starts += [phi] * len(batch)
        result.etas += etas
        result.runs += runs
        result.parameters += parameters
        a = share(first + len(batch), sum(weights), weight_sum)
        phi = phi + a * (np.average(parameters, axis=0, weights=weights) - phi)
    result.phi = phi
    return result


class Discount:
    """`share` of `learn`: the weight over the sum of weights halved by their age."""

    def __init__(self, half_life):
        self.half_life, self.ends, self.weights = half_life, [], []

    def __call__(self, t, weight, total):
        self.ends.append(t)
        self.weights.append(weight)
        ages = t - np.array(self.ends)
        return weight / (self.weights @ 2.0 ** (-ages / self.half_life))


def shares(name, value=None):
    """`share` of `learn` for a meta step size; 'linear' goes to 0.2 at task 5."""
    return {
        "ftl": lambda t, weight, total: weight / total,
        "discounted": Discount(value),
        "constant": lambda t, weight, total: value,
        "linear": lambda t, weight, total: (
            value + min((t - 1) / 4, 1.0) * (0.2 - value)
        ),
    }[name]
