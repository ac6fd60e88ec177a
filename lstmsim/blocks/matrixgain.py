"""MATRIXGAIN: a matrix times a vector."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from bdsim.components import FunctionBlock

from lstmsim.base import real_matrix
from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import check_width, label, signal


class MatrixGain(FunctionBlock):
    """Matrix gain: y = K u, the matrix on the left of the column vector.

    bdsim's own GAIN computes u K unless told otherwise; this block never does.

    Parameters
    ----------
    K : array_like of shape (m, n), optional
        The gain; a number is taken as a 1 × 1 matrix.

    Raises
    ------
    ShapeError
        If `K` is not a matrix; at run, if the input does not have n elements.
    InvalidTypeError, InvalidValueError
        If `K` holds anything but finite real numbers.
    """

    nin = 1
    nout = 1
    op = OPS["matvec"]

    def __init__(self, K: npt.ArrayLike = 1.0, **blockargs: Any) -> None:
        """Make a matrix gain block.

        :param K: the gain matrix, one row an output element, defaults to 1
        :type K: array_like, optional
        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        gain = real_matrix(K, "K", label("MATRIXGAIN", blockargs))
        super().__init__(**blockargs)
        self.K = gain

    def op_parameters(self) -> dict[str, Any]:
        """Return the operation's parameters: K."""
        return {"K": self.K}

    def output(self, t: float, u: list[Any], x: Any) -> list[npt.NDArray[np.float64]]:
        """Return K u."""
        value = signal(u[0], self, 0)
        if value.shape[0] != self.K.shape[1]:
            check_width(value, self.K.shape[1], self, 0, f"K has shape {self.K.shape}")
        return [self.op.forward((value,), {"K": self.K})]
