"""Points at which a slope jumps: named, so that nobody takes a one-sided slope for exact."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from lstmsim.dynamics.linearization.jacobian import Array, kinks
from lstmsim.dynamics.linearization.step import Signals, Step


@dataclass(frozen=True)
class Kink:
    """Where one block's slope jumps along a run.

    Parameters
    ----------
    samples : ndarray of int
        The samples.
    slopes : tuple of float
        The slopes that are taken there, each once.
    """

    samples: Array
    slopes: tuple[float, ...]


def nonsmooth(step: Step, signals: Signals, samples: int) -> dict[str, Kink]:
    """Return where blocks are on a kink, by signal name."""
    found = {}
    for node in step.nodes:
        inputs = tuple(signals[name] for name in node.inputs)
        slopes = kinks(node, step.settings[node.name], inputs)
        if slopes is not None:
            jumps = np.isfinite(slopes)
            where = np.flatnonzero(np.broadcast_to(jumps.any(axis=1), samples))
            found[node.name] = Kink(where, tuple(np.unique(slopes[jumps]).tolist()))
    return found


def described(step: Step, signals: Signals, samples: int, sample: int | None = None) -> str:
    """Return where kinks are in words; empty if there are none.

    Parameters
    ----------
    step, signals : Step, Signals
        The diagram, and all its signals.
    samples : int
        How many samples they have.
    sample : int, optional
        What the only sample is called.
    """
    parts = []
    for name, kink in nonsmooth(step, signals, samples).items():
        numbers = [sample] if sample is not None else kink.samples.tolist()
        shown = ", ".join(map(str, numbers[:5]))
        more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
        noun = "sample" if len(numbers) == 1 else "samples"
        taken = " and ".join(f"{slope:.4g}" for slope in kink.slopes[:3])
        taken += " …" * (len(kink.slopes) > 3)
        parts.append(f"block {name!r} at {noun} {shown}{more} (slope {taken})")
    return "; ".join(parts)


def warn(at: str) -> None:
    """Warn the caller's caller of the kinks that are described, if there are any."""
    if at:
        warnings.warn(
            "a slope jumps where the diagram is linearized, and it need not have a linearization "
            f"there: {at}; of the slopes on both sides that in brackets is taken, as by gradients",
            UserWarning,
            stacklevel=3,
        )
