"""The command line: thin commands over the package's functions."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from lstmsim.arrays import count
from lstmsim.errors import LstmsimError
from lstmsim.traces import ATOL, RTOL

app = typer.Typer(
    help="See, run and check an LSTM as a block diagram with two feedback loops.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
# Without a terminal there is no width to fit: a table is printed whole.
_out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
_err = Console(stderr=True, highlight=False)

Model = Annotated[
    str, typer.Argument(help="A .bd file, or the name of one that comes with the package.")
]
Workspace = Annotated[
    Path | None, typer.Option("--workspace", "-w", help="Arrays of the model: .npz or .mat.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from lstmsim import __version__

        print(__version__)
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[str, typer.Option(help="Folder for the results.")] = "lstmsim-demo",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run the published layer as a block diagram, and check every signal."""
    from lstmsim.demo import new_folder, run_demo, save_demo

    _use_files_for_figures()
    folder = new_folder(out)
    with _progress(quiet or as_json) as progress:
        result = run_demo(progress)
    files = save_demo(result, folder)
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
        _out.print(
            f"Published layer: {result.traces.h.shape[1]} units, {inputs} inputs, "
            f"{result.traces.y.shape[1]} outputs, {samples} samples, run in bdsim.\n"
            "First five samples of the outputs:"
        )
        for row in result.traces.y[:5].values.T:
            print(" ".join(f"{value:.4f}" for value in row))
        agrees = "as published" if result.published else "NOT as published"
        _out.print(f"These are {agrees}.\n")
        _out.print(result.report.table)
        _out.print(result.report.summary, markup=False, soft_wrap=True)
        _out.print(f"\nSaved in {folder}:", markup=False)
        for file in files:
            _out.print(f"  {file.name}", markup=False)
        _out.print(
            f"\nNext: {sys.argv[0]} run lstm_layer --workspace {folder / 'workspace.npz'} --check",
            markup=False,
            soft_wrap=True,
        )
    raise typer.Exit(0 if result.ok else 1)


@app.command()
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
        typer.Option("--check", help="Check all signals against the reference; exit 1 on a miss."),
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run a model over a workspace."""
    from lstmsim.checker import check
    from lstmsim.files import check_target
    from lstmsim.models import load
    from lstmsim.plotting import PICTURE_ENDINGS, plot, save_plot
    from lstmsim.simulate import reference, simulate
    from lstmsim.tracefiles import TRACE_ENDINGS, save_traces
    from lstmsim.traces import signal_names
    from lstmsim.workspaces import check_diagram_is_network, network_from_workspace

    _use_files_for_figures()
    # Before the run, which may be long.
    if out is not None:
        check_target(out, TRACE_ENDINGS, "trace")
    if plot_file is not None:
        check_target(plot_file, PICTURE_ENDINGS, "picture")
    arrays, u = _arrays(workspace, input_file)
    diagram = load(model, arrays)
    network = None
    if check_it:
        network = network_from_workspace(arrays)
        check_diagram_is_network(diagram, network)
    with _progress(quiet or as_json) as progress:
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
        _out.print(
            f"{Path(model).name}: {count(traces.sizes['time'], 'sample')} of "
            f"{float(traces.attrs['Ts']):g} s, {count(len(signal_names(traces)), 'signal')}",
            markup=False,
        )
        if "y" in traces:
            _print_output(traces)
        if report is not None:
            _out.print(report.table)
            _out.print(report.summary, markup=False, soft_wrap=True)
        for file in saved:
            _out.print(f"saved {file}", markup=False, soft_wrap=True)
    raise typer.Exit(0 if report is None or report.ok else 1)


@app.command("compile")
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
    from lstmsim.engine.compiled import compile as compile_diagram
    from lstmsim.errors import InvalidValueError
    from lstmsim.models import load

    if to not in ("c", "python"):
        raise InvalidValueError(
            "a model cannot be compiled to this", where="--to", given=to, expected="c or python"
        )
    arrays, u = _arrays(workspace, test_input)
    compiled = compile_diagram(load(model, arrays), dtype)
    if to == "python":
        print(f"{compiled.schedule}\n\n{compiled.source}")
        return
    target = Path(Path(model).stem + ".c") if out is None else out
    compiled.to_c(target, u)
    if not quiet:
        _out.print(f"saved {target} and {target.with_suffix('.h')}", markup=False, soft_wrap=True)


@app.command()
def check(
    traces_file: Annotated[Path, typer.Argument(metavar="A", help="Traces that are checked.")],
    expected_file: Annotated[Path, typer.Argument(metavar="B", help="Traces as expected.")],
    atol: Annotated[float, typer.Option(help="Absolute part of the tolerance.")] = ATOL,
    rtol: Annotated[float, typer.Option(help="Relative part of the tolerance.")] = RTOL,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compare two trace files signal by signal; exit 1 on a miss."""
    from lstmsim.checker import check as check_traces
    from lstmsim.tracefiles import load_traces

    report = check_traces(
        load_traces(traces_file), load_traces(expected_file), atol=atol, rtol=rtol
    )
    if as_json:
        print(report.to_json())
    elif not quiet:
        _out.print(report.table)
        _out.print(report.summary, markup=False, soft_wrap=True)
    raise typer.Exit(0 if report.ok else 1)


@app.command()
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
    """Plot the signals of a trace file."""
    from lstmsim.plotting import plot as plot_traces
    from lstmsim.plotting import plot_difference, save_plot
    from lstmsim.tracefiles import load_traces

    _use_files_for_figures()
    traces = load_traces(traces_file)
    names = None if signals is None else [name.strip() for name in signals.split(",")]
    if against is None:
        figure = plot_traces(traces, names)
    else:
        figure = plot_difference(traces, load_traces(against), names)
    ending = ".png" if against is None else "-difference.png"
    target = traces_file.with_name(traces_file.stem + ending) if out is None else out
    save_plot(figure, target)
    if not quiet:
        _out.print(f"saved {target}", markup=False, soft_wrap=True)


@app.command()
def edit(model: Model) -> None:
    """Open a model in the block diagram editor (bdedit)."""
    from lstmsim.editor import edit as edit_model

    raise typer.Exit(edit_model(model))


@app.command()
def info(model: Model, workspace: Workspace = None, as_json: AsJson = False) -> None:
    """Show a model's blocks, sizes, parameters and sample time."""
    from lstmsim.models.summary import summarize
    from lstmsim.workspaces import load_workspace

    arrays = None if workspace is None else load_workspace(workspace)
    summary = summarize(model, arrays)
    if as_json:
        print(summary.to_json())
    else:
        _out.print(summary.table)
        _out.print(summary.text, markup=False)


def _print_output(traces: Any) -> None:
    shown = min(5, traces.sizes["time"])
    _out.print(f"first {shown} samples of the output:" if shown > 1 else "the output:")
    for row in traces.y[:shown].values.T[:10]:
        print("  " + " ".join(f"{value:.4f}" for value in row))
    if traces.y.shape[1] > 10:
        _out.print(f"  … {traces.y.shape[1]} elements in all")


def _arrays(workspace: Path | None, input_file: Path | None) -> tuple[dict[str, Any], Any]:
    from lstmsim.workspaces import load_input, load_workspace

    arrays: dict[str, Any] = {} if workspace is None else load_workspace(workspace)
    u = None if input_file is None else load_input(input_file)
    return arrays, u


def _use_files_for_figures() -> None:
    import matplotlib

    matplotlib.use("Agg")


@contextmanager
def _progress(hidden: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show a progress bar for runs that take longer than a second."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    if hidden or not _err.is_terminal:
        yield None
        return
    begun = time.monotonic()
    columns = ("samples", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=_err, transient=True)
    task = bar.add_task("run", total=None)

    def report(done: int, total: int) -> None:
        if not bar.live.is_started and time.monotonic() - begun > 1.0:
            bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield report
    finally:
        bar.stop()


def main() -> None:
    """Run the command line; errors are one message on stderr and exit status 2."""
    try:
        app()
    except SystemExit as end:
        if end.code == 130:  # Ctrl-C, as Typer turns it into an end
            _err.print("interrupted: nothing was saved")
        raise
    except LstmsimError as error:
        _err.print("[bold red]error:[/bold red] ", end="")
        _err.print(str(error), markup=False, soft_wrap=True)
    except OSError as error:
        _err.print("[bold red]error:[/bold red] ", end="")
        name = f"{error.filename}: " if error.filename else ""
        _err.print(f"{name}{error.strerror or error}", markup=False, soft_wrap=True)
    except MemoryError:
        _err.print("[bold red]error:[/bold red] there is not enough memory for this run")
    sys.exit(2)
