"""analyze: all that is known of a model as a dynamical system, in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lstmsim.cli.common import (
    AsJson,
    Input,
    Model,
    Quiet,
    Samples,
    Workspace,
    progress_display,
    read_arrays,
    say_result,
    use_files_for_figures,
)


def analyze(
    model: Model,
    workspace: Workspace = None,
    input_file: Input = None,
    out: Annotated[
        str, typer.Option("--out", "-o", help="A new folder for the results.")
    ] = "lstmsim-analysis",
    samples: Samples = None,
    input_bound: Annotated[
        float | None,
        typer.Option(help="Largest |u| that certificates are for; this input's if not given."),
    ] = None,
    held: Annotated[
        str, typer.Option(help="Constant input of the fixed points: mean, zero, or 1,0.5,….")
    ] = "mean",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Analyze a model, and save the report."""
    from lstmsim.base import folder_written_whole
    from lstmsim.diagram import load
    from lstmsim.reports import analyze as analyze_diagram
    from lstmsim.reports import write_files

    use_files_for_figures()
    arrays, u = read_arrays(workspace, input_file)
    diagram = load(model, arrays)
    hidden = quiet or as_json
    with folder_written_whole(out) as (temporary, folder), progress_display(hidden) as show:

        def progress(what: str) -> None:
            show(0, None, what)

        report = analyze_diagram(
            diagram,
            u,
            samples=samples,
            network=arrays,
            input_bound=input_bound,
            held=_held(held),
            progress=progress,
        )
        title = f"{Path(model).stem}: analysis"
        files = [file.name for file in write_files(report, temporary, title, progress)]
    say_result(
        report,
        quiet,
        as_json,
        [f"\nSaved in {folder}:", *(f"  {name}" for name in files)],
        folder=str(folder),
        files=[str(folder / name) for name in files],
    )


def _held(text: str) -> str | list[float]:
    """Return the word, or the numbers of one sample."""
    from lstmsim.base import InvalidValueError

    if text in ("mean", "zero"):
        return text
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise InvalidValueError(
            "this is no constant input",
            where="--held",
            given=repr(text),
            expected="mean, zero, or numbers separated by commas, one an input",
        ) from None
