"""How the cost of a forward run grows with its length and with the layer's units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lstmsim.plotting import COLOURS, STYLE
from lstmsim.reports.bench.peers import OWN
from lstmsim.reports.bench.problem import check_agreement, expected, make_problem
from lstmsim.reports.bench.timing import Timing, take_turns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INPUTS = 8
#: At so many units the length grows, and at this length the units.
UNITS_OF_LENGTHS, LENGTH_OF_UNITS = 16, 1000
LENGTHS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
UNITS = (4, 8, 16, 32, 64, 128, 256, 512)
QUICK_LENGTHS, QUICK_UNITS = LENGTHS[:3], UNITS[:5]
#: T·N at most.
LARGEST = 50_000_000
#: From here on the products of the recurrent weights are most of the work.
LARGE_UNITS = 64


@dataclass(frozen=True)
class Fit:
    """A power law, seconds = factor · size^exponent, fitted by least squares of the logarithms.

    Parameters
    ----------
    exponent, factor : float
        The law.
    low, high : int
        The range of sizes that it was fitted over.
    worst : float
        The largest relative difference of a measured time from the law.
    """

    exponent: float
    factor: float
    low: int
    high: int
    worst: float

    def __call__(self, size: float) -> float:
        """Return the law's seconds."""
        return float(self.factor * size**self.exponent)

    def text(self, over: str) -> str:
        """Return the law of a size, its range, and how near times are to it."""
        return (
            f"{over}^{self.exponent:.2f} for {over} from {self.low:,} to {self.high:,} "
            f"(within {100 * self.worst:.0f} %)"
        )


@dataclass(frozen=True)
class Series:
    """Times over one size, the other one fixed.

    Parameters
    ----------
    over : str
        "T" or "N".
    fixed : int
        The other one.
    sizes : tuple of int
        What it was measured at.
    timings : tuple of Timing
        Of a run of T samples.
    fits : tuple of Fit
        Of the medians: over all sizes, and of N over the large ones.
    """

    over: str
    fixed: int
    sizes: tuple[int, ...]
    timings: tuple[Timing, ...]
    fits: tuple[Fit, ...]


def fit(sizes: Sequence[int], seconds: Sequence[float]) -> Fit:
    """Return the power law that is nearest to times at two or more sizes.

    Examples
    --------
    >>> law = fit([10, 20, 40, 80], [3e-6 * n**1.5 for n in (10, 20, 40, 80)])
    >>> round(law.exponent, 6), round(1e6 * law.factor, 6)
    (1.5, 3.0)
    """
    exponent, shift = np.polyfit(np.log(sizes), np.log(seconds), 1)
    law = Fit(float(exponent), float(np.exp(shift)), min(sizes), max(sizes), 0.0)
    apart = [abs(t / law(n) - 1) for n, t in zip(sizes, seconds, strict=True)]
    return Fit(law.exponent, law.factor, law.low, law.high, max(apart))


def measure_growth(
    seconds: float, quick: bool, say: Callable[[str], None]
) -> tuple[Series, Series]:
    """Return the times over T and over N.

    Parameters
    ----------
    seconds : float
        For each series; its sizes take turns.
    quick : bool
        Over a smaller range.
    say : callable
        Is told what is measured.
    """
    lengths, units = (QUICK_LENGTHS, QUICK_UNITS) if quick else (LENGTHS, UNITS)
    say(f"growth with T, N = {UNITS_OF_LENGTHS}")
    over_T = _series("T", UNITS_OF_LENGTHS, lengths, seconds)
    say(f"growth with N, T = {LENGTH_OF_UNITS:,}")
    over_N = _series("N", LENGTH_OF_UNITS, units, seconds)
    return over_T, over_N


def _series(over: str, fixed: int, sizes: Sequence[int], seconds: float) -> Series:
    kept = [size for size in sizes if size * fixed <= LARGEST]
    works = {}
    for size in kept:
        n, samples = (fixed, size) if over == "T" else (size, fixed)
        problem = make_problem(n, INPUTS, samples)
        candidate = OWN.works["forward"](problem, 1)
        if samples == LENGTHS[0]:  # of longer ones the reference would take minutes
            values = {OWN.name: candidate.values(candidate.work())}
            check_agreement(values, expected(problem, "forward"), "forward", f"N = {n}")
        works[str(size)] = candidate.work
    timings = take_turns(works, seconds)
    medians = [timings[str(size)].median for size in kept]
    fits = [fit(kept, medians)]
    large = [k for k, size in enumerate(kept) if size >= LARGE_UNITS]
    if over == "N" and 2 < len(large) < len(kept):
        fits.append(fit([kept[k] for k in large], [medians[k] for k in large]))
    return Series(over, fixed, tuple(kept), tuple(timings[str(s)] for s in kept), tuple(fits))


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
    over_T = series.over == "T"
    scale = 1e6 if over_T else 1e6 / series.fixed
    low, median, high = scale * np.array([(t.low, t.median, t.high) for t in series.timings]).T
    spread = [median - low, high - median]
    axis.errorbar(
        series.sizes, median, spread, fmt="o", markersize=4, color=COLOURS[0], label="median"
    )
    for colour, law in zip(COLOURS[1:], series.fits, strict=False):
        ends = (law.low, law.high)
        label = f"{series.over}^{law.exponent:.2f}"
        axis.plot(ends, [scale * law(end) for end in ends], "--", color=colour, label=label)
    axis.set_xscale("log", base=10 if over_T else 2)
    axis.set_yscale("log")
    if not over_T:
        axis.set_xticks(series.sizes, [str(n) for n in series.sizes])
    each, size = ("run", "samples T") if over_T else ("sample", "units N")
    axis.set(
        title=f"a run of T samples, N = {series.fixed}"
        if over_T
        else f"a sample, T = {series.fixed:,}",
        xlabel=size,
        ylabel=f"time of a {each} in µs",
    )
    for text in axis.legend(loc="upper left").get_texts():
        text.set_parse_math(False)
