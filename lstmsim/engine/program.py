"""Running a schedule with compiled kernels.

A `Program` is a schedule with its kernels, for one precision and form of vocabulary; it knows no
sizes of runs and no values of parameters.  `Packed` holds the parameters as the kernels read
them.  Signals live in flat buffers with padded rows; `Home` says where.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lstmsim.engine import lanes
from lstmsim.engine.adjoint import render_adjoint
from lstmsim.engine.graph import Graph, Node
from lstmsim.engine.interpreter import Parameters, Signals, settings_of
from lstmsim.engine.layout import phases
from lstmsim.engine.render import Kernel, render, stacks_of
from lstmsim.engine.schedule import Schedule, Stage
from lstmsim.engine.vocabulary import PRODUCT

Array = npt.NDArray[Any]

#: Products with more inputs than this are left to BLAS.
_FEW_COLUMNS = 16


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


@dataclass(frozen=True)
class Stack:
    """Gains of one signal in a stage without a loop, computed as one product."""

    source: str
    nodes: tuple[Node, ...]
    offsets: tuple[int, ...]
    row: int


@dataclass(frozen=True)
class LoopPlan:
    """The kernels of one loop, and the places in their buffers for the diagram's sizes."""

    stage: Stage
    full: Kernel
    few: Kernel
    backward_text: str
    backward_keys: tuple[str, ...]
    slots: dict[str, str]
    arriving: tuple[str, ...]
    log_full: dict[str, int]
    log_few: dict[str, int]
    ext: dict[str, int]
    par: dict[str, int]
    par_size: int
    bar: dict[str, int]
    rows: dict[str, int]
    indices: dict[str, tuple[int, ...]]
    packs: dict[str, tuple[Node, ...]]


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
        self.lanes = lanes.lane_count(dtype, form)
        self.widths = {n: node.width for n, node in graph.nodes.items()} | graph.sources
        self.wanted = tuple(wanted)
        self.product = self._compile(PRODUCT)
        self.plans: list[LoopPlan | tuple[Stack, ...]] = []
        for stage in schedule.stages:
            if stage.loop:
                self.plans.append(self._plan_loop(stage))
            else:
                self.plans.append(
                    tuple(self._stack(s, n) for s, n in stacks_of(stage.nodes).items())
                )

    def _compile(self, text: str) -> Callable[..., None]:
        # The comments name this diagram's signals: without them one compilation serves them all.
        text = re.sub(r"  # .*", "", text)
        if self.form == "plain":
            return lanes.plain(text)[text.split("def ", 1)[1].split("(", 1)[0]]
        return lanes.compiled(text, self.dtype.name, self.form)

    def padded(self, width: int) -> int:
        """Return a width in whole vectors."""
        return -(-width // self.lanes) * self.lanes

    def _offsets(self, names: Iterable[str]) -> tuple[dict[str, int], int]:
        offsets, total = {}, 0
        for name in names:
            offsets[name] = total
            total += self.padded(self.widths[name.rstrip("'")])
        return offsets, max(total, 1)

    def _stack(self, source: str, nodes: list[Node]) -> Stack:
        offsets, row = self._offsets(node.name for node in nodes)
        return Stack(source, tuple(nodes), tuple(offsets.values()), row)

    def _plan_loop(self, stage: Stage) -> LoopPlan:
        inside = {node.name for node in stage.nodes}
        later = {
            name
            for node in self.graph.nodes.values()
            if node.name not in inside
            for name in node.inputs
        }
        sources = [node.inputs[0] for node in stage.delays]
        outside = [n for n in (*self.wanted, *later) if n in inside]
        full = render(self.graph, stage)
        kept = {full.places.delays.get(name, name) for name in (*outside, *sources)}
        few = render(self.graph, stage, kept)
        adjoint = render_adjoint(self.graph, stage)
        log_full, row_full = self._offsets(full.kept)
        log_few, row_few = self._offsets(few.kept)
        ext, row_ext = self._offsets(full.places.external)
        packs = {
            f"{kind}{number}:{source}": tuple(stack)
            for number, phase in enumerate(phases(stage))
            for source, stack in stacks_of(phase.nodes).items()
            for kind in ("pack", "transposed")
        }
        par, size = self._parameter_places(stage, (*full.keys, *adjoint.keys), packs)
        bar, row_bar = self._offsets(
            dict.fromkeys(k.removeprefix("bar:") for k in adjoint.keys if k.startswith("bar:"))
        )
        indices = {
            node.name: node.static["index"] for node in stage.nodes if node.op.name == "take"
        }
        return LoopPlan(
            stage, full, few, adjoint.text, adjoint.keys, adjoint.slots, adjoint.arriving,
            log_full, log_few, ext, par, size, bar,
            {"full": row_full, "few": row_few, "ext": row_ext, "bar": row_bar}, indices, packs,
        )  # fmt: skip

    def _parameter_places(
        self, stage: Stage, keys: Iterable[str], packs: Mapping[str, tuple[Node, ...]]
    ) -> tuple[dict[str, int], int]:
        places: dict[str, int] = {}
        size = 0
        for key in dict.fromkeys(k for k in keys if k.startswith("par:")):
            name = key.removeprefix("par:")
            places[name] = size
            if name.startswith(("pack", "transposed")):
                source, stack = name.split(":", 1)[1], packs[name]
                rows, columns = stack[0].width, self.widths[source]
                if name.startswith("pack"):
                    size += self.padded(rows) * columns * len(stack)
                else:
                    size += self.padded(columns) * rows * len(stack)
            elif name in self.widths:
                size += self.padded(self.widths[name])
            else:
                block, _, parameter = name.rpartition(".")
                width = next(n.width for n in stage.nodes if n.block == block)
                size += self.lanes if parameter == "k" else self.padded(width)
        return places, max(size, 1)

    # ---------------------------------------------------------------------------------------
    # Parameters

    def pack(self, parameters: Parameters) -> Packed:
        """Return the parameters as the kernels read them."""
        arrays = {
            block: {name: np.array(value, self.dtype) for name, value in values.items()}
            for block, values in parameters.items()
        }
        stages: list[dict[str, Array]] = []
        for plan in self.plans:
            if isinstance(plan, LoopPlan):
                stages.append({"": self._pack_loop(plan, arrays)})
            else:
                stages.append({stack.source: self._pack_stack(stack, arrays) for stack in plan})
        return Packed(arrays, stages)

    def pack_again(self, parameters: Parameters, packed: Packed) -> None:
        """Write new parameters of the same shapes into packed ones: what has run stays ready."""
        new = self.pack(parameters)
        for old_stage, new_stage in zip(packed.stages, new.stages, strict=True):
            for name, values in new_stage.items():
                old_stage[name][...] = values
        for block, arrays in new.arrays.items():
            for name, values in arrays.items():
                packed.arrays[block][name][...] = values

    def _pack_stack(self, stack: Stack, arrays: Parameters) -> Array:
        columns = self.widths[stack.source]
        dense = np.zeros((columns, stack.row), self.dtype)
        for node, at in zip(stack.nodes, stack.offsets, strict=True):
            dense[:, at : at + node.width] = arrays[node.block]["K"].T
        if columns > _FEW_COLUMNS:
            return dense
        blocks = stack.row // self.lanes
        return np.ascontiguousarray(
            dense.reshape(columns, blocks, self.lanes).transpose(1, 0, 2)
        ).reshape(-1)

    def _pack_loop(self, plan: LoopPlan, arrays: Parameters) -> Array:
        packed = np.zeros(plan.par_size, self.dtype)
        bounds = {n.block: n.static for n in plan.stage.nodes if n.op.name == "clip"}
        for name, at in plan.par.items():
            if name.startswith(("pack", "transposed")):
                matrices = [arrays[node.block]["K"] for node in plan.packs[name]]
                if name.startswith("transposed"):
                    matrices = [K.T for K in matrices]
                rows, columns = matrices[0].shape
                room = np.zeros((self.padded(rows), columns, len(matrices)), self.dtype)
                for q, K in enumerate(matrices):
                    room[:rows, :, q] = K
                blocks = room.reshape(-1, self.lanes, columns, len(matrices))
                values = blocks.transpose(0, 2, 3, 1).reshape(-1)
            elif name in self.graph.nodes:
                values = np.broadcast_to(
                    arrays[self.graph.nodes[name].block]["value"], (self.widths[name],)
                )
            else:
                block, _, parameter = name.rpartition(".")
                if parameter == "k":
                    values = np.reshape(arrays[block]["k"], (1,))
                else:
                    width = next(n.width for n in plan.stage.nodes if n.block == block)
                    values = np.broadcast_to(bounds[block][parameter], (width,))
            packed[at : at + values.size] = values
        return packed

    # ---------------------------------------------------------------------------------------
    # Forward

    def numbers(self, plan: LoopPlan, keys: tuple[str, ...], samples: int, log: str) -> Array:
        """Return the sizes and places that a kernel's text reads."""
        places = plan.log_full if log == "full" else plan.log_few
        extra: list[int] = []
        values = []
        for key in keys:
            kind, _, name = key.partition(":")
            if kind == "samples":
                values.append(samples)
            elif kind == "row":
                values.append(plan.rows[log if name == "log" else name])
            elif kind == "width":
                values.append(self.widths[name])
            elif kind == "blocks":
                values.append(self.padded(self.widths[name]) // self.lanes)
            elif kind == "index":
                values.append(len(keys) + len(extra))
                extra.extend(plan.indices[name])
            else:
                found = {"log": places, "ext": plan.ext, "par": plan.par, "bar": plan.bar}[kind]
                values.append(found[name])
        return np.array([*values, *extra], np.int64)

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
            homes[name] = Home(flat, 0, self.widths[name])
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
        columns = self.widths[stack.source]
        if columns > _FEW_COLUMNS:
            room = out.reshape(run.samples, stack.row)
            run.call(np.matmul, run.signal(stack.source), weights, room)
        else:
            source = run.home(stack.source)
            blocks = stack.row // self.lanes
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
        ext, ext_places, ext_row = self._external(run, plan)
        key = (number, kind, run.samples, ext_row, tuple(ext_places.values()))
        numbers = self._numbers.get(key)
        if numbers is None:
            numbers = self.numbers(plan, kernel.keys, run.samples, kind)
            for k, name in enumerate(kernel.keys):
                if name.startswith("ext:"):
                    numbers[k] = ext_places[name[4:]]
            numbers[kernel.keys.index("row:ext")] = ext_row
            self._numbers[key] = numbers
        run.call(self._kernel(kernel.text), log, ext, par, numbers)
        for name in kernel.kept:
            run.homes[name] = Home(log[row:], places[name], row)
        for node in plan.stage.delays:
            run.homes[node.name] = Home(log, places[plan.full.places.delays[node.name]], row)
        run.logs[number] = (log, ext, ext_places, ext_row)

    @property
    def _numbers(self) -> dict[Any, Array]:
        return self.__dict__.setdefault("_numbers_cache", {})  # type: ignore[no-any-return]

    def _kernel(self, text: str) -> Callable[..., None]:
        cache: dict[str, Callable[..., None]] = self.__dict__.setdefault("_kernel_cache", {})
        if text not in cache:
            cache[text] = self._compile(text)
        return cache[text]

    # ---------------------------------------------------------------------------------------
    # Backward

    def backward(
        self, packed: Packed, run: Run, cotangents: Mapping[str, Array], inputs: bool
    ) -> Gradient:
        """Return the gradient of a loss from its derivatives by the outputs.

        Parameters
        ----------
        packed : Packed
            The parameters of the run.
        run : Run
            A run with everything kept.
        cotangents : mapping of ndarray of shape (samples, width)
            dL/d(output).
        inputs : bool
            Whether dL/d(input) is wanted.
        """
        bars: Signals = {n: np.array(v, self.dtype) for n, v in cotangents.items()}
        arrays: dict[str, dict[str, Array]] = {}
        states: dict[str, Array] = {}
        for number in reversed(range(len(self.plans))):
            plan = self.plans[number]
            if isinstance(plan, LoopPlan):
                self._loop_back(packed, run, number, plan, bars, arrays, states)
            else:
                self._stage_back(packed, run, number, bars, arrays, states, inputs)
        found = {name: bars.get(name) for name in self.graph.sources} if inputs else {}
        zeros = {n: np.zeros((run.samples, self.widths[n]), self.dtype) for n in found}
        return Gradient(arrays, states, {n: zeros[n] if v is None else v for n, v in found.items()})

    def _stage_back(
        self,
        packed: Packed,
        run: Run,
        number: int,
        bars: Signals,
        arrays: dict[str, dict[str, Array]],
        states: dict[str, Array],
        inputs: bool,
    ) -> None:
        for node in reversed(self.schedule.stages[number].nodes):
            bar = bars.get(node.name)
            if bar is None:
                bar = np.zeros((run.samples, node.width), self.dtype)
            if node.op.name == "constant":
                # Where all its readers are loops, its gradient was added up there.
                if node.name in bars or node.block not in arrays:
                    _add(arrays, node.block, "value", bar.sum(axis=0))
                continue
            if node.op.name == "matvec":
                source, K = node.inputs[0], packed.arrays[node.block]["K"]
                _add(arrays, node.block, "K", bar.T @ run.signal(source))
                if inputs or source not in self.graph.sources:
                    _add_signal(bars, source, bar @ K)
                continue
            settings = settings_of(node, packed.arrays)
            signals = tuple(run.signal(name) for name in node.inputs)
            found = node.op.pullback(bar, signals, run.signal(node.name), settings)
            for name, part in zip(node.inputs, found[0], strict=True):
                _add_signal(bars, name, part)
            for name, part in found[1].items():
                _add(arrays, node.block, name, part)
            if node.op.name == "delay":
                states[node.block] = bar[0].copy()

    def _loop_back(
        self,
        packed: Packed,
        run: Run,
        number: int,
        plan: LoopPlan,
        bars: Signals,
        arrays: dict[str, dict[str, Array]],
        states: dict[str, Array],
    ) -> None:
        row, samples = plan.rows["bar"], run.samples
        buffer = np.zeros((samples + 1, row), self.dtype)
        now = buffer[1:]
        delays = plan.full.places.delays
        for name in [node.name for node in plan.stage.nodes if node.name in bars]:
            rows = buffer[:-1] if name in delays else now
            at = plan.bar[delays.get(name, name)]
            rows[:, at : at + self.widths[name]] += bars.pop(name)
        log, ext, ext_places, ext_row = run.logs[number]
        key = (number, "back", samples, ext_row, tuple(ext_places.values()))
        numbers = self._numbers.get(key)
        if numbers is None:
            numbers = self.numbers(plan, plan.backward_keys, samples, "full")
            for k, name in enumerate(plan.backward_keys):
                if name.startswith("ext:"):
                    numbers[k] = ext_places[name[4:]]
            numbers[plan.backward_keys.index("row:ext")] = ext_row
            self._numbers[key] = numbers
        kernel = self._kernel(plan.backward_text)
        kernel(log, ext, packed.stages[number][""], buffer.reshape(-1), numbers)

        def result(name: str) -> Array:
            at = plan.bar[plan.slots[name]]
            return now[:, at : at + self.widths[name]]

        for name in plan.ext:
            _add_signal(bars, name, result(name))
        # One product with ones: a sum over the samples, column by column, is slow in NumPy.
        totals = np.ones(samples, self.dtype) @ now if plan.full.places.constants else now[0]
        for name in plan.full.places.constants:
            block = self.graph.nodes[name].block
            shape = packed.arrays[block]["value"].shape
            at = plan.bar[plan.slots[name]]
            total = totals[at : at + self.widths[name]]
            _add(
                arrays, block, "value", total if total.shape == shape else total.sum(keepdims=True)
            )
        for source, stack in stacks_of(plan.stage.nodes).items():
            x = run.signal(source)
            places = [plan.bar[plan.slots[node.name]] for node in stack]
            first, last = min(places), max(places) + self.padded(stack[0].width)
            if last - first == len(stack) * self.padded(stack[0].width):
                # Their cotangents lie beside one another: one product for the whole stack.
                product = now[:, first:last].T @ x
                for node, at in zip(stack, places, strict=True):
                    _add(arrays, node.block, "K", product[at - first :][: node.width])
                continue
            for node in stack:
                _add(arrays, node.block, "K", result(node.name).T @ x)
        for node in plan.stage.nodes:
            if node.op.name == "scale":
                product = result(node.name) * run.signal(node.inputs[0])
                _add(arrays, node.block, "k", product.sum().reshape(()))
        for node in plan.stage.delays:
            at = plan.bar[delays[node.name]]
            states[node.block] = buffer[0, at : at + node.width].copy()
            _add(arrays, node.block, "x0", states[node.block])

    def _external(self, run: Run, plan: LoopPlan) -> tuple[Array, dict[str, int], int]:
        """Return one buffer with all signals from other stages: theirs, if they share one."""
        homes = {name: run.homes.get(name) for name in plan.ext}
        first = next(iter(homes.values()), None)
        if first is not None and all(
            home is not None
            and home.flat is first.flat
            and home.at % self.lanes == 0
            and home.row % self.lanes == 0
            for home in homes.values()
        ):
            return first.flat, {n: h.at for n, h in homes.items() if h is not None}, first.row
        row = plan.rows["ext"]
        ext = np.zeros((run.samples, row), self.dtype)
        for name, at in plan.ext.items():
            run.call(np.copyto, ext[:, at : at + self.widths[name]], run.signal(name))
        return ext.reshape(-1), plan.ext, row


@dataclass(frozen=True)
class Packed:
    """Parameters, plain and as the kernels read them."""

    arrays: dict[str, dict[str, Array]]
    stages: list[dict[str, Array]]


@dataclass(frozen=True)
class Gradient:
    """dL by the parameters, the initial states and, if wanted, the inputs."""

    arrays: dict[str, dict[str, Array]]
    states: dict[str, Array]
    inputs: Signals


def _evaluate(room: Array, node: Node, inputs: Any, settings: dict[str, Any]) -> None:
    room[:] = node.op.forward(inputs, settings)


def _add(arrays: dict[str, dict[str, Array]], block: str, name: str, part: Array) -> None:
    values = arrays.setdefault(block, {})
    values[name] = values[name] + part if name in values else part


def _add_signal(bars: Signals, name: str, part: Array) -> None:
    bars[name] = bars[name] + part if name in bars else part


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
    logs: dict[int, tuple[Array, Array, dict[str, int], int]]
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
        return self.homes[name].view(self.samples, self.program.widths[name])

    def home(self, name: str) -> Home:
        """Return where a signal is in a flat buffer."""
        if name not in self.homes:
            width = self.program.widths[name]
            self.homes[name] = Home(self.values[name].reshape(-1), 0, width)
        return self.homes[name]
