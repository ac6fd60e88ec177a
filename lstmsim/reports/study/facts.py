"""Figures: what was published, what was obtained, and how far they agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lstmsim.base import Row, TableData, texts, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RESULT = {True: "yes", False: "NO", None: "–"}


@dataclass(frozen=True)
class Fact:
    """One figure of the study.

    Parameters
    ----------
    name : str
        What it is.
    published, obtained : str
        Both sides.
    agreement : str
        How far they agree, in words.
    ok : bool or None
        Whether they agree as they should; None where they need not.
    """

    name: str
    published: str
    obtained: str
    agreement: str
    ok: bool | None


@dataclass(frozen=True, eq=False)
class Section:
    """One step of the study.

    Parameters
    ----------
    name : str
        Stem of the figure's file.
    title, text, caption : str
        Sentences of the report.
    draw : callable
        Makes the figure.
    facts : tuple of Fact
        Published against obtained.
    table : TableData or None
        Further figures.
    """

    name: str
    title: str
    text: str
    caption: str
    draw: Callable[[], Figure]
    facts: tuple[Fact, ...] = ()
    table: TableData | None = None


def facts_table(facts: Iterable[Fact]) -> TableData:
    """Return facts as a table; what does not agree is marked."""
    rows = tuple(
        Row(
            (f.name, f.published, f.obtained, f.agreement, _RESULT[f.ok]),
            "bad" if f.ok is False else "",
        )
        for f in facts
    )
    return TableData((*texts("figure", "published", "obtained", "agrees to"), *words("ok")), rows)


def cells_table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> TableData:
    """Return a table of texts."""
    return TableData(texts(*headings), tuple(Row(tuple(row)) for row in rows))


def digits(name: str, published: npt.ArrayLike, obtained: npt.ArrayLike, decimals: int) -> Fact:
    """Return a fact that holds if all printed digits come out.

    Examples
    --------
    >>> digits("gain", 7.5351, 7.53511363, 4)
    Fact(name='gain', published='7.5351', obtained='7.5351', agreement='all digits', ok=True)
    >>> digits("gain", 7.5351, 7.53521, 4).agreement
    'off by 1.1e-04'
    """
    theirs, ours = (np.atleast_1d(np.asarray(side, float)) for side in (published, obtained))
    shown = _printed(theirs, decimals), _printed(ours, decimals)
    ok = shown[0] == shown[1]
    worst = float(np.abs(theirs - ours).max()) if theirs.shape == ours.shape else np.inf
    return Fact(name, *shown, "all digits" if ok else f"off by {worst:.1e}", ok)


def _printed(values: npt.NDArray[np.float64], decimals: int) -> str:
    # Zero has no sign here.
    return " ".join(f"{round(value, decimals) + 0.0:.{decimals}f}" for value in values)


def claim(name: str, published: str, obtained: str, ok: bool, checked: bool = True) -> Fact:
    """Return a fact about the shape of a result, which holds or not.

    Parameters
    ----------
    name, published, obtained : str
        As in `Fact`.
    ok : bool
        Whether it holds.
    checked : bool, optional
        Whether it has to: not after fewer epochs than published.
    """
    agreement = "holds" if ok else "does not hold"
    if not checked:
        return Fact(name, published, obtained, f"{agreement}, after fewer epochs", None)
    return Fact(name, published, obtained, agreement, bool(ok))


def reported(name: str, published: str, obtained: str, why: str = "found here") -> Fact:
    """Return a fact that need not agree, with the reason."""
    return Fact(name, published, obtained, why, None)
