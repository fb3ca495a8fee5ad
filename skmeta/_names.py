"""One task label in its canonical form: equal labels are equal Python objects.

Whatever library a label comes from, labels that mean the same compare equal and have
the same hash:

- a number is a Python number, and a whole one an int;
- a string is a str;
- a point in time without a zone is a `numpy.datetime64` in the coarsest of the units
  day, microsecond and nanosecond that represents it, so that a date equals its
  midnight; one with a zone is a `datetime` in UTC;
- a duration is a `timedelta` or, with nanoseconds, a `numpy.timedelta64`;
- a tuple holds canonical parts, and a tuple of one part is that part;
- any other hashable object stays as it is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Hashable, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

UNCHANGED = {int, str, bool, bytes}  # types of labels that are canonical
EXACT = 2**53  # up to here every integer is a float

_DAY, _MICROSECOND = np.timedelta64(1, "D"), np.timedelta64(1, "us")


class NotALabel(ValueError):
    """Why an object cannot be the label of a task."""


MISSING = "is missing"


def is_missing(label: Any) -> bool:
    """Whether a label is None, NaN, NaT or pandas.NA."""
    if label is None:
        return True
    try:
        return bool(label != label)
    except (TypeError, ArithmeticError):  # pandas.NA; a signalling Decimal
        return True
    except ValueError:  # an array, whose truth value is ambiguous
        return False


def canonical(label: Any) -> Hashable:
    """The canonical form of a label.

    Raises
    ------
    NotALabel
        If the label is missing, also in a part, or not representable. Its text is a
        clause whose subject is the label.
    """
    if type(label) in UNCHANGED:
        return label
    if isinstance(label, tuple):
        return _tuple(label)
    if is_missing(label):
        raise NotALabel(MISSING)
    for kind, convert in _CONVERSIONS:
        if isinstance(label, kind):
            return convert(label)
    if hasattr(label, "as_py"):  # of Arrow
        return canonical(label.as_py())
    try:
        hash(label)
    except TypeError as error:
        raise NotALabel(f"is not hashable ({error})") from error
    return label


def _tuple(label: tuple) -> Hashable:
    parts = []
    for number, part in enumerate(label):
        try:
            parts.append(canonical(part))
        except NotALabel as error:
            raise NotALabel(f"has a part {number} ({part!r}) that {error}") from error
    return parts[0] if len(parts) == 1 else tuple(parts)


def _number(label: Any) -> Hashable:
    """An int if the number is whole."""
    if not np.isfinite(float(label)):
        raise NotALabel("is infinite")
    whole = int(label)
    if whole != label:
        return float(label) if isinstance(label, float | np.floating) else label
    if abs(whole) > EXACT and isinstance(label, float | np.floating):
        raise NotALabel(
            "is a float beyond 2**53, where floats merge neighbouring integers: pass "
            "integers or strings"
        )
    return whole


def _complex(label: Any) -> Hashable:
    raise NotALabel("is a complex number")


def _time(label: dt.datetime) -> Hashable:
    if label.tzinfo is None:
        precise = getattr(label, "to_datetime64", None)  # of pandas: nanoseconds
        return shortest_time(precise() if precise else np.datetime64(label, "us"))
    label = label.astimezone(dt.UTC)
    if getattr(label, "nanosecond", 0):
        return label
    to_python = getattr(label, "to_pydatetime", None)
    return to_python() if to_python else label


def shortest_time(label: np.datetime64) -> np.datetime64:
    """In the coarsest of the units day, microsecond and nanosecond."""
    for unit in ("D", "us", "ns"):
        short = label.astype(f"M8[{unit}]")
        if short == label and short.astype(label.dtype) == label:
            return short
    return label


def shortest_duration(label: np.timedelta64) -> Hashable:
    """A `timedelta` if it has no nanoseconds."""
    unit, _ = np.datetime_data(label.dtype)
    if unit in ("generic", "Y", "M"):
        return label
    short = label.astype("m8[us]")
    if short == label and short.astype(label.dtype) == label:
        return short.item()
    return label.astype("m8[ns]")


def _duration(label: dt.timedelta) -> Hashable:
    precise = getattr(label, "to_timedelta64", None)  # of pandas: nanoseconds
    return shortest_duration(precise()) if precise else label


_CONVERSIONS: tuple[tuple[Any, Callable[[Any], Hashable]], ...] = (
    (np.bool_, bool),
    (np.datetime64, shortest_time),
    (np.timedelta64, shortest_duration),  # which is an np.integer
    (np.integer, int),
    (float | np.floating | Decimal | Fraction, _number),
    (complex | np.complexfloating, _complex),
    (np.str_, str),
    (np.bytes_, bytes),
    (np.void, lambda label: _tuple(label.item())),
    (dt.datetime, _time),
    (dt.date, lambda label: np.datetime64(label, "D")),
    (dt.timedelta, _duration),
)


def is_fraction(name: Any) -> bool:
    """Whether a canonical label is a number that is not whole."""
    return isinstance(name, float | Decimal | Fraction)


def is_number(name: Any) -> bool:
    """Whether a canonical label is a number."""
    return isinstance(name, int) or is_fraction(name)


# ---- kinds

_KINDS: tuple[tuple[Any, str], ...] = (
    (int | float | Decimal | Fraction, "a number"),
    (str, "a string"),
    (bytes, "bytes"),
    (np.datetime64, "a date"),
    (dt.datetime, "a date with a time zone"),
    (dt.timedelta | np.timedelta64, "a duration"),
)


def kind_of(name: Any) -> Any:
    """What a canonical label is; labels of different kinds are never equal."""
    if isinstance(name, tuple):
        return tuple(map(kind_of, name))
    for types, kind in _KINDS:
        if isinstance(name, types):
            return kind
    return type(name).__name__


def kind_in_words(name: Any) -> str:
    """The kind of a label, for messages."""
    kind = kind_of(name)
    if isinstance(kind, tuple):
        return f"a tuple of {' and '.join(map(kind_in_words, name))}"
    return str(kind)


# ---- labels that are written differently


def spellings(name: Hashable, examples: Iterable[Hashable]) -> list[str]:
    """Other strings that a string may stand for; `examples` are known labels."""
    if not isinstance(name, str):
        return []
    plain = name.strip()
    found = [plain, name.lower(), name.upper(), plain.lower(), plain.upper()]
    found += [plain.title(), plain.lstrip("0"), plain.removesuffix(".0"), f"{plain}.0"]
    for length in {len(one) for one in examples if isinstance(one, str)}:
        found += [plain.zfill(length), plain.ljust(length), plain.rjust(length)]
    return [one for one in dict.fromkeys(found) if one != name]
