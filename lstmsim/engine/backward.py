"""Gradients: the schedule walked backwards, loops with their adjoint kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lstmsim.engine.interpreter import Signals, settings_of
from lstmsim.engine.packing import Packed
from lstmsim.engine.plan import LoopPlan
from lstmsim.engine.program import Program, Run
from lstmsim.engine.render import stacks_of

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Gradient:
    """dL by the parameters, the initial states and, if wanted, the inputs."""

    arrays: dict[str, dict[str, Array]]
    states: dict[str, Array]
    inputs: Signals


def backward(
    program: Program, packed: Packed, run: Run, cotangents: Mapping[str, Array], inputs: bool
) -> Gradient:
    """Return the gradient of a loss from its derivatives by the outputs.

    Parameters
    ----------
    program : Program
        What was run.
    packed : Packed
        The parameters of the run.
    run : Run
        A run with everything kept.
    cotangents : mapping of ndarray of shape (samples, width)
        dL/d(output).
    inputs : bool
        Whether dL/d(input) is wanted.
    """
    bars: Signals = {n: np.array(v, program.dtype) for n, v in cotangents.items()}
    arrays: dict[str, dict[str, Array]] = {}
    states: dict[str, Array] = {}
    for number in reversed(range(len(program.plans))):
        plan = program.plans[number]
        if isinstance(plan, LoopPlan):
            _loop_back(program, packed, run, number, plan, bars, arrays, states)
        else:
            _stage_back(program, packed, run, number, bars, arrays, states, inputs)
    found = {name: bars.get(name) for name in program.graph.sources} if inputs else {}
    zeros = {n: np.zeros((run.samples, program.sizes.widths[n]), program.dtype) for n in found}
    return Gradient(arrays, states, {n: zeros[n] if v is None else v for n, v in found.items()})


def _stage_back(
    program: Program,
    packed: Packed,
    run: Run,
    number: int,
    bars: Signals,
    arrays: dict[str, dict[str, Array]],
    states: dict[str, Array],
    inputs: bool,
) -> None:
    for node in reversed(program.schedule.stages[number].nodes):
        bar = bars.get(node.name)
        if bar is None:
            bar = np.zeros((run.samples, node.width), program.dtype)
        if node.op.name == "constant":
            # Where all its readers are loops, its gradient was added up there.
            if node.name in bars or node.block not in arrays:
                _add(arrays, node.block, "value", bar.sum(axis=0))
            continue
        if node.op.name == "matvec":
            source, K = node.inputs[0], packed.arrays[node.block]["K"]
            _add(arrays, node.block, "K", bar.T @ run.signal(source))
            if inputs or source not in program.graph.sources:
                _add_signal(bars, source, bar @ K)
            continue
        settings = settings_of(node, packed.arrays)
        signals = tuple(run.signal(name) for name in node.inputs)
        found = node.op.pullback(bar, signals, run.signal(node.name), settings)
        for name, part in zip(node.inputs, found[0], strict=True):
            _add_signal(bars, name, part)
        for name, part in found[1].items():
            _add(arrays, node.block, name, part)
        if node.op.name == "delay":
            states[node.block] = bar[0].copy()


def _loop_back(
    program: Program,
    packed: Packed,
    run: Run,
    number: int,
    plan: LoopPlan,
    bars: Signals,
    arrays: dict[str, dict[str, Array]],
    states: dict[str, Array],
) -> None:
    row, samples = plan.rows["bar"], run.samples
    buffer = np.zeros((samples + 1, row), program.dtype)
    now = buffer[1:]
    delays = plan.full.places.delays
    for name in [node.name for node in plan.stage.nodes if node.name in bars]:
        rows = buffer[:-1] if name in delays else now
        at = plan.bar[delays.get(name, name)]
        rows[:, at : at + program.sizes.widths[name]] += bars.pop(name)
    log, external = run.logs[number]
    keys = plan.backward_keys
    numbers = program.numbers(number, plan, keys, run.samples, "full", external)
    kernel = program.kernel(plan.backward_text)
    kernel(log, external.flat, packed.stages[number][""], buffer.reshape(-1), numbers)

    def result(name: str) -> Array:
        at = plan.bar[plan.slots[name]]
        return now[:, at : at + program.sizes.widths[name]]

    for name in plan.ext:
        _add_signal(bars, name, result(name))
    # One product with ones: a sum over the samples, column by column, is slow in NumPy.
    totals = np.ones(samples, program.dtype) @ now if plan.full.places.constants else now[0]
    for name in plan.full.places.constants:
        block = program.graph.nodes[name].block
        shape = packed.arrays[block]["value"].shape
        at = plan.bar[plan.slots[name]]
        total = totals[at : at + program.sizes.widths[name]]
        _add(arrays, block, "value", total if total.shape == shape else total.sum(keepdims=True))
    for source, stack in stacks_of(plan.stage.nodes).items():
        x = run.signal(source)
        places = [plan.bar[plan.slots[node.name]] for node in stack]
        first, last = min(places), max(places) + program.sizes.padded(stack[0].width)
        if last - first == len(stack) * program.sizes.padded(stack[0].width):
            # Their cotangents lie beside one another: one product for the whole stack.
            product = now[:, first:last].T @ x
            for node, at in zip(stack, places, strict=True):
                _add(arrays, node.block, "K", product[at - first :][: node.width])
            continue
        for node in stack:
            _add(arrays, node.block, "K", result(node.name).T @ x)
    for node in plan.stage.nodes:
        if node.op.name == "scale":
            product = result(node.name) * run.signal(node.inputs[0])
            _add(arrays, node.block, "k", product.sum().reshape(()))
    for node in plan.stage.delays:
        at = plan.bar[delays[node.name]]
        states[node.block] = buffer[0, at : at + node.width].copy()
        _add(arrays, node.block, "x0", states[node.block])


def _add(arrays: dict[str, dict[str, Array]], block: str, name: str, part: Array) -> None:
    values = arrays.setdefault(block, {})
    values[name] = values[name] + part if name in values else part


def _add_signal(bars: Signals, name: str, part: Array) -> None:
    bars[name] = bars[name] + part if name in bars else part
