"""Whether a diagram still is what was compiled."""

from __future__ import annotations

import copy
import threading
from operator import getitem
from typing import Any

import numpy as np
import numpy.typing as npt
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import DiagramError
from lstmsim.blocks import FromWorkspace, ToWorkspace, kind_of
from lstmsim.engine.graph import Graph, lower, parameters
from lstmsim.engine.kernels.packing import Store

Array = npt.NDArray[Any]


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
            for name in {*kind_of(block).trained.values(), *kind_of(block).structure}
            if name in block.__dict__
        ]
        # Three lists, which are compared without a step in Python for each.
        self._dicts = [block.__dict__ for block, _ in self._blocks]
        self._names = [name for _, name in self._blocks]
        self._values = list(map(getitem, self._dicts, self._names))
        #: What arrays held that can be written to, by their place in the lists.
        self._contents: dict[int, bytes] = {}
        #: The same of lists.
        self._lists: dict[int, list[Any]] = {}
        self._refreshing = threading.Lock()
        self._keep(dict(enumerate(self._values)))

    def _keep(self, seen: dict[int, Any]) -> None:
        # New dictionaries: another thread may be going through the old ones.
        contents = {k: held for k, held in self._contents.items() if k not in seen}
        lists = {k: held for k, held in self._lists.items() if k not in seen}
        for k, value in seen.items():
            self._values[k] = value
            if isinstance(value, np.ndarray) and _can_change(value):
                contents[k] = value.tobytes()
            elif isinstance(value, list):
                lists[k] = copy.deepcopy(value)
        self._contents, self._lists = contents, lists

    def unchanged(self) -> bool:
        """Whether blocks' attributes are the objects, and hold the numbers, last seen."""
        try:
            # Lists compare their elements by identity first: arrays are not looked into.
            if list(map(getitem, self._dicts, self._names)) != self._values:
                return False
            if self._lists and any(self._values[k] != held for k, held in self._lists.items()):
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
        with self._refreshing:
            if not self.unchanged():
                self._refresh(store)

    def _refresh(self, store: Store) -> None:
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
        same = {k for k, value in enumerate(values) if value is self._values[k]}
        changed = [k for k in range(len(values)) if k not in same]
        changed += [
            k for k in same & self._contents.keys() if values[k].tobytes() != self._contents[k]
        ]
        changed += [k for k in same & self._lists.keys() if values[k] != self._lists[k]]
        only_numbers = all(
            self._names[k] in kind_of(self._blocks[k][0]).trained.values()
            and np.shape(values[k]) == np.shape(self._values[k])
            for k in changed
        )
        if not only_numbers and lower(self.diagram) != self.graph:
            raise DiagramError(
                "the diagram was changed after it was compiled",
                where="the compiled diagram",
                given="other sizes, signs, bounds, indices or wires",
                expected="new numbers in parameters of the same shapes",
                mend="compile it again",
            )
        store.set(parameters({self._blocks[k][0] for k in changed}))
        self._keep({k: values[k] for k in changed})


def _can_change(array: Array) -> bool:
    """Whether an array's numbers can be written to, through it or what it is a view of."""
    owner: Any = array
    while isinstance(owner, np.ndarray) and not owner.flags.writeable:
        owner = owner.base
    return owner is not None
