"""Running a schedule with compiled kernels.

A `Program` is a schedule with its kernels, for one precision and form of vocabulary; it knows no
lengths of runs and no values of parameters.  Signals live in flat buffers with padded rows;
`Home` says where.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lstmsim.engine import lanes
from lstmsim.engine.graph import Graph, Node
from lstmsim.engine.interpreter import Parameters, Signals, settings_of
from lstmsim.engine.packing import FEW_COLUMNS, Packed, Plans, pack
from lstmsim.engine.plan import (
    External,
    LoopPlan,
    Sizes,
    Stack,
    numbers,
    plan_loop,
    plan_stack,
)
from lstmsim.engine.render import stacks_of
from lstmsim.engine.schedule import Schedule
from lstmsim.engine.vocabulary import PRODUCT

Array = npt.NDArray[Any]


class Home(NamedTuple):
    """Where a signal's samples are: sample k at ``flat[at + k·row:][:width]``."""

    flat: Array
    at: int
    row: int

    def view(self, samples: int, width: int) -> Array:
        """Return the samples as an array of shape (samples, width), without a copy."""
        rows = self.flat[: samples * self.row] if self.at + width <= self.row else None
        assert rows is not None
        return rows.reshape(samples, self.row)[:, self.at : self.at + width]


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
        The signals that `forward` has to give when it need not give all.
    """

    def __init__(
        self, graph: Graph, schedule: Schedule, dtype: Any, form: str, wanted: Iterable[str]
    ) -> None:
        self.graph, self.schedule = graph, schedule
        self.dtype, self.form = np.dtype(dtype), form
        widths = {n: node.width for n, node in graph.nodes.items()} | graph.sources
        self.sizes = Sizes(widths, lanes.lane_count(dtype, form))
        self.wanted = tuple(wanted)
        self.product = self._compile(PRODUCT)
        self.plans: Plans = []
        for stage in schedule.stages:
            if stage.loop:
                self.plans.append(plan_loop(graph, stage, self.wanted, self.sizes))
            else:
                self.plans.append(
                    tuple(plan_stack(s, n, self.sizes) for s, n in stacks_of(stage.nodes).items())
                )
        self._kernels: dict[str, Callable[..., None]] = {}
        self._numbers: dict[Any, Array] = {}

    def _compile(self, text: str) -> Callable[..., None]:
        # The comments name this diagram's signals: without them one compilation serves them all.
        text = re.sub(r"  # .*", "", text)
        if self.form == "plain":
            return lanes.plain(text)[text.split("def ", 1)[1].split("(", 1)[0]]
        return lanes.compiled(text, self.dtype.name, self.form)

    def kernel(self, text: str) -> Callable[..., None]:
        """Return the compiled kernel of a text."""
        if text not in self._kernels:
            self._kernels[text] = self._compile(text)
        return self._kernels[text]

    def numbers(
        self,
        number: int,
        plan: LoopPlan,
        keys: tuple[str, ...],
        samples: int,
        log: str,
        external: External,
    ) -> Array:
        """Return the sizes and places that a kernel reads, as found before if they were."""
        key = (number, keys, samples, log, external.row, tuple(external.places.values()))
        if key not in self._numbers:
            self._numbers[key] = numbers(plan, keys, samples, log, external, self.sizes)
        return self._numbers[key]

    def pack(self, parameters: Parameters) -> Packed:
        """Return parameters as the kernels read them."""
        return pack(parameters, self.graph, self.plans, self.sizes, self.dtype)

    def forward(
        self,
        packed: Packed,
        inputs: Mapping[str, Array],
        states: Mapping[str, Array],
        samples: int,
        everything: bool,
    ) -> Run:
        """Run one sequence, and return where its signals are.

        The run records what it calls, on which arrays: `Run.again` repeats it, on a new input in
        the same arrays, without any of what leads to the calls.
        """
        homes: dict[str, Home] = {}
        values: Signals = {}
        for name, array in inputs.items():
            flat = np.array(array, self.dtype).reshape(-1)  # kernels' arrays can be written to
            homes[name] = Home(flat, 0, self.sizes.widths[name])
        run = Run(self, samples, homes, values, {}, [], {}, [])
        for number, plan in enumerate(self.plans):
            data = packed.stages[number]
            if isinstance(plan, LoopPlan):
                self._run_loop(run, number, plan, data[""], states, everything)
            else:
                self._run_stage(run, number, data, packed.arrays, states)
        return run

    def _run_stage(
        self, run: Run, number: int, data: Any, arrays: Parameters, states: Mapping[str, Array]
    ) -> None:
        stacks = {stack.source: stack for stack in self.plans[number]}  # type: ignore[union-attr]
        for node in self.schedule.stages[number].nodes:
            if node.op.name == "matvec":
                if node.name not in run.homes:
                    self._run_stack(run, stacks[node.inputs[0]], data[node.inputs[0]])
                continue
            settings = settings_of(node, arrays)
            if node.op.name == "delay":
                settings["x0"] = np.array(states[node.block][None, :])
                run.states[node.block] = settings["x0"][0]
            room = np.empty((run.samples, node.width), self.dtype)
            run.values[node.name] = room
            inputs = tuple(run.signal(name) for name in node.inputs)
            if node.op.name == "constant":
                room[:] = node.op.forward(inputs, settings)
                run.constants.append((room, node, settings))
            else:
                run.call(_evaluate, room, node, inputs, settings)

    def _run_stack(self, run: Run, stack: Stack, weights: Array) -> None:
        out = np.empty(run.samples * stack.row, self.dtype)
        columns = self.sizes.widths[stack.source]
        if columns > FEW_COLUMNS:
            room = out.reshape(run.samples, stack.row)
            run.call(np.matmul, run.signal(stack.source), weights, room)
        else:
            source = run.home(stack.source)
            blocks = stack.row // self.sizes.lanes
            sizes = (run.samples, columns, source.row, stack.row, 0, blocks)
            run.call(
                self.product, source.flat[source.at :], weights, out, np.array(sizes, np.int64)
            )
        for node, at in zip(stack.nodes, stack.offsets, strict=True):
            run.homes[node.name] = Home(out, at, stack.row)

    def _run_loop(
        self,
        run: Run,
        number: int,
        plan: LoopPlan,
        par: Array,
        states: Mapping[str, Array],
        everything: bool,
    ) -> None:
        kernel, places, kind = plan.few, plan.log_few, "few"
        if everything:
            kernel, places, kind = plan.full, plan.log_full, "full"
        row = plan.rows[kind]
        log = np.empty((run.samples + 1) * row, self.dtype)
        log[:row] = 0
        for node in plan.stage.delays:
            at = places[plan.full.places.delays[node.name]]
            run.states[node.block] = log[at : at + node.width]
            run.states[node.block][:] = states[node.block]
        external = self._external(run, plan)
        numbers = self.numbers(number, plan, kernel.keys, run.samples, kind, external)
        run.call(self.kernel(kernel.text), log, external.flat, par, numbers)
        for name in kernel.kept:
            run.homes[name] = Home(log[row:], places[name], row)
        for node in plan.stage.delays:
            run.homes[node.name] = Home(log, places[plan.full.places.delays[node.name]], row)
        run.logs[number] = (log, external)

    def _external(self, run: Run, plan: LoopPlan) -> External:
        """Return one buffer with all signals from other stages: theirs, if they share one."""
        homes = {name: run.homes.get(name) for name in plan.ext}
        first = next(iter(homes.values()), None)
        if first is not None and all(
            home is not None
            and home.flat is first.flat
            and home.at % self.sizes.lanes == 0
            and home.row % self.sizes.lanes == 0
            for home in homes.values()
        ):
            places = {n: h.at for n, h in homes.items() if h is not None}
            return External(first.flat, places, first.row)
        row = plan.rows["ext"]
        ext = np.zeros((run.samples, row), self.dtype)
        for name, at in plan.ext.items():
            run.call(np.copyto, ext[:, at : at + self.sizes.widths[name]], run.signal(name))
        return External(ext.reshape(-1), plan.ext, row)


def _evaluate(room: Array, node: Node, inputs: Any, settings: dict[str, Any]) -> None:
    room[:] = node.op.forward(inputs, settings)


@dataclass(frozen=True)
class Run:
    """What a forward run has computed, and how.

    Parameters
    ----------
    program : Program
        What was run.
    samples : int
        How many samples.
    homes, values : dict
        Where the signals are: in flat buffers, or arrays of their own.
    logs : dict
        The buffers of each loop, by its stage's number.
    calls : list
        The functions and arguments that computed it.
    states : dict of ndarray
        Where the first outputs of the delays are, by block name.
    constants : list
        The arrays that hold constants, with what they are computed from.
    """

    program: Program
    samples: int
    homes: dict[str, Home]
    values: Signals
    logs: dict[int, tuple[Array, External]]
    calls: list[tuple[Callable[..., Any], tuple[Any, ...]]]
    states: dict[str, Array]
    constants: list[tuple[Array, Node, dict[str, Any]]]

    def renew(self, packed: Packed) -> None:
        """Take over constants and initial states that were packed again."""
        for room, node, settings in self.constants:
            room[:] = node.op.forward((), settings)
        for block, place in self.states.items():
            place[:] = packed.arrays[block]["x0"]

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function, and remember it for the next time."""
        function(*arguments)
        self.calls.append((function, arguments))

    def again(self) -> None:
        """Compute all signals once more, from what the inputs' and states' arrays hold now."""
        for function, arguments in self.calls:
            function(*arguments)

    def signal(self, name: str) -> Array:
        """Return a signal as an array of shape (samples, width)."""
        if name in self.values:
            return self.values[name]
        return self.homes[name].view(self.samples, self.program.sizes.widths[name])

    def home(self, name: str) -> Home:
        """Return where a signal is in a flat buffer."""
        if name not in self.homes:
            width = self.program.sizes.widths[name]
            self.homes[name] = Home(self.values[name].reshape(-1), 0, width)
        return self.homes[name]
