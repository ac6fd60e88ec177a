"""RELU: the positive part of every element."""

from __future__ import annotations

from typing import Any

from bdsim.components import FunctionBlock

from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import Elementwise


class Relu(Elementwise, FunctionBlock):
    """Rectified linear unit: y = max(u, 0), element by element.

    One input and one output of the same width, dimensionless.  The slope at 0 is taken as 0.

    Raises
    ------
    ShapeError
        At run, if the input is a matrix.

    References
    ----------
    X. Glorot, A. Bordes and Y. Bengio, Deep sparse rectifier neural networks, AISTATS 2011.
    """

    nin = 1
    nout = 1
    op = OPS["relu"]

    def __init__(self, **blockargs: Any) -> None:
        """Make a rectified linear unit block.

        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        super().__init__(**blockargs)
