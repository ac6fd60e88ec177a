"""Composition: local Jacobians become those of a whole sample, by the chain rule."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from lstmsim.base import Array, InvalidValueError
from lstmsim.dynamics.linearization.jacobian import Jacobian, identity, local_jacobians
from lstmsim.dynamics.linearization.step import SampleMap, Signals

#: By signal, and by the seed: the signal that it is differentiated with respect to.
Composed = dict[str, dict[str, Jacobian]]
#: A chunk's Jacobian has about this many elements, so that it stays in the cache.
_CHUNK = 2**18
#: The largest number of elements of one linearization, 16 GiB.
_MAX_ELEMENTS = 2**31


@dataclass(frozen=True)
class StateSpace:
    """x⁺ = A x + B u, y = C x + D u about every sample; arrays (S, rows, columns).

    Parameters
    ----------
    A, B, C, D : ndarray
        The matrices.
    states, inputs, outputs : tuple of str
        Labels of the elements.
    """

    A: Array
    B: Array
    C: Array
    D: Array
    states: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def labels(widths: Mapping[str, int]) -> tuple[str, ...]:
    """Return the names of signals' elements, ``c_prev[0]``, ``c_prev[1]`` and so on."""
    return tuple(f"{name}[{j}]" for name, width in widths.items() for j in range(width))


def jacobians(
    step: SampleMap, signals: Signals, wanted: Iterable[str], seeds: Iterable[str]
) -> Composed:
    """Return the Jacobians of some signals with respect to others, within one sample.

    Parameters
    ----------
    step : SampleMap
        The diagram.
    signals : dict
        All its signals, as `evaluate` returns them.
    wanted : iterable of str
        The signals to differentiate.
    seeds : iterable of str
        The signals to differentiate with respect to: delays, sources, or others, as if an
        independent signal were added to them.

    Returns
    -------
    dict of dict of Jacobian
        Pairs that do not depend on each other are left out.
    """
    widths, seeds, wanted = step.widths, set(seeds), set(wanted)
    known = [*step.states, *step.graph.sources]
    # Forward mode: a Jacobian by every seed follows each signal through the diagram.
    composed: Composed = {
        name: {name: identity(widths[name])} if name in seeds else {} for name in known
    }
    last_reader = {name: node.name for node in step.nodes for name in node.inputs}
    for node in step.nodes:
        parts = [composed[name] for name in node.inputs]
        total: dict[str, Jacobian] = {}
        if any(parts):
            inputs = tuple(signals[name] for name in node.inputs)
            settings = step.settings[node.name]
            local = local_jacobians(node, settings, inputs, signals[node.name])
            for outer, u, part in zip(local, inputs, parts, strict=True):
                repeated = node.op.elementwise and u.shape[1] != node.width
                for seed, inner in part.items():
                    term = outer.after(inner.spread(node.width) if repeated else inner)
                    total[seed] = total[seed] + term if seed in total else term
        if node.name in seeds:
            total[node.name] = identity(node.width)
        composed[node.name] = total
        for name in set(node.inputs):
            if last_reader[name] == node.name and name not in wanted and name not in known:
                del composed[name]
    return {name: composed[name] for name in wanted}


def _fill(
    target: Array, composed: Composed, rows: Mapping[str, int], columns: Mapping[str, int]
) -> None:
    """Write the Jacobians of the rows' signals by the columns' seeds into an array (S, m, n)."""
    top = 0
    for signal, height in rows.items():
        left = 0
        for seed, width in columns.items():
            part = composed[signal].get(seed)
            if part is not None and part.diagonal:
                target[:, top + np.arange(height), left + np.arange(width)] = part.values
            elif part is not None:
                target[:, top : top + height, left : left + width] = part.values
            left += width
        top += height


def chunks(signals: Signals, samples: int, widest: int) -> list[tuple[slice, Signals]]:
    """Return signals in chunks of samples whose Jacobians fit into the cache."""
    size = max(16, _CHUNK // max(1, widest) ** 2)
    parts = [slice(k, min(k + size, samples)) for k in range(0, samples, size)]
    return [
        (part, {n: value[part] if len(value) > 1 else value for n, value in signals.items()})
        for part in parts
    ]


def _check_size(elements: int) -> None:
    if elements > _MAX_ELEMENTS:
        raise InvalidValueError(
            "the Jacobians of so many samples do not fit into memory",
            where="traces",
            given=f"{8 * elements / 2**30:.0f} GiB of matrices",
            expected=f"at most {8 * _MAX_ELEMENTS / 2**30:.0f} GiB",
            mend="take some samples: traces.isel(time=slice(0, 100)), or sample=k",
        )


def state_space(
    step: SampleMap, signals: Signals, samples: int, opened: Collection[str] = ()
) -> StateSpace:
    """Return the exact linearization about every sample.

    Parameters
    ----------
    step : SampleMap
        The diagram.
    signals : dict
        All its signals, as `evaluate` returns them.
    samples : int
        Number of samples.
    opened : collection of str
        Delays whose loops are cut: their outputs become inputs, and their inputs outputs.
    """
    states = {name: width for name, width in step.states.items() if name not in opened}
    cut = {name: width for name, width in step.states.items() if name in opened}
    inputs = step.graph.inputs | cut
    sizes = [sum(part.values()) for part in (states, inputs, step.outputs, cut)]
    n, m, p = sizes[0], sizes[1], sizes[2] + sizes[3]
    _check_size(samples * (n + p) * (n + m))
    further = {}
    for name, width in cut.items():
        label = f"{name}_next"
        while label in step.outputs:
            label += "_"
        further[label] = width
    A, B = np.zeros((samples, n, n)), np.zeros((samples, n, m))
    C, D = np.zeros((samples, p, n)), np.zeros((samples, p, m))
    # Rows are named by their purpose, since one signal may drive several delays and sinks.
    drivers = {name: step.driver(name) for name in step.states}
    wanted = {*drivers.values(), *step.outputs}
    for part, now in chunks(signals, samples, max(step.widths.values())):
        composed = jacobians(step, now, wanted, [*step.states, *step.graph.inputs])
        by_row = {f"next {name}": composed[driver] for name, driver in drivers.items()}
        by_row |= {f"out {name}": composed[name] for name in step.outputs}
        upper = {f"next {name}": width for name, width in states.items()}
        lower = {f"out {name}": width for name, width in step.outputs.items()}
        lower |= {f"next {name}": width for name, width in cut.items()}
        for target, rows, columns in (
            (A, upper, states),
            (B, upper, inputs),
            (C, lower, states),
            (D, lower, inputs),
        ):
            _fill(target[part], by_row, rows, columns)
    return StateSpace(
        A, B, C, D, labels(states), labels(inputs), labels(step.outputs) + labels(further)
    )


def state_matrix(step: SampleMap, signals: Signals, samples: int) -> Array:
    """Return the matrices A about every sample, (S, n, n), without B, C and D."""
    n = sum(step.states.values())
    _check_size(samples * n * n)
    A = np.zeros((samples, n, n))
    drivers = {name: step.driver(name) for name in step.states}
    for part, now in chunks(signals, samples, max(step.widths.values())):
        composed = jacobians(step, now, drivers.values(), step.states)
        rows = {name: composed[driver] for name, driver in drivers.items()}
        _fill(A[part], rows, step.states, step.states)
    return A
