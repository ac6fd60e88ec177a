"""Compiled diagrams at their edges: what lies in no loop, what is given in other forms, threads."""

from __future__ import annotations

import multiprocessing
import os
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.errors import (
    DiagramError,
    InvalidTypeError,
    InvalidValueError,
    NonFiniteSignalError,
    ShapeError,
)
from tests.conftest import random_network
from tests.helpers import assert_close, assert_same, diagram, refused, wire
from tests.random_diagrams import random_diagram
from tests.test_engine import assert_same_gradient, assert_same_traces, plainly

rng = np.random.default_rng(3)


def sinks(bd: Any, clock: Any, *names: str) -> Any:
    for number, name in enumerate(names):
        bd.connect(bd.blocknames[name], bd.TOWORKSPACE(clock, name=f"out{number}"))
    return bd


def constants() -> Any:
    bd, clock = diagram()
    bd.CONSTANT([1.0, 2.0], name="k")
    bd.MATRIXGAIN([[1.0, -1.0], [0.5, 2.0], [0.0, 3.0]], name="gain")
    wire(bd, "k -> gain")
    return sinks(bd, clock, "k", "gain")


def source_to_sink() -> Any:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=2, name="u")
    return sinks(bd, clock, "u")


def delays_alone() -> Any:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=2, name="u")
    bd.CONSTANT([3.0, 4.0], name="k")
    for name, first in (("a", [1.0, 2.0]), ("b", [5.0, 6.0]), ("c", [7.0, 8.0])):
        bd.UNITDELAY(clock, first, name=name)
    wire(bd, "u -> a", "a -> b", "k -> c")
    return sinks(bd, clock, "b", "c", "u", "k")


def index_from_the_end() -> Any:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=3, name="u")
    bd.UNITDELAY(clock, [0.1, 0.2, 0.3], name="state")
    bd.SUM("++", name="sum")
    bd.INDEX([-1, 0, -2], name="index")
    bd.TANH(name="tanh")
    wire(bd, "u -> sum[0]", "state -> sum[1]", "sum -> index", "index -> tanh", "tanh -> state")
    return sinks(bd, clock, "tanh")


def factor_in_a_loop() -> Any:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=3, name="u")
    bd.UNITDELAY(clock, [0.1, 0.2, 0.3], name="state")
    bd.SUM("++", name="sum")
    bd.GAIN(-0.7, name="factor")
    wire(bd, "u -> sum[0]", "state -> sum[1]", "sum -> factor", "factor -> state")
    return sinks(bd, clock, "factor")


def a_part_that_nothing_reads() -> Any:
    bd = index_from_the_end()
    bd.DEMUX(3, name="demux")
    bd.MUX(2, name="mux")
    wire(bd, "sum -> demux", "demux[0] -> mux[0]", "demux[2] -> mux[1]")
    return bd


def constant_of_two_loops() -> Any:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=2, name="u")
    bd.CONSTANT([0.3, 0.4, 0.1], name="k")
    for name in "ab":
        bd.UNITDELAY(clock, rng.normal(size=3), name=f"state_{name}")
        bd.SUM("++", name=f"sum_{name}")
        bd.TANH(name=name)
        bd.MATRIXGAIN(rng.normal(size=(3, 3)), name=f"gain_{name}")
        wire(bd, f"state_{name} -> gain_{name}", f"gain_{name} -> sum_{name}[0]")
        wire(bd, f"k -> sum_{name}[1]", f"sum_{name} -> {name}", f"{name} -> state_{name}")
    return sinks(bd, clock, "a", "b", "u")


DIAGRAMS = {
    make.__name__: make
    for make in (
        source_to_sink,
        delays_alone,
        index_from_the_end,
        factor_in_a_loop,
        a_part_that_nothing_reads,
        constant_of_two_loops,
    )
}


def states_of(compiled: Any) -> dict[str, np.ndarray]:
    blocks = compiled.diagram.blocknames
    return {node.block: np.array(blocks[node.block]._x0) for node in compiled.graph.delays.values()}


@pytest.mark.parametrize("samples", [1, 6])
@pytest.mark.parametrize("form", ["plain", "numba"])
@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_diagram_of_any_structure_runs_steps_and_is_differentiated(
    name: str, form: str, samples: int
) -> None:
    bd = DIAGRAMS[name]()
    numpy = ls.compile(bd, engine="numpy")
    compiled = plainly(bd) if form == "plain" else ls.compile(bd)
    u = np.random.default_rng(1).normal(size=(samples, numpy.graph.sources["u"]))
    assert_same_traces(numpy.run(u), ls.simulate(bd, u), 1e-12)
    assert_same_traces(compiled.run(u), ls.simulate(bd, u), 1e-12)
    y, state = compiled.forward(u), states_of(compiled)
    for k in range(samples):
        given = {block: np.array(value) for block, value in state.items()}
        out, state = compiled.step(u[k], given)
        assert_close(out, y[k], 1e-13, f"step {k}")
    target = np.ones_like(y)
    loss, expected = numpy.loss_and_gradient(u, target, wrt_input=True)
    for recompute in (False, True):
        own, gradient = compiled.loss_and_gradient(u, target, wrt_input=True, recompute=recompute)
        assert own == pytest.approx(loss, rel=1e-13)
        assert_same_gradient(gradient, expected, 1e-12)


@pytest.mark.parametrize("samples", [1, 5])
def test_constants_alone_run(samples: int) -> None:
    traces = ls.compile(constants()).run(samples=samples)
    assert_same(traces.gain.values, np.tile([-1.0, 4.5, 6.0], (samples, 1)))
    alone = ls.compile(sinks(*diagram_of_a_constant()))
    assert_same(alone.run(samples=2).k.values, [[7.0], [7.0]])


def diagram_of_a_constant() -> tuple[Any, Any, str]:
    bd, clock = diagram()
    bd.CONSTANT(7.0, name="k")
    return bd, clock, "k"


@pytest.mark.parametrize("seed", range(1000, 1040))
def test_steps_of_random_diagrams_are_the_run(seed: int) -> None:
    bd, u = random_diagram(seed)
    compiled = plainly(bd)
    y, state = compiled.forward(u), states_of(compiled)
    for k in range(len(u)):
        state = {block: np.array(value) for block, value in reversed(state.items())}
        out, state = compiled.step(u[k], state)
        assert_close(out, y[k], 1e-12, f"step {k}")


@pytest.mark.parametrize("units", [17, 33, 65])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sizes_beside_those_of_vectors_are_right(units: int, dtype: str) -> None:
    network = random_network(units, inputs=17, seed=units)
    bd = ls.build(network)
    u = np.random.default_rng(0).normal(size=(9, 17)).astype(dtype)
    compiled, numpy = ls.compile(bd, dtype), ls.compile(bd, engine="numpy")
    bound = 1e-12 if dtype == "float64" else 2e-5
    assert_close(compiled.forward(u), numpy.forward(u), bound, "outputs")
    _, gradient = compiled.loss_and_gradient(u, np.ones((9, 2)), wrt_input=True)
    _, expected = numpy.loss_and_gradient(u, np.ones((9, 2)), wrt_input=True)
    assert_same_gradient(gradient, expected, bound)


# -------------------------------------------------------------------------------------------
# What is given


@pytest.fixture(scope="module")
def small() -> Any:
    return ls.build(random_network(3, inputs=2, bias=True, seed=4))


@pytest.fixture(params=[("numpy", "float64"), ("numba", "float64"), ("numba", "float32")])
def compiled(request: pytest.FixtureRequest, small: Any) -> Any:
    engine, dtype = request.param
    return ls.compile(small, dtype, engine)


@pytest.mark.parametrize(
    ("u", "kind", "words"),
    [
        (np.array([1.0, 2j]), InvalidTypeError, "complex"),
        (np.array(["1", "2"]), InvalidTypeError, "text"),
        (np.array([1.0, 2.0], object), InvalidTypeError, "objects"),
        (np.array([1.0, np.nan]), InvalidValueError, "NaN"),
        (np.array([np.inf, 1.0]), InvalidValueError, "Inf"),
    ],
)
def test_a_sample_that_is_none_is_refused_by_every_engine(
    compiled: Any, u: np.ndarray, kind: type[Exception], words: str
) -> None:
    state = {"h_prev": np.zeros(3), "c_prev": np.zeros(3)}
    for call in (lambda: compiled.step(u, state), lambda: compiled.step(u)):
        with refused(kind, words):
            call()
    with refused(kind, words):
        compiled.forward(np.stack([u, u]))


def test_a_sample_of_another_shape_is_refused_by_every_engine(compiled: Any) -> None:
    state = {"h_prev": np.zeros(3), "c_prev": np.zeros(3)}
    for given in ({}, {"state": state}):
        with refused(ShapeError, "block 'u'", "shape (3,)", "a vector of 2"):
            compiled.step(np.ones(3), **given)
        with refused(ShapeError, "shape (5, 2)", "a vector of 2", "many samples at once"):
            compiled.step(np.ones((5, 2)), **given)
    with refused(ShapeError, "(2, 3)", "2 columns"):
        compiled.forward(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.array([1.0, 2j, 0.0]), InvalidTypeError),
        (np.array(["1", "2", "3"]), InvalidTypeError),
        (np.array([0.0, np.nan, 0.0]), InvalidValueError),
        (np.array([0.0, np.inf, 0.0]), InvalidValueError),
        (np.zeros(2), ShapeError),
    ],
)
def test_a_state_that_is_none_is_refused_by_every_engine(
    compiled: Any, value: np.ndarray, kind: type[Exception]
) -> None:
    for name in ("h_prev", "c_prev"):
        state = {"h_prev": np.zeros(3), "c_prev": np.zeros(3)} | {name: value}
        with pytest.raises(kind):
            compiled.step(np.ones(2), state)
        with pytest.raises(kind):
            compiled.forward(np.ones((2, 2)), state=state)


def test_a_sample_in_any_form_is_the_same_sample(compiled: Any) -> None:
    state = {"h_prev": np.array([0.5, -0.25, 0.0]), "c_prev": np.array([1.0, 0.5, -2.0])}
    y, after = compiled.step(np.array([1.0, 2.0]), state)
    fixed = np.array([1.0, 2.0])
    fixed.setflags(write=False)
    for u in ([1, 2], np.array([1, 2]), np.array([1.0, 2.0], np.float32), fixed):
        assert_same(compiled.step(u, state)[0], y)
    assert_same(compiled.step(np.repeat(fixed, 2)[::2], dict(reversed(state.items())))[0], y)
    spread = {name: np.repeat(value, 3)[::3] for name, value in state.items()}
    assert_same(compiled.step(fixed, spread)[0], y)
    single = {name: value.astype(np.float32) for name, value in state.items()}
    assert_same(compiled.step(fixed, single)[1]["c_prev"], after["c_prev"])
    assert_same(compiled.step(fixed, {n: v.tolist() for n, v in state.items()})[0], y)
    own = compiled.step(fixed)[0]
    assert_same(compiled.step(fixed, {})[0], own)
    with refused(InvalidValueError, "another diagram", "other"):
        compiled.step(fixed, state | {"other": np.zeros(3)})
    y[:] = 0
    after["h_prev"][:] = 9
    assert not np.array_equal(compiled.step(fixed, state)[0], y)


def test_numbers_too_large_for_single_precision_are_refused(small: Any) -> None:
    big = np.array([[1.0, 1e39]])
    for engine in ("numpy", "numba"):
        compiled = ls.compile(small, "float32", engine)
        calls: tuple[Callable[[], Any], ...] = (
            lambda c=compiled: c.forward(big),
            lambda c=compiled: c.run(big),
            lambda c=compiled: c.forward(big[None]),
            lambda c=compiled: c.loss_and_gradient(big, np.zeros((1, 2))),
            lambda c=compiled: c.loss_and_gradient(np.ones((1, 2)), np.full((1, 2), 1e39)),
            lambda c=compiled: c.forward(np.ones((1, 2)), state={"h_prev": np.full(3, 1e39)}),
        )
        for call in calls:
            with refused(InvalidValueError, "too large for float32", "1e+39"):
                call()
        assert np.isfinite(compiled.forward(np.array([[1.0, 1e37]]))).all()
    bd = ls.build(random_network(2))
    bd.blocknames["Wi"].K = np.full((2, 2), 1e39)
    with refused(InvalidValueError, "K holds numbers too large", "'Wi'"):
        ls.compile(bd, "float32")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("kind", ["GAIN", "MATRIXGAIN", "HADAMARD"])
def test_an_overflow_outside_loops_is_named_without_a_warning(kind: str, engine: str) -> None:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=20, name="u")
    for name in ("first", "second"):
        if kind == "HADAMARD":
            bd.HADAMARD(2, name=name)
        else:
            getattr(bd, kind)(1e200 if kind == "GAIN" else np.eye(20) * 1e200, name=name)
    ports = (0, 1) if kind == "HADAMARD" else (0,)
    wire(bd, *(f"u -> first[{k}]" for k in ports), *(f"first -> second[{k}]" for k in ports))
    compiled = ls.compile(sinks(bd, clock, "second"), engine=engine)
    u = np.full((3, 20), 1e100)
    for call in (
        lambda: compiled.forward(u),
        lambda: compiled.run(u),
        lambda: compiled.step(u[0], {}),
        lambda: compiled.loss_and_gradient(u, np.zeros((3, 20))),
    ):
        with refused(NonFiniteSignalError, "block 'second' (", "sample 0"):
            call()


def test_a_target_or_loss_that_does_not_fit_is_named(compiled: Any) -> None:
    u = np.ones((2, 2))
    with refused(InvalidTypeError, "the target"):
        compiled.loss_and_gradient(u, [[1.0], [1.0, 2.0]])
    with refused(InvalidTypeError, "where:    loss", "float"):
        compiled.loss_and_gradient(u, loss=lambda y: 3.0)  # type: ignore[arg-type, return-value]
    assert np.isnan(compiled.loss_and_gradient(u, loss=lambda y: (np.nan, y))[0])
    for dtype in ("float32", "float64"):
        with refused(InvalidValueError, "the target holds NaN"):
            compiled.loss_and_gradient(u, np.full((2, 2), np.nan, dtype))


def test_after_a_refused_call_the_next_is_as_ever(compiled: Any) -> None:
    u, target = np.random.default_rng(0).normal(size=(4, 2)), np.zeros((4, 2))
    y, (loss, gradient) = compiled.forward(u), compiled.loss_and_gradient(u, target)
    state = {"h_prev": np.full(3, 0.5), "c_prev": np.full(3, 9.0)}
    compiled.forward(u, state=state)
    compiled.loss_and_gradient(u, target, state=state)

    def broken(y: np.ndarray) -> Any:
        raise ZeroDivisionError

    bad = u.copy()
    bad[2] = np.nan
    for call in (
        lambda: compiled.loss_and_gradient(u, loss=broken, state=state),
        lambda: compiled.loss_and_gradient(bad, target, state=state),
        lambda: compiled.loss_and_gradient(u, np.full((4, 2), np.nan), state=state),
        lambda: compiled.run(bad, state=state),
    ):
        with pytest.raises((ZeroDivisionError, InvalidValueError)):
            call()
        assert_same(compiled.forward(u), y)
        again, same = compiled.loss_and_gradient(u, target)
        assert again == loss
        assert_same_gradient(same, gradient, 0.0)


# -------------------------------------------------------------------------------------------
# What changes between calls


def parameters_of_all_kinds() -> Any:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=2, name="u")
    bd.CONSTANT([1.0, 2.0], name="k")
    bd.GAIN(np.array([[1.0, 2.0], [3.0, 4.0]]), name="gain")
    bd.GAIN(0.5, name="factor")
    bd.UNITDELAY(clock, [0.1, 0.2], name="state")
    bd.CLIP([-5.0, -5.0], [5.0, 5.0], name="clip")
    bd.SUM("+++", name="sum")
    bd.INDEX([0, 1], name="index")
    wire(bd, "u -> gain", "gain -> sum[0]", "k -> sum[1]", "state -> factor", "factor -> sum[2]")
    wire(bd, "sum -> clip", "clip -> index", "index -> state")
    return sinks(bd, clock, "index")


def in_turns(compiled: Any, u: np.ndarray, first: int) -> list[Any]:
    """Return what every kind of call says, beginning with one of them."""
    state = {"state": np.array([0.3, -0.3])}
    calls: list[Callable[[], Any]] = [
        lambda: compiled.forward(u),
        lambda: compiled.step(u[0], state)[0],
        lambda: compiled.loss_and_gradient(u, np.zeros_like(u))[1]["gain"],
        lambda: compiled.run(u)["sum"].values,
        lambda: compiled.step(u[0])[0],
    ]
    return [call() for call in (*calls[first:], *calls[:first])]


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("first", range(5))
def test_every_change_of_numbers_is_noticed_by_every_call(engine: str, first: int) -> None:
    bd = parameters_of_all_kinds()
    blocks, u = bd.blocknames, np.random.default_rng(0).normal(size=(4, 2))
    compiled = ls.compile(bd, engine=engine)
    in_turns(compiled, u, 0)
    base = np.array([3.0, 4.0])
    fixed = base.view()
    fixed.setflags(write=False)
    changes: list[Callable[[], Any]] = [
        lambda: blocks["k"].value.__setitem__(0, 7.0),
        lambda: setattr(blocks["k"], "value", [5.0, 6.0]),
        lambda: blocks["k"].value.__setitem__(0, 9.0),
        lambda: setattr(blocks["k"], "value", fixed),
        lambda: base.__setitem__(0, -2.0),
        lambda: blocks["gain"].K.__setitem__((0, 0), -3.0),
        lambda: setattr(blocks["gain"], "premul", False),
        lambda: setattr(blocks["factor"], "K", -0.25),
        lambda: setattr(blocks["state"], "_x0", np.array([1.0, 1.5])),
        lambda: blocks["state"]._x0.__setitem__(0, 2.0),
    ]
    for number, change in enumerate(changes):
        change()
        found = in_turns(compiled, u, first)
        expected = in_turns(ls.compile(bd, engine="numpy"), u, first)
        for own, other in zip(found, expected, strict=True):
            assert_close(own, other, 1e-12, f"change {number}")


@pytest.mark.parametrize(
    "change",
    [
        lambda blocks: blocks["clip"].min.__setitem__(0, -0.1),
        lambda blocks: setattr(blocks["index"], "index", [1, 0]),
        lambda blocks: blocks["index"].index.__setitem__(0, 1),
        lambda blocks: setattr(blocks["sum"], "signs", "+-+"),
    ],
)
def test_a_change_of_the_structure_is_refused(change: Callable[[Any], object]) -> None:
    bd = parameters_of_all_kinds()
    compiled = ls.compile(bd, engine="numpy")
    change(bd.blocknames)
    with refused(DiagramError, "compile it again"):
        compiled.forward(np.ones((2, 2)))


def test_threads_share_a_compiled_diagram(small: Any) -> None:
    compiled = ls.compile(small)
    inputs = [np.random.default_rng(k).normal(size=(5 + k % 3, 2)) for k in range(24)]
    targets = [np.ones((len(u), 2)) for u in inputs]
    state = {"h_prev": np.full(3, 0.5), "c_prev": np.full(3, -1.0)}

    def everything(k: int) -> list[Any]:
        found = [compiled.forward(inputs[k]), compiled.forward(inputs[k], state=state)]
        found.append(compiled.loss_and_gradient(inputs[k], targets[k])[1]["Ri"])
        found.append(compiled.step(inputs[k][0], state)[1]["c_prev"])
        return [*found, compiled.run(inputs[k]).f.values]

    expected = [everything(k) for k in range(24)]
    gain = small.blocknames["Ri"]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            gain.K = np.array(gain.K)  # and all of them notice another object at once
            for found, right in zip(pool.map(everything, range(24)), expected, strict=True):
                for own, other in zip(found, right, strict=True):
                    assert_close(own, other, 1e-13)
    assert threading.active_count() < 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork processes")
def test_a_forked_process_runs_batches_too(small: Any) -> None:
    compiled = ls.compile(small)
    batch = np.random.default_rng(0).normal(size=(4, 5, 2))
    expected = compiled.forward(batch)  # its threads are not in the child
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    process = context.Process(target=lambda: theirs.send(compiled.forward(batch)))
    process.start()
    try:
        assert mine.poll(20), "the forked process waits for ever"
        assert_same(mine.recv(), expected)
    finally:
        process.kill()
        process.join()


def test_memory_does_not_grow_with_calls(small: Any) -> None:
    compiled = ls.compile(small)
    u = np.random.default_rng(0).normal(size=(700, 2))

    def work(count: int) -> None:
        state = {"h_prev": np.zeros(3), "c_prev": np.zeros(3)}
        for k in range(count):
            samples = 1 + 7 * k % 700
            compiled.forward(u[:samples])
            compiled.step(u[0], state)
            if k % 5 == 0:
                compiled.loss_and_gradient(u[:samples], np.zeros((samples, 2)))

    work(200)
    tracemalloc.start()
    try:
        work(100)
        before, _ = tracemalloc.get_traced_memory()
        work(1000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 300_000, f"{(after - before) / 1000:.0f} kB more after 1000 calls"
