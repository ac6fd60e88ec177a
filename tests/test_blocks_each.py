"""What each block does beyond the contract of all, in diagrams that bdsim itself runs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lstmsim.blocks.fromworkspace import FromWorkspace
from lstmsim.diagram import host
from lstmsim.errors import InvalidTypeError, InvalidValueError, ShapeError
from tests.helpers import assert_close, assert_same, diagram, refused, wire


def chain(kind: str, u: np.ndarray, *arguments: Any) -> np.ndarray:
    """Return the samples that u gives through one block, in a run of bdsim."""
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, u, name="u")
    getattr(bd, kind)(*([clock] if kind == "UNITDELAY" else []), *arguments, name="it")
    sink = bd.TOWORKSPACE(clock, name="out")
    host.compile_diagram(wire(bd, "u -> it", "it -> out"))
    host.simulator().run(bd, T=len(u) * 0.1)
    return sink.values


@pytest.mark.parametrize(
    ("K", "u", "expected"),
    [
        ([[1, 2, 3], [4, 5, 6]], [1, 0, -1], [-2, -2]),
        ([[1, 2], [3, 4], [5, 6]], [1, -1], [-1, -1, -1]),
        ([[1, 2], [3, 4]], [1, 10], [21, 43]),
        ([[0, 1], [0, 0]], [1, 10], [10, 0]),
        ([[1], [2]], [3], [3, 6]),
        ([[1, 2]], [3, 4], [11]),
        (-2.5, [2], [-5]),
    ],
)
def test_a_matrix_gain_multiplies_from_the_left(K: Any, u: list[float], expected: Any) -> None:
    assert_same(chain("MATRIXGAIN", np.array([u, u], float), K), [expected, expected], "K u")


def test_a_square_matrix_gain_is_not_its_transpose() -> None:
    rng = np.random.default_rng(0)
    K, u = rng.standard_normal((4, 4)), rng.standard_normal((6, 4))
    expected = [[sum(K[i, j] * sample[j] for j in range(4)) for i in range(4)] for sample in u]
    y = chain("MATRIXGAIN", u, K)
    assert_close(y, expected, 1e-14, "K u")
    assert np.abs(y - u @ K).max() > 0.1


def test_a_matrix_gain_keeps_a_copy_of_its_matrix() -> None:
    K = np.eye(2)
    bd, _ = diagram()
    gain = bd.MATRIXGAIN(K)
    K[:] = 7
    assert_same(gain.K, np.eye(2), "K")
    with pytest.raises(ValueError, match="read-only"):
        gain.K[0, 0] = 1


@pytest.mark.parametrize("nin", [2, 3, 5])
def test_hadamard_multiplies_element_by_element(nin: int) -> None:
    rng = np.random.default_rng(nin)
    u = rng.standard_normal((4, nin, 3))
    bd, clock = diagram()
    bd.HADAMARD(nin, name="product")
    for port in range(nin):
        bd.FROMWORKSPACE(clock, u[:, port], name=f"u{port}")
        wire(bd, f"u{port} -> product[{port}]")
    sink = bd.TOWORKSPACE(clock, name="out")
    host.compile_diagram(wire(bd, "product -> out"))
    host.simulator().run(bd, T=0.4)
    expected = [[math.prod(sample[:, j]) for j in range(3)] for sample in u]
    assert_close(sink.values, expected, 1e-15, f"product of {nin}")


@pytest.mark.parametrize("nin", [1, 0, -3])
def test_a_product_of_fewer_than_two_is_refused(nin: int) -> None:
    bd, _ = diagram()
    with refused(InvalidValueError, "nin is too small", f"nin={nin}", "at least 2"):
        host.block_class("HADAMARD")(nin, bd=bd)


@pytest.mark.parametrize("n", [1, 3])
def test_a_unit_delay_begins_with_its_initial_value(n: int) -> None:
    u, x0 = np.arange(5.0 * n).reshape(5, n), np.full(n, 9.5)
    assert_same(chain("UNITDELAY", u, x0), np.vstack([x0, u[:-1]]), "delayed")


@pytest.mark.parametrize("shape", [(3,), (3, 1), (1, 3)])
def test_an_initial_value_as_matlab_saves_it_is_a_vector(shape: tuple[int, ...]) -> None:
    bd, clock = diagram()
    delay = bd.UNITDELAY(clock, np.array([1.0, 2.0, 3.0]).reshape(shape))
    assert_same(delay.op_parameters()["x0"], [1.0, 2.0, 3.0], "x0")
    assert delay.ndstates == 3


def test_a_source_gives_sample_k_at_index_k() -> None:
    bd, clock = diagram()
    values = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    source = bd.FROMWORKSPACE(clock, values)
    for k in range(3):
        x = np.array([float(k)])
        assert_same(source.output(0.0, [], x)[0], values[k], f"sample {k}")
        assert_same(source.next(0.0, [], x), [k + 1.0], "the next index")


def test_a_vector_of_samples_is_a_signal_of_width_one() -> None:
    bd, clock = diagram()
    assert_same(bd.FROMWORKSPACE(clock, [1, 2, 3]).values, [[1.0], [2.0], [3.0]], "values")


def test_a_source_that_has_run_out_says_how_many_samples_it_had() -> None:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, np.ones((4, 2)), name="u")
    bd.TOWORKSPACE(clock, name="out")
    host.compile_diagram(wire(bd, "u -> out"))
    host.simulator().run(bd, T=0.4)
    words = ("block 'u' (FROMWORKSPACE)", "4 samples, asked for sample 4", "0.4 s")
    with refused(InvalidValueError, *words), host.translated_errors(bd):
        host.simulator().run(bd, T=0.5)


def test_an_unbound_source_is_as_wide_as_it_was_told_and_refuses_to_run() -> None:
    bd, clock = diagram()
    source = bd.FROMWORKSPACE(clock, width=3, name="u")
    assert source.values is None
    assert_same(source.output(0.0, [], np.zeros(1))[0], np.zeros(3), "unbound")
    with refused(InvalidValueError, "block 'u' (FROMWORKSPACE)", "simulate(diagram, u)"):
        source.start(None)
    assert_same(bd.FROMWORKSPACE(clock).output(0.0, [], np.zeros(1))[0], [0.0], "unbound")


def test_a_source_can_be_bound_and_unbound() -> None:
    bd, clock = diagram()
    source = bd.FROMWORKSPACE(clock, name="u")
    source.values = [1, 2]
    assert_same(source.values, [[1.0], [2.0]], "values")
    with refused(InvalidTypeError, "block 'u' (FROMWORKSPACE)", "values"):
        source.values = "text"
    assert_same(source.values, [[1.0], [2.0]], "values after a refusal")
    source.values = None
    assert source.values is None


def test_a_width_that_contradicts_the_values_is_refused() -> None:
    bd, clock = diagram()
    with pytest.raises(ShapeError, match="width"):
        FromWorkspace(clock, np.ones((4, 2)), width=3, bd=bd)


def test_a_source_tells_how_many_samples_are_done() -> None:
    bd, clock = diagram()
    source = bd.FROMWORKSPACE(clock, np.ones(3), name="u")
    bd.TOWORKSPACE(clock, name="out")
    done: list[int] = []
    source.on_sample = done.append
    host.compile_diagram(wire(bd, "u -> out"))
    host.simulator().run(bd, T=0.3)
    assert done == [1, 2, 3]


def counted(samples: int) -> tuple[Any, Any]:
    """Return a compiled diagram that counts, and the sink at its end."""
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, np.arange(2.0 * samples).reshape(samples, 2), name="u")
    sink = bd.TOWORKSPACE(clock, name="out")
    return host.compile_diagram(wire(bd, "u -> out")), sink


@pytest.mark.parametrize("samples", [1, 2, 51])
def test_a_sink_keeps_exactly_one_value_a_sample(samples: int) -> None:
    bd, sink = counted(samples)
    host.simulator().run(bd, T=samples * 0.1)
    assert_same(sink.values, np.arange(2.0 * samples).reshape(samples, 2), "kept")


def test_a_sink_starts_afresh_with_every_run() -> None:
    bd, sink = counted(5)
    assert sink.values.shape == (0, 0)
    for samples in (5, 3, 4):
        host.simulator().run(bd, T=samples * 0.1)
        assert sink.values.shape == (samples, 2)


def test_a_sink_is_empty_before_the_first_run_even_if_the_diagram_was_checked() -> None:
    bd, sink = counted(5)
    host.signal_widths(bd)
    assert sink.values.shape == (0, 0)
