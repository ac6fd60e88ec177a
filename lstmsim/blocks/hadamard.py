"""HADAMARD: the element-wise product of vectors."""

from __future__ import annotations

from typing import Any

from bdsim.components import FunctionBlock

from lstmsim.base import whole_number
from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import Elementwise, label


class Hadamard(Elementwise, FunctionBlock):
    """Element-wise product: y = u₀ ⊙ u₁ ⊙ … of two or more vectors of one width.

    bdsim's own PROD multiplies vectors as matrices, into a scalar; this block does not.

    Parameters
    ----------
    nin : int, optional
        Number of inputs, at least 2.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If `nin` is not a whole number of at least 2.
    ShapeError
        At run, if the inputs differ in width or one is a matrix.

    References
    ----------
    R. A. Horn and C. R. Johnson, Matrix Analysis, Cambridge 2013, section 7.5.
    """

    nin = 2
    nout = 1
    op = OPS["multiply"]

    def __init__(self, nin: int = 2, **blockargs: Any) -> None:
        """Make an element-wise product block.

        :param nin: number of inputs, defaults to 2
        :type nin: int, optional
        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        where = label("HADAMARD", blockargs)
        super().__init__(nin=whole_number(nin, "nin", where, 2, floats=True), **blockargs)
