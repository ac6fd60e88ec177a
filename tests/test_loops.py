"""Feedback loops: all of them, once each, by the delays that they pass."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest

import lstmsim as ls
from lstmsim.diagram import host, structure
from lstmsim.diagram.models.summary import wires
from lstmsim.dynamics.feedback.report import Loop, LoopReport
from lstmsim.errors import AlgebraicLoopError, InvalidTypeError, InvalidValueError
from tests.conftest import Case, Outcome, random_network, rewire
from tests.helpers import diagram, refused, wire, written
from tests.random_diagrams import random_diagram

GATES = {
    ("h_prev", "Ri", "sum_i", "i", "ig", "c", "tanh_c", "h"),
    ("h_prev", "Rf", "sum_f", "f", "fc", "c", "tanh_c", "h"),
    ("h_prev", "Rg", "sum_g", "g", "ig", "c", "tanh_c", "h"),
    ("h_prev", "Ro", "sum_o", "o", "h"),
}


def made(sums: dict[str, int], delays: str, *lines: str) -> Any:
    """Return a diagram of sums with so many inputs, of delays, a source u, and wires."""
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=1, name="u")
    for name, inputs in sums.items():
        bd.SUM("+" * inputs, name=name)
    for name in delays.split():
        bd.UNITDELAY(clock, x0=[0.0], name=name)
    return wire(bd, *lines)


def by_hand(graph: nx.MultiDiGraph) -> set[frozenset[tuple[str, int, str, int]]]:
    """Return all elementary circuits, as sets of wires: every walk tried, from every block."""
    order = {name: k for k, name in enumerate(graph)}
    found = set()

    def walk(start: str, at: str, path: list[tuple[str, int, str, int]], seen: set[str]) -> None:
        for _, to, ports in graph.out_edges(at, data=True):
            step = (at, ports["out"], to, ports["into"])
            if to == start:
                found.add(frozenset([*path, step]))
            elif to not in seen and order[to] > order[start]:
                walk(start, to, [*path, step], seen | {to})

    for name in graph:
        walk(name, name, [], {name})
    return found


def as_sets(report: LoopReport) -> list[frozenset[tuple[str, int, str, int]]]:
    return [frozenset((w.start, w.out, w.end, w.into) for w in p.wires) for p in report.loops]


def check_report(report: LoopReport) -> None:
    """Hold a report against itself: circuits, delays, groups and numbers."""
    delays = {name for name, delay in report.graph.nodes(data="delay") if delay}
    assert [loop.number for loop in report.loops] == list(range(1, len(report.loops) + 1))
    assert [group.number for group in report.groups] == list(range(1, len(report.groups) + 1))
    for group in report.groups:
        for loop in group.loops:
            assert len(set(loop.blocks)) == len(loop.blocks) == len(loop.wires)
            assert [w.start for w in loop.wires] == list(loop.blocks)
            assert [w.end for w in loop.wires] == [*loop.blocks[1:], loop.blocks[0]]
            assert set(loop.delays) == set(group.delays) == delays & set(loop.blocks)
            assert loop.blocks[0] == group.delays[0]
        for number in group.inside:
            assert group.number in report.groups[number - 1].around


def test_a_layer_has_one_inner_loop_and_four_outer_ones(published: Case) -> None:
    report = ls.loops(published.diagram)
    check_report(report)
    assert report.complete
    (inner,), (outer,) = report.inner, report.outer
    assert (inner.delays, [p.blocks for p in inner.loops]) == (("c_prev",), [("c_prev", "fc", "c")])
    assert (outer.delays, {p.blocks for p in outer.loops}) == (("h_prev",), GATES)
    assert (inner.inside, outer.around, report.single) == ((2,), (1,), ())
    assert len(report.loops) == 5


def test_no_elementary_loop_of_a_layer_passes_both_delays(published: Case) -> None:
    # Through both it would have to come to c twice.
    report = ls.loops(published.diagram)
    assert all(len(loop.delays) == 1 for loop in report.loops)
    assert set(as_sets(report)) == by_hand(report.graph)


@pytest.mark.parametrize("head", [None, 2])
def test_two_layers_have_twice_as_many(head: int | None) -> None:
    report = ls.loops(ls.build(random_network((3, 2), outputs=head)))
    check_report(report)
    names = [f"lstm{k}.c_prev" for k in (1, 2)], [f"lstm{k}.h_prev" for k in (1, 2)]
    assert [g.delays for g in report.inner] == [(n,) for n in names[0]]
    assert [g.delays for g in report.outer] == [(n,) for n in names[1]]
    assert [len(g.loops) for g in report.groups] == [1, 1, 4, 4]
    assert [g.inside for g in report.inner] == [(3,), (4,)]


def test_a_loaded_model_has_the_loops_of_the_built_one(published: Case) -> None:
    loaded = ls.load("lstm_layer", ls.published.layer_workspace())
    expected = {loop.blocks for loop in ls.loops(published.diagram).loops}
    assert {loop.blocks for loop in ls.loops(loaded).loops} == expected


@pytest.mark.parametrize("model", ["lstm_layer", "lstm_stacked"])
def test_a_file_without_a_workspace_has_the_wires_of_the_built_network(model: str) -> None:
    units = (3,) if model == "lstm_layer" else (3, 2)
    built = structure.wire_graph(ls.build(random_network(units, bias=False)))
    read = wires(model)
    for name in read:
        ours, theirs = read.nodes[name], built.nodes[name]
        for key in ("kind", "nin", "nout", "delay", "source", "sink"):
            assert ours[key] == theirs[key], (name, key)

    def edges(graph: nx.MultiDiGraph) -> set[Any]:
        return {(s, d["out"], e, d["into"]) for s, e, d in graph.edges(data=True)}

    assert edges(read) == edges(built)


def test_nested_loops_with_gains_in_their_paths_back() -> None:
    bd = made(
        {"s1": 2, "s2": 2, "plant": 1, "back1": 1, "back2": 1},
        "d1 d2",
        *("u -> s1[0]", "s1 -> s2[0]", "s2 -> plant", "plant -> d1", "plant -> d2"),
        *("d1 -> back1", "back1 -> s1[1]", "d2 -> back2", "back2 -> s2[1]"),
    )
    report = ls.loops(bd)
    check_report(report)
    assert [g.delays for g in report.inner] == [("d2",)]
    assert [g.delays for g in report.outer] == [("d1",)]
    assert str(report.inner[0].loops[0]) == "d2 → back2 → s2 → plant → d2"


def test_three_levels_of_nesting() -> None:
    bd = made(
        {"a": 2, "b": 2, "c": 2},
        "d1 d2 d3",
        *("u -> a[0]", "a -> b[0]", "b -> c[0]", "c -> d1", "c -> d2", "c -> d3"),
        *("d1 -> a[1]", "d2 -> b[1]", "d3 -> c[1]"),
    )
    groups = ls.loops(bd).groups
    assert [(g.delays, g.role, g.inside, g.around) for g in groups] == [
        (("d3",), "inner", (2, 3), ()),
        (("d2",), "inner", (3,), (1,)),
        (("d1",), "outer", (), (1, 2)),
    ]


def test_crossed_loops_and_loops_in_series_are_neither_inner_nor_outer() -> None:
    crossed = made(
        {"a": 2, "b": 2, "c": 1, "e": 1},
        "d1 d2",
        *("u -> a[0]", "a -> b[0]", "b -> c", "c -> e"),
        *("c -> d1", "d1 -> a[1]", "e -> d2", "d2 -> b[1]"),
    )
    series = made(
        {"a": 2, "b": 2},
        "d1 d2",
        *("u -> a[0]", "a -> b[0]", "a -> d1", "d1 -> a[1]", "b -> d2", "d2 -> b[1]"),
    )
    for bd in (crossed, series):
        report = ls.loops(bd)
        assert [(g.delays, g.role) for g in report.groups] == [
            (("d1",), "single"),
            (("d2",), "single"),
        ]


def test_a_loop_through_two_delays_and_a_way_around_one_of_them() -> None:
    bd = made(
        {"a": 3},
        "d1 d2",
        *("u -> a[0]", "a -> d1", "d1 -> d2", "d2 -> a[1]", "d1 -> a[2]"),
    )
    groups = ls.loops(bd).groups
    assert [g.delays for g in groups] == [("d1",), ("d1", "d2")]
    assert groups[1].loops[0].delays == ("d1", "d2")
    assert groups[1].name == "d1 + d2"


def test_a_delay_that_drives_itself() -> None:
    report = ls.loops(made({}, "d", "d -> d"))
    check_report(report)
    assert [str(loop) for loop in report.loops] == ["d → d"]


def test_two_wires_between_the_same_blocks_are_two_loops() -> None:
    bd, clock = diagram()
    bd.HADAMARD(2, name="square")
    bd.UNITDELAY(clock, x0=[0.5], name="d")
    report = ls.loops(wire(bd, "d -> square[0]", "d -> square[1]", "square -> d"))
    check_report(report)
    assert [loop.wires[0].into for loop in report.loops] == [0, 1]
    assert "d → square (in 0) → d\n" in str(report)
    assert "d → square (in 1) → d\n" in str(report)


@pytest.mark.parametrize("seed", range(25))
def test_random_diagrams_have_the_loops_that_every_walk_finds(seed: int) -> None:
    report = ls.loops(random_diagram(seed, blocks=40, delays=5)[0])
    check_report(report)
    found = as_sets(report)
    assert len(set(found)) == len(found)
    assert set(found) == by_hand(report.graph)


def web(blocks: int, seed: int = 0) -> Any:
    """Return sums that each read two delays of others: more loops than there are stars."""
    rng = np.random.default_rng(seed)
    names = [f"s{k}" for k in range(blocks)]
    lines = [f"s{k} -> d{k}" for k in range(blocks)]
    for k in range(blocks):
        lines += [f"d{(k - 1) % blocks} -> s{k}[0]", f"d{rng.integers(blocks)} -> s{k}[1]"]
    return made(dict.fromkeys(names, 2), " ".join(f"d{k}" for k in range(blocks)), *lines)


@pytest.mark.parametrize("seed", range(8))
def test_dense_webs_of_loops_agree_with_every_walk(seed: int) -> None:
    report = ls.loops(web(9, seed))
    check_report(report)
    expected = by_hand(report.graph)
    assert set(as_sets(report)) == expected
    assert len(report.loops) == len(expected) > 9


def test_too_many_loops_are_said_to_be_more() -> None:
    begun = time.process_time()
    report = ls.loops(web(60), limit=200)
    assert time.process_time() - begun < 5
    check_report(report)
    assert not report.complete
    assert len(report.loops) == 200
    assert "More than 200 feedback loops" in str(report)
    assert "too many loops to list, the limit is 200 loops" in str(report)
    assert len(str(report).splitlines()) < 300
    assert json.loads(report.to_json())["complete"] is False


def test_a_limit_of_as_many_as_there_are_is_complete(published: Case) -> None:
    assert ls.loops(published.diagram, limit=5).complete
    few = ls.loops(published.diagram, limit=4)
    assert (few.complete, len(few.loops)) == (False, 4)


def test_the_search_stops_in_time_and_before_memory_is_full() -> None:
    bd = web(300)
    begun = time.process_time()
    report = ls.loops(bd, limit=10**9, seconds=0.01)
    assert time.process_time() - begun < 5
    assert "stopped after 0.01 s" in report.summary
    long = ls.loops(bd, limit=10**9, seconds=60)
    assert "those listed pass" in long.summary
    assert sum(len(loop.wires) for loop in long.loops) <= 500_000


def test_every_part_of_a_diagram_has_a_share_of_what_is_listed() -> None:
    bd = web(30)
    clock = bd.clocklist[0]
    bd.UNITDELAY(clock, x0=[0.0], name="apart")
    wire(bd, "apart -> apart")
    report = ls.loops(bd, limit=10)
    assert ("apart",) in [group.delays for group in report.groups]


def test_hundred_layers_are_quick() -> None:
    bd = ls.build(random_network((1,) * 100))
    begun = time.process_time()
    report = ls.loops(bd)
    assert time.process_time() - begun < 5
    assert (report.complete, len(report.loops)) == (True, 500)


def test_no_loops_and_no_delays_are_said_plainly() -> None:
    line = made({"a": 1}, "d1 d2", "u -> d1", "d1 -> d2", "d2 -> a")
    assert str(ls.loops(line)) == "The diagram has 2 delays and no feedback loops."
    assert ls.loops(line).delays == ("d1", "d2")
    plain = made({"a": 1}, "", "u -> a")
    assert str(ls.loops(plain)) == "The diagram has no delays and no feedback loops."
    assert str(ls.loops(ls.blockdiagram())) == "The diagram has no delays and no feedback loops."
    assert ls.loops(plain).complete
    assert json.loads(ls.loops(plain).to_json())["groups"] == []


def test_an_algebraic_loop_is_named() -> None:
    bd = made({"a": 2, "b": 1}, "", "u -> a[0]", "a -> b", "b -> a[1]")
    with refused(AlgebraicLoopError, "a -> b -> a", "UNITDELAY"):
        ls.loops(bd)
    with refused(AlgebraicLoopError, "a -> a"):
        ls.loops(made({"a": 2}, "", "u -> a[0]", "a -> a[1]"))


def test_blocks_that_no_engine_runs_and_several_clocks() -> None:
    bd, clock = diagram()
    slow = bd.clock(0.3, name="slow")
    bd.SUM("+-", name="error")
    bd.FUNCTION(lambda x: x, name="f")
    bd.INTEGRATOR(name="x")
    bd.STEP(T=0.1, name="step")
    bd.UNITDELAY(clock, x0=[0.0], name="d")
    bd.ZOH(slow, x0=[0.0], name="hold")
    wire(bd, "step -> error[0]", "error -> f", "f -> x", "x -> d", "d -> hold", "hold -> error[1]")
    report = ls.loops(bd)
    check_report(report)
    assert report.loops[0].delays == ("x", "d", "hold")
    graph = report.graph
    assert [graph.nodes[n]["Ts"] for n in ("d", "hold", "f")] == [0.1, 0.3, None]
    assert [n for n, source in graph.nodes(data="source") if source] == ["step"]


def test_a_subsystem_s_blocks_are_in_its_place() -> None:
    inner = host.blockdiagram("inner")
    inner.INPORT(1, name="in")
    inner.GAIN(0.5, name="half")
    inner.OUTPORT(1, name="out")
    wire(inner, "in -> half", "half -> out")
    bd, clock = diagram()
    bd.UNITDELAY(clock, x0=[1.0], name="d")
    bd.SUBSYSTEM(inner, name="sub")
    report = ls.loops(wire(bd, "d -> sub", "sub -> d"))
    assert str(report.loops[0]) == "d → sub/in → sub/half → sub/out → d"


def test_the_graph_says_what_blocks_and_wires_are(published: Case) -> None:
    graph = ls.loops(published.diagram).graph
    assert isinstance(graph, nx.MultiDiGraph)
    assert {n for n, delay in graph.nodes(data="delay") if delay} == {"c_prev", "h_prev"}
    sources = {n for n, source in graph.nodes(data="source") if source}
    assert sources == {"u", "bi", "bf", "bg", "bo"}
    assert [n for n, sink in graph.nodes(data="sink") if sink] == ["out"]
    assert graph.get_edge_data("ig", "c") == {0: {"out": 0, "into": 1}}
    with pytest.raises(nx.NetworkXError):
        graph.add_node("more")


def test_a_report_is_the_same_each_time_and_reads_well(published: Case) -> None:
    report = ls.loops(published.diagram)
    assert report == ls.loops(ls.build(published.network))
    text = str(report)
    assert "c_prev → fc → c → c_prev" in text
    assert text.endswith(
        "5 feedback loops:\n  1 inner loop through c_prev, inside that through h_prev\n"
        "  4 outer loops through h_prev"
    )
    read = json.loads(report.to_json())
    assert [group["role"] for group in read["groups"]] == ["inner", "outer"]
    first = read["groups"][0]["loops"][0]["wires"][0]
    assert first == {"start": "c_prev", "out": 0, "end": "fc", "into": 0}


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "many", None])
def test_a_limit_that_is_no_number_of_loops_is_refused(published: Case, limit: Any) -> None:
    with refused(InvalidValueError, f"limit={limit!r}", "≥ 1"):
        ls.loops(published.diagram, limit=limit)


@pytest.mark.parametrize("value", [None, "lstm_layer", 3])
def test_what_is_no_diagram_is_refused(value: Any) -> None:
    with refused(InvalidTypeError, type(value).__name__, "ls.build"):
        ls.loops(value)


@pytest.mark.parametrize("workspace", [False, True])
def test_the_command_shows_and_draws_the_loops(
    cli: Callable[..., Outcome], demo_folder: Any, workspace: bool
) -> None:
    options = ["-w", demo_folder / "workspace.npz"] if workspace else []
    done = cli("loops", "lstm_layer", *options, "--plot", "layer.svg")
    assert (done.status, done.err) == (0, "")
    assert "h_prev → Ro → sum_o → o → h → h_prev" in done.out
    assert "4 outer loops through h_prev" in done.out
    assert done.out.endswith("saved layer.svg\n")
    read = json.loads(cli("loops", "lstm_layer", *options, "--json").out)
    assert [len(group["loops"]) for group in read["groups"]] == [1, 4]
    assert "the limit is 2 loops" in cli("loops", "lstm_layer", "--limit", 2, *options).out


def test_the_command_names_an_algebraic_loop_without_a_workspace(
    cli: Callable[..., Outcome], edited_model: Callable[..., Any]
) -> None:
    done = cli("loops", edited_model(lambda model: rewire(model, "fc", 0, "c")), "--plot", "a.svg")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error: there is an algebraic loop")
    assert "fc" in done.err.splitlines()[1]


def test_two_blocks_of_one_title_are_refused_without_a_workspace(
    cli: Callable[..., Outcome], tmp_path: Any
) -> None:
    model = json.loads(ls.model_path("lstm_layer").read_text(encoding="utf-8"))
    next(b for b in model["blocks"] if b["title"] == "i")["title"] = "f"
    done = cli("loops", written(tmp_path, model))
    assert (done.status, done.out) == (2, "")
    assert "two blocks have the same title" in done.err


def test_a_loop_reads_from_its_first_delay_around(published: Case) -> None:
    loop: Loop = ls.loops(published.diagram).loops[0]
    assert str(loop) == "c_prev → fc → c → c_prev"
