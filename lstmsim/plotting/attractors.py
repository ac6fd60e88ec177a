"""Long runs: running estimates of Lyapunov exponents, and attractors."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from lstmsim.base import InvalidTypeError, InvalidValueError
from lstmsim.diagram import check_is_traces, signal_names
from lstmsim.dynamics import LyapunovSpectrum
from lstmsim.plotting.dynamics import DOTTED, PANELS, limit, line
from lstmsim.plotting.style import COLOURS, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_lyapunov(spectrum: LyapunovSpectrum) -> Figure:
    """Plot running estimates of Lyapunov exponents.

    Parameters
    ----------
    spectrum : LyapunovSpectrum
        As `lyapunov` returns it.

    Returns
    -------
    matplotlib.figure.Figure
        The estimates over the time that they are averaged over, a panel each if they are few,
        with a band of two standard errors about the result.  Exponents of −∞ are counted in the
        title, and not drawn.

    Raises
    ------
    InvalidTypeError
        If it is something else.
    """
    import matplotlib.pyplot as plt

    if not isinstance(spectrum, LyapunovSpectrum):
        raise InvalidTypeError(
            "this is not a spectrum of Lyapunov exponents",
            where="plot_lyapunov",
            given=type(spectrum).__name__,
            expected="what lyapunov(diagram) returns",
        )
    finite = [k for k, value in enumerate(spectrum.exponents) if math.isfinite(value)]
    infinite = len(spectrum.exponents) - len(finite)
    apart = 0 < len(finite) <= PANELS
    rows = len(finite) if apart else 1
    title = f"Lyapunov exponents, averaged over {spectrum.samples:,} samples"
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            rows,
            1,
            figsize=(7.5, 0.9 + 1.5 * rows if apart else 4.4),
            sharex=True,
            squeeze=False,
            layout="constrained",
        )
        axes = grid[:, 0]
        for row, k in enumerate(finite):
            _draw_exponent(axes[row if apart else 0], spectrum, k, apart)
        if not finite:
            axes[0].text(0.5, 0.5, "all are −∞", ha="center", transform=axes[0].transAxes)
            axes[0].set_yticks([])
        elif not apart:
            axes[0].axhline(0, color="black", linewidth=0.8, linestyle=DOTTED)
        figure.suptitle(
            title + (f"; {infinite} of −∞ are not shown" if infinite else ""), fontsize=10
        )
        figure.supylabel("running estimate per sample", fontsize=9)
        axes[-1].set_xlabel("averaged time in s")
        if spectrum.running.sizes["time"] > 1:
            _log_axis(axes[-1])
            limit(axes[-1], np.asarray(spectrum.running.time, float))
    return figure


def _log_axis(axis: Axes) -> None:
    """Make the x axis logarithmic, with labels at 1, 2 and 5 that do not run into one another."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def _draw_exponent(axis: Axes, spectrum: LyapunovSpectrum, k: int, apart: bool) -> None:
    """Draw one exponent's running estimates, and a band of two standard errors."""
    colour, value = COLOURS[k % len(COLOURS)], float(spectrum.exponents[k])
    error = float(spectrum.standard_error[k])
    if math.isfinite(error):
        axis.axhspan(value - 2 * error, value + 2 * error, color=colour, alpha=0.2, linewidth=0)
    time = np.asarray(spectrum.running.time, float)
    estimates = np.asarray(spectrum.running[:, k])
    axis.plot(time, estimates, **line(time, colour, 1.2))
    if apart and np.ptp(estimates) < 1e-6 * max(1, abs(value)):  # rounding alone
        axis.set_ylim(value - 0.05 * max(1, abs(value)), value + 0.05 * max(1, abs(value)))
    if apart:
        spread = f" ± {error:.1g}" if math.isfinite(error) else ""
        per_second = f"{value / spectrum.Ts:.5g} per second"
        text = f"λ{_subscript(k + 1)} = {value:.4f}{spread} per sample, {per_second}"
        axis.set_title(text.replace("-", "−"))


def plot_attractor(
    traces: xr.Dataset, x: str = "h[0]", y: str = "h[1]", *, discard: int = 1000
) -> Figure:
    """Plot one element of a signal against another, a dot a sample.

    Parameters
    ----------
    traces : Dataset
        A long run, as `simulate` returns it.
    x, y : str, optional
        The elements: the signal's name and its number, "c[0]"; a name alone means element 0.
    discard : int, optional
        Number of samples to leave out at the beginning, before the attractor.

    Returns
    -------
    matplotlib.figure.Figure
        A scatter plot.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If they are not traces, have no such signal, or are too short to discard so many samples.
    """
    import matplotlib.pyplot as plt

    check_is_traces(traces)
    samples = traces.sizes["time"]
    whole = isinstance(discard, int | np.integer) and not isinstance(discard, bool)
    if not whole or not 0 <= discard < samples:
        raise InvalidValueError(
            "there is nothing left to plot",
            where="plot_attractor",
            given=f"discard={discard!r} of {samples} samples",
            expected=f"a whole number from 0 to {samples - 1}",
            mend="simulate for longer, or give a smaller discard=",
        )
    columns = [_element(traces, name)[discard:] for name in (x, y)]
    kept = samples - discard
    # Few dots are large and many are small, so that they always cover about the same area.
    size = float(np.clip(3e4 / kept, 0.15, 12))
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(6.2, 5.6), layout="constrained")
        axis.scatter(
            columns[0], columns[1], s=size, color=COLOURS[0], linewidths=0, rasterized=True
        )
        axis.set_xlabel(x, parse_math=False)
        axis.set_ylabel(y, parse_math=False)
        axis.set_title(f"{kept:,} samples, after {discard:,} that were discarded")
        axis.margins(0.04)
    return figure


def _element(traces: xr.Dataset, name: str) -> Any:
    known = signal_names(traces)
    parts = re.fullmatch(r"(.+)\[(\d+)\]", name) if isinstance(name, str) else None
    signal, number = (parts[1], int(parts[2])) if parts and name not in known else (name, 0)
    width = traces[signal].shape[-1] if signal in known else 0
    if number >= width or traces[signal].ndim != 2:
        raise InvalidValueError(
            "there is no such element of a signal",
            where="plot_attractor",
            given=repr(name),
            expected=f"element 0 to {width - 1} of {signal}"
            if width
            else f"an element, such as {known[0]}[0], of: {', '.join(known)}",
        )
    return np.asarray(traces[signal], float)[:, number]


def _subscript(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
