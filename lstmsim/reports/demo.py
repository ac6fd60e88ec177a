"""The main job: the published layer built, run, checked, and its results saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from lstmsim.base import atomic_write
from lstmsim.diagram import build, reference, save_traces
from lstmsim.engine import CheckReport, check, simulate
from lstmsim.plotting import plot, plot_difference, save_plot
from lstmsim.published import LAYER_OUTPUT, layer_example, layer_workspace


@dataclass(frozen=True)
class Demo:
    """What the demo computed.

    Parameters
    ----------
    traces : Dataset
        The diagram's run in bdsim.
    report : CheckReport
        Every signal against the single-precision reference.
    published : bool
        Whether the first five output samples are the published ones, to the printed digits.
    """

    traces: xr.Dataset
    report: CheckReport
    published: bool

    @property
    def ok(self) -> bool:
        """Whether the check holds and the published figures come out."""
        return self.report.ok and self.published


def run_demo(progress: Callable[[int, int], None] | None = None) -> Demo:
    """Build the published layer, run it in bdsim, and check every signal."""
    network, u = layer_example()
    diagram = build(network)
    traces = simulate(diagram, u, progress=progress)
    expected = reference(network, u, dtype="float32")
    report = check(traces, expected, diagram=diagram)
    first = np.round(traces.y[: len(LAYER_OUTPUT)].values, 4)
    return Demo(traces, report, bool(np.array_equal(first, LAYER_OUTPUT)))


def save_demo(demo: Demo, folder: Path) -> list[Path]:
    """Save traces, reference, workspace, check and figures into a folder, and name the files."""
    network, u = layer_example()
    expected = reference(network, u, dtype="float32")
    save_traces(demo.traces, folder / "traces.nc")
    save_traces(expected, folder / "reference.nc")
    with atomic_write(folder / "workspace.npz") as temporary:
        np.savez(temporary, **layer_workspace())  # type: ignore[arg-type]
    with atomic_write(folder / "check.json") as temporary:
        temporary.write_text(demo.report.to_json() + "\n", encoding="utf-8")
    save_plot(plot(demo.traces), folder / "traces.png")
    save_plot(plot_difference(demo.traces, expected), folder / "difference.png")
    return sorted(folder.iterdir())
