"""The vocabulary of kernels for numbers; its mathematics is the text of the table of operations."""

from __future__ import annotations

from lstmsim.ops import OPS

#: Operations of one input that the vocabulary has under their own names, with their pullbacks.
UNARY = ("sigmoid", "tanh", "relu", "clip")

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
def add_sum(array, index, value):
    array[index] += value
def where(condition, a, b):
    return a if condition else b
def minimum(a, b):
    return b if b < a else a
def maximum(a, b):
    return b if b > a else a
"""

#: A product for all samples at once, out[k, at:] = W u[k], W packed as (blocks, columns, LANES).
PRODUCT = """
def product(u, w, out, o):
    samples, columns, u_row, out_row, at, blocks = o[0], o[1], o[2], o[3], o[4], o[5]
    for k in range(samples):
        for b in range(blocks):
            total = zero(out)
            p = b * columns * LANES
            for j in range(columns):
                total = fma(load(w, p + j * LANES), splat(u, k * u_row + j), total)
            store(out, k * out_row + at + b * LANES, total)
"""


def _outer() -> str:
    """Return the kernel of Σ ȳ xᵀ over the samples, out[j] = Σ bar[k, at:] x[k, j].

    A pass over the samples is for four vectors of ȳ and four elements of x, or one where there
    are no four more, so that the sums stay in registers.
    """
    lines = [
        "def outer(bar, x, out, o):",
        "    samples, bar_at, bar_row, blocks = o[0], o[1], o[2], o[3]",
        "    x_at, x_row, columns = o[4], o[5], o[6]",
    ]
    for vectors in (4, 1):
        first = "0" if vectors == 4 else "blocks & -4"
        end = "blocks & -4" if vectors == 4 else "blocks"
        lines.append(f"    for b in range({first}, {end}, {vectors}):")
        for elements in (4, 1):
            first = "0" if elements == 4 else "columns & -4"
            end = "columns & -4" if elements == 4 else "columns"
            lines.append(f"        for j in range({first}, {end}, {elements}):")
            lines.extend("            " + line for line in _outer_pass(vectors, elements))
    return "\n".join(lines) + "\n"


def _outer_pass(vectors: int, elements: int) -> list[str]:
    sums = [(c, b) for c in range(elements) for b in range(vectors)]
    return [
        *(f"t{c}{b} = zero(out)" for c, b in sums),
        "for k in range(samples):",
        "    p, q = bar_at + k * bar_row + b * LANES, x_at + k * x_row + j",
        *(f"    y{b} = load(bar, p + {b} * LANES)" for b in range(vectors)),
        *(f"    s{c} = splat(x, q + {c})" for c in range(elements)),
        *(f"    t{c}{b} = fma(y{b}, s{c}, t{c}{b})" for c, b in sums),
        *(f"store(out, ((j + {c}) * blocks + b + {b}) * LANES, t{c}{b})" for c, b in sums),
    ]


OUTER = _outer()

#: A signal of a buffer's rows, copied into an array of its own.  What a row's last vector writes
#: too much the next row overwrites; the last rows go element by element.
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


def scalar_source() -> str:
    """Return the vocabulary for numbers: its mathematics is the text of the table of operations."""
    lines = [_SCALAR]
    for name in UNARY:
        op = OPS[name]
        bounds = ", low, high" if name == "clip" else ""
        # C's exp and NumPy's overflow to infinity, as 1 / (1 + exp(-u)) expects; Python's raises.
        forward = str(op.scalar).format("u").replace("tanh(", "_tanh(").replace("exp(", "_exp(")
        backward = str(op.scalar_pullback).format("u", y="y", bar="bar").replace(" & ", " and ")
        lines.append(f"def {name}(u{bounds}):\n    return {forward}\n")
        lines.append(f"def {name}_pullback(bar, u, y{bounds}):\n    return {backward}\n")
    return "".join(lines)
