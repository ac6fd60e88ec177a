"""The commands do what they say, print what was asked for, and save what was named."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

import lstmsim as ls
from tests.conftest import Case, Outcome, random_input, random_network, workspace_of

Cli = Callable[..., Outcome]


@pytest.mark.parametrize("ending", [".npz", ".mat"])
@pytest.mark.parametrize("source", ["workspace", ".csv", ".npy", ".npz", ".mat"])
def test_a_run_takes_its_input_from_any_kind_of_file(
    cli: Cli, published: Case, ending: str, source: str
) -> None:
    arrays = ls.published.layer_workspace()
    u = published.u[:7]
    del arrays["u"]
    if source == "workspace":
        arrays["u"] = u
    if ending == ".npz":
        np.savez("w.npz", **arrays)  # type: ignore[arg-type]
    else:
        savemat("w.mat", arrays)
    options = [] if source == "workspace" else ["--input", f"u{source}"]
    if source == ".csv":
        np.savetxt("u.csv", u, delimiter=",", header="a,b,c,d", comments="", fmt="%.17g")
    elif source == ".npy":
        np.save("u.npy", u)
    elif source == ".npz":
        np.savez("u.npz", u=u)
    else:
        savemat("u.mat", {"u": u})
    done = cli("run", "lstm_layer", "--workspace", f"w{ending}", *options, "--json", "--check")
    assert (done.status, done.err) == (0, "")
    read = json.loads(done.out)
    np.testing.assert_array_equal(read["y"], published.traces.y[:7])
    assert (read["samples"], read["Ts"], read["check"]["ok"]) == (7, 0.1, True)
    assert read["signals"]["h"] == 3
    assert read["files"] == []


def test_a_run_says_what_it_ran_and_where_it_saved(cli: Cli, demo_folder: Path) -> None:
    done = cli(
        *("run", "lstm_layer", "-w", demo_folder / "workspace.npz"),
        *("--out", "a.nc", "--plot", "a.svg", "--check"),
    )
    assert (done.status, done.err) == (0, "")
    assert "51 samples of 0.1 s, 29 signals" in done.out
    assert "  0.5624 0.4918 0.5669 0.1661 0.0300\n" in done.out
    assert "All 29 signals agree" in done.out
    assert "saved a.nc\nsaved a.svg\n" in done.out
    assert sorted(os.listdir()) == ["a.nc", "a.svg", "d"]


@pytest.mark.parametrize("name", ["a.nc", "a.csv"])
def test_saved_traces_are_those_of_the_run(
    cli: Cli, published: Case, demo_folder: Path, name: str
) -> None:
    done = cli("run", "lstm_layer", "-w", demo_folder / "workspace.npz", "-o", name, "-q")
    assert (done.status, done.out, done.err) == (0, "", "")
    assert ls.load_traces(name).identical(published.traces)


@pytest.mark.parametrize("model", ["lstm_layer", "lstm_layer.bd", "d/own.bd"])
def test_models_are_named_or_pointed_to(cli: Cli, demo_folder: Path, model: str) -> None:
    shutil.copy(ls.model_path("lstm_layer"), demo_folder / "own.bd")
    done = cli("run", model, "-w", demo_folder / "workspace.npz")
    assert done.status == 0
    assert done.out.startswith(f"{Path(model).name}: 51 samples")


def test_a_file_comes_before_a_shipped_model_of_its_name(
    cli: Cli, demo_folder: Path, edited_model: Callable[..., Path]
) -> None:
    edited_model(lambda model: model["blocks"].clear(), "lstm_layer")
    done = cli("run", "lstm_layer", "-w", demo_folder / "workspace.npz")
    assert done.status == 2
    assert "the model has no blocks" in done.err


@pytest.mark.parametrize("as_json", [False, True])
def test_a_chaotic_network_misses_with_an_explanation(
    cli: Cli, chaotic: Case, as_json: bool
) -> None:
    np.savez("w.npz", u=chaotic.u, **workspace_of(chaotic.network))  # type: ignore[arg-type]
    options = ["--json"] if as_json else []
    done = cli("run", "lstm_layer", "-w", "w.npz", "--check", *options, "-o", "a.nc")
    assert (done.status, done.err) == (1, "")
    if as_json:
        check = json.loads(done.out)["check"]
        assert (check["ok"], check["one_step_ok"]) == (False, True)
        assert check["growth"] > 1
    else:
        assert "MISS sample" in done.out
        assert "it computes the same" in done.out
        assert "saved a.nc" in done.out
    assert sorted(os.listdir()) == ["a.nc", "w.npz"]


def step_model(path: str, gain: float = 0.5) -> None:
    """Save a step into a delay loop x(k+1) = gain·x(k) + step, x(0) = 1."""
    bd = ls.blockdiagram()
    clock = bd.clock(0.1, name="clock")
    step = bd.STEP(T=0.3, name="step")
    x = bd.UNITDELAY(clock, x0=[1.0], name="x")
    g = bd.MATRIXGAIN([[gain]], name="g")
    total = bd.SUM("++", name="total")
    bd.connect(step, total[0])
    bd.connect(x, g)
    bd.connect(g, total[1])
    bd.connect(total, x)
    bd.connect(total, bd.TOWORKSPACE(clock, name="out"))
    ls.save(bd, path)


def test_a_model_without_an_input_runs_for_as_many_samples_as_asked(cli: Cli) -> None:
    step_model("step.bd")
    np.savez("w.npz", Ts=0.1)
    done = cli("run", "step.bd", "-w", "w.npz", "--samples", 5, "--json")
    expected, x = [], 1.0
    for step in (0, 0, 0, 1, 1):
        x = 0.5 * x + step
        expected.append([x])
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out)["y"] == expected


def test_fewer_samples_than_the_input_has_can_be_run(cli: Cli, demo_folder: Path) -> None:
    done = cli("run", "lstm_layer", "-w", demo_folder / "workspace.npz", "--samples", 2)
    assert done.status == 0
    assert "  0.5624 0.4918\n  1.3426 1.1631\n" in done.out


def test_one_sample_is_not_called_samples(cli: Cli, demo_folder: Path) -> None:
    done = cli("run", "lstm_layer", "-w", demo_folder / "workspace.npz", "--samples", 1)
    assert done.status == 0
    assert "1 sample of 0.1 s" in done.out


def test_a_stack_runs_and_is_checked(cli: Cli) -> None:
    network = random_network((3, 2))
    arrays = workspace_of(network) | {"u": random_input(network, 10)}
    np.savez("w.npz", **arrays)  # type: ignore[arg-type]
    done = cli("run", "lstm_stacked", "-w", "w.npz", "--check")
    assert (done.status, done.err) == (0, "")
    assert "All 56 signals agree" in done.out
    assert all(name in done.out.split() for name in ("lstm1.sum_i", "lstm2.tanh_c", "y"))


def test_tables_are_printed_whole_where_there_is_no_terminal(cli: Cli, stacked: Case) -> None:
    for name, side in (("a.nc", stacked.traces), ("b.nc", stacked.expected)):
        ls.save_traces(side, name)
    done = cli("check", "a.nc", "b.nc", "--atol", 0, "--rtol", 0)
    assert done.status == 1
    assert "…" not in done.out


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ([], 0, "All 29 signals agree"),
        (["--atol", "0", "--rtol", "0"], 1, "29 of 29 signals differ"),
        (["--atol", "0", "--rtol", "1e-3"], 0, "1e-03·|b|"),
    ],
)
def test_two_files_are_compared(
    cli: Cli, demo_folder: Path, options: list[str], status: int, words: str
) -> None:
    sides = [demo_folder / "traces.nc", demo_folder / "reference.nc"]
    done = cli("check", *sides, *options)
    assert (done.status, done.err) == (status, "")
    assert words.replace("1e-03", "0.001") in done.out
    quiet = cli("check", *sides, *options, "--quiet")
    assert (quiet.status, quiet.out, quiet.err) == (status, "", "")
    read = json.loads(cli("check", *sides, *options, "--json").out)
    assert read["ok"] == (status == 0)


def test_figures_are_saved_beside_the_traces(cli: Cli, demo_folder: Path) -> None:
    shutil.copy(demo_folder / "traces.nc", "mine.nc")
    done = cli("plot", "mine.nc")
    assert (done.status, done.out, done.err) == (0, "saved mine.png\n", "")
    assert Path("mine.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "titles"),
    [
        (["--signals", "h, c"], ["cell state c", "hidden state h"]),
        (["--against", "d/reference.nc", "--signals", "y"], ["single-precision tolerance"]),
    ],
)
def test_figures_of_chosen_signals_and_of_differences(
    cli: Cli,
    demo_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    titles: list[str],
) -> None:
    monkeypatch.setitem(__import__("matplotlib").rcParams, "svg.fonttype", "none")
    done = cli("plot", demo_folder / "traces.nc", *options, "--out", "a.svg", "-q")
    assert (done.status, done.out, done.err) == (0, "", "")
    picture = Path("a.svg").read_text(encoding="utf-8")
    assert all(title in picture for title in titles)
    assert "forget gate" not in picture


def test_a_model_s_blocks_are_listed_without_a_workspace(cli: Cli) -> None:
    done = cli("info", "lstm_layer")
    assert (done.status, done.err) == (0, "")
    assert "K = W[len(h0):2*len(h0)]" in done.out
    assert "names of the workspace that it uses: F R W b c0 h0 u Ts" in done.out
    assert "30 blocks: 9 MATRIXGAIN" in done.out
    rows = {line.split()[0]: line for line in done.out.splitlines() if line.split()}
    assert "HADAMARD" in rows["fc"]
    assert "c_prev, f" in rows["fc"]


def test_a_workspace_adds_sizes_and_the_sample_time(cli: Cli, demo_folder: Path) -> None:
    done = cli("info", "lstm_layer", "--workspace", demo_folder / "workspace.npz")
    assert (done.status, done.err) == (0, "")
    assert "sample time 0.1 s, 6 states, 102 parameters" in done.out
    rows = {line.split()[0]: line.split() for line in done.out.splitlines() if line.split()}
    assert [rows[name][-1] for name in ("u", "Wi", "c", "y")] == ["4", "3", "3", "2"]


@pytest.mark.parametrize("workspace", [False, True])
def test_info_as_json(cli: Cli, demo_folder: Path, workspace: bool) -> None:
    options = ["-w", demo_folder / "workspace.npz"] if workspace else []
    read = json.loads(cli("info", "lstm_layer", "--json", *options).out)
    assert len(read["blocks"]) == 30
    figures = (read["Ts"], read["n_parameters"], read["n_states"])
    assert figures == ((0.1, 102, 6) if workspace else (None, None, None))
    y = next(block for block in read["blocks"] if block["name"] == "y")
    assert (y["kind"], y["driven_by"], y["parameters"]) == ("MATRIXGAIN", ["h"], {"K": "=F"})
    assert y["widths"] == ([2] if workspace else [])


def test_a_model_is_compiled_to_c_with_a_test_of_its_own(cli: Cli, demo_folder: Path) -> None:
    done = cli("compile", "lstm_layer", "-w", demo_folder / "workspace.npz", "-o", "net.c")
    assert (done.status, done.err) == (0, "")
    assert done.out == "saved net.c and net.h\n"
    assert "void net_step(net_state *state, const float *u, float *y);" in Path("net.h").read_text()


def test_the_kernels_and_the_schedule_are_printed(cli: Cli, demo_folder: Path) -> None:
    done = cli("compile", "lstm_layer", "-w", demo_folder / "workspace.npz", "--to", "python")
    assert done.status == 0
    assert "they lie in feedback loops through h_prev and c_prev" in done.out
    assert "def forward(log, ext, par, o):" in done.out
    assert "def backward(log, ext, par, bar, o):" in done.out


def test_another_target_is_refused(cli: Cli, demo_folder: Path) -> None:
    done = cli("compile", "lstm_layer", "-w", demo_folder / "workspace.npz", "--to", "rust")
    assert (done.status, done.out) == (2, "")
    assert "given:    rust" in done.err


@pytest.mark.parametrize(("engine", "dtype"), [("numba", "float32"), ("numpy", "float64")])
def test_another_engine_runs_and_is_checked(
    cli: Cli, demo_folder: Path, engine: str, dtype: str
) -> None:
    workspace = demo_folder / "workspace.npz"
    options = ["--engine", engine, "--dtype", dtype, "--check"]
    done = cli("run", "lstm_layer", "-w", workspace, *options)
    assert done.status == 0
    assert "0.5624 0.4918 0.5669 0.1661 0.0300" in done.out
    assert "All 29 signals agree" in done.out
