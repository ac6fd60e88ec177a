"""The drawing of a diagram: blocks, wires, and every feedback loop in its colour."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import networkx as nx
from bdsim.blockdiagram import BlockDiagram

from lstmsim.arrays import count
from lstmsim.errors import InvalidTypeError, InvalidValueError
from lstmsim.loops import Loop, LoopGroup, LoopReport, flat, loops_of_wires
from lstmsim.plotting.placing import GRID, Box, place
from lstmsim.plotting.routing import Ends, Point, route
from lstmsim.plotting.style import COLOURS, STYLE
from lstmsim.plotting.symbols import INK, POINT, draw_block, symbol

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Groups with a colour of their own, and rows of a legend.
_COLOURED, _ROWS = 12, 24
_OTHERS = "#8c8c8c"
#: A drawing is at most this wide or high, in inches; beyond, everything in it shrinks.
_LARGEST = 100.0


@dataclass(frozen=True)
class Drawing:
    """Where everything of a drawing lies, in bdedit's pixels.

    Parameters
    ----------
    boxes : dict of Box
        The blocks.
    ways : dict of list of point
        The corners of every wire, by block and output port, block and input port.
    """

    boxes: dict[str, Box]
    ways: dict[Ends, list[Point]]


def plot_diagram(
    diagram: BlockDiagram,
    loops: LoopReport | Sequence[LoopGroup] | Sequence[Loop] | None = None,
) -> Figure:
    """Draw a diagram with its feedback loops in colours.

    Parameters
    ----------
    diagram : BlockDiagram
        Any diagram.  Blocks are drawn at their positions, kept apart; if most have none, in
        layers along the signal's flow, the delays of loops below.
    loops : LoopReport or sequence of LoopGroup or Loop, optional
        The loops to show: as `loops` returns them, some groups of them such as
        ``report.inner``, or some loops.  All if not given, none if empty.

    Returns
    -------
    matplotlib.figure.Figure
        Each group of loops has a colour, and each loop of a group a shade of it where it runs
        alone; the numbers are those of the report.

    Raises
    ------
    AlgebraicLoopError
        If loops are looked for, and there is one without a delay in it.
    InvalidTypeError, InvalidValueError
        If it is not a diagram, or the loops are not of this diagram.

    Examples
    --------
    >>> import lstmsim as ls
    >>> network, u = ls.published.layer_example()
    >>> figure = ls.plot_diagram(ls.build(network))
    >>> ls.save_plot(figure, "layer.svg")  # doctest: +SKIP
    """
    if not isinstance(diagram, BlockDiagram):
        raise InvalidTypeError(
            "plot_diagram draws a diagram",
            where="plot_diagram",
            given=type(diagram).__name__,
            expected="a bdsim BlockDiagram",
            mend="build one: ls.build(network), or load one: ls.load(file, workspace)",
        )
    graph = flat(diagram)
    if loops is None:
        loops = loops_of_wires(graph)
    return draw(graph, _groups(graph, loops))


def _groups(graph: nx.MultiDiGraph, shown: Any) -> tuple[LoopGroup, ...]:
    """Return what is to be shown as groups of loops."""
    items = shown.groups if isinstance(shown, LoopReport) else shown
    if isinstance(items, LoopGroup | Loop):
        items = (items,)
    items = tuple(items) if isinstance(items, Iterable) and not isinstance(items, str) else (items,)
    groups: dict[tuple[str, ...], LoopGroup] = {}
    for item in items:
        if isinstance(item, LoopGroup):
            groups[item.delays] = item
        elif isinstance(item, Loop):
            key = tuple(sorted(item.delays))
            group = groups.get(key, LoopGroup(len(groups) + 1, item.delays, ()))
            groups[key] = replace(group, loops=(*group.loops, item))
        else:
            raise InvalidTypeError(
                "these are not loops",
                where="plot_diagram, loops",
                given=type(item).__name__,
                expected="what loops(diagram) returns, its groups, or some of their loops",
            )
    wires = {(s, d["out"], e, d["into"]) for s, e, d in graph.edges(data=True)}
    for loop in (loop for group in groups.values() for loop in group.loops):
        for w in loop.wires:
            if (w.start, w.out, w.end, w.into) not in wires:
                raise InvalidValueError(
                    "the loops are those of another diagram",
                    where="plot_diagram, loops",
                    given=f"a wire from {w.start!r} to {w.end!r}, input port {w.into}",
                    expected="loops of this diagram",
                    mend="give loops(diagram) of the same diagram",
                )
    return tuple(groups.values())


def arrange(graph: nx.MultiDiGraph) -> Drawing:
    """Return where the blocks and wires of a graph of wires are drawn.

    Parameters
    ----------
    graph : networkx.MultiDiGraph
        As `host.wire_graph` makes it.
    """
    several = _several_clocks(graph)
    labels = {n: symbol(n, block, several).label_width for n, block in graph.nodes(data=True)}
    boxes = place(graph, labels)
    wires = [(s, d["out"], e, d["into"]) for s, e, d in graph.edges(data=True)]
    return Drawing(boxes, route(boxes, wires) if boxes else {})


def _several_clocks(graph: nx.MultiDiGraph) -> bool:
    return len({Ts for _, Ts in graph.nodes(data="Ts")} - {None}) > 1


def draw(graph: nx.MultiDiGraph, groups: Sequence[LoopGroup]) -> Figure:
    """Draw a graph of wires, as `host.wire_graph` makes it, with groups of loops.

    Parameters
    ----------
    graph : networkx.MultiDiGraph
        The blocks and wires.
    groups : sequence of LoopGroup
        What is shown in colours.

    Returns
    -------
    matplotlib.figure.Figure
        As of `plot_diagram`.
    """
    import matplotlib.pyplot as plt

    drawing = arrange(graph)
    points = [p for way in drawing.ways.values() for p in way]
    for box in drawing.boxes.values():
        left, top, right, bottom = box.rectangle
        half = max(box.label - (right - left), 0) // 2
        points += [(left - half, top), (right + half, bottom + GRID * (box.label > 0))]
    points = points or [(0, 0)]
    xs, ys = zip(*points, strict=True)
    left, right, top, bottom = min(xs) - 25, max(xs) + 25, min(ys) - 25, max(ys) + 25
    inch = POINT / 72
    zoom = min(1.0, _LARGEST / (inch * max(right - left, bottom - top)))
    inch *= zoom
    size = (right - left) * inch, (bottom - top) * inch
    palette = _Palette(groups)
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=size)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)
        _draw_wires(axes, drawing, palette, zoom)
        several = _several_clocks(graph)
        for name, block in graph.nodes(data=True):
            look = symbol(name, block, several)
            colour = palette.of_delay(name) if block["delay"] else None
            signs = block["text"] if block["kind"] == "SUM" else ""
            draw_block(axes, drawing.boxes[name], block["kind"], signs, look, colour, zoom)
        if groups:
            _legend(figure, axes, palette, size)
    return figure


class _Palette:
    """The colours of groups and of their loops, and which loops a wire carries."""

    def __init__(self, groups: Sequence[LoopGroup]) -> None:
        self.groups = groups
        self.colour: dict[int, str] = {}
        self.shade: dict[int, str] = {}
        self.group_of: dict[int, int] = {}
        self.carried: dict[Ends, set[int]] = {}
        for place_, group in enumerate(groups):
            base = _tinted(COLOURS[place_ % 6], (0.0, -0.4)[place_ // 6 % 2])
            self.colour[place_] = base if place_ < _COLOURED else _OTHERS
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


def _draw_wires(axes: Axes, drawing: Drawing, palette: _Palette, zoom: float) -> None:
    nets: dict[tuple[str, int], dict[Segment, set[int]]] = {}
    for wire, way in drawing.ways.items():
        units = nets.setdefault(wire[:2], {})
        for segment in _units(way):
            units.setdefault(segment, set()).update(palette.carried.get(wire, ()))
    # Which way the blocks lie from the points where wires end.
    starts, ends = {}, {}
    for wire, way in drawing.ways.items():
        starts[way[0]] = 1 if drawing.boxes[wire[0]].flipped else -1
        ends[way[-1]] = -1 if drawing.boxes[wire[2]].flipped else 1
    # Coloured nets lie on the others, and part them where they cross.
    order = sorted(nets, key=lambda key: any(nets[key].values()))
    for level, key in enumerate(order):
        _draw_net(axes, nets[key], (starts, ends), palette, zoom, 1 + level / len(order))
    for wire, way in drawing.ways.items():
        strands = palette.strands(palette.carried.get(wire, ())) or [INK]
        _arrow_head(axes, way[-1], ends[way[-1]], strands)
    _badges(axes, nets, palette, zoom)


def _draw_net(
    axes: Axes,
    units: dict[Segment, set[int]],
    ports: tuple[dict[Point, int], dict[Point, int]],
    palette: _Palette,
    zoom: float,
    z: float,
) -> None:
    """Draw the wires from one output, with a dot at every branch."""
    from matplotlib.patches import Circle

    pieces = {segment: frozenset(on_it) for segment, on_it in units.items()}
    starts, ends = ports
    for start, end, carried in _runs(pieces):
        strands = palette.strands(carried) or [INK]
        widths = _widths(strands, zoom)
        gap = widths[0][1] + 2.6 * zoom
        xs, ys = (start[0], end[0]), (start[1], end[1])
        axes.plot(xs, ys, color="white", linewidth=gap, zorder=z, solid_capstyle="butt")
        for k, (colour, width) in enumerate(widths):
            # On to below the box where it begins; at its end not beyond the arrow head.
            cap = width / (2 * POINT * zoom)
            reach = [starts.get(p, 0) * 12 - ends.get(p, 0) * cap for p in (start, end)]
            x = [at + by for at, by in zip(xs, reach, strict=True)]
            over = z + (1 + k - len(widths)) * 1e-4 + 5e-4
            style: dict[str, Any] = {"linewidth": width, "solid_capstyle": "projecting"}
            axes.plot(x, ys, color=colour, zorder=over, **style)
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
    palette: _Palette,
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


def _own(group: LoopGroup, loop: Loop) -> str:
    """Return what sets a loop apart from the others of its group: blocks, or ports."""
    others = [other for other in group.loops if other is not loop]
    passed = {name for other in others for name in other.blocks}
    blocks = [name for name in loop.blocks if name not in passed]
    if blocks:
        return f"through {', '.join(blocks[:4])}" + ", …" * (len(blocks) > 4)
    taken = {wire for other in others for wire in other.wires}
    wires = [wire for wire in loop.wires if wire not in taken]
    if wires:
        return f"from {wires[0].start} into {wires[0].end}, port {wires[0].into}"
    return str(loop)


def _legend(figure: Figure, axes: Axes, palette: _Palette, size: tuple[float, float]) -> None:
    """Put the legend below the drawing, and make the figure as large as both need."""
    from matplotlib.lines import Line2D

    rows: list[tuple[str, float, str]] = []
    detailed = sum(len(group.loops) + 1 for group in palette.groups) <= _ROWS
    for k, group in enumerate(palette.groups[:_COLOURED]):
        role = "" if group.role == "single" else f"{group.role} "
        if len(group.loops) == 1:
            number = f"{group.loops[0].number}: "
            rows.append((palette.colour[k], 2.5, f"{number}{role}loop through {group.name}"))
            continue
        what = f"{count(len(group.loops), f'{role}loop')} through {group.name}"
        rows.append((palette.colour[k], 2.5, what + (", where they run together" * detailed)))
        for loop in group.loops if detailed else ():
            via = _own(group, loop)
            text = f"{loop.number}: {via}"
            rows.append(
                (palette.shade[loop.number], 2.5, text if len(text) < 60 else text[:59] + "…")
            )
    if len(palette.groups) > _COLOURED:
        rows.append((_OTHERS, 2.5, "other loops"))
    handles = [Line2D([], [], color=colour, linewidth=width) for colour, width, _ in rows]
    large = 8 * max(1.0, size[0] / 24)  # of a wide drawing, which is read from further away
    columns = max(1, min(len(rows), int(size[0] * 8 / large // 3.2), -(-len(rows) // 2)))
    legend = figure.legend(
        handles,
        [text for *_, text in rows],
        loc="lower left",
        fontsize=large,
        ncols=columns,
        borderaxespad=0.8,
        handlelength=2.2,
    )
    for label in legend.get_texts():
        label.set_parse_math(False)
    box = legend.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
    below = box.height / figure.dpi + 0.15
    width = max(size[0], box.width / figure.dpi + 0.3)
    height = size[1] + below
    figure.set_size_inches(width, height)
    aside = (width - size[0]) / 2 / width
    axes.set_position((aside, below / height, size[0] / width, size[1] / height))
