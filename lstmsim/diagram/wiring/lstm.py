"""Wiring of the LSTM layer.

The blocks' names are the signals' names.  Positions are in bdedit's pixels, y downwards, on
its grid of 20; they make the picture read from left to right: the inner loop along the top,
the gates in the middle, the outer loop along the bottom.
"""

from __future__ import annotations

from typing import Any

from bdsim.blockdiagram import BlockDiagram
from bdsim.components import Block, Clock, Plug

from lstmsim.base import DiagramError, FloatArray, InvalidTypeError
from lstmsim.blocks import Hadamard, MatrixGain, Sigmoid, Tanh, UnitDelay, checked_clock
from lstmsim.diagram.host import block_class
from lstmsim.networks import GATES, LSTM, check_layer_name

#: Rows of the gates from the top: f beside the inner loop, o beside the output.
_GATE_ROWS = ("f", "i", "g", "o")
_ROW = 140
_GATE_HEIGHT = 3 * _ROW
#: The picture's height: the row of the input's middle is half of it.
HEIGHT = 3 * _GATE_HEIGHT


def lstm_parameters(layer: LSTM) -> dict[tuple[str, str], FloatArray]:
    """Return the arrays of the layer's blocks, by block and parameter name."""
    found = {("h_prev", "x0"): layer.h0, ("c_prev", "x0"): layer.c0}
    for gate in GATES:
        W, R, b = layer.gate(gate)
        found |= {(f"W{gate}", "K"): W, (f"R{gate}", "K"): R, (f"b{gate}", "value"): b}
    return found


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

    values = lstm_parameters(layer)
    h_prev = UnitDelay(clock, values["h_prev", "x0"], **at("h_prev", 440, 4 * _GATE_HEIGHT))
    gates: dict[str, Block] = {}
    for row, gate in enumerate(_GATE_ROWS):
        top = row * _GATE_HEIGHT
        from_input = MatrixGain(values[f"W{gate}", "K"], **at(f"W{gate}", 60, top))
        from_state = MatrixGain(values[f"R{gate}", "K"], **at(f"R{gate}", 0, top + _ROW))
        bias = block_class("CONSTANT")(
            values[f"b{gate}", "value"], **at(f"b{gate}", 60, top + 2 * _ROW)
        )
        total = block_class("SUM")("+++", **at(f"sum_{gate}", 260, top + _ROW - 20))
        kind = Tanh if gate == "g" else Sigmoid
        gates[gate] = kind(**at(gate, 440, top + _ROW - 20))
        bd.connect(u, from_input)
        bd.connect(h_prev, from_state)
        for port, term in enumerate((from_input, from_state, bias)):
            bd.connect(term, total[port])
        bd.connect(total, gates[gate])

    top = _ROW - 40  # so that the wires from the gates run straight
    c_prev = UnitDelay(clock, values["c_prev", "x0"], **at("c_prev", 760, top - _ROW))
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
