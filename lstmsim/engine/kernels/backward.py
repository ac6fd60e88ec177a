"""Gradients: the schedule of a forward run walked backwards, loops with their adjoint kernels.

Like a `ForwardRun`, a `Backward` is a list of calls on arrays that are worked out once.  The
cotangent of a signal is dL/d(signal); where a signal is read several times its cotangents add up,
the first being written and the others added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lstmsim.base import Array
from lstmsim.engine.graph import Node
from lstmsim.engine.interpreter import op_arguments
from lstmsim.engine.kernels.adjoint import read_by
from lstmsim.engine.kernels.buffers import aligned
from lstmsim.engine.kernels.forward import Call, ForwardRun, pieces
from lstmsim.engine.kernels.keys import Bar
from lstmsim.engine.kernels.program import LoopPlan
from lstmsim.engine.kernels.vocabulary import OUTER, SAMPLES_IN_CACHE
from lstmsim.engine.schedule import stacks_of


class Backward:
    """The calls that turn derivatives by the outputs into a gradient.

    Parameters
    ----------
    run : ForwardRun
        Runs with what the gradient reads.
    wrt_input : bool
        Whether dL/d(input) is wanted.

    Attributes
    ----------
    following : dict of ndarray of shape (width,)
        Where dL/d(state after the last sample) is read from, by block name: zeros, unless what
        follows the run depends on it too.
    gradient : ndarray
        dL by all parameters, as one vector in the order of the store.
    states : dict of ndarray of shape (width,)
        dL/d(initial state), by block name.
    """

    def __init__(self, run: ForwardRun, wrt_input: bool) -> None:
        self.run, program = run, run.program
        self._program, self._calls = program, list[Call]()
        self._skipped = () if wrt_input else tuple(program.graph.sources)
        self._cotangents: dict[str, Array] = {}
        self._writable: set[str] = set()
        self._written: set[Any] = set()
        self.gradient = np.zeros_like(run.packed.store.values)
        self._parts = run.packed.store.views(self.gradient)
        delays = program.graph.delays.values()
        self.states = {node.block: np.zeros(node.width, program.dtype) for node in delays}
        self.following = {block: zeros.copy() for block, zeros in self.states.items()}
        self._buffers: dict[int, Array] = {}
        # The loop, the place in its buffer, and whether it is that of the row before.
        self._slots: dict[str, tuple[int, Bar, bool]] = {}
        for number, plan in enumerate(program.plans):
            if isinstance(plan, LoopPlan):
                self._prepare_loop(number, plan)
        self._outputs = {name: self._output(name) for name in program.graph.outputs}
        for number in reversed(range(len(program.plans))):
            plan = program.plans[number]
            if isinstance(plan, LoopPlan):
                self._record_loop(number, plan)
            else:
                self._record_stage(number)
        zeros = np.zeros((run.samples, 1), program.dtype)
        #: dL/d(input), by the sources' names.
        self.inputs = {
            name: self._cotangents.get(name, np.broadcast_to(zeros, run.inputs[name].shape))
            for name in program.graph.sources
            if wrt_input
        }

    def outputs(self) -> dict[str, Array]:
        """Return where dL/d(output) is to be written for the next call, by the outputs' names."""
        for buffer in self._buffers.values():
            buffer[0] = buffer[-1] = 0
        return self._outputs

    def __call__(self) -> Array:
        """Return the gradient, which the next call changes."""
        with np.errstate(all="ignore"):  # a gradient that overflows is the caller's to see
            for function, arguments in self._calls:
                function(*arguments)
        return self.gradient

    def _call(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._calls.append((function, arguments))

    # ---------------------------------------------------------------------------------------
    # Cotangents of signals

    def _cotangent_buffer(self, name: str) -> Array:
        """Return where a signal's cotangents add up: its slot in a loop's buffer, or an array."""
        width = self._program.sizes.widths[name]
        if name in self._slots:
            number, slot, previous = self._slots[name]
            plan = self._program.plans[number]
            assert isinstance(plan, LoopPlan)
            buffer = self._buffers[number]
            at = plan.bar.offsets[slot]
            return (buffer[:-1] if previous else buffer[1:])[:, at : at + width]
        return aligned(self.run.samples * width, self._program.dtype).reshape(-1, width)

    def _first_cotangent(self, name: str) -> Array:
        """Return where the first cotangent of a signal is to be written."""
        self._written.add(self._slots[name][:2] if name in self._slots else name)
        self._cotangents[name] = self._cotangent_buffer(name)
        self._writable.add(name)
        return self._cotangents[name]

    def _output(self, name: str) -> Array:
        """Return where an output's cotangent is read from."""
        if name in self._slots and self._slots[name][:2] in self._written:
            room = np.empty_like(self._cotangent_buffer(name), order="C")
            self._add(name, _copy, room)
            return room
        return self._first_cotangent(name)

    def _add(self, name: str, function: Callable[..., Any], *arguments: Any) -> None:
        """Record a call, ``function(*arguments, out)``, and add its result to a cotangent."""
        if name in self._skipped:
            return
        if name not in self._cotangents and (
            name not in self._slots or self._slots[name][:2] not in self._written
        ):
            self._call(function, *arguments, self._first_cotangent(name))
            return
        part = np.empty_like(self._cotangent_buffer(name), order="C")
        self._call(function, *arguments, part)
        if name not in self._cotangents:
            self._cotangents[name] = self._cotangent_buffer(name)
            self._writable.add(name)
        if name in self._writable:
            self._call(np.add, self._cotangents[name], part, self._cotangents[name])
        else:
            self._call(np.add, self._cotangents[name], part, part)
            self._cotangents[name] = part
            self._writable.add(name)

    def _adopt_cotangent(self, name: str, bar: Array) -> None:
        """Take an array that a kernel writes for the cotangent of a signal from outside."""
        if name in self._slots or name in self._cotangents:
            self._add(name, _copy, bar)
        elif name not in self._skipped:
            self._cotangents[name] = bar

    def _parameter(
        self, block: str, name: str, function: Callable[..., Any], *arguments: Any
    ) -> None:
        """Record ``function(*arguments, out)`` for the gradient by a parameter."""
        out = self._parts[block][name]
        if (block, name) in self._written:
            part = np.empty_like(out)
            self._call(function, *arguments, part)
            self._call(np.add, out, part, out)
        else:
            self._written.add((block, name))
            self._call(function, *arguments, out)

    # ---------------------------------------------------------------------------------------
    # Stages without a loop

    def _record_stage(self, number: int) -> None:
        stage = self._program.schedule.stages[number]
        stacks = stacks_of(stage.nodes)
        for node in reversed(stage.nodes):
            if node.op.product:
                stack = stacks[node.inputs[0]]
                if node is stack[0]:  # all its gains' readers are behind
                    self._record_stack(node.inputs[0], stack)
            elif node.name in self._cotangents:
                self._record_node(node, self._cotangents[node.name])

    def _record_node(self, node: Node, bar: Array) -> None:
        run = self.run
        if node.op.constant:
            self._parameter(node.block, "value", _total, bar)
        elif node.op.memory:
            self._add(node.inputs[0], _earlier, bar, self.following[node.block])
            self._parameter(node.block, "x0", _copy, bar[0])
            self.states[node.block] = bar[0]
        else:
            settings = op_arguments(node, run.packed.store.arrays)
            signals = tuple(run.signal(name) for name in node.inputs)
            found: list[Any] = [None]
            self._call(_pull, found, node, bar, signals, run.signal(node.name), settings)
            for position, name in enumerate(node.inputs):
                self._add(name, _pulled, found, position)
            for name in node.parameters:
                self._parameter(node.block, name, _pulled, found, name)

    def _own_parameters(self, node: Node, bar: Array) -> None:
        """Record the gradients of an element-wise operation's parameters in a loop."""
        settings = op_arguments(node, self.run.packed.store.arrays)
        read = {name: self.run.signal(name) for name in read_by(node)}
        # What the gradient does not read was not kept: any array of the width will do.
        *inputs, y = (read.get(name, bar) for name in (*node.inputs, node.name))
        found: list[Any] = [None]
        self._call(_pull, found, node, bar, tuple(inputs), y, settings)
        for name in node.parameters:
            self._parameter(node.block, name, _pulled, found, name)

    def _record_stack(self, source: str, stack: list[Node]) -> None:
        arrays = self.run.packed.store.arrays
        gains = [
            (node, self._cotangents[node.name]) for node in stack if node.name in self._cotangents
        ]
        for node, bar in gains:
            self._add(source, np.matmul, bar, arrays[node.block]["K"])
        self._gains(gains, source)

    def _gains(self, gains: list[tuple[Node, Array]], source: str) -> None:
        """Record the gradients of gains that multiply one signal, Σ ȳ xᵀ over the samples.

        Where their cotangents lie beside one another, it is one product for all of them.
        """
        x = self.run.signal(source)
        found = self._shared_buffer([bar for _, bar in gains])
        if found is None:
            for node, bar in gains:
                self._parameter(node.block, "K", np.matmul, bar.T, x)
            return
        buffer, at, width = found
        product = self._product(buffer, at, width, source)
        begin = min(_offset(bar) for _, bar in gains)
        for node, bar in gains:
            part = product[_offset(bar) - begin :][: node.width]
            self._parameter(node.block, "K", _copy, part)

    def _shared_buffer(self, bars: list[Array]) -> tuple[Array, int, int] | None:
        """Return the loop's buffer that cotangents are columns of, if they leave no gap in it."""
        base = bars[0].base if bars else None
        buffer = next((own for own in self._buffers.values() if own.base is base), None)
        if buffer is None or any(bar.base is not base for bar in bars):
            return None
        begin, end = min(map(_offset, bars)), max(_offset(bar) + bar.shape[1] for bar in bars)
        if end - begin > sum(self._program.sizes.padded(bar.shape[1]) for bar in bars):
            return None
        return buffer, (begin - _offset(buffer)) % buffer.shape[1], end - begin

    def _product(self, buffer: Array, at: int, width: int, source: str) -> Array:
        """Record the product of columns of a loop's buffer with a signal, over the samples."""
        sizes, x = self._program.sizes, self.run.strided(source)
        columns, padded = sizes.widths[source], sizes.padded(width)
        room = aligned(columns * padded + SAMPLES_IN_CACHE * 4 * sizes.lanes.count, buffer.dtype)
        row = buffer.shape[1]
        numbers = (
            len(buffer) - 1,
            row + at,
            row,
            sizes.lanes.vectors(width),
            x.offset,
            x.stride,
            columns,
        )
        arguments = (buffer.reshape(-1), x.buffer, room, np.array(numbers, np.int64))
        self._call(self._program.kernel(OUTER), *arguments)
        return room[: columns * padded].reshape(columns, padded).T

    # ---------------------------------------------------------------------------------------
    # Loops

    def _prepare_loop(self, number: int, plan: LoopPlan) -> None:
        row = plan.bar.length
        flat = aligned((self.run.samples + 1) * row, self._program.dtype)
        flat[:] = 0
        self._buffers[number] = flat.reshape(-1, row)
        for node in plan.stage.nodes:
            bar = Bar(plan.slots.delays.get(node.name, node.name))
            if bar in plan.adjoint.reached:
                self._slots[node.name] = (number, bar, node.name in plan.slots.delays)

    def _record_loop(self, number: int, plan: LoopPlan) -> None:
        program, run, buffer = self._program, self.run, self._buffers[number]
        slots, adjoint = plan.slots, plan.adjoint
        samples, (offsets, row) = run.samples, plan.bar
        for bar in adjoint.reached:
            if (number, bar) not in self._written:
                begin = offsets[bar]
                end = begin + program.sizes.padded(program.sizes.widths[bar.signal])
                self._call(buffer[:, begin:end].fill, 0)
        for node in plan.stage.delays:
            at = offsets[Bar(slots.delays[node.name])]
            last = buffer[-1, at : at + node.width]
            self._call(np.add, last, self.following[node.block], last)
        log, external = run.logs[number]
        log_row, ext_row = plan.log[run.log_mode].length, external.rows.length
        kernel = program.kernel(adjoint.text)
        for first, end in reversed(pieces(plan, samples)):
            numbers = plan.arguments(
                adjoint.keys, end - first, run.log_mode, external.rows, program.sizes
            )
            self._call(
                kernel,
                log[first * log_row :],
                external.flat[first * ext_row :],
                run.packed.parts[plan.part],
                buffer.reshape(-1)[first * row :],
                numbers,
            )
        now = buffer[1:]

        def result(name: str) -> Array:
            at = offsets[adjoint.bars[name]]
            return now[:, at : at + program.sizes.widths[name]]

        for name in slots.external:
            self._adopt_cotangent(name, result(name))
        if slots.constants:
            # One product with ones: a sum over the samples, column by column, is slow in NumPy.
            ones, totals = np.ones(samples, program.dtype), np.empty(row, program.dtype)
            self._call(np.dot, ones, now, totals)
            for name in slots.constants:
                at = offsets[adjoint.bars[name]]
                total = totals[at : at + program.sizes.widths[name]]
                self._parameter(program.graph.nodes[name].block, "value", _narrow, total)
        for source, stack in stacks_of(plan.stage.nodes).items():
            self._gains([(node, result(node.name)) for node in stack], source)
        for node in plan.stage.nodes:
            if node.op.elementwise and node.parameters:
                self._own_parameters(node, result(node.name))
        for node in plan.stage.delays:
            at = offsets[Bar(slots.delays[node.name])]
            self.states[node.block] = buffer[0, at : at + node.width]
            self._parameter(node.block, "x0", _copy, self.states[node.block])


def _offset(bar: Array) -> int:
    """Return where an array begins, in elements."""
    return int(bar.ctypes.data) // bar.itemsize


def _copy(value: Array, out: Array) -> None:
    np.copyto(out, value)


def _total(bar: Array, out: Array) -> None:
    _narrow(bar.sum(axis=0), out)


def _narrow(total: Array, out: Array) -> None:
    """Write the gradient of a constant; sum it if the constant is one number."""
    out[...] = total if total.shape == out.shape else total.sum()


def _earlier(bar: Array, following: Array, out: Array) -> None:
    out[:-1] = bar[1:]
    out[-1] = following


def _pull(
    found: list[Any], node: Node, bar: Array, signals: Any, y: Array, settings: Mapping[str, Any]
) -> None:
    found[0] = node.op.pullback(bar, signals, y, settings)


def _pulled(found: list[Any], which: int | str, out: Array) -> None:
    inputs, parameters = found[0]
    np.copyto(out, inputs[which] if isinstance(which, int) else parameters[which])
