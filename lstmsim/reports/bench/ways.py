"""The package's own ways to run a diagram, per sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np

from lstmsim.diagram import build
from lstmsim.engine import compile as compile_diagram
from lstmsim.engine import simulate
from lstmsim.networks import Network
from lstmsim.reports.bench.agreement import check_agreement
from lstmsim.reports.bench.problem import Array, Problem, expected, make_problem
from lstmsim.reports.bench.settings import size
from lstmsim.reports.bench.timing import Timing, take_turns

#: The layers that are measured, and how many of their samples an interpreter runs.
UNITS = (3, 5)
INTERPRETED = 100


@dataclass(frozen=True)
class Way:
    """One way to run one layer.

    Parameters
    ----------
    name : str
        What it is.
    N, Ni, T : int
        Units, inputs, and the samples of one call.
    timing : Timing
        Of a call.
    """

    name: str
    N: int
    Ni: int
    T: int
    timing: Timing

    @property
    def per_sample(self) -> float:
        """Seconds a sample."""
        return self.timing.median / self.T


@dataclass(frozen=True, eq=False)
class _Task:
    name: str
    samples: int
    work: Callable[[], Any]
    outputs: Callable[[], Array]


def measure_ways(n: int, seconds: float) -> list[Way]:
    """Return the ways to run a layer, compared and timed; interpreters take turns of their own."""
    inputs, samples = size(n)
    problem = make_problem(n, inputs, samples)
    aim = expected(problem, "forward")["y"]
    found = []
    for tasks in (_compiled(problem), _interpreted(problem)):
        for task in tasks:
            y = task.outputs()
            check_agreement({task.name: {"y": y}}, {"y": aim[: len(y)]}, "forward", f"N = {n}")
        timings = take_turns({task.name: task.work for task in tasks}, seconds)
        found += [Way(t.name, n, inputs, t.samples, timings[t.name]) for t in tasks]
    return found


def _compiled(problem: Problem) -> list[_Task]:
    compiled = compile_diagram(build(Network([problem.layer])), "float32")
    u = problem.u
    _, begin = compiled.step(u[0])
    at: dict[str, Any] = {"state": begin, "rows": cycle(u)}

    def step() -> Array:
        y, at["state"] = compiled.step(next(at["rows"]), at["state"])
        return y

    def stepped() -> Array:
        first, at["state"] = compiled.step(u[0])
        at["rows"] = cycle(np.roll(u, -1, axis=0))
        return np.array([first, *(step() for _ in u[1:])])

    return [
        _Task(
            "forward, compiled", len(u), lambda: compiled.forward(u), lambda: compiled.forward(u)
        ),
        _Task("run, compiled", len(u), lambda: compiled.run(u), lambda: compiled.run(u).y.values),
        _Task("step, compiled", 1, step, stepped),
    ]


def _interpreted(problem: Problem) -> list[_Task]:
    diagram = build(Network([problem.layer]))
    interpreter = compile_diagram(diagram, "float32", "numpy")
    u = problem.u[:INTERPRETED]

    def run() -> Any:
        return simulate(diagram, u)

    return [
        _Task(
            "forward, NumPy", len(u), lambda: interpreter.forward(u), lambda: interpreter.forward(u)
        ),
        _Task("simulate, bdsim", len(u), run, lambda: run().y.values),
    ]
