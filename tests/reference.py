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
        return float(r > 0) - float(r < 0)

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

    def poisson(y, z):
        return math.exp(z) - y * z + (y * math.log(y) if y else 0.0) - y

    value, slope = {
        "poisson": (poisson, lambda y, z: math.exp(z) - y),
        "squared_error": (lambda y, z: (z - y) ** 2 / 2, lambda y, z: z - y),
        "huber": (huber, lambda y, z: max(-epsilon, min(epsilon, z - y))),
        "absolute_error": (lambda y, z: abs(z - y), lambda y, z: sign(z - y)),
        "epsilon_insensitive": (
            lambda y, z: max(0, abs(z - y) - epsilon),
            lambda y, z: sign(z - y) if abs(z - y) > epsilon else 0,
        ),
        "pinball": (
            lambda y, z: max(quantile * (y - z), (quantile - 1) * (y - z)),
            lambda y, z: 1 - quantile if z > y else -quantile if z < y else 0,
        ),
        "log_loss": (log_loss, lambda y, z: -y * sigmoid(-y * z)),
        "hinge": (
            lambda y, z: max(0, 1 - y * z),
            lambda y, z: -y if y * z < 1 else 0,
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


class StepSize:
    """The rule of the step size, named as in `learn_tasks`."""

    def __init__(self, spec, phi):
        self.kind, *self.numbers = spec
        self.tasks = 0
        if self.kind == "doubling":
            self.guess = self.numbers[0]
        elif self.kind != "fixed":
            eps, zeta, _ = self.numbers
            self.b = [[eps**2 for _ in row] for row in phi]
            self.g = [[zeta**2 for _ in row] for row in phi]

    def propose(self, m):
        if self.kind == "fixed":
            eta, divide = self.numbers
            scale = math.sqrt(m) if divide else 1.0
            if isinstance(eta, list):
                return [[e / scale for e in row] for row in eta]
            return eta / scale
        if self.kind == "doubling":
            return self.guess / (self.numbers[2] * math.sqrt(m))
        if self.kind == "isotropic":
            return math.sqrt(self.b[0][0] / self.g[0][0])
        return [
            [math.sqrt(b / g) for b, g in zip(*rows, strict=True)]
            for rows in zip(self.b, self.g, strict=True)
        ]

    def observe(self, moved, run):
        self.tasks += 1
        if self.kind == "doubling" and math.sqrt(square_norm(moved)) > self.guess:
            self.guess *= self.numbers[1]
        if self.kind in ("isotropic", "per_coordinate"):
            eps, zeta, p = self.numbers
            for k, row in enumerate(moved):
                for j, u in enumerate(row):
                    distance, gradient = u * u, run.grad_sq[k][j]
                    if self.kind == "isotropic":
                        distance, gradient = square_norm(moved), run.grad_sq_norm
                    self.b[k][j] += distance / 2 + eps**2 / (self.tasks + 1) ** p
                    self.g[k][j] += gradient + zeta**2 / (self.tasks + 1) ** p


@dataclass
class MetaRun:
    """What a sequence of tasks gave; the lists have one entry per task."""

    phi: list  # after the last task
    step_size: StepSize
    runs: list = field(default_factory=list)
    parameters: list = field(default_factory=list)
    etas: list = field(default_factory=list)
    distances: list = field(default_factory=list)


def learn_tasks(
    lengths,
    run,
    phi,
    *,
    step_size,
    meta_update,
    average=False,
    phi_given=False,
    starts=None,
):
    """Learn from tasks of these lengths, from the shared initialization `phi` on.

    Parameters
    ----------
    lengths : list of the numbers of samples
    run : function of (task number from 0, start, eta) that returns a `Run`
    step_size : ('fixed', eta0, whether divided by sqrt(m)), ('doubling', D_1, gamma,
        G), ('isotropic', eps, zeta, p) or ('per_coordinate', eps, zeta, p)
    meta_update : ('ftl',), ('aogd',), ('constant', a) or ('linear', first, final, n)
    average : whether the task parameter is the average, not the last iterate
    phi_given : whether the user gave `phi`
    starts : start of every task, None for the shared initialization; or None for all
    """
    rule = StepSize(step_size, phi)
    result = MetaRun(phi, rule)
    kind, *numbers = meta_update
    weight_sum = 0.0
    for t, m in enumerate(lengths):
        eta = rule.propose(m)
        own = starts[t] if starts else None
        one = run(t, own or phi, eta)
        theta = one.average if average else one.last
        moved = subtract(theta, phi)
        rule.observe(moved, one)
        weight_sum += math.sqrt(m)
        if kind == "ftl":
            a = math.sqrt(m) / weight_sum
        elif kind == "aogd":
            a = 1.0 if t == 0 and not phi_given else 1 / weight_sum
        elif kind == "constant":
            a = numbers[0]
        else:
            first, final, n = numbers
            a = first + min(t / (n - 1), 1) * (final - first)
        phi = [
            [p + a * u for p, u in zip(*rows, strict=True)]
            for rows in zip(phi, moved, strict=True)
        ]
        result.runs.append(one)
        result.parameters.append(theta)
        result.etas.append(eta)
        result.distances.append(math.sqrt(square_norm(moved)))
    result.phi = phi
    return result


def square_norm(theta):
    return sum(w * w for row in theta for w in row)


def subtract(theta, other):
    return [
        [a - b for a, b in zip(*rows, strict=True)]
        for rows in zip(theta, other, strict=True)
    ]


def certificate(theta, start, eta, grad_sq):
    """The right-hand side of (G1), the bound on the regret against `theta`.

    `grad_sq` has the shape of the step size: a number, or a list of rows.
    """
    moved = subtract(theta, start)
    if not isinstance(eta, list):
        return square_norm(moved) / (2 * eta) + eta / 2 * grad_sq
    return sum(
        moved[k][j] ** 2 / (2 * eta[k][j]) + eta[k][j] / 2 * grad_sq[k][j]
        for k in range(len(moved))
        for j in range(len(moved[k]))
    )


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
