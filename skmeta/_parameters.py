"""Parameters of estimators: validated, watched, cloned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from inspect import signature
from itertools import dropwhile
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, clone

Array = NDArray[np.float64]


@contextmanager
def unchanged_on_error(estimator: object) -> Iterator[None]:
    """Restore the attributes of the estimator if the block fails.

    The block works on a copy of the attributes, so restoring is one assignment.
    """
    before = estimator.__dict__
    estimator.__dict__ = before.copy()
    try:
        yield
    except BaseException:
        estimator.__dict__ = before
        raise


def validate_parameters(estimator: Any) -> None:
    """Check an estimator's parameters, unless scikit-learn is configured not to."""
    if not get_config()["skip_parameter_validation"]:
        estimator._validate_params()


class ParameterWatch:
    """The parameters of an estimator at one time, to see cheaply whether any changed.

    The parameters of nested estimators are included; `init` is not, since only a first
    call uses it. A value that can change without being replaced, such as an array, is
    always considered changed.

    Parameters
    ----------
    estimator : estimator
    nested : sequence of str
        The parameters that may be estimators.
    """

    def __init__(self, estimator: object, nested: Sequence[str]):
        names = _names_of(estimator) - {"init"}
        for name in nested:
            part = getattr(estimator, name)
            if isinstance(part, BaseEstimator):
                names |= {f"{name}.{inner}" for inner in part.get_params(deep=False)}
        self._read = attrgetter(*names)
        values = self._read(estimator)
        self._values = values if _is_hashable(values) else None

    def is_same(self, estimator: object) -> bool:
        """Whether no parameter was replaced."""
        try:
            return bool(self._read(estimator) == self._values)
        except (AttributeError, ValueError):  # another class; an array to compare
            return False


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _names_of(estimator: object) -> frozenset[str]:
    cls: Any = type(estimator)
    return _names_by_class(cls)


@cache
def _names_by_class(cls: Any) -> frozenset[str]:
    return frozenset(cls._get_param_names())


_CONSTANTS = {bool, float, int, str, type(None)}


def cheap_clone(estimator: object) -> Any:
    """`clone`, at a tenth of its time for an estimator that holds constants only."""
    attributes = vars(estimator)
    if attributes.keys() != _names_of(estimator) or not (
        _CONSTANTS.issuperset(map(type, attributes.values()))
    ):
        return clone(estimator)
    twin = object.__new__(type(estimator))
    vars(twin).update(attributes)
    return twin


def check_start(value: ArrayLike, name: str, shape: tuple[int, ...]) -> Array:
    """An array given by the user as float64, finite and of the given shape.

    Leading dimensions of one may be left out.
    """
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers: {error}.") from error
    if _without_ones(array.shape) != _without_ones(shape):
        raise ValueError(
            f"{name} must be an array of shape {shape}; got shape {array.shape}."
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite: it contains NaN or infinity.")
    return array.reshape(shape)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dropwhile(lambda n: n == 1, shape))


def check_positive(
    value: ArrayLike, name: str, owner: str, shape: tuple[int, ...]
) -> Array:
    """A positive parameter: one number, of shape (1, 1), or an array of `shape`."""
    try:
        array = check_start(value, name, shape if np.ndim(value) else (1, 1))
    except ValueError as error:
        raise ValueError(f"The {name!r} parameter of {owner}: {error}") from error
    if not (array > 0).all():
        raise ValueError(
            f"The {name!r} parameter of {owner} must be positive in every entry. Got "
            f"{value!r} instead."
        )
    return array


def check_offset(theta: Array, name: str, fit_intercept: float) -> None:
    """Raise ValueError if the start has an intercept that would not be learned."""
    if theta[:, -1].any() and not fit_intercept:
        raise ValueError(
            f"{name} has an intercept, but with fit_intercept=False none is learned: "
            "start without one, or set fit_intercept=True."
        )


def changed(estimator: Any, *names: str) -> str | None:
    """Those of the parameters that are not at their default, as text, or None."""
    cls: Any = type(estimator)
    defaults = _defaults(cls)
    texts = [
        f"{name}={getattr(estimator, name)!r}"
        for name in names
        if not np.array_equal(getattr(estimator, name), defaults[name])
    ]
    return " and ".join(texts) or None


@cache
def _defaults(cls: Any) -> dict[str, Any]:
    parameters = signature(cls).parameters
    return {name: parameter.default for name, parameter in parameters.items()}
