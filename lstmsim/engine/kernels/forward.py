"""Forward runs: their arrays and calls, which are worked out once for every length of run.

Signals live in flat buffers with padded rows; `Strided` says where.  A `ForwardRun` is a list of
kernels and NumPy functions with the arrays that they work on: to run is to copy an input and
initial states into their places, and to call them one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lstmsim.engine.graph import Node
from lstmsim.engine.interpreter import Signals, settings_of
from lstmsim.engine.kernels.packing import Packed, aligned
from lstmsim.engine.kernels.plan import External, LoopPlan, Stack
from lstmsim.engine.kernels.program import Program

Array = npt.NDArray[Any]
Call = tuple[Callable[..., Any], tuple[Any, ...]]

#: Multiplications after which a kernel comes back, so that Ctrl-C ends a long run.
MULTIPLIES_PER_CALL = 2**31


class Strided(NamedTuple):
    """Where a signal's samples are: sample k at ``flat[at + k·row:][:width]``."""

    flat: Array
    at: int
    row: int

    def view(self, samples: int, width: int) -> Array:
        """Return the samples as an array of shape (samples, width), without a copy."""
        rows = self.flat[: samples * self.row].reshape(samples, self.row)
        return rows[:, self.at : self.at + width]


def pieces(plan: LoopPlan, samples: int) -> list[tuple[int, int]]:
    """Return the first sample of every call of a loop's kernel, and the sample after its last."""
    size = max(1, MULTIPLIES_PER_CALL // (plan.par_size + plan.rows["all"]))
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
    kept : str
        Which signals it keeps, one of `lstmsim.engine.kernels.plan.KEPT`.

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

    def __init__(self, program: Program, packed: Packed, samples: int, kept: str) -> None:
        self.program, self.packed = program, packed
        self.samples, self.kept = samples, kept
        self.inputs: dict[str, Array] = {}
        self.states: dict[str, Array] = {}
        self.logs: dict[int, tuple[Array, External]] = {}
        self._homes: dict[str, Strided] = {}
        self._values: Signals = {}
        self.calls: list[Call] = []
        self._places: dict[str, Array] = {}
        self._begun_with = -1  # the version of the parameters whose initial states are in place
        direct = {n for plan in program.plans if isinstance(plan, LoopPlan) for n in plan.ext}
        for name, width in program.graph.sources.items():
            # What a loop reads itself it reads in whole vectors.
            row = program.sizes.padded(width) if name in direct else width
            flat = aligned(samples * row, program.dtype)
            flat[:] = 0
            self._homes[name] = Strided(flat, 0, row)
            self.inputs[name] = self._homes[name].view(samples, width)
        for number, plan in enumerate(program.plans):
            data = packed.stages[number]
            if isinstance(plan, LoopPlan):
                self._record_loop(number, plan, data[""])
            else:
                self._record_stage(number, plan, data)
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
        return self._homes[name].view(self.samples, self.program.sizes.widths[name])

    def copy(self, name: str, out: Array | None = None) -> Array:
        """Return a copy of a signal, written into an array if one is given."""
        if out is None:
            shape = (self.samples, self.program.sizes.widths[name])
            out = np.empty(shape, self.program.dtype)
        if name in self._values or not out.flags.c_contiguous:
            out[...] = self.signal(name)
        else:
            flat, at, row = self._homes[name]
            if name not in self._places:
                blocks = self.program.sizes.padded(out.shape[1]) // self.program.sizes.lanes
                self._places[name] = np.array((*out.shape, at, row, blocks), np.int64)
            self.program.collect(flat, out.reshape(-1), self._places[name])
        return out

    def finals(self) -> dict[str, Array]:
        """Return the states after the last sample, by block name."""
        return {block: last.copy() for block, last in self.last.items()}

    def home(self, name: str) -> Strided:
        """Return where a signal is in a flat buffer."""
        if name not in self._homes:
            width = self.program.sizes.widths[name]
            value = self._values[name]
            if value.flags.writeable:
                flat = value.reshape(-1)
            else:  # a constant: one row, which is read-only
                flat = aligned(self.samples * width, self.program.dtype)
                self.calls.append((np.copyto, (flat.reshape(self.samples, width), value)))
            self._homes[name] = Strided(flat, 0, width)
        return self._homes[name]

    # ---------------------------------------------------------------------------------------
    # Recording

    def _record_stage(self, number: int, stacks: Iterable[Stack], data: Mapping[str, Any]) -> None:
        program, arrays = self.program, self.packed.store.arrays
        by_source = {stack.source: stack for stack in stacks}
        for node in program.schedule.stages[number].nodes:
            if node.op.product:
                if node.name not in self._homes:
                    self._record_stack(by_source[node.inputs[0]], data[node.inputs[0]])
                continue
            shape = (self.samples, node.width)
            if node.op.constant:
                self._values[node.name] = np.broadcast_to(arrays[node.block]["value"], shape)
                continue
            settings = settings_of(node, arrays)
            if node.op.memory:
                settings["x0"] = np.empty((1, node.width), program.dtype)
                self.states[node.block] = settings["x0"][0]
            room = aligned(self.samples * node.width, program.dtype).reshape(shape)
            self._values[node.name] = room
            inputs = tuple(self.signal(name) for name in node.inputs)
            self.calls.append((_evaluate, (room, node, inputs, settings)))

    def _record_stack(self, stack: Stack, weights: Array) -> None:
        sizes = self.program.sizes
        out = aligned(self.samples * stack.row, self.program.dtype)
        source, columns = self.home(stack.source), sizes.widths[stack.source]
        blocks = stack.row // sizes.lanes
        numbers = (self.samples, columns, source.at, source.row, stack.row, blocks)
        arguments = (source.flat, weights, out, np.array(numbers, np.int64))
        self.calls.append((self.program.product, arguments))
        for node, at in zip(stack.nodes, stack.offsets, strict=True):
            self._homes[node.name] = Strided(out, at, stack.row)

    def _record_loop(self, number: int, plan: LoopPlan, par: Array) -> None:
        program, kernel = self.program, plan.forward[self.kept]
        places, row = plan.log[self.kept], plan.rows[self.kept]
        log = aligned((self.samples + 1) * row, program.dtype)
        log[:row] = 0
        for node in plan.stage.delays:
            at = places[plan.places.delays[node.name]]
            self.states[node.block] = log[at : at + node.width]
        external = self._external(plan)
        function = program.kernel(kernel.text)
        for first, end in pieces(plan, self.samples):
            numbers = program.numbers(plan, kernel.keys, end - first, self.kept, external)
            arguments = (log[first * row :], external.flat[first * external.row :], par, numbers)
            self.calls.append((function, arguments))
        for name in kernel.kept:
            self._homes[name] = Strided(log[row:], places[name], row)
        for node in plan.stage.delays:
            self._homes[node.name] = Strided(log, places[plan.places.delays[node.name]], row)
        self.logs[number] = (log, external)

    def _external(self, plan: LoopPlan) -> External:
        """Return one buffer with all signals from other stages: theirs, if they share one."""
        lanes = self.program.sizes.lanes
        homes = {name: self._homes.get(name) for name in plan.ext}
        first = next(iter(homes.values()), None)
        if first is not None and all(
            home is not None
            and home.flat is first.flat
            and home.at % lanes == 0
            and home.row % lanes == 0
            for home in homes.values()
        ):
            places = {n: h.at for n, h in homes.items() if h is not None}
            return External(first.flat, places, first.row)
        row = plan.rows["ext"]
        ext = aligned(self.samples * row, self.program.dtype)
        ext[:] = 0
        rows = ext.reshape(self.samples, row)
        for name, at in plan.ext.items():
            room = rows[:, at : at + self.program.sizes.widths[name]]
            self.calls.append((np.copyto, (room, self.signal(name))))
        return External(ext, plan.ext, row)


# What is not finite is found, and named, afterwards: NumPy does not warn of it.


def _evaluate(room: Array, node: Node, inputs: Any, settings: dict[str, Any]) -> None:
    with np.errstate(all="ignore"):
        room[:] = node.op.forward(inputs, settings)
