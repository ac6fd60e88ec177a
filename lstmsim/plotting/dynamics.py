"""Dynamics along a run: loop gains, and the flow of gradients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from lstmsim.base import InvalidTypeError
from lstmsim.plotting.style import COLOURS, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DASHED = (0, (4, 1.5))
DOTTED = (0, (1, 1.2))
#: The largest number of singular values with a line each, and of exponents with a panel each.
PANELS = 6


def plot_loop_gains(gains: xr.Dataset) -> Figure:
    """Plot loop gains over time.

    Parameters
    ----------
    gains : Dataset
        As `loop_gains` returns it.

    Returns
    -------
    matplotlib.figure.Figure
        Above, the norm of each delay's own loop gain and, dashed, its spectral radius; below, all
        loops closed, the spectral radius of the step's Jacobian and its singular values, or
        the range of more than six.

    Raises
    ------
    InvalidTypeError
        If it is something else.
    """
    import matplotlib.pyplot as plt

    _check(gains, ("loop_norm", "loop_radius", "singular_values"), "loop_gains")
    time = np.asarray(gains.time, float)
    with plt.rc_context(STYLE):
        figure, (above, below) = plt.subplots(
            2, 1, figsize=(7.5, 5.6), sharex=True, layout="constrained"
        )
        for k, (name, label) in enumerate(_delays(gains)):
            loop, colour = gains.sel(delay=name), COLOURS[k % len(COLOURS)]
            above.plot(time, loop.loop_norm, **line(time, colour, 1.3), label=label)
            above.plot(time, loop.loop_radius, **line(time, colour, 1, _DASHED))
        above.set_title("each loop alone, the others opened: norm (dashed: spectral radius)")
        above.set_ylabel("own loop gain")
        _spread(below, time, np.asarray(gains.singular_values, float))
        radius = np.asarray(gains.spectral_radius, float)
        below.plot(time, radius, **line(time, "black", 1.5), label="spectral radius")
        below.set_title("all loops closed: the Jacobian of a sample")
        below.set_ylabel("gain of a sample")
        below.set_xlabel("time in s")
        for axis in (above, below):
            axis.axhline(1, color="black", linewidth=0.8, linestyle=DOTTED)
            axis.set_ylim(bottom=0)
            _legend(axis)
        limit(below, time)
    return figure


def _spread(axis: Axes, time: Any, values: Any) -> None:
    """Draw singular values: few as lines, many as their range, middle half and median."""
    if values.shape[1] <= PANELS:
        axis.plot(time, values, **line(time, "#999999", 0.8))
        axis.lines[0].set_label("singular values")
        return
    label = f"{values.shape[1]} singular values"
    axis.fill_between(time, values.min(1), values.max(1), color="#e4e4e4", label=label)
    quarters = np.percentile(values, [25, 75], axis=1)
    axis.fill_between(time, *quarters, color="#bbbbbb", label="the middle half")
    axis.plot(time, np.median(values, axis=1), **line(time, "#666666", 1), label="median")


def plot_gradient_flow(flow: xr.Dataset) -> Figure:
    """Plot how gradients vanish or explode on their way back through a run.

    Parameters
    ----------
    flow : Dataset
        As `gradient_flow` returns it.

    Returns
    -------
    matplotlib.figure.Figure
        Above, the norm of the derivative of the last sample by every sample, and, dashed, the
        product of the own loop's gains alone; below, one panel a delay, the norm of the
        derivative over one sample and of its direct and indirect terms.

    Raises
    ------
    InvalidTypeError
        If it is something else.
    """
    import matplotlib.pyplot as plt

    _check(flow, ("log_norm", "log_norm_own", "through"), "gradient_flow")
    time, delays = np.asarray(flow.time, float), _delays(flow)
    rows = 1 + len(delays)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows,
            1,
            figsize=(7.5, 3.2 + 1.9 * len(delays)),
            sharex=True,
            layout="constrained",
            height_ratios=[1.7, *[1] * len(delays)],
        )
        _draw_over_many(axes[0], flow, time, delays)
        for axis, (name, label) in zip(axes[1:], delays, strict=True):
            _draw_over_one(axis, flow.sel(delay=name), time, delays, label)
        axes[-1].set_xlabel("time in s")
        limit(axes[0], time)
    return figure


def _draw_over_many(axis: Axes, flow: xr.Dataset, time: Any, delays: list[tuple[str, str]]) -> None:
    shown = []
    for k, (name, label) in enumerate(delays):
        colour = COLOURS[k % len(COLOURS)]
        for variable, style, width in (("log_norm", "-", 1.5), ("log_norm_own", _DASHED, 1.1)):
            decades = np.asarray(flow[variable].sel(delay=name), float) / math.log(10)
            decades = np.where(np.isfinite(decades), decades, np.nan)
            shown.append(decades)
            own = variable == "log_norm_own"
            text = f"own loop of {label} alone" if own else f"∂{label}(T)/∂{label}(t)"
            axis.plot(time, decades, **line(time, colour, width, style), label=text)
    axis.set_title(
        f"from sample t to the last, T = {time[-1]:g} s: gradients vanish below 0, explode above"
    )
    axis.set_ylabel("log₁₀ of the norm")
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    pad = max(0.05 * (high - low), 0.2)
    axis.set_ylim(low - pad, high + pad)
    # Where gradients grow on their way back, and where they shrink.
    axis.axhspan(0, max(high + pad, 0), color=COLOURS[1], alpha=0.08, linewidth=0)
    axis.axhspan(min(low - pad, 0), 0, color=COLOURS[5], alpha=0.10, linewidth=0)
    axis.axhline(0, color="black", linewidth=0.8, linestyle=DOTTED)
    _legend(axis)


def _draw_over_one(
    axis: Axes, flow: xr.Dataset, time: Any, delays: list[tuple[str, str]], label: str
) -> None:
    name = str(flow.delay.values)
    axis.plot(time, flow.total, **line(time, "black", 1.4), label="total")
    axis.plot(time, flow.direct, **line(time, COLOURS[2], 1.1, _DASHED), label="direct")
    for k, (via, through) in enumerate(delays):
        term = np.asarray(flow.through.sel(via=via), float)
        if via != name and np.nan_to_num(term).max() > 0:
            colour = COLOURS[3 + k % 3]
            axis.plot(time, term, **line(time, colour, 1.1), label=f"through {through}")
    axis.axhline(1, color="black", linewidth=0.8, linestyle=DOTTED)
    axis.set_ylim(bottom=0)
    axis.set_title(f"over one sample: norm of ∂{label}(t)/∂{label}(t − 1)", parse_math=False)
    axis.set_ylabel("norm")
    _legend(axis)


def _check(data: Any, variables: tuple[str, ...], function: str) -> None:
    if not isinstance(data, xr.Dataset) or any(name not in data for name in variables):
        raise InvalidTypeError(
            f"this is not what {function} returns",
            where=f"plot_{function}",
            given=type(data).__name__,
            expected=f"{function}(diagram, traces)",
        )


def _delays(data: xr.Dataset) -> list[tuple[str, str]]:
    """Return the delays and their labels: the signals that they store, if these differ."""
    names = [str(name) for name in data.delay.values]
    signals = [str(name) for name in data.signal.values]
    return list(zip(names, signals if len(set(signals)) == len(names) else names, strict=True))


def line(time: Any, colour: str, width: float, style: Any = "-") -> dict[str, Any]:
    """Return how a line looks; one sample is a dot, many have thin lines."""
    marker = "o" if len(time) == 1 else ""
    width *= min(1.0, max(0.35, (400 / len(time)) ** 0.5)) if len(time) else 1.0
    return {"color": colour, "linewidth": width, "linestyle": style, "marker": marker}


def _legend(axis: Axes) -> None:
    legend = axis.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0, handlelength=1.6
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def limit(axis: Axes, time: Any) -> None:
    """Let the time axis end where the samples do."""
    if len(time) > 1:
        axis.set_xlim(time[0], time[-1])
