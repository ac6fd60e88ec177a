"""What was measured, as people and other programs read it."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console

from lstmsim.reports.bench.growth import Fit, Series
from lstmsim.reports.bench.machine import Machine
from lstmsim.reports.bench.peers import TITLES
from lstmsim.reports.bench.settings import Settings
from lstmsim.reports.bench.speed import Row
from lstmsim.reports.bench.tables import Grid, first_grid, growth_grid, speed_grid, ways_grid
from lstmsim.reports.bench.timing import TURN, Timing
from lstmsim.reports.bench.ways import Way

#: Shares of a core that tell that a library used more than it may, or that others were busy.
_MORE, _LESS = 0.2, 0.8


@dataclass(frozen=True)
class BenchReport:
    """A benchmark's figures; ``str(report)`` is what a person reads.

    Parameters
    ----------
    settings : Settings
        What was asked for.
    machine : Machine
        What it was measured on.
    missing : dict of str
        Why peers were left out, by name.
    rows : tuple of Row
        Forward, and loss and gradient, beside the peers.
    ways : tuple of Way
        This package's own ways to run.
    growth : tuple of Series
        Over T and over N; empty if it was not asked for.
    """

    settings: Settings
    machine: Machine
    missing: dict[str, str]
    rows: tuple[Row, ...]
    ways: tuple[Way, ...]
    growth: tuple[Series, ...]

    @property
    def grids(self) -> list[Grid]:
        """The tables."""
        growth = [growth_grid(self.growth)] if self.growth else []
        return [speed_grid(self.rows), first_grid(self.rows), ways_grid(self.ways), *growth]

    @property
    def head(self) -> str:
        """What was measured, and on what."""
        threads = self.settings.threads
        allowed = "one thread" if threads == 1 else f"up to {threads} threads"
        only = "" if threads == 1 else " (lstmsim runs one sequence on one)"
        return (
            "One LSTM layer, one sequence, float32, all outputs; gradients of the mean squared "
            "error by all parameters, which have changed since the last time. One process, "
            f"{allowed}{only}; the candidates, whose results agree, take turns of "
            f"{1e3 * TURN:g} ms, or of one call that is longer.\n{self.machine}"
        )

    @property
    def notes(self) -> list[str]:
        """What is missing, and what disturbed the measurement."""
        notes = [f"{TITLES[name]} is left out: {why}." for name, why in self.missing.items()]
        if self.missing:
            notes.append('pip install "lstmsim[bench]" installs what this is compared with.')
        return notes + _disturbances(self)

    def __str__(self) -> str:
        console = Console(file=io.StringIO(), width=120, color_system=None)
        self.print_to(console)
        text: str = console.file.getvalue()  # type: ignore[attr-defined]
        return "\n".join(line.rstrip() for line in text.rstrip().splitlines())

    def print_to(self, console: Console) -> None:
        """Print everything."""

        def say(text: str) -> None:
            console.print(text, markup=False, highlight=False)

        say(self.head)
        for grid in self.grids:
            say(f"\n{grid.title}: {grid.note}")
            console.print(grid.table)
        if self.notes:
            say("\n" + "\n".join(self.notes))

    def to_markdown(self) -> str:
        """Return the report as Markdown."""
        parts = [self.head, *(grid.markdown for grid in self.grids), *self.notes]
        return "\n\n".join(parts) + "\n"

    def to_json(self) -> str:
        """Return the report as JSON; times in seconds."""
        content = asdict(self)
        for own, row in zip(content["rows"], self.rows, strict=True):
            own |= {"fastest_peer": row.fastest_peer, "ratio": row.ratio}
        for own, way in zip(content["ways"], self.ways, strict=True):
            own["per_sample"] = way.per_sample
        return json.dumps(content | {"notes": self.notes}, indent=2)

    @classmethod
    def of(cls, content: dict[str, Any]) -> BenchReport:
        """Return the report that `to_json` wrote."""
        machine = content["machine"]
        return cls(
            settings=Settings.of(content["settings"]),
            machine=Machine(**{**machine, "load": tuple(machine["load"])}),
            missing=content["missing"],
            rows=tuple(_row(row) for row in content["rows"]),
            ways=tuple(_way(way) for way in content["ways"]),
            growth=tuple(_series(series) for series in content["growth"]),
        )


def _row(content: dict[str, Any]) -> Row:
    own = {k: v for k, v in content.items() if k not in ("fastest_peer", "ratio")}
    timings = {name: Timing(**timing) for name, timing in own["timings"].items()}
    return Row(**{**own, "timings": timings})


def _way(content: dict[str, Any]) -> Way:
    own = {k: v for k, v in content.items() if k != "per_sample"}
    return Way(**{**own, "timing": Timing(**own["timing"])})


def _series(content: dict[str, Any]) -> Series:
    return Series(
        content["over"],
        content["fixed"],
        tuple(content["sizes"]),
        tuple(Timing(**timing) for timing in content["timings"]),
        tuple(Fit(**law) for law in content["fits"]),
    )


def _disturbances(report: BenchReport) -> list[str]:
    """Return what a reader has to know of threads and of other processes."""
    threads, notes = report.settings.threads, []
    shares = [(row, name, t.cores) for row in report.rows for name, t in row.timings.items()]
    for row, name, cores in shares:
        if cores > threads + _MORE:
            notes.append(
                f"{TITLES[name]} used {cores:.1f} cores for {row.work} at N = {row.N}, "
                f"though {threads} had been allowed."
            )
    waiting = [cores for _, _, cores in shares if cores < _LESS]
    if waiting:
        notes.append(
            f"Other processes were busy: {len(waiting)} of {len(shares)} candidates had less than "
            f"{_LESS:g} of a core, the least {min(waiting):.2f}. Measure again when it is quiet."
        )
    return notes
