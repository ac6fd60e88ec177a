"""The published layer: 3 units, 4 inputs, 2 outputs, 51 samples at 0.1 s."""

from __future__ import annotations

import numpy as np

from lstmsim.base import FloatArray
from lstmsim.networks import LSTM, Dense, Network
from lstmsim.published.random import MatlabRandom

#: The first five samples of the two outputs, as printed (rounded to four decimals).
LAYER_OUTPUT = np.array(
    [
        [0.5624, 0.4918, 0.5669, 0.1661, 0.0300],
        [1.3426, 1.1631, 1.3554, 0.3430, 0.0593],
    ]
).T
LAYER_OUTPUT.setflags(write=False)
#: Largest singular value of the difference of double and single precision, as printed.
LAYER_DIFFERENCE = 5.8006e-07


def layer_workspace() -> dict[str, FloatArray]:
    """Return the arrays of the published layer by name, in the order that they are drawn.

    Returns
    -------
    dict of ndarray
        h0, c0 (3, 1); W (12, 4); R (12, 3); b (12, 1); F (2, 3); u (51, 4); Ts ().
    """
    return draw_layer(MatlabRandom(0))


def draw_layer(random: MatlabRandom) -> dict[str, FloatArray]:
    """Draw the arrays of the published layer from a stream, in their order."""
    return {
        "h0": random.rand(3, 1),
        "c0": random.rand(3, 1),
        "W": random.rand(12, 4),
        "R": random.rand(12, 3),
        "b": random.rand(12, 1),
        "F": random.rand(2, 3),
        "u": random.randn(51, 4),
        "Ts": np.array(0.1),
    }


def layer_example() -> tuple[Network, FloatArray]:
    """Return the published layer as a network, and its input of shape (51, 4).

    Examples
    --------
    >>> layer_example()[0]
    Network(4 inputs -> LSTM(3 units) -> Dense(2 outputs), Ts=0.1 s, 102 parameters)
    """
    ws = layer_workspace()
    layer = LSTM(ws["W"], ws["R"], ws["b"], h0=ws["h0"], c0=ws["c0"])
    return Network([layer, Dense(ws["F"])], Ts=float(ws["Ts"])), ws["u"]
