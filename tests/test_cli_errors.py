"""Bad input of every kind is one message: what, where, given, expected, and how to mend it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.bad_input import (
    BAD,
    RUN,
    Arguments,
    algebraic_loop,
    with_model,
    with_workspace,
    workspace,
)
from tests.conftest import Outcome

Cli = Callable[..., Outcome]


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_message_that_says_what_to_do(cli: Cli, name: str) -> None:
    prepare, words = BAD[name]
    arguments = prepare()
    before = sorted(os.listdir())
    done = cli(*arguments)
    assert (done.status, done.out) == (2, "")
    assert "Traceback" not in done.err
    first, *rest = done.err.splitlines()
    assert re.fullmatch(r"error: [A-Za-z].+", first)
    labels = [re.fullmatch(r"  ([a-z ]+): +\S.*", line) for line in rest]
    assert all(labels), done.err
    said = [label[1] for label in labels if label]
    assert said == [x for x in ("where", "given", "expected", "to mend") if x in said], done.err
    assert {"given", "expected"} <= set(said) or "to mend" in said, done.err
    missing = [word for word in words if word not in done.err]
    assert not missing, f"{missing} not in\n{done.err}"
    assert sorted(os.listdir()) == before


def test_a_missing_name_is_said_beside_all_names_there_are(cli: Cli) -> None:
    done = cli(*with_workspace(R=None)())
    assert "the workspace has F, Ts, W, b, c0, h0, u" in done.err


@pytest.mark.parametrize("Ts", [0.0, -0.5])
def test_a_number_is_shown_as_a_number(cli: Cli, Ts: float) -> None:
    done = cli(*with_workspace(Ts=np.array(Ts))())
    assert f"given:    Ts = {Ts:g}" in done.err.replace("0.0", "0")


def test_a_loop_is_named_with_all_its_blocks_in_order(cli: Cli) -> None:
    done = cli(*with_model(algebraic_loop)())
    where = re.search(r"where: +(.*)", done.err)
    assert where is not None
    assert where[1] in ("c -> fc -> c", "fc -> c -> fc")


USAGE = [["run"], ["nosuch"], [*RUN, "--samples", "many"], ["demo", "--ot", "x"], ["check", "a.nc"]]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_misused_commands_show_how_they_are_used(cli: Cli, arguments: Arguments) -> None:
    done = cli(*arguments)
    assert (done.status, done.out) == (2, "")
    assert "Usage: " in done.err
    assert "Traceback" not in done.err
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("raised", "status", "words"),
    [
        (MemoryError(), 2, "error: there is not enough memory for this run"),
        (OSError(28, "No space left on device"), 2, "error: No space left on device"),
        (OSError(13, "Permission denied", "a.nc"), 2, "error: a.nc: Permission denied"),
        (KeyboardInterrupt(), 130, "interrupted: nothing was saved"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_machine_refuses_is_one_message(
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    raised: BaseException,
    status: int,
    words: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    workspace()
    monkeypatch.setattr("lstmsim.diagram.host.run", fail)
    done = cli(*RUN, "--out", "a.nc")
    assert (done.status, done.out) == (status, "")
    assert done.err == f"{words}\n"
    assert os.listdir() == ["w.npz"]


@pytest.mark.parametrize("out", ["file", "file/deeper"])
def test_a_demo_s_folder_that_cannot_be_made(cli: Cli, out: str) -> None:
    Path("file").write_text("kept")
    done = cli("demo", "--out", out, "--quiet")
    if out == "file":  # beside it, as beside a folder of this name
        assert (done.status, sorted(os.listdir())) == (0, ["file", "file-2"])
    else:
        assert (done.status, done.out) == (2, "")
        assert "the output folder cannot be made" in done.err
        assert "Not a directory" in done.err
        assert os.listdir() == ["file"]
    assert Path("file").read_text() == "kept"


def test_a_terminal_without_the_signs_of_the_table_shows_what_it_can() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lstmsim", "loops", "lstm_layer"],
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"c_prev ? fc ? c ? c_prev" in done.stdout
