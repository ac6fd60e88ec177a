"""Threads: any two may do anything at once, and nothing of the process is changed."""

from __future__ import annotations

import ast
import os
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from bdsim import BDSim
from bdsim.blockdiagram import BlockDiagram

import lstmsim as ls
from lstmsim.diagram import host
from lstmsim.engine.onestep import one_step_ahead
from lstmsim.errors import DiagramError
from tests.conftest import random_input, random_network
from tests.helpers import assert_same, diagram, refused, wire

NETWORK = random_network(2, inputs=1, outputs=1)
OTHER = random_network((3, 2), inputs=2, outputs=2, seed=5)
ROUNDS = 10


@pytest.fixture(autouse=True)
def often_interrupted() -> Any:
    """Let threads change places a thousand times as often as they do."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


def at_once(*works: Callable[[], Any], rounds: int = ROUNDS) -> list[list[Any]]:
    """Run each work in a thread of its own, as often as said; all begin together."""
    together = Barrier(len(works))

    def repeated(work: Callable[[], Any]) -> list[Any]:
        together.wait()
        return [work() for _ in range(rounds)]

    with ThreadPoolExecutor(len(works)) as pool:
        return [job.result() for job in [pool.submit(repeated, work) for work in works]]


def assert_all_same(found: list[list[Any]], expected: list[Any]) -> None:
    for results, one in zip(found, expected, strict=True):
        for result in results:
            assert set(result) == set(one)
            for name in one:
                assert_same(result[name], one[name], str(name))


def runs(bd: BlockDiagram) -> list[Callable[[], Any]]:
    """Return four runs of one diagram with different inputs, lengths and initial states."""

    def run(k: int) -> Callable[[], Any]:
        u = np.random.default_rng(k).standard_normal((6 + k, 1))
        state = {"h_prev": np.full(2, 0.1 * k), "c_prev": np.full(2, -0.2 * k)} if k else None
        return lambda: ls.simulate(bd, u, state=state)

    return [run(k) for k in range(4)]


def test_runs_of_one_diagram_at_once_are_each_as_if_alone() -> None:
    works = runs(ls.build(NETWORK))
    assert_all_same(at_once(*works), [work() for work in works])


def test_runs_of_two_diagrams_at_once_are_each_as_if_alone() -> None:
    u = random_input(OTHER, 9)
    first, second = ls.build(NETWORK), ls.build(OTHER)
    works = [runs(first)[1], lambda: ls.simulate(second, u)]
    assert_all_same(at_once(*works), [work() for work in works])


def test_whatever_else_looks_at_a_diagram_that_runs_sees_its_own_values() -> None:
    bd, u = ls.build(NETWORK), random_input(NETWORK, 7)
    bd.blocknames["u"].values = u
    compiled, traces = ls.compile(bd, engine="numpy"), ls.simulate(bd)
    works: list[Callable[[], Any]] = [
        *runs(bd)[1:],
        lambda: compiled.run(),
        lambda: ls.compile(bd, engine="numpy").run(),
        lambda: one_step_ahead(bd, traces),
        lambda: {"values": bd.blocknames["u"].values, "x0": bd.blocknames["h_prev"]._x0},
    ]
    assert_all_same(at_once(*works, rounds=5), [work() for work in works])


def test_a_run_that_fails_leaves_the_diagram_to_the_next() -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, [0.5], name="x")
    bd.GAIN(1e100, name="grow")
    wire(bd, "x -> grow", "grow -> x")
    before = ls.simulate(bd, samples=3)

    def fail() -> Any:
        with refused(ls.errors.NonFiniteSignalError, "block 'grow'", "sample 2"):
            ls.simulate(bd, samples=3, state={"x": [1e10]})
        return {}

    works: list[Callable[[], Any]] = [fail, lambda: ls.simulate(bd, samples=3)]
    assert_all_same(at_once(*works), [{}, before])


def test_diagrams_are_built_at_once() -> None:
    u = random_input(OTHER, 3)
    works: list[Callable[[], Any]] = [lambda: ls.simulate(ls.build(OTHER), u)] * 4
    assert_all_same(at_once(*works, rounds=5), [works[0]()] * 4)


def test_networks_are_trained_at_once() -> None:
    u = random_input(NETWORK, 8)

    def train(rate: float) -> Callable[[], Any]:
        return lambda: ls.fit(NETWORK, u, u, epochs=5, learning_rate=rate, engine="numpy").history

    works = [train(rate) for rate in (0.1, 0.01, 0.001)]
    assert_all_same(at_once(*works, rounds=3), [work() for work in works])


def printing(word: str) -> BlockDiagram:
    """Return a diagram with a block that prints."""
    bd, clock = diagram()
    bd.CONSTANT(1.0, name="one")
    bd.FUNCTION(lambda x: print(word) or x, name="show")
    bd.TOWORKSPACE(clock, name="out")
    return wire(bd, "one -> show", "show -> out")


def failing() -> BlockDiagram:
    """Return a diagram with a sum that cannot be computed, and an output without a wire."""
    bd, clock = diagram()
    for name, width in (("three", 3), ("two", 2), ("loose", 1)):
        bd.CONSTANT(np.ones(width), name=name)
    bd.SUM("++", name="sum")
    bd.TOWORKSPACE(clock, name="out")
    return wire(bd, "three -> sum[0]", "two -> sum[1]", "sum -> out")


def test_nothing_that_is_printed_is_lost_and_bdsim_prints_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    stdout, stderr = sys.stdout, sys.stderr

    def fail() -> None:
        with refused(DiagramError, "block 'sum' (SUM)", "shapes (3,), (2,)"):
            ls.simulate(failing(), samples=3)

    ls.simulate(printing("alone"), samples=3)
    alone = capfd.readouterr().out.splitlines()
    works = [
        lambda: ls.simulate(printing("first"), samples=3),
        lambda: ls.simulate(printing("second"), samples=3),
        lambda: ls.build(NETWORK),
        fail,
    ]
    at_once(*works)
    assert (sys.stdout, sys.stderr) == (stdout, stderr)
    out, err = capfd.readouterr()
    assert err == ""
    words = out.split()  # print writes a line's end by itself, and another line may come before it
    assert set(words) <= {"first", "second", "firstsecond", "secondfirst"}
    assert out.count("first") == out.count("second") == ROUNDS * len(alone)


def test_bdsims_own_handling_of_errors_is_back_after_a_run() -> None:
    bd = failing()
    with pytest.raises(DiagramError):
        ls.simulate(bd, samples=3)
    assert "_handle_block_runtime_error" not in vars(bd)


def test_the_library_of_blocks_is_the_runtimes_own() -> None:
    assert "MATRIXGAIN" in host.simulator().block_library
    assert "_blocklibrary" in vars(host.simulator())
    assert "MATRIXGAIN" not in (BDSim._blocklibrary or {})


#: What changes something that belongs to the process.
GLOBAL = {
    "redirect_stdout",
    "redirect_stderr",
    "umask",
    "catch_warnings",
    "simplefilter",
    "filterwarnings",
    "seterr",
    "chdir",
    "putenv",
    "settrace",
    "setrecursionlimit",
}


def test_no_module_of_the_library_changes_what_belongs_to_the_process() -> None:
    root = Path(ls.__file__).parent
    found = []
    for path in sorted(root.rglob("*.py")):
        file = path.relative_to(root)
        if file.parts[0] == "cli":  # the process is its own
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node, "attr", getattr(node, "id", ""))
            if isinstance(node, ast.Attribute | ast.Name) and name in GLOBAL:
                found.append(f"{file}:{node.lineno} {name}")
    assert found == []


def test_a_study_leaves_the_process_as_it_was() -> None:
    from lstmsim.reports import run_study
    from tests.test_study import TINY

    before = (sys.stdout, list(warnings.filters), os.environ.copy())
    run_study(TINY)
    assert (sys.stdout, list(warnings.filters), os.environ.copy()) == before
