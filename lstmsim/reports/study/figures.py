"""What the study's figures share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lstmsim.base import FloatArray
from lstmsim.plotting import STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY = "#777777"


def panels(
    columns: int = 1, rows: int = 1, height: float = 3.2, **options: Any
) -> tuple[Figure, Any]:
    """Return a figure of the report's width, and its axes as a list, row by row."""
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(
        rows, columns, figsize=(8.2, height), squeeze=False, layout="constrained", **options
    )
    return figure, list(grid.flat)


def styled(draw: Any) -> Any:
    """Make a drawing function use the house style."""

    def drawn(*arguments: Any) -> Any:
        import matplotlib.pyplot as plt

        with plt.rc_context(STYLE):
            return draw(*arguments)

    return drawn


def stairs(axis: Axes, values: FloatArray, Ts: float, **options: Any) -> None:
    """Draw samples that hold until the next one."""
    edges = np.arange(len(values) + 1) * Ts
    axis.stairs(values, edges, baseline=None, **options)
    axis.set_xlim(0, edges[-1])


def unit_circle(axis: Axes) -> None:
    """Draw the unit circle of a pole-zero map, and its axes."""
    angle = np.linspace(0, 2 * np.pi, 400)
    axis.plot(np.cos(angle), np.sin(angle), color=GREY, linewidth=0.8)
    axis.axhline(0, color="#bbbbbb", linewidth=0.6)
    axis.axvline(0, color="#bbbbbb", linewidth=0.6)
    axis.set_aspect("equal", adjustable="datalim")
    axis.set_xlabel("real part")
    axis.set_ylabel("imaginary part")


def poles_and_zeros(axis: Axes, system: Any, colour: str, label: str, size: float) -> None:
    """Draw poles as crosses and zeros as rings."""
    poles, zeros = system.poles(), system.zeros()
    axis.plot(
        poles.real,
        poles.imag,
        "x",
        color=colour,
        markersize=size,
        markeredgewidth=1.5,
        label=f"poles, {label}",
    )
    axis.plot(
        zeros.real,
        zeros.imag,
        "o",
        color=colour,
        markersize=size,
        markerfacecolor="none",
        markeredgewidth=1.2,
        label=f"zeros, {label}",
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
