"""Products of many matrices, which would overflow or underflow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lstmsim.base import FloatArray

#: The exponent of a column of zeros, which no product reaches.
_ZERO = -(2**60)


@dataclass(frozen=True)
class Scaled:
    """A matrix whose column j is values[:, j]·2^exponents[j].

    Each column has its own exponent, because the products of two loops that do not feed one
    another may differ by more than floating point can express.
    """

    values: FloatArray
    exponents: npt.NDArray[np.int64]

    @classmethod
    def of(cls, matrix: FloatArray) -> Scaled:
        """Return a matrix, scaled."""
        sizes = np.abs(matrix).max(axis=0, initial=0)
        powers = np.where(sizes > 0, np.frexp(sizes)[1], 0).astype(np.int64)
        return cls(np.ldexp(matrix, -powers), np.where(sizes > 0, powers, _ZERO))

    def times(self, matrix: FloatArray) -> Scaled:
        """Return the product of this matrix and another one."""
        terms = np.frexp(matrix)[1] + self.exponents[:, None]
        terms = np.where((matrix != 0) & (self.exponents[:, None] > _ZERO), terms, _ZERO)
        largest = terms.max(axis=0, initial=_ZERO)
        shifts = np.clip(self.exponents[:, None] - largest[None, :], -5000, 5000)
        shifted = np.where(terms > _ZERO, np.ldexp(matrix, shifts.astype(np.int32)), 0)
        product = Scaled.of(self.values @ shifted)
        lost = (product.exponents == _ZERO) | (largest == _ZERO)
        return Scaled(product.values, np.where(lost, _ZERO, product.exponents + largest))

    @property
    def log_scale(self) -> float:
        """The logarithm of the largest column's scale; −∞ if all is zero."""
        largest = int(self.exponents.max(initial=_ZERO))
        return -math.inf if largest == _ZERO else largest * math.log(2)

    @property
    def mantissa(self) -> FloatArray:
        """The matrix divided by its scale; elements below 1e-308 are zero."""
        shifts = np.clip(self.exponents - self.exponents.max(initial=_ZERO), -5000, 0)
        return np.asarray(np.ldexp(self.values, shifts.astype(np.int32)))

    @property
    def log_norm(self) -> float:
        """The logarithm of the largest singular value; −∞ if all is zero."""
        if self.log_scale == -math.inf:
            return -math.inf
        return self.log_scale + math.log(float(np.linalg.norm(self.mantissa, 2)))


def norms(matrices: FloatArray) -> FloatArray:
    """Return the largest singular value of each matrix, (S, m, n) → (S,)."""
    if 0 in matrices.shape:
        return np.zeros(len(matrices))
    off_diagonal = np.eye(*matrices.shape[1:]) == 0
    if not matrices[:, off_diagonal].any():
        return np.asarray(np.abs(matrices).max(axis=(1, 2)))
    return np.asarray(np.linalg.svd(matrices, compute_uv=False)[:, 0])
