"""TANH: the hyperbolic tangent of every element."""

from __future__ import annotations

from typing import Any

from bdsim.components import FunctionBlock

from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import Elementwise


class Tanh(Elementwise, FunctionBlock):
    """Hyperbolic tangent: y = tanh(u) = (eᵘ − e⁻ᵘ) / (eᵘ + e⁻ᵘ), element by element.

    One input and one output of the same width, dimensionless; the output is in [−1, 1].

    Raises
    ------
    ShapeError
        At run, if the input is a matrix.

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning, Springer 2006, eq. (5.59).
    """

    nin = 1
    nout = 1
    op = OPS["tanh"]

    def __init__(self, **blockargs: Any) -> None:
        """Make a hyperbolic tangent block.

        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        super().__init__(**blockargs)
