"""Which arrays are trained, and which of their elements the parameters of blocks are.

A source has named arrays, and says what the parameters of the blocks would be if the arrays were
others, without building anything.  `map_parameters` asks for the parameters of arrays that hold
their elements' numbers: where a number arrives unchanged, the parameter is a selection of the
arrays, and the gradient goes back the same way.  An element that several blocks share gets the
sum.
"""

from __future__ import annotations

import collections
import copy
import fnmatch
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import DiagramError, FloatArray, InvalidValueError, LstmsimError
from lstmsim.blocks import KINDS
from lstmsim.diagram import BLOCKS, Origin, block_parameters, origin, passed_on
from lstmsim.engine import Compiled, Span, assign
from lstmsim.networks import Network

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.intp]
#: By block name and the engine's name of the parameter.
Blocks = dict[tuple[str, str], FloatArray]


class ParameterSource(Protocol):
    """Named arrays, and the blocks' parameters that they make."""

    @property
    def arrays(self) -> dict[str, FloatArray]:
        """The arrays that can be trained, as they are now."""

    @property
    def states(self) -> set[str]:
        """Names of the arrays that are nothing but initial states."""

    def block_parameters(self, arrays: Mapping[str, FloatArray]) -> Blocks:
        """Return the blocks' parameters with other arrays; those that are not given stay.

        A parameter that cannot be computed from these arrays is left out.
        """

    def describe(self, block: str) -> str:
        """Return the words for what a block's parameter is computed from."""

    def models(self, arrays: dict[str, FloatArray]) -> tuple[Network | None, dict[str, Any] | None]:
        """Return the network and the workspace with other arrays, None for what there is not."""


@dataclass(frozen=True)
class NetworkSource:
    """A network: each layer's stacked W, R and b, the head's F and bF, and initial states."""

    network: Network

    @property
    def arrays(self) -> dict[str, FloatArray]:
        """The network's arrays, under the names that workspaces use."""
        return self.network.arrays()

    @property
    def states(self) -> set[str]:
        """Names of the initial states of every layer."""
        return set(self.network.states)

    def block_parameters(self, arrays: Mapping[str, FloatArray]) -> Blocks:
        """Return the parameters of the blocks that the network is built of."""
        return block_parameters(self.network.replace(**arrays))

    def describe(self, block: str) -> str:
        """Return the words for a block of the network."""
        return f"the network's block {block}"

    def models(self, arrays: dict[str, FloatArray]) -> tuple[Network | None, dict[str, Any] | None]:
        """Return the network with other arrays, and its workspace."""
        network = self.network.replace(**arrays)
        return network, network.workspace()


@dataclass(frozen=True)
class BlocksSource:
    """A diagram wired by hand: the blocks' own parameters, under the blocks' names."""

    now: Blocks

    @cached_property
    def _names(self) -> dict[tuple[str, str], str]:
        """The name of every parameter: that of its block, if it is the block's only one."""
        several = collections.Counter(block for block, _ in self.now)
        return {(b, name): b if several[b] == 1 else f"{b}.{name}" for b, name in self.now}

    @property
    def arrays(self) -> dict[str, FloatArray]:
        """The blocks' arrays."""
        return {name: self.now[key] for key, name in self._names.items()}

    @property
    def states(self) -> set[str]:
        """Names of the delays."""
        return {array for (_, name), array in self._names.items() if name == "x0"}

    def block_parameters(self, arrays: Mapping[str, FloatArray]) -> Blocks:
        """Return the parameters, which are the arrays."""
        return {key: arrays.get(name, self.now[key]) for key, name in self._names.items()}

    def describe(self, block: str) -> str:
        """Return the words for a block's own parameter."""
        return f"the parameter of block {block}"

    def models(self, arrays: dict[str, FloatArray]) -> tuple[Network | None, dict[str, Any] | None]:
        """Return neither a network nor a workspace."""
        return None, None


class Expression(NamedTuple):
    """A parameter of a model file that is an expression, and the engine's array that it becomes.

    Parameters
    ----------
    key : tuple of str
        The block, and the engine's name of the parameter.
    name : str
        The file's name of the parameter.
    order : ndarray of int
        The place in the engine's array of every element of the file's.
    """

    key: tuple[str, str]
    name: str
    order: Indices


@dataclass(frozen=True)
class WorkspaceSource:
    """A diagram loaded from a model file: the arrays of its workspace.

    What a file says in plain numbers is part of the model, and stays.  So do names that are used
    for something else too: bounds, samples of a source, Ts.
    """

    diagram: BlockDiagram
    origin: Origin
    now: Blocks

    @cached_property
    def _expressions(self) -> list[Expression]:
        """The file's expressions that become parameters which can be trained."""
        by_attribute = {
            (block, KINDS[self.origin.entries[block].kind].trained[name]): name
            for block, name in self.now
        }
        return [
            self._expression(title, name, by_attribute[title, attribute])
            for title, entry in self.origin.entries.items()
            for name in entry.trees
            if (title, attribute := BLOCKS[entry.kind][name].attribute) in by_attribute
        ]

    def _expression(self, title: str, name: str, parameter: str) -> Expression:
        """Return a parameter of the file, and where its elements are in the engine's array."""
        # A block whose engine's array holds its elements' places: its parameter of the file then
        # tells their order (a GAIN that multiplies from the right is transposed).
        numbered = copy.copy(self.diagram.blocknames[title])
        shape = self.now[title, parameter].shape
        assign(numbered, {parameter: np.arange(math.prod(shape)).reshape(shape)})
        order = BLOCKS[self.origin.entries[title].kind][name].read(numbered)
        return Expression((title, parameter), name, np.ravel(order).astype(np.intp))

    @cached_property
    def _uses(self) -> dict[str, set[str]]:
        """What the names of the workspace are used for: parameters of the engine, or "other"."""
        trained = {(e.key[0], e.name): e.key[1] for e in self._expressions}
        uses: dict[str, set[str]] = {}
        for title, entry in self.origin.entries.items():
            for name, tree in entry.trees.items():
                for array in passed_on(tree):
                    uses.setdefault(array, set()).add(trained.get((title, name), "other"))
        return uses

    @cached_property
    def arrays(self) -> dict[str, FloatArray]:
        """The workspace's arrays whose numbers become parameters."""
        return {
            name: np.array(value, np.float64)
            for name, value in self.origin.workspace.items()
            if name in self._uses and "other" not in self._uses[name] and name != "Ts"
        }

    @property
    def states(self) -> set[str]:
        """Names whose numbers become nothing but initial values of delays."""
        return {name for name, uses in self._uses.items() if uses == {"x0"}}

    def block_parameters(self, arrays: Mapping[str, FloatArray]) -> Blocks:
        """Return the parameters, expressions evaluated over a workspace with these arrays."""
        workspace = {**self.origin.workspace, **arrays}
        found = dict(self.now)
        for key, name, order in self._expressions:
            entry = self.origin.entries[key[0]]
            flat = np.empty(len(order))
            try:
                value = entry.value(name, {**workspace, **entry.used(name, workspace)})
                flat[order] = np.reshape(value, len(order))
            except (LstmsimError, ValueError):
                del found[key]
            else:
                found[key] = flat.reshape(found[key].shape)
        return found

    def describe(self, block: str) -> str:
        """Return the words for a block's expressions."""
        entry = self.origin.entries[block]
        texts = [f"{name} {entry.parameters[name]}" for name in entry.trees if name != "clock"]
        return f"{entry.where}, parameter {', '.join(texts)}"

    def models(self, arrays: dict[str, FloatArray]) -> tuple[Network | None, dict[str, Any] | None]:
        """Return the workspace with other arrays."""
        return None, {**self.origin.workspace, **arrays}

    def check_unchanged(self) -> None:
        """Refuse a diagram whose blocks are not any more what its file and workspace say.

        Raises
        ------
        DiagramError
            If a parameter differs from its expression over the workspace.
        """
        said = self.block_parameters({})
        changed = sorted(
            {
                key[0]
                for key, array in self.now.items()
                if key not in said or not np.array_equal(array, said[key])
            }
        )
        if changed:
            raise DiagramError(
                "the diagram was changed after it was loaded",
                where=", ".join(changed[:5]),
                given="parameters that are not those of its workspace",
                expected="a diagram as load has made it: its workspace is what is trained",
                mend="put the new numbers into the workspace, and load the model again",
            )


def parameter_source(model: Network | BlockDiagram, compiled: Compiled) -> ParameterSource:
    """Return whose arrays are trained: a network's, a workspace's, or the blocks' own.

    Raises
    ------
    DiagramError
        If a diagram is not any more what its file and workspace say.
    """
    if isinstance(model, Network):
        return NetworkSource(model)
    came_from, now = origin(model), block_arrays(compiled)
    if came_from is None:
        return BlocksSource(now)
    source = WorkspaceSource(model, came_from, now)
    source.check_unchanged()
    return source


def block_arrays(compiled: Compiled) -> Blocks:
    """Return the parameters of a diagram's blocks, as they were when it was compiled."""
    return {
        (block, name): np.asarray(array, np.float64)
        for block, arrays in compiled.graph.parameters.items()
        for name, array in arrays.items()
    }


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
    # What is computed from numbers may be a number too: 2·1 is 2.  A second numbering tells it
    # from a selection: no computation of a usual kind gives 1/2 of 1 and 1/3 of 1/2.
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
