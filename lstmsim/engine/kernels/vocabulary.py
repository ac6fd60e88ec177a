"""The vocabulary of kernels for numbers; its mathematics is the text of the table of operations."""

from __future__ import annotations

from collections.abc import Callable

from lstmsim.blocks import FUNCTIONS, OPS, names, renamed

_SCALAR = """
def load(array, index):
    return array[index]
def store(array, index, value):
    array[index] = value
def splat(array, index):
    return array[index]
def zero(array):
    return array.dtype.type(0)
def add(a, b):
    return a + b
def sub(a, b):
    return a - b
def mul(a, b):
    return a * b
def neg(a):
    return -a
def fma(a, b, c):
    return a * b + c
def prefetch(array, index):
    pass
def div(a, b):
    return a / b
def add_sum(array, index, value, count):
    array[index] += value
"""

#: The choices of the formulas, for numbers.
CHOICES = """
def _where(condition, a, b):
    return a if condition else b
def _minimum(a, b):
    return b if b < a else a
def _maximum(a, b):
    return b if b > a else a
"""

#: Samples whose cotangents and signals stay in the cache while products of them add up.
SAMPLES_IN_CACHE = 128


def _tiles(
    outer: tuple[str, str],
    inner: tuple[str, str],
    body: Callable[[int, int], list[str]],
    before: Callable[[int], list[str]] = lambda n: [],
) -> list[str]:
    """Return two nested loops in tiles of four by two, and smaller ones where no more are left.

    Eight sums are enough that additions do not wait for one another; more take longer to compile.
    A loop is a variable and the name of its count; `body` gives the lines of a tile,
    `before` those of the outer loop before the inner one.
    """
    lines = []
    for n, first, end in (4, "0", f"{outer[1]} & -4"), (1, f"{outer[1]} & -4", outer[1]):
        lines.append(f"for {outer[0]} in range({first}, {end}, {n}):")
        lines.extend("    " + line for line in before(n))
        for m, begin, stop in (2, "0", f"{inner[1]} & -2"), (1, f"{inner[1]} & -2", inner[1]):
            lines.append(f"    for {inner[0]} in range({begin}, {stop}, {m}):")
            lines.extend("        " + line for line in body(n, m))
    return lines


def _indented(lines: list[str], depth: int) -> str:
    return "".join("    " * depth + line + "\n" for line in lines)


def _product() -> str:
    """Return the kernel of a product for all samples at once, out[k] = W u[k].

    W is packed as (blocks, columns, LANES).  The sums of four vectors at four samples stay in
    registers; each goes over the columns in order, whatever the number of samples.
    """

    def tile(vectors: int, samples: int) -> list[str]:
        sums = [(c, b) for c in range(samples) for b in range(vectors)]
        return [
            *(f"t{c}{b} = zero(out)" for c, b in sums),
            "p, d, q = b * columns * LANES, columns * LANES, u_at + k * u_row",
            "for j in range(columns):",
            *(f"    w{b} = load(w, p + {b} * d + j * LANES)" for b in range(vectors)),
            *(f"    s{c} = splat(u, q + {c} * u_row + j)" for c in range(samples)),
            *(f"    t{c}{b} = fma(w{b}, s{c}, t{c}{b})" for c, b in sums),
            *(f"store(out, (k + {c}) * out_row + (b + {b}) * LANES, t{c}{b})" for c, b in sums),
        ]

    head = (
        "def product(u, w, out, o):\n"
        "    samples, columns, u_at, u_row, out_row, blocks = o[0], o[1], o[2], o[3], o[4], o[5]\n"
    )
    return head + _indented(_tiles(("b", "blocks"), ("k", "samples"), tile), 1)


def _outer() -> str:
    """Return the kernel of Σ ȳ xᵀ over the samples, out[j] = Σ bar[k, at:] x[k, j].

    The sums of a tile, vectors of ȳ with elements of x, stay in registers.  Four vectors of some
    samples are put side by side first, behind the result: in the rows of `bar` they are so far
    apart that the cache would not hold them.
    """

    def side_by_side(vectors: int) -> list[str]:
        if vectors == 1:
            return ["near, step = bar_at + b * LANES, bar_row"]
        return [
            "near, step = blocks * columns * LANES, 4 * LANES",
            "for k in range(first, end):",
            "    p, q = near + (k - first) * step, bar_at + k * bar_row + b * LANES",
            *(f"    store(out, p + {b} * LANES, load(bar, q + {b} * LANES))" for b in range(4)),
        ]

    def tile(vectors: int, elements: int) -> list[str]:
        sums = [(c, b) for c in range(elements) for b in range(vectors)]
        buffer, since = ("out", "first") if vectors == 4 else ("bar", "0")
        place = f"near + (k - {since}) * step"
        places = {(c, b): f"((j + {c}) * blocks + b + {b}) * LANES" for c, b in sums}
        return [
            *(f"t{c}{b} = load(out, {places[c, b]})" for c, b in sums),
            "for k in range(first, end):",
            f"    p, q = {place}, x_at + k * x_row + j",
            *(f"    y{b} = load({buffer}, p + {b} * LANES)" for b in range(vectors)),
            *(f"    s{c} = splat(x, q + {c})" for c in range(elements)),
            *(f"    t{c}{b} = fma(y{b}, s{c}, t{c}{b})" for c, b in sums),
            *(f"store(out, {places[c, b]}, t{c}{b})" for c, b in sums),
        ]

    head = (
        "def outer(bar, x, out, o):\n"
        "    samples, bar_at, bar_row, blocks = o[0], o[1], o[2], o[3]\n"
        "    x_at, x_row, columns = o[4], o[5], o[6]\n"
        "    for i in range(blocks * columns):\n"
        "        store(out, i * LANES, zero(out))\n"
        f"    for first in range(0, samples, {SAMPLES_IN_CACHE}):\n"
        f"        end = min(first + {SAMPLES_IN_CACHE}, samples)\n"
    )
    return head + _indented(_tiles(("b", "blocks"), ("j", "columns"), tile, side_by_side), 2)


PRODUCT, OUTER = _product(), _outer()

#: A signal of a buffer's rows, copied into an array of its own.  The last vector of a row may write
#: past its end; the next row overwrites the excess, so the last rows are copied element by element.
COLLECT = """
def collect(source, out, o):
    samples, width, at, row, blocks = o[0], o[1], o[2], o[3], o[4]
    over = blocks * LANES
    for k in range(samples):
        p, q = at + k * row, k * width
        if q + over <= samples * width and p + over <= source.size:
            for b in range(blocks):
                store(out, q + b * LANES, load(source, p + b * LANES))
        else:
            for j in range(width):
                out[q + j] = source[p + j]
"""


def words() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the operations' words for one element: text and arguments by name.

    Operations that are sums and products alone are written with those, and have no words.
    """
    found = {}
    for op in OPS.values():
        if op.word is None:
            continue
        formula = op.word
        arguments = (*formula.inputs, *formula.parameters)
        found[op.name] = (formula.value, arguments)
        for position, text in enumerate(formula.cotangents):
            known = ("bar", *formula.inputs, "y", *formula.parameters)
            used = tuple(name for name in known if name in names(text))
            found[f"{op.name}_pullback{position}"] = (text, used)
    return found


def scalar_source() -> str:
    """Return the vocabulary for numbers: its mathematics is the text of the table of operations."""
    lines = [_SCALAR, CHOICES]
    # An operation and a function of the formulas may have one name: `tanh` calls `_tanh`.
    new = {name: f"_{name}" for name in FUNCTIONS}
    for word, (text, arguments) in words().items():
        lines.append(f"def {word}({', '.join(arguments)}):\n    return {renamed(text, new)}\n")
    return "".join(lines)
