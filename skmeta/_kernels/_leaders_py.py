"""The regularised leaders of a task: specification and fallback of `_leaders_fast`.

The leader before sample i minimises the loss of the samples before it plus
(theta - start)' inv(S) (theta - start) / 2 in every row of the weights, for a positive
semidefinite S = R R'. A parameter with a row of zeros in S does not change.

Conventions shared by both modules:

- `design` has shape (n_samples, p), the constant feature last.
- `theta` is the start, and becomes the leader after all samples.
- `scores` are filled with those of every sample under the leader before it.
- `average` (or None) is filled with the mean of the leaders before the samples.
- Functions return False, and leave all these undefined, if a number is not finite or
  rounding errors hide the leader.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError

from skmeta._solvers import newton
from skmeta._step_matrices import roots
from skmeta.losses import LogLoss

__all__ = ["logistic_leaders", "ridge_leaders", "roots"]


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
            direction = root @ f
            theta += w * (y - scores[i]) / stretch * direction
            root -= w / (stretch + np.sqrt(stretch)) * np.outer(direction, f)
    return bool(np.isfinite(theta).all())


def logistic_leaders(design, targets, weight, theta, roots, scores, average=None):
    """Log loss, of targets -1 or +1, with `roots` R for every row of the weights.

    `theta` and `average` have shape (n_outputs, p), `targets` and `scores`
    (n_samples, n_outputs).
    """
    loss, ones = LogLoss(), np.ones(design.shape[1])
    for k, root in enumerate(roots):
        start, inside, target = theta[k].copy(), design @ root, targets[:, k]
        offset, z, total = design @ start, np.zeros_like(ones), np.zeros_like(ones)
        for i in range(len(design)):
            total += z
            scores[i, k] = offset[i] + inside[i] @ z
            if not np.isfinite(scores[i, k]):
                return False
            rows = slice(i + 1)
            problem = inside[rows], target[rows], weight[rows]
            try:
                z = newton(loss, *problem, 0.0, ones, z, offset[rows])
            except LinAlgError:
                return False
        theta[k] += root @ z
        if average is not None:
            average[k] = start + root @ total / len(design)
    return bool(np.isfinite(theta).all())
