"""Training curves: loss, gradient norms and learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from lstmsim.base import InvalidTypeError
from lstmsim.plotting.style import COLOURS, DASHES, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: More arrays than this have no legend.
_MAX_NAMES = 14


def plot_history(history: xr.Dataset) -> Figure:
    """Plot the course of training: loss, norms of the gradients, and learning rate.

    Parameters
    ----------
    history : Dataset
        As `fit` returns it: ``plot_history(result.history)``.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels over the epochs.

    Raises
    ------
    InvalidTypeError
        If it is not a history, or one without epochs.
    """
    if not isinstance(history, xr.Dataset) or not {"loss", "gradient_norm"} <= set(history):
        raise InvalidTypeError(
            "this is not the history of a training",
            where="plot_history",
            given=type(history).__name__,
            expected="the Dataset fit(...).history",
        )
    if not history.sizes["epoch"]:
        raise InvalidTypeError(
            "the history has no epochs", where="plot_history", given="0 epochs", expected="some"
        )
    import matplotlib.pyplot as plt

    epochs = np.asarray(history.epoch)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            3,
            1,
            figsize=(7.5, 6.6),
            sharex=True,
            layout="constrained",
            gridspec_kw={"height_ratios": [3, 2, 1]},
        )
        loss, norms, rate = axes
        _line(loss, epochs, history.loss, "training", COLOURS[0])
        if "validation_loss" in history:
            _line(loss, epochs, history.validation_loss, "validation", COLOURS[1])
            loss.legend(loc="upper right")
        loss.set_title("loss L")
        loss.set_ylabel("L")
        names = [str(name) for name in history.array.values]
        for k, name in enumerate(names):
            column = history.gradient_norm.isel(array=k)
            dashes = DASHES[k // len(COLOURS) % len(DASHES)]
            _line(norms, epochs, column, name, COLOURS[k % len(COLOURS)], dashes)
        for axis in (loss, norms):
            low, high = axis.get_ylim()
            if high < 10 * low:  # a logarithmic axis would have one label, or none
                axis.set_yscale("linear")
        norms.set_title("gradient of each array, before clipping")
        norms.set_ylabel("L2 norm")
        if len(names) <= _MAX_NAMES:
            legend = norms.legend(
                loc="lower right",
                bbox_to_anchor=(1.0, 1.0),
                ncols=7,
                borderaxespad=0.1,
                fontsize=7,
                handlelength=1.4,
                columnspacing=0.8,
            )
            for text in legend.get_texts():
                text.set_parse_math(False)
        rate.plot(epochs, history.learning_rate, color="#444444", linewidth=1.2)
        rate.set_ylim(0, 1.1 * float(history.learning_rate.max()))
        rate.set_title("learning rate η")
        rate.set_ylabel("η")
        rate.set_xlabel("epoch")
        rate.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    return figure


def _line(axis: Axes, epochs: Any, values: Any, label: str, colour: str, dashes: Any = "-") -> None:
    numbers = np.asarray(values, float)
    shown = np.where(numbers > 0, numbers, np.nan)  # a logarithmic axis cannot show zero
    marker = "." if len(epochs) < 30 else None
    axis.plot(
        epochs, shown, color=colour, linewidth=1.2, linestyle=dashes, marker=marker, label=label
    )
    axis.set_yscale("log")
