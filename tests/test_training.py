"""fit: what is trained, on what, and what comes back."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.engine.graph import parameters
from lstmsim.errors import (
    DiagramError,
    InvalidTypeError,
    InvalidValueError,
    NonFiniteSignalError,
    ShapeError,
)
from lstmsim.training import SGD, Piecewise
from tests.conftest import random_input, random_network, workspace_of
from tests.helpers import assert_close, assert_same, entry, model, refused, written
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


# --- What is trained, and what comes back


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


# --- Which elements of a workspace are which parameters


def tied(folder: Path, **expressions: str) -> Path:
    """Write a model y = K₂ z, z = tanh(K₁ u + a·z⁻ + b), with expressions over a workspace."""
    said = {"first": "=K", "second": "=K", "factor": "=a", "bias": "=b", "x0": "=z0"} | expressions
    blocks = {
        "u": entry("FROMWORKSPACE", 0, 1, {"clock": "=clock", "width": 2}),
        "first": entry("MATRIXGAIN", 1, 1, {"K": said["first"]}),
        "factor": entry("GAIN", 1, 1, {"K": said["factor"]}),
        "bias": entry("CONSTANT", 0, 1, {"value": said["bias"]}),
        "sum": entry("SUM", 3, 1, {"signs": "+++"}),
        "tanh": entry("TANH", 1, 1),
        "z": entry("UNITDELAY", 1, 1, {"clock": "=clock", "x0": said["x0"]}),
        "second": entry("GAIN", 1, 1, {"K": said["second"], "premul": False}),
        "out": entry("TOWORKSPACE", 1, 0, {"clock": "=clock"}),
    }
    wires = (
        "u -> first", "first -> sum[0]", "factor -> sum[1]", "bias -> sum[2]", "sum -> tanh",
        "tanh -> z", "z -> factor", "tanh -> second", "second -> out",
    )  # fmt: skip
    return written(folder, model(blocks, *wires), "tied.bd")


def tied_workspace() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    arrays = {"K": rng.normal(size=(2, 2)), "a": 0.4, "b": rng.normal(size=2), "z0": np.zeros(2)}
    return {**arrays, "Ts": 0.1}


def workspace_gradient(file: Path, workspace: dict[str, Any], name: str) -> np.ndarray:
    """Return the loss's derivatives by one array of a workspace, by central differences."""

    def loss(array: np.ndarray) -> float:
        diagram = ls.load(file, {**workspace, name: array})
        y = ls.compile(diagram, engine="numpy").forward(U)
        return float(np.mean((y - Y) ** 2))

    array = np.asarray(workspace[name], float)
    found = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        shift = np.zeros(array.shape)
        shift[index] = 1e-6
        found[index] = (loss(array + shift) - loss(array - shift)) / 2e-6
    return found


def one_step_back(file: Path, workspace: dict[str, Any], **options: Any) -> dict[str, np.ndarray]:
    """Return the gradient of every trained array: what one step of rate 1 subtracts."""
    settings = {"epochs": 1, "learning_rate": 1.0, "optimizer": "sgd", "engine": "numpy"}
    result = ls.fit(ls.load(file, workspace), U, Y, **(settings | options))
    return {n: np.asarray(workspace[n], float) - result.parameters[n] for n in result.trained}


def test_an_array_that_two_blocks_share_gets_the_sum_of_both_gradients(tmp_path: Path) -> None:
    file, workspace = tied(tmp_path), tied_workspace()
    steps = one_step_back(file, workspace)
    assert list(steps) == ["K", "a", "b"]
    for name, step in steps.items():
        assert_close(step, workspace_gradient(file, workspace, name), 1e-8, name)


def test_selections_of_every_kind_are_found(tmp_path: Path) -> None:
    file = tied(
        tmp_path,
        first="=P[1:3, 1:3]",
        second="=P[2:0:-1, 0:2]",
        bias="=array([p[2], p[2]])",
        factor="=p[0]",
        x0="=zeros(len(p)-1)",
    )
    rng = np.random.default_rng(2)
    workspace = {"P": rng.normal(size=(3, 3)), "p": rng.normal(size=3) / 2, "Ts": 0.1}
    steps = one_step_back(file, workspace)
    assert list(steps) == ["P", "p"]
    for name, step in steps.items():
        assert_close(step, workspace_gradient(file, workspace, name), 1e-8, name)
    assert not steps["P"][0].any()  # no block uses it
    assert steps["P"][1:, 1].all()
    assert steps["p"][1] == 0


def test_what_is_computed_is_refused_with_block_and_expression(tmp_path: Path) -> None:
    file, workspace = tied(tmp_path, second="=2*K"), tied_workspace()
    with refused(DiagramError, "block 'second' (GAIN)", "=2*K", "frozen", "GAIN"):
        ls.fit(ls.load(file, workspace), U, Y, epochs=1)
    steps = one_step_back(file, workspace, frozen="K")
    assert list(steps) == ["a", "b"]
    for name, step in steps.items():
        assert_close(step, workspace_gradient(file, workspace, name), 1e-8, name)


@pytest.mark.parametrize("text", ["=K+0*a", "=eye(2)*K", "=K+zeros((2, 2))", "=1*K[0:2]"])
def test_what_passes_elements_on_is_a_selection_however_it_is_written(
    tmp_path: Path, text: str
) -> None:
    file, workspace = tied(tmp_path, second=text), tied_workspace()
    expected = workspace_gradient(file, workspace, "K")
    assert_close(one_step_back(file, workspace)["K"], expected, 1e-8)


@pytest.mark.parametrize("text", ["=-K", "=K@K", "=K**2", "=a*K", "=K/3", "=K+0.001*a"])
def test_no_computation_is_taken_for_a_selection(tmp_path: Path, text: str) -> None:
    file, workspace = tied(tmp_path, second=text), tied_workspace()
    with refused(DiagramError, text):
        ls.fit(ls.load(file, workspace), U, Y, epochs=1)


def test_an_expression_that_no_element_changes_is_a_constant(tmp_path: Path) -> None:
    result = ls.fit(ls.load(tied(tmp_path, second="=K-K+1"), tied_workspace()), U, Y, **SHORT)
    assert_same(result.blocks["second", "K"], np.ones((2, 2)))
    assert result.trained == ("K", "a", "b")


def test_the_sample_time_is_not_trained_where_a_block_uses_it(tmp_path: Path) -> None:
    file, workspace = tied(tmp_path, factor="=Ts"), tied_workspace()
    result = ls.fit(ls.load(file, workspace), U, Y, **SHORT)
    assert result.trained == ("K", "b")
    assert result.workspace is not None
    assert result.workspace["Ts"] == 0.1


def test_numbers_of_the_model_file_stay_and_names_are_needed(tmp_path: Path) -> None:
    file = tied(tmp_path, first="=K", bias=[0.1, 0.2])  # type: ignore[arg-type]
    result = ls.fit(ls.load(file, tied_workspace()), U, Y, **SHORT)
    assert result.trained == ("K", "a")
    assert_same(result.blocks["bias", "value"], np.array([0.1, 0.2]))
    ls.save(ls.build(NETWORK), tmp_path / "plain.bd")
    with refused(InvalidValueError, "nothing to train", "=W"):
        ls.fit(ls.load(tmp_path / "plain.bd", {"Ts": 0.1}), U, Y)


def test_a_diagram_that_was_changed_after_it_was_loaded_is_refused() -> None:
    diagram = ls.load("lstm_layer", workspace_of(NETWORK))
    diagram.blocknames["Wi"].K = diagram.blocknames["Wi"].K + 1
    with refused(DiagramError, "changed after it was loaded", "Wi", "workspace"):
        ls.fit(diagram, U, Y)


def test_arrays_are_frozen_by_name_and_pattern() -> None:
    result = ls.fit(NETWORK, U, Y, frozen=["R", "[bF]"], **SHORT)
    assert result.trained == ("W",)
    for name in ("R", "b", "F", "h0", "c0"):
        assert_same(result.parameters[name], workspace_of(NETWORK)[name], name)
    with refused(InvalidValueError, "'w'", "W, R, b"):
        ls.fit(NETWORK, U, Y, frozen="w")
    with refused(InvalidValueError, "nothing to train"):
        ls.fit(NETWORK, U, Y, frozen="*")


def test_initial_states_are_trained_if_that_is_asked_for() -> None:
    result = ls.fit(NETWORK, U, Y, train_states=True, frozen=["[WRbF]"], epochs=1, optimizer="sgd",
                    learning_rate=1.0)  # fmt: skip
    assert result.trained == ("h0", "c0")
    _, gradient = ls.compile(ls.build(NETWORK)).loss_and_gradient(U, Y)
    layer = NETWORK.recurrent[0]
    assert_close(layer.h0 - result.parameters["h0"], gradient["h_prev"], 1e-13, "h0")
    assert_close(layer.c0 - result.parameters["c0"], gradient["c_prev"], 1e-13, "c0")
    assert result.network is not None
    assert_same(result.network.recurrent[0].c0, result.parameters["c0"])


def test_single_precision_is_computed_in_and_frozen_arrays_keep_theirs() -> None:
    single = ls.fit(NETWORK, U, Y, dtype="float32", frozen="F", **SHORT)
    double = ls.fit(NETWORK, U, Y, frozen="F", **SHORT)
    for name in single.trained:
        array = single.parameters[name]
        assert_same(array.astype(np.float32).astype(float), array, name)
        assert_close(array, double.parameters[name], 1e-4, name)
    assert NETWORK.head is not None
    assert_same(single.parameters["F"], NETWORK.head.F)
    assert_close(single.history.loss.values, double.history.loss.values, 1e-5)


# --- Sequences


def two(lengths: tuple[int, int] = (15, 10)) -> tuple[list[np.ndarray], list[np.ndarray]]:
    border = lengths[0]
    return [U[:border], U[border:]], [Y[:border], Y[border:]]


def test_every_sample_of_every_sequence_counts_the_same() -> None:
    u, y = two()
    result = ls.fit(NETWORK, u, y, epochs=1, optimizer="sgd", learning_rate=1.0)
    compiled = ls.compile(ls.build(NETWORK))
    found = [compiled.loss_and_gradient(a, b) for a, b in zip(u, y, strict=True)]
    loss = (15 * found[0][0] + 10 * found[1][0]) / 25
    assert_close(result.history.loss.values, [loss], 1e-14)
    F = (15 * found[0][1]["y"] + 10 * found[1][1]["y"]) / 25
    assert NETWORK.head is not None
    assert_close(NETWORK.head.F - result.parameters["F"], F, 1e-13)


def test_a_batch_is_a_list_of_sequences_of_one_length() -> None:
    rng = np.random.default_rng(0)
    u, y = rng.normal(size=(4, 9, 2)), rng.normal(size=(4, 9, 2))
    a, b = ls.fit(NETWORK, u, y, **SHORT), ls.fit(NETWORK, list(u), list(y), **SHORT)
    assert_same(a.history.loss.values, b.history.loss.values)
    for name in a.trained:
        assert_same(a.parameters[name], b.parameters[name], name)


def test_mini_batches_go_through_all_sequences_in_a_seeded_order() -> None:
    rng = np.random.default_rng(0)
    u = [rng.normal(size=(n, 2)) for n in (5, 8, 5, 6, 8, 5, 7)]
    y = [0.3 * np.cumsum(a, axis=0) for a in u]
    options = {"batch_size": 3, "epochs": 6, "learning_rate": 0.01}
    a = ls.fit(NETWORK, u, y, seed=1, **options)
    assert_same(a.history.loss.values, ls.fit(NETWORK, u, y, seed=1, **options).history.loss.values)
    other = ls.fit(NETWORK, u, y, seed=2, **options)
    assert abs(a.history.loss.values[1:] - other.history.loss.values[1:]).max() > 1e-6
    in_order = ls.fit(NETWORK, u, y, shuffle=False, **options)
    # Without steps to speak of every order has the same mean over all samples.
    still = options | {"learning_rate": 1e-12}
    whole = ls.fit(NETWORK, u, y, epochs=1, learning_rate=1e-12)
    for shuffle in (True, False):
        losses = ls.fit(NETWORK, u, y, shuffle=shuffle, **still).history.loss.values
        assert_close(losses, np.full(6, float(whole.history.loss[0])), 1e-9)
    # Three steps an epoch: by hand, in order.
    diagram = ls.build(NETWORK)
    for chosen in ([0, 1, 2], [3, 4, 5], [6]):
        step = ls.fit(
            diagram, [u[k] for k in chosen], [y[k] for k in chosen],
            epochs=1, learning_rate=0.01, optimizer="sgd",
        )  # fmt: skip
        diagram = step.apply(ls.build(NETWORK))
    plain = options | {"epochs": 1, "optimizer": "sgd", "shuffle": False}
    assert_close(ls.fit(NETWORK, u, y, **plain).blocks["y", "K"], step.blocks["y", "K"], 1e-13)
    assert in_order.epochs == 6


def test_sequences_of_more_lengths_than_objectives_are_kept() -> None:
    rng = np.random.default_rng(3)
    u = [rng.normal(size=(n, 2)) for n in range(1, 25)]
    y = [0.3 * np.cumsum(a, axis=0) for a in u]
    compiled = ls.compile(ls.build(NETWORK), engine="numpy")
    losses = [compiled.loss_and_gradient(a, b)[0] for a, b in zip(u, y, strict=True)]
    expected = np.average(losses, weights=[len(a) for a in u])
    result = ls.fit(NETWORK, u, y, epochs=2, learning_rate=1e-12, engine="numpy")
    assert_close(result.history.loss.values, np.full(2, expected), 1e-9)


def test_states_are_carried_from_sequence_to_sequence() -> None:
    u, y = two()
    whole = ls.fit(NETWORK, U, Y, epochs=1)
    carried = ls.fit(NETWORK, u, y, epochs=1, carry="sequences")
    assert_close(carried.history.loss.values, whole.history.loss.values, 1e-14)
    reset = ls.fit(NETWORK, u, y, epochs=1)
    assert abs(float(reset.history.loss[0] - whole.history.loss[0])) > 1e-4
    # With almost no learning every epoch begins anew, or goes on.
    still = {"epochs": 3, "learning_rate": 1e-12}
    anew = ls.fit(NETWORK, u, y, carry="sequences", **still)
    assert_close(anew.history.loss.values, np.full(3, float(whole.history.loss[0])), 1e-9)
    on = ls.fit(NETWORK, u, y, carry="epochs", **still)
    twice = ls.simulate(ls.build(NETWORK), np.tile(U, (3, 1))).y.values.reshape(3, 25, 2)
    assert_close(on.history.loss.values, np.mean((twice - Y) ** 2, axis=(1, 2)), 1e-9)


def test_carried_states_and_mini_batches_go_in_the_order_of_time() -> None:
    u, y = two((13, 12))
    still = {"epochs": 2, "learning_rate": 1e-12, "carry": "sequences", "shuffle": False}
    result = ls.fit(NETWORK, u, y, batch_size=1, **still)
    assert_close(result.history.loss.values, np.full(2, loss_of(ls.build(NETWORK), U, Y)), 1e-9)


def test_a_diagram_of_several_sources_takes_a_mapping() -> None:
    bd = ls.blockdiagram()
    clock = bd.clock(0.1, name="clock")
    total = bd.SUM("++", name="total")
    for port, name in enumerate(("left", "right")):
        gain = bd.MATRIXGAIN(np.eye(1), name=f"K{name}")
        bd.connect(bd.FROMWORKSPACE(clock, width=1, name=name), gain)
        bd.connect(gain, total[port])
    bd.connect(total, bd.TOWORKSPACE(clock, name="out"))
    inputs = {"left": U[:, :1], "right": U[:, 1:]}
    target = 2 * U[:, :1] - 3 * U[:, 1:]
    result = ls.fit(bd, inputs, target, epochs=400, learning_rate=0.05)
    assert_close(result.parameters["Kleft"], [[2.0]], 1e-4)
    assert_close(result.parameters["Kright"], [[-3.0]], 1e-4)
    both = ls.fit(bd, [inputs, inputs], [target, target], epochs=400, learning_rate=0.05)
    assert_close(both.parameters["Kleft"], result.parameters["Kleft"], 1e-9)


# --- Reasons to stop


def test_early_stopping_returns_the_arrays_that_were_best_on_the_validation_data() -> None:
    rng = np.random.default_rng(6)
    noisy = Y[:12] + 0.5 * rng.normal(size=(12, 2))
    result = ls.fit(
        NETWORK, U[:12], noisy, validation=(U[12:], Y[12:]), patience=20, epochs=5000,
        learning_rate=0.02,
    )  # fmt: skip
    losses = result.history.validation_loss.values
    assert result.reason == "patience"
    assert result.best_epoch == int(np.argmin(losses)) + 1 == result.epochs - 20
    assert result.validation_loss == losses.min()
    assert result.network is not None
    assert_close(loss_of(ls.build(result.network), U[12:], Y[12:]), losses.min(), 1e-13)
    assert result.loss > float(result.history.loss[-1])  # it went on to fall on the training data
    assert "patience" in result.to_json()


def test_arrays_that_nothing_improves_are_returned_as_they_were() -> None:
    perfect = ls.simulate(ls.build(NETWORK), U).y.values
    result = ls.fit(NETWORK, U, Y, validation=(U, perfect), patience=3, epochs=50)
    assert (result.reason, result.best_epoch, result.epochs) == ("patience", 0, 3)
    assert result.network == NETWORK


def test_divergence_keeps_the_last_good_arrays_and_says_what_to_change() -> None:
    with pytest.warns(UserWarning, match="smaller learning rate than 1e") as caught:
        result = ls.fit(NETWORK, U, Y, optimizer="sgd", learning_rate=1e155, epochs=50)
    assert result.reason == "diverged"
    assert np.isfinite(result.loss)
    assert "clip" in result.message
    assert result.message in str(result)
    assert str(caught[0].message) == result.message
    assert caught[0].filename == __file__
    for array in result.parameters.values():
        assert np.isfinite(array).all()


def test_a_loss_beyond_the_bound_is_divergence() -> None:
    first = loss_of(ls.build(NETWORK), U, Y)
    with pytest.warns(UserWarning, match="diverged after 1 epoch:"):
        result = ls.fit(NETWORK, U, Y, optimizer="sgd", learning_rate=1e3, max_loss=2 * first)
    assert (result.reason, result.loss <= 2 * first) == ("diverged", True)
    assert (result.history.loss <= 2 * first).all()
    assert result.best_epoch == result.epochs - 1
    with refused(NonFiniteSignalError, "where it begins"):
        ls.fit(NETWORK, U, Y, max_loss=first / 2)


def test_the_last_step_of_all_is_looked_at_too() -> None:
    with pytest.warns(UserWarning, match="diverged after 1 epoch:"):
        result = ls.fit(NETWORK, U, Y, optimizer="sgd", learning_rate=1e200, epochs=1)
    assert (result.reason, result.best_epoch) == ("diverged", 0)
    assert result.network == NETWORK


def test_an_overflow_before_training_names_the_block() -> None:
    bd = ls.blockdiagram()
    clock = bd.clock(0.1, name="clock")
    total = bd.SUM("++", name="total")
    delay, gain = bd.UNITDELAY(clock, 0.0, name="z"), bd.MATRIXGAIN(1e30, name="gain")
    bd.connect(bd.FROMWORKSPACE(clock, width=1, name="u"), total[0])
    bd.connect(gain, total[1])
    bd.connect(total, delay)
    bd.connect(delay, gain)
    bd.connect(total, bd.TOWORKSPACE(clock, name="out"))
    with refused(NonFiniteSignalError, "gain", "sample 11"):
        ls.fit(bd, U[:, :1], Y[:, :1])
    network = ls.Network([NETWORK.recurrent[0], ls.Dense(np.full((2, 3), 1e200))], Ts=0.1)
    with refused(NonFiniteSignalError, "where it begins"):  # the loss overflows, but no signal
        ls.fit(network, U, Y)


# --- Bad data

CONSTANT = np.ones((25, 2))
BAD_DATA: dict[str, tuple[Any, Any, type[Exception], tuple[str, ...]]] = {
    "a shorter target": (U, Y[:-1], ShapeError, ("(24, 2)", "(25, 2)", "does not fit the input")),
    "a longer target": (U[:-1], Y, ShapeError, ("(25, 2)", "(24, 2)")),
    "a target that is too wide": (U, U[:, [0, 1, 1]], ShapeError, ("outputs", "(25, 3)")),
    "a target on its side": (U, Y.T, ShapeError, ("transpose",)),
    "an input that is too narrow": (U[:, :1], Y, ShapeError, ("block 'u'", "(25, 1)")),
    "a target with NaN": (U, np.where(Y > 0.5, np.nan, Y), InvalidValueError, ("NaN", "target")),
    "an input with Inf": (np.where(U > 1, np.inf, U), Y, InvalidValueError, ("NaN or Inf",)),
    "no samples": (U[:0], Y[:0], ShapeError, ("at least one sample",)),
    "no sequences": ([], [], ShapeError, ("at least one sample",)),
    "a sequence without a target": ([U, U], [Y], ShapeError, ("2 sequences in, 1 targets",)),
    "an empty sequence": ([U, U[:0]], [Y, Y[:0]], ShapeError, ("at least one sample",)),
    "a sequence that is wrong": ([U, U], [Y, Y[:3]], ShapeError, ("sequence 1",)),
    "a constant target": (U, CONSTANT, InvalidValueError, ("constant_target=True",)),
    "text": (U, [["a", "b"]] * 25, InvalidTypeError, ("text",)),
    "no target": (U, None, InvalidTypeError, ("target",)),
    "no input": (None, Y, InvalidValueError, ("no values",)),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_data_that_do_not_fit_are_refused(name: str) -> None:
    u, target, kind, words = BAD_DATA[name]
    with refused(kind, *words):
        ls.fit(NETWORK, u, target, epochs=1)


def test_a_constant_target_that_is_meant_is_trained_on() -> None:
    result = ls.fit(NETWORK, U, CONSTANT, constant_target=True, epochs=300, learning_rate=0.02)
    assert result.loss < 0.02 * float(result.history.loss[0])


def test_other_mistakes_are_refused() -> None:
    with refused(InvalidTypeError, "cannot be trained", "Network"):
        ls.fit(ls.compile(ls.build(NETWORK)), U, Y)  # type: ignore[arg-type]
    with refused(InvalidValueError, "patience", "validation"):
        ls.fit(NETWORK, U, Y, patience=3)
    with refused(InvalidTypeError, "validation=(u, y)"):
        ls.fit(NETWORK, U, Y, validation=U)  # type: ignore[arg-type]
    with refused(ShapeError, "the validation data"):
        ls.fit(NETWORK, U, Y, validation=(U, Y[:3]))
    with refused(InvalidValueError, "weight decay", "'Q*'"):
        ls.fit(NETWORK, U, Y, weight_decay=0.1, decayed="Q*")
    bd = ls.blockdiagram()
    clock = bd.clock(0.1, name="clock")
    bd.connect(bd.FROMWORKSPACE(clock, width=1, name="u"), bd.NULL(1, name="end"))
    with refused(DiagramError, "no output", "TOWORKSPACE"):
        ls.fit(bd, U[:, :1], Y[:, :1])


# --- What is said


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
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ls.fit(NETWORK, U, Y, **SHORT)


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
