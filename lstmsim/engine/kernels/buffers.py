"""Where a loop's numbers live.

A kernel reads and writes flat buffers: `log`, what the loop computes; `ext`, signals from other
stages; `bar`, cotangents; and `par`, the parameters (`lstmsim.engine.kernels.packing`).  The first
three have a row a sample, in which every signal takes whole vectors.  The log begins with a row
for the initial states.  A delay has no buffer: it reads its input in the previous row.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from lstmsim.base import Array
from lstmsim.engine.graph import Graph
from lstmsim.engine.schedule import Stage

K = TypeVar("K", bound=Hashable)

#: What the log keeps of a run: all signals, the outputs, or the outputs and what the gradient
#: reads; and in every case what the loop itself needs again.
LOG_MODES = ("all", "outputs", "gradient")

#: Bytes of a cache line, and of the widest vector: one that lies across two lines costs twice.
LINE = 64


def aligned(size: int, dtype: Any) -> Array:
    """Return a flat array that begins on a cache line."""
    extra = LINE // np.dtype(dtype).itemsize
    room = np.empty(size + extra, dtype)
    skipped = -room.ctypes.data % LINE // room.itemsize
    return room[skipped : skipped + size]


@dataclass(frozen=True)
class UnitLanes:
    """Vectors of neighbouring units: one vector holds `count` elements of a signal.

    What a vector's lanes hold is known here alone.  Lanes that held one unit of many sequences, or
    of many networks, would count and pack otherwise; buffers and plans would stay as they are.
    """

    count: int

    def vectors(self, width: int) -> int:
        """Return how many vectors a signal of a width takes."""
        return -(-width // self.count)

    def pack(self, matrices: Sequence[Array]) -> Array:
        """Return matrices of one shape in the order of a product that computes all of them.

        The order is (vectors of rows, columns, matrices, lanes): a vector of each result goes over
        the columns with its sum in a register, and the weights are read one after the other.
        """
        rows, columns = matrices[0].shape
        full = np.zeros((self.vectors(rows), self.count, columns, len(matrices)), matrices[0].dtype)
        stacked = full.reshape(-1, columns, len(matrices))
        for position, matrix in enumerate(matrices):
            stacked[:rows, :, position] = matrix
        return full.transpose(0, 2, 3, 1).reshape(-1)


class Rows(NamedTuple, Generic[K]):
    """Where things begin in the rows of a buffer, and how long a row is."""

    offsets: Mapping[K, int]
    length: int


@dataclass(frozen=True)
class Sizes:
    """The widths of a diagram's signals, and the vectors that hold them."""

    widths: dict[str, int]
    lanes: UnitLanes

    def padded(self, width: int) -> int:
        """Return how many elements the vectors of a width have."""
        return self.lanes.vectors(width) * self.lanes.count

    def rows(self, widths: Mapping[K, int]) -> Rows[K]:
        """Lay things of some widths side by side."""
        offsets, total = {}, 0
        for key, width in widths.items():
            offsets[key] = total
            total += self.padded(width)
        return Rows(offsets, max(total, 1))

    def signal_rows(self, signals: Iterable[str]) -> Rows[str]:
        """Lay signals side by side."""
        return self.rows({name: self.widths[name] for name in signals})


class External(NamedTuple):
    """The buffer of a loop's signals from other stages."""

    flat: Array
    rows: Rows[str]


@dataclass(frozen=True)
class Slots:
    """Which signals have a slot in which buffer of one loop.

    Parameters
    ----------
    log : tuple of str
        What is computed in the loop, and the delays that have a slot of their own.
    delays : dict of str
        For every delay the signal whose slot it reads in the previous row: the one that it stores,
        or itself.
    external : tuple of str
        Signals from other stages, a row a sample.
    constants : tuple of str
        Constants from other stages, one vector for all samples.
    """

    log: tuple[str, ...]
    delays: dict[str, str]
    external: tuple[str, ...]
    constants: tuple[str, ...]


def slots_of(graph: Graph, stage: Stage) -> Slots:
    """Give the signals of a loop their slots."""
    inside = {node.name for node in stage.nodes}
    delays: dict[str, str] = {}
    for node in stage.delays:
        source = node.inputs[0]
        # What a delay or another stage puts out is not logged; and two delays of one signal begin
        # with different values, so that one of them gets a slot.
        logged = source in inside and source not in graph.delays
        delays[node.name] = source if logged and source not in delays.values() else node.name
    computed = [node.name for node in stage.nodes if not node.op.memory]
    outside = dict.fromkeys(
        name for node in stage.nodes for name in node.inputs if name not in inside
    )
    constants = tuple(n for n in outside if n in graph.nodes and graph.nodes[n].op.constant)
    return Slots(
        log=(*computed, *(name for name, slot in delays.items() if slot == name)),
        delays=delays,
        external=tuple(name for name in outside if name not in constants),
        constants=constants,
    )
