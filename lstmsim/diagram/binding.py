"""A diagram's side of a run: what it takes, and its blocks with that for one run in bdsim."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from bdsim.blockdiagram import BlockDiagram
from bdsim.components import Block

from lstmsim.base import DiagramError, FloatArray
from lstmsim.blocks import FromWorkspace, ToWorkspace, place
from lstmsim.diagram import host, structure
from lstmsim.diagram.inputs import Interface, Source
from lstmsim.diagram.timesources import time_samples


def stateful(diagram: BlockDiagram) -> dict[str, Block]:
    """Return the sampled blocks with a state of the system: a source's index is none."""
    return {
        str(block.name): block
        for clock in structure.clocks(diagram)
        for block in clock.blocklist
        if not isinstance(block, FromWorkspace | ToWorkspace)
    }


def interface_of(diagram: BlockDiagram, widths: Mapping[str, int] | None = None) -> Interface:
    """Return what the runs of a compiled diagram take.

    Parameters
    ----------
    diagram : BlockDiagram
        A compiled diagram.
    widths : mapping of int, optional
        The widths of the sources that lower, by block name: those that are functions of time
        too, which in bdsim compute their samples by themselves.  Without it a source without
        values and without a width takes any.

    Raises
    ------
    DiagramError
        If there is no clock.
    """
    clocks = structure.clocks(diagram)
    if not clocks:
        raise DiagramError(
            "the diagram has no clock, so there are no samples",
            where="the diagram",
            given="no sampled block",
            expected="at least one sampled block, such as UNITDELAY or TOWORKSPACE",
            mend="end the diagram in a TOWORKSPACE with clock = bd.clock(Ts)",
        )
    sources = {}
    for name, block in structure.sources(diagram).items():
        own = block.width if block.values is None else block.values.shape[1]
        sources[name] = Source(place(block), (widths or {}).get(name, own), block.values)
    Ts = float(clocks[0].T)
    for name, block in structure.time_sources(diagram).items():
        if widths is not None:
            function = functools.partial(time_samples, block, widths[name], Ts)
            sources[name] = Source(place(block), widths[name], function=function)
    delays = {name: block.ndstates for name, block in stateful(diagram).items()}
    return Interface(sources, delays, Ts, diagram.nstates)


@contextlib.contextmanager
def prepared(
    diagram: BlockDiagram,
    inputs: Mapping[str, FloatArray],
    initial: Mapping[str, FloatArray],
    on_sample: Callable[[int], None] | None,
) -> Iterator[None]:
    """Hold a diagram, with inputs and initial states for one run.

    The blocks' own values and initial states stay as they are, for other threads to read.
    """
    found = structure.sources(diagram)
    blocks = stateful(diagram)
    with host.turn(diagram):
        try:
            for name, values in inputs.items():
                found[name].bound = values
            for name, values in initial.items():
                # bdsim asks the block for the state that it begins with.
                blocks[name].getstate0 = functools.partial(np.array, values)
            for block in list(found.values())[:1]:
                block.on_sample = on_sample
            yield
        finally:
            for block in found.values():
                block.bound = block.on_sample = None
            for name in initial:
                vars(blocks[name]).pop("getstate0", None)
