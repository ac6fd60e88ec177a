"""SOFTMAX: positive numbers that sum to one."""

from __future__ import annotations

from typing import Any

from bdsim.components import FunctionBlock

from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import OfOneWidth


class Softmax(OfOneWidth, FunctionBlock):
    """Softmax: yⱼ = exp(uⱼ) / Σ exp(uᵢ), over the elements of each sample.

    One input and one output of the same width, dimensionless; the outputs are in [0, 1], and
    their sum is 1.  Inputs of any size do not overflow.

    Raises
    ------
    ShapeError
        At run, if the input is a matrix.

    References
    ----------
    I. Goodfellow, Y. Bengio and A. Courville, Deep Learning, MIT Press 2016, section 6.2.2.3.
    """

    nin = 1
    nout = 1
    op = OPS["softmax"]

    def __init__(self, **blockargs: Any) -> None:
        """Make a softmax block.

        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        super().__init__(**blockargs)
