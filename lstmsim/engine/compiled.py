"""Compiled diagrams: runs, single steps, gradients and C of one diagram."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import numpy.typing as npt
import xarray as xr
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import (
    Array,
    atomic_write,
    check_names,
    precision,
    quick_isfinite,
    real_array,
)
from lstmsim.diagram import (
    Interface,
    Sequences,
    State,
    initial_states,
    interface_of,
    one_sample,
    select,
    sequences,
    start,
    structure,
)
from lstmsim.engine import c
from lstmsim.engine.engines import Engine, Gradient, Interpreter, Kernels, side_by_side
from lstmsim.engine.gradients import SequenceLoss, differentiate, total
from lstmsim.engine.graph import Graph, lower
from lstmsim.engine.kernels import cache
from lstmsim.engine.kernels.program import Program
from lstmsim.engine.kernels.stepper import Stepper
from lstmsim.engine.labels import Labels
from lstmsim.engine.losses import GivenDerivatives, Loss, TargetLoss, check_loss, given_loss
from lstmsim.engine.schedule import Schedule, make_schedule
from lstmsim.engine.store import Store
from lstmsim.engine.threads import map_threads
from lstmsim.engine.watch import Watch

Input = npt.ArrayLike | Mapping[str, npt.ArrayLike]

ENGINES = ("numba", "numpy")


def compile(
    diagram: BlockDiagram, dtype: npt.DTypeLike = "float64", engine: str = "numba"
) -> Compiled:
    """Compile a diagram.

    Every diagram of this package's blocks and bdsim's SUM, CONSTANT, GAIN, MUX, DEMUX, INDEX,
    CLIP and ZOH on one clock compiles; `lstmsim.simulate` with engine="bdsim" runs the others.
    bdsim's sources that are functions of time (STEP, RAMP, WAVEFORM, PIECEWISE, TIME) compute
    their own samples: runs, losses and training take the input of FROMWORKSPACE blocks alone, and
    samples= where there are none; a mapping by block name may give such a source other samples.  A
    single step does not know the time: `Compiled.step` takes these sources in a mapping by block
    name, and C code after the FROMWORKSPACE inputs.

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
    check_names([engine], ENGINES, "engine", "engine")
    run_dtype = precision(dtype)
    graph = lower(diagram)
    return Compiled(diagram, graph, make_schedule(graph), run_dtype, engine)


class _FastPath(NamedTuple):
    """The inputs that kernels take as they are.

    A run of a small layer takes a few microseconds, and checking its input in words takes ten
    times that.  One product tells whether all is well; other inputs, and inputs whose result is
    not finite, take the checked path, which raises the error.
    """

    kernels: Kernels
    source: str
    width: int
    sample_shape: tuple[int]
    square_limit: float

    def takes(self, u: Any) -> TypeGuard[Array]:
        return (
            type(u) is np.ndarray
            and u.ndim == 2
            and u.dtype.kind == "f"
            and u.shape[1] == self.width
            and u.shape[0] > 0
            and float(np.vdot(u, u)) < self.square_limit
        )

    def takes_sample(self, u: Any) -> TypeGuard[Array]:
        return type(u) is np.ndarray and u.shape == self.sample_shape and u.dtype.kind == "f"


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
        self._asked_form = form
        self._store = Store(graph.parameters, dtype)
        self._watch = Watch(diagram, graph, self._store)
        self._sources = structure.sources(diagram)
        self._last_interface = interface_of(diagram, graph.sources)
        self._engine = self.engine_on(self._store)
        self._labels = Labels(diagram, graph, schedule, dtype, engine)
        self._fast_path = self._find_fast_path()

    def _find_fast_path(self) -> _FastPath | None:
        if not isinstance(self._engine, Kernels):
            return None
        if len(self.graph.sources) != 1 or self.graph.of_time or not self.graph.outputs:
            return None
        ((source, width),) = self.graph.sources.items()
        # A sum of squares below it has no NaN, and nothing that is too large for the precision.
        limit = float(np.finfo(self.dtype).max) ** (2 if self.dtype == np.float32 else 1)
        return _FastPath(self._engine, source, width, (width,), limit)

    def own_store(self) -> Store:
        """Return the parameters as they are now, in a store that the diagram does not change."""
        self._watch.refresh()
        return Store(self._store.arrays, self.dtype)

    def engine_on(self, store: Store) -> Engine:
        """Return the engine, running on the parameters of a store."""
        if self.engine == "numba":
            return Kernels(self._program, store)
        return Interpreter(self.graph, self.schedule, store)

    @cached_property
    def _form(self) -> str:
        """The form of the kernels, asked for when there are kernels: finding it imports numba."""
        return self._asked_form or ("vector" if cache.vectors_available() else "scalar")

    @cached_property
    def _program(self) -> Program:
        """The kernels: rendered once, whatever stores of parameters they run on."""
        return Program(self.graph, self.schedule, self.dtype, self._form)

    @cached_property
    def _stepper(self) -> Stepper:
        return Stepper(self.graph, self.schedule, self._store, self._form)

    @property
    def source(self) -> str:
        """The text of the generated kernels, forward and backward, loop by loop."""
        if self.engine != "numba":
            return "# the NumPy engine interprets the schedule: there are no kernels\n"
        return (
            "\n".join(self._program.texts) or "# no loop: all is computed for all samples at once\n"
        )

    def to_c(self, path: str | os.PathLike[str], test: npt.ArrayLike | None = None) -> None:
        """Write the diagram as one C99 file, and a header beside it.

        ``NAME_reset(state)`` and ``NAME_step(state, u, y)`` compute one sample at a time, NAME
        being the file's; there is no allocation, and no library beyond math.h.  u holds the
        samples of FROMWORKSPACE blocks, and after them those of sources that are functions of
        time, in the diagram's order; the header says which.

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
        self.graph.check_outputs()
        vector = None
        if test is not None:
            (inputs,) = self._sequences(test, None, None).inputs
            vector = (np.concatenate(list(inputs.values()), axis=-1), self.forward(test))
        self._watch.refresh()
        arrays = self._store.arrays
        texts = c.export(Path(path), self.graph, self.schedule, arrays, self.dtype, vector)
        for file, text in texts.items():
            with atomic_write(file) as temporary:
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
        given = self._sequences(u, samples, state)
        begin = self._states(state, given)
        drivers = self._labels.drivers
        kept = select(drivers, signals)
        found, finals = self._signals(given, begin, self._labels.widths)
        self._labels.check_finite(found)
        values = {name: found[drivers[name]] for name in kept}
        return self._labels.traces(values, finals, start(state, self.graph.Ts))

    def forward(
        self,
        u: Input | None = None,
        *,
        state: State | None = None,
        samples: int | None = None,
    ) -> Array:
        """Return the outputs alone, as a plain array.

        Parameters
        ----------
        u : array_like of shape (T, Ni) or (B, T, Ni), optional
            The input, or a batch of them.
        state : Dataset or mapping, optional
            Where to begin, as for `run`.
        samples : int, optional
            How many samples to run, as for `run`.

        Returns
        -------
        ndarray of shape (T, No) or (B, T, No)
            What drives the sinks, side by side if there are several.

        Raises
        ------
        InvalidTypeError, InvalidValueError, ShapeError, NonFiniteSignalError
            As `run`.
        """
        fast = self._fast_path
        if state is None and samples is None and fast is not None and fast.takes(u):
            self._watch.refresh()
            y = fast.kernels.outputs({fast.source: u}, len(u))
            if quick_isfinite(y):
                return y
        self.graph.check_outputs()
        given = self._sequences(u, samples, state)
        found, _ = self._signals(given, self._states(state, given), self.graph.outputs)
        y = side_by_side(found, self.graph)
        if not np.isfinite(y).all():
            self.run(u, state=state, samples=samples)  # names the block and the sample
        return y

    def step(
        self, u: Input | None = None, state: Mapping[str, npt.ArrayLike] | None = None
    ) -> tuple[Array, dict[str, Array]]:
        """Compute one sample.

        Parameters
        ----------
        u : array_like of shape (Ni,), or mapping of such, optional
            The input's sample; by source name if there are several sources, or one that is a
            function of time: a single sample does not say what the time is.
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
        fast = self._fast_path
        if state is not None and fast is not None and fast.takes_sample(u):
            self._watch.refresh()
            found = self._stepper(u, state)
            if found is not None:
                return found
        self.graph.check_outputs()
        sample = one_sample(self._interface, u, fill=False)
        inputs = {name: value[None, :] for name, value in sample.items()}
        given = self._sequences(inputs, 1, None)
        signals, finals = self._signals(given, self._states(state, given), self.graph.outputs)
        y = side_by_side(signals, self.graph)[0]
        if not all(np.isfinite(values).all() for values in (y, *finals.values())):
            self.run(inputs, state=state, samples=1)
        return y, finals

    # ---------------------------------------------------------------------------------------
    # Gradient

    def loss_and_gradient(
        self,
        u: Input | None = None,
        target: npt.ArrayLike | None = None,
        *,
        loss: Loss = "mse",
        state: State | None = None,
        samples: int | None = None,
        wrt_input: bool = False,
        recompute: bool | None = None,
    ) -> tuple[float, dict[str, Any]]:
        """Return a loss and its gradient with respect to every parameter of every block.

        Parameters
        ----------
        u : array_like of shape (T, Ni) or (B, T, Ni), optional
            The input, or a batch of them.
        target : array_like of the outputs' shape, optional
            What the outputs should be; not needed where the loss is a function.
        loss : str or callable, optional
            "mse", the mean of squared errors over batch, samples and outputs; "half_mse", half
            of it; or a function of the outputs that returns a loss and its derivatives dL/dy.
        state : Dataset or mapping, optional
            Where to begin, as for `run`.
        samples : int, optional
            How many samples to run, as for `run`.
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
            given; a source's, if wanted, has the input's shape, a function of time's too.

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
        self.graph.check_outputs()
        fast = self._fast_path
        if state is None and samples is None and fast is not None and fast.takes(u):
            self._watch.refresh()
            given = Sequences([{fast.source: u}], len(u), False)
        else:
            given = self._sequences(u, samples, state)
        begin = self._states(state, given)
        rows = (len(given.inputs), given.samples, self._output_width)
        value = 0.0
        part: SequenceLoss
        if callable(loss):
            value, bars = given_loss(loss, self.forward(u, state=state, samples=samples))
            part = GivenDerivatives(bars.reshape(rows))
        else:
            shape = rows if given.batched else rows[1:]
            part = TargetLoss(check_loss(loss, target, shape, self.dtype).reshape(rows), loss)
        found = differentiate(
            self._engine, given.inputs, begin, given.samples, part, wrt_input, recompute
        )
        value += sum(gradient.loss for gradient in found)
        if not math.isfinite(value):
            if target is not None and not callable(loss):
                real_array(target, "the target")  # says where it is not finite
            self.run(u, state=state, samples=samples)  # names the block and the sample
        return value, self._labelled(found, given.batched, state is not None)

    def _labelled(self, found: list[Gradient], batched: bool, own_states: bool) -> dict[str, Any]:
        """Return gradients by block name."""
        gradient: dict[str, Any] = {
            block: next(iter(values.values())) if len(values) == 1 else values
            for block, values in self._store.views(total(found)).items()
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
    def _output_width(self) -> int:
        return sum(self.graph.widths[name] for name in self.graph.outputs)

    @property
    def _interface(self) -> Interface:
        """What a run takes, looked up again when a source was given other values."""
        found = self._last_interface
        known = found.sources
        if any(block.values is not known[name].values for name, block in self._sources.items()):
            found = self._last_interface = interface_of(self.diagram, self.graph.sources)
        return found

    def _sequences(self, u: Any, samples: int | None, state: State | None) -> Sequences:
        self._watch.refresh()
        first = start(state, self.graph.Ts)
        return sequences(self._interface, u, samples, self.dtype, first=first)

    def _states(self, state: State | None, given: Sequences) -> list[dict[str, Array] | None]:
        """Return what the delays put out first, for every sequence: None for their own states."""
        batch = len(given.inputs)
        if state is None:
            return [None] * batch
        size = batch if given.batched else None
        found = initial_states(self._interface, state, self.dtype, size)
        own = self._store.initial_states
        if not given.batched:
            return [own | found]
        return [own | {name: values[k] for name, values in found.items()} for k in range(batch)]

    def _signals(
        self, given: Sequences, begin: list[dict[str, Array] | None], names: Any
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return some signals, and the states after the last sample."""

        def one(k: int) -> tuple[dict[str, Array], dict[str, Array]]:
            return self._engine.run(given.inputs[k], begin[k], given.samples, names)

        found = map_threads(one, len(given.inputs))
        if not given.batched:
            return found[0]
        signals = {name: np.stack([own[name] for own, _ in found]) for name in names}
        finals = {name: np.stack([own[name] for _, own in found]) for name in found[0][1]}
        return signals, finals
