"""From trained arrays to the parameters of blocks, and back for gradients.

`map_parameters` asks a source for the parameters of arrays that hold their elements' numbers:
where a number arrives unchanged, the parameter is a selection of the arrays, and the gradient goes
back the same way.  An element that several blocks share gets the sum.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lstmsim.base import Array, DiagramError, FloatArray, InvalidValueError
from lstmsim.engine import Span
from lstmsim.training.sources import Blocks, ParameterSource

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class ParameterMap:
    """The trained arrays as one flat vector, and its way into the engine's.

    Parameters
    ----------
    arrays : dict of ndarray
        What is trained, by name, as it was before.
    starts : ndarray of int
        Where each trained array begins in the flat vector.
    layout : mapping of Span
        Where a block's parameter is in the engine's vector, by (block, parameter).
    index : ndarray of int
        For every element of the engine's vector its place in the pool: the trained elements, and
        after them the engine's own numbers.
    order, borders, used : ndarray of int
        The engine's elements sorted by the trained element that they are, where each of these
        begins in that order, and which they are.
    """

    arrays: dict[str, FloatArray]
    starts: Indices
    layout: Mapping[tuple[str, str], Span]
    index: Indices
    order: Indices
    borders: Indices
    used: Indices

    @cached_property
    def size(self) -> int:
        """How many numbers are trained."""
        return int(self.sizes.sum())

    @cached_property
    def sizes(self) -> Indices:
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

    def blocks(self, values: Array, now: Blocks) -> Blocks:
        """Return the blocks' parameters with trained elements, the others as they are now."""
        own = [now[key].reshape(-1) for key in self.layout]
        flat = np.concatenate([np.asarray(values, np.float64), *own])[self.index]
        return {key: flat[place.slice].reshape(place.shape) for key, place in self.layout.items()}


def map_parameters(
    source: ParameterSource,
    layout: Mapping[tuple[str, str], Span],
    frozen: Iterable[str],
    train_states: bool,
) -> ParameterMap:
    """Return what is trained of a source's arrays.

    Raises
    ------
    InvalidValueError
        If a pattern of frozen names matches none, or nothing is left to train.
    DiagramError
        If a block's parameter is computed from trained arrays, not selected.
    """
    chosen = _chosen(source, tuple(frozen), train_states)
    starts = np.cumsum([0, *(a.size for a in chosen.values())])
    count = int(starts[-1])
    # A computation may give an element's number by chance: 2·1 is 2.  A second numbering, 1/2,
    # 1/3, 1/4 …, tells it from a selection: 2·1/2 is not 1/3.
    numberings = (np.arange(1.0, count + 1), 1 / np.arange(2.0, count + 2))
    first, second = (_numbered(source, chosen, numbers, starts) for numbers in numberings)
    index = np.empty(sum(p.slice.stop - p.slice.start for p in layout.values()), np.intp)
    for key, place in layout.items():
        own = np.arange(place.slice.start, place.slice.stop) + count
        if key in first and key in second:
            a, b = first[key].reshape(-1), second[key].reshape(-1)
            constant = a == b
            selected = np.where((a >= 1) & (a <= count), a, 1).astype(np.intp) - 1
            exact = (numberings[0][selected] == a) & (numberings[1][selected] == b)
            if (exact | constant).all():
                index[place.slice] = np.where(constant, own, selected)
                continue
        raise _computed(source, key[0])
    picked = np.flatnonzero(index < count)
    order = picked[np.argsort(index[picked], kind="stable")]
    used, borders = np.unique(index[order], return_index=True)
    return ParameterMap(chosen, starts[:-1], layout, index, order, borders, used)


def _numbered(
    source: ParameterSource, chosen: dict[str, FloatArray], numbers: FloatArray, starts: Indices
) -> Blocks:
    """Return the blocks' parameters of arrays that hold numbers in the place of their elements."""
    parts = np.split(numbers, starts[1:-1])
    arrays = ((name, array.shape) for name, array in chosen.items())
    return source.block_parameters(
        {name: part.reshape(shape) for (name, shape), part in zip(arrays, parts, strict=True)}
    )


def _computed(source: ParameterSource, block: str) -> DiagramError:
    return DiagramError(
        "a block's parameter is computed from arrays that are to be trained",
        where=source.describe(block),
        given="an expression that is more than a selection of elements",
        expected="names, indices and slices, such as =W[0:3]; elements may be used many times",
        mend="freeze the arrays (frozen=[...]), or let the model compute: a factor is a GAIN, "
        "a sum a SUM",
    )


def _chosen(
    source: ParameterSource, frozen: tuple[str, ...], train_states: bool
) -> dict[str, FloatArray]:
    """Return the arrays to train, and refuse patterns that match none or leave none."""
    arrays = source.arrays
    stay = set() if train_states else source.states
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
