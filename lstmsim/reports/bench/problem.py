"""What all candidates compute, one LSTM layer over one sequence, and whether they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstmsim.base import Array, LstmsimError
from lstmsim.diagram import build
from lstmsim.engine import compile as compile_diagram
from lstmsim.networks import GATES, LSTM, Network, network_signals
from lstmsim.reports.bench.peers import TITLES

Arrays = dict[str, Array]
#: Largest difference over the largest number of the expected array: single precision's roundings
#: along a thousand samples stay below a tenth of it, TensorFloat's or bfloat16's do not.
TOLERANCE = {"forward": 1e-5, "gradient": 1e-4}


@dataclass(frozen=True, eq=False)
class Problem:
    """A layer, its input, and what its outputs should be.

    Parameters
    ----------
    layer : LSTM
        Its weights are numbers of single precision.
    u, target : ndarray of shape (T, Ni) and (T, N)
        In single precision.
    """

    layer: LSTM
    u: Array
    target: Array


def make_problem(n: int, inputs: int, samples: int) -> Problem:
    """Return a layer of n units with random weights, and a random input and target.

    Weights are N(0, 1/N), with which a layer is not chaotic: candidates that round otherwise
    stay together.
    """
    random = np.random.default_rng(n)

    def normal(*shape: int) -> Array:
        return random.normal(size=shape).astype(np.float32)

    scale = np.float32(1 / np.sqrt(n))
    layer = LSTM(scale * normal(4 * n, inputs), scale * normal(4 * n, n), normal(4 * n))
    return Problem(layer, normal(samples, inputs), normal(samples, n) / 4)


def expected(problem: Problem, work: str) -> Arrays:
    """Return the outputs, or loss and gradient, in double precision.

    Outputs are the reference's, which shares no code with any candidate; the gradient is that of
    the engine in double precision, with which every candidate is compared.
    """
    network = Network([problem.layer])
    if work == "forward":
        return {"y": network_signals(network, problem.u, np.float64)["y"]}
    compiled = compile_diagram(build(network), "float64")
    return gradient_arrays(compiled.loss_and_gradient(problem.u, problem.target))


def gradient_arrays(found: tuple[float, dict[str, Any]]) -> Arrays:
    """Return a loss and a gradient by block as they are of W, R and b."""
    loss, blocks = found
    stacked = {k: np.concatenate([blocks[k + gate] for gate in GATES]) for k in ("W", "R", "b")}
    return {"loss": np.array(loss), **stacked}


def difference(found: Array, expected: Array) -> float:
    """Return the largest difference over the largest expected number.

    Examples
    --------
    >>> difference(np.array([1.0, 4.5]), np.array([1.0, 5.0]))
    0.1
    >>> difference(np.array([1.0, np.nan]), np.array([1.0, 5.0]))
    inf
    """
    if found.shape != expected.shape:
        return float("inf")
    largest = float(np.abs(expected).max()) or 1.0
    worst = float(np.abs(found - expected).max()) / largest
    return worst if np.isfinite(worst) else float("inf")


def check_agreement(
    found: Mapping[str, Arrays], expected: Arrays, work: str, where: str
) -> dict[str, float]:
    """Return how far each candidate is from what is expected.

    Raises
    ------
    LstmsimError
        If one computes something else.
    """
    apart = {
        name: max(difference(arrays[key], value) for key, value in expected.items())
        for name, arrays in found.items()
    }
    allowed = TOLERANCE[work]
    if max(apart.values()) > allowed:
        shown = ", ".join(f"{TITLES.get(name, name)} {value:.1e}" for name, value in apart.items())
        raise LstmsimError(
            "the candidates do not compute the same: their times cannot be compared",
            where=where,
            given=f"largest differences from double precision: {shown}",
            expected=f"at most {allowed:g} of the largest number",
            mend="leave out the one that differs, with --peers",
        )
    return apart
