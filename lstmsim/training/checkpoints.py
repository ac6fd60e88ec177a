"""Checkpoints: the state of training in one file, and training that goes on from it.

A checkpoint holds all that the next epoch depends on, to the last bit.  It also holds a
fingerprint of what is trained, on what and how: another training does not go on from it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lstmsim.base import (
    Array,
    DataFileError,
    FileAccessError,
    InvalidValueError,
    atomic_write,
    check_target,
    existing,
    remove_leftovers,
)
from lstmsim.training.data import Sequence
from lstmsim.training.loop import TrainingState
from lstmsim.training.options import TrainingOptions
from lstmsim.training.problem import Problem

_FORMAT = 1
#: Options that may change when training goes on: an epoch does not depend on them.
_MAY_DIFFER = ("epochs", "checkpoint", "checkpoint_every", "patience", "max_loss")
_NUMBERS = {"epoch": int, "steps": int, "good_epoch": int, "best_epoch": int, "best_loss": float}


def _fingerprint(problem: Problem) -> dict[str, str]:
    """Return what tells one training from another, part by part."""
    graph, options, held_out = problem.compiled.graph, problem.options, problem.held_out
    nodes = [
        (n.name, n.block, n.op.name, n.inputs, sorted(n.static.items()), n.width)
        for n in graph.nodes.values()
    ]
    parts = {
        "diagram": _hash([repr((nodes, graph.sources, graph.outputs, graph.Ts)).encode()]),
        "arrays before training": _hash(
            x
            for n, a in problem.source.arrays.items()
            for x in (f"{n}{a.shape}".encode(), a.tobytes())
        ),
        "training data": _hash_of_data(problem.sequences),
        "validation data": "none" if held_out is None else _hash_of_data(held_out),
    }
    names = (field.name for field in dataclasses.fields(options))
    return parts | {n: repr(getattr(options, n)) for n in names if n not in _MAY_DIFFER}


def _hash(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:".encode() + part)
    return digest.hexdigest()


def _hash_of_data(sequences: list[Sequence]) -> str:
    arrays = [a for s in sequences for a in (*s.inputs.values(), s.target)]
    return _hash(x for a in arrays for x in (str(a.shape).encode(), a.tobytes()))


def _stored(state: TrainingState, epochs: int) -> dict[str, Array]:
    """Return the arrays of a state that a checkpoint after some epochs holds, as views."""
    record = state.record
    memory = [array for name, array in state.memory.items() if name not in ("a", "b")]
    return {
        "pool": state.pool,
        "good": state.good,
        "best": state.best,
        "loss": record.loss[:epochs],
        "rate": record.rate[:epochs],
        "validation": record.validation[:epochs],
        "norms": record.norms[:epochs],
        **{f"memory{k}": array for k, array in enumerate(memory)},
    }


def _save(path: Path, state: TrainingState, parts: dict[str, str]) -> None:
    """Write a checkpoint, whole or not at all."""
    carried = state.carried or {}
    about = {
        "format": _FORMAT,
        "fingerprint": parts,
        "random": state.random.bit_generator.state,
        "carried": None if state.carried is None else list(carried),
        **{name: getattr(state, name) for name in _NUMBERS},
    }
    arrays = {"about": np.array(json.dumps(about)), **_stored(state, state.epoch)}
    arrays |= {f"carried{k}": value for k, value in enumerate(carried.values())}
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    with atomic_write(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def _restore(path: Path, state: TrainingState, parts: dict[str, str], problem: Problem) -> None:
    """Load a checkpoint into the state before the first epoch."""
    file = existing(path, "the checkpoint")
    try:
        if not zipfile.is_zipfile(file):  # NumPy's own error advises to load it as a pickle
            raise ValueError("no .npz file, or the end of it is missing")
        with np.load(file, allow_pickle=False) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
        if "about" not in arrays:
            raise DataFileError(
                "this is not a checkpoint",
                where=str(file),
                given=f"arrays {', '.join(arrays) or 'of no name'}",
                expected="a file that training has written",
                mend="give the path of one",
            )
        about = json.loads(str(arrays["about"]))
        if about["format"] != _FORMAT:
            raise ValueError(f"a checkpoint of format {about['format']}")
        theirs = {str(k): str(v) for k, v in about["fingerprint"].items()}
        differing = _differences(parts, theirs) + _other_rates(problem.options, arrays["rate"])
        if differing:
            raise InvalidValueError(
                "the checkpoint is one of another training",
                where=str(file),
                given="; ".join(differing),
                expected="the diagram, the data and the options that it was made with",
                mend="go on with those, or begin anew with another checkpoint file",
            )
        _load_into(state, arrays, about)
    except (DataFileError, InvalidValueError):
        raise
    except Exception as error:  # zipfile, NumPy and JSON raise many kinds for a damaged file
        text = str(error).splitlines()
        raise DataFileError(
            "the checkpoint is damaged",
            where=str(file),
            given=text[0] if text else type(error).__name__,
            expected="a whole file, as training has written it",
            mend="is it the right path? if so, remove the file, and begin anew",
        ) from None


def _load_into(state: TrainingState, arrays: dict[str, Array], about: dict[str, Any]) -> None:
    done, epochs = int(about["epoch"]), len(state.record.loss)
    if done > epochs:
        raise InvalidValueError(
            "the checkpoint is further than training is to go",
            where="epochs",
            given=f"epochs={epochs}, a checkpoint after epoch {done}",
            expected=f"epochs of at least {done}",
        )
    for name, view in _stored(state, done).items():
        if arrays[name].shape != view.shape or arrays[name].dtype != view.dtype:
            raise ValueError(f"{name} of shape {arrays[name].shape}")
        view[...] = arrays[name]
    state.random.bit_generator.state = about["random"]
    if about["carried"] is not None:
        state.carried = {n: arrays[f"carried{k}"] for k, n in enumerate(about["carried"])}
    for name, kind in _NUMBERS.items():
        setattr(state, name, kind(about[name]))


def _differences(ours: dict[str, str], theirs: dict[str, str]) -> list[str]:
    """Name the parts in which two fingerprints differ."""
    found = []
    for name in dict.fromkeys([*ours, *theirs]):
        a, b = ours.get(name, "none"), theirs.get(name, "none")
        if a != b:
            is_hash = len(a) == 64 or len(b) == 64
            found.append(f"other {name}" if is_hash else f"{name}={a}, not {b}")
    return found


def _other_rates(options: TrainingOptions, done: Array) -> list[str]:
    """Name the first learning rate that differs: a schedule may depend on how many epochs."""
    for k, theirs in enumerate(done):
        ours = options.rate(k)
        if ours != theirs:
            rates = f"a learning rate of {ours:g} in epoch {k + 1}, not {theirs:g}"
            return [f"over {options.epochs} epochs {rates}"]
    return []


class CheckpointWriter:
    """Writes checkpoints that are due; a failed write is a warning, not an error.

    Parameters
    ----------
    problem : Problem
        What is trained; its options say where to, and how often.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem, self._path = problem, problem.options.checkpoint
        self._parts = {} if self._path is None else _fingerprint(problem)
        self._saved, self._failing = -1, False

    def begin(self, state: TrainingState, resume: bool) -> None:
        """Load the checkpoint that training goes on from, if there is one.

        Raises
        ------
        DataFileError, FileAccessError, InvalidValueError
            If the path is not writable, holds a checkpoint that would be overwritten, or one
            that training cannot go on from.
        """
        if self._path is None:
            return
        check_target(self._path, (".npz",), "checkpoint")
        remove_leftovers(self._path)
        if not self._path.exists():
            return
        if not resume:
            raise FileAccessError(
                "there is a checkpoint already",
                where=str(self._path),
                given="a file of this name",
                expected="a new file, or training that goes on from this one",
                mend="go on with resume=True (--resume), or choose another path, or remove the "
                "file",
            )
        _restore(self._path, state, self._parts, self._problem)

    def after(self, state: TrainingState) -> None:
        """Write a checkpoint if one is due after this epoch."""
        if state.epoch % self._problem.options.checkpoint_every == 0:
            self.save(state)

    def save(self, state: TrainingState) -> None:
        """Write a checkpoint, or warn."""
        if self._path is None or state.epoch == self._saved:
            return
        try:
            _save(self._path, state, self._parts)
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
