"""A diagram is held against a network's reference only if it is that network's."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bdsim.blockdiagram import BlockDiagram

import lstmsim as ls
from lstmsim.diagram.models.workspaces import check_diagram_is_network
from lstmsim.errors import DiagramError
from tests.conftest import (
    Case,
    block_of,
    random_network,
    remove_block,
    rewire,
    socket,
    workspace_of,
)


@pytest.mark.parametrize("name", ["published", "smallest", "stacked"])
def test_a_network_s_own_diagram_is_accepted(request: pytest.FixtureRequest, name: str) -> None:
    case: Case = request.getfixturevalue(name)
    check_diagram_is_network(case.diagram, case.network)


def test_the_shipped_models_are_networks(published: Case) -> None:
    check_diagram_is_network(
        ls.load(ls.model_path("lstm_layer"), ls.published.layer_workspace()), published.network
    )
    stack = random_network((3, 2))
    check_diagram_is_network(ls.load(ls.model_path("lstm_stacked"), workspace_of(stack)), stack)


def test_a_run_and_an_input_do_not_make_it_another_network(published: Case) -> None:
    diagram = ls.build(published.network)
    ls.simulate(diagram, published.u[:2])
    check_diagram_is_network(diagram, published.network)
    bound = ls.load(ls.model_path("lstm_layer"), ls.published.layer_workspace())
    check_diagram_is_network(bound, published.network)


def refused(diagram: BlockDiagram, network: ls.Network) -> str:
    with pytest.raises(DiagramError, match="not the network") as caught:
        check_diagram_is_network(diagram, network)
    message = str(caught.value)
    assert f"expected: {network!r}" in message
    where = re.search("where: +(.*)", message)
    assert where is not None
    return where[1]


def altered(name: str, change: Callable[[np.ndarray], object]) -> ls.Network:
    """Return the published network with one of its arrays changed in place."""
    arrays = {key: np.array(value) for key, value in ls.published.layer_workspace().items()}
    change(arrays[name])
    return ls.network_from_workspace(arrays)


def one_ulp(index: tuple[int, ...]) -> Callable[[np.ndarray], object]:
    def change(array: np.ndarray) -> None:
        array[index] = np.nextafter(array[index], np.inf)

    return change


def swap_gates(array: np.ndarray) -> None:
    array[[0, 1, 2, 3, 4, 5]] = array[[3, 4, 5, 0, 1, 2]]


@pytest.mark.parametrize(
    ("name", "change", "places"),
    [
        ("W", one_ulp((0, 0)), "block Wi"),
        ("W", one_ulp((11, 3)), "block Wo"),
        ("R", one_ulp((5, 2)), "block Rf"),
        ("b", one_ulp((7, 0)), "block bg"),
        ("F", one_ulp((1, 2)), "block y"),
        ("h0", one_ulp((2, 0)), "block h_prev"),
        ("c0", one_ulp((0, 0)), "block c_prev"),
        ("W", swap_gates, "block Wf; block Wi"),
        ("R", swap_gates, "block Rf; block Ri"),
        ("b", swap_gates, "block bf; block bi"),
    ],
)
def test_one_value_changed_in_its_last_bit_and_swapped_gates_are_named(
    published: Case, name: str, change: Callable[[np.ndarray], object], places: str
) -> None:
    assert refused(ls.build(altered(name, change)), published.network) == places


def test_another_sample_time_is_refused(published: Case) -> None:
    slower = ls.Network(published.network.layers, Ts=0.2)
    assert refused(ls.build(slower), published.network) == "sample time"


def add_block(model: dict[str, Any]) -> None:
    """Put a TANH between the output gain and the sink."""
    model["blocks"].append(
        {
            "block_type": "TANH",
            "title": "limit",
            "inputs": [{"id": 9001, "index": 0}],
            "outputs": [{"id": 9002, "index": 0}],
            "parameters": [],
        }
    )
    rewire(model, "out", 0, "limit")
    model["wires"].append({"start_socket": socket(model, "y", "outputs"), "end_socket": 9001})


def add_a_sink(model: dict[str, Any]) -> None:
    model["blocks"].append(
        {"block_type": "NULL", "title": "nowhere", "inputs": [{"id": 9001, "index": 0}]}
    )
    model["wires"].append({"start_socket": socket(model, "c", "outputs"), "end_socket": 9001})


def remove_tanh(model: dict[str, Any]) -> None:
    rewire(model, "h", 0, "c")
    remove_block(model, "tanh_c")


def other_state(model: dict[str, Any]) -> None:
    rewire(model, "y", 0, "c")


def swap_gate_wires(model: dict[str, Any]) -> None:
    rewire(model, "ig", 0, "f")
    rewire(model, "fc", 1, "i")


def other_port(model: dict[str, Any]) -> None:
    rewire(model, "c", 0, "ig")
    rewire(model, "c", 1, "fc")


def feed_back_c(model: dict[str, Any]) -> None:
    rewire(model, "h_prev", 0, "c")


def other_type(model: dict[str, Any]) -> None:
    block_of(model, "g")["block_type"] = "SIGMOID"


def other_sign(model: dict[str, Any]) -> None:
    block_of(model, "c")["parameters"] = [["signs", "+-"], ["mode", ""]]


def scaled_gain(model: dict[str, Any]) -> None:
    block_of(model, "Wo")["parameters"] = [["K", "=2*W[3*len(h0):4*len(h0)]"]]


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (add_block, "block limit"),
        (add_a_sink, "block nowhere"),
        (remove_tanh, "block tanh_c"),
        (other_state, "input 0 of block y"),
        (swap_gate_wires, "input 0 of block ig"),
        (other_port, "input 1 of block c"),
        (feed_back_c, "input 0 of block h_prev"),
        (other_type, "block g"),
        (other_sign, "block c"),
        (scaled_gain, "block Wo"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_model_that_is_wired_otherwise_is_refused(
    published: Case,
    edited_model: Callable[..., Path],
    edit: Callable[[dict[str, Any]], object],
    place: str,
) -> None:
    diagram = ls.load(edited_model(edit), ls.published.layer_workspace())
    assert place in refused(diagram, published.network).split("; ")


def test_a_head_s_bias_makes_it_another_network(published: Case) -> None:
    arrays = ls.published.layer_workspace() | {"bF": np.zeros(2)}
    biased = ls.network_from_workspace(arrays)
    assert "block Fh" in refused(published.diagram, biased)
    assert "block Fh" in refused(ls.build(biased), published.network)


def test_layers_in_another_number_make_it_another_network() -> None:
    one, two = random_network(2, inputs=2, outputs=None), random_network((2, 2), outputs=None)
    assert refused(ls.build(one), two).endswith("…")
    assert refused(ls.build(two), one).endswith("…")
