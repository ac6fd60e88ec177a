"""Planning: where the kernels of a schedule find their numbers, for a diagram's sizes.

A kernel's key is ``kind:name``.  What a name has in it beyond a signal's or a block's own is set
off by slashes, which no block's name has (`host.check_names`): ``par:pack/0/u``, ``par:k/gain``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lstmsim.engine.graph import Graph, Node
from lstmsim.engine.kernels.adjoint import Adjoint, render_adjoint
from lstmsim.engine.kernels.layout import Places, phases
from lstmsim.engine.kernels.render import Kernel, render
from lstmsim.engine.schedule import Stage, stacks_of

Array = npt.NDArray[Any]


#: What is kept of a run: all signals, the outputs, or the outputs and what the gradient reads.
KEPT = ("all", "outputs", "gradient")


@dataclass(frozen=True)
class Sizes:
    """The widths of a diagram's signals, and how many elements a vector of the kernels has."""

    widths: dict[str, int]
    lanes: int

    def padded(self, width: int) -> int:
        """Return a width in whole vectors."""
        return -(-width // self.lanes) * self.lanes

    def offsets(self, names: Iterable[str]) -> tuple[dict[str, int], int]:
        """Return where each signal begins in a row, and how long the row is."""
        places, total = {}, 0
        for name in names:
            places[name] = total
            total += self.padded(self.widths[name.removesuffix("/")])
        return places, max(total, 1)


class External(NamedTuple):
    """The buffer of a loop's signals from other stages."""

    flat: Array
    places: dict[str, int]
    row: int


@dataclass(frozen=True)
class Stack:
    """Gains of one signal in a stage without a loop, computed as one product."""

    source: str
    nodes: tuple[Node, ...]
    offsets: tuple[int, ...]
    row: int


@dataclass(frozen=True)
class LoopPlan:
    """The kernels of one loop, and the places in their buffers for the diagram's sizes.

    Parameters
    ----------
    stage : Stage
        The loop.
    places : Places
        Its slots.
    forward : dict of Kernel
        By what is kept of a run: one of `KEPT`.
    adjoint : Adjoint
        The kernel of the gradient.
    log : dict of dict of int
        Where signals begin in a row of the log, by what is kept.
    ext, bar, par : dict of int
        The same in the rows of signals from other stages and of cotangents, and in the packed
        parameters.
    par_size : int
        How many numbers the packed parameters are.
    rows : dict of int
        Lengths of the rows.
    indices : dict of tuple of int
        The elements that a `take` takes, by signal name.
    packs : dict of tuple of Node
        The gains of each product.
    """

    stage: Stage
    places: Places
    forward: dict[str, Kernel]
    adjoint: Adjoint
    log: dict[str, dict[str, int]]
    ext: dict[str, int]
    bar: dict[str, int]
    par: dict[str, int]
    par_size: int
    rows: dict[str, int]
    indices: dict[str, tuple[int, ...]]
    packs: dict[str, tuple[Node, ...]]


def plan_stack(source: str, nodes: list[Node], sizes: Sizes) -> Stack:
    """Give every gain of a stack its place in the product's rows."""
    offsets, row = sizes.offsets(node.name for node in nodes)
    return Stack(source, tuple(nodes), tuple(offsets.values()), row)


def plan_loop(graph: Graph, stage: Stage, wanted: Iterable[str], sizes: Sizes) -> LoopPlan:
    """Render the kernels of a loop, and give everything its place."""
    inside = {node.name for node in stage.nodes}
    later = {
        name for node in graph.nodes.values() if node.name not in inside for name in node.inputs
    }
    sources = [node.inputs[0] for node in stage.delays]
    outside = [n for n in (*wanted, *later) if n in inside]
    full = render(graph, stage)
    adjoint = render_adjoint(graph, stage)
    places = full.places
    kept = {places.delays.get(name, name) for name in (*outside, *sources)}
    forward = {
        "all": full,
        "outputs": render(graph, stage, kept),
        "gradient": render(graph, stage, kept.union(adjoint.logged)),
    }
    log, rows = {}, {}
    for kind, kernel in forward.items():
        log[kind], rows[kind] = sizes.offsets(kernel.kept)
    ext, rows["ext"] = sizes.offsets(places.external)
    packs = {
        f"{kind}/{number}/{source}": tuple(stack)
        for number, phase in enumerate(phases(stage))
        for source, stack in stacks_of(phase.nodes).items()
        for kind in ("pack", "transposed")
    }
    keys = (*full.keys, *adjoint.keys)
    par, size = _parameter_places(stage, keys, packs, sizes)
    bar, rows["bar"] = sizes.offsets(
        dict.fromkeys(k.removeprefix("bar:") for k in adjoint.keys if k.startswith("bar:"))
    )
    indices = {node.name: node.static["index"] for node in stage.nodes if "index" in node.static}
    return LoopPlan(stage, places, forward, adjoint, log, ext, bar, par, size, rows, indices, packs)


def _parameter_places(
    stage: Stage,
    keys: Iterable[str],
    packs: Mapping[str, tuple[Node, ...]],
    sizes: Sizes,
) -> tuple[dict[str, int], int]:
    places: dict[str, int] = {}
    total = 0
    for key in dict.fromkeys(k for k in keys if k.startswith("par:")):
        name = key.removeprefix("par:")
        places[name] = total
        if name in packs:
            kind, _, source = name.split("/")
            rows, columns = packs[name][0].width, sizes.widths[source]
            stack = packs[name]
            if kind == "pack":
                total += sizes.padded(rows) * columns * len(stack)
            else:
                total += sizes.padded(columns) * rows * len(stack)
        elif name in sizes.widths:
            total += sizes.padded(sizes.widths[name])
        else:
            block = name.split("/")[1]
            total += sizes.padded(next(n.width for n in stage.nodes if n.block == block))
    return places, max(total, 1)


def numbers(
    plan: LoopPlan, keys: tuple[str, ...], samples: int, kind: str, external: External, sizes: Sizes
) -> Array:
    """Return the sizes and places that a kernel's text reads."""
    tables = {"log": plan.log[kind], "ext": external.places, "par": plan.par, "bar": plan.bar}
    rows = {"log": plan.rows[kind], "ext": external.row, "bar": plan.rows["bar"]}
    extra: list[int] = []
    values = []
    for key in keys:
        what, _, name = key.partition(":")
        if what == "samples":
            values.append(samples)
        elif what == "row":
            values.append(rows[name])
        elif what == "width":
            values.append(sizes.widths[name])
        elif what == "blocks":
            values.append(sizes.padded(sizes.widths[name.removesuffix("/")]) // sizes.lanes)
        elif what == "index":
            values.append(len(keys) + len(extra))
            extra.extend(plan.indices[name])
        else:
            values.append(tables[what][name])
    return np.array([*values, *extra], np.int64)
