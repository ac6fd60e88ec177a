"""The engines that every behaviour of `simulate` is tested on, and what not all of them do.

A test with the fixture `simulate` runs on each engine in turn; with `engine` it has its name too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import xarray as xr

import lstmsim as ls
from lstmsim.engine.kernels import cache as lanes
from lstmsim.errors import DiagramError

#: `lstmsim.simulate` on one engine.
Simulate = Callable[..., xr.Dataset]

#: numba-scalar: the kernels as they are compiled where numba cannot be taught vectors.
ENGINES = ("bdsim", "numpy", "numba", "numba-scalar")
COMPILED = ENGINES[1:]


@dataclass(frozen=True)
class Deviation:
    """Engines that do not show a behaviour, why, and the error by which its test then fails."""

    engines: tuple[str, ...]
    reason: str
    error: type[Exception]


#: By test.  One that is none any more fails, so that it is taken out here.
DEVIATIONS = {
    "test_clocks_of_multiple_periods_tick_together": Deviation(
        COMPILED, "a compiled diagram has one clock; others are refused", DiagramError
    ),
    "test_continuous_blocks_are_sampled_at_the_ticks": Deviation(
        COMPILED, "blocks with continuous states do not compile, and are refused", DiagramError
    ),
    "test_a_sink_keeps_the_samples_of_the_last_run": Deviation(
        COMPILED, "compiled runs return samples, and write none into blocks", AssertionError
    ),
    "test_progress_is_reported_to_the_last_sample": Deviation(
        COMPILED, "compiled runs do not report progress", AssertionError
    ),
    "test_a_batch_of_inputs_is_its_sequences": Deviation(
        ("bdsim",), "bdsim runs one sequence at a time, and refuses a batch", ValueError
    ),
    "test_single_precision_is_that_of_the_reference": Deviation(
        ("bdsim",), "bdsim computes in double precision, and refuses another", ValueError
    ),
}


def on_engine(name: str, monkeypatch: pytest.MonkeyPatch) -> Simulate:
    """Return `lstmsim.simulate` on one engine."""
    if name == "numba-scalar":
        monkeypatch.setattr(lanes, "vectors_available", lambda: False)
    return functools.partial(ls.simulate, engine=name.removesuffix("-scalar"))


def mark_deviations(items: list[pytest.Item]) -> None:
    """Expect the tests of `DEVIATIONS` to fail, each on its engines and by its error alone."""
    for item in items:
        if isinstance(item, pytest.Function) and item.originalname in DEVIATIONS:
            deviation = DEVIATIONS[item.originalname]
            if item.callspec.params.get("engine") in deviation.engines:
                item.add_marker(
                    pytest.mark.xfail(raises=deviation.error, reason=deviation.reason, strict=True)
                )
