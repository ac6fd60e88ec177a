"""The reference as users see it: a network's signals, checked and labelled as traces."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from lstmsim.base import InvalidTypeError, NonFiniteSignalError, precision
from lstmsim.diagram.dimensions import network_dimension
from lstmsim.diagram.inputs import Interface, Source, sequences
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
    interface = Interface({"u": Source("the network", network.n_inputs)}, {}, network.Ts)
    given = sequences(interface, u, dtype=run_dtype)
    array = np.stack([own["u"] for own in given.inputs])
    with np.errstate(all="ignore"):
        signals = network_signals(network, array if given.batched else array[0], run_dtype)
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
