"""Draw the icons that bdedit shows on the blocks of `lstmsim.blocks`.

For every block this writes ``lstmsim/blocks/Icons/<name>.png`` and ``<name>_flipped.png``,
250 × 250 pixels, black on transparent, as bdsim's own icons are.  bdedit draws them at a fifth
of that size, so no line is thinner than 5 pixels; axes and curves are as thick as in bdsim's
icons.  A flipped block has its inputs on the right: what shows the direction of flow is
mirrored, letters and the graphs of functions are not.

Usage: ``python tools/make_icons.py``; needs matplotlib only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch, Polygon
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

SIZE, MIDDLE, DPI = 250, 125, 100  # pixels, pixels, pixels an inch
AXIS, OUTLINE, BOLD, CURVE = 5, 8, 16, 20  # line widths in pixels
SANS = FontProperties(family="DejaVu Sans", weight="bold")
MATH = FontProperties(math_fontfamily="cm")
FOLDER = Path(__file__).resolve().parent.parent / "lstmsim" / "blocks" / "Icons"


class Sheet:
    """An icon to draw on, in pixels, y upwards; on a flipped one x runs to the left."""

    def __init__(self, flipped: bool) -> None:
        self.flipped = flipped
        self.figure = Figure(figsize=(SIZE / DPI, SIZE / DPI), dpi=DPI)
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, SIZE), ylim=(0, SIZE))
        self.axes.set_axis_off()

    def line(self, x: npt.ArrayLike, y: npt.ArrayLike, width: float, closed: bool = False) -> None:
        """Draw a line through points."""
        points = np.column_stack(np.broadcast_arrays(x, y)).astype(float)
        if self.flipped:
            points[:, 0] = SIZE - points[:, 0]
        patch = Polygon(points, closed=closed, fill=False, ec="black", lw=width * 72 / DPI)
        self.axes.add_patch(patch)

    def text(self, text: str, x: float, y: float, height: float, font: FontProperties) -> None:
        """Draw text, never mirrored: its ink is as high as given and centred on a point."""
        glyphs = TextPath((0, 0), text, size=100, prop=font)
        ink = glyphs.get_extents()
        place = Affine2D().translate(-(ink.x0 + ink.x1) / 2, -(ink.y0 + ink.y1) / 2)
        place.scale(height / ink.height).translate(SIZE - x if self.flipped else x, y)
        self.axes.add_patch(PathPatch(place.transform_path(glyphs), fc="black", ec="black", lw=2))


def graph(s: Sheet, zero: float, u: npt.ArrayLike, y: npt.ArrayLike) -> None:
    """Draw the graph of a function, which is never mirrored, and its axes."""
    s.flipped = False
    s.line([8, 242], zero, AXIS)
    s.line(MIDDLE, [8, 242], AXIS)
    s.line(MIDDLE + np.asarray(u), zero + np.asarray(y), CURVE)


def sigmoid(s: Sheet) -> None:
    """Draw 1 / (1 + exp(-u)), from its axis up to 1."""
    u = np.linspace(-6, 6, 200)
    graph(s, 24, 18 * u, 196 / (1 + np.exp(-u)))
    s.line([MIDDLE - 16, MIDDLE], 220, AXIS)
    s.text("1", 80, 216, 48, SANS)


def tanh(s: Sheet) -> None:
    """Draw tanh(u) through the crossing of its axes."""
    u = np.linspace(-3, 3, 200)
    graph(s, MIDDLE, 36 * u, 96 * np.tanh(u))


def relu(s: Sheet) -> None:
    """Draw max(u, 0)."""
    graph(s, 60, [-100, 0, 100], [0, 0, 150])


def leakyrelu(s: Sheet) -> None:
    """Draw u, and a little of it below zero."""
    graph(s, 90, [-100, 0, 100], [-40, 0, 130])


def elu(s: Sheet) -> None:
    """Draw u, and exp(u) - 1 below zero."""
    u = np.linspace(-4, 0, 100)
    graph(s, 90, [*(26 * u), 100], [*(60 * (np.exp(u) - 1)), 130])


def softplus(s: Sheet) -> None:
    """Draw log(1 + exp(u))."""
    u = np.linspace(-4, 4, 200)
    graph(s, 60, 25 * u, 40 * np.log1p(np.exp(u)))


def softsign(s: Sheet) -> None:
    """Draw u / (1 + |u|) through the crossing of its axes."""
    u = np.linspace(-9, 9, 200)
    graph(s, MIDDLE, 12 * u, 105 * u / (1 + np.abs(u)))


def hardsigmoid(s: Sheet) -> None:
    """Draw a sigmoid of straight pieces, up to 1."""
    graph(s, 24, [-108, -54, 54, 108], [0, 0, 196, 196])
    s.line([MIDDLE - 16, MIDDLE], 220, AXIS)
    s.text("1", 80, 216, 48, SANS)


def abs(s: Sheet) -> None:
    """Draw |u|."""
    graph(s, 60, [-100, 0, 100], [140, 0, 140])


def exp(s: Sheet) -> None:
    """Draw the letters of the exponential."""
    s.text("$e^{u}$", MIDDLE, MIDDLE, 150, MATH)


def sqrt(s: Sheet) -> None:
    """Draw a radical sign."""
    s.text(r"$\sqrt{u}$", MIDDLE, MIDDLE, 150, MATH)


def softmax(s: Sheet) -> None:
    """Draw bars, of which the largest takes most."""
    s.line([14, 236], 24, OUTLINE)
    for x, height in ((30, 26), (82, 190), (134, 62), (186, 12)):
        s.line([x, x, x + 34, x + 34], 24 + np.array([0, height, height, 0]), OUTLINE)


def normalize(s: Sheet) -> None:
    """Draw mean 0 and variance 1: a bell on its axis."""
    u = np.linspace(-3, 3, 200)
    s.flipped = False
    s.line([8, 242], 40, AXIS)
    s.line(MIDDLE, [24, 228], AXIS)
    s.line(MIDDLE + 36 * u, 40 + 160 * np.exp(-u * u / 2), CURVE)


def dot(s: Sheet) -> None:
    """Draw the sign of the scalar product between its two vectors."""
    angle = np.linspace(0, 2 * np.pi, 100)
    for x, letter in ((56, "$u$"), (194, "$v$")):
        s.text(letter, x, MIDDLE, 72, MATH)
    s.line(MIDDLE + 9 * np.cos(angle), MIDDLE + 9 * np.sin(angle), 18, True)


def divide(s: Sheet) -> None:
    """Draw the sign of division."""
    angle = np.linspace(0, 2 * np.pi, 100)
    s.line([40, 210], MIDDLE, BOLD)
    for y in (MIDDLE - 62, MIDDLE + 62):
        s.line(MIDDLE + 11 * np.cos(angle), y + 11 * np.sin(angle), 22, True)


def vectorgain(s: Sheet) -> None:
    """Draw the triangle of a gain and a K with the sign of the element-wise product."""
    s.line([14, 14, 236], [8, 242, MIDDLE], OUTLINE, closed=True)
    s.text("K", 66, MIDDLE, 52, SANS)
    angle = np.linspace(0, 2 * np.pi, 100)
    for radius, width in ((22, OUTLINE), (3, 6)):
        s.line(130 + radius * np.cos(angle), MIDDLE + radius * np.sin(angle), width, True)


def hadamard(s: Sheet) -> None:
    """Draw the sign of the element-wise product."""
    angle = np.linspace(0, 2 * np.pi, 100)
    for radius, width in ((92, BOLD), (11, 22)):
        s.line(MIDDLE + radius * np.cos(angle), MIDDLE + radius * np.sin(angle), width, True)


def matrixgain(s: Sheet) -> None:
    """Draw the triangle of a gain and a K in the brackets of a matrix."""
    s.line([14, 14, 236], [8, 242, MIDDLE], OUTLINE, closed=True)
    s.text("K", 86, MIDDLE, 52, SANS)
    for x, tip in ((37, 49), (135, 123)):
        s.line([tip, x, x, tip], MIDDLE + np.array([-40, -40, 40, 40]), OUTLINE)


def unitdelay(s: Sheet) -> None:
    """Draw z to the power -1."""
    s.text("$z^{{-}1}$", MIDDLE, MIDDLE, 140, MATH)


def tappeddelay(s: Sheet) -> None:
    """Draw a line of delays, tapped after each."""
    s.line([8, 236], 190, OUTLINE)
    for x in (30, 102, 174):
        s.line([x, x + 44, x + 44, x], [168, 168, 212, 212], OUTLINE, closed=True)
        s.line(x + 58, [60, 190], OUTLINE)
        s.line([x + 44, x + 58, x + 72], [84, 56, 84], OUTLINE)


def array(s: Sheet, left: float, tail: float, tip: float) -> None:
    """Draw an array, one row a sample, and an arrow to the right."""
    x, y = left + np.array([0, 50, 100]), MIDDLE + np.array([-104, -52, 0, 52, 104])
    s.line(x[[0, 0, 2, 2]], y[[0, 4, 4, 0]], OUTLINE, closed=True)
    s.line(x[1], y[[0, 4]], OUTLINE)
    for row in y[1:4]:
        s.line(x[[0, 2]], row, OUTLINE)
    s.line([tail, tip - 16], MIDDLE, BOLD)
    s.line([tip - 54, tip - 12, tip - 54], MIDDLE + np.array([-42, 0, 42]), BOLD)


def fromworkspace(s: Sheet) -> None:
    """Draw an array and the signal that leaves it."""
    array(s, left=14, tail=114, tip=246)


def toworkspace(s: Sheet) -> None:
    """Draw a signal and the array that it enters."""
    array(s, left=136, tail=4, tip=124)


DRAWN = (
    sigmoid,
    tanh,
    relu,
    leakyrelu,
    elu,
    softplus,
    softsign,
    hardsigmoid,
    abs,
    exp,
    sqrt,
    softmax,
    normalize,
    dot,
    hadamard,
    divide,
    matrixgain,
    vectorgain,
    unitdelay,
    tappeddelay,
    fromworkspace,
    toworkspace,
)

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for draw in DRAWN:
        for suffix in ("", "_flipped"):
            sheet = Sheet(flipped=bool(suffix))
            draw(sheet)
            path = FOLDER / f"{draw.__name__}{suffix}.png"
            sheet.figure.savefig(path, dpi=DPI, transparent=True, metadata={"Software": None})
