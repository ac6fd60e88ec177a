"""Wiring: a layer's definition becomes blocks in a bdsim diagram.

The blocks' names are the signals' names.  Positions are in bdedit's pixels, y downwards, on
its grid of 20; they make the picture read from left to right: the inner loop along the top,
the gates in the middle, the outer loop along the bottom.
"""

from __future__ import annotations

from typing import Any

from bdsim.blockdiagram import BlockDiagram
from bdsim.components import Block, Clock, Plug

from lstmsim.base import DiagramError, InvalidTypeError
from lstmsim.blocks import (
    FromWorkspace,
    Hadamard,
    MatrixGain,
    Sigmoid,
    Tanh,
    ToWorkspace,
    UnitDelay,
    checked_clock,
)
from lstmsim.diagram.host import block_class, blockdiagram, check_signals, compile_diagram
from lstmsim.networks import LSTM, Dense, Network, check_layer_name

#: Rows of the gates from the top: f beside the inner loop, o beside the output.
_GATE_ROWS = ("f", "i", "g", "o")
_ROW = 140
_GATE_HEIGHT = 3 * _ROW
#: Width of one layer's picture, and the corner of the next one's.
_LAYER_WIDTH = 1500


def lstm_layer(
    bd: BlockDiagram,
    clock: Clock,
    u: Block | Plug,
    layer: LSTM,
    name: str = "",
    *,
    origin: tuple[int, int] = (0, 0),
) -> Block:
    """Wire one LSTM layer into a diagram.

    i = σ(W_i u + R_i h⁻ + b_i), f = σ(…), g = tanh(…), o = σ(…);
    c = f ⊙ c⁻ + i ⊙ g; h = o ⊙ tanh(c).

    Parameters
    ----------
    bd : BlockDiagram
        Any bdsim diagram, with whatever other blocks.
    clock : Clock
        The clock of the layer's two delays, ``bd.clock(Ts)``.
    u : Block or Plug
        What drives the layer: a block with one output, or an output port ``block[i]``.
    layer : LSTM
        The definition.
    name : str, optional
        If given, every block's name is prefixed with it and a dot: ``lstm1.h``.
    origin : tuple of int, optional
        Where the picture's top left gain lies.

    Returns
    -------
    Block
        The block that drives the hidden state h, to be wired on.

    Raises
    ------
    DiagramError
        If the diagram has a block of one of the names already.
    InvalidTypeError
        If an argument is of another kind.

    Examples
    --------
    >>> import numpy as np
    >>> from lstmsim import LSTM, blockdiagram
    >>> bd = blockdiagram()
    >>> clock = bd.clock(0.1, name="clock")
    >>> step = bd.STEP(T=1.0, name="step")
    >>> layer = LSTM(np.ones((8, 1)), np.ones((8, 2)), np.zeros(8))
    >>> h = lstm_layer(bd, clock, step, layer, "cell")
    >>> h.name
    'cell.h'
    """
    if not isinstance(layer, LSTM) or not isinstance(bd, BlockDiagram):
        raise InvalidTypeError(
            "lstm_layer wires an LSTM into a block diagram",
            given=f"bd of type {type(bd).__name__}, layer of type {type(layer).__name__}",
            expected="lstm_layer(bd, clock, u, layer, name)",
        )
    checked_clock(clock, f"layer {name or layer!r}")
    if name:
        check_layer_name(name)
    prefix = f"{name}." if name else ""

    def at(label: str, column: int, row: int) -> dict[str, Any]:
        if prefix + label in bd.blocknames:
            raise DiagramError(
                "the diagram has a block of this name already",
                where="lstm_layer",
                given=repr(prefix + label),
                mend='give each layer a name of its own: lstm_layer(..., name="lstm2")',
            )
        position = (origin[0] + column, origin[1] + row)
        return {"bd": bd, "name": prefix + label, "pos": position}

    h_prev = UnitDelay(clock, layer.h0, **at("h_prev", 440, 4 * _GATE_HEIGHT))
    gates: dict[str, Block] = {}
    for row, gate in enumerate(_GATE_ROWS):
        top = row * _GATE_HEIGHT
        W, R, b = layer.gate(gate)
        from_input = MatrixGain(W, **at(f"W{gate}", 60, top))
        from_state = MatrixGain(R, **at(f"R{gate}", 0, top + _ROW))
        bias = block_class("CONSTANT")(b, **at(f"b{gate}", 60, top + 2 * _ROW))
        total = block_class("SUM")("+++", **at(f"sum_{gate}", 260, top + _ROW - 20))
        kind = Tanh if gate == "g" else Sigmoid
        gates[gate] = kind(**at(gate, 440, top + _ROW - 20))
        bd.connect(u, from_input)
        bd.connect(h_prev, from_state)
        for port, term in enumerate((from_input, from_state, bias)):
            bd.connect(term, total[port])
        bd.connect(total, gates[gate])

    top = _ROW - 40  # so that the wires from the gates run straight
    c_prev = UnitDelay(clock, layer.c0, **at("c_prev", 760, top - _ROW))
    fc = Hadamard(2, **at("fc", 660, top))
    ig = Hadamard(2, **at("ig", 660, _GATE_HEIGHT + _ROW - 20))
    c = block_class("SUM")("++", **at("c", 860, top))
    tanh_c = Tanh(**at("tanh_c", 1040, top))
    h = Hadamard(2, **at("h", 1200, 3 * _GATE_HEIGHT + top))
    for start, end in (
        (c_prev, fc[0]),
        (gates["f"], fc[1]),
        (gates["i"], ig[0]),
        (gates["g"], ig[1]),
        (fc, c[0]),
        (ig, c[1]),
        (c, c_prev),
        (c, tanh_c),
        (tanh_c, h[0]),
        (gates["o"], h[1]),
        (h, h_prev),
    ):
        bd.connect(start, end)
    return h


def _dense_head(bd: BlockDiagram, x: Block, head: Dense, origin: tuple[int, int]) -> Block:
    """Wire y = F x + bias, and return the block that drives y."""
    left, top = origin
    if head.bias is None:
        y = MatrixGain(head.F, bd=bd, name="y", pos=(left, top))
        bd.connect(x, y)
        return y
    gain = MatrixGain(head.F, bd=bd, name="Fh", pos=(left, top))
    bias = block_class("CONSTANT")(head.bias, bd=bd, name="by", pos=(left, top + _ROW))
    y = block_class("SUM")("++", bd=bd, name="y", pos=(left + 180, top))
    bd.connect(x, gain)
    bd.connect(gain, y[0])
    bd.connect(bias, y[1])
    return y


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
    middle = 3 * _GATE_HEIGHT // 2
    signal: Block = FromWorkspace(
        clock, width=network.n_inputs, bd=bd, name="u", pos=(-320, middle)
    )
    left, bottom = 0, 3 * _GATE_HEIGHT + _ROW - 40  # the row of h
    for layer in network.recurrent:
        name = layer.name if len(network.recurrent) > 1 else ""
        signal = lstm_layer(bd, clock, signal, layer, name, origin=(left, 0))
        left += _LAYER_WIDTH
    if network.head is not None:
        signal = _dense_head(bd, signal, network.head, (left, bottom))
        left += 180 if network.head.bias is None else 360
    bd.connect(signal, ToWorkspace(clock, bd=bd, name="out", pos=(left, bottom)))
    compile_diagram(bd)
    check_signals(bd)
    return bd
