"""What kernels are written from: scalar texts, elementwise flags, precision."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from lstmsim.blocks._ops import OPS
from tests.helpers import assert_close, op_case

FUNCTIONS = {"exp": math.exp, "tanh": math.tanh, "minimum": np.minimum, "maximum": np.maximum}


def run_scalar(name: str, inputs: list[float], parameters: dict[str, float]) -> float:
    """Evaluate the text of one element as Python."""
    text = OPS[name].scalar.format(*(f"u{j}" for j in range(len(inputs))))
    names = FUNCTIONS | parameters
    return eval(text, {"__builtins__": {}}, names | {f"u{j}": u for j, u in enumerate(inputs)})


SCALARS = {
    "add": (2, {}, {"signs": "++"}),
    "multiply": (2, {}, {}),
    "scale": (1, {"k": -1.7}, {"k": -1.7}),
    "sigmoid": (1, {}, {}),
    "tanh": (1, {}, {}),
    "relu": (1, {}, {}),
    "clip": (1, {"low": -0.3, "high": 0.8}, {"low": -0.3, "high": 0.8}),
}


def test_the_operations_with_a_scalar_text_are_the_elementwise_ones() -> None:
    assert {name for name, op in OPS.items() if op.scalar is not None} == set(SCALARS)
    assert {name for name, op in OPS.items() if op.elementwise} == set(SCALARS)


@pytest.mark.parametrize("name", SCALARS)
def test_the_scalar_text_computes_what_forward_computes(name: str) -> None:
    count, in_text, in_forward = SCALARS[name]
    values = np.concatenate([np.random.default_rng(4).normal(0, 3, 200), [0.0, -0.0, 50.0, -50.0]])
    inputs = tuple(np.roll(values, j) for j in range(count))
    expected = OPS[name].forward(inputs, in_forward)
    actual = [run_scalar(name, list(elements), in_text) for elements in zip(*inputs, strict=True)]
    assert_close(np.array(actual), expected, 1e-15, name)


@pytest.mark.parametrize("name", SCALARS)
def test_the_scalar_text_propagates_nan_as_forward_does(name: str) -> None:
    count, in_text, in_forward = SCALARS[name]
    inputs = (np.array([math.nan]), np.array([1.0]))[:count]
    assert np.isnan(OPS[name].forward(inputs, in_forward)).all()
    assert math.isnan(run_scalar(name, [float(u[0]) for u in inputs], in_text))


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
