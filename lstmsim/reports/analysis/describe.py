"""The key numbers of a part's result, in a line."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import xarray as xr

from lstmsim.base import count
from lstmsim.dynamics import FixedPoints, LoopReport, sorted_eigenvalues

_GROUPS = 4
_DELAYS = 4


def describe_run(traces: xr.Dataset) -> str:
    """Return the run's length and engine."""
    Ts = float(traces.attrs["Ts"])
    return f"{count(traces.sizes['time'], 'sample')} of {Ts:g} s, run by {traces.attrs['engine']}"


def describe_loops(report: LoopReport) -> str:
    """Return the number of loops, by the delays that they pass."""
    if not report.groups:
        return "none"
    number = f"{len(report.loops):,}" + (" and more" if not report.complete else "")
    if len(report.groups) > _GROUPS:
        return f"{number}, in {len(report.groups)} groups by the delays that they pass"
    groups = [
        f"{len(g.loops):,} {'' if g.role == 'single' else g.role + ' '}through {g.name}"
        for g in report.groups
    ]
    return f"{number}: {', '.join(groups)}"


def describe_linearization(data: xr.Dataset) -> str:
    """Return the linearization's size, and its poles at the last sample."""
    sizes = [f"{count(data.sizes[name], name)}" for name in ("state", "input", "output")]
    size = ", ".join(sizes)
    if not data.sizes["state"]:
        return f"{size}: without states it has no poles"
    values = poles(data)
    inside = int((np.abs(values) < 1).sum())
    where = "all" if inside == len(values) else f"{inside} of {len(values)}"
    return (
        f"{size}; poles at the last sample: largest |λ| = {abs(values[0]):.4g}, {where} inside "
        "the unit circle"
    )


def describe_fixed_points(report: FixedPoints, where: str) -> str:
    """Return the numbers of fixed points by stability, and their largest eigenvalue."""
    if not report.points:
        return f"{where}: {report.summary[0].lower()}{report.summary[1:]}"
    kinds = [point.stability for point in report]
    parts = [f"{kinds.count(k)} {k}" for k in ("stable", "unstable", "marginal") if k in kinds]
    largest = max(point.spectral_radius for point in report)
    line = ", as it seems of a line or a surface of them" if report.continuous else ""
    return f"{where}: {', '.join(parts)}{line}; largest |λ| = {largest:.4g}"


def describe_gains(gains: xr.Dataset) -> str:
    """Return the largest gains."""
    radius = np.asarray(gains.spectral_radius, float)
    above = int((radius > 1).sum())
    own = [
        f"{delay} {float(gains.loop_norm.sel(delay=delay).max()):.4g}"
        for delay in gains.delay.values[:_DELAYS]
    ] + ["…"] * (gains.sizes["delay"] > _DELAYS)
    return (
        f"largest norm of each delay's own loop: {', '.join(own)}; spectral radius of a sample, "
        f"all loops closed, {radius.min():.4g} to {radius.max():.4g}, above 1 at {above} of "
        f"{count(len(radius), 'sample')}"
    )


def describe_flow(flow: xr.Dataset) -> str:
    """Return the gradients of the last states by the first ones."""
    if flow.sizes["time"] < 2:
        return "one sample alone: nothing flows"
    signals = [str(signal) for signal in flow.signal.values]
    shared = len(set(signals)) < len(signals)
    names = [str(d) for d in flow.delay.values] if shared else signals
    ends = []
    for name, value in zip(names[:_DELAYS], np.asarray(flow.log_norm)[:, 0], strict=False):
        ends.append(f"‖∂{name}(T)/∂{name}(0)‖ = {_power(float(value))}")
    ends += ["…"] * (len(names) > _DELAYS)
    return f"over {count(flow.sizes['time'] - 1, 'sample')}: {', '.join(ends)}"


def poles(linearization: xr.Dataset) -> npt.NDArray[np.complex128]:
    """Return the eigenvalues of A at the last sample, the largest in magnitude first."""
    return sorted_eigenvalues(linearization.A.values[-1]).astype(complex)


def _power(log: float) -> str:
    """Return the number of this natural logarithm, which may be beyond floating point."""
    if not math.isfinite(log):
        return "0" if log < 0 else "∞"
    if abs(log) < 690:
        return f"{math.exp(log):.3g}"
    exponent = math.floor(log / math.log(10))
    return f"{math.exp(log - exponent * math.log(10)):.2f}e{exponent:+d}"
