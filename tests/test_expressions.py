"""Expressions in model files: what is allowed and what it gives, what is refused and when."""

from __future__ import annotations

import math
import operator
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmsim.diagram.models import expressions
from lstmsim.errors import ExpressionError
from tests.helpers import assert_same, refused, repeatable

WHERE = "block 'Wi' (MATRIXGAIN), parameter K"
W = np.arange(24.0).reshape(6, 4)
WORKSPACE: dict[str, Any] = {
    "W": W,
    "h0": np.array([1.0, 2.0, 3.0]),
    "column": np.array([[1.0], [2.0], [3.0]]),
    "row": np.array([[1.0, 2.0, 3.0]]),
    "one": np.array([[5.0]]),
    "n": 2,
    "x": 0.5,
}


def value(text: str, workspace: dict[str, Any] | None = None) -> Any:
    names = WORKSPACE if workspace is None else workspace
    return expressions.evaluate(expressions.parse(text, WHERE), names, text, WHERE)


ALLOWED = [
    ("1", 1),
    ("  -2.5e-1  ", -0.25),
    ("0x10", 16),
    ("W", W),
    ("W[0:3]", W[:3]),
    ("W[len(h0):2*len(h0)]", W[3:6]),
    ("W[-2:]", W[4:]),
    ("W[::2]", W[::2]),
    ("W[1]", W[1]),
    ("W[-1]", W[-1]),
    ("W[1, 2]", 6.0),
    ("W[0:2, 1:n]", W[0:2, 1:2]),
    ("W[:, 3]", W[:, 3]),
    ("W[6:6]", W[6:6]),
    ("h0 + 1", [2, 3, 4]),
    ("1 - h0", [0, -1, -2]),
    ("h0 * h0", [1, 4, 9]),
    ("h0 / 2", [0.5, 1, 1.5]),
    ("7 // 2 + 7 % 4", 6),
    ("2 ** 3 ** 1", 8),
    ("2 ** -1", 0.5),
    ("-2 ** 2", -4),
    ("+x - -x", 1.0),
    ("(1 + 2) * 3", 9),
    ("W @ array([1, 0, 0, 1])", W[:, 0] + W[:, 3]),
    ("pi", math.pi),
    ("-inf", -math.inf),
    ("len(W)", 6),
    ("len(h0)", 3),
    ("len(column)", 3),
    ("len(row)", 3),
    ("len(one)", 1),
    ("len(W[0:2])", 2),
    ("zeros(3)", [0, 0, 0]),
    ("zeros((2, len(h0)))", np.zeros((2, 3))),
    ("ones([2, 1])", [[1], [1]]),
    ("eye(2)", np.eye(2)),
    ("eye(2, 3)", np.eye(2, 3)),
    ("array([[1, 2], [3, x]])", [[1, 2], [3, 0.5]]),
    ("array((1, -2))", [1, -2]),
    ("np.array([1.5])", [1.5]),
    ("numpy.zeros(2)", [0, 0]),
    ("(1 +\n 2)", 3),
]


@pytest.mark.parametrize(("text", "expected"), ALLOWED)
def test_an_allowed_expression_has_the_value_that_python_would_give(
    text: str, expected: Any
) -> None:
    assert_same(value(text), expected, text)


CALLS = "calls something that is not allowed"
PART = "a part that is not allowed"
NO_NUMBER = "a constant that is no number"
NONE_AT_ALL = "this is not an expression"

REFUSED = [
    ("__import__('os').system('true')", CALLS),
    ("print(1)", CALLS),
    ("W.sum()", CALLS),
    ("np.load(1)", CALLS),
    ("os.zeros(3)", CALLS),
    ("np.linalg.zeros(3)", CALLS),
    ("zeros(3)(1)", CALLS),
    ("(lambda: 1)()", CALLS),
    ("zeros(shape=3)", CALLS),
    ("zeros(3, dtype=x)", CALLS),
    ("zeros(**W)", CALLS),
    ("zeros(*W)", f"{PART} (Starred)"),
    ("array([*W])", f"{PART} (Starred)"),
    ("W.T", f"{PART} (Attribute)"),
    ("W.__class__", f"{PART} (Attribute)"),
    ("().__class__.__bases__", f"{PART} (Attribute)"),
    ("np.pi", f"{PART} (Attribute)"),
    ("lambda: 1", f"{PART} (Lambda)"),
    ("[x for x in W]", f"{PART} (ListComp)"),
    ("array([x for x in W])", f"{PART} (ListComp)"),
    ("{x for x in W}", f"{PART} (SetComp)"),
    ("(x for x in W)", f"{PART} (GeneratorExp)"),
    ("len(x for x in W)", f"{PART} (GeneratorExp)"),
    ("f'{W}'", f"{PART} (JoinedStr)"),
    ("(y := 1)", f"{PART} (NamedExpr)"),
    ("1 if x else 2", f"{PART} (IfExp)"),
    ("x and W", f"{PART} (BoolOp)"),
    ("x < 1", f"{PART} (Compare)"),
    ("not x", f"{PART} (UnaryOp)"),
    ("~n", f"{PART} (UnaryOp)"),
    ("n << 9", f"{PART} (BinOp)"),
    ("n | 1", f"{PART} (BinOp)"),
    ("[1, 2]", f"{PART} (List)"),
    ("1, 2", f"{PART} (Tuple)"),
    ("{1: 2}", f"{PART} (Dict)"),
    ("W[[0, 1]]", f"{PART} (List)"),
    ("array([{1}])", f"{PART} (Set)"),
    ("await W", f"{PART} (Await)"),
    ("'W'", NO_NUMBER),
    ("b'W'", NO_NUMBER),
    ("array('W')", NO_NUMBER),
    ("W['a']", NO_NUMBER),
    ("True", NO_NUMBER),
    ("None", NO_NUMBER),
    ("W[None]", NO_NUMBER),
    ("W[...]", NO_NUMBER),
    ("1j", NO_NUMBER),
    ("", NONE_AT_ALL),
    ("   ", NONE_AT_ALL),
    ("# 1", NONE_AT_ALL),
    ("\0", NONE_AT_ALL),
    ("1\0", NONE_AT_ALL),
    ("x = 1", NONE_AT_ALL),
    ("import os", NONE_AT_ALL),
    ("1; 2", NONE_AT_ALL),
    ("1\n2", NONE_AT_ALL),
    ("W[", NONE_AT_ALL),
    ("(" * 300 + "1" + ")" * 300, NONE_AT_ALL),
    ("-" * 5000 + "1", NONE_AT_ALL),
    ("1" + "+1" * 9000, NONE_AT_ALL),
    ("1" * 6000, NONE_AT_ALL),
    ("1 + " * 6000 + "1", "longer than 20000 characters"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED, ids=[text[:30] for text, _ in REFUSED])
def test_what_is_not_allowed_is_refused_before_anything_is_evaluated(text: str, words: str) -> None:
    with refused(ExpressionError, words, WHERE, f"={text[:60]}"):
        expressions.parse(text, WHERE)


FAILING = [
    ("9**9**9", "an exponent beyond 64"),
    ("2.0**65", "an exponent beyond 64"),
    ("h0**array([1, 2, 99])", "an exponent beyond 64"),
    ("10**18 * 10", "a whole number beyond 2**53"),
    ("zeros(10**12)", "more than 100000000 elements"),
    ("ones((10**6, 10**6))", "more than 100000000 elements"),
    ("eye(10**5)", "more than 100000000 elements"),
    ("eye(10**5, 10**5)", "more than 100000000 elements"),
    ("eye(20000, 20000, 0)", "more than 100000000 elements"),
    ("zeros(-1)", "negative"),
    ("zeros()", "argument"),
    ("zeros(2, 3)", "data type"),
    ("1 / 0", "division by zero"),
    ("1 // 0", "by zero"),
    ("len(x)", "unsized"),
    ("W @ W", "mismatch"),
    ("W + h0", "broadcast"),
    ("x[0]", "="),
    ("W[0.5]", "indices"),
    ("W[9]", "out of bounds"),
    ("W[0, 1, 2]", "too many indices"),
    ("W[0:h0]", "="),
    ("W[0:7]", "a slice to 7 of an axis of length 6"),
    ("W[7:]", "a slice to 7 of an axis of length 6"),
    ("W[-7:]", "a slice to -7 of an axis of length 6"),
    ("W[0:2, 0:5]", "a slice to 5 of an axis of length 4"),
    ("W[len(h0):3*len(h0)]", "a slice to 9 of an axis of length 6"),
]


@pytest.mark.parametrize(("text", "words"), FAILING)
def test_an_operation_that_cannot_be_done_is_told_with_its_expression(
    text: str, words: str
) -> None:
    with refused(ExpressionError, "cannot be evaluated", WHERE, f"={text}", words):
        value(text)


def test_the_shapes_of_the_arrays_are_told_where_an_operation_fails() -> None:
    with refused(ExpressionError, "W (6, 4), h0 (3,)"):
        value("W + h0")


@pytest.mark.parametrize("terms", [1, 99, 100])
def test_an_expression_that_was_allowed_is_not_too_deep_to_evaluate(terms: int) -> None:
    assert value("1" + "+1" * terms) == 1 + terms


@pytest.mark.parametrize("terms", [101, 500, 980, 990, 1000, 2000])
def test_a_deeply_nested_expression_is_refused_before_it_is_evaluated(terms: int) -> None:
    with pytest.raises(ExpressionError, match=r"nested deeper than 100|not an expression"):
        expressions.parse("1" + "+1" * terms, WHERE)


@pytest.mark.parametrize(
    ("text", "missing"), [("V", "V"), ("V + W[0:U]", "U, V"), ("np + 1", "np"), ("len", "len")]
)
def test_missing_names_are_listed_before_anything_is_evaluated(text: str, missing: str) -> None:
    words = ("lacks a name", WHERE, f"={text}", "W, column", f"expected: {missing}")
    with refused(ExpressionError, *words):
        value(text)


def test_infinity_is_left_to_the_check_of_the_parameter_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(value("h0 / 0"), np.full(3, np.inf), "h0 / 0")


def test_an_empty_workspace_is_said_to_be_empty() -> None:
    with refused(ExpressionError, "the workspace has no names"):
        value("W", {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("W[len(h0):2*n] + pi", {"W", "h0", "n"}),
        ("np.array([x, inf]) + len(W)", {"x", "W"}),
        ("zeros(3)", set()),
        ("len", {"len"}),
    ],
)
def test_the_names_that_an_expression_needs_are_found(text: str, expected: set[str]) -> None:
    assert expressions.names(expressions.parse(text, WHERE)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("W", {"W": 6}),
        ("W[0:3]", {"W": 3}),
        ("W[2:4]", {"W": 4}),
        ("W[-1]", {"W": 6}),
        ("W[1]", {"W": 2}),
        ("W[:, 0]", {"W": 6}),
        ("W[0:2, 0:1]", {"W": 2}),
        ("W[0:2] + W[4:5]", {"W": 5}),
        ("W[0:2] + W", {"W": 6}),
        ("W[len(h0):2*len(h0)]", {"W": 6, "h0": 3}),
        ("W[0:len(row)]", {"W": 3, "row": 1}),
        ("n * x", {"n": 1, "x": 1}),
        ("zeros(3)", {}),
    ],
)
def test_the_rows_that_an_expression_reaches_are_counted(
    text: str, expected: dict[str, int]
) -> None:
    assert expressions.rows_used(expressions.parse(text, WHERE), WORKSPACE) == expected


def test_evaluating_changes_nothing_in_the_workspace() -> None:
    before = {name: np.copy(array) for name, array in WORKSPACE.items()}
    for text, _ in ALLOWED:
        value(text)
    for name, array in before.items():
        assert_same(WORKSPACE[name], array, name)


OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
leaves = st.one_of(
    st.floats(0.5, 4).map(lambda x: (repr(x), x)),
    st.integers(1, 9).map(lambda n: (str(n), n)),
    st.sampled_from(["h0", "x", "W[0:3, 1]", "row[0]"]).map(
        lambda text: (text, eval(text, {}, WORKSPACE))
    ),
)


def combined(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return texts of two parts with an operator between them, and NumPy's own values."""

    def combine(a: Any, sign: str, b: Any) -> Any:
        with np.errstate(all="ignore"):
            return f"({a[0]} {sign} {b[0]})", OPERATORS[sign](a[1], b[1])

    def negate(a: Any) -> Any:
        return f"-{a[0]}", -a[1]

    pairs = st.builds(combine, parts, st.sampled_from("+-*"), parts)
    halves = st.builds(combine, parts, st.just("/"), st.just(("4", 4)))
    return st.one_of(pairs, halves, st.builds(negate, parts))


@given(st.recursive(leaves, combined, max_leaves=12))
@repeatable
def test_random_arithmetic_equals_numpys_own(case: tuple[str, Any]) -> None:
    text, expected = case
    assert_same(value(text), expected, text)
