"""The figures of an analysis, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import networkx as nx
import xarray as xr

from lstmsim.diagram import signal_names
from lstmsim.plotting import (
    draw,
    plot,
    plot_gradient_flow,
    plot_loop_gains,
    plot_lyapunov,
    plot_poles,
)
from lstmsim.reports.analysis import limits
from lstmsim.reports.analysis.report import Analysis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Signals of the figure of the run: of a long chain of layers the first ones.
_PANELS = 10


@dataclass(frozen=True)
class Picture:
    """One figure.

    Parameters
    ----------
    file : str
        Its name.
    part : str
        The part that it belongs to.
    reading : str
        How to read it, in a sentence.
    make : callable
        What draws it.
    """

    file: str
    part: str
    reading: str
    make: Callable[[], Figure]


def pictures(report: Analysis) -> list[Picture]:
    """Return the figures of what was found."""
    traces, loops, spectrum = report.traces, report.loops, report.lyapunov
    linearization, gains, flow = report.linearization, report.gains, report.flow
    found: list[Picture] = []
    if traces is not None:
        names = _signals(traces, None if loops is None else loops.graph)
        reading = (
            "Inputs, states and outputs over time, a line an element; wide signals are heat maps."
        )
        found.append(Picture("run.png", "run", reading, lambda: plot(traces, names)))
    if loops is not None and len(loops.graph) <= limits.MOST_BLOCKS:
        reading = (
            "Every wire of a loop has its colour; the numbers in the legend are those of the table."
            if loops.groups
            else "The diagram; it has no loops to colour."
        )
        found.append(
            Picture(
                "diagram.png", "feedback loops", reading, lambda: draw(loops.graph, loops.groups)
            )
        )
    if linearization is not None and linearization.sizes["state"]:
        reading = (
            "Eigenvalues of A, the colour the time, crosses at the last sample: inside the circle "
            "small changes decay if the sample lasts, the faster the nearer to the middle."
        )
        found.append(
            Picture("poles.png", "linearization", reading, lambda: plot_poles(linearization))
        )
    if gains is not None:
        reading = (
            "Above 1 a small change grows over a sample, below it shrinks: above, through each "
            "delay's own loop alone; below, through all loops together."
        )
        found.append(
            Picture("loop_gains.png", "loop gains", reading, lambda: plot_loop_gains(gains))
        )
    if flow is not None:
        reading = (
            "How much of a change at time t is left at the end: where the lines fall to the left, "
            "gradients vanish on their way back; where they rise, they explode."
        )
        found.append(
            Picture("gradient_flow.png", "gradient flow", reading, lambda: plot_gradient_flow(flow))
        )
    if spectrum is not None:
        reading = (
            "The estimates as they settle: lines that are still moving at the right end want a "
            "longer run."
        )
        found.append(
            Picture("lyapunov.png", "Lyapunov exponents", reading, lambda: plot_lyapunov(spectrum))
        )
    return found


def _signals(traces: xr.Dataset, graph: nx.MultiDiGraph | None) -> list[str]:
    """Return the signals of sources, what sinks are fed, and what delays store."""
    wanted: list[str] = []
    if graph is not None:
        blocks = dict(graph.nodes(data=True))

        def fed(kind: str) -> list[str]:
            ends = [(s, d["out"]) for s, e, d in graph.edges(data=True) if blocks[e][kind]]
            return [s if blocks[s]["nout"] == 1 else f"{s}[{port}]" for s, port in ends]

        wanted = [b for b, d in blocks.items() if d["source"] and d["kind"] != "CONSTANT"]
        wanted += fed("sink") + fed("delay")
    shown = [name for name in dict.fromkeys(wanted) if name in traces]
    return (shown or signal_names(traces))[:_PANELS]
