"""Mixtures: what an operation computes whose output elements depend on all elements, as text.

A mixture is written in the language of formulas.  Beside the elements it has reductions, numbers
that are made from all elements of one sample: `sum`, `mean` or `max` of a formula, which may
contain the reductions before it.  NumPy, the kernels, their gradients and the exported C are all
written from the same texts.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lstmsim.blocks._formulas import check, function, names

#: The reductions of the language, as NumPy has them.  All of them keep NaN.
REDUCTIONS: dict[str, Callable[..., Any]] = {"sum": np.sum, "mean": np.mean, "max": np.max}


class Reduction(NamedTuple):
    """A number that is made from all elements of one sample.

    Parameters
    ----------
    name : str
        By which later texts read it.
    how : str
        One of `REDUCTIONS`.
    text : str
        The formula that is reduced.
    """

    name: str
    how: str
    text: str


@dataclass(frozen=True)
class Mixture:
    """The texts of an operation that mixes the elements of inputs of one width.

    Parameters
    ----------
    value : str
        Of one element of the output: of the inputs' elements and of reductions, by their names.
    cotangents : tuple of str
        Of one element of every input's cotangent, in order; `bar` is the output's, and `y` the
        output.  A signal of one element has the same value at every element of the others.
    reductions : mapping of str
        By name, in an order in which each may be computed: ``{"s": "sum(exp(u))"}``.
    """

    value: str
    cotangents: tuple[str, ...]
    reductions: Mapping[str, str]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return ("u", "v")[: len(self.cotangents)]

    @functools.cached_property
    def steps(self) -> tuple[Reduction, ...]:
        """The reductions, each once, in order.

        Raises
        ------
        ValueError
            If one is not a reduction of one formula.
        """
        return tuple([_reduction(name, text) for name, text in self.reductions.items()])

    @property
    def texts(self) -> tuple[str, ...]:
        """The formulas, those that are reduced first."""
        return (*(step.text for step in self.steps), self.value, *self.cotangents)

    def needed(self, texts: Iterable[str]) -> tuple[Reduction, ...]:
        """Return the reductions that some texts read, directly or not, in order."""
        read = {name for text in texts for name in names(text)}
        found = []
        for step in reversed(self.steps):
            if step.name in read:
                read.update(names(step.text))
                found.append(step)
        return tuple(reversed(found))

    @property
    def linear(self) -> bool:
        """Whether the slopes do not depend on the inputs."""
        texts = [*self.cotangents, *(step.text for step in self.needed(self.cotangents))]
        return not any({*self.inputs, "y"} & {*names(text)} for text in texts)

    def evaluate(self, texts: tuple[str, ...], signals: Mapping[str, Any]) -> list[Any]:
        """Return the values of texts by NumPy.

        Parameters
        ----------
        texts : tuple of str
            The value, or cotangents.
        signals : mapping of ndarray of shape (…, width)
            What they read, by name.
        """
        known = dict(signals)
        for name, how, text in self.needed(texts):
            elements = function(text, tuple(known))(*known.values())
            known[name] = REDUCTIONS[how](elements, axis=-1, keepdims=True)
        return [function(text, tuple(known))(*known.values()) for text in texts]


def _reduction(name: str, text: str) -> Reduction:
    call = ast.parse(text, mode="eval").body
    match call:
        case ast.Call(func=ast.Name(id=how), args=[reduced], keywords=[]) if how in REDUCTIONS:
            return Reduction(name, how, ast.unparse(reduced))
    raise ValueError(f"{text!r} is not {' or '.join(REDUCTIONS)} of one formula")


def check_mixture(operation: str, mixture: Mixture) -> None:
    """Raise a ValueError that names the operation, if a text is not of the language."""
    try:
        steps = mixture.steps
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"operation {operation!r}: {error}") from None
    check(operation, mixture.texts, ())
    values = (mixture.value, *(step.text for step in mixture.needed((mixture.value,))))
    check(operation, values, values)
    signals = {*mixture.inputs, "y", "bar"}
    known = {*signals}
    for name, text in (*((s.name, s.text) for s in steps), *(("", t) for t in mixture.texts)):
        if unknown := [own for own in names(text) if own not in known]:
            raise ValueError(
                f"operation {operation!r}: {text!r} reads {', '.join(unknown)}, which is neither "
                "an input nor a reduction before it"
            )
        if name and signals.isdisjoint(names(text)):
            raise ValueError(f"operation {operation!r}: {text!r} is the same at all elements")
        known.add(name)
