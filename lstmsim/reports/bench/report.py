"""What was measured, as people and other programs read it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lstmsim.base import Report, Row, TableData, numbers, words
from lstmsim.reports.bench.growth import Series
from lstmsim.reports.bench.machine import Machine
from lstmsim.reports.bench.peers import OWN, TITLES
from lstmsim.reports.bench.settings import Settings
from lstmsim.reports.bench.timing import TURN, Timing

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What candidates compute, and what people call it.
WORKS = {"forward": "forward", "gradient": "loss + gradient"}
#: Shares of a core that tell that a library used more than it may, or that others were busy.
_MORE, _LESS = 0.2, 0.8
_NONE = "–"


@dataclass(frozen=True)
class Line:
    """One layer's forward run, or loss and gradient, by all candidates.

    Parameters
    ----------
    work : str
        "forward" or "gradient".
    N, Ni, T : int
        Units, inputs, samples.
    timings : dict of Timing
        By the candidates' names.
    first_use : dict of float
        Seconds from the weights to the first result, with imports done: of peers in the measuring
        process, of the own engine in new ones, with an empty cache of kernels ("lstmsim") and with
        a full one ("lstmsim_kept").
    differences : dict of float
        How far each is from double precision, relative to the largest number.
    """

    work: str
    N: int
    Ni: int
    T: int
    timings: dict[str, Timing]
    first_use: dict[str, float]
    differences: dict[str, float]

    @property
    def fastest_peer(self) -> str | None:
        """The name of the fastest of the others, if there is one."""
        others = [name for name in self.timings if name != OWN.name]
        return min(others, key=lambda name: self.timings[name].median, default=None)

    @property
    def ratio(self) -> float | None:
        """The own median over that of the fastest of the others: below 1 is faster."""
        peer = self.fastest_peer
        return None if peer is None else self.timings[OWN.name].median / self.timings[peer].median


@dataclass(frozen=True)
class BenchReport(Report):
    """A benchmark's figures; ``str(report)`` is what a person reads.

    Parameters
    ----------
    settings : Settings
        What was asked for.
    machine : Machine
        What it was measured on.
    missing : dict of str
        Why peers were left out, by name.
    lines : tuple of Line
        Forward, and loss and gradient, beside the peers.
    growth : tuple of Series
        Over T and over N; empty if it was not asked for.
    """

    settings: Settings
    machine: Machine
    missing: dict[str, str]
    lines: tuple[Line, ...]
    growth: tuple[Series, ...]
    width = 120

    @property
    def title(self) -> str:
        """The heading of the report."""
        return "Speed"

    @property
    def introduction(self) -> str:
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
    def tables(self) -> tuple[TableData, ...]:
        """Speed, first use, and growth if it was measured."""
        names = [name for name in TITLES if any(name in line.timings for line in self.lines)]
        tables = (_speed(self.lines, names), _first_use(self.lines, names))
        return (*tables, _growth(self.growth)) if self.growth else tables

    @property
    def notes(self) -> list[str]:
        """What is missing, and what disturbed the measurement."""
        notes = [f"{TITLES[name]} is left out: {why}." for name, why in self.missing.items()]
        if self.missing:
            notes.append('pip install "lstmsim[bench]" installs what this is compared with.')
        return notes + _disturbances(self.lines, self.settings.threads)

    @property
    def summary(self) -> str:
        """The notes."""
        return "\n".join(self.notes)

    @property
    def content(self) -> dict[str, Any]:
        """All figures; times in seconds."""
        content = asdict(self)
        lines = [
            asdict(line) | {"fastest_peer": line.fastest_peer, "ratio": line.ratio}
            for line in self.lines
        ]
        del content["lines"]
        return content | {"rows": lines, "notes": self.notes}


def microseconds(seconds: float | None) -> str:
    """Return a time in µs with three digits or more.

    Examples
    --------
    >>> [microseconds(t) for t in (67e-9, 1.234e-6, 23.44e-6, 0.0123456, None)]
    ['0.067', '1.23', '23.4', '12,346', '–']
    """
    if seconds is None:
        return _NONE
    value = 1e6 * seconds
    digits = next((k for k, end in ((3, 0.9995), (2, 9.995), (1, 99.95)) if value < end), 0)
    return f"{value:,.{digits}f}"


def _speed(lines: Iterable[Line], names: list[str]) -> TableData:
    rows = []
    for line in lines:
        times = [t.median if (t := line.timings.get(name)) else None for name in names]
        ratio = _NONE if line.ratio is None else f"{line.ratio:.2f}"
        sizes = (WORKS[line.work], str(line.N), str(line.Ni), f"{line.T:,}")
        rows.append(Row((*sizes, *map(microseconds, times), ratio)))
    titles = (TITLES[name] for name in names)
    return TableData(
        (*words("work"), *numbers("N", "Ni", "T", *titles, "ratio")),
        tuple(rows),
        "Speed",
        "µs, medians; the ratio is lstmsim's over the fastest of the others: below 1 is faster.",
    )


def _first_use(lines: Iterable[Line], names: list[str]) -> TableData:
    peers = [name for name in names if name != OWN.name]
    rows = []
    for line in lines:
        seconds = [line.first_use.get(k) for k in (OWN.name, f"{OWN.name}_kept", *peers)]
        shown = (_NONE if s is None else f"{s:.3f}" for s in seconds)
        rows.append(Row((WORKS[line.work], str(line.N), *shown)))
    titles = (TITLES[name] for name in peers)
    return TableData(
        (*words("work"), *numbers("N", "lstmsim, new", "kept", *titles)),
        tuple(rows),
        "First use",
        "s from the weights to the first result, compilation included, imports not; lstmsim's in a "
        "new process with an empty cache of kernels, and in another one with them kept on disk, "
        "the gradient after forward.",
    )


def _growth(growth: Iterable[Series]) -> TableData:
    rows, laws = [], []
    for series in growth:
        for size, timing in zip(series.sizes, series.timings, strict=True):
            n, samples = (series.fixed, size) if series.over == "T" else (size, series.fixed)
            times = (timing.median, timing.median / samples)
            shown = (f"with {series.over}", str(n), f"{samples:,}", *map(microseconds, times))
            rows.append(Row(shown))
        what = "a run" if series.over == "T" else "a sample"
        laws += [f"{what} ~ {law.text(series.over)}" for law in series.fits]
    return TableData(
        (*words("growth"), *numbers("N", "T", "a run", "a sample")),
        tuple(rows),
        "Growth",
        f"forward, µs; by least squares of the logarithms {'; '.join(laws)}.",
    )


def _disturbances(lines: Iterable[Line], threads: int) -> list[str]:
    """Return what a reader has to know of threads and of other processes."""
    shares = [(line, name, t.cores) for line in lines for name, t in line.timings.items()]
    notes = [
        f"{TITLES[name]} used {cores:.1f} cores for {line.work} at N = {line.N}, "
        f"though {threads} had been allowed."
        for line, name, cores in shares
        if cores > threads + _MORE
    ]
    waiting = [cores for _, _, cores in shares if cores < _LESS]
    if waiting:
        notes.append(
            f"Other processes were busy: {len(waiting)} of {len(shares)} candidates had less than "
            f"{_LESS:g} of a core, the least {min(waiting):.2f}. Measure again when it is quiet."
        )
    return notes
