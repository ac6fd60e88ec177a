"""study: the published example computed again, with a report."""

from __future__ import annotations

from typing import Annotated

import typer

from lstmsim.cli.common import (
    AsJson,
    Quiet,
    progress_display,
    say_result,
    use_files_for_figures,
)


def study(
    out: Annotated[str, typer.Option("--out", "-o", help="Folder for the report.")] = (
        "lstmsim-study"
    ),
    quick: Annotated[
        bool,
        typer.Option("--quick", metavar="", help="Fewer epochs, and fewer points of the sweeps."),
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compute the example, and save the report."""
    from lstmsim.base import folder_written_whole
    from lstmsim.reports import FULL, QUICK, run_study, save_study

    use_files_for_figures()
    with (
        folder_written_whole(out) as (temporary, folder),
        progress_display(quiet or as_json, "steps") as progress,
    ):
        result = run_study(QUICK if quick else FULL, progress)
        files = [folder / file.name for file in save_study(result, temporary)]
    say_result(
        result,
        quiet,
        as_json,
        [f"\n{result.seconds:.0f} s. The report: {folder / 'report.html'}"],
        folder=str(folder),
        files=[str(file) for file in files],
    )
    raise typer.Exit(0 if result.ok else 1)
