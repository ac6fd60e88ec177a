"""bdsim's sources that are functions of time, on the compiled engines."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.errors import DiagramError, InvalidValueError
from tests.helpers import assert_close, assert_same, diagram, refused, wire
from tests.test_c_export import STRICT, gcc, library

ENGINES = ("numpy", "numba")
TS = 0.1
MAKERS: dict[str, Callable[[Any], Any]] = {
    # 0.3 is below 3·Ts in double precision: the sliver decides.
    "STEP": lambda bd: bd.STEP(T=0.3, off=-0.5, on=2, name="it"),
    "RAMP": lambda bd: bd.RAMP(T=0.2, off=0.1, slope=2, name="it"),
    "sine": lambda bd: bd.WAVEFORM("sine", freq=1.5, phase=0.2, offset=0.3, name="it"),
    "square": lambda bd: bd.WAVEFORM("square", freq=2.5, duty=0.25, name="it"),
    "triangle": lambda bd: bd.WAVEFORM("triangle", freq=3, unit="rad/s", name="it"),
    "PIECEWISE": lambda bd: bd.PIECEWISE((0, 0.5), (0.2, -1), (0.55, 2), name="it"),
    "TIME": lambda bd: bd.TIME(name="it"),
}


def alone(kind: str) -> Any:
    bd, clock = diagram()
    MAKERS[kind](bd)
    bd.TOWORKSPACE(clock, name="out")
    return wire(bd, "it -> out")


def loop(kind: str, gain: float = 0.5, *, fed: bool = False) -> Any:
    """Return x⁺ = tanh(g·it + x/2 (+ u)), y = x⁺."""
    bd, clock = diagram()
    MAKERS[kind](bd)
    bd.MATRIXGAIN([[gain]], name="g")
    bd.UNITDELAY(clock, 0.2, name="x")
    bd.GAIN(0.5, name="half")
    bd.SUM("+++" if fed else "++", name="sum")
    bd.TANH(name="tanh")
    bd.TOWORKSPACE(clock, name="out")
    if fed:
        bd.FROMWORKSPACE(clock, name="u")
        wire(bd, "u -> sum[2]")
    wires = ("it -> g", "g -> sum[0]", "x -> half", "half -> sum[1]", "sum -> tanh", "tanh -> x")
    return wire(bd, *wires, "tanh -> out")


def by_hand(source: np.ndarray, u: np.ndarray, x: float = 0.2, gain: float = 0.5) -> np.ndarray:
    found = []
    for one, own in zip(source.reshape(-1), u.reshape(-1), strict=True):
        x = np.tanh(gain * one + 0.5 * x + own)
        found.append([x])
    return np.array(found)


def samples_of(kind: str, samples: int) -> np.ndarray:
    return ls.simulate(alone(kind), samples=samples).it.values


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", MAKERS)
def test_runs_are_those_of_bdsim(kind: str, engine: str) -> None:
    for make in (alone, loop):
        bd = make(kind)
        expected, found = (ls.simulate(bd, samples=30, engine=e) for e in ("bdsim", engine))
        assert set(found) == set(expected)
        assert_same(found.it.values, expected.it.values)
        for name in expected:
            assert_close(found[name].values, expected[name].values, 1e-12)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", MAKERS)
def test_a_continued_run_goes_on_with_the_time(kind: str, engine: str) -> None:
    compiled = ls.compile(loop(kind), engine=engine)
    whole = compiled.run(samples=20)
    first = compiled.run(samples=7)
    more = compiled.run(samples=13, state=first)
    assert_close(more.it.values, whole.it.values[7:], 1e-12)
    assert_close(more.tanh.values, whole.tanh.values[7:], 1e-12)
    assert_close(compiled.forward(samples=13, state=first), whole.tanh.values[7:], 1e-12)
    expected = ls.simulate(compiled.diagram, samples=13, state=first)
    assert_same(more.it.values, expected.it.values)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_input_is_that_of_the_other_source(engine: str) -> None:
    u = np.linspace(-1, 1, 12)[:, None]
    batch = np.stack([u, -u, 2 * u])
    compiled = ls.compile(loop("sine", fed=True), engine=engine)
    source = samples_of("sine", 12)
    assert_close(compiled.forward(u), by_hand(source, u), 1e-12)
    assert_close(compiled.forward(batch), [by_hand(source, one) for one in batch], 1e-12)
    assert_close(compiled.run({"u": u}).it.values, source, 1e-12)
    given = {"u": u, "it": 3 * source}
    assert_close(compiled.forward(given), by_hand(3 * source, u), 1e-12)
    single = ls.compile(compiled.diagram, "float32", engine)
    assert_close(single.forward(u), by_hand(source, u), 1e-5)
    with refused(InvalidValueError, "the diagram takes no input", "0 FROMWORKSPACE"):
        ls.compile(loop("STEP"), engine=engine).forward(u)
    with refused(InvalidValueError, "nothing says how long to run"):
        ls.compile(loop("STEP"), engine=engine).forward()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_changed_source_is_noticed(engine: str) -> None:
    bd = loop("STEP")
    compiled = ls.compile(bd, engine=engine)
    before = compiled.forward(samples=6)
    bd["it"].T, bd["it"].on = 0.1, -1.0
    after = compiled.forward(samples=6)
    assert_close(after, by_hand(np.array([-0.5, -1, -1, -1, -1, -1]), np.zeros(6)), 1e-12)
    assert abs(after - before).max() > 0.1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fed", [False, True])
def test_a_gradient_is_that_of_differences(engine: str, fed: bool) -> None:
    u, target = np.linspace(-1, 1, 10)[:, None], np.full((10, 1), 0.25)
    source = samples_of("STEP", 10)

    def loss_at(gain: float, shift: np.ndarray) -> float:
        own = u if fed else np.zeros((10, 1))
        return float(np.mean((by_hand(source + shift, own, gain=gain) - target) ** 2))

    compiled = ls.compile(loop("STEP", 0.7, fed=fed), engine=engine)
    loss, gradient = compiled.loss_and_gradient(
        *((u, target) if fed else (None, target)), samples=10, wrt_input=True
    )
    zero, h = np.zeros((10, 1)), 1e-6
    assert_close(loss, loss_at(0.7, zero), 1e-12)
    slope = (loss_at(0.7 + h, zero) - loss_at(0.7 - h, zero)) / (2 * h)
    assert_close(gradient["g"], [[slope]], 1e-8)
    first = np.eye(10, 1)
    slope = (loss_at(0.7, h * first) - loss_at(0.7, -h * first)) / (2 * h)
    assert gradient["it"].shape == (10, 1)
    assert_close(gradient["it"][0, 0], slope, 1e-8)
    assert ("u" in gradient) == fed


@pytest.mark.parametrize("engine", ENGINES)
def test_fit_needs_no_input_for_it(engine: str) -> None:
    u, source = np.sin(np.arange(25.0))[:, None], samples_of("STEP", 25)
    for given in (None, u):
        own = np.zeros((25, 1)) if given is None else u
        target = by_hand(source, own, gain=0.8)
        result = ls.fit(
            loop("STEP", 0.3, fed=given is not None), given, target, engine=engine,
            epochs=150, learning_rate=0.02, frozen=["half*"],
        )  # fmt: skip
        assert result.loss < 1e-4 * float(result.history.loss[0])
        assert_close(result.blocks["g", "K"], [[0.8]], 0.02)


def test_a_linearization_has_no_column_for_it() -> None:
    u = np.linspace(-1, 1, 8)[:, None]
    bd = loop("RAMP", fed=True)
    traces = ls.simulate(bd, u)
    run = ls.linearize(bd, traces)
    slope = 1 - traces.tanh.values[:, 0] ** 2
    assert run.input.values.tolist() == ["u[0]"]
    assert_close(run.A[:, 0, 0], 0.5 * slope, 1e-12)
    assert_close(run.B[:, 0, 0], slope, 1e-12)
    assert_close(run.u.values, u, 1e-12)
    system = ls.linearize(bd, u={"u": [0.1], "it": [0.4]}, state={"x": [0.2]})
    assert_close(system.A, [[0.5 * (1 - np.tanh(0.1 + 0.2 + 0.1) ** 2)]], 1e-12)
    assert system.ninputs == 1
    free = loop("RAMP")
    assert ls.linearize(free, ls.simulate(free, samples=8)).sizes["input"] == 0


def test_other_readings_of_a_driven_loop() -> None:
    bd = loop("STEP")
    run = ls.linearize(bd, ls.simulate(bd, samples=2000))
    expected = float(np.log(run.A[:, 0, 0]).mean())
    spectrum = ls.lyapunov(bd, samples=2000, discard=0)
    assert_close(spectrum.exponents, [expected], 1e-12)
    (point,) = ls.fixed_points(bd, {"it": [2.0]})
    assert_close(point.states["x"], run.x[-1], 1e-9)
    report = ls.analyze(bd)
    assert report.traces.sizes["time"] == 1000
    assert report.traces.attrs["engine"] == "numba"
    assert report.lyapunov is not None


@pytest.mark.parametrize("engine", ENGINES)
def test_a_single_step_is_given_its_value(engine: str) -> None:
    u, source = np.linspace(-1, 1, 6)[:, None], samples_of("PIECEWISE", 6)
    compiled = ls.compile(loop("PIECEWISE", fed=True), engine=engine)
    state, found = None, []
    for k in range(6):
        y, state = compiled.step({"u": u[k], "it": source[k]}, state)
        found.append(y)
    assert_close(found, by_hand(source, u), 1e-12)
    for given in (u[0], {"u": u[0]}):
        with refused(InvalidValueError, "block 'it' (PIECEWISE)", "give all by name", "'it': ..."):
            compiled.step(given, state)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_c_takes_its_value_after_the_other_inputs(tmp_path: Path) -> None:
    u, source = np.linspace(-1, 1, 9)[:, None], samples_of("sine", 9)
    compiled = ls.compile(loop("sine", fed=True), engine="numpy")
    net = library(tmp_path, compiled)
    header = (tmp_path / "net.h").read_text()
    assert "u[0]: u\n" in header
    assert "u[1]: it, a function of time" in header
    assert "NET_INPUTS 2" in header
    state, y = ctypes.create_string_buffer(1000), ctypes.c_double()
    net.net_reset(state)
    found = []
    for row in np.hstack([u, source]):
        net.net_step(state, row.ctypes.data_as(ctypes.c_void_p), ctypes.byref(y))
        found.append([y.value])
    assert_close(found, by_hand(source, u), 1e-12)
    compiled.to_c(tmp_path / "net.c", test=u)
    gcc("gcc", *STRICT, "-DNET_MAIN", tmp_path / "net.c", "-o", tmp_path / "net", "-lm")
    gcc(tmp_path / "net")


def test_a_source_that_changes_its_width_is_refused() -> None:
    bd, clock = diagram()
    bd.PIECEWISE((0, 1.0), (0.3, np.ones(2)), name="it")
    bd.TOWORKSPACE(clock, name="out")
    compiled = ls.compile(wire(bd, "it -> out"), engine="numpy")
    assert_same(compiled.forward(samples=3), np.ones((3, 1)))
    with refused(DiagramError, "changes its width", "block 'it' (PIECEWISE)"):
        compiled.forward(samples=4)
