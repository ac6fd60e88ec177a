"""Settings from outside: numbers in their ranges, names that there are, or one message."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from lstmsim.base.errors import InvalidTypeError, InvalidValueError


def number(
    value: Any,
    name: str,
    where: str,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    finite: bool = True,
) -> float:
    """Return a number if it lies in its range."""
    ranges = ((least, "≥"), (above, ">"), (most, "≤"), (below, "<"))
    words = " and ".join(f"{sign} {bound:g}" for bound, sign in ranges if bound is not None)
    expected = f"a number {words}".strip()
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise InvalidTypeError(
            f"{name} is not a number", where=where, given=f"{name}={value!r}", expected=expected
        )
    inside = (
        not math.isnan(value)
        and (not finite or math.isfinite(value))
        and (least is None or value >= least)
        and (above is None or value > above)
        and (most is None or value <= most)
        and (below is None or value < below)
    )
    if not inside:
        raise InvalidValueError(
            f"{name} is out of its range",
            where=where,
            given=f"{name}={float(value):g}",
            expected=expected,
        )
    return float(value)


def whole_number(
    value: Any,
    name: str,
    where: str,
    least: int,
    most: int | None = None,
    *,
    floats: bool = False,
) -> int:
    """Return a whole number in its range; one that a float holds if floats are taken."""
    expected = f"a whole number of at least {least}"
    if most is not None:
        expected = f"a whole number from {least} to {most}"
    whole = isinstance(value, int | np.integer) or (
        floats and isinstance(value, float) and value.is_integer()
    )
    if isinstance(value, bool) or not whole:
        raise InvalidTypeError(
            f"{name} is not a whole number",
            where=where,
            given=f"{name}={value!r}",
            expected=expected,
        )
    if value < least or (most is not None and value > most):
        raise InvalidValueError(
            f"{name} is too small" if value < least else f"{name} is too large",
            where=where,
            given=f"{name}={value!r}",
            expected=expected,
        )
    return int(value)


def true_or_false(value: Any, name: str, where: str) -> bool:
    """Return True or False."""
    if not isinstance(value, bool | np.bool_):
        raise InvalidTypeError(
            f"{name} is neither True nor False",
            where=where,
            given=f"{name}={value!r}",
            expected="True or False",
        )
    return bool(value)


def one_of(value: Any, name: str, where: str, choices: Collection[str]) -> str:
    """Return a word if it is one of the choices."""
    if value not in choices:
        raise InvalidValueError(
            f"{name} is none of what it can be",
            where=where,
            given=f"{name}={value!r}",
            expected=" or ".join(map(repr, choices)),
            mend=_meant([value], choices),
        )
    return str(value)


def check_names(
    names: Iterable[Any], known: Iterable[str], noun: str, where: str, mend: str | None = None
) -> None:
    """Refuse names that are not known, with the nearest ones that are.

    Parameters
    ----------
    names : iterable of str
        The names from outside.
    known : iterable of str
        The names that exist.
    noun : str
        The noun of the named thing in the message: "signal", "engine".
    where : str
        The argument, for an error.
    mend : str, optional
        The advice where no known name is near.

    Raises
    ------
    InvalidValueError
        If there are such names.
    """
    choices = list(known)
    unknown = [name for name in names if name not in choices]
    if unknown:
        raise InvalidValueError(
            f"there is no {noun} of this name",
            where=where,
            given=", ".join(map(repr, unknown)),
            expected=f"some of: {', '.join(choices) or 'none, there are none'}",
            mend=_meant(unknown, choices) or mend,
        )


def _meant(names: Iterable[Any], known: Collection[str]) -> str | None:
    near = [difflib.get_close_matches(str(name), known, 1) for name in names]
    found = [repr(match) for matches in near for match in matches]
    return f"did you mean {' and '.join(found)}?" if found else None


def check_mapping(value: Any, name: str) -> None:
    """Refuse what does not map names to arrays."""
    if not isinstance(value, Mapping):
        raise InvalidTypeError(
            f"{name} is not a mapping",
            given=type(value).__name__,
            expected="a mapping from names to arrays",
        )
