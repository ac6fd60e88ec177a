"""Gradients over sequences: the core of `Compiled.loss_and_gradient` and of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from lstmsim.base import Array
from lstmsim.engine.engines import Engine, Gradient
from lstmsim.engine.threads import map_threads

#: The part of a loss that some samples of a sequence are, from the sequence's number, the outputs'
#: samples, where these are in the run, and where their derivatives are to be written.
SequenceLoss = Callable[[int, Array, slice, Array], float]


def differentiate(
    engine: Engine,
    inputs: Sequence[Mapping[str, Array]],
    states: Sequence[Mapping[str, Array] | None],
    samples: int,
    loss: SequenceLoss,
    wrt_input: bool = False,
    recompute: bool | None = None,
) -> list[Gradient]:
    """Return each sequence's part of a loss, and its derivatives.

    Parameters
    ----------
    engine : Engine
        What runs the diagram.
    inputs : sequence of mapping of ndarray of shape (T, width)
        The sources' samples of every sequence, by name.
    states : sequence of mapping of ndarray of shape (n,), or None
        What the delays put out first, by block name; None for their own initial values.
    samples : int
        The length T of each.
    loss : callable
        See `SequenceLoss`.
    wrt_input : bool, optional
        Whether the derivatives by the input are wanted too.
    recompute : bool, optional
        Whether signals are computed twice instead of being stored.
    """

    def one(k: int) -> Gradient:
        return engine.gradient(
            inputs[k], states[k], samples, partial(loss, k), wrt_input, recompute
        )

    return map_threads(one, len(inputs))


def total(found: Sequence[Gradient], out: Array | None = None) -> Array:
    """Return the gradient by all parameters, summed over the sequences."""
    if out is None:
        if len(found) == 1:
            return found[0].parameters
        out = np.empty_like(found[0].parameters)
    np.copyto(out, found[0].parameters)
    for other in found[1:]:
        out += other.parameters
    return out
