"""The NumPy engine: an interpreter of schedules, and the meaning of all other engines.

`forward` walks the stages in order; `backward` walks the same stages in reverse with the
operations' pullbacks.  All arrays are (…, T, width), leading axes being a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lstmsim.base import Array
from lstmsim.engine.graph import Graph, Node
from lstmsim.engine.schedule import Schedule, Stage
from lstmsim.engine.store import Parameters

Signals = dict[str, Array]


def op_arguments(node: Node, parameters: Parameters) -> dict[str, Any]:
    """Return the arguments of a node's operation beside its inputs."""
    arrays = {name: parameters[node.block][name] for name in node.parameters}
    return {**arrays, **node.static}


def _at(array: Array, k: int) -> Array:
    """Return sample k."""
    return array[..., k, :]


def forward(
    schedule: Schedule,
    parameters: Parameters,
    inputs: Mapping[str, Array],
    states: Mapping[str, Array],
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
) -> Signals:
    """Return every signal.

    Parameters
    ----------
    schedule : Schedule
        The stages.
    parameters : mapping
        The arrays of the blocks, in the precision of the run.
    inputs : mapping of ndarray of shape (…, T, width)
        The sources' samples.
    states : mapping of ndarray of shape (…, width)
        What the delays put out at the first sample, by block name.
    shape : tuple of int
        Batch axes and the number of samples, (…, T).
    dtype : dtype
        Precision of the run.
    """
    signals: Signals = dict(inputs)
    for stage in schedule.stages:
        if stage.loop:
            _step_through(stage, parameters, signals, states, shape, dtype)
            continue
        for node in stage.nodes:
            settings = op_arguments(node, parameters)
            if node.op.memory:
                settings["x0"] = states[node.block][..., None, :]
            value = node.op.forward(tuple(signals[name] for name in node.inputs), settings)
            value = np.asarray(value, dtype)
            signals[node.name] = np.broadcast_to(value, (*shape, node.width))
    return signals


def _step_through(
    stage: Stage,
    parameters: Parameters,
    signals: Signals,
    states: Mapping[str, Array],
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
) -> None:
    settings = {node.name: op_arguments(node, parameters) for node in stage.nodes}
    for node in stage.nodes:
        signals[node.name] = np.empty((*shape, node.width), dtype)
    now = {node.name: states[node.block] for node in stage.delays}
    for k in range(shape[-1]):
        for node in stage.nodes:
            if node.op.memory:
                value = now[node.name]
            else:
                inputs = tuple(_at(signals[name], k) for name in node.inputs)
                value = node.op.forward(inputs, settings[node.name])
            signals[node.name][..., k, :] = value
        # Only now: a delay of a delay stores what that one put out at this sample.
        now = {node.name: _at(signals[node.inputs[0]], k) for node in stage.delays}


def evaluate(
    nodes: Iterable[Node], arguments: Mapping[str, Mapping[str, Any]], known: Mapping[str, Array]
) -> Signals:
    """Return every signal of samples whose states are known, at all of them at once.

    Parameters
    ----------
    nodes : iterable of Node
        All but the delays, in the order of computation.
    arguments : mapping
        Those of each node's operation, by signal name.
    known : mapping of ndarray of shape (samples, width)
        The outputs of delays and sources.

    Returns
    -------
    dict of ndarray
        By signal name; a constant signal has one sample.
    """
    signals: Signals = dict(known)
    with np.errstate(all="ignore"):  # the caller checks for overflow
        for node in nodes:
            inputs = tuple(signals[name] for name in node.inputs)
            if len({len(u) for u in inputs}) > 1:
                samples = max(map(len, inputs))
                inputs = tuple(np.broadcast_to(u, (samples, u.shape[1])) for u in inputs)
            value = np.atleast_2d(node.op.forward(inputs, arguments[node.name]))
            signals[node.name] = np.broadcast_to(value, (len(value), node.width))
    return signals


def final_states(graph: Graph, signals: Signals) -> dict[str, Array]:
    """Return what every delay has stored after the last sample, by block name."""
    return {
        node.block: signals[node.inputs[0]][..., -1, :].copy() for node in graph.delays.values()
    }


def backward(
    graph: Graph,
    schedule: Schedule,
    parameters: Parameters,
    signals: Signals,
    cotangents: Mapping[str, Array],
) -> tuple[Signals, dict[str, dict[str, Array]], dict[str, Array]]:
    """Return the gradient of a loss, from its derivatives by some signals.

    Parameters
    ----------
    graph, schedule : Graph, Schedule
        What was run.
    parameters : mapping
        The arrays of the blocks.
    signals : dict
        What `forward` returned.
    cotangents : mapping of ndarray
        dL/d(signal), for example of the outputs.

    Returns
    -------
    signals : dict of ndarray
        dL/d(signal) of every signal, with all its ways to the loss: of the inputs too.
    parameters : dict of dict of ndarray
        dL/d(parameter), summed over samples and the batch.
    states : dict of ndarray of shape (…, width)
        dL/d(initial state), by block name.
    """
    bars = {name: np.zeros_like(value) for name, value in signals.items()}
    for name, value in cotangents.items():
        bars[name] = bars[name] + value
    arrays = {
        node.block: {name: np.zeros_like(parameters[node.block][name]) for name in node.parameters}
        for node in graph.nodes.values()
        if node.parameters
    }
    states: dict[str, Array] = {}
    for stage in reversed(schedule.stages):
        if stage.loop:
            _step_back(stage, parameters, signals, bars, arrays, states)
            continue
        for node in reversed(stage.nodes):
            inputs = tuple(signals[name] for name in node.inputs)
            settings = op_arguments(node, parameters)
            found = node.op.pullback(bars[node.name], inputs, signals[node.name], settings)
            for name, bar in zip(node.inputs, found[0], strict=True):
                bars[name] += bar
            for name, bar in found[1].items():
                arrays[node.block][name] += bar
            if node.op.memory:
                states[node.block] = bars[node.name][..., 0, :].copy()
    return bars, arrays, states


def _step_back(
    stage: Stage,
    parameters: Parameters,
    signals: Signals,
    bars: Signals,
    arrays: dict[str, dict[str, Array]],
    states: dict[str, Array],
) -> None:
    settings = {node.name: op_arguments(node, parameters) for node in stage.nodes}
    samples = bars[stage.nodes[0].name].shape[-2]
    for k in reversed(range(samples)):
        for node in reversed(stage.nodes):
            bar = _at(bars[node.name], k)
            if node.op.memory:
                if k > 0:
                    bars[node.inputs[0]][..., k - 1, :] += bar
                continue
            inputs = tuple(_at(signals[name], k) for name in node.inputs)
            output = _at(signals[node.name], k)
            found = node.op.pullback(bar, inputs, output, settings[node.name])
            for name, part in zip(node.inputs, found[0], strict=True):
                bars[name][..., k, :] += part
            for name, part in found[1].items():
                arrays[node.block][name] += part
    for node in stage.delays:
        first = _at(bars[node.name], 0)
        states[node.block] = first.copy()
        arrays[node.block]["x0"] += first.reshape(-1, first.shape[-1]).sum(axis=0)
