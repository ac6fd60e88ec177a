"""bench: the engines beside other libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lstmsim.cli.common import (
    AsJson,
    Quiet,
    check_picture,
    console,
    progress_display,
    save_picture,
    saved,
    say,
)


def bench(
    units: Annotated[
        str | None,
        typer.Option(help="Numbers of units, separated by commas; 3,…,512 if not given."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="How long candidates take turns for each row.")
    ] = None,
    threads: Annotated[int, typer.Option(help="How many threads each library may use.")] = 1,
    peers: Annotated[
        str | None,
        typer.Option(help="Of onnxruntime,torch,jax: beside which; all that are installed."),
    ] = None,
    growth: Annotated[
        bool, typer.Option(help="Measure how the cost grows with T and N, too.")
    ] = True,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer sizes and less time: half a minute.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Save the report: .json or .md.")
    ] = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", help="Save a figure of the growth: .png, .svg, .pdf ….")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure, and print or save the report."""
    from lstmsim.base import InvalidValueError, atomic_write, check_target
    from lstmsim.reports import plot_growth, run_bench, settings_from_options

    settings = settings_from_options(
        units, seconds, peers, threads=threads, growth=growth, quick=quick
    )
    # Before the measurement, which is long.
    if out is not None:
        check_target(out, (".json", ".md"), "report")
    check_picture(plot_file)
    if plot_file is not None and not growth:
        raise InvalidValueError(
            "the figure is of the growth, which is not measured",
            where="--plot",
            given="--no-growth",
            expected="one or the other",
        )
    with progress_display(quiet or as_json) as show:
        report = run_bench(settings, lambda text: show(0, None, text))
    if out is not None:
        text = report.to_json() + "\n" if out.suffix.lower() == ".json" else report.to_markdown()
        with atomic_write(out) as temporary:
            temporary.write_text(text, encoding="utf-8")
    save_picture(lambda: plot_growth(report.growth), plot_file)
    if as_json:
        print(report.to_json())
    elif not quiet:
        console.print(report)
        for line in saved(out, plot_file):
            say(line)
