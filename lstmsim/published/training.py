"""The published training: its data, its random weights, and the example's printed figures."""

from __future__ import annotations

from dataclasses import dataclass

from lstmsim.base import FloatArray
from lstmsim.networks import LSTM, Dense, Network
from lstmsim.published.layer import draw_layer
from lstmsim.published.random import MatlabRandom
from lstmsim.published.system import SYSTEM_TS

UNITS = 5
EPOCHS = 10_000
CLIP = 1.0
#: Learning rate, and its factor every DROP_EVERY epochs.
FROM_CALCULATED = (1e-4, 0.99)
FROM_RANDOM = (0.04, 0.98)
DROP_EVERY = 100

#: Mean squared errors after training, as versions 2.1 and 2.3 print them.
CALCULATED_END = (2 * 3.1e-2, 0.083875)
RANDOM_END = (2 * 2.5e-2, 0.044731)
#: Of the system read back: D, steady-state gain, and the pole that was not there.
READ_BACK_D = (0.0052, 0.0094)
READ_BACK_GAIN = (8.3344, 8.5260)
READ_BACK_POLE = (0.1826, 0.159)


@dataclass(frozen=True, eq=False)
class TrainingExample:
    """The random data of the published training, drawn in this order after the layer's arrays.

    Parameters
    ----------
    validation : ndarray of shape (51, 1)
        The input that networks are compared on.
    u : ndarray of shape (1001, 1)
        The training input.
    starts : tuple of Network
        Networks of random weights: the published one, then others from the same stream.
    """

    validation: FloatArray
    u: FloatArray
    starts: tuple[Network, ...]


def training_example(starts: int = 1) -> TrainingExample:
    """Return the published training data, and as many networks with random weights.

    Parameters
    ----------
    starts : int, optional
        Number of networks; only the first one is published.

    Examples
    --------
    >>> example = training_example()
    >>> example.u.shape, example.starts[0]
    ((1001, 1), Network(1 input -> LSTM(5 units) -> Dense(1 output), Ts=0.01 s, 145 parameters))
    """
    random = MatlabRandom(0)
    draw_layer(random)
    validation, u = random.randn(51, 1), random.randn(1001, 1)
    random.rand()  # the trainer's shuffle of its one sequence takes one
    networks = tuple(_network(random) for _ in range(starts))
    return TrainingExample(validation, u, networks)


def _network(random: MatlabRandom) -> Network:
    W, R = random.rand(4 * UNITS, 1), random.rand(4 * UNITS, UNITS)
    b, F = random.rand(4 * UNITS, 1), random.rand(1, UNITS)
    return Network([LSTM(W, R, b), Dense(F)], Ts=SYSTEM_TS)
