"""Formulas: what an element-wise operation computes of one element, as text.

A formula is a Python expression of a small language: numbers, ``+ - * /``, comparisons, ``&``
between comparisons, and the functions of `FUNCTIONS`.  NumPy, the kernels, their gradients and
the exported C are all written from the same text, so that they cannot differ.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: The functions of the language, as NumPy has them.  `minimum` and `maximum` keep NaN;
#: `where(condition, a, b)` is a choice.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "exp": np.exp,
    "expm1": np.expm1,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "where": np.where,
}
#: Sums and products, which the vocabulary of kernels has as words of its own.
_ARITHMETIC = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
_NODES = (
    ast.Expression,
    ast.Name,
    ast.Load,
    ast.Constant,
    ast.UnaryOp,
    ast.USub,
    ast.BinOp,
    ast.BitAnd,
    ast.Compare,
    ast.Gt,
    ast.GtE,
    ast.Lt,
    ast.LtE,
    ast.Call,
    *_ARITHMETIC,
)


@dataclass(frozen=True)
class Formula:
    """The texts of an element-wise operation, for one element.

    Parameters
    ----------
    value : str
        Of the output: of the inputs' elements and of the parameters', by their names.
    cotangents : tuple of str
        Of every input's cotangent, in order; `bar` is the output's, and `y` the output.
    gradients : mapping of str
        Of the gradients by the parameters that can be trained, before they are summed.
    inputs : tuple of str, optional
        The names of the inputs: `u`, `v`.
    """

    value: str
    cotangents: tuple[str, ...]
    gradients: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.inputs:
            object.__setattr__(self, "inputs", ("u", "v")[: len(self.cotangents)])

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts."""
        return (self.value, *self.cotangents, *self.gradients.values())

    @functools.cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters, trained or not, in the order of their first use."""
        own = {*self.inputs, "y", "bar"}
        return tuple(dict.fromkeys(n for text in self.texts for n in names(text) if n not in own))

    @functools.cached_property
    def inline(self) -> bool:
        """Whether sums and products of the names are all that the texts have."""
        arithmetic = (ast.Name, ast.Load, ast.UnaryOp, ast.USub, ast.BinOp, *_ARITHMETIC)
        nodes = (node for text in self.texts for node in ast.walk(_parsed(text).body))
        return all(isinstance(node, arithmetic) for node in nodes)

    @functools.cached_property
    def linear(self) -> bool:
        """Whether the slopes do not depend on the inputs."""
        varying = {*self.inputs, "y"}
        return not any(varying & {*names(text)} for text in self.cotangents)

    @functools.cached_property
    def kinked(self) -> bool:
        """Whether a slope is a choice, and so may jump."""
        return any("where" in functions(text) for text in self.cotangents)


@functools.lru_cache(maxsize=1024)
def _parsed(text: str) -> ast.Expression:
    return ast.parse(text, mode="eval")


def check(operation: str, texts: Iterable[str], values: Iterable[str]) -> None:
    """Raise a ValueError that names the operation, if a text is not of the language.

    `values` are the texts among them that the output is computed from.
    """
    outputs = {*values}
    for text in texts:
        try:
            unknown = [
                type(node).__name__
                for node in ast.walk(_parsed(text))
                if not isinstance(node, _NODES)
            ]
        except SyntaxError as error:
            raise ValueError(f"operation {operation!r}: {text!r}: {error.msg}") from None
        unknown += [name for name in functions(text) if name not in FUNCTIONS]
        if text in outputs and {"y", "bar"} & {*names(text)}:
            unknown.append("y or bar in the output's own text")
        if unknown:
            known = ", ".join(FUNCTIONS)
            raise ValueError(
                f"operation {operation!r}: {text!r} has {', '.join(unknown)}, which formulas do "
                f"not have; their functions are {known}"
            )


@functools.lru_cache(maxsize=1024)
def functions(text: str) -> tuple[str, ...]:
    """Return the functions that a text calls."""
    calls = [node.func for node in ast.walk(_parsed(text)) if isinstance(node, ast.Call)]
    return tuple([ast.unparse(called) for called in calls])


@functools.lru_cache(maxsize=1024)
def names(text: str) -> tuple[str, ...]:
    """Return the names in a text that are no functions, each once, in order."""
    found = [n for n in ast.walk(_parsed(text)) if isinstance(n, ast.Name)]
    in_order = dict.fromkeys(n.id for n in sorted(found, key=lambda n: n.col_offset))
    return tuple([name for name in in_order if name not in functions(text)])


@functools.cache
def function(text: str, arguments: tuple[str, ...]) -> Callable[..., Any]:
    """Return the NumPy function of a text."""
    code = compile(f"lambda {', '.join(arguments)}: {text}", f"<formula {text}>", "eval")
    return eval(code, {"__builtins__": {}, **FUNCTIONS})  # type: ignore[no-any-return]


class _Renaming(ast.NodeTransformer):
    def __init__(self, new: Mapping[str, str], number: Callable[[float], str] | None) -> None:
        self.new, self.number = new, number

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.new.get(node.id, node.id))

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return node if self.number is None else ast.Name(self.number(float(node.value)))  # type: ignore[arg-type]


def renamed(text: str, new: Mapping[str, str], number: Callable[[float], str] | None = None) -> str:
    """Return a text with other names, of functions too, and its numbers as a language has them."""
    return ast.unparse(_Renaming(new, number).visit(ast.parse(text, mode="eval")))


def inlined(text: str, values: Mapping[str, str]) -> str:
    """Return a text of sums and products as calls of the kernels' vocabulary.

    >>> inlined("-u0 + u1 * k", {"u0": "a", "u1": "b", "k": "c"})
    'add(neg(a), mul(b, c))'
    """

    def call(node: ast.expr) -> str:
        if isinstance(node, ast.UnaryOp):
            return f"neg({call(node.operand)})"
        if isinstance(node, ast.BinOp):
            return f"{_ARITHMETIC[type(node.op)]}({call(node.left)}, {call(node.right)})"
        return values[ast.unparse(node)]

    return call(_parsed(text).body)
