"""Wiring of a network: its layers' diagrams one beside the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from bdsim.blockdiagram import BlockDiagram
from bdsim.components import Block

from lstmsim.base import FloatArray, InvalidTypeError
from lstmsim.blocks import FromWorkspace, ToWorkspace
from lstmsim.diagram.host import blockdiagram, compile_diagram, signal_widths
from lstmsim.diagram.wiring.dense import dense_layer, dense_parameters
from lstmsim.diagram.wiring.lstm import HEIGHT, lstm_layer, lstm_parameters
from lstmsim.networks import LSTM, Dense, Network

#: The arrays of blocks, by block name and the engine's name of the parameter.
BlockParameters = dict[tuple[str, str], FloatArray]


class Wiring(NamedTuple):
    """How a kind of layer becomes blocks.

    Parameters
    ----------
    parameters : callable
        From a layer to the arrays of its blocks, each a selection of the layer's elements.
    wire : callable
        Called as wire(bd, clock, input, layer, name, left); it returns the block that drives
        the output.
    gap : int
        From that block to what stands to its right, in bdedit's pixels.
    """

    parameters: Callable[[Any], BlockParameters]
    wire: Callable[..., Block]
    gap: int


_WIRINGS: dict[type, Wiring] = {
    LSTM: Wiring(
        lstm_parameters,
        lambda bd, clock, u, layer, name, left: lstm_layer(
            bd, clock, u, layer, name, origin=(left, 0)
        ),
        gap=300,
    ),
    Dense: Wiring(
        dense_parameters,
        lambda bd, clock, x, layer, name, left: dense_layer(bd, x, layer, left),
        gap=180,
    ),
}


def block_parameters(network: Network) -> BlockParameters:
    """Return the arrays of the blocks that `build` makes of a network, without building it.

    Every element is one of the network's `arrays`: of a network whose arrays hold their
    elements' numbers it tells which block's parameter is which part of which array.

    Examples
    --------
    >>> import lstmsim as ls
    >>> network, _ = ls.published.layer_example()
    >>> bool((block_parameters(network)["Rf", "K"] == network.arrays()["R"][3:6]).all())
    True
    """
    return {
        (prefix + block, name): array
        for layer, prefix in zip(network.layers, network.prefixes, strict=True)
        for (block, name), array in _WIRINGS[type(layer)].parameters(layer).items()
    }


def build(network: Network) -> BlockDiagram:
    """Build a network as a bdsim block diagram, compiled and ready to run.

    Parameters
    ----------
    network : Network
        Recurrent layers in series with an optional dense head.

    Returns
    -------
    BlockDiagram
        With a source `u` (unbound: `simulate` binds it), the layers' blocks, and a sink `out`.

    Raises
    ------
    InvalidTypeError
        If it is not a `Network`.

    Examples
    --------
    >>> import numpy as np
    >>> from lstmsim import LSTM, Dense, Network
    >>> layer = LSTM(np.ones((12, 4)), np.ones((12, 3)), np.zeros(12))
    >>> len(build(Network([layer, Dense(np.ones((2, 3)))], Ts=0.1)))
    30
    """
    if not isinstance(network, Network):
        raise InvalidTypeError(
            "build needs a network",
            given=type(network).__name__,
            expected="Network",
            mend="for example build(Network([layer], Ts=0.1))",
        )
    bd = blockdiagram()
    clock = bd.clock(network.Ts, name="clock")
    signal: Block = FromWorkspace(
        clock, width=network.n_inputs, bd=bd, name="u", pos=(-320, HEIGHT // 2)
    )
    left = 0
    for layer, prefix in zip(network.layers, network.prefixes, strict=True):
        wiring = _WIRINGS[type(layer)]
        signal = wiring.wire(bd, clock, signal, layer, prefix.removesuffix("."), left)
        left = signal.pos[0] + wiring.gap
    bd.connect(signal, ToWorkspace(clock, bd=bd, name="out", pos=(left, signal.pos[1])))
    compile_diagram(bd)
    signal_widths(bd)
    return bd
