"""The reference as users see it: a network's signals, checked and labelled as traces."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from lstmsim.base import InvalidTypeError, NonFiniteSignalError, precision, real_array
from lstmsim.blocks import sample_rows
from lstmsim.diagram import binding
from lstmsim.diagram.dimensions import network_dimension
from lstmsim.diagram.traces import dataset
from lstmsim.networks import Network, network_signals


def reference(network: Network, u: npt.ArrayLike, dtype: npt.DTypeLike = "float64") -> xr.Dataset:
    """Run a network in the independent vectorized reference, and label the result.

    Parameters
    ----------
    network : Network
        The network; its layers' h0 and c0 are the initial states.
    u : array_like of shape (T, Ni) or (B, T, Ni)
        One input, or a batch of B.
    dtype : dtype, optional
        Precision of the whole computation, "float64" or "float32".

    Returns
    -------
    xarray.Dataset
        Every signal, as `simulate` returns them, with a dimension `batch` before time for a
        batch.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If the input does not fit the network, or the precision is another one.
    NonFiniteSignalError
        If a signal overflows.
    """
    if not isinstance(network, Network):
        raise InvalidTypeError(
            "reference needs a network", given=type(network).__name__, expected="Network"
        )
    run_dtype = precision(dtype)
    array = real_array(u, "u", "the input of the network")
    array = array if array.ndim == 3 else sample_rows(array, "u", "the input of the network")
    if array.size == 0 or array.shape[-1] != network.n_inputs:
        raise binding.wrong_input(array, network.n_inputs, "the network")
    with np.errstate(all="ignore"):
        signals = network_signals(network, array, run_dtype)
    for name, values in signals.items():
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            sample = int(bad[:, -2].min())
            at = f"signal {name!r} of the reference"
            raise NonFiniteSignalError.at(at, sample, values[..., sample, :])
    finals = {}
    for layer, prefix in zip(network.layers, network.prefixes, strict=True):
        for state in layer.initial_states.values():
            finals[f"{prefix}{state}_prev"] = signals[f"{prefix}{state}"][..., -1, :]
    dimensions = {name: network_dimension(name) for name in signals}
    if network.head is None:
        dimensions["y"] = dimensions[f"{network.prefixes[-1]}h"]
    return dataset(signals, dimensions, finals=finals, Ts=network.Ts, engine="reference")
