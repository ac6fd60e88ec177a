"""The engines, as a compiled diagram calls them: runs and gradients of one sequence.

An engine has two methods.  `run` returns signals and the states after the last sample;
`gradient` returns a loss and its derivatives, where a `Derivative` tells it the loss's part and
dL/dy of some samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np

from lstmsim.base import Array
from lstmsim.engine import interpreter
from lstmsim.engine.graph import Graph
from lstmsim.engine.kernels.backward import Backward
from lstmsim.engine.kernels.forward import ForwardRun
from lstmsim.engine.kernels.program import Program
from lstmsim.engine.schedule import Schedule
from lstmsim.engine.store import Store

Arrays = Mapping[str, Array]
#: Of the outputs' samples, and where they are in the run: the loss's part; dL/dy is written into
#: the last argument.
Derivative = Callable[[Array, slice, Array], float]

#: Long runs go in chunks, whose buffers stay in the cache; with all signals, in the memory.
CHUNK_BYTES = {"outputs": 2**20, "all": 2**24, "gradient": 2**24}
FEWEST_SAMPLES = 128
#: Signals of a gradient that take more than this are computed twice instead of being stored.
STORED_BYTES = 2**30
#: Arrays that are kept ready for runs of the lengths used last.
READY_BYTES = 2**28


class Gradient(NamedTuple):
    """A loss and its derivatives.

    Parameters
    ----------
    loss : float
        The loss.
    parameters : ndarray
        By all parameters, in the order of the store.
    states, inputs : dict of ndarray
        By the initial states, by block name, and by the inputs if they were wanted.
    finals : dict of ndarray
        The states after the last sample.
    """

    loss: float
    parameters: Array
    states: dict[str, Array]
    inputs: dict[str, Array]
    finals: dict[str, Array]


class Engine(Protocol):
    """An engine runs a schedule on the parameters of a store."""

    def run(
        self, inputs: Arrays, states: Arrays | None, count: int, names: Iterable[str]
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return some signals, and the states after the last sample."""

    def gradient(
        self,
        inputs: Arrays,
        states: Arrays | None,
        count: int,
        derivative: Derivative,
        wrt_input: bool,
        recompute: bool | None,
    ) -> Gradient:
        """Return a loss and its derivatives."""


class Interpreter:
    """The NumPy engine."""

    def __init__(self, graph: Graph, schedule: Schedule, store: Store) -> None:
        self.graph, self.schedule, self.store = graph, schedule, store

    def _forward(self, inputs: Arrays, states: Arrays | None, count: int) -> dict[str, Array]:
        arrays = self.store.arrays
        own = self.store.initial_states
        with np.errstate(all="ignore"):  # what is not finite is found, and named, afterwards
            return interpreter.forward(
                self.schedule, arrays, inputs, states or own, (count,), self.store.values.dtype
            )

    def run(
        self, inputs: Arrays, states: Arrays | None, count: int, names: Iterable[str]
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return some signals, and the states after the last sample."""
        signals = self._forward(inputs, states, count)
        finals = interpreter.final_states(self.graph, signals)
        return {name: np.array(signals[name]) for name in names}, finals

    def gradient(
        self,
        inputs: Arrays,
        states: Arrays | None,
        count: int,
        derivative: Derivative,
        wrt_input: bool,
        recompute: bool | None,
    ) -> Gradient:
        """Return a loss and its derivatives; all signals are stored."""
        signals = self._forward(inputs, states, count)
        y = side_by_side(signals, self.graph)
        bar = np.empty_like(y)
        with np.errstate(all="ignore"):  # a gradient that overflows is the caller's to see
            loss = derivative(y, slice(0, count), bar)
            bars, arrays, found = interpreter.backward(
                self.graph, self.schedule, self.store.arrays, signals, split(bar, self.graph)
            )
        gradient = np.zeros_like(self.store.values)
        for block, views in self.store.views(gradient).items():
            for name, view in views.items():
                view[...] = arrays[block][name]
        by_inputs = {name: bars[name] for name in self.graph.sources} if wrt_input else {}
        finals = interpreter.final_states(self.graph, signals)
        return Gradient(loss, gradient, found, by_inputs, finals)


class Kernels:
    """The numba engine: a program's kernels on the parameters of a store.

    The arrays of a run are made once for each length of run: those of the lengths used last are
    kept, and lent to one run at a time, so that threads may share an engine.
    """

    def __init__(self, program: Program, store: Store) -> None:
        self.program, self.graph, self.store = program, program.graph, store
        self.packed = program.pack(store)
        self._ready: dict[tuple[int, str, bool], list[Any]] = {}
        self._longest = self._chunk("outputs")
        self._stored_bytes = program.row_bytes("gradient", True)
        self._delays = [node.block for node in program.graph.delays.values()]

    def _chunk(self, log_mode: str) -> int:
        return max(FEWEST_SAMPLES, CHUNK_BYTES[log_mode] // self.program.row_bytes(log_mode))

    @contextmanager
    def _forward(self, samples: int, log_mode: str) -> Iterator[ForwardRun]:
        """Lend a forward run."""
        key = (samples, log_mode, False)
        run = self._take(key)
        if run is None:
            run = ForwardRun(self.program, self.packed, samples, log_mode)
        try:
            yield run
        finally:
            self._give_back(key, run)

    @contextmanager
    def _backward(self, samples: int, wrt_input: bool) -> Iterator[Backward]:
        """Lend a forward run with its way back."""
        key = (samples, "gradient", wrt_input)
        back = self._take(key)
        if back is None:
            run = ForwardRun(self.program, self.packed, samples, "gradient")
            back = Backward(run, wrt_input)
        try:
            yield back
        finally:
            self._give_back(key, back)

    def _take(self, key: tuple[int, str, bool]) -> Any:
        try:
            return self._ready[key].pop()  # one step, also among threads
        except (KeyError, IndexError):
            return None

    def _give_back(self, key: tuple[int, str, bool], run: Any) -> None:
        ready = self._ready.get(key)
        if ready is None:
            # Arrays of a new length make room for themselves: the oldest lengths go first.
            sizes = {k: self._bytes(k) for k in list(self._ready)}
            room = READY_BYTES - self._bytes(key)
            while sizes and (len(sizes) >= 8 or sum(sizes.values()) > room):
                oldest = next(iter(sizes))
                del sizes[oldest]
                self._ready.pop(oldest, None)
            ready = self._ready.setdefault(key, [])
        ready.append(run)

    def _bytes(self, key: tuple[int, str, bool]) -> int:
        """Return how much memory the arrays of a run take."""
        samples, log_mode, _ = key
        return samples * self.program.row_bytes(log_mode, gradient=log_mode == "gradient")

    def outputs(self, inputs: Arrays, samples: int) -> Array:
        """Return the outputs of a run from the delays' own states."""
        if samples > self._longest:
            found, _ = self.run(inputs, None, samples, self.graph.outputs)
            return side_by_side(found, self.graph)
        key = (samples, "outputs", False)
        run = self._take(key) or ForwardRun(self.program, self.packed, samples, "outputs")
        run.forward(inputs)
        y = self._collected(run)
        self._give_back(key, run)
        return y

    def _collected(self, run: ForwardRun) -> Array:
        names = self.graph.outputs
        if len(names) == 1:
            return run.copy(names[0])
        return np.concatenate([run.signal(name) for name in names], axis=1)

    def run(
        self, inputs: Arrays, states: Arrays | None, count: int, names: Iterable[str]
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return some signals, and the states after the last sample."""
        names = tuple(names)
        log_mode = "outputs" if set(names) <= set(self.graph.outputs) else "all"
        widths, dtype = self.program.sizes.widths, self.program.dtype
        found = {name: np.empty((count, widths[name]), dtype) for name in names}
        for part in _parts(count, self._chunk(log_mode)):
            with self._forward(part.stop - part.start, log_mode) as run:
                run.forward({n: u[part] for n, u in inputs.items()}, states)
                states = run.finals()
                for name, values in found.items():
                    run.copy(name, values[part])
        assert states is not None
        return found, dict(states)

    def gradient(
        self,
        inputs: Arrays,
        states: Arrays | None,
        count: int,
        derivative: Derivative,
        wrt_input: bool,
        recompute: bool | None,
    ) -> Gradient:
        """Return a loss and its derivatives.

        Recomputing keeps the states at the chunks' borders from a first run, and goes from the
        last chunk to the first: each is run again from its border, and then backwards.
        """
        if recompute is None:
            recompute = count * self._stored_bytes > STORED_BYTES
        parts = _parts(count, self._chunk("gradient") if recompute else count)
        borders = [states]
        for part in parts[:-1]:
            with self._forward(part.stop - part.start, "outputs") as run:
                run.forward({n: u[part] for n, u in inputs.items()}, borders[-1])
                borders.append(run.finals())
        loss, following = 0.0, dict[str, Array]()
        gradient: Array | None = None
        dtype = self.program.dtype
        by_inputs = {n: np.empty(u.shape, dtype) for n, u in inputs.items()} if wrt_input else {}
        finals: dict[str, Array] | None = None
        for part, begin in zip(reversed(parts), reversed(borders), strict=True):
            with self._backward(part.stop - part.start, wrt_input) as back:
                back.run.forward({n: u[part] for n, u in inputs.items()}, begin)
                finals = back.run.finals() if finals is None else finals
                loss += self._derived(back, derivative, part)
                for block, place in back.following.items():
                    place[:] = following.get(block, 0)
                own = back()
                gradient = own.copy() if gradient is None else gradient + own
                following = {n: v.copy() for n, v in back.states.items()}
                for name, values in by_inputs.items():
                    values[part] = back.inputs[name]
            if part is not parts[0]:
                # The state at a border is not a parameter: it came from the chunk before.
                for block in self._delays:
                    gradient[self.store.layout[block, "x0"].slice] = 0
        assert finals is not None
        assert gradient is not None
        return Gradient(loss, gradient, following, by_inputs, finals)

    def _derived(self, back: Backward, derivative: Derivative, part: slice) -> float:
        """Return a part of the loss, its derivatives being written where they are read."""
        places = back.outputs()
        with np.errstate(all="ignore"):  # what is not finite is the caller's to see
            if len(places) == 1:
                ((name, bar),) = places.items()
                return derivative(back.run.signal(name), part, bar)
            y = self._collected(back.run)
            bar = np.empty_like(y)
            loss = derivative(y, part, bar)
        for name, values in split(bar, self.graph).items():
            np.copyto(places[name], values)
        return loss


def _parts(count: int, size: int) -> list[slice]:
    return [slice(k, min(k + size, count)) for k in range(0, count, size)]


def side_by_side(signals: Arrays, graph: Graph) -> Array:
    """Return the outputs as the columns of one array."""
    outputs = [signals[name] for name in graph.outputs]
    return outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=-1)


def split(bar: Array, graph: Graph) -> dict[str, Array]:
    """Return the columns of an array by the outputs that they belong to."""
    if len(graph.outputs) == 1:
        return {graph.outputs[0]: bar}
    found, at, widths = {}, 0, graph.widths
    for name in graph.outputs:
        found[name] = bar[:, at : at + widths[name]]
        at += widths[name]
    return found
