"""From trained arrays to the parameters of blocks, and back for gradients.

Which element of which array an element of a block's parameter is, is found by evaluating the
same expressions over arrays of marks, numbers that occur once.  Where a mark arrives unchanged
the parameter is a selection of the arrays, and the gradient goes back the same way; an element
that several blocks share gets the sum.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lstmsim.base import DiagramError, FloatArray, InvalidValueError
from lstmsim.engine import Place
from lstmsim.training.owners import Owner

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Trained:
    """The trained arrays as one flat vector, and its way into the engine's.

    Parameters
    ----------
    arrays : dict of ndarray
        What is trained, by name, as it was before.
    kept : dict of ndarray
        The owner's other arrays.
    starts : ndarray of int
        Where each trained array begins in the flat vector.
    index : ndarray of int
        For every element of the engine's vector its place in the pool: the trained elements, and
        after them the engine's own numbers.
    order, borders, used : ndarray of int
        The engine's elements sorted by the trained element that they are, where each of these
        begins in that order, and which they are.
    """

    arrays: dict[str, FloatArray]
    kept: dict[str, FloatArray]
    starts: npt.NDArray[np.intp]
    index: npt.NDArray[np.intp]
    order: npt.NDArray[np.intp]
    borders: npt.NDArray[np.intp]
    used: npt.NDArray[np.intp]

    @property
    def size(self) -> int:
        """How many numbers are trained."""
        return sum(array.size for array in self.arrays.values())

    @property
    def sizes(self) -> npt.NDArray[np.intp]:
        """How many numbers each trained array has."""
        return np.array([array.size for array in self.arrays.values()], np.intp)

    def pool(self, engine: Array) -> Array:
        """Return the pool: the trained elements, then the engine's vector as it is now."""
        own = [array.reshape(-1) for array in self.arrays.values()]
        return np.concatenate([*own, engine]).astype(engine.dtype)

    def spread(self, pool: Array, out: Array) -> None:
        """Write the engine's vector that a pool makes."""
        np.take(pool, self.index, out=out, mode="clip")

    def gather(self, gradient: Array, out: Array) -> None:
        """Write the gradient by the trained elements, from that by the engine's."""
        if len(self.used) == len(out) == len(self.order):
            np.take(gradient, self.order, out=out, mode="clip")
        else:
            out[...] = 0
            out[self.used] = np.add.reduceat(gradient[self.order], self.borders)

    def split(self, values: Array) -> dict[str, FloatArray]:
        """Return a flat vector's parts by name, in their shapes, in double precision."""
        parts = np.split(np.asarray(values, np.float64), self.starts[1:])
        shapes = ((name, array.shape) for name, array in self.arrays.items())
        return {name: part.reshape(s).copy() for (name, s), part in zip(shapes, parts, strict=True)}


def trained(
    owner: Owner,
    layout: Mapping[tuple[str, str], Place],
    frozen: Iterable[str],
    train_states: bool,
) -> Trained:
    """Return what is trained of an owner's arrays.

    Raises
    ------
    InvalidValueError
        If a pattern of frozen names matches none, or nothing is left to train.
    DiagramError
        If a block's parameter is computed from trained arrays, not selected.
    """
    arrays = owner.arrays
    chosen = _chosen(owner, arrays, tuple(frozen), train_states)
    random = np.random.default_rng(0)
    starts = np.cumsum([0, *(a.size for a in chosen.values())])
    count = int(starts[-1])
    found = []
    for _ in range(2):
        # Below 1/8 and above 0, so that no bound, root or power of a usual kind is left undefined.
        marks = random.permutation(count) + random.uniform(0.1, 0.9, count)
        marks = (marks + 1) / (8.0 * (count + 1))
        parts = np.split(marks, starts[1:-1])
        marked = {
            name: part.reshape(a.shape)
            for (name, a), part in zip(chosen.items(), parts, strict=True)
        }
        found.append((marks, owner.blocks(marked)))
    index = np.empty(sum(p.slice.stop - p.slice.start for p in layout.values()), np.intp)
    for key, place in layout.items():
        own = np.arange(place.slice.start, place.slice.stop) + count
        index[place.slice] = own
        values = [blocks.get(key) for _, blocks in found]
        first, second = values
        if first is not None and second is not None:
            selected = _selected(found[0][0], first.reshape(-1))
            same = first.reshape(-1) == second.reshape(-1)
            agrees = found[1][0][selected] == second.reshape(-1)
            if (agrees & (found[0][0][selected] == first.reshape(-1)) | same).all():
                index[place.slice] = np.where(same, own, selected)
                continue
        raise _computed(owner, key[0])
    picked = np.flatnonzero(index < count)
    order = picked[np.argsort(index[picked], kind="stable")]
    used, borders = np.unique(index[order], return_index=True)
    kept = {name: array for name, array in arrays.items() if name not in chosen}
    return Trained(chosen, kept, starts[:-1], index, order, borders, used)


def _selected(marks: FloatArray, values: FloatArray) -> npt.NDArray[np.intp]:
    """Return the places of the nearest marks from below: those that are the same, if any are."""
    order = np.argsort(marks)
    found = np.searchsorted(marks[order], values, side="right") - 1
    return order[np.maximum(found, 0)]


def _computed(owner: Owner, block: str) -> DiagramError:
    return DiagramError(
        "a block's parameter is computed from arrays that are to be trained",
        where=owner.expression(block),
        given="an expression that is more than a selection of elements",
        expected="names, indices and slices, such as =W[0:3]; elements may be used many times",
        mend="freeze the arrays (frozen=[...]), or let the model compute: a factor is a GAIN, "
        "a sum a SUM",
    )


def _chosen(
    owner: Owner, arrays: dict[str, FloatArray], frozen: tuple[str, ...], train_states: bool
) -> dict[str, FloatArray]:
    """Return the arrays to train, and refuse patterns that match none or leave none."""
    stay = set() if train_states else owner.states
    names = ", ".join(arrays) or "none: no expression of the model uses a name of the workspace"
    for pattern in frozen:
        hits = [name for name in arrays if fnmatch.fnmatchcase(name, pattern)]
        if not hits:
            raise InvalidValueError(
                "a pattern of frozen names matches nothing",
                where="frozen",
                given=repr(pattern),
                expected=f"names, or patterns such as 'R*', of: {names}",
            )
        stay |= set(hits)
    chosen = {name: array for name, array in arrays.items() if name not in stay}
    if not chosen:
        raise InvalidValueError(
            "there is nothing to train",
            where="fit",
            given=f"arrays {names}; frozen: {', '.join(frozen) or 'none'}",
            expected="at least one array that is not frozen; initial states are, unless "
            "train_states=True",
            mend="leave something out of frozen"
            if frozen
            else "write the parameters of the model's blocks as names of the workspace: =W",
        )
    return chosen
