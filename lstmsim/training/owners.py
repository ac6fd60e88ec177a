"""Whose arrays are trained: a network's, a workspace's, or those of the blocks themselves.

An owner has named arrays, and can say what the parameters of the blocks would be if the arrays
were others.  That is all that is known of how the ones become the others: which element goes
where is found by trying (`lstmsim.training.mapping`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import DiagramError, FloatArray, LstmsimError
from lstmsim.diagram import BLOCKS, Origin, build, origin, passed_on
from lstmsim.engine import parameters
from lstmsim.networks import LSTM, Dense, Network

#: By block name and parameter name, as the engine has them.
Blocks = dict[tuple[str, str], FloatArray]


class Owner(Protocol):
    """Named arrays, and the blocks' parameters that they make."""

    @property
    def arrays(self) -> dict[str, FloatArray]:
        """The arrays that can be trained, as they are now."""

    @property
    def states(self) -> set[str]:
        """Names of the arrays that are nothing but initial states."""

    def blocks(self, arrays: Mapping[str, FloatArray]) -> Blocks:
        """Return the blocks' parameters with other arrays; those that are not given stay.

        A parameter that cannot be computed from these arrays is left out.
        """

    def expression(self, block: str) -> str:
        """Return the words for what a block's parameter is computed from."""


def _flat(blocks: Mapping[str, Mapping[str, Any]]) -> Blocks:
    return {
        (block, name): np.asarray(array, np.float64)
        for block, arrays in blocks.items()
        for name, array in arrays.items()
    }


def network_arrays(network: Network) -> dict[str, FloatArray]:
    """Return a network's arrays under the names that workspaces use.

    Examples
    --------
    >>> import lstmsim as ls
    >>> sorted(network_arrays(ls.published.layer_example()[0]))
    ['F', 'R', 'W', 'b', 'c0', 'h0']
    """
    arrays: dict[str, FloatArray] = {}
    stacked = len(network.recurrent) > 1
    for number, layer in enumerate(network.recurrent, start=1):
        for name in ("W", "R", "b", "h0", "c0"):
            arrays[f"{name}{number if stacked else ''}"] = getattr(layer, name)
    if network.head is not None:
        arrays["F"] = network.head.F
        if network.head.bias is not None:
            arrays["bF"] = network.head.bias
    return arrays


def network_with(network: Network, arrays: Mapping[str, FloatArray]) -> Network:
    """Return a network with other arrays, named as `network_arrays` names them."""
    new = {**network_arrays(network), **arrays}
    layers: list[LSTM | Dense] = []
    stacked = len(network.recurrent) > 1
    for number, layer in enumerate(network.recurrent, start=1):
        W, R, b, h0, c0 = (
            new[f"{name}{number if stacked else ''}"] for name in ("W", "R", "b", "h0", "c0")
        )
        layers.append(LSTM(W, R, b, h0=h0, c0=c0, name=layer.name))
    if network.head is not None:
        layers.append(Dense(new["F"], new.get("bF")))
    return Network(layers, Ts=network.Ts)


@dataclass(frozen=True)
class NetworkOwner:
    """A network: each layer's stacked W, R and b, the head's F and bF, and initial states."""

    network: Network

    @property
    def arrays(self) -> dict[str, FloatArray]:
        """The network's arrays, under the names that workspaces use."""
        return network_arrays(self.network)

    @property
    def states(self) -> set[str]:
        """Names of h0 and c0 of every layer."""
        return {name for name in self.arrays if name[:2] in ("h0", "c0")}

    def blocks(self, arrays: Mapping[str, FloatArray]) -> Blocks:
        """Return the parameters of the blocks that the network is built of."""
        return _flat(parameters(build(network_with(self.network, arrays)).blocklist))

    def expression(self, block: str) -> str:
        """Return the words for a block of the network."""
        return f"the network's block {block}"


@dataclass(frozen=True)
class BlocksOwner:
    """A diagram wired by hand: the blocks' own parameters, under the blocks' names."""

    diagram: BlockDiagram

    @property
    def arrays(self) -> dict[str, FloatArray]:
        """The blocks' arrays, by block name."""
        return {block: array for (block, _), array in self._now().items()}

    @property
    def states(self) -> set[str]:
        """Names of the delays."""
        return {block for block, name in self._now() if name == "x0"}

    def blocks(self, arrays: Mapping[str, FloatArray]) -> Blocks:
        """Return the parameters, which are the arrays."""
        now = self._now()
        return {key: np.reshape(arrays.get(key[0], v), v.shape) for key, v in now.items()}

    def expression(self, block: str) -> str:
        """Return the words for a block's own parameter."""
        return f"the parameter of block {block}"

    def _now(self) -> Blocks:
        return _flat(parameters(self.diagram.blocklist))


@dataclass(frozen=True)
class WorkspaceOwner:
    """A diagram loaded from a model file: the arrays of its workspace.

    What a file says in plain numbers is part of the model, and stays.  So do names that are used
    for something else too: bounds, samples of a source, Ts.
    """

    diagram: BlockDiagram
    origin: Origin

    @property
    def arrays(self) -> dict[str, FloatArray]:
        """The workspace's arrays whose numbers become parameters."""
        values: set[str] = set()
        fixed = {"Ts"}
        for key, names in self._names().items():
            values |= names
            if key not in self._trainable():
                fixed |= names
        known = self.origin.workspace
        free = [name for name in known if name in values - fixed]
        return {name: np.array(known[name], np.float64) for name in free}

    @property
    def states(self) -> set[str]:
        """Names whose numbers become nothing but initial values of delays."""
        by_use: dict[bool, set[str]] = {True: set(), False: set()}
        for key, names in self._names().items():
            by_use[self._trainable().get(key) == "x0"] |= names
        return by_use[True] - by_use[False]

    def blocks(self, arrays: Mapping[str, FloatArray]) -> Blocks:
        """Return the parameters, expressions evaluated over a workspace with these arrays."""
        workspace = {**self.origin.workspace, **arrays}
        found = _flat(parameters(self.diagram.blocklist))
        for title, name in self._trainable():
            key = (title, self._trainable()[title, name])
            try:
                found |= _flat(parameters([self.origin.block(title, workspace)]))
            except LstmsimError:
                found.pop(key, None)
        return found

    def expression(self, block: str) -> str:
        """Return the words for a block's expressions."""
        entry = self.origin.entries[block]
        texts = [f"{name} {entry.parameters[name]}" for name in entry.trees if name != "clock"]
        return f"{entry.where}, parameter {', '.join(texts)}"

    def check_unchanged(self) -> None:
        """Refuse a diagram whose blocks are not any more what its file and workspace say."""
        now = _flat(parameters(self.diagram.blocklist))
        said = self.blocks({})
        changed = sorted(
            {key[0] for key in now if key not in said or not np.array_equal(now[key], said[key])}
        )
        if changed:
            raise DiagramError(
                "the diagram was changed after it was loaded",
                where=", ".join(changed[:5]),
                given="parameters that are not those of its workspace",
                expected="a diagram as load has made it: its workspace is what is trained",
                mend="put the new numbers into the workspace, and load the model again",
            )

    def _trainable(self) -> dict[tuple[str, str], str]:
        """Return the engine's name for every parameter of the file with an expression."""
        found = {}
        lowered = parameters(self.diagram.blocklist)
        for title, entry in self.origin.entries.items():
            for name in entry.trees:
                if title in lowered and BLOCKS[entry.kind][name].kind in ("array", "vector"):
                    found[title, name] = next(iter(lowered[title]))
        return found

    def _names(self) -> dict[tuple[str, str], set[str]]:
        return {
            (title, name): passed_on(tree)
            for title, entry in self.origin.entries.items()
            for name, tree in entry.trees.items()
        }


def owner_of(model: Network | BlockDiagram) -> tuple[BlockDiagram, Owner]:
    """Return the diagram that is trained, and whose arrays are."""
    if isinstance(model, Network):
        return build(model), NetworkOwner(model)
    came_from = origin(model)
    if came_from is None:
        return model, BlocksOwner(model)
    owner = WorkspaceOwner(model, came_from)
    owner.check_unchanged()
    return model, owner
