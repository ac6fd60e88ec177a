"""Placement of blocks: at their own positions, or in layers from left to right.

Lengths are bdedit's pixels, y downwards, on its grid of 20.  Ports are where bdedit has them,
40 below a block's corner and 20 apart, so that wires which run straight there do so here.
"""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np

#: The grid that blocks and wires lie on, and the width of a block with its two stubs of wire.
GRID, WIDTH = 20, 100
_FIRST_PORT = 40
#: Positions further out are ignored: a file may hold any number.
_FURTHEST = 50_000
#: The distance between rows of blocks.
_ROW = 140


@dataclass(frozen=True)
class Box:
    """One block of a drawing.

    Parameters
    ----------
    name : str
        The block.
    left, top : int
        Its corner, on the grid.
    nin, nout : int
        Its ports.
    label : int
        Width of the name below it, 0 if there is none.
    flipped : bool
        Whether its inputs are on the right.
    """

    name: str
    left: int
    top: int
    nin: int
    nout: int
    label: int = 0
    flipped: bool = False

    @property
    def height(self) -> int:
        """The height that wires keep clear of, with the name below the box."""
        return _FIRST_PORT + GRID * max(self.nin, self.nout, 1) + GRID * (self.label > 0)

    @property
    def rectangle(self) -> tuple[int, int, int, int]:
        """The drawn box: left, top, right, bottom."""
        bottom = self.top + 50 + GRID * max(self.nin, self.nout, 1)
        return self.left + 10, self.top + 10, self.left + WIDTH - 10, bottom

    def port(self, side: str, number: int) -> tuple[int, int]:
        """Return the point on the grid where a wire ends, 10 before the box."""
        right = (side == "out") != self.flipped
        return self.left + WIDTH * right, self.top + _FIRST_PORT + GRID * number

    def at(self, left: float, top: float) -> Box:
        """Return the box in another place, on the grid."""
        return replace(self, left=GRID * round(left / GRID), top=GRID * round(top / GRID))

    def clashes(self, other: Box, room: int = 0) -> bool:
        """Whether two boxes overlap, or are too close for a wire between them and for `room`."""
        widths = [self.label, other.label, WIDTH + 2 * GRID]
        # The other box's ports need to stay clear of the name, too.
        gap = max((self.label + other.label) // 2 + GRID, (max(widths) + WIDTH) // 2 + GRID)
        below = GRID + room
        return (
            abs(self.left - other.left) < gap + room
            and self.top < other.top + other.height + below
            and other.top < self.top + self.height + below
        )


def place(graph: nx.MultiDiGraph, labels: dict[str, int]) -> dict[str, Box]:
    """Return where the blocks of a graph of wires are drawn, none on another.

    Parameters
    ----------
    graph : networkx.MultiDiGraph
        As `structure.wire_graph` makes it.
    labels : dict of int
        The widths of the names below the blocks.

    Returns
    -------
    dict of Box
        By block name.
    """
    boxes = {
        name: Box(name, 0, 0, block["nin"], block["nout"], labels[name])
        for name, block in graph.nodes(data=True)
    }
    given = {
        name: pos
        for name, pos in graph.nodes(data="pos")
        if pos is not None and all(abs(part) <= _FURTHEST for part in pos)
    }
    if len(set(given.values())) > len(boxes) / 2 or len(boxes) == len(given) == 1:
        boxes |= _where_given(boxes, given)
        placed = _beside(graph, boxes, [name for name in boxes if name in given])
    else:
        placed = layered(graph, boxes)
    return {
        name: replace(box, flipped=_runs_back(graph, placed, name)) for name, box in placed.items()
    }


def _runs_back(graph: nx.MultiDiGraph, boxes: dict[str, Box], name: str) -> bool:
    """Whether the signal passes a block from right to left, as in a feedback path."""
    here = boxes[name].left
    before, after = set(graph.predecessors(name)), set(graph.successors(name))
    return (
        bool(before and after)
        and all(boxes[other].left > here for other in before)
        and all(boxes[other].left <= here and other != name for other in after)
    )


def _where_given(boxes: dict[str, Box], given: dict[str, tuple[float, float]]) -> dict[str, Box]:
    """Return boxes at their positions, spread by the smallest factor that keeps them apart."""
    for spread in (1.0, 1.25, 1.5, 2.0):
        spots = {name: boxes[name].at(spread * x, spread * y) for name, (x, y) in given.items()}
        if not any(a.clashes(b) for a, b in itertools.combinations(spots.values(), 2)):
            break
    return spots


def _beside(graph: nx.MultiDiGraph, boxes: dict[str, Box], fixed: list[str]) -> dict[str, Box]:
    """Return all boxes; those without a position go beside a block that they are wired to."""
    placed: dict[str, Box] = {}
    for name in fixed:
        placed[name] = _nearest_free(boxes[name], placed)
    loose = [name for name in boxes if name not in placed]
    while loose:
        # First blocks with a neighbour that is placed; without any, a new row begins below.
        wired = (n for n in loose if any(o in placed for o in nx.all_neighbors(graph, n)))
        name = next(wired, loose[0])
        loose.remove(name)
        before = [placed[o] for o in graph.predecessors(name) if o in placed]
        after = [placed[o] for o in graph.successors(name) if o in placed]
        if before:
            left, top = max(b.left for b in before) + 180, before[0].top
        elif after:
            left, top = min(b.left for b in after) - 180, after[0].top
        else:
            left = min((b.left for b in placed.values()), default=0)
            top = max((b.top for b in placed.values()), default=-_ROW) + _ROW
        placed[name] = _nearest_free(boxes[name].at(left, top), placed)
    return {name: placed[name] for name in boxes}


def _nearest_free(box: Box, placed: dict[str, Box]) -> Box:
    """Return a box at the nearest position where it clashes with no other."""
    if not any(box.clashes(other) for other in placed.values()):
        return box
    for ring in itertools.count():
        steps = range(-ring, ring + 1)
        around = [(x, y) for x in steps for y in steps if max(abs(x), abs(y)) == ring]
        for x, y in sorted(around, key=lambda step: (abs(step[0]) + abs(step[1]), step)):
            moved = box.at(box.left + 40 * x, box.top + 40 * y)
            if not any(moved.clashes(other, 2 * GRID) for other in placed.values()):
                return moved
    raise AssertionError("no room, although the plane is infinite")


def layered(graph: nx.MultiDiGraph, boxes: dict[str, Box]) -> dict[str, Box]:
    """Return boxes in layers along the signal's flow, with the delays of loops below.

    Parameters
    ----------
    graph : networkx.MultiDiGraph
        The wires.
    boxes : dict of Box
        The boxes of all blocks, at any position.

    Returns
    -------
    dict of Box
        The same boxes in their new places.
    """
    parts = nx.strongly_connected_components(graph)
    looped = {n for part in parts if len(part) > 1 for n in part if graph.nodes[n]["delay"]}
    flow = nx.DiGraph(graph.subgraph([n for n in graph if n not in looped]))
    flow.remove_edges_from(list(nx.selfloop_edges(flow)))
    columns = _ordered(graph, flow, _columns(flow))
    lefts = _lefts(graph, boxes, columns)
    tops = _tops(flow, graph, boxes, columns)
    placed = {
        name: boxes[name].at(lefts[n], tops[name])
        for n, column in enumerate(columns)
        for name in column
    }
    bottom = max((box.top + box.height for box in placed.values()), default=0) + 2 * GRID
    return placed | _below(graph, boxes, placed, looped, bottom)


def _columns(flow: nx.DiGraph) -> list[list[str]]:
    """Return the layers of a graph without loops; sources stand next to the blocks they drive."""
    generations = enumerate(nx.topological_generations(flow))
    layer = {name: number for number, names in generations for name in names}
    for name in reversed(layer):
        users = [layer[other] for other in flow.successors(name)]
        if users and flow.out_degree(name) > flow.in_degree(name):
            layer[name] = min(users) - 1
    used = sorted(set(layer.values()))
    return [[name for name in flow if layer[name] == number] for number in used]


def _ordered(graph: nx.MultiDiGraph, flow: nx.DiGraph, columns: list[list[str]]) -> list[list[str]]:
    """Return the layers with their blocks ordered by barycentres, so that few wires cross."""
    height = {name: float(k) for column in columns for k, name in enumerate(column)}
    # A port is a fraction of a block's height, so that wires keep the order of the ports.
    ends: dict[str, list[tuple[str, float]]] = {name: [] for name in flow}
    starts: dict[str, list[tuple[str, float]]] = {name: [] for name in flow}
    for start, end, ports in graph.edges(data=True):
        if start in flow and end in flow:
            ends[end].append((start, 0.1 * ports["out"]))
            starts[start].append((end, 0.1 * ports["into"]))
    for sweep in range(12):
        neighbours = starts if sweep % 2 else ends
        for column in reversed(columns) if sweep % 2 else columns:
            wish = {
                name: statistics.fmean([height[o] + port for o, port in neighbours[name]])
                if neighbours[name]
                else height[name]
                for name in column
            }
            column.sort(key=lambda name: (wish[name], height[name]))
            middle = (len(column) - 1) / 2
            # From the middle, so that short columns are centred beside long ones.
            height |= {name: k - middle for k, name in enumerate(column)}
    return columns


def _lefts(graph: nx.MultiDiGraph, boxes: dict[str, Box], columns: list[list[str]]) -> list[int]:
    """Return the layers' left edges, with room between them for the wires that turn there."""
    number = {name: n for n, column in enumerate(columns) for name in column}
    turning: list[set[tuple[str, int]]] = [set() for _ in range(len(columns) + 1)]
    for start, end, ports in graph.edges(data=True):
        for name in (start, end):
            if name in number:
                turning[number[name] + (name == start)].add((start, ports["out"]))
    widest = [max((boxes[name].label for name in column), default=0) for column in columns]
    lefts, left = [], 0
    for n in range(len(columns)):
        if n:
            room = WIDTH + GRID * min(max(len(turning[n]) + 1, 4), 14)
            left += max(room, (widest[n - 1] + widest[n]) // 2 + 2 * GRID)
        lefts.append(left)
    return lefts


def _tops(
    flow: nx.DiGraph, graph: nx.MultiDiGraph, boxes: dict[str, Box], columns: list[list[str]]
) -> dict[str, float]:
    """Return the blocks' tops, level with their neighbours' ports where there is room."""
    tops = {name: float(_ROW * k) for column in columns for k, name in enumerate(column)}
    wires: dict[str, list[tuple[str, str, int]]] = {name: [] for name in flow}
    for start, end, ports in graph.edges(data=True):
        if start in flow and end in flow and start != end:
            # The difference of the tops for which the two ports are level.
            shift = GRID * (ports["out"] - ports["into"])
            wires[end].append(("before", start, shift))
            wires[start].append(("after", end, -shift))
    for side in ("before", "after") * 3 + ("before",):
        for column in columns if side == "before" else reversed(columns):
            wishes = []
            for name in column:
                to = [tops[o] + shift for where, o, shift in wires[name] if where == side]
                wishes.append(statistics.median_low(to) if to else tops[name])
            rooms = [boxes[name].height + 2 * GRID for name in column]
            tops |= dict(zip(column, _apart(wishes, rooms), strict=True))
    return tops


def _apart(wishes: list[float], rooms: list[int]) -> list[float]:
    """Return tops near the wished ones, in order, each below the room of the one before.

    Least squares under these bounds, which is an isotonic regression.
    """
    from scipy.optimize import isotonic_regression

    offsets = np.cumsum([0, *rooms[:-1]])
    levels = GRID * np.round(isotonic_regression(np.subtract(wishes, offsets)).x / GRID)
    return [float(top) for top in levels + offsets]


def _below(
    graph: nx.MultiDiGraph,
    boxes: dict[str, Box],
    placed: dict[str, Box],
    looped: set[str],
    bottom: int,
) -> dict[str, Box]:
    """Return the delays of loops in rows, those of short ways back above those of long ones."""
    spans = {}
    for name in (n for n in graph if n in looped):
        around = [placed[o].left for o in nx.all_neighbors(graph, name) if o in placed]
        spans[name] = (min(around, default=0), max(around, default=0))
    rows: list[list[tuple[int, int]]] = []
    back: dict[str, Box] = {}
    for name in sorted(spans, key=lambda n: spans[n][1] - spans[n][0]):
        left, right = spans[name]
        middle = (left + right) // 2
        taken = (min(left, middle - WIDTH) - GRID, max(right, middle + WIDTH) + WIDTH + GRID)
        row = next(
            (
                n
                for n, row in enumerate(rows)
                if all(taken[0] >= b or taken[1] <= a for a, b in row)
            ),
            len(rows),
        )
        if row == len(rows):
            rows.append([])
        rows[row].append(taken)
        back[name] = boxes[name].at(middle, bottom + _ROW * row)
    return back
