"""VECTORGAIN: one factor for every element."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from bdsim.components import FunctionBlock

from lstmsim.base import real_vector
from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import check_width, label, signal


class VectorGain(FunctionBlock):
    """Element-wise gain: y = K ⊙ u, one factor for every element.

    bdsim's own GAIN multiplies two vectors as matrices, into a scalar; this block does not.

    Parameters
    ----------
    K : array_like of shape (n,), optional
        The factors; a number is one factor for a signal of one element.

    Raises
    ------
    ShapeError
        If `K` is not a vector; at run, if the input does not have n elements.
    InvalidTypeError, InvalidValueError
        If `K` holds anything but finite real numbers.
    """

    nin = 1
    nout = 1
    op = OPS["scale"]

    def __init__(self, K: npt.ArrayLike = 1.0, **blockargs: Any) -> None:
        """Make an element-wise gain block.

        :param K: the factors, one an element, defaults to 1
        :type K: array_like, optional
        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        gain = real_vector(K, "K", label("VECTORGAIN", blockargs))
        super().__init__(**blockargs)
        self.K = gain

    def op_parameters(self) -> dict[str, Any]:
        """Return the operation's parameters: k."""
        return {"k": self.K}

    def output(self, t: float, u: list[Any], x: Any) -> list[npt.NDArray[np.float64]]:
        """Return K ⊙ u."""
        value = signal(u[0], self, 0)
        check_width(value, self.K.shape[0], self, 0, f"K has shape {self.K.shape}")
        return [self.op.forward((value,), {"k": self.K})]
