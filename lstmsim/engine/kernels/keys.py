"""Keys: what each number is that a kernel reads besides its buffers.

A kernel's text names no size and no place: it reads them from an array `o`, and its keys say in
which order.  Keys hold the names of signals as data.  No key is made from text or taken apart, so
that a block may have any name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Samples:
    """How many samples a call computes."""


@dataclass(frozen=True)
class Row:
    """The length of a row, the numbers of one sample in a buffer."""

    buffer: Literal["log", "ext", "bar"]


@dataclass(frozen=True)
class Width:
    """How many elements a signal has."""

    signal: str


@dataclass(frozen=True)
class Vectors:
    """How many vectors a signal takes."""

    signal: str


@dataclass(frozen=True)
class Index:
    """Where in `o` the numbers of the elements are that a signal takes from another one."""

    signal: str


@dataclass(frozen=True)
class Log:
    """Where a signal begins in a row of the log."""

    signal: str


@dataclass(frozen=True)
class Ext:
    """Where a signal from another stage begins in a row of `ext`."""

    signal: str


@dataclass(frozen=True)
class Bar:
    """Where a cotangent begins in a row of `bar`.

    A signal may have two: what arrives from its readers adds up in one; the other (`total`) is
    written once, for the products outside the loop.
    """

    signal: str
    total: bool = False


# Parts of `par`, the parameters as kernels read them.


@dataclass(frozen=True)
class Constant:
    """Where a constant from another stage begins in `par`."""

    signal: str


@dataclass(frozen=True)
class Parameter:
    """Where a parameter of an element-wise operation begins in `par`, a number an element."""

    signal: str
    name: str


@dataclass(frozen=True)
class Pack:
    """Where the matrices of gains that one signal feeds begin in `par`, transposed or not."""

    gains: tuple[str, ...]
    transposed: bool = False


ParKey = Constant | Parameter | Pack
Key = Samples | Row | Width | Vectors | Index | Log | Ext | Bar | ParKey
