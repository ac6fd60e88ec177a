"""The symbols of block diagrams: σ, tanh, ×, Σ, z⁻¹, and gains by their names."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lstmsim.blocks import KINDS, BlockKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lstmsim.plotting.diagram.placing import Box

#: Points per pixel of the drawing; font sizes in points.
POINT = 0.42
LABEL, SYMBOL = 7.0, 10.0
INK, PAPER = "#222222", "#f3f4f6"
#: Pixels for a symbol in a box, and in a triangle.
_ROOM, _TIGHT = 66, 40


@dataclass(frozen=True)
class Symbol:
    """The text on a block, and the label below it."""

    text: str
    size: float
    label: str
    math: bool = False

    @property
    def label_width(self) -> int:
        """The width of the label in pixels, with some air; 0 if there is none."""
        return round(_width(self.label, LABEL)) + 6 if self.label else 0


def symbol(name: str, block: dict[str, Any], show_clock: bool) -> Symbol:
    """Return the symbol of a block in a graph of wires.

    Parameters
    ----------
    name : str
        The block.
    block : dict
        Its attributes in the graph.
    show_clock : bool
        Whether a delay's label has its period: the diagram has several clocks.
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
    """Return the width of a text in pixels."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    # In the default font, which figures use.
    width, _, _ = TextToPath().get_text_width_height_descent(text, FontProperties(), False)
    return float(width * size / FontProperties().get_size_in_points() / POINT)


def _shortened(text: str, room: float, size: float = LABEL) -> str:
    """Return a text that fits, shortened in the middle if it is too wide."""
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
        The block's kind, and the signs at its inputs, if it is a sum.
    look : Symbol
        The symbol and the label.
    colour : str or None
        The colour of a delay's loop; None for other blocks.
    zoom : float
        Factor of all sizes in points.
    """
    from matplotlib.colors import to_rgb

    left, _, right, bottom = box.rectangle
    face: Any = PAPER
    if colour is not None:
        face = tuple(1 - 0.15 * (1 - part) for part in to_rgb(colour))
    row = KINDS.get(kind) or BlockKind(kind)
    centre = _draw_outline(
        axes,
        box,
        row.shape,
        edgecolor=INK if colour is None else colour,
        facecolor=face,
        linewidth=(1.0 if colour is None else 1.8) * zoom,
        zorder=5,
        gid=box.name,
    )
    words: dict[str, Any] = {"ha": "center", "color": INK, "zorder": 6}
    axes.text(
        *centre,
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
    for number, sign in enumerate(signs[: box.nin] if row.text == "signs" else ""):
        axes.text(
            right - 11 if box.flipped else left + 11,
            box.port("in", number)[1],
            sign.replace("-", "−"),
            va="center_baseline",
            fontsize=8 * zoom,
            parse_math=False,
            **words,
        )


def _draw_outline(axes: Axes, box: Box, shape: str, **style: Any) -> tuple[float, float]:
    """Draw a gain's triangle, a source's or sink's arrow, or a box; return the text's centre."""
    from matplotlib.patches import FancyBboxPatch, Polygon

    left, top, right, bottom = box.rectangle
    back, front = (right, left) if box.flipped else (left, right)
    middle = (top + bottom) / 2
    corners: list[tuple[float, float]]
    if shape == "triangle":
        tip = box.port("out", 0)[1]
        corners = [(back, top), (front, tip), (back, bottom)]
        axes.add_patch(Polygon(corners, closed=True, joinstyle="round", **style))
        return back + 0.37 * (front - back), tip
    if shape == "arrow":
        neck = front + (22 if box.flipped else -22)
        above, below = top + 6, bottom - 6
        corners = [(back, above), (neck, above), (front, middle), (neck, below), (back, below)]
        axes.add_patch(Polygon(corners, joinstyle="round", **style))
        return (back + neck) / 2 + (front - back) * 0.06, middle
    rounded = "round,pad=0,rounding_size=7"
    axes.add_patch(
        FancyBboxPatch((left, top), right - left, bottom - top, boxstyle=rounded, **style)
    )
    return (left + right) / 2, middle
