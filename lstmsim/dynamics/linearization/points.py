"""The points of a linearization: the samples of a run, or an operating point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import Array, InvalidTypeError, InvalidValueError, ShapeError, real_array
from lstmsim.diagram import State, check_is_traces, initial_states, one_sample
from lstmsim.dynamics.linearization.step import SampleMap, Signals, evaluate
from lstmsim.engine import parameters

#: An input at one sample: a vector, or vectors by source name.
Sample = npt.ArrayLike | Mapping[str, npt.ArrayLike]


def signals_along_run(step: SampleMap, traces: xr.Dataset) -> Signals:
    """Return all signals of a run, computed from its delays' outputs and its inputs.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If they are not traces of this diagram, or lack a delay or a source.
    """
    check_is_traces(traces)
    if "batch" in traces.dims:
        raise InvalidValueError(
            "a linearization is along one run",
            where="traces",
            given=f"a batch of {traces.sizes['batch']}",
            expected="traces of one sequence",
            mend="take one of them: traces.isel(batch=0)",
        )
    Ts = float(traces.attrs.get("Ts", step.graph.Ts))
    if abs(Ts - step.graph.Ts) > 1e-9 * step.graph.Ts:
        raise InvalidValueError(
            "the traces are of another sample time",
            where="traces",
            given=f"Ts = {Ts:g} s",
            expected=f"Ts = {step.graph.Ts:g} s, as the diagram has",
        )
    needed = step.states | step.graph.sources
    lacking = [name for name in needed if name not in traces]
    if lacking:
        raise InvalidValueError(
            "the traces lack what the linearization is computed from",
            where="traces",
            given=f"no signal {', '.join(lacking)}",
            expected=f"what the delays and sources put out: {', '.join(needed)}",
            mend="keep these signals: simulate(diagram, u, signals=[...]) with them, or without "
            "signals= for all",
        )
    known = {}
    for name, width in needed.items():
        array = real_array(traces[name].values, f"signal {name!r}", "traces")
        if array.shape != (traces.sizes["time"], width):
            raise ShapeError(
                "the traces are of another diagram",
                where=f"signal {name!r}",
                given=f"shape {array.shape}",
                expected=f"shape ({traces.sizes['time']}, {width})",
            )
        known[name] = array
    signals = evaluate(step, known)
    _check_same(step, signals, traces)
    return signals


def _check_same(step: SampleMap, signals: Signals, traces: xr.Dataset) -> None:
    """Refuse traces whose signals differ from those that the diagram computes from their states."""
    single = any(str(traces[n].dtype) == "float32" for n in traces if n in signals)
    tolerance = 1e-3 if single else 1e-8
    for node in step.nodes:
        if node.name not in traces:
            continue
        ours, theirs = signals[node.name], np.asarray(traces[node.name], float)
        terms = [signals[node.name], *(signals[name] for name in node.inputs)]
        scale = max(1.0, *(float(np.abs(term).max(initial=0)) for term in terms))
        same_shape = theirs.shape == (traces.sizes["time"], node.width)
        difference = float(np.abs(ours - theirs).max()) if same_shape else np.inf
        if not difference <= tolerance * scale:
            raise InvalidValueError(
                "the traces are not a run of this diagram as it is now",
                where=f"signal {node.name!r}",
                given=f"a difference of {difference:.3g}"
                if same_shape
                else f"shape {theirs.shape}",
                expected="what the diagram computes from the traces' own states and inputs",
                mend="run the diagram again: its parameters may have changed since",
            )


def point(diagram: BlockDiagram, step: SampleMap, state: State | None, u: Sample | None) -> Signals:
    """Return the outputs of delays and sources at an operating point, one sample.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If a state or an input does not fit the diagram.
    """
    known = own_states(diagram, step) | initial_states(step.interface, state)
    known |= one_sample(step.interface, u)
    return {name: value[None, :] for name, value in known.items()}


def own_states(diagram: BlockDiagram, step: SampleMap) -> dict[str, Array]:
    """Return the delays' own initial states, by name."""
    arrays = parameters(diagram.blocklist)
    return {
        name: np.broadcast_to(arrays[node.block]["x0"], node.width)
        for name, node in step.graph.delays.items()
    }


def check_kind(value: Any, name: str, kind: type | tuple[type, ...], expected: str) -> None:
    """Refuse an argument of another kind."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InvalidTypeError(
            f"{name} is of another kind", where=name, given=repr(value)[:80], expected=expected
        )
