"""One base of all reports: a class says tables and sentences as data, they are written here.

A `Report` has tables, a summary and numbers; text, JSON, Markdown and HTML follow from them.  A
report of several steps gives a `Document` of sections, with pictures, in place of the plain one.
"""

from __future__ import annotations

import abc
import base64
import functools
import io
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import jinja2
    from matplotlib.figure import Figure
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

#: What a row is marked as, and how a terminal shows it.
_STYLES = {"": None, "good": "green", "bad": "bold red", "note": "yellow"}


class Column(NamedTuple):
    """A column: texts wrap, words and numbers do not, and numbers stand at the right."""

    heading: str
    kind: Literal["text", "word", "number"]


class Row(NamedTuple):
    """The cells of a row, and what it is marked as: "good", "bad" or "note"."""

    cells: tuple[str, ...]
    mark: Literal["", "good", "bad", "note"] = ""


def texts(*headings: str) -> tuple[Column, ...]:
    """Return columns of texts."""
    return tuple(Column(heading, "text") for heading in headings)


def words(*headings: str) -> tuple[Column, ...]:
    """Return columns of words."""
    return tuple(Column(heading, "word") for heading in headings)


def numbers(*headings: str) -> tuple[Column, ...]:
    """Return columns of numbers."""
    return tuple(Column(heading, "number") for heading in headings)


@dataclass(frozen=True)
class TableData:
    """A table as data.

    Parameters
    ----------
    columns : tuple of Column
        A table whose columns have no headings is a list of names and texts.
    rows : tuple of Row
        One cell a column; a cell may have several lines.
    title : str
        What stands above it; empty for nothing.
    note : str
        A sentence about it, above it too.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    title: str = ""
    note: str = ""

    @property
    def headings(self) -> tuple[str, ...]:
        """The columns' headings."""
        return tuple(column.heading for column in self.columns)

    @property
    def caption(self) -> str:
        """Title and note in one line."""
        return ": ".join(filter(None, (self.title, self.note)))

    @property
    def plain(self) -> dict[str, Any]:
        """Headings and cells, as JSON has them."""
        return {"headings": self.headings, "rows": [row.cells for row in self.rows]}

    def rich(self) -> Table:
        """Return the table for a terminal."""
        from rich import box
        from rich.markup import escape
        from rich.table import Table

        listed = not any(self.headings)
        table = Table(
            title=self.caption or None,
            title_justify="left",
            box=None if listed else box.SIMPLE_HEAD,
            show_header=not listed,
            pad_edge=False,
            show_edge=False,
            padding=(0, 1, 0, 0),
        )
        for number, (heading, kind) in enumerate(self.columns):
            table.add_column(
                heading,
                justify="right" if kind == "number" else "left",
                no_wrap=kind != "text",
                # A text without a blank, a file's name or many digits, breaks anywhere.
                overflow="fold" if kind == "text" else "ellipsis",
                style="bold" if listed and number == 0 else "",
            )
        for cells, mark in self.rows:
            table.add_row(*map(escape, cells), style=_STYLES[mark])
        return table


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure of a document.

    Parameters
    ----------
    file : str
        The name of its file.
    caption : str
        How to read it.
    draw : callable
        Makes the matplotlib figure.
    """

    file: str
    caption: str
    draw: Callable[[], Figure]


#: What a section is made of; a text is a paragraph, and `this` in it is code.
Block = str | TableData | Picture


@dataclass(frozen=True, eq=False)
class Section:
    """A part of a document: paragraphs, tables and pictures in their order.

    Parameters
    ----------
    name : str
        Its address within an HTML page.
    heading : str
        Empty for what stands before the first one.
    blocks : tuple of str, TableData and Picture
        What it shows.
    """

    name: str
    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, eq=False)
class Document:
    """A title and sections."""

    title: str
    sections: tuple[Section, ...]

    @property
    def pictures(self) -> list[Picture]:
        """All pictures, in their order."""
        return [b for s in self.sections for b in s.blocks if isinstance(b, Picture)]

    def markdown(self) -> str:
        """Return Markdown, with the pictures as files beside it."""
        parts = [f"# {self.title}"]
        for section in self.sections:
            parts += [f"## {section.heading}"] if section.heading else []
            parts += [_markdown(block) for block in section.blocks if block != ""]
        return "\n\n".join(parts) + "\n"

    def html(self, pictures: Mapping[str, bytes]) -> str:
        """Return one HTML page; pictures (PNG, by file) are inside it, and nothing is outside."""
        inside = {name: base64.b64encode(data).decode() for name, data in pictures.items()}
        page: str = _template().render(document=self, pictures=inside)
        return page


class Report(abc.ABC):
    """What a computation gives to read: subclasses say it as data, this class writes it."""

    #: Characters in a line of the text.
    width = 100

    @property
    @abc.abstractmethod
    def title(self) -> str:
        """The heading of the report."""

    @property
    def introduction(self) -> str:
        """What stands before the tables; nothing if it is not overridden."""
        return ""

    @property
    @abc.abstractmethod
    def tables(self) -> tuple[TableData, ...]:
        """The tables; one without rows is left out of the text."""

    @property
    @abc.abstractmethod
    def summary(self) -> str:
        """The result in a few sentences."""

    @property
    @abc.abstractmethod
    def content(self) -> dict[str, Any]:
        """What the JSON has."""

    @property
    def table(self) -> Table:
        """The first table as a Rich table."""
        return self.tables[0].rich()

    @property
    def document(self) -> Document:
        """The report as a document."""
        return Document(self.title, (Section("", "", self._blocks),))

    @property
    def _blocks(self) -> tuple[str | TableData, ...]:
        tables = (table for table in self.tables if table.rows)
        return tuple(filter(None, (self.introduction, *tables, self.summary)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Show tables and sentences on a Rich console, an empty line between them."""
        from rich.text import Text

        for number, block in enumerate(self._blocks):
            if number:
                yield ""
            yield Text(block) if isinstance(block, str) else block.rich()

    def __str__(self) -> str:
        from rich.console import Console

        with io.StringIO() as file:
            Console(file=file, width=self.width, color_system=None).print(self)
            return "\n".join(line.rstrip() for line in file.getvalue().rstrip().splitlines())

    def to_json(self) -> str:
        """Return the numbers as JSON: NaN and infinity are null, a complex number is a pair."""
        return json.dumps(_plain(self.content), indent=2, allow_nan=False)

    def to_markdown(self) -> str:
        """Return the report as Markdown."""
        return self.document.markdown()

    def to_html(self) -> str:
        """Return the report as an HTML page, with its pictures as files beside it."""
        return self.document.html({})


def _plain(value: Any) -> Any:
    """Return a value as JSON has it.

    >>> _plain({"margin": float("inf"), "values": np.array([1.0, np.nan]), "pole": 0.5 + 0.1j})
    {'margin': None, 'values': [1.0, None], 'pole': [0.5, 0.1]}
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, complex):
        return [_plain(value.real), _plain(value.imag)]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _markdown(block: Block) -> str:
    if isinstance(block, str):
        return block
    if isinstance(block, Picture):
        return f"![{block.caption}]({block.file})\n\n*{block.caption}*"

    def line(cells: tuple[str, ...]) -> str:
        escaped = (cell.replace("|", "\\|").replace("\n", "<br>") for cell in cells)
        return f"| {' | '.join(escaped)} |"

    rule = tuple("--:" if kind == "number" else "---" for _, kind in block.columns)
    lines = [line(block.headings), line(rule), *(line(row.cells) for row in block.rows)]
    above = f"**{block.title}.** {block.note}".strip() + "\n\n" if block.title else ""
    return above + "\n".join(lines)


@functools.cache
def _template() -> jinja2.Template:
    import jinja2
    from markupsafe import Markup, escape

    def inline(text: str) -> Markup:
        """Escape a text; what stands in backticks is code, and lines stay lines."""
        marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
        return Markup(marked.replace("\n", "<br>"))

    environment = jinja2.Environment(autoescape=True, trim_blocks=True)
    environment.filters["inline"] = inline
    text = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    return environment.from_string(text)
