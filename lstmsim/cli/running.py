"""demo and run: models run, checked and saved."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lstmsim.cli.common import (
    AsJson,
    Input,
    Model,
    Quiet,
    Samples,
    Workspace,
    check_picture,
    console,
    progress_display,
    read_arrays,
    save_picture,
    saved,
    say,
    say_report,
    use_files_for_figures,
)


def demo(
    out: Annotated[str, typer.Option("--out", "-o", help="Folder for the results.")] = (
        "lstmsim-demo"
    ),
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run and check the published layer, and save what comes of it."""
    from lstmsim.base import folder_written_whole
    from lstmsim.reports import run_demo, save_demo

    use_files_for_figures()
    with (
        folder_written_whole(out) as (temporary, folder),
        progress_display(quiet or as_json, "samples") as progress,
    ):
        result = run_demo(progress)
        files = [folder / file.name for file in save_demo(result, temporary)]
    if as_json:
        content = {
            "ok": result.ok,
            "published": result.published,
            "y": result.traces.y[:5].values.T.tolist(),
            "check": json.loads(result.report.to_json()),
            "folder": str(folder),
            "files": [str(file) for file in files],
        }
        print(json.dumps(content, indent=2))
    elif not quiet:
        samples, inputs = result.traces.u.shape
        say(
            f"Published layer: {result.traces.h.shape[1]} units, {inputs} inputs, "
            f"{result.traces.y.shape[1]} outputs, {samples} samples, run in bdsim.\n"
            "First five samples of the outputs:"
        )
        for row in result.traces.y[:5].values.T:
            print(" ".join(f"{value:.4f}" for value in row))
        say(f"These are {'as published' if result.published else 'NOT as published'}.\n")
        say_report(result.report)
        say("\n".join([f"\nSaved in {folder}:", *(f"  {file.name}" for file in files)]))
        workspace = folder / "workspace.npz"
        say(f"\nNext: {_called_as()} run lstm_layer --workspace {workspace} --check")
    raise typer.Exit(0 if result.ok else 1)


def _called_as() -> str:
    """Return the words that the command line was called with, to be typed again."""
    called = Path(sys.argv[0])
    return f"{sys.executable} -m lstmsim" if called.name == "__main__.py" else str(called)


def run(
    model: Model,
    workspace: Workspace = None,
    input_file: Input = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Save the traces: .nc or .csv.")
    ] = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", help="Save a figure: .png, .svg, .pdf ….")
    ] = None,
    samples: Samples = None,
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
    """Run a model; a miss of the check is the exit status 1."""
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
    from lstmsim.plotting import plot

    # Before the run, which may be long.
    if out is not None:
        check_target(out, TRACE_ENDINGS, "trace")
    check_picture(plot_file)
    arrays, u = read_arrays(workspace, input_file)
    diagram = load(model, arrays)
    network = None
    if check_it:
        network = network_from_workspace(arrays)
        check_diagram_is_network(diagram, network)
    with progress_display(quiet or as_json, "samples") as progress:
        traces = simulate(
            diagram, u, samples=samples, engine=engine, dtype=dtype, progress=progress
        )
    report = None
    if network is not None:
        expected = reference(network, traces.u.values, dtype="float32")
        report = check(traces, expected, diagram=diagram)
    if out is not None:
        save_traces(traces, out)
    save_picture(lambda: plot(traces), plot_file)
    files = [str(file) for file in (out, plot_file) if file is not None]
    if as_json:
        print(json.dumps(_content(traces, report, files), indent=2))
    elif not quiet:
        _print_run(Path(model).name, traces)
        if report is not None:
            say_report(report)
        for line in saved(*files):
            say(line)
    raise typer.Exit(0 if report is None or report.ok else 1)


def _content(traces: Any, report: Any, files: list[str]) -> dict[str, Any]:
    """Return what the JSON of a run has."""
    from lstmsim.diagram import signal_names

    content: dict[str, Any] = {
        "samples": traces.sizes["time"],
        "Ts": float(traces.attrs["Ts"]),
        "signals": {name: traces[name].shape[1] for name in signal_names(traces)},
        "files": files,
    }
    if "y" in traces:
        content["y"] = traces.y.values.tolist()
    if report is not None:
        content["check"] = json.loads(report.to_json())
    return content


def _print_run(name: str, traces: Any) -> None:
    """Print how long a run was, and the first of its output."""
    from lstmsim.base import count
    from lstmsim.diagram import signal_names

    say(
        f"{name}: {count(traces.sizes['time'], 'sample')} of "
        f"{float(traces.attrs['Ts']):g} s, {count(len(signal_names(traces)), 'signal')}"
    )
    if "y" not in traces:
        return
    shown = min(5, traces.sizes["time"])
    say(f"first {shown} samples of the output:" if shown > 1 else "the output:")
    for row in traces.y[:shown].values.T[:10]:
        print("  " + " ".join(f"{value:.4f}" for value in row))
    if traces.y.shape[1] > 10:
        console.print(f"  … {traces.y.shape[1]} elements in all")
