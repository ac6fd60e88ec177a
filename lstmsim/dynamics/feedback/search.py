"""Every circuit of a diagram's wires, by the delays that it passes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import networkx as nx
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import InvalidValueError, count
from lstmsim.diagram import host, structure
from lstmsim.dynamics.feedback.report import Loop, LoopGroup, LoopReport, Wire

#: Wires of all listed loops together: more would take gigabytes.
_WIRES = 500_000


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
        The time limit of the search, in seconds.

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
    path consists of the loops' blocks that a source reaches without passing a delay in a loop;
    without any source, of all blocks but the delays.  So the roles follow from the wires
    alone.

    Every state without feedthrough counts as a delay, an integrator's too.

    References
    ----------
    D. B. Johnson, Finding all the elementary circuits of a directed graph, SIAM J. Comput. 4
    (1975) 77-84.
    """
    return loops_of_wires(flat(diagram), limit, seconds)


def flat(diagram: BlockDiagram) -> nx.MultiDiGraph:
    """Return the graph of a diagram's wires, the blocks of its subsystems in their place.

    Raises
    ------
    DiagramError
        If it has subsystems, and cannot be compiled.
    """
    structure.check_is_diagram(diagram)
    if any(block.blockclass == "subsystem" for block in diagram.blocklist):
        host.compile_diagram(diagram)  # bdsim dissolves subsystems when it compiles
    return structure.wire_graph(diagram)


def loops_of_wires(graph: nx.MultiDiGraph, limit: int = 1000, seconds: float = 10.0) -> LoopReport:
    """Return the report on a graph of wires, as `structure.wire_graph` makes it.

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
    structure.check_loops(graph)
    graph = nx.freeze(graph)
    circuits: list[tuple[Wire, ...]] = []
    stopped, steps, deadline = "", 0, time.monotonic() + seconds
    for circuit in _circuits(graph):
        if len(circuits) == limit:
            stopped = f"the limit is {count(limit, 'loop')}"
        elif circuits and time.monotonic() > deadline:
            stopped = f"the search was stopped after {seconds:g} s"
        elif circuits and steps + len(circuit) > _WIRES:
            stopped = f"those listed pass {count(steps, 'wire')}"
        if stopped:
            break
        circuits.append(circuit)
        steps += len(circuit)
    return LoopReport(_grouped(graph, circuits), not stopped, stopped, graph)


def _circuits(graph: nx.MultiDiGraph) -> Iterator[tuple[Wire, ...]]:
    """Yield the elementary circuits of the wires, from all parts of the diagram in turn."""
    names = list(graph)
    numbers = {name: k for k, name in enumerate(names)}
    wires: dict[tuple[int, int], list[Wire]] = {}
    for start, end, ports in graph.edges(data=True):
        wire = Wire(start, ports["out"], end, ports["into"])
        wires.setdefault((numbers[start], numbers[end]), []).append(wire)
    # Numbers, whose order in sets is the same in every process.  The edges are added to a graph
    # that is there: to make one from them networkx would import pandas, in case they are a table.
    plain = nx.DiGraph()
    plain.add_edges_from(wires)
    parts = [nx.DiGraph(plain.subgraph(c)) for c in nx.strongly_connected_components(plain)]
    running = [_of_part(part, wires) for part in parts if part.size()]
    # In turn, so that a limited search does not spend its limit on the first part.
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
        pairs = zip(nodes, nodes[1:] + nodes[:1], strict=True)
        yield from itertools.product(*(wires[pair] for pair in pairs))


def _grouped(graph: nx.MultiDiGraph, circuits: list[tuple[Wire, ...]]) -> tuple[LoopGroup, ...]:
    """Return circuits as loops in groups, in an order that depends on the diagram alone."""
    position = {name: k for k, name in enumerate(graph)}
    delays = dict(graph.nodes(data="delay"))
    groups: dict[tuple[str, ...], list[tuple[Wire, ...]]] = {}
    for wires in circuits:
        passed = tuple(
            sorted((w.start for w in wires if delays[w.start]), key=position.__getitem__)
        )
        first = next(k for k, wire in enumerate(wires) if wire.start == passed[0])
        groups.setdefault(passed, []).append((*wires[first:], *wires[:first]))
    inside, around = _nesting(graph, groups)
    # Inner groups come before the groups around them.
    order = sorted(groups, key=lambda p: (len(around[p]), [position[name] for name in p]))
    number_of = {passed: n for n, passed in enumerate(order, start=1)}
    numbers, listed = itertools.count(1), []
    for passed in order:
        in_order = sorted(
            groups[passed],
            key=lambda wires: (len(wires), [(position[w.end], w.into, w.out) for w in wires]),
        )
        loops_of_group = tuple(
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
        listed.append(LoopGroup(number_of[passed], passed, loops_of_group, *others))
    return tuple(listed)


_Delays = tuple[str, ...]


def _nesting(
    graph: nx.MultiDiGraph, groups: dict[_Delays, list[tuple[Wire, ...]]]
) -> tuple[dict[_Delays, list[_Delays]], dict[_Delays, list[_Delays]]]:
    """Return for every group the groups around it, and the groups inside it."""
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
    # Bit masks make the comparison of all pairs cheap.
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
