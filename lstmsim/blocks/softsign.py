"""SOFTSIGN: a sigmoid without an exponential, of every element."""

from __future__ import annotations

from typing import Any

from bdsim.components import FunctionBlock

from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import Elementwise


class Softsign(Elementwise, FunctionBlock):
    """Softsign: y = u / (1 + |u|), element by element.

    One input and one output of the same width, dimensionless; the output is in (−1, 1).

    Raises
    ------
    ShapeError
        At run, if the input is a matrix.

    References
    ----------
    X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural
    networks, AISTATS 2010.
    """

    nin = 1
    nout = 1
    op = OPS["softsign"]

    def __init__(self, **blockargs: Any) -> None:
        """Make a softsign block.

        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        super().__init__(**blockargs)
