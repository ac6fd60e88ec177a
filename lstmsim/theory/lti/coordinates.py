"""The scale and the coordinates of the states for which a network's error is the least."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import scipy.linalg

from lstmsim.base import FloatArray, InvalidValueError
from lstmsim.networks import Network
from lstmsim.theory.lti.linearity import bounds
from lstmsim.theory.lti.systems import Matrices

#: Roundings hardly ever all go one way: what happens is about a hundredth of the bound.
_LIKELY = 0.01
#: What the nonlinearity may add to the bound of the rounding, which no scale changes.
_SHARE = 1e-4
#: Where the scale is first tried; tanh is linear there to less than the last bit.
_TRIED = 2.0**-40
#: Scales below could lose bits, as the smallest numbers of single precision do.
_LEAST = 2.0**-60


def choose(
    system: Matrices,
    target: Matrices,
    network: Callable[[Matrices, float], Network],
    limits: FloatArray,
    dtype: npt.DTypeLike,
    samples: int | None,
) -> Network:
    """Return the network with the least bound of its error.

    The nonlinearity's share of the error falls with the square of the scale; rounding's share
    does not depend on it, but on the coordinates.  So the coordinates are chosen by their
    rounding, and the scale as the largest power of two (which rounds no weight) at which the
    nonlinearity adds next to nothing to it.

    Parameters
    ----------
    system : Matrices
        The system.
    target : Matrices
        The one that the network is to compute: another one if it has no direct path.
    network : callable
        Makes a network of a system and a scale.
    limits : ndarray of shape (m,)
        The largest |u| of every input.
    dtype : dtype
        The precision.
    samples : int or None
        The longest run.

    Returns
    -------
    Network
        In the best coordinates and scale.

    Raises
    ------
    InvalidValueError
        If no bound is known.
    """
    best: tuple[float, Network] | None = None
    for rescaled in _candidates(system):
        report = bounds(network(rescaled, _TRIED), limits, target, dtype, samples)
        floor = _LIKELY * max(report.rounding) + max(report.weights)
        if not math.isfinite(floor):
            continue
        scale = _scale(max(report.rounding), max(report.nonlinear))
        if best is None or floor < best[0]:
            best = floor, network(rescaled, scale)
    if best is None:
        raise InvalidValueError(
            "no bound of the error is known: the system forgets too slowly",
            where="approximate",
            given=f"a pole of size {np.abs(np.linalg.eigvals(system.A)).max():.12g}",
            expected="poles that decay to a half within 260,000 samples",
            mend="say how long the longest run is: samples=…; or choose the scale yourself",
        )
    return best[1]


def _scale(rounding: float, nonlinear: float) -> float:
    if nonlinear == 0 or rounding == 0:
        return _TRIED
    best = _TRIED * math.sqrt(_SHARE * rounding / nonlinear)
    return max(_LEAST, 2.0 ** min(0, math.floor(math.log2(best))))


def _candidates(system: Matrices) -> Iterator[Matrices]:
    yield system
    n = len(system.A)
    if n == 0:
        return
    balanced = _balanced(system)
    if balanced is not None:
        yield balanced
        _, Q = scipy.linalg.schur(balanced.A)
        yield balanced.in_coordinates(Q, Q.T)


def _balanced(system: Matrices) -> Matrices | None:
    """Return the balanced realisation: both Gramians diagonal and equal; None if there is none."""
    A = system.A
    if np.abs(np.linalg.eigvals(A)).max() >= 1:
        return None
    roots = []
    for gramian in (_gramian(A, system.B @ system.B.T), _gramian(A.T, system.C.T @ system.C)):
        if not np.isfinite(gramian).all():  # a pole that only rounding keeps from the unit circle
            return None
        roots.append(_root(gramian))
    _, sizes, Vt = np.linalg.svd(roots[1].T @ roots[0])
    # States that hardly take part would be blown up: they keep a size of their own.
    sizes = np.maximum(sizes, 1e-8 * sizes.max(initial=0.0))
    if not sizes.all() or not np.isfinite(sizes).all():
        return None
    T = roots[0] @ Vt.T / np.sqrt(sizes)
    try:
        inverse = np.linalg.inv(T)
    except np.linalg.LinAlgError:
        return None
    return system.in_coordinates(T, inverse) if np.isfinite(inverse).all() else None


def _root(gramian: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh((gramian + gramian.T) / 2)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 1e-14 * values.max())))


def _gramian(A: FloatArray, Q: FloatArray) -> FloatArray:
    """Return Σ Aᵏ Q Aᵏᵀ, k from 0; not finite, or too small, for a pole on the unit circle.

    By doubling (R. A. Smith, Matrix equation XA + BX = C, SIAM J. Appl. Math. 16, 1968): SciPy's
    own solution warns of badly scaled systems, and of these too what comes out is judged by its
    bound.
    """
    total, power = Q, A
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(64):  # a pole is at most 1 − 2⁻⁵³, and its 2⁶⁴th power is 0
            added = power @ total @ power.T
            if not np.abs(added).max(initial=0.0) > 1e-17 * np.abs(total).max(initial=0.0):
                break
            total, power = total + added, power @ power
    return np.asarray(total)
