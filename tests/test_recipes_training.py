"""CONTRIBUTING's recipes: an optimizer, a schedule and a loss, each in its table's row alone."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.engine.losses import LOSSES
from lstmsim.errors import InvalidValueError
from lstmsim.training.optimizers import OPTIMIZERS
from lstmsim.training.schedules import SCHEDULES
from tests.conftest import random_input, random_network, workspace_of
from tests.helpers import assert_close, assert_same, refused

NETWORK = random_network(3, inputs=2, outputs=2, seed=3)
U = random_input(NETWORK, 25)
Y = np.stack([np.convolve(U[:, 0], [0.2, 0.5])[:25], np.tanh(U[:, 1])], axis=1)


@dataclass(frozen=True)
class Signs:
    """θ ← θ − η·sign(m), m ← βm + (1−β)g."""

    beta: float = 0.9

    @property
    def memory(self) -> tuple[str, ...]:
        """The running average of the gradient."""
        return ("m",)

    def step(
        self,
        values: np.ndarray,
        gradient: np.ndarray,
        rate: float,
        count: int,
        memory: dict[str, np.ndarray],
    ) -> None:
        """Make one step, as `Optimizer.step`."""
        m = memory["m"]
        m *= self.beta
        m += (1 - self.beta) * gradient
        values -= rate * np.sign(m)


@dataclass(frozen=True)
class Linear:
    """The learning rate falls in a straight line to a fraction of it.

    Parameters
    ----------
    last : float, optional
        The fraction in the last epoch.
    """

    last: float = 0.5

    def factor(self, epoch: int, epochs: int) -> float:
        """Return the factor of the learning rate in an epoch, as `Schedule.factor`."""
        return 1 + (self.last - 1) * epoch / max(epochs - 1, 1)


def log_cosh(y: np.ndarray, target: np.ndarray, size: int, out: np.ndarray) -> float:
    """Return the part of the mean of log cosh (y − target) that some samples are."""
    error = y - target
    out[...] = np.tanh(error) / size
    return float(np.log(np.cosh(error)).sum()) / size


@pytest.fixture(autouse=True)
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add one row to each table."""
    monkeypatch.setitem(OPTIMIZERS, "signs", Signs)
    monkeypatch.setitem(SCHEDULES, "linear", Linear)
    monkeypatch.setitem(LOSSES, "log_cosh", log_cosh)


OWN: dict[str, Any] = {"optimizer": Signs(0.8), "schedule": Linear(0.2), "loss": "log_cosh"}


def train(epochs: int = 12, **options: Any) -> ls.TrainingResult:
    return ls.fit(NETWORK, U, Y, epochs=epochs, learning_rate=0.01, **(OWN | options))


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_all_three_are_trained_with(engine: str) -> None:
    result = train(engine=engine)
    assert_close(result.history.learning_rate.values, np.linspace(0.01, 0.002, 12), 1e-15)
    assert result.loss < float(result.history.loss[0])
    # By hand, from the gradient of the same loss.
    network, m = NETWORK, dict[str, np.ndarray]()
    for rate in result.history.learning_rate.values:
        diagram = ls.build(network)
        _, gradient = ls.compile(diagram, engine="numpy").loss_and_gradient(U, Y, loss="log_cosh")
        stacked = {n: np.concatenate([gradient[n + gate] for gate in "ifgo"]) for n in "WRb"}
        stacked["F"] = gradient["y"]
        m = {n: 0.8 * m.get(n, 0) + (1 - 0.8) * g for n, g in stacked.items()}
        new = {n: network.arrays()[n] - rate * np.sign(v) for n, v in m.items()}
        network = network.replace(**new)
    for name, array in network.arrays().items():
        assert_close(result.parameters[name], array, 1e-12, name)


def test_the_loss_and_its_gradient_are_the_function_s() -> None:
    compiled = ls.compile(ls.build(NETWORK))
    loss, gradient = compiled.loss_and_gradient(U, Y, loss="log_cosh")

    def given(y: np.ndarray) -> tuple[float, np.ndarray]:
        return float(np.log(np.cosh(y - Y)).mean()), np.tanh(y - Y) / Y.size

    expected, others = compiled.loss_and_gradient(U, loss=given)
    assert_close(loss, expected, 1e-14)
    for block, array in others.items():
        assert_close(gradient[block], array, 1e-13, block)
    with refused(
        InvalidValueError, "no loss of this name", "'half_mse', 'log_cosh', or a function"
    ):
        compiled.loss_and_gradient(U, Y, loss="mae")


def test_they_are_known_by_their_names() -> None:
    assert ls.TrainingOptions(optimizer="signs").optimizer == Signs()
    with refused(InvalidValueError, "'sgd' or 'signs'"):
        ls.TrainingOptions(optimizer="lion")
    with refused(InvalidValueError, "'half_mse' or 'log_cosh'"):
        ls.TrainingOptions(loss="mae")


def test_a_checkpoint_goes_on_to_the_same_bits_and_knows_all_three_again(tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(done: int, *rest: Any) -> None:
        raise StoppedError

    path, whole = tmp_path / "ck.npz", train()
    options: dict[str, Any] = {"checkpoint": path, "checkpoint_every": 1, "resume": True}
    for _ in range(3):
        with pytest.raises(StoppedError):  # after an epoch, as if the process had ended
            train(progress=stop, **options)
    again = train(**options)
    for name, array in whole.parameters.items():
        assert_same(again.parameters[name], array, name)
    assert_same(again.history.loss.values, whole.history.loss.values)
    with refused(InvalidValueError, "optimizer=Signs(beta=0.7), not Signs(beta=0.8)"):
        train(**options, optimizer=Signs(0.7))
    with refused(InvalidValueError, "loss='mse', not 'log_cosh'"):
        train(**options, loss="mse")
    with refused(InvalidValueError, "schedule=Linear(last=0.1), not Linear(last=0.2)"):
        train(**options, schedule=Linear(0.1))
    with refused(InvalidValueError, "over 20 epochs a learning rate of 0.00957895 in epoch 2"):
        train(20, **options)


def test_the_command_line_has_options_for_them(tmp_path: Path) -> None:
    ls.save_workspace(workspace_of(NETWORK) | {"u": U}, tmp_path / "w.npz")
    np.save(tmp_path / "y.npy", Y)
    program = f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        from lstmsim.engine import LOSSES
        from lstmsim.training import OPTIMIZERS, SCHEDULES
        from tests.test_recipes_training import Linear, Signs, log_cosh
        OPTIMIZERS["signs"], SCHEDULES["linear"], LOSSES["log_cosh"] = Signs, Linear, log_cosh
        from lstmsim.cli import main
        main()
        """
    options = "-w w.npz -t y.npy -o out.npz -q --epochs 12 --learning-rate 0.01 --optimizer signs"
    options += " --beta 0.8 --schedule linear --last 0.2 --loss log_cosh"
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), "train", "lstm_layer", *options.split()],
        cwd=tmp_path,
        check=True,
    )
    trained = ls.load_workspace(tmp_path / "out.npz")
    for name, array in train().parameters.items():
        assert_close(trained[name], array, 1e-14, name)
