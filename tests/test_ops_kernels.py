"""What kernels are written from: the formulas' texts, what depends on what, precision."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

from lstmsim.blocks._formulas import FUNCTIONS, Formula
from lstmsim.blocks._ops import OPS, elementwise
from tests.helpers import assert_close, op_case

ELEMENTWISE = [name for name, op in OPS.items() if op.elementwise]
#: By no name of NumPy's: the formulas are run as Python, element by element.
PYTHON = {
    "abs": abs,
    "exp": math.exp,
    "expm1": math.expm1,
    "log1p": math.log1p,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "where": lambda condition, a, b: a if condition else b,
}


def test_formulas_have_exactly_the_functions_that_are_tried_here() -> None:
    assert set(PYTHON) == set(FUNCTIONS)


def elements(name: str, inputs: Any, parameters: dict[str, Any]) -> tuple[Formula, list[Any]]:
    """Return the texts of an operation, and what its names stand for, element by element."""
    formula = OPS[name].element(len(inputs), parameters)
    shape = np.broadcast_shapes(*(u.shape for u in inputs))
    values = {n: np.broadcast_to(parameters[n], shape) for n in formula.parameters}
    values |= {n: np.broadcast_to(u, shape) for n, u in zip(formula.inputs, inputs, strict=True)}
    return formula, [
        {n: float(value[index]) for n, value in values.items()} for index in np.ndindex(shape)
    ]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_text_of_one_element_computes_what_forward_computes(name: str) -> None:
    inputs, parameters = op_case(name, np.random.default_rng(4), (50,), 3)
    formula, each = elements(name, inputs, parameters)
    actual = [eval(formula.value, {"__builtins__": {}}, PYTHON | one) for one in each]
    expected = OPS[name].forward(inputs, parameters)
    assert_close(np.reshape(actual, expected.shape), expected, 1e-15, name)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_text_of_one_element_propagates_nan_as_forward_does(name: str) -> None:
    inputs, parameters = op_case(name, np.random.default_rng(4), (), 1)
    inputs = (np.array([math.nan]), *inputs[1:])
    formula, (one,) = elements(name, inputs, parameters | {"high": 1.0})
    assert np.isnan(OPS[name].forward(inputs, parameters)).all()
    assert math.isnan(eval(formula.value, {"__builtins__": {}}, PYTHON | one))


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        (Formula("u +", ("bar",)), "u +"),
        (Formula("sin(u)", ("bar",)), "sin"),
        (Formula("u ** 2", ("bar * u",)), "Pow"),
        (Formula("u", ("bar if u > 0 else 0",)), "IfExp"),
        (Formula("u + bar", ("bar",)), "bar"),
    ],
)
def test_a_mistake_in_a_text_names_the_operation(formula: Formula, words: str) -> None:
    with pytest.raises(ValueError, match="operation 'mine'") as caught:
        elementwise("mine", formula)
    assert words in str(caught.value)


def test_slopes_that_do_not_depend_on_inputs_are_linear_and_choices_may_have_kinks() -> None:
    linear = {"matvec", "add", "scale", "concatenate", "take"}
    assert {name for name, op in OPS.items() if op.linear} == linear
    kinked = {n for n in ELEMENTWISE if OPS[n].element(2, {"signs": "++"}).kinked}
    assert kinked == {"relu", "clip", "abs", "elu", "leaky_relu", "hard_sigmoid"}


@pytest.mark.parametrize("name", ["exp", "elu", "softplus", "softsign", "hard_sigmoid"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_inputs_neither_overflow_nor_lose_their_slope(name: str, dtype: type) -> None:
    _, parameters = op_case(name, np.random.default_rng(4), (), 1)
    u = np.array([-1e4, -100, -1e-6, 1e-6, 80, 1e4][: 5 if name == "exp" else 6], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = OPS[name].forward((u,), parameters)
        slope = OPS[name].pullback(np.ones_like(y), (u,), y, parameters)[0][0]
    exact = OPS[name].forward((u.astype(float),), parameters)
    assert_close(y, exact, 1e-6, name)
    assert np.isfinite(slope).all()


def depends_elementwise(name: str) -> bool:
    """Find by perturbing whether output element j depends on input elements j alone."""
    inputs, parameters = op_case(name, np.random.default_rng(5), (4,), 3)
    before = OPS[name].forward(inputs, parameters)
    for j, u in enumerate(inputs):
        if u.shape != before.shape:
            return False
        for index in np.ndindex(u.shape):
            changed = u.copy()
            changed[index] = u[index] / 2 + 0.01
            after = OPS[name].forward((*inputs[:j], changed, *inputs[j + 1 :]), parameters)
            elsewhere = after != before
            elsewhere[index] = False
            if elsewhere.any():
                return False
    return True


@pytest.mark.parametrize("name", [n for n in OPS if n != "constant"])
def test_the_elementwise_flag_is_true_to_behaviour(name: str) -> None:
    assert OPS[name].elementwise == depends_elementwise(name)


@pytest.mark.parametrize("name", OPS)
def test_single_precision_stays_single_precision_forwards_and_backwards(name: str) -> None:
    inputs, parameters = op_case(name, np.random.default_rng(6), (3,), 2)
    single = tuple(u.astype(np.float32) for u in inputs)
    values = {
        key: v.astype(np.float32) if getattr(v, "dtype", None) == np.float64 else v
        for key, v in parameters.items()
    }
    output = OPS[name].forward(single, values)
    assert output.dtype == np.float32
    expected = OPS[name].forward(inputs, parameters)
    assert_close(output, expected, 1e-5, f"{name} in single precision")
    cotangents, gradients = OPS[name].pullback(np.ones_like(output), single, output, values)
    assert {c.dtype for c in (*cotangents, *gradients.values())} <= {np.dtype(np.float32)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_saturates_without_overflow_or_warning(dtype: type) -> None:
    u = np.array([-1e4, -100, 0, 100, 1e4], dtype)
    with warnings.catch_warnings(), np.errstate(over="raise", invalid="raise", divide="raise"):
        warnings.simplefilter("error")
        y = OPS["sigmoid"].forward((u,), {})
        ubar = OPS["sigmoid"].pullback(np.ones_like(y), (u,), y, {})[0][0]
    assert y.dtype == dtype
    assert_close(y, np.array([0, 0, 0.5, 1, 1], dtype), 1e-30, "sigmoid")
    assert_close(ubar, np.array([0, 0, 0.25, 0, 0], dtype), 1e-30, "its gradient")
