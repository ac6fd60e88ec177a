"""DIVIDE: the element-wise quotient of two vectors."""

from __future__ import annotations

from typing import Any

from bdsim.components import FunctionBlock

from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import Elementwise


class Divide(Elementwise, FunctionBlock):
    """Element-wise quotient: y = u₀ / u₁ of two vectors of one width.

    bdsim's own PROD divides by a vector as by a matrix; this block does not.  A divisor of 0 gives
    an infinite element, which ends a run with an error that names the block.

    Raises
    ------
    ShapeError
        At run, if the inputs differ in width or one is a matrix.
    """

    nin = 2
    nout = 1
    op = OPS["divide"]

    def __init__(self, **blockargs: Any) -> None:
        """Make an element-wise quotient block.

        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        super().__init__(**blockargs)
