"""Settings from outside: numbers in their ranges, or one message."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lstmsim.base import InvalidTypeError, InvalidValueError


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


def whole_number(value: Any, name: str, where: str, least: int) -> int:
    """Return a whole number that is not less than the least."""
    expected = f"a whole number of at least {least}"
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InvalidTypeError(
            f"{name} is not a whole number",
            where=where,
            given=f"{name}={value!r}",
            expected=expected,
        )
    if value < least:
        raise InvalidValueError(
            f"{name} is too small", where=where, given=f"{name}={value!r}", expected=expected
        )
    return int(value)


def one_of(value: Any, name: str, where: str, choices: tuple[str, ...]) -> str:
    """Return a word if it is one of the choices."""
    if value not in choices:
        raise InvalidValueError(
            f"{name} is none of what it can be",
            where=where,
            given=f"{name}={value!r}",
            expected=" or ".join(map(repr, choices)),
        )
    return str(value)
