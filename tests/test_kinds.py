"""The contract of every kind of block that lowers, in one diagram that has them all.

Each kind is there twice: outside loops, and in one loop through all of them, where its output
comes back through a gain.  What is checked of one is checked of all, those to come too.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.blocks import KINDS, kind_of
from lstmsim.blocks._formulas import function
from lstmsim.engine.kernels import cache
from lstmsim.engine.kernels.vocabulary import words
from tests.helpers import assert_close, assert_same, diagram
from tests.test_c_export import run_c

#: One kernel has them all, which is compiled once, and takes its time.
pytestmark = pytest.mark.timeout(600)
N, SAMPLES = 3, 12
LOWERED = sorted(name for name, kind in KINDS.items() if kind.lower)


@dataclass(frozen=True)
class Example:
    """A block with parameters, and its inputs: "s" of any sign, "+" positive."""

    parameters: Callable[[np.random.Generator], dict[str, Any]] = lambda rng: {}
    inputs: str = "s"
    sampled: bool = False


EXAMPLES = {
    "SIGMOID": Example(),
    "TANH": Example(),
    "HADAMARD": Example(lambda rng: {"nin": 3}, "s+s"),
    "DIVIDE": Example(inputs="s+"),
    "RELU": Example(),
    "LEAKYRELU": Example(lambda rng: {"slope": 0.2}),
    "ELU": Example(lambda rng: {"alpha": 0.7}),
    "SOFTPLUS": Example(),
    "SOFTSIGN": Example(),
    "HARDSIGMOID": Example(lambda rng: {"slope": 0.3, "offset": 0.4}),
    "ABS": Example(),
    "EXP": Example(),
    "SQRT": Example(inputs="+"),
    "SOFTMAX": Example(),
    "NORMALIZE": Example(),
    "DOT": Example(inputs="s+"),
    "MATRIXGAIN": Example(lambda rng: {"K": rng.standard_normal((2, N))}),
    "VECTORGAIN": Example(lambda rng: {"K": rng.standard_normal(N)}),
    "UNITDELAY": Example(lambda rng: {"x0": rng.standard_normal(N)}, sampled=True),
    "TAPPEDDELAY": Example(lambda rng: {"n": 4, "x0": rng.standard_normal((4, N))}, sampled=True),
    "SUM": Example(lambda rng: {"signs": "-+-"}, "s+s"),
    "CONSTANT": Example(lambda rng: {"value": rng.standard_normal(N)}, ""),
    "GAIN": Example(lambda rng: {"K": float(rng.standard_normal())}),
    "CLIP": Example(lambda rng: {"min": -0.3, "max": [0.2, 0.3, 0.4]}),
    "MUX": Example(lambda rng: {"nin": 2}, "s+"),
    "DEMUX": Example(lambda rng: {"nout": N}),
    "INDEX": Example(lambda rng: {"index": [2, 0, 2, 1]}),
    "ZOH": Example(lambda rng: {"x0": rng.standard_normal(N)}, sampled=True),
}


ALL = tuple(EXAMPLES)
#: Kernels are compiled for a few kinds at a time: LLVM's time grows faster than a kernel's length.
GROUP = {name: ALL[k : k + 6] for k in range(0, len(ALL), 6) for name in ALL[k : k + 6]}


@functools.cache
def everything(names: tuple[str, ...] = ALL) -> tuple[Any, np.ndarray]:
    """Return a diagram of some kinds, and its input."""
    rng = np.random.default_rng(7)
    bd = ls.blockdiagram()
    clock = bd.clock(0.1, name="clock")
    u = bd.FROMWORKSPACE(clock, width=N, name="u")
    state = bd.UNITDELAY(clock, rng.standard_normal(N), name="state")
    mixed = bd.SUM("++", name="mixed")
    bd.connect(u, mixed[0])
    bd.connect(state, mixed[1])
    back = []
    for place, source in (("loop", mixed), ("apart", u)):
        gate = bd.SIGMOID(name=f"gate_{place}")
        bd.connect(source, gate)
        for name in names:
            example = EXAMPLES[name]
            sampled = {"clock": clock} if example.sampled else {}
            block = getattr(bd, name)(**sampled, **example.parameters(rng), name=f"{name}_{place}")
            for port, kind in enumerate(example.inputs):
                bd.connect(gate if kind == "+" else source, block[port])
            if place == "loop":
                back.append(block)
            else:
                bd.connect(block[block.nout - 1], bd.TOWORKSPACE(clock, name=f"{name}_out"))
    total = bd.SUM("+" * len(back), name="total")
    for port, block in enumerate(back):
        widths = {"MATRIXGAIN": 2, "TAPPEDDELAY": 4 * N, "MUX": 2 * N, "DEMUX": 1, "INDEX": 4}
        width = {**widths, "DOT": 1}.get(str(block.type).upper(), N)
        gain = rng.standard_normal((N, width)) / 8
        returned = bd.MATRIXGAIN(gain, name=f"back_{block.name}")
        bd.connect(block[block.nout - 1], returned)
        bd.connect(returned, total[port])
    bounded = bd.TANH(name="bounded")
    bd.connect(total, bounded)
    bd.connect(bounded, state)
    bd.connect(bounded, bd.TOWORKSPACE(clock, name="out"))
    return bd, rng.standard_normal((SAMPLES, N))


@functools.cache
def run(engine: str, dtype: str = "float64", names: tuple[str, ...] = ALL) -> Any:
    diagram, u = everything(names)
    return ls.simulate(diagram, u, engine=engine, dtype=dtype)


@functools.cache
def gradient(engine: str, names: tuple[str, ...], dtype: str = "float64") -> dict[str, Any]:
    diagram, u = everything(names)
    compiled = ls.compile(diagram, dtype, engine)
    y = compiled.forward(u)
    return compiled.loss_and_gradient(u, np.cos(np.arange(y.size)).reshape(y.shape))[1]


def own(values: Any, name: str) -> dict[str, Any]:
    """Return what belongs to the blocks of one kind."""
    prefixes = (f"{name}_loop", f"{name}_apart")
    return {key: values[key] for key in values if str(key).startswith(prefixes)}


def test_every_kind_that_lowers_is_in_the_diagram() -> None:
    assert sorted(EXAMPLES) == LOWERED


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_engine_computes_what_bdsim_does(name: str, engine: str) -> None:
    expected = own(run("bdsim", names=GROUP[name]), name)
    assert expected
    for signal, values in own(run(engine, names=GROUP[name]), name).items():
        assert_close(values.values, expected[signal].values, 1e-12, f"{signal} on {engine}")


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_single_precision_is_double_precision_rounded(name: str, engine: str) -> None:
    expected = run("numpy", names=GROUP[name])
    for signal, values in own(run(engine, "float32", GROUP[name]), name).items():
        assert values.dtype == np.float32
        assert_close(values.values, expected[signal].values, 2e-5, f"{signal} on {engine}")


@pytest.mark.parametrize("name", [n for n in EXAMPLES if KINDS[n].trained])
def test_kernels_give_the_gradient_of_the_interpreter(name: str) -> None:
    group = GROUP[name]
    expected = own(gradient("numpy", group), name)
    assert expected
    for block, values in own(gradient("numba", group), name).items():
        assert_close(values, expected[block], 1e-11, block)
        assert_close(
            gradient("numba", group, "float32")[block], expected[block], 2e-4, f"{block}, single"
        )


#: Values at which formulas are tried: small, large, at corners, none.
VALUES = [*np.linspace(-3, 3, 40), 1e-6, -1e-6, 0.0, -0.0, 80.0, -80.0, 1e4, -1e4, np.nan, np.inf]
SETTINGS = {"low": -0.3, "high": 0.8, "alpha": 0.7, "slope": 0.2, "offset": 0.5}


@pytest.mark.parametrize("form", ["plain", "scalar", "vector"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_word_of_kernels_computes_its_formula(dtype: str, form: str) -> None:
    known = words()
    arguments = sorted({name for _, names in known.values() for name in names})
    at = {name: k for k, name in enumerate(arguments)}
    lines = ["def every(x, out, o):", "    for b in range(o[0]):", "        i = b * LANES"]
    for k, (word, (_, names)) in enumerate(known.items()):
        loads = ", ".join(f"load(x, i + {at[name]} * o[1])" for name in names)
        lines.append(f"        store(out, i + {k} * o[1], {word}({loads}))")
    text = "\n".join(lines) + "\n"
    size = 64
    columns = {name: np.resize(np.roll(VALUES, 7 * k), size) for name, k in at.items()}
    columns |= {name: np.full(size, SETTINGS[name]) for name in columns.keys() & SETTINGS}
    x = np.stack([columns[name] for name in arguments]).astype(dtype)
    out = np.zeros((len(known), size), dtype)
    kernel = cache.plain(text)["every"] if form == "plain" else cache.compiled(text, dtype, form)
    with np.errstate(all="ignore"):
        kernel(
            x.reshape(-1), out.reshape(-1), np.array([size // cache.lane_count(dtype, form), size])
        )
        for row, (word, (formula, names)) in zip(out, known.items(), strict=True):
            expected = function(formula, names)(*(x[at[name]] for name in names))
            same = np.isfinite(expected)
            assert_same(row[~same], expected[~same], f"{word}, where it is not finite")
            tolerance = 1e-6 if dtype == "float32" else 2e-15
            assert_close(row[same], expected[same], tolerance, word)


@pytest.mark.parametrize("name", [n for n in EXAMPLES if KINDS[n].trained])
def test_the_gradient_is_that_of_central_differences(name: str) -> None:
    diagram, u = everything(GROUP[name])
    compiled = ls.compile(diagram, engine="numpy")
    target = np.cos(np.arange(compiled.forward(u).size)).reshape(SAMPLES, -1)
    (attribute,) = set(KINDS[name].trained.values())
    for block, found in own(gradient("numpy", GROUP[name]), name).items():
        it = diagram.blocknames[block]
        kept = getattr(it, attribute)
        expected = np.zeros(np.shape(kept))
        for index in np.ndindex(expected.shape):
            losses = []
            for step in (1e-6, -1e-6):
                moved = np.array(kept, float)
                moved[index] += step
                setattr(it, attribute, moved if np.ndim(kept) else float(moved))
                losses.append(np.mean((compiled.forward(u) - target) ** 2))
            expected[index] = (losses[0] - losses[1]) / 2e-6
        setattr(it, attribute, kept)
        assert_close(np.reshape(found, expected.shape), expected, 1e-7, block)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
def test_c_computes_all_kinds(dtype: str, tolerance: float, tmp_path: Path) -> None:
    diagram, u = everything()
    compiled = ls.compile(diagram, dtype, "numpy")
    assert_close(run_c(tmp_path, compiled, u), compiled.forward(u), tolerance, "C")


def test_a_model_file_has_all_kinds(tmp_path: Path) -> None:
    diagram, u = everything()
    ls.save(diagram, tmp_path / "all.bd")
    loaded = ls.load(tmp_path / "all.bd", {"Ts": 0.1})
    again = ls.simulate(loaded, u)
    for name in run("bdsim"):
        assert_same(again[name].values, run("bdsim")[name].values, str(name))


def test_the_linearization_is_that_of_central_differences() -> None:
    diagram, u = everything()
    compiled = ls.compile(diagram, engine="numpy")
    k = 4
    system = ls.linearize(diagram, run("numpy"), sample=k)
    states = [str(b.name) for b in diagram.blocklist if "x0" in kind_of(b).trained]
    start = {name: run("numpy")[name].values[k] for name in states}

    def after(**moved: np.ndarray) -> np.ndarray:
        _, state = compiled.step(u[k], {**start, **moved})
        return np.concatenate([state[name] for name in states])

    columns = []
    for name in states:
        for j in range(len(start[name])):
            step = 1e-6 * np.eye(len(start[name]))[j]
            columns.append(
                (after(**{name: start[name] + step}) - after(**{name: start[name] - step})) / 2e-6
            )
    order = [f"{name}[{j}]" for name in states for j in range(len(start[name]))]
    place = [list(system.state_labels).index(label) for label in order]
    assert_close(system.A[np.ix_(place, place)], np.stack(columns, axis=1), 1e-7, "A")


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_kind_is_drawn_with_its_symbol(name: str) -> None:
    bd, clock = diagram()
    example = EXAMPLES[name]
    sampled = {"clock": clock} if example.sampled else {}
    it = getattr(bd, name)(**sampled, **example.parameters(np.random.default_rng(0)), name="it")
    bd.connect(it[0], bd.TOWORKSPACE(clock, name="out"))
    for port in range(it.nin):
        bd.connect(bd.FROMWORKSPACE(clock, width=N, name=f"u{port}"), it[port])
    texts = [text.get_text() for text in ls.plot_diagram(bd).axes[0].texts]
    kind = KINDS[name]
    # Where a gain's number or the block's own name are drawn, the symbol is for want of room.
    expected = {kind.symbol or name.lower()} | ({"it"} if kind.labelled else set())
    assert expected & set(texts)
