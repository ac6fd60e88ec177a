"""info, loops, edit and compile: what a model is, and what it becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lstmsim.cli.common import (
    AsJson,
    Model,
    Quiet,
    Workspace,
    console,
    read_arrays,
    use_files_for_figures,
)


def info(model: Model, workspace: Workspace = None, as_json: AsJson = False) -> None:
    """Show a model's blocks, sizes, parameters and sample time."""
    from lstmsim.diagram import load_workspace, summarize

    arrays = None if workspace is None else load_workspace(workspace)
    summary = summarize(model, arrays)
    if as_json:
        print(summary.to_json())
    else:
        console.print(summary.table)
        console.print(summary.summary, markup=False)


def loops(
    model: Model,
    workspace: Workspace = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", help="Draw the diagram: .svg, .png, .pdf ….")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many loops to list.")] = 1000,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Show a model's feedback loops, by the delays that they pass."""
    from lstmsim.base import check_target
    from lstmsim.diagram import load, load_workspace, wire_graph, wires
    from lstmsim.dynamics import loops_of_wires
    from lstmsim.plotting import PICTURE_ENDINGS, draw, save_plot

    if plot_file is not None:
        check_target(plot_file, PICTURE_ENDINGS, "picture")
    graph = (
        wires(model) if workspace is None else wire_graph(load(model, load_workspace(workspace)))
    )
    report = loops_of_wires(graph, limit)
    if plot_file is not None:
        use_files_for_figures()
        save_plot(draw(graph, report.groups), plot_file)
    if as_json:
        print(report.to_json())
    elif not quiet:
        if report.groups:
            console.print(report.table)
        console.print(report.summary, markup=False, soft_wrap=True)
        if plot_file is not None:
            console.print(f"saved {plot_file}", markup=False, soft_wrap=True)


def edit(model: Model) -> None:
    """Open a model in the block diagram editor (bdedit)."""
    from lstmsim.cli.editor import edit as edit_model

    raise typer.Exit(edit_model(model))


def compile_model(
    model: Model,
    workspace: Workspace = None,
    to: Annotated[str, typer.Option(help="c, or python: the text of the kernels.")] = "c",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The C file; MODEL.c if not given.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="Precision: float32, or float64.")] = "float32",
    test_input: Annotated[
        Path | None, typer.Option("--test", help="An input whose outputs are built in as a test.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Compile a model: write it as C, or print its kernels and schedule."""
    from lstmsim.base import InvalidValueError
    from lstmsim.diagram import load
    from lstmsim.engine import compile as compile_diagram

    if to not in ("c", "python"):
        raise InvalidValueError(
            "a model cannot be compiled to this", where="--to", given=to, expected="c or python"
        )
    arrays, u = read_arrays(workspace, test_input)
    compiled = compile_diagram(load(model, arrays), dtype)
    if to == "python":
        print(f"{compiled.schedule}\n\n{compiled.source}")
        return
    target = Path(Path(model).stem + ".c") if out is None else out
    compiled.to_c(target, u)
    if not quiet:
        console.print(
            f"saved {target} and {target.with_suffix('.h')}", markup=False, soft_wrap=True
        )
