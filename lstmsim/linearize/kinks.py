"""Points at which a slope jumps: named, so that nobody takes a one-sided slope for exact."""

from __future__ import annotations

import warnings

import numpy as np

from lstmsim.linearize.jacobian import Array, kinks
from lstmsim.linearize.step import Signals, Step


def nonsmooth(step: Step, signals: Signals, samples: int) -> dict[str, Array]:
    """Return the samples at which a block is on a kink, by signal name."""
    found = {}
    for node in step.nodes:
        inputs = tuple(signals[name] for name in node.inputs)
        jumps = kinks(node, step.settings[node.name], inputs)
        if jumps is not None:
            found[node.name] = np.flatnonzero(np.broadcast_to(jumps.any(axis=1), samples))
    return found


def warned(
    step: Step, signals: Signals, samples: int, sample: int | None = None, stacklevel: int = 3
) -> str:
    """Warn of kinks, and return where they are in words; empty if there are none.

    Parameters
    ----------
    step, signals : Step, Signals
        The diagram, and all its signals.
    samples : int
        How many samples they have.
    sample : int, optional
        What the only sample is called.
    stacklevel : int, optional
        Whose line the warning is about.
    """
    parts = []
    for name, where in nonsmooth(step, signals, samples).items():
        numbers = [sample] if sample is not None else where.tolist()
        shown = ", ".join(map(str, numbers[:5]))
        more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
        noun = "sample" if len(numbers) == 1 else "samples"
        parts.append(f"block {name!r} at {noun} {shown}{more}")
    at = "; ".join(parts)
    if at:
        warnings.warn(
            "a slope jumps where the diagram is linearized, and it need not have a linearization "
            f"there: {at}; the slope that the gradient takes is taken",
            UserWarning,
            stacklevel=stacklevel,
        )
    return at
