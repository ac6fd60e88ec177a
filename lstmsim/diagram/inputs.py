"""What a run is given: inputs, initial states, the number of samples and the precision.

Whoever runs something describes what that takes as an `Interface`, plain data, and asks here:
`simulate`, compiled diagrams, `linearize`, `lyapunov`, `analyze`, `fit` and `reference`.  So an
input is the same, and is refused in the same words, wherever it is given.  What does not fit
raises an InvalidTypeError, an InvalidValueError or a ShapeError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from lstmsim.base import (
    Array,
    DiagramError,
    FloatArray,
    InvalidTypeError,
    InvalidValueError,
    ShapeError,
    in_precision,
    real_array,
)

#: Where to begin: traces, whose run is continued, or states by block name.
State = Mapping[str, npt.ArrayLike] | xr.Dataset


@dataclass(frozen=True)
class Source:
    """A source that takes an input.

    Parameters
    ----------
    where : str
        The words for it in an error.
    width : int or None
        Elements of a sample; None if it takes any number of them.
    values : ndarray of shape (T, width), optional
        Samples of its own, for runs without an input.
    function : callable, optional
        ``function(start, count)``: its samples from a first one on, shape (count, width), if it
        is a function of time.  Such a source needs no input.
    """

    where: str
    width: int | None
    values: FloatArray | None = None
    function: Callable[[int, int], FloatArray] | None = None


@dataclass(frozen=True)
class Interface:
    """What a run can be given.

    Parameters
    ----------
    sources : mapping of Source
        By block name.
    delays : mapping of int
        How many elements the states of sampled blocks have, by block name.
    Ts : float
        Sample time in seconds.
    continuous : int, optional
        The number of continuous states, which cannot be given.
    """

    sources: Mapping[str, Source]
    delays: Mapping[str, int]
    Ts: float
    continuous: int = 0

    @property
    def inputs(self) -> list[str]:
        """The sources that need an input, or values: all but functions of time."""
        return [name for name, source in self.sources.items() if source.function is None]


class Sequences(NamedTuple):
    """The inputs of one sequence, or of a batch.

    Parameters
    ----------
    inputs : list of dict of ndarray
        Of every sequence, by the sources' names.
    samples : int
        The length of each.
    batched : bool
        Whether they came as a batch.
    """

    inputs: list[dict[str, Array]]
    samples: int
    batched: bool


# -------------------------------------------------------------------------------------------
# Inputs


def _by_source(interface: Interface, u: Any) -> dict[str, FloatArray]:
    """Return the arrays in what was given, by source; every input comes through here."""
    sources, inputs = interface.sources, interface.inputs
    given = dict(u) if isinstance(u, Mapping) else {} if u is None else dict.fromkeys(inputs, u)
    names = ", ".join(inputs)
    unknown = [name for name in given if name not in sources]
    if unknown:
        raise InvalidValueError(
            "the input names no source of the diagram",
            where="u",
            given=", ".join(map(repr, unknown)),
            expected=f"FROMWORKSPACE blocks: {names or 'there are none'}",
        )
    if u is not None and not isinstance(u, Mapping) and len(inputs) != 1:
        raise InvalidValueError(
            "it is not clear which source the input is for"
            if inputs
            else "the diagram takes no input",
            where="u",
            given=f"one array for {len(inputs)} FROMWORKSPACE blocks",
            expected=f"a mapping from block names to arrays; sources: {names}"
            if inputs
            else "no input: the diagram has no source",
        )
    return {name: real_array(v, "u", _place(sources[name])) for name, v in given.items()}


def _place(source: Source) -> str:
    return f"the input of {source.where}"


def _rows(array: FloatArray, source: Source, name: str, axes: int = 2) -> FloatArray:
    """Return samples of shape (T, width), or a batch of them if they are to have three axes."""
    rows = array.reshape(-1, 1) if array.ndim == 1 else array
    if axes == 3 and len(rows) == 0:
        raise ShapeError("the batch is empty", where="u", given=f"shape {rows.shape}")
    width = rows.shape[-1] if source.width is None and rows.ndim else source.width
    if rows.ndim != axes or rows.size == 0 or rows.shape[-1] != width:
        raise ShapeError(
            "the input does not fit",
            where=_place(source),
            block=name,
            given=f"u of shape {rows.shape}",
            expected=f"shape (T, {width}): at least one sample, one row each, {width} columns",
            mend="transpose u if its rows are the elements" if rows.ndim == 2 else None,
        )
    return rows


def _without_values(name: str, source: Source) -> InvalidValueError:
    if source.function is not None:
        return InvalidValueError(
            "a single sample does not say what the time is",
            where=source.where,
            block=name,
            given="no input",
            expected=f"one sample of it, shape ({source.width},), beside the other inputs",
            mend=f"give all by name: {{{name!r}: ...}}; run and forward compute it",
        )
    return InvalidValueError(
        "the source has no values",
        where=source.where,
        block=name,
        given="no input",
        expected="an array of shape (T, width)",
        mend="pass u to simulate(diagram, u), on the command line --input FILE, or put u "
        "into the workspace",
    )


def sequences(
    interface: Interface,
    u: Any,
    samples: int | None = None,
    dtype: npt.DTypeLike = np.float64,
    *,
    batches: bool = True,
    first: int = 0,
) -> Sequences:
    """Return the samples of every source along a run.

    Parameters
    ----------
    interface : Interface
        What is run.
    u : array_like of shape (T, Ni) or (B, T, Ni), or mapping of such by source name, or None
        The input; a source that is given none has its own values, or is a function of time.
    samples : int, optional
        How many samples to run; all of the input if not given.
    dtype : dtype, optional
        The precision of the run.
    batches : bool, optional
        Whether a batch can be run.
    first : int, optional
        The number of the first sample, from which functions of time go on.
    """
    given = _by_source(interface, u)
    batched = batches and not isinstance(u, Mapping) and any(v.ndim == 3 for v in given.values())
    found: dict[str, Array] = {}
    for name, source in interface.sources.items():
        if name in given:
            found[name] = _rows(given[name], source, name, 3 if batched else 2)
        elif source.values is not None:
            found[name] = source.values
        elif source.function is None:
            raise _without_values(name, source)
    count = _sample_count({name: array.shape[-2] for name, array in found.items()}, samples)
    rows: dict[str, Array] = {}
    for name, source in interface.sources.items():
        if name in found:
            array = found[name][..., :count, :]
        else:
            assert source.function is not None
            array = source.function(first, count)
        rows[name] = in_precision(array, dtype, "u", _place(source))
    if not batched:
        return Sequences([rows], count, False)
    (name,) = interface.inputs
    return Sequences([rows | {name: own} for own in rows[name]], count, True)


def _sample_count(lengths: Mapping[str, int], samples: int | None) -> int:
    """Return how many samples to run: as asked for, or as the sources have."""
    if samples is None:
        if not lengths:
            raise InvalidValueError(
                "nothing says how long to run",
                where="samples",
                given="no input, and no FROMWORKSPACE block",
                expected="a number of samples",
                mend="give samples=100, or --samples 100 on the command line",
            )
        return _one_length(lengths, "cut them to one length, or give samples=")
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


def _one_length(lengths: Mapping[str, int], mend: str) -> int:
    if len(set(lengths.values())) > 1:
        raise ShapeError(
            "the sources have different numbers of samples",
            where="u",
            given=", ".join(f"{name}: {n}" for name, n in lengths.items()),
            expected="inputs of one length",
            mend=mend,
        )
    return next(iter(lengths.values()))


def one_sample(interface: Interface, u: Any, *, fill: bool = True) -> dict[str, FloatArray]:
    """Return one sample of every source, shape (width,), by name.

    A source that is given none has zeros; if none are to be filled in, it is refused.
    """
    given = _by_source(interface, u)
    found = {}
    for name, source in interface.sources.items():
        width = 1 if source.width is None else source.width
        if name not in given and not fill:
            raise _without_values(name, source)
        array = given.get(name, np.zeros(width))
        # (n, 1) and (1, n) are vectors as MATLAB saves them.
        if array.size != width or array.ndim > 2 or (array.ndim == 2 and 1 not in array.shape):
            raise ShapeError(
                "the input does not fit its source",
                where=_place(source),
                block=name,
                given=f"shape {array.shape}",
                expected=f"one sample: a vector of {width}",
                mend="simulate, run and forward take many samples at once"
                if array.ndim == 2
                else None,
            )
        found[name] = array.reshape(-1)
    return found


def held_or_over_time(interface: Interface, u: Any) -> tuple[dict[str, FloatArray], int | None]:
    """Return the samples of every source, and their number: None if all inputs are held.

    A vector is held, and becomes (1, width); a matrix goes on over time.  A source that is given
    none is held at zero, or left out if it is a function of time.
    """
    given = _by_source(interface, u)
    over_time = {n: _rows(a, interface.sources[n], n) for n, a in given.items() if a.ndim == 2}
    held = {name: array for name, array in given.items() if name not in over_time}
    samples = one_sample(interface, held)
    rows = {name: samples[name][None, :] for name in samples if name in {*interface.inputs, *given}}
    if not over_time:
        return rows, None
    lengths = {name: len(array) for name, array in over_time.items()}
    return rows | over_time, _one_length(lengths, "cut them to one length")


# -------------------------------------------------------------------------------------------
# States


def start(state: State | None, Ts: float) -> int:
    """Return the number of the first sample: after the last one of the run that is continued."""
    if not isinstance(state, xr.Dataset) or state.sizes.get("time", 0) == 0:
        return 0
    return round(float(state.time[-1]) / Ts) + 1


def initial_states(
    interface: Interface,
    state: State | None,
    dtype: npt.DTypeLike = np.float64,
    batch: int | None = None,
) -> dict[str, Array]:
    """Return the given states by block name, shape (n,), or (B, n) of a batch of B."""
    if state is None:
        return {}
    if interface.continuous:
        raise DiagramError(
            "a run with continuous states cannot be continued",
            where="state",
            given=f"a diagram with {interface.continuous} continuous states",
            mend="run it in one go, or with bdsim's own run",
        )
    found = {}
    for name, values in _by_delay(interface, state).items():
        where, width = f"the state of {name!r}", interface.delays[name]
        array = real_array(values, where, "state")
        if batch is None and (array.ndim < 2 or 1 in array.shape):
            array = array.reshape(-1)
        if array.shape not in ((width,), (width,) if batch is None else (batch, width)):
            raise ShapeError(
                "the state does not fit its block",
                where=where,
                block=name,
                given=f"shape {np.shape(values)}",
                expected=f"{width} elements"
                + ("" if batch is None else f", or shape ({batch}, {width})"),
            )
        array = in_precision(array, dtype, where)
        found[name] = array if batch is None else np.broadcast_to(array, (batch, width))
    return found


def _by_delay(interface: Interface, state: Any) -> dict[str, Any]:
    """Return a state's arrays by block name, if it is one of what is run."""
    delays = interface.delays
    if isinstance(state, xr.Dataset):
        _check_whole(state, interface.Ts)
        given = {
            str(name).removesuffix("_final"): array.values
            for name, array in state.data_vars.items()
            if str(name).endswith("_final") and "time" not in array.dims
        }
        missing = [name for name in delays if name not in given]
    elif isinstance(state, Mapping):
        given, missing = {str(name): values for name, values in state.items()}, []
    else:
        raise InvalidTypeError(
            "this is not a state",
            where="state",
            given=type(state).__name__,
            expected="traces of this diagram, or a mapping from delay names to arrays",
        )
    if missing or any(name not in delays for name in given):
        raise InvalidValueError(
            "the state is one of another diagram",
            where="state",
            given=f"states of {', '.join(given) or 'no block'}",
            expected=f"states of {', '.join(delays) or 'no block: there are no delays'}",
            mend="pass the traces of this diagram, or some of its delays by name",
        )
    return given


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
    done = traces.attrs.get("samples_done")
    if traces.sizes.get("time", 0) > 0 and done is not None and start(traces, Ts) != int(done):
        raise InvalidValueError(
            "the traces were cut: their final states are not those of their last sample",
            where="state",
            given=f"traces to {float(traces.time[-1]):g} s of a run to {(int(done) - 1) * Ts:g} s",
            expected="whole traces",
            mend="pass the whole traces, or states by block name: {'h_prev': ..., 'c_prev': ...}",
        )
