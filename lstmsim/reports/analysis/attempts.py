"""Parts that are tried one after the other: what fails, or does not apply, is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import DiagramError, NonFiniteSignalError, count
from lstmsim.dynamics import Step
from lstmsim.reports.analysis import limits
from lstmsim.reports.analysis.inputs import Inputs
from lstmsim.reports.analysis.report import NAMES, Part

T = TypeVar("T")
#: A part's result, its key numbers, and what bounds it.
Result = tuple[T, str, str]
#: What a part may fail of; all else is an error of the caller's.
FAILURES = (DiagramError, NonFiniteSignalError, np.linalg.LinAlgError, MemoryError)


class SkippedError(Exception):
    """A part does not apply; the message says why."""


@dataclass(frozen=True)
class Given:
    """What the parts begin with.

    Parameters
    ----------
    diagram : BlockDiagram
        The diagram.
    u : array_like or mapping or None
        The input, as the caller gave it.
    samples : int or None
        How many samples to run, as the caller gave it.
    inputs : dict of ndarray
        What the sources put out along the run.
    step : Step or None
        What the diagram computes at a sample, if it lowers.
    unlowered : str
        Why it does not.
    traces : Dataset or None
        The run, or the part of it that is looked at.
    bound : str
        Which part that is, and why; empty for all.
    """

    diagram: BlockDiagram
    u: Any
    samples: int | None
    inputs: Inputs
    step: Step | None
    unlowered: str
    traces: xr.Dataset | None = None
    bound: str = ""

    def along(self, traces: xr.Dataset | None) -> Given:
        """Return this with a run: with its last samples, if all would take too long."""
        if traces is None or self.step is None:
            return replace(self, traces=traces)
        n, sources = sum(self.step.states.values()), sum(self.step.graph.sources.values())
        most = limits.samples_along(n, sources, sum(self.step.outputs.values()))
        samples = traces.sizes["time"]
        if samples <= most:
            return replace(self, traces=traces)
        bound = f"of the last {most:,} of {count(samples, 'sample')}, for {count(n, 'state')}"
        return replace(self, traces=traces.isel(time=slice(samples - most, None)), bound=bound)

    def lowered(self, delays: bool = True) -> Step:
        """Return what the diagram computes at a sample.

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


class Attempts:
    """The parts so far; called with a name and what computes its part.

    Parameters
    ----------
    progress : callable, optional
        Called with the name of each part.
    """

    def __init__(self, progress: Callable[[str], None] | None = None) -> None:
        self._progress = progress
        self._parts: dict[str, Part] = {}

    @property
    def parts(self) -> tuple[Part, ...]:
        """What was found, in the report's order."""
        return tuple(self._parts[name] for name in NAMES if name in self._parts)

    def __call__(
        self,
        name: str,
        work: Callable[[], Result[T]],
        failures: tuple[type[Exception], ...] = FAILURES,
    ) -> T | None:
        """Return a part's result, or None if it was skipped or failed in one of these ways."""
        if self._progress is not None:
            self._progress(name)
        try:
            result, found, note = work()
        except SkippedError as skip:
            self._parts[name] = Part(name, "", str(skip))
        except failures as error:
            self._parts[name] = Part(name, "", reason(error))
        else:
            self._parts[name] = Part(name, found, note)
            return result
        return None


def reason(error: BaseException) -> str:
    """Return an error as one line."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    lines = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    said: dict[str, str] = {}
    for line in lines[1:]:
        label, _, text = line.partition(":")
        said.setdefault(label, text.strip())
    where = said.get("where", "")
    if where == "the workspace":
        where = said.get("expected", "")
    elif where in ("", "the diagram"):
        where = said.get("given", "")
    return f"{lines[0]} ({where})" if where else lines[0]
