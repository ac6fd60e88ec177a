"""train: a model trained over a workspace."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterator
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
    complaints,
    console,
    read_arrays,
    use_files_for_figures,
)

#: Shorter than what Typer says of a list of paths, which would cut the options' names short.
_PATH = "<path>"
_FILES = "Give it once for each sequence."


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
    epochs: Annotated[int, typer.Option(help="How many epochs.")] = 1000,
    learning_rate: Annotated[
        float, typer.Option(help="The learning rate of the first one.")
    ] = 1e-3,
    optimizer: Annotated[str, typer.Option(help="adam, rmsprop or sgd.")] = "adam",
    momentum: Annotated[float, typer.Option(help="Momentum of sgd.")] = 0.0,
    schedule: Annotated[
        str, typer.Option(help="Of the learning rate: constant, piecewise or cosine.")
    ] = "constant",
    drop: Annotated[float, typer.Option(help="Factor of the piecewise schedule.")] = 0.99,
    drop_every: Annotated[int, typer.Option(help="After how many epochs it drops.")] = 100,
    floor: Annotated[
        float, typer.Option(help="Fraction of the learning rate that the cosine ends at.")
    ] = 0.0,
    clip: Annotated[
        float | None, typer.Option(help="Largest L2 norm of the gradient of each array.")
    ] = None,
    clip_global: Annotated[
        float | None, typer.Option(help="Largest L2 norm of the gradient of all of them.")
    ] = None,
    weight_decay: Annotated[float, typer.Option(help="L2 regularization.")] = 0.0,
    loss: Annotated[str, typer.Option(help="mse or half_mse.")] = "mse",
    batch_size: Annotated[
        int | None, typer.Option(help="Sequences for one step; all if not given.")
    ] = None,
    shuffle: Annotated[
        bool, typer.Option(metavar="", help="Whether sequences come in a new order every epoch.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Of that order.")] = 0,
    carry: Annotated[
        str, typer.Option(help="States at a sequence's start: reset, sequences or epochs.")
    ] = "reset",
    freeze: Annotated[
        list[str] | None,
        typer.Option(metavar="<str>", help="Name or pattern of arrays that stay. Repeatable."),
    ] = None,
    train_states: Annotated[
        bool, typer.Option("--train-states", metavar="", help="Train the initial states too.")
    ] = False,
    dtype: Annotated[str, typer.Option(help="Precision: float64, or float32.")] = "float64",
    validation_input: Annotated[
        list[Path] | None,
        typer.Option(metavar=_PATH, help="Input that is not trained on. Repeatable."),
    ] = None,
    validation_target: Annotated[
        list[Path] | None, typer.Option(metavar=_PATH, help="Its target. Repeatable.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Epochs without a lower loss on it before training stops.")
    ] = None,
    max_loss: Annotated[
        float | None, typer.Option(help="A loss beyond it counts as divergence.")
    ] = None,
    constant_target: Annotated[
        bool,
        typer.Option("--constant-target", metavar="", help="A target that never changes is meant."),
    ] = False,
    checkpoint: Annotated[
        Path | None, typer.Option(help="An .npz file to keep the state of training in.")
    ] = None,
    checkpoint_every: Annotated[int, typer.Option(help="Epochs between two checkpoints.")] = 100,
    resume: Annotated[
        bool,
        typer.Option("--resume", metavar="", help="Go on from the checkpoint, if there is one."),
    ] = False,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", help="Save a figure of the course of training.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a model; exit 1 if training diverges."""
    from lstmsim.base import check_target
    from lstmsim.diagram import WORKSPACE_ENDINGS, load, save_workspace
    from lstmsim.plotting import PICTURE_ENDINGS
    from lstmsim.training import SGD, TrainingInterrupted, TrainingOptions, fit

    use_files_for_figures()
    # Before training, which may be long.
    check_target(out, WORKSPACE_ENDINGS, "workspace")
    if plot_file is not None:
        check_target(plot_file, PICTURE_ENDINGS, "picture")
    options = TrainingOptions(
        epochs=epochs,
        learning_rate=learning_rate,
        optimizer=SGD(momentum) if optimizer == "sgd" else optimizer,
        schedule=_schedule(schedule, drop, drop_every, floor),
        clip=clip,
        clip_global=clip_global,
        weight_decay=weight_decay,
        loss=loss,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        carry=carry,
        frozen=tuple(freeze or ()),
        train_states=train_states,
        dtype=dtype,
        patience=patience,
        max_loss=float("inf") if max_loss is None else max_loss,
        constant_target=constant_target,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
    )
    arrays, _ = read_arrays(workspace, None)
    data = _sequences(input_file, target)
    held_out = None
    if validation_input or validation_target:
        held_out = _sequences(validation_input, validation_target or [])
    diagram = load(model, arrays)
    try:
        with _warned(), _epochs_bar(quiet or as_json) as progress:
            result = fit(
                diagram, *data, options, validation=held_out, progress=progress, resume=resume
            )
    except TrainingInterrupted as stopped:
        save_workspace(stopped.result.workspace or {}, out)
        raise StoppedError(f"{stopped}\nthe arrays so far are saved in {out}") from None
    except KeyboardInterrupt:  # pressed again, in the middle of an epoch
        kept = checkpoint is not None and checkpoint.exists()
        raise StoppedError(
            f"interrupted at once; the last checkpoint is {checkpoint}: --resume goes on from it"
            if kept
            else "interrupted at once: nothing was saved"
        ) from None
    save_workspace(result.workspace or {}, out)  # there is one, of a diagram that was loaded
    saved = [str(out)]
    if plot_file is not None:
        _save_figure(result, plot_file)
        saved.append(str(plot_file))
    if as_json:
        print(json.dumps({**json.loads(result.to_json()), "files": saved}, indent=2))
    elif not quiet:
        console.print(result.table)
        console.print(result.summary, markup=False, soft_wrap=True)
        for file in saved:
            console.print(f"saved {file}", markup=False, soft_wrap=True)
    raise typer.Exit(1 if result.reason == "diverged" else 0)


def _schedule(name: str, drop: float, every: int, floor: float) -> Any:
    from lstmsim.base import InvalidValueError
    from lstmsim.training import Constant, Cosine, Piecewise

    if name == "constant":
        return Constant()
    if name == "piecewise":
        return Piecewise(drop, every)
    if name == "cosine":
        return Cosine(floor)
    raise InvalidValueError(
        "there is no schedule of this name",
        where="--schedule",
        given=name,
        expected="constant, piecewise or cosine",
    )


def _sequences(inputs: list[Path] | None, targets: list[Path]) -> tuple[Any, Any]:
    """Return the sequences of files; without inputs the workspace has them."""
    from lstmsim.diagram import load_input

    u = [load_input(file) for file in inputs or []]
    y = [load_input(file, "y") for file in targets]
    return (u if inputs else None), (y if inputs or len(y) != 1 else y[0])


def _save_figure(result: Any, file: Path) -> None:
    from lstmsim.plotting import plot_history, save_plot

    save_plot(plot_history(result.history), file)


@contextmanager
def _warned() -> Iterator[None]:
    """Print warnings as the command line prints what it has to say."""

    def show(message: Warning | str, *rest: Any) -> None:
        complaints.print("[bold yellow]warning:[/bold yellow] ", end="")
        complaints.print(str(message), markup=False, soft_wrap=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        yield


@contextmanager
def _epochs_bar(hidden: bool) -> Iterator[Callable[[int, int, float, float], None] | None]:
    """Show how far training is, its loss and its learning rate."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    if hidden or not complaints.is_terminal:
        yield None
        return
    begun = time.monotonic()
    figures = TextColumn("loss {task.fields[loss]:.4g}  learning rate {task.fields[rate]:.3g}")
    columns = ("epochs", BarColumn(), MofNCompleteColumn(), figures, TimeRemainingColumn())
    bar = Progress(*columns, console=complaints, transient=True)
    task = bar.add_task("train", total=None, loss=float("nan"), rate=float("nan"))

    def report(done: int, total: int, loss: float, rate: float) -> None:
        if not bar.live.is_started and time.monotonic() - begun > 1.0:
            bar.start()
        bar.update(task, completed=done, total=total, loss=loss, rate=rate)

    try:
        yield report
    finally:
        bar.stop()
