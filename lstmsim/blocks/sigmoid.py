"""SIGMOID: the logistic function of every element."""

from __future__ import annotations

from typing import Any

from bdsim.components import FunctionBlock

from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import Elementwise


class Sigmoid(Elementwise, FunctionBlock):
    """Logistic sigmoid: y = σ(u) = 1 / (1 + e⁻ᵘ), element by element.

    One input and one output of the same width, dimensionless; the output is in [0, 1].

    Raises
    ------
    ShapeError
        At run, if the input is a matrix.

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning, Springer 2006, eq. (4.59).
    """

    nin = 1
    nout = 1
    op = OPS["sigmoid"]

    def __init__(self, **blockargs: Any) -> None:
        """Make a sigmoid block.

        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        super().__init__(**blockargs)
