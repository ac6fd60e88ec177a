"""Draw the README's pictures of dynamics: the chaotic LSTM, and how gradients flow.

python tools/draw_dynamics.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

import lstmsim as ls

IMAGES = Path(__file__).parents[1] / "docs" / "images"


def main() -> None:
    """Draw all of them."""
    mpl.use("Agg")
    chaotic = ls.build(ls.published.chaotic_lstm())
    traces = ls.simulate(chaotic, np.zeros((200_000, 1)), engine="numba")
    ls.save_plot(ls.plot_attractor(traces), IMAGES / "attractor.png")
    ls.save_plot(ls.plot_lyapunov(ls.lyapunov(chaotic)), IMAGES / "lyapunov.png")
    network, u = ls.published.layer_example()
    layer = ls.build(network)
    run = ls.simulate(layer, u)
    ls.save_plot(ls.plot_loop_gains(ls.loop_gains(layer, run)), IMAGES / "loop_gains.png")
    flow = ls.gradient_flow(layer, run)
    ls.save_plot(ls.plot_gradient_flow(flow), IMAGES / "gradient_flow.png")


if __name__ == "__main__":
    main()
