"""The dense layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy.typing as npt

from lstmsim.base import FloatArray, ShapeError, count, real_matrix, real_vector
from lstmsim.networks.layer import Layer


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Dense(Layer):
    """A fully connected layer without states: y = F x + bias.

    Parameters
    ----------
    F : array_like of shape (No, N)
        Gain.
    bias : array_like of shape (No,), optional
        Bias; none if not given.

    Raises
    ------
    ShapeError
        If the bias does not have one element a row of F.
    InvalidTypeError, InvalidValueError
        If an array holds anything but finite real numbers.

    Examples
    --------
    >>> Dense([[1.0, 2.0, 3.0]])
    Dense(1 output, 3 inputs, 3 parameters)
    """

    workspace_names: ClassVar[Mapping[str, str]] = {"F": "F", "bias": "bF"}
    optional: ClassVar[tuple[str, ...]] = ("bias",)

    F: FloatArray
    bias: FloatArray | None

    def __init__(self, F: npt.ArrayLike, bias: npt.ArrayLike | None = None) -> None:
        gain = real_matrix(F, "F", "the dense layer")
        vector = None if bias is None else real_vector(bias, "bias", "the dense layer")
        if vector is not None and len(vector) != len(gain):
            raise ShapeError(
                "the bias does not fit the gain",
                where="the dense layer",
                given=f"bias of shape {vector.shape}, F of shape {gain.shape}",
                expected=f"{count(len(gain), 'element')}, one a row of F",
                mend="F is (No, N), bias (No,)",
            )
        object.__setattr__(self, "F", gain)
        object.__setattr__(self, "bias", vector)

    @property
    def n_inputs(self) -> int:
        """Width of the input."""
        return int(self.F.shape[1])

    @property
    def n_outputs(self) -> int:
        """Width No of the output."""
        return int(self.F.shape[0])
