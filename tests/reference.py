"""The algorithms once more, naively, from their formulas alone: the tests' oracle.

Plain numbers in plain loops, nothing of the package. A parameter is a list of rows, one
per output, the intercept last. A step size is a number, or a list of rows like a
parameter. The target of a single output is the value to predict, or -1 or +1; that of
several outputs is the index of the class.
"""

import math
from dataclasses import dataclass, field


def make_loss(name, epsilon=0.1, quantile=0.5):
    """The loss and its derivative, as functions of the target and the raw score."""

    def sign(r):
        return 1.0 if r > 0 else -1.0

    def sigmoid(z):
        return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))

    def log_loss(y, z):
        m = y * z
        return math.log1p(math.exp(-m)) if m >= 0 else math.log1p(math.exp(m)) - m

    def huber(y, z):
        r = abs(z - y)
        return r * r / 2 if r <= epsilon else epsilon * (r - epsilon / 2)

    def modified_huber(y, z):
        return -4 * y * z if y * z < -1 else max(0, 1 - y * z) ** 2

    value, slope = {
        "squared_error": (lambda y, z: (z - y) ** 2 / 2, lambda y, z: z - y),
        "huber": (huber, lambda y, z: max(-epsilon, min(epsilon, z - y))),
        "absolute_error": (lambda y, z: abs(z - y), lambda y, z: sign(z - y)),
        "epsilon_insensitive": (
            lambda y, z: max(0, abs(z - y) - epsilon),
            lambda y, z: sign(z - y) if abs(z - y) > epsilon else 0,
        ),
        "pinball": (
            lambda y, z: max(quantile * (y - z), (quantile - 1) * (y - z)),
            lambda y, z: 1 - quantile if z > y else -quantile,
        ),
        "log_loss": (log_loss, lambda y, z: -y * sigmoid(-y * z)),
        "hinge": (
            lambda y, z: max(0, 1 - y * z),
            lambda y, z: -y if y * z <= 1 else 0,
        ),
        "squared_hinge": (
            lambda y, z: max(0, 1 - y * z) ** 2,
            lambda y, z: -2 * y * max(0, 1 - y * z),
        ),
        "modified_huber": (
            modified_huber,
            lambda y, z: -4 * y if y * z < -1 else -2 * y * max(0, 1 - y * z),
        ),
    }["pinball" if name == "quantile" else name]
    return value, slope


def proximal_slope(slope, y, z, q, weight):
    """v with v = weight l'(y, z - q v), by bisection.

    It lies between weight l'(y, z) and weight l'(y, z - q weight l'(y, z)), because l'
    increases in the score.
    """
    first = weight * slope(y, z)
    low, high = sorted((first, weight * slope(y, z - q * first)))
    for _ in range(2000):
        v = (low + high) / 2
        if v in (low, high):
            break
        if v < weight * slope(y, z - q * v):
            low = v
        else:
            high = v
    return v


def project(theta, radius):
    norm = math.sqrt(sum(w * w for row in theta for w in row))
    if radius is None or norm <= radius:
        return theta
    return [[w * radius / norm for w in row] for row in theta]


@dataclass
class Run:
    """What one task gave. Losses and gradients are those of the first pass."""

    last: list
    average: list
    losses: dict = field(default_factory=dict)  # by row
    iterates: list = field(default_factory=list)
    grad_sq: list = None  # coordinate by coordinate

    @property
    def grad_sq_norm(self):
        return sum(g for row in self.grad_sq for g in row)


def run_task(
    X,
    y,
    theta,
    eta,
    loss,
    *,
    update="ogd",
    radius=None,
    fit_intercept=True,
    sample_weight=None,
    passes=None,
):
    """Learn from one task from `theta` on; `passes` lists the rows of every pass."""
    value, slope = loss
    theta = [list(row) for row in theta]
    outputs, columns = range(len(theta)), range(len(theta[0]))
    run = Run(None, None, grad_sq=[[0.0 for _ in columns] for _ in outputs])
    for n_pass, rows in enumerate(passes or [range(len(X))]):
        for i in rows:
            run.iterates.append(theta)
            x = [*map(float, X[i]), 1.0 if fit_intercept else 0.0]
            weight = 1.0 if sample_weight is None else sample_weight[i]
            total, new = 0.0, []
            for k in outputs:
                target = y[i] if len(theta) == 1 else (1.0 if y[i] == k else -1.0)
                steps = eta[k] if isinstance(eta, list) else [eta for _ in columns]
                z = sum(theta[k][j] * x[j] for j in columns)
                total += weight * value(target, z)
                v = weight * slope(target, z)
                if n_pass == 0:
                    for j in columns:
                        run.grad_sq[k][j] += (v * x[j]) ** 2
                if update == "implicit":
                    q = sum(steps[j] * x[j] ** 2 for j in columns)
                    v = proximal_slope(slope, target, z, q, weight)
                new.append([theta[k][j] - steps[j] * v * x[j] for j in columns])
            if n_pass == 0:
                run.losses[i] = total
            theta = project(new, radius)
    run.last = theta
    run.average = [
        [sum(t[k][j] for t in run.iterates) / len(run.iterates) for j in columns]
        for k in outputs
    ]
    return run


@dataclass
class MetaRun:
    """What a sequence of tasks gave."""

    phi: list  # the last shared initialization
    initializations: list = field(default_factory=list)  # phi_t of every task
    runs: list = field(default_factory=list)
    parameters: list = field(default_factory=list)
    etas: list = field(default_factory=list)
    distances: list = field(default_factory=list)


def learn_tasks(
    tasks,
    phi,
    run,
    *,
    step_size,
    meta_update,
    average=False,
    phi_given=False,
    starts=None,
):
    """Learn from a list of tasks, from the shared initialization `phi` on.

    Parameters
    ----------
    tasks : list of (task, number of samples)
    run : function of (task, start, eta) that returns a `Run`
    step_size : ('fixed', eta0, divide by sqrt(m)?), ('doubling', D_1, gamma, G),
        ('isotropic', eps, zeta, p) or ('per_coordinate', eps, zeta, p)
    meta_update : ('ftl',), ('aogd',), ('constant', a) or ('linear', first, final, n)
    average : whether the task parameter is the average, not the last iterate
    starts : start of every task, or None for the shared initialization
    """
    result = MetaRun(phi)
    outputs, columns = range(len(phi)), range(len(phi[0]))
    kind, *numbers = step_size
    weights = []
    D = numbers[0]
    b = [[numbers[0] ** 2 for _ in columns] for _ in outputs]
    g = [[numbers[1] ** 2 for _ in columns] for _ in outputs]
    for t, (task, m) in enumerate(tasks, start=1):
        if kind == "fixed":
            scale = 1 / math.sqrt(m) if numbers[1] else 1.0
            eta = numbers[0]
            if isinstance(eta, list):
                eta = [[e * scale for e in row] for row in eta]
            else:
                eta *= scale
        elif kind == "doubling":
            eta = D / (numbers[2] * math.sqrt(m))
        elif kind == "isotropic":
            eta = math.sqrt(b[0][0] / g[0][0])
        else:
            eta = [[math.sqrt(b[k][j] / g[k][j]) for j in columns] for k in outputs]
        start = phi if starts is None or starts[t - 1] is None else starts[t - 1]
        one = run(task, start, eta)
        theta = one.average if average else one.last
        moved = [[theta[k][j] - phi[k][j] for j in columns] for k in outputs]
        squares = sum(u * u for row in moved for u in row)
        result.initializations.append(phi)
        result.runs.append(one)
        result.parameters.append(theta)
        result.etas.append(eta)
        result.distances.append(math.sqrt(squares))

        if kind == "doubling" and math.sqrt(squares) > D:
            D *= numbers[1]
        if kind in ("isotropic", "per_coordinate"):
            eps, zeta, p = numbers
            for k in outputs:
                for j in columns:
                    each = kind == "per_coordinate"
                    distance = moved[k][j] ** 2 if each else squares
                    gradient = one.grad_sq[k][j] if each else one.grad_sq_norm
                    b[k][j] += distance / 2 + eps**2 / (t + 1) ** p
                    g[k][j] += gradient + zeta**2 / (t + 1) ** p

        weights.append(math.sqrt(m))
        if meta_update[0] == "ftl":
            a = weights[-1] / sum(weights)
        elif meta_update[0] == "aogd":
            a = 1.0 if t == 1 and not phi_given else 1 / sum(weights)
        elif meta_update[0] == "constant":
            a = meta_update[1]
        else:
            _, first, final, n = meta_update
            a = first + min((t - 1) / (n - 1), 1) * (final - first)
        phi = [[phi[k][j] + a * moved[k][j] for j in columns] for k in outputs]
    result.phi = phi
    return result


def square_norm(theta):
    return sum(w * w for row in theta for w in row)


def certificate(theta, start, eta, grad_sq):
    """The right-hand side of (G1) against `theta`, and the sum of its terms' sizes.

    `grad_sq` is a number or, with one step size per parameter, a list of rows.
    """
    if isinstance(eta, list):
        return sum(
            (theta[k][j] - start[k][j]) ** 2 / (2 * eta[k][j])
            + eta[k][j] / 2 * grad_sq[k][j]
            for k in range(len(theta))
            for j in range(len(theta[k]))
        )
    moved = [
        [a - b for a, b in zip(r, s, strict=True)]
        for r, s in zip(theta, start, strict=True)
    ]
    return square_norm(moved) / (2 * eta) + eta / 2 * grad_sq


def losses_at(theta, X, y, loss, *, fit_intercept=True, sample_weight=None):
    """The loss of every row at one parameter."""
    value = loss[0]
    losses = []
    for i in range(len(X)):
        x = [*map(float, X[i]), 1.0 if fit_intercept else 0.0]
        weight = 1.0 if sample_weight is None else sample_weight[i]
        total = 0.0
        for k, row in enumerate(theta):
            target = y[i] if len(theta) == 1 else (1.0 if y[i] == k else -1.0)
            total += value(target, sum(w * v for w, v in zip(row, x, strict=True)))
        losses.append(weight * total)
    return losses
