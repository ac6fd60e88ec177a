"""Sources that are functions of time: when their samples are taken, and what these are."""

from __future__ import annotations

import numpy as np
from bdsim.components import Block

from lstmsim.base import DiagramError, FloatArray
from lstmsim.blocks import place


def clock_offset(period: float, Ts: float, start: int) -> float:
    """Return a clock's offset in bdsim, with which its first tick is sample `start`.

    bdsim discards a clock's tick at t = 0: the clock is moved back by one period less a sliver.
    """
    sliver = max(1e-10 * Ts, 2e-12)  # bdsim takes anything below 1e-12 s for the same time
    return start * Ts - period + sliver


def time_samples(block: Block, width: int, Ts: float, start: int, count: int) -> FloatArray:
    """Return what a source puts out at the ticks of a clock, shape (count, width).

    The block itself computes them, at the times of a run in bdsim to the last bit.

    Raises
    ------
    DiagramError
        If some samples are not as wide as the first one of all.
    """
    offset, none = clock_offset(Ts, Ts, start), np.empty(0)
    values = [block.output((k + 1) * Ts + offset, [], none)[0] for k in range(count)]
    try:
        rows = np.array(values, np.float64).reshape(count, -1)
    except (TypeError, ValueError):  # rows of several lengths, or no numbers
        rows = np.empty((count, 0))
    if rows.shape[1] != width:
        raise DiagramError(
            "a source changes its width",
            where=place(block),
            block=block.name,
            given=f"{width} elements at first, and others later",
            expected="as many real numbers at all times",
        )
    return rows
