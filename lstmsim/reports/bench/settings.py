"""What is to be measured."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

from lstmsim.base import InvalidValueError, check_names
from lstmsim.reports.bench.peers import PEERS

#: Inputs and samples by units; others have those of `OTHER_SIZE`.
SIZES = {3: (4, 51), 5: (1, 1000), 32: (8, 1000), 128: (32, 1000), 256: (64, 1000), 512: (64, 1000)}
OTHER_SIZE = (8, 1000)
QUICK_UNITS = (3, 32)
#: For each row, if not given.
SECONDS, QUICK_SECONDS = 3.0, 0.3
#: All signals of the reference in double precision take half a GiB for so many units.
MOST_UNITS = 2048


@dataclass(frozen=True)
class Settings:
    """What is to be measured, and for how long.

    Parameters
    ----------
    units : tuple of int
        The layers' sizes N.
    seconds : float
        How long the candidates take turns for one row of the table.
    threads : int
        How many threads each library may use.
    growth : bool
        Whether the growth with T and N is measured.
    quick : bool
        Whether growth is measured over a smaller range, and first use at the first size alone.
    peers : tuple of str
        Names of the libraries beside this one; those not installed are left out.

    Raises
    ------
    InvalidValueError
        If one is out of its range.
    """

    units: tuple[int, ...] = tuple(SIZES)
    seconds: float = SECONDS
    threads: int = 1
    growth: bool = True
    quick: bool = False
    peers: tuple[str, ...] = tuple(PEERS)

    def __post_init__(self) -> None:
        _check(self)


def _check(settings: Settings) -> None:
    bad = [n for n in settings.units if not 1 <= n <= MOST_UNITS]
    if bad or not settings.units:
        raise InvalidValueError(
            "a layer of so many units is not measured",
            where="units",
            given=", ".join(map(str, bad)) or "none",
            expected=f"whole numbers from 1 to {MOST_UNITS}",
        )
    if not (math.isfinite(settings.seconds) and settings.seconds > 0):
        raise InvalidValueError(
            "the measuring time must be positive",
            where="seconds",
            given=f"{settings.seconds:g}",
            expected="a number > 0, in seconds for each row",
        )
    cores = os.cpu_count() or 1
    if not 1 <= settings.threads <= cores:
        raise InvalidValueError(
            "this machine cannot run so many threads at once",
            where="threads",
            given=str(settings.threads),
            expected=f"1 to {cores}, the cores of this machine",
        )
    check_names(settings.peers, PEERS, "candidate", "peers")


def units_in(text: str) -> tuple[int, ...]:
    """Return sizes from a text such as "3,32", each once.

    Raises
    ------
    InvalidValueError
        If it is not a list of whole numbers.

    Examples
    --------
    >>> units_in("3, 32,3")
    (3, 32)
    """
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise InvalidValueError(
            "units is not a list of whole numbers",
            where="units",
            given=repr(text),
            expected="whole numbers separated by commas",
            mend="for example 3,32,256",
        ) from None


def settings_from_options(
    units: str | None, seconds: float | None, peers: str | None, *, quick: bool, **others: Any
) -> Settings:
    """Return settings from a command's options; what is not given is as `quick` says."""
    full = QUICK_UNITS if quick else tuple(SIZES)
    names = tuple(PEERS) if peers is None else tuple(name.strip() for name in peers.split(","))
    if seconds is None:
        seconds = QUICK_SECONDS if quick else SECONDS
    return Settings(
        units=full if units is None else units_in(units),
        seconds=seconds,
        peers=tuple(dict.fromkeys(names)),
        quick=quick,
        **others,
    )


def size(n: int) -> tuple[int, int]:
    """Return the inputs Ni and samples T that a layer of so many units is measured with."""
    return SIZES.get(n, OTHER_SIZE)
