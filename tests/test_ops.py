"""The operations: values by hand, independent formulas, gradients by finite differences."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from lstmsim.blocks._ops import OPS
from tests.helpers import (
    assert_close,
    assert_same,
    difference_quotients,
    leading_axes,
    op_case,
    repeatable,
    seeds,
    widths,
)


def looped_delay(u: np.ndarray, x0: np.ndarray) -> np.ndarray:
    y = np.empty_like(u)
    for k in range(u.shape[-2]):
        y[..., k, :] = x0 if k == 0 else u[..., k - 1, :]
    return y


#: The same mathematics by other formulas.
FORMULAS: dict[str, Callable[..., Any]] = {
    "matvec": lambda u, K: np.einsum("ij,...j->...i", K, u),
    "add": lambda a, b, c, signs: np.sum([-a, b, -c], axis=0),
    "multiply": lambda a, b, c: np.prod([a, b, c], axis=0),
    "scale": lambda u, k: np.einsum("j,...j->...j", k, u),
    "sigmoid": lambda u: 0.5 + 0.5 * np.tanh(u / 2),
    "tanh": lambda u: (np.exp(u) - np.exp(-u)) / (np.exp(u) + np.exp(-u)),
    "relu": lambda u: (u + np.abs(u)) / 2,
    "clip": lambda u, low, high: np.where(u < low, low, np.where(u > high, high, u)),
    "divide": lambda a, b: a * b**-1.0,
    "abs": lambda u: np.sqrt(u * u),
    "exp": lambda u: (1 + np.tanh(u / 2)) / (1 - np.tanh(u / 2)),
    "sqrt": lambda u: u**0.5,
    "elu": lambda u, alpha: np.where(u > 0, u, alpha * (np.exp(u) - 1)),
    "leaky_relu": lambda u, slope: np.where(u > 0, u, 0) + slope * np.where(u > 0, 0, u),
    "softplus": lambda u: np.log(1 + np.exp(u)),
    "softsign": lambda u: np.sign(u) * (1 - 1 / (1 + np.abs(u))),
    "hard_sigmoid": lambda u, slope, offset: np.clip(slope * u + offset, 0, 1),
    "constant": lambda value: value,
    "delay": looped_delay,
    "concatenate": lambda *u: np.moveaxis(
        [x[..., j] for x in u for j in range(x.shape[-1])], 0, -1
    ),
    "softmax": lambda u: 1 / np.exp(u[..., None, :] - u[..., :, None]).sum(axis=-1),
    "normalize": lambda u: (
        (u - u.mean(axis=-1, keepdims=True)) * (u.var(axis=-1, keepdims=True) + 1e-5) ** -0.5
    ),
    "dot": lambda u, v: np.einsum("...j,...j->...", u, v)[..., None],
    "take": lambda u, index: np.stack([u[..., j] for j in index], axis=-1),
}

BY_HAND = [
    ("matvec", [[1, 0, -1]], {"K": [[1, 2, 3], [4, 5, 7]]}, [-2, -3]),
    ("matvec", [[[1, 0], [0, 1]]], {"K": [[1, 2], [3, 4]]}, [[1, 3], [2, 4]]),
    ("add", [[1, 2], [10, 20], [100, 200]], {"signs": "+-+"}, [91, 182]),
    ("add", [[1, 2], [10, 20]], {"signs": "-+"}, [9, 18]),
    ("add", [[1, 2]], {"signs": "-"}, [-1, -2]),
    ("add", [[5], [1, 2]], {"signs": "++"}, [6, 7]),
    ("add", [[1, 2], [5]], {"signs": "+-"}, [-4, -3]),
    ("multiply", [[1, 2], [3, 4], [5, -6]], {}, [15, -48]),
    ("multiply", [[0, 2], [3, 0]], {}, [0, 0]),
    ("scale", [[1, -2]], {"k": 3.0}, [3, -6]),
    ("scale", [[1, -2]], {"k": [3, 5]}, [3, -10]),
    ("scale", [[2]], {"k": [3, 5]}, [6, 10]),
    ("sigmoid", [[0, math.log(3), -math.log(3)]], {}, [0.5, 0.75, 0.25]),
    ("tanh", [[0, math.log(3) / 2, -math.log(3) / 2]], {}, [0, 0.5, -0.5]),
    ("relu", [[-1.5, 0, 2.5]], {}, [0, 0, 2.5]),
    ("clip", [[-3, -1, 0.5, 1, 3]], {"low": -1, "high": 1}, [-1, -1, 0.5, 1, 1]),
    ("clip", [[-3, 3]], {"low": [-5, 0], "high": [5, 2]}, [-3, 2]),
    ("divide", [[6, -1, 0], [3, 4, 5]], {}, [2, -0.25, 0]),
    ("abs", [[-1.5, 0, 2.5]], {}, [1.5, 0, 2.5]),
    ("exp", [[0, math.log(3), -math.log(2)]], {}, [1, 3, 0.5]),
    ("sqrt", [[0, 4, 6.25]], {}, [0, 2, 2.5]),
    ("elu", [[math.log(0.25), 0, 2]], {"alpha": 2.0}, [-1.5, 0, 2]),
    ("leaky_relu", [[-3, 0, 3]], {"slope": 0.25}, [-0.75, 0, 3]),
    ("softplus", [[0, math.log(3), -math.log(3)]], {}, np.log([2, 4, 4 / 3])),
    ("softsign", [[-3, 0, 1]], {}, [-0.75, 0, 0.5]),
    ("hard_sigmoid", [[-9, -1, 0, 1, 9]], {"slope": 0.2, "offset": 0.5}, [0, 0.3, 0.5, 0.7, 1]),
    ("constant", [], {"value": [1, 2]}, [1, 2]),
    ("delay", [[[1, 2], [3, 4], [5, 6]]], {"x0": [7, 8]}, [[7, 8], [1, 2], [3, 4]]),
    ("delay", [[[1], [2]]], {"x0": 9.0}, [[9], [1]]),
    ("delay", [[[1, 2]]], {"x0": [7, 8]}, [[7, 8]]),
    ("concatenate", [[1], [2, 3], [4]], {}, [1, 2, 3, 4]),
    ("softmax", [[0, math.log(3)]], {}, [0.25, 0.75]),
    ("softmax", [[1e4, -1e4, 1e4]], {}, [0.5, 0, 0.5]),
    ("normalize", [[7, 7]], {}, [0, 0]),
    ("normalize", [[1, 3]], {}, np.array([-1, 1]) / math.sqrt(1 + 1e-5)),
    ("dot", [[1, 2, 3], [4, 5, -6]], {}, [-4]),
    ("take", [[10, 20, 30]], {"index": [2, 0, 2]}, [30, 10, 30]),
    ("take", [[10, 20, 30]], {"index": [-1]}, [30]),
]


@pytest.mark.parametrize(("name", "inputs", "parameters", "expected"), BY_HAND)
def test_forward_gives_the_values_worked_out_by_hand(
    name: str, inputs: list[Any], parameters: dict[str, Any], expected: Any
) -> None:
    arrays = tuple(np.array(u, float) for u in inputs)
    values = {key: np.array(v) if isinstance(v, list) else v for key, v in parameters.items()}
    assert_close(OPS[name].forward(arrays, values), np.array(expected, float), 1e-15, name)


def test_every_operation_has_values_by_hand_and_an_independent_formula() -> None:
    assert {name for name, *_ in BY_HAND} == set(OPS)
    assert set(FORMULAS) == set(OPS)
    assert all(op.name == name for name, op in OPS.items())


@pytest.mark.parametrize("name", OPS)
@given(seed=seeds, leading=leading_axes, width=widths)
@repeatable
def test_forward_equals_an_independent_formula(
    name: str, seed: int, leading: tuple[int, ...], width: int
) -> None:
    inputs, parameters = op_case(name, np.random.default_rng(seed), leading, width)
    expected = FORMULAS[name](*inputs, **parameters)
    assert_close(OPS[name].forward(inputs, parameters), expected, 1e-14, name)


@pytest.mark.parametrize("name", OPS)
@given(seed=seeds, leading=leading_axes, width=widths)
@repeatable
def test_an_operation_leaves_its_inputs_and_parameters_alone(
    name: str, seed: int, leading: tuple[int, ...], width: int
) -> None:
    inputs, parameters = op_case(name, np.random.default_rng(seed), leading, width)
    for array in (*inputs, *parameters.values()):
        if isinstance(array, np.ndarray):
            array.setflags(write=False)
    before = copy.deepcopy((inputs, parameters))
    output = OPS[name].forward(inputs, parameters)
    OPS[name].pullback(np.ones(output.shape), inputs, output, parameters)
    np.testing.assert_equal((inputs, parameters), before)


def check_pullback(
    name: str, inputs: Any, parameters: Any, rng: np.random.Generator, lead: Any = ()
) -> None:
    """Hold a pullback against central differences of the forward function."""
    op = OPS[name]
    output = op.forward(inputs, parameters)
    cotangent = rng.standard_normal(np.broadcast_shapes(output.shape, (*lead, 1)))
    for_inputs, for_parameters = op.pullback(cotangent, inputs, output, parameters)

    assert len(for_inputs) == len(inputs)
    for j, u in enumerate(inputs):

        def of_input(x, j=j):
            return op.forward((*inputs[:j], x, *inputs[j + 1 :]), parameters)

        expected = difference_quotients(of_input, u, cotangent)
        assert_close(for_inputs[j], expected, 1e-7, f"{name}, cotangent of input {j}")
    for key, gradient in for_parameters.items():

        def of_parameter(x, key=key):
            return op.forward(inputs, {**parameters, key: x})

        value = np.asarray(parameters[key], float)
        expected = difference_quotients(of_parameter, value, cotangent)
        assert_close(gradient, expected, 1e-7, f"{name}, cotangent of {key}")


@pytest.mark.parametrize("name", OPS)
@given(seed=seeds, leading=leading_axes, width=widths)
@repeatable
def test_pullback_equals_finite_differences_of_forward(
    name: str, seed: int, leading: tuple[int, ...], width: int
) -> None:
    rng = np.random.default_rng(seed)
    inputs, parameters = op_case(name, rng, leading, width)
    check_pullback(name, inputs, parameters, rng, leading)


PARAMETERS = {"matvec": {"K"}, "scale": {"k"}, "constant": {"value"}, "delay": {"x0"}}


@pytest.mark.parametrize("name", OPS)
def test_pullback_gives_cotangents_of_the_trainable_parameters(name: str) -> None:
    inputs, parameters = op_case(name, np.random.default_rng(0), (3,), 2)
    output = OPS[name].forward(inputs, parameters)
    _, gradients = OPS[name].pullback(np.ones(output.shape), inputs, output, parameters)
    assert set(gradients) == PARAMETERS.get(name, set())


def test_pullback_sums_over_every_axis_that_was_repeated() -> None:
    rng = np.random.default_rng(1)
    wide, narrow, steady = rng.standard_normal((5, 3)), rng.standard_normal((5, 1)), np.ones(3)
    for u in [(wide, narrow), (narrow, wide), (wide, steady), (wide, narrow, steady)]:
        check_pullback("add", u, {"signs": "+-+"[: len(u)]}, rng)
    check_pullback("scale", (narrow,), {"k": rng.standard_normal(3)}, rng)
    check_pullback("scale", (wide,), {"k": np.array(2.0)}, rng)
    check_pullback("scale", (wide,), {"k": np.array([2.0])}, rng)
    check_pullback("clip", (narrow,), {"low": np.array([-0.5, 0.1]), "high": 1.0}, rng)
    check_pullback("delay", (wide,), {"x0": np.array(0.5)}, rng)


def test_pullback_of_a_product_is_right_where_factors_are_zero() -> None:
    rng = np.random.default_rng(2)
    u = rng.standard_normal((3, 4, 3))
    u[0, :, 0] = u[:, 1, 1] = u[:, 2, :] = 0
    check_pullback("multiply", tuple(u), {}, rng)


def test_pullback_of_a_single_sample_through_a_delay_goes_to_the_initial_value() -> None:
    rng = np.random.default_rng(3)
    u, x0 = rng.standard_normal((2, 1, 3)), rng.standard_normal(3)
    check_pullback("delay", (u,), {"x0": x0}, rng)


def test_subgradients_at_the_corners_are_the_documented_ones() -> None:
    ybar = np.ones(3)
    u = np.array([-1.0, 0.0, 1.0])
    y = OPS["relu"].forward((u,), {})
    assert_same(OPS["relu"].pullback(ybar, (u,), y, {})[0][0], [0, 0, 1], "relu")
    bounds = {"low": -1.0, "high": 1.0}
    y = OPS["clip"].forward((u,), bounds)
    assert_same(OPS["clip"].pullback(ybar, (u,), y, bounds)[0][0], [1, 1, 1], "clip")
    y = OPS["abs"].forward((u,), {})
    assert_same(OPS["abs"].pullback(ybar, (u,), y, {})[0][0], [-1, 0, 1], "abs")
    ramp = {"slope": 0.5, "offset": 0.5}
    y = OPS["hard_sigmoid"].forward((u,), ramp)
    assert_same(OPS["hard_sigmoid"].pullback(ybar, (u,), y, ramp)[0][0], [0, 0.5, 0], "ramp")
