"""Poles: the eigenvalues of a linearization in the complex plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from lstmsim.base import InvalidTypeError, InvalidValueError
from lstmsim.plotting.style import COLOURS, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: The largest number of dots in a figure, and of samples that they show.
_DOTS, _SAMPLES = 20_000, 500


def plot_poles(linearization: xr.Dataset) -> Figure:
    """Plot the poles along a run: the eigenvalues of A at every sample.

    Parameters
    ----------
    linearization : Dataset
        As `linearize` returns it along traces.

    Returns
    -------
    matplotlib.figure.Figure
        A dot for each eigenvalue, coloured by time, and crosses for the last sample; long runs
        are sampled evenly.  Inside the unit circle a frozen sample's dynamics decay.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If it is something else, or without states.
    """
    import matplotlib.pyplot as plt

    if not isinstance(linearization, xr.Dataset) or "A" not in linearization:
        raise InvalidTypeError(
            "this is not a linearization along a run",
            where="plot_poles",
            given=type(linearization).__name__,
            expected="the dataset that linearize(diagram, traces) returns",
        )
    A = np.asarray(linearization.A, float)
    samples, n = A.shape[:2]
    if n == 0:
        raise InvalidValueError(
            "a diagram without states has no poles",
            where="plot_poles",
            given="no states",
            expected="at least one delay in the diagram",
        )
    shown = min(samples, _SAMPLES, max(2, _DOTS // n))
    chosen = np.unique(np.linspace(0, samples - 1, shown).round().astype(int))
    values = np.linalg.eigvals(A[chosen])
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(6.4, 5.2), layout="constrained")
        angle = np.linspace(0, 2 * np.pi, 361)
        axis.plot(np.cos(angle), np.sin(angle), color="black", linewidth=0.9)
        if len(chosen) > 1:
            time = np.repeat(np.asarray(linearization.time, float)[chosen], n)
            flat = values.ravel()
            dots = axis.scatter(
                flat.real, flat.imag, c=time, cmap="cividis", s=14, linewidths=0, alpha=0.8
            )
            figure.colorbar(dots, ax=axis, label="time in s", shrink=0.8)
        last = values[-1]
        axis.plot(
            *(last.real, last.imag),
            linestyle="",
            marker="x",
            color=COLOURS[1],
            markersize=8,
            markeredgewidth=1.8,
            label="last sample",
        )
        _frame(axis, values)
        axis.set_title(_title(len(chosen), samples))
        axis.set_xlabel("real part")
        axis.set_ylabel("imaginary part")
        axis.legend(loc="upper left")
    return figure


def _frame(axis: Axes, values: Any) -> None:
    """Set the axes to show the unit circle and all poles, with equal scales."""
    low, high = min(-1, values.real.min()), max(1, values.real.max())
    top = max(1.0, np.abs(values.imag).max())
    pad = 0.08 * max(high - low, 2 * top)
    axis.set_xlim(low - pad, high + pad)
    axis.set_ylim(-top - pad, top + pad)
    axis.set_aspect("equal", adjustable="box")


def _title(shown: int, samples: int) -> str:
    of = f"{samples:,}" if shown == samples else f"{shown} of {samples:,}"
    return f"poles of {of} sample{'s' * (samples != 1)}, and the unit circle"
