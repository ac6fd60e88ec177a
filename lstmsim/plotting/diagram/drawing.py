"""Drawings of diagrams: blocks, wires, and every feedback loop in its colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import networkx as nx
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import InvalidTypeError, InvalidValueError, count
from lstmsim.dynamics import Loop, LoopGroup, LoopReport, flat, loops_of_wires
from lstmsim.plotting.diagram.placing import GRID, Box, place
from lstmsim.plotting.diagram.routing import Ends, Point, route
from lstmsim.plotting.diagram.symbols import POINT, draw_block, symbol
from lstmsim.plotting.diagram.wires import COLOURED, OTHERS, Palette, draw_wires
from lstmsim.plotting.style import STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: A legend with more rows names groups only, not their loops.
_ROWS = 24
#: The largest width and height in inches; a larger drawing is shrunk to it.
_LARGEST = 100.0


@dataclass(frozen=True)
class Drawing:
    """The positions of blocks and wires in a drawing, in bdedit's pixels.

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
    graph = flat(diagram)
    if loops is None:
        loops = loops_of_wires(graph)
    return draw(graph, _groups(graph, loops))


def _groups(graph: nx.MultiDiGraph, loops: Any) -> tuple[LoopGroup, ...]:
    """Return the loops to show as groups of loops."""
    items = loops.groups if isinstance(loops, LoopReport) else loops
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
        As `structure.wire_graph` makes it.
    """
    several = _several_clocks(graph)
    labels = {n: symbol(n, block, several).label_width for n, block in graph.nodes(data=True)}
    boxes = place(graph, labels)
    wires = [(s, d["out"], e, d["into"]) for s, e, d in graph.edges(data=True)]
    if not boxes:
        return Drawing({}, {})
    for spread in (1.0, 1.5, 2.0, 3.0):
        placed = {name: box.at(spread * box.left, spread * box.top) for name, box in boxes.items()}
        ways, clear = route(placed, wires)
        if clear:
            break  # otherwise two nets share a segment, and the wires need more room
    return Drawing(placed, ways)


def _several_clocks(graph: nx.MultiDiGraph) -> bool:
    return len({Ts for _, Ts in graph.nodes(data="Ts")} - {None}) > 1


def draw(graph: nx.MultiDiGraph, groups: Sequence[LoopGroup]) -> Figure:
    """Draw a graph of wires, as `structure.wire_graph` makes it, with groups of loops.

    Parameters
    ----------
    graph : networkx.MultiDiGraph
        The blocks and wires.
    groups : sequence of LoopGroup
        The groups to colour.

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
    palette = Palette(groups)
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=size)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)
        draw_wires(axes, drawing.boxes, drawing.ways, palette, zoom)
        several = _several_clocks(graph)
        for name, block in graph.nodes(data=True):
            look = symbol(name, block, several)
            colour = palette.of_delay(name) if block["delay"] else None
            signs = block["text"] if block["kind"] == "SUM" else ""
            draw_block(axes, drawing.boxes[name], block["kind"], signs, look, colour, zoom)
        if groups:
            _legend(figure, axes, palette, size)
    return figure


def _distinction(group: LoopGroup, loop: Loop) -> str:
    """Return the blocks, or else the ports, that only this loop of its group passes."""
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


def _legend(figure: Figure, axes: Axes, palette: Palette, size: tuple[float, float]) -> None:
    """Put the legend below the drawing, and enlarge the figure for both."""
    from matplotlib.lines import Line2D

    rows = _legend_rows(palette)
    handles = [Line2D([], [], color=colour, linewidth=2.5) for colour, _ in rows]
    # The larger type of a wide drawing stays readable from further away.
    fontsize = 8 * max(1.0, size[0] / 24)
    columns = max(1, min(len(rows), int(size[0] * 8 / fontsize // 3.2), -(-len(rows) // 2)))
    legend = figure.legend(
        handles,
        [text for _, text in rows],
        loc="lower left",
        fontsize=fontsize,
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


def _legend_rows(palette: Palette) -> list[tuple[str, str]]:
    """Return the colours and texts of a legend: groups, and their loops if there is room."""
    rows: list[tuple[str, str]] = []
    detailed = sum(len(group.loops) + 1 for group in palette.groups) <= _ROWS
    for k, group in enumerate(palette.groups[:COLOURED]):
        role = "" if group.role == "single" else f"{group.role} "
        if len(group.loops) == 1:
            number = group.loops[0].number
            rows.append((palette.colour[k], f"{number}: {role}loop through {group.name}"))
            continue
        several = f"{count(len(group.loops), f'{role}loop')} through {group.name}"
        rows.append((palette.colour[k], several + ", where they run together" * detailed))
        for loop in group.loops if detailed else ():
            text = f"{loop.number}: {_distinction(group, loop)}"
            rows.append((palette.shade[loop.number], text if len(text) < 60 else text[:59] + "…"))
    if len(palette.groups) > COLOURED:
        rows.append((OTHERS, "other loops"))
    return rows
