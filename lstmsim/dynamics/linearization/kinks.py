"""Kinks: points at which a slope jumps, so that a linearization holds on one side only."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from lstmsim.base import Array
from lstmsim.dynamics.linearization.jacobian import kinks
from lstmsim.dynamics.linearization.step import SampleMap, Signals


@dataclass(frozen=True)
class Kink:
    """Where one block's slope jumps along a run.

    Parameters
    ----------
    samples : ndarray of int
        The samples.
    slopes : tuple of float
        The slopes that are used there, each once.
    """

    samples: Array
    slopes: tuple[float, ...]


def nonsmooth(step: SampleMap, signals: Signals, samples: int) -> dict[str, Kink]:
    """Return the kinks that a run meets, by signal name."""
    met = {}
    for node in step.nodes:
        inputs = tuple(signals[name] for name in node.inputs)
        slopes = kinks(node, step.settings[node.name], inputs)
        if slopes is not None:
            jumps = np.isfinite(slopes)
            where = np.flatnonzero(np.broadcast_to(jumps.any(axis=1), samples))
            met[node.name] = Kink(where, tuple(np.unique(slopes[jumps]).tolist()))
    return met


def described(step: SampleMap, signals: Signals, samples: int, sample: int | None = None) -> str:
    """Return a sentence about where the kinks are; empty if there are none.

    Parameters
    ----------
    step, signals : SampleMap, Signals
        The diagram, and all its signals.
    samples : int
        Number of samples.
    sample : int, optional
        The number of the sample, if there is only one.
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
            f"there: {at}; the slope in brackets is used, as in gradients",
            UserWarning,
            stacklevel=3,
        )
