"""Traces over time: stairs for narrow signals, heat maps for wide ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from lstmsim.base import InvalidValueError
from lstmsim.diagram import ATOL, RTOL, check_is_traces, select, signal_names
from lstmsim.plotting.style import COLOURS, DASHES, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Signals wider than this are drawn as heat maps.
MAX_LINES = 12
_TITLES = {
    "u": "input u",
    "i": "input gate i",
    "f": "forget gate f",
    "g": "cell candidate g",
    "o": "output gate o",
    "c": "cell state c",
    "h": "hidden state h",
    "y": "output y",
}
_PER_LAYER = ("i", "f", "g", "o", "c", "h")


def plot(traces: xr.Dataset, signals: list[str] | None = None) -> Figure:
    """Plot traces on one page.

    Parameters
    ----------
    traces : Dataset
        As `simulate` and `reference` return them.
    signals : list of str, optional
        The signals to plot.  If not given: the input, every layer's four gates and two states, and
        the output; for a diagram without these, all signals.

    Returns
    -------
    matplotlib.figure.Figure
        One panel a signal: stairs, or a heat map where it has more than 12 elements.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If they are not traces, or there is no such signal.
    """
    check_is_traces(traces)
    names = _chosen(traces, signals)
    panels = [(name, _title(name), traces[name]) for name in names]
    return _page(traces, panels, f"{traces.attrs.get('engine', '')}, Ts = {_ts(traces)} s")


def plot_difference(
    traces: xr.Dataset, expected: xr.Dataset, signals: list[str] | None = None
) -> Figure:
    """Plot the difference of traces to expected ones, |a − b| over time.

    Parameters
    ----------
    traces, expected : Dataset
        The two sides.
    signals : list of str, optional
        The signals to plot; if not given, those of `plot` that both sides have.

    Returns
    -------
    matplotlib.figure.Figure
        One panel a signal, on a logarithmic axis, with the single-precision tolerance.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If they are not traces, or have no such signal in the same shape in common.
    """
    check_is_traces(traces)
    check_is_traces(expected, "expected")
    common = [
        name
        for name in signal_names(traces)
        if name in expected and expected[name].shape == traces[name].shape
    ]
    if not common:
        raise InvalidValueError(
            "there is nothing to compare",
            where="plot_difference",
            given=f"{len(signal_names(traces))} and {len(signal_names(expected))} signals",
            expected="signals of the same names and shapes",
        )
    both = traces[common]
    panels = []
    for name in _chosen(both, signals):
        b = np.asarray(expected[name], float)
        difference = abs(np.asarray(traces[name], float) - b)
        tolerance = (ATOL + RTOL * np.abs(b)).min(axis=-1)
        array = traces[name].copy(data=difference).assign_attrs(tolerance=tolerance)
        panels.append((name, _title(name), array))
    sides = [str(side.attrs.get("engine", "?")) for side in (traces, expected)]
    types = [str(side.attrs.get("dtype", "?")) for side in (traces, expected)]
    title = (
        f"|{sides[0]} ({types[0]}) − {sides[1]} ({types[1]})|; dotted: single-precision tolerance"
    )
    return _page(traces, panels, title, logarithmic=True)


def _chosen(traces: xr.Dataset, signals: list[str] | None) -> list[str]:
    available = signal_names(traces)
    if signals is not None:
        return select(available, signals)
    prefixes = dict.fromkeys(n.removesuffix("c_prev") for n in available if n.endswith("c_prev"))
    layers = [p + name for p in prefixes for name in _PER_LAYER if p + name in available]
    ends = [name for name in ("u", "y") if name in available]
    return [*ends, *layers] if layers else available


def _title(name: str) -> str:
    prefix, _, last = name.rpartition(".")
    title = _TITLES.get(last, name)
    return f"{prefix}: {title}" if prefix and last in _TITLES else title


def _ts(traces: xr.Dataset) -> str:
    return f"{float(traces.attrs.get('Ts', math.nan)):g}"


def _page(
    traces: xr.Dataset,
    panels: list[tuple[str, str, xr.DataArray]],
    title: str,
    logarithmic: bool = False,
) -> Figure:
    import matplotlib.pyplot as plt

    if "batch" in traces.dims:
        raise InvalidValueError(
            "a page shows one sequence",
            where="plot",
            given=f"a batch of {traces.sizes['batch']}",
            expected="traces of one sequence",
            mend="plot one of them: traces.isel(batch=0)",
        )
    flat = [(name, array) for name, _, array in panels if array.ndim != 2]
    if flat:
        raise InvalidValueError(
            "a signal has no elements over time",
            where="plot",
            given=f"{flat[0][0]} with dimensions {flat[0][1].dims}",
            expected="signals of shape (time, width)",
        )
    time = np.asarray(traces.time, float)
    Ts = float(traces.attrs.get("Ts", 1.0))
    edges = np.append(time, time[-1] + Ts)
    rows = math.ceil(len(panels) / 2)
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            rows,
            2 if len(panels) > 1 else 1,
            figsize=(9.5, 0.8 + 1.75 * rows),
            sharex=True,
            squeeze=False,
            layout="constrained",
        )
        axes = list(grid.flat)
        for axis, (name, heading, array) in zip(axes, panels, strict=False):
            values = np.asarray(array, float)
            axis.set_title(heading, parse_math=False)
            if values.shape[1] > MAX_LINES:
                _heat_map(figure, axis, edges, values, name, logarithmic)
            else:
                _stairs(axis, edges, values, name, logarithmic, array.attrs.get("tolerance"))
        for axis in axes[len(panels) :]:
            axis.remove()
        for axis in axes[max(0, len(panels) - grid.shape[1]) : len(panels)]:
            axis.set_xlabel("time in s")
            axis.tick_params(labelbottom=True)
        axes[0].set_xlim(edges[0], edges[-1])
        figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def _stairs(
    axis: Axes,
    edges: Any,
    values: Any,
    name: str,
    logarithmic: bool,
    tolerance: Any,
) -> None:
    for element, column in enumerate(values.T):
        # A logarithmic axis cannot show a difference of exactly zero.
        shown = np.where(column > 0, column, np.nan) if logarithmic else column
        axis.stairs(
            shown,
            edges,
            baseline=None,
            color=COLOURS[element % len(COLOURS)],
            linestyle=DASHES[element // len(COLOURS) % 2],
            linewidth=1.3 if len(values) <= 150 else 0.8,
            label=f"{element}",
        )
    if logarithmic:
        axis.set_yscale("log")
        axis.stairs(tolerance, edges, baseline=None, color="#888888", linewidth=1, linestyle=":")
        shown = np.append(values[np.isfinite(values) & (values > 0)], tolerance)
        axis.set_ylim(max(shown.min(), shown.max() * 1e-10) / 3, shown.max() * 10)
        axis.set_ylabel("|difference|")
        if not (values > 0).any():
            axis.text(0.5, 0.3, "equal to the last bit", ha="center", transform=axis.transAxes)
    else:
        axis.set_ylabel(name, parse_math=False)
        axis.margins(y=0.12)
    if values.shape[1] > 1:
        axis.legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            fontsize=7,
            ncols=6,
            handlelength=0.8,
            handletextpad=0.3,
            columnspacing=0.6,
            borderaxespad=0.1,
            borderpad=0.1,
            labelspacing=0.2,
        )


def _heat_map(
    figure: Figure, axis: Axes, edges: Any, values: Any, name: str, logarithmic: bool
) -> None:
    from matplotlib.colors import LogNorm, Normalize

    largest = float(np.max(np.abs(values[np.isfinite(values)]), initial=1e-30))
    rows = np.arange(values.shape[1] + 1) - 0.5
    if logarithmic:
        norm: Normalize = LogNorm(max(largest * 1e-6, 1e-18), max(largest, 1e-17))
        shown, colours = np.maximum(values, norm.vmin or 0.0), "viridis"
    elif (values < 0).any():
        norm, shown, colours = Normalize(-largest, largest), values, "RdBu_r"
    else:
        norm, shown, colours = Normalize(0, largest), values, "viridis"
    mesh = axis.pcolormesh(edges, rows, shown.T, norm=norm, cmap=colours, rasterized=True)
    axis.grid(False)
    axis.set_ylabel("element")
    bar = figure.colorbar(mesh, ax=axis, pad=0.01)
    bar.set_label("|difference|" if logarithmic else name, parse_math=False)
