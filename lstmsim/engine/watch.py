"""Whether a diagram still is what was compiled."""

from __future__ import annotations

from operator import getitem, is_
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
        self._structure = (len(diagram.blocklist), len(diagram.wirelist))
        self._look()

    def _look(self) -> None:
        seen = [
            (block, name, block.__dict__[name])
            for block in self.diagram.blocklist
            if not isinstance(block, FromWorkspace | ToWorkspace)
            for name in _ATTRIBUTES
            if name in block.__dict__
        ]
        self._seen = seen
        # Three lists, which are compared without a step in Python for each.
        self._dicts = [block.__dict__ for block, _, _ in seen]
        self._names = [name for _, name, _ in seen]
        self._values = [value for _, _, value in seen]
        self._contents = [
            (value, value.tobytes())
            for value in self._values
            if isinstance(value, np.ndarray) and value.flags.writeable
        ]

    def unchanged(self) -> bool:
        """Whether blocks' attributes are the objects, and hold the numbers, last seen."""
        if not all(map(is_, map(getitem, self._dicts, self._names), self._values)):
            return False
        for value, content in self._contents:
            if value.tobytes() != content:
                return False
        diagram = self.diagram
        return (len(diagram.blocklist), len(diagram.wirelist)) == self._structure

    def refresh(self, store: Store) -> None:
        """Take over numbers that were replaced, or changed in place.

        Raises
        ------
        DiagramError
            If more than numbers has changed.
        """
        if self.unchanged():
            return
        found = (len(self.diagram.blocklist), len(self.diagram.wirelist))
        if found != self._structure:
            raise DiagramError(
                "the diagram was changed after it was compiled",
                where="the compiled diagram",
                given=f"{found[0]} blocks and {found[1]} wires",
                expected=f"{self._structure[0]} blocks and {self._structure[1]} wires",
                mend="compile it again",
            )
        in_place = [value for value, content in self._contents if value.tobytes() != content]
        changed: list[tuple[Any, str, Any]] = [
            (block, name, value)
            for block, name, value in self._seen
            if block.__dict__.get(name) is not value or any(value is other for other in in_place)
        ]
        only_numbers = all(
            name in _NUMBERS and np.shape(getattr(block, name)) == np.shape(value)
            for block, name, value in changed
        )
        if not only_numbers and lower(self.diagram) != self.graph:
            raise DiagramError(
                "the diagram was changed after it was compiled",
                where="the compiled diagram",
                given="other sizes, signs, bounds or wires",
                expected="new numbers in parameters of the same shapes",
                mend="compile it again",
            )
        store.set(parameters({block for block, _, _ in changed}))
        self._look()
