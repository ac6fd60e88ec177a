"""UNITDELAY: the previous sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from bdsim.components import Clock, SampledBlock

from lstmsim.base import real_vector
from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import check_width, checked_clock, label, signal


class UnitDelay(SampledBlock):
    """Unit delay: y(0) = x0, y(k) = u(k−1), with a vector state.

    Unlike bdsim's ZOH it keeps a state of one element a vector, and checks the width of what
    it stores.

    Parameters
    ----------
    clock : Clock
        The clock that makes the samples, ``bd.clock(Ts)``.
    x0 : array_like of shape (n,), optional
        Initial value; its length is the width of the signal.

    Raises
    ------
    ShapeError
        If `x0` is not a vector; at run, if the input does not have n elements.
    InvalidTypeError, InvalidValueError
        If there is no clock, or `x0` holds anything but finite real numbers.

    References
    ----------
    A. V. Oppenheim and R. W. Schafer, Discrete-Time Signal Processing, Pearson 2010,
    section 6.1 (the block z⁻¹).
    """

    nin = 1
    nout = 1
    op = OPS["delay"]

    def __init__(self, clock: Clock, x0: npt.ArrayLike = 0.0, **blockargs: Any) -> None:
        """Make a unit delay block.

        :param clock: the clock that makes the samples, defaults to =clock
        :type clock: Clock
        :param x0: initial value; its length is the width of the signal, defaults to 0
        :type x0: array_like, optional
        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        where = label("UNITDELAY", blockargs)
        super().__init__(
            clock=checked_clock(clock, where), x0=real_vector(x0, "x0", where), **blockargs
        )
        self._x0.setflags(write=False)  # bdsim has made a copy that can be written to

    def op_parameters(self) -> dict[str, Any]:
        """Return the operation's parameters: the initial value x0."""
        return {"x0": self._x0}

    def output(
        self, t: float, u: list[Any], x: npt.NDArray[np.float64]
    ) -> list[npt.NDArray[np.float64]]:
        """Return the stored sample."""
        return [x.copy()]

    def next(self, t: float, u: list[Any], x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Store the input."""
        value = signal(u[0], self, 0)
        check_width(value, self.ndstates, self, 0, "that is the length of the initial value")
        return value
