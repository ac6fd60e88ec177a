"""The structure of a diagram: names of signals, sources, clocks and wires, and their checks.

Nothing here compiles or runs a diagram; `host` does.
"""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
from bdsim.blockdiagram import BlockDiagram
from bdsim.components import Block, Clock

from lstmsim.base import AlgebraicLoopError, DiagramError, InvalidTypeError
from lstmsim.blocks import FromWorkspace, kind_of, place

#: bdsim takes events within 1e-6 s of one another for one.
_MERGED = 2e-6


def check_is_diagram(value: Any) -> None:
    """Refuse what is not a block diagram."""
    if not isinstance(value, BlockDiagram):
        raise InvalidTypeError(
            "this is not a block diagram",
            given=type(value).__name__,
            expected="a bdsim.BlockDiagram",
            mend="build one: ls.build(network), or load one: ls.load(file, workspace)",
        )


def check_names(bd: BlockDiagram) -> None:
    """Refuse block names that cannot be names of signals.

    Raises
    ------
    DiagramError
        If a name has a slash or an unprintable character in it, is empty, is `time`, or stands
        for two signals.
    """
    seen: dict[str, Block | None] = {"time": None}
    for block in bd.blocklist:
        name = str(block.name)
        if "/" in name or not name.isprintable() or not name.strip() or name in (".", ".."):
            raise DiagramError(
                "a block's name cannot be the name of a signal",
                where=place(block),
                block=block.name,
                given=repr(name),
                expected="a name of printable characters without a slash",
                mend="rename the block: trace files keep a signal under its block's name",
            )
        finals = [f"{name}_final"] if block.blockclass == "sampled" else []
        for signal in [*(signal_name(block, port) for port in range(block.nout)), *finals]:
            if signal in seen:
                other = seen[signal]
                raise DiagramError(
                    "two things would have the same name in the traces",
                    where=place(block),
                    block=block.name,
                    given=f"{signal!r}, which is also "
                    f"{'the time axis' if other is None else place(other)}",
                    expected="names that differ",
                    mend="rename the block",
                )
            seen[signal] = block


def signal_name(block: Block, port: int) -> str:
    """Return the name of the signal at an output port: the block's, with the port if needed."""
    return str(block.name) if block.nout == 1 else f"{block.name}[{port}]"


def signal_ports(bd: BlockDiagram) -> dict[str, tuple[Block, int]]:
    """Return every signal of a diagram by name, as its block and output port."""
    return {
        signal_name(block, port): (block, port)
        for block in bd.blocklist
        for port in range(block.nout)
    }


def sources(bd: BlockDiagram) -> dict[str, FromWorkspace]:
    """Return the sampled sources of a diagram by name."""
    return {str(b.name): b for b in bd.blocklist if isinstance(b, FromWorkspace)}


def time_sources(bd: BlockDiagram) -> dict[str, Block]:
    """Return the sources of a diagram that are functions of time by name."""
    return {str(b.name): b for b in bd.blocklist if kind_of(b).of_time}


def clocks(bd: BlockDiagram) -> list[Clock]:
    """Return the clocks that drive a block, the fastest first.

    Raises
    ------
    DiagramError
        If two have one name, a period is not a whole multiple of the fastest one, or several
        are too fast for bdsim.
    """
    used = sorted((c for c in bd.clocklist if c.blocklist), key=lambda clock: clock.T)
    names = [clock.name for clock in used]
    if len(set(names)) < len(names):
        raise DiagramError(
            "two clocks have the same name",
            where="the diagram",
            given=", ".join(names),
            mend="give each clock a name of its own: bd.clock(Ts, name=...)",
        )
    if len(used) > 1 and used[0].T < _MERGED:
        raise DiagramError(
            "the clocks are too fast to be told apart",
            where=f"clock {used[0].name!r}",
            given=f"a period of {used[0].T:g} s beside another clock",
            expected=f"at least {_MERGED:g} s: bdsim merges events within 1e-6 s",
            mend="put all blocks on one clock, or scale the time",
        )
    for clock in used[1:]:
        ratio = clock.T / used[0].T
        if abs(ratio - round(ratio)) > 1e-9 * ratio:
            raise DiagramError(
                "the clocks do not share their samples",
                where=f"clock {clock.name!r}",
                given=f"a period of {clock.T:g} s beside one of {used[0].T:g} s",
                expected="whole multiples of the fastest clock's period",
                mend="run such a diagram with bdsim's own run",
            )
    return used


def wire_graph(bd: BlockDiagram) -> nx.MultiDiGraph:
    """Return the diagram as a graph: blocks by name, one edge a wire with its two ports.

    A block has the attributes `kind`, `nin`, `nout`, `source`, `sink`, `pos` (None if it has
    none), `Ts` of its clock, `text` of what its symbol shows, and `delay`: whether it has an
    input, and an output that does not depend on it at once, as a unit delay has.
    """
    graph = nx.MultiDiGraph()
    for block in bd.blocklist:
        add_block(
            graph,
            str(block.name),
            str(block.type),
            (block.nin, block.nout),
            stateful=bool(block.hasstate and not block._feedthrough),
            pos=block.pos,
            Ts=float(block._clock.T) if block.blockclass == "sampled" else None,
            text=getattr(block, kind_of(block).text or "_", ""),
        )
    for wire in bd.wirelist:
        start, end = wire.start, wire.end
        graph.add_edge(start.block.name, end.block.name, out=start.port, into=end.port)
    return graph


def add_block(
    graph: nx.MultiDiGraph,
    name: str,
    kind: str,
    ports: tuple[int, int],
    *,
    stateful: bool,
    pos: tuple[float, float] | None = None,
    Ts: float | None = None,
    text: Any = "",
) -> None:
    """Add a block to a graph of wires, with the attributes that `wire_graph` names.

    `stateful` is true for a block that has a state and no feedthrough.
    """
    nin, nout = ports
    number = not isinstance(text, str) and np.ndim(text) == 0
    graph.add_node(
        name,
        kind=kind.upper(),
        nin=nin,
        nout=nout,
        source=nin == 0,
        sink=nout == 0,
        delay=stateful and nin > 0 and nout > 0,
        pos=pos,
        Ts=Ts,
        text=f"{float(text):g}" if number else text if isinstance(text, str) else "",
    )


def check_ports(bd: BlockDiagram, wires: nx.MultiDiGraph) -> None:
    """Refuse an input port without a wire, or with several.

    Raises
    ------
    DiagramError
        If there is one.
    """
    drivers: dict[tuple[str, int], list[str]] = {}
    for start, end, wire in wires.edges(data=True):
        drivers.setdefault((end, wire["into"]), []).append(start)
    for block in bd.blocklist:
        for port in range(block.nin):
            driving = drivers.get((block.name, port), [])
            if not driving:
                raise DiagramError(
                    "an input port is not connected",
                    where=place(block, port),
                    block=block.name,
                    given="no wire",
                    expected="one wire",
                    mend="connect a block's output to it",
                )
            if len(driving) > 1:
                raise DiagramError(
                    "an input port has more than one wire",
                    where=place(block, port),
                    block=block.name,
                    given=f"wires from {', '.join(map(repr, driving))}",
                    expected="one wire",
                    mend="remove all but one, or add the signals with a SUM",
                )


def check_loops(wires: nx.MultiDiGraph) -> None:
    """Refuse a loop without a delay in a graph of wires, as `wire_graph` returns it.

    Raises
    ------
    AlgebraicLoopError
        If there is one; it names its blocks in order.
    """
    # The output of a delay does not depend on its input at once.
    graph = wires.subgraph([name for name, delay in wires.nodes(data="delay") if not delay])
    for component in nx.strongly_connected_components(graph):
        if len(component) > 1 or any(graph.has_edge(name, name) for name in component):
            loop = nx.find_cycle(graph.subgraph(component))
            names = [loop[0][0], *(edge[1] for edge in loop)]
            raise AlgebraicLoopError(
                "there is an algebraic loop: a signal would depend on itself at once",
                where=" -> ".join(names),
                given=f"a loop of {len(names) - 1} blocks without a delay",
                expected="at least one delay in every loop",
                mend="put a UNITDELAY into the loop",
            )
