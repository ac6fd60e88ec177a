"""An analysis as a folder: a report, figures, all numbers, and the matrices."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lstmsim.base import InvalidTypeError, folder_written_whole, written_whole
from lstmsim.diagram import netcdf
from lstmsim.plotting import save_plot
from lstmsim.reports.analysis.figures import Picture, pictures
from lstmsim.reports.analysis.limits import MOST_BLOCKS
from lstmsim.reports.analysis.report import Analysis, Part, text_of

#: How to read each part's table.
_READINGS = {
    "feedback loops": "A loop comes back to the delay that it begins at; an inner one lies within "
    "the forward path of an outer one.",
    "linearization": "linearization.nc has A, B, C and D at every sample, "
    "x(k+1) = A x(k) + B u(k), y(k) = C x(k) + D u(k) for small changes; xarray opens it.",
    "fixed points": "A state that the constant input holds is stable if all its eigenvalues are "
    "inside the unit circle: nearby runs end there.",
    "Lyapunov exponents": "The mean logarithmic growth of a small change: if the first is positive "
    "nearby runs part (chaos), if all are negative they meet.",
    "stability": "A condition holds if its value is below 1, and then for all inputs within the "
    "bound; where none holds nothing is known.",
}
#: Parts whose tables say below them what was found.
_TELLING = ("feedback loops", "Lyapunov exponents", "stability")


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
        The heading of report.md.

    Returns
    -------
    list of Path
        report.md, analysis.json, linearization.nc and the figures, as far as there are results.

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
    """Write the files into a folder that exists, saying the name of each before."""
    shown = pictures(report)
    for picture in shown:
        if progress is not None:
            progress(picture.file)
        save_plot(picture.make(), folder / picture.file)
    if report.linearization is not None:
        with written_whole(folder / "linearization.nc") as temporary:
            temporary.write_bytes(netcdf(report.linearization))
    for name, text in (
        ("analysis.json", report.to_json()),
        ("report.md", markdown(report, shown, title)),
    ):
        with written_whole(folder / name) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    return sorted(folder.iterdir())


def markdown(report: Analysis, shown: list[Picture], title: str) -> str:
    """Return the report as Markdown, with its figures beside it."""
    tables = {
        "feedback loops": report.loops if report.loops and report.loops.groups else None,
        "fixed points": report.fixed_points,
        "Lyapunov exponents": report.lyapunov,
        "stability": report.stability,
    }
    lines = [f"# {title}", ""]
    for part in report.parts:
        table = tables.get(part.name)
        said = "" if part.name in _TELLING and table is not None else part.found
        lines += [f"## {_sentence(part.name)[:-1]}", "", *_said(part, said)]
        if part.skipped:
            continue
        if table is not None:
            lines += ["```", text_of(str(table)), "```", ""]
        if part.name in _READINGS and (table is not None or part.name == "linearization"):
            lines += [_READINGS[part.name], ""]
        mine = [picture for picture in shown if picture.part == part.name]
        for picture in mine:
            lines += [f"![{part.name}]({picture.file})", "", picture.reading, ""]
        if part.name == "feedback loops" and not mine:
            lines += [f"A diagram of more than {MOST_BLOCKS} blocks is not drawn here.", ""]
    return "\n".join(lines).rstrip()


def _said(part: Part, found: str) -> list[str]:
    if part.skipped:
        return [_sentence(f"skipped: {part.note}"), ""]
    notes = [_sentence(f"note: {part.note}"), ""] if part.note else []
    return [*([_sentence(found), ""] if found else []), *notes]


def _sentence(text: str) -> str:
    """Return text with a capital at its beginning and a full stop at its end."""
    return text[0].upper() + text[1:].rstrip(".") + "."
