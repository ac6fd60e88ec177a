"""Model files: what is saved is what is loaded, and the shipped ones are what `build` makes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bdsim.blockdiagram import BlockDiagram

import lstmsim as ls
from lstmsim.diagram import host, structure
from lstmsim.diagram.models.catalogue import BLOCKS
from lstmsim.errors import DiagramError, FileAccessError, InvalidValueError
from tests.conftest import random_input, random_network, workspace_of
from tests.engines import Simulate
from tests.helpers import assert_same, diagram, refused, wire

RNG = np.random.default_rng(11)
SAMPLES = 6
U = RNG.standard_normal((SAMPLES, 3))


def contents(bd: BlockDiagram) -> tuple[dict[str, Any], set[tuple[Any, ...]]]:
    """Return blocks with their parameters, and wires, in a form that compares to the last bit."""
    blocks = {}
    for block in bd.blocklist:
        kind = str(block.type).upper()
        values = {name: parameter.read(block) for name, parameter in BLOCKS[kind].items()}
        blocks[block.name] = (
            kind,
            {
                name: (value.shape, value.tolist()) if isinstance(value, np.ndarray) else value
                for name, value in values.items()
            },
        )
    wires = {(w.start.block.name, w.start.port, w.end.block.name, w.end.port) for w in bd.wirelist}
    return blocks, wires


#: A block with parameters other than the default ones, and how many inputs it has.
PARAMETERS: list[tuple[str, int, dict[str, Any]]] = [
    ("SIGMOID", 1, {}),
    ("TANH", 1, {}),
    ("HADAMARD", 3, {"nin": 3}),
    ("MATRIXGAIN", 1, {"K": RNG.standard_normal((2, 3)) / 3}),
    ("VECTORGAIN", 1, {"K": RNG.standard_normal(3) / 3}),
    ("DIVIDE", 2, {}),
    ("RELU", 1, {}),
    ("LEAKYRELU", 1, {"slope": 1 / 3}),
    ("ELU", 1, {"alpha": 1 / 3}),
    ("SOFTPLUS", 1, {}),
    ("SOFTSIGN", 1, {}),
    ("HARDSIGMOID", 1, {"slope": 1 / 5, "offset": 1 / 3}),
    ("ABS", 1, {}),
    ("EXP", 1, {}),
    ("SOFTMAX", 1, {}),
    ("NORMALIZE", 1, {}),
    ("DOT", 2, {}),
    ("UNITDELAY", 1, {"x0": RNG.standard_normal(3)}),
    ("TAPPEDDELAY", 1, {"n": 2, "x0": RNG.standard_normal((2, 3))}),
    ("FROMWORKSPACE", 0, {"values": RNG.standard_normal((SAMPLES, 2)) * 1e-300}),
    ("FROMWORKSPACE", 0, {"values": RNG.standard_normal(SAMPLES)}),
    ("TOWORKSPACE", 1, {}),
    ("SUM", 3, {"signs": "-+-"}),
    ("SUM", 2, {"signs": "+-", "mode": "rcC"}),
    ("CONSTANT", 0, {"value": RNG.standard_normal(3)}),
    ("CONSTANT", 0, {"value": 1 / 3}),
    ("GAIN", 1, {"K": RNG.standard_normal((2, 3)), "premul": True}),
    ("GAIN", 1, {"K": RNG.standard_normal((3, 2))}),
    ("GAIN", 1, {"K": -np.pi}),
    ("CLIP", 1, {"min": -0.1, "max": 1 / 7}),
    ("CLIP", 1, {"min": np.array([-0.1, -np.inf, 0.3]), "max": 0.9}),
    ("CLIP", 1, {"max": 0.2}),
    ("MUX", 3, {"nin": 3}),
    ("DEMUX", 1, {"nout": 3}),
    ("INDEX", 1, {"index": [2, 0]}),
    ("ZOH", 1, {"x0": RNG.standard_normal(3)}),
    ("TIME", 0, {}),
    ("STEP", 0, {"T": 0.25, "off": -1 / 3, "on": 2.5}),
    ("RAMP", 0, {"T": 0.15, "off": 0.1, "slope": -1 / 3}),
    ("WAVEFORM", 0, {"wave": "sine", "freq": 1.7, "phase": 0.3, "amplitude": 2, "offset": 0.1}),
    ("WAVEFORM", 0, {"wave": "square", "freq": 3, "unit": "rad/s", "duty": 0.3}),
    ("WAVEFORM", 0, {"wave": "triangle", "min": -0.1, "max": 5}),
    ("NULL", 2, {"nin": 2}),
    (
        "SCOPE",
        1,
        {
            "vector": 3,
            "styles": ["k", {"color": "r"}, "b--"],
            "stairs": True,
            "scale": [-1, 1.5],
            "labels": ["a", "b", "c"],
            "grid": False,
            "title": "W",
            "loc": "upper left",
        },
    ),
    ("SCOPE", 2, {"nin": 2}),
]


def around(kind: str, inputs: int, parameters: dict[str, Any]) -> BlockDiagram:
    """Return a diagram that runs, with a block "it" between a source and a sink."""
    bd, clock = diagram()
    sampled = {"clock": clock} if "clock" in BLOCKS[kind] else {}
    it = getattr(bd, kind)(**sampled, **parameters, name="it")
    bd.FROMWORKSPACE(clock, U, name="u")
    bd.TOWORKSPACE(clock, name="out")
    wire(bd, "u -> out" if it.nout == 0 else "it -> out" if it.nout == 1 else "it[1] -> out")
    return host.compile_diagram(wire(bd, *(f"u -> it[{port}]" for port in range(inputs))))


def test_every_block_that_model_files_may_have_is_saved_here() -> None:
    # SQRT takes no negative input; it is among all kinds in test_kinds.
    assert {kind for kind, *_ in PARAMETERS} == set(BLOCKS) - {"SQRT"}


@pytest.mark.parametrize(("kind", "inputs", "parameters"), PARAMETERS)
def test_a_saved_diagram_is_loaded_to_the_last_bit(
    kind: str, inputs: int, parameters: dict[str, Any], tmp_path: Path
) -> None:
    original = around(kind, inputs, parameters)
    ls.save(original, tmp_path / "first.bd")
    loaded = ls.load(tmp_path / "first.bd", {"Ts": 0.1})
    assert contents(loaded) == contents(original)

    expected, actual = ls.simulate(original), ls.simulate(loaded)
    assert list(actual) == list(expected)
    for name in expected:
        assert_same(actual[name].values, expected[name].values, name)

    ls.save(loaded, tmp_path / "second.bd")
    again = ls.load(tmp_path / "second.bd", {"Ts": 0.1})
    assert contents(again) == contents(original)
    ls.save(again, tmp_path / "third.bd")
    assert (tmp_path / "third.bd").read_bytes() == (tmp_path / "second.bd").read_bytes()


def test_numpy_numbers_in_a_list_are_saved_as_numbers(tmp_path: Path) -> None:
    ls.save(around("INDEX", 1, {"index": list(np.array([2, 0]))}), tmp_path / "model.bd")
    loaded = ls.load(tmp_path / "model.bd", {"Ts": 0.1})
    assert loaded.blocknames["it"].index == [2, 0]


def test_positions_are_kept_but_for_the_centre(tmp_path: Path) -> None:
    bd, clock = diagram()
    for name, pos in {"a": (100, 40), "b": (500, 40), "c": (500, 240)}.items():
        bd.UNITDELAY(clock, name=name, pos=pos)
    ls.save(wire(bd, "a -> b", "b -> c", "c -> a"), tmp_path / "model.bd")
    blocks = json.loads((tmp_path / "model.bd").read_text())["blocks"]
    assert [(b["pos_x"], b["pos_y"]) for b in blocks] == [(-200, -100), (200, -100), (200, 100)]
    assert [b["flipped"] for b in blocks] == [True, False, False]


def test_blocks_without_a_position_are_put_where_they_do_not_overlap(tmp_path: Path) -> None:
    bd, clock = diagram()
    names = [f"d{n}" for n in range(9)]
    for name in names:
        bd.UNITDELAY(clock, name=name)
    ls.save(wire(bd, *(f"{n} -> {n}" for n in names)), tmp_path / "model.bd")
    blocks = json.loads((tmp_path / "model.bd").read_text())["blocks"]
    places = {(b["pos_x"] // 140, b["pos_y"] // 140) for b in blocks}
    assert len(places) == 9


def test_a_block_that_model_files_cannot_have_is_refused_when_saving(tmp_path: Path) -> None:
    bd, _ = diagram()
    bd.PROD("**", name="product")
    with refused(DiagramError, "block 'product' (PROD)", "HADAMARD"):
        ls.save(bd, tmp_path / "model.bd")
    assert not list(tmp_path.iterdir())


def test_several_clocks_are_refused_when_saving(tmp_path: Path) -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, name="a")
    bd.UNITDELAY(bd.clock(0.3, name="slow"), name="b")
    with refused(DiagramError, "several clocks", "clock (0.1 s), slow (0.3 s)"):
        ls.save(wire(bd, "a -> b", "b -> a"), tmp_path / "model.bd")


def test_an_expression_for_a_parameter_that_is_not_there_is_refused(tmp_path: Path) -> None:
    bd = around("SIGMOID", 1, {})
    expressions = {"it": {"K": "=K"}, "nobody": {"x0": "=x"}}
    with refused(DiagramError, "it.K, nobody.x0"):
        ls.save(bd, tmp_path / "model.bd", expressions=expressions)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with refused(FileAccessError, "nowhere"):
        ls.save(around("SIGMOID", 1, {}), tmp_path / "nowhere" / "model.bd")


SIZES = [
    {"units": 3, "inputs": 4, "outputs": 2},
    {"units": 1, "inputs": 1, "outputs": 1},
    {"units": 1, "inputs": 4, "outputs": 3},
    {"units": 5, "inputs": 1, "outputs": 1},
    {"units": 4, "inputs": 4, "outputs": 4},
    {"units": (3, 3), "inputs": 4, "outputs": 2},
    {"units": (1, 1), "inputs": 1, "outputs": 1},
    {"units": (5, 2), "inputs": 1, "outputs": 3},
]


def as_given(array: Any) -> Any:
    return array


def as_columns(array: Any) -> Any:
    return np.reshape(array, (-1, 1)) if np.ndim(array) < 2 else array


def as_rows(array: Any) -> Any:
    return np.reshape(array, (1, -1)) if np.ndim(array) < 2 else array


@pytest.mark.parametrize("shaped", [as_given, as_columns, as_rows])
@pytest.mark.parametrize("size", SIZES)
def test_a_shipped_model_over_a_workspace_is_what_build_makes(
    simulate: Simulate, size: Any, shaped: Any
) -> None:
    network = random_network(**size)
    workspace = {name: shaped(array) for name, array in workspace_of(network).items()}
    name = "lstm_stacked" if len(network.recurrent) > 1 else "lstm_layer"
    loaded, built = ls.load(ls.model_path(name), workspace), ls.build(network)
    assert contents(loaded) == contents(built)
    assert [clock.T for clock in structure.clocks(loaded)] == [network.Ts]

    u = random_input(network, 5)
    expected, actual = simulate(built, u), simulate(loaded, u)
    for signal in expected:
        assert_same(actual[signal].values, expected[signal].values, signal)
        assert actual[signal].dims == expected[signal].dims


def test_a_model_whose_workspace_has_u_runs_with_it(simulate: Simulate) -> None:
    network = random_network(3, inputs=4)
    u = random_input(network, 7)
    loaded = ls.load(ls.model_path("lstm_layer"), workspace_of(network) | {"u": u})
    assert_same(simulate(loaded).y.values, simulate(ls.build(network), u).y.values, "y")


def test_a_model_without_u_is_unbound_and_runs_with_what_simulate_is_given(
    simulate: Simulate,
) -> None:
    network = random_network(3, inputs=4)
    loaded = ls.load(ls.model_path("lstm_layer"), workspace_of(network))
    assert (loaded.blocknames["u"].values, loaded.blocknames["u"].width) == (None, 4)
    with refused(InvalidValueError, "block 'u' (FROMWORKSPACE)", "simulate(diagram, u)"):
        simulate(loaded)
    u = random_input(network, 7)
    assert_same(simulate(loaded, u).y.values, simulate(ls.build(network), u).y.values, "y")


def test_the_shipped_models_are_what_the_tool_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path(__file__).parents[1] / "tools" / "make_models.py"
    specification = importlib.util.spec_from_file_location("make_models", file)
    assert specification is not None
    assert specification.loader is not None
    tool = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(tool)
    monkeypatch.setattr(tool, "DIAGRAMS", tmp_path)
    tool.main()
    written = sorted(tmp_path.iterdir())
    assert [path.name for path in written] == [
        "coupled_cell.bd",
        "lstm_layer.bd",
        "lstm_stacked.bd",
    ]
    for path in written:
        assert path.read_bytes() == ls.model_path(path.stem).read_bytes()


def test_a_model_that_is_not_shipped_is_refused_with_those_that_are() -> None:
    with refused(InvalidValueError, "'gru'", "coupled_cell or lstm_layer or lstm_stacked"):
        ls.model_path("gru")
    assert ls.model_path("lstm_layer.bd") == ls.model_path("lstm_layer")
