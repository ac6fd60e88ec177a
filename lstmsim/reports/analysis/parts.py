"""The parts of an analysis, a row each: how it is computed, told, drawn and written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from lstmsim.base import DiagramError, NonFiniteSignalError, Picture
from lstmsim.diagram import signal_names
from lstmsim.plotting import (
    draw,
    plot,
    plot_gradient_flow,
    plot_loop_gains,
    plot_lyapunov,
    plot_poles,
)
from lstmsim.reports.analysis import compute, describe, limits
from lstmsim.reports.analysis.context import Context

#: Signals in the figure of the run: of a long chain of layers the first ones.
_PANELS = 10
#: Matrices of more states are not in the JSON.
_STATES = 50
#: What a part may fail of; all else is an error of the caller's.
FAILURES = (DiagramError, NonFiniteSignalError, np.linalg.LinAlgError, MemoryError)

#: The results of all parts by name; None for those that were skipped.
Results = dict[str, Any]


@dataclass(frozen=True)
class PartKind:
    """One part.

    Parameters
    ----------
    name, attribute : str
        Its heading, and where an `Analysis` has its result.
    compute : callable
        Returns its result and what bounds it; raises `SkippedError` where it does not apply.
    describe : callable
        Returns the key numbers of the result, in a line.
    content : callable
        Returns what the JSON has of the result.
    reading : str
        How to read its table; empty without one.
    picture : callable, optional
        Returns its figure, or None if this one cannot be drawn.
    failures : tuple of exception types
        What is a finding about the diagram, and no error of the caller's.
    """

    name: str
    attribute: str
    compute: Callable[[Context], tuple[Any, str]]
    describe: Callable[[Any, Context], str]
    content: Callable[[Any], dict[str, Any]]
    reading: str = ""
    picture: Callable[[Results], Picture | None] | None = None
    failures: tuple[type[Exception], ...] = FAILURES


def _run_content(traces: xr.Dataset) -> dict[str, Any]:
    attributes = traces.attrs
    return {
        "samples": traces.sizes["time"],
        "Ts": float(attributes["Ts"]),
        "engine": str(attributes["engine"]),
    }


def _linearization_content(data: xr.Dataset) -> dict[str, Any]:
    """Return the matrices of the last sample, if they are small."""
    last = data.isel(time=-1)
    matrices = ("A", "B", "C", "D") if data.sizes["state"] <= _STATES else ()
    point = {name: last[name].values for name in (*matrices, "x", "u", "y")}
    return {
        **{name: [str(v) for v in data[name].values] for name in ("state", "input", "output")},
        "samples": data.sizes["time"],
        "nonsmooth": data.attrs["nonsmooth"],
        "last sample": {"time": float(last.time), **point, "poles": describe.poles(data)},
    }


def _series(*names: str) -> Callable[[xr.Dataset], dict[str, Any]]:
    """Return a function that gives variables of one number a sample, or of one a delay."""

    def values(array: xr.DataArray) -> Any:
        if "delay" not in array.dims:
            return array.values
        return {str(name): array.sel(delay=name).values for name in array.delay.values}

    return lambda data: {name: values(data[name]) for name in ("time", *names)}


def _signals(results: Results) -> list[str]:
    """Return the signals of sources, what sinks are fed, and what delays store."""
    traces, report = results["run"], results["feedback loops"]
    wanted: list[str] = []
    if report is not None:
        blocks = dict(report.graph.nodes(data=True))
        wanted = [b for b, d in blocks.items() if d["source"] and d["kind"] != "CONSTANT"]
        for kind in ("sink", "delay"):
            for start, end, wire in report.graph.edges(data=True):
                if blocks[end][kind]:
                    single = blocks[start]["nout"] == 1
                    wanted.append(start if single else f"{start}[{wire['out']}]")
    shown = [name for name in dict.fromkeys(wanted) if name in traces]
    return (shown or signal_names(traces))[:_PANELS]


RUN = PartKind(
    "run",
    "traces",
    compute.run,
    lambda traces, _: describe.describe_run(traces),
    _run_content,
    picture=lambda results: Picture(
        "run.png",
        "Inputs, states and outputs over time, a line an element; wide signals are heat maps.",
        lambda: plot(results["run"], _signals(results)),
    ),
    failures=(NonFiniteSignalError,),  # a diagram that cannot run is an error
)
LOOPS = PartKind(
    "feedback loops",
    "loops",
    compute.feedback_loops,
    lambda report, _: describe.describe_loops(report),
    lambda report: report.content,
    "A loop comes back to the delay that it begins at; an inner one lies within the forward "
    "path of an outer one.",
    lambda results: (
        None
        if len(results["feedback loops"].graph) > limits.MOST_BLOCKS
        else Picture(
            "diagram.png",
            "The diagram; every wire of a loop has its colour, and the numbers in the legend are "
            "those of the table.",
            lambda: draw(results["feedback loops"].graph, results["feedback loops"].groups),
        )
    ),
)
LINEARIZATION = PartKind(
    "linearization",
    "linearization",
    compute.linearization,
    lambda data, _: describe.describe_linearization(data),
    _linearization_content,
    "`linearization.nc` has A, B, C and D at every sample, x(k+1) = A x(k) + B u(k), "
    "y(k) = C x(k) + D u(k) for small changes; xarray opens it.",
    lambda results: (
        None
        if not results["linearization"].sizes["state"]
        else Picture(
            "poles.png",
            "Eigenvalues of A, the colour the time, crosses at the last sample: inside the circle "
            "small changes decay if the sample lasts, the faster the nearer to the middle.",
            lambda: plot_poles(results["linearization"]),
        )
    ),
)
FIXED_POINTS = PartKind(
    "fixed points",
    "fixed_points",
    compute.fixed,
    lambda report, context: describe.describe_fixed_points(report, context.held[1]),
    lambda report: report.content,
    "A state that the constant input holds is stable if all its eigenvalues are inside the "
    "unit circle: nearby runs end there.",
)
GAINS = PartKind(
    "loop gains",
    "gains",
    compute.gains,
    lambda data, _: describe.describe_gains(data),
    _series("loop_norm", "loop_radius", "spectral_radius"),
    picture=lambda results: Picture(
        "loop_gains.png",
        "Above 1 a small change grows over a sample, below it shrinks: above, through each "
        "delay's own loop alone; below, through all loops together.",
        lambda: plot_loop_gains(results["loop gains"]),
    ),
)
FLOW = PartKind(
    "gradient flow",
    "flow",
    compute.flow,
    lambda data, _: describe.describe_flow(data),
    _series("log_norm", "log_norm_own"),
    picture=lambda results: Picture(
        "gradient_flow.png",
        "How much of a change at time t is left at the end: where the lines fall to the left, "
        "gradients vanish on their way back; where they rise, they explode.",
        lambda: plot_gradient_flow(results["gradient flow"]),
    ),
)
EXPONENTS = PartKind(
    "Lyapunov exponents",
    "lyapunov",
    compute.exponents,
    lambda spectrum, _: spectrum.summary,
    lambda spectrum: spectrum.content,
    "The mean logarithmic growth of a small change: if the first is positive nearby runs part "
    "(chaos), if all are negative they meet.",
    lambda results: Picture(
        "lyapunov.png",
        "The estimates as they settle: lines that are still moving at the right end want a "
        "longer run.",
        lambda: plot_lyapunov(results["Lyapunov exponents"]),
    ),
)
CERTIFICATES = PartKind(
    "stability",
    "stability",
    compute.certificates,
    lambda report, _: report.summary.splitlines()[0],
    lambda report: report.content,
    "A condition holds if its value is below 1, and then for all inputs within the bound; where "
    "none holds nothing is known.",
)
#: In the report's order.
PARTS = (RUN, LOOPS, LINEARIZATION, FIXED_POINTS, GAINS, FLOW, EXPONENTS, CERTIFICATES)
