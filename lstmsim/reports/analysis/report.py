"""What an analysis found, part by part, and why a part was left out."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import xarray as xr

from lstmsim.base import (
    Block,
    Document,
    InvalidTypeError,
    Report,
    Row,
    Section,
    TableData,
    atomic_write,
    folder_written_whole,
    texts,
    words,
)
from lstmsim.diagram import netcdf
from lstmsim.dynamics import FixedPoints, LoopReport, LyapunovSpectrum
from lstmsim.reports.analysis import describe
from lstmsim.reports.analysis.parts import PARTS, PartKind
from lstmsim.reports.writing import write_report
from lstmsim.theory import StabilityReport


@dataclass(frozen=True, eq=False)
class Part:
    """One part of an analysis.

    Parameters
    ----------
    name : str
        Of one of `PARTS`.
    found : str
        The key numbers, in a line; empty if the part was skipped.
    note : str
        Why it was skipped, or what bounds it; empty if there is nothing to say.
    """

    name: str
    found: str
    note: str = ""

    @property
    def skipped(self) -> bool:
        """Whether there is no result."""
        return not self.found


@dataclass(frozen=True, eq=False)
class Analysis(Report):
    """The result of `analyze`; ``str(report)`` is a table that a person reads.

    Parameters
    ----------
    parts : tuple of Part
        What was found in a line each, and why what is None below was skipped.
    traces : Dataset or None
        The run.
    loops : LoopReport or None
        The feedback loops.
    linearization : Dataset or None
        A, B, C and D along the run.
    fixed_points : FixedPoints or None
        The fixed points at the constant input.
    gains, flow : Dataset or None
        Loop gains and gradient flow along the same samples.
    lyapunov : LyapunovSpectrum or None
        The Lyapunov exponents.
    stability : StabilityReport or None
        The certificates.
    title : str
        The heading of the saved report.
    """

    parts: tuple[Part, ...]
    traces: xr.Dataset | None
    loops: LoopReport | None
    linearization: xr.Dataset | None
    fixed_points: FixedPoints | None
    gains: xr.Dataset | None
    flow: xr.Dataset | None
    lyapunov: LyapunovSpectrum | None
    stability: StabilityReport | None
    title: str = "Analysis"

    def __getitem__(self, name: str) -> Part:
        """Return a part by its name."""
        return next(part for part in self.parts if part.name == name)

    @property
    def poles(self) -> Any:
        """The eigenvalues of A at the last sample, the largest first; None without one."""
        return None if self.linearization is None else describe.poles(self.linearization)

    @property
    def tables(self) -> tuple[TableData, ...]:
        """What was found in a line each; what was skipped, and why."""
        rows = []
        for part in self.parts:
            if part.skipped:
                rows.append(Row((part.name, f"skipped: {part.note}"), "note"))
                continue
            rows.append(Row((part.name, part.found)))
            if part.note:
                rows.append(Row(("", f"note: {part.note}"), "note"))
        return (TableData((*words(""), *texts("")), tuple(rows)),)

    @property
    def summary(self) -> str:
        """Nothing: the table says it all."""
        return ""

    def __repr__(self) -> str:
        skipped = [part.name for part in self.parts if part.skipped]
        without = f", without {', '.join(skipped)}" if skipped else ""
        return f"<Analysis: {len(self.parts) - len(skipped)} parts{without}>"

    @property
    def results(self) -> dict[str, Any]:
        """The result of each part by its name; None for those that were skipped."""
        return {kind.name: getattr(self, kind.attribute) for kind in PARTS}

    @property
    def content(self) -> dict[str, Any]:
        """The numbers: of matrices those of the last sample, if they are small."""
        parts = [
            {"name": p.name, "skipped": p.skipped, "found": p.found, "note": p.note}
            for p in self.parts
        ]
        results = self.results
        return {"parts": parts} | {
            kind.name: None if results[kind.name] is None else kind.content(results[kind.name])
            for kind in PARTS
        }

    @property
    def document(self) -> Document:
        """A section for each part, with its tables and its figure."""
        results = self.results
        sections = []
        for kind in PARTS:
            part = self[kind.name]
            blocks = (
                [_sentence(f"skipped: {part.note}")]
                if part.skipped
                else _blocks(kind, part, results)
            )
            heading = part.name[0].upper() + part.name[1:]
            sections.append(Section(part.name.replace(" ", "-"), heading, tuple(blocks)))
        return Document(self.title, tuple(sections))


def save_analysis(
    report: Analysis, folder: str | os.PathLike[str], *, title: str = "Analysis"
) -> list[Path]:
    """Save an analysis in a new folder, whole or not at all.

    Parameters
    ----------
    report : Analysis
        As `analyze` returns it.
    folder : path
        What the folder is called; if there is one with files in it, a number is put behind it.
    title : str, optional
        The heading of report.md and report.html.

    Returns
    -------
    list of Path
        report.md, report.html, analysis.json, linearization.nc and the figures, as far as there
        are results.

    Raises
    ------
    InvalidTypeError
        If it is no analysis.
    FileAccessError
        If the folder cannot be made, or a file not be written.
    """
    if not isinstance(report, Analysis):
        raise InvalidTypeError(
            "this is not an analysis",
            where="save_analysis",
            given=type(report).__name__,
            expected="what analyze(diagram) returns",
        )
    with folder_written_whole(folder) as (temporary, target):
        names = [file.name for file in write_files(report, temporary, title)]
    return [target / name for name in names]


def write_files(
    report: Analysis,
    folder: Path,
    title: str,
    progress: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write the files into a folder that exists, saying the name of each figure before."""
    if report.linearization is not None:
        with atomic_write(folder / "linearization.nc") as temporary:
            temporary.write_bytes(netcdf(report.linearization))
    write_report(replace(report, title=title), folder, "analysis.json", progress)
    return sorted(folder.iterdir())


def _blocks(kind: PartKind, part: Part, results: dict[str, Any]) -> list[Block]:
    """Return what the section of a part shows."""
    if part.skipped:
        return [_sentence(f"skipped: {part.note}")]
    result, tables = results[kind.name], []
    blocks: list[Block] = [_sentence(part.found)]
    if isinstance(result, Report):
        # Some have the key numbers in their summary.
        blocks = [result.summary] if part.found in result.summary else [*blocks, result.summary]
        tables = [replace(table, title="") for table in result.tables if table.rows]
    blocks += [_sentence(f"note: {part.note}")] if part.note else []
    blocks += tables
    if kind.reading and (tables or not isinstance(result, Report)):
        blocks.append(kind.reading)
    picture = None if kind.picture is None else kind.picture(results)
    return blocks if picture is None else [*blocks, picture]


def _sentence(text: str) -> str:
    """Return text with a capital at its beginning and a full stop at its end."""
    return text[0].upper() + text[1:].rstrip(".") + "."
