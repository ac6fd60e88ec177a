"""LEAKYRELU: the positive part of every element, and a little of the negative one."""

from __future__ import annotations

from typing import Any

from bdsim.components import FunctionBlock

from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import Elementwise, checked_number, label


class LeakyRelu(Elementwise, FunctionBlock):
    """Leaky rectified linear unit: y = u for u > 0, else slope·u, element by element.

    One input and one output of the same width, dimensionless.

    Parameters
    ----------
    slope : float, optional
        The slope for negative inputs.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If `slope` is not a finite number.
    ShapeError
        At run, if the input is a matrix.

    References
    ----------
    A. L. Maas, A. Y. Hannun and A. Y. Ng, Rectifier nonlinearities improve neural network
    acoustic models, ICML 2013.
    """

    nin = 1
    nout = 1
    op = OPS["leaky_relu"]

    def __init__(self, slope: float = 0.01, **blockargs: Any) -> None:
        """Make a leaky rectified linear unit block.

        :param slope: the slope for negative inputs, defaults to 0.01
        :type slope: float, optional
        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        where = label("LEAKYRELU", blockargs)
        slope = checked_number(slope, "slope", where)
        super().__init__(**blockargs)
        self.slope = slope
