"""Compiled diagrams: what users hold of the engine."""

from __future__ import annotations

import math
import os
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from bdsim.blockdiagram import BlockDiagram

from lstmsim import binding
from lstmsim.arrays import real_array
from lstmsim.blocks.fromworkspace import FromWorkspace
from lstmsim.blocks.toworkspace import ToWorkspace
from lstmsim.engine import c, interpreter, lanes
from lstmsim.engine.backward import backward
from lstmsim.engine.graph import Graph, lower, parameters
from lstmsim.engine.packing import Packed, overwrite
from lstmsim.engine.plan import LoopPlan
from lstmsim.engine.program import Program, Run
from lstmsim.engine.schedule import Schedule, make_schedule
from lstmsim.errors import (
    DiagramError,
    InvalidValueError,
    NonFiniteSignalError,
    ShapeError,
)
from lstmsim.files import written_whole
from lstmsim.host import signal_ports
from lstmsim.traces import dataset, diagram_dimensions, output_alias, select

Array = npt.NDArray[Any]
State = binding.State
Input = npt.ArrayLike | Mapping[str, npt.ArrayLike]
Loss = str | Callable[[Array], tuple[float, Array]]

ENGINES = ("numba", "numpy")


def compile(
    diagram: BlockDiagram, dtype: npt.DTypeLike = "float64", engine: str = "numba"
) -> Compiled:
    """Compile a diagram.

    Every diagram of this package's blocks and bdsim's SUM, CONSTANT, GAIN, MUX, DEMUX, INDEX,
    CLIP and ZOH on one clock compiles; `lstmsim.simulate` with engine="bdsim" runs the others.

    Parameters
    ----------
    diagram : BlockDiagram
        From `build` or `load`, or wired by hand.
    dtype : dtype, optional
        "float64" or "float32".
    engine : str, optional
        "numba", generated kernels that are compiled at their first use and kept on disk, or
        "numpy", an interpreter.

    Returns
    -------
    Compiled
        It computes what the diagram is now: it notices when a block's parameter is replaced,
        and refuses to go on when blocks or wires were added or removed.

    Raises
    ------
    DiagramError
        If a block does not compile, or there is not exactly one clock.
    InvalidValueError
        If the precision or the engine is another one.

    Examples
    --------
    >>> import lstmsim as ls
    >>> network, u = ls.published.layer_example()
    >>> compiled = ls.compile(ls.build(network), dtype="float32", engine="numpy")
    >>> [f"{value:.4f}" for value in compiled.forward(u)[:5, 0]]
    ['0.5624', '0.4918', '0.5669', '0.1661', '0.0300']
    """
    if engine not in ENGINES:
        raise InvalidValueError(
            "there is no engine of this name",
            where="engine",
            given=repr(engine),
            expected=" or ".join(repr(name) for name in ENGINES),
        )
    precision = binding.precision(dtype)
    graph = lower(diagram)
    return Compiled(diagram, graph, make_schedule(graph), precision, engine)


class Compiled:
    """A compiled diagram, as `lstmsim.compile` returns it.

    Attributes
    ----------
    diagram : BlockDiagram
        What was compiled.
    graph : Graph
        Its operations.
    schedule : Schedule
        Its stages; ``print(compiled.schedule)`` says what is where, and why.
    dtype : dtype
        The precision.
    engine : str
        "numba" or "numpy".
    """

    def __init__(
        self,
        diagram: BlockDiagram,
        graph: Graph,
        schedule: Schedule,
        dtype: np.dtype[Any],
        engine: str,
    ) -> None:
        self.diagram, self.graph, self.schedule = diagram, graph, schedule
        self.dtype, self.engine = dtype, engine
        self._structure = (len(diagram.blocklist), len(diagram.wirelist))
        form = "vector" if lanes.vectors_available() else "scalar"
        self._program = (
            Program(graph, schedule, dtype, form, graph.outputs) if engine == "numba" else None
        )
        self._seen: list[tuple[Any, str, Any]] = []
        self._contents: list[tuple[Array, bytes]] = []
        self._arrays: dict[str, dict[str, Array]] = {}
        self._packed: Packed | None = None
        self._version = 0
        self._dimensions: dict[str, str] | None = None
        self._local = threading.local()
        self._delays = tuple(graph.delays.values())

    @property
    def source(self) -> str:
        """The text of the generated kernels, forward and backward, loop by loop."""
        program = self._program
        if program is None:
            return "# the NumPy engine interprets the schedule: there are no kernels\n"
        texts = []
        for plan in program.plans:
            if isinstance(plan, LoopPlan):
                texts.extend([plan.full.text, plan.backward_text])
        return "\n".join(texts) or "# no loop: all is computed for all samples at once\n"

    def to_c(self, path: str | os.PathLike[str], test: npt.ArrayLike | None = None) -> None:
        """Write the diagram as one C99 file, and a header beside it.

        ``NAME_reset(state)`` and ``NAME_step(state, u, y)`` compute one sample at a time, NAME
        being the file's; there is no allocation, and no library beyond math.h.

        Parameters
        ----------
        path : path
            Where to: a name in C with the ending `.c`.
        test : array_like of shape (T, Ni), optional
            An input whose outputs are built in: with NAME_MAIN defined the file is a program
            that runs it, and prints whether it passes.

        Raises
        ------
        InvalidValueError, ShapeError
            If the name or the input does not fit.
        FileAccessError
            If the files cannot be written.
        """
        self._check_outputs()
        vector = None
        if test is not None:
            u = np.concatenate(list(self._inputs(test, None)[0].values()), axis=-1)
            vector = (u, self.forward(test))
        self._refresh()
        texts = c.export(Path(path), self.graph, self.schedule, self._arrays, self.dtype, vector)
        for file, text in texts.items():
            with written_whole(file) as temporary:
                temporary.write_text(text, encoding="utf-8")

    # ---------------------------------------------------------------------------------------
    # Running

    def run(
        self,
        u: Input | None = None,
        *,
        state: State | None = None,
        signals: list[str] | None = None,
        samples: int | None = None,
    ) -> xr.Dataset:
        """Run the diagram and return the traces of its signals, as `lstmsim.simulate`.

        Parameters
        ----------
        u : array_like of shape (T, Ni) or (B, T, Ni), optional
            The input, or a batch of them.
        state : Dataset or mapping, optional
            Where to begin: traces of this diagram, or states by block name, each (n,) or (B, n).
        signals : list of str, optional
            The signals to keep; all if not given.
        samples : int, optional
            How many samples to run.

        Returns
        -------
        xarray.Dataset
            The same names and numbers as of a run in bdsim, to rounding.

        Raises
        ------
        InvalidTypeError, InvalidValueError, ShapeError
            If an argument does not fit the diagram.
        NonFiniteSignalError
            If a signal overflows; the block and the sample are named.
        """
        inputs, batch, count = self._inputs(u, samples)
        states = self._states(state, batch)
        widths = {name: node.width for name, node in self.graph.nodes.items()}
        widths = {name: (self.graph.sources | widths)[name] for name in self._order()}
        drivers = {name: name for name in widths} | output_alias(self.diagram, widths)
        kept = select(drivers, signals)
        found, finals = self._signals(inputs, states, batch, count, everything=True)
        self._check_finite(found)
        if self._dimensions is None:
            self._dimensions = diagram_dimensions(self.diagram, widths)
        dimensions = self._dimensions | {
            name: self._dimensions[driver] for name, driver in drivers.items()
        }
        return dataset(
            {name: found[drivers[name]] for name in kept},
            dimensions,
            finals=finals,
            start=binding.start(state, self.graph.Ts),
            Ts=self.graph.Ts,
            engine=self.engine,
        )

    def forward(self, u: npt.ArrayLike | None = None, *, state: State | None = None) -> Array:
        """Return the outputs alone, as a plain array.

        Parameters
        ----------
        u : array_like of shape (T, Ni) or (B, T, Ni), optional
            The input, or a batch of them.
        state : Dataset or mapping, optional
            Where to begin, as for `run`.

        Returns
        -------
        ndarray of shape (T, No) or (B, T, No)
            What drives the sinks, side by side if there are several.

        Raises
        ------
        InvalidTypeError, InvalidValueError, ShapeError, NonFiniteSignalError
            As `run`.
        """
        self._check_outputs()
        if state is None:
            quick = self._repeated(u, False)
            if quick is not None:
                y = self._outputs({n: quick.signal(n) for n in self.graph.outputs})
                if math.isfinite(float(np.add.reduce(y, axis=None))):
                    return y
        inputs, batch, count = self._inputs(u, None)
        states = self._states(state, batch)
        found, _ = self._signals(inputs, states, batch, count, everything=False)
        y = self._outputs(found)
        if not np.isfinite(y).all():
            self.run(u, state=state)  # names the block and the sample
        return y

    def step(
        self, u: npt.ArrayLike, state: Mapping[str, npt.ArrayLike] | None = None
    ) -> tuple[Array, dict[str, Array]]:
        """Compute one sample.

        Parameters
        ----------
        u : array_like of shape (Ni,)
            The input's sample.
        state : mapping, optional
            What the delays put out, by block name; their initial values if not given.

        Returns
        -------
        y : ndarray of shape (No,)
            The outputs.
        state : dict of ndarray
            The state to go on with.

        Raises
        ------
        InvalidTypeError, InvalidValueError, ShapeError
            As `run`.
        """
        self._check_outputs()
        sample = np.asarray(u)
        if sample.ndim != 1:
            raise ShapeError(
                "one sample is a vector",
                where="step",
                given=f"u of shape {sample.shape}",
                expected="shape (Ni,)",
                mend="run or forward take many samples at once",
            )
        if state is not None:
            quick = self._repeated(sample[None, :], False, state)
            if quick is not None:
                y = self._outputs({n: quick.signal(n) for n in self.graph.outputs})[0]
                if math.isfinite(float(np.add.reduce(y))):
                    finals = {
                        node.block: np.array(quick.signal(node.inputs[0])[-1])
                        for node in self._delays
                    }
                    return y, finals
        inputs, batch, count = self._inputs(sample[None, :], None)
        states = self._states(state, batch)
        found, finals = self._signals(inputs, states, batch, count, everything=False)
        return self._outputs(found)[0], finals

    # ---------------------------------------------------------------------------------------
    # Gradient

    def loss_and_gradient(
        self,
        u: npt.ArrayLike,
        target: npt.ArrayLike | None = None,
        *,
        loss: Loss = "mse",
        state: State | None = None,
        wrt_input: bool = False,
    ) -> tuple[float, dict[str, Any]]:
        """Return a loss and its gradient with respect to every parameter of every block.

        Parameters
        ----------
        u : array_like of shape (T, Ni) or (B, T, Ni)
            The input, or a batch of them.
        target : array_like of the outputs' shape, optional
            What the outputs should be; not needed where the loss is a function.
        loss : str or callable, optional
            "mse", the mean of squared errors over batch, samples and outputs; "half_mse", half
            of it; or a function of the outputs that returns a loss and its derivatives dL/dy.
        state : Dataset or mapping, optional
            Where to begin, as for `run`.
        wrt_input : bool, optional
            Whether the gradient with respect to the input is wanted too.

        Returns
        -------
        loss : float
            The loss.
        gradient : dict
            By block name: an array where the block has one parameter, a dict otherwise.  A
            delay's is that of its initial state, (n,), or (B, n) where states of a batch were
            given; a source's, if wanted, has the input's shape.

        Raises
        ------
        InvalidTypeError, InvalidValueError, ShapeError, NonFiniteSignalError
            As `run`, and if the target does not have the outputs' shape.

        Notes
        -----
        All signals of the run and their cotangents are kept: for an LSTM layer of N units about
        (19 + 10)·N·T numbers.
        """
        self._check_outputs()
        quick = self._repeated(u, True) if state is None else None
        batch = None
        if quick is not None:
            runs: Any = [quick]
        else:
            inputs, batch, count = self._inputs(u, None)
            runs = self._runs(inputs, self._states(state, batch), batch, count, everything=True)
        y = self._outputs({name: self._gather(runs, name, batch) for name in self.graph.outputs})
        if not np.isfinite(y).all():
            self.run(u, state=state)
        value, bar = self._loss(y, target, loss)
        cotangents, at = {}, 0
        for name in self.graph.outputs:
            width = ({n: x.width for n, x in self.graph.nodes.items()} | self.graph.sources)[name]
            cotangents[name] = bar[..., at : at + width]
            at += width
        arrays, found_states, found_inputs = self._gradients(runs, cotangents, batch, wrt_input)
        gradient: dict[str, Any] = {}
        for block, values in arrays.items():
            if block in found_states:
                per_sequence = state is not None and batch is not None
                gradient[block] = found_states[block] if per_sequence else values["x0"]
            else:
                gradient[block] = next(iter(values.values())) if len(values) == 1 else values
        return value, gradient | found_inputs

    def _loss(self, y: Array, target: npt.ArrayLike | None, loss: Loss) -> tuple[float, Array]:
        if callable(loss):
            value, bar = loss(y)
            bar = np.asarray(bar, self.dtype)
            if bar.shape != y.shape:
                raise ShapeError(
                    "the loss's derivatives do not fit the outputs",
                    where="loss",
                    given=f"dL/dy of shape {bar.shape}",
                    expected=f"shape {y.shape}",
                )
            return float(value), bar
        if loss not in ("mse", "half_mse"):
            raise InvalidValueError(
                "there is no loss of this name",
                where="loss",
                given=repr(loss),
                expected='"mse", "half_mse", or a function of the outputs',
            )
        if target is None or np.shape(target) != y.shape:
            raise ShapeError(
                "the target does not fit the outputs",
                where="target",
                given="no target" if target is None else f"shape {np.shape(target)}",
                expected=f"shape {y.shape}",
            )
        factor = 1.0 if loss == "mse" else 0.5
        error = y - real_array(target, "the target").astype(self.dtype)
        return factor * float(np.mean(np.square(error, dtype=np.float64))), np.asarray(
            error * self.dtype.type(2 * factor / error.size)
        )

    # ---------------------------------------------------------------------------------------
    # Arguments

    def _order(self) -> list[str]:
        """Return the signals in the order of the diagram's blocks."""
        return list(signal_ports(self.diagram))

    def _check_outputs(self) -> None:
        if not self.graph.outputs:
            raise DiagramError(
                "the diagram has no output",
                where="the diagram",
                given="no TOWORKSPACE block",
                expected="at least one sink",
                mend="connect what is wanted to a TOWORKSPACE, or use run",
            )

    def _inputs(self, u: Any, samples: int | None) -> tuple[dict[str, Array], int | None, int]:
        """Return the sources' samples, the size of the batch, and the number of samples."""
        if (len(self.diagram.blocklist), len(self.diagram.wirelist)) != self._structure:
            raise DiagramError(
                "the diagram was changed after it was compiled",
                where="the compiled diagram",
                given=f"{len(self.diagram.blocklist)} blocks and "
                f"{len(self.diagram.wirelist)} wires",
                expected=f"{self._structure[0]} blocks and {self._structure[1]} wires",
                mend="compile it again",
            )
        batch = None
        if u is not None and not isinstance(u, Mapping) and np.ndim(u) == 3:
            array = real_array(u, "u", "the input")
            batch = array.shape[0]
            if batch == 0:
                raise ShapeError("the batch is empty", where="u", given=f"shape {array.shape}")
            # Every sequence is checked like a single one; they are of one shape.
            (name,) = binding.inputs(self.diagram, array[0])
            return {name: array.astype(self.dtype)}, batch, array.shape[1]
        given = binding.inputs(self.diagram, u)
        count = binding.sample_count(self.diagram, given, samples)
        bound = {
            str(b.name): np.asarray(given.get(str(b.name), b.values), self.dtype)[:count]
            for b in self.diagram.blocklist
            if isinstance(b, FromWorkspace)
        }
        return bound, None, count

    def _states(self, state: State | None, batch: int | None) -> dict[str, Array]:
        """Return what the delays put out first, by block name: (n,), or (B, n) for a batch."""
        self._refresh()
        initial = {
            node.block: self._arrays[node.block]["x0"] for node in self.graph.delays.values()
        }
        given: dict[str, Array] = {}
        if batch is not None and state is not None:
            for name, values in binding.given_states(self.diagram, state).items():
                width = initial[name].shape[0]
                array = real_array(values, f"the state of {name!r}", "state")
                if array.shape not in ((width,), (batch, width)):
                    raise ShapeError(
                        "the state does not fit its block",
                        where=f"the state of {name!r}",
                        given=f"shape {array.shape}",
                        expected=f"shape ({width},) or ({batch}, {width})",
                    )
                given[name] = array
        elif state is not None:
            given = dict(binding.initial_states(self.diagram, state))
        states = initial | {n: np.asarray(v, self.dtype) for n, v in given.items()}
        if batch is None:
            return states
        return {n: np.broadcast_to(v, (batch, v.shape[-1])) for n, v in states.items()}

    def _as_seen(self) -> bool:
        """Whether the blocks' parameters are the objects, and hold the numbers, last seen."""
        for block, name, value in self._seen:
            if getattr(block, name) is not value:
                return False
        return all(value.tobytes() == content for value, content in self._contents)

    def _refresh(self) -> None:
        """Take over parameters that were replaced, or changed in place."""
        if self._arrays and self._as_seen():
            return
        changed = [entry for entry in self._seen if getattr(*entry[:2]) is not entry[2]]
        changed += [e for e in self._seen if any(e[2] is value for value, _ in self._contents)]
        only_numbers = bool(self._arrays) and all(
            name in ("K", "value", "_x0") and np.shape(getattr(block, name)) == np.shape(value)
            for block, name, value in changed
        )
        if not only_numbers and lower(self.diagram) != self.graph:
            raise DiagramError(
                "the diagram was changed after it was compiled",
                where="the compiled diagram",
                given="other sizes, signs, bounds or wires",
                expected="new numbers in parameters of the same shapes",
                mend="compile it again",
            )
        blocks = [block for block, _, _ in changed] if only_numbers else self.diagram.blocklist
        self._arrays = self._arrays | {
            block: {name: np.asarray(value, self.dtype) for name, value in values.items()}
            for block, values in parameters(blocks).items()
        }
        self._seen = [
            (block, name, block.__dict__[name])
            for block in self.diagram.blocklist
            if not isinstance(block, FromWorkspace | ToWorkspace)
            for name in ("K", "value", "_x0", "min", "max", "signs")
            if name in block.__dict__
        ]
        self._contents = [
            (value, value.tobytes())
            for _, _, value in self._seen
            if isinstance(value, np.ndarray) and value.flags.writeable
        ]
        self._version += 1
        if self._program is not None and self._packed is None:
            self._packed = self._program.pack(self._arrays)
        elif self._program is not None and self._packed is not None:
            overwrite(self._packed, self._program.pack(self._arrays))

    # ---------------------------------------------------------------------------------------
    # Engines

    def _runs(
        self,
        inputs: Mapping[str, Array],
        states: Mapping[str, Array],
        batch: int | None,
        count: int,
        everything: bool,
    ) -> Any:
        """Run, and return what holds the signals: of each sequence, or of the NumPy engine."""
        if self._program is None:
            shape = (count,) if batch is None else (batch, count)
            with np.errstate(all="ignore"):  # what is not finite is found, and named, afterwards
                return interpreter.forward(
                    self.schedule, self._arrays, inputs, states, shape, self.dtype
                )
        program, packed = self._program, self._packed
        assert packed is not None
        if batch is None:
            return [program.forward(packed, inputs, states, count, everything)]

        def one(k: int) -> Run:
            return program.forward(
                packed,
                {n: v[k] for n, v in inputs.items()},
                {n: v[k] for n, v in states.items()},
                count,
                everything,
            )

        # The kernels let go of Python's lock: two sequences run on two cores.
        first = one(0)
        with ThreadPoolExecutor() as pool:
            return [first, *pool.map(one, range(1, batch))]

    def _repeated(
        self, u: Any, everything: bool, state: Mapping[str, Any] | None = None
    ) -> Run | None:
        """Return a run of one sequence in the arrays of the last one of its length, if it can.

        An array of the right shape is all that this looks at: what else there is to say of an
        input, and of a result that is not finite, the long way says.
        """
        if (
            self._program is None
            or type(u) is not np.ndarray
            or u.ndim != 2
            or u.dtype.kind != "f"
            or len(self.graph.sources) != 1
            or (len(self.diagram.blocklist), len(self.diagram.wirelist)) != self._structure
        ):
            return None
        (name,) = self.graph.sources
        if u.shape[1] != self.graph.sources[name] or u.shape[0] == 0:
            return None
        self._refresh()
        packed = self._packed
        assert packed is not None
        kept: dict[Any, Any] = self._local.__dict__.setdefault("runs", {})
        key = (u.shape[0], everything)
        if key not in kept:
            for other in [k for k in kept if k[0] != u.shape[0]]:
                del kept[other]  # the arrays of one length at a time
            states = {n.block: self._arrays[n.block]["x0"] for n in self.graph.delays.values()}
            run = self._program.forward(packed, {name: u}, states, u.shape[0], everything)
            room = run.homes[name].flat.reshape(u.shape)
            kept[key] = [self._version, run, room]
            if state is None:
                return run
        version, run, room = kept[key]
        if version != self._version:
            run.renew(packed)
            kept[key][0] = self._version
        if state is not None:
            if state.keys() != run.states.keys():
                return None
            kept[key][0] = -1  # the next run without a state begins with the delays' own
            for block, place in run.states.items():
                value = state[block]
                if type(value) is not np.ndarray or value.shape != place.shape:
                    return None
                place[:] = value
        np.copyto(room, u, casting="same_kind")
        run.again()
        return run  # type: ignore[no-any-return]

    def _gather(self, runs: Any, name: str, batch: int | None) -> Array:
        if isinstance(runs, dict):
            return np.asarray(runs[name])
        if batch is None:
            return np.asarray(runs[0].signal(name))
        return np.stack([run.signal(name) for run in runs])

    def _signals(
        self,
        inputs: Mapping[str, Array],
        states: Mapping[str, Array],
        batch: int | None,
        count: int,
        everything: bool,
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return all signals, or the outputs alone, and the states after the last sample."""
        runs = self._runs(inputs, states, batch, count, everything)
        names = self._order() if everything else self.graph.outputs
        found = {name: self._gather(runs, name, batch) for name in names}
        finals = {
            node.block: self._gather(runs, node.inputs[0], batch)[..., -1, :].copy()
            for node in self.graph.delays.values()
        }
        return found, finals

    def _outputs(self, found: Mapping[str, Array]) -> Array:
        outputs = [found[name] for name in self.graph.outputs]
        return np.array(outputs[0]) if len(outputs) == 1 else np.concatenate(outputs, -1)

    def _gradients(
        self, runs: Any, cotangents: Mapping[str, Array], batch: int | None, wrt_input: bool
    ) -> tuple[dict[str, dict[str, Array]], dict[str, Array], dict[str, Array]]:
        if isinstance(runs, dict):
            bars, arrays, states = interpreter.backward(
                self.graph, self.schedule, self._arrays, runs, cotangents
            )
            return arrays, states, {n: bars[n] for n in self.graph.sources} if wrt_input else {}
        program, packed = self._program, self._packed
        assert program is not None
        assert packed is not None

        def one(k: int) -> Any:
            own = cotangents if batch is None else {n: v[k] for n, v in cotangents.items()}
            return backward(program, packed, runs[k], own, wrt_input)

        if batch is None:
            found = [one(0)]
        else:
            with ThreadPoolExecutor() as pool:
                found = list(pool.map(one, range(batch)))
        arrays = {
            block: {name: sum(g.arrays[block][name] for g in found) for name in values}
            for block, values in found[0].arrays.items()
        }
        if batch is None:
            return arrays, found[0].states, found[0].inputs
        states = {n: np.stack([g.states[n] for g in found]) for n in found[0].states}
        sources = {n: np.stack([g.inputs[n] for g in found]) for n in found[0].inputs}
        return arrays, states, sources

    def _check_finite(self, found: Mapping[str, Array]) -> None:
        bad = {name: ~np.isfinite(values) for name, values in found.items()}
        bad = {name: mask for name, mask in bad.items() if mask.any()}
        if not bad:
            return
        sample = min(int(np.argwhere(mask)[:, -2].min()) for mask in bad.values())
        # Of the signals that are bad at this sample, the one computed first is the origin.
        order = [*self.graph.sources, *(n.name for s in self.schedule.stages for n in s.nodes)]
        origin = next(n for n in order if n in bad and bad[n][..., sample, :].any())
        raise NonFiniteSignalError.at(
            re.sub(r"\[\d+\]$", "", origin), sample, found[origin][..., sample, :]
        )
