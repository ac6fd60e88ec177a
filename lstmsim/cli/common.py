"""What the commands share: their arguments, what they print, and the display of progress."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer
from rich.console import Console

if TYPE_CHECKING:
    from lstmsim.base import Report

# Without a terminal there is no width to fit: a table is printed whole.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
complaints = Console(stderr=True, highlight=False)


class StoppedError(Exception):
    """An end that the user has asked for: its message is said, and the exit status is 130."""


Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="A .bd file, or the name of one that comes with the package."
    ),
]
Workspace = Annotated[
    Path | None, typer.Option("--workspace", "-w", help="Arrays of the model: .npz or .mat.")
]
Input = Annotated[
    Path | None, typer.Option("--input", "-i", help="Input u: .csv, .npy, .npz or .mat.")
]
Samples = Annotated[
    int | None, typer.Option(help="How many samples; as many as the input has if not given.")
]
# Without a metavar the help page says <bool>, as if a flag took a value.
Quiet = Annotated[bool, typer.Option("--quiet", "-q", metavar="", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print the result as JSON.")]


def read_arrays(workspace: Path | None, input_file: Path | None) -> tuple[dict[str, Any], Any]:
    """Return the arrays of a workspace file and the input of an input file, where given."""
    from lstmsim.diagram import load_input, load_workspace

    arrays: dict[str, Any] = {} if workspace is None else load_workspace(workspace)
    u = None if input_file is None else load_input(input_file)
    return arrays, u


def check_picture(file: Path | None) -> None:
    """Refuse a file that no picture can be saved as, before what is drawn is computed."""
    from lstmsim.base import check_target
    from lstmsim.plotting import PICTURE_ENDINGS

    if file is not None:
        check_target(file, PICTURE_ENDINGS, "picture")


def save_picture(draw: Callable[[], Any], file: Path | None) -> None:
    """Draw a figure without a screen, and save it, if a file is given."""
    if file is not None:
        from lstmsim.plotting import save_plot

        use_files_for_figures()
        save_plot(draw(), file)


def use_files_for_figures() -> None:
    """Have matplotlib draw without a screen."""
    import matplotlib

    matplotlib.use("Agg")


def say(text: str) -> None:
    """Print a text as it is: brackets are no markup, and files' names are not broken."""
    console.print(text, markup=False, soft_wrap=True)


def complain(text: str, label: str = "[bold red]error:[/bold red] ") -> None:
    """Print a text on stderr."""
    complaints.print(label, end="")
    complaints.print(text, markup=False, soft_wrap=True)


def say_report(report: Report) -> None:
    """Print the tables and the summary of a report."""
    for table in report.tables:
        if table.rows:
            console.print(table.rich())
    if report.summary:
        say(report.summary)


def say_result(
    report: Report, quiet: bool, as_json: bool, after: Iterable[str] = (), **more: Any
) -> None:
    """Print a report and lines after it, or as JSON the report and what else the command knows."""
    if as_json:
        print(json.dumps(json.loads(report.to_json()) | more, indent=2))
    elif not quiet:
        say_report(report)
        for line in after:
            say(line)


def saved(*files: str | Path | None) -> list[str]:
    """Return lines that say where files are."""
    return [f"saved {file}" for file in files if file is not None]


class Show(Protocol):
    """Shows how many steps of how many are done, and a text."""

    def __call__(self, done: int, total: int | None, text: str = "", /) -> None:
        """Show it."""


@contextmanager
def progress_display(hidden: bool, steps: str = "") -> Iterator[Show]:
    """Show on a terminal how far a job is: a bar of its steps, or the text alone.

    A bar that would be gone within a second is not shown.
    """
    if hidden or not complaints.is_terminal:
        yield lambda done, total, text="", /: None
        return
    from rich import progress as rp

    bar = (steps, rp.BarColumn(), rp.MofNCompleteColumn()) if steps else (rp.SpinnerColumn(),)
    rest = (rp.TimeRemainingColumn(),) if steps else ()
    display = rp.Progress(*bar, "{task.description}", *rest, console=complaints, transient=True)
    task = display.add_task("", total=None)
    shown_from = time.monotonic() + (1.0 if steps else 0.0)

    def show(done: int, total: int | None, text: str = "", /) -> None:
        if not display.live.is_started and time.monotonic() >= shown_from:
            display.start()
        display.update(task, completed=done, total=total, description=text)

    try:
        yield show
    finally:
        display.stop()
