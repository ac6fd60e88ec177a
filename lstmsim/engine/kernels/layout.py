"""Where a loop's kernel finds and keeps its numbers.

Widths are padded to whole vectors of `lanes` elements.  What a loop computes is logged in rows
of one buffer, a row a sample, after one row for the initial states: a delay then needs no room
of its own, it reads its input's place in the row before.
"""

from __future__ import annotations

from dataclasses import dataclass

from lstmsim.engine.graph import Graph, Node
from lstmsim.engine.schedule import Stage


@dataclass(frozen=True)
class Phase:
    """Nodes of one loop that one pass over the vectors computes.

    Parameters
    ----------
    nodes : tuple of Node
        In order; all of one width, so that elements stay in registers between them.
    vector : bool
        False for the operations that move elements about, which go element by element.
    """

    nodes: tuple[Node, ...]
    vector: bool


def phases(stage: Stage) -> tuple[Phase, ...]:
    """Split a loop into the fewest passes.

    A gain needs the whole vector that it multiplies, and so does what moves elements about, or
    spreads one over many: these come a pass after what computes that vector.
    """
    inside = {node.name: node for node in stage.nodes if not node.op.memory}
    level: dict[str, int] = {}
    for node in stage.nodes:
        if node.op.memory:
            continue
        level[node.name] = max(
            (
                level[name] + (not _stays_in_registers(node, inside[name]))
                for name in node.inputs
                if name in inside
            ),
            default=0,
        )
    groups: dict[tuple[int, bool, int], list[Node]] = {}
    for node in inside.values():
        key = (level[node.name], _is_vector(node), node.width)
        groups.setdefault(key, []).append(node)
    return tuple(Phase(tuple(groups[key]), key[1]) for key in sorted(groups))


def _is_vector(node: Node) -> bool:
    return node.op.elementwise or node.op.product


def _stays_in_registers(node: Node, source: Node) -> bool:
    return node.op.elementwise and _is_vector(source) and node.width == source.width


@dataclass(frozen=True)
class Places:
    """The slots of one loop's buffers, by signal name.

    Parameters
    ----------
    log : dict of int
        Slots of a row of the log: what is kept of a sample.
    delays : dict of str
        For every delay the slot's name that it reads in the row before.
    external : tuple of str
        Signals from other stages, a row a sample.
    constants : tuple of str
        Constants from other stages, one vector for all samples.
    """

    log: dict[str, int]
    delays: dict[str, str]
    external: tuple[str, ...]
    constants: tuple[str, ...]


def places(graph: Graph, stage: Stage) -> Places:
    """Give every signal of a loop its place."""
    inside = {node.name for node in stage.nodes}
    delays: dict[str, str] = {}
    own: list[str] = []
    for node in stage.delays:
        source = node.inputs[0]
        # What a delay or another stage puts out is not logged; and two delays of one signal begin
        # with different values, so that one of them gets a place.
        logged = source in inside and source not in graph.delays
        if not logged or source in delays.values():
            own.append(node.name)
            delays[node.name] = node.name
        else:
            delays[node.name] = source
    kept = [node.name for node in stage.nodes if not node.op.memory]
    outside = dict.fromkeys(
        name for node in stage.nodes for name in node.inputs if name not in inside
    )
    constants = tuple(n for n in outside if n in graph.nodes and graph.nodes[n].op.constant)
    return Places(
        log={name: k for k, name in enumerate([*kept, *own])},
        delays=delays,
        external=tuple(name for name in outside if name not in constants),
        constants=constants,
    )
