"""Whether candidates compute the same: what does not is an error, not a row of a table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lstmsim.base import LstmsimError
from lstmsim.reports.bench.peers import TITLES
from lstmsim.reports.bench.problem import Array, Arrays

#: Largest difference over the largest number of the expected array: single precision's roundings
#: along a thousand samples stay below a tenth of it, TensorFloat's or bfloat16's do not.
TOLERANCE = {"forward": 1e-5, "gradient": 1e-4}


def difference(found: Array, expected: Array) -> float:
    """Return the largest difference over the largest expected number.

    Examples
    --------
    >>> difference(np.array([1.0, 4.5]), np.array([1.0, 5.0]))
    0.1
    >>> difference(np.array([1.0, np.nan]), np.array([1.0, 5.0]))
    inf
    """
    if found.shape != expected.shape:
        return float("inf")
    largest = float(np.abs(expected).max()) or 1.0
    worst = float(np.abs(found - expected).max()) / largest
    return worst if np.isfinite(worst) else float("inf")


def check_agreement(
    found: Mapping[str, Arrays], expected: Arrays, work: str, where: str
) -> dict[str, float]:
    """Return how far each candidate is from what is expected.

    Raises
    ------
    LstmsimError
        If one computes something else.
    """
    apart = {
        name: max(difference(arrays[key], value) for key, value in expected.items())
        for name, arrays in found.items()
    }
    allowed = TOLERANCE[work]
    if max(apart.values()) > allowed:
        shown = ", ".join(f"{TITLES.get(name, name)} {value:.1e}" for name, value in apart.items())
        raise LstmsimError(
            "the candidates do not compute the same: their times cannot be compared",
            where=where,
            given=f"largest differences from double precision: {shown}",
            expected=f"at most {allowed:g} of the largest number",
            mend="leave out the one that differs, with --peers",
        )
    return apart
