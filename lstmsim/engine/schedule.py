"""The schedule: what must step through time, and what need not.

What must be sequential is exactly what lies in a feedback loop.  The graph is condensed into
strongly connected components; in their topological order those without a loop are evaluated
for all samples at once, and each loop is stepped through the samples by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import networkx as nx

from lstmsim.engine.graph import Graph, Node


@dataclass(frozen=True)
class Stage:
    """Nodes that are computed together.

    Parameters
    ----------
    loop : bool
        Whether they step through time sample by sample.
    nodes : tuple of Node
        In the order of computation.  In a loop the delays come first: what they put out at a
        sample is known before it.
    """

    loop: bool
    nodes: tuple[Node, ...]

    @property
    def delays(self) -> tuple[Node, ...]:
        """The nodes that keep a state."""
        return tuple(node for node in self.nodes if node.op.memory)


def stacks_of(nodes: Iterable[Node]) -> dict[str, list[Node]]:
    """Return the gains among some nodes by the signal that they multiply."""
    stacks: dict[str, list[Node]] = {}
    for node in nodes:
        if node.op.product:
            stacks.setdefault(node.inputs[0], []).append(node)
    return stacks


@dataclass(frozen=True)
class Schedule:
    """The stages of a graph, in order; ``print(schedule)`` explains them."""

    stages: tuple[Stage, ...]

    def __str__(self) -> str:
        lines = []
        for number, stage in enumerate(self.stages, start=1):
            if stage.loop:
                delays = " and ".join(node.name for node in stage.delays)
                lines.append(
                    f"stage {number}: {_count(len(stage.nodes))} stepped through time, sample by "
                    f"sample: they lie in feedback loops through {delays}"
                )
            else:
                lines.append(
                    f"stage {number}: {_count(len(stage.nodes))} for all samples at once: no loop "
                    "passes through them"
                )
            lines.extend(_wrapped(node.name for node in stage.nodes))
            for stack in stacks_of(stage.nodes).values():
                if len(stack) > 1:
                    names = ", ".join(node.name for node in stack)
                    lines.append(f"  stacked into one product, {stack[0].inputs[0]} →: {names}")
        return "\n".join(lines)


def _count(n: int) -> str:
    return f"{n} signal" + ("" if n == 1 else "s")


def _wrapped(names: Iterable[str], width: int = 96) -> list[str]:
    lines, line = [], "   "
    for name in names:
        if len(line) + len(name) + 1 > width:
            lines.append(line)
            line = "   "
        line += f" {name}"
    return [*lines, line]


def make_schedule(graph: Graph) -> Schedule:
    """Derive the schedule of a graph.

    Loops without a delay do not occur: they are refused, and named, when the diagram is
    compiled.
    """
    wires = nx.DiGraph()
    wires.add_nodes_from(graph.nodes)
    for node in graph.nodes.values():
        wires.add_edges_from([(name, node.name) for name in node.inputs if name in graph.nodes])
    position = {name: k for k, name in enumerate(graph.nodes)}
    condensed = nx.condensation(wires)
    groups = dict(condensed.nodes(data="members"))
    # What is ready without a loop comes before loops, so that there are few stages.
    key = {c: (_is_loop(wires, g), min(map(position.__getitem__, g))) for c, g in groups.items()}
    stages: list[Stage] = []
    waiting: list[Node] = []
    for component in nx.lexicographical_topological_sort(condensed, key=key.__getitem__):
        members = sorted(groups[component], key=position.__getitem__)
        if not _is_loop(wires, members):
            waiting.append(graph.nodes[members[0]])
            continue
        if waiting:
            stages.append(Stage(False, tuple(waiting)))
            waiting = []
        stages.append(Stage(True, _sample_order(graph, members)))
    if waiting:
        stages.append(Stage(False, tuple(waiting)))
    return Schedule(tuple(stages))


def _is_loop(wires: nx.DiGraph, members: Collection[str]) -> bool:
    if len(members) > 1:
        return True
    (name,) = members
    return bool(wires.has_edge(name, name))


def _sample_order(graph: Graph, members: list[str]) -> tuple[Node, ...]:
    """Return the nodes of a loop in the order of one sample, its delays first."""
    delays = [name for name in members if graph.nodes[name].op.memory]
    inner = nx.DiGraph()
    inner.add_nodes_from([name for name in members if name not in delays])
    for name in inner:
        inner.add_edges_from([(i, name) for i in graph.nodes[name].inputs if i in inner])
    position = {name: k for k, name in enumerate(members)}
    ordered = nx.lexicographical_topological_sort(inner, key=position.__getitem__)
    return tuple([graph.nodes[name] for name in [*delays, *ordered]])
