"""Frames of directions that Jacobians turn and stretch, kept orthonormal by QR."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

from lstmsim.base import FloatArray


@dataclass(frozen=True)
class Frame:
    """Orthonormal directions.

    Parameters
    ----------
    columns : ndarray of shape (n, n)
        The directions; the first `alive` span the images of the first initial directions.
    order : ndarray of shape (n,)
        The initial direction of each column.
    alive : int
        Number of directions not mapped to zero.  The columns after them are arbitrary.
    """

    columns: FloatArray
    order: npt.NDArray[np.intp]
    alive: int

    @classmethod
    def of(cls, columns: FloatArray) -> Frame:
        """Return the initial frame of these columns."""
        n = len(columns)
        return cls(columns, np.arange(n), n)

    @classmethod
    def random(cls, n: int) -> Frame:
        """Return a random frame; one along the axes could stay in an invariant subspace."""
        numbers = np.random.default_rng(0).standard_normal((n, n))
        return cls.of(np.linalg.qr(numbers)[0])


def factored(matrices: FloatArray, frame: Frame) -> tuple[FloatArray, Frame]:
    """Return ln |Rⱼⱼ| of A Q = Q⁺ R for one matrix A after the other, and the last frame.

    A direction that is mapped to zero gets −∞ and moves to the end, because QR would otherwise
    orthogonalise the others against the arbitrary vector in its place.
    """
    columns, order, alive = frame.columns, frame.order, frame.alive
    factors = np.empty((len(matrices), len(columns)))
    largest = np.abs(matrices).max(axis=(1, 2))
    for k, matrix in enumerate(matrices):
        product = matrix @ columns
        # LAPACK's own Householder factorization: NumPy's takes four times as long at this size.
        packed, tau, _, _ = lapack.dgeqrf(product)
        r = np.abs(packed.diagonal())
        if r.min() <= 1e-10 * largest[k]:
            zero = _is_rounding(r, matrix, columns)
            dead = np.flatnonzero(zero[:alive])
            if len(dead):
                kept = np.flatnonzero(~zero[:alive])
                new = np.concatenate([kept, dead, np.arange(alive, len(columns))])
                order, alive = order[new], len(kept)
                if (new[:alive] != np.arange(alive)).any():
                    packed, tau, _, _ = lapack.dgeqrf(product[:, new])
                    r, zero = np.abs(packed.diagonal()), zero[new]
            r = np.where(zero, 0, r)
        factors[k, order] = r
        columns, _, _ = lapack.dorgqr(packed, tau, overwrite_a=True)
    with np.errstate(divide="ignore"):
        return np.log(factors), Frame(columns, order, alive)


def _is_rounding(r: FloatArray, matrix: FloatArray, columns: FloatArray) -> npt.NDArray[np.bool_]:
    """Return which factors are no larger than the rounding of their own columns."""
    size = np.linalg.norm(np.abs(matrix) @ np.abs(columns), axis=0)
    return np.asarray(r <= 16 * len(r) * np.finfo(float).eps * size)
