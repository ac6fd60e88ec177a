"""One writer of reports: the figures, a Markdown and an HTML page, and the numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lstmsim.base import Report, atomic_write
from lstmsim.plotting import save_plot


def write_report(
    report: Report,
    folder: Path,
    numbers: str,
    progress: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write a report into a folder that exists.

    Parameters
    ----------
    report : Report
        What is written.
    folder : Path
        Where to: from `folder_written_whole`, so that all of it is there or nothing.
    numbers : str
        The name of the JSON file.
    progress : callable, optional
        Called with the name of each figure before it is drawn.

    Returns
    -------
    list of Path
        report.md, report.html, the JSON file and the figures.

    Raises
    ------
    FileAccessError
        If a file cannot be written.
    """
    document = report.document
    figures = [folder / picture.file for picture in document.pictures]
    for picture, file in zip(document.pictures, figures, strict=True):
        if progress is not None:
            progress(picture.file)
        save_plot(picture.draw(), file)
    pages = {
        "report.md": document.markdown(),
        "report.html": document.html({file.name: file.read_bytes() for file in figures}),
        numbers: report.to_json() + "\n",
    }
    for name, text in pages.items():
        with atomic_write(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return [*(folder / name for name in pages), *figures]
