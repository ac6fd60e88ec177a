"""Model files through bdedit and back, where the editor is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.cli.editor import edit, editor_environment, editor_installed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not editor_installed(), reason="the extra `editor` is not installed"),
]

#: Opens a model in bdedit's own window class, and saves it under another name.
RESAVE = """
import sys
from PySide6.QtWidgets import QApplication
app = QApplication([])
from bdedit.interface_manager import InterfaceWindow
window = InterfaceWindow(app.primaryScreen().availableGeometry(), False)
window.loadFromFilePath(sys.argv[1])
window.centralWidget().scene.saveToFile(sys.argv[2])
import os
os._exit(0)
"""


@pytest.fixture(autouse=True)
def _no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")


def resaved(model: Path, folder: Path) -> Path:
    target = folder / f"resaved-{model.name}"
    done = subprocess.run(
        [sys.executable, "-c", RESAVE, str(model), str(target)],
        env=editor_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "could not load the Qt platform plugin" in done.stderr or "libEGL" in done.stderr:
        pytest.skip("Qt's system libraries are not installed")
    assert target.exists(), done.stderr
    return target


def contents(model: Path) -> tuple[dict[str, object], set[tuple[object, ...]]]:
    """Return a model's blocks with their parameters, and its wires by block and port."""
    data = json.loads(model.read_text())
    sockets = {}
    blocks: dict[str, object] = {}
    for block in data["blocks"]:
        title = block["title"]
        for side in ("inputs", "outputs"):
            for socket in block[side]:
                sockets[socket["id"]] = (title, side, socket["index"])
        given = {k: v for k, v in block["parameters"] if v is not None and v != ""}
        blocks[title] = (block["block_type"], given, block["pos_x"], block["pos_y"])
    wires = {(sockets[w["start_socket"]], sockets[w["end_socket"]]) for w in data["wires"]}
    return blocks, wires


@pytest.mark.parametrize("name", ["lstm_layer", "lstm_stacked", "coupled_cell"])
def test_a_shipped_model_opened_and_saved_in_the_editor_loses_nothing(
    name: str, tmp_path: Path
) -> None:
    model = ls.model_path(name)
    assert contents(resaved(model, tmp_path)) == contents(model)


def test_values_of_every_kind_survive_the_editor(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    layer = ls.LSTM(
        random.normal(size=(8, 1)), random.normal(size=(8, 2)), random.normal(size=8), h0=[0.1, 0.2]
    )
    bd = ls.blockdiagram()
    clock = bd.clock(0.1, name="clock")
    step = bd.STEP(T=0.2, on=2.5, name="step")
    wave = bd.WAVEFORM("sine", freq=0.7, amplitude=3, phase=0.25, name="wave")
    total = bd.SUM("+-", name="total")
    bd.connect(step, total[0])
    bd.connect(wave, total[1])
    h = ls.lstm_layer(bd, clock, total, layer)
    gain = bd.GAIN(random.normal(size=(3, 2)), premul=True, name="gain")
    bd.connect(h, gain)
    split = bd.DEMUX(3, name="split")
    bd.connect(gain, split)
    product = bd.HADAMARD(3, name="product")
    for port in range(3):
        bd.connect(split[port], product[port])
    bd.connect(product, bd.TOWORKSPACE(clock, name="out"))
    ls.save(bd, tmp_path / "model.bd")
    back = ls.load(resaved(tmp_path / "model.bd", tmp_path), {"Ts": 0.1})
    expected, traces = ls.simulate(bd, samples=20), ls.simulate(back, samples=20)
    for name in expected.data_vars:
        np.testing.assert_array_equal(traces[name], expected[name], err_msg=str(name))


def test_the_editor_draws_a_model_without_a_screen(tmp_path: Path) -> None:
    picture = tmp_path / "layer.svg"
    edit(ls.model_path("lstm_layer"), "--print", str(picture))
    if not picture.exists():
        pytest.skip("Qt's system libraries are not installed")
    text = picture.read_text()
    for name in ("c_prev", "h_prev", "sum_f", "tanh_c"):
        assert f">{name}<" in text, f"{name} is not in the picture"


@pytest.mark.parametrize("name", ["lstm_layer", "lstm_stacked", "coupled_cell"])
def test_what_the_run_button_starts_works(name: str, tmp_path: Path) -> None:
    # bdedit looks for the script that the model's MAIN block names beside the model.
    model = ls.model_path(name)
    block = next(b for b in json.loads(model.read_text())["blocks"] if b["block_type"] == "MAIN")
    for file in (model, model.with_name(dict(block["parameters"])["file name"])):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    script = tmp_path / dict(block["parameters"])["file name"]
    done = subprocess.run(
        ["python", str(script), str(tmp_path / model.name), "--simtime=10.0", "--graphics"],
        env=editor_environment() | {"MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "51 samples of 0.1 s" in done.stdout
    if name == "lstm_layer":
        assert "0.5624 0.4918 0.5669 0.1661 0.0300" in done.stdout
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    assert os.listdir(tmp_path).count(f"{name}.png") == 1
