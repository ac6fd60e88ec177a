"""The primitive operations: the mathematics of every block, stated once.

An operation works on arrays whose last axis is the signal's width; axes before it (samples,
sequences of a batch) are carried along.  For each operation the table holds

- `forward`, the NumPy function that is its meaning;
- `pullback`, the vector-Jacobian product: from the cotangent of the output to those of the
  inputs and of the parameters, ȳ ↦ (∂y/∂u)ᵀ ȳ, (∂y/∂p)ᵀ ȳ;
- `scalar`, the text of one element, from which kernels are written: `{0}`, `{1}` … stand for
  the inputs' elements; `exp` and `tanh` for the mathematical functions, `minimum` and `maximum`
  for NumPy's, which keep NaN; `scalar_pullback` is the same of the pullback, with `where(c, a, b)`
  for a choice.  They are None for the operations that mix elements or samples:
  their loops an engine writes itself.

>>> import numpy as np
>>> OPS["multiply"].forward((np.array([1.0, 2.0]), np.array([3.0, 4.0])), {})
array([3., 8.])
>>> OPS["matvec"].forward((np.array([1.0, 1.0]),), {"K": np.array([[1.0, 2.0]])})
array([3.])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Array = npt.NDArray[Any]
Inputs = tuple[Array, ...]
Parameters = Mapping[str, Any]
#: Cotangents of the inputs, in order, and of the parameters, by name.
Cotangents = tuple[Inputs, dict[str, Array]]


@dataclass(frozen=True)
class Op:
    """One primitive operation.

    Parameters
    ----------
    name : str
        Its key in `OPS`.
    forward : callable
        ``forward(inputs, parameters) -> output``.
    pullback : callable
        ``pullback(cotangent, inputs, output, parameters) -> (input cotangents, parameter
        cotangents)``.
    scalar : str or None
        The text of one element.
    scalar_pullback : str or None
        The text of one element of the pullback, where there is one input: `{0}` stands for the
        input's element, `{y}` for the output's, `{bar}` for its cotangent.
    elementwise : bool
        Whether output element j depends on input elements j alone, within one sample.
    """

    name: str
    forward: Callable[[Inputs, Parameters], Array]
    pullback: Callable[[Array, Inputs, Array, Parameters], Cotangents]
    scalar: str | None = None
    scalar_pullback: str | None = None
    elementwise: bool = False


def _rows(x: Array) -> Array:
    """Return x with all leading axes folded into one."""
    return x.reshape(-1, x.shape[-1])


def _total(x: Array, shape: tuple[int, ...]) -> Array:
    """Sum a cotangent over every axis along which the value of this shape was repeated."""
    x = x.sum(axis=tuple(range(x.ndim - len(shape))))
    repeated = tuple(axis for axis, n in enumerate(shape) if n == 1 and x.shape[axis] != 1)
    return np.asarray(x.sum(axis=repeated, keepdims=True))


# y = K u


def _matvec(inputs: Inputs, p: Parameters) -> Array:
    return np.asarray(inputs[0] @ p["K"].T)


def _matvec_pullback(ybar: Array, inputs: Inputs, y: Array, p: Parameters) -> Cotangents:
    return (ybar @ p["K"],), {"K": _rows(ybar).T @ _rows(inputs[0])}


# y = Σ ±uⱼ, signs a string such as "+-+"; a width-1 input is added to every element


def _add(inputs: Inputs, p: Parameters) -> Array:
    total = -inputs[0] if p["signs"][0] == "-" else inputs[0]
    for sign, u in zip(p["signs"][1:], inputs[1:], strict=True):
        total = total - u if sign == "-" else total + u
    return total


def _add_pullback(ybar: Array, inputs: Inputs, y: Array, p: Parameters) -> Cotangents:
    signed = {"+": ybar, "-": -ybar}
    return tuple(
        _total(signed[sign], u.shape) for sign, u in zip(p["signs"], inputs, strict=True)
    ), {}


# y = u₀ ⊙ u₁ ⊙ …


def _multiply(inputs: Inputs, p: Parameters) -> Array:
    product = inputs[0]
    for u in inputs[1:]:
        product = product * u
    return product


def _multiply_pullback(ybar: Array, inputs: Inputs, y: Array, p: Parameters) -> Cotangents:
    # Products of the others, not y/u: an input may be zero.
    parts = (_multiply((ybar, *inputs[:j], *inputs[j + 1 :]), p) for j in range(len(inputs)))
    return tuple(_total(part, u.shape) for part, u in zip(parts, inputs, strict=True)), {}


# y = k u, k a number or one factor an element


def _scale(inputs: Inputs, p: Parameters) -> Array:
    return np.asarray(p["k"] * inputs[0])


def _scale_pullback(ybar: Array, inputs: Inputs, y: Array, p: Parameters) -> Cotangents:
    k = np.asarray(p["k"])
    return (_total(k * ybar, inputs[0].shape),), {"k": _total(ybar * inputs[0], k.shape)}


# y = σ(u) = 1 / (1 + e⁻ᵘ); expit neither overflows nor warns, in any precision


def _sigmoid(inputs: Inputs, p: Parameters) -> Array:
    return np.asarray(expit(inputs[0]))


def _sigmoid_pullback(ybar: Array, inputs: Inputs, y: Array, p: Parameters) -> Cotangents:
    return (ybar * y * (1 - y),), {}


# y = tanh(u)


def _tanh(inputs: Inputs, p: Parameters) -> Array:
    return np.asarray(np.tanh(inputs[0]))


def _tanh_pullback(ybar: Array, inputs: Inputs, y: Array, p: Parameters) -> Cotangents:
    return (ybar * (1 - y * y),), {}


# y = max(u, 0); of the subgradients at 0 the one that is 0 is taken


def _relu(inputs: Inputs, p: Parameters) -> Array:
    return np.maximum(inputs[0], 0)


def _relu_pullback(ybar: Array, inputs: Inputs, y: Array, p: Parameters) -> Cotangents:
    return (ybar * (inputs[0] > 0),), {}


# y = min(max(u, low), high); the gradient is 1 inside and on the bounds, 0 outside


def _clip(inputs: Inputs, p: Parameters) -> Array:
    return np.asarray(np.clip(inputs[0], p["low"], p["high"]))


def _clip_pullback(ybar: Array, inputs: Inputs, y: Array, p: Parameters) -> Cotangents:
    inside = (inputs[0] >= p["low"]) & (inputs[0] <= p["high"])
    return (_total(ybar * inside, inputs[0].shape),), {}


# y(k) = value, at every sample


def _constant(inputs: Inputs, p: Parameters) -> Array:
    return np.asarray(p["value"])


def _constant_pullback(ybar: Array, inputs: Inputs, y: Array, p: Parameters) -> Cotangents:
    return (), {"value": _total(ybar, np.shape(p["value"]))}


# y(0) = x0, y(k) = u(k-1); the samples are on the axis before the last


def _delay(inputs: Inputs, p: Parameters) -> Array:
    u = inputs[0]
    x0 = np.broadcast_to(p["x0"], u[..., :1, :].shape)
    return np.concatenate([x0, u[..., :-1, :]], axis=-2)


def _delay_pullback(ybar: Array, inputs: Inputs, y: Array, p: Parameters) -> Cotangents:
    after_last = np.zeros_like(ybar[..., :1, :])
    ubar = np.concatenate([ybar[..., 1:, :], after_last], axis=-2)
    return (ubar,), {"x0": _total(ybar[..., 0, :], np.shape(p["x0"]))}


# y = [u₀; u₁; …]


def _concatenate(inputs: Inputs, p: Parameters) -> Array:
    return np.concatenate(inputs, axis=-1)


def _concatenate_pullback(ybar: Array, inputs: Inputs, y: Array, p: Parameters) -> Cotangents:
    borders = np.cumsum([u.shape[-1] for u in inputs])[:-1]
    return tuple(np.split(ybar, borders, axis=-1)), {}


# y = u[index], index a sequence of element numbers (an element may be taken twice)


def _take(inputs: Inputs, p: Parameters) -> Array:
    return np.asarray(inputs[0][..., p["index"]])


def _take_pullback(ybar: Array, inputs: Inputs, y: Array, p: Parameters) -> Cotangents:
    ubar = np.zeros_like(inputs[0])
    np.add.at(ubar.swapaxes(0, -1), np.asarray(p["index"]), ybar.swapaxes(0, -1))
    return (ubar,), {}


OPS: dict[str, Op] = {
    op.name: op
    for op in (
        Op("matvec", _matvec, _matvec_pullback),
        Op("add", _add, _add_pullback, "{0} + {1}", elementwise=True),
        Op("multiply", _multiply, _multiply_pullback, "{0} * {1}", elementwise=True),
        Op("scale", _scale, _scale_pullback, "k * {0}", "k * {bar}", elementwise=True),
        Op(
            "sigmoid",
            _sigmoid,
            _sigmoid_pullback,
            "1 / (1 + exp(-{0}))",
            "{bar} * ({y} * (1 - {y}))",
            elementwise=True,
        ),
        Op("tanh", _tanh, _tanh_pullback, "tanh({0})", "{bar} * (1 - {y} * {y})", elementwise=True),
        Op(
            "relu",
            _relu,
            _relu_pullback,
            "maximum({0}, 0)",
            "where({0} > 0, {bar}, 0)",
            elementwise=True,
        ),
        Op(
            "clip",
            _clip,
            _clip_pullback,
            "minimum(maximum({0}, low), high)",
            "where(({0} >= low) & ({0} <= high), {bar}, 0)",
            elementwise=True,
        ),
        Op("constant", _constant, _constant_pullback),
        Op("delay", _delay, _delay_pullback),
        Op("concatenate", _concatenate, _concatenate_pullback),
        Op("take", _take, _take_pullback),
    )
}
