"""DOT: the scalar product of two vectors."""

from __future__ import annotations

from typing import Any

from bdsim.components import FunctionBlock

from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import OfOneWidth


class Dot(OfOneWidth, FunctionBlock):
    """Scalar product: y = Σ uⱼ vⱼ of two vectors of one width; y has one element.

    Raises
    ------
    ShapeError
        At run, if the inputs differ in width or one is a matrix.

    References
    ----------
    G. H. Golub and C. F. Van Loan, Matrix Computations, Johns Hopkins 2013, section 1.1.3.
    """

    nin = 2
    nout = 1
    op = OPS["dot"]

    def __init__(self, **blockargs: Any) -> None:
        """Make a scalar product block.

        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        super().__init__(**blockargs)
