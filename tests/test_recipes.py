"""CONTRIBUTING's recipes are true: blocks and an operation are added in the places they name.

A copy of the package gets a block on an existing operation, and an element-wise operation with
its block; another process then uses them everywhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

BLOCK = '''
"""{upper}: a block made by a test."""

from typing import Any

from bdsim.components import FunctionBlock

from lstmsim.blocks._ops import OPS
from lstmsim.blocks._signals import Elementwise


class {name}(Elementwise, FunctionBlock):
    """A block made by a test."""

    nin = 1
    nout = 1
    op = OPS["{op}"]

    def __init__(self, **blockargs: Any) -> None:
        """Make a block.

        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        super().__init__(**blockargs)
'''
OPERATION = """
    elementwise(
        "swish",
        Formula(
            "u / (1 + exp(-u))",
            ("bar * (1 + exp(-u) * (1 + u)) / ((1 + exp(-u)) * (1 + exp(-u)))",),
        ),
    ),
"""
ICON = '''
def {name}(s: Sheet) -> None:
    """Draw a letter."""
    s.text("{name}", MIDDLE, MIDDLE, 60, SANS)


'''

USE = """
from pathlib import Path
import sys
import numpy as np
import lstmsim as ls
from lstmsim.engine.kernels import cache
from tests.helpers import assert_close
from tests.test_c_export import run_c

folder = Path(sys.argv[1])
assert folder in Path(ls.__file__).parents, ls.__file__
bd = ls.blockdiagram()
clock = bd.clock(0.1, name="clock")
u = bd.FROMWORKSPACE(clock, width=3, name="u")
K = bd.MATRIXGAIN(0.3 * np.random.default_rng(0).normal(size=(3, 3)), name="K")
state = bd.UNITDELAY(clock, [0.1, -0.2, 0.3], name="state")
mixed, swish, size = bd.SUM("++", name="mixed"), bd.SWISH(name="swish"), bd.MAGNITUDE(name="size")
bd.connect(u, mixed[0])
bd.connect(K, mixed[1])
for start, end in ((state, K), (mixed, swish), (swish, size), (size, state)):
    bd.connect(start, end)
bd.connect(size, bd.TOWORKSPACE(clock, name="out"))
x = np.random.default_rng(1).normal(size=(8, 3))

expected = ls.simulate(bd, x)
s = expected.mixed.values
assert_close(expected.swish.values, s / (1 + np.exp(-s)), 1e-14, "swish")
assert_close(expected["size"].values, np.abs(expected.swish.values), 1e-14, "size")
for engine in ("numpy", "numba"):
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
        traces = ls.simulate(bd, x, engine=engine, dtype=dtype)
        assert_close(traces["size"].values, expected["size"].values, tolerance, engine)
target = np.zeros((8, 3))
gradients = []
for form in ("vector", "scalar"):
    if form == "scalar":
        cache.vectors_available = lambda: False
    compiled = ls.compile(bd)
    assert_close(compiled.forward(x), expected["size"].values, 1e-12, form)
    gradients.append(compiled.loss_and_gradient(x, target)[1]["K"])
kept, quotients = K.K, np.zeros((3, 3))
for index in np.ndindex(3, 3):
    losses = []
    for step in (1e-6, -1e-6):
        K.K = kept.copy()
        K.K[index] += step
        losses.append(compiled.loss_and_gradient(x, target)[0])
    quotients[index] = (losses[0] - losses[1]) / 2e-6
K.K = kept
for found in gradients:
    assert_close(found, quotients, 1e-8, "gradient")
assert ls.linearize(bd, expected, sample=3).A.shape == (3, 3)
if sys.argv[2] == "gcc":
    assert_close(run_c(folder, compiled, x), compiled.forward(x), 1e-12, "C")
ls.save(bd, folder / "model.bd")
loaded = ls.load(folder / "model.bd", {"Ts": 0.1})
assert (ls.simulate(loaded, x)["size"].values == expected["size"].values).all()
texts = [text.get_text() for text in ls.plot_diagram(bd).axes[0].texts]
assert "sw" in texts and any(text.startswith("mag") for text in texts), texts
for name in ("swish", "magnitude_flipped"):
    assert (Path(ls.__file__).parent / "blocks" / "Icons" / f"{name}.png").stat().st_size
print("done")
"""


def insert(file: Path, before: str, text: str) -> None:
    """Write a text before the one place in a file that another text has."""
    whole = file.read_text(encoding="utf-8")
    assert whole.count(before) == 1
    file.write_text(whole.replace(before, text + before), encoding="utf-8")


def python(folder: Path, *arguments: str) -> str:
    path = os.pathsep.join([str(folder), str(ROOT)])
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        env={**os.environ, "PYTHONPATH": path, "LSTMSIM_CACHE_DIR": str(folder / "cache")},
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_block_and_an_operation_are_added_in_the_places_that_are_named(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "lstmsim", tmp_path / "lstmsim")
    (tmp_path / "tools").mkdir()
    icons = Path(shutil.copy(ROOT / "tools" / "make_icons.py", tmp_path / "tools"))
    blocks = tmp_path / "lstmsim" / "blocks"

    # The operation: one row.
    insert(blocks / "_ops.py", '    Op("matvec", ', OPERATION)
    # Each block: one class file, its icon, one row.
    for name, op, row in (
        ("Swish", "swish", '    _ours("SWISH", symbol="sw"),\n'),
        ("Magnitude", "abs", '    _ours("MAGNITUDE"),\n'),
    ):
        text = BLOCK.strip().format(name=name, upper=name.upper(), op=op) + "\n"
        (blocks / f"{name.lower()}.py").write_text(text, encoding="utf-8")
        insert(blocks / "_kinds.py", '    _ours("SIGMOID", ', row)
        insert(icons, "DRAWN = (", ICON.format(name=name.lower()))
        icons.write_text(icons.read_text().replace("DRAWN = (", f"DRAWN = (\n    {name.lower()},"))
    python(tmp_path, str(icons))

    gcc = "gcc" if shutil.which("gcc") else "none"
    assert python(tmp_path, "-c", USE, str(tmp_path), gcc) == "done\n"
