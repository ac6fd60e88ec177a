"""How gradients flow through a run: one sample, and many."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr
from bdsim.blockdiagram import BlockDiagram

from lstmsim._version import __version__
from lstmsim.base import FloatArray, whole_number
from lstmsim.dynamics.gains.loops import Blocks, coordinates, run_of, split
from lstmsim.dynamics.gains.products import Scaled, norms
from lstmsim.dynamics.linearization.compose import jacobians, labels, state_matrix
from lstmsim.dynamics.linearization.kinks import warn
from lstmsim.dynamics.linearization.step import Signals, Step


def gradient_flow(
    diagram: BlockDiagram, traces: xr.Dataset, *, start: int = 0, end: int | None = None
) -> xr.Dataset:
    """Return the derivatives of a run's last states with respect to all earlier ones, by delay.

    Delay d stores s_d(k), for an LSTM's delays c and h, and puts it out as x_d(k+1).  With the
    blocks A_de(k) = ∂s_d(k)/∂x_e(k) of the step's Jacobian A(k), and M_ed(k) = ∂s_e(k)/∂s_d(k)
    within a sample (∂h/∂c = o (1 − tanh² c), and M_dd = I), the derivative over one sample is

        ∂s_d(k)/∂s_d(k−1) = A_dd(k) + Σ A_de(k) M_ed(k−1), e ≠ d:

    the direct term, through the delay's own loop alone (the forget gate), and those through each
    other delay.  Over many samples it is the row of d in A(T) … A(t+1), times the M_ed(t) of all
    e below one another.  It contains every path from s_d(t) to s_d(T).  The product of one-sample
    derivatives is another number: it leaves out the paths through other delays' memory.

    Parameters
    ----------
    diagram : BlockDiagram
        With at least one delay, of blocks that `compile` takes.
    traces : Dataset
        A run of it, as for `linearize`.
    start, end : int, optional
        The samples t of the changes begin at start; T is end.  All of the traces if not given.

    Returns
    -------
    xarray.Dataset
        By delay, with ``signal`` the name of what it stores, and over time:

        - ``log_norm``, ln ‖∂s_d(T)/∂s_d(t)‖ for every t, and ``log_norm_own``, that of the
          product of the own loop's gains A_dd(T) … A_dd(t+1) alone (the forget gates');
        - ``total``, ``direct`` and ``through`` (also by ``via``, the delay e), norms of the
          derivative over the one sample before and of its terms; the matrices themselves are
          ``"total c_prev"``, ``"direct c_prev"``, ``"c_prev through h_prev"``, and so on.  Before
          the first sample of the traces there is none: NaN;
        - ``transition``·exp(``log_scale``) is A(T) … A(start+1).

        Norms are largest singular values.  Products are scaled as they grow: no norm overflows
        or underflows, and −∞ stands for zero alone.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If the traces are not of this diagram, lack a delay or a source, or have no such samples.
    DiagramError
        If the diagram does not compile, or has no delay.

    Examples
    --------
    >>> import lstmsim as ls
    >>> network, u = ls.published.layer_example()
    >>> diagram = ls.build(network)
    >>> flow = ls.gradient_flow(diagram, ls.simulate(diagram, u))
    >>> flow.log_norm.sel(delay="h_prev").values[[0, 50]].round(1) + 0.0
    array([-13.2,   0. ])

    Notes
    -----
    Where a slope jumps a `UserWarning` says so, and ``attrs["nonsmooth"]``, as of `linearize`.

    References
    ----------
    R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural
    networks", ICML 2013.
    """
    flow = flow_along(diagram, traces, start, end)
    warn(flow.attrs["nonsmooth"])
    return flow


def flow_along(
    diagram: BlockDiagram, traces: xr.Dataset, start: int = 0, end: int | None = None
) -> xr.Dataset:
    """Return what `gradient_flow` returns, without a warning."""
    step, signals, kinks = run_of(diagram, traces, "gradient_flow")
    samples = traces.sizes["time"]
    first, last = _range(start, end, samples)
    A = state_matrix(step, signals, samples)
    within = _within(step, signals, samples)
    blocks = split(step, A)
    part = slice(first, last + 1)
    variables = _one_sample(step, blocks, within, part)
    rows = {d: _over_many(step, A, within[d], d, first, last) for d in step.states}
    alone = {d: _log_norms(blocks[d, d], first, last) for d in step.states}
    variables["log_norm"] = (("delay", "time"), [rows[d][0] for d in step.states])
    variables["log_norm_own"] = (("delay", "time"), [alone[d] for d in step.states])
    values, scale = _stacked([rows[d][1] for d in step.states])
    variables["transition"] = (("state_next", "state"), values)
    variables["log_scale"] = ((), scale)
    names = list(labels(step.states))
    return xr.Dataset(
        variables,
        coords=coordinates(step, traces.isel(time=part))
        | {"via": list(step.states), "state_next": names, "state": names},
        attrs={
            "Ts": step.graph.Ts,
            "start": first,
            "end": last,
            "nonsmooth": kinks,
            "version": __version__,
        },
    )


def _range(start: Any, end: Any, samples: int) -> tuple[int, int]:
    first = whole_number(start, "start", "gradient_flow", 0, samples - 1)
    last = samples - 1 if end is None else end
    return first, whole_number(last, "end", "gradient_flow", first, samples - 1)


def _within(step: Step, signals: Signals, samples: int) -> dict[str, FloatArray]:
    """Return ∂(s of all delays)/∂s_d within a sample, by delay d, (S, n, width of d)."""
    drivers = {name: step.driver(name) for name in step.states}
    composed = jacobians(step, signals, drivers.values(), drivers.values())
    n = sum(step.states.values())
    stacked = {}
    for d, width in step.states.items():
        column, top = np.zeros((samples, n, width)), 0
        for e, height in step.states.items():
            block = composed[drivers[e]].get(drivers[d])
            if block is not None:
                column[:, top : top + height] = block.dense
            top += height
        stacked[d] = column
    return stacked


def _one_sample(
    step: Step, blocks: Blocks, within: dict[str, FloatArray], part: slice
) -> dict[str, Any]:
    """Return the derivative over one sample, its terms, and their norms."""
    variables: dict[str, Any] = {}
    total_norms, direct_norms, through_norms = [], [], []
    borders = np.cumsum([0, *step.states.values()])
    for d in step.states:
        dims = ("time", f"{d}_next_element", f"{d}_element")
        direct = blocks[d, d]
        total, norms_via = direct.copy(), []
        total[0] = np.nan
        for k, e in enumerate(step.states):
            term = np.full(direct.shape, np.nan)
            before = within[d][:-1, borders[k] : borders[k + 1]]
            term[1:] = blocks[e, d][1:] @ before if e != d else 0
            norms_via.append(_norms(term[part]))
            if e != d:
                variables[f"{d} through {e}"] = (dims, term[part])
                total[1:] += term[1:]
        variables[f"total {d}"] = (dims, total[part])
        variables[f"direct {d}"] = (dims, direct[part])
        total_norms.append(_norms(total[part]))
        direct_norms.append(_norms(direct[part]))
        through_norms.append(norms_via)
    variables["total"] = (("delay", "time"), total_norms)
    variables["direct"] = (("delay", "time"), direct_norms)
    variables["through"] = (("delay", "via", "time"), through_norms)
    return variables


def _norms(matrices: FloatArray) -> FloatArray:
    known = np.isfinite(matrices).all(axis=(1, 2))
    found = np.full(len(matrices), np.nan)
    found[known] = norms(matrices[known])
    return found


def _over_many(
    step: Step, A: FloatArray, within: FloatArray, delay: str, first: int, last: int
) -> tuple[FloatArray, Scaled]:
    """Return ln ‖∂s(last)/∂s(t)‖ for every t, and the delay's rows of A(last) … A(first+1)."""
    names = list(step.states)
    at = sum(step.states[name] for name in names[: names.index(delay)])
    product = Scaled.of(np.eye(A.shape[1])[at : at + step.states[delay]])
    found = np.empty(last - first + 1)
    for t in range(last, first - 1, -1):
        found[t - first] = product.times(within[t]).log_norm
        if t > first:
            product = product.times(A[t])
    return found, product


def _log_norms(gains: FloatArray, first: int, last: int) -> FloatArray:
    """Return ln ‖gains(last) … gains(t+1)‖ for every t."""
    product = Scaled.of(np.eye(gains.shape[1]))
    found = np.empty(last - first + 1)
    for t in range(last, first - 1, -1):
        found[t - first] = product.log_norm
        if t > first:
            product = product.times(gains[t])
    return found


def _stacked(parts: list[Scaled]) -> tuple[FloatArray, float]:
    """Return matrices below one another, and the logarithm of their common scale."""
    scale = max(part.log_scale for part in parts)
    if scale == -math.inf:
        return np.concatenate([np.zeros_like(part.values) for part in parts]), 0.0
    return np.concatenate([p.mantissa * math.exp(p.log_scale - scale) for p in parts]), scale
