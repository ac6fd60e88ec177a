"""Forward runs: their arrays and calls, which are worked out once for every length of run.

Signals live in flat buffers with padded rows; `Strided` says where.  A `ForwardRun` is a list of
kernels and NumPy functions with the arrays that they work on: to run is to copy an input and
initial states into their places, and to call them one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lstmsim.base import Array
from lstmsim.engine.graph import Node
from lstmsim.engine.interpreter import Signals, op_arguments
from lstmsim.engine.kernels.buffers import External, Rows, aligned
from lstmsim.engine.kernels.packing import Packed
from lstmsim.engine.kernels.program import LoopPlan, Program, Stack

Call = tuple[Callable[..., Any], tuple[Any, ...]]

#: Multiplications after which a kernel comes back, so that Ctrl-C ends a long run.
MULTIPLIES_PER_CALL = 2**31


class Strided(NamedTuple):
    """Where a signal's samples are: sample k is ``buffer[offset + k * stride :][:width]``."""

    buffer: Array
    offset: int
    stride: int

    def view(self, samples: int, width: int) -> Array:
        """Return the samples as an array of shape (samples, width), without a copy."""
        rows = self.buffer[: samples * self.stride].reshape(samples, self.stride)
        return rows[:, self.offset : self.offset + width]


def pieces(plan: LoopPlan, samples: int) -> list[tuple[int, int]]:
    """Return the first sample of every call of a loop's kernel, and the sample after its last."""
    size = max(1, MULTIPLIES_PER_CALL // (plan.par.length + plan.log["all"].length))
    return [(k, min(k + size, samples)) for k in range(0, samples, size)]


class ForwardRun:
    """The arrays and the calls of runs of one length.

    Parameters
    ----------
    program : Program
        The kernels.
    packed : Packed
        The parameters, read when the kernels are called.
    samples : int
        How many samples a run has.
    log_mode : str
        Which signals it keeps, one of `lstmsim.engine.kernels.buffers.LOG_MODES`.

    Attributes
    ----------
    inputs : dict of ndarray of shape (samples, width)
        Where the sources' samples are read from.
    states : dict of ndarray of shape (width,)
        Where the first outputs of the delays are read from, by block name.
    last : dict of ndarray of shape (width,)
        Where the states after the last sample are, by block name.
    logs : dict
        The buffers of each loop, by its stage's number.
    calls : list
        The functions and their arguments.
    """

    def __init__(self, program: Program, packed: Packed, samples: int, log_mode: str) -> None:
        self.program, self.packed = program, packed
        self.samples, self.log_mode = samples, log_mode
        self.inputs: dict[str, Array] = {}
        self.states: dict[str, Array] = {}
        self.logs: dict[int, tuple[Array, External]] = {}
        self._strided: dict[str, Strided] = {}
        self._values: Signals = {}
        self.calls: list[Call] = []
        self._collected: dict[str, Array] = {}
        self._begun_with = -1  # the version of the parameters whose initial states are in place
        loops = [plan for plan in program.plans if isinstance(plan, LoopPlan)]
        direct = {name for plan in loops for name in plan.slots.external}
        for name, width in program.graph.sources.items():
            # What a loop reads itself it reads in whole vectors.
            row = program.sizes.padded(width) if name in direct else width
            flat = aligned(samples * row, program.dtype)
            flat[:] = 0
            self._strided[name] = Strided(flat, 0, row)
            self.inputs[name] = self._strided[name].view(samples, width)
        for number, plan in enumerate(program.plans):
            if isinstance(plan, LoopPlan):
                self._record_loop(number, plan)
            else:
                self._record_stage(number, plan)
        self.last = {
            node.block: self.signal(node.inputs[0])[-1] for node in program.graph.delays.values()
        }

    # ---------------------------------------------------------------------------------------
    # Running

    def forward(
        self, inputs: Mapping[str, Array], states: Mapping[str, Array] | None = None
    ) -> None:
        """Compute all signals, from the delays' own initial states or from given ones."""
        self.packed.refresh()
        for name, room in self.inputs.items():
            np.copyto(room, inputs[name], casting="same_kind")
        if states is not None:
            self._begun_with = -1  # first: also where what is given does not fit
            for block, place in self.states.items():
                place[:] = states[block]
        elif self._begun_with != self.packed.store.version:
            for block, place in self.states.items():
                place[:] = self.packed.store.arrays[block]["x0"]
            self._begun_with = self.packed.store.version
        for function, arguments in self.calls:
            function(*arguments)

    def signal(self, name: str) -> Array:
        """Return a signal as an array of shape (samples, width), which the next run changes."""
        if name in self._values:
            return self._values[name]
        return self._strided[name].view(self.samples, self.program.sizes.widths[name])

    def copy(self, name: str, out: Array | None = None) -> Array:
        """Return a copy of a signal, written into an array if one is given."""
        if out is None:
            shape = (self.samples, self.program.sizes.widths[name])
            out = np.empty(shape, self.program.dtype)
        if name in self._values or not out.flags.c_contiguous:
            out[...] = self.signal(name)
        else:
            buffer, offset, stride = self._strided[name]
            if name not in self._collected:
                vectors = self.program.sizes.lanes.vectors(out.shape[1])
                self._collected[name] = np.array((*out.shape, offset, stride, vectors), np.int64)
            self.program.collect(buffer, out.reshape(-1), self._collected[name])
        return out

    def finals(self) -> dict[str, Array]:
        """Return the states after the last sample, by block name."""
        return {block: last.copy() for block, last in self.last.items()}

    def strided(self, name: str) -> Strided:
        """Return where a signal is in a flat buffer."""
        if name not in self._strided:
            width = self.program.sizes.widths[name]
            value = self._values[name]
            if value.flags.writeable:
                flat = value.reshape(-1)
            else:  # a constant: one row, which is read-only
                flat = aligned(self.samples * width, self.program.dtype)
                self.calls.append((np.copyto, (flat.reshape(self.samples, width), value)))
            self._strided[name] = Strided(flat, 0, width)
        return self._strided[name]

    # ---------------------------------------------------------------------------------------
    # Recording

    def _record_stage(self, number: int, stacks: Iterable[Stack]) -> None:
        program, arrays = self.program, self.packed.store.arrays
        by_source = {stack.source: stack for stack in stacks}
        for node in program.schedule.stages[number].nodes:
            if node.op.product:
                if node.name not in self._strided:
                    self._record_stack(by_source[node.inputs[0]])
                continue
            shape = (self.samples, node.width)
            if node.op.constant:
                self._values[node.name] = np.broadcast_to(arrays[node.block]["value"], shape)
                continue
            settings = op_arguments(node, arrays)
            if node.op.memory:
                settings["x0"] = np.empty((1, node.width), program.dtype)
                self.states[node.block] = settings["x0"][0]
            room = aligned(self.samples * node.width, program.dtype).reshape(shape)
            self._values[node.name] = room
            inputs = tuple(self.signal(name) for name in node.inputs)
            self.calls.append((_evaluate, (room, node, inputs, settings)))

    def _record_stack(self, stack: Stack) -> None:
        sizes, row = self.program.sizes, stack.rows.length
        out = aligned(self.samples * row, self.program.dtype)
        source, columns = self.strided(stack.source), sizes.widths[stack.source]
        vectors = sizes.lanes.vectors(row)
        numbers = (self.samples, columns, source.offset, source.stride, row, vectors)
        weights = self.packed.parts[stack.part]
        arguments = (source.buffer, weights, out, np.array(numbers, np.int64))
        self.calls.append((self.program.product, arguments))
        for name, offset in stack.rows.offsets.items():
            self._strided[name] = Strided(out, offset, row)

    def _record_loop(self, number: int, plan: LoopPlan) -> None:
        program, kernel = self.program, plan.forward(self.log_mode)
        offsets, row = plan.log[self.log_mode]
        log = aligned((self.samples + 1) * row, program.dtype)
        log[:row] = 0
        for node in plan.stage.delays:
            offset = offsets[plan.slots.delays[node.name]]
            self.states[node.block] = log[offset : offset + node.width]
        external = self._external(plan)
        ext, ext_row = external.flat, external.rows.length
        function, par = program.kernel(kernel.text), self.packed.parts[plan.part]
        for first, end in pieces(plan, self.samples):
            numbers = plan.arguments(
                kernel.keys, end - first, self.log_mode, external.rows, program.sizes
            )
            arguments = (log[first * row :], ext[first * ext_row :], par, numbers)
            self.calls.append((function, arguments))
        for name, offset in offsets.items():
            self._strided[name] = Strided(log[row:], offset, row)
        for node in plan.stage.delays:
            self._strided[node.name] = Strided(log, offsets[plan.slots.delays[node.name]], row)
        self.logs[number] = (log, external)

    def _external(self, plan: LoopPlan) -> External:
        """Return one buffer with all signals from other stages: theirs, if they share one."""
        lanes = self.program.sizes.lanes.count
        found = {name: self._strided.get(name) for name in plan.slots.external}
        first = next(iter(found.values()), None)
        if first is not None and all(
            own is not None
            and own.buffer is first.buffer
            and own.offset % lanes == 0
            and own.stride % lanes == 0
            for own in found.values()
        ):
            offsets = {name: own.offset for name, own in found.items() if own is not None}
            return External(first.buffer, Rows(offsets, first.stride))
        row = plan.ext.length
        flat = aligned(self.samples * row, self.program.dtype)
        flat[:] = 0
        rows = flat.reshape(self.samples, row)
        for name, offset in plan.ext.offsets.items():
            room = rows[:, offset : offset + self.program.sizes.widths[name]]
            self.calls.append((np.copyto, (room, self.signal(name))))
        return External(flat, plan.ext)


# What is not finite is found, and named, afterwards: NumPy does not warn of it.


def _evaluate(room: Array, node: Node, inputs: Any, settings: dict[str, Any]) -> None:
    with np.errstate(all="ignore"):
        room[:] = node.op.forward(inputs, settings)
