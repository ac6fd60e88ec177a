"""Drawing of wires: strands in the colours of loops, branches, arrow heads, numbers."""

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

#: Groups with a colour of their own, and loops that have a badge with their number.
COLOURED, _MAX_BADGES = 12, 60
OTHERS = "#8c8c8c"


class Palette:
    """The colours of groups and of their loops, and the loops of every wire.

    Parameters
    ----------
    groups : sequence of LoopGroup
        The groups to draw, inner ones before those around them.
    """

    def __init__(self, groups: Sequence[LoopGroup]) -> None:
        self.groups = groups
        self.colour: dict[int, str] = {}
        self.shade: dict[int, str] = {}
        self.group_of: dict[int, int] = {}
        self.carried: dict[Ends, set[int]] = {}
        for number, group in enumerate(groups):
            base = _tinted(COLOURS[number % 6], (0.0, -0.4)[number // 6 % 2])
            self.colour[number] = base if number < COLOURED else OTHERS
            for k, loop in enumerate(group.loops):
                tint = _tint(k, len(group.loops))
                self.shade[loop.number] = _tinted(self.colour[number], tint)
                self.group_of[loop.number] = number
                for w in loop.wires:
                    self.carried.setdefault((w.start, w.out, w.end, w.into), set()).add(loop.number)

    def strands(self, loops: Iterable[int]) -> list[str]:
        """Return the colours of a wire in some loops, the lowest strand first; ink without any."""
        by_group: dict[int, list[int]] = {}
        for loop in sorted(loops):
            by_group.setdefault(self.group_of[loop], []).append(loop)
        colours = [
            self.shade[members[0]] if len(members) == 1 else self.colour[group]
            for group, members in by_group.items()
        ]
        # Inner groups come first and are drawn on top of those around them.
        return list(dict.fromkeys(colours))[:4][::-1] or [INK]

    def of_delay(self, name: str) -> str | None:
        """Return the colour of the first group through a delay."""
        numbers = (number for number, group in enumerate(self.groups) if name in group.delays)
        return next((self.colour[number] for number in numbers), None)


def _tint(k: int, n: int) -> float:
    """Return the tint of shade k of n: lighter ones, then darker ones, never the group's colour."""
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
#: The segments of a net between neighbours on the grid, and the loops that each is part of.
Net = dict[Segment, frozenset[int]]
Run = tuple[Point, Point, frozenset[int]]


def _segments(way: list[Point]) -> list[Segment]:
    """Return a way's segments between neighbours on the grid, each from its lesser end."""
    segments = []
    for (x, y), (to_x, to_y) in itertools.pairwise(way):
        dx, dy = (GRID * ((to > at) - (to < at)) for at, to in ((x, to_x), (y, to_y)))
        while (x, y) != (to_x, to_y):
            after = (x + dx, y + dy)
            segments.append((min((x, y), after), max((x, y), after)))
            x, y = after
    return segments


def _nets(ways: dict[Ends, list[Point]], palette: Palette) -> dict[tuple[str, int], Net]:
    """Return the net of every output: its wires share segments before they branch."""
    nets: dict[tuple[str, int], Net] = {}
    for wire, way in ways.items():
        net, loops = nets.setdefault(wire[:2], {}), palette.carried.get(wire, ())
        for segment in _segments(way):
            net[segment] = net.get(segment, frozenset()).union(loops)
    return nets


def _runs(net: Net) -> list[Run]:
    """Return a net's segments joined where they are in line and part of the same loops."""
    runs: list[Run] = []
    for axis in (0, 1):
        parallel = [s for s in net if s[0][1 - axis] == s[1][1 - axis]]
        for start, end in sorted(parallel, key=lambda s: (s[0][1 - axis], s[0][axis])):
            loops = net[start, end]
            if runs and runs[-1][1:] == (start, loops) and runs[-1][0][1 - axis] == end[1 - axis]:
                runs[-1] = (runs[-1][0], end, loops)
            else:
                runs.append((start, end, loops))
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
    nets = _nets(ways, palette)
    runs = {key: _runs(net) for key, net in nets.items()}
    # The side of the block, from the point where a wire ends: 1 is to the right of it.
    starts, ends = {}, {}
    for wire, way in ways.items():
        starts[way[0]] = 1 if boxes[wire[0]].flipped else -1
        ends[way[-1]] = -1 if boxes[wire[2]].flipped else 1
    # Nets in loops are drawn last, so that they interrupt the others where they cross.
    order = sorted(nets, key=lambda key: any(nets[key].values()))
    for level, key in enumerate(order):
        for run in runs[key]:
            _draw_run(axes, run, (starts, ends), palette, zoom, 1 + level / len(order))
        _draw_branches(axes, nets[key], palette)
    for wire, way in ways.items():
        strands = palette.strands(palette.carried.get(wire, ()))
        _arrow_head(axes, way[-1], ends[way[-1]], strands)
    if len(palette.shade) <= _MAX_BADGES:
        _badges(axes, nets, runs, palette, zoom)


def _draw_run(
    axes: Axes,
    run: Run,
    ports: tuple[dict[Point, int], dict[Point, int]],
    palette: Palette,
    zoom: float,
    z: float,
) -> None:
    """Draw one run with a strand for each colour, the widest lowest, on a white margin."""
    from matplotlib.lines import Line2D

    start, end, loops = run
    starts, ends = ports
    strands = palette.strands(loops)
    thin = 2.0 if loops else 1.0
    widths = [(thin + 2.6 * k) * zoom for k in reversed(range(len(strands)))]
    xs, ys = (start[0], end[0]), (start[1], end[1])
    # add_line, because axes.plot would update the data limits for each line.
    gap = widths[0] + 2.6 * zoom
    axes.add_line(Line2D(xs, ys, color="white", linewidth=gap, zorder=z, solid_capstyle="butt"))
    for k, (colour, width) in enumerate(zip(strands, widths, strict=True)):
        # From below the first box, and no further than the arrow head at the other end.
        cap = width / (2 * POINT * zoom)
        reach = [starts.get(p, 0) * 12 - ends.get(p, 0) * cap for p in (start, end)]
        x = [at + by for at, by in zip(xs, reach, strict=True)]
        over = z + (1 + k - len(widths)) * 1e-4 + 5e-4
        style: dict[str, Any] = {"linewidth": width, "solid_capstyle": "projecting"}
        axes.add_line(Line2D(x, ys, color=colour, zorder=over, **style))


def _draw_branches(axes: Axes, net: Net, palette: Palette) -> None:
    """Draw a dot at every branch."""
    from matplotlib.patches import Circle

    meeting: dict[Point, list[frozenset[int]]] = {}
    for segment, loops in net.items():
        for point in segment:
            meeting.setdefault(point, []).append(loops)
    for point, legs in meeting.items():
        if len(legs) > 2:
            loops = frozenset[int]().union(*legs)
            colour, radius = palette.strands(loops)[0], 6.5 if loops else 4.5
            axes.add_patch(Circle(point, radius, color=colour, zorder=3, linewidth=0))


def _arrow_head(axes: Axes, point: Point, into: int, strands: list[str]) -> None:
    """Draw the head of an arrow before a box, with one head in another for several strands."""
    from matplotlib.patches import Polygon

    tip = point[0] + 10 * into
    for k, colour in enumerate(strands):
        plain = strands == [INK]
        more = 4 * (len(strands) - 1 - k)
        back, half = tip - (15 + 1.4 * more) * into, (6 if plain else 7.5) + more
        corners = [(tip, point[1]), (back, point[1] - half), (back, point[1] + half)]
        axes.add_patch(Polygon(corners, closed=True, color=colour, zorder=4 + k / 8, linewidth=0))


def _badges(
    axes: Axes,
    nets: dict[tuple[str, int], Net],
    runs: dict[tuple[str, int], list[Run]],
    palette: Palette,
    zoom: float,
) -> None:
    """Write every loop's number on a run that shows its own shade, away from all other nets."""
    from matplotlib.patches import Circle

    busy = Counter(p for net in nets.values() for p in {p for segment in net for p in segment})
    shown: dict[int, list[tuple[bool, int, Segment]]] = {}
    for start, end, loops in itertools.chain(*runs.values()):
        length = abs(end[0] - start[0]) + abs(end[1] - start[1])
        members = Counter(palette.group_of[loop] for loop in loops)
        for loop in loops if length >= 3 * GRID else ():
            if members[palette.group_of[loop]] == 1:
                shown.setdefault(loop, []).append((len(loops) == 1, length, (start, end)))
    for loop, candidates in shown.items():
        *_, run = max(candidates)
        free = [(a, b) for a, b in _segments([*run])[1:-1] if busy[a] == busy[b] == 1]
        if not free:
            continue
        a, b = free[len(free) // 2]
        middle = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
        line = {"edgecolor": palette.shade[loop], "lw": 1.2 * zoom}
        axes.add_patch(Circle(middle, 9.5, facecolor="white", zorder=7, **line))
        axes.text(
            *middle,
            str(loop),
            ha="center",
            va="center_baseline",
            color=INK,
            fontsize=(6.0 if loop < 10 else 4.8) * zoom,
            zorder=8,
            gid=f"loop {loop}",
        )
