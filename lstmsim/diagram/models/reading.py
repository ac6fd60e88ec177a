"""Reading model files: the JSON checked, expressions evaluated, the diagram wired."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bdsim.blockdiagram import BlockDiagram
from bdsim.components import Block

from lstmsim.base import (
    DiagramError,
    InvalidTypeError,
    LstmsimError,
    ModelFileError,
    check_mapping,
    real_array,
    real_vector,
    sample_time,
)
from lstmsim.blocks import FromWorkspace, MatrixGain, UnitDelay
from lstmsim.diagram import host, structure
from lstmsim.diagram.models import expressions
from lstmsim.diagram.models.catalogue import BLOCKS, INSTEAD, SKIPPED
from lstmsim.diagram.models.shipped import model_file
from lstmsim.diagram.models.workspaces import recurrent_layer


def _bad_file(
    path: Path,
    problem: str,
    given: str,
    *,
    where: str = "",
    expected: str | None = None,
    mend: str | None = None,
) -> ModelFileError:
    place = f"{path.name}, {where}" if where else path.name
    return ModelFileError(problem, where=place, given=given, expected=expected, mend=mend)


@dataclass(frozen=True)
class Entry:
    """One block of a file: its type, title, and parameters, expressions parsed."""

    kind: str
    title: str
    pos: tuple[float, float]
    inputs: list[int]
    outputs: list[int]
    parameters: dict[str, Any]
    trees: dict[str, ast.expr]

    @property
    def where(self) -> str:
        """The words for the block in an error."""
        return f"block {self.title!r} ({self.kind})"

    def used(self, name: str, workspace: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arrays that a parameter's expression uses; for a vector, flat.

        Raises
        ------
        InvalidTypeError, InvalidValueError
            If one does not hold finite real numbers.
        """
        arrays = {}
        for n in expressions.names(self.trees[name]) & set(workspace):
            array = real_array(workspace[n], n, "the workspace")
            flat = BLOCKS[self.kind][name].kind == "vector" and array.ndim == 2
            arrays[n] = array.reshape(-1) if flat and 1 in array.shape else array
        return arrays

    def value(self, name: str, workspace: Mapping[str, Any]) -> Any:
        """Return the value of a parameter's expression over a workspace, arrays as `used`.

        Raises
        ------
        ExpressionError, InvalidTypeError, InvalidValueError, ShapeError
            If it cannot be evaluated, or is not of the parameter's kind.
        """
        where, text = f"{self.where}, parameter {name}", self.parameters[name][1:].strip()
        value = expressions.evaluate(self.trees[name], workspace, text, where)
        return _checked(BLOCKS[self.kind][name].kind, value, name, where)


@dataclass(frozen=True)
class Origin:
    """The file and the workspace of a loaded diagram.

    Parameters
    ----------
    file : Path
        The model file.
    entries : dict of Entry
        Its blocks, by title.
    workspace : dict
        The values of the names in its expressions, as they were given.
    """

    file: Path
    entries: dict[str, Entry]
    workspace: dict[str, Any]


def origin(diagram: BlockDiagram) -> Origin | None:
    """Return the origin of a loaded diagram; None if it was built or wired by hand."""
    found: Origin | None = vars(diagram).get("origin")
    return found


def _read_json(file: Path) -> dict[str, Any]:
    """Return the JSON of a model file, if it has the parts of one."""
    try:
        model = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _bad_file(
            file,
            "this is not a model file",
            str(error),
            expected="JSON, as bdedit writes it",
            mend="is the file whole? Save the model again",
        ) from None
    parts = ("blocks", "wires")
    if not isinstance(model, dict) or not all(
        isinstance(model.get(part), list) and all(isinstance(x, dict) for x in model[part])
        for part in parts
    ):
        raise _bad_file(
            file,
            "this is not a model file",
            "JSON without lists of blocks and wires",
            expected="an object with the lists blocks and wires, as bdedit writes it",
        )
    return model


def read_entries(path: str | os.PathLike[str]) -> tuple[Path, list[Entry], dict[int, int]]:
    """Return a model file's entries, and the output socket that drives each input socket.

    Everything that the file alone can show to be wrong is refused here: nothing has been
    evaluated yet.

    Raises
    ------
    FileAccessError, ModelFileError, ExpressionError
        As `load`.
    """
    file = model_file(path)
    model = _read_json(file)
    entries = [_entry(file, n, block) for n, block in enumerate(model["blocks"])]
    if all(entry.kind in SKIPPED for entry in entries):
        raise _bad_file(
            file,
            "the model has no blocks",
            f"{len(entries)} entries",
            expected="blocks and the wires between them",
            mend="draw some in bdedit, and save the model",
        )
    return file, entries, _wires(file, entries, model["wires"])


def load(path: str | os.PathLike[str], workspace: Mapping[str, Any] | None = None) -> BlockDiagram:
    """Load a model file as a diagram, compiled and ready to run.

    Parameters
    ----------
    path : path
        A `.bd` file, or the name of a model that comes with the package.
    workspace : mapping of str to array_like, optional
        The values of the names in the file's expressions.  Vectors may be (n,), (n, 1) or
        (1, n), Ts also (1, 1).  If `u` is missing the source stays unbound until
        ``simulate(diagram, u)``.

    Returns
    -------
    BlockDiagram
        All sampled blocks are on one clock with the workspace's sample time Ts.

    Raises
    ------
    FileAccessError
        If the file cannot be read.
    ModelFileError
        If it is not a model, has a block or parameter that is not known, an open port, or two
        wires into one.
    ExpressionError
        If an expression is not allowed, or lacks a name.
    DiagramError, AlgebraicLoopError, ShapeError, InvalidTypeError, InvalidValueError
        If the diagram or a value in it is wrong.

    Examples
    --------
    >>> import lstmsim as ls
    >>> diagram = ls.load(ls.model_path("lstm_layer"), ls.published.layer_workspace())
    >>> len(diagram)
    30
    """
    file, entries, wires = read_entries(path)
    values = _checked_workspace(workspace)
    used = {n for e in entries for tree in e.trees.values() for n in expressions.names(tree)}
    if "bF" in values and "bF" not in used and "F" in used:
        raise _bad_file(
            file,
            "the model has no bias in its dense head",
            "bF in the workspace",
            expected="a model that uses bF, or a workspace without it",
            mend="add the bias to the model, or take bF out",
        )
    try:
        bd = _wired(file, entries, wires, values)
    except LstmsimError as error:
        _explain(values, used, error)
        raise
    blocks = {entry.title: entry for entry in entries if entry.kind not in SKIPPED}
    bd.origin = Origin(file, blocks, values)  # an attribute, which a copy of the diagram has too
    return bd


def _explain(values: Mapping[str, Any], used: set[str], error: LstmsimError) -> None:
    """Say what is wrong with a layer's arrays in their own terms, if that is what it is."""
    names = {n: value for n, value in values.items() if n in used or n.startswith("kind")}
    for name in sorted(names):
        if name.startswith("W"):
            try:
                recurrent_layer(names, suffix=name[1:])
            except LstmsimError as better:
                raise better from error


def _wired(
    file: Path, entries: list[Entry], wires: dict[int, int], values: dict[str, Any]
) -> BlockDiagram:
    """Return the diagram of a file's entries, compiled and checked."""
    blocks_in_file = [entry for entry in entries if entry.kind not in SKIPPED]
    bd = host.blockdiagram()
    clock = None
    if any(p.kind == "clock" for e in blocks_in_file for p in BLOCKS[e.kind].values()):
        if "Ts" not in values:
            raise ModelFileError(
                "the workspace lacks a name that the model uses",
                where=file.name,
                given=f"names {', '.join(sorted(values)) or '(none)'}",
                expected="Ts, the sample time in seconds",
                mend="add Ts to the workspace"
                if values
                else 'give a workspace: load(model, {"Ts": 0.1, ...}), on the command line '
                "--workspace FILE",
            )
        clock = bd.clock(sample_time(values["Ts"], "the workspace"), name="clock")
    sockets: dict[int, Any] = {}
    reached: dict[str, tuple[int, int]] = {}
    for entry in blocks_in_file:
        block = _make(bd, entry, values, clock, reached)
        for kind, ids, ports in (
            ("in", entry.inputs, block.nin),
            ("out", entry.outputs, block.nout),
        ):
            if len(ids) != ports:
                raise _bad_file(
                    file,
                    f"a block has another number of {kind}puts than its parameters say",
                    f"{len(ids)} sockets",
                    where=entry.where,
                    expected=f"{ports}",
                    mend="open the model in bdedit, set the parameter, and save it",
                )
        sockets |= {socket: block[port] for port, socket in enumerate(entry.outputs)}
        sockets |= {socket: block[port] for port, socket in enumerate(entry.inputs)}
    _check_rows(file, reached)
    for end, start in wires.items():
        bd.connect(sockets[start], sockets[end])
    structure.check_names(bd)
    _infer_source_widths(bd)
    host.compile_diagram(bd)
    if all(s.values is not None or s.width is not None for s in structure.sources(bd).values()):
        host.signal_widths(bd)
    return bd


def _checked_workspace(workspace: Mapping[str, Any] | None) -> dict[str, Any]:
    if workspace is None:
        return {}
    check_mapping(workspace, "the workspace")
    if "clock" in workspace:
        raise InvalidTypeError(
            "the workspace uses a reserved name",
            given="clock",
            expected="Ts, from which the clock is made",
            mend="rename the array",
        )
    return dict(workspace)


def _entry(file: Path, number: int, block: dict[str, Any]) -> Entry:
    kind, title = block.get("block_type"), block.get("title", "")
    where = f"block {title!r}"
    if not isinstance(kind, str) or kind.upper() not in BLOCKS.keys() | SKIPPED:
        instead = INSTEAD.get(str(kind).upper())
        raise _bad_file(
            file,
            "the model has a block that is not known",
            repr(kind),
            where=where,
            expected=", ".join(BLOCKS),
            mend=f"use {instead}" if instead else "use blocks of this list",
        )
    kind = kind.upper()
    try:
        inputs = [int(s["id"]) for s in sorted(block.get("inputs", []), key=_index)]
        outputs = [int(s["id"]) for s in sorted(block.get("outputs", []), key=_index)]
        pos = (float(block.get("pos_x", 0)), float(block.get("pos_y", 0)))
        pairs = block.get("parameters", [])
        given = {str(name): value for name, value in pairs}
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise _bad_file(
            file, "a block of the file is damaged", f"{type(error).__name__}: {error}", where=where
        ) from None
    if kind == "CONNECTOR" and (len(inputs), len(outputs)) != (1, 1):
        raise _bad_file(
            file,
            "a connector does not lead from one wire to others",
            f"{len(inputs)} inputs and {len(outputs)} outputs",
            expected="one input and one output",
        )
    if kind in SKIPPED:
        # A MAIN block starts a script; its sockets belong to no diagram.
        ends = (inputs, outputs) if kind == "CONNECTOR" else ([], [])
        return Entry(kind, str(title), pos, *ends, {}, {})
    if not isinstance(title, str) or not title.strip() or "/" in title:
        raise _bad_file(
            file,
            "a block's title cannot be the name of a signal",
            repr(title),
            where=f"block number {number} ({kind})",
            expected="a title that is not empty and has no slash",
            mend="rename the block",
        )
    known = BLOCKS[kind]
    parameters, trees = {}, {}
    if len(given) < len(pairs):
        raise _bad_file(
            file,
            "a block has a parameter twice",
            ", ".join(str(name) for name, _ in pairs),
            where=f"block {title!r} ({kind})",
            expected="each parameter once",
        )
    for name, value in given.items():
        if value is None or value == "" or name == "blockargs":
            continue  # bdedit's way of saying: the default
        if name not in known:
            raise _bad_file(
                file,
                "a block has a parameter that is not known",
                repr(name),
                where=f"block {title!r} ({kind})",
                expected=", ".join(known) or "no parameters",
            )
        parameters[name] = value
        if isinstance(value, str) and value.startswith("="):
            at = f"{file.name}, block {title!r} ({kind}), parameter {name}"
            trees[name] = expressions.parse(value[1:], at)
    return Entry(kind, title, pos, inputs, outputs, parameters, trees)


def _socket_id(value: Any) -> int | None:
    """Return a wire's socket id; None if it is not a whole number."""
    return value if type(value) is int else None


def _index(socket: dict[str, Any]) -> int:
    return int(socket["index"])


def _wires(file: Path, entries: list[Entry], wires: list[dict[str, Any]]) -> dict[int, int]:
    """Return the driving output socket of every input socket, connectors followed through."""
    owner: dict[int, Entry] = {}
    for entry in entries:
        for socket in (*entry.inputs, *entry.outputs):
            if socket in owner:
                raise _bad_file(
                    file, "two sockets have the same id", str(socket), where=entry.where
                )
            owner[socket] = entry
    outputs = {socket for entry in entries for socket in entry.outputs}
    through = {e.outputs[0]: e.inputs[0] for e in entries if e.kind == "CONNECTOR"}
    driver: dict[int, int] = {}
    for wire in wires:
        start, end = (_socket_id(wire.get(key)) for key in ("start_socket", "end_socket"))
        # A wire may have been drawn from its end to its start.
        if start not in outputs and end in outputs:
            start, end = end, start
        unknown = start is None or end is None
        if unknown or start not in outputs or end not in owner or end in outputs:
            raise _bad_file(
                file,
                "a wire does not lead from an output to an input",
                f"sockets {wire.get('start_socket')!r} and {wire.get('end_socket')!r}",
                expected="ids of an output socket and an input socket of the blocks",
            )
        if end in driver:
            raise _bad_file(
                file,
                "an input port has two wires",
                f"from {owner[driver[end]].title!r} and {owner[start].title!r}",
                where=f"{owner[end].where}, input port {owner[end].inputs.index(end)}",
                expected="one wire",
                mend="remove one of them",
            )
        driver[end] = start
    resolved = {}
    for entry in entries:
        if entry.kind in SKIPPED:
            continue
        for port, socket in enumerate(entry.inputs):
            at: int | None = socket
            passed = set()
            while True:
                at = driver.get(at) if at is not None else None
                if at is None or at in passed:
                    raise _bad_file(
                        file,
                        "an input port is not connected",
                        "no wire" if at is None else "connectors in a circle",
                        where=f"{entry.where}, input port {port}",
                        expected="one wire from a block's output",
                        mend="connect it in bdedit, and save the model",
                    )
                if at not in through:
                    break
                passed.add(at)
                at = through[at]
            resolved[socket] = at
    return resolved


def _check_rows(file: Path, reached: Mapping[str, tuple[int, int]]) -> None:
    """Refuse arrays whose last rows no expression uses: they are those of another size."""
    for name, (rows, length) in reached.items():
        if rows < length:
            raise _bad_file(
                file,
                "an array of the workspace has rows that no block uses",
                f"{name} with {length} rows, of which the model uses the first {rows}",
                where="the workspace",
                expected=f"{rows} rows in {name}, as the other arrays' sizes say",
                mend=f"look at the shapes of {', '.join(reached)}, or cut {name}",
            )


def _make(
    bd: BlockDiagram,
    entry: Entry,
    workspace: Mapping[str, Any],
    clock: Any,
    reached: dict[str, tuple[int, int]],
) -> Block:
    """Make one block, with evaluated and checked parameters; note the rows that they use."""
    arguments: dict[str, Any] = {}
    for name, parameter in BLOCKS[entry.kind].items():
        if parameter.kind == "clock":
            if entry.parameters.get(name, "=clock") != "=clock":
                raise ModelFileError(
                    "a sampled block's clock is always the workspace's",
                    where=f"{entry.where}, parameter {name}",
                    given=repr(entry.parameters[name]),
                    expected="=clock",
                )
            arguments[name] = clock
        elif name in entry.parameters:
            if name not in entry.trees:
                where = f"{entry.where}, parameter {name}"
                arguments[name] = _checked(parameter.kind, entry.parameters[name], name, where)
                continue
            tree = entry.trees[name]
            if _is_unbound(entry, tree, workspace):
                continue  # unbound until simulate(diagram, u)
            used = entry.used(name, workspace)
            arguments[name] = entry.value(name, {**workspace, **used})
            for n, rows in expressions.rows_used(tree, used).items():
                length = len(np.atleast_1d(used[n]))
                reached[n] = max(reached.get(n, (0, length)), (rows, length))
    if entry.title in bd.blocknames:
        raise DiagramError(
            "two blocks have the same title",
            where=entry.where,
            given=repr(entry.title),
            mend="rename one of them",
        )
    try:
        cls = host.block_class(entry.kind)
        block: Block = cls(**arguments, bd=bd, name=entry.title, pos=entry.pos)
    except LstmsimError:
        raise
    except Exception as error:
        shown = ", ".join(f"{k}={v!r}" for k, v in arguments.items() if k != "clock")
        raise ModelFileError(
            "a block cannot be made from its parameters",
            where=entry.where,
            given=f"{shown}; {error}",
        ) from None
    return block


def _is_unbound(entry: Entry, tree: ast.expr, workspace: Mapping[str, Any]) -> bool:
    """Whether a source waits for its samples: they are a name that the workspace lacks."""
    missing = isinstance(tree, ast.Name) and tree.id not in workspace
    return missing and entry.kind == "FROMWORKSPACE"


def _checked(kind: str, value: Any, name: str, where: str) -> Any:
    """Return a parameter's value as its kind, or refuse it."""
    if kind == "any":
        return value
    if kind in ("text", "flag"):
        if isinstance(value, str if kind == "text" else bool):
            return value
        raise InvalidTypeError(
            f"the parameter is not {'text' if kind == 'text' else 'true or false'}",
            where=where,
            given=repr(value),
        )
    if isinstance(value, str):
        raise InvalidTypeError(
            "the parameter is text where a number is needed",
            where=where,
            given=repr(value),
            mend=f"to mean an expression write ={value}",
        )
    if kind == "vector":
        array = real_array(value, name, where)
        # A number stays one: its signal may be added to signals of any width.
        return float(array) if array.ndim == 0 else real_vector(array, name, where).copy()
    array = (
        np.asarray(value, float)
        if kind == "array" and _has_inf(value)
        else real_array(value, name, where)
    )
    if kind == "array":
        return float(array) if array.ndim == 0 else array
    numbers = array.reshape(-1)
    if kind in ("count", "counts") and (numbers != np.round(numbers)).any():
        raise InvalidTypeError(
            "the parameter is not a whole number", where=where, given=repr(value)
        )
    if kind == "counts":
        return [int(n) for n in numbers]
    if numbers.size != 1:
        raise InvalidTypeError(
            "the parameter is not one number", where=where, given=f"shape {array.shape}"
        )
    return int(numbers[0]) if kind == "count" else float(numbers[0])


def _has_inf(value: Any) -> bool:
    """Whether a bound is infinite, as CLIP's may be; NaN is refused like anywhere."""
    try:
        array = np.asarray(value)
    except ValueError:
        return False  # ragged: that is refused as such
    return array.dtype.kind == "f" and bool(np.isinf(array).any() and not np.isnan(array).any())


def _infer_source_widths(bd: BlockDiagram) -> None:
    """Give unbound sources the width that the gain or delay they drive needs."""
    for wire in bd.wirelist:
        source, end = wire.start.block, wire.end.block
        if isinstance(source, FromWorkspace) and source.values is None and source.width is None:
            if isinstance(end, MatrixGain):
                source.width = end.K.shape[1]
            elif isinstance(end, UnitDelay):
                source.width = end.ndstates
