"""Expressions in model files: read, allowed or refused, and evaluated, without `eval`.

An expression is a small formula over the names of a workspace, such as
``W[len(h0):2*len(h0)]``.  Allowed are the workspace's names, ``pi`` and ``inf``, numbers,
indexing and slices, arithmetic (``+ - * / // % ** @``), ``len`` (the rows of a matrix, the
elements of a vector, even one saved as a row), and ``zeros``, ``ones``, ``eye`` and ``array``
(also as ``np.array`` …).  `parse` refuses anything else before
anything is evaluated.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lstmsim.base import ExpressionError

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def _len(x: Any) -> int:
    """Return the rows of a matrix, or the elements of a vector, be it (n,), (n, 1) or (1, n)."""
    array = np.asarray(x)
    return array.size if 1 in array.shape else len(array)


def _array(values: Any) -> Any:
    """Return numbers as an array of floats: whole numbers would overflow in silence."""
    return np.array(values, np.float64)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "len": _len,
    "zeros": np.zeros,
    "ones": np.ones,
    "eye": np.eye,
    "array": _array,
}
_CONSTANTS = {"pi": math.pi, "inf": math.inf}
_MAX_LENGTH = 20_000
_MAX_ELEMENTS = 10**8
_MAX_EXPONENT = 64
_MAX_DEPTH = 100

ALLOWED = (
    "names of the workspace, numbers, indexing, slices, + - * / // % ** @, "
    "len, zeros, ones, eye, array"
)


def _refuse(text: str, why: str, where: str, mend: str | None = None) -> ExpressionError:
    shown = text if len(text) <= 80 else text[:77] + "..."
    return ExpressionError(why, where=where, given=f"={shown}", expected=ALLOWED, mend=mend)


def _function_name(node: ast.expr) -> str | None:
    """Return f for `f` and for `np.f`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr if node.value.id in ("np", "numpy") else None
    return None


def parse(text: str, where: str) -> ast.expr:
    """Return the syntax tree of an expression, if every part of it is allowed.

    Parameters
    ----------
    text : str
        The expression, without the leading ``=``.
    where : str
        The block and parameter, for an error.

    Raises
    ------
    ExpressionError
        If it is no expression, or something in it is not allowed.

    Examples
    --------
    >>> tree = parse("W[0:len(h0)]", "block 'Wi', parameter K")
    >>> parse("__import__('os').getcwd()", "block 'Wi', parameter K")
    Traceback (most recent call last):
    lstmsim.base.errors.ExpressionError: the expression calls something that is not allowed
      where:    block 'Wi', parameter K
      given:    =__import__('os').getcwd()
      expected: names of the workspace, numbers, indexing, slices, + - * / // % ** @, len, ...
    """
    if len(text) > _MAX_LENGTH:
        raise _refuse(text, f"the expression is longer than {_MAX_LENGTH} characters", where)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        _check(tree, text, where)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, ExpressionError):
            raise
        raise _refuse(text, "this is not an expression", where) from None
    return tree


def _check(node: ast.AST, text: str, where: str, depth: int = 0) -> None:
    if depth > _MAX_DEPTH:
        raise _refuse(text, f"the expression is nested deeper than {_MAX_DEPTH} levels", where)
    depth += 1
    match node:
        case ast.Name():
            pass
        case ast.Constant(value=bool()):
            raise _refuse(text, "the expression has a constant that is no number", where)
        case ast.Constant(value=int() | float()):
            pass
        case ast.Constant():
            raise _refuse(text, "the expression has a constant that is no number", where)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            _check(operand, text, where, depth)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            _check(left, text, where, depth)
            _check(right, text, where, depth)
        case ast.Subscript(value=value, slice=index):
            _check(value, text, where, depth)
            for part in index.elts if isinstance(index, ast.Tuple) else [index]:
                _check(part, text, where, depth)
        case ast.Slice(lower=lower, upper=upper, step=step):
            for bound in (lower, upper, step):
                if bound is not None:
                    _check(bound, text, where, depth)
        case ast.Call(func=function, args=arguments, keywords=[]):
            name = _function_name(function)
            if name not in _FUNCTIONS:
                raise _refuse(text, "the expression calls something that is not allowed", where)
            for argument in arguments:
                _check_argument(argument, text, where, depth)
        case ast.Call():
            raise _refuse(text, "the expression calls something that is not allowed", where)
        case _:
            raise _refuse(
                text,
                f"the expression has a part that is not allowed ({type(node).__name__})",
                where,
            )


def _check_argument(node: ast.AST, text: str, where: str, depth: int) -> None:
    # Lists and tuples stand only here: for the rows of an array, or the sizes of zeros.
    if isinstance(node, ast.List | ast.Tuple):
        for element in node.elts:
            _check_argument(element, text, where, depth + 1)
    else:
        _check(node, text, where, depth)


def names(tree: ast.expr) -> set[str]:
    """Return the workspace names that an allowed expression uses."""
    functions = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    inside = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    return {
        n.id
        for n in ast.walk(tree)
        if isinstance(n, ast.Name) and id(n) not in functions | inside and n.id not in _CONSTANTS
    }


def passed_on(tree: ast.expr) -> set[str]:
    """Return the names whose numbers an expression uses; inside `len` the shape alone matters.

    Examples
    --------
    >>> sorted(passed_on(parse("W[0:len(h0)] + b", "")))
    ['W', 'b']
    """
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _function_name(node.func) == "len"
        for argument in node.args
        for part in ast.walk(argument)
    }
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in inside}
    return used & names(tree)


def evaluate(tree: ast.expr, workspace: Mapping[str, Any], text: str, where: str) -> Any:
    """Return the value of an expression that `parse` has allowed.

    Raises
    ------
    ExpressionError
        If the workspace lacks a name, or an operation cannot be done.
    """
    missing = sorted(names(tree) - set(workspace))
    if missing:
        raise ExpressionError(
            "the workspace lacks a name that the model uses",
            where=where,
            given=f"={text}; the workspace has {', '.join(sorted(workspace)) or 'no names'}",
            expected=", ".join(missing),
            mend=f"add {', '.join(missing)} to the workspace",
        )
    try:
        # The parameter's own check refuses a result that is not finite.
        with np.errstate(all="ignore"):
            return _value(tree, workspace)
    except ExpressionError:
        raise
    except (ArithmeticError, IndexError, MemoryError, TypeError, ValueError) as error:
        raise ExpressionError(
            "the expression cannot be evaluated",
            where=where,
            given=f"={text}; {error}",
            expected="operations that the values in the workspace allow",
            mend="look at the shapes: "
            + ", ".join(f"{n} {np.shape(workspace[n])}" for n in sorted(names(tree))),
        ) from None


def _value(node: ast.AST | None, workspace: Mapping[str, Any]) -> Any:
    match node:
        case None:
            return None
        case ast.Name(id=name):
            return workspace[name] if name in workspace else _CONSTANTS[name]
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_value(operand, workspace))
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _value(left, workspace), _value(right, workspace)
            if isinstance(op, ast.Pow) and np.max(np.abs(b)) > _MAX_EXPONENT:
                raise ValueError(f"an exponent beyond {_MAX_EXPONENT}")
            if isinstance(a, int) and isinstance(b, int) and max(abs(a), abs(b)) > 2**53:
                raise ValueError("a whole number beyond 2**53")
            _check_size(op, a, b)
            return _BINARY[type(op)](a, b)
        case ast.Subscript(value=value, slice=index):
            array, key = _value(value, workspace), _value(index, workspace)
            _check_bounds(array, key)
            return array[key]
        case ast.Slice(lower=lower, upper=upper, step=step):
            return slice(*(_value(part, workspace) for part in (lower, upper, step)))
        case ast.List(elts=elements):
            return [_value(element, workspace) for element in elements]
        case ast.Tuple(elts=elements):
            return tuple(_value(element, workspace) for element in elements)
        case ast.Call(func=function, args=arguments):
            name = _function_name(function) or ""
            values = [_value(argument, workspace) for argument in arguments]
            if name in ("zeros", "ones", "eye"):
                sizes = [*values, *values][:2] if name == "eye" else values[:1]
                if math.prod(float(n) for n in np.ravel(sizes)) > _MAX_ELEMENTS:
                    raise ValueError(f"more than {_MAX_ELEMENTS} elements")
            return _FUNCTIONS[name](*values)
        case _:
            raise AssertionError(f"parse let {ast.dump(node)} pass")


def _check_size(op: ast.operator, a: Any, b: Any) -> None:
    x, y = np.shape(a), np.shape(b)
    shape = (*x[:-1], *y[-1:]) if isinstance(op, ast.MatMult) else np.broadcast_shapes(x, y)
    if math.prod(shape) > _MAX_ELEMENTS:
        raise ValueError(f"more than {_MAX_ELEMENTS} elements")


def _check_bounds(array: Any, key: Any) -> None:
    # NumPy cuts a slice that is too long: a matrix with too few rows would go unnoticed.
    for part, length in zip(
        key if isinstance(key, tuple) else (key,), np.shape(array), strict=False
    ):
        if isinstance(part, slice):
            for bound in (part.start, part.stop):
                if bound is not None and not -length <= bound <= length:
                    raise ValueError(f"a slice to {bound} of an axis of length {length}")


def rows_used(tree: ast.expr, workspace: Mapping[str, Any]) -> dict[str, int]:
    """Return for every name in an expression how many of its rows it reaches.

    A name that stands alone reaches all of them, ``W[0:3]`` the first three.

    Examples
    --------
    >>> rows_used(parse("W[2:4] + len(h)", ""), {"W": np.eye(6), "h": np.ones(2)})
    {'W': 4, 'h': 2}
    """
    sliced: dict[int, int] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=ast.Name(id=name) as array, slice=index) if name in workspace:
                first = index.elts[0] if isinstance(index, ast.Tuple) and index.elts else index
                key, length = _value(first, workspace), len(np.atleast_1d(workspace[name]))
                if isinstance(key, slice):
                    sliced[id(array)] = max(key.indices(length)[:2])
                elif isinstance(key, int):
                    sliced[id(array)] = key % length + 1
    reached: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in workspace:
            rows = sliced.get(id(node), len(np.atleast_1d(workspace[node.id])))
            reached[node.id] = max(rows, reached.get(node.id, 0))
    return dict(sorted(reached.items()))
