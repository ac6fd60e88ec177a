"""The kernels of a schedule, for one precision and form of the vocabulary.

A `Program` knows no lengths of runs and no values of parameters: the stores of a diagram share it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstmsim.base import Array
from lstmsim.engine.graph import Graph, Node
from lstmsim.engine.kernels import cache
from lstmsim.engine.kernels.adjoint import Adjoint, render_adjoint
from lstmsim.engine.kernels.buffers import Rows, Sizes, Slots, UnitLanes
from lstmsim.engine.kernels.keys import (
    Bar,
    Constant,
    Ext,
    Index,
    Key,
    Log,
    Pack,
    Parameter,
    ParKey,
    Row,
    Samples,
    Vectors,
    Width,
)
from lstmsim.engine.kernels.packing import Packed, Packing
from lstmsim.engine.kernels.render import Kernel, Loop, render
from lstmsim.engine.kernels.vocabulary import COLLECT, PRODUCT
from lstmsim.engine.schedule import Schedule, Stage, stacks_of
from lstmsim.engine.store import Store


@dataclass(frozen=True)
class Stack:
    """Gains of one signal in a stage without a loop, computed as one product.

    Parameters
    ----------
    source : str
        The signal.
    nodes : tuple of Node
        The gains.
    rows : Rows
        Where each gain's product is in the rows of all.
    part : int
        Which part of the packed parameters their matrices are.
    """

    source: str
    nodes: tuple[Node, ...]
    rows: Rows[str]
    part: int


@dataclass(frozen=True)
class LoopPlan:
    """The kernels of one loop, and where their numbers are for the diagram's sizes.

    Parameters
    ----------
    loop : Loop
        The loop.
    adjoint : Adjoint
        The kernel of the gradient.
    log : dict of Rows
        The rows of the log, by what is kept of a run, one of `LOG_MODES`.
    ext, bar, par : Rows
        The rows of signals from other stages and of cotangents, and the packed parameters.
    indices : dict of tuple of int
        The elements that a signal takes from another one, by its name.
    part : int
        Which part of the packed parameters is the loop's.
    kernels : dict of Kernel
        Those of the forward run that are rendered already, by what is kept.
    """

    loop: Loop
    adjoint: Adjoint
    log: dict[str, Rows[str]]
    ext: Rows[str]
    bar: Rows[Bar]
    par: Rows[ParKey]
    indices: dict[str, tuple[int, ...]]
    part: int
    kernels: dict[str, Kernel]

    @property
    def stage(self) -> Stage:
        """The loop's nodes."""
        return self.loop.stage

    @property
    def slots(self) -> Slots:
        """Which signals have a slot in which buffer."""
        return self.loop.slots

    def forward(self, log_mode: str) -> Kernel:
        """Return the kernel of the forward run, rendered when it is first wanted."""
        if log_mode not in self.kernels:
            self.kernels[log_mode] = render(self.loop, tuple(self.log[log_mode].offsets))
        return self.kernels[log_mode]

    def arguments(
        self,
        keys: tuple[Key, ...],
        samples: int,
        log_mode: str,
        external: Rows[str],
        sizes: Sizes,
    ) -> Array:
        """Return the numbers that a kernel's text reads, in the order of its keys."""
        log = self.log[log_mode]
        lengths = {"log": log.length, "ext": external.length, "bar": self.bar.length}
        elements: list[int] = []  # of all indices, behind the numbers of the keys

        def number(key: Key) -> int:
            match key:
                case Samples():
                    return samples
                case Row(buffer):
                    return lengths[buffer]
                case Width(signal):
                    return sizes.widths[signal]
                case Vectors(signal):
                    return sizes.lanes.vectors(sizes.widths[signal])
                case Index(signal):
                    begin = len(keys) + len(elements)
                    elements.extend(self.indices[signal])
                    return begin
                case Log(signal):
                    return log.offsets[signal]
                case Ext(signal):
                    return external.offsets[signal]
                case Bar():
                    return self.bar.offsets[key]
                case Constant() | Parameter() | Pack():
                    return self.par.offsets[key]

        return np.array([*map(number, keys), *elements], np.int64)


class Program:
    """The kernels of a schedule.

    Parameters
    ----------
    graph, schedule : Graph, Schedule
        What is run.
    dtype : dtype
        Precision.
    form : str
        "vector", "scalar" or "plain".

    Attributes
    ----------
    plans : list
        For every stage its loop's plan, or its stacks of gains.
    """

    def __init__(self, graph: Graph, schedule: Schedule, dtype: Any, form: str) -> None:
        self.graph, self.schedule = graph, schedule
        self.dtype, self.form = np.dtype(dtype), form
        self.sizes = Sizes(graph.widths, UnitLanes(cache.lane_count(dtype, form)))
        self.packing = Packing(graph, self.sizes)
        self.plans: list[LoopPlan | tuple[Stack, ...]] = [
            self._plan_loop(stage)
            if stage.loop
            else tuple(self._plan_stack(s, nodes) for s, nodes in stacks_of(stage.nodes).items())
            for stage in schedule.stages
        ]
        self._kernels: dict[str, Callable[..., None]] = {}
        self.product, self.collect = self.kernel(PRODUCT), self.kernel(COLLECT)

    def _plan_stack(self, source: str, nodes: list[Node]) -> Stack:
        names = [node.name for node in nodes]
        part = self.packing.add_stack(names)
        return Stack(source, tuple(nodes), self.sizes.signal_rows(names), part)

    def _plan_loop(self, stage: Stage) -> LoopPlan:
        """Render a loop's kernels, and give everything its place."""
        sizes, loop = self.sizes, Loop(self.graph, stage)
        slots, adjoint = loop.slots, render_adjoint(loop)
        # Of a run of which only the outputs are wanted: they, what later stages read, and the
        # states to go on with.
        ends = [*loop.read_outside, *[node.inputs[0] for node in stage.delays]]
        logged = {
            "all": slots.log,
            "outputs": loop.logged(ends),
            "gradient": loop.logged([*ends, *adjoint.logged]),
        }
        forward = render(loop, logged["outputs"])
        # The numbers of parameters and of cotangents are the same whatever the log keeps.
        keys = dict.fromkeys((*forward.keys, *adjoint.keys))
        par, part = self.packing.add_loop([key for key in keys if isinstance(key, ParKey)])
        bars = [key for key in keys if isinstance(key, Bar)]
        return LoopPlan(
            loop=loop,
            adjoint=adjoint,
            log={mode: sizes.signal_rows(names) for mode, names in logged.items()},
            ext=sizes.signal_rows(slots.external),
            bar=sizes.rows({bar: sizes.widths[bar.signal] for bar in bars}),
            par=par,
            indices={n.name: n.static["index"] for n in stage.nodes if "index" in n.static},
            part=part,
            kernels={"outputs": forward},
        )

    def kernel(self, text: str) -> Callable[..., None]:
        """Return the compiled kernel of a text."""
        if text not in self._kernels:
            # The comments name this diagram's signals: without them one compilation serves all.
            bare = re.sub(r"  # .*", "", text)
            if self.form == "plain":
                name = bare.split("def ", 1)[1].split("(", 1)[0]
                self._kernels[text] = cache.plain(bare)[name]
            else:
                self._kernels[text] = cache.compiled(bare, self.dtype.name, self.form)
        return self._kernels[text]

    @property
    def texts(self) -> list[str]:
        """The text of every loop's kernel, and of its gradient's."""
        loops = [plan for plan in self.plans if isinstance(plan, LoopPlan)]
        return [text for loop in loops for text in (loop.forward("all").text, loop.adjoint.text)]

    def pack(self, store: Store) -> Packed:
        """Return parameters as the kernels read them."""
        return Packed(self.packing, store)

    def row_bytes(self, log_mode: str, gradient: bool = False) -> int:
        """Return how many bytes a sample of a run takes."""
        elements = sum(self.sizes.widths[name] for name in self.graph.sources)
        for plan, stage in zip(self.plans, self.schedule.stages, strict=True):
            if isinstance(plan, LoopPlan):
                elements += plan.log[log_mode].length + gradient * plan.bar.length
            else:
                names = [node.name for node in stage.nodes if not node.op.constant]
                elements += self.sizes.signal_rows(names).length * (1 + gradient) if names else 0
        return max(1, int(elements * self.dtype.itemsize))  # constants alone take none
