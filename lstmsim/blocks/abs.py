"""ABS: the magnitude of every element."""

from __future__ import annotations

from typing import Any

from bdsim.components import FunctionBlock

from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import Elementwise


class Abs(Elementwise, FunctionBlock):
    """Absolute value: y = |u|, element by element.

    One input and one output of the same width.  The slope at 0 is taken as 0.

    Raises
    ------
    ShapeError
        At run, if the input is a matrix.
    """

    nin = 1
    nout = 1
    op = OPS["abs"]

    def __init__(self, **blockargs: Any) -> None:
        """Make an absolute value block.

        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        super().__init__(**blockargs)
