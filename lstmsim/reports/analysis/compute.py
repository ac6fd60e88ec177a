"""How each part is computed: its result, and what bounds it."""

from __future__ import annotations

import numpy as np
import xarray as xr

from lstmsim.base import LstmsimError, count
from lstmsim.diagram import check_diagram_is_network, network_from_workspace, structure
from lstmsim.dynamics import (
    FixedPoints,
    LoopReport,
    LyapunovSpectrum,
    fixed_points,
    flow_along,
    gains_along,
    linearized,
    loops,
    lyapunov,
)
from lstmsim.engine import simulate
from lstmsim.networks import Network
from lstmsim.reports.analysis import limits
from lstmsim.reports.analysis.context import Context, SkippedError, reason
from lstmsim.reports.analysis.inputs import constant
from lstmsim.theory import StabilityReport, stability

#: Exponents of fewer samples are those of a short run.
_SHORT = 500


def run(context: Context) -> tuple[xr.Dataset, str]:
    """Run the diagram: compiled, or in bdsim if it does not lower."""
    samples, notes = context.samples, []
    if samples is None and not structure.sources(context.diagram):
        samples = limits.FREE_RUN
        notes.append(f"no source says how long: {count(samples, 'sample')} were run")
    if context.step is None:
        notes.append(context.unlowered)
    engine = "bdsim" if context.step is None else "numba"
    return simulate(context.diagram, context.u, samples=samples, engine=engine), "; ".join(notes)


def feedback_loops(context: Context) -> tuple[LoopReport, str]:
    """Find the loops."""
    report, notes = loops(context.diagram), []
    if not report.complete:
        notes.append(f"too many loops to list: {report.stopped}")
    if len(report.graph) > limits.MOST_BLOCKS:
        notes.append(f"a diagram of more than {limits.MOST_BLOCKS} blocks is not drawn here")
    return report, "; ".join(notes)


def linearization(context: Context) -> tuple[xr.Dataset, str]:
    """Linearize along the run."""
    context.lowered(delays=False)
    data, kinks = linearized(context.diagram, context.run())
    notes = [context.bound, f"a slope jumps at {kinks}: exact on one side only" if kinks else ""]
    return data, "; ".join(filter(None, notes))


def fixed(context: Context) -> tuple[FixedPoints, str]:
    """Find the fixed points at the constant input."""
    n = sum(context.lowered().states.values())
    starts, iterations = limits.newton_effort(n)
    report = fixed_points(context.diagram, context.held[0], starts=starts, iterations=iterations)
    fewer = f"{count(report.starts, 'start')} alone, for {count(n, 'state')}"
    return report, fewer if starts < limits.MOST_STARTS else ""


def gains(context: Context) -> tuple[xr.Dataset, str]:
    """Find the gains of the loops along the run."""
    context.lowered()
    return gains_along(context.diagram, context.run()), context.bound


def flow(context: Context) -> tuple[xr.Dataset, str]:
    """Find how gradients flow back through the run."""
    context.lowered()
    return flow_along(context.diagram, context.run()), context.bound


def exponents(context: Context) -> tuple[LyapunovSpectrum, str]:
    """Find the Lyapunov exponents: along the input, or of a free run if it is constant."""
    n = sum(context.lowered().states.values())
    most = limits.samples_of_exponents(n)
    note = ""
    if constant(context.inputs):
        u = {name: array[0] for name, array in context.inputs.items()} or None
        averaged, discard = most, min(1000, most)
        note = "" if u is None else "the input is constant: the run goes on with it"
    else:
        u = context.inputs
        samples = len(next(iter(u.values())))
        discard = min(1000, samples // 10)
        averaged = min(samples - discard, most)
        if averaged < samples - discard:
            first = f"along the first {averaged + discard:,} of {count(samples, 'sample')} alone"
            note = f"{first}, for {count(n, 'state')}"
        elif averaged < _SHORT:
            note = "along this short input; of a longer one they may differ"
    return lyapunov(context.diagram, u, averaged, discard=discard), note


def certificates(context: Context) -> tuple[StabilityReport, str]:
    """Certify the network that the diagram is."""
    if context.network is None:
        raise SkippedError("certificates are for LSTM networks, and none was given")
    try:
        given = context.network
        network = given if isinstance(given, Network) else network_from_workspace(given)
        check_diagram_is_network(context.diagram, network)
    except LstmsimError as error:
        raise SkippedError(f"certificates are for LSTM networks, and {reason(error)}") from None
    if context.input_bound is not None:
        return stability(network, context.input_bound), ""
    (driven,) = context.inputs.values()
    note = "for inputs no larger than this run's; another bound: input_bound, --input-bound"
    return stability(network, np.abs(driven).max(axis=0)), note
