"""HARDSIGMOID: a sigmoid of straight pieces, of every element."""

from __future__ import annotations

from typing import Any

from bdsim.components import FunctionBlock

from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import Elementwise, checked_number, label


class HardSigmoid(Elementwise, FunctionBlock):
    """Hard sigmoid: y = min(max(slope·u + offset, 0), 1), element by element.

    One input and one output of the same width, dimensionless.

    Parameters
    ----------
    slope : float, optional
        The slope between the bounds: 1/6 as in PyTorch and Keras 3; Keras 2 and ONNX have 0.2.
    offset : float, optional
        The output at zero input.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If `slope` and `offset` is not a finite number.
    ShapeError
        At run, if the input is a matrix.

    References
    ----------
    M. Courbariaux, Y. Bengio and J.-P. David, BinaryConnect, NIPS 2015.
    """

    nin = 1
    nout = 1
    op = OPS["hard_sigmoid"]

    def __init__(self, slope: float = 1 / 6, offset: float = 0.5, **blockargs: Any) -> None:
        """Make a hard sigmoid block.

        :param slope: the slope between the bounds, defaults to 0.16666666666666666
        :type slope: float, optional
        :param offset: the output at zero input, defaults to 0.5
        :type offset: float, optional
        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        where = label("HARDSIGMOID", blockargs)
        slope = checked_number(slope, "slope", where)
        offset = checked_number(offset, "offset", where)
        super().__init__(**blockargs)
        self.slope = slope
        self.offset = offset
