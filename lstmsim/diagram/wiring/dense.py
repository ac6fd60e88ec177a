"""Wiring of the dense layer."""

from __future__ import annotations

from bdsim.blockdiagram import BlockDiagram
from bdsim.components import Block

from lstmsim.base import FloatArray
from lstmsim.blocks import MatrixGain
from lstmsim.diagram.host import block_class
from lstmsim.networks import Dense

_ROW = 140


def dense_parameters(layer: Dense) -> dict[tuple[str, str], FloatArray]:
    """Return the arrays of the layer's blocks, by block and parameter name."""
    if layer.bias is None:
        return {("y", "K"): layer.F}
    return {("Fh", "K"): layer.F, ("by", "value"): layer.bias}


def dense_layer(bd: BlockDiagram, x: Block, layer: Dense, left: int) -> Block:
    """Wire y = F x + bias beside the block that drives x, and return the one that drives y."""
    top = x.pos[1]
    values = dense_parameters(layer)
    if layer.bias is None:
        y = MatrixGain(values["y", "K"], bd=bd, name="y", pos=(left, top))
        bd.connect(x, y)
        return y
    gain = MatrixGain(values["Fh", "K"], bd=bd, name="Fh", pos=(left, top))
    bias = block_class("CONSTANT")(values["by", "value"], bd=bd, name="by", pos=(left, top + _ROW))
    y = block_class("SUM")("++", bd=bd, name="y", pos=(left + 180, top))
    bd.connect(x, gain)
    bd.connect(gain, y[0])
    bd.connect(bias, y[1])
    return y
