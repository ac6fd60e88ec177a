"""Traces: labelled arrays of signals.

Traces are an `xarray.Dataset` with one variable a signal, of shape (time, width).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lstmsim._version import __version__
from lstmsim.base import InvalidTypeError, InvalidValueError, check_names

if TYPE_CHECKING:
    import xarray as xr

#: Single-precision tolerance: |a − b| ≤ ATOL + RTOL·|b|.
ATOL = 1e-6
RTOL = 1e-5


def dataset(
    signals: Mapping[str, npt.NDArray[Any]],
    dimensions: Mapping[str, str],
    *,
    finals: Mapping[str, npt.NDArray[Any]],
    start: int = 0,
    Ts: float,
    engine: str,
) -> xr.Dataset:
    """Label arrays as traces.

    Parameters
    ----------
    signals : mapping of ndarray of shape (T, width) or (B, T, width)
        By signal name.
    dimensions : mapping of str
        The dimension of each signal, and of each final state under its block's name.
    finals : mapping of ndarray of shape (width,) or (B, width)
        The state of every delay after the last sample, by block name.
    start : int, optional
        Number of the first sample on the time axis.
    Ts : float
        Sample time in seconds.
    engine : str
        What computed them.
    """
    import xarray as xr

    any_signal = next(iter(signals.values()))
    batch = ("batch",) if any_signal.ndim == 3 else ()
    samples = any_signal.shape[-2]
    variables: dict[str, Any] = {
        name: ((*batch, "time", dimensions[name]), array) for name, array in signals.items()
    }
    for name, array in finals.items():
        variables[f"{name}_final"] = ((*batch, dimensions[name]), array)
    time = (np.arange(samples) + start) * Ts
    return xr.Dataset(
        variables,
        coords={"time": ("time", time, {"units": "s", "long_name": "time"})},
        attrs={
            "Ts": Ts,
            "engine": engine,
            "dtype": str(any_signal.dtype),
            "version": __version__,
            # So that traces that were cut are not taken for ones whose states are at their end.
            "samples_done": start + samples,
        },
    )


def signal_names(traces: xr.Dataset) -> list[str]:
    """Return the names of the signals in traces, final states left out."""
    return [str(name) for name, array in traces.data_vars.items() if "time" in array.dims]


def check_is_traces(traces: Any, name: str = "traces") -> xr.Dataset:
    """Return traces, or refuse what is none."""
    import xarray as xr

    if isinstance(traces, xr.Dataset) and traces.sizes.get("time", 0) > 0:
        return traces
    raise InvalidTypeError(
        f"{name} are not traces",
        given=type(traces).__name__
        + (f" with {dict(traces.sizes)}" if isinstance(traces, xr.Dataset) else ""),
        expected="an xarray.Dataset with at least one sample, as simulate and reference return",
    )


def select(names: Iterable[str], wanted: Iterable[str] | None) -> list[str]:
    """Return the wanted names in the order of all names, or refuse the unknown ones."""
    known = list(names)
    if wanted is None:
        return known
    chosen = [wanted] if isinstance(wanted, str) else list(wanted)
    mend = "look at the spelling, or leave the selection out for all"
    check_names(chosen, known, "signal", "signals", mend)
    if not chosen:
        raise InvalidValueError(
            "no signal is selected",
            where="signals",
            given="an empty selection",
            expected=f"some of: {', '.join(known)}",
            mend=mend,
        )
    return [name for name in known if name in chosen]
