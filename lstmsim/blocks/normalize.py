"""NORMALIZE: each sample with mean 0 and variance 1."""

from __future__ import annotations

from typing import Any

from bdsim.components import FunctionBlock

from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import OfOneWidth


class Normalize(OfOneWidth, FunctionBlock):
    """Layer normalization: y = (u − mean u) / √(var u + 1e-5), over the elements of each sample.

    One input and one output of the same width; the output is dimensionless.  A gain and an offset
    are blocks that follow: VECTORGAIN, and a SUM with a CONSTANT.

    Raises
    ------
    ShapeError
        At run, if the input is a matrix.

    References
    ----------
    J. L. Ba, J. R. Kiros and G. E. Hinton, Layer normalization, arXiv:1607.06450, 2016.
    """

    nin = 1
    nout = 1
    op = OPS["normalize"]

    def __init__(self, **blockargs: Any) -> None:
        """Make a normalization block.

        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        super().__init__(**blockargs)
