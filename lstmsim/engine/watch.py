"""Whether a diagram still is what was compiled."""

from __future__ import annotations

from operator import getitem
from typing import Any

import numpy as np
from bdsim.blockdiagram import BlockDiagram

from lstmsim.blocks.fromworkspace import FromWorkspace
from lstmsim.blocks.toworkspace import ToWorkspace
from lstmsim.engine.graph import Graph, lower, parameters
from lstmsim.engine.packing import Store
from lstmsim.errors import DiagramError

#: The attributes of blocks that a graph is made from; the first are numbers alone.
_NUMBERS = ("K", "value", "_x0")
_ATTRIBUTES = (*_NUMBERS, "min", "max", "signs")


class Watch:
    """The attributes of a diagram's blocks, as they were when they were last looked at.

    Parameters
    ----------
    diagram : BlockDiagram
        What was compiled.
    graph : Graph
        What it was lowered to.
    """

    def __init__(self, diagram: BlockDiagram, graph: Graph) -> None:
        self.diagram, self.graph = diagram, graph
        self._blocklist, self._wirelist = diagram.blocklist, diagram.wirelist
        self._blocks_seen, self._wires_seen = len(self._blocklist), len(self._wirelist)
        self._blocks = [
            (block, name)
            for block in diagram.blocklist
            if not isinstance(block, FromWorkspace | ToWorkspace)
            for name in _ATTRIBUTES
            if name in block.__dict__
        ]
        # Three lists, which are compared without a step in Python for each.
        self._dicts = [block.__dict__ for block, _ in self._blocks]
        self._names = [name for _, name in self._blocks]
        self._values = list(map(getitem, self._dicts, self._names))
        #: What arrays held that can be written to, by their place in the lists.
        self._contents: dict[int, bytes] = {}
        for k, value in enumerate(self._values):
            self._keep(k, value)

    def _keep(self, k: int, value: Any) -> None:
        self._values[k] = value
        self._contents.pop(k, None)
        if isinstance(value, np.ndarray) and value.flags.writeable:
            self._contents[k] = value.tobytes()

    def unchanged(self) -> bool:
        """Whether blocks' attributes are the objects, and hold the numbers, last seen."""
        try:
            # Lists compare their elements by identity first: arrays are not looked into.
            if list(map(getitem, self._dicts, self._names)) != self._values:
                return False
        except ValueError:  # another array, which does not say whether it is equal
            return False
        for k, content in self._contents.items():
            if self._values[k].tobytes() != content:
                return False
        return len(self._blocklist) == self._blocks_seen and len(self._wirelist) == self._wires_seen

    def refresh(self, store: Store) -> None:
        """Take over numbers that were replaced, or changed in place.

        Raises
        ------
        DiagramError
            If more than numbers has changed.
        """
        if self.unchanged():
            return
        found = (len(self._blocklist), len(self._wirelist))
        if found != (self._blocks_seen, self._wires_seen):
            raise DiagramError(
                "the diagram was changed after it was compiled",
                where="the compiled diagram",
                given=f"{found[0]} blocks and {found[1]} wires",
                expected=f"{self._blocks_seen} blocks and {self._wires_seen} wires",
                mend="compile it again",
            )
        values = list(map(getitem, self._dicts, self._names))
        changed = [k for k, value in enumerate(values) if value is not self._values[k]]
        changed += [k for k, held in self._contents.items() if self._values[k].tobytes() != held]
        only_numbers = all(
            self._names[k] in _NUMBERS and np.shape(values[k]) == np.shape(self._values[k])
            for k in changed
        )
        if not only_numbers and lower(self.diagram) != self.graph:
            raise DiagramError(
                "the diagram was changed after it was compiled",
                where="the compiled diagram",
                given="other sizes, signs, bounds or wires",
                expected="new numbers in parameters of the same shapes",
                mend="compile it again",
            )
        store.set(parameters({self._blocks[k][0] for k in changed}))
        for k in changed:
            self._keep(k, values[k])
