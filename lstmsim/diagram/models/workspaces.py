"""Workspaces and inputs: the arrays of a model, read from files, and made into a network.

A workspace has the names ``W R b h0 c0 F Ts`` for one layer with a dense head, optionally
``bF`` (the head's bias) and ``u`` (the input); in a stack ``W1 R1 b1 h01 c01``, ``W2 …``.
``kind``, or ``kind1``, ``kind2`` …, says the kind of the layers; without it they are LSTM.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import (
    DataFileError,
    DiagramError,
    FloatArray,
    InvalidValueError,
    atomic_write,
    check_mapping,
    check_target,
    existing,
    real_array,
    sample_rows,
    sample_time,
)
from lstmsim.diagram import structure
from lstmsim.diagram.models.catalogue import BLOCKS
from lstmsim.diagram.wiring.network import build
from lstmsim.networks import DEFAULT_KIND, KINDS, Dense, Layer, Network, Recurrent

AnyLayer = TypeVar("AnyLayer", bound=Layer)

#: Endings of workspace files.
WORKSPACE_ENDINGS = (".npz", ".mat")


def load_workspace(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays of a workspace file.

    Parameters
    ----------
    path : path
        An `.npz` file without pickles, or a `.mat` file of MATLAB's version 7 or older.

    Returns
    -------
    dict of ndarray
        By name, as they are in the file.

    Raises
    ------
    FileAccessError, DataFileError
        If it cannot be read, or is of another kind.
    """
    file = existing(path, "the workspace file")
    suffix = file.suffix.lower()
    if suffix == ".npz":
        return _read_npz(file)
    if suffix == ".mat":
        return _read_mat(file)
    raise DataFileError(
        "this is not a kind of workspace file",
        where=str(file),
        given=suffix or "no ending",
        expected=".npz or .mat",
        mend="np.savez(file, W=W, R=R, ...) in Python, or save(file, 'W', 'R', ...) in MATLAB",
    )


def save_workspace(workspace: Mapping[str, Any] | Network, path: str | os.PathLike[str]) -> None:
    """Save the arrays of a workspace, whole or not at all.

    Parameters
    ----------
    workspace : mapping of str to array_like, or Network
        Real numbers by name, and the layers' kinds; or the network that they make.
    path : path
        With the ending `.npz`, or `.mat` for MATLAB (version 5 format; vectors become columns).

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If it is not a mapping to arrays of finite real numbers.
    DataFileError
        If the ending is another one.
    FileAccessError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "mine.npz"
    >>> save_workspace({"W": np.eye(4, 1), "Ts": 0.1}, file)
    >>> load_workspace(file)["W"].shape
    (4, 1)
    """
    if isinstance(workspace, Network):
        workspace = workspace.workspace()
    check_mapping(workspace, "the workspace")
    check_target(path, WORKSPACE_ENDINGS, "workspace")
    arrays: dict[str, npt.NDArray[Any]] = {
        str(name): np.array(str(np.asarray(value).item()))
        if re.fullmatch(r"kind[0-9]*", str(name))
        else real_array(value, str(name), "the workspace")
        for name, value in workspace.items()
    }
    content = io.BytesIO()
    if Path(path).suffix.lower() == ".mat":
        from scipy.io import savemat

        savemat(content, arrays, oned_as="column", long_field_names=True)
    else:
        np.savez(content, **arrays)  # type: ignore[arg-type]
    with atomic_write(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def load_input(path: str | os.PathLike[str], name: str = "u") -> FloatArray:
    """Read an input of shape (T, Ni).

    Parameters
    ----------
    path : path
        A `.csv` file with one row a sample (a line of names at the top is passed over), a
        `.npy` file, or a `.npz` or `.mat` file with an array of the name, or one array alone.
    name : str, optional
        The array to take of a file with several.

    Returns
    -------
    ndarray of shape (T, Ni)

    Raises
    ------
    FileAccessError, DataFileError, ShapeError, InvalidTypeError, InvalidValueError
        If it cannot be read, or is not a table of finite real numbers.
    """
    file = existing(path, "the input file")
    suffix = file.suffix.lower()
    where = str(file)
    if suffix in (".npz", ".mat"):
        arrays = load_workspace(file)
        if name not in arrays and len(arrays) != 1:
            raise DataFileError(
                "the file does not say which array is meant",
                where=where,
                given=f"arrays {', '.join(arrays) or '(none)'}",
                expected=f"an array {name}, or one array alone",
            )
        return sample_rows(arrays.get(name, next(iter(arrays.values()))), name, where)
    if suffix == ".npy":
        try:
            return sample_rows(np.load(file, allow_pickle=False), name, where)
        except (EOFError, ValueError, OSError) as error:
            if isinstance(error, InvalidValueError):
                raise
            raise _damaged(file, "an .npy file without pickles", error) from None
    if suffix == ".csv":
        return sample_rows(_read_csv(file), name, where)
    raise DataFileError(
        "this is not a kind of input file",
        where=where,
        given=suffix or "no ending",
        expected=".csv, .npy, .npz or .mat",
    )


def _damaged(file: Path, expected: str, error: Exception) -> DataFileError:
    return DataFileError(
        "the file cannot be read",
        where=str(file),
        given=str(error).splitlines()[0] if str(error) else type(error).__name__,
        expected=expected,
        mend="is the file whole, and of the kind that its ending says?",
    )


def _read_npz(file: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        if not zipfile.is_zipfile(file):
            raise zipfile.BadZipFile("this is not a zip archive, as .npz files are")
        with np.load(file, allow_pickle=False) as loaded:
            return {name: loaded[name] for name in loaded.files}
    except (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        if "pickle" in str(error).lower():
            raise DataFileError(
                "the workspace file holds pickled objects",
                where=str(file),
                given="an array of objects",
                expected="arrays of numbers: a pickle can run any code when it is read",
                mend="save plain arrays: np.savez(file, W=np.asarray(W, float), ...)",
            ) from None
        raise _damaged(file, "an .npz file", error) from None


def _read_mat(file: Path) -> dict[str, npt.NDArray[Any]]:
    from scipy.io import loadmat

    try:
        loaded = loadmat(file)
    except NotImplementedError:
        raise DataFileError(
            "MATLAB files of version 7.3 cannot be read",
            where=str(file),
            given="version 7.3 (HDF5)",
            expected="version 7 or older",
            mend="save it in MATLAB with save(file, 'W', 'R', ..., '-v7')",
        ) from None
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise _damaged(file, "a .mat file of version 7 or older", error) from None
    return {name: array for name, array in loaded.items() if not name.startswith("__")}


def _read_csv(file: Path) -> npt.NDArray[np.float64]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(file, "text", error) from None
    lines = [(k, line) for k, line in enumerate(text.splitlines(), start=1) if line.strip()]
    numbered = [(k, line.split(",")) for k, line in lines]
    if numbered and not any(_is_number(cell) for cell in numbered[0][1]):
        numbered = numbered[1:]
    rows = [row for _, row in numbered]
    for number, row in numbered:
        bad = [cell for cell in row if not _is_number(cell)]
        if bad or len(row) != len(rows[0]):
            raise DataFileError(
                "a line of the input file is not a sample",
                where=f"{file}, line {number}",
                given=f"{bad[0].strip()!r}" if bad else f"{len(row)} columns",
                expected=f"{len(rows[0])} numbers, separated by commas",
            )
    if not rows:
        raise DataFileError(
            "the input file has no samples",
            where=str(file),
            given="no line with numbers",
            expected="one line a sample, numbers separated by commas",
        )
    return np.array([[float(cell) for cell in row] for row in rows])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python's own: 2_000


def network_from_workspace(workspace: Mapping[str, Any]) -> Network:
    """Make the network whose arrays a workspace has.

    Parameters
    ----------
    workspace : mapping of str to array_like
        ``W R b h0 c0 Ts`` with optional ``F`` and ``bF``, or ``W1 R1 b1 h01 c01``, ``W2 …``.

    Returns
    -------
    Network
        The layers in series, with the dense head if there is an ``F``.

    Raises
    ------
    InvalidTypeError
        If the workspace is not a mapping.
    InvalidValueError
        If names are missing, or it has those of one layer and of a stack.
    ShapeError
        If the shapes do not chain.

    Examples
    --------
    >>> import lstmsim as ls
    >>> network_from_workspace(ls.published.layer_workspace())
    Network(4 inputs -> LSTM(3 units) -> Dense(2 outputs), Ts=0.1 s, 102 parameters)
    """
    check_mapping(workspace, "the workspace")
    numbers: list[str] = []
    while f"W{len(numbers) + 1}" in workspace:
        numbers.append(str(len(numbers) + 1))
    if numbers and "W" in workspace:
        raise InvalidValueError(
            "the workspace has the arrays of one layer and of a stack",
            where="the workspace",
            given="W and W1",
            expected="W R b h0 c0, or W1 R1 b1 h01 c01, W2 …",
        )
    suffixes = numbers or [""]
    beyond = sorted(n for n in workspace if re.fullmatch(r"W[0-9]+", n) and n[1:] not in suffixes)
    if beyond and "W" not in workspace:
        raise InvalidValueError(
            "the numbers of the stack's layers have a gap",
            where="the workspace",
            given=", ".join([*(f"W{s}" for s in numbers), *beyond]),
            expected="W1, W2, W3 … without a gap",
        )
    if "bF" in workspace and "F" not in workspace:
        raise InvalidValueError(
            "the workspace has the bias of a dense layer, but not its gain",
            where="the workspace",
            given="bF",
            expected="F and bF, or neither",
        )
    kinds = {suffix: _kind(workspace, suffix) for suffix in suffixes}
    wanted = [name + s for s, kind in kinds.items() for name in _required(kind)]
    missing = [name for name in [*wanted, "Ts"] if name not in workspace]
    if missing:
        raise InvalidValueError(
            "the workspace lacks names that make a network",
            where="the workspace",
            given=f"names {', '.join(sorted(workspace)) or '(none)'}",
            expected=", ".join(missing),
        )
    layers: list[Recurrent | Dense] = [
        _layer(kind, workspace, suffix) for suffix, kind in kinds.items()
    ]
    if "F" in workspace:
        layers.append(_layer(Dense, workspace, ""))
    return Network(layers, Ts=sample_time(workspace["Ts"], "the workspace"))


def recurrent_layer(workspace: Mapping[str, Any], suffix: str) -> Recurrent | None:
    """Return the layer whose arrays' names end in a suffix, None if some of them are missing."""
    kind = _kind(workspace, suffix)
    if any(name + suffix not in workspace for name in _required(kind)):
        return None
    return _layer(kind, workspace, suffix)


def _required(kind: type[Layer]) -> list[str]:
    """Return the names that a workspace has to have for a layer of a kind."""
    return [name for field, name in kind.workspace_names.items() if field not in kind.optional]


def _layer(kind: type[AnyLayer], workspace: Mapping[str, Any], suffix: str) -> AnyLayer:
    names = {field: name + suffix for field, name in kind.workspace_names.items()}
    return kind(**{field: workspace[name] for field, name in names.items() if name in workspace})


def _kind(workspace: Mapping[str, Any], suffix: str) -> type[Recurrent]:
    """Return the kind of a layer, as the workspace says."""
    said = workspace.get(f"kind{suffix}", workspace.get("kind", DEFAULT_KIND))
    text = np.asarray(said).reshape(-1)
    kind = KINDS.get(str(text[0])) if text.size == 1 else None
    if kind is None:
        raise InvalidValueError(
            "there is no layer of this kind",
            where="the workspace",
            given=f"kind = {said}",
            expected=", ".join(KINDS),
            mend=f"leave kind out for {DEFAULT_KIND}",
        )
    return kind


def check_diagram_is_network(diagram: BlockDiagram, network: Network) -> None:
    """Refuse a diagram whose blocks, wires or values are not those of the network.

    Raises
    ------
    DiagramError
        If they differ: what would be checked against the network's reference is not it.
    """
    ours, theirs = _contents(diagram), _contents(build(network))
    differing = sorted(
        str(name) for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)
    )
    if differing:
        raise DiagramError(
            "the model is not the network that the workspace's names make",
            where="; ".join(differing[:5]) + (" …" if len(differing) > 5 else ""),
            given=f"a model of {len(diagram)} blocks that differs in {len(differing)} places",
            expected=repr(network),
            mend="run the model without the check, or check it against traces of your own",
        )


def _contents(diagram: BlockDiagram) -> dict[str, Any]:
    """Return blocks, parameters and wires of a diagram in a form that can be compared."""
    contents: dict[str, Any] = {"sample time": [clock.T for clock in structure.clocks(diagram)]}
    for block in diagram.blocklist:
        kind = str(block.type).upper()
        parameters = BLOCKS.get(kind, {})
        values = {
            name: np.asarray(parameter.read(block)).tolist()
            for name, parameter in parameters.items()
            if kind != "FROMWORKSPACE"
        }
        contents[f"block {block.name}"] = (kind, values)
    for wire in diagram.wirelist:
        into = f"input {wire.end.port} of block {wire.end.block.name}"
        contents[into] = (wire.start.block.name, wire.start.port)
    return contents
