"""Writing model files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import DiagramError, atomic_write
from lstmsim.blocks import place
from lstmsim.diagram import structure
from lstmsim.diagram.models.catalogue import BLOCKS, INSTEAD


def save(
    diagram: BlockDiagram,
    path: str | os.PathLike[str],
    *,
    expressions: Mapping[str, Mapping[str, str]] | None = None,
    script: str | None = None,
) -> None:
    """Save a diagram as a model file that bdedit and `load` open.

    Parameters
    ----------
    diagram : BlockDiagram
        Made of the blocks in `lstmsim.diagram.models.BLOCKS`.
    path : path
        Where to; conventionally with the ending `.bd`.
    expressions : mapping, optional
        By block name and parameter name, the expression (with ``=``) to write instead of the
        value: ``{"Wi": {"K": "=W[0:len(h0)]"}}``.
    script : str, optional
        A script beside the model, which bdedit's Run button starts with the model's path.

    Raises
    ------
    DiagramError
        If the diagram has a block that model files cannot have, or several clocks.
    FileAccessError
        If the file cannot be written.

    Notes
    -----
    Values are kept to the last bit.  The clock becomes ``=clock``: `load` takes its period
    from the workspace's Ts.  A source's samples are saved with it if it has any.
    """
    structure.check_names(diagram)
    used = [clock for clock in diagram.clocklist if clock.blocklist]
    if len(used) > 1:
        raise DiagramError(
            "the diagram has several clocks",
            where="save",
            given=", ".join(f"{clock.name} ({clock.T:g} s)" for clock in used),
            expected="one clock: model files have the workspace's sample time Ts",
        )
    override = {name: dict(values) for name, values in (expressions or {}).items()}
    model = _model(diagram, override, script)
    unused = [f"{b}.{p}" for b, values in override.items() for p in values]
    if unused:
        raise DiagramError(
            "an expression is for a parameter that the diagram does not have",
            where="save",
            given=", ".join(unused),
        )
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")


def _model(
    diagram: BlockDiagram, override: dict[str, dict[str, str]], script: str | None
) -> dict[str, Any]:
    drivers = {(w.end.block.name, w.end.port): w.start for w in diagram.wirelist}
    positions = _positions(diagram)
    sockets: dict[tuple[str, str, int], int] = {}
    blocks: list[dict[str, Any]] = []
    for block in diagram.blocklist:
        kind, name = str(block.type).upper(), str(block.name)
        if kind not in BLOCKS:
            raise DiagramError(
                "the diagram has a block that model files cannot have",
                where=place(block),
                block=block.name,
                given=kind,
                expected=", ".join(BLOCKS),
                mend=f"use {INSTEAD[kind]}" if kind in INSTEAD else None,
            )
        first = drivers.get((name, 0))
        # A delay in a feedback path is drawn from right to left, with its driver to the right.
        flipped = bool(
            block.hasstate
            and first is not None
            and positions[first.block.name][0] > positions[name][0]
        )
        sides = {"in": 3 if flipped else 1, "out": 1 if flipped else 3}
        entry: dict[str, Any] = {
            "id": len(sockets) + len(blocks) + 1,
            "block_type": kind,
            "title": name,
            "pos_x": positions[name][0],
            "pos_y": positions[name][1],
            "width": 100,
            "height": 100,
            "flipped": flipped,
            "inputsNum": block.nin,
            "outputsNum": block.nout,
        }
        for side, ports in (("in", block.nin), ("out", block.nout)):
            entry[f"{side}puts"] = []
            for port in range(ports):
                number = len(sockets) + len(blocks) + 2
                sockets[name, side, port] = number
                entry[f"{side}puts"].append(
                    {
                        "id": number,
                        "index": port,
                        "multi_wire": side == "out",
                        "position": sides[side],
                        "socket_type": 1 if side == "in" else 2,
                    }
                )
        known = BLOCKS[kind]
        own = override.get(name, {})
        entry["parameters"] = [
            [key, own.pop(key) if key in own else _plain(parameter.read(block))]
            for key, parameter in known.items()
        ]
        if not own:
            override.pop(name, None)
        blocks.append(entry)
    next_id = len(sockets) + len(blocks) + 1
    wires: list[dict[str, Any]] = []
    for wire in diagram.wirelist:
        wires.append(
            {
                "id": next_id + len(wires),
                "start_socket": sockets[wire.start.block.name, "out", wire.start.port],
                "end_socket": sockets[wire.end.block.name, "in", wire.end.port],
                "wire_type": 3,
                "custom_routing": False,
                "wire_coordinates": [],
            }
        )
    if script is not None:
        left = min(x for x, _ in positions.values())
        top = min(y for _, y in positions.values())
        blocks.append(_main_block(next_id + len(wires), script, (left, top)))
    return {
        "id": 0,
        "created_by": "lstmsim",
        "creation_time": 0,
        "simulation_time": 10.0,
        "scene_width": 4000,
        "scene_height": 4000,
        "blocks": blocks,
        "wires": wires,
        "labels": [],
        "grouping_boxes": [],
    }


def _main_block(number: int, script: str, pos: tuple[float, float]) -> dict[str, Any]:
    return {
        "id": number,
        "block_type": "MAIN",
        "title": "Run",
        "pos_x": pos[0],
        "pos_y": pos[1],
        "width": 100,
        "height": 100,
        "flipped": False,
        "inputsNum": 0,
        "outputsNum": 0,
        "inputs": [],
        "outputs": [],
        "parameters": [["file name", script]],
    }


def _plain(value: Any) -> Any:
    """Return a value for JSON: numbers exactly, arrays as lists."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _positions(diagram: BlockDiagram) -> dict[str, tuple[float, float]]:
    """Return every block's position, the picture centred on the origin.

    Blocks without a position go below the others, in rows.
    """
    placed = {str(b.name): b.pos for b in diagram.blocklist if b.pos is not None}
    below = max((y for _, y in placed.values()), default=-140) + 140
    left = min((x for x, _ in placed.values()), default=0)
    loose = [str(b.name) for b in diagram.blocklist if b.pos is None]
    for n, name in enumerate(loose):
        placed[name] = (left + 180 * (n % 6), below + 140 * (n // 6))
    xs, ys = zip(*placed.values(), strict=True)
    middle_x, middle_y = (20 * round((min(v) + max(v)) / 40) for v in (xs, ys))
    return {name: (x - middle_x, y - middle_y) for name, (x, y) in placed.items()}
