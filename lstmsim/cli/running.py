"""demo and run: models run, checked and saved."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lstmsim.base import count
from lstmsim.cli.common import (
    AsJson,
    Model,
    Quiet,
    Workspace,
    console,
    progress_bar,
    read_arrays,
    use_files_for_figures,
)
from lstmsim.diagram import signal_names


def demo(
    out: Annotated[str, typer.Option(help="Folder for the results.")] = "lstmsim-demo",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run the published layer as a block diagram, and check every signal."""
    from lstmsim.base import folder_written_whole
    from lstmsim.reports import run_demo, save_demo

    use_files_for_figures()
    with (
        folder_written_whole(out) as (temporary, folder),
        progress_bar(quiet or as_json) as progress,
    ):
        result = run_demo(progress)
        files = [folder / file.name for file in save_demo(result, temporary)]
    if as_json:
        print(
            json.dumps(
                {
                    "ok": result.ok,
                    "published": result.published,
                    "y": result.traces.y[:5].values.T.tolist(),
                    "check": json.loads(result.report.to_json()),
                    "folder": str(folder),
                    "files": [str(file) for file in files],
                },
                indent=2,
            )
        )
    elif not quiet:
        samples, inputs = result.traces.u.shape
        console.print(
            f"Published layer: {result.traces.h.shape[1]} units, {inputs} inputs, "
            f"{result.traces.y.shape[1]} outputs, {samples} samples, run in bdsim.\n"
            "First five samples of the outputs:"
        )
        for row in result.traces.y[:5].values.T:
            print(" ".join(f"{value:.4f}" for value in row))
        agrees = "as published" if result.published else "NOT as published"
        console.print(f"These are {agrees}.\n")
        console.print(result.report.table)
        console.print(result.report.summary, markup=False, soft_wrap=True)
        console.print(f"\nSaved in {folder}:", markup=False)
        for file in files:
            console.print(f"  {file.name}", markup=False)
        console.print(
            f"\nNext: {sys.argv[0]} run lstm_layer --workspace {folder / 'workspace.npz'} --check",
            markup=False,
            soft_wrap=True,
        )
    raise typer.Exit(0 if result.ok else 1)


def run(
    model: Model,
    workspace: Workspace = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", "-i", help="Input u: .csv, .npy, .npz or .mat.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Save the traces: .nc or .csv.")
    ] = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", help="Save a figure: .png, .svg, .pdf ….")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="How many samples; as many as the input has if not given.")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="What runs it: bdsim, numba (compiled) or numpy.")
    ] = "bdsim",
    dtype: Annotated[str, typer.Option(help="Precision: float64, or float32.")] = "float64",
    check_it: Annotated[
        bool,
        typer.Option(
            "--check", metavar="", help="Check all signals against the reference; exit 1 on a miss."
        ),
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run a model over a workspace."""
    from lstmsim.base import check_target
    from lstmsim.diagram import (
        TRACE_ENDINGS,
        check_diagram_is_network,
        load,
        network_from_workspace,
        reference,
        save_traces,
    )
    from lstmsim.engine import check, simulate
    from lstmsim.plotting import PICTURE_ENDINGS, plot, save_plot

    use_files_for_figures()
    # Before the run, which may be long.
    if out is not None:
        check_target(out, TRACE_ENDINGS, "trace")
    if plot_file is not None:
        check_target(plot_file, PICTURE_ENDINGS, "picture")
    arrays, u = read_arrays(workspace, input_file)
    diagram = load(model, arrays)
    network = None
    if check_it:
        network = network_from_workspace(arrays)
        check_diagram_is_network(diagram, network)
    with progress_bar(quiet or as_json) as progress:
        traces = simulate(
            diagram, u, samples=samples, engine=engine, dtype=dtype, progress=progress
        )
    report = None
    if network is not None:
        expected = reference(network, traces.u.values, dtype="float32")
        report = check(traces, expected, diagram=diagram)
    if out is not None:
        save_traces(traces, out)
    if plot_file is not None:
        save_plot(plot(traces), plot_file)
    saved = [str(file) for file in (out, plot_file) if file is not None]
    if as_json:
        summary: dict[str, Any] = {
            "samples": traces.sizes["time"],
            "Ts": float(traces.attrs["Ts"]),
            "signals": {name: traces[name].shape[1] for name in signal_names(traces)},
            "files": saved,
        }
        if "y" in traces:
            summary["y"] = traces.y.values.tolist()
        if report is not None:
            summary["check"] = json.loads(report.to_json())
        print(json.dumps(summary, indent=2))
    elif not quiet:
        console.print(
            f"{Path(model).name}: {count(traces.sizes['time'], 'sample')} of "
            f"{float(traces.attrs['Ts']):g} s, {count(len(signal_names(traces)), 'signal')}",
            markup=False,
        )
        if "y" in traces:
            _print_output(traces)
        if report is not None:
            console.print(report.table)
            console.print(report.summary, markup=False, soft_wrap=True)
        for file in saved:
            console.print(f"saved {file}", markup=False, soft_wrap=True)
    raise typer.Exit(0 if report is None or report.ok else 1)


def _print_output(traces: Any) -> None:
    shown = min(5, traces.sizes["time"])
    console.print(f"first {shown} samples of the output:" if shown > 1 else "the output:")
    for row in traces.y[:shown].values.T[:10]:
        print("  " + " ".join(f"{value:.4f}" for value in row))
    if traces.y.shape[1] > 10:
        console.print(f"  … {traces.y.shape[1]} elements in all")
