"""The report: Markdown with figures beside it, and one HTML file with figures inside."""

from __future__ import annotations

import base64
import html
import os
import platform
from collections.abc import Iterable
from pathlib import Path

from lstmsim import __version__
from lstmsim.base import written_whole
from lstmsim.plotting import save_plot
from lstmsim.reports.study.facts import Fact, Rows, Section
from lstmsim.reports.study.run import Study

_TITLE = "An LSTM as a dynamical system: the published example, measured again"
_RESULT = {True: "yes", False: "NO", None: "–"}
_FACTS = ("figure", "published", "obtained", "agrees to", "ok")
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
       max-width: 54rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
table { border-collapse: collapse; font-size: .85rem; margin: 1rem 0; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #ddd;
         vertical-align: top; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
th { border-bottom: 1px solid #444; }
tr.miss td { color: #b00020; font-weight: 600; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; }
figcaption { font-size: .85rem; color: #555; }
""".strip()


def save_study(study: Study, folder: Path) -> list[Path]:
    """Save report.md, report.html, study.json and the figures into a folder.

    Parameters
    ----------
    study : Study
        As `run_study` returns it.
    folder : Path
        Where to; it exists.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    FileAccessError
        If a file cannot be written.
    """
    figures = [save_figure(section, folder) for section in study.sections]
    texts = {
        "report.md": markdown(study, [file.name for file in figures]),
        "report.html": page(study, [file.read_bytes() for file in figures]),
        "study.json": study.to_json() + "\n",
    }
    for name, text in texts.items():
        with written_whole(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return [*(folder / name for name in texts), *figures]


def save_figure(section: Section, folder: Path) -> Path:
    """Draw a section's figure into a folder, and return its file."""
    file = folder / f"{section.name}.png"
    save_plot(section.draw(), file)
    return file


def markdown(study: Study, figures: Iterable[str]) -> str:
    """Return the report as Markdown.

    Parameters
    ----------
    study : Study
        The study.
    figures : iterable of str
        File names of its figures.
    """
    parts = [f"# {_TITLE}", *_introduction(study), "## Published and obtained"]
    parts.append(_markdown_table(_FACTS, [_cells(fact) for fact in study.facts]))
    for number, (section, figure) in enumerate(zip(study.sections, figures, strict=True), 1):
        parts += [f"## {number}. {section.title}", section.text]
        if section.facts:
            parts.append(_markdown_table(_FACTS, [_cells(fact) for fact in section.facts]))
        if section.table is not None:
            parts.append(_markdown_table(section.table.headings, section.table.rows))
        parts += [f"![{section.caption}]({figure})", f"*{section.caption}*"]
    return "\n\n".join(parts) + "\n"


def page(study: Study, figures: Iterable[bytes]) -> str:
    """Return the report as one HTML page with its figures inside.

    Parameters
    ----------
    study : Study
        The study.
    figures : iterable of bytes
        Its figures as PNG.
    """
    parts = [f"<h1>{html.escape(_TITLE)}</h1>"]
    parts += [f"<p>{html.escape(text)}</p>" for text in _introduction(study)]
    parts += ["<h2>Published and obtained</h2>", _facts_table(study.facts)]
    for number, (section, figure) in enumerate(zip(study.sections, figures, strict=True), 1):
        parts.append(f'<h2 id="{section.name}">{number}. {html.escape(section.title)}</h2>')
        parts.append(f"<p>{html.escape(section.text)}</p>")
        if section.facts:
            parts.append(_facts_table(section.facts))
        if section.table is not None:
            parts.append(_html_table(section.table))
        data = base64.b64encode(figure).decode()
        caption = html.escape(section.caption)
        parts.append(
            f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(_TITLE)}</title><style>{_STYLE}</style>"
    )
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def _introduction(study: Study) -> list[str]:
    first, *rest = study.summary.splitlines()
    s = study.settings
    return [
        "“LSTM as a Dynamical System” (G. Campa, 2022–2024) is a MATLAB and Simulink example. "
        "This report computes each of its steps again from the same random numbers, and compares "
        "the figures that it prints.",
        first + (" These do not: " + "; ".join(rest) + "." if rest else ""),
        f"lstmsim {__version__}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{study.seconds:.0f} s. Epochs: {s.epochs:,} for both published trainings, "
        f"{s.basin_epochs:,} for learning rates, {s.starts_epochs:,} for {s.starts} random "
        f"starts, {s.drops_epochs:,} for {s.drops} drop factors, {s.search_epochs:,} and "
        f"{s.race_epochs:,} for optimizers.",
        "Where training ends is chaotic in rounding: two right implementations agree in the "
        "first epochs and in the shape of the curve, not in digits at the end. Of such figures "
        "only the shape is checked. Losses are mean squared errors; version 2.1 of the example "
        "printed half of them.",
    ]


def _cells(fact: Fact) -> tuple[str, ...]:
    return fact.name, fact.published, fact.obtained, fact.agreement, _RESULT[fact.ok]


def _markdown_table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    headings = tuple(headings)
    return "\n".join([line(headings), "|" + "---|" * len(headings), *map(line, rows)])


def _facts_table(facts: Iterable[Fact]) -> str:
    rows = []
    for fact in facts:
        cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(fact))
        rows.append(f'<tr class="{"miss" if fact.ok is False else "fact"}">{cells}</tr>')
    return _table(_FACTS, rows)


def _html_table(table: Rows) -> str:
    rows = [
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in table.rows
    ]
    return _table(table.headings, rows)


def _table(headings: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
