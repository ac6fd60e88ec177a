"""TAPPEDDELAY: the last n samples side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from bdsim.components import Clock, SampledBlock

from lstmsim.base import ShapeError, real_array, whole_number
from lstmsim.blocks._signals import check_width, checked_clock, label, signal


class TappedDelay(SampledBlock):
    """Tapped delay line: y(k) = [u(k−1); u(k−2); …; u(k−n)], the newest first.

    Its state is its output, so that traces hold it.  A delay of n samples is this block and an
    INDEX of its last elements.

    Parameters
    ----------
    clock : Clock
        The clock that makes the samples, ``bd.clock(Ts)``.
    n : int, optional
        Number of samples, at least 1.
    x0 : array_like of shape (n, width) or (n·width,), optional
        The samples before the first, the newest first; a number is all of them for a signal of
        one element.

    Raises
    ------
    ShapeError
        If `x0` does not have n samples; at run, if the input is not as wide as they are.
    InvalidTypeError, InvalidValueError
        If there is no clock, `n` is not a whole number of at least 1, or `x0` holds anything but
        finite real numbers.

    References
    ----------
    S. Haykin, Neural Networks and Learning Machines, Pearson 2009, section 13.2 (short-term
    memory structures).
    """

    nin = 1
    nout = 1

    def __init__(self, clock: Clock, n: int = 1, x0: npt.ArrayLike = 0.0, **blockargs: Any) -> None:
        """Make a tapped delay line block.

        :param clock: the clock that makes the samples, defaults to =clock
        :type clock: Clock
        :param n: number of samples, defaults to 1
        :type n: int, optional
        :param x0: the samples before the first, the newest first, defaults to 0
        :type x0: array_like, optional
        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        where = label("TAPPEDDELAY", blockargs)
        n = whole_number(n, "n", where, 1, floats=True)
        array = real_array(x0, "x0", where)
        before = np.full(n, float(array)) if array.ndim == 0 else array
        rows = before.ndim == 2 and len(before) == n
        if not (before.size and (rows or (before.ndim == 1 and len(before) % n == 0))):
            raise ShapeError(
                "x0 does not have a row for each sample",
                where=where,
                given=f"shape {before.shape}",
                expected=f"shape ({n}, width), or a vector of {n} times the width",
            )
        super().__init__(clock=checked_clock(clock, where), x0=before.reshape(-1), **blockargs)
        self._x0.setflags(write=False)  # bdsim has made a copy that can be written to
        self.n = n

    def output(
        self, t: float, u: list[Any], x: npt.NDArray[np.float64]
    ) -> list[npt.NDArray[np.float64]]:
        """Return the stored samples."""
        return [x.copy()]

    def next(self, t: float, u: list[Any], x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Store the input, and forget the oldest sample."""
        value = signal(u[0], self, 0)
        width = self.ndstates // self.n
        check_width(value, width, self, 0, f"the initial value has {self.n} samples of that width")
        return np.concatenate([value, x[:-width]])
