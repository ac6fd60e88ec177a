"""Gains of the loops through each delay, along a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from bdsim.blockdiagram import BlockDiagram

from lstmsim._version import __version__
from lstmsim.base import FloatArray
from lstmsim.dynamics.gains.products import norms
from lstmsim.dynamics.linearization.compose import labels, state_matrix
from lstmsim.dynamics.linearization.kinks import described, warn
from lstmsim.dynamics.linearization.points import signals_along_run
from lstmsim.dynamics.linearization.step import Signals, Step, step_of

#: Blocks of the step's Jacobian: by the delay that is changed, and by the delay that it is fed.
Blocks = dict[tuple[str, str], FloatArray]


def loop_gains(diagram: BlockDiagram, traces: xr.Dataset) -> xr.Dataset:
    """Return the gains of the feedback loops along a run.

    With x_d the output of delay d, the gain from delay e to delay d is the block
    ∂x_d(k+1)/∂x_e(k) of the Jacobian of sample k.  From a delay to itself it is the gain of its
    own loop, all other delays opened.  Of an LSTM layer that of the cell state, the inner loop,
    is diag f; that of the hidden state, the outer loop, is ∂h/∂h⁻.

    Parameters
    ----------
    diagram : BlockDiagram
        With at least one delay, of blocks that `compile` takes.
    traces : Dataset
        A run of it, as for `linearize`.

    Returns
    -------
    xarray.Dataset
        ``gains["h_prev to c_prev"]``, one matrix a sample for every pair of delays;
        ``loop_norm`` and ``loop_radius`` (time, delay), the largest singular value and the
        spectral radius of each own loop; ``spectral_radius`` (time) and ``singular_values``
        (time, mode) of the whole step, all loops closed.  The coordinate ``signal`` of a delay
        is the signal that it stores.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If the traces are not of this diagram, or lack a delay or a source.
    DiagramError
        If the diagram does not compile, or has no delay.

    Examples
    --------
    >>> import lstmsim as ls
    >>> network, u = ls.published.layer_example()
    >>> diagram = ls.build(network)
    >>> traces = ls.simulate(diagram, u)
    >>> gains = ls.loop_gains(diagram, traces)
    >>> inner = gains["c_prev to c_prev"][7].values
    >>> [f"{value:.4f}" for value in inner.diagonal()]  # the forget gate
    ['0.8697', '0.8901', '0.7287']
    >>> float(gains.loop_norm.sel(delay="c_prev").max()) < 1 < float(gains.spectral_radius.max())
    True

    Notes
    -----
    Where a slope jumps a `UserWarning` says so, and ``attrs["nonsmooth"]``, as of `linearize`.
    """
    gains = gains_along(diagram, traces)
    warn(gains.attrs["nonsmooth"])
    return gains


def gains_along(diagram: BlockDiagram, traces: xr.Dataset) -> xr.Dataset:
    """Return what `loop_gains` returns, without a warning."""
    step, signals, kinks = run_of(diagram, traces, "loop_gains")
    A = state_matrix(step, signals, traces.sizes["time"])
    blocks = split(step, A)
    variables: dict[str, Any] = {
        f"{e} to {d}": (("time", f"{d}_next_element", f"{e}_element"), block)
        for (e, d), block in blocks.items()
    }
    loops = [blocks[d, d] for d in step.states]
    variables["loop_norm"] = (("time", "delay"), np.stack([norms(b) for b in loops], axis=1))
    variables["loop_radius"] = (("time", "delay"), np.stack([radii(b) for b in loops], axis=1))
    variables["spectral_radius"] = (("time",), radii(A))
    variables["singular_values"] = (("time", "mode"), np.linalg.svd(A, compute_uv=False))
    return xr.Dataset(
        variables,
        coords=coordinates(step, traces) | {"mode": np.arange(1, A.shape[1] + 1)},
        attrs={"Ts": step.graph.Ts, "nonsmooth": kinks, "version": __version__},
    )


def run_of(diagram: BlockDiagram, traces: xr.Dataset, caller: str) -> tuple[Step, Signals, str]:
    """Return the sample map of a diagram with delays, all signals of a run, and its kinks."""
    step = step_of(diagram)
    step.check_has_states(caller, "feedback loops")
    signals = signals_along_run(step, traces)
    return step, signals, described(step, signals, traces.sizes["time"])


def split(step: Step, A: FloatArray) -> Blocks:
    """Return the blocks of A, by the delay that is changed and the one that is fed."""
    borders = np.cumsum([0, *step.states.values()])
    parts = {name: slice(borders[k], borders[k + 1]) for k, name in enumerate(step.states)}
    return {(e, d): A[:, parts[d], parts[e]] for d in parts for e in parts}


def radii(matrices: FloatArray) -> FloatArray:
    """Return the spectral radius of each matrix."""
    return np.asarray(np.abs(np.linalg.eigvals(matrices)).max(axis=1))


def coordinates(step: Step, traces: xr.Dataset) -> dict[str, Any]:
    """Return the labels of samples, delays and their elements."""
    elements: dict[str, Any] = {}
    for name, width in step.states.items():
        elements[f"{name}_element"] = list(labels({name: width}))
        elements[f"{name}_next_element"] = list(labels({name: width}))
    return {
        "time": traces.time,
        "delay": list(step.states),
        "signal": ("delay", [step.driver(name) for name in step.states]),
        **elements,
    }
