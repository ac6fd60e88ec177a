"""Blocks as they are drawn in block diagrams: σ, tanh, ×, Σ, z⁻¹, and gains by their names."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lstmsim.blocks import KINDS, BlockKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lstmsim.plotting.diagram.placing import Box

#: Points of type on a pixel of the drawing, and sizes of type in points.
POINT = 0.42
LABEL, SYMBOL = 7.0, 10.0
INK, PAPER = "#222222", "#f3f4f6"
#: Room for a symbol in a box, and in a triangle.
_ROOM, _TIGHT = 66, 40


@dataclass(frozen=True)
class Symbol:
    """What is written on a block, and below it."""

    text: str
    size: float
    label: str
    math: bool = False

    @property
    def label_width(self) -> int:
        """The width of the label in pixels, with some air; 0 if there is none."""
        return round(_width(self.label, LABEL)) + 6 if self.label else 0


def symbol(name: str, block: dict[str, Any], show_clock: bool) -> Symbol:
    """Return what a block of a graph of wires looks like.

    Parameters
    ----------
    name : str
        The block.
    block : dict
        Its attributes in the graph.
    show_clock : bool
        Whether a delay's label tells its period, as there are several.
    """
    kind = KINDS.get(block["kind"]) or BlockKind(block["kind"])
    label = _shortened(name, 150)
    if show_clock and block["delay"] and block["Ts"] is not None:
        label += f" ({block['Ts']:g} s)"
    written = kind.symbol or kind.name.lower()
    if kind.labelled:
        room = _TIGHT if kind.shape == "triangle" else _ROOM - 10
        text = block["text"] if kind.text and block["text"] else name.rpartition(".")[2]
        size = min(SYMBOL, SYMBOL * room / max(_width(text, SYMBOL), 1))
        if size < 6:
            text, size = written, 8.0
        return Symbol(text, size, "" if text == name else label)
    text = written
    math = text.startswith("$")
    size = SYMBOL + 2 if len(text) == 1 or math else SYMBOL
    if not math and _width(text, size) > _ROOM:
        size = max(size * _ROOM / _width(text, size), 5.5)
        text = _shortened(text, _ROOM, size)
    return Symbol(text, size, label, math)


@functools.lru_cache(maxsize=4096)
def _width(text: str, size: float) -> float:
    """Return how many pixels a text takes."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    # Only its size matters here: the default font, which figures use too.
    width, _, _ = TextToPath().get_text_width_height_descent(text, FontProperties(), False)
    return float(width * size / FontProperties().get_size_in_points() / POINT)


def _shortened(text: str, room: float, size: float = LABEL) -> str:
    """Return a text that fits, with dots in its middle if it has to."""
    keep = len(text)
    shown = text
    while _width(shown, size) > room and keep > 4:
        keep -= 1
        shown = f"{text[: (keep + 1) // 2]}…{text[-(keep // 2) :]}"
    return shown


def draw_block(
    axes: Axes, box: Box, kind: str, signs: str, look: Symbol, colour: str | None, zoom: float
) -> None:
    """Draw one block with its symbol, the signs at its ports, and its name.

    Parameters
    ----------
    axes : Axes
        With bdedit's pixels as its unit.
    box : Box
        Where.
    kind, signs : str
        The block's kind, and a sum's signs.
    look : Symbol
        What is written.
    colour : str or None
        Of the loop that it delays.
    zoom : float
        Factor of all sizes in points.
    """
    from matplotlib.colors import to_rgb
    from matplotlib.patches import FancyBboxPatch, Polygon

    left, top, right, bottom = box.rectangle
    middle = (top + bottom) / 2
    edge = INK if colour is None else colour
    face: Any = PAPER
    if colour is not None:
        face = tuple(1 - 0.15 * (1 - part) for part in to_rgb(colour))
    style: dict[str, Any] = {
        "edgecolor": edge,
        "facecolor": face,
        "linewidth": (1.0 if colour is None else 1.8) * zoom,
        "zorder": 5,
        "gid": box.name,
    }
    x = (left + right) / 2
    corners: list[tuple[float, float]]
    back, front = (right, left) if box.flipped else (left, right)
    row = KINDS.get(kind) or BlockKind(kind)
    if row.shape == "triangle":
        corners = [
            (back, top),
            (front, box.port("out", 0)[1]),
            (back, bottom),
        ]
        axes.add_patch(Polygon(corners, closed=True, joinstyle="round", **style))
        x = back + 0.37 * (front - back)
        middle = box.port("out", 0)[1]
    elif row.shape == "arrow":
        neck = front + (22 if box.flipped else -22)
        corners = [
            (back, top + 6),
            (neck, top + 6),
            (front, middle),
            (neck, bottom - 6),
        ]
        axes.add_patch(Polygon([*corners, (back, bottom - 6)], joinstyle="round", **style))
        x = (back + neck) / 2 + (front - back) * 0.06
    else:
        size = right - left, bottom - top
        shape = FancyBboxPatch((left, top), *size, boxstyle="round,pad=0,rounding_size=7", **style)
        axes.add_patch(shape)
    words: dict[str, Any] = {"ha": "center", "color": INK, "zorder": 6}
    axes.text(
        x,
        middle,
        look.text,
        va="center_baseline" if not look.math else "center",
        fontsize=look.size * zoom,
        parse_math=look.math,
        **words,
    )
    if look.label:
        axes.text(
            (left + right) / 2,
            bottom + 13,
            look.label,
            va="center",
            fontsize=LABEL * zoom,
            parse_math=False,
            gid=f"label {box.name}",
            **words,
        )
    if row.text == "signs":
        for number, sign in enumerate(signs[: box.nin]):
            y = box.port("in", number)[1]
            inward = back + (-11 if box.flipped else 11)
            axes.text(
                inward,
                y,
                sign.replace("-", "−"),
                va="center_baseline",
                fontsize=8 * zoom,
                parse_math=False,
                **words,
            )
