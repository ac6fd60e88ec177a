"""Draw the README's picture of the layer's feedback loops.

python tools/draw_loops.py
"""

from __future__ import annotations

import os
from pathlib import Path

import matplotlib as mpl

import lstmsim as ls

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Draw the published layer, the same file each time."""
    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "lstmsim"
    os.environ["SOURCE_DATE_EPOCH"] = "0"
    network, _ = ls.published.layer_example()
    picture = ROOT / "docs" / "images" / "lstm_loops.svg"
    ls.save_plot(ls.plot_diagram(ls.build(network)), picture)


if __name__ == "__main__":
    main()
