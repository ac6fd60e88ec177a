"""SOFTPLUS: a smooth positive part of every element."""

from __future__ import annotations

from typing import Any

from bdsim.components import FunctionBlock

from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import Elementwise


class Softplus(Elementwise, FunctionBlock):
    """Softplus: y = log(1 + eᵘ), element by element.

    One input and one output of the same width, dimensionless; computed as
    max(u, 0) + log(1 + e^−|u|), which does not overflow.

    Raises
    ------
    ShapeError
        At run, if the input is a matrix.

    References
    ----------
    C. Dugas et al., Incorporating second-order functional knowledge for better option pricing,
    NIPS 2000.
    """

    nin = 1
    nout = 1
    op = OPS["softplus"]

    def __init__(self, **blockargs: Any) -> None:
        """Make a softplus block.

        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        super().__init__(**blockargs)
