"""The command line: thin commands over the package's functions, a file for each kind."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lstmsim.base import LstmsimError
from lstmsim.cli.analysis import analyze
from lstmsim.cli.benchmark import bench
from lstmsim.cli.common import StoppedError, complaints
from lstmsim.cli.files import check, plot
from lstmsim.cli.models import compile_model, edit, info, loops
from lstmsim.cli.running import demo, run
from lstmsim.cli.studies import study
from lstmsim.cli.training import train

app = typer.Typer(
    help="See, run and check an LSTM as a block diagram with two feedback loops.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[
        bool, typer.Option("--version", metavar="", help="Print the version.")
    ] = False,
) -> None:
    if version:
        from lstmsim import __version__

        print(__version__)
        raise typer.Exit


#: In the order of the help page.
for _command in (demo, run, train, check, plot, info, loops, analyze, study, bench, edit):
    app.command()(_command)
app.command("compile")(compile_model)


def main() -> None:
    """Run the command line; errors are one message on stderr and exit status 2."""
    try:
        app()
    except SystemExit as end:
        if end.code == 130:  # Ctrl-C, as Typer turns it into an end
            complaints.print("interrupted: nothing was saved")
        raise
    except StoppedError as stopped:
        complaints.print(str(stopped), markup=False, soft_wrap=True)
        sys.exit(130)
    except LstmsimError as error:
        complaints.print("[bold red]error:[/bold red] ", end="")
        complaints.print(str(error), markup=False, soft_wrap=True)
    except OSError as error:
        complaints.print("[bold red]error:[/bold red] ", end="")
        name = f"{error.filename}: " if error.filename else ""
        complaints.print(f"{name}{error.strerror or error}", markup=False, soft_wrap=True)
    except MemoryError:
        complaints.print("[bold red]error:[/bold red] there is not enough memory for this run")
    sys.exit(2)
