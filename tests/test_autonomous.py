"""Diagrams without a source: they run everywhere, with `samples=` in place of an input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.engine.kernels import cache
from lstmsim.errors import InvalidValueError, ShapeError
from tests.helpers import assert_close, assert_same, diagram, difference_quotients, refused, wire

A = np.array([[0.8, 0.3], [-0.2, 0.9]])
FIRST = np.array([1.0, -0.5])
COMPILED = [("numpy", None), ("numba", "scalar"), ("numba", None)]


def oscillator(first: np.ndarray = FIRST) -> Any:
    """Return x⁺ = tanh(A x), y = x."""
    bd, clock = diagram()
    bd.UNITDELAY(clock, first, name="x")
    bd.MATRIXGAIN(A, name="A")
    bd.TANH(name="tanh")
    bd.TOWORKSPACE(clock, name="out")
    return wire(bd, "x -> A", "A -> tanh", "tanh -> x", "x -> out")


def by_hand(samples: int, first: np.ndarray = FIRST) -> np.ndarray:
    x = [first]
    for _ in range(samples - 1):
        x.append(np.tanh(A @ x[-1]))
    return np.array(x)


@pytest.fixture(params=COMPILED, ids=["numpy", "numba-scalar", "numba"])
def compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    engine, form = request.param
    if form == "scalar":
        monkeypatch.setattr(cache, "vectors_available", lambda: False)
    return ls.compile(oscillator(), engine=engine)


@pytest.mark.parametrize("engine", ["bdsim", "numpy", "numba"])
def test_simulate_takes_a_number_of_samples(engine: str) -> None:
    traces = ls.simulate(oscillator(), samples=9, engine=engine)
    assert_close(traces.x.values, by_hand(9), 1e-14)
    more = ls.simulate(oscillator(), samples=4, state=traces, engine=engine)
    assert_close(more.x.values, by_hand(13)[9:], 1e-14)


def test_forward_and_run_take_a_number_of_samples(compiled: Any) -> None:
    assert_close(compiled.forward(samples=9), by_hand(9), 1e-14)
    assert_close(compiled.run(samples=9).x.values, by_hand(9), 1e-14)
    other = np.array([0.1, 0.2])
    assert_close(compiled.forward(samples=5, state={"x": other}), by_hand(5, other), 1e-14)


def test_step_needs_no_input(compiled: Any) -> None:
    y, state = compiled.step()
    found = [y]
    for _ in range(6):
        y, state = compiled.step(None, state)
        found.append(y)
    assert_close(found, by_hand(7), 1e-14)


def test_a_loss_is_differentiated_over_a_number_of_samples(compiled: Any) -> None:
    target = 0.5 * np.ones((6, 2))

    def loss_of(first: np.ndarray) -> float:
        return float(np.mean((by_hand(6, first) - target) ** 2))

    loss, gradient = compiled.loss_and_gradient(None, target, samples=6)
    assert_close(loss, loss_of(FIRST), 1e-14)
    expected = difference_quotients(loss_of, FIRST, np.array(1.0))
    assert_close(gradient["x"], expected, 1e-8)
    given = compiled.loss_and_gradient(
        samples=6, loss=lambda y: (float(np.mean((y - target) ** 2)), 2 * (y - target) / y.size)
    )
    assert_close(given[1]["A"], gradient["A"], 1e-14)


def test_an_input_is_cut_to_a_number_of_samples() -> None:
    network, u = ls.published.layer_example()
    for engine in ("numpy", "numba"):
        compiled = ls.compile(ls.build(network), engine=engine)
        whole = compiled.forward(u)
        assert_same(compiled.forward(u, samples=7), whole[:7])
        assert_close(compiled.forward(np.stack([u, u]), samples=7)[1], whole[:7], 1e-14)
        target = np.zeros((7, 2))
        loss, gradient = compiled.loss_and_gradient(u, target, samples=7)
        expected, other = compiled.loss_and_gradient(u[:7], target)
        assert loss == expected
        assert_same(gradient["Rf"], other["Rf"])
        with refused(InvalidValueError, "from 1 to 51"):
            compiled.forward(u, samples=52)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_training_is_as_long_as_its_target(engine: str) -> None:
    first = np.array([0.3, 0.3])
    target = by_hand(12)
    result = ls.fit(
        oscillator(first), None, target, engine=engine, epochs=300, learning_rate=0.02,
        train_states=True, frozen=["A*"],
    )  # fmt: skip
    assert result.loss < 1e-3 * float(result.history.loss[0])
    assert_close(result.blocks["x", "x0"], FIRST, 0.05)
    several = ls.fit(
        oscillator(), None, [target[:5], target[:8]], engine=engine, epochs=1, learning_rate=1e-12
    )
    assert_close(several.history.loss.values, [0.0], 1e-12)


def test_other_readings_need_no_input() -> None:
    bd = oscillator()
    traces = ls.simulate(bd, samples=5)
    assert ls.linearize(bd, traces).sizes["time"] == 5
    assert len(ls.lyapunov(bd, samples=50, discard=5).exponents) == 2
    assert len(ls.fixed_points(bd)) >= 1
    assert ls.analyze(bd, samples=20)["run"].found


def test_what_is_missing_or_too_much_is_said(compiled: Any) -> None:
    with refused(InvalidValueError, "nothing says how long to run", "samples=100"):
        compiled.forward()
    with refused(InvalidValueError, "nothing says how long to run"):
        compiled.loss_and_gradient(None, np.zeros((3, 2)))
    for call in (compiled.forward, compiled.step, compiled.run):
        with refused(InvalidValueError, "the diagram takes no input", "has no source"):
            call(np.zeros(2))
    with refused(ShapeError, "the target does not fit"):
        compiled.loss_and_gradient(None, np.zeros((3, 2)), samples=4)


def test_a_step_needs_a_sample_of_every_source() -> None:
    network, u = ls.published.layer_example()
    compiled = ls.compile(ls.build(network), engine="numpy")
    with refused(InvalidValueError, "the source has no values", "block 'u'"):
        compiled.step()
    with refused(ShapeError, "block 'u'", "a vector of 4"):
        compiled.step(u[0, :3])
    assert_same(compiled.step({"u": u[0]})[0], compiled.step(u[0])[0])


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_a_step_never_takes_a_source_s_own_samples(engine: str) -> None:
    bd, clock = diagram()
    for name in ("left", "right"):
        bd.FROMWORKSPACE(clock, np.ones((3, 1)), name=name)
    bd.SUM("++", name="sum")
    bd.TOWORKSPACE(clock, name="out")
    compiled = ls.compile(
        wire(bd, "left -> sum[0]", "right -> sum[1]", "sum -> out"), "float64", engine
    )
    assert_same(compiled.step({"left": [2.0], "right": [5.0]})[0], [7.0])
    with refused(InvalidValueError, "the source has no values", "block 'right'"):
        compiled.step({"left": [2.0]})
