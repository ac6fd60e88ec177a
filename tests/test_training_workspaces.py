"""Which elements of a workspace are which parameters, and which of them are trained."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bdsim.blockdiagram import BlockDiagram

import lstmsim as ls
from lstmsim.engine.graph import parameters
from lstmsim.errors import DiagramError, InvalidValueError
from tests.conftest import random_input, random_network, workspace_of
from tests.helpers import assert_close, assert_same, entry, model, refused, written

NETWORK = random_network(3, inputs=2, outputs=2, seed=3)
U = random_input(NETWORK, 25)
Y = np.stack([np.convolve(U[:, 0], [0.2, 0.5])[:25], np.tanh(U[:, 1])], axis=1)
SHORT = {"epochs": 15, "learning_rate": 0.02}


def loss_of(diagram: Any, u: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean((ls.simulate(diagram, u).y.values - y) ** 2))


def values_of(diagram: Any) -> dict[tuple[str, str], np.ndarray]:
    found = parameters(diagram.blocklist)
    return {(b, n): np.array(a) for b, arrays in found.items() for n, a in arrays.items()}


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


def test_a_copy_of_a_loaded_diagram_is_trained_as_the_diagram() -> None:
    diagram = ls.load("lstm_layer", workspace_of(NETWORK))
    copied = ls.fit(copy.deepcopy(diagram), U, Y, **SHORT)
    expected = ls.fit(diagram, U, Y, **SHORT)
    assert copied.trained == expected.trained == ("W", "R", "b", "F")
    for name, array in expected.parameters.items():
        assert_same(copied.parameters[name], array, name)


@pytest.mark.parametrize("model", ["network", "workspace", "blocks"])
def test_a_model_is_built_once_at_most(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    models: dict[str, Any] = {
        "network": NETWORK,
        "workspace": ls.load("lstm_layer", workspace_of(NETWORK)),
        "blocks": ls.build(NETWORK),
    }
    made = []
    init = BlockDiagram.__init__
    monkeypatch.setattr(
        BlockDiagram, "__init__", lambda self, *a, **k: (made.append(a), init(self, *a, **k))[1]
    )
    ls.fit(models[model], U, Y, epochs=1)
    assert len(made) == (model == "network")


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
