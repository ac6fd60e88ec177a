"""The examples of `examples/`, run as a user runs them."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.diagram.host import simulator

EXAMPLES = Path(__file__).parents[1] / "examples"


def loaded(name: str) -> ModuleType:
    """Import an example, which is not in a package."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def motor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path]]:
    """What the DC motor's example computed, and the folder of its files."""
    folder = tmp_path_factory.mktemp("dc_motor")
    options = simulator().options  # of the whole process
    before = options.rtol, options.atol
    try:
        yield loaded("dc_motor").run(folder), folder
    finally:
        options.rtol, options.atol = before


@pytest.mark.slow
def test_the_free_run_fits_data_that_were_not_trained_on(motor: tuple[Any, Path]) -> None:
    outcome, _ = motor
    print(outcome.fits)
    for name, (nrmse, vaf) in outcome.fits.items():
        assert nrmse > 96.5, name
        assert vaf > 99.9, name


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_the_c_program_passes_its_built_in_test(motor: tuple[Any, Path]) -> None:
    outcome, folder = motor
    assert outcome.c_test == "PASS: 0 of 400 numbers differ"
    again = subprocess.run([folder / "dc_motor"], capture_output=True, text=True, check=False)
    assert (again.returncode, again.stdout.strip()) == (0, outcome.c_test)


@pytest.mark.slow
def test_the_model_file_with_its_workspace_is_the_network(motor: tuple[Any, Path]) -> None:
    outcome, folder = motor
    workspace = ls.load_workspace(folder / "dc_motor.npz")
    traces = ls.simulate(ls.load(folder / "dc_motor.bd", workspace))
    expected = ls.reference(outcome.network, workspace["u"], dtype="float64").y
    worst = float(abs(traces.y - expected).max())
    print(f"largest difference {worst:.2e} rad/s of {float(abs(expected).max()):.0f}")
    assert worst < 1e-10
    doubled = ls.load(folder / "dc_motor.bd", {**workspace, "F": 2 * workspace["F"]})
    np.testing.assert_allclose(ls.simulate(doubled).y, 2 * traces.y, rtol=1e-12)


@pytest.mark.slow
def test_motor_and_network_answer_alike_under_the_same_controller(
    motor: tuple[Any, Path],
) -> None:
    outcome, _ = motor
    speeds = [outcome.loops[name].speed.values[:, 0] for name in ("motor", "LSTM")]
    reference = outcome.loops["motor"].reference.values[:, 0]
    apart = np.abs(speeds[0] - speeds[1])
    print(f"at most {apart.max():.2f} rad/s apart, {np.sqrt(np.mean(apart**2)):.2f} rms")
    assert apart.max() < 6.0
    assert np.sqrt(np.mean(apart**2)) < 1.0
    last = np.flatnonzero(np.diff(reference, append=np.nan))  # before each step, and at the end
    for speed in speeds:  # settled there, and nowhere far beyond what is asked for
        np.testing.assert_allclose(speed[last], reference[last], atol=1.0)
        assert speed.max() < 1.05 * reference.max()
        assert speed.min() > 1.05 * reference.min()


@pytest.mark.slow
def test_the_figures_are_there(motor: tuple[Any, Path]) -> None:
    _, folder = motor
    for name in ("identification", "closed_loop", "diagram"):
        assert (folder / f"{name}.png").stat().st_size > 10_000


def test_a_folder_that_cannot_be_made_is_said_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, EXAMPLES / "dc_motor.py", "--out", tmp_path / "file" / "out"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
