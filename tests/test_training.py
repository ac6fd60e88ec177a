"""fit: what is trained, what comes back, and what is said of it."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.engine.graph import parameters
from lstmsim.errors import DiagramError, InvalidTypeError
from lstmsim.training import SGD, Piecewise
from tests.conftest import random_input, random_network, workspace_of
from tests.helpers import assert_close, assert_same, refused
from tests.random_diagrams import random_diagram

NETWORK = random_network(3, inputs=2, outputs=2, seed=3)
U = random_input(NETWORK, 25)
Y = np.stack([np.convolve(U[:, 0], [0.2, 0.5])[:25], np.tanh(U[:, 1])], axis=1)
SHORT = {"epochs": 15, "learning_rate": 0.02}


def loss_of(diagram: Any, u: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean((ls.simulate(diagram, u).y.values - y) ** 2))


def values_of(diagram: Any) -> dict[tuple[str, str], np.ndarray]:
    found = parameters(diagram.blocklist)
    return {(b, n): np.array(a) for b, arrays in found.items() for n, a in arrays.items()}


def test_the_loss_falls_and_is_that_of_the_trained_network_in_bdsim() -> None:
    result = ls.fit(NETWORK, U, Y, epochs=200, learning_rate=0.02)
    assert result.network is not None
    assert result.loss < 0.1 * float(result.history.loss[0])
    assert_close(loss_of(ls.build(NETWORK), U, Y), float(result.history.loss[0]), 1e-13)
    assert_close(loss_of(ls.build(result.network), U, Y), result.loss, 1e-13)
    assert (result.reason, result.epochs, result.best_epoch) == ("epochs", 200, 200)
    assert result.trained == ("W", "R", "b", "F")


def test_a_network_its_model_file_and_its_blocks_are_trained_alike() -> None:
    # Plain gradient descent knows nothing of how the elements are put into arrays.
    options = ls.TrainingOptions(epochs=8, learning_rate=0.1, optimizer=SGD(0.5))
    network = ls.fit(NETWORK, U, Y, options)
    loaded = ls.load("lstm_layer", workspace_of(NETWORK))
    file = ls.fit(loaded, U, Y, options)
    blocks = ls.fit(ls.build(NETWORK), U, Y, options)
    assert network.network is not None
    for name in ("W", "R", "b", "F"):
        assert_same(file.parameters[name], network.parameters[name], name)
    for key, array in network.blocks.items():
        assert_close(blocks.blocks[key], array, 1e-14, str(key))
        assert_close(file.blocks[key], array, 1e-14, str(key))
    assert set(blocks.trained) == {f"{a}{g}" for a in "WRb" for g in "ifgo"} | {"y"}
    assert (blocks.network, blocks.workspace, file.network) == (None, None, None)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (1, -1)])
def test_a_trained_workspace_has_the_shapes_of_the_old_one(shape: tuple[int, ...]) -> None:
    workspace = workspace_of(NETWORK) | {"u": U}
    for name in ("b", "h0", "c0"):
        workspace[name] = workspace[name].reshape(shape)
    result = ls.fit(ls.load("lstm_layer", workspace), None, Y, **SHORT)
    assert result.workspace is not None
    assert list(result.workspace) == list(workspace)
    for name, array in workspace.items():
        assert np.shape(result.workspace[name]) == np.shape(array), name
    again = ls.load("lstm_layer", result.workspace)
    assert_close(loss_of(again, U, Y), result.loss, 1e-13)


def test_a_stack_is_trained_layer_by_layer() -> None:
    network = random_network((3, 2), bias=True, seed=9)
    result = ls.fit(network, U, Y, **SHORT)
    assert result.trained == ("W1", "R1", "b1", "W2", "R2", "b2", "F", "bF")
    assert result.network is not None
    assert [layer.name for layer in result.network.recurrent] == ["lstm1", "lstm2"]
    assert_close(loss_of(ls.build(result.network), U, Y), result.loss, 1e-13)


def test_a_network_without_a_head_is_trained_on_its_hidden_state() -> None:
    network = random_network(2, outputs=None)
    result = ls.fit(network, U, 0.5 * Y, **SHORT)
    assert result.network is not None
    assert result.trained == ("W", "R", "b")
    assert_close(loss_of(ls.build(result.network), U, 0.5 * Y), result.loss, 1e-13)


@pytest.mark.parametrize("seed", range(6))
def test_any_diagram_is_trained_and_left_as_it_was(seed: int) -> None:
    diagram, u = random_diagram(seed)
    target = np.random.default_rng(seed).normal(
        size=ls.compile(diagram, engine="numpy").forward(u).shape
    )
    before = copy.deepcopy(values_of(diagram))
    result = ls.fit(diagram, u, target, epochs=5, learning_rate=1e-3, engine="numpy")
    for key, array in values_of(diagram).items():
        assert_same(array, before[key], str(key))
    assert result.loss <= float(result.history.loss[0])
    loss = ls.compile(result.apply(diagram), engine="numpy").loss_and_gradient(u, target)[0]
    assert_close(loss, result.loss, 1e-13)


def test_nothing_that_was_given_is_changed() -> None:
    workspace = workspace_of(NETWORK)
    kept = {name: array.copy() for name, array in workspace.items()}
    u, y = U.copy(), Y.copy()
    ls.fit(ls.load("lstm_layer", workspace), u, y, **SHORT)
    assert_same(u, U)
    assert_same(y, Y)
    for name, array in kept.items():
        assert_same(workspace[name], array, name)


def test_parameters_of_another_diagram_are_not_put_into_one() -> None:
    result = ls.fit(NETWORK, U, Y, **SHORT)
    with refused(DiagramError, "another diagram", "Fh.K"):
        result.apply(ls.build(random_network(3, inputs=2, outputs=2, bias=True)))


def test_one_unit_one_input_one_sample() -> None:
    network = random_network(1, inputs=1, outputs=1)
    result = ls.fit(network, [[0.3]], [[0.7]], epochs=300, learning_rate=0.01)
    assert result.loss < 1e-4
    assert result.network is not None


def test_both_engines_train_alike() -> None:
    a = ls.fit(NETWORK, U, Y, **SHORT)
    b = ls.fit(NETWORK, U, Y, engine="numpy", **SHORT)
    assert_close(a.history.loss.values, b.history.loss.values, 1e-12)


def test_training_is_pytorch_s() -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    layer, head = NETWORK.recurrent[0], NETWORK.head
    assert head is not None
    lstm = torch.nn.LSTM(2, 3, dtype=torch.float64)
    given = {"weight_ih_l0": layer.W, "weight_hh_l0": layer.R, "bias_ih_l0": layer.b}
    for name, array in given.items():
        getattr(lstm, name).data = torch.tensor(array)
    lstm.bias_hh_l0.data.zero_()
    F = torch.tensor(head.F, requires_grad=True)
    trained = [*(getattr(lstm, name) for name in given), F]
    optimizer = torch.optim.Adam(trained, lr=0.02)
    states = tuple(torch.tensor(s)[None] for s in (layer.h0, layer.c0))
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = torch.mean((lstm(torch.tensor(U), states)[0] @ F.T - torch.tensor(Y)) ** 2)
        loss.backward()
        for array in trained:
            # PyTorch's own adds 1e-6 to the norm.
            norm = float(torch.linalg.vector_norm(array.grad))
            array.grad *= min(1.0, 0.1 / norm)
        optimizer.step()
        losses.append(float(loss.detach()))
    result = ls.fit(NETWORK, U, Y, epochs=100, learning_rate=0.02, clip=0.1)
    assert_close(result.history.loss.values, np.array(losses), 1e-10, "losses")
    for name, array in zip(("W", "R", "b", "F"), trained, strict=True):
        assert_close(result.parameters[name], array.detach().numpy(), 1e-9, name)


def test_the_history_says_what_happened_epoch_by_epoch() -> None:
    calls: list[tuple[int, int, float, float]] = []
    result = ls.fit(
        NETWORK, U, Y, epochs=40, learning_rate=0.1, schedule=Piecewise(0.5, 10),
        validation=(U, Y), progress=lambda *said: calls.append(said),
    )  # fmt: skip
    history = result.history
    assert dict(history.sizes) == {"epoch": 40, "array": 4}
    assert history.epoch.values.tolist() == list(range(1, 41))
    assert history.array.values.tolist() == ["W", "R", "b", "F"]
    assert_same(history.learning_rate.values, np.repeat([0.1, 0.05, 0.025, 0.0125], 10))
    assert (history.gradient_norm > 0).all()
    # The loss of an epoch is that of the weights it begins with.
    assert_close(history.loss.values[1:], history.validation_loss.values[:-1], 1e-14)
    assert calls[0][:2] == (1, 40)
    assert calls[-1] == (40, 40, float(history.loss[-1]), 0.0125)


def test_a_result_is_worth_reading() -> None:
    result = ls.fit(NETWORK, U, Y, **SHORT)
    text = str(result)
    for words in ("W", "12 × 2", "yes", "h0", "no", "loss", "15 epochs", "largest change"):
        assert words in text, text
    assert result.changes["W"] == np.abs(result.parameters["W"] - NETWORK.recurrent[0].W).max()


def test_no_warning_is_given_without_a_reason() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ls.fit(NETWORK, U, Y, **SHORT)
    assert [str(warning.message) for warning in caught] == []


def test_the_course_of_training_is_plotted(tmp_path: Path) -> None:
    result = ls.fit(NETWORK, U, Y, validation=(U, Y + 0.1), **SHORT)
    figure = ls.plot_history(result.history)
    loss, norms, rate = figure.axes
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    assert_same(loss.lines[0].get_ydata(), result.history.loss.values)
    assert [line.get_label() for line in norms.lines] == ["W", "R", "b", "F"]
    assert_same(rate.lines[0].get_ydata(), result.history.learning_rate.values)
    ls.save_plot(figure, tmp_path / "history.png")
    assert (tmp_path / "history.png").stat().st_size > 10_000
    with refused(InvalidTypeError, "history"):
        ls.plot_history(ls.simulate(ls.build(NETWORK), U))


def test_the_course_of_training_has_a_scale_that_can_be_read() -> None:
    result = ls.fit(NETWORK, U, Y, **SHORT)
    for factor, scale in ((1.5, "linear"), (1e3, "log")):
        epochs = result.history.sizes["epoch"]
        history = result.history.assign(loss=("epoch", np.geomspace(factor, 1.0, epochs)))
        axis = ls.plot_history(history).axes[0]
        low, high = axis.get_ylim()
        shown = [tick for tick in axis.get_yticks() if low <= tick <= high]
        assert axis.get_yscale() == scale
        assert len(shown) >= 2, shown
