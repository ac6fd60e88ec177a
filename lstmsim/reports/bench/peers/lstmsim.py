"""The package's own engine: the diagram, compiled by numba."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np

from lstmsim.diagram import build
from lstmsim.engine import compile as compile_diagram
from lstmsim.networks import GATES, Network
from lstmsim.reports.bench.peers import Candidate
from lstmsim.reports.bench.problem import Problem, gradient_arrays


def forward(problem: Problem, threads: int) -> Candidate:
    """Return the outputs' computation; one sequence runs on one thread, whatever is allowed."""
    compiled = compile_diagram(build(Network([problem.layer])), "float32")
    return Candidate(lambda: compiled.forward(problem.u), lambda y: {"y": y})


def gradient(problem: Problem, threads: int) -> Candidate:
    """Return the gradient's computation, all parameters being other arrays than the last time."""
    diagram = build(Network([problem.layer]))
    compiled = compile_diagram(diagram, "float32")
    kinds = (("W", "K"), ("R", "K"), ("b", "value"))
    places = [(diagram.blocknames[k + gate], name) for k, name in kinds for gate in GATES]
    # Two sets of arrays with the same numbers: what was kept of the one is not taken for the other.
    sets = cycle([[np.array(getattr(b, name)) for b, name in places] for _ in range(2)])
    for arrays in (next(sets), next(sets)):
        for array in arrays:
            array.setflags(write=False)

    def work() -> Any:
        for (block, name), array in zip(places, next(sets), strict=True):
            setattr(block, name, array)
        return compiled.loss_and_gradient(problem.u, problem.target)

    return Candidate(work, gradient_arrays)


WORKS = {"forward": forward, "gradient": gradient}
