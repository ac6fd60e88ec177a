"""Losses: what `loss_and_gradient` differentiates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from lstmsim.arrays import real_array
from lstmsim.errors import InvalidValueError, ShapeError

Array = npt.NDArray[Any]
Loss = str | Callable[[Array], tuple[float, Array]]

#: dL/dy of a mean square is this factor times the error, divided by its size.
MEAN_SQUARES = {"mse": 2.0, "half_mse": 1.0}
#: Numbers of which an array in double precision stays in the cache.
IN_CACHE = 2**14


def check_loss(
    loss: Loss, target: npt.ArrayLike | None, shape: tuple[int, ...], dtype: Any
) -> Array | None:
    """Return the target of a mean square in the outputs' shape, None where a function is given.

    Raises
    ------
    InvalidValueError, ShapeError
        If there is no such loss, or the target does not fit the outputs.
    """
    if callable(loss):
        return None
    if loss not in MEAN_SQUARES:
        raise InvalidValueError(
            "there is no loss of this name",
            where="loss",
            given=repr(loss),
            expected='"mse", "half_mse", or a function of the outputs',
        )
    if target is None or np.shape(target) != shape:
        raise ShapeError(
            "the target does not fit the outputs",
            where="target",
            given="no target" if target is None else f"shape {np.shape(target)}",
            expected=f"shape {shape}",
        )
    if type(target) is np.ndarray and target.dtype == dtype:
        return target  # its NaN, if there is one, is found in the loss
    return real_array(target, "the target").astype(dtype, copy=False)


def mean_square(y: Array, target: Array, loss: str, size: int, out: Array) -> float:
    """Return the part of a mean square that some samples are, computed in double precision.

    Parameters
    ----------
    y, target : ndarray of shape (T, No)
        Samples of the outputs, and what they should be.
    loss : str
        "mse" or "half_mse".
    size : int
        Of how many numbers it is the mean.
    out : ndarray of shape (T, No)
        Where its derivatives by the outputs are written.
    """
    factor = MEAN_SQUARES[loss] / size
    total, rows = 0.0, max(1, IN_CACHE // y.shape[1])
    for first in range(0, len(y), rows):
        part = slice(first, first + rows)
        error = np.subtract(y[part], target[part], dtype=np.float64)
        total += float(np.vdot(error, error))
        np.multiply(error, factor, out=out[part], casting="same_kind")
    return 0.5 * factor * total


def given_loss(loss: Callable[[Array], tuple[float, Array]], y: Array) -> tuple[float, Array]:
    """Return what a user's function says of the outputs.

    Raises
    ------
    ShapeError
        If its derivatives do not have the outputs' shape.
    """
    value, bar = loss(y)
    bar = np.asarray(bar, y.dtype)
    if bar.shape != y.shape:
        raise ShapeError(
            "the loss's derivatives do not fit the outputs",
            where="loss",
            given=f"dL/dy of shape {bar.shape}",
            expected=f"shape {y.shape}",
        )
    return float(value), bar
