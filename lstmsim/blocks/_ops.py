"""The primitive operations: the mathematics of every block, stated once.

An operation works on arrays whose last axis is the signal's width; axes before it (samples,
sequences of a batch) are carried along.  For each operation the table holds

- `forward`, the NumPy function that is its meaning;
- `pullback`, the vector-Jacobian product: from the cotangent of the output to those of the
  inputs and of the parameters, ȳ ↦ (∂y/∂u)ᵀ ȳ, (∂y/∂p)ᵀ ȳ;
- `kind`, which tells an engine how elements and samples depend on one another;
- `formula`, for element-wise operations: the texts of one element (`lstmsim.blocks._formulas`),
  from which all of the above, the kernels, their gradients and C are written;
- `mixture`, the same for operations whose output elements depend on all elements
  (`lstmsim.blocks._mixtures`).

So an operation of these two kinds is one row of texts.

>>> import numpy as np
>>> OPS["multiply"].forward((np.array([1.0, 2.0]), np.array([3.0, 4.0])), {})
array([3., 8.])
>>> OPS["matvec"].forward((np.array([1.0, 1.0]),), {"K": np.array([[1.0, 2.0]])})
array([3.])
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import expit

from lstmsim.base import Array
from lstmsim.blocks._formulas import Formula, check, function
from lstmsim.blocks._mixtures import Mixture, check_mixture

Inputs = tuple[Array, ...]
Parameters = Mapping[str, Any]
#: Cotangents of the inputs, in order, and of the parameters, by name.
Cotangents = tuple[Inputs, dict[str, Array]]


class Kind(Enum):
    """How the output's elements and samples depend on the inputs'."""

    #: Output element j on input elements j alone, within one sample.
    ELEMENTWISE = "elementwise"
    #: A matrix times one signal, within one sample.
    PRODUCT = "product"
    #: Elements are moved about, none is changed, within one sample.
    MOVE = "move"
    #: Each output element on all elements of the inputs, within one sample.
    MIX = "mix"
    #: On the inputs' samples before: it keeps a state.
    MEMORY = "memory"
    #: On no input.
    CONSTANT = "constant"


@dataclass(frozen=True)
class Op:
    """One primitive operation.

    Parameters
    ----------
    name : str
        Its key in `OPS`.
    kind : Kind
        What depends on what.
    forward : callable
        ``forward(inputs, parameters) -> output``.
    pullback : callable
        ``pullback(cotangent, inputs, output, parameters) -> (input cotangents, parameter
        cotangents)``.
    formula : Formula or callable, optional
        The texts of one element of an element-wise operation; ``formula(n, signs)`` where they
        depend on the number of inputs.
    mixture : Mixture, optional
        The texts of an operation that mixes elements.
    linear : bool
        Whether the Jacobian does not depend on the inputs: it is then computed once, and not at
        every sample.
    trained : tuple of str
        Its parameters that may be trained: those that the pullback has cotangents of.
    """

    name: str
    kind: Kind
    forward: Callable[[Inputs, Parameters], Array]
    pullback: Callable[[Array, Inputs, Array, Parameters], Cotangents]
    formula: Formula | Callable[[int, str], Formula] | None = None
    mixture: Mixture | None = None
    linear: bool = False
    trained: tuple[str, ...] = ()

    @cached_property
    def elementwise(self) -> bool:
        """Whether output element j depends on input elements j alone, within one sample."""
        return self.kind is Kind.ELEMENTWISE

    @cached_property
    def product(self) -> bool:
        """Whether it is a matrix times a signal."""
        return self.kind is Kind.PRODUCT

    @cached_property
    def memory(self) -> bool:
        """Whether it keeps a state: its output does not depend on the present input."""
        return self.kind is Kind.MEMORY

    @cached_property
    def constant(self) -> bool:
        """Whether it has no input."""
        return self.kind is Kind.CONSTANT

    @property
    def word(self) -> Formula | None:
        """The formula that kernels have as a word of their own, if it is more than arithmetic."""
        own = self.formula
        return own if isinstance(own, Formula) and not own.inline else None

    def element(self, n: int, static: Mapping[str, Any]) -> Formula:
        """Return the texts of one element, for a number of inputs."""
        assert self.formula is not None
        if isinstance(self.formula, Formula):
            return self.formula
        return self.formula(n, static.get("signs", ""))


def _rows(x: Array) -> Array:
    """Return x with all leading axes folded into one."""
    return x.reshape(-1, x.shape[-1])


def _total(x: Array, shape: tuple[int, ...]) -> Array:
    """Sum a cotangent over every axis along which the value of this shape was repeated."""
    x = x.sum(axis=tuple(range(x.ndim - len(shape))))
    repeated = tuple(axis for axis, n in enumerate(shape) if n == 1 and x.shape[axis] != 1)
    return np.asarray(x.sum(axis=repeated, keepdims=True))


def elementwise(
    name: str,
    formula: Formula | Callable[[int, str], Formula],
    forward: Callable[..., Array] | None = None,
) -> Op:
    """Return an element-wise operation: its NumPy functions are those of its texts.

    `forward` is NumPy's own function of the inputs where it is better than that of the text.
    """
    if isinstance(formula, Formula):
        check(name, formula.texts, (formula.value,))
        own, of = formula, None
    else:
        of = functools.cache(formula)
        own = of(2, "++")

    def texts(inputs: Inputs, p: Parameters) -> Formula:
        return own if of is None else of(len(inputs), p.get("signs", ""))

    arguments = (*own.inputs, *own.parameters)
    fixed = function(own.value, arguments)

    def value(inputs: Inputs, p: Parameters) -> Array:
        if of is None:
            return np.asarray(fixed(*inputs, *[p[name] for name in own.parameters]))
        used = texts(inputs, p)
        return np.asarray(function(used.value, used.inputs)(*inputs))

    def value_by_numpy(inputs: Inputs, p: Parameters) -> Array:
        assert forward is not None
        return np.asarray(forward(*inputs))

    def pullback(ybar: Array, inputs: Inputs, y: Array, p: Parameters) -> Cotangents:
        used = texts(inputs, p)
        arguments = (*used.inputs, *used.parameters, "y", "bar")
        values = (*inputs, *(p[name] for name in used.parameters), y, ybar)
        cotangents = (function(text, arguments)(*values) for text in used.cotangents)
        return tuple(_total(part, u.shape) for part, u in zip(cotangents, inputs, strict=True)), {
            key: _total(function(text, arguments)(*values), np.shape(p[key]))
            for key, text in used.gradients.items()
        }

    meaning = value if forward is None else value_by_numpy
    trained = tuple(own.gradients)
    return Op(
        name, Kind.ELEMENTWISE, meaning, pullback, of or own, linear=own.linear, trained=trained
    )


def mixing(name: str, mixture: Mixture) -> Op:
    """Return an operation that mixes elements: its NumPy functions are those of its texts."""
    check_mixture(name, mixture)

    def value(inputs: Inputs, p: Parameters) -> Array:
        signals = dict(zip(mixture.inputs, inputs, strict=True))
        return np.asarray(mixture.evaluate((mixture.value,), signals)[0])

    def pullback(ybar: Array, inputs: Inputs, y: Array, p: Parameters) -> Cotangents:
        signals = dict(zip((*mixture.inputs, "y", "bar"), (*inputs, y, ybar), strict=True))
        cotangents = mixture.evaluate(mixture.cotangents, signals)
        return tuple(
            np.broadcast_to(part, u.shape) for part, u in zip(cotangents, inputs, strict=True)
        ), {}

    return Op(name, Kind.MIX, value, pullback, mixture=mixture, linear=mixture.linear)


# y = Σ ±uⱼ, signs a string such as "+-+"; a width-1 input is added to every element


def _sum(n: int, signs: str) -> Formula:
    u = tuple(f"u{j}" for j in range(n))
    terms = [f"{sign} {name}" for sign, name in zip(signs or "+" * n, u, strict=True)]
    value = " ".join(terms).removeprefix("+ ")
    return Formula(value, tuple("bar" if s == "+" else "-bar" for s in signs), inputs=u)


# y = u₀ ⊙ u₁ ⊙ …; its cotangents are products of the others, not y/u: an input may be zero


def _product(n: int, signs: str) -> Formula:
    u = tuple(f"u{j}" for j in range(n))
    cotangents = (" * ".join(("bar", *u[:j], *u[j + 1 :])) for j in range(n))
    return Formula(" * ".join(u), tuple(cotangents), inputs=u)


# y = K u


def _matvec(inputs: Inputs, p: Parameters) -> Array:
    return np.asarray(inputs[0] @ p["K"].T)


def _matvec_pullback(ybar: Array, inputs: Inputs, y: Array, p: Parameters) -> Cotangents:
    return (ybar @ p["K"],), {"K": _rows(ybar).T @ _rows(inputs[0])}


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


_ROWS = (
    elementwise("add", _sum),
    elementwise("multiply", _product),
    elementwise("scale", Formula("k * u", ("k * bar",), {"k": "bar * u"})),
    # expit neither overflows nor warns, in any precision.
    elementwise("sigmoid", Formula("1 / (1 + exp(-u))", ("bar * (y * (1 - y))",)), expit),
    elementwise("tanh", Formula("tanh(u)", ("bar * (1 - y * y)",))),
    # Of the subgradients at 0 the one that is 0 is taken.
    elementwise("relu", Formula("maximum(u, 0)", ("where(u > 0, bar, 0)",))),
    # The gradient is 1 inside and on the bounds, 0 outside.
    elementwise(
        "clip",
        Formula("minimum(maximum(u, low), high)", ("where((u >= low) & (u <= high), bar, 0)",)),
    ),
    elementwise("divide", Formula("u / v", ("bar / v", "-bar * y / v"))),
    # At the corner of abs the subgradient 0 is taken.
    elementwise("abs", Formula("abs(u)", ("where(u > 0, bar, where(u < 0, -bar, 0))",))),
    elementwise("exp", Formula("exp(u)", ("bar * y",))),
    elementwise("sqrt", Formula("sqrt(u)", ("bar / (y + y)",))),
    # The exponent is not above 0: the branch that is not taken does not overflow either.
    elementwise(
        "elu",
        Formula(
            "where(u > 0, u, alpha * expm1(minimum(u, 0)))",
            ("where(u > 0, bar, bar * (y + alpha))",),
        ),
    ),
    elementwise(
        "leaky_relu",
        Formula("where(u > 0, u, slope * u)", ("where(u > 0, bar, slope * bar)",)),
    ),
    # log(1 + eᵘ) without overflow; its slope σ(u) is 1 - e⁻ʸ.
    elementwise("softplus", Formula("maximum(u, 0) + log1p(exp(-abs(u)))", ("-bar * expm1(-y)",))),
    elementwise("softsign", Formula("u / (1 + abs(u))", ("bar / ((1 + abs(u)) * (1 + abs(u)))",))),
    # On the corners the subgradient 0 is taken.
    elementwise(
        "hard_sigmoid",
        Formula(
            "minimum(maximum(slope * u + offset, 0), 1)",
            ("where((y > 0) & (y < 1), slope * bar, 0)",),
        ),
    ),
    Op("matvec", Kind.PRODUCT, _matvec, _matvec_pullback, linear=True, trained=("K",)),
    Op("constant", Kind.CONSTANT, _constant, _constant_pullback, trained=("value",)),
    Op("delay", Kind.MEMORY, _delay, _delay_pullback, trained=("x0",)),
    Op("concatenate", Kind.MOVE, _concatenate, _concatenate_pullback, linear=True),
    Op("take", Kind.MOVE, _take, _take_pullback, linear=True),
    # The largest exponent is 0: none overflows, and their sum is at least 1.
    mixing(
        "softmax",
        Mixture(
            "exp(u - m) / s",
            ("y * (bar - d)",),
            {"m": "max(u)", "s": "sum(exp(u - m))", "d": "sum(bar * y)"},
        ),
    ),
    # What is added to the variance keeps a constant signal finite.
    mixing(
        "normalize",
        Mixture(
            "(u - m) / sqrt(q + 1e-5)",
            ("(bar - a - y * c) / sqrt(q + 1e-5)",),
            {
                "m": "mean(u)",
                "q": "mean((u - m) * (u - m))",
                "a": "mean(bar)",
                "c": "mean(bar * y)",
            },
        ),
    ),
    mixing("dot", Mixture("s", ("bar * v", "bar * u"), {"s": "sum(u * v)"})),
)
OPS: dict[str, Op] = {op.name: op for op in _ROWS}
