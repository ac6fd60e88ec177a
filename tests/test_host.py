"""Diagrams that cannot run are refused by name, before bdsim sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bdsim.blockdiagram import BlockDiagram

import lstmsim as ls
from lstmsim.diagram import host, structure
from lstmsim.errors import (
    AlgebraicLoopError,
    DiagramError,
    InvalidValueError,
    LstmsimError,
    ShapeError,
)
from tests.helpers import assert_same, diagram, refused, wire


def summed(*terms: Any) -> BlockDiagram:
    """Return a diagram that adds constants k0, k1 …, with the sum's inputs not yet wired."""
    bd, _ = diagram()
    for port, term in enumerate(terms):
        bd.CONSTANT(term, name=f"k{port}")
    bd.SUM("+" * len(terms), name="sum")
    bd.NULL(1, name="end")
    return wire(bd, "sum -> end")


def test_an_open_port_is_named() -> None:
    bd = wire(summed(1.0, 2.0), "k0 -> sum[0]")
    with refused(DiagramError, "not connected", "block 'sum' (SUM), input port 1", "no wire"):
        host.compile_diagram(bd)


def test_two_wires_into_one_port_are_named_with_their_blocks() -> None:
    bd = wire(summed(1.0, 2.0), "k0 -> sum[0]", "k1 -> sum[1]", "k1 -> sum[0]")
    words = ("more than one wire", "block 'sum' (SUM), input port 0", "'k0', 'k1'")
    with refused(DiagramError, *words):
        host.compile_diagram(bd)


def loop_of(*names: str) -> BlockDiagram:
    """Return a diagram whose gains drive one another in a circle."""
    bd, _ = diagram()
    for name in names:
        bd.GAIN(0.5, name=name)
    return wire(bd, *(f"{a} -> {b}" for a, b in zip(names, names[1:] + names[:1], strict=True)))


@pytest.mark.parametrize("names", [("alone",), ("a", "b"), ("a", "b", "c", "d", "e")])
def test_an_algebraic_loop_is_named_with_all_its_members(names: tuple[str, ...]) -> None:
    with pytest.raises(AlgebraicLoopError) as caught:
        host.compile_diagram(loop_of(*names))
    where = next(line for line in str(caught.value).splitlines() if "where:" in line)
    members = where.partition(":")[2].strip().split(" -> ")
    assert members[0] == members[-1]
    start = names.index(members[0])
    assert members[:-1] == list(names[start:] + names[:start])
    assert f"a loop of {len(names)} blocks" in str(caught.value)
    assert "UNITDELAY" in str(caught.value)


def test_blocks_beside_an_algebraic_loop_are_not_named() -> None:
    bd, clock = diagram()
    bd.CONSTANT(1.0, name="before")
    bd.SUM("++", name="sum")
    bd.GAIN(0.5, name="gain")
    bd.TOWORKSPACE(clock, name="after")
    wire(bd, "before -> sum[0]", "sum -> gain", "gain -> sum[1]", "gain -> after")
    with pytest.raises(AlgebraicLoopError) as caught:
        host.compile_diagram(bd)
    assert "before" not in str(caught.value)
    assert "after" not in str(caught.value)


@pytest.mark.parametrize("kind", ["UNITDELAY", "ZOH"])
def test_a_loop_with_a_delay_in_it_is_none(kind: str) -> None:
    bd, clock = diagram()
    bd.GAIN(0.5, name="half")
    getattr(bd, kind)(clock, x0=[8.0], name="delay")
    traces = ls.simulate(wire(bd, "half -> delay", "delay -> half"), samples=4)
    assert_same(traces.delay[:, 0], [8, 4, 2, 1], "delay")


def test_a_diagram_is_compiled_again_only_after_a_change() -> None:
    bd = wire(summed(1.0, 2.0), "k0 -> sum[0]", "k1 -> sum[1]")
    plan = host.compile_diagram(bd).plan
    assert host.compile_diagram(bd).plan is plan
    bd.GAIN(2.0, name="more")
    host.compile_diagram(wire(bd, "sum -> more"))
    assert host.signal_widths(bd)["more"] == 1


def test_compiling_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    host.compile_diagram(wire(summed(1.0, 2.0), "k0 -> sum[0]", "k1 -> sum[1]"))
    with pytest.raises(AlgebraicLoopError):
        host.compile_diagram(loop_of("a", "b"))
    with pytest.raises(DiagramError):
        host.signal_widths(wired(np.ones(3), np.ones(2)))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["a/b", "/", "", " ", "a\nb", ".", ".."])
def test_a_name_that_cannot_be_a_signals_is_refused(name: str) -> None:
    bd, _ = diagram()
    bd.CONSTANT(1.0, name="k").name = name
    with refused(DiagramError, "cannot be the name of a signal", repr(name), "slash"):
        structure.check_names(bd)


def same_names(bd: BlockDiagram, clock: Any) -> tuple[Any, str]:
    bd.CONSTANT(1.0, name="x")
    return bd.CONSTANT(2.0, name="z"), "x"


def name_of_the_time_axis(bd: BlockDiagram, clock: Any) -> tuple[Any, str]:
    return bd.CONSTANT(2.0, name="z"), "time"


def name_of_a_final_state(bd: BlockDiagram, clock: Any) -> tuple[Any, str]:
    bd.UNITDELAY(clock, name="c_prev")
    return bd.CONSTANT(2.0, name="z"), "c_prev_final"


def name_of_an_output_port(bd: BlockDiagram, clock: Any) -> tuple[Any, str]:
    bd.DEMUX(2, name="split")
    return bd.CONSTANT(2.0, name="z"), "split[1]"


@pytest.mark.parametrize(
    "clash", [same_names, name_of_the_time_axis, name_of_a_final_state, name_of_an_output_port]
)
def test_names_that_would_stand_for_two_things_are_refused(clash: Callable[..., Any]) -> None:
    block, name = clash(*diagram())
    block.name = name
    with refused(DiagramError, "the same name", repr(name), "names that differ"):
        structure.check_names(block.bd)


def wired(*terms: Any) -> BlockDiagram:
    """Return a compiled diagram that adds constants."""
    wires = [f"k{port} -> sum[{port}]" for port in range(len(terms))]
    return host.compile_diagram(wire(summed(*terms), *wires))


def test_widths_are_those_of_every_signal_by_name() -> None:
    bd = wired(np.ones(3), 2.0)
    bd.DEMUX(3, name="split")
    host.compile_diagram(wire(bd, "sum -> split"))
    assert host.signal_widths(bd) == {
        "k0": 3,
        "k1": 1,
        "sum": 3,
        "split[0]": 1,
        "split[1]": 1,
        "split[2]": 1,
    }


def test_widths_that_do_not_match_in_a_sum_of_bdsims_are_named_with_the_block() -> None:
    words = ("block 'sum' (SUM)", "shapes (3,), (2,)", "widths")
    with refused(DiagramError, *words):
        host.signal_widths(wired(np.ones(3), np.ones(2)))


@pytest.mark.parametrize(
    ("terms", "place"),
    [
        ((np.ones((3, 1)), np.ones(3)), "block 'k0' (CONSTANT), output port 0"),
        ((np.ones(3), np.ones((1, 3))), "block 'k1' (CONSTANT), output port 0"),
        ((np.eye(2), np.eye(2)), "block 'k0' (CONSTANT), output port 0"),
    ],
)
def test_a_matrix_on_a_wire_is_found_where_it_comes_from(terms: Any, place: str) -> None:
    with refused(DiagramError, place, "flatten"):
        host.signal_widths(wired(*terms))


def test_a_matrix_that_a_block_of_bdsims_makes_is_found() -> None:
    bd, _ = diagram()
    bd.CONSTANT(np.ones(2), name="k")
    bd.GAIN([[1, 2], [3, 4]], name="list")
    bd.NULL(1, name="end")
    host.compile_diagram(wire(bd, "k -> list", "list -> end"))
    with refused(DiagramError, "block 'list' (GAIN), output port 0", "(2, 2)"):
        host.signal_widths(bd)


def test_a_matrix_that_reaches_a_block_of_this_package_is_refused_at_its_port() -> None:
    bd = wired(np.ones((2, 1)), np.ones(2))
    bd.SIGMOID(name="it")
    host.compile_diagram(wire(bd, "sum -> it"))
    with refused(ShapeError, "block 'it' (SIGMOID), input port 0", "(2, 2)", "(n, 1)"):
        host.signal_widths(bd)


def test_text_on_a_wire_is_refused() -> None:
    bd, _ = diagram()
    bd.CONSTANT("text", name="k")
    bd.NULL(1, name="end")
    with refused(DiagramError, "block 'k' (CONSTANT)", "<U4"):
        host.signal_widths(host.compile_diagram(wire(bd, "k -> end")))


@pytest.mark.parametrize("x0", [[0.0], [0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
def test_a_hold_of_another_width_than_its_signal_is_refused(x0: list[float]) -> None:
    bd, clock = diagram()
    bd.CONSTANT(np.array([1.0, 2.0, 3.0]), name="three")
    bd.CONSTANT(5.0, name="five")
    bd.ZOH(clock, x0=x0, name="hold")
    bd.UNITDELAY(clock, [7.0], name="delay")
    host.compile_diagram(wire(bd, "three -> hold", "five -> delay"))
    with refused(LstmsimError, "block 'hold' (ZOH)", "3 elements"):
        host.signal_widths(bd)


def test_checking_a_diagram_tells_of_no_samples_done() -> None:
    bd, clock = diagram()
    source = bd.FROMWORKSPACE(clock, [1.0, 2.0], name="u")
    bd.TOWORKSPACE(clock, name="out")
    done: list[int] = []
    source.on_sample = done.append
    host.signal_widths(host.compile_diagram(wire(bd, "u -> out")))
    assert done == []


def test_an_error_of_this_packages_blocks_comes_through_as_it_is() -> None:
    bd, clock = diagram()
    bd.CONSTANT(np.ones(3), name="k")
    bd.MATRIXGAIN(np.ones((2, 2)), name="gain")
    bd.TOWORKSPACE(clock, name="out")
    host.compile_diagram(wire(bd, "k -> gain", "gain -> out"))
    words = ("block 'gain' (MATRIXGAIN), input port 0", "3 elements", "2 elements")
    with refused(ShapeError, *words):
        host.signal_widths(bd)


def test_what_a_users_block_prints_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    bd, _ = diagram()
    bd.CONSTANT(1.0, name="k")
    bd.FUNCTION(lambda x: print("seen") or x, name="show")
    bd.NULL(1, name="end")
    host.signal_widths(host.compile_diagram(wire(bd, "k -> show", "show -> end")))
    assert "seen" in capfd.readouterr().out


def test_clocks_are_returned_from_the_fastest_and_only_those_in_use() -> None:
    bd = host.blockdiagram()
    slow, fast, unused = (bd.clock(T, name=f"T{T}") for T in (0.3, 0.1, 0.05))
    bd.UNITDELAY(slow, name="a")
    bd.UNITDELAY(fast, name="b")
    assert structure.clocks(bd) == [fast, slow]
    assert unused in bd.clocklist


@pytest.mark.parametrize(
    ("periods", "names", "words"),
    [
        ((0.1, 0.25), ("a", "b"), ("clock 'b'", "0.25 s", "0.1 s")),
        ((0.1, 0.2), ("a", "a"), ("same name", "a, a")),
    ],
)
def test_clocks_that_do_not_share_their_samples_are_refused(
    periods: tuple[float, ...], names: tuple[str, ...], words: tuple[str, ...]
) -> None:
    bd = host.blockdiagram()
    for n, (T, name) in enumerate(zip(periods, names, strict=True)):
        bd.UNITDELAY(bd.clock(T, name=name), name=f"delay{n}")
    with refused(DiagramError, *words):
        structure.clocks(bd)


def test_two_clocks_too_fast_for_bdsim_are_refused_or_right() -> None:
    def run(Ts: float) -> np.ndarray:
        bd = host.blockdiagram()
        fast, slow = bd.clock(Ts, name="fast"), bd.clock(2 * Ts, name="slow")
        bd.FROMWORKSPACE(fast, np.arange(1.0, 9.0), name="u")
        bd.UNITDELAY(slow, name="held")
        return ls.simulate(wire(bd, "u -> held")).held.values

    try:
        fast = run(5e-7)
    except (DiagramError, InvalidValueError):
        return
    assert_same(fast, run(0.1), "a delay on the slower clock")


def test_signal_names_have_the_port_where_there_are_several() -> None:
    bd, _ = diagram()
    split, one = bd.DEMUX(2, name="split"), bd.CONSTANT(1.0, name="one")
    assert structure.signal_name(split, 1) == "split[1]"
    assert structure.signal_ports(bd) == {
        "split[0]": (split, 0),
        "split[1]": (split, 1),
        "one": (one, 0),
    }
