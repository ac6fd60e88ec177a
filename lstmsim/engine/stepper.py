"""One sample at a time, for a loop with a plant or with hardware."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lstmsim.engine.engines import one_stage
from lstmsim.engine.graph import Graph
from lstmsim.engine.packing import Store
from lstmsim.engine.program import Program
from lstmsim.engine.schedule import Schedule
from lstmsim.engine.tape import Tape

Array = npt.NDArray[Any]


class _Sample:
    """The arrays of one sample, and the kernel that computes it."""

    def __init__(self, tape: Tape, graph: Graph) -> None:
        ((self.kernel, self.arguments),) = tape.calls
        (self.input,) = (room[0] for room in tape.inputs.values())
        self.states = tuple(tape.states.items())
        self.outputs = tuple(tape.signal(name)[0] for name in graph.outputs)
        self.finals = tuple(tape.last.items())


class Stepper:
    """What `Compiled.step` calls: a whole diagram of one source as a single kernel.

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
        program = Program(graph, one_stage(schedule), store.values.dtype, form, graph.outputs)
        self.program, self.packed = program, program.pack(store)
        self._shape = tuple(graph.sources.values())
        self._count = len(graph.delays)
        self._ready: list[_Sample] = []

    def __call__(self, u: Array, state: Mapping[str, Any]) -> tuple[Array, dict[str, Array]] | None:
        """Return the outputs and the next state, or None where there is more to say."""
        if u.shape != self._shape or u.dtype.kind != "f" or len(state) != self._count:
            return None
        try:
            sample = self._ready.pop()  # one step, also among threads
        except IndexError:
            tape = Tape(self.program, self.packed, 1, "outputs")
            sample = _Sample(tape, self.graph)
        self.packed.refresh()
        sample.input[:] = u
        for name, place in sample.states:
            value = state.get(name)
            if type(value) is not np.ndarray or value.shape != place.shape:
                return None
            place[:] = value
        sample.kernel(*sample.arguments)
        y = sample.outputs[0].copy() if len(sample.outputs) == 1 else np.hstack(sample.outputs)
        finals = {name: value.copy() for name, value in sample.finals}
        self._ready.append(sample)
        # A NaN or an infinity among them makes this product one.
        return (y, finals) if y.dot(y) < np.inf else None
