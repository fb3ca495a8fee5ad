"""Losses of a linear model: convex functions of a target y and a raw score z.

A learner uses only the value of a loss and its derivatives in z. Two base classes
reduce them to a function f of one number: `ResidualLoss` to a function of the residual
s = z - y, and `MarginLoss` to one of the margin s = y z, for y = -1 or +1. A loss of
another form derives from `Loss` itself.

All methods take scalars or arrays and work elementwise. The definitions are those of
scikit-learn. At a kink where zero is a subgradient, `slope` is zero: a sample without
loss moves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, wrightomega, xlogy

__all__ = [
    "AbsoluteError",
    "EpsilonInsensitive",
    "Hinge",
    "Huber",
    "LogLoss",
    "Loss",
    "MarginLoss",
    "ModifiedHuber",
    "Pinball",
    "Poisson",
    "ResidualLoss",
    "SquaredError",
    "SquaredHinge",
]

Array = NDArray[np.float64]
Numbers = Any  # a scalar or an array of float64


class Loss:
    """A convex function of a target y and a raw score z, with its derivatives in z.

    A subclass defines `value`, `slope` and, unless it is linear between its kinks,
    `curvature`. A loss with kinks also defines `kinks`.

    Attributes
    ----------
    has_minimum : bool, default=True
        Whether the sum over any samples has a minimiser.
    is_strict : bool, default=False
        Whether the loss is strictly convex in z.
    is_margin : bool, default=False
        Whether the targets are -1 and +1, as a classifier codes its classes.
    is_residual : bool, default=False
        Whether the loss depends on z - y only, so that targets can be centred.
    lowest_target : float, default=-inf
        The smallest target for which the loss is defined.
    lipschitz : float, default=inf
        A bound on the absolute value of `slope`.
    has_probability : bool, default=False
        For a loss with `is_margin`: whether `inverse_link` is the probability of the
        class +1.
    degree : {0, 1, 2} or None, default=None
        How the loss scales with the unit of the target:
        ``loss.in_units(c).value(c * y, c * z) == c**degree * loss.value(y, z)`` for
        every c > 0. None: there is no such power, and learners do not scale the target.
    compiled : str or None
        Name of the compiled version of the loss. It applies to the class that sets it
        but not to its subclasses, which may compute something else.
    parameter : float, default=0.0
        The one parameter of the compiled version.

    See Also
    --------
    ResidualLoss : A function of the residual z - y.
    MarginLoss : A function of the margin y z.

    Examples
    --------
    The gamma loss for positive targets, where the logarithm of the expected target is
    linear in the features:

    >>> import numpy as np
    >>> from skmeta.losses import Loss
    >>> class Gamma(Loss):
    ...     is_strict = True
    ...     lowest_target = 1e-300
    ...
    ...     def value(self, y, z):
    ...         return z + y * np.exp(-z)
    ...
    ...     def slope(self, y, z):
    ...         return 1.0 - y * np.exp(-z)
    ...
    ...     def curvature(self, y, z):
    ...         return y * np.exp(-z)
    ...
    ...     def inverse_link(self, z):
    ...         return np.exp(z)
    >>> loss = Gamma()
    >>> float(loss.slope(1.0, 0.0))
    0.0
    >>> v = loss.proximal_slope(3.0, 0.0, q=0.5, weight=1.0)
    >>> bool(np.isclose(v, loss.slope(3.0, 0.0 - 0.5 * v)))
    True
    """

    has_minimum: ClassVar[bool] = True
    is_strict: ClassVar[bool] = False
    is_margin: ClassVar[bool] = False
    is_residual: ClassVar[bool] = False
    lowest_target: ClassVar[float] = -np.inf
    has_probability: ClassVar[bool] = False
    degree: ClassVar[Literal[0, 1, 2] | None] = None
    compiled: ClassVar[str | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "compiled" not in vars(cls):
            cls.compiled = None

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({arguments})"

    @property
    def parameter(self) -> float:
        """The one parameter of the compiled version."""
        return 0.0

    @property
    def lipschitz(self) -> float:
        """A bound on the absolute value of `slope`; infinity for none."""
        return np.inf

    def value(self, y: Numbers, z: Numbers) -> Numbers:
        """The loss.

        Parameters
        ----------
        y : float or ndarray
            Targets.
        z : float or ndarray
            Raw scores.

        Returns
        -------
        value : float or ndarray
            The losses, elementwise.
        """
        raise NotImplementedError(f"{type(self).__name__} must define value(y, z).")

    def slope(self, y: Numbers, z: Numbers) -> Numbers:
        """The derivative of `value` in z; at a kink, one of its subgradients.

        At a kink where zero is a subgradient, it is zero.

        Parameters
        ----------
        y : float or ndarray
            Targets.
        z : float or ndarray
            Raw scores.

        Returns
        -------
        slope : float or ndarray
            The derivatives, elementwise.
        """
        raise NotImplementedError(f"{type(self).__name__} must define slope(y, z).")

    def curvature(self, y: Numbers, z: Numbers) -> Numbers:
        """The second derivative in z, away from kinks.

        The default, for losses that are linear between their kinks, is zero.

        Parameters
        ----------
        y : float or ndarray
            Targets.
        z : float or ndarray
            Raw scores.

        Returns
        -------
        curvature : float or ndarray
            The second derivatives, elementwise.
        """
        if not len(self.kinks(np.asarray(y, dtype=np.float64))):
            name = type(self).__name__
            raise NotImplementedError(
                f"{name} has no kinks, so it must define curvature(y, z)."
            )
        return np.zeros(np.broadcast_shapes(np.shape(y), np.shape(z)))

    def proximal_slope(
        self, y: Numbers, z: Numbers, q: Numbers, weight: Numbers
    ) -> Numbers:
        """The slope at the end of a proximal step, times the weight.

        The step of length q > 0 ends at the score t that minimises
        ``weight * value(y, t) + (t - z)**2 / (2 * q)``. The number returned is
        v = (z - t) / q, which solves ``v = weight * slope(y, z - q * v)``. The default
        is bisection, whose error is rounding relative to the slope at the start. A
        closed form is faster.

        Parameters
        ----------
        y : float or ndarray
            Targets.
        z : float or ndarray
            Raw scores at the start of the step.
        q : float or ndarray
            Lengths of the steps, > 0: sum_j eta_j x_j**2 for step sizes eta and
            features x.
        weight : float or ndarray
            Weights of the losses, > 0.

        Returns
        -------
        v : float or ndarray
            The slopes, elementwise.
        """
        first = weight * np.asarray(self.slope(y, z), dtype=np.float64)
        low, high = np.broadcast_arrays(np.minimum(first, 0.0), np.maximum(first, 0.0))
        for _ in range(_MAX_HALVINGS):
            v = 0.5 * (low + high)
            if ((v <= low) | (v >= high)).all():
                break
            is_below = v < weight * self.slope(y, z - q * v)
            low, high = np.where(is_below, v, low), np.where(is_below, high, v)
        return 0.5 * (low + high)

    def kinks(self, y: Array) -> Array:
        """The scores at which `slope` is discontinuous; none by default.

        Parameters
        ----------
        y : ndarray
            Targets.

        Returns
        -------
        kinks : ndarray of shape (n_kinks, ...)
            The scores, for every target.
        """
        return np.empty((0, *np.shape(y)))

    def inverse_link(self, z: Numbers) -> Numbers:
        """The prediction for a raw score; by default, the score itself.

        Parameters
        ----------
        z : float or ndarray
            Raw scores.

        Returns
        -------
        prediction : float or ndarray
            Predicted targets; for a loss with `has_probability`, the probabilities of
            the class +1.
        """
        return z

    def in_units(self, factor: float) -> Loss:
        """The same loss for targets and scores that were multiplied by a factor.

        A loss with a parameter in units of the target overrides this; see `degree`.

        Parameters
        ----------
        factor : float
            The factor, > 0. It is 1 / s for targets that are divided by s.

        Returns
        -------
        loss : Loss
            The loss in the new units.
        """
        return self


_MAX_HALVINGS = 1200  # enough to pass through all exponents and digits of a float


class _FunctionOfOneNumber(Loss):
    """A loss that is a convex function f(s) of one number s.

    `_target` is the target for which s is the score.
    """

    kinks_at: Sequence[float] = ()
    _target: ClassVar[float] = 0.0

    def f_value(self, s: Numbers) -> Numbers:
        """The loss f(s).

        Parameters
        ----------
        s : float or ndarray
            Residuals or margins.

        Returns
        -------
        value : float or ndarray
            The losses, entry by entry.
        """
        raise NotImplementedError(f"{type(self).__name__} must define f_value(s).")

    def f_slope(self, s: Numbers) -> Numbers:
        """The derivative f'(s); at a kink, one of its subgradients.

        Parameters
        ----------
        s : float or ndarray
            Residuals or margins.

        Returns
        -------
        slope : float or ndarray
            The derivatives, entry by entry.
        """
        raise NotImplementedError(f"{type(self).__name__} must define f_slope(s).")

    def f_curvature(self, s: Numbers) -> Numbers:
        """The second derivative f''(s), away from kinks.

        The default, for losses with kinks, is zero.

        Parameters
        ----------
        s : float or ndarray
            Residuals or margins.

        Returns
        -------
        curvature : float or ndarray
            The second derivatives, entry by entry.
        """
        return super().curvature(np.full(np.shape(s), self._target), s)

    def f_proximal_slope(self, s: Numbers, q: Numbers, weight: Numbers) -> Numbers:
        """The solution v of ``v = weight * f'(s - q * v)``.

        The default bisects; see `Loss.proximal_slope`.

        Parameters
        ----------
        s : float or ndarray
            Residuals or margins at the start of the step.
        q : float or ndarray
            Lengths of the steps, > 0.
        weight : float or ndarray
            Weights of the losses, > 0.

        Returns
        -------
        v : float or ndarray
            The solutions, entry by entry.
        """
        return super().proximal_slope(np.full(np.shape(s), self._target), s, q, weight)


class ResidualLoss(_FunctionOfOneNumber):
    """A loss that is a convex function f(s) of the residual s = z - y.

    A subclass defines `f_value` and `f_slope`, and `f_curvature` unless it is linear
    between the kinks in `kinks_at`. A closed form of `f_proximal_slope` makes implicit
    updates faster.

    Attributes
    ----------
    kinks_at : sequence of float, default=()
        The residuals at which f' is discontinuous.

    Examples
    --------
    >>> import numpy as np
    >>> from skmeta.losses import ResidualLoss
    >>> class LogCosh(ResidualLoss):
    ...     is_strict = True
    ...
    ...     def f_value(self, s):
    ...         return np.logaddexp(s, -s) - np.log(2.0)
    ...
    ...     def f_slope(self, s):
    ...         return np.tanh(s)
    ...
    ...     def f_curvature(self, s):
    ...         return 1.0 / np.cosh(s) ** 2
    >>> float(LogCosh().value(2.0, 2.0))
    0.0
    """

    is_residual: ClassVar[bool] = True

    def value(self, y: Numbers, z: Numbers) -> Numbers:
        return self.f_value(z - y)

    def slope(self, y: Numbers, z: Numbers) -> Numbers:
        return self.f_slope(z - y)

    def curvature(self, y: Numbers, z: Numbers) -> Numbers:
        return self.f_curvature(z - y)

    def proximal_slope(
        self, y: Numbers, z: Numbers, q: Numbers, weight: Numbers
    ) -> Numbers:
        return self.f_proximal_slope(z - y, q, weight)

    def kinks(self, y: Array) -> Array:
        return np.add.outer(np.asarray(self.kinks_at, dtype=np.float64), y)


class MarginLoss(_FunctionOfOneNumber):
    """A loss that is a convex function f(s) of the margin s = y z, y = -1 or +1.

    A subclass defines `f_value` and `f_slope`, and `f_curvature` unless it is linear
    between the kinks in `kinks_at`. A closed form of `f_proximal_slope` makes implicit
    updates faster.

    Attributes
    ----------
    kinks_at : sequence of float, default=()
        The margins at which f' is discontinuous.

    Examples
    --------
    >>> import numpy as np
    >>> from skmeta.losses import MarginLoss
    >>> class Exponential(MarginLoss):
    ...     has_minimum = False
    ...     is_strict = True
    ...
    ...     def f_value(self, s):
    ...         return np.exp(-s)
    ...
    ...     def f_slope(self, s):
    ...         return -np.exp(-s)
    ...
    ...     def f_curvature(self, s):
    ...         return np.exp(-s)
    >>> float(Exponential().slope(-1.0, 0.0))
    1.0
    """

    is_margin: ClassVar[bool] = True
    _target: ClassVar[float] = 1.0

    def value(self, y: Numbers, z: Numbers) -> Numbers:
        return self.f_value(y * z)

    def slope(self, y: Numbers, z: Numbers) -> Numbers:
        return y * self.f_slope(y * z)

    def curvature(self, y: Numbers, z: Numbers) -> Numbers:
        return self.f_curvature(y * z)

    def proximal_slope(
        self, y: Numbers, z: Numbers, q: Numbers, weight: Numbers
    ) -> Numbers:
        return y * self.f_proximal_slope(y * z, q, weight)

    def kinks(self, y: Array) -> Array:
        return np.multiply.outer(np.asarray(self.kinks_at, dtype=np.float64), y)

    def inverse_link(self, z: Numbers) -> Numbers:
        raise NotImplementedError(
            f"{type(self).__name__} does not define probabilities of classes."
        )


# ---- regression


class SquaredError(ResidualLoss):
    """Half the squared error, f(s) = s**2 / 2.

    Examples
    --------
    >>> from skmeta.losses import SquaredError
    >>> SquaredError().value(1.0, 4.0)
    4.5
    """

    is_strict = True
    degree = 2
    compiled = "squared_error"

    def f_value(self, s: Numbers) -> Numbers:
        return 0.5 * s * s

    def f_slope(self, s: Numbers) -> Numbers:
        return s

    def f_curvature(self, s: Numbers) -> Numbers:
        return np.ones(np.shape(s))

    def f_proximal_slope(self, s: Numbers, q: Numbers, weight: Numbers) -> Numbers:
        return weight * s / (1.0 + weight * q)


class _EpsilonLoss(ResidualLoss):
    """A loss with a width `epsilon` in units of the target."""

    def __init__(self, epsilon: float = 0.1):
        if not 0.0 <= epsilon < np.inf:
            raise ValueError(
                f"The 'epsilon' parameter of {type(self).__name__} must be a float in "
                f"the range [0.0, inf). Got {epsilon!r} instead."
            )
        self.epsilon = float(epsilon)

    @property
    def parameter(self) -> float:
        return self.epsilon

    def in_units(self, factor: float) -> Loss:
        return type(self)(factor * self.epsilon)


class Huber(_EpsilonLoss):
    """Half the squared error up to ``|s| = epsilon``, linear beyond.

    Parameters
    ----------
    epsilon : float, default=0.1
        Size of the residual beyond which the loss is linear, >= 0.

    Examples
    --------
    >>> import numpy as np
    >>> from skmeta.losses import Huber
    >>> loss = Huber(2.0)
    >>> loss.slope(0.0, np.array([1.0, 5.0]))
    array([1., 2.])
    >>> loss.in_units(0.5)
    Huber(epsilon=1.0)
    """

    degree = 2
    compiled = "huber"

    @property
    def lipschitz(self) -> float:
        return self.epsilon

    def f_value(self, s: Numbers) -> Numbers:
        size = np.abs(s)
        beyond = self.epsilon * (size - 0.5 * self.epsilon)
        return np.where(size <= self.epsilon, 0.5 * s * s, beyond)

    def f_slope(self, s: Numbers) -> Numbers:
        return np.clip(s, -self.epsilon, self.epsilon)

    def f_curvature(self, s: Numbers) -> Numbers:
        return np.where(np.abs(s) <= self.epsilon, 1.0, 0.0)

    def f_proximal_slope(self, s: Numbers, q: Numbers, weight: Numbers) -> Numbers:
        limit = weight * self.epsilon
        return np.clip(weight * s / (1.0 + weight * q), -limit, limit)


class AbsoluteError(ResidualLoss):
    """The absolute error, ``f(s) = |s|``.

    Examples
    --------
    >>> import numpy as np
    >>> from skmeta.losses import AbsoluteError
    >>> AbsoluteError().kinks(np.array([3.0, 5.0]))
    array([[3., 5.]])
    """

    degree = 1
    compiled = "absolute_error"
    kinks_at = (0.0,)

    @property
    def lipschitz(self) -> float:
        return 1.0

    def f_value(self, s: Numbers) -> Numbers:
        return np.abs(s)

    def f_slope(self, s: Numbers) -> Numbers:
        return np.sign(s)

    def f_proximal_slope(self, s: Numbers, q: Numbers, weight: Numbers) -> Numbers:
        return np.clip(s / q, -weight, weight)


class EpsilonInsensitive(_EpsilonLoss):
    """The absolute error beyond epsilon, ``f(s) = max(0, |s| - epsilon)``.

    Parameters
    ----------
    epsilon : float, default=0.1
        Size of the residual up to which there is no loss, >= 0.

    Examples
    --------
    >>> from skmeta.losses import EpsilonInsensitive
    >>> float(EpsilonInsensitive(0.5).value(1.0, 2.0))
    0.5
    """

    degree = 1
    compiled = "epsilon_insensitive"

    @property
    def lipschitz(self) -> float:
        return 1.0

    @property
    def kinks_at(self) -> Sequence[float]:  # type: ignore[override]
        return (-self.epsilon, self.epsilon)

    def f_value(self, s: Numbers) -> Numbers:
        return np.maximum(0.0, np.abs(s) - self.epsilon)

    def f_slope(self, s: Numbers) -> Numbers:
        return np.where(np.abs(s) > self.epsilon, np.sign(s), 0.0)

    def f_proximal_slope(self, s: Numbers, q: Numbers, weight: Numbers) -> Numbers:
        outside = s - np.clip(s, -self.epsilon, self.epsilon)
        return np.clip(outside / q, -weight, weight)


class Pinball(ResidualLoss):
    """The loss of a quantile: f(s) = -quantile s for s <= 0, (1 - quantile) s above.

    Parameters
    ----------
    quantile : float, default=0.5
        The quantile, in (0, 1).

    Examples
    --------
    >>> from skmeta.losses import Pinball
    >>> float(Pinball(0.75).value(3.0, 1.0))
    1.5
    """

    degree = 1
    compiled = "pinball"
    kinks_at = (0.0,)

    def __init__(self, quantile: float = 0.5):
        if not 0.0 < quantile < 1.0:
            raise ValueError(
                "The 'quantile' parameter of Pinball must be a float in the range "
                f"(0.0, 1.0). Got {quantile!r} instead."
            )
        self.quantile = float(quantile)

    @property
    def parameter(self) -> float:
        return self.quantile

    @property
    def lipschitz(self) -> float:
        return max(self.quantile, 1.0 - self.quantile)

    def f_value(self, s: Numbers) -> Numbers:
        return np.where(s > 0, (1.0 - self.quantile) * s, -self.quantile * s)

    def f_slope(self, s: Numbers) -> Numbers:
        below = np.where(s < 0, -self.quantile, 0.0)
        return np.where(s > 0, 1.0 - self.quantile, below)

    def f_proximal_slope(self, s: Numbers, q: Numbers, weight: Numbers) -> Numbers:
        return np.clip(s / q, -self.quantile * weight, (1.0 - self.quantile) * weight)


class Poisson(Loss):
    """Half the Poisson deviance of a count y from the mean exp(z).

    The value is exp(z) - y z + y log(y) - y, which is zero at exp(z) = y. It is
    scikit-learn's `HalfPoissonLoss` with its constant, so it is never negative.

    Examples
    --------
    >>> import numpy as np
    >>> from skmeta.losses import Poisson
    >>> loss = Poisson()
    >>> bool(np.isclose(loss.value(3.0, np.log(3.0)), 0.0))
    True
    >>> float(loss.inverse_link(0.0))
    1.0
    """

    has_minimum = False
    is_strict = True
    lowest_target = 0.0
    compiled = "poisson"

    def value(self, y: Numbers, z: Numbers) -> Numbers:
        # y (exp(r) - 1 - r) with r = z - log(y), which does not cancel near r = 0
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            r = z - np.log(y)
            near = y * (np.expm1(r) - r)
            far = np.exp(z) - y * z + xlogy(y, y) - y
        return np.where(np.abs(r) < 1.0, near, far)

    def slope(self, y: Numbers, z: Numbers) -> Numbers:
        with np.errstate(over="ignore"):
            return np.exp(z) - y

    def curvature(self, y: Numbers, z: Numbers) -> Numbers:
        with np.errstate(over="ignore"):
            return np.exp(z) + 0.0 * y

    def proximal_slope(
        self, y: Numbers, z: Numbers, q: Numbers, weight: Numbers
    ) -> Numbers:
        # The end t of the step satisfies t + c exp(t) = z + c y with c = q weight, so
        # omega = c exp(t) satisfies omega + log(omega) = log(c) + z + c y.
        c = q * weight
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            omega = wrightomega(np.log(c) + z + c * y)
            t = np.log(omega / c)
            size = np.maximum(np.abs(z), np.abs(t))
            # two forms of the slope at the end, of which one cancels less
            is_stiff = size < np.maximum(omega, c * y)
            return np.where(is_stiff, (z - t) / q, weight * (omega / c - y))

    def inverse_link(self, z: Numbers) -> Numbers:
        with np.errstate(over="ignore"):
            return np.exp(z)


# ---- classification


class LogLoss(MarginLoss):
    """The logistic loss, f(s) = log(1 + exp(-s)).

    Examples
    --------
    >>> from skmeta.losses import LogLoss
    >>> float(LogLoss().inverse_link(0.0))
    0.5
    """

    has_minimum = False
    is_strict = True
    has_probability = True
    compiled = "log_loss"

    @property
    def lipschitz(self) -> float:
        return 1.0

    def f_value(self, s: Numbers) -> Numbers:
        return np.maximum(-s, 0.0) + np.log1p(np.exp(-np.abs(s)))

    def f_slope(self, s: Numbers) -> Numbers:
        return -expit(-s)

    def f_curvature(self, s: Numbers) -> Numbers:
        return expit(s) * expit(-s)

    def f_proximal_slope(self, s: Numbers, q: Numbers, weight: Numbers) -> Numbers:
        # Newton's method on h(t) = t - s - q weight sigma(-t), which is increasing,
        # convex below zero and concave above. So the method converges from zero, or
        # from the end of the bracket [s, s + q weight] of the root that is nearest to
        # zero. For long steps a lower bound of the root saves iterations.
        s, c = np.broadcast_arrays(np.asarray(s, dtype=float), q * weight)
        below = np.log(2.0 * (np.log1p(c) + np.abs(s) + 1.0))
        t = np.maximum(np.clip(0.0, s, s + c), np.log(np.maximum(c, 1e-300)) - below)
        for _ in range(100):
            sigma = expit(-t)
            step = t - (t - s - c * sigma) / (1.0 + c * sigma * (1.0 - sigma))
            done = np.abs(step - t) <= 1e-15 * (1.0 + np.abs(t))
            t = step
            if done.all():
                break
        return -weight * expit(-t)

    def inverse_link(self, z: Numbers) -> Numbers:
        return expit(z)


class Hinge(MarginLoss):
    """The hinge loss of support vector machines, f(s) = max(0, 1 - s).

    Examples
    --------
    >>> from skmeta.losses import Hinge
    >>> float(Hinge().value(-1.0, 0.5))
    1.5
    """

    compiled = "hinge"
    kinks_at = (1.0,)

    @property
    def lipschitz(self) -> float:
        return 1.0

    def f_value(self, s: Numbers) -> Numbers:
        return np.maximum(0.0, 1.0 - s)

    def f_slope(self, s: Numbers) -> Numbers:
        return np.where(s < 1.0, -1.0, 0.0)

    def f_proximal_slope(self, s: Numbers, q: Numbers, weight: Numbers) -> Numbers:
        return -np.clip((1.0 - s) / q, 0.0, weight)


class SquaredHinge(MarginLoss):
    """The squared hinge loss, f(s) = max(0, 1 - s)**2.

    Examples
    --------
    >>> from skmeta.losses import SquaredHinge
    >>> float(SquaredHinge().value(1.0, -1.0))
    4.0
    """

    compiled = "squared_hinge"

    def f_value(self, s: Numbers) -> Numbers:
        return np.maximum(0.0, 1.0 - s) ** 2

    def f_slope(self, s: Numbers) -> Numbers:
        return -2.0 * np.maximum(0.0, 1.0 - s)

    def f_curvature(self, s: Numbers) -> Numbers:
        return np.where(s < 1.0, 2.0, 0.0)

    def f_proximal_slope(self, s: Numbers, q: Numbers, weight: Numbers) -> Numbers:
        return -2.0 * weight * np.maximum(0.0, 1.0 - s) / (1.0 + 2.0 * weight * q)


class ModifiedHuber(MarginLoss):
    """The squared hinge loss for s >= -1, linear below: f(s) = -4 s.

    Examples
    --------
    >>> from skmeta.losses import ModifiedHuber
    >>> float(ModifiedHuber().inverse_link(0.5))
    0.75
    """

    has_probability = True
    compiled = "modified_huber"

    @property
    def lipschitz(self) -> float:
        return 4.0

    def f_value(self, s: Numbers) -> Numbers:
        return np.where(s < -1.0, -4.0 * s, np.maximum(0.0, 1.0 - s) ** 2)

    def f_slope(self, s: Numbers) -> Numbers:
        return np.where(s < -1.0, -4.0, -2.0 * np.maximum(0.0, 1.0 - s))

    def f_curvature(self, s: Numbers) -> Numbers:
        return np.where((s >= -1.0) & (s < 1.0), 2.0, 0.0)

    def f_proximal_slope(self, s: Numbers, q: Numbers, weight: Numbers) -> Numbers:
        steep = 2.0 * weight * np.maximum(0.0, 1.0 - s) / (1.0 + 2.0 * weight * q)
        return -np.minimum(steep, 4.0 * weight)

    def inverse_link(self, z: Numbers) -> Numbers:
        return 0.5 * (np.clip(z, -1.0, 1.0) + 1.0)


REGRESSION_LOSSES: dict[str, type[Loss]] = {
    "absolute_error": AbsoluteError,
    "epsilon_insensitive": EpsilonInsensitive,
    "huber": Huber,
    "pinball": Pinball,
    "poisson": Poisson,
    "quantile": Pinball,
    "squared_error": SquaredError,
}
CLASSIFICATION_LOSSES: dict[str, type[Loss]] = {
    "hinge": Hinge,
    "log_loss": LogLoss,
    "modified_huber": ModifiedHuber,
    "squared_hinge": SquaredHinge,
}
