"""Parameters in the order that kernels read them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lstmsim.base import Array
from lstmsim.engine.graph import Graph
from lstmsim.engine.kernels.buffers import LINE, Rows, Sizes, aligned
from lstmsim.engine.kernels.keys import Constant, Pack, Parameter, ParKey
from lstmsim.engine.store import Store, layout_of, views


class Packing:
    """The order of the packed numbers: found once for a program, and used by all its stores.

    It is found by packing indices instead of values.  Index 0 is padding; then come the numbers of
    a store, and after them the numbers that are part of the structure, such as bounds.

    Parameters
    ----------
    graph : Graph
        What is run.
    sizes : Sizes
        Its widths and vectors.
    """

    def __init__(self, graph: Graph, sizes: Sizes) -> None:
        self._nodes, self._sizes = graph.nodes, sizes
        layout = layout_of(graph.parameters)
        self._stored = sum(place.slice.stop - place.slice.start for place in layout.values())
        self._indices = views(np.arange(1, 1 + self._stored), layout)
        self.structure: list[float] = []
        self.parts: list[Array] = []
        for node in graph.nodes.values():
            if node.op.elementwise:
                formula = node.formula
                # Bounds are not in the store, but kernels read them like its numbers.
                for name in (n for n in formula.parameters if n not in node.parameters):
                    begin = 1 + self._stored + len(self.structure)
                    values = np.broadcast_to(node.static[name], (node.width,))
                    self.structure.extend(values.tolist())
                    numbers = np.arange(begin, begin + node.width)
                    self._indices.setdefault(node.block, {})[name] = numbers

    def add_loop(self, keys: Iterable[ParKey]) -> tuple[Rows[ParKey], int]:
        """Pack what a loop's kernels read; return where each begins, and which part it is."""
        found = {key: self._packed(key) for key in dict.fromkeys(keys)}
        rows = self._sizes.rows({key: len(indices) for key, indices in found.items()})
        packed = np.zeros(rows.length, np.intp)
        for key, indices in found.items():
            packed[rows.offsets[key] :][: len(indices)] = indices
        self.parts.append(packed)
        return rows, len(self.parts) - 1

    def add_stack(self, gains: Iterable[str]) -> int:
        """Pack the matrices of gains of one signal one after the other; return which part it is."""
        self.parts.append(np.concatenate([self._packed(Pack((gain,))) for gain in gains]))
        return len(self.parts) - 1

    def _packed(self, key: ParKey) -> Array:
        match key:
            case Pack(gains, transposed):
                matrices = [self._of(gain, "K") for gain in gains]
                return self._sizes.lanes.pack([K.T for K in matrices] if transposed else matrices)
            case Constant(signal):
                return np.broadcast_to(self._of(signal, "value"), self._nodes[signal].width)
            case Parameter(signal, name):
                return np.broadcast_to(self._of(signal, name), self._nodes[signal].width)

    def _of(self, signal: str, name: str) -> Array:
        return self._indices[self._nodes[signal].block][name]


class Packed:
    """A store's numbers as kernels read them.

    Parameters
    ----------
    packing : Packing
        Their order.
    store : Store
        The parameters.

    Attributes
    ----------
    parts : list of ndarray
        The packed numbers of each loop and each stack of gains, by the number of the part.
    """

    def __init__(self, packing: Packing, store: Store) -> None:
        self.store = store
        dtype = store.values.dtype
        self._all = np.concatenate([[0], store.values, packing.structure]).astype(dtype)
        # Each part begins on a cache line: a vector that lies across two lines costs twice.
        line = LINE // dtype.itemsize
        filled = [np.pad(part, (0, -len(part) % line)) for part in packing.parts]
        self._index = np.concatenate([np.zeros(0, np.intp), *filled])
        self._room = aligned(len(self._index), dtype)
        ends = np.cumsum([len(part) for part in filled], dtype=int)
        self.parts = [
            self._room[end - len(full) :][: len(part)]
            for part, full, end in zip(packing.parts, filled, ends, strict=True)
        ]
        self._version = -1

    def refresh(self) -> None:
        """Pack the numbers again, if the store has others."""
        version = self.store.version
        if self._version != version:
            self._all[1 : 1 + len(self.store.values)] = self.store.values
            self._all.take(self._index, out=self._room, mode="clip")
            self._version = version  # last: until then another thread packs the same
