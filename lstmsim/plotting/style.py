"""How figures look, and how they are saved."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lstmsim.base import atomic_write, check_target

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Endings of picture files.
PICTURE_ENDINGS = (".png", ".svg", ".pdf", ".eps", ".jpg", ".tif")
#: The colours of Okabe and Ito, which differ for every kind of colour vision and in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)))
STYLE: Any = {
    "figure.facecolor": "white",  # and not the notebook's own: dark themes would swallow it
    "axes.facecolor": "white",
    "axes.edgecolor": "#444444",
    "axes.labelcolor": "black",
    "axes.titlecolor": "black",
    "text.color": "black",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "savefig.facecolor": "white",
}


def save_plot(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Save a figure, whole or not at all, and close it.

    Parameters
    ----------
    figure : Figure
        As `plot` returns it.
    path : path
        With the ending `.png`, `.svg`, `.pdf`, `.eps`, `.jpg` or `.tif`.

    Raises
    ------
    DataFileError
        If the ending is another one.
    FileAccessError
        If the file cannot be written.
    """
    import matplotlib.pyplot as plt

    check_target(path, PICTURE_ENDINGS, "picture")
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=150, facecolor=figure.get_facecolor())
    plt.close(figure)
