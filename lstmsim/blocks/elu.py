"""ELU: the positive part of every element, and a saturating negative one."""

from __future__ import annotations

from typing import Any

from bdsim.components import FunctionBlock

from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import Elementwise, checked_number, label


class Elu(Elementwise, FunctionBlock):
    """Exponential linear unit: y = u for u > 0, else α (eᵘ − 1), element by element.

    One input and one output of the same width, dimensionless.

    Parameters
    ----------
    alpha : float, optional
        What −y tends to for large negative inputs.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If `alpha` is not a finite number.
    ShapeError
        At run, if the input is a matrix.

    References
    ----------
    D.-A. Clevert, T. Unterthiner and S. Hochreiter, Fast and accurate deep network learning by
    exponential linear units (ELUs), ICLR 2016.
    """

    nin = 1
    nout = 1
    op = OPS["elu"]

    def __init__(self, alpha: float = 1.0, **blockargs: Any) -> None:
        """Make an exponential linear unit block.

        :param alpha: what −y tends to for large negative inputs, defaults to 1
        :type alpha: float, optional
        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        where = label("ELU", blockargs)
        alpha = checked_number(alpha, "alpha", where)
        super().__init__(**blockargs)
        self.alpha = alpha
