"""SQRT: the square root of every element."""

from __future__ import annotations

from typing import Any

from bdsim.components import FunctionBlock

from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import Elementwise


class Sqrt(Elementwise, FunctionBlock):
    """Square root: y = √u, element by element.

    One input and one output of the same width; of a negative element it is NaN, which ends a run
    with an error that names the block.

    Raises
    ------
    ShapeError
        At run, if the input is a matrix.
    """

    nin = 1
    nout = 1
    op = OPS["sqrt"]

    def __init__(self, **blockargs: Any) -> None:
        """Make a square root block.

        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        super().__init__(**blockargs)
