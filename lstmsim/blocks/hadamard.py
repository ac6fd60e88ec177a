"""HADAMARD: the element-wise product of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from bdsim.components import FunctionBlock

from lstmsim.base import whole_number
from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import check_width, label, signal


class Hadamard(FunctionBlock):
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

    def op_parameters(self) -> dict[str, Any]:
        """Return the operation's parameters: none."""
        return {}

    def output(self, t: float, u: list[Any], x: Any) -> list[npt.NDArray[np.float64]]:
        """Return u₀ ⊙ u₁ ⊙ …."""
        inputs = tuple(signal(value, self, port) for port, value in enumerate(u))
        width = inputs[0].shape[0]
        for port, value in enumerate(inputs):
            check_width(value, width, self, port, f"input port 0 has {width}")
        return [self.op.forward(inputs, {})]
