"""Losses: what `loss_and_gradient` differentiates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lstmsim.base import (
    Array,
    InvalidTypeError,
    InvalidValueError,
    ShapeError,
    in_precision,
    real_array,
)

Loss = str | Callable[[Array], tuple[float, Array]]

#: Numbers of which an array stays in the cache.
IN_CACHE = 2**13


def check_loss(
    loss: str, target: npt.ArrayLike | None, shape: tuple[int, ...], dtype: Any
) -> Array:
    """Return the target of a loss in the outputs' shape and precision.

    Raises
    ------
    InvalidValueError, ShapeError
        If there is no such loss, or the target does not fit the outputs.
    """
    if loss not in LOSSES:
        raise InvalidValueError(
            "there is no loss of this name",
            where="loss",
            given=repr(loss),
            expected=f"{', '.join(map(repr, LOSSES))}, or a function of the outputs",
        )
    if type(target) is np.ndarray and target.dtype == dtype and target.shape == shape:
        return target  # its NaN, if there is one, is found in the loss
    array = None if target is None else real_array(target, "the target")
    if array is None or array.shape != shape:
        raise ShapeError(
            "the target does not fit the outputs",
            where="target",
            given="no target" if array is None else f"shape {array.shape}",
            expected=f"shape {shape}",
        )
    return in_precision(array, dtype, "the target")


def mean_square(y: Array, target: Array, size: int, out: Array, factor: float = 2.0) -> float:
    """Return the part of a mean square that some samples are, and write its derivatives.

    Sums of so many squares as stay in the cache are in the outputs' precision, theirs in double.

    Parameters
    ----------
    y, target : ndarray of shape (T, No)
        Samples of the outputs, and what they should be.
    size : int
        Of how many numbers it is the mean.
    out : ndarray of shape (T, No)
        Where its derivatives by the outputs are written.
    factor : float, optional
        dL/dy is this factor times the error, divided by the size: 2 for the whole mean.
    """
    factor /= size
    total, rows = 0.0, max(1, IN_CACHE // y.shape[1])
    for first in range(0, len(y), rows):
        part = slice(first, first + rows)
        error = np.subtract(y[part], target[part])
        total += float(np.vdot(error, error))
        np.multiply(error, y.dtype.type(factor), out=out[part])
    return 0.5 * factor * total


def half_mean_square(y: Array, target: Array, size: int, out: Array) -> float:
    """Return half of what `mean_square` returns; the arguments are its own."""
    return mean_square(y, target, size, out, factor=1.0)


#: The losses by name, each called as `mean_square` is.  A loss is a sum over samples: it is
#: called with some of them at a time.
LOSSES: dict[str, Callable[[Array, Array, int, Array], float]] = {
    "mse": mean_square,
    "half_mse": half_mean_square,
}


@dataclass(frozen=True)
class TargetLoss:
    """A loss over all sequences, samples and outputs of a batch.

    Parameters
    ----------
    target : ndarray of shape (B, T, No)
        What the outputs should be.
    loss : str
        Its name in `LOSSES`.
    """

    target: Array
    loss: str

    def __call__(self, sequence: int, y: Array, part: slice, out: Array) -> float:
        """Return the part that some samples of a sequence are, and write its derivatives."""
        return LOSSES[self.loss](y, self.target[sequence, part], self.target.size, out)


@dataclass(frozen=True)
class GivenDerivatives:
    """A loss that is known already, with its derivatives by the outputs.

    Parameters
    ----------
    bars : ndarray of shape (B, T, No)
        dL/dy.
    """

    bars: Array

    def __call__(self, sequence: int, y: Array, part: slice, out: Array) -> float:
        """Write the derivatives by some samples of a sequence."""
        np.copyto(out, self.bars[sequence, part])
        return 0.0


def given_loss(loss: Callable[[Array], tuple[float, Array]], y: Array) -> tuple[float, Array]:
    """Return the loss and the derivatives that a user's function computes from the outputs.

    Raises
    ------
    InvalidTypeError, ShapeError
        If it does not return two things, or its derivatives do not have the outputs' shape.
    """
    found: Any = loss(y)
    if not isinstance(found, tuple) or len(found) != 2:
        raise InvalidTypeError(
            "the loss does not return what is differentiated",
            where="loss",
            given=type(found).__name__,
            expected="a loss and its derivatives dL/dy, of the outputs' shape",
        )
    value, bar = found[0], np.asarray(found[1], y.dtype)
    if bar.shape != y.shape:
        raise ShapeError(
            "the loss's derivatives do not fit the outputs",
            where="loss",
            given=f"dL/dy of shape {bar.shape}",
            expected=f"shape {y.shape}",
        )
    return float(value), bar
