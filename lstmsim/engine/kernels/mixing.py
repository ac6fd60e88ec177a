"""Rendering: operations that mix elements, written as loops over the elements of one sample.

Their elements are numbers in every form of the vocabulary.  Vectors would gain little: these are a
few passes over signals, where gains of whole matrices come before and after.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lstmsim.blocks import FUNCTIONS, names, renamed
from lstmsim.engine.graph import Node
from lstmsim.engine.kernels.keys import Width
from lstmsim.engine.kernels.writer import Writer

_FUNCTIONS = {name: f"_{name}" for name in FUNCTIONS}


class Place(NamedTuple):
    """Where a signal's elements at the present sample are.

    Parameters
    ----------
    signal : str
        Its name.
    buffer, base : str
        Element j is ``buffer[base + j]``.
    """

    signal: str
    buffer: str
    base: str


class Mixing:
    """The lines of one mixture in a kernel.

    Parameters
    ----------
    out : Writer
        Where they are written.
    node : Node
        The operation.
    widths : mapping of int
        Of all signals.
    places : mapping of Place
        Those of the signals that the texts read, by their names in the texts.
    prefix : str
        What the variables of reductions begin with.
    """

    def __init__(
        self,
        out: Writer,
        node: Node,
        widths: Mapping[str, int],
        places: Mapping[str, Place],
        prefix: str,
    ) -> None:
        assert node.op.mixture is not None
        self.mixture, self.prefix = node.op.mixture, prefix
        self.out, self.widths, self.places = out, widths, places

    def element(self, text: str, width: int, index: str = "j") -> str:
        """Return the expression of a text at one of so many elements."""
        new = _FUNCTIONS | {name: f"{self.prefix}{name}" for name in self.mixture.reductions}
        for name, (signal, buffer, base) in self.places.items():
            # A signal of one element has the same value at every element of the others.
            shift = f" + {index}" if self.widths[signal] == width else ""
            new[name] = f"{buffer}[{base}{shift}]"
        return renamed(text, new)

    def reduce(self, texts: tuple[str, ...]) -> None:
        """Write the reductions that some texts read."""
        for name, how, text in self.mixture.needed(texts):
            read = [self.places[n].signal for n in names(text) if n in self.places]
            widest = max(read, key=self.widths.__getitem__)
            width, count = self.widths[widest], self.out.variable(Width(widest))
            total = f"{self.prefix}{name}"
            self.out.write(2, f"{total} = {self.element(text, width, '0')}")
            self.out.write(2, f"for j in range(1, {count}):")
            element = self.element(text, width)
            if how == "max":
                # NaN is larger than all numbers, as NumPy has it.
                self.out.write(3, f"e = {element}", f"if e > {total} or e != e:")
                self.out.write(4, f"{total} = e")
            else:
                self.out.write(3, f"{total} += {element}")
            if how == "mean":
                self.out.write(2, f"{total} /= {count}")
