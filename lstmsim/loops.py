"""Feedback loops: every circuit of a diagram's wires, by the delays that it passes."""

from __future__ import annotations

import io
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import networkx as nx
from bdsim.blockdiagram import BlockDiagram
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lstmsim import host
from lstmsim.arrays import count
from lstmsim.errors import InvalidTypeError, InvalidValueError

#: Rows that a table shows of one group, groups that it shows, and names that it shows of many.
_ROWS, _GROUPS, _NAMES = 10, 20, 40
#: Wires of all listed loops together: more would take gigabytes.
_WIRES = 500_000


@dataclass(frozen=True)
class Wire:
    """One wire: from a block's output port to a block's input port."""

    start: str
    out: int
    end: str
    into: int


@dataclass(frozen=True)
class Loop:
    """One elementary loop: a circuit of wires that comes to no block twice.

    Parameters
    ----------
    number : int
        Its place in the report, from 1.
    blocks : tuple of str
        The blocks in the order of the signal's flow, from the first of the delays on.
    wires : tuple of Wire
        Wire k leads from block k to the next one, the last one back to the first.
    delays : tuple of str
        The delays that it passes, in the order of the flow.
    """

    number: int
    blocks: tuple[str, ...]
    wires: tuple[Wire, ...]
    delays: tuple[str, ...]

    def __str__(self) -> str:
        return " → ".join((*_some(self.blocks, _NAMES), self.blocks[0]))


@dataclass(frozen=True)
class LoopGroup:
    """The loops that pass the same delays.

    Parameters
    ----------
    number : int
        Its place in the report, from 1.
    delays : tuple of str
        The delays, in the diagram's order.
    loops : tuple of Loop
        The loops that pass all of these delays and no others.
    inside, around : tuple of int
        The numbers of the groups whose forward paths hold this one's, and of those whose
        forward paths are a part of this one's.
    """

    number: int
    delays: tuple[str, ...]
    loops: tuple[Loop, ...]
    inside: tuple[int, ...] = ()
    around: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The delays, as they are written in tables: of many the first and the last ones."""
        return " + ".join(_some(self.delays, 8))

    @property
    def role(self) -> str:
        """What it is to the other groups: inner, outer, or, apart from them, single."""
        return "inner" if self.inside else "outer" if self.around else "single"

    @property
    def blocks(self) -> frozenset[str]:
        """All blocks that one of its loops passes."""
        return frozenset(name for loop in self.loops for name in loop.blocks)


@dataclass(frozen=True)
class LoopReport:
    """The result of `loops`; ``str(report)`` is a table that a person reads.

    Parameters
    ----------
    groups : tuple of LoopGroup
        The loops by the delays that they pass, inner groups before those around them.
    complete : bool
        Whether these are all loops.
    stopped : str
        Why it is not complete; empty if it is.
    graph : networkx.MultiDiGraph
        The blocks, with the attributes `kind`, `nin`, `nout`, `delay`, `source` and `sink`, and
        one edge a wire, with the ports `out` and `into`.  It cannot be changed.
    """

    groups: tuple[LoopGroup, ...]
    complete: bool
    stopped: str
    graph: nx.MultiDiGraph = field(repr=False, compare=False)

    @property
    def loops(self) -> tuple[Loop, ...]:
        """All loops, in the order of their numbers."""
        return tuple(loop for group in self.groups for loop in group.loops)

    @property
    def inner(self) -> tuple[LoopGroup, ...]:
        """The groups that lie inside another one."""
        return self._with("inner")

    @property
    def outer(self) -> tuple[LoopGroup, ...]:
        """The groups that lie around others, and inside none."""
        return self._with("outer")

    @property
    def single(self) -> tuple[LoopGroup, ...]:
        """The groups that lie neither inside nor around another one."""
        return self._with("single")

    def _with(self, role: str) -> tuple[LoopGroup, ...]:
        return tuple(group for group in self.groups if group.role == role)

    @property
    def delays(self) -> tuple[str, ...]:
        """All delays of the diagram, in a loop or not."""
        return tuple(name for name, delay in self.graph.nodes(data="delay") if delay)

    @property
    def summary(self) -> str:
        """What there is, in a few sentences."""
        if not self.groups:
            has = f"has {count(len(self.delays), 'delay')}" if self.delays else "has no delays"
            return f"The diagram {has} and no feedback loops."
        found = len(self.loops)
        listed = count(found, "feedback loop")
        lines = [f"{listed}:" if self.complete else f"More than {listed}, of which are listed:"]
        for group in self.groups[:_GROUPS]:
            role = "" if group.role == "single" else f"{group.role} "
            within = [self.groups[n - 1].name for n in group.inside]
            inside = f", inside that through {within[0]}" if len(within) == 1 else ""
            lines.append(f"  {count(len(group.loops), f'{role}loop')} through {group.name}{inside}")
        lines += _rest(len(self.groups) - _GROUPS, "more group", "  and ")
        if not self.complete:
            lines.append(f"There are more: too many loops to list, {self.stopped}.")
        return "\n".join(lines)

    @property
    def table(self) -> Table:
        """The loops as a Rich table, group by group; the first ones where there are many."""
        table = Table(
            title="feedback loops",
            title_justify="left",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            show_edge=False,
            padding=(0, 1, 0, 0),
        )
        table.add_column("loop", justify="right", no_wrap=True)
        table.add_column("delays")
        table.add_column("role", no_wrap=True)
        table.add_column("blocks")
        for group in self.groups[:_GROUPS]:
            for loop in group.loops[:_ROWS]:
                table.add_row(str(loop.number), escape(group.name), group.role, escape(str(loop)))
            for rest in _rest(len(group.loops) - _ROWS, "more loop", "… and "):
                table.add_row("", escape(group.name), group.role, rest)
        for rest in _rest(len(self.groups) - _GROUPS, "more group", "… and "):
            table.add_row("", "", "", rest)
        return table

    def __str__(self) -> str:
        console = Console(file=io.StringIO(), width=100, color_system=None)
        if self.groups:
            console.print(self.table)
            console.print()
        console.print(self.summary, highlight=False, markup=False)
        text: str = console.file.getvalue()  # type: ignore[attr-defined]
        return "\n".join(line.rstrip() for line in text.rstrip().splitlines())

    def to_json(self) -> str:
        """Return the report as JSON, all loops that were found in it."""
        content = {
            "summary": self.summary,
            "complete": self.complete,
            "stopped": self.stopped,
            "delays": self.delays,
            "groups": [
                {"name": group.name, "role": group.role} | asdict(group) for group in self.groups
            ],
        }
        return json.dumps(content, indent=2)


def loops(diagram: BlockDiagram, *, limit: int = 1000, seconds: float = 10.0) -> LoopReport:
    """Find the feedback loops of a diagram: its elementary circuits, by the delays they pass.

    An LSTM layer has one inner loop, through the cell state, and four outer ones through the
    hidden state, one a gate.

    Parameters
    ----------
    diagram : BlockDiagram
        Any diagram; only its wires are looked at.
    limit : int, optional
        How many loops to list: their number can grow exponentially with that of the blocks.
    seconds : float, optional
        When to stop looking, in seconds.

    Returns
    -------
    LoopReport
        ``report.groups``, ``report.inner``, ``report.outer``, ``report.graph``,
        ``report.table``; ``str(report)`` prints them.

    Raises
    ------
    AlgebraicLoopError
        If there is a loop without a delay in it.
    DiagramError
        If the diagram has subsystems, and cannot be compiled.
    InvalidTypeError, InvalidValueError
        If it is not a diagram, or the limit is not at least 1.

    Examples
    --------
    >>> import lstmsim as ls
    >>> network, u = ls.published.layer_example()
    >>> report = ls.loops(ls.build(network))
    >>> print(report.summary)
    5 feedback loops:
      1 inner loop through c_prev, inside that through h_prev
      4 outer loops through h_prev
    >>> print(report.inner[0].loops[0])
    c_prev → fc → c → c_prev

    Notes
    -----
    A loop comes to no block twice.  Two wires between the same two blocks are different paths,
    as their ports compute different things: through HADAMARD(x, x) lead two loops.

    A group is *inside* another one if its forward path is a part of the other's.  A forward
    path is what of the loops' blocks a source reaches before it passes a delay that lies in a
    loop; without any source, all blocks but the delays.  So the roles follow from the wires
    alone.

    Every state without feedthrough counts as a delay, an integrator's too.

    References
    ----------
    D. B. Johnson, Finding all the elementary circuits of a directed graph, SIAM J. Comput. 4
    (1975) 77-84.
    """
    if not isinstance(diagram, BlockDiagram):
        raise InvalidTypeError(
            "loops needs a diagram",
            where="loops",
            given=type(diagram).__name__,
            expected="a bdsim BlockDiagram",
            mend="build one: ls.build(network), or load one: ls.load(file, workspace)",
        )
    return loops_of_wires(flat(diagram), limit, seconds)


def flat(diagram: BlockDiagram) -> nx.MultiDiGraph:
    """Return the graph of a diagram's wires, the blocks of its subsystems in their place.

    Raises
    ------
    DiagramError
        If it has subsystems, and cannot be compiled.
    """
    if any(block.blockclass == "subsystem" for block in diagram.blocklist):
        host.compile_diagram(diagram)  # that is what dissolves them
    return host.wire_graph(diagram)


def loops_of_wires(graph: nx.MultiDiGraph, limit: int = 1000, seconds: float = 10.0) -> LoopReport:
    """Return the report on a graph of wires, as `host.wire_graph` makes it.

    Raises
    ------
    AlgebraicLoopError
        If there is a loop without a delay in it.
    InvalidValueError
        If the limit is not at least 1, or the time is not positive.
    """
    whole = isinstance(limit, int) and not isinstance(limit, bool)
    if not whole or limit < 1 or not seconds > 0:
        raise InvalidValueError(
            "the limits of a search for loops are not positive",
            where="loops",
            given=f"limit={limit!r}, seconds={seconds!r}",
            expected="a whole number of loops ≥ 1, and seconds > 0",
        )
    host.check_loops(graph)
    graph = nx.freeze(graph)
    found: list[tuple[Wire, ...]] = []
    stopped, steps, deadline = "", 0, time.monotonic() + seconds
    for circuit in _circuits(graph):
        if len(found) == limit:
            stopped = f"the limit is {count(limit, 'loop')}"
        elif time.monotonic() > deadline:
            stopped = f"the search was stopped after {seconds:g} s"
        elif found and steps + len(circuit) > _WIRES:
            stopped = f"those listed pass {count(steps, 'wire')}"
        if stopped:
            break
        found.append(circuit)
        steps += len(circuit)
    return LoopReport(_grouped(graph, found), not stopped, stopped, graph)


def _circuits(graph: nx.MultiDiGraph) -> Iterator[tuple[Wire, ...]]:
    """Yield the elementary circuits of the wires, from all parts of the diagram in turn."""
    names = list(graph)
    numbers = {name: k for k, name in enumerate(names)}
    wires: dict[tuple[int, int], list[Wire]] = {}
    for start, end, ports in graph.edges(data=True):
        wire = Wire(start, ports["out"], end, ports["into"])
        wires.setdefault((numbers[start], numbers[end]), []).append(wire)
    # Numbers, whose order in sets is the same in every process.
    plain = nx.DiGraph(wires.keys())
    parts = [nx.DiGraph(plain.subgraph(c)) for c in nx.strongly_connected_components(plain)]
    running = [_of_part(part, wires) for part in parts if part.size()]
    while running:
        for part in list(running):
            circuit = next(part, None)
            if circuit is None:
                running.remove(part)
            else:
                yield circuit


def _of_part(
    part: nx.DiGraph, wires: dict[tuple[int, int], list[Wire]]
) -> Iterator[tuple[Wire, ...]]:
    for nodes in nx.simple_cycles(part):
        steps = zip(nodes, nodes[1:] + nodes[:1], strict=True)
        yield from itertools.product(*(wires[step] for step in steps))


def _grouped(graph: nx.MultiDiGraph, found: list[tuple[Wire, ...]]) -> tuple[LoopGroup, ...]:
    """Return circuits as loops in groups, in an order that only the diagram decides."""
    place = {name: k for k, name in enumerate(graph)}
    delays = dict(graph.nodes(data="delay"))
    groups: dict[tuple[str, ...], list[tuple[Wire, ...]]] = {}
    for wires in found:
        passed = tuple(sorted((w.start for w in wires if delays[w.start]), key=place.__getitem__))
        first = next(k for k, wire in enumerate(wires) if wire.start == passed[0])
        groups.setdefault(passed, []).append((*wires[first:], *wires[:first]))
    inside, around = _nesting(graph, groups)
    # Around more of the others comes later.
    order = sorted(groups, key=lambda p: (len(around[p]), [place[name] for name in p]))
    number_of = {passed: n for n, passed in enumerate(order, start=1)}
    numbers, made = itertools.count(1), []
    for passed in order:
        in_order = sorted(
            groups[passed],
            key=lambda wires: (len(wires), [(place[w.end], w.into, w.out) for w in wires]),
        )
        listed = tuple(
            Loop(
                next(numbers),
                tuple(w.start for w in wires),
                wires,
                tuple(w.start for w in wires if delays[w.start]),
            )
            for wires in in_order
        )
        others = (
            tuple(sorted(number_of[other] for other in side[passed])) for side in (inside, around)
        )
        made.append(LoopGroup(number_of[passed], passed, listed, *others))
    return tuple(made)


_Delays = tuple[str, ...]


def _nesting(
    graph: nx.MultiDiGraph, groups: dict[_Delays, list[tuple[Wire, ...]]]
) -> tuple[dict[_Delays, list[_Delays]], dict[_Delays, list[_Delays]]]:
    """Return for every group those that it is inside of, and those that it is around."""
    blocks = {
        passed: {wire.start for wires in circuits for wire in wires}
        for passed, circuits in groups.items()
    }
    looped = set().union(*blocks.values())
    open_graph = graph.subgraph(
        [n for n in graph if n not in looped or not graph.nodes[n]["delay"]]
    )
    sources = [name for name, source in open_graph.nodes(data="source") if source]
    reached = set(sources or open_graph)
    for layer in nx.bfs_layers(open_graph, sources) if sources else ():
        reached.update(layer)
    # Bits, as there may be many pairs of groups.
    bit = {name: 1 << k for k, name in enumerate(sorted(looped & reached))}
    forward = {p: sum(bit.get(name, 0) for name in names) for p, names in blocks.items()}
    inside: dict[_Delays, list[_Delays]] = {passed: [] for passed in groups}
    around: dict[_Delays, list[_Delays]] = {passed: [] for passed in groups}
    for a, b in itertools.permutations(groups, 2):
        mine, theirs = forward[a], forward[b]
        if mine and mine != theirs and mine & theirs == mine:
            inside[a].append(b)
            around[b].append(a)
    return inside, around


def _some(names: tuple[str, ...], most: int) -> tuple[str, ...]:
    """Return the first and the last of many names, and how many there are between them."""
    if len(names) <= most:
        return names
    ends = most // 2
    return (*names[:ends], f"({len(names) - 2 * ends:,} more)", *names[-ends:])


def _rest(number: int, what: str, before: str) -> list[str]:
    return [f"{before}{count(number, what)}"] if number > 0 else []
