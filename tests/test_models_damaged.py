"""Model files that are damaged or wrong: refused by name, with what would have been right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import lstmsim as ls
from lstmsim.errors import (
    AlgebraicLoopError,
    DiagramError,
    FileAccessError,
    LstmsimError,
    ModelFileError,
)
from tests.helpers import (
    Edit,
    block_of,
    entry,
    load_edited,
    model,
    parameter,
    refused,
    written,
)

LAYER = ls.model_path("lstm_layer").read_text(encoding="utf-8")


def having(title: str, key: str, value: Any) -> Edit:
    """Return an edit that sets one entry of a block, such as its title or sockets."""
    return lambda content: block_of(content, title).update({key: value})


def socket(title: str, side: str, number: int, **values: Any) -> Edit:
    return lambda content: block_of(content, title)[side][number].update(values)


def first_wire(**values: Any) -> Edit:
    return lambda content: content["wires"][0].update(values)


def added(kind: str, inputs: list[int], outputs: list[int], start: int) -> Edit:
    """Return an edit that adds an entry with these sockets, and lets it drive the first wire."""

    def edit(content: dict[str, Any]) -> None:
        sockets = {
            side: [{"id": number, "index": k} for k, number in enumerate(numbers)]
            for side, numbers in (("inputs", inputs), ("outputs", outputs))
        }
        content["blocks"].append({"block_type": kind, "title": "x", "parameters": [], **sockets})
        content["wires"][0]["start_socket"] = start

    return edit


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "[]",
        "5",
        "{}",
        LAYER[: len(LAYER) // 2],
        '{"blocks": []}',
        '{"blocks": {}, "wires": []}',
        '{"blocks": [1], "wires": []}',
        '{"blocks": [], "wires": [null]}',
        "[" * 100_000,
        '{"blocks": [], "wires": []} x',
    ],
    ids=lambda text: text[:20],
)
def test_a_file_that_is_no_model_is_refused_by_name(text: str, tmp_path: Path) -> None:
    with refused(ModelFileError, "not a model file", "model.bd"):
        ls.load(written(tmp_path, text))


def test_a_file_of_other_bytes_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "model.bd").write_bytes(b"\x89PNG\r\n\xff\xfe")
    with refused(ModelFileError, "not a model file", "model.bd"):
        ls.load(tmp_path / "model.bd")


def test_a_model_without_blocks_is_refused(tmp_path: Path) -> None:
    with refused(ModelFileError, "no blocks", "model.bd"):
        ls.load(written(tmp_path, model({"Run": entry("MAIN", 0, 0)})))


@pytest.mark.parametrize("name", ["nowhere.bd", "."])
def test_a_file_that_cannot_be_read_is_refused_by_name(name: str, tmp_path: Path) -> None:
    with refused(FileAccessError, "the model file cannot be read", str(tmp_path / name)):
        ls.load(tmp_path / name)


KINDS = [
    ("PROD", "use HADAMARD: bdsim's PROD multiplies vectors as matrices"),
    ("FUNCTION", "a model file cannot hold a Python function"),
    ("INTERPOLATE", "use FROMWORKSPACE"),
    ("SUBSYSTEM", "sampled blocks cannot be in a subsystem"),
    ("GRU", "use blocks of this list"),
    (None, "use blocks of this list"),
    (5, "use blocks of this list"),
]


@pytest.mark.parametrize(("kind", "hint"), KINDS)
def test_an_unknown_block_is_refused_with_what_serves_instead(
    kind: Any, hint: str, tmp_path: Path
) -> None:
    words = ("model.bd, block 'fc'", repr(kind), "SIGMOID, TANH, HADAMARD, MATRIXGAIN", hint)
    with refused(ModelFileError, *words):
        load_edited(tmp_path, having("fc", "block_type", kind))


BLOCKS = [
    (having("fc", "title", "a/b"), "'a/b'"),
    (having("fc", "title", " "), "' '"),
    (having("fc", "title", None), "None"),
    (having("fc", "title", 5), "5"),
    (having("fc", "inputs", None), "a block of the file is damaged"),
    (having("fc", "inputs", [1, 2]), "a block of the file is damaged"),
    (having("fc", "pos_x", "left"), "a block of the file is damaged"),
    (having("fc", "parameters", "K"), "a block of the file is damaged"),
    (having("fc", "parameters", [["nin"]]), "a block of the file is damaged"),
    (socket("fc", "inputs", 0, id="a"), "a block of the file is damaged"),
    (socket("fc", "inputs", 0, index=None), "a block of the file is damaged"),
    (socket("fc", "inputs", 0, id=2), "two sockets have the same id"),
    (lambda content: block_of(content, "fc")["outputs"].clear(), "a wire does not lead"),
    (parameter("fc", "matrix", 3), "a parameter that is not known"),
    (parameter("fc", "nin", 3), "another number of inputs"),
    (parameter("h_prev", "clock", "=Ts"), "clock is always the workspace's"),
    (parameter("sum_i", "signs", "+x+"), "cannot be made from its parameters"),
    (first_wire(start_socket=None), "a wire does not lead"),
    (first_wire(end_socket=10**9), "a wire does not lead"),
    (lambda content: content["wires"].pop(0), "not connected"),
    (lambda content: content["wires"].append(content["wires"][0]), "has two wires"),
    (added("CONNECTOR", [7001], [7002], 7002), "not connected"),
]


@pytest.mark.parametrize(("edit", "words"), BLOCKS)
def test_a_wrong_block_or_wire_is_refused(edit: Edit, words: str, tmp_path: Path) -> None:
    with refused(ModelFileError, words):
        load_edited(tmp_path, edit)


DAMAGED = [
    having("fc", "block_type", []),
    having("fc", "block_type", {}),
    having("fc", "block_type", "MAIN"),
    socket("fc", "inputs", 0, id=float("inf")),
    socket("fc", "inputs", 0, index=float("inf")),
    first_wire(start_socket=[2]),
    first_wire(start_socket=2.0),
    first_wire(end_socket=7.0),
    added("CONNECTOR", [7001], [], 2),
    added("CONNECTOR", [], [7002], 7002),
    added("MAIN", [], [7002], 7002),
    parameter("Wi", "K", [[1.0, 2.0], [3.0]]),
    lambda content: block_of(content, "Wi")["parameters"].append(["K", "=W[3:6]"]),
]


@pytest.mark.parametrize("edit", DAMAGED)
def test_a_file_that_no_editor_writes_is_refused_too(edit: Edit, tmp_path: Path) -> None:
    with pytest.raises(LstmsimError):
        load_edited(tmp_path, edit)


def test_an_open_port_is_named(tmp_path: Path) -> None:
    content = json.loads(LAYER)
    ends = [s["id"] for s in block_of(content, "ig")["inputs"]]
    content["wires"] = [wire for wire in content["wires"] if wire["end_socket"] != ends[1]]
    with refused(ModelFileError, "model.bd, block 'ig' (HADAMARD), input port 1", "no wire"):
        ls.load(written(tmp_path, content), ls.published.layer_workspace())


def test_two_wires_into_one_port_are_named_with_their_blocks(tmp_path: Path) -> None:
    def edit(content: dict[str, Any]) -> None:
        start = block_of(content, "tanh_c")["outputs"][0]["id"]
        end = block_of(content, "ig")["inputs"][1]["id"]
        content["wires"].append({"start_socket": start, "end_socket": end})

    words = ("two wires", "block 'ig' (HADAMARD), input port 1", "'g' and 'tanh_c'")
    with refused(ModelFileError, *words):
        load_edited(tmp_path, edit)


def chain(*wires: str) -> dict[str, Any]:
    """Return a model in which a constant passes two connectors on its way to a sink."""
    blocks = {
        "k": entry("CONSTANT", 0, 1, {"value": [1.5]}),
        "c1": entry("CONNECTOR", 1, 1),
        "c2": entry("CONNECTOR", 1, 1),
        "end": entry("TOWORKSPACE", 1, 0),
        "other": entry("NULL", 1, 0),
    }
    return model(blocks, "k -> other", *wires)


def test_connectors_are_followed_to_the_block_behind_them(tmp_path: Path) -> None:
    bd = ls.load(written(tmp_path, chain("k -> c1", "c1 -> c2", "c2 -> end")), {"Ts": 0.1})
    assert sorted(bd.blocknames) == ["end", "k", "other"]
    assert ls.simulate(bd, samples=2).k.values.tolist() == [[1.5], [1.5]]


def test_a_wire_drawn_from_its_end_to_its_start_is_one(tmp_path: Path) -> None:
    content = chain("k -> c1", "c1 -> c2", "c2 -> end")
    for wire in content["wires"]:
        wire["start_socket"], wire["end_socket"] = wire["end_socket"], wire["start_socket"]
    assert len(ls.load(written(tmp_path, content), {"Ts": 0.1}).wirelist) == 2


@pytest.mark.parametrize(
    ("wires", "given"),
    [
        (("c1 -> c2", "c2 -> end"), "no wire"),
        (("c1 -> c2", "c2 -> c1"), "no wire"),
        (("c2 -> end", "c1 -> c2", "c2 -> c1"), "connectors in a circle"),
        (("c2 -> end", "c2 -> c2"), "connectors in a circle"),
    ],
)
def test_connectors_that_lead_nowhere_are_refused(
    wires: tuple[str, ...], given: str, tmp_path: Path
) -> None:
    with refused(ModelFileError, "block 'end' (TOWORKSPACE), input port 0", given):
        ls.load(written(tmp_path, chain(*wires)), {"Ts": 0.1})


def test_an_algebraic_loop_is_named(tmp_path: Path) -> None:
    blocks = {name: entry("GAIN", 1, 1, {"K": 0.5}) for name in ("a", "b", "c")}
    with pytest.raises(AlgebraicLoopError) as caught:
        ls.load(written(tmp_path, model(blocks, "a -> b", "b -> c", "c -> a")))
    assert any(loop in str(caught.value) for loop in ("a -> b -> c", "b -> c -> a", "c -> a -> b"))


@pytest.mark.parametrize(
    ("title", "words"), [("ig", "same title"), ("time", "same name"), ("c_prev_final", "same name")]
)
def test_a_title_that_is_taken_is_refused(title: str, words: str, tmp_path: Path) -> None:
    with refused(DiagramError, words, repr(title)):
        load_edited(tmp_path, having("fc", "title", title))
