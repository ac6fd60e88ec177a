"""bdsim, as this package uses it: the only caller of `bdsim.BDSim`.

Diagrams are made, compiled, evaluated and run here.  bdsim's errors are raised anew with the
block, the port and the shapes.

Any two threads may do anything at once.  Nothing here changes what belongs to the process, such as
standard output or the attributes of bdsim's classes.  bdsim keeps the signals of a run in the
diagram's blocks, so runs of one diagram take turns (`turn`); a run has its other data to itself.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any, NoReturn
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from bdsim import BDSim
from bdsim.blockdiagram import BlockDiagram
from bdsim.components import Block
from bdsim.exceptions import BlockRuntimeError

from lstmsim.base import DiagramError, LstmsimError, ShapeError, count
from lstmsim.blocks import FromWorkspace, ToWorkspace, place
from lstmsim.diagram.structure import (
    check_loops,
    check_ports,
    clocks,
    signal_ports,
    time_sources,
    wire_graph,
)
from lstmsim.diagram.timesources import clock_offset

#: The lock of every diagram that was run, and the lock of this dictionary.
_turns: WeakKeyDictionary[BlockDiagram, contextlib.AbstractContextManager[Any]]
_turns = WeakKeyDictionary()
_turns_lock = threading.Lock()


def _rebound(function: Callable[..., Any], **names: Any) -> Callable[..., Any]:
    """Return a copy of a function with other values for some of its module's names."""
    assert isinstance(function, types.FunctionType)
    return types.FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )


#: `BlockDiagram.compile` prints its findings, such as outputs without a wire.
_compile = _rebound(BlockDiagram.compile, print=lambda *text: None)


@functools.cache
def simulator() -> BDSim:
    """Return the one bdsim runtime of this process, with this package's blocks."""
    runtime = BDSim(
        packages="lstmsim",
        load=False,
        sysargs=False,
        toolboxes=False,
        graphics=False,
        progress=False,
        banner=False,
        quiet=True,
    )
    # bdsim keeps one block library on the class, which the first runtime loads.  This runtime gets
    # its own, with the blocks that others have loaded so far.
    ours = _rebound(BDSim.load_blocks, BDSim=runtime)(runtime, verbose=False, toolboxes=False)
    runtime._blocklibrary = {**(BDSim._blocklibrary or {}), **ours}
    return runtime


def block_class(kind: str) -> Callable[..., Block]:
    """Return the constructor of a kind of block in the library, such as "SUM".

    Unlike the methods of a diagram it raises a block's errors unchanged.  bdsim imports the
    block's module and its dependencies at the first call.
    """
    return simulator().block_library[kind]["class"]  # type: ignore[no-any-return]


def blockdiagram(name: str = "main") -> BlockDiagram:
    """Return an empty bdsim block diagram that knows this package's blocks.

    Parameters
    ----------
    name : str, optional
        The diagram's name in bdsim.

    Returns
    -------
    BlockDiagram
        Blocks are added by its methods: ``bd.SUM("+-", name="error")``.

    Examples
    --------
    >>> bd = blockdiagram()
    >>> clock = bd.clock(0.1, name="clock")
    >>> delay = bd.UNITDELAY(clock, x0=[0.0, 0.0], name="delay")
    """
    bd = simulator().blockdiagram(name=name)
    for kind, info in simulator().block_library.items():
        if info["package"] == "lstmsim":
            # bdsim's own methods print a block's error, and raise another one without a cause.
            setattr(bd, kind, types.MethodType(_maker(kind), bd))
    return bd


def _maker(kind: str) -> Callable[..., Block]:
    def make(bd: BlockDiagram, *args: Any, **kwargs: Any) -> Block:
        return block_class(kind)(*args, bd=bd, **kwargs)

    return make


def turn(bd: BlockDiagram) -> contextlib.AbstractContextManager[Any]:
    """Return the lock of a diagram, to be held by whoever compiles, evaluates or runs it."""
    with _turns_lock:
        return _turns.setdefault(bd, threading.RLock())


@contextlib.contextmanager
def translated_errors(bd: BlockDiagram) -> Iterator[None]:
    """Turn bdsim's failures in a diagram into this package's errors; the diagram is held."""
    with turn(bd):
        # bdsim's own method prints the error and raises another one.
        bd._handle_block_runtime_error = _raise
        try:
            # A signal that overflows is reported after the run.
            with np.errstate(all="ignore"), _translated():
                yield
        finally:
            vars(bd).pop("_handle_block_runtime_error", None)


def _raise(error: BlockRuntimeError) -> NoReturn:
    raise error


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except BlockRuntimeError as failure:
        if isinstance(failure.cause, LstmsimError):
            raise failure.cause from None
        shapes = [str(np.shape(value)) for value in failure.inputs or ()]
        raise DiagramError(
            "a block cannot compute its output",
            where=place(failure.block),
            block=failure.block.name,
            given=f"inputs of shapes {', '.join(shapes) or '(none)'}; {failure.cause}",
            mend="look at the widths of the signals that meet in this block",
        ) from failure.cause
    except RuntimeError as error:
        raise DiagramError("bdsim cannot run the diagram", given=str(error)) from error


def compile_diagram(bd: BlockDiagram) -> BlockDiagram:
    """Compile a diagram unless it is compiled already, and return it.

    Raises
    ------
    DiagramError
        If an input port is not connected, or has two wires.
    AlgebraicLoopError
        If there is a loop without a delay in it.
    """
    with turn(bd):
        if bd.compiled and (bd.nblocks, bd.nwires) == (len(bd.blocklist), len(bd.wirelist)):
            return bd
        if not any(block.type in ("subsystem", "inport", "outport") for block in bd.blocklist):
            wires = wire_graph(bd)
            check_ports(bd, wires)
            check_loops(wires)
        for clock in bd.clocklist:
            clock.statenames = []  # bdsim appends to them whenever it compiles
        with translated_errors(bd):
            _compile(bd, evaluate=False)
    return bd


def signal_widths(bd: BlockDiagram) -> dict[str, int]:
    """Evaluate a compiled diagram once, and return the width of every signal by name.

    Raises
    ------
    DiagramError, ShapeError
        If a block cannot compute its output, or a wire carries a matrix or text.
    """
    with turn(bd):
        _evaluate(bd)
        for block in bd.blocklist:
            if isinstance(block, ToWorkspace):
                block.clear()
        return {name: _width(block, port) for name, (block, port) in signal_ports(bd).items()}


def _evaluate(bd: BlockDiagram) -> None:
    with translated_errors(bd):
        states = bd.initial_state_map()
        bd.evaluate(states, 0.0, sinks=False)
        for clock in bd.clocklist:
            for block in clock.blocklist:
                # bdsim keeps all states of a clock in one row: one that is too long would
                # overwrite the next one.
                if isinstance(block, FromWorkspace):
                    continue
                stored = np.size(block.next_safe(0.0, block.inport_values, states[block]))
                if stored != block.ndstates:
                    raise ShapeError(
                        "a wire is not as wide as the block needs it",
                        where=place(block, 0),
                        block=block.name,
                        given=f"a signal of {count(stored, 'element')}",
                        expected=f"{count(block.ndstates, 'element')}, as its initial state has",
                        mend="give the block an initial state of the signal's width",
                    )


def _width(block: Block, port: int) -> int:
    value = np.asarray(block.outport_value(port))
    if value.ndim > 1 or value.dtype.kind not in "biuf":
        raise DiagramError(
            "a wire carries something else than a number or a vector",
            where=f"{place(block)}, output port {port}",
            block=block.name,
            given=f"shape {value.shape}, dtype {value.dtype}; the inputs have shapes "
            f"{', '.join(str(np.shape(u)) for u in block.inport_values) or '(none)'}",
            expected="a number or a vector of real numbers",
            mend="flatten what drives it: a constant of shape (n, 1) added to a vector of "
            "n makes an n × n matrix",
        )
    return value.size


def _no_events(simstate: Any) -> None:
    """Begin a run, and declare no event."""


def run(
    bd: BlockDiagram, samples: int, start: int, watch: list[str]
) -> tuple[npt.NDArray[np.float64], dict[str, npt.NDArray[np.float64]]]:
    """Run a compiled diagram for a number of samples.

    bdsim discards a clock's tick at t = 0, so that its samples would lie at Ts, 2·Ts, …, where
    sources that are functions of time would be a sample early.  For the run all clocks are
    moved back by one period less a sliver (1e-10·Ts): sample k then lies at k·Ts.  Such sources
    declare events where they jump or bend, which matter to continuous states alone, and would
    move a tick that is within 1e-6 s: without continuous states they are left out.

    Parameters
    ----------
    bd : BlockDiagram
        Compiled, with at least one clock, and held (`turn`).
    samples, start : int
        How many samples, and the number of the first one on the time axis.
    watch : list of str
        The signals to keep, at least one.

    Returns
    -------
    values : ndarray of shape (samples, total width)
        The signals beside one another, in the order of `watch`.
    states : dict of ndarray
        The state of every sampled block after the last sample, by block name.
    """
    used = clocks(bd)
    Ts = used[0].T
    ports = signal_ports(bd)
    offsets = [clock.offset for clock in bd.clocklist]
    silent = {} if bd.nstates else time_sources(bd)
    try:
        for clock in used:
            clock.offset = clock_offset(clock.T, Ts, start)
        for block in silent.values():
            block.start = _no_events
        ticks = [used[0].time(k + 1) for k in range(samples)]
        with translated_errors(bd):
            plugs = [ports[name][0][ports[name][1]] for name in watch]
            out = simulator().run(bd, T=ticks[-1], watch=plugs)
    finally:
        for clock, offset in zip(bd.clocklist, offsets, strict=True):
            clock.offset = offset
        for block in silent.values():
            vars(block).pop("start", None)
    states = {}
    for clock in used:
        last, first = out[clock.name.replace(".", "")]["X"][-1], 0
        for block in clock.blocklist:
            states[str(block.name)] = last[first : first + block.ndstates]
            first += block.ndstates
    # Before the first tick bdsim records its evaluation at t = 0, and, where there are
    # continuous states, the integrator's steps between the ticks.
    return out.y[np.searchsorted(out.t, ticks, side="right") - 1], states
