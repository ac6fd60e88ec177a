"""The result of a search for feedback loops: loops, their groups, and a report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import networkx as nx

from lstmsim.base import Report, Row, TableData, count, numbers, texts, words

#: Rows that a table shows of one group, groups that it shows, and names that it shows of many.
_ROWS, _GROUPS, _NAMES = 10, 20, 20


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
        """The group's position among the others: inner, outer, or, apart from them, single."""
        return "inner" if self.inside else "outer" if self.around else "single"

    @property
    def blocks(self) -> frozenset[str]:
        """All blocks that one of its loops passes."""
        return frozenset(name for loop in self.loops for name in loop.blocks)


@dataclass(frozen=True)
class LoopReport(Report):
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
        """The loops in a few sentences, group by group."""
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
    def title(self) -> str:
        """The heading of the report."""
        return "feedback loops"

    @property
    def tables(self) -> tuple[TableData, ...]:
        """The loops, group by group; the first ones where there are many."""
        rows = []
        for group in self.groups[:_GROUPS]:
            shown = group.loops[:_ROWS]
            rows += [
                (str(loop.number), group.name, group.role, way)
                for loop, way in zip(shown, _ways(shown), strict=True)
            ]
            more = _rest(len(group.loops) - _ROWS, "more loop", "… and ")
            rows += [("", group.name, group.role, rest) for rest in more]
        more = _rest(len(self.groups) - _GROUPS, "more group", "… and ")
        rows += [("", "", "", rest) for rest in more]
        columns = (*numbers("loop"), *texts("delays"), *words("role"), *texts("blocks"))
        return (TableData(columns, tuple(map(Row, rows)), self.title),)

    @property
    def content(self) -> dict[str, Any]:
        """The report with all loops that were found."""
        return {
            "summary": self.summary,
            "complete": self.complete,
            "stopped": self.stopped,
            "delays": self.delays,
            "groups": [
                {"name": group.name, "role": group.role} | asdict(group) for group in self.groups
            ],
        }


def _ways(loops: tuple[Loop, ...]) -> list[str]:
    """Return each loop's blocks, with the ports where another one passes the same blocks."""
    ways = []
    for loop in loops:
        alike = [other for other in loops if other.blocks == loop.blocks]
        names = list(loop.blocks)
        for k, wire in enumerate(loop.wires):
            following = (k + 1) % len(names)
            if len({other.wires[k].out for other in alike}) > 1:
                names[k] += f" (out {wire.out})"
            if len({other.wires[k].into for other in alike}) > 1:
                names[following] += f" (in {wire.into})"
        ways.append(" → ".join((*_some(tuple(names), _NAMES), loop.blocks[0])))
    return ways


def _some(names: tuple[str, ...], most: int) -> tuple[str, ...]:
    """Return the first and the last of many names, and how many there are between them."""
    if len(names) <= most:
        return names
    ends = most // 2
    return (*names[:ends], f"({len(names) - 2 * ends:,} more)", *names[-ends:])


def _rest(number: int, noun: str, before: str) -> list[str]:
    return [f"{before}{count(number, noun)}"] if number > 0 else []
