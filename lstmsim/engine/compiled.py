"""Compiled diagrams: what users hold of the engine."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt
import xarray as xr
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import (
    DiagramError,
    InvalidValueError,
    NonFiniteSignalError,
    ShapeError,
    precision,
    real_array,
    seems_finite,
    written_whole,
)
from lstmsim.blocks import place
from lstmsim.diagram import (
    Interface,
    Sequences,
    State,
    dataset,
    diagram_dimensions,
    interface_of,
    output_alias,
    select,
    sequences,
    signal_ports,
    start,
    states,
)
from lstmsim.engine import c
from lstmsim.engine.engines import Engine, Gradient, Interpreter, Kernels, side_by_side
from lstmsim.engine.graph import Graph, lower, parameters
from lstmsim.engine.kernels import cache as lanes
from lstmsim.engine.kernels.packing import Store
from lstmsim.engine.kernels.plan import LoopPlan
from lstmsim.engine.kernels.stepper import Stepper
from lstmsim.engine.losses import Loss, check_loss, given_loss, mean_square
from lstmsim.engine.schedule import Schedule, make_schedule
from lstmsim.engine.watch import Watch

Array = npt.NDArray[Any]
Input = npt.ArrayLike | Mapping[str, npt.ArrayLike]

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
    run_dtype = precision(dtype)
    graph = lower(diagram)
    return Compiled(diagram, graph, make_schedule(graph), run_dtype, engine)


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
        form: str | None = None,
    ) -> None:
        self.diagram, self.graph, self.schedule = diagram, graph, schedule
        self.dtype, self.engine = dtype, engine
        self._form = form or ("vector" if lanes.vectors_available() else "scalar")
        self._store = Store(parameters(diagram.blocklist), dtype)
        self._watch = Watch(diagram, graph)
        self._engine = self.engine_on(self._store)
        self._labels: tuple[Any, xr.Dataset] | None = None
        # The name and width of the only source, where kernels take an array as it is.
        plain = engine == "numba" and len(graph.sources) == 1 and graph.outputs
        self._plain_input, self._plain_width = next(iter(graph.sources.items()), ("", 0))
        if not plain:
            self._plain_width = -1
        self._plain_sample = (self._plain_width,)
        # A sum of squares below it has no NaN, and nothing that is too large for the precision.
        self._most = float(np.finfo(dtype).max) ** (2 if dtype == np.float32 else 1)

    def own_store(self) -> Store:
        """Return the parameters as they are now, in a store that the diagram does not change."""
        self._watch.refresh(self._store)
        return Store(self._store.arrays, self.dtype)

    def engine_on(self, store: Store) -> Engine:
        """Return the engine, running on the parameters of a store."""
        if self.engine == "numba":
            return Kernels(self.graph, self.schedule, store, self._form)
        return Interpreter(self.graph, self.schedule, store)

    @cached_property
    def _stepper(self) -> Stepper:
        return Stepper(self.graph, self.schedule, self._store, self._form)

    @property
    def source(self) -> str:
        """The text of the generated kernels, forward and backward, loop by loop."""
        if not isinstance(self._engine, Kernels):
            return "# the NumPy engine interprets the schedule: there are no kernels\n"
        texts = []
        for plan in self._engine.program.plans:
            if isinstance(plan, LoopPlan):
                texts.extend([plan.forward["all"].text, plan.adjoint.text])
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
            (inputs,) = self._sequences(test).inputs
            vector = (np.concatenate(list(inputs.values()), axis=-1), self.forward(test))
        self._watch.refresh(self._store)
        arrays = self._store.arrays
        texts = c.export(Path(path), self.graph, self.schedule, arrays, self.dtype, vector)
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
        given = self._sequences(u, samples)
        begin = self._states(state, given)
        drivers = self._drivers
        kept = select(drivers, signals)
        found, finals = self._signals(given, begin, self._widths)
        self._check_finite(found)
        values = {name: found[drivers[name]] for name in kept}
        return self._traces(values, finals, start(state, self.graph.Ts))

    def _traces(
        self, signals: dict[str, Array], finals: dict[str, Array], start: int
    ) -> xr.Dataset:
        """Label signals; what is alike in the traces of the last run is copied from them."""
        shape = next(iter(signals.values())).shape[:-1]
        key = (tuple(signals), shape, start)
        if self._labels is None or self._labels[0] != key:
            # The labels alone: an array of one zero is as good as all samples.
            empty = {n: np.broadcast_to(v[:0].sum(), v.shape) for n, v in signals.items()}
            none = {n: np.broadcast_to(v[:0].sum(), v.shape) for n, v in finals.items()}
            labels = dataset(
                {name: values.astype(self.dtype, copy=False) for name, values in empty.items()},
                self._dimensions,
                finals=none,
                start=start,
                Ts=self.graph.Ts,
                engine=self.engine,
            )
            self._labels = (key, labels)
        named = {f"{name}_final": values for name, values in finals.items()}
        return self._labels[1].copy(data=signals | named)

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
        if state is None and self._is_plain(u):
            engine = self._engine
            assert isinstance(engine, Kernels)
            if not self._watch.unchanged():
                self._watch.refresh(self._store)
            y = engine.outputs({self._plain_input: u}, len(u))
            if seems_finite(y):
                return y
        self._check_outputs()
        given = self._sequences(u)
        found, _ = self._signals(given, self._states(state, given), self.graph.outputs)
        y = side_by_side(found, self.graph)
        if not np.isfinite(y).all():
            self.run(u, state=state)  # names the block and the sample
        return y

    def _is_plain(self, u: Any) -> TypeGuard[Array]:
        """Whether kernels take an input as it is.

        What there is to say of another, or of one that makes a result that is not finite, the
        long way says.
        """
        return (
            type(u) is np.ndarray
            and u.ndim == 2
            and u.dtype.kind == "f"
            and u.shape[1] == self._plain_width
            and u.shape[0] > 0
            and float(np.vdot(u, u)) < self._most
        )

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
        if (
            state is not None
            and type(u) is np.ndarray
            and u.shape == self._plain_sample
            and u.dtype.kind == "f"
        ):
            if not self._watch.unchanged():
                self._watch.refresh(self._store)
            found = self._stepper(u, state)
            if found is not None:
                return found
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
        given = self._sequences(sample[None, :])
        signals, finals = self._signals(given, self._states(state, given), self.graph.outputs)
        y = side_by_side(signals, self.graph)[0]
        if not all(np.isfinite(values).all() for values in (y, *finals.values())):
            self.run(sample[None, :], state=state)
        return y, finals

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
        recompute: bool | None = None,
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
        recompute : bool, optional
            Whether signals are computed a second time instead of being stored: half as long
            again, in little memory.  If not given, where they would take more than 1 GiB.

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
        Stored are the signals that the gradient reads, and the cotangents of the loops' sums:
        for an LSTM layer of N units 17 N numbers a sample, N rounded up to whole vectors (16
        numbers in single precision, 8 in double, on a machine with AVX-512), for each sequence
        of a batch that is being computed, one a core.  Where they are recomputed, they are
        stored for chunks of 16 MiB, and the states at the chunks' borders besides.
        """
        self._check_outputs()
        if state is None and self._is_plain(u):
            self._watch.refresh(self._store)
            given = Sequences([{self._plain_input: u}], len(u), False)
        else:
            given = self._sequences(u)
        begin = self._states(state, given)
        shape = (given.samples, self._output_width)
        whole = (len(given.inputs), *shape) if given.batched else shape
        aim = check_loss(loss, target, whole, self.dtype)
        value, bars = 0.0, None
        if callable(loss):
            value, bars = given_loss(loss, self.forward(u, state=state))
        rows = (len(given.inputs), *shape)
        aims = None if aim is None else aim.reshape(rows)
        bars = None if bars is None else bars.reshape(rows)

        def one(k: int) -> Gradient:
            def derivative(y: Array, part: slice, out: Array) -> float:
                if bars is not None:
                    np.copyto(out, bars[k, part])
                    return 0.0
                assert aims is not None
                return mean_square(y, aims[k, part], str(loss), aims.size, out)

            return self._engine.gradient(
                given.inputs[k], begin[k], given.samples, derivative, wrt_input, recompute
            )

        found = each(one, len(given.inputs))
        value += sum(part.loss for part in found)
        if not math.isfinite(value):
            if aim is not None:
                real_array(target, "the target")  # says where it is not finite
            self.run(u, state=state)  # names the block and the sample
        return value, self._labelled(found, given.batched, state is not None)

    def _labelled(self, found: list[Gradient], batched: bool, own_states: bool) -> dict[str, Any]:
        """Return gradients by block name."""
        total = found[0].parameters if len(found) == 1 else sum(g.parameters for g in found)
        gradient: dict[str, Any] = {
            block: next(iter(values.values())) if len(values) == 1 else values
            for block, values in self._store.views(np.asarray(total)).items()
        }
        if batched and own_states:
            for block in found[0].states:
                gradient[block] = np.stack([g.states[block] for g in found])
        for name in found[0].inputs:
            parts = [g.inputs[name] for g in found]
            gradient[name] = np.stack(parts) if batched else parts[0]
        return gradient

    # ---------------------------------------------------------------------------------------
    # Parts

    @cached_property
    def _widths(self) -> dict[str, int]:
        """The signals' widths, in the order of the diagram's blocks."""
        found = self.graph.widths
        return {name: found[name] for name in signal_ports(self.diagram)}

    @cached_property
    def _output_width(self) -> int:
        return sum(self._widths[name] for name in self.graph.outputs)

    @cached_property
    def _drivers(self) -> dict[str, str]:
        """The signals that traces have, and what drives them."""
        own = {name: name for name in self._widths}
        return own | output_alias(self.diagram, self._widths)

    @cached_property
    def _dimensions(self) -> dict[str, str]:
        found = diagram_dimensions(self.diagram, self._widths)
        return found | {name: found[driver] for name, driver in self._drivers.items()}

    def _interface(self) -> Interface:
        # Made for every run: a source may have been given other values.
        return interface_of(self.diagram, self.graph.sources)

    def _sequences(self, u: Any, samples: int | None = None) -> Sequences:
        self._watch.refresh(self._store)
        return sequences(self._interface(), u, samples, self.dtype)

    def _states(self, state: State | None, given: Sequences) -> list[dict[str, Array] | None]:
        return states(self._interface(), state, given, self._store.initial_states, self.dtype)

    def _signals(
        self, given: Sequences, begin: list[dict[str, Array] | None], names: Any
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return some signals, and the states after the last sample."""

        def one(k: int) -> tuple[dict[str, Array], dict[str, Array]]:
            return self._engine.run(given.inputs[k], begin[k], given.samples, names)

        found = each(one, len(given.inputs))
        if not given.batched:
            return found[0]  # type: ignore[no-any-return]
        signals = {name: np.stack([own[name] for own, _ in found]) for name in names}
        finals = {name: np.stack([own[name] for _, own in found]) for name in found[0][1]}
        return signals, finals

    def _check_outputs(self) -> None:
        if not self.graph.outputs:
            raise DiagramError(
                "the diagram has no output",
                where="the diagram",
                given="no TOWORKSPACE block",
                expected="at least one sink",
                mend="connect what is wanted to a TOWORKSPACE, or use run",
            )

    def _check_finite(self, found: Mapping[str, Array]) -> None:
        if all(map(seems_finite, found.values())):
            return
        bad = {name: ~np.isfinite(values) for name, values in found.items()}
        bad = {name: mask for name, mask in bad.items() if mask.any()}
        if not bad:
            return
        sample = min(int(np.argwhere(mask)[:, -2].min()) for mask in bad.values())
        # Of the signals that are bad at this sample, the one computed first is the origin.
        order = [*self.graph.sources, *(n.name for s in self.schedule.stages for n in s.nodes)]
        origin = next(n for n in order if n in bad and bad[n][..., sample, :].any())
        block = signal_ports(self.diagram)[origin][0]
        values = found[origin][..., sample, :]
        raise NonFiniteSignalError.at(place(block), sample, values, block.name)


def each(one: Callable[[int], Any], count: int) -> list[Any]:
    """Return what a function says of every sequence of a batch, computed on all cores."""
    if count == 1:
        return [one(0)]
    # The kernels let go of Python's lock: two sequences run on two cores.
    return list(_workers(os.getpid()).map(one, range(count)))


@cache
def _workers(process: int) -> ThreadPoolExecutor:
    """Return the threads that sequences of a batch run on; a forked process has its own."""
    return ThreadPoolExecutor(os.cpu_count())


if hasattr(os, "register_at_fork"):
    # A forked process has none of its parent's threads: it would wait for them for ever.
    os.register_at_fork(after_in_child=_workers.cache_clear)
