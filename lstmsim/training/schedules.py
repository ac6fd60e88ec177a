"""Schedules: how the learning rate changes from epoch to epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from lstmsim.base import number, whole_number


@runtime_checkable
class Schedule(Protocol):
    """A schedule, as options use it: a frozen dataclass, whose fields are its settings."""

    def factor(self, epoch: int, epochs: int) -> float:
        """Return the factor of the learning rate in an epoch.

        Parameters
        ----------
        epoch, epochs : int
            Which, counted from 0, and of how many.
        """


@dataclass(frozen=True)
class Constant:
    """The learning rate stays as it is."""

    def factor(self, epoch: int, epochs: int) -> float:
        """Return the factor of the learning rate in an epoch, as `Schedule.factor`."""
        return 1.0


@dataclass(frozen=True)
class Piecewise:
    """The learning rate is multiplied with a factor every so many epochs.

    Parameters
    ----------
    drop : float, optional
        The factor, > 0.
    every : int, optional
        After how many epochs, again and again.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If the factor is not > 0, or the number not a whole one ≥ 1.

    Examples
    --------
    >>> [Piecewise(0.5, every=2).factor(epoch, 10) for epoch in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    drop: float = 0.99
    every: int = 100

    def __post_init__(self) -> None:
        number(self.drop, "drop", "Piecewise", above=0.0)
        whole_number(self.every, "every", "Piecewise", 1)

    def factor(self, epoch: int, epochs: int) -> float:
        """Return the factor of the learning rate in an epoch, as `Schedule.factor`."""
        return float(self.drop ** (epoch // self.every))


@dataclass(frozen=True)
class Cosine:
    """The learning rate falls along half a cosine, from its start to a fraction of it.

    Parameters
    ----------
    floor : float, optional
        The fraction at the end, in [0, 1].

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If the fraction is not in its range.

    References
    ----------
    I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017.
    """

    floor: float = 0.0

    def __post_init__(self) -> None:
        number(self.floor, "floor", "Cosine", least=0.0, most=1.0)

    def factor(self, epoch: int, epochs: int) -> float:
        """Return the factor of the learning rate in an epoch, as `Schedule.factor`."""
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * epoch / epochs)) / 2


#: The schedules by the names that the command line has for them.
SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "piecewise": Piecewise,
    "cosine": Cosine,
}
