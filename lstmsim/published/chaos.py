"""The smallest LSTM known to be chaotic by itself: two units, no input, no biases."""

from __future__ import annotations

import numpy as np

from lstmsim.networks import LSTM, Network

#: Recurrent weights of each gate, as printed.
_WEIGHTS = {
    "i": [[-1, -4], [-3, -2]],
    "f": [[-2, 6], [0, -6]],
    "g": [[-1, -6], [6, -9]],
    "o": [[4, 1], [-9, -7]],
}


def chaotic_lstm() -> Network:
    """Return the two-unit LSTM whose free run is chaotic.

    It has no input: a layer's input cannot have zero elements, so that it has one whose weights
    are zero.  Rest is a fixed point; the cell state starts beside it.

    Returns
    -------
    Network
        Two units, four states, Ts = 1 s: one sample is one second.

    Examples
    --------
    >>> chaotic_lstm()
    Network(1 input -> LSTM(2 units), Ts=1 s, 32 parameters)

    References
    ----------
    T. Laurent and J. von Brecht, "A recurrent neural network without chaos", ICLR 2017,
    arXiv:1612.06212.
    """
    R = np.concatenate([np.array(_WEIGHTS[gate], float) for gate in "ifgo"])
    return Network([LSTM(np.zeros((8, 1)), R, np.zeros(8), c0=[0.5, -0.5])])
