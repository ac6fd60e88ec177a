"""Parameters of a diagram in one precision, as one flat vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lstmsim.base import Array, in_precision

#: By block name and parameter name.
Parameters = Mapping[str, Mapping[str, Array]]


class Span(NamedTuple):
    """Where an array lies in a flat vector of parameters."""

    slice: slice
    shape: tuple[int, ...]


#: By block and parameter name.
Layout = dict[tuple[str, str], Span]


def layout_of(parameters: Parameters) -> Layout:
    """Lay arrays out one after the other."""
    layout: Layout = {}
    end = 0
    for block, values in parameters.items():
        for name, value in values.items():
            begin, end = end, end + int(np.size(value))
            layout[block, name] = Span(slice(begin, end), np.shape(value))
    return layout


def views(vector: Array, layout: Layout) -> dict[str, dict[str, Array]]:
    """Return a flat vector's arrays in their shapes, by block and parameter name."""
    found: dict[str, dict[str, Array]] = {}
    for (block, name), (part, shape) in layout.items():
        array = vector[part]
        found.setdefault(block, {})[name] = array if len(shape) == 1 else array.reshape(shape)
    return found


class Store:
    """The parameters of a diagram: a flat vector, and views of it.

    All of them are read-only.  `write` is the only way to other numbers: it counts the versions
    by which kernels know that theirs are old.

    Parameters
    ----------
    parameters : mapping
        The arrays of the blocks.
    dtype : dtype
        Precision.

    Attributes
    ----------
    layout : dict of Span
        Where the array of a block's parameter is in the vector, by block and parameter name.
    values : ndarray
        The vector.
    arrays : dict of dict of ndarray
        Views of it, by block and parameter name.
    initial_states : dict of ndarray
        Views of what the delays put out first, by block name.
    version : int
        Counts the changes.
    """

    def __init__(self, parameters: Parameters, dtype: Any) -> None:
        self.layout = layout_of(parameters)
        end = max((place.slice.stop for place in self.layout.values()), default=0)
        self._values = np.zeros(end, dtype)
        self.values = self._values.view()
        self.values.setflags(write=False)
        self.arrays = self.views(self.values)
        self.initial_states = {b: self.arrays[b]["x0"] for b, name in self.layout if name == "x0"}
        self.version = 0
        self.set(parameters)

    def views(self, vector: Array) -> dict[str, dict[str, Array]]:
        """Return the arrays of another vector in the same order."""
        return views(vector, self.layout)

    def write(self, values: Array) -> None:
        """Replace all numbers."""
        np.copyto(self._values, values)
        self.version += 1

    def set(self, parameters: Parameters) -> None:
        """Take over parameters of some blocks.

        Raises
        ------
        InvalidValueError
            If a number is too large for the precision.
        """
        values = self._values.copy()
        arrays = self.views(values)
        with np.errstate(over="ignore"):
            for block, given in parameters.items():
                for name, value in given.items():
                    arrays[block][name][...] = value
        # One look at all of them: training by hand sets every parameter at every step.
        if not np.logical_and.reduce(np.isfinite(values)):
            for block, given in parameters.items():
                for name, value in given.items():
                    in_precision(np.asarray(value), values.dtype, name, f"block {block!r}")
        self.write(values)
