"""What this package leans on in bdsim: a new bdsim that behaves otherwise is noticed here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bdsim.exceptions import BlockCreationError, BlockRuntimeError

from lstmsim.diagram import host
from lstmsim.errors import InvalidValueError
from tests.helpers import assert_same, diagram, wire


def delayed_count(samples: int = 5) -> tuple[Any, Any]:
    """Return a compiled diagram in which 1, 2, 3 … pass a delay that begins with 7."""
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, np.arange(1.0, samples + 1), name="u")
    bd.UNITDELAY(clock, [7.0], name="delay")
    bd.NULL(1, name="end")
    return host.compile_diagram(wire(bd, "u -> delay", "delay -> end")), clock


def run(bd: Any, T: float, *watch: str) -> Any:
    return host.simulator().run(bd, T=T, watch=[bd.blocknames[name][0] for name in watch])


def output(kind: str, *arguments: Any, u: list[Any], **options: Any) -> Any:
    """Return what one block without states makes of its inputs."""
    bd, _ = diagram()
    return getattr(bd, kind)(*arguments, **options).output(0.0, u, None)[0]


def test_a_clock_does_not_tick_at_zero() -> None:
    bd, _ = delayed_count()
    assert_same(np.round(run(bd, 0.5, "u")["clock"].t, 12), [0.1, 0.2, 0.3, 0.4, 0.5], "ticks")


def test_a_run_to_n_samples_has_n_plus_one_records_of_which_the_first_is_a_repeat() -> None:
    bd, _ = delayed_count()
    out = run(bd, 0.5, "u", "delay")
    assert_same(out.y[:, 0], [1, 1, 2, 3, 4, 5], "the source")
    assert_same(out.y[:, 1], [7, 7, 1, 2, 3, 4], "the delay")


@pytest.mark.parametrize("Ts", [1e-7, 1e-3, 1 / 3, 1e4])
@pytest.mark.parametrize("samples", [1, 51])
def test_the_number_of_records_does_not_depend_on_the_sample_time(Ts: float, samples: int) -> None:
    bd = host.blockdiagram()
    clock = bd.clock(Ts, name="clock")
    bd.FROMWORKSPACE(clock, np.arange(float(samples)), name="u")
    bd.TOWORKSPACE(clock, name="out")
    host.compile_diagram(wire(bd, "u -> out"))
    assert len(run(bd, samples * Ts, "u").t) == samples + 1


def test_a_run_to_a_time_off_the_grid_appends_a_record() -> None:
    bd, _ = delayed_count()
    assert_same(run(bd, 0.25, "u").t.round(12), [0, 0.1, 0.2, 0.25], "times")


def test_a_clock_moved_to_zero_never_ticks_but_one_moved_to_a_sliver_above_does() -> None:
    bd, clock = delayed_count()
    clock.offset = -0.1
    assert len(run(bd, 0.3, "u")["clock"].t) == 0
    clock.offset = -0.1 + 1e-11
    out = run(bd, 0.3 + 1e-11, "u", "delay")
    assert_same(out["clock"].t.round(9), [0, 0.1, 0.2, 0.3], "ticks")
    assert_same(out.y, [[1, 7], [1, 7], [2, 1], [3, 2], [4, 3]], "records")


def test_states_are_those_after_a_tick_and_signals_those_before_it() -> None:
    bd, _ = delayed_count()
    out = run(bd, 0.3, "delay")
    assert_same(out["clock"].X, [[1, 1], [2, 2], [3, 3]], "index and delay, after")
    assert_same(out.y[1:, 0], [7, 1, 2], "delay, before")


def test_a_sink_is_stepped_more_than_once_a_sample() -> None:
    bd, _ = delayed_count()
    calls: list[float] = []
    bd.blocknames["end"].step = lambda t, *rest: calls.append(t)
    run(bd, 0.5, "u")
    assert len(calls) > 6


def test_initial_states_are_taken_from_x0_in_the_order_of_the_clocks_blocks() -> None:
    bd, clock = delayed_count()
    assert [block.name for block in clock.blocklist] == ["u", "delay"]
    bd.blocknames["u"]._x0 = np.array([2.0])
    bd.blocknames["delay"]._x0 = np.array([9.0])
    out = run(bd, 0.2, "u", "delay")
    assert_same(out.y, [[3, 9], [3, 9], [4, 3]], "signals")
    assert_same(out["clock"].X[-1], [4, 4], "final states")


def test_a_run_split_in_two_equals_one_run_to_the_last_bit() -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, [0.3], name="x")
    bd.CONSTANT(np.ones(1), name="one")
    bd.SUM("+-", name="rest")
    bd.HADAMARD(2, name="product")
    bd.GAIN(3.9, name="next")
    wire(bd, "one -> rest[0]", "x -> rest[1]", "rest -> product[0]", "x -> product[1]")
    host.compile_diagram(wire(bd, "product -> next", "next -> x"))
    whole = run(bd, 2.0, "x").y[1:]
    first = run(bd, 1.0, "x")
    bd.blocknames["x"]._x0 = first["clock"].X[-1]
    second = run(bd, 1.0, "x")
    assert_same(np.vstack([first.y[1:], second.y[1:]]), whole, "x")


def test_the_watched_signals_are_the_columns_of_one_matrix() -> None:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, np.arange(6.0).reshape(3, 2), name="u")
    bd.CONSTANT(8.0, name="eight")
    bd.MUX(2, name="mux")
    bd.TOWORKSPACE(clock, name="out")
    host.compile_diagram(wire(bd, "u -> mux[0]", "eight -> mux[1]", "mux -> out"))
    out = run(bd, 0.3, "mux", "eight", "u")
    assert_same(out.y[1:], [[0, 1, 8, 8, 0, 1], [2, 3, 8, 8, 2, 3], [4, 5, 8, 8, 4, 5]], "y")


def test_results_are_under_the_clocks_name_without_dots() -> None:
    bd = host.blockdiagram()
    clock = bd.clock(0.1, name="my.clock")
    bd.CONSTANT(1.0, name="one")
    bd.TOWORKSPACE(clock, name="out")
    host.compile_diagram(wire(bd, "one -> out"))
    assert run(bd, 0.1, "one")["myclock"].X.shape == (1, 1)


def test_compiling_twice_would_name_the_states_twice() -> None:
    bd, clock = delayed_count()
    assert clock.statenames == ["u:X_0", "delay:X_0"]
    bd.compile(evaluate=False)
    assert clock.statenames == ["u:X_0", "delay:X_0"] * 2
    bd.compiled = False
    host.compile_diagram(bd)
    assert clock.statenames == ["u:X_0", "delay:X_0"]


def test_checkfinite_never_fires() -> None:
    bd, clock = diagram()
    bd.CONSTANT(np.array([np.nan, np.inf]), name="bad")
    bd.UNITDELAY(clock, [0.0, 0.0], name="delay")
    host.compile_diagram(wire(bd, "bad -> delay"))
    out = host.simulator().run(bd, T=0.2, checkfinite=True, watch=[bd.blocknames["delay"][0]])
    assert_same(out.y[-1], [np.nan, np.inf], "the delay")


def test_prod_of_two_vectors_is_a_dot_product() -> None:
    assert_same(output("PROD", "**", u=[np.array([1.0, 2.0]), np.array([3.0, 4.0])]), 11.0)


def test_gain_multiplies_from_the_right_unless_told_otherwise() -> None:
    K, u = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([5.0, 6.0])
    assert_same(output("GAIN", K, u=[u]), [23, 34], "u K")
    assert_same(output("GAIN", K, premul=True, u=[u]), [17, 39], "K u")


def test_gain_with_a_list_multiplies_wrongly_in_silence() -> None:
    assert output("GAIN", [[1, 2], [3, 4]], u=[np.array([5.0, 6.0])]).shape == (2, 2)


def test_a_zero_order_hold_of_one_element_gives_a_scalar() -> None:
    bd, clock = diagram()
    hold = bd.ZOH(clock, x0=[1.0])
    assert np.shape(hold.output(0.0, [], np.array([3.0]))[0]) == ()
    assert np.shape(hold.output(0.0, [], np.array([3.0, 4.0]))[0]) == (2,)


def test_a_wide_signal_into_a_narrow_hold_runs_on_in_silence() -> None:
    bd, clock = diagram()
    bd.CONSTANT(np.array([1.0, 2.0, 3.0]), name="wide")
    bd.ZOH(clock, x0=[0.0, 0.0], name="narrow")
    host.compile_diagram(wire(bd, "wide -> narrow"))
    assert_same(run(bd, 0.2, "narrow").y[-1], [1, 2], "cut")


def test_a_column_added_to_a_vector_is_a_matrix_in_silence() -> None:
    assert output("SUM", "++", u=[np.ones((2, 1)), np.ones(2)]).shape == (2, 2)


def test_function_blocks_refuse_ufuncs() -> None:
    with pytest.raises(BlockCreationError):
        output("FUNCTION", np.tanh, u=[np.ones(2)])


def test_states_of_a_vector_cannot_be_named() -> None:
    _, clock = diagram()
    with pytest.raises(AssertionError, match="number of state names"):
        host.block_class("UNITDELAY")(clock, [1.0, 2.0], snames=["a", "b"])


def test_an_error_in_a_block_is_a_fatal_failure_around_the_cause() -> None:
    bd, clock = diagram()
    bd.CONSTANT(np.ones(3), name="three")
    bd.CONSTANT(np.ones(2), name="two")
    bd.SUM("++", name="sum")
    bd.TOWORKSPACE(clock, name="out")
    host.compile_diagram(wire(bd, "three -> sum[0]", "two -> sum[1]", "sum -> out"))
    with pytest.raises(RuntimeError, match="Fatal failure") as caught:
        host.simulator().run(bd, T=0.1)
    failure = caught.value.__context__
    assert isinstance(failure, BlockRuntimeError)
    assert (failure.block.name, [np.shape(u) for u in failure.inputs]) == ("sum", [(3,), (2,)])
    assert isinstance(failure.cause, ValueError)


def test_an_algebraic_loop_is_not_named_in_bdsims_exception() -> None:
    bd, _ = diagram()
    bd.GAIN(2.0, name="again")
    with pytest.raises(RuntimeError, match=r"^could not compile system$"):
        wire(bd, "again -> again").compile(evaluate=False)


def test_an_error_of_a_constructor_is_lost_in_bdsims_own_methods_but_not_in_ours() -> None:
    bd = host.simulator().blockdiagram()
    with pytest.raises(BlockCreationError) as caught:
        bd.MATRIXGAIN(np.nan)
    assert caught.value.__cause__ is None
    with pytest.raises(InvalidValueError):
        host.blockdiagram().MATRIXGAIN(np.nan)
