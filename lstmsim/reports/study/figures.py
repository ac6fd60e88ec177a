"""What the study's figures share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lstmsim.base import FloatArray
from lstmsim.plotting import COLOURS, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY = "#777777"


def panels(columns: int = 1, rows: int = 1, height: float = 3.2, **options: Any) -> tuple[Any, Any]:
    """Return a figure of the report's width, and its axes as a list, row by row."""
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(
        rows, columns, figsize=(8.2, height), squeeze=False, layout="constrained", **options
    )
    return figure, list(grid.flat)


def styled(draw: Callable[[], Figure]) -> Callable[[], Figure]:
    """Make a drawing function use the house style."""

    def drawn() -> Figure:
        import matplotlib.pyplot as plt

        with plt.rc_context(STYLE):
            return draw()

    return drawn


def curves(
    axis: Axes,
    x: npt.ArrayLike | None,
    named: Mapping[str, FloatArray],
    *style: str,
    **options: Any,
) -> None:
    """Draw a curve of each name over x, over their numbers from 1 on without one."""
    for colour, (name, y) in zip(COLOURS, named.items(), strict=False):
        over = np.arange(len(y)) + 1 if x is None else x
        axis.plot(over, y, *style, color=colour, label=name, **options)


def stairs(axis: Axes, values: FloatArray, Ts: float, **options: Any) -> None:
    """Draw samples that hold until the next one."""
    edges = np.arange(len(values) + 1) * Ts
    axis.stairs(values, edges, baseline=None, **options)
    axis.set(xlim=(0, edges[-1]), xlabel="time in s")


def level(axis: Axes, value: float, label: str, colour: str = GREY, line: str = "--") -> None:
    """Draw a horizontal line."""
    axis.axhline(value, color=colour, linestyle=line, linewidth=1, label=label)


def matrix(axis: Axes, values: FloatArray, limit: float) -> Any:
    """Draw a matrix in colours, from −limit to limit."""
    axis.grid(False)
    return axis.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)


def unit_circle(axis: Axes) -> None:
    """Draw the unit circle of a pole-zero map, and its axes."""
    angle = np.linspace(0, 2 * np.pi, 400)
    axis.plot(np.cos(angle), np.sin(angle), color=GREY, linewidth=0.8)
    axis.axhline(0, color="#bbbbbb", linewidth=0.6)
    axis.axvline(0, color="#bbbbbb", linewidth=0.6)
    axis.set_aspect("equal", adjustable="datalim")
    axis.set(xlabel="real part", ylabel="imaginary part")


def poles_and_zeros(axis: Axes, system: Any, colour: str, label: str, size: float) -> None:
    """Draw poles as crosses and zeros as rings."""
    for kind, mark, values in (("poles", "x", system.poles()), ("zeros", "o", system.zeros())):
        axis.plot(
            values.real,
            values.imag,
            mark,
            color=colour,
            markersize=size,
            markerfacecolor="none",
            markeredgewidth=1.4,
            label=f"{kind}, {label}",
        )


def legend_above(axis: Axes, columns: int) -> None:
    """Put a legend above a panel, where nothing is drawn."""
    axis.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=columns,
        fontsize=8,
        handlelength=1.6,
        columnspacing=1.0,
        borderaxespad=0.1,
    )
