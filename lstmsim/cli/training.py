"""train: a model trained over a workspace."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from lstmsim.cli.common import (
    AsJson,
    Model,
    Quiet,
    StoppedError,
    Workspace,
    check_picture,
    complain,
    progress_display,
    read_arrays,
    save_picture,
    saved,
    say_result,
)
from lstmsim.cli.options import Table, chosen, with_options
from lstmsim.engine import LOSSES
from lstmsim.training import OPTIMIZERS, SCHEDULES, TrainingOptions

#: Fields that are given by a row's name.
_TABLES: dict[str, Table] = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "loss": LOSSES,
}
#: Shorter than what Typer says of a list of paths, which would cut the options' names short.
_PATH = "<path>"
_FILES = "Give it once for each sequence."


@with_options(TrainingOptions, _TABLES)
def train(
    model: Model,
    target: Annotated[
        list[Path],
        typer.Option("--target", "-t", metavar=_PATH, help=f"What the outputs should be. {_FILES}"),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The workspace with the trained arrays: .npz, .mat.")
    ],
    workspace: Workspace = None,
    input_file: Annotated[
        list[Path] | None,
        typer.Option(
            "--input", "-i", metavar=_PATH, help=f"Input u: .csv, .npy, .npz or .mat. {_FILES}"
        ),
    ] = None,
    validation_input: Annotated[
        list[Path] | None,
        typer.Option(metavar=_PATH, help="Input that is not trained on. Repeatable."),
    ] = None,
    validation_target: Annotated[
        list[Path] | None, typer.Option(metavar=_PATH, help="Its target. Repeatable.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", metavar="", help="Go on from the checkpoint, if there is one."),
    ] = False,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", help="Save a figure of the course of training.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Train a model, and save its workspace."""
    from lstmsim.base import check_target
    from lstmsim.diagram import WORKSPACE_ENDINGS, load, save_workspace
    from lstmsim.plotting import plot_history
    from lstmsim.training import TrainingInterrupted, fit

    # Before training, which may be long.
    check_target(out, WORKSPACE_ENDINGS, "workspace")
    check_picture(plot_file)
    settings = chosen(TrainingOptions, _TABLES, options)
    arrays, _ = read_arrays(workspace, None)
    data = _sequences(input_file, target)
    held_out = None
    if validation_input or validation_target:
        held_out = _sequences(validation_input, validation_target or [])
    diagram = load(model, arrays)
    try:
        with _warned(), progress_display(quiet or as_json, "epochs") as show:
            result = fit(
                diagram,
                *data,
                settings,
                validation=held_out,
                progress=lambda done, total, loss, rate: show(
                    done, total, f"loss {loss:.4g}  learning rate {rate:.3g}"
                ),
                resume=resume,
            )
    except TrainingInterrupted as stopped:
        save_workspace(stopped.result.workspace or {}, out)
        raise StoppedError(f"{stopped}\nthe arrays so far are saved in {out}") from None
    except KeyboardInterrupt:  # pressed again, in the middle of an epoch
        kept = settings.checkpoint is not None and settings.checkpoint.exists()
        raise StoppedError(
            "interrupted at once; "
            f"the last checkpoint is {settings.checkpoint}: --resume goes on from it"
            if kept
            else "interrupted at once: nothing was saved"
        ) from None
    save_workspace(result.workspace or {}, out)  # there is one, of a diagram that was loaded
    save_picture(lambda: plot_history(result.history), plot_file)
    files = [str(file) for file in (out, plot_file) if file is not None]
    say_result(result, quiet, as_json, saved(*files), files=files)
    raise typer.Exit(1 if result.reason == "diverged" else 0)


def _sequences(inputs: list[Path] | None, targets: list[Path]) -> tuple[Any, Any]:
    """Return the sequences of files; without inputs the workspace has them."""
    from lstmsim.diagram import load_input

    u = [load_input(file) for file in inputs or []]
    y = [load_input(file, "y") for file in targets]
    return (u if inputs else None), (y if inputs or len(y) != 1 else y[0])


@contextmanager
def _warned() -> Iterator[None]:
    """Print warnings as the command line prints what it has to say."""

    def show(message: Warning | str, *rest: Any) -> None:
        complain(str(message), "[bold yellow]warning:[/bold yellow] ")

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        yield
