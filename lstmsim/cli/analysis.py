"""analyze: all that is known of a model as a dynamical system, in one folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from lstmsim.cli.common import (
    AsJson,
    Model,
    Quiet,
    Workspace,
    complaints,
    console,
    read_arrays,
    use_files_for_figures,
)


def analyze(
    model: Model,
    workspace: Workspace = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", "-i", help="Input u: .csv, .npy, .npz or .mat.")
    ] = None,
    out: Annotated[
        str, typer.Option("--out", "-o", help="A new folder for the results.")
    ] = "lstmsim-analysis",
    samples: Annotated[
        int | None, typer.Option(help="How many samples; as many as the input has if not given.")
    ] = None,
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
    """Find a model's loops, poles, fixed points, gains, exponents and certificates."""
    from lstmsim.base import folder_written_whole
    from lstmsim.diagram import load
    from lstmsim.reports import analyze as analyze_diagram
    from lstmsim.reports import write_files

    use_files_for_figures()
    arrays, u = read_arrays(workspace, input_file)
    diagram = load(model, arrays)
    with folder_written_whole(out) as (temporary, folder), _spinner(quiet or as_json) as progress:
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
    if as_json:
        content = json.loads(report.to_json())
        content |= {"folder": str(folder), "files": [str(folder / name) for name in files]}
        print(json.dumps(content, indent=2))
    elif not quiet:
        console.print(report.table)
        console.print(f"\nSaved in {folder}:", markup=False, soft_wrap=True)
        for name in files:
            console.print(f"  {name}", markup=False)


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


@contextmanager
def _spinner(hidden: bool) -> Iterator[Callable[[str], None] | None]:
    """Say on a terminal what is being done."""
    if hidden or not complaints.is_terminal:
        yield None
        return
    with complaints.status("reading the model") as status:
        yield lambda what: status.update(what)
