"""The tables of a benchmark, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from lstmsim.reports.bench.growth import Series
from lstmsim.reports.bench.peers import OWN, TITLES
from lstmsim.reports.bench.speed import WORKS, Row
from lstmsim.reports.bench.ways import Way

_TITLES = {"forward": "forward", "gradient": "loss + gradient"}
_NONE = "–"


@dataclass(frozen=True)
class Grid:
    """A table as texts.

    Parameters
    ----------
    title, note : str
        What stands above and below it.
    headings : tuple of str
        Of its columns.
    rows : list of list of str
        Its cells; the columns of the first `words` are words, the others numbers.
    words : int
        How many columns are words.
    """

    title: str
    note: str
    headings: tuple[str, ...]
    rows: list[list[str]]
    words: int = 1

    @property
    def table(self) -> Table:
        """The table for a terminal."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
        for k, heading in enumerate(self.headings):
            table.add_column(heading, justify="left" if k < self.words else "right", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        return table

    @property
    def markdown(self) -> str:
        """The table in Markdown."""
        rule = ["---" if k < self.words else "--:" for k in range(len(self.headings))]
        lines = [f"| {' | '.join(cells)} |" for cells in (self.headings, rule, *self.rows)]
        return "\n".join([f"**{self.title}.** {self.note}", "", *lines])


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


def speed_grid(rows: Sequence[Row]) -> Grid:
    """Return the medians of all candidates and the ratios."""
    names = _names(rows)
    cells = []
    for work in WORKS:
        for row in rows:
            if row.work != work:
                continue
            medians = {name: timing.median for name, timing in row.timings.items()}
            times = [microseconds(medians.get(name)) for name in names]
            ratio = _NONE if row.ratio is None else f"{row.ratio:.2f}"
            cells.append([_TITLES[work], str(row.N), str(row.Ni), f"{row.T:,}", *times, ratio])
    return Grid(
        "Speed",
        "µs, medians; the ratio is lstmsim's over the fastest of the others: below 1 is faster.",
        ("work", "N", "Ni", "T", *(TITLES[name] for name in names), "ratio"),
        cells,
    )


def first_grid(rows: Sequence[Row]) -> Grid:
    """Return the seconds of the first use."""
    names = [name for name in _names(rows) if name != OWN.name]
    cells = []
    for work in WORKS:
        for row in rows:
            if row.work == work:
                keys = (OWN.name, f"{OWN.name}_kept", *names)
                seconds = [row.first_use.get(key) for key in keys]
                shown = [_NONE if s is None else f"{s:.3f}" for s in seconds]
                cells.append([_TITLES[work], str(row.N), *shown])
    return Grid(
        "First use",
        "s from the weights to the first result, compilation included, imports not; lstmsim's in a "
        "new process with an empty cache of kernels, and in another one with them kept on disk, "
        "the gradient after forward.",
        ("work", "N", "lstmsim, new", "kept", *(TITLES[name] for name in names)),
        cells,
    )


def ways_grid(ways: Sequence[Way]) -> Grid:
    """Return what this package's own ways to run a diagram take."""
    cells = []
    for way in ways:
        forward = next(w for w in ways if w.N == way.N)
        cells.append(
            [
                way.name,
                str(way.N),
                f"{way.T:,}",
                microseconds(way.timing.median),
                microseconds(way.per_sample),
                f"{way.per_sample / forward.per_sample:,.1f}",
            ]
        )
    return Grid(
        "Ways to run",
        "µs a call of T samples and µs a sample; the ratio a sample to forward, compiled. All "
        "signals are kept by run and simulate; simulate is in double precision.",
        ("way", "N", "T", "a call", "a sample", "ratio"),
        cells,
    )


def growth_grid(series: Sequence[Series]) -> Grid:
    """Return the times over T and over N."""
    cells = []
    for one in series:
        for size, timing in zip(one.sizes, one.timings, strict=True):
            n, samples = (one.fixed, size) if one.over == "T" else (size, one.fixed)
            cells.append(
                [
                    f"with {one.over}",
                    str(n),
                    f"{samples:,}",
                    microseconds(timing.median),
                    microseconds(timing.median / samples),
                ]
            )
    laws = []
    for one in series:
        what = "a run" if one.over == "T" else "a sample"
        laws += [
            f"{what} ~ {one.over}^{law.exponent:.2f} for {one.over} from {law.low:,} to "
            f"{law.high:,} (within {100 * law.worst:.0f} %)"
            for law in one.fits
        ]
    return Grid(
        "Growth",
        f"forward, µs; by least squares of the logarithms {'; '.join(laws)}.",
        ("growth", "N", "T", "a run", "a sample"),
        cells,
    )


def _names(rows: Sequence[Row]) -> list[str]:
    """Return the candidates that are in any row, in their usual order."""
    return [name for name in TITLES if any(name in row.timings for row in rows)]
