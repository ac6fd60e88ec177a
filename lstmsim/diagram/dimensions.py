"""The dimensions of traces: which signals of a diagram, or of a network, share one.

Signals that meet in an element-wise block share a dimension, so that
``traces.f * traces.c_prev`` is a product sample by sample.
"""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx
from bdsim.blockdiagram import BlockDiagram

from lstmsim.blocks import ToWorkspace, kind_of
from lstmsim.diagram.structure import signal_name


def network_dimension(name: str) -> str:
    """Return the dimension that a network's signal of this name has."""
    prefix, _, last = name.rpartition(".")
    if not prefix and last in ("u", "y", "Fh", "by"):
        return "input" if last == "u" else "output"
    return f"{prefix}.unit" if prefix else "unit"


def diagram_dimensions(bd: BlockDiagram, widths: Mapping[str, int]) -> dict[str, str]:
    """Return the dimension of every signal of a compiled diagram.

    Signals of one width that meet in an element-wise block share a dimension.  It is called
    `unit` if a hidden or cell state (h, c) is among them, with the layer's prefix if it has
    one; `input` if u is, `output` if y is, else after the first of the signals.
    """
    meeting = nx.Graph()
    meeting.add_nodes_from(widths)
    for block in bd.blocklist:
        if not kind_of(block).elementwise(block):
            continue
        out = signal_name(block, 0)
        for plug in block.inports:
            into = signal_name(plug.block, plug.port)
            if widths[into] == widths[out]:
                meeting.add_edge(into, out)
    position = {name: k for k, name in enumerate(widths)}
    dimensions: dict[str, str] = {}
    for group in nx.connected_components(meeting):
        names = sorted(group, key=position.__getitem__)
        states = [name for name in names if name.rpartition(".")[2] in ("h", "c")]
        known = [name for name in names if name in ("u", "y")]
        if states or known:
            dimension = network_dimension((states or known)[0])
        else:
            dimension = f"{names[0]}_element"
        # xarray takes a variable that is named like a dimension for its coordinate.
        while dimension in widths:
            dimension += "_element"
        dimensions |= dict.fromkeys(names, dimension)
    return dimensions


def output_alias(diagram: BlockDiagram, widths: Mapping[str, int]) -> dict[str, str]:
    """Return y as a second name of what drives the only sink, if no signal is called y."""
    sinks = [block for block in diagram.blocklist if isinstance(block, ToWorkspace)]
    if "y" in widths or len(sinks) != 1:
        return {}
    plug = sinks[0].inports[0]
    return {"y": signal_name(plug.block, plug.port)}
