"""Documents: sections of texts, tables as data and pictures, written as Markdown and as HTML."""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import jinja2
    from matplotlib.figure import Figure
    from rich.table import Table

#: The style that a terminal gives a row, by the row's mark.
_STYLES = {"": None, "good": "green", "bad": "bold red", "note": "yellow"}


class Column(NamedTuple):
    """A column: texts wrap, words and numbers do not, and numbers stand at the right."""

    heading: str
    kind: Literal["text", "word", "number"]


class Row(NamedTuple):
    """The cells of a row, and its mark: "good", "bad", "note" or none."""

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
        The heading above it; empty for none.
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
        """Return the table for a terminal, without the note, which is longer than its lines."""
        from rich import box
        from rich.markup import escape
        from rich.table import Table

        listed = not any(self.headings)
        table = Table(
            title=None if self.note else self.title or None,
            title_justify="left",
            box=None if listed else box.SIMPLE_HEAD,
            show_header=not listed,
            pad_edge=False,
            show_edge=False,
            padding=(0, 2 if listed else 1, 0, 0),
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


#: An element of a section. A text is a paragraph, in which backticks mark code.
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
        The elements, in order.
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


def _markdown(block: Block) -> str:
    if isinstance(block, str):
        return block.replace("\n", "  \n")  # which keeps the lines
    if isinstance(block, Picture):
        return f"![{Path(block.file).stem}]({block.file})\n\n*{block.caption}*"

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
    text = Path(__file__).with_name("document.html").read_text(encoding="utf-8")
    return environment.from_string(text)
