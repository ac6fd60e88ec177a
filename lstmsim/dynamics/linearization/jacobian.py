"""Jacobians of one signal by another, at all samples at once, with their structure.

Most operations are element-wise, so that their Jacobians are diagonal; those of gains are the same
at every sample.  Diagonals and constants are stored as such until a product fills them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lstmsim.base import Array
from lstmsim.engine import Node


@dataclass(frozen=True)
class Jacobian:
    """∂y/∂x, of shape (S, m, n), or its diagonal, (S, n); S is 1 if all samples have the same.

    Parameters
    ----------
    values : ndarray
        The numbers.
    diagonal : bool
        Whether only the diagonal is stored.
    """

    values: Array
    diagonal: bool = False

    @property
    def dense(self) -> Array:
        """All elements, (S, m, n)."""
        if not self.diagonal:
            return self.values
        samples, n = self.values.shape
        full = np.zeros((samples, n, n))
        full[:, np.arange(n), np.arange(n)] = self.values
        return full

    def __add__(self, other: Jacobian) -> Jacobian:
        if self.diagonal and other.diagonal:
            return Jacobian(self.values + other.values, diagonal=True)
        return Jacobian(self.dense + other.dense)

    def after(self, inner: Jacobian) -> Jacobian:
        """Return the chain rule's product: this one after the inner one."""
        if self.diagonal and len(self.values) == 1 and (self.values == 1).all():
            return inner
        if self.diagonal and inner.diagonal:
            return Jacobian(self.values * inner.values, diagonal=True)
        if self.diagonal:
            return Jacobian(self.values[:, :, None] * inner.values)
        if inner.diagonal:
            return Jacobian(self.values * inner.values[:, None, :])
        return Jacobian(_product(self.values, inner.values))

    def spread(self, width: int) -> Jacobian:
        """Return the Jacobian of a signal of one element that is repeated to a width."""
        dense = self.dense
        return Jacobian(np.broadcast_to(dense, (len(dense), width, dense.shape[2])))


def identity(width: int) -> Jacobian:
    """Return ∂x/∂x."""
    return Jacobian(np.ones((1, width)), diagonal=True)


def _product(a: Array, b: Array) -> Array:
    if (len(a) > 1 and len(b) > 1) or a.shape[1] == 1 or b.shape[2] == 1:
        return np.asarray(a @ b)
    # One matrix times many is one large product, which is much faster than many small ones.
    if len(b) == 1:
        rows = a.reshape(-1, a.shape[2]) @ b[0]
        return np.asarray(rows.reshape(len(a), a.shape[1], b.shape[2]))
    return np.asarray(np.tensordot(b, a[0], axes=(1, 1)).swapaxes(1, 2))


def local_jacobians(
    node: Node, settings: dict[str, Any], inputs: tuple[Array, ...], output: Array
) -> tuple[Jacobian, ...]:
    """Return the Jacobians of an operation by each of its inputs, as its pullback gives them.

    Where each output element has its own input elements, the pullback of ones is the diagonal.
    Else the pullback of the unit vectors gives the Jacobian row by row.  Inputs of one element
    that meet wider ones are repeated first: `Jacobian.spread` goes before.
    """
    width = node.width
    if node.op.linear:
        inputs = tuple(np.zeros((1, u.shape[1])) for u in inputs)
        output = np.zeros((1, width))
    if node.op.elementwise:
        shape = np.broadcast_shapes((1, width), *(u.shape for u in inputs))
        wide = tuple(np.broadcast_to(u, shape) for u in inputs)
        bars, _ = node.op.pullback(np.ones(shape), wide, np.broadcast_to(output, shape), settings)
        return tuple(Jacobian(np.asarray(bar), diagonal=True) for bar in bars)
    samples = max(len(u) for u in inputs)
    rows = [np.broadcast_to(u, (width, samples, u.shape[1])) for u in inputs]
    units = np.broadcast_to(np.eye(width)[:, None, :], (width, samples, width))
    outputs = np.broadcast_to(output, (width, samples, width))
    bars, _ = node.op.pullback(units, tuple(rows), outputs, settings)
    return tuple(Jacobian(np.asarray(bar).swapaxes(0, 1)) for bar in bars)


def kinks(node: Node, settings: dict[str, Any], inputs: tuple[Array, ...]) -> Array | None:
    """Return the slopes that are taken where the slope jumps, (S, width), or None for nowhere.

    Where it does not jump they are NaN.  The slopes one floating-point number below and above the
    input are compared: an operation whose slope is a choice may still be smooth.
    """
    kinked = node.op.elementwise and node.op.element(len(inputs), node.static).kinked
    if not kinked or len(inputs) != 1:
        return None

    def slope(u: Array) -> Array:
        u = np.broadcast_to(u, (len(u), node.width))
        y = node.op.forward((u,), settings)
        return np.asarray(node.op.pullback(np.ones(u.shape), (u,), y, settings)[0][0])

    below, above = (slope(np.nextafter(inputs[0], side)) for side in (-np.inf, np.inf))
    jumps = np.abs(above - below) > 1e-6 * np.maximum(1, np.abs(below))
    return np.where(jumps, slope(inputs[0]), np.nan) if jumps.any() else None
