"""What the commands share: their arguments, both consoles, and a progress bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

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
# Without a metavar the help page says <bool>, as if a flag took a value.
Quiet = Annotated[bool, typer.Option("--quiet", "-q", metavar="", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print the result as JSON.")]


def read_arrays(workspace: Path | None, input_file: Path | None) -> tuple[dict[str, Any], Any]:
    """Return the arrays of a workspace file and the input of an input file, where given."""
    from lstmsim.diagram import load_input, load_workspace

    arrays: dict[str, Any] = {} if workspace is None else load_workspace(workspace)
    u = None if input_file is None else load_input(input_file)
    return arrays, u


def use_files_for_figures() -> None:
    """Have matplotlib draw without a screen."""
    import matplotlib

    matplotlib.use("Agg")


@contextmanager
def progress_bar(
    hidden: bool, what: str = "samples"
) -> Iterator[Callable[[int, int], None] | None]:
    """Show a progress bar for runs that take longer than a second."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    if hidden or not complaints.is_terminal:
        yield None
        return
    begun = time.monotonic()
    columns = (what, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=complaints, transient=True)
    task = bar.add_task("run", total=None)

    def report(done: int, total: int) -> None:
        if not bar.live.is_started and time.monotonic() - begun > 1.0:
            bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield report
    finally:
        bar.stop()
