"""The labels of a compiled diagram's numbers: traces of its runs, blocks named in errors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import Array, NonFiniteSignalError, quick_isfinite
from lstmsim.blocks import place
from lstmsim.diagram import dataset, diagram_dimensions, output_alias, signal_ports
from lstmsim.engine.graph import Graph
from lstmsim.engine.schedule import Schedule


class Labels:
    """The signals' names, widths and dimensions, which are worked out at their first use.

    Parameters
    ----------
    diagram : BlockDiagram
        What was compiled.
    graph, schedule : Graph, Schedule
        What it was lowered to, and the order of computation.
    dtype, engine
        What is noted in the traces.
    """

    def __init__(
        self,
        diagram: BlockDiagram,
        graph: Graph,
        schedule: Schedule,
        dtype: np.dtype[Any],
        engine: str,
    ) -> None:
        self._diagram, self._graph, self._schedule = diagram, graph, schedule
        self._dtype, self._engine = dtype, engine
        self._last: tuple[Any, xr.Dataset] | None = None

    @cached_property
    def widths(self) -> dict[str, int]:
        """The signals' widths, in the order of the diagram's blocks."""
        return {name: self._graph.widths[name] for name in signal_ports(self._diagram)}

    @cached_property
    def drivers(self) -> dict[str, str]:
        """The signals that traces have, and what drives them."""
        own = {name: name for name in self.widths}
        return own | output_alias(self._diagram, self.widths)

    @cached_property
    def _dimensions(self) -> dict[str, str]:
        found = diagram_dimensions(self._diagram, self.widths)
        return found | {name: found[driver] for name, driver in self.drivers.items()}

    def traces(self, signals: dict[str, Array], finals: dict[str, Array], start: int) -> xr.Dataset:
        """Label signals and final states; `start` is the number of the first sample.

        Labels cost more than a short run: those of the last run are copied where they are alike.
        """
        shape = next(iter(signals.values())).shape[:-1]
        key = (tuple(signals), shape, start)
        last = self._last  # read once: another thread may replace it
        if last is None or last[0] != key:
            # The labels alone: an array of one zero is as good as all samples.
            empty = {n: np.broadcast_to(v[:0].sum(), v.shape) for n, v in signals.items()}
            none = {n: np.broadcast_to(v[:0].sum(), v.shape) for n, v in finals.items()}
            labels = dataset(
                {name: values.astype(self._dtype, copy=False) for name, values in empty.items()},
                self._dimensions,
                finals=none,
                start=start,
                Ts=self._graph.Ts,
                engine=self._engine,
            )
            self._last = last = (key, labels)
        named = {f"{name}_final": values for name, values in finals.items()}
        return last[1].copy(data=signals | named)

    def check_finite(self, found: Mapping[str, Array]) -> None:
        """Raise if a signal of a run is not finite, naming the block and the sample it began at.

        Raises
        ------
        NonFiniteSignalError
            Of the signals that are not finite at the first such sample, for the one that is
            computed first.
        """
        if all(map(quick_isfinite, found.values())):
            return
        bad = {name: ~np.isfinite(values) for name, values in found.items()}
        bad = {name: mask for name, mask in bad.items() if mask.any()}
        if not bad:
            return
        sample = min(int(np.argwhere(mask)[:, -2].min()) for mask in bad.values())
        stages = self._schedule.stages
        order = [*self._graph.sources, *(node.name for stage in stages for node in stage.nodes)]
        origin = next(n for n in order if n in bad and bad[n][..., sample, :].any())
        block, values = signal_ports(self._diagram)[origin][0], found[origin][..., sample, :]
        raise NonFiniteSignalError.at(place(block), sample, values, block.name)
