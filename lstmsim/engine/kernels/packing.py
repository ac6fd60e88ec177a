"""Parameters: one flat vector of them, and the same numbers in the order that kernels read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lstmsim.base import in_precision
from lstmsim.engine.graph import Graph
from lstmsim.engine.interpreter import Parameters
from lstmsim.engine.kernels.plan import LoopPlan, Sizes, Stack

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


class Store:
    """The parameters of a diagram in one precision: a flat vector, and views of it.

    Parameters
    ----------
    parameters : mapping
        The arrays of the blocks.
    dtype : dtype
        Precision.

    Attributes
    ----------
    layout : dict
        The part of the vector that a parameter is, and its shape, by block and parameter name.
    values : ndarray
        The vector.
    arrays : dict of dict of ndarray
        Views of it, by block and parameter name.
    version : int
        Counts the changes.
    """

    def __init__(self, parameters: Parameters, dtype: Any) -> None:
        self.layout: dict[tuple[str, str], tuple[slice, tuple[int, ...]]] = {}
        total = 0
        for block, values in parameters.items():
            for name, value in values.items():
                size = int(np.size(value))
                self.layout[block, name] = (slice(total, total + size), np.shape(value))
                total += size
        self.values = np.zeros(total, dtype)
        self.arrays = self.views(self.values)
        self.version = 0
        self.set(parameters)

    @property
    def initial_states(self) -> dict[str, Array]:
        """What the delays put out first, as views, by block name."""
        return {block: self.arrays[block]["x0"] for block, name in self.layout if name == "x0"}

    def views(self, values: Array) -> dict[str, dict[str, Array]]:
        """Return a vector's parts in their shapes."""
        views: dict[str, dict[str, Array]] = {}
        for (block, name), (part, shape) in self.layout.items():
            views.setdefault(block, {})[name] = values[part].reshape(shape)
        return views

    def set(self, parameters: Parameters) -> None:
        """Take over parameters of some blocks.

        Raises
        ------
        InvalidValueError
            If a number is too large for the precision.
        """
        with np.errstate(over="ignore"):
            for block, values in parameters.items():
                for name, value in values.items():
                    self.arrays[block][name][...] = value
        # One look at all of them: training sets every parameter at every step.
        if not np.logical_and.reduce(np.isfinite(self.values)):
            for block, values in parameters.items():
                for name, value in values.items():
                    in_precision(np.asarray(value), self.values.dtype, name, f"block {block!r}")
        self.version += 1


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
        # place 0 holds the zeros between, then come the parameters, then the bounds of clips.
        places = np.arange(1, len(store.values) + 1)
        arrays = store.views(places)
        self._all = np.zeros(1 + len(places), store.values.dtype)
        bounds: dict[str, dict[str, Array]] = {}
        for node in graph.nodes.values():
            if node.op.name == "clip":
                own = [np.broadcast_to(node.static[b], (node.width,)) for b in ("low", "high")]
                at = len(self._all)
                self._all = np.concatenate([self._all, *own]).astype(store.values.dtype)
                ids = np.arange(at, at + 2 * node.width).reshape(2, -1)
                bounds[node.block] = {"low": ids[0], "high": ids[1]}
        indices: list[dict[str, Array]] = []
        for plan in plans:
            if isinstance(plan, LoopPlan):
                indices.append({"": _pack_loop(plan, arrays, bounds, graph, sizes)})
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
    bounds: Mapping[str, Mapping[str, Array]],
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
            if parameter == "k":
                values = np.reshape(arrays[block]["k"], (1,))
            else:
                values = bounds[block][parameter]
        packed[at : at + values.size] = values
    return packed
