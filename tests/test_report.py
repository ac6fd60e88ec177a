"""What a report says as data is written as text, JSON, Markdown and HTML, once for all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console

from lstmsim.base import Document, Picture, Report, Row, Section, TableData, numbers, texts, words
from lstmsim.reports.writing import write_report

TABLE = TableData(
    (*words("name"), *numbers("value"), *texts("remark")),
    (Row(("a|b", "1.5", "[red]<b>\nsecond line")), Row(("c", "-2", ""), "bad")),
    "Values",
    "in `mm`",
)


class Example(Report):
    title = "An <example>"
    summary = "Two values & no more;\nsee `values.nc`."
    tables = (TABLE,)
    width = 60

    @property
    def content(self) -> dict[str, Any]:
        return {
            "array": np.array([1.0, np.nan, -np.inf]),
            "pole": np.complex128(0.5 - 0.25j),
            "poles": np.array([1j]),
            "single": np.float32(0.5),
            3: (np.int64(2), True, None, "x"),
        }


def test_the_text_is_a_caption_a_table_and_the_summary() -> None:
    assert str(Example()).splitlines() == [
        "Values: in `mm`",
        "name  value  remark",
        "─" * 24,
        "a|b     1.5  [red]<b>",
        "             second line",
        "c        -2",
        "",
        "Two values & no more;",
        "see `values.nc`.",
    ]


def test_a_console_shows_marked_rows_in_colour() -> None:
    console = Console(width=60, force_terminal=True, color_system="standard")
    with console.capture() as capture:
        console.print(Example())
    marked = [line for line in capture.get().splitlines() if "\x1b[1;31m" in line]
    assert len(marked) == 1
    assert "-2" in marked[0]


def test_json_has_plain_numbers_and_null() -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    assert json.loads(Example().to_json(), parse_constant=refuse) == {
        "array": [1.0, None, None],
        "pole": [0.5, -0.25],
        "poles": [[0.0, 1.0]],
        "single": 0.5,
        "3": [2, True, None, "x"],
    }


def test_markdown_keeps_lines_and_bars() -> None:
    assert Example().to_markdown().split("\n\n") == [
        "# An <example>",
        "**Values.** in `mm`",
        "| name | value | remark |\n| --- | --: | --- |\n"
        "| a\\|b | 1.5 | [red]<b><br>second line |\n| c | -2 |  |",
        "Two values & no more;  \nsee `values.nc`.\n",
    ]


def test_html_escapes_and_shows_code_and_marks() -> None:
    page = Example().to_html()
    for words_ in (
        "<h1>An &lt;example&gt;</h1>",
        "<caption>Values: in <code>mm</code></caption>",
        '<td class="text">[red]&lt;b&gt;<br>second line</td>',
        '<tr class="bad"><td class="word">c</td><td class="number">-2</td>',
        "<p>Two values &amp; no more;<br>see <code>values.nc</code>.</p>",
    ):
        assert words_ in page
    assert "break" not in page  # no cell breaks within a word
    assert ".word, .number { white-space: nowrap; }" in page


def test_a_written_report_has_its_pictures_inside(tmp_path: Path) -> None:
    class Drawn(Example):
        @property
        def document(self) -> Document:
            picture = Picture("line.png", "A `line`.", Figure)
            return Document(self.title, (Section("first", "First", ("Text.", picture)),))

    said: list[str] = []
    files = write_report(Drawn(), tmp_path, "numbers.json", said.append)
    assert said == ["line.png"]
    assert [file.name for file in files] == [
        *("report.md", "report.html", "numbers.json", "line.png")
    ]
    page = (tmp_path / "report.html").read_text()
    assert '<h2 id="first">First</h2>' in page
    assert 'src="data:image/png;base64,iVBOR' in page
    assert "![line](line.png)\n\n*A `line`.*" in (tmp_path / "report.md").read_text()
