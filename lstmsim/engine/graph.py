"""Lowering: a block diagram becomes a graph of primitive operations.

A graph has one node a signal.  It knows nothing of blocks, and nothing of what the diagram is
for: engines, schedules and gradients read it, and it is the only thing that they read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bdsim.blockdiagram import BlockDiagram
from bdsim.components import Block

from lstmsim.base import Array, CompilationError, DiagramError
from lstmsim.blocks import (
    KINDS,
    OPS,
    Formula,
    FromWorkspace,
    Lowered,
    Op,
    ToWorkspace,
    kind_of,
    place,
)
from lstmsim.diagram import host, structure


@dataclass(frozen=True)
class Node:
    """One signal, and the operation that computes it.

    Parameters
    ----------
    name : str
        The signal's name.
    block : str
        The name of the block that drives it; its parameters go by this name.
    op : Op
        The operation.
    inputs : tuple of str
        The signals that it reads.
    parameters : tuple of str
        Names of its arrays: what may be trained, and may change without a new compilation.
    static : mapping
        What is part of the structure: signs of a sum, indices.
    width : int
        Elements of the signal.
    """

    name: str
    block: str
    op: Op
    inputs: tuple[str, ...]
    parameters: tuple[str, ...]
    static: Mapping[str, Any]
    width: int

    @cached_property
    def formula(self) -> Formula:
        """The texts of one element, of an element-wise operation."""
        return self.op.element(len(self.inputs), self.static)


@dataclass(frozen=True)
class Graph:
    """A diagram as operations.

    Parameters
    ----------
    nodes : dict of Node
        By signal name, in the diagram's order.
    sources : dict of int
        What the diagram does not compute, widths by signal name: FROMWORKSPACE blocks, and after
        them bdsim's sources that are functions of time.
    outputs : tuple of str
        The signals that drive the sinks.
    Ts : float
        Sample time in seconds.
    parameters : dict of dict of ndarray
        The blocks' arrays when the diagram was lowered, by block and parameter name.  They are no
        part of the structure: graphs that differ in numbers alone are equal.
    of_time : tuple of str
        The sources that are functions of time.
    """

    nodes: dict[str, Node]
    sources: dict[str, int]
    outputs: tuple[str, ...]
    Ts: float
    parameters: dict[str, dict[str, Array]] = field(default_factory=dict, compare=False, repr=False)
    of_time: tuple[str, ...] = ()

    # Read for every node of a loop while kernels are written: they are made once.

    @cached_property
    def widths(self) -> dict[str, int]:
        """The width of every signal by name."""
        return {name: node.width for name, node in self.nodes.items()} | self.sources

    @cached_property
    def inputs(self) -> dict[str, int]:
        """The sources that a run is given, FROMWORKSPACE blocks: widths by signal name."""
        return {name: n for name, n in self.sources.items() if name not in self.of_time}

    @cached_property
    def delays(self) -> dict[str, Node]:
        """The nodes that keep a state."""
        return {name: node for name, node in self.nodes.items() if node.op.memory}

    def check_outputs(self) -> None:
        """Refuse a graph without outputs."""
        if not self.outputs:
            raise DiagramError(
                "the diagram has no output",
                where="the diagram",
                given="no TOWORKSPACE block",
                expected="at least one sink",
                mend="connect the signal that is wanted, or trained, to a TOWORKSPACE",
            )

    def needed(self, signals: Iterable[str]) -> set[str]:
        """Return the signals that some signals depend on, now or later, and themselves."""
        needed: set[str] = set()
        waiting = list(signals)
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting.extend(self.nodes[name].inputs if name in self.nodes else ())
        return needed


def _lowered(block: Block) -> list[Lowered]:
    """Return the operations of a block's outputs."""
    kind = kind_of(block)
    if kind.lower is None:
        why_not = f"{kind.name}, a block that is not among those that lower"
    else:
        why_not = kind.why_not(block)
    if kind.lower is None or why_not:
        others = {"FROMWORKSPACE", "TOWORKSPACE"}
        raise CompilationError(
            "the compiled engines cannot run this block",
            where=place(block),
            block=block.name,
            given=why_not,
            expected=", ".join(
                sorted(others | {k.name for k in KINDS.values() if k.lower or k.of_time})
            ),
            mend='run the diagram with engine="bdsim"',
        )
    return kind.lower(block)


def _is_source(block: Block) -> bool:
    """Whether engines are given a block's samples."""
    return isinstance(block, FromWorkspace) or kind_of(block).of_time


def _read(block: Block, wanted: Iterable[int | str], ports: tuple[str, ...]) -> tuple[str, ...]:
    """Return the signals that an operation inside a block reads."""

    def signal(which: int | str) -> str:
        if isinstance(which, int):
            return ports[which]
        return f"{block.name}/{which}" if which else str(block.name)

    return tuple(map(signal, wanted))


def lower(diagram: BlockDiagram) -> Graph:
    """Return the graph of a diagram.

    Raises
    ------
    CompilationError
        If a block does not lower, or there is no clock or more than one.
    """
    structure.check_is_diagram(diagram)
    structure.check_names(diagram)
    host.compile_diagram(diagram)
    used = structure.clocks(diagram)
    if len(used) != 1:
        raise CompilationError(
            "the compiled engines need exactly one clock",
            where="the diagram",
            given=", ".join(f"{clock.name} ({clock.T:g} s)" for clock in used) or "no clock",
            expected="one clock",
            mend='run a diagram with several clocks with engine="bdsim"',
        )
    # A block that does not lower is named before its signals are looked at.
    skipped = [b for b in diagram.blocklist if b.nout == 0 or _is_source(b)]
    lowered = {b: _lowered(b) for b in diagram.blocklist if b not in skipped}
    widths = host.signal_widths(diagram)
    names = {port: name for name, port in structure.signal_ports(diagram).items()}
    nodes = {}
    for block, results in lowered.items():
        inputs = tuple([names[plug.block, plug.port] for plug in block.inports])
        for port, found in enumerate(results):
            # No block's name has a slash: signals inside a block cannot meet others.
            name = f"{block.name}/{found.name}" if found.name else names[block, port]
            width = found.width or widths[name]
            read = inputs if found.inputs is None else _read(block, found.inputs, inputs)
            static = found.static
            if "index" in static:  # kernels do not count from the end
                count = widths[read[0]]
                static = {"index": tuple(j % count for j in static["index"])}
            arrays = tuple(found.arrays)
            nodes[name] = Node(name, str(block.name), OPS[found.op], read, arrays, static, width)
    sinks = [block for block in diagram.blocklist if isinstance(block, ToWorkspace)]
    outputs = (names[s.inports[0].block, s.inports[0].port] for s in sinks)
    of_time = tuple(structure.time_sources(diagram))
    return Graph(
        nodes=nodes,
        sources={name: widths[name] for name in (*structure.sources(diagram), *of_time)},
        outputs=tuple(dict.fromkeys(outputs)),
        Ts=float(used[0].T),
        parameters=_arrays(lowered),
        of_time=of_time,
    )


def _arrays(lowered: Mapping[Any, list[Lowered]]) -> dict[str, dict[str, Array]]:
    """Return blocks' arrays by block and parameter name; all ports of a block have the same."""
    return {
        str(block.name): dict(ports[0].arrays)
        for block, ports in lowered.items()
        if ports[0].arrays
    }


def parameters(blocks: Iterable[Block]) -> dict[str, dict[str, Array]]:
    """Return the arrays of blocks as they are now, by block and parameter name."""
    return _arrays({b: _lowered(b) for b in blocks if b.nout and not _is_source(b)})


def assign(block: Block, arrays: Mapping[str, Array]) -> None:
    """Put arrays, named and shaped as `parameters` returns them, into a block."""
    for name, array in arrays.items():
        kind_of(block).assign(block, name, array)
