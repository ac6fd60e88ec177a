"""Benchmarks' reports, the process that measures, and the command."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstmsim.errors import LstmsimError
from lstmsim.reports.bench import process
from lstmsim.reports.bench.growth import plot_growth
from lstmsim.reports.bench.peers import PEERS, installed
from lstmsim.reports.bench.process import run_bench
from lstmsim.reports.bench.report import BenchReport, microseconds
from lstmsim.reports.bench.settings import Settings
from tests.conftest import Outcome
from tests.test_bench import made

Cli = Callable[..., Outcome]


# -------------------------------------------------------------------------------------------
# Reports


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> BenchReport:
    """The report of a real, tiny measurement in a process of its own, beside a broken library."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "broken").mkdir()
    (folder / "broken" / "jax.py").write_text("raise ImportError('its libraries are gone')\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder / "broken"), *sys.path]))
        names = ("jax", "onnxruntime")
        return run_bench(Settings((2,), seconds=0.01, peers=names, quick=True))


def test_a_measurement_is_reported(report: BenchReport) -> None:
    shown, content = str(report), json.loads(report.to_json())
    assert [(r["work"], r["N"], r["Ni"], r["T"]) for r in content["rows"]] == [
        ("forward", 2, 8, 1000),
        ("gradient", 2, 8, 1000),
    ]
    forward, gradient = content["rows"]
    assert {"lstmsim", "lstmsim_kept"} <= set(forward["first_use"])
    has_onnx = importlib.util.find_spec("onnxruntime") is not None
    assert set(forward["timings"]) == {"lstmsim", *(["onnxruntime"] if has_onnx else [])}
    assert set(gradient["timings"]) == {"lstmsim"}
    assert gradient["ratio"] is None
    assert content["machine"]["packages"]["numpy"] == np.__version__
    assert content["machine"]["cores"] == os.cpu_count()
    assert content["missing"]["jax"] == "cannot be loaded: ImportError: its libraries are gone"
    assert "JAX is left out: cannot be loaded" in shown
    assert "one thread" in shown


def test_the_tables_show_what_the_json_has(report: BenchReport) -> None:
    shown, content = str(report), json.loads(report.to_json())
    for row in content["rows"]:
        for figures in row["timings"].values():
            assert microseconds(figures["median"]) in shown
        for seconds in row["first_use"].values():
            assert f"{seconds:.3f}" in shown
    if content["rows"][0]["ratio"] is not None:
        medians = {name: t["median"] for name, t in content["rows"][0]["timings"].items()}
        ratio = medians["lstmsim"] / medians["onnxruntime"]
        assert content["rows"][0]["ratio"] == pytest.approx(ratio)
        assert f"{ratio:.2f}" in shown
    for series in content["growth"]:
        for figures in series["timings"]:
            assert microseconds(figures["median"]) in shown
        for law in series["fits"]:
            assert f"{series['over']}^{law['exponent']:.2f}" in shown


def test_markdown_and_html_have_every_cell(report: BenchReport) -> None:
    for table in report.tables:
        for cells, _ in table.rows:
            assert f"| {' | '.join(cells)} |" in report.to_markdown()
            assert all(f">{cell}</td>" in report.to_html() for cell in cells)


def test_disturbances_are_said(report: BenchReport) -> None:
    def notes(cores: float) -> str:
        timings = {"torch": replace(made(1), cores=cores)}
        lines = tuple(replace(line, timings=timings) for line in report.lines)
        return " ".join(replace(report, lines=lines).notes)

    assert "PyTorch used 1.9 cores for forward at N = 2, though 1 had been allowed" in notes(1.9)
    assert "2 of 2 candidates had less than 0.8 of a core, the least 0.41" in notes(0.41)
    assert "cores" not in notes(1.0)
    assert "busy" not in notes(1.0)


def test_the_figure_has_medians_and_laws(report: BenchReport) -> None:
    figure = plot_growth(report.growth)
    for axis, series in zip(figure.axes, report.growth, strict=True):
        points = axis.containers[0].lines[0]
        samples = 1 if series.over == "T" else series.fixed
        expected_y = [1e6 * t.median / samples for t in series.timings]
        np.testing.assert_allclose(points.get_ydata(), expected_y)
        np.testing.assert_array_equal(points.get_xdata(), series.sizes)
        assert len(axis.get_legend().get_texts()) == 1 + len(series.fits)


def test_a_library_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found, missing = installed(PEERS)
    assert found == []
    assert missing["onnxruntime"] == "onnxruntime and onnx not installed"
    assert missing["jax"] == "jax not installed"


# -------------------------------------------------------------------------------------------
# The process, and the command


def test_threads_are_limited_before_libraries_are_loaded() -> None:
    found = process.environment(2)
    assert {found[name] for name in process.THREADS} == {"2"}
    assert {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"} <= set(process.THREADS)


def test_an_interrupted_measurement_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    children = []
    start = subprocess.Popen
    monkeypatch.setattr(
        process.subprocess, "Popen", lambda *a, **k: children.append(start(*a, **k)) or children[-1]
    )

    def interrupt(text: str) -> None:
        if children:  # the first one has begun
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_bench(Settings(units=(2,), peers=(), quick=True), interrupt)
    assert all(child.returncode is not None for child in children)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no such program")
def test_a_process_that_ends_without_a_result_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(LstmsimError, match=r"(?s)without a result.*exit status 1"):
        run_bench(Settings(units=(2,)))


BAD = {
    "no units": (["--units", "0"], ["units is not measured", "0", "1 to 2048"]),
    "negative units": (["--units=3,-4"], ["given:    -4"]),
    "too many units": (["--units", "1000000"], ["1000000"]),
    "text": (["--units", "3,many"], ["'3,many'", "separated by commas"]),
    "an empty text": (["--units", ""], ["not a list of whole numbers"]),
    "no time": (["--seconds", "0"], ["given:    0", "a number > 0"]),
    "negative time": (["--seconds", "-1"], ["given:    -1"]),
    "no end": (["--seconds", "inf"], ["given:    inf"]),
    "not a number": (["--seconds", "nan"], ["given:    nan"]),
    "no threads": (["--threads", "0"], ["the cores of this machine"]),
    "too many threads": (["--threads", "9999"], ["9999"]),
    "an unknown peer": (["--peers", "torch,tensorflow"], ["'tensorflow'", "onnxruntime, torch"]),
    "an ending": (["--out", "r.txt"], ["this is not a kind of report file", ".json or .md"]),
    "no such folder": (["--out", "none/r.json"], ["none/r.json", "No such file or directory"]),
    "a picture's ending": (["--plot", "growth.doc"], ["picture"]),
    "no growth": (["--plot", "growth.png", "--no-growth"], ["--no-growth"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_options_are_one_message_before_anything_is_measured(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("it was measured")

    monkeypatch.setattr("lstmsim.reports.run_bench", fail)
    arguments, words = BAD[name]
    done = cli("bench", *arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert "expected:" in done.err
    assert not [word for word in words if word not in done.err], done.err
    assert os.listdir() == []


def test_options_reach_the_measurement(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, report: BenchReport
) -> None:
    asked: list[Settings] = []

    def fake(settings: Settings, progress: Any) -> BenchReport:
        asked.append(settings)
        progress("a row")
        return report

    monkeypatch.setattr("lstmsim.reports.run_bench", fake)
    done = cli("bench", "--units", "7, 3,7", "--peers", "jax", "--no-growth", "--json")
    assert json.loads(done.out) == json.loads(report.to_json())
    files = ["--out", "r.md", "--plot", "growth.png"]
    done = cli("bench", "--quick", "--quiet", *files)
    assert (done.status, done.out, sorted(os.listdir())) == (0, "", ["growth.png", "r.md"])
    assert Path("growth.png").stat().st_size > 10_000
    assert "| forward | 2 | 8 | 1,000 |" in Path("r.md").read_text(encoding="utf-8")
    assert asked == [
        Settings((7, 3), peers=("jax",), growth=False),
        Settings((3, 32), seconds=0.3, quick=True),
    ]


def test_ctrl_c_is_said(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lstmsim.reports.run_bench", interrupt)
    done = cli("bench", "--out", "r.json")
    assert (done.status, done.out, done.err) == (130, "", "interrupted: nothing was saved\n")
    assert os.listdir() == []
