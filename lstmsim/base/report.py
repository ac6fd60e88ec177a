"""One base of all reports: a class says its tables and sentences as data, they are written here.

A `Report` has tables, a summary and numbers; text, JSON, Markdown and HTML follow from them.  A
report of several steps gives a `Document` of sections, with pictures, in place of the plain one.
"""

from __future__ import annotations

import abc
import io
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lstmsim.base.document import Document, Section, TableData

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table


class Report(abc.ABC):
    """A result for readers: subclasses return its parts as data, and this class formats them."""

    #: Characters in a line of the text.
    width = 100

    @property
    @abc.abstractmethod
    def title(self) -> str:
        """The heading of the report."""

    @property
    def introduction(self) -> str:
        """The text before the tables; empty unless a subclass overrides it."""
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
        """The values of the JSON, by name."""

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
            if isinstance(block, str):
                yield Text(block)
                continue
            if block.note:
                yield Text(block.caption)
            yield block.rich()

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
