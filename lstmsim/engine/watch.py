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
from lstmsim.blocks import kind_of
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
        self._blocklist, self._wirelist = diagram.blocklist, diagram.wirelist
        self._counts = (len(self._blocklist), len(self._wirelist))
        self._blocks: list[Any] = []
        self._names: list[str] = []
        self._is_number: list[bool] = []
        for block in diagram.blocklist:
            kind = kind_of(block)
            if kind.lower is not None:  # sources and sinks are read at every run
                numbers = kind.trained.values()
                for name in dict.fromkeys((*numbers, *kind.structure)):
                    if name in block.__dict__:
                        self._blocks.append(block)
                        self._names.append(name)
                        self._is_number.append(name in numbers)
        self._dicts = [block.__dict__ for block in self._blocks]
        self._seen = _seen(self._look())
        self._lock = threading.Lock()

    def _look(self) -> list[Any]:
        return list(map(getitem, self._dicts, self._names))

    def unchanged(self) -> bool:
        """Whether blocks' attributes are the objects, and hold the numbers, last seen."""
        values, contents = self._seen
        # Every run begins here, however short it is: no call of ours, no step for an attribute.
        try:
            # Lists compare their elements by identity first: arrays are not looked into.
            if list(map(getitem, self._dicts, self._names)) != values:
                return False
        except ValueError:  # another array, which does not say whether it is equal
            return False
        for read, content in contents.values():
            if read() != content:
                return False
        return (len(self._blocklist), len(self._wirelist)) == self._counts

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
        counts = (len(self._blocklist), len(self._wirelist))
        if counts != self._counts:
            given, expected = ("{} blocks and {} wires".format(*n) for n in (counts, self._counts))
            raise _changed(given, expected)
        now, (before, contents) = self._look(), self._seen
        replaced = {k for k, value in enumerate(now) if value is not before[k]}
        replaced |= {k for k, (read, content) in contents.items() if read() != content}
        numbers = all(
            self._is_number[k] and np.shape(now[k]) == np.shape(before[k]) for k in replaced
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
    return value.tobytes if isinstance(value, np.ndarray) and owner is not None else None


def _changed(given: str, expected: str) -> DiagramError:
    return DiagramError(
        "the diagram was changed after it was compiled",
        where="the compiled diagram",
        given=given,
        expected=expected,
        mend="compile it again",
    )
