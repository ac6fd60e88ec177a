"""check and plot: trace files compared and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lstmsim.cli.common import (
    AsJson,
    Quiet,
    check_picture,
    save_picture,
    say,
    say_result,
)
from lstmsim.diagram import ATOL, RTOL


def check(
    traces_file: Annotated[Path, typer.Argument(metavar="A", help="Traces that are checked.")],
    expected_file: Annotated[Path, typer.Argument(metavar="B", help="Traces as expected.")],
    atol: Annotated[float, typer.Option(help="Absolute part of the tolerance.")] = ATOL,
    rtol: Annotated[float, typer.Option(help="Relative part of the tolerance.")] = RTOL,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compare two files; a miss is the exit status 1."""
    from lstmsim.diagram import load_traces
    from lstmsim.engine import check as check_traces

    report = check_traces(
        load_traces(traces_file), load_traces(expected_file), atol=atol, rtol=rtol
    )
    say_result(report, quiet, as_json)
    raise typer.Exit(0 if report.ok else 1)


def plot(
    traces_file: Annotated[Path, typer.Argument(metavar="TRACES", help="A .nc or .csv file.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The figure; TRACES.png or TRACES-difference.png if not given."
        ),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Plot the difference to these traces instead.")
    ] = None,
    signals: Annotated[
        str | None, typer.Option(help="Names of signals, separated by commas.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Plot a file, or its difference to another."""
    from lstmsim.diagram import load_traces
    from lstmsim.plotting import plot as plot_traces
    from lstmsim.plotting import plot_difference

    ending = ".png" if against is None else "-difference.png"
    target = traces_file.with_name(traces_file.stem + ending) if out is None else out
    check_picture(target)
    traces = load_traces(traces_file)
    names = None if signals is None else [name.strip() for name in signals.split(",")]
    expected = None if against is None else load_traces(against)
    save_picture(
        lambda: (
            plot_traces(traces, names)
            if expected is None
            else plot_difference(traces, expected, names)
        ),
        target,
    )
    if not quiet:
        say(f"saved {target}")
