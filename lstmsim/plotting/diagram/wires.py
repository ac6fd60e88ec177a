"""Wires as they are drawn: strands in the colours of loops, branches, arrow heads, numbers."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lstmsim.dynamics import LoopGroup
from lstmsim.plotting.diagram.placing import GRID, Box
from lstmsim.plotting.diagram.routing import Ends, Point
from lstmsim.plotting.diagram.symbols import INK, POINT
from lstmsim.plotting.style import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Groups with a colour of their own.
COLOURED = 12
OTHERS = "#8c8c8c"


class Palette:
    """The colours of groups and of their loops, and which loops a wire carries.

    Parameters
    ----------
    groups : sequence of LoopGroup
        What is shown.
    """

    def __init__(self, groups: Sequence[LoopGroup]) -> None:
        self.groups = groups
        self.colour: dict[int, str] = {}
        self.shade: dict[int, str] = {}
        self.group_of: dict[int, int] = {}
        self.carried: dict[Ends, set[int]] = {}
        for place_, group in enumerate(groups):
            base = _tinted(COLOURS[place_ % 6], (0.0, -0.4)[place_ // 6 % 2])
            self.colour[place_] = base if place_ < COLOURED else OTHERS
            n = len(group.loops)
            for k, loop in enumerate(group.loops):
                self.shade[loop.number] = _tinted(self.colour[place_], _tint(k, n))
                self.group_of[loop.number] = place_
                for w in loop.wires:
                    self.carried.setdefault((w.start, w.out, w.end, w.into), set()).add(loop.number)

    def strands(self, carried: Iterable[int]) -> list[str]:
        """Return the colours of a wire that carries some loops, the lowest one first."""
        by_group: dict[int, list[int]] = {}
        for number in sorted(carried):
            by_group.setdefault(self.group_of[number], []).append(number)
        colours = [
            self.shade[numbers[0]] if len(numbers) == 1 else self.colour[group]
            for group, numbers in by_group.items()
        ]
        # The inner ones, which come first, lie on those around them.
        return list(dict.fromkeys(colours))[:4][::-1]

    def of_delay(self, name: str) -> str | None:
        """Return the colour of the first group through a delay."""
        places = (k for k, group in enumerate(self.groups) if name in group.delays)
        first = next(places, None)
        return None if first is None else self.colour[first]


def _tint(k: int, n: int) -> float:
    """Return a shade's tint: lighter ones, then darker ones, none like what they share."""
    if n == 1:
        return 0.0
    light = -(-n // 2)
    if k < light:
        return 0.6 - 0.35 * k / max(light - 1, 1)
    return -0.3 - 0.3 * (k - light) / max(n - light - 1, 1)


def _tinted(colour: str, tint: float) -> str:
    """Return a colour mixed with white, or, where the tint is negative, with black."""
    from matplotlib.colors import to_hex, to_rgb

    end = 1.0 if tint > 0 else 0.0
    red, green, blue = (part + abs(tint) * (end - part) for part in to_rgb(colour))
    return to_hex((red, green, blue))


Segment = tuple[Point, Point]


def _units(way: list[Point]) -> list[Segment]:
    """Return a way's segments between neighbours on the grid, each from its lesser end."""
    units = []
    for (x, y), (to_x, to_y) in itertools.pairwise(way):
        dx, dy = (GRID * ((to > at) - (to < at)) for at, to in ((x, to_x), (y, to_y)))
        while (x, y) != (to_x, to_y):
            after = (x + dx, y + dy)
            units.append((min((x, y), after), max((x, y), after)))
            x, y = after
    return units


def _runs(units: dict[Segment, frozenset[int]]) -> list[tuple[Point, Point, frozenset[int]]]:
    """Return unit segments joined where they run on straight and carry the same loops."""
    runs: list[tuple[Point, Point, frozenset[int]]] = []
    for axis in (0, 1):
        along = [s for s in units if s[0][1 - axis] == s[1][1 - axis]]
        for start, end in sorted(along, key=lambda s: (s[0][1 - axis], s[0][axis])):
            carried = units[start, end]
            before = runs[-1] if runs else (end, end, carried)
            level = before[0][1 - axis] == end[1 - axis]
            if before[1] == start and before[2] == carried and level:
                runs[-1] = (before[0], end, carried)
            else:
                runs.append((start, end, carried))
    return runs


def draw_wires(
    axes: Axes, boxes: dict[str, Box], ways: dict[Ends, list[Point]], palette: Palette, zoom: float
) -> None:
    """Draw all wires.

    Parameters
    ----------
    axes : Axes
        With bdedit's pixels as its unit.
    boxes, ways : dict
        Where the blocks are, and the corners of the wires.
    palette : Palette
        The colours.
    zoom : float
        Factor of all sizes in points.
    """
    nets: dict[tuple[str, int], dict[Segment, set[int]]] = {}
    for wire, way in ways.items():
        units = nets.setdefault(wire[:2], {})
        for segment in _units(way):
            units.setdefault(segment, set()).update(palette.carried.get(wire, ()))
    # Which way the blocks lie from the points where wires end.
    starts, ends = {}, {}
    for wire, way in ways.items():
        starts[way[0]] = 1 if boxes[wire[0]].flipped else -1
        ends[way[-1]] = -1 if boxes[wire[2]].flipped else 1
    # Coloured nets lie on the others, and part them where they cross.
    order = sorted(nets, key=lambda key: any(nets[key].values()))
    for level, key in enumerate(order):
        _draw_net(axes, nets[key], (starts, ends), palette, zoom, 1 + level / len(order))
    for wire, way in ways.items():
        strands = palette.strands(palette.carried.get(wire, ())) or [INK]
        _arrow_head(axes, way[-1], ends[way[-1]], strands)
    _badges(axes, nets, palette, zoom)


def _draw_net(
    axes: Axes,
    units: dict[Segment, set[int]],
    ports: tuple[dict[Point, int], dict[Point, int]],
    palette: Palette,
    zoom: float,
    z: float,
) -> None:
    """Draw the wires from one output, with a dot at every branch."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Circle

    pieces = {segment: frozenset(on_it) for segment, on_it in units.items()}
    starts, ends = ports
    for start, end, carried in _runs(pieces):
        strands = palette.strands(carried) or [INK]
        widths = _widths(strands, zoom)
        gap = widths[0][1] + 2.6 * zoom
        xs, ys = (start[0], end[0]), (start[1], end[1])
        # Not by axes.plot, which looks at all limits again for each line.
        axes.add_line(Line2D(xs, ys, color="white", linewidth=gap, zorder=z, solid_capstyle="butt"))
        for k, (colour, width) in enumerate(widths):
            # On to below the box where it begins; at its end not beyond the arrow head.
            cap = width / (2 * POINT * zoom)
            reach = [starts.get(p, 0) * 12 - ends.get(p, 0) * cap for p in (start, end)]
            x = [at + by for at, by in zip(xs, reach, strict=True)]
            over = z + (1 + k - len(widths)) * 1e-4 + 5e-4
            style: dict[str, Any] = {"linewidth": width, "solid_capstyle": "projecting"}
            axes.add_line(Line2D(x, ys, color=colour, zorder=over, **style))
    legs: dict[Point, list[Segment]] = {}
    for segment in pieces:
        for point in segment:
            legs.setdefault(point, []).append(segment)
    for point, meeting in legs.items():
        if len(meeting) > 2:
            carried = frozenset[int]().union(*(pieces[s] for s in meeting))
            colour = (palette.strands(carried) or [INK])[0]
            radius = 6.5 if carried else 4.5
            axes.add_patch(Circle(point, radius, color=colour, zorder=3, linewidth=0))


def _arrow_head(axes: Axes, point: Point, into: int, strands: list[str]) -> None:
    """Draw the head of an arrow before a box; of several loops one in the other."""
    from matplotlib.patches import Polygon

    tip = point[0] + 10 * into
    for k, colour in enumerate(strands):
        plain = strands == [INK]
        more = 4 * (len(strands) - 1 - k)
        back, half = tip - (15 + 1.4 * more) * into, (6 if plain else 7.5) + more
        corners = [(tip, point[1]), (back, point[1] - half), (back, point[1] + half)]
        axes.add_patch(Polygon(corners, closed=True, color=colour, zorder=4 + k / 8, linewidth=0))


def _widths(strands: list[str], zoom: float) -> list[tuple[str, float]]:
    """Return the widths of strands that lie on one another, the widest and lowest first."""
    thin = 1.0 if strands == [INK] else 2.0
    above = range(len(strands) - 1, -1, -1)
    return [(colour, (thin + 2.6 * k) * zoom) for colour, k in zip(strands, above, strict=True)]


def _badges(
    axes: Axes,
    nets: dict[tuple[str, int], dict[Segment, set[int]]],
    palette: Palette,
    zoom: float,
) -> None:
    """Write every loop's number on a piece of wire that is its own, away from all others."""
    from matplotlib.patches import Circle

    if len(palette.shade) > 60:
        return
    busy = Counter(p for units in nets.values() for p in {p for segment in units for p in segment})
    lonely: dict[int, list[tuple[int, Segment]]] = {}
    for units in nets.values():
        merged = {segment: frozenset(on_it) for segment, on_it in units.items()}
        for start, end, carried in _runs(merged):
            length = abs(end[0] - start[0]) + abs(end[1] - start[1])
            for number in carried:
                mates = [n for n in carried if palette.group_of[n] == palette.group_of[number]]
                if len(mates) == 1 and length >= 3 * GRID:
                    rank = length + 100_000 * (len(carried) == 1)
                    lonely.setdefault(number, []).append((rank, (start, end)))
    for number, runs in lonely.items():
        _, (start, end) = max(runs)
        free = [(a, b) for a, b in _units([start, end])[1:-1] if busy[a] == busy[b] == 1]
        if not free:
            continue
        a, b = free[len(free) // 2]
        middle = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
        colour = palette.shade[number]
        axes.add_patch(
            Circle(middle, 9.5, facecolor="white", edgecolor=colour, lw=1.2 * zoom, zorder=7)
        )
        axes.text(
            *middle,
            str(number),
            ha="center",
            va="center_baseline",
            color=INK,
            fontsize=(6.0 if number < 10 else 4.8) * zoom,
            zorder=8,
            gid=f"loop {number}",
        )
