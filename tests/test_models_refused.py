"""Values in model files and workspaces that do not fit: refused with their block and name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.errors import (
    ExpressionError,
    InvalidTypeError,
    InvalidValueError,
    ModelFileError,
    ShapeError,
)
from tests.helpers import load_edited, parameter, refused

VALUES = [
    ("Wi", "K", "W", InvalidTypeError, ("text where a number is needed", "'W'", "write =W")),
    ("fc", "nin", "2", InvalidTypeError, ("text where a number is needed", "'2'")),
    ("fc", "nin", 2.5, InvalidTypeError, ("not a whole number", "2.5")),
    ("fc", "nin", [2, 2], InvalidTypeError, ("not one number", "(2,)")),
    ("fc", "nin", 1, InvalidValueError, ("nin is too small", "at least 2")),
    ("fc", "nin", float("nan"), InvalidValueError, ("nin holds NaN",)),
    ("sum_i", "signs", 3, InvalidTypeError, ("not text", "3")),
    ("Wi", "K", [["1"]], InvalidTypeError, ("K does not hold real numbers", "text")),
    ("Wi", "K", {"a": 1}, InvalidTypeError, ("K does not hold real numbers", "objects")),
    ("Wi", "K", float("nan"), InvalidValueError, ("K holds NaN",)),
    ("Wi", "K", float("inf"), InvalidValueError, ("K holds NaN or Inf",)),
    ("Wi", "K", [1.0, 2.0], ShapeError, ("K is not a matrix", "(2,)")),
    ("h_prev", "x0", [[1, 2], [3, 4]], ShapeError, ("x0 is not a vector", "(2, 2)")),
    ("Wi", "K", "=V", ExpressionError, ("lacks a name", "=V", "expected: V")),
    ("Wi", "K", "=open('x')", ExpressionError, ("calls something", "model.bd", "parameter K")),
    ("Wi", "K", "=W[0:99]", ExpressionError, ("a slice to 99",)),
    ("Wi", "K", "=", ExpressionError, ("not an expression",)),
]


@pytest.mark.parametrize(("title", "name", "value", "kind", "words"), VALUES)
def test_a_wrong_value_is_refused_with_its_block(
    title: str, name: str, value: Any, kind: type[Exception], words: tuple[str, ...], tmp_path: Path
) -> None:
    with refused(kind, f"block '{title}'", *words):
        load_edited(tmp_path, parameter(title, name, value))


WORKSPACES = [
    ({"W": np.ones((16, 4))}, ShapeError, ("W of shape (16, 4)", "12 rows in W")),
    ({"W": np.ones((8, 4))}, ShapeError, ("W of shape (8, 4)", "3 units and 12 gate rows")),
    ({"R": np.ones((13, 3))}, ShapeError, ("R of shape (13, 3)", "divisible by 4")),
    ({"b": np.ones((15, 1))}, ShapeError, ("b of shape (15,)", "12 rows in b")),
    ({"b": np.ones((1, 15))}, ShapeError, ("b of shape (15,)", "12 rows in b")),
    ({"h0": np.ones(2), "c0": np.ones(2)}, ShapeError, ("h0 of shape (2,)", "3 rows in h0")),
    ({"c0": np.ones(2)}, ShapeError, ("c0 of shape (2,)", "3 rows in c0")),
    ({"bF": np.ones(2)}, ModelFileError, ("no bias in its dense head", "bF")),
    ({"F": np.ones((2, 3, 1))}, ShapeError, ("block 'y'", "(2, 3, 1)")),
    ({"W": np.ones((12, 3))}, ShapeError, ("'Wf'", "4 elements", "3 elements")),
    ({"F": np.ones((2, 4))}, ShapeError, ("block 'y'", "3 elements", "4 elements")),
    ({"W": np.full((12, 4), 1j)}, InvalidTypeError, ("W does not hold real", "complex")),
    ({"R": np.full((12, 3), np.nan)}, InvalidValueError, ("R holds NaN", "36 of 36")),
    ({"b": np.full(12, "a")}, InvalidTypeError, ("b does not hold real", "text")),
    ({"b": [[1.0], [2.0, 3.0]]}, InvalidTypeError, ("b does not hold real", "objects")),
    ({"Ts": 0}, InvalidValueError, ("Ts is not a positive",)),
    ({"Ts": "fast"}, InvalidTypeError, ("Ts does not hold real",)),
    ({"u": np.ones((5, 3))}, ShapeError, ("3 elements", "4 elements")),
    ({"u": np.ones((5, 4, 2))}, ShapeError, ("block 'u'", "(5, 4, 2)")),
    ({"clock": 1}, InvalidTypeError, ("reserved name", "clock")),
]


@pytest.mark.parametrize(("change", "kind", "words"), WORKSPACES)
def test_a_workspace_that_does_not_fit_is_refused(
    change: dict[str, Any], kind: type[Exception], words: tuple[str, ...], tmp_path: Path
) -> None:
    with refused(kind, *words):
        load_edited(tmp_path, lambda content: None, **change)


@pytest.mark.parametrize("name", ["W", "R", "b", "h0", "c0", "F", "Ts"])
def test_a_name_that_the_workspace_lacks_is_told_with_those_it_has(name: str) -> None:
    workspace = ls.published.layer_workspace()
    del workspace[name]
    with refused(ModelFileError, "lacks a name", f"expected: {name}"):
        ls.load(ls.model_path("lstm_layer"), workspace)


@pytest.mark.parametrize("workspace", [[("W", 1)], "W", 5])
def test_a_workspace_that_is_no_mapping_is_refused(workspace: Any) -> None:
    with refused(InvalidTypeError, "not a mapping", type(workspace).__name__):
        ls.load(ls.model_path("lstm_layer"), workspace)
