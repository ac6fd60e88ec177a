"""Whose arrays are trained: a network's, a workspace's, or those of the blocks themselves.

A source has named arrays, and says what the parameters of the blocks would be if the arrays were
others, without building anything.
"""

from __future__ import annotations

import collections
import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import DiagramError, FloatArray, LstmsimError
from lstmsim.blocks import KINDS
from lstmsim.diagram import BLOCKS, Origin, block_parameters, origin, passed_on
from lstmsim.engine import Compiled, assign
from lstmsim.networks import Network

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
    order: npt.NDArray[np.intp]


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
            if block in self.origin.entries  # others were added since
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
