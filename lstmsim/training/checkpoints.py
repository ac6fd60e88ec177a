"""Checkpoints: the state of training in one file, and training that goes on from it.

What a checkpoint holds is all that the next epoch depends on, to the last bit.  It also holds a
fingerprint of what is trained, on what and how: another training does not go on from it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lstmsim.base import (
    DataFileError,
    FileAccessError,
    InvalidValueError,
    check_target,
    existing,
    remove_leftovers,
    written_whole,
)
from lstmsim.engine import Graph
from lstmsim.training.data import Sample
from lstmsim.training.history import Record
from lstmsim.training.loop import State
from lstmsim.training.options import TrainingOptions
from lstmsim.training.schedules import Cosine

Array = npt.NDArray[Any]

_FORMAT = 1
#: Options that may be others when training goes on: they do not change what an epoch does.
_FREE = ("epochs", "checkpoint", "checkpoint_every", "patience", "max_loss")
_NUMBERS = ("epoch", "steps", "good_epoch", "best_epoch", "best_loss")


def fingerprint(
    graph: Graph,
    arrays: Mapping[str, Array],
    options: TrainingOptions,
    samples: list[Sample],
    validation: list[Sample] | None,
) -> dict[str, str]:
    """Return what tells one training from another, part by part."""
    nodes = [
        (n.name, n.block, n.op.name, n.inputs, sorted(n.static.items()), n.width)
        for n in graph.nodes.values()
    ]
    parts = {
        "diagram": _hash([repr((nodes, graph.sources, graph.outputs, graph.Ts)).encode()]),
        "arrays before training": _hash(
            x for n, a in arrays.items() for x in (f"{n}{a.shape}".encode(), a.tobytes())
        ),
        "training data": _data(samples),
        "validation data": "none" if validation is None else _data(validation),
    }
    for field in dataclasses.fields(options):
        if field.name not in _FREE:
            parts[field.name] = repr(getattr(options, field.name))
    if isinstance(options.schedule, Cosine):
        parts["schedule"] += f" over {options.epochs} epochs"
    return parts


def _hash(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:".encode() + part)
    return digest.hexdigest()


def _data(samples: list[Sample]) -> str:
    arrays = [a for s in samples for a in (*s.inputs.values(), s.target)]
    return _hash(x for a in arrays for x in (str(a.shape).encode(), a.tobytes()))


def check_free(path: Path, resume: bool) -> None:
    """Refuse a path that no checkpoint can be written to, or that has one that would be lost.

    Raises
    ------
    DataFileError, FileAccessError
        If the path is not one for an `.npz` file, or there is a file that is not to be gone on
        from.
    """
    check_target(path, (".npz",), "checkpoint")
    remove_leftovers(path)
    if path.exists() and not resume:
        raise FileAccessError(
            "there is a checkpoint already",
            where=str(path),
            given="a file of this name",
            expected="a new file, or training that goes on from this one",
            mend="go on with resume=True (--resume), or choose another path, or remove the file",
        )


def save(path: Path, state: State, parts: dict[str, str]) -> None:
    """Write a checkpoint, whole or not at all.

    Raises
    ------
    FileAccessError
        If it cannot be written; the one before it is as it was.
    """
    done = state.epoch
    record = state.record
    about = {name: getattr(state, name) for name in _NUMBERS}
    about |= {
        "format": _FORMAT,
        "fingerprint": parts,
        "random": state.random.bit_generator.state,
        "memory": [name for name in state.memory if name not in ("a", "b")],
        "carried": None if state.carried is None else list(state.carried),
    }
    arrays = {
        "about": np.array(json.dumps(about)),
        "pool": state.pool,
        "good": state.good,
        "best": state.best,
        "loss": record.loss[:done],
        "rate": record.rate[:done],
        "validation": record.validation[:done],
        "norms": record.norms[:done],
    }
    for number, name in enumerate(about["memory"]):
        arrays[f"memory{number}"] = state.memory[name]
    for number, value in enumerate((state.carried or {}).values()):
        arrays[f"carried{number}"] = value
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    with written_whole(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def restore(path: Path, state: State, parts: dict[str, str], epochs: int) -> None:
    """Take over the state that a checkpoint holds.

    Raises
    ------
    FileAccessError, DataFileError
        If it cannot be read, or is damaged.
    InvalidValueError
        If it is one of another training.
    """
    file = existing(path, "the checkpoint")
    try:
        if not zipfile.is_zipfile(file):  # of which NumPy says how to load it without care
            raise ValueError("no .npz file, or the end of it is missing")
        with np.load(file, allow_pickle=False) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except Exception as error:
        raise _damaged(file, error) from None
    if "about" not in arrays:
        raise DataFileError(
            "this is not a checkpoint",
            where=str(file),
            given=f"arrays {', '.join(arrays) or 'of no name'}",
            expected="a file that training has written",
            mend="give the path of one",
        )
    try:
        about = json.loads(str(arrays["about"]))
        if about["format"] != _FORMAT:
            raise ValueError(f"a checkpoint of format {about['format']}")
        theirs = {str(k): str(v) for k, v in about["fingerprint"].items()}
    except Exception as error:  # zipfile, NumPy and JSON raise many kinds for a damaged file
        raise _damaged(file, error) from None
    _compare(file, parts, theirs)
    try:
        _take_over(state, arrays, about, epochs)
    except InvalidValueError:
        raise
    except Exception as error:
        raise _damaged(file, error) from None


def _take_over(state: State, arrays: dict[str, Array], about: dict[str, Any], epochs: int) -> None:
    done = int(about["epoch"])
    if done > epochs:
        raise InvalidValueError(
            "the checkpoint is further than training is to go",
            where="epochs",
            given=f"epochs={epochs}, a checkpoint after epoch {done}",
            expected=f"epochs of at least {done}",
        )
    pairs = [(state.pool, "pool"), (state.good, "good"), (state.best, "best")]
    pairs += [(state.memory[name], f"memory{k}") for k, name in enumerate(about["memory"])]
    record = Record.empty(epochs, state.record.norms.shape[1])
    for room, name in ((record.loss, "loss"), (record.rate, "rate"), (record.norms, "norms")):
        pairs.append((room[:done], name))
    pairs.append((record.validation[:done], "validation"))
    for room, name in pairs:
        if arrays[name].shape != room.shape or arrays[name].dtype != room.dtype:
            raise ValueError(f"{name} of shape {arrays[name].shape}")
        room[...] = arrays[name]
    state.record = record
    state.random.bit_generator.state = about["random"]
    if about["carried"] is not None:
        state.carried = {n: arrays[f"carried{k}"] for k, n in enumerate(about["carried"])}
    for name in _NUMBERS:
        kind = float if name == "best_loss" else int
        setattr(state, name, kind(about[name]))


def _compare(file: Path, ours: dict[str, str], theirs: dict[str, str]) -> None:
    said = []
    for name in dict.fromkeys([*ours, *theirs]):
        a, b = ours.get(name, "none"), theirs.get(name, "none")
        if a != b:
            said.append(f"other {name}" if len(a) == 64 or len(b) == 64 else f"{name}={a}, not {b}")
    if said:
        raise InvalidValueError(
            "the checkpoint is one of another training",
            where=str(file),
            given="; ".join(said),
            expected="the diagram, the data and the options that it was made with",
            mend="go on with those, or begin anew with another checkpoint file",
        )


def _damaged(file: Path, error: Exception) -> DataFileError:
    text = str(error).splitlines()
    return DataFileError(
        "the checkpoint is damaged",
        where=str(file),
        given=text[0] if text else type(error).__name__,
        expected="a whole file, as training has written it",
        mend="is it the right path? if so, remove the file, and begin anew",
    )


class Keeper:
    """What writes checkpoints when they are due, and goes on where one cannot be written.

    Parameters
    ----------
    options : TrainingOptions
        Where to, and how often.
    parts : dict of str
        The fingerprint.
    """

    def __init__(self, options: TrainingOptions, parts: dict[str, str]) -> None:
        self._path, self._every, self._parts = options.checkpoint, options.checkpoint_every, parts
        self._saved, self._failing = -1, False

    def after(self, state: State) -> None:
        """Write a checkpoint if one is due after this epoch."""
        if self._path is not None and state.epoch % self._every == 0:
            self.save(state)

    def save(self, state: State) -> None:
        """Write a checkpoint, or warn."""
        if self._path is None or state.epoch == self._saved:
            return
        try:
            save(self._path, state, self._parts)
            self._saved, self._failing = state.epoch, False
        except FileAccessError as error:
            if not self._failing:  # once, and not at every interval
                message = f"no checkpoint after epoch {state.epoch}, training goes on: {error}"
                warnings.warn(message, stacklevel=2)
            self._failing = True

    @property
    def how_to_go_on(self) -> str:
        """The words for someone who has interrupted training."""
        if self._path is None:
            return "nothing was saved: with checkpoint=FILE (--checkpoint) training can go on later"
        if self._failing:
            return f"its state was not saved: {self._path} cannot be written"
        return (
            f"saved in {self._path}, after epoch {self._saved}: go on with the same call and "
            "resume=True (--resume)"
        )
