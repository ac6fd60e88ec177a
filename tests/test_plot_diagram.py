"""Drawings of diagrams: blocks apart, wires around them, every loop in its colour."""

from __future__ import annotations

import itertools
from typing import Any

import matplotlib as mpl
import networkx as nx
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon

import lstmsim as ls
from lstmsim.diagram import structure
from lstmsim.diagram.models.summary import wires
from lstmsim.dynamics.feedback.search import loops_of_wires
from lstmsim.errors import AlgebraicLoopError, InvalidTypeError, InvalidValueError
from lstmsim.plotting.diagram.drawing import Drawing, arrange, draw
from lstmsim.plotting.diagram.placing import GRID, Box
from tests.conftest import Case, random_network
from tests.helpers import diagram, refused, wire
from tests.random_diagrams import random_diagram

Rectangle = tuple[float, float, float, float]


def without_positions(graph: nx.MultiDiGraph) -> nx.MultiDiGraph:
    nx.set_node_attributes(graph, None, "pos")
    return graph


def layers(*units: int, bias: bool = False) -> nx.MultiDiGraph:
    return structure.wire_graph(ls.build(random_network(units, bias=bias)))


def beside_a_layer() -> Any:
    """Return a layer that has positions, wired beside blocks that have none."""
    bd, clock = diagram()
    step = bd.STEP(T=0.5, name="step")
    layer = random_network(2, inputs=1).recurrent[0]
    h = ls.lstm_layer(bd, clock, step, layer, "cell")
    bd.MATRIXGAIN([[1.0, 2.0]], name="head")
    bd.TOWORKSPACE(clock, name="out")
    bd.connect(h, bd.blocknames["head"])
    return wire(bd, "head -> out")


def stacked_up() -> Any:
    """Return blocks that all lie in nearly the same place."""
    bd, clock = diagram()
    bd.SUM("+-", name="error", pos=(0, 0))
    bd.UNITDELAY(clock, x0=[0.0], name="x", pos=(13, 7))
    bd.GAIN(0.5, name="half", pos=(40, 0))
    bd.CONSTANT(1.0, name="one", pos=(41, -3))
    return wire(bd, "one -> error[0]", "error -> x", "x -> half", "half -> error[1]")


def many_ports() -> Any:
    """Return wide blocks with long names, and crossing wires between them."""
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=6, name="a source with quite a long name")
    bd.DEMUX(6, name="split")
    bd.MUX(6, name="a block with a very, very long name that no box is as wide as")
    bd.UNITDELAY(bd.clock(0.3, name="slow"), x0=[0.0] * 6, name="a delay with a long name")
    source, mux, delay = (name for name in bd.blocknames if name.startswith("a "))
    lines = [f"split[{k}] -> {mux}[{5 - k}]" for k in range(6)]
    return wire(bd, f"{source} -> split", *lines, f"{mux} -> {delay}")


DIAGRAMS: dict[str, Any] = {
    "a layer": lambda: layers(3),
    "a layer's file": lambda: wires("lstm_layer"),
    "two layers": lambda: layers(3, 2, bias=True),
    "a layer without positions": lambda: without_positions(layers(3)),
    "two layers without positions": lambda: without_positions(layers(3, 2, bias=True)),
    "five layers": lambda: layers(1, 1, 1, 1, 1),
    "blocks beside a layer": lambda: structure.wire_graph(beside_a_layer()),
    "blocks in one place": lambda: structure.wire_graph(stacked_up()),
    "many ports and long names": lambda: structure.wire_graph(many_ports()),
    **{
        f"random diagram {seed}": lambda seed=seed: structure.wire_graph(
            random_diagram(seed, blocks=12 + 4 * seed, delays=4)[0]
        )
        for seed in range(10)
    },
}


@pytest.fixture(params=DIAGRAMS, scope="module")
def case(request: pytest.FixtureRequest) -> tuple[nx.MultiDiGraph, Drawing]:
    graph = DIAGRAMS[request.param]()
    return graph, arrange(graph)


def overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def label_of(box: Box) -> Rectangle | None:
    left, _, right, bottom = box.rectangle
    middle = (left + right) / 2
    half = box.label / 2
    return (middle - half, bottom + 5, middle + half, bottom + 20) if box.label else None


def segments(way: list[tuple[int, int]]) -> list[Rectangle]:
    return [
        (min(x, to_x), min(y, to_y), max(x, to_x), max(y, to_y))
        for (x, y), (to_x, to_y) in itertools.pairwise(way)
    ]


def test_no_block_and_no_name_lies_on_another(case: tuple[nx.MultiDiGraph, Drawing]) -> None:
    graph, drawing = case
    assert set(drawing.boxes) == set(graph)
    parts = [(name, box.rectangle) for name, box in drawing.boxes.items()]
    parts += [(f"{n}'s name", r) for n, b in drawing.boxes.items() if (r := label_of(b))]
    for (a, first), (b, second) in itertools.combinations(parts, 2):
        assert not overlap(first, second), (a, b)


def test_every_wire_leads_from_its_output_to_its_input(
    case: tuple[nx.MultiDiGraph, Drawing],
) -> None:
    graph, drawing = case
    expected = {(s, d["out"], e, d["into"]) for s, e, d in graph.edges(data=True)}
    assert set(drawing.ways) == expected
    for (start, out, end, into), way in drawing.ways.items():
        assert way[0] == drawing.boxes[start].port("out", out)
        assert way[-1] == drawing.boxes[end].port("in", into)
        for (x, y), (to_x, to_y) in itertools.pairwise(way):
            assert (x == to_x) != (y == to_y), "a wire runs level or upright"
        begin, finish = drawing.boxes[start], drawing.boxes[end]
        assert (way[1][0] > way[0][0]) != begin.flipped, "out of the side where the port is"
        assert (way[-2][0] < way[-1][0]) != finish.flipped, "into the side where the port is"


def test_no_wire_passes_through_a_block_or_a_name(case: tuple[nx.MultiDiGraph, Drawing]) -> None:
    _, drawing = case
    solid = [(name, box.rectangle) for name, box in drawing.boxes.items()]
    solid += [(f"{n}'s name", r) for n, b in drawing.boxes.items() if (r := label_of(b))]
    for ends, way in drawing.ways.items():
        for x, y, to_x, to_y in segments(way):
            for name, box in solid:
                grown = (x - 1, y - 1, to_x + 1, to_y + 1)  # wires have a width
                assert not overlap(grown, box), (ends, name)


def test_wires_of_two_signals_cross_and_never_lie_on_one_another(
    case: tuple[nx.MultiDiGraph, Drawing],
) -> None:
    _, drawing = case
    users: dict[Any, set[tuple[str, int]]] = {}
    legs: dict[tuple[int, int], dict[tuple[str, int], set[Any]]] = {}
    for ends, way in drawing.ways.items():
        for x, y, to_x, to_y in segments(way):
            level = y == to_y
            points = (
                [(k, y) for k in range(x, to_x + 1, GRID)]
                if level
                else [(x, k) for k in range(y, to_y + 1, GRID)]
            )
            for a, b in itertools.pairwise(points):
                users.setdefault((a, b), set()).add(ends[:2])
                for point in (a, b):
                    legs.setdefault(point, {}).setdefault(ends[:2], set()).add(level)
    assert all(len(nets) == 1 for nets in users.values())
    # Where two meet, each runs straight on: neither bends or branches there.
    meeting = [nets for nets in legs.values() if len(nets) > 1]
    assert all(len(directions) == 1 for nets in meeting for directions in nets.values())


def test_a_layer_s_inner_loop_is_along_the_top_and_its_outer_one_along_the_bottom() -> None:
    drawing = arrange(layers(3))
    boxes = drawing.boxes
    assert boxes["c_prev"].top == min(box.top for box in boxes.values())
    assert boxes["h_prev"].top == max(box.top for box in boxes.values())
    flipped = {name for name, box in boxes.items() if box.flipped}
    assert flipped == {"c_prev", "h_prev"}
    inner = [drawing.ways["c", 0, "c_prev", 0], drawing.ways["c_prev", 0, "fc", 0]]
    assert min(y for way in inner for _, y in way) < boxes["c"].top
    for gate in "ifgo":
        way = drawing.ways["h_prev", 0, f"R{gate}", 0]
        assert way[0][1] > boxes["bo"].top
        # One trunk: up along one line, to the left of all gains.
        assert len(way) == 4
        assert way[1][0] == drawing.ways["h_prev", 0, "Ri", 0][1][0] < boxes["Ri"].left


def test_straight_wires_of_the_model_are_straight() -> None:
    drawing = arrange(layers(3))
    for ends in (("f", 0, "fc", 1), ("i", 0, "ig", 0), ("fc", 0, "c", 0), ("o", 0, "h", 1)):
        assert len(drawing.ways[ends]) == 2, ends


def test_layers_of_a_diagram_without_positions_follow_the_signal() -> None:
    graph = without_positions(layers(3))
    boxes = arrange(graph).boxes
    for start, end in graph.edges():
        if not (graph.nodes[start]["delay"] or graph.nodes[end]["delay"]):
            assert boxes[start].left < boxes[end].left, (start, end)
    others = [box.rectangle[3] for name, box in boxes.items() if "prev" not in name]
    assert max(others) < boxes["c_prev"].top < boxes["h_prev"].top
    assert boxes["c_prev"].flipped


def test_blocks_without_a_position_stand_beside_what_they_are_wired_to() -> None:
    graph = structure.wire_graph(beside_a_layer())
    boxes = arrange(graph).boxes
    assert boxes["cell.h"].left < boxes["head"].left < boxes["out"].left
    assert boxes["head"].top == boxes["cell.h"].top


def drawn(figure: Figure) -> dict[str, Any]:
    return {p.get_gid(): p for p in figure.axes[0].patches if p.get_gid()}


def colours(figure: Figure) -> set[str]:
    return {to_hex(line.get_color()) for line in figure.axes[0].lines}


def test_every_block_is_drawn_where_it_was_placed(published: Case) -> None:
    figure = ls.plot_diagram(published.diagram)
    boxes = arrange(structure.wire_graph(published.diagram)).boxes
    patches = drawn(figure)
    assert set(patches) == set(boxes)
    for name, box in boxes.items():
        x, y = patches[name].get_path().vertices.T
        left, top, right, bottom = box.rectangle
        if isinstance(patches[name], Polygon):
            assert (x.min(), x.max()) == (left, right)
            assert top <= y.min() < y.max() <= bottom


def test_an_arrow_s_head_touches_each_input(published: Case) -> None:
    figure = ls.plot_diagram(published.diagram, loops=())
    boxes = arrange(structure.wire_graph(published.diagram)).boxes
    heads = [p for p in figure.axes[0].patches if isinstance(p, Polygon) and not p.get_gid()]
    tips = {tuple(map(float, head.get_xy()[0])) for head in heads}
    expected = set()
    for box in boxes.values():
        for number in range(box.nin):
            x, y = box.port("in", number)
            expected.add((x + (-10.0 if box.flipped else 10.0), float(y)))
    assert tips == expected


@pytest.mark.parametrize("name", ["a layer", "two layers", "many ports and long names"])
def test_no_text_lies_on_another_and_all_are_on_the_page(name: str) -> None:
    graph = DIAGRAMS[name]()
    figure = draw(graph, loops_of_wires(graph).groups)
    figure.canvas.draw()
    page = figure.bbox
    legends = figure.legends[0].get_texts() if figure.legends else []
    boxes = [(t.get_text(), t.get_window_extent()) for t in [*figure.axes[0].texts, *legends]]
    for text, box in boxes:
        assert page.x0 <= box.x0 < box.x1 <= page.x1, text
        assert page.y0 <= box.y0 < box.y1 <= page.y1, text
    for (a, first), (b, second) in itertools.combinations(boxes, 2):
        assert not overlap(first.extents, second.extents), (a, b)


def test_the_legend_names_each_group_and_path_in_its_colour(published: Case) -> None:
    figure = ls.plot_diagram(published.diagram)
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == [
        "1: inner loop through c_prev",
        "4 outer loops through h_prev, where they run together",
        "2: through Ro, sum_o, o",
        "3: through Rf, sum_f, f, fc",
        "4: through Ri, sum_i, i",
        "5: through Rg, sum_g, g",
    ]
    shown = [to_hex(handle.get_color()) for handle in legend.get_lines()]
    assert len(set(shown)) == 6
    assert set(shown) <= colours(figure)
    numbers = {t.get_text() for t in figure.axes[0].texts if str(t.get_gid()).startswith("loop ")}
    assert numbers == {"1", "2", "3", "4", "5"}
    delays = [to_hex(drawn(figure)[name].get_edgecolor()) for name in ("c_prev", "h_prev")]
    assert delays == shown[:2]


def test_only_the_chosen_loops_are_coloured(published: Case) -> None:
    report = ls.loops(published.diagram)
    plain = colours(ls.plot_diagram(published.diagram, loops=()))
    assert len(plain) == 2  # ink, and the white of crossings
    inner = colours(ls.plot_diagram(published.diagram, report.inner)) - plain
    assert len(inner) == 1
    one = colours(ls.plot_diagram(published.diagram, [report.loops[3]])) - plain
    assert len(one) == 1
    both = colours(ls.plot_diagram(published.diagram, report)) - plain
    assert inner < both
    assert len(both) == 6


def test_a_branch_has_a_dot_and_a_crossing_none(published: Case) -> None:
    figure = ls.plot_diagram(published.diagram, loops=())
    dots = [p for p in figure.axes[0].patches if isinstance(p, Circle)]
    # u branches to four gains, so do h_prev's wires; c and h to two blocks each.
    assert len(dots) == 3 + 3 + 1 + 1


def test_a_sum_shows_its_signs() -> None:
    bd = stacked_up()
    figure = ls.plot_diagram(bd)
    signs = [t.get_text() for t in figure.axes[0].texts if t.get_text() in "+−"]
    assert signs == ["+", "−"]
    assert "0.5" in [t.get_text() for t in figure.axes[0].texts]


def test_several_clocks_are_told_at_the_delays() -> None:
    figure = ls.plot_diagram(many_ports())
    assert any(t.get_text().endswith("(0.3 s)") for t in figure.axes[0].texts)


@pytest.mark.parametrize("bd", [ls.blockdiagram, lambda: diagram()[0]])
def test_an_empty_diagram_is_an_empty_page(bd: Any) -> None:
    figure = ls.plot_diagram(bd())
    figure.canvas.draw()
    (axes,) = figure.axes
    assert (len(axes.patches), len(axes.lines)) == (0, 0)


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_drawings_are_saved(tmp_path: Any, published: Case, ending: str) -> None:
    path = tmp_path / f"layer.{ending}"
    ls.save_plot(ls.plot_diagram(published.diagram), path)
    assert path.stat().st_size > 10_000


def test_drawing_leaves_the_caller_s_style_as_it_was(published: Case) -> None:
    before = dict(mpl.rcParams)
    ls.plot_diagram(published.diagram)
    assert dict(mpl.rcParams) == before


def test_loops_of_another_diagram_are_refused(published: Case, stacked: Case) -> None:
    with refused(InvalidValueError, "lstm1.c_prev", "same diagram"):
        ls.plot_diagram(published.diagram, ls.loops(stacked.diagram))


@pytest.mark.parametrize("value", ["c_prev", 3, [None], ["c_prev"]])
def test_what_is_no_loop_is_refused(published: Case, value: Any) -> None:
    with refused(InvalidTypeError, "loops(diagram)"):
        ls.plot_diagram(published.diagram, value)


def test_what_is_no_diagram_is_refused() -> None:
    with refused(InvalidTypeError, "dict", "ls.build"):
        ls.plot_diagram({})  # type: ignore[arg-type]


def test_an_algebraic_loop_is_named_and_drawn_when_loops_are_not_asked_for() -> None:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=1, name="u")
    bd.SUM("++", name="a")
    wire(bd, "u -> a[0]", "a -> a[1]")
    with refused(AlgebraicLoopError, "a -> a"):
        ls.plot_diagram(bd)
    assert set(drawn(ls.plot_diagram(bd, loops=()))) == {"u", "a"}


@pytest.mark.parametrize("far", [1e308, -1e6, float("nan"), float("inf")])
def test_positions_that_are_on_no_page_are_not_taken(far: float) -> None:
    graph = layers(1)
    graph.nodes["y"]["pos"] = (far, 0.0)
    box = arrange(graph).boxes["y"]
    assert abs(box.left) + abs(box.top) < 5000
    nx.set_node_attributes(graph, (far, far), "pos")
    assert len(arrange(graph).ways) == graph.number_of_edges()
