"""bdsim, as this package uses it: the only caller of `bdsim.BDSim`.

Diagrams are made, compiled, checked and run here.  bdsim's errors are said again with the block,
the port and the shapes named.

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

import networkx as nx
import numpy as np
import numpy.typing as npt
from bdsim import BDSim
from bdsim.blockdiagram import BlockDiagram
from bdsim.components import Block, Clock
from bdsim.exceptions import BlockRuntimeError

from lstmsim.base import (
    AlgebraicLoopError,
    DiagramError,
    InvalidTypeError,
    LstmsimError,
    ShapeError,
    count,
)
from lstmsim.blocks import FromWorkspace, ToWorkspace, kind_of, place

#: bdsim takes events within 1e-6 s of one another for one.
_MERGED = 2e-6

#: The lock of every diagram that was run, and the lock of this dictionary.
_turns: WeakKeyDictionary[BlockDiagram, contextlib.AbstractContextManager[Any]]
_turns = WeakKeyDictionary()
_turns_lock = threading.Lock()


def _rebound(function: Callable[..., Any], **names: Any) -> Callable[..., Any]:
    """Return a copy of a function for which some of its module's names stand for other things."""
    assert isinstance(function, types.FunctionType)
    return types.FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )


#: `BlockDiagram.compile` prints what it finds, an output without a wire too.
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
    # bdsim keeps its block library on the class, as whoever came first loaded it: this runtime gets
    # one of its own, with the blocks that others have loaded so far.
    ours = _rebound(BDSim.load_blocks, BDSim=runtime)(runtime, verbose=False, toolboxes=False)
    runtime._blocklibrary = {**(BDSim._blocklibrary or {}), **ours}
    return runtime


def block_class(kind: str) -> Callable[..., Block]:
    """Return what makes blocks of a kind of the library, such as "SUM".

    Unlike the methods of a diagram it raises a block's errors as they are.  bdsim imports the
    block's module, and what that needs, at the first call.
    """
    return simulator().block_library[kind]["class"]  # type: ignore[no-any-return]


def blockdiagram(name: str = "main") -> BlockDiagram:
    """Return an empty bdsim block diagram that knows this package's blocks.

    Parameters
    ----------
    name : str, optional
        What bdsim calls it.

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
        # In place of the method that prints the error and raises another one.
        bd._handle_block_runtime_error = _raise
        try:
            # A signal that overflows is found, and named, when the run is over.
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


def check_is_diagram(value: Any) -> None:
    """Refuse what is not a block diagram."""
    if not isinstance(value, BlockDiagram):
        raise InvalidTypeError(
            "this is not a block diagram",
            given=type(value).__name__,
            expected="a bdsim.BlockDiagram",
            mend="build one: ls.build(network), or load one: ls.load(file, workspace)",
        )


def check_names(bd: BlockDiagram) -> None:
    """Refuse block names that cannot be names of signals.

    Raises
    ------
    DiagramError
        If a name has a slash or an unprintable character in it, is empty, is `time`, or stands
        for two signals.
    """
    seen: dict[str, Block | None] = {"time": None}
    for block in bd.blocklist:
        name = str(block.name)
        if "/" in name or not name.isprintable() or not name.strip() or name in (".", ".."):
            raise DiagramError(
                "a block's name cannot be the name of a signal",
                where=place(block),
                block=block.name,
                given=repr(name),
                expected="a name of printable characters without a slash",
                mend="rename the block: trace files keep a signal under its block's name",
            )
        finals = [f"{name}_final"] if block.blockclass == "sampled" else []
        for signal in [*(signal_name(block, port) for port in range(block.nout)), *finals]:
            if signal in seen:
                other = seen[signal]
                raise DiagramError(
                    "two things would have the same name in the traces",
                    where=place(block),
                    block=block.name,
                    given=f"{signal!r}, which is also "
                    f"{'the time axis' if other is None else place(other)}",
                    expected="names that differ",
                    mend="rename the block",
                )
            seen[signal] = block


def signal_name(block: Block, port: int) -> str:
    """Return the name of the signal at an output port: the block's, with the port if needed."""
    return str(block.name) if block.nout == 1 else f"{block.name}[{port}]"


def signal_ports(bd: BlockDiagram) -> dict[str, tuple[Block, int]]:
    """Return every signal of a diagram by name, as its block and output port."""
    return {
        signal_name(block, port): (block, port)
        for block in bd.blocklist
        for port in range(block.nout)
    }


def sources(bd: BlockDiagram) -> dict[str, FromWorkspace]:
    """Return the sampled sources of a diagram by name."""
    return {str(b.name): b for b in bd.blocklist if isinstance(b, FromWorkspace)}


def clocks(bd: BlockDiagram) -> list[Clock]:
    """Return the clocks that drive a block, the fastest first.

    Raises
    ------
    DiagramError
        If two have one name, a period is not a whole multiple of the fastest one, or several
        are too fast for bdsim.
    """
    used = sorted((c for c in bd.clocklist if c.blocklist), key=lambda clock: clock.T)
    names = [clock.name for clock in used]
    if len(set(names)) < len(names):
        raise DiagramError(
            "two clocks have the same name",
            where="the diagram",
            given=", ".join(names),
            mend="give each clock a name of its own: bd.clock(Ts, name=...)",
        )
    if len(used) > 1 and used[0].T < _MERGED:
        raise DiagramError(
            "the clocks are too fast to be told apart",
            where=f"clock {used[0].name!r}",
            given=f"a period of {used[0].T:g} s beside another clock",
            expected=f"at least {_MERGED:g} s: bdsim merges events within 1e-6 s",
            mend="put all blocks on one clock, or scale the time",
        )
    for clock in used[1:]:
        ratio = clock.T / used[0].T
        if abs(ratio - round(ratio)) > 1e-9 * ratio:
            raise DiagramError(
                "the clocks do not share their samples",
                where=f"clock {clock.name!r}",
                given=f"a period of {clock.T:g} s beside one of {used[0].T:g} s",
                expected="whole multiples of the fastest clock's period",
                mend="run such a diagram with bdsim's own run",
            )
    return used


def wire_graph(bd: BlockDiagram) -> nx.MultiDiGraph:
    """Return the diagram as a graph: blocks by name, one edge a wire with its two ports.

    A block has the attributes `kind`, `nin`, `nout`, `source`, `sink`, `pos` (None if it has
    none), `Ts` of its clock, `text` of what its symbol shows, and `delay`: whether it has an
    input, and an output that does not depend on it at once, as a unit delay has.
    """
    graph = nx.MultiDiGraph()
    for block in bd.blocklist:
        add_block(
            graph,
            str(block.name),
            str(block.type),
            (block.nin, block.nout),
            stateful=bool(block.hasstate and not block._feedthrough),
            pos=block.pos,
            Ts=float(block._clock.T) if block.blockclass == "sampled" else None,
            text=getattr(block, kind_of(block).text or "_", ""),
        )
    for wire in bd.wirelist:
        start, end = wire.start, wire.end
        graph.add_edge(start.block.name, end.block.name, out=start.port, into=end.port)
    return graph


def add_block(
    graph: nx.MultiDiGraph,
    name: str,
    kind: str,
    ports: tuple[int, int],
    *,
    stateful: bool | None = None,
    pos: tuple[float, float] | None = None,
    Ts: float | None = None,
    text: Any = "",
) -> None:
    """Add a block to a graph of wires, with the attributes that `wire_graph` names.

    `stateful` says that it has a state and no feedthrough; if it is not given, the library's
    entry for the kind tells whether it has a state.
    """
    if stateful is None:
        stateful = simulator().block_library[kind]["blockclass"] in ("sampled", "continuous")
    nin, nout = ports
    number = not isinstance(text, str) and np.ndim(text) == 0
    graph.add_node(
        name,
        kind=kind.upper(),
        nin=nin,
        nout=nout,
        source=nin == 0,
        sink=nout == 0,
        delay=stateful and nin > 0 and nout > 0,
        pos=pos,
        Ts=Ts,
        text=f"{float(text):g}" if number else text if isinstance(text, str) else "",
    )


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
            _check_ports(bd, wires)
            check_loops(wires)
        for clock in bd.clocklist:
            clock.statenames = []  # bdsim appends to them whenever it compiles
        with translated_errors(bd):
            _compile(bd, evaluate=False)
    return bd


def check_signals(bd: BlockDiagram) -> dict[str, int]:
    """Evaluate a compiled diagram once, and return the width of every signal by name.

    Raises
    ------
    DiagramError, ShapeError
        If a block cannot compute from what drives it, or a wire carries a matrix or text.
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
                # bdsim puts all states of a clock in one row: one too long spills into the next.
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


def run(
    bd: BlockDiagram, samples: int, start: int, watch: list[str]
) -> tuple[npt.NDArray[np.float64], dict[str, npt.NDArray[np.float64]]]:
    """Run a compiled diagram for a number of samples.

    bdsim discards a clock's tick at t = 0, so that its samples would lie at Ts, 2·Ts, …, where
    sources that are functions of time would be a sample early.  For the run all clocks are
    moved back by one period less a sliver (1e-10·Ts): sample k then lies at k·Ts.

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
    sliver = max(1e-10 * Ts, 2e-12)  # bdsim takes anything below 1e-12 s for the same time
    try:
        for clock in used:
            clock.offset = start * Ts - clock.T + sliver
        ticks = [used[0].time(k + 1) for k in range(samples)]
        with translated_errors(bd):
            plugs = [ports[name][0][ports[name][1]] for name in watch]
            out = simulator().run(bd, T=ticks[-1], watch=plugs)
    finally:
        for clock, offset in zip(bd.clocklist, offsets, strict=True):
            clock.offset = offset
    states = {}
    for clock in used:
        last, first = out[clock.name.replace(".", "")]["X"][-1], 0
        for block in clock.blocklist:
            states[str(block.name)] = last[first : first + block.ndstates]
            first += block.ndstates
    # Before the first tick bdsim records its evaluation at t = 0, and, where there are
    # continuous states, the integrator's steps between the ticks.
    return out.y[np.searchsorted(out.t, ticks, side="right") - 1], states


def _check_ports(bd: BlockDiagram, wires: nx.MultiDiGraph) -> None:
    drivers: dict[tuple[str, int], list[str]] = {}
    for start, end, wire in wires.edges(data=True):
        drivers.setdefault((end, wire["into"]), []).append(start)
    for block in bd.blocklist:
        for port in range(block.nin):
            driving = drivers.get((block.name, port), [])
            if not driving:
                raise DiagramError(
                    "an input port is not connected",
                    where=place(block, port),
                    block=block.name,
                    given="no wire",
                    expected="one wire",
                    mend="connect a block's output to it",
                )
            if len(driving) > 1:
                raise DiagramError(
                    "an input port has more than one wire",
                    where=place(block, port),
                    block=block.name,
                    given=f"wires from {', '.join(map(repr, driving))}",
                    expected="one wire",
                    mend="remove all but one, or add the signals with a SUM",
                )


def check_loops(wires: nx.MultiDiGraph) -> None:
    """Refuse a loop without a delay in a graph of wires, as `wire_graph` returns it.

    Raises
    ------
    AlgebraicLoopError
        If there is one; it names its blocks in order.
    """
    # The output of a delay does not depend on its input at once.
    graph = wires.subgraph([name for name, delay in wires.nodes(data="delay") if not delay])
    for component in nx.strongly_connected_components(graph):
        if len(component) > 1 or any(graph.has_edge(name, name) for name in component):
            loop = nx.find_cycle(graph.subgraph(component))
            names = [loop[0][0], *(edge[1] for edge in loop)]
            raise AlgebraicLoopError(
                "there is an algebraic loop: a signal would depend on itself at once",
                where=" -> ".join(names),
                given=f"a loop of {len(names) - 1} blocks without a delay",
                expected="at least one delay in every loop",
                mend="put a UNITDELAY into the loop",
            )
