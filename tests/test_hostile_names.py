"""Any name that a diagram may have works on every engine, in the gradient and in C."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bdsim.blockdiagram import BlockDiagram
from hypothesis import example, given, settings
from hypothesis import strategies as st

import lstmsim as ls
from lstmsim.diagram import structure
from lstmsim.engine.kernels import cache as lanes
from lstmsim.errors import DiagramError
from tests.helpers import assert_close, diagram
from tests.test_c_export import run_c

#: What the engine calls its own things, or has called them, and words of its languages.
HOSTILE = [
    *("package", "pack", "pack0:u", "pack/0", "transposed_bias", "transposed0:x", "transposed"),
    *("log:x", "par:x", "bar:x", "ext:x", "row:log", "width:u", "index:x", "samples", "blocks:u"),
    *("x'", "u'", "'", "''", '"', '"""', "k", "u.k", "low.high", "a.b", "x.k", ".k", "k.", "u"),
    *("o1", "o", "log", "par", "ext", "bar", "now", "prev", "p", "s", "j", "LANES", "fma", "x0"),
    *("def", "lambda", "None", "int", "static", "void", "double", "*", "?", "??"),
    *("{0}", "%s", "%", "#", "$x$", "[0]", "a[0]", "a,b", "a b", "σ", "h⁻", "名前"),
    *("x" * 300, "-", "+", "time_", "x_final_", "__class__", "1", "0", "-1", "1e5", "nan"),
]
names = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_characters="/"), min_size=1, max_size=8),
)
ROLES = ("u", "bias", "K", "L", "sum", "k", "clip", "tanh", "prod", "x", "y", "more", "out")


def looped(called: dict[str, str]) -> BlockDiagram:
    """Return a loop of two gains, a constant, a factor, a clip, a product and two delays."""
    rng = np.random.default_rng(0)
    bd, clock = diagram()
    block = {}  # not by name: bdsim spells compatibility characters in another way
    for role, kind, *arguments in (
        ("u", "FROMWORKSPACE", clock, None, 2),
        ("bias", "CONSTANT", rng.standard_normal(3)),
        ("K", "MATRIXGAIN", rng.standard_normal((3, 2))),
        ("L", "MATRIXGAIN", 0.3 * rng.standard_normal((3, 3))),
        ("sum", "SUM", "+-+"),
        ("k", "GAIN", 0.7),
        ("clip", "CLIP", -0.8, 0.9),
        ("tanh", "TANH"),
        ("prod", "HADAMARD", 2),
        ("x", "UNITDELAY", clock, 0.1 * np.ones(3)),
        ("y", "UNITDELAY", clock, 0.2 * np.ones(3)),
        ("more", "SUM", "++"),
        ("out", "TOWORKSPACE", clock),
    ):
        block[role] = getattr(bd, kind)(*arguments, name=called[role])
    for start, end, port in (
        *(("u", "K", 0), ("x", "L", 0), ("K", "sum", 0), ("L", "sum", 1), ("bias", "sum", 2)),
        *(("sum", "k", 0), ("k", "clip", 0), ("clip", "prod", 0), ("tanh", "prod", 1)),
        *(("y", "tanh", 0), ("prod", "more", 0), ("x", "more", 1), ("more", "y", 0)),
        *(("prod", "x", 0), ("more", "out", 0)),
    ):
        bd.connect(block[start][0], block[end][port])
    return bd


def results(bd: BlockDiagram, u: np.ndarray, form: str) -> list[Any]:
    """Return a compiled diagram's outputs, its loss, and its gradient, block by block."""
    compiled = ls.compile(bd, engine=form)
    loss, gradient = compiled.loss_and_gradient(u, np.zeros((len(u), 3)))
    blocks = [gradient[str(b.name)] for b in bd.blocklist if str(b.name) in gradient]
    return [compiled.forward(u), loss, *blocks]


@given(st.permutations(ROLES), st.lists(names, min_size=1, max_size=5, unique=True))
@example(ROLES[1:] + ROLES[:1], ["package"])
@example(("bias", *ROLES[:1], *ROLES[2:]), ["transposed_bias", "pack0:u"])
@pytest.mark.filterwarnings("ignore:Port name:UnicodeWarning")
@settings(max_examples=20, deadline=None, derandomize=True)
def test_hostile_names_change_nothing(roles: tuple[str, ...], given_names: list[str]) -> None:
    called = {role: role for role in ROLES} | dict(zip(roles, given_names, strict=False))
    u = np.random.default_rng(1).standard_normal((5, 2))
    plain = {role: role for role in ROLES}
    try:
        bd = looped(called)
        structure.check_names(bd)
    except (DiagramError, ValueError):
        return  # a name twice, or one that no signal may have
    expected = results(looped(plain), u, "numpy")
    more = str(bd.blocklist[ROLES.index("more")].name)
    assert_close(ls.simulate(bd, u)[more].values, expected[0], 1e-12, "bdsim")
    for form in ("numpy", "numba"):
        for k, (found, right) in enumerate(zip(results(bd, u, form), expected, strict=True)):
            assert_close(found, right, 1e-10, f"{form}, result {k}")


@pytest.mark.parametrize("start", range(0, len(HOSTILE), len(ROLES)))
def test_hostile_names_in_scalar_kernels_and_in_c(
    start: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "vectors_available", lambda: False)
    allowed = [name for name in HOSTILE if "/" not in name]
    called = {r: r for r in ROLES} | dict(zip(ROLES, allowed[start:], strict=False))
    if len(set(called.values())) < len(ROLES):
        called["u"] = "another"
    u = np.random.default_rng(1).standard_normal((5, 2))
    bd, expected = looped(called), results(looped({r: r for r in ROLES}), u, "numpy")
    for k, (found, right) in enumerate(zip(results(bd, u, "numba"), expected, strict=True)):
        assert_close(found, right, 1e-10, f"result {k}")
    if shutil.which("gcc"):
        assert_close(run_c(tmp_path, ls.compile(bd), u), expected[0], 1e-12, "C")
