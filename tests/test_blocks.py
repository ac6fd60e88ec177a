"""The contract of every block in the library, known to this test or not yet."""

from __future__ import annotations

import ast
import importlib
import inspect
import math
import re
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmsim
from lstmsim.base.arrays import count
from lstmsim.blocks import KINDS
from lstmsim.diagram import host
from lstmsim.errors import InvalidTypeError, InvalidValueError, ShapeError
from tests.helpers import assert_close, assert_same, diagram, difference_quotients, refused

LIBRARY = {
    name: info
    for name, info in host.simulator().block_library.items()
    if info["package"] == "lstmsim"
}
CLASSES = {
    name: getattr(importlib.import_module(info["module"]), info["classname"])
    for name, info in LIBRARY.items()
}
ICONS = Path(lstmsim.__file__).parent / "blocks" / "Icons"
SAMPLES = 5


@dataclass(frozen=True)
class Example:
    """Parameters for a block, and the widths of its inputs; n is the width of the signal."""

    parameters: Any
    inputs: Any
    #: Input ports whose width the block checks, by the width that it is then told to have.
    checked: tuple[int, ...] = ()
    #: Whether it takes positive numbers alone.
    positive: bool = False


EXAMPLES = {
    "SIGMOID": Example(lambda rng, n: {}, lambda n: (n,)),
    "TANH": Example(lambda rng, n: {}, lambda n: (n,)),
    "HADAMARD": Example(lambda rng, n: {"nin": 3}, lambda n: (n, n, n), (1, 2)),
    "MATRIXGAIN": Example(
        lambda rng, n: {"K": rng.standard_normal((n + 1, n))}, lambda n: (n,), (0,)
    ),
    "VECTORGAIN": Example(lambda rng, n: {"K": rng.standard_normal(n)}, lambda n: (n,), (0,)),
    "DIVIDE": Example(lambda rng, n: {}, lambda n: (n, n), (1,)),
    "RELU": Example(lambda rng, n: {}, lambda n: (n,)),
    "LEAKYRELU": Example(lambda rng, n: {"slope": 0.2}, lambda n: (n,)),
    "ELU": Example(lambda rng, n: {"alpha": 0.7}, lambda n: (n,)),
    "SOFTPLUS": Example(lambda rng, n: {}, lambda n: (n,)),
    "SOFTSIGN": Example(lambda rng, n: {}, lambda n: (n,)),
    "HARDSIGMOID": Example(lambda rng, n: {"slope": 0.2, "offset": 0.4}, lambda n: (n,)),
    "ABS": Example(lambda rng, n: {}, lambda n: (n,)),
    "EXP": Example(lambda rng, n: {}, lambda n: (n,)),
    "SQRT": Example(lambda rng, n: {}, lambda n: (n,), positive=True),
    "SOFTMAX": Example(lambda rng, n: {}, lambda n: (n,)),
    "NORMALIZE": Example(lambda rng, n: {}, lambda n: (n,)),
    "DOT": Example(lambda rng, n: {}, lambda n: (n, n), (1,)),
    "UNITDELAY": Example(lambda rng, n: {"x0": rng.standard_normal(n)}, lambda n: (n,), (0,)),
    "TAPPEDDELAY": Example(
        lambda rng, n: {"n": 2, "x0": rng.standard_normal((2, n))}, lambda n: (n,), (0,)
    ),
    "FROMWORKSPACE": Example(
        lambda rng, n: {"values": rng.standard_normal((SAMPLES, n))}, lambda n: ()
    ),
    "TOWORKSPACE": Example(lambda rng, n: {}, lambda n: (n,)),
}
OPERATIONS = [name for name, cls in CLASSES.items() if hasattr(cls, "op")]
WITH_INPUTS = [name for name in CLASSES if EXAMPLES[name].inputs(1)]
SAMPLED = [name for name, info in LIBRARY.items() if info["blockclass"] == "sampled"]


def make(name: str, **parameters: Any) -> Any:
    """Return a block of the library, named "it", in a diagram of its own."""
    bd, clock = diagram()
    sampled = {"clock": clock} if name in SAMPLED else {}
    return CLASSES[name](**sampled, **parameters, bd=bd, name="it")


def example(name: str, n: int = 3, seed: int = 0) -> tuple[Any, list[np.ndarray]]:
    """Return a block with random parameters, and inputs of shape (SAMPLES, width)."""
    rng = np.random.default_rng(seed)
    block = make(name, **EXAMPLES[name].parameters(rng, n))
    inputs = [rng.standard_normal((SAMPLES, width)) for width in EXAMPLES[name].inputs(n)]
    return block, [np.exp(u) if EXAMPLES[name].positive else u for u in inputs]


def response(block: Any, inputs: list[Any]) -> np.ndarray:
    """Step a block through its samples as bdsim does; a sink's response is what it keeps."""
    sampled = block.blockclass == "sampled"
    x = np.array(block._x0, float) if sampled else None
    block.start(None)
    outputs = []
    for k in range(SAMPLES):
        u = [signal[k] for signal in inputs]
        outputs += block.output(0.1 * k, u, x)
        if sampled:
            x = np.asarray(block.next(0.1 * k, u, x))
    return np.stack(outputs) if block.nout else block.values


def signature(name: str) -> dict[str, inspect.Parameter]:
    parameters = dict(inspect.signature(CLASSES[name].__init__).parameters)
    return {key: p for key, p in parameters.items() if key not in ("self", "blockargs")}


def palette_default(name: str, parameter: str) -> str:
    """Return the default that bdedit reads from the docstring, and gives to a fresh block."""
    _, text = LIBRARY[name]["params"][parameter]
    found = re.search(r", defaults to (\S+)$", text)
    assert found, f"{name}: the text of {parameter} does not end in ', defaults to …'"
    return found[1]


def test_every_block_of_the_library_has_an_example_here() -> None:
    assert set(EXAMPLES) == set(LIBRARY)
    assert all(cls.__name__.upper() == name for name, cls in CLASSES.items())


@pytest.mark.parametrize("suffix", ["", "_flipped"])
@pytest.mark.parametrize("name", LIBRARY)
def test_a_block_has_icons_of_the_editors_size(name: str, suffix: str) -> None:
    content = (ICONS / f"{name.lower()}{suffix}.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == (250, 250)


@pytest.mark.parametrize("name", LIBRARY)
def test_the_editor_sees_every_parameter_with_its_default(name: str) -> None:
    pairs = LIBRARY[name]["params"]
    assert list(pairs) == [*signature(name), "blockargs"]
    for key, parameter in signature(name).items():
        kind, text = pairs[key]
        assert kind.strip()
        # Quoted words would become the only values that the editor allows.
        assert not set(text) & set("\"'"), f"{name}: quotes in the text of {key}"
        default = palette_default(name, key)
        if not default.startswith("="):
            assert ast.literal_eval(default) == parameter.default
        else:
            assert parameter.default in (inspect.Parameter.empty, None)


@pytest.mark.parametrize("name", LIBRARY)
def test_a_block_from_the_palette_runs_with_its_defaults(name: str) -> None:
    workspace = {"=u": np.ones((SAMPLES, 1))}
    defaults = {key: palette_default(name, key) for key in signature(name)}
    assert (defaults.pop("clock", None) == "=clock") == (name in SAMPLED)
    block = make(
        name,
        **{k: workspace[v] if v in workspace else ast.literal_eval(v) for k, v in defaults.items()},
    )
    assert (block.nin, block.nout) == (LIBRARY[name]["nin"], LIBRARY[name]["nout"])
    assert response(block, [np.ones((SAMPLES, 1))] * block.nin).shape == (SAMPLES, 1)


@pytest.mark.parametrize("name", LIBRARY)
def test_a_block_is_documented_in_the_numpy_style(name: str) -> None:
    doc = inspect.getdoc(CLASSES[name])
    summary, *_ = doc.splitlines()
    assert summary.endswith(".")
    sections = re.split(r"^(\w+)\n-{3,}$", doc, flags=re.MULTILINE)
    found = dict(zip(sections[1::2], sections[2::2], strict=True))
    documented = re.findall(r"^(\w+) : ", found.get("Parameters", ""), flags=re.MULTILINE)
    assert documented == list(signature(name))
    assert "Raises" in found


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_block_computes_what_its_operation_computes(name: str, n: int) -> None:
    block, inputs = example(name, n)
    expected = block.op.forward(tuple(inputs), block.op_parameters())
    assert_close(response(block, inputs), expected, 1e-15, name)


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_pullback_is_the_gradient_of_the_block(name: str) -> None:
    block, inputs = example(name)
    parameters = block.op_parameters()
    output = response(block, inputs)
    cotangent = np.random.default_rng(1).standard_normal(output.shape)
    for_inputs, for_parameters = block.op.pullback(cotangent, tuple(inputs), output, parameters)

    for port, u in enumerate(inputs):

        def of_input(x: np.ndarray, port: int = port) -> np.ndarray:
            return response(block, [*inputs[:port], x, *inputs[port + 1 :]])

        expected = difference_quotients(of_input, u, cotangent)
        assert_close(for_inputs[port], expected, 1e-7, f"{name}, input {port}")
    assert set(for_parameters) == set(block.op.trained)
    for key in block.op.trained:
        value = np.asarray(parameters[key])
        own = KINDS[name].trained[key].removeprefix("_")

        def of_parameter(x: np.ndarray, own: str = own) -> np.ndarray:
            return response(make(name, **{own: x}), inputs)

        expected = difference_quotients(of_parameter, value, cotangent)
        assert_close(for_parameters[key], expected, 1e-7, f"{name}, parameter {key}")


@pytest.mark.parametrize("name", OPERATIONS)
def test_outputs_are_new_arrays_of_double_precision(name: str) -> None:
    block, inputs = example(name)
    output = response(block, inputs)
    assert output.dtype == np.float64
    x = block._x0 if block.blockclass == "sampled" else None
    first = block.output(0.0, [u[0] for u in inputs], x)[0]
    # bdsim keeps what it watches by reference.
    assert not any(np.shares_memory(first, other) for other in (x, *inputs) if other is not None)


@pytest.mark.parametrize("name", WITH_INPUTS)
def test_a_number_on_a_wire_is_a_signal_of_one_element(name: str) -> None:
    block, inputs = example(name, 1)
    numbers = [u[:, 0].tolist() for u in inputs]
    assert_same(response(block, numbers), response(block, inputs), name)


@pytest.mark.parametrize("kind", [list, lambda u: u.view(np.recarray)])
@pytest.mark.parametrize("name", WITH_INPUTS)
def test_a_list_of_numbers_on_a_wire_is_a_vector(name: str, kind: Any) -> None:
    block, inputs = example(name)
    lists = [[kind(u[k]) for k in range(SAMPLES)] for u in inputs]
    assert_same(response(block, lists), response(block, inputs), name)


@pytest.mark.parametrize(
    ("name", "port"), [(name, port) for name, e in EXAMPLES.items() for port in e.checked]
)
@pytest.mark.parametrize("given", [1, 2, 4])
def test_a_wrong_width_names_block_port_and_both_widths(name: str, port: int, given: int) -> None:
    block, inputs = example(name)
    inputs[port] = np.ones((SAMPLES, given))
    words = f"block 'it' ({name}), input port {port}"
    with refused(ShapeError, words, count(given, "element"), "3 elements"):
        response(block, inputs)


@pytest.mark.parametrize("shape", [(3, 1), (1, 3), (3, 3), (1, 1)])
@pytest.mark.parametrize("name", WITH_INPUTS)
def test_a_matrix_on_a_wire_is_refused_at_every_port(name: str, shape: tuple[int, int]) -> None:
    for port in range(len(EXAMPLES[name].inputs(3))):
        block, inputs = example(name)
        inputs[port] = np.ones((SAMPLES, *shape))
        words = f"block 'it' ({name}), input port {port}"
        with refused(ShapeError, "matrix", words, str(shape)):
            response(block, inputs)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", WITH_INPUTS)
def test_nan_and_infinity_pass_through_without_exception_or_warning(name: str, bad: float) -> None:
    block, inputs = example(name)
    inputs[0][2, 1] = bad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        actual = response(block, inputs)
    if math.isnan(bad):
        assert np.isnan(actual).any()
    if name in OPERATIONS:
        expected = block.op.forward(tuple(inputs), block.op_parameters())
        assert_same(np.isnan(actual), np.isnan(expected), name)


ARRAYS = [
    ("MATRIXGAIN", "K"),
    ("VECTORGAIN", "K"),
    ("UNITDELAY", "x0"),
    ("TAPPEDDELAY", "x0"),
    ("FROMWORKSPACE", "values"),
]
NUMBERS = [
    ("ELU", "alpha"),
    ("LEAKYRELU", "slope"),
    ("HARDSIGMOID", "slope"),
    ("HARDSIGMOID", "offset"),
]
COUNTS = [("HADAMARD", "nin"), ("TAPPEDDELAY", "n"), ("FROMWORKSPACE", "width")]


def test_every_parameter_is_among_those_that_are_tried() -> None:
    every = {(name, key) for name in LIBRARY for key in signature(name) if key != "clock"}
    assert every == {*ARRAYS, *NUMBERS, *COUNTS}


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (math.nan, InvalidValueError, "NaN or Inf"),
        ([[1.0, math.inf]], InvalidValueError, "NaN or Inf"),
        ("1", InvalidTypeError, "text"),
        ([["a"]], InvalidTypeError, "text"),
        (1j, InvalidTypeError, "complex"),
        ([[1.0, 2.0], [3.0]], InvalidTypeError, "objects"),
        ({}, InvalidTypeError, "objects"),
        ([], ShapeError, "shape"),
        (np.ones((2, 2, 2)), ShapeError, "(2, 2, 2)"),
    ],
)
@pytest.mark.parametrize(("name", "key"), [*ARRAYS, *NUMBERS])
def test_an_array_of_anything_but_finite_numbers_is_refused(
    name: str, key: str, value: Any, kind: type[Exception], words: str
) -> None:
    with refused(kind, name, key, words):
        make(name, **{key: value})


@pytest.mark.parametrize("value", [math.nan, math.inf, "2", 2j, 2.5, True, [2], 0, -1])
@pytest.mark.parametrize(("name", "key"), COUNTS)
def test_a_number_of_things_that_is_none_is_refused(name: str, key: str, value: Any) -> None:
    with pytest.raises((InvalidTypeError, InvalidValueError), match=key):
        make(name, **{key: value})


@pytest.mark.parametrize("clock", [None, 0.1, "=clock"])
@pytest.mark.parametrize("name", SAMPLED)
def test_a_sampled_block_without_a_clock_says_how_to_make_one(name: str, clock: Any) -> None:
    bd, _ = diagram()
    with refused(InvalidTypeError, f"block 'it' ({name})", f"clock={clock!r}", "bd.clock(Ts"):
        CLASSES[name](clock, bd=bd, name="it")


def test_a_tapped_delay_has_the_last_samples_side_by_side_the_newest_first() -> None:
    u = np.arange(1.0, 11).reshape(SAMPLES, 2)
    block = make("TAPPEDDELAY", n=3, x0=[[-1, -2], [-3, -4], [-5, -6]])
    before = np.vstack([[[-5, -6], [-3, -4], [-1, -2]], u])
    expected = [np.concatenate([before[k + 2], before[k + 1], before[k]]) for k in range(SAMPLES)]
    assert_same(response(block, [u]), expected, "taps")


def test_initial_samples_of_a_tapped_delay_are_one_row_each() -> None:
    assert make("TAPPEDDELAY", n=3)._x0.tolist() == [0, 0, 0]
    assert make("TAPPEDDELAY", n=2, x0=[1, 2, 3, 4])._x0.tolist() == [1, 2, 3, 4]
    for x0 in ([1, 2, 3], np.ones((3, 2)), np.ones((1, 2))):
        with refused(ShapeError, "TAPPEDDELAY", "x0", str(np.shape(x0)), "(2, width)"):
            make("TAPPEDDELAY", n=2, x0=x0)
