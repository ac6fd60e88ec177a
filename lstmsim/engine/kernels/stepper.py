"""One sample at a time, for a loop with a plant or with hardware."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lstmsim.base import Array, quick_isfinite
from lstmsim.engine.graph import Graph
from lstmsim.engine.kernels.forward import ForwardRun
from lstmsim.engine.kernels.program import Program
from lstmsim.engine.schedule import Schedule, Stage
from lstmsim.engine.store import Store


class _Sample:
    """The arrays and the calls of one sample."""

    def __init__(self, run: ForwardRun, graph: Graph) -> None:
        self.calls = run.calls
        (self.input,) = (room[0] for room in run.inputs.values())
        self.states = tuple((n, place, place.shape) for n, place in run.states.items())
        outputs = [run.signal(name)[0] for name in graph.outputs]
        #: Outputs and next states, and behind them the input and the states: one look at all of
        #: them tells whether the checked path has an error to raise.
        self.numbers = (*outputs, *run.last.values(), self.input, *run.states.values())
        end = sum(map(len, outputs))
        self.y, self.finals = slice(0, end), []
        for name, last in run.last.items():
            self.finals.append((name, slice(end, end + len(last))))
            end += len(last)


class Stepper:
    """The fast path of `Compiled.step`: a whole diagram with one source as a single kernel.

    Parameters
    ----------
    graph, schedule : Graph, Schedule
        What is run.
    store : Store
        Its parameters.
    form : str
        The form of the kernels' vocabulary.
    """

    def __init__(self, graph: Graph, schedule: Schedule, store: Store, form: str) -> None:
        self.graph = graph
        dtype = store.values.dtype
        self.program = Program(graph, _one_stage(graph, schedule), dtype, form)
        self.packed = self.program.pack(store)
        self._count = len(graph.delays)
        self._ready: list[_Sample] = []

    def __call__(self, u: Array, state: Mapping[str, Any]) -> tuple[Array, dict[str, Array]] | None:
        """Return the outputs and the next state, or None where there is more to say."""
        try:
            sample = self._ready.pop()  # one step, also among threads
        except IndexError:
            sample = _Sample(ForwardRun(self.program, self.packed, 1, "outputs"), self.graph)
        try:
            return self._computed(sample, u, state)
        finally:
            self._ready.append(sample)

    def _computed(
        self, sample: _Sample, u: Array, state: Mapping[str, Any]
    ) -> tuple[Array, dict[str, Array]] | None:
        self.packed.refresh()
        sample.input[:] = u
        if len(state) != self._count:
            return None
        for name, place, shape in sample.states:
            value = state.get(name)
            if type(value) is not np.ndarray or value.shape != shape or value.dtype.kind != "f":
                return None
            place[:] = value
        for kernel, arguments in sample.calls:
            kernel(*arguments)
        numbers = np.concatenate(sample.numbers)
        if not quick_isfinite(numbers):
            return None
        return numbers[sample.y], {name: numbers[part] for name, part in sample.finals}


def _one_stage(graph: Graph, schedule: Schedule) -> Schedule:
    """Return the schedule of a single sample: one kernel computes all that is not constant.

    Signals that neither the outputs nor the states depend on are left out: no log keeps them.
    """
    needed = graph.needed([*graph.outputs, *graph.delays])
    nodes = [n for stage in schedule.stages for n in stage.nodes if n.name in needed]
    constants = Stage(False, tuple(node for node in nodes if node.op.constant))
    rest = [node for node in nodes if not node.op.constant]
    delays_first = sorted(rest, key=lambda node: not node.op.memory)
    return Schedule((constants, Stage(True, tuple(delays_first))))
