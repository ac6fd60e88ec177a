"""lstmsim train: a model that somebody drew, trained from the command line."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.cli.options import chosen, with_options
from lstmsim.cli.training import train
from lstmsim.engine.objective import Objective
from lstmsim.training import OPTIMIZERS, SCHEDULES, TrainingOptions
from tests.conftest import Outcome, random_input, random_network, workspace_of
from tests.helpers import assert_close, assert_same

Cli = Callable[..., Outcome]
UNITS = 3


def cell(seed: int = 3, inputs: int = 2, outputs: int = 1) -> dict[str, np.ndarray]:
    """Return a workspace of the coupled cell, with random arrays and states."""
    rng = np.random.default_rng(seed)
    shapes = {
        "W": (2 * UNITS, inputs), "R": (2 * UNITS, outputs), "b": (2 * UNITS,),
        "F": (outputs, UNITS), "c0": (UNITS,), "y0": (outputs,),
    }  # fmt: skip
    arrays = {name: rng.normal(size=shape) / 2 for name, shape in shapes.items()}
    return arrays | {"Ts": np.array(0.1)}


def cell_by_hand(w: dict[str, np.ndarray], u: np.ndarray) -> np.ndarray:
    """Return the cell's outputs, spelled out."""
    c, y, found = w["c0"], w["y0"], []
    for sample in u:
        total = w["W"] @ sample + w["R"] @ y + w["b"]
        f, g = 1 / (1 + np.exp(-total[:UNITS])), np.tanh(total[UNITS:])
        c = f * c + (1 - f) * g
        y = w["F"] @ np.tanh(c)
        found.append(y)
    return np.array(found)


def data(samples: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return an input, and what another cell makes of it."""
    u = np.random.default_rng(seed).normal(size=(samples, 2))
    return u, cell_by_hand({name: 2 * array for name, array in cell(8).items()}, u)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments of a training whose files are in the folder."""
    monkeypatch.chdir(tmp_path)
    u, y = data()
    ls.save_workspace(cell(), "start.npz")
    np.savetxt("u.csv", u, delimiter=",")
    np.savetxt("y.csv", y, delimiter=",")
    return [
        "train", "coupled_cell", "-w", "start.npz", "--input", "u.csv", "--target", "y.csv",
        "--out", "trained.npz", "--learning-rate", "0.02",
    ]  # fmt: skip


def test_the_drawn_cell_computes_what_its_equations_say() -> None:
    u, _ = data()
    traces = ls.simulate(ls.load("coupled_cell", cell()), u)
    assert_close(traces.y.values, cell_by_hand(cell(), u), 1e-13, "y")
    assert_close(traces.i.values, 1 - traces.f.values, 1e-15, "i")


def test_its_gradient_is_that_of_central_differences() -> None:
    u, y = data(20)
    compiled = ls.compile(ls.load("coupled_cell", cell()))
    found = Objective(compiled, {"u": u}, y)
    values = found.initial()
    gradient = found(values)[1].copy()
    for (block, name), place in found.layout.items():
        for k in range(place.slice.start, place.slice.stop):
            shift = np.zeros_like(values)
            shift[k] = 1e-6
            quotient = (found.loss(values + shift) - found.loss(values - shift)) / 2e-6
            assert_close(gradient[k], quotient, 1e-8, f"{block}.{name}")


def test_a_drawn_cell_is_trained_and_runs_with_the_trained_workspace(
    cli: Cli, files: list[str]
) -> None:
    done = cli(*files, "--epochs", 400, "--plot", "course.png")
    assert (done.status, done.err) == (0, "")
    for words in ("array", "W", "6 × 2", "400 epochs", "saved trained.npz", "saved course.png"):
        assert words in done.out, done.out
    trained = ls.load_workspace("trained.npz")
    assert trained.keys() == cell().keys()
    for name in ("c0", "y0", "Ts"):
        assert_same(trained[name], cell()[name], name)
    assert Path("course.png").stat().st_size > 10_000
    assert cli("run", "coupled_cell", "-w", "trained.npz", "-i", "u.csv", "-o", "t.nc").status == 0
    u, y = data()
    mse = float(np.mean((ls.load_traces("t.nc").y.values - y) ** 2))
    before = float(np.mean((cell_by_hand(cell(), u) - y) ** 2))
    assert mse < 0.01 * before
    # On samples that it has not seen, once the states that it begins with are forgotten.
    u, y = data(200, seed=5)
    error = (cell_by_hand(trained, u) - y)[20:]
    assert np.mean(error**2) < 0.1 * np.var(y)


def test_options_of_the_command_are_those_of_fit(cli: Cli, files: list[str]) -> None:
    done = cli(
        *files, "--epochs", 12, "--optimizer", "sgd", "--momentum", 0.8, "--schedule", "piecewise",
        "--drop", 0.5, "--drop-every", 5, "--clip", 0.1, "--clip-global", 0.15, "--weight-decay",
        0.01, "--loss", "half_mse", "--freeze", "R", "--freeze", "b*", "--train-states",
        "--dtype", "float32", "--json",
    )  # fmt: skip
    assert (done.status, done.err) == (0, "")
    said = json.loads(done.out)
    u, y = data()
    expected = ls.fit(
        ls.load("coupled_cell", cell()), u, y, epochs=12, learning_rate=0.02, clip=0.1,
        optimizer=ls.training.SGD(0.8), schedule=ls.training.Piecewise(0.5, 5), clip_global=0.15,
        weight_decay=0.01, loss="half_mse", frozen=("R", "b*"), train_states=True, dtype="float32",
    )  # fmt: skip
    assert said["trained"] == {"W": [6, 2], "F": [1, 3], "c0": [3], "y0": [1]}
    assert said["not_trained"] == ["R", "b"]
    assert (said["reason"], said["epochs"], said["files"]) == ("epochs", 12, ["trained.npz"])
    assert said["loss"] == expected.loss
    trained = ls.load_workspace("trained.npz")
    for name, array in expected.parameters.items():
        assert_same(trained[name], array, name)


def test_sequences_batches_and_validation_come_from_files(cli: Cli, files: list[str]) -> None:
    for number, samples in enumerate((9, 14, 11)):
        u, y = data(samples, seed=number)
        np.save(f"u{number}.npy", u)
        np.savez(f"y{number}.npz", y=y, other=u)
    u, y = data(seed=9)
    np.save("held_u.npy", u)
    np.save("held_y.npy", y)
    several = [x for k in range(3) for x in ("--input", f"u{k}.npy", "--target", f"y{k}.npz")]
    done = cli(
        *files[:4], *files[8:], *several, "--batch-size", 2, "--seed", 3, "--epochs", 30,
        "--validation-input", "held_u.npy", "--validation-target", "held_y.npy",
        "--patience", 20, "--json",
    )  # fmt: skip
    assert (done.status, done.err) == (0, "")
    pairs = [data(n, seed=k) for k, n in enumerate((9, 14, 11))]
    expected = ls.fit(
        ls.load("coupled_cell", cell()), [p[0] for p in pairs], [p[1] for p in pairs],
        batch_size=2, seed=3, epochs=30, validation=(u, y), patience=20, learning_rate=0.02,
    )  # fmt: skip
    assert json.loads(done.out)["validation_loss"] == expected.validation_loss


def test_a_workspace_with_u_needs_no_input_and_mat_files_serve_matlab(
    cli: Cli, files: list[str]
) -> None:
    network = random_network(2, inputs=2, outputs=1)
    u = random_input(network, 300)
    workspace = workspace_of(network) | {"u": u}
    ls.save_workspace(workspace, "lstm.mat")
    done = cli("train", "lstm_layer", "-w", "lstm.mat", "-t", "y.csv", "-o", "out.mat", "-q",
               "--epochs", 5)  # fmt: skip
    assert (done.status, done.out, done.err) == (0, "", "")
    back = ls.load_workspace("out.mat")
    assert back["b"].shape == (8, 1)
    assert_same(back["u"], u)
    assert np.abs(back["W"] - workspace["W"]).max() > 0
    assert cli("run", "lstm_layer", "-w", "out.mat", "--check", "-q").status == 0


def test_divergence_is_said_and_is_the_exit_status(cli: Cli, files: list[str]) -> None:
    done = cli(*files, "--optimizer", "sgd", "--learning-rate", "1e200", "--epochs", 5)
    assert done.status == 1
    assert done.err.startswith("warning: diverged after")
    assert "a smaller learning rate" in done.err
    for array in ls.load_workspace("trained.npz").values():
        assert np.isfinite(array).all()


@dataclasses.dataclass(frozen=True)
class Halving:
    """A schedule that somebody adds.

    Parameters
    ----------
    least : float
        Where it ends.
    """

    least: float

    def factor(self, epoch: int, epochs: int) -> float:
        """Return the factor."""
        return max(0.5**epoch, self.least)


def test_a_row_that_is_added_is_an_option_with_its_settings() -> None:
    @dataclasses.dataclass(frozen=True)
    class Options:
        """Options of something.

        Parameters
        ----------
        rounds : int, optional
            How many.
        names : tuple of str, optional
            Of whom.
        schedule : Halving or Constant, optional
            How.
        """

        rounds: int = 3
        names: tuple[str, ...] = ("a",)
        schedule: object = ls.training.Constant()

    tables = {"schedule": {"constant": ls.training.Constant, "halving": Halving}}

    @with_options(Options, tables)
    def command(model: str, **options: Any) -> None:
        """Do nothing."""

    parameters = inspect.signature(command).parameters
    assert list(parameters) == ["model", "rounds", "names", "schedule", "least"]
    defaults = [p.default for p in list(parameters.values())[1:]]
    assert defaults == [3, ["a"], "constant", None]
    helps = [p.annotation.__metadata__[0].help for p in list(parameters.values())[1:]]
    assert helps == ["How many.", "Of whom.", "constant or halving.", "halving: Where it ends."]
    given = {"rounds": 5, "names": ["b"], "schedule": "halving", "least": 0.1}
    assert chosen(Options, tables, given) == Options(5, ["b"], Halving(0.1))  # type: ignore[arg-type]
    with pytest.raises(ls.errors.InvalidValueError, match=r"needs more settings[^$]+--least"):
        chosen(Options, tables, given | {"least": None})
    with pytest.raises(ls.errors.InvalidValueError, match=r"another choice[^$]+--least"):
        chosen(Options, tables, given | {"schedule": "constant"})


def test_every_option_of_fit_is_one_of_the_command() -> None:
    names = inspect.signature(train).parameters
    for kind in (TrainingOptions, *OPTIMIZERS.values(), *SCHEDULES.values()):
        missing = {f.name for f in dataclasses.fields(kind)} - set(names)
        assert missing == set(), kind


BAD: dict[str, tuple[list[Any], list[str]]] = {
    "a zero learning rate": (["--learning-rate", 0], ["learning_rate=0", "> 0"]),
    "negative epochs": (["--epochs", -3], ["epochs=-3"]),
    "an unknown schedule": (["--schedule", "warm"], ["constant, piecewise or cosine"]),
    "an unknown optimizer": (["--optimizer", "lion"], ["'lion'"]),
    "a pattern that matches nothing": (["--freeze", "Q*"], ["'Q*'", "W, R, b, F, c0, y0"]),
    "a setting of another optimizer": (["--momentum", 0.5], ["--optimizer adam", "--momentum"]),
    "a setting out of its range": (["--optimizer", "sgd", "--momentum", 2], ["momentum=2"]),
    "everything frozen": (["--freeze", "*"], ["nothing to train"]),
    "a missing target": (["--target", "no.csv"], ["no.csv"]),
    "another ending": (["--out", "trained.txt"], [".npz or .mat"]),
    "a folder that is not there": (["--out", "no/trained.npz"], ["no/trained.npz"]),
    "resuming nothing": (["--resume"], ["--checkpoint"]),
    "another picture": (["--plot", "course.gif"], [".gif"]),
    "patience without validation": (["--patience", 3], ["validation"]),
    "another number of targets": (["--input", "u.csv"], ["2 sequences in, 1 target"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_message_and_leaves_no_file(cli: Cli, files: list[str], name: str) -> None:
    options, words = BAD[name]
    replaced = list(files)
    if options[0] in ("--target", "--out"):
        at = replaced.index(options[0])
        del replaced[at : at + 2]
    before = sorted(os.listdir())
    done = cli(*replaced, *options)
    assert (done.status, done.out) == (2, ""), done.err
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err
    assert not [word for word in words if word not in done.err], done.err
    assert sorted(os.listdir()) == before


@pytest.mark.slow
def test_ctrl_c_saves_says_how_to_go_on_and_the_rest_is_the_same(
    cli: Cli, files: list[str]
) -> None:
    long = [*files, "--epochs", "40000", "--checkpoint", "ck.npz", "--checkpoint-every", "50"]
    command = [sys.executable, "-c", "from lstmsim.cli import main; main()", *long]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not Path("ck.npz").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    first, second = err.splitlines()
    assert first.startswith("interrupted after epoch ")
    assert "saved in ck.npz" in first
    assert "--resume" in first
    assert second == "the arrays so far are saved in trained.npz"
    with np.load("ck.npz") as checkpoint:
        done = json.loads(str(checkpoint["about"]))["epoch"]
    more = [*files, "--epochs", done + 30]
    assert cli(*more, "--checkpoint", "ck.npz", "--resume", "-q").status == 0
    resumed = ls.load_workspace("trained.npz")
    assert cli(*more, "-q").status == 0
    whole = ls.load_workspace("trained.npz")
    for name, array in whole.items():
        assert_same(resumed[name], array, name)
