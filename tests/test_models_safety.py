"""No text of a model file is ever run as Python."""

from __future__ import annotations

import builtins
import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.diagram import host
from lstmsim.diagram.models.catalogue import BLOCKS
from lstmsim.errors import ExpressionError, InvalidTypeError, LstmsimError, ModelFileError
from tests.helpers import entry, model, refused, written

EVERY_PARAMETER = [(kind, name) for kind, known in BLOCKS.items() for name in known]
WORKSPACE = {"Ts": 0.1, "W": np.ones((1, 1)), "u": np.ones((5, 1))}


def driven(kind: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return a model with one block "it", every input driven by a constant."""
    info = host.simulator().block_library[kind]
    nin = {"SUM": 2}.get(kind, abs(info["nin"]))
    it = entry(kind, nin, abs(info["nout"]), parameters)
    blocks = {"k": entry("CONSTANT", 0, 1, {"value": [0.5]}), "it": it}
    blocks["out"] = entry("TOWORKSPACE", 1, 0)
    return model(blocks, "k -> out", *(f"k -> it[{port}]" for port in range(nin)))


@pytest.mark.parametrize(("kind", "name"), EVERY_PARAMETER)
@pytest.mark.parametrize(
    "form",
    ["{}", "={}", "= {}", "=zeros({})", "=W[{}]", ["{}"], ["={}"], [["={}"]], {"={}": "={}"}],
    ids=str,
)
def test_code_in_a_parameter_never_runs(kind: str, name: str, form: Any, tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    attack = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    for code in (attack, f"__import__('os').system('touch {mark}')"):

        def filled(value: Any, code: str = code) -> Any:
            if isinstance(value, dict):
                return {filled(k): filled(v) for k, v in value.items()}
            if isinstance(value, list):
                return [filled(v) for v in value]
            return value.replace("{}", code)

        file = written(tmp_path, driven(kind, {name: filled(form)}))
        # Not every one is refused: a title, or a label, may be any text.
        with contextlib.suppress(LstmsimError):
            ls.simulate(ls.load(file, WORKSPACE), samples=3)
        assert not mark.exists()


@pytest.mark.parametrize(("kind", "name"), EVERY_PARAMETER)
def test_an_expression_that_calls_something_is_refused_in_every_parameter(
    kind: str, name: str, tmp_path: Path
) -> None:
    file = written(tmp_path, driven(kind, {name: "=open(W)"}))
    words = ("calls something", f"model.bd, block 'it' ({kind}), parameter {name}", "=open(W)")
    with refused(ExpressionError, *words):
        ls.load(file, WORKSPACE)


def test_nothing_is_evaluated_before_every_expression_is_allowed(tmp_path: Path) -> None:
    blocks = {
        "first": entry("CONSTANT", 0, 1, {"value": "=missing / 0"}),
        "last": entry("CONSTANT", 0, 1, {"value": "=print(1)"}),
    }
    with refused(ExpressionError, "calls something", "block 'last'"):
        ls.load(written(tmp_path, model(blocks)), {})


@pytest.mark.parametrize(
    ("name", "text"), [("title", "W"), ("labels", ["W"]), ("styles", ["W"]), ("loc", "W")]
)
def test_a_text_equal_to_a_name_of_the_workspace_stays_a_text(
    name: str, text: Any, tmp_path: Path
) -> None:
    loaded = ls.load(written(tmp_path, driven("SCOPE", {name: text})), WORKSPACE)
    assert getattr(loaded.blocknames["it"], name) == text


@pytest.mark.parametrize(
    ("kind", "name"), [("CONSTANT", "value"), ("MATRIXGAIN", "K"), ("UNITDELAY", "x0")]
)
def test_a_number_is_not_taken_from_a_text_without_its_equals_sign(
    kind: str, name: str, tmp_path: Path
) -> None:
    with refused(InvalidTypeError, "text where a number is needed", "'W'", "write =W"):
        ls.load(written(tmp_path, driven(kind, {name: "W"})), WORKSPACE)


def test_a_text_parameter_is_never_an_array(tmp_path: Path) -> None:
    with refused(InvalidTypeError, "the parameter is not text", "parameter title"):
        ls.load(written(tmp_path, driven("SCOPE", {"title": "=W"})), WORKSPACE)


def test_loading_and_running_a_model_never_calls_eval(monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = ls.published.layer_workspace()
    ls.simulate(ls.load(ls.model_path("lstm_layer"), workspace))

    def forbidden(*arguments: Any) -> Any:
        raise AssertionError(f"eval{arguments}")

    monkeypatch.setattr(builtins, "eval", forbidden)
    traces = ls.simulate(ls.load(ls.model_path("lstm_layer"), workspace))
    assert traces.y.shape == (51, 2)


def test_the_script_of_a_model_is_not_started_by_loading_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("raise SystemExit('started')")
    content = driven("GAIN", {"K": 2.0})
    content["blocks"].append(entry("MAIN", 0, 0, {"file name": str(script)}) | {"title": "Run"})
    assert sorted(ls.load(written(tmp_path, content), WORKSPACE).blocknames) == ["it", "k", "out"]


def test_a_title_that_looks_like_code_is_a_name(tmp_path: Path) -> None:
    blocks = {"exit()": entry("CONSTANT", 0, 1), "end": entry("TOWORKSPACE", 1, 0)}
    bd = ls.load(written(tmp_path, model(blocks, "exit() -> end")), WORKSPACE)
    assert ls.simulate(bd, samples=2)["exit()"].values.tolist() == [[0.0], [0.0]]


def test_a_clock_is_no_parameter_of_the_file(tmp_path: Path) -> None:
    for text in ("clock", "=Ts", "= clock", 0.1):
        file = written(tmp_path, driven("UNITDELAY", {"clock": text}))
        with refused(ModelFileError, "clock is always the workspace's", repr(text), "=clock"):
            ls.load(file, WORKSPACE)
