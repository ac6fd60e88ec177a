"""The exact linearization of a diagram, along a run or at a point."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import xarray as xr
from bdsim.blockdiagram import BlockDiagram

from lstmsim._version import __version__
from lstmsim.base import (
    DiagramError,
    InvalidValueError,
    NonFiniteSignalError,
    check_names,
    whole_number,
)
from lstmsim.diagram import State
from lstmsim.dynamics.linearization.compose import StateSpace, state_space
from lstmsim.dynamics.linearization.kinks import described, warn
from lstmsim.dynamics.linearization.points import Sample, check_kind, point, signals_along_run
from lstmsim.dynamics.linearization.step import SampleMap, Signals, evaluate, sample_map


def linearize(
    diagram: BlockDiagram,
    traces: xr.Dataset | None = None,
    sample: int | None = None,
    *,
    state: State | None = None,
    u: Sample | None = None,
    open: Collection[str] = (),
) -> Any:
    """Linearize a diagram, block by block and exactly.

    x(k+1) = A(k) x(k) + B(k) u(k), y(k) = C(k) x(k) + D(k) u(k) for small changes about sample
    k of a run, or about an operating point.  x holds the delays' outputs, u the samples of
    FROMWORKSPACE blocks, y the signals that drive the sinks; sources that are functions of time
    are no inputs.  The operations' pullbacks give the blocks' Jacobians, and
    the chain rule composes them in the diagram's order; there are no finite differences.

    Parameters
    ----------
    diagram : BlockDiagram
        From `build` or `load`, or wired by hand, of blocks that `compile` takes.
    traces : Dataset, optional
        A run of the diagram.  Only the delays' and sources' signals are needed; the others are
        computed anew, and compared where the traces have them.
    sample : int, optional
        Linearize about this sample of the traces alone, 0 being their first.
    state : mapping or Dataset, optional
        Instead of traces: the operating point, states by delay name; the others have their
        initial values.
    u : array_like of shape (Ni,), or mapping of such, optional
        The operating point's input, by source name if there are several; zero if not given, as
        for a source that is a function of time, which can be given by its name too.
    open : collection of str, optional
        Delays whose loops are opened: the output of such a delay becomes an input, and the signal
        that it stores (``h_prev_next[0]`` …) a further output.

    Returns
    -------
    xarray.Dataset or control.StateSpace
        Along traces a dataset: A (time, state_next, state), B (time, state_next, input),
        C (time, output, state), D (time, output, input), and the points x, u and y themselves.
        For a sample or an operating point a state-space model of python-control with dt = Ts.
        States, inputs and outputs are labelled ``c_prev[0]``, ``u[0]`` …; python-control allows
        no dots, so that `lstm1.c_prev[0]` is `lstm1_c_prev[0]` there.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If the traces are not of this diagram as it is now or lack a delay or a source, if the
        sample is out of range, or a state, an input or a delay does not fit.
    DiagramError
        If the diagram does not compile; if it has no source or no sink, as a StateSpace.
    NonFiniteSignalError
        If the Jacobians overflow.

    Examples
    --------
    >>> import lstmsim as ls
    >>> network, u = ls.published.layer_example()
    >>> diagram = ls.build(network)
    >>> traces = ls.simulate(diagram, u)
    >>> run = ls.linearize(diagram, traces)
    >>> inner = run.A.sel(state_next="c_prev[0]", state="c_prev[0]")
    >>> float(abs(inner - traces.f[:, 0]).max()) < 1e-15  # the forget gate
    True
    >>> system = ls.linearize(diagram, traces, sample=7)
    >>> system.nstates, system.ninputs, system.noutputs, system.dt
    (6, 4, 2, 0.1)

    Notes
    -----
    Where a slope jumps no linearization is exact.  The gradient's slope is used: 0 for a ReLU at
    0, 1 for a clip on its bounds.  A `UserWarning` names block, sample and
    slope, and ``attrs["nonsmooth"]`` of the dataset lists them; it is empty where all is smooth.
    """
    linearization, kinks = linearized(diagram, traces, sample, state, u, open)
    warn(kinks)
    return linearization


def linearized(
    diagram: BlockDiagram,
    traces: xr.Dataset | None = None,
    sample: int | None = None,
    state: State | None = None,
    u: Sample | None = None,
    open: Collection[str] = (),
) -> tuple[Any, str]:
    """Return the result of `linearize`, and the text of its warning."""
    _check_arguments(traces, sample, state, u)
    step = sample_map(diagram)
    opened = _opened(step, open)
    if traces is None:
        signals, samples = evaluate(step, point(diagram, step, state, u)), 1
    else:
        signals, samples = signals_along_run(step, traces), traces.sizes["time"]
        if sample is not None:
            signals, samples = _at_sample(signals, sample, samples), 1
    space = state_space(step, signals, samples, opened)
    _check_finite(space)
    kinks = described(step, signals, samples, sample)
    if traces is None or sample is not None:
        return _to_control(space, step.graph.Ts), kinks
    return _dataset(space, step, signals, traces, opened, kinks), kinks


def _check_arguments(traces: Any, sample: Any, state: Any, u: Any) -> None:
    if traces is not None and (state is not None or u is not None):
        raise InvalidValueError(
            "it is not clear where to linearize",
            where="linearize",
            given="traces and an operating point",
            expected="traces, or state and u",
            mend="leave one of them out: the traces have their own states and inputs",
        )
    if traces is None and sample is not None:
        raise InvalidValueError(
            "a sample is one of traces",
            where="linearize",
            given=f"sample={sample!r} without traces",
            expected="linearize(diagram, traces, sample)",
            mend="give the traces, or the operating point itself: state= and u=",
        )


def _opened(step: SampleMap, names: Collection[str]) -> tuple[str, ...]:
    check_kind(names, "open", (str, Collection), "names of delays")
    chosen = [names] if isinstance(names, str) else list(names)
    check_names(chosen, step.states, "delay", "open")
    return tuple(name for name in step.states if name in chosen)


def _at_sample(signals: Signals, sample: Any, samples: int) -> Signals:
    # Samples count from the first one of the traces.
    sample = whole_number(sample, "sample", "linearize", 0, samples - 1)
    return {
        name: value[sample : sample + 1] if len(value) > 1 else value
        for name, value in signals.items()
    }


def _check_finite(space: StateSpace) -> None:
    for name, matrix in (("A", space.A), ("B", space.B), ("C", space.C), ("D", space.D)):
        bad = np.argwhere(~np.isfinite(matrix))
        if len(bad):
            k = int(bad[0, 0])
            raise NonFiniteSignalError.at(f"matrix {name}", k, matrix[k])


def _dataset(
    space: StateSpace,
    step: SampleMap,
    signals: Signals,
    traces: xr.Dataset,
    opened: tuple[str, ...],
    kinks: str,
) -> xr.Dataset:
    samples = traces.sizes["time"]
    states = [name for name in step.states if name not in opened]

    def stacked(names: list[str]) -> Any:
        parts = [
            np.broadcast_to(signals[name], (samples, signals[name].shape[1])) for name in names
        ]
        return np.concatenate([np.zeros((samples, 0)), *parts], axis=1)

    outputs = [*step.outputs, *(step.driver(name) for name in opened)]
    return xr.Dataset(
        {
            "A": (("time", "state_next", "state"), space.A),
            "B": (("time", "state_next", "input"), space.B),
            "C": (("time", "output", "state"), space.C),
            "D": (("time", "output", "input"), space.D),
            "x": (("time", "state"), stacked(states)),
            "u": (("time", "input"), stacked([*step.graph.inputs, *opened])),
            "y": (("time", "output"), stacked(outputs)),
        },
        coords={
            "time": traces.time,
            "state_next": list(space.states),
            "state": list(space.states),
            "input": list(space.inputs),
            "output": list(space.outputs),
        },
        attrs={"Ts": step.graph.Ts, "nonsmooth": kinks, "version": __version__},
    )


def _to_control(space: StateSpace, Ts: float) -> Any:
    import control

    if not space.inputs or not space.outputs:
        raise DiagramError(
            "a state-space model needs an input and an output",
            where="linearize",
            given=f"{len(space.inputs)} inputs and {len(space.outputs)} outputs",
            expected="a FROMWORKSPACE and a TOWORKSPACE in the diagram, or a delay that is opened",
            mend="linearize along traces, which gives A alone: linearize(diagram, traces).A; or "
            "open a delay: open=[...]",
        )
    return control.StateSpace(
        space.A[0],
        space.B[0],
        space.C[0],
        space.D[0],
        Ts,
        states=_without_dots(space.states),
        inputs=_without_dots(space.inputs),
        outputs=_without_dots(space.outputs),
        remove_useless_states=False,
    )


def _without_dots(names: tuple[str, ...]) -> list[str]:
    """Return labels that python-control takes, still distinct."""
    mark = "_"
    while len({name.replace(".", mark) for name in names}) < len(set(names)):
        mark += "_"
    return [name.replace(".", mark) for name in names]
