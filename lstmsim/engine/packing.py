"""Packing: parameters as the kernels read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lstmsim.engine.graph import Graph
from lstmsim.engine.interpreter import Parameters
from lstmsim.engine.plan import LoopPlan, Sizes, Stack

Array = npt.NDArray[Any]
Plans = list[LoopPlan | tuple[Stack, ...]]

#: Products with more inputs than this are left to BLAS.
FEW_COLUMNS = 16


@dataclass(frozen=True)
class Packed:
    """Parameters, plain and as the kernels read them."""

    arrays: dict[str, dict[str, Array]]
    stages: list[dict[str, Array]]


def pack(parameters: Parameters, graph: Graph, plans: Plans, sizes: Sizes, dtype: Any) -> Packed:
    """Return the parameters as the kernels read them."""
    arrays = {
        block: {name: np.array(value, dtype) for name, value in values.items()}
        for block, values in parameters.items()
    }
    stages: list[dict[str, Array]] = []
    for plan in plans:
        if isinstance(plan, LoopPlan):
            stages.append({"": _pack_loop(plan, arrays, graph, sizes, dtype)})
        else:
            stages.append(
                {stack.source: _pack_stack(stack, arrays, sizes, dtype) for stack in plan}
            )
    return Packed(arrays, stages)


def overwrite(packed: Packed, new: Packed) -> None:
    """Write parameters of the same shapes over packed ones: what has run stays ready."""
    for old_stage, new_stage in zip(packed.stages, new.stages, strict=True):
        for name, values in new_stage.items():
            old_stage[name][...] = values
    for block, arrays in new.arrays.items():
        for name, values in arrays.items():
            packed.arrays[block][name][...] = values


def _pack_stack(stack: Stack, arrays: Parameters, sizes: Sizes, dtype: Any) -> Array:
    columns = sizes.widths[stack.source]
    dense = np.zeros((columns, stack.row), dtype)
    for node, at in zip(stack.nodes, stack.offsets, strict=True):
        dense[:, at : at + node.width] = arrays[node.block]["K"].T
    if columns > FEW_COLUMNS:
        return dense
    blocks = stack.row // sizes.lanes
    return np.ascontiguousarray(
        dense.reshape(columns, blocks, sizes.lanes).transpose(1, 0, 2)
    ).reshape(-1)


def _pack_loop(plan: LoopPlan, arrays: Parameters, graph: Graph, sizes: Sizes, dtype: Any) -> Array:
    packed = np.zeros(plan.par_size, dtype)
    bounds = {n.block: n.static for n in plan.stage.nodes if n.op.name == "clip"}
    for name, at in plan.par.items():
        if name.startswith(("pack", "transposed")):
            matrices = [arrays[node.block]["K"] for node in plan.packs[name]]
            if name.startswith("transposed"):
                matrices = [K.T for K in matrices]
            rows, columns = matrices[0].shape
            room = np.zeros((sizes.padded(rows), columns, len(matrices)), dtype)
            for q, K in enumerate(matrices):
                room[:rows, :, q] = K
            blocks = room.reshape(-1, sizes.lanes, columns, len(matrices))
            values = blocks.transpose(0, 2, 3, 1).reshape(-1)
        elif name in graph.nodes:
            values = np.broadcast_to(
                arrays[graph.nodes[name].block]["value"], (sizes.widths[name],)
            )
        else:
            block, _, parameter = name.rpartition(".")
            if parameter == "k":
                values = np.reshape(arrays[block]["k"], (1,))
            else:
                width = next(n.width for n in plan.stage.nodes if n.block == block)
                values = np.broadcast_to(bounds[block][parameter], (width,))
        packed[at : at + values.size] = values
    return packed
