"""The demo, and what the command line says of itself."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import lstmsim as ls
from tests.conftest import Outcome

Cli = Callable[..., Outcome]

PUBLISHED = "0.5624 0.4918 0.5669 0.1661 0.0300\n1.3426 1.1631 1.3554 0.3430 0.0593\n"
FILES = [
    "check.json",
    "difference.png",
    "reference.nc",
    "traces.nc",
    "traces.png",
    "workspace.npz",
]


def test_the_demo_prints_the_published_figures_and_saves_its_files(cli: Cli) -> None:
    done = cli("demo")
    assert (done.status, done.err) == (0, "")
    assert PUBLISHED in done.out
    assert "These are as published." in done.out
    assert "All 29 signals agree" in done.out
    assert sorted(os.listdir("lstmsim-demo")) == FILES
    assert os.listdir() == ["lstmsim-demo"]
    assert all(f"  {name}\n" in done.out for name in FILES)
    assert json.loads(Path("lstmsim-demo/check.json").read_text())["ok"] is True
    y = ls.load_traces("lstmsim-demo/traces.nc").y[:5].values.T
    assert "".join(" ".join(f"{v:.4f}" for v in row) + "\n" for row in y) == PUBLISHED


def test_the_demo_s_last_line_can_be_run(cli: Cli) -> None:
    last = cli("demo", "--out", "d").out.splitlines()[-1]
    assert last.startswith("Next: lstmsim ")
    done = cli(*last.removeprefix("Next: lstmsim ").split())
    assert done.status == 0
    assert "All 29 signals agree" in done.out


def test_a_second_demo_gets_a_folder_of_its_own(cli: Cli) -> None:
    Path("d").mkdir()
    (Path("d") / "notes").write_text("kept")
    done = cli("demo", "--out", "d", "--quiet")
    assert (done.status, done.out, done.err) == (0, "", "")
    assert os.listdir("d") == ["notes"]
    assert sorted(os.listdir("d-2")) == FILES


def test_an_empty_folder_is_used(cli: Cli) -> None:
    Path("d").mkdir()
    assert cli("demo", "--out", "d", "-q").status == 0
    assert os.listdir() == ["d"]


def test_the_demo_s_json_says_what_the_demo_found(cli: Cli) -> None:
    done = cli("demo", "--out", "deep/down", "--json")
    read = json.loads(done.out)
    assert (done.status, done.err) == (0, "")
    assert (read["ok"], read["published"], read["check"]["ok"]) == (True, True, True)
    np.testing.assert_array_equal(np.round(read["y"], 4).T, ls.published.LAYER_OUTPUT)
    assert read["folder"] == "deep/down"
    assert read["files"] == [f"deep/down/{name}" for name in FILES]
    assert all(Path(file).exists() for file in read["files"])


def test_without_the_editor_the_command_to_install_it_is_said(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name in ("bdedit", "PySide6") else real(name, *rest),
    )
    done = cli("edit", "lstm_layer")
    assert (done.status, done.out) == (2, "")
    assert "error: the editor is not installed" in done.err
    assert '-m pip install "bdsim[bdedit]"' in done.err


def test_the_version_and_the_commands_are_shown(cli: Cli) -> None:
    assert cli("--version").out == f"{ls.__version__}\n"
    done = cli("--help")
    assert done.status == 0
    assert all(
        name in done.out for name in ("demo", "run", "train", "check", "plot", "edit", "info")
    )
    for name in ("demo", "run", "train", "check", "plot", "edit", "info"):
        assert cli(name, "--help").status == 0


@pytest.mark.parametrize("command", ["run", "train", "study", "loops", "check"])
def test_a_help_page_tells_flags_from_options_with_a_value(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    page = cli(command, "--help").out
    rows = [line for line in page.splitlines() if "<bool>" in line]
    assert [row for row in rows if "--help" not in row] == []
    names = [line[:30] for line in page.splitlines() if "--" in line]
    assert [name for name in names if "…" in name] == []


def test_the_readme_names_every_command(cli: Cli) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^│ ([a-z]+) ", cli("--help").out, re.MULTILINE)
    assert len(listed) > 8
    assert [name for name in listed if f"| `lstmsim {name}" not in readme] == []
