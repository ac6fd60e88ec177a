"""The parts of an analysis: each gives its result, its key numbers and what bounds it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import xarray as xr

from lstmsim.base import LstmsimError, count
from lstmsim.diagram import check_diagram_is_network, network_from_workspace
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
from lstmsim.reports.analysis import findings, limits
from lstmsim.reports.analysis.attempts import Given, Result, SkippedError, reason
from lstmsim.reports.analysis.inputs import Inputs, constant
from lstmsim.theory import StabilityReport, stability

#: Exponents of fewer samples are those of a short run.
_SHORT = 500


def run(given: Given) -> Result[xr.Dataset]:
    """Run the diagram: compiled, or in bdsim if it does not lower."""
    samples, note = given.samples, ""
    if samples is None and not given.inputs:
        samples = limits.FREE_RUN
        note = f"no source says how long: {count(samples, 'sample')} were run"
    engine = "bdsim" if given.step is None else "numba"
    if given.step is None:
        note = "; ".join(filter(None, (note, given.unlowered)))
    traces = simulate(given.diagram, given.u, samples=samples, engine=engine)
    return traces, findings.of_run(traces), note


def feedback_loops(given: Given) -> Result[LoopReport]:
    """Find the loops."""
    report = loops(given.diagram)
    note = "" if report.complete else f"too many loops to list: {report.stopped}"
    return report, findings.of_loops(report), note


def linearization(given: Given) -> Result[xr.Dataset]:
    """Linearize along the run."""
    given.lowered(delays=False)
    data, kinks = linearized(given.diagram, given.run())
    notes = [given.bound, f"a slope jumps at {kinks}: exact on one side only" if kinks else ""]
    return data, findings.of_linearization(data), "; ".join(filter(None, notes))


def fixed(given: Given, held: tuple[Inputs, str] | None) -> Result[FixedPoints]:
    """Find the fixed points at the constant input."""
    n = sum(given.lowered().states.values())
    assert held is not None  # as the diagram lowers
    u, where = held
    starts, iterations = limits.newton_effort(n)
    report = fixed_points(given.diagram, u, starts=starts, iterations=iterations)
    fewer = f"{count(report.starts, 'start')} alone, for {count(n, 'state')}"
    return report, findings.of_fixed_points(report, where), fewer if starts < 100 else ""


def gains(given: Given) -> Result[xr.Dataset]:
    """Find the gains of the loops along the run."""
    given.lowered()
    data = gains_along(given.diagram, given.run())
    return data, findings.of_gains(data), given.bound


def flow(given: Given) -> Result[xr.Dataset]:
    """Find how gradients flow back through the run."""
    given.lowered()
    data = flow_along(given.diagram, given.run())
    return data, findings.of_flow(data), given.bound


def exponents(given: Given) -> Result[LyapunovSpectrum]:
    """Find the Lyapunov exponents: along the input, or of a free run if it is constant."""
    n = sum(given.lowered().states.values())
    most = limits.samples_of_exponents(n)
    if constant(given.inputs):
        u = {name: array[0] for name, array in given.inputs.items()}
        note = "" if not u else "the input is constant: the run goes on with it"
        discard = min(1000, most)
        return _spectrum(given, u or None, most, discard, note)
    samples = len(next(iter(given.inputs.values())))
    discard = min(1000, samples // 10)
    averaged = min(samples - discard, most)
    note = ""
    if averaged < samples - discard:
        note = f"along the first {averaged + discard:,} of {count(samples, 'sample')} alone, for "
        note += count(n, "state")
    elif averaged < _SHORT:
        note = "along this short input; of a longer one they may differ"
    return _spectrum(given, given.inputs, averaged, discard, note)


def _spectrum(
    given: Given, u: Inputs | None, samples: int, discard: int, note: str
) -> Result[LyapunovSpectrum]:
    spectrum = lyapunov(given.diagram, u, samples, discard=discard)
    return spectrum, findings.of_lyapunov(spectrum), note


def certificates(
    given: Given,
    network: Network | Mapping[str, npt.ArrayLike] | None,
    input_bound: npt.ArrayLike | None,
) -> Result[StabilityReport]:
    """Certify the network that the diagram is."""
    if network is None:
        raise SkippedError("certificates are for LSTM networks, and none was given")
    try:
        made = network if isinstance(network, Network) else network_from_workspace(network)
        check_diagram_is_network(given.diagram, made)
    except LstmsimError as error:
        raise SkippedError(f"certificates are for LSTM networks, and {reason(error)}") from None
    note = ""
    if input_bound is None:
        (driven,) = given.inputs.values()
        input_bound = np.abs(driven).max(axis=0)
        note = "for inputs no larger than this run's; another bound: input_bound, --input-bound"
    report = stability(made, input_bound)
    return report, findings.of_stability(report), note
