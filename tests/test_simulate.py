"""What `simulate` and `reference` promise, on small diagrams."""

from __future__ import annotations

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.engine.engines import Kernels
from lstmsim.errors import (
    DiagramError,
    InvalidTypeError,
    InvalidValueError,
    NonFiniteSignalError,
    ShapeError,
)
from tests.conftest import Case
from tests.engines import Simulate
from tests.helpers import assert_close


def counting_diagram(Ts: float = 0.1) -> object:
    """A source, a delay of it, and a sink, wired by hand."""
    bd = ls.blockdiagram()
    clock = bd.clock(Ts, name="clock")
    u = bd.FROMWORKSPACE(clock, width=1, name="u")
    delay = bd.UNITDELAY(clock, [7.0], name="delay")
    out = bd.TOWORKSPACE(clock, name="out")
    bd.connect(u, delay)
    bd.connect(delay, out)
    return bd


@pytest.fixture
def layer(rng: np.random.Generator) -> ls.LSTM:
    return ls.LSTM(
        rng.normal(size=(12, 2)),
        rng.normal(size=(12, 3)),
        rng.normal(size=12),
        h0=rng.normal(size=3),
        c0=rng.normal(size=3),
    )


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_each_engine_is_the_one_that_is_named(simulate: Simulate, engine: str) -> None:
    traces = simulate(counting_diagram(), [1.0])
    assert traces.attrs["engine"] == engine.removesuffix("-scalar")
    if engine == "numba-scalar":
        kernels = ls.compile(counting_diagram())._engine
        assert isinstance(kernels, Kernels)
        assert kernels.program.form == "scalar"


@pytest.mark.parametrize("Ts", [1e-7, 1e-3, 0.1, 1 / 3, 1.0, 1e4])
def test_sample_k_of_every_trace_belongs_to_sample_k_of_the_input(
    simulate: Simulate, Ts: float
) -> None:
    u = np.arange(1.0, 8.0)
    traces = simulate(counting_diagram(Ts), u)
    np.testing.assert_array_equal(traces.u[:, 0], u)
    np.testing.assert_array_equal(traces.delay[:, 0], [7, 1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(traces.time, np.arange(7) * Ts)
    assert traces.delay_final.values == [7.0]


def test_one_sample_runs(simulate: Simulate) -> None:
    traces = simulate(counting_diagram(), [5.0])
    assert (traces.u.values, traces.delay.values) == ([[5.0]], [[7.0]])
    assert traces.delay_final.values == [5.0]


def test_a_diagram_is_not_altered_by_a_run(
    simulate: Simulate, layer: ls.LSTM, rng: np.random.Generator
) -> None:
    diagram, u = ls.build(ls.Network([layer])), rng.normal(size=(9, 2))
    first = simulate(diagram, u)
    simulate(diagram, rng.normal(size=(4, 2)), state={"c_prev": [1.0, 2.0, 3.0]})
    assert simulate(diagram, u).identical(first)
    assert diagram.blocknames["u"].values is None
    assert diagram.clocklist[0].offset == 0


def test_a_failed_run_leaves_the_diagram_as_it_was(simulate: Simulate, layer: ls.LSTM) -> None:
    diagram = ls.build(ls.Network([layer]))
    u = np.ones((3, 2))
    before = simulate(diagram, u)
    with pytest.raises(InvalidValueError):
        simulate(diagram, u, signals=["nothing"])
    assert simulate(diagram, u).identical(before)


@pytest.mark.parametrize("split", [1, 10, 29])
def test_a_run_split_in_two_equals_one_run(
    simulate: Simulate, engine: str, layer: ls.LSTM, rng: np.random.Generator, split: int
) -> None:
    diagram = ls.build(ls.Network([layer, ls.Dense(rng.normal(size=(2, 3)), [1, 2])]))
    u = rng.normal(size=(30, 2))
    whole = simulate(diagram, u)
    first = simulate(diagram, u[:split])
    second = simulate(diagram, u[split:], state=first)
    for name in whole.data_vars:
        values = second[name].values
        if "time" in whole[name].dims:
            values = np.concatenate([first[name].values, values])
        # To the last bit, but for NumPy: BLAS orders the sums of a product by its size.
        assert_close(values, whole[name].values, 1e-15 if engine == "numpy" else 0, str(name))
    np.testing.assert_array_equal(np.r_[first.time, second.time], whole.time)


def test_states_can_be_given_by_name(
    simulate: Simulate, layer: ls.LSTM, rng: np.random.Generator
) -> None:
    u, h0, c0 = rng.normal(size=(5, 2)), rng.normal(size=3), rng.normal(size=3)
    other = ls.LSTM(layer.W, layer.R, layer.b, h0=h0, c0=c0)
    given = simulate(ls.build(ls.Network([layer])), u, state={"h_prev": h0, "c_prev": c0})
    built = simulate(ls.build(ls.Network([other])), u)
    assert given.equals(built)


def test_selected_signals_are_the_same_numbers(
    simulate: Simulate, layer: ls.LSTM, rng: np.random.Generator
) -> None:
    diagram, u = ls.build(ls.Network([layer])), rng.normal(size=(6, 2))
    some, every = simulate(diagram, u, signals=["y", "f"]), simulate(diagram, u)
    assert {str(n) for n in some.data_vars} == {"f", "y", "h_prev_final", "c_prev_final"}
    assert some.y.equals(every.y)
    assert some.f.equals(every.f)


def test_without_a_head_y_is_h_under_a_second_name(simulate: Simulate, layer: ls.LSTM) -> None:
    traces = simulate(ls.build(ls.Network([layer])), np.ones((4, 2)))
    np.testing.assert_array_equal(traces.y, traces.h)
    assert traces.y.dims == traces.h.dims == ("time", "unit")


def test_signals_that_meet_element_by_element_share_a_dimension(
    simulate: Simulate, layer: ls.LSTM
) -> None:
    network = ls.Network([layer, layer_after(layer), ls.Dense(np.ones((2, 4)), [0.0, 1.0])])
    traces = simulate(ls.build(network), np.ones((4, 2)))
    product = traces["lstm1.f"] * traces["lstm1.c_prev"]
    assert product.dims == ("time", "lstm1.unit")
    np.testing.assert_array_equal(product, traces["lstm1.fc"])
    assert traces["lstm2.Wi"].dims == traces["lstm2.h_prev"].dims == ("time", "lstm2.unit")
    assert traces.u.dims == ("time", "input")
    assert traces.Fh.dims == traces.by.dims == traces.y.dims == ("time", "output")
    reference = ls.reference(network, np.ones((4, 2)))
    assert {str(n): traces[n].dims for n in traces} == {
        str(n): reference[n].dims for n in reference
    }


def layer_after(layer: ls.LSTM) -> ls.LSTM:
    return ls.LSTM(np.ones((16, layer.n_outputs)), np.ones((16, 4)), np.zeros(16))


def test_sources_that_are_functions_of_time_act_at_their_time(simulate: Simulate) -> None:
    bd = ls.blockdiagram()
    clock = bd.clock(0.1, name="clock")
    step, wave = bd.STEP(T=0.3, name="step"), bd.WAVEFORM("sine", freq=1.5, name="wave")
    ramp = bd.RAMP(T=0.2, slope=2, name="ramp")
    for number, source in enumerate((step, wave, ramp)):
        bd.connect(source, bd.UNITDELAY(clock, 0.0, name=f"d{number}"))
    traces = simulate(bd, samples=8)
    time = np.arange(8) * 0.1
    np.testing.assert_array_equal(traces.step[:, 0], [0, 0, 0, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(traces.wave[:, 0], np.sin(2 * np.pi * 1.5 * time), atol=1e-9)
    np.testing.assert_allclose(traces.ramp[:, 0], 2 * np.maximum(time - 0.2, 0), atol=1e-9)
    np.testing.assert_array_equal(traces.d0[1:], traces.step[:-1].values)
    more = simulate(bd, samples=2, state=simulate(bd, samples=3))
    np.testing.assert_array_equal(more.step[:, 0], [1, 1], "time goes on with the state")


def test_a_layer_runs_beside_bdsims_own_blocks(
    simulate: Simulate, layer: ls.LSTM, rng: np.random.Generator
) -> None:
    bd = ls.blockdiagram()
    clock = bd.clock(0.5, name="clock")
    u = bd.FROMWORKSPACE(clock, width=2, name="u")
    half = bd.GAIN(0.5, name="half")
    bd.connect(u, half)
    h = ls.lstm_layer(bd, clock, half, layer, "cell")
    bd.connect(h, bd.TOWORKSPACE(clock, name="out"))
    samples = rng.normal(size=(12, 2))
    traces = simulate(bd, samples)
    expected = ls.reference(ls.Network([layer], Ts=0.5), samples / 2)
    np.testing.assert_allclose(traces["cell.c"], expected.c, rtol=0, atol=1e-14)
    np.testing.assert_allclose(traces.y, expected.h, rtol=0, atol=1e-14)


def test_a_sink_keeps_the_samples_of_the_last_run(simulate: Simulate) -> None:
    diagram = counting_diagram()
    traces = simulate(diagram, np.arange(5.0))
    np.testing.assert_array_equal(diagram.blocknames["out"].values, traces.delay)


@pytest.mark.parametrize("name", ["published", "smallest", "stacked"])
def test_every_signal_is_that_of_the_reference(
    simulate: Simulate, request: pytest.FixtureRequest, name: str
) -> None:
    case: Case = request.getfixturevalue(name)
    traces, expected = simulate(case.diagram, case.u), ls.reference(case.network, case.u)
    assert set(traces) == set(expected)
    for signal in expected:
        assert traces[signal].dims == expected[signal].dims
        assert_close(traces[signal].values, expected[signal].values, 1e-12, str(signal))


def test_single_precision_is_that_of_the_reference(simulate: Simulate, stacked: Case) -> None:
    traces = simulate(stacked.diagram, stacked.u, dtype="float32")
    report = ls.check(traces, stacked.expected)
    assert report.ok, str(report)
    assert {str(a.dtype) for a in traces.data_vars.values()} == {"float32"}


def test_a_batch_of_inputs_is_its_sequences(simulate: Simulate, stacked: Case) -> None:
    batch = np.stack([stacked.u, 1 - stacked.u, stacked.u[::-1]])
    together = simulate(stacked.diagram, batch)
    expected = ls.reference(stacked.network, batch)
    assert together.y.dims == expected.y.dims == ("batch", "time", "output")
    for signal in ("y", "lstm1.c", "lstm2.f", "lstm2.h_prev_final"):
        assert_close(together[signal].values, expected[signal].values, 1e-12, signal)
        for number, u in enumerate(batch):
            alone = simulate(stacked.diagram, u)[signal]
            assert_close(together[signal][number].values, alone.values, 1e-12, signal)


def test_clocks_of_multiple_periods_tick_together(simulate: Simulate) -> None:
    bd = ls.blockdiagram()
    fast, slow = bd.clock(0.1, name="fast"), bd.clock(0.2, name="slow")
    u = bd.FROMWORKSPACE(fast, np.arange(6.0), name="u")
    a, b = bd.UNITDELAY(fast, -1.0, name="a"), bd.UNITDELAY(slow, -1.0, name="b")
    bd.connect(u, a, b)
    traces = simulate(bd)
    np.testing.assert_array_equal(traces.a[:, 0], [-1, 0, 1, 2, 3, 4])
    np.testing.assert_array_equal(traces.b[:, 0], [-1, 0, 0, 2, 2, 4])


def test_continuous_blocks_are_sampled_at_the_ticks(simulate: Simulate) -> None:
    bd = ls.blockdiagram()
    clock = bd.clock(0.25, name="clock")
    u = bd.FROMWORKSPACE(clock, [1.0, 3.0, 0.0, 0.0], name="u")
    hold = bd.UNITDELAY(clock, 0.0, name="hold")
    integral = bd.INTEGRATOR(0.0, name="integral")
    bd.connect(u, hold)
    bd.connect(hold, integral)
    bd.connect(integral, bd.TOWORKSPACE(clock, name="out"))
    traces = simulate(bd)
    # Between two ticks a delay puts out what it stored at the first of them.
    np.testing.assert_allclose(traces.integral[:, 0], [0, 0.25, 1.0, 1.0], atol=1e-8)
    with pytest.raises(DiagramError, match="continuous states"):
        simulate(bd, state=traces)


def test_an_overflow_names_the_block_and_the_sample(simulate: Simulate) -> None:
    bd = ls.blockdiagram()
    clock = bd.clock(1.0, name="clock")
    delay = bd.UNITDELAY(clock, 1e300, name="state")
    grow = bd.MATRIXGAIN(1e3, name="grow")
    bd.connect(delay, grow)
    bd.connect(grow, delay)
    with pytest.raises(NonFiniteSignalError, match=r"\bgrow\b.*sample 2"):
        simulate(bd, samples=10)


@pytest.mark.parametrize(
    ("u", "error", "words"),
    [
        (np.zeros((0, 2)), ShapeError, r"shape \(0, 2\)"),
        (np.zeros(4), ShapeError, r"\(T, 2\)"),
        (np.zeros((4, 3)), ShapeError, "2 columns"),
        (np.zeros((2, 4, 2, 2)), ShapeError, r"\(2, 4, 2, 2\)"),
        ([[1.0, np.nan]], InvalidValueError, r"index \[0, 1\]"),
        ([["a", "b"]], InvalidTypeError, "text"),
        (np.ones((3, 2)) * 1j, InvalidTypeError, "complex"),
        ({"v": np.zeros((3, 2))}, InvalidValueError, "'v'"),
        (None, InvalidValueError, "no input"),
    ],
)
def test_a_wrong_input_is_refused(
    simulate: Simulate, layer: ls.LSTM, u: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        simulate(ls.build(ls.Network([layer])), u)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"engine": "numbra"}, "'numbra'"),
        ({"dtype": "int8"}, "int8"),
        ({"samples": 0}, "whole number from 1 to 3"),
        ({"samples": 4}, "whole number from 1 to 3"),
        ({"samples": 1.5}, "1.5"),
        ({"signals": []}, "no signal"),
        ({"signals": ["h", "H"]}, "'H'"),
        ({"state": {"d": [1.0]}}, "another diagram"),
        ({"state": {"h_prev": [1.0]}}, "3 elements"),
        ({"state": {"h_prev": [1.0, np.nan, 1.0]}}, "NaN"),
        ({"state": 3}, "not a state"),
    ],
)
def test_a_wrong_argument_is_refused(
    simulate: Simulate, layer: ls.LSTM, arguments: dict, words: str
) -> None:
    with pytest.raises((InvalidValueError, InvalidTypeError), match=words):
        simulate(ls.build(ls.Network([layer])), np.ones((3, 2)), **arguments)


def test_bdsim_refuses_what_the_other_engines_are_for(layer: ls.LSTM) -> None:
    diagram = ls.build(ls.Network([layer]))
    with pytest.raises(InvalidValueError, match=r'(?s)double precision.*engine="numba"'):
        ls.simulate(diagram, np.ones((3, 2)), dtype="float32")
    with pytest.raises(ShapeError, match=r"\(2, 4, 2\)"):
        ls.simulate(diagram, np.ones((2, 4, 2)))


def test_the_state_of_another_diagram_is_refused(simulate: Simulate, layer: ls.LSTM) -> None:
    traces = simulate(counting_diagram(1.0), [1.0, 2.0])
    with pytest.raises(InvalidValueError, match=r"states of h_prev.*c_prev"):
        simulate(ls.build(ls.Network([layer])), np.ones((3, 2)), state=traces)


def test_traces_that_were_cut_are_no_state(simulate: Simulate, layer: ls.LSTM) -> None:
    diagram, u = ls.build(ls.Network([layer], Ts=0.1)), np.ones((9, 2))
    traces = simulate(diagram, u)
    with pytest.raises(InvalidValueError, match=r"(?s)were cut.*to 0.3 s of a run to 0.8 s"):
        simulate(diagram, u, state=traces.isel(time=slice(0, 4)))
    with pytest.raises(InvalidValueError, match="another sample time"):
        simulate(ls.build(ls.Network([layer], Ts=0.2)), u, state=traces)
    batch = ls.reference(ls.Network([layer], Ts=0.1), np.ones((3, 9, 2)))
    with pytest.raises(ShapeError, match=r"\(3, 3\)"):
        simulate(diagram, u, state=batch)


def test_progress_is_reported_to_the_last_sample(simulate: Simulate, layer: ls.LSTM) -> None:
    seen: list[tuple[int, int]] = []
    simulate(ls.build(ls.Network([layer])), np.ones((500, 2)), progress=lambda *a: seen.append(a))
    assert seen[-1:] == [(500, 500)]
    assert 100 <= len(seen) <= 300
    assert seen == sorted(seen)


def test_the_reference_of_a_batch_is_that_of_its_sequences(
    layer: ls.LSTM, rng: np.random.Generator
) -> None:
    network = ls.Network([layer, ls.Dense(rng.normal(size=(2, 3)), [1.0, 2.0])])
    batch = rng.normal(size=(4, 11, 2))
    together = ls.reference(network, batch)
    for number, u in enumerate(batch):
        alone = ls.reference(network, u)
        for name in alone.data_vars:
            np.testing.assert_allclose(
                together[name][number], alone[name], rtol=0, atol=1e-14, err_msg=str(name)
            )


def test_the_reference_keeps_its_precision(layer: ls.LSTM) -> None:
    traces = ls.reference(ls.Network([layer]), np.ones((4, 2)), dtype="float32")
    assert {str(a.dtype) for a in traces.data_vars.values()} == {"float32"}
    assert traces.attrs["dtype"] == "float32"


def test_saturated_gates_neither_overflow_nor_warn(simulate: Simulate) -> None:
    extreme = ls.LSTM(np.ones((4, 1)), np.zeros((4, 1)), [1e4, -1e4, 0.0, 1e4])
    for dtype in ("float32", "float64"):
        with np.errstate(all="raise", under="ignore"):
            traces = ls.reference(ls.Network([extreme]), [[0.5]], dtype=dtype)
        assert (traces.i.item(), traces.f.item()) == (1.0, 0.0)
    with np.errstate(all="raise", under="ignore"):
        traces = simulate(ls.build(ls.Network([extreme])), [[0.5]])
    assert traces.i.item() == 1.0
    assert 0 <= traces.f.item() < 1e-300
