"""What a command imports: no more than it needs, so that it starts at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lstmsim as ls
from tests.conftest import Case

#: Packages that take long to import: from a twentieth of a second to more than one.
HEAVY = {
    "bdsim", "control", "h5netcdf", "h5py", "jinja2", "matplotlib", "networkx", "numba", "numpy",
    "pandas", "rich", "scipy", "xarray",
}  # fmt: skip

PRINT = {"rich"}
TRACES = {"numpy", "pandas", "xarray"}
#: bdsim itself imports matplotlib and SciPy.
MODEL = PRINT | {"bdsim", "matplotlib", "networkx", "numpy", "scipy"}

COMMANDS = {
    "--help": PRINT,
    "--version": PRINT,
    "run --help": PRINT,
    "train --help": PRINT | {"numpy"},
    "check --help": PRINT | {"numpy"},
    "check a.csv b.csv": PRINT | TRACES,
    "check a.nc b.nc": PRINT | TRACES | {"h5netcdf", "h5py"},
    "plot a.csv": PRINT | TRACES | {"matplotlib"},
    "info lstm_layer": MODEL,
    "info lstm_layer -w w.npz": MODEL,
    "loops lstm_layer": MODEL,
    "loops lstm_layer --plot loops.svg": MODEL | TRACES,
    "run lstm_layer -w w.npz": MODEL | TRACES,
    "run lstm_layer -w w.npz --engine numpy --check -o t.csv": MODEL | TRACES,
    "run lstm_layer -w w.npz --engine numba -o t.nc": MODEL
    | TRACES
    | {"h5netcdf", "h5py", "numba"},
    "compile lstm_layer -w w.npz": MODEL | TRACES | {"numba"},
    "train lstm_layer -w w.npz -t y.csv -o t.npz --epochs 2": MODEL | TRACES | {"numba"},
}


#: Commands end the process; what they have imported is said on stderr at its very end.
SHOW = """
import atexit, json, sys
say = sys.stderr.write
atexit.register(lambda: say(json.dumps(sorted({name.split(".")[0] for name in sys.modules}))))
"""


def heavy_after(code: str, folder: Path, *arguments: str) -> set[str]:
    """Return the heavy packages that a new process has imported after some code."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW + code, *arguments],
        capture_output=True, text=True, cwd=folder, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return HEAVY & set(json.loads(done.stderr))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, published: Case) -> Path:
    folder = tmp_path_factory.mktemp("startup")
    for name in ("a.csv", "b.csv", "a.nc", "b.nc"):
        ls.save_traces(published.traces, folder / name)
    ls.save_workspace(ls.published.layer_workspace(), folder / "w.npz")
    np.savetxt(folder / "y.csv", published.traces.y.values, delimiter=",")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_no_more_than_it_needs(command: str, files: Path) -> None:
    code = "from lstmsim.cli import main; main()"
    assert heavy_after(code, files, *command.split()) <= COMMANDS[command]


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("import lstmsim", set()),
        ("import lstmsim.cli", PRINT),
        ("import lstmsim as ls; ls.LSTM, ls.Network, ls.errors.ShapeError", {"numpy"}),
        ("import lstmsim as ls; ls.check, ls.load_traces", PRINT | TRACES),
        ("import lstmsim as ls; ls.TrainingOptions", {"numpy"}),
        ("import lstmsim as ls; ls.plot, ls.save_plot, ls.plot_history", TRACES),
        ("import lstmsim as ls; ls.build, ls.load, ls.loops", MODEL),
        ("import lstmsim as ls; ls.simulate, ls.compile, ls.linearize, ls.fit", MODEL | TRACES),
    ],
)
def test_a_name_imports_no_more_than_it_needs(code: str, needed: set[str], tmp_path: Path) -> None:
    assert heavy_after(code, tmp_path) <= needed


def test_the_package_runs_as_a_module(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lstmsim", "--version"],
        capture_output=True, text=True, cwd=tmp_path, check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stdout == f"{ls.__version__}\n"
