"""The scale and the state coordinates that minimise a network's error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy.linalg

from lstmsim.base import FloatArray, InvalidValueError
from lstmsim.networks import Network
from lstmsim.theory.lti.linearity import bounds

if TYPE_CHECKING:
    import control

#: Roundings cancel in part: the error is about a hundredth of the bound.
_LIKELY = 0.01
#: The nonlinearity's error, relative to the bound of the rounding, which no scale changes.
_SHARE = 1e-4
#: The first scale; tanh is linear there to less than the last bit.
_FIRST_SCALE = 2.0**-40
#: Smaller scales could lose bits, as the subnormal numbers of single precision do.
_SMALLEST_SCALE = 2.0**-60
#: A pole is at most 1 − 2⁻⁵³, and its 2⁶⁴th power is 0.
_DOUBLINGS = 64


def choose(
    system: control.StateSpace,
    target: control.StateSpace,
    network: Callable[[control.StateSpace, float], Network],
    limits: FloatArray,
    dtype: npt.DTypeLike,
    samples: int | None,
) -> Network:
    """Return the network with the least bound of its error.

    The nonlinearity's share of the error falls with the square of the scale; rounding's share
    does not depend on it, but on the coordinates.  So the coordinates are chosen by their
    rounding, and the scale as the largest power of two (which rounds no weight) at which the
    nonlinearity adds next to nothing.

    Parameters
    ----------
    system : control.StateSpace
        The system.
    target : control.StateSpace
        The system that the network should compute; without a direct path it is another one.
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
        report = bounds(network(rescaled, _FIRST_SCALE), limits, target, dtype, samples)
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
        return _FIRST_SCALE
    best = _FIRST_SCALE * math.sqrt(_SHARE * rounding / nonlinear)
    return max(_SMALLEST_SCALE, 2.0 ** min(0, math.floor(math.log2(best))))


def _candidates(system: control.StateSpace) -> Iterator[control.StateSpace]:
    from control import similarity_transform

    yield system
    T = _balancing(system)
    if T is None:
        return
    try:
        balanced = similarity_transform(system, T, inverse=True)
    except np.linalg.LinAlgError:
        return
    if all(np.isfinite(matrix).all() for matrix in (balanced.A, balanced.B, balanced.C)):
        yield balanced
        _, Q = scipy.linalg.schur(balanced.A)
        yield similarity_transform(balanced, Q, inverse=True)


def _balancing(system: control.StateSpace) -> FloatArray | None:
    """Return T whose states T⁻¹ x have both Gramians diagonal and equal; None if there is none."""
    if system.nstates == 0:
        return None
    reach = _gramian(system.A, system.B @ system.B.T)
    observe = _gramian(system.A.T, system.C.T @ system.C)
    if reach is None or observe is None:
        return None
    roots = [_root(gramian) for gramian in (reach, observe)]
    _, sizes, Vt = np.linalg.svd(roots[1].T @ roots[0])
    # States that hardly take part would be blown up: they keep a size of their own.
    sizes = np.maximum(sizes, 1e-8 * sizes.max(initial=0.0))
    if not sizes.all() or not np.isfinite(sizes).all():
        return None
    T = roots[0] @ Vt.T / np.sqrt(sizes)
    return np.asarray(T)


def _gramian(A: FloatArray, Q: FloatArray) -> FloatArray | None:
    """Return Σ Aᵏ Q Aᵏᵀ over all k, by doubling (R. A. Smith, 1968); None if it has no limit.

    SciPy's solver warns of badly scaled systems; their networks are judged by their bounds.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(_DOUBLINGS):
            more = A @ Q @ A.T
            Q, A = Q + more, A @ A
            if not np.isfinite(Q).all():
                return None
            # The diagonal bounds all elements; each one counts, as states may differ in size.
            if (np.diag(more) <= 1e-17 * np.diag(Q)).all():
                return Q
    return None


def _root(gramian: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh((gramian + gramian.T) / 2)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 1e-14 * values.max())))
