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

#: A signal of a buffer's rows, copied into an array of its own.
COLLECT = """
def collect(source, out, o):
    samples, width, at, row = o[0], o[1], o[2], o[3]
    for k in range(samples):
        for j in range(width):
            out[k * width + j] = source[at + k * row + j]
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
