"""Fixtures that the test files share: networks, workspaces, runs and model files."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The networks here are small: the threads of BLAS would only wait for one another.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from bdsim.blockdiagram import BlockDiagram

import lstmsim as ls
from lstmsim.diagram.traces import dataset
from lstmsim.reports.demo import run_demo, save_demo
from tests.engines import ENGINES, Simulate, mark_deviations, on_engine

mpl.use("Agg")


@pytest.fixture(autouse=True)
def no_figure_stays_open() -> Iterator[None]:
    """Close what a test has drawn: matplotlib keeps figures, and warns of many."""
    yield
    plt.close("all")


@dataclass(frozen=True)
class Case:
    """A network with its input, its diagram's run, and the expected single-precision traces."""

    network: ls.Network
    u: npt.NDArray[np.float64]
    diagram: BlockDiagram
    traces: xr.Dataset
    expected: xr.Dataset


def random_network(
    units: int | tuple[int, ...],
    *,
    inputs: int = 2,
    outputs: int | None = 2,
    bias: bool = False,
    scale: float | None = None,
    seed: int = 0,
    Ts: float = 0.1,
) -> ls.Network:
    """Return a network with random weights and states; never chaotic unless scaled so."""
    rng = np.random.default_rng(seed)
    sizes = (units,) if isinstance(units, int) else units
    layers: list[ls.LSTM | ls.Dense] = []
    width = inputs
    for n in sizes:
        s = 1 / np.sqrt(n) if scale is None else scale
        W, R, b = (s * rng.standard_normal(shape) for shape in ((4 * n, width), (4 * n, n), 4 * n))
        layers.append(ls.LSTM(W, R, b, h0=rng.uniform(-1, 1, n), c0=rng.standard_normal(n)))
        width = n
    if outputs is not None:
        by = rng.standard_normal(outputs) if bias else None
        layers.append(ls.Dense(rng.standard_normal((outputs, width)), by))
    return ls.Network(layers, Ts=Ts)


def random_input(network: ls.Network, samples: int, seed: int = 1) -> npt.NDArray[np.float64]:
    """Return a normally distributed input of a network."""
    return np.random.default_rng(seed).standard_normal((samples, network.n_inputs))


def workspace_of(network: ls.Network) -> dict[str, npt.NDArray[np.float64]]:
    """Return a network's arrays under the names that model files use."""
    return network.workspace()


def case(network: ls.Network, u: npt.NDArray[np.float64]) -> Case:
    """Run a network in bdsim and in the single-precision reference."""
    diagram = ls.build(network)
    expected = ls.reference(network, u, dtype="float32")
    return Case(network, u, diagram, ls.simulate(diagram, u), expected)


def made(signals: dict[str, npt.NDArray[Any]], **finals: npt.NDArray[Any]) -> xr.Dataset:
    """Return traces of arrays, each signal with a dimension of its own."""
    dimensions = {name: f"{name}_element" for name in [*signals, *finals]}
    return dataset(signals, dimensions, finals=finals, Ts=0.1, engine="a test")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what an engine is known not to do, and give slow tests more time."""
    mark_deviations(items)
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """An engine's name: a test with it runs on all of them."""
    return str(request.param)


@pytest.fixture
def simulate(engine: str, monkeypatch: pytest.MonkeyPatch) -> Simulate:
    """`lstmsim.simulate` on each engine in turn."""
    return on_engine(engine, monkeypatch)


@pytest.fixture(scope="session")
def published() -> Case:
    """The published layer: 3 units, 4 inputs, 2 outputs, 51 samples."""
    return case(*ls.published.layer_example())


@pytest.fixture(scope="session")
def smallest() -> Case:
    """One unit, one input, one output, one sample."""
    network = random_network(1, inputs=1, outputs=1)
    return case(network, random_input(network, 1))


@pytest.fixture(scope="session")
def stacked() -> Case:
    """Two layers of 3 and 2 units with a biased head, 20 samples."""
    network = random_network((3, 2), bias=True)
    return case(network, random_input(network, 20))


@pytest.fixture(scope="session")
def chaotic() -> Case:
    """40 units with N(0, 1) weights: two correct implementations part within 50 samples."""
    network = random_network(40, inputs=4, scale=1.0)
    return case(network, random_input(network, 300))


Model = dict[str, Any]
ModelEdit = Callable[[Model], object]


def block_of(model: Model, title: str) -> dict[str, Any]:
    """Return the block of a model file's JSON that has a title."""
    found: dict[str, Any] = next(b for b in model["blocks"] if b["title"] == title)
    return found


def socket(model: Model, title: str, side: str, port: int = 0) -> int:
    """Return the id of one of a block's inputs or outputs."""
    return int(block_of(model, title)[side][port]["id"])


def rewire(model: Model, title: str, port: int, source: str) -> None:
    """Let a block's input be driven by another block than before."""
    end = socket(model, title, "inputs", port)
    wire = next(w for w in model["wires"] if w["end_socket"] == end)
    wire["start_socket"] = socket(model, source, "outputs")


def remove_block(model: Model, title: str) -> None:
    """Take a block and its wires out of a model file's JSON."""
    block = block_of(model, title)
    gone = {s["id"] for side in ("inputs", "outputs") for s in block[side]}
    model["blocks"].remove(block)
    model["wires"] = [w for w in model["wires"] if not gone & {w["start_socket"], w["end_socket"]}]


@pytest.fixture
def edited_model(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes the shipped layer's model file with something changed in it."""

    def write(edit: ModelEdit, name: str = "model.bd") -> Path:
        model = json.loads(ls.model_path("lstm_layer").read_text(encoding="utf-8"))
        edit(model)
        path = tmp_path / name
        path.write_text(json.dumps(model), encoding="utf-8")
        return path

    return write


@dataclass(frozen=True)
class Outcome:
    """What one call of the command line did."""

    status: int
    out: str
    err: str


@pytest.fixture
def cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Outcome]:
    """A function that calls the command line in an empty folder, as its entry point does."""
    from lstmsim.cli import main

    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["lstmsim", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        streams = capsys.readouterr()
        status = exit_.value.code
        assert status is None or isinstance(status, int)
        return Outcome(status or 0, streams.out, streams.err)

    return call


@pytest.fixture(scope="session")
def demo_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the demo saves."""
    folder = tmp_path_factory.mktemp("demo")
    save_demo(run_demo(), folder)
    return folder


@pytest.fixture
def demo_folder(demo_files: Path, tmp_path: Path) -> Path:
    """The demo's files, in a folder of the test's own."""
    shutil.copytree(demo_files, tmp_path / "d")
    return Path("d")
