"""Definitions of networks: what is accepted, what is refused, and that they never change."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmsim as ls
from lstmsim.errors import InvalidTypeError, InvalidValueError, LstmsimError, ShapeError
from lstmsim.networks import GATES
from tests.helpers import assert_same, refused, repeatable

sizes = st.integers(1, 6)


def numbers(*shape: int, start: float = 0.0) -> np.ndarray:
    """Return an array whose elements all differ."""
    return start + np.arange(float(math.prod(shape))).reshape(shape)


def layer(units: int = 3, inputs: int = 4, **options: Any) -> ls.LSTM:
    arrays = {"W": (4 * units, inputs), "R": (4 * units, units), "b": (4 * units,)}
    given = {name: numbers(*shape, start=0.5) for name, shape in arrays.items()}
    return ls.LSTM(**(given | options))


def test_arrays_are_kept_as_given() -> None:
    W, R, b = numbers(12, 4), numbers(12, 3), numbers(12)
    it = ls.LSTM(W, R, b, h0=[1, 2, 3], c0=[4, 5, 6])
    for name, expected in {"W": W, "R": R, "b": b, "h0": [1, 2, 3], "c0": [4, 5, 6]}.items():
        assert_same(getattr(it, name), expected, name)
        assert getattr(it, name).dtype == np.float64
    assert (it.n_units, it.n_inputs, it.n_outputs) == (3, 4, 3)


def test_states_are_zero_if_not_given() -> None:
    assert_same(layer(2).h0, np.zeros(2), "h0")
    assert_same(layer(2).c0, np.zeros(2), "c0")


def test_gate_rows_are_stacked_in_the_order_i_f_g_o() -> None:
    it = layer(3, 4)
    assert GATES == ("i", "f", "g", "o")
    for row, gate in enumerate("ifgo"):
        rows = slice(3 * row, 3 * row + 3)
        for part, whole in zip(it.gate(gate), (it.W, it.R, it.b), strict=True):
            assert_same(part, whole[rows], f"gate {gate}")


@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (1, -1)])
def test_vectors_as_matlab_saves_them_are_flattened(shape: tuple[int, ...]) -> None:
    arrays = {"b": numbers(12), "h0": numbers(3), "c0": numbers(3, start=7)}
    it = layer(3, 4, **{name: array.reshape(shape) for name, array in arrays.items()})
    assert it == layer(3, 4, **arrays)
    head = ls.Dense(numbers(2, 3), numbers(2).reshape(shape))
    assert head == ls.Dense(numbers(2, 3), numbers(2))


@pytest.mark.parametrize("Ts", [0.1, np.array(0.1), [0.1], [[0.1]], np.float64(0.1)])
def test_a_sample_time_as_matlab_saves_it_becomes_a_number(Ts: Any) -> None:
    network = ls.Network([layer()], Ts=Ts)
    assert network.Ts == 0.1
    assert type(network.Ts) is float


def test_the_smallest_network_has_one_unit_one_input_and_one_output() -> None:
    it = layer(1, 1, h0=0.5, c0=[[1]])
    network = ls.Network([it, ls.Dense(2.0, 3.0)])
    assert (it.W.shape, it.R.shape, it.b.shape, it.h0.shape, it.c0.shape) == (
        (4, 1),
        (4, 1),
        (4,),
        (1,),
        (1,),
    )
    assert (network.n_inputs, network.n_outputs, network.n_parameters) == (1, 1, 12 + 2)
    assert network.head is not None
    assert network.head.F.shape == (1, 1)


@given(inputs=sizes, units=st.lists(sizes, min_size=1, max_size=3), outputs=sizes)
@repeatable
def test_shapes_chain_and_parameters_are_counted(
    inputs: int, units: list[int], outputs: int
) -> None:
    widths = [inputs, *units]
    layers = [layer(n, before) for before, n in zip(widths, units, strict=False)]
    network = ls.Network([*layers, ls.Dense(numbers(outputs, units[-1]), numbers(outputs))])
    assert (network.n_inputs, network.n_outputs) == (inputs, outputs)
    counted = [4 * (n * before + n**2 + n) for before, n in zip(widths, units, strict=False)]
    assert [it.n_parameters for it in network.recurrent] == counted
    assert network.n_parameters == sum(counted) + outputs * units[-1] + outputs


def test_a_network_without_a_head_gives_its_hidden_state() -> None:
    network = ls.Network([layer(3, 4)])
    assert network.head is None
    assert (network.n_outputs, network.Ts, len(network.recurrent)) == (3, 1.0, 1)


def test_a_single_layer_may_stand_for_a_list() -> None:
    assert ls.Network(layer()) == ls.Network([layer()])


def test_unnamed_layers_are_numbered_where_there_are_several() -> None:
    network = ls.Network([layer(3, 4), layer(3, 3), ls.Dense(numbers(2, 3))])
    assert [it.name for it in network.recurrent] == ["lstm1", "lstm2"]
    assert [it.name for it in ls.Network([layer()]).recurrent] == [""]


def test_names_of_ones_own_are_kept_and_the_others_numbered_by_position() -> None:
    network = ls.Network([layer(3, 4), layer(3, 3, name="middle"), layer(3, 3)])
    assert [it.name for it in network.recurrent] == ["lstm1", "middle", "lstm3"]


def test_naming_leaves_the_given_layer_as_it_was() -> None:
    first = layer(3, 4, h0=[1, 2, 3])
    named = ls.Network([first, layer(3, 3)]).recurrent[0]
    assert first.name == ""
    assert named == layer(3, 4, h0=[1, 2, 3], name="lstm1")


BAD_LAYERS = [
    ({"W": numbers(10, 4)}, ShapeError, ("W cannot be split", "(10, 4)", "divisible by 4")),
    ({"R": numbers(10, 3)}, ShapeError, ("R cannot be split", "(10, 3)", "i, f, g, o")),
    ({"W": numbers(8, 4)}, ShapeError, ("W does not fit", "(8, 4)", "12 rows in W", "3 units")),
    ({"R": numbers(12, 2)}, ShapeError, ("W does not fit", "(12, 2)", "8 rows in W")),
    ({"R": numbers(8, 3)}, ShapeError, ("R does not fit", "(8, 3)", "12 rows in R")),
    ({"b": numbers(11)}, ShapeError, ("b does not fit", "(11,)", "12 rows in b")),
    ({"h0": numbers(4)}, ShapeError, ("h0 does not fit", "(4,)", "3 rows in h0")),
    ({"c0": numbers(2)}, ShapeError, ("c0 does not fit", "(2,)", "3 rows in c0")),
    ({"W": numbers(12)}, ShapeError, ("W is not a matrix", "(12,)", "W.reshape(-1, 1)")),
    ({"W": numbers(12, 2, 2)}, ShapeError, ("W is not a matrix", "(12, 2, 2)")),
    ({"W": numbers(12, 0)}, ShapeError, ("W is not a matrix", "(12, 0)", "at least 1")),
    ({"R": numbers(0, 0)}, ShapeError, ("R is not a matrix", "(0, 0)")),
    ({"b": numbers(3, 4)}, ShapeError, ("b is not a vector", "(3, 4)", "(n, 1) or (1, n)")),
    ({"h0": []}, ShapeError, ("h0 is not a vector", "(0,)")),
    ({"W": np.full((12, 4), 1j)}, InvalidTypeError, ("W does not hold real", "complex")),
    ({"R": np.full((12, 3), "a")}, InvalidTypeError, ("R does not hold real", "text")),
    ({"b": None}, InvalidTypeError, ("b does not hold real", "NoneType")),
    ({"h0": [[1], [2, 3]]}, InvalidTypeError, ("h0 does not hold real", "objects (list)")),
    ({"c0": [1, math.nan, 3]}, InvalidValueError, ("c0 holds NaN", "index [1]: nan", "1 of 3")),
    ({"b": np.full(12, np.inf)}, InvalidValueError, ("b holds NaN or Inf", "12 of 12", "inf")),
    ({"name": "a.b"}, InvalidValueError, ("name cannot be a prefix", "'a.b'", "underscores")),
    ({"name": "1st"}, InvalidValueError, ("name cannot be a prefix", "'1st'")),
    ({"name": "a/b"}, InvalidValueError, ("name cannot be a prefix", "'a/b'")),
    ({"name": "a\n"}, InvalidValueError, ("name cannot be a prefix", repr("a\n"))),
    ({"name": 5}, InvalidValueError, ("name cannot be a prefix", "name=5")),
]


@pytest.mark.parametrize(("options", "kind", "words"), BAD_LAYERS)
def test_a_layer_that_cannot_be_is_refused(
    options: dict[str, Any], kind: type[Exception], words: tuple[str, ...]
) -> None:
    with refused(kind, *words):
        layer(3, 4, **options)


def test_a_named_layer_is_named_in_its_errors() -> None:
    with refused(ShapeError, "where:    layer encoder"):
        layer(3, 4, b=numbers(5), name="encoder")


BAD_HEADS = [
    ((numbers(3),), ShapeError, ("F is not a matrix", "(3,)")),
    ((numbers(2, 3), numbers(3)), ShapeError, ("bias does not fit", "(3,)", "2 elements")),
    ((numbers(1, 3), numbers(3)), ShapeError, ("bias does not fit", "1 element, one a row")),
    ((numbers(2, 3), numbers(2, 2)), ShapeError, ("bias is not a vector", "(2, 2)")),
    (([[math.nan]],), InvalidValueError, ("F holds NaN", "the dense layer")),
    (("F",), InvalidTypeError, ("F does not hold real numbers", "text (str)")),
]


@pytest.mark.parametrize(("arguments", "kind", "words"), BAD_HEADS)
def test_a_head_that_cannot_be_is_refused(
    arguments: tuple[Any, ...], kind: type[Exception], words: tuple[str, ...]
) -> None:
    with refused(kind, *words):
        ls.Dense(*arguments)


HEAD = ls.Dense(numbers(2, 3))
BAD_NETWORKS = [
    ([], {}, InvalidValueError, ("order", "no layers", "one or more LSTM")),
    ([HEAD], {}, InvalidValueError, ("order", "Dense")),
    ([HEAD, layer(3, 2)], {}, InvalidValueError, ("order", "Dense, LSTM", "Dense layer last")),
    ([layer(), HEAD, HEAD], {}, InvalidValueError, ("order", "LSTM, Dense, Dense")),
    ([layer(), "Dense"], {}, InvalidTypeError, ("layer 2 of 2", "'Dense'", "Dense(F)")),
    (5, {}, InvalidTypeError, ("layer 1 of 1", "given:    5")),
    ([layer(3), layer(3, 2)], {}, ShapeError, ("do not chain", "3 inputs", "3 outputs")),
    ([layer(4, 4), HEAD], {}, ShapeError, ("do not chain", "Dense(2 outputs, 3 inputs")),
    (
        [layer(3, name="a"), layer(3, 3, name="a")],
        {},
        InvalidValueError,
        ("same name", "a, a", "make them differ"),
    ),
    (
        [layer(3, name="lstm2"), layer(3, 3)],
        {},
        InvalidValueError,
        ("same name", "lstm2, lstm2"),
    ),
    ([layer()], {"Ts": 0}, InvalidValueError, ("Ts is not a positive", "Ts = 0", "seconds")),
    ([layer()], {"Ts": -0.1}, InvalidValueError, ("Ts is not a positive", "Ts = -0.1")),
    ([layer()], {"Ts": [0.1, 0.2]}, InvalidValueError, ("Ts is not a positive", "[0.1, 0.2]")),
    ([layer()], {"Ts": math.nan}, InvalidValueError, ("Ts holds NaN",)),
    ([layer()], {"Ts": math.inf}, InvalidValueError, ("Ts holds NaN or Inf",)),
    ([layer()], {"Ts": "0.1"}, InvalidTypeError, ("Ts does not hold real numbers", "text")),
    ([layer()], {"Ts": None}, InvalidTypeError, ("Ts does not hold real numbers", "NoneType")),
]


@pytest.mark.parametrize(("layers", "options", "kind", "words"), BAD_NETWORKS)
def test_a_network_that_cannot_be_is_refused(
    layers: Any, options: dict[str, Any], kind: type[Exception], words: tuple[str, ...]
) -> None:
    with refused(kind, *words):
        ls.Network(layers, **options)


def test_errors_are_what_a_caller_would_catch() -> None:
    for kind, builtin in ((ShapeError, ValueError), (InvalidTypeError, TypeError)):
        assert issubclass(kind, builtin)
        assert issubclass(kind, LstmsimError)


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (layer(3, 4), "LSTM(3 units, 4 inputs, 96 parameters)"),
        (layer(1, 1, name="tiny"), "LSTM('tiny', 1 unit, 1 input, 12 parameters)"),
        (ls.Dense([[1.0]]), "Dense(1 output, 1 input, 1 parameter)"),
        (ls.Dense(numbers(2, 3), [1, 2]), "Dense(2 outputs, 3 inputs, 8 parameters)"),
        (
            ls.Network([layer(3, 4), layer(2, 3), ls.Dense(numbers(1, 2))], Ts=0.1),
            "Network(4 inputs -> LSTM(3 units) -> LSTM(2 units) -> Dense(1 output), "
            "Ts=0.1 s, 146 parameters)",
        ),
        (
            ls.Network([layer(40, 100)]),
            "Network(100 inputs -> LSTM(40 units), Ts=1 s, 22,560 parameters)",
        ),
    ],
)
def test_what_is_printed_of_a_definition(thing: Any, text: str) -> None:
    assert repr(thing) == text


def test_definitions_are_equal_if_all_their_numbers_are() -> None:
    assert layer() == layer()
    assert layer() != layer(name="other")
    assert layer() != layer(b=numbers(12))
    assert layer() != "layer"
    assert ls.Dense([[1, 2]]) == ls.Dense(np.array([[1.0, 2.0]]))
    assert ls.Dense([[1, 2]]) != ls.Dense([[1, 2]], 0.0)
    assert ls.Dense([[1, 2]], 0.0) != ls.Dense([[1, 2]], 1.0)
    assert ls.Network([layer()]) == ls.Network((layer(),), Ts=1)
    assert ls.Network([layer()]) != ls.Network([layer()], Ts=2)
    assert ls.Network([layer()]) != ls.Network([layer(), HEAD])


def test_definitions_do_not_change() -> None:
    W = numbers(12, 4)
    it = layer(3, 4, W=W)
    network = ls.Network([it, HEAD])
    W[:] = 7
    assert_same(it.W, numbers(12, 4), "W after a change of what was given")
    for array in (it.W, it.R, it.b, it.h0, it.c0, HEAD.F, *it.gate("f")):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    for thing, name in ((it, "W"), (HEAD, "F"), (network, "Ts"), (network, "layers")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, name, 1)


def test_the_memory_order_of_weights_does_not_change_a_bit_of_the_result() -> None:
    rng = np.random.default_rng(0)
    W, R, b = (rng.standard_normal(shape) for shape in ((20, 7), (20, 5), 20))
    u = rng.standard_normal((9, 7))
    rows = ls.reference(ls.Network([ls.LSTM(W, R, b)]), u)
    columns = ls.Network([ls.LSTM(np.asfortranarray(W), np.asfortranarray(R), b)])
    assert_same(ls.reference(columns, u).y, rows.y, "y")


def test_a_layer_gives_its_arrays_and_is_made_anew_with_others() -> None:
    it = layer(3, 4, h0=[1, 2, 3], name="encoder")
    assert list(it.arrays()) == ["W", "R", "b", "h0", "c0"]
    for name, array in it.arrays().items():
        assert array is getattr(it, name)
        assert not array.flags.writeable, name
    other = it.replace(b=numbers(12), c0=[7, 8, 9])
    assert other == layer(3, 4, b=numbers(12), h0=[1, 2, 3], c0=[7, 8, 9], name="encoder")
    assert list(ls.Dense(numbers(2, 3)).arrays()) == ["F"]
    assert ls.Dense(numbers(2, 3)).replace(bias=[1, 2]) == ls.Dense(numbers(2, 3), [1, 2])
    with refused(InvalidValueError, "no array of this name", "V", "W, R, b, h0, c0"):
        it.replace(V=numbers(3))
    with refused(ShapeError, "layer encoder", "b of shape (11,)"):
        it.replace(b=numbers(11))


def test_a_network_s_arrays_have_the_names_of_its_workspace() -> None:
    single = ls.Network([layer(3, 4), ls.Dense(numbers(2, 3))], Ts=0.5)
    stack = ls.Network([layer(3, 4), layer(3, 3, name="top"), ls.Dense(numbers(2, 3), [1, 2])])
    assert list(single.arrays()) == ["W", "R", "b", "h0", "c0", "F"]
    numbered = [f"{name}{k}" for k in (1, 2) for name in ("W", "R", "b", "h0", "c0")]
    assert list(stack.arrays()) == [*numbered, "F", "bF"]
    assert (single.states, stack.states) == (("h0", "c0"), ("h01", "c01", "h02", "c02"))
    assert (single.prefixes, stack.prefixes) == (("", ""), ("lstm1.", "top.", ""))
    assert_same(stack.arrays()["R2"], stack.recurrent[1].R, "R2")
    other = stack.replace(b2=numbers(12, start=3.0), bF=[3, 4])
    assert other.layers[0] == stack.layers[0]
    assert other.layers[1] == stack.recurrent[1].replace(b=numbers(12, start=3.0))
    assert other.layers[2] == ls.Dense(numbers(2, 3), [3, 4])
    assert single.replace(W=2 * single.recurrent[0].W).Ts == 0.5
    with refused(InvalidValueError, "no array of this name", "W3", "W1, R1"):
        stack.replace(W3=numbers(12, 3))
    with refused(ShapeError, "do not chain"):
        stack.replace(W2=numbers(12, 4))
