"""Whether a diagram still is what was compiled."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from functools import partial
from operator import getitem
from typing import Any

import numpy as np
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import DiagramError
from lstmsim.blocks import FromWorkspace, ToWorkspace, kind_of
from lstmsim.engine.graph import Graph, lower, parameters
from lstmsim.engine.store import Store


class Watch:
    """Keeps a store's numbers those of a diagram's blocks.

    Every call of a compiled diagram looks first.  Our own blocks' arrays are read-only, so that a
    change of them is another object in the attribute; of what can be written to, bdsim's own
    arrays and lists, the contents are compared too.

    Parameters
    ----------
    diagram : BlockDiagram
        What was compiled.
    graph : Graph
        What it was lowered to.
    store : Store
        Its parameters.
    """

    def __init__(self, diagram: BlockDiagram, graph: Graph, store: Store) -> None:
        self._diagram, self._graph, self._store = diagram, graph, store
        watched = [
            (block, name)
            for block in diagram.blocklist
            if not isinstance(block, FromWorkspace | ToWorkspace)
            for name in {*kind_of(block).trained.values(), *kind_of(block).structure}
            if name in block.__dict__
        ]
        self._blocks = [block for block, _ in watched]
        # Two lists for `map`, which looks at all attributes without a step in Python for each.
        self._dicts = [block.__dict__ for block, _ in watched]
        self._names = [name for _, name in watched]
        self._lists = (diagram.blocklist, diagram.wirelist)
        self._counts = self._count()
        self._seen = _seen(self._look())
        self._lock = threading.Lock()

    def _look(self) -> list[Any]:
        return list(map(getitem, self._dicts, self._names))

    def _count(self) -> tuple[int, int]:
        blocks, wires = self._lists
        return len(blocks), len(wires)

    def unchanged(self) -> bool:
        """Whether blocks' attributes are the objects, and hold the numbers, last seen."""
        values, contents = self._seen
        try:
            # Lists compare their elements by identity first: arrays are not looked into.
            if list(map(getitem, self._dicts, self._names)) != values:
                return False
        except ValueError:  # another array, which does not say whether it is equal
            return False
        for read, content in contents.values():
            if read() != content:
                return False
        return self._count() == self._counts

    def refresh(self) -> None:
        """Take over numbers that were replaced, or changed in place.

        Raises
        ------
        DiagramError
            If more than numbers has changed.
        """
        if not self.unchanged():
            with self._lock:
                if not self.unchanged():  # another thread may have been here
                    self._take_over()

    def _take_over(self) -> None:
        counts = self._count()
        if counts != self._counts:
            raise _changed(
                f"{counts[0]} blocks and {counts[1]} wires",
                f"{self._counts[0]} blocks and {self._counts[1]} wires",
            )
        now, (before, contents) = self._look(), self._seen
        replaced = {k for k, value in enumerate(now) if value is not before[k]}
        replaced |= {k for k, (read, content) in contents.items() if read() != content}
        numbers = all(
            self._names[k] in kind_of(self._blocks[k]).trained.values()
            and np.shape(now[k]) == np.shape(before[k])
            for k in replaced
        )
        if not numbers and lower(self._diagram) != self._graph:
            raise _changed(
                "other sizes, signs, bounds, indices or wires",
                "new numbers in parameters of the same shapes",
            )
        self._store.set(parameters({self._blocks[k] for k in replaced}))
        self._seen = _seen(now)  # last, and as one object: other threads read it meanwhile


def _seen(values: list[Any]) -> tuple[list[Any], dict[int, tuple[Callable[[], bytes], bytes]]]:
    """Return values, and how to read the contents of those that can be written to."""
    readers = {k: read for k, value in enumerate(values) if (read := _reader(value)) is not None}
    return values, {k: (read, read()) for k, read in readers.items()}


def _reader(value: Any) -> Callable[[], bytes] | None:
    if isinstance(value, list):
        return partial(pickle.dumps, value)
    owner = value
    while isinstance(owner, np.ndarray) and not owner.flags.writeable:
        owner = owner.base  # a read-only view of an array that can be written to changes with it
    return None if owner is None or not isinstance(value, np.ndarray) else value.tobytes


def _changed(given: str, expected: str) -> DiagramError:
    return DiagramError(
        "the diagram was changed after it was compiled",
        where="the compiled diagram",
        given=given,
        expected=expected,
        mend="compile it again",
    )
