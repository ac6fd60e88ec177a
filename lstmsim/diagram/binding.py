"""What a run needs from its caller: inputs for the sources, states for the delays."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from bdsim.blockdiagram import BlockDiagram
from bdsim.components import Block

from lstmsim.base import (
    DiagramError,
    FloatArray,
    InvalidTypeError,
    InvalidValueError,
    ShapeError,
    real_array,
)
from lstmsim.blocks import FromWorkspace, ToWorkspace, place, sample_rows
from lstmsim.diagram import host

State = Mapping[str, npt.ArrayLike] | xr.Dataset


def wrong_input(array: npt.NDArray[Any], width: int, where: str) -> ShapeError:
    """Return the error for an input that is not as wide as it should be, or empty."""
    return ShapeError(
        "the input does not fit",
        where=where,
        given=f"u of shape {array.shape}",
        expected=f"shape (T, {width}): at least one sample, one row each, {width} columns",
        mend="transpose u if its rows are the elements",
    )


def inputs(diagram: BlockDiagram, u: Any) -> dict[str, FloatArray]:
    """Return the values that the diagram's sources are to have for this run, by block name."""
    found = host.sources(diagram)
    if u is None:
        return {}
    if isinstance(u, Mapping):
        given = dict(u)
    elif len(found) == 1:
        given = dict.fromkeys(found, u)
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
            raise wrong_input(array, width, f"the input of {place(block)}")
        values[name] = array
    return values


def sample_count(
    diagram: BlockDiagram, inputs: Mapping[str, FloatArray], samples: int | None
) -> int:
    """Return how many samples to run: as asked for, or as the sources have."""
    lengths = {}
    for name, block in host.sources(diagram).items():
        values = inputs.get(name, block.values)
        if values is None:
            raise InvalidValueError(
                "the source has no values",
                where=place(block),
                given="no input",
                expected="an array of shape (T, width)",
                mend="pass u to simulate(diagram, u), on the command line --input FILE, or put u "
                "into the workspace",
            )
        lengths[name] = len(values)
    if samples is None and not lengths:
        raise InvalidValueError(
            "nothing says how long to run",
            where="simulate",
            given="no input, and no FROMWORKSPACE block",
            expected="a number of samples",
            mend="simulate(diagram, samples=100), or --samples 100 on the command line",
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
            mend="leave samples out to run all that the input has" if lengths else None,
        )
    return int(samples)


def stateful(diagram: BlockDiagram) -> dict[str, Block]:
    """Return the sampled blocks with a state of the system: a source's index is none."""
    return {
        str(block.name): block
        for clock in host.clocks(diagram)
        for block in clock.blocklist
        if not isinstance(block, FromWorkspace | ToWorkspace)
    }


def start(state: State | None, Ts: float) -> int:
    """Return the number of the first sample: after the last one of the run that is continued."""
    if not isinstance(state, xr.Dataset) or state.sizes.get("time", 0) == 0:
        return 0
    return round(float(state.time[-1]) / Ts) + 1


def _check_whole(traces: xr.Dataset, Ts: float) -> None:
    """Refuse traces that do not end where their final states are, or of another sample time."""
    theirs = float(traces.attrs.get("Ts", Ts))
    if abs(theirs - Ts) > 1e-9 * Ts:
        raise InvalidValueError(
            "the state is of another sample time",
            where="state",
            given=f"traces with Ts = {theirs:g} s",
            expected=f"Ts = {Ts:g} s, as the diagram has",
            mend="pass the states alone, by block name, if that is meant",
        )
    if traces.sizes.get("time", 0) == 0 or "samples_done" not in traces.attrs:
        return
    if start(traces, Ts) != int(traces.attrs["samples_done"]):
        raise InvalidValueError(
            "the traces were cut: their final states are not those of their last sample",
            where="state",
            given=f"traces to {float(traces.time[-1]):g} s of a run to "
            f"{(int(traces.attrs['samples_done']) - 1) * Ts:g} s",
            expected="whole traces",
            mend="pass the whole traces, or states by block name: {'h_prev': ..., 'c_prev': ...}",
        )


def given_states(diagram: BlockDiagram, state: State) -> dict[str, npt.NDArray[Any]]:
    """Return a state's arrays by block name, if it is one of this diagram."""
    blocks = stateful(diagram)
    if isinstance(state, xr.Dataset):
        _check_whole(state, float(host.clocks(diagram)[0].T))
        given = {
            str(name).removesuffix("_final"): array.values
            for name, array in state.data_vars.items()
            if str(name).endswith("_final") and "time" not in array.dims
        }
        missing = [name for name in blocks if name not in given]
    elif isinstance(state, Mapping):
        given, missing = {str(name): np.asarray(v) for name, v in state.items()}, []
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
    return given


def initial_states(diagram: BlockDiagram, state: State | None) -> dict[str, FloatArray]:
    """Return the states to begin with, by block name, checked against the diagram."""
    if state is None:
        return {}
    if diagram.nstates:
        raise DiagramError(
            "a run with continuous states cannot be continued",
            where="state",
            given=f"a diagram with {diagram.nstates} continuous states",
            mend="run it in one go, or with bdsim's own run",
        )
    blocks = stateful(diagram)
    given = given_states(diagram, state)
    initial = {}
    for name, values in given.items():
        array = real_array(values, f"the state of {name!r}", "state")
        if array.ndim > 1 and 1 not in array.shape:
            array = array[:0]  # a batch's states, whose number might happen to fit
        array = array.reshape(-1)
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
def prepared(
    diagram: BlockDiagram,
    inputs: Mapping[str, FloatArray],
    initial: Mapping[str, FloatArray],
    on_sample: Callable[[int], None] | None,
) -> Iterator[None]:
    """Hold a diagram, with inputs and initial states for one run.

    The blocks' own values and initial states stay as they are, for other threads to read.
    """
    found = host.sources(diagram)
    blocks = stateful(diagram)
    with host.turn(diagram):
        try:
            for name, values in inputs.items():
                found[name].bound = values
            for name, values in initial.items():
                # bdsim asks the block for the state that it begins with.
                blocks[name].getstate0 = functools.partial(np.array, values)
            for block in list(found.values())[:1]:
                block.on_sample = on_sample
            yield
        finally:
            for block in found.values():
                block.bound = block.on_sample = None
            for name in initial:
                vars(blocks[name]).pop("getstate0", None)
