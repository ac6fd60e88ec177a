"""The study's first steps: the published layer, and how many parameters layers have."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstmsim.base import FloatArray
from lstmsim.diagram import build, reference
from lstmsim.engine import simulate
from lstmsim.networks import LSTM, Network
from lstmsim.plotting import COLOURS
from lstmsim.published import layer as printed
from lstmsim.reports.study.facts import Fact, Section, cells_table, digits
from lstmsim.reports.study.figures import curves, legend_above, panels, stairs
from lstmsim.reports.study.plan import Plan


def layer_section(_: Plan) -> Section:
    """Run the published layer in bdsim, and compare double with single precision."""
    network, u = printed.layer_example()
    double = np.asarray(simulate(build(network), u).y.values)
    single = np.asarray(reference(network, u, dtype="float32").y.values, float)
    norm = float(np.linalg.norm(double - single, 2))
    first = len(printed.LAYER_OUTPUT)
    facts = [
        digits(f"y{k + 1}, first five samples", printed.LAYER_OUTPUT[:, k], double[:first, k], 4)
        for k in range(2)
    ]
    ratio = norm / printed.LAYER_DIFFERENCE
    facts.append(
        Fact(
            "norm of double − single precision",
            f"{printed.LAYER_DIFFERENCE:.4e}",
            f"{norm:.4e}",
            f"a factor of {ratio:.2f}: the last bits are each library's own",
            1 / 3 < ratio < 3,
        )
    )

    def draw() -> Any:
        figure, (above, below) = panels(rows=2, height=4.4, sharex=True)
        middles = (np.arange(first) + 0.5) * network.Ts
        for k, colour in enumerate(COLOURS[:2]):
            stairs(above, double[:, k], network.Ts, color=colour, label=f"y{k + 1}")
            printed_y = printed.LAYER_OUTPUT[:, k]
            above.plot(
                middles, printed_y, "o", color=colour, markersize=4, label=f"y{k + 1}, printed"
            )
            difference = np.abs(double - single)[:, k]
            stairs(below, np.where(difference > 0, difference, np.nan), network.Ts, color=colour)
        legend_above(above, 4)
        above.set(ylabel="output y", xlabel="")
        below.set(ylabel="|double − single|", yscale="log")
        return figure

    return Section(
        "layer",
        "The layer as a block diagram",
        "A layer of 3 units with 4 inputs and 2 outputs, 30 blocks, run in bdsim in double "
        "precision over 51 samples of 0.1 s, and in the vectorized reference in single "
        "precision. All numbers come from MATLAB's random stream after rng(0).",
        "Outputs of the layer, with the printed samples, and the difference of both precisions.",
        draw,
        tuple(facts),
    )


def _zeros(units: int, inputs: int) -> LSTM:
    return LSTM(np.zeros((4 * units, inputs)), np.zeros((4 * units, units)), np.zeros(4 * units))


def _stack(units: int, layers: int) -> int:
    widths = [1, *[units] * (layers - 1)]
    return Network([_zeros(units, width) for width in widths]).n_parameters


def parameters_section(_: Plan) -> Section:
    """Count the parameters of layers, over units and layers."""
    first, second = _zeros(100, 1), _zeros(100, 100)
    counts = {
        "R of each of two layers of 100 units": (40_000, first.R.size),
        "W of the second layer": (40_000, second.W.size),
        "together, before biases and the first W": (
            120_000,
            first.R.size + second.R.size + second.W.size,
        ),
        "a layer of 3 units with 4 inputs: 4·(N·Ni + N² + N)": (
            4 * (3 * 4 + 9 + 3),
            _zeros(3, 4).n_parameters,
        ),
    }
    facts = tuple(
        Fact(name, f"{a:,}", f"{b:,}", "exactly" if a == b else f"off by {b - a:,}", a == b)
        for name, (a, b) in counts.items()
    )
    units = np.unique(np.geomspace(1, 1000, 25).astype(int))
    depths = np.arange(1, 9)
    by_units: dict[str, FloatArray] = {
        f"{inputs} input{'s' * (inputs > 1)}": np.array(
            [_zeros(n, inputs).n_parameters for n in units]
        )
        for inputs in (1, 10, 100)
    }
    by_depth: dict[str, FloatArray] = {
        f"{n} units": np.array([_stack(n, int(layers)) for layers in depths])
        for n in (10, 100, 300)
    }

    def draw() -> Any:
        figure, (left, right) = panels(columns=2, sharey=True)
        curves(left, units, by_units)
        left.set(xscale="log", yscale="log", xlabel="units N of one layer", ylabel="parameters")
        curves(right, depths, by_depth, "o-", markersize=4)
        right.set(yscale="log", xlabel="layers in series, 1 input")
        for axis in (left, right):
            axis.legend()
        return figure

    return Section(
        "parameters",
        "Parameter counts",
        "A layer has 4·(N·Ni + N² + N) parameters: they grow with the square of the units, and "
        "in proportion to the layers.",
        "Parameters over units (left) and over layers (right).",
        draw,
        facts,
        cells_table(
            ("units", "1 layer", *(f"{k} layers" for k in (2, 4, 8))),
            (
                (name.removesuffix(" units"), *(f"{values[k - 1]:,}" for k in (1, 2, 4, 8)))
                for name, values in by_depth.items()
            ),
        ),
    )
