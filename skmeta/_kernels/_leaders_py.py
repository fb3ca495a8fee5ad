"""The regularised leaders of a task: specification and fallback of `_leaders_fast`.

The leader before sample i minimises the loss of the samples before it plus
(theta - start)' inv(S) (theta - start) / 2 in every row of the weights, for a positive
semidefinite S = R R'. A parameter with a row of zeros stays.

Conventions shared by both modules:

- `design` has shape (n_samples, p), the constant feature last.
- `theta` is the start, and becomes the leader after all samples.
- `scores` are filled with those of every sample under the leader before it.
- `average` (or None) is filled with the mean of the leaders before the samples.
- Functions return False, and leave all these undefined, if a number is not finite or
  rounding errors hide the leader.
"""

import numpy as np
from scipy.linalg import LinAlgError

from skmeta._losses import LogLoss
from skmeta._matrices import roots
from skmeta._solvers import newton

__all__ = ["logistic_leaders", "logistic_posteriors", "ridge_leaders", "roots"]


def ridge_leaders(design, target, weight, theta, root, scores, average=None):
    """Squared error, with one row of weights: recursive least squares.

    `theta` has shape (p,) as `average`, `target` and `scores` (n_samples,). The square
    `root` of the prior's covariance becomes that of the posterior's, in Potter's form:
    no difference of covariances is taken, which could lose their sign.
    """
    if average is not None:
        average[:] = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for i, (x, y, w) in enumerate(zip(design, target, weight, strict=True)):
            scores[i] = x @ theta
            if average is not None:
                average += theta / len(design)
            f = x @ root
            stretch = 1.0 + w * (f @ f)
            if not (np.isfinite(scores[i]) and np.isfinite(stretch)):
                return False
            moved = root @ f
            theta += w * (y - scores[i]) / stretch * moved
            root -= w / (stretch + np.sqrt(stretch)) * np.outer(moved, f)
    return bool(np.isfinite(theta).all())


def logistic_leaders(design, targets, weight, theta, roots, scores, average=None):
    """Log loss, of targets -1 or +1, with `roots` R for every row of the weights.

    `theta` and `average` have shape (n_outputs, p), `targets` and `scores`
    (n_samples, n_outputs).
    """
    loss, ones = LogLoss(), np.ones(design.shape[1])
    for k, root in enumerate(roots):
        start, moved, total = theta[k].copy(), np.zeros_like(ones), np.zeros_like(ones)
        b = targets[:, k, np.newaxis] * design
        offset, inside = -(b @ start), b @ root
        for i in range(len(design)):
            total += moved
            scores[i, k] = design[i] @ start + targets[i, k] * (inside[i] @ moved)
            if not np.isfinite(scores[i, k]):
                return False
            rows = slice(i + 1)
            problem = inside[rows], offset[rows], weight[rows]
            try:
                moved = newton(loss, *problem, 0.0, ones, moved)
            except LinAlgError:
                return False
        theta[k] += root @ moved
        if average is not None:
            average[k] = start + root @ total / len(design)
    return bool(np.isfinite(theta).all())


def logistic_posteriors(
    design, targets, weight, theta, prior, guess, covariance, gradient, information
):
    """Laplace's approximation of the posterior for the log loss.

    `theta` is the mean of a Gaussian prior of covariance `prior`, which has no row of
    zeros, and becomes the mode of the posterior, found from `guess`. `covariance` takes
    the posterior's, `gradient` that of the log evidence in the prior's mean and
    `information` minus its second derivative. All have one entry for every row of the
    weights.
    """
    loss, ones = LogLoss(), np.ones(design.shape[1])
    for k, S in enumerate(prior):
        b = targets[:, k, np.newaxis] * design
        try:
            root = np.linalg.cholesky(S)
            z = np.linalg.solve(root, guess[k] - theta[k])
            problem = loss, b @ root, -(b @ theta[k]), weight
            theta[k] += root @ newton(*problem, 0.0, ones, z)
        except LinAlgError:
            return False
        s = b @ theta[k]
        A = (b.T * (weight * loss.curvature(s))) @ b
        C = np.linalg.solve(np.eye(len(A)) + S @ A, S)
        covariance[k] = 0.5 * (C + C.T)
        gradient[k] = -((weight * loss.slope(s)) @ b)
        information[k] = A - A @ C @ A
    return True
