"""The kernels of a schedule, for one precision and form of the vocabulary.

A `Program` knows no lengths of runs and no values of parameters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from lstmsim.engine.graph import Graph
from lstmsim.engine.kernels import cache as lanes
from lstmsim.engine.kernels.packing import Packed, Plans
from lstmsim.engine.kernels.plan import External, LoopPlan, Sizes, numbers, plan_loop, plan_stack
from lstmsim.engine.kernels.vocabulary import COLLECT, PRODUCT
from lstmsim.engine.schedule import Schedule, stacks_of
from lstmsim.engine.store import Store

Array = npt.NDArray[Any]


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
    wanted : iterable of str
        The signals that a run has to give when it need not give all.
    """

    def __init__(
        self, graph: Graph, schedule: Schedule, dtype: Any, form: str, wanted: Iterable[str]
    ) -> None:
        self.graph, self.schedule = graph, schedule
        self.dtype, self.form = np.dtype(dtype), form
        self.sizes = Sizes(graph.widths, lanes.lane_count(dtype, form))
        self.wanted = tuple(wanted)
        self.plans: Plans = []
        for stage in schedule.stages:
            if stage.loop:
                self.plans.append(plan_loop(graph, stage, self.wanted, self.sizes))
            else:
                self.plans.append(
                    tuple(plan_stack(s, n, self.sizes) for s, n in stacks_of(stage.nodes).items())
                )
        self._kernels: dict[str, Callable[..., None]] = {}
        self.product, self.collect = self.kernel(PRODUCT), self.kernel(COLLECT)

    def kernel(self, text: str) -> Callable[..., None]:
        """Return the compiled kernel of a text."""
        if text not in self._kernels:
            # The comments name this diagram's signals: without them one compilation serves all.
            bare = re.sub(r"  # .*", "", text)
            if self.form == "plain":
                name = bare.split("def ", 1)[1].split("(", 1)[0]
                self._kernels[text] = lanes.plain(bare)[name]
            else:
                self._kernels[text] = lanes.compiled(bare, self.dtype.name, self.form)
        return self._kernels[text]

    def numbers(
        self, plan: LoopPlan, keys: tuple[str, ...], samples: int, kept: str, external: External
    ) -> Array:
        """Return the sizes and places that a kernel reads."""
        return numbers(plan, keys, samples, kept, external, self.sizes)

    @property
    def texts(self) -> list[str]:
        """The text of every loop's kernel, and of its gradient's."""
        loops = [plan for plan in self.plans if isinstance(plan, LoopPlan)]
        return [text for loop in loops for text in (loop.forward["all"].text, loop.adjoint.text)]

    def pack(self, store: Store) -> Packed:
        """Return parameters as the kernels read them."""
        return Packed(store, self.graph, self.plans, self.sizes)

    def row_bytes(self, kept: str, gradient: bool = False) -> int:
        """Return how many bytes a sample of a run takes."""
        elements = sum(self.sizes.widths[name] for name in self.graph.sources)
        for plan, stage in zip(self.plans, self.schedule.stages, strict=True):
            if isinstance(plan, LoopPlan):
                elements += plan.rows[kept] + gradient * plan.rows["bar"]
            else:
                widths = (node.width for node in stage.nodes if not node.op.constant)
                elements += sum(map(self.sizes.padded, widths)) * (1 + gradient)
        return max(1, int(elements * self.dtype.itemsize))  # constants alone take none
