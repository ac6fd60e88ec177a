"""Running a diagram on any engine, with labelled results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import (
    InvalidValueError,
    NonFiniteSignalError,
    check_names,
    precision,
)
from lstmsim.blocks import place
from lstmsim.diagram import (
    State,
    dataset,
    diagram_dimensions,
    host,
    initial_states,
    interface_of,
    output_alias,
    prepared,
    select,
    sequences,
    start,
    structure,
)

#: What can run a diagram.
ENGINES = ("bdsim", "numba", "numpy")


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
        block name.  Not needed where the sources have values of their own.  Compiled engines take
        a batch (B, T, Ni) too.
    state : Dataset or mapping, optional
        Where to begin: traces of this diagram, whose run is then continued (the time axis
        too), or initial states by block name.  Else the delays' own initial values.
    signals : list of str, optional
        The signals to keep; all if not given.
    samples : int, optional
        How many samples to run: needed if no source has values that say so.
    engine : str, optional
        "bdsim", bdsim's own interpreter, which runs every diagram; "numba", compiled kernels, or
        "numpy", an interpreter of the same: see `lstmsim.compile`, which compiles once for many
        runs.
    dtype : dtype, optional
        "float64", or "float32" where the engine is not bdsim, which computes in double precision.
    progress : callable, optional
        Called as ``progress(done, samples)`` from time to time, if bdsim runs the diagram and a
        FROMWORKSPACE drives it.

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
    if engine != "bdsim":
        from lstmsim.engine.compiled import compile

        return compile(diagram, dtype, engine).run(u, state=state, signals=signals, samples=samples)
    structure.check_names(diagram)
    host.compile_diagram(diagram)
    interface = interface_of(diagram)
    given = sequences(interface, u, samples, batches=False)
    initial, count = initial_states(interface, state), given.samples
    first = start(state, interface.Ts)
    with prepared(diagram, given.inputs[0], initial, _reporter(progress, count)):
        widths = host.signal_widths(diagram)
        drivers = {name: name for name in widths} | output_alias(diagram, widths)
        kept = select(drivers, signals)
        watched = [name for name in widths if name in {drivers[name] for name in kept}]
        values, states = host.run(diagram, count, first, watched)

    _check_finite(diagram, values, watched, widths)
    borders = np.cumsum([widths[name] for name in watched])[:-1]
    columns = dict(zip(watched, np.split(values, borders, axis=1), strict=True))
    dimensions = diagram_dimensions(diagram, widths)
    finals = {name: states[name].copy() for name in interface.delays}
    for name in finals:
        dimensions.setdefault(name, f"{name}_state")
        if len(finals[name]) != widths.get(name, len(finals[name])):
            dimensions[name] = f"{name}_state"
    return dataset(
        {name: columns[drivers[name]] for name in kept},
        dimensions | {name: dimensions[driver] for name, driver in drivers.items()},
        finals=finals,
        start=first,
        Ts=interface.Ts,
        engine=engine,
    )


def _check_engine(diagram: Any, engine: str, dtype: npt.DTypeLike) -> None:
    structure.check_is_diagram(diagram)
    check_names([engine], ENGINES, "engine", "engine")
    if precision(dtype) != np.float64 and engine == "bdsim":
        raise InvalidValueError(
            "bdsim computes in double precision only",
            where="dtype",
            given=repr(dtype),
            expected='"float64"',
            mend='for single precision use engine="numba" or engine="numpy"',
        )


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
    ports = structure.signal_ports(diagram)
    columns = np.cumsum([0, *(widths[name] for name in watched)])
    bad = [
        name
        for name, first, last in zip(watched, columns, columns[1:], strict=False)
        if not finite[sample, first:last].all()
    ]
    origin = min(bad, key=lambda name: order[str(ports[name][0].name)])
    first = columns[watched.index(origin)]
    block, bad_values = ports[origin][0], values[sample, first : first + widths[origin]]
    raise NonFiniteSignalError.at(place(block), sample, bad_values, block.name)
