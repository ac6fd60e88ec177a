"""Peak gains: sums of |L Aᵏ R| over k, a bound of a signal for bounded inputs."""

from __future__ import annotations

import numpy as np

from lstmsim.base import FloatArray

#: If A has not halved after this many samples, the sum is treated as infinite.
_SLOWEST = 2**18
#: Samples that are computed at once.
_AT_ONCE = 1024


def absolute_sum(
    left: FloatArray, A: FloatArray, right: FloatArray, samples: int | None = None
) -> FloatArray:
    """Return an upper bound of Σ_k |L Aᵏ R|, element by element, tight to 1e-9.

    Parameters
    ----------
    left, A, right : ndarray of shape (p, n), (n, n), (n, m)
        The factors.
    samples : int, optional
        How many terms; all of them if not given, which is infinite if A does not decay.

    Returns
    -------
    ndarray of shape (p, m)
        The sums.
    """
    shape = (left.shape[0], right.shape[1])
    if A.shape[0] == 0 or 0 in shape:
        return np.zeros(shape)
    block, decayed = _decay(A)
    if samples is None and decayed is None:
        return np.where((np.abs(left).sum() == 0) | (np.abs(right).sum() == 0), 0.0, np.inf) * (
            np.ones(shape)
        )
    size = min(max(64, block), _AT_ONCE) if samples is None else min(samples, _AT_ONCE)
    rows, jump = _powers(A, size)
    rows = left @ rows
    # The rest of the sum is at most Σ |L Aʳ| over one block, times the states' largest element.
    reach = None if samples is not None else _reach(rows, jump, block)
    total, states, done = np.zeros(shape), right.copy(), 0
    while samples is None or done < samples:
        terms = np.abs(rows @ states)
        if samples is not None:
            terms = terms[: samples - done]
        total += terms.sum(axis=0)
        done += size
        states = jump @ states
        if reach is not None and decayed is not None:
            tail = reach[:, None] * np.abs(states).max(axis=0) / (1 - decayed)
            if tail.max() <= 1e-9 * total.max():
                return np.asarray(total + tail)
        if not np.isfinite(total).all():
            return np.full(shape, np.inf)
    return total


def _decay(A: FloatArray) -> tuple[int, float | None]:
    """Return a number of samples k with |Aᵏ| ≤ ½, and |Aᵏ|; None for it if there is none."""
    power, samples = A, 1
    while samples <= _SLOWEST:
        norm = float(np.abs(power).sum(axis=1).max())
        if norm <= 0.5:
            return samples, norm
        if not norm < 1e150:
            break
        power, samples = power @ power, 2 * samples
    return samples, None


def _powers(A: FloatArray, size: int) -> tuple[FloatArray, FloatArray]:
    """Return Aᵏ for k < size, and A to the power of size."""
    powers = np.empty((size, *A.shape))
    powers[0] = np.eye(len(A))
    done, jump = 1, A
    while done < size:
        step = min(done, size - done)
        powers[done : done + step] = powers[:step] @ jump
        done += step
        jump = powers[done - 1] @ A
    return powers, jump


def _reach(rows: FloatArray, jump: FloatArray, block: int) -> FloatArray:
    reach = np.zeros(rows.shape[1])
    for _ in range(-(-block // len(rows))):
        reach += np.abs(rows).sum(axis=(0, 2))
        rows = rows @ jump
    return reach
