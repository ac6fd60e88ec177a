"""MATLAB's default random stream: the one that the published example draws from.

The Mersenne Twister gives 32-bit words; `rand` makes 53-bit numbers of two words, and `randn`
the ziggurat of Marsaglia and Tsang with 256 strips.

References
----------
M. Matsumoto and T. Nishimura, "Mersenne Twister", ACM TOMACS 8(1), 1998.
G. Marsaglia and W. W. Tsang, "The ziggurat method for generating random variables",
Journal of Statistical Software 5(8), 2000.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from lstmsim.base import FloatArray, InvalidValueError

#: The right edge of the ziggurat's last strip, where the tail begins.
_TAIL = 3.6541528853610088
_STRIPS = 256


def _density(x: float) -> float:
    return math.exp(-0.5 * x * x)


@functools.cache
def _edges() -> tuple[float, ...]:
    """Return the strips' right edges x, ascending: x[0] = 0, x[255] = r, x[256] = V / f(r)."""
    # V, the area of every strip: the base strip is r·f(r) and the tail beyond r.
    tail = math.sqrt(math.pi / 2) * math.erfc(_TAIL / math.sqrt(2))
    area = _TAIL * _density(_TAIL) + tail
    edges = [area / _density(_TAIL), _TAIL]
    while len(edges) < _STRIPS:
        x = edges[-1]
        edges.append(math.sqrt(-2 * math.log(area / x + _density(x))))
    edges.append(0.0)
    return tuple(reversed(edges))


class MatlabRandom:
    """The random numbers that MATLAB gives after ``rng(seed)``.

    Parameters
    ----------
    seed : int, optional
        From 0 to 2³² − 1; as in MATLAB, 0 stands for 5489.

    Raises
    ------
    InvalidValueError
        If the seed is out of its range.

    Examples
    --------
    >>> random = MatlabRandom(0)
    >>> random.rand(2, 2).round(4)
    array([[0.8147, 0.127 ],
           [0.9058, 0.9134]])
    """

    def __init__(self, seed: int = 0) -> None:
        if (
            isinstance(seed, bool)
            or not isinstance(seed, int | np.integer)
            or not 0 <= seed < 2**32
        ):
            raise InvalidValueError(
                "the seed is out of range",
                where="MatlabRandom",
                given=repr(seed),
                expected="a whole number from 0 to 2**32 - 1",
            )
        self._words = np.random.RandomState(int(seed) or 5489)

    def rand(self, *shape: int) -> FloatArray:
        """Return uniform numbers in (0, 1), filled column by column.

        Parameters
        ----------
        *shape : int
            As NumPy's shapes; none for a single number in an array of shape ().
        """
        return self._words.random_sample(math.prod(shape)).reshape(shape, order="F")

    def randn(self, *shape: int) -> FloatArray:
        """Return standard normal numbers, filled column by column.

        Parameters
        ----------
        *shape : int
            As NumPy's shapes; none for a single number in an array of shape ().
        """
        numbers = [self._normal() for _ in range(math.prod(shape))]
        return np.array(numbers, dtype=np.float64).reshape(shape, order="F")

    def _uniform(self) -> float:
        return float(self._words.random_sample())

    def _normal(self) -> float:
        x = _edges()
        while True:
            w0, w1 = (int(w) for w in self._words.randint(0, 2**32, size=2, dtype=np.uint32))
            strip = w1 >> 24
            v = ((w0 >> 3) * 2**24 + (w1 & 0xFFFFFF)) / 2**53
            z = (2 * v - 1) * x[strip + 1]
            if abs(z) < x[strip]:
                return z
            if strip == _STRIPS - 1:
                return math.copysign(self._tail(), z)
            low, high = _density(x[strip + 1]), _density(x[strip])
            if low + self._uniform() * (high - low) < _density(z):
                return z

    def _tail(self) -> float:
        """Return a number beyond the last edge, by Marsaglia's exponential wedge."""
        while True:
            a = -math.log(self._uniform()) / _TAIL
            b = -math.log(self._uniform())
            if 2 * b > a * a:
                return _TAIL + a
