"""study: the published example computed again, with a report."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from lstmsim.cli.common import AsJson, Quiet, console, progress_bar, use_files_for_figures


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
    """Compute every step of the published example again; exit 1 if a figure does not agree."""
    from lstmsim.base import folder_written_whole
    from lstmsim.reports import FULL, QUICK, run_study, save_study

    use_files_for_figures()
    with (
        folder_written_whole(out) as (temporary, folder),
        progress_bar(quiet or as_json, "steps") as progress,
    ):
        result = run_study(QUICK if quick else FULL, progress)
        files = [folder / file.name for file in save_study(result, temporary)]
    if as_json:
        found: dict[str, Any] = json.loads(result.to_json())
        names = {"folder": str(folder), "files": [str(file) for file in files]}
        print(json.dumps(found | names, indent=2))
    elif not quiet:
        console.print(result.table)
        console.print(result.summary, markup=False, soft_wrap=True)
        console.print(
            f"\n{result.seconds:.0f} s. The report: {folder / 'report.html'}",
            markup=False,
            soft_wrap=True,
        )
    raise typer.Exit(0 if result.ok else 1)
