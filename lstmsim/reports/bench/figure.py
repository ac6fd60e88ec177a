"""The growth of the cost as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lstmsim.plotting import COLOURS, STYLE
from lstmsim.reports.bench.growth import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DASHED = (0, (4, 1.5))


def plot_growth(growth: tuple[Series, ...]) -> Figure:
    """Plot what a forward run takes over its length, and what a sample takes over the units.

    Parameters
    ----------
    growth : tuple of Series
        Of a report.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each: medians with their quartiles, and the fitted laws.
    """
    import matplotlib.pyplot as plt

    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(growth), figsize=(3.9 * len(growth), 3.3), layout="constrained", squeeze=False
        )
        for axis, series in zip(axes[0], growth, strict=True):
            _panel(axis, series)
    return figure


def _panel(axis: Axes, series: Series) -> None:
    samples = 1 if series.over == "T" else series.fixed
    low, median, high = (
        1e6 * np.array([getattr(t, name) for t in series.timings]) / samples
        for name in ("low", "median", "high")
    )
    spread = [median - low, high - median]
    axis.errorbar(
        series.sizes, median, spread, fmt="o", markersize=4, color=COLOURS[0], label="median"
    )
    for k, law in enumerate(series.fits):
        ends = np.array([law.low, law.high])
        times = [1e6 * law(end) / samples for end in ends]
        label = f"{series.over}^{law.exponent:.2f}"
        axis.plot(ends, times, color=COLOURS[k + 1], linestyle=_DASHED, linewidth=1.2, label=label)
    axis.set_xscale("log", base=10 if series.over == "T" else 2)
    axis.set_yscale("log")
    if series.over == "T":
        axis.set_title(f"a run of T samples, N = {series.fixed}")
        axis.set_xlabel("samples T")
        axis.set_ylabel("time of a run in µs")
    else:
        axis.set_xticks(series.sizes, [str(n) for n in series.sizes])
        axis.set_title(f"a sample, T = {series.fixed:,}")
        axis.set_xlabel("units N")
        axis.set_ylabel("time of a sample in µs")
    for text in axis.legend(loc="upper left").get_texts():
        text.set_parse_math(False)
