"""TOWORKSPACE: a sink that keeps its samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from bdsim.components import Clock, SampledBlock

from lstmsim.blocks._signals import checked_clock, label, signal


class ToWorkspace(SampledBlock):
    """Sink: keeps one value a sample, values[k] = u(k).

    It is a sampled block without an output: bdsim steps an ordinary sink more than once a
    sample, and once before the first.  What it has kept is in `values` after a run; a new run
    starts afresh.

    Parameters
    ----------
    clock : Clock
        The clock that makes the samples, ``bd.clock(Ts)``.

    Raises
    ------
    InvalidTypeError
        If there is no clock.
    ShapeError
        At run, if the input is a matrix.
    """

    nin = 1
    nout = 0

    def __init__(self, clock: Clock, **blockargs: Any) -> None:
        """Make a sink.

        :param clock: the clock that makes the samples, defaults to =clock
        :type clock: Clock
        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        where = label("TOWORKSPACE", blockargs)
        super().__init__(clock=checked_clock(clock, where), ndstates=1, **blockargs)
        self._kept: dict[int, npt.NDArray[np.float64]] = {}

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """The samples of the last run, shape (T, width); (0, 0) before the first."""
        if not self._kept:
            return np.zeros((0, 0))
        return np.stack(list(self._kept.values()))

    def clear(self) -> None:
        """Forget the samples that were kept."""
        self._kept = {}

    def start(self, simstate: Any) -> None:
        """Forget the samples of the run before."""
        self.clear()

    def output(self, t: float, u: list[Any], x: npt.NDArray[np.float64]) -> list[Any]:
        """Return nothing: a sink has no output."""
        return []

    def next(self, t: float, u: list[Any], x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Keep the input under the sample index that is the state."""
        self._kept[int(x[0])] = signal(u[0], self, 0)
        return x + 1.0
