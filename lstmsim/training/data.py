"""Sequences to train on: inputs and targets, checked against the diagram."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstmsim.base import Array, InvalidValueError, ShapeError, in_precision, sample_rows
from lstmsim.diagram import interface_of
from lstmsim.diagram import sequences as run_inputs
from lstmsim.engine import Compiled


@dataclass(frozen=True)
class Sequence:
    """One sequence: the samples of every source by block name, and those of the target."""

    inputs: dict[str, Array]
    target: Array

    def __len__(self) -> int:
        return len(self.target)


def _listed(values: Any) -> list[Any]:
    """Return the sequences in what was given: one, a list of them, or a batch (B, T, width)."""
    if values is None or isinstance(values, Mapping):
        return [values]
    # A list of numbers or of rows is one sequence; a list of arrays is several.
    if isinstance(values, list | tuple) and any(
        isinstance(v, np.ndarray | Mapping) or np.ndim(v) == 2 for v in values
    ):
        if not len(values):
            return []
        return list(values)
    if np.ndim(values) == 3:
        return list(np.asarray(values))
    return [values]


def sequences(compiled: Compiled, u: Any, target: Any, what: str = "training") -> list[Sequence]:
    """Return the sequences in the training's precision, if they fit one another and the diagram.

    Raises
    ------
    DiagramError
        If the diagram has no output.
    InvalidTypeError, InvalidValueError, ShapeError
        If they do not fit.
    """
    graph = compiled.graph
    graph.check_outputs()
    interface = interface_of(compiled.diagram, graph.sources)
    given, wanted = _listed(u), _listed(target)
    if u is None and not interface.inputs:
        given = [None] * len(wanted)
    if len(given) != len(wanted) or not wanted:
        raise ShapeError(
            "inputs and targets are not as many",
            where=f"the {what} data",
            given=f"{len(given)} sequences in, {len(wanted)} targets",
            expected="at least one sequence, and a target for each",
        )
    widths = graph.widths
    width = sum(widths[name] for name in graph.outputs)
    found = []
    for number, (one, goal) in enumerate(zip(given, wanted, strict=True)):
        place = f"the {what} data" + (f", sequence {number}" if len(given) > 1 else "")
        rows = sample_rows(goal, "the target", place)
        # Without an input the target alone says how long a sequence is.
        samples = None if interface.inputs else len(rows)
        run = run_inputs(interface, one, samples, compiled.dtype, batches=False)
        if rows.shape != (run.samples, width):
            _refuse_target(rows.shape, (run.samples, width), place)
        goal = in_precision(rows, compiled.dtype, "the target", place)
        found.append(Sequence(run.inputs[0], goal))
    return found


def _refuse_target(given: tuple[int, ...], expected: tuple[int, int], where: str) -> None:
    raise ShapeError(
        "the target does not fit the input"
        if given[0] != expected[0]
        else "the target does not fit the outputs",
        where=where,
        given=f"a target of shape {given}",
        expected=f"shape {expected}: one row for each of the input's {expected[0]} samples, one "
        f"column for each of the {expected[1]} outputs",
        mend="transpose the target if its rows are the outputs"
        if given == expected[::-1]
        else "cut input and target to one length"
        if given[0] != expected[0]
        else None,
    )


def check_varies(given: list[Sequence]) -> None:
    """Refuse targets that never change: whatever is learnt, it is a constant.

    Raises
    ------
    InvalidValueError
        If all samples of all targets are the same, and there is more than one.
    """
    first = given[0].target[0]
    if sum(map(len, given)) > 1 and all((s.target == first).all() for s in given):
        raise InvalidValueError(
            "the target is constant",
            where="the training data",
            given=f"{first.tolist()} at every sample",
            expected="a target that changes: a constant one is fitted by any network with a bias, "
            "and says nothing of it",
            mend="look at how the target was made; if it is meant, pass constant_target=True",
        )
