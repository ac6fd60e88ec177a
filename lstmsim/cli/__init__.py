"""The command line: thin commands over the package's functions, a file for each kind."""

from __future__ import annotations

import importlib
import io
import sys
from typing import Annotated, Any, NoReturn

import typer
import typer.main
from typer.core import TyperGroup

from lstmsim.base import LstmsimError
from lstmsim.cli.common import StoppedError, complain

#: In the order of the help page: where a command is, and what it does.  Their modules need NumPy
#: and more, and are imported when a command is run, not when it is listed.
COMMANDS = {
    "demo": ("running.demo", "Run the published layer as a block diagram, and check every signal."),
    "run": ("running.run", "Run a model over a workspace."),
    "train": ("training.train", "Train a model; exit 1 if training diverges."),
    "check": ("files.check", "Compare two trace files signal by signal; exit 1 on a miss."),
    "plot": ("files.plot", "Plot the signals of a trace file."),
    "info": ("models.info", "Show a model's blocks, sizes, parameters and sample time."),
    "loops": ("models.loops", "Show a model's feedback loops, by the delays that they pass."),
    "analyze": (
        "analysis.analyze",
        "Find a model's loops, poles, fixed points, gains, exponents and certificates.",
    ),
    "study": (
        "studies.study",
        "Compute every step of the published example again; exit 1 if a figure does not agree.",
    ),
    "bench": (
        "benchmark.bench",
        "Measure speed beside other libraries, and how the cost grows.",
    ),
    "edit": ("models.edit", "Open a model in the block diagram editor (bdedit)."),
    "compile": (
        "models.compile_model",
        "Compile a model: write it as C, or print its kernels and schedule.",
    ),
}


class _Commands(TyperGroup):
    """The commands, of which one alone is imported."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed and _imported(str(name)), rest


def _app(**settings: Any) -> typer.Typer:
    return typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        **settings,
    )


def _imported(name: str) -> Any:
    place, sentence = COMMANDS[name]
    module, function = place.split(".")
    command = getattr(importlib.import_module(f"lstmsim.cli.{module}"), function)
    alone = _app()
    alone.command(name, help=sentence)(command)
    return typer.main.get_command(alone)


app = _app(
    cls=_Commands,
    help="See, run and check an LSTM as a block diagram with two feedback loops.",
    no_args_is_help=True,
)
for _name, (_, _sentence) in COMMANDS.items():
    app.command(_name, help=_sentence)(lambda: None)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[
        bool, typer.Option("--version", metavar="", help="Print the version.")
    ] = False,
) -> None:
    if version:
        from lstmsim._version import __version__

        print(__version__)
        raise typer.Exit


def main() -> NoReturn:
    """Run the command line; errors are one message on stderr and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # where a terminal has no Σ, a run does not end
    try:
        app()
    except SystemExit as end:
        if end.code == 130:  # Ctrl-C, as Typer turns it into an end
            complain("interrupted: nothing was saved", "")
        raise
    except StoppedError as stopped:
        complain(str(stopped), "")
        sys.exit(130)
    except LstmsimError as error:
        complain(str(error))
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        complain(f"{name}{error.strerror or error}")
    except MemoryError:
        complain("there is not enough memory for this run")
    sys.exit(2)
