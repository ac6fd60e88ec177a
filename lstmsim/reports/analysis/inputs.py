"""What drives the run, and what holds still: inputs over time, and the constant one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import FloatArray, InvalidValueError
from lstmsim.diagram import host, interface_of, one_sample, sequences
from lstmsim.dynamics import SampleMap
from lstmsim.reports.analysis import limits

#: Inputs by source name: over time (T, width), or constant (width,).
Inputs = dict[str, FloatArray]


def over_time(diagram: BlockDiagram, u: Any, samples: int | None, step: SampleMap | None) -> Inputs:
    """Return what the sources put out along the run: functions of time too, where they lower.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If the input does not fit the diagram, or a source has no values.
    """
    host.compile_diagram(diagram)
    interface = interface_of(diagram) if step is None else step.interface
    if samples is None and not interface.inputs:
        samples = limits.FREE_RUN
    return sequences(interface, u, samples, batches=False).inputs[0]


def constant(inputs: Inputs) -> bool:
    """Return whether nothing drives the run but constants."""
    return all(bool((array == array[:1]).all()) for array in inputs.values())


def held_input(step: SampleMap, inputs: Inputs, held: Any) -> tuple[Inputs, str]:
    """Return the constant input of the fixed points, and what it is in words.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If it does not fit the sources.
    """
    if isinstance(held, str) and held not in ("mean", "zero"):
        raise InvalidValueError(
            "this is no constant input",
            where="held",
            given=repr(held),
            expected="mean, zero, or one sample of the input",
        )
    if not inputs and isinstance(held, str):
        return {}, "without an input"
    if isinstance(held, str) and held == "mean":
        return {n: array.mean(axis=0) for n, array in inputs.items()}, "at the input's mean"
    if isinstance(held, str):
        return one_sample(step.interface, None), "at zero input"
    sample = one_sample(step.interface, held)
    shown = [f"{v:g}" for array in sample.values() for v in array.tolist()]
    words = ", ".join(shown[:4]) + ", …" * (len(shown) > 4)
    single = not isinstance(held, Mapping) and len(shown) == 1
    return sample, f"at the constant input {words if single else f'[{words}]'}"
