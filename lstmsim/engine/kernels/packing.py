"""Parameters in the order that kernels read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lstmsim.engine.graph import Graph
from lstmsim.engine.kernels.plan import LoopPlan, Sizes, Stack
from lstmsim.engine.store import Parameters, Store

Array = npt.NDArray[Any]
Plans = list[LoopPlan | tuple[Stack, ...]]

#: Bytes of a cache line, and of the widest vector: one that lies across two lines costs twice.
LINE = 64


def aligned(size: int, dtype: Any) -> Array:
    """Return a flat array that begins on a cache line."""
    extra = LINE // np.dtype(dtype).itemsize
    room = np.empty(size + extra, dtype)
    skipped = -room.ctypes.data % LINE // room.itemsize
    return room[skipped : skipped + size]


class Packed:
    """Parameters as the kernels of a program read them.

    Parameters
    ----------
    store : Store
        The parameters.
    graph, plans, sizes
        What is run.

    Attributes
    ----------
    stages : list of dict of ndarray
        For every stage the packed numbers of its loop (""), or of its products by their source.
    """

    def __init__(self, store: Store, graph: Graph, plans: Plans, sizes: Sizes) -> None:
        self.store = store
        # Where each number comes from is found by packing numbers' places instead of numbers:
        # place 0 holds the zeros between, then come the parameters, then what is not trained.
        places = np.arange(1, len(store.values) + 1)
        arrays = store.views(places)
        self._all = np.zeros(1 + len(places), store.values.dtype)
        fixed: dict[str, dict[str, Array]] = {}
        for node in graph.nodes.values():
            own = (
                node.op.element(len(node.inputs), node.static).parameters
                if node.op.elementwise
                else ()
            )
            for name in set(own) - set(node.parameters):
                at = len(self._all)
                values = np.broadcast_to(node.static[name], (node.width,))
                self._all = np.concatenate([self._all, values]).astype(store.values.dtype)
                fixed.setdefault(node.block, {})[name] = np.arange(at, len(self._all))
        indices: list[dict[str, Array]] = []
        for plan in plans:
            if isinstance(plan, LoopPlan):
                indices.append({"": _pack_loop(plan, arrays, fixed, graph, sizes)})
            else:
                indices.append({stack.source: _pack_stack(stack, arrays, sizes) for stack in plan})
        line = LINE // store.values.itemsize
        padded = [np.pad(v, (0, -len(v) % line)) for stage in indices for v in stage.values()]
        self._index = np.concatenate([np.zeros(0, np.intp), *padded])
        self._room = aligned(len(self._index), store.values.dtype)
        self.stages: list[dict[str, Array]] = []
        at = 0
        for stage in indices:
            views = {}
            for name, values in stage.items():
                views[name] = self._room[at : at + len(values)]
                at += len(values) + -len(values) % line
            self.stages.append(views)
        self._version = -1

    def refresh(self) -> None:
        """Pack the parameters again, if they have changed."""
        version = self.store.version
        if self._version != version:
            self._all[1 : 1 + len(self.store.values)] = self.store.values
            self._all.take(self._index, out=self._room, mode="clip")
            self._version = version  # last: until then another thread packs the same


def _pack_stack(stack: Stack, arrays: Parameters, sizes: Sizes) -> Array:
    columns = sizes.widths[stack.source]
    dense = np.zeros((columns, stack.row), np.intp)
    for node, at in zip(stack.nodes, stack.offsets, strict=True):
        dense[:, at : at + node.width] = arrays[node.block]["K"].T
    blocks = stack.row // sizes.lanes
    return dense.reshape(columns, blocks, sizes.lanes).transpose(1, 0, 2).reshape(-1)


def _pack_loop(
    plan: LoopPlan,
    arrays: Parameters,
    fixed: Mapping[str, Mapping[str, Array]],
    graph: Graph,
    sizes: Sizes,
) -> Array:
    packed = np.zeros(plan.par_size, np.intp)
    for name, at in plan.par.items():
        if name in plan.packs:
            matrices = [arrays[node.block]["K"] for node in plan.packs[name]]
            if name.startswith("transposed/"):
                matrices = [K.T for K in matrices]
            rows, columns = matrices[0].shape
            room = np.zeros((sizes.padded(rows), columns, len(matrices)), np.intp)
            for q, K in enumerate(matrices):
                room[:rows, :, q] = K
            blocks = room.reshape(-1, sizes.lanes, columns, len(matrices))
            values = blocks.transpose(0, 2, 3, 1).reshape(-1)
        elif name in graph.nodes:
            value = arrays[graph.nodes[name].block]["value"]
            values = np.broadcast_to(value, (sizes.widths[name],))
        else:
            parameter, block = name.split("/")
            width = next(n.width for n in plan.stage.nodes if n.block == block)
            own = {**fixed.get(block, {}), **arrays.get(block, {})}
            values = np.broadcast_to(own[parameter], (width,))
        packed[at : at + values.size] = values
    return packed
