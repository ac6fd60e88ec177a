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
    check_picture,
    read_arrays,
    save_picture,
    saved,
    say,
    say_result,
)


def info(model: Model, workspace: Workspace = None, as_json: AsJson = False) -> None:
    """Show what a model consists of."""
    from lstmsim.diagram import load_workspace, summarize

    arrays = None if workspace is None else load_workspace(workspace)
    say_result(summarize(model, arrays), False, as_json)


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
    """List a model's loops, and draw them."""
    from lstmsim.diagram import load, load_workspace, wire_graph, wires
    from lstmsim.dynamics import loops_of_wires

    check_picture(plot_file)
    graph = (
        wires(model) if workspace is None else wire_graph(load(model, load_workspace(workspace)))
    )
    report = loops_of_wires(graph, limit)
    if plot_file is not None:
        from lstmsim.plotting import draw

        save_picture(lambda: draw(graph, report.groups), plot_file)
    say_result(report, quiet, as_json, saved(plot_file))


def edit(model: Model) -> None:
    """Start the editor, and wait for it."""
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
    """Write a model as C, or print its kernels and schedule."""
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
        say(f"saved {target} and {target.with_suffix('.h')}")
