"""Routing of wires: orthogonal ways between ports, around all blocks, on the grid.

All wires from one output are a net, a tree of straight segments.  Each is found by an A*
search in which length, bends and crossings cost; no two nets share a segment, and none bends on
another one, so that a dot always means a branch.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

from lstmsim.plotting.diagram.placing import GRID, WIDTH, Box

Point = tuple[int, int]
#: A wire's two ends: block and output port, block and input port.
Ends = tuple[str, int, str, int]

#: The costs of a step on the grid, of one off the net's trunk, of a bend and of a crossing.
_STEP, _OFF, _BEND, _CROSS, _CLASH = 10, 1, 30, 50, 5_000
#: After so many steps the search multiplies its estimate of the remaining cost: it then finds ways
#: far sooner, with more bends.
_SEARCH_STEPS, _HASTY_STEP = 1_000_000, 20
#: Free rows and columns around the blocks.
_MARGIN = 12
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


@dataclass
class _Field:
    """The grid: the points that blocks take, and the nets through every point."""

    left: int
    top: int
    columns: int
    rows: int
    blocked: bytearray
    #: The nets at every point, each with a bit for every direction in which it goes on.
    used: dict[int, dict[int, int]] = field(default_factory=dict)
    #: The points before the ports, each with the net that needs it.
    front: dict[int, int] = field(default_factory=dict)
    steps_left: int = _SEARCH_STEPS

    def number(self, point: Point) -> int:
        x, y = (point[0] - self.left) // GRID, (point[1] - self.top) // GRID
        return y * self.columns + x

    def point(self, number: int) -> Point:
        y, x = divmod(number, self.columns)
        return self.left + GRID * x, self.top + GRID * y


def route(boxes: dict[str, Box], wires: Iterable[Ends]) -> tuple[dict[Ends, list[Point]], bool]:
    """Return every wire's way from its output to its input, as the corners of its segments.

    Parameters
    ----------
    boxes : dict of Box
        The blocks, none on another.
    wires : iterable of (start, out, end, into)
        The wires.

    Returns
    -------
    ways : dict of list of point
        By wire; the first and the last point are the ports'.
    clear : bool
        Whether no two nets share a segment; else there is too little room.
    """
    nets: dict[tuple[str, int], list[Ends]] = {}
    for wire in wires:
        nets.setdefault(wire[:2], []).append(wire)
    grid = _field(boxes.values())

    def ends(wire: Ends) -> tuple[Point, Point]:
        return boxes[wire[0]].port("out", wire[1]), boxes[wire[2]].port("in", wire[3])

    def length(wire: Ends) -> int:
        (x, y), (to_x, to_y) = ends(wire)
        # Straight wires come first and feedback last: it finds a way around the others.
        return abs(to_x - x) + 3 * abs(to_y - y) + (4000 if to_x < x else 0)

    order = sorted(nets, key=lambda key: min(map(length, nets[key])))
    ways: dict[Ends, list[int]] = {}
    for net, key in enumerate(order):
        for wire in nets[key]:
            for box, side, number in ((wire[0], "out", wire[1]), (wire[2], "in", wire[3])):
                x, y = boxes[box].port(side, number)
                before = x + GRID if x > boxes[box].left else x - GRID
                grid.front[grid.number((before, y))] = net
    # A second round lets every net avoid all others; a third one separates nets that overlap.
    for again in range(3):
        for net, key in enumerate(order):
            if again:
                _forget(grid, net, (ways[wire] for wire in nets[key]))
            found = {wire: tuple(map(grid.number, ends(wire))) for wire in nets[key]}
            ways |= _net(grid, net, found, sorted(nets[key], key=length), bool(again))
        clear = _is_clear(grid)
        if clear and (again or len(boxes) > 400):
            break
    return {wire: _corners([grid.point(n) for n in way]) for wire, way in ways.items()}, clear


def _net(
    grid: _Field, net: int, ends: dict[Ends, tuple[int, ...]], wires: list[Ends], careful: bool
) -> dict[Ends, list[int]]:
    """Return the ways of a net's wires: the cheapest of the trees about several trunks."""
    starts, goals = (
        [point % grid.columns for point in side] for side in zip(*ends.values(), strict=True)
    )
    near = min(goals) - 1
    tries = [(near, wires)]
    if careful and len(wires) > 1:
        tries += [(trunk, wires) for trunk in (near - 1, near - 2, near - 3, starts[0] + 1)]
        tries += [(near, wires[::-1])]
    best: tuple[dict[Ends, list[int]], int] | None = None
    for trunk, order in tries:
        tree = {ends[order[0]][0]: [ends[order[0]][0]]}
        ways, cost = {}, 0
        for wire in order:
            way, price = _search(grid, net, tree, ends[wire][1], trunk)
            _remember(grid, net, way)
            for k, point in enumerate(way):
                tree.setdefault(point, way[: k + 1])
            ways[wire] = way
            cost += price
        _forget(grid, net, ways.values())
        if best is None or cost < best[1]:
            best = ways, cost
    assert best is not None
    for way in best[0].values():
        _remember(grid, net, way)
    return best[0]


def _is_clear(grid: _Field) -> bool:
    """Whether nets that meet cross: one is horizontal there, the other vertical."""
    meeting = (sorted(nets.values()) for nets in grid.used.values() if len(nets) > 1)
    return all(bits == [0b0101, 0b1010] for bits in meeting)


def _field(boxes: Iterable[Box]) -> _Field:
    boxes = list(boxes)
    left = min(box.left for box in boxes) - _MARGIN * GRID
    top = min(box.top for box in boxes) - _MARGIN * GRID
    columns = (max(box.left for box in boxes) - left + WIDTH) // GRID + _MARGIN
    rows = (max(box.top + box.height for box in boxes) - top) // GRID + _MARGIN
    grid = _Field(left, top, columns, rows, bytearray(columns * rows))
    for x in (0, columns - 1):
        for y in range(rows):
            grid.blocked[y * columns + x] = 1
    for y in (0, rows - 1):
        grid.blocked[y * columns : (y + 1) * columns] = b"\1" * columns
    for box in boxes:
        last = box.rectangle[3]
        _block(grid, box.left, box.top + GRID, box.left + WIDTH, last - 10)
        if box.label:
            middle = box.left + WIDTH // 2
            half = max(box.label // 2, GRID // 2)
            _block(grid, middle - half, last + 10, middle + half, last + 10)
    return grid


def _block(grid: _Field, left: int, top: int, right: int, bottom: int) -> None:
    for y in range(-(-(top - grid.top) // GRID), (bottom - grid.top) // GRID + 1):
        for x in range(-(-(left - grid.left) // GRID), (right - grid.left) // GRID + 1):
            grid.blocked[y * grid.columns + x] = 1


def _search(
    grid: _Field, net: int, tree: dict[int, list[int]], goal: int, trunk: int
) -> tuple[list[int], int]:
    """Return the cheapest way from a net's start through its tree to a port, and its added cost.

    Vertical steps are a little cheaper in the trunk's column, so that branches share a trunk.
    """
    columns, blocked, used, front = grid.columns, grid.blocked, grid.used, grid.front
    goal_y, goal_x = divmod(goal, columns)
    moves = tuple(dx + columns * dy for dx, dy in _STEPS)
    best: dict[int, int] = {}
    came: dict[int, int] = {}
    queue: list[tuple[int, int, int]] = []
    pace = _STEP if grid.steps_left > 0 else _HASTY_STEP

    def ahead(point: int) -> int:
        y, x = divmod(point, columns)
        return pace * (abs(x - goal_x) + abs(y - goal_y)) + (_BEND if y != goal_y else 0)

    start = next(iter(tree))
    for point in tree:
        if blocked[point] and point != start:
            continue
        crossed = len(used.get(point, {})) > 1
        mine = used.get(point, {}).get(net, 0)
        for d in range(4):
            to = point + moves[d]
            if (not blocked[to] or (to == goal and not d & 1)) and not mine >> d & 1:
                # A branch costs as much as a bend, since it looks like one.
                state = point * 4 + d
                straight = mine >> (d ^ 2) & 1 and bin(mine).count("1") == 1
                best[state] = 0 if not mine or straight else _CLASH if crossed else _BEND
                heapq.heappush(queue, (best[state] + ahead(point), -best[state], state))
    while queue:
        # Of equal estimates the one with the higher cost, which is closer to the goal.
        _, cost, state = heapq.heappop(queue)
        cost = -cost
        if cost > best[state]:
            continue
        point, d = divmod(state, 4)
        if point == goal:
            break
        to = point + moves[d]
        if blocked[to] and (to != goal or d & 1):
            continue
        there = used.get(to)
        foreign = [bits for other, bits in there.items() if other != net] if there else []
        if net in (there or {}) and to != goal:
            continue  # a shorter way begins at that point of the net's own tree
        along = any(bits & (1 << (d ^ 2) | 1 << d) for bits in foreign)
        off = _OFF if d & 1 and to % columns != trunk else 0
        step = cost + _STEP + off + (_CLASH if along else _CROSS * len(foreign))
        for turn in (d, (d + 1) & 3, (d + 3) & 3):
            price = step
            if turn != d:
                price += _BEND + (_CLASH if foreign else 0)
                price += _CLASH if front.get(to, net) != net else 0
            new = to * 4 + turn
            if price < best.get(new, 1 << 60):
                best[new] = price
                came[new] = state
                heapq.heappush(queue, (price + ahead(to), -price, new))
            if to == goal:
                break
    else:
        raise AssertionError("no way, although the margin leads around all blocks")
    grid.steps_left -= len(best)
    back = [point]
    while state in came:
        state = came[state]
        back.append(state // 4)
    back.reverse()
    return [*tree[back[0]], *back[1:]], cost


def _remember(grid: _Field, net: int, way: list[int]) -> None:
    for a, b in itertools.pairwise(way):
        d = {1: 0, grid.columns: 1, -1: 2, -grid.columns: 3}[b - a]
        for point, bit in ((a, d), (b, d ^ 2)):
            bits = grid.used.setdefault(point, {})
            bits[net] = bits.get(net, 0) | 1 << bit


def _forget(grid: _Field, net: int, ways: Iterable[list[int]]) -> None:
    for point in {point for way in ways for point in way}:
        grid.used[point].pop(net, None)
        if not grid.used[point]:
            del grid.used[point]


def _corners(points: list[Point]) -> list[Point]:
    kept = [points[0]]
    for before, at, after in zip(points, points[1:], points[2:], strict=False):
        straight = (at[0] - before[0], at[1] - before[1]) == (after[0] - at[0], after[1] - at[1])
        if not straight:
            kept.append(at)
    return [*kept, points[-1]]
