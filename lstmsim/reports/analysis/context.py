"""What the parts of an analysis begin with, and why one of them may be skipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt
import xarray as xr
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import LstmsimError, count
from lstmsim.dynamics import SampleMap
from lstmsim.networks import Network
from lstmsim.reports.analysis import limits
from lstmsim.reports.analysis.inputs import Inputs


class SkippedError(Exception):
    """A part does not apply; the message says why."""


@dataclass(frozen=True, eq=False)
class Context:
    """What the parts begin with.

    Parameters
    ----------
    diagram, u, samples, network, input_bound
        The arguments of `analyze`.
    inputs : dict of ndarray
        What the sources put out along the run.
    step : SampleMap or None
        The map of one sample, if the diagram lowers, else
    unlowered : str
        why it does not.
    held : (dict of ndarray, str)
        The constant input of the fixed points, and what it is in words.
    traces : Dataset or None
        The run, or the last samples of it, and
    bound : str
        how many these are, and why; empty for all.
    """

    diagram: BlockDiagram
    u: Any
    samples: int | None
    network: Network | Mapping[str, npt.ArrayLike] | None
    input_bound: npt.ArrayLike | None
    inputs: Inputs
    step: SampleMap | None
    unlowered: str
    held: tuple[Inputs, str]
    traces: xr.Dataset | None = None
    bound: str = ""

    def limited(self, traces: xr.Dataset | None) -> Context:
        """Return this with a run, or with its last samples if all would take too long."""
        if traces is None or self.step is None:
            return replace(self, traces=traces)
        n, sources = sum(self.step.states.values()), sum(self.step.graph.inputs.values())
        most = limits.samples_along(n, sources, sum(self.step.outputs.values()))
        samples = traces.sizes["time"]
        if samples <= most:
            return replace(self, traces=traces)
        bound = f"of the last {most:,} of {count(samples, 'sample')}, for {count(n, 'state')}"
        return replace(self, traces=traces.isel(time=slice(samples - most, None)), bound=bound)

    def lowered(self, delays: bool = True) -> SampleMap:
        """Return the map of one sample.

        Raises
        ------
        SkippedError
            If it does not lower, has too many states, or no delays where there have to be some.
        """
        if self.step is None:
            raise SkippedError(self.unlowered)
        n = sum(self.step.states.values())
        if n > limits.MOST_STATES:
            raise SkippedError(f"{n:,} states, and more than {limits.MOST_STATES:,} take minutes")
        if delays and n == 0:
            raise SkippedError("the diagram has no delays, and so no states")
        return self.step

    def run(self) -> xr.Dataset:
        """Return the run.

        Raises
        ------
        SkippedError
            If there is none.
        """
        if self.traces is None:
            raise SkippedError("the run did not stay finite")
        return self.traces


def reason(error: BaseException) -> str:
    """Return an error as one line."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    if not isinstance(error, LstmsimError):
        return str(error) or type(error).__name__
    where = error.location
    if where == "the workspace":
        where = error.expected
    elif where in (None, "the diagram"):
        where = error.given
    return f"{error.problem} ({where})" if where else error.problem
