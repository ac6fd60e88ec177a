"""What happened epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

FloatArray = npt.NDArray[np.float64]


@dataclass
class Record:
    """Room for the figures of every epoch, filled as training goes on.

    Parameters
    ----------
    loss, rate, validation : ndarray of shape (epochs,)
        Training loss, learning rate, and loss on the validation data.
    norms : ndarray of shape (epochs, arrays)
        L2 norm of each array's gradient, before clipping.
    """

    loss: FloatArray
    rate: FloatArray
    validation: FloatArray
    norms: FloatArray

    @classmethod
    def empty(cls, epochs: int, arrays: int) -> Record:
        """Return room for so many epochs and arrays."""
        one = [np.full(epochs, np.nan) for _ in range(3)]
        return cls(one[0], one[1], one[2], np.full((epochs, arrays), np.nan))


def dataset(record: Record, epochs: int, names: list[str], validated: bool) -> xr.Dataset:
    """Return the first epochs of a record as a labelled dataset."""
    over = {"loss": record.loss, "learning_rate": record.rate}
    said = {
        "loss": "training loss, of the weights that the epoch begins with",
        "learning_rate": "learning rate",
        "validation_loss": "loss on the validation data, of the weights that the epoch ends with",
        "gradient_norm": "L2 norm of the gradient before clipping",
    }
    if validated:
        over["validation_loss"] = record.validation
    variables: dict[str, Any] = {
        name: ("epoch", values[:epochs].copy(), {"long_name": said[name]})
        for name, values in over.items()
    }
    norms = record.norms[:epochs].copy()
    variables["gradient_norm"] = (
        ("epoch", "array"),
        norms,
        {"long_name": said["gradient_norm"]},
    )
    coordinates = {"epoch": np.arange(1, epochs + 1), "array": names}
    return xr.Dataset(variables, coords=coordinates)
