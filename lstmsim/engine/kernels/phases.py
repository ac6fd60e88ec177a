"""Phases: how a loop is split into passes over the elements of its signals."""

from __future__ import annotations

from dataclasses import dataclass

from lstmsim.engine.graph import Node
from lstmsim.engine.schedule import Stage


@dataclass(frozen=True)
class Phase:
    """Nodes of one loop that one pass over the vectors computes.

    Parameters
    ----------
    nodes : tuple of Node
        In order; all of one width, so that elements stay in registers between them.
    vector : bool
        False for the operations that move elements about or mix them, which go element by element.
    """

    nodes: tuple[Node, ...]
    vector: bool


def phases(stage: Stage) -> tuple[Phase, ...]:
    """Split a loop into the fewest passes.

    A gain needs the whole vector that it multiplies, and so does what moves or mixes elements, or
    spreads one over many: these come a pass after what computes that vector.
    """
    # A delay's output is known before the sample: it puts no reader into a later pass.
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
    # Of one width, so that one loop over the vectors computes all nodes of a group; passes cost a
    # store and a load of every signal between them.
    groups: dict[tuple[int, bool, int], list[Node]] = {}
    for node in inside.values():
        key = (level[node.name], _is_vector(node), node.width)
        groups.setdefault(key, []).append(node)
    return tuple(Phase(tuple(groups[key]), key[1]) for key in sorted(groups))


def _is_vector(node: Node) -> bool:
    return node.op.elementwise or node.op.product


def _stays_in_registers(node: Node, source: Node) -> bool:
    return node.op.elementwise and _is_vector(source) and node.width == source.width
