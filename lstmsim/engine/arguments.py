"""What a run is given, checked and in the run's precision: inputs and states of sequences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import ShapeError, in_precision, real_array
from lstmsim.blocks import place
from lstmsim.diagram import binding, host

Array = npt.NDArray[Any]


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


def sequences(diagram: BlockDiagram, u: Any, samples: int | None, dtype: Any) -> Sequences:
    """Return the sources' samples.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If the input does not fit the diagram.
    """
    if u is not None and not isinstance(u, Mapping) and np.ndim(u) == 3:
        array = real_array(u, "u", "the input")
        if len(array) == 0:
            raise ShapeError("the batch is empty", where="u", given=f"shape {array.shape}")
        # Every sequence is checked like a single one; they are of one shape.
        (name,) = binding.inputs(diagram, array[0])
        batch = in_precision(array, dtype, "u", "the input")
        return Sequences([{name: own} for own in batch], array.shape[1], True)
    given = binding.inputs(diagram, u)
    count = binding.sample_count(diagram, given, samples)
    found = {}
    for name, block in host.sources(diagram).items():
        values = np.asarray(given.get(name, block.values))[:count]
        found[name] = in_precision(values, dtype, "u", f"the input of {place(block)}")
    return Sequences([found], count, False)


def states(
    diagram: BlockDiagram,
    state: binding.State | None,
    given: Sequences,
    initial: Mapping[str, Array],
    dtype: Any,
) -> list[dict[str, Array] | None]:
    """Return what the delays put out first, for every sequence: None for their own values.

    `initial` are their own values, by block name, in the precision of the run.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If it is not a state of the diagram.
    """
    batch = len(given.inputs)
    if state is None:
        return [None] * batch
    if not given.batched:
        own = binding.initial_states(diagram, state)
        given_ones = {n: in_precision(v, dtype, f"the state of {n!r}") for n, v in own.items()}
        return [{**initial, **given_ones}]
    found: dict[str, Array] = {}
    for name, values in binding.given_states(diagram, state).items():
        width = initial[name].shape[0]
        array = real_array(values, f"the state of {name!r}", "state")
        if array.shape not in ((width,), (batch, width)):
            raise ShapeError(
                "the state does not fit its block",
                where=f"the state of {name!r}",
                given=f"shape {array.shape}",
                expected=f"shape ({width},) or ({batch}, {width})",
            )
        array = in_precision(array, dtype, f"the state of {name!r}")
        found[name] = np.broadcast_to(array, (batch, width))
    return [{**initial, **{n: v[k] for n, v in found.items()}} for k in range(batch)]
