"""What several test files share: comparisons that print, expected errors, small diagrams."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bdsim.blockdiagram import BlockDiagram
from hypothesis import settings
from hypothesis import strategies as st

import lstmsim as ls
from lstmsim.diagram import host

#: For property tests: repeatable, and without a deadline that a busy machine would miss.
repeatable = settings(max_examples=30, deadline=None, derandomize=True)

seeds = st.integers(0, 2**32 - 1)
widths = st.integers(1, 5)
#: Axes before the width: samples, or sequences of a batch and samples.
leading_axes = st.lists(st.integers(1, 4), min_size=0, max_size=2).map(tuple)


OpCase = tuple[tuple[np.ndarray, ...], dict[str, Any]]


def op_case(name: str, rng: np.random.Generator, leading: tuple[int, ...], n: int) -> OpCase:
    """Return random inputs and parameters for an operation."""

    def signal(width: int = n) -> np.ndarray:
        return rng.standard_normal((*leading, width))

    match name:
        case "matvec":
            return (signal(),), {"K": rng.standard_normal((n + 1, n))}
        case "add":
            return (signal(), signal(), signal()), {"signs": "-+-"}
        case "multiply":
            return (signal(), signal(), signal()), {}
        case "scale":
            return (signal(),), {"k": rng.standard_normal(n)}
        case "clip":
            return (signal(),), {"low": -0.4, "high": rng.uniform(0, 1, n)}
        case "dot":
            return (signal(), signal()), {}
        case "divide":
            return (signal(), signal() + 4 * rng.choice([-1, 1], n)), {}
        case "sqrt":
            return (np.exp(signal()),), {}
        case "elu":
            return (signal(),), {"alpha": 0.7}
        case "leaky_relu":
            return (signal(),), {"slope": 0.1}
        case "hard_sigmoid":
            return (signal(),), {"slope": 0.2, "offset": 0.5}
        case "constant":
            return (), {"value": rng.standard_normal(n)}
        case "delay":
            return (rng.standard_normal((*(leading or (3,)), n)),), {"x0": rng.standard_normal(n)}
        case "concatenate":
            return (signal(), signal(n + 1), signal(1)), {}
        case "take":
            return (signal(),), {"index": rng.integers(0, n, n + 2)}
        case _:
            return (signal(),), {}


def assert_close(actual: Any, expected: Any, tolerance: float = 1e-12, what: str = "") -> None:
    """Compare to tolerance·max(1, |expected|), and print the largest error."""
    a, b = np.asarray(actual), np.asarray(expected)
    assert a.shape == b.shape, f"{what}: shape {a.shape}, expected {b.shape}"
    if a.size == 0:
        return
    error = np.abs(a - b) / np.maximum(1, np.abs(b))
    worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), a.shape)
    assert (error <= tolerance).all(), (
        f"{what}: largest error {error[worst]:.3g} > {tolerance:g} at {list(map(int, worst))}: "
        f"{a[worst]!r}, expected {b[worst]!r}"
    )


def assert_same(actual: Any, expected: Any, what: str = "") -> None:
    """Compare to the last bit, and print the largest difference; NaN equals NaN."""
    a, b = np.asarray(actual), np.asarray(expected)
    assert a.shape == b.shape, f"{what}: shape {a.shape}, expected {b.shape}"
    if not np.array_equal(a, b, equal_nan=True):
        difference = np.abs(a.astype(float) - b.astype(float))
        raise AssertionError(f"{what}: largest error {np.nanmax(difference):.3g}, expected none")


def difference_quotients(
    function: Any, x: np.ndarray, cotangent: np.ndarray, step: float = 1e-6
) -> np.ndarray:
    """Return the gradient of Σ cotangent·function(x) by central differences."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        shift = np.zeros(x.shape)
        shift[index] = step
        difference = np.asarray(function(x + shift)) - np.asarray(function(x - shift))
        gradient[index] = np.sum(cotangent * difference) / (2 * step)
    return gradient


@contextlib.contextmanager
def refused(kind: type[Exception], *parts: str) -> Iterator[None]:
    """Expect an error of this kind whose message has all these parts."""
    with pytest.raises(kind) as caught:
        yield
    message = str(caught.value)
    absent = [part for part in parts if part not in message]
    assert not absent, f"not in the message: {absent}\n{message}"


def diagram() -> tuple[BlockDiagram, Any]:
    """Return an empty diagram and a clock of 0.1 s in it."""
    bd = host.blockdiagram()
    return bd, bd.clock(0.1, name="clock")


def wire(bd: BlockDiagram, *wires: str) -> BlockDiagram:
    """Connect blocks by name: ``wire(bd, "u -> gain", "split[1] -> sum[0]")``."""
    for text in wires:
        (start, out), (end, into) = _ends(text)
        bd.connect(bd.blocknames[start][out], bd.blocknames[end][into])
    return bd


def _ends(text: str) -> list[tuple[str, int]]:
    """Return the names and ports in a text such as ``"split[1] -> sum"``."""
    parts = (part.strip().partition("[") for part in text.split("->"))
    return [(name, int(port.rstrip("]") or 0)) for name, _, port in parts]


def entry(
    kind: str, nin: int, nout: int, parameters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return one block of a model file, without its title and its sockets' numbers."""
    sockets = {
        "inputs": [{"index": k} for k in range(nin)],
        "outputs": [{"index": k} for k in range(nout)],
    }
    pairs = [[name, value] for name, value in (parameters or {}).items()]
    return {"block_type": kind, "pos_x": 0, "pos_y": 0, "parameters": pairs, **sockets}


def model(blocks: Mapping[str, dict[str, Any]], *wires: str) -> dict[str, Any]:
    """Return a model file's JSON: blocks by title, wires such as ``"u -> sum[1]"``."""
    sockets: dict[tuple[str, str, int], int] = {}
    for title, block in blocks.items():
        block["title"] = title
        for side in ("inputs", "outputs"):
            for socket in block[side]:
                socket["id"] = sockets[title, side, socket["index"]] = len(sockets) + 100
    lines = []
    for text in wires:
        (start, out), (end, into) = _ends(text)
        sockets_of_wire = sockets[start, "outputs", out], sockets[end, "inputs", into]
        lines.append(dict(zip(("start_socket", "end_socket"), sockets_of_wire, strict=True)))
    return {"blocks": list(blocks.values()), "wires": lines}


def written(folder: Path, content: dict[str, Any] | str, name: str = "model.bd") -> Path:
    """Write a model file, and return its path."""
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


Edit = Callable[[dict[str, Any]], object]


def block_of(content: dict[str, Any], title: str) -> dict[str, Any]:
    """Return the block of this title in a model file's JSON."""
    return next(b for b in content["blocks"] if b["title"] == title)


def parameter(title: str, name: str, value: Any) -> Edit:
    """Return an edit that sets a block's parameter."""

    def edit(content: dict[str, Any]) -> None:
        pairs = block_of(content, title)["parameters"]
        pairs[:] = [pair for pair in pairs if pair[0] != name] + [[name, value]]

    return edit


def load_edited(folder: Path, edit: Edit, **workspace: Any) -> Any:
    """Load the shipped layer's model with an edit in it, over the published workspace."""
    content = json.loads(ls.model_path("lstm_layer").read_text(encoding="utf-8"))
    edit(content)
    return ls.load(written(folder, content), ls.published.layer_workspace() | workspace)
