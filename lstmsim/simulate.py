"""Running: diagrams in bdsim, networks in the reference, both with labelled results."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from bdsim.blockdiagram import BlockDiagram
from bdsim.components import Block

from lstmsim import host
from lstmsim.arrays import FloatArray, real_array
from lstmsim.blocks._signals import place
from lstmsim.blocks.fromworkspace import FromWorkspace, sample_rows
from lstmsim.blocks.toworkspace import ToWorkspace
from lstmsim.errors import (
    DiagramError,
    InvalidTypeError,
    InvalidValueError,
    NonFiniteSignalError,
    ShapeError,
)
from lstmsim.networks import Network
from lstmsim.reference import network_signals
from lstmsim.traces import dataset, diagram_dimensions, network_dimension, select

State = Mapping[str, npt.ArrayLike] | xr.Dataset


def simulate(
    diagram: BlockDiagram,
    u: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None = None,
    *,
    state: State | None = None,
    signals: list[str] | None = None,
    samples: int | None = None,
    engine: str = "bdsim",
    dtype: npt.DTypeLike = "float64",
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    """Run a diagram and return the traces of its signals.

    Sample k of every trace belongs to sample k of the input, at time k·Ts: T samples in,
    T samples out.  The diagram is not altered by a run.

    Parameters
    ----------
    diagram : BlockDiagram
        A diagram from `build` or `load`, or one wired by hand.
    u : array_like of shape (T, Ni), or mapping of such, optional
        The input of the diagram's FROMWORKSPACE block; with several of them, one input each by
        block name.  Not needed where the sources have values of their own.
    state : Dataset or mapping, optional
        Where to begin: traces of this diagram, whose run is then continued (the time axis
        too), or initial states by block name.  Else the delays' own initial values.
    signals : list of str, optional
        The signals to keep; all if not given.
    samples : int, optional
        How many samples to run: needed if no source has values that say so.
    engine : str, optional
        "bdsim", bdsim's own interpreter.
    dtype : dtype, optional
        float64, which is what bdsim computes in.
    progress : callable, optional
        Called as ``progress(done, samples)`` from time to time, if a FROMWORKSPACE drives the
        diagram.

    Returns
    -------
    xarray.Dataset
        One variable a signal, shape (time, width), and ``<name>_final``, the state of every
        delay after the last sample.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If an argument does not fit the diagram.
    DiagramError
        If the diagram cannot run (`AlgebraicLoopError` for a loop without a delay).
    NonFiniteSignalError
        If a signal overflows; the block and the sample are named.

    Examples
    --------
    >>> import lstmsim as ls
    >>> network, u = ls.published.layer_example()
    >>> traces = ls.simulate(ls.build(network), u)
    >>> [f"{value:.4f}" for value in traces.y[:5, 0].values]
    ['0.5624', '0.4918', '0.5669', '0.1661', '0.0300']

    Notes
    -----
    Sources that are functions of time (STEP, WAVEFORM …) are evaluated at k·Ts + 1e-10·Ts:
    bdsim's clocks cannot tick at t = 0.  A diagram may have several clocks whose periods are
    multiples of the fastest one's, and continuous blocks; its samples are then those of the
    fastest clock, and runs with continuous states cannot be continued.
    """
    _check_engine(diagram, engine, dtype)
    host.check_names(diagram)
    inputs = _inputs(diagram, u)
    count = _sample_count(diagram, inputs, samples)
    host.compile_diagram(diagram)
    clocks = host.clocks(diagram)
    if not clocks:
        raise DiagramError(
            "the diagram has no clock, so there are no samples",
            where="the diagram",
            given="no sampled block",
            expected="at least one sampled block, such as UNITDELAY or TOWORKSPACE",
            mend="end the diagram in a TOWORKSPACE with clock = bd.clock(Ts)",
        )
    Ts = float(clocks[0].T)
    start = _start(state, Ts)
    initial = _initial_states(diagram, state)
    with _prepared(diagram, inputs, initial, _reporter(progress, count)):
        widths = host.check_signals(diagram)
        drivers = {name: name for name in widths} | _output_alias(diagram, widths)
        kept = select(drivers, signals)
        watched = [name for name in widths if name in {drivers[name] for name in kept}]
        values, states = host.run(diagram, count, start, watched)

    _check_finite(diagram, values, watched, widths)
    borders = np.cumsum([widths[name] for name in watched])[:-1]
    columns = dict(zip(watched, np.split(values, borders, axis=1), strict=True))
    dimensions = diagram_dimensions(diagram, widths)
    finals = {name: states[name].copy() for name in _stateful(diagram)}
    for name in finals:
        dimensions.setdefault(name, f"{name}_state")
        if len(finals[name]) != widths.get(name, len(finals[name])):
            dimensions[name] = f"{name}_state"
    return dataset(
        {name: columns[drivers[name]] for name in kept},
        dimensions | {name: dimensions[driver] for name, driver in drivers.items()},
        finals=finals,
        start=start,
        Ts=Ts,
        engine=engine,
    )


def reference(
    network: Network, u: npt.ArrayLike, dtype: npt.DTypeLike = "float64"
) -> xr.Dataset:
    """Run a network in the independent vectorized reference, and label the result.

    Parameters
    ----------
    network : Network
        The network; its layers' h0 and c0 are the initial states.
    u : array_like of shape (T, Ni) or (B, T, Ni)
        One input, or a batch of B.
    dtype : dtype, optional
        Precision of the whole computation, "float64" or "float32".

    Returns
    -------
    xarray.Dataset
        Every signal, as `simulate` returns them, with a dimension `batch` before time for a
        batch.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If the input does not fit the network, or the precision is another one.
    NonFiniteSignalError
        If a signal overflows.
    """
    if not isinstance(network, Network):
        raise InvalidTypeError(
            "reference needs a network", given=type(network).__name__, expected="Network"
        )
    precision = _precision(dtype)
    array = real_array(u, "u", "the input of the network")
    array = array if array.ndim == 3 else sample_rows(array, "u", "the input of the network")
    if array.size == 0 or array.shape[-1] != network.n_inputs:
        raise _wrong_input(array, network.n_inputs, "the network")
    with np.errstate(all="ignore"):
        signals = network_signals(network, array, precision)
    for name, values in signals.items():
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            raise _overflow(f"signal {name!r} of the reference", int(bad[:, -2].min()), values)
    finals = {}
    for layer in network.recurrent:
        prefix = f"{layer.name}." if len(network.recurrent) > 1 else ""
        for state in "ch":
            finals[f"{prefix}{state}_prev"] = signals[f"{prefix}{state}"][..., -1, :]
    dimensions = {name: network_dimension(name) for name in signals}
    if network.head is None:
        dimensions["y"] = dimensions[f"{prefix}h"]
    return dataset(signals, dimensions, finals=finals, Ts=network.Ts, engine="reference")


def _precision(dtype: npt.DTypeLike) -> np.dtype[Any]:
    try:
        precision = np.dtype(dtype)
    except TypeError:
        precision = np.dtype(object)
    if precision not in (np.float64, np.float32):
        raise InvalidValueError(
            "the precision is not supported",
            where="dtype",
            given=repr(dtype),
            expected='"float32" or "float64"',
        )
    return precision


def _check_engine(diagram: Any, engine: str, dtype: npt.DTypeLike) -> None:
    if not isinstance(diagram, BlockDiagram):
        raise InvalidTypeError(
            "simulate needs a block diagram",
            given=type(diagram).__name__,
            expected="a bdsim.BlockDiagram",
            mend="make one with build(network) or load(model, workspace)",
        )
    if engine != "bdsim":
        raise InvalidValueError(
            "there is no engine of this name",
            where="engine",
            given=repr(engine),
            expected='"bdsim"',
        )
    if _precision(dtype) != np.float64:
        raise InvalidValueError(
            "bdsim computes in double precision only",
            where="dtype",
            given=repr(dtype),
            expected='"float64"',
            mend='for single precision use reference(network, u, dtype="float32")',
        )


def _wrong_input(array: npt.NDArray[Any], width: int, where: str) -> ShapeError:
    return ShapeError(
        "the input does not fit",
        where=where,
        given=f"u of shape {array.shape}",
        expected=f"shape (T, {width}): at least one sample, one row each, {width} columns",
        mend="transpose u if its rows are the elements",
    )


def _inputs(diagram: BlockDiagram, u: Any) -> dict[str, FloatArray]:
    """Return the values that the diagram's sources are to have for this run, by block name."""
    found = host.sources(diagram)
    if u is None:
        return {}
    if isinstance(u, Mapping):
        given = dict(u)
    elif len(found) == 1:
        given = {name: u for name in found}
    else:
        raise InvalidValueError(
            "it is not clear which source the input is for",
            where="simulate",
            given=f"one array for {len(found)} FROMWORKSPACE blocks",
            expected="one FROMWORKSPACE block, or a mapping from block names to arrays"
            if found
            else "no input: this diagram's sources are its own",
            mend=f"the diagram's sources: {', '.join(found) or 'none of this kind'}",
        )
    unknown = [name for name in given if name not in found]
    if unknown:
        raise InvalidValueError(
            "the input names no source of the diagram",
            where="simulate",
            given=", ".join(map(repr, unknown)),
            expected=f"FROMWORKSPACE blocks: {', '.join(found) or 'there are none'}",
        )
    values = {}
    for name, samples in given.items():
        block = found[name]
        array = sample_rows(samples, "u", f"the input of {place(block)}")
        width = block.width if block.values is None else block.values.shape[1]
        if width is not None and array.shape[1] != width:
            raise _wrong_input(array, width, f"the input of {place(block)}")
        values[name] = array
    return values


def _sample_count(
    diagram: BlockDiagram, inputs: Mapping[str, FloatArray], samples: int | None
) -> int:
    lengths = {}
    for name, block in host.sources(diagram).items():
        values = inputs.get(name, block.values)
        if values is None:
            raise InvalidValueError(
                "the source has no values",
                where=place(block),
                given="no input",
                expected="an array of shape (T, width)",
                mend="pass u to simulate(diagram, u), or put u into the workspace",
            )
        lengths[name] = len(values)
    if samples is None and not lengths:
        raise InvalidValueError(
            "nothing says how long to run",
            where="simulate",
            given="no input, and no FROMWORKSPACE block",
            expected="a number of samples",
            mend="simulate(diagram, samples=100)",
        )
    if samples is None and len(set(lengths.values())) > 1:
        raise ShapeError(
            "the sources have different numbers of samples",
            where="simulate",
            given=", ".join(f"{name}: {n}" for name, n in lengths.items()),
            expected="inputs of one length",
            mend="cut them to one length, or give samples=",
        )
    if samples is None:
        return next(iter(lengths.values()))
    longest = min(lengths.values(), default=samples)
    whole = isinstance(samples, int | np.integer) and not isinstance(samples, bool)
    if not whole or not 1 <= samples <= longest:
        raise InvalidValueError(
            "this is not a number of samples that can be run",
            where="samples",
            given=repr(samples),
            expected=f"a whole number from 1 to {longest}" if lengths else "a whole number ≥ 1",
        )
    return int(samples)


def _stateful(diagram: BlockDiagram) -> dict[str, Block]:
    """Return the sampled blocks with a state of the system: a source's index is none."""
    return {
        str(block.name): block
        for clock in host.clocks(diagram)
        for block in clock.blocklist
        if not isinstance(block, FromWorkspace | ToWorkspace)
    }


def _start(state: State | None, Ts: float) -> int:
    if not isinstance(state, xr.Dataset) or "time" not in state:
        return 0
    return round(float(state.time[-1]) / Ts) + 1


def _initial_states(diagram: BlockDiagram, state: State | None) -> dict[str, FloatArray]:
    if state is None:
        return {}
    if diagram.nstates:
        raise DiagramError(
            "a run with continuous states cannot be continued",
            where="state",
            given=f"a diagram with {diagram.nstates} continuous states",
            mend="run it in one go, or with bdsim's own run",
        )
    blocks = _stateful(diagram)
    if isinstance(state, xr.Dataset):
        given = {
            str(name).removesuffix("_final"): array.values
            for name, array in state.data_vars.items()
            if str(name).endswith("_final") and "time" not in array.dims
        }
        missing = [name for name in blocks if name not in given]
    elif isinstance(state, Mapping):
        given, missing = dict(state), []
    else:
        raise InvalidTypeError(
            "this is not a state",
            where="state",
            given=type(state).__name__,
            expected="traces of this diagram, or a mapping from delay names to arrays",
        )
    unknown = [name for name in given if name not in blocks]
    if unknown or missing:
        raise InvalidValueError(
            "the state is one of another diagram",
            where="state",
            given=f"states of {', '.join(given) or 'no block'}",
            expected=f"states of {', '.join(blocks) or 'no block: there are no delays'}",
            mend="pass the traces of this diagram, or some of its delays by name",
        )
    initial = {}
    for name, values in given.items():
        array = real_array(values, f"the state of {name!r}", "state").reshape(-1)
        if len(array) != blocks[name].ndstates:
            raise ShapeError(
                "the state does not fit its block",
                where=place(blocks[name]),
                given=f"shape {np.shape(values)}",
                expected=f"{blocks[name].ndstates} elements",
            )
        initial[name] = array
    return initial


@contextlib.contextmanager
def _prepared(
    diagram: BlockDiagram,
    inputs: Mapping[str, FloatArray],
    initial: Mapping[str, FloatArray],
    on_sample: Callable[[int], None] | None,
) -> Iterator[None]:
    """Bind inputs and initial states for one run, and put back what was there."""
    found = host.sources(diagram)
    blocks = _stateful(diagram)
    before_values = {name: block.values for name, block in found.items()}
    before_states = {name: blocks[name]._x0 for name in initial}
    try:
        for name, values in inputs.items():
            found[name].values = values
        for name, values in initial.items():
            blocks[name]._x0 = values
        for block in list(found.values())[:1]:
            block.on_sample = on_sample
        yield
    finally:
        for name, block in found.items():
            block.values = before_values[name]
            block.on_sample = None
        for name, values in before_states.items():
            blocks[name]._x0 = values


def _reporter(
    progress: Callable[[int, int], None] | None, samples: int
) -> Callable[[int], None] | None:
    if progress is None:
        return None
    stride = max(1, samples // 200)

    def report(done: int) -> None:
        if done % stride == 0 or done == samples:
            progress(done, samples)

    return report


def _output_alias(diagram: BlockDiagram, widths: Mapping[str, int]) -> dict[str, str]:
    """Return y as a second name of what drives the only sink, if no signal is called y."""
    sinks = [block for block in diagram.blocklist if isinstance(block, ToWorkspace)]
    if "y" in widths or len(sinks) != 1:
        return {}
    plug = sinks[0].inports[0]
    return {"y": host.signal_name(plug.block, plug.port)}


def _overflow(where: str, sample: int, values: npt.NDArray[Any]) -> NonFiniteSignalError:
    at_sample = values[..., sample, :]
    bad = at_sample[~np.isfinite(at_sample)]
    return NonFiniteSignalError(
        "a signal is not finite any more",
        where=f"{where}, sample {sample}",
        given=", ".join(str(value) for value in bad[:3]),
        expected="finite numbers",
        mend="look at the gains in the loop: the signal grew beyond the largest number; "
        "a smaller input or smaller weights keep it finite",
    )


def _check_finite(
    diagram: BlockDiagram,
    values: npt.NDArray[np.float64],
    watched: list[str],
    widths: Mapping[str, int],
) -> None:
    finite = np.isfinite(values)
    if finite.all():
        return
    sample = int(np.argmin(finite.all(axis=1)))
    # Of the signals that are bad at this sample, the one computed first is the origin.
    order = {str(b.name): k for k, b in enumerate(b for group in diagram.plan for b in group)}
    ports = host.signal_ports(diagram)
    columns = np.cumsum([0, *(widths[name] for name in watched)])
    bad = [
        name
        for name, first, last in zip(watched, columns, columns[1:], strict=False)
        if not finite[sample, first:last].all()
    ]
    origin = min(bad, key=lambda name: order[str(ports[name][0].name)])
    first = columns[watched.index(origin)]
    raise _overflow(
        place(ports[origin][0]), sample, values[:, first : first + widths[origin]]
    )
